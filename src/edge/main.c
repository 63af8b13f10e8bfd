/* skerry-edge: the three roles, forked from one initialised parent, and the commands for people. */
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>

#include "command/command.h"
#include "edge/agent/agent.h"
#include "edge/commands/commands.h"
#include "edge/confine.h"
#include "edge/daemon/daemon.h"
#include "edge/hub/role.h"
#include "edge/load.h"
#include "edge/page/page.h"
#include "io/privilege.h"
#include "io/process.h"
#include "net/trust.h"

/* ---- roles ---- */

enum { DAEMON, AGENT, HUB, ROLES };

struct edge {
    struct sk_edge_command command; /* first: what the commands take */
    struct sk_role_state *states;
    bool has_hub; /* among the roles of this process */
    char management_path[SK_SOCKET_PATH_MAX], control_path[SK_SOCKET_PATH_MAX];
    char agent_path[SK_SOCKET_PATH_MAX], hub_path[SK_SOCKET_PATH_MAX];
};

/* One role's process: its loop and how it ends. */
struct role {
    struct sk_io *io;
    struct sk_daemon *daemon;
    struct sk_agent *agent;
    struct sk_edge_hub_role *hub;
    struct sk_page *page;
    struct sk_tls *tls;
    struct sk_role_state *state;
    struct sk_timer alive;
    bool stopping;
};

enum { ALIVE_S = 10 };

/* For the process that watches this one, where there is one. */
static void say_alive(struct sk_timer *timer) {
    struct role *role = SK_CONTAINER(timer, struct role, alive);
    sk_role_alive(role->state);
    sk_timer_start(role->io, timer, ALIVE_S * SK_S, say_alive);
}

/* The role has let go of everything: its loop ends by itself when the last connection has closed.
 */
static void stopped(void *arg) {
    (void)arg;
}

static void on_term(void *arg) {
    struct role *role = arg;
    if (role->stopping) return;
    role->stopping = true;
    sk_timer_stop(&role->alive);
    if (role->page) sk_page_close(role->page);
    if (role->agent) sk_agent_stop(role->agent, stopped, role);
    if (role->hub) sk_edge_hub_role_stop(role->hub, stopped, role);
    if (role->daemon) sk_daemon_stop(role->daemon);
}

static int run_role(struct role *role, const char *name, enum sk_status status,
                    const char *reason) {
    if (status) {
        SK_ERROR(name, "%s", reason);
        if (role->tls) sk_tls_free(role->tls);
        sk_io_free(role->io);
        /* What needs a person's hand (files, configuration) does not get better by trying again. */
        return status == SK_IO || status == SK_NO_SPACE ? 1 : SK_ROLE_GIVE_UP;
    }
    sk_io_on_signal(role->io, SIGTERM, on_term, role);
    SK_INFO(name, "ready");
    say_alive(&role->alive);
    sk_io_run(role->io);
    if (role->tls) sk_tls_free(role->tls);
    sk_io_free(role->io);
    return 0;
}

/* The daemon reads the file again, for the keys: the parent and with it the other roles never
 * have them. */
static int run_daemon(void *arg) {
    struct edge *edge = arg;
    struct sk_edge_config own = {0};
    char reason[SK_EDGE_CONFIG_ERROR_MAX] = "";
    enum sk_status status =
        sk_edge_config_load(edge->command.file, false, true, &own, NULL, reason);
    bool loaded = status == SK_OK;
    if (loaded && (strcmp(own.hub_host, edge->command.config.hub_host) != 0 ||
                   strcmp(own.device_id, edge->command.config.device_id) != 0)) {
        status = SK_INVALID;
        snprintf(reason, sizeof reason, "%.200s is about another device now: restart the edge.",
                 edge->command.file);
    }
    const struct sk_edge_config *all = &edge->command.config;
    struct role role = {.io = sk_io_uv_new(), .state = &edge->states[DAEMON]};
    sk_daemon_move_in(role.io, all->data);
    own.daemon_uid = all->daemon_uid, own.daemon_gid = all->daemon_gid;
    own.hub_uid = all->hub_uid, own.hub_gid = all->hub_gid;
    if (!status) status = sk_edge_confine_daemon(&own, reason);
    if (!status) status = sk_daemon_start(role.io, &own, &role.daemon, reason);
    int code = run_role(&role, "daemon", status, reason);
    if (loaded) sk_edge_config_free(&own);
    return code;
}

static struct sk_hub_standing hub_stands(void *arg) {
    struct sk_role_state *state = arg;
    return (struct sk_hub_standing){.pid = atomic_load(&state->pid),
                                    .started_us = atomic_load(&state->started_us),
                                    .restarts = atomic_load(&state->restarts)};
}

/* [agent.env]: the agent's environment, of which modules inherit what they are given
 * (RuntimeLogLevel, UpstreamProtocol). */
static void take_agent_env(const json_t *environment) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)environment, name, value) {
        setenv(name, json_string_value(value), 1);
        if (strcmp(name, "RuntimeLogLevel") == 0) sk_note_level_parse(json_string_value(value));
    }
}

/* Without it the edge works as well: a port that is taken ends nothing. */
static void open_page(struct role *role, const struct edge *edge) {
    const struct sk_edge_config *config = &edge->command.config;
    char hub_path[SK_SOCKET_PATH_MAX], key_file[512], reason[256];
    if (config->page.host == NULL) return;
    snprintf(hub_path, sizeof hub_path, "%s/%s", config->data, SK_HUB_STATUS_SOCKET);
    snprintf(key_file, sizeof key_file, "%s/" SK_PAGE_KEY_FILE, config->data);
    struct sk_page_options options = {.at = config->page,
                                      .agent_path = edge->control_path,
                                      .hub_path = hub_path,
                                      .key_file = key_file};
    if (sk_page_open(role->io, &options, &role->page, reason))
        SK_WARN("agent", "there is no local page ([skerry] page): %s", reason);
}

static const char *network_name(const struct sk_edge_config *config) {
    const char *text = json_string_value(config->network);
    return text ? text : json_string_value(json_object_get(config->network, "name"));
}

/* Where containers reach the edge hub: an address that it listens at alone, and that is no one's
 * but this machine's; NULL: at every address. */
static const char *gateway_address(const struct sk_edge_config *config) {
    const char *host = config->listen[0].host;
    bool everywhere = strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
    return everywhere ? NULL : host;
}

static struct sk_container_options container_options(const struct sk_edge_config *config) {
    unsigned hour, minute;
    if (sscanf(config->images_time, "%u:%u", &hour, &minute) != 2) hour = minute = 0;
    return (struct sk_container_options){
        .engine_uri = config->engine_uri,
        .network = config->network ? network_name(config) : "azure-iot-edge",
        .network_table = json_is_object(config->network) ? config->network : NULL,
        .gateway_address = gateway_address(config),
        .not_elevated = !config->elevated_containers,
        .gc = {.disabled = !config->images_collected,
               .every_us = config->images_every_us,
               .age_us = config->images_age_us,
               .minute = hour * 60 + minute},
    };
}

static int run_agent(void *arg) {
    struct edge *edge = arg;
    const struct sk_edge_config *config = &edge->command.config;
    struct role role = {.io = sk_io_uv_new(), .state = &edge->states[AGENT]};
    char reason[512] = "", hub_path[SK_SOCKET_PATH_MAX];
    snprintf(hub_path, sizeof hub_path, "%s/%s", config->data, SK_HUB_STATUS_SOCKET);
    take_agent_env(config->agent_env);
    enum sk_status status = sk_edge_confine_agent(reason);
    if (!status) status = sk_tls_trusting(role.io, config->hub_trust_file, NULL, &role.tls, reason);
    struct sk_agent_options options = {
        .data = config->data,
        .management_path = edge->management_path,
        .workload_path = edge->agent_path,
        .hub_status_path = hub_path,
        .control_path = edge->control_path,
        .hub_host = config->hub_host,
        .device_id = config->device_id,
        .upstream = config->upstream,
        .tls = role.tls,
        .gateway_host = config->hostname,
        .gateway_port = config->listen[0].port,
        .parent_host = config->parent_hostname,
        .own_users = sk_may_give_files(),
        .containers = container_options(config),
        .config_file = edge->command.file,
        .metrics = config->agent_metrics,
        .hub_stands = edge->has_hub ? hub_stands : NULL,
        .hub_arg = &edge->states[HUB],
    };
    if (!status) status = sk_agent_start(role.io, &options, &role.agent, reason);
    if (!status) open_page(&role, edge);
    return run_role(&role, "agent", status, reason);
}

static enum sk_status let_go(void *arg, char reason[512]) {
    return sk_edge_confine_hub(arg, reason);
}

static int run_hub(void *arg) {
    struct edge *edge = arg;
    const struct sk_edge_config *config = &edge->command.config;
    struct role role = {.io = sk_io_uv_new(), .state = &edge->states[HUB]};
    char data[512], reason[512] = "";
    snprintf(data, sizeof data, "%s/hub", config->data);
    struct sk_edge_hub_role_options options = {
        .data = data,
        .device_id = config->device_id,
        .hub_host_name = config->hub_host,
        .host_name = config->hostname,
        .upstream = config->upstream,
        .upstream_trust_file = config->hub_trust_file,
        .workload_uri = edge->hub_path,
        .listen = config->listen,
        .listen_count = config->listen_count,
        .image_registry = config->image_registry,
        .metrics = config->metrics.host ? &config->metrics : NULL,
        .unspoken = (config->mqtt ? 0 : SK_GATEWAY_MQTT) | (config->amqp ? 0 : SK_GATEWAY_AMQP) |
                    (config->https ? 0 : SK_GATEWAY_HTTPS),
        .clients_max = config->clients_max,
        .store_bytes_max = config->store_bytes,
        .drop_oldest = config->when_full == 1,
        .limits = config->limits,
        .let_go = let_go,
        .let_go_arg = &edge->command.config,
    };
    sk_io_watch(role.io);
    enum sk_status status = sk_edge_hub_role_start(role.io, &options, &role.hub, reason);
    return run_role(&role, "edge-hub", status, reason);
}

/* What every role would otherwise make for itself, once and shared: library tables, the hash seeds.
 */
static void initialise(void) {
    uint64_t seed;
    OPENSSL_init_ssl(0, NULL);
    sk_edge_hub_prepare();
    json_object_seed(0);
    struct sk_io *io = sk_io_uv_new();
    sk_io_random(io, &seed, sizeof seed);
    sk_io_free(io);
    sk_hash_seed(seed);
}

static enum sk_status claim(const char *folder, unsigned mode) {
    char why[256];
    enum sk_status status = sk_folder_claim(folder, mode, why);
    if (status) fprintf(stderr, "skerry-edge: %s\n", why);
    return status;
}

/* The folder that a role writes to is its own from now on, whether it was started alone or not. */
static enum sk_status claim_role(const struct edge *edge, size_t role) {
    static const char *const folders[ROLES] = {"keys", "agent", "hub"};
    char folder[512];
    snprintf(folder, sizeof folder, "%s/%s", edge->command.config.data, folders[role]);
    return claim(folder, 0700);
}

/* Above the roles' folders; it may be from before. */
static void open_data_folder(const char *data) {
    struct sk_io *io = sk_io_uv_new();
    if (sk_path_set_mode(io, data, 0711))
        SK_WARN("start", "modules of other users may not pass through %s", data);
    sk_io_free(io);
}

static void find_paths(struct edge *edge) {
    const char *data = edge->command.config.data;
    sk_daemon_management_path(data, edge->management_path);
    sk_daemon_socket_path(data, SK_SPAN("$edgeAgent"), edge->agent_path);
    sk_daemon_socket_path(data, SK_SPAN("$edgeHub"), edge->hub_path);
    snprintf(edge->control_path, sizeof edge->control_path, "%s/%s", data, SK_CONTROL_SOCKET);
}

static int refuse(const char *why) {
    fprintf(stderr, "skerry-edge: %s\n", why);
    return SK_EXIT_REFUSED;
}

/* Forked from this process, which watches them. */
static int run_roles(const struct sk_role *roles, size_t count) {
    char reason[512];
    if (sk_edge_confine_parent(reason)) return refuse(reason);
    return sk_roles_run(roles, count);
}

/* Which roles are asked for: all, when none is named. The hub's state is known where it is one. */
static size_t choose_roles(struct edge *edge, struct sk_role to[ROLES]) {
    static const struct sk_role all[ROLES] = {
        [DAEMON] = {.name = "skerry-daemon", .run = run_daemon},
        [AGENT] = {.name = "skerry-agent", .run = run_agent},
        [HUB] = {.name = "skerry-edgehub", .run = run_hub}};
    static const char *const words[ROLES] = {"daemon", "agent", "hub"};
    const char *named[ROLES];
    size_t count = 0, n = sk_typed_all(&edge->command.typed, "role", named, ROLES);
    for (size_t i = 0; i < ROLES; i++) {
        bool wanted = n == 0;
        for (size_t j = 0; j < n && j < ROLES; j++) wanted |= strcmp(named[j], words[i]) == 0;
        if (!wanted) continue;
        to[count] = all[i];
        to[count].arg = edge;
        to[count++].state = &edge->states[i];
        if (i == HUB) edge->has_hub = true;
        if (claim_role(edge, i)) return 0;
    }
    return count;
}

/* One role alone is this process; several are its children. */
static int run(void *arg) {
    struct edge *edge = arg;
    struct sk_role roles[ROLES];
    const char *data = edge->command.config.data;
    bool all = sk_typed_option(&edge->command.typed, "role") == NULL;
    if (all && claim(data, 0711)) return SK_EXIT_REFUSED; /* the roles keep it */
    edge->states = sk_role_states(ROLES);
    if (edge->states == NULL) return refuse("there is no memory for the roles");
    size_t count = choose_roles(edge, roles);
    if (count == 0) return SK_EXIT_REFUSED;
    find_paths(edge);
    initialise();
    if (count > 1 || !edge->has_hub) open_data_folder(data);
    sk_edge_find_users(&edge->command.config);
    return count == 1 ? roles[0].run(edge) : run_roles(roles, count);
}

/* ---- the commands ---- */

static int reference(void *arg) {
    struct sk_buffer page = {0};
    (void)arg;
    sk_edge_config_reference(&page);
    fwrite(page.p, 1, page.n, stdout);
    sk_buffer_free(&page);
    return SK_EXIT_FINE;
}

static int show(void *arg) {
    const struct sk_edge_command *command = arg;
    struct sk_buffer json = {0};
    enum sk_status status = sk_edge_config_show(command->file, &json);
    sk_buffer_byte(&json, '\n');
    fwrite(json.p, 1, json.n, status ? stderr : stdout);
    sk_buffer_free(&json);
    return status ? SK_EXIT_REFUSED : SK_EXIT_FINE;
}

static const struct sk_option_row run_options[] = {
    {"role", "daemon|agent|hub", "these alone: for a service manager that watches each", true},
    {0}};

static const struct sk_command commands[] = {
    {"run", "", run_options, "Runs daemon, agent and hub until SIGTERM.",
     "--config /etc/aziot/config.toml", run, false},
    {"list", "", sk_edge_json_options, "Lists the modules and how they stand.", "", sk_edge_list,
     false},
    {"logs", "MODULE", sk_edge_logs_options, "Prints a module's output.",
     "filter --tail 100 --follow", sk_edge_logs, false},
    {"restart", "MODULE", NULL, "Stops a module and starts it again.", "filter", sk_edge_restart,
     false},
    {"status", "", sk_edge_json_options, "Shows the device, its connection and its deployment.", "",
     sk_edge_status, false},
    {"queues", "", sk_edge_json_options,
     "Shows what waits at the edge hub: for whom, how much, how long.", "", sk_edge_queues, false},
    {"page", "", NULL, "Prints the address of the local page, with its key.", "", sk_edge_page,
     false},
    {"check", "", sk_edge_check_options,
     "Looks for what is wrong with the configuration, the way to the hub and the running edge.",
     "--verbose", sk_edge_check, false},
    {"check-list", "", NULL, "Prints the checks.", "", sk_edge_check_list, true},
    {"support-bundle", "", sk_edge_bundle_options,
     "Packs logs, checks and states into one archive, without secrets.",
     "--since \"1 day\" --output bundle.zip", sk_edge_support_bundle, false},
    {"route explain", "DEVICE", sk_edge_explain_options,
     "Tells what the edge hub's routes make of a message, and why.",
     "edge1 --module sim --output out --body '{\"temperature\":25}'", sk_edge_route_explain, false},
    {"queue purge", "QUEUE", NULL, "Gives up all that waits in a queue.", "12", sk_edge_queue_purge,
     false},
    {"config apply", "", NULL,
     "Says what counts in config.toml, and restarts the edge if nothing is wrong.",
     "--config /etc/aziot/config.toml", sk_edge_config_apply, false},
    {"config mp", "", sk_edge_mp_options,
     "Writes a config.toml for manual provisioning with a connection string.",
     "--connection-string 'HostName=…;DeviceId=…;SharedAccessKey=…'", sk_edge_config_mp, true},
    {"config import", "", sk_edge_import_options,
     "Makes a config.toml of the config.yaml of IoT Edge 1.0 and 1.1.",
     "--config-file /etc/iotedge/config.yaml", sk_edge_config_import, true},
    {"config show", "", NULL,
     "Prints the file as it was read, as JSON and without the device's key; `run` takes that in "
     "its place.",
     "", show, true},
    {"system status", "", NULL, "Shows how the services stand.", "", sk_edge_system, false},
    {"system restart", "", NULL, "Restarts them.", "", sk_edge_system, false},
    {"system stop", "", NULL, "Stops them.", "", sk_edge_system, false},
    {"system logs", "", NULL, "Prints the end of their logs.", "", sk_edge_system, false},
    {"system reprovision", "", NULL, "Asks the hub for this device's identity anew.", "",
     sk_edge_system, false},
    {"version", "", NULL, "Prints the version.", "", sk_edge_version, true},
    {"reference", "", NULL, "Prints every key of config.toml.", "", reference, true},
    {0}};

static const struct sk_program skerry_edge = {
    .name = "skerry-edge",
    .title = "an edge runtime that speaks Azure IoT Edge's protocols",
    .notes = "The configuration is Azure's config.toml, /etc/aziot/config.toml.",
    .example = "skerry-edge run --config /etc/aziot/config.toml",
    .commands = commands,
    .everywhere = sk_service_options};

/* What the commands need of the configuration. */
static enum sk_status load(struct sk_edge_command *command) {
    int (*does)(void *) = command->typed.command->run;
    bool warns = does == run || does == sk_edge_check || does == sk_edge_config_apply;
    char error[SK_EDGE_CONFIG_ERROR_MAX];
    enum sk_status loaded =
        sk_edge_config_load(command->file, warns, false, &command->config, &command->told, error);
    if (loaded) fprintf(stderr, "skerry-edge: %s\n", error);
    return loaded;
}

int main(int argc, char **argv) {
    struct edge edge = {0};
    struct sk_edge_command *command = &edge.command;
    (void)argc;
    int code = sk_command_read(&skerry_edge, argv, &command->typed);
    if (code >= 0) return code;
    sk_typed_log(&command->typed);
    command->file = sk_typed_option(&command->typed, "config");
    if (command->file == NULL) command->file = "/etc/aziot/config.toml";
    if (!command->typed.command->alone && load(command)) return SK_EXIT_REFUSED;
    code = command->typed.command->run(&edge);
    sk_edge_config_free(&command->config);
    sk_buffer_free(&command->told);
    return code;
}
