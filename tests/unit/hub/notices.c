/* Events that the hub itself makes, as who reads the event stream sees them. */
#include "support/hub_world.h"
#include "support/test.h"

/* ---- reading ---- */

static struct sk_event_source *stream;
static struct sk_message event;

/* The next event is that; its body, to be freed. */
static json_t *expect(enum sk_source source, const char *operation, const char *device) {
    pass(SK_S);
    assert_int_equal(stream->next(stream, &event), SK_OK);
    assert_int_equal(event.source, source);
    assert_true(sk_span_is(event.device, device));
    assert_true(sk_span_is(sk_message_property(&event, SK_SPAN("opType"))->value, operation));
    assert_true(sk_span_is(sk_message_property(&event, SK_SPAN("hubName"))->value, "test"));
    assert_true(sk_span_is(sk_message_property(&event, SK_SPAN("deviceId"))->value, device));
    assert_true(sk_span_is(event.system[SK_SYS_CONTENT_TYPE],
                           source == SK_SOURCE_DIGITAL_TWIN_CHANGES ? "application/json-patch+json"
                                                                    : "application/json"));
    json_t *body = json_loadb(event.body.p, event.body.n, 0, NULL);
    assert_non_null(body);
    return body;
}

static void expect_nothing(void) {
    pass(SK_S);
    assert_int_equal(stream->next(stream, &event), SK_AGAIN);
}

/* The member at a path of names, which is that JSON text. */
static void is(const json_t *body, const char *path, const char *json) {
    struct sk_span rest = sk_span_z(path), step;
    json_t *wanted = json_loads(json, JSON_DECODE_ANY, NULL);
    const json_t *at = body;
    while (sk_span_split(&rest, '/', &step)) at = json_object_getn(at, step.p, step.n);
    if (!json_equal(at, wanted)) {
        char *text = json_dumps(body, 0);
        fail_msg("%s is not %s in %s", path, json, text);
    }
    json_decref(wanted);
}

/* ---- asking ---- */

static void ask_body(struct sk_request request, const char *body) {
    request.body = json_loads(body, 0, NULL);
    assert_int_equal(ask(request), SK_FAULT_NONE);
    json_decref(request.body);
}

static void update(const char *device, bool replace, const char *body) {
    ask_body((struct sk_request){.op = SK_OP_TWIN_UPDATE,
                                 .device = sk_span_z(device),
                                 .replace = replace},
             body);
}

static void report(const char *device, const char *body) {
    ask_body((struct sk_request){.op = SK_OP_TWIN_REPORT, .device = sk_span_z(device)}, body);
}

/* ---- the world: a hub whose routes take whatever there is ---- */

static struct sk_hub_route routes[] = {
    {.name = "twins", .source = SK_SOURCE_TWIN_CHANGES, .condition = "true", .enabled = true},
    {.name = "identities",
     .source = SK_SOURCE_DEVICE_LIFECYCLE,
     .condition = "true",
     .enabled = true},
    {.name = "connections",
     .source = SK_SOURCE_CONNECTION_STATE,
     .condition = "true",
     .enabled = true},
    {.name = "models",
     .source = SK_SOURCE_DIGITAL_TWIN_CHANGES,
     .condition = "true",
     .enabled = true},
};

static void close_stream(void) {
    if (stream) stream->close(stream);
    stream = NULL;
}

static void open_with(size_t count) {
    close_stream();
    close_hub();
    options.routes = routes;
    options.route_count = count;
    open_hub();
    stream = open_stream();
}

static int begin(void **state) {
    start_world(state);
    open_with(3);
    return 0;
}

static int end(void **state) {
    close_stream();
    routes[0].condition = "true";
    return end_world(state);
}

AROUND(begin, end);

TEST(an_update_of_a_twin_tells_what_has_changed_and_when) {
    update("d1", false, "{\"tags\":{\"floor\":1},\"properties\":{\"desired\":{\"a\":{\"b\":1}}}}");
    json_t *body = expect(SK_SOURCE_TWIN_CHANGES, "updateTwin", "d1");
    is(body, "version", "3");
    is(body, "tags", "{\"floor\":1}");
    is(body, "properties/desired/a", "{\"b\":1}");
    is(body, "properties/desired/$version", "2");
    is(body, "properties/desired/$metadata/a/b/$lastUpdatedVersion", "2");
    assert_null(json_object_get(json_object_get(body, "properties"), "reported"));
    json_decref(body);

    update("d1", false, "{\"properties\":{\"desired\":{\"c\":true}}}");
    body = expect(SK_SOURCE_TWIN_CHANGES, "updateTwin", "d1");
    assert_null(json_object_get(body, "tags"));
    is(body, "properties/desired/c", "true");
    const json_t *desired = json_object_get(json_object_get(body, "properties"), "desired");
    assert_null(json_object_get(desired, "a"));
    assert_null(json_object_get(json_object_get(desired, "$metadata"), "a"));
    json_decref(body);
}

TEST(what_a_device_reports_is_a_change_of_its_twin) {
    report("d2", "{\"temperature\":21.5,\"old\":null}");
    json_t *body = expect(SK_SOURCE_TWIN_CHANGES, "updateTwin", "d2");
    is(body, "properties/reported/temperature", "21.5");
    is(body, "properties/reported/old", "null");
    is(body, "properties/reported/$version", "2");
    assert_null(json_object_get(json_object_get(body, "properties"), "desired"));
    json_decref(body);
}

TEST(a_replacement_of_a_twin_tells_all_of_it) {
    update("d1", true, "{\"tags\":{\"x\":1},\"properties\":{\"desired\":{\"y\":2}}}");
    json_t *body = expect(SK_SOURCE_TWIN_CHANGES, "replaceTwin", "d1");
    is(body, "deviceId", "\"d1\"");
    is(body, "tags", "{\"x\":1}");
    is(body, "properties/desired/y", "2");
    is(body, "properties/reported/$version", "1");
    json_decref(body);
}

TEST(identities_that_are_made_and_deleted_are_told_and_updated_ones_are_not) {
    put_device("new", false);
    json_t *body = expect(SK_SOURCE_DEVICE_LIFECYCLE, "createDeviceIdentity", "new");
    is(body, "deviceId", "\"new\"");
    is(body, "version", "2");
    json_decref(body);
    ask_body((struct sk_request){.op = SK_OP_IDENTITY_PUT,
                                 .device = SK_SPAN("new"),
                                 .if_match = SK_SPAN("*")},
             "{\"deviceId\":\"new\",\"status\":\"disabled\"}");
    ask_body((struct sk_request){.op = SK_OP_IDENTITY_PUT,
                                 .device = SK_SPAN("new"),
                                 .module = SK_SPAN("m")},
             "{\"deviceId\":\"new\",\"moduleId\":\"m\"}");
    body = expect(SK_SOURCE_DEVICE_LIFECYCLE, "createDeviceIdentity", "new");
    is(body, "moduleId", "\"m\"");
    assert_true(sk_span_is(sk_message_property(&event, SK_SPAN("moduleId"))->value, "m"));
    json_decref(body);
    delete_device("new");
    json_decref(expect(SK_SOURCE_DEVICE_LIFECYCLE, "deleteDeviceIdentity", "new"));
    json_decref(expect(SK_SOURCE_DEVICE_LIFECYCLE, "deleteDeviceIdentity", "new")); /* its module */
    expect_nothing();
}

TEST(connections_are_told_with_numbers_that_rise) {
    struct device d;
    char before[65] = "";
    for (int i = 0; i < 4; i++) {
        if (i % 2 == 0)
            connect_device(&d, "d1", &mqtt_like, 1);
        else
            disconnect_device(&d);
        json_t *body = expect(SK_SOURCE_CONNECTION_STATE,
                              i % 2 ? "deviceDisconnected" : "deviceConnected", "d1");
        const char *number = json_string_value(json_object_get(body, "sequenceNumber"));
        assert_int_equal(strlen(number), 64);
        assert_true(strcmp(number, before) > 0);
        snprintf(before, sizeof before, "%s", number);
        json_decref(body);
    }
}

TEST(nothing_is_told_that_no_route_asks_for) {
    open_with(0);
    update("d1", false, "{\"tags\":{\"floor\":1}}");
    put_device("new", false);
    expect_nothing();
    routes[0].condition = "$body.properties.reported.hot = true";
    open_with(1);
    report("d1", "{\"hot\":false}");
    report("d1", "{\"hot\":true}");
    json_t *body = expect(SK_SOURCE_TWIN_CHANGES, "updateTwin", "d1");
    is(body, "properties/reported/hot", "true");
    json_decref(body);
    expect_nothing();
}

TEST(changes_of_digital_twins_are_told_of_devices_that_have_a_model) {
    (void)state;
    routes[0].enabled = routes[1].enabled = routes[2].enabled = false;
    open_with(4);
    report("d1", "{\"serial\":\"x\"}");
    expect_nothing();
    sk_registry_model_set(hub->registry, SK_SPAN("d1"), SK_NONE, SK_SPAN("dtmi:x:Y;1"), NULL, NULL);
    pass(SK_S);
    report("d1", "{\"serial\":\"y\"}");
    json_t *body = expect(SK_SOURCE_DIGITAL_TWIN_CHANGES, "patch", "d1");
    assert_int_equal(json_array_size(body), 2);
    is(json_array_get(body, 0), "path", "\"/serial\"");
    is(json_array_get(body, 0), "value", "\"y\"");
    is(json_array_get(body, 1), "path", "\"/$metadata/serial\"");
    json_decref(body);
    update("d1", false, "{\"properties\":{\"desired\":{\"t\":{\"__t\":\"c\",\"a\":1}}}}");
    body = expect(SK_SOURCE_DIGITAL_TWIN_CHANGES, "patch", "d1");
    is(json_array_get(body, 0), "path", "\"/t/$metadata/a\"");
    is(json_array_get(body, 0), "value/desiredValue", "1");
    json_decref(body);
    update("d1", false, "{\"tags\":{\"a\":1}}");
    expect_nothing();
    routes[0].enabled = routes[1].enabled = routes[2].enabled = true;
}
