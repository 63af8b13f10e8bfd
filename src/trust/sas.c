#include "trust/sas.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

/* Seconds as the token says them; a fraction is cut off (some clients write a float). */
static enum sk_status parse_expiry(struct sk_span text, int64_t *expiry_s) {
    size_t point = sk_span_find(text, '.');
    struct sk_span fraction = sk_span_skip(text, point + 1);
    for (size_t i = 0; i < fraction.n; i++)
        if (fraction.p[i] < '0' || fraction.p[i] > '9') return SK_MALFORMED;
    return sk_span_to_int(sk_span_first(text, point), expiry_s);
}

static enum sk_status parse_signature(struct sk_span encoded, struct sk_arena *arena,
                                      unsigned char signature[32]) {
    char space[40];
    struct sk_buffer bytes = {
        .p = space, .capacity = sizeof space, .limit = sizeof space}; /* never grows: no heap */
    if (sk_base64_decode(&bytes, sk_percent_decoded(arena, encoded)) || bytes.n != 32)
        return SK_MALFORMED;
    memcpy(signature, bytes.p, 32);
    return SK_OK;
}

enum sk_status sk_sas_parse(struct sk_span token, struct sk_arena *arena, struct sk_sas *sas) {
    *sas = (struct sk_sas){0};
    if (token.n > SK_SAS_TOKEN_MAX) return SK_TOO_LARGE;
    token = sk_span_trim(token);
    if (!sk_span_starts(token, SK_SPAN("SharedAccessSignature "))) return SK_MALFORMED;
    struct sk_span fields = sk_span_trim(sk_span_skip(token, sizeof "SharedAccessSignature"));
    struct sk_span field, signature = SK_NONE;
    for (size_t i = 0; i < fields.n; i++)
        if (fields.p[i] == ' ' || (fields.p[i] >= '\t' && fields.p[i] <= '\r')) return SK_MALFORMED;
    while (sk_span_split(&fields, '&', &field)) {
        size_t equals =
            sk_span_find(field, '='); /* the first one only: base64 padding may stand unencoded */
        struct sk_span name = sk_span_first(field, equals), value = sk_span_skip(field, equals + 1);
        if (sk_span_eq_nocase(name, SK_SPAN("sr")))
            sas->sr = value;
        else if (sk_span_eq_nocase(name, SK_SPAN("se")))
            sas->se = value;
        else if (sk_span_eq_nocase(name, SK_SPAN("sig")))
            signature = value;
        else if (sk_span_eq_nocase(name, SK_SPAN("skn")) && value.n)
            sas->policy = sk_percent_decoded(arena, value);
    }
    if (sas->sr.n == 0 || sas->se.n == 0 || signature.n == 0) return SK_MALFORMED;
    if (parse_expiry(sk_percent_decoded(arena, sas->se), &sas->expiry_s)) return SK_MALFORMED;
    sas->resource = sk_percent_decoded(arena, sas->sr);
    return parse_signature(signature, arena, sas->signature);
}

/* Kept between calls: making one costs more than a short text's HMAC. */
static EVP_MAC_CTX *hmac_sha256(void) {
    static _Thread_local EVP_MAC_CTX *kept;
    if (kept) return kept;
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    kept = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    EVP_MAC_free(hmac);
    if (kept && !EVP_MAC_CTX_set_params(kept, parameters)) {
        EVP_MAC_CTX_free(kept);
        kept = NULL;
    }
    return kept;
}

/* HMAC-SHA256 over `a` "\n" `b`. */
static enum sk_status sign_with(struct sk_span key, struct sk_span a, struct sk_span b,
                                unsigned char digest[32]) {
    char space[512];
    struct sk_buffer text = {.p = space, .capacity = sizeof space, .limit = sizeof space};
    struct sk_buffer long_text = {0};
    /* Almost every text fits the stack; only a very long resource takes the heap. */
    struct sk_buffer *to = a.n + b.n + 1 <= sizeof space ? &text : &long_text;
    sk_buffer_append(to, a);
    if (b.p) sk_buffer_byte(to, '\n');
    sk_buffer_append(to, b);
    EVP_MAC_CTX *mac = hmac_sha256();
    size_t size = 0;
    bool fine = mac && EVP_MAC_init(mac, (const unsigned char *)key.p, key.n, NULL) &&
                EVP_MAC_update(mac, (const unsigned char *)to->p, to->n) &&
                EVP_MAC_final(mac, digest, &size, 32);
    sk_buffer_free(&long_text);
    return fine ? SK_OK : SK_IO;
}

static enum sk_status sign(struct sk_span key_base64, struct sk_span a, struct sk_span b,
                           unsigned char digest[32]) {
    char space[SK_SAS_KEY_MAX + 3];
    struct sk_buffer key = {.p = space, .capacity = sizeof space, .limit = sizeof space};
    enum sk_status status = SK_MALFORMED;
    if (sk_base64_decode(&key, key_base64) == SK_OK && key.n > 0 && key.n <= SK_SAS_KEY_MAX)
        status = sign_with(sk_buffer_span(&key), a, b, digest);
    OPENSSL_cleanse(space, sizeof space);
    return status;
}

enum sk_status sk_sas_hmac(struct sk_span key_base64, struct sk_span text,
                           unsigned char digest[32]) {
    return sign(key_base64, text, SK_NONE, digest);
}

typedef enum sk_status sign_fn(struct sk_span key, struct sk_span a, struct sk_span b,
                               unsigned char digest[32]);

static bool fits(const struct sk_sas *sas, struct sk_span key, sign_fn *sign_by) {
    unsigned char digest[32];
    return key.n && sign_by(key, sas->sr, sas->se, digest) == SK_OK &&
           CRYPTO_memcmp(digest, sas->signature, 32) == 0;
}

static enum sk_status verify(const struct sk_sas *sas, struct sk_span primary_key,
                             struct sk_span secondary_key, int64_t now_s, sign_fn *sign_by) {
    if (!fits(sas, primary_key, sign_by) && !fits(sas, secondary_key, sign_by))
        return SK_UNAUTHORIZED;
    return sas->expiry_s < now_s - SK_SAS_SKEW_S ? SK_TIMEOUT : SK_OK;
}

int64_t sk_sas_end_us(int64_t expiry_s) {
    const int64_t last_s = INT64_MAX / 1000000 - SK_SAS_SKEW_S - 1;
    return expiry_s >= last_s ? INT64_MAX : (expiry_s + SK_SAS_SKEW_S + 1) * 1000000;
}

enum sk_status sk_sas_verify(const struct sk_sas *sas, struct sk_span primary_key,
                             struct sk_span secondary_key, int64_t now_s) {
    return verify(sas, primary_key, secondary_key, now_s, sign);
}

enum sk_status sk_sas_verify_text(const struct sk_sas *sas, struct sk_span primary_key,
                                  struct sk_span secondary_key, int64_t now_s) {
    return verify(sas, primary_key, secondary_key, now_s, sign_with);
}

/* Whether a scope's segment, sent in plain or encoded once more, is the resource's. */
static bool same_segment(struct sk_span sent, struct sk_span plain, bool is_id) {
    if (is_id ? sk_span_eq(sent, plain) : sk_span_eq_nocase(sent, plain)) return true;
    if (sk_span_find(sent, '%') == sent.n || sent.n > 3 * plain.n) return false;
    char space[SK_SAS_TOKEN_MAX];
    struct sk_buffer decoded = {.p = space, .capacity = sizeof space, .limit = sizeof space};
    sk_percent_decode(&decoded, sent);
    return sk_span_eq(sk_buffer_span(&decoded), plain);
}

/* The words that an id follows. */
static bool names_an_id(struct sk_span word) {
    return sk_span_eq_nocase(word, SK_SPAN("devices")) ||
           sk_span_eq_nocase(word, SK_SPAN("modules")) || sk_span_eq_nocase(word, SK_SPAN("twins"));
}

static bool same_host(struct sk_span scope, struct sk_span host) {
    return sk_span_eq_nocase(scope, host) ||
           sk_span_eq_nocase(sk_span_first(scope, sk_span_find(scope, ':')), host);
}

bool sk_sas_covers(struct sk_span scope, struct sk_span resource) {
    size_t colon = sk_span_find(scope, ':');
    if (sk_span_starts(sk_span_skip(scope, colon), SK_SPAN("://")))
        scope = sk_span_skip(scope, colon + 3);
    struct sk_span sent, plain;
    if (!sk_span_split(&scope, '/', &sent) || !sk_span_split(&resource, '/', &plain)) return false;
    if (sent.n == 0 || !same_host(sent, plain)) return false;
    bool is_id = false, was_id = false;
    while (sk_span_split(&scope, '/', &sent)) {
        bool last = scope.p == NULL;
        if (last && sent.n == 0) return true;
        /* Behind a whole identity, where old clients send it; where an id belongs it is one. */
        if (last && was_id && sk_span_starts_nocase(sent, SK_SPAN("api-version="))) return true;
        if (!sk_span_split(&resource, '/', &plain) || !same_segment(sent, plain, is_id))
            return false;
        was_id = is_id;
        is_id = !is_id && names_an_id(plain);
    }
    return true;
}

static void put_encoded_expiry(struct sk_buffer *to, const char *before, int64_t expiry_s) {
    sk_buffer_print(to, "%s%lld", before, (long long)expiry_s);
}

void sk_sas_put_text_to_sign(struct sk_buffer *to, struct sk_span resource, int64_t expiry_s) {
    sk_percent_encode(to, resource);
    put_encoded_expiry(to, "\n", expiry_s);
}

void sk_sas_put_token(struct sk_buffer *to, struct sk_span resource,
                      struct sk_span signature_base64, struct sk_span policy, int64_t expiry_s) {
    sk_buffer_text(to, "SharedAccessSignature sr=");
    sk_percent_encode(to, resource);
    sk_buffer_text(to, "&sig=");
    sk_percent_encode(to, signature_base64);
    put_encoded_expiry(to, "&se=", expiry_s);
    if (policy.n == 0) return;
    sk_buffer_text(to, "&skn=");
    sk_percent_encode(to, policy);
}

enum sk_status sk_sas_create(struct sk_buffer *to, struct sk_span resource, struct sk_span key,
                             struct sk_span policy, int64_t expiry_s) {
    struct sk_buffer text = {0}, signature = {0};
    sk_sas_put_text_to_sign(&text, resource, expiry_s);
    unsigned char digest[32];
    enum sk_status status = sk_sas_hmac(key, sk_buffer_span(&text), digest);
    if (status == SK_OK) {
        sk_base64_encode(&signature, sk_span(digest, sizeof digest));
        sk_sas_put_token(to, resource, sk_buffer_span(&signature), policy, expiry_s);
    }
    sk_buffer_free(&text);
    sk_buffer_free(&signature);
    return status;
}
