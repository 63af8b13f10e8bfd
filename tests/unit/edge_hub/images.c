/* Images for an edge below: a child's engine, this edge's gateway and a registry, in the simulated
 * world. */
#include <stdio.h>

#include "edge/hub/images.h"
#include "gateway/gateway.h"
#include "io/sim/sim.h"
#include "net/http_client.h"
#include "support/test.h"

enum { BLOB = 8 << 20, PART = 64 << 10 };

static struct sk_sim *sim;
static struct sk_io *registry_io, *edge_io, *child_io;
static struct sk_gateway *gateway;
static struct edge_images *images;
static struct {
    struct sk_http_listener *listener;
    struct sk_http_exchange *exchange; /* whose blob is being sent */
    size_t sent;
    size_t stops_at;      /* says nothing more from there on; 0: goes on */
    bool breaks_off;      /* ends there instead */
    unsigned asked, left; /* left: whoever asked has gone before the answer */
    int status;           /* of every answer; 0: as it should be */
    char seen[512];       /* of the last request */
} registry;

/* ---- the registry ---- */

static void send_blob(struct sk_http_exchange *exchange) {
    static char part[PART];
    bool room = true;
    while (room && registry.sent < BLOB) {
        if (registry.stops_at && registry.sent >= registry.stops_at) {
            if (registry.breaks_off) sk_http_respond_cut(exchange);
            if (registry.breaks_off) registry.exchange = NULL;
            return;
        }
        memset(part, (int)(registry.sent / PART), sizeof part);
        registry.sent += PART;
        room = sk_http_respond_part(exchange, sk_span(part, PART));
    }
    if (registry.sent < BLOB) return;
    registry.exchange = NULL;
    sk_http_respond_end(exchange);
}

static void blob_gone(struct sk_http_exchange *exchange) {
    registry.exchange = NULL;
    sk_http_respond_end(exchange);
}

static void begin_blob(struct sk_http_exchange *exchange) {
    registry.exchange = exchange;
    registry.sent = 0;
    exchange->drained = send_blob;
    exchange->gone = blob_gone;
    sk_http_respond_start_sized(exchange, 200, SK_SPAN("Docker-Content-Digest: sha256:00\r\n"),
                                BLOB);
    send_blob(exchange);
}

static void note(struct sk_http_exchange *exchange) {
    struct sk_span name, value;
    size_t n = (size_t)snprintf(registry.seen, sizeof registry.seen, "%.*s;",
                                SK_ARG(exchange->request->target));
    for (unsigned i = 0; sk_http_header_at(exchange->request, i, &name, &value); i++)
        n += (size_t)snprintf(registry.seen + n, sizeof registry.seen - n, "%.*s=%.*s;",
                              SK_ARG(name), SK_ARG(value));
    registry.asked++;
}

static void wait_gone(struct sk_http_exchange *exchange) {
    registry.left++;
    sk_http_respond(exchange, 204, SK_NONE, SK_NONE);
}

static void registry_handle(void *arg, struct sk_http_exchange *exchange) {
    struct sk_span path = exchange->request->path;
    (void)arg;
    note(exchange);
    if (registry.status)
        sk_http_respond(exchange, (unsigned)registry.status, SK_NONE, SK_NONE);
    else if (sk_span_is(path, "/v2/"))
        sk_http_respond(exchange, 401, SK_SPAN("WWW-Authenticate: Basic realm=\"r\"\r\n"),
                        SK_SPAN("{\"errors\":[]}"));
    else if (sk_span_ends(path, SK_SPAN("/manifests/1")))
        sk_http_respond(exchange, 200,
                        SK_SPAN("Content-Type: application/vnd.oci+json\r\n"
                                "Docker-Content-Digest: sha256:11\r\n"),
                        SK_SPAN("{\"layers\":[]}"));
    else if (sk_span_ends(path, SK_SPAN("/moved")))
        sk_http_respond(exchange, 307, SK_SPAN("Location: https://cdn.example/x\r\n"), SK_NONE);
    else if (sk_span_ends(path, SK_SPAN("/blobs/b")))
        begin_blob(exchange);
    else
        exchange->gone = wait_gone; /* till then it waits */
}

/* ---- the child ---- */

struct pull {
    struct sk_http_client *client;
    struct sk_http_call *call;
    bool pauses; /* reads nothing more after its first part */
    bool done, wrong;
    enum sk_status status;
    unsigned code;
    size_t got;
    char body[256], digest[32], length[32];
};

static void on_part(void *arg, const struct sk_http_parser *answer, struct sk_span part) {
    struct pull *pull = arg;
    (void)answer;
    for (size_t i = 0; i < part.n; i++)
        pull->wrong |= (unsigned char)part.p[i] != (unsigned char)((pull->got + i) / PART);
    pull->got += part.n;
    if (pull->pauses) sk_http_call_pause(pull->call, true);
}

static void on_done(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct pull *pull = arg;
    pull->done = true;
    pull->status = status;
    if (answer == NULL) return;
    pull->code = answer->status;
    snprintf(pull->body, sizeof pull->body, "%.*s", SK_ARG(sk_buffer_span(&answer->body)));
    snprintf(pull->digest, sizeof pull->digest, "%.*s",
             SK_ARG(sk_http_header(answer, "Docker-Content-Digest")));
    snprintf(pull->length, sizeof pull->length, "%.*s",
             SK_ARG(sk_http_header(answer, "Content-Length")));
}

static void begin_pull(struct pull *pull, enum sk_http_method method, const char *target) {
    static const struct sk_http_pair headers[] = {{"Authorization", {"Basic cHU=", 10}},
                                                  {"Accept", {"a/1", 3}},
                                                  {"Accept", {"a/2", 3}},
                                                  {"TE", {"trailers", 8}}};
    struct sk_endpoint to = {.host = "edge", .port = 443};
    sk_http_client_new(child_io, &(struct sk_http_client_options){.to = to}, &pull->client);
    bool blob = strstr(target, "/blobs/") != NULL;
    pull->call =
        sk_http_client_send(pull->client, &(struct sk_http_ask){.method = method,
                                                                .target = sk_span_z(target),
                                                                .headers = headers,
                                                                .header_count = 4,
                                                                .timeout_ms = 300000,
                                                                .on_body = blob ? on_part : NULL,
                                                                .done = on_done,
                                                                .arg = pull});
}

static struct pull pulled(enum sk_http_method method, const char *target) {
    struct pull pull = {0};
    begin_pull(&pull, method, target);
    sk_sim_run(sim, 90 * SK_S);
    assert_true(pull.done);
    sk_http_client_free(pull.client);
    return pull;
}

/* ---- the world ---- */

static void open_edge(const char *url) {
    images = edge_images_new(edge_io, url, NULL);
    gateway = sk_gateway_new(edge_io);
    sk_gateway_pass(gateway, SK_SPAN(EDGE_IMAGES_PATH), edge_images_serve, images);
    struct sk_endpoint at = {.host = "0.0.0.0", .port = 443};
    assert_int_equal(sk_gateway_listen(gateway, &at, NULL, NULL), SK_OK);
}

static void on_freed(void *arg) {
    *(bool *)arg = true;
}

static void close_edge(void) {
    bool freed = false;
    sk_gateway_close(gateway, on_freed, &freed);
    sk_sim_run(sim, 10 * SK_S);
    assert_true(freed);
    edge_images_free(images);
}

static int start(void **state) {
    static const struct sk_http_service service = {.handler = registry_handle};
    struct sk_endpoint at = {.host = "0.0.0.0", .port = 5000};
    (void)state;
    sim = sk_sim_new(&(struct sk_sim_options){.seed = 5});
    registry_io = sk_sim_node(sim, "registry");
    edge_io = sk_sim_node(sim, "edge");
    child_io = sk_sim_node(sim, "child");
    memset(&registry, 0, sizeof registry);
    assert_int_equal(sk_http_listen(registry_io, &at, NULL, &service, &registry.listener, NULL),
                     SK_OK);
    open_edge("http://registry:5000");
    return 0;
}

static int end(void **state) {
    (void)state;
    close_edge();
    sk_http_listener_close(registry.listener);
    sk_sim_run(sim, 10 * SK_S);
    sk_sim_free(sim);
    return 0;
}

AROUND(start, end);

/* ---- stories ---- */

TEST(questions_and_answers_pass_with_their_headers) {
    struct pull pull = pulled(SK_HTTP_GET, "/v2/a/manifests/1?ns=x");
    assert_int_equal(pull.code, 200);
    assert_string_equal(pull.body, "{\"layers\":[]}");
    assert_string_equal(pull.digest, "sha256:11");
    assert_non_null(strstr(registry.seen, "/v2/a/manifests/1?ns=x;"));
    assert_non_null(strstr(registry.seen, ";Authorization=Basic cHU=;"));
    assert_non_null(strstr(registry.seen, ";Accept=a/1;Accept=a/2;"));
    assert_non_null(strstr(registry.seen, ";Host=registry:5000;"));
    assert_null(strstr(registry.seen, "TE="));
    assert_int_equal(pulled(SK_HTTP_GET, "/v2/").code, 401);
    assert_int_equal(pulled(SK_HTTP_GET, "/v2/a/moved").code, 307);
}

TEST(what_only_asks_for_the_head_gets_the_length_of_the_whole) {
    struct pull pull = pulled(SK_HTTP_HEAD, "/v2/a/manifests/1");
    assert_int_equal(pull.code, 200);
    assert_string_equal(pull.length, "13");
    assert_string_equal(pull.digest, "sha256:11");
    assert_string_equal(pull.body, "");
}

TEST(a_child_that_goes_before_the_answer_ends_its_question) {
    struct pull pull = {0};
    begin_pull(&pull, SK_HTTP_GET, "/v2/a/never");
    sk_sim_run(sim, SK_S);
    assert_int_equal(registry.left, 0);
    sk_http_client_free(pull.client);
    sk_sim_run(sim, 5 * SK_S);
    assert_int_equal(registry.left, 1);
}

TEST(a_registry_that_answers_what_is_no_answer_is_told_so) {
    static const int statuses[] = {101, 600, 999};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        registry.status = statuses[i];
        assert_int_equal(pulled(SK_HTTP_GET, "/v2/a/manifests/1").code, 502);
        assert_int_equal(pulled(SK_HTTP_HEAD, "/v2/a/manifests/1").code, 502);
    }
    registry.status = 599;
    assert_int_equal(pulled(SK_HTTP_GET, "/v2/a/manifests/1").code, 599);
}

TEST(a_layer_passes_no_faster_than_it_is_read) {
    struct pull pull = {.pauses = true};
    begin_pull(&pull, SK_HTTP_GET, "/v2/a/blobs/b");
    sk_sim_run(sim, 20 * SK_S);
    assert_false(pull.done);
    assert_in_range(registry.sent, PART, BLOB / 4);
    pull.pauses = false;
    sk_http_call_pause(pull.call, false);
    sk_sim_run(sim, 60 * SK_S);
    assert_true(pull.done);
    assert_int_equal(pull.status, SK_OK);
    assert_int_equal(pull.got, BLOB);
    assert_false(pull.wrong);
    sk_http_client_free(pull.client);
}

TEST(a_child_that_reads_nothing_for_a_minute_or_goes_ends_its_layer) {
    for (int goes = 0; goes < 2; goes++) {
        struct pull pull = {.pauses = true};
        begin_pull(&pull, SK_HTTP_GET, "/v2/a/blobs/b");
        sk_sim_run(sim, 20 * SK_S);
        assert_non_null(registry.exchange);
        if (goes) sk_http_client_free(pull.client);
        sk_sim_run(sim, (EDGE_IMAGES_SILENCE_S + 5) * SK_S);
        assert_null(registry.exchange);
        if (!goes) sk_http_client_free(pull.client);
    }
}

TEST(a_layer_that_is_not_whole_does_not_look_like_one) {
    registry.stops_at = 5 * PART;
    for (int breaks = 0; breaks < 2; breaks++) {
        registry.breaks_off = breaks;
        struct pull pull = pulled(SK_HTTP_GET, "/v2/a/blobs/b");
        assert_int_not_equal(pull.status, SK_OK);
        assert_in_range(pull.got, breaks ? 0 : 5 * PART, 5 * PART);
    }
}

TEST(so_many_pass_at_once_and_one_more_is_asked_to_come_again) {
    static struct pull pulls[EDGE_IMAGES_AT_ONCE + 1];
    memset(pulls, 0, sizeof pulls);
    for (size_t i = 0; i < EDGE_IMAGES_AT_ONCE; i++)
        begin_pull(&pulls[i], SK_HTTP_GET, "/v2/a/waits");
    sk_sim_run(sim, SK_S);
    assert_int_equal(registry.asked, EDGE_IMAGES_AT_ONCE);
    begin_pull(&pulls[EDGE_IMAGES_AT_ONCE], SK_HTTP_GET, "/v2/a/waits");
    sk_sim_run(sim, SK_S);
    assert_int_equal(pulls[EDGE_IMAGES_AT_ONCE].code, 429);
    assert_false(pulls[0].done);
    sk_sim_run(sim, EDGE_IMAGES_SILENCE_S * SK_S);
    for (size_t i = 0; i < EDGE_IMAGES_AT_ONCE; i++) assert_int_equal(pulls[i].code, 504);
    for (size_t i = 0; i <= EDGE_IMAGES_AT_ONCE; i++) sk_http_client_free(pulls[i].client);
    assert_int_equal(pulled(SK_HTTP_GET, "/v2/a/manifests/1").code, 200);
}

TEST(what_is_no_reading_or_no_image_is_refused_in_a_sentence) {
    assert_int_equal(pulled(SK_HTTP_DELETE, "/v2/a/manifests/1").code, 405);
    struct pull put = pulled(SK_HTTP_PUT, "/v2/a/manifests/1");
    assert_int_equal(put.code, 405);
    assert_non_null(strstr(put.body, "\"code\":\"UNSUPPORTED\""));
    assert_int_equal(registry.asked, 0);
    assert_null(
        strstr(pulled(SK_HTTP_GET, "/v22/a").body, "\"errors\"")); /* the gateway's matter */
    assert_int_equal(registry.asked, 0);
    sk_http_listener_close(registry.listener);
    registry.listener = NULL;
    assert_int_equal(pulled(SK_HTTP_GET, "/v2/a/manifests/1").code, 502);
}

TEST(an_edge_that_passes_no_images_on_says_so) {
    close_edge();
    open_edge(NULL);
    struct pull pull = pulled(SK_HTTP_GET, "/v2/a/manifests/1");
    assert_int_equal(pull.code, 404);
    assert_non_null(strstr(pull.body, "[skerry] image_registry"));
}
