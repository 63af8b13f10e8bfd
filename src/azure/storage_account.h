/* Connection strings of storage accounts:
 * `DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…;BlobEndpoint=…;EndpointSuffix=…`. */
#ifndef SK_AZURE_STORAGE_ACCOUNT_H
#define SK_AZURE_STORAGE_ACCOUNT_H

#include "base/base.h"

/* Spans of the text or the arena. */
struct sk_storage_account {
    struct sk_span name, key; /* base64 */
    struct sk_span blobs;     /* URL of the blob service, without a slash at its end */
};
/* SK_MALFORMED with a sentence that shows no secret. */
enum sk_status sk_storage_account_parse(struct sk_span text, struct sk_arena *arena,
                                        struct sk_storage_account *account, char error[256]);

#endif
