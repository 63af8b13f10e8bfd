/* The process skerry-hub: hubs, gateway, listeners and metrics of one configuration on one loop. */
#ifndef SK_HUB_SERVER_SERVER_H
#define SK_HUB_SERVER_SERVER_H

#include "hub/server/config.h"

struct sk_hub_server;

/* Starts everything; `reason` gets one sentence on failure. `tls` false: plain listeners (the
 * simulated world). The configuration is borrowed for the server's life. */
enum sk_status sk_hub_server_start(struct sk_io *io, const struct sk_hub_config *config, bool tls,
                                   struct sk_hub_server **server,
                                   char reason[SK_HUB_CONFIG_ERROR_MAX]);
/* Reads the configuration's file and the certificates again. With a mistake in them, told in
 * `reason`, everything stays as it was. Else what counts from a start on is as it was, and the
 * rest counts from now on: who was let in by a policy or a CA that is no more is closed at once,
 * others keep their connections. */
enum sk_status sk_hub_server_reload(struct sk_hub_server *server,
                                    char reason[SK_HUB_CONFIG_ERROR_MAX]);
/* Drains: stops listening, closes clients, makes durable what was taken, then calls `stopped`. */
void sk_hub_server_stop(struct sk_hub_server *server, void (*stopped)(void *arg), void *arg);
/* The port that address `index` really has. */
uint16_t sk_hub_server_port(const struct sk_hub_server *server, size_t index);

struct sk_hub *sk_hub_server_hub(const struct sk_hub_server *server, size_t index);
struct sk_gateway *sk_hub_server_gateway(const struct sk_hub_server *server);

/* Copies the data of all hubs, which may be served by another process, with the configuration's
 * files into a new folder; runs the loop. SK_EXISTS: it is not empty; others with a sentence. */
enum sk_status sk_hub_backup(struct sk_io *io, const struct sk_hub_config *config,
                             const char *folder, char reason[SK_HUB_CONFIG_ERROR_MAX]);
/* The way back, of the hubs that the configuration names, into data folders that are empty. Nobody
 * may serve them. */
enum sk_status sk_hub_restore(struct sk_io *io, const struct sk_hub_config *config,
                              const char *folder, char reason[SK_HUB_CONFIG_ERROR_MAX]);

/* Whether a hub that is not whose hub.toml is may let it say `after`: what it has to do with the
 * machine (files, folders, addresses) must be as it was, as must be who the hubs are. */
bool sk_hub_may_become(struct sk_span before, struct sk_span after);

/* docs/reference/metrics.md */
void sk_hub_metrics_reference(struct sk_buffer *to);

/* `skerry-hub init`: what to make where. */
struct sk_hub_init {
    const char *folder;
    const char *const *host_names; /* the first goes into connection strings */
    size_t host_name_count;
    const char *const *hubs; /* names */
    size_t hub_count;
    const char *const *addresses; /* "address" or "address:port" */
    size_t address_count;
    const char *metrics; /* NULL: none */
};
/* Makes folder/hub.toml, CA, server certificate and keys; appends the JSON with the connection
 * strings. SK_EXISTS: there is a hub.toml already. */
enum sk_status sk_hub_init(struct sk_io *io, const struct sk_hub_init *init, struct sk_buffer *json,
                           char reason[SK_HUB_CONFIG_ERROR_MAX]);
/* The same JSON for a configuration that exists. */
void sk_hub_connection_strings(const struct sk_hub_config *config, struct sk_buffer *json);

#endif
