/* Secrets that are given are not given away again. */
#include "hub/manage/parts.h"

#define MASK "****"

char *manage_masked(const char *secret) {
    struct sk_buffer text = {0};
    struct sk_span rest = sk_span_z(secret), part;
    bool masked = false;
    while (sk_span_split(&rest, ';', &part)) {
        struct sk_span name = sk_span_trim(sk_span_first(part, sk_span_find(part, '=')));
        bool key = sk_span_eq_nocase(name, SK_SPAN("SharedAccessKey")) ||
                   sk_span_eq_nocase(name, SK_SPAN("AccountKey")) ||
                   sk_span_eq_nocase(name, SK_SPAN("SharedAccessSignature"));
        if (text.n) sk_buffer_byte(&text, ';');
        sk_buffer_append(&text, key ? name : part);
        if (key) sk_buffer_text(&text, "=" MASK);
        masked |= key;
    }
    char *copy = masked ? sk_span_dup(sk_buffer_span(&text)) : sk_text_dup(MASK);
    if (text.p) explicit_bzero(text.p, text.n);
    sk_buffer_free(&text);
    return copy;
}
