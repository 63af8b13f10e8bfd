/* Messages of edge hubs, once: what an edge sends again after a fault is recognised and not stored
 * again.
 *
 * A Skerry edge numbers what it forwards, "<epoch>:<sequence>": the epoch names its store, the
 * sequence rises. Where it has several queues to us, "<epoch>/<queue>:<sequence>", each counts for
 * itself, as one overtakes the other. For each sender and queue the highest number that is durable
 * is remembered. The memory is a
 * document in the registry, written now and then with the log's position, and brought up to date at
 * the start by reading the log from there. Messages without a number (every other client) pass
 * untouched. */
#ifndef SK_GATEWAY_ONCE_H
#define SK_GATEWAY_ONCE_H

#include "model/message.h"
#include "model/request.h"
#include "store/log/log.h"
#include "store/registry/registry.h"

struct sk_once;

/* Loads the document, before anything else uses the registry. Then it wants to see what the log has
 * from its position on, in order. */
struct sk_once *sk_once_new(struct sk_registry *registry, struct sk_log *log);
uint64_t sk_once_position(const struct sk_once *once);
void sk_once_seen(struct sk_once *once, const struct sk_message *message);
/* Writes what is known to the registry, if that has changed or the document is more than `behind`
 * records behind the log. Not from a callback of the log. */
void sk_once_save(struct sk_once *once, uint64_t behind);
/* After the log was closed: its last records still tell their outcome. */
void sk_once_free(struct sk_once *once);

/* Whether a request's number counts: an edge hub speaks, for another identity or for itself. Nobody
 * else numbers what he sends. */
bool sk_once_counts(const struct sk_request *request);
/* Reads what the log has from the position on. */
enum sk_status sk_once_catch_up(struct sk_once *once);

enum sk_once_verdict {
    SK_ONCE_NEW,    /* store it; then call sk_once_stored or sk_once_failed */
    SK_ONCE_STORED, /* it is stored: acknowledge */
    SK_ONCE_LATER,  /* it is being stored for an earlier connection: ask again later */
};
/* What to do with a numbered message (message->system[SK_SYS_EDGE_NUMBER] set). */
enum sk_once_verdict sk_once_check(struct sk_once *once, const struct sk_message *message);
/* The outcome of storing, in the order of the checks. */
void sk_once_done(struct sk_once *once, struct sk_span device, struct sk_span module,
                  struct sk_span number, bool stored);

#endif
