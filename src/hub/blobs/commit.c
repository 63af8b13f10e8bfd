/* Put Block List, which makes a blob of blocks, and Get Block List. */
#include "azure/blob_list.h"
#include "hub/blobs/parts.h"
#include "model/json_text.h"

enum { PAGE = 1000 };

struct commit {
    struct blob_request *r;
    struct blob_change turn;
    json_t *blocks; /* that wait: id → the document */
    json_t *record; /* of the blob that is there; NULL: none */
    char *after;
    void (*read)(struct commit *commit); /* both are there */
};

static struct sk_span block_kind(const struct blob_request *r) {
    return blob_kind(&r->exchange->arena, BLOCK_DOCUMENTS, r->container);
}

static void free_commit(struct commit *commit) {
    blob_change_end(&commit->turn);
    json_decref(commit->blocks);
    json_decref(commit->record);
    free(commit->after);
    free(commit);
}

static void refuse(struct commit *commit, enum blob_error error) {
    struct blob_request *r = commit->r;
    free_commit(commit);
    blob_refuse(r, error);
}

static void refuse_status(struct commit *commit, enum sk_status status) {
    struct blob_request *r = commit->r;
    free_commit(commit);
    blob_refuse_status(r, status);
}

/* ---- reading what there is ---- */

static void got_record(void *arg, const struct sk_registry_end *end,
                       const struct sk_registry_document *document) {
    struct commit *commit = arg;
    if (end->status && end->status != SK_NOT_FOUND) {
        refuse_status(commit, end->status);
        return;
    }
    if (document) commit->record = sk_json_load(document->bytes, 0, NULL);
    commit->read(commit);
}

static void list_blocks(struct commit *commit);

static void got_blocks(void *arg, const struct sk_registry_end *end,
                       const struct sk_registry_documents *list) {
    struct commit *commit = arg;
    struct blob_request *r = commit->r;
    struct sk_span prefix = sk_arena_print(&r->exchange->arena, "%.*s\n", SK_ARG(r->blob));
    bool more = list->count == PAGE;
    if (end->status) {
        refuse_status(commit, end->status);
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct sk_registry_document *document = &list->documents[i];
        if (!sk_span_starts(document->key, prefix)) {
            more = false;
            break;
        }
        struct sk_span id = sk_span_skip(document->key, prefix.n);
        json_object_setn_new(commit->blocks, id.p, id.n, sk_json_load(document->bytes, 0, NULL));
    }
    if (json_object_size(commit->blocks) > 2 * BLOB_BLOCKS_MAX) {
        refuse(commit, BLOB_TOO_MANY_BLOCKS);
        return;
    }
    free(commit->after);
    commit->after = more ? sk_span_dup(list->documents[list->count - 1].key) : NULL;
    if (more)
        list_blocks(commit);
    else
        sk_registry_document_get(r->blobs->hub->registry,
                                 blob_kind(&r->exchange->arena, BLOB_DOCUMENTS, r->container),
                                 r->blob, got_record, commit);
}

static void list_blocks(struct commit *commit) {
    struct blob_request *r = commit->r;
    struct sk_span after = commit->after
                               ? sk_span_z(commit->after)
                               : sk_arena_print(&r->exchange->arena, "%.*s\n", SK_ARG(r->blob));
    sk_registry_document_list(r->blobs->hub->registry, block_kind(r), after, PAGE, got_blocks,
                              commit);
}

static struct commit *new_commit(struct blob_request *r, void (*read)(struct commit *commit)) {
    struct commit *commit = SK_NEW(struct commit);
    commit->r = r;
    commit->blocks = json_object();
    commit->read = read;
    r->data = commit;
    return commit;
}

/* ---- Put Block List ---- */

static const json_t *committed(const struct commit *commit, struct sk_span id) {
    size_t i;
    json_t *part;
    json_array_foreach(json_object_get(commit->record, "parts"), i, part) {
        if (sk_span_is(id, json_string_value(json_array_get(part, 2)))) return part;
    }
    return NULL;
}

static const json_t *waiting(const struct commit *commit, struct sk_span id) {
    return json_array_get(json_object_get(json_object_getn(commit->blocks, id.p, id.n), "parts"),
                          0);
}

/* The blob's document; NULL: the list is not valid, for the reason in *error. */
static json_t *make_record(struct commit *commit, enum blob_error *error) {
    struct blob_request *r = commit->r;
    json_t *record = blob_record_new(r), *parts = json_object_get(record, "parts");
    struct sk_blob_list list = {.xml = sk_buffer_span(&r->exchange->request->body)};
    json_int_t size = 0;
    enum sk_status status;
    *error = BLOB_FINE;
    while ((status = sk_blob_list_next(&list)) == SK_OK && !*error) {
        const json_t *part = list.from == SK_BLOB_COMMITTED ? NULL : waiting(commit, list.id);
        if (part == NULL && list.from != SK_BLOB_UNCOMMITTED) part = committed(commit, list.id);
        if (part == NULL || json_array_size(parts) == BLOB_BLOCKS_MAX) {
            *error = part ? BLOB_TOO_MANY_BLOCKS : BLOB_INVALID_BLOCK_LIST;
            break;
        }
        json_t *mine = json_pack("[O,O,s%]", json_array_get(part, 0), json_array_get(part, 1),
                                 list.id.p, list.id.n);
        size += json_integer_value(json_array_get(part, 1));
        json_array_append_new(parts, mine);
    }
    if (status == SK_MALFORMED) *error = BLOB_INVALID_XML;
    json_object_set_new(record, "size", json_integer(size));
    if (!*error) return record;
    json_decref(record);
    return NULL;
}

/* The blob is there: its blocks wait no more, and those that it has no use for go. */
static void forget_blocks(struct blob_request *r, const json_t *fresh) {
    struct commit *commit = r->data;
    const char *id;
    json_t *block;
    json_object_foreach(fresh ? commit->blocks : NULL, id, block) {
        blob_waste_parts(r->blobs, block, fresh);
        sk_registry_document_delete(
            r->blobs->hub->registry, block_kind(r),
            sk_arena_print(&r->exchange->arena, "%.*s\n%s", SK_ARG(r->blob), id), NULL, NULL);
    }
    free_commit(commit);
    r->data = NULL;
}

static void commit_blocks(struct commit *commit) {
    struct blob_request *r = commit->r;
    enum blob_error error;
    json_t *record = make_record(commit, &error);
    if (record == NULL) {
        refuse(commit, error);
        return;
    }
    blob_change_end(&commit->turn); /* blob_replace takes it at once */
    blob_replace(r, record, NULL, forget_blocks);
}

static void list_came(struct sk_http_exchange *exchange) {
    struct blob_request *r = exchange->data;
    struct commit *commit = new_commit(r, commit_blocks);
    if (blob_change_begin(r->blobs, &commit->turn, r->container, r->blob))
        list_blocks(commit);
    else
        refuse(commit, BLOB_BUSY);
}

void blob_put_block_list(struct blob_request *r) {
    r->exchange->data = r;
    r->exchange->whole = list_came;
    if (r->waits)
        sk_http_take_body(r->exchange);
    else
        blob_refuse(r, BLOB_INVALID_XML);
}

/* ---- Get Block List ---- */

static void put_block(struct sk_buffer *xml, struct sk_span id, const json_t *part) {
    sk_buffer_text(xml, "<Block>");
    blob_put_xml(xml, "Name", id);
    sk_buffer_print(xml, "<Size>%lld</Size></Block>",
                    (long long)json_integer_value(json_array_get(part, 1)));
}

static void answer_list(struct commit *commit) {
    struct blob_request *r = commit->r;
    struct sk_span type = sk_http_query(r->exchange->request->query, "blocklisttype");
    bool all = sk_span_eq_nocase(type, SK_SPAN("all"));
    struct sk_buffer xml = {0};
    const char *id;
    json_t *block, *part;
    size_t i;
    if (commit->record == NULL && json_object_size(commit->blocks) == 0) {
        refuse(commit, BLOB_BLOB_NOT_FOUND);
        return;
    }
    sk_buffer_text(&xml, "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>"
                         "<CommittedBlocks>");
    if (all || !sk_span_eq_nocase(type, SK_SPAN("uncommitted")))
        json_array_foreach(json_object_get(commit->record, "parts"), i, part) {
            const char *name = json_string_value(json_array_get(part, 2));
            if (name) put_block(&xml, sk_span_z(name), part);
        }
    sk_buffer_text(&xml, "</CommittedBlocks><UncommittedBlocks>");
    if (all || sk_span_eq_nocase(type, SK_SPAN("uncommitted")))
        json_object_foreach(commit->blocks, id, block)
            put_block(&xml, sk_span_z(id), json_array_get(json_object_get(block, "parts"), 0));
    sk_buffer_text(&xml, "</UncommittedBlocks></BlockList>");
    struct sk_buffer headers = blob_headers(r);
    if (commit->record) blob_put_state(&headers, commit->record);
    free_commit(commit);
    blob_answer_xml(r, &headers, sk_buffer_span(&xml));
    sk_buffer_free(&xml);
}

void blob_get_block_list(struct blob_request *r) {
    list_blocks(new_commit(r, answer_list));
}
