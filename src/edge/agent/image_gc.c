#include "edge/agent/image_gc.h"

#include <stdio.h>

#include "edge/agent/image_record.h"
#include "model/json_text.h"

enum { CALL_MS = 60000, FILE_MAX = 1 << 20 };

struct image_gc {
    struct containers *containers;
    json_t *record;
    struct sk_engine_call *call;
    struct sk_timer timer;
    char *removing; /* name of the image */
};

static void save(struct image_gc *gc) {
    struct module_world *world = gc->containers->world;
    char path[512];
    snprintf(path, sizeof path, "%s/agent/images.json", world->options->data);
    SK_CLEANUP_FREE char *text = sk_json_text(gc->record);
    if (sk_file_save(world->io, path, sk_span_z(text), 0600))
        SK_WARN("agent", "cannot write %s", path);
}

void image_gc_note(struct containers *containers, const char *name) {
    struct image_gc *gc = containers->gc;
    if (gc == NULL) return;
    sk_image_record_use(gc->record, name, sk_io_wall(containers->world->io));
    save(gc);
}

/* ---- removing ---- */

static void remove_next(struct image_gc *gc);

static void on_removed(void *arg, const struct sk_engine_answer *answer) {
    struct image_gc *gc = arg;
    gc->call = NULL;
    if (answer->status == SK_OK) SK_INFO("agent", "removed the image %s", gc->removing);
    if (answer->http == 409) /* somebody else's container has it */
        sk_image_record_use(gc->record, gc->removing, sk_io_wall(gc->containers->world->io));
    else if (answer->status == SK_OK || answer->http == 404)
        sk_image_record_forget(gc->record, gc->removing);
    bool goes_on = answer->status == SK_OK || answer->http == 409 || answer->http == 404;
    if (!goes_on) SK_WARN("agent", "the image %s stays: %s", gc->removing, answer->why);
    free(gc->removing);
    gc->removing = NULL;
    if (goes_on)
        remove_next(gc);
    else
        save(gc); /* the rest has time */
}

static void remove_next(struct image_gc *gc) {
    const struct module_world *world = gc->containers->world;
    const char *name = sk_image_record_old(gc->record, sk_io_wall(world->io),
                                           world->options->containers.gc.age_us);
    struct sk_buffer target = {0};
    if (name == NULL) {
        save(gc);
        return;
    }
    gc->removing = sk_span_dup(sk_span_z(name));
    sk_buffer_text(&target, "/images/");
    sk_percent_encode(&target, sk_span_z(name));
    sk_buffer_byte(&target, 0);
    gc->call = sk_engine_ask(gc->containers->engine, SK_HTTP_DELETE, target.p, NULL, CALL_MS,
                             on_removed, gc);
    sk_buffer_free(&target);
}

/* ---- what is in use ---- */

/* Whatever container of the machine has it, running or not. */
static void on_list(void *arg, const struct sk_engine_answer *answer) {
    struct image_gc *gc = arg;
    int64_t now_us = sk_io_wall(gc->containers->world->io);
    const json_t *item, *images = json_object_get(gc->record, "images");
    size_t i;
    gc->call = NULL;
    if (answer->status || !json_is_array(answer->json)) return;
    json_array_foreach(answer->json, i, item) {
        const char *name = json_string_value(json_object_get(item, "Image"));
        if (name && json_object_get(images, name)) sk_image_record_use(gc->record, name, now_us);
    }
    json_object_set_new(gc->record, "cleaned", json_integer(now_us));
    remove_next(gc);
}

static void on_time(struct sk_timer *timer);

static void wait_for_time(struct image_gc *gc) {
    const struct module_world *world = gc->containers->world;
    sk_timer_start_at(world->io, &gc->timer,
                      sk_image_next_us(sk_io_wall(world->io), world->options->containers.gc.minute),
                      on_time);
}

/* The timer comes every minute, too: the clock may have been set. */
static void on_time(struct sk_timer *timer) {
    struct image_gc *gc = SK_CONTAINER(timer, struct image_gc, timer);
    const struct module_world *world = gc->containers->world;
    const struct sk_image_gc *options = &world->options->containers.gc;
    int64_t now_us = sk_io_wall(world->io);
    /* Within the minute that begins then. */
    bool now = sk_image_next_us(now_us - INT64_C(60) * 1000000, options->minute) <= now_us;
    if (now && containers_up(gc->containers) && gc->call == NULL &&
        sk_image_record_due(gc->record, now_us, options->every_us))
        gc->call = sk_engine_ask(gc->containers->engine, SK_HTTP_GET, "/containers/json?all=1",
                                 NULL, CALL_MS, on_list, gc);
    wait_for_time(gc);
}

/* ---- life ---- */

void image_gc_begin(struct containers *containers) {
    struct module_world *world = containers->world;
    const struct sk_image_gc *options = &world->options->containers.gc;
    char path[512];
    struct sk_buffer text = {.limit = FILE_MAX};
    if (options->disabled || options->every_us == 0) return;
    struct image_gc *gc = SK_NEW(struct image_gc);
    gc->containers = containers;
    snprintf(path, sizeof path, "%s/agent/images.json", world->options->data);
    sk_file_load(world->io, path, &text);
    gc->record = sk_image_record_read(sk_buffer_span(&text));
    sk_buffer_free(&text);
    containers->gc = gc;
    wait_for_time(gc);
}

void image_gc_end(struct containers *containers) {
    struct image_gc *gc = containers->gc;
    containers->gc = NULL;
    if (gc == NULL) return;
    sk_engine_cancel(gc->call);
    sk_timer_stop(&gc->timer);
    json_decref(gc->record);
    free(gc->removing);
    free(gc);
}
