/* Routes tried on messages, and custom endpoints: how they are, and what they would not take. */
#include <stdio.h>

#include "cli/cli.h"

static const char *const columns[] = {
    "endpointId",  "type", "healthStatus",         "delivered",      "failedAttempts",
    "deadLetters", "lost", "oldestWaitingTimeUtc", "lastKnownError", NULL};
static const char *const letter_columns[] = {"message.deviceId",    "message.enqueuedTimeUtc",
                                             "deadLetteredTimeUtc", "reason",
                                             "message.body",        NULL};

int cli_endpoint_list(void *arg) {
    struct cli *cli = arg;
    struct cli_answer answer;
    int code = cli_call(cli, SK_HTTP_GET, "/routing/endpoints/health", NULL, NULL, NULL, &answer);
    if (code) return code;
    cli_print(cli, json_object_get(answer.body, "value"), columns);
    json_decref(answer.body);
    return code;
}

int cli_endpoint_show(void *arg) {
    struct cli *cli = arg;
    struct cli_answer answer;
    json_t *endpoint, *found = NULL;
    size_t i;
    int code = cli_call(cli, SK_HTTP_GET, "/routing/endpoints/health", NULL, NULL, NULL, &answer);
    if (code) return code;
    json_array_foreach(json_object_get(answer.body, "value"), i, endpoint) {
        const char *name = json_string_value(json_object_get(endpoint, "endpointId"));
        if (name && strcmp(name, cli->typed.words[0]) == 0) found = endpoint;
    }
    if (found)
        cli_print(cli, found, columns);
    else
        code = cli_fail("there is no endpoint '%s'; see skerry endpoint list", cli->typed.words[0]);
    json_decref(answer.body);
    return code;
}

int cli_endpoint_dead_letters(void *arg) {
    struct cli *cli = arg;
    const char *path =
        cli_path(cli, "/routing/endpoints/%s/deadLetters", cli->typed.words[0], NULL);
    return cli_show_pages(cli, SK_HTTP_GET, path, NULL, letter_columns);
}

/* ---- routes ---- */

static const char *const route_columns[] = {"name",      "source",        "result", "because",
                                            "condition", "endpointNames", NULL};

/* "NAME=VALUE" of every --property; false with a message. */
static bool put_properties(struct cli *cli, json_t *properties) {
    const char *pairs[64];
    size_t count = sk_typed_all(&cli->typed, "property", pairs, 64);
    for (size_t i = 0; i < count && i < 64; i++) {
        struct sk_span pair = sk_span_z(pairs[i]);
        size_t equals = sk_span_find(pair, '=');
        if (equals == 0 || equals >= pair.n) {
            cli_fail("--property is NAME=VALUE, not '%s'", pairs[i]);
            return false;
        }
        SK_CLEANUP_FREE char *name = sk_span_dup(sk_span_first(pair, equals));
        json_object_set_new(properties, name, json_string(pair.p + equals + 1));
    }
    return true;
}

/* The message that was typed: a body that is JSON is one. NULL with a message. */
static json_t *trial_body(struct cli *cli, const char *text) {
    const char *source = sk_typed_option(&cli->typed, "source"),
               *device = sk_typed_option(&cli->typed, "device"),
               *twin_text = sk_typed_option(&cli->typed, "twin");
    json_t *properties = json_object(), *twin = NULL;
    if (!put_properties(cli, properties) ||
        (twin_text && (twin = cli_json(cli, "twin", twin_text)) == NULL)) {
        json_decref(properties);
        return NULL;
    }
    json_t *body = json_loads(text, JSON_DECODE_ANY, NULL);
    if (!json_is_object(body) && !json_is_array(body)) {
        json_decref(body);
        body = json_string(text);
    }
    return json_pack("{s:s,s:{s:o,s:o,s:{s:s*}},s:o*}", "routingSource",
                     source ? source : "DeviceMessages", "message", "body", body, "appProperties",
                     properties, "systemProperties", "connectionDeviceId", device, "twin", twin);
}

int cli_route_explain(void *arg) {
    struct cli *cli = arg;
    struct cli_answer answer;
    json_t *body = trial_body(cli, cli->typed.words[0]);
    if (body == NULL) return SK_EXIT_REFUSED;
    int code = cli_call(cli, SK_HTTP_POST, "/routing/routes/$explain", body, NULL, NULL, &answer);
    json_decref(body);
    if (code) return code;
    cli_print(cli, json_object_get(answer.body, "routes"), route_columns);
    if (cli->output == CLI_TABLE && json_is_true(json_object_get(answer.body, "fallback")))
        puts("no route takes it; it goes to events by the fallback");
    json_decref(answer.body);
    return code;
}

int cli_route_test(void *arg) {
    struct cli *cli = arg;
    struct cli_answer answer;
    json_t *body = trial_body(cli, cli->typed.words[1]), *problem;
    size_t i;
    if (body == NULL) return SK_EXIT_REFUSED;
    json_object_set_new(body, "route", json_pack("{s:s}", "condition", cli->typed.words[0]));
    int code = cli_call(cli, SK_HTTP_POST, "/routing/routes/$testnew", body, NULL, NULL, &answer);
    json_decref(body);
    if (code) return code;
    const json_t *problems =
        json_object_get(json_object_get(answer.body, "details"), "compilationErrors");
    json_array_foreach((json_t *)problems, i, problem) {
        const json_t *start = json_object_get(json_object_get(problem, "location"), "start");
        code = cli_fail("column %lld: %s", json_integer_value(json_object_get(start, "column")),
                        json_string_value(json_object_get(problem, "message")));
    }
    if (!code) {
        json_t *result = json_pack("{s:O}", "result", json_object_get(answer.body, "result"));
        cli_print(cli, result, NULL);
        json_decref(result);
    }
    json_decref(answer.body);
    return code;
}
