#include "io/privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/io.h"
#include "io/uv.h"

/* ---- users ---- */

static bool may_pass(const struct stat *st, uint32_t uid, uint32_t gid) {
    if (st->st_uid == uid) return st->st_mode & S_IXUSR;
    if (st->st_gid == gid) return st->st_mode & S_IXGRP;
    return st->st_mode & S_IXOTH;
}

/* Whether the user gets through every folder above the path that is there. */
static bool reaches(const char *path, uint32_t uid, uint32_t gid) {
    char part[4096];
    struct stat st;
    if (realpath(".", part) == NULL || path[0] == '/') part[0] = 0;
    size_t n = strlen(part);
    if (snprintf(part + n, sizeof part - n, "/%s", path) >= (int)(sizeof part - n)) return false;
    for (char *at = part + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = 0;
        if (stat(part, &st)) return errno == ENOENT;
        if (!may_pass(&st, uid, gid)) return false;
        *at = '/';
    }
    return true;
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

static uint32_t give_uid, give_gid;

static int give_one(const char *path, const struct stat *st, int type, struct FTW *place) {
    (void)type, (void)place;
    if (st->st_uid == give_uid && st->st_gid == give_gid) return 0;
    return lchown(path, give_uid, give_gid);
}

enum sk_status sk_folder_give(const char *path, uint32_t uid, uint32_t gid) {
    enum { OPEN_FOLDERS = 8 };
    if (geteuid() != 0) return SK_OK;
    enum sk_status status = sk_uv_folder_make(NULL, path, 0711);
    if (status) return status;
    give_uid = uid;
    give_gid = gid;
    return nftw(path, give_one, OPEN_FOLDERS, FTW_PHYS) ? sk_uv_status(errno) : SK_OK;
}

/* ---- capabilities ---- */

static int set_capabilities(uint32_t low) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{.effective = low, .permitted = low}, {0}};
    return (int)syscall(SYS_capset, &header, data);
}

/* Each step needs what the next takes away. The bounding set is out of reach without CAP_SETPCAP, and
 * with no_new_privs it gives nothing anyway. */
static int let_go(uint32_t uid, uint32_t gid, bool low_ports) {
    for (int i = 0; prctl(PR_CAPBSET_READ, i) >= 0; i++) prctl(PR_CAPBSET_DROP, i);
    if (uid && (prctl(PR_SET_KEEPCAPS, 1) || setgroups(0, NULL) || setresgid(gid, gid, gid) ||
                setresuid(uid, uid, uid)))
        return -1;
    prctl(PR_SET_KEEPCAPS, 0);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    uint32_t left = low_ports ? 1u << CAP_NET_BIND_SERVICE : 0;
    /* Root that stays, because of folders above the data, may still have to pass through them. */
    if (uid == 0) left |= 1u << CAP_DAC_OVERRIDE;
    return left && set_capabilities(left) == 0 ? 0 : set_capabilities(0); /* not all may be ours */
}

enum sk_status sk_privileges_drop(uint32_t uid, uint32_t gid, bool low_ports, char reason[512]) {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (geteuid() != 0 || let_go(uid, gid, low_ports) == 0) return SK_OK;
    snprintf(reason, 512, "cannot become user %u: %s", uid, strerror(errno));
    return SK_FORBIDDEN;
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

/* ---- system calls ---- */

#if defined __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined __arm__
#define ARCHITECTURE AUDIT_ARCH_ARM
#endif
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#undef ARCHITECTURE /* the leak checker starts a tracer */
#endif

#ifdef ARCHITECTURE

/* What ends the process: nothing of ours does it. */
static const short deadly[] = {
    SYS_execve, SYS_execveat, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_bpf,
    SYS_mount,  SYS_unshare,  SYS_setns};

static const short allowed[] = {
    /* bytes */
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_pwrite64,
    SYS_preadv,
    SYS_pwritev,
    SYS_lseek,
    SYS_close,
    SYS_fcntl,
    SYS_dup,
    SYS_dup3,
    SYS_pipe2,
    SYS_eventfd2,
    /* sockets */
    SYS_socket,
    SYS_socketpair,
    SYS_connect,
    SYS_bind,
    SYS_listen,
    SYS_accept4,
    SYS_accept,
    SYS_getsockname,
    SYS_getpeername,
    SYS_setsockopt,
    SYS_getsockopt,
    SYS_shutdown,
    SYS_sendto,
    SYS_recvfrom,
    SYS_sendmsg,
    SYS_recvmsg,
    SYS_sendmmsg,
    SYS_recvmmsg,
    /* waiting */
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_ppoll,
    SYS_pselect6,
    SYS_futex,
    SYS_nanosleep,
    SYS_clock_nanosleep,
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_gettimeofday,
    SYS_restart_syscall,
    SYS_sched_yield,
    /* files */
    SYS_openat,
    SYS_newfstatat,
    SYS_fstat,
    SYS_statx,
    SYS_statfs,
    SYS_fstatfs,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_readlinkat,
    SYS_unlinkat,
    SYS_renameat,
    SYS_renameat2,
    SYS_mkdirat,
    SYS_getdents64,
    SYS_fsync,
    SYS_fdatasync,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_fchmod,
    SYS_fchmodat,
    SYS_flock,
    SYS_getcwd,
    SYS_umask,
    SYS_utimensat,
    /* memory */
    SYS_mmap,
    SYS_munmap,
    SYS_mprotect,
    SYS_mremap,
    SYS_madvise,
    SYS_brk,
    SYS_mincore,
    /* threads (clone is below) and signals */

    SYS_set_robust_list,
    SYS_get_robust_list,
    SYS_set_tid_address,
    SYS_rseq,
    SYS_exit,
    SYS_exit_group,
    SYS_gettid,
    SYS_getpid,
    SYS_getppid,
    SYS_tgkill,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_sched_getaffinity,
    SYS_membarrier,
    /* about itself */
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_uname,
    SYS_sysinfo,
    SYS_getrandom,
    SYS_prlimit64,
    SYS_getrusage,
    SYS_getcpu,
#ifdef __x86_64__
    SYS_open,
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_unlink,
    SYS_rename,
    SYS_mkdir,
    SYS_rmdir,
    SYS_chmod,
    SYS_poll,
    SYS_select,
    SYS_epoll_wait,
    SYS_dup2,
    SYS_pipe,
    SYS_time,
    SYS_getrlimit,
    SYS_arch_prctl,
#endif
};

enum { DEADLY = sizeof deadly / sizeof *deadly, ALLOWED = sizeof allowed / sizeof *allowed };

static size_t add(struct sock_filter *to, size_t n, unsigned what, unsigned value, unsigned yes,
                  unsigned no) {
    to[n] =
        (struct sock_filter){(unsigned short)what, (unsigned char)yes, (unsigned char)no, value};
    return n + 1;
}

/* "If the accumulator is `value`, return `verdict`." */
static size_t verdict_on(struct sock_filter *to, size_t n, unsigned value, unsigned verdict) {
    n = add(to, n, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    return add(to, n, BPF_RET | BPF_K, verdict, 0, 0);
}

void sk_sandbox_enter(void) {
    static const unsigned plain_ioctls[] = {FIONBIO, FIONREAD, FIOCLEX};
    struct sock_filter filter[2 * (DEADLY + ALLOWED) + 24];
    size_t n = 0, load = BPF_LD | BPF_W | BPF_ABS,
           argument = offsetof(struct seccomp_data, args[1]);
    n = add(filter, n, (unsigned)load, offsetof(struct seccomp_data, arch), 0, 0);
    n = add(filter, n, BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
    n = add(filter, n, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
    n = add(filter, n, (unsigned)load, offsetof(struct seccomp_data, nr), 0, 0);
    for (size_t i = 0; i < ALLOWED; i++)
        n = verdict_on(filter, n, (unsigned)allowed[i], SECCOMP_RET_ALLOW);
    for (size_t i = 0; i < DEADLY; i++)
        n = verdict_on(filter, n, (unsigned)deadly[i], SECCOMP_RET_KILL_PROCESS);
    /* Threads, but no processes and no namespaces. */
    n = add(filter, n, BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4);
    n = add(filter, n, (unsigned)load, offsetof(struct seccomp_data, args[0]), 0, 0);
    n = add(filter, n, BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1);
    n = add(filter, n, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    n = add(filter, n, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM, 0, 0);
    /* libuv makes sockets non-blocking by ioctl. */
    n = add(filter, n, BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 1, 0);
    n = add(filter, n, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS, 0, 0);
    n = add(filter, n, (unsigned)load, (unsigned)argument, 0, 0); /* its low half */
    for (size_t i = 0; i < 3; i++) n = verdict_on(filter, n, plain_ioctls[i], SECCOMP_RET_ALLOW);
    n = add(filter, n, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTTY, 0, 0);
    struct sock_fprog program = {.len = (unsigned short)n, .filter = filter};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0))
        SK_INFO("start", "this kernel has no filter for system calls: %s", strerror(errno));
}

#else
void sk_sandbox_enter(void) {}
#endif
