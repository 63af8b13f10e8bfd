/* Every property of a message, in by each head and out by each: one table. Source:
 * docs/protocols/device-protocols.md, section 5.1. */
#include "support/raw_amqp.h"
#include "support/raw_http.h"
#include "support/test.h"

#include <jansson.h>

enum place { PROPERTIES, APPLICATION, ANNOTATION };

/* Its names: in a bag, as a header (NULL: HTTPS has none), in JSON and in AMQP. */
static const struct row {
    const char *bag, *header, *json;
    enum place place;
    const char *amqp, *value;
    bool telemetry_only;
} system_rows[] = {
    {"$.mid", "iothub-messageid", "messageId", PROPERTIES, "message-id", "m/1:+%a", false},
    {"$.cid", "iothub-correlationid", "correlationId", PROPERTIES, "correlation-id", "c 1", false},
    {"$.uid", "iothub-userid", "userId", PROPERTIES, "user-id", "\xc3\xa4", false},
    {"$.to", "iothub-to", "to", PROPERTIES, "to", "/devices/x?y=z", true},
    {"$.exp", "iothub-expiry", "expiryTimeUtc", PROPERTIES, "absolute-expiry-time",
     "2026-01-01T12:00:00.0000000Z", false},
    {"$.ct", "iothub-contenttype", "contentType", PROPERTIES, "content-type",
     "text/plain; charset=\"x\"", false},
    {"$.ce", "iothub-contentencoding", "contentEncoding", PROPERTIES, "content-encoding", "utf-8",
     false},
    {"$.ctime", "iothub-creation-time-utc", "creationTimeUtc", APPLICATION,
     "iothub-creation-time-utc", "2026-01-01T00:00:00.0000000Z", false},
    {"$.on", NULL, "outputName", APPLICATION, "iothub-outputname", "out*1", true},
    {"$.schema", "iothub-messageschema", "messageSchema", APPLICATION, "iothub-message-schema",
     "s,1", false},
    {"iothub-ack", "iothub-ack", "ack", APPLICATION, "iothub-ack", "full", false},
    {"iothub-operation", NULL, "operation", APPLICATION, "iothub-operation", "o", true},
    {"$.ifid", "iothub-interface-id", "interfaceId", ANNOTATION, "iothub-interface-id", "dtmi:a;1",
     false},
    {"$.sub", "dt-subject", "dt-subject", ANNOTATION, "dt-subject", "thermostat1", false},
    {"$.diagid", NULL, "diagnosticId", ANNOTATION, "Diagnostic-Id", "0001", true},
    {"$.diagctx", NULL, "diagnosticContext", ANNOTATION, "Correlation-Context", "creationtimeutc=1",
     true},
};
enum { SYSTEM = sizeof system_rows / sizeof *system_rows };

/* An application's names. Where no header could carry one, a cloud-to-device message may not
 * have it and a single HTTPS event cannot. */
static const struct {
    const char *name, *value;
    bool no_header;
} own_rows[] = {
    {"plain", "v", false},
    {"empty", "", false},
    {"Case", "Value", false},
    {"pct%41", "%", false},
    {"$dollar", "$", false},
    {"topic", "a/b&=?#%41+;", false},
    {"utf-8", "\xe2\x82\xac \xf0\x9f\x98\x80", false},
    {"with space", " two  spaces ", true},
    {"sl/ash", "/", true},
    {"a&b=c", "&=", true},
    {"\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87", "key", true},
    {"colon: x\r\nInjected", "\"quoted\\\"\r\n", true},
};
enum { OWN = sizeof own_rows / sizeof *own_rows, ROWS = SYSTEM + OWN };

static struct row row_at(size_t i) {
    if (i < SYSTEM) return system_rows[i];
    const char *name = own_rows[i - SYSTEM].name;
    bool no_header = own_rows[i - SYSTEM].no_header;
    return (struct row){.bag = name,
                        .header = no_header ? NULL : name,
                        .place = APPLICATION,
                        .amqp = name,
                        .value = own_rows[i - SYSTEM].value,
                        .telemetry_only = no_header};
}

/* ---- which heads say what ---- */

enum head { MQTT, AMQP, HTTPS, BATCH, HEADS };
static const char *const heads[HEADS] = {"mqtt", "amqp", "https", "batch"};

static bool says(enum head head, size_t i) {
    if (head == BATCH && i >= SYSTEM) return true; /* there it is a name in JSON */
    return (head != HTTPS && head != BATCH) || row_at(i).header;
}

static unsigned wrong;

static void expect(size_t i, const char *in, const char *out, struct sk_span came) {
    struct row row = row_at(i);
    if (came.p && sk_span_is(came, row.value)) return;
    print_error("%s, in by %s, out by %s: '%.*s' instead of '%s'\n", row.bag, in, out, SK_ARG(came),
                row.value);
    wrong++;
}

/* ---- AMQP's messages ---- */

static int64_t ms_of(const char *text) {
    int64_t us = 0;
    assert_int_equal(sk_time_parse(sk_span_z(text), &us), SK_OK);
    return us / 1000;
}

static struct sk_span *text_field(struct sk_amqp_message *m, const char *name) {
    if (strcmp(name, "user-id") == 0) return &m->user_id;
    if (strcmp(name, "to") == 0) return &m->to;
    if (strcmp(name, "content-type") == 0) return &m->content_type;
    return strcmp(name, "content-encoding") == 0 ? &m->content_encoding : NULL;
}

static struct sk_amqp_value *id_field(struct sk_amqp_message *m, const char *name) {
    if (strcmp(name, "message-id") == 0) return &m->message_id;
    return strcmp(name, "correlation-id") == 0 ? &m->correlation_id : NULL;
}

static void send_amqp(struct raw_link *link, const char *to) {
    struct sk_amqp_field application[ROWS], annotations[ROWS];
    struct sk_span body = SK_SPAN("body");
    struct sk_amqp_message m = {
        .application = application, .annotations = annotations, .data = &body, .data_count = 1};
    for (size_t i = 0; i < ROWS; i++) {
        struct row row = row_at(i);
        struct sk_span value = sk_span_z(row.value);
        struct sk_amqp_field field = {sk_span_z(row.amqp), SK_AMQP_VALUE_STRING(value)};
        if (to && row.telemetry_only) continue;
        if (row.place == APPLICATION)
            application[m.application_count++] = field;
        else if (row.place == ANNOTATION)
            annotations[m.annotation_count++] = field;
        else if (text_field(&m, row.amqp))
            *text_field(&m, row.amqp) = value;
        else if (id_field(&m, row.amqp))
            *id_field(&m, row.amqp) = field.value;
        else
            m.expiry_ms = ms_of(row.value);
    }
    if (to) m.to = sk_span_z(to);
    size_t before = link->accepted;
    raw_link_send_message(link, &m, NULL);
    raw_link_wait(link, before + 1);
    assert_int_equal(link->accepted, before + 1);
}

static struct sk_span amqp_text(struct sk_amqp_message *m, const struct row *row,
                                struct sk_arena *arena) {
    const struct sk_amqp_value *value =
        row->place == APPLICATION  ? sk_amqp_find(m->application, m->application_count, row->amqp)
        : row->place == ANNOTATION ? sk_amqp_find(m->annotations, m->annotation_count, row->amqp)
                                   : id_field(m, row->amqp);
    if (value) return sk_amqp_text(value, arena);
    if (row->place != PROPERTIES) return SK_NONE;
    if (text_field(m, row->amqp)) return *text_field(m, row->amqp);
    return m->expiry_ms == ms_of(row->value) ? sk_span_z(row->value) : SK_NONE;
}

/* ---- in ---- */

static void put_pair(struct sk_buffer *to, const char *name, const char *value) {
    if (to->n) sk_buffer_byte(to, '&');
    sk_percent_encode(to, sk_span_z(name));
    sk_buffer_byte(to, '=');
    sk_percent_encode(to, sk_span_z(value));
}

static void in_by_mqtt(struct fleet *f) {
    struct raw_client c;
    struct sk_buffer bag = {0}, topic = {0};
    for (size_t i = 0; i < ROWS; i++) put_pair(&bag, row_at(i).bag, row_at(i).value);
    sk_buffer_print(&topic, "devices/mqtt/messages/events/%.*s", SK_ARG(sk_buffer_span(&bag)));
    sk_buffer_byte(&topic, 0);
    raw_login(&c, f, "mqtt");
    raw_publish(&c, topic.p, SK_SPAN("body"), 1, 1);
    raw_expect_ack(&c, SK_MQTT_PUBACK, 1);
    raw_free(&c);
    sk_buffer_free(&bag);
    sk_buffer_free(&topic);
}

static void in_by_amqp(struct fleet *f) {
    struct raw_amqp c;
    struct raw_link link = {0};
    raw_amqp_open(&c, f, &(struct raw_amqp_options){0});
    raw_amqp_prove(&c, "amqp");
    raw_link_sender(&c, &link, "/devices/amqp/messages/events");
    send_amqp(&link, NULL);
    raw_amqp_free(&c);
}

static void header_of(size_t i, struct sk_buffer *to) {
    to->n = 0;
    if (i >= SYSTEM) sk_buffer_text(to, "iothub-app-");
    sk_buffer_text(to, i < SYSTEM ? row_at(i).header : row_at(i).bag);
    sk_buffer_byte(to, 0);
}

static void posts(struct fleet *f, const char *device, const char *headers, struct sk_span body) {
    char target[100], resource[100];
    snprintf(target, sizeof target, "/devices/%s/messages/events" VERSION, device);
    snprintf(resource, sizeof resource, "hub.test/devices/%s", device);
    raw_gets(f,
             &(struct raw_ask){.method = "POST",
                               .target = target,
                               .resource = resource,
                               .policy = "",
                               .headers = headers,
                               .body = body},
             204, NULL, "");
}

static void in_by_https(struct fleet *f) {
    struct sk_buffer headers = {0}, name = {0};
    for (size_t i = 0; i < ROWS; i++) {
        if (!says(HTTPS, i)) continue;
        header_of(i, &name);
        sk_buffer_print(&headers, "%s: %s\r\n", name.p, row_at(i).value);
    }
    sk_buffer_byte(&headers, 0);
    posts(f, "https", headers.p, SK_SPAN("body"));
    sk_buffer_free(&headers);
    sk_buffer_free(&name);
}

static void in_by_batch(struct fleet *f) {
    struct sk_buffer name = {0};
    json_t *properties = json_object();
    for (size_t i = 0; i < ROWS; i++) {
        if (!says(BATCH, i)) continue;
        header_of(i, &name);
        json_object_set_new(properties, name.p, json_string(row_at(i).value));
    }
    json_t *batch =
        json_pack("[{s:s,s:b,s:o}]", "body", "body", "base64Encoded", 0, "properties", properties);
    char *text = json_dumps(batch, 0);
    posts(f, "batch", "Content-Type: application/vnd.microsoft.iothub.json\r\n", sk_span_z(text));
    free(text);
    json_decref(batch);
    sk_buffer_free(&name);
}

/* ---- out to readers of the stream ---- */

static size_t head_of(struct sk_span device) {
    for (size_t head = 0; head < HEADS; head++)
        if (sk_span_is(device, heads[head])) return head;
    fail_msg("an event of %.*s", SK_ARG(device));
    return HEADS;
}

static unsigned out_by_watching(struct fleet *f) {
    struct raw_client c;
    struct sk_buffer out = {0};
    unsigned count = 0;
    raw_put_ask(&out, f, &(struct raw_ask){.target = "/messages/events" VERSION "&from=earliest"});
    raw_open(&c, f, "hub.test");
    raw_send_buffer(&c, &out);
    sk_sim_run(f->sim, 5 * SK_S);
    sk_buffer_byte(&c.in, 0);
    for (const char *at = c.in.p; (at = strstr(at, "data: ")) != NULL; at++, count++) {
        json_t *event = json_loads(at + 6, JSON_DISABLE_EOF_CHECK, NULL);
        json_t *system = json_object_get(event, "systemProperties"),
               *own = json_object_get(event, "properties");
        size_t head = head_of(sk_span_z(json_string_value(json_object_get(event, "deviceId"))));
        for (size_t i = 0; i < ROWS; i++) {
            struct row row = row_at(i);
            json_t *value =
                row.json ? json_object_get(system, row.json) : json_object_get(own, row.bag);
            if (says((enum head)head, i))
                expect(i, heads[head], "watching", sk_span_z(json_string_value(value)));
        }
        json_decref(event);
    }
    raw_free(&c);
    return count;
}

/* Reads all there is; `take` gets each event. */
static unsigned read_event_hubs(struct fleet *f,
                                void (*take)(struct sk_amqp_message *m, struct sk_arena *arena)) {
    struct raw_amqp c;
    struct raw_link links[4] = {0};
    unsigned count = 0;
    raw_amqp_open(&c, f, &(struct raw_amqp_options){0});
    assert_int_equal(raw_amqp_token_of(&c, "hub.test", NULL, "owner", 3600), 200);
    for (unsigned p = 0; p < 4; p++) {
        char address[64];
        struct sk_amqp_message m;
        struct sk_amqp_delivery *delivery;
        snprintf(address, sizeof address, "test/ConsumerGroups/$Default/Partitions/%u", p);
        raw_link_receiver(&c, &links[p], address, 100);
        sk_sim_run(f->sim, SK_S);
        for (; !sk_list_empty(&links[p].come); count++) {
            assert_true(raw_link_next(&links[p], &m, &delivery));
            take(&m, &c.arena);
        }
    }
    raw_amqp_free(&c);
    return count;
}

static void check_event(struct sk_amqp_message *m, struct sk_arena *arena) {
    const struct sk_amqp_value *device =
        sk_amqp_find(m->annotations, m->annotation_count, "iothub-connection-device-id");
    size_t head = head_of(sk_amqp_text(device, arena));
    for (size_t i = 0; i < ROWS; i++) {
        struct row row = row_at(i);
        if (says((enum head)head, i))
            expect(i, heads[head], "Event Hubs", amqp_text(m, &row, arena));
    }
}

static int begin(void **state) {
    struct fleet *f = SK_NEW(struct fleet);
    fleet_new_hub(f, 5);
    for (size_t head = 0; head < HEADS; head++) fleet_put_device(f, heads[head], "");
    *state = f;
    return 0;
}

AROUND(begin, fleet_free_world);

TEST(every_property_comes_in_by_every_head_and_out_to_every_reader) {
    struct fleet *f = *state;
    wrong = 0;
    in_by_mqtt(f);
    in_by_amqp(f);
    in_by_https(f);
    in_by_batch(f);
    assert_int_equal(out_by_watching(f), HEADS);
    assert_int_equal(read_event_hubs(f, check_event), HEADS);
    assert_int_equal(wrong, 0);
}

/* A map of AMQP has each key once; Java's SDK says its creation time twice over HTTPS. */
static void check_once(struct sk_amqp_message *m, struct sk_arena *arena) {
    (void)arena;
    unsigned times = 0;
    for (size_t i = 0; i < m->application_count; i++)
        if (sk_span_is(m->application[i].name, "iothub-creation-time-utc")) {
            assert_true(sk_span_is(m->application[i].value.text, "2026-01-01T00:00:00Z"));
            times++;
        }
    assert_int_equal(times, 1);
}

TEST(what_is_said_twice_comes_out_to_an_event_hubs_reader_once) {
    struct fleet *f = *state;
    struct raw_client c;
    posts(f, "https",
          "iothub-creation-time-utc: 2026-01-01T00:00:00Z\r\n"
          "iothub-app-iothub-creation-time-utc: 2026-01-01T00:00:00Z\r\n",
          SK_SPAN("body"));
    raw_login(&c, f, "mqtt");
    raw_publish(&c,
                "devices/mqtt/messages/events/iothub-creation-time-utc=2026-01-01T00:00:00Z"
                "&%24.ctime=2026-01-01T00:00:00Z",
                SK_SPAN("body"), 1, 1);
    raw_expect_ack(&c, SK_MQTT_PUBACK, 1);
    raw_publish(&c, "devices/mqtt/messages/events/iothub-creation-time-utc=2026-01-01T00:00:00Z",
                SK_SPAN("body"), 1, 2);
    raw_expect_ack(&c, SK_MQTT_PUBACK, 2);
    raw_free(&c);
    assert_int_equal(read_event_hubs(f, check_once), 3);
}

/* ---- out to devices ---- */

static void send_to_devices(struct fleet *f) {
    struct raw_amqp c;
    struct raw_link link = {0};
    raw_amqp_open(&c, f, &(struct raw_amqp_options){0});
    assert_int_equal(raw_amqp_token_of(&c, "hub.test", NULL, "owner", 3600), 200);
    raw_link_sender(&c, &link, "/messages/devicebound");
    for (size_t head = 0; head < BATCH; head++) {
        char to[64];
        snprintf(to, sizeof to, "/devices/%s/messages/devicebound", heads[head]);
        send_amqp(&link, to);
    }
    raw_amqp_free(&c);
}

static void to_device_by_mqtt(struct fleet *f) {
    struct raw_client c;
    struct sk_arena arena = {0};
    size_t sent = 0, came = 0;
    raw_login(&c, f, "mqtt");
    raw_subscribe(&c, 1, "devices/mqtt/messages/devicebound/#", 0);
    raw_expect(&c, SK_MQTT_SUBACK);
    struct sk_span topic = raw_expect(&c, SK_MQTT_PUBLISH).u.publish.topic;
    struct sk_span bag = sk_span_skip(topic, strlen("devices/mqtt/messages/devicebound/"));
    assert_int_equal(sk_span_find(bag, '/'), bag.n); /* clients cut the topic there first */
    for (struct sk_span part; sk_span_split(&bag, '&', &part);) {
        size_t equals = sk_span_find(part, '=');
        struct sk_span name = sk_percent_decoded(&arena, sk_span_first(part, equals));
        for (size_t i = 0; i < ROWS; i++)
            if (sk_span_is(name, row_at(i).bag) && !row_at(i).telemetry_only) {
                struct sk_span value = sk_percent_decoded(&arena, sk_span_skip(part, equals + 1));
                expect(i, "a service", "mqtt", value.p ? value : SK_SPAN(""));
                came++;
            }
    }
    for (size_t i = 0; i < ROWS; i++) sent += !row_at(i).telemetry_only;
    assert_int_equal(came, sent);
    sk_arena_free(&arena);
    raw_free(&c);
}

static void to_device_by_amqp(struct fleet *f) {
    struct raw_amqp c;
    struct raw_link link = {0};
    struct sk_amqp_message m;
    struct sk_amqp_delivery *delivery;
    raw_amqp_open(&c, f, &(struct raw_amqp_options){0});
    raw_amqp_prove(&c, "amqp");
    raw_link_receiver(&c, &link, "/devices/amqp/messages/devicebound", 10);
    assert_true(raw_link_next(&link, &m, &delivery));
    for (size_t i = 0; i < ROWS; i++) {
        struct row row = row_at(i);
        if (!row.telemetry_only) expect(i, "a service", "amqp", amqp_text(&m, &row, &c.arena));
    }
    raw_amqp_free(&c);
}

static void to_device_by_https(struct fleet *f) {
    struct raw_answer answer;
    struct sk_buffer name = {0};
    raw_asks(f,
             &(struct raw_ask){.target = "/devices/https/messages/devicebound" VERSION,
                               .resource = "hub.test/devices/https",
                               .policy = ""},
             &answer);
    assert_int_equal(answer.parser.status, 200);
    for (size_t i = 0; i < ROWS; i++) {
        struct row row = row_at(i);
        if (row.telemetry_only) continue;
        header_of(i, &name);
        expect(i, "a service", "https", sk_http_header(&answer.parser, name.p));
    }
    sk_buffer_free(&name);
    sk_http_parser_free(&answer.parser);
}

TEST(every_property_of_a_service_comes_out_to_a_device_by_every_head) {
    struct fleet *f = *state;
    wrong = 0;
    send_to_devices(f);
    to_device_by_mqtt(f);
    to_device_by_amqp(f);
    to_device_by_https(f);
    assert_int_equal(wrong, 0);
}
