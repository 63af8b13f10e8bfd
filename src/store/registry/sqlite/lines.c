/* Lines of imports: an identity and its twin in one transaction, with a note of it. */
#include "store/registry/sqlite/parts.h"

/* An end of this call that leaves nothing behind and is the line's own; any other ends the call. */
static bool is_own(enum sk_status status) {
    return status == SK_EXISTS || status == SK_NOT_FOUND || status == SK_CONFLICT ||
           status == SK_INVALID || status == SK_TOO_LARGE;
}

/* What the last step said goes into `end`, so that the next one has the call for itself. */
static void take_end(struct registry_call *call, enum sk_status status,
                     struct sk_registry_end *end) {
    *end = call->end;
    end->status = status;
    call->end = (struct sk_registry_end){0};
}

static enum sk_status run_identity(struct registry_db *db, struct registry_call *call) {
    struct sk_span etag = call->if_match;
    enum sk_status status = SK_NOT_FOUND;
    call->found.line.put = true;
    if (call->work != SK_WORK_UPDATE) { /* an empty etag creates */
        call->if_match = SK_NONE;
        call->found.line.made = true;
        status = registry_run_put(db, call);
        if (status != SK_EXISTS || call->work == SK_WORK_CREATE) return status;
    }
    call->found.line.made = false;
    call->if_match = etag;
    return registry_run_put(db, call);
}

static bool has_twin(const struct registry_call *call) {
    return call->change.tags || call->change.desired;
}

static enum sk_status note(struct registry_db *db, struct registry_call *call) {
    const struct sk_registry_end *identity = &call->found.line.identity,
                                 *twin = &call->found.line.twin;
    const struct sk_registry_note *what = &call->note;
    enum sk_status status = SK_OK;
    bool of_twin = identity->status == SK_OK;
    if (what->kind.n == 0) return SK_OK;
    if (!of_twin || twin->status) {
        struct sk_buffer text = {0};
        what->put_failure(&text, what->of_failure, of_twin ? twin : identity, of_twin);
        status = registry_document_store(db, what->failure_kind, what->failure_key,
                                         sk_buffer_span(&text));
        sk_buffer_free(&text);
    }
    return status ? status : registry_document_store(db, what->kind, what->key, what->bytes);
}

static enum sk_status run_line(struct registry_db *db, struct registry_call *call) {
    enum sk_status status = SK_OK, of_twin = SK_OK;
    call->found.line.removed = call->work == SK_WORK_REMOVE;
    if (call->found.line.removed)
        status = registry_run_delete(db, call);
    else if (call->work != SK_WORK_TWIN)
        status = run_identity(db, call);
    if (status && !is_own(status)) return status;
    take_end(call, status, &call->found.line.identity);
    if (!status && !call->found.line.removed && has_twin(call)) {
        call->if_match = call->twin_if_match;
        of_twin = registry_run_change(db, call);
        call->found.line.changed = of_twin == SK_OK;
        if (of_twin && !is_own(of_twin)) return of_twin;
    }
    take_end(call, of_twin,
             call->work == SK_WORK_TWIN ? &call->found.line.identity : &call->found.line.twin);
    return note(db, call);
}

static void tell_line(struct registry_call *call, const struct sk_registry_end *end) {
    const struct sk_registry_end *identity = &call->found.line.identity,
                                 *twin = &call->found.line.twin;
    struct sk_registry_lined lined = {0};
    bool fine = !end->status && !identity->status;
    if (fine && call->found.line.put) lined.put = &call->entries.entries[0];
    if (fine && call->found.line.removed) lined.gone = call->entries;
    if (fine && call->found.line.changed) {
        lined.twin = &call->entries.entries[call->entries.count - 1];
        lined.desired_patch = call->desired_patch;
    }
    lined.made = call->found.line.made;
    if (fine && twin->status) lined.twin_end = twin;
    call->done.line(call->arg, end->status ? end : identity, &lined);
}

static void run(struct sk_registry *registry, const struct sk_registry_line *line,
                sk_registry_line_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, line->device_id, line->module_id, arg);
    struct sk_arena *arena = &call->arena;
    const struct sk_registry_note *note = &line->note;
    if (line->identity) call->identity = sk_identity_copy(line->identity);
    registry_take_change(call, &line->twin, line->if_match);
    call->work = line->work;
    call->twin_if_match = sk_arena_copy(arena, line->twin_if_match);
    call->note = (struct sk_registry_note){sk_arena_copy(arena, note->kind),
                                           sk_arena_copy(arena, note->key),
                                           sk_arena_copy(arena, note->bytes),
                                           sk_arena_copy(arena, note->failure_kind),
                                           sk_arena_copy(arena, note->failure_key),
                                           sk_arena_copy(arena, note->of_failure),
                                           note->put_failure};
    registry_random(call);
    call->done.line = done;
    registry_write(call, run_line, tell_line);
}

const struct sk_registry_line_ops registry_line_ops = {.run = run};
