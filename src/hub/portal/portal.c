/* The portal: a page that is embedded in the program, and asks the hub's own REST API from the
 * browser. Nothing here knows anybody, there is no cookie and no session:
 * docs/decisions/0043-a-portal-without-sessions.md. */
#include "hub/portal/parts.h"
#include "net/http_server.h"

#include <zlib.h>

#define ROOT SK_SPAN("/portal")
#define INDEX SK_SPAN("index.html")
#define ASSETS SK_SPAN("assets/")

/* Nothing that a device has said is executed, and nobody frames the page. */
static const char *const guards[][2] = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
     "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
     "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Permissions-Policy", "camera=(), geolocation=(), microphone=()"},
};

static void put_headers(struct sk_buffer *to, const char *type, const char *cache) {
    sk_http_put_header(to, "Content-Type", sk_span_z(type));
    sk_http_put_header(to, "Cache-Control", sk_span_z(cache));
    for (size_t i = 0; i < sizeof guards / sizeof *guards; i++)
        sk_http_put_header(to, guards[i][0], sk_span_z(guards[i][1]));
}

/* A sentence for people; `more`: further headers, or empty. */
static void say(struct sk_http_exchange *exchange, unsigned status, struct sk_span more,
                const char *sentence) {
    struct sk_buffer headers = {0};
    put_headers(&headers, "text/plain; charset=utf-8", "no-store");
    sk_buffer_append(&headers, more);
    sk_http_respond(exchange, status, sk_buffer_span(&headers), sk_span_z(sentence));
    sk_buffer_free(&headers);
}

/* ---- what the browser has and takes ---- */

/* Whether one of a header's values, apart from its parameters, is `name`; the parameters are in
 * *rest. */
static bool lists(struct sk_span header, struct sk_span name, struct sk_span *rest) {
    struct sk_span value;
    while (sk_span_split(&header, ',', &value)) {
        size_t end = sk_span_find(value, ';');
        *rest = sk_span_trim(sk_span_skip(value, end + 1));
        if (sk_span_eq_nocase(sk_span_trim(sk_span_first(value, end)), name)) return true;
    }
    return false;
}

/* Who would rather not ("q=0.1") gets none either. */
static bool takes_gzip(const struct sk_http_parser *http) {
    struct sk_span quality;
    return lists(sk_http_header(http, "Accept-Encoding"), SK_SPAN("gzip"), &quality) &&
           !sk_span_eq_nocase(sk_span_first(quality, 3), SK_SPAN("q=0"));
}

static bool has_it(const struct sk_http_parser *http, struct sk_span etag) {
    struct sk_span known = sk_http_header(http, "If-None-Match"), rest;
    return lists(known, etag, &rest) || sk_span_is(sk_span_trim(known), "*");
}

/* ---- files ---- */

static const struct portal_file *find(struct portal_files files, struct sk_span name) {
    for (size_t i = 0; i < files.count; i++)
        if (sk_span_eq(sk_span_z(files.at[i].name), name)) return &files.at[i];
    return NULL;
}

/* For who takes no gzip. */
static struct sk_span plain(struct sk_arena *arena, const struct portal_file *file) {
    unsigned char *text = sk_arena_alloc(arena, file->plain_n + 1);
    z_stream stream = {.next_in = (unsigned char *)file->gzip,
                       .avail_in = (unsigned)file->gzip_n,
                       .next_out = text,
                       .avail_out = (unsigned)file->plain_n + 1};
    int begun = inflateInit2(&stream, 16 + MAX_WBITS), end = inflate(&stream, Z_FINISH);
    SK_ASSERT(begun == Z_OK && end == Z_STREAM_END && stream.total_out == file->plain_n);
    inflateEnd(&stream);
    return sk_span((const char *)text, file->plain_n);
}

static void send_file(struct sk_http_exchange *exchange, const struct portal_file *file) {
    const struct sk_http_parser *http = exchange->request;
    struct sk_span etag = sk_arena_print(&exchange->arena, "W/\"%s\"", file->hash);
    struct sk_buffer headers = {0};
    bool gzip = takes_gzip(http), had = has_it(http, etag);
    put_headers(&headers, file->type,
                file->hashed ? "public, max-age=31536000, immutable" : "no-cache");
    sk_http_put_header(&headers, "ETag", etag);
    sk_http_put_header(&headers, "Vary", SK_SPAN("Accept-Encoding"));
    if (gzip && !had) sk_http_put_header(&headers, "Content-Encoding", SK_SPAN("gzip"));
    struct sk_span body = had    ? SK_NONE
                          : gzip ? sk_span((const char *)file->gzip, file->gzip_n)
                                 : plain(&exchange->arena, file);
    sk_http_respond(exchange, had ? 304 : 200, sk_buffer_span(&headers), body);
    sk_buffer_free(&headers);
}

/* The page's own addresses (/portal/devices/d1/twin) all are the page; what leads out of the
 * folder, and files of another build, are nothing. */
static bool is_page(struct sk_arena *arena, struct sk_span name) {
    struct sk_span rest = name, segment;
    if (sk_span_starts(name, ASSETS)) return false;
    while (sk_span_split(&rest, '/', &segment)) {
        segment = sk_percent_decoded(arena, segment);
        if (sk_span_is(segment, ".") || sk_span_is(segment, "..")) return false;
    }
    return true;
}

void portal_answer(struct sk_http_exchange *exchange, struct portal_files files) {
    const struct sk_http_parser *http = exchange->request;
    struct sk_span name = sk_span_skip(http->path, ROOT.n + 1);
    if (http->method != SK_HTTP_GET && http->method != SK_HTTP_HEAD) {
        say(exchange, 405, SK_SPAN("Allow: GET, HEAD\r\n"), "The portal is read with GET.\n");
        return;
    }
    if (files.count == 0) {
        say(exchange, 404, SK_NONE,
            "This hub was built without the portal. script/build with Node.js at hand builds it "
            "in.\n");
        return;
    }
    if (sk_span_eq(http->path, ROOT)) {
        say(exchange, 308, SK_SPAN("Location: /portal/\r\n"), "The portal is at /portal/.\n");
        return;
    }
    const struct portal_file *file = find(files, name);
    if (file == NULL && is_page(&exchange->arena, name)) file = find(files, INDEX);
    if (file)
        send_file(exchange, file);
    else
        say(exchange, 404, SK_NONE, "The portal has no such file.\n");
}

bool hub_portal_exchange(struct sk_http_exchange *exchange) {
    struct sk_span path = exchange->request->path;
    if (!sk_span_starts(path, ROOT) || (path.n > ROOT.n && path.p[ROOT.n] != '/')) return false;
    portal_answer(exchange, portal_files());
    return true;
}
