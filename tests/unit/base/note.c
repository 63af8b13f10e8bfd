/* Log lines. */
#include <stdio.h>
#include <unistd.h>

#include "base/base.h"
#include "support/test.h"

/* What one call writes to stderr. */
static void note_writes(const char *text, char line[512]) {
    int ends[2], kept = dup(2);
    assert_int_equal(pipe(ends), 0);
    fflush(stderr);
    dup2(ends[1], 2);
    SK_ERROR("test", "%s", text);
    fflush(stderr);
    dup2(kept, 2);
    close(kept);
    close(ends[1]);
    ssize_t n = read(ends[0], line, 511);
    close(ends[0]);
    line[n < 0 ? 0 : n] = 0;
}

TEST(what_a_client_calls_itself_stays_in_its_line) {
    static const struct {
        const char *text, *written;
    } cases[] = {
        {"d1\n2026-11-28 info  hub: forged", "d1\\x0a2026-11-28 info  hub: forged"},
        {"d1\r\x1b[2Jcleared", "d1\\x0d\\x1b[2Jcleared"},
        {"\x7f\x01\t", "\\x7f\\x01\\x09"},
        {"\xc2\x9b"
         "31m",
         "\\xc2\\x9b31m"}, /* CSI as one character */
        {"\x9b"
         "31m",
         "\\x9b31m"}, /* and as one byte */
        {"Ger\xc3\xa4t \xe2\x82\xac \xe6\x97\xa5", "Ger\xc3\xa4t \xe2\x82\xac \xe6\x97\xa5"},
        {"plain \\ text", "plain \\ text"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[512], expected[600];
        note_writes(cases[i].text, line);
        snprintf(expected, sizeof expected, " error test: %s\n", cases[i].written);
        assert_string_equal(line, expected);
    }
}

TEST(as_json_too) {
    char line[512];
    sk_note_json(true);
    note_writes("a\nb\x1b\"", line);
    sk_note_json(false);
    assert_non_null(strstr(line, "\"text\":\"a\\nb\\u001b\\\"\"}"));
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}
