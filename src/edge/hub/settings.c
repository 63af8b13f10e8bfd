/* What a deployment says of the edge hub in $edgeAgent's twin, as its container's environment: the
 * agent tells us. Kept, so that it counts from the start. */
#include "edge/hub/parts.h"

#include <stdio.h>

#define SETTINGS SK_SPAN("settings")

static void put_in_force(struct sk_edge_hub *hub, uint64_t of_deployment) {
    uint64_t own = hub->options->clients_max;
    hub->backend.sessions_max =
        of_deployment && (own == 0 || of_deployment < own) ? of_deployment : own;
}

void edge_settings_set(struct sk_edge_hub *hub, uint64_t max_clients) {
    char text[60];
    put_in_force(hub, max_clients);
    snprintf(text, sizeof text, "{\"MaxConnectedClients\":%llu}", (unsigned long long)max_clients);
    sk_registry_document_put(hub->store, SK_SPAN(SK_EDGE_DOCUMENTS), SETTINGS, sk_span_z(text),
                             NULL, NULL);
}

static void loaded(void *arg, const struct sk_registry_end *end,
                   const struct sk_registry_document *stored) {
    (void)end;
    struct sk_edge_hub *hub = arg;
    json_t *json = stored ? json_loadb(stored->bytes.p, stored->bytes.n, 0, NULL) : NULL;
    json_int_t most = json_integer_value(json_object_get(json, "MaxConnectedClients"));
    put_in_force(hub, most > 0 ? (uint64_t)most : 0);
    json_decref(json);
    edge_load_ended(hub);
}

static void load(struct sk_edge_hub *hub) {
    hub->start.documents++;
    sk_registry_document_get(hub->store, SK_SPAN(SK_EDGE_DOCUMENTS), SETTINGS, loaded, hub);
}

const struct sk_edge_part edge_part_settings = {.load = load};
