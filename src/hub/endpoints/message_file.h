/* What files of messages hold, and how they are called. Inside src/hub/endpoints only. */
#ifndef SK_HUB_ENDPOINTS_MESSAGE_FILE_H
#define SK_HUB_ENDPOINTS_MESSAGE_FILE_H

#include <jansson.h>

#include "model/message.h"

enum { MESSAGE_FILE_SYNC = 16 };

/* In the order of hub.toml's choices. */
enum message_file_encoding {
    MESSAGE_FILE_AVRO,
    MESSAGE_FILE_AVRO_DEFLATE,
    MESSAGE_FILE_JSON /* lines */
};
#define MESSAGE_FILE_ENCODINGS "Avro|AvroDeflate|JSON"

/* A file that is being written. Zeroed: none. */
struct message_file {
    enum message_file_encoding encoding;
    char sync[MESSAGE_FILE_SYNC];
    struct sk_buffer block; /* Avro: records that are not in the file yet */
    size_t in_block;
};

/* Each appends to `to` what belongs into the file next. `sync`: by chance. */
void message_file_begin(struct message_file *file, enum message_file_encoding encoding,
                        const char sync[MESSAGE_FILE_SYNC], struct sk_buffer *to);
void message_file_add(struct message_file *file, const struct sk_message *message,
                      struct sk_buffer *to);
/* From here on what was added is readable. */
void message_file_end_block(struct message_file *file, struct sk_buffer *to);
void message_file_free(struct message_file *file);

/* What is told of a message beside its body; new references. */
json_t *message_properties_json(const struct sk_message *message);
json_t *message_system_json(const struct sk_message *message); /* by the names of routes */

/* Whether a name's format has all of Azure's tokens and leads nowhere else; the name at a time,
 * without what it ends with. */
#define MESSAGE_FILE_NAME "{iothub}/{partition}/{YYYY}/{MM}/{DD}/{HH}/{mm}"
bool message_file_name_fine(struct sk_span format);
void message_file_name(const char *format, const char *hub, unsigned partition, int64_t wall_us,
                       struct sk_buffer *to);

#endif
