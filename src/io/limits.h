/* What a child process may use at most: a control group of its own, of either version, where the
 * machine lets us make one. */
#ifndef SK_IO_LIMITS_H
#define SK_IO_LIMITS_H

#include "base/base.h"

enum { SK_LIMIT_FILES = 3 };

struct sk_limits {
    uint64_t memory; /* bytes; 0: no limit, as for all */
    unsigned cpu;    /* thousandths of a processor */
    unsigned pids;
};
/* Files that a process writes itself into, to be in the group. */
struct sk_limit_group {
    char files[SK_LIMIT_FILES][256];
    size_t count;
};
/* Makes the group skerry/`name` below the root of the machine's control groups, or sets the limits
 * of one that is there. On failure a clause in `why`; then nothing is limited. */
enum sk_status sk_limit_group_make(const char *name, const struct sk_limits *limits,
                                   struct sk_limit_group *group, char why[200]);
/* Gives the group back, when nothing is in it any more. */
void sk_limit_group_remove(struct sk_limit_group *group);

#endif
