/* The table of rights, and how an identity stands to another. */
#include "gateway/rights.h"

static const struct {
    unsigned right;      /* of a policy; 0: no policy may */
    unsigned targets[4]; /* by actor */
} rules[SK_OP_COUNT] = {
#define SK_OPERATION(op, right, device, edge_device, module, edge_hub, ...)                        \
    [SK_OP_##op] = {right, {device, edge_device, module, edge_hub}},
#include "model/operations.def"
};

bool sk_may(enum sk_op op, enum sk_actor actor, unsigned targets) {
    return (rules[op].targets[actor] & targets) != 0;
}

bool sk_policy_may(enum sk_op op, unsigned rights) {
    if (rules[op].right == SK_RIGHT_OWNER) return (rights & SK_RIGHT_ALL) == SK_RIGHT_ALL;
    return (rules[op].right & rights) != 0;
}

enum sk_target sk_target_at_home(struct sk_span actor_module, struct sk_span module) {
    if (sk_span_eq(actor_module, module)) return SK_ON_SELF;
    if (module.n == 0) return SK_ON_OWN_DEVICE;
    return module.p[0] == '$' ? SK_ON_SYSTEM_MODULE : SK_ON_OWN_MODULE;
}
