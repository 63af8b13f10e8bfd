/* The edge's configuration: Azure's `config.toml` as it is, and Skerry's own keys under [skerry].
 *
 * Pure: reads the JSON form of the file (config/toml.h), touches no other file. Unknown keys and
 * wrong types are errors that name file, line, key and the mend; keys of Azure that Skerry does
 * not use yet are warnings. */
#ifndef SK_EDGE_DAEMON_CONFIG_H
#define SK_EDGE_DAEMON_CONFIG_H

#include "device/upstream.h"
#include "io/io.h"
#include "azure/connection_string.h"

#define SK_EDGE_CONFIG_ERROR_MAX 512
#define SK_EDGE_LISTEN_MAX 12 /* four addresses with three ports */

/* Texts live in the arena; NULL: not set. */
struct sk_edge_config {
    struct sk_arena arena;
    const char *hostname;        /* name under which modules and leaves reach the edge hub */
    const char *parent_hostname; /* nested: upstream goes there */
    const char *trust_bundle_file;
    const char *hub_host, *device_id;                        /* of the identity */
    const char *device_key;                                  /* base64; or */
    const char *device_key_file;                             /* a file with the key's bytes */
    const char *edge_ca_certificate_file, *edge_ca_key_file; /* both or none: quick-start CA */
    const char *edge_ca_name;                                /* common name, or NULL */
    unsigned edge_ca_days;                                   /* life of the quick-start CA */
    json_t *agent_env;                                       /* object of texts; may be NULL */
    struct sk_edge_upstream upstream; /* host: the parent's, else the hub's */

    /* [skerry] */
    const char *data;           /* folder of all state */
    const char *hub_trust_file; /* anchors for the connection upstream; NULL: the system's */
    struct sk_edge_listen {
        const char *host;
        uint16_t port;
    } listen[SK_EDGE_LISTEN_MAX];
    size_t listen_count;
    /* Whom these roles run as; 0: as all; not from the file. */
    uint32_t hub_uid, hub_gid, daemon_uid, daemon_gid;
    const char *metrics_host; /* NULL: no metrics listener */
    uint16_t metrics_port;
    struct sk_door_limits limits; /* of the edge hub's clients; 0: the default */
};

typedef void sk_edge_config_warning(void *arg, const char *sentence);

/* Reads `document` with its `lines` (see sk_toml_parse). SK_INVALID with "file:line: key: what is
 * wrong and what to do" in `error`; then there is nothing to free. `warning` may be NULL. */
enum sk_status sk_edge_config_read(const json_t *document, const json_t *lines,
                                   const char *file_name, struct sk_edge_config *config,
                                   sk_edge_config_warning *warning, void *warning_arg,
                                   char error[SK_EDGE_CONFIG_ERROR_MAX]);
void sk_edge_config_free(struct sk_edge_config *config);

#endif
