#include "edge/agent/engine/create.h"

#include "model/json_text.h"
#include "support/test.h"

static const char *const environment[] = {"A=ours", "B=ours", NULL};

/* The body that options give, as canonical text. */
static char *body_of(const char *options, struct sk_container_plan plan) {
    json_t *json = json_loads(options, 0, NULL);
    assert_non_null(json);
    plan.options = json;
    json_t *body = sk_container_body(&plan);
    char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(body);
    json_decref(json);
    return text;
}

static void expect_body(const char *options, struct sk_container_plan plan, const char *wanted) {
    char *text = body_of(options, plan);
    if (strcmp(text, wanted) != 0) fail_msg("%s gives\n%s instead of\n%s", options, text, wanted);
    free(text);
}

#define LABELS                                                                                     \
    "\"Labels\":{\"net.azure-devices.edge.owner\":\"Microsoft.Azure.Devices.Edge.Agent\"}"

TEST(the_users_environment_wins_and_what_is_given_stays) {
    expect_body(
        "{\"Env\":[\"A=users\",\"AB=x\"],\"Tty\":true}",
        (struct sk_container_plan){.image = "i", .environment = environment},
        "{\"Env\":[\"A=users\",\"AB=x\",\"B=ours\"],\"HostConfig\":{},\"Image\":\"i\"," LABELS
        ",\"Tty\":true}");
}

TEST(the_socket_is_bound_beside_the_users_binds) {
    expect_body("{\"HostConfig\":{\"Binds\":[\"/a:/b\"]}}",
                (struct sk_container_plan){.image = "i", .bind = "/s:/var/run/iotedge"},
                "{\"Env\":[],\"HostConfig\":{\"Binds\":[\"/a:/b\",\"/s:/var/run/iotedge\"]},"
                "\"Image\":\"i\"," LABELS "}");
}

TEST(the_network_and_the_gateway_are_ours_unless_the_options_choose) {
    static const struct {
        const char *host, *endpoints; /* of the options */
        const char *mode, *hosts;     /* of the body; NULL: none */
    } cases[] = {
        {"{}", NULL, "net", "gw:10.0.0.1"},
        {"{\"NetworkMode\":\"default\"}", NULL, "net", "gw:10.0.0.1"},
        {"{\"NetworkMode\":\"bridge\"}", NULL, "net", "gw:10.0.0.1"},
        {"{\"NetworkMode\":\"other\"}", NULL, "other", "gw:10.0.0.1"},
        {"{}", "{\"own\":{\"Aliases\":[\"x\"]}}", NULL, "gw:10.0.0.1"},
        {"{\"NetworkMode\":\"host\"}", NULL, "host", "gw:127.0.0.1"},
        {"{\"NetworkMode\":\"none\"}", NULL, "none", NULL},
        {"{\"NetworkMode\":\"container:x\"}", NULL, "container:x", NULL},
        {"{\"ExtraHosts\":[\"gw:1.2.3.4\"]}", NULL, "net", "gw:1.2.3.4"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *options = json_pack("{s:o}", "HostConfig", json_loads(cases[i].host, 0, NULL));
        if (cases[i].endpoints)
            json_object_set_new(
                options, "NetworkingConfig",
                json_pack("{s:o}", "EndpointsConfig", json_loads(cases[i].endpoints, 0, NULL)));
        json_t *body =
            sk_container_body(&(struct sk_container_plan){.options = options,
                                                          .image = "i",
                                                          .network = "net",
                                                          .gateway_host = "gw",
                                                          .gateway_address = "10.0.0.1"});
        const json_t *host = json_object_get(body, "HostConfig"),
                     *hosts = json_object_get(host, "ExtraHosts");
        const char *mode = json_string_value(json_object_get(host, "NetworkMode")),
                   *first = json_string_value(json_array_get(hosts, 0));
        if (!sk_span_eq(sk_span_z(mode), sk_span_z(cases[i].mode)) ||
            !sk_span_eq(sk_span_z(first), sk_span_z(cases[i].hosts)) || json_array_size(hosts) > 1)
            fail_msg("case %zu: mode %s, host %s", i, mode, first);
        json_decref(body);
        json_decref(options);
    }
}

TEST(elevation_is_taken_away_where_it_is_not_allowed) {
    expect_body(
        "{\"HostConfig\":{\"Privileged\":true,\"CapAdd\":[\"NET_ADMIN\"],\"CapDrop\":[\"ALL\"]}}",
        (struct sk_container_plan){.image = "i", .not_elevated = true},
        "{\"Env\":[],\"HostConfig\":{\"CapDrop\":[\"ALL\",\"CHOWN\",\"SETUID\"]},"
        "\"Image\":\"i\"," LABELS "}");
}

TEST(logs_are_rotated_unless_the_options_say_how_they_are_kept) {
    struct sk_container_plan plan = {.image = "i", .rotates_logs = true};
    char *text = body_of("{}", plan);
    assert_non_null(strstr(text,
                           "\"LogConfig\":{\"Config\":{\"max-file\":\"5\",\"max-size\":\"10m\"},"
                           "\"Type\":\"json-file\"}"));
    free(text);
    text = body_of("{\"HostConfig\":{\"LogConfig\":{\"Type\":\"journald\"}}}", plan);
    assert_null(strstr(text, "json-file"));
    free(text);
}

TEST(labels_of_ours_cannot_be_forged) {
    expect_body(
        "{\"Labels\":{\"net.azure-devices.edge.owner\":\"me\",\"x\":\"y\"}}",
        (struct sk_container_plan){.image = "i"},
        "{\"Env\":[],\"HostConfig\":{},\"Image\":\"i\",\"Labels\":{\"net.azure-devices.edge."
        "owner\":\"Microsoft.Azure.Devices.Edge.Agent\",\"x\":\"y\"}}");
}

/* A text of `n` bytes in an object, in parts and back. */
static void there_and_back(size_t n, size_t parts) {
    char why[SK_CREATE_WHY_MAX], *text = sk_alloc(n + 1);
    memset(text, 'x', n);
    json_t *options = json_pack("{s:s}", "k", text), *settings = json_object(), *again;
    sk_create_options_put(settings, options);
    assert_int_equal(json_object_size(settings), parts);
    const char *name;
    json_t *part;
    json_object_foreach(settings, name, part)
        assert_true(json_string_length(part) <= SK_CREATE_PART_MAX);
    assert_int_equal(sk_create_options_read(settings, &again, why), SK_OK);
    assert_true(json_equal(options, again));
    json_decref(again);
    json_decref(options);
    json_decref(settings);
    free(text);
}

TEST(options_are_cut_into_parts_of_512_and_joined) {
    size_t around = strlen("{\"k\":\"\"}");
    there_and_back(512 - around, 1);
    there_and_back(513 - around, 2);
    there_and_back(512 * 100 - around, 100);
    json_t *settings = json_object(), *options = json_pack("{s:s}", "k", "ä");
    sk_create_options_put(settings, NULL);
    assert_string_equal(json_string_value(json_object_get(settings, "createOptions")), "{}");
    json_decref(settings);
    json_decref(options);
}

TEST(no_character_is_cut) {
    char why[SK_CREATE_WHY_MAX], text[1200] = "";
    for (int i = 0; i < 500; i++) memcpy(text + 2 * i, "ä", 3);
    for (int shift = 0; shift < 2; shift++) {
        json_t *options = json_pack("{s:s}", shift ? "kk" : "k", text), *settings = json_object(),
               *again;
        sk_create_options_put(settings, options);
        assert_int_equal(sk_create_options_read(settings, &again, why), SK_OK);
        assert_true(json_equal(options, again));
        json_decref(again);
        json_decref(options);
        json_decref(settings);
    }
}
