/* Imports and exports of a file here: by way of a container of the hub that is there for this
 * one. */
#include <stdio.h>

#include "azure/blob_auth.h"
#include "cli/cli.h"

enum {
    BLOCK = 4 * 1024 * 1024,
    ALL = SK_BLOB_READ | SK_BLOB_CREATE | SK_BLOB_WRITE | SK_BLOB_DELETE
};
#define DEVICES "devices.txt"
#define ERRORS "importErrors.log"

struct way {
    struct cli *cli;
    char container[64];
};

static int ask(struct way *way, enum sk_http_method method, const char *blob, const char *query,
               struct sk_span body) {
    struct cli_blob_ask ask = {.method = method,
                               .container = way->container,
                               .blob = blob,
                               .rights = ALL,
                               .query = query,
                               .body = body};
    int code = cli_blob(way->cli, &ask);
    sk_buffer_free(&ask.answer);
    return code;
}

static int make_container(struct way *way) {
    char id[37];
    sk_io_guid(way->cli->io, id);
    snprintf(way->container, sizeof way->container, "transfer-%s", id);
    return ask(way, SK_HTTP_PUT, NULL, "&restype=container", SK_NONE);
}

static void remove_container(struct way *way) {
    ask(way, SK_HTTP_DELETE, NULL, "&restype=container", SK_NONE);
}

/* ---- the job ---- */

static void pass(struct sk_timer *timer) {
    sk_io_stop(timer->io);
}

static bool has_ended(const json_t *job) {
    return json_object_get(job, "endTimeUtc") != NULL;
}

/* Asks until it has ended; a person sees how far it is. */
static int wait_for_end(struct cli *cli, struct cli_answer *job) {
    int code = SK_EXIT_FINE;
    const char *id = json_string_value(json_object_get(job->body, "jobId")),
               *path = cli_path(cli, "/jobs/%s", id, NULL);
    while (!code && !has_ended(job->body)) {
        struct sk_timer timer = {0};
        fprintf(stderr, "\r%lld %% ", json_integer_value(json_object_get(job->body, "progress")));
        sk_timer_start(cli->io, &timer, SK_S / 2, pass);
        sk_io_run(cli->io);
        json_decref(job->body);
        job->body = NULL;
        code = cli_call(cli, SK_HTTP_GET, path, NULL, NULL, NULL, job);
    }
    fputs("\r", stderr);
    return code;
}

static int run_job(struct way *way, json_t *body) {
    struct cli *cli = way->cli;
    struct sk_buffer uri = {0};
    struct cli_answer job = {0};
    sk_buffer_print(&uri, "https://%.*s", SK_ARG(cli->host));
    cli_blob_uri(cli, &uri, way->container, NULL, ALL);
    json_object_set_new(body, "inputBlobContainerUri", json_stringn(uri.p, uri.n));
    json_object_set_new(body, "outputBlobContainerUri", json_stringn(uri.p, uri.n));
    sk_buffer_free(&uri);
    int code = cli_call(cli, SK_HTTP_POST, "/jobs/create", body, NULL, NULL, &job);
    json_decref(body);
    if (!code) code = wait_for_end(cli, &job);
    const char *reason = json_string_value(json_object_get(job.body, "failureReason"));
    if (!code && reason) code = cli_fail("the job has failed: %s", reason);
    json_decref(job.body);
    return code;
}

/* ---- export ---- */

int cli_device_export(void *arg) {
    struct cli *cli = arg;
    struct way way = {.cli = cli};
    bool without_keys = sk_typed_option(&cli->typed, "without-keys") != NULL;
    int code = make_container(&way);
    if (code) return code;
    code = run_job(&way,
                   json_pack("{s:s,s:b}", "type", "export", "excludeKeysInExport", without_keys));
    if (!code) {
        struct cli_blob_ask get = {.method = SK_HTTP_GET,
                                   .container = way.container,
                                   .blob = DEVICES,
                                   .rights = ALL,
                                   .prints = true};
        code = cli_blob(cli, &get);
        fflush(stdout);
        sk_buffer_free(&get.answer);
    }
    remove_container(&way);
    return code;
}

/* ---- import ---- */

static int put_block(struct way *way, struct sk_span block, unsigned number,
                     struct sk_buffer *list) {
    struct sk_buffer query = {0};
    char id[16];
    snprintf(id, sizeof id, "%06u", number);
    sk_buffer_text(&query, "&comp=block&blockid=");
    sk_base64_encode(&query, sk_span_z(id));
    sk_buffer_byte(&query, 0);
    sk_buffer_text(list, "<Latest>");
    sk_base64_encode(list, sk_span_z(id));
    sk_buffer_text(list, "</Latest>");
    int code = ask(way, SK_HTTP_PUT, DEVICES, query.p, block);
    sk_buffer_free(&query);
    return code;
}

static int send_file(struct way *way, struct sk_file *file) {
    char *block = sk_alloc(BLOCK);
    struct sk_buffer list = {0};
    uint64_t at = 0;
    size_t got = 1;
    int code = SK_EXIT_FINE;
    sk_buffer_text(&list, "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
    for (unsigned i = 0; !code && got; i++, at += got) {
        enum sk_status status = sk_file_read(file, at, block, BLOCK, &got);
        if (status) code = cli_fail("the file cannot be read: %s", sk_status_text(status));
        if (!code && got) code = put_block(way, sk_span(block, got), i, &list);
    }
    sk_buffer_text(&list, "</BlockList>");
    if (!code) code = ask(way, SK_HTTP_PUT, DEVICES, "&comp=blocklist", sk_buffer_span(&list));
    sk_buffer_free(&list);
    free(block);
    return code;
}

/* What could not be done goes to the output; then it is a failure. */
static int show_errors(struct way *way) {
    struct cli_blob_ask list = {.method = SK_HTTP_GET,
                                .container = way->container,
                                .rights = SK_BLOB_LIST,
                                .query = "&restype=container&comp=list&prefix=" ERRORS};
    int code = cli_blob(way->cli, &list);
    bool some = list.answer.n && memmem(list.answer.p, list.answer.n, "<Blob>", 6);
    sk_buffer_free(&list.answer);
    if (code || !some) return code;
    struct cli_blob_ask get = {.method = SK_HTTP_GET,
                               .container = way->container,
                               .blob = ERRORS,
                               .rights = ALL,
                               .prints = true};
    code = cli_blob(way->cli, &get);
    fflush(stdout);
    sk_buffer_free(&get.answer);
    return code ? code : cli_fail("the lines above were not done, all others were");
}

int cli_device_import(void *arg) {
    struct cli *cli = arg;
    struct way way = {.cli = cli};
    struct sk_file *file;
    enum sk_status status = sk_file_open(cli->io, cli->typed.words[0], SK_FILE_READ, &file);
    if (status)
        return cli_fail("%s cannot be read: %s", cli->typed.words[0], sk_status_text(status));
    int code = make_container(&way);
    if (!code) {
        code = send_file(&way, file);
        if (!code) code = run_job(&way, json_pack("{s:s}", "type", "import"));
        if (!code) code = show_errors(&way);
        remove_container(&way);
    }
    sk_file_close(file);
    return code;
}
