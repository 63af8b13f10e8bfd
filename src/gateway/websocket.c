/* WebSockets: the upgrade of an HTTP request, behind which MQTT or AMQP is spoken as on a plain
 * connection. Reference: docs/protocols/device-protocols.md, section 1.7. */
#include "gateway/http/head.h"

#include "net/websocket.h"
#include "wire/websocket.h"

/* The first one that the client offers counts. */
static const struct subprotocol {
    const char *name;
    enum sk_gateway_protocol protocol;
    void (*open)(struct sk_gateway *gateway, struct sk_stream *stream, struct sk_span first);
} subprotocols[] = {{"mqtt", SK_GATEWAY_MQTT, mqtt_head_open},
                    {"AMQPWSB10", SK_GATEWAY_AMQP, amqp_head_open}};

static bool is_websocket_path(struct sk_http_exchange *exchange) {
    struct sk_span path = sk_percent_decoded(&exchange->arena, exchange->request->path);
    return sk_span_eq_nocase(path, SK_SPAN("/$iothub/websocket")) ||
           sk_span_eq_nocase(path, SK_SPAN("/$servicebus/websocket"));
}

static const struct subprotocol *choose(const struct sk_gateway *gateway,
                                        const struct sk_http_parser *http) {
    struct sk_span name, value, offered;
    for (unsigned i = 0; sk_http_header_at(http, i, &name, &value); i++) {
        if (!sk_span_eq_nocase(name, SK_SPAN("Sec-WebSocket-Protocol"))) continue;
        while (sk_span_split(&value, ',', &offered))
            for (size_t j = 0; j < sizeof subprotocols / sizeof *subprotocols; j++)
                if (gateway->protocols & subprotocols[j].protocol &&
                    sk_span_eq_nocase(sk_span_trim(offered), sk_span_z(subprotocols[j].name)))
                    return &subprotocols[j];
    }
    return NULL;
}

/* Browsers say which page is asking, and a page of somebody else must not use the credentials that
 * this one's browser holds (a client certificate). Programs send no Origin. */
static bool origin_allowed(const struct sk_gateway *gateway, const struct sk_http_parser *http) {
    struct sk_span origin = sk_http_header(http, "Origin"), host = sk_http_header(http, "Host");
    if (origin.p == NULL) return true;
    for (size_t i = 0; i < gateway->origin_count; i++)
        if (sk_span_eq_nocase(origin, gateway->origins[i])) return true;
    static const char *const schemes[] = {"https://", "http://"};
    for (size_t i = 0; i < 2; i++) {
        struct sk_span scheme = sk_span_z(schemes[i]);
        if (sk_span_starts_nocase(origin, scheme) &&
            sk_span_eq_nocase(sk_span_skip(origin, scheme.n), host))
            return true;
    }
    return false;
}

static void refuse(struct sk_http_exchange *exchange, enum sk_fault fault, const char *text) {
    struct sk_error error;
    sk_error_set(&error, fault, "%s", text);
    sk_http_head_refuse(exchange, &error, false, NULL);
}

struct upgrading {
    struct sk_gateway *gateway;
    const struct subprotocol *subprotocol;
};

static void on_taken(void *arg, struct sk_stream *stream, struct sk_span first) {
    struct upgrading *u = arg;
    struct sk_stream *websocket = sk_websocket_serve(stream);
    u->subprotocol->open(u->gateway, websocket, SK_NONE);
    sk_websocket_stream_feed(websocket, first);
}

static void upgrade(struct sk_gateway *gateway, struct sk_http_exchange *exchange) {
    const struct sk_http_parser *http = exchange->request;
    struct sk_span key = sk_http_header(http, "Sec-WebSocket-Key");
    if (http->method != SK_HTTP_GET) {
        refuse(exchange, SK_FAULT_METHOD_NOT_ALLOWED, "a WebSocket is asked for with GET");
        return;
    }
    if (!http->upgrade || !sk_http_header_has(http, "Upgrade", "websocket") ||
        !sk_websocket_key_valid(key)) {
        refuse(exchange, SK_FAULT_ARGUMENT_INVALID, "this address serves WebSockets only");
        return;
    }
    if (!sk_span_is(sk_http_header(http, "Sec-WebSocket-Version"), "13")) {
        sk_http_respond(exchange, 426, SK_SPAN("Sec-WebSocket-Version: 13\r\n"), SK_NONE);
        return;
    }
    if (!origin_allowed(gateway, http)) {
        refuse(exchange, SK_FAULT_FORBIDDEN,
               "pages of this origin may not connect: see allowed_origins in hub.toml");
        return;
    }
    struct upgrading *u = sk_arena_alloc(&exchange->arena, sizeof *u);
    *u = (struct upgrading){gateway, choose(gateway, http)};
    if (u->subprotocol == NULL) {
        refuse(exchange, SK_FAULT_ARGUMENT_INVALID,
               "the offered sub-protocols are none that this address speaks");
        return;
    }
    char accept[SK_WEBSOCKET_ACCEPT_SIZE + 1];
    struct sk_buffer headers = {0};
    sk_websocket_accept(key, accept);
    sk_http_put_header(&headers, "Upgrade", SK_SPAN("websocket"));
    sk_http_put_header(&headers, "Connection", SK_SPAN("Upgrade"));
    sk_http_put_header(&headers, "Sec-WebSocket-Accept", sk_span_z(accept));
    sk_http_put_header(&headers, "Sec-WebSocket-Protocol", sk_span_z(u->subprotocol->name));
    sk_http_upgrade(exchange, sk_buffer_span(&headers), on_taken, u);
    sk_buffer_free(&headers);
}

bool websocket_head_upgrade(struct sk_gateway *gateway, struct sk_http_exchange *exchange) {
    if (!is_websocket_path(exchange)) return false;
    upgrade(gateway, exchange);
    return true;
}
