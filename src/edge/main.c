/* skerry-edge: the three roles, forked from one initialised parent, and the commands for people. */
#include <getopt.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>

#include "edge/agent/agent.h"
#include "edge/commands.h"
#include "edge/confine.h"
#include "edge/daemon/daemon.h"
#include "edge/hub/role.h"
#include "edge/load.h"
#include "io/privilege.h"
#include "io/process.h"

static const char help[] =
    "skerry-edge — an edge runtime that speaks Azure IoT Edge's protocols\n"
    "\n"
    "  skerry-edge run [--config FILE]           runs daemon, agent and hub until SIGTERM\n"
    "  skerry-edge check [--config FILE]         checks the configuration, the way to the hub and the running edge\n"
    "  skerry-edge list [--json]                 the modules and how they stand\n"
    "  skerry-edge status [--json]               the device, its connection and its deployment\n"
    "  skerry-edge logs MODULE [--tail N]        a module's output\n"
    "  skerry-edge restart MODULE                stops a module and starts it again\n"
    "  skerry-edge reference                     prints every key of config.toml\n"
    "  --config FILE      Azure's config.toml; default /etc/aziot/config.toml\n"
    "  --log-level error|warn|info|debug   --log-format text|json\n"
    "\n"
    "Example:\n"
    "  skerry-edge run --config /etc/aziot/config.toml\n";

struct options {
    const char *command, *config, *module;
    unsigned tail;
    bool json;
};

static int usage(const char *sentence) {
    fprintf(stderr, "skerry-edge: %s; see skerry-edge --help\n", sentence);
    return SK_EXIT_USAGE;
}

static bool read_options(int argc, char **argv, struct options *o) {
    static const struct option names[] = {
        {"config", required_argument, NULL, 'c'},     {"json", no_argument, NULL, 'j'},
        {"tail", required_argument, NULL, 't'},       {"log-level", required_argument, NULL, 'L'},
        {"log-format", required_argument, NULL, 'F'}, {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "c:", names, NULL)) != -1;) {
        int64_t number;
        bool fine = true;
        switch (c) {
        case 'c': o->config = optarg; break;
        case 'j': o->json = true; break;
        case 't':
            fine = sk_span_to_int(sk_span_z(optarg), &number) == SK_OK && number > 0 &&
                   number <= 1000000;
            if (fine) o->tail = (unsigned)number;
            break;
        case 'L': fine = sk_note_level_parse(optarg); break;
        case 'F':
            sk_note_json(strcmp(optarg, "json") == 0);
            fine = strcmp(optarg, "json") == 0 || strcmp(optarg, "text") == 0;
            break;
        default: return false;
        }
        if (!fine) {
            fprintf(stderr, "skerry-edge: '%s' is not a usable value\n", optarg);
            return false;
        }
    }
    if (optind < argc) o->module = argv[optind++];
    return optind == argc;
}

/* ---- roles ---- */

enum { DAEMON, AGENT, HUB, ROLES };

struct edge {
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

/* The daemon reads the file again, for the key: the parent and with it the other roles never have it. */
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

static int run(struct edge *edge) {
    char why[256], reason[512];
    if (sk_folder_claim(edge->config.data, 0711, why)) { /* before there are roles: all keep it */
        fprintf(stderr, "skerry-edge: %s\n", why);
        return SK_EXIT_REFUSED;
    }
    edge->states = sk_role_states(ROLES);
    if (edge->states == NULL) return usage("there is no memory for the roles");
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

int main(int argc, char **argv) {
    struct options o = {.config = "/etc/aziot/config.toml"};
    struct edge edge = {0};
    char error[SK_EDGE_CONFIG_ERROR_MAX];
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || (i == 1 && strcmp(argv[i], "help") == 0)) {
            fputs(help, stdout);
            return SK_EXIT_FINE;
        }
    if (argc < 2) {
        fputs(help, stderr);
        return SK_EXIT_USAGE;
    }
    if (strcmp(argv[1], "reference") == 0) {
        struct sk_buffer page = {0};
        sk_edge_config_reference(&page);
        fwrite(page.p, 1, page.n, stdout);
        sk_buffer_free(&page);
        return SK_EXIT_FINE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("skerry-edge %s\n", SK_VERSION);
        return SK_EXIT_FINE;
    }
    o.command = argv[1];
    if (!read_options(argc - 1, argv + 1, &o)) return usage("the options are not usable");
    static const char *const commands[] = {"run", "check", "list", "status", "logs", "restart"};
    size_t command = 0;
    while (command < 6 && strcmp(o.command, commands[command]) != 0) command++;
    if (command == 6) return usage("the commands are run, check, list, status, logs and restart");
    if ((command >= 4) != (o.module != NULL))
        return usage(o.module ? "there is an argument too many" : "the module's name is missing");
    edge.file = o.config;
    struct sk_buffer told = {0};
    enum sk_status status = sk_edge_config_load(o.config, command < 2, false, &edge.config,
                                                command == 1 ? &told : NULL, error);
    if (!status && command == 1) printf("%.*s\n", SK_ARG(sk_buffer_span(&told)));
    sk_buffer_free(&told);
    if (status) {
        fprintf(stderr, "skerry-edge: %s\n", error);
        return SK_EXIT_REFUSED;
    }
    int code = command == 0   ? run(&edge)
               : command == 1 ? sk_edge_check(&edge.config)
               : command == 2 ? sk_edge_list(&edge.config, o.json)
               : command == 3 ? sk_edge_status(&edge.config, o.json)
               : command == 4 ? sk_edge_logs(&edge.config, o.module, o.tail)
                              : sk_edge_restart(&edge.config, o.module);
    sk_edge_config_free(&edge.config);
    return code;
}
