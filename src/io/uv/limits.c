#include "io/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char ROOT[] = "/sys/fs/cgroup";
enum { PERIOD_US = 100000 };

/* One value of a control group. */
struct setting {
    const char *controller, *file; /* of version 1: the controller's own tree */
    const char *file_2;            /* of version 2 */
    uint64_t limit;                /* 0: none is asked for */
    char value[48];                /* for both, but the processor's */
};

static bool write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = write(fd, text, strlen(text));
    int failed = n < 0 ? errno : 0;
    close(fd);
    errno = failed;
    return failed == 0;
}

static bool make_folders(const char *base, const char *name, char path[200]) {
    snprintf(path, 200, "%s/skerry", base);
    if (mkdir(path, 0755) && errno != EEXIST) return false;
    snprintf(path, 200, "%s/skerry/%.64s", base, name);
    return mkdir(path, 0755) == 0 || errno == EEXIST;
}

static enum sk_status refuse(const char *path, char why[200]) {
    snprintf(why, 200, "%.120s cannot be written: %.50s", path, strerror(errno));
    return SK_IO;
}

static enum sk_status make_2(const char *name, const struct setting *settings, size_t count,
                             struct sk_limit_group *group, char why[200]) {
    static const char wanted[] = "+memory +cpu +pids";
    char path[200], file[256], value[64];
    char top[64];
    snprintf(top, sizeof top, "%s/cgroup.subtree_control", ROOT);
    write_file(top, wanted); /* most systems have done it */
    if (!make_folders(ROOT, name, path)) return refuse(path, why);
    snprintf(file, sizeof file, "%s/skerry/cgroup.subtree_control", ROOT);
    if (!write_file(file, wanted)) return refuse(file, why);
    for (size_t i = 0; i < count; i++) {
        snprintf(file, sizeof file, "%s/%s", path, settings[i].file_2);
        snprintf(value, sizeof value, "%s", settings[i].limit ? settings[i].value : "max");
        if (settings[i].limit && strcmp(settings[i].controller, "cpu") == 0)
            snprintf(value, sizeof value, "%s %d", settings[i].value, PERIOD_US);
        if (!write_file(file, value)) return refuse(file, why);
    }
    snprintf(group->files[group->count++], sizeof group->files[0], "%s/cgroup.procs", path);
    return SK_OK;
}

static enum sk_status make_1(const char *name, const struct setting *settings, size_t count,
                             struct sk_limit_group *group, char why[200]) {
    char base[64], path[200], file[256];
    for (size_t i = 0; i < count; i++) {
        const struct setting *setting = &settings[i];
        const char *none = strcmp(setting->controller, "pids") == 0 ? "max" : "-1";
        snprintf(base, sizeof base, "%s/%s", ROOT, setting->controller);
        if (!make_folders(base, name, path)) {
            if (setting->limit) return refuse(path, why);
            continue; /* nothing is asked of it */
        }
        snprintf(file, sizeof file, "%s/%s", path, setting->file);
        if (!write_file(file, setting->limit ? setting->value : none) && setting->limit)
            return refuse(file, why);
        snprintf(group->files[group->count++], sizeof group->files[0], "%s/cgroup.procs", path);
    }
    return SK_OK;
}

enum sk_status sk_limit_group_make(const char *name, const struct sk_limits *limits,
                                   struct sk_limit_group *group, char why[200]) {
    struct setting settings[SK_LIMIT_FILES] = {
        {"memory", "memory.limit_in_bytes", "memory.max", limits->memory, ""},
        {"cpu", "cpu.cfs_quota_us", "cpu.max", limits->cpu, ""},
        {"pids", "pids.max", "pids.max", limits->pids, ""},
    };
    char unified[64];
    *group = (struct sk_limit_group){0};
    snprintf(settings[0].value, sizeof settings[0].value, "%llu",
             (unsigned long long)limits->memory);
    snprintf(settings[1].value, sizeof settings[1].value, "%u", limits->cpu * (PERIOD_US / 1000));
    snprintf(settings[2].value, sizeof settings[2].value, "%u", limits->pids);
    snprintf(unified, sizeof unified, "%s/cgroup.controllers", ROOT);
    enum sk_status status = access(unified, F_OK) == 0
                                ? make_2(name, settings, SK_LIMIT_FILES, group, why)
                                : make_1(name, settings, SK_LIMIT_FILES, group, why);
    if (status) group->count = 0;
    return status;
}

void sk_limit_group_remove(struct sk_limit_group *group) {
    for (size_t i = 0; i < group->count; i++) {
        char *slash = strrchr(group->files[i], '/');
        *slash = 0;
        if (rmdir(group->files[i])) errno = 0; /* somebody is in it still */
    }
    group->count = 0;
}
