/* Child processes: fork and exec with a pipe for the exec's failure, and a pidfd in the loop for
 * the end.
 *
 * Not uv_spawn: a child must die with us, and PR_SET_PDEATHSIG has to be set between fork and exec,
 * after the change of user. */
#include "io/uv/uv.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/limits.h"

struct uv_child {
    struct sk_child child;
    uv_poll_t poll;
    int pid, pidfd;
    void (*on_exit)(struct sk_child *, void *, int, int);
    void *arg;
};

static void on_poll_closed(uv_handle_t *handle) {
    struct uv_child *c = handle->data;
    close(c->pidfd);
    free(c);
}

static void on_ended(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    struct uv_child *c = poll->data;
    sk_uv_enter(SK_CONTAINER(poll->loop, struct sk_uv, loop), "a child's end");
    int how = 0;
    if (waitpid(c->pid, &how, WNOHANG) != c->pid) return;
    uv_poll_stop(&c->poll);
    if (c->on_exit)
        c->on_exit(&c->child, c->arg, WIFEXITED(how) ? WEXITSTATUS(how) : -1,
                   WIFSIGNALED(how) ? WTERMSIG(how) : 0);
    uv_close((uv_handle_t *)&c->poll, on_poll_closed);
}

/* As ourselves: others may not. */
static bool enter_group(const struct sk_limit_group *group) {
    for (size_t i = 0; group && i < group->count; i++) {
        int fd = open(group->files[i], O_WRONLY | O_CLOEXEC);
        if (fd < 0) return false;
        ssize_t n = write(fd, "0", 1); /* whoever writes it */
        close(fd);
        if (n != 1) return false;
    }
    return true;
}

static void become(const struct sk_child_options *options) {
    setsid(); /* a group of its own, so that a signal reaches what it starts */
    if (!enter_group(options->limits)) return;
    if (options->output_path) {
        int fd = open(options->output_path, O_WRONLY | O_CREAT | O_APPEND, 0644);
        if (fd < 0) return;
        if (options->uid && fchown(fd, options->uid, options->gid)) errno = 0; /* as it can be */
        dup2(fd, 1);
        dup2(fd, 2);
        if (fd > 2) close(fd);
    }
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0) {
        dup2(null, 0);
        if (null > 0) close(null);
    }
    /* As ourselves: the way there may be closed to the user, the place is not. */
    if (options->folder && chdir(options->folder)) return;
    if (options->uid && (setgroups(0, NULL) || setgid(options->gid) || setuid(options->uid)))
        return;
    if (options->pass_folders) sk_privileges_pass_folders();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    execvpe(options->command[0], (char *const *)options->command,
            (char *const *)options->environment);
}

enum sk_status sk_uv_child_start(struct sk_io *io, const struct sk_child_options *options,
                                 struct sk_child **child) {
    int report[2];
    if (pipe2(report, O_CLOEXEC)) return sk_uv_status(errno);
    pid_t pid = fork();
    if (pid < 0) {
        close(report[0]);
        close(report[1]);
        return sk_uv_status(errno);
    }
    if (pid == 0) {
        become(options);
        int failed = errno;
        ssize_t ignored = write(report[1], &failed, sizeof failed);
        (void)ignored;
        _exit(127);
    }
    close(report[1]);
    int failed = 0;
    ssize_t n = read(report[0], &failed, sizeof failed);
    close(report[0]);
    int pidfd = n == 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (pidfd < 0) {
        if (n == 0) failed = errno, kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return sk_uv_status(failed);
    }
    fcntl(pidfd, F_SETFD, FD_CLOEXEC);
    struct uv_child *c = SK_NEW(struct uv_child);
    c->child.io = io;
    c->pid = pid;
    c->pidfd = pidfd;
    c->on_exit = options->on_exit;
    c->arg = options->arg;
    uv_poll_init(&sk_uv(io)->loop, &c->poll, pidfd);
    c->poll.data = c;
    uv_poll_start(&c->poll, UV_READABLE, on_ended);
    *child = &c->child;
    return SK_OK;
}

void sk_uv_child_signal(struct sk_child *child, int signal_number) {
    kill(-((struct uv_child *)child)->pid, signal_number);
}

int sk_uv_child_pid(const struct sk_child *child) {
    return ((const struct uv_child *)child)->pid;
}

void sk_uv_child_forget(struct sk_child *child) {
    struct uv_child *c = (struct uv_child *)child;
    c->on_exit = NULL;
    uv_unref((uv_handle_t *)&c->poll);
}
