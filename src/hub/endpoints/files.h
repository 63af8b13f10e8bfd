/* Endpoints that write files, one at a time for each partition (files.c), and the places where
 * these are: a folder, a container. Inside src/hub/endpoints only.
 *
 * A file grows with each batch and is finished when it is old or large enough; then all that is in
 * it is committed, and not before. What a crash leaves behind is begun anew. */
#ifndef SK_HUB_ENDPOINTS_FILES_H
#define SK_HUB_ENDPOINTS_FILES_H

#include "hub/endpoints/parts.h"
#include "hub/endpoints/message_file.h"
#include "hub/events/partitions.h"

struct writer;

/* The file of a partition that is being written. */
struct part {
    struct writer *writer;
    unsigned number;
    bool begun;
    struct message_file file;
    struct sk_buffer bytes; /* that the place has not taken */
    struct sk_buffer name;  /* ends with NUL; empty: not found yet */
    unsigned copy;          /* of files that begin in the same minute */
    uint64_t written;
    int64_t begun_us;
    void *state; /* the place's */
};

struct place {
    /* Makes w->state, if it needs any. `reason`: one sentence on failure. */
    enum sk_status (*open)(struct writer *w, char reason[512]);
    /* Before each batch: whether it is there. */
    enum sk_status (*ready)(struct writer *w);
    /* Whether there is a file with the part's name: SK_OK, SK_NOT_FOUND; SK_AGAIN: part_looked will
     * tell. */
    enum sk_status (*look)(struct part *part);
    /* Takes part->bytes; part_moved follows once, maybe from inside. Likewise of finish: the file
     * is there under its name, whole and durable. */
    void (*write)(struct part *part);
    void (*finish)(struct part *part);
    /* Nothing of the part is under way; the file is dropped where it is not finished. */
    void (*forget)(struct part *part);
    /* What is under way ends soon, as it may; nobody hears how. */
    void (*close)(struct writer *w);
};
extern const struct place place_folder, place_container, place_account;

struct writer {
    struct endpoint *endpoint; /* not after it was closed */
    const struct place *place;
    void *state; /* the place's */
    struct part parts[SK_PARTITIONS_MAX];
    size_t busy; /* parts that the place is at */
    bool finishing, closed;
    uint64_t bytes; /* of all files */
    enum sk_status status;
    char why[160]; /* it could not; empty: `status` says it */
};

/* By places, see struct place. */
void part_looked(struct part *part, enum sk_status status);
void part_moved(struct part *part, enum sk_status status);

/* What kinds of files share: struct endpoint_kind. */
enum sk_status writer_open(struct endpoint *e, const struct place *place, char reason[512]);
void writer_send(struct endpoint *e);
void writer_flush(struct endpoint *e);
void writer_close(struct endpoint *e);

#endif
