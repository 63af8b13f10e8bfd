/* Telemetry's way in: stamp, route, append, acknowledge when durable. The hot path of the hub. */
#include <stdio.h>

#include "hub/parts.h"
#include "gateway/once.h"
#include "hub/events/partitions.h"

/* All of it is durable, or not to be had. */
static void stored(struct sk_request *request, enum sk_status status) {
    struct sk_hub *hub = hub_of(request->backend);
    if (request->backend_data) { /* numbered by an edge */
        SK_CLEANUP_FREE char *number = request->backend_data;
        sk_once_done(hub->once, request->device, request->module, sk_span_z(number),
                     status == SK_OK);
    }
    if (status)
        sk_request_refuse(
            request, status == SK_NO_SPACE ? SK_FAULT_QUOTA_EXCEEDED : SK_FAULT_SERVER_ERROR, NULL);
    else
        sk_request_answer(request);
}

/* The request's number is that of its event and its partition; 0: it is no event of the stream. */
static void note_event(struct sk_request *request, enum sk_status status, uint64_t sequence) {
    uint64_t number = request->backend_number;
    if (status == SK_OK && number)
        sk_partition_stored(hub_of(request->backend)->partitions, (number - 1) % SK_PARTITIONS_MAX,
                            (number - 1) / SK_PARTITIONS_MAX, sequence);
}

static void appended(void *arg, enum sk_status status, uint64_t sequence) {
    struct sk_request *request = arg;
    note_event(request, status, sequence);
    stored(request, status);
}

/* Puts a record into the log for these endpoints, and into its partition, if `events` is among
 * them. What is not taken at once needs no number. */
static enum sk_status append(struct sk_hub *hub, struct sk_request *request,
                             struct sk_message *message, unsigned partition, uint64_t bits,
                             sk_log_done *done, void *arg) {
    char text[24];
    message->system[SK_SYS_SEQUENCE_NUMBER] = SK_NONE;
    if (bits & HUB_TO_EVENTS) {
        uint64_t number = sk_partition_next(hub->partitions, partition);
        int n = snprintf(text, sizeof text, "%llu", (unsigned long long)number);
        message->system[SK_SYS_SEQUENCE_NUMBER] = sk_span(text, (size_t)n);
        request->backend_number = number * SK_PARTITIONS_MAX + partition + 1;
    }
    hub->scratch.n = 0;
    enum sk_status status = sk_message_encode_head(&hub->scratch, message);
    struct sk_span parts[] = {sk_buffer_span(&hub->scratch), message->body};
    uint64_t routes = bits & ~HUB_TO_EVENTS;
    if (bits & HUB_TO_EVENTS) routes |= sk_partition_route(partition);
    if (status == SK_OK) status = sk_log_append(hub->log, parts, 2, routes, done, arg);
    if (status == SK_OK && bits & HUB_TO_EVENTS) sk_partition_take(hub->partitions, partition);
    return status;
}

static void count(struct sk_hub *hub, const struct sk_message *message, enum sk_status status) {
    if (message->source != SK_SOURCE_TELEMETRY) return;
    if (status)
        hub->counts.telemetry_refused_total++;
    else
        hub->counts.telemetry_total++;
}

/* An event of the hub's own on its way. */
struct emission {
    struct sk_request request;
    hub_emitted *done;
    void *arg;
};

static void emitted(struct sk_request *request, const struct sk_answer *answer) {
    struct sk_hub *hub = hub_of(request->backend);
    if (answer->error && hub->counts.notices_lost_total++ == 0)
        SK_WARN("hub", "%s: an event of the hub's own could not be stored (%s); more are counted",
                hub->options->name, sk_error_text(answer->error));
    struct emission *emission = SK_CONTAINER(request, struct emission, request);
    if (emission->done) emission->done(emission->arg, answer->error == NULL);
    free(emission);
}

void hub_send_event(struct sk_hub *hub, struct sk_request *request, unsigned partition) {
    struct sk_message message = *request->message;
    enum sk_status status =
        append(hub, request, &message, partition, HUB_TO_EVENTS, appended, request);
    count(hub, &message, status);
    if (status) sk_request_refuse(request, sk_fault_of_status(status), NULL);
}

/* True: an edge sends it again, as it has not heard of our acknowledgement; answered. */
static bool is_repeated(struct sk_hub *hub, struct sk_request *request,
                        const struct sk_message *message) {
    switch (sk_once_check(hub->once, message)) {
    case SK_ONCE_NEW: return false;
    case SK_ONCE_STORED:
        hub->counts.repeated_total++;
        sk_request_answer(request);
        return true;
    default: sk_request_refuse(request, SK_FAULT_UNAVAILABLE, NULL); return true;
    }
}

/* ---- a message whose endpoints do not all get the same: several records ---- */

struct split {
    struct sk_request *request;
    unsigned left;
    enum sk_status status; /* the first that is not fine */
};

static void part_ended(struct split *split, enum sk_status status) {
    if (split->status == SK_OK) split->status = status;
    if (--split->left) return;
    stored(split->request, split->status);
    free(split);
}

static void part_appended(void *arg, enum sk_status status, uint64_t sequence) {
    (void)sequence;
    part_ended(arg, status);
}

static void event_appended(void *arg, enum sk_status status, uint64_t sequence) {
    struct split *split = arg;
    note_event(split->request, status, sequence);
    part_ended(split, status);
}

/* Once something has been taken, what is not refuses the message later, as a full disk does. */
static enum sk_status append_split(struct sk_hub *hub, struct sk_request *request,
                                   const struct sk_message *message, const json_t *twin,
                                   unsigned partition, uint64_t bits, uint64_t inside) {
    struct split *split = SK_NEW(struct split);
    enum sk_status status = SK_OK;
    *split = (struct split){.request = request};
    while (bits && !status) {
        struct sk_message part = *message;
        uint64_t same = hub_enrich(hub, &part, twin, bits);
        sk_log_done *done = same & HUB_TO_EVENTS ? event_appended : part_appended;
        /* Where the last is found after a crash, all are. */
        if (bits & ~same) part.system[SK_SYS_EDGE_NUMBER] = SK_NONE;
        status = append(hub, request, &part, partition, same | inside, done, split);
        split->left += status == SK_OK;
        bits &= ~same;
        inside = 0; /* the first is theirs, too */
    }
    if (status && split->left) {
        split->status = status == SK_AGAIN ? SK_IO : status;
        return SK_OK;
    }
    if (status) free(split);
    return status;
}

static enum sk_status append_all(struct sk_hub *hub, struct sk_request *request,
                                 const struct sk_message *message, const json_t *twin,
                                 uint64_t bits, uint64_t inside) {
    unsigned partition = sk_partition_of(hub->partitions, message->device);
    struct sk_message stamped = *message;
    request->backend_number = 0;
    enum sk_status status =
        bits == 0 || hub_enrich(hub, &stamped, twin, bits) == bits
            ? append(hub, request, &stamped, partition, bits | inside, appended, request)
            : append_split(hub, request, message, twin, partition, bits, inside);
    count(hub, message, status);
    return status;
}

/* `twin`: its sender's, where routes want to know it; else NULL. */
static void store(struct sk_hub *hub, struct sk_request *request, struct sk_message *message,
                  const json_t *twin) {
    bool telemetry = message->source == SK_SOURCE_TELEMETRY;
    uint64_t bits = hub_route(hub, message, twin),
             inside = telemetry && hub->inside_readers ? HUB_TO_INSIDE : 0;
    if (bits == 0 && telemetry) hub->counts.dropped_total++;
    if ((bits | inside) == 0) { /* taken and dropped, as the cloud does */
        sk_request_answer(request);
        return;
    }
    struct sk_span number = message->system[SK_SYS_EDGE_NUMBER];
    if (number.n && is_repeated(hub, request, message)) return;
    if (number.n) request->backend_data = sk_span_dup(number);
    enum sk_status status = append_all(hub, request, message, twin, bits, inside);
    if (status == SK_OK) return;
    if (number.n) {
        sk_once_done(hub->once, request->device, request->module, number, false);
        free(request->backend_data);
        request->backend_data = NULL;
    }
    sk_request_refuse(request, sk_fault_of_status(status), NULL);
}

/* A message whose routing waits for its sender's twin; all of them do, so their order stays. */
struct waiting {
    struct sk_hub *hub;
    struct sk_request *request;
    struct sk_buffer envelope;
};

static void have_twin(void *arg, const struct sk_registry_end *end,
                      struct sk_registry_entry *entry) {
    struct waiting *waiting = arg;
    struct sk_arena arena = {0};
    struct sk_message message;
    json_t *twin = entry ? sk_twin_whole_json(&entry->twin, &entry->identity) : json_object();
    (void)end; /* without a twin its properties are undefined */
    enum sk_status status = sk_message_decode(sk_buffer_span(&waiting->envelope), &arena, &message);
    SK_ASSERT(status == SK_OK); /* we have written it */
    store(waiting->hub, waiting->request, &message, twin);
    json_decref(twin);
    sk_arena_free(&arena);
    sk_buffer_free(&waiting->envelope);
    free(waiting);
}

static void ingest(struct sk_hub *hub, struct sk_request *request, struct sk_message *message) {
    if (!hub->routes_need_twin[message->source] || message->device.n == 0) {
        store(hub, request, message, NULL);
        return;
    }
    struct waiting *waiting = SK_NEW(struct waiting);
    *waiting = (struct waiting){hub, request, {0}};
    if (sk_message_encode_head(&waiting->envelope, message)) {
        sk_request_refuse(request, SK_FAULT_MESSAGE_TOO_LARGE, NULL);
        free(waiting);
        return;
    }
    sk_buffer_append(&waiting->envelope, message->body);
    sk_registry_twin_get(hub->registry, message->device, message->module, have_twin, waiting);
}

static void take(struct sk_hub *hub, struct sk_request *request) {
    struct sk_message message = *request->message;
    message.system[SK_SYS_GENERATION_ID] = sk_span_z(request->who->generation_id);
    message.system[SK_SYS_AUTH_METHOD] = sk_span_z(request->who->auth_method);
    if (!sk_once_counts(request)) message.system[SK_SYS_EDGE_NUMBER] = SK_NONE;
    ingest(hub, request, &message);
}

void hub_emit_then(struct sk_hub *hub, struct sk_message *message, hub_emitted *done, void *arg) {
    if (hub->closing) {
        if (done) done(arg, false);
        return;
    }
    struct emission *emission = SK_NEW(struct emission);
    *emission = (struct emission){
        .request = {.backend = &hub->backend, .done = emitted, .op = SK_OP_TELEMETRY},
        .done = done,
        .arg = arg};
    ingest(hub, &emission->request, message);
}

void hub_emit(struct sk_hub *hub, struct sk_message *message) {
    hub_emit_then(hub, message, NULL, NULL);
}

/* ---- its metrics ---- */

static const struct sk_hub_metric metrics[] = {
    {"skerry_hub_telemetry_total", "Messages accepted.", SK_HUB_COUNT(telemetry_total)},
    {"skerry_hub_telemetry_refused_total", "Messages refused: store full or busy.",
     SK_HUB_COUNT(telemetry_refused_total)},
    {"skerry_hub_telemetry_dropped_total", "Messages that no route and no fallback took.",
     SK_HUB_COUNT(dropped_total)},
    {"skerry_hub_telemetry_repeated_total", "Messages that an edge sent again, stored already.",
     SK_HUB_COUNT(repeated_total)},
    {"skerry_hub_notices_lost_total", "Events of the hub's own that could not be stored.",
     SK_HUB_COUNT(notices_lost_total)},
    {"skerry_hub_log_bytes", "Bytes of stored events on disk.", SK_HUB_COUNT(log_bytes)},
    {"skerry_hub_log_next_sequence", "Sequence number of the next event.",
     SK_HUB_COUNT(next_sequence)},
    {0}};

const struct sk_hub_part hub_part_ingest = {.metrics = metrics,
                                            .serve = {[SK_OP_TELEMETRY] = take}};
