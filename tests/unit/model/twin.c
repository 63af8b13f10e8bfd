#include <stdio.h>

#include "model/twin.h"
#include "support/test.h"

static const int64_t NOON = 1795262400000000; /* 2026-11-21T12:00:00Z */
static char error[SK_MODEL_ERROR_MAX];

static json_t *parse(const char *text) {
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    return json;
}

static void assert_json(const json_t *actual, const char *expected) {
    json_t *json = parse(expected);
    if (!json_equal(actual, json)) {
        char *text = json_dumps(actual, JSON_SORT_KEYS);
        print_error("is       %s\nexpected %s\n", text, expected);
        free(text);
        fail();
    }
    json_decref(json);
}

/* Applies {"tags":…,"desired":…,"reported":…} given as text; replaces when asked. */
static enum sk_status apply(struct sk_twin *twin, const char *text, bool replace) {
    json_t *json = parse(text);
    struct sk_twin_change change = {.tags = json_object_get(json, "tags"),
                                    .desired = json_object_get(json, "desired"),
                                    .reported = json_object_get(json, "reported"),
                                    .replace_tags = replace,
                                    .replace_desired = replace,
                                    .replace_reported = replace};
    error[0] = 0;
    enum sk_status status = sk_twin_apply(twin, &change, NOON, error);
    json_decref(json);
    return status;
}

/* Checks a document that is one property "p" with the given value. */
static enum sk_status check_value(json_t *value) {
    json_t *json = json_object();
    json_object_set_new(json, "p", value);
    enum sk_status status = sk_twin_check(SK_TWIN_REPORTED, json, error);
    json_decref(json);
    return status;
}

static json_t *long_text(size_t n, char c) {
    char *text = sk_alloc(n + 1);
    memset(text, c, n);
    json_t *json = json_stringn(text, n);
    free(text);
    return json;
}

static enum sk_status check_key(const char *key) {
    json_t *json = json_object();
    json_object_set_new(json, key, json_true());
    enum sk_status status = sk_twin_check(SK_TWIN_REPORTED, json, error);
    json_decref(json);
    return status;
}

TEST(a_fresh_twin_has_azures_versions) {
    struct sk_twin twin = sk_twin_new();
    struct sk_identity identity = {.device_id = (char *)"d"};
    json_t *json = sk_twin_service_json(&twin, &identity, NULL);
    assert_int_equal(json_integer_value(json_object_get(json, "version")), 2);
    assert_string_equal(json_string_value(json_object_get(json, "etag")), "AAAAAAAAAAE=");
    assert_null(json_object_get(json, "tags"));
    assert_json(
        json_object_get(json, "properties"),
        "{\"desired\":{\"$metadata\":{\"$lastUpdated\":\"0001-01-01T00:00:00Z\"},\"$version\":1},"
        "\"reported\":{\"$metadata\":{\"$lastUpdated\":\"0001-01-01T00:00:00Z\"},\"$version\":1}}");
    json_decref(json);
    sk_twin_free(&twin);
}

TEST(a_patch_merges_objects_replaces_values_and_deletes_with_null) {
    struct sk_twin twin = sk_twin_new();
    assert_int_equal(apply(&twin,
                           "{\"desired\":{\"a\":{\"b\":1,\"c\":[1,2]},\"d\":\"x\",\"gone\":null}}",
                           false),
                     SK_OK);
    assert_int_equal(
        apply(&twin,
              "{\"desired\":{\"a\":{\"b\":null,\"c\":[3],\"e\":{\"f\":true,\"g\":null}},"
              "\"d\":{\"y\":1}}}",
              false),
        SK_OK);
    assert_json(twin.desired, "{\"a\":{\"c\":[3],\"e\":{\"f\":true}},\"d\":{\"y\":1}}");
    assert_int_equal(twin.desired_version, 3);
    assert_int_equal(twin.reported_version, 1);
    assert_int_equal(twin.version, 4);
    sk_twin_free(&twin);
}

TEST(metadata_tells_when_and_in_which_version_each_leaf_changed) {
    struct sk_twin twin = sk_twin_new();
    apply(&twin, "{\"desired\":{\"a\":{\"b\":1},\"c\":2}}", false);
    apply(&twin, "{\"desired\":{\"c\":3},\"reported\":{\"r\":1}}", false);
#define AT "\"$lastUpdated\":\"2026-11-21T12:00:00.0000000Z\""
    assert_json(twin.desired_metadata,
                "{" AT ",\"$lastUpdatedVersion\":3,"
                "\"a\":{" AT ",\"$lastUpdatedVersion\":2,\"b\":{" AT ",\"$lastUpdatedVersion\":2}},"
                "\"c\":{" AT ",\"$lastUpdatedVersion\":3}}");
    assert_json(twin.reported_metadata, "{" AT ",\"r\":{" AT "}}");
    apply(&twin, "{\"desired\":{\"a\":null}}", false);
    assert_null(json_object_get(twin.desired_metadata, "a"));
    sk_twin_free(&twin);
}

TEST(a_replacement_leaves_nothing_of_the_old_section) {
    struct sk_twin twin = sk_twin_new();
    apply(&twin, "{\"tags\":{\"x\":1},\"desired\":{\"a\":1,\"b\":{\"c\":1}}}", false);
    assert_int_equal(apply(&twin, "{\"desired\":{\"b\":{\"d\":2,\"n\":null}}}", true), SK_OK);
    assert_json(twin.desired, "{\"b\":{\"d\":2}}");
    assert_null(json_object_get(twin.desired_metadata, "a"));
    assert_json(twin.tags, "{\"x\":1}");
    sk_twin_free(&twin);
}

TEST(what_sdks_read_they_may_send_back) {
    struct sk_twin twin = sk_twin_new();
    assert_int_equal(
        apply(
            &twin,
            "{\"desired\":{\"a\":1,\"$version\":7,\"$metadata\":{\"a\":{\"$lastUpdated\":\"x\"}}}}",
            false),
        SK_OK);
    assert_json(twin.desired, "{\"a\":1}");
    assert_int_equal(twin.desired_version, 2);
    assert_int_equal(apply(&twin, "{\"desired\":{\"a\":{\"$version\":7}}}", false), SK_INVALID);
    sk_twin_free(&twin);
}

TEST(a_refused_change_leaves_no_trace) {
    struct sk_twin twin = sk_twin_new();
    apply(&twin, "{\"tags\":{\"x\":1},\"desired\":{\"a\":1},\"reported\":{\"r\":1}}", false);
    struct sk_twin before = sk_twin_copy(&twin);
    assert_int_equal(
        apply(&twin, "{\"tags\":{\"x\":2},\"reported\":{\"r\":2},\"desired\":{\"a\":{\"b c\":1}}}",
              false),
        SK_INVALID);
    assert_non_null(strstr(error, "'b c' of properties.desired"));
    assert_true(json_equal(twin.tags, before.tags) && json_equal(twin.reported, before.reported));
    assert_true(json_equal(twin.desired_metadata, before.desired_metadata));
    assert_int_equal(twin.version, before.version);
    assert_int_equal(twin.etag, before.etag);
    sk_twin_free(&before);
    sk_twin_free(&twin);
}

TEST(keys_have_an_alphabet_and_a_length) {
    char key[SK_TWIN_KEY_MAX + 2] = {0};
    memset(key, 'k', SK_TWIN_KEY_MAX);
    assert_int_equal(check_key(key), SK_OK);
    key[SK_TWIN_KEY_MAX] = 'k';
    assert_int_equal(check_key(key), SK_INVALID);
    static const char *const good[] = {"a#b", "Grüße", "a/b", "\xc2\xa0"}, *const bad[] = {
                                                                               "",        "a b",
                                                                               "a.b",     "$a",
                                                                               "a\n",     "a\x7f",
                                                                               "\xc2\x85"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(check_key(good[i]), SK_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(check_key(bad[i]), SK_INVALID);
}

TEST(values_have_limits) {
    assert_int_equal(check_value(long_text(SK_TWIN_STRING_MAX, 'x')), SK_OK);
    assert_int_equal(check_value(long_text(SK_TWIN_STRING_MAX + 1, 'x')), SK_INVALID);
    assert_int_equal(check_value(json_integer(SK_TWIN_INTEGER_MAX)), SK_OK);
    assert_int_equal(check_value(json_integer(SK_TWIN_INTEGER_MAX + 1)), SK_INVALID);
    assert_int_equal(check_value(json_integer(SK_TWIN_INTEGER_MIN)), SK_OK);
    assert_int_equal(check_value(json_integer(SK_TWIN_INTEGER_MIN - 1)), SK_INVALID);
    assert_int_equal(check_value(json_real(1e300)), SK_OK);
    assert_int_equal(check_value(parse("[1,\"a\",{\"b\":[true]}]")), SK_OK);
    assert_int_equal(check_value(parse("[1,null]")), SK_INVALID);
    assert_int_equal(check_value(parse("[{\"b\":null}]")), SK_INVALID);
    json_t *array = json_array();
    assert_int_equal(sk_twin_check(SK_TWIN_TAGS, array, error), SK_INVALID);
    assert_string_equal(error, "tags must be a JSON object.");
    json_decref(array);
}

static json_t *nested(unsigned levels) {
    json_t *value = json_string("leaf");
    for (unsigned i = 0; i < levels; i++) {
        json_t *outer = json_object();
        json_object_set_new(outer, "o", value);
        value = outer;
    }
    return value;
}

TEST(ten_levels_may_nest_below_the_root) {
    assert_int_equal(check_value(nested(10)), SK_OK);
    assert_int_equal(check_value(nested(11)), SK_INVALID);
    assert_int_equal(check_value(nested(1000)), SK_INVALID);
}

/* Strings under one-letter keys that make a section of `size` bytes by Azure's counting. */
static json_t *section_of(size_t size) {
    json_t *section = json_object();
    for (char key[2] = "A"; size > 0; key[0]++) {
        size_t n = size - 1 < SK_TWIN_STRING_MAX ? size - 1 : SK_TWIN_STRING_MAX;
        json_object_set_new(section, key, long_text(n, 'v'));
        size -= n + 1;
    }
    return section;
}

TEST(sections_have_a_size) {
    static const struct {
        enum sk_twin_section section;
        size_t max;
    } cases[] = {{SK_TWIN_TAGS, SK_TWIN_TAGS_MAX},
                 {SK_TWIN_DESIRED, SK_TWIN_SECTION_MAX},
                 {SK_TWIN_REPORTED, SK_TWIN_SECTION_MAX}};
    for (size_t i = 0; i < 3; i++)
        for (size_t over = 0; over < 2; over++) {
            struct sk_twin twin = sk_twin_new();
            json_t *document = section_of(cases[i].max + over);
            struct sk_twin_change change = {0};
            *(i == 0 ? &change.tags : i == 1 ? &change.desired : &change.reported) = document;
            assert_int_equal(sk_twin_apply(&twin, &change, NOON, error),
                             over ? SK_TOO_LARGE : SK_OK);
            assert_int_equal(twin.version, over ? 2 : 3);
            if (over && i == 2)
                assert_non_null(
                    strstr(error, "'Properties.Reported' size should be less than 32768 bytes."));
            json_decref(document);
            sk_twin_free(&twin);
        }
}

TEST(the_size_counts_keys_and_values_without_control_characters) {
    json_t *json = parse("{\"ab\":\"c\\n\\u0085d\",\"e\":[1,2.5,true,false,null]}");
    assert_int_equal(sk_twin_size(json), 2 + 2 + 1 + 8 + 8 + 4 + 4);
    json_decref(json);
}

TEST(the_device_sees_sections_with_versions_only) {
    struct sk_twin twin = sk_twin_new();
    apply(&twin, "{\"tags\":{\"t\":1},\"desired\":{\"a\":1},\"reported\":{\"b\":2}}", false);
    json_t *json = sk_twin_device_json(&twin);
    assert_json(json,
                "{\"desired\":{\"a\":1,\"$version\":2},\"reported\":{\"b\":2,\"$version\":2}}");
    json_decref(json);
    assert_json(twin.desired, "{\"a\":1}"); /* making a view changes nothing */
    sk_twin_free(&twin);
}

/* What a device hears when `desired` becomes, or is patched with, `document`. */
static void assert_notification(struct sk_twin *twin, const char *document, bool replace,
                                const char *expected) {
    json_t *before = json_incref(twin->desired), *json = parse(document);
    struct sk_twin_change change = {.desired = json, .replace_desired = replace};
    assert_int_equal(sk_twin_apply(twin, &change, NOON, error), SK_OK);
    json_t *body = sk_twin_desired_notification(before, twin, &change);
    assert_json(body, expected);
    json_decref(body);
    json_decref(before);
    json_decref(json);
}

TEST(a_notification_is_the_patch_as_it_was_sent) {
    struct sk_twin twin = sk_twin_new();
    apply(&twin, "{\"desired\":{\"a\":1,\"b\":2}}", false);
    assert_notification(&twin, "{\"a\":null,\"c\":3,\"$metadata\":{}}", false,
                        "{\"a\":null,\"c\":3,\"$version\":3}");
    sk_twin_free(&twin);
}

/* Devices merge what they hear: Node's SDK keeps each property that no null removes. */
TEST(after_a_replacement_the_notification_has_nulls_for_what_is_gone) {
    struct sk_twin twin = sk_twin_new();
    apply(&twin, "{\"desired\":{\"a\":{\"b\":1,\"c\":{\"d\":2}},\"e\":{\"f\":3},\"g\":[4]}}",
          false);
    assert_notification(
        &twin, "{\"a\":{\"b\":1,\"c\":{}},\"e\":5,\"h\":{\"i\":6}}", true,
        "{\"a\":{\"b\":1,\"c\":{\"d\":null}},\"e\":5,\"g\":null,\"h\":{\"i\":6},\"$version\":3}");
    assert_json(twin.desired, "{\"a\":{\"b\":1,\"c\":{}},\"e\":5,\"h\":{\"i\":6}}");
    assert_notification(&twin, "{}", true, "{\"a\":null,\"e\":null,\"h\":null,\"$version\":4}");
    sk_twin_free(&twin);
}

TEST(null_for_a_section_empties_it) {
    struct sk_twin twin = sk_twin_new();
    struct sk_twin_change change;
    json_t *body = parse("{\"tags\":null,\"properties\":{\"desired\":null}}");
    apply(&twin, "{\"tags\":{\"t\":1},\"desired\":{\"a\":1},\"reported\":{\"r\":1}}", false);
    assert_int_equal(sk_twin_change_from_json(body, false, &change, error), SK_OK);
    json_t *before = json_incref(twin.desired);
    assert_int_equal(sk_twin_apply(&twin, &change, NOON, error), SK_OK);
    assert_json(twin.tags, "{}");
    assert_json(twin.desired, "{}");
    assert_json(twin.reported, "{\"r\":1}");
    json_t *heard = sk_twin_desired_notification(before, &twin, &change);
    assert_json(heard, "{\"a\":null,\"$version\":3}");
    json_decref(heard);
    json_decref(before);
    json_decref(body);
    body = json_null(); /* of a device that is no way to empty what it has reported */
    change = (struct sk_twin_change){.reported = body};
    assert_int_equal(sk_twin_apply(&twin, &change, NOON, error), SK_INVALID);
    sk_twin_free(&twin);
}

TEST(a_service_body_gives_tags_and_desired_and_nothing_else) {
    struct sk_twin_change change;
    json_t *body =
        parse("{\"deviceId\":\"x\",\"tags\":{\"a\":1},\"properties\":{\"desired\":{\"b\":1},"
              "\"reported\":{\"c\":1}}}");
    assert_int_equal(sk_twin_change_from_json(body, false, &change, error), SK_OK);
    assert_json(change.tags, "{\"a\":1}");
    assert_json(change.desired, "{\"b\":1}");
    assert_null(change.reported);
    assert_false(change.replace_desired);
    json_decref(body);
    static const char *const bad[] = {"[]", "{\"properties\":1}", "{\"tags\":3}",
                                      "{\"properties\":{\"desired\":[]}}",
                                      "{\"tags\":{\"a b\":1}}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        body = parse(bad[i]);
        assert_int_equal(sk_twin_change_from_json(body, true, &change, error), SK_INVALID);
        json_decref(body);
    }
}

TEST(what_configurations_are_to_a_twin_is_nobodys_edit) {
    struct sk_twin twin = sk_twin_new();
    json_t *statuses = parse("{\"c\":{\"status\":\"Applied\"}}"), *names = parse("{\"a\":1}"),
           *desired = parse("{\"a\":2}");
    struct sk_twin_change change = {.configurations = statuses, .configured = names};
    assert_int_equal(sk_twin_apply(&twin, &change, NOON, error), SK_OK);
    assert_int_equal(twin.version, 2);
    assert_int_equal(twin.etag, 1);
    assert_true(json_equal(twin.configurations, statuses));
    assert_true(json_equal(twin.configured, names));
    change.desired = desired;
    assert_int_equal(sk_twin_apply(&twin, &change, NOON, error), SK_OK);
    assert_int_equal(twin.version, 3);
    assert_int_equal(twin.desired_version, 2);
    json_decref(statuses);
    json_decref(names);
    json_decref(desired);
    sk_twin_free(&twin);
}
