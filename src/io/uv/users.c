/* Users of the machine: who they are, what they reach, and folders that become theirs. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/io.h"
#include "io/privilege.h"
#include "io/uv/uv.h"

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

enum sk_status sk_user_find(const char *name, uint32_t *uid, uint32_t *gid) {
    int64_t number;
    struct passwd *user = sk_span_to_int(sk_span_z(name), &number) == SK_OK && number >= 0
                              ? getpwuid((uid_t)number)
                              : getpwnam(name);
    if (user == NULL) return SK_NOT_FOUND;
    *uid = user->pw_uid;
    *gid = user->pw_gid;
    return SK_OK;
}

void sk_service_user(const char *name, uint32_t otherwise, const char *folder, uint32_t *uid,
                     uint32_t *gid) {
    *uid = *gid = 0;
    if (geteuid() != 0) return;
    if (sk_user_find(name, uid, gid)) *uid = *gid = otherwise;
    if (reaches(folder, *uid, *gid)) return;
    SK_WARN(
        "user",
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
