/* Records in flight: a ring in sequence order. Done in any order, committed in order. */
#include "edge/hub/parts.h"

void edge_flight_init(struct sk_edge_flight *flight, size_t capacity) {
    *flight = (struct sk_edge_flight){.shots = sk_alloc(capacity * sizeof *flight->shots),
                                      .capacity = capacity};
}

void edge_flight_free(struct sk_edge_flight *flight) {
    free(flight->shots);
    *flight = (struct sk_edge_flight){0};
}

bool edge_flight_full(const struct sk_edge_flight *flight) {
    return flight->count == flight->capacity;
}

struct sk_edge_shot *edge_flight_at(const struct sk_edge_flight *flight, size_t i) {
    return &flight->shots[(flight->first + i) % flight->capacity];
}

bool edge_flight_grow(struct sk_edge_flight *flight, size_t most) {
    if (flight->capacity >= most) return false;
    size_t capacity = flight->capacity * 2 < most ? flight->capacity * 2 : most;
    struct sk_edge_shot *shots = sk_alloc(capacity * sizeof *shots);
    for (size_t i = 0; i < flight->count; i++) shots[i] = *edge_flight_at(flight, i);
    free(flight->shots);
    flight->shots = shots;
    flight->capacity = capacity;
    flight->first = 0;
    return true;
}

void edge_flight_add(struct sk_edge_flight *flight, const struct sk_edge_shot *shot) {
    SK_ASSERT(flight->count < flight->capacity);
    SK_ASSERT(flight->count == 0 ||
              edge_flight_at(flight, flight->count - 1)->sequence < shot->sequence);
    *edge_flight_at(flight, flight->count++) = *shot;
}

struct sk_edge_shot *edge_flight_find(const struct sk_edge_flight *flight, uint64_t sequence) {
    size_t low = 0, high = flight->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct sk_edge_shot *shot = edge_flight_at(flight, middle);
        if (shot->sequence == sequence) return shot;
        if (shot->sequence < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

void edge_flight_cut(struct sk_edge_flight *flight, uint64_t from) {
    while (flight->count) {
        const struct sk_edge_shot *last = edge_flight_at(flight, flight->count - 1);
        if (last->sequence < from) return;
        if (last->state == SK_SHOT_PARKED) flight->parked--;
        flight->count--;
    }
}

void edge_flight_clear(struct sk_edge_flight *flight) {
    flight->first = flight->count = flight->parked = 0;
}
