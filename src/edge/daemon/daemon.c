/* The daemon role: opening and closing. */
#include "edge/daemon/daemon.h"

#include <stdio.h>

#include "edge/daemon/parts.h"
#include "net/trust.h"

enum { RETRY_S = 10 };

#define IDENTITIES "keys/identities.json"

void sk_daemon_move_in(struct sk_io *io, const char *data) {
    char old[512], now[512];
    snprintf(now, sizeof now, "%s/keys", data);
    sk_folder_make(io, now, 0700); /* sk_daemon_start says what is wrong */
    snprintf(old, sizeof old, "%s/identities.json", data);
    snprintf(now, sizeof now, "%s/" IDENTITIES, data);
    sk_file_rename(io, old, now);
    snprintf(old, sizeof old, "%s/certificates/edge-ca.key", data);
    snprintf(now, sizeof now, "%s/keys/edge-ca.key", data);
    sk_file_rename(io, old, now);
    snprintf(old, sizeof old, "%s/mgmt.sock", data);
    sk_file_remove(io, old);
}

/* ---- life ---- */

/* What the configuration says of a certificate, and what it need not say. */
static struct sk_own_options own_options(struct sk_daemon *daemon, struct sk_own_options own,
                                         const char *name, const char *common_name,
                                         const char *folder) {
    own.store = daemon->store;
    own.folder = folder;
    own.name = name;
    if (own.common_name == NULL) own.common_name = common_name;
    own.est_trust = daemon->config->est_trust;
    own.est_trust_count = daemon->config->est_trust_count;
    own.proxy = daemon->config->upstream.proxy;
    own.arg = daemon;
    return own;
}

static void know_system_modules(struct sk_daemon *daemon);

static enum sk_status set_tls(struct sk_daemon *daemon, char reason[256]) {
    struct sk_tls_options own = {0};
    own.certificate_pem = sk_credential_certificate(daemon->credential, &own.key);
    return sk_tls_trusting(daemon->io, daemon->config->hub_trust_file, &own, &daemon->tls, reason);
}

/* The hub is asked at once for what waited for it. */
static void identity_changed(void *arg) {
    struct sk_daemon *daemon = arg;
    char reason[256];
    sk_credential_replace(daemon->credential, sk_own_pem(daemon->identity),
                          sk_own_key(daemon->identity));
    if (set_tls(daemon, reason)) SK_ERROR("daemon", "%s", reason);
    know_system_modules(daemon);
}

static enum sk_status open_credential(struct sk_daemon *daemon, char reason[256]) {
    const struct sk_edge_config *config = daemon->config;
    char folder[512];
    struct sk_credential_options options = {
        .store = daemon->store,
        .key = config->device_key,
        .key_uri = config->device_key_file,
        .certificate_file = config->identity_certificate_file,
        .certificate_key_uri = config->identity_key_file,
        .issued = config->identity_issued,
    };
    enum sk_status status = sk_credential_open(daemon->io, &options, &daemon->credential, reason);
    if (status || !config->identity_issued) return status;
    snprintf(folder, sizeof folder, "%s/certificates", config->data);
    struct sk_own_options own =
        own_options(daemon, config->identity_own, "device-id", config->device_id, folder);
    own.changed = identity_changed;
    status = sk_own_open(daemon->io, &own, &daemon->identity, reason);
    if (!status && sk_own_pem(daemon->identity).n)
        sk_credential_replace(daemon->credential, sk_own_pem(daemon->identity),
                              sk_own_key(daemon->identity));
    return status;
}

static enum sk_status open_identities(struct sk_daemon *daemon, char reason[256]) {
    const struct sk_edge_config *config = daemon->config;
    char file[512];
    snprintf(file, sizeof file, "%s/" IDENTITIES, config->data);
    struct sk_identities_options options = {
        .file = file,
        .hub_host = config->hub_host,
        .dial_host = config->upstream.host,
        .dial_port = config->upstream.https_port,
        .proxy = config->upstream.proxy,
        .timeout_s = config->cloud_timeout_s,
        .retries = config->cloud_retries,
        .tls = daemon->tls,
        .device_id = config->device_id,
        .credential = daemon->credential,
        .keys = daemon->keys,
    };
    return sk_identities_open(daemon->io, &options, &daemon->identities, reason);
}

/* Modules of other users must reach their sockets, so the folder can be passed, not listed. */
static enum sk_status open_sockets_folder(struct sk_daemon *daemon, char reason[256]) {
    char path[512];
    snprintf(path, sizeof path, "%s/sockets", daemon->config->data);
    enum sk_status status = sk_folder_make(daemon->io, path, 0711);
    if (status)
        snprintf(reason, 256, "Cannot make the folder %.180s: %s.", path, sk_status_text(status));
    return status;
}

/* What the key store lacks now a person brings back, or it comes by itself: the daemon is started
 * again until then, and the others go on. Not with a PIN that is wrong: tokens lock themselves. */
static enum sk_status keys_status(enum sk_status status) {
    return status == SK_NOT_FOUND || status == SK_MALFORMED ? SK_IO : status;
}

static enum sk_status open_keys(struct sk_daemon *daemon, char reason[256]) {
    char folder[512];
    struct sk_key_store_options options = daemon->config->key_store;
    snprintf(folder, sizeof folder, "%s/keys", daemon->config->data);
    options.folder = folder;
    enum sk_status status = sk_key_store_open(daemon->io, &options, &daemon->store, reason);
    if (!status) status = sk_keys_open(daemon->io, daemon->store, folder, &daemon->keys, reason);
    return keys_status(status);
}

static enum sk_status open_certificates(struct sk_daemon *daemon, char reason[256]) {
    const struct sk_edge_config *config = daemon->config;
    char folder[512], name[256];
    snprintf(folder, sizeof folder, "%s/certificates", config->data);
    snprintf(name, sizeof name, "aziot-edge CA %s", config->device_id);
    struct sk_certificates_options options = {
        .device_id = config->device_id,
        .keys = daemon->store,
        .certificate_file = config->edge_ca_certificate_file,
        .key_file = config->edge_ca_key_file,
        .own = own_options(daemon, config->edge_ca_own, "edge-ca", name, folder),
        .trust_file = config->trust_bundle_file,
    };
    options.own.ca = true;
    return sk_certificates_open(daemon->io, &options, &daemon->certificates, reason);
}

static enum sk_status open_parts(struct sk_daemon *daemon, char reason[256]) {
    enum sk_status status = open_sockets_folder(daemon, reason);
    if (!status) status = open_keys(daemon, reason);
    if (!status) status = open_certificates(daemon, reason);
    if (!status) status = open_credential(daemon, reason);
    if (!status) status = set_tls(daemon, reason);
    return status ? status : open_identities(daemon, reason);
}

static enum sk_status open_sockets(struct sk_daemon *daemon, char reason[256]) {
    struct daemon_socket *socket;
    char path[SK_SOCKET_PATH_MAX];
    sk_daemon_management_path(daemon->config->data, path);
    sk_file_remove(daemon->io, path);
    daemon->management_service =
        (struct sk_http_service){.handler = management_handle,
                                 .arg = daemon,
                                 .body_max = DAEMON_BODY_MAX,
                                 .connections_max = daemon->config->management_max};
    struct sk_endpoint at = {.path = path, .path_mode = 0600};
    enum sk_status status = sk_http_listen(daemon->io, &at, NULL, &daemon->management_service,
                                           &daemon->management, NULL);
    const struct daemon_socket_owner ours = {0}, hub = {.uid = daemon->config->hub_uid,
                                                        .gid = daemon->config->hub_gid};
    if (!status) status = daemon_socket_open(daemon, SK_SPAN(SK_EDGE_AGENT_MODULE), &ours, &socket);
    if (!status) status = daemon_socket_open(daemon, SK_SPAN(SK_EDGE_HUB_MODULE), &hub, &socket);
    if (status)
        snprintf(reason, 256, "Cannot make the sockets below %.180s: %s.", daemon->config->data,
                 sk_status_text(status));
    return status;
}

static void retry_system_modules(struct sk_timer *timer) {
    know_system_modules(SK_CONTAINER(timer, struct sk_daemon, retry));
}

static void system_module_known(void *arg, enum sk_status status, struct sk_span generation_id,
                                const char *reason) {
    struct sk_daemon *daemon = arg;
    (void)generation_id;
    if (status == SK_OK || status == SK_CLOSED) return;
    SK_WARN("daemon", "%s", reason);
    sk_timer_start(daemon->io, &daemon->retry, RETRY_S * SK_S, retry_system_modules);
}

/* Asks the hub for our own two modules; what was remembered is only compared. */
static void know_system_modules(struct sk_daemon *daemon) {
    static const char *const names[] = {SK_EDGE_AGENT_MODULE, SK_EDGE_HUB_MODULE};
    for (size_t i = 0; i < 2; i++)
        sk_identities_put(daemon->identities, sk_span_z(names[i]), SK_SPAN("IotEdge"),
                          system_module_known, daemon);
}

enum sk_status sk_daemon_start(struct sk_io *io, const struct sk_edge_config *config,
                               struct sk_daemon **started, char reason[256]) {
    struct sk_daemon *daemon = SK_NEW(struct sk_daemon);
    daemon->io = io;
    daemon->config = config;
    daemon->started_ns = sk_io_now(io);
    sk_list_init(&daemon->sockets);
    enum sk_status status = open_parts(daemon, reason);
    if (!status) status = open_sockets(daemon, reason);
    if (status) {
        sk_daemon_stop(daemon);
        return status;
    }
    daemon_sockets_restore(daemon);
    know_system_modules(daemon);
    *started = daemon;
    return SK_OK;
}

void sk_daemon_stop(struct sk_daemon *daemon) {
    char path[SK_SOCKET_PATH_MAX];
    sk_timer_stop(&daemon->retry);
    if (daemon->identities)
        sk_identities_close(daemon->identities); /* answers the calls that wait for the hub */
    while (!sk_list_empty(&daemon->sockets))
        daemon_socket_close(SK_LIST_FIRST(&daemon->sockets, struct daemon_socket, link));
    if (daemon->management) {
        sk_http_listener_close(daemon->management);
        sk_daemon_management_path(daemon->config->data, path);
        sk_file_remove(daemon->io, path);
    }
    if (daemon->identity) sk_own_free(daemon->identity);
    if (daemon->tls) sk_tls_free(daemon->tls);
    if (daemon->credential) sk_credential_free(daemon->credential);
    if (daemon->certificates) sk_certificates_free(daemon->certificates);
    if (daemon->keys) sk_keys_free(daemon->keys);
    if (daemon->store) sk_key_store_close(daemon->store);
    free(daemon);
}
