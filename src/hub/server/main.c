/* skerry-hub: its commands, and what a process of its own does for the server. */
#include <signal.h>
#include <stdio.h>

#include "command/command.h"
#include "hub/server/server.h"
#include "io/privilege.h"
#include "io/process.h"

/* Of a range that neither Debian nor systemd gives to anybody (docs/decisions/0014-…). */
enum { HUB_UID = 61170 };
enum { LIST_MAX = 32 };
enum { RELOAD_MS = 200 /* from one reload to the next */ };

/* One run of it. */
struct program {
    struct sk_typed typed;
    struct sk_io *io;
    const char *file; /* the configuration */
};

static int refuse(const char *reason) {
    fprintf(stderr, "skerry-hub: %s\n", reason);
    return SK_EXIT_REFUSED;
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

static int init(void *arg) {
    struct program *p = arg;
    const struct sk_typed *typed = &p->typed;
    const char *hosts[LIST_MAX] = {"localhost"}, *hubs[LIST_MAX] = {"hub"};
    /* The ports that SDKs dial: MQTT, AMQP, HTTPS and WebSockets. */
    const char *addresses[LIST_MAX] = {"0.0.0.0:8883", "0.0.0.0:5671", "0.0.0.0:443"};
    size_t host_count = sk_typed_all(typed, "hostname", hosts, LIST_MAX);
    size_t hub_count = sk_typed_all(typed, "hub", hubs, LIST_MAX);
    size_t address_count = sk_typed_all(typed, "listen", addresses, LIST_MAX);
    bool as_json = sk_typed_option(typed, "json") != NULL;
    if (host_count > LIST_MAX || hub_count > LIST_MAX || address_count > LIST_MAX)
        return sk_typed_usage(typed, "an option is there more than %d times", LIST_MAX);
    struct sk_buffer json = {0};
    char reason[SK_HUB_CONFIG_ERROR_MAX];
    struct sk_hub_init options = {.folder = typed->words[0],
                                  .host_names = hosts,
                                  .host_name_count = host_count ? host_count : 1,
                                  .hubs = hubs,
                                  .hub_count = hub_count ? hub_count : 1,
                                  .addresses = addresses,
                                  .address_count = address_count ? address_count : 3,
                                  .metrics = sk_typed_option(typed, "metrics")};
    enum sk_status status = sk_hub_init(p->io, &options, &json, reason);
    if (!status) print_strings(sk_buffer_span(&json), as_json);
    if (!status && !as_json) printf("next: skerry-hub run --config %s/hub.toml\n", options.folder);
    sk_buffer_free(&json);
    return status ? refuse(reason) : SK_EXIT_FINE;
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

static int check(void *arg) {
    struct program *p = arg;
    struct sk_hub_config config;
    char reason[SK_HUB_CONFIG_ERROR_MAX];
    struct sk_buffer told = {0}, json = {0};
    bool as_json = sk_typed_option(&p->typed, "json") != NULL;
    enum sk_status status = sk_hub_config_load(p->io, p->file, &config, &told, reason);
    if (!status && !as_json) printf("%.*s\n", SK_ARG(sk_buffer_span(&told)));
    sk_buffer_free(&told);
    if (status) return refuse(reason);
    for_each_secret(&config, p->file, warn_of_mode, p->io);
    sk_hub_connection_strings(&config, &json);
    print_strings(sk_buffer_span(&json), as_json);
    sk_buffer_free(&json);
    sk_hub_config_free(&config);
    return SK_EXIT_FINE;
}

/* The file is checked here, too: so a mistake is told where it can be mended. */
static int reload(void *arg) {
    struct program *p = arg;
    struct sk_hub_config config;
    char reason[SK_HUB_CONFIG_ERROR_MAX];
    long pid;
    if (sk_hub_config_load(p->io, p->file, &config, NULL, reason)) return refuse(reason);
    const char *data = config.hubs[0].data;
    enum sk_status status = sk_folder_holder_signal(data, SIGHUP, &pid);
    if (status == SK_NOT_FOUND)
        snprintf(reason, sizeof reason,
                 "no process serves %s; start one: skerry-hub run --config %s", data, p->file);
    else if (status)
        snprintf(reason, sizeof reason,
                 "the process that serves %s is another user's; reload as that user or as root",
                 data);
    else
        printf("process %ld reads it again; its log says what came of it\n", pid);
    sk_hub_config_free(&config);
    return status ? refuse(reason) : SK_EXIT_FINE;
}

static int back_up(void *arg) {
    struct program *p = arg;
    struct sk_hub_config config;
    char reason[SK_HUB_CONFIG_ERROR_MAX];
    const char *folder = p->typed.words[0];
    if (sk_hub_config_load(p->io, p->file, &config, NULL, reason)) return refuse(reason);
    enum sk_status status = sk_hub_backup(p->io, &config, folder, reason);
    if (!status)
        printf("%s holds %zu hub%s\n", folder, config.hub_count, config.hub_count == 1 ? "" : "s");
    sk_hub_config_free(&config);
    return status ? refuse(reason) : SK_EXIT_FINE;
}

static int restore(void *arg) {
    struct program *p = arg;
    struct sk_hub_config config;
    char reason[SK_HUB_CONFIG_ERROR_MAX];
    if (sk_hub_config_load(p->io, p->file, &config, NULL, reason)) return refuse(reason);
    enum sk_status status = SK_OK;
    for (size_t i = 0; i < config.hub_count && !status; i++)
        status = sk_folder_claim(config.hubs[i].data, 0700, reason);
    if (!status) status = sk_hub_restore(p->io, &config, p->typed.words[0], reason);
    if (!status) printf("next: skerry-hub run --config %s\n", p->file);
    sk_hub_config_free(&config);
    return status ? refuse(reason) : SK_EXIT_FINE;
}

struct process {
    struct sk_io *io;
    struct sk_hub_server *server;
    struct sk_timer reload; /* until the next one may be */
    bool stopping, reload_again;
};

static void stopped(void *arg) {
    sk_io_stop(((struct process *)arg)->io);
}

static void on_term(void *arg) {
    struct process *p = arg;
    if (p->stopping) return;
    p->stopping = true;
    sk_timer_stop(&p->reload);
    SK_INFO("hub", "stopping");
    sk_hub_server_stop(p->server, stopped, p);
}

static void reload_now(struct process *p);

static void on_reload_again(struct sk_timer *timer) {
    struct process *p = SK_CONTAINER(timer, struct process, reload);
    if (p->reload_again) reload_now(p);
}

static void reload_now(struct process *p) {
    char reason[SK_HUB_CONFIG_ERROR_MAX];
    if (sk_hub_server_reload(p->server, reason))
        SK_ERROR("hub", "the configuration stays as it was: %s", reason);
    else
        SK_INFO("hub", "configuration and certificates read again");
    p->reload_again = false;
    sk_timer_start(p->io, &p->reload, RELOAD_MS * SK_MS, on_reload_again);
}

/* Many signals are one reload behind the last of them: each reads and checks all. */
static void on_hangup(void *arg) {
    struct process *p = arg;
    if (p->stopping) return;
    p->reload_again = true;
    if (!sk_timer_running(&p->reload)) reload_now(p);
}

static bool has_low_port(const struct sk_hub_config *config) {
    bool low = config->metrics.host && config->metrics.port < 1024;
    for (size_t i = 0; i < config->address_count; i++) low |= config->addresses[i].port < 1024;
    return low;
}

/* The user that can get to every hub's data; 0: nobody, or we are not root. */
static enum sk_status find_user(const struct sk_hub_config *config, const char *user, uint32_t *uid,
                                uint32_t *gid, char *reason) {
    uint32_t number, group;
    *uid = *gid = 0;
    if (user && sk_user_find(user, &number, &group)) {
        snprintf(reason, SK_HUB_CONFIG_ERROR_MAX, "there is no user %s on this machine", user);
        return SK_NOT_FOUND;
    }
    if (user && number == 0) return SK_OK;
    for (size_t i = 0; i < config->hub_count; i++) {
        sk_service_user(user ? user : "skerry-hub", HUB_UID, config->hubs[i].data, uid, gid);
        if (*uid == 0) break;
    }
    return SK_OK;
}

/* What the configuration names is read later, some of it again at each SIGHUP. */
static enum sk_status keep_reading(const struct sk_hub_config *config) {
    const char *paths[255];
    size_t n = 0;
    paths[n++] = config->file;
    paths[n++] = config->certificate;
    paths[n++] = config->key;
    for (size_t i = 0; i < config->hub_count; i++)
        for (size_t j = 0; j < config->hubs[i].ca_file_count && n < 255; j++)
            paths[n++] = config->hubs[i].ca_files[j];
    for (size_t i = 0; i < config->hub_count; i++)
        for (size_t j = 0; j < config->hubs[i].endpoint_count && n < 255; j++)
            if (config->hubs[i].endpoints[j].ca_file)
                paths[n++] = config->hubs[i].endpoints[j].ca_file;
    sk_keep_writing(config->file, sk_hub_may_become);
    return sk_keep_reading(paths, n);
}

static void give_new(const char *folder, unsigned mode, uint32_t uid, uint32_t gid) {
    if (folder && sk_path_owner(folder) == UINT32_MAX) sk_folder_give(folder, mode, uid, gid);
}

/* Folders that endpoints and records write into, where they are not there yet. One that is there
 * stays whose it is. */
static void give_folders(const struct sk_hub_options *hub, uint32_t uid, uint32_t gid) {
    for (size_t i = 0; i < hub->endpoint_count; i++)
        give_new(sk_hub_endpoint_folder(&hub->endpoints[i]), 0755, uid, gid);
    give_new(hub->records.folder, 0700, uid, gid);
}

/* Nothing of root is needed from here on but the files of keep_reading(). */
static enum sk_status let_go(const struct sk_hub_config *config, const char *user,
                             char reason[SK_HUB_CONFIG_ERROR_MAX]) {
    uint32_t uid, gid;
    enum sk_status status = find_user(config, user, &uid, &gid, reason);
    for (size_t i = 0; i < config->hub_count && !status; i++)
        if ((status = sk_folder_give(config->hubs[i].data, 0700, uid, gid)))
            snprintf(reason, SK_HUB_CONFIG_ERROR_MAX, "%s cannot be made: %s", config->hubs[i].data,
                     sk_status_text(status));
    for (size_t i = 0; i < config->hub_count && !status; i++)
        give_folders(&config->hubs[i], uid, gid);
    if (!status && (status = keep_reading(config)))
        snprintf(reason, SK_HUB_CONFIG_ERROR_MAX, "no process can be made: %s",
                 sk_status_text(status));
    if (!status)
        status = sk_privileges_drop(uid, gid, has_low_port(config) ? SK_KEEP_LOW_PORTS : 0, reason);
    if (!status) sk_sandbox_enter(SK_SANDBOX_SERVER);
    return status;
}

static int run(void *arg) {
    const struct program *program = arg;
    struct sk_io *io = program->io;
    struct sk_hub_config config;
    struct process p = {.io = io};
    char reason[SK_HUB_CONFIG_ERROR_MAX];
    if (sk_hub_config_load(io, program->file, &config, NULL, reason)) return refuse(reason);
    for_each_secret(&config, program->file, protect, io);
    enum sk_status status = SK_OK;
    for (size_t i = 0; i < config.hub_count && !status; i++)
        status = sk_folder_claim(config.hubs[i].data, 0700, reason);
    if (!status) for_each_secret(&config, program->file, protect, io);
    if (!status) status = let_go(&config, sk_typed_option(&program->typed, "user"), reason);
    if (!status) status = sk_hub_server_start(io, &config, true, &p.server, reason);
    if (!status) {
        sk_io_on_signal(io, SIGTERM, on_term, &p);
        sk_io_on_signal(io, SIGHUP, on_hangup, &p);
        sk_io_watch(io);
        SK_INFO("hub", "ready");
    }
    sk_io_run(io);
    sk_hub_config_free(&config);
    return status ? refuse(reason) : SK_EXIT_FINE;
}

static int reference(void *arg) {
    const struct program *p = arg;
    struct sk_buffer page = {0};
    if (sk_typed_option(&p->typed, "metrics"))
        sk_hub_metrics_reference(&page);
    else
        sk_hub_config_reference(&page);
    fwrite(page.p, 1, page.n, stdout);
    sk_buffer_free(&page);
    return SK_EXIT_FINE;
}

/* ---- its commands ---- */

static const struct sk_option_row init_options[] = {
    {"hostname", "HOST", "a name or address that it answers to: localhost", true},
    {"hub", "NAME", "a hub: hub", true},
    {"listen", "ADDRESS[:PORT]",
     "where it listens: 0.0.0.0; without a port those that SDKs dial: 8883, 5671, 443", true},
    {"metrics", "ADDRESS:PORT", "where /metrics and /health/… are", false},
    {"json", NULL, "the connection strings as JSON", false},
    {0}};
static const struct sk_option_row run_options[] = {
    {"user", "NAME",
     "who it goes on as when started as root: skerry-hub, or 61170 where there is none", false},
    {0}};
static const struct sk_option_row check_options[] = {
    {"json", NULL, "the connection strings as JSON, nothing else", false}, {0}};

static const struct sk_option_row reference_options[] = {
    {"metrics", NULL, "every metric instead, with Azure's name for it", false}, {0}};

static const struct sk_command commands[] = {
    {"init", "DIR", init_options,
     "Makes DIR/hub.toml, a CA, a server certificate and keys; prints the connection strings.",
     "/var/lib/skerry --hostname hub.local", init, true},
    {"run", "", run_options,
     "Serves until SIGTERM; SIGHUP reads configuration and certificates again. As root it gives "
     "its data to its user.",
     "--config /var/lib/skerry/hub.toml", run, false},
    {"check", "", check_options, "Checks the configuration and says what counts.",
     "--config /var/lib/skerry/hub.toml", check, false},
    {"reload", "", NULL,
     "Checks the configuration and has the hub that runs by it read it again, as SIGHUP does.",
     "--config /var/lib/skerry/hub.toml", reload, false},
    {"backup", "FOLDER", NULL,
     "Copies the data and the configuration of hubs, which may be running, into a new folder.",
     "/backup/monday --config /var/lib/skerry/hub.toml", back_up, false},
    {"restore", "FOLDER", NULL,
     "Brings a backup's data back to where the configuration wants it, which must be empty.",
     "/backup/monday --config /var/lib/skerry/hub.toml", restore, false},
    {"reference", "", reference_options, "Prints every key of hub.toml.", "", reference, true},
    {0}};

static const struct sk_program skerry_hub = {
    .name = "skerry-hub",
    .title = "a self-hosted IoT hub that speaks Azure IoT Hub's protocols",
    .example = "skerry-hub init /var/lib/skerry --hostname hub.local && "
               "skerry-hub run --config /var/lib/skerry/hub.toml",
    .commands = commands,
    .everywhere = sk_service_options};

int main(int argc, char **argv) {
    struct program p = {0};
    uint64_t seed;
    (void)argc;
    int code = sk_command_read(&skerry_hub, argv, &p.typed);
    if (code >= 0) return code;
    sk_typed_log(&p.typed);
    p.file = sk_typed_option(&p.typed, "config");
    if (!p.typed.command->alone && p.file == NULL)
        return sk_typed_usage(&p.typed, "--config FILE is missing");
    p.io = sk_io_uv_new();
    sk_io_random(p.io, &seed, sizeof seed);
    sk_hash_seed(seed);
    code = p.typed.command->run(&p);
    sk_io_free(p.io);
    return code;
}
