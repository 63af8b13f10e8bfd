#include "edge/agent/engine/create.h"

#include <stdio.h>

#include "model/json_text.h"

/* ---- createOptions ---- */

static void part_name(unsigned part, char to[24]) {
    if (part == 0)
        snprintf(to, 24, "createOptions");
    else
        snprintf(to, 24, "createOptions%02u", part);
}

/* Members that the edge adds to must be what they have to be. */
static const struct {
    const char *within, *name, *words;
    json_type type;
} shapes[] = {
    {NULL, "Env", "a list of \"NAME=value\"", JSON_ARRAY},
    {NULL, "Labels", "an object", JSON_OBJECT},
    {NULL, "HostConfig", "an object", JSON_OBJECT},
    {NULL, "NetworkingConfig", "an object", JSON_OBJECT},
    {"HostConfig", "Binds", "a list of \"/host:/container\"", JSON_ARRAY},
    {"HostConfig", "ExtraHosts", "a list of \"name:address\"", JSON_ARRAY},
    {"HostConfig", "CapDrop", "a list", JSON_ARRAY},
    {"HostConfig", "LogConfig", "an object", JSON_OBJECT},
    {"HostConfig", "NetworkMode", "a string", JSON_STRING},
    {"NetworkingConfig", "EndpointsConfig", "an object", JSON_OBJECT},
};

static enum sk_status check_shapes(const json_t *options, char why[SK_CREATE_WHY_MAX]) {
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const json_t *object =
            shapes[i].within ? json_object_get(options, shapes[i].within) : options;
        const json_t *value = json_object_get(object, shapes[i].name), *item;
        bool texts = shapes[i].type == JSON_ARRAY;
        size_t at;
        bool fine = value == NULL || json_is_null(value) || json_typeof(value) == shapes[i].type;
        if (fine && texts) json_array_foreach(value, at, item) fine = fine && json_is_string(item);
        if (fine) continue;
        snprintf(why, SK_CREATE_WHY_MAX, "createOptions.%s%s%s must be %s",
                 shapes[i].within ? shapes[i].within : "", shapes[i].within ? "." : "",
                 shapes[i].name, shapes[i].words);
        return SK_INVALID;
    }
    return SK_OK;
}

/* The parts, one behind the other; a gap ends them, and what follows it is a mistake. */
static enum sk_status join_parts(const json_t *settings, struct sk_buffer *text,
                                 char why[SK_CREATE_WHY_MAX]) {
    const char *gap = NULL;
    char name[24], gap_name[24];
    for (unsigned i = 0; i < SK_CREATE_PARTS_MAX; i++) {
        part_name(i, name);
        const json_t *part = json_object_get(settings, name);
        if (part == NULL || json_is_null(part)) {
            if (gap == NULL) gap = memcpy(gap_name, name, sizeof name);
            continue;
        }
        if (gap) {
            snprintf(why, SK_CREATE_WHY_MAX, "%s is there, but %s is not", name, gap);
            return SK_INVALID;
        }
        if (!json_is_string(part)) {
            snprintf(why, SK_CREATE_WHY_MAX, "%s must be a string of JSON", name);
            return SK_INVALID;
        }
        sk_buffer_append(text, sk_span(json_string_value(part), json_string_length(part)));
    }
    return SK_OK;
}

enum sk_status sk_create_options_read(const json_t *settings, json_t **options,
                                      char why[SK_CREATE_WHY_MAX]) {
    struct sk_buffer text = {0};
    json_error_t error;
    const json_t *whole = json_object_get(settings, "createOptions");
    *options = NULL;
    if (json_is_object(whole)) {
        *options = json_deep_copy(whole);
    } else {
        enum sk_status status = join_parts(settings, &text, why);
        struct sk_span json = sk_span_trim(sk_buffer_span(&text));
        if (!status)
            *options = json.n ? sk_json_load(json, JSON_REJECT_DUPLICATES, &error) : json_object();
        sk_buffer_free(&text);
        if (status) return status;
        if (*options == NULL) {
            snprintf(why, SK_CREATE_WHY_MAX,
                     "createOptions are no JSON: line %d, column %d: %.100s", error.line,
                     error.column, error.text);
            return SK_INVALID;
        }
    }
    enum sk_status status = SK_OK;
    if (!json_is_object(*options)) {
        snprintf(why, SK_CREATE_WHY_MAX, "createOptions must be a JSON object");
        status = SK_INVALID;
    }
    if (!status) status = check_shapes(*options, why);
    if (status) {
        json_decref(*options);
        *options = NULL;
    }
    return status;
}

/* Where a text may be cut so that no character is. */
static size_t part_length(struct sk_span text) {
    if (text.n <= SK_CREATE_PART_MAX) return text.n;
    size_t n = SK_CREATE_PART_MAX;
    while (n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80) n--;
    return n;
}

void sk_create_options_put(json_t *settings, const json_t *options) {
    SK_CLEANUP_FREE char *text = options ? sk_json_text(options) : sk_span_dup(SK_SPAN("{}"));
    struct sk_span rest = sk_span_z(text);
    for (unsigned i = 0; i < SK_CREATE_PARTS_MAX && (rest.n || i == 0); i++) {
        char name[24];
        size_t n = part_length(rest);
        part_name(i, name);
        json_object_set_new(settings, name, json_stringn(rest.p, n));
        rest = sk_span_skip(rest, n);
    }
}

/* ---- the body ---- */

/* The member, made where it is absent or null. */
static json_t *member(json_t *object, const char *name, json_t *empty) {
    json_t *value = json_object_get(object, name);
    if (value && !json_is_null(value)) {
        json_decref(empty);
        return value;
    }
    json_object_set_new(object, name, empty);
    return empty;
}

static bool has_text(const json_t *object, const char *name) {
    return json_string_length(json_object_get(object, name)) > 0;
}

/* Whether a list has a text that begins with this name and `mark`. */
static bool names(const json_t *list, struct sk_span name, char mark) {
    const json_t *item;
    size_t i;
    json_array_foreach(list, i, item) {
        struct sk_span text = sk_span(json_string_value(item), json_string_length(item));
        size_t end = sk_span_find(text, mark);
        if (sk_span_eq(sk_span_first(text, end), name)) return true;
    }
    return false;
}

static void add_environment(json_t *body, const char *const *environment) {
    json_t *env = member(body, "Env", json_array()), *users = json_copy(env);
    for (; environment && *environment; environment++) {
        struct sk_span text = sk_span_z(*environment);
        if (!names(users, sk_span_first(text, sk_span_find(text, '=')), '='))
            json_array_append_new(env, json_string(*environment));
    }
    json_decref(users);
}

/* The network that the options choose, "" when it is ours to choose. */
static const char *chosen_network(json_t *body, const json_t *host) {
    const char *mode = json_string_value(json_object_get(host, "NetworkMode")), *name;
    json_t *endpoints =
               json_object_get(json_object_get(body, "NetworkingConfig"), "EndpointsConfig"),
           *value;
    if (mode && *mode && strcmp(mode, "default") != 0 && strcmp(mode, "bridge") != 0) return mode;
    json_object_foreach(endpoints, name, value) return name;
    return "";
}

static void add_network(json_t *body, json_t *host, const struct sk_container_plan *plan) {
    const char *chosen = chosen_network(body, host);
    const char *address = plan->gateway_address;
    if (*chosen == 0 && plan->network) {
        json_t *networking = member(body, "NetworkingConfig", json_object());
        json_object_set_new(networking, "EndpointsConfig", json_pack("{s:{}}", plan->network));
        json_object_set_new(host, "NetworkMode", json_string(plan->network));
    }
    if (strcmp(chosen, "none") == 0 || strncmp(chosen, "container:", 10) == 0) return;
    if (strcmp(chosen, "host") == 0) address = "127.0.0.1";
    if (plan->gateway_host == NULL || address == NULL) return;
    json_t *hosts = member(host, "ExtraHosts", json_array());
    if (!names(hosts, sk_span_z(plan->gateway_host), ':'))
        json_array_append_new(hosts, json_sprintf("%s:%s", plan->gateway_host, address));
}

static void add_labels(json_t *body, const struct sk_container_plan *plan) {
    json_t *labels = member(body, "Labels", json_object());
    json_object_set_new(labels, SK_LABEL_OWNER, json_string(SK_LABEL_OWNER_US));
    if (plan->original_image)
        json_object_set_new(labels, SK_LABEL_IMAGE, json_string(plan->original_image));
    if (plan->module) json_object_set_new(labels, SK_LABEL_MODULE, json_string(plan->module));
    if (plan->edge) json_object_set_new(labels, SK_LABEL_EDGE, json_string(plan->edge));
}

static void take_elevation(json_t *host) {
    static const char *const dropped[] = {"CHOWN", "SETUID"};
    json_object_del(host, "Privileged");
    json_object_del(host, "CapAdd");
    json_t *drop = member(host, "CapDrop", json_array());
    for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++)
        json_array_append_new(drop, json_string(dropped[i]));
}

json_t *sk_container_body(const struct sk_container_plan *plan) {
    json_t *body = plan->options ? json_deep_copy(plan->options) : json_object();
    json_t *host = member(body, "HostConfig", json_object());
    json_object_set_new(body, "Image", json_string(plan->image));
    add_environment(body, plan->environment);
    add_labels(body, plan);
    if (plan->bind)
        json_array_append_new(member(host, "Binds", json_array()), json_string(plan->bind));
    add_network(body, host, plan);
    if (plan->not_elevated) take_elevation(host);
    if (plan->rotates_logs && !has_text(json_object_get(host, "LogConfig"), "Type"))
        json_object_set_new(host, "LogConfig",
                            json_pack("{s:s,s:{s:s,s:s}}", "Type", "json-file", "Config",
                                      "max-size", "10m", "max-file", "5"));
    return body;
}
