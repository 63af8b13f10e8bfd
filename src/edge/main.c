/* skerry-edge: the three roles, forked from one initialised parent, and the commands for people. */
#include <openssl/ssl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>

#include "command/command.h"
#include "edge/agent/agent.h"
#include "edge/commands.h"
#include "edge/confine.h"
#include "edge/daemon/daemon.h"
#include "edge/hub/role.h"
#include "edge/load.h"
#include "io/privilege.h"
#include "io/process.h"

/* ---- roles ---- */

enum { DAEMON, AGENT, HUB, ROLES };

struct edge {
    struct sk_typed typed;
    const char *file;
    struct sk_edge_config config; /* without the device's key */
    struct sk_role_state *states;
    char management_path[SK_SOCKET_PATH_MAX], control_path[SK_SOCKET_PATH_MAX];
    char agent_path[SK_SOCKET_PATH_MAX], hub_path[SK_SOCKET_PATH_MAX];
};

/* One role's process: its loop and how it ends. */
struct role {
    struct sk_io *io;
    struct sk_daemon *daemon;
    struct sk_agent *agent;
    struct sk_edge_hub_role *hub;
    struct sk_tls *tls;
    bool stopping;
};

/* The role has let go of everything: its loop ends by itself when the last connection has closed.
 */
static void stopped(void *arg) {
    (void)arg;
}

static void on_term(void *arg) {
    struct role *role = arg;
    if (role->stopping) return;
    role->stopping = true;
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
    sk_io_run(role->io);
    if (role->tls) sk_tls_free(role->tls);
    sk_io_free(role->io);
    return 0;
}

/* The daemon reads the file again, for the key: the parent and with it the other roles never
 * have it. */
static int run_daemon(void *arg) {
    struct edge *edge = arg;
    struct sk_edge_config own;
    char reason[SK_EDGE_CONFIG_ERROR_MAX] = "";
    enum sk_status status = sk_edge_config_load(edge->file, false, true, &own, NULL, reason);
    bool loaded = status == SK_OK;
    if (loaded && (strcmp(own.hub_host, edge->config.hub_host) != 0 ||
                   strcmp(own.device_id, edge->config.device_id) != 0)) {
        status = SK_INVALID;
        snprintf(reason, sizeof reason, "%.200s is about another device now: restart the edge.",
                 edge->file);
    }
    edge->config.device_key = loaded ? own.device_key : NULL;
    edge->config.device_key_file = loaded ? own.device_key_file : NULL;
    struct role role = {.io = sk_io_uv_new()};
    sk_daemon_move_in(role.io, edge->config.data);
    if (!status) status = sk_edge_confine_daemon(&edge->config, reason);
    if (!status) status = sk_daemon_start(role.io, &edge->config, &role.daemon, reason);
    int code = run_role(&role, "daemon", status, reason);
    if (loaded) sk_edge_config_free(&own);
    return code;
}

static bool hub_running(void *arg, int64_t *started_us, unsigned *restarts) {
    struct sk_role_state *state = arg;
    *started_us = atomic_load(&state->started_us);
    *restarts = atomic_load(&state->restarts);
    return atomic_load(&state->pid) != 0;
}

/* The connection upstream trusts what [skerry] hub_trust names, else the system's certificates. */
static enum sk_status upstream_tls(struct sk_io *io, const struct sk_edge_config *config,
                                   struct sk_tls **tls, char reason[256]) {
    struct sk_buffer trust = {.limit = 256 * 1024};
    enum sk_status status =
        config->hub_trust_file ? sk_file_load(io, config->hub_trust_file, &trust) : SK_OK;
    if (status)
        snprintf(reason, 256, "%.180s cannot be read: %s.", config->hub_trust_file,
                 sk_status_text(status));
    else
        status = sk_tls_new(io, &(struct sk_tls_options){.trust_pem = sk_buffer_span(&trust)}, tls,
                            reason);
    sk_buffer_free(&trust);
    return status;
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

static int run_agent(void *arg) {
    struct edge *edge = arg;
    const struct sk_edge_config *config = &edge->config;
    struct role role = {.io = sk_io_uv_new()};
    char reason[512] = "";
    take_agent_env(config->agent_env);
    enum sk_status status = sk_edge_confine_agent(reason);
    if (!status) status = upstream_tls(role.io, config, &role.tls, reason);
    struct sk_agent_options options = {
        .data = config->data,
        .management_path = edge->management_path,
        .workload_path = edge->agent_path,
        .control_path = edge->control_path,
        .hub_host = config->hub_host,
        .device_id = config->device_id,
        .upstream = config->upstream,
        .tls = role.tls,
        .gateway_host = config->hostname,
        .gateway_port = config->listen[0].port,
        .parent_host = config->parent_hostname,
        .own_users = sk_may_give_files(),
        .hub_running = hub_running,
        .hub_arg = &edge->states[HUB],
    };
    if (!status) status = sk_agent_start(role.io, &options, &role.agent, reason);
    return run_role(&role, "agent", status, reason);
}

static enum sk_status let_go(void *arg, char reason[512]) {
    return sk_edge_confine_hub(arg, reason);
}

static int run_hub(void *arg) {
    struct edge *edge = arg;
    const struct sk_edge_config *config = &edge->config;
    struct role role = {.io = sk_io_uv_new()};
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
        .metrics = config->metrics.host ? &config->metrics : NULL,
        .limits = config->limits,
        .let_go = let_go,
        .let_go_arg = &edge->config,
    };
    sk_io_watch(role.io);
    enum sk_status status = sk_edge_hub_role_start(role.io, &options, &role.hub, reason);
    return run_role(&role, "edge-hub", status, reason);
}

/* What every role would otherwise make for itself, once and shared: library tables, the hash seeds,
 * the mode of the folder above theirs (it may be from before). */
static void initialise(const char *data) {
    uint64_t seed;
    OPENSSL_init_ssl(0, NULL);
    sqlite3_initialize();
    json_object_seed(0);
    struct sk_io *io = sk_io_uv_new();
    sk_io_random(io, &seed, sizeof seed);
    if (sk_path_set_mode(io, data, 0711))
        SK_WARN("start", "modules of other users may not pass through %s", data);
    sk_io_free(io);
    sk_hash_seed(seed);
}

static int run(void *arg) {
    struct edge *edge = arg;
    char why[256], reason[512];
    if (sk_folder_claim(edge->config.data, 0711, why)) { /* before there are roles: all keep it */
        fprintf(stderr, "skerry-edge: %s\n", why);
        return SK_EXIT_REFUSED;
    }
    edge->states = sk_role_states(ROLES);
    if (edge->states == NULL) {
        fputs("skerry-edge: there is no memory for the roles\n", stderr);
        return SK_EXIT_REFUSED;
    }
    const char *data = edge->config.data;
    sk_daemon_management_path(data, edge->management_path);
    sk_daemon_socket_path(data, SK_SPAN("$edgeAgent"), edge->agent_path);
    sk_daemon_socket_path(data, SK_SPAN("$edgeHub"), edge->hub_path);
    snprintf(edge->control_path, sizeof edge->control_path, "%s/%s", data, SK_CONTROL_SOCKET);
    initialise(data);
    sk_edge_find_users(&edge->config);
    if (sk_edge_confine_parent(reason)) {
        fprintf(stderr, "skerry-edge: %s\n", reason);
        return SK_EXIT_REFUSED;
    }
    const struct sk_role roles[ROLES] = {
        [DAEMON] = {"skerry-daemon", run_daemon, edge, &edge->states[DAEMON]},
        [AGENT] = {"skerry-agent", run_agent, edge, &edge->states[AGENT]},
        [HUB] = {"skerry-edgehub", run_hub, edge, &edge->states[HUB]},
    };
    return sk_roles_run(roles, ROLES);
}

/* ---- the commands ---- */

static bool as_json(const struct edge *edge) {
    return sk_typed_option(&edge->typed, "json") != NULL;
}

static int check(void *arg) {
    return sk_edge_check(&((struct edge *)arg)->config);
}

static int list(void *arg) {
    const struct edge *edge = arg;
    return sk_edge_list(&edge->config, as_json(edge));
}

static int status(void *arg) {
    const struct edge *edge = arg;
    return sk_edge_status(&edge->config, as_json(edge));
}

static int logs(void *arg) {
    enum { LINES_MAX = 1000000 };
    const struct edge *edge = arg;
    int64_t tail = 0;
    if (!sk_typed_number(&edge->typed, "tail", 1, LINES_MAX, &tail)) return SK_EXIT_USAGE;
    return sk_edge_logs(&edge->config, edge->typed.words[0], (unsigned)tail);
}

static int restart(void *arg) {
    const struct edge *edge = arg;
    return sk_edge_restart(&edge->config, edge->typed.words[0]);
}

static int reference(void *arg) {
    struct sk_buffer page = {0};
    (void)arg;
    sk_edge_config_reference(&page);
    fwrite(page.p, 1, page.n, stdout);
    sk_buffer_free(&page);
    return SK_EXIT_FINE;
}

static const struct sk_option_row json_option[] = {
    {"json", NULL, "as JSON, with all that is known", false}, {0}};
static const struct sk_option_row logs_options[] = {{"tail", "LINES", "only the last ones", false},
                                                    {0}};

static const struct sk_command commands[] = {
    {"run", "", NULL, "Runs daemon, agent and hub until SIGTERM.",
     "--config /etc/aziot/config.toml", run, false},
    {"check", "", NULL,
     "Checks the configuration, says what counts, and looks at the way to the hub and the running "
     "edge.",
     "", check, false},
    {"list", "", json_option, "Lists the modules and how they stand.", "", list, false},
    {"status", "", json_option, "Shows the device, its connection and its deployment.", "", status,
     false},
    {"logs", "MODULE", logs_options, "Prints a module's output.", "filter --tail 100", logs, false},
    {"restart", "MODULE", NULL, "Stops a module and starts it again.", "filter", restart, false},
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
static enum sk_status load(struct edge *edge) {
    bool checks = edge->typed.command->run == check, runs = edge->typed.command->run == run;
    char error[SK_EDGE_CONFIG_ERROR_MAX];
    struct sk_buffer told = {0};
    enum sk_status loaded = sk_edge_config_load(edge->file, checks || runs, false, &edge->config,
                                                checks ? &told : NULL, error);
    if (loaded)
        fprintf(stderr, "skerry-edge: %s\n", error);
    else if (checks)
        printf("%.*s\n", SK_ARG(sk_buffer_span(&told)));
    sk_buffer_free(&told);
    return loaded;
}

int main(int argc, char **argv) {
    struct edge edge = {0};
    (void)argc;
    int code = sk_command_read(&skerry_edge, argv, &edge.typed);
    if (code >= 0) return code;
    sk_typed_log(&edge.typed);
    edge.file = sk_typed_option(&edge.typed, "config");
    if (edge.file == NULL) edge.file = "/etc/aziot/config.toml";
    if (!edge.typed.command->alone && load(&edge)) return SK_EXIT_REFUSED;
    code = edge.typed.command->run(&edge);
    sk_edge_config_free(&edge.config);
    return code;
}
