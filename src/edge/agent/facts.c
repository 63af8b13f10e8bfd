/* How the agent and the edge hub beside it stand, for reports, people and metrics. */
#include "edge/agent/parts.h"

struct sk_agent_facts agent_facts(struct sk_agent *agent) {
    const char *failure = sk_modules_failure(agent->modules);
    bool failed = agent->status_code == 200 && failure[0];
    struct sk_agent_facts facts = {
        .deployment = agent->deployed ? &agent->deployment : NULL,
        .desired_version = agent->desired_version,
        .status_code = failed ? 500 : agent->status_code,
        .status_description = failed ? failure : agent->status_description,
        .agent_started_us = agent->started_us,
        .hub_running = true,
        .hub_started_us = agent->started_us,
    };
    if (agent->options.hub_stands) {
        struct sk_hub_standing hub = agent->options.hub_stands(agent->options.hub_arg);
        facts.hub_running = hub.pid != 0;
        facts.hub_started_us = hub.started_us;
        facts.hub_restarts = hub.restarts;
    }
    return facts;
}

const struct sk_module_counts *agent_hub_counts(struct sk_agent *agent) {
    struct agent_counts *counts = &agent->counts;
    uint64_t now_ns = sk_io_now(agent->io);
    uint64_t from_ns = counts->counted_ns ? counts->counted_ns : agent->started_ns;
    struct sk_agent_facts facts = agent_facts(agent);
    counts->counted_ns = now_ns;
    counts->hub.expected_ns += now_ns - from_ns;
    if (facts.hub_running) counts->hub.correct_ns += now_ns - from_ns;
    counts->hub.starts = facts.hub_restarts + 1u;
    return &counts->hub;
}
