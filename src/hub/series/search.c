/* Search: instances by words, and how many of them are where in hierarchies. All instances are gone
 * over, a share of a turn at a time. */
#include <stdio.h>

#include "hub/series/parts.h"
#include "model/json_text.h"

enum {
    WORDS_MAX = 16,
    HITS_DEFAULT = 10,
    HITS_MAX = 100,
    NODES_MAX = 1000, /* of one level */
    STEPS = 16,       /* instances between looks at the clock */
};

struct hit {
    struct sk_span id;
    json_t *document; /* NULL: it is in the store alone */
    unsigned rank;    /* the least first */
};
struct node {
    struct sk_span name;
    uint64_t count;
};
struct search {
    struct sk_list link;
    struct series *series;
    struct sk_request *request;
    struct sk_task task;
    struct sk_arena arena;
    struct sk_span words[WORDS_MAX];
    size_t word_count;
    struct sk_span path[SERIES_DEPTH_MAX + 1]; /* a hierarchy's name, then values of its levels */
    size_t depth;
    bool recursive, by_name, highlights, wants_hits, wants_nodes, suggests, until_children;
    size_t hits_max, nodes_max, skip;
    size_t place; /* in the store's list, then in the model's */
    bool of_model;
    struct hit *hits;
    size_t hit_count, hit_room;
    struct node *nodes;
    size_t node_count;
    /* Nodes without a brother, from the first level down: below the last are `nodes`. */
    struct node alone[SERIES_DEPTH_MAX + 1];
    size_t alone_count;
};

/* ---- an instance ---- */

json_t *series_instance_json(const struct series *series, struct sk_span id,
                             const json_t *document) {
    json_t *json = document ? json_copy((json_t *)document) : json_object();
    struct sk_series_instance stored;
    if (document == NULL) json_object_set_new(json, "timeSeriesId", sk_json_load(id, 0, NULL));
    if (!json_object_get(json, "typeId"))
        json_object_set_new(json, "typeId", json_string(series->model.default_type));
    if (sk_series_instance_find(series->store, id, &stored) == SK_OK) {
        char from[SK_TIME_TEXT], to[SK_TIME_TEXT];
        series_time_text(stored.first_time, from);
        series_time_text(stored.last_time, to);
        json_object_set_new(json, "range", json_pack("{s:s,s:s}", "from", from, "to", to));
        json_object_set_new(json, "events", json_integer((json_int_t)stored.rows));
    }
    return json;
}

/* Whose name an id of a type or a hierarchy is. */
static const char *name_of(const struct series *series, enum series_kind kind, const char *id) {
    const struct series_object *object =
        id ? series_object_find(&series->model, kind, sk_span_z(id)) : NULL;
    return object ? sk_json_member_text(object->document, "name") : NULL;
}

/* ---- words ---- */

static size_t find_word(struct sk_span text, struct sk_span word) {
    for (size_t i = 0; i + word.n <= text.n; i++)
        if (sk_span_starts_nocase(sk_span_skip(text, i), word)) return i;
    return SIZE_MAX;
}

typedef void each_text(void *arg, const char *what, struct sk_span text);

/* All texts that words are looked for in. */
static void each_of(const struct search *search, const struct hit *hit, each_text *each,
                    void *arg) {
    const struct series *series = search->series;
    const char *name = sk_json_member_text(hit->document, "name"), *field,
               *description = sk_json_member_text(hit->document, "description");
    const char *type = name_of(series, SERIES_TYPE, sk_json_member_text(hit->document, "typeId"));
    json_t *fields = json_object_get(hit->document, "instanceFields"), *value;
    const json_t *ids = json_object_get(hit->document, "hierarchyIds");
    each(arg, "timeSeriesId", hit->id);
    if (name) each(arg, "name", sk_span_z(name));
    if (description) each(arg, "description", sk_span_z(description));
    if (type) each(arg, "typeName", sk_span_z(type));
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const char *hierarchy =
            name_of(series, SERIES_HIERARCHY, json_string_value(json_array_get(ids, i)));
        if (hierarchy) each(arg, "hierarchyNames", sk_span_z(hierarchy));
    }
    json_object_foreach(fields, field, value) {
        each(arg, "instanceFieldNames", sk_span_z(field));
        if (json_is_string(value))
            each(arg, "instanceFieldValues", sk_span_z(json_string_value(value)));
    }
}

struct looking {
    const struct search *search;
    bool found[WORDS_MAX];
    unsigned rank;
};

static void look(void *arg, const char *what, struct sk_span text) {
    struct looking *looking = arg;
    const struct search *search = looking->search;
    bool is_name = what[0] == 'n' || what[0] == 't'; /* what people call it comes first */
    for (size_t w = 0; w < search->word_count; w++) {
        size_t at = find_word(text, search->words[w]);
        if (at == SIZE_MAX) continue;
        looking->found[w] = true;
        unsigned rank = is_name ? (at <= 2 ? 0 : 1) : 2; /* 2: behind ["  */
        if (rank < looking->rank) looking->rank = rank;
    }
}

static bool has_words(const struct search *search, struct hit *hit) {
    struct looking looking = {.search = search, .rank = 3};
    if (search->word_count) each_of(search, hit, look, &looking);
    hit->rank = looking.rank;
    for (size_t w = 0; w < search->word_count; w++)
        if (!looking.found[w]) return false;
    return true;
}

/* ---- hierarchies ---- */

static struct sk_span level_of(const json_t *hierarchy, const json_t *instance, size_t level) {
    const json_t *names =
        json_object_get(json_object_get(hierarchy, "source"), "instanceFieldNames");
    const char *field = json_string_value(json_array_get(names, level));
    const json_t *value =
        field ? json_object_get(json_object_get(instance, "instanceFields"), field) : NULL;
    return json_is_string(value) ? sk_span_z(json_string_value(value)) : SK_NONE;
}

/* How many levels of a hierarchy an instance has; 0: it is not placed there, as one is missing. */
static size_t levels_of(const json_t *hierarchy, const json_t *instance) {
    size_t n = json_array_size(
        json_object_get(json_object_get(hierarchy, "source"), "instanceFieldNames"));
    for (size_t i = 0; i < n; i++)
        if (level_of(hierarchy, instance, i).n == 0) return 0;
    return n;
}

static void count_node(struct search *search, struct sk_span name) {
    for (size_t i = 0; i < search->node_count; i++)
        if (sk_span_eq(search->nodes[i].name, name)) {
            search->nodes[i].count++;
            return;
        }
    if (search->node_count == NODES_MAX) return;
    search->nodes[search->node_count++] = (struct node){sk_arena_copy(&search->arena, name), 1};
}

/* Below a node of one hierarchy: counts the next level. True: it is exactly there. */
static bool place_in(struct search *search, const json_t *hierarchy, const json_t *instance,
                     bool *below) {
    const char *name = sk_json_member_text(hierarchy, "name");
    size_t levels = levels_of(hierarchy, instance);
    if (levels == 0 || name == NULL) return false;
    if (search->depth == 0) {
        count_node(search, sk_span_z(name));
        *below = true;
        return false;
    }
    if (!sk_span_is(search->path[0], name) || search->depth - 1 > levels) return false;
    for (size_t i = 1; i < search->depth; i++)
        if (!sk_span_eq(search->path[i], level_of(hierarchy, instance, i - 1))) return false;
    *below = true;
    if (search->depth - 1 == levels) return true;
    count_node(search, level_of(hierarchy, instance, search->depth - 1));
    return false;
}

/* Whether the path leads to it. At the root those that are in no hierarchy are exactly there. */
static bool is_there(struct search *search, const struct hit *hit) {
    const json_t *ids = json_object_get(hit->document, "hierarchyIds");
    bool below = false, exactly = false;
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        const struct series_object *hierarchy =
            id ? series_object_find(&search->series->model, SERIES_HIERARCHY, sk_span_z(id)) : NULL;
        if (hierarchy) exactly |= place_in(search, hierarchy->document, hit->document, &below);
    }
    if (search->depth == 0) return search->recursive || !below;
    return search->recursive ? below : exactly;
}

/* ---- going over all ---- */

static void keep(struct search *search, struct hit hit) {
    if (search->hit_count == search->hit_room) {
        search->hit_room = search->hit_room ? search->hit_room * 2 : 64;
        search->hits = sk_realloc(search->hits, search->hit_room * sizeof *search->hits);
    }
    search->hits[search->hit_count++] = hit;
}

/* The next instance: those of the store, then those that the model knows alone. */
static bool next(struct search *search, struct hit *hit) {
    const struct series *series = search->series;
    const struct series_objects *known = &series->model.kinds[SERIES_INSTANCE];
    struct sk_series_instance stored;
    if (!search->of_model) {
        search->place = sk_series_instance_next(series->store, search->place, &stored);
        if (search->place) {
            const struct series_object *object =
                series_object_find(&series->model, SERIES_INSTANCE, stored.name);
            *hit = (struct hit){.id = stored.name, .document = object ? object->document : NULL};
            return true;
        }
        search->of_model = true;
    }
    while (search->place < known->count) {
        const struct series_object *object = known->list[search->place++];
        if (object == NULL ||
            sk_series_instance_find(series->store, sk_span_z(object->id), &stored) == SK_OK)
            continue;
        *hit = (struct hit){.id = sk_span_z(object->id), .document = object->document};
        return true;
    }
    return false;
}

static void free_search(struct search *search) {
    sk_io_undefer(&search->task);
    sk_list_remove(&search->link);
    for (size_t i = 0; i < search->hit_count; i++) json_decref(search->hits[i].document);
    free(search->hits);
    free(search->nodes);
    sk_arena_free(&search->arena);
    free(search);
}

/* ---- answers ---- */

static struct sk_span shown_name(const struct hit *hit) {
    const char *name = sk_json_member_text(hit->document, "name");
    return name ? sk_span_z(name) : hit->id;
}

static int by_rank(const void *a, const void *b) {
    const struct hit *x = a, *y = b;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    return sk_span_compare(shown_name(x), shown_name(y));
}
static int by_name(const void *a, const void *b) {
    return sk_span_compare(shown_name(a), shown_name(b));
}
static int by_count(const void *a, const void *b) {
    const struct node *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return sk_span_compare(x->name, y->name);
}
static int by_node_name(const void *a, const void *b) {
    return sk_span_compare(((const struct node *)a)->name, ((const struct node *)b)->name);
}

static void sort(void *list, size_t count, size_t size, int (*by)(const void *, const void *)) {
    if (count) qsort(list, count, size, by);
}

struct marking {
    const struct search *search;
    json_t *to;
};

/* The text with <hit> around what was looked for. */
static void mark(void *arg, const char *what, struct sk_span text) {
    struct marking *marking = arg;
    if (text.n && text.p[0] == '[' && strcmp(what, "timeSeriesId") == 0) { /* its parts */
        json_t *id = sk_json_load(text, 0, NULL), *part;
        size_t i;
        json_array_foreach(id, i, part) {
            if (json_is_string(part)) mark(arg, "timeSeriesId", sk_span_z(json_string_value(part)));
        }
        json_decref(id);
        return;
    }
    struct sk_buffer marked = {0};
    while (text.n) {
        size_t first = SIZE_MAX, length = 0;
        for (size_t w = 0; w < marking->search->word_count; w++) {
            size_t at = find_word(text, marking->search->words[w]);
            if (at > first || at == SIZE_MAX) continue;
            first = at;
            length = marking->search->words[w].n;
        }
        if (first == SIZE_MAX) break;
        sk_buffer_append(&marked, sk_span_first(text, first));
        sk_buffer_print(&marked, "<hit>%.*s</hit>", (int)length, text.p + first);
        text = sk_span_skip(text, first + length);
    }
    sk_buffer_append(&marked, text);
    json_t *list = json_object_get(marking->to, what);
    bool one = strcmp(what, "name") == 0 || strcmp(what, "typeName") == 0 ||
               strcmp(what, "description") == 0;
    if (!list && !one) json_object_set_new(marking->to, what, list = json_array());
    if (one)
        json_object_set_new(marking->to, what, sk_json_of_text(sk_buffer_span(&marked)));
    else
        json_array_append_new(list, sk_json_of_text(sk_buffer_span(&marked)));
    sk_buffer_free(&marked);
}

static json_t *hits_json(struct search *search) {
    json_t *list = json_array();
    sort(search->hits, search->hit_count, sizeof *search->hits,
         search->by_name ? by_name : by_rank);
    for (size_t i = search->skip; i < search->hit_count && i < search->skip + search->hits_max;
         i++) {
        const struct hit *hit = &search->hits[i];
        json_t *one = series_instance_json(search->series, hit->id, hit->document);
        json_object_del(one, "instanceFields");
        if (search->highlights) {
            struct marking marking = {search, json_object()};
            each_of(search, hit, mark, &marking);
            json_object_set_new(one, "highlights", marking.to);
        }
        json_array_append_new(list, one);
    }
    size_t end = search->skip + search->hits_max;
    char token[24] = "";
    if (end < search->hit_count) snprintf(token, sizeof token, "%zu", end);
    return json_pack("{s:o,s:I,s:s*}", "hits", list, "hitCount", (json_int_t)search->hit_count,
                     "continuationToken", *token ? token : NULL);
}

static json_t *level_json(const struct node *nodes, size_t count, size_t shown, json_t *below) {
    json_t *list = json_array();
    for (size_t i = 0; i < count && i < shown; i++)
        json_array_append_new(list,
                              json_pack("{s:o,s:I,s:o*}", "name", sk_json_of_text(nodes[i].name),
                                        "cumulativeInstanceCount", (json_int_t)nodes[i].count,
                                        "hierarchyNodes", below));
    return json_pack("{s:o,s:I}", "hits", list, "hitCount", (json_int_t)count);
}

static json_t *nodes_json(struct search *search) {
    sort(search->nodes, search->node_count, sizeof *search->nodes,
         search->by_name ? by_node_name : by_count);
    json_t *json = NULL;
    if (search->node_count || search->alone_count == 0)
        json = level_json(search->nodes, search->node_count, search->nodes_max, NULL);
    for (size_t i = search->alone_count; i-- > 0;) json = level_json(&search->alone[i], 1, 1, json);
    return json;
}

static json_t *suggestions_json(struct search *search) {
    json_t *list = json_array();
    sort(search->hits, search->hit_count, sizeof *search->hits, by_rank);
    for (size_t i = 0; i < search->hit_count && i < search->hits_max; i++) {
        struct hit *hit = &search->hits[i];
        struct marking marking = {search, json_object()};
        struct sk_span name = shown_name(hit);
        mark(&marking, "name", name);
        json_array_append_new(list, json_pack("{s:o,s:O}", "searchString", sk_json_of_text(name),
                                              "highlightedSearchString",
                                              json_object_get(marking.to, "name")));
        json_decref(marking.to);
    }
    return json_pack("{s:o}", "suggestions", list);
}

static void finish(struct search *search) {
    struct sk_request *request = search->request;
    json_t *json;
    if (search->suggests) {
        json = suggestions_json(search);
    } else {
        json = json_object();
        if (search->wants_hits) json_object_set_new(json, "instances", hits_json(search));
        if (search->wants_nodes) json_object_set_new(json, "hierarchyNodes", nodes_json(search));
    }
    free_search(search);
    sk_request_answer_json(request, json);
}

/* A node without a brother is opened: all are gone over again for what is below it. */
static bool opens(struct search *search) {
    if (!search->until_children || search->node_count != 1 || search->depth > SERIES_DEPTH_MAX)
        return false;
    search->alone[search->alone_count++] = search->nodes[0];
    search->path[search->depth++] = search->nodes[0].name;
    search->place = search->node_count = 0;
    search->of_model = false;
    return true;
}

static void go_on(struct sk_task *task) {
    struct search *search = SK_CONTAINER(task, struct search, task);
    struct sk_io *io = search->series->hub->backend.io;
    struct sk_share share;
    struct hit hit;
    sk_share_begin(&share, io);
    for (size_t n = 0;; n++) {
        if (n % STEPS == 0 && !sk_share_go_on(&share, STEPS)) {
            sk_io_yield(io, &search->task, go_on);
            return;
        }
        if (!next(search, &hit)) {
            if (opens(search)) continue;
            break;
        }
        if (!has_words(search, &hit) || !is_there(search, &hit) || search->alone_count) continue;
        json_incref(hit.document);
        hit.id = search->of_model ? sk_arena_copy(&search->arena, hit.id) : hit.id;
        keep(search, hit);
    }
    finish(search);
}

/* ---- requests ---- */

static size_t size_of(const json_t *json, const char *name, size_t otherwise, size_t most,
                      bool *fine) {
    const json_t *value = json_object_get(json, name);
    if (value == NULL || json_is_null(value)) return otherwise;
    json_int_t n = json_is_integer(value) ? json_integer_value(value) : 0;
    if (n < 1 || n > (json_int_t)most) *fine = false;
    return (size_t)n;
}

static bool is_true(const json_t *json, const char *name) {
    return json_is_true(json_object_get(json, name));
}

static void read_words(struct search *search, const char *text) {
    struct sk_span rest = sk_arena_copy(&search->arena, sk_span_z(text)), word;
    while (search->word_count < WORDS_MAX && sk_span_split(&rest, ' ', &word))
        if (word.n) search->words[search->word_count++] = word;
}

static bool read_path(struct search *search, const json_t *path) {
    size_t n = json_array_size(path);
    if (path && !json_is_null(path) && !json_is_array(path)) return false;
    if (n > SERIES_DEPTH_MAX + 1) return false;
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(path, i));
        if (name == NULL) return false;
        search->path[search->depth++] = sk_arena_copy(&search->arena, sk_span_z(name));
    }
    return true;
}

static bool read_search(struct search *search, const json_t *body) {
    const json_t *instances = json_object_get(body, "instances"),
                 *nodes = json_object_get(body, "hierarchies");
    const char *sort = sk_json_member_text(json_object_get(instances, "sort"), "by");
    const char *expand = sk_json_member_text(json_object_get(nodes, "expand"), "kind");
    const char *continuation = sk_json_member_text(body, "continuationToken");
    struct sk_span token = search->request->continuation;
    bool fine = read_path(search, json_object_get(body, "path"));
    int64_t skip = 0;
    if (token.n == 0 && continuation) token = sk_span_z(continuation);
    search->wants_hits = instances != NULL && !json_is_null(instances);
    search->wants_nodes = nodes != NULL && !json_is_null(nodes);
    if (!search->wants_hits && !search->wants_nodes) search->wants_hits = true;
    search->recursive = is_true(instances, "recursive");
    search->highlights = is_true(instances, "highlights");
    search->until_children = expand && sk_span_is(SK_SPAN("UntilChildren"), expand);
    fine &= expand == NULL || search->until_children || sk_span_is(SK_SPAN("OneLevel"), expand);
    search->by_name = sort && sk_span_eq_nocase(sk_span_z(sort), SK_SPAN("DisplayName"));
    search->hits_max = size_of(instances, "pageSize", HITS_DEFAULT, HITS_MAX, &fine);
    search->nodes_max = size_of(nodes, "pageSize", HITS_DEFAULT, HITS_MAX, &fine);
    if (token.n && (sk_span_to_int(token, &skip) || skip < 0)) fine = false;
    search->skip = (size_t)skip;
    return fine;
}

static void start(struct series *series, struct sk_request *request, bool suggests) {
    const char *text = sk_json_member_text(request->body, "searchString");
    struct search *search = SK_NEW(struct search);
    search->series = series;
    search->request = request;
    search->suggests = suggests;
    search->nodes = sk_alloc(NODES_MAX * sizeof *search->nodes);
    sk_list_append(&series->searches, &search->link);
    bool fine = text && strlen(text) <= SERIES_NAME_MAX;
    if (fine) read_words(search, text);
    if (suggests) {
        search->recursive = true;
        search->hits_max = size_of(request->body, "take", HITS_DEFAULT, HITS_MAX, &fine);
    } else {
        fine &= read_search(search, request->body);
    }
    if (fine) {
        sk_io_yield(series->hub->backend.io, &search->task, go_on);
        return;
    }
    free_search(search);
    sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                      "a search has a searchString of at most 1024 bytes, a path of texts, page "
                      "sizes from 1 to 100, an expand of kind OneLevel or UntilChildren, and a "
                      "continuation token of its own");
}

void series_search(struct series *series, struct sk_request *request) {
    start(series, request, false);
}

void series_suggest(struct series *series, struct sk_request *request) {
    start(series, request, true);
}

void series_search_end(struct series *series) {
    SK_LIST_EACH(&series->searches, node, following) {
        struct search *search = SK_CONTAINER(node, struct search, link);
        struct sk_request *request = search->request;
        free_search(search);
        sk_request_refuse(request, SK_FAULT_UNAVAILABLE, NULL);
    }
}
