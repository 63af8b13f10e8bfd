/* Help, completion and the reference page, out of the table of commands. */
#include <stdio.h>

#include "cli/cli.h"

static bool begins_group(const struct cli_command *c) {
    return c == cli_commands || !sk_span_eq(cli_group_of(c), cli_group_of(c - 1));
}

/* Whether its group has more than this one. */
static bool has_many(const struct cli_command *c) {
    return (c[1].name && !begins_group(c + 1)) || !begins_group(c);
}

static void put_rows(FILE *to, const struct cli_option_row *row) {
    for (; row && row->name; row++) {
        int used = fprintf(to, "  --%s%s%s", row->name, row->value ? " " : "",
                           row->value ? row->value : "");
        fprintf(to, "%*s%s\n", used < 40 ? 40 - used : 1, "", row->does);
    }
}

static void put_commands(FILE *to, const char *group) {
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        if (group && !sk_span_is(cli_group_of(c), group)) continue;
        if (!group && c != cli_commands && begins_group(c) && (has_many(c) || has_many(c - 1)))
            fputc('\n', to);
        int space = 39 - cli_width(c->name) - cli_width(c->words);
        fprintf(to, "  %s %s%*s%s\n", c->name, c->words, space > 0 ? space : 1, "", c->does);
    }
}

void cli_help(FILE *to) {
    fputs("skerry — manage an IoT hub, its devices and edge deployments\n\n", to);
    put_commands(to, NULL);
    fputs("\nTARGET is DEVICE or DEVICE/MODULE. Every command takes:\n", to);
    put_rows(to, cli_everywhere);
    fputs(
        "\nskerry COMMAND --help tells more. Exit code: 0 fine, 1 refused, 2 usage.\n"
        "\nExample: skerry device add sensor1 && skerry twin update sensor1 --desired '{\"interval\": 5}'\n",
        to);
}

void cli_help_group(FILE *to, const char *group) {
    fprintf(to, "skerry %s …\n", group);
    put_commands(to, group);
    fprintf(to, "(skerry %s COMMAND --help tells more)\n", group);
}

void cli_help_command(FILE *to, const struct cli_command *c) {
    cli_usage_line(to, c);
    fprintf(to, "\n%s\n", c->does);
    if (c->options) fputs("\nOptions:\n", to);
    put_rows(to, c->options);
    fputs("\nAs every command:\n", to);
    put_rows(to, cli_everywhere);
    fprintf(to, "\nExample: skerry %s%s%s\n", c->name, *c->example ? " " : "", c->example);
}

/* ---- the reference page ---- */

/* Text of a table's cell. */
static void put_cell(const char *text) {
    for (; *text; text++) {
        if (*text == '|') putchar('\\');
        putchar(*text);
    }
}

static void put_table(const struct cli_option_row *row) {
    fputs("\n| option | what it does |\n|---|---|\n", stdout);
    for (; row->name; row++) {
        printf("| `--%s%s", row->name, row->value ? " " : "");
        put_cell(row->value ? row->value : "");
        fputs(row->many ? "` … | " : "` | ", stdout);
        put_cell(row->does);
        fputs(" |\n", stdout);
    }
}

int cli_reference(struct cli *cli) {
    (void)cli;
    fputs(
        "# skerry\n\nPrinted by `skerry reference`. `TARGET` is `DEVICE` or `DEVICE/MODULE`; where JSON is "
        "wanted, `@FILE` reads it from a file.\nExit code: 0 fine, 1 refused, 2 usage.\n\n"
        "Every command takes:\n",
        stdout);
    put_table(cli_everywhere);
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        if (begins_group(c)) printf("\n## %.*s\n", SK_ARG(cli_group_of(c)));
        printf("\n### `skerry %s%s%s`\n\n%s\n", c->name, *c->words ? " " : "", c->words, c->does);
        if (c->options) put_table(c->options);
        printf("\n```sh\nskerry %s%s%s\n```\n", c->name, *c->example ? " " : "", c->example);
    }
    return CLI_FINE;
}

/* ---- completion ---- */

static void put_groups(void) {
    fputs("  local words='", stdout);
    for (const struct cli_command *c = cli_commands; c->name; c++)
        if (begins_group(c))
            printf("%s%.*s", c == cli_commands ? "" : " ", SK_ARG(cli_group_of(c)));
    fputs("' options='", stdout);
    for (const struct cli_option_row *row = cli_everywhere; row->name; row++)
        printf("--%s ", row->name);
    fputs("'\n", stdout);
}

/* The second word of each group. */
static void put_seconds(void) {
    fputs("  case ${COMP_WORDS[1]} in\n", stdout);
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        struct sk_span rest = sk_span_skip(sk_span_z(c->name), cli_group_of(c).n + 1);
        if (begins_group(c)) printf("    %.*s) words='", SK_ARG(cli_group_of(c)));
        printf("%.*s", SK_ARG(rest));
        if (rest.n == 0) /* its word may be one of some */
            for (const char *at = c->words; strchr(c->words, '|') && *at; at++)
                putchar(*at == '|' ? ' ' : *at);
        fputs(c[1].name && !begins_group(c + 1) ? " " : "' ;;\n", stdout);
    }
    fputs("  esac\n", stdout);
}

static void put_options(void) {
    fputs("  case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n", stdout);
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        if (c->options == NULL) continue;
        printf("    '%s') options=\"$options", c->name);
        for (const struct cli_option_row *row = c->options; row->name; row++)
            printf(" --%s", row->name);
        fputs("\" ;;\n", stdout);
    }
    fputs("  esac\n", stdout);
}

int cli_completion(struct cli *cli) {
    bool zsh = strcmp(cli->words[0], "zsh") == 0;
    if (!zsh && strcmp(cli->words[0], "bash") != 0)
        return cli_usage(cli, "there is completion for bash and for zsh");
    if (zsh) puts("autoload -U +X bashcompinit && bashcompinit");
    puts("_skerry() {");
    put_groups();
    put_seconds();
    put_options();
    puts(
        "  [ $COMP_CWORD -gt 2 ] && words=$(skerry device list --output tsv 2>/dev/null | cut -f1)\n"
        "  COMPREPLY=($(compgen -W \"$words $options\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
        "}\n"
        "complete -F _skerry skerry");
    return CLI_FINE;
}
