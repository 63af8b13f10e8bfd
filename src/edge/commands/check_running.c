/* Checks of the edge that runs: its roles, its modules, its queues. */
#include <stdio.h>

#include "edge/commands/parts.h"

#define NOT_RUNNING "the edge is not running"
enum { OLD_S = 600 };

static void agent_running(struct edge_checks *checks, struct edge_finding *finding) {
    if (checks->agent == NULL)
        edge_find(finding, EDGE_ERROR,
                  "`systemctl start skerry-edge`, or `skerry-edge run`; as a user who may read "
                  "the socket.",
                  "The agent does not answer on %s/" SK_CONTROL_SOCKET ".", checks->config->data);
}

static void hub_running(struct edge_checks *checks, struct edge_finding *finding) {
    if (checks->hub == NULL)
        edge_find(finding, EDGE_ERROR, "Its log says why: `journalctl -u skerry-edgehub`.",
                  "The edge hub does not answer on %s/" SK_HUB_STATUS_SOCKET ".",
                  checks->config->data);
}

/* The agent's answer, or a finding that there is none. */
static const json_t *agent_of(struct edge_checks *checks, struct edge_finding *finding) {
    if (checks->agent == NULL) edge_find(finding, EDGE_SKIPPED, "", NOT_RUNNING);
    return checks->agent;
}

static void connected(struct edge_checks *checks, struct edge_finding *finding) {
    const json_t *agent = agent_of(checks, finding);
    if (agent && !json_is_true(json_object_get(agent, "connected")))
        edge_find(finding, EDGE_WARNING,
                  "The connectivity checks above say whether the way is open; the agent's log says "
                  "what the hub answered.",
                  "The agent is not connected to the hub; modules and leaf devices work on.");
}

/* Codes of `lastDesiredStatus`, as the agent reports them. */
enum { NO_DEPLOYMENT_YET = 0, EMPTY_DEPLOYMENT = 417, NOT_CARRIED_OUT = 500 };

static void deployment(struct edge_checks *checks, struct edge_finding *finding) {
    const json_t *agent = agent_of(checks, finding);
    const json_t *last = json_object_get(agent, "lastDesiredStatus");
    const json_t *routes = json_object_get(checks->hub, "deployment");
    long long code = json_integer_value(json_object_get(last, "code"));
    long long routes_code = json_integer_value(json_object_get(routes, "code"));
    if (agent && (code == NO_DEPLOYMENT_YET || code == EMPTY_DEPLOYMENT))
        edge_find(finding, EDGE_WARNING, "Deploy one: `skerry edge set-modules DEVICE FILE`.",
                  "This device has no deployment yet.");
    else if (agent && code == NOT_CARRIED_OUT)
        edge_find(finding, EDGE_ERROR, "The agent tries again by itself when this is mended.",
                  "The deployment is not wholly carried out (%lld): %.300s", code,
                  edge_text_of(last, "description"));
    else if (agent && code != 200)
        edge_find(finding, EDGE_ERROR, "Correct the deployment; the last good one stays in force.",
                  "The deployment was refused (%lld): %.300s", code,
                  edge_text_of(last, "description"));
    else if (agent && routes_code && routes_code != 200)
        edge_find(finding, EDGE_ERROR, "Correct the deployment; the old routes stay in force.",
                  "The edge hub refused the deployment (%lld): %.300s", routes_code,
                  edge_text_of(routes, "description"));
}

static void modules(struct edge_checks *checks, struct edge_finding *finding) {
    const json_t *agent = agent_of(checks, finding);
    const char *name;
    json_t *module;
    json_object_foreach(json_object_get(agent, "modules"), name, module) {
        const char *runtime = edge_text_of(module, "runtimeStatus"),
                   *desired = edge_text_of(module, "status");
        if (finding->verdict == EDGE_OK && strcmp(runtime, *desired ? desired : "running") != 0)
            edge_find(finding, EDGE_ERROR,
                      strcmp(runtime, "unknown") == 0
                          ? "It is not made yet; the agent tries again by itself."
                          : "Its output says more: `skerry-edge logs MODULE`.",
                      "Module %.100s is %s and should be %s: %.200s", name, runtime,
                      *desired ? desired : "running", edge_text_of(module, "statusDescription"));
    }
}

static void queues(struct edge_checks *checks, struct edge_finding *finding) {
    size_t i;
    json_t *queue;
    if (checks->hub == NULL) {
        edge_find(finding, EDGE_SKIPPED, "", "the edge hub is not running");
        return;
    }
    json_array_foreach(json_object_get(checks->hub, "queues"), i, queue) {
        const char *endpoint = edge_text_of(queue, "endpoint");
        double age_s = json_number_value(json_object_get(queue, "oldestAgeSeconds"));
        char age[32];
        if (age_s < OLD_S || finding->verdict) continue;
        edge_age_text((int64_t)age_s, age);
        edge_find(finding, EDGE_WARNING,
                  "A module's queue drains when the module takes its input; the cloud's when it is "
                  "reached.",
                  "%lld messages wait for %.120s, the oldest for %s.",
                  (long long)json_integer_value(json_object_get(queue, "depth")), endpoint, age);
    }
}

#define SECTION "Checks of the running edge"
const struct edge_check edge_checks_running[] = {
    {SECTION, "agent-running", "the agent answers", agent_running},
    {SECTION, "edge-hub-running", "the edge hub answers", hub_running},
    {SECTION, "agent-connected", "the agent is connected to the hub", connected},
    {SECTION, "deployment-in-force", "the deployment is in force", deployment},
    {SECTION, "modules-as-desired", "each module stands as it should", modules},
    {SECTION, "edge-hub-queues", "no message waits long", queues},
    {0}};
