/* Files that root alone may read, for a process that is root no more: another, that stays
 * behind, reads them. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/privilege.h"
#include "io/uv/uv.h"

static struct {
    char **paths;
    size_t count;
    int socket; /* to the process that reads */
} kept = {.socket = -1};

enum { KEPT_FILE_MAX = 256 * 1024, NOT_READ = 0xffffffff };

static bool exchange_all(int fd, void *bytes, size_t n, bool sends) {
    for (char *at = bytes; n;) {
        ssize_t done = sends ? send(fd, at, n, MSG_NOSIGNAL) : recv(fd, at, n, 0);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        at += done;
        n -= (size_t)done;
    }
    return true;
}

/* A number comes, the file goes back: its size, then its bytes. Ends with the other side. */
static void serve_files(int fd) {
    unsigned char which;
    /* What the hub holds open (the lock of its data among it) is not held by this one. */
    if (dup3(fd, 3, O_CLOEXEC) >= 0) fd = 3;
    close_range(fd + 1, ~0u, 0);
    prctl(PR_SET_NAME, "skerry-reader");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGTERM, SIG_IGN); /* it ends with its parent */
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    while (exchange_all(fd, &which, 1, false)) {
        struct sk_buffer bytes = {.limit = KEPT_FILE_MAX};
        uint32_t n = NOT_READ;
        if (which < kept.count && sk_uv_file_load(NULL, kept.paths[which], &bytes) == SK_OK)
            n = (uint32_t)bytes.n;
        bool sent = exchange_all(fd, &n, sizeof n, true) &&
                    (n == NOT_READ || exchange_all(fd, bytes.p, n, true));
        if (bytes.p) explicit_bzero(bytes.p, bytes.n);
        sk_buffer_free(&bytes);
        if (!sent) break;
    }
    _exit(0);
}

enum sk_status sk_keep_reading(const char *const *paths, size_t count) {
    int ends[2];
    if (geteuid() != 0) return SK_OK;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) return SK_IO;
    kept.paths = sk_alloc(count * sizeof *kept.paths);
    for (size_t i = 0; i < count; i++) kept.paths[i] = sk_span_dup(sk_span_z(paths[i]));
    kept.count = count;
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        serve_files(ends[1]);
    }
    close(ends[1]);
    if (pid < 0) close(ends[0]);
    kept.socket = pid < 0 ? -1 : ends[0];
    return pid < 0 ? SK_IO : SK_OK;
}

enum sk_status sk_kept_file_load(const char *path, struct sk_buffer *to) {
    unsigned char which = 0;
    uint32_t n = NOT_READ;
    while (which < kept.count && strcmp(kept.paths[which], path) != 0) which++;
    if (kept.socket < 0 || which == kept.count) return SK_FORBIDDEN;
    if (!exchange_all(kept.socket, &which, 1, true) ||
        !exchange_all(kept.socket, &n, sizeof n, false))
        return SK_IO;
    if (n == NOT_READ || n > KEPT_FILE_MAX) return SK_FORBIDDEN;
    char *bytes = sk_alloc(n + 1);
    enum sk_status status = exchange_all(kept.socket, bytes, n, false) ? SK_OK : SK_IO;
    if (!status) status = sk_buffer_append(to, sk_span(bytes, n));
    explicit_bzero(bytes, n);
    free(bytes);
    return status;
}
