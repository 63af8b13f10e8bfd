/* The body of Put Block List: which blocks a blob is made of, as XML. */
#ifndef SK_AZURE_BLOB_LIST_H
#define SK_AZURE_BLOB_LIST_H

#include "base/base.h"

/* Where a block is looked for. */
enum sk_blob_from { SK_BLOB_LATEST, SK_BLOB_COMMITTED, SK_BLOB_UNCOMMITTED };

/* Starts zeroed but for `xml`. */
struct sk_blob_list {
    struct sk_span xml; /* what is left of it */
    bool began, ended;
    enum sk_blob_from from;
    struct sk_span id; /* base64, as it stands there */
};
/* The next block. SK_NOT_FOUND: that was the last; SK_MALFORMED: it is no such list. */
enum sk_status sk_blob_list_next(struct sk_blob_list *list);

#endif
