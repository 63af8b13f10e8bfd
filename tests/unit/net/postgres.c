/* The client of databases on the simulated world, against a server that answers as each test
 * says. */
#include <stdio.h>

#include "net/postgres.h"
#include "io/sim/sim.h"
#include "support/test.h"

static struct sk_sim *sim;
static struct sk_io *there, *here;
static struct sk_listener *listener;
static struct sk_postgres *postgres;

static struct server {
    struct sk_span answers[4]; /* to what comes, in order; no pointer: silence */
    unsigned connections, came;
} server;
static struct sk_buffer heard;

static struct {
    unsigned count;
    enum sk_status status;
    char code[6], why[200];
} ended;

#define LET_IN "R\0\0\0\x08\0\0\0\0Z\0\0\0\5I"
#define BEGIN_SCRAM "R\0\0\0\x17\0\0\0\nSCRAM-SHA-256\0\0"
#define RAN                                                                                        \
    "1\0\0\0\4"                                                                                    \
    "2\0\0\0\4"                                                                                    \
    "C\0\0\0\x0fINSERT 0 1\0"                                                                      \
    "Z\0\0\0\5I"
#define NO_NUMBER "E\0\0\0\x19SERROR\0C22P02\0Mbad\x1b\0\0Z\0\0\0\5I"

/* A startup message, or what ends with Sync. */
static bool is_whole(struct sk_span in) {
    return sk_span_ends(in, SK_SPAN("skerry\0\0")) || sk_span_ends(in, SK_SPAN("S\0\0\0\4"));
}

static unsigned proves_itself; /* to a SCRAM that has begun so many times; then wrongly */

enum { NONCE = 32 };

/* "n,,n=,r=NONCE" is answered by a nonce, a salt and rounds. */
static bool answer_scram(struct sk_stream *stream) {
    struct sk_span in = sk_buffer_span(&heard);
    struct sk_buffer first = {0};
    size_t at = 0;
    while (at < in.n && !sk_span_starts(sk_span_skip(in, at), SK_SPAN("n,,n=,r="))) at++;
    if (in.n < at + 8 + NONCE || proves_itself == 0) return false;
    sk_buffer_append(&first, SK_SPAN("R\0\0\0\x40\0\0\0\x0br="));
    sk_buffer_append(&first, sk_span_first(sk_span_skip(in, at + 8), NONCE));
    sk_buffer_text(&first, "1234567,s=QUFB,i=1");
    first.p[4] = (char)(first.n - 1);
    heard.n = 0;
    for (; proves_itself; proves_itself--) sk_stream_write(stream, sk_buffer_span(&first));
    sk_stream_write(stream, SK_SPAN("R\0\0\0\x0e\0\0\0\x0cv=QUFB"));
    sk_buffer_free(&first);
    return true;
}

static void on_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    (void)arg;
    sk_buffer_append(&heard, bytes);
    if (answer_scram(stream)) return;
    if (!is_whole(sk_buffer_span(&heard))) return;
    heard.n = 0;
    if (server.came < 4 && server.answers[server.came].p)
        sk_stream_write(stream, server.answers[server.came]);
    server.came++;
}

static void on_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream, (void)arg, (void)reason;
}

static void on_accept(void *arg, struct sk_stream *stream) {
    static const struct sk_stream_events events = {.on_data = on_data, .on_close = on_close};
    (void)arg;
    server.connections++;
    sk_stream_handle(stream, &events, NULL);
}

static void on_done(void *arg, enum sk_status status, const char *code, const char *why) {
    (void)arg;
    ended.count++;
    ended.status = status;
    snprintf(ended.code, sizeof ended.code, "%s", code);
    snprintf(ended.why, sizeof ended.why, "%s", why);
}

static int begin(void **state) {
    (void)state;
    memset(&server, 0, sizeof server);
    memset(&ended, 0, sizeof ended);
    sim = sk_sim_new(&(struct sk_sim_options){.seed = 1});
    there = sk_sim_node(sim, "db.test");
    here = sk_sim_node(sim, "hub.test");
    assert_int_equal(sk_listen(there, &(struct sk_endpoint){.host = "db.test", .port = 5432}, NULL,
                               on_accept, NULL, &listener),
                     SK_OK);
    postgres =
        sk_postgres_new(here, &(struct sk_postgres_options){.to = {.host = "db.test", .port = 5432},
                                                            .user = "skerry",
                                                            .password = "secret",
                                                            .database = "plant"});
    return 0;
}

static int end(void **state) {
    (void)state;
    sk_postgres_free(postgres);
    sk_listener_close(listener);
    sk_sim_run(sim, SK_S);
    sk_sim_free(sim);
    sk_buffer_free(&heard);
    return 0;
}

AROUND(begin, end);

static void run_ends(enum sk_status status, const char *code, const char *why) {
    unsigned before = ended.count;
    sk_postgres_run(postgres, "INSERT", NULL, 0, 10000, on_done, NULL);
    sk_sim_run(sim, 20 * SK_S);
    assert_int_equal(ended.count, before + 1);
    if (ended.status != status) fail_msg("%s: %s", sk_status_text(ended.status), ended.why);
    assert_string_equal(ended.code, code);
    assert_string_equal(ended.why, why);
}

static void answers_once(struct sk_span answer, enum sk_status status, const char *why) {
    memset(&server, 0, sizeof server);
    server.answers[0] = answer;
    run_ends(status, "", why);
}

TEST(statements_run_one_after_the_other_on_one_connection) {
    server.answers[0] = SK_SPAN(LET_IN);
    server.answers[1] = server.answers[3] = SK_SPAN(RAN);
    server.answers[2] = SK_SPAN(NO_NUMBER);
    run_ends(SK_OK, "", "");
    run_ends(SK_REFUSED, "22P02", "db.test says 22P02: bad\x1b");
    run_ends(SK_OK, "", "");
    assert_int_equal(server.connections, 1);
}

TEST(a_server_that_lets_nobody_in_is_tried_again) {
    answers_once(SK_SPAN("E\0\0\0\x18SFATAL\0C28P01\0Mwho\0\0"), SK_UNAUTHORIZED,
                 "db.test says 28P01: who");
    answers_once(SK_SPAN("R\0\0\0\x08\0\0\0\3"), SK_UNAUTHORIZED,
                 "db.test wants the password in a form that is not safe here; SCRAM-SHA-256 is");
    answers_once(SK_SPAN("R\0\0\0\x0c\0\0\0\5salt"), SK_UNAUTHORIZED,
                 "db.test wants the password in a form that is not safe here; SCRAM-SHA-256 is");
    answers_once(SK_SPAN("R\0\0\0\x0d\0\0\0\nSOME\0"), SK_UNAUTHORIZED,
                 "db.test offers no SCRAM-SHA-256");
    answers_once(SK_SPAN(BEGIN_SCRAM "R\0\0\0\x0a\0\0\0\x0bxy"), SK_UNAUTHORIZED,
                 "db.test cannot be logged in to: its SCRAM-SHA-256 is malformed");
    server = (struct server){.answers = {SK_SPAN(LET_IN), SK_SPAN(RAN)}};
    run_ends(SK_OK, "", "");
}

#define MIXED_UP "db.test cannot be logged in to: it mixes up the order"

TEST(each_step_of_a_login_is_taken_once) {
    answers_once(SK_SPAN(BEGIN_SCRAM BEGIN_SCRAM), SK_UNAUTHORIZED, MIXED_UP);
    answers_once(SK_SPAN("R\0\0\0\x0a\0\0\0\x0bxy"), SK_UNAUTHORIZED, MIXED_UP);
    answers_once(SK_SPAN("R\0\0\0\x0a\0\0\0\x0cxy"), SK_UNAUTHORIZED, MIXED_UP);
    answers_once(SK_SPAN(BEGIN_SCRAM LET_IN), SK_UNAUTHORIZED, MIXED_UP);
    answers_once(SK_SPAN(BEGIN_SCRAM "Z\0\0\0\5I"), SK_MALFORMED,
                 "db.test says that it is ready, but not what it did");
}

/* Each proof costs as many rounds as the server wishes: for many of them the hub would stand. */
TEST(a_server_gets_one_proof) {
    proves_itself = 2;
    answers_once(SK_SPAN(BEGIN_SCRAM), SK_UNAUTHORIZED, MIXED_UP);
    proves_itself = 1;
    answers_once(SK_SPAN(BEGIN_SCRAM), SK_UNAUTHORIZED, "db.test does not know the password");
}

TEST(ready_alone_is_no_word_of_what_was_done) {
    server.answers[0] = SK_SPAN(LET_IN);
    server.answers[1] = SK_SPAN("Z\0\0\0\5I");
    run_ends(SK_MALFORMED, "", "db.test says that it is ready, but not what it did");
}

TEST(a_server_that_hangs_or_speaks_otherwise_is_left) {
    answers_once(SK_NONE, SK_TIMEOUT, "db.test does not answer in time");
    answers_once(SK_SPAN("HTTP/1.1 400 Bad Request\r\n"), SK_MALFORMED, "db.test is no PostgreSQL");
    server = (struct server){.answers = {SK_SPAN(LET_IN)}};
    run_ends(SK_TIMEOUT, "", "db.test does not answer in time");
}

TEST(a_client_that_is_freed_says_nothing_more) {
    sk_postgres_run(postgres, "INSERT", NULL, 0, 10000, on_done, NULL);
    sk_sim_run(sim, SK_MS);
    sk_postgres_free(postgres);
    postgres = NULL;
    sk_sim_run(sim, 60 * SK_S);
    assert_int_equal(ended.count, 0);
}
