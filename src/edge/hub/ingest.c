/* A message comes in: its way through the routes, into the log. Reference:
 * docs/protocols/edge-runtime.md, section 5.2. */
#include "edge/hub/parts.h"

static void appended(void *arg, enum sk_status status, uint64_t sequence) {
    (void)sequence;
    struct sk_request *request = arg;
    if (status == SK_OK)
        edge_queues_count(edge_hub_of(request->backend), request->backend_number,
                          (uintptr_t)request->backend_data);
    if (status)
        sk_request_refuse(
            request, status == SK_NO_SPACE ? SK_FAULT_QUOTA_EXCEEDED : SK_FAULT_SERVER_ERROR, NULL);
    else
        sk_request_answer(request);
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

static void ingest(struct sk_edge_hub *hub, struct sk_request *request) {
    struct sk_message numberless = *request->message, *message = &numberless;
    message->system[SK_SYS_EDGE_NUMBER] = SK_NONE; /* ours to give, when it is forwarded */
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
    uint64_t bits = edge_routes_match(hub, message);
    if (bits == 0) { /* taken and dropped: the sender gets its acknowledgement all the same */
        hub->counts.dropped_total++;
        sk_request_answer(request);
        return;
    }
    hub->scratch.n = 0;
    enum sk_status status = sk_message_encode_head(&hub->scratch, message);
    struct sk_span parts[] = {sk_buffer_span(&hub->scratch), message->body};
    request->backend = &hub->backend;
    request->backend_number = bits;
    request->backend_data = (void *)(uintptr_t)(parts[0].n + parts[1].n);
    if (status == SK_OK) status = sk_log_append(hub->log, parts, 2, bits, appended, request);
    if (status)
        sk_request_refuse(request, sk_fault_of_status(status), NULL);
    else
        hub->counts.received_total++;
}

const struct sk_edge_part edge_part_ingest = {.serve = {[SK_OP_TELEMETRY] = ingest}};
