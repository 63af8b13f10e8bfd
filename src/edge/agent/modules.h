/* The modules on this machine: making, starting, watching and stopping them as a plan says.
 *
 * A module has an identity and a socket (from the daemon, over its management API) and is of a
 * kind: a program of the host with a folder <data>/modules/<name>, or a container. One plan runs at
 * a time, its steps one after another; a step that fails ends only its module's part. Images are
 * got in the background. */
#ifndef SK_EDGE_AGENT_MODULES_H
#define SK_EDGE_AGENT_MODULES_H

#include "edge/agent/module_log.h"
#include "edge/agent/engine/usage.h"
#include "edge/agent/planner.h"
#include "io/io.h"
#include "net/metrics.h"

struct sk_modules;

/* How containers are made and images kept; texts are borrowed. */
struct sk_container_options {
    const char *engine_uri;      /* NULL: containers are refused */
    const char *network;         /* that they are put into; made when it is not there */
    const json_t *network_table; /* its ipv6 and ipam, as config.toml has them; may be NULL */
    const char *gateway_address; /* where the edge hub listens; NULL: at every address */
    bool not_elevated;           /* allow_elevated_docker_permissions = false */
    struct sk_image_gc {
        bool disabled;
        int64_t every_us, age_us; /* 0: 1 day, 7 days */
        unsigned minute;          /* of the day (UTC) */
    } gc;
};

/* Texts are borrowed for the modules' life. */
struct sk_modules_options {
    const char *data;            /* folder */
    const char *management_path; /* the daemon's socket */
    const char *hub_host, *device_id;
    const char *gateway_host; /* the edge hub, as modules dial it */
    uint16_t gateway_port;    /* its MQTT port; told to modules when it is not 8883 */
    const char *parent_host;  /* nested: the parent, else NULL */
    bool own_users;           /* each module is a user of its own: place.h */
    struct sk_container_options containers;
    /* Something that is reported has changed. */
    void (*changed)(void *arg);
    /* It is time for another plan: what was waited for is there. */
    void (*replan)(void *arg);
    void *arg;
};

/* Counted since the agent has known the module. */
struct sk_module_counts {
    uint64_t starts, stops, images; /* asked for */
    uint64_t expected_ns;           /* it should have run so long, */
    uint64_t correct_ns;            /* and did */
};

/* How a module stands, for reports, lists and metrics. */
struct sk_module_view {
    const struct sk_module_state *state;
    int exit_code;
    int pid;                                              /* 0: not running */
    int64_t last_start_us, last_exit_us, last_restart_us; /* 0: never */
    const char *description; /* "running", "exited with code 1", why it could not be made … */
    bool made;               /* false: it is still being made, or could not be */
    const char *image_hash;  /* "sha256:…" of a container's image, else "" */
    const struct sk_module_counts *counts;
    const struct sk_usage *usage; /* as it was measured last; NULL: it was not, or could not be */
    const struct sk_summary
        *cpu; /* hundredths of a percent of all processors, between measurings */
};

struct sk_modules *sk_modules_new(struct sk_io *io, const struct sk_modules_options *options);
/* Stops every module (asked for 10 s, then killed) and frees; `freed` comes once, not from inside.
 * Containers that run when the agent is killed go on, and are taken over by the next. */
void sk_modules_free(struct sk_modules *modules, void (*freed)(void *arg), void *arg);

/* Plans from what is there to what is desired and starts the plan; while one runs, the next call
 * after it plans anew. The deployment is read now and not kept. */
void sk_modules_reconcile(struct sk_modules *modules, const struct sk_deployment *desired);
bool sk_modules_busy(const struct sk_modules *modules);
/* Why the last plan was not carried out in full, or "" when it was. */
const char *sk_modules_failure(const struct sk_modules *modules);
/* When to reconcile for the next back-off (monotonic, ns); UINT64_MAX: no need. */
uint64_t sk_modules_due_ns(const struct sk_modules *modules);

void sk_modules_each(struct sk_modules *modules,
                     void (*each)(void *arg, const struct sk_module_view *view), void *arg);
/* Measures what each module uses (struct sk_module_view); `done` once, not from inside, when all
 * have answered. One question at a time. `processors`: of the machine. */
void sk_modules_measure(struct sk_modules *modules, unsigned processors, void (*done)(void *arg),
                        void *arg);
/* What has not answered is left out, and `done` does not come. */
void sk_modules_measure_end(struct sk_modules *modules);
/* How long steps of plans have taken, in µs. */
const struct sk_summary *sk_modules_took(const struct sk_modules *modules, enum sk_plan_kind kind);
/* Whether all is as the last plan wanted it; then since when (monotonic). */
bool sk_modules_settled(const struct sk_modules *modules, uint64_t *since_ns);
/* Why there is no module of that name, in a sentence. */
const char *sk_modules_missing(struct sk_span name);
/* Stops and starts a module now, without counting it. SK_NOT_FOUND. */
enum sk_status sk_modules_restart(struct sk_modules *modules, struct sk_span name);
/* Starts or stops it now; what its deployment says of it is done at the next reconciliation.
 * SK_NOT_FOUND; SK_EXISTS: it is so already. */
enum sk_status sk_modules_start(struct sk_modules *modules, struct sk_span name);
enum sk_status sk_modules_stop(struct sk_modules *modules, struct sk_span name);
/* Reads a module's log; NULL with a sentence in `why`. */
struct sk_module_log *sk_modules_log(struct sk_modules *modules, struct sk_span name,
                                     const struct sk_log_ask *ask, const char **why);

#endif
