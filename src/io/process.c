#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { GRACE_S = 30, STOOD_S = 10, RESTART_S = 1, LOCK_WAIT_MS = 3000 };

/* ---- the machine ---- */

/* Makes a folder with all above it. */
static bool make_folders(const char *folder, unsigned mode) {
    char path[1024];
    if (snprintf(path, sizeof path, "%s", folder) >= (int)sizeof path) return false;
    for (char *slash = path + 1; (slash = strchr(slash, '/')) != NULL; *slash++ = '/') {
        *slash = 0;
        if (mkdir(path, 0755) && errno != EEXIST) return false;
    }
    return mkdir(path, mode) == 0 || errno == EEXIST;
}

/* Who holds the lock wrote its id into the file. */
static long holder_of(int fd, bool *alive) {
    char text[16] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    long pid = n > 0 ? strtol(text, NULL, 10) : 0;
    *alive = pid > 0 && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
    return pid;
}

/* What a killed process has forked is ending as well, a moment later: it is waited for. */
static bool lock_file(int fd) {
    const struct timespec pause = {.tv_nsec = 20000000};
    bool alive = false;
    for (int tries = LOCK_WAIT_MS / 20; flock(fd, LOCK_EX | LOCK_NB); tries--) {
        if (errno != EWOULDBLOCK) return false;
        holder_of(fd, &alive);
        if (alive || tries == 0) {
            errno = EWOULDBLOCK;
            return false;
        }
        nanosleep(&pause, NULL);
    }
    return true;
}

static void tell_holder(int fd, const char *folder, char why[256]) {
    bool alive;
    long pid = holder_of(fd, &alive);
    if (alive)
        snprintf(why, 256, "the data folder %.160s is in use by process %ld", folder, pid);
    else
        snprintf(why, 256, "the data folder %.120s is in use by what process %ld has left running",
                 folder, pid);
}

enum sk_status sk_folder_claim(const char *folder, unsigned mode, char why[256]) {
    char path[1100], text[16];
    snprintf(path, sizeof path, "%s/lock", folder);
    int fd = make_folders(folder, mode) ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0) {
        snprintf(why, 256, "the data folder %.120s cannot be used: %s", folder, strerror(errno));
        return SK_IO;
    }
    if (!lock_file(fd)) {
        bool held = errno == EWOULDBLOCK;
        if (held)
            tell_holder(fd, folder, why);
        else
            snprintf(why, 256, "the data folder %.120s cannot be locked: %s", folder,
                     strerror(errno));
        close(fd);
        return held ? SK_EXISTS : SK_IO;
    }
    /* The descriptor stays open, and with it the lock; the id is only for who comes second. */
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) || pwrite(fd, text, (size_t)n, 0) != n) errno = 0;
    return SK_OK;
}

enum sk_status sk_folder_holder_signal(const char *folder, int number, long *pid) {
    char path[1100];
    bool alive = false;
    *pid = 0;
    snprintf(path, sizeof path, "%s/lock", folder);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno == EACCES ? SK_FORBIDDEN : SK_NOT_FOUND;
    if (flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK) *pid = holder_of(fd, &alive);
    close(fd);
    if (!alive) return SK_NOT_FOUND;
    return kill((pid_t)*pid, number) == 0 ? SK_OK : SK_FORBIDDEN;
}

enum sk_status sk_machine_name(char name[256]) {
    return gethostname(name, 256) || memchr(name, 0, 256) == NULL || *name == 0 ? SK_NOT_FOUND
                                                                                : SK_OK;
}

/* ---- a helper ---- */

static void write_all(int fd, struct sk_span bytes) {
    while (bytes.n) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) _exit(1);
        bytes = sk_span_skip(bytes, (size_t)n);
    }
}

enum sk_status sk_process_run(enum sk_status (*work)(void *arg, struct sk_buffer *out), void *arg,
                              struct sk_buffer *out) {
    int ends[2], how = 0;
    if (pipe(ends)) return SK_IO;
    fflush(NULL); /* or the child would write our output once more */
    pid_t pid = fork();
    if (pid < 0) {
        close(ends[0]);
        close(ends[1]);
        return SK_IO;
    }
    if (pid == 0) {
        struct sk_buffer text = {0};
        close(ends[0]);
        enum sk_status status = work(arg, &text);
        write_all(ends[1], sk_buffer_span(&text));
        fflush(stderr);
        _exit(-(int)status); /* statuses are small negative numbers */
    }
    close(ends[1]);
    for (;;) {
        char part[4096];
        ssize_t n = read(ends[0], part, sizeof part);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        sk_buffer_append(out, sk_span(part, (size_t)n));
    }
    close(ends[0]);
    while (waitpid(pid, &how, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(how) ? (enum sk_status) - WEXITSTATUS(how) : SK_IO;
}

/* ---- roles ---- */

struct sk_role_state *sk_role_states(size_t count) {
    void *memory = mmap(NULL, count * sizeof(struct sk_role_state), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t monotonic_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void sk_role_alive(struct sk_role_state *state) {
    atomic_store(&state->alive_ms, monotonic_ms());
}

/* A role that hangs does not get better by waiting. Where all of us stood still, none is silent. */
static void end_silent(const struct sk_role *roles, size_t count, int64_t *looked_ms) {
    int64_t now_ms = monotonic_ms(), before_ms = *looked_ms;
    bool stood = before_ms && now_ms - before_ms > STOOD_S * 1000;
    *looked_ms = now_ms;
    for (size_t i = 0; i < count; i++) {
        struct sk_role_state *state = roles[i].state;
        unsigned limit_s = roles[i].silence_s ? roles[i].silence_s : SK_ROLE_SILENCE_S;
        int64_t alive_ms = atomic_load(&state->alive_ms);
        int pid = atomic_load(&state->pid);
        if (alive_ms == 0 || pid <= 0) continue;
        if (stood) sk_role_alive(state);
        if (stood || now_ms - alive_ms < limit_s * 1000ll) continue;
        SK_ERROR("edge", "the %s role has hung for %u s: it is ended and started again",
                 roles[i].name, limit_s);
        kill(pid, SIGKILL);
    }
}

static void start_role(const struct sk_role *role, const sigset_t *before) {
    fflush(NULL);
    atomic_store(&role->state->alive_ms, 0);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) _exit(1); /* it died before that took effect */
        prctl(PR_SET_NAME, role->name);
        sigprocmask(SIG_SETMASK, before, NULL);
        _exit(role->run(role->arg));
    }
    atomic_store(&role->state->started_us, now_us());
    atomic_store(&role->state->pid, pid < 0 ? 0 : (int)pid);
}

static void signal_roles(const struct sk_role *roles, size_t count, int signal_number) {
    for (size_t i = 0; i < count; i++) {
        int pid = atomic_load(&roles[i].state->pid);
        if (pid > 0) kill(pid, signal_number);
    }
}

/* Takes note of roles that have ended; true when one gave up. */
static bool reap(const struct sk_role *roles, size_t count, bool stopping, int *code) {
    bool gave_up = false;
    int how;
    for (pid_t pid; (pid = waitpid(-1, &how, WNOHANG)) > 0;)
        for (size_t i = 0; i < count; i++) {
            if (atomic_load(&roles[i].state->pid) != (int)pid) continue;
            atomic_store(&roles[i].state->pid, 0);
            if (stopping) continue;
            if (WIFSIGNALED(how))
                SK_WARN("edge", "the %s role was ended by signal %d", roles[i].name, WTERMSIG(how));
            if (WIFEXITED(how))
                SK_WARN("edge", "the %s role ended with code %d", roles[i].name, WEXITSTATUS(how));
            if (!WIFEXITED(how) || WEXITSTATUS(how) != SK_ROLE_GIVE_UP) continue;
            gave_up = true;
            *code = 1;
        }
    return gave_up;
}

static bool any_runs(const struct sk_role *roles, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (atomic_load(&roles[i].state->pid)) return true;
    return false;
}

/* Waits for one of the signals, at most `seconds`; its number or 0. */
static int wait_signal(const sigset_t *signals, int seconds) {
    struct timespec limit = {.tv_sec = seconds};
    int number = sigtimedwait(signals, NULL, &limit);
    return number < 0 ? 0 : number;
}

int sk_roles_run(const struct sk_role *roles, size_t count) {
    sigset_t signals, before;
    int code = 0;
    int64_t looked_ms = 0;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, &before);
    for (size_t i = 0; i < count; i++) start_role(&roles[i], &before);
    sk_process_settle(); /* from here on we only wait */
    for (bool stop = false; !stop;) {
        int number = wait_signal(&signals, RESTART_S);
        if (number == SIGHUP) signal_roles(roles, count, SIGHUP);
        stop = number == SIGTERM || number == SIGINT || reap(roles, count, false, &code);
        if (!stop) end_silent(roles, count, &looked_ms);
        /* A second has passed since the last signal: what ended may start again. */
        for (size_t i = 0; i < count && !stop && number == 0; i++)
            if (atomic_load(&roles[i].state->pid) == 0) {
                atomic_fetch_add(&roles[i].state->restarts, 1);
                start_role(&roles[i], &before);
            }
    }
    signal_roles(roles, count, SIGTERM);
    for (int waited = 0; any_runs(roles, count); waited++) {
        if (waited == GRACE_S) signal_roles(roles, count, SIGKILL);
        wait_signal(&signals, 1);
        reap(roles, count, true, &code);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return code;
}
