#include "edge/agent/planner.h"

/* ---- restart policy ---- */

/* Whether the policy asks for another run of a module that is not running, or not well. */
static bool wants_restart(const struct sk_module_state *state) {
    enum sk_restart_policy policy = state->spec->restart_policy;
    if (state->running) return state->unhealthy && policy >= SK_RESTART_ON_UNHEALTHY;
    if (!state->started || policy == SK_RESTART_NEVER) return false;
    return policy == SK_RESTART_ALWAYS || state->exit_failed;
}

static bool given_up(const struct sk_module_state *state) {
    return state->restart_count >= SK_RESTARTS_MAX &&
           state->spec->restart_policy != SK_RESTART_ALWAYS;
}

enum sk_module_runtime sk_module_runtime(const struct sk_module_state *state) {
    if (state->lost) return SK_MODULE_DEAD;
    if (state->running) return state->unhealthy ? SK_MODULE_UNHEALTHY : SK_MODULE_RUNNING;
    if (!state->spec->stopped && wants_restart(state))
        return given_up(state) ? SK_MODULE_FAILED : SK_MODULE_BACKOFF;
    return state->started && state->exit_failed ? SK_MODULE_FAILED : SK_MODULE_STOPPED;
}

const char *sk_module_runtime_text(enum sk_module_runtime runtime) {
    static const char *const text[] = {"stopped",   "running", "backoff", "failed",
                                       "unhealthy", "dead",    "unknown"};
    return text[runtime];
}

uint64_t sk_module_due_ns(const struct sk_module_state *state) {
    uint64_t wait = SK_COOL_OFF_MAX_NS;
    if (state->restart_count < 5)
        wait = SK_COOL_OFF_NS << state->restart_count; /* 10 s · 2^5 is over 300 s */
    return state->exited_ns + wait;
}

/* ---- the plan ---- */

const char *sk_plan_kind_text(enum sk_plan_kind kind) {
    static const char *const text[] = {"prepare", "create", "update",  "discard",        "remove",
                                       "start",   "stop",   "restart", "forget-restarts"};
    return text[kind];
}

static void add(struct sk_plan *plan, enum sk_plan_kind kind, const char *module) {
    if (plan->count == plan->capacity) {
        plan->capacity = plan->capacity ? plan->capacity * 2 : 8;
        plan->steps = sk_realloc(plan->steps, plan->capacity * sizeof *plan->steps);
    }
    plan->steps[plan->count++] = (struct sk_plan_step){kind, module};
}

void sk_plan_free(struct sk_plan *plan) {
    free(plan->steps);
    memset(plan, 0, sizeof *plan);
}

static const struct sk_module_state *find(const struct sk_module_state *actual, size_t count,
                                          const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(actual[i].spec->name, name) == 0) return &actual[i];
    return NULL;
}

static void plan_removed(struct sk_plan *plan, const struct sk_deployment *desired,
                         const struct sk_module_state *actual, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (sk_deployment_module(desired, actual[i].spec->name) || actual[i].held) continue;
        if (actual[i].running) add(plan, SK_PLAN_STOP, actual[i].spec->name);
        add(plan, SK_PLAN_REMOVE, actual[i].spec->name);
    }
}

/* What is lost is made anew from what is on the machine; the rest wants its image first. */
static bool needs_image(const struct sk_module_spec *spec, const struct sk_module_state *state) {
    return state == NULL || sk_module_spec_differs(spec, state->spec);
}

static void plan_made(struct sk_plan *plan, const struct sk_module_spec *spec,
                      const struct sk_module_state *state) {
    bool other_kind = state && sk_module_is_container(spec) != sk_module_is_container(state->spec);
    if (state && state->running) add(plan, SK_PLAN_STOP, spec->name);
    if (state && (state->lost || other_kind)) {
        add(plan, SK_PLAN_DISCARD, spec->name);
        state = NULL;
    }
    add(plan, state ? SK_PLAN_UPDATE : SK_PLAN_CREATE, spec->name);
    if (!spec->stopped) add(plan, SK_PLAN_START, spec->name);
}

/* True while later groups have to wait for this one. */
static bool plan_added_or_updated(struct sk_plan *plan, const struct sk_module_spec *spec,
                                  enum sk_readiness ready, const struct sk_module_state *state,
                                  bool wait) {
    if (state && state->held) return false;
    if (!needs_image(spec, state)) {
        if (state->lost) plan_made(plan, spec, state);
        return false;
    }
    if (ready == SK_UNPREPARED) add(plan, SK_PLAN_PREPARE, spec->name);
    if (ready == SK_READY && !wait) plan_made(plan, spec, state);
    return ready == SK_UNPREPARED || ready == SK_PREPARING;
}

static void plan_status(struct sk_plan *plan, const struct sk_module_spec *spec,
                        const struct sk_module_state *state) {
    if (state->running && spec->stopped) add(plan, SK_PLAN_STOP, spec->name);
    /* Asked to run again, or made but not yet started (the agent died in between): policies do not
     * matter. */
    if (!state->running && !spec->stopped && (state->spec->stopped || !state->started))
        add(plan, SK_PLAN_START, spec->name);
}

static void plan_restart(struct sk_plan *plan, const struct sk_module_spec *spec,
                         const struct sk_module_state *state, uint64_t now_ns) {
    if (spec->stopped || state->spec->stopped) return;
    if (state->running && !state->unhealthy && state->restart_count &&
        now_ns - state->started_ns >= SK_INTENSIVE_CARE_NS)
        add(plan, SK_PLAN_FORGET_RESTARTS, spec->name);
    if (!wants_restart(state) || given_up(state)) return;
    uint64_t due_ns = sk_module_due_ns(state);
    if (now_ns >= due_ns && state->running) add(plan, SK_PLAN_STOP, spec->name);
    if (now_ns >= due_ns)
        add(plan, SK_PLAN_RESTART, spec->name);
    else if (due_ns < plan->again_ns)
        plan->again_ns = due_ns;
}

void sk_plan_make(const struct sk_deployment *desired, const enum sk_readiness *ready,
                  const struct sk_module_state *actual, size_t actual_count, uint64_t now_ns,
                  struct sk_plan *plan) {
    bool wait = false; /* for what an earlier group is made from */
    *plan = (struct sk_plan){.again_ns = UINT64_MAX};
    plan_removed(plan, desired, actual, actual_count); /* what is unknown counts as order 0 */
    for (size_t begin = 0, end; begin < desired->module_count; begin = end) {
        bool group_waits = false;
        /* The modules are sorted: [begin, end) is one group. */
        for (end = begin; end < desired->module_count; end++)
            if (desired->modules[end].startup_order != desired->modules[begin].startup_order) break;
        for (size_t i = begin; i < end; i++)
            group_waits |=
                plan_added_or_updated(plan, &desired->modules[i], ready ? ready[i] : SK_READY,
                                      find(actual, actual_count, desired->modules[i].name), wait);
        for (int pass = 0; pass < 2; pass++)
            for (size_t i = begin; i < end; i++) {
                const struct sk_module_spec *spec = &desired->modules[i];
                const struct sk_module_state *state = find(actual, actual_count, spec->name);
                if (state == NULL || state->held || state->lost) continue;
                if (needs_image(spec, state) && (!ready || ready[i] == SK_READY) && !wait) continue;
                if (pass == 0)
                    plan_status(plan, spec, state);
                else
                    plan_restart(plan, spec, state, now_ns);
            }
        wait |= group_waits;
    }
}
