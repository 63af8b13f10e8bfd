/* What a hub may write into a hub.toml that root has kept for itself. The hub faces the network;
 * who has taken it over must not get more than it has, by a file that root reads at the next
 * start. */
#include "config/toml.h"
#include "hub/server/server.h"

/* Of a hub: what cannot lead to anything on the machine but for the members below. */
static const char *const free_keys[] = {
    "policy",    "consumer_groups", "retention",       "route", "enrichment", "fallback", "tags",
    "ip_filter", "network",         "cloud_to_device", "quota", "files",      "endpoint"};

static bool is_free(const char *name) {
    for (size_t i = 0; i < sizeof free_keys / sizeof *free_keys; i++)
        if (strcmp(free_keys[i], name) == 0) return true;
    return false;
}

static bool same_member(const json_t *before, const json_t *after, const char *name) {
    const json_t *a = json_object_get(before, name), *b = json_object_get(after, name);
    return (a == NULL && b == NULL) || json_equal(a, b);
}

/* It writes into a folder, or reads a file. */
static bool names_path(const json_t *endpoint) {
    const json_t *type = json_object_get(endpoint, "type");
    return json_object_get(endpoint, "ca") || !json_is_string(type) ||
           sk_span_eq_nocase(sk_span_z(json_string_value(type)), SK_SPAN("folder"));
}

static bool endpoints_fine(const json_t *before, const json_t *after) {
    for (size_t i = 0; i < json_array_size(after); i++) {
        const json_t *endpoint = json_array_get(after, i);
        bool known = !names_path(endpoint);
        for (size_t j = 0; j < json_array_size(before) && !known; j++)
            known = json_equal(endpoint, json_array_get(before, j));
        if (!known) return false;
    }
    return true;
}

static bool hub_fine(const json_t *before, const json_t *after) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)after, name, value) {
        if (!is_free(name) && !same_member(before, after, name)) return false;
    }
    json_object_foreach((json_t *)before, name, value) {
        if (!is_free(name) && !same_member(before, after, name)) return false;
    }
    return same_member(json_object_get(before, "files"), json_object_get(after, "files"),
                       "ca_file") &&
           endpoints_fine(json_object_get(before, "endpoint"), json_object_get(after, "endpoint"));
}

static bool document_fine(const json_t *before, const json_t *after) {
    const json_t *hubs = json_object_get(before, "hub"), *next = json_object_get(after, "hub");
    const char *name;
    json_t *value;
    if (json_object_size(before) != json_object_size(after) ||
        json_array_size(hubs) != json_array_size(next))
        return false;
    json_object_foreach((json_t *)after, name, value) {
        if (strcmp(name, "hub") != 0 && !same_member(before, after, name)) return false;
    }
    for (size_t i = 0; i < json_array_size(hubs); i++)
        if (!hub_fine(json_array_get(hubs, i), json_array_get(next, i))) return false;
    return true;
}

bool sk_hub_may_become(struct sk_span before, struct sk_span after) {
    json_t *was = NULL, *is = NULL, *lines;
    char error[SK_TOML_ERROR_MAX];
    bool fine = sk_toml_parse(before, "", &was, &lines, error) == SK_OK;
    if (fine) json_decref(lines);
    fine = fine && sk_toml_parse(after, "", &is, &lines, error) == SK_OK;
    if (is) json_decref(lines);
    fine = fine && document_fine(was, is);
    json_decref(was);
    json_decref(is);
    return fine;
}
