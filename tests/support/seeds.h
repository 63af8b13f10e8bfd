/* Which seeds a story runs. SEED=n: that one alone, to repeat what failed; else from 1 to what
 * the variable `many` says. */
#ifndef TESTS_SEEDS_H
#define TESTS_SEEDS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct seeds {
    uint64_t first, last;
    bool one;
};

struct seeds seeds_of(const char *many, uint64_t otherwise);

#endif
