/* Reading config.toml without the C++ of the TOML parser staying in this process. */
#ifndef SK_EDGE_LOAD_H
#define SK_EDGE_LOAD_H

#include "edge/daemon/config.h"

/* Warnings go to the log when `warn`; `told`: NULL, or gets a line for each key that counts.
 * Without `keys` the device's key never comes into this process: in its place stands one that
 * says nothing; only the daemon asks for it. SK_NOT_FOUND and others with a sentence in `error`. */
enum sk_status sk_edge_config_load(const char *path, bool warn, bool keys,
                                   struct sk_edge_config *config, struct sk_buffer *told,
                                   char error[SK_EDGE_CONFIG_ERROR_MAX]);

/* The file as JSON, without the device's key, in a form that sk_edge_config_load reads as well: for
 * roles that may not read the file itself. On failure {"error":"…"} is appended. */
enum sk_status sk_edge_config_show(const char *path, struct sk_buffer *to);

#endif
