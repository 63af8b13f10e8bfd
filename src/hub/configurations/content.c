/* What configurations give: keys that lead into desired properties. */
#include "hub/configurations/parts.h"

#include <stdio.h>

#define DESIRED SK_SPAN("properties.desired")

enum sk_status content_key(const char *key, const json_t *value, struct sk_span *path,
                           char error[SK_MODEL_ERROR_MAX]) {
    struct sk_span text = sk_span_z(key), rest = sk_span_skip(text, DESIRED.n), segment;
    bool whole = rest.n == 0;
    bool fine = sk_span_starts(text, DESIRED) && (whole || rest.p[0] == '.');
    struct sk_span below = sk_span_skip(rest, 1), at = below;
    for (; fine && !whole && sk_span_split(&at, '.', &segment);) fine = segment.n > 0;
    if (!fine) {
        snprintf(error, SK_MODEL_ERROR_MAX,
                 "'%.80s' is not \"properties.desired\" or \"properties.desired.<path>\"", key);
        return SK_INVALID;
    }
    if (whole && !json_is_object(value)) {
        snprintf(error, SK_MODEL_ERROR_MAX, "properties.desired is not an object");
        return SK_INVALID;
    }
    if (path) *path = whole ? SK_NONE : below;
    return SK_OK;
}

static void put_at(json_t *tree, struct sk_span path, const json_t *value) {
    struct sk_span segment;
    sk_span_split(&path, '.', &segment);
    if (path.p == NULL) {
        json_object_setn_new(tree, segment.p, segment.n, json_deep_copy(value));
        return;
    }
    json_t *below = json_object_getn(tree, segment.p, segment.n);
    if (!json_is_object(below)) {
        below = json_object();
        json_object_setn_new(tree, segment.p, segment.n, below);
    }
    put_at(below, path, value);
}

/* SDKs send back what they have read. */
static void put_whole(json_t *tree, const json_t *value) {
    json_object_clear(tree);
    json_t *copy = json_deep_copy(value);
    json_object_del(copy, "$version");
    json_object_del(copy, "$metadata");
    json_object_update(tree, copy);
    json_decref(copy);
}

void content_put(json_t *tree, const json_t *keys) {
    const char *key;
    json_t *value = json_object_get(keys, "properties.desired");
    struct sk_span path;
    char error[SK_MODEL_ERROR_MAX];
    if (value) put_whole(tree, value);
    json_object_foreach((json_t *)keys, key, value) {
        if (content_key(key, value, &path, error) == SK_OK && path.n) put_at(tree, path, value);
    }
}

enum sk_status content_check(const json_t *keys, char error[SK_MODEL_ERROR_MAX]) {
    const char *key;
    json_t *value;
    if (!json_is_object(keys) || json_object_size(keys) == 0) {
        snprintf(error, SK_MODEL_ERROR_MAX, "there is no \"properties.desired\" in it");
        return SK_INVALID;
    }
    json_object_foreach((json_t *)keys, key, value) {
        enum sk_status status = content_key(key, value, NULL, error);
        if (status) return status;
    }
    json_t *tree = json_object();
    content_put(tree, keys);
    enum sk_status status = sk_twin_check(SK_TWIN_DESIRED, tree, error);
    if (!status && sk_twin_size(tree) > SK_TWIN_SECTION_MAX) {
        snprintf(error, SK_MODEL_ERROR_MAX, "it has %zu bytes; desired properties have at most %d",
                 sk_twin_size(tree), SK_TWIN_SECTION_MAX);
        status = SK_INVALID;
    }
    json_decref(tree);
    return status;
}

void content_drop_nulls(json_t *tree) {
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(tree, next, key, value) {
        if (json_is_null(value))
            json_object_del(tree, key);
        else if (json_is_object(value))
            content_drop_nulls(value);
    }
}
