/* From what is desired and what is there to the steps in between: a pure function
 * (docs/protocols/edge-runtime.md, sections 4.2 and 4.3).
 *
 * Steps come in groups by startup order; within a group first removals, then additions and
 * updates, then changes of the desired status, then restarts. One deviation from Azure: a module
 * with policy `always` is restarted for ever, at most every 5 minutes; the others are given up
 * after 20 restarts, until the next deployment. */
#ifndef SK_EDGE_AGENT_PLANNER_H
#define SK_EDGE_AGENT_PLANNER_H

#include "edge/agent/deployment.h"

#define SK_RESTARTS_MAX 20
#define SK_COOL_OFF_NS 10000000000ull /* doubled with each restart */
#define SK_COOL_OFF_MAX_NS 300000000000ull
#define SK_INTENSIVE_CARE_NS 600000000000ull /* running that long, its restarts are forgotten */

enum sk_module_runtime {
    SK_MODULE_STOPPED,
    SK_MODULE_RUNNING,
    SK_MODULE_BACKOFF,
    SK_MODULE_FAILED
};

/* What is known of a module that has been created. */
struct sk_module_state {
    const struct sk_module_spec *spec; /* that it was made from */
    bool running;
    bool started;     /* at least once since it was made */
    bool exit_failed; /* the last run ended with another code than 0, or by a signal */
    unsigned restart_count;
    uint64_t started_ns; /* monotonic */
    uint64_t exited_ns;
};

enum sk_plan_kind {
    SK_PLAN_CREATE, /* identity, folder, socket */
    SK_PLAN_UPDATE, /* the same for a changed spec; it is stopped by then */
    SK_PLAN_REMOVE,
    SK_PLAN_START,
    SK_PLAN_STOP,
    SK_PLAN_RESTART, /* start, and count it */
    SK_PLAN_FORGET_RESTARTS,
};
struct sk_plan_step {
    enum sk_plan_kind kind;
    const char *module; /* of the desired or the actual spec; lives as long as that */
};
struct sk_plan {
    struct sk_plan_step *steps;
    size_t count, capacity;
    uint64_t again_ns; /* when the next back-off ends; UINT64_MAX: nothing to wait for */
};

/* Both sides: at most one entry a name. The plan's memory is the caller's to free with
 * sk_plan_free. */
void sk_plan_make(const struct sk_deployment *desired, const struct sk_module_state *actual,
                  size_t actual_count, uint64_t now_ns, struct sk_plan *plan);
void sk_plan_free(struct sk_plan *plan);
/* How the module stands under its policy, for the report. */
enum sk_module_runtime sk_module_runtime(const struct sk_module_state *state);
const char *sk_module_runtime_text(enum sk_module_runtime runtime);
/* When a module in back-off is due. */
uint64_t sk_module_due_ns(const struct sk_module_state *state);
const char *sk_plan_kind_text(enum sk_plan_kind kind);

#endif
