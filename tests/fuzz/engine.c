/* What a container engine says: documents of a line, frames of logs; and what a deployment says
 * about containers: names of images, createOptions. The first byte chooses. */
#include <stdlib.h>

#include "edge/agent/engine/create.h"
#include "edge/agent/engine/image.h"
#include "edge/agent/engine/lines.h"

static void on_line(void *arg, enum sk_log_stream stream, struct sk_span line) {
    (void)arg, (void)stream;
    SK_ASSERT(line.n <= SK_ENGINE_LINE_MAX);
}

static bool on_document(void *arg, const json_t *json) {
    (void)arg;
    return json_object_size(json) != 3;
}

static void read_streams(struct sk_span bytes) {
    struct sk_log_frames frames = {.bare = bytes.p[0] & 1};
    struct sk_json_lines lines = {0};
    size_t part = 1 + (unsigned char)bytes.p[0] / 2;
    for (struct sk_span rest = sk_span_skip(bytes, 1); rest.n; rest = sk_span_skip(rest, part)) {
        sk_json_lines_feed(&lines, sk_span_first(rest, part), on_document, NULL);
        if (sk_log_frames_feed(&frames, sk_span_first(rest, part), on_line, NULL)) break;
    }
    SK_ASSERT(frames.line.n <= SK_ENGINE_LINE_MAX && lines.line.n <= SK_ENGINE_LINE_MAX);
    sk_log_frames_end(&frames, on_line, NULL);
    sk_json_lines_free(&lines);
}

static void read_name(struct sk_span text) {
    struct sk_image_name name;
    struct sk_buffer asked = {0};
    if (sk_image_name_parse(text, &name) == SK_OK) {
        sk_image_name_put(&asked, &name, "parent");
        sk_image_is_at(&name, SK_SPAN("https://docker.io/v1"));
    }
    sk_buffer_free(&asked);
}

/* What is read can be made a body of, and what is put is read again. */
static void read_options(struct sk_span text) {
    json_t *settings = json_pack("{s:s%}", "createOptions", text.p, text.n), *options, *again;
    char why[SK_CREATE_WHY_MAX];
    if (settings && sk_create_options_read(settings, &options, why) == SK_OK) {
        static const char *const environment[] = {"A=b", NULL};
        json_decref(sk_container_body(&(struct sk_container_plan){.options = options,
                                                                  .image = "i",
                                                                  .environment = environment,
                                                                  .bind = "/a:/b",
                                                                  .network = "n",
                                                                  .gateway_host = "g",
                                                                  .gateway_address = "a"}));
        json_t *put = json_object();
        sk_create_options_put(put, options);
        if (text.n < 10000) {
            SK_ASSERT(sk_create_options_read(put, &again, why) == SK_OK);
            json_decref(again);
        }
        json_decref(put);
        json_decref(options);
    }
    json_decref(settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    struct sk_span rest = sk_span(data + 1, size - 1);
    switch (data[0] % 3) {
    case 0: read_streams(rest); break;
    case 1: read_name(rest); break;
    case 2: read_options(rest); break;
    }
    return 0;
}
