#include <stdio.h>

#include "edge/agent/planner.h"
#include "support/test.h"

static const uint64_t S = 1000000000;

/* Module specs are written as {"name":{"policy":…,"status":…,"order":…,"version":…}}. */
static struct sk_deployment deploy(const char *text) {
    const char *name;
    json_t *short_form = json_loads(text, 0, NULL), *entry;
    json_t *modules = json_object();
    assert_non_null(short_form);
    json_object_foreach(short_form, name, entry) {
        json_t *module =
            json_pack("{s:s,s:{s:[s]}}", "type", "process", "settings", "command", "x");
        static const char *const from[] = {"policy", "status", "order", "version"},
                                 *const to[] = {"restartPolicy", "status", "startupOrder",
                                                "version"};
        for (int i = 0; i < 4; i++)
            if (json_object_get(entry, from[i]))
                json_object_set(module, to[i], json_object_get(entry, from[i]));
        json_object_set_new(modules, name, module);
    }
    json_t *desired = json_pack("{s:s,s:o}", "schemaVersion", "1.1", "modules", modules);
    struct sk_deployment deployment;
    struct sk_deployment_fault fault;
    assert_int_equal(sk_deployment_parse(desired, &deployment, &fault), SK_OK);
    json_decref(desired);
    json_decref(short_form);
    return deployment;
}

static char text[1024];
static uint64_t again_ns;

/* The plan as "start a, stop b". */
static const char *plan(const struct sk_deployment *desired, const struct sk_module_state *actual,
                        size_t count, uint64_t now_ns) {
    struct sk_plan made;
    size_t n = 0;
    sk_plan_make(desired, NULL, actual, count, now_ns, &made);
    text[0] = 0;
    for (size_t i = 0; i < made.count; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s %s", i ? ", " : "",
                              sk_plan_kind_text(made.steps[i].kind), made.steps[i].module);
    again_ns = made.again_ns;
    sk_plan_free(&made);
    return text;
}

TEST(groups_start_in_order_and_removals_come_first) {
    struct sk_deployment desired =
        deploy("{\"late\":{},\"b\":{\"order\":1},\"a\":{\"order\":1},\"first\":{\"order\":0},"
               "\"off\":{\"status\":\"stopped\",\"order\":2}}");
    struct sk_deployment old = deploy("{\"gone\":{},\"sleeping\":{}}");
    struct sk_module_state actual[] = {{.spec = &old.modules[0], .running = true, .started = true},
                                       {.spec = &old.modules[1]}};
    assert_string_equal(
        plan(&desired, actual, 2, 0),
        "stop gone, remove gone, remove sleeping, create first, start first, create a, start a, "
        "create b, start b, create off, create late, start late");
    sk_deployment_free(&old);
    sk_deployment_free(&desired);
}

TEST(a_changed_module_is_made_anew_and_an_unchanged_one_left_alone) {
    struct sk_deployment old = deploy("{\"a\":{\"version\":\"1\"},\"b\":{}}"),
                         desired = deploy("{\"a\":{\"version\":\"2\"},\"b\":{}}");
    struct sk_module_state actual[] = {{.spec = &old.modules[0], .running = true, .started = true},
                                       {.spec = &old.modules[1], .running = true, .started = true}};
    assert_string_equal(plan(&desired, actual, 2, 0), "stop a, update a, start a");
    assert_string_equal(plan(&old, actual, 2, 0), "");
    assert_true(again_ns == UINT64_MAX);
    actual[0].running = false;
    actual[0].exit_failed = true; /* an update does not wait for the back-off */
    assert_string_equal(plan(&desired, actual, 2, 0), "update a, start a");
    sk_deployment_free(&old);
    sk_deployment_free(&desired);
}

static enum sk_readiness ready[8];

/* The plan of `desired` where not everything is at hand. */
static const char *plan_with(const struct sk_deployment *desired,
                             const struct sk_module_state *actual, size_t count) {
    struct sk_plan made;
    size_t n = 0;
    sk_plan_make(desired, ready, actual, count, 0, &made);
    text[0] = 0;
    for (size_t i = 0; i < made.count; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s %s", i ? ", " : "",
                              sk_plan_kind_text(made.steps[i].kind), made.steps[i].module);
    sk_plan_free(&made);
    return text;
}

TEST(what_is_made_of_an_image_waits_for_it_and_what_runs_is_left_alone) {
    struct sk_deployment old = deploy("{\"a\":{\"version\":\"1\"}}"),
                         desired = deploy("{\"a\":{\"version\":\"2\"},\"b\":{}}");
    struct sk_module_state actual[] = {{.spec = &old.modules[0], .running = true, .started = true}};
    static const struct {
        enum sk_readiness a, b;
        const char *plan;
    } cases[] = {
        {SK_UNPREPARED, SK_UNPREPARED, "prepare a, prepare b"},
        {SK_PREPARING, SK_PREPARING, ""},
        {SK_PREPARING, SK_READY, "create b, start b"},
        {SK_UNREADY, SK_UNREADY, ""},
        {SK_HELD, SK_HELD, ""},
        {SK_READY, SK_PREPARING, "stop a, update a, start a"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ready[0] = cases[i].a;
        ready[1] = cases[i].b;
        assert_string_equal(plan_with(&desired, actual, 1), cases[i].plan);
    }
    sk_deployment_free(&old);
    sk_deployment_free(&desired);
}

TEST(later_groups_wait_for_images_of_earlier_ones_unless_these_cannot_be_had) {
    struct sk_deployment old = deploy("{\"z\":{}}"),
                         desired = deploy("{\"a\":{\"order\":1},\"b\":{\"order\":2},\"z\":{}}");
    struct sk_module_state z[] = {
        {.spec = &old.modules[0], .started = true, .exit_failed = true, .exited_ns = 0}};
    old.modules[0].restart_policy = SK_RESTART_ALWAYS;
    desired.modules[2].restart_policy = SK_RESTART_ALWAYS;
    ready[0] = SK_PREPARING;
    ready[1] = SK_UNPREPARED;
    ready[2] = SK_READY;
    assert_string_equal(plan_with(&desired, z, 1), "prepare b");
    ready[1] = SK_READY;
    assert_string_equal(plan_with(&desired, z, 1), "");
    z[0].restart_count = 0;
    struct sk_plan made; /* restarts go on */
    sk_plan_make(&desired, ready, z, 1, 10 * S, &made);
    assert_int_equal(made.count, 1);
    assert_int_equal(made.steps[0].kind, SK_PLAN_RESTART);
    sk_plan_free(&made);
    ready[0] = SK_UNREADY;
    assert_string_equal(plan_with(&desired, z, 1), "create b, start b");
    sk_deployment_free(&old);
    sk_deployment_free(&desired);
}

TEST(what_is_lost_is_made_anew_of_what_is_there_and_what_is_held_is_left) {
    struct sk_deployment desired = deploy("{\"a\":{}}"), other = deploy("{\"b\":{}}");
    struct sk_module_state a[] = {{.spec = &desired.modules[0], .started = true, .lost = true}};
    ready[0] = SK_UNPREPARED;
    assert_string_equal(plan_with(&desired, a, 1), "discard a, create a, start a");
    assert_int_equal(sk_module_runtime(&a[0]), SK_MODULE_DEAD);
    a[0].held = true;
    assert_string_equal(plan_with(&desired, a, 1), "");
    assert_string_equal(plan(&other, a, 1, 0), "create b, start b"); /* nor is it removed */
    sk_deployment_free(&desired);
    sk_deployment_free(&other);
}

TEST(another_kind_of_module_takes_the_place_of_the_old_one) {
    struct sk_deployment desired = deploy("{\"aa\":{}}"), old = deploy("{\"aa\":{}}");
    free(old.modules[0].type);
    old.modules[0].type = sk_span_dup(SK_SPAN("docker"));
    struct sk_module_state a[] = {{.spec = &old.modules[0], .started = true, .running = true}};
    assert_string_equal(plan(&desired, a, 1, 0), "stop aa, discard aa, create aa, start aa");
    sk_deployment_free(&desired);
    sk_deployment_free(&old);
}

TEST(an_unhealthy_module_is_restarted_as_its_policy_says) {
    static const struct {
        const char *policy, *plan;
    } cases[] = {{"never", ""},
                 {"on-failure", ""},
                 {"on-unhealthy", "stop a, restart a"},
                 {"always", "stop a, restart a"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char desired_text[64];
        snprintf(desired_text, sizeof desired_text, "{\"a\":{\"policy\":\"%s\"}}", cases[i].policy);
        struct sk_deployment desired = deploy(desired_text);
        struct sk_module_state a[] = {{.spec = &desired.modules[0],
                                       .started = true,
                                       .running = true,
                                       .unhealthy = true,
                                       .exited_ns = 5 * S}};
        assert_int_equal(sk_module_runtime(&a[0]), SK_MODULE_UNHEALTHY);
        assert_string_equal(plan(&desired, a, 1, 15 * S - 1), "");
        assert_true(cases[i].plan[0] == 0 || again_ns == 15 * S);
        assert_string_equal(plan(&desired, a, 1, 15 * S), cases[i].plan);
        sk_deployment_free(&desired);
    }
}

TEST(a_changed_status_only_starts_or_stops) {
    struct sk_deployment on = deploy("{\"a\":{\"policy\":\"never\"}}"),
                         off = deploy("{\"a\":{\"policy\":\"never\",\"status\":\"stopped\"}}");
    struct sk_module_state running = {.spec = &on.modules[0], .running = true, .started = true};
    struct sk_module_state stopped = {.spec = &off.modules[0], .started = true};
    assert_string_equal(plan(&off, &running, 1, 0), "stop a");
    assert_string_equal(plan(&on, &stopped, 1, 0), "start a");
    assert_string_equal(plan(&off, &stopped, 1, 0), "");
    sk_deployment_free(&on);
    sk_deployment_free(&off);
}

TEST(a_module_that_was_made_but_never_started_is_started_once) {
    struct sk_deployment desired = deploy("{\"a\":{\"policy\":\"never\"}}");
    struct sk_module_state actual = {.spec = &desired.modules[0]};
    assert_string_equal(plan(&desired, &actual, 1, 0), "start a");
    actual.started = true;
    assert_string_equal(plan(&desired, &actual, 1, 1000 * S), "");
    assert_int_equal(sk_module_runtime(&actual), SK_MODULE_STOPPED);
    actual.exit_failed = true;
    assert_string_equal(plan(&desired, &actual, 1, 1000 * S), "");
    assert_int_equal(sk_module_runtime(&actual), SK_MODULE_FAILED);
    sk_deployment_free(&desired);
}

TEST(policies_decide_which_ends_are_restarted) {
    static const struct {
        const char *policy;
        bool after_failure, after_success;
    } cases[] = {{"never", false, false},
                 {"on-failure", true, false},
                 {"on-unhealthy", true, false},
                 {"always", true, true}};
    for (size_t i = 0; i < 4; i++)
        for (int failed = 0; failed < 2; failed++) {
            char short_form[64];
            snprintf(short_form, sizeof short_form, "{\"a\":{\"policy\":\"%s\"}}", cases[i].policy);
            struct sk_deployment desired = deploy(short_form);
            struct sk_module_state actual = {
                .spec = &desired.modules[0], .started = true, .exit_failed = failed};
            bool expected = failed ? cases[i].after_failure : cases[i].after_success;
            assert_string_equal(plan(&desired, &actual, 1, 10 * S), expected ? "restart a" : "");
            sk_deployment_free(&desired);
        }
}

TEST(the_back_off_doubles_up_to_five_minutes_from_the_last_end) {
    static const uint64_t wait_s[] = {10, 20, 40, 80, 160, 300, 300};
    struct sk_deployment desired = deploy("{\"a\":{\"policy\":\"always\"}}");
    for (unsigned count = 0; count < 7; count++) {
        struct sk_module_state actual = {.spec = &desired.modules[0],
                                         .started = true,
                                         .restart_count = count,
                                         .exited_ns = 1000 * S};
        uint64_t due = (1000 + wait_s[count]) * S;
        assert_string_equal(plan(&desired, &actual, 1, due - 1), "");
        assert_true(again_ns == due);
        assert_int_equal(sk_module_runtime(&actual), SK_MODULE_BACKOFF);
        assert_string_equal(plan(&desired, &actual, 1, due), "restart a");
    }
    sk_deployment_free(&desired);
}

TEST(after_20_restarts_only_always_goes_on) {
    struct sk_deployment desired =
        deploy("{\"a\":{\"policy\":\"on-failure\"},\"b\":{\"policy\":\"always\"}}");
    for (unsigned count = 19; count <= 20; count++) {
        struct sk_module_state actual[2];
        for (int i = 0; i < 2; i++)
            actual[i] = (struct sk_module_state){.spec = &desired.modules[i],
                                                 .started = true,
                                                 .exit_failed = true,
                                                 .restart_count = count};
        assert_string_equal(plan(&desired, actual, 2, 300 * S),
                            count < 20 ? "restart a, restart b" : "restart b");
        assert_int_equal(sk_module_runtime(&actual[0]),
                         count < 20 ? SK_MODULE_BACKOFF : SK_MODULE_FAILED);
        assert_int_equal(sk_module_runtime(&actual[1]), SK_MODULE_BACKOFF);
    }
    sk_deployment_free(&desired);
}

TEST(ten_minutes_of_running_well_end_the_intensive_care) {
    struct sk_deployment desired = deploy("{\"a\":{}}");
    struct sk_module_state actual = {.spec = &desired.modules[0],
                                     .running = true,
                                     .started = true,
                                     .restart_count = 3,
                                     .started_ns = 5 * S};
    assert_string_equal(plan(&desired, &actual, 1, 605 * S - 1), "");
    assert_string_equal(plan(&desired, &actual, 1, 605 * S), "forget-restarts a");
    actual.restart_count = 0;
    assert_string_equal(plan(&desired, &actual, 1, 605 * S), "");
    sk_deployment_free(&desired);
}
