/* Any text as JSON: the quick check, a walk, and a search agree with each other and, on what is
 * valid, with jansson. */
#include <stdlib.h>

#include <jansson.h>

#include "expr/json_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
    if (!(condition)) abort()

/* Each member of a valid container must be found again under its key. */
static void find_again(struct sk_span json, struct sk_arena *arena) {
    struct sk_json_walk walk;
    if (sk_json_walk(json, &walk)) return;
    enum sk_status status;
    for (uint32_t index = 0; (status = sk_json_next(&walk)) == SK_OK; index++) {
        struct sk_json key = {.type = SK_VALUE_STRING, .escaped = true, .raw = walk.key}, value;
        struct sk_json_step step = {
            .key = walk.object ? sk_json_string_value(arena, &key) : SK_NONE, .index = index};
        CHECK(sk_json_find(json, &step, 1, false, &value) == SK_OK);
        if (!walk.object) CHECK(value.raw.p == walk.value.raw.p && value.type == walk.value.type);
        CHECK(sk_json_find(json, &step, 1, true, &value) == SK_OK);
    }
    CHECK(status == SK_NOT_FOUND);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sk_span json = sk_span(data, size);
    static const struct sk_json_step path[] = {{.key = {"a", 1}}, {.index = 1}, {.key = {"b", 1}}};
    struct sk_json value;
    struct sk_arena arena = {0};
    for (size_t count = 0; count <= 3; count++) sk_json_find(json, path, count, count & 1, &value);

    json_error_t error;
    bool has_nul = size && memchr(data, 0, size); /* the end of the text to jansson */
    json_t *theirs =
        has_nul ? NULL
                : json_loadb((const char *)data, size,
                             JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &error);
    bool valid = sk_json_valid(json);
    if (theirs && size < 64)
        CHECK(
            valid); /* jansson takes deeper nesting and larger numbers than we do, in more bytes */
    if (valid) {
        CHECK(sk_json_read(json, &value, NULL) == SK_OK);
        if (theirs && json_is_real(theirs))
            CHECK(value.type == SK_VALUE_NUMBER && value.number == json_real_value(theirs));
        if (theirs && json_is_string(theirs)) {
            struct sk_span text = sk_json_string_value(&arena, &value);
            CHECK(sk_span_eq(text, sk_span(json_string_value(theirs), json_string_length(theirs))));
        }
        find_again(json, &arena);
    }
    json_decref(theirs);
    sk_arena_free(&arena);
    return 0;
}
