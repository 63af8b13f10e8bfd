/* What the simulated world stands on: chance, the trace, and the queue of what is going to
 * happen. */
#include "io/sim/parts.h"

#include <stdio.h>

/* ---- chance and trace ---- */

static uint64_t rotate(uint64_t x, int k) {
    return x << k | x >> (64 - k);
}

/* xoshiro256** by Blackman and Vigna. */
uint64_t sim_random(struct sk_sim *sim) {
    uint64_t *s = sim->random, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t sim_below(struct sk_sim *sim, uint64_t below) {
    return below ? (uint64_t)((__uint128_t)sim_random(sim) * below >> 64) : 0;
}

bool sim_one_in(struct sk_sim *sim, uint64_t n) {
    return n && sim_below(sim, n) == 0;
}

void sim_trace(struct sk_sim *sim, uint64_t what) {
    uint64_t mixed = (sim->trace ^ what) * 0x9E3779B97F4A7C15u;
    sim->trace = mixed ^ mixed >> 29;
}

void sim_trace_bytes(struct sk_sim *sim, struct sk_span bytes) {
    sim_trace(sim, (uint64_t)sk_crc32c(0, bytes) << 32 | (uint32_t)bytes.n);
}

uint64_t sk_sim_chance(struct sk_sim *sim, uint64_t below) {
    return sim_below(sim, below);
}

uint64_t sk_sim_trace(const struct sk_sim *sim) {
    return sim->trace;
}

/* ---- the queue ---- */

static bool before(const struct sim_event *a, const struct sim_event *b) {
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void sift_down(struct sk_sim *sim, struct sim_event event, size_t at) {
    for (;;) {
        size_t child = at * 2;
        if (child > sim->heap_count) break;
        if (child < sim->heap_count && before(&sim->heap[child + 1], &sim->heap[child])) child++;
        if (!before(&sim->heap[child], &event)) break;
        sim->heap[at] = sim->heap[child];
        at = child;
    }
    sim->heap[at] = event;
}

static void push(struct sk_sim *sim, struct sim_event event) {
    if (sim->heap_count + 1 >= sim->heap_capacity) {
        sim->heap_capacity = sim->heap_capacity ? sim->heap_capacity * 2 : 64;
        sim->heap = sk_realloc(sim->heap, sim->heap_capacity * sizeof *sim->heap);
    }
    size_t at = ++sim->heap_count;
    for (; at > 1 && before(&event, &sim->heap[at / 2]); at /= 2) sim->heap[at] = sim->heap[at / 2];
    sim->heap[at] = event;
}

struct sim_event sim_pop(struct sk_sim *sim) {
    struct sim_event first = sim->heap[1], last = sim->heap[sim->heap_count--];
    if (sim->heap_count) sift_down(sim, last, 1);
    return first;
}

/* Keeps an event of a dead loop for the funeral, or drops it. */
static void hold(struct sim_loop *loop, struct sim_event event) {
    if (event.drop) {
        event.drop(event.arg);
        return;
    }
    if (loop->held_count == loop->held_capacity) {
        loop->held_capacity = loop->held_capacity ? loop->held_capacity * 2 : 8;
        loop->held = sk_realloc(loop->held, loop->held_capacity * sizeof *loop->held);
    }
    loop->held[loop->held_count++] = event;
}

void sim_at(struct sim_loop *loop, uint64_t at_ns, void (*run)(void *arg), void (*drop)(void *arg),
            void *arg) {
    struct sk_sim *sim = loop->sim;
    struct sim_event event = {at_ns, sim->event_order++, loop, run, drop, arg};
    if (loop->dead)
        hold(loop, event);
    else
        push(sim, event);
}

static int by_time(const void *a, const void *b) {
    return before(a, b) ? -1 : 1;
}

void sim_withdraw(struct sim_loop *loop) {
    struct sk_sim *sim = loop->sim;
    size_t kept = 0, taken = 0, count = sim->heap_count;
    struct sim_event *theirs = sk_alloc((count + 1) * sizeof *theirs);
    for (size_t i = 1; i <= count; i++) {
        if (sim->heap[i].loop == loop)
            theirs[taken++] = sim->heap[i];
        else
            sim->heap[++kept] = sim->heap[i];
    }
    sim->heap_count = kept;
    for (size_t i = kept / 2; i >= 1; i--) sift_down(sim, sim->heap[i], i);
    qsort(theirs, taken, sizeof *theirs, by_time);
    for (size_t i = 0; i < taken; i++) hold(loop, theirs[i]);
    free(theirs);
}

size_t sim_first_of(const struct sim_loop *loop) {
    const struct sk_sim *sim = loop->sim;
    size_t first = 0;
    for (size_t i = 1; i <= sim->heap_count; i++)
        if (sim->heap[i].loop == loop && (!first || before(&sim->heap[i], &sim->heap[first])))
            first = i;
    return first;
}

struct sim_event sim_take(struct sk_sim *sim, size_t at) {
    struct sim_event event = sim->heap[at], last = sim->heap[sim->heap_count--];
    if (at > sim->heap_count) return event;
    sim->heap[at] = last;
    for (size_t i = sim->heap_count / 2; i >= 1; i--) sift_down(sim, sim->heap[i], i);
    return event;
}
