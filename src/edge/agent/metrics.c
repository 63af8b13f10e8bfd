#include "edge/agent/metrics.h"

#include <stdio.h>

#include "edge/agent/module_usage.h"
#include "edge/agent/parts.h"
#include "edge/agent/process_usage.h"
#include "model/json_text.h"

enum { WAITING_MAX = 8, DAEMON_MS = 2000, MODULES_S = 5 };

struct agent_metrics {
    struct sk_agent *agent;
    struct sk_metric_edge edge;
    char instance[37];
    struct sk_http_service service;
    struct sk_http_listener *listener;
    struct sk_http_client *daemon; /* of its own: it waits for nothing else */
    json_t *machine, *resources;   /* as the daemon has told; NULL: it has not */
    struct sk_summary host_cpu;
    struct cpu_meter own_cpu, hub_cpu;
    struct sk_http_exchange *waiting[WAITING_MAX]; /* who asks; all get the same */
    size_t waiting_count;
    struct sk_timer limit;
    bool closing;
};

/* A module, or a role that counts as one. */
struct line {
    const char *name, *version;
    const struct sk_module_counts *counts; /* likewise the next: NULL where nobody knows */
    const struct sk_usage *usage;
    const struct sk_summary *cpu;
};
struct page {
    struct agent_metrics *metrics;
    struct sk_buffer *to;
    struct line *lines;
    size_t count, capacity;
    int64_t memory; /* of the machine: what a module without a limit may use */
};

#define MICROSECOND 1e-6
#define HUNDREDTH 0.01

/* `label` may be NULL. */
static void put_summary(const struct page *page, const char *name, const char *label,
                        const char *value, const struct sk_summary *summary, double unit) {
    struct sk_buffer labels = {0};
    if (label) sk_metric_label(&labels, label, value);
    sk_metric_put_summary(page->to, name, &page->metrics->edge, sk_buffer_span(&labels), summary,
                          unit);
    sk_buffer_free(&labels);
}

/* ---- of the agent ---- */

static void put_own(const struct page *page) {
    const struct sk_agent *agent = page->metrics->agent;
    const struct agent_counts *counts = &agent->counts;
    const struct sk_metric_edge *edge = &page->metrics->edge;
    const struct {
        const char *name, *help;
        uint64_t n;
    } rows[] = {
        {"edgeAgent_iothub_syncs_total", "How often the twin was asked for.", counts->syncs},
        {"edgeAgent_unsuccessful_iothub_syncs_total", "Of these, without success.",
         counts->failed_syncs}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sk_metric_put_name(page->to, rows[i].name, "counter", rows[i].help);
        sk_metric_begin(page->to, rows[i].name, edge);
        sk_metric_count(page->to, rows[i].n);
    }
    sk_metric_put_name(page->to, "edgeagent_direct_method_invocations_count", "counter",
                       "Direct methods called on the agent.");
    for (size_t i = 0; i < AGENT_METHODS; i++) {
        sk_metric_begin(page->to, "edgeagent_direct_method_invocations_count", edge);
        sk_metric_label(page->to, "method_name", agent_method_name(i));
        sk_metric_count(page->to, counts->methods[i]);
    }
    sk_metric_put_name(page->to, "edgeAgent_deployment_time_seconds", "summary",
                       "From a new deployment to its being in force.");
    put_summary(page, "edgeAgent_deployment_time_seconds", NULL, NULL, &counts->deployments,
                MICROSECOND);
}

static void put_commands(const struct page *page) {
    static const char name[] = "edgeAgent_command_latency_seconds";
    static const struct {
        enum sk_plan_kind kind;
        const char *command;
    } rows[] = {{SK_PLAN_CREATE, "create"},   {SK_PLAN_UPDATE, "update"},
                {SK_PLAN_REMOVE, "remove"},   {SK_PLAN_START, "start"},
                {SK_PLAN_RESTART, "restart"}, {SK_PLAN_STOP, "stop"}};
    sk_metric_put_name(page->to, name, "summary", "How long steps of deployments take.");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        put_summary(page, name, "command", rows[i].command,
                    sk_modules_took(page->metrics->agent->modules, rows[i].kind), MICROSECOND);
}

/* ---- of the machine ---- */

static void put_number(const struct page *page, const char *name, const char *help,
                       const char *const labels[][2], const json_t *value) {
    if (!json_is_number(value)) return;
    if (help) sk_metric_put_name(page->to, name, "gauge", help);
    sk_metric_begin(page->to, name, &page->metrics->edge);
    for (size_t i = 0; labels && labels[i][0]; i++)
        sk_metric_label(page->to, labels[i][0], labels[i][1]);
    if (json_is_integer(value))
        sk_metric_count(page->to, (uint64_t)json_integer_value(value));
    else
        sk_metric_real(page->to, json_number_value(value));
}

static const char *text_of(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static void put_machine(const struct page *page) {
    const json_t *told = page->metrics->resources,
                 *disk = json_array_get(json_object_get(told, "disks"), 0);
    const char *const of_disk[][2] = {{"disk_name", text_of(disk, "name")},
                                      {"disk_filesystem", text_of(disk, "file_system")},
                                      {"disk_filetype", text_of(disk, "file_type")},
                                      {NULL, NULL}};
    put_number(page, "edgeAgent_host_uptime_seconds", "How long the machine has been up.", NULL,
               json_object_get(told, "host_uptime"));
    put_number(page, "edgeAgent_iotedged_uptime_seconds", "How long the daemon has been up.", NULL,
               json_object_get(told, "process_uptime"));
    put_number(page, "edgeAgent_available_disk_space_bytes", "Free on the disk of the edge's data.",
               of_disk, json_object_get(disk, "available_space"));
    put_number(page, "edgeAgent_total_disk_space_bytes", "Size of that disk.", of_disk,
               json_object_get(disk, "total_space"));
}

static void put_metadata(const struct page *page) {
    static const char name[] = "edgeAgent_metadata";
    SK_CLEANUP_FREE char *host = sk_json_text(page->metrics->machine);
    sk_metric_put_name(page->to, name, "gauge", "What runs here; its value is always 0.");
    sk_metric_begin(page->to, name, &page->metrics->edge);
    sk_metric_label(page->to, "edge_agent_version", SK_VERSION);
    sk_metric_label(page->to, "experimental_features", "{}");
    sk_metric_label(page->to, "host_information", page->metrics->machine ? host : "{}");
    sk_metric_count(page->to, 0);
}

/* ---- of each module ---- */

static void put_counts(const struct page *page) {
#define COUNT(field) offsetof(struct sk_module_counts, field)
    static const struct {
        const char *name, *type, *help;
        size_t at;
        bool seconds;
    } rows[] = {{"edgeAgent_total_time_running_correctly_seconds", "gauge",
                 "How long it was to run, and did.", COUNT(correct_ns), true},
                {"edgeAgent_total_time_expected_running_seconds", "gauge",
                 "How long it was to run.", COUNT(expected_ns), true},
                {"edgeAgent_module_start_total", "counter", "Starts.", COUNT(starts), false},
                {"edgeAgent_module_stop_total", "counter", "Stops.", COUNT(stops), false},
                {"edgeAgent_module_prepare_update_total", "counter", "Images asked for.",
                 COUNT(images), false}};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        sk_metric_put_name(page->to, rows[r].name, rows[r].type, rows[r].help);
        for (size_t i = 0; i < page->count; i++) {
            const struct line *line = &page->lines[i];
            uint64_t value;
            if (line->counts == NULL) continue;
            memcpy(&value, (const char *)line->counts + rows[r].at, sizeof value);
            sk_metric_begin(page->to, rows[r].name, &page->metrics->edge);
            sk_metric_label(page->to, "module_name", line->name);
            if (!rows[r].seconds)
                sk_metric_label(page->to, "module_version", line->version ? line->version : "");
            if (rows[r].seconds)
                sk_metric_real(page->to, (double)value / 1e9);
            else
                sk_metric_count(page->to, value);
        }
    }
#undef COUNT
}

static void put_usages(const struct page *page) {
#define USAGE(field) offsetof(struct sk_usage, field)
    static const struct {
        const char *name, *help;
        size_t at;
    } rows[] = {{"edgeAgent_used_memory_bytes", "Memory in use.", USAGE(memory)},
                {"edgeAgent_total_memory_bytes", "Memory that may be used.", USAGE(memory_limit)},
                {"edgeAgent_created_pids_total", "Processes and threads.", USAGE(tasks)},
                {"edgeAgent_total_network_in_bytes", "Received.", USAGE(received)},
                {"edgeAgent_total_network_out_bytes", "Sent.", USAGE(sent)},
                {"edgeAgent_total_disk_read_bytes", "Read of disks.", USAGE(read)},
                {"edgeAgent_total_disk_write_bytes", "Written to disks.", USAGE(written)}};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        sk_metric_put_name(page->to, rows[r].name, "gauge", rows[r].help);
        for (size_t i = 0; i < page->count; i++) {
            int64_t value;
            if (page->lines[i].usage == NULL) continue;
            memcpy(&value, (const char *)page->lines[i].usage + rows[r].at, sizeof value);
            if (value == SK_NOT_KNOWN && rows[r].at == USAGE(memory_limit)) value = page->memory;
            if (value == SK_NOT_KNOWN) continue;
            sk_metric_begin(page->to, rows[r].name, &page->metrics->edge);
            sk_metric_label(page->to, "module_name", page->lines[i].name);
            sk_metric_count(page->to, (uint64_t)value);
        }
    }
#undef USAGE
}

static void put_processors(const struct page *page) {
    static const char name[] = "edgeAgent_used_cpu_percent";
    sk_metric_put_name(page->to, name, "summary",
                       "Of all processors, between one question and the next.");
    for (size_t i = 0; i < page->count; i++)
        if (page->lines[i].cpu)
            put_summary(page, name, "module_name", page->lines[i].name, page->lines[i].cpu,
                        HUNDREDTH);
}

/* ---- the page ---- */

static void add_line(struct page *page, const struct line *line) {
    if (page->count == page->capacity) {
        page->capacity = page->capacity ? 2 * page->capacity : 16;
        page->lines = sk_realloc(page->lines, page->capacity * sizeof *page->lines);
    }
    page->lines[page->count++] = *line;
}

static void add_module(void *arg, const struct sk_module_view *view) {
    add_line(arg, &(struct line){.name = view->state->spec->name,
                                 .version = view->state->spec->version,
                                 .counts = view->counts,
                                 .usage = view->usage,
                                 .cpu = view->cpu});
}

static unsigned processors(const struct agent_metrics *metrics) {
    json_int_t count = json_integer_value(json_object_get(metrics->machine, "cpus"));
    return count > 0 && count < 4096 ? (unsigned)count : 1;
}

/* The machine counts as a module, too. */
static void add_host(struct page *page, struct sk_usage *usage) {
    const json_t *used = json_object_get(page->metrics->resources, "used_ram");
    sk_usage_clear(usage);
    usage->memory_limit = page->memory;
    if (json_is_integer(used)) usage->memory = json_integer_value(used);
    add_line(page, &(struct line){.name = "host", .usage = usage, .cpu = &page->metrics->host_cpu});
}

/* `pid` 0: this process. */
static void add_role(struct page *page, struct line *line, int pid, struct cpu_meter *meter,
                     uint64_t started_ns, struct sk_usage *usage) {
    struct agent_metrics *metrics = page->metrics;
    struct sk_io *io = metrics->agent->io;
    process_usage(io, pid, usage);
    cpu_meter_take(meter, usage->cpu_ns, started_ns, sk_io_now(io), processors(metrics));
    line->version = SK_VERSION;
    line->usage = usage;
    line->cpu = &meter->shares;
    add_line(page, line);
}

static void add_hub(struct page *page, struct sk_usage *usage) {
    struct agent_metrics *metrics = page->metrics;
    struct sk_agent *agent = metrics->agent;
    struct line line = {.name = "edgeHub", .version = SK_VERSION};
    if (agent->options.hub_stands == NULL) return;
    struct sk_hub_standing hub = agent->options.hub_stands(agent->options.hub_arg);
    int64_t ago_us = sk_io_wall(agent->io) - hub.started_us;
    uint64_t now_ns = sk_io_now(agent->io), ago_ns = ago_us > 0 ? (uint64_t)ago_us * 1000 : 0;
    line.counts = agent_hub_counts(agent);
    if (hub.pid)
        add_role(page, &line, hub.pid, &metrics->hub_cpu, now_ns > ago_ns ? now_ns - ago_ns : 0,
                 usage);
    else
        add_line(page, &line);
}

static void put_page(struct agent_metrics *metrics, struct sk_buffer *to) {
    struct sk_agent *agent = metrics->agent;
    const json_t *total = json_object_get(metrics->resources, "total_ram");
    struct sk_usage of_host, of_agent, of_hub;
    uint64_t runs_ns = sk_io_now(agent->io) - agent->started_ns;
    const struct sk_module_counts run = {
        .expected_ns = runs_ns, .correct_ns = runs_ns, .starts = 1};
    struct page page = {.metrics = metrics, .to = to, .memory = SK_NOT_KNOWN};
    if (json_is_integer(total)) page.memory = json_integer_value(total);
    add_host(&page, &of_host);
    add_role(&page, &(struct line){.name = "edgeAgent", .counts = &run}, 0, &metrics->own_cpu,
             agent->started_ns, &of_agent);
    add_hub(&page, &of_hub);
    sk_modules_each(agent->modules, add_module, &page);
    put_own(&page);
    put_commands(&page);
    put_machine(&page);
    put_metadata(&page);
    put_counts(&page);
    put_usages(&page);
    put_processors(&page);
    free(page.lines);
}

/* ---- asking and answering ---- */

static void answer_all(struct agent_metrics *metrics, unsigned status, struct sk_span text) {
    size_t count = metrics->waiting_count;
    metrics->waiting_count = 0;
    for (size_t i = 0; i < count; i++)
        sk_http_respond(metrics->waiting[i], status, SK_SPAN(SK_METRICS_TYPE), text);
}

static void answer_page(struct agent_metrics *metrics) {
    struct sk_buffer text = {0};
    sk_timer_stop(&metrics->limit);
    put_page(metrics, &text);
    answer_all(metrics, 200, sk_buffer_span(&text));
    sk_buffer_free(&text);
}

static void on_measured(void *arg) {
    answer_page(arg);
}

static void on_limit(struct sk_timer *timer) {
    struct agent_metrics *metrics = SK_CONTAINER(timer, struct agent_metrics, limit);
    sk_modules_measure_end(metrics->agent->modules);
    answer_page(metrics);
}

static void measure(struct agent_metrics *metrics) {
    sk_timer_start(metrics->agent->io, &metrics->limit, MODULES_S * SK_S, on_limit);
    sk_modules_measure(metrics->agent->modules, processors(metrics), on_measured, metrics);
}

static json_t *answered(enum sk_status status, const struct sk_http_parser *answer) {
    return status || answer->status != 200 ? NULL
                                           : sk_json_load(sk_buffer_span(&answer->body), 0, NULL);
}

static void on_resources(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct agent_metrics *metrics = arg;
    if (metrics->closing) return;
    json_decref(metrics->resources);
    metrics->resources = answered(status, answer);
    const json_t *cpu = json_object_get(metrics->resources, "used_cpu");
    if (json_is_number(cpu))
        sk_summary_add(&metrics->host_cpu, (uint64_t)(json_number_value(cpu) / HUNDREDTH));
    measure(metrics);
}

static void ask(struct agent_metrics *metrics, struct sk_span target,
                void (*done)(void *arg, enum sk_status status,
                             const struct sk_http_parser *answer)) {
    sk_http_client_send(metrics->daemon, &(struct sk_http_ask){.method = SK_HTTP_GET,
                                                               .target = target,
                                                               .timeout_ms = DAEMON_MS,
                                                               .done = done,
                                                               .arg = metrics});
}

static void ask_resources(struct agent_metrics *metrics) {
    ask(metrics, SK_SPAN("/systeminfo/resources?api-version=2022-08-03"), on_resources);
}

static void on_machine(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct agent_metrics *metrics = arg;
    if (metrics->closing) return;
    metrics->machine = answered(status, answer);
    ask_resources(metrics);
}

static void serve(void *arg, struct sk_http_exchange *exchange) {
    struct agent_metrics *metrics = arg;
    if (exchange->request->method != SK_HTTP_GET ||
        !sk_span_is(exchange->request->path, "/metrics")) {
        sk_http_respond(exchange, 404, SK_NONE, SK_SPAN("try /metrics\n"));
        return;
    }
    if (metrics->waiting_count == WAITING_MAX) {
        sk_http_respond(exchange, 503, SK_NONE, SK_SPAN("too many ask at once\n"));
        return;
    }
    metrics->waiting[metrics->waiting_count++] = exchange;
    if (metrics->waiting_count > 1) return; /* it is on its way */
    if (metrics->machine)
        ask_resources(metrics);
    else
        ask(metrics, SK_SPAN("/systeminfo?api-version=2022-08-03"), on_machine);
}

/* ---- life ---- */

static void metrics_free(struct agent_metrics *metrics) {
    json_decref(metrics->machine);
    json_decref(metrics->resources);
    free(metrics);
}

enum sk_status agent_metrics_open(struct sk_agent *agent, const struct sk_endpoint *at) {
    struct agent_metrics *metrics = SK_NEW(struct agent_metrics);
    metrics->agent = agent;
    metrics->service = (struct sk_http_service){.handler = serve, .arg = metrics};
    enum sk_status status =
        sk_http_listen(agent->io, at, NULL, &metrics->service, &metrics->listener, NULL);
    if (status) {
        metrics_free(metrics);
        return status;
    }
    sk_io_guid(agent->io, metrics->instance);
    metrics->edge = (struct sk_metric_edge){agent->options.hub_host, agent->options.device_id,
                                            metrics->instance};
    struct sk_endpoint daemon = {.path = agent->options.management_path};
    sk_http_client_new(agent->io, &(struct sk_http_client_options){.to = daemon}, &metrics->daemon);
    agent->metrics = metrics;
    return SK_OK;
}

void agent_metrics_close(struct sk_agent *agent) {
    struct agent_metrics *metrics = agent->metrics;
    agent->metrics = NULL;
    if (metrics == NULL) return;
    metrics->closing = true;
    sk_timer_stop(&metrics->limit);
    sk_modules_measure_end(agent->modules);
    sk_http_client_free(metrics->daemon);
    answer_all(metrics, 503, SK_SPAN("the agent ends\n"));
    sk_http_listener_close(metrics->listener);
    metrics_free(metrics);
}
