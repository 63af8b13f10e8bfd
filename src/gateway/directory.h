/* The directory: where sessions live, and how something gets to them.
 *
 * A session lives in the process that has its connection. Today a hub is one process, so its
 * directory is a map; a hub of several will know of each identity which of them has it. Two ways
 * lead to a session, and only directory.c looks into the map:
 *
 *   Whoever works beside a session (its queue, its endpoint, whatever its requests ask for) asks
 *   for those that live here. What is to be done beside a session elsewhere is done there.
 *
 *   Whoever has something for an identity, wherever its session is, gives it away as data, and is
 *   told what became of it by a completion: today before the call returns, but nobody may count on
 *   that. */
#ifndef SK_GATEWAY_DIRECTORY_H
#define SK_GATEWAY_DIRECTORY_H

#include "base/base.h"

#include <jansson.h>

struct sk_backend;
struct sk_session;
struct sk_method_call;

struct sk_directory {
    struct sk_map sessions; /* "device" or "device/module" → struct sk_session */
    size_t devices;         /* of them: not of modules */
};
void sk_directory_free(struct sk_directory *directory);

/* ---- here ---- */

/* The session of an identity; module empty: of the device itself. NULL: it has none here. */
struct sk_session *sk_directory_find(const struct sk_backend *backend, struct sk_span device,
                                     struct sk_span module);
/* One after the other, in no order; *at begins as 0. NULL: that was all. None may come or go
 * meanwhile; closing one ends it later. */
struct sk_session *sk_directory_next(const struct sk_backend *backend, size_t *at);

/* ---- wherever ---- */

struct sk_directory_counts {
    size_t sessions, devices; /* all; those that are not modules' */
};
struct sk_directory_counts sk_directory_counts(const struct sk_backend *backend);

/* Gives a direct method to the session of an identity, if it wants such calls. `told(arg, rid,
 * taken)` is called exactly once, before the session can answer. */
typedef void sk_directory_told(void *arg, struct sk_span rid, bool taken);
void sk_directory_deliver_method(struct sk_backend *backend, struct sk_span device,
                                 struct sk_span module, const struct sk_method_call *call,
                                 sk_directory_told *told, void *arg);
/* Tells the session of an identity, if it wants to hear of them, of changed desired properties; who
 * is not there reads them when he comes. */
void sk_directory_deliver_desired(struct sk_backend *backend, struct sk_span device,
                                  struct sk_span module, const json_t *patch, uint64_t version);

#endif
