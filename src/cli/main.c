/* skerry: the command line for people. Speaks the service's REST API, and AMQP where the service does,
 * so it works on any IoT hub of this kind. */
#include <stdio.h>

#include "cli/cli.h"

static enum cli_output output_of(const struct cli *cli) {
    static const char *const names[] = {"table", "json", "jsonl", "tsv"};
    const char *wanted = cli_option(cli, "output");
    size_t i = 0;
    while (wanted && i < 3 && strcmp(names[i], wanted) != 0) i++;
    return (enum cli_output)i;
}

static int run(struct cli *cli) {
    sk_note_level(SK_LEVEL_ERROR);
    cli->io = sk_io_uv_new();
    cli->output = output_of(cli);
    cli->wide = cli_option(cli, "wide") != NULL;
    cli->login = cli_option(cli, "login");
    cli->profile = cli_option(cli, "profile");
    cli->ca_file = cli_option(cli, "ca");
    int code = cli->command->alone ? CLI_FINE : cli_connect(cli);
    if (!code) code = cli->command->run(cli);
    cli_disconnect(cli);
    sk_io_free(cli->io);
    return code;
}

static bool is_help(const char *text) {
    return text && (strcmp(text, "--help") == 0 || strcmp(text, "help") == 0);
}

int main(int argc, char **argv) {
    struct cli cli = {0};
    size_t used;
    if (argc < 2 || is_help(argv[1])) {
        cli_help(argc < 2 ? stderr : stdout);
        return argc < 2 ? CLI_USAGE : CLI_FINE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("skerry %s\n", SK_VERSION);
        return CLI_FINE;
    }
    if (is_help(argv[2]) && cli_group_known(argv[1])) {
        cli_help_group(stdout, argv[1]);
        return CLI_FINE;
    }
    cli.command = cli_command_find((const char *const *)argv + 1, &used);
    if (cli.command == NULL) return CLI_USAGE;
    for (int i = 1 + (int)used; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0) {
            cli_help_command(stdout, cli.command);
            return CLI_FINE;
        }
    if (!cli_read(&cli, argv + 1 + used)) return CLI_USAGE;
    return run(&cli);
}
