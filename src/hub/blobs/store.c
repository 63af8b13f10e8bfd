/* Documents and files of blobs. */
#include <stdio.h>

#include "hub/blobs/parts.h"
#include "model/json_text.h"

enum {
    SWEEP_S = 3600,
    PAGE = 200,
    COPIED_S = 5,
};
#define COPY_US (86400ll * 1000000)
/* How long a block waits for the list that names it, as at Azure. */
#define BLOCK_TTL_US (7 * 86400ll * 1000000)

struct sk_span blob_kind(struct sk_arena *arena, const char *prefix, struct sk_span container) {
    return sk_arena_print(arena, "%s%.*s", prefix, SK_ARG(container));
}

void blob_file_path(const struct blobs *blobs, const char *id, char to[1024]) {
    snprintf(to, 1024, "%s/%s", blobs->folder, id);
}

/* ---- one at a time ---- */

/* A blob and its blocks, which are called "blob\nid", stand in each other's way; blocks do not. */
static bool in_the_way(struct sk_span a, struct sk_span b) {
    struct sk_span few = a.n < b.n ? a : b, many = a.n < b.n ? b : a;
    return sk_span_starts(many, few) && (many.n == few.n || many.p[few.n] == '\n');
}

bool blob_change_begin(struct blobs *blobs, struct blob_change *change, struct sk_span container,
                       struct sk_span blob) {
    SK_LIST_EACH(&blobs->changes, node, following) {
        const struct blob_change *other = SK_CONTAINER(node, struct blob_change, link);
        if (sk_span_is(container, other->container) && in_the_way(blob, sk_span_z(other->blob)))
            return false;
    }
    *change = (struct blob_change){.container = sk_span_dup(container), .blob = sk_span_dup(blob)};
    sk_list_append(&blobs->changes, &change->link);
    return true;
}

void blob_change_end(struct blob_change *change) {
    if (change->container == NULL) return;
    sk_list_remove(&change->link);
    free(change->container);
    free(change->blob);
    change->container = NULL;
}

/* ---- documents ---- */

void blob_stamp(struct blobs *blobs, json_t *record) {
    struct sk_io *io = blobs->hub->backend.io;
    int64_t now = sk_io_wall(io);
    uint32_t chance;
    char etag[40];
    sk_io_random(io, &chance, sizeof chance);
    snprintf(etag, sizeof etag, "0x%llX%08X", (unsigned long long)now, chance);
    json_object_set_new(record, "etag", json_string(etag));
    json_object_set_new(record, "modified", json_integer(now));
}

/* Whether the etag of a condition ("*", or one in quotes) is that of the record. */
static bool same(struct sk_span condition, const json_t *record) {
    if (condition.n > 1 && condition.p[0] == '"')
        condition = sk_span_first(sk_span_skip(condition, 1), condition.n - 2);
    return record && (sk_span_is(condition, "*") ||
                      sk_span_is(condition, json_string_value(json_object_get(record, "etag"))));
}

enum blob_error blob_condition(const struct blob_request *r, const json_t *record) {
    const struct sk_http_parser *http = r->exchange->request;
    struct sk_span match = sk_http_header(http, "If-Match"),
                   none = sk_http_header(http, "If-None-Match");
    if (match.n && !same(match, record)) return BLOB_CONDITION;
    if (none.n == 0 || !same(none, record)) return BLOB_FINE;
    if (http->method == SK_HTTP_GET || http->method == SK_HTTP_HEAD) return BLOB_NOT_MODIFIED;
    return sk_span_is(none, "*") ? BLOB_BLOB_EXISTS : BLOB_CONDITION;
}

/* ---- files that nobody needs ---- */

struct waste {
    struct sk_list link;
    char id[BLOB_FILE_ID + 1];
};

static void look_at_copy(void *arg, struct sk_span name) {
    int64_t begun_us, *newest_us = arg;
    if (sk_span_to_int(name, &begun_us) == SK_OK && begun_us > *newest_us) *newest_us = begun_us;
}

/* A backup copies what there is now; one that has not ended after a day will not. */
static bool is_copied(const struct blobs *blobs) {
    struct sk_io *io = blobs->hub->backend.io;
    int64_t newest_us = 0;
    char path[1024];
    snprintf(path, sizeof path, "%s/" SK_HUB_BLOBS_COPIED, blobs->folder);
    sk_folder_list(io, path, look_at_copy, &newest_us);
    return newest_us > sk_io_wall(io) - COPY_US;
}

static void take_out(struct sk_task *task);

static void look_again(struct sk_timer *timer) {
    struct blobs *blobs = SK_CONTAINER(timer, struct blobs, copied);
    sk_io_yield(timer->io, &blobs->take_out, take_out);
}

/* One a turn: each waits for the disk. */
static void take_out(struct sk_task *task) {
    struct blobs *blobs = SK_CONTAINER(task, struct blobs, take_out);
    struct waste *waste = SK_LIST_FIRST(&blobs->trash, struct waste, link);
    char path[1024];
    if (waste == NULL) return;
    if (is_copied(blobs)) {
        sk_timer_start(blobs->hub->backend.io, &blobs->copied, COPIED_S * SK_S, look_again);
        return;
    }
    blob_file_path(blobs, waste->id, path);
    sk_file_remove(blobs->hub->backend.io, path);
    sk_list_remove(&waste->link);
    free(waste);
    if (!sk_list_empty(&blobs->trash)) sk_io_yield(blobs->hub->backend.io, task, take_out);
}

void blob_waste(struct blobs *blobs, const char *id) {
    struct waste *waste = SK_NEW(struct waste);
    if (blobs->hub->closing) { /* found at the next start */
        free(waste);
        return;
    }
    snprintf(waste->id, sizeof waste->id, "%s", id);
    sk_list_append(&blobs->trash, &waste->link);
    sk_io_yield(blobs->hub->backend.io, &blobs->take_out, take_out);
}

static bool lists(const json_t *record, const char *id) {
    size_t i;
    json_t *part;
    json_array_foreach(json_object_get(record, "parts"), i, part) {
        if (strcmp(json_string_value(json_array_get(part, 0)), id) == 0) return true;
    }
    return false;
}

void blob_waste_parts(struct blobs *blobs, const json_t *record, const json_t *kept) {
    size_t i;
    json_t *part;
    json_array_foreach(json_object_get(record, "parts"), i, part) {
        const char *id = json_string_value(json_array_get(part, 0));
        if (id && !lists(kept, id)) blob_waste(blobs, id);
    }
}

/* A block that waits no more, and what its blob is now. */
struct loose {
    struct blobs *blobs;
    json_t *block;
};

static void waste_loose(void *arg, const struct sk_registry_end *end,
                        const struct sk_registry_document *document) {
    struct loose *loose = arg;
    if (end->status == SK_OK || end->status == SK_NOT_FOUND) { /* else: found at the next start */
        json_t *blob = document ? sk_json_load(document->bytes, 0, NULL) : NULL;
        blob_waste_parts(loose->blobs, loose->block, blob);
        json_decref(blob);
    }
    json_decref(loose->block);
    free(loose);
}

void blob_waste_block(struct blobs *blobs, struct sk_span container, struct sk_span key,
                      const json_t *block) {
    struct loose *loose = SK_NEW(struct loose);
    struct sk_arena arena = {0};
    *loose = (struct loose){blobs, json_incref((json_t *)block)};
    sk_registry_document_get(blobs->hub->registry, blob_kind(&arena, BLOB_DOCUMENTS, container),
                             sk_span_first(key, sk_span_find(key, '\n')), waste_loose, loose);
    sk_arena_free(&arena);
}

/* ---- the sweep: blocks whose time has passed; at the start also files that no document lists, and
 * containers that were being deleted ---- */

struct sweep {
    struct blobs *blobs;
    json_t *names; /* of containers */
    size_t at;
    bool with_files;
    bool blocks;    /* else blobs, which come behind: a block may become one's part meanwhile */
    json_t *listed; /* files: id → true */
    char *after;
    struct sk_task next;
    unsigned folder;
};

static void sweep_on(struct sweep *sweep);
static void begin_sweep(struct sk_timer *timer);

static void free_sweep(struct sweep *sweep) {
    sweep->blobs->sweeping = NULL;
    sk_io_undefer(&sweep->next);
    json_decref(sweep->names);
    json_decref(sweep->listed);
    free(sweep->after);
    free(sweep);
}

static void end_sweep(struct sweep *sweep) {
    struct blobs *blobs = sweep->blobs;
    free_sweep(sweep);
    if (!blobs->hub->closing)
        sk_timer_start(blobs->hub->backend.io, &blobs->sweep, SWEEP_S * SK_S, begin_sweep);
}

static void look_at_file(void *arg, struct sk_span name) {
    struct sweep *sweep = arg;
    char id[BLOB_FILE_ID + 1];
    if (sk_span_starts(name, sk_span_z(sweep->blobs->run)) || name.n + 4 > sizeof id) return;
    snprintf(id, sizeof id, "%02x/%.*s", sweep->folder, SK_ARG(name));
    if (json_object_get(sweep->listed, id) == NULL) blob_waste(sweep->blobs, id);
}

/* One folder a turn. */
static void sweep_folder(struct sk_task *task) {
    struct sweep *sweep = SK_CONTAINER(task, struct sweep, next);
    struct sk_io *io = sweep->blobs->hub->backend.io;
    char path[1024];
    snprintf(path, sizeof path, "%s/%02x", sweep->blobs->folder, sweep->folder);
    sk_folder_list(io, path, look_at_file, sweep);
    if (++sweep->folder == 256)
        end_sweep(sweep);
    else
        sk_io_yield(io, task, sweep_folder);
}

static void note_files(struct sweep *sweep, const json_t *record) {
    size_t i;
    json_t *part;
    if (!sweep->with_files) return;
    json_array_foreach(json_object_get(record, "parts"), i, part)
        json_object_set_new(sweep->listed, json_string_value(json_array_get(part, 0)), json_true());
}

static void look_at_block(struct sweep *sweep, const char *container, struct sk_span key,
                          const json_t *block) {
    struct blobs *blobs = sweep->blobs;
    struct sk_arena arena = {0};
    int64_t modified = json_integer_value(json_object_get(block, "modified"));
    if (modified > sk_io_wall(blobs->hub->backend.io) - BLOCK_TTL_US) return;
    blob_waste_block(blobs, sk_span_z(container), key, block);
    sk_registry_document_delete(blobs->hub->registry,
                                blob_kind(&arena, BLOCK_DOCUMENTS, sk_span_z(container)), key, NULL,
                                NULL);
    sk_arena_free(&arena);
}

static const char *container_at(const struct sweep *sweep) {
    return json_string_value(json_array_get(sweep->names, sweep->at));
}

static void found(void *arg, const struct sk_registry_end *end,
                  const struct sk_registry_documents *list) {
    struct sweep *sweep = arg;
    const char *container = container_at(sweep);
    if (end->status) {
        end_sweep(sweep);
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct sk_registry_document *document = &list->documents[i];
        json_t *record = sk_json_load(document->bytes, 0, NULL);
        note_files(sweep, record);
        if (sweep->blocks) look_at_block(sweep, container, document->key, record);
        json_decref(record);
    }
    free(sweep->after);
    sweep->after = list->count ? sk_span_dup(list->documents[list->count - 1].key) : NULL;
    if (list->count == 0) {
        bool next = !sweep->with_files || !sweep->blocks;
        sweep->blocks = next;
        if (next) sweep->at++;
    }
    sweep_on(sweep);
}

/* The next page of documents; behind the last the files. */
static void sweep_on(struct sweep *sweep) {
    const char *container = container_at(sweep);
    struct sk_arena arena = {0};
    if (container) {
        sk_registry_document_list(sweep->blobs->hub->registry,
                                  blob_kind(&arena,
                                            sweep->blocks ? BLOCK_DOCUMENTS : BLOB_DOCUMENTS,
                                            sk_span_z(container)),
                                  sk_span_z(sweep->after), PAGE, found, sweep);
        sk_arena_free(&arena);
    } else if (sweep->with_files) {
        sk_io_yield(sweep->blobs->hub->backend.io, &sweep->next, sweep_folder);
    } else {
        end_sweep(sweep);
    }
}

static void start_sweep(struct blobs *blobs, bool with_files) {
    struct sweep *sweep = SK_NEW(struct sweep);
    const char *name;
    json_t *container;
    blobs->sweeping = sweep;
    sweep->blobs = blobs;
    sweep->names = json_array();
    sweep->listed = json_object();
    sweep->with_files = with_files;
    sweep->blocks = true;
    json_object_foreach(blobs->containers, name, container)
        json_array_append_new(sweep->names, json_string(name));
    sweep_on(sweep);
}

static void begin_sweep(struct sk_timer *timer) {
    start_sweep(SK_CONTAINER(timer, struct blobs, sweep), false);
}

/* ---- life ---- */

void blob_store_open(struct blobs *blobs) {
    uint32_t run;
    sk_list_init(&blobs->sinks);
    sk_list_init(&blobs->changes);
    sk_list_init(&blobs->trash);
    sk_io_random(blobs->hub->backend.io, &run, sizeof run);
    snprintf(blobs->run, sizeof blobs->run, "%08x", run);
}

void blob_store_start(struct blobs *blobs) {
    const char *name;
    json_t *container;
    json_object_foreach(blobs->containers, name, container) {
        if (json_is_true(json_object_get(container, "deleted")))
            blob_container_remove(blobs, sk_span_z(name));
    }
    start_sweep(blobs, true);
}

void blob_store_close(struct blobs *blobs) {
    sk_timer_stop(&blobs->sweep);
    sk_timer_stop(&blobs->copied);
    sk_io_undefer(&blobs->take_out);
    if (blobs->sweeping) free_sweep(blobs->sweeping);
    while (!sk_list_empty(&blobs->trash)) {
        struct waste *waste = SK_LIST_FIRST(&blobs->trash, struct waste, link);
        sk_list_remove(&waste->link);
        free(waste);
    }
}
