#include "edge/agent/planner.h"

/* ---- restart policy ---- */

/* Whether the policy asks for another run of a module that is not running. */
static bool wants_restart(const struct sk_module_state *state) {
    if (state->running || !state->started) return false;
    switch (state->spec->restart_policy) {
    case SK_RESTART_NEVER: return false;
    case SK_RESTART_ON_FAILURE:
    case SK_RESTART_ON_UNHEALTHY: return state->exit_failed;
    case SK_RESTART_ALWAYS: break;
    }
    return true;
}

enum sk_module_runtime sk_module_runtime(const struct sk_module_state *state) {
    if (state->running) return SK_MODULE_RUNNING;
    if (!state->spec->stopped && wants_restart(state)) {
        bool given_up = state->restart_count >= SK_RESTARTS_MAX &&
                        state->spec->restart_policy != SK_RESTART_ALWAYS;
        return given_up ? SK_MODULE_FAILED : SK_MODULE_BACKOFF;
    }
    return state->started && state->exit_failed ? SK_MODULE_FAILED : SK_MODULE_STOPPED;
}

const char *sk_module_runtime_text(enum sk_module_runtime runtime) {
    static const char *const text[] = {"stopped", "running", "backoff", "failed"};
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
    static const char *const text[] = {"create", "update",  "remove",         "start",
                                       "stop",   "restart", "forget-restarts"};
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
        if (sk_deployment_module(desired, actual[i].spec->name)) continue;
        if (actual[i].running) add(plan, SK_PLAN_STOP, actual[i].spec->name);
        add(plan, SK_PLAN_REMOVE, actual[i].spec->name);
    }
}

static void plan_added_or_updated(struct sk_plan *plan, const struct sk_module_spec *spec,
                                  const struct sk_module_state *state) {
    if (state && !sk_module_spec_differs(spec, state->spec)) return;
    if (state && state->running) add(plan, SK_PLAN_STOP, spec->name);
    add(plan, state ? SK_PLAN_UPDATE : SK_PLAN_CREATE, spec->name);
    if (!spec->stopped) add(plan, SK_PLAN_START, spec->name);
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
    if (state->running && state->restart_count &&
        now_ns - state->started_ns >= SK_INTENSIVE_CARE_NS)
        add(plan, SK_PLAN_FORGET_RESTARTS, spec->name);
    if (sk_module_runtime(state) != SK_MODULE_BACKOFF) return;
    uint64_t due_ns = sk_module_due_ns(state);
    if (now_ns >= due_ns)
        add(plan, SK_PLAN_RESTART, spec->name);
    else if (due_ns < plan->again_ns)
        plan->again_ns = due_ns;
}

void sk_plan_make(const struct sk_deployment *desired, const struct sk_module_state *actual,
                  size_t actual_count, uint64_t now_ns, struct sk_plan *plan) {
    *plan = (struct sk_plan){.again_ns = UINT64_MAX};
    plan_removed(plan, desired, actual, actual_count); /* what is unknown counts as order 0 */
    for (size_t begin = 0, end; begin < desired->module_count; begin = end) {
        /* The modules are sorted: [begin, end) is one group. */
        for (end = begin; end < desired->module_count; end++)
            if (desired->modules[end].startup_order != desired->modules[begin].startup_order) break;
        for (size_t i = begin; i < end; i++)
            plan_added_or_updated(plan, &desired->modules[i],
                                  find(actual, actual_count, desired->modules[i].name));
        for (int pass = 0; pass < 2; pass++)
            for (size_t i = begin; i < end; i++) {
                const struct sk_module_spec *spec = &desired->modules[i];
                const struct sk_module_state *state = find(actual, actual_count, spec->name);
                if (state == NULL || sk_module_spec_differs(spec, state->spec)) continue;
                if (pass == 0)
                    plan_status(plan, spec, state);
                else
                    plan_restart(plan, spec, state, now_ns);
            }
    }
}
