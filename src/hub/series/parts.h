/* Time series: what devices say, kept by time, and what is asked of it. Inside src/hub/series
 * only.
 *
 *   lot.c       records of the log, and the events that they become
 *   fill.c      the log's telemetry into the store, a lot at a time
 *   variable.c  a variable of a query or a type: JSON to expressions
 *   ask.c       a query: JSON to struct sk_series_query
 *   answer.c    what comes of it: columns to JSON
 *   remote_read.c  the same for Prometheus
 *   object.c    types, hierarchies and instances: what one may be
 *   model.c     the model: all of them, read at the start; its settings
 *   batch.c     reads and writes many of them at a time
 *   search.c    instances by words, and where in hierarchies they are
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
    SERIES_TYPES_MAX = 1000,
    SERIES_HIERARCHIES_MAX = 32,
    SERIES_DEPTH_MAX = 32,       /* of one */
    SERIES_VARIABLES_MAX = 100,  /* of a type */
    SERIES_FIELDS_MAX = 100,     /* of an instance */
    SERIES_INSTANCE_MAX = 16384, /* bytes of its JSON */
    SERIES_BATCH_MAX = 1000,
};

/* ---- the model ---- */

enum series_kind { SERIES_TYPE, SERIES_HIERARCHY, SERIES_INSTANCE, SERIES_KINDS };
extern const struct series_kind_names {
    const char *list, *one; /* "types", and an answer's "timeSeriesType" */
    const char *ids, *id;   /* "typeIds" of a batch, and an object's "id" */
    const char *stored;     /* its kind of documents */
    size_t most;
} series_kinds[SERIES_KINDS];

struct series_object {
    char *id; /* of an instance as the store knows it: ["a"] */
    json_t *document;
};
struct series_objects {
    struct sk_map by_id;
    struct series_object **list; /* as they came; NULL: it is gone */
    size_t count, room;          /* of `list` */
};
struct series_model {
    struct series_objects kinds[SERIES_KINDS];
    char *name, *default_type;
    bool loaded;
    struct sk_list waiting; /* see hub_wait */
};

/* ---- lot.c ---- */

struct series_lot_record {
    uint64_t sequence;
    int64_t enqueued;  /* ms */
    size_t at, n;      /* its bytes */
    size_t events_end; /* of all events, its own and those before it */
    bool refused;      /* it is no message with JSON objects, or not to its end */
};
/* Zero-initialised it is empty. */
struct series_lot {
    struct sk_series_flatten_options flatten; /* its own */
    struct sk_buffer bytes;
    struct series_lot_record *records;
    struct sk_series_event *events;
    size_t count, event_count, event_room;
    size_t put;            /* records whose events are in the store */
    struct sk_arena arena; /* of options and events */
};
/* Empties it; what comes is flattened as `flatten` says, which is copied. */
void series_lot_begin(struct series_lot *lot, const struct sk_series_flatten_options *flatten);
bool series_lot_full(const struct series_lot *lot);
void series_lot_add(struct series_lot *lot, const struct sk_record *record); /* copies it */
void series_lot_flatten(struct series_lot *lot); /* on any thread that has it for itself */
void series_lot_free(struct series_lot *lot);    /* then it is empty */

struct filling; /* fill.c's */
struct series {
    struct sk_hub *hub;
    struct sk_series *store; /* NULL: it is off, or closes */
    struct sk_series_flatten_options flatten;
    struct sk_cursor *cursor;
    struct filling *filling; /* NULL: nothing is read */
    struct sk_task task;
    struct sk_timer pause;
    uint64_t refused_total; /* messages that are no JSON objects */
    uint64_t taken;         /* messages below are in the store */
    uint64_t taken_bytes;   /* of them, since it was told to write */
    struct series_model model;
    struct sk_list searches, remotes; /* under way; see remote_read.c */
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
 * empty. The query points into the body and into the instance's type, which *type holds (or NULL;
 * owned). */
bool series_ask_read(struct series *series, const json_t *body, struct sk_span continuation,
                     struct sk_arena *arena, struct sk_series_query *query, json_t **type,
                     uint64_t *hash, char error[SERIES_ERROR]);
/* {"from": …, "to": …} in ms. */
bool series_span_read(const json_t *json, int64_t *from, int64_t *to, char error[SERIES_ERROR]);
/* ["a", null] as the store knows the instance. */
bool series_id_read(const struct series *series, const json_t *json, struct sk_arena *arena,
                    struct sk_span *instance, char error[SERIES_ERROR]);
/* Of a query (its hash) and how far it has come, for x-ms-continuation. */
#define SERIES_CONTINUATION 120
void series_continuation(uint64_t hash, const struct sk_series_place *place,
                         char to[SERIES_CONTINUATION]);

/* ---- object.c ---- */

/* What is to be stored of a request: checked; its id is in *id, from malloc. NULL: `error` says why
 * not. */
json_t *series_object_read(struct series *series, enum series_kind kind, const json_t *json,
                           char **id, char error[SERIES_ERROR]);

/* ---- model.c ---- */

/* Whether a name that people give is fine. */
bool series_name_fine(const char *name);
void series_model_load(struct series *series);
void series_model_free(struct series_model *model);
struct series_object *series_object_find(const struct series_model *model, enum series_kind kind,
                                         struct sk_span id);
/* It is so from now on; the document is taken, NULL: it is gone. */
void series_object_set(struct series_model *model, enum series_kind kind, const char *id,
                       json_t *document);
/* How many there are. */
size_t series_object_count(const struct series_model *model, enum series_kind kind);
/* The type of an instance, or the default one. */
const json_t *series_type_of(const struct series_model *model, const json_t *instance);
json_t *series_settings_json(const struct series *series);
void series_settings_patch(struct series *series, struct sk_request *request);

/* ---- batch.c ---- */

void series_batch(struct series *series, struct sk_request *request);

/* ---- remote_read.c ---- */

void series_remote_read(struct series *series, struct sk_request *request);
void series_remote_read_end(struct series *series); /* refuses those that are under way */

/* ---- search.c ---- */

void series_search(struct series *series, struct sk_request *request);
void series_suggest(struct series *series, struct sk_request *request);
void series_search_end(struct series *series); /* refuses those that are under way */
/* An instance as it is shown; `document` NULL: it is in the store alone. */
json_t *series_instance_json(const struct series *series, struct sk_span id,
                             const json_t *document);

/* ---- answer.c ---- */

/* "2026-01-01T00:00:00Z", with .123 where there are milliseconds. */
void series_time_text(int64_t ms, char text[SK_TIME_TEXT]);
void series_put_time(struct sk_buffer *to, int64_t ms); /* in quotes */
void series_put_answer(struct sk_buffer *to, const struct sk_series_answer *answer,
                       const char *continuation /* NULL: it is the last */);

#endif
