/* skerry-hub: init, run, check. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>

#include "hub/server/server.h"
#include "io/privilege.h"
#include "io/process.h"

static const char help[] =
    "skerry-hub — a self-hosted IoT hub that speaks Azure IoT Hub's protocols\n"
    "\n"
    "  skerry-hub init DIR [--hostname H]… [--hub NAME]… [--listen ADDRESS[:PORT]]… [--metrics ADDRESS:PORT] [--json]\n"
    "      makes DIR/hub.toml, a CA, a server certificate and keys; prints the connection strings.\n"
    "      It listens on 0.0.0.0; an ADDRESS without PORT has the ports that SDKs dial: 8883, 5671, 443\n"
    "  skerry-hub run --config DIR/hub.toml [--log-level error|warn|info|debug] [--log-format text|json]\n"
    "      serves until SIGTERM; SIGHUP reads the certificates again. Started as root it goes on as user skerry-hub\n"
    "      (or 61170, where there is none) and gives its data folders to that user; --user NAME for another, root too\n"
    "  skerry-hub check --config DIR/hub.toml [--json]\n"
    "      checks the configuration and says what counts\n"
    "  skerry-hub reference\n"
    "      prints every key of hub.toml, as docs/reference/hub.toml.md\n"
    "\n"
    "Example:\n"
    "  skerry-hub init /var/lib/skerry --hostname hub.local && skerry-hub run --config /var/lib/skerry/hub.toml\n";

/* Of a range that neither Debian nor systemd gives to anybody (docs/decisions/0014-…). */
enum { HUB_UID = 61170 };
enum { FINE = 0, REFUSED = 1, USAGE = 2, LIST_MAX = 32 };

struct options {
    const char *host_names[LIST_MAX], *hubs[LIST_MAX], *addresses[LIST_MAX];
    size_t host_name_count, hub_count, address_count;
    const char *metrics, *config, *folder, *user;
    bool json;
};

static int usage(const char *sentence) {
    fprintf(stderr, "skerry-hub: %s; see skerry-hub --help\n", sentence);
    return USAGE;
}

static bool add(const char *list[LIST_MAX], size_t *count, const char *value) {
    if (*count == LIST_MAX) return false;
    list[(*count)++] = value;
    return true;
}

static bool read_options(int argc, char **argv, struct options *o) {
    static const struct option names[] = {{"hostname", required_argument, NULL, 'H'},
                                          {"hub", required_argument, NULL, 'n'},
                                          {"listen", required_argument, NULL, 'l'},
                                          {"metrics", required_argument, NULL, 'm'},
                                          {"config", required_argument, NULL, 'c'},
                                          {"user", required_argument, NULL, 'u'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"log-level", required_argument, NULL, 'L'},
                                          {"log-format", required_argument, NULL, 'F'},
                                          {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "c:", names, NULL)) != -1;) {
        bool fine = true;
        switch (c) {
        case 'H': fine = add(o->host_names, &o->host_name_count, optarg); break;
        case 'n': fine = add(o->hubs, &o->hub_count, optarg); break;
        case 'l': fine = add(o->addresses, &o->address_count, optarg); break;
        case 'm': o->metrics = optarg; break;
        case 'c': o->config = optarg; break;
        case 'u': o->user = optarg; break;
        case 'j': o->json = true; break;
        case 'L': fine = sk_note_level_parse(optarg); break;
        case 'F':
            sk_note_json(strcmp(optarg, "json") == 0);
            fine = strcmp(optarg, "json") == 0 || strcmp(optarg, "text") == 0;
            break;
        default: return false;
        }
        if (!fine) {
            fprintf(stderr, "skerry-hub: '%s' is not a usable value\n", optarg);
            return false;
        }
    }
    if (optind < argc) o->folder = argv[optind++];
    return optind == argc;
}

static int refuse(const char *reason) {
    fprintf(stderr, "skerry-hub: %s\n", reason);
    return REFUSED;
}

static void print_strings(struct sk_span json, bool as_json) {
    if (as_json) {
        printf("%.*s\n", SK_ARG(json));
        return;
    }
    json_t *document = json_loadb(json.p, json.n, 0, NULL), *hub;
    size_t i;
    json_array_foreach(json_object_get(document, "hubs"), i, hub) {
        const char *policy;
        json_t *text;
        printf("hub %s\n", json_string_value(json_object_get(hub, "name")));
        json_object_foreach(json_object_get(hub, "connectionStrings"), policy, text)
            printf("  %-18s %s\n", policy, json_string_value(text));
        printf("  Event Hubs-compatible endpoint\n");
        json_object_foreach(json_object_get(hub, "eventHubs"), policy, text)
            printf("  %-18s %s\n", policy, json_string_value(text));
    }
    json_decref(document);
}

static int init(struct sk_io *io, struct options *o) {
    if (o->folder == NULL) return usage("init needs a folder");
    if (o->host_name_count == 0) add(o->host_names, &o->host_name_count, "localhost");
    if (o->hub_count == 0) add(o->hubs, &o->hub_count, "hub");
    if (o->address_count == 0) { /* the ports that SDKs dial: MQTT, AMQP, HTTPS and WebSockets */
        add(o->addresses, &o->address_count, "0.0.0.0:8883");
        add(o->addresses, &o->address_count, "0.0.0.0:5671");
        add(o->addresses, &o->address_count, "0.0.0.0:443");
    }
    struct sk_buffer json = {0};
    char reason[SK_HUB_CONFIG_ERROR_MAX];
    enum sk_status status = sk_hub_init(io,
                                        &(struct sk_hub_init){.folder = o->folder,
                                                              .host_names = o->host_names,
                                                              .host_name_count = o->host_name_count,
                                                              .hubs = o->hubs,
                                                              .hub_count = o->hub_count,
                                                              .addresses = o->addresses,
                                                              .address_count = o->address_count,
                                                              .metrics = o->metrics},
                                        &json, reason);
    if (!status) print_strings(sk_buffer_span(&json), o->json);
    if (!status && !o->json) printf("next: skerry-hub run --config %s/hub.toml\n", o->folder);
    sk_buffer_free(&json);
    return status ? refuse(reason) : FINE;
}

/* What holds keys: the configuration (of policies), the server's key. */
static void for_each_secret(const struct sk_hub_config *config, const char *file,
                            void (*each)(void *arg, const char *path, unsigned mode), void *arg) {
    each(arg, file, 0600);
    if (config->key) each(arg, config->key, 0640); /* often shared with a group, as ssl-cert */
    for (size_t i = 0; i < config->hub_count; i++) each(arg, config->hubs[i].data, 0700);
}

static void protect(void *arg, const char *path, unsigned mode) {
    sk_path_protect(arg, path, mode);
}

static void warn_of_mode(void *arg, const char *path, unsigned mode) {
    if (sk_path_beyond(arg, path, mode))
        fprintf(stderr,
                "skerry-hub: warning: %s holds keys and can be read by others; chmod %o %s\n", path,
                mode, path);
}

static int check(struct sk_io *io, const struct options *o) {
    struct sk_hub_config config;
    char reason[SK_HUB_CONFIG_ERROR_MAX];
    struct sk_buffer told = {0}, json = {0};
    enum sk_status status = sk_hub_config_load(io, o->config, &config, &told, reason);
    if (!status && !o->json) printf("%.*s\n", SK_ARG(sk_buffer_span(&told)));
    sk_buffer_free(&told);
    if (status) return refuse(reason);
    for_each_secret(&config, o->config, warn_of_mode, io);
    sk_hub_connection_strings(&config, &json);
    print_strings(sk_buffer_span(&json), o->json);
    if (!o->json)
        for (size_t i = 0; i < config.hub_count; i++)
            printf("hub %s: data in %s, %zu routes, fallback %s, events kept %llu h\n",
                   config.hubs[i].name, config.hubs[i].data, config.hubs[i].route_count,
                   config.hubs[i].fallback ? "on" : "off",
                   (unsigned long long)(config.hubs[i].retention_us / 3600000000));
    sk_buffer_free(&json);
    sk_hub_config_free(&config);
    return FINE;
}

struct process {
    struct sk_io *io;
    struct sk_hub_server *server;
    bool stopping;
};

static void stopped(void *arg) {
    sk_io_stop(((struct process *)arg)->io);
}

static void on_term(void *arg) {
    struct process *p = arg;
    if (p->stopping) return;
    p->stopping = true;
    SK_INFO("hub", "stopping");
    sk_hub_server_stop(p->server, stopped, p);
}

static void on_hangup(void *arg) {
    char reason[SK_HUB_CONFIG_ERROR_MAX];
    if (sk_hub_server_reload(((struct process *)arg)->server, reason))
        SK_ERROR("hub", "certificates stay as they were: %s", reason);
    else
        SK_INFO("hub", "certificates read again");
}

static bool has_low_port(const struct sk_hub_config *config) {
    bool low = config->metrics.host && config->metrics.port < 1024;
    for (size_t i = 0; i < config->address_count; i++) low |= config->addresses[i].port < 1024;
    return low;
}

/* The user that can get to every hub's data; 0: nobody, or we are not root. */
static enum sk_status find_user(const struct sk_hub_config *config, const struct options *o,
                                uint32_t *uid, uint32_t *gid, char *reason) {
    uint32_t number, group;
    *uid = *gid = 0;
    if (o->user && sk_user_find(o->user, &number, &group)) {
        snprintf(reason, SK_HUB_CONFIG_ERROR_MAX, "there is no user %s on this machine", o->user);
        return SK_NOT_FOUND;
    }
    if (o->user && number == 0) return SK_OK;
    for (size_t i = 0; i < config->hub_count; i++) {
        sk_service_user(o->user ? o->user : "skerry-hub", HUB_UID, config->hubs[i].data, uid, gid);
        if (*uid == 0) break;
    }
    return SK_OK;
}

/* What the configuration names is read later, some of it again at each SIGHUP. */
static enum sk_status keep_reading(const struct sk_hub_config *config) {
    const char *paths[255];
    size_t n = 0;
    paths[n++] = config->certificate;
    paths[n++] = config->key;
    for (size_t i = 0; i < config->hub_count; i++)
        for (size_t j = 0; j < config->hubs[i].ca_file_count && n < 255; j++)
            paths[n++] = config->hubs[i].ca_files[j];
    return sk_keep_reading(paths, n);
}

/* Nothing of root is needed from here on but the files of keep_reading(). */
static enum sk_status let_go(const struct sk_hub_config *config, const struct options *o,
                             char reason[SK_HUB_CONFIG_ERROR_MAX]) {
    uint32_t uid, gid;
    enum sk_status status = find_user(config, o, &uid, &gid, reason);
    for (size_t i = 0; i < config->hub_count && !status; i++)
        if ((status = sk_folder_give(config->hubs[i].data, 0700, uid, gid)))
            snprintf(reason, SK_HUB_CONFIG_ERROR_MAX, "%s cannot be made: %s", config->hubs[i].data,
                     sk_status_text(status));
    if (!status && (status = keep_reading(config)))
        snprintf(reason, SK_HUB_CONFIG_ERROR_MAX, "no process can be made: %s",
                 sk_status_text(status));
    if (!status)
        status = sk_privileges_drop(uid, gid, has_low_port(config) ? SK_KEEP_LOW_PORTS : 0, reason);
    if (!status) sk_sandbox_enter(SK_SANDBOX_SERVER);
    return status;
}

static int run(struct sk_io *io, const struct options *o) {
    struct sk_hub_config config;
    struct process p = {.io = io};
    char reason[SK_HUB_CONFIG_ERROR_MAX];
    if (sk_hub_config_load(io, o->config, &config, NULL, reason)) return refuse(reason);
    for_each_secret(&config, o->config, protect, io);
    enum sk_status status = SK_OK;
    for (size_t i = 0; i < config.hub_count && !status; i++)
        status = sk_folder_claim(config.hubs[i].data, 0700, reason);
    if (!status) for_each_secret(&config, o->config, protect, io);
    if (!status) status = let_go(&config, o, reason);
    if (!status) status = sk_hub_server_start(io, &config, true, &p.server, reason);
    if (!status) {
        sk_io_on_signal(io, SIGTERM, on_term, &p);
        sk_io_on_signal(io, SIGHUP, on_hangup, &p);
        sk_io_watch(io);
        SK_INFO("hub", "ready");
    }
    sk_io_run(io);
    sk_hub_config_free(&config);
    return status ? refuse(reason) : FINE;
}

int main(int argc, char **argv) {
    struct options o = {0};
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        fputs(help, argc < 2 ? stderr : stdout);
        return argc < 2 ? USAGE : FINE;
    }
    if (strcmp(argv[1], "reference") == 0) {
        struct sk_buffer page = {0};
        sk_hub_config_reference(&page);
        fwrite(page.p, 1, page.n, stdout);
        sk_buffer_free(&page);
        return FINE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("skerry-hub %s\n", SK_VERSION);
        return FINE;
    }
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help, stdout);
            return FINE;
        }
    const char *command = argv[1];
    if (!read_options(argc - 1, argv + 1, &o)) return usage("the options are not usable");
    bool makes = strcmp(command, "init") == 0;
    if (!makes && strcmp(command, "run") != 0 && strcmp(command, "check") != 0)
        return usage("the commands are init, run and check");
    if (!makes && o.config == NULL) return usage("--config FILE is missing");
    struct sk_io *io = sk_io_uv_new();
    uint64_t seed;
    sk_io_random(io, &seed, sizeof seed);
    sk_hash_seed(seed);
    int code = makes ? init(io, &o) : strcmp(command, "run") == 0 ? run(io, &o) : check(io, &o);
    sk_io_free(io);
    return code;
}
