#include "edge/agent/engine/lines.h"

#include <stdio.h>

#include "support/test.h"

static struct sk_buffer seen;

static void take(void *arg, enum sk_log_stream stream, struct sk_span line) {
    (void)arg;
    sk_buffer_print(&seen, "%c%.*s|", stream == SK_LOG_STDERR ? 'e' : 'o', SK_ARG(line));
}

/* What a log gives, fed in parts of every size. */
static void expect_lines(const char *bytes, size_t n, const char *wanted) {
    for (size_t part = 1; part <= n; part++) {
        struct sk_log_frames frames = {0};
        seen.n = 0;
        for (size_t at = 0; at < n; at += part)
            assert_int_equal(sk_log_frames_feed(&frames,
                                                sk_span(bytes + at, n - at < part ? n - at : part),
                                                take, NULL),
                             SK_OK);
        sk_log_frames_end(&frames, take, NULL);
        if (!sk_span_is(sk_buffer_span(&seen), wanted))
            fail_msg("parts of %zu: %.*s", part, SK_ARG(sk_buffer_span(&seen)));
    }
    sk_buffer_free(&seen);
}

#define FRAMES(literal) literal, sizeof literal - 1

TEST(frames_are_taken_apart_whatever_their_parts) {
    expect_lines(FRAMES("\1\0\0\0\0\0\0\3ab\n\2\0\0\0\0\0\0\2c\n\1\0\0\0\0\0\0\1d"), "oab|ec|od|");
    expect_lines(FRAMES("\1\0\0\0\0\0\0\1a\1\0\0\0\0\0\0\2b\n"), "oab|");
    expect_lines(FRAMES("\1\0\0\0\0\0\0\1a\2\0\0\0\0\0\0\2b\n"), "oa|eb|");
    expect_lines(FRAMES("\1\0\0\0\0\0\0\4x\r\n\n"), "ox|o|");
    expect_lines(FRAMES("\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\1\n"), "o|");
}

TEST(what_is_no_frame_is_no_log) {
    struct sk_log_frames frames = {0};
    assert_int_equal(sk_log_frames_feed(&frames, SK_SPAN("hello"), take, NULL), SK_MALFORMED);
    frames = (struct sk_log_frames){0};
    assert_int_equal(sk_log_frames_feed(&frames, SK_SPAN("\1\1"), take, NULL), SK_MALFORMED);
    frames = (struct sk_log_frames){.bare = true};
    seen.n = 0;
    assert_int_equal(sk_log_frames_feed(&frames, SK_SPAN("hello\nyou"), take, NULL), SK_OK);
    sk_log_frames_end(&frames, take, NULL);
    assert_true(sk_span_is(sk_buffer_span(&seen), "ohello|oyou|"));
    sk_buffer_free(&seen);
}

TEST(a_line_without_end_is_cut_at_its_limit) {
    char text[4096];
    struct sk_log_frames frames = {.bare = true};
    memset(text, 'x', sizeof text);
    seen.n = 0;
    for (int i = 0; i < 100; i++)
        sk_log_frames_feed(&frames, sk_span(text, sizeof text), take, NULL);
    assert_int_equal(frames.line.n, SK_ENGINE_LINE_MAX);
    sk_log_frames_feed(&frames, SK_SPAN("\n"), take, NULL);
    assert_int_equal(seen.n, SK_ENGINE_LINE_MAX + 2);
    sk_log_frames_end(&frames, take, NULL);
    sk_buffer_free(&seen);
}

static bool take_json(void *arg, const json_t *json) {
    sk_buffer_print(&seen, "%lld|", (long long)json_integer_value(json_object_get(json, "n")));
    return json_integer_value(json_object_get(json, "n")) != *(int *)arg;
}

TEST(documents_of_a_line_are_read_and_nonsense_is_left_out) {
    struct sk_json_lines lines = {0};
    int never = -1, two = 2;
    seen.n = 0;
    sk_json_lines_feed(&lines, SK_SPAN("{\"n\":1}\r\n\n{nonsense\n[2]\n{\"n\""), take_json, &never);
    sk_json_lines_feed(&lines, SK_SPAN(":3}\n"), take_json, &never);
    assert_true(sk_span_is(sk_buffer_span(&seen), "1|3|"));
    seen.n = 0;
    sk_json_lines_feed(&lines, SK_SPAN("{\"n\":2}\n{\"n\":4}\n"), take_json, &two);
    assert_true(sk_span_is(sk_buffer_span(&seen), "2|"));
    sk_json_lines_free(&lines);
    sk_buffer_free(&seen);
}

TEST(a_document_that_is_too_long_is_dropped_and_the_next_one_read) {
    struct sk_json_lines lines = {0};
    char text[4096];
    int never = -1;
    memset(text, ' ', sizeof text);
    seen.n = 0;
    for (int i = 0; i < 17; i++)
        sk_json_lines_feed(&lines, sk_span(text, sizeof text), take_json, &never);
    assert_true(lines.line.n <= SK_ENGINE_LINE_MAX);
    sk_json_lines_feed(&lines, SK_SPAN("{\"n\":1}\n{\"n\":2}\n"), take_json, &never);
    assert_true(sk_span_is(sk_buffer_span(&seen), "2|"));
    sk_json_lines_free(&lines);
    sk_buffer_free(&seen);
}
