/* Letting go of root: for processes that face the network, before they have a second thread.
 *
 * docs/decisions/0014-what-a-role-may-do.md says who may do what, and why. Without root nothing
 * changes but that no new privileges can be had and that system calls are few. */
#ifndef SK_IO_PRIVILEGE_H
#define SK_IO_PRIVILEGE_H

#include "base/base.h"

/* The user that a service becomes: the system's of that name, else a number that no distribution
 * gives away. 0 when we are not root, or when that user could not get to `folder` (what is
 * missing of the path is not looked at); then a sentence is in the log. */
void sk_service_user(const char *name, uint32_t otherwise, const char *folder, uint32_t *uid,
                     uint32_t *gid);

/* Whether the user can read the file, or pass through the folder. What there is not does not
 * count. */
bool sk_user_reaches(const char *path, uint32_t uid, uint32_t gid);

struct sk_runner {
    uint32_t uid, gid;
    const char *own; /* a folder that is, or will be, the user's with all that is in it */
};
/* Whether the user gets to the working folder, can execute the program (command[0], looked up as
 * execvp does) and read what the other words name. */
bool sk_user_can_run(const char *const *command, const char *folder,
                     const struct sk_runner *runner);
/* UINT32_MAX: there is no such path. */
uint32_t sk_path_owner(const char *path);

/* Makes the folder, sets its mode, and gives it to the user with all that is in it. Nothing without
 * root. */
enum sk_status sk_folder_give(const char *path, unsigned mode, uint32_t uid, uint32_t gid);

/* What may be kept of root: bits of <linux/capability.h>. */
enum sk_keep {
    SK_KEEP_CHOWN = 1 << 0,        /* give files away */
    SK_KEEP_DAC_OVERRIDE = 1 << 1, /* pass through every folder */
    SK_KEEP_FOWNER = 1 << 3,       /* set modes of others' files */
    SK_KEEP_KILL = 1 << 5,
    SK_KEEP_SETGID = 1 << 6,
    SK_KEEP_SETUID = 1 << 7,
    SK_KEEP_SETPCAP = 1 << 8, /* take from the bounding set */
    SK_KEEP_LOW_PORTS = 1 << 10,
};

/* The groups in which the user stays by sk_privileges_drop, which otherwise leaves none: those that
 * the system has it in, and the one that may use this device (NULL: none). */
void sk_keep_groups(uint32_t uid, uint32_t gid, const char *device);

/* For good: the user (0: it stays, and may pass through every folder), no groups, no other
 * capability than those of `keep`, no new privileges. On failure a sentence in `reason`. */
enum sk_status sk_privileges_drop(uint32_t uid, uint32_t gid, uint32_t keep, char reason[512]);

/* Whether files can be given to other users still. */
bool sk_may_give_files(void);

/* Keeps a way to read these files (their number is below 256) when the user may not: a process
 * that stays behind reads them, anew each time, and nothing else; sk_file_load asks it. Before
 * sk_privileges_drop; nothing without root. The texts are copied. */
enum sk_status sk_keep_reading(const char *const *paths, size_t count);
/* Whether a file may say `after` where it says `before`: asked in a process that may do nothing
 * else. */
typedef bool sk_may_become(struct sk_span before, struct sk_span after);
/* One of these files may also be written, by sk_file_replace, where `may` allows it. Before
 * sk_keep_reading. */
void sk_keep_writing(const char *path, sk_may_become *may);

enum sk_sandbox {
    /* Only what a server of files and sockets calls. Starting another program or looking into
     * another process ends this one, any other call fails. */
    SK_SANDBOX_SERVER,
    SK_SANDBOX_GIVER, /* it may give files to other users besides, not take them */
    /* For what starts programs of other people, and for these: what changes the machine or looks
     * into other processes fails, everything else works. */
    SK_SANDBOX_MODULES,
};
/* From here on fewer system calls, for this process and all that it starts; the tables are in
 * uv/sandbox.c. Where the kernel has no filters, or a sanitizer needs more, nothing happens. */
void sk_sandbox_enter(enum sk_sandbox which);

#endif
