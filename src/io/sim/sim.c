/* The simulated world's clock and loops, and how machines and processes die. */
#include "io/sim/parts.h"

#include <stdio.h>

/* ---- running ---- */

static void run_tasks(struct sim_loop *loop) {
    sk_loop_run_tasks(&loop->base, UINT64_MAX);
}

void sim_turn(struct sim_loop *loop) {
    if (!loop->dead || loop->buried) run_tasks(loop);
}

static void run_event(struct sim_event event) {
    struct sim_loop *loop = event.loop;
    struct sk_sim *sim = loop->sim;
    sim_trace(sim, sim->now_ns ^ (uint64_t)loop->number << 56);
    loop->running = true;
    event.run(event.arg);
    sim_turn(loop);
    loop->running = false;
}

static void run_timers(struct sim_loop *loop) {
    sim_trace(loop->sim, loop->sim->now_ns ^ (uint64_t)loop->number << 56 ^ 1u << 31);
    loop->running = true;
    sk_loop_fire_timers(&loop->base);
    sim_turn(loop);
    loop->running = false;
}

/* The loop whose timer is due first, if that is before the queue's first event (events of the same
 * moment go first). `only`: of this loop; NULL: of all. */
static struct sim_loop *timer_first(struct sk_sim *sim, const struct sim_loop *only,
                                    uint64_t event_ns, uint64_t *at_ns) {
    struct sim_loop *first = NULL;
    *at_ns = event_ns;
    SK_LIST_EACH(&sim->loops, node, following) {
        struct sim_loop *loop = SK_CONTAINER(node, struct sim_loop, link);
        if (loop->dead || loop->stopped || (only && loop != only)) continue;
        uint64_t due = sk_loop_next_timer(&loop->base);
        if (due >= *at_ns) continue;
        *at_ns = due;
        first = loop;
    }
    return first;
}

/* Does what comes next, if that is not after `end_ns`. */
static bool step(struct sk_sim *sim, uint64_t end_ns) {
    uint64_t at, event_ns = sim->heap_count ? sim->heap[1].at_ns : UINT64_MAX;
    struct sim_loop *timers = timer_first(sim, NULL, event_ns, &at);
    if (at > end_ns || at == UINT64_MAX) return false;
    if (at > sim->now_ns) sim->now_ns = at;
    if (timers)
        run_timers(timers);
    else
        run_event(sim_pop(sim));
    return true;
}

static uint64_t later(const struct sk_sim *sim, uint64_t ns) {
    return ns > UINT64_MAX - 1 - sim->now_ns ? UINT64_MAX - 1 : sim->now_ns + ns;
}

bool sk_sim_run(struct sk_sim *sim, uint64_t ns) {
    uint64_t at, end = later(sim, ns);
    while (step(sim, end)) {
    }
    sim->now_ns = end;
    timer_first(sim, NULL, sim->heap_count ? sim->heap[1].at_ns : UINT64_MAX, &at);
    return at != UINT64_MAX;
}

bool sk_sim_run_until(struct sk_sim *sim, uint64_t ns, bool (*until)(void *arg), void *arg) {
    uint64_t end = later(sim, ns);
    while (!until(arg))
        if (!step(sim, end)) {
            sim->now_ns = end;
            return until(arg);
        }
    return true;
}

/* ---- a loop's own functions ---- */

static void loop_run(struct sk_io *io) {
    struct sim_loop *loop = sim_loop(io);
    while (!loop->stopped && !loop->dead && step(loop->sim, UINT64_MAX - 1)) {
    }
}

static void loop_stop(struct sk_io *io) {
    sim_loop(io)->stopped = true;
}

static uint64_t loop_now(struct sk_io *io) {
    return sim_loop(io)->sim->now_ns;
}

static int64_t loop_wall(struct sk_io *io) {
    struct sim_loop *loop = sim_loop(io);
    return loop->sim->options.wall_us + loop->machine->wall_offset_us +
           (int64_t)(loop->sim->now_ns / 1000);
}

static void loop_random(struct sk_io *io, void *to, size_t n) {
    for (unsigned char *p = to; n; n--) *p++ = (unsigned char)sim_random(sim_loop(io)->sim);
}

/* The queue asks each loop for its next timer, so there is nothing to arm. */
static void loop_timers_changed(struct sk_io *io) {
    (void)io;
}

static void only_a_turn(void *arg) {
    (void)arg;
}

static void next_turn(void *arg);

/* Some time passes in a turn that has much to do. */
static void loop_yielded(struct sk_io *io) {
    struct sim_loop *loop = sim_loop(io);
    if (loop->turn_due) return;
    loop->turn_due = true;
    sim_at(loop, loop->sim->now_ns + SIM_TURN_NS, next_turn, NULL, loop);
}

static void next_turn(void *arg) {
    struct sim_loop *loop = arg;
    loop->turn_due = false;
    sk_loop_run_yielded(&loop->base, UINT64_MAX);
    if (!sk_list_empty(&loop->base.yielded)) loop_yielded(&loop->base);
}

static void loop_tasks_waiting(struct sk_io *io) {
    struct sim_loop *loop = sim_loop(io);
    if (!loop->running) sim_at(loop, loop->sim->now_ns, only_a_turn, only_a_turn, NULL);
}

struct mail {
    struct sim_loop *to;
    void (*fn)(struct sk_io *io, void *arg);
    void *arg;
};

static void deliver_mail(void *arg) {
    struct mail mail = *(struct mail *)arg;
    free(arg);
    mail.fn(&mail.to->base, mail.arg);
}

static void loop_post(struct sk_io *io, void (*fn)(struct sk_io *io, void *arg), void *arg) {
    struct mail *mail = SK_NEW(struct mail);
    *mail = (struct mail){sim_loop(io), fn, arg};
    sim_at(mail->to, mail->to->sim->now_ns, deliver_mail, NULL, mail);
}

struct work {
    struct sim_loop *loop;
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

static void finish_work(void *arg) {
    struct work work = *(struct work *)arg;
    free(arg);
    work.done(work.arg);
}

static void do_work(void *arg) {
    struct work *work = arg;
    struct sim_loop *loop = work->loop;
    work->work(work->arg);
    sim_at(loop, loop->sim->now_ns + sim_below(loop->sim, 50000), finish_work, NULL, work);
}

static void loop_work(struct sk_io *io, void (*work)(void *arg), void (*done)(void *arg),
                      void *arg) {
    struct sim_loop *loop = sim_loop(io);
    struct work *job = SK_NEW(struct work);
    *job = (struct work){loop, work, done, arg};
    sim_at(loop, loop->sim->now_ns + 10000 + sim_below(loop->sim, 200000), do_work, NULL, job);
}

static void loop_on_signal(struct sk_io *io, int signal_number, void (*fn)(void *arg), void *arg) {
    (void)io, (void)signal_number, (void)fn, (void)arg;
}

static enum sk_status child_start(struct sk_io *io, const struct sk_child_options *options,
                                  struct sk_child **child) {
    (void)io, (void)options, (void)child;
    return SK_UNSUPPORTED;
}

static void child_signal(struct sk_child *child, int signal_number) {
    (void)child, (void)signal_number;
}

static int child_pid(const struct sk_child *child) {
    (void)child;
    return -1;
}

static void child_forget(struct sk_child *child) {
    (void)child;
}

static struct sk_io *loop_thread(struct sk_io *parent, void (*start)(struct sk_io *io, void *arg),
                                 void *arg);
static void loop_thread_join(struct sk_io *io);

static void loop_free(struct sk_io *io) {
    sk_sim_kill(io);
}

static const struct sk_world world = {
    .run = loop_run,
    .stop = loop_stop,
    .free = loop_free,
    .now = loop_now,
    .fresh = loop_now,
    .clock = loop_now,
    .wall = loop_wall,
    .random = loop_random,
    .timers_changed = loop_timers_changed,
    .tasks_waiting = loop_tasks_waiting,
    .yielded = loop_yielded,
    .post = loop_post,
    .thread = loop_thread,
    .thread_join = loop_thread_join,
    .work = loop_work,
    .on_signal = loop_on_signal,
    .file_load = sim_file_load,
    .file_save = sim_file_save,
    .file_replace = sim_file_replace,
    .file_remove = sim_file_remove,
    .file_rename = sim_file_rename,
    .folder_make = sim_folder_make,
    .folder_list = sim_folder_list,
    .path_beyond = sim_path_beyond,
    .path_mode = sim_path_mode,
    .file_own = sim_file_own,
    .file_open = sim_file_open_world,
    .file_size = sim_file_size,
    .file_read = sim_file_read,
    .file_write_sync = sim_file_write_sync,
    .file_truncate = sim_file_truncate,
    .file_close = sim_file_close,
    .disk_free = sim_disk_space,
    .disk_size = sim_disk_size,
    .sqlite_vfs = sim_sqlite_vfs,
    .tls_new = sim_tls_new,
    .tls_reload = sim_tls_reload,
    .tls_free = sim_tls_free,
    .listen = sim_listen,
    .listener_port = sim_listener_port,
    .listener_close = sim_listener_close,
    .connect = sim_connect,
    .child_start = child_start,
    .child_signal = child_signal,
    .child_pid = child_pid,
    .child_forget = child_forget,
};

/* ---- loops, processes, machines ---- */

static struct sim_loop *make_loop(struct sim_machine *machine, struct sim_loop *process) {
    struct sk_sim *sim = machine->sim;
    struct sim_loop *loop = SK_NEW(struct sim_loop);
    sk_loop_init(&loop->base, &world);
    loop->sim = sim;
    loop->machine = machine;
    loop->process = process ? process : loop;
    loop->number = ++sim->loops_made;
    loop->pid = process ? process->pid : ++machine->last_pid;
    loop->uid = process ? process->uid : 0;
    sk_list_init(&loop->files);
    sk_list_init(&loop->streams);
    sk_list_append(&sim->loops, &loop->link);
    return loop;
}

/* The loop must be dead and buried. */
static void destroy_loop(struct sim_loop *loop) {
    sim_net_loop_freed(loop);
    sim_sqlite_loop_freed(loop);
    sim_disk_loop_freed(loop);
    sk_list_remove(&loop->link);
    sk_loop_free(&loop->base);
    free(loop->held);
    free(loop);
}

static void die(struct sim_loop *loop, bool silent) {
    if (loop->dead) return;
    loop->dead = true;
    sim_trace(loop->sim, loop->number ^ 0xDEADu << 16);
    sim_withdraw(loop);
    sim_disk_process_died(loop);
    sim_net_loop_died(loop, silent);
}

/* One round of what a dead loop still owes its owners; false when there was nothing. */
static bool bury_once(struct sim_loop *loop) {
    bool any = !sk_list_empty(&loop->base.tasks) || !sk_list_empty(&loop->base.yielded) ||
               loop->held_count;
    sk_loop_run_yielded(&loop->base, UINT64_MAX);
    run_tasks(loop);
    struct sim_event *held = loop->held;
    size_t count = loop->held_count;
    loop->held = NULL;
    loop->held_count = loop->held_capacity = 0;
    for (size_t i = 0; i < count; i++) {
        held[i].run(held[i].arg);
        run_tasks(loop);
    }
    free(held);
    if (sim_disk_bury(loop)) any = true;
    if (sim_net_bury(loop)) any = true;
    run_tasks(loop);
    return any;
}

/* Fires one of the timers that were started at the funeral: somebody was told of a failure and
 * wants to try again before it ends. */
static bool fire_late_timer(struct sim_loop *loop) {
    struct sk_io *io = &loop->base;
    for (size_t i = 1; i <= io->heap_count; i++) {
        struct sk_timer *timer = io->heap[i];
        if (timer->order < loop->timers_before) continue;
        sk_timer_stop(timer);
        timer->fn(timer);
        return true;
    }
    return false;
}

/* Ends what the owners of a dead process have begun to close, then frees its loops. Code that
 * answers each failure with another attempt would never end, hence the bounds. */
static void bury(struct sim_loop *process) {
    enum { ROUNDS_MAX = 100000, LATE_TIMERS_MAX = 100 };
    struct sk_sim *sim = process->sim;
    unsigned late = 0;
    bool any = true;
    for (unsigned round = 0; any && round < ROUNDS_MAX; round++) {
        any = false;
        SK_LIST_EACH(&sim->loops, node, following) {
            struct sim_loop *loop = SK_CONTAINER(node, struct sim_loop, link);
            if (loop->process != process) continue;
            if (!loop->buried) loop->timers_before = loop->base.timer_order;
            loop->buried = true;
            any = bury_once(loop) || (late++ < LATE_TIMERS_MAX && fire_late_timer(loop));
            if (any) break; /* it may have joined threads: the list is another one now */
        }
    }
    SK_LIST_EACH(&sim->loops, node, following) {
        struct sim_loop *loop = SK_CONTAINER(node, struct sim_loop, link);
        if (loop->process == process && loop != process) destroy_loop(loop);
    }
    destroy_loop(process);
}

static void start_thread(struct sk_io *io, void *arg) {
    struct mail *mail = arg;
    void (*fn)(struct sk_io *, void *) = mail->fn;
    void *fn_arg = mail->arg;
    free(mail);
    fn(io, fn_arg);
}

static struct sk_io *loop_thread(struct sk_io *parent, void (*start)(struct sk_io *io, void *arg),
                                 void *arg) {
    struct sim_loop *of = sim_loop(parent), *loop = make_loop(of->machine, of->process);
    loop->dead = of->dead;
    struct mail *mail = SK_NEW(struct mail);
    *mail = (struct mail){loop, start, arg};
    loop_post(&loop->base, start_thread, mail);
    return &loop->base;
}

/* Runs the thread's events alone, whatever their time, until it has stopped: the caller is blocked,
 * the rest of the world waits. */
static void loop_thread_join(struct sk_io *io) {
    struct sim_loop *loop = sim_loop(io);
    struct sk_sim *sim = loop->sim;
    while (!loop->stopped && !loop->dead) {
        size_t first = sim_first_of(loop);
        uint64_t at, event_ns = first ? sim->heap[first].at_ns : UINT64_MAX;
        struct sim_loop *timers = timer_first(sim, loop, event_ns, &at);
        if (at == UINT64_MAX) break; /* it would never stop */
        if (at > sim->now_ns) sim->now_ns = at;
        if (timers) {
            run_timers(timers);
            continue;
        }
        run_event(sim_take(sim, first));
    }
    die(loop, false);
    while (bury_once(loop)) {
    }
    destroy_loop(loop);
}

struct sk_sim *sk_sim_new(const struct sk_sim_options *options) {
    struct sk_sim *sim = SK_NEW(struct sk_sim);
    sim->options = *options;
    if (!sim->options.wall_us) sim->options.wall_us = 1767225600000000; /* 2026-01-01T00:00:00Z */
    if (!sim->options.latency_ns) sim->options.latency_ns = SK_MS;
    if (!sim->options.sync_ns) sim->options.sync_ns = 100000;
    uint64_t state = options->seed;
    for (size_t i = 0; i < 4; i++) { /* splitmix64, as xoshiro's authors advise */
        uint64_t z = state += 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        sim->random[i] = z ^ z >> 31;
    }
    sk_list_init(&sim->machines);
    sk_list_init(&sim->loops);
    sk_list_init(&sim->partitions);
    return sim;
}

void sk_sim_free(struct sk_sim *sim) {
    SK_LIST_EACH(&sim->loops, node, following)
    die(SK_CONTAINER(node, struct sim_loop, link), true);
    while (!sk_list_empty(&sim->loops))
        bury(SK_LIST_FIRST(&sim->loops, struct sim_loop, link)->process);
    SK_LIST_EACH(&sim->machines, node, following) {
        struct sim_machine *machine = SK_CONTAINER(node, struct sim_machine, link);
        sim_disk_free(machine);
        free(machine->name);
        free(machine);
    }
    sim_net_free(sim);
    free(sim->heap);
    free(sim);
}

static void choose_address(struct sim_machine *machine, unsigned number) {
    struct sk_ip ip;
    if (sk_ip_parse(sk_span_z(machine->name), &ip) == SK_OK)
        snprintf(machine->address, sizeof machine->address, ip.bits == 32 ? "%s" : "[%s]",
                 machine->name);
    else
        snprintf(machine->address, sizeof machine->address, "10.0.%u.%u", number >> 8 & 255,
                 number & 255);
}

struct sk_io *sk_sim_node(struct sk_sim *sim, const char *name) {
    struct sim_machine *machine = SK_NEW(struct sim_machine);
    unsigned number = 1;
    SK_LIST_EACH(&sim->machines, node, following)
    number++;
    machine->sim = sim;
    machine->name = sk_span_dup(sk_span_z(name));
    choose_address(machine, number);
    machine->powered = true;
    machine->last_pid = 100;
    machine->last_port = 40000;
    sk_list_init(&machine->listeners);
    sim_disk_new(machine);
    machine->disk.cut = sk_sim_power_cut;
    sk_list_append(&sim->machines, &machine->link);
    sim_trace_bytes(sim, sk_span_z(name));
    return &make_loop(machine, NULL)->base;
}

struct sk_io *sk_sim_process(struct sk_io *io, uint32_t uid) {
    struct sim_loop *loop = make_loop(sim_loop(io)->machine, NULL);
    loop->uid = uid;
    return &loop->base;
}

/* ---- death and life ---- */

void sk_sim_power_cut(struct sk_io *io, enum sk_sim_loss loss) {
    struct sim_machine *machine = sim_loop(io)->machine;
    if (!machine->powered) return;
    machine->powered = false;
    machine->disk.cut_armed = false;
    sim_disk_lose(machine, loss);
    SK_LIST_EACH(&machine->sim->loops, node, following) {
        struct sim_loop *loop = SK_CONTAINER(node, struct sim_loop, link);
        if (loop->machine == machine) die(loop, true);
    }
}

void sk_sim_kill(struct sk_io *io) {
    struct sim_loop *process = sim_loop(io)->process;
    SK_LIST_EACH(&process->sim->loops, node, following) {
        struct sim_loop *loop = SK_CONTAINER(node, struct sim_loop, link);
        if (loop->process == process) die(loop, false);
    }
}

struct sk_io *sk_sim_power_on(struct sk_io *dead) {
    struct sim_loop *process = sim_loop(dead)->process;
    struct sim_machine *machine = process->machine;
    uint32_t uid = process->uid;
    SK_ASSERT(process->dead);
    bury(process);
    machine->powered = true;
    struct sim_loop *loop = make_loop(machine, NULL);
    loop->uid = uid;
    return &loop->base;
}

bool sk_sim_is_dead(struct sk_io *io) {
    return sim_loop(io)->dead;
}

void sk_sim_clock_jump(struct sk_io *io, int64_t us) {
    sim_loop(io)->machine->wall_offset_us += us;
}
