/* Letting go of root's capabilities. */
#include "io/privilege.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/uv/uv.h"

enum { GROUPS_MAX = 32 };

static uint32_t kept_capabilities;
static gid_t kept_groups[GROUPS_MAX + 1];
static size_t kept_group_count;

void sk_keep_groups(uint32_t uid, uint32_t gid, const char *device) {
    const struct passwd *user = geteuid() == 0 && uid ? getpwuid(uid) : NULL;
    int n = GROUPS_MAX;
    struct stat st;
    if (user && getgrouplist(user->pw_name, gid, kept_groups, &n) > 0) kept_group_count = (size_t)n;
    if (device && stat(device, &st) == 0 && S_ISCHR(st.st_mode) && st.st_mode & S_IRGRP)
        kept_groups[kept_group_count++] = st.st_gid;
}

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

/* Each step needs what the next takes away. The bounding set is out of reach without
 * CAP_SETPCAP, and with no_new_privs it gives nothing anyway. */
static int let_go(uint32_t uid, uint32_t gid, uint32_t keep) {
    for (int i = 0; prctl(PR_CAPBSET_READ, i) >= 0; i++)
        if (i >= 32 || !(keep & 1u << i)) prctl(PR_CAPBSET_DROP, i);
    if (uid && (prctl(PR_SET_KEEPCAPS, 1) || setgroups(kept_group_count, kept_groups) ||
                setresgid(gid, gid, gid) || setresuid(uid, uid, uid)))
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
