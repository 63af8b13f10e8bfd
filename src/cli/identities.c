/* The commands on devices and modules. */
#include <stdio.h>

#include "cli/cli.h"
#include "azure/connection_string.h"
#include "trust/sas.h"
#include "model/json_text.h"

static const char *const device_columns[] = {
    "deviceId",         "status", "connectionState", "authentication.type", "capabilities.iotEdge",
    "lastActivityTime", NULL};
static const char *const module_columns[] = {"moduleId", "connectionState", "managedBy",
                                             "lastActivityTime", NULL};

/* ---- device, module ---- */

/* --auth as the registry's JSON; NULL: keys, made by the hub. False: not usable. */
static bool read_auth(const struct cli *cli, json_t **authentication) {
    const char *auth = sk_typed_option(&cli->typed, "auth"),
               *primary = sk_typed_option(&cli->typed, "primary-thumbprint"),
               *secondary = sk_typed_option(&cli->typed, "secondary-thumbprint");
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

int cli_device_add(void *arg) {
    struct cli *cli = arg;
    const char *id = cli->typed.words[0], *parent = sk_typed_option(&cli->typed, "parent");
    json_t *authentication;
    if (!read_auth(cli, &authentication))
        return sk_typed_usage(&cli->typed,
                              "a thumbprint goes with --auth thumbprint, which needs one");
    json_t *body =
        json_pack("{s:s,s:{s:b},s:o*}", "deviceId", id, "capabilities", "iotEdge",
                  sk_typed_option(&cli->typed, "edge") != NULL, "authentication", authentication);
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
        if (edge && scope && sk_typed_option(&cli->typed, "edge"))
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

int cli_device_update(void *arg) {
    struct cli *cli = arg;
    const char *path = cli_path(cli, "/devices/%s", cli->typed.words[0], NULL),
               *status = sk_typed_option(&cli->typed, "status");
    struct cli_answer answer;
    if (status == NULL) return sk_typed_usage(&cli->typed, "say --status enabled, or disabled");
    int code = cli_call(cli, SK_HTTP_GET, path, NULL, NULL, NULL, &answer);
    if (code) return code;
    json_object_set_new(answer.body, "status", json_string(status));
    code = cli_show(cli, SK_HTTP_PUT, path, answer.body, "\"*\"", device_columns);
    json_decref(answer.body);
    return code;
}

/* Prints HostName=…;DeviceId=…;SharedAccessKey=…, or with `token` a SAS token. */
static int print_credentials(struct cli *cli, bool token) {
    const char *target = cli->typed.words[0];
    int64_t seconds = 3600;
    struct cli_answer answer;
    if (!sk_typed_number(&cli->typed, "duration", 1, INT64_MAX / 1000000, &seconds))
        return SK_EXIT_USAGE;
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
        struct sk_span resource =
            sk_arena_print(&cli->arena, module ? "%.*s/devices/%s/modules/%s" : "%.*s/devices/%s",
                           SK_ARG(cli->host), device, module);
        sk_sas_create(&text, resource, sk_span_z(key), SK_NONE,
                      sk_io_wall(cli->io) / 1000000 + seconds);
    } else {
        sk_connection_string_format(
            &text, &(struct sk_connection_string){
                       .host_name = cli->host,
                       .device_id = sk_span_z(device),
                       .module_id = sk_span_z(module),
                       .shared_access_key = sk_span_z(key),
                       .x509 = x509,
                       .gateway_host_name = sk_span_z(sk_typed_option(&cli->typed, "gateway"))});
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

int cli_connection_string(void *arg) {
    struct cli *cli = arg;
    return print_credentials(cli, false);
}

int cli_sas(void *arg) {
    struct cli *cli = arg;
    return print_credentials(cli, true);
}

int cli_policy_sas(void *arg) {
    struct cli *cli = arg;
    struct sk_buffer text = {0};
    int64_t seconds = 3600;
    if (!sk_typed_number(&cli->typed, "duration", 1, INT32_MAX, &seconds)) return SK_EXIT_USAGE;
    sk_sas_create(&text, cli->host, cli->key, cli->policy, sk_io_wall(cli->io) / 1000000 + seconds);
    json_t *value = json_pack("{s:s%}", "sas", text.p, text.n);
    if (cli->output == CLI_TABLE)
        printf("%.*s\n", SK_ARG(sk_buffer_span(&text)));
    else
        cli_print(cli, value, NULL);
    json_decref(value);
    sk_buffer_free(&text);
    return SK_EXIT_FINE;
}

int cli_device_list(void *arg) {
    struct cli *cli = arg;
    return cli_show(cli, SK_HTTP_GET, "/devices?top=1000", NULL, NULL, device_columns);
}

int cli_identity_show(void *arg) {
    struct cli *cli = arg;
    return cli_show(cli, SK_HTTP_GET, cli_target(cli, "devices", cli->typed.words[0]), NULL, NULL,
                    NULL);
}

int cli_identity_remove(void *arg) {
    struct cli *cli = arg;
    return cli_show(cli, SK_HTTP_DELETE, cli_target(cli, "devices", cli->typed.words[0]), NULL,
                    "\"*\"", NULL);
}

int cli_device_diagnose(void *arg) {
    static const char *const columns[] = {"time",    "event",     "protocol", "moduleId",
                                          "address", "errorCode", "why",      NULL};
    struct cli *cli = arg;
    struct cli_answer answer;
    const char *path = cli_path(cli, "/devices/%s/diagnostics", cli->typed.words[0], NULL);
    int code = cli_call(cli, SK_HTTP_GET, path, NULL, NULL, NULL, &answer);
    if (code == SK_EXIT_FINE && cli->output == CLI_TABLE) {
        const char *status = json_string_value(json_object_get(answer.body, "status"));
        printf("%s: %s, %s\n", cli->typed.words[0], status ? status : "not registered",
               json_string_value(json_object_get(answer.body, "connectionState")));
        cli_print(cli, json_object_get(answer.body, "events"), columns);
    } else if (code == SK_EXIT_FINE) {
        cli_print(cli, answer.body, NULL);
    }
    json_decref(answer.body);
    return code;
}

int cli_module_list(void *arg) {
    struct cli *cli = arg;
    return cli_show(cli, SK_HTTP_GET,
                    cli_path(cli, "/devices/%s/modules", cli->typed.words[0], NULL), NULL, NULL,
                    module_columns);
}

int cli_module_add(void *arg) {
    struct cli *cli = arg;
    const char *target = cli->typed.words[0], *slash = strchr(target, '/');
    json_t *body = json_pack("{s:s%,s:s}", "deviceId", target, (size_t)(slash - target), "moduleId",
                             slash + 1);
    int code =
        cli_show(cli, SK_HTTP_PUT, cli_target(cli, "devices", target), body, NULL, module_columns);
    json_decref(body);
    return code;
}
