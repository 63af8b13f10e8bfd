/* Put Blob, Put Block, Delete Blob, Set Blob Metadata, Set Blob Properties. */
#include <stdio.h>

#include "hub/blobs/parts.h"
#include "model/json_text.h"

/* The document that takes the place of `old`: new, and of the same parts. */
typedef json_t *blob_reviser(const struct blob_request *r, const json_t *old);

/* A change of a blob's document: what is there is read, the conditions are looked at, the new one
 * is put, and what only the old one had goes. */
struct change {
    struct blob_change turn;
    struct blob_request *r;
    json_t *old, *fresh; /* fresh NULL: it is deleted */
    blob_reviser *revise;
    struct blob_body *body;
    void (*then)(struct blob_request *r, const json_t *fresh);
};

static void free_change(struct change *change) {
    blob_change_end(&change->turn);
    json_decref(change->old);
    json_decref(change->fresh);
    free(change);
}

/* It did not come to it; the request is to be refused. */
static struct blob_request *give_up(struct change *change) {
    struct blob_request *r = change->r;
    if (change->body) blob_body_end(change->body);
    if (change->then) change->then(r, NULL);
    free_change(change);
    return r;
}

static struct sk_span kind_of(const struct blob_request *r) {
    return blob_kind(&r->exchange->arena, BLOB_DOCUMENTS, r->container);
}

static void changed(void *arg, const struct sk_registry_end *end) {
    struct change *change = arg;
    struct blob_request *r = change->r;
    if (end->status) {
        blob_refuse_status(give_up(change), end->status);
        return;
    }
    struct sk_buffer headers = blob_headers(r);
    blob_waste_parts(r->blobs, change->old, change->fresh);
    if (change->body) {
        change->body->sink.kept = true;
        sk_http_put_header(&headers, "Content-MD5", sk_span_z(change->body->md5_text));
        blob_body_end(change->body);
    }
    if (change->then) change->then(r, change->fresh);
    if (change->fresh) {
        blob_put_state(&headers, change->fresh);
        sk_http_put_header(&headers, "x-ms-request-server-encrypted", SK_SPAN("false"));
    }
    unsigned status = change->revise ? 200 : change->fresh ? 201 : 202;
    free_change(change);
    blob_answer(r, status, &headers);
}

static void looked(void *arg, const struct sk_registry_end *end,
                   const struct sk_registry_document *document) {
    struct change *change = arg;
    struct blob_request *r = change->r;
    struct sk_registry *registry = r->blobs->hub->registry;
    if (end->status && end->status != SK_NOT_FOUND) {
        blob_refuse_status(give_up(change), end->status);
        return;
    }
    if (document) change->old = sk_json_load(document->bytes, 0, NULL);
    enum blob_error error = blob_condition(r, change->old);
    if (change->old && change->revise) change->fresh = change->revise(r, change->old);
    if (!change->old && !change->fresh) error = BLOB_BLOB_NOT_FOUND;
    if (error) {
        blob_refuse(give_up(change), error);
        return;
    }
    if (change->fresh == NULL) {
        sk_registry_document_delete(registry, kind_of(r), r->blob, changed, change);
        return;
    }
    SK_CLEANUP_FREE char *text = sk_json_text(change->fresh);
    sk_registry_document_put(registry, kind_of(r), r->blob, sk_span_z(text), changed, change);
}

static struct change *new_change(struct blob_request *r) {
    struct change *change = SK_NEW(struct change);
    change->r = r;
    return change;
}

static void begin(struct change *change) {
    struct blob_request *r = change->r;
    if (!blob_change_begin(r->blobs, &change->turn, r->container, r->blob)) {
        blob_refuse(give_up(change), BLOB_BUSY);
        return;
    }
    sk_registry_document_get(r->blobs->hub->registry, kind_of(r), r->blob, looked, change);
}

void blob_replace(struct blob_request *r, json_t *fresh, struct blob_body *body,
                  void (*then)(struct blob_request *r, const json_t *fresh)) {
    struct change *change = new_change(r);
    change->fresh = fresh;
    change->body = body;
    change->then = then;
    begin(change);
}

static void blob_revise(struct blob_request *r, blob_reviser *revise) {
    struct change *change = new_change(r);
    change->revise = revise;
    begin(change);
}

json_t *blob_record_new(const struct blob_request *r) {
    json_t *record = json_object();
    blob_stamp(r->blobs, record);
    json_object_set_new(record, "headers", blob_take_properties(r));
    json_object_set_new(record, "parts", json_array());
    return record;
}

/* ---- Put Blob ---- */

static void blob_came(struct blob_request *r, struct blob_body *body) {
    json_t *record = blob_record_new(r), *headers = json_object_get(record, "headers");
    json_object_set_new(record, "size", json_integer((json_int_t)body->sink.written));
    if (body->sink.written)
        json_array_append_new(json_object_get(record, "parts"),
                              json_pack("[s,I]", body->sink.id, (json_int_t)body->sink.written));
    json_object_set_new(headers, "Content-MD5", json_string(body->md5_text));
    blob_replace(r, record, body, NULL);
}

void blob_put(struct blob_request *r) {
    struct sk_span type = sk_http_header(r->exchange->request, "x-ms-blob-type");
    if (sk_http_header(r->exchange->request, "x-ms-copy-source").n)
        blob_refuse(r, BLOB_UNSUPPORTED_COPY);
    else if (!sk_span_eq_nocase(type, SK_SPAN("BlockBlob")))
        blob_refuse(r, BLOB_UNSUPPORTED_TYPE);
    else
        blob_body_take(r, blob_came);
}

void blob_delete(struct blob_request *r) {
    blob_replace(r, NULL, NULL, NULL);
}

/* ---- Set Blob Metadata, Set Blob Properties ---- */

static void take_headers(json_t *to, const json_t *from, bool metadata) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)from, name, value) {
        if (blob_is_metadata(sk_span_z(name)) == metadata) json_object_set(to, name, value);
    }
}

/* Metadata is the request's and all else stays, or the other way round. */
static json_t *revised(const struct blob_request *r, const json_t *old, bool metadata) {
    json_t *record = json_copy((json_t *)old), *headers = json_object(),
           *asked = blob_take_properties(r);
    take_headers(headers, json_object_get(old, "headers"), !metadata);
    take_headers(headers, asked, metadata);
    json_decref(asked);
    json_object_set_new(record, "headers", headers);
    blob_stamp(r->blobs, record);
    return record;
}

static json_t *with_metadata(const struct blob_request *r, const json_t *old) {
    return revised(r, old, true);
}

static json_t *with_properties(const struct blob_request *r, const json_t *old) {
    return revised(r, old, false);
}

void blob_set_metadata(struct blob_request *r) {
    blob_revise(r, with_metadata);
}

void blob_set_properties(struct blob_request *r) {
    blob_revise(r, with_properties);
}

/* ---- Put Block ---- */

struct block {
    struct blob_request *r;
    struct blob_body *body;
    struct blob_change turn;
    struct sk_span key;
    json_t *old;
};

static struct sk_span block_kind(const struct blob_request *r) {
    return blob_kind(&r->exchange->arena, BLOCK_DOCUMENTS, r->container);
}

static void block_stored(void *arg, const struct sk_registry_end *end) {
    struct block *block = arg;
    struct blob_request *r = block->r;
    if (!end->status) {
        block->body->sink.kept = true;
        if (block->old) blob_waste_block(r->blobs, r->container, block->key, block->old);
    }
    json_decref(block->old);
    blob_change_end(&block->turn);
    struct sk_buffer headers = blob_headers(r);
    sk_http_put_header(&headers, "Content-MD5", sk_span_z(block->body->md5_text));
    sk_http_put_header(&headers, "x-ms-request-server-encrypted", SK_SPAN("false"));
    blob_body_end(block->body);
    if (end->status) {
        sk_buffer_free(&headers);
        blob_refuse_status(r, end->status);
        return;
    }
    blob_answer(r, 201, &headers);
}

/* The block that had the id before is known, if there was one. */
static void block_looked(void *arg, const struct sk_registry_end *end,
                         const struct sk_registry_document *document) {
    struct block *block = arg;
    struct blob_request *r = block->r;
    if (end->status && end->status != SK_NOT_FOUND) {
        block_stored(block, end);
        return;
    }
    if (document) block->old = sk_json_load(document->bytes, 0, NULL);
    json_t *record =
        json_pack("{s:I,s:[[s,I]]}", "modified", (json_int_t)sk_io_wall(r->exchange->io), "parts",
                  block->body->sink.id, (json_int_t)block->body->sink.written);
    SK_CLEANUP_FREE char *text = sk_json_text(record);
    json_decref(record);
    sk_registry_document_put(r->blobs->hub->registry, block_kind(r), block->key, sk_span_z(text),
                             block_stored, block);
}

static struct sk_span block_id(const struct blob_request *r) {
    return sk_percent_decoded(&r->exchange->arena,
                              sk_http_query(r->exchange->request->query, "blockid"));
}

static void block_came(struct blob_request *r, struct blob_body *body) {
    struct block *block = sk_arena_alloc(&r->exchange->arena, sizeof *block);
    block->r = r;
    block->body = body;
    block->key =
        sk_arena_print(&r->exchange->arena, "%.*s\n%.*s", SK_ARG(r->blob), SK_ARG(block_id(r)));
    if (!blob_change_begin(r->blobs, &block->turn, r->container, block->key)) {
        blob_body_end(body);
        blob_refuse(r, BLOB_BUSY);
        return;
    }
    sk_registry_document_get(r->blobs->hub->registry, block_kind(r), block->key, block_looked,
                             block);
}

bool blob_block_id_fine(struct sk_span id) {
    struct sk_buffer decoded = {0};
    bool fine = id.n && sk_base64_decode(&decoded, id) == SK_OK && decoded.n <= BLOB_BLOCK_ID_MAX;
    sk_buffer_free(&decoded);
    return fine;
}

void blob_put_block(struct blob_request *r) {
    if (!blob_block_id_fine(block_id(r)))
        blob_refuse(r, BLOB_INVALID_BLOCK_ID);
    else if (r->exchange->request->content_length == 0)
        blob_refuse(r, BLOB_INVALID_HEADER); /* a block is not empty */
    else
        blob_body_take(r, block_came);
}
