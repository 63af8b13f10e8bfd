/* Kinds of modules behind one table of operations, and what a kind tells the plan runner
 * (modules.c). Inside src/edge/agent only. */
#ifndef SK_EDGE_AGENT_KIND_H
#define SK_EDGE_AGENT_KIND_H

#include "edge/agent/module_usage.h"
#include "edge/agent/modules.h"
#include "net/http_client.h"

struct module_kind;
struct module_world;
struct containers;

struct module {
    struct sk_list link; /* in the world's list */
    struct module_world *world;
    const struct module_kind *kind;
    void *own;                    /* the kind's; NULL: it has nothing yet */
    struct sk_module_spec spec;   /* that it was made from; until then the desired one */
    struct sk_module_state state; /* state.spec is &spec */
    bool made;
    char *generation_id, *socket_path;
    bool start_again;     /* restart asked for: start when it has ended */
    bool ending;          /* the agent ends, and waits for its end */
    unsigned failed_plan; /* number of the plan in which a step of it failed */
    unsigned failures;    /* to make it, one after the other */
    uint64_t retry_ns;    /* not before */
    int exit_code, pid;   /* pid 0: not running, or not known */
    int64_t last_start_us, last_exit_us, last_restart_us;
    char image_hash[80]; /* "sha256:…" of what a container was made from */
    char description[400];
    char trouble[400];      /* why it cannot be made as it should be; "": no trouble */
    struct roll_back *back; /* NULL: there is nothing to go back to; roll_back.h */
    struct module_usage usage;
    struct sk_module_counts counts;
    uint64_t counted_ns; /* until when its times are in `counts` */
};

/* What a kind tells, at the end of what was asked for; also from inside it. */
struct module_events {
    void (*done)(struct module *module);
    void (*failed)(struct module *module, const char *what, const char *why);
    /* It runs no longer; state, exit_code and description say how. */
    void (*ended)(struct module *module);
    void (*changed)(struct module_world *world); /* something that is reported */
    void (*replan)(struct module_world *world);  /* what is ready, held or there */
};

/* What kinds share with the runner. */
struct module_world {
    struct sk_io *io;
    const struct sk_modules_options *options;
    struct sk_http_client *management;
    const struct module_events *events;
    struct sk_list modules;
    struct containers *containers;
    struct measuring measuring;
    bool closing; /* the agent ends: nothing is begun any more */
};

/* Operations that return true are done at once; with false `done`, `ended` or `failed` follows. */
struct module_kind {
    const char *type;
    /* Whether what `desired` is made from is at hand; NULL: always. `prepare` begins to get it. */
    enum sk_readiness (*ready)(struct module *module, const struct sk_module_spec *desired);
    void (*prepare)(struct module *module, const struct sk_module_spec *desired);
    /* Makes it as `spec` says, in place of what it was; it has its identity and does not run. */
    bool (*create)(struct module *module, const struct sk_module_spec *spec);
    /* A start that fails is a run that has failed. */
    bool (*start)(struct module *module);
    bool (*stop)(struct module *module); /* `ended` follows; true: it does not run */
    bool (*discard)(struct module *module);
    /* Lets go of `own`, whatever is under way; nothing is told any more. What runs, runs on. */
    void (*forget)(struct module *module);
    /* Begins to read its log (module_log.h); NULL with a sentence in `why`. */
    struct sk_module_log *(*log)(struct module *module, const struct sk_log_ask *ask,
                                 const char **why);
    /* What it uses now: true, in `usage`; false: usage_measured() follows, also from `forget`. */
    bool (*measure)(struct module *module, struct sk_usage *usage);
};

extern const struct module_kind process_kind;   /* process.c */
extern const struct module_kind container_kind; /* container.c */

#endif
