/* Getting the images of containers in the background, before anything is stopped for them. Inside
 * src/edge/agent only.
 *
 * An image is got for each making of a module, as Azure's agent does: asked of its registry
 * (imagePullPolicy on-create), or looked for on this machine (never). When the registry cannot be
 * asked, the one on this machine does, and that is said. */
#ifndef SK_EDGE_AGENT_IMAGES_H
#define SK_EDGE_AGENT_IMAGES_H

#include "edge/agent/containers.h"

void images_begin(struct containers *containers);
void images_end(struct containers *containers);
/* The engine answers (again): what waited goes on. */
void images_up(struct containers *containers);

enum sk_readiness images_ready(struct module *module, const struct sk_module_spec *spec);
void images_prepare(struct module *module, const struct sk_module_spec *spec);
/* The image of a module that is ready, as the engine is to be asked for it; "" when it is not.
 * `note`: what is to be said of it, or "". Lives until images_used. */
const char *images_name(struct module *module, const char **note);
/* The module has been made of it: the next making gets it anew. */
void images_used(struct module *module);

#endif
