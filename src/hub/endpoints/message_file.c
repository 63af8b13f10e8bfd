/* What files of messages hold, and how they are called: JSON lines or Avro, as IoT Hub writes them
 * into containers. Pure: whoever has a place for bytes writes them there. */
#include "hub/endpoints/message_file.h"

#include <stdio.h>
#include <zlib.h>

#include "model/json_text.h"

#define SCHEMA                                                                                     \
    "{\"type\":\"record\",\"name\":\"Message\",\"namespace\":\"Microsoft.Azure.Devices\","         \
    "\"fields\":[{\"name\":\"EnqueuedTimeUtc\",\"type\":\"string\"},"                              \
    "{\"name\":\"Properties\",\"type\":{\"type\":\"map\",\"values\":\"string\"}},"                 \
    "{\"name\":\"SystemProperties\",\"type\":{\"type\":\"map\",\"values\":\"string\"}},"           \
    "{\"name\":\"Body\",\"type\":[\"null\",\"bytes\"]}]}"

static const char *const system_names[] = {"messageId",
                                           "correlationId",
                                           "userId",
                                           "contentType",
                                           "contentEncoding",
                                           "connectionDeviceId",
                                           "connectionModuleId",
                                           "connectionDeviceGenerationId",
                                           "connectionAuthMethod",
                                           "dt-dataschema",
                                           "dt-subject",
                                           "iothub-message-source"};
enum { SYSTEM_NAMES = sizeof system_names / sizeof *system_names };

/* ---- JSON lines ---- */

json_t *message_system_json(const struct sk_message *message) {
    json_t *system = json_object();
    struct sk_span value;
    char when[SK_TIME_TEXT];
    sk_time_text(message->enqueued_us, when);
    for (size_t i = 0; i < SYSTEM_NAMES; i++)
        if (sk_message_system(message, sk_span_z(system_names[i]), &value))
            json_object_set_new(system, system_names[i], sk_json_of_text(value));
    json_object_set_new(system, "enqueuedTime", json_string(when));
    return system;
}

/* As it is, where it says that it is JSON and is; else in base64. */
static json_t *body_json(const struct sk_message *message) {
    bool says_json =
        sk_span_starts_nocase(message->system[SK_SYS_CONTENT_TYPE], SK_SPAN("application/json")) &&
        sk_span_eq_nocase(message->system[SK_SYS_CONTENT_ENCODING], SK_SPAN("utf-8"));
    json_t *body = says_json ? sk_json_load(message->body, JSON_DECODE_ANY, NULL) : NULL;
    if (body) return body;
    struct sk_buffer text = {0};
    sk_base64_encode(&text, message->body);
    body = json_stringn(text.p ? text.p : "", text.n);
    sk_buffer_free(&text);
    return body;
}

json_t *message_properties_json(const struct sk_message *message) {
    json_t *properties = json_object();
    for (size_t i = 0; i < message->property_count; i++) {
        json_t *name = sk_json_of_text(message->properties[i].name);
        json_object_set_new(properties, json_string_value(name),
                            sk_json_of_text(message->properties[i].value));
        json_decref(name);
    }
    return properties;
}

static void put_line(struct sk_buffer *to, const struct sk_message *message) {
    char when[SK_TIME_TEXT];
    sk_time_text(message->enqueued_us, when);
    json_t *line = json_pack("{s:s,s:o,s:o,s:o}", "EnqueuedTimeUtc", when, "Properties",
                             message_properties_json(message), "SystemProperties",
                             message_system_json(message), "Body", body_json(message));
    sk_json_put(to, line, 0);
    sk_buffer_byte(to, '\n');
    json_decref(line);
}

/* ---- Avro (1.11.1, "Object Container Files" and "Binary Encoding") ---- */

static void put_long(struct sk_buffer *to, int64_t value) {
    uint64_t n = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    for (; n > 0x7f; n >>= 7) sk_buffer_byte(to, (char)(n | 0x80));
    sk_buffer_byte(to, (char)n);
}

static void put_bytes(struct sk_buffer *to, struct sk_span bytes) {
    put_long(to, (int64_t)bytes.n);
    sk_buffer_append(to, bytes);
}

/* What is no UTF-8 becomes U+FFFD. */
static void put_text(struct sk_buffer *to, struct sk_span text) {
    json_t *valid = sk_json_of_text(text);
    put_bytes(to, sk_span(json_string_value(valid), json_string_length(valid)));
    json_decref(valid);
}

static void put_properties(struct sk_buffer *to, const struct sk_message *message) {
    if (message->property_count) put_long(to, (int64_t)message->property_count);
    for (size_t i = 0; i < message->property_count; i++) {
        put_text(to, message->properties[i].name);
        put_text(to, message->properties[i].value);
    }
    put_long(to, 0);
}

static void put_system(struct sk_buffer *to, const struct sk_message *message, const char *when) {
    struct sk_span value;
    int64_t count = 1;
    for (size_t i = 0; i < SYSTEM_NAMES; i++)
        count += sk_message_system(message, sk_span_z(system_names[i]), &value);
    put_long(to, count);
    for (size_t i = 0; i < SYSTEM_NAMES; i++) {
        if (!sk_message_system(message, sk_span_z(system_names[i]), &value)) continue;
        put_text(to, sk_span_z(system_names[i]));
        put_text(to, value);
    }
    put_text(to, SK_SPAN("enqueuedTime"));
    put_text(to, sk_span_z(when));
    put_long(to, 0);
}

static void put_record(struct sk_buffer *to, const struct sk_message *message) {
    char when[SK_TIME_TEXT];
    sk_time_text(message->enqueued_us, when);
    put_text(to, sk_span_z(when));
    put_properties(to, message);
    put_system(to, message, when);
    put_long(to, 1); /* of the union: bytes */
    put_bytes(to, message->body);
}

/* ---- both ---- */

void message_file_begin(struct message_file *file, enum message_file_encoding encoding,
                        const char sync[MESSAGE_FILE_SYNC], struct sk_buffer *to) {
    *file = (struct message_file){.encoding = encoding};
    memcpy(file->sync, sync, MESSAGE_FILE_SYNC);
    if (encoding == MESSAGE_FILE_JSON) return;
    sk_buffer_append(to, SK_SPAN("Obj\1"));
    put_long(to, 2);
    put_text(to, SK_SPAN("avro.codec"));
    put_text(to, encoding == MESSAGE_FILE_AVRO_DEFLATE ? SK_SPAN("deflate") : SK_SPAN("null"));
    put_text(to, SK_SPAN("avro.schema"));
    put_text(to, SK_SPAN(SCHEMA));
    put_long(to, 0);
    sk_buffer_append(to, sk_span(sync, MESSAGE_FILE_SYNC));
}

void message_file_add(struct message_file *file, const struct sk_message *message,
                      struct sk_buffer *to) {
    if (file->encoding == MESSAGE_FILE_JSON) {
        put_line(to, message);
        return;
    }
    put_record(&file->block, message);
    file->in_block++;
}

/* Its codec "deflate" is RFC 1951, without zlib's frame. */
static void deflate_block(struct sk_span block, struct sk_buffer *to) {
    z_stream z = {.next_in = (Bytef *)(uintptr_t)block.p, .avail_in = (uInt)block.n};
    int began =
        deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    SK_ASSERT(began == Z_OK);
    z.avail_out = (uInt)deflateBound(&z, (uLong)block.n);
    char *out = sk_realloc(NULL, z.avail_out);
    z.next_out = (Bytef *)out;
    int ended = deflate(&z, Z_FINISH);
    SK_ASSERT(ended == Z_STREAM_END);
    put_bytes(to, sk_span(out, z.total_out));
    deflateEnd(&z);
    free(out);
}

void message_file_end_block(struct message_file *file, struct sk_buffer *to) {
    if (file->in_block == 0) return;
    put_long(to, (int64_t)file->in_block);
    if (file->encoding == MESSAGE_FILE_AVRO_DEFLATE)
        deflate_block(sk_buffer_span(&file->block), to);
    else
        put_bytes(to, sk_buffer_span(&file->block));
    sk_buffer_append(to, sk_span(file->sync, MESSAGE_FILE_SYNC));
    sk_buffer_shrink(&file->block, 0);
    file->in_block = 0;
}

void message_file_free(struct message_file *file) {
    sk_buffer_free(&file->block);
    *file = (struct message_file){0};
}

/* ---- names ---- */

static const char *const tokens[] = {"{iothub}", "{partition}", "{YYYY}", "{MM}",
                                     "{DD}",     "{HH}",        "{mm}"};
enum { TOKENS = sizeof tokens / sizeof *tokens };

bool message_file_name_fine(struct sk_span format) {
    SK_CLEANUP_FREE char *text = sk_span_dup(format);
    for (size_t i = 0; i < TOKENS; i++)
        if (strstr(text, tokens[i]) == NULL) return false;
    return text[0] != '/' && strstr(text, "..") == NULL;
}

void message_file_name(const char *format, const char *hub, unsigned partition, int64_t wall_us,
                       struct sk_buffer *to) {
    char when[SK_TIME_TEXT], number[12];
    sk_time_text(wall_us, when); /* 2026-11-28T22:13:31.… */
    snprintf(number, sizeof number, "%u", partition);
    const struct sk_span values[TOKENS] = {
        sk_span_z(hub),       sk_span_z(number),     sk_span(when, 4),     sk_span(when + 5, 2),
        sk_span(when + 8, 2), sk_span(when + 11, 2), sk_span(when + 14, 2)};
    for (const char *at = format; *at;) {
        size_t i = 0;
        while (i < TOKENS && strncmp(at, tokens[i], strlen(tokens[i])) != 0) i++;
        sk_buffer_append(to, i < TOKENS ? values[i] : sk_span(at, 1));
        at += i < TOKENS ? strlen(tokens[i]) : 1;
    }
}
