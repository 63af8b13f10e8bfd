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
