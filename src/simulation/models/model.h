/* A device model: what a simulated device is, in the form of Azure's device simulation (JSON, with
 * behaviour in JavaScript or of the simulator's own).
 * Reference: docs/protocols/device-simulation.md. */
#ifndef SK_SIMULATION_MODELS_MODEL_H
#define SK_SIMULATION_MODELS_MODEL_H

#include <jansson.h>

#include "base/base.h"

/* What changes a device's state. */
enum sk_simulation_behaviour {
    SK_SIMULATION_JAVASCRIPT,
    SK_SIMULATION_WITHIN_RANGE, /* Math.Random.WithinRange */
    SK_SIMULATION_INCREASING,   /* Math.Increasing */
    SK_SIMULATION_DECREASING,   /* Math.Decreasing */
};

struct sk_simulation_script {
    enum sk_simulation_behaviour behaviour;
    const char *path;      /* as the model has it */
    struct sk_span source; /* JavaScript */
    const json_t *params;  /* of the others: {sensor: {Min, Max, Step}} */
};

struct sk_simulation_telemetry {
    uint64_t interval_ms;
    const char *body; /* the template, ${key} in it */
    const char *schema;
};

struct sk_simulation_method {
    const char *name;
    struct sk_simulation_script script;
};

/* Read only; texts live as long as it does. */
struct sk_simulation_model {
    const char *id, *name, *description, *version, *protocol;
    uint64_t interval_ms; /* between two runs of the scripts */
    const json_t *state;  /* at the start */
    const json_t *properties, *tags;
    struct sk_simulation_script *scripts;
    struct sk_simulation_telemetry *telemetry;
    struct sk_simulation_method *methods;
    size_t script_count, telemetry_count, method_count;
    json_t *document;
    struct sk_arena arena;
};

/* Finds the files that a model names; `path` as the model has it. */
struct sk_simulation_files {
    enum sk_status (*load)(void *arg, const char *path, struct sk_buffer *to);
    void *arg;
};

enum {
    SK_SIMULATION_REASON = 320,
    SK_SIMULATION_MODEL_MAX = 256 * 1024, /* bytes of its text, and of each script */
    SK_SIMULATION_MODELS_MAX = 64,        /* of a simulation */
    SK_SIMULATION_DEVICES_MAX = 100000,   /* likewise */
    SK_SIMULATION_ID_MAX = 36,            /* bytes of its id, which begins those of its devices */
    SK_SIMULATION_STATE_MS_MIN = 1000,
    SK_SIMULATION_TELEMETRY_MS_MIN = 500,
};

/* Reads a model. A script is looked for in its member Files ({name: source}), then by `files`.
 * SK_MALFORMED: it is no JSON; SK_INVALID; SK_NOT_FOUND: a script; SK_UNSUPPORTED; SK_TOO_LARGE.
 * Then `reason` has one sentence. */
enum sk_status sk_simulation_model_read(struct sk_span text,
                                        const struct sk_simulation_files *files,
                                        struct sk_simulation_model **model,
                                        char reason[SK_SIMULATION_REASON]);
void sk_simulation_model_free(struct sk_simulation_model *model);

/* Changes a model's document as an Override of a simulation says: members of Simulation, and of
 * each entry of Telemetry by its place. SK_INVALID: it is none, or has more Telemetry than the
 * model. */
enum sk_status sk_simulation_override(json_t *model, const json_t *with,
                                      char reason[SK_SIMULATION_REASON]);
/* An id that a simulation may have: 1 to SK_SIMULATION_ID_MAX letters, digits, and any of - _. */
bool sk_simulation_id_fine(struct sk_span id);

/* Appends the template with each ${key} replaced by the state's value: texts as they are within
 * JSON, without quotes of their own; what the state does not have stays. */
void sk_simulation_fill(struct sk_buffer *to, const char *body, const json_t *state);
/* Does to the state what a behaviour other than JavaScript says. `chance`: from 0 to below 1. */
void sk_simulation_behave(const struct sk_simulation_script *script, json_t *state,
                          double (*chance)(void *arg), void *arg);

/* stock.c: the models that come along. The text of the next one, in the order of their ids (*at is
 * 0 at first); and a file by its name, ID.json or a script, as `load` of the files above. */
bool sk_simulation_stock_next(size_t *at, struct sk_span *text);
enum sk_status sk_simulation_stock_load(void *arg, const char *path, struct sk_buffer *to);

#endif
