/* The only door to the outside: clock, timers, random, files, streams, child processes and
 * threads.
 *
 * One `struct sk_io` is one event loop with the world as seen from it, and belongs to one
 * thread. There are two makers: sk_io_uv_new() (libuv, OpenSSL) and sk_sim_node() (io/sim/sim.h:
 * seeded virtual time, a disk and a network that fail on demand). Nothing outside src/io asks
 * the operating system for anything; the same product code runs on both.
 *
 * Callbacks run on the loop's thread, never from inside the call that registered them. */
#ifndef SK_IO_IO_H
#define SK_IO_IO_H

#include "base/base.h"

struct sk_io;

/* ---- the loop ---- */

struct sk_io *sk_io_uv_new(void);
/* Runs until sk_io_stop() is called or nothing is left to wait for. */
void sk_io_run(struct sk_io *io);
void sk_io_stop(struct sk_io *io);
/* Frees the loop. Streams, files and children must have been closed; timers stopped. */
void sk_io_free(struct sk_io *io);

/* ---- time and chance ---- */

/* Monotonic, ns; constant within one callback. It does not count the time in which the loop stood
 * still (a turn beyond 100 ms, a stopped process): what nobody looked at is not late. */
uint64_t sk_io_now(struct sk_io *io);
int64_t sk_io_wall(struct sk_io *io);                    /* µs since 1970; may jump */
void sk_io_random(struct sk_io *io, void *to, size_t n); /* cryptographically random on sk_io_uv */
/* A random lower-case GUID (version 4) and a NUL. */
void sk_io_guid(struct sk_io *io, char to[37]);
/* Appends a new key of so many bytes, at most 64, in base64. */
void sk_io_put_key(struct sk_io *io, size_t bytes, struct sk_buffer *to);

#define SK_MS 1000000ull
#define SK_S 1000000000ull

struct sk_timer;
typedef void sk_timer_fn(struct sk_timer *timer);
/* Embedded in the owner's struct, zero-initialised; find the owner with SK_CONTAINER. One-shot:
 * start it again in its callback to repeat. Starting a running timer moves it. */
struct sk_timer {
    struct sk_io *io;
    sk_timer_fn *fn;
    uint64_t at_ns;
    uint64_t order;  /* ties fire in the order of starting */
    size_t position; /* in the loop's heap, from 1; 0: not running */
};
void sk_timer_start(struct sk_io *io, struct sk_timer *timer, uint64_t after_ns, sk_timer_fn *fn);
/* For what is due at a time of the wall clock, which may jump: fires then, or in a minute,
 * whichever is first. The callback looks at the clock, and starts it again when it is too early. */
void sk_timer_start_at(struct sk_io *io, struct sk_timer *timer, int64_t wall_us, sk_timer_fn *fn);
void sk_timer_stop(struct sk_timer *timer);
static inline bool sk_timer_running(const struct sk_timer *timer) {
    return timer->position != 0;
}

/* Runs `fn(arg)` once, after the current callback and before the loop waits again ("end of this
 * turn"). The task is embedded and zero-initialised; deferring it again while it is queued does
 * nothing. */
struct sk_task;
typedef void sk_task_fn(struct sk_task *task);
struct sk_task {
    struct sk_list link;
    sk_task_fn *fn;
};
void sk_io_defer(struct sk_io *io, struct sk_task *task, sk_task_fn *fn);
/* The same in the loop's next turn, after it has looked at the outside again: for work that goes on
 * and on, a share (below) at a time. */
void sk_io_yield(struct sk_io *io, struct sk_task *task, sk_task_fn *fn);
void sk_io_undefer(struct sk_task *task); /* also of one that has yielded */

/* ---- shares: what one piece of work may take of a turn (docs/decisions/0011-budgets.md) ---- */

#define SK_SHARE_STEPS 512
#define SK_SHARE_NS (1 * SK_MS)
struct sk_share {
    struct sk_io *io;
    uint64_t until_ns;
    unsigned steps;
};
void sk_share_begin(struct sk_share *share, struct sk_io *io);
/* Before each step (a request, a record), or some at once. False: the share is used up,
 * sk_io_yield() for the rest. */
bool sk_share_go_on(struct sk_share *share, unsigned steps);

/* ---- what one loop lets in ---- */

/* Connections of all TCP listeners of the loop together. 0: the default
 * (docs/reference/hub.toml.md). Where a newcomer is one too many, the oldest that has proved
 * nothing goes for it; without such a one the newcomer goes. */
struct sk_door_limits {
    unsigned connections; /* in all; by default as many as there are descriptors, less a reserve */
    unsigned an_address;  /* from one address; by default half of all */
    unsigned unproved; /* that have not proved who they are; by default a quarter, at most 2048 */
};
/* Connections of one unix socket; one more is turned away. */
enum { SK_LOCAL_MAX = 64 };
/* Settles what is 0 or too much; the limits in force come back. */
struct sk_door_limits sk_io_limit(struct sk_io *io, struct sk_door_limits limits);

enum sk_turned_away { SK_AWAY_CONNECTIONS, SK_AWAY_ADDRESS, SK_AWAY_UNPROVED, SK_AWAY_COUNT };
#define SK_TURN_BOUNDS 6
struct sk_io_counts {
    uint64_t turned_away[SK_AWAY_COUNT]; /* by the limit that was reached */
    uint64_t turns, turns_ns, longest_ns;
    uint64_t turns_within[SK_TURN_BOUNDS + 1]; /* by length: sk_turn_bounds_ms, then longer ones */
    uint64_t accepted, unproved; /* now open: of the listeners, and of these unproved */
};
extern const unsigned sk_turn_bounds_ms[SK_TURN_BOUNDS];
const struct sk_io_counts *sk_io_counts(struct sk_io *io);
/* Starts a thread that writes a log line about each turn of the loop that takes longer than 100 ms,
 * while it does, with what it is busy with. Once, for the life of the loop; sk_io_uv only. */
void sk_io_watch(struct sk_io *io);
/* Says what this turn is doing, for that line: a literal. */
void sk_io_doing(struct sk_io *io, const char *what);

/* ---- threads ---- */

/* Asks loop `target` to call `fn(arg)`; from any thread; in order for one sender. The only way
 * between loops. */
void sk_io_post(struct sk_io *target, void (*fn)(struct sk_io *io, void *arg), void *arg);
/* Starts a thread with a loop of its own: `start(io, arg)` runs on it first, then the loop until
 * sk_io_stop(io). Returns the new loop. sk_io_thread_join waits for its end and frees the loop. */
struct sk_io *sk_io_thread(struct sk_io *parent, void (*start)(struct sk_io *io, void *arg),
                           void *arg);
void sk_io_thread_join(struct sk_io *io);
/* Runs blocking `work(arg)` on a worker thread, then `done(arg)` on the loop's. */
void sk_io_work(struct sk_io *io, void (*work)(void *arg), void (*done)(void *arg), void *arg);

/* ---- signals (sk_io_uv only; elsewhere ignored) ---- */

/* Calls `fn(arg)` on each delivery of SIGTERM, SIGINT (as SIGTERM) or SIGHUP; replaces an earlier
 * registration. NULL ends it. */
void sk_io_on_signal(struct sk_io *io, int signal_number, void (*fn)(void *arg), void *arg);

/* ---- files ---- */

/* Whole small files. Reading appends to `to` (bounded by to->limit). Writing is atomic and durable:
 * temporary file, fsync, rename, fsync of the folder; `mode` as for open(2). SK_NOT_FOUND,
 * SK_TOO_LARGE, SK_NO_SPACE, SK_IO. */
enum sk_status sk_file_load(struct sk_io *io, const char *path, struct sk_buffer *to);
enum sk_status sk_file_save(struct sk_io *io, const char *path, struct sk_span bytes,
                            unsigned mode);
/* The same for a file that is there and is somebody's: its mode and its owner stay, and where the
 * path is a link, it stays one. SK_FORBIDDEN: it, or its folder, may not be written. */
enum sk_status sk_file_replace(struct sk_io *io, const char *path, struct sk_span bytes);
enum sk_status sk_file_remove(struct sk_io *io,
                              const char *path); /* durable: the folder is synced */
enum sk_status sk_file_rename(struct sk_io *io, const char *from, const char *to); /* durable */
enum sk_status sk_folder_make(struct sk_io *io, const char *path,
                              unsigned mode); /* with parents; fine when there */
/* Names of the files in a folder (not "." and ".."), in byte order. */
enum sk_status sk_folder_list(struct sk_io *io, const char *path,
                              void (*each)(void *arg, struct sk_span name), void *arg);
/* Owner of a file or socket; no-op without the privilege. uid or gid (uint32_t)-1: unchanged. */
enum sk_status sk_file_own(struct sk_io *io, const char *path, uint32_t uid, uint32_t gid);

/* What the mode of a file or folder that is there permits beyond `mode`; 0: nothing, or it is
 * not there. */
unsigned sk_path_beyond(struct sk_io *io, const char *path, unsigned mode);
enum sk_status sk_path_set_mode(struct sk_io *io, const char *path, unsigned mode);
/* Takes that away, and says so in the log, or that it cannot. */
void sk_path_protect(struct sk_io *io, const char *path, unsigned mode);

/* An open file for the log: appended by one writer, read at any place. */
struct sk_file;
enum sk_file_mode { SK_FILE_READ, SK_FILE_CREATE /* new or existing, read and write */ };
enum sk_status sk_file_open(struct sk_io *io, const char *path, enum sk_file_mode mode,
                            struct sk_file **file);
uint64_t sk_file_size(struct sk_file *file);
/* Reads up to n bytes at an offset; *got < n only at the end of the file. Synchronous (page cache).
 */
enum sk_status sk_file_read(struct sk_file *file, uint64_t offset, void *to, size_t n, size_t *got);
/* Writes `bytes` at `offset` and makes them durable (fdatasync), then calls `done`. One at a time
 * for a file; `bytes` must live until `done`. On failure nothing is promised about the bytes; the
 * caller may try again at the same offset. */
typedef void sk_file_done(void *arg, enum sk_status status);
void sk_file_write_sync(struct sk_file *file, uint64_t offset, struct sk_span bytes,
                        sk_file_done *done, void *arg);
/* Cuts the file, durably. */
enum sk_status sk_file_truncate(struct sk_file *file, uint64_t size);
/* A write that runs is finished first, in the background: its `done` is still called. */
void sk_file_close(struct sk_file *file);
/* Bytes free for this user on the disk that holds `path`. */
uint64_t sk_disk_free(struct sk_io *io, const char *path);
/* All bytes of that disk; of both UINT64_MAX: nobody knows. */
uint64_t sk_disk_size(struct sk_io *io, const char *path);
/* Name of the SQLite VFS over this world's files; NULL: SQLite's own. */
const char *sk_io_sqlite_vfs(struct sk_io *io);

/* ---- TLS ---- */

/* Certificates and settings for one side of TLS; shared by many streams; reference-counted by them.
 * TLS 1.2 and later with ECDHE. */
struct sk_tls;
struct evp_pkey_st;
struct sk_tls_options {
    struct sk_span certificate_pem; /* leaf, then intermediates; empty: none (client) */
    struct sk_span key_pem;
    struct evp_pkey_st *key;  /* instead of key_pem; wherever it signs, it must outlive the TLS */
    struct sk_span trust_pem; /* client: anchors to trust; empty: the system's */
    bool server;
    bool insecure; /* client: do not verify (tools only) */
};
/* On failure writes one sentence to `reason`. */
enum sk_status sk_tls_new(struct sk_io *io, const struct sk_tls_options *options,
                          struct sk_tls **tls, char reason[256]);
/* Takes other certificates for connections that come after (SIGHUP). */
enum sk_status sk_tls_reload(struct sk_tls *tls, const struct sk_tls_options *options,
                             char reason[256]);
void sk_tls_free(struct sk_tls *tls);

/* ---- streams: TCP, TLS over TCP, unix sockets ---- */

struct sk_stream;
struct sk_listener;

/* Where to connect or listen: TCP when `host` is set, a unix socket when `path` is. */
struct sk_endpoint {
    const char *host; /* name or address */
    uint16_t port;    /* 0 when listening: any; see sk_listener_port */
    const char *path;
    unsigned path_mode; /* of a listening unix socket, e.g. 0600 */
};

/* What a stream tells its user. After on_close nothing more is called and the stream is gone;
 * on_close comes exactly once, after sk_stream_close() too, and never from inside another call into
 * the stream. */
struct sk_stream_events {
    /* A connecting stream is ready to write (after the TLS handshake). Optional for accepted
     * streams: they are ready. */
    void (*on_open)(struct sk_stream *stream, void *arg);
    /* Bytes have come. They live until the callback returns; what is not given back with
     * sk_stream_unread is consumed. */
    void (*on_data)(struct sk_stream *stream, void *arg, struct sk_span bytes);
    /* The output that sk_stream_write said was long has gone out. Optional. */
    void (*on_drain)(struct sk_stream *stream, void *arg);
    /* SK_OK: the peer ended or we closed; else the reason. */
    void (*on_close)(struct sk_stream *stream, void *arg, enum sk_status reason);
};

/* Called for each accepted stream, after the TLS handshake; set its events there with
 * sk_stream_handle. */
typedef void sk_accept_fn(void *arg, struct sk_stream *stream);
/* SK_EXISTS: the address is in use; SK_FORBIDDEN: not allowed; SK_IO. `tls` may be NULL. */
enum sk_status sk_listen(struct sk_io *io, const struct sk_endpoint *at, struct sk_tls *tls,
                         sk_accept_fn *accept, void *arg, struct sk_listener **listener);
uint16_t sk_listener_port(const struct sk_listener *listener);
void sk_listener_close(struct sk_listener *listener);

/* Starts connecting; the outcome is on_open or on_close (SK_REFUSED, SK_TIMEOUT, SK_UNAUTHORIZED:
 * certificate not trusted, SK_IO). `server_name` for SNI and verification (NULL: endpoint's host).
 */
struct sk_stream *sk_connect(struct sk_io *io, const struct sk_endpoint *to, struct sk_tls *tls,
                             const char *server_name, const struct sk_stream_events *events,
                             void *arg);
/* From now on `events` are told, which must outlive the stream, as `arg` must. */
void sk_stream_handle(struct sk_stream *stream, const struct sk_stream_events *events, void *arg);
/* Starts TLS as a client on an open plain stream (after an HTTP CONNECT); on_open is called once
 * more. */
enum sk_status sk_stream_start_tls(struct sk_stream *stream, struct sk_tls *tls,
                                   const char *server_name);

/* Copies the bytes to the stream's output, which leaves at the end of this turn of the loop.
 * Returns false when more than SK_STREAM_HIGH bytes wait: stop writing until on_drain, which comes
 * in a later turn. Bytes for a closing stream are dropped. */
#define SK_STREAM_HIGH (256 * 1024)
bool sk_stream_write(struct sk_stream *stream, struct sk_span bytes);
/* The output buffer itself, for encoders that append to it in place; call sk_stream_flush(stream)
 * after appending. */
struct sk_buffer *sk_stream_output(struct sk_stream *stream);
void sk_stream_flush(struct sk_stream *stream);
size_t sk_stream_pending(const struct sk_stream *stream); /* bytes not yet given to the system */
/* Stops and restarts on_data (back-pressure). */
void sk_stream_pause(struct sk_stream *stream, bool paused);

/* How the loop is shared among streams. Each accepted stream that has input gets a share of bytes,
 * steps and time a turn, round robin; a stream with more than SK_STREAM_HIGH bytes of output is not
 * read before the rest has left: who does not read is not read. */

/* Before each request that is taken out of the bytes of on_data: false when the stream is paused or
 * closed, has its output full or its share used up. Give back the rest then. `steps`: what it costs
 * at most, 1 for a small request. Streams that we opened are always read: of two that wait for each
 * other, one must not. */
bool sk_stream_go_on(struct sk_stream *stream, unsigned steps);
/* From inside on_data, as its last deed: `rest`, the end of the bytes, comes again when the stream
 * may go on, in front of what follows. */
void sk_stream_unread(struct sk_stream *stream, struct sk_span rest);
/* The peer of an accepted stream has proved who it is: it is not turned away for others any more,
 * and more than SK_STREAM_UNPROVED bytes of it may be read at once. */
#define SK_STREAM_UNPROVED (16 * 1024)
void sk_stream_proved(struct sk_stream *stream);
/* How long the peer has been silent: since something came or left, as far as we looked. */
uint64_t sk_stream_silent_ns(const struct sk_stream *stream);
/* Sends what is written (for at most 5 s), then closes. sk_stream_abort drops it. on_close follows
 * in both cases. */
void sk_stream_close(struct sk_stream *stream);
void sk_stream_abort(struct sk_stream *stream);
/* Nothing of the stream is told any more, not even its end; close or abort it behind this call. */
void sk_stream_forget(struct sk_stream *stream);

/* Peer's address as text ("127.0.0.1:4711", "unix"); lives as long as the stream. */
const char *sk_stream_peer(struct sk_stream *stream);
/* DER chain of the peer: certificate `index` (0: leaf), or empty. Lives as long as the stream. */
struct sk_span sk_stream_peer_certificate(struct sk_stream *stream, size_t index);
/* The name the TLS client asked for (SNI), or empty. */
struct sk_span sk_stream_server_name(struct sk_stream *stream);
/* Process and user at the other end of a unix socket; false elsewhere. */
bool sk_stream_peer_process(struct sk_stream *stream, uint32_t *pid, uint32_t *uid);
struct sk_io *sk_stream_io(struct sk_stream *stream);

/* ---- child processes ---- */

struct sk_child;
struct sk_limit_group;
struct sk_child_options {
    const char *const *command;     /* NULL-terminated, command[0] is looked up in PATH */
    const char *const *environment; /* NULL-terminated "K=V": the whole environment of the child */
    const char *folder;             /* working folder; NULL: ours */
    uint32_t uid, gid;              /* uid 0: ours, both */
    bool pass_folders;              /* it keeps no right of root but the one to every folder */
    const struct sk_limit_group *limits; /* it is in this group (io/limits.h); NULL: in ours */
    const char *output_path;             /* stdout and stderr are appended here; NULL: ours */
    void (*on_exit)(struct sk_child *child, void *arg, int exit_code,
                    int signal_number); /* frees the child afterwards */
    void *arg;
};
/* SK_NOT_FOUND: no such program; SK_FORBIDDEN; SK_IO. The child dies with our process
 * (PR_SET_PDEATHSIG where there is one). */
enum sk_status sk_child_start(struct sk_io *io, const struct sk_child_options *options,
                              struct sk_child **child);
void sk_child_signal(struct sk_child *child, int signal_number);
int sk_child_pid(const struct sk_child *child);
/* Forget the child: on_exit will not be called any more. */
void sk_child_forget(struct sk_child *child);

/* User ids by name ("edgeagentuser", "1001"); SK_NOT_FOUND. */
enum sk_status sk_user_find(const char *name, uint32_t *uid, uint32_t *gid);

#endif
