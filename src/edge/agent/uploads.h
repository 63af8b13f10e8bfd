/* Uploads that direct methods begin and that go on by themselves: modules' logs and the support
 * bundle. Inside src/edge/agent only. */
#ifndef SK_EDGE_AGENT_UPLOADS_H
#define SK_EDGE_AGENT_UPLOADS_H

#include "edge/agent/log_request.h"
#include "edge/agent/parts.h"

/* What of a support bundle is asked for; texts are borrowed for the call, NULL: all. */
struct bundle_ask {
    const char *since, *until;
    bool runtime_only;
};

/* Begin one; its id for upload_json, which lives as long as the agent remembers it (the last 32).
 * NULL with a sentence in `why`. upload_logs takes the request over, in any case. */
const char *upload_logs(struct sk_agent *agent, const char *sas_url, struct sk_log_request *request,
                        const char **why);
const char *upload_bundle(struct sk_agent *agent, const char *sas_url, const struct bundle_ask *ask,
                          const char **why);
/* How it stands, as GetTaskStatus answers; one that is not known has status Unknown. */
json_t *upload_json(struct sk_agent *agent, const char *id);
void uploads_end(struct sk_agent *agent);

#endif
