/* A simulated world: one seeded queue of events in virtual time, nodes with a disk each, and a network between them.
 *
 * A node is a machine; its `struct sk_io` looks to the product like any other. The same seed gives the same run, to the byte. TLS is
 * transparent: a stream carries the peer's certificate as data and the bytes stay plain.
 *
 * Losing power: sk_sim_power_cut(io) freezes a node. Every call into its io from then on does nothing (writes are dropped, callbacks are
 * not made), so the test frees the product's objects as usual; sk_sim_power_on(io) gives a fresh io on the disk as it survived. */
#ifndef SK_IO_SIM_H
#define SK_IO_SIM_H

#include "io/io.h"

struct sk_sim;

struct sk_sim_options {
    uint64_t seed;
    int64_t wall_us;            /* wall clock at the start; 0: 2026-01-01T00:00:00Z */
    uint64_t latency_ns;        /* of the network, one way; 0: 1 ms */
    uint64_t latency_jitter_ns; /* added at random; a stream's bytes stay in order */
    uint64_t sync_ns;           /* of one durable write; 0: 100 µs */
};

struct sk_sim *sk_sim_new(const struct sk_sim_options *options);
/* Frees the world; every node's product objects must have been freed before. */
void sk_sim_free(struct sk_sim *sim);

/* A new machine with an empty disk. `name` is the host name that others connect to (any port), and appears in traces. */
struct sk_io *sk_sim_node(struct sk_sim *sim, const char *name);

/* Runs events until virtual time has advanced by `ns` or nothing is left; true when events are left. */
bool sk_sim_run(struct sk_sim *sim, uint64_t ns);
/* Runs until `until(arg)` is true, at most `ns`; returns what `until` said last. */
bool sk_sim_run_until(struct sk_sim *sim, uint64_t ns, bool (*until)(void *arg), void *arg);
/* A number below `below` from the world's seed, for the test's own choices. */
uint64_t sk_sim_chance(struct sk_sim *sim, uint64_t below);

/* --- faults --- */

/* What the disk keeps of writes that were not yet durable when power is lost. */
enum sk_sim_loss {
    SK_SIM_LOSE_ALL,    /* nothing */
    SK_SIM_LOSE_TORN,   /* a random prefix of each, cut at any byte */
    SK_SIM_LOSE_RANDOM, /* any subset of 512-byte sectors */
};
void sk_sim_power_cut(struct sk_io *io, enum sk_sim_loss loss);
struct sk_io *sk_sim_power_on(struct sk_io *dead); /* frees `dead` */
/* Cuts power by itself after `writes` more durable writes were started on the node (0: at once at the next one). */
void sk_sim_power_cut_after(struct sk_io *io, uint64_t writes, enum sk_sim_loss loss);
bool sk_sim_is_dead(struct sk_io *io);
/* kill -9: as power_cut, but what was written (also unsynced) stays. */
void sk_sim_kill(struct sk_io *io);

void sk_sim_disk_limit(struct sk_io *io, uint64_t bytes);      /* capacity; UINT64_MAX: endless */
void sk_sim_disk_fail(struct sk_io *io, uint64_t one_in);      /* each write fails with SK_IO with chance 1/n; 0: never */
uint64_t sk_sim_disk_writes(struct sk_io *io);                 /* durable writes started so far */

/* Cuts the network between two nodes (or joins them again): connections between them hang, then time out; new ones fail. */
void sk_sim_partition(struct sk_io *a, struct sk_io *b, bool apart);
/* Resets every connection of the node. */
void sk_sim_drop_connections(struct sk_io *io);
void sk_sim_clock_jump(struct sk_io *io, int64_t us);          /* wall clock only */

#endif
