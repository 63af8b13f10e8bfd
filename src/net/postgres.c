#include "net/postgres.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "net/dial.h"

#define MECHANISM "SCRAM-SHA-256"

/* What comes next. */
enum step {
    ENCRYPTING,
    LOGGING_IN, /* how, is the server's to say, once */
    SCRAM_BEGUN,
    SCRAM_PROVED, /* by us; now by the server */
    ANSWERED,     /* all that it has asked for */
    LOGGED_IN,
    READY
};

struct sk_postgres {
    struct sk_io *io;
    struct sk_arena arena; /* texts of the options */
    struct sk_postgres_options options;
    struct sk_stream *stream; /* NULL: none */
    struct sk_buffer in;
    enum step step;
    struct sk_scram scram;
    struct sk_buffer statement; /* that waits for the connection, or is run */
    struct sk_timer limit;
    sk_postgres_done *done; /* NULL: nothing is under way */
    void *arg;
    bool running;           /* the server has it */
    bool complete;          /* and says that it did it */
    char code[6], why[200]; /* what it says of it */
};

static void hang_up(struct sk_postgres *p) {
    struct sk_stream *stream = p->stream;
    p->stream = NULL;
    p->in.n = 0;
    if (stream == NULL) return;
    sk_stream_forget(stream);
    sk_stream_abort(stream);
}

static void end(struct sk_postgres *p, enum sk_status status) {
    sk_postgres_done *done = p->done;
    sk_timer_stop(&p->limit);
    p->done = NULL;
    p->running = false;
    sk_buffer_shrink(&p->statement, 256 * 1024);
    p->statement.n = 0;
    if (done) done(p->arg, status, p->code, p->why);
}

static void fail(struct sk_postgres *p, enum sk_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The connection is of no use any more. */
static void fail(struct sk_postgres *p, enum sk_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(p->why, sizeof p->why, format, args);
    va_end(args);
    p->code[0] = 0;
    hang_up(p);
    end(p, status);
}

static void flush(struct sk_postgres *p) {
    sk_stream_flush(p->stream);
}

static void run_now(struct sk_postgres *p) {
    if (p->done == NULL) return;
    p->running = true;
    p->complete = false;
    p->code[0] = p->why[0] = 0;
    sk_buffer_append(sk_stream_output(p->stream), sk_buffer_span(&p->statement));
    flush(p);
}

/* ---- logging in ---- */

static bool offers_scram(struct sk_span mechanisms) {
    struct sk_span one;
    while (sk_span_split(&mechanisms, 0, &one))
        if (sk_span_is(one, MECHANISM)) return true;
    return false;
}

static void begin_scram(struct sk_postgres *p, struct sk_span mechanisms) {
    struct sk_buffer first = {0};
    char guid[37];
    if (!offers_scram(mechanisms)) {
        fail(p, SK_UNAUTHORIZED, "%s offers no " MECHANISM, p->options.to.host);
        return;
    }
    sk_io_guid(p->io, guid);
    snprintf(p->scram.nonce, sizeof p->scram.nonce, "%.32s", guid);
    sk_scram_put_first(&p->scram, &first);
    sk_postgres_put_sasl(sk_stream_output(p->stream), MECHANISM, sk_buffer_span(&first));
    p->step = SCRAM_BEGUN;
    flush(p);
    sk_buffer_free(&first);
}

static void go_on_with_scram(struct sk_postgres *p, struct sk_span said) {
    struct sk_buffer answer = {0};
    enum sk_status status = sk_scram_put_final(&p->scram, said, p->options.password, &answer);
    if (status) {
        fail(p, SK_UNAUTHORIZED, "%s cannot be logged in to: its " MECHANISM " is %s",
             p->options.to.host, sk_status_text(status));
    } else {
        sk_postgres_put_password(sk_stream_output(p->stream), sk_buffer_span(&answer));
        p->step = SCRAM_PROVED;
        flush(p);
    }
    sk_buffer_free(&answer);
}

/* Each step is taken once: a proof is dear, and who has begun one has to prove itself, too. */
static void authenticate(struct sk_postgres *p, struct sk_span body) {
    enum { FINE = 0, CLEAR = 3, SASL = 10, SASL_GOES_ON = 11, SASL_ENDS = 12 };
    uint32_t what = sk_postgres_take_number(&body);
    bool first = p->step == LOGGING_IN;
    if (what == FINE && (first || p->step == ANSWERED)) {
        p->step = LOGGED_IN;
    } else if (first && p->options.password == NULL) {
        fail(p, SK_UNAUTHORIZED, "%s wants a password", p->options.to.host);
    } else if (first && what == SASL) {
        begin_scram(p, body);
    } else if (p->step == SCRAM_BEGUN && what == SASL_GOES_ON) {
        go_on_with_scram(p, body);
    } else if (p->step == SCRAM_PROVED && what == SASL_ENDS) {
        p->step = ANSWERED;
        if (!sk_scram_fits(&p->scram, body))
            fail(p, SK_UNAUTHORIZED, "%s does not know the password", p->options.to.host);
    } else if (first && what == CLEAR && p->options.tls) {
        p->step = ANSWERED;
        sk_postgres_put_password(sk_stream_output(p->stream),
                                 sk_span(p->options.password, strlen(p->options.password) + 1));
        flush(p);
    } else if (first && what < SASL) {
        fail(p, SK_UNAUTHORIZED,
             "%s wants the password in a form that is not safe here; " MECHANISM " is",
             p->options.to.host);
    } else {
        fail(p, SK_UNAUTHORIZED, "%s cannot be logged in to: it mixes up the order",
             p->options.to.host);
    }
}

/* ---- what the server says ---- */

static void note_error(struct sk_postgres *p, struct sk_span body) {
    struct sk_postgres_error error;
    sk_postgres_error_read(body, &error);
    if (p->code[0]) return; /* the first says why */
    snprintf(p->code, sizeof p->code, "%.*s", SK_ARG(sk_span_first(error.code, 5)));
    snprintf(p->why, sizeof p->why, "%.60s says %s: %.*s", p->options.to.host, p->code,
             SK_ARG(sk_span_first(error.text, 110)));
    if (p->code[0] == 0) snprintf(p->code, sizeof p->code, "XX000");
}

static void take(struct sk_postgres *p, const struct sk_postgres_message *message) {
    if (message->type == 'R' && p->step < LOGGED_IN) {
        authenticate(p, message->body);
    } else if (message->type == 'E') {
        note_error(p, message->body);
        if (p->step < READY || !p->running) {
            char why[sizeof p->why];
            memcpy(why, p->why, sizeof why);
            fail(p, SK_UNAUTHORIZED, "%s", why);
        }
    } else if (message->type == 'Z' && p->step == LOGGED_IN) {
        p->step = READY;
        run_now(p);
    } else if (message->type == 'C' && p->running) {
        p->complete = true;
    } else if (message->type == 'Z' && p->running && (p->complete || p->code[0])) {
        end(p, p->code[0] ? SK_REFUSED : SK_OK);
    } else if (message->type == 'Z') {
        fail(p, SK_MALFORMED, "%s says that it is ready, but not what it did", p->options.to.host);
    } /* parameters, notices, tags of commands: nothing to do */
}

/* 'S': TLS may begin. What came behind was not said under it, and would be taken for it. */
static void encrypt(struct sk_postgres *p) {
    bool fine = p->in.p[0] == 'S' && p->in.n == 1;
    sk_buffer_consume(&p->in, 1);
    if (!fine)
        fail(p, SK_UNAUTHORIZED, "%s offers no TLS", p->options.to.host);
    else if (sk_stream_start_tls(p->stream, p->options.tls, p->options.to.host))
        fail(p, SK_IO, "TLS cannot begin with %s", p->options.to.host);
    else
        p->step = LOGGING_IN;
}

static void on_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    struct sk_postgres *p = arg;
    struct sk_postgres_message message;
    size_t used, taken = 0;
    enum sk_status status = SK_OK;
    sk_buffer_append(&p->in, bytes);
    if (p->step == ENCRYPTING) {
        encrypt(p);
        return;
    }
    while (p->stream == stream &&
           (status = sk_postgres_read(sk_span_skip(sk_buffer_span(&p->in), taken), &message,
                                      &used)) == SK_OK) {
        taken += used;
        take(p, &message);
    }
    if (p->stream != stream) return;
    sk_buffer_consume(&p->in, taken);
    if (status != SK_AGAIN) fail(p, SK_MALFORMED, "%s is no PostgreSQL", p->options.to.host);
}

/* ---- the connection ---- */

static void on_open(struct sk_stream *stream, void *arg) {
    struct sk_postgres *p = arg;
    if (p->step == ENCRYPTING)
        sk_postgres_put_ssl_request(sk_stream_output(stream));
    else
        sk_postgres_put_startup(sk_stream_output(stream), p->options.user, p->options.database);
    flush(p);
}

static void on_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    struct sk_postgres *p = arg;
    if (p->stream != stream) return;
    p->stream = NULL;
    fail(p, reason ? reason : SK_CLOSED, "%s closes the connection: %s", p->options.to.host,
         sk_status_text(reason));
}

static void on_limit(struct sk_timer *timer) {
    struct sk_postgres *p = SK_CONTAINER(timer, struct sk_postgres, limit);
    fail(p, SK_TIMEOUT, "%s does not answer in time", p->options.to.host);
}

void sk_postgres_run(struct sk_postgres *p, const char *sql, const struct sk_span *parameters,
                     size_t count, uint32_t timeout_ms, sk_postgres_done *done, void *arg) {
    static const struct sk_stream_events events = {
        .on_open = on_open, .on_data = on_data, .on_close = on_close};
    SK_ASSERT(p->done == NULL);
    p->done = done;
    p->arg = arg;
    sk_postgres_put_statement(&p->statement, sql, parameters, count);
    sk_timer_start(p->io, &p->limit, timeout_ms * SK_MS, on_limit);
    if (p->stream) {
        if (p->step == READY) run_now(p);
        return;
    }
    p->step = p->options.tls ? ENCRYPTING : LOGGING_IN;
    p->stream = sk_dial(p->io, &(struct sk_dial_options){.to = p->options.to}, &events, p);
}

/* ---- life ---- */

struct sk_postgres *sk_postgres_new(struct sk_io *io, const struct sk_postgres_options *options) {
    struct sk_postgres *p = SK_NEW(struct sk_postgres);
    p->io = io;
    p->options = *options;
    p->options.to.host = sk_arena_text(&p->arena, options->to.host);
    p->options.user = sk_arena_text(&p->arena, options->user);
    p->options.password = sk_arena_text(&p->arena, options->password);
    p->options.database = sk_arena_text(&p->arena, options->database);
    return p;
}

void sk_postgres_free(struct sk_postgres *p) {
    if (p == NULL) return;
    sk_timer_stop(&p->limit);
    hang_up(p);
    sk_buffer_free(&p->in);
    sk_buffer_free(&p->statement);
    sk_arena_free(&p->arena);
    free(p);
}
