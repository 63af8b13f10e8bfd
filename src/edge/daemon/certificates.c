/* X.509 for the edge (edge reference, section 1.6). OpenSSL signs; files, time and serial numbers come from io. */
#include "edge/daemon/certificates.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

static const int64_t DAY_US = 86400000000;
enum { MODULE_DAYS = 30, FILE_MAX = 256 * 1024 };

struct sk_certificates {
    struct sk_io *io;
    char *folder, *device_id, *ca_name, *certificate_file, *key_file, *trust_file;
    unsigned ca_days;
    X509 *ca;
    EVP_PKEY *key;
    struct sk_buffer ca_pem;       /* the CA, then its chain */
    struct sk_buffer previous_pem; /* the quick-start CA before this one */
    struct sk_buffer bundle;
};

/* ---- small things ---- */

static enum sk_status crypto_failed(char reason[256], const char *what) {
    char text[160];
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    ERR_clear_error();
    snprintf(reason, 256, "%.80s: %s.", what, text);
    return SK_INVALID;
}

static void from_bio(struct sk_buffer *to, BIO *bio) {
    char *p;
    long n = BIO_get_mem_data(bio, &p);
    sk_buffer_append(to, sk_span(p, (size_t)n));
    BIO_free(bio);
}

static void put_certificate(struct sk_buffer *to, X509 *certificate) {
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, certificate);
    from_bio(to, bio);
}

static void put_key(struct sk_buffer *to, EVP_PKEY *key) {
    BIO *bio = BIO_new(BIO_s_secmem());
    PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    from_bio(to, bio);
}

static int64_t asn1_us(const ASN1_TIME *time) {
    struct tm parts;
    char text[64];
    int64_t us = 0;
    if (!ASN1_TIME_to_tm(time, &parts)) return 0;
    int n = snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
    sk_time_parse(sk_span(text, (size_t)n), &us);
    return us;
}

/* ---- building ---- */

struct plan {
    const char *common_name;
    const char *subject_alternative; /* as OpenSSL's configuration writes it; NULL: none */
    const char *usage;               /* extended key usage; NULL: this is a CA */
    int64_t ends_us;
};

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool added = extension && X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return added;
}

static bool add_extensions(X509 *certificate, X509 *issuer, const struct plan *plan) {
    bool ca = plan->usage == NULL;
    return add_extension(certificate, issuer, NID_basic_constraints, ca ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE") &&
           add_extension(certificate, issuer, NID_key_usage,
                         ca ? "critical,digitalSignature,keyCertSign" : "critical,digitalSignature") &&
           (ca || add_extension(certificate, issuer, NID_ext_key_usage, plan->usage)) &&
           (plan->subject_alternative == NULL ||
            add_extension(certificate, issuer, NID_subject_alt_name, plan->subject_alternative)) &&
           add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
           add_extension(certificate, issuer, NID_authority_key_identifier, "keyid:always");
}

static void set_serial(struct sk_io *io, X509 *certificate) {
    uint8_t bytes[16];
    sk_io_random(io, bytes, sizeof bytes);
    bytes[0] &= 0x7f; /* positive */
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
}

/* A new certificate for `key`, signed by the issuer (NULL: by itself); NULL on failure. */
static X509 *build(struct sk_io *io, const struct plan *plan, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key) {
    int64_t begins_us = sk_io_wall(io) - DAY_US; /* clients' clocks may be behind */
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    if (issuer == NULL) issuer = certificate, issuer_key = key;
    set_serial(io, certificate);
    bool fine = X509_set_version(certificate, X509_VERSION_3) &&
                X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, (const unsigned char *)plan->common_name, -1, -1, 0) &&
                X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) &&
                ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)(begins_us / 1000000)) &&
                ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)(plan->ends_us / 1000000)) &&
                X509_set_pubkey(certificate, key) && add_extensions(certificate, issuer, plan) &&
                X509_sign(certificate, issuer_key, EVP_sha256());
    if (fine) return certificate;
    X509_free(certificate);
    return NULL;
}

/* ---- the CA ---- */

static enum sk_status load_file(struct sk_certificates *certificates, const char *path, struct sk_buffer *to, char reason[256]) {
    to->limit = FILE_MAX;
    enum sk_status status = sk_file_load(certificates->io, path, to);
    if (status) snprintf(reason, 256, "Cannot read %.180s: %s.", path, sk_status_text(status));
    return status;
}

static enum sk_status parse_ca(struct sk_certificates *certificates, struct sk_span key_pem, const char *path, char reason[256]) {
    BIO *certificate_bio = BIO_new_mem_buf(certificates->ca_pem.p, (int)certificates->ca_pem.n);
    BIO *key_bio = BIO_new_mem_buf(key_pem.p, (int)key_pem.n);
    X509_free(certificates->ca);
    EVP_PKEY_free(certificates->key);
    certificates->ca = PEM_read_bio_X509(certificate_bio, NULL, NULL, NULL);
    certificates->key = PEM_read_bio_PrivateKey(key_bio, NULL, NULL, NULL);
    BIO_free(certificate_bio);
    BIO_free(key_bio);
    char what[256];
    snprintf(what, sizeof what, "The edge CA %.60s", path);
    if (certificates->ca == NULL || certificates->key == NULL) return crypto_failed(reason, what);
    if (X509_check_private_key(certificates->ca, certificates->key) != 1) {
        snprintf(reason, 256, "The key does not belong to the edge CA %.180s.", path);
        return SK_INVALID;
    }
    if (X509_check_ca(certificates->ca) == 1) return SK_OK;
    snprintf(reason, 256, "%.180s is not a CA certificate (basicConstraints CA:TRUE).", path);
    return SK_INVALID;
}

static bool outlived(struct sk_certificates *certificates) {
    int64_t begins = asn1_us(X509_get0_notBefore(certificates->ca)), ends = asn1_us(X509_get0_notAfter(certificates->ca));
    return sk_io_wall(certificates->io) > begins + (ends - begins) / 10 * 8;
}

struct ca_paths {
    char certificate[512], key[512], previous[512];
};

static void quick_start_paths(const struct sk_certificates *certificates, struct ca_paths *paths) {
    snprintf(paths->certificate, sizeof paths->certificate, "%s/edge-ca.pem", certificates->folder);
    snprintf(paths->key, sizeof paths->key, "%s/edge-ca.key", certificates->folder);
    snprintf(paths->previous, sizeof paths->previous, "%s/edge-ca-previous.pem", certificates->folder);
}

/* Makes a quick-start CA and stores it, key first: a certificate without its key would be of no use. */
static enum sk_status make_ca(struct sk_certificates *certificates, char reason[256]) {
    struct ca_paths paths;
    struct sk_buffer certificate_pem = {0}, key_pem = {0};
    char name[65];
    snprintf(name, sizeof name, "%.64s", certificates->ca_name ? certificates->ca_name : "");
    if (certificates->ca_name == NULL) snprintf(name, sizeof name, "aziot-edge CA %.50s", certificates->device_id);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    struct plan plan = {.common_name = name, .ends_us = sk_io_wall(certificates->io) + certificates->ca_days * DAY_US};
    X509 *ca = key ? build(certificates->io, &plan, key, NULL, NULL) : NULL;
    if (ca == NULL) {
        EVP_PKEY_free(key);
        return crypto_failed(reason, "Cannot make an edge CA");
    }
    quick_start_paths(certificates, &paths);
    put_certificate(&certificate_pem, ca);
    put_key(&key_pem, key);
    enum sk_status status = SK_OK;
    if (certificates->ca) status = sk_file_save(certificates->io, paths.previous, sk_buffer_span(&certificates->ca_pem), 0644);
    if (!status) status = sk_file_save(certificates->io, paths.key, sk_buffer_span(&key_pem), 0600);
    if (!status) status = sk_file_save(certificates->io, paths.certificate, sk_buffer_span(&certificate_pem), 0644);
    OPENSSL_cleanse(key_pem.p, key_pem.n);
    sk_buffer_free(&key_pem);
    if (status) {
        snprintf(reason, 256, "Cannot store the edge CA in %.180s: %s.", certificates->folder, sk_status_text(status));
        sk_buffer_free(&certificate_pem);
        X509_free(ca);
        EVP_PKEY_free(key);
        return status;
    }
    sk_buffer_free(&certificates->previous_pem);
    if (certificates->ca) certificates->previous_pem = certificates->ca_pem;
    certificates->ca_pem = certificate_pem;
    X509_free(certificates->ca);
    EVP_PKEY_free(certificates->key);
    certificates->ca = ca;
    certificates->key = key;
    return SK_OK;
}

static enum sk_status load_ca(struct sk_certificates *certificates, const char *certificate_path, const char *key_path, char reason[256]) {
    struct sk_buffer key_pem = {0};
    enum sk_status status = load_file(certificates, certificate_path, &certificates->ca_pem, reason);
    if (!status) status = load_file(certificates, key_path, &key_pem, reason);
    if (!status) status = parse_ca(certificates, sk_buffer_span(&key_pem), certificate_path, reason);
    OPENSSL_cleanse(key_pem.p, key_pem.n);
    sk_buffer_free(&key_pem);
    return status;
}

/* What an interrupted make_ca() left (nothing, or a key beside an older certificate) is made anew. */
static enum sk_status open_quick_start(struct sk_certificates *certificates, char reason[256]) {
    struct ca_paths paths;
    quick_start_paths(certificates, &paths);
    enum sk_status status = sk_folder_make(certificates->io, certificates->folder, 0700);
    if (status) {
        snprintf(reason, 256, "Cannot make the folder %.180s: %s.", certificates->folder, sk_status_text(status));
        return status;
    }
    status = load_ca(certificates, paths.certificate, paths.key, reason);
    certificates->previous_pem.limit = FILE_MAX;
    if (!status) {
        sk_file_load(certificates->io, paths.previous, &certificates->previous_pem);
        return SK_OK;
    }
    if (status != SK_NOT_FOUND && status != SK_INVALID) return status;
    sk_buffer_free(&certificates->ca_pem);
    X509_free(certificates->ca);
    EVP_PKEY_free(certificates->key);
    certificates->ca = NULL;
    certificates->key = NULL;
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
    enum sk_status status = certificates->certificate_file
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
    X509_free(certificates->ca);
    EVP_PKEY_free(certificates->key);
    sk_buffer_free(&certificates->ca_pem);
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
    if (certificate->key_pem.p) OPENSSL_cleanse(certificate->key_pem.p, certificate->key_pem.n);
    sk_buffer_free(&certificate->certificate_pem);
    sk_buffer_free(&certificate->key_pem);
}

static enum sk_status issue(struct sk_certificates *certificates, struct plan *plan, struct sk_certificate *certificate,
                            char reason[256]) {
    memset(certificate, 0, sizeof *certificate);
    if (certificates->certificate_file == NULL && outlived(certificates)) {
        enum sk_status status = make_ca(certificates, reason);
        if (status) return status;
    }
    int64_t ca_ends = asn1_us(X509_get0_notAfter(certificates->ca));
    plan->ends_us = sk_io_wall(certificates->io) + MODULE_DAYS * DAY_US;
    if (plan->ends_us > ca_ends) plan->ends_us = ca_ends;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *leaf = key ? build(certificates->io, plan, key, certificates->ca, certificates->key) : NULL;
    if (leaf == NULL) {
        EVP_PKEY_free(key);
        return crypto_failed(reason, "Cannot issue a certificate");
    }
    put_certificate(&certificate->certificate_pem, leaf);
    sk_buffer_append(&certificate->certificate_pem, sk_buffer_span(&certificates->ca_pem));
    put_key(&certificate->key_pem, key);
    certificate->expires_us = asn1_us(X509_get0_notAfter(leaf));
    X509_free(leaf);
    EVP_PKEY_free(key);
    return SK_OK;
}

/* A host name or address, safe inside OpenSSL's configuration text. */
static bool is_host(struct sk_span name) {
    if (name.n == 0 || name.n > 253) return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alphanumeric && (c == 0 || strchr("-._:*", c) == NULL)) return false;
    }
    return true;
}

static bool is_address(const char *name) {
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(name);
    ASN1_OCTET_STRING_free(address);
    return address != NULL;
}

enum sk_status sk_certificates_issue_server(struct sk_certificates *certificates, struct sk_span common_name, struct sk_span module_id,
                                            struct sk_certificate *certificate, char reason[256]) {
    char name[256], cn[65], alternative[640];
    if (!is_host(common_name)) {
        snprintf(reason, 256, "The common name must be a host name or an address.");
        return SK_INVALID;
    }
    snprintf(name, sizeof name, "%.*s", SK_ARG(common_name));
    snprintf(cn, sizeof cn, "%.64s", name); /* X.509's limit; clients look at the SAN */
    int n = snprintf(alternative, sizeof alternative, "%s:%s", is_address(name) ? "IP" : "DNS", name);
    if (module_id.n && module_id.p[0] == '$') module_id = sk_span_skip(module_id, 1);
    if (is_host(module_id)) snprintf(alternative + n, sizeof alternative - (size_t)n, ",DNS:%.*s", SK_ARG(module_id));
    struct plan plan = {.common_name = cn, .subject_alternative = alternative, .usage = "serverAuth"};
    return issue(certificates, &plan, certificate, reason);
}

enum sk_status sk_certificates_issue_identity(struct sk_certificates *certificates, struct sk_span hub, struct sk_span module_id,
                                              struct sk_certificate *certificate, char reason[256]) {
    char cn[65], alternative[1024];
    struct sk_buffer path = {0};
    snprintf(cn, sizeof cn, "%.*s", SK_ARG(sk_span_first(module_id, 64)));
    /* Ids may hold what OpenSSL's configuration text gives a meaning to. */
    sk_buffer_text(&path, certificates->device_id);
    sk_buffer_text(&path, "/modules/");
    sk_buffer_append(&path, module_id);
    bool plain = is_host(hub) && memchr(path.p, ',', path.n) == NULL && memchr(path.p, '#', path.n) == NULL;
    snprintf(alternative, sizeof alternative, "DNS:URI: azureiot://%.*s/devices/%.*s", SK_ARG(hub), SK_ARG(sk_buffer_span(&path)));
    sk_buffer_free(&path);
    struct plan plan = {.common_name = cn, .subject_alternative = plain ? alternative : NULL, .usage = "clientAuth"};
    return issue(certificates, &plan, certificate, reason);
}
