#include "edge/agent/module_usage.h"

#include "edge/agent/kind.h"

enum { AT_ONCE_MAX = 8 };

void cpu_meter_take(struct cpu_meter *meter, int64_t cpu_ns, uint64_t started_ns, uint64_t now_ns,
                    unsigned processors) {
    if (cpu_ns == SK_NOT_KNOWN) return;
    bool anew = meter->at_ns <= started_ns || cpu_ns < meter->cpu_ns;
    uint64_t from_ns = anew ? started_ns : meter->at_ns;
    int64_t used_ns = anew ? cpu_ns : cpu_ns - meter->cpu_ns;
    meter->at_ns = now_ns;
    meter->cpu_ns = cpu_ns;
    if (now_ns > from_ns)
        sk_summary_add(&meter->shares, (uint64_t)(10000.0 * (double)used_ns /
                                                  (double)(now_ns - from_ns) / processors));
}

static void take(struct module *module, const struct sk_usage *measured) {
    module->usage.state = NOT_MEASURED;
    module->usage.known = measured != NULL;
    if (measured == NULL) return;
    module->usage.last = *measured;
    cpu_meter_take(&module->usage.cpu, measured->cpu_ns, module->state.started_ns,
                   sk_io_now(module->world->io), module->world->measuring.processors);
}

static void tell(struct sk_task *task) {
    struct measuring *measuring = SK_CONTAINER(task, struct measuring, telling);
    void (*done)(void *) = measuring->done;
    measuring->done = NULL;
    if (done) done(measuring->arg);
}

static void go_on(struct module_world *world) {
    struct measuring *measuring = &world->measuring;
    SK_LIST_EACH(&world->modules, node, following) {
        struct module *module = SK_CONTAINER(node, struct module, link);
        struct sk_usage usage;
        if (measuring->running == AT_ONCE_MAX) return;
        if (module->usage.state != TO_MEASURE) continue;
        module->usage.state = MEASURING;
        if (module->kind->measure(module, &usage))
            take(module, &usage);
        else
            measuring->running++;
    }
    if (measuring->running == 0 && measuring->done)
        sk_io_defer(world->io, &measuring->telling, tell);
}

void usage_measure(struct module_world *world, unsigned processors, void (*done)(void *arg),
                   void *arg) {
    SK_ASSERT(world->measuring.done == NULL);
    world->measuring.processors = processors ? processors : 1;
    world->measuring.done = done;
    world->measuring.arg = arg;
    SK_LIST_EACH(&world->modules, node, following) {
        struct module *module = SK_CONTAINER(node, struct module, link);
        module->usage.known = false;
        if (module->usage.state == NOT_MEASURED) module->usage.state = TO_MEASURE;
    }
    go_on(world);
}

void usage_stop(struct module_world *world) {
    world->measuring.done = NULL;
    sk_io_undefer(&world->measuring.telling);
    SK_LIST_EACH(&world->modules, node, following) {
        struct module *module = SK_CONTAINER(node, struct module, link);
        if (module->usage.state == TO_MEASURE) module->usage.state = NOT_MEASURED;
    }
}

void usage_measured(struct module *module, const struct sk_usage *measured) {
    struct module_world *world = module->world;
    if (module->usage.state != MEASURING) return;
    take(module, measured);
    world->measuring.running--;
    if (!world->closing) go_on(world);
}
