/* What an edge device shall run: the desired properties of `$edgeAgent`, read and checked
 * (docs/protocols/edge-runtime.md, section 3.2).
 *
 * Pure. Modules are programs of the host or containers, side by side; the system modules edgeAgent
 * and edgeHub are roles of our own program, so whatever image the manifest names for them is
 * carried and reported, not run. */
#ifndef SK_EDGE_AGENT_DEPLOYMENT_H
#define SK_EDGE_AGENT_DEPLOYMENT_H

#include "edge/agent/spec.h"

struct sk_deployment {
    uint64_t version;                           /* $version of the desired properties */
    json_t *runtime;                            /* carried for the report; may be NULL */
    struct sk_module_spec edge_agent, edge_hub; /* name NULL: not in the manifest */
    uint32_t max_clients;           /* MaxConnectedClients of edgeHub's environment; 0: not there */
    struct sk_module_spec *modules; /* by startup order, then name */
    size_t module_count;
};

/* Why a deployment was refused, as `lastDesiredStatus` says it. */
struct sk_deployment_fault {
    int code; /* 400 format, 412 schema version, 417 empty */
    char description[384];
};

/* Reads desired properties (with or without `$version` and `$metadata`). SK_INVALID fills `fault`;
 * then there is nothing to free. */
enum sk_status sk_deployment_parse(const json_t *desired, struct sk_deployment *deployment,
                                   struct sk_deployment_fault *fault);
void sk_deployment_free(struct sk_deployment *deployment);
struct sk_module_spec *sk_deployment_module(const struct sk_deployment *deployment,
                                            const char *name);

/* One module by itself, as sk_module_spec_json gives it; `spec` as above. */
enum sk_status sk_module_spec_read(const char *name, const json_t *json,
                                   struct sk_module_spec *spec, struct sk_deployment_fault *fault);

#endif
