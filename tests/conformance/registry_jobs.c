/* Jobs and their rows. */
#include "conformance/registry_world.h"

AROUND(start, end);

static struct got {
    enum sk_status status;
    size_t count;
    bool more;
    char text[1000]; /* "job:device/module:state:document," or "id=document," */
    uint64_t rows[SK_JOB_STATES];
    bool changed;
} got;

static void end_with(const struct sk_registry_end *ended) {
    got.status = ended->status;
    completed();
}

static void add(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void add(const char *format, ...) {
    va_list args;
    size_t n = strlen(got.text);
    va_start(args, format);
    vsnprintf(got.text + n, sizeof got.text - n, format, args);
    va_end(args);
}

static void on_done(void *arg, const struct sk_registry_end *ended) {
    (void)arg;
    end_with(ended);
}

static void on_document(void *arg, const struct sk_registry_end *ended,
                        const struct sk_registry_document *document) {
    (void)arg;
    assert_true((ended->status == SK_OK) == (document != NULL));
    if (document) add("%.*s=%.*s,", SK_ARG(document->key), SK_ARG(document->bytes));
    end_with(ended);
}

static void on_documents(void *arg, const struct sk_registry_end *ended,
                         const struct sk_registry_documents *list) {
    (void)arg;
    for (size_t i = 0; i < list->count; i++)
        add("%.*s=%.*s,", SK_ARG(list->documents[i].key), SK_ARG(list->documents[i].bytes));
    end_with(ended);
}

static void on_rows(void *arg, const struct sk_registry_end *ended,
                    const struct sk_registry_job_rows *list) {
    (void)arg;
    got.count = list->count;
    got.more = list->more;
    for (size_t i = 0; i < list->count; i++)
        add("%.*s:%.*s/%.*s:%d:%.*s,", SK_ARG(list->rows[i].job_id),
            SK_ARG(list->rows[i].device_id), SK_ARG(list->rows[i].module_id), list->rows[i].state,
            SK_ARG(list->rows[i].document));
    end_with(ended);
}

static void on_counts(void *arg, const struct sk_registry_end *ended,
                      const struct sk_registry_job_counts *counts) {
    (void)arg;
    memcpy(got.rows, counts->rows, sizeof got.rows);
    end_with(ended);
}

static void on_change(void *arg, const struct sk_registry_end *ended,
                      struct sk_registry_entry *entry, const json_t *patch) {
    (void)arg;
    assert_true((ended->status == SK_OK) == (entry != NULL));
    got.changed = entry && patch;
    end_with(ended);
}

static void on_entry(void *arg, const struct sk_registry_end *ended,
                     struct sk_registry_entry *entry) {
    (void)arg;
    if (entry) add("%llu", (unsigned long long)entry->twin.desired_version);
    end_with(ended);
}

#define ASK(call)                                                                                  \
    do {                                                                                           \
        got = (struct got){0};                                                                     \
        w.waiting++;                                                                               \
        call;                                                                                      \
        wait_all();                                                                                \
    } while (0)

static struct sk_registry_job_row row(const char *job, const char *device, const char *module,
                                      enum sk_job_state state, const char *document) {
    return (struct sk_registry_job_row){sk_span_z(job), sk_span_z(device), sk_span_z(module), state,
                                        sk_span_z(document)};
}

static enum sk_status put(const char *job, const char *document, bool fresh,
                          const struct sk_registry_job_row *rows, size_t count) {
    ASK(sk_registry_job_put(w.registry, sk_span_z(job), sk_span_z(document), fresh, rows, count,
                            on_done, NULL));
    return got.status;
}

static void look(struct sk_registry_job_ask question, const char *expected) {
    if (question.max == 0) question.max = 10;
    ASK(sk_registry_job_rows(w.registry, &question, on_rows, NULL));
    assert_int_equal(got.status, SK_OK);
    assert_string_equal(got.text, expected);
}

TEST(a_job_is_made_once_replaced_listed_and_forgotten_with_its_rows) {
    struct sk_registry_job_row rows[] = {row("j1", "d1", "", SK_JOB_PENDING, "{}")};
    assert_int_equal(put("j1", "one", true, NULL, 0), SK_OK);
    assert_int_equal(put("j1", "two", true, rows, 1), SK_EXISTS);
    look((struct sk_registry_job_ask){.state = SK_JOB_STATES}, "");
    assert_int_equal(put("j1", "three", false, rows, 1), SK_OK);
    assert_int_equal(put("j2", "four", true, NULL, 0), SK_OK);
    reopen();
    ASK(sk_registry_job_get(w.registry, SK_SPAN("j1"), on_document, NULL));
    assert_string_equal(got.text, "j1=three,");
    ASK(sk_registry_job_list(w.registry, SK_NONE, 10, on_documents, NULL));
    assert_string_equal(got.text, "j1=three,j2=four,");
    ASK(sk_registry_job_list(w.registry, SK_SPAN("j1"), 10, on_documents, NULL));
    assert_string_equal(got.text, "j2=four,");
    ASK(sk_registry_job_delete(w.registry, SK_SPAN("j1"), on_done, NULL));
    ASK(sk_registry_job_delete(w.registry, SK_SPAN("j1"), on_done, NULL));
    assert_int_equal(got.status, SK_OK);
    ASK(sk_registry_job_get(w.registry, SK_SPAN("j1"), on_document, NULL));
    assert_int_equal(got.status, SK_NOT_FOUND);
    look((struct sk_registry_job_ask){.state = SK_JOB_STATES}, "");
}

TEST(rows_are_found_by_job_state_and_device_behind_a_place) {
    struct sk_registry_job_row first[] = {row("a", "d1", "", SK_JOB_PENDING, "1"),
                                          row("a", "d1", "m", SK_JOB_FAILED, "2"),
                                          row("a", "d2", "", SK_JOB_PENDING, "3")};
    struct sk_registry_job_row second[] = {row("b", "d1", "", SK_JOB_COMPLETED, "4")};
    assert_int_equal(put("a", "-", true, first, 3), SK_OK);
    assert_int_equal(put("b", "-", true, second, 1), SK_OK);
    struct sk_registry_job_ask all = {.state = SK_JOB_STATES}, some = all;
    look(all, "a:d1/:0:1,a:d1/m:3:2,a:d2/:0:3,b:d1/:2:4,");
    some.max = 2;
    look(some, "a:d1/:0:1,a:d1/m:3:2,");
    assert_true(got.more);
    some.after = row("a", "d1", "m", 0, "");
    look(some, "a:d2/:0:3,b:d1/:2:4,");
    some = all;
    some.job_id = SK_SPAN("a");
    look(some, "a:d1/:0:1,a:d1/m:3:2,a:d2/:0:3,");
    assert_false(got.more);
    some.state = SK_JOB_PENDING;
    look(some, "a:d1/:0:1,a:d2/:0:3,");
    some.after = row("a", "d1", "", 0, "");
    look(some, "a:d2/:0:3,");
    some = all;
    some.device_id = SK_SPAN("d1");
    look(some, "a:d1/:0:1,a:d1/m:3:2,b:d1/:2:4,");
    ASK(sk_registry_job_counts(w.registry, SK_SPAN("a"), on_counts, NULL));
    assert_int_equal(got.rows[SK_JOB_PENDING], 2);
    assert_int_equal(got.rows[SK_JOB_FAILED], 1);
    assert_int_equal(got.rows[SK_JOB_COMPLETED], 0);
}

TEST(what_is_pending_is_ended_at_once_and_the_rest_stays) {
    struct sk_registry_job_row rows[] = {row("a", "d1", "", SK_JOB_PENDING, "{\"x\":1}"),
                                         row("a", "d2", "", SK_JOB_COMPLETED, "{}")};
    assert_int_equal(put("a", "-", true, rows, 2), SK_OK);
    ASK(sk_registry_job_end(w.registry, SK_SPAN("a"), SK_SPAN("over"), SK_JOB_PENDING,
                            SK_JOB_CANCELED, SK_SPAN("{\"y\":2}"), on_done, NULL));
    assert_int_equal(got.status, SK_OK);
    look((struct sk_registry_job_ask){.state = SK_JOB_STATES},
         "a:d1/:4:{\"x\":1,\"y\":2},a:d2/:2:{},");
    ASK(sk_registry_job_get(w.registry, SK_SPAN("a"), on_document, NULL));
    assert_string_equal(got.text, "a=over,");
}

TEST(a_twin_is_changed_once_for_a_job) {
    struct sk_identity device = {.device_id = (char *)"d1"};
    ASK(sk_registry_put(w.registry, &device, SK_NONE, on_entry, NULL));
    struct sk_registry_job_row pending = row("a", "d1", "", SK_JOB_PENDING, "{}"),
                               completed_row = row("a", "d1", "", SK_JOB_COMPLETED, "{\"e\":1}"),
                               other = row("a", "d2", "", SK_JOB_COMPLETED, "{}");
    assert_int_equal(put("a", "-", true, &pending, 1), SK_OK);
    json_t *desired = json_pack("{s:i}", "v", 1);
    struct sk_twin_change change = {.desired = desired};
    ASK(sk_registry_job_twin(w.registry, &completed_row, &change, SK_SPAN("\"no\""), on_change,
                             NULL));
    assert_int_equal(got.status, SK_CONFLICT);
    ASK(sk_registry_job_twin(w.registry, &other, &change, SK_NONE, on_change, NULL));
    assert_int_equal(got.status, SK_EXISTS); /* there is no such row */
    ASK(sk_registry_job_twin(w.registry, &completed_row, &change, SK_NONE, on_change, NULL));
    assert_int_equal(got.status, SK_OK);
    assert_true(got.changed);
    ASK(sk_registry_job_twin(w.registry, &completed_row, &change, SK_NONE, on_change, NULL));
    assert_int_equal(got.status, SK_EXISTS);
    ASK(sk_registry_twin_get(w.registry, SK_SPAN("d1"), SK_NONE, on_entry, NULL));
    assert_string_equal(got.text, "2");
    look((struct sk_registry_job_ask){.state = SK_JOB_STATES}, "a:d1/:2:{\"e\":1},");
    json_decref(desired);
}
