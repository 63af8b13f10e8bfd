/* The hub itself, as Azure Resource Manager has it; for whom a policy with all rights has
 * signed. */
#include "cli/cli.h"

#define HUB "/subscriptions/local/resourceGroups/local/providers/Microsoft.Devices/IotHubs/%s"

int cli_hub_show(void *arg) {
    struct cli *cli = arg;
    return cli_show(cli, SK_HTTP_GET, cli_path(cli, HUB, cli->typed.words[0], NULL), NULL, NULL,
                    NULL);
}

/* What stands in "value" of an answer. */
static int show_list(struct cli *cli, enum sk_http_method method, const char *path,
                     const char *const *columns) {
    struct cli_answer answer;
    int code = cli_call(cli, method, path, NULL, NULL, NULL, &answer);
    if (code == SK_EXIT_FINE) cli_print(cli, json_object_get(answer.body, "value"), columns);
    json_decref(answer.body);
    return code;
}

int cli_hub_policies(void *arg) {
    static const char *const columns[] = {"keyName", "rights", "primaryKey", "secondaryKey", NULL};
    struct cli *cli = arg;
    const char *path = cli_path(cli, HUB "/listkeys", cli->typed.words[0], NULL);
    return show_list(cli, SK_HTTP_POST, path, columns);
}

int cli_hub_groups(void *arg) {
    static const char *const columns[] = {"name", NULL};
    struct cli *cli = arg;
    const char *path =
        cli_path(cli, HUB "/eventHubEndpoints/events/ConsumerGroups", cli->typed.words[0], NULL);
    return show_list(cli, SK_HTTP_GET, path, columns);
}
