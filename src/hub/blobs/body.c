/* A body on its way to a file: written a part at a time, durable before the next, while the one
 * behind it gathers; whoever sends faster waits. */
#include <openssl/evp.h>
#include <stdio.h>

#include "hub/blobs/parts.h"

enum { PART = 256 * 1024 };

static void write_part(struct blob_body *body);

static void free_body(struct blob_body *body) {
    sk_list_remove(&body->link);
    if (body->file) sk_file_close(body->file);
    sk_buffer_free(&body->gathering);
    sk_buffer_free(&body->writing);
    EVP_MD_CTX_free(body->md5);
    free(body);
}

/* Nobody waits for it any more. A write that runs ends first. */
static void let_go(struct blob_body *body) {
    body->r = NULL;
    if (!body->kept && body->blobs && body->id[0]) blob_waste(body->blobs, body->id);
    body->kept = true;
    if (!body->busy) free_body(body);
}

void blob_body_end(struct blob_body *body) {
    let_go(body);
}

void blob_bodies_close(struct blobs *blobs) {
    SK_LIST_EACH(&blobs->bodies, node, following) {
        struct blob_body *body = SK_CONTAINER(node, struct blob_body, link);
        struct blob_request *r = body->r;
        bool answers = r && body->whole && body->busy; /* whoever waits elsewhere hears it there */
        body->blobs = NULL;
        sk_list_remove(&body->link);
        if (!answers) continue;
        let_go(body);
        blob_refuse(r, BLOB_BUSY);
    }
}

/* ---- the file ---- */

static enum blob_error error_of(enum sk_status status) {
    return status == SK_NO_SPACE ? BLOB_NO_SPACE : BLOB_INTERNAL;
}

static void finish(struct blob_body *body) {
    unsigned char digest[16];
    struct sk_buffer text = {.p = body->md5_text, .capacity = 24, .limit = 24};
    EVP_DigestFinal_ex(body->md5, digest, NULL);
    sk_base64_encode(&text, sk_span(digest, sizeof digest));
    if (body->file) sk_file_close(body->file); /* all of it is on the disk */
    body->file = NULL;
    struct blob_request *r = body->r;
    struct sk_span said = sk_http_header(r->exchange->request, "Content-MD5");
    if (said.n && !sk_span_is(said, body->md5_text) && !body->error)
        body->error = BLOB_MD5_MISMATCH;
    if (body->error) {
        enum blob_error error = body->error;
        let_go(body);
        blob_refuse(r, error);
        return;
    }
    body->done(r, body);
}

/* More can come, or all has. */
static void go_on(struct blob_body *body) {
    if (body->r == NULL) {
        free_body(body);
        return;
    }
    if (body->gathering.n && (body->whole || body->gathering.n >= PART) && !body->error)
        write_part(body);
    else if (body->whole)
        finish(body);
    else
        sk_http_go_on(body->r->exchange);
}

static void written(void *arg, enum sk_status status) {
    struct blob_body *body = arg;
    body->busy = false;
    if (status && !body->error) body->error = error_of(status);
    body->written += body->writing.n;
    body->writing.n = 0;
    go_on(body);
}

static enum sk_status open_file(struct blob_body *body) {
    struct blobs *blobs = body->blobs;
    char path[1024];
    snprintf(body->id, sizeof body->id, "%02x/%s-%016llx", (unsigned)(blobs->files & 0xff),
             blobs->run, (unsigned long long)blobs->files);
    blobs->files++;
    snprintf(path, sizeof path, "%s/%.2s", blobs->folder, body->id);
    enum sk_status status = sk_folder_make(blobs->hub->backend.io, path, 0700);
    blob_file_path(blobs, body->id, path);
    if (!status) status = sk_file_open(blobs->hub->backend.io, path, SK_FILE_CREATE, &body->file);
    return status;
}

static void write_part(struct blob_body *body) {
    enum sk_status status = body->file ? SK_OK : open_file(body);
    if (status) {
        body->error = error_of(status);
        body->gathering.n = 0;
        go_on(body);
        return;
    }
    struct sk_buffer part = body->gathering;
    body->gathering = body->writing;
    body->writing = part;
    body->busy = true;
    sk_file_write_sync(body->file, body->written, sk_buffer_span(&body->writing), written, body);
}

/* ---- what comes ---- */

static bool take_part(struct sk_http_exchange *exchange, struct sk_span bytes) {
    struct blob_request *r = exchange->data;
    struct blob_body *body = r->data;
    if (body->error) return true; /* it is read to its end, and then told */
    if (body->written + body->writing.n + body->gathering.n + bytes.n > BLOB_BODY_MAX) {
        body->error = BLOB_TOO_LARGE;
        return true;
    }
    EVP_DigestUpdate(body->md5, bytes.p, bytes.n);
    sk_buffer_append(&body->gathering, bytes);
    if (body->gathering.n < PART) return true;
    if (!body->busy) write_part(body);
    return body->gathering.n < PART;
}

static void is_whole(struct sk_http_exchange *exchange) {
    struct blob_request *r = exchange->data;
    struct blob_body *body = r->data;
    exchange->dropped = NULL;
    body->whole = true;
    if (!body->busy) go_on(body);
}

/* The client has gone before the end. */
static void dropped(struct sk_http_exchange *exchange) {
    struct blob_request *r = exchange->data;
    let_go(r->data);
}

/* Whether the disk has room for so much, and for whoever else writes there. */
static bool has_room(const struct blobs *blobs, uint64_t bytes) {
    return sk_disk_free(blobs->hub->backend.io, blobs->folder) >=
           blobs->hub->options->reserve_bytes + bytes;
}

static bool is_full(const struct blobs *blobs) {
    size_t n = 0;
    SK_LIST_EACH(&blobs->bodies, node, following) n++;
    return n >= BLOB_BODIES_MAX;
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
    body->blobs = r->blobs;
    body->r = r;
    body->done = done;
    body->md5 = EVP_MD_CTX_new();
    EVP_DigestInit_ex(body->md5, EVP_md5(), NULL);
    sk_list_append(&r->blobs->bodies, &body->link);
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
