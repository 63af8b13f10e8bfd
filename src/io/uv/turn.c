/* The turns of the real world's loop, and who gets how much of one.
 *
 * libuv waits; its callbacks only note which streams have input. Then, in this order: what yielded,
 * the streams (each a share, see serve_streams), timers, tasks. A turn is what happens between two
 * waits. Where something is left over, the next wait takes no time, but it is there: nobody keeps
 * the loop from looking at the others, at its timers and at its signals.
 *
 * The loop's clock leaves out what was too long: behind a turn of a second nobody has been silent
 * for a second. */
#include "io/uv/uv.h"

enum { YIELDED_MS = 2, READ_MS = 3, TASKS_MS = 8 }; /* of a turn: what each may take */
#define TOO_LONG_NS (100 * SK_MS)

uint64_t sk_uv_clock(struct sk_io *io) {
    (void)io;
    return uv_hrtime();
}

uint64_t sk_uv_fresh(struct sk_io *io) {
    const struct sk_uv *uv = sk_uv(io);
    uint64_t now = uv_hrtime() - uv->stood_ns;
    bool stands = uv->turn_ns && now > uv->turn_ns + TOO_LONG_NS;
    return stands ? uv->turn_ns + TOO_LONG_NS : now;
}

void sk_uv_doing(struct sk_io *io, const char *what) {
    atomic_store_explicit(&sk_uv(io)->doing.what, what, memory_order_relaxed);
    atomic_store_explicit(&sk_uv(io)->doing.with_whom[0], 0, memory_order_relaxed);
}

void sk_uv_doing_for(struct sk_uv *uv, const char *what, const char *peer) {
    uint64_t pieces[6] = {0};
    size_t n = strlen(peer);
    memcpy(pieces, peer, n < sizeof pieces ? n : sizeof pieces - 1);
    atomic_store_explicit(&uv->doing.what, what, memory_order_relaxed);
    for (size_t i = 0; i < 6; i++)
        atomic_store_explicit(&uv->doing.with_whom[i], pieces[i], memory_order_relaxed);
}

/* ---- the beginning and the end of a turn ---- */

static void begin_turn(struct sk_uv *uv) {
    uint64_t now = uv_hrtime() - uv->stood_ns;
    /* Woken much too late: the process was stopped, or had no processor. */
    if (uv->wake_ns != UINT64_MAX && now > uv->wake_ns + TOO_LONG_NS) {
        uv->stood_ns += now - uv->wake_ns - TOO_LONG_NS;
        now = uv->wake_ns + TOO_LONG_NS;
    }
    uv->now = uv->turn_ns = now;
    atomic_store_explicit(&uv->doing.since_ns, now + uv->stood_ns, memory_order_relaxed);
    if (uv->watch && atomic_load_explicit(&uv->doing.asleep, memory_order_relaxed))
        sk_uv_watch_wake(uv);
}

static void end_turn(struct sk_uv *uv) {
    if (uv->turn_ns == 0) return;
    struct sk_io_counts *counts = &uv->io.counts;
    uint64_t length = uv_hrtime() - uv->stood_ns - uv->turn_ns;
    size_t i = 0;
    while (i < SK_TURN_BOUNDS && length > sk_turn_bounds_ms[i] * SK_MS) i++;
    counts->turns_within[i]++;
    counts->turns++;
    counts->turns_ns += length;
    if (length > counts->longest_ns) counts->longest_ns = length;
    if (length > TOO_LONG_NS) uv->stood_ns += length - TOO_LONG_NS;
    uv->turn_ns = 0;
    atomic_store_explicit(&uv->doing.since_ns, 0, memory_order_relaxed);
}

void sk_uv_enter(struct sk_uv *uv, const char *what) {
    if (uv->turn_ns == 0)
        begin_turn(uv); /* the first callback after the wait */
    else
        uv->now = sk_uv_fresh(&uv->io);
    sk_uv_doing(&uv->io, what);
}

/* ---- streams ---- */

static void serve_first(struct sk_list *list, struct sk_uv *uv) {
    struct sk_list *node = list->next;
    bool busy = false;
    sk_list_remove(node);
    uv->now = sk_uv_fresh(&uv->io);
    if (uv->serve(node, &busy)) sk_list_append(busy ? &uv->busy : &uv->sparse, node);
}

/* Those that have taken little lately go first, once each; what is left of the time, but one
 * share at least, goes round among the others. So a flood waits behind whoever says a word now
 * and then, and many floods behind each other. */
static void serve_streams(struct sk_uv *uv) {
    uint64_t until = uv_hrtime() + READ_MS * SK_MS;
    const struct sk_list *last = uv->sparse.prev;
    for (bool more = true; more && !sk_list_empty(&uv->sparse) && uv_hrtime() < until;) {
        more = uv->sparse.next != last;
        serve_first(&uv->sparse, uv);
    }
    if (!sk_list_empty(&uv->busy)) do
            serve_first(&uv->busy, uv);
        while (!sk_list_empty(&uv->busy) && uv_hrtime() < until);
}

/* ---- the loop ---- */

static void on_idle(uv_idle_t *idle) {
    (void)idle; /* that it is active keeps the wait from taking time */
}

static void on_timer(uv_timer_t *timer) {
    (void)timer; /* it only ends the wait; the prepare step fires what is due */
}

static bool work_is_left(const struct sk_uv *uv) {
    return !sk_list_empty(&uv->sparse) || !sk_list_empty(&uv->busy) ||
           !sk_list_empty(&uv->io.tasks) || !sk_list_empty(&uv->io.yielded);
}

static void prepare_to_wait(struct sk_uv *uv) {
    uint64_t next = sk_loop_next_timer(&uv->io), now = uv_hrtime() - uv->stood_ns;
    bool left = work_is_left(uv);
    uv->wake_ns = left ? now : next < now ? now : next;
    if (left)
        uv_idle_start(&uv->idle, on_idle);
    else
        uv_idle_stop(&uv->idle);
    if (next == UINT64_MAX) {
        uv_timer_stop(&uv->timer);
        return;
    }
    uint64_t wait = next > now ? next - now : 0;
    uv_update_time(&uv->loop);
    uv_timer_start(&uv->timer, on_timer, (wait + SK_MS - 1) / SK_MS, 0);
}

static void on_check(uv_check_t *check) {
    struct sk_uv *uv = check->data;
    sk_uv_enter(uv, "what was left for this turn");
    sk_loop_run_yielded(&uv->io, uv_hrtime() + YIELDED_MS * SK_MS);
    serve_streams(uv);
}

static void on_prepare(uv_prepare_t *prepare) {
    struct sk_uv *uv = prepare->data;
    sk_uv_enter(uv, "timers");
    sk_loop_fire_timers(&uv->io);
    sk_uv_enter(uv, "tasks");
    sk_loop_run_tasks(&uv->io, uv_hrtime() + TASKS_MS * SK_MS);
    end_turn(uv);
    prepare_to_wait(uv);
}

void sk_uv_yielded(struct sk_io *io) {
    (void)io; /* seen before the next wait */
}

void sk_uv_turn_run(struct sk_uv *uv) {
    sk_uv_enter(uv, "starting");
    do {
        sk_loop_run_tasks(&uv->io, UINT64_MAX);
        prepare_to_wait(uv);
        uv_run(&uv->loop, UV_RUN_DEFAULT);
    } while (!uv->stopping && (work_is_left(uv) || sk_loop_next_timer(&uv->io) != UINT64_MAX));
}

void sk_uv_turn_init(struct sk_uv *uv) {
    sk_list_init(&uv->sparse);
    sk_list_init(&uv->busy);
    uv_timer_init(&uv->loop, &uv->timer);
    uv_prepare_init(&uv->loop, &uv->prepare);
    uv_check_init(&uv->loop, &uv->check);
    uv_idle_init(&uv->loop, &uv->idle);
    uv->prepare.data = uv->check.data = uv;
    uv_prepare_start(&uv->prepare, on_prepare);
    uv_check_start(&uv->check, on_check);
    uv_unref((uv_handle_t *)&uv->prepare);
    uv_unref((uv_handle_t *)&uv->check);
    uv->now = uv_hrtime();
    uv->wake_ns = UINT64_MAX;
}

void sk_uv_turn_close(struct sk_uv *uv) {
    uv_close((uv_handle_t *)&uv->timer, NULL);
    uv_close((uv_handle_t *)&uv->prepare, NULL);
    uv_close((uv_handle_t *)&uv->check, NULL);
    uv_close((uv_handle_t *)&uv->idle, NULL);
}
