#include "model/json_text.h"

struct sk_span sk_without_bom(struct sk_span text) {
    struct sk_span mark = SK_SPAN("\xef\xbb\xbf");
    return sk_span_starts(text, mark) ? sk_span_skip(text, mark.n) : text;
}

json_t *sk_json_load(struct sk_span text, size_t flags, json_error_t *error) {
    text = sk_without_bom(text);
    return json_loadb(text.p ? text.p : "", text.n, flags, error);
}

const char *sk_json_member_text(const json_t *object, const char *name) {
    return json_string_value(json_object_get(object, name));
}

json_t *sk_json_of_text(struct sk_span text) {
    json_t *json = json_stringn(text.p ? text.p : "", text.n);
    if (json) return json;
    struct sk_buffer quoted = {0};
    sk_json_string(&quoted, text);
    json = sk_json_load(sk_buffer_span(&quoted), JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    sk_buffer_free(&quoted);
    return json;
}

static void put_line(struct sk_buffer *to, unsigned indent, unsigned depth) {
    if (indent == 0) return;
    sk_buffer_byte(to, '\n');
    for (unsigned i = 0; i < indent * depth; i++) sk_buffer_byte(to, ' ');
}

/* Documents are no deeper than their reader allows (jansson: 2048 levels). */
static void put(struct sk_buffer *to, const json_t *json, unsigned indent, unsigned depth) {
    const char *key, *comma = "";
    json_t *value;
    size_t i;
    char real[SK_REAL_TEXT];
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        sk_buffer_byte(to, '{');
        json_object_foreach((json_t *)json, key, value) {
            sk_buffer_text(to, comma);
            put_line(to, indent, depth + 1);
            sk_json_string(to, sk_span_z(key));
            sk_buffer_text(to, indent ? ": " : ":");
            put(to, value, indent, depth + 1);
            comma = ",";
        }
        if (*comma) put_line(to, indent, depth);
        sk_buffer_byte(to, '}');
        break;
    case JSON_ARRAY:
        sk_buffer_byte(to, '[');
        json_array_foreach((json_t *)json, i, value) {
            sk_buffer_text(to, comma);
            put_line(to, indent, depth + 1);
            put(to, value, indent, depth + 1);
            comma = ",";
        }
        if (*comma) put_line(to, indent, depth);
        sk_buffer_byte(to, ']');
        break;
    case JSON_STRING:
        sk_json_string(to, sk_span(json_string_value(json), json_string_length(json)));
        break;
    case JSON_INTEGER: sk_buffer_print(to, "%lld", (long long)json_integer_value(json)); break;
    case JSON_REAL:
        sk_real_text(json_real_value(json), real);
        sk_buffer_text(to, real);
        if (real[strspn(real, "-0123456789")] == 0) /* or it would come back as an integer */
            sk_buffer_text(to, ".0");
        break;
    case JSON_TRUE: sk_buffer_text(to, "true"); break;
    case JSON_FALSE: sk_buffer_text(to, "false"); break;
    case JSON_NULL: sk_buffer_text(to, "null"); break;
    }
}

void sk_json_put(struct sk_buffer *to, const json_t *json, unsigned indent) {
    if (json) put(to, json, indent, 0);
}

char *sk_json_text(const json_t *json) {
    struct sk_buffer text = {0};
    if (json == NULL) return NULL;
    sk_json_put(&text, json, 0);
    sk_buffer_byte(&text, 0);
    return text.p;
}

void sk_json_print(FILE *to, const json_t *json, unsigned indent) {
    struct sk_buffer text = {0};
    sk_json_put(&text, json, indent);
    fwrite(text.p, 1, text.n, to);
    sk_buffer_free(&text);
}
