/* The body of `POST /containers/create`: what a deployment's createOptions say, and what the edge
 * adds (docs/protocols/edge-runtime.md, section 2.2).
 *
 * Pure. */
#ifndef SK_EDGE_AGENT_ENGINE_CREATE_H
#define SK_EDGE_AGENT_ENGINE_CREATE_H

#include <jansson.h>

#include "base/base.h"

#define SK_CREATE_WHY_MAX 256
#define SK_CREATE_PART_MAX 512 /* characters of a text in a twin */
#define SK_CREATE_PARTS_MAX 100

/* Labels: whose a container is, what it was made from, and as which module. */
#define SK_LABEL_OWNER "net.azure-devices.edge.owner"
#define SK_LABEL_OWNER_US "Microsoft.Azure.Devices.Edge.Agent"
#define SK_LABEL_IMAGE "net.azure-devices.edge.original-image"
#define SK_LABEL_MODULE "io.skerry.module"
#define SK_LABEL_EDGE "io.skerry.edge" /* hub/device: two edges may share an engine */

/* Joins createOptions, createOptions01 … createOptions99 of a module's settings, or takes the
 * object that stands there, and checks of it what the edge adds to. `options` is a new reference,
 * an empty object where there are none. SK_INVALID with a sentence. */
enum sk_status sk_create_options_read(const json_t *settings, json_t **options,
                                      char why[SK_CREATE_WHY_MAX]);
/* The same in parts again, into `settings`, for a report. */
void sk_create_options_put(json_t *settings, const json_t *options);

/* All borrowed; NULL: none. */
struct sk_container_plan {
    const json_t *options;          /* as sk_create_options_read gives them */
    const char *image;              /* as the engine is asked for it */
    const char *const *environment; /* "K=V", ends with NULL; the options' Env wins */
    const char *bind;               /* "/host/folder:/folder" */
    const char *network;            /* where the options name none */
    const char *gateway_host;       /* resolves to the address, where the options say nothing */
    const char *gateway_address;    /* on the network; with the host's network 127.0.0.1 counts */
    const char *original_image;     /* as the deployment has it */
    const char *module, *edge;      /* for SK_LABEL_MODULE, SK_LABEL_EDGE */
    bool not_elevated; /* Privileged and CapAdd are taken away, CHOWN and SETUID dropped */
    bool rotates_logs; /* the engine's logs grow for ever unless they are told not to */
};
/* A new reference. */
json_t *sk_container_body(const struct sk_container_plan *plan);

#endif
