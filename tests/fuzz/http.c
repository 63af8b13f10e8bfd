/* A stream of requests (or of responses) gives the same events however it is cut. The first byte of
 * the input chooses the side and the way of cutting. */
#include <stdlib.h>

#include "wire/http_router.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BODY_MAX = 100 };

/* Everything that was seen, as text. */
static enum sk_status feed(struct sk_span bytes, bool request, bool stream, size_t step,
                           struct sk_buffer *seen) {
    struct sk_http_parser parser;
    enum sk_status status = SK_OK;
    enum sk_http_event event = SK_HTTP_MORE;
    sk_http_parser_init(&parser, request);
    while (bytes.n && status == SK_OK) {
        struct sk_span part = sk_span_first(bytes, step);
        bytes = sk_span_skip(bytes, part.n);
        while (part.n && status == SK_OK) {
            size_t used;
            status = sk_http_feed(&parser, part, &used, &event);
            if (status) break;
            if (used > part.n || (event == SK_HTTP_MORE && used != part.n)) abort();
            part = sk_span_skip(part, used);
            if (event == SK_HTTP_HEADERS) {
                parser.body_max = BODY_MAX;
                parser.stream = stream;
            }
            if (event == SK_HTTP_BODY || event == SK_HTTP_MESSAGE)
                sk_buffer_append(seen, sk_buffer_span(&parser.body));
            if (event != SK_HTTP_MESSAGE) continue;
            struct sk_span name, value;
            sk_buffer_print(seen, "\n%u %u %.*s %d%d\n", parser.method, parser.status,
                            SK_ARG(parser.target), parser.keep_alive, parser.upgrade);
            for (unsigned i = 0; sk_http_header_at(&parser, i, &name, &value); i++)
                sk_buffer_print(seen, "%.*s=%.*s\n", SK_ARG(name), SK_ARG(value));
            if (parser.upgrade || !parser.keep_alive) {
                sk_buffer_append(seen, part); /* what follows is not ours */
                sk_buffer_append(seen, bytes);
                part = bytes = SK_NONE;
            }
        }
    }
    if (status == SK_OK && !request && sk_http_finish(&parser, &event) == SK_OK &&
        event == SK_HTTP_MESSAGE)
        sk_buffer_append(seen, sk_buffer_span(&parser.body));
    if (status && sk_http_refusal(&parser) < 400) abort();
    sk_http_parser_free(&parser);
    return status;
}

static void route(struct sk_span path) {
    static const struct sk_http_route table[] = {{SK_HTTP_GET, "/devices/{}", 1},
                                                 {SK_HTTP_GET, "/devices/{}/modules/{}", 2},
                                                 {SK_HTTP_PUT, "/$iothub/{}", 3}};
    struct sk_arena arena = {0};
    struct sk_http_match match;
    sk_http_route(table, 3, SK_HTTP_GET, path, &arena, &match);
    sk_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    bool request = data[0] & 1, stream = data[0] & 2;
    size_t step = 1 + (data[0] >> 2);
    struct sk_span bytes = sk_span(data + 1, size - 1);
    struct sk_buffer whole = {0}, parts = {0};
    enum sk_status status = feed(bytes, request, stream, SIZE_MAX, &whole);
    enum sk_status status_parts = feed(bytes, request, stream, step, &parts);
    /* Of two faults in one head either may be told. */
    if (!status != !status_parts) abort();
    /* A streamed body may have been handed out in part before the bytes that were refused. */
    if (!(stream && status) && !sk_span_eq(sk_buffer_span(&whole), sk_buffer_span(&parts))) abort();
    sk_buffer_free(&whole);
    sk_buffer_free(&parts);
    route(bytes);
    return 0;
}
