/* What the daemon's files share. Inside src/edge/daemon only. */
#ifndef SK_EDGE_DAEMON_PARTS_H
#define SK_EDGE_DAEMON_PARTS_H

#include <jansson.h>

#include "net/http_server.h"
#include "edge/daemon/certificates.h"
#include "edge/daemon/daemon.h"
#include "edge/daemon/identities.h"
#include "edge/daemon/keys.h"
#include "wire/http_router.h"

enum { DAEMON_BODY_MAX = 256 * 1024, DAEMON_CONTAINER_ID = 64 };

struct sk_daemon {
    struct sk_io *io;
    const struct sk_edge_config *config;
    struct sk_tls *tls;
    struct sk_key_store *store;
    struct sk_keys *keys;
    struct sk_credential *credential;
    struct sk_own_certificate *identity; /* the device's certificate; NULL: it is given, or a key */
    struct sk_certificates *certificates;
    struct sk_identities *identities;
    struct sk_http_listener *management;
    struct sk_http_service management_service;
    struct sk_list sockets; /* struct daemon_socket */
    struct sk_timer retry;  /* of the system modules' identities */
    uint64_t started_ns;
    int64_t ticks_all, ticks_idle; /* of the processors, when last asked for */
};

/* For whom a socket is. */
struct daemon_socket_owner {
    uint32_t uid, gid; /* 0: ours */
    bool container;    /* whose user may be anybody; nobody else reaches its folder */
};
/* A module's socket. */
struct daemon_socket {
    struct sk_list link;
    struct sk_daemon *daemon;
    char *module_id;
    char path[SK_SOCKET_PATH_MAX];
    struct daemon_socket_owner owner;
    /* Of a container's: the one that is told last; empty: none yet. */
    char container_id[DAEMON_CONTAINER_ID + 1];
    struct sk_http_service service;
    struct sk_http_listener *listener;
};

/* --- answer.c --- */

/* Answers with JSON, which is freed. */
void daemon_answer(struct sk_http_exchange *exchange, unsigned status, json_t *body);
/* {"message":"…"}. */
void daemon_refuse(struct sk_http_exchange *exchange, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* False, and answered, unless the request's api-version is one that Azure's daemon knows. */
bool daemon_check_version(struct sk_http_exchange *exchange);
/* The request's JSON object (a new reference), or NULL and answered with 400. */
json_t *daemon_body(struct sk_http_exchange *exchange);

/* --- sockets.c --- */

/* Makes or replaces a module's socket. */
enum sk_status daemon_socket_open(struct sk_daemon *daemon, struct sk_span module_id,
                                  const struct daemon_socket_owner *owner,
                                  struct daemon_socket **socket);
void daemon_socket_close(struct daemon_socket *socket);
struct daemon_socket *daemon_socket_find(const struct sk_daemon *daemon, struct sk_span module_id);
/* The modules' sockets are there again after a daemon has died: what is open now is written
 * down; what was written down is opened. */
void daemon_sockets_remember(const struct sk_daemon *daemon);
void daemon_sockets_restore(struct sk_daemon *daemon);

/* --- caller.c --- */

/* The container that a process is in, out of its /proc/PID/cgroup, as Docker and Podman make groups
 * (versions 1 and 2, by systemd or not). False: in none, or in two. */
bool daemon_container_of(struct sk_span cgroup, char id[DAEMON_CONTAINER_ID + 1]);
/* Whether the process at the other end may speak for the socket's module; false with a sentence. */
bool daemon_caller_fits(const struct daemon_socket *socket, struct sk_stream *stream,
                        char reason[256]);

/* --- system_info.c: bodies of answers --- */

json_t *daemon_system_info(const struct sk_daemon *daemon);
json_t *daemon_resources(struct sk_daemon *daemon);
json_t *daemon_modules(const struct sk_daemon *daemon);

/* --- workload.c, management.c: handlers --- */

void workload_handle(void *arg, struct sk_http_exchange *exchange); /* arg: struct daemon_socket */
void management_handle(void *arg, struct sk_http_exchange *exchange); /* arg: struct sk_daemon */

#endif
