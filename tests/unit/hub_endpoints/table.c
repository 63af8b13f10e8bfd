/* Statements and rows of a table. */
#include "hub/endpoints/table.h"
#include "support/test.h"

static void says(void (*put)(const struct sk_hub_endpoint *, struct sk_buffer *),
                 const struct sk_hub_endpoint *options, const char *expected) {
    struct sk_buffer sql = {0};
    put(options, &sql);
    assert_string_equal(sql.p, expected);
    sk_buffer_free(&sql);
}

static void put_two(const struct sk_hub_endpoint *options, struct sk_buffer *sql) {
    table_put_insert(options, 2, sql);
}

static const char *few[] = {"at=enqueued", "device"};

TEST(a_table_has_a_key_where_its_columns_make_one) {
    says(table_put_create, &(struct sk_hub_endpoint){.table = "telemetry"},
         "CREATE TABLE IF NOT EXISTS \"telemetry\" (\"hub\" text NOT NULL, "
         "\"sequence\" bigint NOT NULL, \"enqueued\" timestamptz NOT NULL, "
         "\"source\" text NOT NULL, \"device\" text, \"module\" text, "
         "\"properties\" jsonb NOT NULL, \"system\" jsonb NOT NULL, \"body\" jsonb, "
         "\"raw\" bytea, PRIMARY KEY (\"hub\", \"sequence\", \"enqueued\"))");
    says(table_put_create,
         &(struct sk_hub_endpoint){.table = "plant.t", .columns = few, .column_count = 2},
         "CREATE TABLE IF NOT EXISTS \"plant\".\"t\" (\"at\" timestamptz NOT NULL, "
         "\"device\" text)");
}

TEST(rows_go_in_one_statement) {
    says(put_two, &(struct sk_hub_endpoint){.table = "t", .columns = few, .column_count = 2},
         "INSERT INTO \"t\" (\"at\", \"device\") VALUES ($1, $2), ($3, $4) "
         "ON CONFLICT DO NOTHING");
}

TEST(names_are_names_and_columns_are_those_that_there_are) {
    char why[SK_CONFIG_WHY_MAX];
    assert_true(table_name_fine(SK_SPAN("Plant_7.t"), why));
    static const char *const wrong[] = {"", ".", "a.", ".a", "a.b.c", "a\"b", "a b", "a;b"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(table_name_fine(sk_span_z(wrong[i]), why));
    assert_true(table_column_fine(SK_SPAN("body"), why));
    assert_true(table_column_fine(SK_SPAN("b=body"), why));
    assert_false(table_column_fine(SK_SPAN("b\"=body"), why));
    assert_false(table_column_fine(SK_SPAN("b="), why));
    assert_false(table_column_fine(SK_SPAN("temperature"), why));
}

static void is_body(struct sk_span body, const char *json, const char *raw) {
    static const char *both[] = {"body", "raw"};
    struct sk_hub_endpoint options = {.table = "t", .columns = both, .column_count = 2};
    struct sk_message message = {.body = body};
    struct sk_arena arena = {0};
    struct sk_span values[2];
    table_row(&options, "hub", &message, &arena, values);
    assert_int_equal(values[0].p != NULL, json != NULL);
    assert_int_equal(values[1].p != NULL, raw != NULL);
    assert_true(json == NULL || sk_span_is(values[0], json));
    assert_true(raw == NULL || sk_span_is(values[1], raw));
    sk_arena_free(&arena);
}

TEST(a_body_is_json_or_bytes) {
    is_body(SK_SPAN("{\"t\":21.5}"), "{\"t\":21.5}", NULL);
    is_body(SK_SPAN("7"), "7", NULL);
    is_body(SK_SPAN("{\"t\":"), NULL, "\\x7b2274223a");
    is_body(SK_SPAN("\xff"), NULL, "\\xff");
    is_body(SK_NONE, NULL, "\\x");
}
