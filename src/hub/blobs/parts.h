/* The hub's own blob service: the part of Azure's that SDKs use to give and take files, on the
 * hub's host name. Inside src/hub/blobs only.
 *
 * On the disk: contents are files below `blobs/`, which never change; what blobs there are is in
 * the registry, as documents. A blob's document lists the files that it is made of, so putting it
 * is what makes a blob: it is there whole, or not at all. A file that no document lists (the
 * machine stopped in between) is found and removed at the next start.
 * Reference: docs/protocols/service-api.md, section 9; decision 31. */
#ifndef SK_HUB_BLOBS_PARTS_H
#define SK_HUB_BLOBS_PARTS_H

#include "azure/blob_auth.h"
#include "hub/parts.h"
#include "net/http_server.h"

enum {
    BLOB_NAME_MAX = 1024,
    BLOB_BLOCKS_MAX = 5000, /* of one blob; its document has at most 1 MB */
    BLOB_BLOCK_ID_MAX = 64, /* bytes, which are written in base64 */
    BLOB_FILE_ID = 28,      /* "a3/0f3c9a12-0000000000000001" */
    BLOB_LIST_MAX = 1000,   /* names of one answer */
    BLOB_BODIES_MAX = 64,   /* on their way to the disk at once; one more is told to wait */
    BLOB_CONTAINERS_MAX = 1000,
};
/* Of one request: 4000 MiB, as Azure's newest version permits. */
#define BLOB_BODY_MAX (4000ull * 1024 * 1024)

struct blobs {
    struct sk_hub *hub;
    char *folder;
    char *key;          /* base64: what the hub signs with, and nobody else */
    bool key_is_new;    /* it is stored at the start */
    json_t *containers; /* name → {"etag", "modified", "deleted"} */
    char run[9];        /* of this start: in the names of its files */
    uint64_t files;     /* made in this run */
    struct sk_list sinks;
    struct sk_list changes; /* of documents, under way: struct blob_change */
    struct sk_list trash;   /* files to be removed: struct waste */
    struct sk_task take_out;
    struct sk_timer
        copied; /* until it is looked whether a backup still needs what is in the trash */
    struct sk_timer sweep;
    struct sweep *sweeping;
};

enum blob_error {
    BLOB_FINE,
#define BLOB_ERROR(name, ...) BLOB_##name,
#include "hub/blobs/errors.def"
};

/* One request. In the exchange's arena: it ends with the answer. */
struct blob_request {
    struct blobs *blobs;
    struct sk_http_exchange *exchange;
    const struct blob_operation *operation;
    struct sk_span container, blob; /* decoded */
    unsigned rights;                /* SK_BLOB_… */
    bool waits;                     /* for its body */
    uint64_t asked_ns;
    void *data; /* the operation's */
};

struct blob_operation {
    const char *name; /* as storage accounts record it */
    enum sk_category category;
    enum sk_http_method method;
    enum { ON_ACCOUNT, ON_CONTAINER, ON_BLOB } level;
    const char *comp;
    unsigned rights; /* one of them */
    enum { NO_BODY, TEXT_BODY, FILE_BODY } body;
    void (*serve)(struct blob_request *r);
};

/* answer.c: an answer ends the request; blob_answered records and counts it, before. */
void blob_answered(const struct blob_request *r, unsigned status, enum blob_error error);
struct sk_buffer blob_headers(const struct blob_request *r); /* those that all answers have */
void blob_refuse(struct blob_request *r, enum blob_error error);
void blob_refuse_status(struct blob_request *r, enum sk_status status); /* of the store */
/* Takes the headers. */
void blob_answer(struct blob_request *r, unsigned status, struct sk_buffer *headers);
void blob_answer_xml(struct blob_request *r, struct sk_buffer *headers, struct sk_span xml);
void blob_put_xml(struct sk_buffer *to, const char *element, struct sk_span text);
void blob_put_time(struct sk_buffer *to, const char *name, int64_t wall_us);
/* ETag and Last-Modified of a document. */
void blob_put_state(struct sk_buffer *to, const json_t *record);
/* The headers that a blob's document keeps, as they came: Content-Type and others. */
void blob_put_properties(struct sk_buffer *to, const json_t *record);
json_t *blob_take_properties(const struct blob_request *r);
#define BLOB_METADATA "x-ms-meta-"
/* Whether one of these headers is x-ms-meta-…, in whatever case its client writes it. */
bool blob_is_metadata(struct sk_span name);

/* auth.c */
enum blob_error blob_authorise(struct blob_request *r);
/* What a signature in a query opens. */
enum blob_error blob_signature(const struct blobs *blobs, struct sk_span query,
                               struct sk_span container, struct sk_span blob, unsigned *rights,
                               struct sk_arena *arena);
/* "container/blob" of a path. Where the host is an address, or localhost, SDKs put the account
 * before the container: there is no name that it could be a part of. Devices do not, they put
 * together what we told them. */
struct sk_span blob_path(const struct blobs *blobs, struct sk_span host, struct sk_span path);

/* container.c */
json_t *blob_container(const struct blobs *blobs, struct sk_span name); /* NULL: there is none */
/* Makes it where it is not; what became of it comes to `done`. */
void blob_container_make(struct blobs *blobs, struct sk_span name, sk_registry_done *done,
                         void *arg);
/* Removes what is in one that is marked as deleted, then the mark. */
void blob_container_remove(struct blobs *blobs, struct sk_span name);
void blob_containers_list(struct blob_request *r);
void blob_container_create(struct blob_request *r);
void blob_container_get(struct blob_request *r);
void blob_container_delete(struct blob_request *r);

/* sink.c: bytes on their way to a file. Embedded. */
struct blob_sink {
    struct sk_list link;
    struct blobs *blobs;       /* NULL: the hub has closed */
    char id[BLOB_FILE_ID + 1]; /* of the file; empty: there is none, as nothing was put */
    struct sk_file *file;
    struct sk_buffer gathering, writing;
    uint64_t written;
    enum sk_status status;
    bool busy, ended;
    bool kept; /* set by who has put a document that lists the file */
    void (*moved)(struct blob_sink *sink);
    void (*freed)(struct blob_sink *sink);
};
/* `moved` comes when something that was put is on the disk, and when the hub closes meanwhile. */
void blob_sink_open(struct blob_sink *sink, struct blobs *blobs,
                    void (*moved)(struct blob_sink *sink));
/* False: enough for now, until `moved`. */
bool blob_sink_put(struct blob_sink *sink, struct sk_span bytes);
uint64_t blob_sink_size(const struct blob_sink *sink);
/* Nothing more is put. True: all of it is on the disk, or sink->status tells why it is not; else
 * ask again at the next `moved`. */
bool blob_sink_end(struct blob_sink *sink);
/* `freed` comes when no write runs any more, maybe at once; a file that is not kept goes. */
void blob_sink_free(struct blob_sink *sink, void (*freed)(struct blob_sink *sink));
void blob_sinks_close(struct blobs *blobs);

/* body.c: the body of a request is written to a file. */
struct blob_body {
    struct blob_sink sink;
    struct blob_request *r;
    uint64_t began_ns;
    bool whole;
    struct evp_md_ctx_st *md5;
    char md5_text[25];
    enum blob_error error;
    void (*done)(struct blob_request *r, struct blob_body *body);
};
/* `done` comes when all of it is durable; body->sink.kept there says that a document lists its file
 * now. It ends when the request is answered by blob_body_end. */
void blob_body_take(struct blob_request *r,
                    void (*done)(struct blob_request *r, struct blob_body *body));
void blob_body_end(struct blob_body *body);

/* write.c */
json_t *blob_record_new(const struct blob_request *r); /* without parts and size */
bool blob_block_id_fine(struct sk_span id);            /* base64 */
/* Puts a document in the place of what is there (NULL: deletes that), if the request's conditions
 * hold, and answers. Takes `fresh` over. `then` (or NULL) comes before the answer: it is durable,
 * or (`fresh` NULL) it failed. */
void blob_replace(struct blob_request *r, json_t *fresh, struct blob_body *body,
                  void (*then)(struct blob_request *r, const json_t *fresh));
void blob_put(struct blob_request *r);
void blob_put_block(struct blob_request *r);
void blob_delete(struct blob_request *r);
void blob_set_metadata(struct blob_request *r);
void blob_set_properties(struct blob_request *r);
/* commit.c */
void blob_put_block_list(struct blob_request *r);
void blob_get_block_list(struct blob_request *r);
/* source.c: bytes of a blob, through its files. */
struct blob_source {
    struct blobs *blobs;
    json_t *record;
    size_t part;           /* that is read */
    uint64_t offset, left; /* in the part; of what was asked for */
    struct sk_file *file;
};
/* From a place in it, so many bytes. */
void blob_source_open(struct blob_source *source, struct blobs *blobs, json_t *record,
                      uint64_t from, uint64_t size);
/* Up to `n` bytes; SK_IO where a file is not there. */
enum sk_status blob_source_read(struct blob_source *source, char *to, size_t n, size_t *got);
void blob_source_close(struct blob_source *source);

/* read.c */
void blob_get(struct blob_request *r);
/* list.c */
void blob_list(struct blob_request *r);

/* store.c: documents and files. */
struct sk_span blob_kind(struct sk_arena *arena, const char *prefix, struct sk_span container);
#define BLOB_DOCUMENTS "blob:"
#define BLOCK_DOCUMENTS "block:"
void blob_file_path(const struct blobs *blobs, const char *id, char to[1024]);
/* What is being changed belongs to one at a time; false: somebody is at it, or at what belongs to
 * it. The change lasts until it is given back (zeroed: nothing to do). */
struct blob_change {
    struct sk_list link;
    char *container, *blob;
};
bool blob_change_begin(struct blobs *blobs, struct blob_change *change, struct sk_span container,
                       struct sk_span blob);
void blob_change_end(struct blob_change *change);
void blob_stamp(struct blobs *blobs, json_t *record); /* etag and time of now */
/* If-Match and If-None-Match; `record` NULL: it is not there. */
enum blob_error blob_condition(const struct blob_request *r, const json_t *record);
/* Removes the files of a document, but for those that another lists. */
void blob_waste_parts(struct blobs *blobs, const json_t *record, const json_t *kept);
/* The same of a block that waits no more (`key`: "blob\nid"), but for what its blob has: that a
 * list was committed and the block's document is still there happens when the machine stops in
 * between. */
void blob_waste_block(struct blobs *blobs, struct sk_span container, struct sk_span key,
                      const json_t *block);
void blob_waste(struct blobs *blobs, const char *id);
void blob_store_open(struct blobs *blobs);
void blob_store_start(struct blobs *blobs);
void blob_store_close(struct blobs *blobs);

#endif
