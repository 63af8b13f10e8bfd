/* Any TOML, and any change of what it says: what comes out says that and nothing else, and what was
 * not changed leaves the text as it was. */
#include <stdlib.h>

#include "config/rewrite.h"
#include "model/json_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHANGES_MAX = 4, PICKS = 4 }; /* bytes of a change: whereto, three times, and what */

static json_t *some_value(uint8_t what) {
    switch (what % 8) {
    case 0: return json_integer(what);
    case 1: return json_string("x\x7f\"\n");
    case 2: return json_pack("{s:s,s:{s:b}}", "name", "new", "a.b", "c", what > 99);
    case 3: return json_pack("[{s:s},{s:s,s:i}]", "name", "new", "name", "two", "n", (int)what);
    case 4: return json_real(what);
    case 5: return json_array();
    case 6: return json_pack("[s,s]", "a", "b");
    default: return json_object();
    }
}

/* Goes down as far as the bytes lead, then sets, adds or takes away. */
static void change(json_t *at, const uint8_t *how) {
    for (int depth = 0; depth < 3; depth++) {
        json_t *next = NULL;
        void *iter = json_object_iter(at);
        size_t n = json_is_array(at) ? json_array_size(at) : json_object_size(at);
        size_t pick = n ? how[depth] % n : 0;
        if (json_is_array(at)) next = json_array_get(at, pick);
        for (size_t i = 0; iter && i < pick; i++) iter = json_object_iter_next(at, iter);
        if (iter) next = json_object_iter_value(iter);
        bool here = next == NULL || depth == 2 || how[depth] & 0x80 ||
                    !(json_is_object(next) || json_is_array(next));
        if (!here) {
            at = next;
            continue;
        }
        bool takes = how[3] & 1, adds = how[3] & 2 || n == 0;
        if (json_is_array(at) && takes)
            json_array_remove(at, pick);
        else if (json_is_array(at) && adds)
            json_array_insert_new(at, pick, some_value(how[3] >> 2));
        else if (json_is_array(at))
            json_array_set_new(at, pick, some_value(how[3] >> 2));
        else if (takes && iter)
            json_object_del(at, json_object_iter_key(iter));
        else
            json_object_set_new(at, adds || !iter ? "added.key" : json_object_iter_key(iter),
                                some_value(how[3] >> 2));
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *document, *lines, *now;
    char error[SK_TOML_ERROR_MAX];
    size_t changes = size ? data[0] % (CHANGES_MAX + 1) : 0, head = 1 + changes * PICKS;
    if (size < head) return 0;
    struct sk_span text = sk_span(data + head, size - head);
    struct sk_buffer to = {0};
    if (sk_toml_parse(text, "h.toml", &document, &lines, error)) return 0;
    json_decref(lines);
    for (size_t i = 0; i < changes; i++) change(document, data + 1 + i * PICKS);
    enum sk_status status = sk_toml_rewrite(text, "h.toml", document, &to, error);
    if (status == SK_OK) {
        if (sk_toml_parse(sk_buffer_span(&to), "h.toml", &now, &lines, error)) abort();
        if (!json_equal(now, document)) abort();
        if (changes == 0 && !sk_span_eq(text, sk_buffer_span(&to))) abort();
        json_decref(lines);
        json_decref(now);
    } else if (status != SK_UNSUPPORTED || to.n || changes == 0) {
        abort();
    }
    json_decref(document);
    sk_buffer_free(&to);
    return 0;
}
