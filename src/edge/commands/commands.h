/* What people type on an edge device, as far as it is not running the roles: the commands of
 * Azure's `iotedge`, and some of our own. */
#ifndef SK_EDGE_COMMANDS_COMMANDS_H
#define SK_EDGE_COMMANDS_COMMANDS_H

#include "command/command.h"
#include "edge/daemon/config.h"

#define SK_CONTROL_SOCKET "agent.sock"         /* in the data folder: the agent's, for people */
#define SK_HUB_STATUS_SOCKET "hub/status.sock" /* the edge hub's */

/* What every command gets; the program's own struct begins with it. */
struct sk_edge_command {
    struct sk_typed typed;
    const char *file;             /* config.toml */
    struct sk_edge_config config; /* read from it, without the device's key */
    struct sk_buffer told;        /* a line for each key that counts, secrets left out */
};

/* Each takes a struct sk_edge_command, prints to stdout, its mistakes to stderr, and returns the
 * exit code. */
int sk_edge_list(void *command);
int sk_edge_status(void *command);
int sk_edge_logs(void *command);
int sk_edge_restart(void *command);
int sk_edge_check(void *command);
int sk_edge_check_list(void *command);
int sk_edge_queues(void *command);
int sk_edge_queue_purge(void *command);
int sk_edge_route_explain(void *command);
int sk_edge_support_bundle(void *command);
int sk_edge_config_apply(void *command);
int sk_edge_config_mp(void *command);
int sk_edge_config_import(void *command);
int sk_edge_system(void *command); /* status, restart, stop, logs, reprovision */
int sk_edge_page(void *command);
int sk_edge_version(void *command);

extern const struct sk_option_row sk_edge_json_options[], sk_edge_logs_options[],
    sk_edge_check_options[], sk_edge_explain_options[], sk_edge_bundle_options[],
    sk_edge_mp_options[], sk_edge_import_options[];

#endif
