/* Simulations and device models, as documents. Inside src/hub/simulations only.
 *
 *   document.c     what a request may say of a simulation or a model: read, checked, shown
 *   runs.c         what a runner says of a run, and what others are told of it
 *   simulations.c  the operations, and the part
 *
 * The hub runs no devices and no scripts. A runner (`skerry sim follow`) reads what is to be done,
 * does it, and says how it goes; while it does, nobody else may
 * (docs/decisions/0048-simulations-are-documents.md).
 * Reference: docs/protocols/device-simulation.md. */
#ifndef SK_HUB_SIMULATIONS_PARTS_H
#define SK_HUB_SIMULATIONS_PARTS_H

#include "hub/parts.h"
#include "simulation/models/model.h"

enum {
    SIMULATIONS_MAX = 100,
    MODELS_MAX = 100,              /* beside those that come along */
    SIMULATION_BYTES = 256 * 1024, /* of a document's JSON */
    SIMULATION_LEASE_S = 15,       /* a runner has it until so long after its last word */
    SIMULATION_SAVE_S = 30,        /* statistics are stored that often */
    SIMULATION_WAIT_S = 60,        /* how long a list waits for a change at most */
    SIMULATION_WAITERS = 16,       /* lists that wait */
    SIMULATION_RUNNER = 128,       /* bytes of a runner's name */
    SIMULATION_RATE_MAX = 1000000,
};

struct simulation {
    struct sk_list link;
    json_t *document; /* as it is stored; what is named below lives in it */
    const char *id;
    uint64_t etag;
    bool enabled;
    int64_t start_us, end_us; /* INT64_MAX: no end */
    json_t *run;              /* see runs.c */
    uint64_t lease_ns;        /* of the runner that `run` names, by the monotonic clock; 0: none */
    uint64_t saved_ns;
};

struct device_model {
    struct sk_list link;
    json_t *document;
    const char *id;
    uint64_t etag;
};

struct simulations {
    struct sk_hub *hub;
    struct sk_list list, models; /* struct simulation, struct device_model, as they were made */
    size_t count, model_count;
    bool loaded, writing;    /* one change at a time is written */
    struct sk_list waiting;  /* until all is loaded, or what is being written is: see hub_wait */
    struct sk_list watchers; /* lists that wait for a change */
    size_t watcher_count;
    uint64_t changes;     /* number of the newest */
    uint64_t followed_ns; /* when a runner has asked last; 0: never */
};

/* ---- document.c. NULL or false: `error` says why not. ---- */

/* A stored document. */
struct simulation *simulation_read(json_t *document /* taken */);
void simulation_free(struct simulation *simulation);
/* What is to be stored of a request, which may be of an earlier version (`before`; NULL: new). */
json_t *simulation_document(const struct simulations *simulations, const json_t *body,
                            const char *id, const struct simulation *before, int64_t now_us,
                            char error[SK_MODEL_ERROR_MAX]);
struct device_model *device_model_read(json_t *document /* taken */);
void device_model_free(struct device_model *model);
json_t *device_model_document(const json_t *body, const char *id, uint64_t etag,
                              char error[SK_MODEL_ERROR_MAX]);
/* A model that comes along, or is kept here: its document with the scripts that it names in Files;
 * owned by the caller. NULL: there is none. */
json_t *device_model_whole(const struct simulations *simulations, struct sk_span id);
/* One that comes along, by its id; owned by the caller, or NULL. */
json_t *device_model_stock(struct sk_span id);
/* Of a list: without its scripts and templates. */
json_t *device_model_summary(const json_t *document);

/* ---- runs.c ---- */

/* A new run, after another one (NULL: the first). */
json_t *run_new(const json_t *before);
bool simulation_is_active(const struct simulation *simulation, int64_t now_us);
bool simulation_is_held(const struct simulation *simulation, uint64_t now_ns);
/* As people and runners see it. */
json_t *simulation_shown(const struct simulation *simulation, int64_t now_us, uint64_t now_ns);
/* What a runner says: checked; false: `error`. */
bool run_fine(const json_t *body, char error[SK_MODEL_ERROR_MAX]);
/* Puts it into the run. True: it is to be stored at once. */
bool run_take(json_t *run, const json_t *body, bool active, int64_t now_us);

#endif
