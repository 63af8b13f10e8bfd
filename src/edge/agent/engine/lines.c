#include "edge/agent/engine/lines.h"

#include "model/json_text.h"

/* ---- documents ---- */

void sk_json_lines_free(struct sk_json_lines *lines) {
    sk_buffer_free(&lines->line);
}

void sk_json_lines_feed(struct sk_json_lines *lines, struct sk_span bytes,
                        bool (*each)(void *arg, const json_t *json), void *arg) {
    while (bytes.n) {
        size_t end = sk_span_find(bytes, '\n');
        struct sk_span part = sk_span_first(bytes, end);
        bool whole = end < bytes.n;
        bytes = sk_span_skip(bytes, whole ? end + 1 : end);
        if (lines->line.n + part.n > SK_ENGINE_LINE_MAX) lines->drops = true;
        if (!lines->drops) sk_buffer_append(&lines->line, part);
        if (!whole) return;
        json_t *json = lines->drops ? NULL : sk_json_load(sk_buffer_span(&lines->line), 0, NULL);
        lines->line.n = 0;
        lines->drops = false;
        bool go_on = !json_is_object(json) || each(arg, json);
        json_decref(json);
        if (!go_on) return;
    }
}

/* ---- logs ---- */

typedef void line_fn(void *arg, enum sk_log_stream stream, struct sk_span line);

static void take_text(struct sk_log_frames *frames, struct sk_span text, line_fn *each, void *arg) {
    while (text.n) {
        size_t end = sk_span_find(text, '\n');
        struct sk_span part = sk_span_first(text, end);
        bool whole = end < text.n;
        text = sk_span_skip(text, whole ? end + 1 : end);
        size_t room = SK_ENGINE_LINE_MAX - frames->line.n;
        sk_buffer_append(&frames->line, sk_span_first(part, room));
        if (!whole) return;
        if (frames->line.n && frames->line.p[frames->line.n - 1] == '\r') frames->line.n--;
        each(arg, frames->stream, sk_buffer_span(&frames->line));
        frames->line.n = 0;
    }
}

/* A line that the other stream has begun ends where this one's frame begins. */
static void take_head(struct sk_log_frames *frames, line_fn *each, void *arg) {
    const unsigned char *h = frames->head;
    enum sk_log_stream stream = h[0] == 2 ? SK_LOG_STDERR : SK_LOG_STDOUT;
    frames->head_n = 0;
    frames->left = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7];
    if (stream != frames->stream && frames->line.n) {
        each(arg, frames->stream, sk_buffer_span(&frames->line));
        frames->line.n = 0;
    }
    frames->stream = stream;
}

enum sk_status sk_log_frames_feed(struct sk_log_frames *frames, struct sk_span bytes, line_fn *each,
                                  void *arg) {
    while (bytes.n) {
        if (frames->bare) {
            take_text(frames, bytes, each, arg);
            return SK_OK;
        }
        if (frames->left) {
            struct sk_span text = sk_span_first(bytes, frames->left);
            frames->left -= (uint32_t)text.n;
            bytes = sk_span_skip(bytes, text.n);
            take_text(frames, text, each, arg);
            continue;
        }
        frames->head[frames->head_n++] = (unsigned char)*bytes.p;
        bytes = sk_span_skip(bytes, 1);
        if (frames->head_n == 1 && frames->head[0] > 2) return SK_MALFORMED;
        if (frames->head_n > 1 && frames->head_n < 5 && frames->head[frames->head_n - 1])
            return SK_MALFORMED;
        if (frames->head_n == sizeof frames->head) take_head(frames, each, arg);
    }
    return SK_OK;
}

void sk_log_frames_end(struct sk_log_frames *frames, line_fn *each, void *arg) {
    if (frames->line.n) each(arg, frames->stream, sk_buffer_span(&frames->line));
    sk_buffer_free(&frames->line);
}
