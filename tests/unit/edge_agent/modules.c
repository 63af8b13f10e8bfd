/* Modules as real processes of this machine; the daemon is played by an HTTP server on a unix
 * socket. */
#include <stdio.h>
#include <sys/stat.h>

#include "net/http_server.h"
#include "edge/agent/log_request.h"
#include "edge/agent/modules.h"
#include "edge/agent/report.h"
#include "support/test.h"

static struct sk_io *io;
static struct sk_modules *modules;
static char data[64], management[80];
static struct sk_http_listener *daemon_listener;
static struct {
    bool refuses;
    unsigned identities_put, sockets_put, sockets_deleted, identities_deleted;
    char last_body[128];
} daemon_role;

/* ---- the daemon ---- */

static void daemon_handle(void *arg, struct sk_http_exchange *exchange) {
    (void)arg;
    bool socket = sk_span_starts(exchange->request->path, SK_SPAN("/sockets/")),
         put = exchange->request->method == SK_HTTP_PUT;
    if (daemon_role.refuses) {
        sk_http_respond_json(exchange, 503, SK_SPAN("{\"message\":\"the hub is away\"}"));
        return;
    }
    *(socket ? put ? &daemon_role.sockets_put : &daemon_role.sockets_deleted
      : put  ? &daemon_role.identities_put
             : &daemon_role.identities_deleted) += 1;
    if (socket && put)
        snprintf(daemon_role.last_body, sizeof daemon_role.last_body, "%.*s",
                 SK_ARG(sk_buffer_span(&exchange->request->body)));
    if (!put)
        sk_http_respond(exchange, 204, SK_NONE, SK_NONE);
    else if (socket)
        sk_http_respond_json(exchange, 200, SK_SPAN("{\"path\":\"/run/module.sock\"}"));
    else
        sk_http_respond_json(exchange, 200,
                             SK_SPAN("{\"moduleId\":\"m\",\"generationId\":\"63000\"}"));
}

static const struct sk_http_service daemon_service = {.handler = daemon_handle, .body_max = 4096};

/* ---- waiting for what is to come, not for time ---- */

static bool (*condition)(void);

static void on_changed(void *arg) {
    (void)arg;
    if (condition && condition()) sk_io_stop(io);
}

static void give_up(struct sk_timer *timer) {
    sk_io_stop(timer->io);
}

static void wait_for(bool (*what)(void)) {
    struct sk_timer limit = {0};
    condition = what;
    sk_timer_start(io, &limit, 20 * SK_S, give_up);
    if (!what()) sk_io_run(io);
    sk_timer_stop(&limit);
    condition = NULL;
    assert_true(what());
}

static bool is_idle(void) {
    return !sk_modules_busy(modules);
}

/* ---- what is seen ---- */

struct seen {
    char name[32], description[192], runtime[16];
    int exit_code, pid;
    unsigned restarts;
};
static struct seen seen[4];
static size_t seen_count;

static void see(void *arg, const struct sk_module_view *view) {
    (void)arg;
    struct seen *s = &seen[seen_count++];
    snprintf(s->name, sizeof s->name, "%s", view->state->spec->name);
    snprintf(s->description, sizeof s->description, "%s", view->description);
    snprintf(s->runtime, sizeof s->runtime, "%s",
             view->made ? sk_module_runtime_text(sk_module_runtime(view->state)) : "unknown");
    s->exit_code = view->exit_code;
    s->pid = view->pid;
    s->restarts = view->state->restart_count;
}

static struct seen *look(void) {
    seen_count = 0;
    memset(seen, 0, sizeof seen);
    sk_modules_each(modules, see, NULL);
    return &seen[0];
}

static bool has_ended(void) {
    return !sk_modules_busy(modules) && look()->pid == 0;
}

/* ---- deployments: {"name":{"command":[…],…}} ---- */

static int version;

static void deploy(const char *text) {
    struct sk_deployment deployment;
    struct sk_deployment_fault fault;
    const char *name;
    json_t *list = json_loads(text, 0, NULL), *entry, *all = json_object();
    assert_non_null(list);
    json_object_foreach(list, name, entry) {
        json_t *module = json_deep_copy(entry);
        json_object_set_new(module, "type", json_string("process"));
        json_object_set_new(module, "settings",
                            json_pack("{s:O}", "command", json_object_get(entry, "command")));
        json_object_del(module, "command");
        json_object_set_new(all, name, module);
    }
    json_t *desired =
        json_pack("{s:s,s:o,s:i}", "schemaVersion", "1.1", "modules", all, "$version", version);
    if (sk_deployment_parse(desired, &deployment, &fault)) fail_msg("%s", fault.description);
    sk_modules_reconcile(modules, &deployment);
    sk_deployment_free(&deployment); /* not kept */
    json_decref(desired);
    json_decref(list);
    wait_for(is_idle);
}

static int start(void **state) {
    (void)state;
    memset(&daemon_role, 0, sizeof daemon_role);
    snprintf(data, sizeof data, "/tmp/skerry-modules-XXXXXX");
    assert_non_null(mkdtemp(data));
    snprintf(management, sizeof management, "%s/mgmt.sock", data);
    io = sk_io_uv_new();
    struct sk_endpoint at = {.path = management, .path_mode = 0600};
    assert_int_equal(sk_http_listen(io, &at, NULL, &daemon_service, &daemon_listener, NULL), SK_OK);
    modules = sk_modules_new(io, &(struct sk_modules_options){.data = data,
                                                              .management_path = management,
                                                              .hub_host = "hub.example",
                                                              .device_id = "edge1",
                                                              .gateway_host = "gw",
                                                              .gateway_port = 18883,
                                                              .changed = on_changed});
    return 0;
}

static void on_freed(void *arg) {
    *(bool *)arg = true;
    sk_http_listener_close(daemon_listener); /* and so the loop ends */
}

static void remove_folder(const char *path) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", path);
    assert_int_equal(system(command), 0);
}

static int end(void **state) {
    (void)state;
    bool freed = false;
    sk_modules_free(modules, on_freed, &freed);
    assert_false(freed);
    sk_io_run(io);
    assert_true(freed);
    sk_io_free(io);
    remove_folder(data);
    return 0;
}

AROUND(start, end);

static bool log_read;

static void put_line(void *arg, const struct sk_log_line *line) {
    sk_buffer_append(arg, line->text);
    sk_buffer_byte(arg, '\n');
}

static void end_log(void *arg, enum sk_status status, const char *why) {
    (void)arg, (void)why;
    assert_int_equal(status, SK_OK);
    log_read = true;
    sk_io_stop(io);
}

static void read_log(const char *name, unsigned tail, struct sk_buffer *to) {
    const char *why;
    struct sk_log_ask ask = {.tail = tail, .line = put_line, .done = end_log, .arg = to};
    log_read = false;
    assert_non_null(sk_modules_log(modules, sk_span_z(name), &ask, &why));
    while (!log_read) sk_io_run(io);
}

/* ---- stories ---- */

TEST(a_module_runs_with_its_environment_and_folder_and_its_output_is_kept) {
    deploy("{\"m\":{\"restartPolicy\":\"never\",\"env\":{\"MINE\":{\"value\":\"x "
           "y\"},\"RuntimeLogLevel\":{\"value\":\"debug\"}},"
           "\"command\":[\"/bin/sh\",\"-c\",\"pwd; env | sort; echo last >&2; exit 3\"]}}");
    wait_for(has_ended);
    assert_string_equal(look()->description, "exited with code 3");
    assert_int_equal(seen[0].exit_code, 3);
    assert_string_equal(seen[0].runtime, "failed");
    struct sk_buffer log = {0};
    read_log("m", 0, &log);
    sk_buffer_byte(&log, 0);
    static const char *const lines[] = {"IOTEDGE_APIVERSION=2022-08-03\n",
                                        "IOTEDGE_AUTHSCHEME=sasToken\n",
                                        "IOTEDGE_DEVICEID=edge1\n",
                                        "IOTEDGE_GATEWAYHOSTNAME=gw\n",
                                        "IOTEDGE_IOTHUBHOSTNAME=hub.example\n",
                                        "IOTEDGE_MODULEGENERATIONID=63000\n",
                                        "IOTEDGE_MODULEID=m\n",
                                        "IOTEDGE_WORKLOADURI=unix:///run/module.sock\n",
                                        "MINE=x y\n",
                                        "RuntimeLogLevel=debug\n",
                                        "SKERRY_GATEWAY_PORT=18883\n",
                                        "/modules/m\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (strstr(log.p, lines[i]) == NULL) fail_msg("no %s in\n%s", lines[i], log.p);
    assert_null(strstr(log.p, "IOTEDGE_PARENTHOSTNAME"));
    log.n = 0;
    read_log("m", 1, &log);
    assert_true(sk_span_is(sk_buffer_span(&log), "last\n"));
    const char *why;
    assert_null(sk_modules_log(modules, SK_SPAN("other"), &(struct sk_log_ask){0}, &why));
    assert_string_equal(why, "There is no such module on this device.");
    assert_null(sk_modules_log(modules, SK_SPAN("edgeHub"), &(struct sk_log_ask){0}, &why));
    assert_non_null(strstr(why, "skerry-edge system restart"));
    sk_buffer_free(&log);
}

/* ---- logs that the cloud asks for, with patterns of its own ---- */

static struct sk_log_request *ask_with(const char *pattern, const char **why) {
    json_t *payload =
        json_pack("{s:[{s:s,s:{s:s}}]}", "items", "id", "m", "filter", "regex", pattern);
    struct sk_log_request *request = sk_log_request_read(payload, 0, why);
    json_decref(payload);
    return request;
}

TEST(a_pattern_may_not_take_the_agents_memory) {
    static const struct {
        const char *pattern;
        bool fine;
    } cases[] = {
        {"a{255}", true},
        {"a{256}", false},
        {"a{1,255}", true},
        {"a{0,256}", false},
        {"(a{15}){17}", true},
        {"(a{16}){16}", false},
        {"(((a{1,200}){1,200}){1,50})", false},
        {"a{99999999999999999999}", false},
        {"a{255}{1}{0}", true},
        {"[{]a", true},
        {"(", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *why;
        struct sk_log_request *request = ask_with(cases[i].pattern, &why);
        if (cases[i].fine != (request != NULL)) fail_msg("%s: %s", cases[i].pattern, why);
        if (request == NULL) assert_non_null(strstr(why, "filter.regex"));
        sk_log_request_free(request);
    }
}

static void take_found(void *arg, const struct sk_log_found *found) {
    sk_buffer_append(arg, found->text);
}

static enum sk_status gathered;
static char told[256];

static void end_gathered(void *arg, enum sk_status status, const char *why) {
    (void)arg;
    gathered = status;
    snprintf(told, sizeof told, "%s", why);
    log_read = true;
    sk_io_stop(io);
}

static void gather(const char *pattern, struct sk_buffer *to) {
    static const struct sk_log_from from = {"hub", "edge1"};
    const char *why;
    struct sk_log_request *request = ask_with(pattern, &why);
    assert_non_null(request);
    log_read = false;
    to->n = 0;
    sk_log_gather(modules, io, request, &from, 4 << 20, take_found, end_gathered, to);
    while (!log_read) sk_io_run(io);
}

/* It would be minutes. */
TEST(a_pattern_may_not_hold_up_the_agent) {
    struct sk_buffer found = {0};
    deploy("{\"m\":{\"restartPolicy\":\"never\",\"command\":[\"/bin/sh\",\"-c\","
           "\"tr -dc abcdefgh </dev/urandom | fold -w 2000 | head -n 400; echo; echo last\"]}}");
    wait_for(has_ended);
    gather(".*a.{50}x", &found);
    assert_int_equal(gathered, SK_TOO_LARGE);
    assert_non_null(strstr(told, "filter.regex takes too long"));
    gather("^la.t$", &found);
    assert_int_equal(gathered, SK_OK);
    assert_true(sk_span_is(sk_buffer_span(&found), "last\n"));
    sk_buffer_free(&found);
}

/* ---- more stories ---- */

TEST(a_running_module_is_stopped_when_it_leaves_the_deployment) {
    deploy("{\"m\":{\"command\":[\"/bin/sleep\",\"1000\"]}}");
    assert_true(look()->pid > 0);
    int pid = seen[0].pid;
    assert_string_equal(seen[0].runtime, "running");
    deploy("{\"m\":{\"command\":[\"/bin/sleep\",\"1000\"]}}"); /* the same: left alone */
    assert_int_equal(look()->pid, pid);
    assert_int_equal(daemon_role.identities_put, 1);
    deploy("{}");
    look();
    assert_int_equal(seen_count, 0);
    assert_int_equal(daemon_role.sockets_deleted, 1);
    assert_int_equal(daemon_role.identities_deleted, 1);
}

TEST(a_changed_module_is_replaced_and_a_stopped_one_stays_made) {
    deploy("{\"m\":{\"command\":[\"/bin/sleep\",\"1000\"]}}");
    int pid = look()->pid;
    deploy("{\"m\":{\"version\":\"2\",\"command\":[\"/bin/sleep\",\"1000\"]}}");
    assert_true(look()->pid > 0 && seen[0].pid != pid);
    assert_int_equal(daemon_role.sockets_put, 2);
    deploy(
        "{\"m\":{\"version\":\"2\",\"status\":\"stopped\",\"command\":[\"/bin/sleep\",\"1000\"]}}");
    assert_int_equal(look()->pid, 0);
    assert_string_equal(seen[0].runtime, "stopped");
    assert_int_equal(daemon_role.sockets_deleted, 0);
    deploy(
        "{\"m\":{\"version\":\"2\",\"status\":\"running\",\"command\":[\"/bin/sleep\",\"1000\"]}}");
    assert_true(look()->pid > 0);
}

TEST(a_program_that_is_not_there_is_a_failed_run) {
    deploy("{\"m\":{\"restartPolicy\":\"on-failure\",\"command\":[\"/nowhere/program\"]},"
           "\"n\":{\"command\":[\"/bin/sleep\",\"1000\"]}}");
    assert_string_equal(look()->description, "cannot start /nowhere/program: not-found");
    assert_int_equal(seen[0].exit_code, 127);
    assert_string_equal(seen[0].runtime, "backoff");
    assert_string_equal(seen[1].runtime, "running");
    deploy("{\"m\":{\"restartPolicy\":\"on-failure\",\"command\":[\"/nowhere/program\"]},"
           "\"n\":{\"command\":[\"/bin/sleep\",\"1000\"]}}");
    uint64_t due = sk_modules_due_ns(modules), now = sk_io_now(io);
    assert_true(due > now && due <= now + 10 * SK_S);
}

TEST(a_module_whose_identity_cannot_be_had_is_tried_again) {
    daemon_role.refuses = true;
    deploy("{\"m\":{\"command\":[\"/bin/sleep\",\"1000\"]}}");
    assert_string_equal(look()->runtime, "unknown");
    assert_string_equal(seen[0].description, "Identity of module m: the hub is away");
    assert_string_equal(sk_modules_failure(modules), "Identity of module m: the hub is away");
    daemon_role.refuses = false;
    deploy("{\"m\":{\"command\":[\"/bin/sleep\",\"1000\"]}}"); /* it waits a little */
    assert_string_equal(look()->runtime, "unknown");
    version++;
    deploy("{\"m\":{\"command\":[\"/bin/sleep\",\"1000\"]}}"); /* not for a new deployment */
    assert_true(look()->pid > 0);
    assert_string_equal(sk_modules_failure(modules), "");
}

/* A process of the limits that the deployment gives, where this machine has control groups that we
 * may use; else it runs without, and that is said. */
TEST(a_module_has_the_limits_that_the_deployment_gives) {
    struct sk_deployment deployment;
    struct sk_deployment_fault fault;
    struct sk_buffer log = {0};
    json_t *desired =
        json_loads("{\"schemaVersion\":\"1.1\",\"modules\":{\"m\":{\"type\":\"process\","
                   "\"restartPolicy\":\"never\","
                   "\"settings\":{\"command\":[\"/bin/cat\",\"/proc/self/cgroup\"],"
                   "\"limits\":{\"pids\":7,\"memory\":16777216,\"cpu\":0.5}}}}}",
                   0, NULL);
    assert_int_equal(sk_deployment_parse(desired, &deployment, &fault), SK_OK);
    sk_modules_reconcile(modules, &deployment);
    sk_deployment_free(&deployment);
    json_decref(desired);
    wait_for(has_ended);
    assert_int_equal(look()->exit_code, 0);
    read_log("m", 0, &log);
    sk_buffer_byte(&log, 0);
    if (*sk_modules_failure(modules))
        assert_non_null(strstr(sk_modules_failure(modules), "module m runs without its limits: "));
    else
        assert_non_null(strstr(log.p, "/skerry/"));
    sk_buffer_free(&log);
}

TEST(an_unknown_user_is_told) {
    struct sk_deployment deployment;
    struct sk_deployment_fault fault;
    json_t *desired =
        json_pack("{s:s,s:{s:{s:s,s:{s:[s],s:s}}}}", "schemaVersion", "1.1", "modules", "m", "type",
                  "process", "settings", "command", "/bin/true", "user", "no-such-user-here");
    assert_int_equal(sk_deployment_parse(desired, &deployment, &fault), SK_OK);
    sk_modules_reconcile(modules, &deployment);
    sk_deployment_free(&deployment);
    json_decref(desired);
    wait_for(is_idle);
    assert_string_equal(sk_modules_failure(modules),
                        "User of module m: there is no such user on this machine");
}

static int old_pid;
static bool has_another_pid(void) {
    return look()->pid > 0 && seen[0].pid != old_pid;
}

TEST(a_restart_by_hand_is_not_counted) {
    deploy("{\"m\":{\"restartPolicy\":\"never\",\"command\":[\"/bin/sleep\",\"1000\"]}}");
    old_pid = look()->pid;
    assert_int_equal(sk_modules_restart(modules, SK_SPAN("m")), SK_OK);
    wait_for(has_another_pid);
    assert_int_equal(seen[0].restarts, 0);
    assert_int_equal(sk_modules_restart(modules, SK_SPAN("other")), SK_NOT_FOUND);
}

TEST(the_report_has_azures_shape) {
    deploy("{\"m\":{\"version\":\"1.0\",\"startupOrder\":2,\"restartPolicy\":\"never\","
           "\"command\":[\"/bin/sleep\",\"1000\"]}}");
    struct sk_agent_facts facts = {.desired_version = 11,
                                   .status_code = 200,
                                   .status_description = "",
                                   .agent_started_us = 1795262400000000,
                                   .hub_running = true};
    json_t *report = sk_agent_report(&facts, modules),
           *module = json_object_get(json_object_get(report, "modules"), "m");
    assert_string_equal(json_string_value(json_object_get(report, "schemaVersion")), "1.0");
    assert_int_equal(json_integer_value(json_object_get(report, "lastDesiredVersion")), 11);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(report, "lastDesiredStatus"), "code")),
        200);
    static const char *const members[] = {"exitCode",         "statusDescription",
                                          "lastStartTimeUtc", "lastExitTimeUtc",
                                          "restartCount",     "lastRestartTimeUtc",
                                          "runtimeStatus",    "version",
                                          "status",           "restartPolicy",
                                          "imagePullPolicy",  "type",
                                          "settings",         "env",
                                          "startupOrder"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (json_object_get(module, members[i]) == NULL) fail_msg("no %s", members[i]);
    assert_string_equal(json_string_value(json_object_get(module, "runtimeStatus")), "running");
    const json_t *system = json_object_get(report, "systemModules");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(system, "edgeHub"), "runtimeStatus")),
        "running");
    assert_string_equal(json_string_value(json_object_get(json_object_get(system, "edgeAgent"),
                                                          "lastStartTimeUtc")),
                        "2026-11-21T12:00:00.0000000Z");
    json_decref(report);
    facts.hub_running = false;
    report = sk_agent_report(&facts, modules);
    assert_string_equal(
        json_string_value(json_object_get(
            json_object_get(json_object_get(report, "systemModules"), "edgeHub"), "runtimeStatus")),
        "failed");
    json_decref(report);
}
