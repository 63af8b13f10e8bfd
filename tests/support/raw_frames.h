/* An AMQP client that says each byte itself: frames written by hand. */
#ifndef TESTS_RAW_FRAMES_H
#define TESTS_RAW_FRAMES_H

#include "support/frames.h"
#include "support/raw_client.h"
#include "wire/amqp.h"

/* A link that receives, and its credit. */
void put_receiver(struct sk_buffer *to, unsigned char handle, const char *address,
                  unsigned char credit);

/* A put-token for all devices. */
void put_token(struct sk_buffer *to, struct fleet *f, unsigned char handle, unsigned id);

void raw_say(struct raw_client *c, struct sk_buffer *bytes);

/* A connection that has put a token for all devices on handle 9. The answer's link is handle 8,
 * with this credit; -1: there is none. */
void prove_raw(struct raw_client *c, struct fleet *f, int credit);

/* A connection with a token for all devices and links to these addresses, with handles from 0. */
void login_raw(struct raw_client *c, struct fleet *f, const char *const *addresses, unsigned count);

bool has_bytes(struct raw_client *c, struct sk_span what);

#endif
