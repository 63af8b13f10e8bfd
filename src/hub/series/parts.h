/* Time series: what devices say, kept by time, and what is asked of it. Inside src/hub/series
 * only.
 *
 *   fill.c      the log's telemetry into the store
 *   variable.c  a variable of a query or a type: JSON to expressions
 *   ask.c       a query: JSON to struct sk_series_query
 *   answer.c    what comes of it: columns to JSON
 *   series.c    the operations, and the part
 *
 * Reference: docs/protocols/time-series.md. */
#ifndef SK_HUB_SERIES_PARTS_H
#define SK_HUB_SERIES_PARTS_H

#include "hub/parts.h"
#include "series/flatten.h"
#include "series/query.h"

enum {
    SERIES_ERROR = 300,     /* bytes of a sentence */
    SERIES_NAME_MAX = 1024, /* of anything in the model */
    SERIES_CATEGORY_VALUES = 1000,
    SERIES_DAYS_MAX = 3650, /* of a boundary's span */
};

struct series {
    struct sk_hub *hub;
    struct sk_series *store; /* NULL: it is off, or closes */
    struct sk_series_flatten_options flatten;
    struct sk_cursor *cursor;
    struct sk_task task;
    struct sk_arena arena;  /* of one message */
    uint64_t refused_total; /* messages that are no JSON objects */
};

/* ---- fill.c ---- */

/* Reads on from where the store is. SK_…: of sk_cursor_open. */
enum sk_status series_fill_begin(struct series *series);
void series_fill_go_on(struct series *series); /* the store has moved */
void series_fill_end(struct series *series);

/* ---- variable.c ---- */

/* Reads one into `to`; all of it lives in the arena, but for texts, which are the document's.
 * False: `error` says why not. */
bool series_variable_read(const char *name, const json_t *json, struct sk_arena *arena,
                          struct sk_series_variable *to, char error[SERIES_ERROR]);
/* {"tsx": "…"}; NULL: `error` says why not. `type`: what it shall be, or SK_SERIES_TYPES. */
const struct sk_tsx *series_tsx_read(const json_t *json, const char *what, enum sk_series_type type,
                                     struct sk_arena *arena, char error[SERIES_ERROR]);
/* "Double" and the like. */
bool series_type_read(const char *name, enum sk_series_type *type);
extern const char *const series_type_names[SK_SERIES_TYPES];

/* ---- ask.c ---- */

/* One of getEvents, getSeries and aggregateSeries. `continuation`: where the last answer ended, or
 * empty. */
bool series_ask_read(struct series *series, const json_t *body, struct sk_span continuation,
                     struct sk_arena *arena, struct sk_series_query *query, uint64_t *hash,
                     char error[SERIES_ERROR]);
/* {"from": …, "to": …} in ms. */
bool series_span_read(const json_t *json, int64_t *from, int64_t *to, char error[SERIES_ERROR]);
/* ["a", null] as the store knows the instance. */
bool series_id_read(const struct series *series, const json_t *json, struct sk_arena *arena,
                    struct sk_span *instance, char error[SERIES_ERROR]);
/* Of a query (its hash) and how far it has come, for x-ms-continuation. */
#define SERIES_CONTINUATION 120
void series_continuation(uint64_t hash, const struct sk_series_place *place,
                         char to[SERIES_CONTINUATION]);

/* ---- answer.c ---- */

void series_put_time(struct sk_buffer *to, int64_t ms); /* in quotes */
void series_put_answer(struct sk_buffer *to, const struct sk_series_answer *answer,
                       const char *continuation /* NULL: it is the last */);

#endif
