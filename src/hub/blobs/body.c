/* The body of a request on its way to a file. */
#include <openssl/evp.h>

#include "hub/blobs/parts.h"

enum { SLOW_AFTER_MS = 5000, SLOW_BYTES_A_SECOND = 8 * 1024 };

static void free_body(struct blob_sink *sink) {
    struct blob_body *body = SK_CONTAINER(sink, struct blob_body, sink);
    EVP_MD_CTX_free(body->md5);
    free(body);
}

void blob_body_end(struct blob_body *body) {
    body->r = NULL;
    blob_sink_free(&body->sink, free_body);
}

static enum blob_error error_of(enum sk_status status) {
    switch (status) {
    case SK_OK: return BLOB_FINE;
    case SK_NO_SPACE: return BLOB_NO_SPACE;
    case SK_CLOSED: return BLOB_BUSY;
    default: return BLOB_INTERNAL;
    }
}

/* All of it has come, and is on the disk. */
static void finish(struct blob_body *body) {
    unsigned char digest[16];
    struct sk_buffer text = {.p = body->md5_text, .capacity = 24, .limit = 24};
    EVP_DigestFinal_ex(body->md5, digest, NULL);
    sk_base64_encode(&text, sk_span(digest, sizeof digest));
    struct blob_request *r = body->r;
    struct sk_span said = sk_http_header(r->exchange->request, "Content-MD5");
    if (!body->error) body->error = error_of(body->sink.status);
    if (said.n && !sk_span_is(said, body->md5_text) && !body->error)
        body->error = BLOB_MD5_MISMATCH;
    if (body->error) {
        enum blob_error error = body->error;
        blob_body_end(body);
        blob_refuse(r, error);
        return;
    }
    body->done(r, body);
}

/* A part is on the disk, or the hub closes. */
static void moved(struct blob_sink *sink) {
    struct blob_body *body = SK_CONTAINER(sink, struct blob_body, sink);
    if (!body->whole)
        sk_http_go_on(body->r->exchange);
    else if (sink->status == SK_CLOSED || blob_sink_end(sink))
        finish(body);
}

/* ---- what comes ---- */

static bool take_part(struct sk_http_exchange *exchange, struct sk_span bytes) {
    struct blob_request *r = exchange->data;
    struct blob_body *body = r->data;
    if (body->error) return true; /* it is read to its end, and then told */
    if (blob_sink_size(&body->sink) + bytes.n > BLOB_BODY_MAX) {
        body->error = BLOB_TOO_LARGE;
        return true;
    }
    EVP_DigestUpdate(body->md5, bytes.p, bytes.n);
    return blob_sink_put(&body->sink, bytes);
}

static void is_whole(struct sk_http_exchange *exchange) {
    struct blob_request *r = exchange->data;
    struct blob_body *body = r->data;
    exchange->dropped = NULL;
    body->whole = true;
    if (blob_sink_end(&body->sink)) finish(body);
}

/* The client has gone before the end. */
static void dropped(struct sk_http_exchange *exchange) {
    struct blob_request *r = exchange->data;
    blob_body_end(r->data);
}

/* Whether the disk has room for so much, and for whoever else writes there. */
static bool has_room(const struct blobs *blobs, uint64_t bytes) {
    return sk_disk_free(blobs->hub->backend.io, blobs->folder) >=
           blobs->hub->options->reserve_bytes + bytes;
}

/* Of a client that sends next to nothing: nobody is kept waiting for it. */
static bool is_slow(const struct blob_body *body, uint64_t now) {
    uint64_t ms = (now - body->began_ns) / SK_MS;
    return !body->whole && !body->sink.busy && ms >= SLOW_AFTER_MS &&
           blob_sink_size(&body->sink) * 1000 < ms * SLOW_BYTES_A_SECOND;
}

/* Without an answer: its client is in the midst of what it says. */
static void hang_up(struct blob_body *body) {
    struct sk_http_exchange *exchange = body->r->exchange;
    exchange->dropped = NULL;
    blob_body_end(body);
    sk_stream_abort(exchange->stream);
}

/* At the limit a slow body goes for the next, the oldest first. */
static bool is_full(const struct blobs *blobs) {
    uint64_t now = sk_io_now(blobs->hub->backend.io);
    struct blob_body *slow = NULL;
    size_t n = 0;
    SK_LIST_EACH(&blobs->sinks, node, following) {
        struct blob_sink *sink = SK_CONTAINER(node, struct blob_sink, link);
        n++;
        if (slow || sink->moved != moved || sink->freed) continue;
        struct blob_body *body = SK_CONTAINER(sink, struct blob_body, sink);
        if (is_slow(body, now)) slow = body;
    }
    if (n < BLOB_BODIES_MAX) return false;
    if (slow) hang_up(slow);
    return slow == NULL;
}

void blob_body_take(struct blob_request *r,
                    void (*done)(struct blob_request *r, struct blob_body *body)) {
    struct sk_http_exchange *exchange = r->exchange;
    uint64_t length = exchange->request->content_length;
    enum blob_error error = BLOB_FINE;
    if (length == SK_HTTP_LENGTH_UNKNOWN)
        error = BLOB_LENGTH;
    else if (length > BLOB_BODY_MAX)
        error = BLOB_TOO_LARGE;
    else if (!has_room(r->blobs, length))
        error = BLOB_NO_SPACE;
    else if (is_full(r->blobs))
        error = BLOB_BUSY;
    if (error) {
        blob_refuse(r, error);
        return;
    }
    struct blob_body *body = SK_NEW(struct blob_body);
    blob_sink_open(&body->sink, r->blobs, moved);
    body->r = r;
    body->began_ns = sk_io_now(exchange->io);
    body->done = done;
    body->md5 = EVP_MD_CTX_new();
    EVP_DigestInit_ex(body->md5, EVP_md5(), NULL);
    r->data = body;
    exchange->data = r;
    exchange->dropped = dropped;
    exchange->part = take_part;
    exchange->whole = is_whole;
    if (r->waits)
        sk_http_take_body(exchange);
    else
        is_whole(exchange); /* it is empty */
}
