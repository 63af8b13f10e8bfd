#include "edge/agent/modules.h"

#include <signal.h>
#include <stdio.h>

#include "net/http_client.h"
#include "edge/agent/place.h"
#include "model/identity.h"

enum {
    STOP_S = 10,
    LOG_MAX = 8 * 1024 * 1024,
    LOG_KEPT = 1024 * 1024,
    LOG_TAIL = 64 * 1024,
    ENVIRONMENT_MAX = 256
};
static const char API_VERSION[] = "2022-08-03";

struct module {
    struct sk_list link;
    struct sk_modules *modules;
    struct sk_module_spec spec;
    struct sk_module_state state; /* state.spec is &spec */
    char *generation_id, *socket_path;
    struct sk_place place;
    struct sk_child *child;
    struct sk_timer kill; /* after a polite stop */
    bool start_again;     /* restart asked for: start when it has ended */
    unsigned failed_plan; /* number of the plan in which a step of it failed */
    int exit_code;
    int64_t last_start_us, last_exit_us, last_restart_us;
    char description[192];
};

/* A step with what it needs, as the deployment may be replaced while the plan runs. */
struct step {
    enum sk_plan_kind kind;
    char *name;
    struct sk_module_spec spec; /* of what is desired; empty for removals */
};

struct sk_modules {
    struct sk_io *io;
    struct sk_modules_options options;
    struct sk_http_client *management;
    struct sk_list list;
    struct step *steps;
    size_t step_count, step_next;
    unsigned plan; /* number of the running or last plan */
    bool running;  /* a plan */
    bool waiting;  /* its current step, for the daemon or a process's end */
    struct sk_timer log_check;
    uint64_t due_ns;
    char failure[256];
    void (*freed)(void *arg);
    void *freed_arg;
    struct sk_task freeing;
};

static void run_steps(struct sk_modules *modules);
static void step_done(struct sk_modules *modules);
static void start_process(struct sk_modules *modules, struct module *module);

/* ---- small things ---- */

static struct module *find(struct sk_modules *modules, struct sk_span name) {
    SK_LIST_EACH(&modules->list, node, following) {
        struct module *module = SK_CONTAINER(node, struct module, link);
        if (sk_span_is(name, module->spec.name)) return module;
    }
    return NULL;
}

static void changed(struct sk_modules *modules) {
    if (modules->options.changed && modules->freed == NULL)
        modules->options.changed(modules->options.arg);
}

static void path_of(const struct sk_modules *modules, const char *folder, const char *name,
                    const char *suffix, char to[512]) {
    snprintf(to, 512, "%s/%s/%s%s", modules->options.data, folder, name, suffix);
}

static void take_spec(struct module *module, const struct sk_module_spec *spec) {
    sk_module_spec_free(&module->spec);
    module->spec = sk_module_spec_copy(spec);
    module->state.spec = &module->spec;
}

static void module_free(struct module *module) {
    sk_list_remove(&module->link);
    sk_timer_stop(&module->kill);
    sk_module_spec_free(&module->spec);
    free(module->generation_id);
    free(module->socket_path);
    free(module);
}

/* A step failed: the module's other steps of this plan are left out. */
static void fail(struct sk_modules *modules, struct module *module, const char *what,
                 const char *why) {
    snprintf(modules->failure, sizeof modules->failure, "%s of module %.80s: %.120s", what,
             modules->steps[modules->step_next].name, why);
    SK_WARN("agent", "%s", modules->failure);
    module->failed_plan = modules->plan;
    snprintf(module->description, sizeof module->description, "%s", modules->failure);
}

/* ---- processes ---- */

static void on_exit_of(struct sk_child *child, void *arg, int exit_code, int signal_number) {
    struct module *module = arg;
    struct sk_modules *modules = module->modules;
    (void)child;
    module->child = NULL;
    module->state.running = false;
    module->state.exited_ns = sk_io_now(modules->io);
    module->last_exit_us = sk_io_wall(modules->io);
    module->exit_code = signal_number ? 128 + signal_number : exit_code;
    bool stopped_by_us = sk_timer_running(&module->kill);
    sk_timer_stop(&module->kill);
    /* Asked to stop, an end by that signal is no failure. */
    module->state.exit_failed = module->exit_code != 0 && !stopped_by_us;
    if (signal_number)
        snprintf(module->description, sizeof module->description, "ended by signal %d",
                 signal_number);
    else
        snprintf(module->description, sizeof module->description, "exited with code %d", exit_code);
    SK_INFO("agent", "module %s %s", module->spec.name, module->description);
    bool again = module->start_again;
    module->start_again = false;
    changed(modules);
    if (modules->running && modules->waiting &&
        sk_span_is(sk_span_z(module->spec.name), modules->steps[modules->step_next].name))
        step_done(modules);
    else if (modules->freed)
        run_steps(modules);
    else if (again && !module->spec.stopped)
        start_process(modules, module);
}

static void add_variable(struct sk_arena *arena, const char **environment, size_t *count,
                         const char *name, const char *value) {
    size_t n = strlen(name);
    if (value == NULL) return;
    for (size_t i = 0; i < *count; i++)
        if (strncmp(environment[i], name, n) == 0 && environment[i][n] == '=')
            return; /* the manifest's wins */
    if (*count + 1 < ENVIRONMENT_MAX)
        environment[(*count)++] = sk_arena_print(arena, "%s=%s", name, value).p;
}

static void make_environment(const struct module *module, const char *folder,
                             struct sk_arena *arena, const char *environment[ENVIRONMENT_MAX]) {
    const struct sk_modules_options *options = &module->modules->options;
    const char *name;
    json_t *entry;
    size_t n = 0;
    char port[8];
    json_object_foreach(module->spec.env, name, entry) add_variable(
        arena, environment, &n, name, json_string_value(json_object_get(entry, "value")));
    add_variable(arena, environment, &n, "IOTEDGE_WORKLOADURI",
                 sk_arena_print(arena, "unix://%s", module->socket_path).p);
    add_variable(arena, environment, &n, "IOTEDGE_AUTHSCHEME", "sasToken");
    add_variable(arena, environment, &n, "IOTEDGE_MODULEGENERATIONID", module->generation_id);
    add_variable(arena, environment, &n, "IOTEDGE_IOTHUBHOSTNAME", options->hub_host);
    add_variable(arena, environment, &n, "IOTEDGE_GATEWAYHOSTNAME", options->gateway_host);
    add_variable(arena, environment, &n, "IOTEDGE_PARENTHOSTNAME", options->parent_host);
    add_variable(arena, environment, &n, "IOTEDGE_DEVICEID", options->device_id);
    add_variable(arena, environment, &n, "IOTEDGE_MODULEID", module->spec.name);
    const char *level = getenv("RuntimeLogLevel"); /* the agent's own: [agent.env] */
    add_variable(arena, environment, &n, "RuntimeLogLevel", level ? level : "info");
    add_variable(arena, environment, &n, "UpstreamProtocol", getenv("UpstreamProtocol"));
    add_variable(arena, environment, &n, "IOTEDGE_APIVERSION", API_VERSION);
    add_variable(arena, environment, &n, "HOME", folder);
    add_variable(arena, environment, &n, "PATH",
                 "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    snprintf(port, sizeof port, "%u", options->gateway_port);
    if (options->gateway_port != 8883)
        add_variable(arena, environment, &n, "SKERRY_GATEWAY_PORT", port);
    environment[n] = NULL;
}

static void start_process(struct sk_modules *modules, struct module *module) {
    const char *environment[ENVIRONMENT_MAX];
    struct sk_arena arena = {0};
    char folder[512], log[512];
    path_of(modules, "modules", module->spec.name, "", folder);
    path_of(modules, "logs", module->spec.name, ".log", log);
    make_environment(module, folder, &arena, environment);
    struct sk_child_options options = {
        .command = (const char *const *)module->spec.command,
        .environment = environment,
        .folder = module->spec.folder ? module->spec.folder : folder,
        .uid = module->place.uid,
        .gid = module->place.gid,
        .pass_folders = module->place.pass_folders,
        .output_path = log,
        .on_exit = on_exit_of,
        .arg = module,
    };
    enum sk_status status = sk_child_start(modules->io, &options, &module->child);
    sk_arena_free(&arena);
    module->state.started = true;
    module->state.running = status == SK_OK;
    if (status) {
        /* Counts as a run that failed, so the restart policy decides about the next try. */
        module->state.exit_failed = true;
        module->state.exited_ns = sk_io_now(modules->io);
        module->exit_code = 127; /* as a shell says it */
        snprintf(module->description, sizeof module->description, "cannot start %.100s: %s",
                 module->spec.command[0], sk_status_text(status));
        SK_WARN("agent", "module %s: %s", module->spec.name, module->description);
    } else {
        module->state.started_ns = sk_io_now(modules->io);
        module->last_start_us = sk_io_wall(modules->io);
        snprintf(module->description, sizeof module->description, "running");
        SK_INFO("agent", "module %s started (pid %d)", module->spec.name,
                sk_child_pid(module->child));
    }
    changed(modules);
}

static void kill_now(struct sk_timer *timer) {
    struct module *module = SK_CONTAINER(timer, struct module, kill);
    if (module->child == NULL) return;
    sk_child_signal(module->child, SIGKILL);
    sk_timer_start(module->modules->io, timer, STOP_S * SK_S, kill_now);
}

static void stop_process(struct module *module) {
    if (module->child == NULL || sk_timer_running(&module->kill)) return;
    sk_child_signal(module->child, SIGTERM);
    sk_timer_start(module->modules->io, &module->kill, STOP_S * SK_S, kill_now);
}

/* ---- the daemon ---- */

/* Sends a request about the current step's module. */
static void ask_daemon(struct sk_modules *modules, enum sk_http_method method, const char *what,
                       const char *name, struct sk_span body,
                       void (*done)(void *arg, enum sk_status status,
                                    const struct sk_http_parser *answer)) {
    struct sk_buffer target = {0};
    sk_buffer_print(&target, "/%s/", what);
    sk_percent_encode(&target, sk_span_z(name));
    sk_buffer_print(&target, "?api-version=%s", API_VERSION);
    modules->waiting = true;
    sk_http_client_send(modules->management,
                        &(struct sk_http_ask){.method = method,
                                              .target = sk_buffer_span(&target),
                                              .body = body,
                                              .done = done,
                                              .arg = modules});
    sk_buffer_free(&target);
}

/* The JSON of a good answer; else NULL with the reason in `why`. */
static json_t *read_answer(enum sk_status status, const struct sk_http_parser *answer,
                           char why[160]) {
    if (status) {
        snprintf(why, 160, "the daemon cannot be asked: %s", sk_status_text(status));
        return NULL;
    }
    json_t *json = json_loadb(answer->body.p ? answer->body.p : "", answer->body.n, 0, NULL);
    if (answer->status / 100 == 2 && json) return json;
    const char *message = json_string_value(json_object_get(json, "message"));
    snprintf(why, 160, "%.150s", message ? message : sk_http_reason(answer->status));
    json_decref(json);
    return NULL;
}

static void socket_made(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct sk_modules *modules = arg;
    char why[160];
    if (status == SK_CLOSED && modules->freed) return;
    struct step *step = &modules->steps[modules->step_next];
    struct module *module = find(modules, sk_span_z(step->name));
    json_t *json = read_answer(status, answer, why);
    const char *path = json_string_value(json_object_get(json, "path"));
    if (path) {
        sk_identity_set(&module->socket_path, sk_span_z(path));
        take_spec(module, &step->spec);
        module->state.started = false;
        module->state.restart_count = 0;
        snprintf(module->description, sizeof module->description, "created");
    } else {
        fail(modules, module, "Socket", why);
    }
    json_decref(json);
    step_done(modules);
}

/* The folder with its owner, and then the socket. */
static void make_place(struct sk_modules *modules, struct module *module,
                       const struct sk_module_spec *spec) {
    char body[64];
    struct sk_place *place = &module->place;
    if (sk_place_make(modules->io, modules->options.data, spec, modules->options.own_users,
                      place)) {
        fail(modules, module, place->what, place->why);
        step_done(modules);
        return;
    }
    snprintf(body, sizeof body, "{\"uid\":%u,\"gid\":%u}", place->uid, place->gid);
    ask_daemon(modules, SK_HTTP_PUT, "sockets", spec->name, sk_span_z(body), socket_made);
}

static void identity_made(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct sk_modules *modules = arg;
    char why[160];
    if (status == SK_CLOSED && modules->freed) return;
    struct step *step = &modules->steps[modules->step_next];
    struct module *module = find(modules, sk_span_z(step->name));
    json_t *json = read_answer(status, answer, why);
    const char *generation_id = json_string_value(json_object_get(json, "generationId"));
    modules->waiting = false;
    if (generation_id == NULL) {
        fail(modules, module, "Identity", why);
        step_done(modules);
    } else {
        sk_identity_set(&module->generation_id, sk_span_z(generation_id));
        make_place(modules, module, &step->spec);
    }
    json_decref(json);
}

static void create(struct sk_modules *modules, struct step *step) {
    struct module *module = find(modules, sk_span_z(step->name));
    if (module == NULL) {
        module = SK_NEW(struct module);
        module->modules = modules;
        sk_list_append(&modules->list, &module->link);
        take_spec(module, &step->spec);
    }
    ask_daemon(modules, SK_HTTP_PUT, "identities", step->name,
               SK_SPAN("{\"managedBy\":\"IotEdge\"}"), identity_made);
}

static void identity_deleted(void *arg, enum sk_status status,
                             const struct sk_http_parser *answer) {
    struct sk_modules *modules = arg;
    (void)answer;
    if (status == SK_CLOSED && modules->freed) return;
    /* Without a connection the identity stays on the hub; the process is gone, which is what was
     * asked. */
    step_done(modules);
}

static void socket_deleted(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct sk_modules *modules = arg;
    (void)answer;
    if (status == SK_CLOSED && modules->freed) return;
    struct step *step = &modules->steps[modules->step_next];
    struct module *module = find(modules, sk_span_z(step->name));
    if (module) module_free(module);
    changed(modules);
    ask_daemon(modules, SK_HTTP_DELETE, "identities", step->name, SK_NONE, identity_deleted);
}

/* ---- plans ---- */

static void steps_free(struct sk_modules *modules) {
    for (size_t i = 0; i < modules->step_count; i++) {
        free(modules->steps[i].name);
        sk_module_spec_free(&modules->steps[i].spec);
    }
    free(modules->steps);
    modules->steps = NULL;
    modules->step_count = modules->step_next = 0;
}

static void step_done(struct sk_modules *modules) {
    modules->waiting = false;
    modules->step_next++;
    run_steps(modules);
}

/* Carries out one step; true when it is done, false when it waits. */
static bool run_step(struct sk_modules *modules, struct step *step) {
    struct module *module = find(modules, sk_span_z(step->name));
    if (module && module->failed_plan == modules->plan) return true;
    if (module == NULL && step->kind != SK_PLAN_CREATE) return true;
    switch (step->kind) {
    case SK_PLAN_CREATE:
    case SK_PLAN_UPDATE: create(modules, step); return false;
    case SK_PLAN_REMOVE:
        ask_daemon(modules, SK_HTTP_DELETE, "sockets", step->name, SK_NONE, socket_deleted);
        return false;
    case SK_PLAN_RESTART:
        module->state.restart_count++;
        module->last_restart_us = sk_io_wall(modules->io);
        start_process(modules, module);
        return true;
    case SK_PLAN_START:
        if (module->child) return true;
        module->spec.stopped = false;
        module->state.restart_count = 0;
        start_process(modules, module);
        return true;
    case SK_PLAN_STOP:
        if (step->spec.name) module->spec.stopped = step->spec.stopped;
        if (module->child == NULL) return true;
        modules->waiting = true;
        stop_process(module);
        return false;
    case SK_PLAN_FORGET_RESTARTS:
        module->state.restart_count = 0;
        changed(modules);
        return true;
    }
    return true;
}

/* What failed to be created is no module: the next plan creates it again. */
static void drop_unmade(struct sk_modules *modules) {
    SK_LIST_EACH(&modules->list, node, following) {
        struct module *module = SK_CONTAINER(node, struct module, link);
        if (module->socket_path == NULL) module_free(module);
    }
}

static void free_when_empty(struct sk_modules *modules);

static void run_steps(struct sk_modules *modules) {
    if (modules->freed) {
        free_when_empty(modules);
        return;
    }
    while (modules->step_next < modules->step_count) {
        modules->waiting = false;
        if (!run_step(modules, &modules->steps[modules->step_next])) return;
        modules->step_next++;
    }
    steps_free(modules);
    drop_unmade(modules);
    modules->running = false;
    changed(modules);
}

void sk_modules_reconcile(struct sk_modules *modules, const struct sk_deployment *desired) {
    struct sk_module_state states[SK_MODULES_MAX];
    struct sk_plan plan;
    size_t count = 0;
    if (modules->running || modules->freed) return;
    SK_LIST_EACH(&modules->list, node, following)
    if (count < sizeof states / sizeof *states)
        states[count++] = SK_CONTAINER(node, struct module, link)->state;
    sk_plan_make(desired, states, count, sk_io_now(modules->io), &plan);
    modules->due_ns = plan.again_ns;
    modules->plan++;
    if (plan.count) modules->failure[0] = 0;
    modules->steps = sk_alloc((plan.count + 1) * sizeof *modules->steps);
    for (size_t i = 0; i < plan.count; i++) {
        const struct sk_module_spec *spec = sk_deployment_module(desired, plan.steps[i].module);
        struct step *step = &modules->steps[modules->step_count++];
        step->kind = plan.steps[i].kind;
        step->name = sk_span_dup(sk_span_z(plan.steps[i].module));
        if (spec) step->spec = sk_module_spec_copy(spec);
    }
    modules->running = plan.count > 0;
    if (modules->running)
        run_steps(modules);
    else
        steps_free(modules);
    sk_plan_free(&plan);
}

bool sk_modules_busy(const struct sk_modules *modules) {
    return modules->running;
}

const char *sk_modules_failure(const struct sk_modules *modules) {
    return modules->failure;
}

uint64_t sk_modules_due_ns(const struct sk_modules *modules) {
    return modules->running ? UINT64_MAX
                            : modules->due_ns; /* a running plan ends before the next is made */
}

/* ---- for people ---- */

void sk_modules_each(struct sk_modules *modules,
                     void (*each)(void *arg, const struct sk_module_view *view), void *arg) {
    SK_LIST_EACH(&modules->list, node, following) {
        struct module *module = SK_CONTAINER(node, struct module, link);
        each(arg, &(struct sk_module_view){
                      .state = &module->state,
                      .exit_code = module->exit_code,
                      .pid = module->child ? sk_child_pid(module->child) : 0,
                      .last_start_us = module->last_start_us,
                      .last_exit_us = module->last_exit_us,
                      .last_restart_us = module->last_restart_us,
                      .description = module->description,
                  });
    }
}

enum sk_status sk_modules_restart(struct sk_modules *modules, struct sk_span name) {
    struct module *module = find(modules, name);
    if (module == NULL || module->socket_path == NULL) return SK_NOT_FOUND;
    module->start_again = module->child != NULL;
    if (module->child)
        stop_process(module);
    else
        start_process(modules, module);
    return SK_OK;
}

/* Reads the end of a file. */
static enum sk_status read_end(struct sk_io *io, const char *path, size_t max,
                               struct sk_buffer *to) {
    struct sk_file *file;
    enum sk_status status = sk_file_open(io, path, SK_FILE_READ, &file);
    if (status) return status;
    uint64_t size = sk_file_size(file), from = size > max ? size - max : 0;
    size_t got = 0;
    char *place = sk_buffer_reserve(to, (size_t)(size - from) + 1);
    status = place ? sk_file_read(file, from, place, (size_t)(size - from), &got) : SK_TOO_LARGE;
    if (!status) to->n += got;
    sk_file_close(file);
    return status;
}

enum sk_status sk_modules_log(struct sk_modules *modules, struct sk_span name, unsigned tail,
                              struct sk_buffer *to) {
    char path[512];
    struct module *module = find(modules, name);
    if (module == NULL) return SK_NOT_FOUND;
    path_of(modules, "logs", module->spec.name, ".log", path);
    struct sk_buffer end = {0};
    enum sk_status status = read_end(modules->io, path, tail ? LOG_KEPT : LOG_TAIL, &end);
    size_t from = end.n, lines = 0;
    while (tail && from > 0 && !(end.p[from - 1] == '\n' && from < end.n && ++lines == tail))
        from--;
    if (!status) status = sk_buffer_append(to, sk_span_skip(sk_buffer_span(&end), tail ? from : 0));
    sk_buffer_free(&end);
    return status == SK_NOT_FOUND ? SK_OK : status; /* nothing was written yet */
}

/* Logs that have grown too long: the last part is kept aside and the file cut. Modules go on
 * appending. */
static void check_logs(struct sk_timer *timer) {
    struct sk_modules *modules = SK_CONTAINER(timer, struct sk_modules, log_check);
    SK_LIST_EACH(&modules->list, node, following) {
        char path[512], kept[512];
        struct sk_buffer end = {0};
        struct sk_file *file;
        const char *name = SK_CONTAINER(node, struct module, link)->spec.name;
        path_of(modules, "logs", name, ".log", path);
        path_of(modules, "logs", name, ".log.1", kept);
        if (sk_file_open(modules->io, path, SK_FILE_READ, &file)) continue;
        uint64_t size = sk_file_size(file);
        sk_file_close(file);
        if (size <= LOG_MAX || read_end(modules->io, path, LOG_KEPT, &end) ||
            sk_file_save(modules->io, kept, sk_buffer_span(&end), 0644) ||
            sk_file_open(modules->io, path, SK_FILE_CREATE, &file)) {
            sk_buffer_free(&end);
            continue;
        }
        sk_file_truncate(file, 0);
        sk_file_close(file);
        sk_buffer_free(&end);
    }
    sk_timer_start(modules->io, timer, 60 * SK_S, check_logs);
}

/* ---- life ---- */

struct sk_modules *sk_modules_new(struct sk_io *io, const struct sk_modules_options *options) {
    struct sk_modules *modules = SK_NEW(struct sk_modules);
    modules->io = io;
    modules->options = *options;
    modules->due_ns = UINT64_MAX;
    sk_list_init(&modules->list);
    sk_http_client_new(io,
                       &(struct sk_http_client_options){.to = {.path = options->management_path}},
                       &modules->management);
    sk_timer_start(io, &modules->log_check, 60 * SK_S, check_logs);
    return modules;
}

static void free_now(struct sk_task *task) {
    struct sk_modules *modules = SK_CONTAINER(task, struct sk_modules, freeing);
    while (!sk_list_empty(&modules->list))
        module_free(SK_LIST_FIRST(&modules->list, struct module, link));
    steps_free(modules);
    modules->freed(modules->freed_arg);
    free(modules);
}

static void free_when_empty(struct sk_modules *modules) {
    SK_LIST_EACH(&modules->list, node, following)
    if (SK_CONTAINER(node, struct module, link)->child) return;
    sk_io_defer(modules->io, &modules->freeing, free_now);
}

void sk_modules_free(struct sk_modules *modules, void (*freed)(void *arg), void *arg) {
    modules->freed = freed;
    modules->freed_arg = arg;
    sk_timer_stop(&modules->log_check);
    sk_http_client_free(modules->management);
    SK_LIST_EACH(&modules->list, node, following)
    stop_process(SK_CONTAINER(node, struct module, link));
    free_when_empty(modules);
}
