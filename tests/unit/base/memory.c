/* Spans, buffers, arenas and maps. */
#include <stdio.h>

#include "base/base.h"
#include "support/test.h"

TEST(splitting_gives_each_part_and_ends) {
    const struct {
        const char *text, *parts;
    } vectors[] = {
        {"a/b", "[a][b]"}, {"a//b", "[a][][b]"}, {"", "[]"}, {"/", "[][]"}, {"a/", "[a][]"}};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct sk_buffer parts = {0};
        struct sk_span rest = sk_span_z(vectors[i].text), part;
        while (sk_span_split(&rest, '/', &part)) sk_buffer_print(&parts, "[%.*s]", SK_ARG(part));
        assert_true(sk_span_is(sk_buffer_span(&parts), vectors[i].parts));
        sk_buffer_free(&parts);
    }
    struct sk_span none = SK_NONE, part;
    assert_false(sk_span_split(&none, '/', &part));
}

TEST(comparing_spans_follows_bytes_then_length) {
    assert_true(sk_span_compare(SK_SPAN("a"), SK_SPAN("b")) < 0);
    assert_true(sk_span_compare(SK_SPAN("b"), SK_SPAN("ab")) > 0);
    assert_true(sk_span_compare(SK_SPAN("a"), SK_SPAN("ab")) < 0);
    assert_true(sk_span_compare(SK_SPAN("\xff"), SK_SPAN("a")) > 0);
    assert_int_equal(sk_span_compare(SK_NONE, SK_SPAN("")), 0);
    assert_true(sk_span_eq_nocase(SK_SPAN("MqTT"), SK_SPAN("mQtt")));
    assert_false(sk_span_eq_nocase(SK_SPAN("mqtt"), SK_SPAN("mqtts")));
    assert_true(sk_span_starts_nocase(SK_SPAN("SharedAccess"), SK_SPAN("sharedA")));
    assert_true(sk_span_ends(SK_SPAN("file.log"), SK_SPAN(".log")));
    assert_false(sk_span_ends(SK_SPAN("log"), SK_SPAN(".log")));
    assert_true(sk_span_is(sk_span_trim(SK_SPAN(" \t a b \r\n")), "a b"));
    assert_int_equal(sk_span_trim(SK_SPAN("  ")).n, 0);
    assert_int_equal(sk_span_skip(SK_SPAN("abc"), 5).n, 0);
}

TEST(integers_are_read_to_their_limits_and_no_further) {
    int64_t value;
    assert_int_equal(sk_span_to_int(SK_SPAN("9223372036854775807"), &value), SK_OK);
    assert_true(value == INT64_MAX);
    assert_int_equal(sk_span_to_int(SK_SPAN("-9223372036854775808"), &value), SK_OK);
    assert_true(value == INT64_MIN);
    const char *bad[] = {
        "9223372036854775808",    "-9223372036854775809", "", "-", "+1", "1 ", "0x1", "1.0",
        "99999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(sk_span_to_int(sk_span_z(bad[i]), &value), SK_MALFORMED);
}

TEST(a_buffer_takes_up_to_its_limit_and_not_one_byte_more) {
    struct sk_buffer buffer = {.limit = 10};
    assert_int_equal(sk_buffer_append(&buffer, SK_SPAN("0123456789")), SK_OK);
    assert_int_equal(sk_buffer_byte(&buffer, 'x'), SK_TOO_LARGE);
    assert_null(sk_buffer_reserve(&buffer, 1));
    assert_int_equal(buffer.n, 10);
    sk_buffer_consume(&buffer, 4);
    assert_true(sk_span_is(sk_buffer_span(&buffer), "456789"));
    assert_int_equal(sk_buffer_print(&buffer, "%d", 123), SK_OK);
    assert_true(sk_span_is(sk_buffer_span(&buffer), "456789123"));
    sk_buffer_consume(&buffer, 100);
    assert_int_equal(buffer.n, 0);
    sk_buffer_free(&buffer);
    assert_int_equal(buffer.limit, 10);
    struct sk_buffer endless = {0};
    assert_null(sk_buffer_reserve(&(struct sk_buffer){.n = 5, .limit = 0}, SIZE_MAX));
    for (int i = 0; i < 10000; i++) sk_buffer_byte(&endless, (char)i);
    assert_int_equal(endless.n, 10000);
    sk_buffer_shrink(&endless, 100);
    assert_int_equal(endless.capacity, 0);
    sk_buffer_free(&endless);
}

TEST(an_arena_gives_zeroed_aligned_memory_and_can_be_reused) {
    struct sk_arena arena = {0};
    for (int round = 0; round < 3; round++) {
        for (size_t n = 0; n < 3000; n += 7) {
            char *p = sk_arena_alloc(&arena, n);
            assert_int_equal((uintptr_t)p % 16, 0);
            for (size_t i = 0; i < n; i++) assert_int_equal(p[i], 0);
            memset(p, 0xAA, n);
        }
        char *large = sk_arena_alloc(&arena, 1 << 20);
        memset(large, 0xAA, 1 << 20);
        struct sk_span copy = sk_arena_copy(&arena, SK_SPAN("text"));
        assert_string_equal(copy.p, "text");
        assert_true(sk_span_is(sk_arena_print(&arena, "%s-%d", "n", 7), "n-7"));
        sk_arena_reset(&arena);
        assert_int_equal(arena.used, 0);
    }
    sk_arena_free(&arena);
}

struct entry {
    char key[24];
    int value;
};

TEST(a_map_agrees_with_a_plain_array_through_random_changes) {
    enum { KEYS = 500 };
    static struct entry entries[KEYS];
    bool present[KEYS] = {false};
    struct sk_map map = {0};
    uint32_t random = 1;
    size_t count = 0;
    for (int i = 0; i < KEYS; i++) snprintf(entries[i].key, sizeof entries[i].key, "device-%d", i);
    for (int step = 0; step < 50000; step++) {
        random = random * 1664525 + 1013904223;
        int i = (int)(random >> 16) % KEYS;
        struct sk_span key = sk_span_z(entries[i].key);
        assert_ptr_equal(sk_map_get(&map, key), present[i] ? &entries[i] : NULL);
        if (random >> 8 & 1) {
            assert_ptr_equal(sk_map_put(&map, key, &entries[i]), present[i] ? &entries[i] : NULL);
            count += !present[i];
            present[i] = true;
        } else {
            assert_ptr_equal(sk_map_remove(&map, key), present[i] ? &entries[i] : NULL);
            count -= present[i];
            present[i] = false;
        }
        assert_int_equal(map.count, count);
    }
    size_t seen = 0;
    struct entry *entry;
    struct sk_span key;
    for (size_t at = 0; (entry = sk_map_next(&map, &at, &key)) != NULL; seen++) {
        assert_true(sk_span_is(key, entry->key));
        assert_true(present[entry - entries]);
    }
    assert_int_equal(seen, count);
    sk_map_free(&map);
}

TEST(an_empty_map_finds_and_removes_nothing) {
    struct sk_map map = {0};
    size_t at = 0;
    assert_null(sk_map_get(&map, SK_SPAN("x")));
    assert_null(sk_map_remove(&map, SK_SPAN("x")));
    assert_null(sk_map_next(&map, &at, NULL));
    int value;
    assert_null(sk_map_put(&map, SK_NONE, &value)); /* the empty key is a key */
    assert_ptr_equal(sk_map_get(&map, SK_SPAN("")), &value);
    sk_map_free(&map);
}

struct item {
    struct sk_list link;
    int value;
};

TEST(lists_keep_order_and_forgive_removing_twice) {
    struct sk_list list;
    struct item items[3] = {{.value = 0}, {.value = 1}, {.value = 2}}, stranger = {.value = 9};
    sk_list_init(&list);
    assert_null(SK_LIST_FIRST(&list, struct item, link));
    for (int i = 0; i < 3; i++) sk_list_append(&list, &items[i].link);
    sk_list_remove(&items[1].link);
    sk_list_remove(&items[1].link);
    sk_list_remove(&stranger.link);
    int expected[] = {0, 2}, n = 0;
    SK_LIST_EACH(&list, node, following) {
        struct item *item = SK_CONTAINER(node, struct item, link);
        assert_int_equal(item->value, expected[n++]);
        sk_list_remove(node);
    }
    assert_int_equal(n, 2);
    assert_true(sk_list_empty(&list));
}
