/* The modules' sockets: where they are, and who may open them. */
#include <stdio.h>

#include "edge/daemon/parts.h"
#include "model/json_text.h"

enum { SOCKET_NAME_MAX = 24 };

/* ---- paths ---- */

void sk_daemon_management_path(const char *data, char to[SK_SOCKET_PATH_MAX]) {
    snprintf(to, SK_SOCKET_PATH_MAX, "%s/sockets/management", data); /* modules' end in .sock */
}

void sk_daemon_socket_path(const char *data, struct sk_span module_id,
                           char to[SK_SOCKET_PATH_MAX]) {
    char name[SOCKET_NAME_MAX + 1];
    size_t n = 0;
    bool system = sk_is_system_module(module_id);
    struct sk_span rest = sk_span_skip(module_id, system ? 1 : 0);
    /* "edgeHub" is another module than "$edgeHub". */
    bool plain = rest.n <= SOCKET_NAME_MAX &&
                 (system || (!sk_span_is(rest, "edgeHub") && !sk_span_is(rest, "edgeAgent")));
    for (; n < rest.n && n < SOCKET_NAME_MAX; n++) {
        char c = rest.p[n];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '-' || (c == '.' && n);
        name[n] = fine ? c : '_';
        plain = plain && fine;
    }
    name[n] = 0;
    /* Two names that became alike are told apart by a checksum of the whole. */
    if (plain)
        snprintf(to, SK_SOCKET_PATH_MAX, "%s/sockets/%s.sock", data, name);
    else
        snprintf(to, SK_SOCKET_PATH_MAX, "%s/sockets/%.12s~%08x.sock", data, name,
                 (unsigned)sk_crc32c(0, module_id));
}

/* A folder of the container's own: bound into it, the folder shows the socket of whichever daemon
 * runs. The one above is closed to everybody else on the machine. */
static void container_paths(const char *data, struct sk_span module_id, char all[512],
                            char own[512], char socket[SK_SOCKET_PATH_MAX]) {
    bool plain = sk_span_only(module_id, "_.-") && module_id.n && module_id.p[0] != '.';
    snprintf(all, 512, "%s/sockets/containers", data);
    snprintf(own, 512, "%s/%.*s", all, SK_ARG(module_id));
    if (!plain || strlen(own) + sizeof "/workload.sock" > SK_SOCKET_PATH_MAX)
        snprintf(own, 512, "%s/%08x", all, (unsigned)sk_crc32c(0, module_id));
    snprintf(socket, SK_SOCKET_PATH_MAX, "%s/workload.sock", own);
}

static enum sk_status make_container_folders(struct sk_daemon *daemon, struct sk_span module_id,
                                             char socket[SK_SOCKET_PATH_MAX]) {
    char all[512], own[512];
    container_paths(daemon->config->data, module_id, all, own, socket);
    enum sk_status status = sk_folder_make(daemon->io, all, 0700);
    if (!status) status = sk_path_set_mode(daemon->io, all, 0700);
    if (!status) status = sk_folder_make(daemon->io, own, 0755);
    /* Whoever the container's user is passes through. */
    return status ? status : sk_path_set_mode(daemon->io, own, 0755);
}

/* ---- sockets ---- */

struct daemon_socket *daemon_socket_find(const struct sk_daemon *daemon, struct sk_span module_id) {
    SK_LIST_EACH(&daemon->sockets, node, following) {
        struct daemon_socket *socket = SK_CONTAINER(node, struct daemon_socket, link);
        if (sk_span_is(module_id, socket->module_id)) return socket;
    }
    return NULL;
}

void daemon_socket_close(struct daemon_socket *socket) {
    if (socket->listener) sk_http_listener_close(socket->listener);
    sk_file_remove(socket->daemon->io, socket->path);
    sk_list_remove(&socket->link);
    free(socket->module_id);
    free(socket);
}

/* The file's mode already keeps others out; this holds even where somebody changed it. */
static void *socket_opened(void *arg, struct sk_stream *stream) {
    struct daemon_socket *socket = arg;
    uint32_t pid, uid;
    if (socket->owner.uid &&
        (!sk_stream_peer_process(stream, &pid, &uid) || (uid != socket->owner.uid && uid != 0))) {
        SK_WARN("daemon", "a process of another user was kept from the socket of module %s",
                socket->module_id);
        sk_stream_abort(stream);
    }
    return NULL;
}

static bool is_same(const struct daemon_socket_owner *a, const struct daemon_socket_owner *b) {
    return a->uid == b->uid && a->gid == b->gid && a->container == b->container;
}

enum sk_status daemon_socket_open(struct sk_daemon *daemon, struct sk_span module_id,
                                  const struct daemon_socket_owner *owner,
                                  struct daemon_socket **opened) {
    struct daemon_socket *socket = daemon_socket_find(daemon, module_id);
    enum sk_status status = SK_OK;
    if (socket && is_same(&socket->owner, owner)) {
        *opened = socket;
        return SK_OK;
    }
    if (socket) daemon_socket_close(socket);
    socket = SK_NEW(struct daemon_socket);
    socket->daemon = daemon;
    socket->module_id = sk_span_dup(module_id);
    socket->owner = *owner;
    socket->service = (struct sk_http_service){.handler = workload_handle,
                                               .arg = socket,
                                               .body_max = DAEMON_BODY_MAX,
                                               .connections_max = daemon->config->workload_max,
                                               .opened = socket_opened};
    if (owner->container)
        status = make_container_folders(daemon, module_id, socket->path);
    else
        sk_daemon_socket_path(daemon->config->data, module_id, socket->path);
    sk_list_append(&daemon->sockets, &socket->link);
    sk_file_remove(daemon->io, socket->path); /* left behind by a daemon that was killed */
    struct sk_endpoint at = {.path = socket->path, .path_mode = owner->container ? 0666 : 0600};
    if (!status)
        status = sk_http_listen(daemon->io, &at, NULL, &socket->service, &socket->listener, NULL);
    if (!status && owner->uid)
        status = sk_file_own(daemon->io, socket->path, owner->uid, owner->gid);
    if (status) {
        daemon_socket_close(socket);
        return status;
    }
    *opened = socket;
    return SK_OK;
}

/* ---- over a daemon's death ---- */

/* The modules live on meanwhile, and expect their sockets where they were. */
static void remembered_path(const struct sk_daemon *daemon, char to[512]) {
    snprintf(to, 512, "%s/keys/sockets.json", daemon->config->data);
}

void daemon_sockets_remember(const struct sk_daemon *daemon) {
    char path[512];
    json_t *all = json_object();
    SK_LIST_EACH(&daemon->sockets, node, following) {
        const struct daemon_socket *socket = SK_CONTAINER(node, struct daemon_socket, link);
        if (!sk_is_system_module(sk_span_z(socket->module_id)))
            json_object_set_new(all, socket->module_id,
                                json_pack("{s:I,s:I,s:b,s:s}", "uid", (json_int_t)socket->owner.uid,
                                          "gid", (json_int_t)socket->owner.gid, "container",
                                          socket->owner.container, "containerId",
                                          socket->container_id));
    }
    SK_CLEANUP_FREE char *text = sk_json_text(all);
    json_decref(all);
    remembered_path(daemon, path);
    enum sk_status status = sk_file_save(daemon->io, path, sk_span_z(text), 0600);
    if (status)
        SK_WARN("daemon", "cannot remember the modules' sockets in %s: %s", path,
                sk_status_text(status));
}

/* Older versions wrote [uid, gid]. */
static struct daemon_socket_owner read_owner(const json_t *json) {
    bool list = json_is_array(json);
    const json_t *uid = list ? json_array_get(json, 0) : json_object_get(json, "uid"),
                 *gid = list ? json_array_get(json, 1) : json_object_get(json, "gid");
    return (struct daemon_socket_owner){
        .uid = (uint32_t)json_integer_value(uid),
        .gid = (uint32_t)json_integer_value(gid),
        .container = json_is_true(json_object_get(json, "container")),
    };
}

void daemon_sockets_restore(struct sk_daemon *daemon) {
    char path[512];
    struct sk_buffer text = {.limit = 1024 * 1024};
    const char *module;
    json_t *owner;
    remembered_path(daemon, path);
    json_t *all =
        sk_file_load(daemon->io, path, &text) ? NULL : json_loadb(text.p, text.n, 0, NULL);
    json_object_foreach(all, module, owner) {
        struct daemon_socket *socket;
        struct daemon_socket_owner of = read_owner(owner);
        const char *id = json_string_value(json_object_get(owner, "containerId"));
        if (daemon_socket_open(daemon, sk_span_z(module), &of, &socket))
            SK_WARN("daemon", "the socket of module %s cannot be made again", module);
        else
            snprintf(socket->container_id, sizeof socket->container_id, "%s", id ? id : "");
    }
    json_decref(all);
    sk_buffer_free(&text);
}
