/* The queues of cloud-to-device messages. Inside src/hub only.
 *
 * The registry holds every message until it has ended; a queue here is what one device needs while
 * somebody is busy with its messages: a subscribed session, a lock, a call to the registry. It is
 * made and loaded when it is needed and freed when nobody is, holds no message bodies, and at most
 * SK_C2D_PENDING_MAX entries. A lock is the hub's word, not the registry's: after a crash all
 * messages that have not ended wait again.
 *
 * Only a queue ends messages, and one that is ending does nothing else: so each ends once. */
#ifndef SK_HUB_C2D_C2D_H
#define SK_HUB_C2D_C2D_H

#include "hub/parts.h"

/* A message is durable. */
void sk_c2d_queue_stored(struct sk_hub *hub, struct sk_span device,
                         const struct sk_registry_c2d *message);
/* Opens the queue, so that it ends what has expired. */
void sk_c2d_queue_look(struct sk_hub *hub, struct sk_span device);
/* Serve SK_OP_C2D_RECEIVE; SK_OP_SETTLE and SK_OP_C2D_SETTLE; SK_OP_C2D_PURGE. */
void sk_c2d_queue_receive(struct sk_hub *hub, struct sk_request *request);
void sk_c2d_queue_settle(struct sk_hub *hub, struct sk_request *request);
void sk_c2d_queue_purge(struct sk_hub *hub, struct sk_request *request);
/* A session's subscriptions have changed, or it can take more; it is closed. */
void sk_c2d_queue_online(struct sk_hub *hub, struct sk_session *session);
void sk_c2d_queue_offline(struct sk_hub *hub, struct sk_session *session);
void sk_c2d_queues_free(struct sk_hub *hub);

#endif
