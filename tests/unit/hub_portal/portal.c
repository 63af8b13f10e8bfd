/* The portal's files over HTTP: what is there, how it is packed, what a browser may do with it. */
#include <zlib.h>

#include "hub/portal/parts.h"
#include "io/sim/sim.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "support/test.h"

#define PAGE "<!doctype html><title>Skerry</title>"
#define SCRIPT "export const a = 1;"

static struct sk_sim *sim;
static struct sk_http_listener *listener;
static struct sk_http_client *client;
static unsigned char page_gzip[200], script_gzip[200];
static struct portal_file table[] = {
    {"assets/app-1a2b.js", "text/javascript", "1a2b", true, script_gzip, 0, sizeof SCRIPT - 1},
    {"index.html", "text/html; charset=utf-8", "3c4d", false, page_gzip, 0, sizeof PAGE - 1}};
static struct portal_files files;

static struct {
    unsigned status;
    char body[300], etag[40], encoding[20], cache[60], policy[400], frame[20], location[40],
        allow[20], type[40];
    size_t body_n;
} heard;

static size_t packed(unsigned char *to, size_t size, const char *text) {
    z_stream stream = {.next_in = (unsigned char *)text,
                       .avail_in = (unsigned)strlen(text),
                       .next_out = to,
                       .avail_out = (unsigned)size};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, 0), Z_OK);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return stream.total_out;
}

static void handle(void *arg, struct sk_http_exchange *exchange) {
    (void)arg;
    portal_answer(exchange, files);
}
static const struct sk_http_service service = {.handler = handle, .body_max = 100};

static int set_up(void **state) {
    (void)state;
    uint16_t port;
    table[0].gzip_n = packed(script_gzip, sizeof script_gzip, SCRIPT);
    table[1].gzip_n = packed(page_gzip, sizeof page_gzip, PAGE);
    files = (struct portal_files){table, 2};
    sim = sk_sim_new(&(struct sk_sim_options){.seed = 3});
    struct sk_io *there = sk_sim_node(sim, "there"), *here = sk_sim_node(sim, "here");
    assert_int_equal(sk_http_listen(there, &(struct sk_endpoint){.host = "0.0.0.0", .port = 80},
                                    NULL, &service, &listener, &port),
                     SK_OK);
    return sk_http_client_new(here,
                              &(struct sk_http_client_options){.to = {.host = "there", .port = 80}},
                              &client) != SK_OK;
}

static int tear_down(void **state) {
    (void)state;
    sk_http_client_free(client);
    sk_http_listener_close(listener);
    sk_sim_run(sim, 10 * SK_S);
    sk_sim_free(sim);
    return 0;
}
AROUND(set_up, tear_down);

static void take(char *to, size_t size, const struct sk_http_parser *answer, const char *name) {
    snprintf(to, size, "%.*s", SK_ARG(sk_http_header(answer, name)));
}
#define TAKE(field, name) take(heard.field, sizeof heard.field, answer, name)

static void on_done(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    (void)arg;
    assert_int_equal(status, SK_OK);
    heard.status = answer->status;
    heard.body_n = answer->body.n;
    assert_true(answer->body.n < sizeof heard.body);
    if (answer->body.n) memcpy(heard.body, answer->body.p, answer->body.n);
    TAKE(etag, "ETag");
    TAKE(encoding, "Content-Encoding");
    TAKE(cache, "Cache-Control");
    TAKE(policy, "Content-Security-Policy");
    TAKE(frame, "X-Frame-Options");
    TAKE(location, "Location");
    TAKE(allow, "Allow");
    TAKE(type, "Content-Type");
}

static void ask(enum sk_http_method method, const char *target, const char *header,
                const char *value) {
    struct sk_http_pair pair = {header, sk_span_z(value)};
    memset(&heard, 0, sizeof heard);
    sk_http_client_send(client, &(struct sk_http_ask){.method = method,
                                                      .target = sk_span_z(target),
                                                      .headers = &pair,
                                                      .header_count = header != NULL,
                                                      .done = on_done});
    sk_sim_run(sim, SK_S);
    assert_true(heard.status);
}

static void get(const char *target) {
    ask(SK_HTTP_GET, target, NULL, NULL);
}

static void is_page(void) {
    assert_int_equal(heard.status, 200);
    assert_string_equal(heard.body, PAGE);
    assert_string_equal(heard.type, "text/html; charset=utf-8");
}

TEST(the_page_s_own_addresses_are_the_page) {
    static const char *const targets[] = {"/portal/", "/portal/index.html", "/portal/devices",
                                          "/portal/devices/a.b%2Fc/twin?x=1", "/portal/assetsx"};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        get(targets[i]);
        is_page();
        assert_string_equal(heard.cache, "no-cache");
    }
}

TEST(the_folder_without_its_slash_leads_there) {
    get("/portal");
    assert_int_equal(heard.status, 308);
    assert_string_equal(heard.location, "/portal/");
}

TEST(a_file_whose_name_is_its_hash_is_kept_for_good) {
    get("/portal/assets/app-1a2b.js");
    assert_string_equal(heard.body, SCRIPT);
    assert_string_equal(heard.cache, "public, max-age=31536000, immutable");
}

TEST(what_is_not_there_and_what_leads_out_is_404) {
    static const char *const targets[] = {"/portal/assets/app-0000.js",  "/portal/assets/",
                                          "/portal/../devices",          "/portal/..",
                                          "/portal/%2e%2E/hub.toml",     "/portal/a/./b",
                                          "/portal/assets/../index.html"};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        get(targets[i]);
        assert_int_equal(heard.status, 404);
        assert_string_equal(heard.cache, "no-store");
    }
}

TEST(who_takes_gzip_gets_it_and_others_the_text) {
    static const char *const takes[] = {"gzip", "deflate, GZIP;q=1.0, br"};
    static const char *const does_not[] = {"br", "gzip;q=0", "xgzip", ""};
    for (size_t i = 0; i < 2; i++) {
        ask(SK_HTTP_GET, "/portal/", "Accept-Encoding", takes[i]);
        assert_string_equal(heard.encoding, "gzip");
        assert_int_equal(heard.body_n, table[1].gzip_n);
        assert_memory_equal(heard.body, page_gzip, heard.body_n);
    }
    for (size_t i = 0; i < 4; i++) {
        ask(SK_HTTP_GET, "/portal/", "Accept-Encoding", does_not[i]);
        assert_string_equal(heard.encoding, "");
        is_page();
    }
}

TEST(what_the_browser_has_is_not_sent_again) {
    static const char *const has[] = {"W/\"3c4d\"", "\"x\", W/\"3c4d\"", "*"};
    for (size_t i = 0; i < 3; i++) {
        ask(SK_HTTP_GET, "/portal/", "If-None-Match", has[i]);
        assert_int_equal(heard.status, 304);
        assert_int_equal(heard.body_n, 0);
        assert_string_equal(heard.etag, "W/\"3c4d\"");
    }
    ask(SK_HTTP_GET, "/portal/", "If-None-Match", "W/\"3c4\"");
    is_page();
}

TEST(head_has_the_headers_alone_and_other_methods_are_refused) {
    ask(SK_HTTP_HEAD, "/portal/", NULL, NULL);
    assert_int_equal(heard.status, 200);
    assert_int_equal(heard.body_n, 0);
    assert_string_equal(heard.etag, "W/\"3c4d\"");
    ask(SK_HTTP_POST, "/portal/", NULL, NULL);
    assert_int_equal(heard.status, 405);
    assert_string_equal(heard.allow, "GET, HEAD");
}

TEST(every_answer_forbids_frames_foreign_code_and_inline_code) {
    static const char *const targets[] = {"/portal", "/portal/", "/portal/assets/app-1a2b.js",
                                          "/portal/assets/none"};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        get(targets[i]);
        assert_non_null(strstr(heard.policy, "default-src 'none'; script-src 'self'; "));
        assert_non_null(strstr(heard.policy, "frame-ancestors 'none'"));
        assert_null(strstr(heard.policy, "unsafe"));
        assert_string_equal(heard.frame, "DENY");
    }
}

TEST(a_hub_that_was_built_without_it_says_so) {
    files = (struct portal_files){0};
    get("/portal/devices");
    assert_int_equal(heard.status, 404);
    assert_non_null(strstr(heard.body, "built without the portal"));
    assert_non_null(strstr(heard.policy, "default-src 'none'"));
}
