/* Modules that are containers: type "docker". */
#include <stdio.h>

#include "edge/agent/container_log.h"
#include "edge/agent/containers.h"
#include "edge/agent/daemon_call.h"
#include "edge/agent/engine/create.h"
#include "edge/agent/engine/image.h"
#include "edge/agent/environment.h"
#include "edge/agent/images.h"
#include "model/identity.h"
#include "model/json_text.h"

enum {
    STOP_S = 10,
    STOP_MORE_MS = 5000, /* for the engine itself */
    MAKE_MS = 60000,
    MEASURE_MS = 5000,
    EXIT_NOT_STARTED = 127,
};
/* What the folder of the module's socket is called inside. */
#define INSIDE "/var/run/iotedge"

static void fail(struct module *module, const char *what, const char *why) {
    module->world->events->failed(module, what, why);
}

/* An engine that does not answer has its other containers left alone, too. */
static void fail_by(struct module *module, const char *what,
                    const struct sk_engine_answer *answer) {
    if (answer->http == 0) containers_down(module->world->containers, answer->why);
    fail(module, what, answer->why);
}

/* ---- getting ready ---- */

static enum sk_readiness ready(struct module *module, const struct sk_module_spec *desired) {
    struct containers *containers = module->world->containers;
    if (containers_up(containers)) {
        if (module->state.held && module->made) return SK_HELD;
        return images_ready(module, desired);
    }
    if (containers == NULL)
        snprintf(module->trouble, sizeof module->trouble,
                 "module %.60s is a container, and this edge has no engine to run it",
                 desired->name);
    const char *why = containers ? containers_trouble(containers) : module->trouble;
    if (!module->made && *why)
        snprintf(module->description, sizeof module->description, "%.190s", why);
    return SK_HELD;
}

static void prepare(struct module *module, const struct sk_module_spec *desired) {
    module->trouble[0] = 0;
    images_prepare(module, desired);
}

/* ---- making: socket, old container, new container, socket again ---- */

/* One thing at a time is asked of the engine for a container: what was begun by hand gives way to
 * the plan. */
static void ask(struct module *module, enum sk_http_method method, const char *target,
                const json_t *body, uint32_t timeout_ms, sk_engine_done *done) {
    struct container *container = container_own(module);
    sk_engine_cancel(container->call);
    container->await = AWAIT_NOTHING;
    container->call = sk_engine_ask(module->world->containers->engine, method, target, body,
                                    timeout_ms, done, container);
}

static void socket_told(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct module *module = arg;
    char why[160];
    if (status == SK_CLOSED && module->world->closing) return;
    json_t *json = daemon_answered(status, answer, why);
    if (json) {
        const char *note;
        images_name(module, &note);
        snprintf(container_own(module)->note, sizeof container_own(module)->note, "%s", note);
        images_used(module);
        module->world->events->done(module);
    } else {
        fail(module, "Socket", why);
    }
    json_decref(json);
}

/* The socket is for that container alone. */
static void tell_socket(struct module *module) {
    struct container *container = module->own;
    char body[128];
    snprintf(body, sizeof body, "{\"container\":true,\"containerId\":\"%s\"}", container->id);
    ask_daemon(module->world, SK_HTTP_PUT, "sockets", module->spec.name, sk_span_z(body),
               socket_told, module);
}

static void on_created(void *arg, const struct sk_engine_answer *answer) {
    struct container *container = arg;
    struct module *module = container->module;
    struct sk_span id = sk_span_z(json_string_value(json_object_get(answer->json, "Id")));
    container->call = NULL;
    module->made = false;        /* what it was is gone */
    container_look_away(module); /* what is on its way may be about the old one */
    if (answer->status) {
        if (answer->http == 404) images_used(module); /* there is no such image any more */
        fail_by(module, "Container", answer);
    } else if (id.n < 12 || id.n >= sizeof container->id || !sk_span_only(id, "")) {
        fail(module, "Container", "the container engine talks nonsense");
    } else {
        snprintf(container->id, sizeof container->id, "%.*s", SK_ARG(id));
        container->finished[0] = 0;
        container->stopping = container->adopted = false;
        tell_socket(module);
    }
}

/* Where the edge hub is reached from inside; NULL: by the name alone. */
static const char *gateway_address(const struct containers *containers) {
    const struct sk_modules_options *options = containers->world->options;
    if (options->containers.gateway_address) return options->containers.gateway_address;
    return containers->gateway[0] ? containers->gateway : NULL;
}

/* A name that is an address needs no help from the hosts file. */
static bool is_address(const char *host) {
    return sk_span_find(sk_span_z(host), ':') < strlen(host) ||
           (sk_span_only(sk_span_z(host), ".") && strspn(host, "0123456789.") == strlen(host));
}

static json_t *make_body(struct module *module, const struct sk_module_spec *spec,
                         const char *image) {
    const struct containers *containers = module->world->containers;
    const struct sk_modules_options *options = module->world->options;
    const char *environment[ENVIRONMENT_MAX];
    struct sk_arena arena = {0};
    struct sk_span folder = sk_span_z(module->socket_path);
    while (folder.n > 1 && folder.p[folder.n - 1] != '/') folder.n--;
    make_environment(module, spec, "unix://" INSIDE "/workload.sock", &arena, environment);
    json_t *json = sk_module_spec_json(spec);
    SK_CLEANUP_FREE char *text = sk_json_text(json);
    json_decref(json);
    json_t *body = sk_container_body(&(struct sk_container_plan){
        .options = spec->create_options,
        .image = image,
        .environment = environment,
        .bind = sk_arena_print(&arena, "%.*s:" INSIDE, (int)folder.n - 1, folder.p).p,
        .network = options->containers.network,
        .gateway_host = is_address(options->gateway_host) ? NULL : options->gateway_host,
        .gateway_address = gateway_address(containers),
        .original_image = spec->image,
        .module = text,
        .edge = containers->edge,
        .not_elevated = options->containers.not_elevated,
        .rotates_logs = containers->rotates_logs,
    });
    sk_arena_free(&arena);
    return body;
}

static const struct sk_module_spec *spec_of(const struct container *container) {
    return container->next ? container->next : &container->module->spec;
}

static void make_container(struct module *module) {
    struct container *container = module->own;
    const struct sk_module_spec *spec = spec_of(container);
    struct sk_buffer name = {0};
    struct sk_image_name parsed;
    const char *note, *image = images_name(module, &note);
    char target[192];
    if (image[0] == 0) { /* made anew from what is here */
        if (spec->image_id)
            sk_buffer_text(&name, spec->image_id);
        else if (sk_image_name_parse(sk_span_z(spec->image), &parsed) == SK_OK)
            sk_image_name_put(&name, &parsed, module->world->options->parent_host);
        sk_buffer_byte(&name, 0);
        image = name.p;
    }
    json_t *body = make_body(module, spec, image);
    snprintf(target, sizeof target, "/containers/create?name=%.128s", spec->name);
    ask(module, SK_HTTP_POST, target, body, MAKE_MS, on_created);
    json_decref(body);
    sk_buffer_free(&name);
}

static void on_removed(void *arg, const struct sk_engine_answer *answer) {
    struct container *container = arg;
    container->call = NULL;
    if (answer->status && answer->http != 404)
        fail_by(container->module, "Container", answer);
    else
        make_container(container->module);
}

/* Nobody else's container goes because it has the name of a module of ours. */
static void on_old_seen(void *arg, const struct sk_engine_answer *answer) {
    struct container *container = arg;
    struct module *module = container->module;
    const json_t *labels = json_object_get(json_object_get(answer->json, "Config"), "Labels");
    char target[192];
    container->call = NULL;
    if (answer->http == 404) {
        make_container(module);
    } else if (answer->status) {
        fail_by(module, "Container", answer);
    } else if (!container_is_ours(module->world->containers, labels)) {
        fail(module, "Container",
             "somebody else's container has this name; rename or remove that one");
    } else {
        snprintf(target, sizeof target, "/containers/%.128s?force=true", module->spec.name);
        ask(module, SK_HTTP_DELETE, target, NULL, MAKE_MS, on_removed);
    }
}

static void socket_made(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct module *module = arg;
    char why[160], target[192];
    if (status == SK_CLOSED && module->world->closing) return;
    json_t *json = daemon_answered(status, answer, why);
    const char *path = json_string_value(json_object_get(json, "path"));
    if (path) {
        sk_identity_set(&module->socket_path, sk_span_z(path));
        snprintf(target, sizeof target, "/containers/%.128s/json", module->spec.name);
        ask(module, SK_HTTP_GET, target, NULL, 0, on_old_seen);
    } else {
        fail(module, "Socket", why);
    }
    json_decref(json);
}

static bool create(struct module *module, const struct sk_module_spec *spec) {
    container_own(module)->next = spec;
    ask_daemon(module->world, SK_HTTP_PUT, "sockets", spec->name, SK_SPAN("{\"container\":true}"),
               socket_made, module);
    return false;
}

/* ---- starting and stopping ---- */

static void not_started(struct module *module, const char *why) {
    module->state.started = true;
    module->state.exit_failed = true;
    module->state.exited_ns = sk_io_now(module->world->io);
    module->exit_code = EXIT_NOT_STARTED;
    snprintf(module->description, sizeof module->description, "cannot start: %.150s", why);
    SK_WARN("agent", "module %s %s", module->spec.name, module->description);
}

static void on_started(void *arg, const struct sk_engine_answer *answer) {
    struct container *container = arg;
    struct module *module = container->module;
    container->call = NULL;
    if (answer->status == SK_OK) {
        SK_INFO("agent", "module %s started (container %.12s)", module->spec.name, container->id);
        container->await = AWAIT_START;
        container_look(module);
        return;
    }
    not_started(module, answer->why);
    if (answer->http == 0) containers_down(module->world->containers, answer->why);
    if (answer->http == 404) container_look(module); /* it is lost, or its network is */
    module->world->events->done(module);
}

static bool start(struct module *module) {
    struct container *container = container_own(module);
    char target[192];
    if (module->state.running) return true;
    snprintf(target, sizeof target, "/containers/%.128s/start", module->spec.name);
    container->stopping = false;
    ask(module, SK_HTTP_POST, target, NULL, MAKE_MS, on_started);
    return false;
}

static void on_stopped(void *arg, const struct sk_engine_answer *answer) {
    struct container *container = arg;
    struct module *module = container->module;
    container->call = NULL;
    if (answer->status && answer->http != 404) {
        container->stopping = false;
        fail_by(module, "Stop", answer);
        return;
    }
    container->await = AWAIT_STOP;
    container_look(module);
}

static bool stop(struct module *module) {
    struct container *container = module->own;
    const json_t *own = json_object_get(module->spec.create_options, "StopTimeout");
    json_int_t seconds = json_is_integer(own) ? json_integer_value(own) : STOP_S;
    char target[192];
    if (container == NULL || !module->state.running) return true;
    if (container->stopping) return false;
    if (seconds < 0 || seconds > 3600) seconds = STOP_S;
    if (module->world->closing && seconds > STOP_S) seconds = STOP_S;
    if (module->world->closing && !containers_up(module->world->containers)) return true;
    container->stopping = true;
    snprintf(target, sizeof target, "/containers/%.128s/stop?t=%d", module->spec.name,
             (int)seconds);
    ask(module, SK_HTTP_POST, target, NULL, (uint32_t)seconds * 1000 + STOP_MORE_MS, on_stopped);
    return false;
}

static void on_discarded(void *arg, const struct sk_engine_answer *answer) {
    struct container *container = arg;
    struct module *module = container->module;
    container->call = NULL;
    if (answer->status && answer->http != 404) {
        fail_by(module, "Removal", answer);
        return;
    }
    container_forget(module);
    module->world->events->done(module);
}

static bool discard(struct module *module) {
    char target[192];
    images_used(module);
    snprintf(target, sizeof target, "/containers/%.128s?force=true", module->spec.name);
    ask(module, SK_HTTP_DELETE, target, NULL, MAKE_MS, on_discarded);
    return false;
}

/* ---- what it uses ---- */

static void on_stats(void *arg, const struct sk_engine_answer *answer) {
    struct container *container = arg;
    struct sk_usage usage;
    container->measuring = NULL;
    sk_usage_of_stats(answer->json, &usage);
    usage_measured(container->module, answer->status ? NULL : &usage);
}

static bool measure(struct module *module, struct sk_usage *usage) {
    struct container *container = module->own;
    char target[192];
    sk_usage_clear(usage);
    if (container == NULL || !module->state.running || !containers_up(module->world->containers))
        return true;
    snprintf(target, sizeof target, "/containers/%.128s/stats?stream=false&one-shot=true",
             module->spec.name);
    container->measuring = sk_engine_ask(module->world->containers->engine, SK_HTTP_GET, target,
                                         NULL, MEASURE_MS, on_stats, container);
    return false;
}

const struct module_kind container_kind = {
    .type = "docker",
    .ready = ready,
    .prepare = prepare,
    .create = create,
    .start = start,
    .stop = stop,
    .discard = discard,
    .forget = container_forget,
    .log = container_log,
    .measure = measure,
};
