#include "simulation/script.h"

#include <duktape.h>
#include <stdio.h>
#include <string.h>

#include "model/json_text.h"

struct sk_simulation_engine {
    duk_context *js;
    const struct sk_simulation_host *host;
    void *arg; /* of the run */
    size_t bytes;
};

/* ---- memory: each piece begins with its size ---- */

enum { HEAD = 16 };

static void *give(void *udata, duk_size_t n) {
    struct sk_simulation_engine *engine = udata;
    if (n == 0 || engine->bytes + n > SK_SIMULATION_SCRIPT_BYTES) return NULL;
    char *piece = sk_alloc(n + HEAD);
    memcpy(piece, &n, sizeof n);
    engine->bytes += n;
    return piece + HEAD;
}

static void take_back(void *udata, void *at) {
    struct sk_simulation_engine *engine = udata;
    duk_size_t n;
    if (at == NULL) return;
    memcpy(&n, (char *)at - HEAD, sizeof n);
    engine->bytes -= n;
    free((char *)at - HEAD);
}

static void *give_other(void *udata, void *at, duk_size_t n) {
    duk_size_t before = 0;
    if (at) memcpy(&before, (char *)at - HEAD, sizeof before);
    void *piece = give(udata, n);
    if (piece && at) memcpy(piece, at, before < n ? before : n);
    if (piece || n == 0) take_back(udata, at);
    return piece;
}

/* All calls are protected: what comes here is out of memory before any of them. */
static void fatal(void *udata, const char *text) {
    (void)udata;
    SK_ERROR("simulation", "the script engine failed: %s", text ? text : "");
    abort();
}

/* ---- what scripts call ---- */

static struct sk_simulation_engine *engine_of(duk_context *js) {
    duk_memory_functions functions;
    duk_get_memory_functions(js, &functions);
    return functions.udata;
}

static json_t *value_at(duk_context *js, duk_idx_t i) {
    duk_dup(js, i);
    const char *text = duk_json_encode(js, -1);
    json_t *json = text ? sk_json_load(sk_span_z(text), JSON_DECODE_ANY, NULL) : NULL;
    duk_pop(js);
    return json;
}

static duk_ret_t do_log(duk_context *js) {
    struct sk_simulation_engine *engine = engine_of(js);
    engine->host->log(engine->arg, duk_safe_to_string(js, 0));
    return 0;
}

static duk_ret_t do_update_state(duk_context *js) {
    struct sk_simulation_engine *engine = engine_of(js);
    json_t *patch = value_at(js, 0);
    bool fine = json_is_object(patch);
    if (fine) engine->host->update_state(engine->arg, patch);
    json_decref(patch);
    return fine ? 0 : duk_type_error(js, "updateState takes an object");
}

static duk_ret_t do_update_property(duk_context *js) {
    struct sk_simulation_engine *engine = engine_of(js);
    const char *key = duk_require_string(js, 0);
    json_t *value = value_at(js, 1);
    engine->host->update_property(engine->arg, key, value);
    json_decref(value);
    return 0;
}

static duk_ret_t do_chance(duk_context *js) {
    struct sk_simulation_engine *engine = engine_of(js);
    duk_push_number(js, engine->host->chance(engine->arg));
    return 1;
}

/* A thread of the engine can be left from functions in JavaScript alone, so `sleep` is one, and so
 * is what wakes it. A run ends with null, a sleep gives its milliseconds. */
static const char prelude[] =
    "function sleep"
    "(ms) { Duktape.Thread.yield(Math.max(0, Number(ms) || 0)); }\n"
    "(function (host) {\n"
    "  var thread, resume = Duktape.Thread.resume;\n"
    "  host.begin = function (program, context, state, properties) {\n"
    "    thread = new Duktape.Thread(function () {\n"
    "      program();\n"
    "      main(context, state, properties);\n"
    "      return null;\n"
    "    });\n"
    "    var slept = resume(thread);\n"
    "    return slept;\n"
    "  };\n"
    "  host.goOn = function () { var slept = resume(thread); return slept; };\n"
    "})";

static duk_ret_t prepare(duk_context *js, void *script_arg) {
    const struct sk_simulation_script *script = script_arg;
    static const duk_function_list_entry functions[] = {{"log", do_log, 1},
                                                        {"updateState", do_update_state, 1},
                                                        {"updateProperty", do_update_property, 2},
                                                        {NULL, NULL, 0}};
    duk_push_global_object(js);
    duk_put_function_list(js, -1, functions);
    duk_get_prop_string(js, -1, "Math");
    duk_push_c_function(js, do_chance, 0);
    duk_put_prop_string(js, -2, "random");
    duk_push_global_stash(js);
    duk_eval_string(js, prelude);
    duk_dup(js, -2);
    duk_call(js, 1);
    duk_pop(js);
    duk_push_string(js, script->path);
    duk_compile_lstring_filename(js, 0, script->source.p, script->source.n);
    duk_put_prop_string(js, -2, "program");
    return 0;
}

static void push(duk_context *js, const json_t *json) {
    char *text = sk_json_text(json);
    duk_push_string(js, text ? text : "null");
    free(text);
    duk_json_decode(js, -1);
}

struct start {
    const json_t *context, *state, *properties;
};

static duk_ret_t begin(duk_context *js, void *start_arg) {
    const struct start *start = start_arg;
    duk_push_global_stash(js);
    duk_get_prop_string(js, -1, "begin");
    duk_get_prop_string(js, -2, "program");
    push(js, start->context);
    push(js, start->state);
    push(js, start->properties);
    duk_call(js, 4);
    return 1;
}

static duk_ret_t go_on(duk_context *js, void *none) {
    (void)none;
    duk_push_global_stash(js);
    duk_get_prop_string(js, -1, "goOn");
    duk_call(js, 0);
    return 1;
}

/* ---- for the simulator ---- */

static enum sk_status call(struct sk_simulation_engine *engine,
                           duk_ret_t (*function)(duk_context *, void *), void *arg,
                           uint64_t *sleep_ms, char reason[SK_SIMULATION_REASON]) {
    duk_context *js = engine->js;
    enum sk_status status = SK_OK;
    if (duk_safe_call(js, function, arg, 0, 1) != DUK_EXEC_SUCCESS) {
        snprintf(reason, SK_SIMULATION_REASON, "%s", duk_safe_to_string(js, -1));
        status = SK_INVALID;
    } else if (duk_is_number(js, -1)) {
        double ms = duk_get_number(js, -1);
        *sleep_ms = ms < 86400e3 ? (uint64_t)ms : 86400000;
        status = SK_AGAIN;
    }
    duk_pop(js);
    return status;
}

enum sk_status sk_simulation_engine_new(const struct sk_simulation_script *script,
                                        const struct sk_simulation_host *host,
                                        struct sk_simulation_engine **to,
                                        char reason[SK_SIMULATION_REASON]) {
    struct sk_simulation_engine *engine = SK_NEW(struct sk_simulation_engine);
    uint64_t none;
    engine->host = host;
    engine->js = duk_create_heap(give, give_other, take_back, engine, fatal);
    enum sk_status status =
        call(engine, prepare, (void *)(uintptr_t)script, &none, reason) ? SK_INVALID : SK_OK;
    if (status) sk_simulation_engine_free(engine);
    *to = status ? NULL : engine;
    return status;
}

void sk_simulation_engine_free(struct sk_simulation_engine *engine) {
    if (engine == NULL) return;
    duk_destroy_heap(engine->js);
    free(engine);
}

enum sk_status sk_simulation_engine_run(struct sk_simulation_engine *engine, const json_t *context,
                                        const json_t *state, const json_t *properties, void *arg,
                                        uint64_t *sleep_ms, char reason[SK_SIMULATION_REASON]) {
    struct start start = {context, state, properties};
    engine->arg = arg;
    return call(engine, begin, &start, sleep_ms, reason);
}

enum sk_status sk_simulation_engine_go_on(struct sk_simulation_engine *engine, uint64_t *sleep_ms,
                                          char reason[SK_SIMULATION_REASON]) {
    return call(engine, go_on, NULL, sleep_ms, reason);
}
