/* Letting go of root: for processes that face the network, before they have a second thread.
 *
 * docs/decisions/0014-what-a-role-may-do.md says who may do what, and why. Without root nothing changes but
 * that no new privileges can be had and that system calls are few. */
#ifndef SK_IO_PRIVILEGE_H
#define SK_IO_PRIVILEGE_H

#include "base/base.h"

/* The user that a service becomes: the system's of that name, else a number that no distribution gives
 * away. 0 when we are not root, or when that user could not get to `folder` (what is missing of the path
 * is not looked at); then a sentence is in the log. */
void sk_service_user(const char *name, uint32_t otherwise, const char *folder, uint32_t *uid,
                     uint32_t *gid);

/* Makes the folder, and gives it to the user with all that is in it. Nothing without root. */
enum sk_status sk_folder_give(const char *path, uint32_t uid, uint32_t gid);

/* For good: the user (0: it stays, and may pass through every folder), no groups, no other capability
 * than that of ports below 1024 if `low_ports`, no new privileges. On failure a sentence in `reason`. */
enum sk_status sk_privileges_drop(uint32_t uid, uint32_t gid, bool low_ports, char reason[512]);

/* Keeps a way to read these files (their number is below 256) when the user may not: a process that stays
 * behind reads them, anew each time, and nothing else; sk_file_load asks it. Before
 * sk_privileges_drop; nothing without root. The texts are copied. */
enum sk_status sk_keep_reading(const char *const *paths, size_t count);

/* From here on only what a server of files and sockets calls; the table is in privilege.c. Starting
 * another program or looking into another process ends this one, any other call fails. Where the kernel
 * has no filters, or a sanitizer needs more, nothing happens. */
void sk_sandbox_enter(void);

#endif
