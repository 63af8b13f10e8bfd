/* skerry: the command line for people. Speaks the service's REST API, and AMQP where the service
 * does, so it works on any IoT hub of this kind. */
#include <stdio.h>

#include "cli/cli.h"

static enum cli_output output_of(const struct cli *cli) {
    static const char *const names[] = {"table", "json", "jsonl", "tsv", "csv"};
    const char *wanted = sk_typed_option(&cli->typed, "output");
    size_t i = 0;
    while (wanted && i < CLI_CSV && strcmp(names[i], wanted) != 0) i++;
    return (enum cli_output)i;
}

static int run(struct cli *cli) {
    sk_note_level(SK_LEVEL_ERROR);
    cli->io = sk_io_uv_new();
    cli->output = output_of(cli);
    cli->wide = sk_typed_option(&cli->typed, "wide") != NULL;
    cli->login = sk_typed_option(&cli->typed, "login");
    cli->profile = sk_typed_option(&cli->typed, "profile");
    cli->ca_file = sk_typed_option(&cli->typed, "ca");
    int code = cli->typed.command->alone ? SK_EXIT_FINE : cli_connect(cli);
    if (!code) code = cli->typed.command->run(cli);
    cli_disconnect(cli);
    sk_io_free(cli->io);
    return code;
}

int main(int argc, char **argv) {
    struct cli cli = {0};
    (void)argc;
    int code = sk_command_read(&cli_program, argv, &cli.typed);
    return code < 0 ? run(&cli) : code;
}
