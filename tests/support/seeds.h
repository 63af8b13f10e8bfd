/* Which seeds a story runs. SEED=n: that one alone, to repeat what failed; else from 1 to what the variable
 * `many` says. */
#ifndef TESTS_SEEDS_H
#define TESTS_SEEDS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct seeds {
    uint64_t first, last;
    bool one;
};

static inline struct seeds seeds_of(const char *many, uint64_t otherwise) {
    const char *one = getenv("SEED"), *last = getenv(many);
    uint64_t seed = one ? strtoull(one, NULL, 10) : 1;
    if (one) return (struct seeds){seed, seed, true};
    return (struct seeds){1, last ? strtoull(last, NULL, 10) : otherwise, false};
}

#endif
