/* A hash map from spans to pointers (open addressing, SipHash-free: keys are hashed with a seed
 * drawn at start).
 *
 * The map stores the key span itself, not its bytes: the bytes must live as long as the entry
 * (usually inside the value). Zero-initialised is empty and ready. Values must not be NULL. */
#ifndef SK_BASE_MAP_H
#define SK_BASE_MAP_H

#include "base/memory.h"

struct sk_map {
    struct sk_map_entry {
        struct sk_span key;
        uint64_t hash;
        void *value; /* NULL: free */
    } * entries;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

uint64_t sk_hash(struct sk_span bytes);
/* Sets the seed of sk_hash; before the first use of any map. */
void sk_hash_seed(uint64_t seed);

void *sk_map_get(const struct sk_map *map, struct sk_span key);
/* Adds or replaces; returns the value that was there before, or NULL. */
void *sk_map_put(struct sk_map *map, struct sk_span key, void *value);
/* Removes; returns the value, or NULL when there was none. */
void *sk_map_remove(struct sk_map *map, struct sk_span key);
void sk_map_free(struct sk_map *map); /* the table only, not the values */

/* for (size_t i = 0; (value = sk_map_next(map, &i, &key)) != NULL;) — key may be NULL. Removing
 * while walking is not allowed. */
void *sk_map_next(const struct sk_map *map, size_t *position, struct sk_span *key);

#endif
