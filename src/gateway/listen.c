/* The roof of the gateway: listeners, protocol detection, and the end of it all. It alone knows
 * every head. */
#include "gateway/parts.h"
#include "gateway/quota.h"

enum {
    FIRST_BYTES_S = 60,
    DRAIN_MS = 1500, /* what connections get to end in good order when the gateway closes */
};

/* A stream whose protocol is not known yet. */
struct newcomer {
    struct sk_connection connection;
    struct sk_timer timer;
};

static void end_newcomer(struct sk_connection *connection) {
    sk_stream_abort(connection->stream);
}

static void on_silent(struct sk_timer *timer) {
    sk_stream_abort(SK_CONTAINER(timer, struct newcomer, timer)->connection.stream);
}

static void free_newcomer(struct newcomer *n) {
    sk_timer_stop(&n->timer);
    connection_remove(&n->connection);
    free(n);
}

/* 0: none. No HTTP method that anybody uses begins with an A. */
static enum sk_gateway_protocol protocol_of(char first) {
    if (first == SK_MQTT_CONNECT << 4) return SK_GATEWAY_MQTT;
    if (first == 'A') return SK_GATEWAY_AMQP;
    return first > 'A' && first <= 'Z' ? SK_GATEWAY_HTTPS : (enum sk_gateway_protocol)0;
}

static void on_first_bytes(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    struct newcomer *n = arg;
    struct sk_gateway *gateway = n->connection.gateway;
    if (bytes.n == 0) return;
    enum sk_gateway_protocol protocol = protocol_of(bytes.p[0]);
    if (!(gateway->protocols & protocol)) {
        SK_DEBUG("gateway", "%s: no protocol that is spoken here", sk_stream_peer(stream));
        gateway->counts.refused_total++;
        sk_stream_abort(stream);
        return;
    }
    if (protocol == SK_GATEWAY_MQTT)
        mqtt_head_open(gateway, stream, bytes);
    else if (protocol == SK_GATEWAY_AMQP)
        amqp_head_open(gateway, stream, bytes);
    else
        sk_http_serve(stream, &gateway->http, bytes);
    free_newcomer(n); /* the head has counted itself in before */
}

static void on_newcomer_closed(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream;
    (void)reason;
    free_newcomer(arg);
}

static const struct sk_stream_events newcomer_events = {.on_data = on_first_bytes,
                                                        .on_close = on_newcomer_closed};

static void accepted(void *arg, struct sk_stream *stream) {
    struct sk_gateway *gateway = arg;
    struct newcomer *n = SK_NEW(struct newcomer);
    gateway->counts.connections_total++;
    connection_add(gateway, &n->connection, stream, end_newcomer);
    sk_stream_handle(stream, &newcomer_events, n);
    sk_timer_start(gateway->io, &n->timer, FIRST_BYTES_S * SK_S, on_silent);
}

struct sk_gateway *sk_gateway_new(struct sk_io *io) {
    struct sk_gateway *gateway = SK_NEW(struct sk_gateway);
    gateway->io = io;
    gateway->protocols = SK_GATEWAY_ALL;
    sk_list_init(&gateway->connections);
    gateway->upgrade = websocket_head_upgrade;
    http_head_init(gateway);
    return gateway;
}

void sk_gateway_add(struct sk_gateway *gateway, struct sk_backend *backend) {
    gateway->backends =
        sk_realloc(gateway->backends, (gateway->backend_count + 1) * sizeof *gateway->backends);
    gateway->backends[gateway->backend_count++] = backend;
}

enum sk_status sk_gateway_listen(struct sk_gateway *gateway, const struct sk_endpoint *at,
                                 struct sk_tls *tls, uint16_t *port) {
    struct sk_listener *listener;
    enum sk_status status = sk_listen(gateway->io, at, tls, accepted, gateway, &listener);
    if (status) return status;
    gateway->listeners =
        sk_realloc(gateway->listeners, (gateway->listener_count + 1) * sizeof *gateway->listeners);
    gateway->listeners[gateway->listener_count++] = listener;
    if (port) *port = sk_listener_port(listener);
    return SK_OK;
}

void sk_gateway_speak(struct sk_gateway *gateway, unsigned protocols) {
    gateway->protocols = protocols;
}

void sk_gateway_pass(struct sk_gateway *gateway, struct sk_span path,
                     void (*handler)(void *arg, struct sk_http_exchange *exchange), void *arg) {
    gateway->passed = path;
    gateway->pass = handler;
    gateway->pass_arg = arg;
}

void sk_gateway_allow_origins(struct sk_gateway *gateway, const struct sk_span *origins,
                              size_t count) {
    gateway->origins = origins;
    gateway->origin_count = count;
}

const struct sk_gateway_counts *sk_gateway_counts(const struct sk_gateway *gateway) {
    return &gateway->counts;
}

/* Whoever is still there does not read, or waits for somebody. */
static void on_drained(struct sk_timer *timer) {
    struct sk_gateway *gateway = SK_CONTAINER(timer, struct sk_gateway, drain);
    SK_LIST_EACH(&gateway->connections, node, following) {
        struct sk_connection *connection = SK_CONTAINER(node, struct sk_connection, link);
        if (connection->stream) sk_stream_abort(connection->stream);
    }
}

void sk_gateway_close(struct sk_gateway *gateway, void (*freed)(void *arg), void *arg) {
    gateway->closing = true;
    sk_timer_start(gateway->io, &gateway->drain, DRAIN_MS * SK_MS, on_drained);
    gateway->freed = freed;
    gateway->freed_arg = arg;
    for (size_t i = 0; i < gateway->listener_count; i++) sk_listener_close(gateway->listeners[i]);
    for (size_t i = 0; i < gateway->backend_count; i++)
        if (gateway->backends[i]->quota) sk_quota_stop(gateway->backends[i]->quota);
    SK_LIST_EACH(&gateway->connections, node, following) {
        struct sk_connection *connection = SK_CONTAINER(node, struct sk_connection, link);
        connection->end(connection);
    }
    gateway_free_when_empty(gateway);
}
