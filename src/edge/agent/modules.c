#include "edge/agent/modules.h"

#include <stdio.h>

#include "edge/agent/containers.h"
#include "edge/agent/daemon_call.h"
#include "edge/agent/process_log.h"
#include "edge/agent/roll_back.h"
#include "model/identity.h"

static const uint64_t RETRY_NS = 5 * SK_S, RETRY_MAX_NS = 300 * SK_S;

/* A step with what it needs, as the deployment may be replaced while the plan runs. */
struct step {
    enum sk_plan_kind kind;
    char *name;
    struct sk_module_spec spec; /* of what is desired; empty for removals */
};

struct sk_modules {
    struct module_world world;
    struct sk_modules_options options;
    struct step *steps;
    size_t step_count, step_next;
    unsigned plan;    /* number of the running or last plan */
    uint64_t version; /* of the deployment that the last plan was made for */
    bool running;     /* a plan */
    bool waiting;     /* its current step, for whom it has asked */
    struct sk_task go_on;
    struct sk_timer log_check;
    uint64_t due_ns;
    uint64_t step_began_ns, plan_ended_ns;
    bool settled;
    struct sk_summary took[SK_PLAN_KINDS];
    char failure[256];
    void (*freed)(void *arg);
    void *freed_arg;
    struct sk_task freeing;
};

static void go_on(struct sk_task *task);
static void free_when_ended(struct sk_modules *modules);

/* ---- small things ---- */

static struct sk_modules *of(struct module_world *world) {
    return SK_CONTAINER(world, struct sk_modules, world);
}

static struct module *find(struct sk_modules *modules, struct sk_span name) {
    SK_LIST_EACH(&modules->world.modules, node, following) {
        struct module *module = SK_CONTAINER(node, struct module, link);
        if (sk_span_is(name, module->spec.name)) return module;
    }
    return NULL;
}

static const struct module_kind *kind_of(const struct sk_module_spec *spec) {
    return sk_module_is_container(spec) ? &container_kind : &process_kind;
}

static void changed(struct module_world *world) {
    struct sk_modules *modules = of(world);
    if (modules->options.changed && !world->closing) modules->options.changed(modules->options.arg);
}

static void replan(struct module_world *world) {
    struct sk_modules *modules = of(world);
    if (modules->options.replan && !world->closing) modules->options.replan(modules->options.arg);
}

static void take_spec(struct module *module, const struct sk_module_spec *spec) {
    struct sk_module_spec copy = sk_module_spec_copy(spec);
    sk_module_spec_free(&module->spec);
    module->spec = copy;
    module->state.spec = &module->spec;
    module->kind = kind_of(spec);
}

/* What has passed since the last time counts as it stands now. */
static void count_time(struct module *module) {
    uint64_t now_ns = sk_io_now(module->world->io);
    uint64_t passed_ns = module->counted_ns ? now_ns - module->counted_ns : 0;
    module->counted_ns = now_ns;
    if (module->spec.stopped) return;
    module->counts.expected_ns += passed_ns;
    if (module->state.running && !module->state.unhealthy) module->counts.correct_ns += passed_ns;
}

static bool start(struct module *module) {
    module->counts.starts++;
    return module->kind->start(module);
}

static bool stop(struct module *module) {
    module->counts.stops += module->state.running;
    return module->kind->stop(module);
}

static struct module *module_new(struct sk_modules *modules, const struct sk_module_spec *spec) {
    struct module *module = SK_NEW(struct module);
    module->world = &modules->world;
    sk_list_append(&modules->world.modules, &module->link);
    take_spec(module, spec);
    return module;
}

static void module_free(struct module *module) {
    sk_list_remove(&module->link);
    module->kind->forget(module);
    usage_measured(module, NULL);
    roll_back_free(module);
    sk_module_spec_free(&module->spec);
    free(module->generation_id);
    free(module->socket_path);
    free(module);
}

/* ---- steps ---- */

static void steps_free(struct sk_modules *modules) {
    for (size_t i = 0; i < modules->step_count; i++) {
        free(modules->steps[i].name);
        sk_module_spec_free(&modules->steps[i].spec);
    }
    free(modules->steps);
    modules->steps = NULL;
    modules->step_count = modules->step_next = 0;
}

/* The step that waits for this module; NULL: none does. */
static struct step *awaited(struct module *module) {
    struct sk_modules *modules = of(module->world);
    if (!modules->running || !modules->waiting) return NULL;
    struct step *step = &modules->steps[modules->step_next];
    return strcmp(step->name, module->spec.name) == 0 ? step : NULL;
}

static void step_ended(struct sk_modules *modules) {
    uint64_t took_ns = sk_io_now(modules->world.io) - modules->step_began_ns;
    enum sk_plan_kind kind = modules->steps[modules->step_next].kind;
    sk_summary_add(&modules->took[kind], took_ns / 1000);
    modules->waiting = false;
    modules->step_next++;
}

static void step_done(struct sk_modules *modules) {
    step_ended(modules);
    sk_io_defer(modules->world.io, &modules->go_on, go_on);
}

/* A step failed: the module's other steps of this plan are left out. */
static void fail_step(struct sk_modules *modules, struct module *module, const char *what,
                      const char *why) {
    struct step *step = &modules->steps[modules->step_next];
    bool making = step->kind == SK_PLAN_CREATE || step->kind == SK_PLAN_UPDATE;
    snprintf(modules->failure, sizeof modules->failure, "%s of module %.80s: %.150s", what,
             step->name, why);
    SK_WARN("agent", "%s", modules->failure);
    module->failed_plan = modules->plan;
    snprintf(module->description, sizeof module->description, "%s", modules->failure);
    if (making) {
        unsigned doublings = module->failures < 6 ? module->failures : 6;
        uint64_t wait_ns = RETRY_NS << doublings;
        module->failures++;
        if (wait_ns > RETRY_MAX_NS) wait_ns = RETRY_MAX_NS;
        module->retry_ns = sk_io_now(modules->world.io) + wait_ns;
    }
    step_done(modules);
}

static void take_made(struct sk_modules *modules, struct module *module, const struct step *step) {
    take_spec(module, &step->spec);
    module->made = true;
    module->failures = 0;
    module->retry_ns = 0;
    module->state = (struct sk_module_state){.spec = &module->spec};
    snprintf(module->description, sizeof module->description, "created");
    changed(&modules->world);
}

static void identity_deleted(void *arg, enum sk_status status,
                             const struct sk_http_parser *answer) {
    struct sk_modules *modules = arg;
    (void)answer;
    if (status == SK_CLOSED && modules->freed) return;
    /* Without a connection the identity stays on the hub; the module is gone, which is what was
     * asked. */
    step_done(modules);
}

static void socket_deleted(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct sk_modules *modules = arg;
    (void)answer;
    if (status == SK_CLOSED && modules->freed) return;
    ask_daemon(&modules->world, SK_HTTP_DELETE, "identities",
               modules->steps[modules->step_next].name, SK_NONE, identity_deleted, modules);
}

/* What it was is gone: the module too, and what the daemon has for it. Azure's own system modules,
 * which we find where we take over, have roles of ours in their place. */
static void take_removed(struct sk_modules *modules, struct module *module,
                         const struct step *step) {
    bool system = strcmp(step->name, "edgeHub") == 0 || strcmp(step->name, "edgeAgent") == 0;
    module_free(module);
    changed(&modules->world);
    if (system)
        step_done(modules);
    else
        ask_daemon(&modules->world, SK_HTTP_DELETE, "sockets", step->name, SK_NONE, socket_deleted,
                   modules);
}

/* What the kind was asked for is done. */
static void take_done(struct sk_modules *modules, struct module *module) {
    const struct step *step = &modules->steps[modules->step_next];
    switch (step->kind) {
    case SK_PLAN_REMOVE: take_removed(modules, module, step); return;
    case SK_PLAN_DISCARD:
        module->made = false;
        module->state = (struct sk_module_state){.spec = &module->spec};
        break;
    case SK_PLAN_CREATE:
    case SK_PLAN_UPDATE: take_made(modules, module, step); break;
    default: break;
    }
    step_done(modules);
}

static void identity_made(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct sk_modules *modules = arg;
    char why[160];
    if (status == SK_CLOSED && modules->freed) return;
    struct step *step = &modules->steps[modules->step_next];
    struct module *module = find(modules, sk_span_z(step->name));
    json_t *json = daemon_answered(status, answer, why);
    const char *generation_id = json_string_value(json_object_get(json, "generationId"));
    if (generation_id == NULL) {
        fail_step(modules, module, "Identity", why);
    } else {
        sk_identity_set(&module->generation_id, sk_span_z(generation_id));
        if (step->kind == SK_PLAN_UPDATE) roll_back_keep(module, &step->spec);
        if (module->kind->create(module, &step->spec)) take_done(modules, module);
    }
    json_decref(json);
}

/* Carries out one step; true when it is done, false when it waits. */
static bool run_step(struct sk_modules *modules, struct module *module, struct step *step) {
    switch (step->kind) {
    case SK_PLAN_PREPARE:
        module->counts.images++;
        kind_of(&step->spec)->prepare(module, &step->spec);
        return true;
    case SK_PLAN_CREATE: module->kind = kind_of(&step->spec); /* fall through */
    case SK_PLAN_UPDATE:
        ask_daemon(&modules->world, SK_HTTP_PUT, "identities", step->name,
                   SK_SPAN("{\"managedBy\":\"IotEdge\"}"), identity_made, modules);
        return false;
    case SK_PLAN_DISCARD:
    case SK_PLAN_REMOVE:
        if (module->kind->discard(module)) take_done(modules, module);
        return false;
    case SK_PLAN_RESTART:
        module->state.restart_count++;
        module->last_restart_us = sk_io_wall(modules->world.io);
        return start(module);
    case SK_PLAN_START:
        module->spec.stopped = false;
        module->state.restart_count = 0;
        return start(module);
    case SK_PLAN_STOP:
        if (step->spec.name) module->spec.stopped = step->spec.stopped;
        return stop(module);
    case SK_PLAN_FORGET_RESTARTS:
        module->state.restart_count = 0;
        changed(&modules->world);
        return true;
    }
    return true;
}

static void run_steps(struct sk_modules *modules) {
    while (modules->step_next < modules->step_count) {
        struct step *step = &modules->steps[modules->step_next];
        struct module *module = find(modules, sk_span_z(step->name));
        if (module == NULL || module->failed_plan == modules->plan) {
            modules->step_next++;
            continue;
        }
        modules->waiting = true; /* a kind may end it from inside */
        modules->step_began_ns = sk_io_now(modules->world.io);
        if (!run_step(modules, module, step)) return;
        step_ended(modules);
    }
    steps_free(modules);
    modules->running = false;
    modules->plan_ended_ns = sk_io_now(modules->world.io);
    changed(&modules->world);
}

static void go_on(struct sk_task *task) {
    struct sk_modules *modules = SK_CONTAINER(task, struct sk_modules, go_on);
    if (!modules->freed) run_steps(modules);
}

/* ---- what kinds tell ---- */

static void on_done(struct module *module) {
    if (module->world->closing) return;
    if (awaited(module)) take_done(of(module->world), module);
}

static void on_failed(struct module *module, const char *what, const char *why) {
    struct sk_modules *modules = of(module->world);
    module->start_again = false;
    module->ending = false;
    if (modules->freed)
        free_when_ended(modules);
    else if (awaited(module))
        fail_step(modules, module, what, why);
    else
        SK_WARN("agent", "%s of module %s: %s", what, module->spec.name, why);
}

static void on_ended(struct module *module) {
    struct sk_modules *modules = of(module->world);
    bool again = module->start_again;
    module->start_again = false;
    module->ending = false;
    changed(&modules->world);
    if (modules->freed)
        free_when_ended(modules);
    else if (awaited(module))
        step_done(modules);
    else if (again && !module->spec.stopped)
        start(module);
}

static const struct module_events events = {
    .done = on_done,
    .failed = on_failed,
    .ended = on_ended,
    .changed = changed,
    .replan = replan,
};

/* ---- plans ---- */

/* Entries for all that is desired; those that were never made and are not desired any more go. */
static void match_entries(struct sk_modules *modules, const struct sk_deployment *desired) {
    SK_LIST_EACH(&modules->world.modules, node, following) {
        struct module *module = SK_CONTAINER(node, struct module, link);
        const struct sk_module_spec *spec = sk_deployment_module(desired, module->spec.name);
        count_time(module);
        if (modules->version != desired->version) {
            module->failures = 0;
            module->retry_ns = 0;
        }
        /* One that was there before us says what it was made from, not what was asked since. */
        if (module->made && spec && spec->stopped && !module->state.running)
            module->spec.stopped = true;
        if (module->made) continue;
        if (spec == NULL)
            module_free(module);
        else if (sk_module_spec_differs(spec, &module->spec))
            take_spec(module, spec);
    }
    for (size_t i = 0; i < desired->module_count; i++)
        if (find(modules, sk_span_z(desired->modules[i].name)) == NULL) {
            struct module *module = module_new(modules, &desired->modules[i]);
            snprintf(module->description, sizeof module->description, "waiting to be made");
        }
    modules->version = desired->version;
}

/* What is made of a module in fact: the version before, where the new one did not come up. */
static struct sk_deployment choose(struct sk_modules *modules,
                                   const struct sk_deployment *desired) {
    struct sk_deployment chosen = *desired;
    uint64_t now_ns = sk_io_now(modules->world.io);
    chosen.modules = sk_alloc((desired->module_count + 1) * sizeof *chosen.modules);
    for (size_t i = 0; i < desired->module_count; i++) {
        struct module *module = find(modules, sk_span_z(desired->modules[i].name));
        roll_back_judge(module, now_ns);
        chosen.modules[i] = *roll_back_choose(module, &desired->modules[i]);
    }
    return chosen;
}

static enum sk_readiness readiness(struct sk_modules *modules, const struct sk_module_spec *spec) {
    struct module *module = find(modules, sk_span_z(spec->name));
    const struct module_kind *kind = kind_of(spec);
    if (module->retry_ns > sk_io_now(modules->world.io)) return SK_UNREADY;
    return kind->ready ? kind->ready(module, spec) : SK_READY;
}

static void take_steps(struct sk_modules *modules, const struct sk_deployment *chosen,
                       const struct sk_plan *plan) {
    modules->steps = sk_alloc((plan->count + 1) * sizeof *modules->steps);
    for (size_t i = 0; i < plan->count; i++) {
        const struct sk_module_spec *spec = sk_deployment_module(chosen, plan->steps[i].module);
        struct step *step = &modules->steps[modules->step_count++];
        step->kind = plan->steps[i].kind;
        step->name = sk_span_dup(sk_span_z(plan->steps[i].module));
        if (spec) step->spec = sk_module_spec_copy(spec);
    }
}

static void make_plan(struct sk_modules *modules, const struct sk_deployment *chosen,
                      struct sk_plan *plan) {
    size_t count = 0, entries = 0;
    SK_LIST_EACH(&modules->world.modules, node, following) entries++;
    struct sk_module_state *states = sk_alloc((entries + 1) * sizeof *states);
    enum sk_readiness *ready = sk_alloc((chosen->module_count + 1) * sizeof *ready);
    SK_LIST_EACH(&modules->world.modules, node, following) {
        const struct module *module = SK_CONTAINER(node, struct module, link);
        if (module->made) states[count++] = module->state;
    }
    for (size_t i = 0; i < chosen->module_count; i++)
        ready[i] = readiness(modules, &chosen->modules[i]);
    sk_plan_make(chosen, ready, states, count, sk_io_now(modules->world.io), plan);
    free(states);
    free(ready);
}

static bool is_settled(struct sk_modules *modules, const struct sk_deployment *chosen,
                       const struct sk_plan *plan) {
    bool settled = plan->count == 0;
    for (size_t i = 0; i < chosen->module_count && settled; i++) {
        const struct module *module = find(modules, sk_span_z(chosen->modules[i].name));
        settled = module->made && !sk_module_spec_differs(&chosen->modules[i], &module->spec);
    }
    return settled;
}

void sk_modules_reconcile(struct sk_modules *modules, const struct sk_deployment *desired) {
    struct sk_plan plan;
    if (modules->running || modules->freed) return;
    match_entries(modules, desired);
    containers_want(&modules->world, desired);
    struct sk_deployment chosen = choose(modules, desired);
    make_plan(modules, &chosen, &plan);
    modules->due_ns = plan.again_ns;
    modules->settled = is_settled(modules, &chosen, &plan);
    modules->plan++;
    if (plan.count) modules->failure[0] = 0;
    take_steps(modules, &chosen, &plan);
    modules->running = plan.count > 0;
    if (modules->running)
        run_steps(modules);
    else
        steps_free(modules);
    sk_plan_free(&plan);
    free(chosen.modules);
}

bool sk_modules_busy(const struct sk_modules *modules) {
    return modules->running;
}

const char *sk_modules_failure(const struct sk_modules *modules) {
    const char *engine = containers_trouble(modules->world.containers);
    if (modules->failure[0]) return modules->failure;
    if (*engine) return engine;
    SK_LIST_EACH(&modules->world.modules, node, following) {
        const struct module *module = SK_CONTAINER(node, struct module, link);
        if (module->trouble[0]) return module->trouble;
        if (*roll_back_told(module)) return roll_back_told(module);
    }
    return "";
}

uint64_t sk_modules_due_ns(const struct sk_modules *modules) {
    return modules->running ? UINT64_MAX
                            : modules->due_ns; /* a running plan ends before the next is made */
}

bool sk_modules_settled(const struct sk_modules *modules, uint64_t *since_ns) {
    *since_ns = modules->plan_ended_ns;
    return modules->settled;
}

const struct sk_summary *sk_modules_took(const struct sk_modules *modules, enum sk_plan_kind kind) {
    return &modules->took[kind];
}

void sk_modules_measure(struct sk_modules *modules, unsigned processors, void (*done)(void *arg),
                        void *arg) {
    usage_measure(&modules->world, processors, done, arg);
}

void sk_modules_measure_end(struct sk_modules *modules) {
    usage_stop(&modules->world);
}

/* ---- for people ---- */

void sk_modules_each(struct sk_modules *modules,
                     void (*each)(void *arg, const struct sk_module_view *view), void *arg) {
    SK_LIST_EACH(&modules->world.modules, node, following) {
        struct module *module = SK_CONTAINER(node, struct module, link);
        count_time(module);
        each(arg, &(struct sk_module_view){
                      .state = &module->state,
                      .exit_code = module->exit_code,
                      .pid = module->pid,
                      .last_start_us = module->last_start_us,
                      .last_exit_us = module->last_exit_us,
                      .last_restart_us = module->last_restart_us,
                      .description = module->description,
                      .made = module->made,
                      .image_hash = module->image_hash,
                      .counts = &module->counts,
                      .usage = module->usage.known ? &module->usage.last : NULL,
                      .cpu = &module->usage.cpu.shares,
                  });
    }
}

enum sk_status sk_modules_restart(struct sk_modules *modules, struct sk_span name) {
    struct module *module = find(modules, name);
    if (module == NULL || !module->made) return SK_NOT_FOUND;
    if (awaited(module)) return SK_OK; /* a plan is just at it, and starts it */
    module->start_again = module->state.running;
    if (!module->state.running || stop(module)) start(module);
    return SK_OK;
}

enum sk_status sk_modules_start(struct sk_modules *modules, struct sk_span name) {
    struct module *module = find(modules, name);
    if (module == NULL || !module->made) return SK_NOT_FOUND;
    if (module->state.running) return SK_EXISTS;
    if (!awaited(module)) start(module);
    return SK_OK;
}

enum sk_status sk_modules_stop(struct sk_modules *modules, struct sk_span name) {
    struct module *module = find(modules, name);
    if (module == NULL || !module->made) return SK_NOT_FOUND;
    if (!module->state.running) return SK_EXISTS;
    if (!awaited(module)) stop(module);
    return SK_OK;
}

const char *sk_modules_missing(struct sk_span name) {
    if (sk_span_starts(name, SK_SPAN("$"))) name = sk_span_skip(name, 1);
    if (sk_span_is(name, "edgeHub") || sk_span_is(name, "edgeAgent"))
        return "It is a role of skerry-edge, not a module: 'skerry-edge system restart' starts the "
               "roles again, and the service's log is theirs.";
    return "There is no such module on this device.";
}

struct sk_module_log *sk_modules_log(struct sk_modules *modules, struct sk_span name,
                                     const struct sk_log_ask *ask, const char **why) {
    struct module *module = find(modules, name);
    *why = sk_modules_missing(name);
    if (module == NULL) return NULL;
    return module->kind->log(module, ask, why);
}

static void check_logs(struct sk_timer *timer) {
    struct sk_modules *modules = SK_CONTAINER(timer, struct sk_modules, log_check);
    SK_LIST_EACH(&modules->world.modules, node, following) {
        const struct module *module = SK_CONTAINER(node, struct module, link);
        if (module->kind == &process_kind)
            process_log_check(modules->world.io, modules->options.data, module->spec.name);
    }
    sk_timer_start(modules->world.io, timer, 60 * SK_S, check_logs);
}

/* ---- life ---- */

/* A container of ours that runs on this machine, as its label says. */
static struct module *adopt(struct module_world *world, const struct sk_module_spec *spec) {
    struct module *module = find(of(world), sk_span_z(spec->name));
    if (module && module->made) return module->kind == &container_kind ? module : NULL;
    if (module == NULL) module = module_new(of(world), spec);
    take_spec(module, spec);
    module->made = true;
    module->state = (struct sk_module_state){.spec = &module->spec};
    return module;
}

struct sk_modules *sk_modules_new(struct sk_io *io, const struct sk_modules_options *options) {
    struct sk_modules *modules = SK_NEW(struct sk_modules);
    modules->options = *options;
    modules->due_ns = UINT64_MAX;
    modules->world.io = io;
    modules->world.options = &modules->options;
    modules->world.events = &events;
    sk_list_init(&modules->world.modules);
    sk_http_client_new(io,
                       &(struct sk_http_client_options){.to = {.path = options->management_path}},
                       &modules->world.management);
    if (options->containers.engine_uri) containers_open(&modules->world, adopt);
    sk_timer_start(io, &modules->log_check, 60 * SK_S, check_logs);
    return modules;
}

static void free_now(struct sk_task *task) {
    struct sk_modules *modules = SK_CONTAINER(task, struct sk_modules, freeing);
    while (!sk_list_empty(&modules->world.modules))
        module_free(SK_LIST_FIRST(&modules->world.modules, struct module, link));
    steps_free(modules);
    sk_io_undefer(&modules->go_on);
    containers_close(&modules->world);
    modules->freed(modules->freed_arg);
    free(modules);
}

static void free_when_ended(struct sk_modules *modules) {
    SK_LIST_EACH(&modules->world.modules, node, following)
    if (SK_CONTAINER(node, struct module, link)->ending) return;
    sk_io_defer(modules->world.io, &modules->freeing, free_now);
}

void sk_modules_free(struct sk_modules *modules, void (*freed)(void *arg), void *arg) {
    modules->freed = freed;
    modules->freed_arg = arg;
    modules->world.closing = true;
    usage_stop(&modules->world);
    sk_timer_stop(&modules->log_check);
    sk_http_client_free(modules->world.management);
    SK_LIST_EACH(&modules->world.modules, node, following) {
        struct module *module = SK_CONTAINER(node, struct module, link);
        module->ending = module->made;
        if (module->kind->stop(module)) module->ending = false;
    }
    free_when_ended(modules);
}
