/* Every REST operation with everything that may be wrong with a request: it is refused with a
 * status of the client's, a code and a sentence in the form that SDKs read, and nothing has
 * changed. */
#include "azure/http_paths.h"
#include "support/raw_http.h"
#include "support/test.h"

static int start(void **state) {
    fleet_new_world(state);
    struct fleet *f = *state;
    fleet_put(f, "/devices/d1/modules/m1", "{\"deviceId\":\"d1\",\"moduleId\":\"m1\"}");
    assert_null(fleet_reload(f, FLEET_TOML_HUB FLEET_TOML_OWNER FLEET_TOML_READER));
    return 0;
}

AROUND(start, fleet_free_world);

/* A path with ids of what is there, or with one id that is as `id` says. */
static void put_path(struct sk_buffer *to, const char *pattern, const char *id) {
    struct sk_span rest = sk_span_z(pattern), segment;
    while (sk_span_split(&rest, '/', &segment)) {
        if (segment.n == 0) continue;
        sk_buffer_byte(to, '/');
        if (segment.p[0] != '{')
            sk_buffer_append(to, segment);
        else if (id)
            sk_buffer_text(to, id);
        else
            sk_buffer_text(to, sk_span_is(segment, "{device}") ? "d1"
                               : sk_span_is(segment, "{hub}")  ? "test"
                                                               : "m1");
    }
}

/* What must not change: the identities and twins that are there, the hub itself, and what hub.toml
 * says. */
static char *picture(struct fleet *f) {
    struct sk_buffer text = {0};
    static const char *const paths[] = {
        "/devices/d2",     "/devices/d1/modules",
        "/twins/d2",       "/certificates",
        "/configurations", "/subscriptions/s/providers/Microsoft.Devices/IotHubs"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        fleet_call(f, SK_HTTP_GET, paths[i], NULL);
        sk_buffer_print(&text, "%u %s\n", f->status, f->answer ? f->answer : "");
    }
    assert_int_equal(sk_file_load(f->hub_io, "hub.toml", &text), SK_OK);
    sk_buffer_byte(&text, 0);
    return text.p;
}

struct wrong {
    const char *what;
    const char *query;   /* NULL: a good one */
    const char *id;      /* in place of each id */
    const char *headers; /* more */
    const char *body;    /* of those that take JSON; others are not asked */
    bool no_token, only_reads;
    bool no_version; /* paths that have it in themselves are not asked */
    bool any_object; /* the body is one: reported properties may be that */
    unsigned status; /* 0: any of 400 to 499 */
    const char *code;
};

/* Refused in the form of errors; a 2xx only where `may_pass`. */
static void is_refused(struct fleet *f, const struct sk_http_route *route,
                       const struct wrong *wrong, const char *body, bool may_pass) {
    struct sk_buffer target = {0};
    struct raw_answer answer;
    put_path(&target, route->pattern, wrong->id);
    sk_buffer_text(&target, wrong->query ? wrong->query : VERSION);
    sk_buffer_byte(&target, 0);
    raw_asks(f,
             &(struct raw_ask){.method = sk_http_method_name(route->method),
                               .target = target.p,
                               .no_token = wrong->no_token,
                               .headers = wrong->headers,
                               .body = sk_span_z(body)},
             &answer);
    unsigned status = answer.parser.status;
    struct sk_span code = sk_http_header(&answer.parser, "iothub-errorcode");
    bool fine = wrong->status ? status == wrong->status
                              : (status >= 400 && status < 500) || (may_pass && status < 300);
    if (!fine || (wrong->code && !sk_span_is(code, wrong->code)))
        fail_msg("%s: %s %s: %u %.*s %.*s", wrong->what, sk_http_method_name(route->method),
                 target.p, status, SK_ARG(code), SK_ARG(sk_buffer_span(&answer.parser.body)));
    if (status >= 400) {
        struct sk_span text = sk_buffer_span(&answer.parser.body);
        json_t *error = json_loadb(text.p, text.n, 0, NULL);
        if (code.n == 0 || json_string_length(json_object_get(error, "Message")) == 0 ||
            json_string_length(json_object_get(error, "ExceptionMessage")) == 0)
            fail_msg("%s: %s %s: no form of an error: %.*s", wrong->what,
                     sk_http_method_name(route->method), target.p, SK_ARG(text));
        json_decref(error);
    }
    sk_http_parser_free(&answer.parser);
    sk_buffer_free(&target);
}

static bool takes_json(const struct sk_http_route *route) {
    return sk_op_body((enum sk_op)route->id) != SK_BODY_NONE && route->method != SK_HTTP_GET &&
           route->method != SK_HTTP_DELETE;
}

/* Server-sent events. */
static bool never_ends(size_t op) {
    return op == SK_OP_EVENTS_WATCH || op == SK_OP_NOTICES_WATCH ||
           op == SK_OP_FEEDBACK_SUBSCRIBE || op == SK_OP_FILE_NOTICE_SUBSCRIBE;
}

static void try_all(struct fleet *f, const struct wrong *wrong, bool may_pass) {
    char *before = picture(f);
    const struct sk_http_route *route;
    for (size_t i = 0; (route = sk_http_path_at(i)) != NULL; i++) {
        bool has_id = strchr(route->pattern, '{') != NULL;
        if (wrong->any_object && route->id == SK_OP_TWIN_REPORT) continue;
        if ((wrong->body && !takes_json(route)) || (wrong->id && !has_id)) continue;
        if (wrong->only_reads && route->method != SK_HTTP_GET) continue;
        if (wrong->no_version && strstr(route->pattern, "/v1/")) continue;
        if (may_pass && never_ends(route->id)) continue;
        is_refused(f, route, wrong, wrong->body ? wrong->body : "", may_pass);
    }
    char *after = picture(f);
    if (strcmp(before, after) != 0)
        fail_msg("%s has changed something:\n%s\n%s", wrong->what, before, after);
    free(before);
    free(after);
}

TEST(an_api_version_that_is_missing_is_400001) {
    static const char *const queries[] = {"", "?", "?api-version=", "?Api=2021-04-12"};
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        try_all(*state,
                &(struct wrong){.what = queries[i],
                                .query = queries[i],
                                .no_version = true,
                                .status = 400,
                                .code = "InvalidProtocolVersion"},
                false);
}

TEST(an_api_version_that_is_unknown_is_400001) {
    static const char *const queries[] = {"?api-version=latest", "?api-version=2021-13-12",
                                          "?api-version=2021-04-12x", "?api-version=20210412"};
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        try_all(*state,
                &(struct wrong){.what = queries[i],
                                .query = queries[i],
                                .status = 400,
                                .code = "InvalidProtocolVersion"},
                false);
}

TEST(without_a_token_everything_is_401) {
    try_all(*state,
            &(struct wrong){
                .what = "no token", .no_token = true, .status = 401, .code = "IotHubUnauthorized"},
            false);
    try_all(*state,
            &(struct wrong){.what = "no token, garbage",
                            .no_token = true,
                            .headers = "Authorization: Bearer xyz\r\n",
                            .status = 401},
            false);
}

TEST(a_body_that_is_no_json_or_of_another_type_is_400) {
    static const char *const bodies[] = {
        "{", "[1,", "nul", "\"text\"", "7", "{\"a\":1,\"a\":2}", "\xff\xfe", "{\"a\":\"\\ud800\"}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        try_all(*state,
                &(struct wrong){.what = bodies[i],
                                .body = bodies[i],
                                .status = 400,
                                .code = "DeserializationError"},
                false);
}

TEST(members_of_wrong_types_are_refused) {
    static const char *const bodies[] = {
        "{\"deviceId\":7,\"authentication\":[],\"status\":{},\"capabilities\":true,\"etag\":1,"
        "\"properties\":7,\"tags\":[],\"methodName\":{},\"payload\":0,\"query\":[],\"authChain\":1,"
        "\"id\":0,\"content\":\"x\",\"priority\":\"y\",\"type\":1,\"startTime\":{},\"jobId\":[],"
        "\"blobName\":{},\"correlationId\":1,\"isSuccess\":\"z\",\"certificate\":1,"
        "\"targetCondition\":5,\"modulesContent\":[],\"module\":3,\"message\":7,"
        "\"routingSource\":1,\"route\":0,\"twin\":7,\"inputBlobContainerUri\":1,"
        "\"From\":7,\"Status\":7,\"Items\":7,\"Name\":7}"};
    try_all(*state, &(struct wrong){.what = "wrong types", .body = bodies[0], .any_object = true},
            false);
}

TEST(an_id_that_is_none_is_refused_and_never_an_error_of_ours) {
    static char longest[2000];
    memset(longest, 'a', sizeof longest - 1);
    static const char *const ids[] = {"%00",    "a%20b",    "%2e%2e",       "a%2Fb",
                                      "%ff%fe", "a%0d%0ab", "%7Bdevice%7D", longest};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        try_all(*state, &(struct wrong){.what = "id", .id = ids[i], .only_reads = true}, true);
}

TEST(an_etag_that_conflicts_changes_nothing) {
    static char headers[4000] = "If-Match: \"";
    memset(headers + strlen(headers), 'x', 3000);
    strcat(headers, "\"\r\n");
    static const char *const etags[] = {"If-Match: \"AAAAAAAAAAA=\"\r\n", "If-Match: \r\n",
                                        "If-Match: W/\"1\"\r\n", headers};
    const struct sk_http_route *route;
    struct fleet *f = *state;
    for (size_t e = 0; e < sizeof etags / sizeof *etags; e++) {
        char *before = picture(f);
        for (size_t i = 0; (route = sk_http_path_at(i)) != NULL; i++) {
            bool writes = route->id == SK_OP_IDENTITY_DELETE || route->id == SK_OP_IDENTITY_PUT ||
                          route->id == SK_OP_TWIN_UPDATE ||
                          route->id == SK_OP_CONFIGURATION_DELETE ||
                          route->id == SK_OP_CONFIGURATION_PATCH || route->id == SK_OP_HUB_PUT ||
                          route->id == SK_OP_HUB_PATCH;
            if (!writes || etags[e][10] == '\r') continue;
            is_refused(f, route,
                       &(struct wrong){.what = "etag",
                                       .id = strstr(route->pattern, "{hub}") ? NULL : "d2",
                                       .headers = etags[e]},
                       takes_json(route) ? "{\"deviceId\":\"d2\",\"tags\":{\"a\":1}}" : "", false);
        }
        char *after = picture(f);
        assert_string_equal(before, after);
        free(before);
        free(after);
    }
}

TEST(numbers_in_headers_and_queries_may_be_anything) {
    static const char *const headers[] = {
        "x-ms-max-item-count: -1\r\n",      "x-ms-max-item-count: 99999999999999999999\r\n",
        "x-ms-max-item-count: many\r\n",    "x-ms-continuation: \xff garbage\r\n",
        "IotHub-MessageLockTimeout: 0\r\n", "Last-Event-ID: -5\r\n"};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        try_all(*state,
                &(struct wrong){.what = headers[i], .headers = headers[i], .only_reads = true},
                true);
    try_all(*state,
            &(struct wrong){.what = "top",
                            .query = VERSION "&top=-3&pageSize=x&deviceCount=0&jobType=%ff&from=7x",
                            .only_reads = true},
            true);
}

TEST(a_method_that_a_path_has_not_is_405) {
    static const enum sk_http_method methods[] = {SK_HTTP_GET, SK_HTTP_PUT, SK_HTTP_POST,
                                                  SK_HTTP_PATCH, SK_HTTP_DELETE};
    const struct sk_http_route *route;
    struct fleet *f = *state;
    for (size_t i = 0; (route = sk_http_path_at(i)) != NULL; i++)
        for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
            struct sk_arena arena = {0};
            struct sk_buffer path = {0};
            struct sk_request asked = {0};
            put_path(&path, route->pattern, NULL);
            bool has =
                sk_http_path_read(methods[m], sk_buffer_span(&path), &arena, &asked) == SK_OK;
            sk_buffer_free(&path);
            sk_arena_free(&arena);
            if (has) continue;
            struct sk_http_route wrong = {methods[m], route->pattern, route->id};
            is_refused(f, &wrong, &(struct wrong){.what = "method", .status = 405}, "", false);
        }
}
