/* What a module uses of the machine, and what an engine says of it (`GET /containers/{}/stats`).
 *
 * Pure. */
#ifndef SK_EDGE_AGENT_ENGINE_USAGE_H
#define SK_EDGE_AGENT_ENGINE_USAGE_H

#include <jansson.h>

#include "base/base.h"

#define SK_NOT_KNOWN INT64_MIN

/* SK_NOT_KNOWN where nobody tells. */
struct sk_usage {
    int64_t cpu_ns;               /* of all processors, since its start */
    int64_t memory, memory_limit; /* bytes, without what the kernel may take back at once */
    int64_t tasks;                /* processes and threads */
    int64_t received, sent;       /* bytes, of all its networks */
    int64_t read, written;        /* bytes, of disks */
};

void sk_usage_clear(struct sk_usage *usage);
/* `stats`: an engine's answer, whatever it is. */
void sk_usage_of_stats(const json_t *stats, struct sk_usage *usage);

#endif
