/* Asking others for certificates: requests (PKCS#10), and the bags in which they come (PKCS#7
 * without signatures, RFC 5652). OpenSSL underneath, no I/O. */
#ifndef SK_TRUST_X509_ENROLL_H
#define SK_TRUST_X509_ENROLL_H

#include "trust/x509.h"

enum { SK_X509_BAG_MAX = 10 }; /* certificates in a bag */

/* Appends a request for this key's certificate, as DER. `use`: a CA's asks to be a CA. SK_INVALID:
 * OpenSSL refused the name; SK_IO: the key does not sign. */
enum sk_status sk_x509_request_certificate(struct evp_pkey_st *key, struct sk_span common_name,
                                           enum sk_x509_use use, struct sk_buffer *der);

/* Takes the certificates out of a bag in base64, which may have line breaks, and appends them as
 * PEM: what is `key`'s first, then the rest as it comes; without a key all. SK_MALFORMED: it is no
 * bag, or empty; SK_TOO_LARGE: of more than SK_X509_BAG_MAX; SK_NOT_FOUND: none is the key's. */
enum sk_status sk_x509_open_bag(struct sk_span base64, struct evp_pkey_st *key,
                                struct sk_buffer *pem);

/* When the first certificate of a PEM text begins and ends, seconds since 1970. SK_MALFORMED. */
enum sk_status sk_x509_life(struct sk_span pem, int64_t *not_before_s, int64_t *not_after_s);

/* Whether the first certificate may sign others. */
bool sk_x509_is_ca(struct sk_span pem);

#endif
