/* Import: a line each, so many at a time that the registry's transactions are full; what could not
 * be done is a line of the log in the output container. */
#include <stdio.h>

#include "hub/transfers/parts.h"
#include "model/json_text.h"

enum { CHUNK = 64 * 1024, LINE_MAX_SIZE = 256 * 1024, UNDER_WAY_MAX = 1000 };
#define ERRORS SK_SPAN("importErrors.log")

struct importing {
    struct transfer *transfer; /* NULL: it stops with what is under way */
    struct hub_blob_reader *reader;
    struct hub_blob_writer *errors; /* NULL: there were none yet */
    struct sk_buffer text;          /* read, and not yet taken */
    size_t taken;                   /* of the text */
    uint64_t read, lines;
    unsigned under_way;
    bool opening, at_end, ending, running;
    bool held; /* the log has no room */
    struct sk_task again;
};

static void run(struct importing *m);
static void run_again(struct sk_task *task);

static void free_importing(struct importing *m) {
    if (m->under_way || m->opening || m->running) return;
    sk_buffer_free(&m->text);
    free(m);
}

static void stop(void *work) {
    struct importing *m = work;
    m->transfer = NULL;
    sk_io_undefer(&m->again);
    if (m->reader) hub_blob_read_free(m->reader);
    if (m->errors) hub_blob_write_free(m->errors);
    m->reader = NULL;
    m->errors = NULL;
    free_importing(m);
}

/* ---- the log of what could not be done ---- */

static void moved(void *arg) {
    struct importing *m = arg;
    enum sk_status status = hub_blob_write_status(m->errors);
    m->held = false;
    if (m->ending && status != SK_AGAIN)
        transfer_end(m->transfer, status ? "the log of errors could not be written" : NULL);
    else if (!m->ending)
        run(m);
}

static void put_error(struct importing *m, const json_t *error) {
    struct sk_buffer text = {0};
    struct transfer *transfer = m->transfer;
    if (m->errors == NULL)
        m->errors = hub_blob_write(transfer->hub, sk_span_z(transfer->output), ERRORS, moved, m);
    sk_json_put(&text, error, 0);
    sk_buffer_byte(&text, '\n');
    if (!hub_blob_write_part(m->errors, sk_buffer_span(&text))) m->held = true;
    sk_buffer_free(&text);
}

static void bad_line(struct importing *m, const char *why) {
    char text[256];
    snprintf(text, sizeof text, "line %llu: %.180s", (unsigned long long)m->lines, why);
    json_t *error = json_pack("{s:s,s:s,s:s}", "deviceId", "", "errorCode", "DeserializationError",
                              "errorStatus", text);
    put_error(m, error);
    json_decref(error);
}

/* ---- lines ---- */

static void line_done(void *arg, json_t *error, json_t *warning) {
    struct importing *m = arg;
    m->under_way--;
    if (m->transfer == NULL) {
        free_importing(m);
        return;
    }
    if (error) put_error(m, error);
    if (warning) put_error(m, warning);
    if (!m->running && m->under_way < UNDER_WAY_MAX / 2)
        sk_io_defer(m->transfer->hub->backend.io, &m->again, run_again);
}

static void take_line(struct importing *m, struct sk_span line) {
    json_error_t why;
    m->lines++;
    line = sk_span_trim(line);
    if (line.n == 0) return;
    json_t *json = sk_json_load(line, JSON_REJECT_DUPLICATES, &why);
    if (json_is_object(json)) {
        m->under_way++;
        hub_import(m->transfer->hub, json, line_done, m);
    } else {
        bad_line(m, json ? "it is not a JSON object" : why.text);
        json_decref(json);
    }
}

/* More of the file behind what is there. False: it cannot be read. */
static bool read_more(struct importing *m) {
    size_t got = 0;
    sk_buffer_consume(&m->text, m->taken);
    m->taken = 0;
    char *to = sk_buffer_reserve(&m->text, CHUNK);
    if (hub_blob_read_part(m->reader, to, CHUNK, &got)) return false;
    m->text.n += got;
    m->read += got;
    m->at_end = got == 0;
    transfer_progress(m->transfer, m->read, hub_blob_read_size(m->reader));
    return true;
}

/* The next line, where it is whole; the last may lack its end. */
static bool next_line(struct importing *m, struct sk_span *line) {
    struct sk_span rest = sk_span_skip(sk_buffer_span(&m->text), m->taken);
    size_t end = sk_span_find(rest, '\n');
    if (end == rest.n && (!m->at_end || rest.n == 0)) return false;
    *line = sk_span_first(rest, end);
    m->taken += end < rest.n ? end + 1 : end;
    return true;
}

static void end_well(struct importing *m) {
    m->ending = true;
    if (m->errors)
        hub_blob_write_end(m->errors);
    else
        transfer_end(m->transfer, NULL);
}

static void run_again(struct sk_task *task) {
    run(SK_CONTAINER(task, struct importing, again));
}

/* As much as a turn may take, and as may be under way. */
static void take_lines(struct importing *m) {
    struct sk_share share;
    struct sk_span line;
    sk_share_begin(&share, m->transfer->hub->backend.io);
    while (m->under_way < UNDER_WAY_MAX && !m->held) {
        if (!sk_share_go_on(&share, 4)) {
            sk_io_yield(m->transfer->hub->backend.io, &m->again, run_again);
            return;
        }
        if (next_line(m, &line)) {
            take_line(m, line);
        } else if (m->at_end) {
            if (m->under_way == 0) end_well(m);
            return;
        } else if (m->text.n - m->taken > LINE_MAX_SIZE) {
            transfer_end(m->transfer, "a line is longer than 256 KB");
            return;
        } else if (!read_more(m)) {
            transfer_end(m->transfer, "the blob cannot be read");
            return;
        }
    }
}

static void run(struct importing *m) {
    if (m->running || m->transfer == NULL || m->reader == NULL) return;
    m->running = true;
    take_lines(m);
    m->running = false;
    if (m->transfer == NULL) free_importing(m);
}

static void opened(void *arg, enum sk_status status, struct hub_blob_reader *reader) {
    struct importing *m = arg;
    m->opening = false;
    if (m->transfer == NULL) {
        if (reader) hub_blob_read_free(reader);
        free_importing(m);
        return;
    }
    m->reader = reader;
    if (status)
        transfer_end(m->transfer, status == SK_NOT_FOUND ? "there is no such blob to import"
                                                         : sk_status_text(status));
    else
        run(m);
}

static void *start(struct transfer *transfer) {
    struct importing *m = SK_NEW(struct importing);
    m->transfer = transfer;
    m->opening = true;
    hub_blob_read(transfer->hub, sk_span_z(transfer->input),
                  transfer_blob(transfer, "inputBlobName"), opened, m);
    return m;
}

const struct transfer_kind transfer_import = {"import", start, stop};
