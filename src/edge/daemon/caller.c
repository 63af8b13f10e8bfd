/* Who calls a container's socket: the process at its other end must be in that container.
 *
 * The socket lies in a folder that only its container sees; this holds even where a process of the
 * machine, or another container that was given the folder, opens it. */
#include <stdio.h>

#include "edge/daemon/parts.h"

enum { CGROUP_MAX = 16 * 1024 };

/* 64 hexadecimal digits with nothing of the kind around them. */
static size_t find_id(struct sk_span text) {
    size_t run = 0;
    for (size_t i = 0; i <= text.n; i++) {
        char c = i < text.n ? text.p[i] : 0;
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        if (hex) {
            run++;
            continue;
        }
        bool word = (c >= 'g' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (run == DAEMON_CONTAINER_ID && !word) return i - run;
        run = 0;
    }
    return text.n;
}

/* conmon, which watches a container of Podman, has a group named after it. */
static bool is_watcher(struct sk_span part) {
    static const char word[] = "conmon";
    return memmem(part.p ? part.p : "", part.n, word, sizeof word - 1) != NULL;
}

/* The container of one line "number:controllers:/path/of/the/group": the outermost one, as what is
 * inside of a container is named by whoever is there. */
static bool container_of_line(struct sk_span line, char id[DAEMON_CONTAINER_ID + 1]) {
    struct sk_span part;
    for (int i = 0; i < 2; i++) line = sk_span_skip(line, sk_span_find(line, ':') + 1);
    while (sk_span_split(&line, '/', &part)) {
        size_t at = find_id(part);
        if (at == part.n || is_watcher(part)) continue;
        memcpy(id, part.p + at, DAEMON_CONTAINER_ID);
        id[DAEMON_CONTAINER_ID] = 0;
        return true;
    }
    return false;
}

bool daemon_container_of(struct sk_span cgroup, char id[DAEMON_CONTAINER_ID + 1]) {
    struct sk_span line;
    id[0] = 0;
    while (sk_span_split(&cgroup, '\n', &line)) {
        char here[DAEMON_CONTAINER_ID + 1];
        if (!container_of_line(line, here)) continue;
        if (id[0] && strcmp(id, here) != 0) { /* in two at once: nobody's */
            id[0] = 0;
            return false;
        }
        memcpy(id, here, sizeof here);
    }
    return id[0] != 0;
}

bool daemon_caller_fits(const struct daemon_socket *socket, struct sk_stream *stream,
                        char reason[256]) {
    char path[64], id[DAEMON_CONTAINER_ID + 1];
    struct sk_buffer text = {.limit = CGROUP_MAX};
    uint32_t pid = 0, uid;
    if (!socket->owner.container) return true;
    if (stream == NULL || !sk_stream_peer_process(stream, &pid, &uid)) {
        snprintf(reason, 256, "Nothing says which process calls.");
        return false;
    }
    /* An edge that is itself in a container sees no processes of others: there the folder counts
     * alone. */
    if (pid == 0) return true;
    snprintf(path, sizeof path, "/proc/%u/cgroup", pid);
    enum sk_status status = sk_file_load(socket->daemon->io, path, &text);
    bool known = status == SK_OK && daemon_container_of(sk_buffer_span(&text), id);
    bool fits = known && strcmp(id, socket->container_id) == 0;
    if (status)
        snprintf(reason, 256,
                 "Process %u cannot be looked at (%s); has it ended, or is /proc mounted with "
                 "hidepid?",
                 pid, sk_status_text(status));
    else if (!fits)
        snprintf(reason, 256, "Process %u is %s%.12s, and this socket is of container %.12s.", pid,
                 known ? "in container " : "in no container", known ? id : "",
                 socket->container_id[0] ? socket->container_id : "(none yet)");
    sk_buffer_free(&text);
    return fits;
}
