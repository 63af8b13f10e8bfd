/* The edge's configuration: Azure's `config.toml` as it is, and Skerry's own keys under [skerry].
 *
 * Pure: reads the JSON form of the file (config/toml.h), touches no other file. Unknown keys and
 * wrong types are errors that name file, line, key and the mend; keys of Azure that Skerry does
 * not use yet are warnings. */
#ifndef SK_EDGE_DAEMON_CONFIG_H
#define SK_EDGE_DAEMON_CONFIG_H

#include "azure/connection_string.h"
#include "config/config.h"
#include "device/upstream.h"
#include "edge/daemon/own_certificate.h"
#include "io/io.h"

#define SK_EDGE_CONFIG_ERROR_MAX SK_CONFIG_ERROR_MAX

/* Texts live in the arena; NULL: not set. */
struct sk_edge_config {
    struct sk_arena arena;
    const char *hostname;        /* name under which modules and leaves reach the edge hub */
    const char *parent_hostname; /* nested: upstream goes there */
    const char *trust_bundle_file;
    const char *hub_host, *device_id; /* of the identity */
    const char *device_key;           /* base64; or */
    const char *device_key_file;      /* a file with the key's bytes, or "pkcs11:…" */
    /* X.509: a PEM file, and the key's or "pkcs11:…"; both or none. */
    const char *identity_certificate_file, *identity_key_file;
    struct sk_key_store_options key_store;                   /* without the folder */
    const char *edge_ca_certificate_file, *edge_ca_key_file; /* both, or one of its own */
    /* Certificates that the edge gets by itself, as far as the file says it: from whom, their
     * names, their renewal. */
    struct sk_own_options edge_ca_own, identity_own;
    bool identity_issued;   /* X.509, and not from files */
    const char **est_trust; /* PEM files */
    size_t est_trust_count;
    const char *manifest_trust_file;       /* or NULL */
    unsigned edge_ca_days;                 /* life of the quick-start CA */
    unsigned management_max, workload_max; /* connections of one socket at once */
    unsigned cloud_timeout_s, cloud_retries;
    json_t *agent_env;                /* object of texts; may be NULL */
    struct sk_edge_upstream upstream; /* host: the parent's, else the hub's */

    /* Containers: the engine, and its network, a name or a table. NULL: the defaults. */
    const char *engine_uri;
    json_t *network;
    json_t *additional_info;  /* for GET /systeminfo; may be NULL */
    bool elevated_containers; /* may be privileged, where the deployment says so */
    bool images_collected;
    int64_t images_every_us, images_age_us;
    const char *images_time; /* "HH:MM" */

    /* [skerry] */
    const char *data;           /* folder of all state */
    const char *hub_trust_file; /* anchors for the connection upstream; NULL: the system's */
    struct sk_endpoint *listen;
    size_t listen_count;
    /* Whom these roles run as; 0: as all; not from the file. */
    uint32_t hub_uid, hub_gid, daemon_uid, daemon_gid;
    bool mqtt, amqp, https;           /* spoken with clients */
    uint64_t store_bytes;             /* of the edge hub's messages; 0: as the disk has */
    unsigned when_full;               /* 0: newcomers are refused; 1: the oldest go */
    struct sk_endpoint metrics;       /* host NULL: no metrics listener */
    struct sk_endpoint agent_metrics; /* likewise */
    const char *image_registry;       /* URL; NULL: no images are passed on */
    struct sk_endpoint page;          /* the local page; host NULL: none */
    struct sk_door_limits limits;     /* of the edge hub's clients; 0: the default */
    unsigned clients_max;             /* of the edge hub; 0: no limit */
};

/* Reads `document` with its `lines` (see sk_toml_parse). SK_INVALID with a line "file:line: key:
 * what is wrong and what to do" for each mistake in `error`; then there is nothing to free.
 * `warning` and `told` may be NULL: see struct sk_config. */
enum sk_status sk_edge_config_read(const json_t *document, const json_t *lines,
                                   const char *file_name, struct sk_edge_config *config,
                                   sk_config_warning *warning, struct sk_buffer *told,
                                   char error[SK_EDGE_CONFIG_ERROR_MAX]);
void sk_edge_config_free(struct sk_edge_config *config);

extern const struct sk_config_key *const sk_edge_config_keys[];
/* docs/reference/config.toml.md */
void sk_edge_config_reference(struct sk_buffer *to);

#endif
