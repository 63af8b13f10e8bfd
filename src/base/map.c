#include "base/map.h"

static uint64_t seed = 0x9E3779B97F4A7C15u;

void sk_hash_seed(uint64_t value) {
    seed = value;
}

/* A multiply-and-fold hash over 8-byte words (after wyhash). Keys come from authenticated ids or
 * carry the random seed, so crafted collisions need the seed. */
static uint64_t fold(uint64_t a, uint64_t b) {
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t sk_hash(struct sk_span bytes) {
    uint64_t h = seed ^ (bytes.n * 0xA0761D6478BD642Fu);
    size_t i = 0;
    for (; i + 8 <= bytes.n; i += 8) {
        uint64_t word;
        memcpy(&word, bytes.p + i, 8);
        h = fold(h ^ word, 0xE7037ED1A0B428DBu);
    }
    uint64_t tail = 0;
    if (i < bytes.n) memcpy(&tail, bytes.p + i, bytes.n - i);
    return fold(h ^ tail, 0x8EBC6AF09C88C6E3u);
}

static struct sk_map_entry *find(const struct sk_map *map, struct sk_span key, uint64_t hash) {
    size_t mask = map->capacity - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct sk_map_entry *entry = &map->entries[i];
        if (entry->value == NULL) return entry;
        if (entry->hash == hash && sk_span_eq(entry->key, key)) return entry;
    }
}

static void grow(struct sk_map *map) {
    struct sk_map larger = {.capacity = map->capacity ? map->capacity * 2 : 8, .count = map->count};
    larger.entries = sk_alloc(larger.capacity * sizeof *larger.entries);
    for (size_t i = 0; i < map->capacity; i++)
        if (map->entries[i].value)
            *find(&larger, map->entries[i].key, map->entries[i].hash) = map->entries[i];
    free(map->entries);
    *map = larger;
}

void *sk_map_get(const struct sk_map *map, struct sk_span key) {
    return map->count ? find(map, key, sk_hash(key))->value : NULL;
}

void *sk_map_put(struct sk_map *map, struct sk_span key, void *value) {
    if (map->count * 4 >= map->capacity * 3) grow(map);
    uint64_t hash = sk_hash(key);
    struct sk_map_entry *entry = find(map, key, hash);
    void *before = entry->value;
    if (before == NULL) map->count++;
    *entry = (struct sk_map_entry){.key = key, .hash = hash, .value = value};
    return before;
}

void *sk_map_remove(struct sk_map *map, struct sk_span key) {
    if (map->count == 0) return NULL;
    struct sk_map_entry *entry = find(map, key, sk_hash(key));
    void *value = entry->value;
    if (value == NULL) return NULL;
    map->count--;
    /* Backward-shift deletion: no tombstones, look-ups stay short. */
    size_t mask = map->capacity - 1;
    size_t hole = (size_t)(entry - map->entries);
    for (size_t i = (hole + 1) & mask; map->entries[i].value; i = (i + 1) & mask) {
        size_t home = map->entries[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            map->entries[hole] = map->entries[i];
            hole = i;
        }
    }
    map->entries[hole] = (struct sk_map_entry){0};
    return value;
}

void sk_map_free(struct sk_map *map) {
    free(map->entries);
    *map = (struct sk_map){0};
}

void *sk_map_next(const struct sk_map *map, size_t *position, struct sk_span *key) {
    while (*position < map->capacity) {
        struct sk_map_entry *entry = &map->entries[(*position)++];
        if (entry->value == NULL) continue;
        if (key) *key = entry->key;
        return entry->value;
    }
    return NULL;
}
