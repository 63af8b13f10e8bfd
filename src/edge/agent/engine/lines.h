/* What an engine streams, taken apart: JSON documents of a line each, and the frames of logs.
 *
 * Pure. Bytes in, lines out; what is longer than a line may be is cut (frames) or dropped (JSON),
 * so memory is bounded whatever comes. */
#ifndef SK_EDGE_AGENT_ENGINE_LINES_H
#define SK_EDGE_AGENT_ENGINE_LINES_H

#include <jansson.h>

#include "base/base.h"

#define SK_ENGINE_LINE_MAX 65536u

/* Documents, a line each. Zeroed is ready. */
struct sk_json_lines {
    struct sk_buffer line;
    bool drops; /* the line is too long: up to its end nothing counts */
};
/* Calls `each` with every whole object that has come; what is none is left out. `each` returns
 * false to end it, after which the lines may be gone. */
void sk_json_lines_feed(struct sk_json_lines *lines, struct sk_span bytes,
                        bool (*each)(void *arg, const json_t *json), void *arg);
void sk_json_lines_free(struct sk_json_lines *lines);

enum sk_log_stream { SK_LOG_STDOUT, SK_LOG_STDERR };

/* A container's log: frames of 8 bytes (stream, 0, 0, 0, length big-endian) and their text, or bare
 * text where the container has a terminal. Zeroed is ready. */
struct sk_log_frames {
    bool bare; /* the container has a terminal: there are no frames */
    unsigned char head[8];
    unsigned head_n;
    uint32_t left; /* of the frame's text */
    enum sk_log_stream stream;
    struct sk_buffer line;
};
/* Calls `each` with every whole line, without its end. Lines are cut at SK_ENGINE_LINE_MAX bytes.
 * SK_MALFORMED: this is no log. */
enum sk_status sk_log_frames_feed(struct sk_log_frames *frames, struct sk_span bytes,
                                  void (*each)(void *arg, enum sk_log_stream stream,
                                               struct sk_span line),
                                  void *arg);
/* The last line, where it has no end; and gives back the memory. */
void sk_log_frames_end(struct sk_log_frames *frames,
                       void (*each)(void *arg, enum sk_log_stream stream, struct sk_span line),
                       void *arg);

#endif
