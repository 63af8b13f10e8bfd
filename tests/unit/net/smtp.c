/* The sender of mails on the simulated world, against a server that answers as each test says. */
#include <stdio.h>

#include "net/smtp.h"
#include "io/sim/sim.h"
#include "support/test.h"

static struct sk_sim *sim;
static struct sk_io *there, *here;
static struct sk_listener *listener;
static struct sk_smtp *smtp;

/* Answers to what begins so; the first row that fits. NULL: to nothing, the greeting. */
struct row {
    const char *said, *answer;
};

static struct server {
    const struct row *rows, *more; /* `more` before the others */
    struct sk_buffer in, heard;
    unsigned connections, mails;
    bool in_mail;
} server;

static struct {
    unsigned count;
    enum sk_smtp_end end;
    char why[256];
} ended;

static const struct row usual[] = {{"", "220 mail.test ready\r\n"},
                                   {"EHLO hub.test", "250-mail.test\r\n250 AUTH LOGIN PLAIN\r\n"},
                                   {"AUTH PLAIN AHVzZXIAc2VjcmV0", "235 in\r\n"},
                                   {"MAIL FROM:<hub@x.test>", "250 ok\r\n"},
                                   {"RCPT TO:<", "250 ok\r\n"},
                                   {"DATA", "354 go\r\n"},
                                   {".", "250 taken\r\n"},
                                   {"QUIT", "221 bye\r\n"},
                                   {0}};

static const char *answer_to(const struct row *rows, struct sk_span line) {
    for (; rows && rows->said; rows++)
        if (*rows->said ? sk_span_starts(line, sk_span_z(rows->said)) : line.n == 0)
            return rows->answer;
    return NULL;
}

static void answer(struct sk_stream *stream, struct sk_span line) {
    const char *text = answer_to(server.more, line);
    if (text == NULL) text = answer_to(server.rows, line);
    if (text) sk_stream_write(stream, sk_span_z(text));
    server.in_mail = text && sk_span_is(line, "DATA") && text[0] == '3';
}

static void on_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    (void)arg;
    sk_buffer_append(&server.in, bytes);
    for (size_t end; (end = sk_span_find(sk_buffer_span(&server.in), '\n')) < server.in.n;) {
        struct sk_span line = sk_span_trim(sk_span(server.in.p, end));
        sk_buffer_append(&server.heard, sk_span(server.in.p, end + 1));
        server.mails += server.in_mail && sk_span_is(line, ".");
        if (!server.in_mail || sk_span_is(line, ".")) answer(stream, line);
        sk_buffer_consume(&server.in, end + 1);
    }
}

static void on_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream, (void)arg, (void)reason;
}

static void on_accept(void *arg, struct sk_stream *stream) {
    static const struct sk_stream_events events = {.on_data = on_data, .on_close = on_close};
    (void)arg;
    server.connections++;
    server.in.n = 0;
    server.in_mail = false;
    sk_stream_handle(stream, &events, NULL);
    answer(stream, SK_NONE);
}

static void on_done(void *arg, enum sk_smtp_end end, const char *why) {
    (void)arg;
    ended.count++;
    ended.end = end;
    snprintf(ended.why, sizeof ended.why, "%s", why);
}

static void make_sender(enum sk_smtp_security security) {
    sk_smtp_free(smtp);
    smtp = sk_smtp_new(here, &(struct sk_smtp_options){.to = {.host = "mail.test", .port = 25},
                                                       .security = security,
                                                       .user = "user",
                                                       .password = "secret",
                                                       .name = "hub.test"});
}

static int begin(void **state) {
    (void)state;
    memset(&server, 0, sizeof server);
    memset(&ended, 0, sizeof ended);
    server.rows = usual;
    sim = sk_sim_new(&(struct sk_sim_options){.seed = 1});
    there = sk_sim_node(sim, "mail.test");
    here = sk_sim_node(sim, "hub.test");
    assert_int_equal(sk_listen(there, &(struct sk_endpoint){.host = "mail.test", .port = 25}, NULL,
                               on_accept, NULL, &listener),
                     SK_OK);
    make_sender(SK_SMTP_PLAIN);
    return 0;
}

static int end(void **state) {
    (void)state;
    sk_smtp_free(smtp);
    smtp = NULL;
    sk_listener_close(listener);
    sk_sim_run(sim, SK_S);
    sk_sim_free(sim);
    sk_buffer_free(&server.in);
    sk_buffer_free(&server.heard);
    return 0;
}

AROUND(begin, end);

static void send_to(const char *const *to, size_t count, unsigned per_minute) {
    sk_smtp_send(smtp,
                 &(struct sk_mail){.from = SK_SPAN("hub@x.test"),
                                   .to = to,
                                   .to_count = count,
                                   .subject = SK_SPAN("hot"),
                                   .text = SK_SPAN("21"),
                                   .id = SK_SPAN("1")},
                 per_minute, 30000, on_done, NULL);
}

static const char *const one[] = {"a@x.test"}, *const two[] = {"a@x.test", "b@x.test"};

static void ends_so(const struct row *more, enum sk_smtp_end how, const char *why) {
    unsigned before = ended.count;
    server.more = more;
    send_to(two, 2, 60);
    sk_sim_run(sim, 120 * SK_S);
    assert_int_equal(ended.count, before + 1);
    assert_int_equal(ended.end, how);
    assert_string_equal(ended.why, why);
}

static bool heard(const char *text) {
    sk_buffer_byte(&server.heard, 0);
    server.heard.n--;
    return strstr(server.heard.p, text) != NULL;
}

TEST(a_mail_goes_to_all_whom_the_server_knows) {
    ends_so(NULL, SK_SMTP_SENT, "");
    assert_true(heard("RCPT TO:<b@x.test>\r\nDATA\r\nDate: "));
    assert_true(heard("\r\n\r\nMjE=\r\n.\r\nQUIT\r\n"));
    ends_so((struct row[]){{"RCPT TO:<a@", "550 who?\r\n"}, {0}}, SK_SMTP_SENT, "");
    assert_int_equal(server.mails, 2);
    ends_so((struct row[]){{"RCPT TO:<", "550 who?\r\n"}, {0}}, SK_SMTP_AGAIN,
            "mail.test answered 550 who?");
    ends_so((struct row[]){{"RCPT TO:<a@", "451 later\r\n"}, {0}}, SK_SMTP_AGAIN,
            "mail.test answered 451 later");
    assert_int_equal(server.mails, 2);
}

TEST(only_what_is_said_of_the_mail_itself_refuses_it) {
    ends_so((struct row[]){{".", "554 no such content\r\n"}, {0}}, SK_SMTP_REFUSED,
            "mail.test answered 554 no such content");
    ends_so((struct row[]){{".", "452 no room\r\n"}, {0}}, SK_SMTP_AGAIN,
            "mail.test answered 452 no room");
    ends_so((struct row[]){{"AUTH", "535 5.7.8 who?\x1b[1m\r\n"}, {0}}, SK_SMTP_AGAIN,
            "mail.test answered 535 5.7.8 who??[1m");
    ends_so((struct row[]){{"MAIL", "550 no\r\n"}, {0}}, SK_SMTP_AGAIN,
            "mail.test answered 550 no");
    ends_so((struct row[]){{"", "421 closing\r\n"}, {0}}, SK_SMTP_AGAIN,
            "mail.test answered 421 closing");
}

TEST(a_server_that_knows_only_login_gets_it) {
    ends_so((struct row[]){{"EHLO", "250 AUTH LOGIN\r\n"},
                           {"AUTH LOGIN", "334 VXNlcm5hbWU6\r\n"},
                           {"dXNlcg==", "334 UGFzc3dvcmQ6\r\n"},
                           {"c2VjcmV0", "235 in\r\n"},
                           {0}},
            SK_SMTP_SENT, "");
    ends_so((struct row[]){{"EHLO", "250 AUTH GSSAPI\r\n"}, {0}}, SK_SMTP_AGAIN,
            "mail.test offers neither AUTH PLAIN nor AUTH LOGIN");
}

TEST(who_wants_tls_says_no_word_without_it) {
    make_sender(SK_SMTP_STARTTLS);
    ends_so(NULL, SK_SMTP_AGAIN, "mail.test offers no STARTTLS");
    ends_so((struct row[]){{"EHLO", "250 STARTTLS\r\n"},
                           {"STARTTLS", "220 go\r\n250 AUTH PLAIN\r\n"},
                           {0}},
            SK_SMTP_AGAIN, "mail.test says more before TLS begins");
    assert_false(heard("AUTH"));
}

TEST(a_server_that_hangs_or_never_ends_or_speaks_otherwise_is_left) {
    static char line[3000], endless[70000];
    static const struct row hangs[] = {{"DATA", ""}, {0}};
    ends_so(hangs, SK_SMTP_AGAIN, "mail.test does not answer in time");
    memset(line, '2', sizeof line - 1);
    ends_so((struct row[]){{"", line}, {0}}, SK_SMTP_AGAIN, "mail.test does not speak SMTP");
    ends_so((struct row[]){{"", "HTTP/1.1 400 Bad Request\r\n"}, {0}}, SK_SMTP_AGAIN,
            "mail.test does not speak SMTP");
    for (size_t i = 0; i + 8 < sizeof endless; i += 8) memcpy(endless + i, "250-xx\r\n", 8);
    ends_so((struct row[]){{"EHLO", endless}, {0}}, SK_SMTP_AGAIN,
            "mail.test does not end its answer");
}

TEST(no_more_mails_go_in_a_minute_than_it_says) {
    for (unsigned i = 0; i < 5; i++) {
        unsigned before = ended.count;
        send_to(one, 1, 3);
        if (i == 3) {
            sk_sim_run(sim, 50 * SK_S);
            assert_int_equal(ended.count, before);
        }
        for (unsigned s = 0; s < 70 && ended.count == before; s++) sk_sim_run(sim, SK_S);
        assert_int_equal(ended.count, before + 1);
    }
    assert_int_equal(server.mails, 5);
}

TEST(a_sender_that_is_freed_says_nothing_more) {
    send_to(one, 1, 1);
    sk_sim_run(sim, SK_MS);
    sk_smtp_free(smtp);
    smtp = NULL;
    sk_sim_run(sim, 60 * SK_S);
    assert_int_equal(ended.count, 0);
}
