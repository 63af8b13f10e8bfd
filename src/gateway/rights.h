/* Who may do what, and on whom: model/operations.def as functions. */
#ifndef SK_GATEWAY_RIGHTS_H
#define SK_GATEWAY_RIGHTS_H

#include "model/request.h"

/* Who acts with credentials of his own. */
enum sk_actor {
    SK_ACTOR_DEVICE,
    SK_ACTOR_EDGE_DEVICE, /* a device with capabilities.iotEdge */
    SK_ACTOR_MODULE,
    SK_ACTOR_EDGE_HUB, /* the module $edgeHub of an edge device; on another device it is a module */
};

/* On whom, as the actor sees them. Nobody of these: 0. */
enum sk_target {
    SK_ON_SELF = 1,
    SK_ON_OWN_DEVICE = 2,    /* of a module */
    SK_ON_OWN_MODULE = 4,    /* on the actor's device */
    SK_ON_SYSTEM_MODULE = 8, /* likewise, a name that begins with '$' */
    SK_ON_CHILD = 16,        /* a device whose parent the actor's device is, or a module of it */
    SK_ON_LOCAL = 32,        /* whom an edge hub serves; who exactly is that backend's rule */
};

/* `targets`: SK_ON_… bits, one of which suffices. */
bool sk_may(enum sk_op op, enum sk_actor actor, unsigned targets);
/* `rights`: SK_RIGHT_… of a shared access policy. */
bool sk_policy_may(enum sk_op op, unsigned rights);

/* What an identity of the actor's own device is to the actor (a module, or a device: empty). */
enum sk_target sk_target_at_home(struct sk_span actor_module, struct sk_span module);

#endif
