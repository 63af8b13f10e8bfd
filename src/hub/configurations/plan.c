/* What all configurations of a hub mean for one device or module. Reference:
 * docs/protocols/service-api.md, section 8. */
#include "hub/configurations/parts.h"

#include <stdio.h>

/* ---- trees ---- */

static bool is_branch(const json_t *value) {
    return json_is_object(value) && json_object_size(value) > 0;
}

/* Adds what is free in the tree; false: there was nothing of `more` that is not there already. */
static bool put_under(json_t *tree, const json_t *more) {
    const char *key;
    json_t *value;
    bool added = false;
    json_object_foreach((json_t *)more, key, value) {
        json_t *there = json_object_get(tree, key);
        if (there == NULL) {
            json_object_set_new(tree, key, json_deep_copy(value));
            added = true;
        } else if (is_branch(there) && is_branch(value)) {
            added |= put_under(there, value);
        }
    }
    return added;
}

/* The names of a tree alone: what is to be removed again one day. */
static json_t *names_of(const json_t *tree) {
    const char *key;
    json_t *value, *names = json_object();
    json_object_foreach((json_t *)tree, key, value) {
        if (is_branch(value))
            json_object_set_new(names, key, names_of(value));
        else if (!json_is_null(value))
            json_object_set_new(names, key, json_integer(1));
    }
    return names;
}

/* The patch that removes from desired properties what was set and is not to be so any more; an
 * object that nothing is left of goes too, unless it is to stay. NULL: everything goes. */
static json_t *removal(const json_t *desired, const json_t *set, const json_t *tree, bool stays) {
    const char *key;
    json_t *value, *patch = json_object();
    size_t gone = 0;
    json_object_foreach((json_t *)set, key, value) {
        const json_t *now = json_object_get(tree, key), *there = json_object_get(desired, key);
        if (there == NULL || (now && !(is_branch(now) && is_branch(value)))) continue;
        json_t *below = is_branch(value) && json_is_object(there)
                            ? removal(there, value, now, now != NULL)
                            : NULL;
        if (below == NULL) {
            json_object_set_new(patch, key, json_null());
            gone++;
        } else if (json_object_size(below)) {
            json_object_set(patch, key, below);
        }
        json_decref(below);
    }
    if (stays || gone == 0 || gone < json_object_size(desired)) return patch;
    json_decref(patch);
    return NULL;
}

/* Adds to the patch what desired properties lack of the tree. */
static void lack(json_t *patch, const json_t *desired, const json_t *tree) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)tree, key, value) {
        const json_t *there = json_object_get(desired, key);
        if (json_is_null(value)) {
            if (there) json_object_set_new(patch, key, json_null());
        } else if (is_branch(value)) {
            json_t *below = json_object_get(patch, key);
            below = json_is_object(below) ? json_incref(below) : json_object();
            lack(below, json_is_object(there) ? there : NULL, value);
            if (json_object_size(below)) json_object_set(patch, key, below);
            json_decref(below);
        } else if (there == NULL || !json_equal(there, value)) {
            json_object_set_new(patch, key, json_deep_copy(value));
        }
    }
}

/* ---- edge devices ---- */

static void put_content(json_t *modules, const struct configuration *c) {
    const char *name;
    json_t *keys;
    json_object_foreach(c->content, name, keys) {
        json_t *desired = json_object_get(modules, name);
        if (desired == NULL) {
            desired = json_object();
            json_object_set_new(modules, name, desired);
        }
        content_put(desired, keys);
    }
}

/* One deployment is in force, that of the highest priority, and the layers above it change it, the
 * lowest first. */
static void compose(struct plan *plan, struct verdict *const *layers, size_t layer_count,
                    const struct configuration *base) {
    const char *name;
    json_t *desired;
    if (base == NULL) {
        for (size_t i = 0; i < layer_count; i++) layers[i]->kind = VERDICT_BASELESS;
        return;
    }
    plan->modules = json_object();
    put_content(plan->modules, base);
    for (size_t i = layer_count; i-- > 0;) put_content(plan->modules, layers[i]->of);
    json_object_foreach(plan->modules, name, desired) content_drop_nulls(desired);
}

static void plan_edge(struct plan *plan) {
    struct verdict *layers[CONFIGURATIONS_MAX];
    const struct configuration *base = NULL;
    size_t layer_count = 0;
    for (size_t i = 0; i < plan->count; i++) {
        struct verdict *verdict = &plan->verdicts[i];
        const struct configuration *c = verdict->of;
        if (c->kind != FOR_EDGES || verdict->kind == VERDICT_APART) continue;
        if (base) {
            verdict->kind = c->layered ? VERDICT_BELOW : VERDICT_OUTRANKED;
            verdict->by = base;
        } else if (c->layered) {
            layers[layer_count++] = verdict;
        } else {
            base = c;
        }
    }
    compose(plan, layers, layer_count, base);
}

/* ---- devices and modules ---- */

static void plan_settings(struct plan *plan, const struct sk_twin *twin) {
    json_t *tree = json_object();
    for (size_t i = 0; i < plan->count; i++) {
        struct verdict *verdict = &plan->verdicts[i];
        if (verdict->of->kind == FOR_EDGES || verdict->kind == VERDICT_APART) continue;
        if (!put_under(tree, verdict->of->settings)) verdict->kind = VERDICT_COVERED;
    }
    plan->configured = names_of(tree);
    plan->patch = removal(twin->desired, twin->configured, tree, true);
    lack(plan->patch, twin->desired, tree);
    if (json_object_size(plan->patch) == 0) {
        json_decref(plan->patch);
        plan->patch = NULL;
    }
    json_decref(tree);
}

static bool is_for(const struct configuration *c, const struct sk_registry_entry *entry,
                   const json_t *twin, struct sk_arena *arena) {
    bool module = entry->identity.module_id != NULL;
    if (c->nobody || module != (c->kind == FOR_MODULES)) return false;
    if (sk_is_system_module(sk_span_z(entry->identity.module_id))) return false;
    if (c->kind == FOR_EDGES && !entry->identity.edge) return false;
    return sk_query_selects(&c->target, &(struct sk_expr_source){.document = twin}, arena);
}

void plan_make(struct configuration *const *sorted, size_t count,
               const struct sk_registry_entry *entry, const json_t *twin, struct sk_arena *arena,
               struct plan *plan) {
    plan->count = count;
    plan->modules = NULL;
    for (size_t i = 0; i < count; i++) {
        bool targeted = is_for(sorted[i], entry, twin, arena);
        plan->verdicts[i] =
            (struct verdict){.of = sorted[i], .kind = targeted ? VERDICT_APPLIED : VERDICT_APART};
    }
    plan_settings(plan, &entry->twin);
    plan_edge(plan);
    plan->configurations = json_object();
    plan->deployments = json_object();
    for (size_t i = 0; i < count; i++) {
        const struct verdict *verdict = &plan->verdicts[i];
        if (verdict->kind == VERDICT_APART) continue;
        json_t *status =
            json_pack("{s:s}", "status", verdict->kind == VERDICT_APPLIED ? "Applied" : "Targeted");
        if (verdict->of->kind == FOR_EDGES)
            json_object_set(plan->deployments, verdict->of->id, status);
        json_object_set_new(plan->configurations, verdict->of->id, status);
    }
}

void plan_free(struct plan *plan) {
    json_decref(plan->configurations);
    json_decref(plan->configured);
    json_decref(plan->deployments);
    json_decref(plan->patch);
    json_decref(plan->modules);
}

bool plan_same(const json_t *a, const json_t *b) {
    if (json_object_size(a) == 0 || json_object_size(b) == 0)
        return json_object_size(a) == json_object_size(b);
    return json_equal(a, b);
}

bool plan_changes(const struct plan *plan, const struct sk_twin *twin) {
    return plan->patch || !plan_same(plan->configurations, twin->configurations) ||
           !plan_same(plan->configured, twin->configured);
}

void plan_explain(const struct verdict *verdict, char why[SK_MODEL_ERROR_MAX]) {
    const char *by = verdict->by ? verdict->by->id : "";
    switch (verdict->kind) {
    case VERDICT_APART:
        snprintf(why, SK_MODEL_ERROR_MAX, "its target condition does not hold%s",
                 verdict->of->kind == FOR_EDGES     ? ", or this is no edge device"
                 : verdict->of->kind == FOR_MODULES ? ", or this is a module of the system"
                                                    : "");
        return;
    case VERDICT_APPLIED:
        snprintf(why, SK_MODEL_ERROR_MAX,
                 verdict->of->layered ? "it is layered over the deployment in force"
                 : verdict->of->kind == FOR_EDGES
                     ? "of the deployments whose condition holds it has the highest priority"
                     : "nothing of a higher priority sets all that it sets");
        return;
    case VERDICT_COVERED:
        snprintf(why, SK_MODEL_ERROR_MAX, "what it sets, others of higher priority set too");
        return;
    case VERDICT_OUTRANKED:
        snprintf(why, SK_MODEL_ERROR_MAX, "%.128s has the higher priority, or is newer", by);
        return;
    case VERDICT_BELOW:
        snprintf(why, SK_MODEL_ERROR_MAX,
                 "it is layered, and its priority is not above that of %.128s", by);
        return;
    case VERDICT_BASELESS:
        snprintf(why, SK_MODEL_ERROR_MAX, "it is layered, and there is no deployment to change");
        return;
    }
}
