/* The agent role: makes the modules on this machine what the `$edgeAgent` twin says, and reports
 * how they stand.
 *
 * The last good deployment is kept in <data>/agent/deployment.json and is in force from the start,
 * connected or not. A deployment that is refused is reported with its reason; the one in force
 * stays. */
#ifndef SK_EDGE_AGENT_AGENT_H
#define SK_EDGE_AGENT_AGENT_H

#include "device/client.h"
#include "device/upstream.h"
#include "edge/agent/modules.h"
#include "io/io.h"

struct sk_agent;

/* The hub role's process. */
struct sk_hub_standing {
    int pid; /* 0: it does not run */
    int64_t started_us;
    unsigned restarts;
};

/* Texts are borrowed for the agent's life. */
struct sk_agent_options {
    const char *data;            /* folder */
    const char *management_path; /* the daemon's management socket */
    const char *workload_path;   /* the daemon's socket for $edgeAgent */
    const char *hub_status_path; /* the edge hub's socket for people; NULL: none */
    const char *control_path;    /* socket to serve the command line on */
    const char *hub_host, *device_id;
    struct sk_edge_upstream upstream;
    struct sk_tls *tls;       /* NULL: plain (tests); must outlive the agent */
    const char *gateway_host; /* the edge hub, as modules dial it */
    uint16_t gateway_port;
    const char *parent_host; /* nested, else NULL */
    bool own_users;          /* each module is a user of its own: place.h */
    struct sk_container_options containers;
    const char *config_file;    /* for the support bundle; NULL: none is made */
    struct sk_endpoint metrics; /* host NULL: none are served */
    /* How the hub role stands; NULL: it runs, and nobody knows more. */
    struct sk_hub_standing (*hub_stands)(void *arg);
    void *hub_arg;
};

enum sk_status sk_agent_start(struct sk_io *io, const struct sk_agent_options *options,
                              struct sk_agent **agent, char reason[256]);
/* Stops the modules, then frees; `stopped` comes once, not from inside. */
void sk_agent_stop(struct sk_agent *agent, void (*stopped)(void *arg), void *arg);

#endif
