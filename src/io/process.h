/* Processes made from this one by fork: a short-lived helper, and a family of roles under a
 * watching parent.
 *
 * For programs before they make a loop. Roles share the parent's initialised memory (libraries,
 * tables) page by page, which is why they are forked and not started. */
#ifndef SK_IO_PROCESS_H
#define SK_IO_PROCESS_H

#include <stdatomic.h>

#include "base/base.h"

/* Runs `work(arg, out)` in a child that ends right after; what it appended to `out` is appended to
 * ours. What the work needs of memory and libraries dies with it. Returns its status; SK_IO when
 * it was killed. */
enum sk_status sk_process_run(enum sk_status (*work)(void *arg, struct sk_buffer *out), void *arg,
                              struct sk_buffer *out);

/* Gives back memory that only starting up has needed. Loops of sk_io_uv_new do it by themselves. */
void sk_process_settle(void);
/* What costs next to nothing, each minute: what a rare deed has mapped of the program's code, and
 * of the heap what a burst has left behind. The loops do that, too. */
void sk_process_give_back(void);

/* Takes a data folder for this process (it is made with `mode` when it is not there), and for
 * those that it forks, until the last of them has ended, by kill -9 too; what they start by exec
 * does not keep it. On failure `why` says who holds it. SK_EXISTS: another process does; SK_IO. */
enum sk_status sk_folder_claim(const char *folder, unsigned mode, char why[256]);

/* Sends a signal to the process that holds the folder. SK_NOT_FOUND: none does; SK_FORBIDDEN: it is
 * another user's. */
enum sk_status sk_folder_holder_signal(const char *folder, int number, long *pid);

/* The machine's name, as its network knows it; SK_NOT_FOUND. */
enum sk_status sk_machine_name(char name[256]);

/* How a role stands; lives in memory that all roles share. Written by the parent only. */
struct sk_role_state {
    _Atomic(int) pid;            /* 0: not running */
    _Atomic(int64_t) started_us; /* wall clock */
    _Atomic(unsigned) restarts;
    _Atomic(int64_t)
        alive_ms; /* monotonic: when the role was last seen at work; 0: it says nothing */
};
struct sk_role {
    const char *name;
    int (*run)(
        void *arg); /* in the role's process; its result is the exit code. SIGTERM asks it to end */
    void *arg;
    struct sk_role_state *state; /* from sk_role_states */
    /* How long a role that has begun to say that it is alive (sk_role_alive) may be silent before
     * it is killed, and so started again; 0: SK_ROLE_SILENCE_S. */
    unsigned silence_s;
};
#define SK_ROLE_SILENCE_S 120
/* In the role's process, now and then: it goes round its loop. */
void sk_role_alive(struct sk_role_state *state);
/* Memory for `count` states that forked processes share; zeroed, never freed. */
struct sk_role_state *sk_role_states(size_t count);

/* Forks the roles and watches them until SIGTERM or SIGINT; a role that ends by itself is started
 * again after a second, one that ends with SK_ROLE_GIVE_UP ends all. Then every role gets SIGTERM,
 * and SIGKILL after 30 s. SIGHUP is passed on. Returns the exit code: 0, or that of the role that
 * gave up. */
#define SK_ROLE_GIVE_UP 3
int sk_roles_run(const struct sk_role *roles, size_t count);

#endif
