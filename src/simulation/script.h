/* The JavaScript of a device model, on Duktape: `main(context, previousState,
 * previousProperties)`, which may call log(text), updateState(object), updateProperty(key, value)
 * and, as a method's script, sleep(ms).
 *
 * A script has no other way out: no files, no network, no modules. It holds at most
 * SK_SIMULATION_SCRIPT_BYTES. It is not ended when it loops for ever: it holds its thread. */
#ifndef SK_SIMULATION_SCRIPT_H
#define SK_SIMULATION_SCRIPT_H

#include "simulation/models/model.h"

enum { SK_SIMULATION_SCRIPT_BYTES = 8 * 1024 * 1024 };

/* What it may call; `arg` is that of the run. Values are the callee's to copy. */
struct sk_simulation_host {
    void (*log)(void *arg, const char *text);
    void (*update_state)(void *arg, const json_t *patch);
    void (*update_property)(void *arg, const char *key, const json_t *value);
    double (*chance)(void *arg); /* Math.random */
};

/* A script that is ready to run. */
struct sk_simulation_engine;
/* SK_INVALID: it cannot be compiled; `reason` has the engine's sentence. */
enum sk_status sk_simulation_engine_new(const struct sk_simulation_script *script,
                                        const struct sk_simulation_host *host,
                                        struct sk_simulation_engine **engine,
                                        char reason[SK_SIMULATION_REASON]);
void sk_simulation_engine_free(struct sk_simulation_engine *engine);

/* Runs `main`; what the script sets outside of its functions is set again first. SK_OK: it has
 * ended. SK_AGAIN: it sleeps for *sleep_ms, then call sk_simulation_engine_go_on; the engine runs
 * nothing else meanwhile. SK_INVALID: it threw, with the reason. */
enum sk_status sk_simulation_engine_run(struct sk_simulation_engine *engine, const json_t *context,
                                        const json_t *state, const json_t *properties, void *arg,
                                        uint64_t *sleep_ms, char reason[SK_SIMULATION_REASON]);
enum sk_status sk_simulation_engine_go_on(struct sk_simulation_engine *engine, uint64_t *sleep_ms,
                                          char reason[SK_SIMULATION_REASON]);

#endif
