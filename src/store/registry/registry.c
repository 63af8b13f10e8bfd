/* The registry's calls go to whoever keeps the data. */
#include "store/registry/ops.h"

void sk_registry_close(struct sk_registry *registry) {
    registry->ops->close(registry);
}

void sk_registry_flush(struct sk_registry *registry, sk_registry_done *done, void *arg) {
    registry->ops->flush(registry, done, arg);
}

void sk_registry_get(struct sk_registry *registry, struct sk_span device_id,
                     struct sk_span module_id, sk_registry_entry_done *done, void *arg) {
    registry->ops->identities->get(registry, device_id, module_id, done, arg);
}

void sk_registry_put(struct sk_registry *registry, const struct sk_identity *identity,
                     struct sk_span if_match, sk_registry_entry_done *done, void *arg) {
    registry->ops->identities->put(registry, identity, if_match, done, arg);
}

void sk_registry_delete(struct sk_registry *registry, struct sk_span device_id,
                        struct sk_span module_id, struct sk_span if_match,
                        sk_registry_entries_done *done, void *arg) {
    registry->ops->identities->remove(registry, device_id, module_id, if_match, done, arg);
}

void sk_registry_list_devices(struct sk_registry *registry, struct sk_span after, size_t max,
                              sk_registry_entries_done *done, void *arg) {
    registry->ops->identities->list_devices(registry, after, max, done, arg);
}

void sk_registry_list_modules(struct sk_registry *registry, struct sk_span device_id,
                              sk_registry_entries_done *done, void *arg) {
    registry->ops->identities->list_modules(registry, device_id, done, arg);
}

void sk_registry_list_scope(struct sk_registry *registry, struct sk_span edge_device_id,
                            struct sk_span after, size_t max_devices,
                            sk_registry_entries_done *done, void *arg) {
    registry->ops->identities->list_scope(registry, edge_device_id, after, max_devices, done, arg);
}

void sk_registry_twin_get(struct sk_registry *registry, struct sk_span device_id,
                          struct sk_span module_id, sk_registry_entry_done *done, void *arg) {
    registry->ops->twins->get(registry, device_id, module_id, done, arg);
}

void sk_registry_twin_change(struct sk_registry *registry, struct sk_span device_id,
                             struct sk_span module_id, const struct sk_twin_change *change,
                             struct sk_span if_match, sk_registry_change_done *done, void *arg) {
    registry->ops->twins->change(registry, device_id, module_id, change, if_match, done, arg);
}

void sk_registry_remember(struct sk_registry *registry, unsigned versions) {
    registry->ops->twins->remember(registry, versions);
}

void sk_registry_twin_past(struct sk_registry *registry, struct sk_span device_id,
                           struct sk_span module_id, sk_registry_past_done *done, void *arg) {
    registry->ops->twins->past(registry, device_id, module_id, done, arg);
}

void sk_registry_line(struct sk_registry *registry, const struct sk_registry_line *line,
                      sk_registry_line_done *done, void *arg) {
    registry->ops->lines->run(registry, line, done, arg);
}

void sk_registry_find_twins(struct sk_registry *registry, const struct sk_registry_search *search,
                            sk_registry_found_done *done, void *arg) {
    registry->ops->searches->find(registry, search, done, arg);
}

struct sk_span sk_registry_row_field(const struct sk_registry_row *row,
                                     enum sk_registry_field field) {
    return row->ops->searches->field(row, field);
}

void sk_registry_row_rest(const struct sk_registry_row *row, struct sk_registry_entry *rest) {
    row->ops->searches->rest(row, rest);
}

struct sk_registry_counts sk_registry_counts(const struct sk_registry *registry) {
    return registry->ops->counts(registry);
}

void sk_registry_model_set(struct sk_registry *registry, struct sk_span device_id,
                           struct sk_span module_id, struct sk_span model_id,
                           sk_registry_done *done, void *arg) {
    registry->ops->identities->model_set(registry, device_id, module_id, model_id, done, arg);
}

void sk_registry_session_save(struct sk_registry *registry, struct sk_span device_id,
                              struct sk_span module_id, uint32_t subscriptions,
                              sk_registry_done *done, void *arg) {
    registry->ops->sessions->save(registry, device_id, module_id, subscriptions, done, arg);
}

void sk_registry_session_load(struct sk_registry *registry, struct sk_span device_id,
                              struct sk_span module_id, sk_registry_session_done *done, void *arg) {
    registry->ops->sessions->load(registry, device_id, module_id, done, arg);
}

void sk_registry_session_delete(struct sk_registry *registry, struct sk_span device_id,
                                struct sk_span module_id, sk_registry_done *done, void *arg) {
    registry->ops->sessions->remove(registry, device_id, module_id, done, arg);
}

void sk_registry_c2d_put(struct sk_registry *registry, struct sk_span device_id,
                         const struct sk_registry_c2d_new *message, sk_registry_c2d_done *done,
                         void *arg) {
    registry->ops->c2d->put(registry, device_id, message, done, arg);
}

void sk_registry_c2d_list(struct sk_registry *registry, struct sk_span device_id,
                          sk_registry_queue_done *done, void *arg) {
    registry->ops->c2d->list(registry, device_id, done, arg);
}

void sk_registry_c2d_get(struct sk_registry *registry, uint64_t sequence,
                         sk_registry_c2d_done *done, void *arg) {
    registry->ops->c2d->get(registry, sequence, done, arg);
}

void sk_registry_c2d_end(struct sk_registry *registry, uint64_t sequence, enum sk_c2d_end end,
                         int64_t feedback_ttl_us, sk_registry_ended_done *done, void *arg) {
    registry->ops->c2d->end(registry, sequence, end, feedback_ttl_us, done, arg);
}

void sk_registry_c2d_return(struct sk_registry *registry, uint64_t sequence,
                            unsigned deliveries_max, int64_t feedback_ttl_us,
                            sk_registry_ended_done *done, void *arg) {
    registry->ops->c2d->back(registry, sequence, deliveries_max, feedback_ttl_us, done, arg);
}

void sk_registry_c2d_purge(struct sk_registry *registry, struct sk_span device_id,
                           int64_t feedback_ttl_us, sk_registry_ended_done *done, void *arg) {
    registry->ops->c2d->purge(registry, device_id, feedback_ttl_us, done, arg);
}

void sk_registry_c2d_expired(struct sk_registry *registry, int64_t now_us, size_t max,
                             sk_registry_expired_done *done, void *arg) {
    registry->ops->c2d->expired(registry, now_us, max, done, arg);
}

void sk_registry_feedback_add(struct sk_registry *registry, enum sk_registry_topic topic,
                              const struct sk_feedback_record *record, int64_t ttl_us,
                              struct sk_span kind, struct sk_span key,
                              sk_registry_newest_done *done, void *arg) {
    registry->ops->feedback->add(registry, topic, record, ttl_us, kind, key, done, arg);
}

void sk_registry_feedback_list(struct sk_registry *registry, enum sk_registry_topic topic,
                               uint64_t after, uint64_t before, int64_t now_us, size_t max,
                               sk_registry_records_done *done, void *arg) {
    registry->ops->feedback->list(registry, topic, after, before, now_us, max, done, arg);
}

void sk_registry_feedback_delete(struct sk_registry *registry, enum sk_registry_topic topic,
                                 uint64_t first, uint64_t last, sk_registry_newest_done *done,
                                 void *arg) {
    registry->ops->feedback->remove(registry, topic, first, last, done, arg);
}

void sk_registry_feedback_return(struct sk_registry *registry, enum sk_registry_topic topic,
                                 uint64_t first, uint64_t last, unsigned deliveries_max,
                                 sk_registry_newest_done *done, void *arg) {
    registry->ops->feedback->back(registry, topic, first, last, deliveries_max, done, arg);
}

void sk_registry_feedback_expire(struct sk_registry *registry, enum sk_registry_topic topic,
                                 int64_t now_us, sk_registry_newest_done *done, void *arg) {
    registry->ops->feedback->expire(registry, topic, now_us, done, arg);
}

void sk_registry_job_put(struct sk_registry *registry, struct sk_span job_id,
                         struct sk_span document, bool fresh,
                         const struct sk_registry_job_row *rows, size_t count,
                         sk_registry_done *done, void *arg) {
    registry->ops->jobs->put(registry, job_id, document, fresh, rows, count, done, arg);
}

void sk_registry_job_twin(struct sk_registry *registry, const struct sk_registry_job_row *row,
                          const struct sk_twin_change *change, struct sk_span if_match,
                          sk_registry_change_done *done, void *arg) {
    registry->ops->jobs->twin(registry, row, change, if_match, done, arg);
}

void sk_registry_job_get(struct sk_registry *registry, struct sk_span job_id,
                         sk_registry_document_done *done, void *arg) {
    registry->ops->jobs->get(registry, job_id, done, arg);
}

void sk_registry_job_list(struct sk_registry *registry, struct sk_span after_id, size_t max,
                          sk_registry_documents_done *done, void *arg) {
    registry->ops->jobs->list(registry, after_id, max, done, arg);
}

void sk_registry_job_rows(struct sk_registry *registry, const struct sk_registry_job_ask *ask,
                          sk_registry_job_rows_done *done, void *arg) {
    registry->ops->jobs->rows(registry, ask, done, arg);
}

void sk_registry_job_counts(struct sk_registry *registry, struct sk_span job_id,
                            sk_registry_job_counts_done *done, void *arg) {
    registry->ops->jobs->counts(registry, job_id, done, arg);
}

void sk_registry_job_end(struct sk_registry *registry, struct sk_span job_id,
                         struct sk_span document, enum sk_job_state from, enum sk_job_state to,
                         struct sk_span patch, sk_registry_done *done, void *arg) {
    registry->ops->jobs->end(registry, job_id, document, from, to, patch, done, arg);
}

void sk_registry_job_delete(struct sk_registry *registry, struct sk_span job_id,
                            sk_registry_done *done, void *arg) {
    registry->ops->jobs->remove(registry, job_id, done, arg);
}

void sk_registry_document_put(struct sk_registry *registry, struct sk_span kind, struct sk_span key,
                              struct sk_span bytes, sk_registry_done *done, void *arg) {
    registry->ops->documents->put(registry, kind, key, bytes, done, arg);
}

void sk_registry_document_get(struct sk_registry *registry, struct sk_span kind, struct sk_span key,
                              sk_registry_document_done *done, void *arg) {
    registry->ops->documents->get(registry, kind, key, done, arg);
}

enum sk_status sk_registry_document_load(struct sk_registry *registry, struct sk_span kind,
                                         struct sk_span key, struct sk_buffer *to) {
    return registry->ops->documents->load(registry, kind, key, to);
}

void sk_registry_document_delete(struct sk_registry *registry, struct sk_span kind,
                                 struct sk_span key, sk_registry_done *done, void *arg) {
    registry->ops->documents->remove(registry, kind, key, done, arg);
}

void sk_registry_document_list(struct sk_registry *registry, struct sk_span kind,
                               struct sk_span after_key, size_t max,
                               sk_registry_documents_done *done, void *arg) {
    registry->ops->documents->list(registry, kind, after_key, max, done, arg);
}

struct sk_registry_then {
    void (*done)(void *arg);
    void *arg;
};

struct sk_registry_then *sk_registry_then(void (*done)(void *arg), void *arg) {
    struct sk_registry_then *then = SK_NEW(struct sk_registry_then);
    *then = (struct sk_registry_then){done, arg};
    return then;
}

void sk_registry_ended(void *then, const struct sk_registry_end *end) {
    struct sk_registry_then call = *(struct sk_registry_then *)then;
    (void)end;
    free(then);
    call.done(call.arg);
}
