/* The daemon in the simulated world: a hub that answers as scripted, the daemon's machine, and
 * modules as other processes on it. */
#include <stdio.h>

#include <jansson.h>

#include "net/http_client.h"
#include "net/http_server.h"
#include "device/workload.h"
#include "edge/daemon/daemon.h"
#include "io/sim/sim.h"
#include "wire/http_router.h"
#include "trust/sas.h"
#include "trust/x509.h"
#include "support/test.h"

#define DEVICE_KEY "MDEyMzQ1Njc4OWFiY2RlZg=="

static struct sk_sim *sim;
static struct sk_io *hub_io, *edge_io;
static struct sk_edge_config config;
static struct sk_daemon *sk_daemon;
static char reason[256];

/* ---- a hub with a module registry in one JSON object ---- */

static struct {
    json_t *modules;
    unsigned puts, next_generation, expired;
    struct sk_tls *tls;
    struct sk_http_listener *listener;
} hub;

static const struct sk_http_route hub_routes[] = {{SK_HTTP_GET, "/devices/{}/modules/{}", 0},
                                                  {SK_HTTP_PUT, "/devices/{}/modules/{}", 1},
                                                  {SK_HTTP_DELETE, "/devices/{}/modules/{}", 2}};

static void answer_json(struct sk_http_exchange *exchange, unsigned status, const json_t *json) {
    char *text = json_dumps(json, 0);
    sk_http_respond_json(exchange, status, sk_span_z(text));
    free(text);
}

static void hub_handle(void *arg, struct sk_http_exchange *exchange) {
    (void)arg;
    struct sk_http_match match;
    struct sk_sas sas;
    char name[64];
    assert_int_equal(sk_http_route(hub_routes, 3, exchange->request->method,
                                   exchange->request->path, &exchange->arena, &match),
                     SK_OK);
    assert_true(sk_span_is(match.captures[0], "edge1"));
    assert_int_equal(
        sk_sas_parse(sk_http_header(exchange->request, "Authorization"), &exchange->arena, &sas),
        SK_OK);
    enum sk_status verified =
        sk_sas_verify(&sas, SK_SPAN(DEVICE_KEY), SK_NONE, sk_io_wall(hub_io) / 1000000);
    if (verified == SK_TIMEOUT) { /* who asks is told the time by Date */
        hub.expired++;
        sk_http_respond(exchange, 401, SK_NONE, SK_NONE);
        return;
    }
    assert_int_equal(verified, SK_OK);
    assert_true(sk_span_is(sas.resource, "hub.example/devices/edge1"));
    snprintf(name, sizeof name, "%.*s", SK_ARG(match.captures[1]));
    json_t *module = json_object_get(hub.modules, name);
    if (match.id == 2) {
        json_object_del(hub.modules, name);
        sk_http_respond(exchange, 204, SK_NONE, SK_NONE);
    } else if (match.id == 0 && module == NULL) {
        sk_http_respond_json(exchange, 404, SK_SPAN("{}"));
    } else if (match.id == 0) {
        answer_json(exchange, 200, module);
    } else {
        json_t *body = json_loadb(exchange->request->body.p, exchange->request->body.n, 0, NULL);
        assert_non_null(body);
        hub.puts++;
        if (module == NULL) {
            char generation[32];
            assert_null(json_object_get(body, "authentication"));
            snprintf(generation, sizeof generation, "63000000000000000%u", hub.next_generation++);
            json_object_set_new(body, "generationId", json_string(generation));
        } else {
            assert_true(sk_span_is(sk_http_header(exchange->request, "If-Match"), "\"*\""));
            json_object_set(body, "generationId", json_object_get(module, "generationId"));
        }
        json_object_set_new(hub.modules, name, body);
        answer_json(exchange, 200, body);
    }
}

static const struct sk_http_service hub_service = {.handler = hub_handle, .body_max = 65536};

static void hub_open(void) {
    struct sk_buffer certificate = {0}, key = {0};
    struct sk_x509_request request = {
        .use = SK_X509_SERVER, .common_name = SK_SPAN("hub.example"), .not_after_s = 4000000000};
    assert_int_equal(sk_x509_make(&request, &certificate, &key), SK_OK);
    assert_int_equal(
        sk_tls_new(hub_io,
                   &(struct sk_tls_options){.server = true,
                                            .certificate_pem = sk_buffer_span(&certificate),
                                            .key_pem = sk_buffer_span(&key)},
                   &hub.tls, reason),
        SK_OK);
    sk_buffer_free(&certificate);
    sk_buffer_free(&key);
    assert_int_equal(sk_http_listen(hub_io, &(struct sk_endpoint){.host = "0.0.0.0", .port = 443},
                                    hub.tls, &hub_service, &hub.listener, NULL),
                     SK_OK);
}

/* ---- asking ---- */

static struct {
    bool done;
    enum sk_status status;
    unsigned http;
    char text[8192];
    size_t n;
    int64_t expires_us;
} answer;

static bool is_done(void *arg) {
    (void)arg;
    return answer.done;
}

static void wait_answer(void) {
    assert_true(sk_sim_run_until(sim, 60 * SK_S, is_done, NULL));
}

static void on_http(void *arg, enum sk_status status, const struct sk_http_parser *http) {
    (void)arg;
    answer.done = true;
    answer.status = status;
    if (http == NULL) return;
    answer.http = http->status;
    answer.n = (size_t)snprintf(answer.text, sizeof answer.text, "%.*s",
                                SK_ARG(sk_buffer_span(&http->body)));
}

/* One request to a unix socket by a process of the edge's machine; the HTTP status, or 0 when there
 * was no answer. */
static unsigned ask(struct sk_io *io, const char *path, enum sk_http_method method,
                    const char *target, const char *body) {
    struct sk_http_client *client;
    memset(&answer, 0, sizeof answer);
    assert_int_equal(
        sk_http_client_new(io, &(struct sk_http_client_options){.to = {.path = path}}, &client),
        SK_OK);
    sk_http_client_send(client, &(struct sk_http_ask){.method = method,
                                                      .target = sk_span_z(target),
                                                      .body = sk_span_z(body),
                                                      .done = on_http});
    wait_answer();
    sk_http_client_free(client);
    sk_sim_run(sim, SK_S);
    return answer.http;
}

static const char *socket_of(const char *module) {
    static char path[SK_SOCKET_PATH_MAX];
    sk_daemon_socket_path(config.data, sk_span_z(module), path);
    return path;
}
static unsigned manage(enum sk_http_method method, const char *target, const char *body) {
    return ask(edge_io, "/d/sockets/management", method, target, body);
}
#define V "?api-version=2022-08-03"

static void start_daemon(void) {
    assert_int_equal(sk_daemon_start(edge_io, &config, &sk_daemon, reason), SK_OK);
    sk_sim_run(sim, SK_S);
}

static int start(void **state) {
    (void)state;
    sim = sk_sim_new(&(struct sk_sim_options){.seed = 3});
    hub_io = sk_sim_node(sim, "hub.example");
    edge_io = sk_sim_node(sim, "edge");
    config = (struct sk_edge_config){
        .hostname = "gw",
        .hub_host = "hub.example",
        .device_id = "edge1",
        .device_key = DEVICE_KEY,
        .edge_ca_own = {.days = 90, .renewal = {.threshold = {.percent = 80}}},
        .cloud_timeout_s = 20,
        .data = "/d",
        .upstream = {.host = "hub.example", .https_port = 443}};
    memset(&hub, 0, sizeof hub);
    hub.modules = json_object();
    hub_open();
    start_daemon();
    return 0;
}

static int end(void **state) {
    (void)state;
    sk_daemon_stop(sk_daemon);
    sk_http_listener_close(hub.listener);
    sk_sim_run(sim, 10 * SK_S);
    sk_tls_free(hub.tls);
    json_decref(hub.modules);
    sk_sim_free(sim);
    return 0;
}

/* ---- stories ---- */

static const char *hub_key(const char *module) {
    return json_string_value(json_object_get(
        json_object_get(json_object_get(json_object_get(hub.modules, module), "authentication"),
                        "symmetricKey"),
        "primaryKey"));
}

AROUND(start, end);

TEST(the_system_modules_get_identities_and_keys_by_themselves) {
    assert_int_equal(hub.puts, 4); /* create and give keys, twice */
    assert_non_null(hub_key("$edgeAgent"));
    assert_non_null(hub_key("$edgeHub"));
    assert_string_not_equal(hub_key("$edgeAgent"), hub_key("$edgeHub"));
    sk_daemon_stop(sk_daemon);
    start_daemon();
    assert_int_equal(hub.puts, 4); /* the hub already has our keys */
}

static void on_token(struct sk_token_ask *ask, enum sk_status status, struct sk_span token) {
    (void)ask;
    answer.done = true;
    answer.status = status;
    answer.n = (size_t)snprintf(answer.text, sizeof answer.text, "%.*s", SK_ARG(token));
}

static struct sk_workload *workload_of(struct sk_io *io, const char *module) {
    struct sk_workload *workload;
    assert_int_equal(
        sk_workload_new(io,
                        &(struct sk_workload_options){.uri = socket_of(module),
                                                      .module_id = sk_span_z(module),
                                                      .generation_id = SK_SPAN("0"),
                                                      .hub_host = SK_SPAN("hub.example"),
                                                      .device_id = SK_SPAN("edge1")},
                        &workload),
        SK_OK);
    return workload;
}

TEST(a_token_signed_by_the_daemon_is_accepted_by_the_hub) {
    struct sk_workload *workload = workload_of(edge_io, "$edgeHub");
    int64_t now_s = sk_io_wall(edge_io) / 1000000;
    memset(&answer, 0, sizeof answer);
    struct sk_token_ask ask = {0};
    sk_token_ask(sk_workload_tokens(workload), &ask, now_s + 3600, on_token);
    assert_false(answer.done);
    wait_answer();
    assert_int_equal(answer.status, SK_OK);
    struct sk_arena arena = {0};
    struct sk_sas sas;
    assert_int_equal(sk_sas_parse(sk_span(answer.text, answer.n), &arena, &sas), SK_OK);
    assert_int_equal(sk_sas_verify(&sas, sk_span_z(hub_key("$edgeHub")), SK_NONE, now_s), SK_OK);
    assert_int_equal(sk_sas_verify(&sas, sk_span_z(hub_key("$edgeAgent")), SK_NONE, now_s),
                     SK_UNAUTHORIZED);
    sk_arena_free(&arena);
    sk_workload_free(workload);
}

TEST(signing_works_without_the_hub_after_a_restart) {
    sk_daemon_stop(sk_daemon);
    sk_sim_partition(hub_io, edge_io, true);
    start_daemon();
    struct sk_workload *workload = workload_of(edge_io, "$edgeHub");
    memset(&answer, 0, sizeof answer);
    struct sk_token_ask ask = {0};
    sk_token_ask(sk_workload_tokens(workload), &ask, 1, on_token);
    wait_answer();
    assert_int_equal(answer.status, SK_OK);
    sk_workload_free(workload);
    /* Answers from memory. */
    assert_int_equal(manage(SK_HTTP_PUT, "/identities/$edgeAgent" V, "{}"), 200);
    sk_sim_partition(hub_io, edge_io, false);
}

TEST(a_daemon_starts_and_signs_and_issues_on_a_full_disk) {
    sk_daemon_stop(sk_daemon);
    sk_sim_disk_limit(edge_io, 0);
    start_daemon();
    struct sk_workload *workload = workload_of(edge_io, "$edgeHub");
    memset(&answer, 0, sizeof answer);
    struct sk_token_ask ask_token = {0};
    sk_token_ask(sk_workload_tokens(workload), &ask_token, 1, on_token);
    wait_answer();
    assert_int_equal(answer.status, SK_OK);
    sk_workload_free(workload);
    assert_int_equal(ask(edge_io, socket_of("$edgeHub"), SK_HTTP_POST,
                         "/modules/%24edgeHub/genid/x/certificate/server" V,
                         "{\"commonName\":\"gw\",\"expiration\":\"2027-01-01T00:00:00Z\"}"),
                     201);
    sk_sim_disk_limit(edge_io, UINT64_MAX);
}

TEST(a_new_module_waits_for_the_hub_and_says_so_when_it_is_not_there) {
    sk_sim_partition(hub_io, edge_io, true);
    assert_int_equal(manage(SK_HTTP_PUT, "/identities/filter" V, "{}"), 503);
    assert_non_null(strstr(answer.text, "Cannot ask the hub for module filter"));
    sk_sim_partition(hub_io, edge_io, false);
    assert_int_equal(manage(SK_HTTP_PUT, "/identities/filter" V, "{\"managedBy\":\"IotEdge\"}"),
                     200);
    assert_non_null(strstr(answer.text, "\"generationId\":\"63000000000000000"));
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(hub.modules, "filter"), "managedBy")),
        "IotEdge");
    assert_int_equal(manage(SK_HTTP_GET, "/identities/" V, NULL), 200);
    assert_non_null(strstr(answer.text, "\"moduleId\":\"filter\""));
    assert_int_equal(manage(SK_HTTP_DELETE, "/identities/filter" V, NULL), 204);
    assert_null(json_object_get(hub.modules, "filter"));
    assert_int_equal(manage(SK_HTTP_GET, "/identities/" V, NULL), 200);
    assert_null(strstr(answer.text, "filter"));
}

TEST(a_module_made_anew_on_the_hub_gets_new_keys) {
    manage(SK_HTTP_PUT, "/identities/m" V, "{}");
    char before[64];
    snprintf(before, sizeof before, "%s", hub_key("m"));
    json_object_del(hub.modules, "m");
    assert_int_equal(manage(SK_HTTP_PUT, "/identities/m" V, "{}"), 200);
    sk_sim_run(sim, SK_S);
    assert_string_not_equal(hub_key("m"), before);
    assert_int_equal(manage(SK_HTTP_PUT, "/sockets/m" V, "{}"), 200);
    assert_int_equal(ask(edge_io, socket_of("m"), SK_HTTP_POST, "/modules/m/genid/x/sign" V,
                         "{\"data\":\"AAAA\"}"),
                     200);
    uint8_t digest[32];
    struct sk_buffer text = {0};
    sk_sas_hmac(sk_span_z(hub_key("m")), sk_span("\0\0\0", 3), digest);
    sk_base64_encode(&text, sk_span(digest, 32));
    sk_buffer_byte(&text, 0);
    assert_non_null(strstr(answer.text, text.p));
    sk_buffer_free(&text);
}

TEST(a_module_reaches_only_its_own_socket) {
    manage(SK_HTTP_PUT, "/identities/a" V, "{}");
    manage(SK_HTTP_PUT, "/identities/b" V, "{}");
    manage(SK_HTTP_PUT, "/sockets/a" V, "{\"uid\":1001,\"gid\":1001}");
    assert_non_null(strstr(answer.text, "/d/sockets/a.sock"));
    struct sk_io *owner = sk_sim_process(edge_io, 1001), *stranger = sk_sim_process(edge_io, 1002);
    assert_int_equal(ask(owner, socket_of("a"), SK_HTTP_POST, "/modules/a/genid/x/sign" V,
                         "{\"data\":\"AAAA\"}"),
                     200);
    assert_int_equal(ask(owner, socket_of("a"), SK_HTTP_POST, "/modules/b/genid/x/sign" V,
                         "{\"data\":\"AAAA\"}"),
                     403);
    assert_int_equal(ask(stranger, socket_of("a"), SK_HTTP_POST, "/modules/a/genid/x/sign" V,
                         "{\"data\":\"AAAA\"}"),
                     0);
    assert_int_equal(manage(SK_HTTP_DELETE, "/sockets/a" V, NULL), 204);
    assert_int_equal(ask(owner, socket_of("a"), SK_HTTP_GET, "/trust-bundle" V, NULL), 0);
}

TEST(a_modules_socket_is_there_again_after_the_daemon_has_died) {
    manage(SK_HTTP_PUT, "/identities/a" V, "{}");
    manage(SK_HTTP_PUT, "/sockets/a" V, "{\"uid\":1001,\"gid\":1001}");
    manage(SK_HTTP_PUT, "/sockets/b" V, "{\"uid\":1002,\"gid\":1002}");
    manage(SK_HTTP_DELETE, "/sockets/b" V, NULL);
    sk_daemon_stop(sk_daemon);
    sk_sim_run(sim, SK_S);
    start_daemon();
    struct sk_io *owner = sk_sim_process(edge_io, 1001), *stranger = sk_sim_process(edge_io, 1002);
    assert_int_equal(ask(owner, socket_of("a"), SK_HTTP_POST, "/modules/a/genid/x/sign" V,
                         "{\"data\":\"AAAA\"}"),
                     200);
    assert_int_equal(ask(stranger, socket_of("a"), SK_HTTP_GET, "/trust-bundle" V, NULL), 0);
    assert_int_equal(ask(stranger, socket_of("b"), SK_HTTP_GET, "/trust-bundle" V, NULL), 0);
}

TEST(the_machine_is_described_as_far_as_it_can_be_read) {
    assert_int_equal(manage(SK_HTTP_GET, "/systeminfo" V, NULL), 200);
    assert_non_null(strstr(answer.text, "\"kernel_version\":null"));
    assert_non_null(strstr(answer.text, "\"type\":\"manual.sas\""));
    sk_folder_make(edge_io, "/proc/sys/kernel", 0755);
    sk_folder_make(edge_io, "/etc", 0755);
    sk_file_save(edge_io, "/proc/sys/kernel/osrelease", SK_SPAN("6.1.0-9\n"), 0644);
    sk_file_save(edge_io, "/etc/os-release", SK_SPAN("ID=x\nPRETTY_NAME=\"Debian 12\"\n"), 0644);
    sk_file_save(edge_io, "/proc/meminfo", SK_SPAN("MemTotal: 1000 kB\nMemAvailable:  400 kB\n"),
                 0644);
    sk_file_save(edge_io, "/proc/stat", SK_SPAN("cpu  30 0 20 40 10\ncpu0 1\ncpu1 2\nintr 3\n"),
                 0644);
    sk_file_save(edge_io, "/proc/uptime", SK_SPAN("77.12 3.4\n"), 0644);
    sk_folder_make(edge_io, "/proc/self", 0755);
    sk_file_save(edge_io, "/proc/self/mounts",
                 SK_SPAN("/dev/sda1 / xfs rw 0 0\n/dev/sda2 /d ext4 rw 0 0\n"
                         "/dev/sda3 /data zfs rw 0 0\n/dev/sda4 /d/keys btrfs rw 0 0\n"),
                 0644);
    assert_int_equal(manage(SK_HTTP_GET, "/systeminfo" V, NULL), 200);
    assert_non_null(strstr(answer.text, "\"kernel_version\":\"6.1.0-9\""));
    assert_non_null(strstr(answer.text, "\"operating_system\":\"Debian 12\""));
    assert_non_null(strstr(answer.text, "\"cpus\":2"));
    assert_non_null(strstr(answer.text, "\"total_memory\":1024000"));
    assert_int_equal(manage(SK_HTTP_GET, "/systeminfo/resources" V, NULL), 200);
    assert_non_null(strstr(answer.text, "\"host_uptime\":77"));
    assert_non_null(strstr(answer.text, "\"used_ram\":614400"));
    assert_non_null(strstr(answer.text, "\"used_cpu\":50"));
    assert_non_null(strstr(answer.text, "\"available_space\":"));
    assert_non_null(strstr(answer.text, "\"total_space\":"));
    assert_non_null(strstr(answer.text, "\"name\":\"/dev/sda2\""));
    assert_non_null(strstr(answer.text, "\"file_system\":\"ext4\""));
}

TEST(so_many_ask_at_once_as_the_configuration_says_and_one_more_is_turned_away) {
    enum { MOST = 3 };
    struct sk_http_client *clients[MOST];
    config.workload_max = MOST;
    sk_daemon_stop(sk_daemon);
    sk_sim_run(sim, 10 * SK_S);
    start_daemon();
    for (size_t i = 0; i < MOST; i++) { /* each keeps its connection for a while */
        struct sk_endpoint to = {.path = socket_of("$edgeHub")};
        memset(&answer, 0, sizeof answer);
        sk_http_client_new(edge_io, &(struct sk_http_client_options){.to = to, .idle_ms = 60000},
                           &clients[i]);
        sk_http_client_send(clients[i], &(struct sk_http_ask){.method = SK_HTTP_GET,
                                                              .target = SK_SPAN("/trust-bundle" V),
                                                              .done = on_http});
        wait_answer();
        assert_int_equal(answer.http, 200);
    }
    assert_int_equal(ask(edge_io, socket_of("$edgeHub"), SK_HTTP_GET, "/trust-bundle" V, NULL), 0);
    assert_int_equal(ask(edge_io, socket_of("$edgeAgent"), SK_HTTP_GET, "/trust-bundle" V, NULL),
                     200); /* another socket's are others */
    sk_http_client_free(clients[0]);
    sk_sim_run(sim, SK_S);
    assert_int_equal(ask(edge_io, socket_of("$edgeHub"), SK_HTTP_GET, "/trust-bundle" V, NULL),
                     200);
    for (size_t i = 1; i < MOST; i++) sk_http_client_free(clients[i]);
}

TEST(modules_are_listed_to_the_agent_and_to_modules) {
    manage(SK_HTTP_PUT, "/identities/filter" V, "{}");
    assert_int_equal(manage(SK_HTTP_GET, "/modules" V, NULL), 200);
    assert_non_null(strstr(answer.text, "\"name\":\"filter\""));
    assert_non_null(strstr(answer.text, "\"name\":\"edgeHub\""));
    assert_int_equal(ask(edge_io, socket_of("$edgeHub"), SK_HTTP_GET, "/modules/" V, NULL), 200);
    assert_non_null(strstr(answer.text, "\"name\":\"filter\""));
}

TEST(reprovisioning_compares_all_modules_with_the_hub_and_ends_nothing) {
    manage(SK_HTTP_PUT, "/identities/filter" V, "{}");
    json_object_del(hub.modules, "filter"); /* and with it its key */
    assert_int_equal(manage(SK_HTTP_POST, "/device/reprovision" V, NULL), 204);
    assert_non_null(json_object_get(hub.modules, "filter"));
    assert_non_null(json_object_get(json_object_get(hub.modules, "filter"), "authentication"));
    assert_int_equal(ask(edge_io, socket_of("$edgeHub"), SK_HTTP_GET, "/trust-bundle" V, NULL),
                     200);
}

TEST(a_clock_set_back_ten_years_does_not_make_the_hub_refuse_the_device) {
    static const int64_t TEN_YEARS_US = INT64_C(3652) * 86400 * 1000000;
    sk_sim_clock_jump(edge_io, -TEN_YEARS_US);
    assert_int_equal(manage(SK_HTTP_PUT, "/identities/filter" V, "{}"), 200);
    assert_int_equal(hub.expired, 1); /* then it knows */
    assert_int_equal(manage(SK_HTTP_PUT, "/identities/other" V, "{}"), 200);
    assert_int_equal(hub.expired, 1);
    sk_sim_clock_jump(edge_io, TEN_YEARS_US);
    assert_int_equal(manage(SK_HTTP_PUT, "/identities/third" V, "{}"), 200);
    assert_int_equal(hub.expired, 1);
}

/* What the tables below call A and B. */
#define A "3f4e5d6c7b8a99887766554433221100ffeeddccbbaa99887766554433221100"
#define B "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const char *container_socket(const char *module) {
    static char path[SK_SOCKET_PATH_MAX];
    snprintf(path, sizeof path, "/d/sockets/containers/%s/workload.sock", module);
    return path;
}

static unsigned trust_bundle(struct sk_io *process, const char *module) {
    return ask(process, container_socket(module), SK_HTTP_GET, "/trust-bundle" V, NULL);
}

/* The daemon says which number the process has that it cannot look at. */
static void put_cgroup(struct sk_io *process, const char *text) {
    static unsigned pid;
    char path[64];
    if (pid == 0) {
        assert_int_equal(trust_bundle(process, "web"), 403);
        assert_int_equal(sscanf(strstr(answer.text, "Process"), "Process %u", &pid), 1);
        snprintf(path, sizeof path, "/proc/%u", pid);
        sk_folder_make(edge_io, path, 0755);
    }
    snprintf(path, sizeof path, "/proc/%u/cgroup", pid);
    assert_int_equal(sk_file_save(edge_io, path, sk_span_z(text), 0644), SK_OK);
}

TEST(a_containers_socket_answers_to_processes_of_that_container_only) {
    static const struct {
        const char *cgroup;
        unsigned status;
    } cases[] = {
        {"0::/system.slice/docker-" A ".scope\n", 200},
        {"12:cpu,cpuacct:/docker/" A "\n1:name=systemd:/docker/" A "\n0::/\n", 200},
        {"0::/machine.slice/libpod-" A ".scope/container\n", 200},
        {"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" A ".scope\n", 200},
        {"4:memory:/libpod_parent/libpod-" A "\n3:pids:/\n", 200},
        {"0::/kubepods/burstable/pod7d2f/" A "\n", 200},
        {"0::/../docker-" A ".scope\n", 200}, /* of a daemon that is in a group of its own */
        {"0::/system.slice/docker-" A ".scope/docker/" B "\n", 200}, /* an engine inside */
        {"0::/system.slice/docker-" B ".scope\n", 403},
        {"0::/system.slice/docker-" B ".scope/docker/" A "\n", 403}, /* a name that B chose */
        {"2:cpu:/docker/" A "\n1:memory:/docker/" B "\n", 403},
        {"0::/machine.slice/libpod-conmon-" A ".scope\n", 403}, /* the watcher outside */
        {"0::/user.slice/user-1000.slice/session-2.scope\n", 403},
        {"0::/\n", 403},
        {"0::/docker-" A "0.scope\n", 403}, /* 65 digits */
        {"", 403},
        {"no line of that form", 403},
    };
    struct sk_io *module = sk_sim_process(edge_io, 1001);
    manage(SK_HTTP_PUT, "/identities/web" V, "{}");
    manage(SK_HTTP_PUT, "/sockets/web" V, "{\"container\":true}");
    assert_non_null(strstr(answer.text, "containers/web/workload.sock"));
    put_cgroup(module, cases[0].cgroup);
    assert_int_equal(trust_bundle(module, "web"), 403); /* nobody has told which */
    assert_non_null(strstr(answer.text, "(none yet)"));
    assert_int_equal(
        manage(SK_HTTP_PUT, "/sockets/web" V, "{\"container\":true,\"containerId\":\"abc\"}"), 400);
    assert_int_equal(
        manage(SK_HTTP_PUT, "/sockets/web" V, "{\"container\":true,\"containerId\":\"" A "\"}"),
        200);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_cgroup(module, cases[i].cgroup);
        if (trust_bundle(module, "web") != cases[i].status)
            fail_msg("%s: %u %s", cases[i].cgroup, answer.http, answer.text);
    }
    put_cgroup(module, cases[0].cgroup);
    assert_int_equal(ask(module, container_socket("web"), SK_HTTP_POST,
                         "/modules/web/genid/x/sign" V, "{\"data\":\"AAAA\"}"),
                     200);
    assert_int_equal(ask(module, container_socket("web"), SK_HTTP_POST,
                         "/modules/%24edgeHub/genid/x/sign" V, "{\"data\":\"AAAA\"}"),
                     403);
    /* The daemon knows it again after its death. */
    sk_daemon_stop(sk_daemon);
    sk_sim_run(sim, SK_S);
    start_daemon();
    assert_int_equal(trust_bundle(module, "web"), 200);
    put_cgroup(module, "0::/docker-" B ".scope\n");
    assert_int_equal(trust_bundle(module, "web"), 403);
}

TEST(certificates_and_bundle_come_as_pem_text) {
    const char *path = socket_of("$edgeHub");
    assert_int_equal(ask(edge_io, path, SK_HTTP_POST,
                         "/modules/%24edgeHub/genid/x/certificate/server" V,
                         "{\"commonName\":\"gw\",\"expiration\":\"2027-01-01T00:00:00Z\"}"),
                     201);
    json_t *json = json_loads(answer.text, 0, NULL);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(json, "privateKey"), "type")), "key");
    assert_ptr_equal(strstr(json_string_value(json_object_get(json, "certificate")),
                            "-----BEGIN CERTIFICATE-----"),
                     json_string_value(json_object_get(json, "certificate")));
    assert_string_equal(json_string_value(json_object_get(json, "expiration")) + 19, "+00:00");
    json_decref(json);
    assert_int_equal(
        ask(edge_io, path, SK_HTTP_POST, "/modules/$edgeHub/certificate/identity" V, NULL), 201);
    assert_int_equal(ask(edge_io, path, SK_HTTP_GET, "/trust-bundle" V, NULL), 200);
    assert_non_null(strstr(answer.text, "-----BEGIN CERTIFICATE-----\\n"));
    assert_int_equal(ask(edge_io, path, SK_HTTP_GET, "/manifest-trust-bundle" V, NULL), 200);
    assert_string_equal(answer.text, "{\"certificate\":\"\"}");
}

static unsigned server_named(const char *module, const char *name) {
    char target[200], body[300];
    snprintf(target, sizeof target, "/modules/%s/genid/x/certificate/server" V, module);
    snprintf(body, sizeof body, "{\"commonName\":\"%s\",\"expiration\":\"2027-01-01T00:00:00Z\"}",
             name);
    return ask(edge_io, socket_of(module), SK_HTTP_POST, target, body);
}

/* The CA that signs is the one by which leaf devices know their edge hub. */
TEST(a_module_is_a_server_under_its_own_name_only) {
    static const struct {
        const char *module, *name;
        unsigned status;
    } cases[] = {
        {"web", "web", 201},
        {"web", "WEB", 201},
        {"web", "web.local", 201},
        {"web", "web.gw", 201},
        {"web", "gw", 403},
        {"web", "GW", 403},
        {"web", "*", 403},
        {"web", "*.gw", 403},
        {"web", "web.*", 400},
        {"web", "", 403},
        {"web", "other", 403},
        {"web", "webb", 403},
        {"web", "x.web", 403},
        {"web", "localhost", 403},
        {"web", "127.0.0.1", 403},
        {"web", "::1", 403},
        {"web", "hub.example", 403},
        {"web", "edgeHub", 403},
        {"gw", "gw", 403},
        {"gw", "gw.local", 403},
        {"edgeHub", "edgeHub", 403},
        {"10.0.0.1", "10.0.0.1", 403},
        {"*", "*", 400},
        {"$edgeAgent", "gw", 403},
        {"$edgeHub", "gw", 201},
        {"$edgeHub", "127.0.0.1", 201},
        {"$edgeHub", "*", 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[100];
        snprintf(path, sizeof path, "/identities/%s" V, cases[i].module);
        assert_int_equal(manage(SK_HTTP_PUT, path, "{}"), 200);
        snprintf(path, sizeof path, "/sockets/%s" V, cases[i].module);
        if (cases[i].module[0] != '$') assert_int_equal(manage(SK_HTTP_PUT, path, "{}"), 200);
        unsigned status = server_named(cases[i].module, cases[i].name);
        if (status != cases[i].status)
            fail_msg("%s as %s: %u %s", cases[i].module, cases[i].name, status, answer.text);
    }
}

TEST(what_is_encrypted_is_decrypted_again) {
    const char *path = socket_of("$edgeHub");
    char body[512];
    assert_int_equal(ask(edge_io, path, SK_HTTP_POST, "/modules/$edgeHub/genid/x/encrypt" V,
                         "{\"plaintext\":\"aGVsbG8=\",\"initializationVector\":\"AAAA\"}"),
                     200);
    json_t *json = json_loads(answer.text, 0, NULL);
    snprintf(body, sizeof body, "{\"ciphertext\":\"%s\",\"initializationVector\":\"AAAA\"}",
             json_string_value(json_object_get(json, "ciphertext")));
    json_decref(json);
    assert_int_equal(ask(edge_io, path, SK_HTTP_POST, "/modules/$edgeHub/genid/x/decrypt" V, body),
                     200);
    assert_string_equal(answer.text, "{\"plaintext\":\"aGVsbG8=\"}");
    assert_int_equal(ask(edge_io, path, SK_HTTP_POST, "/modules/$edgeHub/genid/x/decrypt" V,
                         "{\"ciphertext\":\"AAAA\",\"initializationVector\":\"AAAA\"}"),
                     400);
}

TEST(bad_requests_are_refused_with_a_message) {
    static const struct {
        enum sk_http_method method;
        const char *target, *body;
        unsigned status;
    } cases[] = {
        {SK_HTTP_GET, "/nothing" V, NULL, 404},
        {SK_HTTP_POST, "/trust-bundle" V, "{}", 405},
        {SK_HTTP_GET, "/trust-bundle", NULL, 400},
        {SK_HTTP_GET, "/trust-bundle?api-version=2015-01-01", NULL, 400},
        {SK_HTTP_POST, "/modules/$edgeHub/genid/x/sign" V, "[]", 400},
        {SK_HTTP_POST, "/modules/$edgeHub/genid/x/sign" V, "{\"data\":\"***\"}", 400},
        {SK_HTTP_POST, "/modules/$edgeHub/genid/x/sign" V, "{}", 400},
        {SK_HTTP_POST, "/modules/$edgeHub/genid/x/certificate/server" V, "{\"commonName\":\"a,b\"}",
         400},
        {SK_HTTP_POST, "/modules/other/genid/x/sign" V, "{}", 403},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(
            ask(edge_io, socket_of("$edgeHub"), cases[i].method, cases[i].target, cases[i].body),
            cases[i].status);
        assert_ptr_equal(strstr(answer.text, "{\"message\":\""), answer.text);
    }
    assert_int_equal(manage(SK_HTTP_PUT, "/identities/a%2Fb" V, "{}"), 400);
    assert_int_equal(manage(SK_HTTP_PUT, "/sockets/a" V, "{\"uid\":-1}"), 400);
}

AROUND(NULL, NULL);

TEST(socket_names_are_short_and_never_the_same_for_two_modules) {
    static const char *const names[] = {"a-name-of-exactly-24-bytes",
                                        "a-name-of-exactly-24-bytes-and-one-more",
                                        "x/y",
                                        "x_y",
                                        "..",
                                        "$edgeHub",
                                        "edgeHub",
                                        "$other",
                                        "other",
                                        "edge*Hub"};
    char data[65], paths[10][SK_SOCKET_PATH_MAX];
    memset(data, 'd', sizeof data);
    data[0] = '/', data[64] = 0;
    for (size_t i = 0; i < 10; i++) {
        sk_daemon_socket_path(data, sk_span_z(names[i]), paths[i]);
        assert_true(strlen(paths[i]) < SK_SOCKET_PATH_MAX - 1);
        assert_non_null(strstr(paths[i], ".sock"));
        for (size_t j = 0; j < i; j++) assert_string_not_equal(paths[i], paths[j]);
    }
}
