/* How much of one connection's work may be under way: in the log's batch, at the registry's worker,
 * at the other end of a link. Whoever has that much waits, before the others wait for him. */
#include "gateway/parts.h"

enum {
    REQUESTS_MAX = 4096, /* small ones */
    DEAR = 64,           /* what a request counts that is not the sending of a message */
    BYTES_MAX = 1024 * 1024,
};

struct sk_cost budget_take(struct sk_budget *budget, enum sk_op op, size_t bytes) {
    struct sk_cost cost = {.requests = op == SK_OP_TELEMETRY || op == SK_OP_SETTLE ? 1 : DEAR,
                           .bytes = bytes};
    budget->requests += cost.requests;
    budget->bytes += cost.bytes;
    if (budget->requests >= REQUESTS_MAX || budget->bytes >= BYTES_MAX) budget->full = true;
    return cost;
}

void budget_give(struct sk_budget *budget, struct sk_cost cost) {
    SK_ASSERT(budget->requests >= cost.requests && budget->bytes >= cost.bytes);
    budget->requests -= cost.requests;
    budget->bytes -= cost.bytes;
    if (budget->requests <= REQUESTS_MAX / 2 && budget->bytes <= BYTES_MAX / 2)
        budget->full = false;
}
