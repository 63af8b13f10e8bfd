/* Sequences of well-formed AMQP frames out of any bytes: open, begin, attach, flow, transfer,
 * disposition, detach, end and close in any order, on several channels, with any field absent.
 * Six bytes make a frame: which, channel, handle, which field is absent, and two for what it
 * says. */
#ifndef TESTS_FRAME_PROGRAM_H
#define TESTS_FRAME_PROGRAM_H

#include "base/base.h"

enum { PROGRAM_STEP = 6 };

/* A frame for each step. */
void program_go_on(struct sk_buffer *to, struct sk_span program);

/* The header, an open and a begin where `polite`, and then the steps. */
void program_put(struct sk_buffer *to, struct sk_span program, bool polite);

#endif
