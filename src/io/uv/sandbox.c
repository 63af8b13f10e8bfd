/* Filters of system calls: two tables and the compiler that makes a program of the kernel's filter
 * machine out of them. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/privilege.h"

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

/* ---- servers: what is not named fails ---- */

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

/* What ends the process: nothing of ours does it. */
static const short deadly[] = {
    SYS_execve, SYS_execveat, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_bpf,
    SYS_mount,  SYS_unshare,  SYS_setns};

/* ---- modules: what is named fails ---- */

/* What changes the machine, looks into other processes or has been a way out of containers; in the
 * spirit of the default profiles of Docker and Podman. */
static const short denied[] = {
    /* mounts and namespaces (clone is below) */
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_open_tree,
    SYS_move_mount,
    SYS_mount_setattr,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_unshare,
    SYS_setns,
    SYS_open_by_handle_at,
    SYS_quotactl,
    SYS_swapon,
    SYS_swapoff,
    /* other processes */
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kcmp,
    SYS_pidfd_getfd,
    /* the kernel */
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_reboot,
    SYS_syslog,
    SYS_acct,
    SYS_vhangup,
    /* its keys, clocks and names */
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_clock_adjtime,
    SYS_sethostname,
    SYS_setdomainname,
#ifdef SYS_kexec_file_load
    SYS_kexec_file_load,
#endif
#ifdef __x86_64__
    SYS_iopl,
    SYS_ioperm,
#endif
};

/* ---- the compiler ---- */

enum { X32_BIT = 0x40000000 }; /* x86-64's second numbering, with the same architecture */
enum {
    NAMESPACES = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                 CLONE_NEWPID | CLONE_NEWNET
};

#define CALLS(table, with)                                                                         \
    (struct calls) {                                                                               \
        .numbers = (table), .count = sizeof(table) / sizeof *(table), .verdict = (with)            \
    }
struct calls {
    const short *numbers;
    size_t count;
    unsigned verdict;
};

struct program {
    struct sock_filter code[512];
    unsigned short n;
};

static void add(struct program *to, unsigned what, unsigned value, unsigned yes, unsigned no) {
    to->code[to->n++] =
        (struct sock_filter){(unsigned short)what, (unsigned char)yes, (unsigned char)no, value};
}

static void give(struct program *to, unsigned verdict) {
    add(to, BPF_RET | BPF_K, verdict, 0, 0);
}

static void load(struct program *to, size_t offset) {
    add(to, BPF_LD | BPF_W | BPF_ABS, (unsigned)offset, 0, 0);
}

/* The low half of an argument; the ones that are looked at have no more. */
static void load_argument(struct program *to, unsigned which) {
    load(to, offsetof(struct seccomp_data, args) + which * sizeof(uint64_t));
}

/* "If what was loaded is `value`, the verdict." */
static void give_if(struct program *to, unsigned value, unsigned verdict) {
    add(to, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    give(to, verdict);
}

/* Begins what is about one call, and ends with a verdict; returns where, for end_call(). */
static unsigned short begin_call(struct program *to, unsigned number) {
    add(to, BPF_JMP | BPF_JEQ | BPF_K, number, 0, 0);
    return to->n;
}

static void end_call(struct program *to, unsigned short begun) {
    to->code[begun - 1].jf = (unsigned char)(to->n - begun);
}

/* Other architectures' numbers mean other calls. */
static void begin(struct program *to) {
    load(to, offsetof(struct seccomp_data, arch));
    add(to, BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
    give(to, SECCOMP_RET_KILL_PROCESS);
    load(to, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
    add(to, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
    give(to, SECCOMP_RET_ERRNO | ENOSYS);
#endif
}

static void add_calls(struct program *to, struct calls calls) {
    for (size_t i = 0; i < calls.count; i++) give_if(to, (unsigned)calls.numbers[i], calls.verdict);
}

/* clone, by its flags: those with one of `bits` get the one verdict, the others the other. */
static void add_clone(struct program *to, unsigned bits, unsigned with, unsigned without) {
    unsigned short call = begin_call(to, SYS_clone);
    load_argument(to, 0);
    add(to, BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1);
    give(to, with);
    give(to, without);
    end_call(to, call);
}

/* libuv makes sockets non-blocking by ioctl. */
static void add_plain_ioctls(struct program *to) {
    unsigned short call = begin_call(to, SYS_ioctl);
    load_argument(to, 1);
    give_if(to, FIONBIO, SECCOMP_RET_ALLOW);
    give_if(to, FIONREAD, SECCOMP_RET_ALLOW);
    give_if(to, FIOCLEX, SECCOMP_RET_ALLOW);
    give(to, SECCOMP_RET_ERRNO | ENOTTY);
    end_call(to, call);
}

/* Files may be given away, but neither taken nor made root's: else CAP_CHOWN would be a way to
 * every file of the machine. */
static void add_giving(struct program *to) {
    enum { OWNER = 2, GROUP = 3 }; /* of fchownat's arguments */
    unsigned short call = begin_call(to, SYS_fchownat);
    load_argument(to, OWNER);
    give_if(to, getuid(), SECCOMP_RET_ERRNO | EPERM);
    give_if(to, 0, SECCOMP_RET_ERRNO | EPERM);
    give_if(to, UINT32_MAX, SECCOMP_RET_ERRNO | EPERM);
    load_argument(to, GROUP);
    give_if(to, getgid(), SECCOMP_RET_ERRNO | EPERM);
    give_if(to, UINT32_MAX, SECCOMP_RET_ERRNO | EPERM);
    give(to, SECCOMP_RET_ALLOW);
    end_call(to, call);
}

static void make_server(struct program *to, bool gives) {
    add_calls(to, CALLS(allowed, SECCOMP_RET_ALLOW));
    add_calls(to, CALLS(deadly, SECCOMP_RET_KILL_PROCESS));
    add_clone(to, CLONE_THREAD, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO | EPERM);
    add_plain_ioctls(to);
    if (gives) add_giving(to);
    give(to, SECCOMP_RET_ERRNO | ENOSYS);
}

/* clone3 has its flags in memory, where a filter cannot look: the C library takes clone. */
static void make_modules(struct program *to) {
    static const short hidden[] = {SYS_clone3};
    add_calls(to, CALLS(denied, SECCOMP_RET_ERRNO | EPERM));
    add_calls(to, CALLS(hidden, SECCOMP_RET_ERRNO | ENOSYS));
    add_clone(to, NAMESPACES, SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW);
    give(to, SECCOMP_RET_ALLOW);
}

void sk_sandbox_enter(enum sk_sandbox which) {
    struct program program = {.n = 0};
    begin(&program);
    if (which == SK_SANDBOX_MODULES)
        make_modules(&program);
    else
        make_server(&program, which == SK_SANDBOX_GIVER);
    SK_ASSERT(program.n <= sizeof program.code / sizeof *program.code);
    struct sock_fprog filter = {.len = program.n, .filter = program.code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0))
        SK_INFO("start", "this kernel has no filter for system calls: %s", strerror(errno));
}

#else
void sk_sandbox_enter(enum sk_sandbox which) {
    (void)which;
}
#endif
