/* The user names that SDKs, samples and documents write into CONNECT. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "gateway/mqtt/head.h"

static struct sk_mqtt_user parsed(const char *text) {
    static struct sk_arena arena;
    struct sk_mqtt_user user;
    sk_arena_free(&arena);
    if (sk_mqtt_user_parse(sk_span_z(text), &arena, &user)) fail_msg("%s is refused", text);
    return user;
}

static void refused(const char *text) {
    struct sk_arena arena = {0};
    struct sk_mqtt_user user;
    if (sk_mqtt_user_parse(sk_span_z(text), &arena, &user) == SK_OK) fail_msg("%s is taken", text);
    sk_arena_free(&arena);
}

static void is(struct sk_span span, const char *text) {
    assert_int_equal(span.n, strlen(text));
    assert_memory_equal(span.p ? span.p : "", text, span.n);
}

static void a_device_is_three_segments(void **state) {
    (void)state;
    struct sk_mqtt_user user = parsed(
        "h.net/d1/?api-version=2021-04-12&DeviceClientType=azure-iot-device%2F1.18%20(node)");
    is(user.host, "h.net");
    is(user.device, "d1");
    is(user.module, "");
    is(user.api_version, "2021-04-12");
}

static void a_module_is_four_segments(void **state) {
    (void)state;
    struct sk_mqtt_user user =
        parsed("h.net/d1/$edgeHub/?api-version=2021-04-12&auth-chain=leaf%3Bd1");
    is(user.device, "d1");
    is(user.module, "$edgeHub");
    is(user.auth_chain, "leaf;d1");
}

static void slashes_in_the_query_belong_to_it(void **state) {
    (void)state;
    struct sk_mqtt_user user = parsed(
        "h.net/d1/m1/?api-version=2021-04-12&DeviceClientType=skerry/0.1/x&model-id=dtmi:a:b;1");
    is(user.module, "m1");
    is(user.model_id, "dtmi:a:b;1");
}

static void old_forms_without_a_question_mark_are_taken(void **state) {
    (void)state;
    struct sk_mqtt_user user = parsed("h.net/d1/api-version=2016-11-14&DeviceClientType=py-iothub");
    is(user.device, "d1");
    is(user.module, "");
    is(user.api_version, "2016-11-14");
    user = parsed(
        "h.net/d1/m1/api-version=2017-06-30/DeviceClientType=Microsoft.Azure.Devices.Client/1.5.1-preview-003");
    is(user.module, "m1");
}

static void the_query_may_hang_on_the_id(void **state) {
    (void)state;
    struct sk_mqtt_user user = parsed("h.net/d1?api-version=2021-04-12");
    is(user.device, "d1");
    is(user.api_version, "2021-04-12");
}

/* Ids may hold what queries are made of. */
static void a_question_mark_belongs_to_the_id_where_no_query_follows(void **state) {
    (void)state;
    static const struct {
        const char *user, *device, *module, *version;
    } cases[] = {
        {"h.net/who?me/?api-version=2021-04-12", "who?me", "", "2021-04-12"},
        {"h.net/who?me?api-version=2021-04-12", "who?me", "", "2021-04-12"},
        {"h.net/who?me/api-version=2021-04-12", "who?me", "", "2021-04-12"},
        {"h.net/who?me", "who?me", "", ""},
        {"h.net/who?/", "who?", "", ""},
        {"h.net/?me/?api-version=1", "?me", "", "1"},
        {"h.net/d=1&x/?api-version=1", "d=1&x", "", "1"},
        {"h.net/d?1/m?2/?api-version=1", "d?1", "m?2", "1"},
        {"h.net/d1/?m/?api-version=1", "d1", "?m", "1"},
        {"h.net/d1/m?2", "d1", "m?2", ""},
        {"h.net/d1/?DeviceClientType=a/b&api-version=1", "d1", "", "1"},
        {"h.net/d1/?DeviceClientType=a", "d1", "", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sk_mqtt_user user = parsed(cases[i].user);
        is(user.device, cases[i].device);
        is(user.module, cases[i].module);
        is(user.api_version, cases[i].version);
    }
}

static void a_bare_name_is_taken(void **state) {
    (void)state;
    is(parsed("h.net/d1").device, "d1");
    is(parsed("h.net/d1/").device, "d1");
}

static void the_first_of_two_equal_keys_counts(void **state) {
    (void)state;
    is(parsed("h.net/d1/?api-version=1&api-version=2").api_version, "1");
}

static void other_shapes_are_refused(void **state) {
    (void)state;
    refused("");
    refused("h.net");
    refused("h.net/");
    refused("/d1");
    refused("h.net/d1/m1/x/?api-version=1");
    refused("h.net/d1/m1/x/y/z");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_is_three_segments),
        cmocka_unit_test(a_module_is_four_segments),
        cmocka_unit_test(slashes_in_the_query_belong_to_it),
        cmocka_unit_test(old_forms_without_a_question_mark_are_taken),
        cmocka_unit_test(the_query_may_hang_on_the_id),
        cmocka_unit_test(a_question_mark_belongs_to_the_id_where_no_query_follows),
        cmocka_unit_test(a_bare_name_is_taken),
        cmocka_unit_test(the_first_of_two_equal_keys_counts),
        cmocka_unit_test(other_shapes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
