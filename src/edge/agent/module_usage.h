/* Measuring what modules use, when somebody asks. Inside src/edge/agent only.
 *
 * Nothing is measured in between: percentages of processors are those since the question before, or
 * since the module's start. A few modules are measured at once, whatever the engine is like. */
#ifndef SK_EDGE_AGENT_MODULE_USAGE_H
#define SK_EDGE_AGENT_MODULE_USAGE_H

#include "edge/agent/engine/usage.h"
#include "io/io.h"
#include "net/metrics.h"

struct module;
struct module_world;

/* How much of the processors somebody uses, from how long he has used them. Zeroed is ready. */
struct cpu_meter {
    int64_t cpu_ns; /* the time before, and when; at_ns 0: never */
    uint64_t at_ns;
    struct sk_summary shares; /* of all processors, in hundredths of a percent */
};
/* `started_ns`: when he began; one who has begun anew counts from there. */
void cpu_meter_take(struct cpu_meter *meter, int64_t cpu_ns, uint64_t started_ns, uint64_t now_ns,
                    unsigned processors);

/* Of one module. Zeroed is ready. */
struct module_usage {
    enum { NOT_MEASURED, TO_MEASURE, MEASURING } state;
    bool known; /* `last` is from the last question */
    struct sk_usage last;
    struct cpu_meter cpu;
};

/* Of all. */
struct measuring {
    unsigned running, processors;
    void (*done)(void *arg); /* NULL: nobody asks */
    void *arg;
    struct sk_task telling;
};

/* `done` once, not from inside: each module's `usage` has what could be had. One question at a
 * time. `processors`: how many the machine has. */
void usage_measure(struct module_world *world, unsigned processors, void (*done)(void *arg),
                   void *arg);
/* What is not there yet is left out; `done` does not come. */
void usage_stop(struct module_world *world);
/* A kind tells what it has measured; NULL: nothing could be had. */
void usage_measured(struct module *module, const struct sk_usage *usage);

#endif
