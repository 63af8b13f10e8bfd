/* Going back to the version before, when a new one does not come up: an option of a container
 * (settings.skerry.rollback). Inside src/edge/agent only. */
#ifndef SK_EDGE_AGENT_ROLL_BACK_H
#define SK_EDGE_AGENT_ROLL_BACK_H

#include "edge/agent/kind.h"

/* The module is being made anew from `next`: what it was is kept for a while. */
void roll_back_keep(struct module *module, const struct sk_module_spec *next);
/* Looks at how the new version stands; true when it has just been given up. `now_ns`: the time. */
bool roll_back_judge(struct module *module, uint64_t now_ns);
/* What to make of the module: `desired`, or the version before when that one was given up. */
const struct sk_module_spec *roll_back_choose(struct module *module,
                                              const struct sk_module_spec *desired);
/* What became of the new version, or "": nothing bad so far. */
const char *roll_back_told(const struct module *module);
void roll_back_free(struct module *module);

#endif
