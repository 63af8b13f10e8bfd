/* The modules and the device, as the agent and the edge hub tell of them. */
#include <stdio.h>

#include "edge/commands/parts.h"
#include "edge/page/page.h"
#include "model/json_text.h"

const struct sk_option_row sk_edge_json_options[] = {
    {"json", NULL, "as JSON, with all that is known", false}, {0}};
const struct sk_option_row sk_edge_logs_options[] = {
    {"tail", "LINES", "only the last ones; all: \"all\"", false},
    {"since", "TIME", "from then on: 2026-11-28T07:00:00Z, or how long ago: \"10m\"", false},
    {"until", "TIME", "up to then, likewise", false},
    {"follow", NULL, "goes on printing what comes", false},
    {0}};

static bool as_json(const struct sk_edge_command *command) {
    return sk_typed_option(&command->typed, "json") != NULL;
}

static void print_json(const json_t *json) {
    sk_json_print(stdout, json, 2);
    printf("\n");
}

/* ---- list ---- */

void edge_age_text(int64_t seconds, char to[32]) {
    static const struct {
        int64_t s;
        const char *one, *many;
    } units[] = {{31536000, "a year", "years"}, {2592000, "a month", "months"},
                 {604800, "a week", "weeks"},   {86400, "a day", "days"},
                 {3600, "an hour", "hours"},    {60, "a minute", "minutes"}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        int64_t n = seconds / units[i].s;
        if (n == 1) snprintf(to, 32, "%s", units[i].one);
        if (n > 1) snprintf(to, 32, "%lld %s", (long long)n, units[i].many);
        if (n > 0) return;
    }
    if (seconds <= 0)
        snprintf(to, 32, "a moment");
    else
        snprintf(to, 32, "%lld second%s", (long long)seconds, seconds == 1 ? "" : "s");
}

/* "Up 3 minutes", "Stopped 2 hours ago", "Failed (139) an hour ago", or why it has never run;
 * `now_us`: wall clock. */
static void describe(const json_t *module, int64_t now_us, char to[160]) {
    const char *status = edge_text_of(module, "runtimeStatus");
    bool up = strcmp(status, "running") == 0 || strcmp(status, "unhealthy") == 0;
    int64_t since_us = 0;
    char age[32];
    const char *time = edge_text_of(module, up ? "lastStartTimeUtc" : "lastExitTimeUtc");
    /* "0001-01-01T00:00:00Z" stands for never. */
    bool known = sk_time_parse(sk_span_z(time), &since_us) == SK_OK && since_us > 0;
    edge_age_text((now_us - since_us) / 1000000, age);
    if (!known)
        snprintf(to, 160, "%.150s", edge_text_of(module, "statusDescription"));
    else if (up)
        snprintf(to, 160, "Up %s", age);
    else if (strcmp(status, "failed") == 0 || strcmp(status, "backoff") == 0)
        snprintf(to, 160, "Failed (%lld) %s ago",
                 (long long)json_integer_value(json_object_get(module, "exitCode")), age);
    else
        snprintf(to, 160, "Stopped %s ago", age);
}

/* What it runs: an image, or a program. */
static const char *program_of(const json_t *module) {
    const json_t *settings = json_object_get(module, "settings");
    const char *image = json_string_value(json_object_get(settings, "image"));
    const char *program =
        json_string_value(json_array_get(json_object_get(settings, "command"), 0));
    return image && *image ? image : program ? program : "";
}

static void print_modules(const json_t *modules) {
    enum { COLUMNS = 3 };
    static const char *const titles[COLUMNS] = {"NAME", "STATUS", "DESCRIPTION"};
    int widths[COLUMNS];
    const char *name;
    json_t *module;
    char description[160];
    struct sk_io *io = sk_io_uv_new();
    int64_t now_us = sk_io_wall(io);
    sk_io_free(io);
    for (size_t i = 0; i < COLUMNS; i++) widths[i] = sk_text_width(titles[i]);
    json_object_foreach((json_t *)modules, name, module) {
        describe(module, now_us, description);
        const char *const cells[COLUMNS] = {name, edge_text_of(module, "runtimeStatus"),
                                            description};
        for (size_t i = 0; i < COLUMNS; i++)
            if (sk_text_width(cells[i]) > widths[i]) widths[i] = sk_text_width(cells[i]);
    }
    printf("%-*s  %-*s  %-*s  CONFIG\n", widths[0], titles[0], widths[1], titles[1], widths[2],
           titles[2]);
    json_object_foreach((json_t *)modules, name, module) {
        describe(module, now_us, description);
        printf("%-*s  %-*s  %-*s  %s\n", widths[0], name, widths[1],
               edge_text_of(module, "runtimeStatus"), widths[2], description, program_of(module));
    }
}

int sk_edge_list(void *arg) {
    const struct sk_edge_command *command = arg;
    json_t *status = edge_ask_json(&command->config, SK_CONTROL_SOCKET, "/status");
    if (status == NULL) return SK_EXIT_REFUSED;
    json_t *modules = json_copy(json_object_get(status, "systemModules"));
    json_object_update(modules, json_object_get(status, "modules"));
    if (as_json(command))
        print_json(modules);
    else
        print_modules(modules);
    json_decref(modules);
    json_decref(status);
    return SK_EXIT_FINE;
}

/* ---- status ---- */

static void print_status(const json_t *status) {
    const json_t *last = json_object_get(status, "lastDesiredStatus");
    printf("device      %s at %s\n", edge_text_of(status, "deviceId"), edge_text_of(status, "hub"));
    printf("hub         %s\n",
           json_is_true(json_object_get(status, "connected")) ? "connected" : "not connected");
    printf("deployment  version %lld, status %lld %s\n",
           (long long)json_integer_value(json_object_get(status, "lastDesiredVersion")),
           (long long)json_integer_value(json_object_get(last, "code")),
           edge_text_of(last, "description"));
}

int sk_edge_status(void *arg) {
    const struct sk_edge_command *command = arg;
    json_t *status = edge_ask_json(&command->config, SK_CONTROL_SOCKET, "/status");
    if (status == NULL) return SK_EXIT_REFUSED;
    if (as_json(command))
        print_json(status);
    else
        print_status(status);
    json_decref(status);
    return SK_EXIT_FINE;
}

/* ---- logs, restart ---- */

void edge_put_query(struct sk_buffer *to, const struct sk_typed *typed, const char *name) {
    const char *value = sk_typed_option(typed, name);
    if (value == NULL) return;
    sk_buffer_print(to, "&%s=", name);
    sk_percent_encode(to, sk_span_z(value));
}

int sk_edge_logs(void *arg) {
    const struct sk_edge_command *command = arg;
    struct sk_buffer target = {0};
    sk_buffer_text(&target, "/modules/");
    sk_percent_encode(&target, sk_span_z(command->typed.words[0]));
    sk_buffer_print(&target, "/logs?follow=%s",
                    sk_typed_option(&command->typed, "follow") ? "true" : "false");
    edge_put_query(&target, &command->typed, "tail");
    edge_put_query(&target, &command->typed, "since");
    edge_put_query(&target, &command->typed, "until");
    sk_buffer_byte(&target, 0);
    int code = edge_print_stream(&command->config, SK_CONTROL_SOCKET, target.p);
    sk_buffer_free(&target);
    return code;
}

int sk_edge_restart(void *arg) {
    const struct sk_edge_command *command = arg;
    struct edge_answer answer;
    struct sk_buffer target = {0};
    sk_buffer_text(&target, "/modules/");
    sk_percent_encode(&target, sk_span_z(command->typed.words[0]));
    sk_buffer_text(&target, "/restart");
    sk_buffer_byte(&target, 0);
    bool fine = edge_ask_role(&command->config, SK_CONTROL_SOCKET, SK_HTTP_POST, target.p, SK_NONE,
                              &answer);
    if (fine) printf("%s\n", command->typed.words[0]);
    if (fine) sk_buffer_free(&answer.body);
    sk_buffer_free(&target);
    return fine ? SK_EXIT_FINE : SK_EXIT_REFUSED;
}

int sk_edge_version(void *arg) {
    (void)arg;
    printf("skerry-edge %s\n", SK_VERSION);
    return SK_EXIT_FINE;
}

/* ---- page ---- */

int sk_edge_page(void *arg) {
    const struct sk_edge_command *command = arg;
    const struct sk_endpoint *at = &command->config.page;
    char file[512], key[SK_PAGE_KEY], reason[256];
    if (at->host == NULL) {
        fputs("skerry-edge: the local page is turned off ([skerry] page = \"\")\n", stderr);
        return SK_EXIT_REFUSED;
    }
    struct sk_io *io = sk_io_uv_new();
    snprintf(file, sizeof file, "%s/" SK_PAGE_KEY_FILE, command->config.data);
    enum sk_status status = sk_page_key(io, file, key, reason);
    sk_io_free(io);
    if (status) {
        fprintf(stderr, "skerry-edge: the page's key cannot be read, are you root? %s\n", reason);
        return SK_EXIT_REFUSED;
    }
    printf("http://%s:%u/#key=%s\n", at->host, at->port, key);
    return SK_EXIT_FINE;
}
