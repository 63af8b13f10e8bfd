/* The commands on identities, twins, methods, queries and edge deployments. */
#include <stdio.h>

#include "cli/cli.h"
#include "model/connection_string.h"
#include "wire/sas.h"
#include "model/json_text.h"

static const char *const device_columns[] = {
    "deviceId",         "status", "connectionState", "authentication.type", "capabilities.iotEdge",
    "lastActivityTime", NULL};
static const char *const module_columns[] = {"moduleId", "connectionState", "managedBy",
                                             "lastActivityTime", NULL};
static const char *const twin_columns[] = {"deviceId",        "moduleId", "status",
                                           "connectionState", "version",  NULL};

static bool word_is(const struct cli *cli, const char *verb, size_t words) {
    return cli->word_count >= 1 && strcmp(cli->words[0], verb) == 0 && cli->word_count == words;
}

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

int cli_show(struct cli *cli, enum sk_http_method method, const char *path, const json_t *body,
             const char *if_match, const char *const *columns) {
    struct cli_answer answer;
    int code = cli_call(cli, method, path, body, if_match, NULL, &answer);
    if (!code) cli_print(cli, answer.body, columns);
    if (!code) json_decref(answer.body);
    return code;
}

/* ---- device, module ---- */

/* --auth as the registry's JSON; NULL: keys, made by the hub. False: not usable. */
static bool read_auth(const struct cli *cli, json_t **authentication) {
    const char *auth = cli_option(cli, "auth"), *primary = cli_option(cli, "primary-thumbprint"),
               *secondary = cli_option(cli, "secondary-thumbprint");
    bool thumbprint = auth ? strcmp(auth, "thumbprint") == 0 : primary != NULL;
    *authentication = NULL;
    if (thumbprint == (primary == NULL && secondary == NULL)) return false;
    if (thumbprint)
        *authentication = json_pack("{s:s,s:{s:s*,s:s*}}", "type", "selfSigned", "x509Thumbprint",
                                    "primaryThumbprint", primary, "secondaryThumbprint", secondary);
    else if (auth && strcmp(auth, "ca") == 0)
        *authentication = json_pack("{s:s}", "type", "certificateAuthority");
    else
        return auth == NULL || strcmp(auth, "sas") == 0;
    return true;
}

static int add_device(struct cli *cli) {
    const char *id = cli->words[1], *parent = cli_option(cli, "parent");
    json_t *authentication;
    if (!read_auth(cli, &authentication))
        return cli_usage("device add ID --auth sas|thumbprint|ca; with thumbprint: "
                         "--primary-thumbprint HEX [--secondary-thumbprint HEX]");
    json_t *body = json_pack("{s:s,s:{s:b},s:o*}", "deviceId", id, "capabilities", "iotEdge",
                             cli_option(cli, "edge") != NULL, "authentication", authentication);
    if (parent) {
        struct cli_answer answer;
        int code = cli_call(cli, SK_HTTP_GET, cli_path(cli, "/devices/%s", parent, NULL), NULL,
                            NULL, NULL, &answer);
        if (code) {
            json_decref(body);
            return code;
        }
        const char *scope = json_string_value(json_object_get(answer.body, "deviceScope"));
        bool edge =
            json_is_true(json_object_get(json_object_get(answer.body, "capabilities"), "iotEdge"));
        if (edge && scope && cli_option(cli, "edge"))
            json_object_set_new(body, "parentScopes", json_pack("[s]", scope));
        else if (edge && scope)
            json_object_set_new(body, "deviceScope", json_string(scope));
        json_decref(answer.body);
        if (!edge) {
            json_decref(body);
            return cli_fail("%s is not an edge device; a parent must be one", parent);
        }
    }
    int code = cli_show(cli, SK_HTTP_PUT, cli_path(cli, "/devices/%s", id, NULL), body, NULL,
                        device_columns);
    json_decref(body);
    return code;
}

static int update_device(struct cli *cli) {
    const char *path = cli_path(cli, "/devices/%s", cli->words[1], NULL),
               *status = cli_option(cli, "status");
    struct cli_answer answer;
    if (status == NULL) return cli_usage("device update DEVICE --status enabled|disabled");
    int code = cli_call(cli, SK_HTTP_GET, path, NULL, NULL, NULL, &answer);
    if (code) return code;
    json_object_set_new(answer.body, "status", json_string(status));
    code = cli_show(cli, SK_HTTP_PUT, path, answer.body, "\"*\"", device_columns);
    json_decref(answer.body);
    return code;
}

/* Prints HostName=…;DeviceId=…;SharedAccessKey=…, or with `token` a SAS token. */
static int print_credentials(struct cli *cli, const char *target, bool token) {
    struct cli_answer answer;
    int code =
        cli_call(cli, SK_HTTP_GET, cli_target(cli, "devices", target), NULL, NULL, NULL, &answer);
    if (code) return code;
    const json_t *authentication = json_object_get(answer.body, "authentication");
    const char *type = json_string_value(json_object_get(authentication, "type"));
    const char *key = json_string_value(
        json_object_get(json_object_get(authentication, "symmetricKey"), "primaryKey"));
    bool x509 =
        type && (strcmp(type, "selfSigned") == 0 || strcmp(type, "certificateAuthority") == 0);
    const char *device = json_string_value(json_object_get(answer.body, "deviceId"));
    const char *module = json_string_value(json_object_get(answer.body, "moduleId"));
    struct sk_buffer text = {0};
    if (token ? key == NULL : key == NULL && !x509) {
        code = cli_fail("%s has no shared access key", target);
    } else if (token) {
        int64_t seconds = 3600;
        const char *duration = cli_option(cli, "duration");
        if (duration && (sk_span_to_int(sk_span_z(duration), &seconds) || seconds < 1))
            code = cli_usage("--duration is in seconds");
        struct sk_span resource =
            sk_arena_print(&cli->arena, module ? "%.*s/devices/%s/modules/%s" : "%.*s/devices/%s",
                           SK_ARG(cli->host), device, module);
        sk_sas_create(&text, resource, sk_span_z(key), SK_NONE,
                      sk_io_wall(cli->io) / 1000000 + seconds);
    } else {
        sk_connection_string_format(
            &text, &(struct sk_connection_string){.host_name = cli->host,
                                                  .device_id = sk_span_z(device),
                                                  .module_id = sk_span_z(module),
                                                  .shared_access_key = sk_span_z(key),
                                                  .x509 = x509,
                                                  .gateway_host_name =
                                                      sk_span_z(cli_option(cli, "gateway"))});
    }
    if (!code && cli->output == CLI_TABLE) {
        printf("%.*s\n", SK_ARG(sk_buffer_span(&text)));
    } else if (!code) {
        json_t *value = json_pack("{s:s%}", token ? "sas" : "connectionString", text.p, text.n);
        cli_print(cli, value, NULL);
        json_decref(value);
    }
    sk_buffer_free(&text);
    json_decref(answer.body);
    return code;
}

int cli_device(struct cli *cli) {
    const char *id = cli->word_count > 1 ? cli->words[1] : NULL;
    if (word_is(cli, "list", 1))
        return cli_show(cli, SK_HTTP_GET, "/devices?top=1000", NULL, NULL, device_columns);
    if (word_is(cli, "add", 2)) return add_device(cli);
    if (word_is(cli, "show", 2))
        return cli_show(cli, SK_HTTP_GET, cli_path(cli, "/devices/%s", id, NULL), NULL, NULL, NULL);
    if (word_is(cli, "update", 2)) return update_device(cli);
    if (word_is(cli, "remove", 2))
        return cli_show(cli, SK_HTTP_DELETE, cli_path(cli, "/devices/%s", id, NULL), NULL, "\"*\"",
                        NULL);
    if (word_is(cli, "connection-string", 2)) return print_credentials(cli, id, false);
    if (word_is(cli, "sas", 2)) return print_credentials(cli, id, true);
    return cli_usage(
        "device list | add ID [--edge] [--parent EDGE] [--auth sas|thumbprint|ca] | show ID | update ID --status S | remove ID | "
        "connection-string ID [--gateway HOST] | sas ID [--duration S]");
}

int cli_module(struct cli *cli) {
    const char *target = cli->word_count > 1 ? cli->words[1] : NULL;
    if (word_is(cli, "list", 2))
        return cli_show(cli, SK_HTTP_GET, cli_path(cli, "/devices/%s/modules", target, NULL), NULL,
                        NULL, module_columns);
    if (target && strchr(target, '/')) {
        const char *path = cli_target(cli, "devices", target), *slash = strchr(target, '/');
        if (word_is(cli, "show", 2)) return cli_show(cli, SK_HTTP_GET, path, NULL, NULL, NULL);
        if (word_is(cli, "remove", 2))
            return cli_show(cli, SK_HTTP_DELETE, path, NULL, "\"*\"", NULL);
        if (word_is(cli, "connection-string", 2)) return print_credentials(cli, target, false);
        if (word_is(cli, "add", 2)) {
            json_t *body = json_pack("{s:s%,s:s}", "deviceId", target, (size_t)(slash - target),
                                     "moduleId", slash + 1);
            int code = cli_show(cli, SK_HTTP_PUT, path, body, NULL, module_columns);
            json_decref(body);
            return code;
        }
    }
    return cli_usage(
        "module list DEVICE | add DEVICE/MODULE | show DEVICE/MODULE | remove DEVICE/MODULE | connection-string DEVICE/MODULE");
}

/* ---- twin, method, query ---- */

int cli_twin(struct cli *cli) {
    if (word_is(cli, "show", 2))
        return cli_show(cli, SK_HTTP_GET, cli_target(cli, "twins", cli->words[1]), NULL, NULL,
                        NULL);
    bool replace = word_is(cli, "replace", 2);
    const char *desired = cli_option(cli, "desired"), *tags = cli_option(cli, "tags");
    if ((!replace && !word_is(cli, "update", 2)) || (desired == NULL && tags == NULL))
        return cli_usage(
            "twin show TARGET | update TARGET --desired JSON --tags JSON | replace TARGET …; TARGET is DEVICE or DEVICE/MODULE, "
            "JSON may be @FILE");
    json_t *body = json_object(), *value;
    int code = CLI_FINE;
    if (desired && (value = cli_json(cli, "--desired", desired)) != NULL)
        json_object_set_new(body, "properties", json_pack("{s:o}", "desired", value));
    else if (desired)
        code = CLI_REFUSED;
    if (!code && tags && (value = cli_json(cli, "--tags", tags)) != NULL)
        json_object_set_new(body, "tags", value);
    else if (!code && tags)
        code = CLI_REFUSED;
    if (!code)
        code = cli_show(cli, replace ? SK_HTTP_PUT : SK_HTTP_PATCH,
                        cli_target(cli, "twins", cli->words[1]), body, "\"*\"", NULL);
    json_decref(body);
    return code;
}

int cli_method(struct cli *cli) {
    const char *payload = cli_option(cli, "payload"), *timeout = cli_option(cli, "timeout");
    int64_t seconds = 30;
    if (!word_is(cli, "call", 3))
        return cli_usage("method call TARGET NAME [--payload JSON] [--timeout S]");
    if (timeout && (sk_span_to_int(sk_span_z(timeout), &seconds) || seconds < 5 || seconds > 300))
        return cli_usage("--timeout is 5 to 300 seconds");
    json_t *value = payload ? cli_json(cli, "--payload", payload) : json_null();
    if (value == NULL) return CLI_REFUSED;
    json_t *body = json_pack("{s:s,s:o,s:I}", "methodName", cli->words[2], "payload", value,
                             "responseTimeoutInSeconds", (json_int_t)seconds);
    const char *path =
        sk_arena_print(&cli->arena, "%s/methods", cli_target(cli, "twins", cli->words[1])).p;
    int code = cli_show(cli, SK_HTTP_POST, path, body, NULL, NULL);
    json_decref(body);
    return code;
}

int cli_query(struct cli *cli) {
    if (cli->word_count != 1) return cli_usage("query 'SELECT * FROM devices WHERE …'");
    json_t *body = json_pack("{s:s}", "query", cli->words[0]), *all = json_array();
    const char *continuation = NULL;
    int code;
    do {
        struct cli_answer answer;
        code = cli_call(cli, SK_HTTP_POST, "/devices/query", body, NULL, continuation, &answer);
        if (code) break;
        json_array_extend(all, answer.body);
        json_decref(answer.body);
        continuation = answer.continuation;
    } while (continuation);
    if (!code) cli_print(cli, all, twin_columns);
    json_decref(all);
    json_decref(body);
    return code;
}

/* ---- edge ---- */

int cli_edge(struct cli *cli) {
    if (!word_is(cli, "set-modules", 3)) return cli_usage("edge set-modules DEVICE FILE");
    const char *file = sk_arena_print(&cli->arena, "@%s", cli->words[2]).p;
    json_t *manifest = cli_json(cli, cli->words[2], file);
    if (manifest == NULL) return CLI_REFUSED;
    /* A deployment file may be the content itself or wrapped as tools write it:
     * {"content":{"modulesContent":…}}. */
    json_t *content = json_object_get(manifest, "content");
    if (!json_is_object(content)) content = manifest;
    int code =
        json_is_object(json_object_get(content, "modulesContent"))
            ? cli_show(cli, SK_HTTP_POST,
                       cli_path(cli, "/devices/%s/applyConfigurationContent", cli->words[1], NULL),
                       content, NULL, NULL)
            : cli_fail("%s has no modulesContent", cli->words[2]);
    json_decref(manifest);
    if (!code && cli->output == CLI_TABLE) printf("modules of %s set\n", cli->words[1]);
    return code;
}
