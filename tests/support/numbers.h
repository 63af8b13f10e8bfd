/* Messages of a device that say their number, so that what arrives of them can be told. */
#ifndef TESTS_NUMBERS_H
#define TESTS_NUMBERS_H

#include "support/fleet.h"

enum { NUMBERS_MAX = 4096 };

extern struct numbers {
    unsigned next, acknowledged;
    unsigned seen[NUMBERS_MAX]; /* as they came */
    size_t seen_count;
} numbers;

/* From 0 on; the client of "d1". */
struct sk_device_client *numbers_begin(struct fleet *f);
void numbers_send(struct fleet *f, struct sk_device_client *client, unsigned count);
bool numbers_acknowledged(void *arg); /* all of them */
void numbers_send_all(struct fleet *f, struct sk_device_client *client, unsigned count);
void numbers_saw(unsigned number);
/* All of the first so many have come; each for the first time in order. */
void numbers_came_in_order(unsigned count);

#endif
