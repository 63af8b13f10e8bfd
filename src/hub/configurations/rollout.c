/* Desired properties for modules of one edge device, one after the other. */
#include "hub/configurations/parts.h"

struct rollout {
    struct sk_hub *hub;
    char *device;
    json_t *modules, *statuses; /* statuses: NULL: stays */
    bool merge;
    rollout_done *done;
    void *arg;
    const char **names; /* in their order, into `modules` */
    size_t count, at;
    unsigned tries; /* of the module at hand: others may make or change it meanwhile */
};

static struct sk_span module_at(const struct rollout *r) {
    return sk_span_z(r->names[r->at]);
}

static bool is_agent(const struct rollout *r) {
    return strcmp(r->names[r->at], SK_EDGE_AGENT_MODULE) == 0;
}

static void end(struct rollout *r, const struct sk_registry_end *failed) {
    rollout_done *done = r->done;
    void *arg = r->arg;
    char *module = failed ? sk_span_dup(module_at(r)) : NULL;
    free(r->device);
    free(r->names);
    json_decref(r->modules);
    json_decref(r->statuses);
    free(r);
    done(arg, failed, sk_span_z(module));
    free(module);
}

static void look(struct rollout *r);

static void next(struct rollout *r) {
    r->at++;
    r->tries = 0;
    if (r->at < r->count)
        look(r);
    else
        end(r, NULL);
}

static bool may_try_again(struct rollout *r, enum sk_status status) {
    enum { TRIES_MAX = 3 };
    return (status == SK_EXISTS || status == SK_CONFLICT || status == SK_NOT_FOUND) &&
           ++r->tries < TRIES_MAX;
}

static void changed(void *arg, const struct sk_registry_end *ended, struct sk_registry_entry *entry,
                    const json_t *desired_patch) {
    struct rollout *r = arg;
    if (entry) {
        r->hub->counts.twin_updates_total++;
        hub_twin_changed(r->hub, &(struct sk_hub_twin_change){entry, .desired = desired_patch});
        next(r);
    } else if (may_try_again(r, ended->status)) {
        look(r);
    } else {
        end(r, ended);
    }
}

static void made(void *arg, const struct sk_registry_end *ended, struct sk_registry_entry *entry) {
    struct rollout *r = arg;
    if (entry) hub_identity_changed(r->hub, &entry->identity, true);
    if (entry || may_try_again(r, ended->status))
        look(r);
    else
        end(r, ended);
}

static void make_module(struct rollout *r) {
    struct sk_identity identity = {0};
    sk_identity_set(&identity.device_id, sk_span_z(r->device));
    sk_identity_set(&identity.module_id, module_at(r));
    sk_identity_set(&identity.managed_by, SK_SPAN("IotEdge"));
    sk_registry_put(r->hub->registry, &identity, SK_NONE, made, r);
    sk_identity_free(&identity);
}

static void found(void *arg, const struct sk_registry_end *ended, struct sk_registry_entry *entry) {
    struct rollout *r = arg;
    json_t *desired = json_object_get(r->modules, r->names[r->at]);
    json_t *statuses = is_agent(r) ? r->statuses : NULL;
    char etag[SK_ETAG_MAX];
    if (entry == NULL && ended->status == SK_NOT_FOUND && desired && r->tries == 0) {
        make_module(r);
        return;
    }
    if (entry == NULL) {
        end(r, ended);
        return;
    }
    if (desired && !r->merge && json_equal(desired, entry->twin.desired)) desired = NULL;
    if (statuses && plan_same(statuses, entry->twin.configurations)) statuses = NULL;
    if (desired == NULL && statuses == NULL) {
        next(r);
        return;
    }
    sk_twin_etag(entry->twin.etag, etag);
    sk_registry_twin_change(r->hub->registry, sk_span_z(r->device), module_at(r),
                            &(struct sk_twin_change){.desired = desired,
                                                     .replace_desired = !r->merge,
                                                     .configurations = statuses},
                            sk_span_z(etag), changed, r);
}

static void look(struct rollout *r) {
    sk_registry_twin_get(r->hub->registry, sk_span_z(r->device), module_at(r), found, r);
}

void rollout(struct sk_hub *hub, struct sk_span device, json_t *modules, bool merge,
             json_t *statuses, rollout_done *done, void *arg) {
    struct rollout *r = SK_NEW(struct rollout);
    const char *name;
    json_t *desired;
    *r = (struct rollout){.hub = hub,
                          .device = sk_span_dup(device),
                          .modules = json_incref(modules),
                          .statuses = json_incref(statuses),
                          .merge = merge,
                          .done = done,
                          .arg = arg};
    r->names = sk_alloc((json_object_size(modules) + 1) * sizeof *r->names);
    json_object_foreach(modules, name, desired) {
        if (strcmp(name, SK_EDGE_AGENT_MODULE) != 0) r->names[r->count++] = name;
    }
    if (statuses || json_object_get(modules, SK_EDGE_AGENT_MODULE))
        r->names[r->count++] = SK_EDGE_AGENT_MODULE;
    if (r->count)
        look(r);
    else
        end(r, NULL);
}
