/* Files that root alone may read, for a process that is root no more: another, that stays
 * behind, reads them, and writes one of them where what shall be in it is allowed. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/privilege.h"
#include "io/uv/uv.h"

static struct {
    char **paths;
    size_t count;
    int socket;    /* to the process that reads */
    char *written; /* the path that may be written, or NULL */
    sk_may_become *may;
} kept = {.socket = -1};

enum { KEPT_FILE_MAX = 1024 * 1024 /* as hub.toml */, NOT_READ = 0xffffffff, NOBODY = 65534 };

/* What goes to the other process; behind it the bytes that shall be written. */
struct question {
    uint32_t n;
    unsigned char which;
    bool writes;
};

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

/* Its size, then its bytes. */
static bool serve_read(int fd, size_t which) {
    struct sk_buffer bytes = {.limit = KEPT_FILE_MAX};
    uint32_t n = NOT_READ;
    if (which < kept.count && sk_uv_file_load(NULL, kept.paths[which], &bytes) == SK_OK)
        n = (uint32_t)bytes.n;
    bool sent = exchange_all(fd, &n, sizeof n, true) &&
                (n == NOT_READ || exchange_all(fd, bytes.p, n, true));
    if (bytes.p) explicit_bzero(bytes.p, bytes.n);
    sk_buffer_free(&bytes);
    return sent;
}

/* Who asks may be anybody by now: what he sends is looked at by a process that may do nothing. */
static bool is_allowed(struct sk_span before, struct sk_span after) {
    int state;
    pid_t pid = fork();
    if (pid == 0) {
        if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
            setresuid(NOBODY, NOBODY, NOBODY) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
            _exit(1);
        _exit(kept.may(before, after) ? 0 : 1);
    }
    while (pid > 0 && waitpid(pid, &state, 0) < 0)
        if (errno != EINTR) return false;
    return pid > 0 && WIFEXITED(state) && WEXITSTATUS(state) == 0;
}

/* The bytes come, a status goes back. */
static bool serve_write(int fd, uint32_t n) {
    struct sk_buffer now = {.limit = KEPT_FILE_MAX};
    int32_t status = SK_FORBIDDEN;
    if (n > KEPT_FILE_MAX || kept.written == NULL) return false;
    char *bytes = sk_alloc(n + 1);
    bool fine = exchange_all(fd, bytes, n, false);
    if (fine && sk_uv_file_load(NULL, kept.written, &now) == SK_OK &&
        is_allowed(sk_buffer_span(&now), sk_span(bytes, n)))
        status = sk_uv_file_replace(NULL, kept.written, sk_span(bytes, n));
    explicit_bzero(bytes, n);
    free(bytes);
    if (now.p) explicit_bzero(now.p, now.n);
    sk_buffer_free(&now);
    return fine && exchange_all(fd, &status, sizeof status, true);
}

/* Answers questions. Ends with the other side. */
static void serve_files(int fd) {
    struct question asked;
    /* What the hub holds open (the lock of its data among it) is not held by this one. */
    if (dup3(fd, 3, O_CLOEXEC) >= 0) fd = 3;
    close_range(fd + 1, ~0u, 0);
    prctl(PR_SET_NAME, "skerry-reader");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGTERM, SIG_IGN); /* it ends with its parent */
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    while (exchange_all(fd, &asked, sizeof asked, false))
        if (!(asked.writes ? serve_write(fd, asked.n) : serve_read(fd, asked.which))) break;
    _exit(0);
}

void sk_keep_writing(const char *path, sk_may_become *may) {
    free(kept.written);
    kept.written = sk_text_dup(path);
    kept.may = may;
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
    struct question ask = {0};
    uint32_t n = NOT_READ;
    while (ask.which < kept.count && strcmp(kept.paths[ask.which], path) != 0) ask.which++;
    if (kept.socket < 0 || ask.which == kept.count) return SK_FORBIDDEN;
    if (!exchange_all(kept.socket, &ask, sizeof ask, true) ||
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

enum sk_status sk_kept_file_replace(const char *path, struct sk_span bytes) {
    struct question ask = {.n = (uint32_t)bytes.n, .writes = true};
    int32_t status = SK_IO;
    if (kept.socket < 0 || kept.written == NULL || strcmp(kept.written, path) != 0)
        return SK_FORBIDDEN;
    if (bytes.n > KEPT_FILE_MAX) return SK_TOO_LARGE;
    if (!exchange_all(kept.socket, &ask, sizeof ask, true) ||
        !exchange_all(kept.socket, (char *)bytes.p, bytes.n, true) ||
        !exchange_all(kept.socket, &status, sizeof status, false))
        return SK_IO;
    return (enum sk_status)status;
}
