/* The edge as a service of the machine, and its configuration. */
#include <stdio.h>

#include "azure/connection_string.h"
#include "edge/commands/parts.h"
#include "edge/daemon/daemon.h"

#define SERVICE "skerry-edge.target"

const struct sk_option_row sk_edge_mp_options[] = {
    {"connection-string", "TEXT", "the device's, as the hub prints it", false},
    {"out-config-file", "FILE", "where it goes; /etc/aziot/config.toml", false},
    {"force", NULL, "replaces a file that is there", false},
    {0}};

/* ---- the service ---- */

static int no_systemd(void) {
    fputs("skerry-edge: this machine's services are not run by systemd; end and start "
          "`skerry-edge run` where it was started\n",
          stderr);
    return SK_EXIT_REFUSED;
}

static int systemctl(const char *verb) {
    const char *const command[] = {"systemctl",    "--no-pager",     verb, SERVICE, "skerry-daemon",
                                   "skerry-agent", "skerry-edgehub", NULL};
    const char *const target[] = {"systemctl", verb, SERVICE, NULL};
    if (!edge_has_systemd()) return no_systemd();
    bool asks = strcmp(verb, "status") == 0;
    return edge_run_program(asks ? command : target, NULL) ? SK_EXIT_REFUSED : SK_EXIT_FINE;
}

static int journal(void) {
    static const char *const command[] = {"journalctl", "--no-pager", "-e", "-u", "skerry-*", NULL};
    if (!edge_has_systemd()) return no_systemd();
    return edge_run_program(command, NULL) ? SK_EXIT_REFUSED : SK_EXIT_FINE;
}

static int reprovision(const struct sk_edge_command *command) {
    struct edge_answer answer;
    if (!edge_ask_role(&command->config, "sockets/management", SK_HTTP_POST,
                       "/device/reprovision?api-version=2019-10-22", SK_NONE, &answer))
        return SK_EXIT_REFUSED;
    sk_buffer_free(&answer.body);
    printf("The device's identity is being asked for anew.\n");
    return SK_EXIT_FINE;
}

int sk_edge_system(void *arg) {
    const struct sk_edge_command *command = arg;
    const char *verb = command->typed.command->name + strlen("system ");
    if (strcmp(verb, "logs") == 0) return journal();
    if (strcmp(verb, "reprovision") == 0) return reprovision(command);
    return systemctl(verb);
}

/* ---- config ---- */

/* The file was read without a mistake before this runs. */
int sk_edge_config_apply(void *arg) {
    const struct sk_edge_command *command = arg;
    printf("%.*s\n", SK_ARG(sk_buffer_span(&command->told)));
    if (edge_has_systemd()) {
        int code = systemctl("restart");
        if (code) return code;
        printf("%s is in force: the edge has been restarted.\n", command->file);
    } else {
        printf("%s is well-formed; it counts from the next start of `skerry-edge run` on.\n",
               command->file);
    }
    return SK_EXIT_FINE;
}

static void put_config(struct sk_buffer *to, const char *connection_string) {
    sk_buffer_text(to, "# Written by `skerry-edge config mp`. Every key: `skerry-edge reference`.\n"
                       "[provisioning]\nsource = \"manual\"\nconnection_string = ");
    sk_json_string(to, sk_span_z(connection_string)); /* a TOML string, too */
    sk_buffer_byte(to, '\n');
}

int edge_write_config(struct sk_io *io, const char *path, bool force, struct sk_span text) {
    char folder[512];
    struct sk_buffer old = {.limit = 1};
    const char *slash = strrchr(path, '/');
    bool there = sk_file_load(io, path, &old) != SK_NOT_FOUND;
    sk_buffer_free(&old);
    if (there && !force) {
        fprintf(stderr, "skerry-edge: %s is there already; --force replaces it\n", path);
        return SK_EXIT_REFUSED;
    }
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 0, path);
    if (folder[0]) sk_folder_make(io, folder, 0755);
    enum sk_status status = sk_file_save(io, path, text, 0600);
    if (status)
        fprintf(stderr, "skerry-edge: %s cannot be written: %s\n", path, sk_status_text(status));
    else
        printf("Wrote %s. `skerry-edge config apply` puts it in force.\n", path);
    return status ? SK_EXIT_REFUSED : SK_EXIT_FINE;
}

int sk_edge_config_mp(void *arg) {
    const struct sk_edge_command *command = arg;
    const char *path = sk_typed_option(&command->typed, "out-config-file"),
               *text = sk_typed_option(&command->typed, "connection-string");
    struct sk_connection_string parts;
    char error[SK_MODEL_ERROR_MAX] = "--connection-string is missing";
    if (path == NULL) path = command->file;
    if (text == NULL || sk_connection_string_parse(sk_span_z(text), &parts, error) ||
        parts.device_id.n == 0 || parts.shared_access_key.n == 0)
        return sk_typed_usage(&command->typed, "%s",
                              text ? "that is not a device's connection string: "
                                     "HostName=…;DeviceId=…;SharedAccessKey=…"
                                   : error);
    struct sk_io *io = sk_io_uv_new();
    struct sk_buffer toml = {0};
    put_config(&toml, text);
    int code = edge_write_config(io, path, sk_typed_option(&command->typed, "force") != NULL,
                                 sk_buffer_span(&toml));
    sk_buffer_free(&toml);
    sk_io_free(io);
    return code;
}
