/* The commands on twins: reading and writing them, asking for them, calling their devices, and edge
 * deployments. */
#include <stdio.h>

#include "cli/cli.h"
#include "model/json_text.h"

static const char *const twin_columns[] = {"deviceId",        "moduleId", "status",
                                           "connectionState", "version",  NULL};

json_t *cli_json(struct cli *cli, const char *name, const char *text) {
    json_error_t error;
    struct sk_buffer file = {.limit = 4 * 1024 * 1024};
    struct sk_span json = sk_span_z(text);
    if (text[0] == '@') {
        if (sk_file_load(cli->io, text + 1, &file)) {
            cli_fail("%s: %s cannot be read", name, text + 1);
            return NULL;
        }
        json = sk_buffer_span(&file);
    }
    json_t *value = sk_json_load(json, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (value == NULL)
        cli_fail("%s is not JSON: line %d, column %d: %s", name, error.line, error.column,
                 error.text);
    sk_buffer_free(&file);
    return value;
}

int cli_twin_show(void *arg) {
    struct cli *cli = arg;
    return cli_show(cli, SK_HTTP_GET, cli_target(cli, "twins", cli->typed.words[0]), NULL, NULL,
                    NULL);
}

json_t *cli_twin_body(struct cli *cli) {
    const char *desired = sk_typed_option(&cli->typed, "desired"),
               *tags = sk_typed_option(&cli->typed, "tags");
    json_t *body = json_object(), *value = NULL;
    if (desired == NULL && tags == NULL) sk_typed_usage(&cli->typed, "say --desired or --tags");
    if (desired && (value = cli_json(cli, "--desired", desired)) != NULL)
        json_object_set_new(body, "properties", json_pack("{s:o}", "desired", value));
    if (tags && (desired == NULL || value) && (value = cli_json(cli, "--tags", tags)) != NULL)
        json_object_set_new(body, "tags", value);
    if (value) return body;
    json_decref(body);
    return NULL;
}

static int write_twin(struct cli *cli, enum sk_http_method method) {
    json_t *body = cli_twin_body(cli);
    if (body == NULL) return SK_EXIT_REFUSED;
    int code =
        cli_show(cli, method, cli_target(cli, "twins", cli->typed.words[0]), body, "\"*\"", NULL);
    json_decref(body);
    return code;
}

int cli_twin_update(void *arg) {
    struct cli *cli = arg;
    return write_twin(cli, SK_HTTP_PATCH);
}

int cli_twin_replace(void *arg) {
    struct cli *cli = arg;
    return write_twin(cli, SK_HTTP_PUT);
}

json_t *cli_method_body(struct cli *cli) {
    const char *payload = sk_typed_option(&cli->typed, "payload");
    int64_t seconds = 30;
    if (!sk_typed_number(&cli->typed, "timeout", 5, 300, &seconds)) return NULL;
    json_t *value = payload ? cli_json(cli, "--payload", payload) : json_null();
    if (value == NULL) return NULL;
    return json_pack("{s:s,s:o,s:I}", "methodName", cli->typed.words[1], "payload", value,
                     "responseTimeoutInSeconds", (json_int_t)seconds);
}

int cli_method_call(void *arg) {
    struct cli *cli = arg;
    json_t *body = cli_method_body(cli);
    if (body == NULL) return SK_EXIT_REFUSED;
    const char *path =
        sk_arena_print(&cli->arena, "%s/methods", cli_target(cli, "twins", cli->typed.words[0])).p;
    int code = cli_show(cli, SK_HTTP_POST, path, body, NULL, NULL);
    json_decref(body);
    return code;
}

int cli_show_query(struct cli *cli, const char *query, const char *const *columns) {
    json_t *body = json_pack("{s:s}", "query", query);
    int code = cli_show_pages(cli, SK_HTTP_POST, "/devices/query", body, columns);
    json_decref(body);
    return code;
}

/* Of rows that are no twins: all members that one of them has. */
static const char *const *columns_of(const json_t *rows, const char *names[CLI_COLUMNS_MAX + 1]) {
    size_t count = 0, i, known;
    const json_t *row;
    const char *name;
    json_t *value;
    json_array_foreach((json_t *)rows, i, row) {
        if (json_object_get(row, "deviceEtag")) return twin_columns;
        json_object_foreach((json_t *)row, name, value) {
            for (known = 0; known < count && strcmp(names[known], name) != 0;) known++;
            if (known == count && count < CLI_COLUMNS_MAX) names[count++] = name;
        }
    }
    names[count] = NULL;
    return count ? names : twin_columns;
}

int cli_query(void *arg) {
    struct cli *cli = arg;
    const char *names[CLI_COLUMNS_MAX + 1];
    json_t *body = json_pack("{s:s}", "query", cli->typed.words[0]), *rows;
    int code = cli_pages(cli, SK_HTTP_POST, "/devices/query", body, &rows);
    if (!code) cli_print(cli, rows, columns_of(rows, names));
    json_decref(body);
    json_decref(rows);
    return code;
}

/* ---- edge ---- */

static int give_modules(struct cli *cli, enum sk_http_method method) {
    const char *device = cli->typed.words[0], *file = cli->typed.words[1];
    json_t *manifest = cli_json(cli, file, sk_arena_print(&cli->arena, "@%s", file).p);
    if (manifest == NULL) return SK_EXIT_REFUSED;
    /* A deployment file may be the content itself or wrapped as tools write it:
     * {"content":{"modulesContent":…}}. */
    json_t *content = json_object_get(manifest, "content");
    if (!json_is_object(content)) content = manifest;
    int code = json_is_object(json_object_get(content, "modulesContent"))
                   ? cli_show(cli, method,
                              cli_path(cli, "/devices/%s/applyConfigurationContent", device, NULL),
                              content, NULL, NULL)
                   : cli_fail("%s has no modulesContent", file);
    json_decref(manifest);
    if (!code && cli->output == CLI_TABLE)
        printf("modules of %s %s\n", device, method == SK_HTTP_POST ? "set" : "changed");
    return code;
}

int cli_edge_set_modules(void *arg) {
    return give_modules(arg, SK_HTTP_POST);
}

int cli_edge_patch_modules(void *arg) {
    return give_modules(arg, SK_HTTP_PATCH);
}
