/* The vectors of flattening, limits, and what hostile devices send. */
#include "series/flatten.h"

#include "support/test.h"

static struct sk_arena arena;
static struct sk_buffer told;

static int set_up(void **state) {
    (void)state;
    return 0;
}
static int clean(void **state) {
    (void)state;
    sk_arena_free(&arena);
    sk_buffer_free(&told);
    return 0;
}
AROUND(set_up, clean);

static void put_value(const struct sk_series_field *field) {
    char text[SK_TIME_TEXT > SK_REAL_TEXT ? SK_TIME_TEXT : SK_REAL_TEXT];
    switch (field->property.type) {
    case SK_SERIES_BOOL: sk_buffer_text(&told, field->value.boolean ? "true" : "false"); break;
    case SK_SERIES_LONG: sk_buffer_print(&told, "%lld", (long long)field->value.integer); break;
    case SK_SERIES_DATETIME:
        sk_time_text(field->value.integer * 1000, text);
        sk_buffer_print(&told, "%.19s", text);
        break;
    case SK_SERIES_DOUBLE:
        sk_real_text(field->value.number, text);
        sk_buffer_text(&told, text);
        break;
    default: sk_buffer_append(&told, field->value.text);
    }
}

/* "[id] time name_type=value …" a line; without what the hub adds. */
static void on_event(void *arg, const struct sk_series_event *event) {
    static const char *const types[] = {"bool",   "datetime", "double", "long",
                                        "string", "timespan", "dynamic"};
    (void)arg;
    char time[SK_TIME_TEXT];
    sk_time_text(event->time * 1000, time);
    sk_buffer_print(&told, "%.*s %.23s", SK_ARG(event->instance), time);
    for (size_t i = 0; i < event->field_count; i++) {
        const struct sk_series_field *field = &event->fields[i];
        if (sk_span_starts(field->property.name, SK_SPAN("iothub-")) &&
            !sk_span_is(field->property.name, "iothub-test"))
            continue;
        sk_buffer_print(&told, " %.*s_%s=", SK_ARG(field->property.name),
                        types[field->property.type]);
        put_value(field);
    }
    sk_buffer_byte(&told, '\n');
}

static enum sk_status run(const struct sk_series_flatten_options *options, struct sk_span body) {
    told.n = 0;
    return sk_series_flatten(options,
                             &(struct sk_series_message){.body = body,
                                                         .device_id = SK_SPAN("d1"),
                                                         .enqueued = 1767225600000 /* 2026 */},
                             &arena, on_event, NULL);
}

static void flattens_with(const struct sk_series_flatten_options *options, const char *body,
                          const char *rows) {
    assert_int_equal(run(options, sk_span_z(body)), SK_OK);
    sk_buffer_byte(&told, 0);
    assert_string_equal(told.p, rows);
}

static const struct sk_series_flatten_options usual = {
    .id = {{"id", 2}}, .id_count = 1, .timestamp = {"ts", 2}};

static void flattens(const char *body, const char *rows) {
    flattens_with(&usual, body, rows);
}

TEST(nested_objects_get_dots_and_offsets_are_applied) {
    flattens("{\"id\":\"a\",\"ts\":\"2026-01-01T01:00:00+01:00\",\"s\":{\"v\":316}}",
             "[\"a\"] 2026-01-01T00:00:00.000 id_string=a s.v_long=316\n");
}

TEST(names_with_marks_are_escaped) {
    flattens("{\"id\":\"a\",\"ts\":\"2026-01-01\",\"id.wasp\":\"x\",\"o'n\":1.5,\"b\\\\\":true,"
             "\"n\":{\"[\":1}}",
             "[\"a\"] 2026-01-01T00:00:00.000 id_string=a ['id.wasp']_string=x "
             "['o\\'n']_double=1.5 ['b\\\\']_bool=true n.['[']_long=1\n");
}

TEST(arrays_are_dynamic_unless_id_or_time_lie_in_them) {
    flattens("{\"id\":\"a\",\"v\":[1,2,3]}",
             "[\"a\"] 2026-01-01T00:00:00.000 id_string=a v_dynamic=[1,2,3]\n");
    flattens("{\"id\":\"a\",\"p\":[{\"v\":1},{\"v\":2}]}",
             "[\"a\"] 2026-01-01T00:00:00.000 id_string=a p_dynamic=[{\"v\":1},{\"v\":2}]\n");
    const struct sk_series_flatten_options in_time = {
        .id = {{"id", 2}}, .id_count = 1, .timestamp = {"p.t", 3}};
    flattens_with(&in_time,
                  "{\"id\":\"a\",\"p\":[{\"t\":\"2026-01-02T00:00:00Z\",\"v\":1},"
                  "{\"t\":\"2026-01-02T00:00:30Z\",\"v\":2}],\"behind\":true}",
                  "[\"a\"] 2026-01-02T00:00:00.000 id_string=a behind_bool=true p.v_long=1\n"
                  "[\"a\"] 2026-01-02T00:00:30.000 id_string=a behind_bool=true p.v_long=2\n");
    const struct sk_series_flatten_options in_id = {
        .id = {{"plant", 5}, {"tel.tag", 7}}, .id_count = 2, .timestamp = {"ts", 2}};
    flattens_with(&in_id,
                  "{\"plant\":\"P\",\"ts\":\"2026-01-02T00:00:00Z\",\"tel\":[{\"tag\":\"A\",\"v\":"
                  "1.5},{\"tag\":\"B\",\"v\":2}]}",
                  "[\"P\",\"A\"] 2026-01-02T00:00:00.000 plant_string=P tel.tag_string=A "
                  "tel.v_double=1.5\n[\"P\",\"B\"] 2026-01-02T00:00:00.000 plant_string=P "
                  "tel.tag_string=B tel.v_long=2\n");
}

TEST(a_name_with_two_types_is_two_properties) {
    flattens("[{\"id\":\"a\",\"v\":\"31\"},{\"id\":\"a\",\"v\":31}]",
             "[\"a\"] 2026-01-01T00:00:00.000 id_string=a v_string=31\n"
             "[\"a\"] 2026-01-01T00:00:00.000 id_string=a v_long=31\n");
}

TEST(a_part_of_the_id_that_is_missing_is_null_and_other_types_are_texts) {
    flattens("{\"v\":1}", "[null] 2026-01-01T00:00:00.000 v_long=1\n");
    flattens("{\"id\":null}", "[null] 2026-01-01T00:00:00.000\n");
    flattens("{\"id\":7}", "[\"7\"] 2026-01-01T00:00:00.000 id_long=7\n");
    flattens("{\"id\":\"2026-01-01T00:00:00Z\"}",
             "[\"2026-01-01T00:00:00Z\"] 2026-01-01T00:00:00.000 "
             "id_string=2026-01-01T00:00:00Z\n");
    const struct sk_series_flatten_options none = {.id_count = 0};
    flattens_with(&none, "{\"iothub-connection-device-id\":\"liar\",\"w\":2}",
                  "[\"d1\"] 2026-01-01T00:00:00.000 w_long=2\n");
}

TEST(numbers_are_long_or_double_and_times_are_times) {
    flattens("{\"a\":9223372036854775807,\"b\":9223372036854775808,\"c\":1e3,\"d\":1e999,"
             "\"e\":\"NaN\",\"f\":-0,\"g\":\"2026-02-03T04:05:06Z\",\"h\":\"2026-02-03\"}",
             "[null] 2026-01-01T00:00:00.000 a_long=9223372036854775807 b_double=9.223372036854776e"
             "+18 c_double=1000 e_string=NaN f_long=0 g_datetime=2026-02-03T04:05:06 "
             "h_string=2026-02-03\n");
}

TEST(of_equal_names_the_last_counts) {
    flattens("{\"a\":1,\"b\":2,\"a\":\"x\"}",
             "[null] 2026-01-01T00:00:00.000 b_long=2 a_string=x\n");
}

TEST(times_have_offsets_of_many_forms) {
    static const struct {
        const char *text;
        int64_t ms; /* -1: none */
    } cases[] = {
        {"2026-01-01T00:00:00Z", 1767225600000},
        {"2026-01-01T01:00:00+01:00", 1767225600000},
        {"2026-01-01T01:00:00+0100", 1767225600000},
        {"2026-01-01T01:00:00+01:00Z", 1767225600000},
        {"2025-12-31T23:00:00-0100Z", 1767225600000},
        {"2026-01-01T00:00:00+1:0:0", 1767225600000}, /* malformed: ignored */
        {"2026-01-01 00:00:00.5", 1767225600500},
        {"0001-01-01T00:00:00Z", SK_SERIES_TIME_MIN},
        {"9999-12-31T23:59:59.999Z", SK_SERIES_TIME_MAX},
        {"0000-12-31T23:59:59Z", -1},
        {"0001-01-01T00:00:00+01:00", -1},
        {"9999-12-31T23:59:59-01:00", -1},
        {"2026-13-01T00:00:00Z", -1},
        {"yesterday", -1},
        {"", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t ms = -1;
        sk_series_time(sk_span_z(cases[i].text), &ms);
        if (ms != cases[i].ms) fail_msg("%s: %lld", cases[i].text, (long long)ms);
    }
}

TEST(a_time_that_is_none_is_a_property_and_the_event_has_the_enqueued_time) {
    flattens("{\"ts\":\"0000-01-01T00:00:00Z\"}",
             "[null] 2026-01-01T00:00:00.000 ts_string=0000-01-01T00:00:00Z\n");
    flattens("{\"ts\":12}", "[null] 2026-01-01T00:00:00.000 ts_long=12\n");
}

TEST(what_is_no_json_of_objects_is_refused) {
    static const char *const bad[] = {"",       "  ",          "1", "\"x\"",       "[1]",
                                      "[{},1]", "[]",          "{", "{\"a\":1} x", "{\"a\":NaN}",
                                      "[{}]x",  "{\"\xff\":1}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(run(&usual, sk_span_z(bad[i])), SK_MALFORMED);
        assert_int_equal(told.n, 0);
    }
}

/* {"a":{"a":…1}} with so many names. */
static struct sk_span nested(unsigned levels) {
    struct sk_buffer text = {0};
    for (unsigned i = 0; i < levels; i++) sk_buffer_text(&text, "{\"a\":");
    sk_buffer_text(&text, "1");
    for (unsigned i = 0; i < levels; i++) sk_buffer_byte(&text, '}');
    struct sk_span body = sk_arena_copy(&arena, sk_buffer_span(&text));
    sk_buffer_free(&text);
    return body;
}

TEST(ten_levels_are_flattened_and_the_eleventh_is_dynamic) {
    flattens(nested(10).p, "[null] 2026-01-01T00:00:00.000 a.a.a.a.a.a.a.a.a.a_long=1\n");
    flattens(nested(11).p,
             "[null] 2026-01-01T00:00:00.000 a.a.a.a.a.a.a.a.a.a_dynamic={\"a\":1}\n");
    assert_int_equal(run(&usual, nested(65)), SK_MALFORMED);
}

static void long_name(unsigned n, char *to) {
    memset(to, 'n', n);
    to[n] = 0;
}

TEST(a_name_of_512_stays_and_a_longer_one_is_cut_and_hashed) {
    char name[600];
    long_name(512, name);
    run(&usual, sk_arena_print(&arena, "{\"%s\":1}", name));
    assert_non_null(memmem(told.p, told.n, "n_long=1", 8));
    long_name(513, name);
    run(&usual, sk_arena_print(&arena, "{\"%s\":1,\"%sx\":2}", name, name));
    assert_null(memmem(told.p, told.n, "n_long", 6));
    assert_int_equal(sk_series_name_cut(&arena, sk_span(name, 513)).n, 512 + 1 + 16);
    assert_non_null(memmem(told.p, told.n, "_long=1", 7));
    assert_non_null(memmem(told.p, told.n, "_long=2", 7));
}

TEST(fields_events_and_values_of_the_id_are_bounded) {
    struct sk_buffer body = {0};
    for (unsigned i = 0; i < SK_SERIES_FIELDS_MAX - 2; i++)
        sk_buffer_print(&body, "%c\"k%u\":%u", i ? ',' : '{', i, i);
    sk_buffer_byte(&body, '}');
    assert_int_equal(run(&usual, sk_buffer_span(&body)), SK_OK);
    body.n--;
    sk_buffer_text(&body, ",\"more\":1}");
    assert_int_equal(run(&usual, sk_buffer_span(&body)), SK_TOO_LARGE);
    body.n = 0;
    for (unsigned i = 0; i < SK_SERIES_EVENTS_MAX; i++) sk_buffer_text(&body, i ? ",{}" : "[{}");
    sk_buffer_byte(&body, ']');
    assert_int_equal(run(&usual, sk_buffer_span(&body)), SK_OK);
    body.n--;
    sk_buffer_text(&body, ",{}]");
    assert_int_equal(run(&usual, sk_buffer_span(&body)), SK_TOO_LARGE);
    sk_buffer_free(&body);
    char id[1100];
    long_name(SK_SERIES_ID_VALUE_MAX, id);
    assert_int_equal(run(&usual, sk_arena_print(&arena, "{\"id\":\"%s\"}", id)), SK_OK);
    long_name(SK_SERIES_ID_VALUE_MAX + 1, id);
    assert_int_equal(run(&usual, sk_arena_print(&arena, "{\"id\":\"%s\"}", id)), SK_TOO_LARGE);
}

TEST(a_text_of_256_kb_is_a_value) {
    char *text = sk_alloc(256 * 1024 + 1);
    memset(text, 'x', 256 * 1024);
    assert_int_equal(run(&usual, sk_arena_print(&arena, "{\"s\":\"%s\"}", text)), SK_OK);
    assert_true(told.n > 256 * 1024);
    free(text);
}
