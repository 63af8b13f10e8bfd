/* Cloud-to-device messages into a fleet's hub, as a service's head would submit them. */
#ifndef TESTS_FLEET_C2D_H
#define TESTS_FLEET_C2D_H

#include "support/fleet.h"

struct fleet_c2d {
    struct sk_request request;
    bool done;
    enum sk_fault fault;
};

/* Submits; `sent` lives until it is done. */
void fleet_submit_c2d(struct fleet *f, struct fleet_c2d *sent, const char *device,
                      const struct sk_message *message);

enum sk_fault fleet_send_message(struct fleet *f, const char *device,
                                 const struct sk_message *message);

/* One that must be taken, with its id as body too. */
void fleet_send_c2d(struct fleet *f, const char *device, const char *id);

#endif
