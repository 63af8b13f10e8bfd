/* Inside src/hub only. */
#ifndef SK_HUB_RECORDS_H
#define SK_HUB_RECORDS_H

#include "hub/parts.h"

/* A request has come: its answer will be recorded, when records of its kind are wanted. */
void hub_record_request(struct sk_hub *hub, struct sk_request *request);

#endif
