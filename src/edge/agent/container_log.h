/* Logs of modules that are containers, from their engine. Inside src/edge/agent only. */
#ifndef SK_EDGE_AGENT_CONTAINER_LOG_H
#define SK_EDGE_AGENT_CONTAINER_LOG_H

#include "edge/agent/kind.h"

struct sk_module_log *container_log(struct module *module, const struct sk_log_ask *ask,
                                    const char **why);

#endif
