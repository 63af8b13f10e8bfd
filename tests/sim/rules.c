/* Rules on telemetry and their alarms, through a whole hub: from REST to REST. */
#include "support/fleet.h"

AROUND(fleet_new_world, fleet_free_world);

#define GROUP(id, conditions)                                                                      \
    "/config/v1/devicegroups/" id, "{\"DisplayName\":\"" id "\",\"Conditions\":[" conditions "]}"
#define NORTH "{\"Key\":\"Tags.Site\",\"Operator\":\"EQ\",\"Value\":\"north\"}"
#define RULE(id, group, more)                                                                      \
    "/telemetry/v1/rules/" id,                                                                     \
        "{\"Name\":\"" id "\",\"Description\":\"of " id "\",\"GroupId\":\"" group "\"," more "}"
#define WHEN(field, by, value)                                                                     \
    "\"Conditions\":[{\"Field\":\"" field "\",\"Operator\":\"" by "\",\"Value\":\"" value "\"}]"
#define AVERAGE "\"Calculation\":\"Average\",\"TimePeriod\":\"60000\","

static void put(struct fleet *f, const char *path, const char *body) {
    fleet_call(f, SK_HTTP_PUT, path, body);
    if (f->status != 200) fail_msg("%s: %u %s", path, f->status, f->answer);
}

static void refused(struct fleet *f, const char *path, const char *body, unsigned status) {
    fleet_call(f, SK_HTTP_PUT, path, body);
    if (f->status != status) fail_msg("%s: %u %s", path, f->status, f->answer);
}

static void tag(struct fleet *f, const char *device, const char *site) {
    char path[64], body[64];
    snprintf(path, sizeof path, "/twins/%s", device);
    snprintf(body, sizeof body, "{\"tags\":{\"Site\":\"%s\"}}", site);
    fleet_call(f, SK_HTTP_PATCH, path, body);
    assert_int_equal(f->status, 200);
}

static void say(struct fleet *f, const char *device, const char *body) {
    char path[64];
    snprintf(path, sizeof path, "/devices/%s/messages/events", device);
    fleet_call(f, SK_HTTP_POST, path, body);
    assert_int_equal(f->status, 204);
}

static void pass(struct fleet *f, unsigned seconds) {
    sk_sim_run(f->sim, seconds * SK_S);
}

/* The items of a list. */
static json_t *list(struct fleet *f, const char *path) {
    fleet_call(f, SK_HTTP_GET, path, NULL);
    if (f->status != 200) fail_msg("%s: %u %s", path, f->status, f->answer);
    json_t *json = json_loads(f->answer, 0, NULL),
           *items = json_incref(json_object_get(json, "Items"));
    json_decref(json);
    return items;
}

static size_t count(struct fleet *f, const char *path) {
    json_t *items = list(f, path);
    size_t n = json_array_size(items);
    json_decref(items);
    return n;
}

#define ALARMS "/telemetry/v1/alarms"
#define BY_RULE "/telemetry/v1/alarmsbyrule"

/* The id of the i-th alarm; the caller frees it. */
static char *id_of(struct fleet *f, size_t i) {
    json_t *items = list(f, ALARMS);
    char *id = strdup(json_string_value(json_object_get(json_array_get(items, i), "Id")));
    json_decref(items);
    return id;
}

static void set_status(struct fleet *f, const char *id, const char *status) {
    char path[100], body[100];
    snprintf(path, sizeof path, ALARMS "/%s", id);
    snprintf(body, sizeof body, "{\"Status\":\"%s\"}", status);
    fleet_call(f, SK_HTTP_PATCH, path, body);
}

TEST(an_instant_rule_finds_each_message_and_alarms_are_acknowledged_and_closed) {
    struct fleet *f = *state;
    tag(f, "d1", "north");
    put(f, GROUP("g", NORTH));
    put(f, RULE("hot", "g", "\"Severity\":\"warning\"," WHEN("t", "GreaterThan", "80")));
    fleet_shows(f, "/telemetry/v1/rules/hot", "Severity", "\"Warning\"");
    say(f, "d1", "{\"t\":80}");
    say(f, "d1", "{\"t\":81}");
    say(f, "d1", "{\"t\":90}");
    say(f, "d2", "{\"t\":99}"); /* in no group */
    pass(f, 2);
    assert_int_equal(count(f, ALARMS), 2);
    assert_int_equal(count(f, ALARMS "?devices=d2"), 0);
    assert_int_equal(count(f, ALARMS "?limit=1"), 1);
    assert_int_equal(count(f, ALARMS "?skip=1&order=desc"), 1);
    assert_int_equal(count(f, ALARMS "?from=NOW-PT1H&to=NOW"), 2);
    assert_int_equal(count(f, ALARMS "?to=NOW-PT1H"), 0);
    fleet_shows(f, BY_RULE, "Items/0/Count", "2");
    fleet_shows(f, BY_RULE, "Items/0/Rule/Description", "\"of hot\"");
    assert_int_equal(count(f, BY_RULE "/hot"), 2);
    char *first = id_of(f, 0), *second = id_of(f, 1), path[100];
    set_status(f, first, "acknowledged");
    assert_int_equal(f->status, 200);
    fleet_shows(f, BY_RULE, "Items/0/Count", "2");
    fleet_shows(f, BY_RULE, "Items/0/Open", "1");
    assert_int_equal(count(f, ALARMS "?status=open"), 1);
    assert_int_equal(count(f, ALARMS "?status=acknowledged,open&severity=warning"), 2);
    assert_int_equal(count(f, ALARMS "?severity=Critical,Info"), 0);
    assert_int_equal(count(f, BY_RULE "/hot?status=acknowledged"), 1);
    assert_int_equal(count(f, BY_RULE "?status=closed"), 0);
    fleet_shows(f, BY_RULE "?status=acknowledged,closed", "Items/0/Count", "1");
    set_status(f, first, "solved");
    assert_int_equal(f->status, 400);
    set_status(f, first, "closed");
    set_status(f, second, "closed");
    assert_int_equal(count(f, BY_RULE), 0);
    fleet_shows(f, BY_RULE "?status=closed", "Items/0/Count", "2");
    assert_int_equal(count(f, ALARMS), 2);
    snprintf(path, sizeof path, ALARMS "/%s", first);
    fleet_shows(f, path, "Status", "\"closed\"");
    fleet_shows(f, path, "Rule/Severity", "\"Warning\"");
    fleet_shows(f, path, "DeviceId", "\"d1\"");
    fleet_call(f, SK_HTTP_DELETE, path, NULL);
    fleet_call(f, SK_HTTP_GET, path, NULL);
    assert_int_equal(f->status, 404);
    assert_int_equal(count(f, ALARMS), 1);
    free(first);
    free(second);
}

TEST(a_window_closes_by_the_clock) {
    struct fleet *f = *state;
    put(f, GROUP("all", ""));
    put(f, RULE("warm", "all", AVERAGE WHEN("t", "GreaterThan", "50")));
    pass(f, 5);
    say(f, "d1", "{\"t\":40}");
    say(f, "d1", "{\"t\":62}");
    say(f, "d2", "{\"t\":50}");
    pass(f, 5);
    assert_int_equal(count(f, ALARMS), 0);
    pass(f, 60);
    assert_int_equal(count(f, ALARMS), 1);
    fleet_shows(f, ALARMS, "Items/0/DeviceId", "\"d1\"");
    fleet_shows(f, ALARMS, "Items/0/Logic", "\"1Rule-1Device-NMessage\"");
}

TEST(a_window_waits_for_what_the_disk_has_not_yet) {
    struct fleet *f = *state;
    put(f, GROUP("all", ""));
    put(f, RULE("warm", "all", AVERAGE WHEN("t", "GreaterThan", "50")));
    pass(f, 60 - (unsigned)(sk_io_wall(f->hub_io) / 1000000 % 60));
    say(f, "d1", "{\"t\":40}");
    pass(f, 58);
    sk_sim_disk_slow(f->hub_io, 10 * SK_S);
    say(f, "d1", "{\"t\":62}"); /* taken within the window, and durable behind its end */
    sk_sim_disk_slow(f->hub_io, SK_MS);
    pass(f, 90);
    assert_int_equal(count(f, ALARMS), 1);
}

TEST(rules_that_are_enabled_again_read_after_an_alarm_could_not_be_stored) {
    struct fleet *f = *state;
    put(f, GROUP("all", ""));
    put(f, RULE("hot", "all", WHEN("t", "GreaterThan", "80")));
    size_t said = 0, found;
    do { /* until a message could be stored, and its alarm not */
        sk_sim_disk_fail(f->hub_io, 2);
        fleet_call(f, SK_HTTP_POST, "/devices/d1/messages/events", "{\"t\":81}");
        said += f->status == 204;
        sk_sim_run(f->sim, 100 * SK_MS);
        sk_sim_disk_fail(f->hub_io, 0);
        found = count(f, ALARMS);
    } while (found == said);
    fleet_send(f, SK_HTTP_PUT,
               RULE("hot", "all", "\"Enabled\":false," WHEN("t", "GreaterThan", "80")), true);
    assert_int_equal(f->status, 200);
    fleet_send(f, SK_HTTP_PUT, RULE("hot", "all", WHEN("t", "GreaterThan", "80")), true);
    assert_int_equal(f->status, 200);
    say(f, "d1", "{\"t\":82}");
    pass(f, 2);
    assert_int_equal(count(f, ALARMS), found + 1);
}

TEST(an_alarm_is_as_it_could_be_stored) {
    struct fleet *f = *state;
    put(f, GROUP("all", ""));
    put(f, RULE("hot", "all", WHEN("t", "GreaterThan", "80")));
    say(f, "d1", "{\"t\":81}");
    pass(f, 2);
    char *id = id_of(f, 0), path[100];
    snprintf(path, sizeof path, ALARMS "/%s", id);
    sk_sim_disk_fail(f->hub_io, 1);
    set_status(f, id, "acknowledged");
    assert_int_not_equal(f->status, 200);
    fleet_call(f, SK_HTTP_DELETE, path, NULL);
    assert_int_not_equal(f->status, 204);
    sk_sim_disk_fail(f->hub_io, 0);
    fleet_shows(f, path, "Status", "\"open\"");
    set_status(f, id, "acknowledged");
    assert_int_equal(f->status, 200);
    fleet_shows(f, path, "Status", "\"acknowledged\"");
    free(id);
}

TEST(a_device_is_in_a_group_by_its_twin_as_it_is) {
    struct fleet *f = *state;
    put(f, GROUP("g", NORTH));
    put(f, RULE("hot", "g", WHEN("t", "GreaterThan", "0")));
    say(f, "d1", "{\"t\":1}");
    pass(f, 1);
    assert_int_equal(count(f, ALARMS), 0);
    tag(f, "d1", "north");
    say(f, "d1", "{\"t\":1}");
    pass(f, 1);
    assert_int_equal(count(f, ALARMS), 1);
    tag(f, "d1", "south");
    say(f, "d1", "{\"t\":1}");
    pass(f, 1);
    assert_int_equal(count(f, ALARMS), 1);
    put(f, "/config/v1/devicegroups/g",
        "{\"DisplayName\":\"g\",\"ETag\":\"*\",\"Conditions\":[{\"Key\":\"tags.Site\",\"Operator\":"
        "\"EQ\",\"Value\":\"south\"}]}");
    say(f, "d1", "{\"t\":1}");
    pass(f, 1);
    assert_int_equal(count(f, ALARMS), 2);
}

TEST(a_rule_that_is_disabled_or_deleted_finds_nothing_and_its_alarms_stay) {
    struct fleet *f = *state;
    put(f, GROUP("all", ""));
    put(f, RULE("hot", "all", WHEN("t", "GreaterThan", "0")));
    say(f, "d1", "{\"t\":1}");
    pass(f, 1);
    refused(f, RULE("hot", "all", "\"Enabled\":false,\"ETag\":\"none\"," WHEN("t", "Equals", "0")),
            412);
    put(f, RULE("hot", "all", "\"Enabled\":false,\"ETag\":\"*\"," WHEN("t", "GreaterThan", "0")));
    say(f, "d1", "{\"t\":1}");
    pass(f, 1);
    put(f, RULE("hot", "all", "\"ETag\":\"*\"," WHEN("t", "GreaterThan", "0")));
    pass(f, 1); /* what came meanwhile is not for it */
    assert_int_equal(count(f, ALARMS), 1);
    fleet_call(f, SK_HTTP_DELETE, "/config/v1/devicegroups/all", NULL);
    assert_int_equal(f->status, 400);
    fleet_call(f, SK_HTTP_DELETE, "/telemetry/v1/rules/hot", NULL);
    say(f, "d1", "{\"t\":1}");
    pass(f, 1);
    assert_int_equal(count(f, ALARMS), 1);
    assert_int_equal(count(f, "/telemetry/v1/rules"), 0);
    assert_int_equal(count(f, "/telemetry/v1/rules?includeDeleted=true"), 1);
    fleet_shows(f, "/telemetry/v1/rules/hot", "Deleted", "true");
    refused(f, RULE("hot", "all", WHEN("t", "GreaterThan", "0")), 400);
    fleet_call(f, SK_HTTP_DELETE, "/config/v1/devicegroups/all", NULL);
    assert_int_equal(count(f, "/config/v1/devicegroups"), 0);
}

static void count_changed(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    assert_int_equal(status, SK_OK);
    if (answer->status == 200)
        ++*(unsigned *)arg;
    else
        assert_int_equal(answer->status, 412);
}

TEST(of_many_who_change_the_same_version_of_a_rule_at_once_one_does) {
    static const char *const versions[] = {"\"MQ==\"", "\"Mg==\"", "\"Mw==\"", "\"NA==\"",
                                           "\"NQ==\""};
    static const char *const rule[] = {RULE("hot", "all", WHEN("t", "GreaterThan", "1"))};
    enum { WRITERS = 32, ROUNDS = sizeof versions / sizeof *versions };
    struct fleet *f = *state;
    struct sk_http_client *clients[WRITERS];
    struct sk_buffer token = {0}, target = {0};
    put(f, GROUP("all", ""));
    put(f, rule[0], rule[1]);
    sk_sas_create(&token, SK_SPAN("hub.test"), SK_SPAN(FLEET_KEY), SK_SPAN("owner"),
                  sk_io_wall(f->field_io) / 1000000 + 3600);
    sk_buffer_print(&target, "%s?api-version=2021-04-12", rule[0]);
    for (size_t i = 0; i < WRITERS; i++)
        sk_http_client_new(
            f->field_io, &(struct sk_http_client_options){.to = {.host = "hub.test", .port = 8883}},
            &clients[i]);
    for (size_t round = 0; round < ROUNDS; round++) {
        struct sk_http_pair headers[] = {{"Authorization", sk_buffer_span(&token)},
                                         {"If-Match", sk_span_z(versions[round])}};
        unsigned changed = 0;
        for (size_t i = 0; i < WRITERS; i++)
            sk_http_client_send(clients[i], &(struct sk_http_ask){.method = SK_HTTP_PUT,
                                                                  .target = sk_buffer_span(&target),
                                                                  .headers = headers,
                                                                  .header_count = 2,
                                                                  .body = sk_span_z(rule[1]),
                                                                  .done = count_changed,
                                                                  .arg = &changed});
        pass(f, 5);
        assert_int_equal(changed, 1);
    }
    for (size_t i = 0; i < WRITERS; i++) sk_http_client_free(clients[i]);
    sk_buffer_free(&token);
    sk_buffer_free(&target);
}

TEST(what_is_wrong_is_refused) {
    struct fleet *f = *state;
    refused(f, RULE("r", "none", WHEN("t", "GreaterThan", "0")), 400); /* no such group */
    refused(f, "/telemetry/v1/rules/a%20b", "{}", 400);
    put(f, GROUP("...", ""));
    refused(f, GROUP("..", ""), 400); /* a browser asks for the list instead */
    refused(f, GROUP("%2e", ""), 400);
    refused(f, RULE("%2e%2E", "...", WHEN("t", "GreaterThan", "0")), 400);
    fleet_call(f, SK_HTTP_DELETE, "/config/v1/devicegroups/...", NULL);
    refused(f, GROUP("g", "{\"Key\":\"Tags.x\",\"Operator\":\"EQ\",\"Value\":\"'\"}"), 400);
    fleet_call(f, SK_HTTP_GET, ALARMS "?from=yesterday", NULL);
    assert_int_equal(f->status, 400);
    fleet_call(f, SK_HTTP_GET, ALARMS "?limit=1001", NULL);
    assert_int_equal(f->status, 400);
    fleet_call(f, SK_HTTP_GET, ALARMS "?status=open,solved", NULL);
    assert_int_equal(f->status, 400);
    fleet_call(f, SK_HTTP_POST, ALARMS, "{\"Severity\":\"bad\"}");
    assert_int_equal(f->status, 400);
    fleet_call(f, SK_HTTP_POST, BY_RULE, "{\"Status\":\"\",\"Severity\":\"\"}");
    assert_int_equal(f->status, 200);
    fleet_call(f, SK_HTTP_POST, BY_RULE, "{\"Status\":1}");
    assert_int_equal(f->status, 400);
    fleet_call(f, SK_HTTP_GET, ALARMS "/none", NULL);
    assert_int_equal(f->status, 404);
    fleet_call(f, SK_HTTP_GET, BY_RULE "/none", NULL);
    assert_int_equal(f->status, 404);
    put(f, GROUP("g", ""));
    for (int i = 1; i <= 201; i++) {
        char path[64];
        snprintf(path, sizeof path, "/telemetry/v1/rules/r%d", i);
        fleet_call(f, SK_HTTP_PUT, path,
                   "{\"Name\":\"n\",\"GroupId\":\"g\"," WHEN("t", "Equals", "7") "}");
        assert_int_equal(f->status, i <= 200 ? 200 : 413);
    }
    for (int i = 2; i <= 65; i++) {
        char path[64];
        snprintf(path, sizeof path, "/config/v1/devicegroups/g%d", i);
        fleet_call(f, SK_HTTP_PUT, path, "{\"DisplayName\":\"n\"}");
        assert_int_equal(f->status, i <= 64 ? 200 : 413);
    }
}

static size_t alarm_events;

static void look(void *arg, const struct sk_message *message) {
    (void)arg;
    alarm_events += message->source == SK_SOURCE_ALARMS &&
                    memmem(message->body.p, message->body.n, "\"of hot\"", 8) != NULL;
}

TEST(routes_hear_of_alarms) {
    struct fleet *f = *state;
    const char *reason = fleet_reload(f, FLEET_TOML_HUB FLEET_TOML_OWNER
                                      "[[hub.route]]\nname = \"alarms\"\nsource = \"AlarmEvents\"\n"
                                      "condition = \"$body.Rule.Severity = 'Critical'\"\n");
    if (reason) fail_msg("%s", reason);
    put(f, GROUP("all", ""));
    put(f, RULE("hot", "all", WHEN("t", "GreaterThan", "5")));
    put(f, RULE("mild", "all", "\"Severity\":\"info\"," WHEN("t", "GreaterThan", "0")));
    say(f, "d1", "{\"t\":3}");
    say(f, "d1", "{\"t\":7}");
    pass(f, 2);
    assert_int_equal(count(f, ALARMS), 3);
    alarm_events = 0;
    fleet_read_events(f, look, NULL);
    assert_int_equal(alarm_events, 1);
}

/* An alarm for each message above 5 and for each minute whose average is above 5, once, whenever
 * the power goes. */
TEST(alarms_come_once_across_power_losses) {
    struct fleet *f = *state;
    put(f, GROUP("all", ""));
    put(f, RULE("now", "all", WHEN("t", "GreaterThan", "5")));
    put(f, RULE("minute", "all", AVERAGE WHEN("t", "GreaterThan", "5")));
    put(f, RULE("hour", "all",
                "\"Calculation\":\"Count\",\"TimePeriod\":\"3600000\"," WHEN("t", "GreaterThan",
                                                                             "1000")));
    size_t now = 0;
    for (int minute = 0; minute < 30; minute++) {
        for (int i = 0; i < 3; i++) {
            bool high = sk_sim_chance(f->sim, 2) == 0;
            say(f, i == 1 ? "d2" : "d1", high ? "{\"t\":9}" : "{\"t\":1}");
            now += high;
            if (sk_sim_chance(f->sim, 3) == 0) {
                sk_sim_run(f->sim, sk_sim_chance(f->sim, 3 * SK_S));
                fleet_fall(f);
            }
        }
        pass(f, 60);
    }
    pass(f, 90);
    size_t found = count(f, BY_RULE "/now");
    if (found != now) fail_msg("%zu of %zu", found, now);
    assert_int_equal(count(f, BY_RULE "/hour"), 0);
    /* Every window is found as one that no crash has hit would be. */
    json_t *alarms = list(f, BY_RULE "/minute");
    size_t windows = json_array_size(alarms);
    json_decref(alarms);
    fleet_fall(f);
    pass(f, 90);
    assert_int_equal(count(f, BY_RULE "/now"), now);
    assert_int_equal(count(f, BY_RULE "/minute"), windows);
    assert_true(windows > 5);
}

/* What a day's window holds is in memory alone, and is made again of the log. */
TEST(a_window_of_a_day_outlives_power_losses) {
    struct fleet *f = *state;
    put(f, GROUP("all", ""));
    put(f, RULE("day", "all",
                "\"Calculation\":\"Count\",\"TimePeriod\":\"86400000\"," WHEN("t", "Equals", "6")));
    for (int i = 0; i < 6; i++) {
        say(f, "d1", "{\"t\":1}");
        pass(f, 3 * 3600);
        fleet_fall(f);
    }
    assert_int_equal(count(f, ALARMS), 0);
    pass(f, 6 * 3600);
    assert_int_equal(count(f, ALARMS), 1);
    fleet_fall(f);
    pass(f, 3600);
    assert_int_equal(count(f, ALARMS), 1);
}

/* The items of a page, each behind the one before it by time; how many of them there are. */
static size_t page(struct fleet *f, const char *path, bool down, char last[64]) {
    json_t *items = list(f, path), *item;
    size_t n = json_array_size(items), i;
    json_array_foreach(items, i, item) {
        const char *id = json_string_value(json_object_get(item, "Id"));
        int order = strcmp(id, last);
        if (*last && (down ? order >= 0 : order <= 0)) fail_msg("%s behind %s", id, last);
        snprintf(last, 64, "%s", id);
    }
    json_decref(items);
    return n;
}

TEST(lists_of_many_alarms_have_each_once_over_many_turns) {
    enum { RULES = 20, MESSAGES = 75 };
    struct fleet *f = *state;
    put(f, GROUP("all", ""));
    for (int i = 0; i < RULES; i++) {
        char path[64];
        snprintf(path, sizeof path, "/telemetry/v1/rules/r%d", i);
        put(f, path, "{\"Name\":\"n\",\"GroupId\":\"all\"," WHEN("t", "GreaterThan", "0") "}");
    }
    for (int i = 0; i < MESSAGES; i++) {
        say(f, i % 2 ? "d1" : "d2", "{\"t\":1}");
        pass(f, 1);
    }
    char last[64] = "";
    assert_int_equal(page(f, ALARMS, false, last), 1000);
    assert_int_equal(page(f, ALARMS "?skip=1000", false, last), RULES * MESSAGES - 1000);
    *last = 0;
    assert_int_equal(page(f, ALARMS "?order=desc&limit=700", true, last), 700);
    assert_int_equal(page(f, ALARMS "?order=desc&skip=700", true, last), RULES * MESSAGES - 700);
    *last = 0;
    assert_int_equal(page(f, ALARMS "?order=desc&devices=d2", true, last), RULES * 38);
    fleet_shows(f, BY_RULE, "Items/19/Count", "75");
    fleet_shows(f, BY_RULE, "Items/20", NULL);
    fleet_shows(f, BY_RULE "?devices=d1", "Items/7/Open", "37");
}
