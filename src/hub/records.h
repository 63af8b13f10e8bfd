/* Who looks at requests before anything else does, and at their answers: asked.c has them all.
 * Inside src/hub only. */
#ifndef SK_HUB_RECORDS_H
#define SK_HUB_RECORDS_H

#include "hub/parts.h"

/* asked.c: a request has come; of some the answer will be looked at. */
void hub_asked(struct sk_hub *hub, struct sk_request *request);

/* records.c: whether its answer has to be recorded; then hub_record, once. */
bool hub_records_want(struct sk_hub *hub, struct sk_request *request);
void hub_record(struct sk_hub *hub, const struct sk_request *request, const struct sk_error *error);

/* records.c: an answer of the blob service. */
struct hub_storage_record {
    enum sk_category category;
    const char *operation;          /* as a storage account calls it */
    struct sk_span container, blob; /* empty: none */
    struct sk_span account; /* whose key has signed the request; empty: a signature opens it */
    const struct sk_ip *ip;
    uint64_t asked_ns;
    unsigned status;
    const char *code, *why; /* of a refusal; empty: it is none */
};
void hub_record_storage(struct sk_hub *hub, const struct hub_storage_record *what);

/* tracing.c: likewise: what is kept of a message whose sender wants it traced is request->trace. */
bool hub_tracing_wants(struct sk_hub *hub, struct sk_request *request);
void hub_trace(struct sk_hub *hub, const struct sk_request *request, const struct sk_error *error);

#endif
