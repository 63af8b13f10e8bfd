/* Import and export of identities and configurations, from and to containers of blobs. Inside
 * src/hub/transfers only.
 *
 *   transfers.c       jobs: asked for, shown, cancelled; what goes on after a fall of the hub
 *   place.c           containers, and blobs in them that are read and written
 *   away.c            those of a storage account
 *   import.c          identities, a line each
 *   configurations.c  configurations, a line each
 *   errors.c          what lines could not do
 *   export.c          an export
 *   line.c            an identity as a line
 *
 * One job at a time, as at Azure. What is shown of a job is its document in the registry; of the
 * one that runs it is here. Beside that there are documents while a job runs: where it reads and
 * writes, how far an import has come, and what it could not do. The last two are stored in one
 * transaction with what a line does, so an import goes on behind the last line that was done,
 * however the hub ended. Reference: docs/protocols/service-api.md, section 7; decisions 32, 40. */
#ifndef SK_HUB_TRANSFERS_PARTS_H
#define SK_HUB_TRANSFERS_PARTS_H

#include "azure/blob_auth.h"
#include "hub/parts.h"

struct transfer;

/* How one is done. */
struct transfer_kind {
    const char *type;
    void *(*start)(struct transfer *transfer);
    void (*free)(void *work); /* it stops here, whatever is under way */
};
extern const struct transfer_kind transfer_export, transfer_import;

struct transfer {
    struct sk_hub *hub;
    const struct transfer_kind *kind;
    json_t *job;                  /* JobProperties, as they are shown */
    struct place *input, *output; /* NULL: none */
    bool without_keys, configurations;
    void *work;
};

/* A member of the job that is text; empty: it is not there. */
struct sk_span transfer_text(const struct transfer *transfer, const char *member);
/* The job's blob: what the member says, or the default. */
struct sk_span transfer_blob(const struct transfer *transfer, const char *member,
                             const char *otherwise);
/* In whatever unit; 100 % is shown at the end alone. */
void transfer_progress(struct transfer *transfer, uint64_t done, uint64_t of);
/* It has ended; `reason` NULL: well. Frees the work and the transfer. */
void transfer_end(struct transfer *transfer, const char *reason);

/* Kinds of documents: of each job that has not ended where it works (key: its id); how far an
 * import has come (likewise); and of each job what it could not do, by line. */
#define TRANSFER_WORK SK_SPAN("transfer-work")
#define TRANSFER_PROGRESS SK_SPAN("transfer-progress")
#define TRANSFER_ERRORS "transfer-errors:"

/* place.c: a container. Owned. */
struct place {
    char *name;
    bool away; /* of the storage account of [hub.files]; else of the hub's own blob service */
};
/* Out of the member of a body, with the rights (SK_BLOB_…) that its signature gives. NULL: it is
 * none, for the reason in *why. */
struct place *place_of(struct sk_hub *hub, const json_t *body, const char *member, unsigned rights,
                       const char **why);
json_t *place_to_json(const struct place *place); /* NULL: null */
struct place *place_from_json(const json_t *json);
void place_free(struct place *place);

/* arm.c: makes the body of ARM's words one of ours; answers with a job, or a list of them, in the
 * form of the path that was asked. */
void transfer_from_arm(struct sk_request *request);
void transfer_answer(struct sk_request *request, const json_t *job);
void transfer_answer_list(struct sk_request *request, const json_t *jobs);

/* Reading a blob from a place in it. `moved` comes when it can be read, and never from inside a
 * call. */
struct place_reader;
struct place_reader *place_read(struct sk_hub *hub, const struct place *place, struct sk_span blob,
                                uint64_t from, void (*moved)(void *arg), void *arg);
/* Up to `n` bytes; *got 0: it has ended. SK_AGAIN: not yet, until `moved`. SK_NOT_FOUND: there is
 * no such blob. */
enum sk_status place_read_part(struct place_reader *reader, char *to, size_t n, size_t *got);
uint64_t place_read_size(const struct place_reader *reader);       /* once something was read */
struct sk_span place_read_etag(const struct place_reader *reader); /* likewise */
void place_read_free(struct place_reader *reader);

/* Writing one: as hub_blob_write and its like, but that `moved` comes as soon as it has failed. */
struct place_writer;
struct place_writer *place_write(struct sk_hub *hub, const struct place *place, struct sk_span blob,
                                 void (*moved)(void *arg), void *arg);
bool place_write_part(struct place_writer *writer, struct sk_span bytes); /* false: wait */
void place_write_end(struct place_writer *writer);
/* SK_AGAIN: not at its end. */
enum sk_status place_write_status(const struct place_writer *writer);
const char *
place_write_reason(const struct place_writer *writer); /* at its end; NULL: it is there */
void place_write_free(struct place_writer *writer);    /* what is not at its end is dropped */

/* away.c: the same, of a container of the storage account. Members of who has them. What fails for
 * a time is tried again for a minute. */
struct away; /* one request to it at a time */
struct away_reader {
    struct away *away;
    struct sk_buffer text, etag; /* read, and not yet taken */
    size_t taken;                /* of the text */
    uint64_t at, size;           /* where the text ends in the blob */
    bool skips;                  /* the first byte that comes is before what was asked for */
    enum sk_status status;
};
struct away_writer {
    struct away *away;
    struct sk_buffer gathering;
    unsigned blocks; /* that were put */
    bool ended, listed;
    enum sk_status status;
};
struct away *away_new(struct sk_hub *hub, const struct place *place, struct sk_span blob,
                      void (*moved)(void *arg), void *arg);
void away_free(struct away *away);
void away_read(struct away_reader *reader, uint64_t from);
enum sk_status away_read_part(struct away_reader *reader, char *to, size_t n, size_t *got);
bool away_write_part(struct away_writer *writer, struct sk_span bytes);
void away_write_end(struct away_writer *writer);

/* place.c: lines of a blob. Embedded. */
struct place_lines {
    struct place_reader *reader;
    struct sk_buffer text; /* read, and not yet taken */
    size_t taken;          /* of the text */
    uint64_t base;         /* where the text begins in the blob */
    bool at_end;
};
/* The next line, where it is whole (the last may lack its end); lives until the next call. SK_AGAIN
 * until `moved`; SK_CLOSED: there are no more; SK_TOO_LARGE; else it cannot be read. */
enum sk_status place_next_line(struct place_lines *lines, size_t max, struct sk_span *line);
uint64_t place_lines_read(const struct place_lines *lines); /* behind the last line */
void place_lines_free(struct place_lines *lines);

/* Ends of parts of the work: `reason` NULL: well. Never from inside the call that begins it. */
typedef void transfer_done(void *arg, const char *reason);

/* configurations.c: the blob's lines, or all of the hub's into a blob. */
struct configurations_work;
struct configurations_work *configurations_import(struct transfer *transfer, transfer_done *done,
                                                  void *arg);
struct configurations_work *configurations_export(struct transfer *transfer, transfer_done *done,
                                                  void *arg);
void configurations_work_free(struct configurations_work *work);

/* errors.c: the note of a line: its number ('c' before those of configurations, so that they stand
 * behind all others), and `progress` to be stored with it. The spans point into `texts`. */
struct error_texts {
    char kind[64], key[24];
};
struct hub_import_note error_note(const struct transfer *transfer, bool of_configuration,
                                  uint64_t line, struct sk_span progress,
                                  struct error_texts *texts);
/* Writes what was noted into the output container, in the order of the lines; nothing, where
 * nothing was. */
struct errors_work;
struct errors_work *errors_write(struct transfer *transfer, transfer_done *done, void *arg);
void errors_work_free(struct errors_work *work);
/* Removes all that the registry has of a job beside its document. */
void errors_forget(struct sk_hub *hub, struct sk_span job_id);

/* line.c: an identity with its twin as a line of a file; a new reference. */
json_t *transfer_line(const struct sk_registry_entry *entry, bool without_keys);

#endif
