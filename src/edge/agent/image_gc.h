/* Removing images that this edge has got and that nothing uses any more
 * ([image_garbage_collection]). Inside src/edge/agent only. */
#ifndef SK_EDGE_AGENT_IMAGE_GC_H
#define SK_EDGE_AGENT_IMAGE_GC_H

#include "edge/agent/containers.h"

void image_gc_begin(struct containers *containers);
void image_gc_end(struct containers *containers);
/* A container has been made of an image that was got for it. */
void image_gc_note(struct containers *containers, const char *name);

#endif
