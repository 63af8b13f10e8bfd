/* Who is connected and since when; known since the start of the process. */
#include "hub/parts.h"

struct presence {
    char *key;
    struct sk_presence presence;
};

const struct sk_presence *hub_presence(struct sk_hub *hub, const struct sk_identity *identity) {
    struct sk_buffer key = {0};
    sk_buffer_text(&key, identity->device_id);
    if (identity->module_id) sk_buffer_print(&key, "/%s", identity->module_id);
    struct presence *known = sk_map_get(&hub->presence, sk_buffer_span(&key));
    sk_buffer_free(&key);
    return known ? &known->presence : NULL;
}

static void seen(struct sk_hub *hub, const struct sk_session *session, bool connected) {
    struct presence *known = sk_map_get(&hub->presence, sk_span_z(session->key));
    if (known == NULL) {
        known = SK_NEW(struct presence);
        known->key = sk_span_dup(sk_span_z(session->key));
        sk_map_put(&hub->presence, sk_span_z(known->key), known);
    }
    known->presence.connected = connected;
    known->presence.changed_us = known->presence.active_us = sk_io_wall(hub->backend.io);
}

static void forget(struct sk_hub *hub, struct presence *known) {
    sk_map_remove(&hub->presence, sk_span_z(known->key));
    free(known->key);
    free(known);
}

void hub_forget(struct sk_hub *hub, struct sk_span device, struct sk_span module) {
    struct presence *known;
    for (size_t i = 0; (known = sk_map_next(&hub->presence, &i, NULL)) != NULL;) {
        struct sk_span key = sk_span_z(known->key),
                       known_device = sk_span_first(key, sk_span_find(key, '/'));
        struct sk_span known_module = sk_span_skip(key, known_device.n + 1);
        if (!sk_span_eq(known_device, device) || (module.n && !sk_span_eq(known_module, module)))
            continue;
        forget(hub, known);
        i = 0; /* the map has changed */
    }
}

static void opened(struct sk_hub *hub, struct sk_session *session) {
    seen(hub, session, true);
}

static void closed(struct sk_hub *hub, struct sk_session *session) {
    seen(hub, session, false);
}

static void free_presence(struct sk_hub *hub) {
    struct presence *known;
    for (size_t i = 0; (known = sk_map_next(&hub->presence, &i, NULL)) != NULL; i = 0)
        forget(hub, known);
    sk_map_free(&hub->presence);
}

const struct sk_hub_part hub_part_presence = {
    .opened = opened, .closed = closed, .free = free_presence};
