/* Keys about certificates: the device's, the edge's CA, and who issues them. */
#include <stdio.h>

#include "edge/daemon/config_keys.h"
#include "edge/daemon/est.h"

#define AT(field) SK_CONFIG_AT(struct edge_file, field)
enum { DAYS_MAX = 36500, NAME_MOST = 64, TRUST_MOST = 16 };
static const char PAGE[] = "how-to/keys-and-certificates-of-an-edge.md";

static bool is_est_url(struct sk_span text, char why[SK_CONFIG_WHY_MAX]) {
    struct sk_est_url url;
    snprintf(why, SK_CONFIG_WHY_MAX, "must be https://HOST[:PORT]/PATH");
    return sk_est_url_parse(text, &url) == SK_OK;
}

/* By what the EST server knows the edge. */
#define ACCOUNT(table, field)                                                                      \
    {table ".username", &sk_config_text, AT(field.username), .secret = true,                       \
     .does = "Name for the EST server"},                                                           \
        {table ".password", &sk_config_text, AT(field.password), .secret = true,                   \
         .does = "Password for it"},                                                               \
        {table ".identity_cert", &edge_path, AT(field.certificate),                                \
         .does = "PEM file of a certificate by which it knows the edge"},                          \
        {table ".identity_pk", &edge_key_file, AT(field.key), .secret = true,                      \
         .does = "Its key: a PEM file, or `pkcs11:…`"},                                            \
        {table ".bootstrap_identity_cert", &edge_path, AT(field.bootstrap_certificate),            \
         .does = "PEM file of a certificate for the time until the server has issued one"},        \
    {                                                                                              \
        table ".bootstrap_identity_pk", &edge_key_file, AT(field.bootstrap_key), .secret = true,   \
                                                                                 .does = "Its key" \
    }

#define RENEWAL(table, field)                                                                      \
    {table ".auto_renew", &sk_config_table, .does = "How it is renewed"},                          \
        {table ".auto_renew.rotate_key", &sk_config_boolean, AT(field.rotate_key),                 \
         .otherwise = "true", .does = "Whether each one has a new key"},                           \
        {table ".auto_renew.threshold", &edge_renewal_point, AT(field.threshold),                  \
         .otherwise = "\"80%\"",                                                                   \
         .does = "When: after a share of its life, or so long before its end"},                    \
    {                                                                                              \
        table ".auto_renew.retry", &edge_renewal_point, AT(field.retry),                           \
            .otherwise = "\"4%\"", .does = "How long to wait after a failure"                      \
    }

#define IDENTITY "provisioning.authentication.identity_cert"

const struct sk_config_key edge_certificate_keys[] = {
    {IDENTITY, &edge_path_or_table, AT(config.identity_certificate_file),
     .does =
         "With `\"x509\"`: PEM file of the device's certificate, its chain behind it; or a table",
     .page = PAGE},
    {"provisioning.authentication.identity_pk", &edge_key_file, AT(config.identity_key_file),
     .secret = true, .does = "PEM file of its key, or where it is in a PKCS#11 token"},
    {IDENTITY ".method", &sk_config_choice, AT(identity_method), .choices = "est|local_ca",
     .does = "Who issues the certificate, and renews it"},
    {IDENTITY ".common_name", &sk_config_text, AT(config.identity_own.common_name),
     .most = NAME_MOST, .otherwise_words = "the device's id", .does = "Its common name"},
    {IDENTITY ".expiry_days", &sk_config_integer, AT(config.identity_own.days), .least = 1,
     .most = DAYS_MAX, .otherwise = "30", .does = "How long it lives, from `\"local_ca\"`"},
    {IDENTITY ".subject", &sk_config_any, .unused = true, .does = "common_name is"},
    {IDENTITY ".url", &sk_config_text, AT(config.identity_own.est.url), .fine = is_est_url,
     .otherwise_words = "`[cert_issuance.est.urls]`", .does = "The EST server"},
    ACCOUNT(IDENTITY, config.identity_own.est),
    RENEWAL(IDENTITY, config.identity_own.renewal),

    {"edge_ca", &sk_config_table,
     .does = "The edge's CA: files of one's own, one that another CA issues, or a quick-start CA"},
    {"edge_ca.cert", &edge_path, AT(config.edge_ca_certificate_file),
     .does = "PEM file of the CA's certificate"},
    {"edge_ca.pk", &edge_key_file, AT(config.edge_ca_key_file), .secret = true,
     .does = "PEM file of its key, or where it is in a PKCS#11 token"},
    {"edge_ca.method", &sk_config_choice, AT(edge_ca_method), .choices = "est|local_ca",
     .otherwise_words = "the edge makes one for a quick start",
     .does = "Who issues it, and renews it", .page = PAGE},
    {"edge_ca.auto_generated_edge_ca_expiry_days", &sk_config_integer, AT(config.edge_ca_days),
     .least = 1, .most = DAYS_MAX, .otherwise = "90",
     .does = "How many days a quick-start CA lives"},
    {"edge_ca.common_name", &sk_config_text, AT(config.edge_ca_own.common_name), .most = NAME_MOST,
     .otherwise_words = "one with the device's id", .does = "Name of a CA that is not in files"},
    {"edge_ca.expiry_days", &sk_config_integer, AT(config.edge_ca_own.days), .least = 1,
     .most = DAYS_MAX, .otherwise = "30", .does = "How many days one from `\"local_ca\"` lives"},
    {"edge_ca.subject", &sk_config_any, .unused = true, .does = "common_name is"},
    {"edge_ca.url", &sk_config_text, AT(config.edge_ca_own.est.url), .fine = is_est_url,
     .otherwise_words = "`[cert_issuance.est.urls]`", .does = "The EST server"},
    ACCOUNT("edge_ca", config.edge_ca_own.est),
    RENEWAL("edge_ca", config.edge_ca_own.renewal),

    {"cert_issuance", &sk_config_table, .does = "Who issues certificates"},
    {"cert_issuance.est", &sk_config_table, .does = "An EST server (RFC 7030)"},
    {"cert_issuance.est.trusted_certs", &sk_config_texts,
     SK_CONFIG_LIST(struct edge_file, config.est_trust, config.est_trust_count), .least = 1,
     .most = TRUST_MOST, .otherwise_words = "the system's", .such_as = "[\"file:///etc/est.pem\"]",
     .does = "PEM files of CAs that the server's certificate must chain to"},
    {"cert_issuance.est.auth", &sk_config_table, .does = "How it knows the edge"},
    ACCOUNT("cert_issuance.est.auth", est),
    {"cert_issuance.est.urls", &sk_config_table, .does = "Where it is"},
    {"cert_issuance.est.urls.default", &sk_config_text, AT(est.url), .fine = is_est_url,
     .such_as = "\"https://est.example/.well-known/est\"", .does = "For all certificates"},
    {"cert_issuance.est.identity_auto_renew", &sk_config_any, .unused = true,
     .does = "a device's certificate proves itself for the next one"},
    {"cert_issuance.local_ca", &sk_config_table, .does = "A CA on this machine"},
    {"cert_issuance.local_ca.cert", &edge_path, AT(local_ca),
     .does = "PEM file of its certificate"},
    {"cert_issuance.local_ca.pk", &edge_key_file, AT(local_ca_key), .secret = true,
     .does = "Its key: a PEM file, or `pkcs11:…`"},
    {0}};

/* ---- what they mean together ---- */

static void fill_account(struct sk_est_account *own, const struct sk_est_account *general) {
    if (own->url == NULL) own->url = general->url;
    if (own->username || own->certificate || own->bootstrap_certificate) return;
    const char *url = own->url;
    *own = *general;
    own->url = url;
}

static void check_account(struct sk_config *reading, const char *table,
                          const struct sk_est_account *account) {
    if (account->url == NULL)
        sk_config_refuse(reading, table,
                         "needs url, or [cert_issuance.est.urls] default: the EST server's.");
    if ((account->certificate == NULL) != (account->key == NULL) ||
        (account->bootstrap_certificate == NULL) != (account->bootstrap_key == NULL))
        sk_config_refuse(reading, table,
                         "needs a certificate for the EST server and its key, both.");
    if (account->username == NULL && account->certificate == NULL &&
        account->bootstrap_certificate == NULL)
        sk_config_refuse(reading, table,
                         "needs something by which the EST server knows the edge: username and "
                         "password, or bootstrap_identity_cert and bootstrap_identity_pk.");
}

/* Fills in from whom a certificate comes. */
static void choose_source(struct sk_config *reading, struct edge_file *file, const char *table,
                          unsigned source, struct sk_own_options *own) {
    own->source = source == SOURCE_EST        ? SK_OWN_EST
                  : source == SOURCE_LOCAL_CA ? SK_OWN_LOCAL_CA
                                              : SK_OWN_SELF_SIGNED;
    own->issuer_certificate = file->local_ca;
    own->issuer_key = file->local_ca_key;
    fill_account(&own->est, &file->est);
    if (own->source == SK_OWN_EST) check_account(reading, table, &own->est);
    if (own->source == SK_OWN_LOCAL_CA && (file->local_ca == NULL || file->local_ca_key == NULL))
        sk_config_refuse(reading, table,
                         "needs [cert_issuance.local_ca] cert and pk with method \"local_ca\".");
}

static void read_edge_ca(struct sk_config *reading, struct edge_file *file) {
    struct sk_edge_config *config = &file->config;
    bool given = config->edge_ca_certificate_file || config->edge_ca_key_file;
    if ((config->edge_ca_certificate_file == NULL) != (config->edge_ca_key_file == NULL))
        sk_config_refuse(reading, "edge_ca", "needs both cert and pk, or none of them.");
    if (given && file->edge_ca_method != SOURCE_UNSAID)
        sk_config_refuse(reading, "edge_ca.method",
                         "stands beside cert and pk; keep one of the two.");
    if (file->edge_ca_method == SOURCE_UNSAID) config->edge_ca_own.days = config->edge_ca_days;
    choose_source(reading, file, "edge_ca", file->edge_ca_method, &config->edge_ca_own);
}

static void read_device_certificate(struct sk_config *reading, struct edge_file *file) {
    struct sk_edge_config *config = &file->config;
    bool has_file = config->identity_certificate_file != NULL,
         has_key = config->identity_key_file != NULL;
    config->identity_issued = file->identity_method != SOURCE_UNSAID;
    if (config->identity_issued) {
        choose_source(reading, file, IDENTITY, file->identity_method, &config->identity_own);
        if (has_key)
            sk_config_refuse(
                reading, "provisioning.authentication.identity_pk",
                "stands beside a certificate that is issued: its key is the edge's own.");
    } else if (!has_file || !has_key) {
        sk_config_refuse(
            reading, "provisioning.authentication",
            "needs identity_cert and identity_pk with method \"x509\", or identity_cert "
            "= { method = \"est\" }.");
    }
}

static void read_trust(struct edge_file *file) {
    for (size_t i = 0; i < file->config.est_trust_count; i++)
        if (strncmp(file->config.est_trust[i], "file://", 7) == 0) file->config.est_trust[i] += 7;
}

void edge_certificates_read(struct sk_config *reading, struct edge_file *file) {
    const struct sk_edge_config *config = &file->config;
    read_edge_ca(reading, file);
    read_trust(file);
    if (file->method == METHOD_X509)
        read_device_certificate(reading, file);
    else if (config->identity_certificate_file || config->identity_key_file ||
             file->identity_method != SOURCE_UNSAID)
        sk_config_refuse(reading, "provisioning.authentication.method",
                         "must be \"x509\" for identity_cert and identity_pk to count.");
}
