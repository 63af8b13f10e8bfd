/* What the agent's files share. Inside src/edge/agent only. */
#ifndef SK_EDGE_AGENT_PARTS_H
#define SK_EDGE_AGENT_PARTS_H

#include "device/mux.h"
#include "net/http_server.h"
#include "device/workload.h"
#include "edge/agent/agent.h"
#include "edge/agent/modules.h"
#include "edge/agent/report.h"

enum { AGENT_METHODS = 6 };
/* Since the start, for metrics. */
struct agent_counts {
    uint64_t syncs, failed_syncs; /* of the twin */
    uint64_t methods[AGENT_METHODS];
    struct sk_summary deployments; /* µs until they were in force */
    struct sk_module_counts hub;   /* of the hub role; in `counted_ns` until when */
    uint64_t counted_ns;
};

struct sk_agent {
    struct sk_io *io;
    struct sk_agent_options options;
    struct sk_modules *modules;
    struct sk_http_client *management;
    struct sk_workload *workload; /* NULL until our generation id is known */
    struct sk_device_client *client;
    struct sk_device_mux *mux; /* the AMQP connection that it uses; NULL: MQTT */
    struct sk_http_service control_service;
    struct sk_http_listener *control;
    struct sk_deployment deployment; /* in force */
    bool deployed;
    uint64_t desired_version;
    int status_code; /* of the last desired properties: 200, or why they were refused */
    char status_description[384];
    int64_t started_us;
    uint64_t started_ns;
    uint64_t deploying_ns; /* since when a deployment is being put into force; 0: none is */
    struct agent_counts counts;
    struct agent_metrics *metrics; /* NULL: they are not served */
    json_t *reported;              /* as the hub has it; NULL: not known yet, nothing is sent */
    json_t *reporting;             /* on its way */
    bool report_wanted;
    struct sk_timer tick;
    unsigned early_ticks; /* made so far */
    bool asking_identity;
    struct sk_task report_task, replan_task;
    bool reconcile_again; /* a plan was running when it was time for another */
    struct {
        struct sk_http_client *client; /* NULL: there is no edge hub to tell */
        int64_t asked, told;           /* MaxConnectedClients; told < 0: nothing yet */
        bool telling;
    } hub;
    struct sk_list calls;   /* direct methods that wait for what they ask for */
    struct sk_list uploads; /* that run, and the last ones that have ended */
    void (*stopped)(void *arg);
    void *stopped_arg;
};

/* --- facts.c --- */

struct sk_agent_facts agent_facts(struct sk_agent *agent);
/* Of the hub role, up to now. */
const struct sk_module_counts *agent_hub_counts(struct sk_agent *agent);

/* --- hub_settings.c --- */

void agent_hub_open(struct sk_agent *agent);
/* Tells the edge hub what the deployment says of it, if it does not know. */
void agent_tell_hub(struct sk_agent *agent);

/* --- methods.c --- */

/* Answers a direct method, at once or when what it asks for is there. */
void agent_method(struct sk_agent *agent, struct sk_span name, struct sk_span payload,
                  struct sk_span rid);
/* `i` below AGENT_METHODS. */
const char *agent_method_name(size_t i);
/* Ends the calls that wait; nothing is answered. */
void agent_methods_end(struct sk_agent *agent);

/* --- details.c --- */

/* How modules stand, as Azure's management API tells it: {"modules":[…]}, or one of them, NULL
 * where there is none of that name. New references. */
json_t *agent_details(struct sk_agent *agent);
json_t *agent_details_of(struct sk_agent *agent, struct sk_span name);

/* --- control.c: for the command line --- */

void control_handle(void *arg, struct sk_http_exchange *exchange);

#endif
