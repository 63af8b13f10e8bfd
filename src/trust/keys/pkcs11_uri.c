#include "trust/keys/pkcs11_uri.h"

#include <stdio.h>

static const char SCHEME[] = "pkcs11:";

static enum sk_status refuse(char reason[256], const char *what, struct sk_span name) {
    snprintf(reason, 256, "A PKCS#11 URI %s%.*s; write pkcs11:token=…;object=…?pin-value=….", what,
             SK_ARG(sk_span_first(name, 40)));
    return SK_MALFORMED;
}

/* Decodes into `to` of SK_PKCS11_TEXT_MAX bytes, with a NUL behind. */
static bool take(struct sk_span value, void *to, size_t *size) {
    struct sk_buffer text = {0};
    sk_percent_decode(&text, value);
    bool fine = text.n < SK_PKCS11_TEXT_MAX;
    if (fine && text.n) memcpy(to, text.p, text.n);
    if (fine) ((char *)to)[text.n] = 0;
    if (fine && size) *size = text.n;
    bool is_text = size == NULL;
    if (is_text && text.n && memchr(text.p, 0, text.n)) fine = false;
    if (text.p) memset(text.p, 0, text.n);
    sk_buffer_free(&text);
    return fine;
}

static bool take_slot(struct sk_span value, int64_t *slot) {
    return sk_span_to_int(value, slot) == SK_OK && *slot >= 0 && *slot <= UINT32_MAX;
}

static bool take_file(struct sk_span value, char *to) {
    static const char *const schemes[] = {"file://", "file:", ""};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        struct sk_span scheme = sk_span_z(schemes[i]);
        if (!sk_span_starts(value, scheme)) continue;
        struct sk_span path = sk_span_skip(value, scheme.n);
        return path.n && path.p[0] == '/' && take(path, to, NULL);
    }
    return false;
}

static bool take_attribute(struct sk_pkcs11_uri *uri, struct sk_span name, struct sk_span value) {
    if (sk_span_is(name, "token")) return take(value, uri->token, NULL);
    if (sk_span_is(name, "serial")) return take(value, uri->serial, NULL);
    if (sk_span_is(name, "object")) return take(value, uri->object, NULL);
    if (sk_span_is(name, "id")) return take(value, uri->id, &uri->id_size);
    if (sk_span_is(name, "slot-id")) return take_slot(value, &uri->slot);
    if (sk_span_is(name, "pin-value")) return take(value, uri->pin, NULL);
    if (sk_span_is(name, "pin-source")) return take_file(value, uri->pin_file);
    return true;
}

static enum sk_status take_all(struct sk_pkcs11_uri *uri, struct sk_span rest, char separator,
                               char reason[256]) {
    struct sk_span attribute;
    while (sk_span_split(&rest, separator, &attribute)) {
        if (attribute.n == 0) continue;
        size_t equals = sk_span_find(attribute, '=');
        struct sk_span name = sk_span_first(attribute, equals);
        if (equals == attribute.n) return refuse(reason, "has an attribute without '='", SK_NONE);
        if (!take_attribute(uri, name, sk_span_skip(attribute, equals + 1)))
            return refuse(reason, "cannot have this value of ", name);
    }
    return SK_OK;
}

enum sk_status sk_pkcs11_uri_parse(struct sk_span text, struct sk_pkcs11_uri *uri,
                                   char reason[256]) {
    memset(uri, 0, sizeof *uri);
    uri->slot = -1;
    if (!sk_span_starts(text, SK_SPAN("pkcs11:")))
        return refuse(reason, "begins with ", sk_span_z(SCHEME));
    text = sk_span_skip(text, sizeof SCHEME - 1);
    size_t query = sk_span_find(text, '?');
    enum sk_status status = take_all(uri, sk_span_first(text, query), ';', reason);
    if (!status) status = take_all(uri, sk_span_skip(text, query + 1), '&', reason);
    return status;
}
