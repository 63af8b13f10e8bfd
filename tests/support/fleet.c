#include "support/fleet.h"

static const char fleet_hub_toml[] = FLEET_TOML_HUB FLEET_TOML_OWNER FLEET_TOML_READER;

bool fleet_idle(void *arg) {
    return ((struct fleet *)arg)->waiting == 0;
}

static void fleet_wait(struct fleet *f) {
    assert_true(sk_sim_run_until(f->sim, 600 * SK_S, fleet_idle, f));
}

void fleet_stopped(void *arg) {
    ((struct fleet *)arg)->waiting--;
}

void fleet_start_hub(struct fleet *f) {
    char reason[SK_HUB_CONFIG_ERROR_MAX];
    enum sk_status status = sk_hub_server_start(f->hub_io, &f->config, false, &f->hub, reason);
    if (status) fail_msg("hub: %s", reason);
    watch_attach(f->watch, sk_hub_backend(sk_hub_server_hub(f->hub, 0)));
    watch_check(f->watch);
}

void fleet_stop_hub(struct fleet *f) {
    f->waiting++;
    watch_check(f->watch);
    sk_hub_server_stop(f->hub, fleet_stopped, f);
    f->hub = NULL;
    fleet_wait(f);
    watch_detach(f->watch, false);
}

void fleet_crash_hub(struct fleet *f) {
    sk_sim_power_cut(f->hub_io, (enum sk_sim_loss)sk_sim_chance(f->sim, 3));
    fleet_power_hub(f);
}

void fleet_power_hub(struct fleet *f) {
    sk_hub_server_stop(f->hub, NULL, NULL);
    f->hub_io = sk_sim_power_on(f->hub_io);
    watch_detach(f->watch, true);
    fleet_start_hub(f);
}

const char *fleet_reload(struct fleet *f, const char *toml) {
    static char reason[SK_HUB_CONFIG_ERROR_MAX];
    assert_int_equal(sk_file_save(f->hub_io, "hub.toml", sk_span_z(toml), 0600), SK_OK);
    enum sk_status status = sk_hub_server_reload(f->hub, reason);
    sk_sim_run(f->sim, SK_S);
    return status ? reason : NULL;
}

/* ---- REST ---- */

static void fleet_on_answer(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct fleet *f = arg;
    f->waiting--;
    free(f->answer);
    f->status = status ? 0 : answer->status;
    f->answer = status ? NULL : sk_span_dup(sk_buffer_span(&answer->body));
}

void fleet_send(struct fleet *f, enum sk_http_method method, const char *path, const char *body,
                bool if_match) {
    struct sk_buffer token = {0}, target = {0};
    sk_sas_create(&token, SK_SPAN("hub.test"), SK_SPAN(FLEET_KEY), SK_SPAN("owner"),
                  sk_io_wall(f->field_io) / 1000000 + 3600);
    sk_buffer_print(&target, "%s%capi-version=2021-04-12", path, strchr(path, '?') ? '&' : '?');
    struct sk_http_pair headers[] = {{"Authorization", sk_buffer_span(&token)},
                                     {"If-Match", SK_SPAN("\"*\"")}};
    f->waiting++;
    sk_http_client_send(f->service, &(struct sk_http_ask){.method = method,
                                                          .target = sk_buffer_span(&target),
                                                          .headers = headers,
                                                          .header_count = if_match ? 2 : 1,
                                                          .body = sk_span_z(body),
                                                          .done = fleet_on_answer,
                                                          .arg = f});
    fleet_wait(f);
    sk_buffer_free(&token);
    sk_buffer_free(&target);
}

void fleet_call(struct fleet *f, enum sk_http_method method, const char *path, const char *body) {
    fleet_send(f, method, path, body, method == SK_HTTP_PATCH || method == SK_HTTP_DELETE);
}

void fleet_put(struct fleet *f, const char *path, const char *body) {
    fleet_call(f, SK_HTTP_PUT, path, body);
    if (f->status != 200) fail_msg("PUT %s: %u %s", path, f->status, f->answer ? f->answer : "");
}

void fleet_fall(struct fleet *f) {
    fleet_crash_hub(f);
    do {
        sk_sim_run(f->sim, SK_S);
        fleet_call(f, SK_HTTP_GET, "/statistics/service", NULL);
    } while (f->status != 200);
}

const json_t *fleet_member(const json_t *json, const char *path) {
    char name[100];
    for (struct sk_span rest = sk_span_z(path), part; sk_span_split(&rest, '/', &part);) {
        snprintf(name, sizeof name, "%.*s", SK_ARG(part));
        json = json_is_array(json) ? json_array_get(json, strtoul(name, NULL, 10))
                                   : json_object_get(json, name);
    }
    return json;
}

void fleet_shows(struct fleet *f, const char *path, const char *member, const char *expected) {
    fleet_call(f, SK_HTTP_GET, path, "");
    if (f->status != 200) fail_msg("GET %s: %u %s", path, f->status, f->answer);
    json_t *json = json_loads(f->answer, JSON_DECODE_ANY, NULL);
    const json_t *found = fleet_member(json, member);
    char *text = found ? json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    if (expected ? text == NULL || strcmp(text, expected) != 0 : text != NULL)
        fail_msg("%s %s: %s, not %s, in %s", path, member, text ? text : "nothing",
                 expected ? expected : "nothing", f->answer);
    free(text);
    json_decref(json);
}

/* ---- the edge ---- */

static void fleet_edge_token(struct sk_token_source *source, struct sk_token_ask *ask) {
    (void)source;
    struct sk_buffer token = {0};
    sk_sas_create(&token, SK_SPAN("hub.test/devices/edge1/modules/$edgeHub"), SK_SPAN(FLEET_KEY),
                  SK_NONE, ask->expiry_s);
    sk_token_answer(ask, SK_OK, sk_buffer_span(&token));
    sk_buffer_free(&token);
}

static struct sk_token_source fleet_edge_tokens = {.get = fleet_edge_token};

static void fleet_edge_listen(struct fleet *f, uint16_t port, struct sk_tls *tls) {
    assert_int_equal(sk_gateway_listen(f->edge_gateway,
                                       &(struct sk_endpoint){.host = "0.0.0.0", .port = port}, tls,
                                       NULL),
                     SK_OK);
}

static void fleet_edge_ready(void *arg) {
    struct fleet *f = arg;
    struct sk_tls *tls;
    char reason[256];
    f->edge_ready = true;
    fleet_edge_listen(f, 8883, NULL);
    if (f->edge_tls == NULL) return;
    if (sk_tls_new(f->edge_io, f->edge_tls, &tls, reason)) fail_msg("%s", reason);
    fleet_edge_listen(f, 8884, tls);
    sk_tls_free(tls); /* who listens has it */
}

static bool fleet_edge_is_ready(void *arg) {
    return ((struct fleet *)arg)->edge_ready;
}

void fleet_start_edge(struct fleet *f) {
    char reason[512];
    uint16_t port = f->edge_fallback ? 1 : 8883;
    f->edge_options = (struct sk_edge_hub_options){.data = "/edge",
                                                   .device_id = "edge1",
                                                   .hub_host_name = "hub.test",
                                                   .host_name = "edge.test",
                                                   .upstream = {.host = "hub.test",
                                                                .amqp = f->edge_amqp,
                                                                .websocket = f->edge_websocket,
                                                                .fallback = f->edge_fallback,
                                                                .mqtt_port = port,
                                                                .amqp_port = port,
                                                                .https_port = 8883},
                                                   .tokens = &fleet_edge_tokens,
                                                   .clients_max = f->clients_max,
                                                   .store_bytes_max = f->store_bytes_max,
                                                   .drop_oldest = f->drop_oldest,
                                                   .ready = fleet_edge_ready,
                                                   .ready_arg = f};
    f->edge_ready = false;
    f->edge_gateway = sk_gateway_new(f->edge_io);
    enum sk_status status = sk_edge_hub_open(f->edge_io, &f->edge_options, &f->edge, reason);
    if (status) fail_msg("edge: %s", reason);
    sk_gateway_add(f->edge_gateway, sk_edge_hub_backend(f->edge));
    assert_true(sk_sim_run_until(f->sim, 60 * SK_S, fleet_edge_is_ready, f));
}

static void fleet_gateway_closed(void *arg) {
    struct fleet *f = arg;
    sk_edge_hub_close(f->edge, fleet_stopped, f);
}

void fleet_stop_edge(struct fleet *f) {
    f->waiting++;
    sk_gateway_close(f->edge_gateway, fleet_gateway_closed, f);
    fleet_wait(f);
    f->edge = NULL;
}

static void fleet_crashed_gateway_closed(void *arg) {
    sk_edge_hub_close(arg, NULL, NULL);
}

void fleet_crash_edge(struct fleet *f) {
    sk_sim_power_cut(f->edge_io, (enum sk_sim_loss)sk_sim_chance(f->sim, 3));
    sk_gateway_close(f->edge_gateway, fleet_crashed_gateway_closed, f->edge);
    f->edge_io = sk_sim_power_on(f->edge_io);
    fleet_start_edge(f);
}

bool fleet_edge_connected(void *arg) {
    struct fleet *f = arg;
    return sk_edge_hub_counts(f->edge).upstream_connected &&
           sk_edge_hub_counts(f->edge).identities >= 4;
}

/* ---- the world ---- */

void fleet_put_device(struct fleet *f, const char *device, const char *more) {
    char path[256], body[1024];
    snprintf(path, sizeof path, "/devices/%s", device);
    snprintf(body, sizeof body, "{\"deviceId\":\"%s\"," FLEET_SAS "%s}", device, more);
    fleet_put(f, path, body);
}

void fleet_deploy(struct fleet *f, const char *desired) {
    struct sk_buffer body = {0};
    sk_buffer_print(&body, "{\"modulesContent\":{\"$edgeHub\":{\"properties.desired\":%s}}}",
                    desired);
    sk_buffer_byte(&body, 0);
    fleet_call(f, SK_HTTP_POST, "/devices/edge1/applyConfigurationContent", body.p);
    if (f->status != 204)
        fail_msg("applyConfigurationContent: %u %s", f->status, f->answer ? f->answer : "");
    sk_buffer_free(&body);
}

void fleet_make_identities(struct fleet *f) {
    static const char sas[] =
        "\"authentication\":{\"type\":\"sas\",\"symmetricKey\":{\"primaryKey\":\"" FLEET_KEY
        "\",\"secondaryKey\":\"" FLEET_KEY "\"}}";
    char body[1024];
    snprintf(body, sizeof body, "{\"deviceId\":\"edge1\",\"capabilities\":{\"iotEdge\":true},%s}",
             sas);
    fleet_put(f, "/devices/edge1", body);
    json_t *edge = json_loads(f->answer, 0, NULL);
    snprintf(body, sizeof body, "{\"deviceId\":\"leaf1\",\"deviceScope\":\"%s\",%s}",
             json_string_value(json_object_get(edge, "deviceScope")), sas);
    json_decref(edge);
    fleet_put(f, "/devices/leaf1", body);
    snprintf(body, sizeof body, "{\"deviceId\":\"edge1\",\"moduleId\":\"reader\",%s}", sas);
    fleet_put(f, "/devices/edge1/modules/reader", body);
    snprintf(body, sizeof body, "{\"deviceId\":\"edge1\",\"moduleId\":\"$edgeHub\",%s}", sas);
    fleet_send(f, SK_HTTP_PUT, "/devices/edge1/modules/%24edgeHub", body, true);
    assert_int_equal(f->status, 200);
    if (f->routes) fleet_deploy(f, f->routes);
}

/* How edges that are made from now on speak to the hub: "mqtt", "mqttws", "amqp" or "amqpws".
 * FLEET_UPSTREAM says it for all. */
static const char *fleet_upstream = "mqtt";

void fleet_over(const char *upstream) {
    const char *all = getenv("FLEET_UPSTREAM");
    fleet_upstream = all ? all : upstream;
}

void fleet_new_hub(struct fleet *f, uint64_t seed) {
    char error[SK_HUB_CONFIG_ERROR_MAX];
    *f = (struct fleet){.edge_amqp = strncmp(fleet_upstream, "amqp", 4) == 0,
                        .edge_websocket = strlen(fleet_upstream) > 4,
                        .watch = watch_new()};
    f->sim = sk_sim_new(&(struct sk_sim_options){.seed = seed, .latency_jitter_ns = 2 * SK_MS});
    f->hub_io = sk_sim_node(f->sim, "hub.test");
    f->edge_io = sk_sim_node(f->sim, "edge.test");
    f->field_io = sk_sim_node(f->sim, "field.test");
    enum sk_status status =
        sk_hub_config_parse(sk_span_z(fleet_hub_toml), "hub.toml", "", &f->config, error);
    if (status) fail_msg("%s", error);
    fleet_start_hub(f);
    assert_int_equal(
        sk_http_client_new(f->field_io,
                           &(struct sk_http_client_options){
                               .to = {.host = "hub.test", .port = 8883}, .host_header = "hub.test"},
                           &f->service),
        SK_OK);
}

void fleet_new(struct fleet *f, uint64_t seed, const char *routes) {
    fleet_new_hub(f, seed);
    f->routes = routes;
    fleet_make_identities(f);
    fleet_start_edge(f);
    assert_true(sk_sim_run_until(f->sim, 60 * SK_S, fleet_edge_connected, f));
}

void fleet_free(struct fleet *f) {
    if (f->edge) fleet_stop_edge(f);
    if (f->hub) fleet_stop_hub(f);
    sk_http_client_free(f->service);
    sk_sim_run(f->sim, 30 * SK_S);
    sk_hub_config_free(&f->config);
    free(f->answer);
    watch_free(f->watch);
    sk_sim_free(f->sim);
}

struct sk_device_client *fleet_client(struct fleet *f, const char *host, const char *device,
                                      const char *module, unsigned subscriptions,
                                      const struct sk_device_events *events, void *arg) {
    return sk_device_client_new(f->field_io,
                                &(struct sk_device_client_options){.host = host,
                                                                   .port = 8883,
                                                                   .hub_host = SK_SPAN("hub.test"),
                                                                   .device_id = sk_span_z(device),
                                                                   .module_id = sk_span_z(module),
                                                                   .key = SK_SPAN(FLEET_KEY),
                                                                   .subscriptions = subscriptions,
                                                                   .events = events,
                                                                   .arg = arg});
}

int fleet_new_world(void **state) {
    struct fleet *f = SK_NEW(struct fleet);
    fleet_new_hub(f, 1);
    fleet_put_device(f, "d1", "");
    fleet_put_device(f, "d2", "");
    *state = f;
    return 0;
}

int fleet_free_world(void **state) {
    fleet_free(*state);
    free(*state);
    return 0;
}

static void fleet_on_events(struct sk_request *request, const struct sk_answer *answer) {
    *(struct sk_event_source **)(uintptr_t)request->delivery = answer->events;
}

size_t fleet_read_events(struct fleet *f, void (*each)(void *arg, const struct sk_message *message),
                         void *arg) {
    struct sk_event_source *events = NULL;
    struct sk_message message;
    size_t count = 0;
    struct sk_request request = {
        .op = SK_OP_EVENTS_WATCH, .delivery = (uintptr_t)&events, .done = fleet_on_events};
    struct sk_backend *backend = sk_hub_backend(sk_hub_server_hub(f->hub, 0));
    backend->ops->submit(backend, &request);
    assert_non_null(events);
    for (; events->next(events, &message) == SK_OK; count++) each(arg, &message);
    events->close(events);
    return count;
}
