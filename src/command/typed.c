/* What was typed: a command, its words and options, and what is wrong with them. */
#include "command/command.h"

#include <stdarg.h>

#include "base/note.h"
#include "base/text.h"

/* ---- what is said about it ---- */

int sk_typed_usage(const struct sk_typed *typed, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", typed->program->name);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs("\nusage: ", stderr);
    sk_command_usage_line(stderr, typed);
    fprintf(stderr, "(%s %s --help tells more)\n", typed->program->name, typed->command->name);
    return SK_EXIT_USAGE;
}

/* ---- options ---- */

static const struct sk_option_row *in_rows(const struct sk_option_row *row, const char *name) {
    for (; row && row->name; row++)
        if (strcmp(row->name, name) == 0) return row;
    return NULL;
}

static const struct sk_option_row *find_option(const struct sk_typed *typed, const char *name) {
    const struct sk_option_row *row = in_rows(typed->command->options, name);
    return row ? row : in_rows(typed->program->everywhere, name);
}

struct sk_span sk_option_near(const struct sk_typed *typed, const char *name) {
    const struct sk_option_row *const all[] = {typed->command->options, typed->program->everywhere};
    struct sk_nearest near = {0};
    for (size_t i = 0; i < 2; i++)
        for (const struct sk_option_row *row = all[i]; row && row->name; row++)
            sk_nearest_try(&near, sk_span_z(name), sk_span_z(row->name));
    return near.word;
}

const char *sk_typed_option(const struct sk_typed *typed, const char *name) {
    for (size_t i = 0; i < typed->option_count; i++)
        if (strcmp(typed->options[i].name, name) == 0)
            return typed->options[i].value ? typed->options[i].value : "";
    return NULL;
}

size_t sk_typed_all(const struct sk_typed *typed, const char *name, const char **values,
                    size_t max) {
    size_t n = 0;
    for (size_t i = 0; i < typed->option_count; i++)
        if (strcmp(typed->options[i].name, name) == 0 && n++ < max)
            values[n - 1] = typed->options[i].value;
    return n;
}

bool sk_typed_number(const struct sk_typed *typed, const char *name, int64_t least, int64_t most,
                     int64_t *value) {
    const char *text = sk_typed_option(typed, name);
    int64_t number;
    if (text == NULL) return true;
    if (sk_span_to_int(sk_span_z(text), &number) || number < least || number > most)
        return !(most == INT64_MAX
                     ? sk_typed_usage(typed, "--%s is a number from %lld", name, (long long)least)
                     : sk_typed_usage(typed, "--%s is a number from %lld to %lld", name,
                                      (long long)least, (long long)most));
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

/* One option; false with a message. `next`: what is typed behind it, or NULL; *took: whether
 * that was its value. */
static bool read_option(struct sk_typed *typed, char *name, const char *next, bool *took) {
    char *equals = strchr(name, '=');
    const char *value = equals ? equals + 1 : NULL;
    if (equals) *equals = 0;
    const struct sk_option_row *row = find_option(typed, name);
    if (row == NULL) {
        struct sk_span near = sk_option_near(typed, name);
        return !sk_typed_usage(typed, "%s has no option --%s%s%.*s%s", typed->command->name, name,
                               near.n ? "; did you mean --" : "", SK_ARG(near), near.n ? "?" : "");
    }
    if (row->value == NULL && value) return !sk_typed_usage(typed, "--%s takes no value", name);
    *took = row->value && value == NULL;
    if (*took && next == NULL)
        return !sk_typed_usage(typed, "--%s needs a value: %s", name, row->value);
    if (*took) value = next;
    if (row->value && !is_choice(row->value, value))
        return !sk_typed_usage(typed, "--%s is one of %s, not '%s'", name, row->value, value);
    if (!row->many && sk_typed_option(typed, name))
        return !sk_typed_usage(typed, "--%s is there twice", name);
    if (typed->option_count == sizeof typed->options / sizeof *typed->options)
        return !sk_typed_usage(typed, "there are too many options");
    typed->options[typed->option_count++] = (struct sk_option){name, value};
    return true;
}

/* Sorts what was typed behind the command into words and options; false with a message. */
static bool read_arguments(struct sk_typed *typed, char **arguments) {
    bool words_only = false; /* behind "--" */
    for (; *arguments; arguments++) {
        bool took = false;
        if (!words_only && strcmp(*arguments, "--") == 0) {
            words_only = true;
        } else if (words_only || strncmp(*arguments, "--", 2) != 0) {
            if (typed->word_count == sizeof typed->words / sizeof *typed->words)
                return !sk_typed_usage(typed, "there are too many words");
            typed->words[typed->word_count++] = *arguments;
        } else if (!read_option(typed, *arguments + 2, arguments[1], &took)) {
            return false;
        }
        arguments += took;
    }
    return true;
}

/* Whether there are as many words as the command takes; false with a message. */
static bool check_words(const struct sk_typed *typed) {
    struct sk_span rest = sk_span_z(typed->command->words), word;
    size_t wanted = 0;
    while (rest.n && sk_span_split(&rest, ' ', &word)) {
        if (++wanted <= typed->word_count) continue;
        return !sk_typed_usage(typed, "%.*s is missing", SK_ARG(word));
    }
    if (typed->word_count > wanted)
        return !sk_typed_usage(typed, "there is a word too many: '%s'", typed->words[wanted]);
    rest = sk_span_z(typed->command->words);
    for (size_t i = 0; rest.n && sk_span_split(&rest, ' ', &word); i++)
        if (sk_span_is(word, "DEVICE/MODULE") && strchr(typed->words[i], '/') == NULL)
            return !sk_typed_usage(typed, "'%s' is not DEVICE/MODULE", typed->words[i]);
    return true;
}

bool sk_typed_read(struct sk_typed *typed, char **arguments) {
    return read_arguments(typed, arguments) && check_words(typed);
}

/* ---- finding ---- */

/* Whether the first words of `arguments` are those of `name`; *n: how many. */
static bool begins(const char *const *arguments, const char *name, size_t *n) {
    struct sk_span rest = sk_span_z(name), word;
    for (*n = 0; sk_span_split(&rest, ' ', &word); ++*n)
        if (arguments[*n] == NULL || !sk_span_is(word, arguments[*n])) return false;
    return true;
}

static void no_such(const struct sk_program *program, const char *typed, struct sk_span near) {
    fprintf(stderr, "%s: there is no command '%s'", program->name, typed);
    if (near.n) fprintf(stderr, "; did you mean %.*s?", SK_ARG(near));
    fprintf(stderr, "\n(%s --help shows all)\n", program->name);
}

const struct sk_command *sk_command_find(const struct sk_program *program,
                                         const char *const *arguments, size_t *used) {
    char typed[200];
    const char *second = arguments[1] && arguments[1][0] != '-' ? arguments[1] : NULL;
    struct sk_nearest near = {0};
    snprintf(typed, sizeof typed, "%.90s%s%.90s", arguments[0], second ? " " : "",
             second ? second : "");
    for (const struct sk_command *c = program->commands; c->name; c++) {
        if (begins(arguments, c->name, used)) return c;
        /* What one word names is not far from two. */
        sk_nearest_try(&near, sk_span_z(strchr(c->name, ' ') ? typed : arguments[0]),
                       sk_span_z(c->name));
    }
    if (second == NULL && sk_command_group_known(program, arguments[0])) {
        sk_command_help_group(stderr, program, arguments[0]);
        return NULL;
    }
    no_such(program, typed, near.word);
    return NULL;
}

/* ---- a whole command line ---- */

static bool is_help(const char *text) {
    return text && (strcmp(text, "--help") == 0 || strcmp(text, "help") == 0);
}

int sk_command_read(const struct sk_program *program, char **argv, struct sk_typed *typed) {
    size_t used;
    *typed = (struct sk_typed){.program = program};
    if (argv[1] == NULL || is_help(argv[1])) {
        sk_command_help(argv[1] ? stdout : stderr, program);
        return argv[1] ? SK_EXIT_FINE : SK_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("%s %s\n", program->name, SK_VERSION);
        return SK_EXIT_FINE;
    }
    if (is_help(argv[2]) && sk_command_group_known(program, argv[1])) {
        sk_command_help_group(stdout, program, argv[1]);
        return SK_EXIT_FINE;
    }
    typed->command = sk_command_find(program, (const char *const *)argv + 1, &used);
    if (typed->command == NULL) return SK_EXIT_USAGE;
    for (char **word = argv + 1 + used; *word; word++)
        if (strcmp(*word, "--help") == 0) {
            sk_command_help_one(stdout, typed);
            return SK_EXIT_FINE;
        }
    return sk_typed_read(typed, argv + 1 + used) ? -1 : SK_EXIT_USAGE;
}

/* ---- programs that serve ---- */

const struct sk_option_row sk_service_options[] = {
    {"config", "FILE", "the configuration", false},
    {"log-level", "error|warn|info|debug", "which lines are logged: info", false},
    {"log-format", "text|json", "how: text", false},
    {"help", NULL, "what a command takes", false},
    {0}};

void sk_typed_log(const struct sk_typed *typed) {
    const char *level = sk_typed_option(typed, "log-level");
    const char *format = sk_typed_option(typed, "log-format");
    if (level) sk_note_level_parse(level);
    if (format) sk_note_json(strcmp(format, "json") == 0);
}
