/* Identities, twins, sessions and documents. */
#include "conformance/registry_world.h"

AROUND(start, end);

/* ---- an answer kept for the test ---- */

struct answer {
    struct sk_registry_end end;
    struct sk_registry_entry entries[8];
    size_t count, total;
    uint32_t subscriptions;
    char text[256]; /* documents as "key=bytes," */
    bool more;
    unsigned times;
    /* of a search */
    uint64_t after;
    enum sk_registry_way way;
};

static void keep(void *arg, const struct sk_registry_end *ended) {
    struct answer *answer = arg;
    answer->times++;
    answer->end = *ended;
    completed();
}

static void keep_entries(void *arg, const struct sk_registry_end *ended,
                         const struct sk_registry_entries *list) {
    struct answer *answer = arg;
    answer->total = list->count;
    answer->more = list->more;
    for (size_t i = 0; i < list->count && i < 8; i++) {
        answer->entries[i].identity = sk_identity_move(&list->entries[i].identity);
        answer->entries[i].twin = sk_twin_move(&list->entries[i].twin);
        answer->entries[i].place = list->entries[i].place;
        answer->count++;
    }
    keep(arg, ended);
}

static void keep_found(void *arg, const struct sk_registry_end *ended,
                       const struct sk_registry_found *found) {
    struct answer *answer = arg;
    answer->after = found->after;
    answer->way = found->way;
    keep_entries(arg, ended,
                 &(struct sk_registry_entries){found->entries, found->count, found->more});
}

static void keep_entry(void *arg, const struct sk_registry_end *ended,
                       struct sk_registry_entry *entry) {
    assert_true((ended->status == SK_OK) == (entry != NULL));
    keep_entries(arg, ended,
                 &(struct sk_registry_entries){.entries = entry, .count = entry != NULL});
}

static void keep_change(void *arg, const struct sk_registry_end *ended,
                        struct sk_registry_entry *entry, const json_t *desired_patch) {
    assert_true(ended->status == SK_OK || desired_patch == NULL);
    keep_entry(arg, ended, entry);
}

static void keep_session(void *arg, const struct sk_registry_end *ended, uint32_t subscriptions) {
    ((struct answer *)arg)->subscriptions = subscriptions;
    keep(arg, ended);
}

static void keep_documents(void *arg, const struct sk_registry_end *ended,
                           const struct sk_registry_documents *list) {
    struct answer *answer = arg;
    size_t n = 0;
    for (size_t i = 0; i < list->count && n < sizeof answer->text; i++)
        n += (size_t)snprintf(answer->text + n, sizeof answer->text - n, "%.*s=%.*s,",
                              SK_ARG(list->documents[i].key),
                              SK_ARG(sk_span_first(list->documents[i].bytes, 20)));
    keep(arg, ended);
}

static void keep_document(void *arg, const struct sk_registry_end *ended,
                          const struct sk_registry_document *document) {
    struct sk_registry_document one = document ? *document : (struct sk_registry_document){0};
    keep_documents(arg, ended,
                   &(struct sk_registry_documents){.documents = &one, .count = document != NULL});
}

static void forget(struct answer *answer) {
    for (size_t i = 0; i < answer->count; i++) {
        sk_identity_free(&answer->entries[i].identity);
        sk_twin_free(&answer->entries[i].twin);
    }
    memset(answer, 0, sizeof *answer);
}

/* Makes the call, checks that it does not complete inside itself, and waits. */
#define ASK(answer, call)                                                                          \
    do {                                                                                           \
        forget(answer);                                                                            \
        w.waiting++;                                                                               \
        call;                                                                                      \
        assert_int_equal((answer)->times, 0);                                                      \
        wait_all();                                                                                \
        assert_int_equal((answer)->times, 1);                                                      \
    } while (0)

static struct sk_identity device(const char *id) {
    return (struct sk_identity){.device_id = (char *)id};
}
static struct sk_identity module(const char *device_id, const char *id) {
    return (struct sk_identity){.device_id = (char *)device_id, .module_id = (char *)id};
}
static enum sk_status put(struct sk_identity identity, const char *if_match) {
    struct answer answer = {0};
    ASK(&answer, sk_registry_put(w.registry, &identity, sk_span_z(if_match), keep_entry, &answer));
    enum sk_status status = answer.end.status;
    forget(&answer);
    return status;
}
static enum sk_status get(struct answer *answer, const char *device_id, const char *module_id) {
    ASK(answer, sk_registry_get(w.registry, sk_span_z(device_id), sk_span_z(module_id), keep_entry,
                                answer));
    return answer->end.status;
}
static enum sk_status change(struct answer *answer, const char *device_id, const char *desired,
                             const char *if_match) {
    json_t *document = json_loads(desired, 0, NULL);
    struct sk_twin_change twin_change = {.desired = document};
    ASK(answer, sk_registry_twin_change(w.registry, sk_span_z(device_id), SK_NONE, &twin_change,
                                        sk_span_z(if_match), keep_change, answer));
    json_decref(document);
    return answer->end.status;
}

/* ---- identities ---- */

TEST(a_new_device_gets_keys_an_etag_a_generation_and_a_twin) {
    struct answer answer = {0};
    struct sk_identity identity = device("d1");
    ASK(&answer, sk_registry_put(w.registry, &identity, SK_NONE, keep_entry, &answer));
    assert_int_equal(answer.end.status, SK_OK);
    struct sk_identity *made = &answer.entries[0].identity;
    assert_int_equal(strlen(made->primary_key), 44);
    assert_string_not_equal(made->primary_key, made->secondary_key);
    assert_int_equal(strlen(made->generation_id), 18);
    struct sk_identity copy = sk_identity_copy(made);
    ASK(&answer, sk_registry_twin_get(w.registry, SK_SPAN("d1"), SK_NONE, keep_entry, &answer));
    assert_int_equal(answer.end.status, SK_OK);
    assert_string_equal(answer.entries[0].identity.primary_key, copy.primary_key);
    assert_int_equal(answer.entries[0].identity.etag, copy.etag);
    assert_int_equal(answer.entries[0].twin.version, 2);
    sk_identity_free(&copy);
    forget(&answer);
}

TEST(every_field_of_an_identity_is_kept) {
    struct answer answer = {0};
    struct sk_identity full = {
        .device_id = (char *)"d",
        .disabled = true,
        .status_reason = (char *)"why ü",
        .auth = SK_AUTH_SELF_SIGNED,
        .primary_thumbprint = (char *)"AA",
        .secondary_thumbprint = (char *)"BB",
        .device_scope = (char *)"ms-azure-iot-edge://e-1",
        .parent_scopes = {(char *)"ms-azure-iot-edge://e-1"},
        .parent_scope_count = 1,
    };
    assert_int_equal(put(full, ""), SK_OK);
    struct sk_identity part = module("d", "m");
    part.managed_by = (char *)"IotEdge";
    part.auth = SK_AUTH_NONE;
    assert_int_equal(put(part, ""), SK_OK);
    assert_int_equal(get(&answer, "d", ""), SK_OK);
    struct sk_identity *kept = &answer.entries[0].identity;
    assert_true(kept->disabled && !kept->edge && kept->auth == SK_AUTH_SELF_SIGNED);
    assert_string_equal(kept->status_reason, "why ü");
    assert_string_equal(kept->primary_thumbprint, "AA");
    assert_string_equal(kept->secondary_thumbprint, "BB");
    assert_string_equal(kept->device_scope, full.device_scope);
    assert_int_equal(kept->parent_scope_count, 1);
    assert_string_equal(kept->parent_scopes[0], full.device_scope);
    assert_null(kept->primary_key);
    assert_null(kept->module_id);
    assert_int_equal(get(&answer, "d", "m"), SK_OK);
    assert_string_equal(answer.entries[0].identity.managed_by, "IotEdge");
    assert_null(answer.entries[0].identity.primary_key);
    forget(&answer);
}

TEST(create_and_update_are_told_apart_by_if_match) {
    struct answer answer = {0};
    assert_int_equal(put(device("d"), "*"), SK_NOT_FOUND);
    assert_int_equal(put(device("d"), ""), SK_OK);
    assert_int_equal(put(device("d"), ""), SK_EXISTS);
    get(&answer, "d", "");
    char etag[SK_ETAG_MAX], quoted[SK_ETAG_MAX + 2], key[64], generation[32];
    sk_identity_etag(answer.entries[0].identity.etag, etag);
    snprintf(quoted, sizeof quoted, "\"%s\"", etag);
    snprintf(key, sizeof key, "%s", answer.entries[0].identity.primary_key);
    snprintf(generation, sizeof generation, "%s", answer.entries[0].identity.generation_id);
    struct sk_identity disabled = device("d");
    disabled.disabled = true;
    assert_int_equal(put(disabled, quoted), SK_OK);
    assert_int_equal(put(disabled, quoted), SK_CONFLICT);
    assert_int_equal(put(disabled, "\"*\""), SK_OK);
    get(&answer, "d", "");
    assert_true(answer.entries[0].identity.disabled);
    assert_int_not_equal(answer.entries[0].identity.status_updated_us, 0);
    assert_string_equal(answer.entries[0].identity.primary_key, key);
    assert_string_equal(answer.entries[0].identity.generation_id, generation);
    forget(&answer);
}

TEST(an_update_that_brings_keys_changes_them) {
    struct answer answer = {0};
    put(device("d"), "");
    struct sk_identity identity = device("d");
    identity.primary_key = (char *)"MDEyMzQ1Njc4OWFiY2RlZg==";
    identity.secondary_key = (char *)"MDEyMzQ1Njc4OWFiY2RlZQ==";
    assert_int_equal(put(identity, "*"), SK_OK);
    get(&answer, "d", "");
    assert_string_equal(answer.entries[0].identity.primary_key, identity.primary_key);
    identity.auth = SK_AUTH_NONE;
    identity.primary_key = identity.secondary_key = NULL;
    assert_int_equal(put(identity, "*"), SK_OK);
    get(&answer, "d", "");
    assert_null(answer.entries[0].identity.primary_key);
    forget(&answer);
}

TEST(an_edge_device_comes_with_its_system_modules_and_keeps_its_scope) {
    struct answer answer = {0};
    struct sk_identity edge = device("e");
    edge.edge = true;
    assert_int_equal(put(edge, ""), SK_OK);
    ASK(&answer, sk_registry_list_modules(w.registry, SK_SPAN("e"), keep_entries, &answer));
    assert_int_equal(answer.count, 2);
    assert_string_equal(answer.entries[0].identity.module_id, "$edgeAgent");
    assert_string_equal(answer.entries[1].identity.module_id, "$edgeHub");
    ASK(&answer,
        sk_registry_twin_get(w.registry, SK_SPAN("e"), SK_SPAN("$edgeAgent"), keep_entry, &answer));
    assert_int_equal(answer.end.status, SK_OK);
    get(&answer, "e", "");
    char scope[200];
    snprintf(scope, sizeof scope, "%s", answer.entries[0].identity.device_scope);
    assert_non_null(strstr(scope, "ms-azure-iot-edge://e-"));
    edge.device_scope = (char *)"ms-azure-iot-edge://forged-1";
    assert_int_equal(put(edge, "*"), SK_OK);
    get(&answer, "e", "");
    assert_string_equal(answer.entries[0].identity.device_scope, scope);
    /* A device may become an edge device later. */
    assert_int_equal(put(device("late"), ""), SK_OK);
    struct sk_identity late = device("late");
    late.edge = true;
    assert_int_equal(put(late, "*"), SK_OK);
    assert_int_equal(get(&answer, "late", "$edgeHub"), SK_OK);
    forget(&answer);
}

TEST(a_module_needs_its_device_and_a_place) {
    struct answer answer = {0};
    assert_int_equal(put(module("d", "m"), ""), SK_NOT_FOUND);
    put(device("d"), "");
    char id[16];
    for (int i = 0; i < SK_MODULES_MAX; i++) {
        snprintf(id, sizeof id, "m%d", i);
        assert_int_equal(put(module("d", id), ""), SK_OK);
    }
    struct sk_identity more = module("d", "one-more");
    ASK(&answer, sk_registry_put(w.registry, &more, SK_NONE, keep_entry, &answer));
    assert_int_equal(answer.end.status, SK_TOO_LARGE);
    assert_string_equal(answer.end.reason, "A device has at most 50 modules.");
    assert_int_equal(put(module("d", "m7"), "*"), SK_OK); /* updating is fine */
    ASK(&answer, sk_registry_delete(w.registry, SK_SPAN("d"), SK_SPAN("m7"), SK_NONE, keep_entries,
                                    &answer));
    assert_int_equal(answer.end.status, SK_OK);
    assert_int_equal(put(more, ""), SK_OK);
    forget(&answer);
}

TEST(deleting_a_device_deletes_its_modules_twins_and_sessions) {
    struct answer answer = {0};
    struct sk_identity edge = device("e");
    edge.edge = true;
    put(edge, "");
    put(module("e", "m"), "");
    put(device("e2"), "");
    ASK(&answer,
        sk_registry_session_save(w.registry, SK_SPAN("e"), SK_SPAN("m"), 5, keep, &answer));
    ASK(&answer, sk_registry_delete(w.registry, SK_SPAN("e"), SK_NONE, SK_SPAN("\"nope\""),
                                    keep_entries, &answer));
    assert_int_equal(answer.end.status, SK_CONFLICT);
    ASK(&answer,
        sk_registry_delete(w.registry, SK_SPAN("e"), SK_NONE, SK_SPAN("*"), keep_entries, &answer));
    assert_int_equal(answer.end.status, SK_OK);
    assert_int_equal(answer.total, 4);
    assert_null(answer.entries[0].identity.module_id);
    assert_int_equal(get(&answer, "e", "m"), SK_NOT_FOUND);
    assert_int_equal(get(&answer, "e2", ""), SK_OK);
    ASK(&answer,
        sk_registry_session_load(w.registry, SK_SPAN("e"), SK_SPAN("m"), keep_session, &answer));
    assert_int_equal(answer.end.status, SK_NOT_FOUND);
    ASK(&answer,
        sk_registry_delete(w.registry, SK_SPAN("e"), SK_NONE, SK_NONE, keep_entries, &answer));
    assert_int_equal(answer.end.status, SK_NOT_FOUND);
    struct sk_registry_counts counts = sk_registry_counts(w.registry);
    assert_int_equal(counts.devices, 1);
    assert_int_equal(counts.modules, 0);
    forget(&answer);
}

TEST(devices_are_listed_in_pages_by_id) {
    struct answer answer = {0};
    static const char *const ids[] = {"c", "a", "B", "b", "a1"};
    for (size_t i = 0; i < 5; i++) put(device(ids[i]), "");
    put(module("a", "m"), "");
    ASK(&answer, sk_registry_list_devices(w.registry, SK_NONE, 3, keep_entries, &answer));
    assert_int_equal(answer.count, 3);
    assert_string_equal(answer.entries[0].identity.device_id, "B");
    assert_string_equal(answer.entries[2].identity.device_id, "a1");
    ASK(&answer, sk_registry_list_devices(w.registry, SK_SPAN("a1"), 3, keep_entries, &answer));
    assert_int_equal(answer.count, 2);
    assert_string_equal(answer.entries[1].identity.device_id, "c");
    ASK(&answer, sk_registry_list_modules(w.registry, SK_SPAN("nobody"), keep_entries, &answer));
    assert_int_equal(answer.end.status, SK_NOT_FOUND);
    ASK(&answer, sk_registry_list_modules(w.registry, SK_SPAN("c"), keep_entries, &answer));
    assert_int_equal(answer.end.status, SK_OK);
    assert_int_equal(answer.count, 0);
    forget(&answer);
}

TEST(an_edge_devices_scope_holds_itself_its_children_and_their_modules) {
    struct answer answer = {0};
    struct sk_identity edge = device("e");
    edge.edge = true;
    put(edge, "");
    get(&answer, "e", "");
    char scope[200];
    snprintf(scope, sizeof scope, "%s", answer.entries[0].identity.device_scope);
    struct sk_identity leaf = device("leaf");
    leaf.device_scope = scope;
    put(leaf, "");
    struct sk_identity child = device("below");
    child.edge = true;
    child.parent_scopes[0] = scope;
    child.parent_scope_count = 1;
    put(child, "");
    put(device("stranger"), "");
    put(module("leaf", "m"), "");
    static const char *const expected[][2] = {
        {"below", NULL},     {"below", "$edgeAgent"}, {"below", "$edgeHub"}, {"e", NULL},
        {"e", "$edgeAgent"}, {"e", "$edgeHub"},       {"leaf", NULL},        {"leaf", "m"}};
    ASK(&answer,
        sk_registry_list_scope(w.registry, SK_SPAN("e"), SK_NONE, 10, keep_entries, &answer));
    assert_int_equal(answer.count, 8);
    for (size_t i = 0; i < 8; i++) {
        assert_string_equal(answer.entries[i].identity.device_id, expected[i][0]);
        assert_true(
            sk_span_eq(sk_span_z(answer.entries[i].identity.module_id), sk_span_z(expected[i][1])));
    }
    ASK(&answer, sk_registry_list_scope(w.registry, SK_SPAN("e"), SK_SPAN("below"), 1, keep_entries,
                                        &answer));
    assert_int_equal(answer.count, 3);
    ASK(&answer,
        sk_registry_list_scope(w.registry, SK_SPAN("leaf"), SK_NONE, 10, keep_entries, &answer));
    assert_int_equal(answer.end.status, SK_INVALID);
    ASK(&answer,
        sk_registry_list_scope(w.registry, SK_SPAN("nobody"), SK_NONE, 10, keep_entries, &answer));
    assert_int_equal(answer.end.status, SK_NOT_FOUND);
    forget(&answer);
}

/* ---- twins ---- */

TEST(a_twin_change_answers_the_new_twin_and_is_there_afterwards) {
    struct answer answer = {0};
    put(device("d"), "");
    assert_int_equal(change(&answer, "nobody", "{}", ""), SK_NOT_FOUND);
    assert_int_equal(change(&answer, "d", "{\"a\":{\"b\":1}}", ""), SK_OK);
    assert_int_equal(answer.entries[0].twin.desired_version, 2);
    assert_string_equal(answer.entries[0].identity.device_id, "d");
    char etag[SK_ETAG_MAX];
    sk_twin_etag(answer.entries[0].twin.etag, etag);
    assert_int_equal(change(&answer, "d", "{\"a\":{\"c\":2}}", etag), SK_OK);
    assert_int_equal(change(&answer, "d", "{\"a\":{\"c\":3}}", etag), SK_CONFLICT);
    assert_int_equal(change(&answer, "d", "{\"a b\":3}", ""), SK_INVALID);
    assert_non_null(strstr(answer.end.reason, "'a b'"));
    ASK(&answer, sk_registry_twin_get(w.registry, SK_SPAN("d"), SK_NONE, keep_entry, &answer));
    json_t *expected = json_loads("{\"a\":{\"b\":1,\"c\":2}}", 0, NULL);
    assert_true(json_equal(answer.entries[0].twin.desired, expected));
    assert_int_equal(answer.entries[0].twin.desired_version, 3);
    json_decref(expected);
    forget(&answer);
}

TEST(calls_of_one_turn_share_a_transaction_but_not_their_fate) {
    struct answer answers[40] = {0};
    put(device("d"), "");
    json_t *good = json_pack("{s:i}", "x", 1), *bad = json_pack("{s:i}", "x y", 1);
    struct sk_twin_change good_change = {.reported = good}, bad_change = {.reported = bad};
    for (int i = 0; i < 40; i++) {
        w.waiting++;
        sk_registry_twin_change(w.registry, SK_SPAN("d"), SK_NONE,
                                i % 4 == 3 ? &bad_change : &good_change, SK_NONE, keep_change,
                                &answers[i]);
    }
    uint64_t before = w.sim ? sk_sim_disk_writes(w.io) : 0;
    wait_all();
    for (int i = 0; i < 40; i++) {
        assert_int_equal(answers[i].times, 1);
        assert_int_equal(answers[i].end.status, i % 4 == 3 ? SK_INVALID : SK_OK);
        forget(&answers[i]);
    }
    if (w.sim) assert_in_range(sk_sim_disk_writes(w.io) - before, 1, 3);
    ASK(&answers[0],
        sk_registry_twin_get(w.registry, SK_SPAN("d"), SK_NONE, keep_entry, &answers[0]));
    assert_int_equal(answers[0].entries[0].twin.reported_version, 31);
    forget(&answers[0]);
    json_decref(good);
    json_decref(bad);
}

/* ---- the rest ---- */

TEST(counts_follow_the_writes_and_survive_reopening) {
    struct sk_identity disabled = device("off"), edge = device("e");
    disabled.disabled = true;
    edge.edge = true;
    put(disabled, "");
    put(edge, "");
    put(edge, "");
    put(device("off"), "*");
    put(disabled, "*");
    for (int i = 0; i < 2; i++) {
        struct sk_registry_counts counts = sk_registry_counts(w.registry);
        assert_int_equal(counts.devices, 2);
        assert_int_equal(counts.enabled_devices, 1);
        assert_int_equal(counts.modules, 2);
        reopen();
    }
}

TEST(sessions_are_kept_until_deleted) {
    struct answer answer = {0};
    ASK(&answer,
        sk_registry_session_load(w.registry, SK_SPAN("d"), SK_NONE, keep_session, &answer));
    assert_int_equal(answer.end.status, SK_NOT_FOUND);
    ASK(&answer, sk_registry_session_save(w.registry, SK_SPAN("d"), SK_NONE, 1, keep, &answer));
    ASK(&answer,
        sk_registry_session_save(w.registry, SK_SPAN("d"), SK_NONE, 0xfffffff0u, keep, &answer));
    reopen();
    ASK(&answer,
        sk_registry_session_load(w.registry, SK_SPAN("d"), SK_NONE, keep_session, &answer));
    assert_int_equal(answer.subscriptions, 0xfffffff0u);
    ASK(&answer, sk_registry_session_delete(w.registry, SK_SPAN("d"), SK_NONE, keep, &answer));
    ASK(&answer, sk_registry_session_delete(w.registry, SK_SPAN("d"), SK_NONE, keep, &answer));
    assert_int_equal(answer.end.status, SK_OK);
    ASK(&answer,
        sk_registry_session_load(w.registry, SK_SPAN("d"), SK_NONE, keep_session, &answer));
    assert_int_equal(answer.end.status, SK_NOT_FOUND);
}

TEST(documents_are_bytes_under_a_kind_and_a_key) {
    struct answer answer = {0};
    ASK(&answer, sk_registry_document_put(w.registry, SK_SPAN("twin"), SK_SPAN("b"), SK_SPAN("1"),
                                          keep, &answer));
    ASK(&answer, sk_registry_document_put(w.registry, SK_SPAN("twin"), SK_SPAN("a"), SK_SPAN("2"),
                                          keep, &answer));
    ASK(&answer, sk_registry_document_put(w.registry, SK_SPAN("twin"), SK_SPAN("b"), SK_SPAN("3"),
                                          keep, &answer));
    ASK(&answer, sk_registry_document_put(w.registry, SK_SPAN("other"), SK_SPAN("a"), SK_NONE, keep,
                                          &answer));
    ASK(&answer, sk_registry_document_get(w.registry, SK_SPAN("twin"), SK_SPAN("b"), keep_document,
                                          &answer));
    assert_string_equal(answer.text, "b=3,");
    ASK(&answer, sk_registry_document_list(w.registry, SK_SPAN("twin"), SK_NONE, 10, keep_documents,
                                           &answer));
    assert_string_equal(answer.text, "a=2,b=3,");
    ASK(&answer, sk_registry_document_list(w.registry, SK_SPAN("twin"), SK_SPAN("a"), 10,
                                           keep_documents, &answer));
    assert_string_equal(answer.text, "b=3,");
    ASK(&answer,
        sk_registry_document_delete(w.registry, SK_SPAN("twin"), SK_SPAN("b"), keep, &answer));
    ASK(&answer, sk_registry_document_get(w.registry, SK_SPAN("twin"), SK_SPAN("b"), keep_document,
                                          &answer));
    assert_int_equal(answer.end.status, SK_NOT_FOUND);
    ASK(&answer, sk_registry_document_get(w.registry, SK_SPAN("other"), SK_SPAN("a"), keep_document,
                                          &answer));
    assert_string_equal(answer.text, "a=,");
    char *large = sk_alloc(SK_REGISTRY_DOCUMENT_MAX + 1);
    ASK(&answer, sk_registry_document_put(w.registry, SK_SPAN("k"), SK_SPAN("l"),
                                          sk_span(large, SK_REGISTRY_DOCUMENT_MAX), keep, &answer));
    assert_int_equal(answer.end.status, SK_OK);
    ASK(&answer,
        sk_registry_document_put(w.registry, SK_SPAN("k"), SK_SPAN("l"),
                                 sk_span(large, SK_REGISTRY_DOCUMENT_MAX + 1), keep, &answer));
    assert_int_equal(answer.end.status, SK_TOO_LARGE);
    free(large);
}

static void read_in_completion(void *arg, const struct sk_registry_end *ended,
                               struct sk_registry_entry *entry, const json_t *desired_patch) {
    (void)entry, (void)desired_patch;
    assert_int_equal(ended->status, SK_OK);
    sk_registry_twin_get(w.registry, SK_SPAN("d"), SK_NONE, keep_entry, arg);
}

TEST(documents_are_loaded_at_once_before_anything_else_is_asked) {
    struct answer answer = {0};
    struct sk_buffer bytes = {0};
    ASK(&answer, sk_registry_document_put(w.registry, SK_SPAN("k"), SK_SPAN("a"), SK_SPAN("1"),
                                          keep, &answer));
    reopen();
    assert_int_equal(sk_registry_document_load(w.registry, SK_SPAN("k"), SK_SPAN("b"), &bytes),
                     SK_NOT_FOUND);
    assert_int_equal(sk_registry_document_load(w.registry, SK_SPAN("k"), SK_SPAN("a"), &bytes),
                     SK_OK);
    assert_true(sk_span_is(sk_buffer_span(&bytes), "1"));
    sk_buffer_free(&bytes);
}

TEST(what_a_client_says_it_is_stays_with_its_identity_and_changes_no_etag) {
    struct answer answer = {0};
    put(device("d"), "");
    get(&answer, "d", "");
    uint64_t etag = answer.entries[0].identity.etag;
    ASK(&answer, sk_registry_model_set(w.registry, SK_SPAN("d"), SK_NONE, SK_SPAN("dtmi:a;1"), keep,
                                       &answer));
    assert_int_equal(answer.end.status, SK_OK);
    ASK(&answer, sk_registry_model_set(w.registry, SK_SPAN("nobody"), SK_NONE, SK_SPAN("dtmi:a;1"),
                                       keep, &answer));
    assert_int_equal(answer.end.status, SK_OK);
    put(device("d"), "*");
    get(&answer, "d", "");
    assert_string_equal(answer.entries[0].identity.model_id, "dtmi:a;1");
    assert_int_equal(answer.entries[0].identity.etag, etag + 1); /* the update's */
    forget(&answer);
}

TEST(a_flush_ends_after_the_writes_before_it_for_which_nobody_need_wait) {
    struct answer answer = {0};
    sk_registry_document_put(w.registry, SK_SPAN("k"), SK_SPAN("a"), SK_SPAN("1"), NULL, NULL);
    sk_registry_document_put(w.registry, SK_SPAN("k"), SK_SPAN("b"), SK_SPAN("2"), NULL, NULL);
    ASK(&answer, sk_registry_flush(w.registry, keep, &answer));
    assert_int_equal(answer.end.status, SK_OK);
    ASK(&answer,
        sk_registry_document_list(w.registry, SK_SPAN("k"), SK_NONE, 10, keep_documents, &answer));
    assert_string_equal(answer.text, "a=1,b=2,");
}

TEST(a_read_after_a_writes_completion_sees_it) {
    struct answer answer = {0};
    put(device("d"), "");
    json_t *document = json_pack("{s:i}", "x", 0);
    struct sk_twin_change twin_change = {.desired = document};
    for (unsigned i = 0; i < 20; i++) {
        forget(&answer);
        w.waiting++;
        sk_registry_twin_change(w.registry, SK_SPAN("d"), SK_NONE, &twin_change, SK_NONE,
                                read_in_completion, &answer);
        wait_all();
        assert_int_equal(answer.entries[0].twin.desired_version, i + 2);
    }
    json_decref(document);
    forget(&answer);
}

TEST(closing_completes_what_waits) {
    struct answer running = {0}, queued = {0}, reading = {0};
    struct sk_identity identity = device("d");
    w.waiting = 4; /* one more than there are: closing must not stop the loop */
    sk_registry_put(w.registry, &identity, SK_NONE, keep_entry, &running);
    if (w.sim) sk_sim_run(w.sim, 1000); /* the transaction has begun */
    identity.device_id = (char *)"d2";
    sk_registry_put(w.registry, &identity, SK_NONE, keep_entry, &queued);
    sk_registry_get(w.registry, SK_SPAN("d"), SK_NONE, keep_entry, &reading);
    sk_registry_close(w.registry);
    assert_int_equal(running.times + queued.times + reading.times, 3);
    assert_int_equal(running.end.status, SK_CLOSED);
    assert_int_equal(queued.end.status, SK_CLOSED);
    assert_int_equal(reading.end.status, SK_CLOSED);
    if (w.sim) sk_sim_run(w.sim, SK_S);
    assert_int_equal(running.times, 1);
    w.waiting = 0;
    open_registry();
}

static void close_it(void *arg, const struct sk_registry_end *ended,
                     struct sk_registry_entry *entry) {
    assert_int_equal(ended->status, SK_OK);
    sk_registry_close(w.registry);
    keep_entry(arg, ended, entry);
}

TEST(a_completion_may_close_the_registry) {
    struct answer first = {0}, second = {0};
    struct sk_identity identity = device("d"), other = device("d2");
    w.waiting = 2;
    sk_registry_put(w.registry, &identity, SK_NONE, close_it, &first);
    sk_registry_put(w.registry, &other, SK_NONE, keep_entry, &second);
    wait_all();
    assert_int_equal(second.end.status, SK_OK); /* it was in the same transaction */
    forget(&first);
    forget(&second);
    open_registry();
    assert_int_equal(get(&first, "d2", ""), SK_OK);
    forget(&first);
}

/* ---- searches ---- */

static void find_from(struct answer *answer, const struct sk_registry_search *search) {
    ASK(answer, sk_registry_find_twins(w.registry, search, keep_found, answer));
    assert_int_equal(answer->end.status, SK_OK);
}

static void find(struct answer *answer, bool modules, uint64_t after,
                 const struct sk_registry_term *terms, size_t count) {
    find_from(answer, &(struct sk_registry_search){.modules = modules,
                                                   .after = after,
                                                   .max = 8,
                                                   .terms = terms,
                                                   .term_count = count});
}

static bool has(const struct answer *answer, const char *device_id) {
    for (size_t i = 0; i < answer->count; i++)
        if (strcmp(answer->entries[i].identity.device_id, device_id) == 0) return true;
    return false;
}

TEST(a_search_goes_over_twins_as_they_were_created) {
    struct answer answer = {0};
    put(device("b"), "");
    put(device("a"), "");
    put(module("a", "m2"), "");
    put(module("a", "m1"), "");
    put(module("b", "m1"), "");
    change(&answer, "a", "{\"x\":1}", "");
    find(&answer, false, 0, NULL, 0);
    assert_int_equal(answer.count, 2);
    assert_false(answer.more);
    assert_string_equal(answer.entries[0].identity.device_id, "b");
    assert_int_equal(json_object_size(answer.entries[1].twin.desired), 1);
    find_from(&answer, &(struct sk_registry_search){.modules = true, .max = 1});
    assert_int_equal(answer.count, 1);
    assert_true(answer.more);
    assert_string_equal(answer.entries[0].identity.module_id, "m2");
    assert_int_equal(answer.entries[0].place, answer.after);
    find(&answer, true, answer.after, NULL, 0);
    assert_int_equal(answer.count, 2);
    assert_string_equal(answer.entries[0].identity.module_id, "m1");
    assert_string_equal(answer.entries[1].identity.device_id, "b");
    forget(&answer);
}

TEST(a_search_of_large_twins_stops_at_64_kilobytes) {
    enum { TWINS = 12, LARGE = 8000, ENOUGH = 64 * 1024 / LARGE + 1 };
    struct answer answer = {0};
    char name[8], desired[LARGE + 16];
    snprintf(desired, sizeof desired, "{\"a\":\"%0*d\",\"b\":\"%0*d\"}", LARGE / 2, 1, LARGE / 2,
             2);
    for (int i = 0; i < TWINS; i++) {
        snprintf(name, sizeof name, "d%02d", i);
        put(device(name), "");
        change(&answer, name, desired, "");
    }
    find_from(&answer, &(struct sk_registry_search){.max = 100});
    assert_in_range(answer.count, 2, ENOUGH);
    assert_true(answer.more);
    forget(&answer);
}

static struct sk_span row_text(const struct sk_registry_row *row, enum sk_registry_field field) {
    return sk_registry_row_field(row, field);
}

/* "b" is kept, the search ends before "d". */
static enum sk_registry_verdict look_at(void *arg, const struct sk_registry_row *row) {
    struct sk_span id = row_text(row, SK_FIELD_DEVICE_ID);
    (void)arg;
    if (!sk_span_is(id, "b")) return sk_span_is(id, "d") ? SK_ROW_ENOUGH : SK_ROW_PASSED;
    struct sk_registry_entry rest;
    assert_true(sk_span_is(row_text(row, SK_FIELD_MODULE_ID), ""));
    assert_true(sk_span_is(row_text(row, SK_FIELD_TAGS), "{}"));
    assert_true(sk_span_is(row_text(row, SK_FIELD_DESIRED), "{\"x\":1}"));
    assert_true(sk_span_is(row_text(row, SK_FIELD_REPORTED), "{}"));
    assert_true(sk_span_starts(row_text(row, SK_FIELD_DESIRED_METADATA), SK_SPAN("{\"$last")));
    assert_true(sk_span_starts(row_text(row, SK_FIELD_REPORTED_METADATA), SK_SPAN("{\"$last")));
    assert_int_equal(row_text(row, SK_FIELD_CONFIGURATIONS).n, 0);
    sk_registry_row_rest(row, &rest);
    assert_string_equal(rest.identity.device_id, "b");
    assert_int_equal(rest.twin.desired_version, 2);
    assert_int_equal(json_object_size(rest.twin.desired), 0);
    sk_identity_free(&rest.identity);
    sk_twin_free(&rest.twin);
    return SK_ROW_KEPT;
}

TEST(whoever_searches_looks_at_each_twin_where_it_is_kept) {
    struct answer answer = {0};
    static const char *const ids[] = {"a", "b", "c", "d", "b2"};
    for (size_t i = 0; i < 5; i++) put(device(ids[i]), "");
    change(&answer, "b", "{\"x\":1}", "");
    find_from(&answer, &(struct sk_registry_search){.max = 8, .look = look_at});
    assert_int_equal(answer.count, 1);
    assert_string_equal(answer.entries[0].identity.device_id, "b");
    assert_int_equal(json_object_size(answer.entries[0].twin.desired), 1);
    assert_true(answer.more);
    find_from(&answer, &(struct sk_registry_search){.max = 0, .look = look_at});
    assert_int_equal(answer.count, 0);
    assert_int_equal(answer.way, SK_WAY_ALL);
    forget(&answer);
}

TEST(a_search_gives_all_for_which_its_terms_hold) {
    struct answer answer = {0};
    static const char *const desired[] = {"{\"a\":{\"b\":\"x\"}}", "{\"a\":{\"b\":\"y\"}}",
                                          "{\"a\":{\"b\":7}}", "{\"a\":{\"b\":true}}",
                                          "{\"a\":[1,\"x\"]}"};
    for (size_t i = 0; i < 5; i++) {
        char id[] = {'d', (char)('1' + i), 0};
        assert_int_equal(put(device(id), NULL), SK_OK);
        assert_int_equal(change(&answer, id, desired[i], NULL), SK_OK);
    }
    static const struct sk_registry_value texts[] = {{.is_text = true, .text = {"x", 1}},
                                                     {.is_text = true, .text = {"y", 1}}};
    static const struct sk_registry_value seven = {.number = 7}, one = {.number = 1},
                                          ids[] = {{.is_text = true, .text = {"d2", 2}},
                                                   {.is_text = true, .text = {"d4", 2}},
                                                   {.is_text = true, .text = {"d9", 2}}};
    struct sk_registry_term term = {SK_WHERE_DESIRED, SK_SPAN("$.\"a\".\"b\""), texts, 1};
    find(&answer, false, 0, &term, 1);
    assert_true(has(&answer, "d1"));
    term.count = 2;
    find(&answer, false, 0, &term, 1);
    assert_true(has(&answer, "d1") && has(&answer, "d2"));
    term = (struct sk_registry_term){SK_WHERE_DESIRED, SK_SPAN("$.\"a\".\"b\""), &seven, 1};
    find(&answer, false, 0, &term, 1);
    assert_true(has(&answer, "d3"));
    term.values = &one;
    find(&answer, false, 0, &term, 1);
    assert_true(has(&answer, "d4"));
    term = (struct sk_registry_term){SK_WHERE_DESIRED, SK_SPAN("$.\"a\"[1]"), texts, 1};
    find(&answer, false, 0, &term, 1);
    assert_true(has(&answer, "d5"));
    struct sk_registry_term both[] = {{SK_WHERE_DEVICE_ID, SK_NONE, ids, 3}, term};
    find(&answer, false, 0, both, 1);
    assert_true(has(&answer, "d2") && has(&answer, "d4"));
    assert_int_equal(answer.way, SK_WAY_IDS);
    for (size_t i = 0; i < answer.count; i++)
        if (strcmp(answer.entries[i].identity.device_id, "d2") == 0)
            answer.after = answer.entries[i].place;
    find(&answer, false, answer.after, both, 1);
    assert_true(!has(&answer, "d2") && has(&answer, "d4"));
    find(&answer, true, 0, both, 1);
    assert_int_equal(answer.count, 0);
    find(&answer, false, 0, NULL, 0);
    assert_int_equal(answer.count, 5);
    forget(&answer);
}

static void made_one(void *arg, const struct sk_registry_end *ended,
                     struct sk_registry_entry *entry) {
    (void)arg, (void)entry;
    assert_int_equal(ended->status, SK_OK);
    completed();
}

enum { MANY = 1500 };

static void make_many(struct answer *answer) {
    for (unsigned i = 0; i < MANY; i++) {
        char id[8];
        snprintf(id, sizeof id, "d%05u", i);
        struct sk_identity identity = device(id);
        w.waiting++;
        sk_registry_put(w.registry, &identity, SK_NONE, made_one, NULL);
        if (i % 100 == 99) wait_all();
    }
    assert_int_equal(change(answer, "d01400", "{\"on\":true}", NULL), SK_OK);
}

static enum sk_registry_verdict is_on(void *arg, const struct sk_registry_row *row) {
    (void)arg;
    return sk_span_is(row_text(row, SK_FIELD_DESIRED), "{\"on\":true}") ? SK_ROW_KEPT
                                                                       : SK_ROW_PASSED;
}

/* How many reads it takes to find it and come to the end. */
static unsigned find_what_is_on(struct answer *answer, const struct sk_registry_term *term) {
    unsigned reads = 0, found = 0;
    uint64_t after = 0;
    for (bool more = true; more; reads++) {
        find_from(answer, &(struct sk_registry_search){.after = after,
                                                       .max = 8,
                                                       .terms = term,
                                                       .term_count = 1,
                                                       .look = is_on});
        found += has(answer, "d01400");
        more = answer->more;
        if (more) assert_true(answer->after > after);
        after = answer->after;
    }
    assert_int_equal(found, 1);
    return reads;
}

static const struct sk_registry_value yes = {.number = 1};
static const struct sk_registry_term on = {SK_WHERE_DESIRED, {"$.\"on\"", 6}, &yes, 1};

TEST(a_search_among_many_comes_to_its_end_in_short_reads) {
    struct answer answer = {0};
    make_many(&answer);
    assert_in_range(find_what_is_on(&answer, &on), 2, MANY / 8);
    forget(&answer);
}

/* Searches until the values are kept in order. */
static void search_until_known(struct answer *answer) {
    struct answer flushed = {0};
    for (int i = 0; i < 100 && answer->way != SK_WAY_VALUES; i++) {
        ASK(&flushed, sk_registry_flush(w.registry, keep, &flushed));
        find_what_is_on(answer, &on);
    }
    assert_int_equal(answer->way, SK_WAY_VALUES);
}

TEST(values_that_are_asked_for_again_and_again_are_kept_in_order) {
    struct answer answer = {0};
    make_many(&answer);
    search_until_known(&answer);
    assert_int_equal(find_what_is_on(&answer, &on), 1);
    /* They follow what is changed, made and deleted. */
    assert_int_equal(change(&answer, "d00007", "{\"on\":true}", NULL), SK_OK);
    assert_int_equal(put(device("new"), ""), SK_OK);
    assert_int_equal(change(&answer, "new", "{\"on\":true,\"a\":1}", NULL), SK_OK);
    assert_int_equal(change(&answer, "d01400", "{\"on\":false}", NULL), SK_OK);
    find(&answer, false, 0, &on, 1);
    assert_int_equal(answer.count, 2);
    assert_true(has(&answer, "d00007") && has(&answer, "new"));
    assert_false(answer.more);
    ASK(&answer, sk_registry_delete(w.registry, SK_SPAN("new"), SK_NONE, SK_NONE, keep_entries,
                                    &answer));
    find(&answer, false, 0, &on, 1);
    assert_int_equal(answer.count, 1);
    find(&answer, true, 0, &on, 1);
    assert_int_equal(answer.count, 0);
    /* Of several values, and behind a place; a long text is looked for everywhere. */
    struct sk_registry_value values[] = {{.number = 0}, {.number = 1}};
    struct sk_registry_term either = {SK_WHERE_DESIRED, on.path, values, 2};
    find(&answer, false, 0, &either, 1);
    assert_int_equal(answer.way, SK_WAY_VALUES);
    assert_true(has(&answer, "d00007") && has(&answer, "d01400"));
    find(&answer, false, answer.entries[0].place, &either, 1);
    assert_int_equal(answer.count, 1);
    char text[129];
    memset(text, 'x', sizeof text);
    values[0] = (struct sk_registry_value){.is_text = true, .text = {text, 128}};
    find(&answer, false, 0, &either, 1);
    assert_int_equal(answer.way, SK_WAY_VALUES);
    values[0].text.n++;
    find(&answer, false, 0, &either, 1);
    assert_int_equal(answer.way, SK_WAY_ALL);
    /* As good after a restart. */
    sk_registry_close(w.registry);
    open_registry();
    find(&answer, false, 0, &on, 1);
    assert_int_equal(answer.way, SK_WAY_VALUES);
    assert_true(answer.count == 1 && has(&answer, "d00007"));
    forget(&answer);
}
