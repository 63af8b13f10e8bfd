/* Custom endpoints: how they are, and what they would not take. */
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
