#include "net/smtp.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/ip.h"
#include "net/dial.h"

enum { ANSWER_MAX = 64 * 1024 /* of one command */ };

/* What the server answers next. */
enum step {
    GREETING,
    HELLO,
    START_TLS,
    AUTH_PLAIN,
    AUTH_LOGIN,
    AUTH_USER,
    AUTH_PASSWORD,
    FROM,
    TO,
    DATA,
    BODY,
};

struct sk_smtp {
    struct sk_io *io;
    struct sk_arena arena; /* texts of the options */
    struct sk_smtp_options options;
    struct sk_stream *stream; /* NULL: none */
    struct sk_buffer in;
    struct sk_timer timer;              /* until its turn; then of the attempt */
    uint64_t sent_ns[SK_SMTP_RATE_MAX]; /* when the last attempts began, round and round */
    uint64_t attempts;
    /* of the mail under way */
    sk_smtp_done *done; /* NULL: there is none */
    void *arg;
    uint32_t timeout_ms;
    struct sk_buffer mail;
    struct sk_arena mail_arena;
    struct sk_span from;
    struct sk_span *to;
    size_t to_count;
    /* of the connection */
    enum step step;
    bool secure;
    bool offers_tls, offers_plain, offers_login;
    size_t asked, taken; /* addresses */
    size_t answer;       /* bytes since the last command */
};

/* ---- the end ---- */

static void leave(struct sk_smtp *s, bool politely) {
    struct sk_stream *stream = s->stream;
    s->stream = NULL;
    s->in.n = 0;
    if (stream == NULL) return;
    sk_stream_forget(stream);
    if (politely) {
        sk_stream_write(stream, SK_SPAN("QUIT\r\n"));
        sk_stream_close(stream);
    } else {
        sk_stream_abort(stream);
    }
}

static void drop_mail(struct sk_smtp *s) {
    sk_timer_stop(&s->timer);
    s->done = NULL;
    sk_buffer_shrink(&s->mail, 64 * 1024);
    sk_arena_reset(&s->mail_arena);
}

static void end(struct sk_smtp *s, enum sk_smtp_end how, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void end(struct sk_smtp *s, enum sk_smtp_end how, const char *format, ...) {
    sk_smtp_done *done = s->done;
    char why[256];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    leave(s, how == SK_SMTP_SENT);
    drop_mail(s);
    done(s->arg, how, why);
}

/* ---- commands ---- */

static void say(struct sk_smtp *s, enum step step, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say(struct sk_smtp *s, enum step step, const char *format, ...) {
    struct sk_buffer *out = sk_stream_output(s->stream);
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line - 2, format, args);
    va_end(args);
    sk_buffer_print(out, "%s\r\n", line);
    sk_stream_flush(s->stream);
    s->step = step;
    s->answer = 0;
}

static void say_hello(struct sk_smtp *s) {
    struct sk_ip ip;
    const char *name = s->options.name;
    s->offers_tls = s->offers_plain = s->offers_login = false;
    if (sk_ip_parse(sk_span_z(name), &ip) == SK_OK)
        say(s, HELLO, "EHLO [%s%s]", ip.bits == 128 ? "IPv6:" : "", name);
    else
        say(s, HELLO, "EHLO %s", name);
}

static void say_secret(struct sk_smtp *s, enum step step, const char *before, struct sk_span text) {
    struct sk_buffer line = {0};
    sk_buffer_text(&line, before);
    sk_base64_encode(&line, text);
    sk_buffer_byte(&line, 0);
    say(s, step, "%s", line.p);
    sk_buffer_free(&line);
}

static void say_from(struct sk_smtp *s) {
    s->asked = s->taken = 0;
    say(s, FROM, "MAIL FROM:<%.*s>", SK_ARG(s->from));
}

static void authenticate(struct sk_smtp *s) {
    struct sk_buffer plain = {0};
    if (s->options.user == NULL) {
        say_from(s);
    } else if (s->offers_plain) { /* RFC 4616 */
        sk_buffer_byte(&plain, 0);
        sk_buffer_text(&plain, s->options.user);
        sk_buffer_byte(&plain, 0);
        sk_buffer_text(&plain, s->options.password);
        say_secret(s, AUTH_PLAIN, "AUTH PLAIN ", sk_buffer_span(&plain));
    } else if (s->offers_login) {
        say(s, AUTH_LOGIN, "AUTH LOGIN");
    } else {
        end(s, SK_SMTP_AGAIN, "%s offers neither AUTH PLAIN nor AUTH LOGIN", s->options.to.host);
    }
    sk_buffer_free(&plain);
}

static void greeted(struct sk_smtp *s) {
    if (s->secure || s->options.security == SK_SMTP_PLAIN)
        authenticate(s);
    else if (s->offers_tls)
        say(s, START_TLS, "STARTTLS");
    else
        end(s, SK_SMTP_AGAIN, "%s offers no STARTTLS", s->options.to.host);
}

/* What came behind the answer was not said under TLS, and would be taken for it. */
static void start_tls(struct sk_smtp *s) {
    if (s->in.n)
        end(s, SK_SMTP_AGAIN, "%s says more before TLS begins", s->options.to.host);
    else if (sk_stream_start_tls(s->stream, s->options.tls, s->options.to.host))
        end(s, SK_SMTP_AGAIN, "TLS cannot begin with %s", s->options.to.host);
}

static void address_next(struct sk_smtp *s) {
    if (s->asked < s->to_count)
        say(s, TO, "RCPT TO:<%.*s>", SK_ARG(s->to[s->asked]));
    else
        say(s, DATA, "DATA");
}

static void say_mail(struct sk_smtp *s) {
    sk_buffer_append(sk_stream_output(s->stream), sk_buffer_span(&s->mail));
    say(s, BODY, ".");
}

/* ---- answers ---- */

static void note_offer(struct sk_smtp *s, struct sk_span text) {
    struct sk_span word;
    if (sk_span_eq_nocase(text, SK_SPAN("STARTTLS"))) s->offers_tls = true;
    if (!sk_span_starts_nocase(text, SK_SPAN("AUTH "))) return;
    while (sk_span_split(&text, ' ', &word)) {
        if (sk_span_eq_nocase(word, SK_SPAN("PLAIN"))) s->offers_plain = true;
        if (sk_span_eq_nocase(word, SK_SPAN("LOGIN"))) s->offers_login = true;
    }
}

/* As it was said, but for what a log or a page must not show. */
static void refuse(struct sk_smtp *s, enum sk_smtp_end how, const struct sk_mail_reply *reply) {
    char text[121];
    size_t n = reply->text.n < sizeof text - 1 ? reply->text.n : sizeof text - 1;
    for (size_t i = 0; i < n; i++)
        text[i] = reply->text.p[i] >= ' ' && reply->text.p[i] < 0x7f ? reply->text.p[i] : '?';
    text[n] = 0;
    end(s, how, "%s answered %u %s", s->options.to.host, reply->code, text);
}

/* One that is not known is left out; one that is not taken now has all wait. */
static void address_answered(struct sk_smtp *s, const struct sk_mail_reply *reply) {
    bool taken = reply->code / 100 == 2, last = s->asked + 1 == s->to_count;
    s->taken += taken;
    if (!taken && (reply->code / 100 != 5 || (last && s->taken == 0))) {
        refuse(s, SK_SMTP_AGAIN, reply);
        return;
    }
    if (!taken)
        SK_SELDOM(SK_LEVEL_WARN, "smtp", "%s takes no mail to %.*s: %u", s->options.to.host,
                  SK_ARG(s->to[s->asked]), reply->code);
    s->asked++;
    address_next(s);
}

static void go_on(struct sk_smtp *s) {
    switch (s->step) {
    case GREETING: say_hello(s); break;
    case HELLO: greeted(s); break;
    case START_TLS: start_tls(s); break;
    case AUTH_LOGIN: say_secret(s, AUTH_USER, "", sk_span_z(s->options.user)); break;
    case AUTH_USER: say_secret(s, AUTH_PASSWORD, "", sk_span_z(s->options.password)); break;
    case AUTH_PLAIN:
    case AUTH_PASSWORD: say_from(s); break;
    case FROM:
    case TO: address_next(s); break;
    case DATA: say_mail(s); break;
    case BODY: end(s, SK_SMTP_SENT, "%s", ""); break;
    }
}

static void answered(struct sk_smtp *s, const struct sk_mail_reply *reply) {
    static const unsigned char wanted[] = {
        [GREETING] = 2,   [HELLO] = 2,     [START_TLS] = 2,     [AUTH_PLAIN] = 2,
        [AUTH_LOGIN] = 3, [AUTH_USER] = 3, [AUTH_PASSWORD] = 2, [FROM] = 2,
        [TO] = 2,         [DATA] = 3,      [BODY] = 2};
    if (s->step == HELLO) note_offer(s, reply->text);
    if (reply->more) return;
    if (s->step == TO)
        address_answered(s, reply);
    else if (reply->code / 100 == wanted[s->step])
        go_on(s);
    else /* of who we are and where it goes others can be mended; the mail cannot */
        refuse(s, s->step == BODY && reply->code / 100 == 5 ? SK_SMTP_REFUSED : SK_SMTP_AGAIN,
               reply);
}

/* ---- the connection ---- */

static void on_open(struct sk_stream *stream, void *arg) {
    struct sk_smtp *s = arg;
    (void)stream;
    if (s->step == START_TLS) {
        s->secure = true;
        say_hello(s);
    }
}

static void on_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    struct sk_smtp *s = arg;
    struct sk_mail_reply reply;
    size_t used;
    enum sk_status status;
    s->answer += bytes.n;
    if (s->answer > ANSWER_MAX) {
        end(s, SK_SMTP_AGAIN, "%s does not end its answer", s->options.to.host);
        return;
    }
    sk_buffer_append(&s->in, bytes);
    while ((status = sk_mail_reply_read(sk_buffer_span(&s->in), &reply, &used)) == SK_OK) {
        SK_CLEANUP_FREE char *text = sk_span_dup(reply.text); /* the buffer moves on */
        reply.text.p = text;
        sk_buffer_consume(&s->in, used);
        answered(s, &reply);
        if (s->stream != stream) return;
    }
    if (status == SK_MALFORMED) end(s, SK_SMTP_AGAIN, "%s does not speak SMTP", s->options.to.host);
}

static void on_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    struct sk_smtp *s = arg;
    if (s->stream != stream) return;
    s->stream = NULL;
    end(s, SK_SMTP_AGAIN, "%s closes the connection: %s", s->options.to.host,
        sk_status_text(reason));
}

static void on_limit(struct sk_timer *timer) {
    struct sk_smtp *s = SK_CONTAINER(timer, struct sk_smtp, timer);
    end(s, SK_SMTP_AGAIN, "%s does not answer in time", s->options.to.host);
}

static void attempt(struct sk_timer *timer) {
    static const struct sk_stream_events events = {
        .on_open = on_open, .on_data = on_data, .on_close = on_close};
    struct sk_smtp *s = SK_CONTAINER(timer, struct sk_smtp, timer);
    bool tls = s->options.security == SK_SMTP_TLS;
    s->sent_ns[s->attempts++ % SK_SMTP_RATE_MAX] = sk_io_now(s->io);
    s->step = GREETING;
    s->secure = tls;
    s->answer = 0;
    sk_timer_start(s->io, &s->timer, s->timeout_ms * SK_MS, on_limit);
    s->stream = sk_dial(
        s->io, &(struct sk_dial_options){.to = s->options.to, .tls = tls ? s->options.tls : NULL},
        &events, s);
}

/* ---- life ---- */

/* How long until a minute has passed since the one so many attempts ago. */
static uint64_t wait_ns(const struct sk_smtp *s, unsigned per_minute) {
    if (s->attempts < per_minute) return 0;
    uint64_t due = s->sent_ns[(s->attempts - per_minute) % SK_SMTP_RATE_MAX] + 60 * SK_S;
    uint64_t now = sk_io_now(s->io);
    return due > now ? due - now : 0;
}

void sk_smtp_send(struct sk_smtp *s, const struct sk_mail *mail, unsigned per_minute,
                  uint32_t timeout_ms, sk_smtp_done *done, void *arg) {
    SK_ASSERT(s->done == NULL && per_minute > 0 && per_minute <= SK_SMTP_RATE_MAX);
    s->timeout_ms = timeout_ms;
    s->done = done;
    s->arg = arg;
    s->mail.n = 0;
    sk_mail_put(&s->mail, mail);
    s->from = sk_arena_copy(&s->mail_arena, mail->from);
    s->to = sk_arena_alloc(&s->mail_arena, mail->to_count * sizeof *s->to);
    s->to_count = mail->to_count;
    for (size_t i = 0; i < mail->to_count; i++)
        s->to[i] = sk_arena_copy(&s->mail_arena, sk_span_z(mail->to[i]));
    sk_timer_start(s->io, &s->timer, wait_ns(s, per_minute), attempt);
}

struct sk_smtp *sk_smtp_new(struct sk_io *io, const struct sk_smtp_options *options) {
    struct sk_smtp *s = SK_NEW(struct sk_smtp);
    s->io = io;
    s->options = *options;
    s->options.to.host = sk_arena_text(&s->arena, options->to.host);
    s->options.user = sk_arena_text(&s->arena, options->user);
    s->options.password = sk_arena_text(&s->arena, options->password);
    s->options.name = sk_arena_text(&s->arena, options->name);
    return s;
}

void sk_smtp_free(struct sk_smtp *s) {
    if (s == NULL) return;
    sk_timer_stop(&s->timer);
    leave(s, false);
    sk_buffer_free(&s->in);
    sk_buffer_free(&s->mail);
    sk_arena_free(&s->mail_arena);
    sk_arena_free(&s->arena);
    free(s);
}
