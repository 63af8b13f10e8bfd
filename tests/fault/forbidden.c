/* `fault-forbidden SANDBOX DEED [ARGUMENT…]` enters the sandbox ("server", "giver", "modules",
 * or "none") and does what no process there should. Prints "fine" or the name of the error; what
 * ends the process is the script's to see. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/privilege.h"

static long ptrace_parent(char **argv) {
    (void)argv;
    return ptrace(PTRACE_SEIZE, getppid(), NULL, NULL);
}
static long do_mount(char **argv) {
    (void)argv;
    return mount("none", "/mnt", "tmpfs", 0, NULL);
}
static long do_unshare(char **argv) {
    (void)argv;
    return unshare(CLONE_NEWUSER);
}
static long clone_namespace(char **argv) {
    (void)argv;
    long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) _exit(0);
    return pid;
}
static long do_fork(char **argv) {
    (void)argv;
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    return pid < 0 ? -1 : waitpid(pid, NULL, 0);
}
static long unknown(char **argv) { /* no kernel has it */
    (void)argv;
    return syscall(600);
}
static long tolerated(char **argv) { /* a server does not call it, and it does no harm */
    (void)argv;
    return sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
}
static long do_exec(char **argv) {
    return execv(argv[0], argv);
}
static long give(char **argv) { /* PATH UID GID */
    return fchownat(AT_FDCWD, argv[0], (uid_t)atoi(argv[1]), (gid_t)atoi(argv[2]),
                    AT_SYMLINK_NOFOLLOW);
}
static long take(char **argv) { /* by the call that follows links */
    return syscall(SYS_fchown, open(argv[0], O_RDONLY), getuid(), getgid());
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        long (*deed)(char **argv);
    } deeds[] = {{"ptrace", ptrace_parent},
                 {"mount", do_mount},
                 {"unshare", do_unshare},
                 {"clone", clone_namespace},
                 {"fork", do_fork},
                 {"unknown", unknown},
                 {"tolerated", tolerated},
                 {"exec", do_exec},
                 {"give", give},
                 {"take", take}};
    if (argc < 3) return 2;
    setvbuf(stdout, NULL, _IONBF, 0);
    if (strcmp(argv[1], "server") == 0) sk_sandbox_enter(SK_SANDBOX_SERVER);
    if (strcmp(argv[1], "giver") == 0) sk_sandbox_enter(SK_SANDBOX_GIVER);
    if (strcmp(argv[1], "modules") == 0) sk_sandbox_enter(SK_SANDBOX_MODULES);
    for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++)
        if (strcmp(argv[2], deeds[i].name) == 0) {
            printf("%s\n", deeds[i].deed(argv + 3) < 0 ? strerrorname_np(errno) : "fine");
            return 0;
        }
    return 2;
}
