/* Files of messages: see storage.c. */
#ifndef SK_HUB_ENDPOINTS_STORAGE_H
#define SK_HUB_ENDPOINTS_STORAGE_H

#include <jansson.h>

#include "model/message.h"

enum { STORAGE_SYNC = 16 };

/* In the order of hub.toml's choices. */
enum storage_encoding { STORAGE_AVRO, STORAGE_AVRO_DEFLATE, STORAGE_JSON /* lines */ };
#define STORAGE_ENCODINGS "Avro|AvroDeflate|JSON"

/* A file that is being written. Zeroed: none. */
struct storage {
    enum storage_encoding encoding;
    char sync[STORAGE_SYNC];
    struct sk_buffer block; /* Avro: records that are not in the file yet */
    size_t in_block;
};

/* Each appends to `to` what belongs into the file next. `sync`: by chance. */
void storage_begin(struct storage *storage, enum storage_encoding encoding,
                   const char sync[STORAGE_SYNC], struct sk_buffer *to);
void storage_add(struct storage *storage, const struct sk_message *message, struct sk_buffer *to);
/* From here on what was added is readable. */
void storage_end_block(struct storage *storage, struct sk_buffer *to);
void storage_free(struct storage *storage);

/* What is told of a message beside its body; new references. */
json_t *storage_properties(const struct sk_message *message);
json_t *storage_system(const struct sk_message *message); /* by the names of routes */

/* Whether a name's format has all of Azure's tokens and leads nowhere else; the name at a time,
 * without what it ends with. */
#define STORAGE_NAME "{iothub}/{partition}/{YYYY}/{MM}/{DD}/{HH}/{mm}"
bool storage_name_fine(struct sk_span format);
void storage_name(const char *format, const char *hub, unsigned partition, int64_t wall_us,
                  struct sk_buffer *to);

#endif
