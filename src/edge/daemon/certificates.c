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
    struct sk_buffer ca_pem; /* the CA, then its chain */
    struct sk_buffer key_pem;
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
    if (sk_pem_is_encrypted(sk_buffer_span(&certificates->key_pem))) {
        snprintf(reason, 256, "The key of the edge CA ([edge_ca] pk) " SK_PEM_ENCRYPTED ".");
        return SK_INVALID;
    }
    BIO *certificate_bio = BIO_new_mem_buf(certificates->ca_pem.p, (int)certificates->ca_pem.n);
    BIO *key_bio = BIO_new_mem_buf(certificates->key_pem.p, (int)certificates->key_pem.n);
    X509 *ca = PEM_read_bio_X509(certificate_bio, NULL, sk_pem_no_passphrase, NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(key_bio, NULL, sk_pem_no_passphrase, NULL);
    const char *problem = NULL;
    if (ca == NULL)
        problem = "holds no certificate in PEM form";
    else if (key == NULL)
        problem = "has a key file without a private key in PEM form";
    else if (X509_check_private_key(ca, key) != 1)
        problem = "and its key do not belong together";
    else if (X509_check_ca(ca) != 1)
        problem = "is not a CA certificate (basicConstraints CA:TRUE)";
    if (problem) snprintf(reason, 256, "The edge CA %.150s %s.", path, problem);
    ERR_clear_error();
    BIO_free(certificate_bio);
    BIO_free(key_bio);
    X509_free(ca);
    EVP_PKEY_free(key);
    return problem
               ? SK_INVALID
               : sk_x509_not_after(sk_buffer_span(&certificates->ca_pem), &certificates->ca_ends_s);
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

static enum sk_status load_ca(struct sk_certificates *certificates, const char *certificate_path,
                              const char *key_path, char reason[256]) {
    enum sk_status status =
        load_file(certificates, certificate_path, &certificates->ca_pem, reason);
    if (!status) status = load_file(certificates, key_path, &certificates->key_pem, reason);
    if (!status) status = check_ca(certificates, certificate_path, reason);
    return status;
}

/* Or made by a clock that was ahead: then it is not valid yet. */
static bool outlived(const struct sk_certificates *certificates) {
    int64_t left_s = certificates->ca_ends_s - now_s(certificates);
    return left_s < certificates->ca_days * DAY_S / 5 ||
           left_s > (certificates->ca_days + 1) * DAY_S;
}

struct ca_paths {
    char certificate[512], key[512], previous[512];
};

static void quick_start_paths(const struct sk_certificates *certificates, struct ca_paths *paths) {
    snprintf(paths->certificate, sizeof paths->certificate, "%s/edge-ca.pem", certificates->folder);
    snprintf(paths->key, sizeof paths->key, "%s/edge-ca.key", certificates->folder);
    snprintf(paths->previous, sizeof paths->previous, "%s/edge-ca-previous.pem",
             certificates->folder);
}

static void key_free(struct sk_buffer *key_pem) {
    if (key_pem->p) OPENSSL_cleanse(key_pem->p, key_pem->n);
    sk_buffer_free(key_pem);
}

/* Makes a quick-start CA and stores it, key first: a certificate without its key would be of no
 * use. */
static enum sk_status make_ca(struct sk_certificates *certificates, char reason[256]) {
    struct ca_paths paths;
    struct sk_buffer certificate_pem = {0}, key_pem = {0};
    char name[256];
    int64_t now = now_s(certificates);
    snprintf(name, sizeof name, "aziot-edge CA %s", certificates->device_id);
    struct sk_x509_request request = {
        .use = SK_X509_CA,
        .common_name = sk_span_z(certificates->ca_name ? certificates->ca_name : name),
        .path_length = 0,
        .not_before_s = now - DAY_S, /* clients' clocks may be behind */
        .not_after_s = now + certificates->ca_days * DAY_S,
    };
    quick_start_paths(certificates, &paths);
    enum sk_status status = sk_x509_make(&request, &certificate_pem, &key_pem);
    if (!status && certificates->ca_pem.n)
        status = sk_file_save(certificates->io, paths.previous,
                              sk_buffer_span(&certificates->ca_pem), 0644);
    if (!status) status = sk_file_save(certificates->io, paths.key, sk_buffer_span(&key_pem), 0600);
    if (!status)
        status = sk_file_save(certificates->io, paths.certificate, sk_buffer_span(&certificate_pem),
                              0644);
    if (status) {
        snprintf(reason, 256, "Cannot make an edge CA in %.180s: %s.", certificates->folder,
                 sk_status_text(status));
        sk_buffer_free(&certificate_pem);
        key_free(&key_pem);
        return status;
    }
    sk_buffer_free(&certificates->previous_pem);
    key_free(&certificates->key_pem);
    certificates->previous_pem = certificates->ca_pem;
    certificates->ca_pem = certificate_pem;
    certificates->key_pem = key_pem;
    certificates->ca_ends_s = request.not_after_s;
    return SK_OK;
}

/* What an interrupted make_ca() left (nothing, or a key beside an older certificate) is made anew.
 */
static enum sk_status open_quick_start(struct sk_certificates *certificates, char reason[256]) {
    struct ca_paths paths;
    quick_start_paths(certificates, &paths);
    enum sk_status status = sk_folder_make(certificates->io, certificates->folder, 0700);
    if (status) {
        snprintf(reason, 256, "Cannot make the folder %.180s: %s.", certificates->folder,
                 sk_status_text(status));
        return status;
    }
    status = load_ca(certificates, paths.certificate, paths.key, reason);
    if (!status) {
        certificates->previous_pem.limit = FILE_MAX;
        sk_file_load(certificates->io, paths.previous, &certificates->previous_pem);
        return SK_OK;
    }
    if (status != SK_NOT_FOUND && status != SK_INVALID) return status;
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
    certificates->folder = copy(options->folder);
    certificates->device_id = copy(options->device_id);
    certificates->ca_name = copy(options->ca_name);
    certificates->certificate_file = copy(options->certificate_file);
    certificates->key_file = copy(options->key_file);
    certificates->trust_file = copy(options->trust_file);
    certificates->ca_days = options->ca_days;
    enum sk_status status =
        certificates->certificate_file
            ? load_ca(certificates, certificates->certificate_file, certificates->key_file, reason)
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
    key_free(&certificates->key_pem);
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
    request->issuer_key_pem = sk_buffer_span(&certificates->key_pem);
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
