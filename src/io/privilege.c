#include "io/privilege.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/io.h"
#include "io/uv.h"

/* ---- users ---- */

/* One of the user's three sets of rights, as `access` counts them (R_OK, X_OK). */
static bool permits(const struct stat *st, uint32_t uid, uint32_t gid, unsigned rights) {
    unsigned shift = st->st_uid == uid ? 6 : st->st_gid == gid ? 3 : 0;
    return ((st->st_mode >> shift) & rights) == rights;
}

/* Whether the user gets through every folder above the path that is there. */
static bool reaches(const char *path, uint32_t uid, uint32_t gid) {
    char part[PATH_MAX];
    struct stat st;
    if (realpath(".", part) == NULL || path[0] == '/') part[0] = 0;
    size_t n = strlen(part);
    if (snprintf(part + n, sizeof part - n, "/%s", path) >= (int)(sizeof part - n)) return false;
    for (char *at = part + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = 0;
        if (stat(part, &st)) return errno == ENOENT;
        if (!permits(&st, uid, gid, X_OK)) return false;
        *at = '/';
    }
    return true;
}

/* The same, and the rights at its end; where links lead must be reached too. */
static bool has_rights(const char *path, uint32_t uid, uint32_t gid, unsigned rights) {
    char real[PATH_MAX];
    struct stat st;
    if (stat(path, &st) || realpath(path, real) == NULL) return true; /* the start will tell */
    return permits(&st, uid, gid, S_ISDIR(st.st_mode) ? X_OK : rights) && reaches(path, uid, gid) &&
           reaches(real, uid, gid);
}

static const char *join(const char *folder, const char *name, size_t folder_n, char to[PATH_MAX]) {
    if (snprintf(to, PATH_MAX, "%.*s/%s", (int)folder_n, folder, name) >= PATH_MAX) *to = 0;
    return to;
}

/* Where execvp would find the program. */
static const char *find_program(const char *name, const char *folder, char to[PATH_MAX]) {
    struct stat st;
    if (name[0] == '/') return name;
    if (strchr(name, '/')) return join(folder, name, strlen(folder), to);
    for (const char *at = getenv("PATH"); at; at = strchr(at, ':')) {
        at += *at == ':';
        if (stat(join(at, name, strcspn(at, ":"), to), &st) == 0) return to;
    }
    return name;
}

/* A word of a command, taken as a path. */
static bool can_use(const char *path, const struct sk_runner *runner, unsigned rights) {
    size_t n = strlen(runner->own);
    bool own = strncmp(path, runner->own, n) == 0 && (path[n] == '/' || path[n] == 0);
    return own || has_rights(path, runner->uid, runner->gid, rights);
}

bool sk_user_can_run(const char *const *command, const char *folder,
                     const struct sk_runner *runner) {
    char at[PATH_MAX];
    if (!can_use(folder, runner, X_OK) ||
        !can_use(find_program(command[0], folder, at), runner, X_OK))
        return false;
    for (size_t i = 1; command[i]; i++) { /* a script's interpreter reads the script */
        bool absolute = command[i][0] == '/';
        const char *path = absolute ? command[i] : join(folder, command[i], strlen(folder), at);
        if (!can_use(path, runner, R_OK)) return false;
    }
    return true;
}

bool sk_user_reaches(const char *path, uint32_t uid, uint32_t gid) {
    return has_rights(path, uid, gid, R_OK);
}

uint32_t sk_path_owner(const char *path) {
    struct stat st;
    return lstat(path, &st) ? UINT32_MAX : st.st_uid;
}

void sk_service_user(const char *name, uint32_t otherwise, const char *folder, uint32_t *uid,
                     uint32_t *gid) {
    *uid = *gid = 0;
    if (geteuid() != 0) return;
    if (sk_user_find(name, uid, gid)) *uid = *gid = otherwise;
    if (reaches(folder, *uid, *gid)) return;
    SK_WARN(
        "edge",
        "user %s (%u) cannot get to %s: the service stays root, with few capabilities; let others "
        "pass through the folders above it (chmod o+x)",
        name, *uid, folder);
    *uid = *gid = 0;
}

/* By descriptors and without following links: what is inside belongs to somebody who may be at work
 * there. A folder comes after what is in it, so that what was interrupted is seen. */
static int give_all(int fd, uint32_t uid, uint32_t gid) {
    DIR *folder = fdopendir(fd);
    int failed = folder == NULL;
    for (struct dirent *entry; !failed && (entry = readdir(folder)) != NULL;) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
        int below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below >= 0)
            failed = give_all(below, uid, gid);
        else
            failed = (errno != ENOTDIR && errno != ELOOP) ||
                     fchownat(fd, name, uid, gid, AT_SYMLINK_NOFOLLOW);
    }
    failed = failed || fchown(fd, uid, gid);
    int why = errno;
    if (folder == NULL)
        close(fd);
    else
        closedir(folder);
    errno = why;
    return failed;
}

enum sk_status sk_folder_give(const char *path, unsigned mode, uint32_t uid, uint32_t gid) {
    if (geteuid() != 0) return SK_OK;
    enum sk_status status = sk_uv_folder_make(NULL, path, mode);
    if (status) return status;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return sk_uv_status(errno);
    if (fchmod(fd, mode)) {
        status = sk_uv_status(errno);
        close(fd);
        return status;
    }
    return give_all(fd, uid, gid) ? sk_uv_status(errno) : SK_OK;
}

/* ---- capabilities ---- */

static uint32_t kept_capabilities;

/* What is not ours already cannot be kept. */
static int keep_capabilities(uint32_t wanted) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};
    if (syscall(SYS_capget, &header, data)) return -1;
    uint32_t left = data[0].permitted & wanted;
    data[0] = (struct __user_cap_data_struct){.effective = left, .permitted = left};
    data[1] = (struct __user_cap_data_struct){0};
    kept_capabilities = left;
    return (int)syscall(SYS_capset, &header, data);
}

/* Each step needs what the next takes away. The bounding set is out of reach without CAP_SETPCAP, and
 * with no_new_privs it gives nothing anyway. */
static int let_go(uint32_t uid, uint32_t gid, uint32_t keep) {
    for (int i = 0; prctl(PR_CAPBSET_READ, i) >= 0; i++)
        if (i >= 32 || !(keep & 1u << i)) prctl(PR_CAPBSET_DROP, i);
    if (uid && (prctl(PR_SET_KEEPCAPS, 1) || setgroups(0, NULL) || setresgid(gid, gid, gid) ||
                setresuid(uid, uid, uid)))
        return -1;
    prctl(PR_SET_KEEPCAPS, 0);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return keep_capabilities(keep);
}

enum sk_status sk_privileges_drop(uint32_t uid, uint32_t gid, uint32_t keep, char reason[512]) {
    int with_parent = 0;
    pid_t parent = getppid();
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (geteuid() != 0) return SK_OK;
    /* Root that stays, because of folders above the data, may still have to pass through them. */
    if (uid == 0) keep |= SK_KEEP_DAC_OVERRIDE;
    prctl(PR_GET_PDEATHSIG, &with_parent);
    if (let_go(uid, gid, keep)) {
        snprintf(reason, 512, "cannot become user %u: %s", uid, strerror(errno));
        return SK_FORBIDDEN;
    }
    /* Another user's process is no longer told of its parent's death. */
    if (with_parent) {
        prctl(PR_SET_PDEATHSIG, with_parent);
        if (getppid() != parent) raise(with_parent);
    }
    return SK_OK;
}

void sk_privileges_pass_folders(void) {
    keep_capabilities(SK_KEEP_DAC_OVERRIDE);
}

bool sk_may_give_files(void) {
    return geteuid() == 0 || kept_capabilities & SK_KEEP_CHOWN;
}

/* ---- files that root alone may read ---- */

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
