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

static struct sk_edge_shot *at(struct sk_edge_flight *flight, size_t i) {
    return &flight->shots[(flight->first + i) % flight->capacity];
}

void edge_flight_add(struct sk_edge_flight *flight, uint64_t sequence) {
    SK_ASSERT(flight->count < flight->capacity);
    SK_ASSERT(flight->count == 0 || at(flight, flight->count - 1)->sequence < sequence);
    *at(flight, flight->count++) = (struct sk_edge_shot){.sequence = sequence};
}

uint64_t edge_flight_done(struct sk_edge_flight *flight, uint64_t sequence) {
    uint64_t below = 0;
    for (size_t i = 0; i < flight->count; i++)
        if (at(flight, i)->sequence == sequence) at(flight, i)->done = true;
    while (flight->count && at(flight, 0)->done) {
        below = at(flight, 0)->sequence + 1;
        flight->first = (flight->first + 1) % flight->capacity;
        flight->count--;
    }
    return below;
}

void edge_flight_clear(struct sk_edge_flight *flight) {
    flight->first = flight->count = 0;
}
