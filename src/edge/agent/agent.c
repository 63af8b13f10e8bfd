/* The agent's life: credentials, the twin, reconciling, reporting. */
#include <stdio.h>

#include "edge/agent/metrics.h"
#include "edge/agent/parts.h"
#include "edge/agent/uploads.h"
#include "model/json_patch.h"
#include "model/json_text.h"

enum { TICK_S = 5, EARLY_TICKS = 50, FILE_MAX = 256 * 1024 };
static const uint64_t EARLY_TICK_NS = 100 * SK_MS;
static const char API_VERSION[] = "2022-08-03";

static void reconcile(struct sk_agent *agent);

/* ---- reporting ---- */

static void on_reported(void *arg, enum sk_status status, unsigned code, struct sk_span body,
                        uint64_t version) {
    struct sk_agent *agent = arg;
    (void)version;
    json_t *sent = agent->reporting;
    agent->reporting = NULL;
    if (status == SK_OK && code / 100 == 2) {
        json_decref(agent->reported);
        agent->reported = sent;
    } else {
        json_decref(sent); /* the next tick tries again */
        if (status != SK_CLOSED)
            SK_WARN("agent", "the hub did not take the report: %s %u %.*s", sk_status_text(status),
                    code, SK_ARG(sk_span_first(body, 200)));
        return;
    }
    if (agent->report_wanted && agent->stopped == NULL)
        sk_io_defer(agent->io, &agent->report_task, agent->report_task.fn);
}

/* Sends what has changed since the last report; one at a time. */
static void report(struct sk_task *task) {
    struct sk_agent *agent = SK_CONTAINER(task, struct sk_agent, report_task);
    agent->report_wanted = true;
    if (agent->reported == NULL || agent->reporting || agent->stopped ||
        !sk_device_client_is_connected(agent->client))
        return;
    struct sk_agent_facts facts = agent_facts(agent);
    json_t *document = sk_agent_report(&facts, agent->modules);
    json_t *patch = sk_json_diff(agent->reported, document);
    agent->report_wanted = false;
    if (json_object_size(patch)) {
        char *text = sk_json_text(patch);
        agent->reporting = document;
        sk_device_client_report(agent->client, sk_span_z(text), on_reported, agent);
        free(text);
    } else {
        json_decref(document);
    }
    json_decref(patch);
}

static void report_soon(struct sk_agent *agent) {
    agent->report_task.fn = report;
    sk_io_defer(agent->io, &agent->report_task, report);
}

/* ---- deployments ---- */

static void deployment_path(const struct sk_agent *agent, char to[512]) {
    snprintf(to, 512, "%s/agent/deployment.json", agent->options.data);
}

static void keep_deployment(struct sk_agent *agent, const json_t *desired) {
    char path[512];
    deployment_path(agent, path);
    char *text = sk_json_text(desired);
    enum sk_status status = sk_file_save(agent->io, path, sk_span_z(text), 0600);
    free(text);
    if (status)
        SK_WARN("agent", "cannot keep the deployment in %s: %s", path, sk_status_text(status));
}

/* Takes desired properties: puts them in force, or says why not. */
static void take_desired(struct sk_agent *agent, const json_t *desired, bool keep) {
    struct sk_deployment deployment;
    struct sk_deployment_fault fault;
    agent->desired_version = (uint64_t)json_integer_value(json_object_get(desired, "$version"));
    if (sk_deployment_parse(desired, &deployment, &fault)) {
        agent->status_code = fault.code;
        snprintf(agent->status_description, sizeof agent->status_description, "%s",
                 fault.description);
        SK_WARN("agent", "deployment %llu refused: %s", (unsigned long long)agent->desired_version,
                fault.description);
        report_soon(agent);
        return;
    }
    sk_deployment_free(&agent->deployment);
    agent->deployment = deployment;
    agent->deployed = true;
    if (keep) agent->deploying_ns = sk_io_now(agent->io);
    agent->status_code = 200;
    agent->status_description[0] = 0;
    if (keep) keep_deployment(agent, desired);
    SK_INFO("agent", "deployment %llu with %zu modules", (unsigned long long)agent->desired_version,
            deployment.module_count);
    reconcile(agent);
    report_soon(agent);
    agent_tell_hub(agent);
}

static void load_deployment(struct sk_agent *agent) {
    char path[512];
    struct sk_buffer text = {.limit = FILE_MAX};
    deployment_path(agent, path);
    enum sk_status status = sk_file_load(agent->io, path, &text);
    json_t *desired = status ? NULL : json_loadb(text.p ? text.p : "", text.n, 0, NULL);
    if (desired)
        take_desired(agent, desired, false);
    else if (status != SK_NOT_FOUND)
        SK_WARN("agent", "cannot read the last deployment %s; waiting for the hub", path);
    json_decref(desired);
    sk_buffer_free(&text);
}

/* ---- reconciling ---- */

static void next_tick(struct sk_agent *agent);

/* How long it took, when all is as it shall be. */
static void note_deployed(struct sk_agent *agent) {
    uint64_t since_ns;
    if (agent->deploying_ns == 0 || !sk_modules_settled(agent->modules, &since_ns)) return;
    if (since_ns < agent->deploying_ns) since_ns = agent->deploying_ns;
    sk_summary_add(&agent->counts.deployments, (since_ns - agent->deploying_ns) / 1000);
    agent->deploying_ns = 0;
}

/* Not before the daemon answers: until then there are no identities and no sockets, modules would
 * fail, and wait before they are tried again. */
static void reconcile(struct sk_agent *agent) {
    agent->reconcile_again = sk_modules_busy(agent->modules);
    if (agent->deployed && agent->workload && !agent->reconcile_again) {
        sk_modules_reconcile(agent->modules, &agent->deployment);
        note_deployed(agent);
    }
    next_tick(agent);
}

/* What a plan waited for is there: the next need not wait for its tick. */
static void replan(struct sk_task *task) {
    struct sk_agent *agent = SK_CONTAINER(task, struct sk_agent, replan_task);
    if (agent->stopped) return;
    reconcile(agent);
}

static void on_replan(void *arg) {
    struct sk_agent *agent = arg;
    sk_io_defer(agent->io, &agent->replan_task, replan);
}

static void on_modules_changed(void *arg) {
    struct sk_agent *agent = arg;
    report_soon(agent);
    if (agent->reconcile_again && !sk_modules_busy(agent->modules)) on_replan(agent);
}

/* ---- the hub ---- */

static void on_twin(void *arg, enum sk_status status, unsigned code, struct sk_span body,
                    uint64_t version) {
    struct sk_agent *agent = arg;
    (void)version;
    agent->counts.syncs++;
    if (status || code != 200) {
        agent->counts.failed_syncs++;
        if (status != SK_CLOSED)
            SK_WARN("agent", "the twin could not be read: %s %u", sk_status_text(status), code);
        return;
    }
    json_t *twin = json_loadb(body.p ? body.p : "", body.n, 0, NULL);
    json_t *desired = json_object_get(twin, "desired"),
           *reported = json_object_get(twin, "reported");
    if (json_is_object(reported) && agent->reporting == NULL) {
        json_decref(agent->reported);
        agent->reported = json_deep_copy(reported);
        json_object_del(agent->reported, "$version");
    }
    uint64_t desired_version = (uint64_t)json_integer_value(json_object_get(desired, "$version"));
    if (json_is_object(desired) &&
        (desired_version != agent->desired_version || agent->status_code == 0))
        take_desired(agent, desired, true);
    json_decref(twin);
    report_soon(agent);
}

static void on_connected(void *arg, bool session_present) {
    struct sk_agent *agent = arg;
    (void)session_present;
    sk_device_client_get_twin(agent->client, on_twin, agent);
}

static void on_disconnected(void *arg, const struct sk_client_down *down) {
    (void)arg;
    SK_WARN("agent", "not connected to the hub: %s (code %u); next try in %llu s",
            sk_status_text(down->reason), down->connack,
            (unsigned long long)(down->retry_ns / SK_S));
}

/* A patch and a replacement look alike on the wire, so the whole twin is read again. */
static void on_desired(void *arg, struct sk_span patch, uint64_t version) {
    struct sk_agent *agent = arg;
    (void)patch;
    (void)version;
    sk_device_client_get_twin(agent->client, on_twin, agent);
}

static void on_method(void *arg, struct sk_span name, struct sk_span payload, struct sk_span rid) {
    struct sk_agent *agent = arg;
    agent_method(agent, name, payload, rid);
}

static void connect_hub(struct sk_agent *agent) {
    static const struct sk_device_events events = {.connected = on_connected,
                                                   .disconnected = on_disconnected,
                                                   .desired = on_desired,
                                                   .method = on_method};
    const struct sk_edge_upstream *up = &agent->options.upstream;
    if (up->amqp)
        agent->mux = sk_device_mux_new(
            agent->io,
            &(struct sk_device_mux_options){.host = up->host,
                                            .port = sk_edge_upstream_port(up),
                                            .websocket = up->websocket,
                                            .fallback_port = sk_edge_upstream_fallback(up),
                                            .proxy = sk_edge_upstream_proxy(up),
                                            .tls = agent->options.tls,
                                            .hub_host = sk_span_z(agent->options.hub_host),
                                            .device_id = sk_span_z(agent->options.device_id),
                                            .module_id = SK_SPAN("$edgeAgent"),
                                            .tokens = sk_workload_tokens(agent->workload)});
    struct sk_device_client_options options = {
        .mux = agent->mux,
        .host = up->host,
        .port = sk_edge_upstream_port(up),
        .websocket = up->websocket,
        .fallback_port = sk_edge_upstream_fallback(up),
        .proxy = sk_edge_upstream_proxy(up),
        .tls = agent->options.tls,
        .hub_host = sk_span_z(agent->options.hub_host),
        .device_id = sk_span_z(agent->options.device_id),
        .module_id = SK_SPAN("$edgeAgent"),
        .tokens = sk_workload_tokens(agent->workload),
        .subscriptions = SK_SUB_METHODS | SK_SUB_DESIRED,
        .events = &events,
        .arg = agent,
    };
    agent->client = sk_device_client_new(agent->io, &options);
}

static void on_identity(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct sk_agent *agent = arg;
    agent->asking_identity = false;
    if (status == SK_CLOSED || agent->workload) return;
    json_t *json =
        status ? NULL : json_loadb(answer->body.p ? answer->body.p : "", answer->body.n, 0, NULL);
    const char *generation_id = json_string_value(json_object_get(json, "generationId"));
    if (generation_id) {
        struct sk_workload_options options = {.uri = agent->options.workload_path,
                                              .module_id = SK_SPAN("$edgeAgent"),
                                              .generation_id = sk_span_z(generation_id),
                                              .hub_host = sk_span_z(agent->options.hub_host),
                                              .device_id = sk_span_z(agent->options.device_id)};
        if (sk_workload_new(agent->io, &options, &agent->workload) == SK_OK) {
            connect_hub(agent);
            reconcile(agent);
        }
    } else {
        const char *message = json_string_value(json_object_get(json, "message"));
        if (agent->early_ticks >= EARLY_TICKS)
            SK_WARN("agent", "waiting for the daemon: %s",
                    message ? message : sk_status_text(status));
    }
    json_decref(json);
}

/* Our own identity; asked for until the daemon has it. */
static void ask_identity(struct sk_agent *agent) {
    char target[96];
    if (agent->asking_identity) return;
    agent->asking_identity = true;
    snprintf(target, sizeof target, "/identities/%%24edgeAgent?api-version=%s", API_VERSION);
    sk_http_client_send(agent->management,
                        &(struct sk_http_ask){.method = SK_HTTP_PUT,
                                              .target = sk_span_z(target),
                                              .body = SK_SPAN("{\"managedBy\":\"IotEdge\"}"),
                                              .done = on_identity,
                                              .arg = agent});
}

/* ---- life ---- */

static void on_tick(struct sk_timer *timer) {
    struct sk_agent *agent = SK_CONTAINER(timer, struct sk_agent, tick);
    if (agent->early_ticks < EARLY_TICKS) agent->early_ticks++;
    if (agent->workload == NULL) ask_identity(agent);
    agent_hub_counts(agent);
    agent_tell_hub(agent);
    report_soon(agent);
    reconcile(agent);
}

/* Every 5 s, or when a back-off ends before; sooner while the daemon is still starting. */
static void next_tick(struct sk_agent *agent) {
    uint64_t wait_ns = TICK_S * SK_S, now_ns = sk_io_now(agent->io),
             due_ns = sk_modules_due_ns(agent->modules);
    if (agent->early_ticks < EARLY_TICKS) wait_ns = EARLY_TICK_NS;
    if (due_ns < now_ns + wait_ns) wait_ns = due_ns > now_ns ? due_ns - now_ns : 0;
    sk_timer_start(agent->io, &agent->tick, wait_ns, on_tick);
}

/* Without them the edge works as well: a port that is taken ends nothing. */
static void open_metrics(struct sk_agent *agent) {
    const struct sk_endpoint *at = &agent->options.metrics;
    if (at->host == NULL) return;
    enum sk_status status = agent_metrics_open(agent, at);
    if (status)
        SK_WARN("agent", "cannot listen on %s:%u for metrics ([skerry] agent_metrics): %s",
                at->host, at->port, sk_status_text(status));
}

enum sk_status sk_agent_start(struct sk_io *io, const struct sk_agent_options *options,
                              struct sk_agent **started, char reason[256]) {
    char folder[512];
    snprintf(folder, sizeof folder, "%s/agent", options->data);
    enum sk_status status = sk_folder_make(io, folder, 0700);
    if (status) {
        snprintf(reason, 256, "Cannot make the folder %.180s: %s.", folder, sk_status_text(status));
        return status;
    }
    struct sk_agent *agent = SK_NEW(struct sk_agent);
    agent->io = io;
    agent->options = *options;
    agent->started_us = sk_io_wall(io);
    agent->started_ns = sk_io_now(io);
    sk_list_init(&agent->calls);
    sk_list_init(&agent->uploads);
    agent->control_service =
        (struct sk_http_service){.handler = control_handle, .arg = agent, .body_max = 4096};
    sk_file_remove(io, options->control_path);
    struct sk_endpoint at = {.path = options->control_path, .path_mode = 0600};
    status = sk_http_listen(io, &at, NULL, &agent->control_service, &agent->control, NULL);
    if (status) {
        snprintf(reason, 256, "Cannot listen on %.180s: %s.", options->control_path,
                 sk_status_text(status));
        free(agent);
        return status;
    }
    sk_http_client_new(io,
                       &(struct sk_http_client_options){.to = {.path = options->management_path}},
                       &agent->management);
    agent->modules = sk_modules_new(io, &(struct sk_modules_options){
                                            .data = options->data,
                                            .management_path = options->management_path,
                                            .hub_host = options->hub_host,
                                            .device_id = options->device_id,
                                            .gateway_host = options->gateway_host,
                                            .gateway_port = options->gateway_port,
                                            .parent_host = options->parent_host,
                                            .own_users = options->own_users,
                                            .containers = options->containers,
                                            .changed = on_modules_changed,
                                            .replan = on_replan,
                                            .arg = agent,
                                        });
    open_metrics(agent);
    agent_hub_open(agent);
    load_deployment(agent);
    ask_identity(agent);
    next_tick(agent);
    *started = agent;
    return SK_OK;
}

static void modules_freed(void *arg) {
    struct sk_agent *agent = arg;
    void (*stopped)(void *) = agent->stopped;
    void *stopped_arg = agent->stopped_arg;
    sk_deployment_free(&agent->deployment);
    json_decref(agent->reported);
    json_decref(agent->reporting);
    free(agent);
    stopped(stopped_arg);
}

void sk_agent_stop(struct sk_agent *agent, void (*stopped)(void *arg), void *arg) {
    agent->stopped = stopped;
    agent->stopped_arg = arg;
    agent_methods_end(agent);
    agent_metrics_close(agent);
    uploads_end(agent);
    sk_timer_stop(&agent->tick);
    sk_io_undefer(&agent->report_task);
    sk_io_undefer(&agent->replan_task);
    struct sk_device_client *client = agent->client;
    agent->client = NULL; /* callbacks from here on find nothing to do */
    struct sk_device_mux *mux = agent->mux;
    agent->mux = NULL;
    if (client) sk_device_client_free(client);
    sk_device_mux_free(mux);
    if (agent->workload) sk_workload_free(agent->workload);
    sk_http_client_free(agent->management);
    if (agent->hub.client) sk_http_client_free(agent->hub.client);
    sk_http_listener_close(agent->control);
    sk_file_remove(agent->io, agent->options.control_path);
    sk_modules_free(agent->modules, modules_freed, agent);
}
