/* POST /devices/query: over devices, modules or what jobs did to them, a page at a time. Rows of
 * groups are made of all that there is, for each page anew. */
#include "hub/parts.h"
#include "model/json_text.h"

enum {
    PAGE_MAX = 100,
    PAGE_BYTES_MAX = 1024 * 1024, /* of large twins fewer make a page */
    ROWS = 32,                    /* of jobs a read */
};

struct query_call {
    struct hub_scan scan; /* first */
    struct sk_request *request;
    struct sk_query query;
    char *text; /* the query's, which outlives parsing */
    struct sk_hub_list page;
    char *after_job, *after_device, *after_module; /* of jobs: behind which row */
    uint64_t returned;                             /* on earlier pages, for TOP */
};

static void free_call(struct query_call *call) {
    sk_select_free(call->scan.groups);
    sk_query_free(&call->query);
    sk_buffer_free(&call->page.text);
    free(call->after_job);
    free(call->after_device);
    free(call->after_module);
    free(call->text);
    free(call);
}

/* A continuation token is base64 of "returned" and a place: "/number" of twins,
 * "/job/device/module" of jobs, nothing of groups. So it is as good after a restart. */
static bool read_place(struct query_call *call, struct sk_span place) {
    struct sk_span job, device, module = SK_NONE;
    int64_t number;
    if (call->query.grouped) return place.n == 0;
    if (call->query.from != SK_FROM_JOBS) {
        if (sk_span_to_int(place, &number) || number < 0) return false;
        call->scan.after = (uint64_t)number;
        return true;
    }
    if (!sk_span_split(&place, '/', &job) || !sk_span_split(&place, '/', &device) ||
        sk_id_check(device))
        return false;
    sk_span_split(&place, '/', &module);
    sk_identity_set(&call->after_job, job);
    sk_identity_set(&call->after_device, device);
    sk_identity_set(&call->after_module, module);
    return true;
}

static bool read_token(struct query_call *call, struct sk_span token) {
    struct sk_buffer plain = {0};
    struct sk_span returned;
    int64_t count = 0;
    bool fine = token.n == 0;
    if (token.n && sk_base64_decode(&plain, token) == SK_OK) {
        struct sk_span place = sk_buffer_span(&plain);
        fine = sk_span_split(&place, '/', &returned) && sk_span_to_int(returned, &count) == SK_OK &&
               count >= 0 && read_place(call, place);
        if (fine) call->returned = (uint64_t)count;
    }
    sk_buffer_free(&plain);
    return fine;
}

static void put_token(const struct query_call *call, struct sk_buffer *to) {
    struct sk_buffer plain = {0};
    uint64_t returned = call->returned + call->page.count;
    sk_buffer_print(&plain, "%llu", (unsigned long long)returned);
    if (call->query.from == SK_FROM_JOBS && !call->query.grouped)
        sk_buffer_print(&plain, "/%s/%s/%s", call->after_job, call->after_device,
                        call->after_module ? call->after_module : "");
    else if (!call->query.grouped)
        sk_buffer_print(&plain, "/%llu", (unsigned long long)call->scan.after);
    sk_base64_encode(to, sk_buffer_span(&plain));
    sk_buffer_free(&plain);
}

static struct sk_span item_type(const struct sk_query *query) {
    if (!query->star) return SK_SPAN("Raw");
    return query->from == SK_FROM_JOBS ? SK_SPAN("DeviceJob") : SK_SPAN("Twin");
}

static void end_page(struct query_call *call, bool more) {
    struct sk_buffer token = {0};
    if (call->query.top && call->returned + call->page.count >= call->query.top) more = false;
    if (more) put_token(call, &token);
    hub_list_answer(&call->page, call->request,
                    &(struct sk_answer){.continuation = sk_buffer_span(&token),
                                        .item_type = item_type(&call->query)});
    sk_buffer_free(&token);
    free_call(call);
}

/* Adds one to the page; false: it is full. */
static bool add(struct query_call *call, const json_t *item) {
    uint64_t room = call->request->max > PAGE_MAX ? PAGE_MAX : call->request->max;
    if (call->query.top && call->query.top - call->returned < room)
        room = call->query.top - call->returned;
    hub_list_add(&call->page, item);
    return call->page.count < room && call->page.text.n < PAGE_BYTES_MAX;
}

/* All that there is has been looked at: the page begins behind the groups of those before it. */
static void end_groups(struct query_call *call) {
    size_t count = sk_select_count(call->scan.groups), i = call->returned;
    bool full = false;
    for (; i < count && !full; i++) {
        json_t *row = sk_select_row(call->scan.groups, i);
        full = !add(call, row);
        json_decref(row);
    }
    end_page(call, i < count);
}

static void end_call(struct query_call *call, const struct sk_registry_end *end, bool more) {
    struct sk_request *request = call->request;
    if (end->status == SK_OK && call->scan.too_many) {
        free_call(call);
        sk_request_refuse(request, SK_FAULT_QUERY_INVALID, "it has more than %d groups",
                          SK_QUERY_GROUPS_MAX);
    } else if (end->status == SK_OK && call->scan.groups) {
        end_groups(call);
    } else if (end->status == SK_OK) {
        end_page(call, more);
    } else {
        free_call(call);
        hub_refuse_status(request, end);
    }
}

static bool add_row(struct query_call *call, const json_t *document) {
    json_t *row = sk_query_row(&call->query, document, &call->scan.hub->arena);
    bool goes_on = add(call, row);
    json_decref(row);
    return goes_on;
}

/* ---- twins ---- */

static bool take(struct hub_scan *scan, const struct sk_registry_entry *entry, json_t *twin) {
    (void)entry;
    return add_row((struct query_call *)scan, twin);
}

static void ended(struct hub_scan *scan, const struct sk_registry_end *end) {
    end_call((struct query_call *)scan, end, scan->more);
}

/* ---- jobs ---- */

static json_t *row_json(const struct sk_registry_job_row *row) {
    static const char *const states[SK_JOB_STATES] = {[SK_JOB_PENDING] = "pending",
                                                      [SK_JOB_RUNNING] = "running",
                                                      [SK_JOB_COMPLETED] = "completed",
                                                      [SK_JOB_FAILED] = "failed",
                                                      [SK_JOB_CANCELED] = "canceled"};
    json_t *json = sk_json_load(row->document, 0, NULL);
    if (json == NULL) json = json_object();
    json_object_set_new(json, "deviceId", sk_json_of_text(row->device_id));
    if (row->module_id.n) json_object_set_new(json, "moduleId", sk_json_of_text(row->module_id));
    json_object_set_new(json, "jobId", sk_json_of_text(row->job_id));
    json_object_set_new(json, "status", json_string(states[row->state]));
    return json;
}

static void read_rows(struct query_call *call);

/* False: enough. */
static bool take_row(struct query_call *call, const struct sk_registry_job_row *row) {
    struct sk_arena *arena = &call->scan.hub->arena;
    bool goes_on = true;
    sk_identity_set(&call->after_job, row->job_id);
    sk_identity_set(&call->after_device, row->device_id);
    sk_identity_set(&call->after_module, row->module_id);
    json_t *json = row_json(row);
    const struct sk_expr_source source = {.document = json};
    bool selected = sk_query_selects(&call->query, &source, arena);
    if (selected && call->scan.groups) {
        call->scan.too_many = sk_select_add(call->scan.groups, &source, arena) != SK_OK;
        goes_on = !call->scan.too_many;
    } else if (selected) {
        goes_on = add_row(call, json);
    }
    json_decref(json);
    return goes_on;
}

static void got_rows(void *arg, const struct sk_registry_end *end,
                     const struct sk_registry_job_rows *list) {
    struct query_call *call = arg;
    bool full = false;
    size_t i = 0;
    for (; i < list->count && !full; i++) full = !take_row(call, &list->rows[i]);
    bool more = i < list->count || list->more;
    if (end->status || full || !more)
        end_call(call, end, more);
    else
        read_rows(call);
}

/* The job, or else the device, that the condition asks for. */
static void look_up(const struct query_call *call, struct sk_registry_job_ask *ask) {
    enum { TERMS = 8 };
    struct sk_expr_term terms[TERMS];
    const struct sk_expr *where = call->query.where;
    for (size_t i = 0, n = where ? sk_expr_terms(where, terms, TERMS) : 0; i < n; i++) {
        const struct sk_expr_term *term = &terms[i];
        if (term->path_count != 1 || term->value_count != 1 ||
            term->values->type != SK_VALUE_STRING || term->values->text.n == 0)
            continue;
        if (sk_span_is(term->path[0].key, "jobId")) ask->job_id = term->values->text;
        if (sk_span_is(term->path[0].key, "deviceId")) ask->device_id = term->values->text;
    }
    if (ask->job_id.n) ask->device_id = SK_NONE;
}

static void read_rows(struct query_call *call) {
    struct sk_registry_job_ask ask = {.state = SK_JOB_STATES,
                                      .after = {.job_id = sk_span_z(call->after_job),
                                                .device_id = sk_span_z(call->after_device),
                                                .module_id = sk_span_z(call->after_module)},
                                      .max = ROWS};
    look_up(call, &ask);
    sk_registry_job_rows(call->scan.hub->registry, &ask, got_rows, call);
}

/* ---- EXPLAIN: how it would be read, and nothing is ---- */

static void explain_jobs(const struct query_call *call, json_t *row) {
    struct sk_registry_job_ask ask = {0};
    look_up(call, &ask);
    json_object_set_new(row, "reads",
                        json_string(ask.job_id.n      ? "the rows of one job"
                                    : ask.device_id.n ? "the rows of one device"
                                                      : "all rows"));
}

static void end_explain(struct query_call *call, json_t *row) {
    call->query.star = false; /* its rows are our own */
    add(call, row);
    json_decref(row);
    end_page(call, false);
}

static json_t *explained(const struct query_call *call) {
    static const char *const collections[] = {[SK_FROM_DEVICES] = "devices",
                                              [SK_FROM_MODULES] = "devices.modules",
                                              [SK_FROM_JOBS] = "devices.jobs"};
    const struct sk_query *query = &call->query;
    return json_pack("{s:s,s:s}", "from", collections[query->from], "rows",
                     !query->grouped      ? "one of each document that is selected"
                     : query->group_count ? "one of each group, made anew for each page"
                                          : "one of all together");
}

static void put_terms(const struct query_call *call, json_t *row) {
    static const char *const names[] = {[SK_WHERE_DEVICE_ID] = "deviceId",
                                        [SK_WHERE_TAGS] = "tags",
                                        [SK_WHERE_DESIRED] = "properties.desired",
                                        [SK_WHERE_REPORTED] = "properties.reported"};
    struct sk_arena arena = {0};
    struct sk_registry_term terms[HUB_TERMS_MAX];
    size_t count = hub_search_terms(&call->query, &arena, terms);
    json_t *looked_up = json_array();
    for (size_t i = 0; i < count; i++) {
        struct sk_span name = sk_arena_print(&arena, "%s%.*s", names[terms[i].where],
                                             SK_ARG(sk_span_skip(terms[i].path, 1)));
        json_array_append_new(looked_up, json_stringn(name.p, name.n));
    }
    json_object_set_new(row, "lookedUp", looked_up);
    sk_arena_free(&arena);
}

static void explain_twins(void *arg, const struct sk_registry_end *end,
                          const struct sk_registry_found *found) {
    static const char *const ways[] = {[SK_WAY_ALL] = "all",
                                       [SK_WAY_IDS] = "those with these ids",
                                       [SK_WAY_VALUES] =
                                           "those with these values, which are kept in order"};
    struct query_call *call = arg;
    if (end->status) {
        end_call(call, end, false);
        return;
    }
    json_t *row = explained(call);
    json_object_set_new(row, "reads", json_string(ways[found->way]));
    if (found->way == SK_WAY_VALUES)
        json_object_set_new(row, "valuesOf", json_stringn(found->path.p, found->path.n));
    put_terms(call, row);
    end_explain(call, row);
}

static void explain(struct query_call *call) {
    if (call->query.from != SK_FROM_JOBS) {
        hub_scan_ask(&call->scan, explain_twins);
        return;
    }
    json_t *row = explained(call);
    explain_jobs(call, row);
    end_explain(call, row);
}

static void query(struct sk_hub *hub, struct sk_request *request) {
    struct query_call *call = SK_NEW(struct query_call);
    struct sk_expr_error error;
    call->scan = (struct hub_scan){.hub = hub, .query = &call->query, .take = take, .ended = ended};
    call->request = request;
    call->text = sk_span_dup(request->name);
    if (sk_query_parse(sk_span_z(call->text), &call->query, &error)) {
        sk_request_refuse(request, SK_FAULT_QUERY_INVALID, "line %u, column %u: %s", error.line,
                          error.column, error.sentence);
    } else if (call->query.explain) {
        explain(call);
        return;
    } else if (!read_token(call, request->continuation)) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "the continuation token is not one of ours");
    } else {
        if (call->query.grouped) call->scan.groups = sk_select_new(&call->query);
        if (call->query.from == SK_FROM_JOBS)
            read_rows(call);
        else
            hub_scan_run(&call->scan);
        return;
    }
    free_call(call);
}

const struct sk_hub_part hub_part_queries = {.serve = {[SK_OP_QUERY] = query}};
