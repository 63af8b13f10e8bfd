#include "edge/agent/process_log.h"

#include <stdio.h>

enum {
    LOG_MAX = 8 * 1024 * 1024,
    LOG_KEPT = 1024 * 1024,
    FOLLOW_PART = 64 * 1024,
};
static const uint64_t FOLLOW_NS = 500 * SK_MS;

void process_log_path(const char *data, const char *name, const char *suffix, char to[512]) {
    snprintf(to, 512, "%s/logs/%s%s", data, name, suffix);
}

/* ---- reading ---- */

struct process_log {
    struct sk_module_log log;
    struct sk_io *io;
    char path[512];
    uint64_t at; /* read so far */
    struct sk_log_frames lines;
    struct sk_task begin;
    struct sk_timer again;
};

static void close_log(struct sk_module_log *log) {
    struct process_log *reader = SK_CONTAINER(log, struct process_log, log);
    sk_io_undefer(&reader->begin);
    sk_timer_stop(&reader->again);
    sk_buffer_free(&reader->lines.line);
    free(reader);
}

static void end_log(struct process_log *reader, enum sk_status status) {
    struct sk_log_ask ask = reader->log.ask;
    close_log(&reader->log);
    ask.done(ask.arg, status, status ? sk_status_text(status) : "");
}

static void take_line(void *arg, enum sk_log_stream stream, struct sk_span text) {
    struct process_log *reader = arg;
    (void)stream; /* both are one file */
    sk_module_log_take(&reader->log, &(struct sk_log_line){.text = text});
}

/* Reads up to `max` bytes from where we are. A file that has been cut begins anew. */
static enum sk_status read_on(struct process_log *reader, size_t max, struct sk_buffer *to) {
    struct sk_file *file;
    size_t got = 0;
    enum sk_status status = sk_file_open(reader->io, reader->path, SK_FILE_READ, &file);
    if (status) return status == SK_NOT_FOUND ? SK_OK : status; /* nothing was written yet */
    uint64_t size = sk_file_size(file);
    if (size < reader->at) reader->at = 0;
    if (size - reader->at < max) max = (size_t)(size - reader->at);
    char *place = sk_buffer_reserve(to, max + 1);
    status = sk_file_read(file, reader->at, place, max, &got);
    if (!status) to->n += got;
    reader->at += got;
    sk_file_close(file);
    return status;
}

static void follow(struct sk_timer *timer) {
    struct process_log *reader = SK_CONTAINER(timer, struct process_log, again);
    struct sk_buffer part = {0};
    enum sk_status status = read_on(reader, FOLLOW_PART, &part);
    sk_timer_start(reader->io, timer, part.n == FOLLOW_PART ? 0 : FOLLOW_NS, follow);
    if (!status) /* the last deed: whoever gets a line may close the reader */
        sk_log_frames_feed(&reader->lines, sk_buffer_span(&part), take_line, reader);
    sk_buffer_free(&part);
}

/* Where the last `tail` lines begin; 0: all of them. */
static size_t find_tail(struct sk_span text, unsigned tail) {
    size_t from = tail ? text.n : 0, lines = 0;
    while (from > 0 && !(text.p[from - 1] == '\n' && from < text.n && ++lines == tail)) from--;
    return from;
}

static void begin(struct sk_task *task) {
    struct process_log *reader = SK_CONTAINER(task, struct process_log, begin);
    struct sk_file *file;
    struct sk_buffer text = {0};
    enum sk_status status = sk_file_open(reader->io, reader->path, SK_FILE_READ, &file);
    if (!status) {
        uint64_t size = sk_file_size(file);
        reader->at = size > LOG_KEPT ? size - LOG_KEPT : 0;
        sk_file_close(file);
        status = read_on(reader, LOG_KEPT, &text);
    }
    if (status == SK_NOT_FOUND) status = SK_OK;
    if (!status) {
        struct sk_span all = sk_buffer_span(&text);
        sk_log_frames_feed(&reader->lines, sk_span_skip(all, find_tail(all, reader->log.ask.tail)),
                           take_line, reader);
    }
    sk_buffer_free(&text);
    if (!status && reader->log.ask.follow) {
        sk_timer_start(reader->io, &reader->again, FOLLOW_NS, follow);
        return;
    }
    sk_log_frames_end(&reader->lines, take_line, reader);
    end_log(reader, status);
}

struct sk_module_log *process_log_open(struct sk_io *io, const char *path,
                                       const struct sk_log_ask *ask) {
    struct process_log *reader = SK_NEW(struct process_log);
    reader->io = io;
    reader->log = (struct sk_module_log){.ask = *ask, .close = close_log};
    reader->lines.bare = true;
    snprintf(reader->path, sizeof reader->path, "%s", path);
    sk_io_defer(io, &reader->begin, begin);
    return &reader->log;
}

/* ---- rotation ---- */

void process_log_check(struct sk_io *io, const char *data, const char *name) {
    struct process_log end = {.io = io};
    char kept[512];
    struct sk_buffer text = {0};
    struct sk_file *file;
    process_log_path(data, name, ".log", end.path);
    process_log_path(data, name, ".log.1", kept);
    if (sk_file_open(io, end.path, SK_FILE_READ, &file)) return;
    uint64_t size = sk_file_size(file);
    sk_file_close(file);
    if (size <= LOG_MAX) return;
    end.at = size - LOG_KEPT;
    if (!read_on(&end, LOG_KEPT, &text) && !sk_file_save(io, kept, sk_buffer_span(&text), 0644) &&
        !sk_file_open(io, end.path, SK_FILE_CREATE, &file)) {
        sk_file_truncate(file, 0);
        sk_file_close(file);
    }
    sk_buffer_free(&text);
}
