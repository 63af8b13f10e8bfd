#include "model/digital_twin.h"

#include <stdio.h>

static bool is_component(const json_t *value) {
    const char *mark = json_string_value(json_object_get(value, "__t"));
    return mark && strcmp(mark, "c") == 0;
}

/* ---- the view ---- */

/* A property that was acknowledged: {"value": …, "ac": status, "av": version, "ad": sentence}. */
static bool is_acknowledged(const json_t *reported) {
    return json_object_get(reported, "value") && json_is_integer(json_object_get(reported, "ac")) &&
           json_is_integer(json_object_get(reported, "av"));
}

static void copy_member(json_t *to, const char *name, const json_t *from, const char *member) {
    json_t *value = json_object_get(from, member);
    if (value) json_object_set(to, name, value);
}

/* The sections of a twin, or of a component in it. */
struct level {
    const json_t *desired, *reported, *desired_metadata, *reported_metadata;
};

static struct level level_of(const struct sk_twin *twin) {
    return (struct level){twin->desired, twin->reported, twin->desired_metadata,
                          twin->reported_metadata};
}

static struct level level_below(const struct level *level, const char *name) {
    return (struct level){json_object_get(level->desired, name),
                          json_object_get(level->reported, name),
                          json_object_get(level->desired_metadata, name),
                          json_object_get(level->reported_metadata, name)};
}

static bool level_is_component(const struct level *level) {
    return is_component(level->desired) || is_component(level->reported);
}

/* Of one property. */
static json_t *metadata_of(const struct level *level, const char *name) {
    const struct level of = level_below(level, name);
    json_t *metadata = json_object();
    if (of.desired) json_object_set(metadata, "desiredValue", (json_t *)of.desired);
    copy_member(metadata, "desiredVersion", of.desired_metadata, "$lastUpdatedVersion");
    if (is_acknowledged(of.reported)) {
        copy_member(metadata, "ackVersion", of.reported, "av");
        copy_member(metadata, "ackCode", of.reported, "ac");
        copy_member(metadata, "ackDescription", of.reported, "ad");
    }
    copy_member(metadata, "lastUpdateTime",
                of.reported ? of.reported_metadata : of.desired_metadata, "$lastUpdated");
    return metadata;
}

static json_t *value_of(const struct level *level, const char *name) {
    json_t *reported = json_object_get(level->reported, name);
    return is_acknowledged(reported) ? json_object_get(reported, "value") : reported;
}

static void put_property(json_t *to, json_t *metadata, const struct level *level,
                         const char *name) {
    if (name[0] == '$' || strcmp(name, "__t") == 0) return;
    json_t *value = value_of(level, name);
    if (value) json_object_set(to, name, value);
    json_object_set_new(metadata, name, metadata_of(level, name));
}

static void put_level(json_t *to, json_t *metadata, const struct level *level, bool root);

static void put_member(json_t *to, json_t *metadata, const struct level *level, const char *name,
                       bool root) {
    const struct level below = level_below(level, name);
    if (!root || !level_is_component(&below)) {
        put_property(to, metadata, level, name);
        return;
    }
    json_t *component = json_object(), *of = json_object();
    put_level(component, of, &below, false);
    json_object_set_new(component, "$metadata", of);
    json_object_set_new(to, name, component);
}

static void put_level(json_t *to, json_t *metadata, const struct level *level, bool root) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)level->reported, name, value)
        put_member(to, metadata, level, name, root);
    json_object_foreach((json_t *)level->desired, name, value) {
        if (json_object_get(level->reported, name) == NULL)
            put_member(to, metadata, level, name, root);
    }
}

json_t *sk_digital_twin_json(const struct sk_twin *twin, const struct sk_identity *identity) {
    json_t *to = json_object(), *metadata = json_object();
    struct level root = level_of(twin);
    json_object_set_new(to, "$dtId", json_string(identity->device_id));
    json_object_set_new(metadata, "$model",
                        json_string(identity->model_id ? identity->model_id : ""));
    put_level(to, metadata, &root, true);
    json_object_set_new(to, "$metadata", metadata);
    return to;
}

/* ---- a patch from outside ---- */

enum { STEPS_MAX = SK_TWIN_DEPTH_MAX };

struct path {
    char *steps[STEPS_MAX];
    size_t count;
};

static void path_free(struct path *path) {
    for (size_t i = 0; i < path->count; i++) free(path->steps[i]);
}

/* A step of a JSON pointer (RFC 6901); NULL: it is none. */
static char *unescape(struct sk_span step) {
    char *text = sk_alloc(step.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < step.n; i++) {
        if (step.p[i] != '~') {
            text[n++] = step.p[i];
        } else if (++i < step.n && (step.p[i] == '0' || step.p[i] == '1')) {
            text[n++] = step.p[i] == '0' ? '~' : '/';
        } else {
            free(text);
            return NULL;
        }
    }
    return text;
}

static bool path_read(const char *text, struct path *path) {
    struct sk_span rest = sk_span_z(text), step;
    *path = (struct path){.count = 0};
    if (rest.n < 2 || rest.p[0] != '/') return false;
    rest = sk_span_skip(rest, 1);
    while (sk_span_split(&rest, '/', &step)) {
        char *name = path->count < STEPS_MAX ? unescape(step) : NULL;
        bool fine = name && name[0] && name[0] != '$' && strcmp(name, "__t") != 0;
        if (name) path->steps[path->count++] = name;
        if (!fine) {
            path_free(path);
            return false;
        }
    }
    return true;
}

/* Desired properties are merged: what is to go is null, as are members that the new value of an
 * object has no more. */
static json_t *replacement(const json_t *value, const json_t *before) {
    const char *name;
    json_t *member;
    if (!json_is_object(value)) return value ? json_deep_copy(value) : json_null();
    json_t *to = json_object();
    json_object_foreach((json_t *)before, name, member) if (json_object_get(value, name) == NULL)
        json_object_set_new(to, name, json_null());
    json_object_foreach((json_t *)value, name, member)
        json_object_set_new(to, name, replacement(member, json_object_get(before, name)));
    return to;
}

/* A component's value says by "$metadata" that it is one; ours say it by their mark. */
static json_t *component_value(const json_t *value, const json_t *before) {
    json_t *plain = json_deep_copy(value);
    json_object_del(plain, "$metadata");
    json_object_set_new(plain, "__t", json_string("c"));
    json_t *to = replacement(plain, before);
    json_decref(plain);
    return to;
}

/* Whether the first step of a longer path is a component: it is one already, or is not there. */
static bool leads_into_component(const struct sk_twin *twin, const char *name) {
    const struct level root = level_of(twin), below = level_below(&root, name);
    return level_is_component(&below) || (!below.desired && !below.reported);
}

static void put_operation(json_t *patch, const struct sk_twin *twin, const struct path *path,
                          const json_t *value) {
    const json_t *before = twin->desired;
    json_t *at = patch;
    for (size_t i = 0; i + 1 < path->count; i++) {
        json_t *next = json_object_get(at, path->steps[i]);
        before = json_object_get(before, path->steps[i]);
        if (!json_is_object(next)) {
            next = json_object();
            json_object_set_new(at, path->steps[i], next);
            if (i == 0 && leads_into_component(twin, path->steps[0]))
                json_object_set_new(next, "__t", json_string("c"));
        }
        at = next;
    }
    const char *last = path->steps[path->count - 1];
    before = json_object_get(before, last);
    bool component = path->count == 1 && json_is_object(value) &&
                     (json_object_get(value, "$metadata") || is_component(before));
    json_object_set_new(at, last,
                        component ? component_value(value, before) : replacement(value, before));
}

static bool take_operation(json_t *patch, const struct sk_twin *twin, const json_t *operation) {
    const char *op = json_string_value(json_object_get(operation, "op")),
               *pointer = json_string_value(json_object_get(operation, "path"));
    const json_t *value = json_object_get(operation, "value");
    bool removes = op && strcmp(op, "remove") == 0;
    bool puts = op && (strcmp(op, "add") == 0 || strcmp(op, "replace") == 0);
    struct path path;
    if ((!puts && !removes) || (puts && value == NULL) || pointer == NULL ||
        !path_read(pointer, &path))
        return false;
    put_operation(patch, twin, &path, removes ? NULL : value);
    path_free(&path);
    return true;
}

json_t *sk_digital_twin_patch(const json_t *operations, const struct sk_twin *twin,
                              char error[SK_MODEL_ERROR_MAX]) {
    json_t *patch = json_object(), *operation;
    size_t i;
    json_array_foreach(operations, i, operation) {
        if (take_operation(patch, twin, operation)) continue;
        snprintf(error, SK_MODEL_ERROR_MAX,
                 "operation %zu is not {\"op\": add, replace or remove, \"path\": "
                 "\"/property\", \"/component\" or \"/component/property\", \"value\": …}",
                 i);
        json_decref(patch);
        return NULL;
    }
    return patch;
}

/* ---- a change as its watchers hear of it ---- */

static void put_pointer(struct sk_buffer *to, const char *name) {
    sk_buffer_byte(to, '/');
    for (; *name; name++) {
        if (*name == '~')
            sk_buffer_text(to, "~0");
        else if (*name == '/')
            sk_buffer_text(to, "~1");
        else
            sk_buffer_byte(to, *name);
    }
}

/* `value` NULL: it is gone. */
static void put_change(json_t *changes, const char *const *steps, const json_t *value) {
    struct sk_buffer path = {0};
    for (; *steps; steps++) put_pointer(&path, *steps);
    json_t *change =
        json_pack("{s:s,s:s%}", "op", value ? "add" : "remove", "path", path.p, path.n);
    if (value) json_object_set(change, "value", (json_t *)value);
    json_array_append_new(changes, change);
    sk_buffer_free(&path);
}

/* One property: what it is, if its device has said something, and what is known about it. */
static void put_changes(json_t *changes, const json_t *view, const char *component,
                        const char *name, bool reported) {
    if (name[0] == '$' || strcmp(name, "__t") == 0) return;
    const json_t *level = component ? json_object_get(view, component) : view;
    const char *value[] = {component ? component : name, component ? name : NULL, NULL};
    const char *metadata[] = {component ? component : "$metadata", component ? "$metadata" : name,
                              component ? name : NULL, NULL};
    if (reported) put_change(changes, value, json_object_get(level, name));
    put_change(changes, metadata, json_object_get(json_object_get(level, "$metadata"), name));
}

static void put_section(json_t *changes, const json_t *view, const struct sk_twin *twin,
                        const json_t *patch, bool reported) {
    const struct level root = level_of(twin);
    const char *name, *property;
    json_t *value, *inner;
    json_object_foreach((json_t *)patch, name, value) {
        const struct level below = level_below(&root, name);
        if (!level_is_component(&below) || json_is_null(value)) {
            put_changes(changes, view, NULL, name, reported);
            continue;
        }
        json_object_foreach(value, property, inner)
            put_changes(changes, view, name, property, reported);
    }
}

json_t *sk_digital_twin_changes(const struct sk_twin *twin, const struct sk_identity *identity,
                                const json_t *desired, const json_t *reported) {
    json_t *changes = json_array(), *view = sk_digital_twin_json(twin, identity);
    put_section(changes, view, twin, desired, false);
    put_section(changes, view, twin, reported, true);
    json_decref(view);
    return changes;
}
