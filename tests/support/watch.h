/* Watches a hub of the simulated world all the time: stands between the heads and the backend,
 * notes what comes in and what is acknowledged, and compares that with what the hub has stored
 * (support/history.h). A story needs to do nothing for it.
 *
 * It counts completions, too: each request's comes once, and none is missing when the hub stops. */
#ifndef TESTS_WATCH_H
#define TESTS_WATCH_H

#include "gateway/gateway.h"
#include "support/history.h"

struct watch;

struct watch *watch_new(void);
/* After the hub that is watched has been stopped. */
void watch_free(struct watch *watch);

/* A hub has opened, for the first time or again on the same disk. */
void watch_attach(struct watch *watch, struct sk_backend *backend);
/* It was stopped in good order; or power was lost, and nobody is told any more. */
void watch_detach(struct watch *watch, bool crashed);

/* Reads what is stored: the first promise that is broken, or NULL. The other fails the test. */
const char *watch_breach(struct watch *watch);
void watch_check(struct watch *watch);
/* From now on nothing is compared with what is stored: the story destroys it, or keeps less. */
void watch_forgive(struct watch *watch);

/* From now on the hub takes no telemetry of this device (503); NULL: of all again. */
void watch_refuse(struct watch *watch, const char *device);

/* What the backend has acknowledged, and what clients have seen of it on their wires. */
struct history *watch_history(struct watch *watch);
struct history *watch_wires(struct watch *watch);

#endif
