#include "edge/agent/place.h"

#include <stdio.h>

#include "io/privilege.h"

struct paths {
    char all[512], own[512], logs[512], sockets[512];
};

/* ---- users ---- */

static bool is_ours(uint32_t uid) {
    return uid >= SK_MODULE_UID_FIRST && uid <= SK_MODULE_UID_LAST;
}

uint32_t sk_module_user_choose(uint32_t own, const bool taken[SK_MODULE_USERS]) {
    if (is_ours(own) && !taken[own - SK_MODULE_UID_FIRST]) return own;
    for (uint32_t i = 0; i < SK_MODULE_USERS; i++)
        if (!taken[i]) return SK_MODULE_UID_FIRST + i;
    return 0;
}

struct others {
    const char *all, *name; /* whose others */
    bool taken[SK_MODULE_USERS];
};

static void take_note(void *arg, struct sk_span name) {
    struct others *others = arg;
    char path[1024];
    if (sk_span_is(name, others->name)) return;
    snprintf(path, sizeof path, "%s/%.*s", others->all, SK_ARG(name));
    uint32_t owner = sk_path_owner(path);
    if (is_ours(owner)) others->taken[owner - SK_MODULE_UID_FIRST] = true;
}

/* A user can pass from the root down to the module's folder and socket, and run the program. */
static bool can_live(const struct sk_module_spec *spec, const struct paths *paths, uint32_t uid) {
    const struct sk_runner runner = {.uid = uid, .gid = uid, .own = paths->own};
    return sk_user_reaches(paths->all, uid, uid) && sk_user_reaches(paths->sockets, uid, uid) &&
           sk_user_can_run((const char *const *)spec->command,
                           spec->folder ? spec->folder : paths->own, &runner);
}

static enum sk_status give_user(struct sk_io *io, const struct sk_module_spec *spec,
                                const struct paths *paths, struct sk_place *place) {
    struct others others = {.all = paths->all, .name = spec->name};
    sk_folder_list(io, paths->all, take_note, &others);
    uint32_t uid = sk_module_user_choose(sk_path_owner(paths->own), others.taken);
    if (uid == 0) {
        place->why =
            "the users 60600 to 61099 all have folders in modules/: remove those of modules "
            "that are gone, or name a user in settings.user";
        return SK_NO_SPACE;
    }
    if (can_live(spec, paths, uid)) {
        place->uid = place->gid = uid;
        return SK_OK;
    }
    place->pass_folders = true;
    SK_WARN(
        "agent",
        "user %u cannot get to the program or the files of module %s: it runs as root, with few "
        "capabilities; let others pass and read (chmod o+x the folders above %s and %s, chmod o+r "
        "the files), or name a user in settings.user",
        uid, spec->name, spec->command[0], paths->all);
    return SK_OK;
}

static enum sk_status find_user(struct sk_io *io, const struct sk_module_spec *spec, bool own_users,
                                const struct paths *paths, struct sk_place *place) {
    place->what = "User";
    place->why = "there is no such user on this machine";
    if (spec->user) return sk_user_find(spec->user, &place->uid, &place->gid);
    return own_users ? give_user(io, spec, paths, place) : SK_OK;
}

/* ---- folders ---- */

/* Modules of every user pass through the folder above theirs: it is not made with the mode of
 * the first one's. What modules write into their logs is nobody else's business. */
static enum sk_status make_common(struct sk_io *io, const struct paths *paths) {
    enum sk_status status = sk_folder_make(io, paths->all, 0711);
    if (!status) status = sk_path_set_mode(io, paths->all, 0711); /* it may be from before */
    if (!status) status = sk_folder_make(io, paths->logs, 0700);
    if (!status) status = sk_path_set_mode(io, paths->logs, 0700);
    return status;
}

/* A folder that is its user's already is not looked into: there may be much in it. */
static enum sk_status make_own(struct sk_io *io, const struct paths *paths,
                               const struct sk_place *place) {
    enum sk_status status = sk_folder_make(io, paths->own, 0700);
    if (status || sk_path_owner(paths->own) == place->uid) return status;
    return sk_folder_give(paths->own, 0700, place->uid, place->gid);
}

enum sk_status sk_place_make(struct sk_io *io, const char *data, const struct sk_module_spec *spec,
                             bool own_users, struct sk_place *place) {
    struct paths paths;
    snprintf(paths.all, sizeof paths.all, "%s/modules", data);
    snprintf(paths.own, sizeof paths.own, "%s/modules/%s", data, spec->name);
    snprintf(paths.logs, sizeof paths.logs, "%s/logs", data);
    snprintf(paths.sockets, sizeof paths.sockets, "%s/sockets", data);
    *place = (struct sk_place){.what = "Folder"};
    enum sk_status status = make_common(io, &paths);
    if (!status) {
        status = find_user(io, spec, own_users, &paths, place);
        if (status) return status;
        place->what = "Folder";
        status = make_own(io, &paths, place);
    }
    place->why = sk_status_text(status);
    return status;
}
