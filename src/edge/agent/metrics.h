/* The agent's page of metrics for Prometheus, with the names of Azure's agent
 * (docs/protocols/edge-runtime.md, section 4.6). Inside src/edge/agent only.
 *
 * Nothing is measured before somebody asks; then the daemon and the engine are asked in turn, and
 * after a few seconds the page goes out with what they have told. */
#ifndef SK_EDGE_AGENT_METRICS_H
#define SK_EDGE_AGENT_METRICS_H

#include "edge/agent/modules.h"

struct sk_agent;
struct agent_metrics;

/* SK_EXISTS, SK_FORBIDDEN, …: the address cannot be had. */
enum sk_status agent_metrics_open(struct sk_agent *agent, const struct sk_endpoint *at);
void agent_metrics_close(struct sk_agent *agent);

#endif
