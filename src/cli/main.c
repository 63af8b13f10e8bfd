/* skerry: the command line for people. Speaks the service's REST API, and AMQP where the service does,
 * so it works on any IoT hub of this kind. */
#include <stdarg.h>
#include <stdio.h>

#include "cli/cli.h"

static const char help[] =
    "skerry — manage an IoT hub, its devices and edge deployments\n"
    "\n"
    "  skerry login 'HostName=…;SharedAccessKeyName=…;SharedAccessKey=…' [--ca FILE] [--profile P]\n"
    "  skerry device list | add ID [--edge] [--parent EDGE] | show ID | update ID --status S | remove ID\n"
    "  skerry device add ID --auth ca | --auth thumbprint --primary-thumbprint HEX [--secondary-thumbprint HEX]\n"
    "  skerry device connection-string ID [--gateway HOST] | sas ID [--duration S]\n"
    "  skerry module list DEVICE | add DEVICE/MODULE | show … | remove … | connection-string …\n"
    "  skerry twin show TARGET | update TARGET --desired JSON --tags JSON | replace TARGET …\n"
    "  skerry method call TARGET NAME [--payload JSON] [--timeout S]\n"
    "  skerry telemetry send DEVICE TEXT\n"
    "  skerry message send DEVICE TEXT [--ack none|positive|negative|full] [--message-id ID] [--property NAME=VALUE]…\n"
    "                      [--expiry DURATION|TIME] [--content-type TYPE]\n"
    "  skerry feedback watch [--count N]\n"
    "  skerry events watch [--device D] [--from earliest|latest|TIME|OFFSET] [--consumer-group G] [--properties] [--count N]\n"
    "  skerry query 'SELECT * FROM devices WHERE …'\n"
    "  skerry edge set-modules DEVICE FILE\n"
    "  skerry certificate list | add NAME FILE [--verified] | verify NAME FILE | remove NAME\n"
    "  skerry completion bash|zsh\n"
    "\n"
    "TARGET is DEVICE or DEVICE/MODULE; JSON may be @FILE.\n"
    "Every command takes --output table|json|jsonl|tsv, --login CONNECTION_STRING, --profile P, --ca FILE.\n"
    "SKERRY_CONNECTION_STRING and SKERRY_CA_FILE stand in for --login and --ca. Exit code: 0 fine, 1 refused, 2 usage.\n"
    "\n"
    "Example: skerry device add sensor1 && skerry twin update sensor1 --desired '{\"interval\": 5}'\n";

static const struct {
    const char *name;
    int (*run)(struct cli *cli);
    bool connects;
} commands[] = {{"login", cli_login, false},
                {"device", cli_device, true},
                {"module", cli_module, true},
                {"twin", cli_twin, true},
                {"method", cli_method, true},
                {"telemetry", cli_telemetry, true},
                {"message", cli_message, true},
                {"feedback", cli_feedback, true},
                {"events", cli_events, true},
                {"query", cli_query, true},
                {"edge", cli_edge, true},
                {"certificate", cli_certificate, true},
                {"completion", cli_completion, false}};

static const char *const flags[] = {"edge", "properties", "verified", "help", NULL};

int cli_fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("skerry: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return CLI_REFUSED;
}

int cli_usage(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("usage: skerry ", stderr);
    vfprintf(stderr, format, args);
    fputs("\n(skerry --help shows all)\n", stderr);
    va_end(args);
    return CLI_USAGE;
}

const char *cli_option(const struct cli *cli, const char *name) {
    for (size_t i = 0; i < cli->option_count; i++)
        if (strcmp(cli->options[i].name, name) == 0)
            return cli->options[i].value ? cli->options[i].value : "";
    return NULL;
}

int cli_completion(struct cli *cli) {
    const char *shell = cli->word_count == 1 ? cli->words[0] : "";
    bool zsh = strcmp(shell, "zsh") == 0;
    if (!zsh && strcmp(shell, "bash") != 0)
        return cli_usage("completion bash|zsh, such as: source <(skerry completion bash)");
    if (zsh) puts("autoload -U +X bashcompinit && bashcompinit");
    puts(
        "_skerry() {\n"
        "  local words='login device module twin method telemetry message feedback events query edge certificate completion'\n"
        "  case ${COMP_WORDS[1]} in\n"
        "    device) words='list add show update remove connection-string sas' ;;\n"
        "    module) words='list add show remove connection-string' ;;\n"
        "    twin) words='show update replace' ;;\n"
        "    method) words='call' ;;\n"
        "    telemetry|message) words='send' ;;\n"
        "    feedback) words='watch' ;;\n"
        "    certificate) words='list add verify remove' ;;\n"
        "    events) words='watch' ;;\n"
        "    edge) words='set-modules' ;;\n"
        "    completion) words='bash zsh' ;;\n"
        "  esac\n"
        "  [ $COMP_CWORD -gt 2 ] && words=$(skerry device list --output tsv 2>/dev/null | cut -f1)\n"
        "  COMPREPLY=($(compgen -W \"$words --output --login --profile --ca\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
        "}\n"
        "complete -F _skerry skerry");
    return CLI_FINE;
}

static bool is_flag(const char *name) {
    for (size_t i = 0; flags[i]; i++)
        if (strcmp(flags[i], name) == 0) return true;
    return false;
}

/* Sorts what was typed into words and options; false with a message. */
static bool read_arguments(struct cli *cli, int argc, char **argv) {
    for (int i = 2; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0) {
            if (cli->word_count == sizeof cli->words / sizeof *cli->words)
                return !cli_usage("… has too many words");
            cli->words[cli->word_count++] = argv[i];
            continue;
        }
        char *name = argv[i] + 2, *value = strchr(name, '=');
        if (value)
            *value++ = 0;
        else if (!is_flag(name)) {
            if (i + 1 == argc) return !cli_usage("--%s needs a value", name);
            value = argv[++i];
        }
        if (cli->option_count == sizeof cli->options / sizeof *cli->options)
            return !cli_usage("… has too many options");
        cli->options[cli->option_count++] = (struct cli_option){name, value};
    }
    return true;
}

static bool read_output(struct cli *cli) {
    static const char *const names[] = {"table", "json", "jsonl", "tsv"};
    const char *wanted = cli_option(cli, "output");
    cli->output = CLI_TABLE;
    for (size_t i = 0; wanted && i < 4; i++)
        if (strcmp(names[i], wanted) == 0) {
            cli->output = (enum cli_output)i;
            return true;
        }
    return wanted == NULL;
}

int main(int argc, char **argv) {
    struct cli cli = {0};
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        fputs(help, argc < 2 ? stderr : stdout);
        return argc < 2 ? CLI_USAGE : CLI_FINE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("skerry %s\n", SK_VERSION);
        return CLI_FINE;
    }
    if (!read_arguments(&cli, argc, argv)) return CLI_USAGE;
    if (cli_option(&cli, "help")) {
        fputs(help, stdout);
        return CLI_FINE;
    }
    if (!read_output(&cli)) return cli_usage("… --output table|json|jsonl|tsv");
    size_t c = 0, n = sizeof commands / sizeof *commands;
    while (c < n && strcmp(commands[c].name, argv[1]) != 0) c++;
    if (c == n) return cli_usage("has no command '%s'", argv[1]);
    sk_note_level(SK_LEVEL_ERROR);
    cli.io = sk_io_uv_new();
    cli.login = cli_option(&cli, "login");
    cli.profile = cli_option(&cli, "profile");
    cli.ca_file = cli_option(&cli, "ca");
    int code = commands[c].connects ? cli_connect(&cli) : CLI_FINE;
    if (!code) code = commands[c].run(&cli);
    cli_disconnect(&cli);
    sk_io_free(cli.io);
    return code;
}
