/* The real world's loop: mail between threads, work beside them, signals. Its turns: turn.c. */
#include "io/process.h"
#include "io/uv/uv.h"

#include <errno.h>
#include <openssl/rand.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

/* Unused connections of the start have been closed after the first. */
enum { SETTLE_MS = 15000, UNMAP_MS = 60000 };

struct mail {
    struct mail *next;
    void (*fn)(struct sk_io *io, void *arg);
    void *arg;
};

static int64_t wall_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- the loop ---- */

static void on_settle(uv_timer_t *timer) {
    if (uv_timer_get_repeat(timer) == 0)
        sk_process_settle();
    else
        sk_process_give_back();
    uv_timer_start(timer, on_settle, UNMAP_MS, UNMAP_MS);
}

static void run(struct sk_io *io) {
    struct sk_uv *uv = sk_uv(io);
    if (uv->start == NULL && !uv->ran) uv_timer_start(&uv->settle, on_settle, SETTLE_MS, 0);
    uv->ran = true;
    sk_uv_turn_run(uv);
    uv->stopping = false;
}

static void stop(struct sk_io *io) {
    sk_uv(io)->stopping = true;
    uv_stop(&sk_uv(io)->loop);
}

/* ---- mail ---- */

static void on_mail(uv_async_t *async) {
    struct sk_uv *uv = async->data;
    sk_uv_enter(uv, "mail from another thread");
    uv_mutex_lock(&uv->mail_lock);
    struct mail *mail = uv->mail_first;
    uv->mail_first = NULL;
    uv->mail_last = &uv->mail_first;
    uv_mutex_unlock(&uv->mail_lock);
    while (mail) {
        struct mail *next = mail->next;
        mail->fn(&uv->io, mail->arg);
        free(mail);
        mail = next;
    }
}

static void post(struct sk_io *target, void (*fn)(struct sk_io *, void *), void *arg) {
    struct sk_uv *uv = sk_uv(target);
    struct mail *mail = SK_NEW(struct mail);
    mail->fn = fn;
    mail->arg = arg;
    uv_mutex_lock(&uv->mail_lock);
    *uv->mail_last = mail;
    uv->mail_last = &mail->next;
    uv_mutex_unlock(&uv->mail_lock);
    uv_async_send(&uv->mail);
}

static void thread_main(void *arg) {
    struct sk_uv *uv = arg;
    sk_uv_enter(uv, "starting");
    uv->start(&uv->io, uv->start_arg);
    uv_sem_post(&uv->started);
    sk_io_run(&uv->io);
}

static struct sk_io *thread(struct sk_io *parent, void (*start)(struct sk_io *, void *),
                            void *arg) {
    (void)parent;
    struct sk_uv *uv = sk_uv(sk_io_uv_new());
    uv->start = start;
    uv->start_arg = arg;
    uv_ref((uv_handle_t *)&uv->mail); /* a thread waits for mail even when it has nothing else */
    uv_sem_init(&uv->started, 0);
    if (uv_thread_create(&uv->thread, thread_main, uv)) abort();
    uv_sem_wait(&uv->started);
    return &uv->io;
}

static void thread_join(struct sk_io *io) {
    uv_thread_join(&sk_uv(io)->thread);
    uv_sem_destroy(&sk_uv(io)->started);
    sk_io_free(io);
}

/* ---- work ---- */

struct work {
    uv_work_t request;
    struct sk_io *io;
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

static void do_work(uv_work_t *request) {
    struct work *work = request->data;
    work->work(work->arg);
}

static void work_done(uv_work_t *request, int status) {
    (void)status;
    struct work *work = request->data;
    sk_uv_enter(sk_uv(work->io), "what a worker has done");
    if (work->done) work->done(work->arg);
    free(work);
}

static void queue_work(struct sk_io *io, void (*fn)(void *), void (*done)(void *), void *arg) {
    struct work *work = SK_NEW(struct work);
    work->request.data = work;
    work->io = io;
    work->work = fn;
    work->done = done;
    work->arg = arg;
    uv_queue_work(&sk_uv(io)->loop, &work->request, do_work, work_done);
}

/* ---- signals ---- */

static void on_signal(uv_signal_t *handle, int signal_number) {
    (void)signal_number;
    struct uv_signal_slot *slot = handle->data;
    sk_uv_enter(SK_CONTAINER(handle->loop, struct sk_uv, loop), "a signal");
    if (slot->fn) slot->fn(slot->arg);
}

static void watch_signal(struct sk_io *io, int signal_number, void (*fn)(void *), void *arg) {
    struct sk_uv *uv = sk_uv(io);
    struct uv_signal_slot *slot = &uv->signals[signal_number == SIGHUP];
    slot->fn = fn;
    slot->arg = arg;
    if (slot->open) return;
    slot->open = true;
    uv_signal_init(&uv->loop, &slot->handle);
    slot->handle.data = slot;
    uv_signal_start(&slot->handle, on_signal, signal_number == SIGHUP ? SIGHUP : SIGTERM);
    uv_unref((uv_handle_t *)&slot->handle);
    if (signal_number == SIGHUP) return;
    uv_signal_init(&uv->loop, &uv->interrupt);
    uv->interrupt.data = slot;
    uv_signal_start(&uv->interrupt, on_signal, SIGINT);
    uv_unref((uv_handle_t *)&uv->interrupt);
}

/* ---- making and freeing ---- */

static void random_bytes(struct sk_io *io, void *to, size_t n) {
    (void)io;
    if (RAND_bytes(to, (int)n) != 1)
        abort(); /* without randomness there is no security: better to end */
}

static uint64_t now(struct sk_io *io) {
    return sk_uv(io)->now;
}

static int64_t wall(struct sk_io *io) {
    (void)io;
    return wall_us();
}

static void timers_changed(struct sk_io *io) {
    (void)io; /* the prepare step arms the timer before each wait */
}

static void tasks_waiting(struct sk_io *io) {
    (void)io; /* the prepare step runs them before each wait */
}

static const char *sqlite_vfs(struct sk_io *io) {
    (void)io;
    return NULL;
}

static void free_world(struct sk_io *io) {
    struct sk_uv *uv = sk_uv(io);
    sk_uv_watch_end(uv);
    sk_uv_turn_close(uv);
    uv_close((uv_handle_t *)&uv->settle, NULL);
    uv_close((uv_handle_t *)&uv->mail, NULL);
    for (size_t i = 0; i < 2; i++)
        if (uv->signals[i].open) uv_close((uv_handle_t *)&uv->signals[i].handle, NULL);
    if (uv->signals[0].open) uv_close((uv_handle_t *)&uv->interrupt, NULL);
    uv_run(&uv->loop, UV_RUN_DEFAULT);
    uv_loop_close(&uv->loop);
    uv_mutex_destroy(&uv->mail_lock);
    sk_loop_free(io);
    free(uv->scratch);
    free(uv);
}

static const struct sk_world world = {
    .run = run,
    .stop = stop,
    .free = free_world,
    .now = now,
    .fresh = sk_uv_fresh,
    .clock = sk_uv_clock,
    .wall = wall,
    .random = random_bytes,
    .timers_changed = timers_changed,
    .tasks_waiting = tasks_waiting,
    .yielded = sk_uv_yielded,
    .watch = sk_uv_watch,
    .doing = sk_uv_doing,
    .post = post,
    .thread = thread,
    .thread_join = thread_join,
    .work = queue_work,
    .on_signal = watch_signal,
    .file_load = sk_uv_file_load,
    .file_save = sk_uv_file_save,
    .file_replace = sk_uv_file_replace,
    .file_remove = sk_uv_file_remove,
    .file_rename = sk_uv_file_rename,
    .folder_make = sk_uv_folder_make,
    .folder_list = sk_uv_folder_list,
    .path_beyond = sk_uv_path_beyond,
    .path_mode = sk_uv_path_mode,
    .file_own = sk_uv_file_own,
    .file_open = sk_uv_file_open,
    .file_size = sk_uv_file_size,
    .file_read = sk_uv_file_read,
    .file_write_sync = sk_uv_file_write_sync,
    .file_truncate = sk_uv_file_truncate,
    .file_close = sk_uv_file_close,
    .disk_free = sk_uv_disk_free,
    .disk_size = sk_uv_disk_size,
    .sqlite_vfs = sqlite_vfs,
    .tls_new = sk_uv_tls_new,
    .tls_reload = sk_uv_tls_reload,
    .tls_free = sk_uv_tls_free,
    .listen = sk_uv_listen,
    .listener_port = sk_uv_listener_port,
    .listener_close = sk_uv_listener_close,
    .connect = sk_uv_connect,
    .child_start = sk_uv_child_start,
    .child_signal = sk_uv_child_signal,
    .child_pid = sk_uv_child_pid,
    .child_forget = sk_uv_child_forget,
};

/* Each connection is a descriptor: take as many as the administrator allows, not the shell's soft
 * default of 1024. Returns how many that are; 0: no limit. */
static unsigned raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return 1024;
    rlim_t soft = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit)) limit.rlim_cur = soft;
    return limit.rlim_cur > UINT32_MAX ? 0 : (unsigned)limit.rlim_cur;
}

struct sk_io *sk_io_uv_new(void) {
    struct sk_uv *uv = SK_NEW(struct sk_uv);
    sk_loop_init(&uv->io, &world);
    signal(SIGPIPE, SIG_IGN);
    uv->io.door.descriptors = raise_descriptor_limit();
    sk_io_limit(&uv->io, (struct sk_door_limits){0});
    uv_loop_init(&uv->loop);
    uv->serve = sk_uv_stream_serve;
    sk_uv_turn_init(uv);
    uv_timer_init(&uv->loop, &uv->settle);
    uv_async_init(&uv->loop, &uv->mail, on_mail);
    uv->mail.data = uv;
    uv_unref((uv_handle_t *)&uv->settle);
    uv_unref((uv_handle_t *)&uv->mail);
    uv_mutex_init(&uv->mail_lock);
    uv->mail_last = &uv->mail_first;
    uv->scratch = sk_realloc(NULL, SK_UV_SCRATCH); /* not zeroed: most of it is never touched */
    sk_note_clock(wall_us);
    return &uv->io;
}
