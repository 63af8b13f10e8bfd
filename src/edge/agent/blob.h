/* Putting bytes into blob storage by a shared access signature: `PUT` of a block blob. */
#ifndef SK_EDGE_AGENT_BLOB_H
#define SK_EDGE_AGENT_BLOB_H

#include "io/io.h"

/* "https://account.blob.example/container?sv=…&sig=…", taken apart; texts live in the arena. */
struct sk_blob_store {
    struct sk_endpoint at;
    bool secure;
    struct sk_span path, query; /* as they stand there */
};
/* `parent`: in place of a host "$upstream"; NULL: none. SK_MALFORMED: no such URL; SK_NOT_FOUND:
 * "$upstream" without a parent. */
enum sk_status sk_blob_store_parse(struct sk_span url, const char *parent, struct sk_arena *arena,
                                   struct sk_blob_store *store);

struct sk_blob_put;
/* All is copied but `tls` and `proxy`, which outlive it. `name`: of the blob, with slashes. `done`
 * once, never from inside: NULL, or why not. */
struct sk_blob_put *sk_blob_put(struct sk_io *io, const struct sk_blob_store *store,
                                struct sk_tls *tls, const char *proxy, const char *name,
                                const char *content_type, struct sk_span bytes,
                                void (*done)(void *arg, const char *why), void *arg);
/* Ends it; `done` is not called. */
void sk_blob_put_cancel(struct sk_blob_put *put);

#endif
