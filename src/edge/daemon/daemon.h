/* The daemon role: keys, certificates, module identities, and the two APIs that hand them out.
 *
 * The workload API is served on one unix socket a module, <data>/sockets/<module>.sock, which only
 * the module's user can open; the socket, not the path in a request, says who asks. The management
 * API on <data>/sockets/management is for the agent. Nothing is written outside of <data>/keys,
 * <data>/certificates and <data>/sockets. */
#ifndef SK_EDGE_DAEMON_DAEMON_H
#define SK_EDGE_DAEMON_DAEMON_H

#include "edge/daemon/config.h"
#include "io/io.h"

struct sk_daemon;

/* Before the first of these folders is another user's: what older versions had beside them moves
 * in. */
void sk_daemon_move_in(struct sk_io *io, const char *data);

/* Opens what the configuration names, makes the folders and sockets, and asks the hub for
 * $edgeAgent and $edgeHub in the background. The configuration is borrowed. On failure a sentence
 * in `reason`. */
enum sk_status sk_daemon_start(struct sk_io *io, const struct sk_edge_config *config,
                               struct sk_daemon **daemon, char reason[256]);
void sk_daemon_stop(struct sk_daemon *daemon);

/* Where a module's socket is; `to` has room for every path that config.c lets through. Long or odd
 * module names are shortened. */
#define SK_SOCKET_PATH_MAX 108
void sk_daemon_socket_path(const char *data, struct sk_span module_id, char to[SK_SOCKET_PATH_MAX]);
void sk_daemon_management_path(const char *data, char to[SK_SOCKET_PATH_MAX]);

#endif
