/* What the configurations of a hub mean for one device or module. */
#include <stdio.h>

#include "hub/configurations/parts.h"
#include "model/json_patch.h"
#include "model/json_text.h"
#include "support/test.h"

enum { MAX = 8 };

/* A hub's configurations, sorted as they were given: the highest priority first. */
struct world {
    struct configuration *sorted[MAX];
    size_t count;
    struct sk_registry_entry entry;
    struct sk_arena arena;
    struct plan plan;
    bool planned;
};

static int start(void **state) {
    struct world *w = SK_NEW(struct world);
    sk_identity_set(&w->entry.identity.device_id, SK_SPAN("d1"));
    w->entry.twin = sk_twin_new();
    *state = w;
    return 0;
}

static int end(void **state) {
    struct world *w = *state;
    for (size_t i = 0; i < w->count; i++) configuration_free(w->sorted[i]);
    if (w->planned) plan_free(&w->plan);
    sk_identity_free(&w->entry.identity);
    sk_twin_free(&w->entry.twin);
    sk_arena_free(&w->arena);
    free(w);
    return 0;
}

AROUND(start, end);

static json_t *json(const char *text) {
    json_t *value = sk_json_load(sk_span_z(text), JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    return value;
}

static struct configuration *read_one(const char *id, const char *condition, const char *content,
                                      char error[SK_MODEL_ERROR_MAX]) {
    json_t *body = json_pack("{s:s,s:o}", "targetCondition", condition, "content", json(content));
    json_t *document = configuration_document(body, sk_span_z(id), NULL, false, error);
    json_decref(body);
    return document ? configuration_read(document, error) : NULL;
}

static void give(struct world *w, const char *id, const char *condition, const char *content) {
    char error[SK_MODEL_ERROR_MAX];
    struct configuration *c = read_one(id, condition, content, error);
    if (c == NULL) fail_msg("%s: %s", id, error);
    w->sorted[w->count++] = c;
}

static void device(struct world *w, const char *tags, const char *desired) {
    json_decref(w->entry.twin.tags);
    json_decref(w->entry.twin.desired);
    w->entry.twin.tags = json(tags);
    w->entry.twin.desired = json(desired);
}

static void make(struct world *w) {
    if (w->planned) plan_free(&w->plan);
    json_t *twin = sk_twin_service_json(&w->entry.twin, &w->entry.identity, NULL);
    plan_make(w->sorted, w->count, &w->entry, twin, &w->arena, &w->plan);
    json_decref(twin);
    w->planned = true;
}

static void holds(const json_t *value, const char *expected) {
    json_t *wanted = expected ? json(expected) : NULL;
    SK_CLEANUP_FREE char *text = sk_json_text(value);
    if (expected ? !json_equal(value, wanted) : value != NULL)
        fail_msg("%s, not %s", text, expected ? expected : "nothing");
    json_decref(wanted);
}

/* The plan is carried out. */
static void carry_out(struct world *w) {
    char error[SK_MODEL_ERROR_MAX];
    struct sk_twin_change change = {.desired = w->plan.patch,
                                    .configurations = w->plan.configurations,
                                    .configured = w->plan.configured};
    assert_int_equal(sk_twin_apply(&w->entry.twin, &change, 1, error), SK_OK);
}

/* ---- devices ---- */

TEST(a_condition_that_holds_brings_the_settings_and_one_that_does_not_nothing) {
    struct world *w = *state;
    give(w, "north", "tags.site = 'north'",
         "{\"deviceContent\":{\"properties.desired.chiller\":{\"temp\":70}}}");
    device(w, "{\"site\":\"south\"}", "{}");
    make(w);
    holds(w->plan.configurations, "{}");
    assert_false(plan_changes(&w->plan, &w->entry.twin));
    device(w, "{\"site\":\"north\"}", "{\"own\":1}");
    make(w);
    holds(w->plan.configurations, "{\"north\":{\"status\":\"Applied\"}}");
    holds(w->plan.patch, "{\"chiller\":{\"temp\":70}}");
    carry_out(w);
    holds(w->entry.twin.desired, "{\"own\":1,\"chiller\":{\"temp\":70}}");
    make(w);
    assert_false(plan_changes(&w->plan, &w->entry.twin));
}

TEST(different_paths_both_apply_and_on_the_same_path_the_higher_priority_wins) {
    struct world *w = *state;
    give(w, "high", "*", "{\"deviceContent\":{\"properties.desired.a\":{\"x\":1}}}");
    give(w, "low", "*",
         "{\"deviceContent\":{\"properties.desired.a\":{\"x\":2,\"y\":3},"
         "\"properties.desired.b\":4}}");
    give(w, "lowest", "*", "{\"deviceContent\":{\"properties.desired.a.x\":5}}");
    make(w);
    holds(w->plan.patch, "{\"a\":{\"x\":1,\"y\":3},\"b\":4}");
    holds(w->plan.configurations, "{\"high\":{\"status\":\"Applied\"},\"low\":{\"status\":"
                                  "\"Applied\"},\"lowest\":{\"status\":\"Targeted\"}}");
}

TEST(an_object_and_a_value_at_one_path_exclude_each_other) {
    struct world *w = *state;
    give(w, "value", "*", "{\"deviceContent\":{\"properties.desired.a\":1}}");
    give(w, "object", "*", "{\"deviceContent\":{\"properties.desired.a\":{\"b\":2}}}");
    make(w);
    holds(w->plan.patch, "{\"a\":1}");
    holds(w->plan.configurations,
          "{\"value\":{\"status\":\"Applied\"},\"object\":{\"status\":\"Targeted\"}}");
}

TEST(who_leaves_the_target_loses_the_settings_and_keeps_its_own) {
    struct world *w = *state;
    give(w, "north", "tags.site = 'north'",
         "{\"deviceContent\":{\"properties.desired.chiller\":{\"temp\":70},"
         "\"properties.desired.shared.ours\":1}}");
    device(w, "{\"site\":\"north\"}", "{\"shared\":{\"theirs\":2}}");
    make(w);
    carry_out(w);
    json_object_set_new(w->entry.twin.tags, "site", json_string("south"));
    make(w);
    holds(w->plan.patch, "{\"chiller\":null,\"shared\":{\"ours\":null}}");
    carry_out(w);
    holds(w->entry.twin.desired, "{\"shared\":{\"theirs\":2}}");
    holds(w->entry.twin.configurations, "{}");
    make(w);
    assert_false(plan_changes(&w->plan, &w->entry.twin));
}

TEST(the_next_takes_over_where_one_is_removed) {
    struct world *w = *state;
    give(w, "high", "*", "{\"deviceContent\":{\"properties.desired.a\":{\"b\":1}}}");
    give(w, "low", "*", "{\"deviceContent\":{\"properties.desired.a\":{\"c\":2}}}");
    make(w);
    carry_out(w);
    holds(w->entry.twin.desired, "{\"a\":{\"b\":1,\"c\":2}}");
    configuration_free(w->sorted[0]);
    w->sorted[0] = w->sorted[--w->count];
    make(w);
    holds(w->plan.patch, "{\"a\":{\"b\":null}}");
    carry_out(w);
    holds(w->entry.twin.desired, "{\"a\":{\"c\":2}}");
}

TEST(an_object_whose_members_all_give_way_to_others_stays) {
    struct world *w = *state;
    give(w, "old", "*", "{\"deviceContent\":{\"properties.desired.a\":{\"b\":1}}}");
    make(w);
    carry_out(w);
    configuration_free(w->sorted[0]);
    w->count = 0;
    give(w, "new", "*", "{\"deviceContent\":{\"properties.desired.a\":{\"c\":2}}}");
    make(w);
    carry_out(w);
    holds(w->entry.twin.desired, "{\"a\":{\"c\":2}}");
}

TEST(null_in_the_content_removes_a_property) {
    struct world *w = *state;
    give(w, "without", "*", "{\"deviceContent\":{\"properties.desired.old\":null}}");
    device(w, "{}", "{\"old\":1,\"other\":2}");
    make(w);
    holds(w->plan.patch, "{\"old\":null}");
    carry_out(w);
    make(w);
    assert_false(plan_changes(&w->plan, &w->entry.twin));
}

TEST(what_somebody_changes_by_hand_is_set_again) {
    struct world *w = *state;
    give(w, "all", "*", "{\"deviceContent\":{\"properties.desired\":{\"a\":1,\"list\":[1,2]}}}");
    make(w);
    carry_out(w);
    json_object_set_new(w->entry.twin.desired, "a", json_integer(9));
    json_object_set_new(w->entry.twin.desired, "own", json_integer(3));
    make(w);
    holds(w->plan.patch, "{\"a\":1}");
}

TEST(numbers_are_the_same_after_they_were_stored) {
    struct world *w = *state;
    give(w, "all", "*",
         "{\"deviceContent\":{\"properties.desired\":{\"a\":5.0,\"b\":1e3,\"c\":0.1,\"d\":-0.0}}}");
    make(w);
    carry_out(w);
    SK_CLEANUP_FREE char *stored = sk_json_text(w->entry.twin.desired);
    device(w, "{}", stored);
    make(w);
    holds(w->plan.patch, NULL);
}

TEST(conditions_on_modules_are_for_modules) {
    struct world *w = *state;
    give(w, "modules", "FROM devices.modules WHERE moduleId = 'm'",
         "{\"moduleContent\":{\"properties.desired.a\":1}}");
    give(w, "devices", "*", "{\"deviceContent\":{\"properties.desired.b\":1}}");
    make(w);
    holds(w->plan.patch, "{\"b\":1}");
    sk_identity_set(&w->entry.identity.module_id, SK_SPAN("m"));
    make(w);
    holds(w->plan.patch, "{\"a\":1}");
}

/* ---- edge devices ---- */

#define BASE(image)                                                                                \
    "{\"modulesContent\":{\"$edgeAgent\":{\"properties.desired\":{\"modules\":{\"m\":{\"image\":"  \
    "\"" image "\"}}}},\"$edgeHub\":{\"properties.desired\":{\"routes\":{}}}}}"

TEST(one_deployment_is_in_force_and_layers_above_it_change_it) {
    struct world *w = *state;
    w->entry.identity.edge = true;
    give(w, "layer2", "*",
         "{\"modulesContent\":{\"$edgeAgent\":{\"properties.desired.modules.n\":"
         "{\"image\":\"n:2\"}},"
         "\"n\":{\"properties.desired.speed\":2}}}");
    give(w, "layer1", "*",
         "{\"modulesContent\":{\"$edgeAgent\":{\"properties.desired.modules.n\":{\"image\":\"n:1\","
         "\"status\":\"running\"}},\"n\":{\"properties.desired\":{\"speed\":1,\"depth\":3}}}}");
    give(w, "base", "*", BASE("m:1"));
    give(w, "below", "*",
         "{\"modulesContent\":{\"$edgeHub\":{\"properties.desired.routes.r\":\"x\"}}}");
    give(w, "other", "*", BASE("m:0"));
    make(w);
    holds(w->plan.modules,
          "{\"$edgeAgent\":{\"modules\":{\"m\":{\"image\":\"m:1\"},\"n\":{\"image\":\"n:2\"}}},"
          "\"$edgeHub\":{\"routes\":{}},\"n\":{\"speed\":2,\"depth\":3}}");
    holds(w->plan.configurations,
          "{\"layer2\":{\"status\":\"Applied\"},\"layer1\":{\"status\":\"Applied\"},\"base\":{"
          "\"status\":\"Applied\"},\"below\":{\"status\":\"Targeted\"},\"other\":{\"status\":"
          "\"Targeted\"}}");
    char why[SK_MODEL_ERROR_MAX];
    plan_explain(&w->plan.verdicts[3], why);
    assert_non_null(strstr(why, "base"));
    plan_explain(&w->plan.verdicts[4], why);
    assert_non_null(strstr(why, "base"));
}

TEST(a_layer_alone_gives_nothing_and_null_in_a_layer_takes_a_module_away) {
    struct world *w = *state;
    w->entry.identity.edge = true;
    give(w, "layer", "*",
         "{\"modulesContent\":{\"$edgeAgent\":{\"properties.desired.modules.m\":null}}}");
    make(w);
    holds(w->plan.modules, NULL);
    holds(w->plan.configurations, "{\"layer\":{\"status\":\"Targeted\"}}");
    give(w, "base", "*", BASE("m:1"));
    make(w);
    holds(json_object_get(w->plan.modules, "$edgeAgent"), "{\"modules\":{}}");
}

TEST(deployments_are_for_edge_devices_only) {
    struct world *w = *state;
    give(w, "base", "*", BASE("m:1"));
    make(w);
    holds(w->plan.modules, NULL);
    holds(w->plan.configurations, "{}");
}

/* ---- what cannot be one ---- */

TEST(a_configuration_that_makes_no_sense_is_refused_with_a_sentence) {
    static const struct {
        const char *id, *condition, *content, *says;
    } bad[] = {
        {"Upper", "*", "{\"deviceContent\":{\"properties.desired.a\":1}}", "lower-case"},
        {"a b", "*", "{\"deviceContent\":{\"properties.desired.a\":1}}", "lower-case"},
        {"c", "*", "{}", "exactly one"},
        {"c", "*",
         "{\"deviceContent\":{\"properties.desired.a\":1},"
         "\"moduleContent\":{\"properties.desired.a\":1}}",
         "exactly one"},
        {"c", "*", "{\"deviceContent\":{\"properties.reported.a\":1}}", "properties.desired"},
        {"c", "*", "{\"deviceContent\":{\"properties.desired.a..b\":1}}", "properties.desired"},
        {"c", "*", "{\"deviceContent\":{\"properties.desired\":1}}", "not an object"},
        {"c", "*", "{\"deviceContent\":{\"properties.desired.a\":{\"b.c\":1}}}", "b.c"},
        {"c", "tags.a =", "{\"deviceContent\":{\"properties.desired.a\":1}}", "column 9"},
        {"c", "site = 1", "{\"deviceContent\":{\"properties.desired.a\":1}}", "column 1"},
        {"c", "properties.desired.a = 1", "{\"deviceContent\":{\"properties.desired.a\":1}}",
         "reported"},
        {"c", "*", "{\"moduleContent\":{\"properties.desired.a\":1}}", "FROM"},
        {"c", "FROM devices WHERE deviceId = 'a'",
         "{\"moduleContent\":{\"properties.desired.a\":1}}", "FROM devices.modules"},
        {"c", "*", "{\"modulesContent\":{\"a/b\":{\"properties.desired.a\":1}}}", "module id"},
        {"c", "*", "{\"modulesContent\":{\"m\":{}}}", "properties.desired"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char error[SK_MODEL_ERROR_MAX];
        struct configuration *c = read_one(bad[i].id, bad[i].condition, bad[i].content, error);
        if (c) fail_msg("%zu: it was taken", i);
        if (strstr(error, bad[i].says) == NULL) fail_msg("%zu: %s", i, error);
    }
}

TEST(a_put_keeps_the_content_and_a_patch_may_change_it) {
    char error[SK_MODEL_ERROR_MAX];
    json_t *old = json("{\"id\":\"c\",\"priority\":1,\"content\":{\"deviceContent\":{\"properties."
                       "desired.a\":{\"b\":1,\"c\":2}}}}");
    json_t *body =
        json("{\"priority\":2,\"content\":{\"deviceContent\":{\"properties.desired.a\":1}}}");
    (void)state;
    assert_null(configuration_document(body, SK_SPAN("c"), old, false, error));
    assert_non_null(strstr(error, "content"));
    json_decref(body);
    body = json("{\"priority\":2}");
    json_t *fresh = configuration_document(body, SK_SPAN("c"), old, false, error);
    holds(json_object_get(fresh, "priority"), "2");
    holds(json_object_get(fresh, "content"),
          "{\"deviceContent\":{\"properties.desired.a\":{\"b\":1,"
          "\"c\":2}}}");
    json_decref(fresh);
    json_decref(body);
    body =
        json("{\"content\":{\"deviceContent\":{\"properties.desired.a\":{\"b\":9,\"c\":null}}}}");
    fresh = configuration_document(body, SK_SPAN("c"), old, true, error);
    holds(json_object_get(fresh, "priority"), "1");
    holds(json_object_get(fresh, "content"),
          "{\"deviceContent\":{\"properties.desired.a\":{\"b\":9}}}");
    json_decref(fresh);
    json_decref(body);
    json_decref(old);
}

TEST(fifty_modules_fit_into_a_deployment_and_not_one_more) {
    (void)state;
    for (unsigned count = 50; count <= 51; count++) {
        char error[SK_MODEL_ERROR_MAX];
        struct sk_buffer text = {0};
        sk_buffer_text(&text, "{\"modulesContent\":{");
        for (unsigned i = 0; i < count; i++)
            sk_buffer_print(&text, "%s\"m%u\":{\"properties.desired.a\":1}", i ? "," : "", i);
        sk_buffer_text(&text, "}}");
        sk_buffer_byte(&text, 0);
        struct configuration *c = read_one("c", "*", text.p, error);
        assert_int_equal(c != NULL, count == 50);
        configuration_free(c);
        sk_buffer_free(&text);
    }
}

TEST(five_metrics_fit_into_a_configuration_and_not_one_more) {
    (void)state;
    for (unsigned count = 5; count <= 6; count++) {
        char error[SK_MODEL_ERROR_MAX] = "", name[8];
        json_t *queries = json_object();
        for (unsigned i = 0; i < count; i++) {
            snprintf(name, sizeof name, "m%u", i);
            json_object_set_new(queries, name, json_string("SELECT deviceId FROM devices"));
        }
        json_t *body = json_pack("{s:{s:{s:i}},s:{s:o}}", "content", "deviceContent",
                                 "properties.desired.a", 1, "metrics", "queries", queries);
        json_t *document = configuration_document(body, SK_SPAN("c"), NULL, false, error);
        assert_int_equal(document != NULL, count == 5);
        if (document == NULL) assert_non_null(strstr(error, "at most 5"));
        json_decref(document);
        json_decref(body);
    }
}
