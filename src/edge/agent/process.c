/* Modules that are programs of the host: type "process". */
#include <signal.h>
#include <stdio.h>

#include "edge/agent/daemon_call.h"
#include "edge/agent/environment.h"
#include "edge/agent/place.h"
#include "edge/agent/process_usage.h"
#include "edge/agent/process_log.h"
#include "io/limits.h"
#include "model/identity.h"

enum { STOP_S = 10, EXIT_NOT_STARTED = 127 /* as a shell says it */ };

struct process {
    struct module *module;
    struct sk_place place;
    struct sk_limit_group limits; /* that it is started in; none: empty */
    struct sk_child *child;
    struct sk_timer kill; /* after a polite stop */
};

static struct process *own(struct module *module) {
    if (module->own == NULL) {
        struct process *process = SK_NEW(struct process);
        process->module = module;
        module->own = process;
    }
    return module->own;
}

static void forget(struct module *module) {
    struct process *process = module->own;
    module->own = NULL;
    if (process == NULL) return;
    sk_timer_stop(&process->kill);
    sk_limit_group_remove(&process->limits);
    free(process);
}

/* ---- running ---- */

static void on_exit_of(struct sk_child *child, void *arg, int exit_code, int signal_number) {
    struct process *process = arg;
    struct module *module = process->module;
    struct sk_io *io = module->world->io;
    (void)child;
    process->child = NULL;
    module->pid = 0;
    module->state.running = false;
    module->state.exited_ns = sk_io_now(io);
    module->last_exit_us = sk_io_wall(io);
    module->exit_code = signal_number ? 128 + signal_number : exit_code;
    bool stopped_by_us = sk_timer_running(&process->kill);
    sk_timer_stop(&process->kill);
    /* Asked to stop, an end by that signal is no failure. */
    module->state.exit_failed = module->exit_code != 0 && !stopped_by_us;
    if (signal_number)
        snprintf(module->description, sizeof module->description, "ended by signal %d",
                 signal_number);
    else
        snprintf(module->description, sizeof module->description, "exited with code %d", exit_code);
    SK_INFO("agent", "module %s %s", module->spec.name, module->description);
    module->world->events->ended(module);
}

static void not_started(struct module *module, enum sk_status status) {
    /* Counts as a run that failed, so the restart policy decides about the next try. */
    module->state.exit_failed = true;
    module->state.exited_ns = sk_io_now(module->world->io);
    module->exit_code = EXIT_NOT_STARTED;
    snprintf(module->description, sizeof module->description, "cannot start %.100s: %s",
             module->spec.command[0], sk_status_text(status));
    SK_WARN("agent", "module %s: %s", module->spec.name, module->description);
}

static bool start(struct module *module) {
    struct process *process = own(module);
    struct sk_io *io = module->world->io;
    const char *data = module->world->options->data;
    const char *environment[ENVIRONMENT_MAX];
    struct sk_arena arena = {0};
    char folder[512], log[512];
    if (process->child) return true;
    snprintf(folder, sizeof folder, "%s/modules/%s", data, module->spec.name);
    process_log_path(data, module->spec.name, ".log", log);
    make_environment(module, &module->spec,
                     sk_arena_print(&arena, "unix://%s", module->socket_path).p, &arena,
                     environment);
    add_variable(&arena, environment, "HOME", folder);
    add_variable(&arena, environment, "PATH",
                 "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    struct sk_child_options options = {
        .command = (const char *const *)module->spec.command,
        .environment = environment,
        .folder = module->spec.folder ? module->spec.folder : folder,
        .uid = process->place.uid,
        .gid = process->place.gid,
        .pass_folders = process->place.pass_folders,
        .limits = process->limits.count ? &process->limits : NULL,
        .output_path = log,
        .on_exit = on_exit_of,
        .arg = process,
    };
    enum sk_status status = sk_child_start(io, &options, &process->child);
    sk_arena_free(&arena);
    module->state.started = true;
    module->state.running = status == SK_OK;
    if (status) {
        not_started(module, status);
    } else {
        module->pid = sk_child_pid(process->child);
        module->state.started_ns = sk_io_now(io);
        module->last_start_us = sk_io_wall(io);
        snprintf(module->description, sizeof module->description, "running");
        SK_INFO("agent", "module %s started (pid %d)", module->spec.name, module->pid);
    }
    module->world->events->changed(module->world);
    return true;
}

static void kill_now(struct sk_timer *timer) {
    struct process *process = SK_CONTAINER(timer, struct process, kill);
    if (process->child == NULL) return;
    sk_child_signal(process->child, SIGKILL);
    sk_timer_start(process->module->world->io, timer, STOP_S * SK_S, kill_now);
}

static bool stop(struct module *module) {
    struct process *process = module->own;
    if (process == NULL || process->child == NULL) return true;
    if (sk_timer_running(&process->kill)) return false;
    sk_child_signal(process->child, SIGTERM);
    sk_timer_start(module->world->io, &process->kill, STOP_S * SK_S, kill_now);
    return false;
}

/* ---- making ---- */

static void socket_made(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct module *module = arg;
    char why[160];
    if (status == SK_CLOSED && module->world->closing) return;
    json_t *json = daemon_answered(status, answer, why);
    const char *path = json_string_value(json_object_get(json, "path"));
    if (path) {
        sk_identity_set(&module->socket_path, sk_span_z(path));
        module->world->events->done(module);
    } else {
        module->world->events->failed(module, "Socket", why);
    }
    json_decref(json);
}

/* Without a group it runs all the same, and that is said. */
static void make_limits(struct module *module, const struct sk_module_spec *spec) {
    const struct sk_limits *limits = &spec->limits;
    struct process *process = own(module);
    char name[80], why[200];
    process->limits.count = 0;
    module->trouble[0] = 0;
    if (limits->memory == 0 && limits->cpu == 0 && limits->pids == 0) return;
    snprintf(name, sizeof name, "%08x-%08x",
             (unsigned)sk_crc32c(0, sk_span_z(module->world->options->data)),
             (unsigned)sk_crc32c(0, sk_span_z(spec->name)));
    if (sk_limit_group_make(name, limits, &process->limits, why) == SK_OK) return;
    snprintf(module->trouble, sizeof module->trouble,
             "module %.60s runs without its limits: %.150s", spec->name, why);
    SK_WARN("agent", "%s", module->trouble);
}

/* The folder with its owner, and then the socket. */
static bool create(struct module *module, const struct sk_module_spec *spec) {
    char body[64];
    struct module_world *world = module->world;
    struct sk_place *place = &own(module)->place;
    if (sk_place_make(world->io, world->options->data, spec, world->options->own_users, place)) {
        world->events->failed(module, place->what, place->why);
        return false;
    }
    make_limits(module, spec);
    snprintf(body, sizeof body, "{\"uid\":%u,\"gid\":%u}", place->uid, place->gid);
    ask_daemon(world, SK_HTTP_PUT, "sockets", spec->name, sk_span_z(body), socket_made, module);
    return false;
}

/* Folder and log stay, for the next of that name. */
static bool discard(struct module *module) {
    forget(module);
    return true;
}

static struct sk_module_log *open_log(struct module *module, const struct sk_log_ask *ask,
                                      const char **why) {
    char path[512];
    (void)why;
    process_log_path(module->world->options->data, module->spec.name, ".log", path);
    return process_log_open(module->world->io, path, ask);
}

static bool measure(struct module *module, struct sk_usage *usage) {
    if (module->pid)
        process_usage(module->world->io, module->pid, usage);
    else
        sk_usage_clear(usage);
    if (module->spec.limits.memory) usage->memory_limit = (int64_t)module->spec.limits.memory;
    return true;
}

const struct module_kind process_kind = {
    .type = "process",
    .create = create,
    .start = start,
    .stop = stop,
    .discard = discard,
    .forget = forget,
    .log = open_log,
    .measure = measure,
};
