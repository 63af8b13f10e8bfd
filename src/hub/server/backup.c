/* `skerry-hub backup` and `restore`: the data of hubs that may be running, as a folder.
 *
 * Nothing that was acknowledged before a backup began is missing in it: all that is acknowledged is
 * on disk. It is as after a loss of power at some later moment, which a hub starts from: the
 * registry is copied first and the log behind it, whose end may be torn and is newer than what the
 * registry remembers of it; cursors before the records that they point at. backup.json is written
 * last: a folder without it is not whole. Files of blobs are copied behind the registry that lists
 * them; until then the hub, which is told by a file, keeps those that it needs no more. */
#include <stdio.h>

#include "hub/server/server.h"
#include "model/json_text.h"

enum { PATH = 1024, CHUNK = 1024 * 1024 };

#define MANIFEST "backup.json"

/* ---- files ---- */

struct copying {
    struct sk_io *io;
    enum sk_status status;
};

static void written(void *arg, enum sk_status status) {
    struct copying *c = arg;
    c->status = status;
    sk_io_stop(c->io);
}

static enum sk_status copy_open(struct sk_io *io, struct sk_file *from, struct sk_file *to) {
    struct copying c = {.io = io};
    SK_CLEANUP_FREE char *chunk = sk_alloc(CHUNK);
    size_t got;
    for (uint64_t at = 0; !c.status; at += got) {
        c.status = sk_file_read(from, at, chunk, CHUNK, &got);
        if (c.status || got == 0) break;
        sk_file_write_sync(to, at, sk_span(chunk, got), written, &c);
        sk_io_run(io);
    }
    return c.status;
}

/* What was removed meanwhile is not missed. */
static enum sk_status copy_file(struct sk_io *io, const char *from, const char *to, char *reason) {
    struct sk_file *source = NULL, *target = NULL;
    enum sk_status status = sk_file_open(io, from, SK_FILE_READ, &source);
    if (status == SK_NOT_FOUND) return SK_OK;
    if (!status) status = sk_file_open(io, to, SK_FILE_CREATE, &target);
    if (!status) status = copy_open(io, source, target);
    if (!status) sk_path_set_mode(io, to, 0600);
    if (source) sk_file_close(source);
    if (target) sk_file_close(target);
    if (status)
        snprintf(reason, SK_HUB_CONFIG_ERROR_MAX, "%s cannot be copied to %s: %s", from, to,
                 sk_status_text(status));
    return status;
}

/* ---- folders ---- */

struct names {
    char **names;
    size_t count;
};

static void add_name(void *arg, struct sk_span name) {
    struct names *n = arg;
    n->names = sk_realloc(n->names, (n->count + 1) * sizeof *n->names);
    n->names[n->count++] = sk_span_dup(name);
}

static void free_names(struct names *n) {
    for (size_t i = 0; i < n->count; i++) free(n->names[i]);
    free(n->names);
    *n = (struct names){0};
}

/* Copied in another way, or of the process that runs. */
static bool is_left_out(const char *name) {
    return sk_span_starts(sk_span_z(name), SK_SPAN("registry.db")) || strcmp(name, "lock") == 0 ||
           strcmp(name, SK_HUB_BLOBS_COPIED) == 0;
}

static enum sk_status copy_tree(struct sk_io *io, const char *from, const char *to, char *reason);

/* `segments`: those of the log, or all else. */
static enum sk_status copy_some(struct sk_io *io, const char *from, const char *to,
                                const struct names *n, bool segments, char *reason) {
    char source[PATH], target[PATH];
    enum sk_status status = SK_OK;
    for (size_t i = 0; i < n->count && !status; i++) {
        const char *name = n->names[i];
        bool segment = sk_span_ends(sk_span_z(name), SK_SPAN(".log"));
        if (is_left_out(name) || segment != segments) continue;
        snprintf(source, sizeof source, "%s/%s", from, name);
        snprintf(target, sizeof target, "%s/%s", to, name);
        status = copy_tree(io, source, target, reason);
    }
    return status;
}

static enum sk_status copy_tree(struct sk_io *io, const char *from, const char *to, char *reason) {
    struct names n = {0};
    if (sk_folder_list(io, from, add_name, &n)) return copy_file(io, from, to, reason);
    enum sk_status status = sk_folder_make(io, to, 0700);
    if (status)
        snprintf(reason, SK_HUB_CONFIG_ERROR_MAX, "cannot make the folder %s: %s", to,
                 sk_status_text(status));
    if (!status) status = copy_some(io, from, to, &n, false, reason);
    if (!status) status = copy_some(io, from, to, &n, true, reason);
    free_names(&n);
    return status;
}

static bool is_empty(struct sk_io *io, const char *folder) {
    struct names n = {0};
    sk_folder_list(io, folder, add_name, &n);
    bool empty = n.count == 0 || (n.count == 1 && strcmp(n.names[0], "lock") == 0);
    free_names(&n);
    return empty;
}

/* ---- backup ---- */

/* The file that tells the hub of the copy; `path` is empty when there is nothing to tell. */
static enum sk_status keep_blobs(struct sk_io *io, const struct sk_hub_options *hub,
                                 char path[PATH]) {
    struct names n = {0};
    snprintf(path, PATH, "%s/blobs", hub->data);
    bool there = sk_folder_list(io, path, add_name, &n) == SK_OK;
    free_names(&n);
    path[0] = 0;
    if (!there) return SK_OK;
    snprintf(path, PATH, "%s/blobs/" SK_HUB_BLOBS_COPIED, hub->data);
    enum sk_status status = sk_folder_make(io, path, 0755); /* the hub may be another user */
    sk_path_set_mode(io, path, 0755);
    snprintf(path, PATH, "%s/blobs/" SK_HUB_BLOBS_COPIED "/%lld", hub->data,
             (long long)sk_io_wall(io));
    return status ? status : sk_file_save(io, path, SK_NONE, 0600);
}

static enum sk_status copy_hub(struct sk_io *io, const struct sk_hub_options *hub,
                               const char *folder, char *reason) {
    char to[PATH], to_db[PATH], events[PATH], to_events[PATH], why[512] = "";
    snprintf(to, sizeof to, "%s/%s", folder, hub->name);
    snprintf(to_db, sizeof to_db, "%s/registry.db", to);
    snprintf(events, sizeof events, "%s/events", hub->data);
    snprintf(to_events, sizeof to_events, "%s/events", to);
    enum sk_status status = sk_folder_make(io, to, 0700);
    if (!status) status = sk_hub_copy_registry(hub, to_db, why);
    if (status) {
        snprintf(reason, SK_HUB_CONFIG_ERROR_MAX, "hub %s: %s", hub->name,
                 why[0] ? why : sk_status_text(status));
        return status;
    }
    sk_path_set_mode(io, to_db, 0600);
    status = copy_tree(io, events, to_events, reason);
    return status ? status : copy_tree(io, hub->data, to, reason);
}

static enum sk_status save_hub(struct sk_io *io, const struct sk_hub_options *hub,
                               const char *folder, char *reason) {
    char kept[PATH];
    enum sk_status status = keep_blobs(io, hub, kept);
    if (status)
        snprintf(reason, SK_HUB_CONFIG_ERROR_MAX, "%s cannot be written: %s", kept,
                 sk_status_text(status));
    else
        status = copy_hub(io, hub, folder, reason);
    if (kept[0]) sk_file_remove(io, kept);
    return status;
}

/* A file that is named in hub.toml, into a folder. */
static enum sk_status save_named(struct sk_io *io, const char *file, const char *folder,
                                 char *reason) {
    char to[PATH];
    const char *slash = strrchr(file, '/');
    snprintf(to, sizeof to, "%s/%s", folder, slash ? slash + 1 : file);
    return copy_file(io, file, to, reason);
}

/* CA certificates of a hub: those of devices, of the storage account, of endpoints. */
static enum sk_status save_authorities(struct sk_io *io, const struct sk_hub_options *hub,
                                       const char *folder, char *reason) {
    char to[PATH];
    snprintf(to, sizeof to, "%s/config/%s", folder, hub->name);
    enum sk_status status = sk_folder_make(io, to, 0700);
    for (size_t i = 0; i < hub->ca_file_count && !status; i++)
        status = save_named(io, hub->ca_files[i], to, reason);
    if (!status && hub->files.ca_file) status = save_named(io, hub->files.ca_file, to, reason);
    for (size_t i = 0; i < hub->endpoint_count && !status; i++)
        if (hub->endpoints[i].ca_file)
            status = save_named(io, hub->endpoints[i].ca_file, to, reason);
    return status;
}

static enum sk_status save_config(struct sk_io *io, const struct sk_hub_config *config,
                                  const char *folder, char *reason) {
    const char *files[] = {config->file, config->certificate, config->key};
    char to[PATH];
    snprintf(to, sizeof to, "%s/config", folder);
    enum sk_status status = sk_folder_make(io, to, 0700);
    for (size_t i = 0; i < 3 && !status; i++) status = save_named(io, files[i], to, reason);
    for (size_t i = 0; i < config->hub_count && !status; i++)
        status = save_authorities(io, &config->hubs[i], folder, reason);
    return status;
}

static enum sk_status save_manifest(struct sk_io *io, const struct sk_hub_config *config,
                                    int64_t begun_us, const char *folder, char *reason) {
    char path[PATH], when[SK_TIME_TEXT];
    json_t *hubs = json_array();
    for (size_t i = 0; i < config->hub_count; i++)
        json_array_append_new(hubs, json_string(config->hubs[i].name));
    sk_time_text(begun_us, when);
    json_t *json = json_pack("{s:s,s:s,s:o}", "begun", when, "version", SK_VERSION, "hubs", hubs);
    SK_CLEANUP_FREE char *text = sk_json_text(json);
    json_decref(json);
    snprintf(path, sizeof path, "%s/" MANIFEST, folder);
    enum sk_status status = sk_file_save(io, path, sk_span_z(text), 0600);
    if (status)
        snprintf(reason, SK_HUB_CONFIG_ERROR_MAX, "%s cannot be written: %s", path,
                 sk_status_text(status));
    return status;
}

enum sk_status sk_hub_backup(struct sk_io *io, const struct sk_hub_config *config,
                             const char *folder, char reason[SK_HUB_CONFIG_ERROR_MAX]) {
    int64_t begun_us = sk_io_wall(io);
    if (!is_empty(io, folder)) {
        snprintf(reason, SK_HUB_CONFIG_ERROR_MAX, "%s is not empty; name a folder that is new",
                 folder);
        return SK_EXISTS;
    }
    enum sk_status status = sk_folder_make(io, folder, 0700);
    if (status)
        snprintf(reason, SK_HUB_CONFIG_ERROR_MAX, "%s cannot be made: %s", folder,
                 sk_status_text(status));
    for (size_t i = 0; i < config->hub_count && !status; i++)
        status = save_hub(io, &config->hubs[i], folder, reason);
    if (!status) status = save_config(io, config, folder, reason);
    return status ? status : save_manifest(io, config, begun_us, folder, reason);
}

/* ---- restore ---- */

static enum sk_status check_manifest(struct sk_io *io, const char *folder, char *reason) {
    char path[PATH];
    struct sk_buffer text = {.limit = SK_HUB_CONFIG_BYTES_MAX};
    snprintf(path, sizeof path, "%s/" MANIFEST, folder);
    enum sk_status status = sk_file_load(io, path, &text);
    sk_buffer_free(&text);
    if (status)
        snprintf(reason, SK_HUB_CONFIG_ERROR_MAX,
                 "%s is no whole backup: it has no " MANIFEST "; take another one", folder);
    return status;
}

static enum sk_status bring_hub(struct sk_io *io, const struct sk_hub_options *hub,
                                const char *folder, char *reason) {
    char from[PATH], from_db[PATH], to_db[PATH];
    struct sk_buffer none = {.limit = 1};
    snprintf(from, sizeof from, "%s/%s", folder, hub->name);
    snprintf(from_db, sizeof from_db, "%s/registry.db", from);
    snprintf(to_db, sizeof to_db, "%s/registry.db", hub->data);
    enum sk_status status = sk_file_load(io, from_db, &none);
    sk_buffer_free(&none);
    if (status == SK_NOT_FOUND) {
        snprintf(reason, SK_HUB_CONFIG_ERROR_MAX, "the backup %s has no hub '%s'", folder,
                 hub->name);
        return status;
    }
    if (!is_empty(io, hub->data)) {
        snprintf(reason, SK_HUB_CONFIG_ERROR_MAX,
                 "%s is not empty: a backup is restored into an empty folder; move it away",
                 hub->data);
        return SK_EXISTS;
    }
    status = copy_tree(io, from, hub->data, reason);
    return status ? status : copy_file(io, from_db, to_db, reason);
}

enum sk_status sk_hub_restore(struct sk_io *io, const struct sk_hub_config *config,
                              const char *folder, char reason[SK_HUB_CONFIG_ERROR_MAX]) {
    enum sk_status status = check_manifest(io, folder, reason);
    for (size_t i = 0; i < config->hub_count && !status; i++)
        status = bring_hub(io, &config->hubs[i], folder, reason);
    return status;
}
