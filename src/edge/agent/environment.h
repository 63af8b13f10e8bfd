/* The environment of a module (docs/protocols/edge-runtime.md, section 2.1). Inside src/edge/agent
 * only. */
#ifndef SK_EDGE_AGENT_ENVIRONMENT_H
#define SK_EDGE_AGENT_ENVIRONMENT_H

#include "edge/agent/kind.h"

enum { ENVIRONMENT_MAX = 256 };

/* Fills a list of "K=V" that ends with NULL; texts in the arena. `workload_uri`: where the module
 * finds its socket. */
void make_environment(const struct module *module, const struct sk_module_spec *spec,
                      const char *workload_uri, struct sk_arena *arena,
                      const char *environment[ENVIRONMENT_MAX]);
/* One more, unless the name is there already. */
void add_variable(struct sk_arena *arena, const char *environment[ENVIRONMENT_MAX],
                  const char *name, const char *value);

#endif
