/* AMQP frames written by hand, for whoever says each byte itself. */
#ifndef TESTS_FRAMES_H
#define TESTS_FRAMES_H

#include "base/base.h"

/* One frame; `fields` are encoded, `count` of them, in a list8 behind their descriptor. */
void put_frame(struct sk_buffer *to, unsigned channel, unsigned char performative,
               struct sk_span fields, unsigned count, struct sk_span payload);

enum { OPEN = 0x10, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END };

void put_header(struct sk_buffer *to);
void put_open(struct sk_buffer *to);
void put_begin(struct sk_buffer *to, unsigned channel);
/* Protocol, open, and session 0. */
void put_opening(struct sk_buffer *to);

void put_attach(struct sk_buffer *to, unsigned channel, unsigned char handle, const char *address);
void put_detach(struct sk_buffer *to, unsigned channel, unsigned char handle);
void put_transfer(struct sk_buffer *to, unsigned char handle, unsigned id, struct sk_span payload);

#endif
