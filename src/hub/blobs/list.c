/* List Blobs: a page of names from the registry, in byte order; the marker is the last of them. */
#include "hub/blobs/parts.h"
#include "model/json_text.h"

struct listing {
    struct blob_request *r;
    struct sk_span prefix, delimiter, marker;
    bool metadata; /* is told, too */
    size_t max, count;
    struct sk_buffer blobs, prefixes;
    struct sk_span last_prefix; /* what was told of those behind a delimiter */
    struct sk_span last;        /* that was looked at */
};

static void read_page(struct listing *listing, struct sk_span after);

static void put_properties(struct sk_buffer *xml, const json_t *record) {
    char time[SK_TIME_HTTP_TEXT];
    const json_t *headers = json_object_get(record, "headers");
    const char *name;
    json_t *value;
    sk_time_http_text(json_integer_value(json_object_get(record, "modified")), time);
    sk_buffer_text(xml, "<Properties>");
    blob_put_xml(xml, "Creation-Time", sk_span_z(time));
    blob_put_xml(xml, "Last-Modified", sk_span_z(time));
    blob_put_xml(xml, "Etag", sk_span_z(json_string_value(json_object_get(record, "etag"))));
    sk_buffer_print(xml, "<Content-Length>%lld</Content-Length>",
                    (long long)json_integer_value(json_object_get(record, "size")));
    json_object_foreach((json_t *)headers, name, value) {
        if (!blob_is_metadata(sk_span_z(name)))
            blob_put_xml(xml, name, sk_span_z(json_string_value(value)));
    }
    sk_buffer_text(xml, "<BlobType>BlockBlob</BlobType><LeaseStatus>unlocked</LeaseStatus>"
                        "<LeaseState>available</LeaseState></Properties>");
}

static bool is_element(struct sk_span name) {
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9')) return false;
    }
    return name.n > 0;
}

/* What is no name of XML is told as Azure tells it. */
static void put_metadata(struct sk_buffer *xml, const json_t *record) {
    const char *name;
    json_t *value;
    sk_buffer_text(xml, "<Metadata>");
    json_object_foreach(json_object_get(record, "headers"), name, value) {
        if (!blob_is_metadata(sk_span_z(name))) continue;
        const char *own = name + strlen(BLOB_METADATA);
        if (is_element(sk_span_z(own)))
            blob_put_xml(xml, own, sk_span_z(json_string_value(value)));
        else
            blob_put_xml(xml, "x-ms-invalid-name", sk_span_z(own));
    }
    sk_buffer_text(xml, "</Metadata>");
}

/* Those that have the delimiter behind the prefix are told once, by what is before it. */
static bool gathered(struct listing *listing, struct sk_span name) {
    struct sk_span rest = sk_span_skip(name, listing->prefix.n);
    if (listing->delimiter.n != 1) return false;
    size_t at = sk_span_find(rest, listing->delimiter.p[0]);
    if (at == rest.n) return false;
    struct sk_span prefix = sk_span_first(name, listing->prefix.n + at + 1);
    if (sk_span_eq(prefix, listing->last_prefix)) return true;
    listing->last_prefix = sk_arena_copy(&listing->r->exchange->arena, prefix);
    listing->count++;
    sk_buffer_text(&listing->prefixes, "<BlobPrefix>");
    blob_put_xml(&listing->prefixes, "Name", prefix);
    sk_buffer_text(&listing->prefixes, "</BlobPrefix>");
    return true;
}

static void take(struct listing *listing, const struct sk_registry_document *document) {
    if (gathered(listing, document->key)) return;
    json_t *record = sk_json_load(document->bytes, 0, NULL);
    listing->count++;
    sk_buffer_text(&listing->blobs, "<Blob>");
    blob_put_xml(&listing->blobs, "Name", document->key);
    put_properties(&listing->blobs, record);
    if (listing->metadata) put_metadata(&listing->blobs, record);
    sk_buffer_text(&listing->blobs, "</Blob>");
    json_decref(record);
}

static void free_listing(struct listing *listing) {
    sk_buffer_free(&listing->blobs);
    sk_buffer_free(&listing->prefixes);
}

static void answer(struct listing *listing, bool more) {
    struct blob_request *r = listing->r;
    struct sk_buffer headers = blob_headers(r), xml = {0}, marker = {0};
    sk_buffer_text(&xml, "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults>");
    blob_put_xml(&xml, "Prefix", listing->prefix);
    sk_buffer_text(&xml, "<Blobs>");
    sk_buffer_append(&xml, sk_buffer_span(&listing->blobs));
    sk_buffer_append(&xml, sk_buffer_span(&listing->prefixes));
    sk_buffer_text(&xml, "</Blobs>");
    if (more) sk_base64_encode(&marker, listing->last);
    blob_put_xml(&xml, "NextMarker", sk_buffer_span(&marker));
    sk_buffer_text(&xml, "</EnumerationResults>");
    free_listing(listing);
    blob_answer_xml(r, &headers, sk_buffer_span(&xml));
    sk_buffer_free(&xml);
    sk_buffer_free(&marker);
}

static void found(void *arg, const struct sk_registry_end *end,
                  const struct sk_registry_documents *list) {
    struct listing *listing = arg;
    struct blob_request *r = listing->r;
    if (end->status) {
        free_listing(listing);
        blob_refuse_status(r, end->status);
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        if (!sk_span_starts(list->documents[i].key, listing->prefix)) {
            answer(listing, false);
            return;
        }
        if (listing->count >= listing->max) {
            answer(listing, true);
            return;
        }
        take(listing, &list->documents[i]);
        listing->last = sk_arena_copy(&r->exchange->arena, list->documents[i].key);
    }
    if (list->count)
        read_page(listing, listing->last);
    else
        answer(listing, false);
}

static void read_page(struct listing *listing, struct sk_span after) {
    struct blob_request *r = listing->r;
    sk_registry_document_list(r->blobs->hub->registry,
                              blob_kind(&r->exchange->arena, BLOB_DOCUMENTS, r->container), after,
                              BLOB_LIST_MAX + 1, found, listing);
}

/* The blob that is called like the prefix stands before all behind it. */
static void got_first(void *arg, const struct sk_registry_end *end,
                      const struct sk_registry_document *document) {
    struct listing *listing = arg;
    if (document) {
        take(listing, document);
        listing->last = listing->prefix;
    }
    if (end->status && end->status != SK_NOT_FOUND)
        found(listing, end, NULL);
    else
        read_page(listing, listing->prefix);
}

static struct sk_span parameter(const struct blob_request *r, const char *name) {
    return sk_percent_decoded(&r->exchange->arena,
                              sk_http_query(r->exchange->request->query, name));
}

/* `include` lists what else is told, with commas. */
static bool wants(const struct blob_request *r, struct sk_span what) {
    struct sk_span rest = parameter(r, "include"), one;
    while (sk_span_split(&rest, ',', &one))
        if (sk_span_eq_nocase(one, what)) return true;
    return false;
}

void blob_list(struct blob_request *r) {
    struct listing *listing = sk_arena_alloc(&r->exchange->arena, sizeof *listing);
    struct sk_buffer after = {0};
    int64_t max = BLOB_LIST_MAX;
    struct sk_span said = parameter(r, "maxresults");
    listing->r = r;
    listing->prefix = parameter(r, "prefix");
    listing->delimiter = parameter(r, "delimiter");
    listing->marker = parameter(r, "marker");
    listing->metadata = wants(r, SK_SPAN("metadata"));
    if ((said.n && (sk_span_to_int(said, &max) || max < 1)) ||
        sk_base64_decode(&after, listing->marker)) {
        sk_buffer_free(&after);
        blob_refuse(r, BLOB_INVALID_QUERY);
        return;
    }
    listing->max = max < BLOB_LIST_MAX ? (size_t)max : BLOB_LIST_MAX;
    if (after.n)
        read_page(listing, sk_buffer_span(&after));
    else if (listing->prefix.n)
        sk_registry_document_get(r->blobs->hub->registry,
                                 blob_kind(&r->exchange->arena, BLOB_DOCUMENTS, r->container),
                                 listing->prefix, got_first, listing);
    else
        read_page(listing, SK_NONE);
    sk_buffer_free(&after);
}
