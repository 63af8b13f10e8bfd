/* Rules on telemetry, the groups of devices that they are for, and alarms. */
#include <stdio.h>

#include "cli/cli.h"

#define RULE "/telemetry/v1/rules/%s"
#define GROUP "/config/v1/devicegroups/%s"
#define ALARM "/telemetry/v1/alarms/%s"

static const char *const rule_columns[] = {"Id",         "Severity", "GroupId", "Calculation",
                                           "TimePeriod", "Enabled",  "Name",    NULL};
static const char *const group_columns[] = {"Id", "DisplayName", "Conditions", NULL};
static const char *const alarm_columns[] = {
    "DateReceived", "Rule.Severity", "Status", "Rule.Id", "DeviceId", "Id", NULL};

static const char *path_of(struct cli *cli, const char *format) {
    return cli_path(cli, format, cli->typed.words[0], NULL);
}

/* Prints the items of a list. */
static int list(struct cli *cli, const char *path, const char *const *columns) {
    struct cli_answer answer;
    int code = cli_call(cli, SK_HTTP_GET, path, NULL, NULL, NULL, &answer);
    if (code) return code;
    cli_print(cli, json_object_get(answer.body, "Items"), columns);
    json_decref(answer.body);
    return code;
}

static int show(struct cli *cli, const char *format) {
    return cli_show(cli, SK_HTTP_GET, path_of(cli, format), NULL, NULL, NULL);
}

/* Makes it what a file says: with an ETag there only if it is still that. */
static int set(struct cli *cli, const char *format, const char *const *columns) {
    const char *file = cli->typed.words[1];
    json_t *body = cli_json(cli, file, sk_arena_print(&cli->arena, "@%s", file).p);
    if (body == NULL) return SK_EXIT_REFUSED;
    int code = cli_show(cli, SK_HTTP_PUT, path_of(cli, format), body,
                        json_object_get(body, "ETag") ? NULL : "*", columns);
    json_decref(body);
    return code;
}

static int remove_one(struct cli *cli, const char *format) {
    int code = cli_show(cli, SK_HTTP_DELETE, path_of(cli, format), NULL, NULL, NULL);
    if (!code && cli->output == CLI_TABLE) printf("%s removed\n", cli->typed.words[0]);
    return code;
}

/* ---- rules ---- */

int cli_rule_list(void *arg) {
    struct cli *cli = arg;
    const char *group = sk_typed_option(&cli->typed, "group");
    return list(cli,
                group ? cli_path(cli, "/telemetry/v1/rules?groupId=%s", group, NULL)
                      : "/telemetry/v1/rules",
                rule_columns);
}

int cli_rule_show(void *arg) {
    return show(arg, RULE);
}

int cli_rule_set(void *arg) {
    return set(arg, RULE, rule_columns);
}

int cli_rule_remove(void *arg) {
    return remove_one(arg, RULE);
}

static int enable(struct cli *cli, bool enabled) {
    struct cli_answer answer;
    const char *path = path_of(cli, RULE);
    int code = cli_call(cli, SK_HTTP_GET, path, NULL, NULL, NULL, &answer);
    if (code) return code;
    json_object_set_new(answer.body, "Enabled", json_boolean(enabled));
    code = cli_show(cli, SK_HTTP_PUT, path, answer.body, NULL, rule_columns);
    json_decref(answer.body);
    return code;
}

int cli_rule_enable(void *arg) {
    return enable(arg, true);
}

int cli_rule_disable(void *arg) {
    return enable(arg, false);
}

/* ---- alarms ---- */

int cli_alarm_list(void *arg) {
    static const char *const names[] = {"status", "severity", "from", "to"};
    struct cli *cli = arg;
    const char *rule = sk_typed_option(&cli->typed, "rule"),
               *device = sk_typed_option(&cli->typed, "device");
    int64_t limit = 100;
    if (!sk_typed_number(&cli->typed, "limit", 1, 1000, &limit)) return SK_EXIT_USAGE;
    const char *path =
        rule ? cli_path(cli, "/telemetry/v1/alarmsbyrule/%s", rule, NULL) : "/telemetry/v1/alarms";
    path = sk_arena_print(&cli->arena, "%s?order=desc&limit=%d", path, (int)limit).p;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = sk_typed_option(&cli->typed, names[i]);
        if (value == NULL) continue;
        const char *more = cli_path(cli, "%s", value, NULL);
        path = sk_arena_print(&cli->arena, "%s&%s=%s", path, names[i], more).p;
    }
    if (device)
        path =
            sk_arena_print(&cli->arena, "%s&devices=%s", path, cli_path(cli, "%s", device, NULL)).p;
    return list(cli, path, alarm_columns);
}

int cli_alarm_show(void *arg) {
    return show(arg, ALARM);
}

static int set_status(struct cli *cli, const char *status) {
    json_t *body = json_pack("{s:s}", "Status", status);
    int code = cli_show(cli, SK_HTTP_PATCH, path_of(cli, ALARM), body, "*", alarm_columns);
    json_decref(body);
    return code;
}

int cli_alarm_acknowledge(void *arg) {
    return set_status(arg, "acknowledged");
}

int cli_alarm_close(void *arg) {
    return set_status(arg, "closed");
}

int cli_alarm_remove(void *arg) {
    return remove_one(arg, ALARM);
}

/* ---- groups of devices ---- */

int cli_group_list(void *arg) {
    return list(arg, "/config/v1/devicegroups", group_columns);
}

int cli_group_show(void *arg) {
    return show(arg, GROUP);
}

int cli_group_set(void *arg) {
    return set(arg, GROUP, group_columns);
}

int cli_group_remove(void *arg) {
    return remove_one(arg, GROUP);
}
