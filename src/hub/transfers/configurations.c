/* Configurations, a line each: they are read and written by the operations that clients have. */
#include <stdio.h>

#include "hub/transfers/parts.h"
#include "model/json_text.h"

enum { LINE_MAX_SIZE = 1024 * 1024, LISTED_MAX = 1000 };
#define MODE "createOrUpdateIfMatchETag" /* Azure has no other */

struct configurations_work {
    struct transfer *transfer; /* NULL: it ends with what is under way */
    struct sk_request request; /* that is under way: one at a time */
    bool asking;
    struct place_lines lines; /* of an import */
    uint64_t line;
    json_t *json;                /* the line, owned */
    struct place_writer *writer; /* of an export */
    struct sk_task again;
    transfer_done *done;
    void *arg;
};

static void free_work(struct configurations_work *work) {
    if (work->asking) return;
    json_decref(work->json);
    free(work);
}

void configurations_work_free(struct configurations_work *work) {
    if (work == NULL) return;
    sk_io_undefer(&work->again);
    place_lines_free(&work->lines);
    place_write_free(work->writer);
    work->writer = NULL;
    work->transfer = NULL;
    free_work(work);
}

/* `answered` comes once, maybe from inside. */
static void ask(struct configurations_work *work, enum sk_op op,
                void (*answered)(struct sk_request *request, const struct sk_answer *answer)) {
    struct sk_hub *hub = work->transfer->hub;
    work->asking = true;
    work->request.op = op;
    work->request.backend = &hub->backend;
    work->request.done = answered;
    hub->serve[op](hub, &work->request);
}

/* False: nobody waits any more. */
static bool goes_on(struct configurations_work *work) {
    work->asking = false;
    if (work->transfer && !work->transfer->hub->closing) return true;
    if (work->transfer == NULL) free_work(work);
    return false;
}

/* ---- import ---- */

static void run(struct configurations_work *work);

static void run_again(struct sk_task *task) {
    run(SK_CONTAINER(task, struct configurations_work, again));
}

static void next_line(struct configurations_work *work) {
    json_decref(work->json);
    work->json = NULL;
    sk_io_yield(work->transfer->hub->backend.io, &work->again, run_again);
}

static void fail_line(struct configurations_work *work, const char *code, const char *why) {
    struct error_texts texts;
    struct transfer *transfer = work->transfer;
    const char *id = sk_json_member_text(work->json, "id");
    struct hub_import_note note = error_note(transfer, true, work->line, SK_NONE, &texts);
    json_t *error = json_pack("{s:s,s:s,s:s,s:s}", "configurationId", id ? id : "", "errorCode",
                              code, "errorStatus", why, "operation", MODE);
    hub_import_failed(transfer->hub, &note, error);
    json_decref(error);
    next_line(work);
}

static void put_answered(struct sk_request *request, const struct sk_answer *answer) {
    struct configurations_work *work = SK_CONTAINER(request, struct configurations_work, request);
    if (!goes_on(work)) return;
    if (answer->error)
        fail_line(work, sk_fault_kind(answer->error->fault)->name, sk_error_text(answer->error));
    else
        next_line(work);
}

static bool same(const json_t *a, const json_t *b, const char *member) {
    const json_t *of_a = json_object_get(a, member), *of_b = json_object_get(b, member);
    return json_is_null(of_a) || of_a == NULL || json_equal(of_a, of_b);
}

/* All that the line says is so: it was done before the hub fell, or somebody did the same. */
static bool is_so(const json_t *line, const json_t *now) {
    static const char *const members[] = {"schemaVersion", "labels", "priority", "targetCondition",
                                          "content"};
    bool fine = same(json_object_get(line, "metrics"), json_object_get(now, "metrics"), "queries");
    for (size_t i = 0; fine && i < sizeof members / sizeof *members; i++)
        fine = same(line, now, members[i]);
    return fine;
}

static void got_now(struct sk_request *request, const struct sk_answer *answer) {
    struct configurations_work *work = SK_CONTAINER(request, struct configurations_work, request);
    const char *etag = sk_json_member_text(work->json, "etag");
    bool is_there = answer->error == NULL;
    if (!goes_on(work)) return;
    if (is_there && is_so(work->json, answer->document)) {
        next_line(work);
        return;
    }
    work->request.if_match = SK_NONE;
    if (is_there) work->request.if_match = etag ? sk_span_z(etag) : SK_SPAN("*");
    work->request.body = work->json;
    ask(work, SK_OP_CONFIGURATION_PUT, put_answered);
}

static void take_line(struct configurations_work *work, struct sk_span line) {
    json_error_t why;
    char text[256];
    work->line++;
    line = sk_span_trim(line);
    work->json = line.n ? sk_json_load(line, JSON_REJECT_DUPLICATES, &why) : json_null();
    const char *id = sk_json_member_text(work->json, "id"),
               *mode = sk_json_member_text(work->json, "importMode");
    if (line.n == 0) {
        next_line(work);
    } else if (!json_is_object(work->json)) {
        snprintf(text, sizeof text, "line %llu: %.180s", (unsigned long long)work->line,
                 work->json ? "it is not a JSON object" : why.text);
        fail_line(work, "DeserializationError", text);
    } else if (id == NULL || id[0] == 0) {
        fail_line(work, "ArgumentInvalid", "id is missing");
    } else if (mode && !sk_span_eq_nocase(sk_span_z(mode), SK_SPAN(MODE))) {
        fail_line(work, "ArgumentInvalid", "the importMode of a configuration is " MODE);
    } else {
        work->request = (struct sk_request){.name = sk_span_z(id)};
        ask(work, SK_OP_CONFIGURATION_GET, got_now);
    }
}

static const char *reason_of(enum sk_status status) {
    switch (status) {
    case SK_CLOSED: return NULL;
    case SK_TOO_LARGE: return "a line of the configurations is longer than 1 MB";
    case SK_NOT_FOUND: return "there is no such blob of configurations to import";
    default: return "the blob of configurations cannot be read";
    }
}

static void run(struct configurations_work *work) {
    struct sk_span line;
    if (work->transfer == NULL || work->asking || work->json || work->lines.reader == NULL) return;
    enum sk_status status = place_next_line(&work->lines, LINE_MAX_SIZE, &line);
    if (status == SK_OK)
        take_line(work, line);
    else if (status != SK_AGAIN)
        work->done(work->arg, reason_of(status));
}

static void readable(void *arg) {
    run(arg);
}

static struct configurations_work *new_work(struct transfer *transfer, transfer_done *done,
                                            void *arg) {
    struct configurations_work *work = SK_NEW(struct configurations_work);
    work->transfer = transfer;
    work->done = done;
    work->arg = arg;
    return work;
}

static struct sk_span blob_of(const struct transfer *transfer) {
    return transfer_blob(transfer, "configurationsBlobName", "configurations.txt");
}

struct configurations_work *configurations_import(struct transfer *transfer, transfer_done *done,
                                                  void *arg) {
    struct configurations_work *work = new_work(transfer, done, arg);
    work->lines.reader =
        place_read(transfer->hub, transfer->input, blob_of(transfer), 0, readable, work);
    return work;
}

/* ---- export ---- */

static void moved(void *arg) {
    struct configurations_work *work = arg;
    if (place_write_status(work->writer) != SK_AGAIN)
        work->done(work->arg, place_write_reason(work->writer));
}

/* All of them at once: there are 200 at most. */
static void got_all(struct sk_request *request, const struct sk_answer *answer) {
    struct configurations_work *work = SK_CONTAINER(request, struct configurations_work, request);
    size_t i;
    json_t *one;
    if (!goes_on(work)) return;
    if (answer->error) {
        work->done(work->arg, sk_error_text(answer->error));
        return;
    }
    json_t *all = sk_json_load(answer->text, 0, NULL);
    json_array_foreach(all, i, one) {
        struct sk_buffer text = {0};
        json_object_set_new(one, "importMode", json_string(MODE));
        sk_json_put(&text, one, 0);
        sk_buffer_byte(&text, '\n');
        place_write_part(work->writer, sk_buffer_span(&text));
        sk_buffer_free(&text);
    }
    json_decref(all);
    place_write_end(work->writer);
}

static void begin_export(struct sk_task *task) {
    struct configurations_work *work = SK_CONTAINER(task, struct configurations_work, again);
    work->request = (struct sk_request){.max = LISTED_MAX};
    ask(work, SK_OP_CONFIGURATION_LIST, got_all);
}

struct configurations_work *configurations_export(struct transfer *transfer, transfer_done *done,
                                                  void *arg) {
    struct configurations_work *work = new_work(transfer, done, arg);
    work->writer = place_write(transfer->hub, transfer->output, blob_of(transfer), moved, work);
    sk_io_defer(transfer->hub->backend.io, &work->again, begin_export);
    return work;
}
