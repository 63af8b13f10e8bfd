/* What a world implements (uv/, sim/) behind the functions of io.h. Inside src/io only.
 *
 * io.c owns what every world shares: the timer heap, the tasks of a turn, and the dispatch. A world
 * calls sk_loop_turn() after each callback it makes, and asks sk_loop_next_timer() how long it may
 * wait. */
#ifndef SK_IO_WORLD_H
#define SK_IO_WORLD_H

#include "io/io.h"

struct sk_world {
    void (*run)(struct sk_io *);
    void (*stop)(struct sk_io *);
    void (*free)(struct sk_io *);
    uint64_t (*now)(struct sk_io *);
    uint64_t (*fresh)(struct sk_io *); /* as `now`, but of this moment */
    uint64_t (*clock)(struct sk_io *); /* of this moment, whatever the loop's clock leaves out */
    int64_t (*wall)(struct sk_io *);
    void (*random)(struct sk_io *, void *, size_t);
    void (*timers_changed)(struct sk_io *); /* the earliest timer is another one now */
    void (*tasks_waiting)(
        struct sk_io *); /* a task was deferred: make a turn soon even if nothing else happens */
    void (*yielded)(struct sk_io *);             /* a task waits for the next turn: make one */
    void (*watch)(struct sk_io *);               /* NULL: nothing to watch */
    void (*doing)(struct sk_io *, const char *); /* likewise */
    void (*post)(struct sk_io *, void (*)(struct sk_io *, void *), void *);
    struct sk_io *(*thread)(struct sk_io *, void (*)(struct sk_io *, void *), void *);
    void (*thread_join)(struct sk_io *);
    void (*work)(struct sk_io *, void (*)(void *), void (*)(void *), void *);
    void (*on_signal)(struct sk_io *, int, void (*)(void *), void *);

    enum sk_status (*file_load)(struct sk_io *, const char *, struct sk_buffer *);
    enum sk_status (*file_save)(struct sk_io *, const char *, struct sk_span, unsigned);
    enum sk_status (*file_replace)(struct sk_io *, const char *, struct sk_span);
    enum sk_status (*file_remove)(struct sk_io *, const char *);
    enum sk_status (*file_rename)(struct sk_io *, const char *, const char *);
    enum sk_status (*folder_make)(struct sk_io *, const char *, unsigned);
    enum sk_status (*folder_list)(struct sk_io *, const char *, void (*)(void *, struct sk_span),
                                  void *);
    unsigned (*path_beyond)(struct sk_io *, const char *, unsigned);
    enum sk_status (*path_mode)(struct sk_io *, const char *, unsigned);
    enum sk_status (*file_own)(struct sk_io *, const char *, uint32_t, uint32_t);
    enum sk_status (*file_open)(struct sk_io *, const char *, enum sk_file_mode, struct sk_file **);
    uint64_t (*file_size)(struct sk_file *);
    enum sk_status (*file_read)(struct sk_file *, uint64_t, void *, size_t, size_t *);
    void (*file_write_sync)(struct sk_file *, uint64_t, struct sk_span, sk_file_done *, void *);
    enum sk_status (*file_truncate)(struct sk_file *, uint64_t);
    void (*file_close)(struct sk_file *);
    uint64_t (*disk_free)(struct sk_io *, const char *);
    uint64_t (*disk_size)(struct sk_io *, const char *);
    const char *(*sqlite_vfs)(struct sk_io *);

    enum sk_status (*tls_new)(struct sk_io *, const struct sk_tls_options *, struct sk_tls **,
                              char *);
    enum sk_status (*tls_reload)(struct sk_tls *, const struct sk_tls_options *, char *);
    void (*tls_free)(struct sk_tls *);
    enum sk_status (*listen)(struct sk_io *, const struct sk_endpoint *, struct sk_tls *,
                             sk_accept_fn *, void *, struct sk_listener **);
    uint16_t (*listener_port)(const struct sk_listener *);
    void (*listener_close)(struct sk_listener *);
    struct sk_stream *(*connect)(struct sk_io *, const struct sk_endpoint *, struct sk_tls *,
                                 const char *, const struct sk_stream_events *, void *);

    enum sk_status (*child_start)(struct sk_io *, const struct sk_child_options *,
                                  struct sk_child **);
    void (*child_signal)(struct sk_child *, int);
    int (*child_pid)(const struct sk_child *);
    void (*child_forget)(struct sk_child *);
};

/* What a kind of stream implements: each world's own, and the layers over them (layer.h). */
struct sk_stream_ops {
    enum sk_status (*start_tls)(struct sk_stream *, struct sk_tls *, const char *);
    void (*flush)(struct sk_stream *);
    struct sk_stream *(*below)(const struct sk_stream *); /* of a layer; NULL: it is none */
    void (*pause)(struct sk_stream *, bool);              /* stream->paused has changed */
    void (*close)(struct sk_stream *, bool abort);
    const char *(*peer)(struct sk_stream *);
    struct sk_span (*peer_certificate)(struct sk_stream *, size_t);
    struct sk_span (*server_name)(struct sk_stream *);
    bool (*peer_process)(struct sk_stream *, uint32_t *, uint32_t *);
};

/* See door.c. */
struct sk_door {
    struct sk_door_limits limits;
    unsigned descriptors;    /* that this process may have; 0: no limit */
    struct sk_list unproved; /* struct sk_stream, the oldest first */
    struct sk_map addresses; /* text → struct door_address */
};

/* The first member of a world's own loop struct; likewise below. */
struct sk_io {
    const struct sk_world *world;
    struct sk_timer **heap; /* 1-based binary heap by (at_ns, order) */
    size_t heap_count, heap_capacity;
    uint64_t timer_order;
    struct sk_list tasks, yielded;
    struct sk_share share; /* of the stream that is being read */
    struct sk_door door;
    struct sk_io_counts counts;
};
struct sk_file {
    struct sk_io *io;
};
struct sk_tls {
    struct sk_io *io;
};
struct sk_listener {
    struct sk_io *io;
};
struct sk_child {
    struct sk_io *io;
};
struct sk_stream {
    const struct sk_stream_ops *ops;
    struct sk_io *io;
    const struct sk_stream_events *events;
    void *arg;
    struct sk_buffer out; /* written by the user, not yet taken by the world */
    struct sk_buffer in;  /* given back by the user: comes again */
    bool over_high;       /* sk_stream_write returned false since the last on_drain */
    bool closing;         /* output is dropped from here on */
    bool paused;
    bool accepted, proved;
    uint64_t heard_ns, sent_ns; /* when something came, and when output left, last */
    /* of an accepted one: */
    struct sk_list door_link; /* in door.unproved */
    struct door_address *door_address;
    bool at_door; /* counted */
};

void sk_loop_init(struct sk_io *io, const struct sk_world *world);
void sk_loop_free(struct sk_io *io); /* the shared parts; the struct is the world's */
/* When the earliest timer is due, or UINT64_MAX. */
uint64_t sk_loop_next_timer(const struct sk_io *io);
/* Fires the timers that are due now. */
void sk_loop_fire_timers(struct sk_io *io);
/* Runs the deferred tasks until none is left, or until the clock says `until_ns`. */
void sk_loop_run_tasks(struct sk_io *io, uint64_t until_ns);
/* Runs what yielded before this turn, so many pieces or until the clock says `until_ns`; the
 * rest stays in front. */
#define SK_YIELDED_MAX 64
void sk_loop_run_yielded(struct sk_io *io, uint64_t until_ns);

/* --- stream.c --- */
/* Hands bytes to the user, behind what it gave back. */
void sk_stream_give(struct sk_stream *stream, struct sk_span bytes);
/* Whether there is any use in reading, or in giving again what was given back. */
bool sk_stream_readable(const struct sk_stream *stream);
void sk_stream_free(struct sk_stream *stream); /* what the shared part owns */

/* --- door.c --- */
/* Lets an accepted stream in, or not: close it then. `peer` as sk_stream_peer says it. Whoever
 * has to go for it is aborted. */
bool sk_door_enter(struct sk_stream *stream, const char *peer);
/* The same at a unix socket. */
bool sk_door_enter_local(struct sk_stream *stream, const char *path);
void sk_door_leave(struct sk_stream *stream);
void sk_door_free(struct sk_door *door);

#endif
