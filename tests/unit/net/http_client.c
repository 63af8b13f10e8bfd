/* The HTTP client on the simulated world, against a server that answers with the bytes each test
 * gives it. */
#include <stdio.h>

#include "net/http_client.h"
#include "io/sim/sim.h"
#include "support/test.h"

static struct sk_sim *sim;
static struct sk_io *there, *here;
static struct sk_listener *listener;
static struct sk_http_client *client;

static struct server {
    struct sk_stream *stream;
    struct sk_http_parser parser;
    const char *answers[6]; /* to the requests in order; NULL: silence; "" closes */
    unsigned connections, requests, closed;
    char seen[6][300]; /* "METHOD target body" */
    char host[100], header[100], proxy[100];
    bool tunnel; /* the first request is the proxy's */
} server;

static struct call {
    struct sk_http_call *call;
    unsigned done;
    enum sk_status status;
    unsigned code;
    char body[200], streamed[200];
    unsigned parts;
    bool cancel_in_part, free_in_part, free_when_done, again;
} calls[4];

static void server_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    (void)arg;
    if (stream != server.stream) return;
    while (bytes.n && server.stream) {
        size_t used;
        enum sk_http_event event;
        assert_int_equal(sk_http_feed(&server.parser, bytes, &used, &event), SK_OK);
        bytes = sk_span_skip(bytes, used);
        server.parser.body_max = 1000;
        if (event != SK_HTTP_MESSAGE) continue;
        snprintf(server.seen[server.requests], sizeof server.seen[0], "%s %.*s %.*s",
                 sk_http_method_name(server.parser.method), SK_ARG(server.parser.target),
                 SK_ARG(sk_buffer_span(&server.parser.body)));
        snprintf(server.host, sizeof server.host, "%.*s",
                 SK_ARG(sk_http_header(&server.parser, "Host")));
        snprintf(server.header, sizeof server.header, "%.*s",
                 SK_ARG(sk_http_header(&server.parser, "X-Test")));
        snprintf(server.proxy, sizeof server.proxy, "%.*s",
                 SK_ARG(sk_http_header(&server.parser, "Proxy-Authorization")));
        const char *answer = server.answers[server.requests++];
        if (answer && *answer) sk_stream_write(stream, sk_span_z(answer));
        bool close = answer && (*answer == 0 || strstr(answer, "close"));
        if (!close) continue;
        server.stream = NULL;
        sk_stream_close(stream);
    }
}

static void server_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)arg, (void)reason;
    server.closed++;
    if (stream == server.stream) server.stream = NULL;
}

static const struct sk_stream_events server_events = {.on_data = server_data,
                                                      .on_close = server_close};

static void on_accept(void *arg, struct sk_stream *stream) {
    (void)arg;
    server.connections++;
    server.stream = stream;
    sk_http_parser_free(&server.parser);
    sk_http_parser_init(&server.parser, true);
    sk_stream_handle(stream, &server_events, NULL);
}

static void ask(struct call *call, enum sk_http_method method, const char *target, bool stream);

static void on_done(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct call *call = arg;
    call->done++;
    call->status = status;
    assert_int_equal(answer == NULL, status != SK_OK);
    if (answer) {
        call->code = answer->status;
        snprintf(call->body, sizeof call->body, "%.*s", SK_ARG(sk_buffer_span(&answer->body)));
    }
    if (call->again) {
        call->again = false;
        ask(call, SK_HTTP_GET, "/again", false);
    }
    if (call->free_when_done) {
        sk_http_client_free(client);
        client = NULL;
    }
}

static void on_body(void *arg, const struct sk_http_parser *answer, struct sk_span part) {
    struct call *call = arg;
    assert_int_equal(answer->status, 200);
    call->parts++;
    size_t n = strlen(call->streamed);
    snprintf(call->streamed + n, sizeof call->streamed - n, "%.*s", SK_ARG(part));
    if (call->cancel_in_part) sk_http_call_cancel(call->call);
    if (call->free_in_part) {
        sk_http_client_free(client);
        client = NULL;
    }
}

static void ask(struct call *call, enum sk_http_method method, const char *target, bool stream) {
    struct sk_http_pair header = {"X-Test", SK_SPAN("yes")};
    struct sk_http_ask what = {
        .method = method,
        .target = sk_span_z(target),
        .headers = &header,
        .header_count = 1,
        .body = method == SK_HTTP_PUT || method == SK_HTTP_POST ? SK_SPAN("body") : SK_NONE,
        .on_body = stream ? on_body : NULL,
        .answer_max = 20,
        .done = on_done,
        .arg = call};
    call->call = sk_http_client_send(client, &what);
}

#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static int set_up(void **state) {
    (void)state;
    sk_http_parser_free(&server.parser);
    memset(&server, 0, sizeof server);
    memset(calls, 0, sizeof calls);
    sim = sk_sim_new(&(struct sk_sim_options){.seed = 3});
    there = sk_sim_node(sim, "there");
    here = sk_sim_node(sim, "here");
    assert_int_equal(sk_listen(there, &(struct sk_endpoint){.host = "0.0.0.0", .port = 80}, NULL,
                               on_accept, NULL, &listener),
                     SK_OK);
    return sk_http_client_new(here,
                              &(struct sk_http_client_options){.to = {.host = "there", .port = 80}},
                              &client) != SK_OK;
}

static int tear_down(void **state) {
    (void)state;
    sk_http_client_free(client);
    client = NULL;
    sk_sim_run(sim, 10 * SK_S);
    if (server.stream) sk_stream_abort(server.stream);
    if (listener) sk_listener_close(listener);
    sk_sim_run(sim, 10 * SK_S);
    sk_sim_free(sim);
    sk_http_parser_free(&server.parser);
    return 0;
}

static void renew_client(struct sk_http_client_options how) {
    sk_http_client_free(client);
    assert_int_equal(sk_http_client_new(here, &how, &client), SK_OK);
}

static void run(uint64_t ns) {
    sk_sim_run(sim, ns);
}

AROUND(set_up, tear_down);

TEST(a_request_is_answered) {
    server.answers[0] = OK_ANSWER;
    ask(&calls[0], SK_HTTP_PUT, "/a?b=c", false);
    assert_int_equal(calls[0].done, 0);
    run(SK_S);
    assert_int_equal(calls[0].done, 1);
    assert_int_equal(calls[0].status, SK_OK);
    assert_int_equal(calls[0].code, 200);
    assert_string_equal(calls[0].body, "hi");
    assert_string_equal(server.seen[0], "PUT /a?b=c body");
    assert_string_equal(server.host, "there");
    assert_string_equal(server.header, "yes");
}

TEST(requests_queue_on_one_connection) {
    server.answers[0] = server.answers[1] = server.answers[2] = OK_ANSWER;
    ask(&calls[0], SK_HTTP_GET, "/1", false);
    ask(&calls[1], SK_HTTP_GET, "/2", false);
    ask(&calls[2], SK_HTTP_GET, "/3", false);
    run(SK_S);
    assert_int_equal(calls[2].done, 1);
    assert_int_equal(server.connections, 1);
    assert_string_equal(server.seen[2], "GET /3 ");
}

TEST(an_idle_connection_is_closed_after_a_while) {
    server.answers[0] = server.answers[1] = OK_ANSWER;
    ask(&calls[0], SK_HTTP_GET, "/1", false);
    run(9 * SK_S);
    assert_int_equal(server.closed, 0);
    run(2 * SK_S);
    assert_int_equal(server.closed, 1);
    ask(&calls[1], SK_HTTP_GET, "/2", false);
    run(SK_S);
    assert_int_equal(calls[1].status, SK_OK);
    assert_int_equal(server.connections, 2);
}

TEST(answers_end_as_they_say) {
    server.answers[0] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end";
    server.answers[1] = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"; /* of a HEAD request */
    server.answers[2] = "HTTP/1.1 204 No Content\r\n\r\n";
    ask(&calls[0], SK_HTTP_GET, "/1", false);
    ask(&calls[1], SK_HTTP_HEAD, "/2", false);
    ask(&calls[2], SK_HTTP_DELETE, "/3", false);
    run(SK_S);
    assert_string_equal(calls[0].body, "to the end");
    assert_int_equal(calls[1].code, 200);
    assert_int_equal(calls[2].code, 204);
    assert_int_equal(server.connections, 2);
}

TEST(an_answer_cut_off_is_no_answer) {
    server.answers[0] = "HTTP/1.1 200 OK\r\nX: close\r\nContent-Length: 5\r\n\r\nhi";
    ask(&calls[0], SK_HTTP_GET, "/1", false);
    run(SK_S);
    assert_int_equal(calls[0].done, 1);
    assert_int_equal(calls[0].status, SK_CLOSED);
}

TEST(a_stale_connection_is_replaced_for_what_may_be_repeated) {
    server.answers[0] = OK_ANSWER;
    server.answers[1] = "";
    server.answers[2] = OK_ANSWER;
    ask(&calls[0], SK_HTTP_GET, "/1", false);
    run(SK_S);
    ask(&calls[1], SK_HTTP_GET, "/2", false);
    run(SK_S);
    assert_int_equal(calls[1].status, SK_OK);
    assert_int_equal(server.connections, 2);
    assert_int_equal(server.requests, 3);

    server.answers[3] = "";
    ask(&calls[2], SK_HTTP_POST, "/3", false);
    run(SK_S);
    assert_int_equal(calls[2].status, SK_CLOSED);
    assert_int_equal(server.requests, 4);
}

TEST(a_server_that_hangs_up_twice_is_told) {
    server.answers[0] = OK_ANSWER;
    server.answers[1] = server.answers[2] = "";
    ask(&calls[0], SK_HTTP_GET, "/1", false);
    ask(&calls[1], SK_HTTP_GET, "/2", false);
    run(SK_S);
    assert_int_equal(calls[1].status, SK_CLOSED);
    assert_int_equal(server.requests, 3);
}

TEST(silence_times_out_and_the_next_request_goes_on) {
    server.answers[1] = OK_ANSWER;
    ask(&calls[0], SK_HTTP_GET, "/1", false);
    run(20 * SK_S);
    ask(&calls[1], SK_HTTP_GET, "/2", false);
    run(9 * SK_S);
    assert_int_equal(calls[0].done, 0);
    run(2 * SK_S);
    assert_int_equal(calls[0].status, SK_TIMEOUT);
    assert_int_equal(calls[1].status, SK_OK);
    assert_int_equal(calls[1].done, 1);
}

TEST(a_refused_connection_fails_all_that_wait) {
    sk_listener_close(listener);
    listener = NULL;
    calls[0].again = true;
    ask(&calls[0], SK_HTTP_GET, "/1", false);
    ask(&calls[1], SK_HTTP_GET, "/2", false);
    run(SK_S);
    assert_int_equal(calls[0].done, 2);
    assert_int_equal(calls[1].done, 1);
    assert_int_equal(calls[1].status, SK_REFUSED);
}

TEST(a_partition_ends_in_a_timeout) {
    sk_sim_partition(here, there, true);
    ask(&calls[0], SK_HTTP_GET, "/1", false);
    run(21 * SK_S);
    assert_int_equal(calls[0].status, SK_TIMEOUT);
}

TEST(answers_are_bounded) {
    server.answers[0] = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n01234567890123456789";
    server.answers[1] = "HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n012345678901234567890";
    ask(&calls[0], SK_HTTP_GET, "/1", false);
    ask(&calls[1], SK_HTTP_GET, "/2", false);
    run(SK_S);
    assert_int_equal(calls[0].status, SK_OK);
    assert_int_equal(calls[1].status, SK_TOO_LARGE);
}

TEST(nonsense_is_told) {
    server.answers[0] = "SSH-2.0-OpenSSH\r\n";
    server.answers[1] = OK_ANSWER "extra";
    ask(&calls[0], SK_HTTP_GET, "/1", false);
    ask(&calls[1], SK_HTTP_GET, "/2", false);
    run(SK_S);
    assert_int_equal(calls[0].status, SK_MALFORMED);
    /* What follows the answer costs the connection, not the call. */
    assert_int_equal(calls[1].status, SK_OK);
}

TEST(streams_are_handed_out_as_they_come_for_as_long_as_they_last) {
    server.answers[0] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
    ask(&calls[0], SK_HTTP_GET, "/1", true);
    run(SK_S);
    assert_string_equal(calls[0].streamed, "first");
    run(100 * SK_S);
    assert_int_equal(calls[0].done, 0);
    sk_stream_write(server.stream, SK_SPAN("6\r\nsecond\r\n0\r\n\r\n"));
    run(SK_S);
    assert_string_equal(calls[0].streamed, "firstsecond");
    assert_int_equal(calls[0].done, 1);
    assert_string_equal(calls[0].body, "");
    server.answers[1] =
        "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"; /* an error comes whole */
    calls[1].streamed[0] = 0;
    ask(&calls[1], SK_HTTP_GET, "/2", true);
    run(SK_S);
    assert_int_equal(calls[1].code, 404);
    assert_string_equal(calls[1].body, "none");
    assert_int_equal(calls[1].parts, 0);
}

TEST(calls_are_cancelled_waiting_and_under_way) {
    server.answers[0] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
    server.answers[1] = OK_ANSWER;
    calls[0].cancel_in_part = true;
    ask(&calls[0], SK_HTTP_GET, "/1", true);
    ask(&calls[1], SK_HTTP_GET, "/2", false);
    ask(&calls[2], SK_HTTP_GET, "/3", false);
    sk_http_call_cancel(calls[1].call);
    assert_int_equal(calls[1].status, SK_CLOSED);
    run(SK_S);
    assert_int_equal(calls[0].status, SK_CLOSED);
    assert_int_equal(calls[0].done, 1);
    assert_int_equal(calls[2].status, SK_OK);
    assert_string_equal(server.seen[1], "GET /3 ");
}

TEST(it_may_be_freed_in_its_callbacks) {
    server.answers[0] =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n5\r\nfirst\r\n";
    server.answers[1] = OK_ANSWER;
    calls[0].free_in_part = true;
    ask(&calls[0], SK_HTTP_GET, "/1", true);
    ask(&calls[1], SK_HTTP_GET, "/2", false);
    run(SK_S);
    assert_null(client);
    assert_int_equal(calls[0].done + calls[1].done, 2);
    assert_int_equal(calls[1].status, SK_CLOSED);
    assert_int_equal(
        sk_http_client_new(
            here, &(struct sk_http_client_options){.to = {.host = "there", .port = 80}}, &client),
        SK_OK);
    calls[2].free_when_done = true;
    ask(&calls[2], SK_HTTP_GET, "/3", false);
    run(SK_S);
    assert_null(client);
    assert_int_equal(calls[2].status, SK_OK);
}

TEST(plain_requests_go_through_a_proxy_with_absolute_targets) {
    server.answers[0] = OK_ANSWER;
    renew_client((struct sk_http_client_options){.to = {.host = "far.away", .port = 8080},
                                                 .proxy = "http://u:p%40@there:80/"});
    ask(&calls[0], SK_HTTP_GET, "/x", false);
    run(SK_S);
    assert_int_equal(calls[0].status, SK_OK);
    assert_string_equal(server.seen[0], "GET http://far.away:8080/x ");
    assert_string_equal(server.host, "far.away:8080");
    assert_string_equal(server.proxy, "Basic dTpwQA==");
}

TEST(tls_goes_through_a_tunnel) {
    char reason[256];
    struct sk_tls *tls;
    assert_int_equal(sk_tls_new(here, &(struct sk_tls_options){.insecure = true}, &tls, reason),
                     SK_OK);
    server.answers[0] = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    renew_client((struct sk_http_client_options){
        .to = {.host = "far.away", .port = 443}, .tls = tls, .proxy = "http://there:80"});
    ask(&calls[0], SK_HTTP_GET, "/x", false);
    run(SK_S);
    assert_string_equal(server.seen[0], "CONNECT far.away:443 ");
    assert_int_equal(calls[0].status, SK_REFUSED);
    sk_http_client_free(client);
    client = NULL;
    sk_tls_free(tls);
}

TEST(proxies_that_are_none_are_refused) {
    static const char *const bad[] = {"there:80",
                                      "http://there",
                                      "http://:80",
                                      "http://there:0",
                                      "http://there:x",
                                      "https://there:1",
                                      ""};
    struct sk_http_client *none;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(sk_http_client_new(here,
                                            &(struct sk_http_client_options){
                                                .to = {.host = "h", .port = 1}, .proxy = bad[i]},
                                            &none),
                         SK_MALFORMED);
}

TEST(unix_sockets_are_dialled) {
    struct sk_listener *local;
    assert_int_equal(sk_listen(here, &(struct sk_endpoint){.path = "/run/x.sock"}, NULL, on_accept,
                               NULL, &local),
                     SK_OK);
    server.answers[0] = OK_ANSWER;
    renew_client((struct sk_http_client_options){.to = {.path = "/run/x.sock"}});
    ask(&calls[0], SK_HTTP_GET, "/1", false);
    run(SK_S);
    assert_int_equal(calls[0].status, SK_OK);
    assert_string_equal(server.host, "localhost");
    sk_listener_close(local);
}
