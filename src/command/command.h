/* Command lines: a program is a table of commands, from which reading what was typed, help and its
 * reference come. A command is one row, an option is one row. */
#ifndef SK_COMMAND_COMMAND_H
#define SK_COMMAND_COMMAND_H

#include <stdio.h>

#include "base/base.h"

enum { SK_EXIT_FINE = 0, SK_EXIT_REFUSED = 1, SK_EXIT_USAGE = 2 };

struct sk_option_row {
    const char *name;
    /* What stands behind it; NULL: nothing, it is a flag. Choices in lower case, "on|off", are
     * checked. */
    const char *value;
    const char *does;
    bool many; /* may be said more than once */
};

struct sk_command {
    const char *name;                    /* "device add" */
    const char *words;                   /* what must follow, "TARGET NAME" */
    const struct sk_option_row *options; /* its own; ends with a row without name; NULL: none */
    const char *does;                    /* a sentence */
    const char *example;                 /* what to type behind the name */
    /* → exit code; `program` is the program's own. */
    int (*run)(void *program);
    /* It needs nothing of what the program prepares for commands. */
    bool alone;
};

struct sk_program {
    const char *name, *title, *notes, *example; /* of its help; `notes` NULL: none */
    /* Ends with a row without name; commands of a group stand together. */
    const struct sk_command *commands;
    /* What every command takes; ends likewise. */
    const struct sk_option_row *everywhere;
};

/* What was typed: a command, its words and its options. */
struct sk_typed {
    const struct sk_program *program;
    const struct sk_command *command;
    const char *words[16]; /* as many as the command's row has */
    size_t word_count;
    struct sk_option {
        const char *name, *value; /* value NULL: a flag */
    } options[128];
    size_t option_count;
};

/* Reads a command line, which ends with NULL and stays. Negative: typed->command is to be run.
 * Else the exit code: help and the version were printed, or a sentence about what is wrong. */
int sk_command_read(const struct sk_program *program, char **argv, struct sk_typed *typed);
/* The same behind the command's name; false with a message. */
bool sk_typed_read(struct sk_typed *typed, char **arguments);
/* The command that the first words of `arguments` name, which ends with NULL; `used`: how many
 * of them. NULL with a sentence on stderr, and what it may have meant. */
const struct sk_command *sk_command_find(const struct sk_program *program,
                                         const char *const *arguments, size_t *used);
/* The name of an option near to this, or nothing. */
struct sk_span sk_option_near(const struct sk_typed *typed, const char *name);

/* The value of --name, or NULL; flags give "". */
const char *sk_typed_option(const struct sk_typed *typed, const char *name);
/* How many values --name has; the first `max` of them are put into `values`. */
size_t sk_typed_all(const struct sk_typed *typed, const char *name, const char **values,
                    size_t max);
/* The number of --name into *value, which keeps its own when the option is not there. False with
 * a message when it is none from `least` to `most`. */
bool sk_typed_number(const struct sk_typed *typed, const char *name, int64_t least, int64_t most,
                     int64_t *value);
/* One sentence to stderr with the command's usage behind it; returns SK_EXIT_USAGE. */
int sk_typed_usage(const struct sk_typed *typed, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Options of programs that serve: --config, --log-level, --log-format, --help. */
extern const struct sk_option_row sk_service_options[];
/* Lets what was typed of log lines count. */
void sk_typed_log(const struct sk_typed *typed);

/* ---- help.c: all of it comes out of the table ---- */

/* The first word of a command's name, and whether the row is the first that has it. */
struct sk_span sk_command_group(const struct sk_command *command);
bool sk_command_begins_group(const struct sk_program *program, const struct sk_command *command);
bool sk_command_group_known(const struct sk_program *program, const char *word);
void sk_command_help(FILE *to, const struct sk_program *program);
void sk_command_help_group(FILE *to, const struct sk_program *program, const char *group);
void sk_command_help_one(FILE *to, const struct sk_typed *typed);
/* "skerry device add DEVICE [--edge] …" */
void sk_command_usage_line(FILE *to, const struct sk_typed *typed);
/* The reference page in Markdown. `words`: what stands under the title. */
void sk_command_reference(const struct sk_program *program, const char *words);

#endif
