/* How requests to a blob service prove themselves: shared access signatures in the query, and
 * SharedKey in a header. Reference: docs/protocols/service-api.md, section 9. */
#ifndef SK_AZURE_BLOB_AUTH_H
#define SK_AZURE_BLOB_AUTH_H

#include "wire/http.h"

/* What a signature opens, as bits: of `sp`, letter by letter. */
enum {
    SK_BLOB_READ = 1,
    SK_BLOB_ADD = 2,
    SK_BLOB_CREATE = 4,
    SK_BLOB_WRITE = 8,
    SK_BLOB_DELETE = 16,
    SK_BLOB_LIST = 32,
};

/* What a signature is for: a blob, a container (blob empty), or the account (both empty). */
struct sk_blob_target {
    struct sk_span account, container, blob;
};

/* A shared access signature as the query has it, every value decoded; those that are not there are
 * empty. `ss` is there in one for an account. */
struct sk_blob_sas {
    struct sk_span sv, sr, sp, st, se, si, sip, spr, snapshot, ses, rscc, rscd, rsce, rscl, rsct;
    struct sk_span ss, srt, sig;
    int64_t from_us, to_us; /* when it opens */
    unsigned rights;
};
/* The values live as long as the query and the arena. SK_NOT_FOUND: the query has no signature;
 * SK_MALFORMED; SK_UNSUPPORTED: it is of a kind that needs more than a key (`si`, `sip`, users'
 * delegation). */
enum sk_status sk_blob_sas_read(struct sk_span query, struct sk_arena *arena,
                                struct sk_blob_sas *sas);
/* Whether it was signed with this key (base64) for the target, or for what it is in; times and
 * rights are the caller's to look at. */
bool sk_blob_sas_fits(const struct sk_blob_sas *sas, const struct sk_blob_target *target,
                      struct sk_span key);
/* Appends "?sv=…&sig=…" for a target. SK_MALFORMED: the key is not base64. */
enum sk_status sk_blob_sas_put(struct sk_buffer *to, const struct sk_blob_target *target,
                               struct sk_span key, unsigned rights, int64_t until_us);

/* Whether a request is one to a blob service: it says the version of that, not IoT Hub's. */
bool sk_blob_asked(const struct sk_http_parser *request);
/* The account of "SharedKey account:signature", or an empty span. */
struct sk_span sk_blob_key_account(const struct sk_http_parser *request);
/* Whether that was signed with this key (base64). */
bool sk_blob_key_fits(const struct sk_http_parser *request, struct sk_span key);

#endif
