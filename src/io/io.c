/* What all worlds share: timers, tasks, shares, and the dispatch to the world behind a loop. */
#include "io/world.h"

#include <stdio.h>

const unsigned sk_turn_bounds_ms[SK_TURN_BOUNDS] = {1, 5, 10, 50, 100, 1000};

void sk_loop_init(struct sk_io *io, const struct sk_world *world) {
    io->world = world;
    sk_list_init(&io->tasks);
    sk_list_init(&io->yielded);
    sk_list_init(&io->door.unproved);
    sk_io_limit(io, (struct sk_door_limits){0});
}

void sk_loop_free(struct sk_io *io) {
    free(io->heap);
    io->heap = NULL;
    io->heap_count = io->heap_capacity = 0;
    sk_door_free(&io->door);
}

/* ---- timers: a binary heap ---- */

static bool earlier(const struct sk_timer *a, const struct sk_timer *b) {
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void place(struct sk_io *io, struct sk_timer *timer, size_t position) {
    io->heap[position] = timer;
    timer->position = position;
}

static void sift_up(struct sk_io *io, struct sk_timer *timer, size_t at) {
    for (; at > 1 && earlier(timer, io->heap[at / 2]); at /= 2) place(io, io->heap[at / 2], at);
    place(io, timer, at);
}

static void sift_down(struct sk_io *io, struct sk_timer *timer, size_t at) {
    for (;;) {
        size_t child = at * 2;
        if (child > io->heap_count) break;
        if (child < io->heap_count && earlier(io->heap[child + 1], io->heap[child])) child++;
        if (!earlier(io->heap[child], timer)) break;
        place(io, io->heap[child], at);
        at = child;
    }
    place(io, timer, at);
}

void sk_timer_start(struct sk_io *io, struct sk_timer *timer, uint64_t after_ns, sk_timer_fn *fn) {
    sk_timer_stop(timer);
    uint64_t now = io->world->fresh(io); /* the loop's may be older than the wait before */
    timer->io = io;
    timer->fn = fn;
    timer->at_ns = after_ns > UINT64_MAX - now ? UINT64_MAX : now + after_ns;
    timer->order = io->timer_order++;
    if (io->heap_count + 1 >= io->heap_capacity) {
        io->heap_capacity = io->heap_capacity ? io->heap_capacity * 2 : 16;
        io->heap = sk_realloc(io->heap, io->heap_capacity * sizeof *io->heap);
    }
    sift_up(io, timer, ++io->heap_count);
    if (timer->position == 1) io->world->timers_changed(io);
}

void sk_timer_start_at(struct sk_io *io, struct sk_timer *timer, int64_t wall_us, sk_timer_fn *fn) {
    enum { LOOK_S = 60 };
    int64_t now = sk_io_wall(io);
    uint64_t wait = LOOK_S * SK_S;
    if (wall_us <= now)
        wait = 0;
    else if (wall_us - LOOK_S * 1000000ll < now)
        wait = (uint64_t)(wall_us - now) * 1000;
    sk_timer_start(io, timer, wait, fn);
}

void sk_timer_stop(struct sk_timer *timer) {
    if (timer->position == 0) return;
    struct sk_io *io = timer->io;
    size_t at = timer->position;
    struct sk_timer *last = io->heap[io->heap_count--];
    timer->position = 0;
    if (last == timer) return;
    if (at > 1 && earlier(last, io->heap[at / 2]))
        sift_up(io, last, at);
    else
        sift_down(io, last, at);
}

uint64_t sk_loop_next_timer(const struct sk_io *io) {
    return io->heap_count ? io->heap[1]->at_ns : UINT64_MAX;
}

void sk_loop_fire_timers(struct sk_io *io) {
    uint64_t now = sk_io_now(io), last = io->timer_order;
    /* Timers started by these callbacks wait for the next turn, so a timer of 0 cannot starve the
     * loop. */
    while (io->heap_count && io->heap[1]->at_ns <= now && io->heap[1]->order < last) {
        struct sk_timer *timer = io->heap[1];
        sk_timer_stop(timer);
        timer->fn(timer);
    }
}

/* ---- tasks ---- */

static bool queue(struct sk_list *tasks, struct sk_task *task, sk_task_fn *fn) {
    task->fn = fn;
    if (!sk_list_empty(&task->link)) return false;
    bool first = sk_list_empty(tasks);
    sk_list_append(tasks, &task->link);
    return first;
}

void sk_io_defer(struct sk_io *io, struct sk_task *task, sk_task_fn *fn) {
    if (queue(&io->tasks, task, fn)) io->world->tasks_waiting(io);
}

void sk_io_yield(struct sk_io *io, struct sk_task *task, sk_task_fn *fn) {
    if (queue(&io->yielded, task, fn)) io->world->yielded(io);
}

void sk_io_undefer(struct sk_task *task) {
    sk_list_remove(&task->link);
}

static void run_first(struct sk_list *tasks) {
    struct sk_task *task = SK_LIST_FIRST(tasks, struct sk_task, link);
    sk_list_remove(&task->link);
    task->fn(task);
}

void sk_loop_run_tasks(struct sk_io *io, uint64_t until_ns) {
    enum { LOOK_EVERY = 8 }; /* some send 64 KB */
    for (unsigned n = 1; !sk_list_empty(&io->tasks); n++) {
        run_first(&io->tasks);
        if (n % LOOK_EVERY == 0 && io->world->clock(io) >= until_ns) return;
    }
}

void sk_loop_run_yielded(struct sk_io *io, uint64_t until_ns) {
    unsigned pieces = 0;
    const struct sk_list *last =
        io->yielded.prev; /* those that yield again wait for the next turn */
    for (bool more = true; more && !sk_list_empty(&io->yielded);) {
        more = io->yielded.next != last;
        run_first(&io->yielded);
        if (++pieces == SK_YIELDED_MAX || io->world->clock(io) >= until_ns) return;
    }
}

/* ---- shares ---- */

void sk_share_begin(struct sk_share *share, struct sk_io *io) {
    *share = (struct sk_share){io, io->world->clock(io) + SK_SHARE_NS, SK_SHARE_STEPS};
}

bool sk_share_go_on(struct sk_share *share, unsigned steps) {
    enum { LOOK_EVERY = 8 }; /* the clock costs as much as a small request */
    unsigned before = share->steps / LOOK_EVERY;
    share->steps = share->steps > steps ? share->steps - steps : 0;
    if (share->steps / LOOK_EVERY != before &&
        share->io->world->clock(share->io) >= share->until_ns)
        share->steps = 0;
    return share->steps > 0;
}

const struct sk_io_counts *sk_io_counts(struct sk_io *io) {
    return &io->counts;
}

void sk_io_watch(struct sk_io *io) {
    if (io->world->watch) io->world->watch(io);
}

void sk_io_doing(struct sk_io *io, const char *what) {
    if (io->world->doing) io->world->doing(io, what);
}

/* ---- small helpers ---- */

void sk_io_guid(struct sk_io *io, char to[37]) {
    unsigned char b[16];
    sk_io_random(io, b, sizeof b);
    b[6] = (unsigned char)((b[6] & 0x0F) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3F) | 0x80);
    snprintf(to, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
             b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
             b[14], b[15]);
}

void sk_io_put_key(struct sk_io *io, size_t bytes, struct sk_buffer *to) {
    char key[64];
    SK_ASSERT(bytes <= sizeof key);
    sk_io_random(io, key, bytes);
    sk_base64_encode(to, sk_span(key, bytes));
}

/* ---- dispatch ---- */

void sk_io_run(struct sk_io *io) {
    io->world->run(io);
}
void sk_io_stop(struct sk_io *io) {
    io->world->stop(io);
}
void sk_io_free(struct sk_io *io) {
    io->world->free(io);
}
uint64_t sk_io_now(struct sk_io *io) {
    return io->world->now(io);
}
int64_t sk_io_wall(struct sk_io *io) {
    return io->world->wall(io);
}
void sk_io_random(struct sk_io *io, void *to, size_t n) {
    io->world->random(io, to, n);
}
void sk_io_post(struct sk_io *target, void (*fn)(struct sk_io *, void *), void *arg) {
    target->world->post(target, fn, arg);
}
struct sk_io *sk_io_thread(struct sk_io *parent, void (*start)(struct sk_io *, void *), void *arg) {
    return parent->world->thread(parent, start, arg);
}
void sk_io_thread_join(struct sk_io *io) {
    io->world->thread_join(io);
}
void sk_io_work(struct sk_io *io, void (*work)(void *), void (*done)(void *), void *arg) {
    io->world->work(io, work, done, arg);
}
void sk_io_on_signal(struct sk_io *io, int signal_number, void (*fn)(void *), void *arg) {
    io->world->on_signal(io, signal_number, fn, arg);
}
enum sk_status sk_file_load(struct sk_io *io, const char *path, struct sk_buffer *to) {
    return io->world->file_load(io, path, to);
}
enum sk_status sk_file_save(struct sk_io *io, const char *path, struct sk_span bytes,
                            unsigned mode) {
    return io->world->file_save(io, path, bytes, mode);
}
enum sk_status sk_file_replace(struct sk_io *io, const char *path, struct sk_span bytes) {
    return io->world->file_replace(io, path, bytes);
}
enum sk_status sk_file_remove(struct sk_io *io, const char *path) {
    return io->world->file_remove(io, path);
}
enum sk_status sk_file_rename(struct sk_io *io, const char *from, const char *to) {
    return io->world->file_rename(io, from, to);
}
enum sk_status sk_folder_make(struct sk_io *io, const char *path, unsigned mode) {
    return io->world->folder_make(io, path, mode);
}
enum sk_status sk_folder_list(struct sk_io *io, const char *path,
                              void (*each)(void *, struct sk_span), void *arg) {
    return io->world->folder_list(io, path, each, arg);
}
unsigned sk_path_beyond(struct sk_io *io, const char *path, unsigned mode) {
    return io->world->path_beyond(io, path, mode);
}

enum sk_status sk_path_set_mode(struct sk_io *io, const char *path, unsigned mode) {
    return io->world->path_mode(io, path, mode);
}

void sk_path_protect(struct sk_io *io, const char *path, unsigned mode) {
    if (sk_path_beyond(io, path, mode) == 0) return;
    enum sk_status status = io->world->path_mode(io, path, mode);
    if (status)
        SK_WARN("io",
                "%s can be read by other users, and its mode cannot be changed (%s): chmod %o",
                path, sk_status_text(status), mode);
    else
        SK_WARN("io", "%s could be read by other users: its mode is %04o now", path, mode);
}

enum sk_status sk_file_own(struct sk_io *io, const char *path, uint32_t uid, uint32_t gid) {
    return io->world->file_own(io, path, uid, gid);
}
enum sk_status sk_file_open(struct sk_io *io, const char *path, enum sk_file_mode mode,
                            struct sk_file **file) {
    return io->world->file_open(io, path, mode, file);
}
uint64_t sk_file_size(struct sk_file *file) {
    return file->io->world->file_size(file);
}
enum sk_status sk_file_read(struct sk_file *file, uint64_t offset, void *to, size_t n,
                            size_t *got) {
    return file->io->world->file_read(file, offset, to, n, got);
}
void sk_file_write_sync(struct sk_file *file, uint64_t offset, struct sk_span bytes,
                        sk_file_done *done, void *arg) {
    file->io->world->file_write_sync(file, offset, bytes, done, arg);
}
enum sk_status sk_file_truncate(struct sk_file *file, uint64_t size) {
    return file->io->world->file_truncate(file, size);
}
void sk_file_close(struct sk_file *file) {
    file->io->world->file_close(file);
}
uint64_t sk_disk_free(struct sk_io *io, const char *path) {
    return io->world->disk_free(io, path);
}

uint64_t sk_disk_size(struct sk_io *io, const char *path) {
    return io->world->disk_size(io, path);
}
const char *sk_io_sqlite_vfs(struct sk_io *io) {
    return io->world->sqlite_vfs(io);
}
enum sk_status sk_tls_new(struct sk_io *io, const struct sk_tls_options *options,
                          struct sk_tls **tls, char reason[256]) {
    return io->world->tls_new(io, options, tls, reason);
}
enum sk_status sk_tls_reload(struct sk_tls *tls, const struct sk_tls_options *options,
                             char reason[256]) {
    return tls->io->world->tls_reload(tls, options, reason);
}
void sk_tls_free(struct sk_tls *tls) {
    if (tls) tls->io->world->tls_free(tls);
}
enum sk_status sk_listen(struct sk_io *io, const struct sk_endpoint *at, struct sk_tls *tls,
                         sk_accept_fn *accept, void *arg, struct sk_listener **listener) {
    return io->world->listen(io, at, tls, accept, arg, listener);
}
uint16_t sk_listener_port(const struct sk_listener *listener) {
    return listener->io->world->listener_port(listener);
}
void sk_listener_close(struct sk_listener *listener) {
    if (listener) listener->io->world->listener_close(listener);
}
struct sk_stream *sk_connect(struct sk_io *io, const struct sk_endpoint *to, struct sk_tls *tls,
                             const char *server_name, const struct sk_stream_events *events,
                             void *arg) {
    return io->world->connect(io, to, tls, server_name, events, arg);
}
enum sk_status sk_stream_start_tls(struct sk_stream *stream, struct sk_tls *tls,
                                   const char *server_name) {
    return stream->ops->start_tls(stream, tls, server_name);
}
void sk_stream_close(struct sk_stream *stream) {
    stream->ops->close(stream, false);
}
void sk_stream_abort(struct sk_stream *stream) {
    stream->ops->close(stream, true);
}
const char *sk_stream_peer(struct sk_stream *stream) {
    return stream->ops->peer(stream);
}
struct sk_span sk_stream_peer_certificate(struct sk_stream *stream, size_t index) {
    return stream->ops->peer_certificate(stream, index);
}
struct sk_span sk_stream_server_name(struct sk_stream *stream) {
    return stream->ops->server_name(stream);
}
bool sk_stream_peer_process(struct sk_stream *stream, uint32_t *pid, uint32_t *uid) {
    return stream->ops->peer_process(stream, pid, uid);
}
enum sk_status sk_child_start(struct sk_io *io, const struct sk_child_options *options,
                              struct sk_child **child) {
    return io->world->child_start(io, options, child);
}
void sk_child_signal(struct sk_child *child, int signal_number) {
    child->io->world->child_signal(child, signal_number);
}
int sk_child_pid(const struct sk_child *child) {
    return child->io->world->child_pid(child);
}
void sk_child_forget(struct sk_child *child) {
    child->io->world->child_forget(child);
}
