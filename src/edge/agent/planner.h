/* From what is desired and what is there to the steps in between: a pure function
 * (docs/protocols/edge-runtime.md, sections 4.2 and 4.3).
 *
 * Steps come in groups by startup order; within a group first removals, then additions and
 * updates, then changes of the desired status, then restarts. What is not ready is got in the
 * background, and what runs is left alone until it is there; modules of later groups are not added
 * or changed while those of an earlier one are being got for the first time, but they are watched
 * and restarted. A module with policy `always` is restarted for ever, at most every 5 minutes; the
 * others are given up after 20 restarts, until the next deployment. */
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
    SK_MODULE_FAILED,
    SK_MODULE_UNHEALTHY,
    SK_MODULE_DEAD,
    SK_MODULE_UNKNOWN, /* not made yet, or nobody can be asked */
};

/* What is known of a module that has been created. */
struct sk_module_state {
    const struct sk_module_spec *spec; /* that it was made from */
    bool running;
    bool started;     /* at least once since it was made */
    bool exit_failed; /* the last run ended with another code than 0, or by a signal */
    bool unhealthy;   /* it runs, but its own check says that it does not work */
    bool lost;        /* it is dead, or somebody has removed it: it has to be made anew */
    bool held;        /* nothing can be done with it now: its engine does not answer */
    unsigned restart_count;
    uint64_t started_ns; /* monotonic */
    uint64_t exited_ns;  /* or when it became unhealthy */
};

/* Whether what a desired module is made from (its image) is at hand. */
enum sk_readiness {
    SK_READY,
    SK_UNPREPARED, /* nobody has begun to get it */
    SK_PREPARING,
    SK_UNREADY, /* could not be had; it is tried again by itself */
    SK_HELD,    /* nothing can be done now */
};

enum sk_plan_kind {
    SK_PLAN_PREPARE, /* begin to get its image; the plan does not wait for it */
    SK_PLAN_CREATE,  /* identity, folder, socket; its container */
    SK_PLAN_UPDATE,  /* the same for a changed spec; it is stopped by then */
    SK_PLAN_DISCARD, /* what it was made as goes; identity and socket stay */
    SK_PLAN_REMOVE,
    SK_PLAN_START,
    SK_PLAN_STOP,
    SK_PLAN_RESTART, /* start, and count it */
    SK_PLAN_FORGET_RESTARTS,
};
enum { SK_PLAN_KINDS = SK_PLAN_FORGET_RESTARTS + 1 };
struct sk_plan_step {
    enum sk_plan_kind kind;
    const char *module; /* of the desired or the actual spec; lives as long as that */
};
struct sk_plan {
    struct sk_plan_step *steps;
    size_t count, capacity;
    uint64_t again_ns; /* when the next back-off ends; UINT64_MAX: nothing to wait for */
};

/* Both sides: at most one entry a name. `ready`: one for each desired module; NULL: all are. The
 * plan's memory is the caller's to free with sk_plan_free. */
void sk_plan_make(const struct sk_deployment *desired, const enum sk_readiness *ready,
                  const struct sk_module_state *actual, size_t actual_count, uint64_t now_ns,
                  struct sk_plan *plan);
void sk_plan_free(struct sk_plan *plan);
/* How the module stands under its policy, for the report. */
enum sk_module_runtime sk_module_runtime(const struct sk_module_state *state);
const char *sk_module_runtime_text(enum sk_module_runtime runtime);
/* When a module in back-off is due. */
uint64_t sk_module_due_ns(const struct sk_module_state *state);
const char *sk_plan_kind_text(enum sk_plan_kind kind);

#endif
