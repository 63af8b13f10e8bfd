/* The parser. Writers are in http_put.c. */
#include "wire/http.h"

enum {
    HEADER_OVERHEAD = 4, /* ": " and the line end count too, so that empty headers are bounded */
    FRAMING_MAX = 2 * 16 * 1024, /* between two pieces of a body: sizes, extensions, trailers */
};

static enum sk_http_method method_of(unsigned llhttp_method) {
    switch (llhttp_method) {
    case HTTP_GET: return SK_HTTP_GET;
    case HTTP_HEAD: return SK_HTTP_HEAD;
    case HTTP_POST: return SK_HTTP_POST;
    case HTTP_PUT: return SK_HTTP_PUT;
    case HTTP_PATCH: return SK_HTTP_PATCH;
    case HTTP_DELETE: return SK_HTTP_DELETE;
    case HTTP_OPTIONS: return SK_HTTP_OPTIONS;
    case HTTP_CONNECT: return SK_HTTP_CONNECT;
    default: return SK_HTTP_OTHER;
    }
}

static int refuse(struct sk_http_parser *parser, unsigned status) {
    parser->refusal = status;
    return HPE_USER;
}

/* Appends bytes of the head; trailers are only counted. */
static int keep(struct sk_http_parser *parser, const char *at, size_t n) {
    parser->head_size += n;
    if (parser->head_size > (parser->request ? SK_HTTP_REQUEST_HEAD_MAX : SK_HTTP_HEAD_MAX))
        return refuse(parser, 431);
    if (!parser->headers_done) sk_buffer_append(&parser->head, sk_span(at, n));
    return 0;
}

static int on_begin(llhttp_t *llhttp) {
    struct sk_http_parser *parser = llhttp->data;
    parser->began = true;
    return 0;
}

static int on_target(llhttp_t *llhttp, const char *at, size_t n) {
    struct sk_http_parser *parser = llhttp->data;
    if (parser->head_size + n > SK_HTTP_TARGET_MAX) return refuse(parser, 414);
    parser->target_size += n;
    return keep(parser, at, n);
}

static int on_field(llhttp_t *llhttp, const char *at, size_t n) {
    return keep(llhttp->data, at, n);
}

static int on_field_complete(llhttp_t *llhttp) {
    struct sk_http_parser *parser = llhttp->data;
    if (parser->headers_done) return 0;
    if (parser->header_count == SK_HTTP_HEADERS_MAX) return refuse(parser, 431);
    struct sk_http_slot *slot = &parser->slots[parser->header_count];
    const struct sk_http_slot *before = slot - 1;
    slot->name =
        (uint16_t)(parser->header_count ? before->value + before->value_size : parser->target_size);
    slot->name_size = (uint16_t)(parser->head.n - slot->name);
    slot->value = (uint16_t)parser->head.n;
    return 0;
}

static int on_value_complete(llhttp_t *llhttp) {
    struct sk_http_parser *parser = llhttp->data;
    parser->head_size += HEADER_OVERHEAD;
    if (parser->headers_done) return 0;
    struct sk_http_slot *slot = &parser->slots[parser->header_count++];
    slot->value_size = (uint16_t)(parser->head.n - slot->value);
    return 0;
}

/* Always pauses: sk_http_feed goes on from there. */
static int on_headers(llhttp_t *llhttp) {
    struct sk_http_parser *parser = llhttp->data;
    parser->headers_done = true;
    unsigned status = parser->request ? 200 : llhttp->status_code;
    bool bodiless = status / 100 == 1 || status == 204 ||
                    status == 304; /* RFC 9112, 6.3: whatever their headers say */
    if (parser->no_body || bodiless) llhttp->flags |= F_SKIPBODY;
    return HPE_PAUSED;
}

/* Counts what was eaten behind the headers and is no body; false: it is too much. */
static bool count_framing(struct sk_http_parser *parser, const char *to) {
    parser->framing += (size_t)(to - parser->uncounted);
    parser->uncounted = to;
    if (parser->framing <= FRAMING_MAX) return true;
    refuse(parser, 400);
    return false;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t n) {
    struct sk_http_parser *parser = llhttp->data;
    if (!count_framing(parser, at)) return HPE_USER;
    parser->framing = 0;
    parser->uncounted = at + n;
    if (!parser->stream && parser->body.n + n > parser->body_max) return refuse(parser, 413);
    sk_buffer_append(&parser->body, sk_span(at, n));
    return 0;
}

static int on_complete(llhttp_t *llhttp) {
    struct sk_http_parser *parser = llhttp->data;
    parser->complete = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_message_begin = on_begin,
    .on_url = on_target,
    .on_header_field = on_field,
    .on_header_field_complete = on_field_complete,
    .on_header_value = on_field,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_headers,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

void sk_http_parser_init(struct sk_http_parser *parser, bool request) {
    memset(parser, 0, sizeof *parser);
    parser->request = request;
    llhttp_init(&parser->llhttp, request ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
}

void sk_http_parser_free(struct sk_http_parser *parser) {
    sk_buffer_free(&parser->head);
    sk_buffer_free(&parser->body);
}

bool sk_http_parser_is_idle(const struct sk_http_parser *parser) {
    return !parser->began || parser->complete;
}

/* Forgets the message, not the user's settings: they may be for the next one already. */
static void forget(struct sk_http_parser *parser) {
    parser->method = SK_HTTP_GET;
    parser->status = 0;
    parser->target = parser->path = parser->query = SK_NONE;
    parser->keep_alive = parser->expect_continue = parser->upgrade = false;
    parser->content_length = 0;
    parser->head.n = parser->body.n = 0;
    parser->target_size = parser->head_size = parser->framing = 0;
    parser->header_count = 0;
    parser->began = parser->headers_done = parser->complete = parser->after_cr = false;
    llhttp_reset(&parser->llhttp);
}

void sk_http_parser_idle(struct sk_http_parser *parser) {
    if (!sk_http_parser_is_idle(parser)) return;
    if (parser->complete) forget(parser);
    sk_buffer_shrink(&parser->head, 0);
    sk_buffer_shrink(&parser->body, 0);
}

/* Splits the target; in absolute form ("http://host/path", RFC 9112, 3.2.2) the path follows the
 * authority. */
static void split_target(struct sk_http_parser *parser) {
    struct sk_span rest = parser->target = sk_span(parser->head.p, parser->target_size);
    if (rest.n && rest.p[0] != '/') {
        size_t colon = sk_span_find(rest, ':');
        if (sk_span_starts(sk_span_skip(rest, colon), SK_SPAN("://"))) {
            rest = sk_span_skip(rest, colon + 3);
            rest = sk_span_skip(rest, sk_span_find(rest, '/'));
            if (rest.n == 0) rest = SK_SPAN("/");
        }
    }
    rest = sk_span_first(rest, sk_span_find(rest, '#'));
    size_t question = sk_span_find(rest, '?');
    parser->path = sk_span_first(rest, question);
    parser->query = question < rest.n ? sk_span_skip(rest, question + 1) : SK_NONE;
}

/* Reads the headers that decide how the message goes on. */
static enum sk_status take_headers(struct sk_http_parser *parser, bool *has_body) {
    llhttp_t *llhttp = &parser->llhttp;
    if (llhttp->http_major != 1) {
        parser->refusal = 505;
        return SK_MALFORMED;
    }
    bool length_known = llhttp->flags & F_CONTENT_LENGTH && !(llhttp->flags & F_CHUNKED);
    *has_body = llhttp->flags & F_CHUNKED ||
                (length_known ? llhttp->content_length > 0 : llhttp_message_needs_eof(llhttp) != 0);
    if (llhttp->flags & F_SKIPBODY) *has_body = false;
    parser->content_length = !*has_body     ? 0
                             : length_known ? llhttp->content_length
                                            : SK_HTTP_LENGTH_UNKNOWN;
    parser->keep_alive = llhttp_should_keep_alive(llhttp);
    parser->upgrade = llhttp->upgrade;
    if (!parser->request) {
        parser->status = llhttp->status_code;
        return SK_OK;
    }
    parser->method = method_of(llhttp->method);
    split_target(parser);
    parser->expect_continue =
        *has_body && llhttp->http_minor && sk_http_header_has(parser, "Expect", "100-continue");
    unsigned hosts = 0, encodings = 0;
    struct sk_span name, value;
    for (unsigned i = 0; sk_http_header_at(parser, i, &name, &value); i++) {
        hosts += sk_span_eq_nocase(name, SK_SPAN("Host"));
        if (!sk_span_eq_nocase(name, SK_SPAN("Transfer-Encoding"))) continue;
        encodings += sk_span_eq_nocase(value, SK_SPAN("chunked")) ? 1 : 2;
    }
    /* RFC 9112, 3.2; and what others may read in another way (6.1) is none of the encodings we
     * know. */
    if (hosts > 1 || (hosts == 0 && llhttp->http_minor) || encodings > 1) {
        parser->refusal = 400;
        return SK_MALFORMED;
    }
    return SK_OK;
}

/* llhttp 8 ends header lines at a CR without LF, which other HTTP software reads as part of the
 * value: a way to smuggle headers. */
static bool lone_cr(struct sk_http_parser *parser, struct sk_span head) {
    for (size_t i = 0; i < head.n; i++) {
        if (parser->after_cr && head.p[i] != '\n') return true;
        const char *cr = memchr(head.p + i, '\r', head.n - i);
        parser->after_cr = cr != NULL;
        if (cr == NULL) return false;
        i = (size_t)(cr - head.p);
    }
    return false;
}

static enum sk_status failed(struct sk_http_parser *parser, enum llhttp_errno code) {
    if (parser->refusal == 0)
        parser->refusal = code == HPE_INVALID_VERSION || code == HPE_PAUSED_H2_UPGRADE ? 505 : 400;
    return parser->refusal == 413 || parser->refusal == 414 || parser->refusal == 431
               ? SK_TOO_LARGE
               : SK_MALFORMED;
}

/* The message is complete: the user's settings for it end here, so that he can make those for the
 * next one. */
static enum sk_status ended(struct sk_http_parser *parser, enum sk_http_event *event) {
    parser->no_body = parser->stream = false;
    *event = SK_HTTP_MESSAGE;
    return SK_OK;
}

enum sk_status sk_http_feed(struct sk_http_parser *parser, struct sk_span bytes, size_t *used,
                            enum sk_http_event *event) {
    llhttp_t *llhttp = &parser->llhttp;
    const char *from = bytes.p ? bytes.p : "";
    const char *at = from, *end = from + bytes.n;
    *event = SK_HTTP_MORE;
    *used = 0;
    if (parser->refusal) return failed(parser, HPE_USER);
    if (parser->complete)
        forget(parser);
    else if (parser->stream)
        parser->body.n = 0;
    llhttp->data = parser;
    if (parser->headers_done && llhttp->error == HPE_PAUSED) { /* the user has seen the headers */
        if (!parser->stream && parser->content_length != SK_HTTP_LENGTH_UNKNOWN &&
            parser->content_length > parser->body_max)
            return refuse(parser, 413), SK_TOO_LARGE;
        llhttp_resume(llhttp);
    }
    for (;;) {
        bool in_head = !parser->headers_done;
        parser->uncounted = at;
        enum llhttp_errno code = llhttp_execute(llhttp, at, (size_t)(end - at));
        const char *stopped = code == HPE_OK ? end : llhttp_get_error_pos(llhttp);
        if (in_head && parser->refusal == 0 &&
            lone_cr(parser, sk_span(at, (size_t)(stopped - at)))) {
            parser->refusal = 400;
            return SK_MALFORMED;
        }
        if (!in_head && parser->refusal == 0 && !count_framing(parser, stopped))
            return SK_MALFORMED;
        at = stopped;
        *used = (size_t)(at - from);
        if (code == HPE_OK) {
            if (parser->stream && parser->body.n) *event = SK_HTTP_BODY;
            return SK_OK;
        }
        if (code != HPE_PAUSED) return failed(parser, code);
        if (parser->complete) {
            if (!parser->request && parser->status / 100 == 1 &&
                parser->status != 101) { /* interim: the answer follows */
                forget(parser);
                continue;
            }
            return ended(parser, event);
        }
        bool has_body;
        if (take_headers(parser, &has_body)) return SK_MALFORMED;
        if (has_body) {
            *event = SK_HTTP_HEADERS;
            return SK_OK;
        }
        llhttp_resume(llhttp);
    }
}

enum sk_status sk_http_finish(struct sk_http_parser *parser, enum sk_http_event *event) {
    *event = SK_HTTP_MORE;
    if (parser->refusal) return SK_MALFORMED;
    if (sk_http_parser_is_idle(parser)) return SK_OK;
    if (parser->stream) parser->body.n = 0;
    llhttp_t *llhttp = &parser->llhttp;
    llhttp->data = parser;
    parser->uncounted = "";
    if (llhttp->error == HPE_PAUSED) { /* ended right behind the headers */
        llhttp_resume(llhttp);
        llhttp_execute(llhttp, "", 0);
    }
    if (!parser->complete) llhttp_finish(llhttp);
    if (!parser->complete) {
        parser->refusal = 400;
        return SK_MALFORMED;
    }
    return ended(parser, event);
}

unsigned sk_http_refusal(const struct sk_http_parser *parser) {
    return parser->refusal;
}

bool sk_http_header_at(const struct sk_http_parser *parser, unsigned index, struct sk_span *name,
                       struct sk_span *value) {
    if (index >= parser->header_count) return false;
    const struct sk_http_slot *slot = &parser->slots[index];
    *name = sk_span(parser->head.p + slot->name, slot->name_size);
    *value = sk_span_trim(sk_span(parser->head.p + slot->value, slot->value_size));
    return true;
}

struct sk_span sk_http_header(const struct sk_http_parser *parser, const char *wanted) {
    struct sk_span name, value;
    for (unsigned i = 0; sk_http_header_at(parser, i, &name, &value); i++)
        if (sk_span_eq_nocase(name, sk_span_z(wanted))) return value;
    return SK_NONE;
}

bool sk_http_header_has(const struct sk_http_parser *parser, const char *wanted,
                        const char *token) {
    struct sk_span name, value, part;
    for (unsigned i = 0; sk_http_header_at(parser, i, &name, &value); i++) {
        if (!sk_span_eq_nocase(name, sk_span_z(wanted))) continue;
        while (sk_span_split(&value, ',', &part))
            if (sk_span_eq_nocase(sk_span_trim(part), sk_span_z(token))) return true;
    }
    return false;
}

struct sk_span sk_http_query(struct sk_span query, const char *wanted) {
    struct sk_span part;
    while (sk_span_split(&query, '&', &part)) {
        size_t equals = sk_span_find(part, '=');
        if (sk_span_eq_nocase(sk_span_first(part, equals), sk_span_z(wanted)))
            return sk_span_skip(part, equals + 1);
    }
    return SK_NONE;
}
