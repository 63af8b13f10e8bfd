/* Jobs: a twin update or a direct method for all that a query selects, at a time. Inside
 * src/hub/jobs only.
 *
 *   job.c    a job as a document: read, checked, shown
 *   run.c    a job that runs: whom it is for, then one device after the other
 *   jobs.c   the operations, when jobs begin, and what is kept
 *
 * States of a job: queued → running → completed | failed, or cancelled from either. When it begins,
 * a row is written for everybody that its query selects; after a crash it goes on with the rows
 * that are pending. A twin changes in the transaction that ends its row. A method may only be
 * called once: its row is `running` in the store before the call, and one that a crash finds so
 * has failed, for nobody knows what became of it. */
#ifndef SK_HUB_JOBS_PARTS_H
#define SK_HUB_JOBS_PARTS_H

#include "hub/parts.h"

enum {
    JOBS_MAX = 100,        /* that have not ended */
    JOBS_RUNNING_MAX = 10, /* as Azure's largest tier; the others wait their turn */
    JOB_TARGETS_AT_ONCE = 50,
    JOB_DAYS = 30, /* how long a job is known after its end */
    JOB_SECONDS_MAX = 14 * 24 * 3600,
};

enum job_type { JOB_UPDATE_TWIN, JOB_CALL_METHOD, JOB_TYPES };

struct job {
    struct sk_list link;
    struct sk_hub *hub;
    json_t *document; /* as it is stored; what is named below lives in it */
    const char *id;
    enum job_type type;
    int64_t start_us, created_us, max_s;
    char *text; /* a query, which `query` points into */
    struct sk_query query;
    char *method_text, *payload; /* of a method */
    struct sk_registry_job_counts counts;
    bool running, over; /* over: no row is begun any more, its end is stored or under way */
    bool recount;       /* its counts may not be those of the store */
    /* Of one that runs. */
    struct hub_scan scan;
    struct job_target *found; /* by the scan, not stored yet */
    size_t found_count;
    char *after_device, *after_module; /* the last row that was read */
    size_t under_way;                  /* rows, a reading, the writing of the end */
    bool reading, all_read;            /* reading: rows, or whom it is for */
    enum sk_job_state end_rows;        /* what pending rows become with its end */
    char *end_patch;                   /* theirs; NULL: they have it */
    struct sk_timer deadline;          /* after its end: when that is written again */
    struct sk_timer pace;              /* until the tier permits the next row */
    bool paced;
    uint64_t told_ns; /* when who watches was told last how far it is */
};

struct job_target {
    char *device, *module; /* module: NULL: the device */
};

struct jobs {
    struct sk_hub *hub;
    struct sk_list list; /* struct job that have not ended, as they were made */
    size_t count, running, creating, resuming;
    bool loaded;
    struct sk_list waiting; /* see hub_wait */
    struct sk_timer next;   /* the next that is to begin */
    struct sk_timer daily;
};

/* ---- job.c ---- */

const char *job_type_text(enum job_type type);
bool job_type_read(struct sk_span text, enum job_type *type);
/* What is to be stored, out of a request. NULL: `error` says why not. */
json_t *job_document(const json_t *body, struct sk_span id, int64_t now_us,
                     char error[SK_MODEL_ERROR_MAX]);
/* Takes the document, also when it fails: NULL, and `error` says why. */
struct job *job_read(struct sk_hub *hub, json_t *document, char error[SK_MODEL_ERROR_MAX]);
void job_free(struct job *job);
/* As clients see it; `counts` NULL: those that the document has. */
json_t *job_json(const json_t *document, const struct sk_registry_job_counts *counts);
/* Changes the document: the job has this status, and since when it has ended (0: it has not). */
void job_set(struct job *job, const char *status, const char *why, int64_t ended_us);
bool job_has_ended(const json_t *document);
/* A row's document: what is known before its turn, and its end. Texts, owned by the caller. */
char *job_row_pending(const struct job *job, int64_t now_us);
char *job_row_running(const struct job *job, int64_t begun_us);
/* `error` NULL: fine; `status` and `payload` are a method's. */
char *job_row_ended(const struct job *job, int64_t begun_us, int64_t now_us,
                    const struct sk_error *error, int status, struct sk_span payload);
/* A patch for rows that end all together. */
char *job_rows_over(int64_t now_us, const char *code, const char *description);

/* ---- run.c ---- */

/* Begins, or goes on after a restart. */
void job_run(struct job *job);
/* Ends a job before its time: what is pending gets this state and the patch; `done` (may be NULL)
 * comes when that is stored. */
void job_end(struct job *job, const char *status, const char *why, enum sk_job_state rows,
             const char *patch, sk_registry_done *done, void *arg);

/* ---- jobs.c ---- */

/* It has ended, and nothing of it is under way: it is freed. */
void jobs_ended(struct job *job);
/* jobs.c: tells routes that ask for such events what the job is now. */
void jobs_tell(struct job *job);
void jobs_moved(struct job *job); /* likewise who watches, at most once a second */

#endif
