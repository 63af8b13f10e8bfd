/* A simulated world: one seeded queue of events in virtual time, machines with a disk each, and
 * a network between them.
 *
 * A node is a machine; its `struct sk_io` looks to the product like any other. The same seed
 * gives the same run, to the byte. TLS is transparent: a stream carries the peer's certificate
 * chain as data and the bytes stay plain; trust and names are not checked.
 *
 * What the disk promises (and uv/ has to keep as well):
 *   - sk_file_save, _remove, _rename, _truncate and sk_folder_make are durable when they return.
 *   - A file that sk_file_open(SK_FILE_CREATE) makes is there after a power cut once its first
 *   sk_file_write_sync has completed: that
 *     write syncs the folder too. Before, the file may be gone, empty or torn.
 *   - After sk_file_close the `done` of a running write still comes.
 *
 * Losing power: sk_sim_power_cut(io) freezes the machine. From then on every call into its io is
 * harmless and does nothing (files give SK_IO, output is dropped), and no callback is made, so
 * the test closes the product's objects as usual. sk_sim_power_on(io) then ends what closing has
 * begun (deferred tasks, posts, sk_io_work and running writes with SK_IO, on_close of streams
 * that their owner closed; of timers only those that are started meanwhile), frees the old loop
 * and gives a fresh one on the disk as it survived. sk_sim_free does the same for machines left
 * dead. */
#ifndef SK_IO_SIM_SIM_H
#define SK_IO_SIM_SIM_H

#include "io/io.h"

struct sk_sim;

struct sk_sim_options {
    uint64_t seed;
    int64_t wall_us;            /* wall clock at the start; 0: 2026-01-01T00:00:00Z */
    uint64_t latency_ns;        /* of the network, one way; 0: 1 ms */
    uint64_t latency_jitter_ns; /* added at random; a stream's bytes stay in order */
    uint64_t sync_ns;           /* of one durable write, on average; 0: 100 µs */
    bool whole_chunks;          /* do not split what arrives at random boundaries */
};

struct sk_sim *sk_sim_new(const struct sk_sim_options *options);
/* Frees the world; every node's product objects must have been closed before. */
void sk_sim_free(struct sk_sim *sim);

/* A new machine with an empty disk. `name` is the host name that others connect to (any port), and
 * appears in traces. Listeners on the machine are reached by its name from everywhere, and as
 * localhost and 127.x.x.x from itself. A name that is an address is its address; others have one
 * of 10.0.0.0/16. */
struct sk_io *sk_sim_node(struct sk_sim *sim, const char *name);
/* Another process on the machine of `io`, as user `uid` (the first process is 0): the same disk and
 * sockets, but it dies alone. */
struct sk_io *sk_sim_process(struct sk_io *io, uint32_t uid);

/* Runs events until virtual time has advanced by `ns`; true when events are left for later. */
bool sk_sim_run(struct sk_sim *sim, uint64_t ns);
/* Runs until `until(arg)` is true, at most `ns`; returns what `until` said last. */
bool sk_sim_run_until(struct sk_sim *sim, uint64_t ns, bool (*until)(void *arg), void *arg);
/* A number below `below` from the world's seed, for the test's own choices. */
uint64_t sk_sim_chance(struct sk_sim *sim, uint64_t below);
/* A hash over everything that has happened so far: two runs that are equal have equal traces. */
uint64_t sk_sim_trace(const struct sk_sim *sim);

/* --- faults --- */

/* What the disk keeps of writes that were not yet durable when power is lost. */
enum sk_sim_loss {
    SK_SIM_LOSE_ALL,    /* nothing */
    SK_SIM_LOSE_TORN,   /* a random prefix of each, cut at any byte */
    SK_SIM_LOSE_RANDOM, /* any subset of 512-byte sectors */
};
/* All processes of the machine of `io` lose power. Peers of its connections hear nothing more and
 * time out. */
void sk_sim_power_cut(struct sk_io *io, enum sk_sim_loss loss);
/* Boots the machine, or starts the killed process again; frees `dead`. After a power cut each
 * process is started again by itself. */
struct sk_io *sk_sim_power_on(struct sk_io *dead);
/* Cuts power by itself after `writes` more durable writes were started on the machine (0: at once
 * at the next one, which is torn or lost). Whole-file saves, removals, truncations and SQLite's
 * syncs count as durable writes too. */
void sk_sim_power_cut_after(struct sk_io *io, uint64_t writes, enum sk_sim_loss loss);
bool sk_sim_is_dead(struct sk_io *io);
/* kill -9 of one process: as power_cut, but what was written (also unsynced) stays and peers see
 * the connections end. */
void sk_sim_kill(struct sk_io *io);

void sk_sim_disk_limit(struct sk_io *io, uint64_t bytes); /* capacity; UINT64_MAX: endless */
void sk_sim_disk_fail(struct sk_io *io,
                      uint64_t one_in); /* each write fails with SK_IO with chance 1/n; 0: never */
void sk_sim_disk_slow(struct sk_io *io, uint64_t sync_ns); /* time of a durable write from now on */
uint64_t sk_sim_disk_writes(struct sk_io *io);             /* durable writes started so far */

/* Cuts the network between two machines (or joins them again): connections between them hang and
 * time out after 20 s apart; so do new ones. */
void sk_sim_partition(struct sk_io *a, struct sk_io *b, bool apart);
/* Resets every connection of the machine. */
void sk_sim_drop_connections(struct sk_io *io);
void sk_sim_clock_jump(struct sk_io *io, int64_t us); /* wall clock only */

#endif
