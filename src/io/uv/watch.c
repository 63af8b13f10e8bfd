/* The watchdog: a thread that looks at the loop while it works and says when a turn takes too long.
 * It sleeps while the loop does nothing, so an idle process is not woken for it. */
#include "io/uv/uv.h"

enum { LOOK_MS = 50, TOO_LONG_MS = 100, IDLE_LOOKS = 20 };

struct sk_uv_watch {
    struct sk_uv *uv;
    uv_thread_t thread;
    uv_mutex_t lock;
    uv_cond_t wake;
    bool ending;
};

static void say(const struct sk_uv_busy *doing, uint64_t length_ns) {
    uint64_t pieces[6];
    for (size_t i = 0; i < 6; i++)
        pieces[i] = atomic_load_explicit(&doing->with_whom[i], memory_order_relaxed);
    char peer[sizeof pieces + 1] = "";
    memcpy(peer, pieces, sizeof pieces);
    const char *what = atomic_load_explicit(&doing->what, memory_order_relaxed);
    SK_WARN("io", "a turn of the loop takes %llu ms so far, with %s%s%s",
            (unsigned long long)(length_ns / SK_MS), what ? what : "?", *peer ? " of " : "", peer);
}

static void look_on(void *arg) {
    struct sk_uv_watch *watch = arg;
    struct sk_uv_busy *doing = &watch->uv->doing;
    uint64_t said = 0, seen = 0;
    unsigned idle = 0;
    uv_mutex_lock(&watch->lock);
    while (!watch->ending) {
        uint64_t since = atomic_load_explicit(&doing->since_ns, memory_order_relaxed),
                 now = uv_hrtime();
        if (since && since != said && now - since > TOO_LONG_MS * SK_MS) {
            say(doing, now - since);
            said = since; /* once for a turn */
        }
        idle = since == seen && since == 0 ? idle + 1 : 0;
        seen = since;
        if (idle < IDLE_LOOKS) {
            uv_cond_timedwait(&watch->wake, &watch->lock, LOOK_MS * SK_MS);
            continue;
        }
        atomic_store(&doing->asleep, true);
        while (atomic_load(&doing->asleep) && !watch->ending)
            uv_cond_wait(&watch->wake, &watch->lock);
        idle = 0;
    }
    uv_mutex_unlock(&watch->lock);
}

void sk_uv_watch_wake(struct sk_uv *uv) {
    uv_mutex_lock(&uv->watch->lock);
    atomic_store(&uv->doing.asleep, false);
    uv_cond_signal(&uv->watch->wake);
    uv_mutex_unlock(&uv->watch->lock);
}

void sk_uv_watch(struct sk_io *io) {
    struct sk_uv *uv = sk_uv(io);
    struct sk_uv_watch *watch = SK_NEW(struct sk_uv_watch);
    watch->uv = uv;
    uv_mutex_init(&watch->lock);
    uv_cond_init(&watch->wake);
    const uv_thread_options_t small = {.flags = UV_THREAD_HAS_STACK_SIZE, .stack_size = 65536};
    if (uv_thread_create_ex(&watch->thread, &small, look_on, watch)) {
        free(watch);
        return; /* without it everything else works */
    }
    uv->watch = watch;
}

void sk_uv_watch_end(struct sk_uv *uv) {
    struct sk_uv_watch *watch = uv->watch;
    if (watch == NULL) return;
    uv_mutex_lock(&watch->lock);
    watch->ending = true;
    uv_cond_signal(&watch->wake);
    uv_mutex_unlock(&watch->lock);
    uv_thread_join(&watch->thread);
    uv_mutex_destroy(&watch->lock);
    uv_cond_destroy(&watch->wake);
    free(watch);
    uv->watch = NULL;
}
