/* Shared access signatures: "SharedAccessSignature sr=…&sig=…&se=…[&skn=…]".
 *
 * The signature is HMAC-SHA256 over `sr` and `se` exactly as they stand in the token. Parsing is
 * syntax only; verifying needs the keys, and what the token may be used for is sk_sas_covers() on
 * its decoded `sr`. */
#ifndef SK_TRUST_SAS_H
#define SK_TRUST_SAS_H

#include "base/base.h"

#define SK_SAS_SKEW_S 300     /* clocks may differ by 5 minutes */
#define SK_SAS_TOKEN_MAX 4096 /* bytes of a whole token */
#define SK_SAS_KEY_MAX 256    /* bytes of a decoded key */

struct sk_sas {
    struct sk_span sr;       /* as sent, still encoded */
    struct sk_span se;       /* as sent */
    struct sk_span resource; /* sr decoded once */
    struct sk_span policy;   /* skn decoded; p == NULL when the token has none */
    int64_t expiry_s;        /* seconds since 1970 */
    unsigned char signature[32];
};

/* The token's spans point into `token` or `arena`. SK_MALFORMED, SK_TOO_LARGE. */
enum sk_status sk_sas_parse(struct sk_span token, struct sk_arena *arena, struct sk_sas *sas);

/* Checks the signature with either key (base64; an empty one matches nothing), then the expiry.
 * SK_UNAUTHORIZED: no key fits; SK_TIMEOUT: signed well, but expired for more than the skew. */
enum sk_status sk_sas_verify(const struct sk_sas *sas, struct sk_span primary_key,
                             struct sk_span secondary_key, int64_t now_s);

/* The same for tokens of Event Hubs clients: their HMAC key is the text of the key, not what it
 * decodes to. */
enum sk_status sk_sas_verify_text(const struct sk_sas *sas, struct sk_span primary_key,
                                  struct sk_span secondary_key, int64_t now_s);

/* When a token that says `expiry_s` opens nothing any more, in µs of the wall clock: a token may
 * say any time to the end of the type. */
int64_t sk_sas_end_us(int64_t expiry_s);

/* Whether a token for `scope` ("host", "host/devices", "host/devices/d", …, decoded once) opens
 * `resource` (in plain text, "host/devices/d/modules/m/messages/events"): a prefix by whole
 * segments. The host is compared without case, ids with it, fixed words without. Ids in the scope
 * may be encoded a second time. A scheme and a port in the scope are ignored, and so is a last
 * segment "api-version=…" behind a device's or module's id. */
bool sk_sas_covers(struct sk_span scope, struct sk_span resource);

/* Appends a token. `resource` is plain text and gets percent-encoded; `policy` may be empty.
 * SK_MALFORMED: the key is not base64. */
enum sk_status sk_sas_create(struct sk_buffer *to, struct sk_span resource, struct sk_span key,
                             struct sk_span policy, int64_t expiry_s);
/* The same in two steps for keys that another process holds: the text to sign, then the token from
 * the signature in base64. */
void sk_sas_put_text_to_sign(struct sk_buffer *to, struct sk_span resource, int64_t expiry_s);
void sk_sas_put_token(struct sk_buffer *to, struct sk_span resource,
                      struct sk_span signature_base64, struct sk_span policy, int64_t expiry_s);

/* HMAC-SHA256 with a base64 key. SK_MALFORMED: not base64, empty, or longer than SK_SAS_KEY_MAX. */
enum sk_status sk_sas_hmac(struct sk_span key_base64, struct sk_span text,
                           unsigned char digest[32]);

#endif
