/* The commands that ask a running edge: list, logs, restart, status, check. */
#ifndef SK_EDGE_COMMANDS_H
#define SK_EDGE_COMMANDS_H

#include "command/command.h"
#include "edge/daemon/config.h"

#define SK_CONTROL_SOCKET "agent.sock" /* in the data folder */

/* Each prints to stdout, its mistakes to stderr, and returns the exit code. */
int sk_edge_list(const struct sk_edge_config *config, bool json);
int sk_edge_status(const struct sk_edge_config *config, bool json);
int sk_edge_logs(const struct sk_edge_config *config, const char *module, unsigned tail);
int sk_edge_restart(const struct sk_edge_config *config, const char *module);
int sk_edge_check(const struct sk_edge_config *config);

#endif
