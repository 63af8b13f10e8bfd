/* What the deployment says of the edge hub, told to it over its socket for people. */
#include <stdio.h>

#include "edge/agent/parts.h"

static void told(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct sk_agent *agent = arg;
    agent->hub.telling = false;
    if (status == SK_OK && answer->status == 200)
        agent->hub.told = agent->hub.asked; /* else the next tick tries again */
}

void agent_tell_hub(struct sk_agent *agent) {
    char body[60];
    int64_t wanted = agent->deployment.max_clients;
    if (agent->hub.client == NULL || !agent->deployed || agent->hub.telling ||
        agent->hub.told == wanted)
        return;
    agent->hub.telling = true;
    agent->hub.asked = wanted;
    snprintf(body, sizeof body, "{\"MaxConnectedClients\":%lld}", (long long)wanted);
    sk_http_client_send(agent->hub.client, &(struct sk_http_ask){.method = SK_HTTP_PUT,
                                                                 .target = SK_SPAN("/settings"),
                                                                 .body = sk_span_z(body),
                                                                 .done = told,
                                                                 .arg = agent});
}

void agent_hub_open(struct sk_agent *agent) {
    agent->hub.told = -1;
    if (agent->options.hub_status_path)
        sk_http_client_new(
            agent->io,
            &(struct sk_http_client_options){.to = {.path = agent->options.hub_status_path}},
            &agent->hub.client);
}
