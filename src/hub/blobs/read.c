/* Get Blob and Get Blob Properties. */
#include <stdio.h>

#include "hub/blobs/parts.h"
#include "model/json_text.h"

enum { CHUNK = 64 * 1024 };

/* A blob on its way out. */
struct reading {
    struct blob_source source;
    struct sk_http_exchange *exchange;
    struct sk_task again;
};

static void send_more(struct reading *reading);

static void free_reading(struct reading *reading) {
    sk_io_undefer(&reading->again);
    blob_source_close(&reading->source);
    free(reading);
}

static void end(struct reading *reading) {
    struct sk_http_exchange *exchange = reading->exchange;
    free_reading(reading);
    sk_http_respond_end(exchange); /* what is not whole is cut */
}

static void gone(struct sk_http_exchange *exchange) {
    end(exchange->data);
}

static void drained(struct sk_http_exchange *exchange) {
    send_more(exchange->data);
}

static void send_again(struct sk_task *task) {
    send_more(SK_CONTAINER(task, struct reading, again));
}

static void send_more(struct reading *reading) {
    SK_CLEANUP_FREE char *chunk = sk_alloc(CHUNK);
    struct sk_share share;
    bool room = true;
    sk_share_begin(&share, reading->exchange->io);
    while (reading->source.left && room) {
        size_t n;
        if (!sk_share_go_on(&share, 64)) {
            sk_io_yield(reading->exchange->io, &reading->again, send_again);
            return;
        }
        if (blob_source_read(&reading->source, chunk, CHUNK, &n)) {
            SK_SELDOM(SK_LEVEL_ERROR, "blobs", "a blob's file cannot be read");
            break;
        }
        room = sk_http_respond_part(reading->exchange, sk_span(chunk, n));
    }
    if (room || reading->source.left == 0) end(reading);
}

/* ---- what is asked ---- */

struct range {
    uint64_t from, size;
    bool partial;
};

/* "bytes=a-b", "bytes=a-" or "bytes=-n"; other forms mean nothing. False: there are no such
 * bytes. */
static bool read_range(const struct sk_http_parser *http, uint64_t size, struct range *range) {
    struct sk_span text = sk_http_header(http, "x-ms-range");
    if (text.n == 0) text = sk_http_header(http, "Range");
    *range = (struct range){0, size, false};
    if (!sk_span_starts(text, SK_SPAN("bytes="))) return true;
    text = sk_span_skip(text, 6);
    size_t hyphen = sk_span_find(text, '-');
    struct sk_span first = sk_span_first(text, hyphen), last = sk_span_skip(text, hyphen + 1);
    int64_t a = 0, b = INT64_MAX;
    if ((first.n && sk_span_to_int(first, &a)) || (last.n && sk_span_to_int(last, &b)) || a < 0 ||
        b < 0 || hyphen == text.n)
        return true;
    if (first.n == 0) { /* the last b bytes */
        a = (uint64_t)b < size ? (int64_t)(size - (uint64_t)b) : 0;
        b = INT64_MAX;
    }
    if ((uint64_t)a >= size || b < a) return false;
    range->from = (uint64_t)a;
    range->size = ((uint64_t)b < size ? (uint64_t)b + 1 : size) - (uint64_t)a;
    range->partial = true;
    return true;
}

static struct sk_buffer headers_of(const struct blob_request *r, const json_t *record,
                                   const struct range *range, uint64_t size) {
    struct sk_buffer headers = blob_headers(r);
    blob_put_state(&headers, record);
    blob_put_properties(&headers, record);
    sk_http_put_header(&headers, "x-ms-blob-type", SK_SPAN("BlockBlob"));
    sk_http_put_header(&headers, "x-ms-lease-status", SK_SPAN("unlocked"));
    sk_http_put_header(&headers, "x-ms-lease-state", SK_SPAN("available"));
    sk_http_put_header(&headers, "x-ms-server-encrypted", SK_SPAN("false"));
    sk_http_put_header(&headers, "Accept-Ranges", SK_SPAN("bytes"));
    blob_put_time(&headers, "x-ms-creation-time",
                  json_integer_value(json_object_get(record, "modified")));
    if (range->partial)
        sk_buffer_print(
            &headers, "Content-Range: bytes %llu-%llu/%llu\r\n", (unsigned long long)range->from,
            (unsigned long long)(range->from + range->size - 1), (unsigned long long)size);
    return headers;
}

/* Goes to where the range begins. */
static void start(struct blob_request *r, json_t *record, const struct range *range,
                  struct sk_buffer *headers) {
    struct sk_http_exchange *exchange = r->exchange;
    struct reading *reading = SK_NEW(struct reading);
    reading->exchange = exchange;
    blob_source_open(&reading->source, r->blobs, record, range->from, range->size);
    exchange->data = reading;
    exchange->gone = gone;
    exchange->drained = drained;
    blob_answered(r, range->partial ? 206 : 200, BLOB_FINE);
    sk_http_respond_start_sized(exchange, range->partial ? 206 : 200, sk_buffer_span(headers),
                                range->size);
    if (exchange->request->method == SK_HTTP_HEAD) reading->source.left = 0;
    send_more(reading);
}

static void got(void *arg, const struct sk_registry_end *status,
                const struct sk_registry_document *document) {
    struct blob_request *r = arg;
    struct range range;
    if (document == NULL) {
        blob_refuse_status(r, status->status);
        return;
    }
    json_t *record = sk_json_load(document->bytes, 0, NULL);
    uint64_t size = (uint64_t)json_integer_value(json_object_get(record, "size"));
    enum blob_error error = blob_condition(r, record);
    if (!error && !read_range(r->exchange->request, size, &range)) error = BLOB_RANGE;
    if (error) {
        blob_refuse(r, error);
    } else {
        struct sk_buffer headers = headers_of(r, record, &range, size);
        start(r, record, &range, &headers);
        sk_buffer_free(&headers);
    }
    json_decref(record);
}

void blob_get(struct blob_request *r) {
    sk_registry_document_get(r->blobs->hub->registry,
                             blob_kind(&r->exchange->arena, BLOB_DOCUMENTS, r->container), r->blob,
                             got, r);
}
