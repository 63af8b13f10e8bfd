/* Any twin document with any patch: applied or refused with a sentence; a refused one changes
 * nothing, an applied one keeps the limits and its metadata mirrors it. The input is the twin's
 * desired section, a line break, and the patch. */
#include <stdlib.h>

#include "model/twin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *parse(struct sk_span text) {
    return json_loadb(text.p ? text.p : "", text.n, 0, NULL);
}

/* Each property has metadata, and there is none for what is not there. */
static void check_mirror(const json_t *section, const json_t *metadata, bool root) {
    const char *key;
    json_t *value;
    size_t own = 0;
    json_object_foreach((json_t *)metadata, key, value) own += key[0] == '$';
    if (json_object_size(metadata) != json_object_size(section) + own ||
        !json_is_string(json_object_get(metadata, "$lastUpdated")))
        abort();
    if (root) return;
    json_object_foreach((json_t *)section, key, value) {
        const json_t *below = json_object_get(metadata, key);
        if (!json_is_object(below) || json_is_null(value)) abort();
        if (json_is_object(value)) check_mirror(value, below, false);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sk_span all = sk_span(data, size);
    struct sk_span first = sk_span_first(all, sk_span_find(all, '\n'));
    json_t *begin = parse(first), *patch = parse(sk_span_skip(all, first.n + 1));
    for (int replace = 0; replace < 2 && patch; replace++) {
        char error[SK_MODEL_ERROR_MAX] = "";
        struct sk_twin twin = sk_twin_new();
        struct sk_twin_change change = {.desired = begin, .replace_desired = true};
        if (begin) sk_twin_apply(&twin, &change, 1, error);
        struct sk_twin before = sk_twin_copy(&twin);
        change = (struct sk_twin_change){
            .desired = patch, .reported = patch, .replace_desired = replace};
        enum sk_status status = sk_twin_apply(&twin, &change, 2, error);
        if (status) {
            if ((status != SK_INVALID && status != SK_TOO_LARGE) || error[0] == 0) abort();
            if (!json_equal(twin.desired, before.desired) ||
                !json_equal(twin.reported, before.reported) || twin.version != before.version)
                abort();
        } else {
            if (sk_twin_size(twin.desired) > SK_TWIN_SECTION_MAX ||
                twin.desired_version != before.desired_version + 1)
                abort();
            check_mirror(twin.desired, twin.desired_metadata, true);
            check_mirror(twin.desired, twin.desired_metadata, false);
            json_decref(sk_twin_desired_notification(before.desired, &twin, &change));
            json_decref(sk_twin_device_json(&twin));
        }
        sk_twin_free(&before);
        sk_twin_free(&twin);
    }
    json_decref(begin);
    json_decref(patch);
    return 0;
}
