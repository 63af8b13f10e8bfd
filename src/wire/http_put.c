/* Writing HTTP messages. */
#include "wire/http.h"

const char *sk_http_method_name(enum sk_http_method method) {
    static const char *const names[] = {"GET",   "HEAD",   "POST",    "PUT",
                                        "PATCH", "DELETE", "OPTIONS", "CONNECT"};
    return method < SK_HTTP_OTHER ? names[method] : "";
}

const char *sk_http_reason(unsigned status) {
    static const struct {
        unsigned status;
        const char *reason;
    } reasons[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {499, "Client Closed Request"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status) return reasons[i].reason;
    return "Unknown";
}

void sk_http_put_status(struct sk_buffer *to, unsigned status) {
    sk_buffer_print(to, "HTTP/1.1 %u %s\r\n", status, sk_http_reason(status));
}

void sk_http_put_continue(struct sk_buffer *to) {
    sk_http_put_status(to, 100);
    sk_http_put_end(to);
}

void sk_http_put_request(struct sk_buffer *to, enum sk_http_method method, struct sk_span target,
                         struct sk_span host) {
    sk_buffer_text(to, sk_http_method_name(method));
    sk_buffer_byte(to, ' ');
    sk_buffer_append(to, target);
    sk_buffer_text(to, " HTTP/1.1\r\n");
    sk_http_put_header(to, "Host", host);
}

void sk_http_put_header(struct sk_buffer *to, const char *name, struct sk_span value) {
    sk_buffer_text(to, name);
    sk_buffer_text(to, ": ");
    size_t from = to->n;
    sk_buffer_append(to, value);
    for (size_t i = from; i < to->n; i++)
        if ((unsigned char)to->p[i] < 0x20 || to->p[i] == 0x7f) to->p[i] = ' ';
    sk_buffer_text(to, "\r\n");
}

void sk_http_put_end(struct sk_buffer *to) {
    sk_buffer_text(to, "\r\n");
}

void sk_http_put_body(struct sk_buffer *to, struct sk_span body) {
    sk_buffer_print(to, "Content-Length: %zu\r\n\r\n", body.n);
    sk_buffer_append(to, body);
}

void sk_http_put_chunked(struct sk_buffer *to) {
    sk_buffer_text(to, "Transfer-Encoding: chunked\r\n\r\n");
}

void sk_http_put_chunk(struct sk_buffer *to, struct sk_span bytes) {
    if (bytes.n == 0) return; /* would end the body */
    sk_buffer_print(to, "%zx\r\n", bytes.n);
    sk_buffer_append(to, bytes);
    sk_buffer_text(to, "\r\n");
}

void sk_http_put_last_chunk(struct sk_buffer *to) {
    sk_buffer_text(to, "0\r\n\r\n");
}

/* Takes the next line of `*rest`; CR, LF and CRLF end lines, as for the reader of the stream. */
static bool take_line(struct sk_span *rest, struct sk_span *line) {
    if (rest->p == NULL) return false;
    size_t n = 0;
    while (n < rest->n && rest->p[n] != '\n' && rest->p[n] != '\r') n++;
    *line = sk_span_first(*rest, n);
    if (n == rest->n) {
        *rest = SK_NONE;
    } else {
        bool both = rest->p[n] == '\r' && n + 1 < rest->n && rest->p[n + 1] == '\n';
        *rest = sk_span_skip(*rest, n + (both ? 2 : 1));
    }
    return true;
}

static size_t put_event_line(struct sk_buffer *to, const char *field, struct sk_span value) {
    if (to) {
        sk_buffer_text(to, field);
        sk_buffer_append(to, value);
        sk_buffer_byte(to, '\n');
    }
    return strlen(field) + value.n + 1;
}

/* Writes the event's lines, or only counts their bytes (to == NULL). */
static size_t put_event_lines(struct sk_buffer *to, struct sk_span event, struct sk_span id,
                              struct sk_span data) {
    size_t size = 0;
    if (event.n) size += put_event_line(to, "event: ", event);
    if (id.n) size += put_event_line(to, "id: ", id);
    if (data.p == NULL) data = SK_SPAN("");
    struct sk_span line;
    while (take_line(&data, &line)) size += put_event_line(to, "data: ", line);
    return size + put_event_line(to, "", SK_NONE);
}

void sk_http_put_event(struct sk_buffer *to, struct sk_span event, struct sk_span id,
                       struct sk_span data) {
    sk_buffer_print(to, "%zx\r\n", put_event_lines(NULL, event, id, data));
    put_event_lines(to, event, id, data);
    sk_buffer_text(to, "\r\n");
}
