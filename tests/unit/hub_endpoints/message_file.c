/* Files of messages: their bytes and their names. */
#include "hub/endpoints/message_file.h"
#include <zlib.h>

#include "support/test.h"

static const char marker[MESSAGE_FILE_SYNC] = "0123456789abcde";

static struct sk_message message_of(const char *type, struct sk_span body) {
    struct sk_message message = {.device = SK_SPAN("d1"), .body = body, .enqueued_us = 0};
    message.system[SK_SYS_CONTENT_TYPE] = sk_span_z(type);
    message.system[SK_SYS_CONTENT_ENCODING] = SK_SPAN("UTF-8");
    return message;
}

static void expect_line(const char *type, struct sk_span body, const char *expected) {
    struct message_file file;
    struct sk_buffer text = {0};
    struct sk_message message = message_of(type, body);
    message_file_begin(&file, MESSAGE_FILE_JSON, marker, &text);
    message_file_add(&file, &message, &text);
    message_file_end_block(&file, &text);
    sk_buffer_byte(&text, 0);
    if (strstr(text.p, expected) == NULL) fail_msg("no %s in %s", expected, text.p);
    sk_buffer_free(&text);
}

TEST(a_line_has_json_where_the_message_says_so_and_base64_else) {
    expect_line("application/json", SK_SPAN("{\"t\":1}"), "\"Body\":{\"t\":1}}\n");
    expect_line("application/json;charset=utf-8", SK_SPAN("[1]"), "\"Body\":[1]}\n");
    expect_line("application/json", SK_SPAN("{\"t\":"), "\"Body\":\"eyJ0Ijo=\"}\n");
    expect_line("text/plain", SK_SPAN("{\"t\":1}"), "\"Body\":\"eyJ0IjoxfQ==\"}\n");
    expect_line("text/plain", SK_NONE, "\"Body\":\"\"}\n");
}

TEST(an_avro_file_is_header_and_blocks_that_end_with_its_sync) {
    struct message_file file;
    struct sk_buffer bytes = {0};
    struct sk_message message = message_of("text/plain", SK_SPAN("\xff\x00x"));
    message_file_begin(&file, MESSAGE_FILE_AVRO, marker, &bytes);
    size_t header = bytes.n;
    assert_memory_equal(bytes.p, "Obj\1", 4);
    assert_memory_equal(bytes.p + header - MESSAGE_FILE_SYNC, marker, MESSAGE_FILE_SYNC);
    message_file_end_block(&file, &bytes);
    assert_int_equal(bytes.n, header); /* an empty block is none */
    message_file_add(&file, &message, &bytes);
    message_file_add(&file, &message, &bytes);
    message_file_end_block(&file, &bytes);
    assert_int_equal(bytes.p[header], 4); /* two records, zigzag */
    assert_memory_equal(bytes.p + bytes.n - MESSAGE_FILE_SYNC, marker, MESSAGE_FILE_SYNC);
    sk_buffer_free(&bytes);
}

/* Its one block, whose length fits two bytes: "2 length bytes sync". */
static struct sk_span block_of(enum message_file_encoding encoding, struct sk_buffer *to) {
    struct message_file file;
    char body[1000];
    memset(body, 'x', sizeof body);
    struct sk_message message = message_of("text/plain", sk_span(body, sizeof body));
    message_file_begin(&file, encoding, marker, to);
    size_t header = to->n;
    message_file_add(&file, &message, to);
    message_file_end_block(&file, to);
    message_file_free(&file);
    assert_int_equal(to->p[header], 2);
    assert_true(to->p[header + 1] & 0x80);
    return sk_span(to->p + header + 3, to->n - header - 3 - MESSAGE_FILE_SYNC);
}

TEST(a_deflated_block_is_the_plain_one_without_zlibs_frame) {
    struct sk_buffer plain_file = {0}, deflated_file = {0};
    struct sk_span plain = block_of(MESSAGE_FILE_AVRO, &plain_file);
    struct sk_span deflated = block_of(MESSAGE_FILE_AVRO_DEFLATE, &deflated_file);
    char again[2000];
    z_stream z = {.next_in = (Bytef *)(uintptr_t)deflated.p,
                  .avail_in = (uInt)deflated.n,
                  .next_out = (Bytef *)again,
                  .avail_out = sizeof again};
    assert_int_equal(inflateInit2(&z, -MAX_WBITS), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.avail_in, 0);
    assert_true(sk_span_eq(sk_span(again, z.total_out), plain));
    assert_true(deflated.n < plain.n / 2);
    inflateEnd(&z);
    sk_buffer_free(&plain_file);
    sk_buffer_free(&deflated_file);
}

TEST(a_name_has_all_tokens_in_any_order_and_leads_nowhere_else) {
    assert_true(message_file_name_fine(SK_SPAN(MESSAGE_FILE_NAME)));
    assert_true(
        message_file_name_fine(SK_SPAN("{mm}-{HH}-{DD}-{MM}-{YYYY}/{partition}/x{iothub}")));
    assert_false(message_file_name_fine(SK_SPAN("{iothub}/{partition}/{YYYY}/{MM}/{DD}/{HH}")));
    assert_false(message_file_name_fine(SK_SPAN("/" MESSAGE_FILE_NAME)));
    assert_false(message_file_name_fine(SK_SPAN("../" MESSAGE_FILE_NAME)));
    struct sk_buffer name = {0};
    message_file_name("a-" MESSAGE_FILE_NAME, "hub", 31, 1764368011000000, &name);
    assert_true(sk_span_is(sk_buffer_span(&name), "a-hub/31/2025/11/28/22/13"));
    sk_buffer_free(&name);
}
