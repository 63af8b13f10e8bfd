#include "edge/agent/container_log.h"

#include <stdio.h>

#include "edge/agent/containers.h"

enum { SILENCE_MS = 30000, SECOND_US = 1000000 };

struct container_log {
    struct sk_module_log log;
    struct sk_engine_call *call;
    struct sk_log_frames frames;
};

static void close_log(struct sk_module_log *log) {
    struct container_log *reader = SK_CONTAINER(log, struct container_log, log);
    sk_engine_cancel(reader->call);
    sk_buffer_free(&reader->frames.line);
    free(reader);
}

/* Each line begins with the engine's own time. */
static void take_line(void *arg, enum sk_log_stream stream, struct sk_span text) {
    struct container_log *reader = arg;
    struct sk_log_line line = {.text = text, .stream = stream};
    size_t end = sk_span_find(text, ' ');
    if (sk_time_parse(sk_span_first(text, end), &line.time_us) == SK_OK)
        line.text = sk_span_skip(text, end + 1);
    else
        line.time_us = 0;
    sk_module_log_take(&reader->log, &line);
}

static void on_part(void *arg, struct sk_span bytes) {
    struct container_log *reader = arg;
    if (sk_log_frames_feed(&reader->frames, bytes, take_line, reader) == SK_OK) return;
    /* What is no frame: the container has a terminal after all. */
    reader->frames.bare = true;
    reader->frames.head_n = 0;
    sk_log_frames_feed(&reader->frames, bytes, take_line, reader);
}

static void on_end(void *arg, const struct sk_engine_answer *answer) {
    struct container_log *reader = arg;
    struct sk_log_ask ask = reader->log.ask;
    reader->call = NULL;
    sk_log_frames_end(&reader->frames, take_line, reader);
    close_log(&reader->log);
    ask.done(ask.arg, answer->status, answer->why);
}

struct sk_module_log *container_log(struct module *module, const struct sk_log_ask *ask,
                                    const char **why) {
    const struct container *container = module->own;
    char target[320];
    if (container == NULL || !containers_up(module->world->containers)) {
        *why = "The container engine does not answer, or the container has not been made yet.";
        return NULL;
    }
    struct container_log *reader = SK_NEW(struct container_log);
    reader->log = (struct sk_module_log){.ask = *ask, .close = close_log};
    reader->frames.bare = container->terminal;
    int n = snprintf(target, sizeof target,
                     "/containers/%.128s/logs?stdout=true&stderr=true&timestamps=true&follow=%s",
                     module->spec.name, ask->follow ? "true" : "false");
    if (ask->tail) n += snprintf(target + n, sizeof target - (size_t)n, "&tail=%u", ask->tail);
    if (ask->since_us)
        n += snprintf(target + n, sizeof target - (size_t)n, "&since=%lld",
                      (long long)(ask->since_us / SECOND_US));
    if (ask->until_us)
        snprintf(target + n, sizeof target - (size_t)n, "&until=%lld",
                 (long long)(ask->until_us / SECOND_US) + 1);
    reader->call =
        sk_engine_stream(module->world->containers->engine,
                         &(struct sk_engine_stream){.method = SK_HTTP_GET,
                                                    .target = target,
                                                    .silence_ms = ask->follow ? 0 : SILENCE_MS,
                                                    .part = on_part,
                                                    .done = on_end,
                                                    .arg = reader});
    return &reader->log;
}
