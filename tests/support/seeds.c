#include "support/seeds.h"

struct seeds seeds_of(const char *many, uint64_t otherwise) {
    const char *one = getenv("SEED"), *last = getenv(many);
    uint64_t seed = one ? strtoull(one, NULL, 10) : 1;
    if (one) return (struct seeds){seed, seed, true};
    return (struct seeds){1, last ? strtoull(last, NULL, 10) : otherwise, false};
}
