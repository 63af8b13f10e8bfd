/* Which bit of the log's records is whose.
 *
 * Partitions have the bits from 0 up (events/partitions.h), the next one is for parts of the hub
 * (HUB_TO_INSIDE), endpoints have those from 63 down. A file says whose these are; it is durable
 * before the first record with a new bit is written. A new endpoint gets the next free one, round
 * and round, and begins behind all records that there are: so it never sees what was for another.
 */
#include "hub/endpoints/parts.h"

#include <stdio.h>

#include "model/events.h"
#include "model/json_text.h"

enum { HIGHEST = 63, LOWEST = SK_PARTITIONS_MAX + 1 };

void endpoint_cursor_name(const char *endpoint, unsigned bit, char to[128]) {
    snprintf(to, 128, "endpoint-%u-%s", bit, endpoint);
}

static void path_of(const struct sk_hub *hub, struct sk_buffer *path) {
    sk_buffer_print(path, "%s/endpoints.json", hub->options->data);
    sk_buffer_byte(path, 0);
}

/* {"last": 62, "endpoints": {"lake": {"bit": 63, "from": 1}}}; none yet: empty. */
enum sk_status endpoint_bits_load(struct sk_hub *hub, char reason[512]) {
    struct sk_buffer path = {0}, bytes = {.limit = 65536};
    json_t *document = NULL;
    path_of(hub, &path);
    enum sk_status status = sk_file_load(hub->backend.io, path.p, &bytes);
    if (status == SK_NOT_FOUND) {
        status = SK_OK;
        document = json_pack("{s:i,s:{}}", "last", HIGHEST + 1, "endpoints");
    } else if (status == SK_OK) {
        document = sk_json_load(sk_buffer_span(&bytes), 0, NULL);
        if (!json_is_object(json_object_get(document, "endpoints"))) status = SK_MALFORMED;
    }
    if (status) snprintf(reason, 512, "%s: cannot be read (%s)", path.p, sk_status_text(status));
    hub->endpoints->bits = document;
    sk_buffer_free(&bytes);
    sk_buffer_free(&path);
    return status;
}

static enum sk_status save(struct sk_hub *hub, const json_t *document) {
    struct sk_buffer path = {0};
    path_of(hub, &path);
    SK_CLEANUP_FREE char *text = sk_json_text(document);
    enum sk_status status = sk_file_save(hub->backend.io, path.p, sk_span_z(text), 0600);
    sk_buffer_free(&path);
    return status;
}

static bool is_configured(const struct sk_hub_options *options, const char *name) {
    for (size_t i = 0; i < options->endpoint_count; i++)
        if (strcmp(options->endpoints[i].name, name) == 0) return true;
    return false;
}

static unsigned bit_of(const json_t *entry) {
    json_int_t bit = json_integer_value(json_object_get(entry, "bit"));
    return bit >= LOWEST && bit <= HIGHEST ? (unsigned)bit : HIGHEST;
}

static bool is_free(json_t *known, unsigned bit) {
    const char *name;
    json_t *entry;
    json_object_foreach(known, name, entry) if (bit_of(entry) == bit) return false;
    return true;
}

/* There are more bits than endpoints. */
static unsigned next_bit(json_t *document, json_t *known) {
    unsigned bit = (unsigned)json_integer_value(json_object_get(document, "last"));
    do bit = bit > LOWEST && bit <= HIGHEST + 1 ? bit - 1 : HIGHEST;
    while (!is_free(known, bit));
    json_object_set_new(document, "last", json_integer(bit));
    return bit;
}

enum sk_status endpoint_bits_take(struct sk_hub *hub, const struct sk_hub_options *options) {
    json_t *document = json_deep_copy(hub->endpoints->bits);
    json_t *known = json_object_get(document, "endpoints");
    size_t before = json_object_size(known);
    for (size_t i = 0; i < options->endpoint_count; i++) {
        const char *name = options->endpoints[i].name;
        if (json_object_get(known, name)) continue;
        json_object_set_new(known, name,
                            json_pack("{s:i,s:I}", "bit", next_bit(document, known), "from",
                                      (json_int_t)sk_log_next_sequence(hub->log)));
    }
    enum sk_status status = json_object_size(known) > before ? save(hub, document) : SK_OK;
    if (!status) {
        json_decref(hub->endpoints->bits);
        hub->endpoints->bits = json_incref(document);
    }
    json_decref(document);
    return status;
}

unsigned endpoint_bit(const struct sk_hub *hub, const char *name, uint64_t *from) {
    const json_t *known = json_object_get(hub->endpoints->bits, "endpoints"),
                 *entry = json_object_get(known, name);
    *from = (uint64_t)json_integer_value(json_object_get(entry, "from"));
    return bit_of(entry);
}

void endpoint_bits_forget(struct sk_hub *hub) {
    json_t *known = json_object_get(hub->endpoints->bits, "endpoints"), *entry;
    const char *name;
    void *next;
    size_t before = json_object_size(known);
    json_object_foreach_safe(known, next, name, entry) {
        char cursor[128];
        if (is_configured(hub->options, name)) continue;
        SK_INFO("hub", "%s: endpoint %s is not configured any more; what waited for it is dropped",
                hub->options->name, name);
        endpoint_cursor_name(name, bit_of(entry), cursor);
        sk_log_forget_cursor(hub->log, cursor);
        json_object_del(known, name);
    }
    if (json_object_size(known) < before && save(hub, hub->endpoints->bits))
        SK_WARN("hub", "%s: endpoints.json could not be written; the next start forgets them",
                hub->options->name);
}
