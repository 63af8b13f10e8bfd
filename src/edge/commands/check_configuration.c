/* Checks of what stands in config.toml and of the machine under it. */
#include <stdio.h>

#include "edge/commands/parts.h"
#include "edge/daemon/certificates.h"
#include "trust/x509.h"

static const int64_t DAY_S = 86400;
enum { NAME_MAX = 64, WARN_DAYS = 7, MEGABYTE = 1 << 20 };

/* It was read before any check runs: what is wrong in it ends every command. */
static void well_formed(struct edge_checks *checks, struct edge_finding *finding) {
    (void)checks, (void)finding;
}

static void hostname(struct edge_checks *checks, struct edge_finding *finding) {
    struct sk_span name = sk_span_z(checks->config->hostname), rest = name, label;
    static const char mend[] =
        "Write `hostname`: letters, digits, '-' and '.', at most 64 in all; or an address.";
    if (name.n > NAME_MAX)
        edge_find(finding, EDGE_ERROR, mend,
                  "hostname \"%s\" has %zu characters: a certificate's common name has at most %d.",
                  name.p, name.n, NAME_MAX);
    while (sk_span_split(&rest, '.', &label))
        if (label.n == 0 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-' ||
            !sk_span_only(label, "-:"))
            edge_find(finding, EDGE_ERROR, mend, "hostname \"%s\" is not a host name (RFC 1035).",
                      name.p);
    if (finding->verdict == EDGE_OK && sk_span_is(name, "localhost"))
        edge_find(finding, EDGE_WARNING, "Write the name or address that leaf devices dial.",
                  "hostname is \"localhost\": only programs on this machine reach the edge hub.");
}

static void parent_hostname(struct edge_checks *checks, struct edge_finding *finding) {
    const char *parent = checks->config->parent_hostname;
    if (parent == NULL) {
        edge_find(finding, EDGE_SKIPPED, "", "there is no parent_hostname: not a nested edge");
        return;
    }
    if (sk_span_eq_nocase(sk_span_z(parent), sk_span_z(checks->config->hostname)))
        edge_find(finding, EDGE_ERROR, "Write the name of the edge above this one.",
                  "parent_hostname \"%s\" is this edge itself.", parent);
}

/* ---- certificates ---- */

/* The CA as the daemon will open it. */
struct opened_ca {
    struct sk_io *io;
    struct sk_key_store *keys;
    struct sk_certificates *certificates; /* NULL, and a finding: it cannot */
};

static void open_ca(struct edge_checks *checks, struct opened_ca *ca,
                    struct edge_finding *finding) {
    const struct sk_edge_config *config = checks->config;
    char reason[256] = "";
    *ca = (struct opened_ca){.io = sk_io_uv_new()};
    sk_note_level(SK_LEVEL_ERROR);
    struct sk_key_store_options store = {.folder = config->data};
    enum sk_status status = sk_key_store_open(ca->io, &store, &ca->keys, reason);
    if (status == SK_OK)
        status = sk_certificates_open(
            ca->io,
            &(struct sk_certificates_options){.device_id = config->device_id,
                                              .keys = ca->keys,
                                              .certificate_file = config->edge_ca_certificate_file,
                                              .key_file = config->edge_ca_key_file},
            &ca->certificates, reason);
    if (status)
        edge_find(
            finding, EDGE_ERROR,
            "Give [edge_ca] cert and pk: PEM files of a CA and its key without a pass phrase.",
            "%s", reason);
}

static void close_ca(struct opened_ca *ca) {
    if (ca->certificates) sk_certificates_free(ca->certificates);
    if (ca->keys) sk_key_store_close(ca->keys);
    sk_io_free(ca->io);
}

static bool has_given_ca(struct edge_checks *checks, struct edge_finding *finding) {
    const char *key = checks->config->edge_ca_key_file;
    if (key && key[0] != '/') {
        edge_find(finding, EDGE_SKIPPED, "", "its key is in a token, and the daemon has the PIN");
        return false;
    }
    if (checks->config->edge_ca_certificate_file) return true;
    edge_find(finding, EDGE_SKIPPED, "", "the edge makes and renews a quick-start CA");
    return false;
}

static void ca_matches(struct edge_checks *checks, struct edge_finding *finding) {
    struct opened_ca ca;
    if (!has_given_ca(checks, finding)) return;
    open_ca(checks, &ca, finding);
    close_ca(&ca);
}

static void ca_expiry(struct edge_checks *checks, struct edge_finding *finding) {
    struct opened_ca ca;
    if (!has_given_ca(checks, finding)) return;
    open_ca(checks, &ca, finding);
    if (ca.certificates) {
        int64_t left = sk_certificates_ca_ends_s(ca.certificates) - sk_io_wall(ca.io) / 1000000;
        static const char mend[] = "Put a new certificate there and restart the edge.";
        if (left <= 0)
            edge_find(finding, EDGE_ERROR, mend, "The edge CA %s has expired.",
                      checks->config->edge_ca_certificate_file);
        else if (left < WARN_DAYS * DAY_S)
            edge_find(finding, EDGE_WARNING, mend, "The edge CA %s expires in %lld days.",
                      checks->config->edge_ca_certificate_file, (long long)(left / DAY_S));
    }
    close_ca(&ca);
}

/* Of the device's own certificate, from a file or kept by the daemon. */
static void identity_expiry(struct edge_checks *checks, struct edge_finding *finding) {
    const struct sk_edge_config *config = checks->config;
    struct sk_buffer pem = {.limit = MEGABYTE};
    int64_t ends_s;
    if (config->identity_certificate_file == NULL) {
        edge_find(finding, EDGE_SKIPPED, "",
                  config->identity_issued ? "the daemon gets and renews it"
                                          : "the device proves itself by a key");
        return;
    }
    struct sk_io *io = sk_io_uv_new();
    static const char mend[] = "Put a new one there and restart the edge.";
    if (sk_file_load(io, config->identity_certificate_file, &pem) ||
        sk_x509_not_after(sk_buffer_span(&pem), &ends_s))
        edge_find(finding, EDGE_ERROR, "Give a PEM file with the certificate.",
                  "The device's certificate %s cannot be read.", config->identity_certificate_file);
    else if (ends_s <= sk_io_wall(io) / 1000000)
        edge_find(finding, EDGE_ERROR, mend, "The device's certificate %s has expired.",
                  config->identity_certificate_file);
    else if (ends_s - sk_io_wall(io) / 1000000 < WARN_DAYS * DAY_S)
        edge_find(finding, EDGE_WARNING, mend, "The device's certificate %s expires in %lld days.",
                  config->identity_certificate_file,
                  (long long)((ends_s - sk_io_wall(io) / 1000000) / DAY_S));
    sk_buffer_free(&pem);
    sk_io_free(io);
}

static void files_read(struct edge_checks *checks, struct edge_finding *finding) {
    const struct sk_edge_config *config = checks->config;
    const struct {
        const char *key, *path;
    } files[] = {{"[provisioning.authentication] identity_cert", config->identity_certificate_file},
                 {"manifest_trust_bundle_cert", config->manifest_trust_file},
                 {"trust_bundle_cert", config->trust_bundle_file},
                 {"[skerry] hub_trust", config->hub_trust_file},
                 {"[edge_ca] cert", config->edge_ca_certificate_file},
                 {"[edge_ca] pk", config->edge_ca_key_file},
                 {"[provisioning.authentication] identity_cert", config->identity_certificate_file},
                 {"[provisioning.authentication] identity_pk", config->identity_key_file}};
    struct sk_io *io = sk_io_uv_new();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct sk_buffer text = {.limit = MEGABYTE};
        bool named = files[i].path && files[i].path[0] == '/'; /* "pkcs11:" is no file */
        enum sk_status status = named ? sk_file_load(io, files[i].path, &text) : SK_OK;
        if (status)
            edge_find(finding, EDGE_ERROR, "Correct the path, or make the file readable.",
                      "%s: %s cannot be read: %s.", files[i].key, files[i].path,
                      sk_status_text(status));
        else if (named && memmem(text.p, text.n, "-----BEGIN ", 11) == NULL)
            edge_find(finding, EDGE_ERROR, "Convert it: `openssl x509 -inform der -in … -out …`.",
                      "%s: %s holds nothing in PEM form.", files[i].key, files[i].path);
        sk_buffer_free(&text);
    }
    sk_io_free(io);
}

/* ---- the machine ---- */

static void free_disk(struct edge_checks *checks, struct edge_finding *finding) {
    struct sk_io *io = sk_io_uv_new();
    uint64_t free_mb = sk_disk_free(io, checks->config->data) / MEGABYTE;
    sk_io_free(io);
    static const char mend[] = "Free some, or move `[skerry] data` to a larger disk.";
    if (free_mb < 64)
        edge_find(finding, EDGE_ERROR, mend,
                  "%s has %llu MB free: messages will soon be refused, and renewals fail.",
                  checks->config->data, (unsigned long long)free_mb);
    else if (free_mb < 512)
        edge_find(finding, EDGE_WARNING, mend, "%s has %llu MB free.", checks->config->data,
                  (unsigned long long)free_mb);
}

static void refuse_stream(void *arg, struct sk_stream *stream) {
    (void)arg;
    sk_stream_abort(stream);
}

static void find_port(struct edge_finding *finding, const char *address, const char *why) {
    edge_find(finding, EDGE_ERROR,
              "`ss -ltnp` tells which program has it; end it, or change [skerry] listen.",
              "%.200s cannot be had: %s.", address, why);
}

/* While the edge hub runs, it knows which ones it has. */
static void host_ports(struct edge_checks *checks, struct edge_finding *finding) {
    size_t each;
    json_t *closed;
    json_array_foreach(json_object_get(checks->hub, "closedPorts"), each, closed)
        find_port(finding, json_string_value(closed),
                  "another program listens on it, or the port needs root");
    if (checks->hub) return;
    struct sk_io *io = sk_io_uv_new();
    for (size_t i = 0; i < checks->config->listen_count; i++) {
        const struct sk_endpoint *at = &checks->config->listen[i];
        struct sk_listener *listener;
        enum sk_status status = sk_listen(io, at, NULL, refuse_stream, NULL, &listener);
        if (status == SK_OK)
            sk_listener_close(listener);
        else {
            char address[200];
            snprintf(address, sizeof address, "%.180s:%u", at->host, at->port);
            find_port(finding, address,
                      status == SK_EXISTS ? "another program listens on it"
                                          : sk_status_text(status));
        }
    }
    sk_io_run(io);
    sk_io_free(io);
}

#define SECTION "Configuration checks"
const struct edge_check edge_checks_configuration[] = {
    {SECTION, "aziot-edged-config-well-formed", "config.toml is well-formed", well_formed},
    {SECTION, "hostname", "modules and leaf devices can be told this name", hostname},
    {SECTION, "parent_hostname", "the parent is another machine", parent_hostname},
    {SECTION, "certs-read", "the files that it names can be read", files_read},
    {SECTION, "certs-match-private-keys", "the edge CA can sign", ca_matches},
    {SECTION, "local-ca-certificate-expiry", "the edge CA will not expire soon", ca_expiry},
    {SECTION, "identity-certificate-expiry", "nor will the device's certificate", identity_expiry},
    {SECTION, "free-disk", "there is room for messages", free_disk},
    {SECTION, "host-ports", "the ports of the edge hub are its own", host_ports},
    {0}};
