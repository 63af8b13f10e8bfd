/* Any messages, written as Avro in both codecs with blocks that end anywhere, read back by a reader
 * that knows nothing of the writer: what comes out is what went in. */
#include <stdlib.h>
#include <zlib.h>

#include "hub/endpoints/message_file.h"
#include "model/json_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MESSAGES_MAX = 64, PROPERTIES_MAX = 8, INFLATED_MAX = 1 << 20 };

static void must(bool holds) {
    if (!holds) abort();
}

/* ---- messages out of bytes ---- */

static uint8_t take_byte(struct sk_span *in) {
    if (in->n == 0) return 0;
    uint8_t byte = (uint8_t)in->p[0];
    *in = sk_span_skip(*in, 1);
    return byte;
}

static struct sk_span take_text(struct sk_span *in) {
    struct sk_span text = sk_span_first(*in, take_byte(in));
    text = sk_span_first(*in, text.n);
    *in = sk_span_skip(*in, text.n);
    return text;
}

struct made {
    struct sk_message message;
    struct sk_property properties[PROPERTIES_MAX];
};

static void make(struct made *made, struct sk_span *in) {
    static const enum sk_system_property some[] = {SK_SYS_MESSAGE_ID, SK_SYS_CONTENT_TYPE,
                                                   SK_SYS_SCHEMA, SK_SYS_AUTH_METHOD};
    uint8_t kinds = take_byte(in);
    struct sk_message *message = &made->message;
    *message = (struct sk_message){.device = take_text(in), .properties = made->properties};
    for (size_t i = 0; i < 4; i++)
        if (kinds & (1u << i)) message->system[some[i]] = take_text(in);
    if (kinds & 16) message->module = take_text(in);
    message->property_count = take_byte(in) % (PROPERTIES_MAX + 1);
    for (size_t i = 0; i < message->property_count; i++) {
        made->properties[i].name = take_text(in);
        made->properties[i].value = take_text(in);
    }
    message->body = take_text(in);
    message->enqueued_us = (int64_t)take_byte(in) * 86400000123ll;
}

/* ---- an Avro reader (1.11.1), which aborts where the file is none ---- */

static int64_t read_long(struct sk_span *in) {
    uint64_t n = 0;
    for (unsigned shift = 0;; shift += 7) {
        must(in->n > 0 && shift < 64);
        uint8_t byte = take_byte(in);
        n |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return (int64_t)(n >> 1) ^ -(int64_t)(n & 1);
    }
}

static struct sk_span read_bytes(struct sk_span *in) {
    int64_t n = read_long(in);
    must(n >= 0 && (uint64_t)n <= in->n);
    struct sk_span bytes = sk_span_first(*in, (size_t)n);
    *in = sk_span_skip(*in, (size_t)n);
    return bytes;
}

/* A text of UTF-8, which is what this one became. */
static void read_text(struct sk_span *in, struct sk_span wanted) {
    struct sk_span text = read_bytes(in);
    json_t *valid = json_stringn(text.p ? text.p : "", text.n), *same = sk_json_of_text(wanted);
    must(valid && json_equal(valid, same));
    json_decref(valid);
    json_decref(same);
}

static void read_record(struct sk_span *in, const struct sk_message *message) {
    char when[SK_TIME_TEXT];
    bool time_was_there = false;
    sk_time_text(message->enqueued_us, when);
    read_text(in, sk_span_z(when));
    for (size_t i = 0; i < message->property_count;) {
        int64_t count = read_long(in);
        must(count > 0);
        for (; count; count--, i++) {
            must(i < message->property_count);
            read_text(in, message->properties[i].name);
            read_text(in, message->properties[i].value);
        }
    }
    must(read_long(in) == 0);
    for (int64_t count; (count = read_long(in)) != 0;) {
        must(count > 0);
        for (; count; count--) {
            struct sk_span name = read_bytes(in), value;
            bool is_time = sk_span_is(name, "enqueuedTime");
            time_was_there = time_was_there || is_time;
            if (is_time)
                value = sk_span_z(when);
            else
                must(sk_message_system(message, name, &value));
            read_text(in, value);
        }
    }
    must(time_was_there && read_long(in) == 1);
    must(sk_span_eq(read_bytes(in), message->body));
}

/* The codec's name; the marker between blocks goes to `sync`. */
static bool read_header(struct sk_span *in, struct sk_span *sync) {
    bool deflated = false, schema = false;
    must(sk_span_starts(*in, SK_SPAN("Obj\1")));
    *in = sk_span_skip(*in, 4);
    for (int64_t count; (count = read_long(in)) != 0;)
        for (; count > 0; count--) {
            struct sk_span name = read_bytes(in), value = read_bytes(in);
            if (sk_span_is(name, "avro.codec")) {
                deflated = sk_span_is(value, "deflate");
                must(deflated || sk_span_is(value, "null"));
            } else if (sk_span_is(name, "avro.schema")) {
                json_t *json = json_loadb(value.p, value.n, 0, NULL);
                must(json != NULL);
                json_decref(json);
                schema = true;
            }
        }
    must(schema && in->n >= MESSAGE_FILE_SYNC);
    *sync = sk_span_first(*in, MESSAGE_FILE_SYNC);
    *in = sk_span_skip(*in, MESSAGE_FILE_SYNC);
    return deflated;
}

static struct sk_span inflated(struct sk_span block, char *to) {
    z_stream z = {.next_in = (Bytef *)(uintptr_t)block.p,
                  .avail_in = (uInt)block.n,
                  .next_out = (Bytef *)to,
                  .avail_out = INFLATED_MAX};
    must(inflateInit2(&z, -MAX_WBITS) == Z_OK);
    must(inflate(&z, Z_FINISH) == Z_STREAM_END && z.avail_in == 0);
    inflateEnd(&z);
    return sk_span(to, z.total_out);
}

static void read_file(struct sk_span in, const struct made *made, size_t count) {
    static char out[INFLATED_MAX];
    struct sk_span sync;
    size_t next = 0;
    bool deflated = read_header(&in, &sync);
    while (in.n) {
        int64_t records = read_long(&in);
        struct sk_span block = read_bytes(&in);
        if (deflated) block = inflated(block, out);
        must(records > 0);
        for (; records; records--) {
            must(next < count);
            read_record(&block, &made[next++].message);
        }
        must(block.n == 0 && sk_span_starts(in, sync));
        in = sk_span_skip(in, MESSAGE_FILE_SYNC);
    }
    must(next == count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct made made[MESSAGES_MAX];
    struct sk_span in = sk_span(data, size);
    struct sk_buffer file = {0};
    struct message_file written;
    size_t count = 0;
    uint8_t codec = take_byte(&in);
    char sync[MESSAGE_FILE_SYNC];
    memset(sync, codec, sizeof sync);
    message_file_begin(&written, codec & 1 ? MESSAGE_FILE_AVRO_DEFLATE : MESSAGE_FILE_AVRO, sync,
                       &file);
    while (in.n && count < MESSAGES_MAX) {
        make(&made[count], &in);
        message_file_add(&written, &made[count++].message, &file);
        if (take_byte(&in) & 1) message_file_end_block(&written, &file);
    }
    message_file_end_block(&written, &file);
    read_file(sk_buffer_span(&file), made, count);
    message_file_free(&written);
    sk_buffer_free(&file);
    return 0;
}
