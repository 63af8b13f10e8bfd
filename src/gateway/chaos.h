/* Client chaos: faults that a device asks the hub for, to test how it takes them.
 *
 * A telemetry message with the property AzIoTHub_FaultOperationType is stored as any other;
 * then, so many seconds after its acknowledgement, the hub breaks a part of its sender's
 * connection, or for a while refuses what it asks. The names are those that Azure's SDKs use in
 * their own tests. One stage of the gateway, between authorisation and backend; a hub has it
 * only when its configuration says so. For people: docs/how-to/test-devices-with-faults.md. */
#ifndef SK_GATEWAY_CHAOS_H
#define SK_GATEWAY_CHAOS_H

#include "gateway/gateway.h"

#define SK_CHAOS_SECONDS_MAX 3600 /* of a delay or a duration */
#define SK_CHAOS_DURATION_S 10    /* when the message says none */
#define SK_CHAOS_FAULTS_MAX 1000  /* that wait or last, of one backend */

struct sk_chaos;
/* The backend must outlive it. */
struct sk_chaos *sk_chaos_new(struct sk_backend *backend);
/* Faults that wait or last are forgotten; every request that went through has been answered.
 * NULL is fine. */
void sk_chaos_free(struct sk_chaos *chaos);

/* Whether devices may ask (they may, of a new one). When they may no more, faults that wait or last
 * are over. */
void sk_chaos_allow(struct sk_chaos *chaos, bool allowed);
/* True: the request was refused here. False: it is the backend's; `done` may have been wrapped. */
bool sk_chaos_refuses(struct sk_chaos *chaos, struct sk_request *request);

#endif
