/* Help and the reference page, out of the table of commands. */
#include "base/text.h"
#include "command/command.h"

struct sk_span sk_command_group(const struct sk_command *command) {
    struct sk_span name = sk_span_z(command->name);
    return sk_span_first(name, sk_span_find(name, ' '));
}

bool sk_command_group_known(const struct sk_program *program, const char *word) {
    for (const struct sk_command *c = program->commands; c->name; c++)
        if (strchr(c->name, ' ') && sk_span_is(sk_command_group(c), word)) return true;
    return false;
}

bool sk_command_begins_group(const struct sk_program *program, const struct sk_command *c) {
    return c == program->commands || !sk_span_eq(sk_command_group(c), sk_command_group(c - 1));
}

/* Whether its group has more than this one. */
static bool has_many(const struct sk_program *program, const struct sk_command *c) {
    return (c[1].name && !sk_command_begins_group(program, c + 1)) ||
           !sk_command_begins_group(program, c);
}

static void put_rows(FILE *to, const struct sk_option_row *row) {
    for (; row && row->name; row++) {
        int used = fprintf(to, "  --%s%s%s%s", row->name, row->value ? " " : "",
                           row->value ? row->value : "", row->many ? " …" : "");
        if (row->many) used -= 2; /* bytes of one character */
        fprintf(to, "%*s%s\n", used < 40 ? 40 - used : 1, "", row->does);
    }
}

static void put_commands(FILE *to, const struct sk_program *program, const char *group) {
    const struct sk_command *first = program->commands;
    for (const struct sk_command *c = first; c->name; c++) {
        if (group && !sk_span_is(sk_command_group(c), group)) continue;
        if (!group && c != first && sk_command_begins_group(program, c) &&
            (has_many(program, c) || has_many(program, c - 1)))
            fputc('\n', to);
        int space = 39 - sk_text_width(c->name) - sk_text_width(c->words);
        fprintf(to, "  %s %s%*s%s\n", c->name, c->words, space > 0 ? space : 1, "", c->does);
    }
}

void sk_command_help(FILE *to, const struct sk_program *program) {
    fprintf(to, "%s — %s\n\n", program->name, program->title);
    put_commands(to, program, NULL);
    fprintf(to, "\n%s%sEvery command takes:\n", program->notes ? program->notes : "",
            program->notes ? " " : "");
    put_rows(to, program->everywhere);
    fprintf(to,
            "\n%s COMMAND --help tells more. Exit code: 0 fine, 1 refused, 2 usage.\n"
            "\nExample: %s\n",
            program->name, program->example);
}

void sk_command_help_group(FILE *to, const struct sk_program *program, const char *group) {
    fprintf(to, "%s %s …\n", program->name, group);
    put_commands(to, program, group);
    fprintf(to, "(%s %s COMMAND --help tells more)\n", program->name, group);
}

/* "[--parent EDGE]" */
static void put_option(FILE *to, const struct sk_option_row *row) {
    fprintf(to, " [--%s%s%s]%s", row->name, row->value ? " " : "", row->value ? row->value : "",
            row->many ? "…" : "");
}

void sk_command_usage_line(FILE *to, const struct sk_typed *typed) {
    const struct sk_command *c = typed->command;
    fprintf(to, "%s %s%s%s", typed->program->name, c->name, *c->words ? " " : "", c->words);
    for (const struct sk_option_row *row = c->options; row && row->name; row++) put_option(to, row);
    fputc('\n', to);
}

void sk_command_help_one(FILE *to, const struct sk_typed *typed) {
    const struct sk_command *c = typed->command;
    sk_command_usage_line(to, typed);
    fprintf(to, "\n%s\n", c->does);
    if (c->options) fputs("\nOptions:\n", to);
    put_rows(to, c->options);
    fputs("\nAs every command:\n", to);
    put_rows(to, typed->program->everywhere);
    fprintf(to, "\nExample: %s %s%s%s\n", typed->program->name, c->name, *c->example ? " " : "",
            c->example);
}

/* ---- the reference page ---- */

/* Text of a table's cell. */
static void put_cell(const char *text) {
    for (; *text; text++) {
        if (*text == '|') putchar('\\');
        putchar(*text);
    }
}

static void put_table(const struct sk_option_row *row) {
    fputs("\n| option | what it does |\n|---|---|\n", stdout);
    for (; row->name; row++) {
        printf("| `--%s%s", row->name, row->value ? " " : "");
        put_cell(row->value ? row->value : "");
        fputs(row->many ? "` … | " : "` | ", stdout);
        put_cell(row->does);
        fputs(" |\n", stdout);
    }
}

void sk_command_reference(const struct sk_program *program, const char *words) {
    printf("# %s\n\n%s\n\nEvery command takes:\n", program->name, words);
    put_table(program->everywhere);
    for (const struct sk_command *c = program->commands; c->name; c++) {
        if (sk_command_begins_group(program, c)) printf("\n## %.*s\n", SK_ARG(sk_command_group(c)));
        printf("\n### `%s %s%s%s`\n\n%s\n", program->name, c->name, *c->words ? " " : "", c->words,
               c->does);
        if (c->options) put_table(c->options);
        printf("\n```sh\n%s %s%s%s\n```\n", program->name, c->name, *c->example ? " " : "",
               c->example);
    }
}
