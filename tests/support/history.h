/* What clients were told beside what a hub has stored, and whether the promises between them hold:
 *
 *   what was acknowledged is stored;
 *   a sender's messages are stored in the order in which they were acknowledged;
 *   what an edge has numbered is stored once;
 *   a cloud-to-device message ends once, and does not come again when it has ended.
 *
 * It only compares: support/watch.h fills it from a living hub, a test may forge it. */
#ifndef TESTS_HISTORY_H
#define TESTS_HISTORY_H

#include "base/base.h"

struct history;

struct history *history_new(void);
void history_free(struct history *history);

/* A message came from `sender`, with the number that an edge gave it, or without: the place of its
 * arrival. */
size_t history_arrived(struct history *history, struct sk_span sender, struct sk_span body,
                       struct sk_span number);
/* The message that arrived there was acknowledged. */
void history_acknowledged(struct history *history, struct sk_span sender, size_t arrival);

/* What is stored, from the start and in order; replaces what was read before. */
void history_read_anew(struct history *history);
void history_stored(struct history *history, struct sk_span sender, struct sk_span body,
                    struct sk_span number);

/* A cloud-to-device message was given to its device; or its end was confirmed. */
void history_delivered(struct history *history, uint64_t sequence);
void history_ended(struct history *history, uint64_t sequence);

/* What was broken so far is as it should be, and what is stored says nothing any more: from now on
 * only cloud-to-device messages are compared. */
void history_forgive(struct history *history);

/* The first promise that is broken, as a sentence, or NULL. */
const char *history_breach(struct history *history);

#endif
