/* Files of messages: their bytes and their names. */
#include "hub/endpoints/storage.h"
#include <zlib.h>

#include "support/test.h"

static const char marker[STORAGE_SYNC] = "0123456789abcde";

static struct sk_message message_of(const char *type, struct sk_span body) {
    struct sk_message message = {.device = SK_SPAN("d1"), .body = body, .enqueued_us = 0};
    message.system[SK_SYS_CONTENT_TYPE] = sk_span_z(type);
    message.system[SK_SYS_CONTENT_ENCODING] = SK_SPAN("UTF-8");
    return message;
}

static void expect_line(const char *type, struct sk_span body, const char *expected) {
    struct storage storage;
    struct sk_buffer text = {0};
    struct sk_message message = message_of(type, body);
    storage_begin(&storage, STORAGE_JSON, marker, &text);
    storage_add(&storage, &message, &text);
    storage_end_block(&storage, &text);
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
    struct storage storage;
    struct sk_buffer bytes = {0};
    struct sk_message message = message_of("text/plain", SK_SPAN("\xff\x00x"));
    storage_begin(&storage, STORAGE_AVRO, marker, &bytes);
    size_t header = bytes.n;
    assert_memory_equal(bytes.p, "Obj\1", 4);
    assert_memory_equal(bytes.p + header - STORAGE_SYNC, marker, STORAGE_SYNC);
    storage_end_block(&storage, &bytes);
    assert_int_equal(bytes.n, header); /* an empty block is none */
    storage_add(&storage, &message, &bytes);
    storage_add(&storage, &message, &bytes);
    storage_end_block(&storage, &bytes);
    assert_int_equal(bytes.p[header], 4); /* two records, zigzag */
    assert_memory_equal(bytes.p + bytes.n - STORAGE_SYNC, marker, STORAGE_SYNC);
    sk_buffer_free(&bytes);
}

/* Its one block, whose length fits two bytes: "2 length bytes sync". */
static struct sk_span block_of(enum storage_encoding encoding, struct sk_buffer *to) {
    struct storage storage;
    char body[1000];
    memset(body, 'x', sizeof body);
    struct sk_message message = message_of("text/plain", sk_span(body, sizeof body));
    storage_begin(&storage, encoding, marker, to);
    size_t header = to->n;
    storage_add(&storage, &message, to);
    storage_end_block(&storage, to);
    storage_free(&storage);
    assert_int_equal(to->p[header], 2);
    assert_true(to->p[header + 1] & 0x80);
    return sk_span(to->p + header + 3, to->n - header - 3 - STORAGE_SYNC);
}

TEST(a_deflated_block_is_the_plain_one_without_zlibs_frame) {
    struct sk_buffer plain_file = {0}, deflated_file = {0};
    struct sk_span plain = block_of(STORAGE_AVRO, &plain_file);
    struct sk_span deflated = block_of(STORAGE_AVRO_DEFLATE, &deflated_file);
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
    assert_true(storage_name_fine(SK_SPAN(STORAGE_NAME)));
    assert_true(storage_name_fine(SK_SPAN("{mm}-{HH}-{DD}-{MM}-{YYYY}/{partition}/x{iothub}")));
    assert_false(storage_name_fine(SK_SPAN("{iothub}/{partition}/{YYYY}/{MM}/{DD}/{HH}")));
    assert_false(storage_name_fine(SK_SPAN("/" STORAGE_NAME)));
    assert_false(storage_name_fine(SK_SPAN("../" STORAGE_NAME)));
    struct sk_buffer name = {0};
    storage_name("a-" STORAGE_NAME, "hub", 31, 1764368011000000, &name);
    assert_true(sk_span_is(sk_buffer_span(&name), "a-hub/31/2025/11/28/22/13"));
    sk_buffer_free(&name);
}
