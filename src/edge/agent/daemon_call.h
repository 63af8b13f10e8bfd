/* Calls to the daemon's management API about a module. Inside src/edge/agent only. */
#ifndef SK_EDGE_AGENT_DAEMON_CALL_H
#define SK_EDGE_AGENT_DAEMON_CALL_H

#include "edge/agent/kind.h"

typedef void daemon_done(void *arg, enum sk_status status, const struct sk_http_parser *answer);
/* `what`: "identities" or "sockets". `done` once; SK_CLOSED: the agent ends. */
void ask_daemon(struct module_world *world, enum sk_http_method method, const char *what,
                const char *name, struct sk_span body, daemon_done *done, void *arg);
/* The JSON of a good answer, a new reference; else NULL with the reason in `why`. */
json_t *daemon_answered(enum sk_status status, const struct sk_http_parser *answer, char why[160]);

#endif
