/* What is typed to a program that serves. */
#include "command/command.h"
#include "support/test.h"

static int run(void *program) {
    (void)program;
    return 7;
}

static const struct sk_option_row make_options[] = {
    {"host", "HOST", "a host", true}, {"size", "BYTES", "how large", false}, {0}};
static const struct sk_command commands[] = {
    {"make", "DIR", make_options, "Makes it.", "there", run, true},
    {"serve", "", NULL, "Serves.", "", run, false},
    {0}};
static const struct sk_program program = {.name = "program",
                                          .title = "a program",
                                          .example = "program serve",
                                          .commands = commands,
                                          .everywhere = sk_service_options};

/* Reads what is typed behind the program's name, split at blanks. */
static int reads(const char *line, struct sk_typed *typed) {
    static char text[400];
    char name[] = "program", *arguments[40] = {name}, *rest = text;
    size_t n = 1;
    snprintf(text, sizeof text, "%s", line);
    for (char *word; (word = strsep(&rest, " ")) != NULL;)
        if (*word) arguments[n++] = word;
    return sk_command_read(&program, arguments, typed);
}

TEST(a_command_with_its_words_and_options_is_read) {
    struct sk_typed typed;
    const char *hosts[2];
    assert_true(reads("make there --host a --host=b --config c.toml --host c", &typed) < 0);
    assert_string_equal(typed.command->name, "make");
    assert_string_equal(typed.words[0], "there");
    assert_string_equal(sk_typed_option(&typed, "config"), "c.toml");
    assert_null(sk_typed_option(&typed, "size"));
    assert_int_equal(sk_typed_all(&typed, "host", hosts, 2), 3);
    assert_string_equal(hosts[1], "b");
    assert_int_equal(typed.command->run(NULL), 7);
}

TEST(help_and_the_version_are_fine_and_what_nobody_knows_is_not) {
    static const struct {
        const char *line;
        int code;
    } cases[] = {{"", SK_EXIT_USAGE},
                 {"--help", SK_EXIT_FINE},
                 {"help", SK_EXIT_FINE},
                 {"--version", SK_EXIT_FINE},
                 {"make --help", SK_EXIT_FINE},
                 {"mke there", SK_EXIT_USAGE},
                 {"serve there", SK_EXIT_USAGE},
                 {"serve --confg x", SK_EXIT_USAGE},
                 {"serve --config", SK_EXIT_USAGE},
                 {"serve --log-level loud", SK_EXIT_USAGE},
                 {"serve --host a", SK_EXIT_USAGE}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sk_typed typed;
        int code = reads(cases[i].line, &typed);
        if (code != cases[i].code) fail_msg("%s: %d", cases[i].line, code);
    }
}

TEST(an_option_that_is_near_is_offered) {
    struct sk_typed typed;
    assert_true(reads("serve", &typed) < 0);
    assert_true(sk_span_is(sk_option_near(&typed, "cofig"), "config"));
    assert_true(sk_span_is(sk_option_near(&typed, "log-levle"), "log-level"));
    assert_int_equal(sk_option_near(&typed, "hots").n, 0); /* another command's */
}
