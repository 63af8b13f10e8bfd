/* The reported properties of `$edgeAgent` (docs/protocols/edge-runtime.md, section 3.4) as one
 * document. */
#ifndef SK_EDGE_AGENT_REPORT_H
#define SK_EDGE_AGENT_REPORT_H

#include "edge/agent/modules.h"

/* What is reported beside the modules. */
struct sk_agent_facts {
    const struct sk_deployment *deployment; /* the one in force, or NULL */
    uint64_t desired_version;               /* last seen */
    int status_code;                        /* 200, 400, 412, 417, 500; 0: none yet */
    const char *status_description;
    int64_t agent_started_us;
    bool hub_running;
    int64_t hub_started_us; /* 0: never */
    unsigned hub_restarts;
};

/* The whole document; a new reference. `modules` may be NULL. */
json_t *sk_agent_report(const struct sk_agent_facts *facts, struct sk_modules *modules);

#endif
