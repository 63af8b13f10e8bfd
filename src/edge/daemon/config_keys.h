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
    unsigned protocol;  /* enum edge_protocol */
    unsigned method;    /* enum edge_method */
    unsigned key_store; /* enum sk_key_store_kind, or KEY_STORE_UNSAID */
};
enum { KEY_STORE_UNSAID = 99 };
enum edge_method { METHOD_SAS, METHOD_X509 };
enum edge_protocol {
    PROTOCOL_UNSAID,
    PROTOCOL_MQTT,
    PROTOCOL_MQTT_WS,
    PROTOCOL_AMQP,
    PROTOCOL_AMQP_WS
};

/* Longest data folder: below it "/sockets/<module>.sock" must fit into a unix address (108
 * bytes). */
enum { DATA_MAX = 64 };

#endif
