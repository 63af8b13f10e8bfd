/* An engine that behaves as it likes: a unix socket behind which a script stands. */
#include "edge/agent/engine/engine.h"

#include <stdio.h>
#include <unistd.h>

#include "support/test.h"

static struct sk_io *io;
static struct sk_engine *engine;
static struct sk_listener *listener;
static struct sk_stream *last;
static char path[64];
static struct {
    const char *answer; /* NULL: it says nothing */
    size_t length;      /* 0: of the text */
    bool closes;
    unsigned asked;
    char request[512];
} script;
static struct {
    unsigned done;
    enum sk_status status;
    unsigned http;
    char why[SK_ENGINE_WHY_MAX];
    bool json;
    size_t parts;
} told;

static void on_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    (void)arg;
    script.asked++;
    snprintf(script.request, sizeof script.request, "%.*s", SK_ARG(bytes));
    if (script.answer)
        sk_stream_write(
            stream, sk_span(script.answer, script.length ? script.length : strlen(script.answer)));
    if (script.closes) sk_stream_close(stream);
}

static void on_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream, (void)arg, (void)reason;
    if (stream == last) last = NULL;
}

static const struct sk_stream_events events = {.on_data = on_data, .on_close = on_close};

static void on_accept(void *arg, struct sk_stream *stream) {
    (void)arg;
    last = stream;
    sk_stream_handle(stream, &events, NULL);
}

static void on_done(void *arg, const struct sk_engine_answer *answer) {
    (void)arg;
    told.done++;
    told.status = answer->status;
    told.http = answer->http;
    told.json = answer->json != NULL;
    snprintf(told.why, sizeof told.why, "%s", answer->why);
    sk_io_stop(io);
}

static void on_part(void *arg, struct sk_span bytes) {
    (void)arg;
    told.parts += bytes.n;
}

static int start(void **state) {
    (void)state;
    memset(&script, 0, sizeof script);
    memset(&told, 0, sizeof told);
    snprintf(path, sizeof path, "/tmp/skerry-engine-%d.sock", (int)getpid());
    io = sk_io_uv_new();
    sk_file_remove(io, path);
    struct sk_endpoint at = {.path = path, .path_mode = 0600};
    assert_int_equal(sk_listen(io, &at, NULL, on_accept, NULL, &listener), SK_OK);
    assert_int_equal(sk_engine_new(io, path, &engine), SK_OK);
    return 0;
}

static int end(void **state) {
    (void)state;
    sk_engine_free(engine);
    if (last) sk_stream_abort(last);
    sk_listener_close(listener);
    sk_io_run(io);
    sk_io_free(io);
    unlink(path);
    return 0;
}

AROUND(start, end);

#define ANSWER(status, body)                                                                       \
    "HTTP/1.1 " status "\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" body

static void ask(const char *answer) {
    script.answer = answer;
    script.closes = answer != NULL;
    sk_engine_ask(engine, SK_HTTP_GET, "/x", NULL, 50, on_done, NULL);
    sk_io_run(io);
    assert_int_equal(told.done, 1);
    told.done = 0;
}

TEST(what_the_engine_answers_is_told) {
    ask(ANSWER("200 OK", "{\"a\":1}"));
    assert_int_equal(told.status, SK_OK);
    assert_true(told.json);
    assert_non_null(strstr(script.request, "GET /v1.41/x HTTP/1.1"));
    ask(ANSWER("404 Not Found", "{\"message\":\"no such thing\"}"));
    assert_int_equal(told.status, SK_NOT_FOUND);
    assert_string_equal(told.why, "no such thing");
    ask(ANSWER("500 Internal Server Error", "oh"));
    assert_int_equal(told.status, SK_REFUSED);
    assert_string_equal(told.why, "Internal Server Error");
    ask(ANSWER("200 OK", "no JSON"));
    assert_int_equal(told.status, SK_OK);
    assert_false(told.json);
}

static void expect_why(const char *words) {
    char wanted[SK_ENGINE_WHY_MAX];
    snprintf(wanted, sizeof wanted, "the container engine at %s %s", path, words);
    assert_string_equal(told.why, wanted);
    assert_int_equal(told.http, 0);
}

TEST(an_engine_that_hangs_breaks_off_or_talks_nonsense_ends_the_call_with_a_sentence) {
    ask(NULL);
    assert_int_equal(told.status, SK_TIMEOUT);
    expect_why("does not answer");
    ask("");
    expect_why("broke off");
    ask("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":");
    assert_true(told.status != SK_OK);
    ask("SSH-2.0-OpenSSH_9.2\r\n");
    expect_why("answered what is no HTTP");
    sk_listener_close(listener);
    unlink(path);
    struct sk_endpoint at = {.path = "/tmp/skerry-engine-nobody.sock", .path_mode = 0600};
    ask(NULL);
    expect_why("is not there");
    assert_int_equal(sk_listen(io, &at, NULL, on_accept, NULL, &listener), SK_OK);
    unlink(at.path);
}

TEST(an_answer_without_end_is_cut_off) {
    static const char chunk[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    size_t n = 9 << 20;
    char *text = sk_alloc(n);
    memset(text, ' ', n);
    memcpy(text, chunk, sizeof chunk - 1);
    script.length = n;
    script.answer = text;
    script.closes = true;
    sk_engine_ask(engine, SK_HTTP_GET, "/x", NULL, 10000, on_done, NULL);
    sk_io_run(io);
    expect_why("answered too much");
    free(text);
}

static void greet(const char *answer) {
    script.answer = answer;
    script.closes = true;
    sk_engine_greet(engine, on_done, NULL);
    sk_io_run(io);
    told.done = 0;
}

TEST(the_newest_version_that_both_know_is_spoken) {
    static const struct {
        const char *answer, *spoken; /* NULL: too old */
    } cases[] = {
        {ANSWER("200 OK", "{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.24\"}"), "/v1.41/x"},
        {ANSWER("200 OK", "{\"ApiVersion\":\"1.40\"}"), "/v1.40/x"},
        {ANSWER("200 OK", "{\"ApiVersion\":\"1.52\",\"MinAPIVersion\":\"1.44\"}"), "/v1.44/x"},
        {ANSWER("200 OK", "{\"ApiVersion\":\"1.39\"}"), NULL},
        {ANSWER("200 OK", "{\"ApiVersion\":\"2.0\"}"), NULL},
        {ANSWER("200 OK", "{}"), NULL},
        {ANSWER("200 OK", "[]"), NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        greet(cases[i].answer);
        assert_int_equal(told.status, cases[i].spoken ? SK_OK : SK_UNSUPPORTED);
        if (cases[i].spoken == NULL) {
            assert_non_null(strstr(told.why, "1.40 is needed"));
            continue;
        }
        ask(ANSWER("200 OK", "{}"));
        assert_non_null(strstr(script.request, cases[i].spoken));
    }
}

TEST(a_stream_that_falls_silent_ends) {
    script.answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    sk_engine_stream(engine, &(struct sk_engine_stream){.method = SK_HTTP_POST,
                                                        .target = "/x",
                                                        .registry_auth = SK_SPAN("abc"),
                                                        .silence_ms = 100,
                                                        .part = on_part,
                                                        .done = on_done});
    sk_io_run(io);
    assert_int_equal(told.done, 1);
    assert_int_equal(told.parts, 5);
    assert_int_equal(told.status, SK_TIMEOUT);
    expect_why("does not answer");
    assert_non_null(strstr(script.request, "X-Registry-Auth: abc"));
}

TEST(a_call_that_is_cancelled_and_an_engine_that_is_freed_tell_nothing) {
    sk_engine_cancel(sk_engine_ask(engine, SK_HTTP_GET, "/x", NULL, 0, on_done, NULL));
    sk_engine_ask(engine, SK_HTTP_GET, "/x", NULL, 0, on_done, NULL);
    sk_engine_free(engine);
    assert_int_equal(told.done, 0);
    assert_int_equal(sk_engine_new(io, "unix:///tmp/x", &engine), SK_OK);
    assert_string_equal(sk_engine_path(engine), "/tmp/x");
    struct sk_engine *none;
    assert_int_equal(sk_engine_new(io, "tcp://127.0.0.1:2375", &none), SK_MALFORMED);
    assert_int_equal(sk_engine_new(io, "unix://", &none), SK_MALFORMED);
}
