/* Identities, twins, sessions and documents. */
#include "conformance/registry_answers.h"

AROUND(start, end);

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

/* Asks for a change and goes on. */
static void begin_change(struct answer *answer, json_t *document, const char *if_match) {
    const struct sk_twin_change what = {.desired = document, .reported = document};
    w.waiting++;
    sk_registry_twin_change(w.registry, SK_SPAN("d"), SK_NONE, &what, sk_span_z(if_match),
                            keep_change, answer);
    json_decref(document);
}

TEST(changes_of_one_twin_that_come_at_once_follow_one_another) {
    struct answer answers[6] = {0}, made = {0};
    struct sk_identity identity = device("d");
    put(identity, "");
    identity.disabled = true;
    begin_change(&answers[0], json_pack("{s:i}", "a", 1), "");
    begin_change(&answers[1], json_pack("{s:i}", "b", 2), "\"another\"");
    begin_change(&answers[2], json_pack("{s:i}", "c", 3), "");
    w.waiting++;
    sk_registry_put(w.registry, &identity, SK_SPAN("*"), keep_entry, &made);
    begin_change(&answers[3], json_pack("{s:n,s:i}", "a", "d", 4), "");
    wait_all();
    assert_int_equal(answers[0].end.status, SK_OK);
    assert_int_equal(answers[1].end.status, SK_CONFLICT);
    assert_int_equal(made.end.status, SK_OK);
    assert_false(answers[2].entries[0].identity.disabled);
    assert_true(answers[3].entries[0].identity.disabled);
    assert_int_equal(answers[0].entries[0].twin.reported_version, 2);
    assert_int_equal(json_object_size(answers[0].entries[0].twin.reported), 1);
    assert_int_equal(answers[3].entries[0].twin.reported_version, 4);
    forget(&made);
    assert_int_equal(get(&made, "d", ""), SK_OK);
    ASK(&made, sk_registry_twin_get(w.registry, SK_SPAN("d"), SK_NONE, keep_entry, &made));
    char *text = json_dumps(made.entries[0].twin.reported, JSON_COMPACT);
    assert_string_equal(text, "{\"c\":3,\"d\":4}");
    free(text);
    assert_int_equal(made.entries[0].twin.desired_version, 4);
    for (size_t i = 0; i < 6; i++) forget(&answers[i]);
    forget(&made);
}

TEST(a_device_that_is_deleted_and_made_again_at_once_has_a_new_twin) {
    struct answer answers[3] = {0}, gone = {0}, made = {0};
    struct sk_identity identity = device("d");
    put(identity, "");
    begin_change(&answers[0], json_pack("{s:i}", "a", 1), "");
    w.waiting += 2;
    sk_registry_delete(w.registry, SK_SPAN("d"), SK_NONE, SK_NONE, keep_entries, &gone);
    begin_change(&answers[1], json_pack("{s:i}", "b", 2), "");
    sk_registry_put(w.registry, &identity, SK_NONE, keep_entry, &made);
    begin_change(&answers[2], json_pack("{s:i}", "c", 3), "");
    wait_all();
    assert_int_equal(gone.end.status, SK_OK);
    assert_int_equal(answers[1].end.status, SK_NOT_FOUND);
    assert_int_equal(made.end.status, SK_OK);
    assert_int_equal(answers[2].entries[0].twin.reported_version, 2);
    assert_int_equal(json_object_size(answers[2].entries[0].twin.reported), 1);
    for (size_t i = 0; i < 3; i++) forget(&answers[i]);
    forget(&gone);
    forget(&made);
}

static void changed_one(void *arg, const struct sk_registry_end *ended,
                        struct sk_registry_entry *entry, const json_t *desired_patch) {
    (void)arg, (void)entry, (void)desired_patch;
    assert_int_equal(ended->status, SK_OK);
    completed();
}

TEST(more_twins_than_are_held_change_at_once) {
    enum { DEVICES = 600 };
    struct answer answer = {0};
    char id[8];
    for (int i = 0; i < DEVICES; i++) {
        snprintf(id, sizeof id, "d%d", i);
        put(device(id), "");
    }
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < DEVICES; i++) {
            json_t *document = json_pack("{s:i}", round ? "b" : "a", i);
            snprintf(id, sizeof id, "d%d", i);
            w.waiting++;
            sk_registry_twin_change(w.registry, sk_span_z(id), SK_NONE,
                                    &(struct sk_twin_change){.reported = document}, SK_NONE,
                                    changed_one, NULL);
            json_decref(document);
        }
    wait_all();
    reopen();
    for (int i = 0; i < DEVICES; i += 37) {
        snprintf(id, sizeof id, "d%d", i);
        ASK(&answer, sk_registry_twin_get(w.registry, sk_span_z(id), SK_NONE, keep_entry, &answer));
        const json_t *reported = answer.entries[0].twin.reported;
        assert_int_equal(json_integer_value(json_object_get(reported, "a")), i);
        assert_int_equal(json_integer_value(json_object_get(reported, "b")), i);
    }
    forget(&answer);
}

static void keep_past(void *arg, const struct sk_registry_end *ended,
                      const struct sk_registry_past *past) {
    struct answer *answer = arg;
    answer->total = past->count;
    answer->text[0] = 0;
    for (size_t i = 0; i < past->count; i++) {
        json_t *document =
            json_loadb(past->versions[i].document.p, past->versions[i].document.n, 0, NULL);
        size_t n = strlen(answer->text);
        char *desired = json_dumps(json_object_get(document, "desired"), JSON_COMPACT);
        snprintf(answer->text + n, sizeof answer->text - n, "%llu:%s ",
                 (unsigned long long)past->versions[i].version, desired);
        free(desired);
        json_decref(document);
    }
    keep(arg, ended);
}

static void expect_past(const char *expected) {
    struct answer answer = {0};
    ASK(&answer, sk_registry_twin_past(w.registry, SK_SPAN("d"), SK_NONE, keep_past, &answer));
    assert_int_equal(answer.end.status, SK_OK);
    assert_string_equal(answer.text, expected);
}

TEST(what_a_twin_was_is_remembered_as_long_as_there_is_room) {
    struct answer answer = {0};
    put(device("d"), "");
    change(&answer, "d", "{\"a\":1}", "");
    expect_past(""); /* nobody has asked for it */
    sk_registry_remember(w.registry, 2);
    change(&answer, "d", "{\"a\":2}", "");
    expect_past("4:{\"a\":2} ");
    json_t *reported = json_pack("{s:i}", "r", 1);
    ASK(&answer, sk_registry_twin_change(w.registry, SK_SPAN("d"), SK_NONE,
                                         &(struct sk_twin_change){.reported = reported}, SK_NONE,
                                         keep_change, &answer));
    json_decref(reported);
    expect_past("4:{\"a\":2} "); /* a report is no edit */
    change(&answer, "d", "{\"a\":3}", "");
    expect_past("6:{\"a\":3} 4:{\"a\":2} ");
    change(&answer, "d", "{\"a\":4}", "");
    reopen();
    expect_past("7:{\"a\":4} 6:{\"a\":3} ");
    ASK(&answer,
        sk_registry_delete(w.registry, SK_SPAN("d"), SK_NONE, SK_NONE, keep_entries, &answer));
    ASK(&answer, sk_registry_twin_past(w.registry, SK_SPAN("d"), SK_NONE, keep_past, &answer));
    assert_int_equal(answer.end.status, SK_NOT_FOUND);
    put(device("d"), "");
    expect_past("");
    forget(&answer);
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
