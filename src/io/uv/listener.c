/* Listening in the real world: taking connections from the system, a few a turn. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/uv/uv.h"

enum { ACCEPTS_A_TURN = 16 };

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void accept_again(struct sk_timer *timer) {
    struct sk_uv_listener *l = SK_CONTAINER(timer, struct sk_uv_listener, pause);
    uv_poll_start(&l->poll, UV_READABLE, on_acceptable);
}

static void stop_accepting(struct sk_uv_listener *l, uint64_t for_ns) {
    uv_poll_stop(&l->poll);
    sk_timer_start(l->listener.io, &l->pause, for_ns, accept_again);
}

static void on_acceptable(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    struct sk_uv_listener *l = poll->data;
    sk_uv_enter(sk_uv(l->listener.io), "newcomers");
    if (sk_uv_stream_handshakes_wait(sk_uv(l->listener.io))) {
        stop_accepting(l, SK_MS);
        return;
    }
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage address = {0};
        socklen_t n = sizeof address;
        int fd = accept4(l->fd, (struct sockaddr *)&address, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                SK_SELDOM(SK_LEVEL_WARN, "io",
                          "cannot accept more connections: %s; raise the limit of open files",
                          strerror(errno));
                stop_accepting(l, SK_S);
            }
            return;
        }
        sk_uv_stream_accepted(l, fd, &address);
    }
}

static int open_listening(const struct sk_endpoint *at, enum sk_status *status) {
    struct sockaddr_storage storage = {0};
    socklen_t n = 0;
    if (at->path) {
        struct sockaddr_un *address = (struct sockaddr_un *)&storage;
        address->sun_family = AF_UNIX;
        if (strlen(at->path) >= sizeof address->sun_path) {
            *status = SK_TOO_LARGE;
            return -1;
        }
        memcpy(address->sun_path, at->path, strlen(at->path));
        n = sizeof *address;
        unlink(at->path);
    } else {
        char port[8];
        snprintf(port, sizeof port, "%u", at->port);
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                 .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
                        *found = NULL;
        if (getaddrinfo(at->host, port, &hints, &found)) {
            *status = SK_NOT_FOUND;
            return -1;
        }
        memcpy(&storage, found->ai_addr, found->ai_addrlen);
        n = found->ai_addrlen;
        freeaddrinfo(found);
    }
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    if (fd >= 0 && storage.ss_family != AF_UNIX)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&storage, n) ||
        (at->path && chmod(at->path, at->path_mode ? at->path_mode : 0600)) || listen(fd, 1024)) {
        *status = sk_uv_status(errno);
        if (fd >= 0) close(fd);
        return -1;
    }
    return fd;
}

enum sk_status sk_uv_listen(struct sk_io *io, const struct sk_endpoint *at, struct sk_tls *tls,
                            sk_accept_fn *accept, void *arg, struct sk_listener **listener) {
    enum sk_status status = SK_OK;
    int fd = open_listening(at, &status);
    if (fd < 0) return status;
    struct sk_uv_listener *l = SK_NEW(struct sk_uv_listener);
    l->listener.io = io;
    l->fd = fd;
    l->tls = (struct sk_uv_tls *)tls;
    if (l->tls) l->tls->references++;
    l->accept = accept;
    l->arg = arg;
    l->path = sk_text_dup(at->path);
    sk_list_init(&l->shaking);
    uv_poll_init_socket(&sk_uv(io)->loop, &l->poll, fd);
    l->poll.data = l;
    uv_poll_start(&l->poll, UV_READABLE, on_acceptable);
    *listener = &l->listener;
    return SK_OK;
}

uint16_t sk_uv_listener_port(const struct sk_listener *listener) {
    struct sockaddr_storage address;
    socklen_t n = sizeof address;
    if (getsockname(((const struct sk_uv_listener *)listener)->fd, (struct sockaddr *)&address, &n))
        return 0;
    if (address.ss_family == AF_INET) return ntohs(((struct sockaddr_in *)&address)->sin_port);
    if (address.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return 0;
}

static void on_listener_closed(uv_handle_t *handle) {
    struct sk_uv_listener *l = handle->data;
    close(l->fd);
    if (l->path) unlink(l->path);
    if (l->tls) sk_uv_tls_release(l->tls);
    free(l->path);
    free(l);
}

void sk_uv_listener_close(struct sk_listener *listener) {
    struct sk_uv_listener *l = (struct sk_uv_listener *)listener;
    sk_uv_stream_end_handshakes(l); /* nobody will take them any more */
    sk_timer_stop(&l->pause);
    uv_poll_stop(&l->poll);
    uv_close((uv_handle_t *)&l->poll, on_listener_closed);
}
