/* Automatic configurations: deployments of edge devices, and management of devices and modules. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"

enum { PAIRS_MAX = 100 };

static const char *const columns[] = {"id",
                                      "priority",
                                      "systemMetrics.results.targetedCount",
                                      "systemMetrics.results.appliedCount",
                                      "targetCondition",
                                      NULL};
static const char *const deployment_columns[] = {"id",
                                                 "priority",
                                                 "systemMetrics.results.targetedCount",
                                                 "systemMetrics.results.appliedCount",
                                                 "systemMetrics.results.reportedSuccessfulCount",
                                                 "systemMetrics.results.reportedFailedCount",
                                                 "targetCondition",
                                                 NULL};
static const char *const verdict_columns[] = {"id", "kind", "priority", "status", "why", NULL};

static bool is_deployment(const json_t *configuration) {
    return json_object_get(json_object_get(configuration, "content"), "modulesContent") != NULL;
}

static const char *path_of(struct cli *cli) {
    return cli_path(cli, "/configurations/%s", cli->typed.words[0], NULL);
}

static int list(struct cli *cli, bool deployments) {
    struct cli_answer answer;
    int code = cli_call(cli, SK_HTTP_GET, "/configurations?top=1000", NULL, NULL, NULL, &answer);
    if (code) return code;
    json_t *found = json_array(), *one;
    size_t i;
    json_array_foreach(answer.body, i, one) {
        if (is_deployment(one) == deployments) json_array_append(found, one);
    }
    cli_print(cli, found, deployments ? deployment_columns : columns);
    json_decref(found);
    json_decref(answer.body);
    return code;
}

int cli_deployment_list(void *arg) {
    return list(arg, true);
}

int cli_configuration_list(void *arg) {
    return list(arg, false);
}

int cli_configuration_show(void *arg) {
    struct cli *cli = arg;
    return cli_show(cli, SK_HTTP_GET, path_of(cli), NULL, NULL, NULL);
}

int cli_configuration_remove(void *arg) {
    struct cli *cli = arg;
    int code = cli_show(cli, SK_HTTP_DELETE, path_of(cli), NULL, NULL, NULL);
    if (!code && cli->output == CLI_TABLE) printf("%s removed\n", cli->typed.words[0]);
    return code;
}

/* NAME=TEXT options as an object; NULL with a message. */
static json_t *read_pairs(struct cli *cli, const char *option) {
    const char *values[PAIRS_MAX];
    size_t count = sk_typed_all(&cli->typed, option, values, PAIRS_MAX);
    json_t *object = json_object();
    for (size_t i = 0; i < count && i < PAIRS_MAX; i++) {
        struct sk_span text = sk_span_z(values[i]);
        size_t at = sk_span_find(text, '=');
        if (at == 0 || at == text.n) {
            sk_typed_usage(&cli->typed, "--%s takes NAME=TEXT, not %s", option, values[i]);
            json_decref(object);
            return NULL;
        }
        json_object_setn_new(object, values[i], at, json_string(values[i] + at + 1));
    }
    return object;
}

/* What the options say goes into the body. */
static int take_options(struct cli *cli, json_t *body) {
    const char *condition = sk_typed_option(&cli->typed, "target");
    int64_t priority = -1;
    if (!sk_typed_number(&cli->typed, "priority", 0, INT32_MAX, &priority)) return SK_EXIT_USAGE;
    if (priority >= 0) json_object_set_new(body, "priority", json_integer(priority));
    if (condition) json_object_set_new(body, "targetCondition", json_string(condition));
    if (sk_typed_option(&cli->typed, "label")) {
        json_t *labels = read_pairs(cli, "label");
        if (labels == NULL) return SK_EXIT_USAGE;
        json_object_set_new(body, "labels", labels);
    }
    if (sk_typed_option(&cli->typed, "metric")) {
        json_t *queries = read_pairs(cli, "metric");
        if (queries == NULL) return SK_EXIT_USAGE;
        json_object_set_new(body, "metrics", json_pack("{s:o}", "queries", queries));
    }
    return SK_EXIT_FINE;
}

/* A file with a content, or with all of a configuration. */
static json_t *read_file(struct cli *cli, const char *file) {
    json_t *json = cli_json(cli, file, sk_arena_print(&cli->arena, "@%s", file).p);
    if (json == NULL || json_object_get(json, "content")) return json;
    return json_pack("{s:o}", "content", json);
}

static int create(struct cli *cli, bool deployment) {
    json_t *body = read_file(cli, cli->typed.words[1]);
    if (body == NULL) return SK_EXIT_REFUSED;
    int code = take_options(cli, body);
    if (!code && is_deployment(body) != deployment)
        code = cli_fail(deployment ? "%s has no modulesContent, as deployments have; for the "
                                     "properties of devices: skerry configuration create"
                                   : "%s has modulesContent, as deployments have: skerry "
                                     "deployment create",
                        cli->typed.words[1]);
    if (!code)
        code = cli_show(cli, SK_HTTP_PUT, path_of(cli), body, NULL,
                        deployment ? deployment_columns : columns);
    json_decref(body);
    return code;
}

int cli_deployment_create(void *arg) {
    return create(arg, true);
}

int cli_configuration_create(void *arg) {
    return create(arg, false);
}

int cli_configuration_update(void *arg) {
    struct cli *cli = arg;
    json_t *body = json_object();
    int code = take_options(cli, body);
    if (!code && json_object_size(body) == 0)
        code = sk_typed_usage(&cli->typed, "say what is to change");
    /* The metrics that are named are all that there are. */
    struct cli_answer answer = {0};
    if (!code) code = cli_call(cli, SK_HTTP_GET, path_of(cli), NULL, NULL, NULL, &answer);
    if (!code) {
        const char *etag = json_string_value(json_object_get(answer.body, "etag"));
        bool deployment = is_deployment(answer.body);
        json_object_update(answer.body, body);
        code = cli_show(cli, SK_HTTP_PUT, path_of(cli), answer.body,
                        sk_arena_print(&cli->arena, "\"%s\"", etag ? etag : "*").p,
                        deployment ? deployment_columns : columns);
    }
    json_decref(answer.body);
    json_decref(body);
    return code;
}

int cli_configuration_patch(void *arg) {
    struct cli *cli = arg;
    json_t *body = read_file(cli, cli->typed.words[1]);
    if (body == NULL) return SK_EXIT_REFUSED;
    int code = cli_show(cli, SK_HTTP_PATCH, path_of(cli), body, "\"*\"",
                        is_deployment(body) ? deployment_columns : columns);
    json_decref(body);
    return code;
}

int cli_configuration_explain(void *arg) {
    struct cli *cli = arg;
    const char *path = sk_arena_print(&cli->arena, "%s/configurations",
                                      cli_target(cli, "devices", cli->typed.words[0]))
                           .p;
    struct cli_answer answer;
    int code = cli_call(cli, SK_HTTP_GET, path, NULL, NULL, NULL, &answer);
    if (code) return code;
    if (cli->output == CLI_TABLE || cli->output >= CLI_TSV)
        cli_print(cli, json_object_get(answer.body, "configurations"), verdict_columns);
    else
        cli_print(cli, answer.body, NULL);
    json_decref(answer.body);
    return code;
}
