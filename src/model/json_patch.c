#include "model/json_patch.h"

void sk_json_merge(json_t *target, const json_t *patch) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)patch, key, value) {
        json_t *old = json_object_get(target, key);
        if (json_is_null(value)) {
            json_object_del(target, key);
        } else if (json_is_object(value)) {
            if (!json_is_object(old)) {
                old = json_object();
                json_object_set_new(target, key, old);
            }
            sk_json_merge(old, value);
        } else {
            json_object_set_new(target, key, json_deep_copy(value));
        }
    }
}

void sk_json_patch_append(json_t *first, json_t *second, const json_t *more) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)more, key, value) {
        json_t *old = json_object_get(second, key), *cleared = json_object_get(first, key);
        if (!json_is_object(value)) {
            json_object_set_new(second, key, json_deep_copy(value));
            json_object_del(first, key); /* whatever was there is replaced now */
        } else if (old == NULL) {
            json_object_set_new(second, key, json_deep_copy(value));
        } else if (!json_is_object(old)) { /* begins with nothing: clear it, then build it anew */
            json_t *fresh = json_object();
            sk_json_merge(fresh, value);
            json_object_set_new(first, key, json_null());
            json_object_set_new(second, key, fresh);
        } else if (json_is_null(
                       cleared)) { /* all that there is was built since: nulls delete from that */
            sk_json_merge(old, value);
        } else {
            json_t *deeper = cleared ? json_incref(cleared) : json_object();
            sk_json_patch_append(deeper, old, value);
            if (json_object_size(deeper)) json_object_set(first, key, deeper);
            json_decref(deeper);
        }
    }
}

json_t *sk_json_diff(const json_t *from, const json_t *to) {
    json_t *patch = json_object(), *value;
    const char *key;
    json_object_foreach((json_t *)from, key, value) {
        if (json_object_get(to, key) == NULL) json_object_set_new(patch, key, json_null());
    }
    json_object_foreach((json_t *)to, key, value) {
        const json_t *old = json_object_get(from, key);
        if (json_is_object(old) && json_is_object(value)) {
            json_t *inner = sk_json_diff(old, value);
            if (json_object_size(inner)) json_object_set(patch, key, inner);
            json_decref(inner);
        } else if (old == NULL || !json_equal(old, value)) {
            json_object_set_new(patch, key, json_deep_copy(value));
        }
    }
    return patch;
}
