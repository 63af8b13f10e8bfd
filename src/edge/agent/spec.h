/* One module as a deployment wants it (docs/protocols/edge-runtime.md, section 3.2).
 *
 * Pure. A module is a program of the host (type "process") or a container (type "docker"). */
#ifndef SK_EDGE_AGENT_SPEC_H
#define SK_EDGE_AGENT_SPEC_H

#include <jansson.h>

#include "base/base.h"
#include "io/limits.h"

#define SK_MODULE_ARGUMENTS_MAX 64
#define SK_STARTUP_ORDER_LAST UINT32_MAX

enum sk_restart_policy {
    SK_RESTART_NEVER,
    SK_RESTART_ON_FAILURE,
    SK_RESTART_ON_UNHEALTHY,
    SK_RESTART_ALWAYS
};

/* Texts and documents are owned, NULL when not set. */
struct sk_module_spec {
    char *name; /* "filter", "edgeHub" */
    char *version;
    char *type;              /* "process", "docker" */
    char *image_pull_policy; /* "on-create", "never"; NULL: the first */
    bool stopped;            /* desired status */
    enum sk_restart_policy restart_policy;
    uint32_t startup_order; /* lower first */
    json_t *settings;       /* as desired */
    json_t *env;            /* as desired: {"K":{"value":"V"}} */
    /* --- of a process, read from settings --- */
    char *command[SK_MODULE_ARGUMENTS_MAX + 1]; /* NULL-terminated; empty for others */
    char *user;
    char *folder;
    struct sk_limits limits; /* what it may use at most */
    /* --- of a container, read from settings --- */
    char *image;            /* as desired */
    json_t *create_options; /* an object */
    json_t *registry;       /* {"address","username","password"} for the image; of the runtime */
    char *image_id;  /* "sha256:…" on this machine, to take instead of the name; not desired */
    bool rolls_back; /* a new version that does not come up gives way to the one before */
};

struct sk_module_spec sk_module_spec_copy(const struct sk_module_spec *spec);
void sk_module_spec_free(struct sk_module_spec *spec);
/* Whether a module made from `a` would be another one if made from `b`: anything but the desired
 * status and the credentials differs. */
bool sk_module_spec_differs(const struct sk_module_spec *a, const struct sk_module_spec *b);
bool sk_module_is_container(const struct sk_module_spec *spec);
/* "never", "on-failure", "on-unhealthy", "always". */
const char *sk_restart_policy_text(enum sk_restart_policy policy);
/* The module as a deployment has it, a new reference: sk_module_spec_read (deployment.h) makes the
 * same spec of it. */
json_t *sk_module_spec_json(const struct sk_module_spec *spec);

#endif
