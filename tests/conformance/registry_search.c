/* Searches among twins. */
#include "conformance/registry_answers.h"

#include <math.h>

AROUND(start, end);

static void keep_found(void *arg, const struct sk_registry_end *ended,
                       const struct sk_registry_found *found) {
    struct answer *answer = arg;
    answer->after = found->after;
    answer->way = found->way;
    keep_entries(arg, ended,
                 &(struct sk_registry_entries){found->entries, found->count, found->more});
}

static void find_from(struct answer *answer, const struct sk_registry_search *search) {
    ASK(answer, sk_registry_find_twins(w.registry, search, keep_found, answer));
    assert_int_equal(answer->end.status, SK_OK);
}

/* All that it gives, however many reads that takes. */
static void find(struct answer *answer, bool modules, uint64_t after,
                 const struct sk_registry_term *terms, size_t count) {
    struct answer part = {0};
    forget(answer);
    do {
        find_from(
            &part,
            &(struct sk_registry_search){
                .modules = modules, .after = after, .max = 8, .terms = terms, .term_count = count});
        for (size_t i = 0; i < part.count; i++) {
            assert_true(answer->count < 8);
            answer->entries[answer->count++] = part.entries[i];
        }
        part.count = 0; /* they are the answer's now */
        answer->way = part.way;
        answer->after = after = part.after;
    } while (part.more);
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
    size_t found = 0;
    for (uint64_t after = 0; after == 0 || answer.more; after = answer.after) {
        find_from(&answer, &(struct sk_registry_search){.after = after, .max = 100});
        assert_in_range(answer.total, 0, ENOUGH); /* a slow machine has its share sooner */
        found += answer.total;
    }
    assert_int_equal(found, TWINS);
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
    for (uint64_t after = 0; after == 0 || answer.count == 0; after = answer.after)
        find_from(&answer, &(struct sk_registry_search){.after = after, .max = 8, .look = look_at});
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
    struct sk_registry_term term = {
        .where = SK_WHERE_DESIRED, .path = SK_SPAN("$.\"a\".\"b\""), .values = texts, .count = 1};
    find(&answer, false, 0, &term, 1);
    assert_true(has(&answer, "d1"));
    term.count = 2;
    find(&answer, false, 0, &term, 1);
    assert_true(has(&answer, "d1") && has(&answer, "d2"));
    term = (struct sk_registry_term){
        .where = SK_WHERE_DESIRED, .path = SK_SPAN("$.\"a\".\"b\""), .values = &seven, .count = 1};
    find(&answer, false, 0, &term, 1);
    assert_true(has(&answer, "d3"));
    term.values = &one;
    find(&answer, false, 0, &term, 1);
    assert_true(has(&answer, "d4"));
    term = (struct sk_registry_term){
        .where = SK_WHERE_DESIRED, .path = SK_SPAN("$.\"a\"[1]"), .values = texts, .count = 1};
    find(&answer, false, 0, &term, 1);
    assert_true(has(&answer, "d5"));
    struct sk_registry_term both[] = {
        {.where = SK_WHERE_DEVICE_ID, .path = SK_NONE, .values = ids, .count = 3}, term};
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
        find_from(answer,
                  &(struct sk_registry_search){
                      .after = after, .max = 8, .terms = term, .term_count = 1, .look = is_on});
        found += has(answer, "d01400");
        more = answer->more;
        if (more) assert_true(answer->after > after);
        after = answer->after;
    }
    assert_int_equal(found, 1);
    return reads;
}

static const struct sk_registry_value yes = {.number = 1};
static const struct sk_registry_term on = {
    .where = SK_WHERE_DESIRED, .path = {"$.\"on\"", 6}, .values = &yes, .count = 1};

TEST(a_search_among_many_comes_to_its_end_in_short_reads) {
    struct answer answer = {0};
    make_many(&answer);
    assert_in_range(find_what_is_on(&answer, &on), 2, MANY / 8 + 2); /* eight rows at the least */
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
    assert_in_range(find_what_is_on(&answer, &on), 1, 2);
    /* They follow what is changed, made and deleted. */
    assert_int_equal(change(&answer, "d00007", "{\"on\":true}", NULL), SK_OK);
    assert_int_equal(put(device("new"), ""), SK_OK);
    assert_int_equal(change(&answer, "new", "{\"on\":true,\"a\":1}", NULL), SK_OK);
    assert_int_equal(change(&answer, "d01400", "{\"on\":false}", NULL), SK_OK);
    find(&answer, false, 0, &on, 1);
    assert_int_equal(answer.count, 2);
    assert_true(has(&answer, "d00007") && has(&answer, "new"));
    assert_false(answer.more);
    ASK(&answer,
        sk_registry_delete(w.registry, SK_SPAN("new"), SK_NONE, SK_NONE, keep_entries, &answer));
    find(&answer, false, 0, &on, 1);
    assert_int_equal(answer.count, 1);
    find(&answer, true, 0, &on, 1);
    assert_int_equal(answer.count, 0);
    /* Of several values, and behind a place; a long text is looked for everywhere. */
    struct sk_registry_value values[] = {{.number = 0}, {.number = 1}};
    struct sk_registry_term either = {
        .where = SK_WHERE_DESIRED, .path = on.path, .values = values, .count = 2};
    find(&answer, false, 0, &either, 1);
    assert_int_equal(answer.way, SK_WAY_VALUES);
    assert_true(has(&answer, "d00007") && has(&answer, "d01400"));
    find(&answer, false, answer.entries[0].place, &either, 1);
    assert_int_equal(answer.count, 1);
    char text[129];
    memset(text, 'x', sizeof text);
    values[0] = (struct sk_registry_value){.is_text = true, .text = {text, 128}};
    const struct sk_registry_search how = {.terms = &either, .term_count = 1};
    find_from(&answer, &how);
    assert_int_equal(answer.way, SK_WAY_VALUES);
    values[0].text.n++;
    find_from(&answer, &how);
    assert_int_equal(answer.way, SK_WAY_ALL);
    /* As good after a restart. */
    sk_registry_close(w.registry);
    open_registry();
    find(&answer, false, 0, &on, 1);
    assert_int_equal(answer.way, SK_WAY_VALUES);
    assert_true(answer.count == 1 && has(&answer, "d00007"));
    forget(&answer);
}

/* ---- ranges ---- */

static enum sk_registry_verdict in_vain(void *arg, const struct sk_registry_row *row) {
    (void)arg, (void)row;
    return SK_ROW_PASSED;
}

static struct sk_registry_term between(double low, double high) {
    return (struct sk_registry_term){.where = SK_WHERE_DESIRED,
                                     .path = SK_SPAN("$.\"n\""),
                                     .range = true,
                                     .low = low,
                                     .high = high};
}

static void find_between(struct answer *answer, double low, double high, uint64_t after) {
    const struct sk_registry_term range = between(low, high);
    find(answer, false, after, &range, 1);
}

static void search_range_until_known(struct answer *answer) {
    const struct sk_registry_term range = between(6, 8);
    struct answer flushed = {0};
    for (int i = 0; i < 100 && answer->way != SK_WAY_VALUES; i++) {
        ASK(&flushed, sk_registry_flush(w.registry, keep, &flushed));
        uint64_t after = 0;
        do {
            find_from(
                answer,
                &(struct sk_registry_search){
                    .after = after, .max = 8, .terms = &range, .term_count = 1, .look = in_vain});
            after = answer->after;
        } while (answer->more);
    }
    assert_int_equal(answer->way, SK_WAY_VALUES);
}

TEST(numbers_in_a_range_are_found_by_their_order) {
    struct answer answer = {0};
    make_many(&answer);
    static const char *const values[] = {"{\"n\":-2.5}", "{\"n\":7}",     "{\"n\":7.25}",
                                         "{\"n\":9}",    "{\"n\":\"8\"}", "{\"n\":true}"};
    for (int i = 0; i < 6; i++) {
        char id[8];
        snprintf(id, sizeof id, "d%05d", 100 + i);
        assert_int_equal(change(&answer, id, values[i], NULL), SK_OK);
    }
    search_range_until_known(&answer);
    find_between(&answer, 7, 9, 0);
    assert_int_equal(answer.way, SK_WAY_VALUES);
    assert_int_equal(answer.count, 3);
    assert_true(has(&answer, "d00101") && has(&answer, "d00102") && has(&answer, "d00103"));
    find_between(&answer, 7, 9, answer.entries[0].place); /* behind a place */
    assert_int_equal(answer.count, 2);
    find_between(&answer, -HUGE_VAL, 6, 0);
    assert_true(has(&answer, "d00100") && !has(&answer, "d00101") && !has(&answer, "d00104"));
    find_between(&answer, 7.1, HUGE_VAL, 0);
    assert_int_equal(answer.count, 2);
    find_between(&answer, 9, 7, 0);
    assert_int_equal(answer.count, 0);
    forget(&answer);
}
