/* The commands on messages: send telemetry as a device, watch what has come. */
#include <stdio.h>

#include "cli/cli.h"

/* A POST on the device's own endpoint, with the policy's token (it needs DeviceConnect). JSON goes
 * as it is, other text as a JSON string. */
int cli_telemetry(struct cli *cli) {
    if (cli->word_count != 3 || strcmp(cli->words[0], "send") != 0)
        return cli_usage("telemetry send DEVICE TEXT");
    struct cli_answer answer;
    json_error_t error;
    json_t *body = json_loads(cli->words[2], JSON_DECODE_ANY, &error);
    if (body == NULL) body = json_string(cli->words[2]);
    int code = cli_call(cli, SK_HTTP_POST,
                        cli_path(cli, "/devices/%s/messages/events", cli->words[1], NULL), body,
                        NULL, NULL, &answer);
    json_decref(body);
    if (!code) json_decref(answer.body);
    if (!code && cli->output == CLI_TABLE) printf("sent\n");
    return code;
}

struct watch {
    struct cli *cli;
    bool properties;
    int64_t left; /* events to show; < 0: all */
};

static bool print_event(void *arg, struct sk_span data) {
    struct watch *w = arg;
    json_t *event = json_loadb(data.p, data.n, 0, NULL);
    if (event == NULL) return true;
    if (w->cli->output != CLI_TABLE) {
        cli_print(w->cli, event, NULL);
    } else {
        const char *module = json_string_value(json_object_get(event, "moduleId"));
        SK_CLEANUP_FREE char *body =
            json_dumps(json_object_get(event, "body"),
                       JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        printf("%s  %s%s%s  %s\n", json_string_value(json_object_get(event, "enqueuedTimeUtc")),
               json_string_value(json_object_get(event, "deviceId")), module ? "/" : "",
               module ? module : "", body);
        if (w->properties) {
            SK_CLEANUP_FREE char *properties =
                json_dumps(json_object_get(event, "properties"), JSON_COMPACT);
            SK_CLEANUP_FREE char *system =
                json_dumps(json_object_get(event, "systemProperties"), JSON_COMPACT);
            printf("    %s %s\n", properties, system);
        }
        fflush(stdout);
    }
    json_decref(event);
    return w->left < 0 || --w->left > 0;
}

int cli_events(struct cli *cli) {
    if (cli->word_count != 1 || strcmp(cli->words[0], "watch") != 0)
        return cli_usage(
            "events watch [--device D] [--from earliest|latest|TIME|SEQUENCE] [--properties] [--count N]");
    struct watch w = {.cli = cli, .properties = cli_option(cli, "properties") != NULL, .left = -1};
    const char *from = cli_option(cli, "from"), *device = cli_option(cli, "device"),
               *count = cli_option(cli, "count");
    if (count && (sk_span_to_int(sk_span_z(count), &w.left) || w.left < 1))
        return cli_usage("--count is a number from 1");
    const char *path = cli_path(cli, "/messages/events?from=%s", from ? from : "latest", NULL);
    if (device)
        path =
            sk_arena_print(&cli->arena, "%s&device=%s", path, cli_path(cli, "%s", device, NULL)).p;
    return cli_stream(cli, path, print_event, &w);
}
