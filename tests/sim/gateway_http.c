/* What a hub takes over HTTPS and how it refuses the rest. */
#include "support/raw_http.h"
#include "support/test.h"

AROUND(fleet_new_world, fleet_free_world);

/* ---- addresses ---- */

TEST(what_is_not_there_is_404_and_a_wrong_method_405) {
    struct fleet *f = *state;
    raw_gets(f, &(struct raw_ask){.target = "/" VERSION}, 404, "GenericNotFound", "");
    raw_gets(f, &(struct raw_ask){.target = "/devices/d1/nothing" VERSION}, 404, "GenericNotFound",
             "");
    raw_gets(f, &(struct raw_ask){.target = "/devices/d3" VERSION}, 404, "DeviceNotFound", "");
    raw_gets(f, &(struct raw_ask){.target = "/devices/d1/modules/m" VERSION}, 404, "ModuleNotFound",
             "");
    raw_gets(f, &(struct raw_ask){.target = "/twins/d3" VERSION}, 404, "DeviceNotFound", "");
    raw_gets(f,
             &(struct raw_ask){.method = "POST",
                               .target = "/twins/d3/methods" VERSION,
                               .body = sk_span_z("{\"methodName\":\"m\"}")},
             404, "DeviceNotFound", "");
    raw_gets(f, &(struct raw_ask){.method = "PATCH", .target = "/devices/d1" VERSION}, 405,
             "GenericMethodNotAllowed", "");
    raw_gets(f, &(struct raw_ask){.method = "DELETE", .target = "/twins/d1" VERSION}, 405,
             "GenericMethodNotAllowed", "");
}

TEST(an_api_version_must_be_there_and_be_a_date) {
    struct fleet *f = *state;
    static const char *const targets[] = {
        "/devices/d1", "/devices/d1?api-version=", "/devices/d1?api-version=latest",
        "/devices/d1?api-version=2021-13-01", "/devices/d1?api-version=2021-04-12-beta"};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        raw_gets(f, &(struct raw_ask){.target = targets[i]}, 400, "InvalidProtocolVersion", "");
    raw_gets(f, &(struct raw_ask){.target = "/devices/d1?api-version=2020-06-30-preview"}, 200,
             NULL, "\"d1\"");
}

TEST(a_path_that_has_its_version_needs_no_api_version) {
    struct fleet *f = *state;
    static const char *const targets[] = {"/config/v1/devicegroups", "/telemetry/v1/rules",
                                          "/telemetry/v1/alarms?limit=1",
                                          "/DeviceSimulation/v1/devicemodels"};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        raw_gets(f, &(struct raw_ask){.target = targets[i]}, 200, NULL, "\"Items\"");
    raw_gets(f, &(struct raw_ask){.target = "/telemetry/v1/rules?api-version=latest"}, 400,
             "InvalidProtocolVersion", "");
    raw_gets(f, &(struct raw_ask){.target = "/devices/v1"}, 400, "InvalidProtocolVersion", "");
}

TEST(another_hub_is_not_served) {
    struct fleet *f = *state;
    raw_gets(f, &(struct raw_ask){.target = "/devices/d1" VERSION, .host = "other.test"}, 401,
             "IotHubNotFound", "");
    raw_gets(f, &(struct raw_ask){.target = "/devices/d1" VERSION, .host = "HUB.TEST:8883"}, 200,
             NULL, "\"d1\"");
}

TEST(ids_may_be_percent_encoded) {
    struct fleet *f = *state;
    raw_gets(f,
             &(struct raw_ask){.method = "PUT",
                               .target = "/devices/a%25b%23c" VERSION,
                               .body = sk_span_z("{\"deviceId\":\"a%b#c\"}")},
             200, NULL, "\"a%b#c\"");
    raw_gets(f, &(struct raw_ask){.target = "/devices/%61%25b%23c" VERSION}, 200, NULL,
             "\"a%b#c\"");
    raw_gets(f, &(struct raw_ask){.target = "/twins/a%25b%23c" VERSION}, 200, NULL, "\"a%b#c\"");
    raw_gets(f,
             &(struct raw_ask){.method = "PUT",
                               .target = "/devices/a%2Fb" VERSION,
                               .body = sk_span_z("{\"deviceId\":\"a/b\"}")},
             400, "ArgumentInvalid", "");
    raw_gets(f,
             &(struct raw_ask){.method = "PUT",
                               .target = "/devices/a%00b" VERSION,
                               .body = sk_span_z("{\"deviceId\":\"a\"}")},
             400, "ArgumentInvalid", "");
}

/* ---- credentials ---- */

TEST(wrong_credentials_are_401) {
    struct fleet *f = *state;
    raw_gets(f, &(struct raw_ask){.target = "/devices/d1" VERSION, .no_token = true}, 401,
             "IotHubUnauthorized", "missing");
    raw_gets(f,
             &(struct raw_ask){.target = "/devices/d1" VERSION,
                               .no_token = true,
                               .headers = "Authorization: Basic eDp5\r\n"},
             401, "IotHubUnauthorized", "");
    raw_gets(f, &(struct raw_ask){.target = "/devices/d1" VERSION, .key = "AQID"}, 401,
             "IotHubUnauthorized", "signature");
    raw_gets(f, &(struct raw_ask){.target = "/devices/d1" VERSION, .policy = "nobody"}, 401,
             "IotHubUnauthorized", "policy");
    raw_gets(f,
             &(struct raw_ask){.target = "/devices/d1" VERSION, .resource = "hub.test/devices/d2"},
             401, "IotHubUnauthorizedAccess", "");
    raw_gets(f, &(struct raw_ask){.target = "/devices/d1" VERSION, .resource = "other.test"}, 401,
             "IotHubUnauthorizedAccess", "");
    raw_gets(f, &(struct raw_ask){.target = "/twins/d1" VERSION, .resource = "hub.test/devices"},
             401, "IotHubUnauthorizedAccess", "");
}

TEST(a_policy_opens_only_what_its_rights_say) {
    struct fleet *f = *state;
    raw_gets(f, &(struct raw_ask){.target = "/devices/d1" VERSION, .policy = "reader"}, 200, NULL,
             "\"d1\"");
    raw_gets(f, &(struct raw_ask){.target = "/devices" VERSION, .policy = "reader"}, 200, NULL,
             "\"d1\"");
    static const struct raw_ask others[] = {
        {.method = "PUT", .target = "/devices/d9" VERSION, .body = {"{}", 2}},
        {.method = "DELETE", .target = "/devices/d1" VERSION, .headers = "If-Match: *\r\n"},
        {.target = "/twins/d1" VERSION},
        {.method = "PATCH", .target = "/twins/d1" VERSION, .body = {"{}", 2}},
        {.method = "POST",
         .target = "/twins/d1/methods" VERSION,
         .body = {"{\"methodName\":\"m\"}", 18}},
        {.method = "POST",
         .target = "/devices/query" VERSION,
         .body = {"{\"query\":\"SELECT * FROM devices\"}", 33}},
        {.method = "POST", .target = "/devices/d1/messages/events" VERSION, .body = {"x", 1}},
        {.target = "/messages/events" VERSION},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct raw_ask ask = others[i];
        ask.policy = "reader";
        raw_gets(f, &ask, 401, "IotHubUnauthorizedAccess", "");
    }
}

TEST(a_device_may_only_ask_for_itself_and_its_modules) {
    struct fleet *f = *state;
    fleet_put(f, "/devices/d1/modules/m",
              "{\"deviceId\":\"d1\",\"moduleId\":\"m\"}"); /* with keys of its own */
    const struct raw_ask device = {.policy = "", .resource = "hub.test/devices/d1"};
    static const struct {
        const char *method, *target;
        unsigned status;
    } cases[] = {
        {"GET", "/devices/d1" VERSION, 200},
        {"GET", "/devices/d1/modules" VERSION, 200},
        {"GET", "/devices/d1/modules/m" VERSION, 200},
        {"POST", "/devices/d1/messages/events" VERSION, 204},
        {"GET", "/devices/d2" VERSION, 401},
        {"GET", "/devices" VERSION, 401},
        {"GET", "/twins/d1" VERSION, 401},
        {"POST", "/devices/d2/messages/events" VERSION, 401},
        {"POST", "/devices/d1/modules/m/messages/events" VERSION, 401},
        {"GET", "/messages/events" VERSION, 401},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct raw_ask ask = device;
        ask.method = cases[i].method;
        ask.target = cases[i].target;
        raw_gets(f, &ask, cases[i].status, NULL, "");
    }
    /* A module's key opens neither its device nor its siblings. */
    fleet_put(f, "/devices/d1/modules/n", "{\"deviceId\":\"d1\",\"moduleId\":\"n\"," FLEET_SAS "}");
    struct raw_ask module = {
        .policy = "", .resource = "hub.test/devices/d1/modules/n", .target = "/devices/d1" VERSION};
    raw_gets(f, &module, 401, "IotHubUnauthorizedAccess", "");
    module.target = "/devices/d1/modules/m" VERSION;
    raw_gets(f, &module, 401, "IotHubUnauthorizedAccess", "");
    raw_gets(f,
             &(struct raw_ask){
                 .policy = "", .resource = "hub.test/devices/d3", .target = "/devices/d3" VERSION},
             404, "DeviceNotFound", "");
}

/* ---- bodies ---- */

TEST(a_body_must_be_a_json_object) {
    struct fleet *f = *state;
    static const char *const bodies[] = {"",         "x",    "[]", "1", "{\"a\":1,\"a\":2}",
                                         "{\"a\":}", "{} {}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        raw_gets(f,
                 &(struct raw_ask){.method = "PUT",
                                   .target = "/devices/d9" VERSION,
                                   .body = sk_span_z(bodies[i])},
                 400, "DeserializationError", "");
        raw_gets(f,
                 &(struct raw_ask){.method = "PATCH",
                                   .target = "/twins/d1" VERSION,
                                   .body = sk_span_z(bodies[i])},
                 400, "DeserializationError", "");
    }
}

/* As editors on Windows write files. */
TEST(a_body_may_begin_with_a_byte_order_mark) {
    struct fleet *f = *state;
    static const char *const bodies[] = {
        "\xef\xbb\xbf{\"deviceId\":\"bom\"}", "\xef\xbb\xbf{\"tags\":{\"a\":21.1}}",
        "\xef\xbb\xbf{\"query\":\"SELECT * FROM devices WHERE tags.a = 21.1\"}"};
    fleet_call(f, SK_HTTP_PUT, "/devices/bom", bodies[0]);
    assert_int_equal(f->status, 200);
    fleet_call(f, SK_HTTP_PATCH, "/twins/bom", bodies[1]);
    assert_int_equal(f->status, 200);
    fleet_call(f, SK_HTTP_POST, "/devices/query", bodies[2]);
    assert_int_equal(f->status, 200);
    assert_non_null(strstr(f->answer, "\"bom\""));
}

/* What a program wrote it reads again, digit for digit, wherever the number comes out. */
TEST(numbers_keep_their_text_through_a_twin) {
    struct fleet *f = *state;
    static const char numbers[] = "\"n\":[21.1,0.1,-0.5,1.0,1e+300,5e-324,4503599627370495,"
                                  "-4503599627370496,0,100.25]";
    char body[300];
    struct raw_client c;
    raw_login(&c, f, "d1");
    raw_subscribe(&c, 1, "$iothub/twin/res/#", 0);
    raw_expect_suback(&c, 1, "\0", 1);
    raw_subscribe(&c, 2, "$iothub/twin/PATCH/properties/desired/#", 0);
    raw_expect_suback(&c, 2, "\0", 1);
    snprintf(body, sizeof body, "{%s}", numbers);
    raw_publish(&c, "$iothub/twin/PATCH/properties/reported/?$rid=1", sk_span_z(body), 0, 0);
    raw_expect(&c, SK_MQTT_PUBLISH);
    snprintf(body, sizeof body, "{\"tags\":{%s},\"properties\":{\"desired\":{%s}}}", numbers,
             numbers);
    fleet_call(f, SK_HTTP_PATCH, "/twins/d1", body);
    size_t seen = 0;
    for (const char *at = f->answer; (at = strstr(at, numbers)) != NULL; at++) seen++;
    assert_int_equal(seen, 3); /* tags, desired, reported */
    struct sk_mqtt_packet packet = raw_expect(&c, SK_MQTT_PUBLISH);
    snprintf(body, sizeof body, "%.*s", SK_ARG(packet.u.publish.payload));
    assert_non_null(strstr(body, numbers));
    raw_publish(&c, "$iothub/twin/GET/?$rid=2", SK_NONE, 0, 0);
    packet = raw_expect(&c, SK_MQTT_PUBLISH);
    char *text = sk_span_dup(packet.u.publish.payload);
    assert_non_null(strstr(text, numbers));
    free(text);
    fleet_call(f, SK_HTTP_POST, "/devices/query",
               "{\"query\":\"SELECT * FROM devices WHERE tags.n[0] = 21.1\"}");
    if (f->status != 200 || strstr(f->answer, numbers) == NULL) fail_msg("%s", f->answer);
    raw_free(&c);
}

#define MODEL "dtmi:com:example:Thermostat;1"

/* What a device says it is (Plug and Play) is in its twin and its identity, and can be asked
 * for. */
TEST(the_model_of_a_device_is_known_and_stays_known) {
    struct fleet *f = *state;
    struct raw_client c;
    raw_dial(&c, f, "hub.test",
             &(struct raw_connect){.device = "d1",
                                   .clean = true,
                                   .user = "hub.test/d1/?api-version=2021-04-12&model-id=" MODEL});
    raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
    sk_sim_run(f->sim, SK_S);
    raw_free(&c);
    for (int restarted = 0; restarted < 2; restarted++) {
        fleet_call(f, SK_HTTP_GET, "/twins/d1", "");
        assert_non_null(strstr(f->answer, "\"modelId\":\"" MODEL "\""));
        fleet_call(f, SK_HTTP_GET, "/devices/d1", "");
        assert_non_null(strstr(f->answer, "\"modelId\":\"" MODEL "\""));
        fleet_call(f, SK_HTTP_POST, "/devices/query",
                   "{\"query\":\"SELECT * FROM devices WHERE modelId = '" MODEL "'\"}");
        assert_non_null(strstr(f->answer, "\"d1\""));
        assert_null(strstr(f->answer, "\"d2\""));
        /* An update does not forget it. */
        fleet_send(f, SK_HTTP_PUT, "/devices/d1", "{\"deviceId\":\"d1\",\"status\":\"enabled\"}",
                   true);
        assert_int_equal(f->status, 200);
        assert_non_null(strstr(f->answer, "\"modelId\":\"" MODEL "\""));
        fleet_stop_hub(f);
        fleet_start_hub(f);
    }
    raw_login(&c, f, "d1"); /* who says nothing changes nothing */
    raw_free(&c);
    fleet_call(f, SK_HTTP_GET, "/twins/d1", "");
    assert_non_null(strstr(f->answer, MODEL));
    fleet_call(f, SK_HTTP_GET, "/twins/d2", "");
    assert_non_null(strstr(f->answer, "\"modelId\":\"\""));
}

TEST(a_body_of_more_than_a_megabyte_is_413) {
    struct fleet *f = *state;
    enum { MEGABYTE = 1024 * 1024 };
    static char body[MEGABYTE + 1];
    memset(body, ' ', sizeof body);
    raw_gets(f,
             &(struct raw_ask){
                 .method = "PATCH", .target = "/twins/d1" VERSION, .body = {body, MEGABYTE}},
             400, "DeserializationError", "");
    raw_gets(f,
             &(struct raw_ask){
                 .method = "PATCH", .target = "/twins/d1" VERSION, .body = {body, MEGABYTE + 1}},
             413, NULL, "");
}

TEST(telemetry_of_256_kilobytes_is_taken_and_one_byte_more_is_413) {
    struct fleet *f = *state;
    static char body[SK_MESSAGE_MAX + 1];
    memset(body, 'x', sizeof body);
    struct raw_ask ask = {.method = "POST",
                          .target = "/devices/d1/messages/events" VERSION,
                          .policy = "",
                          .resource = "hub.test/devices/d1",
                          .body = {body, SK_MESSAGE_MAX}};
    raw_gets(f, &ask, 204, NULL, "");
    ask.body.n++;
    raw_gets(f, &ask, 413, "MessageTooLarge", "");
    ask.body.n -= 3;
    ask.headers = "iothub-app-a: b\r\n"; /* two bytes more */
    raw_gets(f, &ask, 204, NULL, "");
    ask.body.n++;
    raw_gets(f, &ask, 413, "MessageTooLarge", "");
    assert_int_equal(sk_hub_counts(sk_hub_server_hub(f->hub, 0)).telemetry_total, 2);
}

TEST(a_full_disk_is_403_and_room_heals_it) {
    struct fleet *f = *state;
    struct raw_ask ask = {.method = "POST",
                          .target = "/devices/d1/messages/events" VERSION,
                          .policy = "",
                          .resource = "hub.test/devices/d1",
                          .body = {"x", 1}};
    sk_sim_disk_limit(f->hub_io, 0);
    raw_gets(f, &ask, 403, "IotHubQuotaExceeded", "");
    sk_sim_disk_limit(f->hub_io, UINT64_MAX);
    sk_sim_run(f->sim, 30 * SK_S);
    raw_gets(f, &ask, 204, NULL, "");
}

/* ---- If-Match ---- */

TEST(an_identity_changes_only_for_its_etag) {
    struct fleet *f = *state;
    struct raw_answer answer;
    char line[96];
    const struct sk_span body = sk_span_z("{\"deviceId\":\"d1\"," FLEET_SAS "}");
    raw_gets(f, &(struct raw_ask){.method = "PUT", .target = "/devices/d1" VERSION, .body = body},
             409, "DeviceAlreadyExists", "");
    raw_gets(f,
             &(struct raw_ask){.method = "PUT",
                               .target = "/devices/d1" VERSION,
                               .body = body,
                               .headers = "If-Match: \"AAAA\"\r\n"},
             412, "PreconditionFailed", "");
    raw_gets(f,
             &(struct raw_ask){.method = "PUT",
                               .target = "/devices/d9" VERSION,
                               .body = sk_span_z("{}"),
                               .headers = "If-Match: *\r\n"},
             404, "DeviceNotFound", "");
    raw_asks(f, &(struct raw_ask){.target = "/devices/d1" VERSION}, &answer);
    snprintf(line, sizeof line, "If-Match: %.*s\r\n",
             SK_ARG(sk_http_header(&answer.parser, "ETag")));
    sk_http_parser_free(&answer.parser);
    raw_gets(f,
             &(struct raw_ask){
                 .method = "PUT", .target = "/devices/d1" VERSION, .body = body, .headers = line},
             200, NULL, "\"d1\"");
    raw_gets(f,
             &(struct raw_ask){
                 .method = "PUT", .target = "/devices/d1" VERSION, .body = body, .headers = line},
             412, "PreconditionFailed", "");
    raw_gets(
        f, &(struct raw_ask){.method = "DELETE", .target = "/devices/d1" VERSION, .headers = line},
        412, "PreconditionFailed", "");
    raw_gets(f,
             &(struct raw_ask){.method = "DELETE",
                               .target = "/devices/d1" VERSION,
                               .headers = "If-Match: \"*\"\r\n"},
             204, NULL, "");
}

TEST(a_twin_changes_only_for_its_etag) {
    struct fleet *f = *state;
    struct raw_answer answer;
    char line[96];
    const struct sk_span body = sk_span_z("{\"tags\":{\"a\":1}}");
    raw_gets(f,
             &(struct raw_ask){.method = "PATCH",
                               .target = "/twins/d1" VERSION,
                               .body = body,
                               .headers = "If-Match: \"AAAA\"\r\n"},
             412, "PreconditionFailed", "");
    raw_asks(f, &(struct raw_ask){.target = "/twins/d1" VERSION}, &answer);
    snprintf(line, sizeof line, "If-Match: %.*s\r\n",
             SK_ARG(sk_http_header(&answer.parser, "ETag")));
    sk_http_parser_free(&answer.parser);
    raw_gets(f,
             &(struct raw_ask){
                 .method = "PATCH", .target = "/twins/d1" VERSION, .body = body, .headers = line},
             200, NULL, "\"a\":1");
    raw_gets(f,
             &(struct raw_ask){
                 .method = "PUT", .target = "/twins/d1" VERSION, .body = body, .headers = line},
             412, "PreconditionFailed", "");
    raw_gets(f, &(struct raw_ask){.method = "PATCH", .target = "/twins/d1" VERSION, .body = body},
             200, NULL, "\"a\":1");
}

/* The Java SDK's. */
TEST(a_post_that_means_patch_changes_a_twin) {
    struct fleet *f = *state;
    struct raw_ask ask = {.method = "POST",
                          .target = "/twins/d1" VERSION,
                          .body = sk_span_z("{\"tags\":{\"java\":1}}"),
                          .headers = "X-HTTP-Method-Override: PATCH\r\n"};
    raw_gets(f, &ask, 200, NULL, "\"java\":1");
    ask.headers = "X-HTTP-Method-Override: DELETE\r\n"; /* nobody sends that */
    raw_gets(f, &ask, 405, NULL, "");
}

TEST(twin_changes_that_break_a_rule_are_400) {
    struct fleet *f = *state;
    static const char *const bodies[] = {
        "{\"tags\":1}", "{\"properties\":[]}", "{\"properties\":{\"desired\":{\"a.b\":1}}}",
        "{\"properties\":{\"desired\":{\"a\":[null]}}}", "{\"tags\":{\"a\":{\"$b\":1}}}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        raw_gets(f,
                 &(struct raw_ask){.method = "PATCH",
                                   .target = "/twins/d1" VERSION,
                                   .body = sk_span_z(bodies[i])},
                 400, "ArgumentInvalid", "");
}

/* ---- deployments, queries, methods ---- */

TEST(a_bad_deployment_is_refused_as_a_whole) {
    struct fleet *f = *state;
    static const struct {
        const char *body, *holds;
    } cases[] = {
        {"{}", "modulesContent"},
        {"{\"modulesContent\":[]}", "modulesContent"},
        {"{\"modulesContent\":{\"good\":{\"properties.desired\":{}},\"a "
         "b\":{\"properties.desired\":{}}}}",
         "a b"},
        {"{\"modulesContent\":{\"good\":{\"properties.desired\":{}},\"m\":{}}}",
         "modulesContent.m"},
        {"{\"modulesContent\":{\"good\":{\"properties.desired\":{}},"
         "\"m\":{\"properties.desired\":1}}}",
         "modulesContent.m"},
        {"{\"modulesContent\":{\"good\":{\"properties.desired\":{}},"
         "\"m\":{\"properties.desired\":{},\"x\":1}}}",
         "modulesContent.m"},
        {"{\"modulesContent\":{\"good\":{\"properties.desired\":{}},"
         "\"m\":{\"properties.desired\":{\"a.b\":1}}}}",
         "modulesContent.m"},
    };
    const char *target = "/devices/edge1/applyConfigurationContent" VERSION;
    fleet_put_device(f, "edge1", ",\"capabilities\":{\"iotEdge\":true}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        raw_gets(
            f,
            &(struct raw_ask){.method = "POST", .target = target, .body = sk_span_z(cases[i].body)},
            400, "ArgumentInvalid", cases[i].holds);
    raw_gets(f, &(struct raw_ask){.target = "/devices/edge1/modules/good" VERSION}, 404,
             "ModuleNotFound", "");
    const struct sk_span good =
        sk_span_z("{\"modulesContent\":{\"good\":{\"properties.desired\":{\"a\":1}}}}");
    raw_gets(f,
             &(struct raw_ask){.method = "POST",
                               .target = "/devices/d1/applyConfigurationContent" VERSION,
                               .body = good},
             400, "InvalidOperation", "d1");
    raw_gets(f,
             &(struct raw_ask){.method = "POST",
                               .target = "/devices/d3/applyConfigurationContent" VERSION,
                               .body = good},
             404, "DeviceNotFound", "");
    raw_gets(f, &(struct raw_ask){.method = "POST", .target = target, .body = good}, 204, NULL, "");
    raw_gets(f, &(struct raw_ask){.target = "/twins/edge1/modules/good" VERSION}, 200, NULL,
             "\"a\":1");
}

TEST(a_query_with_a_mistake_is_refused_with_its_place) {
    struct fleet *f = *state;
    static const struct {
        const char *body, *holds;
    } cases[] = {
        {"{}", "query"},
        {"{\"query\":\"\"}", "query"},
        {"{\"query\":1}", "query"},
        {"{\"query\":\"SELEKT * FROM devices\"}", "line 1, column 1"},
        {"{\"query\":\"SELECT * FROM\\n  nowhere\"}", "line 2, column 3"},
        {"{\"query\":\"SELECT * FROM devices WHERE (tags.a = 1\"}", "line 1, column"},
        {"{\"query\":\"SELECT * FROM devices WHERE tags.a = 'x\"}", "line 1, column"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        raw_gets(f,
                 &(struct raw_ask){.method = "POST",
                                   .target = "/devices/query" VERSION,
                                   .body = sk_span_z(cases[i].body)},
                 400, "ArgumentInvalid", cases[i].holds);
    raw_gets(f,
             &(struct raw_ask){.method = "POST",
                               .target = "/devices/query" VERSION,
                               .body = sk_span_z("{\"query\":\"SELECT * FROM devices\"}"),
                               .headers = "x-ms-continuation: nonsense\r\n"},
             400, "ArgumentInvalid", "continuation");
}

TEST(a_query_comes_in_pages) {
    struct fleet *f = *state;
    char device[16], line[200] = "x-ms-max-item-count: 2\r\n";
    unsigned seen = 0, pages = 0;
    for (unsigned i = 3; i <= 7; i++) {
        snprintf(device, sizeof device, "d%u", i);
        fleet_put_device(f, device, "");
    }
    while (line[0]) {
        struct raw_answer answer;
        raw_asks(
            f,
            &(struct raw_ask){
                .method = "POST",
                .target = "/devices/query" VERSION,
                .body = sk_span_z("{\"query\":\"SELECT * FROM devices WHERE deviceId != 'd4'\"}"),
                .headers = line},
            &answer);
        assert_int_equal(answer.parser.status, 200);
        json_t *page = json_loadb(answer.parser.body.p, answer.parser.body.n, 0, NULL);
        assert_true(json_array_size(page) <= 2);
        seen += (unsigned)json_array_size(page);
        pages++;
        struct sk_span next = sk_http_header(&answer.parser, "x-ms-continuation");
        line[0] = 0;
        if (next.n == 0) assert_null(next.p); /* on the last page there is no such header at all */
        if (next.n)
            snprintf(line, sizeof line, "x-ms-max-item-count: 2\r\nx-ms-continuation: %.*s\r\n",
                     SK_ARG(next));
        json_decref(page);
        sk_http_parser_free(&answer.parser);
    }
    assert_int_equal(seen, 6);
    assert_in_range(pages, 3, 4);
}

TEST(method_arguments_are_checked_at_their_limits) {
    struct fleet *f = *state;
    static const struct {
        const char *body;
        unsigned status;
    } cases[] = {
        {"{}", 400},
        {"{\"methodName\":\"\"}", 400},
        {"{\"methodName\":1}", 400},
        {"{\"methodName\":\"m\",\"responseTimeoutInSeconds\":4}", 400},
        {"{\"methodName\":\"m\",\"responseTimeoutInSeconds\":5}", 404},
        {"{\"methodName\":\"m\",\"responseTimeoutInSeconds\":300}", 404},
        {"{\"methodName\":\"m\",\"responseTimeoutInSeconds\":301}", 400},
        {"{\"methodName\":\"m\",\"responseTimeoutInSeconds\":\"5\"}", 400},
        {"{\"methodName\":\"m\",\"connectTimeoutInSeconds\":-1}", 400},
        {"{\"methodName\":\"m\",\"connectTimeoutInSeconds\":0}", 404},
        {"{\"methodName\":\"m\",\"connectTimeoutInSeconds\":300}", 404},
        {"{\"methodName\":\"m\",\"connectTimeoutInSeconds\":301}", 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        raw_gets(f,
                 &(struct raw_ask){.method = "POST",
                                   .target = "/twins/d1/methods" VERSION,
                                   .body = sk_span_z(cases[i].body)},
                 cases[i].status, NULL, cases[i].status == 404 ? "404103" : "");
    for (unsigned more = 0; more < 2; more++) {
        char body[160];
        snprintf(body, sizeof body, "{\"methodName\":\"%0*d\"}", 100 + (int)more, 0);
        raw_gets(f,
                 &(struct raw_ask){.method = "POST",
                                   .target = "/twins/d1/methods" VERSION,
                                   .body = sk_span_z(body)},
                 more ? 400 : 404, NULL, "");
    }
}

/* ---- events ---- */

static void send_telemetry(struct fleet *f, const char *body) {
    raw_gets(f,
             &(struct raw_ask){.method = "POST",
                               .target = "/devices/d1/messages/events" VERSION,
                               .policy = "",
                               .resource = "hub.test/devices/d1",
                               .body = sk_span_z(body)},
             204, NULL, "");
}

/* Opens a stream of events; the bytes that came within a second are in c->in. */
static void watch(struct raw_client *c, struct fleet *f, const char *query, const char *headers) {
    struct sk_buffer out = {0};
    char target[160];
    snprintf(target, sizeof target, "/messages/events" VERSION "%s", query);
    raw_open(c, f, "hub.test");
    raw_put_ask(&out, f, &(struct raw_ask){.target = target, .headers = headers});
    raw_send_buffer(c, &out);
    sk_sim_run(f->sim, SK_S);
    sk_buffer_byte(&c->in, 0);
    c->in.n--;
    assert_non_null(strstr(c->in.p, "200 OK"));
    assert_non_null(strstr(c->in.p, "text/event-stream"));
}

static unsigned times(const struct raw_client *c, const char *text) {
    unsigned n = 0;
    for (const char *at = c->in.p; (at = strstr(at, text)) != NULL; at++) n++;
    return n;
}

TEST(events_start_where_they_are_asked_to) {
    struct fleet *f = *state;
    struct raw_client c;
    char from[80], when[SK_TIME_TEXT];
    send_telemetry(f, "{\"n\":1}");
    send_telemetry(f, "{\"n\":\n2}");
    sk_sim_run(f->sim, 10 * SK_S);
    sk_time_text(sk_io_wall(f->hub_io), when);
    snprintf(from, sizeof from, "&from=%s", when);
    sk_sim_run(f->sim, 10 * SK_S);
    send_telemetry(f, "not json \xff");
    struct sk_hub_counts counts = sk_hub_counts(sk_hub_server_hub(f->hub, 0));
    char sequence[40], last[60];
    snprintf(sequence, sizeof sequence, "&from=%llu",
             (unsigned long long)counts.first_sequence + 1);
    snprintf(last, sizeof last, "Last-Event-ID: %llu\r\n",
             (unsigned long long)counts.first_sequence + 1);
    const struct {
        const char *query, *headers;
        unsigned count;
    } cases[] = {
        {"&from=earliest", "", 3},
        {"&from=1970-01-01T00:00:00Z", "", 3},
        {from, "", 1},
        {sequence, "", 2},
        {"&from=earliest", last, 1},
        {"&from=latest", "", 0},
        {"", "", 0},
        {"&from=earliest&device=d2", "", 0},
        {"&from=2999-01-01T00:00:00Z", "", 0},
        {"&from=999999", "", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        watch(&c, f, cases[i].query, cases[i].headers);
        if (times(&c, "data:") != cases[i].count)
            fail_msg("%s %s: %s", cases[i].query, cases[i].headers, c.in.p);
        raw_free(&c);
    }
    raw_gets(f, &(struct raw_ask){.target = "/messages/events" VERSION "&from=yesterday"}, 400,
             "ArgumentInvalid", "from");
}

TEST(a_watcher_goes_on_with_its_token_and_not_without) {
    struct fleet *f = *state;
    struct raw_client c;
    watch(&c, f, "&from=latest", "");
    sk_sim_run(f->sim, 20 * SK_S);
    sk_buffer_byte(&c.in, 0);
    assert_int_equal(times(&c, "\r\n0\r\n\r\n"), 0);
    c.in.n = 0;
    sk_sim_clock_jump(f->hub_io,
                      2 * (int64_t)3600 * 1000000); /* longer than the token and its grace */
    sk_sim_run(f->sim, 20 * SK_S);
    sk_buffer_byte(&c.in, 0);
    assert_true(
        sk_span_is(sk_span_first(sk_buffer_span(&c.in), 5), "0\r\n\r\n")); /* in good order */
    raw_free(&c);
}

TEST(a_watcher_sees_what_comes_while_it_watches) {
    struct fleet *f = *state;
    struct raw_client c;
    watch(&c, f, "&from=latest", "");
    c.in.n = 0;
    send_telemetry(f, "\"later\"");
    sk_sim_run(f->sim, SK_S);
    sk_buffer_byte(&c.in, 0);
    assert_int_equal(times(&c, "\"body\":\"later\""), 1);
    fleet_stop_hub(f); /* a watcher does not hold the hub up */
    fleet_start_hub(f);
    raw_free(&c);
}

/* ---- connections ---- */

TEST(requests_on_one_connection_are_answered_in_order) {
    struct fleet *f = *state;
    struct raw_client c;
    struct sk_buffer out = {0};
    const struct raw_ask pipeline[] = {
        {.target = "/devices/d1" VERSION},
        {.method = "PATCH", .target = "/twins/d1" VERSION, .body = {"{\"tags\":{\"x\":1}}", 16}},
        {.target = "/nothing" VERSION},
        {.target = "/twins/d1" VERSION},
        {.target = "/devices/d2" VERSION},
    };
    static const unsigned statuses[] = {200, 200, 404, 200, 200};
    for (size_t i = 0; i < 5; i++) raw_put_ask(&out, f, &pipeline[i]);
    for (size_t step = 1; step <= out.n; step = step * 3 + 1) { /* whole, and in pieces */
        raw_open(&c, f, "hub.test");
        for (size_t at = 0; at < out.n; at += step) {
            raw_send(&c, sk_span_first(sk_span_skip(sk_buffer_span(&out), at), step));
            if (step < 50) sk_sim_run(f->sim, SK_MS);
        }
        for (size_t i = 0; i < 5; i++) {
            struct raw_answer answer;
            raw_next_answer(&c, &answer);
            assert_int_equal(answer.parser.status, statuses[i]);
            sk_http_parser_free(&answer.parser);
        }
        raw_free(&c);
    }
    sk_buffer_free(&out);
}

TEST(a_client_that_goes_before_its_answer_does_no_harm) {
    struct fleet *f = *state;
    for (uint64_t wait = 0; wait < 40; wait++) {
        struct raw_client c;
        struct sk_buffer out = {0};
        raw_open(&c, f, "hub.test");
        raw_put_ask(&out, f,
                    &(struct raw_ask){.method = "PATCH",
                                      .target = "/twins/d1" VERSION,
                                      .body = sk_span_z("{\"tags\":{\"x\":1}}")});
        raw_send_buffer(&c, &out);
        sk_sim_run(f->sim, wait * SK_MS / 10);
        raw_free(&c);
    }
    raw_gets(f, &(struct raw_ask){.target = "/devices/d1" VERSION}, 200, NULL, "\"d1\"");
}

/* ---- who works long hears that nobody waits ---- */

static struct {
    struct sk_backend_ops ops; /* the hub's, with ours in between */
    struct sk_request *held;
    unsigned gone;
} slow;

static void slow_gone(struct sk_request *request) {
    assert_ptr_equal(request, slow.held);
    slow.gone++;
    slow.held = NULL;
    sk_request_refuse(request, SK_FAULT_UNAVAILABLE, NULL);
}

static void slow_submit(struct sk_backend *backend, struct sk_request *request) {
    (void)backend;
    slow.held = request;
    request->gone = slow_gone;
}

TEST(who_works_on_a_long_query_hears_that_its_client_has_gone) {
    struct fleet *f = *state;
    struct sk_backend *backend = sk_hub_backend(sk_hub_server_hub(f->hub, 0));
    const struct sk_backend_ops *own = backend->ops;
    struct raw_client c;
    struct sk_buffer out = {0};
    struct raw_ask ask = {.method = "POST",
                          .target = "/timeseries/query?api-version=2020-07-31",
                          .body = sk_span_z("{\"getEvents\":{}}")};
    memset(&slow, 0, sizeof slow);
    slow.ops = *own;
    slow.ops.submit = slow_submit;
    backend->ops = &slow.ops;
    raw_open(&c, f, "hub.test");
    raw_put_ask(&out, f, &ask);
    raw_send_buffer(&c, &out);
    sk_sim_run(f->sim, SK_S);
    assert_non_null(slow.held);
    raw_free(&c);
    sk_sim_run(f->sim, SK_S);
    assert_int_equal(slow.gone, 1);
    backend->ops = own;
    raw_gets(f, &ask, 400, "InvalidOperation", "time series are off");
}
