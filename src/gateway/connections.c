/* The floor of the gateway: who is connected, and whom a host name means. */
#include "gateway/parts.h"

struct sk_backend *sk_gateway_find(struct sk_gateway *gateway, struct sk_span host) {
    for (size_t i = 0; i < gateway->backend_count; i++) {
        struct sk_backend *backend = gateway->backends[i];
        if (backend->any_host || sk_span_eq_nocase(host, backend->host_name)) return backend;
        for (size_t j = 0; j < backend->alias_count; j++)
            if (sk_span_eq_nocase(host, backend->aliases[j])) return backend;
    }
    return NULL;
}

void connection_add(struct sk_gateway *gateway, struct sk_connection *connection,
                    struct sk_stream *stream, void (*end)(struct sk_connection *)) {
    connection->gateway = gateway;
    connection->stream = stream;
    connection->end = end;
    sk_list_append(&gateway->connections, &connection->link);
    gateway->counts.connections++;
}

static void free_gateway(struct sk_task *task) {
    struct sk_gateway *gateway = SK_CONTAINER(task, struct sk_gateway, free_task);
    void (*freed)(void *) = gateway->freed;
    void *arg = gateway->freed_arg;
    SK_ASSERT(sk_list_empty(&gateway->connections) && gateway->counts.connections == 0);
    sk_timer_stop(&gateway->drain);
    sk_arena_free(&gateway->scratch);
    sk_buffer_free(&gateway->amqp_out);
    free(gateway->backends);
    free(gateway->listeners);
    free(gateway);
    if (freed) freed(arg);
}

void gateway_free_when_empty(struct sk_gateway *gateway) {
    if (gateway->closing && sk_list_empty(&gateway->connections))
        sk_io_defer(gateway->io, &gateway->free_task, free_gateway);
}

void connection_remove(struct sk_connection *connection) {
    SK_ASSERT(connection->gateway->counts.connections);
    sk_list_remove(&connection->link);
    connection->gateway->counts.connections--;
    gateway_free_when_empty(connection->gateway);
}
