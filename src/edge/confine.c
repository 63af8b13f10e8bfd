#include "edge/confine.h"

#include <stdio.h>

#include "io/privilege.h"
#include "trust/keys/pkcs11_uri.h"

/* Of a range that neither Debian nor systemd gives to anybody (docs/decisions/0014-…). */
enum { EDGE_HUB_UID = 61171, DAEMON_UID = 61172 };

/* The agent starts, watches and ends modules as their users, and makes their folders. */
enum {
    AGENT_KEEPS = SK_KEEP_CHOWN | SK_KEEP_DAC_OVERRIDE | SK_KEEP_FOWNER | SK_KEEP_KILL |
                  SK_KEEP_SETGID | SK_KEEP_SETUID,
    PARENT_KEEPS = AGENT_KEEPS | SK_KEEP_SETPCAP | SK_KEEP_LOW_PORTS,
};

void sk_edge_find_users(struct sk_edge_config *config) {
    sk_service_user("skerry-edgehub", EDGE_HUB_UID, config->data, &config->hub_uid,
                    &config->hub_gid);
    sk_service_user("skerry-daemon", DAEMON_UID, config->data, &config->daemon_uid,
                    &config->daemon_gid);
}

static enum sk_status give_folder(const char *data, const char *name, unsigned mode, uint32_t uid,
                                  uint32_t gid, char reason[512]) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", data, name);
    enum sk_status status = sk_folder_give(path, mode, uid, gid);
    if (status) snprintf(reason, 512, "%.400s cannot be made: %s", path, sk_status_text(status));
    return status;
}

enum sk_status sk_edge_confine_parent(char reason[512]) {
    return sk_privileges_drop(0, 0, PARENT_KEEPS, reason);
}

/* ---- the edge hub: it faces the network ---- */

static bool has_low_port(const struct sk_edge_config *config) {
    bool low = config->metrics.host && config->metrics.port < 1024;
    for (size_t i = 0; i < config->listen_count; i++) low |= config->listen[i].port < 1024;
    return low;
}

enum sk_status sk_edge_confine_hub(const struct sk_edge_config *config, char reason[512]) {
    uint32_t uid = config->hub_uid, gid = config->hub_gid;
    enum sk_status status = give_folder(config->data, "hub", 0700, uid, gid, reason);
    if (!status)
        status = sk_privileges_drop(uid, gid, has_low_port(config) ? SK_KEEP_LOW_PORTS : 0, reason);
    if (!status) sk_sandbox_enter(SK_SANDBOX_SERVER);
    return status;
}

/* ---- the daemon: it has the keys, and gives sockets to other users ---- */

enum { NAMED_MAX = 48 };

/* Files to read: paths of them, and of what "pkcs11:" names the file with the PIN. */
struct named {
    const char *paths[NAMED_MAX];
    struct sk_pkcs11_uri uris[NAMED_MAX];
    size_t count;
};

static void name_file(struct named *named, const struct sk_edge_config *config, const char *file) {
    struct sk_pkcs11_uri *uri = &named->uris[named->count];
    char why[256];
    if (file && file[0] != '/')
        file = sk_pkcs11_uri_parse(sk_span_z(file), uri, why) == SK_OK && uri->pin_file[0]
                   ? uri->pin_file
                   : NULL;
    if (file == NULL || sk_user_reaches(file, config->daemon_uid, config->daemon_gid)) return;
    SK_ASSERT(named->count < NAMED_MAX);
    named->paths[named->count++] = file;
}

static enum sk_status keep_reading(const struct sk_edge_config *config, char reason[512]) {
    const char *const files[] = {config->edge_ca_certificate_file,
                                 config->edge_ca_key_file,
                                 config->device_key_file,
                                 config->identity_certificate_file,
                                 config->identity_key_file,
                                 config->key_store.pkcs11_slot,
                                 config->trust_bundle_file,
                                 config->manifest_trust_file,
                                 config->hub_trust_file};
    const struct sk_own_options *owns[] = {&config->edge_ca_own, &config->identity_own};
    struct named named = {.count = 0};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) name_file(&named, config, files[i]);
    for (size_t i = 0; i < config->est_trust_count; i++)
        name_file(&named, config, config->est_trust[i]);
    for (size_t i = 0; i < sizeof owns / sizeof *owns; i++) {
        const struct sk_est_account *est = &owns[i]->est;
        const char *const its[] = {
            owns[i]->issuer_certificate, owns[i]->issuer_key, est->certificate, est->key,
            est->bootstrap_certificate,  est->bootstrap_key};
        for (size_t k = 0; k < sizeof its / sizeof *its; k++) name_file(&named, config, its[k]);
    }
    /* Root that stays reads them by itself. */
    bool needed = named.count && config->daemon_uid;
    enum sk_status status = needed ? sk_keep_reading(named.paths, named.count) : SK_OK;
    if (status) snprintf(reason, 512, "no process can be made: %s", sk_status_text(status));
    return status;
}

/* Tokens and TPMs are used by groups. */
static void keep_groups(const struct sk_edge_config *config) {
    const struct sk_key_store_options *store = &config->key_store;
    bool tpm = store->kind == SK_KEYS_IN_TPM;
    struct sk_span tcti = sk_span_z(store->tcti ? store->tcti : "device");
    const char *device = NULL;
    if (tpm && sk_span_is(tcti, "device")) device = "/dev/tpmrm0";
    if (tpm && sk_span_starts(tcti, SK_SPAN("device:"))) device = sk_span_skip(tcti, 7).p;
    if (tpm || store->pkcs11_library)
        sk_keep_groups(config->daemon_uid, config->daemon_gid, device);
}

enum sk_status sk_edge_confine_daemon(const struct sk_edge_config *config, char reason[512]) {
    static const struct {
        const char *name;
        unsigned mode;
    } folders[] = {{"keys", 0700}, {"certificates", 0700}, {"sockets", 0711}};
    uint32_t uid = config->daemon_uid, gid = config->daemon_gid;
    enum sk_status status = SK_OK;
    for (size_t i = 0; i < sizeof folders / sizeof *folders && !status; i++)
        status = give_folder(config->data, folders[i].name, folders[i].mode, uid, gid, reason);
    if (!status) status = keep_reading(config, reason);
    keep_groups(config);
    if (!status) status = sk_privileges_drop(uid, gid, SK_KEEP_CHOWN, reason);
    if (!status) sk_sandbox_enter(SK_SANDBOX_GIVER);
    return status;
}

/* ---- the agent ---- */

enum sk_status sk_edge_confine_agent(char reason[512]) {
    enum sk_status status = sk_privileges_drop(0, 0, AGENT_KEEPS, reason);
    if (!status) sk_sandbox_enter(SK_SANDBOX_MODULES);
    return status;
}
