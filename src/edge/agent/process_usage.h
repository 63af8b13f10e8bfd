/* What a process and its descendants use, out of /proc. Inside src/edge/agent only. */
#ifndef SK_EDGE_AGENT_PROCESS_USAGE_H
#define SK_EDGE_AGENT_PROCESS_USAGE_H

#include "edge/agent/engine/usage.h"
#include "io/io.h"

/* `pid` 0: this process. Of a process that has ended in the meantime nothing is known. */
void process_usage(struct sk_io *io, int pid, struct sk_usage *usage);

#endif
