/* Which events the routes of a hub take, and what is stamped on them. */
#include "support/hub_world.h"
#include "support/test.h"

static struct sk_event_source *stream;
static struct sk_message event;

/* ---- the world: a hub with routes and enrichments ---- */

static void open_with(struct sk_hub_route *routes, size_t route_count,
                      struct sk_hub_enrichment *enrichments, size_t enrichment_count) {
    if (stream) stream->close(stream);
    close_hub();
    options.routes = routes;
    options.route_count = route_count;
    options.enrichments = enrichments;
    options.enrichment_count = enrichment_count;
    options.fallback = route_count == 0;
    open_hub();
    stream = open_stream();
}

static int end(void **state) {
    if (stream) stream->close(stream);
    stream = NULL;
    return end_world(state);
}

AROUND(start_world, end);

static void set_twin(const char *device, const char *module, const char *text) {
    json_t *body = json_loads(text, 0, NULL);
    assert_int_equal(ask((struct sk_request){.op = SK_OP_TWIN_UPDATE,
                                             .device = sk_span_z(device),
                                             .module = sk_span_z(module),
                                             .body = body}),
                     SK_FAULT_NONE);
    json_decref(body);
}

static void send_body(const char *device, const char *body) {
    assert_int_equal(send_telemetry(device, (struct sk_message){.body = sk_span_z(body)}),
                     SK_FAULT_NONE);
}

static void expect_body(const char *body) {
    assert_int_equal(stream->next(stream, &event), SK_OK);
    if (!sk_span_is(event.body, body)) fail_msg("%.*s, not %s", SK_ARG(event.body), body);
}

static void expect_nothing(void) {
    assert_int_equal(stream->next(stream, &event), SK_AGAIN);
}

/* The only property of that name. */
static void has(const char *name, const char *value) {
    size_t count = 0;
    for (size_t i = 0; i < event.property_count; i++)
        count += sk_span_eq_nocase(event.properties[i].name, sk_span_z(name));
    assert_int_equal(count, 1);
    struct sk_span is = sk_message_property(&event, sk_span_z(name))->value;
    if (!sk_span_is(is, value)) fail_msg("%s is %.*s, not %s", name, SK_ARG(is), value);
}

/* ---- conditions ---- */

TEST(a_condition_may_ask_for_the_senders_twin) {
    struct sk_hub_route routes[] = {
        {.name = "floor",
         .source = SK_SOURCE_TELEMETRY,
         .condition = "$twin.tags.floor = 1",
         .enabled = true},
        {.name = "hot",
         .source = SK_SOURCE_TELEMETRY,
         .condition = "$twin.properties.reported.mode = 'hot'",
         .enabled = true},
    };
    open_with(routes, 2, NULL, 0);
    set_twin("d1", "", "{\"tags\":{\"floor\":1}}");
    send_body("d1", "a");
    send_body("d2", "b");
    expect_body("a");
    expect_nothing();
    json_t *hot = json_pack("{s:s}", "mode", "hot");
    ask((struct sk_request){.op = SK_OP_TWIN_REPORT, .device = SK_SPAN("d2"), .body = hot});
    json_decref(hot);
    send_body("d2", "c");
    expect_body("c");
    send_body("nobody", "d"); /* without a twin its properties are undefined */
    expect_nothing();
}

static unsigned answered;
static void on_answer(struct sk_request *request, const struct sk_answer *answer) {
    assert_null(answer->error);
    answered++;
    free(request);
}

TEST(messages_that_wait_for_twins_keep_their_order) {
    enum { MANY = 300 };
    static struct sk_principal who = {.generation_id = "g", .auth_method = "{}"};
    struct sk_hub_enrichment enrichments[] = {{.key = "site", .value = "$twin.tags.site"}};
    char body[16];
    open_with(NULL, 0, enrichments, 1);
    answered = 0;
    for (unsigned i = 0; i < MANY; i++) {
        struct sk_request *request = SK_NEW(struct sk_request);
        struct sk_message message = {.device = SK_SPAN("d1")};
        message.body = sk_span(body, (size_t)snprintf(body, sizeof body, "%u", i));
        *request = (struct sk_request){.op = SK_OP_TELEMETRY,
                                       .who = &who,
                                       .device = message.device,
                                       .message = &message,
                                       .done = on_answer};
        hub->backend.ops->submit(&hub->backend, request);
        if (i % 50 == 0) pass(SK_MS);
    }
    pass(5 * SK_S);
    assert_int_equal(answered, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(body, sizeof body, "%u", i);
        expect_body(body);
    }
    expect_nothing();
}

/* ---- enrichments ---- */

TEST(enrichments_are_texts_the_hubs_name_and_properties_of_the_twin) {
    struct sk_hub_enrichment enrichments[] = {
        {.key = "plain", .value = "north wing"},
        {.key = "hub", .value = "$iotHubName"},
        {.key = "site", .value = "$twin.tags.site"},
        {.key = "place", .value = "$twin.properties.desired.place"},
        {.key = "interval", .value = "$twin.properties.desired.interval"},
        {.key = "missing", .value = "$twin.tags.nowhere"},
    };
    struct sk_property own[] = {{SK_SPAN("kind"), SK_SPAN("k")},
                                {SK_SPAN("Site"), SK_SPAN("mine")}};
    open_with(NULL, 0, enrichments, 6);
    set_twin("d1", "",
             "{\"tags\":{\"site\":\"Oslo\"},"
             "\"properties\":{\"desired\":{\"place\":{\"x\":1},\"interval\":1.5}}}");
    assert_int_equal(send_telemetry("d1", (struct sk_message){.body = SK_SPAN("{}"),
                                                              .properties = own,
                                                              .property_count = 2}),
                     SK_FAULT_NONE);
    expect_body("{}");
    has("kind", "k");
    has("plain", "north wing");
    has("hub", "test");
    has("site", "Oslo"); /* the hub is believed, not the device */
    has("place", "{\"x\":1}");
    has("interval", "1.5");
    has("missing", "$twin.tags.nowhere");
    send_body("d2", "none");
    expect_body("none");
    has("site", "$twin.tags.site");
}

TEST(events_of_the_hubs_own_are_enriched_too) {
    struct sk_hub_route routes[] = {
        {.name = "twins", .source = SK_SOURCE_TWIN_CHANGES, .condition = "true", .enabled = true}};
    struct sk_hub_enrichment enrichments[] = {{.key = "site", .value = "$twin.tags.site"}};
    open_with(routes, 1, enrichments, 1);
    set_twin("d1", "", "{\"tags\":{\"site\":\"Oslo\"}}");
    pass(SK_S);
    assert_int_equal(stream->next(stream, &event), SK_OK);
    has("site", "Oslo");
    has("opType", "updateTwin");
}

TEST(a_message_with_as_many_properties_as_there_can_be_is_stored_as_it_is) {
    static struct sk_property many[SK_PROPERTIES_MAX];
    struct sk_hub_enrichment enrichments[] = {{.key = "site", .value = "Oslo"}};
    open_with(NULL, 0, enrichments, 1);
    for (size_t i = 0; i < SK_PROPERTIES_MAX; i++)
        many[i] = (struct sk_property){SK_SPAN("p"), SK_SPAN("v")};
    for (size_t count = SK_PROPERTIES_MAX - 1; count <= SK_PROPERTIES_MAX; count++) {
        assert_int_equal(send_telemetry("d1", (struct sk_message){.body = SK_SPAN("{}"),
                                                                  .properties = many,
                                                                  .property_count = count}),
                         SK_FAULT_NONE);
        expect_body("{}");
        assert_int_equal(event.property_count, SK_PROPERTIES_MAX);
        assert_int_equal(sk_message_property(&event, SK_SPAN("site")) != NULL,
                         count < SK_PROPERTIES_MAX);
    }
}
