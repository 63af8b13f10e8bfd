/* Import: a line each, so many at a time that the registry's transactions are full. With each line
 * the registry stores how far it is, so whoever goes on begins behind the last that was done; and
 * what it could not do, which becomes a blob at the end. */
#include <stdio.h>

#include "hub/transfers/parts.h"
#include "model/json_text.h"

enum { LINE_MAX_SIZE = 256 * 1024, UNDER_WAY_MAX = 1000 };

struct importing {
    struct transfer *transfer; /* NULL: it stops with what is under way */
    struct place_lines lines;
    struct configurations_work *configurations;
    struct errors_work *errors;
    uint64_t line; /* the number of the last that was taken */
    char *etag;    /* of the blob then; NULL: it is the beginning */
    unsigned under_way;
    bool asking, running, ended; /* ended: all lines are done */
    struct sk_task again;
};

static void run(struct importing *m);
static void run_again(struct sk_task *task);

static void free_importing(struct importing *m) {
    if (m->under_way || m->asking || m->running) return;
    free(m->etag);
    free(m);
}

static void stop(void *work) {
    struct importing *m = work;
    m->transfer = NULL;
    sk_io_undefer(&m->again);
    place_lines_free(&m->lines);
    configurations_work_free(m->configurations);
    errors_work_free(m->errors);
    free_importing(m);
}

/* ---- behind the identities ---- */

static void errors_written(void *arg, const char *reason) {
    struct importing *m = arg;
    transfer_end(m->transfer, reason);
}

static void write_errors(struct importing *m) {
    m->errors = errors_write(m->transfer, errors_written, m);
}

static void configurations_done(void *arg, const char *reason) {
    struct importing *m = arg;
    if (reason)
        transfer_end(m->transfer, reason);
    else
        write_errors(m);
}

static void end_lines(struct importing *m) {
    m->ended = true;
    if (m->transfer->configurations)
        m->configurations = configurations_import(m->transfer, configurations_done, m);
    else
        write_errors(m);
}

/* ---- lines ---- */

/* A failure that is not the line's: nothing of it is stored. */
static const char *fatal(enum sk_status status) {
    if (status == SK_NO_SPACE) return "the hub's disk is full";
    return status == SK_IO ? "the registry cannot be written" : NULL;
}

static void line_done(void *arg, enum sk_status status, json_t *error, json_t *warning) {
    struct importing *m = arg;
    (void)error, (void)warning; /* they are noted */
    m->under_way--;
    if (m->transfer == NULL)
        free_importing(m);
    else if (fatal(status))
        transfer_end(m->transfer, fatal(status));
    else if (!m->running && m->under_way < UNDER_WAY_MAX / 2)
        sk_io_defer(m->transfer->hub->backend.io, &m->again, run_again);
}

static void bad_line(struct importing *m, const struct hub_import_note *note, const char *why) {
    char text[256];
    snprintf(text, sizeof text, "line %llu: %.180s", (unsigned long long)m->line, why);
    json_t *error = json_pack("{s:s,s:s,s:s}", "deviceId", "", "errorCode", "DeserializationError",
                              "errorStatus", text);
    hub_import_failed(m->transfer->hub, note, error);
    json_decref(error);
}

static void take_line(struct importing *m, struct sk_span line) {
    struct error_texts texts;
    json_error_t why;
    char progress[128];
    struct sk_span etag = place_read_etag(m->lines.reader);
    m->line++;
    line = sk_span_trim(line);
    if (line.n == 0) return;
    snprintf(progress, sizeof progress, "%llu %llu %.*s",
             (unsigned long long)place_lines_read(&m->lines), (unsigned long long)m->line,
             SK_ARG(etag));
    struct hub_import_note note =
        error_note(m->transfer, false, m->line, sk_span_z(progress), &texts);
    json_t *json = sk_json_load(line, JSON_REJECT_DUPLICATES, &why);
    if (json_is_object(json)) {
        m->under_way++;
        hub_import(m->transfer->hub, json, &note, line_done, m);
    } else {
        bad_line(m, &note, json ? "it is not a JSON object" : why.text);
        json_decref(json);
    }
}

static void run_again(struct sk_task *task) {
    run(SK_CONTAINER(task, struct importing, again));
}

/* What the end of the lines means; NULL: it is the end of the blob. */
static const char *reason_of(enum sk_status status) {
    switch (status) {
    case SK_CLOSED: return NULL;
    case SK_TOO_LARGE: return "a line is longer than 256 KB";
    case SK_NOT_FOUND: return "there is no such blob to import";
    default: return "the blob cannot be read";
    }
}

/* It is the blob that it was when the hub fell. */
static bool is_same(const struct importing *m) {
    return m->etag == NULL || sk_span_is(place_read_etag(m->lines.reader), m->etag);
}

/* As much as a turn may take, and as may be under way. */
static void take_lines(struct importing *m) {
    struct sk_share share;
    struct sk_span line;
    struct transfer *transfer = m->transfer;
    sk_share_begin(&share, transfer->hub->backend.io);
    while (m->under_way < UNDER_WAY_MAX) {
        if (!sk_share_go_on(&share, 4)) {
            sk_io_yield(transfer->hub->backend.io, &m->again, run_again);
            return;
        }
        enum sk_status status = place_next_line(&m->lines, LINE_MAX_SIZE, &line);
        if (status == SK_AGAIN) return;
        if (status != SK_OK && status != SK_CLOSED) {
            transfer_end(transfer, reason_of(status));
        } else if (!is_same(m)) {
            transfer_end(transfer, "the blob was replaced while the hub was down");
        } else if (status == SK_OK) {
            take_line(m, line);
            transfer_progress(transfer, place_lines_read(&m->lines),
                              place_read_size(m->lines.reader));
        } else if (m->under_way == 0) {
            end_lines(m);
        }
        if (status || m->transfer == NULL) return;
    }
}

static void run(struct importing *m) {
    if (m->running || m->ended || m->transfer == NULL || m->lines.reader == NULL) return;
    m->running = true;
    take_lines(m);
    m->running = false;
    if (m->transfer == NULL) free_importing(m);
}

static void moved(void *arg) {
    run(arg);
}

static void got_progress(void *arg, const struct sk_registry_end *end,
                         const struct sk_registry_document *document) {
    struct importing *m = arg;
    unsigned long long at = 0, line = 0;
    char etag[64] = "";
    m->asking = false;
    if (m->transfer == NULL) {
        free_importing(m);
        return;
    }
    if (end->status && end->status != SK_NOT_FOUND) {
        transfer_end(m->transfer, sk_status_text(end->status));
        return;
    }
    if (document) {
        SK_CLEANUP_FREE char *text = sk_span_dup(document->bytes);
        if (sscanf(text, "%llu %llu %63s", &at, &line, etag) == 3) m->etag = sk_text_dup(etag);
    }
    m->line = line;
    m->lines.base = at;
    m->lines.reader =
        place_read(m->transfer->hub, m->transfer->input,
                   transfer_blob(m->transfer, "inputBlobName", "devices.txt"), at, moved, m);
}

static void *start(struct transfer *transfer) {
    struct importing *m = SK_NEW(struct importing);
    m->transfer = transfer;
    m->asking = true;
    sk_registry_document_get(transfer->hub->registry, TRANSFER_PROGRESS,
                             transfer_text(transfer, "jobId"), got_progress, m);
    return m;
}

const struct transfer_kind transfer_import = {"import", start, stop};
