/* The edge's CA and what it issues (docs/protocols/edge-runtime.md, section 1.6). */
#include "edge/daemon/certificates.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "trust/x509_enroll.h"

static const int64_t DAY_S = 86400;
enum { MODULE_DAYS = 30, CA_WARNING_DAYS = 30, FILE_MAX = 256 * 1024 };

struct sk_certificates {
    struct sk_io *io;
    char *device_id, *certificate_file, *key_file, *trust_file;
    struct sk_key_store *keys;
    struct sk_own_certificate *own; /* NULL: given */
    struct sk_buffer given_pem;     /* the CA, then its chain */
    EVP_PKEY *given_key;
    int64_t given_ends_s;
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

static struct sk_span ca_pem(const struct sk_certificates *certificates) {
    return certificates->own ? sk_own_pem(certificates->own)
                             : sk_buffer_span(&certificates->given_pem);
}

int64_t sk_certificates_ca_ends_s(const struct sk_certificates *certificates) {
    return certificates->own ? sk_own_ends_s(certificates->own) : certificates->given_ends_s;
}

/* Whether certificate and key are a pair and the certificate may sign others; a sentence when not.
 */
static enum sk_status check_given(struct sk_certificates *certificates, char reason[256]) {
    struct sk_span pem = sk_buffer_span(&certificates->given_pem);
    const char *problem = NULL;
    if (sk_x509_not_after(pem, &certificates->given_ends_s))
        problem = "holds no certificate in PEM form";
    else if (!sk_x509_is_pair(pem, certificates->given_key))
        problem = "and its key do not belong together";
    else if (!sk_x509_is_ca(pem))
        problem = "is not a CA certificate (basicConstraints CA:TRUE)";
    if (problem)
        snprintf(reason, 256, "The edge CA %.150s %s.", certificates->certificate_file, problem);
    return problem ? SK_INVALID : SK_OK;
}

/* What a given CA that has expired signs no client believes. */
static void warn_of_time(const struct sk_certificates *certificates) {
    char ended[SK_TIME_TEXT];
    int64_t left = certificates->given_ends_s - now_s(certificates);
    sk_time_text(certificates->given_ends_s * 1000000, ended);
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
    char why[256];
    enum sk_status status =
        load_file(certificates, certificates->certificate_file, &certificates->given_pem, reason);
    if (status) return status;
    status = sk_key_store_given_pair(certificates->keys, certificates->key_file,
                                     &certificates->given_key, why);
    if (status) snprintf(reason, 256, "The edge CA ([edge_ca] pk): %.220s", why);
    if (status == SK_MALFORMED) status = SK_INVALID; /* only a person can mend it */
    return status ? status : check_given(certificates, reason);
}

enum sk_status sk_certificates_open(struct sk_io *io, const struct sk_certificates_options *options,
                                    struct sk_certificates **opened, char reason[256]) {
    struct sk_certificates *certificates = SK_NEW(struct sk_certificates);
    certificates->io = io;
    certificates->keys = options->keys;
    certificates->device_id = sk_text_dup(options->device_id);
    certificates->certificate_file = sk_text_dup(options->certificate_file);
    certificates->key_file = sk_text_dup(options->key_file);
    certificates->trust_file = sk_text_dup(options->trust_file);
    enum sk_status status = certificates->certificate_file
                                ? load_given(certificates, reason)
                                : sk_own_open(io, &options->own, &certificates->own, reason);
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
    if (certificates->own) sk_own_free(certificates->own);
    free(certificates->device_id);
    free(certificates->certificate_file);
    free(certificates->key_file);
    free(certificates->trust_file);
    sk_buffer_free(&certificates->given_pem);
    EVP_PKEY_free(certificates->given_key);
    sk_buffer_free(&certificates->bundle);
    free(certificates);
}

static enum sk_status say_no_ca(const struct sk_certificates *certificates, char reason[256]) {
    snprintf(reason, 256, "The edge has no CA yet. %.220s", sk_own_problem(certificates->own));
    return SK_AGAIN;
}

/* A module that trusts nothing would never believe the edge hub: it asks again instead. */
enum sk_status sk_certificates_trust_bundle(struct sk_certificates *certificates,
                                            struct sk_span *pem, char reason[256]) {
    if (ca_pem(certificates).n == 0) return say_no_ca(certificates, reason);
    certificates->bundle.n = 0;
    sk_buffer_append(&certificates->bundle, ca_pem(certificates));
    if (certificates->own) {
        sk_buffer_append(&certificates->bundle, sk_own_previous(certificates->own));
        sk_buffer_append(&certificates->bundle, sk_own_anchors(certificates->own));
    }
    if (certificates->trust_file) {
        struct sk_buffer trust = {.limit = FILE_MAX}; /* read anew: people replace it */
        if (sk_file_load(certificates->io, certificates->trust_file, &trust) == SK_OK)
            sk_buffer_append(&certificates->bundle, sk_buffer_span(&trust));
        sk_buffer_free(&trust);
    }
    *pem = sk_buffer_span(&certificates->bundle);
    return SK_OK;
}

/* ---- issuing ---- */

void sk_certificate_free(struct sk_certificate *certificate) {
    if (certificate->key_pem.p) OPENSSL_cleanse(certificate->key_pem.p, certificate->key_pem.n);
    sk_buffer_free(&certificate->certificate_pem);
    sk_buffer_free(&certificate->key_pem);
}

/* The CA that signs now, got anew where that is due and needs nobody else; an older one does as
 * long as there is none. */
static enum sk_status find_ca(struct sk_certificates *certificates, struct sk_x509_request *request,
                              char reason[256]) {
    struct sk_own_certificate *own = certificates->own;
    if (own) sk_own_refresh(own, reason);
    request->issuer_certificate_pem = ca_pem(certificates);
    request->issuer_key = own ? sk_own_key(own) : certificates->given_key;
    return request->issuer_certificate_pem.n ? SK_OK : say_no_ca(certificates, reason);
}

static enum sk_status issue(struct sk_certificates *certificates, struct sk_x509_request *request,
                            struct sk_certificate *certificate, char reason[256]) {
    memset(certificate, 0, sizeof *certificate);
    enum sk_status status = find_ca(certificates, request, reason);
    if (status) return status;
    request->not_before_s = now_s(certificates) - DAY_S;
    request->not_after_s = now_s(certificates) + MODULE_DAYS * DAY_S;
    status = sk_x509_make(request, &certificate->certificate_pem, &certificate->key_pem);
    if (status) {
        snprintf(reason, 256, "Cannot issue a certificate for %.*s: %s.",
                 SK_ARG(sk_span_first(request->common_name, 64)), sk_status_text(status));
        sk_certificate_free(certificate);
        return status;
    }
    int64_t ends_s = sk_certificates_ca_ends_s(certificates);
    if (request->not_after_s < ends_s) ends_s = request->not_after_s;
    certificate->expires_us = ends_s * 1000000;
    return sk_buffer_append(&certificate->certificate_pem, ca_pem(certificates));
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
