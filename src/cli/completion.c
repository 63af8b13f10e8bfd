/* Completion for shells and the reference page, out of the table of commands. */
#include <stdio.h>

#include "cli/cli.h"

int cli_reference(void *arg) {
    (void)arg;
    sk_command_reference(
        &cli_program,
        "Printed by `skerry reference`. `TARGET` is `DEVICE` or `DEVICE/MODULE`; where JSON is "
        "wanted, `@FILE` reads it from a file.\nExit code: 0 fine, 1 refused, 2 usage.");
    return SK_EXIT_FINE;
}

static void put_groups(void) {
    fputs("  local words='", stdout);
    for (const struct sk_command *c = cli_program.commands; c->name; c++)
        if (sk_command_begins_group(&cli_program, c))
            printf("%s%.*s", c == cli_program.commands ? "" : " ", SK_ARG(sk_command_group(c)));
    fputs("' options='", stdout);
    for (const struct sk_option_row *row = cli_program.everywhere; row->name; row++)
        printf("--%s ", row->name);
    fputs("'\n", stdout);
}

/* The second word of each group. */
static void put_seconds(void) {
    fputs("  case ${COMP_WORDS[1]} in\n", stdout);
    for (const struct sk_command *c = cli_program.commands; c->name; c++) {
        struct sk_span rest = sk_span_skip(sk_span_z(c->name), sk_command_group(c).n + 1);
        if (sk_command_begins_group(&cli_program, c))
            printf("    %.*s) words='", SK_ARG(sk_command_group(c)));
        printf("%.*s", SK_ARG(rest));
        if (rest.n == 0) /* its word may be one of some */
            for (const char *at = c->words; strchr(c->words, '|') && *at; at++)
                putchar(*at == '|' ? ' ' : *at);
        fputs(c[1].name && !sk_command_begins_group(&cli_program, c + 1) ? " " : "' ;;\n", stdout);
    }
    fputs("  esac\n", stdout);
}

static void put_options(void) {
    fputs("  case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n", stdout);
    for (const struct sk_command *c = cli_program.commands; c->name; c++) {
        if (c->options == NULL) continue;
        printf("    '%s') options=\"$options", c->name);
        for (const struct sk_option_row *row = c->options; row->name; row++)
            printf(" --%s", row->name);
        fputs("\" ;;\n", stdout);
    }
    fputs("  esac\n", stdout);
}

int cli_completion(void *arg) {
    struct cli *cli = arg;
    bool zsh = strcmp(cli->typed.words[0], "zsh") == 0;
    if (!zsh && strcmp(cli->typed.words[0], "bash") != 0)
        return sk_typed_usage(&cli->typed, "there is completion for bash and for zsh");
    if (zsh) puts("autoload -U +X bashcompinit && bashcompinit");
    puts("_skerry() {");
    put_groups();
    put_seconds();
    put_options();
    puts("  [ $COMP_CWORD -gt 2 ] && words=$(skerry device list --output tsv 2>/dev/null | cut "
         "-f1)\n"
         "  COMPREPLY=($(compgen -W \"$words $options\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
         "}\n"
         "complete -F _skerry skerry");
    return SK_EXIT_FINE;
}
