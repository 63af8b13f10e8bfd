/* What an edge device shall run: the desired properties of `$edgeAgent`, read and checked
 * (docs/protocols/edge-runtime.md, section 3.2).
 *
 * Pure. Modules are programs of the host (`type: "process"`); the system modules edgeAgent and
 * edgeHub are roles of our own program, so whatever image the manifest names for them is carried
 * and reported, not run. */
#ifndef SK_EDGE_AGENT_DEPLOYMENT_H
#define SK_EDGE_AGENT_DEPLOYMENT_H

#include <jansson.h>

#include "base/base.h"

#define SK_MODULE_ARGUMENTS_MAX 64
#define SK_STARTUP_ORDER_LAST UINT32_MAX

enum sk_restart_policy {
    SK_RESTART_NEVER,
    SK_RESTART_ON_FAILURE,
    SK_RESTART_ON_UNHEALTHY,
    SK_RESTART_ALWAYS
};

/* Texts are owned, NULL when not set. */
struct sk_module_spec {
    char *name; /* "filter", "edgeHub" */
    char *version;
    char *type;              /* "process"; of system modules as the manifest says */
    char *image_pull_policy; /* carried for the report */
    bool stopped;            /* desired status */
    enum sk_restart_policy restart_policy;
    uint32_t startup_order; /* lower first */
    json_t *settings;       /* as desired */
    json_t *env;            /* as desired: {"K":{"value":"V"}} */
    /* --- read from settings --- */
    char *command[SK_MODULE_ARGUMENTS_MAX + 1]; /* NULL-terminated; empty for system modules */
    char *user;
    char *folder;
};

struct sk_deployment {
    uint64_t version;                           /* $version of the desired properties */
    json_t *runtime;                            /* carried for the report; may be NULL */
    struct sk_module_spec edge_agent, edge_hub; /* name NULL: not in the manifest */
    struct sk_module_spec *modules;             /* by startup order, then name */
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

struct sk_module_spec sk_module_spec_copy(const struct sk_module_spec *spec);
void sk_module_spec_free(struct sk_module_spec *spec);
/* Whether a module made from `a` would be another one if made from `b`: anything but the desired
 * status differs. */
bool sk_module_spec_differs(const struct sk_module_spec *a, const struct sk_module_spec *b);
/* "never", "on-failure", "on-unhealthy", "always". */
const char *sk_restart_policy_text(enum sk_restart_policy policy);

#endif
