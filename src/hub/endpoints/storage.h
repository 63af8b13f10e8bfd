/* Files of messages: see storage.c. */
#ifndef SK_HUB_ENDPOINTS_STORAGE_H
#define SK_HUB_ENDPOINTS_STORAGE_H

#include "model/message.h"

enum { STORAGE_SYNC = 16 };

/* A file that is being written. */
struct storage {
    bool avro; /* else JSON lines */
    char sync[STORAGE_SYNC];
    struct sk_buffer block; /* Avro: records that are not in the file yet */
    size_t in_block;
};

/* Each appends to `to` what belongs into the file next. `sync`: by chance. */
void storage_begin(struct storage *storage, bool avro, const char sync[STORAGE_SYNC],
                   struct sk_buffer *to);
void storage_add(struct storage *storage, const struct sk_message *message, struct sk_buffer *to);
/* From here on what was added is readable. */
void storage_end_block(struct storage *storage, struct sk_buffer *to);

/* Whether a name's format has all of Azure's tokens and leads nowhere else; the name at a time,
 * without what it ends with. */
#define STORAGE_NAME "{iothub}/{partition}/{YYYY}/{MM}/{DD}/{HH}/{mm}"
bool storage_name_fine(struct sk_span format);
void storage_name(const char *format, const char *hub, unsigned partition, int64_t wall_us,
                  struct sk_buffer *to);

#endif
