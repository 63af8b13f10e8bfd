/* A message to events: JSON without a schema becomes rows of typed properties.
 *
 * Members of nested objects get names with dots between, at most ten levels; a name that holds one
 * of . [ \ ' stands as ['name'], with \ before \ and '. An integer is a Long, any other number a
 * Double (and so is an integer beyond 64 bits; one beyond all doubles is no value). null is no
 * value. A text that is date, T and time by ISO 8601 is a DateTime. An array of objects in which
 * the time series ID or the timestamp lies becomes one event an element, which repeat what stands
 * above; any other array is Dynamic, as its JSON text. What the hub knows of the message is
 * properties too: iothub-connection-device-id, iothub-connection-module-id (of modules) as String,
 * iothub-enqueuedtime as DateTime; a message cannot replace them.
 *
 * docs/protocols/time-series.md says what a user sees of it. */
#ifndef SK_SERIES_FLATTEN_H
#define SK_SERIES_FLATTEN_H

#include "series/store.h"

#define SK_SERIES_ID_PARTS_MAX 3
#define SK_SERIES_ID_NAME_MAX 128   /* bytes of a property's name in the time series ID */
#define SK_SERIES_ID_VALUE_MAX 1024 /* bytes of one of its values */
#define SK_SERIES_FLAT_NAME_MAX 512 /* a longer name is cut there, and '_' and a hash follow */
#define SK_SERIES_LEVELS_MAX 10     /* an object deeper than that is Dynamic */
#define SK_SERIES_EVENTS_MAX 10000  /* of one message */
#define SK_SERIES_FIELDS_MAX 10000  /* of one event, with what is repeated */

/* The hub's own properties. */
#define SK_SERIES_DEVICE_ID "iothub-connection-device-id"
#define SK_SERIES_MODULE_ID "iothub-connection-module-id"
#define SK_SERIES_ENQUEUED_TIME "iothub-enqueuedtime"

struct sk_series_flatten_options {
    struct sk_span id[SK_SERIES_ID_PARTS_MAX]; /* flattened names */
    size_t id_count;                           /* 0: the device's id */
    struct sk_span timestamp; /* a flattened name; empty: events have the time of enqueuing */
};

struct sk_series_message {
    struct sk_span body; /* UTF-8 JSON: an object or an array of objects */
    struct sk_span device_id;
    struct sk_span module_id; /* may be empty */
    int64_t enqueued;         /* ms since 1970 */
};

/* An event lives until the call returns; what it points to, as long as the arena and the message
 * have what is theirs. */
typedef void sk_series_on_event(void *arg, const struct sk_series_event *event);

/* Calls on_event for each event, in the body's order. The arena has what they need; the caller
 * resets it.
 *
 * returns  SK_OK; SK_MALFORMED: the body is no JSON or no object(s), nothing was told;
 *          SK_TOO_LARGE: it has more events or fields than allowed, or a longer value of the ID;
 *          what came before has been told */
enum sk_status sk_series_flatten(const struct sk_series_flatten_options *options,
                                 const struct sk_series_message *message, struct sk_arena *arena,
                                 sk_series_on_event *on_event, void *arg);

/* Where an object lies at `prefix` (empty: at the root), the flattened name of its member `name`;
 * in the arena, or `name` itself. */
struct sk_span sk_series_name(struct sk_arena *arena, struct sk_span prefix, struct sk_span name);
/* A flattened name as it is stored: cut, if it is too long. */
struct sk_span sk_series_name_cut(struct sk_arena *arena, struct sk_span name);
/* The text that an instance is known by, from its ID's values; one with p NULL is null. */
struct sk_span sk_series_instance(struct sk_arena *arena, const struct sk_span *values, size_t n);

/* A time as devices write it: ISO 8601 with Z, an offset ±HH:MM, ±HHMM, either with a Z behind, or
 * none (UTC); an offset that is malformed is ignored. SK_MALFORMED: it is no time. */
enum sk_status sk_series_time(struct sk_span text, int64_t *ms);

#endif
