/* The operations on simulations and device models, and the part of the hub. */
#include <stdio.h>

#include "hub/simulations/parts.h"
#include "model/json_text.h"
#include "wire/http.h"

#define SIMULATIONS SK_SPAN("simulation")
#define MODELS SK_SPAN("device-model")

enum { PAGE = 1000 };

static int64_t wall(const struct simulations *s) {
    return sk_io_wall(s->hub->backend.io);
}

static uint64_t now(const struct simulations *s) {
    return sk_io_now(s->hub->backend.io);
}

static struct simulation *find_simulation(const struct simulations *s, struct sk_span id) {
    SK_LIST_EACH((struct sk_list *)&s->list, node, following) {
        struct simulation *simulation = SK_CONTAINER(node, struct simulation, link);
        if (sk_span_is(id, simulation->id)) return simulation;
    }
    return NULL;
}

static struct device_model *find_model(const struct simulations *s, struct sk_span id) {
    SK_LIST_EACH((struct sk_list *)&s->models, node, following) {
        struct device_model *model = SK_CONTAINER(node, struct device_model, link);
        if (sk_span_is(id, model->id)) return model;
    }
    return NULL;
}

static json_t *shown(const struct simulations *s, const struct simulation *simulation) {
    return simulation_shown(simulation, wall(s), now(s));
}

static void refuse_simulation(struct sk_request *request) {
    sk_request_refuse(request, SK_FAULT_SIMULATION_NOT_FOUND, "there is no simulation '%.*s'",
                      SK_ARG(request->name));
}

static void refuse_model(struct sk_request *request) {
    sk_request_refuse(request, SK_FAULT_DEVICE_MODEL_NOT_FOUND, "there is no device model '%.*s'",
                      SK_ARG(request->name));
}

/* ---- lists, which may wait for a change ---- */

struct watcher {
    struct sk_list link;
    struct simulations *simulations;
    struct sk_request *request;
    struct sk_timer timer;
};

static void answer_list(struct simulations *s, struct sk_request *request) {
    json_t *items = json_array();
    char number[24];
    bool followed = s->watcher_count > 0 ||
                    (s->followed_ns && now(s) - s->followed_ns < SIMULATION_LEASE_S * SK_S);
    SK_LIST_EACH(&s->list, node, following) {
        const struct simulation *one = SK_CONTAINER(node, struct simulation, link);
        followed = followed || simulation_is_held(one, now(s));
        json_array_append_new(items, shown(s, one));
    }
    snprintf(number, sizeof number, "%llu", (unsigned long long)s->changes);
    sk_request_answer_json(
        request, json_pack("{s:o,s:s,s:b}", "Items", items, "ETag", number, "Followed", followed));
}

static struct sk_request *watcher_end(struct watcher *watcher) {
    struct sk_request *request = watcher->request;
    watcher->simulations->watcher_count--;
    watcher->simulations->followed_ns = now(watcher->simulations);
    sk_timer_stop(&watcher->timer);
    sk_list_remove(&watcher->link);
    free(watcher);
    return request;
}

static void waited(struct sk_timer *timer) {
    struct watcher *watcher = SK_CONTAINER(timer, struct watcher, timer);
    struct simulations *s = watcher->simulations;
    answer_list(s, watcher_end(watcher));
}

static void changed(struct simulations *s) {
    struct watcher *watcher;
    s->changes++;
    while ((watcher = SK_LIST_FIRST(&s->watchers, struct watcher, link)) != NULL)
        answer_list(s, watcher_end(watcher));
}

/* Until somebody has to look again, whatever happens: one loses its runner, or its time comes. */
static uint64_t wait_ns(const struct simulations *s, uint64_t most_ns) {
    SK_LIST_EACH((struct sk_list *)&s->list, node, following) {
        const struct simulation *one = SK_CONTAINER(node, struct simulation, link);
        int64_t early_us = one->enabled ? one->start_us - wall(s) : 0;
        if (simulation_is_held(one, now(s)) && one->lease_ns - now(s) < most_ns)
            most_ns = one->lease_ns - now(s);
        if (early_us > 0 && (uint64_t)early_us * 1000 < most_ns)
            most_ns = (uint64_t)early_us * 1000;
    }
    return most_ns;
}

/* wait=SECONDS: a runner asks, which has seen the list of ETag `since` and waits for another. */
static void list_simulations(struct sk_hub *hub, struct sk_request *request) {
    struct simulations *s = hub->simulations;
    struct sk_span wait = sk_http_query(request->query, "wait"),
                   since = sk_http_query(request->query, "since");
    int64_t seconds = 0, number = 0;
    if (wait.n && (sk_span_to_int(wait, &seconds) || seconds < 0 || seconds > SIMULATION_WAIT_S)) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "wait is 0 to %d seconds",
                          SIMULATION_WAIT_S);
        return;
    }
    if (wait.n) s->followed_ns = now(s);
    if (seconds == 0 || sk_span_to_int(since, &number) || (uint64_t)number != s->changes ||
        s->watcher_count == SIMULATION_WAITERS) {
        answer_list(s, request);
        return;
    }
    struct watcher *watcher = SK_NEW(struct watcher);
    watcher->simulations = s;
    watcher->request = request;
    s->watcher_count++;
    sk_list_append(&s->watchers, &watcher->link);
    sk_timer_start(hub->backend.io, &watcher->timer, wait_ns(s, (uint64_t)seconds * SK_S), waited);
}

static void show_simulation(struct sk_hub *hub, struct sk_request *request) {
    const struct simulation *simulation = find_simulation(hub->simulations, request->name);
    if (simulation)
        sk_request_answer_json(request, shown(hub->simulations, simulation));
    else
        refuse_simulation(request);
}

/* ---- changes: one at a time is written, then it counts ---- */

enum kind { SIMULATION, MODEL };
struct change {
    struct simulations *simulations;
    struct sk_request *request;
    enum kind kind;
    struct simulation *simulation; /* in place of that of its id; NULL: it is removed */
    struct device_model *model;
    enum { LEASE_STAYS, LEASE_TAKEN, LEASE_GIVEN_BACK } lease;
    bool quiet; /* nobody needs to hear of it */
};

static void put_simulation(struct simulations *s, const struct change *change) {
    struct simulation *next = change->simulation, *before = find_simulation(s, sk_span_z(next->id));
    if (before) next->lease_ns = before->lease_ns;
    if (change->lease == LEASE_TAKEN) next->lease_ns = now(s) + SIMULATION_LEASE_S * SK_S;
    if (change->lease == LEASE_GIVEN_BACK) next->lease_ns = 0;
    next->saved_ns = now(s);
    if (before) {
        sk_list_append(&before->link, &next->link); /* its place */
        simulation_free(before);
    } else {
        sk_list_append(&s->list, &next->link);
        s->count++;
    }
}

static void put_model(struct simulations *s, struct device_model *next) {
    struct device_model *before = find_model(s, sk_span_z(next->id));
    sk_list_append(before ? &before->link : &s->models, &next->link);
    if (before)
        device_model_free(before);
    else
        s->model_count++;
}

static void remove_it(struct simulations *s, enum kind kind, struct sk_span id) {
    struct simulation *simulation = kind == SIMULATION ? find_simulation(s, id) : NULL;
    struct device_model *model = kind == MODEL ? find_model(s, id) : NULL;
    if (simulation) {
        simulation_free(simulation);
        s->count--;
    }
    if (model) {
        device_model_free(model);
        s->model_count--;
    }
}

static void serve_waiting(struct simulations *s) {
    struct sk_request *request;
    while (!s->writing && (request = hub_wait_take(&s->waiting)) != NULL)
        s->hub->serve[request->op](s->hub, request);
}

static void written(void *arg, const struct sk_registry_end *end) {
    struct change change = *(struct change *)arg;
    struct simulations *s = change.simulations;
    json_t *document = NULL;
    free(arg);
    s->writing = false;
    if (end->status) {
        if (change.simulation) simulation_free(change.simulation);
        if (change.model) device_model_free(change.model);
        hub_refuse_status(change.request, end);
    } else {
        if (change.simulation)
            put_simulation(s, &change);
        else if (change.model)
            put_model(s, change.model);
        else
            remove_it(s, change.kind, change.request->name);
        if (change.simulation) document = shown(s, change.simulation);
        if (change.model) document = hub_document_shown(change.model->document, change.model->etag);
        if (!change.quiet) changed(s);
        sk_request_answer_json(change.request, document);
    }
    if (!s->hub->closing) serve_waiting(s);
}

static void write(struct simulations *s, struct change change) {
    struct change *copy = SK_NEW(struct change);
    struct sk_span kind = change.kind == SIMULATION ? SIMULATIONS : MODELS;
    struct sk_registry *registry = s->hub->registry;
    struct sk_buffer text = {0};
    *copy = change;
    copy->simulations = s;
    s->writing = true;
    if (change.simulation) {
        sk_json_put(&text, change.simulation->document, 0);
        sk_registry_document_put(registry, kind, sk_span_z(change.simulation->id),
                                 sk_buffer_span(&text), written, copy);
    } else if (change.model) {
        json_t *stored = json_pack("{s:I,s:O}", "Version", (json_int_t)change.model->etag, "Model",
                                   change.model->document);
        sk_json_put(&text, stored, 0);
        json_decref(stored);
        sk_registry_document_put(registry, kind, sk_span_z(change.model->id), sk_buffer_span(&text),
                                 written, copy);
    } else {
        sk_registry_document_delete(registry, kind, change.request->name, written, copy);
    }
    sk_buffer_free(&text);
}

/* ---- simulations ---- */

/* The id of a POST may be in its body. */
static void take_name(struct sk_request *request) {
    if (request->name.n == 0) request->name = sk_span_z(sk_json_member_text(request->body, "Id"));
}

static void write_simulation(struct sk_hub *hub, struct sk_request *request, const json_t *body) {
    struct simulations *s = hub->simulations;
    const struct simulation *before = find_simulation(s, request->name);
    char error[SK_MODEL_ERROR_MAX], id[HUB_DOCUMENT_ID];
    if (!hub_document_id(hub, request, id) ||
        (before && !hub_document_matches(request, before->etag)))
        return;
    json_t *document = NULL;
    if (sk_simulation_id_fine(sk_span_z(id)))
        document = simulation_document(s, body, id, before, wall(s), error);
    else
        snprintf(error, sizeof error,
                 "a simulation's id is 1 to %d letters, digits, and any of - _",
                 SK_SIMULATION_ID_MAX);
    if (document == NULL) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "%s", error);
    } else if (before == NULL && s->count >= SIMULATIONS_MAX) {
        json_decref(document);
        sk_request_refuse(request, SK_FAULT_TOO_MANY_SIMULATIONS,
                          "a hub has at most %d simulations", SIMULATIONS_MAX);
    } else {
        write(s, (struct change){.request = request, .simulation = simulation_read(document)});
    }
}

static void put(struct sk_hub *hub, struct sk_request *request) {
    take_name(request);
    write_simulation(hub, request, request->body);
}

/* Starts and stops it: Enabled, and StartTime and EndTime, if they are there. */
static void patch(struct sk_hub *hub, struct sk_request *request) {
    static const char *const members[] = {"Enabled", "StartTime", "EndTime"};
    struct simulations *s = hub->simulations;
    const struct simulation *before = find_simulation(s, request->name);
    if (before == NULL) {
        refuse_simulation(request);
        return;
    }
    json_t *body = json_copy(before->document);
    bool times = false;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        json_t *value = json_object_get(request->body, members[i]);
        if (value) json_object_set(body, members[i], value);
        times = times || (value && i > 0);
    }
    if (!times && json_is_true(json_object_get(body, "Enabled")) && before->end_us <= wall(s))
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "its EndTime has passed; say StartTime and EndTime as well, such as NOW "
                          "and NOW+PT2H");
    else
        write_simulation(hub, request, body);
    json_decref(body);
}

static void remove_simulation(struct sk_hub *hub, struct sk_request *request) {
    if (find_simulation(hub->simulations, request->name))
        write(hub->simulations, (struct change){.request = request, .kind = SIMULATION});
    else
        sk_request_answer_json(request, NULL);
}

/* What a runner says. It has the simulation from now on, or gives it back. */
static void put_state(struct sk_hub *hub, struct sk_request *request) {
    struct simulations *s = hub->simulations;
    struct simulation *simulation = find_simulation(s, request->name);
    char error[SK_MODEL_ERROR_MAX];
    if (simulation == NULL) {
        refuse_simulation(request);
        return;
    }
    if (!run_fine(request->body, error)) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "%s", error);
        return;
    }
    const char *holder = sk_json_member_text(simulation->run, "Runner"),
               *runner = sk_json_member_text(request->body, "Runner");
    bool held = simulation_is_held(simulation, now(s)), done;
    if (held && (holder == NULL || !sk_span_is(sk_span_z(runner), holder))) {
        sk_request_refuse(request, SK_FAULT_SIMULATION_HELD, "the runner '%s' runs it",
                          holder ? holder : "");
        return;
    }
    if (!json_equal(json_object_get(request->body, "RunNumber"),
                    json_object_get(simulation->run, "Number"))) {
        if (held) { /* of a run that has ended: it lets go */
            simulation->lease_ns = 0;
            changed(s);
        }
        sk_request_answer_json(request, shown(s, simulation));
        return;
    }
    json_t *document = json_deep_copy(simulation->document);
    bool at_once = run_take(json_object_get(document, "Run"), request->body,
                            simulation_is_active(simulation, wall(s)), wall(s));
    done = json_is_true(json_object_get(request->body, "Done"));
    struct simulation *next = simulation_read(document);
    struct change change = {.simulations = s,
                            .request = request,
                            .simulation = next,
                            .lease = done ? LEASE_GIVEN_BACK : LEASE_TAKEN,
                            .quiet = held && !at_once};
    if (at_once || !held || now(s) - simulation->saved_ns >= SIMULATION_SAVE_S * SK_S) {
        write(s, change);
        return;
    }
    uint64_t saved_ns = simulation->saved_ns;
    put_simulation(s, &change);
    next->saved_ns = saved_ns;
    sk_request_answer_json(request, shown(s, next));
}

/* ---- device models ---- */

static void list_models(struct sk_hub *hub, struct sk_request *request) {
    struct simulations *s = hub->simulations;
    json_t *items = json_array();
    struct sk_span text;
    for (size_t at = 0; sk_simulation_stock_next(&at, &text);) {
        json_t *model = sk_json_load(text, 0, NULL);
        json_array_append_new(items, device_model_summary(model));
        json_decref(model);
    }
    SK_LIST_EACH(&s->models, node, following) {
        const struct device_model *one = SK_CONTAINER(node, struct device_model, link);
        json_t *model = hub_document_shown(one->document, one->etag);
        json_array_append_new(items, device_model_summary(model));
        json_decref(model);
    }
    sk_request_answer_json(request, json_pack("{s:o}", "Items", items));
}

static void show_model(struct sk_hub *hub, struct sk_request *request) {
    json_t *model = device_model_whole(hub->simulations, request->name);
    if (model)
        sk_request_answer_json(request, model);
    else
        refuse_model(request);
}

static void put_model_of(struct sk_hub *hub, struct sk_request *request) {
    struct simulations *s = hub->simulations;
    char error[SK_MODEL_ERROR_MAX], id[HUB_DOCUMENT_ID];
    take_name(request);
    const struct device_model *before = find_model(s, request->name);
    if (!hub_document_id(hub, request, id) ||
        (before && !hub_document_matches(request, before->etag)))
        return;
    json_t *document =
        device_model_document(request->body, id, before ? before->etag + 1 : 1, error);
    if (document == NULL) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "%s", error);
    } else if (before == NULL && s->model_count >= MODELS_MAX) {
        json_decref(document);
        sk_request_refuse(request, SK_FAULT_TOO_MANY_SIMULATIONS,
                          "a hub has at most %d device models of its own", MODELS_MAX);
    } else {
        write(s, (struct change){
                     .request = request, .kind = MODEL, .model = device_model_read(document)});
    }
}

static bool is_of(const struct simulation *simulation, struct sk_span model) {
    const json_t *one;
    size_t i;
    json_array_foreach(json_object_get(simulation->document, "DeviceModels"), i, one) {
        if (sk_span_eq(model, sk_span_z(sk_json_member_text(one, "Id")))) return true;
    }
    return false;
}

static void remove_model(struct sk_hub *hub, struct sk_request *request) {
    struct simulations *s = hub->simulations;
    json_t *stock = device_model_stock(request->name);
    json_decref(stock);
    if (stock) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "the model '%.*s' comes along, and stays", SK_ARG(request->name));
        return;
    }
    if (find_model(s, request->name) == NULL) {
        sk_request_answer_json(request, NULL);
        return;
    }
    SK_LIST_EACH(&s->list, node, following) {
        const struct simulation *simulation = SK_CONTAINER(node, struct simulation, link);
        if (!is_of(simulation, request->name)) continue;
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "the simulation '%s' has devices of it; delete that first",
                          simulation->id);
        return;
    }
    write(s, (struct change){.request = request, .kind = MODEL});
}

/* ---- the part ---- */

static void take_all(struct simulations *s, const struct sk_registry_documents *list,
                     enum kind kind) {
    for (size_t i = 0; i < list->count; i++) {
        json_t *json = sk_json_load(list->documents[i].bytes, 0, NULL);
        struct simulation *simulation = json && kind == SIMULATION ? simulation_read(json) : NULL;
        struct device_model *model = json && kind == MODEL ? device_model_read(json) : NULL;
        if (model) {
            put_model(s, model);
        } else if (simulation) {
            put_simulation(s, &(struct change){.simulation = simulation});
            /* Who had it when the hub fell has time to come back. */
            if (sk_json_member_text(simulation->run, "Runner"))
                simulation->lease_ns = now(s) + SIMULATION_LEASE_S * SK_S;
        } else {
            SK_ERROR("hub", "%s: the document '%.*s' cannot be read", s->hub->options->name,
                     SK_ARG(list->documents[i].key));
        }
    }
}

static void have_models(void *arg, const struct sk_registry_end *end,
                        const struct sk_registry_documents *list) {
    struct simulations *s = arg;
    if (end->status || s->hub->closing) return;
    take_all(s, list, MODEL);
    s->loaded = true;
    serve_waiting(s);
}

static void have_simulations(void *arg, const struct sk_registry_end *end,
                             const struct sk_registry_documents *list) {
    struct simulations *s = arg;
    if (end->status || s->hub->closing) return;
    take_all(s, list, SIMULATION);
    sk_registry_document_list(s->hub->registry, MODELS, SK_NONE, PAGE, have_models, s);
}

static enum sk_status open_simulations(struct sk_hub *hub, char reason[512]) {
    struct simulations *s = hub->simulations = SK_NEW(struct simulations);
    (void)reason;
    s->hub = hub;
    s->changes = (uint64_t)sk_io_wall(hub->backend.io); /* none that another start has had */
    sk_list_init(&s->list);
    sk_list_init(&s->models);
    sk_list_init(&s->waiting);
    sk_list_init(&s->watchers);
    return SK_OK;
}

static void start(struct sk_hub *hub) {
    sk_registry_document_list(hub->registry, SIMULATIONS, SK_NONE, PAGE, have_simulations,
                              hub->simulations);
}

static void stop(struct sk_hub *hub) {
    struct simulations *s = hub->simulations;
    struct watcher *watcher;
    while ((watcher = SK_LIST_FIRST(&s->watchers, struct watcher, link)) != NULL)
        sk_request_refuse(watcher_end(watcher), SK_FAULT_UNAVAILABLE, NULL);
    hub_wait_refuse(&s->waiting);
}

static void free_simulations(struct sk_hub *hub) {
    struct simulations *s = hub->simulations;
    SK_LIST_EACH(&s->list, node, following)
    simulation_free(SK_CONTAINER(node, struct simulation, link));
    SK_LIST_EACH(&s->models, other, behind)
    device_model_free(SK_CONTAINER(other, struct device_model, link));
    free(s);
}

/* Until all is loaded requests wait; those that change something while another one is written, as
 * well. */
#define SERVE(operation, is_change)                                                                \
    static void serve_##operation(struct sk_hub *hub, struct sk_request *request) {                \
        struct simulations *s = hub->simulations;                                                  \
        if (s->loaded && !(is_change && s->writing))                                               \
            operation(hub, request);                                                               \
        else                                                                                       \
            hub_wait(&s->waiting, request);                                                        \
    }
SERVE(list_simulations, false)
SERVE(show_simulation, false)
SERVE(put, true)
SERVE(patch, true)
SERVE(remove_simulation, true)
SERVE(put_state, true)
SERVE(list_models, false)
SERVE(show_model, false)
SERVE(put_model_of, true)
SERVE(remove_model, true)

const struct sk_hub_part hub_part_simulations = {
    .open = open_simulations,
    .start = start,
    .stop = stop,
    .free = free_simulations,
    .serve = {[SK_OP_SIMULATION_LIST] = serve_list_simulations,
              [SK_OP_SIMULATION_GET] = serve_show_simulation,
              [SK_OP_SIMULATION_PUT] = serve_put,
              [SK_OP_SIMULATION_PATCH] = serve_patch,
              [SK_OP_SIMULATION_DELETE] = serve_remove_simulation,
              [SK_OP_SIMULATION_STATE] = serve_put_state,
              [SK_OP_DEVICE_MODEL_LIST] = serve_list_models,
              [SK_OP_DEVICE_MODEL_GET] = serve_show_model,
              [SK_OP_DEVICE_MODEL_PUT] = serve_put_model_of,
              [SK_OP_DEVICE_MODEL_DELETE] = serve_remove_model}};
