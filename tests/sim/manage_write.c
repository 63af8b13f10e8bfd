/* The hub is changed as a resource of Azure Resource Manager: it is so at once, hub.toml says so
 * with every word that people wrote there, and what cannot be leaves everything as it was. */
#include "support/raw_amqp.h"
#include "support/raw_http.h"
#include "support/test.h"

#define HUB "/subscriptions/s-1/resourceGroups/any/providers/Microsoft.Devices/IotHubs/test"
#define GROUPS HUB "/eventHubEndpoints/events/ConsumerGroups"
#define OTHER_KEY "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA="
#define TOML                                                                                       \
    "# of the plant\n" FLEET_TOML_HUB "consumer_groups = [\"board\"] # readers\n\n"                \
    "# ours\n" FLEET_TOML_OWNER "\n# theirs, since May\n" FLEET_TOML_READER                        \
    "\n# too warm\n[[hub.route]]\nname = \"hot\" # !\ncondition = \"t > 1\"\n\n# the end\n"

static int start(void **state) {
    fleet_new_world(state);
    const char *reason = fleet_reload(*state, TOML);
    if (reason) fail_msg("%s", reason);
    return 0;
}

AROUND(start, fleet_free_world);

/* What hub.toml says now; the caller frees it. */
static char *text_of_file(struct fleet *f) {
    struct sk_buffer text = {0};
    assert_int_equal(sk_file_load(f->hub_io, "hub.toml", &text), SK_OK);
    sk_buffer_byte(&text, 0);
    return text.p;
}

/* TOML with one piece of it replaced; the caller frees it. */
static char *with(const char *piece, const char *instead) {
    struct sk_buffer text = {0};
    const char *at = strstr(TOML, piece);
    assert_non_null(at);
    sk_buffer_append(&text, sk_span(TOML, (size_t)(at - TOML)));
    sk_buffer_print(&text, "%s%s", instead, at + strlen(piece));
    sk_buffer_byte(&text, 0);
    return text.p;
}

static void file_is(struct fleet *f, char *expected) {
    char *text = text_of_file(f);
    assert_string_equal(text, expected);
    free(text);
    free(expected);
}

static void call(struct fleet *f, enum sk_http_method method, const char *path, const char *body,
                 unsigned status) {
    fleet_send(f, method, path, body, false);
    if (f->status != status)
        fail_msg("%u %s: %.500s %.500s", f->status, f->answer ? f->answer : "", path, body);
}

static void put(struct fleet *f, const char *properties, unsigned status) {
    struct sk_buffer body = {0};
    sk_buffer_print(&body, "{\"location\":\"local\",\"properties\":{%s}}", properties);
    sk_buffer_byte(&body, 0);
    call(f, SK_HTTP_PUT, HUB, body.p, status);
    sk_buffer_free(&body);
}

static void is_refused(struct fleet *f, const char *properties, const char *words) {
    put(f, properties, 400);
    if (strstr(f->answer, words) == NULL) fail_msg("no '%s' in: %s", words, f->answer);
    file_is(f, sk_text_dup(TOML));
}

#define POLICY(name, first, second, rights)                                                        \
    "{\"keyName\":\"" name "\",\"primaryKey\":\"" first "\",\"secondaryKey\":\"" second            \
    "\",\"rights\":\"" rights "\"}"
#define OWNER                                                                                      \
    POLICY("owner", FLEET_KEY, "", "RegistryWrite, ServiceConnect, DeviceConnect, RegistryRead")
#define READER POLICY("reader", FLEET_KEY, "", "RegistryRead")

/* ---- what is written ---- */

TEST(what_a_hub_shows_can_be_put_back_and_the_file_stays_to_the_byte) {
    struct fleet *f = *state;
    fleet_call(f, SK_HTTP_GET, HUB, NULL);
    char *shown = sk_text_dup(f->answer);
    call(f, SK_HTTP_PUT, HUB, shown, 200);
    assert_string_equal(f->answer, shown);
    free(shown);
    file_is(f, sk_text_dup(TOML));
}

TEST(a_policy_comes_opens_and_goes) {
    struct fleet *f = *state;
    struct raw_ask ask = {.target = "/devices/d1" VERSION, .policy = "new", .key = OTHER_KEY};
    put(f,
        "\"authorizationPolicies\":[" OWNER "," READER
        "," POLICY("new", OTHER_KEY, FLEET_KEY, "RegistryRead, ServiceConnect") "]",
        200);
    raw_gets(f, &ask, 200, NULL, "\"d1\"");
    file_is(f, with("rights = [\"RegistryRead\"]\n\n# too",
                    "rights = [\"RegistryRead\"]\n\n[[hub.policy]]\nname = \"new\"\nkeys = "
                    "[\"" OTHER_KEY "\", \"" FLEET_KEY
                    "\"]\nrights = [\"RegistryRead\", \"ServiceConnect\"]\n\n# too"));
    put(f, "\"authorizationPolicies\":[" OWNER "," READER "]", 200);
    raw_gets(f, &ask, 401, "IotHubUnauthorized", "");
    file_is(f, sk_text_dup(TOML));
}

TEST(a_policy_without_keys_gets_some_and_one_that_has_keys_keeps_them) {
    struct fleet *f = *state;
    put(f,
        "\"authorizationPolicies\":[{\"keyName\":\"owner\"},{\"keyName\":\"reader\"},"
        "{\"keyName\":\"new\",\"rights\":\"ServiceConnect\"}]",
        200);
    call(f, SK_HTTP_POST, HUB "/listkeys", "", 200);
    json_t *list = json_loads(f->answer, 0, NULL);
    assert_string_equal(json_string_value(fleet_member(list, "value/0/primaryKey")), FLEET_KEY);
    assert_int_equal(json_string_length(fleet_member(list, "value/2/primaryKey")), 44);
    assert_int_equal(json_string_length(fleet_member(list, "value/2/secondaryKey")), 44);
    json_decref(list);
}

TEST(a_key_that_is_replaced_ends_what_it_has_opened) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link link = {0};
    put(f,
        "\"authorizationPolicies\":[" OWNER "," READER
        "," POLICY("svc", OTHER_KEY, "", "ServiceConnect") "]",
        200);
    raw_amqp_open(&c, f, &(struct raw_amqp_options){.anonymous = true});
    raw_amqp_open_cbs(&c);
    assert_int_equal(raw_amqp_token_of(&c, "hub.test", OTHER_KEY, "svc", 3600), 200);
    raw_link_sender(&c, &link, "/messages/deviceBound");
    put(f,
        "\"authorizationPolicies\":[" OWNER "," READER
        "," POLICY("svc", FLEET_KEY, "", "ServiceConnect") "]",
        200);
    raw_link_expect_end(&link, "amqp:unauthorized-access");
    raw_amqp_free(&c);
}

TEST(consumer_groups_come_and_go_beside_their_comment) {
    struct fleet *f = *state;
    call(f, SK_HTTP_PUT, GROUPS "/archive", "{\"properties\":{\"name\":\"archive\"}}", 200);
    assert_non_null(strstr(f->answer, "\"archive\""));
    file_is(f, with("[\"board\"] # readers", "[\"board\", \"archive\"] # readers"));
    call(f, SK_HTTP_PUT, GROUPS "/ARCHIVE", "", 200); /* it is there */
    file_is(f, with("[\"board\"] # readers", "[\"board\", \"archive\"] # readers"));
    call(f, SK_HTTP_DELETE, GROUPS "/board", "", 200);
    file_is(f, with("[\"board\"] # readers", "[\"archive\"] # readers"));
    call(f, SK_HTTP_DELETE, GROUPS "/archive", "", 200);
    file_is(f, with("consumer_groups = [\"board\"] # readers\n", ""));
    call(f, SK_HTTP_DELETE, GROUPS "/archive", "", 404);
    call(f, SK_HTTP_DELETE, GROUPS "/$Default", "", 400);
    call(f, SK_HTTP_PUT, GROUPS "/$default", "", 200);
    call(f, SK_HTTP_PUT, GROUPS "/no%20name", "", 400);
}

TEST(twenty_consumer_groups_fit_and_one_more_does_not) {
    struct fleet *f = *state;
    char path[sizeof GROUPS + 16];
    for (int i = 2; i <= SK_HUB_CONSUMER_GROUPS_MAX + 1; i++) {
        snprintf(path, sizeof path, GROUPS "/g%d", i);
        call(f, SK_HTTP_PUT, path, "", i <= SK_HUB_CONSUMER_GROUPS_MAX ? 200 : 400);
    }
    fleet_shows(f, GROUPS, "value/20/name", "\"g20\"");
    fleet_shows(f, GROUPS, "value/21", NULL);
}

static void note_stamp(void *arg, const struct sk_message *message) {
    const struct sk_property *p = sk_message_property(message, SK_SPAN("site"));
    snprintf(arg, 32, "%.*s", p ? (int)p->value.n : 0, p ? p->value.p : "");
}

TEST(routing_changes_for_the_next_message) {
    struct fleet *f = *state;
    char stamp[32] = "";
    put(f,
        "\"routing\":{\"endpoints\":{\"eventHubs\":[{\"name\":\"far\",\"connectionString\":"
        "\"Endpoint=sb://far.test/;SharedAccessKeyName=n;SharedAccessKey=" FLEET_KEY
        "\",\"entityPath\":\"e\"}],\"custom\":[{\"name\":\"hook\",\"type\":\"webhook\",\"to\":"
        "\"https://far.test/x?secret\",\"headers\":[\"Authorization: x\"]}]},"
        "\"routes\":[{\"name\":\"hot\",\"condition\":\"t > 2\",\"source\":\"DeviceMessages\"},"
        "{\"name\":\"all\",\"source\":\"TwinChangeEvents\",\"endpointNames\":[\"far\",\"hook\"],"
        "\"isEnabled\":false}],\"enrichments\":[{\"key\":\"site\",\"value\":\"north\"}]}",
        200);
    fleet_call(f, SK_HTTP_POST, "/devices/d1/messages/events", "x");
    assert_int_equal(fleet_read_events(f, note_stamp, stamp), 1);
    assert_string_equal(stamp, "north");
    fleet_shows(f, HUB, "properties/routing/endpoints/eventHubs/0/connectionString",
                "\"Endpoint=sb://far.test/;SharedAccessKeyName=n;SharedAccessKey=****\"");
    fleet_shows(f, HUB, "properties/routing/endpoints/custom/0/to", "\"****\"");
    fleet_shows(f, HUB, "properties/routing/endpoints/custom/0/headers/0", "\"****\"");
    fleet_shows(f, HUB, "properties/routing/routes/0/condition", "\"t > 2\"");
    fleet_shows(f, HUB, "properties/routing/routes/1/isEnabled", "false");
    char *text = text_of_file(f);
    assert_non_null(strstr(text, "# too warm\n[[hub.route]]\nname = \"hot\" # !\ncondition = "
                                 "\"t > 2\"\n\n[[hub.route]]\nname = \"all\"\n"));
    call(f, SK_HTTP_GET, HUB, "", 200);
    char *shown = sk_text_dup(f->answer);
    call(f, SK_HTTP_PUT, HUB, shown, 200); /* secrets that come back as they were shown stay */
    free(shown);
    file_is(f, text);
    put(f,
        "\"routing\":{\"endpoints\":{\"eventHubs\":[],\"custom\":[]},\"routes\":[{\"name\":\"hot\","
        "\"condition\":\"t > 1\"}],\"enrichments\":[]}",
        200);
    file_is(f, with("# the end\n", "# the end\n"));
}

TEST(what_has_a_key_in_the_file_has_a_member) {
    static const char *const members[][3] = {
        {"\"cloudToDevice\":{\"maxDeliveryCount\":7}", "cloudToDevice/maxDeliveryCount", "7"},
        {"\"cloudToDevice\":{\"defaultTtlAsIso8601\":\"PT2H\",\"feedback\":{\"ttlAsIso8601\":"
         "\"PT30M\"}}",
         "cloudToDevice/feedback/ttlAsIso8601", "\"PT1800S\""},
        {"\"eventHubEndpoints\":{\"events\":{\"retentionTimeInDays\":3}}",
         "eventHubEndpoints/events/retentionTimeInDays", "3"},
        {"\"enableFileUploadNotifications\":false", "enableFileUploadNotifications", "false"},
        {"\"messagingEndpoints\":{\"fileNotifications\":{\"maxDeliveryCount\":9}}",
         "messagingEndpoints/fileNotifications/maxDeliveryCount", "9"},
        {"\"storageEndpoints\":{\"$default\":{\"sasTtlAsIso8601\":\"PT2H\",\"containerName\":"
         "\"boxes\",\"connectionString\":\"\"}}",
         "storageEndpoints/$default/containerName", "\"boxes\""},
        {"\"ipFilterRules\":[{\"filterName\":\"bad\",\"action\":\"Reject\",\"ipMask\":"
         "\"203.0.113.0/24\"},{\"filterName\":\"all\",\"action\":\"Accept\",\"ipMask\":"
         "\"0.0.0.0/0\"}]",
         "ipFilterRules/0/filterName", "\"bad\""},
        {"\"ipFilterRules\":[{\"filterName\":\"all\",\"action\":\"Accept\",\"ipMask\":"
         "\"0.0.0.0/0\"},{\"filterName\":\"bad\",\"action\":\"Reject\",\"ipMask\":"
         "\"203.0.113.0/24\"}]",
         "ipFilterRules/1/filterName", "\"bad\""},
        {"\"networkRuleSets\":{\"defaultAction\":\"Deny\",\"applyToBuiltInEventHubEndpoint\":false,"
         "\"ipRules\":[{\"filterName\":\"ok\",\"action\":\"Allow\",\"ipMask\":\"0.0.0.0/0\"}]}",
         "networkRuleSets/ipRules/0/action", "\"Allow\""},
        {"\"routing\":{\"fallbackRoute\":{\"name\":\"$fallback\",\"source\":\"DeviceMessages\","
         "\"condition\":\"true\",\"endpointNames\":[\"events\"],\"isEnabled\":false}}",
         "routing/fallbackRoute/isEnabled", "false"},
    };
    struct fleet *f = *state;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        char path[128];
        put(f, members[i][0], 200);
        snprintf(path, sizeof path, "properties/%s", members[i][1]);
        fleet_shows(f, HUB, path, members[i][2]);
    }
    call(f, SK_HTTP_PATCH, HUB, "{\"tags\":{\"site\":\"north\"}}", 200);
    fleet_shows(f, HUB, "tags/site", "\"north\"");
    call(f, SK_HTTP_PUT, HUB, "{\"sku\":{\"name\":\"S2\",\"tier\":\"Standard\",\"capacity\":2}}",
         200);
    fleet_shows(f, HUB, "sku/name", "\"S2\"");
    fleet_shows(f, HUB, "tags/site", "\"north\"");
}

/* ---- what is not ---- */

TEST(what_cannot_be_is_refused_by_name_and_nothing_changes) {
    struct fleet *f = *state;
    is_refused(f, "\"authorizationPolicies\":[" READER "]", "one with all rights must stay");
    is_refused(f, "\"authorizationPolicies\":[" OWNER "," OWNER "]", "twice");
    is_refused(f, "\"authorizationPolicies\":[" OWNER ",{\"rights\":\"ServiceConnect\"}]",
               "needs its keyName");
    is_refused(f, "\"authorizationPolicies\":{}", "is an array");
    is_refused(
        f, "\"authorizationPolicies\":[" OWNER "," POLICY("x", "short", "", "ServiceConnect") "]",
        "keys, each base64");
    is_refused(f, "\"authorizationPolicies\":[" OWNER "," POLICY("x", FLEET_KEY, "", "Owner") "]",
               "rights are");
    is_refused(f, "\"routing\":{\"routes\":[{\"name\":\"r\",\"condition\":\"a = \"}]}", "column");
    is_refused(f, "\"routing\":{\"routes\":[{\"name\":\"r\",\"endpointNames\":[\"none\"]}]}",
               "there is no endpoint 'none'");
    is_refused(f, "\"routing\":{\"routes\":[{\"name\":\"r\",\"isEnabled\":7}]}", "enabled");
    is_refused(f, "\"routing\":{\"routes\":[{\"name\":\"r\",\"endpoint\":\"x\"}]}",
               "a route has no 'endpoint'");
    is_refused(f, "\"routing\":{\"endpoints\":{\"cosmosDBSqlContainers\":[{\"name\":\"s\"}]}}",
               "cosmosDBSqlContainers");
    is_refused(f,
               "\"routing\":{\"endpoints\":{\"custom\":[{\"name\":\"s\",\"type\":\"folder\","
               "\"to\":\"/etc\"}]}}",
               "in hub.toml only");
    is_refused(f,
               "\"routing\":{\"endpoints\":{\"custom\":[{\"name\":\"s\",\"type\":\"webhook\","
               "\"to\":\"https://x\",\"ca\":\"/etc/shadow\"}]}}",
               "in hub.toml only");
    is_refused(f, "\"routing\":{\"fallbackRoute\":{\"condition\":\"a = 1\"}}",
               "fallbackRoute.condition");
    is_refused(f, "\"eventHubEndpoints\":{\"events\":{\"partitionCount\":8}}",
               "partitions: counts from a start on");
    is_refused(f, "\"eventHubEndpoints\":{\"other\":{}}", "eventHubEndpoints.other");
    is_refused(f, "\"disableLocalAuth\":true", "disableLocalAuth: it cannot be changed");
    is_refused(f, "\"comments\":\"x\"", "comments: a hub has no such thing here");
    is_refused(f, "\"cloudToDevice\":7", "cloudToDevice is an object");
    is_refused(f, "\"cloudToDevice\":{\"maxDeliveryCount\":0}", "max_delivery_count");
    is_refused(f, "\"ipFilterRules\":[{\"filterName\":\"x\",\"ipMask\":\"no\"}]", "address");
    call(f, SK_HTTP_PATCH, HUB, "{\"tags\":{\"a\":1}}", 400);
    call(f, SK_HTTP_PATCH, HUB, "{\"tags\":{},\"sku\":{}}", 400);
    call(f, SK_HTTP_PUT, HUB "2", "{}", 404);
    file_is(f, sk_text_dup(TOML));
}

/* Each rule is two values, or three, beside four around them. */
static void put_rules(struct fleet *f, unsigned count, unsigned with_action, const char *words) {
    struct sk_buffer list = {0};
    for (unsigned i = 0; i < count; i++)
        sk_buffer_print(&list, "%s{\"filterName\":\"r%u\"%s}", i ? "," : "\"ipFilterRules\":[", i,
                        i < with_action ? ",\"action\":\"Accept\"" : "");
    sk_buffer_byte(&list, ']');
    sk_buffer_byte(&list, 0);
    is_refused(f, list.p, words);
    sk_buffer_free(&list);
}

TEST(what_is_far_too_much_is_refused_before_it_is_compared) {
    struct fleet *f = *state;
    put_rules(f, 2497, 2, "at most 100 tables");
    put_rules(f, 2497, 3, "at most 5000 values");
    is_refused(f, "\"comments\":[[[[[[[[[[[[[1]]]]]]]]]]]]]", "no such thing");
    is_refused(f, "\"comments\":[[[[[[[[[[[[[[1]]]]]]]]]]]]]]", "16 deep");
}

static void put_tags(struct fleet *f, unsigned count, unsigned status) {
    struct sk_buffer body = {0};
    for (unsigned i = 0; i < count; i++)
        sk_buffer_print(&body, "%s\"t%u\":\"\"", i ? "," : "{\"tags\":{", i);
    sk_buffer_text(&body, "}}");
    sk_buffer_byte(&body, 0);
    call(f, SK_HTTP_PATCH, HUB, body.p, status);
    sk_buffer_free(&body);
}

TEST(fifty_tags_fit_and_one_more_does_not) {
    struct fleet *f = *state;
    put_tags(f, 50, 200);
    put_tags(f, 51, 400);
    assert_non_null(strstr(f->answer, "a table of at most 50 texts"));
}

/* A tag whose text has so many bytes in the file, where a DEL has six. */
static void put_tag(struct fleet *f, size_t n, unsigned status) {
    struct sk_buffer body = {0};
    sk_buffer_text(&body, "{\"tags\":{\"a\":\"");
    for (; n >= 6; n -= 6) sk_buffer_byte(&body, 0x7f);
    while (n--) sk_buffer_byte(&body, 'x');
    sk_buffer_text(&body, "\"}}");
    sk_buffer_byte(&body, 0);
    call(f, SK_HTTP_PATCH, HUB, body.p, status);
    sk_buffer_free(&body);
}

TEST(the_file_does_not_grow_beyond_what_a_start_reads) {
    struct fleet *f = *state;
    struct sk_hub_config next;
    char error[SK_HUB_CONFIG_ERROR_MAX];
    put_tag(f, 0, 200);
    char *text = text_of_file(f);
    size_t room = SK_HUB_CONFIG_BYTES_MAX - strlen(text);
    free(text);
    put_tag(f, room + 1, 400);
    assert_non_null(strstr(f->answer, "has at most 1048576 bytes"));
    put_tag(f, room, 200);
    if (sk_hub_config_load(f->hub_io, "hub.toml", &next, NULL, error)) fail_msg("%s", error);
    sk_hub_config_free(&next);
    put_tag(f, 0, 200);
}

static unsigned put_if(struct fleet *f, const char *etag) {
    char headers[100];
    struct raw_answer answer;
    snprintf(headers, sizeof headers, "If-Match: %s\r\n", etag);
    raw_asks(f,
             &(struct raw_ask){.method = "PATCH",
                               .target = HUB VERSION,
                               .headers = headers,
                               .body = SK_SPAN("{\"tags\":{\"a\":\"b\"}}")},
             &answer);
    unsigned status = answer.parser.status;
    sk_http_parser_free(&answer.parser);
    return status;
}

TEST(who_has_seen_another_version_changes_nothing) {
    struct fleet *f = *state;
    char first[64];
    fleet_call(f, SK_HTTP_GET, HUB, NULL);
    json_t *hub = json_loads(f->answer, 0, NULL);
    snprintf(first, sizeof first, "\"%s\"", json_string_value(json_object_get(hub, "etag")));
    json_decref(hub);
    assert_int_equal(put_if(f, "\"AAAA\""), 412);
    file_is(f, sk_text_dup(TOML));
    assert_int_equal(put_if(f, first), 200);
    assert_int_equal(put_if(f, first), 412);
    assert_int_equal(put_if(f, "*"), 200);
    call(f, SK_HTTP_PUT, HUB, "{\"etag\":\"AAAA\",\"tags\":{}}", 412);
}

/* Nobody has said yet that it shall count. */
TEST(a_file_that_somebody_has_changed_meanwhile_is_not_written_over) {
    struct fleet *f = *state;
    char *theirs = with("t > 1", "t > 5"), *said = with("# the end", "# the very end");
    assert_int_equal(sk_file_save(f->hub_io, "hub.toml", sk_span_z(theirs), 0600), SK_OK);
    call(f, SK_HTTP_PUT, GROUPS "/new", "", 412);
    assert_non_null(strstr(f->answer, "skerry-hub reload"));
    file_is(f, theirs);
    assert_int_equal(sk_file_save(f->hub_io, "hub.toml", sk_span_z(said), 0600), SK_OK);
    free(said);
    call(f, SK_HTTP_PUT, GROUPS "/new", "", 200); /* comments are free */
    char *text = text_of_file(f);
    assert_non_null(strstr(text, "# the very end"));
    free(text);
}

TEST(on_a_full_disk_nothing_changes) {
    struct fleet *f = *state;
    sk_sim_disk_limit(f->hub_io, 1);
    call(f, SK_HTTP_PUT, GROUPS "/new", "", 403);
    assert_non_null(strstr(f->answer, "cannot be written"));
    sk_sim_disk_limit(f->hub_io, UINT64_MAX);
    file_is(f, sk_text_dup(TOML));
    fleet_shows(f, GROUPS, "value/2", NULL);
    call(f, SK_HTTP_PUT, GROUPS "/new", "", 200);
}

/* Whatever the hub starts with next is what hub.toml says. */
static void start_again(struct fleet *f, enum sk_sim_loss loss) {
    char error[SK_HUB_CONFIG_ERROR_MAX];
    struct sk_hub_config next;
    if (!sk_sim_is_dead(f->hub_io)) sk_sim_power_cut(f->hub_io, loss);
    sk_hub_server_stop(f->hub, NULL, NULL);
    f->hub_io = sk_sim_power_on(f->hub_io);
    watch_detach(f->watch, true);
    if (sk_hub_config_load(f->hub_io, "hub.toml", &next, NULL, error)) fail_msg("%s", error);
    sk_hub_config_free(&f->config);
    f->config = next;
    fleet_start_hub(f);
}

TEST(power_that_is_lost_at_any_write_leaves_the_former_file_or_the_new_one) {
    struct fleet *f = *state;
    unsigned kept = 0, changed = 0, answered = 0;
    for (unsigned loss = 0; loss < 3; loss++)
        for (uint64_t writes = 0; writes < 5; writes++) {
            char path[sizeof GROUPS + 16], quoted[16];
            snprintf(path, sizeof path, GROUPS "/g%u", (unsigned)writes);
            snprintf(quoted, sizeof quoted, "\"g%u\"", (unsigned)writes);
            sk_sim_power_cut_after(f->hub_io, writes, (enum sk_sim_loss)loss);
            fleet_send(f, SK_HTTP_PUT, path, "", false);
            unsigned status = f->status;
            start_again(f, (enum sk_sim_loss)loss);
            char *text = text_of_file(f);
            bool is_new = strstr(text, quoted) != NULL;
            assert_non_null(strstr(text, "# the end"));
            if (status == 200) assert_true(is_new);
            free(text);
            answered += status == 200;
            changed += is_new;
            kept += !is_new;
            fleet_call(f, SK_HTTP_GET, path, NULL);
            assert_int_equal(f->status, is_new ? 200 : 404);
            if (is_new) call(f, SK_HTTP_DELETE, path, "", 200);
        }
    assert_true(kept > 0 && changed > 0 && answered > 0);
}

/* The answer still comes; the way back is the file. */
TEST(who_shuts_himself_out_is_told_that_it_is_done) {
    struct fleet *f = *state;
    put(f, "\"networkRuleSets\":{\"defaultAction\":\"Deny\"}", 200);
    fleet_call(f, SK_HTTP_GET, HUB, NULL);
    assert_int_equal(f->status, 401);
    assert_null(fleet_reload(f, TOML));
    call(f, SK_HTTP_GET, HUB, "", 200);
}

TEST(whoever_loses_his_key_by_his_own_change_is_told_that_it_is_done) {
    struct fleet *f = *state;
    struct raw_ask other = {.target = HUB VERSION, .policy = "owner", .key = OTHER_KEY};
    put(f,
        "\"authorizationPolicies\":[" POLICY(
            "owner", OTHER_KEY, "",
            "RegistryWrite, ServiceConnect, DeviceConnect, RegistryRead") "]",
        200);
    fleet_call(f, SK_HTTP_GET, HUB, NULL);
    assert_int_equal(f->status, 401);
    raw_gets(f, &other, 200, NULL, "\"test\"");
}

TEST(each_change_is_a_record) {
    struct fleet *f = *state;
    char *toml = with("consumer_groups", "records.folder = \"/records\"\nconsumer_groups");
    struct sk_buffer text = {0};
    assert_null(fleet_reload(f, toml));
    free(toml);
    call(f, SK_HTTP_PUT, GROUPS "/archive", "", 200);
    call(f, SK_HTTP_PATCH, HUB, "{\"tags\":{\"a\":\"b\"}}", 200);
    put(f, "\"comments\":\"x\"", 400);
    sk_sim_run(f->sim, 10 * SK_S);
    assert_int_equal(sk_file_load(f->hub_io, "/records/test.jsonl", &text), SK_OK);
    sk_buffer_byte(&text, 0);
    static const char *const said[] = {"createConsumerGroup", "patchHub",
                                       "updateHub",           "archive",
                                       "Administrative",      "\"resultType\":\"400004\""};
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        if (strstr(text.p, said[i]) == NULL) fail_msg("no %s in %s", said[i], text.p);
    sk_buffer_free(&text);
}

/* Clients of ARM send their tokens so; elsewhere it is no token. */
TEST(a_signature_may_be_a_bearer_token_below_subscriptions) {
    static const char *const targets[] = {HUB VERSION, "/devices/d1" VERSION};
    struct fleet *f = *state;
    for (size_t i = 0; i < 2; i++) {
        struct sk_buffer token = {0}, headers = {0};
        struct raw_answer answer;
        sk_sas_create(&token, SK_SPAN("hub.test"), SK_SPAN(FLEET_KEY), SK_SPAN("owner"),
                      sk_io_wall(f->field_io) / 1000000 + 3600);
        sk_buffer_print(&headers, "Authorization: Bearer %.*s\r\n", SK_ARG(sk_buffer_span(&token)));
        sk_buffer_byte(&headers, 0);
        raw_asks(f, &(struct raw_ask){.target = targets[i], .no_token = true, .headers = headers.p},
                 &answer);
        assert_int_equal(answer.parser.status, i ? 401 : 200);
        sk_http_parser_free(&answer.parser);
        sk_buffer_free(&token);
        sk_buffer_free(&headers);
    }
}

TEST(errors_have_the_members_that_clients_of_arm_read) {
    struct fleet *f = *state;
    call(f, SK_HTTP_GET, GROUPS "/none", "", 404);
    json_t *error = json_loads(f->answer, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(error, "code")), "GenericNotFound");
    assert_string_equal(json_string_value(json_object_get(error, "httpStatusCode")), "404");
    assert_string_equal(json_string_value(json_object_get(error, "message")),
                        "there is no consumer group 'none'");
    json_decref(error);
}
