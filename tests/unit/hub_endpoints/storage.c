/* Files of messages: their bytes and their names. */
#include "hub/endpoints/storage.h"
#include "support/test.h"

static const char sync[STORAGE_SYNC] = "0123456789abcde";

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
    storage_begin(&storage, false, sync, &text);
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
    storage_begin(&storage, true, sync, &bytes);
    size_t header = bytes.n;
    assert_memory_equal(bytes.p, "Obj\1", 4);
    assert_memory_equal(bytes.p + header - STORAGE_SYNC, sync, STORAGE_SYNC);
    storage_end_block(&storage, &bytes);
    assert_int_equal(bytes.n, header); /* an empty block is none */
    storage_add(&storage, &message, &bytes);
    storage_add(&storage, &message, &bytes);
    storage_end_block(&storage, &bytes);
    assert_int_equal(bytes.p[header], 4); /* two records, zigzag */
    assert_memory_equal(bytes.p + bytes.n - STORAGE_SYNC, sync, STORAGE_SYNC);
    sk_buffer_free(&bytes);
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
