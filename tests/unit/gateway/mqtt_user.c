/* The user names that SDKs, samples and documents write into CONNECT. */
#include "gateway/mqtt/head.h"
#include "support/test.h"

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

TEST(a_device_is_three_segments) {
    struct sk_mqtt_user user = parsed(
        "h.net/d1/?api-version=2021-04-12&DeviceClientType=azure-iot-device%2F1.18%20(node)");
    is(user.host, "h.net");
    is(user.device, "d1");
    is(user.module, "");
    is(user.api_version, "2021-04-12");
}

TEST(a_module_is_four_segments) {
    struct sk_mqtt_user user =
        parsed("h.net/d1/$edgeHub/?api-version=2021-04-12&auth-chain=leaf%3Bd1");
    is(user.device, "d1");
    is(user.module, "$edgeHub");
    is(user.auth_chain, "leaf;d1");
}

TEST(slashes_in_the_query_belong_to_it) {
    struct sk_mqtt_user user = parsed(
        "h.net/d1/m1/?api-version=2021-04-12&DeviceClientType=skerry/0.1/x&model-id=dtmi:a:b;1");
    is(user.module, "m1");
    is(user.model_id, "dtmi:a:b;1");
}

TEST(old_forms_without_a_question_mark_are_taken) {
    struct sk_mqtt_user user = parsed("h.net/d1/api-version=2016-11-14&DeviceClientType=py-iothub");
    is(user.device, "d1");
    is(user.module, "");
    is(user.api_version, "2016-11-14");
    user = parsed("h.net/d1/m1/api-version=2017-06-30/"
                  "DeviceClientType=Microsoft.Azure.Devices.Client/1.5.1-preview-003");
    is(user.module, "m1");
}

TEST(the_query_may_hang_on_the_id) {
    struct sk_mqtt_user user = parsed("h.net/d1?api-version=2021-04-12");
    is(user.device, "d1");
    is(user.api_version, "2021-04-12");
}

/* Ids may hold what queries are made of. */
TEST(a_question_mark_belongs_to_the_id_where_no_query_follows) {
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

TEST(a_bare_name_is_taken) {
    is(parsed("h.net/d1").device, "d1");
    is(parsed("h.net/d1/").device, "d1");
}

TEST(the_first_of_two_equal_keys_counts) {
    is(parsed("h.net/d1/?api-version=1&api-version=2").api_version, "1");
}

TEST(other_shapes_are_refused) {
    refused("");
    refused("h.net");
    refused("h.net/");
    refused("/d1");
    refused("h.net/d1/m1/x/?api-version=1");
    refused("h.net/d1/m1/x/y/z");
}
