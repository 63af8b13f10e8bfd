#include "simulation/parts.h"

#include <string.h>

#include "device/mux.h"
#include "trust/sas.h"

enum {
    CONNECTS_PER_S = 200,
    SHARE = 1000,
    BEGIN_MS = 50,
};

/* ---- tokens: made from the policy's key ---- */

static void get_token(struct sk_token_source *source, struct sk_token_ask *ask) {
    struct sk_simulation *simulation = SK_CONTAINER(source, struct sk_simulation, tokens);
    struct sk_buffer token = {0};
    enum sk_status status =
        sk_sas_create(&token, simulation->options.hub_host, simulation->options.key,
                      simulation->options.policy, ask->expiry_s);
    sk_token_answer(ask, status, sk_buffer_span(&token));
    sk_buffer_free(&token);
}

static void forget_token(struct sk_token_source *source, struct sk_token_ask *ask) {
    (void)source;
    (void)ask; /* answers come at once */
}

/* ---- devices begin one after the other ---- */

static struct sk_device_mux *shared_connection(struct sk_simulation *simulation) {
    struct simulation_connection *last =
        sk_list_empty(&simulation->connections)
            ? NULL
            : SK_CONTAINER(simulation->connections.prev, struct simulation_connection, link);
    if (last == NULL || last->devices >= simulation->options.share) {
        last = SK_NEW(struct simulation_connection);
        last->mux = sk_device_mux_new(simulation->io, &(struct sk_device_mux_options){
                                                          .host = simulation->options.host,
                                                          .port = simulation->options.port,
                                                          .tls = simulation->options.tls,
                                                          .hub_host = simulation->options.hub_host,
                                                          .tokens = &simulation->tokens});
        sk_list_append(&simulation->connections, &last->link);
    }
    last->devices++;
    return last->mux;
}

static void begin_some(struct sk_timer *timer) {
    struct sk_simulation *simulation = SK_CONTAINER(timer, struct sk_simulation, begin);
    unsigned some = simulation->options.connects_per_s * BEGIN_MS / 1000;
    for (unsigned i = 0; i <= some && !sk_list_empty(&simulation->waiting); i++) {
        struct simulation_device *device =
            SK_CONTAINER(simulation->waiting.next, struct simulation_device, link);
        sk_list_remove(&device->link);
        sk_list_append(&simulation->devices, &device->link);
        simulation_device_begin(device,
                                simulation->options.mqtt ? NULL : shared_connection(simulation));
    }
    if (!sk_list_empty(&simulation->waiting))
        sk_timer_start(simulation->io, timer, BEGIN_MS * SK_MS, begin_some);
}

/* ---- models in use ---- */

static void kind_free(struct simulation_kind *kind) {
    for (size_t i = 0; i < kind->model->script_count; i++)
        sk_simulation_engine_free(kind->engines[i]);
    free(kind->engines);
    free(kind);
}

static enum sk_status kind_of(struct sk_simulation *simulation,
                              const struct sk_simulation_model *model, struct simulation_kind **to,
                              char reason[SK_SIMULATION_REASON]) {
    SK_LIST_EACH(&simulation->kinds, node, following) {
        *to = SK_CONTAINER(node, struct simulation_kind, link);
        if ((*to)->model == model) return SK_OK;
    }
    struct simulation_kind *kind = SK_NEW(struct simulation_kind);
    enum sk_status status = SK_OK;
    kind->model = model;
    kind->engines = sk_alloc((model->script_count + 1) * sizeof *kind->engines);
    for (size_t i = 0; i < model->script_count && !status; i++)
        if (model->scripts[i].behaviour == SK_SIMULATION_JAVASCRIPT)
            status = sk_simulation_engine_new(&model->scripts[i], &simulation_script_host,
                                              &kind->engines[i], reason);
    for (size_t i = 0; i < model->method_count && !status; i++) { /* each call makes its own */
        struct sk_simulation_engine *engine;
        status = sk_simulation_engine_new(&model->methods[i].script, &simulation_script_host,
                                          &engine, reason);
        sk_simulation_engine_free(engine);
    }
    if (status)
        kind_free(kind);
    else
        sk_list_append(&simulation->kinds, &kind->link);
    *to = kind;
    return status;
}

/* ---- the simulation ---- */

static const char *copy(struct sk_simulation *simulation, struct sk_span text) {
    return sk_arena_copy(&simulation->texts, text).p;
}

struct sk_simulation *sk_simulation_new(struct sk_io *io,
                                        const struct sk_simulation_options *options) {
    struct sk_simulation *simulation = SK_NEW(struct sk_simulation);
    struct sk_simulation_options *own = &simulation->options;
    simulation->io = io;
    *own = *options;
    own->host = copy(simulation, sk_span_z(options->host));
    own->hub_host = sk_arena_copy(&simulation->texts, options->hub_host);
    own->policy = sk_arena_copy(&simulation->texts, options->policy);
    own->key = sk_arena_copy(&simulation->texts, options->key);
    if (own->connects_per_s == 0) own->connects_per_s = CONNECTS_PER_S;
    if (own->share == 0) own->share = SHARE;
    simulation->tokens = (struct sk_token_source){.get = get_token, .forget = forget_token};
    sk_list_init(&simulation->kinds);
    sk_list_init(&simulation->connections);
    sk_list_init(&simulation->waiting);
    sk_list_init(&simulation->devices);
    return simulation;
}

static void free_devices(struct sk_list *list) {
    SK_LIST_EACH(list, node, following)
    simulation_device_free(SK_CONTAINER(node, struct simulation_device, link));
}

void sk_simulation_free(struct sk_simulation *simulation) {
    if (simulation == NULL) return;
    sk_timer_stop(&simulation->begin);
    free_devices(&simulation->waiting);
    free_devices(&simulation->devices);
    SK_LIST_EACH(&simulation->connections, node, following) {
        struct simulation_connection *connection =
            SK_CONTAINER(node, struct simulation_connection, link);
        sk_device_mux_free(connection->mux);
        free(connection);
    }
    SK_LIST_EACH(&simulation->kinds, node, following)
    kind_free(SK_CONTAINER(node, struct simulation_kind, link));
    sk_arena_free(&simulation->texts);
    free(simulation);
}

enum sk_status sk_simulation_add(struct sk_simulation *simulation,
                                 const struct sk_simulation_model *model, struct sk_span device_id,
                                 char reason[SK_SIMULATION_REASON]) {
    struct simulation_kind *kind;
    enum sk_status status = kind_of(simulation, model, &kind, reason);
    if (status) return status;
    struct simulation_device *device = simulation_device_new(simulation, kind, device_id);
    sk_list_append(&simulation->waiting, &device->link);
    simulation->counts.devices++;
    if (!sk_timer_running(&simulation->begin))
        sk_timer_start(simulation->io, &simulation->begin, 0, begin_some);
    return SK_OK;
}

void sk_simulation_statistics(const struct sk_simulation *simulation,
                              struct sk_simulation_statistics *to) {
    *to = simulation->counts;
}

const char *sk_simulation_script_error(const struct sk_simulation *simulation) {
    return simulation->script_error;
}
