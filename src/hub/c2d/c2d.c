/* Cloud-to-device messages: what a service may ask of a device's queue, and their expiry. The
 * queues themselves: queue.c. Reference: docs/protocols/device-protocols.md, section 6.1;
 * docs/protocols/service-api.md, section 6. */
#include "hub/c2d/c2d.h"

#include <stdio.h>

enum { SWEEP_MAX = 256, SWEEP_LEAST_US = 10000, MESSAGE_ID_MAX = 128 };

/* ---- sending ---- */

/* Names that are also HTTP headers' names (docs/protocols/device-protocols.md, section 5.2). */
static bool names_fine(const struct sk_message *message) {
    for (size_t i = 0; i < message->property_count; i++) {
        struct sk_span name = message->properties[i].name;
        if (name.n == 0 || !sk_span_only(name, "!#$%&'*+-.^_`|~")) return false;
    }
    return true;
}

/* Over MQTT the properties are part of a topic, percent-encoded, beside the device's id. */
static bool fits_a_topic(struct sk_hub *hub, const struct sk_message *message) {
    enum { TOPIC_MAX = 65535, REST_MAX = 512 };
    hub->scratch.n = 0;
    sk_bag_format(&hub->scratch, message);
    return hub->scratch.n <= TOPIC_MAX - REST_MAX;
}

/* When it expires; `text` gets the normal form of what the sender said. False: refused. */
static bool read_expiry(struct sk_hub *hub, struct sk_request *request, struct sk_message *message,
                        char text[SK_TIME_TEXT], int64_t *expiry_us) {
    int64_t now = sk_io_wall(hub->backend.io);
    *expiry_us = now + hub->options->c2d.default_ttl_us;
    if (message->system[SK_SYS_EXPIRY].n == 0) return true;
    if (sk_time_parse(message->system[SK_SYS_EXPIRY], expiry_us)) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "the expiry is not a time such as 2026-11-21T07:00:00Z");
        return false;
    }
    if (*expiry_us <= now || *expiry_us > now + SK_C2D_TTL_MAX_US) {
        sk_request_refuse(request, SK_FAULT_MESSAGE_EXPIRY, NULL);
        return false;
    }
    sk_time_text(*expiry_us, text);
    message->system[SK_SYS_EXPIRY] = sk_span_z(text);
    return true;
}

/* What nobody but us may say, and what every message says. */
static void stamp(struct sk_hub *hub, const struct sk_request *request, enum sk_c2d_ack ack,
                  struct sk_message *message) {
    static const enum sk_system_property ours[] = {SK_SYS_EDGE_NUMBER, SK_SYS_INPUT,
                                                   SK_SYS_OUTPUT,      SK_SYS_MODEL_ID,
                                                   SK_SYS_AUTH_METHOD, SK_SYS_GENERATION_ID};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) message->system[ours[i]] = SK_NONE;
    message->device = request->device;
    message->module = SK_NONE;
    /* Who said nothing about it, its message says nothing: over MQTT devices see what is said. */
    if (message->system[SK_SYS_ACK].n)
        message->system[SK_SYS_ACK] = sk_span_z(sk_c2d_ack_name(ack));
    if (message->system[SK_SYS_TO].n) return;
    sk_arena_reset(&hub->arena);
    message->system[SK_SYS_TO] =
        sk_arena_print(&hub->arena, "/devices/%.*s/messages/deviceBound", SK_ARG(request->device));
}

static void plan_sweep(struct sk_hub *hub, int64_t at_us);

static void stored(void *arg, const struct sk_registry_end *end,
                   const struct sk_registry_c2d *message) {
    struct sk_request *request = arg;
    struct sk_hub *hub = request->backend_data;
    if (end->status == SK_TOO_LARGE) {
        sk_request_refuse(request, SK_FAULT_QUEUE_DEPTH, NULL);
        return;
    }
    if (end->status) {
        hub_refuse_status(request, end);
        return;
    }
    hub->counts.c2d_accepted_total++;
    plan_sweep(hub, message->expiry_us);
    sk_c2d_queue_stored(hub, request->device, message);
    sk_request_answer(request);
}

static void send(struct sk_hub *hub, struct sk_request *request) {
    struct sk_message message = *request->message;
    struct sk_registry_c2d_new row;
    char expiry[SK_TIME_TEXT];
    enum sk_c2d_ack ack;
    if (request->module.n) {
        sk_request_refuse(request, SK_FAULT_NOT_FOUND,
                          "a module gets no cloud-to-device messages; send to its device");
        return;
    }
    if (sk_c2d_ack_parse(message.system[SK_SYS_ACK], &ack)) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "iothub-ack is none, positive, negative or full");
        return;
    }
    if (!names_fine(&message) || message.system[SK_SYS_MESSAGE_ID].n > MESSAGE_ID_MAX) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "a message id has at most %d characters, a property's name consists of "
                          "letters, digits and !#$%%&'*+-.^_`|~",
                          MESSAGE_ID_MAX);
        return;
    }
    if (!read_expiry(hub, request, &message, expiry, &row.expiry_us)) return;
    if (sk_message_size(&message) > SK_C2D_MESSAGE_MAX ||
        message.property_count > SK_PROPERTIES_MAX) {
        sk_request_refuse(request, SK_FAULT_MESSAGE_TOO_LARGE,
                          "a cloud-to-device message has at most 64 KB");
        return;
    }
    stamp(hub, request, ack, &message);
    if (!fits_a_topic(hub, &message)) {
        sk_request_refuse(request, SK_FAULT_MESSAGE_TOO_LARGE,
                          "the properties are longer than an MQTT topic can be");
        return;
    }
    hub->scratch.n = 0;
    if (sk_message_encode_head(&hub->scratch, &message)) {
        sk_request_refuse(request, SK_FAULT_MESSAGE_TOO_LARGE, NULL);
        return;
    }
    row.message_id = message.system[SK_SYS_MESSAGE_ID];
    row.ack = ack;
    row.envelope[0] = sk_buffer_span(&hub->scratch);
    row.envelope[1] = message.body;
    request->backend_data = hub;
    sk_registry_c2d_put(hub->registry, request->device, &row, stored, request);
}

/* ---- expiry: queues with expired messages are opened, and look themselves ---- */

static void sweep(struct sk_timer *timer);

static void plan_sweep(struct sk_hub *hub, int64_t at_us) {
    struct sk_io *io = hub->backend.io;
    int64_t soonest_us = sk_io_wall(io) + SWEEP_LEAST_US;
    if (at_us < soonest_us) at_us = soonest_us;
    if (sk_timer_running(&hub->c2d.sweep) && hub->c2d.sweep_us <= at_us) return;
    hub->c2d.sweep_us = at_us;
    sk_timer_start_at(io, &hub->c2d.sweep, at_us, sweep);
}

static void swept(void *arg, const struct sk_registry_end *end,
                  const struct sk_registry_expired *expired) {
    struct sk_hub *hub = arg;
    if (hub->closing) return;
    for (size_t i = 0; i < expired->count; i++) sk_c2d_queue_look(hub, expired->devices[i]);
    int64_t now = sk_io_wall(hub->backend.io);
    if (end->status || expired->count == SWEEP_MAX)
        plan_sweep(hub, now + 1000000);
    else if (expired->count || expired->next_us != INT64_MAX)
        plan_sweep(hub, expired->next_us);
}

static void sweep(struct sk_timer *timer) {
    struct sk_hub *hub = SK_CONTAINER(timer, struct sk_hub, c2d.sweep);
    sk_registry_c2d_expired(hub->registry, sk_io_wall(hub->backend.io), SWEEP_MAX, swept, hub);
}

static void start(struct sk_hub *hub) {
    plan_sweep(hub, 0);
}

#define AT(field) SK_CONFIG_AT(struct sk_hub_options, field)

/* Limits and defaults are IoT Hub's: docs/protocols/device-protocols.md, section 6.1. */
static const struct sk_config_key keys[] = {
    {"hub[].cloud_to_device", &sk_config_table, .does = "Cloud-to-device messages"},
    {"hub[].cloud_to_device.default_ttl", &sk_config_duration, AT(c2d.default_ttl_us),
     .least = 60ll * 1000000, .most = 172800ll * 1000000, .otherwise = "\"1h\"",
     .does = "How long a message lives that says nothing about it"},
    {"hub[].cloud_to_device.max_delivery_count", &sk_config_integer, AT(c2d.deliveries_max),
     .least = 1, .most = 100, .otherwise = "10",
     .does = "How often a message may be abandoned before it is dead"},
    {0}};

/* ---- its metrics ---- */

static const struct sk_hub_metric metrics[] = {
    {"skerry_hub_c2d_accepted_total", "Cloud-to-device messages accepted.",
     SK_HUB_COUNT(c2d_accepted_total)},
    {"skerry_hub_c2d_completed_total", "Cloud-to-device messages completed.",
     SK_HUB_COUNT(c2d_ended_total[SK_C2D_COMPLETED])},
    {"skerry_hub_c2d_abandoned_total", "Cloud-to-device messages abandoned and queued again.",
     SK_HUB_COUNT(c2d_abandoned_total)},
    {"skerry_hub_c2d_rejected_total", "Cloud-to-device messages rejected.",
     SK_HUB_COUNT(c2d_ended_total[SK_C2D_REJECTED])},
    {"skerry_hub_c2d_expired_total", "Cloud-to-device messages that expired.",
     SK_HUB_COUNT(c2d_ended_total[SK_C2D_EXPIRED])},
    {"skerry_hub_c2d_delivery_count_exceeded_total",
     "Cloud-to-device messages abandoned too often.",
     SK_HUB_COUNT(c2d_ended_total[SK_C2D_DELIVERY_COUNT_EXCEEDED])},
    {"skerry_hub_c2d_purged_total", "Cloud-to-device messages purged.",
     SK_HUB_COUNT(c2d_ended_total[SK_C2D_PURGED])},
    {0}};

const struct sk_hub_part hub_part_c2d = {.metrics = metrics,
                                         .keys = keys,
                                         .serve = {[SK_OP_C2D_SEND] = send,
                                                   [SK_OP_C2D_RECEIVE] = sk_c2d_queue_receive,
                                                   [SK_OP_C2D_PURGE] = sk_c2d_queue_purge,
                                                   [SK_OP_C2D_SETTLE] = sk_c2d_queue_settle,
                                                   [SK_OP_SETTLE] = sk_c2d_queue_settle},
                                         .start = start,
                                         .registry_closed = sk_c2d_queues_free,
                                         .subscribed = sk_c2d_queue_online,
                                         .writable = sk_c2d_queue_online,
                                         .closed = sk_c2d_queue_offline};
