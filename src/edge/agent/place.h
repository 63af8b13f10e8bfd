/* Where a module lives, and as whom: its folder <data>/modules/<name> and a user of its own.
 *
 * Who owns the folder is the record of the user: docs/decisions/0014-what-a-role-may-do.md. */
#ifndef SK_EDGE_AGENT_PLACE_H
#define SK_EDGE_AGENT_PLACE_H

#include "edge/agent/deployment.h"
#include "io/io.h"

/* Between what Debian and systemd-homed give to people and systemd's dynamic users. */
#define SK_MODULE_UID_FIRST 60600
#define SK_MODULE_UID_LAST 61099
enum { SK_MODULE_USERS = SK_MODULE_UID_LAST - SK_MODULE_UID_FIRST + 1 };

/* The user of a module: `own`, which its folder belongs to, when it is one of ours and nobody
 * else's, else the lowest that is not `taken` by another folder. 0: all are. */
uint32_t sk_module_user_choose(uint32_t own, const bool taken[SK_MODULE_USERS]);

struct sk_place {
    uint32_t uid, gid;      /* 0: the agent's own */
    bool pass_folders;      /* root, because a user of its own could not run it */
    const char *what, *why; /* on failure: what could not be had, and a sentence */
};
/* Makes the folders of a module, its owner's. `own_users`: we are root, and a module for which the
 * deployment names nobody gets a user of its own. */
enum sk_status sk_place_make(struct sk_io *io, const char *data, const struct sk_module_spec *spec,
                             bool own_users, struct sk_place *place);

#endif
