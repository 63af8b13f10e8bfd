#include "edge/agent/reading.h"

#include <stdarg.h>
#include <stdio.h>

enum sk_status reading_refuse(struct reader *reader, int code, const char *format, ...) {
    int n = 0;
    va_list args;
    reader->fault->code = code;
    if (reader->place[0])
        n = snprintf(reader->fault->description, sizeof reader->fault->description,
                     "%s: ", reader->place);
    va_start(args, format);
    vsnprintf(reader->fault->description + n, sizeof reader->fault->description - (size_t)n, format,
              args);
    va_end(args);
    return SK_INVALID;
}

enum sk_status reading_text(struct reader *reader, const json_t *object, const char *name,
                            struct sk_span *text) {
    const json_t *value = json_object_get(object, name);
    *text = SK_NONE;
    if (value == NULL || json_is_null(value)) return SK_OK;
    if (!json_is_string(value)) return reading_refuse(reader, 400, "%s must be a string.", name);
    *text = sk_span(json_string_value(value), json_string_length(value));
    return memchr(text->p, 0, text->n)
               ? reading_refuse(reader, 400, "%s must not hold a NUL.", name)
               : SK_OK;
}

enum sk_status reading_copy(struct reader *reader, const json_t *object, const char *name,
                            char **to) {
    struct sk_span text;
    enum sk_status status = reading_text(reader, object, name, &text);
    if (!status && text.n) *to = sk_span_dup(text);
    return status;
}

enum sk_status reading_word(struct reader *reader, const json_t *object, const char *name,
                            const char *const *words, size_t count, size_t *index) {
    struct sk_span text;
    enum sk_status status = reading_text(reader, object, name, &text);
    if (status || text.n == 0) return status;
    for (size_t i = 0; i < count; i++)
        if (sk_span_eq_nocase(text, sk_span_z(words[i]))) {
            *index = i;
            return SK_OK;
        }
    struct sk_buffer list = {0};
    for (size_t i = 0; i < count; i++) sk_buffer_print(&list, "%s%s", i ? ", " : "", words[i]);
    reading_refuse(reader, 400, "%s must be one of %.*s.", name, SK_ARG(sk_buffer_span(&list)));
    sk_buffer_free(&list);
    return SK_INVALID;
}

enum sk_status reading_number(struct reader *reader, const json_t *object, const char *name,
                              json_int_t least, json_int_t most, json_int_t *to) {
    const json_t *value = json_object_get(object, name);
    if (value == NULL || json_is_null(value)) return SK_OK;
    if (!json_is_integer(value) || json_integer_value(value) < least ||
        json_integer_value(value) > most)
        return reading_refuse(reader, 400, "%s must be a whole number from %lld to %lld.", name,
                              (long long)least, (long long)most);
    *to = json_integer_value(value);
    return SK_OK;
}
