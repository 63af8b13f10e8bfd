/* The edge's CA and what it issues (docs/protocols/edge-runtime.md, section 1.6). */
#include "edge/daemon/certificates.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "trust/x509.h"

static const int64_t DAY_S = 86400;
enum { MODULE_DAYS = 30, CA_WARNING_DAYS = 30, FILE_MAX = 256 * 1024 };

struct sk_certificates {
    struct sk_io *io;
    char *folder, *device_id, *ca_name, *certificate_file, *key_file, *trust_file;
    unsigned ca_days;
    struct sk_key_store *keys;
    struct sk_buffer ca_pem; /* the CA, then its chain */
    EVP_PKEY *key;
    unsigned slot; /* which of `pairs` it is */
    int64_t ca_ends_s;
    struct sk_buffer previous_pem; /* the quick-start CA before this one */
    struct sk_buffer bundle;
};

static int64_t now_s(const struct sk_certificates *certificates) {
    return sk_io_wall(certificates->io) / 1000000;
}

/* ---- the CA ---- */

static enum sk_status load_file(struct sk_certificates *certificates, const char *path,
                                struct sk_buffer *to, char reason[256]) {
    to->limit = FILE_MAX;
    enum sk_status status = sk_file_load(certificates->io, path, to);
    if (status) snprintf(reason, 256, "Cannot read %.180s: %s.", path, sk_status_text(status));
    return status;
}

/* Whether certificate and key are a pair and the certificate may sign others; a sentence when not.
 */
static enum sk_status check_ca(struct sk_certificates *certificates, const char *path,
                               char reason[256]) {
    struct sk_span pem = sk_buffer_span(&certificates->ca_pem);
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *ca = PEM_read_bio_X509(bio, NULL, sk_pem_no_passphrase, NULL);
    const char *problem = NULL;
    if (ca == NULL)
        problem = "holds no certificate in PEM form";
    else if (!sk_x509_is_pair(pem, certificates->key))
        problem = "and its key do not belong together";
    else if (X509_check_ca(ca) != 1)
        problem = "is not a CA certificate (basicConstraints CA:TRUE)";
    if (problem) snprintf(reason, 256, "The edge CA %.150s %s.", path, problem);
    ERR_clear_error();
    BIO_free(bio);
    X509_free(ca);
    return problem ? SK_INVALID : sk_x509_not_after(pem, &certificates->ca_ends_s);
}

int64_t sk_certificates_ca_ends_s(const struct sk_certificates *certificates) {
    return certificates->ca_ends_s;
}

/* What a given CA that has expired signs no client believes. */
static void warn_of_time(const struct sk_certificates *certificates) {
    char ended[SK_TIME_TEXT];
    int64_t left = certificates->ca_ends_s - now_s(certificates);
    sk_time_text(certificates->ca_ends_s * 1000000, ended);
    if (left <= 0)
        SK_ERROR("daemon",
                 "the edge CA %s ([edge_ca] cert) has expired at %s: devices refuse what it signs; "
                 "put a new one there and restart",
                 certificates->certificate_file, ended);
    else if (left < CA_WARNING_DAYS * DAY_S)
        SK_WARN("daemon", "the edge CA %s ([edge_ca] cert) expires at %s",
                certificates->certificate_file, ended);
}

static enum sk_status load_given(struct sk_certificates *certificates, char reason[256]) {
    const char *path = certificates->certificate_file;
    enum sk_status status = load_file(certificates, path, &certificates->ca_pem, reason);
    if (status) return status;
    char why[256];
    status = sk_key_store_given_pair(certificates->keys, certificates->key_file, &certificates->key,
                                     why);
    if (status) snprintf(reason, 256, "The edge CA ([edge_ca] pk): %.220s", why);
    if (status == SK_MALFORMED) status = SK_INVALID; /* only a person can mend it */
    return status ? status : check_ca(certificates, path, reason);
}

/* Or made by a clock that was ahead: then it is not valid yet. */
static bool outlived(const struct sk_certificates *certificates) {
    int64_t left_s = certificates->ca_ends_s - now_s(certificates);
    return left_s < certificates->ca_days * DAY_S / 5 ||
           left_s > (certificates->ca_days + 1) * DAY_S;
}

struct ca_paths {
    char certificate[512], previous[512];
};

static void quick_start_paths(const struct sk_certificates *certificates, struct ca_paths *paths) {
    snprintf(paths->certificate, sizeof paths->certificate, "%s/edge-ca.pem", certificates->folder);
    snprintf(paths->previous, sizeof paths->previous, "%s/edge-ca-previous.pem",
             certificates->folder);
}

/* Names in the key store, in turn: until the new certificate is there, the one before has its
 * key. */
static const char *const pairs[] = {"edge-ca", "edge-ca-2"};
enum { PAIRS = sizeof pairs / sizeof *pairs };

static void key_free(struct sk_buffer *key_pem) {
    if (key_pem->p) OPENSSL_cleanse(key_pem->p, key_pem->n);
    sk_buffer_free(key_pem);
}

/* Takes a CA that has come or been made; the one before is kept for clients that trust only that.
 * Its pair is in `slot`. */
static enum sk_status take_ca(struct sk_certificates *certificates, struct sk_buffer *pem,
                              EVP_PKEY *key, unsigned slot, char reason[256]) {
    struct ca_paths paths;
    quick_start_paths(certificates, &paths);
    enum sk_status status = SK_OK;
    if (certificates->ca_pem.n)
        status = sk_file_save(certificates->io, paths.previous,
                              sk_buffer_span(&certificates->ca_pem), 0644);
    if (!status)
        status = sk_file_save(certificates->io, paths.certificate, sk_buffer_span(pem), 0644);
    if (status) {
        snprintf(reason, 256, "Cannot write the edge CA in %.180s: %s.", certificates->folder,
                 sk_status_text(status));
        return status;
    }
    sk_buffer_free(&certificates->previous_pem);
    EVP_PKEY_free(certificates->key);
    certificates->previous_pem = certificates->ca_pem;
    certificates->ca_pem = *pem;
    certificates->key = key;
    certificates->slot = slot;
    memset(pem, 0, sizeof *pem);
    return sk_x509_not_after(sk_buffer_span(&certificates->ca_pem), &certificates->ca_ends_s);
}

/* Makes a quick-start CA and stores it. */
static enum sk_status make_ca(struct sk_certificates *certificates, char reason[256]) {
    struct sk_buffer pem = {0};
    EVP_PKEY *key = NULL;
    char name[256];
    int64_t now = now_s(certificates);
    unsigned slot = certificates->key ? (certificates->slot + 1) % PAIRS : 0;
    snprintf(name, sizeof name, "aziot-edge CA %s", certificates->device_id);
    enum sk_status status = sk_key_store_make_pair(certificates->keys, pairs[slot], &key, reason);
    if (status) return status;
    struct sk_x509_request request = {
        .use = SK_X509_CA,
        .common_name = sk_span_z(certificates->ca_name ? certificates->ca_name : name),
        .path_length = 0,
        .not_before_s = now - DAY_S, /* clients' clocks may be behind */
        .not_after_s = now + certificates->ca_days * DAY_S,
        .key = key,
    };
    status = sk_x509_make(&request, &pem, NULL);
    if (status)
        snprintf(reason, 256, "Cannot make an edge CA named %.100s: %s.", name,
                 sk_status_text(status));
    else
        status = take_ca(certificates, &pem, key, slot, reason);
    if (status) EVP_PKEY_free(key);
    sk_buffer_free(&pem);
    return status;
}

/* The CA's key; SK_NOT_FOUND when there is none that fits. */
static enum sk_status find_pair(struct sk_certificates *certificates, char reason[256]) {
    struct sk_span pem = sk_buffer_span(&certificates->ca_pem);
    for (unsigned slot = 0; slot < PAIRS; slot++) {
        EVP_PKEY *key;
        enum sk_status status = sk_key_store_pair(certificates->keys, pairs[slot], &key, reason);
        if (status && status != SK_NOT_FOUND && status != SK_MALFORMED) return status;
        if (status) continue;
        certificates->key = key;
        certificates->slot = slot;
        if (sk_x509_is_pair(pem, key)) return SK_OK;
        EVP_PKEY_free(key);
        certificates->key = NULL;
    }
    return SK_NOT_FOUND;
}

/* What is missing, damaged or without its key is made anew. */
static enum sk_status open_quick_start(struct sk_certificates *certificates, char reason[256]) {
    struct ca_paths paths;
    quick_start_paths(certificates, &paths);
    enum sk_status status = sk_folder_make(certificates->io, certificates->folder, 0700);
    if (status) {
        snprintf(reason, 256, "Cannot make the folder %.180s: %s.", certificates->folder,
                 sk_status_text(status));
        return status;
    }
    status = load_file(certificates, paths.certificate, &certificates->ca_pem, reason);
    bool there = status == SK_OK;
    if (!status) status = find_pair(certificates, reason);
    if (!status) status = check_ca(certificates, paths.certificate, reason);
    if (!status) {
        certificates->previous_pem.limit = FILE_MAX;
        sk_file_load(certificates->io, paths.previous, &certificates->previous_pem);
        return SK_OK;
    }
    if (status != SK_NOT_FOUND && status != SK_INVALID) return status;
    if (there)
        SK_WARN("daemon", "the edge CA %s has lost its key: a new one is made", paths.certificate);
    sk_buffer_free(&certificates->ca_pem);
    return make_ca(certificates, reason);
}

static char *copy(const char *text) {
    return text ? sk_span_dup(sk_span_z(text)) : NULL;
}

enum sk_status sk_certificates_open(struct sk_io *io, const struct sk_certificates_options *options,
                                    struct sk_certificates **opened, char reason[256]) {
    struct sk_certificates *certificates = SK_NEW(struct sk_certificates);
    certificates->io = io;
    certificates->keys = options->keys;
    certificates->folder = copy(options->folder);
    certificates->device_id = copy(options->device_id);
    certificates->ca_name = copy(options->ca_name);
    certificates->certificate_file = copy(options->certificate_file);
    certificates->key_file = copy(options->key_file);
    certificates->trust_file = copy(options->trust_file);
    certificates->ca_days = options->ca_days;
    enum sk_status status = certificates->certificate_file ? load_given(certificates, reason)
                                                           : open_quick_start(certificates, reason);
    if (!status && certificates->trust_file) {
        struct sk_buffer trust = {0};
        status = load_file(certificates, certificates->trust_file, &trust, reason);
        sk_buffer_free(&trust);
    }
    if (status) {
        sk_certificates_free(certificates);
        return status;
    }
    if (certificates->certificate_file) warn_of_time(certificates);
    *opened = certificates;
    return SK_OK;
}

void sk_certificates_free(struct sk_certificates *certificates) {
    free(certificates->folder);
    free(certificates->device_id);
    free(certificates->ca_name);
    free(certificates->certificate_file);
    free(certificates->key_file);
    free(certificates->trust_file);
    sk_buffer_free(&certificates->ca_pem);
    EVP_PKEY_free(certificates->key);
    sk_buffer_free(&certificates->previous_pem);
    sk_buffer_free(&certificates->bundle);
    free(certificates);
}

struct sk_span sk_certificates_trust_bundle(struct sk_certificates *certificates) {
    certificates->bundle.n = 0;
    sk_buffer_append(&certificates->bundle, sk_buffer_span(&certificates->ca_pem));
    sk_buffer_append(&certificates->bundle, sk_buffer_span(&certificates->previous_pem));
    if (certificates->trust_file) {
        struct sk_buffer trust = {.limit = FILE_MAX}; /* read anew: people replace it */
        if (sk_file_load(certificates->io, certificates->trust_file, &trust) == SK_OK)
            sk_buffer_append(&certificates->bundle, sk_buffer_span(&trust));
        sk_buffer_free(&trust);
    }
    return sk_buffer_span(&certificates->bundle);
}

/* ---- issuing ---- */

void sk_certificate_free(struct sk_certificate *certificate) {
    sk_buffer_free(&certificate->certificate_pem);
    key_free(&certificate->key_pem);
}

static enum sk_status issue(struct sk_certificates *certificates, struct sk_x509_request *request,
                            struct sk_certificate *certificate, char reason[256]) {
    memset(certificate, 0, sizeof *certificate);
    enum sk_status status = SK_OK;
    if (certificates->certificate_file == NULL && outlived(certificates) &&
        (status = make_ca(certificates, reason)))
        return status;
    request->not_before_s = now_s(certificates) - DAY_S;
    request->not_after_s = now_s(certificates) + MODULE_DAYS * DAY_S;
    request->issuer_certificate_pem = sk_buffer_span(&certificates->ca_pem);
    request->issuer_key = certificates->key;
    status = sk_x509_make(request, &certificate->certificate_pem, &certificate->key_pem);
    if (status) {
        snprintf(reason, 256, "Cannot issue a certificate for %.*s: %s.",
                 SK_ARG(sk_span_first(request->common_name, 64)), sk_status_text(status));
        sk_certificate_free(certificate);
        return status;
    }
    int64_t ends_s = request->not_after_s < certificates->ca_ends_s ? request->not_after_s
                                                                    : certificates->ca_ends_s;
    certificate->expires_us = ends_s * 1000000;
    return sk_buffer_append(&certificate->certificate_pem, sk_buffer_span(&certificates->ca_pem));
}

/* A host name or address; no pattern: a name for many would be the edge's own as well. */
static bool is_host(struct sk_span name) {
    return name.n > 0 && name.n <= 253 && sk_span_only(name, "-._:");
}

enum sk_status sk_certificates_issue_server(struct sk_certificates *certificates,
                                            struct sk_span common_name, struct sk_span module_id,
                                            struct sk_certificate *certificate, char reason[256]) {
    if (!is_host(common_name)) {
        snprintf(reason, 256, "The common name must be a host name or an address.");
        return SK_INVALID;
    }
    if (module_id.n && module_id.p[0] == '$') module_id = sk_span_skip(module_id, 1);
    const struct sk_span names[] = {common_name, module_id};
    struct sk_x509_request request = {
        .use = SK_X509_SERVER,
        .common_name = common_name,
        .names = names,
        .name_count = is_host(module_id) ? 2 : 1,
    };
    return issue(certificates, &request, certificate, reason);
}

enum sk_status sk_certificates_issue_identity(struct sk_certificates *certificates,
                                              struct sk_span hub, struct sk_span module_id,
                                              struct sk_certificate *certificate,
                                              char reason[256]) {
    /* "device/module", as IoT Hub has it: Azure's bare module id could be a leaf device's, too, and
     * leaves prove themselves to the edge hub by their common name. */
    struct sk_buffer name = {0}, common_name = {0};
    sk_buffer_print(&common_name, "%s/%.*s", certificates->device_id, SK_ARG(module_id));
    sk_buffer_print(&name, "URI: azureiot://%.*s/devices/%s/modules/%.*s", SK_ARG(hub),
                    certificates->device_id, SK_ARG(module_id));
    const struct sk_span names[] = {sk_buffer_span(&name)}; /* a DNS entry in Azure too */
    struct sk_x509_request request = {.use = SK_X509_CLIENT,
                                      .common_name = sk_buffer_span(&common_name),
                                      .names = names,
                                      .name_count = 1};
    enum sk_status status = issue(certificates, &request, certificate, reason);
    sk_buffer_free(&common_name);
    sk_buffer_free(&name);
    return status;
}
