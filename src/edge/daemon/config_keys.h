/* The keys of the edge's config.toml, and where their values go. Inside src/edge/daemon only. */
#ifndef SK_EDGE_DAEMON_CONFIG_KEYS_H
#define SK_EDGE_DAEMON_CONFIG_KEYS_H

#include "edge/daemon/config.h"

/* What the file says, as far as its meaning is more than one key's: config.c makes the rest of
 * it. */
struct edge_file {
    struct sk_edge_config config;
    const char *homedir, *connection_string;
    const char *https_proxy, *no_proxy;
    unsigned protocol;                        /* enum edge_protocol */
    unsigned method;                          /* enum edge_method */
    unsigned edge_ca_method, identity_method; /* enum edge_source */
    struct sk_est_account est;                /* of certificates that say nothing else */
    const char *local_ca, *local_ca_key;
    unsigned key_store; /* enum sk_key_store_kind, or KEY_STORE_UNSAID */
};
enum { KEY_STORE_UNSAID = 99 };
enum edge_source { SOURCE_EST, SOURCE_LOCAL_CA, SOURCE_UNSAID = 99 };
enum edge_method { METHOD_SAS, METHOD_X509 };
enum edge_protocol {
    PROTOCOL_UNSAID,
    PROTOCOL_MQTT,
    PROTOCOL_MQTT_WS,
    PROTOCOL_AMQP,
    PROTOCOL_AMQP_WS
};

/* --- config_types.c --- */

/* A file with its whole path, which Azure writes as file:///path; with edge_key_file also
 * "pkcs11:…"; with the last a table of its own keys instead. → const char * */
extern const struct sk_config_type edge_path, edge_key_file, edge_path_or_table;
/* A TOML file of texts → json_t *, an object; NULL where it was not read. */
extern const struct sk_config_type edge_info;
/* → struct sk_renewal_point */
extern const struct sk_config_type edge_renewal_point;

/* --- config_certificates.c --- */

extern const struct sk_config_key edge_certificate_keys[];
/* What they mean together: which certificates are given, which are got from whom. */
void edge_certificates_read(struct sk_config *reading, struct edge_file *file);

/* Longest data folder: below it "/sockets/<module>.sock" must fit into a unix address (108
 * bytes). */
enum { DATA_MAX = 64 };

#endif
