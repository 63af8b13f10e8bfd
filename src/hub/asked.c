/* In front of all that a hub does: what is asked is counted, recorded and traced with its answer.
 * Of telemetry, which is counted where it is stored, only what is recorded or traced. */
#include "hub/records.h"

static void answered(struct sk_request *request, const struct sk_answer *answer) {
    struct sk_hub *hub = hub_of(request->backend);
    hub->counts.asked[request->op][answer->error != NULL]++;
    if (request->recorded) hub_record(hub, request, answer->error);
    if (request->trace) hub_trace(hub, request, answer->error);
    request->asker(request, answer); /* it may be gone afterwards */
}

static bool is_frequent(enum sk_op op) {
    return op == SK_OP_TELEMETRY || op == SK_OP_SETTLE || op == SK_OP_METHOD_RESPOND;
}

void hub_asked(struct sk_hub *hub, struct sk_request *request) {
    bool recorded = hub_records_want(hub, request), traced = hub_tracing_wants(hub, request);
    if (is_frequent(request->op) && !recorded && !traced) return;
    request->asked_ns = sk_io_now(hub->backend.io);
    request->backend = &hub->backend;
    request->asker = request->done;
    request->done = answered;
}
