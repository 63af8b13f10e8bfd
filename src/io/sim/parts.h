/* What the files of the simulated world share: queue.c (chance, queue), sim.c (clock, loops,
 * death), disk.c (files and their faults), net.c (streams) and sqlite.c (SQLite's files). Inside
 * src/io/sim only. */
#ifndef SK_IO_SIM_PARTS_H
#define SK_IO_SIM_PARTS_H

#include "base/ip.h"
#include "io/sim/sim.h"
#include "io/world.h"

struct sim_loop;

#define SIM_TURN_NS 100000 /* between a piece of work and the next of the same kind */

struct sk_sim {
    struct sk_sim_options options;
    uint64_t now_ns;
    uint64_t random[4]; /* xoshiro256** */
    uint64_t trace;
    struct sim_event {
        uint64_t at_ns, order;
        struct sim_loop *loop;
        void (*run)(void *arg);
        void (*drop)(
            void *
                /* instead of `run` when the loop has died; NULL: `run` waits for the funeral */
                arg);
        void *arg;
    } * heap; /* 1-based binary heap by (at_ns, order) */
    size_t heap_count, heap_capacity;
    uint64_t event_order;
    struct sk_list machines, loops;
    struct sk_list partitions; /* struct sim_partition */
    unsigned loops_made;
};

struct sim_machine {
    struct sk_list link;
    struct sk_sim *sim;
    char *name;
    char address[SK_IP_TEXT]; /* for sk_stream_peer: its name if that is one, else 10.0.x.y */
    bool powered;
    uint32_t last_pid;
    uint16_t last_port;
    int64_t wall_offset_us;
    struct sk_list listeners; /* struct sim_listener */
    struct sim_disk {
        struct sk_list inodes;  /* struct sim_inode with a path, in byte order of the paths */
        struct sk_list folders; /* struct sim_folder */
        uint64_t limit, used, fail_one_in, writes, sync_ns;
        bool cut_armed;
        uint64_t cut_after; /* writes still allowed */
        enum sk_sim_loss cut_loss;
        void (*cut)(struct sk_io *io, enum sk_sim_loss loss); /* what that does */
    } disk;
};

struct sim_loop {
    struct sk_io base;
    struct sk_list link;
    struct sk_sim *sim;
    struct sim_machine *machine;
    struct sim_loop *process; /* its process's first loop; itself when it is that */
    unsigned number;
    uint32_t pid, uid;
    bool dead, buried, stopped, running; /* running: inside a callback */
    bool turn_due;                       /* for what has yielded */
    /* the number of the first timer that is started after the burial began */
    uint64_t timers_before;
    struct sk_list files;   /* struct sim_file */
    struct sk_list streams; /* struct sim_stream */
    struct sim_event *held; /* events waiting for the funeral, in order */
    size_t held_count, held_capacity;
    void *vfs; /* SQLite's, once asked for */
};

/* --- queue.c --- */

uint64_t sim_random(struct sk_sim *sim);
/* 0 … below - 1; 0 for 0. */
uint64_t sim_below(struct sk_sim *sim, uint64_t below);
bool sim_one_in(struct sk_sim *sim, uint64_t n); /* never for 0 */
void sim_trace(struct sk_sim *sim, uint64_t what);
void sim_trace_bytes(struct sk_sim *sim, struct sk_span bytes);
/* Queues `run(arg)` on a loop; see struct sim_event for what a loop's death makes of it. */
void sim_at(struct sim_loop *loop, uint64_t at_ns, void (*run)(void *arg), void (*drop)(void *arg),
            void *arg);
/* The first event, which leaves the queue; there is one. */
struct sim_event sim_pop(struct sk_sim *sim);
/* Where a loop's first event stands in the queue, 0: nowhere; and taking it out. */
size_t sim_first_of(const struct sim_loop *loop);
struct sim_event sim_take(struct sk_sim *sim, size_t at);
/* Takes a dead loop's events out of the queue. */
void sim_withdraw(struct sim_loop *loop);

/* --- sim.c --- */

/* What a loop does behind each callback. */
void sim_turn(struct sim_loop *loop);
static inline struct sim_loop *sim_loop(struct sk_io *io) {
    return (struct sim_loop *)io;
}

/* --- disk.c --- */

struct sim_file;
void sim_disk_new(struct sim_machine *machine);
void sim_disk_free(struct sim_machine *machine);
/* Decides what survives of each write that is not durable. */
void sim_disk_lose(struct sim_machine *machine, enum sk_sim_loss loss);
/* A process has died: writes that its threads had not begun never happen. */
void sim_disk_process_died(struct sim_loop *loop);
/* Tells a running write of a dead loop SK_IO; false when there was none. */
bool sim_disk_bury(struct sim_loop *loop);
/* Frees the files that a dead loop's owners left open. */
void sim_disk_loop_freed(struct sim_loop *loop);

/* Unsynced access, for SQLite. */
enum sk_status sim_file_open(struct sim_loop *loop, const char *path, bool create,
                             struct sk_file **file);
enum sk_status sim_file_write(struct sk_file *file, uint64_t offset, struct sk_span bytes);
enum sk_status sim_file_cut(struct sk_file *file, uint64_t size);
enum sk_status sim_file_sync(struct sk_file *file);
bool sim_file_exists(struct sim_loop *loop, const char *path);

enum sk_status sim_file_load(struct sk_io *io, const char *path, struct sk_buffer *to);
enum sk_status sim_file_replace(struct sk_io *io, const char *path, struct sk_span bytes);
enum sk_status sim_file_save(struct sk_io *io, const char *path, struct sk_span bytes,
                             unsigned mode);
enum sk_status sim_file_remove(struct sk_io *io, const char *path);
enum sk_status sim_file_rename(struct sk_io *io, const char *from, const char *to);
enum sk_status sim_folder_make(struct sk_io *io, const char *path, unsigned mode);
enum sk_status sim_folder_list(struct sk_io *io, const char *path,
                               void (*each)(void *arg, struct sk_span name), void *arg);
unsigned sim_path_beyond(struct sk_io *io, const char *path, unsigned mode);
enum sk_status sim_path_mode(struct sk_io *io, const char *path, unsigned mode);
enum sk_status sim_file_own(struct sk_io *io, const char *path, uint32_t uid, uint32_t gid);
enum sk_status sim_file_open_world(struct sk_io *io, const char *path, enum sk_file_mode mode,
                                   struct sk_file **file);
uint64_t sim_file_size(struct sk_file *file);
enum sk_status sim_file_read(struct sk_file *file, uint64_t offset, void *to, size_t n,
                             size_t *got);
void sim_file_write_sync(struct sk_file *file, uint64_t offset, struct sk_span bytes,
                         sk_file_done *done, void *arg);
enum sk_status sim_file_truncate(struct sk_file *file, uint64_t size);
void sim_file_close(struct sk_file *file);
uint64_t sim_disk_space(struct sk_io *io, const char *path);
uint64_t sim_disk_size(struct sk_io *io, const char *path);

/* --- net.c --- */

/* The loops of a process (or of a whole machine) have died. `silent`: peers are told nothing. */
void sim_net_loop_died(struct sim_loop *loop, bool silent);
/* Calls on_close of one stream that its owner closed; false when there is none. */
bool sim_net_bury(struct sim_loop *loop);
void sim_net_loop_freed(struct sim_loop *loop);
void sim_net_free(struct sk_sim *sim);

enum sk_status sim_tls_new(struct sk_io *io, const struct sk_tls_options *options,
                           struct sk_tls **tls, char *reason);
enum sk_status sim_tls_reload(struct sk_tls *tls, const struct sk_tls_options *options,
                              char *reason);
void sim_tls_free(struct sk_tls *tls);
enum sk_status sim_listen(struct sk_io *io, const struct sk_endpoint *at, struct sk_tls *tls,
                          sk_accept_fn *accept, void *arg, struct sk_listener **listener);
uint16_t sim_listener_port(const struct sk_listener *listener);
void sim_listener_close(struct sk_listener *listener);
struct sk_stream *sim_connect(struct sk_io *io, const struct sk_endpoint *to, struct sk_tls *tls,
                              const char *server_name, const struct sk_stream_events *events,
                              void *arg);

/* --- sqlite.c --- */

const char *sim_sqlite_vfs(struct sk_io *io);
void sim_sqlite_loop_freed(struct sim_loop *loop);

#endif
