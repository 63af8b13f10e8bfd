/* POST /devices/query: SELECT * over devices or modules, a page at a time. The condition is
 * evaluated on each twin. Batches are read by turns, however many it takes: others go on
 * meanwhile. */
#include "expr/query.h"

#include "hub/parts.h"

enum {
    PAGE_MAX = 100,
    PAGE_BYTES_MAX = 1024 * 1024, /* of large twins fewer make a page */
    BATCH = 16,                   /* twins a read, which is a piece of a turn's work */
};

struct query_call {
    struct sk_hub *hub;
    struct sk_request *request;
    struct sk_query query;
    char *text; /* the query's, which outlives parsing */
    struct sk_hub_list page;
    char *after_device, *after_module;
    uint64_t returned; /* on earlier pages, for TOP */
};

static void free_call(struct query_call *call) {
    sk_query_free(&call->query);
    sk_buffer_free(&call->page.text);
    free(call->after_device);
    free(call->after_module);
    free(call->text);
    free(call);
}

/* A continuation token is base64 of "returned/device/module". */
static bool read_token(struct query_call *call, struct sk_span token) {
    struct sk_buffer plain = {0};
    struct sk_span part;
    int64_t returned = 0;
    bool fine = token.n == 0;
    if (token.n && sk_base64_decode(&plain, token) == SK_OK) {
        struct sk_span rest = sk_buffer_span(&plain);
        if (sk_span_split(&rest, '/', &part) && sk_span_to_int(part, &returned) == SK_OK &&
            returned >= 0 && sk_span_split(&rest, '/', &part) && sk_id_check(part) == SK_OK) {
            call->after_device = sk_span_dup(part);
            call->after_module = sk_span_dup(rest);
            call->returned = (uint64_t)returned;
            fine = true;
        }
    }
    sk_buffer_free(&plain);
    return fine;
}

static void end_page(struct query_call *call, bool more) {
    struct sk_buffer plain = {0}, token = {0};
    uint64_t returned = call->returned + call->page.count;
    if (call->query.top && returned >= call->query.top) more = false;
    if (more) {
        sk_buffer_print(&plain, "%llu/%s/%s", (unsigned long long)returned, call->after_device,
                        call->after_module ? call->after_module : "");
        sk_base64_encode(&token, sk_buffer_span(&plain));
    }
    hub_list_answer(
        &call->page, call->request,
        &(struct sk_answer){.continuation = sk_buffer_span(&token), .item_type = SK_SPAN("Twin")});
    sk_buffer_free(&plain);
    sk_buffer_free(&token);
    free_call(call);
}

static bool matches(struct query_call *call, const json_t *twin) {
    if (call->query.where == NULL) return true;
    sk_arena_reset(&call->hub->arena);
    return sk_expr_true(call->query.where, &(struct sk_expr_source){.document = twin},
                        &call->hub->arena);
}

static void read_batch(struct query_call *call);

static void got_batch(void *arg, const struct sk_registry_end *end,
                      const struct sk_registry_entries *list) {
    struct query_call *call = arg;
    if (end->status) {
        struct sk_request *request = call->request;
        free_call(call);
        hub_refuse_status(request, end);
        return;
    }
    uint64_t room = call->request->max > PAGE_MAX ? PAGE_MAX : call->request->max;
    if (call->query.top && call->query.top - call->returned < room)
        room = call->query.top - call->returned;
    for (size_t i = 0; i < list->count; i++) {
        const struct sk_registry_entry *entry = &list->entries[i];
        json_t *twin = sk_twin_service_json(&entry->twin, &entry->identity,
                                            hub_presence(call->hub, &entry->identity));
        sk_identity_set(&call->after_device, sk_span_z(entry->identity.device_id));
        sk_identity_set(&call->after_module, sk_span_z(entry->identity.module_id));
        if (matches(call, twin)) hub_list_add(&call->page, twin);
        json_decref(twin);
        if (call->page.count >= room || call->page.text.n >= PAGE_BYTES_MAX) {
            end_page(call, i + 1 < list->count || list->more);
            return;
        }
    }
    if (list->more)
        read_batch(call);
    else
        end_page(call, false);
}

static void read_batch(struct query_call *call) {
    sk_registry_list_twins(call->hub->registry, call->query.from == SK_FROM_MODULES,
                           sk_span_z(call->after_device), sk_span_z(call->after_module), BATCH,
                           got_batch, call);
}

static void query(struct sk_hub *hub, struct sk_request *request) {
    struct query_call *call = SK_NEW(struct query_call);
    struct sk_expr_error error;
    call->hub = hub;
    call->request = request;
    call->text = sk_span_dup(request->name);
    if (sk_query_parse(sk_span_z(call->text), &call->query, &error)) {
        sk_request_refuse(request, SK_FAULT_QUERY_INVALID, "line %u, column %u: %s", error.line,
                          error.column, error.sentence);
    } else if (!call->query.star || call->query.from == SK_FROM_JOBS) {
        sk_request_refuse(request, SK_FAULT_QUERY_INVALID,
                          "only SELECT * FROM devices or devices.modules is served so far");
    } else if (!read_token(call, request->continuation)) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "the continuation token is not one of ours");
    } else {
        read_batch(call);
        return;
    }
    free_call(call);
}

const struct sk_hub_part hub_part_queries = {.serve = {[SK_OP_QUERY] = query}};
