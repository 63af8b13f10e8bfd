/* The hub as a resource of Azure Resource Manager: what hub.toml says, for the owner's eyes
 * only. */
#include "support/raw_http.h"
#include "support/test.h"

#define HUB "/subscriptions/s-1/resourceGroups/any/providers/Microsoft.Devices/IotHubs/test"
#define TOML                                                                                       \
    FLEET_TOML_HUB "consumer_groups = [\"board\"]\n" FLEET_TOML_OWNER FLEET_TOML_READER            \
                   "[[hub.route]]\nname = \"hot\"\ncondition = \"t > 1\"\n"                        \
                   "[[hub.enrichment]]\nkey = \"site\"\nvalue = \"north\"\n"                       \
                   "[[hub.ip_filter]]\nname = \"all\"\nmask = \"0.0.0.0/0\"\n"                     \
                   "[hub.quota]\ntier = \"S2\"\nunits = 3\n"

AROUND(fleet_new_world, fleet_free_world);

TEST(a_hub_shows_what_its_file_says_in_arms_words) {
    static const char *const shown[][2] = {
        {"name", "\"test\""},
        {"type", "\"Microsoft.Devices/IotHubs\""},
        {"sku/name", "\"S2\""},
        {"sku/capacity", "3"},
        {"properties/hostName", "\"hub.test\""},
        {"properties/eventHubEndpoints/events/partitionCount", "4"},
        {"properties/eventHubEndpoints/events/retentionTimeInDays", "60"},
        {"properties/routing/routes/0/name", "\"hot\""},
        {"properties/routing/routes/0/condition", "\"t > 1\""},
        {"properties/routing/routes/0/endpointNames/0", "\"events\""},
        {"properties/routing/fallbackRoute/isEnabled", "true"},
        {"properties/routing/enrichments/0/key", "\"site\""},
        {"properties/cloudToDevice/maxDeliveryCount", "10"},
        {"properties/cloudToDevice/defaultTtlAsIso8601", "\"PT3600S\""},
        {"properties/ipFilterRules/0/ipMask", "\"0.0.0.0/0\""},
        {"properties/ipFilterRules/0/action", "\"Accept\""},
    };
    struct fleet *f = *state;
    const char *reason = fleet_reload(f, TOML);
    if (reason) fail_msg("%s", reason);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        fleet_shows(f, HUB, shown[i][0], shown[i][1]);
    fleet_shows(f, HUB "/eventHubEndpoints/events/ConsumerGroups", "value/0/name", "\"$Default\"");
    fleet_shows(f, HUB "/eventHubEndpoints/events/ConsumerGroups", "value/1/name", "\"board\"");
    fleet_shows(f, HUB "/eventHubEndpoints/events/ConsumerGroups/BOARD", "name", "\"board\"");
    fleet_call(f, SK_HTTP_GET, HUB "/eventHubEndpoints/events/ConsumerGroups/none", NULL);
    assert_int_equal(f->status, 404);
    fleet_call(f, SK_HTTP_GET, HUB "2", NULL);
    assert_int_equal(f->status, 404);
}

TEST(policies_are_listed_with_their_keys) {
    struct fleet *f = *state;
    fleet_call(f, SK_HTTP_POST, HUB "/listkeys", "");
    assert_int_equal(f->status, 200);
    json_t *list = json_loads(f->answer, 0, NULL);
    assert_string_equal(json_string_value(fleet_member(list, "value/0/keyName")), "owner");
    assert_string_equal(json_string_value(fleet_member(list, "value/0/primaryKey")), FLEET_KEY);
    assert_string_equal(json_string_value(fleet_member(list, "value/0/rights")),
                        "RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect");
    assert_string_equal(json_string_value(fleet_member(list, "value/1/rights")), "RegistryRead");
    json_decref(list);
    fleet_call(f, SK_HTTP_POST, HUB "/IotHubKeys/reader/listkeys", "");
    assert_int_equal(f->status, 200);
    fleet_call(f, SK_HTTP_POST, HUB "/IotHubKeys/none/listkeys", "");
    assert_int_equal(f->status, 404);
}

/* Whoever has less than all rights would get more by reading keys. */
TEST(only_a_policy_with_all_rights_sees_it) {
    static const char *const rights[] = {"\"RegistryRead\", \"RegistryWrite\", \"ServiceConnect\"",
                                         "\"RegistryRead\", \"ServiceConnect\", \"DeviceConnect\"",
                                         "\"ServiceConnect\""};
    struct fleet *f = *state;
    for (size_t i = 0; i < sizeof rights / sizeof *rights; i++) {
        struct sk_buffer toml = {0};
        sk_buffer_print(&toml,
                        FLEET_TOML_HUB FLEET_TOML_OWNER
                        "[[hub.policy]]\nname = \"less\"\nkeys = [\"" FLEET_KEY
                        "\"]\nrights = [%s]\n",
                        rights[i]);
        sk_buffer_byte(&toml, 0);
        const char *reason = fleet_reload(f, toml.p);
        if (reason) fail_msg("%s", reason);
        raw_gets(f, &(struct raw_ask){.target = HUB VERSION, .policy = "less"}, 401,
                 "IotHubUnauthorizedAccess", "less");
        raw_gets(f,
                 &(struct raw_ask){
                     .method = "POST", .target = HUB "/listkeys" VERSION, .policy = "less"},
                 401, "IotHubUnauthorizedAccess", "");
        sk_buffer_free(&toml);
    }
    raw_gets(
        f,
        &(struct raw_ask){.target = HUB VERSION, .policy = "", .resource = "hub.test/devices/d1"},
        401, "IotHubUnauthorizedAccess", "");
}
