/* Streams of the real world: a non-blocking socket under uv_poll, with or without OpenSSL on it.
 *
 * TLS works on the socket itself (input.c), so the only buffers are OpenSSL's own (released when
 * idle) and what waits to be written. Reads go through one scratch buffer a loop, when the turn
 * serves the stream (turn.c). Output gathers in stream->out and leaves once a turn. */
#include "io/uv/uv.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum state { RESOLVING, CONNECTING, HANDSHAKE, OPEN, FLUSHING, CLOSED };

enum {
    HANDSHAKE_S = 30,    /* connecting, and the TLS handshake of either side */
    FLUSH_S = 5,         /* what a closing stream gets to send its rest */
    HANDSHAKES_MAX = 64, /* that wait for the processor; beyond, newcomers wait in the system */
    KEPT_OUT = 2048,     /* output memory an idle stream may keep */
};

/* The socket under poll. On its own, because libuv gives a handle back only later, and a name with
 * several addresses needs one socket after the other. */
struct polled {
    uv_poll_t poll;
    int events; /* that it waits for */
    int fd;
    struct uv_stream *stream;
};

struct uv_stream {
    struct sk_stream stream;
    struct polled *socket; /* NULL before there is one */
    struct sk_uv_input input;
    enum state state;
    bool wants_write; /* OpenSSL or a full socket waits for writability */
    bool ended;       /* the peer has, for `reason`; told when all that came before was taken */
    bool drained;     /* on_drain is due */
    bool busy;        /* took much of the loop when it was served last */
    enum sk_status reason;
    SSL *ssl;
    struct sk_uv_tls *tls;
    struct sk_uv_listener *listener; /* until accepted */
    struct sk_list ready;            /* in the loop's `sparse` or `busy`: has input */
    struct sk_list shaking;          /* in the listener's */
    struct sk_timer timer;
    struct sk_task flush, drain, finish;
    char *server_name, *peer;
    unsigned char *certificates[4]; /* DER, made when asked for */
    int certificate_sizes[4];
    struct resolve *resolve;
    struct addrinfo *addresses, *next_address;
};

struct resolve {
    uv_getaddrinfo_t request;
    struct uv_stream *stream; /* NULL: nobody waits any more */
};

static void advance(struct uv_stream *s, int events);
static void update_poll(struct uv_stream *s);
static void poll_for_wanted(struct uv_stream *s);
static void try_next_address(struct uv_stream *s);
static const char *peer_address(struct sk_stream *stream);
static const struct sk_stream_ops stream_ops;

/* ---- ending ---- */

static void free_stream(struct uv_stream *s) {
    if (s->stream.events && s->stream.events->on_close)
        s->stream.events->on_close(&s->stream, s->stream.arg, s->reason);
    if (s->ssl) SSL_free(s->ssl);
    if (s->tls) sk_uv_tls_release(s->tls);
    if (s->addresses) freeaddrinfo(s->addresses);
    for (size_t i = 0; i < 4; i++) OPENSSL_free(s->certificates[i]);
    sk_stream_free(&s->stream);
    free(s->server_name);
    free(s->peer);
    free(s);
}

static void on_poll_closed(uv_handle_t *handle) {
    struct polled *socket = handle->data;
    free(socket);
}

static void drop_socket(struct uv_stream *s) {
    if (s->socket == NULL) return;
    uv_poll_stop(&s->socket->poll);
    close(s->socket->fd); /* the stopped handle does not touch it any more */
    uv_close((uv_handle_t *)&s->socket->poll, on_poll_closed);
    s->socket = NULL;
}

static void finish(struct sk_task *task) {
    struct uv_stream *s = SK_CONTAINER(task, struct uv_stream, finish);
    drop_socket(s);
    free_stream(s);
}

/* The single way to the end; the rest happens outside of any call into the stream. */
static void end(struct uv_stream *s, enum sk_status reason) {
    if (s->state == CLOSED) return;
    if (s->ssl && s->state == OPEN && reason == SK_OK) SSL_shutdown(s->ssl);
    ERR_clear_error();
    s->state = CLOSED;
    s->stream.closing = true;
    s->reason = reason;
    s->listener = NULL;
    sk_list_remove(&s->shaking);
    sk_list_remove(&s->ready);
    sk_timer_stop(&s->timer);
    sk_io_undefer(&s->flush);
    sk_io_undefer(&s->drain);
    if (s->resolve) s->resolve->stream = NULL;
    if (s->socket) uv_poll_stop(&s->socket->poll);
    sk_io_defer(s->stream.io, &s->finish, finish);
}

static void on_timeout(struct sk_timer *timer) {
    struct uv_stream *s = SK_CONTAINER(timer, struct uv_stream, timer);
    end(s, s->state == FLUSHING ? SK_OK : SK_TIMEOUT);
}

/* ---- polling ---- */

static int wanted_events(const struct uv_stream *s) {
    int events = 0;
    if (s->state == CONNECTING || s->wants_write) events |= UV_WRITABLE;
    if (s->state == HANDSHAKE || s->state == FLUSHING ||
        (s->state == OPEN && !s->ended && sk_stream_readable(&s->stream)))
        events |= UV_READABLE;
    return events;
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    struct uv_stream *s = ((struct polled *)poll->data)->stream;
    sk_uv_enter(sk_uv(s->stream.io), "a socket");
    if (status < 0) s->socket->events = 0; /* libuv has stopped */
    advance(s, status < 0 ? UV_READABLE | UV_WRITABLE : events);
    if (status < 0) update_poll(s); /* the error may stand behind unread bytes */
    if (events & UV_READABLE && (wanted_events(s) & UV_READABLE) == 0) poll_for_wanted(s);
}

/* It has input: served in this turn or, when that is full, in one of the next. Handshakes are
 * dear. */
static void ready(struct uv_stream *s) {
    struct sk_uv *uv = sk_uv(s->stream.io);
    if (!sk_list_empty(&s->ready)) return;
    sk_list_append(s->busy || s->state == HANDSHAKE ? &uv->busy : &uv->sparse, &s->ready);
}

static void poll_for_wanted(struct uv_stream *s) {
    if (s->state == CLOSED || s->socket == NULL) return;
    s->socket->events = wanted_events(s);
    if (s->socket->events)
        uv_poll_start(&s->socket->poll, s->socket->events, on_poll);
    else
        uv_poll_stop(&s->socket->poll);
}

/* Who stops reading is polled on until input comes (on_poll): most pauses end before, and a change
 * costs two calls of the system. */
static void update_poll(struct uv_stream *s) {
    if (s->state == CLOSED || s->socket == NULL) return;
    int wanted = wanted_events(s), polled = s->socket->events;
    if (wanted != polled && (wanted | UV_READABLE) != polled) poll_for_wanted(s);
}

static void take_socket(struct uv_stream *s, int fd) {
    s->socket = SK_NEW(struct polled);
    s->socket->fd = s->input.fd = fd;
    s->socket->stream = s;
    s->socket->poll.data = s->socket;
    uv_poll_init_socket(&sk_uv(s->stream.io)->loop, &s->socket->poll, fd);
}

/* ---- writing ---- */

/* SK_OK: wrote *n; SK_AGAIN: not now; else the stream is dead. */
static enum sk_status write_some(struct uv_stream *s, struct sk_span bytes, size_t *n) {
    if (s->ssl == NULL) {
        ssize_t r = send(s->socket->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (r < 0) return errno == EAGAIN || errno == EINTR ? SK_AGAIN : SK_IO;
        *n = (size_t)r;
        return SK_OK;
    }
    ERR_clear_error();
    if (SSL_write_ex(s->ssl, bytes.p, bytes.n, n) == 1) return SK_OK;
    int error = SSL_get_error(s->ssl, 0);
    return error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ ? SK_AGAIN : SK_IO;
}

/* A turn later: who writes more in there must not keep the loop. */
static void drain(struct sk_task *task) {
    struct uv_stream *s = SK_CONTAINER(task, struct uv_stream, drain);
    s->stream.over_high = false;
    if (s->stream.events->on_drain) s->stream.events->on_drain(&s->stream, s->stream.arg);
}

static void flush(struct uv_stream *s) {
    if (s->state != OPEN && s->state != FLUSHING) return;
    size_t sent = 0, before = s->stream.out.n;
    enum sk_status status = SK_OK;
    while (sent < s->stream.out.n && !status) {
        size_t n = 0;
        status = write_some(s, sk_span_skip(sk_buffer_span(&s->stream.out), sent), &n);
        if (!status) sent += n;
    }
    sk_buffer_consume(&s->stream.out, sent);
    if (sent) s->stream.sent_ns = sk_io_now(s->stream.io);
    if (status && status != SK_AGAIN) {
        end(s, status);
        return;
    }
    bool blocked = s->stream.out.n > 0,
         full = before > SK_STREAM_HIGH && s->stream.out.n <= SK_STREAM_HIGH;
    bool changed = blocked != s->wants_write || full || before > SK_STREAM_HIGH;
    s->wants_write = blocked;
    if (changed) update_poll(s);
    if (full && s->state == OPEN && sk_stream_readable(&s->stream)) ready(s); /* read on */
    if (blocked) return;
    if (s->stream.out.capacity > KEPT_OUT) sk_buffer_free(&s->stream.out);
    if (s->state == FLUSHING) {
        if (s->ssl) SSL_shutdown(s->ssl);
        end(s, SK_OK);
    } else if (s->stream.over_high) {
        sk_io_yield(s->stream.io, &s->drain, drain);
    }
}

static void flush_task(struct sk_task *task) {
    flush(SK_CONTAINER(task, struct uv_stream, flush));
}

static void flush_soon(struct sk_stream *stream) {
    struct uv_stream *s = (struct uv_stream *)stream;
    if (s->state != CLOSED && !s->wants_write) sk_io_defer(stream->io, &s->flush, flush_task);
}

/* ---- reading ---- */

/* SK_OK: *n bytes, more may follow; SK_AGAIN: the socket is empty, or the share used up; SK_CLOSED:
 * the peer has ended; else an error. */
static enum sk_status read_tls(struct uv_stream *s, char *to, size_t size, size_t *n) {
    ERR_clear_error();
    if (SSL_read_ex(s->ssl, to, size, n) == 1) {
        s->input.dataless = 0;
        return SK_OK;
    }
    if (s->input.breach) {
        SK_SELDOM(SK_LEVEL_WARN, "tls", "%s %s: the connection ends", peer_address(&s->stream),
                  s->input.breach);
        return SK_MALFORMED;
    }
    switch (SSL_get_error(s->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return SK_AGAIN;
    case SSL_ERROR_ZERO_RETURN: return SK_CLOSED;
    case SSL_ERROR_SYSCALL: return SK_CLOSED; /* reset or cut */
    default: return SK_MALFORMED;
    }
}

static enum sk_status read_plain(struct uv_stream *s, char *to, size_t size, size_t *n) {
    ssize_t r = sk_uv_receive(&s->input, to, size);
    if (r < 0)
        return errno == EAGAIN || errno == EINTR ? SK_AGAIN
               : errno == ECONNRESET             ? SK_CLOSED
                                                 : SK_IO;
    *n = (size_t)r;
    if (r == 0) return SK_CLOSED;
    return *n < size ? SK_AGAIN : SK_OK; /* that was all */
}

/* Fills the scratch buffer as far as there is input and the share goes. SK_OK: *n bytes, more may
 * follow; else as above, behind *n bytes. */
static enum sk_status read_some(struct uv_stream *s, char *to, size_t size, size_t *n) {
    enum sk_status status = SK_OK;
    *n = 0;
    while (*n < size && !status) {
        size_t r = 0;
        status =
            s->ssl ? read_tls(s, to + *n, size - *n, &r) : read_plain(s, to + *n, size - *n, &r);
        *n += r;
        /* Records of a few bytes cost more than their bytes. */
        if (s->ssl && uv_hrtime() >= s->stream.io->share.until_ns) break;
    }
    return status == SK_AGAIN && s->input.left == 0 ? SK_OK : status;
}

static bool may_read(const struct uv_stream *s) {
    return s->state == OPEN && sk_stream_readable(&s->stream);
}

static void begin_share(struct uv_stream *s) {
    s->input.left = SK_UV_SCRATCH;
    sk_share_begin(&s->stream.io->share, s->stream.io);
}

/* The stream's share of this turn. True: it has more. */
static bool read_share(struct uv_stream *s) {
    char *scratch = sk_uv(s->stream.io)->scratch;
    begin_share(s);
    while (may_read(s)) {
        if (s->stream.in.n) {
            sk_stream_give(&s->stream, SK_NONE);
            if (s->stream.in.n) return may_read(s);
            continue;
        }
        if (s->ended) {
            end(s, s->reason);
            return false;
        }
        if (s->input.left == 0) return true;
        bool unproved = s->stream.accepted && !s->stream.proved;
        size_t n, most = unproved ? SK_STREAM_UNPROVED : SK_UV_SCRATCH;
        enum sk_status status = read_some(s, scratch, most, &n);
        if (n) sk_stream_give(&s->stream, sk_span(scratch, n));
        if (status == SK_AGAIN) return s->stream.in.n && may_read(s);
        if (status && s->state == OPEN) {
            s->ended = true;
            s->reason = status == SK_CLOSED ? SK_OK : status;
        }
    }
    return false;
}

static void pause_reading(struct sk_stream *stream, bool paused) {
    struct uv_stream *s = (struct uv_stream *)stream;
    update_poll(s);
    if (paused)
        sk_list_remove(&s->ready);
    else if (s->state == OPEN)
        ready(s); /* what it gave back, or what OpenSSL holds, where poll does not see it */
}

/* ---- opening ---- */

static void opened(struct uv_stream *s) {
    s->state = OPEN;
    s->wants_write = false;
    if (s->ssl) sk_uv_input_guard(&s->input, s->ssl);
    s->stream.heard_ns = s->stream.sent_ns = sk_io_now(s->stream.io);
    sk_timer_stop(&s->timer);
    update_poll(s);
    if (s->listener) {
        struct sk_uv_listener *listener = s->listener;
        s->listener = NULL;
        sk_list_remove(&s->shaking);
        listener->accept(listener->arg, &s->stream);
    } else if (s->stream.events->on_open) {
        s->stream.events->on_open(&s->stream, s->stream.arg);
    }
    if (s->state != OPEN) return;
    if (s->stream.out.n) flush_soon(&s->stream);
    if (s->ssl && sk_stream_readable(&s->stream))
        ready(s); /* data may have come with the handshake */
}

static void handshake(struct uv_stream *s) {
    if (s->ssl == NULL) s->ssl = sk_uv_tls_attach(s->tls, &s->input, s->server_name);
    if (s->ssl == NULL) {
        end(s, SK_INVALID);
        return;
    }
    s->input.left = SK_STREAM_UNPROVED;
    ERR_clear_error();
    int done = SSL_do_handshake(s->ssl);
    if (done == 1) {
        opened(s);
        return;
    }
    int error = SSL_get_error(s->ssl, done);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        s->wants_write = error == SSL_ERROR_WANT_WRITE;
        update_poll(s);
        return;
    }
    if (!s->tls->server) {
        long verified = SSL_get_verify_result(s->ssl);
        if (verified != X509_V_OK)
            SK_WARN("tls", "%s is not trusted: %s", s->server_name,
                    X509_verify_cert_error_string(verified));
        end(s, verified != X509_V_OK ? SK_UNAUTHORIZED : SK_IO);
        return;
    }
    char why[160] = "the peer went away";
    unsigned long code = ERR_peek_error();
    if (code) ERR_error_string_n(code, why, sizeof why);
    SK_DEBUG("tls", "handshake with %s failed: %s", peer_address(&s->stream), why);
    end(s, SK_IO);
}

static void start_tls(struct uv_stream *s) {
    s->state = HANDSHAKE;
    sk_timer_start(s->stream.io, &s->timer, HANDSHAKE_S * SK_S, on_timeout);
    update_poll(s);
    if (!s->tls->server) handshake(s); /* a server waits for the first byte */
}

static void connected(struct uv_stream *s) {
    int error = 0;
    socklen_t n = sizeof error;
    getsockopt(s->socket->fd, SOL_SOCKET, SO_ERROR, &error, &n);
    if (error) {
        if (s->next_address)
            try_next_address(s);
        else
            end(s, sk_uv_status(error));
    } else if (s->tls) {
        start_tls(s);
    } else {
        opened(s);
    }
}

static void advance(struct uv_stream *s, int events) {
    switch (s->state) {
    case CONNECTING: connected(s); break;
    case HANDSHAKE: ready(s); break;
    case OPEN:
        if (events & UV_WRITABLE && s->wants_write) {
            s->wants_write = false;
            flush(s);
            update_poll(s);
        }
        if (events & UV_READABLE && may_read(s)) ready(s);
        break;
    case FLUSHING: {
        if (events & UV_WRITABLE) {
            s->wants_write = false;
            flush(s);
        }
        /* What still comes is thrown away; it must be read, or close() would turn into a reset. */
        size_t n;
        enum sk_status status = SK_OK;
        begin_share(s);
        if (events & UV_READABLE && s->state == FLUSHING)
            status = read_some(s, sk_uv(s->stream.io)->scratch, SK_UV_SCRATCH, &n);
        if (status && status != SK_AGAIN) end(s, SK_OK);
        break;
    }
    case RESOLVING:
    case CLOSED: break;
    }
}

bool sk_uv_stream_serve(struct sk_list *node, bool *busy) {
    enum { MUCH_NS = 250 * 1000 };
    struct uv_stream *s = SK_CONTAINER(node, struct uv_stream, ready);
    struct sk_uv *uv = sk_uv(s->stream.io);
    uint64_t began = uv_hrtime();
    bool shakes = s->state == HANDSHAKE;
    sk_uv_doing_for(uv, shakes ? "the handshake" : "input", peer_address(&s->stream));
    bool more = false;
    if (shakes)
        handshake(s);
    else
        more = read_share(s);
    s->busy = !shakes && (more || uv_hrtime() - began > MUCH_NS);
    *busy = s->busy;
    return more && s->state == OPEN && sk_list_empty(&s->ready);
}

static struct uv_stream *new_stream(struct sk_io *io, struct sk_tls *tls) {
    struct uv_stream *s = SK_NEW(struct uv_stream);
    s->stream.ops = &stream_ops;
    s->stream.io = io;
    s->tls = (struct sk_uv_tls *)tls;
    if (s->tls) s->tls->references++;
    return s;
}

static void no_delay(int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

/* ---- connecting ---- */

static enum sk_status start_connect(struct uv_stream *s, const struct sockaddr *address,
                                    socklen_t n) {
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return sk_uv_status(errno);
    if (address->sa_family != AF_UNIX) no_delay(fd);
    if (connect(fd, address, n) && errno != EINPROGRESS) {
        enum sk_status status = sk_uv_status(errno);
        close(fd);
        return status;
    }
    s->state = CONNECTING;
    take_socket(s, fd);
    update_poll(s);
    return SK_OK;
}

static void try_next_address(struct uv_stream *s) {
    enum sk_status status = SK_REFUSED;
    drop_socket(s);
    while (s->next_address && status) {
        struct addrinfo *address = s->next_address;
        s->next_address = address->ai_next;
        status = start_connect(s, address->ai_addr, address->ai_addrlen);
    }
    if (status) end(s, status);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses) {
    struct resolve *resolve = request->data;
    struct uv_stream *s = resolve->stream;
    sk_uv_enter(SK_CONTAINER(request->loop, struct sk_uv, loop), "a name's addresses");
    free(resolve);
    if (s == NULL) {
        uv_freeaddrinfo(addresses);
        return;
    }
    s->resolve = NULL;
    if (status < 0) {
        end(s, SK_NOT_FOUND);
        return;
    }
    s->addresses = s->next_address = addresses;
    try_next_address(s);
}

static void failed_at_once(struct sk_timer *timer) {
    struct uv_stream *s = SK_CONTAINER(timer, struct uv_stream, timer);
    end(s, s->reason);
}

struct sk_stream *sk_uv_connect(struct sk_io *io, const struct sk_endpoint *to, struct sk_tls *tls,
                                const char *server_name, const struct sk_stream_events *events,
                                void *arg) {
    struct uv_stream *s = new_stream(io, tls);
    sk_stream_handle(&s->stream, events, arg);
    const char *name = server_name ? server_name : to->host;
    s->server_name = sk_text_dup(name);
    sk_timer_start(io, &s->timer, HANDSHAKE_S * SK_S, on_timeout);
    enum sk_status status = SK_OK;
    if (to->path) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        s->peer = sk_span_dup(SK_SPAN("unix"));
        if (strlen(to->path) >= sizeof address.sun_path) {
            status = SK_TOO_LARGE;
        } else {
            memcpy(address.sun_path, to->path, strlen(to->path));
            status = start_connect(s, (struct sockaddr *)&address, sizeof address);
        }
    } else {
        char port[8];
        snprintf(port, sizeof port, "%u", to->port);
        struct sk_buffer peer = {0};
        sk_buffer_print(&peer, "%s:%s", to->host, port);
        sk_buffer_byte(&peer, 0);
        s->peer = peer.p;
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                 .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV},
                        *numeric = NULL;
        if (getaddrinfo(to->host, port, &hints, &numeric) == 0) {
            s->addresses = s->next_address = numeric;
            s->next_address = NULL;
            status = start_connect(s, numeric->ai_addr, numeric->ai_addrlen);
        } else {
            struct resolve *resolve = SK_NEW(struct resolve);
            resolve->request.data = resolve;
            resolve->stream = s;
            hints.ai_flags = AI_ADDRCONFIG;
            int failed = uv_getaddrinfo(&sk_uv(io)->loop, &resolve->request, on_resolved, to->host,
                                        port, &hints);
            if (failed) {
                free(resolve);
                status = SK_NOT_FOUND;
            } else {
                s->resolve = resolve;
            }
        }
    }
    if (status) {
        s->reason = status;
        sk_timer_start(io, &s->timer, 0, failed_at_once);
    }
    return &s->stream;
}

static enum sk_status begin_tls(struct sk_stream *stream, struct sk_tls *tls,
                                const char *server_name) {
    struct uv_stream *s = (struct uv_stream *)stream;
    if (s->state != OPEN || s->ssl) return SK_INVALID;
    s->tls = (struct sk_uv_tls *)tls;
    s->tls->references++;
    free(s->server_name);
    s->server_name = sk_span_dup(sk_span_z(server_name));
    sk_list_remove(&s->ready);
    flush(s); /* what was written before goes out in plain text */
    if (s->state == OPEN) start_tls(s);
    return SK_OK;
}

static void close_stream(struct sk_stream *stream, bool abort) {
    struct uv_stream *s = (struct uv_stream *)stream;
    if (s->state == CLOSED) return;
    if (abort || s->state != OPEN) {
        if (s->state != FLUSHING || abort) end(s, SK_OK);
        return;
    }
    s->state = FLUSHING;
    sk_list_remove(&s->ready);
    sk_io_undefer(&s->drain);
    s->stream.closing = true;
    sk_timer_start(stream->io, &s->timer, FLUSH_S * SK_S, on_timeout);
    update_poll(s);
    if (!s->wants_write) sk_io_defer(stream->io, &s->flush, flush_task);
}

/* ---- accepting ---- */

static char *address_text(const struct sockaddr_storage *address) {
    char host[64] = "unix", port[8] = "";
    if (address->ss_family != AF_UNIX)
        getnameinfo((const struct sockaddr *)address, sizeof *address, host, sizeof host, port,
                    sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    struct sk_buffer text = {0};
    sk_buffer_print(&text, "%s%s%s", host, *port ? ":" : "", port);
    sk_buffer_byte(&text, 0);
    return text.p;
}

void sk_uv_stream_accepted(struct sk_uv_listener *l, int fd,
                           const struct sockaddr_storage *address) {
    struct uv_stream *s = new_stream(l->listener.io, l->tls ? &l->tls->tls : NULL);
    s->peer = address_text(address);
    s->stream.accepted = true;
    take_socket(s, fd);
    if (l->path ? !sk_door_enter_local(&s->stream, l->path) : !sk_door_enter(&s->stream, s->peer)) {
        end(s, SK_OK);
        return;
    }
    if (!l->path) no_delay(fd);
    s->listener = l;
    sk_list_append(&l->shaking, &s->shaking);
    if (s->tls)
        start_tls(s);
    else
        opened(s);
}

bool sk_uv_stream_handshakes_wait(const struct sk_uv *uv) {
    unsigned n = 0;
    SK_LIST_EACH(&((struct sk_uv *)uv)->busy, node, following) {
        n += SK_CONTAINER(node, struct uv_stream, ready)->state == HANDSHAKE;
        if (n >= HANDSHAKES_MAX) return true;
    }
    return false;
}

void sk_uv_stream_end_handshakes(struct sk_uv_listener *l) {
    while (!sk_list_empty(&l->shaking))
        end(SK_LIST_FIRST(&l->shaking, struct uv_stream, shaking), SK_OK);
}

/* ---- who is there ---- */

static const char *peer_address(struct sk_stream *stream) {
    const char *peer = ((struct uv_stream *)stream)->peer;
    return peer ? peer : "?";
}

static struct sk_span peer_certificate(struct sk_stream *stream, size_t index) {
    struct uv_stream *s = (struct uv_stream *)stream;
    if (s->ssl == NULL || index >= 4) return SK_NONE;
    if (s->certificates[index] == NULL) {
        X509 *certificate = NULL;
        STACK_OF(X509) *chain = SSL_get_peer_cert_chain(s->ssl);
        if (index == 0)
            certificate = SSL_get0_peer_certificate(s->ssl);
        else if (chain) /* a server's view of the chain leaves the leaf out */
            certificate = sk_X509_value(chain, (int)index - (s->tls->server ? 1 : 0));
        if (certificate == NULL) return SK_NONE;
        s->certificate_sizes[index] = i2d_X509(certificate, &s->certificates[index]);
    }
    return sk_span(s->certificates[index], (size_t)s->certificate_sizes[index]);
}

static struct sk_span server_name(struct sk_stream *stream) {
    struct uv_stream *s = (struct uv_stream *)stream;
    return s->ssl ? sk_span_z(SSL_get_servername(s->ssl, TLSEXT_NAMETYPE_host_name)) : SK_NONE;
}

static bool peer_process(struct sk_stream *stream, uint32_t *pid, uint32_t *uid) {
    struct uv_stream *s = (struct uv_stream *)stream;
    struct ucred credentials;
    socklen_t n = sizeof credentials;
    if (s->socket == NULL || getsockopt(s->socket->fd, SOL_SOCKET, SO_PEERCRED, &credentials, &n))
        return false;
    if (credentials.pid == 0) return false; /* not a unix socket */
    *pid = (uint32_t)credentials.pid;
    *uid = credentials.uid;
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
