/* What was typed behind a command: its words and options, and what is wrong with them. */
#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "cli/cli.h"

const struct cli_option_row cli_everywhere[] = {
    {"output", "table|json|jsonl|tsv", "how answers are printed: a table", false},
    {"wide", NULL, "tables show long values whole", false},
    {"login", "CONNECTION_STRING", "a policy's; else SKERRY_CONNECTION_STRING, else the profile's",
     false},
    {"profile", "NAME", "which login is kept or used: default", false},
    {"ca", "FILE", "certificates that vouch for the hub; else SKERRY_CA_FILE", false},
    {"help", NULL, "what a command takes", false},
    {0}};

/* ---- what is said about it ---- */

int cli_fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("skerry: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return CLI_REFUSED;
}

/* "[--parent EDGE]" */
static void put_option(FILE *to, const struct cli_option_row *row) {
    fprintf(to, " [--%s%s%s]%s", row->name, row->value ? " " : "", row->value ? row->value : "",
            row->many ? "…" : "");
}

void cli_usage_line(FILE *to, const struct cli_command *c) {
    fprintf(to, "skerry %s%s%s", c->name, *c->words ? " " : "", c->words);
    for (const struct cli_option_row *row = c->options; row && row->name; row++)
        put_option(to, row);
    fputc('\n', to);
}

int cli_usage(const struct cli *cli, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("skerry: ", stderr);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs("\nusage: ", stderr);
    cli_usage_line(stderr, cli->command);
    fprintf(stderr, "(skerry %s --help tells more)\n", cli->command->name);
    return CLI_USAGE;
}

/* ---- options ---- */

static const struct cli_option_row *in_rows(const struct cli_option_row *row, const char *name) {
    for (; row && row->name; row++)
        if (strcmp(row->name, name) == 0) return row;
    return NULL;
}

const struct cli_option_row *cli_option_find(const struct cli_command *command, const char *name) {
    const struct cli_option_row *row = in_rows(command->options, name);
    return row ? row : in_rows(cli_everywhere, name);
}

struct sk_span cli_option_near(const struct cli_command *command, const char *name) {
    const struct cli_option_row *const all[] = {command->options, cli_everywhere};
    struct sk_nearest near = {0};
    for (size_t i = 0; i < 2; i++)
        for (const struct cli_option_row *row = all[i]; row && row->name; row++)
            sk_nearest_try(&near, sk_span_z(name), sk_span_z(row->name));
    return near.word;
}

const char *cli_option(const struct cli *cli, const char *name) {
    for (size_t i = 0; i < cli->option_count; i++)
        if (strcmp(cli->options[i].name, name) == 0)
            return cli->options[i].value ? cli->options[i].value : "";
    return NULL;
}

bool cli_number(const struct cli *cli, const char *name, int64_t least, int64_t most,
                int64_t *value) {
    const char *text = cli_option(cli, name);
    int64_t number;
    if (text == NULL) return true;
    if (sk_span_to_int(sk_span_z(text), &number) || number < least || number > most)
        return !(most == INT64_MAX
                     ? cli_usage(cli, "--%s is a number from %lld", name, (long long)least)
                     : cli_usage(cli, "--%s is a number from %lld to %lld", name, (long long)least,
                                 (long long)most));
    *value = number;
    return true;
}

/* ---- reading ---- */

/* Whether `value` is among the choices, "on|off"; what is written in capitals is no choice. */
static bool is_choice(const char *choices, const char *value) {
    struct sk_span rest = sk_span_z(choices), one;
    while (sk_span_split(&rest, '|', &one))
        if ((one.p[0] >= 'A' && one.p[0] <= 'Z') || sk_span_is(one, value)) return true;
    return false;
}

/* One option; false with a message. `next`: what is typed behind it, or NULL; *took: whether that was its
 * value. */
static bool read_option(struct cli *cli, char *typed, const char *next, bool *took) {
    char *equals = strchr(typed, '=');
    const char *value = equals ? equals + 1 : NULL;
    if (equals) *equals = 0;
    const struct cli_option_row *row = cli_option_find(cli->command, typed);
    if (row == NULL) {
        struct sk_span near = cli_option_near(cli->command, typed);
        return !cli_usage(cli, "%s has no option --%s%s%.*s%s", cli->command->name, typed,
                          near.n ? "; did you mean --" : "", SK_ARG(near), near.n ? "?" : "");
    }
    if (row->value == NULL && value) return !cli_usage(cli, "--%s takes no value", typed);
    *took = row->value && value == NULL;
    if (*took && next == NULL) return !cli_usage(cli, "--%s needs a value: %s", typed, row->value);
    if (*took) value = next;
    if (row->value && !is_choice(row->value, value))
        return !cli_usage(cli, "--%s is one of %s, not '%s'", typed, row->value, value);
    if (!row->many && cli_option(cli, typed)) return !cli_usage(cli, "--%s is there twice", typed);
    if (cli->option_count == sizeof cli->options / sizeof *cli->options)
        return !cli_usage(cli, "there are too many options");
    cli->options[cli->option_count++] = (struct cli_option){typed, value};
    return true;
}

/* Sorts what was typed behind the command into words and options; false with a message. */
static bool read_arguments(struct cli *cli, char **arguments) {
    bool words_only = false; /* behind "--" */
    for (; *arguments; arguments++) {
        bool took = false;
        if (!words_only && strcmp(*arguments, "--") == 0) {
            words_only = true;
        } else if (words_only || strncmp(*arguments, "--", 2) != 0) {
            if (cli->word_count == sizeof cli->words / sizeof *cli->words)
                return !cli_usage(cli, "there are too many words");
            cli->words[cli->word_count++] = *arguments;
        } else if (!read_option(cli, *arguments + 2, arguments[1], &took)) {
            return false;
        }
        arguments += took;
    }
    return true;
}

/* Whether there are as many words as the command takes; false with a message. */
static bool check_words(const struct cli *cli) {
    struct sk_span rest = sk_span_z(cli->command->words), word;
    size_t wanted = 0;
    while (rest.n && sk_span_split(&rest, ' ', &word)) {
        if (++wanted <= cli->word_count) continue;
        return !cli_usage(cli, "%.*s is missing", SK_ARG(word));
    }
    if (cli->word_count > wanted)
        return !cli_usage(cli, "there is a word too many: '%s'", cli->words[wanted]);
    rest = sk_span_z(cli->command->words);
    for (size_t i = 0; rest.n && sk_span_split(&rest, ' ', &word); i++)
        if (sk_span_is(word, "DEVICE/MODULE") && strchr(cli->words[i], '/') == NULL)
            return !cli_usage(cli, "'%s' is not DEVICE/MODULE", cli->words[i]);
    return true;
}

bool cli_read(struct cli *cli, char **arguments) {
    return read_arguments(cli, arguments) && check_words(cli);
}
