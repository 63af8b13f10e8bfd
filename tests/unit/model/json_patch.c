/* Merge patches: the examples of RFC 7396 that concern objects, combining, and finding them. */
#include "model/json_patch.h"
#include "support/test.h"

static json_t *from(const char *text) {
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);
    if (json == NULL) fail_msg("%s: %s", text, error.text);
    return json;
}

/* Frees `json`. */
static void is(json_t *json, const char *text) {
    json_t *expected = from(text);
    char *got = json_dumps(json, JSON_COMPACT);
    if (!json_equal(json, expected)) fail_msg("%s instead of %s", got, text);
    free(got);
    json_decref(expected);
    json_decref(json);
}

static json_t *merged(const char *target, const char *patch) {
    json_t *t = from(target), *p = from(patch);
    sk_json_merge(t, p);
    json_decref(p);
    return t;
}

TEST(the_examples_of_rfc_7396_come_out_right) {
    is(merged("{\"a\":\"b\"}", "{\"a\":\"c\"}"), "{\"a\":\"c\"}");
    is(merged("{\"a\":\"b\"}", "{\"b\":\"c\"}"), "{\"a\":\"b\",\"b\":\"c\"}");
    is(merged("{\"a\":\"b\"}", "{\"a\":null}"), "{}");
    is(merged("{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}"), "{\"b\":\"c\"}");
    is(merged("{\"a\":[\"b\"]}", "{\"a\":\"c\"}"), "{\"a\":\"c\"}");
    is(merged("{\"a\":\"c\"}", "{\"a\":[\"b\"]}"), "{\"a\":[\"b\"]}");
    is(merged("{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}"),
       "{\"a\":{\"b\":\"d\"}}");
    is(merged("{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}"), "{\"a\":[1]}");
    is(merged("{\"e\":null}", "{\"a\":1}"), "{\"e\":null,\"a\":1}");
    is(merged("{}", "{\"a\":{\"bb\":{\"ccc\":null}}}"), "{\"a\":{\"bb\":{}}}");
}

TEST(a_merge_shares_nothing_with_its_patch) {
    json_t *target = json_object(), *patch = from("{\"a\":{\"b\":[1]}}");
    sk_json_merge(target, patch);
    json_array_append_new(json_object_get(json_object_get(patch, "a"), "b"), json_integer(2));
    json_decref(patch);
    is(target, "{\"a\":{\"b\":[1]}}");
}

TEST(any_patches_become_two_that_do_the_same) {
    static const char *const targets[] = {"{}", "{\"a\":1}", "{\"a\":{\"x\":1,\"y\":2}}",
                                          "{\"a\":{\"x\":{\"z\":1,\"v\":2}},\"b\":2}"};
    static const char *const patches[] = {"{}",
                                          "{\"a\":null}",
                                          "{\"a\":5}",
                                          "{\"a\":{}}",
                                          "{\"a\":{\"x\":null}}",
                                          "{\"a\":{\"x\":{\"z\":null,\"w\":1}}}",
                                          "{\"a\":{\"x\":[1]}}",
                                          "{\"b\":{\"c\":null}}",
                                          "{\"a\":{\"y\":7},\"b\":null}"};
    enum { PATCHES = sizeof patches / sizeof *patches, LENGTH = 3 };
    for (size_t t = 0; t < sizeof targets / sizeof *targets; t++)
        for (size_t i = 0; i < PATCHES * PATCHES * PATCHES; i++) {
            json_t *one = from(targets[t]), *two = from(targets[t]), *first = json_object(),
                   *second = json_object();
            for (size_t n = 0, rest = i; n < LENGTH; n++, rest /= PATCHES) {
                json_t *patch = from(patches[rest % PATCHES]);
                sk_json_merge(one, patch);
                sk_json_patch_append(first, second, patch);
                json_decref(patch);
            }
            sk_json_merge(two, first);
            sk_json_merge(two, second);
            if (!json_equal(one, two)) fail_msg("target %zu, patches %zu", t, i);
            json_decref(one);
            json_decref(two);
            json_decref(first);
            json_decref(second);
        }
}

TEST(a_difference_is_the_patch_that_makes_it) {
    static const char *const documents[] = {
        "{}",
        "{\"a\":1}",
        "{\"a\":1.0}",
        "{\"a\":\"1\"}",
        "{\"a\":{}}",
        "{\"a\":{\"b\":1,\"c\":{\"d\":[1,2]}}}",
        "{\"a\":{\"b\":2,\"c\":{\"d\":[1,3],\"e\":false}},\"f\":\"x\"}",
        "{\"a\":[{\"b\":1}],\"f\":true}"};
    enum { DOCUMENTS = sizeof documents / sizeof *documents };
    for (size_t i = 0; i < DOCUMENTS; i++)
        for (size_t j = 0; j < DOCUMENTS; j++) {
            json_t *a = from(documents[i]), *b = from(documents[j]), *patch = sk_json_diff(a, b);
            assert_int_equal(json_object_size(patch) == 0, i == j);
            sk_json_merge(a, patch);
            if (!json_equal(a, b)) fail_msg("%s to %s", documents[i], documents[j]);
            json_decref(a);
            json_decref(b);
            json_decref(patch);
        }
    json_t *a = from("{\"a\":1,\"b\":{\"c\":1,\"d\":2}}"), *b = from("{\"b\":{\"c\":1,\"d\":3}}");
    is(sk_json_diff(a, b), "{\"a\":null,\"b\":{\"d\":3}}"); /* and nothing more */
    json_decref(a);
    json_decref(b);
}
