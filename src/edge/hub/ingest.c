/* A message comes in: its way through the routes, into the log. Reference:
 * docs/protocols/edge-runtime.md, section 5.2. */
#include "edge/hub/parts.h"
#include "gateway/once.h"

/* A record on its way to the disk. */
struct ingest {
    struct sk_edge_hub *hub;
    struct sk_request *request; /* NULL: nobody asked */
    uint64_t bits;
    size_t bytes;
    char *number; /* that an edge below has given it, or NULL */
    struct sk_edge_series *received;
};

static void refuse(struct sk_edge_hub *hub, struct sk_request *request,
                   const struct sk_edge_series *received, enum sk_status status) {
    hub->counts.full_total += status == SK_NO_SPACE;
    edge_count_unacked(hub, received);
    if (status == SK_NO_SPACE)
        sk_request_refuse(request, SK_FAULT_QUOTA_EXCEEDED,
                          "the edge hub has no room for more messages");
    else
        sk_request_refuse(request, sk_fault_of_status(status), NULL);
}

static void appended(void *arg, enum sk_status status, uint64_t sequence) {
    struct ingest one = *(struct ingest *)arg;
    free(arg);
    edge_room_taken(one.hub, sk_record_bytes(one.bytes));
    if (one.number) {
        sk_once_done(one.hub->once, one.request->device, one.request->module, sk_span_z(one.number),
                     status == SK_OK);
        free(one.number);
    }
    edge_queues_stored(one.hub, sequence, one.bits, one.bytes, status);
    if (one.request == NULL) {
        if (status)
            SK_WARN("edge-hub", "a notification of a twin's change cannot be stored (%s)",
                    sk_status_text(status));
    } else if (status) {
        refuse(one.hub, one.request, one.received, status);
    } else {
        sk_request_answer(one.request);
    }
}

/* Stores a message for these queues; SK_OK: `request` is answered when that has ended. */
static enum sk_status append(struct sk_edge_hub *hub, const struct sk_message *message,
                             uint64_t bits, struct sk_request *request,
                             struct sk_edge_series *received) {
    hub->scratch.n = 0;
    enum sk_status status = sk_message_encode_head(&hub->scratch, message);
    struct sk_span parts[] = {sk_buffer_span(&hub->scratch), message->body};
    size_t bytes = parts[0].n + parts[1].n;
    if (status) return status;
    if (!edge_room_take(hub, bits, sk_record_bytes(bytes))) return SK_NO_SPACE;
    struct ingest *one = SK_NEW(struct ingest);
    struct sk_span number = message->system[SK_SYS_EDGE_NUMBER];
    *one = (struct ingest){.hub = hub,
                           .request = request,
                           .bits = bits,
                           .bytes = bytes,
                           .number = number.n ? sk_span_dup(number) : NULL,
                           .received = received};
    status = sk_log_append(hub->log, parts, 2, bits, appended, one);
    if (status == SK_OK) {
        edge_queues_expect(hub, bits);
        return SK_OK;
    }
    edge_room_taken(hub, sk_record_bytes(bytes));
    free(one->number);
    free(one);
    return status;
}

/* Whether the message can go on by MQTT: there its properties are part of a topic, percent-encoded,
 * beside ids, input and number. */
static bool fits_a_topic(struct sk_edge_hub *hub, const struct sk_message *message) {
    enum { TOPIC_MAX = 65535, REST_MAX = 2048, LONGEST_KEY = 20 };
    size_t at_most = SK_SYS_COUNT * LONGEST_KEY + 2 * message->property_count +
                     3 * (sk_message_size(message) - message->body.n);
    if (at_most <= TOPIC_MAX - REST_MAX) return true;
    hub->scratch.n = 0;
    sk_bag_format(&hub->scratch, message);
    return hub->scratch.n <= TOPIC_MAX - REST_MAX;
}

/* What an edge below sends again, as it has not heard of our acknowledgement; answered. */
static bool is_repeated(struct sk_edge_hub *hub, struct sk_request *request) {
    switch (sk_once_check(hub->once, request->message)) {
    case SK_ONCE_NEW: return false;
    case SK_ONCE_STORED: sk_request_answer(request); return true;
    default: sk_request_refuse(request, SK_FAULT_UNAVAILABLE, NULL); return true;
    }
}

static void ingest(struct sk_edge_hub *hub, struct sk_request *request) {
    struct sk_message own = *request->message, *message = &own;
    if (!sk_once_counts(request)) message->system[SK_SYS_EDGE_NUMBER] = SK_NONE;
    if (!hub->routing
             /* dropping it with an acknowledgement would lose it for a deployment that is on its
              * way */
             .deployed) {
        sk_request_refuse(request, SK_FAULT_UNAVAILABLE,
                          "the edge hub has no routes yet; try again when a deployment has come");
        return;
    }
    if (!fits_a_topic(hub, message)) {
        sk_request_refuse(request, SK_FAULT_MESSAGE_TOO_LARGE,
                          "the properties are longer than a topic can be");
        return;
    }
    bool ending = false;
    uint64_t bits = edge_routes_match(hub, message, &ending);
    if (ending) {
        sk_request_refuse(request, SK_FAULT_UNAVAILABLE,
                          "the edge hub changes its routes; try again in a moment");
        return;
    }
    if (bits == 0) { /* taken and dropped: the sender gets its acknowledgement all the same */
        hub->counts.dropped_total++;
        edge_count_received(hub, message);
        edge_count_dropped(hub, "no_route", message);
        sk_request_answer(request);
        return;
    }
    if (message->system[SK_SYS_EDGE_NUMBER].n && is_repeated(hub, request)) return;
    struct sk_edge_series *received = edge_count_received(hub, message);
    enum sk_status status = append(hub, message, bits, request, received);
    if (status == SK_OK) {
        hub->counts.received_total++;
        return;
    }
    if (message->system[SK_SYS_EDGE_NUMBER].n)
        sk_once_done(hub->once, request->device, request->module,
                     message->system[SK_SYS_EDGE_NUMBER], false);
    refuse(hub, request, received, status);
}

void edge_ingest_twin_change(const struct sk_edge_identity *identity, struct sk_span patch) {
    struct sk_edge_hub *hub = identity->hub;
    struct sk_message message = {.source = SK_SOURCE_TWIN_CHANGES,
                                 .device = sk_span_z(identity->identity.device_id),
                                 .module = sk_span_z(identity->identity.module_id),
                                 .body = patch};
    message.system[SK_SYS_SCHEMA] = SK_SPAN("twinChangeNotification");
    message.system[SK_SYS_CONTENT_TYPE] = SK_SPAN("application/json");
    message.system[SK_SYS_CONTENT_ENCODING] = SK_SPAN("utf-8");
    uint64_t bits = edge_routes_match(hub, &message, NULL);
    if (bits) append(hub, &message, bits, NULL, NULL);
}

/* ---- life ---- */

static void remember(struct sk_timer *timer) {
    enum { EVERY_S = 5, BEHIND = 65536 };
    struct sk_edge_hub *hub = SK_CONTAINER(timer, struct sk_edge_hub, remember);
    sk_once_save(hub->once, BEHIND);
    sk_timer_start(hub->backend.io, timer, EVERY_S * SK_S, remember);
}

static void start(struct sk_edge_hub *hub) {
    remember(&hub->remember);
}

static void stop(struct sk_edge_hub *hub) {
    sk_timer_stop(&hub->remember);
    if (hub->once) sk_once_save(hub->once, 0);
}

const struct sk_edge_part edge_part_ingest = {
    .serve = {[SK_OP_TELEMETRY] = ingest}, .start = start, .stop = stop};
