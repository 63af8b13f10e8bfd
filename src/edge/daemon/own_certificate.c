#include "edge/daemon/own_certificate.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "edge/daemon/est.h"
#include "trust/x509_enroll.h"

enum { FILE_MAX = 256 * 1024, PAIRS = 2, RETRY_LEAST_S = 10 };
static const int64_t DAY_S = 86400, S_US = 1000000;

struct sk_own_certificate {
    struct sk_io *io;
    struct sk_own_options options;
    struct sk_buffer pem, previous_pem, anchors_pem;
    EVP_PKEY *key;
    unsigned slot;            /* which of the two pairs it is */
    int64_t valid_s;          /* not before */
    int64_t begins_s, ends_s; /* the life that renewal counts */
    struct sk_timer timer;
    int64_t retry_us; /* not before: the last try has failed */
    /* What is asked for. */
    struct sk_est *est;
    EVP_PKEY *next_key, *way_key;
    unsigned next_slot;
    char problem[256];
};

static int64_t now_s(const struct sk_own_certificate *own) {
    return sk_io_wall(own->io) / S_US;
}

/* ---- its files and its pairs ---- */

static void file_path(const struct sk_own_certificate *own, const char *suffix, char to[512]) {
    snprintf(to, 512, "%s/%s%s.pem", own->options.folder, own->options.name, suffix);
}

/* Until the new certificate is there, the one before has its key: two names, in turn. */
static void pair_name(const struct sk_own_certificate *own, unsigned slot, char to[24]) {
    snprintf(to, 24, "%.16s%s", own->options.name, slot ? "-2" : "");
}

static enum sk_status load_file(struct sk_own_certificate *own, const char *suffix,
                                struct sk_buffer *to) {
    char path[512];
    file_path(own, suffix, path);
    to->limit = FILE_MAX;
    return sk_file_load(own->io, path, to);
}

static enum sk_status save_file(struct sk_own_certificate *own, const char *suffix,
                                const struct sk_buffer *pem, char reason[256]) {
    char path[512];
    file_path(own, suffix, path);
    enum sk_status status = sk_file_save(own->io, path, sk_buffer_span(pem), 0644);
    if (status)
        snprintf(reason, 256, "Cannot write the certificate %.180s: %s.", path,
                 sk_status_text(status));
    return status;
}

/* Makes the certificate's key ours; SK_NOT_FOUND when there is none that fits. */
static enum sk_status find_pair(struct sk_own_certificate *own, const struct sk_buffer *pem,
                                char reason[256]) {
    for (unsigned slot = 0; slot < PAIRS; slot++) {
        char name[24];
        EVP_PKEY *key;
        pair_name(own, slot, name);
        enum sk_status status = sk_key_store_pair(own->options.store, name, &key, reason);
        if (status && status != SK_NOT_FOUND && status != SK_MALFORMED) return status;
        if (status) continue;
        if (sk_x509_is_pair(sk_buffer_span(pem), key)) {
            EVP_PKEY_free(own->key);
            own->key = key;
            own->slot = slot;
            return SK_OK;
        }
        EVP_PKEY_free(key);
    }
    return SK_NOT_FOUND;
}

/* A self-signed one is valid since 1970, so that no clock finds it too young; its life is counted
 * from its end. */
static enum sk_status read_life(struct sk_own_certificate *own) {
    enum sk_status status = sk_x509_life(sk_buffer_span(&own->pem), &own->valid_s, &own->ends_s);
    own->begins_s = own->options.source == SK_OWN_SELF_SIGNED
                        ? own->ends_s - own->options.days * DAY_S
                        : own->valid_s;
    return status;
}

/* The key for the next certificate: a new one in the other place, or the same. One that has been
 * shown to a server stays until that has decided. */
static enum sk_status choose_key(struct sk_own_certificate *own, char reason[256]) {
    char name[24];
    if (own->next_key) return SK_OK;
    own->next_slot = own->slot;
    if (own->key && !own->options.renewal.rotate_key) {
        EVP_PKEY_up_ref(own->key);
        own->next_key = own->key;
        return SK_OK;
    }
    if (own->key) own->next_slot = (own->slot + 1) % PAIRS;
    pair_name(own, own->next_slot, name);
    if (own->key == NULL &&
        sk_key_store_pair(own->options.store, name, &own->next_key, reason) == SK_OK)
        return SK_OK;
    return sk_key_store_make_pair(own->options.store, name, &own->next_key, reason);
}

/* ---- taking one ---- */

static void drop_next(struct sk_own_certificate *own) {
    EVP_PKEY_free(own->next_key);
    own->next_key = NULL;
}

static void drop_way(struct sk_own_certificate *own) {
    EVP_PKEY_free(own->way_key);
    own->way_key = NULL;
}

static bool is_valid(const struct sk_own_certificate *own) {
    int64_t now = now_s(own);
    return own->pem.n && own->begins_s <= now && now < own->ends_s;
}

static enum sk_status check(struct sk_own_certificate *own, struct sk_span pem, char reason[256]) {
    int64_t begins_s, ends_s;
    const char *problem = NULL;
    if (sk_x509_life(pem, &begins_s, &ends_s))
        problem = "holds no certificate in PEM form";
    else if (own->options.ca && !sk_x509_is_ca(pem))
        problem = "is not a CA's";
    else if (ends_s <= now_s(own))
        problem = "has ended already; is the clock right?";
    else if (begins_s > now_s(own) && is_valid(own))
        problem = "is not valid yet; is the clock right?";
    if (problem == NULL) return SK_OK;
    snprintf(reason, 256, "The certificate that came for %.60s %s.", own->options.name, problem);
    return SK_INVALID;
}

/* Takes what has come for own->next_key. */
static enum sk_status take(struct sk_own_certificate *own, struct sk_buffer *pem,
                           struct sk_buffer *anchors_pem, char reason[256]) {
    enum sk_status status = check(own, sk_buffer_span(pem), reason);
    if (!status && own->pem.n) status = save_file(own, "-previous", &own->pem, reason);
    if (!status && anchors_pem->n) status = save_file(own, "-anchors", anchors_pem, reason);
    if (!status) status = save_file(own, "", pem, reason);
    if (status) return status;
    if (own->pem.n) {
        sk_buffer_free(&own->previous_pem);
        own->previous_pem = own->pem;
    }
    own->pem = *pem;
    memset(pem, 0, sizeof *pem);
    if (anchors_pem->n) {
        sk_buffer_free(&own->anchors_pem);
        own->anchors_pem = *anchors_pem;
        memset(anchors_pem, 0, sizeof *anchors_pem);
    }
    EVP_PKEY_free(own->key);
    own->key = own->next_key;
    own->slot = own->next_slot;
    own->next_key = NULL;
    own->problem[0] = 0;
    own->retry_us = 0;
    return read_life(own);
}

/* ---- when ---- */

static int64_t share_of(const struct sk_own_certificate *own,
                        const struct sk_renewal_point *point) {
    return point->percent ? (own->ends_s - own->begins_s) * point->percent / 100
                          : point->left_us / S_US;
}

static int64_t due_s(const struct sk_own_certificate *own) {
    const struct sk_renewal_point *point = &own->options.renewal.threshold;
    return point->percent ? own->begins_s + share_of(own, point)
                          : own->ends_s - share_of(own, point);
}

/* Also one that a clock which was ahead has got: it is not valid yet. */
static bool is_due(const struct sk_own_certificate *own) {
    int64_t now = now_s(own);
    return own->pem.n == 0 || now >= due_s(own) || now < own->valid_s;
}

/* Whether a clock that was ahead has made it, though the one before is good: by that one we are
 * known. */
static bool was_hasty(const struct sk_own_certificate *own) {
    int64_t valid_s, ends_s, now = now_s(own);
    return own->options.source == SK_OWN_SELF_SIGNED && own->pem.n && now < own->begins_s - DAY_S &&
           sk_x509_life(sk_buffer_span(&own->previous_pem), &valid_s, &ends_s) == SK_OK &&
           now >= valid_s && now < ends_s;
}

static void due(struct sk_timer *timer);

static void plan(struct sk_own_certificate *own) {
    int64_t at_us = own->pem.n ? due_s(own) * S_US : 0;
    if (at_us < own->retry_us) at_us = own->retry_us;
    sk_timer_start_at(own->io, &own->timer, at_us, due);
}

/* After a failure, and after a certificate that is due when it comes: it lives shorter than the
 * threshold, or begins later. */
static void plan_retry(struct sk_own_certificate *own) {
    int64_t wait_s = own->pem.n ? share_of(own, &own->options.renewal.retry) : 0;
    if (wait_s < RETRY_LEAST_S) wait_s = RETRY_LEAST_S;
    own->retry_us = sk_io_wall(own->io) + wait_s * S_US;
    plan(own);
}

/* ---- from whom ---- */

static enum sk_status issue_here(struct sk_own_certificate *own, struct sk_buffer *pem,
                                 char reason[256]) {
    const struct sk_own_options *options = &own->options;
    struct sk_buffer issuer_pem = {.limit = FILE_MAX};
    enum sk_status status = SK_OK;
    struct sk_x509_request request = {
        .use = options->ca ? SK_X509_CA : SK_X509_CLIENT,
        .common_name = sk_span_z(options->common_name),
        .path_length = 0,
        /* clients' clocks may be behind, and ours ahead */
        .not_before_s = options->source == SK_OWN_SELF_SIGNED ? 0 : now_s(own) - DAY_S,
        .not_after_s = now_s(own) + options->days * DAY_S,
        .key = own->next_key,
    };
    if (options->source == SK_OWN_LOCAL_CA) {
        status = sk_file_load(own->io, options->issuer_certificate, &issuer_pem);
        if (status)
            snprintf(reason, 256, "Cannot read the CA ([cert_issuance.local_ca] cert) %.140s: %s.",
                     options->issuer_certificate, sk_status_text(status));
        else
            status = sk_key_store_given_pair(options->store, options->issuer_key,
                                             &request.issuer_key, reason);
        request.issuer_certificate_pem = sk_buffer_span(&issuer_pem);
    }
    if (!status && (status = sk_x509_make(&request, pem, NULL)) != SK_OK)
        snprintf(reason, 256, "Cannot issue the certificate of %.100s: %s.", options->common_name,
                 sk_status_text(status));
    if (!status) sk_buffer_append(pem, sk_buffer_span(&issuer_pem));
    EVP_PKEY_free(request.issuer_key);
    sk_buffer_free(&issuer_pem);
    return status;
}

static enum sk_status make_here(struct sk_own_certificate *own, char reason[256]) {
    struct sk_buffer pem = {0}, none = {0};
    enum sk_status status = choose_key(own, reason);
    if (!status) status = issue_here(own, &pem, reason);
    if (!status) status = take(own, &pem, &none, reason);
    sk_buffer_free(&pem);
    drop_next(own);
    return status;
}

static void plan_next(struct sk_own_certificate *own) {
    if (!is_due(own)) {
        plan(own);
        return;
    }
    SK_WARN("daemon",
            "the new certificate for %s is due for renewal at once: it lives shorter "
            "than [auto_renew] threshold says, or is not valid yet",
            own->options.name);
    plan_retry(own);
}

static void failed(struct sk_own_certificate *own, const char *reason) {
    snprintf(own->problem, sizeof own->problem, "%s", reason);
    SK_WARN("daemon", "no new certificate for %s: %s", own->options.name, reason);
    drop_way(own);
    plan_retry(own);
}

static void came(void *arg, enum sk_status status, struct sk_buffer *certificate_pem,
                 struct sk_buffer *anchors_pem, const char *reason) {
    struct sk_own_certificate *own = arg;
    char why[256];
    own->est = NULL;
    snprintf(why, sizeof why, "%s", reason);
    if (!status) status = take(own, certificate_pem, anchors_pem, why);
    if (status) {
        failed(own, why);
        return;
    }
    drop_way(own);
    SK_INFO("daemon", "there is a new certificate for %s", own->options.name);
    plan_next(own);
    if (own->options.changed) own->options.changed(own->options.arg);
}

/* By which certificate the server shall know us: the given one; else ours, when it is a client's;
 * else the one for the beginning. */
static enum sk_status choose_way(struct sk_own_certificate *own, struct sk_buffer *pem,
                                 EVP_PKEY **key, char reason[256]) {
    const struct sk_est_account *account = &own->options.est;
    const char *file = account->certificate, *uri = account->key;
    if (file == NULL && own->pem.n && !own->options.ca) {
        EVP_PKEY_up_ref(own->key);
        *key = own->key;
        return sk_buffer_append(pem, sk_buffer_span(&own->pem));
    }
    if (file == NULL) file = account->bootstrap_certificate, uri = account->bootstrap_key;
    if (file == NULL) return SK_OK;
    pem->limit = FILE_MAX;
    enum sk_status status = sk_file_load(own->io, file, pem);
    if (status)
        snprintf(reason, 256, "Cannot read the certificate for the EST server %.140s: %s.", file,
                 sk_status_text(status));
    return status ? status : sk_key_store_given_pair(own->options.store, uri, key, reason);
}

static enum sk_status load_trust(struct sk_own_certificate *own, struct sk_buffer *pem,
                                 char reason[256]) {
    enum sk_status status = SK_OK;
    pem->limit = FILE_MAX;
    for (size_t i = 0; i < own->options.est_trust_count && !status; i++) {
        status = sk_file_load(own->io, own->options.est_trust[i], pem);
        if (status)
            snprintf(reason, 256, "Cannot read %.180s ([cert_issuance.est] trusted_certs): %s.",
                     own->options.est_trust[i], sk_status_text(status));
    }
    return status;
}

static enum sk_status ask_server(struct sk_own_certificate *own, char reason[256]) {
    const struct sk_est_account *account = &own->options.est;
    struct sk_buffer trust = {0}, way = {0}, request = {0};
    enum sk_status status = choose_key(own, reason);
    if (!status) status = load_trust(own, &trust, reason);
    if (!status) status = choose_way(own, &way, &own->way_key, reason);
    if (!status && (status = sk_x509_request_certificate(
                        own->next_key, sk_span_z(own->options.common_name),
                        own->options.ca ? SK_X509_CA : SK_X509_CLIENT, &request)) != SK_OK)
        snprintf(reason, 256, "Cannot make a request for %.100s: %s.", own->options.common_name,
                 sk_status_text(status));
    struct sk_est_options options = {.url = account->url,
                                     .username = account->username,
                                     .password = account->password,
                                     .trust_pem = sk_buffer_span(&trust),
                                     .certificate_pem = sk_buffer_span(&way),
                                     .certificate_key = own->way_key,
                                     .proxy = own->options.proxy,
                                     .request = sk_buffer_span(&request),
                                     .key = own->next_key,
                                     .again = own->pem.n > 0};
    if (status == SK_IO) drop_next(own); /* its store may have lost it */
    if (!status) status = sk_est_ask(own->io, &options, came, own, &own->est, reason);
    sk_buffer_free(&trust);
    sk_buffer_free(&way);
    sk_buffer_free(&request);
    return status;
}

/* ---- life ---- */

/* The one before and ours change places, if the key of that one is there still. */
static void go_back(struct sk_own_certificate *own) {
    char reason[256];
    if (find_pair(own, &own->previous_pem, reason)) return;
    struct sk_buffer pem = own->previous_pem;
    own->previous_pem = own->pem;
    own->pem = pem;
    read_life(own);
    SK_INFO("daemon", "the clock was ahead: the certificate %s is the one before again",
            own->options.name);
    if (save_file(own, "-previous", &own->previous_pem, reason) ||
        save_file(own, "", &own->pem, reason))
        SK_WARN("daemon", "%s", reason);
}

enum sk_status sk_own_refresh(struct sk_own_certificate *own, char reason[256]) {
    if (was_hasty(own)) go_back(own);
    bool waits = own->pem.n && sk_io_wall(own->io) < own->retry_us;
    if (own->options.source == SK_OWN_EST || waits || !is_due(own)) return SK_OK;
    enum sk_status status = make_here(own, reason);
    if (status)
        failed(own, reason);
    else
        plan_next(own);
    return status;
}

static void due(struct sk_timer *timer) {
    struct sk_own_certificate *own = SK_CONTAINER(timer, struct sk_own_certificate, timer);
    char reason[256];
    bool waits = sk_io_wall(own->io) < own->retry_us &&
                 own->retry_us < sk_io_wall(own->io) + 366 * DAY_S * S_US; /* else a jump */
    if (own->est || waits || !is_due(own)) {
        plan(own);
        return;
    }
    if (own->options.source == SK_OWN_EST) {
        if (ask_server(own, reason)) failed(own, reason);
        return;
    }
    if (sk_own_refresh(own, reason) == SK_OK && own->options.changed)
        own->options.changed(own->options.arg);
}

static enum sk_status read_files(struct sk_own_certificate *own, char reason[256]) {
    char path[512];
    enum sk_status status = load_file(own, "", &own->pem);
    bool there = status == SK_OK;
    file_path(own, "", path);
    if (status && status != SK_NOT_FOUND) {
        snprintf(reason, 256, "Cannot read the certificate %.180s: %s.", path,
                 sk_status_text(status));
        return status;
    }
    if (there) status = find_pair(own, &own->pem, reason);
    if (there && !status) status = read_life(own);
    if (status && status != SK_NOT_FOUND && status != SK_MALFORMED) return status;
    load_file(own, "-previous", &own->previous_pem);
    load_file(own, "-anchors", &own->anchors_pem);
    if (status && there) {
        SK_WARN("daemon", "the certificate %s is damaged or has lost its key: another one is got",
                path);
        bool is_one = read_life(own) == SK_OK;
        if (!is_one) sk_buffer_free(&own->pem);
        if (!is_one) return SK_OK;
        sk_buffer_free(&own->previous_pem); /* clients may trust it still */
        own->previous_pem = own->pem;
        own->pem = (struct sk_buffer){0};
        return save_file(own, "-previous", &own->previous_pem, reason);
    }
    return SK_OK;
}

enum sk_status sk_own_open(struct sk_io *io, const struct sk_own_options *options,
                           struct sk_own_certificate **opened, char reason[256]) {
    struct sk_own_certificate *own = SK_NEW(struct sk_own_certificate);
    own->io = io;
    own->options = *options;
    own->options.folder = sk_span_dup(sk_span_z(options->folder));
    own->options.common_name = sk_span_dup(sk_span_z(options->common_name));
    own->options.name = sk_span_dup(sk_span_z(options->name));
    snprintf(own->problem, sizeof own->problem, "The certificate of %.60s has not come yet.",
             options->name);
    enum sk_status status = sk_folder_make(io, options->folder, 0700);
    if (status)
        snprintf(reason, 256, "Cannot make the folder %.180s: %s.", options->folder,
                 sk_status_text(status));
    if (!status) status = read_files(own, reason);
    if (!status && own->pem.n == 0 && options->source != SK_OWN_EST)
        status = make_here(own, reason);
    if (status) {
        sk_own_free(own);
        return status;
    }
    plan(own);
    *opened = own;
    return SK_OK;
}

void sk_own_free(struct sk_own_certificate *own) {
    sk_timer_stop(&own->timer);
    if (own->est) sk_est_cancel(own->est);
    drop_next(own);
    drop_way(own);
    EVP_PKEY_free(own->key);
    sk_buffer_free(&own->pem);
    sk_buffer_free(&own->previous_pem);
    sk_buffer_free(&own->anchors_pem);
    free((char *)own->options.folder);
    free((char *)own->options.common_name);
    free((char *)own->options.name);
    free(own);
}

struct sk_span sk_own_pem(const struct sk_own_certificate *own) {
    return sk_buffer_span(&own->pem);
}

struct evp_pkey_st *sk_own_key(const struct sk_own_certificate *own) {
    return own->key;
}

struct sk_span sk_own_previous(const struct sk_own_certificate *own) {
    return sk_buffer_span(&own->previous_pem);
}

struct sk_span sk_own_anchors(const struct sk_own_certificate *own) {
    return sk_buffer_span(&own->anchors_pem);
}

int64_t sk_own_ends_s(const struct sk_own_certificate *own) {
    return own->ends_s;
}

const char *sk_own_problem(const struct sk_own_certificate *own) {
    return own->problem;
}
