/* A certificate that the edge gets by itself, and gets anew before it ends: its CA, or the one by
 * which the device proves itself.
 *
 * It comes from itself (a quick-start CA), from a CA on this machine, or from an EST server. The
 * first two come inside a call; the server's when it answers, and until then an older one is used
 * or there is none. The certificate is a file, its key a pair of the key store; the one before is
 * kept for those who trust only that. Times of the wall clock may jump: a certificate that is not
 * valid yet is as one that has ended; a self-signed one is valid since ever, and what a clock that
 * was ahead has made gives its place back to the one before. */
#ifndef SK_EDGE_DAEMON_OWN_CERTIFICATE_H
#define SK_EDGE_DAEMON_OWN_CERTIFICATE_H

#include "trust/keys/store.h"

struct sk_own_certificate;

enum sk_own_source { SK_OWN_SELF_SIGNED, SK_OWN_LOCAL_CA, SK_OWN_EST };

/* When a certificate is renewed: after a share of its life, or so long before its end. */
struct sk_renewal_point {
    unsigned percent; /* 0: `left_us` counts */
    int64_t left_us;
};
struct sk_renewal {
    bool rotate_key; /* with a new key each time */
    struct sk_renewal_point threshold, retry;
};

/* An EST server and how it knows us; texts may be NULL. */
struct sk_est_account {
    const char *url, *username, *password;
    const char *certificate, *key; /* a file; a file or "pkcs11:…" */
    /* Until there is a certificate from the server. */
    const char *bootstrap_certificate, *bootstrap_key;
};

struct sk_own_options {
    struct sk_key_store *store; /* borrowed, as all texts are but the next three */
    const char *common_name, *folder;
    const char *name; /* of its file NAME.pem and its pairs NAME and NAME-2; at most 16 bytes */
    enum sk_own_source source;
    bool ca;       /* else a client's */
    unsigned days; /* of its life; an EST server decides by itself */
    struct sk_renewal renewal;
    const char *issuer_certificate, *issuer_key; /* of a local CA */
    struct sk_est_account est;
    const char *const *est_trust; /* PEM files of the server's anchors; none: the system's */
    size_t est_trust_count;
    const char *proxy;
    /* There is another certificate than before. Not from inside sk_own_open. */
    void (*changed)(void *arg);
    void *arg;
};

/* Reads what is there, and asks for one when there is none. SK_OK also while a server has not
 * answered. */
enum sk_status sk_own_open(struct sk_io *io, const struct sk_own_options *options,
                           struct sk_own_certificate **own, char reason[256]);
void sk_own_free(struct sk_own_certificate *own);

/* Gets another one now, where that needs no server and it is time. On failure the old one stays;
 * SK_OK also when there is nothing to do. */
enum sk_status sk_own_refresh(struct sk_own_certificate *own, char reason[256]);

/* PEM with its chain; empty: there is none yet, and sk_own_problem says why. Lives until the next
 * one is there. */
struct sk_span sk_own_pem(const struct sk_own_certificate *own);
struct evp_pkey_st *sk_own_key(const struct sk_own_certificate *own);
/* The one before, and the CAs of an EST server; may be empty. */
struct sk_span sk_own_previous(const struct sk_own_certificate *own);
struct sk_span sk_own_anchors(const struct sk_own_certificate *own);
int64_t sk_own_ends_s(const struct sk_own_certificate *own);
const char *sk_own_problem(const struct sk_own_certificate *own);

#endif
