/* Pages that live: the hub's own events as they happen, to many who watch, of whom some do not
 * read. */
#include "support/raw_http.h"
#include "support/test.h"

AROUND(fleet_new_world, fleet_free_world);

#define NOTICES "/messages/notices" VERSION

static void watch_as(struct raw_client *c, struct fleet *f, const char *target) {
    struct sk_buffer out = {0};
    raw_open(c, f, "hub.test");
    raw_put_ask(&out, f, &(struct raw_ask){.target = target});
    raw_send_buffer(c, &out);
}

static void watch(struct raw_client *c, struct fleet *f, const char *target) {
    watch_as(c, f, target);
    sk_sim_run(f->sim, SK_S);
    sk_buffer_byte(&c->in, 0);
    if (strstr(c->in.p, "text/event-stream") == NULL) fail_msg("%s: %s", target, c->in.p);
    c->in.n = 0;
}

/* What has come since then, as text. */
static const char *hear(struct raw_client *c, struct fleet *f) {
    sk_sim_run(f->sim, 2 * SK_S);
    sk_buffer_byte(&c->in, 0);
    c->in.n = 0;
    return c->in.p;
}

static void hears(struct raw_client *c, struct fleet *f, const char *a, const char *b) {
    const char *text = hear(c, f);
    if (strstr(text, a) == NULL || strstr(text, b) == NULL)
        fail_msg("%s and %s are not in %s", a, b, text);
}

static void hears_nothing(struct raw_client *c, struct fleet *f) {
    const char *text = hear(c, f);
    if (strstr(text, "data:")) fail_msg("%s", text);
}

static struct sk_backend *backend_of(struct fleet *f) {
    return sk_hub_backend(sk_hub_server_hub(f->hub, 0));
}

TEST(what_changes_is_told_without_any_route) {
    struct fleet *f = *state;
    struct raw_client c, device;
    watch(&c, f, NOTICES);
    raw_login(&device, f, "d1");
    hears(&c, f, "deviceConnected", "\"deviceId\":\"d1\"");
    raw_free(&device);
    hears(&c, f, "deviceDisconnected", "d1");
    fleet_call(f, SK_HTTP_PATCH, "/twins/d2", "{\"tags\":{\"site\":\"north\"}}");
    hears(&c, f, "updateTwin", "north");
    fleet_put_device(f, "made", "");
    hears(&c, f, "createDeviceIdentity", "made");
    fleet_call(
        f, SK_HTTP_PUT, "/jobs/v2/colour",
        "{\"jobId\":\"colour\",\"type\":\"scheduleUpdateTwin\",\"queryCondition\":\"*\","
        "\"maxExecutionTimeInSeconds\":60,\"updateTwin\":{\"etag\":\"*\",\"tags\":{\"colour\""
        ":\"red\"}}}");
    assert_int_equal(f->status, 200);
    const char *text = hear(&c, f);
    assert_non_null(strstr(text, "\"opType\":\"progress\""));
    assert_non_null(strstr(text, "\"opType\":\"completed\""));
    fleet_call(f, SK_HTTP_POST, "/devices/d2/messages/events", "{\"n\":1}");
    hears_nothing(&c, f); /* telemetry is elsewhere */
    raw_free(&c);
}

TEST(who_watches_says_what_and_of_whom) {
    struct fleet *f = *state;
    struct raw_client twins, one;
    watch(&twins, f, NOTICES "&source=TwinChangeEvents");
    watch(&one, f, NOTICES "&device=d2");
    fleet_put_device(f, "made", "");
    hears_nothing(&twins, f);
    hears_nothing(&one, f);
    fleet_call(f, SK_HTTP_PATCH, "/twins/d1", "{\"tags\":{\"n\":1}}");
    hears(&twins, f, "updateTwin", "\"d1\"");
    hears_nothing(&one, f);
    fleet_call(f, SK_HTTP_PATCH, "/twins/d2", "{\"tags\":{\"n\":1}}");
    hears(&one, f, "updateTwin", "\"d2\"");
    raw_free(&twins);
    raw_free(&one);
    sk_sim_run(f->sim, SK_S);
    assert_int_equal(backend_of(f)->streams, 0);
    fleet_call(f, SK_HTTP_PATCH, "/twins/d2", "{\"tags\":{\"n\":2}}"); /* nobody watches */
    assert_int_equal(f->status, 200);
    fleet_call(f, SK_HTTP_GET, "/messages/notices?source=DeviceMessages", NULL);
    assert_int_equal(f->status, 400);
    fleet_call(f, SK_HTTP_GET, "/messages/notices?source=TwinChangeEvents,x", NULL);
    assert_int_equal(f->status, 400);
}

TEST(alarms_are_told_when_they_are_stored_changed_and_deleted) {
    struct fleet *f = *state;
    struct raw_client c;
    fleet_call(f, SK_HTTP_PUT, "/config/v1/devicegroups/all",
               "{\"DisplayName\":\"all\",\"Conditions\":[]}");
    fleet_call(
        f, SK_HTTP_PUT, "/telemetry/v1/rules/hot",
        "{\"Name\":\"hot\",\"GroupId\":\"all\",\"Severity\":\"Critical\",\"Calculation\":"
        "\"Instant\",\"Conditions\":[{\"Field\":\"t\",\"Operator\":\"GreaterThan\",\"Value\":"
        "\"5\"}]}");
    assert_int_equal(f->status, 200);
    watch(&c, f, NOTICES "&source=AlarmEvents");
    fleet_call(f, SK_HTTP_POST, "/devices/d1/messages/events", "{\"t\":9}");
    hears(&c, f, "\"opType\":\"alarmStored\"", "\"opType\":\"alarm\"");
    fleet_call(f, SK_HTTP_GET, "/telemetry/v1/alarms", NULL);
    json_t *list = json_loads(f->answer, 0, NULL);
    char path[200];
    snprintf(path, sizeof path, "/telemetry/v1/alarms/%s",
             json_string_value(fleet_member(list, "Items/0/Id")));
    json_decref(list);
    fleet_call(f, SK_HTTP_PATCH, path, "{\"Status\":\"acknowledged\"}");
    hears(&c, f, "\"opType\":\"alarmStored\"", "\"d1\"");
    fleet_call(f, SK_HTTP_DELETE, path, NULL);
    hears(&c, f, "\"opType\":\"alarmDeleted\"", "\"d1\"");
    raw_free(&c);
}

static void change_twin(struct fleet *f, unsigned times) {
    enum { EACH = 3000 };
    char body[EACH + 100];
    for (unsigned i = 0; i < times; i++) {
        snprintf(body, sizeof body, "{\"tags\":{\"n\":\"%0*u\"}}", EACH, i);
        fleet_call(f, SK_HTTP_PATCH, "/twins/d1", body);
        assert_int_equal(f->status, 200);
    }
}

TEST(who_does_not_read_is_ended_and_the_others_hear_all) {
    struct fleet *f = *state;
    struct raw_client reads, sleeps;
    watch(&reads, f, NOTICES "&source=TwinChangeEvents");
    watch(&sleeps, f, NOTICES "&source=TwinChangeEvents");
    sk_stream_pause(sleeps.stream, true);
    size_t heard = 0;
    for (unsigned i = 0; i < 20; i++) {
        change_twin(f, 100);
        const char *text = hear(&reads, f);
        while ((text = strstr(text, "updateTwin")) != NULL) heard++, text++;
    }
    assert_int_equal(heard, 2000);
    sk_sim_run(f->sim, 120 * SK_S);
    assert_int_equal(backend_of(f)->streams, 1);
    raw_free(&reads);
    raw_free(&sleeps);
}

/* It gets little, but never reads that: it is found out by its heartbeats. */
TEST(a_stream_of_telemetry_that_nobody_reads_is_cut) {
    struct fleet *f = *state;
    struct raw_client c;
    watch(&c, f, "/messages/events" VERSION);
    sk_stream_pause(c.stream, true);
    static char body[200000];
    memset(body, 'x', sizeof body - 1);
    for (unsigned i = 0; i < 20; i++)
        fleet_call(f, SK_HTTP_POST, "/devices/d1/messages/events", body);
    sk_sim_run(f->sim, 30 * SK_S);
    assert_int_equal(backend_of(f)->streams, 1);
    sk_sim_run(f->sim, 90 * SK_S);
    assert_int_equal(backend_of(f)->streams, 0);
    raw_free(&c);
}

TEST(what_waits_for_many_that_do_not_read_is_bounded_and_who_reads_hears_all) {
    struct fleet *f = *state;
    enum { SLEEPERS = 200, EVENTS = 12 };
    static struct raw_client sleeps[SLEEPERS];
    struct raw_client reads;
    static char body[200000];
    memset(body, 'x', sizeof body - 1);
    for (size_t i = 0; i < SLEEPERS; i++) {
        watch_as(&sleeps[i], f, "/messages/events" VERSION "&from=latest");
        if (i % 50 == 49) sk_sim_run(f->sim, SK_S);
        sk_stream_pause(sleeps[i].stream, true);
    }
    watch(&reads, f, "/messages/events" VERSION "&from=latest");
    size_t heard = 0, most = 0;
    for (unsigned i = 0; i < EVENTS; i++) {
        fleet_call(f, SK_HTTP_POST, "/devices/d1/messages/events", body);
        assert_int_equal(f->status, 204);
        const char *text = hear(&reads, f);
        while ((text = strstr(text, "data:")) != NULL) heard++, text++;
        size_t waits = backend_of(f)->slow_bytes;
        if (waits > most) most = waits;
    }
    assert_int_equal(heard, EVENTS);
    assert_in_range(most, SK_HTTP_STREAMS_BYTES / 2, SK_HTTP_STREAMS_BYTES);
    assert_in_range(backend_of(f)->streams, 2, SLEEPERS);
    raw_free(&reads);
    for (size_t i = 0; i < SLEEPERS; i++) raw_free(&sleeps[i]);
    sk_sim_run(f->sim, 2 * SK_S);
    assert_int_equal(backend_of(f)->streams, 0);
    assert_int_equal(backend_of(f)->slow_bytes, 0);
}

TEST(a_thousand_watch_and_one_more_is_refused) {
    struct fleet *f = *state;
    static struct raw_client all[SK_HTTP_STREAMS_MAX];
    for (size_t i = 0; i < SK_HTTP_STREAMS_MAX; i++) {
        watch_as(&all[i], f, i % 2 ? NOTICES : "/messages/events" VERSION "&from=latest");
        if (i % 50 == 49) sk_sim_run(f->sim, SK_S);
    }
    sk_sim_run(f->sim, SK_S);
    assert_int_equal(backend_of(f)->streams, SK_HTTP_STREAMS_MAX);
    raw_gets(f, &(struct raw_ask){.target = NOTICES}, 429, "ThrottlingException", "1000 streams");
    raw_gets(f, &(struct raw_ask){.target = "/messages/events" VERSION}, 429, NULL, "1000 streams");
    fleet_call(f, SK_HTTP_PATCH, "/twins/d1", "{\"tags\":{\"n\":1}}");
    for (size_t i = 1; i < SK_HTTP_STREAMS_MAX; i += 2) {
        const char *text = i == 1 ? hear(&all[i], f) : (sk_buffer_byte(&all[i].in, 0), all[i].in.p);
        assert_non_null(strstr(text, "updateTwin"));
    }
    raw_free(&all[7]);
    sk_sim_run(f->sim, SK_S);
    struct raw_client c;
    watch(&c, f, NOTICES);
    raw_free(&c);
    for (size_t i = 0; i < SK_HTTP_STREAMS_MAX; i++)
        if (i != 7) raw_free(&all[i]);
    sk_sim_run(f->sim, 2 * SK_S);
    assert_int_equal(backend_of(f)->streams, 0);
}
