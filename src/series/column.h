/* One column of a block, compressed: the values of a property one after the other, by type.
 *
 * Integers: what is smallest of values, differences and differences of differences, in groups of
 * 64 that are packed into as many bits as the group needs. Doubles that are decimals of at most six
 * digits behind the point are integers with a scale; others are packed as the bits that they are,
 * in their order. Texts: each once, and which it is as integers. Why:
 * docs/decisions/0041-time-series-from-the-log.md. Inside src/series only. */
#ifndef SK_SERIES_COLUMN_H
#define SK_SERIES_COLUMN_H

#include "series/event.h"

/* Values of one column at once, at most. */
#define SERIES_VALUES_MAX 4096

/* Appends `count` values (1 to SERIES_VALUES_MAX) of a type that is stored; doubles are finite. */
void series_column_encode(struct sk_buffer *to, enum sk_series_type type,
                          const union sk_series_value *values, size_t count);
/* Takes `count` values from the front of `*from`, and moves it behind them; texts are spans of it.
 * SK_MALFORMED. */
enum sk_status series_column_decode(struct sk_span *from, enum sk_series_type type,
                                    union sk_series_value *values, size_t count);
/* The same for integers alone, such as times. */
void series_integers_encode(struct sk_buffer *to, const int64_t *values, size_t count);
enum sk_status series_integers_decode(struct sk_span *from, int64_t *values, size_t count);

/* Numbers of the format around columns: seven bits a byte, the lowest first; with a sign it is the
 * lowest bit. */
void series_put_number(struct sk_buffer *to, uint64_t number);
void series_put_signed(struct sk_buffer *to, int64_t number);
enum sk_status series_get_number(struct sk_span *from, uint64_t *number);
enum sk_status series_get_signed(struct sk_span *from, int64_t *number);

#endif
