#include "edge/agent/images.h"

#include <stdio.h>

#include "edge/agent/engine/image.h"
#include "edge/agent/image_gc.h"
#include "model/json_text.h"

enum {
    AT_ONCE = 3,
    LAYERS_MAX = 128,
    LOOK_MS = 20000,
    SILENCE_MS = 10 * 60 * 1000, /* engines are silent while they unpack */
};
static const uint64_t RETRY_NS = 10 * SK_S, RETRY_MAX_NS = 300 * SK_S, TOLD_NS = 2 * SK_S;

struct layer {
    uint32_t id; /* a checksum of the engine's */
    uint64_t got, size;
};

struct image {
    struct sk_list link;
    struct containers *containers;
    struct sk_module_spec spec; /* of the module that it is for */
    char *name;                 /* as the engine is asked for it */
    enum sk_readiness readiness;
    bool queued, pulled;
    struct sk_engine_call *call;
    struct sk_json_lines lines;
    struct layer layers[LAYERS_MAX];
    size_t layer_count;
    uint64_t told_ns;
    unsigned tries;
    struct sk_timer again;
    char error[SK_ENGINE_WHY_MAX], note[160];
};

static void pull_next(struct containers *containers);

static void image_free(struct image *image) {
    sk_list_remove(&image->link);
    sk_timer_stop(&image->again);
    sk_engine_cancel(image->call);
    sk_json_lines_free(&image->lines);
    sk_module_spec_free(&image->spec);
    free(image->name);
    free(image);
}

static struct image *find(struct containers *containers, const char *module) {
    SK_LIST_EACH(&containers->images, node, following) {
        struct image *image = SK_CONTAINER(node, struct image, link);
        if (strcmp(image->spec.name, module) == 0) return image;
    }
    return NULL;
}

static struct module *module_of(const struct image *image) {
    SK_LIST_EACH(&image->containers->world->modules, node, following) {
        struct module *module = SK_CONTAINER(node, struct module, link);
        if (strcmp(module->spec.name, image->spec.name) == 0) return module;
    }
    return NULL;
}

/* For the report. What runs says how it runs; only what is not there yet is described by this. */
static void tell(struct image *image, const char *text) {
    struct module_world *world = image->containers->world;
    struct module *module = module_of(image);
    if (module == NULL || module->made) return;
    snprintf(module->description, sizeof module->description, "%s", text);
    world->events->changed(world);
}

/* ---- how it ends ---- */

static void ready(struct image *image) {
    struct module *module = module_of(image);
    image->readiness = SK_READY;
    image->tries = 0;
    if (module) module->trouble[0] = 0;
    if (image->note[0]) SK_WARN("agent", "module %s: %s", image->spec.name, image->note);
    image->containers->world->events->replan(image->containers->world);
    pull_next(image->containers);
}

static void try_again(struct sk_timer *timer) {
    struct image *image = SK_CONTAINER(timer, struct image, again);
    image->readiness = SK_PREPARING;
    image->queued = true;
    pull_next(image->containers);
}

static void unready(struct image *image, const char *what) {
    struct module *module = module_of(image);
    uint64_t wait_ns = RETRY_NS << (image->tries < 6 ? image->tries : 6);
    image->readiness = SK_UNREADY;
    image->tries++;
    if (wait_ns > RETRY_MAX_NS) wait_ns = RETRY_MAX_NS;
    sk_timer_start(image->containers->world->io, &image->again, wait_ns, try_again);
    if (module)
        snprintf(module->trouble, sizeof module->trouble, "%s of module %.60s: %.320s", what,
                 image->spec.name, image->error);
    SK_WARN("agent", "%s of module %s: %s; tried again in %llu s", what, image->spec.name,
            image->error, (unsigned long long)(wait_ns / SK_S));
    tell(image, module ? module->trouble : "");
    image->containers->world->events->replan(image->containers->world);
    image->containers->world->events->changed(image->containers->world);
    pull_next(image->containers);
}

/* ---- on this machine ---- */

static bool is_local(const struct sk_module_spec *spec) {
    return spec->image_id ||
           (spec->image_pull_policy && strcmp(spec->image_pull_policy, "never") == 0);
}

static void on_inspected(void *arg, const struct sk_engine_answer *answer) {
    struct image *image = arg;
    image->call = NULL;
    if (answer->status == SK_OK) {
        if (image->error[0])
            snprintf(image->note, sizeof image->note,
                     "its image could not be pulled (%.80s), the one on this device is used",
                     image->error);
        ready(image);
        return;
    }
    if (answer->http == 0) containers_down(image->containers, answer->why);
    if (answer->http == 404 && image->error[0] == 0)
        snprintf(image->error, sizeof image->error, "%.160s is not on this device, and %s",
                 image->name,
                 is_local(&image->spec) ? "imagePullPolicy is never: load it, or allow on-create"
                                        : "the engine did not get it");
    else if (answer->http != 404)
        snprintf(image->error, sizeof image->error, "%s", answer->why);
    unready(image, "Image");
}

static void inspect(struct image *image) {
    struct sk_buffer target = {0};
    sk_buffer_text(&target, "/images/");
    sk_percent_encode(&target, sk_span_z(image->name));
    sk_buffer_text(&target, "/json");
    sk_buffer_byte(&target, 0);
    image->call = sk_engine_ask(image->containers->engine, SK_HTTP_GET, target.p, NULL, LOOK_MS,
                                on_inspected, image);
    sk_buffer_free(&target);
}

/* ---- from a registry ---- */

static struct layer *layer_of(struct image *image, const char *id) {
    uint32_t sum = sk_crc32c(0, sk_span_z(id));
    for (size_t i = 0; i < image->layer_count; i++)
        if (image->layers[i].id == sum) return &image->layers[i];
    if (image->layer_count == LAYERS_MAX) return NULL;
    image->layers[image->layer_count].id = sum;
    return &image->layers[image->layer_count++];
}

static void take_progress(struct image *image, const json_t *json) {
    const json_t *detail = json_object_get(json, "progressDetail");
    const char *id = json_string_value(json_object_get(json, "id"));
    json_int_t got = json_integer_value(json_object_get(detail, "current")),
               size = json_integer_value(json_object_get(detail, "total"));
    uint64_t now_ns = sk_io_now(image->containers->world->io), all = 0, there = 0;
    struct layer *layer = id && size > 0 && got >= 0 ? layer_of(image, id) : NULL;
    char text[64] = "downloading";
    if (layer) *layer = (struct layer){layer->id, (uint64_t)got, (uint64_t)size};
    for (size_t i = 0; i < image->layer_count; i++) {
        all += image->layers[i].size;
        there += image->layers[i].got;
    }
    if (image->told_ns && now_ns - image->told_ns < TOLD_NS) return;
    image->told_ns = now_ns;
    if (all && there <= all)
        snprintf(text, sizeof text, "downloading %u %%", (unsigned)(there * 100 / all));
    tell(image, text);
}

static bool on_line(void *arg, const json_t *json) {
    struct image *image = arg;
    const char *error = json_string_value(json_object_get(json, "error"));
    const char *detail =
        json_string_value(json_object_get(json_object_get(json, "errorDetail"), "message"));
    if (error || detail)
        snprintf(image->error, sizeof image->error, "%.300s", error ? error : detail);
    else
        take_progress(image, json);
    return true;
}

static void on_part(void *arg, struct sk_span bytes) {
    struct image *image = arg;
    sk_json_lines_feed(&image->lines, bytes, on_line, image);
}

/* A failed pull ends as well as any other; the one on this machine may do. */
static void on_pulled(void *arg, const struct sk_engine_answer *answer) {
    struct image *image = arg;
    image->call = NULL;
    sk_json_lines_feed(&image->lines, SK_SPAN("\n"), on_line, image);
    if (answer->status && image->error[0] == 0)
        snprintf(image->error, sizeof image->error, "%.300s", answer->why);
    inspect(image);
}

/* RFC 4648, section 5, with padding. */
static void put_base64url(struct sk_buffer *to, struct sk_span bytes) {
    sk_base64_encode(to, bytes);
    for (size_t i = 0; i < to->n; i++) {
        if (to->p[i] == '+') to->p[i] = '-';
        if (to->p[i] == '/') to->p[i] = '_';
    }
}

static void put_credentials(struct sk_buffer *to, const json_t *registry) {
    if (registry == NULL) return;
    json_t *json = json_pack("{s:O,s:O,s:O}", "username", json_object_get(registry, "username"),
                             "password", json_object_get(registry, "password"), "serveraddress",
                             json_object_get(registry, "address"));
    SK_CLEANUP_FREE char *text = sk_json_text(json);
    put_base64url(to, sk_span_z(text));
    json_decref(json);
}

static void pull(struct image *image) {
    struct sk_buffer target = {0}, auth = {0};
    image->pulled = true;
    sk_buffer_text(&target, "/images/create?fromImage=");
    sk_percent_encode(&target, sk_span_z(image->name));
    sk_buffer_byte(&target, 0);
    put_credentials(&auth, image->spec.registry);
    SK_INFO("agent", "pulling %s for module %s", image->name, image->spec.name);
    tell(image, "downloading");
    image->call =
        sk_engine_stream(image->containers->engine,
                         &(struct sk_engine_stream){.method = SK_HTTP_POST,
                                                    .target = target.p,
                                                    .registry_auth = sk_buffer_span(&auth),
                                                    .silence_ms = SILENCE_MS,
                                                    .part = on_part,
                                                    .done = on_pulled,
                                                    .arg = image});
    sk_buffer_free(&target);
    sk_buffer_free(&auth);
}

static void pull_next(struct containers *containers) {
    unsigned busy = 0;
    if (!containers_up(containers) || containers->world->closing) return;
    SK_LIST_EACH(&containers->images, node, following)
    busy += SK_CONTAINER(node, struct image, link)->call != NULL;
    SK_LIST_EACH(&containers->images, node, following) {
        struct image *image = SK_CONTAINER(node, struct image, link);
        if (!image->queued || busy >= AT_ONCE) continue;
        busy++;
        image->queued = false;
        image->error[0] = image->note[0] = 0;
        image->layer_count = 0;
        image->told_ns = 0;
        if (is_local(&image->spec))
            inspect(image);
        else
            pull(image);
    }
}

/* ---- for the kind ---- */

static bool is_for(const struct image *image, const struct sk_module_spec *spec) {
    return sk_span_eq(sk_span_z(image->spec.image), sk_span_z(spec->image)) &&
           sk_span_eq(sk_span_z(image->spec.image_id), sk_span_z(spec->image_id)) &&
           sk_span_eq(sk_span_z(image->spec.image_pull_policy),
                      sk_span_z(spec->image_pull_policy)) &&
           json_equal(image->spec.registry ? image->spec.registry : json_null(),
                      spec->registry ? spec->registry : json_null());
}

enum sk_readiness images_ready(struct module *module, const struct sk_module_spec *spec) {
    struct containers *containers = module->world->containers;
    struct image *image = find(containers, spec->name);
    if (image && !is_for(image, spec)) {
        image_free(image);
        module->trouble[0] = 0;
        image = NULL;
    }
    return image ? image->readiness : SK_UNPREPARED;
}

void images_prepare(struct module *module, const struct sk_module_spec *spec) {
    struct containers *containers = module->world->containers;
    const char *parent = module->world->options->parent_host;
    struct sk_image_name name;
    struct sk_buffer text = {0};
    if (find(containers, spec->name)) return;
    struct image *image = SK_NEW(struct image);
    image->containers = containers;
    image->spec = sk_module_spec_copy(spec);
    sk_list_append(&containers->images, &image->link);
    enum sk_status status = SK_OK;
    if (spec->image_id)
        sk_buffer_text(&text, spec->image_id);
    else if ((status = sk_image_name_parse(sk_span_z(spec->image), &name)) == SK_OK)
        status = sk_image_name_put(&text, &name, parent);
    image->name = sk_span_dup(sk_buffer_span(&text));
    sk_buffer_free(&text);
    image->readiness = SK_PREPARING;
    image->queued = status == SK_OK;
    tell(image, "waiting for its image");
    if (status) {
        snprintf(image->error, sizeof image->error,
                 "%.160s stands for the parent's registry, and config.toml names no "
                 "parent_hostname",
                 spec->image);
        unready(image, "Image");
    }
    pull_next(containers);
}

const char *images_name(struct module *module, const char **note) {
    struct image *image = find(module->world->containers, module->spec.name);
    *note = image ? image->note : "";
    return image && image->readiness == SK_READY ? image->name : "";
}

void images_used(struct module *module) {
    struct containers *containers = module->world->containers;
    struct image *image = find(containers, module->spec.name);
    if (image == NULL) return;
    if (image->readiness == SK_READY && image->pulled && image->error[0] == 0)
        image_gc_note(containers, image->name);
    image_free(image);
}

void images_up(struct containers *containers) {
    pull_next(containers);
}

void images_begin(struct containers *containers) {
    sk_list_init(&containers->images);
}

void images_end(struct containers *containers) {
    while (!sk_list_empty(&containers->images))
        image_free(SK_LIST_FIRST(&containers->images, struct image, link));
}
