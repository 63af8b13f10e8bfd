/* What each process of the edge lets go of before it opens anything of its own: the table of
 * docs/decisions/0014-what-a-role-may-do.md. Without root that is system calls only. On failure a
 * sentence in `reason`. */
#ifndef SK_EDGE_CONFINE_H
#define SK_EDGE_CONFINE_H

#include "edge/daemon/config.h"

/* Whom hub and daemon shall run as, into the configuration. */
void sk_edge_find_users(struct sk_edge_config *config);

/* The parent keeps what one of its roles needs. */
enum sk_status sk_edge_confine_parent(char reason[512]);
enum sk_status sk_edge_confine_hub(const struct sk_edge_config *config, char reason[512]);
/* Files that the configuration names and only root may read can still be loaded afterwards. */
enum sk_status sk_edge_confine_daemon(const struct sk_edge_config *config, char reason[512]);
enum sk_status sk_edge_confine_agent(char reason[512]);

#endif
