/* The hub's tier: its keys, the day's count over restarts, how many devices it may have. The rates
 * are the gateway's: gateway/quota.h. */
#include "gateway/quota.h"

#include "hub/parts.h"
#include "model/json_text.h"

#include <stdio.h>

enum { SAVE_S = 60 };

#define KIND SK_SPAN("quota")
#define KEY SK_SPAN("messages")

/* ---- the day's messages ---- */

static void save(struct sk_hub *hub) {
    struct sk_quota_day day = sk_quota_today(hub->backend.quota);
    char text[80];
    if (day.messages == 0 || day.messages == hub->quota_saved) return;
    hub->quota_saved = day.messages;
    snprintf(text, sizeof text, "{\"day\":%lld,\"messages\":%llu}", (long long)day.day,
             (unsigned long long)day.messages);
    sk_registry_document_put(hub->registry, KIND, KEY, sk_span_z(text), NULL, NULL);
}

static void on_save(struct sk_timer *timer) {
    struct sk_hub *hub = SK_CONTAINER(timer, struct sk_hub, quota_save);
    save(hub);
    sk_timer_start(timer->io, timer, SAVE_S * SK_S, on_save);
}

static void loaded(void *arg, const struct sk_registry_end *end,
                   const struct sk_registry_document *document) {
    struct sk_hub *hub = arg;
    if (end->status || hub->closing) return;
    json_t *json = json_loadb(document->bytes.p, document->bytes.n, 0, NULL);
    struct sk_quota_day day = {.day = json_integer_value(json_object_get(json, "day")),
                               .messages =
                                   (uint64_t)json_integer_value(json_object_get(json, "messages"))};
    sk_quota_restore(hub->backend.quota, day);
    json_decref(json);
}

/* ---- devices ---- */

bool hub_quota_has_room(struct sk_hub *hub) {
    uint64_t most = sk_quota_devices_max(hub->backend.quota);
    return most == 0 || sk_registry_counts(hub->registry).devices + hub->devices_coming < most;
}

/* ---- its life ---- */

static void take(struct sk_hub *hub) {
    sk_quota_set(hub->backend.quota, hub->options->tier, hub->options->units);
}

static enum sk_status open_quota(struct sk_hub *hub, char reason[512]) {
    (void)reason;
    hub->backend.quota = sk_quota_new(&hub->backend);
    take(hub);
    return SK_OK;
}

static void start(struct sk_hub *hub) {
    sk_registry_document_get(hub->registry, KIND, KEY, loaded, hub);
    sk_timer_start(hub->backend.io, &hub->quota_save, SAVE_S * SK_S, on_save);
}

static void reload(struct sk_hub *hub, const struct sk_hub_options *before) {
    (void)before;
    take(hub);
}

static void stop(struct sk_hub *hub) {
    sk_timer_stop(&hub->quota_save);
    save(hub);
}

static void free_quota(struct sk_hub *hub) {
    sk_timer_stop(&hub->quota_save);
    sk_quota_free(hub->backend.quota);
}

/* ---- its keys ---- */

static const struct sk_config_key keys[] = {
    {"hub[].quota", &sk_config_table, .does = "Limits like those of a tier of Azure IoT Hub",
     .page = "how-to/quotas.md"},
    {"hub[].quota.tier", &sk_config_choice, SK_CONFIG_AT(struct sk_hub_options, tier),
     .choices = "none|F1|S1|S2|S3", .otherwise = "\"none\"",
     .does = "The tier: rates of operations, messages a day, devices"},
    {"hub[].quota.units", &sk_config_integer, SK_CONFIG_AT(struct sk_hub_options, units),
     .least = 1, .most = SK_QUOTA_UNITS_MAX, .otherwise = "1",
     .does = "How many units of it; F1 has one, S3 at most 10"},
    {0}};

static void check(struct sk_config *reading, const char *hub,
                  const struct sk_hub_options *options) {
    unsigned most = sk_quota_units_max(options->tier);
    char path[64];
    if (options->units <= most) return;
    snprintf(path, sizeof path, "%s.quota.units", hub);
    sk_config_refuse(reading, path, "the tier has at most %u; write units = %u, or another tier.",
                     most, most);
}

const struct sk_hub_part hub_part_quota = {.keys = keys,
                                           .check = check,
                                           .open = open_quota,
                                           .start = start,
                                           .stop = stop,
                                           .reload = reload,
                                           .free = free_quota};
