/* The two clients on the real loop: TLS with real certificates, a proxy's tunnel, unix sockets. */
#include <stdio.h>
#include <unistd.h>

#include "device/client.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "wire/mqtt.h"
#include "trust/x509.h"
#include "support/test.h"

static struct sk_io *io;
static struct sk_tls *server_tls, *client_tls, *stranger_tls;

/* --- certificates --- */

static void make_certificates(void) {
    struct sk_buffer ca = {0}, ca_key = {0}, leaf = {0}, leaf_key = {0}, other = {0},
                     other_key = {0};
    int64_t now_s = sk_io_wall(io) / 1000000;
    struct sk_x509_request request = {.use = SK_X509_CA,
                                      .common_name = SK_SPAN("test CA"),
                                      .path_length = -1,
                                      .not_before_s = now_s - 3600,
                                      .not_after_s = now_s + 3600};
    assert_int_equal(sk_x509_make(&request, &ca, &ca_key), SK_OK);
    assert_int_equal(sk_x509_make(&request, &other, &other_key), SK_OK);
    struct sk_span name = SK_SPAN("localhost");
    request.use = SK_X509_SERVER;
    request.common_name = name;
    request.names = &name;
    request.name_count = 1;
    request.issuer_certificate_pem = sk_buffer_span(&ca);
    request.issuer_key_pem = sk_buffer_span(&ca_key);
    assert_int_equal(sk_x509_make(&request, &leaf, &leaf_key), SK_OK);
    char reason[256];
    assert_int_equal(sk_tls_new(io,
                                &(struct sk_tls_options){.certificate_pem = sk_buffer_span(&leaf),
                                                         .key_pem = sk_buffer_span(&leaf_key),
                                                         .server = true},
                                &server_tls, reason),
                     SK_OK);
    assert_int_equal(sk_tls_new(io, &(struct sk_tls_options){.trust_pem = sk_buffer_span(&ca)},
                                &client_tls, reason),
                     SK_OK);
    assert_int_equal(sk_tls_new(io, &(struct sk_tls_options){.trust_pem = sk_buffer_span(&other)},
                                &stranger_tls, reason),
                     SK_OK);
    struct sk_buffer *all[] = {&ca, &ca_key, &leaf, &leaf_key, &other, &other_key};
    for (size_t i = 0; i < 6; i++) sk_buffer_free(all[i]);
}

/* --- an HTTP server --- */

static struct sk_http_listener *listener;
static uint16_t port;

static void answer(void *arg, struct sk_http_exchange *exchange) {
    (void)arg;
    struct sk_buffer text = {0};
    sk_buffer_print(&text, "you asked for %.*s", SK_ARG(exchange->request->path));
    sk_http_respond(exchange, 200, SK_NONE, sk_buffer_span(&text));
    sk_buffer_free(&text);
}

static const struct sk_http_service service = {.handler = answer, .body_max = 1000};

static void listen_at(struct sk_endpoint at, struct sk_tls *tls) {
    assert_int_equal(sk_http_listen(io, &at, tls, &service, &listener, &port), SK_OK);
}

/* --- a proxy: after "CONNECT" it only carries bytes --- */

static struct {
    struct sk_listener *listener;
    struct sk_stream *client, *server;
    struct sk_buffer head;
    bool open;
    unsigned tunnels;
} proxy;

static void relay(struct sk_stream *stream, void *arg, struct sk_span bytes);

static void proxy_open(struct sk_stream *stream, void *arg) {
    (void)stream, (void)arg;
    proxy.open = true;
    proxy.tunnels++;
    sk_stream_write(proxy.client, SK_SPAN("HTTP/1.1 200 Connection established\r\n\r\n"));
}

static void proxy_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)arg, (void)reason;
    if (stream == proxy.client) proxy.client = NULL;
    if (stream == proxy.server) proxy.server = NULL;
    if (proxy.client) sk_stream_close(proxy.client);
    if (proxy.server) sk_stream_close(proxy.server);
}

static const struct sk_stream_events proxy_events = {
    .on_open = proxy_open, .on_data = relay, .on_close = proxy_close};

static void relay(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    (void)arg;
    if (proxy.open) {
        struct sk_stream *to = stream == proxy.client ? proxy.server : proxy.client;
        if (to) sk_stream_write(to, bytes);
        return;
    }
    sk_buffer_append(&proxy.head, bytes);
    if (proxy.server || !sk_span_ends(sk_buffer_span(&proxy.head), SK_SPAN("\r\n\r\n"))) return;
    assert_true(sk_span_starts(sk_buffer_span(&proxy.head), SK_SPAN("CONNECT localhost:")));
    proxy.server = sk_connect(io, &(struct sk_endpoint){.host = "127.0.0.1", .port = port}, NULL,
                              NULL, &proxy_events, NULL);
}

static void proxy_accept(void *arg, struct sk_stream *stream) {
    (void)arg;
    proxy.client = stream;
    sk_stream_handle(stream, &proxy_events, NULL);
}

/* --- an MQTT server that says yes to everything --- */

static struct sk_buffer mqtt_in;
static struct sk_listener *mqtt_listener;

static void mqtt_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    (void)arg;
    sk_buffer_append(&mqtt_in, bytes);
    struct sk_mqtt_packet packet;
    size_t used;
    while (sk_mqtt_decode(sk_buffer_span(&mqtt_in), 100000, &packet, &used) == SK_OK) {
        struct sk_buffer *out = sk_stream_output(stream);
        if (packet.type == SK_MQTT_CONNECT) sk_mqtt_put_connack(out, false, 0);
        if (packet.type == SK_MQTT_SUBSCRIBE)
            sk_mqtt_put_suback(out, packet.u.subscribe.id, SK_SPAN("\0"));
        if (packet.type == SK_MQTT_PUBLISH)
            sk_mqtt_put_ack(out, SK_MQTT_PUBACK, packet.u.publish.id);
        sk_stream_flush(stream);
        sk_buffer_consume(&mqtt_in, used);
    }
}

static void mqtt_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream, (void)arg, (void)reason;
}

static const struct sk_stream_events mqtt_events = {.on_data = mqtt_data, .on_close = mqtt_close};

static void mqtt_accept(void *arg, struct sk_stream *stream) {
    (void)arg;
    sk_stream_handle(stream, &mqtt_events, NULL);
}

/* --- running --- */

static struct sk_timer limit;
static bool timed_out;

static void on_limit(struct sk_timer *timer) {
    (void)timer;
    timed_out = true;
    sk_io_stop(io);
}

/* Runs until sk_io_stop; the limit only ends a test that has failed. */
static void run(void) {
    timed_out = false;
    sk_timer_start(io, &limit, 20 * SK_S, on_limit);
    sk_io_run(io);
    sk_timer_stop(&limit);
    assert_false(timed_out);
}

static enum sk_status got;
static char text[200];

static void on_done(void *arg, enum sk_status status, const struct sk_http_parser *parser) {
    (void)arg;
    got = status;
    text[0] = 0;
    if (parser)
        snprintf(text, sizeof text, "%u %.*s", parser->status,
                 SK_ARG(sk_buffer_span(&parser->body)));
    sk_io_stop(io);
}

static enum sk_status get(struct sk_http_client_options how) {
    struct sk_http_client *client;
    assert_int_equal(sk_http_client_new(io, &how, &client), SK_OK);
    for (int i = 0; i < 2; i++) { /* the second over the kept connection */
        sk_http_client_send(client,
                            &(struct sk_http_ask){.target = SK_SPAN("/it"), .done = on_done});
        run();
        if (got) break;
    }
    sk_http_client_free(client);
    return got;
}

static int set_up(void **state) {
    (void)state;
    io = sk_io_uv_new();
    make_certificates();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    if (listener) sk_http_listener_close(listener);
    if (proxy.listener) sk_listener_close(proxy.listener);
    if (mqtt_listener) sk_listener_close(mqtt_listener);
    listener = NULL;
    proxy.listener = mqtt_listener = NULL;
    sk_tls_free(server_tls);
    sk_tls_free(client_tls);
    sk_tls_free(stranger_tls);
    sk_io_run(io); /* until the last stream is gone */
    sk_io_free(io);
    sk_buffer_free(&proxy.head);
    sk_buffer_free(&mqtt_in);
    return 0;
}

AROUND(set_up, tear_down);

TEST(https_is_spoken_with_a_server_that_is_trusted) {
    listen_at((struct sk_endpoint){.host = "127.0.0.1"}, server_tls);
    struct sk_http_client_options how = {
        .to = {.host = "127.0.0.1", .port = port}, .server_name = "localhost", .tls = client_tls};
    assert_int_equal(get(how), SK_OK);
    assert_string_equal(text, "200 you asked for /it");
    how.server_name = "elsewhere";
    assert_int_equal(get(how), SK_UNAUTHORIZED);
    how.server_name = "localhost";
    how.tls = stranger_tls;
    assert_int_equal(get(how), SK_UNAUTHORIZED);
}

TEST(https_goes_through_a_proxy) {
    listen_at((struct sk_endpoint){.host = "127.0.0.1"}, server_tls);
    assert_int_equal(sk_listen(io, &(struct sk_endpoint){.host = "127.0.0.1"}, NULL, proxy_accept,
                               NULL, &proxy.listener),
                     SK_OK);
    char url[50];
    snprintf(url, sizeof url, "http://127.0.0.1:%u", sk_listener_port(proxy.listener));
    assert_int_equal(get((struct sk_http_client_options){.to = {.host = "localhost", .port = port},
                                                         .tls = client_tls,
                                                         .proxy = url}),
                     SK_OK);
    assert_string_equal(text, "200 you asked for /it");
    assert_int_equal(proxy.tunnels, 1);
}

TEST(http_is_spoken_over_a_unix_socket) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/sk-real-world-%d.sock", (int)getpid());
    listen_at((struct sk_endpoint){.path = path, .path_mode = 0600}, NULL);
    assert_int_equal(get((struct sk_http_client_options){.to = {.path = path}}), SK_OK);
    assert_string_equal(text, "200 you asked for /it");
    unlink(path);
}

static void on_sent(void *arg, enum sk_status status) {
    (void)arg;
    got = status;
    sk_io_stop(io);
}

static void on_down(void *arg, const struct sk_client_down *down) {
    (void)arg;
    got = down->reason;
    sk_io_stop(io);
}

TEST(telemetry_goes_over_tls) {
    static const struct sk_device_events events = {.disconnected = on_down};
    assert_int_equal(sk_listen(io, &(struct sk_endpoint){.host = "127.0.0.1"}, server_tls,
                               mqtt_accept, NULL, &mqtt_listener),
                     SK_OK);
    struct sk_device_client_options how = {.host = "127.0.0.1",
                                           .port = sk_listener_port(mqtt_listener),
                                           .server_name = "localhost",
                                           .tls = client_tls,
                                           .hub_host = SK_SPAN("hub"),
                                           .device_id = SK_SPAN("d"),
                                           .key = SK_SPAN("a2V5"),
                                           .events = &events};
    struct sk_device_client *client = sk_device_client_new(io, &how);
    assert_int_equal(
        sk_device_client_send(client, &(struct sk_message){.body = SK_SPAN("x")}, on_sent, NULL),
        SK_OK);
    got = SK_IO;
    run();
    assert_int_equal(got, SK_OK);
    sk_device_client_free(client);

    how.tls = stranger_tls;
    client = sk_device_client_new(io, &how);
    run();
    assert_int_equal(got, SK_UNAUTHORIZED);
    sk_device_client_free(client);
}
