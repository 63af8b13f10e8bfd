/* The hub role beside a daemon that is slower than it. */
#include <stdio.h>

#include "net/http_client.h"
#include "net/http_server.h"
#include "edge/hub/role.h"
#include "io/sim/sim.h"
#include "trust/x509.h"
#include "support/test.h"

struct fixture {
    struct sk_sim *sim;
    struct sk_io *edge_io, *hub_io;
    struct sk_http_listener *daemon, *cloud;
    struct sk_edge_hub_role_options options;
    struct sk_edge_hub_role *role;
    struct sk_tls *device_tls;
    bool knows_identity; /* the daemon may sign */
    unsigned signs, scopes, certificates;
    bool connected, stopped;
};

static const struct sk_endpoint listen_at = {.host = "0.0.0.0", .port = 8883};
static const struct sk_edge_hub_role_options options = {.data = "/hub",
                                                        .device_id = "edge1",
                                                        .hub_host_name = "hub.test",
                                                        .upstream = {.host = "hub.test"},
                                                        .host_name = "edge.test",
                                                        .upstream_trust_file = "/ca.pem",
                                                        .workload_uri = "unix:///workload.sock",
                                                        .listen = &listen_at,
                                                        .listen_count = 1};

static unsigned unspoken; /* of the next role */

/* ---- the daemon and the cloud, as far as the role asks them ---- */

static void make_certificate(struct sk_buffer *certificate, struct sk_buffer *key) {
    struct sk_x509_request request = {
        .use = SK_X509_SERVER, .common_name = SK_SPAN("edge.test"), .not_after_s = 4000000000};
    assert_int_equal(sk_x509_make(&request, certificate, key), SK_OK);
}

static void answer_certificate(struct sk_http_exchange *exchange) {
    struct sk_buffer certificate = {0}, key = {0}, json = {0};
    make_certificate(&certificate, &key);
    sk_buffer_text(&json, "{\"certificate\":");
    sk_json_string(&json, sk_buffer_span(&certificate));
    sk_buffer_text(&json, ",\"privateKey\":{\"type\":\"key\",\"bytes\":");
    sk_json_string(&json, sk_buffer_span(&key));
    sk_buffer_text(&json, "},\"expiration\":\"2027-01-01T00:00:00Z\"}");
    sk_http_respond_json(exchange, 201, sk_buffer_span(&json));
    sk_buffer_free(&certificate);
    sk_buffer_free(&key);
    sk_buffer_free(&json);
}

static void daemon_handle(void *arg, struct sk_http_exchange *exchange) {
    struct fixture *f = arg;
    if (sk_span_ends(exchange->request->path, SK_SPAN("/certificate/server"))) {
        f->certificates++;
        answer_certificate(exchange);
        return;
    }
    if (sk_span_ends(exchange->request->path, SK_SPAN("/trust-bundle"))) {
        sk_http_respond_json(exchange, 200, SK_SPAN("{\"certificate\":\"\"}"));
        return;
    }
    assert_true(sk_span_ends(exchange->request->path, SK_SPAN("/sign")));
    f->signs++;
    if (f->knows_identity)
        sk_http_respond_json(exchange, 200, SK_SPAN("{\"digest\":\"AAAA\"}"));
    else
        sk_http_respond_json(exchange, 404, SK_SPAN("{\"message\":\"not known yet\"}"));
}

static void cloud_handle(void *arg, struct sk_http_exchange *exchange) {
    ((struct fixture *)arg)->scopes++;
    sk_http_respond_json(exchange, 200,
                         SK_SPAN("{\"devices\":[],\"modules\":[],\"continuationLink\":null}"));
}

static struct sk_http_service daemon_service = {.handler = daemon_handle, .body_max = 65536};
static struct sk_http_service cloud_service = {.handler = cloud_handle, .body_max = 65536};

static void start_daemon(struct fixture *f) {
    daemon_service.arg = f;
    assert_int_equal(sk_http_listen(f->edge_io, &(struct sk_endpoint){.path = "/workload.sock"},
                                    NULL, &daemon_service, &f->daemon, NULL),
                     SK_OK);
}

/* ---- the world ---- */

static struct fixture *fixture_new(void) {
    struct fixture *f = SK_NEW(struct fixture);
    struct sk_buffer certificate = {0}, key = {0};
    struct sk_tls *tls;
    char reason[512];
    f->sim = sk_sim_new(&(struct sk_sim_options){.seed = 5});
    f->edge_io = sk_sim_node(f->sim, "edge.test");
    f->hub_io = sk_sim_node(f->sim, "hub.test");
    make_certificate(&certificate, &key);
    assert_int_equal(
        sk_tls_new(f->hub_io,
                   &(struct sk_tls_options){.server = true,
                                            .certificate_pem = sk_buffer_span(&certificate),
                                            .key_pem = sk_buffer_span(&key)},
                   &tls, reason),
        SK_OK);
    assert_int_equal(sk_tls_new(f->hub_io,
                                &(struct sk_tls_options){.trust_pem = sk_buffer_span(&certificate)},
                                &f->device_tls, reason),
                     SK_OK);
    cloud_service.arg = f;
    assert_int_equal(sk_http_listen(f->hub_io,
                                    &(struct sk_endpoint){.host = "0.0.0.0", .port = 443}, tls,
                                    &cloud_service, &f->cloud, NULL),
                     SK_OK);
    sk_tls_free(tls);
    assert_int_equal(sk_file_save(f->edge_io, "/ca.pem", sk_buffer_span(&certificate), 0644),
                     SK_OK);
    sk_buffer_free(&certificate);
    sk_buffer_free(&key);
    f->options = options;
    f->options.unspoken = unspoken;
    enum sk_status status = sk_edge_hub_role_start(f->edge_io, &f->options, &f->role, reason);
    if (status) fail_msg("%s", reason);
    return f;
}

static void on_stopped(void *arg) {
    ((struct fixture *)arg)->stopped = true;
}

static bool is_stopped(void *arg) {
    return ((struct fixture *)arg)->stopped;
}

static void fixture_free(struct fixture *f) {
    sk_edge_hub_role_stop(f->role, on_stopped, f);
    assert_true(sk_sim_run_until(f->sim, 10 * SK_S, is_stopped, f));
    if (f->daemon) sk_http_listener_close(f->daemon);
    sk_http_listener_close(f->cloud);
    sk_sim_run(f->sim, 10 * SK_S);
    sk_tls_free(f->device_tls);
    sk_sim_free(f->sim);
    free(f);
}

static void on_probe_open(struct sk_stream *stream, void *arg) {
    ((struct fixture *)arg)->connected = true;
    sk_stream_abort(stream);
}

static void on_probe_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    (void)stream, (void)arg, (void)bytes;
}

static void on_probe_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream, (void)arg, (void)reason;
}

/* Whether a device could connect now. */
static bool serves(struct fixture *f) {
    static const struct sk_stream_events events = {
        .on_open = on_probe_open, .on_data = on_probe_data, .on_close = on_probe_close};
    f->connected = false;
    sk_connect(f->hub_io, &(struct sk_endpoint){.host = "edge.test", .port = 8883}, f->device_tls,
               NULL, &events, f);
    sk_sim_run(f->sim, 20 * SK_MS);
    return f->connected;
}

/* ---- tests ---- */

/* The certificate ends on 2027-01-01. */
TEST(a_jump_of_the_clock_renews_the_certificate_within_a_minute) {
    static const int64_t jumps_days[] = {300, 400, -400, -2};
    for (size_t i = 0; i < sizeof jumps_days / sizeof *jumps_days; i++) {
        struct fixture *f = fixture_new();
        start_daemon(f);
        sk_sim_run(f->sim, 3600 * SK_S);
        assert_int_equal(f->certificates, 1);
        sk_sim_clock_jump(f->edge_io, jumps_days[i] * 86400 * 1000000);
        sk_sim_run(f->sim, 61 * SK_S);
        assert_true(f->certificates > 1);
        assert_true(serves(f));
        fixture_free(f);
    }
}

TEST(a_role_that_is_there_before_its_daemon_serves_soon_after_it) {
    struct fixture *f = fixture_new();
    sk_sim_run(f->sim, 200 * SK_MS);
    assert_false(serves(f));
    start_daemon(f);
    sk_sim_run(f->sim, 60 * SK_MS);
    assert_true(serves(f));
    fixture_free(f);
}

TEST(a_token_is_asked_for_again_until_the_daemon_knows_the_identity) {
    struct fixture *f = fixture_new();
    start_daemon(f);
    sk_sim_run(f->sim, 200 * SK_MS);
    assert_true(f->signs > 3);
    assert_int_equal(f->scopes, 0);
    f->knows_identity = true;
    sk_sim_run(f->sim, 60 * SK_MS);
    assert_int_equal(f->scopes, 1);
    fixture_free(f);
}

TEST(asking_again_gives_way_to_slower_tries) {
    struct fixture *f = fixture_new();
    start_daemon(f);
    sk_sim_run(f->sim, 60 * SK_S);
    unsigned before = f->signs;
    sk_sim_run(f->sim, 600 * SK_S);
    /* Fifty quick tries each time that the upstream connection or the scope wants a token. */
    assert_true(f->signs - before < 600 / 10 * 2 * 50);
    fixture_free(f);
}

static void count_closed(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream, (void)reason;
    ++*(unsigned *)arg;
}

static void say_hello(struct sk_stream *stream, void *arg) {
    (void)arg;
    sk_buffer_text(sk_stream_output(stream), "GET /devices HTTP/1.1\r\nHost: edge.test\r\n\r\n");
    sk_stream_flush(stream);
}

TEST(a_protocol_that_is_turned_off_is_not_spoken) {
    static const struct sk_stream_events hello = {
        .on_open = say_hello, .on_data = on_probe_data, .on_close = count_closed};
    for (unsigned off = 0; off < 2; off++) {
        unsigned closed = 0;
        unspoken = off ? SK_GATEWAY_HTTPS : 0;
        struct fixture *f = fixture_new();
        start_daemon(f);
        sk_sim_run(f->sim, SK_S);
        struct sk_stream *stream =
            sk_connect(f->hub_io, &(struct sk_endpoint){.host = "edge.test", .port = 8883},
                       f->device_tls, NULL, &hello, &closed);
        sk_sim_run(f->sim, 2 * SK_S);
        assert_int_equal(closed, off);
        if (!off) sk_stream_abort(stream);
        fixture_free(f);
    }
    unspoken = 0;
}

TEST(a_role_without_a_daemon_stops) {
    struct fixture *f = fixture_new();
    sk_sim_run(f->sim, 100 * SK_MS);
    fixture_free(f); /* asserts that it comes to its end */
}

static void keep_answer(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    char **text = arg;
    *text = sk_span_dup(status ? sk_span_z(sk_status_text(status)) : sk_buffer_span(&answer->body));
}

/* What the socket for people says; the caller frees it. */
static char *ask_locally(struct fixture *f, enum sk_http_method method, const char *target,
                         const char *body) {
    struct sk_http_client *client;
    char *text = NULL;
    assert_int_equal(
        sk_http_client_new(f->edge_io,
                           &(struct sk_http_client_options){.to = {.path = "/hub/status.sock"},
                                                            .host_header = "local"},
                           &client),
        SK_OK);
    sk_http_client_send(client, &(struct sk_http_ask){.method = method,
                                                      .target = sk_span_z(target),
                                                      .body = sk_span_z(body),
                                                      .done = keep_answer,
                                                      .arg = &text});
    sk_sim_run(f->sim, SK_S);
    sk_http_client_free(client);
    assert_non_null(text);
    return text;
}

TEST(people_on_the_machine_ask_the_edge_hub_how_it_stands) {
    struct fixture *f = fixture_new();
    char *text = ask_locally(f, SK_HTTP_GET, "/status", "");
    json_t *status = json_loads(text, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(status, "deviceId")), "edge1");
    json_t *queue = json_array_get(json_object_get(status, "queues"), 0);
    assert_string_equal(json_string_value(json_object_get(queue, "endpoint")), "$upstream");
    assert_int_equal(json_integer_value(json_object_get(queue, "depth")), 0);
    json_decref(status);
    free(text);
    fixture_free(f);
}

TEST(a_question_about_routes_that_makes_no_sense_is_refused_with_the_mend) {
    static const char *const questions[][2] = {
        {"[]", "the body must be a JSON object"},
        {"{}", "\"device\", the sender, is missing"},
        {"{\"device\":\"d\",\"properties\":{\"n\":1}}",
         "the application property n must be a text"},
        {"{\"device\":\"d\",\"systemProperties\":{\"shoe\":\"1\"}}",
         "there is no system property shoe with such a value"}};
    struct fixture *f = fixture_new();
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        char *text = ask_locally(f, SK_HTTP_POST, "/routes/explain", questions[i][0]);
        json_t *answer = json_loads(text, 0, NULL);
        assert_string_equal(json_string_value(json_object_get(answer, "message")), questions[i][1]);
        json_decref(answer);
        free(text);
    }
    fixture_free(f);
}

static size_t closed_ports(struct fixture *f) {
    char *text = ask_locally(f, SK_HTTP_GET, "/status", "");
    json_t *status = json_loads(text, 0, NULL);
    size_t count = json_array_size(json_object_get(status, "closedPorts"));
    json_decref(status);
    free(text);
    return count;
}

static void refuse_stream(void *arg, struct sk_stream *stream) {
    (void)arg;
    sk_stream_abort(stream);
}

TEST(a_port_that_another_program_has_is_told_and_taken_when_it_is_free) {
    struct fixture *f = fixture_new();
    struct sk_listener *other;
    assert_int_equal(sk_listen(f->edge_io, &listen_at, NULL, refuse_stream, NULL, &other), SK_OK);
    start_daemon(f);
    sk_sim_run(f->sim, SK_S);
    assert_int_equal(closed_ports(f), 1);
    sk_listener_close(other);
    sk_sim_run(f->sim, 10 * SK_S);
    assert_int_equal(closed_ports(f), 0);
    assert_true(serves(f));
    fixture_free(f);
}
