/* Expressions that share what they read say what they say alone. */
#include "expr/expr.h"
#include "support/test.h"

static const char *const conditions[] = {
    "$body.t > 20",
    "$body.t > 30",
    "$body.t <= 30 AND level = 'hot'",
    "$body.t >= 25",
    "$body.t >= 26",
    "$body.t < 25",
    "$body.t < 26",
    "$body.t <= 25",
    "$body.t <= 24",
    "$body.t > 25",
    "$body.t = 25",
    "$body.t = '25'",
    "$body.t = 31.5",
    "level = 'cold'",
    "level = ''",
    "level = 'hot'",
    "LEVEL != 'hot'",
    "level > 'a'",
    "$body.text = 'a\"b'",
    "$body.text != 'a\"b'",
    "$body.text = 'é'",
    "$body.none = 1",
    "$body.none != 1",
    "$body.nothing = null",
    "$body.nothing > null",
    "$body.list[1].x = 'y'",
    "$body.list[0].x = 'y'",
    "$body.flag = true",
    "$body.flag",
    "NOT $body.flag",
    "$contentType = 'application/json'",
    "$twin.tags.site = 'north'",
    "$twin.tags.site = 'south' OR $body.t = 25",
    "is_defined($body.t)",
    "length($body.text) = 3",
    "$body.text || level = 'a\"bhot'",
    "1 = 1",
    "missing = 'x'",
};
enum { CONDITIONS = sizeof conditions / sizeof *conditions };

struct sender {
    const char *level;
};

static bool property(void *arg, struct sk_span name, struct sk_span *value) {
    const struct sender *sender = arg;
    if (!sk_span_eq_nocase(name, SK_SPAN("level")) || sender->level == NULL) return false;
    *value = sk_span_z(sender->level);
    return true;
}

static bool system_property(void *arg, struct sk_span name, struct sk_span *value) {
    (void)arg;
    *value = SK_SPAN("application/json");
    return sk_span_eq_nocase(name, SK_SPAN("contentType"));
}

TEST(expressions_that_share_what_they_read_say_what_they_say_alone) {
    static const struct {
        const char *body, *content_type, *level, *twin;
    } messages[] = {
        {"{\"t\":25,\"text\":\"a\\\"b\",\"list\":[1,{\"x\":\"y\"}],\"flag\":true,\"nothing\":null}",
         "application/json", "hot", "{\"tags\":{\"site\":\"north\"}}"},
        {"{\"t\":31.5,\"text\":\"\\u00e9\",\"list\":[{\"x\":\"y\"}],\"flag\":false}",
         "application/json", "cold", "{}"},
        {"{\"t\":\"25\",\"text\":\"é\"}", "application/json", NULL, ""},
        {"{\"t\":25}", "text/plain", "hot", "{\"tags\":{\"site\":\"south\"}}"},
        {"no JSON", "application/json", "", "{\"tags\":1}"},
    };
    struct sk_expr *alone[CONDITIONS], *sharing[CONDITIONS + 1] = {0};
    struct sk_expr_error error;
    struct sk_arena arena = {0};
    for (size_t i = 0; i < CONDITIONS; i++) {
        struct sk_span text = sk_span_z(conditions[i]);
        if (sk_expr_compile(text, SK_DIALECT_ROUTE, &alone[i], &error) ||
            sk_expr_compile(text, SK_DIALECT_ROUTE, &sharing[i], &error))
            fail_msg("%s: column %u: %s", conditions[i], error.column, error.sentence);
    }
    size_t values = sk_expr_share(sharing, CONDITIONS + 1);
    assert_in_range(values, 10, 13); /* t, level, text, none, nothing, two of list, flag, … */
    struct sk_expr_memo *memo = sk_alloc(values * sizeof *memo);
    uint64_t bits[CONDITIONS];
    for (size_t i = 0; i < CONDITIONS; i++) bits[i] = 1ull << i;
    struct sk_expr_table *table = sk_expr_table_new(sharing, bits, CONDITIONS);
    for (size_t m = 0; m < sizeof messages / sizeof *messages; m++) {
        struct sender sender = {messages[m].level};
        struct sk_expr_source source = {.property = property,
                                        .system = system_property,
                                        .arg = &sender,
                                        .body = sk_span_z(messages[m].body),
                                        .content_type = sk_span_z(messages[m].content_type),
                                        .content_encoding = SK_SPAN("utf-8"),
                                        .twin = sk_span_z(messages[m].twin)};
        struct sk_expr_source shared = source;
        shared.memo = memo;
        memset(memo, 0, values * sizeof *memo);
        uint64_t matched = sk_expr_table_match(table, &shared, &arena);
        for (size_t i = 0; i < CONDITIONS; i++) {
            sk_arena_reset(&arena);
            bool wanted =
                sk_expr_table_takes(sharing[i]) && sk_expr_true(alone[i], &source, &arena);
            if ((matched >> i & 1) != wanted)
                fail_msg("%s: not %d in the table for message %zu", conditions[i], wanted, m);
        }
        for (int round = 0; round < 2; round++)
            for (size_t i = 0; i < CONDITIONS; i++) {
                sk_arena_reset(&arena);
                bool wanted = sk_expr_true(alone[i], &source, &arena);
                sk_arena_reset(&arena);
                if (sk_expr_true(sharing[i], &shared, &arena) != wanted)
                    fail_msg("%s: not %d for message %zu", conditions[i], wanted, m);
            }
    }
    for (size_t i = 0; i < CONDITIONS; i++) {
        sk_expr_free(alone[i]);
        sk_expr_free(sharing[i]);
    }
    sk_expr_table_free(table);
    free(memo);
    sk_arena_free(&arena);
}
