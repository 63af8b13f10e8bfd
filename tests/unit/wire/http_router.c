#include "wire/http_router.h"
#include "support/test.h"

enum { DEVICES, DEVICE, PUT_DEVICE, QUERY, MODULE, WEBSOCKET, STATISTICS };
static const struct sk_http_route table[] = {
    {SK_HTTP_GET, "/devices", DEVICES},
    {SK_HTTP_GET, "/devices/{}", DEVICE},
    {SK_HTTP_PUT, "/devices/{}", PUT_DEVICE},
    {SK_HTTP_POST, "/devices/query", QUERY},
    {SK_HTTP_GET, "/devices/{}/modules/{}", MODULE},
    {SK_HTTP_GET, "/$iothub/websocket", WEBSOCKET},
    {SK_HTTP_GET, "/devices/{}/statistics", STATISTICS},
    {SK_HTTP_GET, "/devices/all/{}", STATISTICS + 1},
};
enum { COUNT = sizeof table / sizeof *table };
static struct sk_arena arena;
static struct sk_http_match found;

static enum sk_status route(enum sk_http_method method, const char *path) {
    sk_arena_reset(&arena);
    return sk_http_route(table, COUNT, method, sk_span_z(path), &arena, &found);
}

static int clean_up(void **state) {
    (void)state;
    sk_arena_free(&arena);
    return 0;
}

AROUND_ALL(NULL, clean_up);

TEST(segments_are_captured_and_decoded) {
    assert_int_equal(route(SK_HTTP_GET, "/devices/d%20%231/modules/%24edgeHub"), SK_OK);
    assert_int_equal(found.id, MODULE);
    assert_int_equal(found.count, 2);
    assert_true(sk_span_is(found.captures[0], "d #1"));
    assert_true(sk_span_is(found.captures[1], "$edgeHub"));
    assert_int_equal(route(SK_HTTP_GET, "/devices/a%2524b"), SK_OK); /* decoded once, not twice */
    assert_true(sk_span_is(found.captures[0], "a%24b"));
}

TEST(fixed_words_take_any_case_and_an_encoded_dollar) {
    assert_int_equal(route(SK_HTTP_GET, "/Devices/D/MODULES/m"), SK_OK);
    assert_true(sk_span_is(found.captures[0], "D"));
    assert_int_equal(route(SK_HTTP_GET, "/%24iothub/websocket"), SK_OK);
    assert_int_equal(found.id, WEBSOCKET);
}

TEST(a_fixed_word_wins_over_a_capture_from_the_left) {
    assert_int_equal(route(SK_HTTP_POST, "/devices/query"), SK_OK);
    assert_int_equal(found.id, QUERY);
    /* A device may be called "query" */
    assert_int_equal(route(SK_HTTP_GET, "/devices/query"), SK_OK);
    assert_int_equal(found.id, DEVICE);
    assert_int_equal(route(SK_HTTP_GET, "/devices/d/statistics"), SK_OK);
    assert_int_equal(found.id, STATISTICS);
    assert_int_equal(route(SK_HTTP_GET, "/devices/all/statistics"), SK_OK);
    assert_int_equal(found.id, STATISTICS + 1);
}

TEST(unknown_paths_and_unknown_methods_are_told_apart) {
    assert_int_equal(route(SK_HTTP_GET, "/"), SK_NOT_FOUND);
    assert_int_equal(route(SK_HTTP_GET, ""), SK_NOT_FOUND);
    assert_int_equal(route(SK_HTTP_GET, "/devices/d/modules"), SK_NOT_FOUND);
    assert_int_equal(route(SK_HTTP_GET, "/devices//modules/m"), SK_NOT_FOUND);
    assert_int_equal(route(SK_HTTP_GET, "/devices/d/modules/m/x"), SK_NOT_FOUND);
    assert_int_equal(route(SK_HTTP_GET, "devices"), SK_NOT_FOUND);
    assert_int_equal(route(SK_HTTP_GET, "/devices/0123456789"), SK_OK);
    char deep[4096];
    memset(deep, '/', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    assert_int_equal(route(SK_HTTP_GET, deep), SK_NOT_FOUND);
    assert_int_equal(route(SK_HTTP_DELETE, "/devices/d"), SK_UNSUPPORTED);
    struct sk_buffer allowed = {0};
    sk_http_put_allowed(&allowed, found.allowed);
    assert_true(sk_span_is(sk_buffer_span(&allowed), "GET, PUT"));
    sk_buffer_free(&allowed);
}

TEST(one_slash_at_the_end_is_ignored) {
    assert_int_equal(route(SK_HTTP_GET, "/devices/"), SK_OK);
    assert_int_equal(found.id, DEVICES);
    assert_int_equal(route(SK_HTTP_GET, "/devices//"), SK_NOT_FOUND);
}
