/* The edge hub's floor: the identities that it knows, and what it still loads. */
#include "edge/hub/parts.h"

static void put_key(struct sk_buffer *to, struct sk_span device, struct sk_span module) {
    sk_buffer_append(to, device);
    if (module.n) {
        sk_buffer_byte(to, '/');
        sk_buffer_append(to, module);
    }
}

struct sk_edge_identity *edge_identity_find(struct sk_edge_hub *hub, struct sk_span device,
                                            struct sk_span module) {
    struct sk_buffer key = {0};
    put_key(&key, device, module);
    struct sk_edge_identity *identity = sk_map_get(&hub->identities, sk_buffer_span(&key));
    sk_buffer_free(&key);
    return identity;
}

struct sk_edge_identity *edge_identity_add(struct sk_edge_hub *hub, struct sk_span device,
                                           struct sk_span module) {
    struct sk_edge_identity *identity = edge_identity_find(hub, device, module);
    if (identity) return identity;
    struct sk_buffer key = {0};
    put_key(&key, device, module);
    identity = SK_NEW(struct sk_edge_identity);
    identity->hub = hub;
    identity->key = sk_span_dup(sk_buffer_span(&key));
    sk_list_init(&identity->c2d);
    sk_list_init(&identity->polls);
    sk_identity_set(&identity->identity.device_id, device);
    sk_identity_set(&identity->identity.module_id, module);
    sk_map_put(&hub->identities, sk_span_z(identity->key), identity);
    sk_buffer_free(&key);
    return identity;
}

const struct sk_edge_identity *edge_identity_parent(const struct sk_edge_identity *device) {
    struct sk_edge_hub *hub = device->hub;
    struct sk_span id = sk_identity_parent(&device->identity);
    if (id.n == 0 || sk_span_is(id, hub->options->device_id)) return NULL;
    const struct sk_edge_identity *parent = edge_identity_find(hub, id, SK_NONE);
    return parent && sk_identity_is_child(&device->identity, &parent->identity) ? parent : NULL;
}

void edge_identity_chain(const struct sk_edge_identity *identity, struct sk_buffer *to) {
    struct sk_edge_hub *hub = identity->hub;
    const char *own = hub->options->device_id;
    const struct sk_edge_identity *device =
        edge_identity_find(hub, sk_span_z(identity->identity.device_id), SK_NONE);
    sk_buffer_text(to, identity->key);
    if (device && device->identity.edge && device != identity &&
        strcmp(device->identity.device_id, own) != 0)
        sk_buffer_print(to, ";%s", device->key); /* a module of an edge device below */
    for (unsigned i = 0;
         device && i < SK_CHAIN_MAX && (device = edge_identity_parent(device)) != NULL; i++)
        sk_buffer_print(to, ";%s", device->key);
    sk_buffer_print(to, ";%s", own);
}

bool edge_identity_polls(const struct sk_edge_identity *identity) {
    enum { FORGET_S = 1800 }; /* Azure's SDKs ask every 25 minutes */
    uint64_t now = sk_io_now(identity->hub->backend.io);
    return identity->polled_ns && now - identity->polled_ns < FORGET_S * SK_S;
}

void edge_identity_free(struct sk_edge_identity *identity) {
    sk_map_remove(&identity->hub->identities, sk_span_z(identity->key));
    sk_identity_free(&identity->identity);
    free(identity->key);
    free(identity->model_id);
    free(identity);
}

void edge_load_ended(struct sk_edge_hub *hub) {
    hub->start.documents--;
    if (hub->start.done && !hub->closing)
        sk_io_defer(hub->backend.io, &hub->start.task, hub->start.done);
}
