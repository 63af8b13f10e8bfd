/* Jobs: a twin update or a direct method for many devices at a time. */
#include <stdio.h>

#include "cli/cli.h"

static const char *const columns[] = {"jobId",
                                      "type",
                                      "status",
                                      "startTime",
                                      "deviceJobStatistics.deviceCount",
                                      "deviceJobStatistics.succeededCount",
                                      "deviceJobStatistics.failedCount",
                                      "deviceJobStatistics.runningCount",
                                      "deviceJobStatistics.pendingCount",
                                      NULL};
static const char *const row_columns[] = {"deviceId",   "moduleId",          "status",
                                          "endTimeUtc", "error.description", NULL};

static const char *path_of(struct cli *cli, const char *format) {
    return cli_path(cli, format, cli->typed.words[0], NULL);
}

static bool has_ended(const json_t *job) {
    return json_object_get(job, "endTime") != NULL;
}

static void pass(struct sk_timer *timer) {
    sk_io_stop(timer->io);
}

static void show_progress(const json_t *job) {
    const json_t *counts = json_object_get(job, "deviceJobStatistics");
    const char *status = json_string_value(json_object_get(job, "status"));
    fprintf(stderr, "\r%s: %lld of %lld done, %lld failed ", status ? status : "",
            json_integer_value(json_object_get(counts, "succeededCount")),
            json_integer_value(json_object_get(counts, "deviceCount")),
            json_integer_value(json_object_get(counts, "failedCount")));
}

/* Asks until it has ended; a person sees how far it is. */
static int wait_for_end(struct cli *cli, struct cli_answer *answer) {
    int code = SK_EXIT_FINE;
    while (!code && !has_ended(answer->body)) {
        struct sk_timer timer = {0};
        if (cli->output == CLI_TABLE) show_progress(answer->body);
        sk_timer_start(cli->io, &timer, SK_S, pass);
        sk_io_run(cli->io);
        json_decref(answer->body);
        code = cli_call(cli, SK_HTTP_GET, path_of(cli, "/jobs/v2/%s"), NULL, NULL, NULL, answer);
    }
    if (cli->output == CLI_TABLE) fputc('\n', stderr);
    return code;
}

static int create(struct cli *cli, const char *type, const char *work_name, json_t *work) {
    const char *condition = sk_typed_option(&cli->typed, "where"),
               *start = sk_typed_option(&cli->typed, "start");
    int64_t max_s = 3600;
    if (!sk_typed_number(&cli->typed, "max-seconds", 1, 14 * 24 * 3600, &max_s)) {
        json_decref(work);
        return SK_EXIT_USAGE;
    }
    json_t *body = json_pack("{s:s,s:s,s:o,s:s,s:s*,s:I}", "jobId", cli->typed.words[0], "type",
                             type, work_name, work, "queryCondition", condition ? condition : "*",
                             "startTime", start, "maxExecutionTimeInSeconds", (json_int_t)max_s);
    struct cli_answer answer;
    int code = cli_call(cli, SK_HTTP_PUT, path_of(cli, "/jobs/v2/%s"), body, NULL, NULL, &answer);
    json_decref(body);
    if (!code && sk_typed_option(&cli->typed, "wait")) code = wait_for_end(cli, &answer);
    if (code) return code;
    cli_print(cli, answer.body, columns);
    json_decref(answer.body);
    return code;
}

int cli_job_update_twins(void *arg) {
    struct cli *cli = arg;
    json_t *twin = cli_twin_body(cli);
    if (twin == NULL) return SK_EXIT_REFUSED;
    json_object_set_new(twin, "etag", json_string("*"));
    return create(cli, "scheduleUpdateTwin", "updateTwin", twin);
}

int cli_job_call_method(void *arg) {
    struct cli *cli = arg;
    json_t *method = cli_method_body(cli);
    if (method == NULL) return SK_EXIT_REFUSED;
    return create(cli, "scheduleDeviceMethod", "cloudToDeviceMethod", method);
}

int cli_job_show(void *arg) {
    struct cli *cli = arg;
    return cli_show(cli, SK_HTTP_GET, path_of(cli, "/jobs/v2/%s"), NULL, NULL, columns);
}

int cli_job_cancel(void *arg) {
    struct cli *cli = arg;
    return cli_show(cli, SK_HTTP_POST, path_of(cli, "/jobs/v2/%s/cancel"), NULL, NULL, columns);
}

int cli_job_devices(void *arg) {
    struct cli *cli = arg;
    const char *status = sk_typed_option(&cli->typed, "status");
    struct sk_span query = sk_arena_print(
        &cli->arena, "SELECT * FROM devices.jobs WHERE devices.jobs.jobId = '%s'%s%s%s",
        cli->typed.words[0], status ? " AND status = '" : "", status ? status : "",
        status ? "'" : "");
    return cli_show_query(cli, query.p, row_columns);
}

int cli_job_list(void *arg) {
    struct cli *cli = arg;
    const char *status = sk_typed_option(&cli->typed, "status");
    const char *path =
        status ? cli_path(cli, "/jobs/v2/query?jobStatus=%s", status, NULL) : "/jobs/v2/query";
    return cli_show_pages(cli, SK_HTTP_GET, path, NULL, columns);
}
