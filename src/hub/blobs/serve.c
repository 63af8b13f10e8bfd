/* From a request to its operation. */
#include "hub/blobs/parts.h"

#define NEW (SK_BLOB_CREATE | SK_BLOB_WRITE)
#define READS SK_CATEGORY_STORAGE_READ
#define WRITES SK_CATEGORY_STORAGE_WRITE
#define DELETES SK_CATEGORY_STORAGE_DELETE

static const struct blob_operation operations[] = {
    {"ListContainers", READS, SK_HTTP_GET, ON_ACCOUNT, "list", SK_BLOB_LIST, NO_BODY,
     blob_containers_list},
    {"CreateContainer", WRITES, SK_HTTP_PUT, ON_CONTAINER, "", NEW, NO_BODY, blob_container_create},
    {"GetContainerProperties", READS, SK_HTTP_GET, ON_CONTAINER, "", SK_BLOB_READ, NO_BODY,
     blob_container_get},
    {"GetContainerProperties", READS, SK_HTTP_HEAD, ON_CONTAINER, "", SK_BLOB_READ, NO_BODY,
     blob_container_get},
    {"DeleteContainer", DELETES, SK_HTTP_DELETE, ON_CONTAINER, "", SK_BLOB_DELETE, NO_BODY,
     blob_container_delete},
    {"ListBlobs", READS, SK_HTTP_GET, ON_CONTAINER, "list", SK_BLOB_LIST, NO_BODY, blob_list},
    {"PutBlob", WRITES, SK_HTTP_PUT, ON_BLOB, "", NEW, FILE_BODY, blob_put},
    {"PutBlock", WRITES, SK_HTTP_PUT, ON_BLOB, "block", NEW, FILE_BODY, blob_put_block},
    {"PutBlockList", WRITES, SK_HTTP_PUT, ON_BLOB, "blocklist", NEW, TEXT_BODY,
     blob_put_block_list},
    {"SetBlobMetadata", WRITES, SK_HTTP_PUT, ON_BLOB, "metadata", SK_BLOB_WRITE, NO_BODY,
     blob_set_metadata},
    {"SetBlobProperties", WRITES, SK_HTTP_PUT, ON_BLOB, "properties", SK_BLOB_WRITE, NO_BODY,
     blob_set_properties},
    {"GetBlockList", READS, SK_HTTP_GET, ON_BLOB, "blocklist", SK_BLOB_READ, NO_BODY,
     blob_get_block_list},
    {"GetBlob", READS, SK_HTTP_GET, ON_BLOB, "", SK_BLOB_READ, NO_BODY, blob_get},
    {"GetBlobProperties", READS, SK_HTTP_HEAD, ON_BLOB, "", SK_BLOB_READ, NO_BODY, blob_get},
    {"DeleteBlob", DELETES, SK_HTTP_DELETE, ON_BLOB, "", SK_BLOB_DELETE, NO_BODY, blob_delete},
};

static const struct blob_operation *find_operation(const struct blob_request *r) {
    const struct sk_http_parser *http = r->exchange->request;
    struct sk_span comp = sk_http_query(http->query, "comp");
    int level = r->blob.n ? ON_BLOB : r->container.n ? ON_CONTAINER : ON_ACCOUNT;
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (operations[i].method == http->method && (int)operations[i].level == level &&
            sk_span_eq_nocase(comp, sk_span_z(operations[i].comp)))
            return &operations[i];
    return NULL;
}

static bool blob_name_fine(struct sk_span name) {
    struct sk_span rest = name, segment;
    json_t *text = json_stringn(name.p, name.n); /* NULL: not UTF-8 */
    bool fine = text && name.n <= BLOB_NAME_MAX;
    json_decref(text);
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] < 0x20) fine = false;
    while (fine && sk_span_split(&rest, '/', &segment))
        if (sk_span_is(segment, ".") || sk_span_is(segment, "..")) fine = false;
    return fine;
}

/* "/container/blob", each of them decoded. */
static enum blob_error read_path(struct blob_request *r) {
    const struct sk_http_parser *http = r->exchange->request;
    struct sk_span path = blob_path(r->blobs, sk_http_header(http, "Host"), http->path);
    size_t slash = sk_span_find(path, '/');
    r->container = sk_percent_decoded(&r->exchange->arena, sk_span_first(path, slash));
    r->blob = sk_percent_decoded(&r->exchange->arena, sk_span_skip(path, slash + 1));
    if (r->container.n && !hub_blobs_container_fine(r->container, NULL)) return BLOB_INVALID_NAME;
    return r->blob.n && !blob_name_fine(r->blob) ? BLOB_INVALID_URI : BLOB_FINE;
}

/* Whether the container is there, where one is needed. */
static enum blob_error look_for_container(const struct blob_request *r) {
    bool makes = r->operation->serve == blob_container_create;
    if (r->operation->level == ON_ACCOUNT || makes || blob_container(r->blobs, r->container))
        return BLOB_FINE;
    return BLOB_CONTAINER_NOT_FOUND;
}

bool hub_blobs_exchange(struct sk_backend *backend, struct sk_http_exchange *exchange, bool waits) {
    struct sk_hub *hub = hub_of(backend);
    if (!sk_blob_asked(exchange->request) || hub->closing) return false;
    struct blob_request *r = sk_arena_alloc(&exchange->arena, sizeof *r);
    r->blobs = hub->blobs;
    r->exchange = exchange;
    r->waits = waits;
    r->asked_ns = sk_io_now(exchange->io);
    enum blob_error error = read_path(r);
    if (!error && (r->operation = find_operation(r)) == NULL) error = BLOB_METHOD;
    if (!error) error = blob_authorise(r);
    if (!error) error = look_for_container(r);
    if (!error && waits && r->operation->body == NO_BODY) error = BLOB_INVALID_HEADER;
    if (error) {
        blob_refuse(r, error);
        return true;
    }
    if (exchange->stream) sk_stream_proved(exchange->stream);
    r->operation->serve(r);
    return true;
}
