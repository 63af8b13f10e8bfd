/* Answers of the blob service. */
#include <stdio.h>

#include "hub/blobs/parts.h"
#include "hub/records.h"

static const struct {
    unsigned status;
    const char *code, *sentence;
} errors[] = {
    {200, "", ""},
#define BLOB_ERROR(name, status, code, sentence) {status, code, sentence},
#include "hub/blobs/errors.def"
};

struct sk_buffer blob_headers(const struct blob_request *r) {
    const struct sk_http_parser *http = r->exchange->request;
    struct sk_buffer headers = {0};
    struct sk_span version = sk_http_header(http, "x-ms-version"),
                   client = sk_http_header(http, "x-ms-client-request-id");
    char id[37];
    sk_io_guid(r->exchange->io, id);
    sk_http_put_header(&headers, "x-ms-request-id", sk_span_z(id));
    sk_http_put_header(&headers, "x-ms-version", version.n ? version : SK_SPAN("2021-08-06"));
    if (client.n) sk_http_put_header(&headers, "x-ms-client-request-id", client);
    /* A device's file is no page of the hub's: what opens it in a browser runs nothing of it beside
     * the portal. */
    sk_http_put_header(&headers, "Content-Security-Policy", SK_SPAN("sandbox"));
    sk_http_put_header(&headers, "X-Content-Type-Options", SK_SPAN("nosniff"));
    return headers;
}

void blob_answered(const struct blob_request *r, unsigned status, enum blob_error error) {
    static const struct blob_operation unknown = {.name = "Unknown",
                                                  .category = SK_CATEGORY_STORAGE_READ};
    const struct blob_operation *operation = r->operation ? r->operation : &unknown;
    const struct sk_http_exchange *exchange = r->exchange;
    struct sk_hub *hub = r->blobs->hub;
    struct sk_ip ip = {0};
    bool reads = operation->category == SK_CATEGORY_STORAGE_READ;
    if (exchange->stream) ip = sk_ip_of_peer(sk_stream_peer(exchange->stream));
    if (error)
        hub->counts.blob_refusals_total++;
    else if (reads)
        hub->counts.blob_reads_total++;
    else
        hub->counts.blob_writes_total++;
    hub_record_storage(
        hub, &(struct hub_storage_record){.category = operation->category,
                                          .operation = operation->name,
                                          .container = r->container,
                                          .blob = r->blob,
                                          .account = sk_blob_key_account(exchange->request),
                                          .ip = &ip,
                                          .asked_ns = r->asked_ns,
                                          .status = status,
                                          .code = error ? errors[error].code : "",
                                          .why = errors[error].sentence});
}

void blob_answer(struct blob_request *r, unsigned status, struct sk_buffer *headers) {
    blob_answered(r, status, BLOB_FINE);
    sk_http_respond(r->exchange, status, sk_buffer_span(headers), SK_NONE);
    sk_buffer_free(headers);
}

void blob_answer_xml(struct blob_request *r, struct sk_buffer *headers, struct sk_span xml) {
    sk_http_put_header(headers, "Content-Type", SK_SPAN("application/xml"));
    blob_answered(r, 200, BLOB_FINE);
    sk_http_respond(r->exchange, 200, sk_buffer_span(headers), xml);
    sk_buffer_free(headers);
}

void blob_refuse(struct blob_request *r, enum blob_error error) {
    struct sk_buffer headers = blob_headers(r), xml = {0};
    sk_http_put_header(&headers, "x-ms-error-code", sk_span_z(errors[error].code));
    sk_http_put_header(&headers, "Content-Type", SK_SPAN("application/xml"));
    sk_buffer_text(&xml, "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error>");
    blob_put_xml(&xml, "Code", sk_span_z(errors[error].code));
    blob_put_xml(&xml, "Message", sk_span_z(errors[error].sentence));
    sk_buffer_text(&xml, "</Error>");
    blob_answered(r, errors[error].status, error);
    sk_http_respond(r->exchange, errors[error].status, sk_buffer_span(&headers),
                    sk_buffer_span(&xml));
    sk_buffer_free(&headers);
    sk_buffer_free(&xml);
}

void blob_refuse_status(struct blob_request *r, enum sk_status status) {
    switch (status) {
    case SK_NO_SPACE: blob_refuse(r, BLOB_NO_SPACE); break;
    case SK_NOT_FOUND: blob_refuse(r, BLOB_BLOB_NOT_FOUND); break;
    case SK_CLOSED: blob_refuse(r, BLOB_BUSY); break;
    default: blob_refuse(r, BLOB_INTERNAL);
    }
}

void blob_put_xml(struct sk_buffer *to, const char *element, struct sk_span text) {
    sk_buffer_print(to, "<%s>", element);
    for (size_t i = 0; i < text.n; i++) {
        switch (text.p[i]) {
        case '<': sk_buffer_text(to, "&lt;"); break;
        case '>': sk_buffer_text(to, "&gt;"); break;
        case '&': sk_buffer_text(to, "&amp;"); break;
        default: sk_buffer_byte(to, text.p[i]);
        }
    }
    sk_buffer_print(to, "</%s>", element);
}

void blob_put_time(struct sk_buffer *to, const char *name, int64_t wall_us) {
    char text[SK_TIME_HTTP_TEXT];
    sk_time_http_text(wall_us, text);
    sk_http_put_header(to, name, sk_span_z(text));
}

void blob_put_state(struct sk_buffer *to, const json_t *record) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\"", json_string_value(json_object_get(record, "etag")));
    sk_http_put_header(to, "ETag", sk_span_z(quoted));
    blob_put_time(to, "Last-Modified", json_integer_value(json_object_get(record, "modified")));
}

/* As a blob's document and answers name them, and as requests do. */
static const char *const kept[][2] = {{"Content-Type", "x-ms-blob-content-type"},
                                      {"Content-Encoding", "x-ms-blob-content-encoding"},
                                      {"Content-Language", "x-ms-blob-content-language"},
                                      {"Content-MD5", "x-ms-blob-content-md5"},
                                      {"Content-Disposition", "x-ms-blob-content-disposition"},
                                      {"Cache-Control", "x-ms-blob-cache-control"}};

void blob_put_properties(struct sk_buffer *to, const json_t *record) {
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(record, "headers"), name, value)
        sk_http_put_header(to, name, sk_span_z(json_string_value(value)));
}

bool blob_is_metadata(struct sk_span name) {
    return sk_span_starts_nocase(name, SK_SPAN(BLOB_METADATA));
}

json_t *blob_take_properties(const struct blob_request *r) {
    const struct sk_http_parser *http = r->exchange->request;
    json_t *headers = json_object();
    struct sk_span name, value;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        value = sk_http_header(http, kept[i][1]);
        if (value.n) json_object_set_new(headers, kept[i][0], json_stringn(value.p, value.n));
    }
    if (json_object_get(headers, "Content-Type") == NULL)
        json_object_set_new(headers, "Content-Type", json_string("application/octet-stream"));
    for (unsigned i = 0; sk_http_header_at(http, i, &name, &value); i++) {
        if (!blob_is_metadata(name)) continue;
        SK_CLEANUP_FREE char *text = sk_span_dup(name);
        json_object_set_new(headers, text, json_stringn(value.p, value.n));
    }
    return headers;
}
