/* What is typed, and how answers look. */
#include "cli/cli.h"
#include "support/test.h"

#define NOW 1800000000000000 /* 2027-01-15T08:00:00Z */

static const struct sk_command *found(const char *first, const char *second, size_t *used) {
    const char *const arguments[] = {first, second, NULL};
    return sk_command_find(&cli_program, arguments, used);
}

TEST(commands_have_one_word_or_two) {
    size_t used;
    assert_string_equal(found("device", "add", &used)->name, "device add");
    assert_int_equal(used, 2);
    assert_string_equal(found("query", "SELECT", &used)->name, "query");
    assert_int_equal(used, 1);
    assert_null(found("device", "lst", &used));
    assert_null(found("device", NULL, &used));
    assert_null(found("frobnicate", NULL, &used));
}

TEST(no_row_is_there_twice_and_each_says_what_it_does) {
    for (const struct sk_command *c = cli_program.commands; c->name; c++) {
        assert_true(c->does[0] >= 'A' && c->does[0] <= 'Z');
        assert_non_null(c->run);
        for (const struct sk_command *other = cli_program.commands; other != c; other++)
            assert_string_not_equal(c->name, other->name);
        for (const struct sk_option_row *row = c->options; row && row->name; row++)
            for (const struct sk_option_row *own = cli_program.everywhere; own->name; own++)
                assert_string_not_equal(row->name, own->name);
    }
}

/* Reads what is typed behind "device add" or another command, split at blanks. */
static bool reads(const char *command, const char *typed, struct cli *cli) {
    static char text[400];
    char *arguments[40] = {0}, *rest = text;
    size_t n = 0, used;
    struct sk_span name = sk_span_z(command), first, second = SK_NONE;
    sk_span_split(&name, ' ', &first);
    sk_span_split(&name, ' ', &second);
    SK_CLEANUP_FREE char *a = sk_span_dup(first);
    SK_CLEANUP_FREE char *b = sk_span_dup(second);
    snprintf(text, sizeof text, "%s", typed);
    for (char *word; (word = strsep(&rest, " ")) != NULL;)
        if (*word) arguments[n++] = word;
    *cli = (struct cli){
        .typed = {.program = &cli_program, .command = found(a, second.n ? b : NULL, &used)}};
    return sk_typed_read(&cli->typed, arguments);
}

TEST(options_stand_anywhere_and_take_their_value_either_way) {
    struct cli cli;
    assert_true(reads("device add", "--parent=edge1 d1 --edge --output json", &cli));
    assert_string_equal(cli.typed.words[0], "d1");
    assert_string_equal(sk_typed_option(&cli.typed, "parent"), "edge1");
    assert_string_equal(sk_typed_option(&cli.typed, "edge"), "");
    assert_string_equal(sk_typed_option(&cli.typed, "output"), "json");
    assert_null(sk_typed_option(&cli.typed, "auth"));
    assert_true(reads("message send", "d1 hello --property a=b --property c=d", &cli));
    assert_int_equal(cli.typed.option_count, 2);
    assert_true(reads("message send", "--ack full -- d1 --hello", &cli));
    assert_string_equal(cli.typed.words[1], "--hello");
}

TEST(what_a_command_does_not_take_is_refused) {
    static const struct {
        const char *command, *typed;
    } refused[] = {{"device add", ""},
                   {"device add", "d1 d2"},
                   {"device add", "d1 --parnet edge1"},
                   {"device add", "d1 --parent"},
                   {"device add", "d1 --edge=yes"},
                   {"device add", "d1 --auth none"},
                   {"device add", "d1 --output yaml"},
                   {"device add", "d1 --parent a --parent b"},
                   {"device list", "--edge"},
                   {"module add", "d1"},
                   {"completion", ""}};
    struct cli cli;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (reads(refused[i].command, refused[i].typed, &cli))
            fail_msg("%s %s is taken", refused[i].command, refused[i].typed);
    assert_true(reads("events watch", "--from 2027-01-01", &cli)); /* capitals are no choice */
}

TEST(a_word_that_is_near_is_offered) {
    size_t used;
    const struct sk_typed add = {.program = &cli_program, .command = found("device", "add", &used)};
    assert_true(sk_span_is(sk_option_near(&add, "parnet"), "parent"));
    assert_true(sk_span_is(sk_option_near(&add, "outptu"), "output"));
    assert_int_equal(sk_option_near(&add, "frobnicate").n, 0);
}

TEST(numbers_keep_to_their_limits) {
    static const struct {
        const char *typed;
        bool fine;
    } cases[] = {{"d m", true},
                 {"d m --timeout 5", true},
                 {"d m --timeout 300", true},
                 {"d m --timeout 4", false},
                 {"d m --timeout 301", false},
                 {"d m --timeout x", false},
                 {"d m --timeout=", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cli cli;
        int64_t seconds = 30;
        assert_true(reads("method call", cases[i].typed, &cli));
        assert_int_equal(sk_typed_number(&cli.typed, "timeout", 5, 300, &seconds), cases[i].fine);
    }
}

static void looks(const char *name, const char *value, bool with_time, const char *wanted) {
    json_t *json = json_string(value);
    SK_CLEANUP_FREE char *text = cli_text(name, json, NOW, with_time);
    assert_string_equal(text, wanted);
    json_decref(json);
}

TEST(times_are_ages_and_the_year_one_is_never) {
    looks("lastActivityTime", "0001-01-01T00:00:00", false, "never");
    looks("lastActivityTime", "0001-01-01T00:00:00.0000000Z", true, "never");
    looks("lastActivityTime", "2027-01-15T08:00:00Z", false, "0 s ago");
    looks("lastActivityTime", "2027-01-15T07:58:01Z", false, "119 s ago");
    looks("lastActivityTime", "2027-01-15T07:58:00Z", false, "2 min ago");
    looks("$metadata.$lastUpdated", "2027-01-15T06:00:00Z", false, "2 h ago");
    looks("enqueuedTimeUtc", "2027-01-13T08:00:00Z", false, "2 d ago");
    looks("properties.expiry", "2027-01-25T08:00:00Z", false, "in 10 d");
    looks("lastActivityTime", "2027-01-15T07:58:00Z", true, "2027-01-15T07:58:00Z (2 min ago)");
    looks("lastActivityTime", "soon", false, "soon");
    looks("deviceId", "2027-01-15T07:58:00Z", false, "2027-01-15T07:58:00Z");
}

TEST(the_widest_columns_make_room) {
    int widths[] = {10, 60, 12};
    cli_fit(widths, 3, 200);
    assert_int_equal(widths[1], 60);
    cli_fit(widths, 3, 60);
    assert_int_equal(widths[0] + widths[1] + widths[2], 56);
    assert_int_equal(widths[0], 10);
    assert_int_equal(widths[1], 34);
    cli_fit(widths, 3, 5); /* none goes below a few characters */
    assert_int_equal(widths[0], 8);
    assert_int_equal(widths[1], 8);
}
