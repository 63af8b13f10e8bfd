/* `support-bundle`: what somebody who helps from afar will ask for, in one archive; laid out as
 * Azure's is (docs/protocols/edge-runtime.md, section 6). Secrets stay out: of the configuration
 * what counts is told, without keys; of modules their environment's names. */
#include <stdio.h>
#include <time.h>

#include "edge/commands/parts.h"
#include "edge/commands/zip.h"
#include "model/json_text.h"

const struct sk_option_row sk_edge_bundle_options[] = {
    {"output", "FILE", "where it goes; \"-\": to standard output", false},
    {"since", "TIME", "of logs: from then on, \"1 day\" as well as 2026-11-28T07:00:00Z", false},
    {"until", "TIME", "of logs: up to then", false},
    {"include-edge-runtime-only", NULL, "without the logs of modules", false},
    {"quiet", NULL, "says nothing of what it does", false},
    {0}};

struct bundle {
    struct sk_edge_command *command;
    struct sk_io *io;
    struct edge_zip *zip;
    enum sk_status failed; /* the first failure of writing */
};

static void add(struct bundle *bundle, const char *name, struct sk_span bytes) {
    enum sk_status status = edge_zip_add(bundle->zip, name, bytes, sk_io_wall(bundle->io));
    if (bundle->failed == SK_OK) bundle->failed = status;
}

static void add_json(struct bundle *bundle, const char *name, const json_t *json) {
    struct sk_buffer text = {0};
    sk_json_put(&text, json, 2);
    sk_buffer_byte(&text, '\n');
    add(bundle, name, sk_buffer_span(&text));
    sk_buffer_free(&text);
}

/* ---- what the roles say ---- */

/* Names of the environment without their values. */
static void hide_environment(json_t *module) {
    const char *name;
    json_t *entry;
    json_object_foreach(json_object_get(module, "env"), name, entry)
        json_object_set_new(entry, "value", json_string("(left out)"));
    json_object_del(json_object_get(module, "settings"), "createOptions");
}

static void add_modules(struct bundle *bundle, const json_t *status, const char *table) {
    const char *name;
    json_t *module;
    json_object_foreach(json_object_get(status, table), name, module) {
        char path[200];
        json_t *copy = json_deep_copy(module);
        hide_environment(copy);
        snprintf(path, sizeof path, "inspect/%.150s.json", name);
        add_json(bundle, path, copy);
        json_decref(copy);
    }
}

static void add_log(struct bundle *bundle, const char *module) {
    struct edge_answer answer;
    struct sk_buffer target = {0};
    char path[200];
    sk_buffer_text(&target, "/modules/");
    sk_percent_encode(&target, sk_span_z(module));
    sk_buffer_text(&target, "/logs?follow=false");
    edge_put_query(&target, &bundle->command->typed, "since");
    edge_put_query(&target, &bundle->command->typed, "until");
    sk_buffer_byte(&target, 0);
    edge_ask_socket(&bundle->command->config, SK_CONTROL_SOCKET, SK_HTTP_GET, target.p, SK_NONE,
                    &answer);
    bool good = answer.status == SK_OK && answer.http == 200;
    snprintf(path, sizeof path, good ? "logs/%.150s_log.txt" : "logs/%.150s_err.txt", module);
    if (answer.status) sk_buffer_text(&answer.body, sk_status_text(answer.status));
    add(bundle, path, sk_buffer_span(&answer.body));
    sk_buffer_free(&answer.body);
    sk_buffer_free(&target);
}

static void add_agent(struct bundle *bundle) {
    struct edge_answer answer;
    const char *name;
    json_t *module;
    edge_ask_socket(&bundle->command->config, SK_CONTROL_SOCKET, SK_HTTP_GET, "/status", SK_NONE,
                    &answer);
    json_t *status =
        answer.status == SK_OK ? sk_json_load(sk_buffer_span(&answer.body), 0, NULL) : NULL;
    if (status == NULL) add(bundle, "agent_err.txt", sk_span_z(sk_status_text(answer.status)));
    add_modules(bundle, status, "systemModules");
    add_modules(bundle, status, "modules");
    if (!sk_typed_option(&bundle->command->typed, "include-edge-runtime-only"))
        json_object_foreach(json_object_get(status, "modules"), name, module) add_log(bundle, name);
    json_object_del(status, "modules");
    json_object_del(status, "systemModules");
    json_object_del(status, "runtime"); /* registries' passwords */
    if (status) add_json(bundle, "agent.json", status);
    json_decref(status);
    sk_buffer_free(&answer.body);
}

static void add_hub(struct bundle *bundle) {
    struct edge_answer answer;
    edge_ask_socket(&bundle->command->config, SK_HUB_STATUS_SOCKET, SK_HTTP_GET, "/status", SK_NONE,
                    &answer);
    if (answer.status)
        add(bundle, "edge-hub_err.txt", sk_span_z(sk_status_text(answer.status)));
    else
        add(bundle, "edge-hub.json", sk_buffer_span(&answer.body));
    sk_buffer_free(&answer.body);
}

/* ---- what the machine says ---- */

static void add_program(struct bundle *bundle, const char *name, const char *const *command) {
    struct sk_buffer output = {0};
    char path[120];
    int code = edge_run_program(command, &output);
    if (code == 127) sk_buffer_print(&output, "There is no %s here.\n", command[0]);
    snprintf(path, sizeof path, code ? "%s_err.txt" : "%s.txt", name);
    add(bundle, path, sk_buffer_span(&output));
    sk_buffer_free(&output);
}

static void add_machine(struct bundle *bundle) {
    const char *since = sk_typed_option(&bundle->command->typed, "since");
    const char *const journal[] = {
        "journalctl", "--no-pager", "-u", "skerry-*", "--since", since ? since : "1 day ago", NULL};
    const char *const addresses[] = {"ip", "address", NULL},
                      *const sockets[] = {"ss", "-ltn", NULL}, *const disks[] = {"df", "-h", NULL},
                      *const memory[] = {"free", "-m", NULL},
                      *const system[] = {"uname", "-a", NULL};
    add_program(bundle, "logs/skerry-edge", journal);
    add_program(bundle, "network/addresses", addresses);
    add_program(bundle, "network/listeners", sockets);
    add_program(bundle, "machine/disks", disks);
    add_program(bundle, "machine/memory", memory);
    add_program(bundle, "machine/system", system);
}

/* ---- the command ---- */

static void default_name(struct sk_io *io, char to[64]) {
    time_t now = (time_t)(sk_io_wall(io) / 1000000);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(to, 64, "support_bundle_%Y_%m_%d_%H_%M_%S_UTC.zip", &tm);
}

static enum sk_status write_bundle(struct bundle *bundle, const char *path) {
    bundle->zip = edge_zip_open(path);
    if (bundle->zip == NULL) return SK_IO;
    json_t *checks = edge_check_document(bundle->command);
    add_json(bundle, "check.json", checks);
    json_decref(checks);
    add(bundle, "config.txt", sk_buffer_span(&bundle->command->told));
    add_agent(bundle);
    add_hub(bundle);
    add_machine(bundle);
    enum sk_status closed = edge_zip_close(bundle->zip);
    return bundle->failed ? bundle->failed : closed;
}

static enum sk_status print_file(struct sk_io *io, const char *path) {
    struct sk_buffer bytes = {0};
    enum sk_status status = sk_file_load(io, path, &bytes);
    if (!status) fwrite(bytes.p, 1, bytes.n, stdout);
    sk_file_remove(io, path);
    sk_buffer_free(&bytes);
    return status;
}

int sk_edge_support_bundle(void *arg) {
    struct sk_edge_command *command = arg;
    struct bundle bundle = {.command = command, .io = sk_io_uv_new()};
    const char *output = sk_typed_option(&command->typed, "output");
    bool to_stdout = output && strcmp(output, "-") == 0;
    char name[64], path[128];
    default_name(bundle.io, name);
    snprintf(path, sizeof path, "%s%s", to_stdout ? "/tmp/" : "", name);
    if (output == NULL || to_stdout) output = path;
    enum sk_status status = write_bundle(&bundle, output);
    if (!status && to_stdout) status = print_file(bundle.io, output);
    if (status)
        fprintf(stderr, "skerry-edge: %s cannot be written: %s; name another place with --output\n",
                output, sk_status_text(status));
    else if (!to_stdout && !sk_typed_option(&command->typed, "quiet"))
        printf("Wrote %s\n", output);
    sk_io_free(bundle.io);
    return status ? SK_EXIT_REFUSED : SK_EXIT_FINE;
}
