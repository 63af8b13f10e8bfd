/* Processor time of what the agent does at each tick when nothing has changed: one reconcile of a
 * deployment of 50 modules (as many as a device may have), and the report that is made and compared
 * with the last.
 *
 *   bench-reconcile FOLDER [SECONDS]
 *
 * 24 modules are processes that run, 24 containers that were found running, two are the system's;
 * the daemon and the container engine are played on sockets in the folder. Prints a line of
 * JSON. */
#include <stdio.h>
#include <time.h>

#include "edge/agent/engine/create.h"
#include "edge/agent/modules.h"
#include "edge/agent/report.h"
#include "model/json_patch.h"
#include "model/json_text.h"
#include "net/http_server.h"

enum { OF_EACH = 24, SYSTEM = 2, MODULES = 2 * OF_EACH, START_S = 60 };

static struct sk_io *io;
static struct sk_modules *modules;
static struct sk_deployment deployment;
static struct sk_http_listener *daemon_listener, *engine_listener;
static json_t *containers; /* as the engine lists them */
static bool stopping;

static void die(const char *why) {
    fprintf(stderr, "bench-reconcile: %s\n", why);
    exit(1);
}

/* ---- the daemon ---- */

static void play_daemon(void *arg, struct sk_http_exchange *exchange) {
    (void)arg;
    bool socket = sk_span_starts(exchange->request->path, SK_SPAN("/sockets/"));
    sk_http_respond_json(exchange, 200,
                         socket ? SK_SPAN("{\"path\":\"/run/module.sock\"}")
                                : SK_SPAN("{\"moduleId\":\"m\",\"generationId\":\"63000\"}"));
}

/* ---- the container engine ---- */

static const char running[] =
    "{\"Id\":\"5c1\",\"Image\":\"sha256:00\",\"State\":{\"Status\":\"running\",\"Running\":true,"
    "\"Pid\":1,\"StartedAt\":\"2026-11-28T10:00:00Z\",\"FinishedAt\":\"0001-01-01T00:00:00Z\"}}";
static const char ended[] =
    "{\"Id\":\"5c1\",\"Image\":\"sha256:00\",\"State\":{\"Status\":\"exited\",\"Running\":false,"
    "\"ExitCode\":0,\"StartedAt\":\"2026-11-28T10:00:00Z\","
    "\"FinishedAt\":\"2026-11-28T11:00:00Z\"}}";

static void play_engine(void *arg, struct sk_http_exchange *exchange) {
    struct sk_span path = exchange->request->path;
    (void)arg;
    if (sk_span_ends(path, SK_SPAN("/events"))) {
        exchange->gone = sk_http_respond_end;
        sk_http_respond_start(exchange, 200, SK_NONE); /* it stays open: nothing happens */
    } else if (sk_span_ends(path, SK_SPAN("/containers/json"))) {
        char *list = sk_json_text(containers);
        sk_http_respond_json(exchange, 200, sk_span_z(list));
        free(list);
    } else if (sk_span_ends(path, SK_SPAN("/json"))) {
        sk_http_respond_json(exchange, 200, sk_span_z(stopping ? ended : running));
    } else if (exchange->request->method == SK_HTTP_POST) { /* stop */
        sk_http_respond(exchange, 204, SK_NONE, SK_NONE);
    } else { /* version, info, network */
        sk_http_respond_json(exchange, 200,
                             SK_SPAN("{\"ApiVersion\":\"1.41\",\"LoggingDriver\":\"json-file\"}"));
    }
}

/* ---- the deployment ---- */

static json_t *make_module(bool container) {
    json_t *settings =
        container
            ? json_pack("{s:s,s:s}", "image", "registry.example/press/filter:1.4", "createOptions",
                        "{\"HostConfig\":{\"PortBindings\":{\"80/tcp\":[{\"HostPort\":"
                        "\"80\"}]},\"Binds\":[\"/data:/data\"],\"Memory\":67108864}}")
            : json_pack("{s:[s,s]}", "command", "/bin/sleep", "100000");
    return json_pack("{s:s,s:s,s:s,s:s,s:o,s:{s:{s:s},s:{s:s}}}", "type",
                     container ? "docker" : "process", "version", "1.4", "status", "running",
                     "restartPolicy", "always", "settings", settings, "env", "Interval", "value",
                     "10", "Site", "value", "plant-7");
}

static json_t *make_container(const struct sk_module_spec *spec) {
    char name[40];
    snprintf(name, sizeof name, "/%s", spec->name);
    json_t *json = sk_module_spec_json(spec);
    char *text = sk_json_text(json);
    json_t *item = json_pack("{s:[s],s:s,s:s,s:{s:s,s:s,s:s}}", "Names", name, "State", "running",
                             "Status", "Up 1 hour", "Labels", SK_LABEL_OWNER, SK_LABEL_OWNER_US,
                             SK_LABEL_EDGE, "hub.example/edge1", SK_LABEL_MODULE, text);
    free(text);
    json_decref(json);
    return item;
}

static void make_deployment(void) {
    struct sk_deployment_fault fault;
    json_t *all = json_object();
    for (int i = 0; i < MODULES; i++) {
        char name[16];
        snprintf(name, sizeof name, "module%02d", i);
        json_object_set_new(all, name, make_module(i % 2));
    }
    json_t *desired =
        json_pack("{s:s,s:{s:s,s:{}},s:o,s:{s:o,s:o},s:i}", "schemaVersion", "1.1", "runtime",
                  "type", "docker", "settings", "modules", all, "systemModules", "edgeAgent",
                  make_module(true), "edgeHub", make_module(true), "$version", 1);
    if (sk_deployment_parse(desired, &deployment, &fault)) die(fault.description);
    json_decref(desired);
    containers = json_array();
    for (size_t i = 0; i < deployment.module_count; i++)
        if (sk_module_is_container(&deployment.modules[i]))
            json_array_append_new(containers, make_container(&deployment.modules[i]));
}

/* ---- until all run ---- */

static size_t run_now;

static void count(void *arg, const struct sk_module_view *view) {
    (void)arg;
    run_now += view->made && sk_module_runtime(view->state) == SK_MODULE_RUNNING;
}

static void on_changed(void *arg) {
    (void)arg;
    run_now = 0;
    sk_modules_each(modules, count, NULL);
    if (run_now == MODULES && !sk_modules_busy(modules)) sk_io_stop(io);
}

static void reconcile_soon(struct sk_task *task) {
    (void)task;
    sk_modules_reconcile(modules, &deployment);
}

static void on_replan(void *arg) {
    static struct sk_task task;
    (void)arg;
    sk_io_defer(io, &task, reconcile_soon);
}

static void give_up(struct sk_timer *timer) {
    (void)timer;
    die("the modules do not come up");
}

static void on_freed(void *arg) {
    (void)arg;
    sk_http_listener_close(daemon_listener);
    sk_http_listener_close(engine_listener);
}

static void start(const char *folder) {
    static const struct sk_http_service daemon = {.handler = play_daemon, .body_max = 4096},
                                        engine = {.handler = play_engine, .body_max = 4096};
    static char daemon_path[256], engine_path[256];
    struct sk_timer limit = {0};
    snprintf(daemon_path, sizeof daemon_path, "%.200s/daemon.sock", folder);
    snprintf(engine_path, sizeof engine_path, "%.200s/engine.sock", folder);
    io = sk_io_uv_new();
    if (sk_http_listen(io, &(struct sk_endpoint){.path = daemon_path, .path_mode = 0600}, NULL,
                       &daemon, &daemon_listener, NULL) ||
        sk_http_listen(io, &(struct sk_endpoint){.path = engine_path, .path_mode = 0600}, NULL,
                       &engine, &engine_listener, NULL))
        die("cannot listen in the folder");
    modules = sk_modules_new(io, &(struct sk_modules_options){
                                     .data = folder,
                                     .management_path = daemon_path,
                                     .hub_host = "hub.example",
                                     .device_id = "edge1",
                                     .gateway_host = "gateway.example",
                                     .gateway_port = 8883,
                                     .containers = {.engine_uri = engine_path,
                                                    .network = "azure-iot-edge",
                                                    .gc = {.disabled = true}},
                                     .changed = on_changed,
                                     .replan = on_replan,
                                 });
    sk_timer_start(io, &limit, START_S * SK_S, give_up);
    sk_modules_reconcile(modules, &deployment);
    sk_io_run(io);
    sk_timer_stop(&limit);
}

/* ---- what is measured ---- */

static double processor_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void reconcile(void) {
    sk_modules_reconcile(modules, &deployment);
    if (sk_modules_busy(modules)) die("there was something to do");
}

static json_t *report(void) {
    struct sk_agent_facts facts = {.deployment = &deployment,
                                   .desired_version = deployment.version,
                                   .status_code = 200,
                                   .status_description = sk_modules_failure(modules),
                                   .agent_started_us = 1,
                                   .hub_running = true,
                                   .hub_started_us = 1};
    return sk_agent_report(&facts, modules);
}

static json_t *reported;

static void compare(void) {
    json_t *now = report(), *patch = sk_json_diff(reported, now);
    if (json_object_size(patch)) die("the report has changed");
    json_decref(patch);
    json_decref(now);
}

/* Milliseconds of processor that one takes. */
static double measure(void (*what)(void), double seconds) {
    unsigned long long n = 0;
    double began = processor_s(), took = 0;
    for (; took < seconds; n++, took = processor_s() - began) what();
    return took / (double)n * 1000;
}

int main(int argc, char **argv) {
    double seconds = argc > 2 ? atof(argv[2]) : 2;
    if (argc < 2) die("usage: bench-reconcile FOLDER [SECONDS]");
    sk_note_level_parse("error");
    make_deployment();
    start(argv[1]);
    reported = report();
    double reconcile_ms = measure(reconcile, seconds), report_ms = measure(compare, seconds);
    printf("{\"modules\":%d,\"reconcile_ms\":%.4f,\"report_ms\":%.4f}\n", MODULES + SYSTEM,
           reconcile_ms, report_ms);
    stopping = true;
    sk_modules_free(modules, on_freed, NULL);
    sk_io_run(io);
    sk_io_free(io);
    sk_deployment_free(&deployment);
    json_decref(containers);
    json_decref(reported);
    return 0;
}
