/* The registry: identities, twins, sessions, cloud-to-device messages and small documents, durable.
 *
 * Every call is asynchronous and ends with exactly one completion on the loop's thread, never from
 * inside the call (only sk_registry_close() completes what is still waiting, with SK_CLOSED,
 * before it returns). A completion of a write comes after it is durable; all writes that arrive
 * while others are being made durable share the next transaction, each with its own outcome. A
 * read that starts after a write's completion sees it. A full disk refuses writes with
 * SK_NO_SPACE, keeps what was completed, and accepts writes again when there is room.
 *
 * Spans and documents given to a call are copied before it returns. One thread uses a registry.
 *
 * This is what callers see, whatever keeps the data: an implementation (sqlite/) opens a registry
 * and gives the functions of ops.h; tests/conformance/registry.c is what each of them must do. */
#ifndef SK_STORE_REGISTRY_REGISTRY_H
#define SK_STORE_REGISTRY_REGISTRY_H

#include "io/io.h"
#include "model/c2d.h"
#include "model/identity.h"
#include "model/twin.h"

struct sk_registry;

/* ---- completions: each kind of call has one of its own, with what such a call finds. NULL: nobody
 * waits. What is found lives until the completion returns; unless the call ended with SK_OK it is
 * NULL, an empty list or 0. ---- */

struct sk_registry_end {
    enum sk_status status;
    /* One sentence when status is SK_INVALID or SK_TOO_LARGE; else empty. */
    char reason[SK_MODEL_ERROR_MAX];
};
typedef void sk_registry_done(void *arg, const struct sk_registry_end *end);

/* An identity and, where the call reads twins, its twin; sk_identity_move() and sk_twin_move() take
 * them out. */
struct sk_registry_entry {
    struct sk_identity identity;
    struct sk_twin twin; /* zeroed where the call does not read twins */
    uint64_t place;      /* of a search: where it goes on behind this one; else 0 */
};
struct sk_registry_entries {
    struct sk_registry_entry *entries;
    size_t count;
    bool more; /* it stopped before the end of the list, maybe before `max` */
};
typedef void sk_registry_entry_done(void *arg, const struct sk_registry_end *end,
                                    struct sk_registry_entry *entry);
typedef void sk_registry_entries_done(void *arg, const struct sk_registry_end *end,
                                      const struct sk_registry_entries *list);
/* `desired_patch`: where desired properties are changed, what the device hears of it, see
 * sk_twin_desired_notification; else NULL. */
typedef void sk_registry_change_done(void *arg, const struct sk_registry_end *end,
                                     struct sk_registry_entry *entry, const json_t *desired_patch);

typedef void sk_registry_session_done(void *arg, const struct sk_registry_end *end,
                                      uint32_t subscriptions);

struct sk_registry_document {
    struct sk_span key, bytes;
};
struct sk_registry_documents { /* by key */
    struct sk_registry_document *documents;
    size_t count;
};
typedef void sk_registry_document_done(void *arg, const struct sk_registry_end *end,
                                       const struct sk_registry_document *document);
typedef void sk_registry_documents_done(void *arg, const struct sk_registry_end *end,
                                        const struct sk_registry_documents *list);

/* A cloud-to-device message as its queue knows it. */
struct sk_registry_c2d {
    uint64_t sequence;
    int64_t enqueued_us, expiry_us;
    unsigned deliveries;     /* how often it was abandoned */
    bool sent;               /* it was on its way to the device before */
    struct sk_span envelope; /* of sk_registry_c2d_get only */
};
struct sk_registry_queue {
    struct sk_registry_c2d *messages;
    size_t count;
};
struct sk_registry_ended {
    uint64_t count;                           /* of messages that have ended */
    const struct sk_registry_c2d *waits;      /* _c2d_return: the message; NULL: it has ended */
    uint64_t feedback_added, feedback_newest; /* records: how many were made, and the newest */
};
struct sk_registry_expired {
    struct sk_span *devices; /* that have expired messages */
    size_t count;
    int64_t next_us; /* when the next message expires; INT64_MAX: none will */
};
typedef void sk_registry_c2d_done(void *arg, const struct sk_registry_end *end,
                                  const struct sk_registry_c2d *message);
typedef void sk_registry_queue_done(void *arg, const struct sk_registry_end *end,
                                    const struct sk_registry_queue *queue);
typedef void sk_registry_ended_done(void *arg, const struct sk_registry_end *end,
                                    const struct sk_registry_ended *ended);
typedef void sk_registry_expired_done(void *arg, const struct sk_registry_end *end,
                                      const struct sk_registry_expired *expired);

struct sk_registry_feedback {
    uint64_t sequence;
    unsigned deliveries; /* how often it was abandoned */
    struct sk_feedback_record record;
};
struct sk_registry_records {
    struct sk_registry_feedback *records;
    size_t count;
};
typedef void sk_registry_records_done(void *arg, const struct sk_registry_end *end,
                                      const struct sk_registry_records *list);
/* `newest`: the newest feedback record that is there now; 0: none. */
typedef void sk_registry_newest_done(void *arg, const struct sk_registry_end *end, uint64_t newest);

/* For a caller to whom only the end matters, whatever it was: give sk_registry_ended as `done`, and
 * this as its argument, which it frees. */
struct sk_registry_then;
struct sk_registry_then *sk_registry_then(void (*done)(void *arg), void *arg);
void sk_registry_ended(void *then, const struct sk_registry_end *end);

/* ---- its life; opening is the implementation's: sqlite/sqlite.h ---- */

/* Completes everything that waits with SK_CLOSED (of a write that is under way the outcome is then
 * unknown); frees now, or when the transaction that is under way has ended (the loop must run till
 * then). May be called from a completion. */
void sk_registry_close(struct sk_registry *registry);

/* Completes when every write that was asked for before is durable, or has failed. */
void sk_registry_flush(struct sk_registry *registry, sk_registry_done *done, void *arg);

/* ---- identities; `module_id` empty: the device itself ---- */

/* SK_NOT_FOUND. */
void sk_registry_get(struct sk_registry *registry, struct sk_span device_id,
                     struct sk_span module_id, sk_registry_entry_done *done, void *arg);
/* Creates (`if_match` empty) or updates (`"etag"` or `*`); missing SAS keys are made, generation
 * id, etag and scope are set. A new edge device gets its modules $edgeAgent and $edgeHub in the
 * same transaction; every identity gets a twin. An update keeps the generation id, and the keys
 * when the identity stays SAS and comes without. SK_EXISTS; SK_NOT_FOUND (also: a module's
 * device); SK_CONFLICT (etag); SK_TOO_LARGE (50 modules); SK_INVALID (a system module on a device
 * that is no edge device). */
void sk_registry_put(struct sk_registry *registry, const struct sk_identity *identity,
                     struct sk_span if_match, sk_registry_entry_done *done, void *arg);
/* Deletes an identity with its twin and session; a device with its modules. `if_match` empty or
 * `*`: whatever it is. The list is the deleted identities, the one asked for first.
 * SK_NOT_FOUND, SK_CONFLICT. */
void sk_registry_delete(struct sk_registry *registry, struct sk_span device_id,
                        struct sk_span module_id, struct sk_span if_match,
                        sk_registry_entries_done *done, void *arg);
/* At most `max` devices with ids after `after` (empty: from the start), in byte order. */
void sk_registry_list_devices(struct sk_registry *registry, struct sk_span after, size_t max,
                              sk_registry_entries_done *done, void *arg);
/* SK_NOT_FOUND: no such device. */
void sk_registry_list_modules(struct sk_registry *registry, struct sk_span device_id,
                              sk_registry_entries_done *done, void *arg);
/* The identities that an edge device answers for: itself, its modules, the devices whose scope is
 * its scope or whose parent scopes hold it, and the modules of those; devices after `after`, each
 * followed by its modules; stops after `max_devices` devices. SK_NOT_FOUND: no such device;
 * SK_INVALID: it is not an edge device. */
void sk_registry_list_scope(struct sk_registry *registry, struct sk_span edge_device_id,
                            struct sk_span after, size_t max_devices,
                            sk_registry_entries_done *done, void *arg);

/* ---- twins ---- */

void sk_registry_twin_get(struct sk_registry *registry, struct sk_span device_id,
                          struct sk_span module_id, sk_registry_entry_done *done, void *arg);
/* Applies a change; `if_match` as a twin's etag, empty or `*`: whatever it is. The entry holds
 * the new twin, of whose documents nothing may be changed, and the identity. What is reported is
 * not copied: until the call has ended nobody changes it. SK_NOT_FOUND, SK_CONFLICT, SK_INVALID
 * (400004), SK_TOO_LARGE (403100). */
void sk_registry_twin_change(struct sk_registry *registry, struct sk_span device_id,
                             struct sk_span module_id, const struct sk_twin_change *change,
                             struct sk_span if_match, sk_registry_change_done *done, void *arg);
/* How many versions of tags and desired properties are remembered of each twin, from the next
 * change on; 0 (as it opens): none. */
#define SK_TWIN_PAST_MAX 100
void sk_registry_remember(struct sk_registry *registry, unsigned versions);
struct sk_registry_past_version {
    uint64_t version;
    /* {"us": when, "desiredVersion", "tags", "desired"}: as they were from then on */
    struct sk_span document;
};
struct sk_registry_past { /* the newest first; changes that were stored together are one */
    struct sk_registry_past_version *versions;
    size_t count;
};
typedef void sk_registry_past_done(void *arg, const struct sk_registry_end *end,
                                   const struct sk_registry_past *past);
/* SK_NOT_FOUND: no such identity. */
void sk_registry_twin_past(struct sk_registry *registry, struct sk_span device_id,
                           struct sk_span module_id, sk_registry_past_done *done, void *arg);

/* ---- lines of imports: an identity and its twin, in one transaction ---- */

enum sk_registry_work {
    SK_WORK_CREATE,
    SK_WORK_UPDATE,
    SK_WORK_PUT, /* the one or the other */
    SK_WORK_REMOVE,
    SK_WORK_TWIN, /* of one that is there */
};
/* Stored with what was done, or was not: documents that tell whoever goes on after a fall how far
 * it has come, and why lines were not done as they say. */
struct sk_registry_note {
    struct sk_span kind, key, bytes;                      /* kind empty: none */
    struct sk_span failure_kind, failure_key, of_failure; /* put if there was a failure: */
    /* How it reads. On the store's thread: it uses nothing but its arguments. `twin`: the identity
     * is as the line says, its twin is not. */
    void (*put_failure)(struct sk_buffer *to, struct sk_span of_failure,
                        const struct sk_registry_end *end, bool twin);
};
struct sk_registry_line {
    enum sk_registry_work work;
    struct sk_span device_id, module_id;
    const struct sk_identity *identity; /* of the first three */
    struct sk_span if_match;            /* of an identity that is there; `*`: whatever it is */
    struct sk_twin_change twin;         /* nothing in it: it stays */
    struct sk_span twin_if_match;
    struct sk_registry_note note;
};
struct sk_registry_lined {
    bool made;                       /* the identity */
    struct sk_registry_entry *put;   /* it was stored so; NULL: it was not, */
    struct sk_registry_entries gone; /* these are removed, */
    struct sk_registry_entry *twin; /* or (also) its twin was changed: as sk_registry_change_done */
    const json_t *desired_patch;
    const struct sk_registry_end *twin_end; /* why its twin was not; NULL: it was */
};
typedef void sk_registry_line_done(void *arg, const struct sk_registry_end *end,
                                   const struct sk_registry_lined *lined);
/* As sk_registry_put, sk_registry_delete and sk_registry_twin_change together, with their ends,
 * those of lines that are asked for one after the other in that order. An identity that cannot have
 * its twin is put all the same. With a note SK_NO_SPACE, SK_IO and SK_CLOSED mean that nothing was
 * stored, the note neither. */
void sk_registry_line(struct sk_registry *registry, const struct sk_registry_line *line,
                      sk_registry_line_done *done, void *arg);

/* What can be looked up of a condition on twins: what is there is one of some values, or within a
 * range. */
enum sk_registry_where {
    SK_WHERE_DEVICE_ID,
    SK_WHERE_TAGS, /* at a path of the section */
    SK_WHERE_DESIRED,
    SK_WHERE_REPORTED,
};
struct sk_registry_value {
    bool is_text;
    struct sk_span text;
    int64_t number; /* true is 1, false is 0 */
};
struct sk_registry_term {
    enum sk_registry_where where;
    struct sk_span path; /* such as $."a"[0] */
    const struct sk_registry_value *values;
    size_t count;
    bool range;       /* instead of values: a number, */
    double low, high; /* from the one to the other, with both; infinite: as far as they go */
};

/* A twin where it is kept, while a search looks at it: only what is asked for is read. */
struct sk_registry_row;
enum sk_registry_field {
    SK_FIELD_DEVICE_ID,
    SK_FIELD_MODULE_ID,
    SK_FIELD_TAGS, /* this and what follows: JSON text */
    SK_FIELD_DESIRED,
    SK_FIELD_REPORTED,
    SK_FIELD_DESIRED_METADATA,
    SK_FIELD_REPORTED_METADATA,
    SK_FIELD_CONFIGURATIONS, /* empty: none */
};
/* Lives until the next call about this row. */
struct sk_span sk_registry_row_field(const struct sk_registry_row *row,
                                     enum sk_registry_field field);
/* The identity, and of its twin what is no document (those are empty objects); the caller frees
 * both. */
void sk_registry_row_rest(const struct sk_registry_row *row, struct sk_registry_entry *rest);

enum sk_registry_verdict {
    SK_ROW_PASSED, /* not this one */
    SK_ROW_KEPT,   /* into the list */
    SK_ROW_ENOUGH, /* not this one, and none after it */
};
struct sk_registry_search {
    bool modules;
    uint64_t after; /* the place where it goes on, as an earlier answer has it; 0: from the start */
    size_t max;     /* of the list. 0: looks at nothing, and tells how it would */
    const struct sk_registry_term *terms; /* all of them hold for each that is looked for */
    size_t term_count;
    /* Asked about each twin that may be one of them, on the loop's thread, before the call ends;
     * NULL: all are kept. */
    enum sk_registry_verdict (*look)(void *arg, const struct sk_registry_row *row);
};
/* Which twins are looked at. */
enum sk_registry_way { SK_WAY_ALL, SK_WAY_IDS, SK_WAY_VALUES };
struct sk_registry_found {
    struct sk_registry_entry *entries; /* with their twins */
    size_t count;
    bool more; /* it has not come to the end: a search takes no more than its share of a turn */
    uint64_t after; /* the place behind the last one that it has looked at */
    enum sk_registry_way way;
    struct sk_span path; /* SK_WAY_VALUES: the term whose values are kept in order */
};
typedef void sk_registry_found_done(void *arg, const struct sk_registry_end *end,
                                    const struct sk_registry_found *found);
/* Goes over devices, or over modules of all devices, as they were created. Those for which the
 * terms do not hold may be left out; whoever asks still decides about each that comes, in `look`.
 * Paths that searches ask for again and again get their values kept in order by themselves. */
void sk_registry_find_twins(struct sk_registry *registry, const struct sk_registry_search *search,
                            sk_registry_found_done *done, void *arg);

/* ---- counts, as of the last completed write ---- */

struct sk_registry_counts {
    uint64_t devices, enabled_devices, modules;
};
struct sk_registry_counts sk_registry_counts(const struct sk_registry *registry);

/* What an identity said it is; one that is not there is no error. Changes no etag: nobody has
 * edited it. */
void sk_registry_model_set(struct sk_registry *registry, struct sk_span device_id,
                           struct sk_span module_id, struct sk_span model_id,
                           sk_registry_done *done, void *arg);

/* ---- sessions: an MQTT client's persistent subscriptions as bits (their meaning is the gateway's)
 * ---- */

void sk_registry_session_save(struct sk_registry *registry, struct sk_span device_id,
                              struct sk_span module_id, uint32_t subscriptions,
                              sk_registry_done *done, void *arg);
/* SK_NOT_FOUND: no session is kept. */
void sk_registry_session_load(struct sk_registry *registry, struct sk_span device_id,
                              struct sk_span module_id, sk_registry_session_done *done, void *arg);
/* Fine when there is none. */
void sk_registry_session_delete(struct sk_registry *registry, struct sk_span device_id,
                                struct sk_span module_id, sk_registry_done *done, void *arg);

/* ---- cloud-to-device messages: a queue a device, by sequence number. What ends a message writes
 * its feedback record, when its sender asked for one, in the same transaction; such calls take the
 * time that the record lives. Deleting a device deletes its messages and records. ---- */

struct sk_registry_c2d_new {
    struct sk_span message_id; /* empty: no feedback is ever given */
    enum sk_c2d_ack ack;
    int64_t expiry_us;
    struct sk_span envelope[2]; /* head and body */
};
/* SK_NOT_FOUND: no such device, or it is disabled; SK_TOO_LARGE: SK_C2D_PENDING_MAX wait. */
void sk_registry_c2d_put(struct sk_registry *registry, struct sk_span device_id,
                         const struct sk_registry_c2d_new *message, sk_registry_c2d_done *done,
                         void *arg);
/* A device's queue in order, without the messages' envelopes. */
void sk_registry_c2d_list(struct sk_registry *registry, struct sk_span device_id,
                          sk_registry_queue_done *done, void *arg);
/* SK_NOT_FOUND: it has ended. */
void sk_registry_c2d_get(struct sk_registry *registry, uint64_t sequence,
                         sk_registry_c2d_done *done, void *arg);
/* SK_NOT_FOUND: it has ended before. */
void sk_registry_c2d_end(struct sk_registry *registry, uint64_t sequence, enum sk_c2d_end end,
                         int64_t feedback_ttl_us, sk_registry_ended_done *done, void *arg);
/* Notes that it was sent and came back. `deliveries_max` 0: uncounted; else it counts as abandoned,
 * and ends when that makes so many. SK_NOT_FOUND: it has ended. */
void sk_registry_c2d_return(struct sk_registry *registry, uint64_t sequence,
                            unsigned deliveries_max, int64_t feedback_ttl_us,
                            sk_registry_ended_done *done, void *arg);
/* Ends all that a device has waiting. SK_NOT_FOUND: no such device. */
void sk_registry_c2d_purge(struct sk_registry *registry, struct sk_span device_id,
                           int64_t feedback_ttl_us, sk_registry_ended_done *done, void *arg);
/* At most `max` devices that have messages with expiry_us <= now_us. */
void sk_registry_c2d_expired(struct sk_registry *registry, int64_t now_us, size_t max,
                             sk_registry_expired_done *done, void *arg);

/* Records that are told to services, of feedback and of other topics. */
enum sk_registry_topic { SK_TOPIC_FEEDBACK, SK_TOPIC_FILES };
/* Writes one of another topic, whose text is JSON, and, in the same transaction, forgets the
 * document (kind, key; kind empty: none). `newest`: its number. SK_NOT_FOUND: there is no such
 * document; then nothing is written. */
void sk_registry_feedback_add(struct sk_registry *registry, enum sk_registry_topic topic,
                              const struct sk_feedback_record *record, int64_t ttl_us,
                              struct sk_span kind, struct sk_span key,
                              sk_registry_newest_done *done, void *arg);
/* Those with `after` < sequence < `before` that have not expired, the oldest first. */
void sk_registry_feedback_list(struct sk_registry *registry, enum sk_registry_topic topic,
                               uint64_t after, uint64_t before, int64_t now_us, size_t max,
                               sk_registry_records_done *done, void *arg);
/* Forgets the records from `first` to `last`. */
void sk_registry_feedback_delete(struct sk_registry *registry, enum sk_registry_topic topic,
                                 uint64_t first, uint64_t last, sk_registry_newest_done *done,
                                 void *arg);
/* Counts them as abandoned; those that were so `deliveries_max` times are forgotten. */
void sk_registry_feedback_return(struct sk_registry *registry, enum sk_registry_topic topic,
                                 uint64_t first, uint64_t last, unsigned deliveries_max,
                                 sk_registry_newest_done *done, void *arg);
/* Forgets those that have expired. */
void sk_registry_feedback_expire(struct sk_registry *registry, enum sk_registry_topic topic,
                                 int64_t now_us, sk_registry_newest_done *done, void *arg);

/* ---- jobs: what is to be done to many devices. A job is a document; of each device or module that
 * it is for there is a row, with its own document, a JSON object. ---- */

enum sk_job_state { /* of a row */
                    SK_JOB_PENDING,
                    SK_JOB_RUNNING,
                    SK_JOB_COMPLETED,
                    SK_JOB_FAILED,
                    SK_JOB_CANCELED,
                    SK_JOB_STATES
};
struct sk_registry_job_row {
    struct sk_span job_id, device_id, module_id;
    enum sk_job_state state;
    struct sk_span document;
};
struct sk_registry_job_rows { /* by job, device, module */
    struct sk_registry_job_row *rows;
    size_t count;
    bool more; /* it stopped before the end */
};
struct sk_registry_job_counts {
    uint64_t rows[SK_JOB_STATES];
};
typedef void sk_registry_job_rows_done(void *arg, const struct sk_registry_end *end,
                                       const struct sk_registry_job_rows *list);
typedef void sk_registry_job_counts_done(void *arg, const struct sk_registry_end *end,
                                         const struct sk_registry_job_counts *counts);

/* Writes the job's document (empty: it stays) and these rows, all or nothing; a row is replaced.
 * `fresh`: SK_EXISTS when there is such a job already. SK_TOO_LARGE beyond
 * SK_REGISTRY_DOCUMENT_MAX. */
void sk_registry_job_put(struct sk_registry *registry, struct sk_span job_id,
                         struct sk_span document, bool fresh,
                         const struct sk_registry_job_row *rows, size_t count,
                         sk_registry_done *done, void *arg);
/* Changes a twin and writes the row, all or nothing, if the row is pending: so it happens once.
 * As sk_registry_twin_change; SK_EXISTS: the row is not pending any more. */
void sk_registry_job_twin(struct sk_registry *registry, const struct sk_registry_job_row *row,
                          const struct sk_twin_change *change, struct sk_span if_match,
                          sk_registry_change_done *done, void *arg);
/* SK_NOT_FOUND. */
void sk_registry_job_get(struct sk_registry *registry, struct sk_span job_id,
                         sk_registry_document_done *done, void *arg);
void sk_registry_job_list(struct sk_registry *registry, struct sk_span after_id, size_t max,
                          sk_registry_documents_done *done, void *arg);
/* Rows behind `after` (its job, device and module), at most `max`. Only those of a job, of a device
 * with its modules, in a state (`state` < SK_JOB_STATES), where these are given. */
struct sk_registry_job_ask {
    struct sk_span job_id, device_id;
    enum sk_job_state state;
    struct sk_registry_job_row after;
    size_t max;
};
void sk_registry_job_rows(struct sk_registry *registry, const struct sk_registry_job_ask *ask,
                          sk_registry_job_rows_done *done, void *arg);
void sk_registry_job_counts(struct sk_registry *registry, struct sk_span job_id,
                            sk_registry_job_counts_done *done, void *arg);
/* Writes the job's document, and takes all its rows from one state to another, each with `patch`
 * merged into its document. */
void sk_registry_job_end(struct sk_registry *registry, struct sk_span job_id,
                         struct sk_span document, enum sk_job_state from, enum sk_job_state to,
                         struct sk_span patch, sk_registry_done *done, void *arg);
/* Forgets a job with its rows. Fine when there is none. */
void sk_registry_job_delete(struct sk_registry *registry, struct sk_span job_id,
                            sk_registry_done *done, void *arg);

/* ---- documents: bytes under (kind, key), for caches and small state ---- */

#define SK_REGISTRY_DOCUMENT_MAX (1024 * 1024)
/* SK_TOO_LARGE beyond SK_REGISTRY_DOCUMENT_MAX. */
void sk_registry_document_put(struct sk_registry *registry, struct sk_span kind, struct sk_span key,
                              struct sk_span bytes, sk_registry_done *done, void *arg);
void sk_registry_document_get(struct sk_registry *registry, struct sk_span kind, struct sk_span key,
                              sk_registry_document_done *done, void *arg);
/* At once, appended to `to`; only between opening and the first other call, when nothing else uses
 * the store. SK_NOT_FOUND, SK_IO. */
enum sk_status sk_registry_document_load(struct sk_registry *registry, struct sk_span kind,
                                         struct sk_span key, struct sk_buffer *to);
/* Fine when there is none. */
void sk_registry_document_delete(struct sk_registry *registry, struct sk_span kind,
                                 struct sk_span key, sk_registry_done *done, void *arg);
void sk_registry_document_list(struct sk_registry *registry, struct sk_span kind,
                               struct sk_span after_key, size_t max,
                               sk_registry_documents_done *done, void *arg);

#endif
