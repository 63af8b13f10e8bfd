/* MQTT over WebSocket: what works over TCP works here, however the bytes are cut into frames; and
 * frames that break the rules end the connection with their code. */
#include "net/websocket.h"
#include "support/raw_client.h"
#include "support/test.h"
#include "wire/websocket.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

/* ---- a client that says each byte itself ---- */

static void ask_upgrade(struct raw_client *c, struct fleet *f, const char *headers) {
    raw_open(c, f, "hub.test");
    struct sk_buffer out = {0};
    sk_buffer_print(&out,
                    "GET /%%24iothub/websocket?iothub-no-client-cert=true HTTP/1.1\r\n"
                    "Host: hub.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n%s\r\n",
                    headers);
    raw_send_buffer(c, &out);
}

static unsigned upgrade_status(struct raw_client *c) {
    struct raw_answer answer;
    raw_next_answer(c, &answer);
    unsigned status = answer.parser.status;
    sk_http_parser_free(&answer.parser);
    return status;
}

static void upgrade(struct raw_client *c, struct fleet *f) {
    ask_upgrade(c, f, "Sec-WebSocket-Protocol: soap, mqtt\r\n");
    assert_int_equal(upgrade_status(c), 101);
}

/* A frame masked with zeros, so that its payload stays readable. */
static void put_frame(struct sk_buffer *to, unsigned char first, struct sk_span payload) {
    sk_buffer_byte(to, (char)first);
    if (payload.n < 126) {
        sk_buffer_byte(to, (char)(0x80 | payload.n));
    } else {
        sk_buffer_byte(to, (char)(0x80 | 126));
        sk_buffer_byte(to, (char)(payload.n >> 8));
        sk_buffer_byte(to, (char)payload.n);
    }
    sk_buffer_append(to, sk_span("\0\0\0\0", 4));
    sk_buffer_append(to, payload);
}

/* The same bytes in frames and fragments of any size, with pings between them. */
static void put_torn(struct sk_buffer *to, struct sk_sim *sim, struct sk_span bytes) {
    bool fragment = false;
    while (bytes.n) {
        struct sk_span part = sk_span_first(bytes, sk_sim_chance(sim, 200));
        bytes = sk_span_skip(bytes, part.n);
        bool last = bytes.n == 0 || sk_sim_chance(sim, 2);
        put_frame(to, (unsigned char)((last ? 0x80 : 0) | (fragment ? 0 : 2)), part);
        fragment = !last;
        if (sk_sim_chance(sim, 4) == 0) put_frame(to, 0x89, SK_SPAN("ping"));
    }
}

static bool has_two_bytes(void *arg) {
    struct raw_client *c = arg;
    return c->in.n >= 4 || c->stream == NULL;
}

/* The server says Close with this code, then ends the connection. */
static void expect_close(struct raw_client *c, unsigned code) {
    sk_sim_run_until(c->sim, 200 * SK_S, has_two_bytes, c);
    const char close[] = {(char)0x88, 2, (char)(code >> 8), (char)(code & 0xFF)};
    assert_int_equal(c->in.n, sizeof close);
    assert_memory_equal(c->in.p, close, sizeof close);
    assert_true(sk_sim_run_until(c->sim, 10 * SK_S, raw_is_closed, c));
}

TEST(malformed_frames_are_closed_with_their_code) {
    static const struct {
        const char *bytes;
        size_t size;
        unsigned code;
    } cases[] = {
        {"\x82\x01\x10", 3, 1002},                                       /* unmasked */
        {"\x81\x81\0\0\0\0x", 7, 1003},                                  /* text */
        {"\x80\x81\0\0\0\0x", 7, 1002},                                  /* no beginning */
        {"\x82\xff\0\0\0\0\x01\0\0\x01\0\0\0\0x", 15, 1009},             /* 16 MB and 1 */
        {"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0x", 15, 1009}, /* huge */
        {"\xf2\x81\0\0\0\0x", 7, 1002},                                  /* reserved */
    };
    struct fleet f;
    fleet_new_hub(&f, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct raw_client c;
        upgrade(&c, &f);
        raw_send(&c, sk_span(cases[i].bytes, cases[i].size));
        expect_close(&c, cases[i].code);
        raw_free(&c);
    }
    fleet_free(&f);
}

TEST(a_close_is_answered) {
    struct fleet f;
    struct raw_client c;
    fleet_new_hub(&f, 2);
    upgrade(&c, &f);
    raw_send(&c, sk_span("\x88\x82\0\0\0\0\x0f\xa1", 8));
    expect_close(&c, 4001);
    raw_free(&c);
    fleet_free(&f);
}

TEST(upgrades_are_refused_for_their_reason) {
    static const struct {
        const char *headers;
        unsigned status;
    } cases[] = {
        {"", 400},
        {"Sec-WebSocket-Protocol: soap\r\n", 400},
        {"Sec-WebSocket-Protocol: mqtt\r\nOrigin: https://hub.test\r\n", 101},
        {"Sec-WebSocket-Protocol: mqtt\r\nOrigin: https://tool.example\r\n", 101},
        {"Sec-WebSocket-Protocol: mqtt\r\nOrigin: https://hub.test.example\r\n", 403},
        {"Sec-WebSocket-Protocol: mqtt\r\nOrigin: null\r\n", 403},
    };
    struct fleet f;
    fleet_new_hub(&f, 3);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct raw_client c;
        ask_upgrade(&c, &f, cases[i].headers);
        assert_int_equal(upgrade_status(&c), cases[i].status);
        raw_free(&c);
    }
    fleet_free(&f);
}

TEST(who_is_slow_is_not_waited_for) {
    struct fleet f;
    struct raw_client header, frame, pings;
    fleet_new_hub(&f, 4);
    raw_open(&header, &f, "hub.test");
    raw_send(&header, SK_SPAN("GET /$iothub/websocket HTTP/1.1\r\nHost: hub"));
    upgrade(&frame, &f);
    raw_send(&frame, sk_span("\x82\x90\0\0", 4));
    upgrade(&pings, &f);
    for (int i = 0; i < 13; i++) { /* pings are no sign of an MQTT client */
        if (pings.stream) raw_send(&pings, sk_span("\x89\x80\0\0\0\0", 6));
        sk_sim_run(f.sim, 10 * SK_S);
    }
    assert_null(header.stream);
    assert_null(frame.stream);
    assert_null(pings.stream);
    raw_free(&header);
    raw_free(&frame);
    raw_free(&pings);
    fleet_free(&f);
}

/* ---- the same MQTT ---- */

static void no_mask(void *arg, void *to, size_t n) {
    (void)arg;
    memset(to, 0, n);
}

/* What has come back, read by the codec's other side. */
static unsigned count_pubacks(struct raw_client *c) {
    struct sk_websocket *ws = sk_websocket_new(no_mask, NULL);
    struct sk_buffer mqtt = {0}, answers = {0};
    struct sk_mqtt_packet packet;
    unsigned count = 0;
    assert_int_equal(sk_websocket_feed(ws, sk_buffer_span(&c->in), &mqtt, &answers), SK_OK);
    for (size_t at = 0, used; sk_mqtt_decode(sk_span_skip(sk_buffer_span(&mqtt), at),
                                             SK_MQTT_REMAINING_MAX, &packet, &used) == SK_OK;
         at += used)
        count += packet.type == SK_MQTT_PUBACK;
    sk_buffer_free(&mqtt);
    sk_buffer_free(&answers);
    sk_websocket_free(ws);
    return count;
}

TEST(however_frames_are_cut_the_packets_are_the_same) {
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct fleet f;
        struct raw_client c;
        struct sk_buffer mqtt = {0}, frames = {0};
        fleet_new_hub(&f, seed);
        fleet_put_device(&f, "d1", "");
        ask_upgrade(&c, &f, "Sec-WebSocket-Protocol: mqtt\r\n");
        /* CONNECT and the first messages come with the request already. */
        raw_put_connect(&mqtt, &f, &(struct raw_connect){.device = "d1", .clean = true});
        for (uint16_t id = 1; id <= 20; id++) {
            struct sk_mqtt_publish publish = {.topic = SK_SPAN("devices/d1/messages/events/"),
                                              .payload = SK_SPAN("{\"some\":\"telemetry\"}"),
                                              .qos = 1,
                                              .id = id};
            sk_mqtt_put_publish(&mqtt, &publish);
        }
        put_torn(&frames, f.sim, sk_buffer_span(&mqtt));
        raw_send_buffer(&c, &frames);
        assert_int_equal(upgrade_status(&c), 101);
        sk_sim_run(f.sim, 5 * SK_S);
        unsigned acks = count_pubacks(&c);
        assert_int_equal(acks, 20);
        raw_free(&c);
        sk_buffer_free(&mqtt);
        fleet_free(&f);
    }
}

struct tally {
    unsigned sent, connected, events;
};

static void on_connected(void *arg, bool session_present) {
    (void)session_present;
    ((struct tally *)arg)->connected++;
}

static void on_sent(void *arg, enum sk_status status) {
    assert_int_equal(status, SK_OK);
    ((struct tally *)arg)->sent++;
}

static void on_event(void *arg, const struct sk_message *message) {
    ((struct tally *)arg)->events += sk_span_is(message->device, "leaf1");
}

static const struct sk_device_events device_events = {.connected = on_connected};

static struct sk_device_client *client_over_websocket(struct fleet *f, const char *host,
                                                      struct tally *tally) {
    return sk_device_client_new(f->field_io,
                                &(struct sk_device_client_options){.host = host,
                                                                   .port = 8883,
                                                                   .websocket = true,
                                                                   .hub_host = SK_SPAN("hub.test"),
                                                                   .device_id = SK_SPAN("leaf1"),
                                                                   .key = SK_SPAN(FLEET_KEY),
                                                                   .events = &device_events,
                                                                   .arg = tally});
}

static bool all_sent(void *arg) {
    return ((struct tally *)arg)->sent == 300;
}

/* From the leaf to the edge and from there to the hub, all over WebSockets, with connections that
 * break all the time. */
TEST(messages_arrive_over_websockets_that_break) {
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct fleet f;
        struct tally tally = {0};
        static char large[20000];
        memset(large, 'x', sizeof large);
        fleet_new_hub(&f, seed);
        f.edge_websocket = true;
        f.edge_amqp = seed % 2 == 0;
        f.routes = FLEET_ROUTES_UP;
        fleet_make_identities(&f);
        fleet_start_edge(&f);
        assert_true(sk_sim_run_until(f.sim, 60 * SK_S, fleet_edge_connected, &f));
        struct sk_device_client *client = client_over_websocket(&f, "edge.test", &tally);
        for (unsigned i = 0; i < 300; i++) {
            struct sk_message message = {.source = SK_SOURCE_TELEMETRY,
                                         .body = sk_span(large, i % 30 ? i : sizeof large)};
            assert_int_equal(sk_device_client_send(client, &message, on_sent, &tally), SK_OK);
            if (i % 100 == 50) sk_sim_drop_connections(f.edge_io);
            sk_sim_run(f.sim, 50 * SK_MS);
        }
        assert_true(sk_sim_run_until(f.sim, 600 * SK_S, all_sent, &tally));
        sk_sim_run(f.sim, 120 * SK_S);
        fleet_read_events(&f, on_event, &tally);
        assert_true(tally.events >= 300);
        assert_true(tally.connected >= 2);
        sk_device_client_free(client);
        fleet_free(&f);
    }
}

static bool edge_is_up(void *arg) {
    return sk_edge_hub_counts(((struct fleet *)arg)->edge).upstream_connected;
}

TEST(an_edge_takes_the_way_first_that_has_worked_last) {
    for (int amqp = 0; amqp < 2; amqp++) {
        struct fleet f;
        fleet_new_hub(&f, 1);
        f.edge_fallback = true;
        f.edge_amqp = amqp;
        f.routes = FLEET_ROUTES_UP;
        fleet_make_identities(&f);
        fleet_start_edge(&f);
        uint64_t began = sk_io_now(f.edge_io);
        assert_true(sk_sim_run_until(f.sim, 60 * SK_S, edge_is_up, &f));
        assert_true(sk_io_now(f.edge_io) - began > SK_S); /* the other one was tried */
        sk_sim_run(f.sim, 5 * SK_S);
        fleet_stop_edge(&f);
        fleet_start_edge(&f);
        began = sk_io_now(f.edge_io);
        assert_true(sk_sim_run_until(f.sim, 60 * SK_S, edge_is_up, &f));
        assert_true(sk_io_now(f.edge_io) - began < SK_S / 2);
        fleet_free(&f);
    }
}

TEST(an_edge_whose_port_is_closed_takes_a_websocket) {
    for (int amqp = 0; amqp < 2; amqp++) {
        struct fleet f;
        struct tally tally = {0};
        fleet_new_hub(&f, 1);
        f.edge_fallback = true;
        f.edge_amqp = amqp;
        f.routes = FLEET_ROUTES_UP;
        fleet_make_identities(&f);
        fleet_start_edge(&f);
        assert_true(sk_sim_run_until(f.sim, 60 * SK_S, fleet_edge_connected, &f));
        struct sk_device_client *client = client_over_websocket(&f, "edge.test", &tally);
        struct sk_message message = {.body = SK_SPAN("1")};
        assert_int_equal(sk_device_client_send(client, &message, on_sent, &tally), SK_OK);
        sk_sim_run(f.sim, 60 * SK_S);
        fleet_read_events(&f, on_event, &tally);
        assert_int_equal(tally.events, 1);
        sk_device_client_free(client);
        fleet_free(&f);
    }
}

/* ---- by way of an HTTP proxy ---- */

/* One tunnel at a time, for "user:secret". */
struct proxy {
    struct sk_io *io;
    struct sk_listener *listener;
    struct sk_stream *client, *server;
    struct sk_http_parser request;
    unsigned tunnels, refusals;
};

static void to_client(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    (void)stream;
    struct proxy *proxy = arg;
    if (proxy->client) sk_stream_write(proxy->client, bytes);
}

static void server_gone(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream, (void)reason;
    struct proxy *proxy = arg;
    proxy->server = NULL;
    if (proxy->client) sk_stream_close(proxy->client);
}

static void tunnel_is_there(struct sk_stream *stream, void *arg) {
    (void)stream;
    struct proxy *proxy = arg;
    proxy->tunnels++;
    sk_stream_write(proxy->client, SK_SPAN("HTTP/1.1 200 Connection established\r\n\r\n"));
}

static void to_server(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    static const struct sk_stream_events server_events = {
        .on_open = tunnel_is_there, .on_data = to_client, .on_close = server_gone};
    struct proxy *proxy = arg;
    size_t used;
    enum sk_http_event event;
    if (proxy->server) {
        sk_stream_write(proxy->server, bytes);
        return;
    }
    assert_int_equal(sk_http_feed(&proxy->request, bytes, &used, &event), SK_OK);
    if (event != SK_HTTP_MESSAGE) return;
    assert_int_equal(proxy->request.method, SK_HTTP_CONNECT);
    assert_true(sk_span_is(proxy->request.target, "hub.test:8883"));
    if (sk_span_is(sk_http_header(&proxy->request, "Proxy-Authorization"),
                   "Basic dXNlcjpzZWNyZXQ=")) {
        proxy->server = sk_connect(proxy->io, &(struct sk_endpoint){"hub.test", 8883, NULL, 0},
                                   NULL, NULL, &server_events, proxy);
    } else {
        proxy->refusals++;
        sk_stream_write(stream, SK_SPAN("HTTP/1.1 407 Proxy Authentication Required\r\n"
                                        "Content-Length: 0\r\n\r\n"));
    }
}

static void client_gone(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream, (void)reason;
    struct proxy *proxy = arg;
    proxy->client = NULL;
    if (proxy->server) sk_stream_close(proxy->server);
}

static void proxy_accepts(void *arg, struct sk_stream *stream) {
    static const struct sk_stream_events client_events = {.on_data = to_server,
                                                          .on_close = client_gone};
    struct proxy *proxy = arg;
    proxy->client = stream;
    sk_http_parser_free(&proxy->request);
    sk_http_parser_init(&proxy->request, true);
    sk_stream_handle(stream, &client_events, proxy);
}

static bool sent_one(void *arg) {
    return ((struct tally *)arg)->sent == 1;
}

TEST(a_device_goes_through_a_proxy_with_credentials) {
    struct fleet f;
    fleet_new_hub(&f, 5);
    fleet_put_device(&f, "d1", "");
    struct proxy proxy = {.io = sk_sim_node(f.sim, "proxy.test")};
    assert_int_equal(sk_listen(proxy.io, &(struct sk_endpoint){"0.0.0.0", 3128, NULL, 0}, NULL,
                               proxy_accepts, &proxy, &proxy.listener),
                     SK_OK);
    static const char *const urls[] = {"http://user:secret@proxy.test:3128",
                                       "http://user:wrong@proxy.test:3128/"};
    for (int i = 0; i < 4; i++) { /* good and bad, WebSocket and plain MQTT */
        struct tally tally = {0};
        struct sk_message message = {.source = SK_SOURCE_TELEMETRY, .body = SK_SPAN("1")};
        bool good = i % 2 == 0;
        unsigned refusals = proxy.refusals;
        struct sk_device_client *client = sk_device_client_new(
            f.field_io, &(struct sk_device_client_options){.host = "hub.test",
                                                           .port = 8883,
                                                           .websocket = i / 2 == 0,
                                                           .proxy = urls[i % 2],
                                                           .hub_host = SK_SPAN("hub.test"),
                                                           .device_id = SK_SPAN("d1"),
                                                           .key = SK_SPAN(FLEET_KEY),
                                                           .events = &device_events,
                                                           .arg = &tally});
        sk_device_client_send(client, &message, good ? on_sent : NULL, &tally);
        assert_int_equal(sk_sim_run_until(f.sim, 20 * SK_S, sent_one, &tally), good);
        assert_int_equal(proxy.refusals > refusals, !good);
        sk_device_client_free(client);
        sk_sim_run(f.sim, 10 * SK_S);
    }
    assert_int_equal(proxy.tunnels, 2);
    sk_listener_close(proxy.listener);
    sk_http_parser_free(&proxy.request);
    fleet_free(&f);
}
