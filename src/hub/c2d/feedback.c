/* Feedback: the records of how cloud-to-device messages ended, gathered into messages for
 * services. Reference: docs/protocols/service-api.md, section 6, "Feedback". */
#include "hub/parts.h"

enum { GATHER_S = 15 };

int64_t hub_feedback_ttl_us(const struct sk_hub *hub) {
    return hub->options->c2d.feedback_ttl_us;
}

static struct outbox_settings settings(const struct sk_hub *hub) {
    const struct sk_hub_c2d_options *c2d = &hub->options->c2d;
    return (struct outbox_settings){.ttl_us = c2d->feedback_ttl_us,
                                    .lock_us = c2d->feedback_lock_us,
                                    .deliveries_max = c2d->feedback_deliveries_max};
}

static void start(struct sk_hub *hub) {
    static const struct outbox_kind kind = {
        .topic = SK_TOPIC_FEEDBACK,
        .gather_s = GATHER_S,
        .batch_max = SK_FEEDBACK_BATCH_MAX,
        .content_type = {SK_FEEDBACK_TYPE, sizeof SK_FEEDBACK_TYPE - 1},
        .put = sk_feedback_record_json,
        .settings = settings};
    outbox_open(&hub->feedback, hub, &kind);
}

void hub_feedback_added(struct sk_hub *hub, const struct sk_registry_ended *ended) {
    hub->counts.feedback_total += ended->feedback_added;
    outbox_added(&hub->feedback, ended->feedback_added, ended->feedback_newest);
}

static void settle(struct sk_hub *hub, struct sk_request *request) {
    outbox_settle(&hub->feedback, request);
}

static void receive(struct sk_hub *hub, struct sk_request *request) {
    outbox_receive(&hub->feedback, request);
}

static void subscribe(struct sk_hub *hub, struct sk_request *request) {
    outbox_subscribe(&hub->feedback, request);
}

static void close_box(struct sk_hub *hub) {
    outbox_close(&hub->feedback);
}

#define AT(field) SK_CONFIG_AT(struct sk_hub_options, field)

static const struct sk_config_key keys[] = {
    {"hub[].cloud_to_device.feedback", &sk_config_table,
     .does = "Feedback: what became of cloud-to-device messages"},
    {"hub[].cloud_to_device.feedback.ttl", &sk_config_duration, AT(c2d.feedback_ttl_us),
     .least = 60ll * 1000000, .most = 172800ll * 1000000, .otherwise = "\"1h\"",
     .does = "How long it is kept for those who receive it"},
    {"hub[].cloud_to_device.feedback.lock_duration", &sk_config_duration, AT(c2d.feedback_lock_us),
     .least = 5ll * 1000000, .most = 300ll * 1000000, .otherwise = "\"60s\"",
     .does = "How long a receiver has a batch for itself"},
    {"hub[].cloud_to_device.feedback.max_delivery_count", &sk_config_integer,
     AT(c2d.feedback_deliveries_max), .least = 1, .most = 100, .otherwise = "10",
     .does = "How often a batch may be abandoned before it is gone"},
    {0}};

/* ---- its metrics ---- */

static const struct sk_hub_metric metrics[] = {
    {"skerry_hub_feedback_total", "Feedback records made.", SK_HUB_COUNT(feedback_total)}, {0}};

const struct sk_hub_part hub_part_feedback = {.metrics = metrics,
                                              .keys = keys,
                                              .serve = {[SK_OP_FEEDBACK_SUBSCRIBE] = subscribe,
                                                        [SK_OP_FEEDBACK_RECEIVE] = receive,
                                                        [SK_OP_FEEDBACK_SETTLE] = settle},
                                              .start = start,
                                              .registry_closed = close_box};
