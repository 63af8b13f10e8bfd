/* Digital twins: the view of a twin, JSON patches of it, and what watchers hear. */
#include "model/digital_twin.h"
#include "support/test.h"

static struct sk_twin twin;
static struct sk_identity identity;

static json_t *parse(const char *text) {
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(json);
    return json;
}

static void apply(const char *desired, const char *reported) {
    json_t *d = desired ? parse(desired) : NULL, *r = reported ? parse(reported) : NULL;
    struct sk_twin_change change = {.desired = d, .reported = r};
    char error[SK_MODEL_ERROR_MAX];
    assert_int_equal(sk_twin_apply(&twin, &change, 1764313200000000, error), SK_OK);
    json_decref(d);
    json_decref(r);
}

static int start(void **state) {
    (void)state;
    twin = sk_twin_new();
    identity = (struct sk_identity){.device_id = (char *)"d1", .model_id = (char *)"dtmi:x:Y;1"};
    return 0;
}

static int end(void **state) {
    (void)state;
    sk_twin_free(&twin);
    return 0;
}

AROUND(start, end);

static void is(json_t *json, const char *expected) {
    json_t *other = parse(expected);
    if (!json_equal(json, other)) {
        SK_CLEANUP_FREE char *text = json_dumps(json, JSON_SORT_KEYS);
        fail_msg("%s\ninstead of %s", text, expected);
    }
    json_decref(json);
    json_decref(other);
}

#define TIME "\"2025-11-28T07:00:00.0000000Z\""

TEST(a_twin_is_shown_by_components_and_properties_with_what_is_known_of_each) {
    apply("{\"thermostat1\":{\"__t\":\"c\",\"target\":21},\"name\":\"a\"}", NULL);
    apply(NULL, "{\"serial\":\"x\",\"thermostat1\":{\"__t\":\"c\",\"max\":25.5,\"target\":{"
                "\"value\":20,\"ac\":200,\"av\":2,\"ad\":\"fine\"}}}");
    is(sk_digital_twin_json(&twin, &identity),
       "{\"$dtId\":\"d1\",\"serial\":\"x\",\"thermostat1\":{\"max\":25.5,\"target\":20,"
       "\"$metadata\":{\"max\":{\"lastUpdateTime\":" TIME
       "},\"target\":{\"desiredValue\":21,\"desiredVersion\":2,\"ackVersion\":2,\"ackCode\":200,"
       "\"ackDescription\":\"fine\",\"lastUpdateTime\":" TIME
       "}}},\"$metadata\":{\"$model\":\"dtmi:x:Y;1\",\"serial\":{\"lastUpdateTime\":" TIME
       "},\"name\":{\"desiredValue\":\"a\",\"desiredVersion\":2,\"lastUpdateTime\":" TIME "}}}");
}

static void patched(const char *operations, const char *expected) {
    char error[SK_MODEL_ERROR_MAX] = "";
    json_t *list = parse(operations), *patch = sk_digital_twin_patch(list, &twin, error);
    json_decref(list);
    if (expected && patch == NULL) fail_msg("%s: %s", operations, error);
    if (expected)
        is(patch, expected);
    else if (patch || error[0] == 0)
        fail_msg("%s is not refused", operations);
}

TEST(a_patch_of_a_digital_twin_is_one_of_desired_properties) {
    apply("{\"box\":{\"a\":1,\"b\":2},\"old\":{\"__t\":\"c\",\"x\":1,\"y\":2}}", NULL);
    patched("[]", "{}");
    patched("[{\"op\":\"add\",\"path\":\"/name\",\"value\":\"n\"}]", "{\"name\":\"n\"}");
    patched("[{\"op\":\"remove\",\"path\":\"/name\"}]", "{\"name\":null}");
    patched("[{\"op\":\"replace\",\"path\":\"/thermostat1/target\",\"value\":21.5}]",
            "{\"thermostat1\":{\"__t\":\"c\",\"target\":21.5}}");
    patched("[{\"op\":\"remove\",\"path\":\"/old/x\"},"
            "{\"op\":\"add\",\"path\":\"/old/z\",\"value\":3}]",
            "{\"old\":{\"__t\":\"c\",\"x\":null,\"z\":3}}");
    patched("[{\"op\":\"add\",\"path\":\"/new\",\"value\":{\"$metadata\":{},\"x\":1}}]",
            "{\"new\":{\"__t\":\"c\",\"x\":1}}");
    patched("[{\"op\":\"replace\",\"path\":\"/old\",\"value\":{\"y\":5}}]",
            "{\"old\":{\"__t\":\"c\",\"x\":null,\"y\":5}}");
    patched("[{\"op\":\"replace\",\"path\":\"/box\",\"value\":{\"b\":3}}]",
            "{\"box\":{\"a\":null,\"b\":3}}");
    patched("[{\"op\":\"add\",\"path\":\"/box/a\",\"value\":7}]", "{\"box\":{\"a\":7}}");
    patched("[{\"op\":\"add\",\"path\":\"/a~1b~0c\",\"value\":1}]", "{\"a/b~c\":1}");
}

TEST(a_patch_that_means_nothing_is_refused) {
    static const char *const bad[] = {
        "[1]",
        "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/b\"}]",
        "[{\"op\":\"add\",\"path\":\"/a\"}]",
        "[{\"op\":\"add\",\"path\":\"a\",\"value\":1}]",
        "[{\"op\":\"add\",\"path\":\"/\",\"value\":1}]",
        "[{\"op\":\"add\",\"path\":\"\",\"value\":{}}]",
        "[{\"op\":\"add\",\"path\":\"/a//b\",\"value\":1}]",
        "[{\"op\":\"add\",\"path\":\"/a~2\",\"value\":1}]",
        "[{\"op\":\"add\",\"path\":\"/$metadata/$model\",\"value\":1}]",
        "[{\"op\":\"add\",\"path\":\"/c/__t\",\"value\":1}]",
        "[{\"op\":\"add\",\"path\":\"/1/2/3/4/5/6/7/8/9/10/11\","
        "\"value\":1}]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) patched(bad[i], NULL);
    patched("[{\"op\":\"add\",\"path\":\"/1/2/3/4/5/6/7/8/9/10\",\"value\":1}]",
            "{\"1\":{\"__t\":\"c\",\"2\":{\"3\":{\"4\":{\"5\":{\"6\":{\"7\":{\"8\":{\"9\":{\"10\":1"
            "}}}}}}}}}}");
}

TEST(watchers_hear_of_values_and_of_what_is_known_of_them) {
    apply("{\"t\":{\"__t\":\"c\",\"target\":21}}", "{\"serial\":\"x\"}");
    json_t *desired = parse("{\"t\":{\"__t\":\"c\",\"target\":21}}");
    is(sk_digital_twin_changes(&twin, &identity, desired, NULL),
       "[{\"op\":\"add\",\"path\":\"/t/$metadata/target\",\"value\":{\"desiredValue\":21,"
       "\"desiredVersion\":2,\"lastUpdateTime\":" TIME "}}]");
    json_decref(desired);
    json_t *reported = parse("{\"serial\":\"x\",\"gone\":null}");
    is(sk_digital_twin_changes(&twin, &identity, NULL, reported),
       "[{\"op\":\"add\",\"path\":\"/serial\",\"value\":\"x\"},{\"op\":\"add\",\"path\":"
       "\"/$metadata/serial\",\"value\":{\"lastUpdateTime\":" TIME
       "}},{\"op\":\"remove\",\"path\":\"/gone\"},"
       "{\"op\":\"remove\",\"path\":\"/$metadata/gone\"}]");
    json_decref(reported);
}
