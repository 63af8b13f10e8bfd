/* The simulated network: streams between and within machines, their delays, and how they break.
 *
 * Each stream is a small machine whose moments (connected, bytes due, end due, …) stand in its
 * fields; service() does one thing that is due, and wakes itself for the next. So there is one kind
 * of event, and a callback is the last thing an event does. */
#include <stdio.h>

#include "io/sim/tls.h"

/* What a receiver may have not yet read, in flight included; as large as a small socket buffer, so
 * that back-pressure is felt. */
enum { WINDOW = 64 * 1024 };
#define PATIENCE (20 * SK_S) /* until a cut connection is given up */
#define CLOSE_PATIENCE (5 * SK_S)
#define LOCAL_NS 20000 /* within a machine */
#define NEVER UINT64_MAX

struct sim_listener {
    struct sk_listener base;
    struct sk_list link; /* in the machine's */
    char *host, *path;   /* host NULL: any address; path NULL: TCP */
    uint16_t port;
    struct sim_tls *tls;
    sk_accept_fn *accept;
    void *arg;
};

struct chunk {
    struct sk_list link;
    uint64_t at_ns;
    bool end; /* the peer has closed: no bytes */
    size_t n;
    char bytes[];
};

struct sim_stream {
    struct sk_stream base;
    struct sk_list link; /* in the loop's */
    struct sim_loop *loop;
    unsigned users; /* the loop's list, and each event under way */
    bool gone;      /* on_close was called */
    uint64_t wake_ns;

    struct sim_machine *remote;
    struct sim_stream *peer;       /* NULL: not yet, or no more */
    struct sim_listener *listener; /* of an accepted stream that its listener does not know yet */
    char *host, *path,
        *server_name; /* where a connecting stream goes; server_name also of an accepted one */
    uint16_t port;
    struct sim_tls *tls;
    struct sim_chain *peer_chain;
    char peer_text[64];
    uint32_t peer_pid, peer_uid; /* of the process at the other end */

    uint64_t connect_at, open_at, end_at, give_up_at, close_by; /* NEVER: not due */
    enum sk_status end_reason;
    uint64_t again_at; /* when what the owner gave back comes to it again; with base.in */
    bool open, drain_due;
    bool lost;             /* the peer is gone and nobody has said so */
    size_t swallowed;      /* written since it is lost */
    struct sk_list chunks; /* inbound */
    size_t unread;         /* their bytes */
    uint64_t last_arrival; /* of the newest chunk */
    struct sk_buffer rest; /* output left when the owner closed */
};

struct sim_partition {
    struct sk_list link;
    struct sim_machine *a, *b;
};

/* ---- the paths between machines ---- */

static struct sim_partition *find_partition(struct sk_sim *sim, const struct sim_machine *a,
                                            const struct sim_machine *b) {
    SK_LIST_EACH(&sim->partitions, node, following) {
        struct sim_partition *cut = SK_CONTAINER(node, struct sim_partition, link);
        if ((cut->a == a && cut->b == b) || (cut->a == b && cut->b == a)) return cut;
    }
    return NULL;
}

static bool apart(const struct sim_stream *stream) {
    return stream->remote &&
           find_partition(stream->loop->sim, stream->loop->machine, stream->remote);
}

/* One way, drawn anew each time. */
static uint64_t delay(const struct sim_stream *stream) {
    struct sk_sim *sim = stream->loop->sim;
    if (stream->remote == stream->loop->machine) return LOCAL_NS;
    return sim->options.latency_ns + sim_below(sim, sim->options.latency_jitter_ns + 1);
}

static bool is_loopback(const char *host) {
    return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
           strncmp(host, "127.", 4) == 0;
}

static struct sim_machine *resolve(struct sim_machine *from, const char *host) {
    if (is_loopback(host)) return from;
    SK_LIST_EACH(&from->sim->machines, node, following) {
        struct sim_machine *machine = SK_CONTAINER(node, struct sim_machine, link);
        if (strcasecmp(host, machine->name) == 0 || strcmp(host, machine->address) == 0)
            return machine;
    }
    return NULL;
}

static uint16_t next_port(struct sim_machine *machine) {
    if (++machine->last_port < 40000) machine->last_port = 40000; /* wrapped around */
    return machine->last_port;
}

static bool any_address(const char *host) {
    return host == NULL || *host == 0 || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

/* Whether a listener bound to `bound` (NULL: any) is reached as `host`. */
static bool reached_as(const struct sim_machine *machine, const char *bound, const char *host) {
    if (bound == NULL || strcasecmp(bound, host) == 0) return true;
    if (is_loopback(bound) != is_loopback(host)) return false;
    if (!is_loopback(bound)) return resolve((struct sim_machine *)machine, bound) == machine;
    /* 127.0.0.2 and 127.0.0.3 are two addresses, localhost is 127.0.0.1 */
    bool first_bound = strcmp(bound, "localhost") == 0 || strcmp(bound, "127.0.0.1") == 0;
    bool first_host = strcmp(host, "localhost") == 0 || strcmp(host, "127.0.0.1") == 0;
    return first_bound && first_host;
}

static struct sim_listener *find_listener(struct sim_machine *machine, const char *host,
                                          uint16_t port, const char *path) {
    SK_LIST_EACH(&machine->listeners, node, following) {
        struct sim_listener *listener = SK_CONTAINER(node, struct sim_listener, link);
        if (sim_loop(listener->base.io)->dead) continue;
        if (path ? listener->path && strcmp(listener->path, path) == 0
                 : !listener->path && listener->port == port &&
                       reached_as(machine, listener->host, host))
            return listener;
    }
    return NULL;
}

/* ---- a stream's events ---- */

static void service(struct sim_stream *stream);
static const struct sk_stream_ops stream_ops;

static void release(void *arg) {
    struct sim_stream *stream = arg;
    if (--stream->users) return;
    sim_chain_unshare(stream->peer_chain);
    sim_tls_unshare(stream->tls);
    free(stream->host);
    free(stream->path);
    free(stream->server_name);
    free(stream);
}

static void woken(void *arg) {
    struct sim_stream *stream = arg;
    if (stream->wake_ns <= stream->loop->sim->now_ns) stream->wake_ns = NEVER;
    if (!stream->gone) service(stream);
    release(stream);
}

static void wake(struct sim_stream *stream, uint64_t at_ns) {
    if (at_ns == NEVER || stream->gone || stream->wake_ns <= at_ns) return;
    stream->wake_ns = at_ns;
    stream->users++;
    sim_at(stream->loop, at_ns, woken, release, stream);
}

static struct sim_stream *make_stream(struct sim_loop *loop, struct sim_machine *remote) {
    struct sim_stream *stream = SK_NEW(struct sim_stream);
    stream->base.ops = &stream_ops;
    stream->base.io = &loop->base;
    stream->loop = loop;
    stream->users = 1;
    stream->remote = remote;
    stream->wake_ns = stream->connect_at = stream->open_at = stream->end_at = stream->give_up_at =
        stream->close_by = NEVER;
    sk_list_init(&stream->chunks);
    sk_list_append(&loop->streams, &stream->link);
    return stream;
}

static void end(struct sim_stream *stream, uint64_t at_ns, enum sk_status reason) {
    if (stream->end_at != NEVER && stream->end_at <= at_ns) return;
    stream->end_at = at_ns;
    stream->end_reason = reason;
    wake(stream, at_ns);
}

static void drop_chunks(struct sim_stream *stream) {
    while (!sk_list_empty(&stream->chunks)) {
        struct chunk *chunk = SK_LIST_FIRST(&stream->chunks, struct chunk, link);
        sk_list_remove(&chunk->link);
        free(chunk);
    }
    stream->unread = 0;
}

/* The other end will hear nothing more from this one. */
static void part(struct sim_stream *stream) {
    if (stream->peer) stream->peer->peer = NULL;
    stream->peer = NULL;
}

/* Frees all but the struct, which events may still point to. */
static void forget(struct sim_stream *stream) {
    if (stream->peer) {
        stream->peer->lost = true;
        if (stream->peer->give_up_at == NEVER)
            stream->peer->give_up_at = stream->loop->sim->now_ns + PATIENCE;
        wake(stream->peer, stream->peer->give_up_at);
    }
    part(stream);
    stream->gone = true;
    drop_chunks(stream);
    sk_stream_free(&stream->base);
    sk_buffer_free(&stream->rest);
    sk_list_remove(&stream->link);
}

static void finish(struct sim_stream *stream, enum sk_status reason) {
    const struct sk_stream_events *events = stream->base.events;
    void *arg = stream->base.arg;
    sim_trace(stream->loop->sim, (uint64_t)reason ^ 0xF1Du << 8);
    stream->gone = true;
    stream->base.closing = true;
    if (events && events->on_close) events->on_close(&stream->base, arg, reason);
    forget(stream);
    release(stream);
}

/* ---- bytes ---- */

static void deliver(struct sim_stream *to, uint64_t delay_ns, struct sk_span bytes, bool is_end) {
    uint64_t at = to->loop->sim->now_ns + delay_ns;
    if (at < to->last_arrival) at = to->last_arrival;
    to->last_arrival = at;
    struct chunk *chunk = sk_alloc(sizeof *chunk + bytes.n);
    chunk->at_ns = at;
    chunk->end = is_end;
    chunk->n = bytes.n;
    if (bytes.n) memcpy(chunk->bytes, bytes.p, bytes.n);
    to->unread += bytes.n;
    sk_list_append(&to->chunks, &chunk->link);
    wake(to, at);
}

/* Moves output into the network as far as the receiver's window allows. */
static void send_some(struct sim_stream *stream, struct sk_buffer *from) {
    size_t n = from->n;
    if (stream->peer) {
        size_t window = stream->peer->unread < WINDOW ? WINDOW - stream->peer->unread : 0;
        if (n > window) n = window;
        if (n) deliver(stream->peer, delay(stream), sk_span(from->p, n), false);
    } else if (stream->lost) {
        /* Into the void; but a machine that is up again answers with a reset. */
        if (n > WINDOW - stream->swallowed) n = WINDOW - stream->swallowed;
        stream->swallowed += n;
        if (n && stream->remote->powered)
            end(stream, stream->loop->sim->now_ns + 2 * delay(stream), SK_IO);
    }
    sk_buffer_consume(from, n);
    if (n) stream->base.sent_ns = stream->loop->sim->now_ns;
    if (from->n == 0) sk_buffer_shrink(from, 4096);
}

static bool wants_to_send(const struct sim_stream *stream) {
    return stream->base.closing ? stream->rest.n > 0 : stream->open && stream->base.out.n > 0;
}

/* Hands on what has come, or again what the owner gave back. */
static void give(struct sim_stream *stream, struct sk_span bytes) {
    struct sk_io *io = stream->base.io;
    sk_share_begin(&io->share, io);
    sk_stream_give(&stream->base, bytes);
    stream->again_at = stream->loop->sim->now_ns + SIM_TURN_NS;
}

/* How much of a chunk is read at once. */
static size_t piece_of(const struct sim_stream *stream, size_t n) {
    struct sk_sim *sim = stream->loop->sim;
    if (stream->base.accepted && !stream->base.proved && n > SK_STREAM_UNPROVED)
        n = SK_STREAM_UNPROVED;
    if (!sim->options.whole_chunks && n > 1 && sim_below(sim, 2))
        n = 1 + (size_t)sim_below(sim, sim_below(sim, 2) ? n : n < 16 ? n : 16);
    return n;
}

static bool listens(const struct sim_stream *stream) {
    return stream->open && stream->base.events && sk_stream_readable(&stream->base);
}

/* Gives the owner one piece of what has come; false when nothing is due. */
static bool receive(struct sim_stream *stream) {
    struct sk_sim *sim = stream->loop->sim;
    bool deaf =
        stream
            ->base
            /* the owner has closed: read on, so that the peer is not held up, but tell nobody */
            .closing;
    if (!deaf && !listens(stream)) return false;
    if (!deaf && stream->base.in.n) {
        if (stream->again_at > sim->now_ns) return false;
        give(stream, SK_NONE);
        return true;
    }
    if (sk_list_empty(&stream->chunks) || apart(stream)) return false;
    struct chunk *chunk = SK_LIST_FIRST(&stream->chunks, struct chunk, link);
    if (chunk->at_ns > sim->now_ns) return false;
    sk_list_remove(&chunk->link);
    if (chunk->end) {
        free(chunk);
        if (!deaf) finish(stream, SK_OK);
        return !deaf;
    }
    size_t n = deaf ? chunk->n : piece_of(stream, chunk->n);
    if (n < chunk->n) {
        struct chunk *later = sk_alloc(sizeof *later + chunk->n - n);
        later->at_ns = chunk->at_ns;
        later->n = chunk->n - n;
        memcpy(later->bytes, chunk->bytes + n, later->n);
        sk_list_append(stream->chunks.next, &later->link); /* in front */
    }
    stream->unread -= n;
    if (stream->peer && wants_to_send(stream->peer))
        wake(stream->peer, sim->now_ns + delay(stream));
    if (!deaf) {
        sim_trace_bytes(sim, sk_span(chunk->bytes, n));
        give(stream, sk_span(chunk->bytes, n));
    }
    free(chunk);
    return true;
}

/* ---- connecting ---- */

static void connect_now(struct sim_stream *stream) {
    struct sk_sim *sim = stream->loop->sim;
    stream->connect_at = NEVER;
    if (apart(stream)) return; /* sk_sim_partition tries again; give_up_at ends it */
    struct sim_listener *listener =
        stream->remote ? find_listener(stream->remote, stream->host, stream->port, stream->path)
                       : NULL;
    if (listener == NULL) {
        end(stream, sim->now_ns, SK_REFUSED);
        return;
    }
    if (!stream->tls != !listener->tls) {
        end(stream, sim->now_ns, SK_IO); /* the handshake fails */
        return;
    }
    struct sim_stream *accepted = make_stream(sim_loop(listener->base.io), stream->loop->machine);
    accepted->listener = listener;
    accepted->peer = stream;
    stream->peer = accepted;
    if (stream->tls) {
        accepted->server_name =
            sk_span_dup(sk_span_z(stream->server_name ? stream->server_name : stream->host));
        accepted->peer_chain = sim_chain_share(stream->tls->chain);
        stream->peer_chain = sim_chain_share(listener->tls->chain);
    }
    if (stream->path)
        snprintf(accepted->peer_text, sizeof accepted->peer_text, "unix");
    else
        snprintf(accepted->peer_text, sizeof accepted->peer_text, "%s:%u",
                 stream->loop->machine->address, next_port(stream->loop->machine));
    accepted->base.accepted = true;
    accepted->peer_pid = stream->loop->pid;
    accepted->peer_uid = stream->loop->uid;
    stream->peer_pid = accepted->loop->pid;
    stream->peer_uid = accepted->loop->uid;
    accepted->open_at = stream->open_at = sim->now_ns;
    stream->give_up_at = NEVER;
    wake(accepted, sim->now_ns);
    if (listener->path ? !sk_door_enter_local(&accepted->base, listener->path)
                       : !sk_door_enter(&accepted->base, accepted->peer_text))
        sk_stream_abort(&accepted->base);
}

static void open_now(struct sim_stream *stream) {
    stream->open_at = NEVER;
    stream->open = true;
    stream->base.heard_ns = stream->base.sent_ns = stream->loop->sim->now_ns;
    struct sim_listener *listener = stream->listener;
    stream->listener = NULL;
    if (listener)
        listener->accept(listener->arg, &stream->base);
    else if (stream->base.events->on_open)
        stream->base.events->on_open(&stream->base, stream->base.arg);
}

/* The owner has closed and all it wrote is in the network. */
static void say_goodbye(struct sim_stream *stream) {
    stream->close_by = NEVER;
    if (stream->peer) deliver(stream->peer, delay(stream), SK_NONE, true);
    part(stream);
    end(stream, stream->loop->sim->now_ns, SK_OK);
}

static void reset_peer(struct sim_stream *stream) {
    struct sim_stream *peer = stream->peer;
    part(stream);
    if (peer) end(peer, stream->loop->sim->now_ns + delay(stream), SK_IO);
}

static uint64_t earliest(const struct sim_stream *stream) {
    const uint64_t moments[] = {stream->connect_at, stream->open_at, stream->end_at,
                                stream->give_up_at, stream->close_by};
    uint64_t first = NEVER;
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++)
        if (moments[i] < first) first = moments[i];
    bool left = !stream->base.closing && stream->base.in.n;
    if (left && listens(stream) && stream->again_at < first) first = stream->again_at;
    bool reads = stream->base.closing || (listens(stream) && !left);
    if (!sk_list_empty(&stream->chunks) && reads && !apart(stream)) {
        const struct chunk *chunk = SK_LIST_FIRST(&stream->chunks, struct chunk, link);
        if (chunk->at_ns < first) first = chunk->at_ns;
    }
    if (stream->drain_due) first = 0;
    return first;
}

/* Does one thing that is due, callbacks last; then sees to being called again. The caller holds the
 * stream. */
static void service(struct sim_stream *stream) {
    uint64_t now = stream->loop->sim->now_ns;
    if (stream->end_at <= now) {
        finish(stream, stream->end_reason);
        return;
    }
    if (stream->give_up_at <= now) {
        finish(stream, stream->base.closing ? SK_OK : SK_TIMEOUT);
        return;
    }
    if (stream->connect_at <= now) connect_now(stream);
    if (stream->open_at <= now) {
        open_now(stream);
    } else {
        if (wants_to_send(stream)) {
            send_some(stream, stream->base.closing ? &stream->rest : &stream->base.out);
            if (!stream->base.closing && stream->base.out.n == 0 && stream->base.over_high)
                stream->drain_due = true;
        }
        if (stream->base.closing && stream->rest.n == 0 && stream->close_by != NEVER) {
            say_goodbye(stream);
        } else if (stream->close_by <= now) {
            stream->close_by = NEVER;
            sk_buffer_free(&stream->rest);
            reset_peer(stream);
            end(stream, now, SK_OK);
        } else if (stream->drain_due) {
            stream->drain_due = stream->base.over_high = false;
            if (!stream->base.closing && stream->base.events->on_drain)
                stream->base.events->on_drain(&stream->base, stream->base.arg);
        } else if (stream->end_at > now) {
            receive(stream);
        }
    }
    if (stream->gone) return;
    uint64_t next = earliest(stream);
    if (next != NEVER) wake(stream, next > now ? next : now);
}

/* ---- what io.h calls ---- */

static struct sim_stream *of(struct sk_stream *stream) {
    return (struct sim_stream *)stream;
}

enum sk_status sim_listen(struct sk_io *io, const struct sk_endpoint *at, struct sk_tls *tls,
                          sk_accept_fn *accept, void *arg, struct sk_listener **listener) {
    struct sim_machine *machine = sim_loop(io)->machine;
    if (sim_loop(io)->dead) return SK_IO;
    const char *host = any_address(at->host) ? NULL : at->host;
    if (host && resolve(machine, host) != machine)
        return SK_IO; /* not an address of this machine */
    SK_LIST_EACH(&machine->listeners, node, following) {
        struct sim_listener *other = SK_CONTAINER(node, struct sim_listener, link);
        if (sim_loop(other->base.io)->dead) continue;
        if (at->path ? other->path && strcmp(other->path, at->path) == 0
                     : at->port && !other->path && other->port == at->port &&
                           (!host || !other->host || reached_as(machine, other->host, host)))
            return SK_EXISTS;
    }
    struct sim_listener *made = SK_NEW(struct sim_listener);
    made->base.io = io;
    made->path = sk_text_dup(at->path);
    made->host = sk_text_dup(host);
    made->port = at->path ? 0 : at->port ? at->port : next_port(machine);
    made->tls = sim_tls_share(tls);
    made->accept = accept;
    made->arg = arg;
    sk_list_append(&machine->listeners, &made->link);
    *listener = &made->base;
    return SK_OK;
}

uint16_t sim_listener_port(const struct sk_listener *listener) {
    return ((const struct sim_listener *)listener)->port;
}

void sim_listener_close(struct sk_listener *base) {
    struct sim_listener *listener = (struct sim_listener *)base;
    struct sim_loop *loop = sim_loop(base->io);
    SK_LIST_EACH(&loop->streams, node, following) {
        struct sim_stream *stream = SK_CONTAINER(node, struct sim_stream, link);
        if (stream->listener != listener)
            continue; /* else: connected, but never shown to the owner */
        reset_peer(stream);
        forget(stream);
        release(stream);
    }
    sk_list_remove(&listener->link);
    sim_tls_unshare(listener->tls);
    free(listener->host);
    free(listener->path);
    free(listener);
}

struct sk_stream *sim_connect(struct sk_io *io, const struct sk_endpoint *to, struct sk_tls *tls,
                              const char *server_name, const struct sk_stream_events *events,
                              void *arg) {
    struct sim_loop *loop = sim_loop(io);
    struct sim_machine *remote = to->path ? loop->machine : resolve(loop->machine, to->host);
    struct sim_stream *stream = make_stream(loop, remote);
    stream->base.events = events;
    stream->base.arg = arg;
    stream->host = sk_span_dup(sk_span_z(to->host));
    stream->path = sk_text_dup(to->path);
    stream->server_name = sk_text_dup(server_name);
    stream->port = to->port;
    stream->tls = sim_tls_share(tls);
    if (to->path)
        snprintf(stream->peer_text, sizeof stream->peer_text, "unix");
    else
        snprintf(stream->peer_text, sizeof stream->peer_text, "%s:%u",
                 remote ? remote->address : "0.0.0.0", to->port);
    stream->connect_at = loop->sim->now_ns + delay(stream);
    stream->give_up_at = loop->sim->now_ns + PATIENCE;
    wake(stream, stream->connect_at);
    return &stream->base;
}

static enum sk_status begin_tls(struct sk_stream *base, struct sk_tls *tls,
                                const char *server_name) {
    struct sim_stream *stream = of(base);
    (void)server_name; /* whoever is at the far end of a proxy learns nothing in this world */
    if (stream->tls || !stream->open) return SK_INVALID;
    stream->tls = sim_tls_share(tls);
    stream->open_at = stream->loop->sim->now_ns + 2 * delay(stream);
    wake(stream, stream->open_at);
    return SK_OK;
}

static void flush_soon(struct sk_stream *base) {
    struct sim_stream *stream = of(base);
    if (stream->loop->dead)
        stream->base.out.n = 0;
    else if (stream->open)
        /* An event of its own: "at the end of this turn". */
        wake(stream, stream->loop->sim->now_ns);
}

static void pause_reading(struct sk_stream *base, bool paused) {
    struct sim_stream *stream = of(base);
    if (!paused) wake(stream, stream->loop->sim->now_ns);
}

static void close_stream(struct sk_stream *base, bool abort) {
    struct sim_stream *stream = of(base);
    uint64_t now = stream->loop->sim->now_ns;
    bool first = !stream->base.closing;
    if (stream->gone) return;
    if (first) {
        stream->base.closing = true;
        stream->rest = stream->base.out;
        stream->base.out = (struct sk_buffer){0};
        stream->close_by = now + CLOSE_PATIENCE;
    }
    if (stream->loop->dead) return; /* told at the funeral */
    bool connecting = !stream->open && !stream->listener;
    if (!abort && !connecting) {
        wake(stream, now);
        return;
    }
    stream->close_by = NEVER;
    sk_buffer_free(&stream->rest);
    /* The kernel ends the connection in order, or resets it when something was left unread. */
    if (stream->unread || sim_below(stream->loop->sim, 2)) {
        reset_peer(stream);
        end(stream, now, SK_OK);
    } else {
        say_goodbye(stream);
    }
}

static const char *peer_address(struct sk_stream *stream) {
    return of(stream)->peer_text;
}

static struct sk_span peer_certificate(struct sk_stream *stream, size_t index) {
    const struct sim_chain *chain = of(stream)->peer_chain;
    return chain && index < chain->count ? chain->certificates[index] : SK_NONE;
}

static struct sk_span server_name(struct sk_stream *stream) {
    struct sim_stream *self = of(stream);
    return self->host ? SK_NONE
                      : sk_span_z(self->server_name); /* only an accepted stream has no host */
}

static bool peer_process(struct sk_stream *base, uint32_t *pid, uint32_t *uid) {
    struct sim_stream *stream = of(base);
    if (strcmp(stream->peer_text, "unix") != 0) return false;
    *pid = stream->peer_pid;
    *uid = stream->peer_uid;
    return true;
}

static const struct sk_stream_ops stream_ops = {
    .start_tls = begin_tls,
    .flush = flush_soon,
    .pause = pause_reading,
    .close = close_stream,
    .peer = peer_address,
    .peer_certificate = peer_certificate,
    .server_name = server_name,
    .peer_process = peer_process,
};

/* ---- faults ---- */

void sk_sim_partition(struct sk_io *a, struct sk_io *b, bool cut) {
    struct sim_machine *one = sim_loop(a)->machine, *other = sim_loop(b)->machine;
    struct sk_sim *sim = one->sim;
    struct sim_partition *partition = find_partition(sim, one, other);
    if ((partition != NULL) == cut) return;
    if (cut) {
        partition = SK_NEW(struct sim_partition);
        partition->a = one;
        partition->b = other;
        sk_list_append(&sim->partitions, &partition->link);
    } else {
        sk_list_remove(&partition->link);
        free(partition);
    }
    SK_LIST_EACH(&sim->loops, node, following) {
        struct sim_loop *loop = SK_CONTAINER(node, struct sim_loop, link);
        if (loop->dead || (loop->machine != one && loop->machine != other)) continue;
        SK_LIST_EACH(&loop->streams, stream_node, following_stream) {
            struct sim_stream *stream = SK_CONTAINER(stream_node, struct sim_stream, link);
            if (stream->remote != (loop->machine == one ? other : one)) continue;
            bool connecting = !stream->peer && !stream->lost && !stream->open;
            if (cut) {
                if (stream->give_up_at == NEVER) stream->give_up_at = sim->now_ns + PATIENCE;
                wake(stream, stream->give_up_at);
            } else if (connecting && !stream->base.closing) {
                stream->connect_at = sim->now_ns + delay(stream);
                wake(stream, stream->connect_at);
            } else if (!stream->lost) {
                stream->give_up_at = NEVER;
                wake(stream, sim->now_ns);
            }
        }
    }
}

void sk_sim_drop_connections(struct sk_io *io) {
    struct sim_machine *machine = sim_loop(io)->machine;
    SK_LIST_EACH(&machine->sim->loops, node, following) {
        struct sim_loop *loop = SK_CONTAINER(node, struct sim_loop, link);
        if (loop->dead || loop->machine != machine) continue;
        SK_LIST_EACH(&loop->streams, stream_node, following_stream) {
            struct sim_stream *stream = SK_CONTAINER(stream_node, struct sim_stream, link);
            reset_peer(stream);
            end(stream, machine->sim->now_ns, SK_IO);
        }
    }
}

void sim_net_loop_died(struct sim_loop *loop, bool silent) {
    struct sk_sim *sim = loop->sim;
    SK_LIST_EACH(&loop->streams, node, following) {
        struct sim_stream *stream = SK_CONTAINER(node, struct sim_stream, link),
                          *peer = stream->peer;
        stream->base.out.n = 0;
        if (peer == NULL) continue;
        part(stream);
        if (peer->loop->dead) continue;
        if (silent) {
            peer->lost = true;
            peer->give_up_at = sim->now_ns + PATIENCE;
            wake(peer, peer->give_up_at);
        } else if (stream->unread || sim_below(sim, 4) == 0) {
            end(peer, sim->now_ns + delay(stream), SK_IO);
        } else {
            deliver(peer, delay(stream), SK_NONE, true);
        }
    }
}

bool sim_net_bury(struct sim_loop *loop) {
    SK_LIST_EACH(&loop->streams, node, following) {
        struct sim_stream *stream = SK_CONTAINER(node, struct sim_stream, link);
        if (!stream->base.closing || stream->listener) continue;
        finish(stream, SK_OK);
        return true;
    }
    return false;
}

void sim_net_loop_freed(struct sim_loop *loop) {
    while (!sk_list_empty(&loop->streams)) {
        struct sim_stream *stream = SK_LIST_FIRST(&loop->streams, struct sim_stream, link);
        forget(stream);
        release(stream);
    }
    SK_LIST_EACH(&loop->machine->listeners, node, following) {
        struct sim_listener *listener = SK_CONTAINER(node, struct sim_listener, link);
        if (listener->base.io == &loop->base) sim_listener_close(&listener->base);
    }
}

void sim_net_free(struct sk_sim *sim) {
    while (!sk_list_empty(&sim->partitions)) {
        struct sim_partition *partition =
            SK_LIST_FIRST(&sim->partitions, struct sim_partition, link);
        sk_list_remove(&partition->link);
        free(partition);
    }
}
