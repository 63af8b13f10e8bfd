#include "edge/agent/containers.h"

#include <stdio.h>

#include "edge/agent/engine/create.h"
#include "edge/agent/image_gc.h"
#include "edge/agent/images.h"
#include "io/privilege.h"
#include "model/json_text.h"

enum { LOOK_S = 30, RETRY_S = 1, RETRY_MAX_S = 10, LOOK_MS = 10000 };
static const char ZERO_TIME[] = "0001-01-01T00:00:00Z";

static void connect_engine(struct containers *containers);
static void ask_network(struct containers *containers);

/* ---- one container ---- */

struct container *container_own(struct module *module) {
    if (module->own == NULL) {
        struct container *container = SK_NEW(struct container);
        container->module = module;
        module->own = container;
    }
    return module->own;
}

void container_forget(struct module *module) {
    struct container *container = module->own;
    module->own = NULL;
    if (container == NULL) return;
    sk_engine_cancel(container->call);
    sk_engine_cancel(container->looking);
    sk_engine_cancel(container->measuring);
    free(container);
    usage_measured(module, NULL);
}

/* µs since 1970; 0: never. */
static int64_t time_of(const json_t *state, const char *member) {
    struct sk_span text = sk_span_z(json_string_value(json_object_get(state, member)));
    int64_t wall_us = 0;
    if (text.n == 0 || sk_span_is(text, ZERO_TIME) || sk_time_parse(text, &wall_us)) return 0;
    return wall_us > 0 ? wall_us : 0;
}

/* The same on the monotonic clock. */
static uint64_t moment(struct module_world *world, int64_t wall_us) {
    uint64_t now_ns = sk_io_now(world->io);
    int64_t ago_us = sk_io_wall(world->io) - wall_us;
    if (ago_us <= 0) return now_ns;
    return now_ns > (uint64_t)ago_us * 1000 ? now_ns - (uint64_t)ago_us * 1000 : 0;
}

/* What its check said last, in a line. */
static void tell_unhealthy(struct module *module, const json_t *health) {
    const json_t *log = json_object_get(health, "Log");
    size_t n = json_array_size(log);
    struct sk_span output =
        sk_span_z(json_string_value(json_object_get(json_array_get(log, n ? n - 1 : 0), "Output")));
    output = sk_span_trim(sk_span_first(output, sk_span_find(output, '\n')));
    snprintf(module->description, sizeof module->description, "unhealthy%s%.*s",
             output.n ? ": " : "", SK_ARG(sk_span_first(output, 120)));
}

static void take_running(struct module *module, const json_t *state) {
    struct container *container = module->own;
    struct module_world *world = module->world;
    const json_t *health = json_object_get(state, "Health");
    struct sk_span status = sk_span_z(json_string_value(json_object_get(health, "Status")));
    bool unhealthy = sk_span_is(status, "unhealthy"), was_unhealthy = module->state.unhealthy;
    module->state.started = true;
    module->state.unhealthy = unhealthy;
    module->last_start_us = time_of(state, "StartedAt");
    module->state.started_ns = moment(world, module->last_start_us);
    module->pid = (int)json_integer_value(json_object_get(state, "Pid"));
    if (unhealthy) {
        if (!was_unhealthy) module->state.exited_ns = sk_io_now(world->io);
        tell_unhealthy(module, health);
        if (!was_unhealthy)
            SK_WARN("agent", "module %s is %s", module->spec.name, module->description);
    } else {
        snprintf(module->description, sizeof module->description, "running%s%s",
                 container->note[0] ? "; " : "", container->note);
    }
    if (unhealthy != was_unhealthy) world->events->replan(world);
}

static void tell_end(struct module *module, const json_t *state) {
    const char *error = json_string_value(json_object_get(state, "Error"));
    if (json_is_true(json_object_get(state, "OOMKilled")))
        snprintf(module->description, sizeof module->description,
                 "ended: it had no memory left (exit code %d)", module->exit_code);
    else if (error && *error)
        snprintf(module->description, sizeof module->description, "exited with code %d: %.120s",
                 module->exit_code, error);
    else
        snprintf(module->description, sizeof module->description, "exited with code %d",
                 module->exit_code);
}

/* True when it has ended since the last look. */
static bool take_stopped(struct module *module, const json_t *state) {
    struct container *container = module->own;
    struct module_world *world = module->world;
    const char *finished = json_string_value(json_object_get(state, "FinishedAt"));
    bool never = time_of(state, "StartedAt") == 0;
    bool new = finished &&strcmp(finished, container->finished) != 0;
    module->pid = 0;
    module->state.unhealthy = false;
    if (never) {
        if (module->description[0] == 0 || container->adopted)
            snprintf(module->description, sizeof module->description, "created");
        return false;
    }
    if (!new) return false;
    snprintf(container->finished, sizeof container->finished, "%s", finished);
    module->exit_code = (int)json_integer_value(json_object_get(state, "ExitCode"));
    module->last_start_us = time_of(state, "StartedAt");
    module->last_exit_us = time_of(state, "FinishedAt");
    module->state.exited_ns = sk_io_now(world->io);
    module->state.exit_failed = module->exit_code != 0 && !container->stopping;
    container->stopping = false;
    tell_end(module, state);
    /* One that we find after a start of our own has its policy's due at once. */
    module->state.started = !container->adopted || module->spec.restart_policy == SK_RESTART_NEVER;
    if (!container->adopted)
        SK_INFO("agent", "module %s %s", module->spec.name, module->description);
    return !container->adopted;
}

static void take_lost(struct module *module, const char *how) {
    if (module->state.lost) return;
    module->state.lost = true;
    module->state.running = false;
    module->pid = 0;
    snprintf(module->description, sizeof module->description, "%s", how);
    SK_WARN("agent", "module %s: %s", module->spec.name, how);
    module->world->events->replan(module->world);
}

/* What was asked for has come about, or it has not. */
static void end_await(struct module *module, bool ended) {
    struct container *container = module->own;
    const struct module_events *events = module->world->events;
    enum container_await await = container->await;
    container->await = AWAIT_NOTHING;
    if (await == AWAIT_STOP) container->stopping = false;
    if (await == AWAIT_NOTHING && container->call) { /* what is asked ends by itself */
        events->changed(module->world);
    } else if (await == AWAIT_STOP && module->state.running) {
        events->failed(module, "Stop", "it still runs");
    } else if (await == AWAIT_START) {
        events->done(module);
    } else if (await == AWAIT_STOP || ended) {
        events->ended(module);
    } else {
        events->changed(module->world);
    }
}

static void take_look(struct module *module, const json_t *json) {
    struct container *container = module->own;
    const json_t *state = json_object_get(json, "State");
    const char *status = json_string_value(json_object_get(state, "Status")),
               *id = json_string_value(json_object_get(json, "Id")),
               *image = json_string_value(json_object_get(json, "Image"));
    bool dead =
        json_is_true(json_object_get(state, "Dead")) || (status && strcmp(status, "dead") == 0);
    bool running = json_is_true(json_object_get(state, "Running")) &&
                   !json_is_true(json_object_get(state, "Paused"));
    bool was_running = module->state.running, ended = false;
    if (id) snprintf(container->id, sizeof container->id, "%s", id);
    if (image) snprintf(module->image_hash, sizeof module->image_hash, "%s", image);
    container->terminal = json_is_true(json_object_get(json_object_get(json, "Config"), "Tty"));
    module->state.held = false;
    module->state.running = running && !dead;
    if (dead)
        take_lost(module, "the engine calls its container dead");
    else if (running)
        take_running(module, state);
    else
        ended = take_stopped(module, state);
    if (running && container->adopted)
        SK_INFO("agent", "module %s runs already", module->spec.name);
    if (container->adopted || was_running != module->state.running)
        module->world->events->replan(module->world);
    container->adopted = false;
    end_await(module, ended && was_running);
}

/* What is asked or awaited of a container has failed. If the engine has done it all the same, the
 * next look will tell. */
static void fail_pending(struct module *module, const char *why) {
    struct container *container = module->own;
    if (container == NULL || (container->await == AWAIT_NOTHING && container->call == NULL)) return;
    sk_engine_cancel(container->call);
    container->call = NULL;
    container->stopping = false;
    container->await = AWAIT_NOTHING;
    module->world->events->failed(module, "Container", why);
}

static void on_looked(void *arg, const struct sk_engine_answer *answer) {
    struct container *container = arg;
    struct module *module = container->module;
    struct containers *containers = module->world->containers;
    bool again = container->look_again;
    container->looking = NULL;
    container->look_again = false;
    if (answer->status == SK_OK && json_is_object(answer->json)) {
        if (again) { /* something has happened since */
            container_look(module);
            return;
        }
        take_look(module, answer->json);
    } else if (answer->http == 404) {
        if (container->call) return; /* it is just being made anew */
        module->state.held = false;
        take_lost(module, "somebody has removed its container");
        end_await(module, true);
    } else if (answer->http == 0 || answer->status == SK_OK) {
        containers_down(containers,
                        answer->status ? answer->why : "the container engine talks nonsense");
    } else { /* the others may be better off; the next look at all comes in a minute */
        SK_WARN("agent", "module %s cannot be looked at: %s", module->spec.name, answer->why);
        module->state.held = true;
        fail_pending(module, answer->why);
    }
}

void container_look(struct module *module) {
    struct container *container = container_own(module);
    char target[192];
    if (container->looking) {
        container->look_again = true;
        return;
    }
    snprintf(target, sizeof target, "/containers/%.128s/json", module->spec.name);
    container->looking = sk_engine_ask(module->world->containers->engine, SK_HTTP_GET, target, NULL,
                                       LOOK_MS, on_looked, container);
}

void container_look_away(struct module *module) {
    struct container *container = container_own(module);
    sk_engine_cancel(container->looking);
    container->looking = NULL;
    container->look_again = false;
}

/* ---- all of them ---- */

static bool is_made_container(const struct module *module) {
    return module->made && module->kind == &container_kind;
}

static struct module *find(struct containers *containers, struct sk_span name) {
    SK_LIST_EACH(&containers->world->modules, node, following) {
        struct module *module = SK_CONTAINER(node, struct module, link);
        if (is_made_container(module) && sk_span_is(name, module->spec.name)) return module;
    }
    return NULL;
}

bool container_is_ours(const struct containers *containers, const json_t *labels) {
    struct sk_span owner = sk_span_z(json_string_value(json_object_get(labels, SK_LABEL_OWNER))),
                   edge = sk_span_z(json_string_value(json_object_get(labels, SK_LABEL_EDGE)));
    return sk_span_is(owner, SK_LABEL_OWNER_US) &&
           (edge.n == 0 || sk_span_is(edge, containers->edge));
}

/* A container whose label does not say how it was made (Azure's agent made it) is another one than
 * any that is desired. */
static struct module *adopt(struct containers *containers, struct sk_span name,
                            const json_t *labels) {
    struct sk_module_spec spec;
    struct sk_deployment_fault fault;
    SK_CLEANUP_FREE char *text = sk_span_dup(name);
    const char *said = json_string_value(json_object_get(labels, SK_LABEL_MODULE));
    json_t *json = said ? sk_json_load(sk_span_z(said), 0, NULL) : NULL;
    if (sk_module_spec_read(text, json, &spec, &fault))
        spec = (struct sk_module_spec){.name = sk_span_dup(name),
                                       .type = sk_span_dup(SK_SPAN("docker")),
                                       .version = sk_span_dup(SK_SPAN("(unknown)"))};
    json_decref(json);
    struct module *module = containers->adopt(containers->world, &spec);
    sk_module_spec_free(&spec);
    if (module == NULL) return NULL;
    container_own(module)->adopted = true;
    module->state.held = true; /* until it has been looked at */
    return module;
}

/* One of a list: true when it has to be looked at. */
static bool has_changed(const struct module *module, const json_t *item) {
    const struct container *container = module->own;
    struct sk_span state = sk_span_z(json_string_value(json_object_get(item, "State")));
    const char *status = json_string_value(json_object_get(item, "Status"));
    bool running = sk_span_is(state, "running"),
         unhealthy = status && strstr(status, "(unhealthy)") != NULL;
    return container == NULL || container->adopted || module->state.held ||
           running != module->state.running || (running && unhealthy != module->state.unhealthy);
}

static void take_item(struct containers *containers, const json_t *item, json_t *seen) {
    struct sk_span name =
        sk_span_z(json_string_value(json_array_get(json_object_get(item, "Names"), 0)));
    const json_t *labels = json_object_get(item, "Labels");
    if (sk_span_starts(name, SK_SPAN("/"))) name = sk_span_skip(name, 1);
    if (name.n < 2 || name.n > 128 || !sk_span_only(name, "_.-") ||
        !container_is_ours(containers, labels))
        return;
    struct module *module = find(containers, name);
    if (module == NULL) module = adopt(containers, name, labels);
    if (module == NULL) return;
    json_object_set_new(seen, module->spec.name, json_true());
    if (has_changed(module, item)) container_look(module);
}

static void look_again_later(struct sk_timer *timer) {
    struct containers *containers = SK_CONTAINER(timer, struct containers, timer);
    if (containers->call == NULL) ask_network(containers);
}

static void on_list(void *arg, const struct sk_engine_answer *answer) {
    struct containers *containers = arg;
    const json_t *item;
    size_t i;
    containers->call = NULL;
    if (answer->status || !json_is_array(answer->json)) {
        containers_down(containers,
                        answer->status ? answer->why : "the container engine talks nonsense");
        return;
    }
    bool news = containers->state != ENGINE_UP;
    containers->state = ENGINE_UP;
    containers->tries = 0;
    containers->why[0] = 0;
    json_t *seen = json_object();
    json_array_foreach(answer->json, i, item) take_item(containers, item, seen);
    SK_LIST_EACH(&containers->world->modules, node, following) {
        struct module *module = SK_CONTAINER(node, struct module, link);
        if (is_made_container(module) && !json_object_get(seen, module->spec.name))
            container_look(module); /* it may have been made just now */
    }
    json_decref(seen);
    sk_timer_start(containers->world->io, &containers->timer, LOOK_S * SK_S, look_again_later);
    if (news) {
        SK_INFO("agent", "the container engine at %s answers", sk_engine_path(containers->engine));
        images_up(containers);
        containers->world->events->replan(containers->world);
        containers->world->events->changed(containers->world);
    }
}

static void ask_list(struct containers *containers) {
    struct sk_buffer target = {0};
    sk_buffer_text(&target, "/containers/json?all=1&filters=");
    sk_percent_encode(&target,
                      SK_SPAN("{\"label\":[\"" SK_LABEL_OWNER "=" SK_LABEL_OWNER_US "\"]}"));
    sk_buffer_byte(&target, 0);
    containers->call = sk_engine_ask(containers->engine, SK_HTTP_GET, target.p, NULL, LOOK_MS,
                                     on_list, containers);
    sk_buffer_free(&target);
}

/* ---- events ---- */

static bool on_event(void *arg, const json_t *event) {
    struct containers *containers = arg;
    struct sk_span action = sk_span_z(json_string_value(json_object_get(event, "Action")));
    const json_t *attributes = json_object_get(json_object_get(event, "Actor"), "Attributes");
    struct sk_span name = sk_span_z(json_string_value(json_object_get(attributes, "name")));
    struct module *module = find(containers, name);
    if (module && !sk_span_starts(action, SK_SPAN("exec_"))) container_look(module);
    return true;
}

static void on_events(void *arg, struct sk_span bytes) {
    struct containers *containers = arg;
    sk_json_lines_feed(&containers->lines, bytes, on_event, containers);
}

static void on_events_end(void *arg, const struct sk_engine_answer *answer) {
    struct containers *containers = arg;
    char why[SK_ENGINE_WHY_MAX];
    containers->events = NULL;
    snprintf(why, sizeof why, "the container engine at %s has gone",
             sk_engine_path(containers->engine));
    containers_down(containers, answer->status ? answer->why : why);
}

static void ask_events(struct containers *containers) {
    struct sk_buffer target = {0};
    if (containers->events) return;
    sk_buffer_text(&target, "/events?filters=");
    sk_percent_encode(&target, SK_SPAN("{\"type\":[\"container\"]}"));
    sk_buffer_byte(&target, 0);
    containers->lines.line.n = 0;
    containers->events =
        sk_engine_stream(containers->engine, &(struct sk_engine_stream){.method = SK_HTTP_GET,
                                                                        .target = target.p,
                                                                        .part = on_events,
                                                                        .done = on_events_end,
                                                                        .arg = containers});
    sk_buffer_free(&target);
}

/* ---- the network ---- */

/* The IPv4 address of its gateway, where the edge hub is reached. */
static void take_gateway(struct containers *containers, const json_t *network) {
    const json_t *all = json_object_get(json_object_get(network, "IPAM"), "Config"), *entry;
    size_t i;
    containers->gateway[0] = 0;
    json_array_foreach(all, i, entry) {
        struct sk_span text = sk_span_z(json_string_value(json_object_get(entry, "Gateway")));
        text = sk_span_first(text, sk_span_find(text, '/'));
        if (text.n && text.n < sizeof containers->gateway && containers->gateway[0] == 0 &&
            sk_span_find(text, ':') == text.n)
            snprintf(containers->gateway, sizeof containers->gateway, "%.*s", SK_ARG(text));
    }
}

static void on_network_made(void *arg, const struct sk_engine_answer *answer) {
    struct containers *containers = arg;
    containers->call = NULL;
    if (answer->status && answer->http != 409)
        containers_down(containers, answer->why);
    else
        ask_network(containers);
}

static json_t *network_body(const struct sk_container_options *options) {
    static const struct {
        const char *from, *to;
    } members[] = {{"gateway", "Gateway"}, {"subnet", "Subnet"}, {"ip_range", "IPRange"}};
    json_t *body = json_pack("{s:s,s:s,s:b}", "Name", options->network, "Driver", "bridge",
                             "CheckDuplicate", 1);
    const json_t *table = options->network_table, *entry;
    const json_t *all = json_object_get(json_object_get(table, "ipam"), "config");
    size_t i;
    if (json_is_true(json_object_get(table, "ipv6")))
        json_object_set_new(body, "EnableIPv6", json_true());
    json_t *config = json_array();
    json_array_foreach(all, i, entry) {
        json_t *one = json_object();
        for (size_t m = 0; m < sizeof members / sizeof *members; m++)
            json_object_set(one, members[m].to, json_object_get(entry, members[m].from));
        json_array_append_new(config, one);
    }
    if (json_array_size(config))
        json_object_set_new(body, "IPAM", json_pack("{s:O}", "Config", config));
    json_decref(config);
    return body;
}

static void on_network(void *arg, const struct sk_engine_answer *answer) {
    struct containers *containers = arg;
    containers->call = NULL;
    if (answer->http == 404) {
        json_t *body = network_body(&containers->world->options->containers);
        SK_INFO("agent", "making the network %s", containers->world->options->containers.network);
        containers->call = sk_engine_ask(containers->engine, SK_HTTP_POST, "/networks/create", body,
                                         LOOK_MS, on_network_made, containers);
        json_decref(body);
    } else if (answer->status) {
        containers_down(containers, answer->why);
    } else {
        take_gateway(containers, answer->json);
        ask_events(containers);
        ask_list(containers);
    }
}

static void ask_network(struct containers *containers) {
    struct sk_buffer target = {0};
    sk_buffer_text(&target, "/networks/");
    sk_percent_encode(&target, sk_span_z(containers->world->options->containers.network));
    sk_buffer_byte(&target, 0);
    containers->call = sk_engine_ask(containers->engine, SK_HTTP_GET, target.p, NULL, LOOK_MS,
                                     on_network, containers);
    sk_buffer_free(&target);
}

/* ---- the engine ---- */

static void on_info(void *arg, const struct sk_engine_answer *answer) {
    struct containers *containers = arg;
    containers->call = NULL;
    struct sk_span driver =
        sk_span_z(json_string_value(json_object_get(answer->json, "LoggingDriver")));
    containers->rotates_logs = sk_span_is(driver, "json-file");
    if (answer->status)
        containers_down(containers, answer->why);
    else
        ask_network(containers);
}

static void on_greeting(void *arg, const struct sk_engine_answer *answer) {
    struct containers *containers = arg;
    containers->call = NULL;
    if (answer->status)
        containers_down(containers, answer->why);
    else
        containers->call = sk_engine_ask(containers->engine, SK_HTTP_GET, "/info", NULL, LOOK_MS,
                                         on_info, containers);
}

static void try_again(struct sk_timer *timer) {
    connect_engine(SK_CONTAINER(timer, struct containers, timer));
}

static void connect_engine(struct containers *containers) {
    containers->state = ENGINE_ASKED;
    containers->call = sk_engine_greet(containers->engine, on_greeting, containers);
}

/* Lets go of what is under way. */
static void hang_up(struct containers *containers) {
    sk_engine_cancel(containers->call);
    sk_engine_cancel(containers->events);
    containers->call = containers->events = NULL;
    sk_timer_stop(&containers->timer);
}

void containers_down(struct containers *containers, const char *why) {
    char reason[SK_ENGINE_WHY_MAX];
    uint64_t wait_s = RETRY_S;
    snprintf(reason, sizeof reason, "%s", why); /* it ends with the call */
    bool news = strcmp(reason, containers->why) != 0;
    memcpy(containers->why, reason, sizeof reason);
    hang_up(containers);
    containers->state = ENGINE_DOWN;
    SK_LIST_EACH(&containers->world->modules, node, following) {
        struct module *module = SK_CONTAINER(node, struct module, link);
        if (!is_made_container(module)) continue;
        module->state.held = true;
        fail_pending(module, containers->why);
    }
    for (unsigned i = 0; i < containers->tries && wait_s < RETRY_MAX_S; i++) wait_s *= 2;
    if (wait_s > RETRY_MAX_S) wait_s = RETRY_MAX_S;
    containers->tries++;
    if (containers->world->closing) return;
    sk_timer_start(containers->world->io, &containers->timer, wait_s * SK_S, try_again);
    if (!news) return;
    SK_WARN("agent", "%s; containers are left as they are", containers->why);
    containers->world->events->changed(containers->world);
}

void containers_want(struct module_world *world, const struct sk_deployment *desired) {
    struct containers *containers = world->containers;
    bool wanted = false;
    if (containers == NULL) return;
    for (size_t i = 0; i < desired->module_count; i++)
        wanted |= sk_module_is_container(&desired->modules[i]);
    SK_LIST_EACH(&world->modules, node, following)
    wanted |= is_made_container(SK_CONTAINER(node, struct module, link));
    containers->wanted = wanted;
    /* Without an engine there is nothing left from before either. */
    bool there = sk_path_owner(sk_engine_path(containers->engine)) != UINT32_MAX;
    if (containers->state == ENGINE_OFF && (wanted || there)) connect_engine(containers);
    if (containers->state == ENGINE_DOWN && !wanted && !there) {
        hang_up(containers);
        containers->state = ENGINE_OFF;
    }
}

void containers_open(struct module_world *world,
                     struct module *(*adopt_one)(struct module_world *world,
                                                 const struct sk_module_spec *spec)) {
    struct sk_engine *engine;
    const struct sk_modules_options *options = world->options;
    if (sk_engine_new(world->io, options->containers.engine_uri, &engine)) {
        SK_WARN("agent", "[moby_runtime] uri %s is not a unix socket's: containers are not run",
                options->containers.engine_uri);
        return;
    }
    struct containers *containers = SK_NEW(struct containers);
    containers->world = world;
    containers->engine = engine;
    containers->adopt = adopt_one;
    snprintf(containers->edge, sizeof containers->edge, "%s/%s", options->hub_host,
             options->device_id);
    sk_list_init(&containers->images);
    world->containers = containers;
    images_begin(containers);
    image_gc_begin(containers);
}

void containers_close(struct module_world *world) {
    struct containers *containers = world->containers;
    world->containers = NULL;
    if (containers == NULL) return;
    hang_up(containers);
    images_end(containers);
    image_gc_end(containers);
    sk_engine_free(containers->engine);
    sk_json_lines_free(&containers->lines);
    free(containers);
}
