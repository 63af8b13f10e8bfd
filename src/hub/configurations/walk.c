/* The walk: over all devices, then all modules. Each is given what its plan says, then counted for
 * every metric. A batch is read when all that the one before it asked for is stored, so memory
 * stays flat, and the writes of a batch share a transaction. A walk may take a twentieth of the
 * time: after one, the next waits for twenty times as long as it took, but never more than five
 * minutes, which is how often Azure looks, and after which we look in any case. */
#include "hub/configurations/parts.h"

enum { BATCH = 32 };

#define PAUSE_MIN (SK_S / 10) /* changes come in groups */
#define PAUSE_MAX (300 * SK_S)
#define SHARE 20

/* One twin on its way. */
struct step {
    struct configurations *all;
    struct sk_registry_entry entry;
    struct plan plan;
};

static void read_batch(struct configurations *all);

static void end_step(struct step *step) {
    struct configurations *all = step->all;
    sk_identity_free(&step->entry.identity);
    sk_twin_free(&step->entry.twin);
    plan_free(&step->plan);
    free(step);
    SK_ASSERT(all->under_way);
    if (--all->under_way == 0) read_batch(all);
}

/* ---- counting ---- */

static void count_metrics(struct configurations *all, struct configuration_metric *metrics,
                          size_t count, enum sk_query_from from, const json_t *twin) {
    const struct sk_expr_source source = {.document = twin};
    struct sk_arena *arena = &all->hub->arena;
    for (size_t i = 0; i < count; i++) {
        struct configuration_metric *metric = &metrics[i];
        if (metric->query.from != from || !sk_query_selects(&metric->query, &source, arena))
            continue;
        metric->counting++;
        if (metric->groups)
            sk_select_add(metric->groups, &source, arena); /* too many: not counted */
    }
}

static json_t *twin_json(struct configurations *all, const struct sk_registry_entry *entry) {
    return sk_twin_service_json(&entry->twin, &entry->identity,
                                hub_presence(all->hub, &entry->identity));
}

static void count(struct configurations *all, const struct sk_registry_entry *entry) {
    json_t *twin = twin_json(all, entry);
    enum sk_query_from from = entry->identity.module_id ? SK_FROM_MODULES : SK_FROM_DEVICES;
    for (size_t i = 0; i < all->count; i++) {
        struct configuration *c = all->sorted[i];
        count_metrics(all, c->system, c->system_count, from, twin);
        count_metrics(all, c->custom, c->custom_count, from, twin);
    }
    json_decref(twin);
}

static void publish(struct configuration_metric *metrics, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct configuration_metric *metric = &metrics[i];
        metric->rows = metric->groups ? sk_select_count(metric->groups) : metric->counting;
        if (metric->query.top && metric->rows > metric->query.top) metric->rows = metric->query.top;
        sk_select_free(metric->groups);
        metric->groups = NULL;
    }
}

static void begin_counting(struct configuration_metric *metrics, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct configuration_metric *metric = &metrics[i];
        metric->counting = 0;
        sk_select_free(metric->groups);
        metric->groups = metric->query.grouped ? sk_select_new(&metric->query) : NULL;
    }
}

/* ---- one twin ---- */

static void say_failed(struct configurations *all, const struct step *step, struct sk_span module,
                       const struct sk_registry_end *end) {
    if (end->status == SK_CLOSED) return;
    all->failed = true;
    if (end->status == SK_CONFLICT || end->status == SK_NOT_FOUND) { /* it has changed */
        all->again = true;
        return;
    }
    SK_WARN("hub", "%s%s%.*s cannot be given its configuration: %s", step->entry.identity.device_id,
            module.n ? "/" : "", SK_ARG(module),
            end->reason[0] ? end->reason : sk_status_text(end->status));
}

static void changed(void *arg, const struct sk_registry_end *end, struct sk_registry_entry *entry,
                    const json_t *desired_patch) {
    struct step *step = arg;
    struct configurations *all = step->all;
    if (entry == NULL) {
        say_failed(all, step, sk_span_z(step->entry.identity.module_id), end);
        if (end->status != SK_CLOSED) count(all, &step->entry);
    } else {
        all->hub->counts.twin_updates_total += desired_patch != NULL;
        hub_twin_changed(all->hub, &(struct sk_hub_twin_change){entry, .desired = desired_patch});
        count(all, entry);
    }
    end_step(step);
}

static void give(struct step *step) {
    const struct sk_identity *identity = &step->entry.identity;
    struct plan *plan = &step->plan;
    char etag[SK_ETAG_MAX];
    if (!plan_changes(plan, &step->entry.twin)) {
        count(step->all, &step->entry);
        end_step(step);
        return;
    }
    sk_twin_etag(step->entry.twin.etag, etag);
    sk_registry_twin_change(step->all->hub->registry, sk_span_z(identity->device_id),
                            sk_span_z(identity->module_id),
                            &(struct sk_twin_change){.desired = plan->patch,
                                                     .configurations = plan->configurations,
                                                     .configured = plan->configured},
                            sk_span_z(etag), changed, step);
}

static void rolled_out(void *arg, const struct sk_registry_end *failed, struct sk_span module) {
    struct step *step = arg;
    if (failed == NULL) {
        give(step); /* what it is to its deployments is told when its modules have it */
        return;
    }
    say_failed(step->all, step, module, failed);
    if (failed->status != SK_CLOSED) count(step->all, &step->entry);
    end_step(step);
}

static void take(struct configurations *all, struct sk_registry_entry *entry) {
    struct step *step = SK_NEW(struct step);
    step->all = all;
    step->entry.identity = sk_identity_move(&entry->identity);
    step->entry.twin = sk_twin_move(&entry->twin);
    json_t *twin = twin_json(all, &step->entry);
    plan_make(all->sorted, all->count, &step->entry, twin, &all->hub->arena, &step->plan);
    json_decref(twin);
    const struct plan *plan = &step->plan;
    const struct sk_identity *identity = &step->entry.identity;
    if (sk_is_system_module(sk_span_z(identity->module_id))) {
        count(all, &step->entry); /* what it has came with its device */
        end_step(step);
    } else if (identity->edge && !identity->module_id &&
               (plan->modules ||
                !plan_same(plan->configurations, step->entry.twin.configurations))) {
        rollout(all->hub, sk_span_z(identity->device_id), plan->modules, false, plan->deployments,
                rolled_out, step);
    } else {
        give(step);
    }
}

/* ---- all of them ---- */

static void walk(struct sk_timer *timer);

static void plan_next(struct configurations *all) {
    uint64_t pause = PAUSE_MAX;
    if (all->again) {
        uint64_t since = sk_io_now(all->hub->backend.io) - all->ended_ns;
        pause = all->took_ns * SHARE > since ? all->took_ns * SHARE - since : 0;
        if (pause < PAUSE_MIN) pause = PAUSE_MIN;
        if (pause > PAUSE_MAX) pause = PAUSE_MAX;
    } else if (all->count == 0 && !all->failed) {
        return;
    }
    sk_timer_start(all->hub->backend.io, &all->timer, pause, walk);
}

static void end_walk(struct configurations *all) {
    all->walking = false;
    all->ended_ns = sk_io_now(all->hub->backend.io);
    all->took_ns = all->ended_ns - all->began_ns;
    for (size_t i = 0; i < all->count; i++) {
        struct configuration *c = all->sorted[i];
        if (c->walk != all->number) continue; /* it came in the middle */
        publish(c->system, c->system_count);
        publish(c->custom, c->custom_count);
    }
    if (!all->failed && !all->again) configurations_settled(all);
    plan_next(all);
}

static void got_batch(void *arg, const struct sk_registry_end *end,
                      const struct sk_registry_found *found) {
    struct configurations *all = arg;
    if (end->status == SK_CLOSED) return;
    if (end->status) all->failed = true; /* what cannot be done now is tried in five minutes */
    all->more = found->more;
    all->after = found->after;
    all->under_way = 1; /* this function too: a step may end at once */
    for (size_t i = 0; i < found->count; i++) {
        all->under_way++;
        take(all, &found->entries[i]);
    }
    if (--all->under_way == 0) read_batch(all);
}

static void read_batch(struct configurations *all) {
    if (all->hub->closing) return;
    if (!all->more && all->in_modules) {
        end_walk(all);
        return;
    }
    if (!all->more) {
        all->in_modules = true;
        all->after = 0;
    }
    sk_registry_find_twins(
        all->hub->registry,
        &(struct sk_registry_search){.modules = all->in_modules, .after = all->after, .max = BATCH},
        got_batch, all);
}

static void begin(struct configuration *c, uint64_t number) {
    c->walk = number;
    begin_counting(c->system, c->system_count);
    begin_counting(c->custom, c->custom_count);
}

static void walk(struct sk_timer *timer) {
    struct configurations *all = SK_CONTAINER(timer, struct configurations, timer);
    all->walking = all->more = true;
    all->again = all->failed = all->in_modules = false;
    all->began_ns = sk_io_now(all->hub->backend.io);
    all->number++;
    for (size_t i = 0; i < all->count; i++) begin(all->sorted[i], all->number);
    all->after = 0;
    read_batch(all);
}

void walk_ask(struct configurations *all) {
    if (all->again || !all->loaded || all->hub->closing) return;
    all->again = true;
    if (!all->walking) plan_next(all);
}

void walk_stop(struct configurations *all) {
    sk_timer_stop(&all->timer);
}
