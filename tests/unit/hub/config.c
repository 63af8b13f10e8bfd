/* hub.toml: what is taken, and that every mistake is named with file, line, key and the mend. */

#include <stdio.h>

#include "hub/server/server.h"
#include "support/config_walk.h"
#include "support/test.h"

#define LISTEN                                                                                     \
    "[listen]\naddresses = [\"0.0.0.0:8883\"]\ncertificate = \"c.pem\"\nkey = \"/k.pem\"\n"
#define HUB "[[hub]]\nname = \"h\"\nhostnames = [\"h.test\"]\ndata = \"data\"\n"
#define KEY "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define ENDPOINT(name, to)                                                                         \
    "[[hub.endpoint]]\nname = \"" name "\"\ntype = \"webhook\"\nto = \"" to "\"\n"
#define POLICY "[[hub.policy]]\nname = \"p\"\nkeys = [\"" KEY "\"]\nrights = [\"ServiceConnect\"]\n"

TEST(the_disk_keeps_a_reserve_unless_the_file_says_otherwise) {
    static const struct {
        const char *line;
        uint64_t bytes;
    } cases[] = {{"", 256ull << 20}, {"reserve_bytes = 0\n", 0}, {"reserve_bytes = 4096\n", 4096}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sk_hub_config config;
        char error[SK_HUB_CONFIG_ERROR_MAX], text[600];
        snprintf(text, sizeof text,
                 "[listen]\naddresses = [\"a:1\"]\ncertificate = \"c\"\nkey = \"k\"\n" HUB "%s",
                 cases[i].line);
        if (sk_hub_config_parse(sk_span_z(text), "h.toml", "", &config, error))
            fail_msg("%s", error);
        assert_true(config.hubs[0].reserve_bytes == cases[i].bytes);
        sk_hub_config_free(&config);
    }
}

/* Each SDK dials one port and cannot be told another. */
TEST(an_address_without_a_port_stands_for_the_ports_that_sdks_dial) {
    struct sk_hub_config config;
    char error[SK_HUB_CONFIG_ERROR_MAX];
    enum sk_status status =
        sk_hub_config_parse(SK_SPAN("[listen]\naddresses = [\"127.0.0.2\", \"[::1]:1443\"]\n"
                                    "certificate = \"c.pem\"\nkey = \"k.pem\"\n" HUB),
                            "h.toml", "", &config, error);
    if (status) fail_msg("%s", error);
    static const uint16_t ports[] = {8883, 5671, 443};
    assert_int_equal(config.address_count, 4);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(config.addresses[i].host, "127.0.0.2");
        assert_int_equal(config.addresses[i].port, ports[i]);
    }
    assert_string_equal(config.addresses[3].host, "::1");
    assert_int_equal(config.addresses[3].port, 1443);
    sk_hub_config_free(&config);
}

TEST(a_whole_configuration_is_read) {
    struct sk_hub_config config;
    char error[SK_HUB_CONFIG_ERROR_MAX];
    const char *text =
        "[listen]\naddresses = [\"0.0.0.0:8883\", \"[::1]:443\"]\ncertificate = \"c.pem\"\nkey = "
        "\"/k.pem\"\n"
        "metrics = \"127.0.0.1:9600\"\nallowed_origins = [\"https://tool.example\"]\n" HUB
        "retention = \"12h\"\nretention_bytes = 5\npartitions = 32\nconsumer_groups = "
        "[\"a.B_c-9\"]\n"
        "take_events = true\n" POLICY
        "[[hub.route]]\nname = \"r\"\nsource = \"DeviceMessages\"\ncondition = \"a = 1\"\nenabled "
        "= false\n"
        "[hub.fallback]\nenabled = false\n[hub.chaos]\nenabled = true\n[[hub.ca]]\nfile = "
        "\"ca.pem\"\nverified = true\n";
    if (sk_hub_config_parse(sk_span_z(text), "h.toml", "/etc/skerry", &config, error))
        fail_msg("%s", error);
    assert_int_equal(config.address_count, 2);
    assert_string_equal(config.addresses[1].host, "::1");
    assert_int_equal(config.addresses[1].port, 443);
    assert_string_equal(config.certificate,
                        "/etc/skerry/c.pem"); /* relative to the file's folder */
    assert_string_equal(config.key, "/k.pem");
    assert_int_equal(config.metrics.port, 9600);
    assert_int_equal(config.origin_count, 1);
    assert_true(sk_span_is(config.origins[0], "https://tool.example"));
    assert_int_equal(config.hub_count, 1);
    const struct sk_hub_options *hub = &config.hubs[0];
    assert_string_equal(hub->data, "/etc/skerry/data");
    assert_int_equal(hub->retention_us, 12ll * 3600 * 1000000);
    assert_int_equal(hub->retention_bytes, 5);
    assert_int_equal(hub->partitions, 32);
    assert_int_equal(hub->consumer_group_count, 1);
    assert_string_equal(hub->consumer_groups[0], "a.B_c-9");
    assert_true(hub->take_events);
    assert_int_equal(hub->policies[0].rights, SK_RIGHT_SERVICE_CONNECT);
    assert_false(hub->routes[0].enabled);
    assert_int_equal(hub->ca_file_count, 1);
    assert_string_equal(hub->ca_files[0], "/etc/skerry/ca.pem");
    assert_false(hub->fallback);
    assert_true(hub->chaos);
    sk_hub_config_free(&config);
}

TEST(every_mistake_is_named_with_its_place_and_its_mend) {
    static const struct {
        const char *text, *place, *mend;
    } cases[] = {
        {"", "h.toml", "[listen]"},
        {"[listen", "h.toml:1", ""},
        {LISTEN, "h.toml", "[[hub]]"},
        {LISTEN HUB "colour = 1\n", "h.toml:9: hub[0].colour: ", "is not known"},
        {"x = 1\n" LISTEN HUB, "h.toml:1: x: ", "is not known; remove it"},
        {"[listen]\naddresses = []\ncertificate = \"c\"\nkey = \"k\"\n" HUB,
         "h.toml:2: listen.addresses: ", "a list of 1 or more addresses"},
        {"[listen]\naddresses = [\"8883\"]\ncertificate = \"c\"\nkey = \"k\"\n" HUB,
         "h.toml:2: listen.addresses[0]: ", "ADDRESS:PORT"},
        {"[listen]\naddresses = [\"a:65536\"]\ncertificate = \"c\"\nkey = \"k\"\n" HUB,
         "h.toml:2: listen.addresses[0]: ", "ADDRESS:PORT"},
        {"[listen]\naddresses = [1]\ncertificate = \"c\"\nkey = \"k\"\n" HUB,
         "h.toml:2: listen.addresses: ", "a list of"},
        {"[listen]\naddresses = \"a:1\"\ncertificate = \"c\"\nkey = \"k\"\n" HUB,
         "h.toml:2: listen.addresses: ", "a list"},
        {"[listen]\naddresses = [\"a:1\"]\nkey = \"k\"\n" HUB,
         "h.toml:1: listen.certificate: is missing; ", "certificate and key"},
        {LISTEN "[[hub]]\nhostnames = [\"h\"]\ndata = \"d\"\n",
         "h.toml:5: hub[0].name: is missing; ", "a name"},
        {LISTEN "[[hub]]\nname = \"h\"\nhostnames = [\"h\"]\n",
         "h.toml:5: hub[0].data: is missing; ", "data = "},
        {LISTEN "[[hub]]\nname = \"h\"\nhostnames = []\ndata = \"d\"\n",
         "h.toml:7: hub[0].hostnames: ", "1 or more"},
        {LISTEN HUB "retention = \"soon\"\n",
         "h.toml:9: hub[0].retention: ", "a time, such as \"12h\""},
        {LISTEN HUB "retention_bytes = \"5\"\n",
         "h.toml:9: hub[0].retention_bytes: ", "number of bytes"},
        {LISTEN HUB "[[hub.policy]]\nname = \"p\"\nkeys = [\"x\"]\nrights = [\"ServiceConnect\"]\n",
         "h.toml:11: hub[0].policy[0].keys: ", "base64"},
        {LISTEN HUB "[[hub.policy]]\nname = \"p\"\nkeys = []\nrights = [\"ServiceConnect\"]\n",
         "h.toml:11: hub[0].policy[0].keys: ", "1 to 2 keys"},
        {LISTEN HUB "[[hub.policy]]\nname = \"p\"\nkeys = [\"" KEY "\"]\nrights = [\"All\"]\n",
         "h.toml:12: hub[0].policy[0].rights: ", "RegistryRead"},
        {LISTEN HUB "[[hub.route]]\nname = \"r\"\nsource = \"Nothing\"\n",
         "h.toml:11: hub[0].route[0].source: ", "DeviceMessages"},
        {LISTEN HUB
         "[[hub.route]]\nname = \"r\"\nsource = \"DeviceMessages\"\ncondition = \"a = = 1\"\n",
         "h.toml:12: hub[0].route[0].condition: ", "column"},
        {LISTEN HUB
         "[[hub.route]]\nname = \"r\"\nsource = \"DeviceMessages\"\nendpoint = \"lake\"\n",
         "h.toml:12: hub[0].route[0].endpoint: ", "events"},
        {LISTEN HUB ENDPOINT("events", "http://a.test"),
         "h.toml:10: hub[0].endpoint[0].name: ", "the hub's own"},
        {LISTEN HUB ENDPOINT("$Default", "http://a.test"),
         "h.toml:10: hub[0].endpoint[0].name: ", "the hub's own"},
        {LISTEN HUB ENDPOINT("a b", "http://a.test"),
         "h.toml:10: hub[0].endpoint[0].name: ", "1 to 64"},
        {LISTEN HUB ENDPOINT("a", "a.test"), "h.toml:12: hub[0].endpoint[0].to: ", "a URL"},
        {LISTEN HUB ENDPOINT("a", "http://a.test") "headers = [\"Name\"]\n",
         "h.toml:12: hub[0].endpoint[0].to: ", "Name: value"},
        {LISTEN HUB ENDPOINT("a", "http://a.test") ENDPOINT("A", "http://b.test"),
         "h.toml:14: hub[0].endpoint[1].name: ", "another endpoint"},
        {LISTEN HUB ENDPOINT("a", "http://a.test") "ttl = \"59s\"\n",
         "h.toml:13: hub[0].endpoint[0].ttl: ", "1 minute to 30 days"},
        {LISTEN HUB "[[hub.endpoint]]\nname = \"a\"\ntype = \"event-hub\"\nto = \"amqp://b\"\n",
         "h.toml:12: hub[0].endpoint[0].to: ", "EntityPath"},
        {LISTEN HUB "[[hub.endpoint]]\nname = \"a\"\ntype = \"web\"\nto = \"b\"\n",
         "h.toml:11: hub[0].endpoint[0].type: ", "webhook"},
        {LISTEN HUB "[[hub.enrichment]]\nkey = \"a\"\nvalue = \"b\"\nendpoint = \"lake\"\n",
         "h.toml:12: hub[0].enrichment[0].endpoint: ", "events"},
        {LISTEN "allowed_origins = [\"tool.example\"]\n" HUB,
         "h.toml:5: listen.allowed_origins[0]: ", "https://"},
        {LISTEN "allowed_origins = [\"https://tool.example/page\"]\n" HUB,
         "h.toml:5: listen.allowed_origins[0]: ", "https://"},
        {LISTEN HUB "[[hub.ca]]\nverified = true\n", "h.toml:9: hub[0].ca[0].file: ", "….pem"},
        {LISTEN HUB "partition = 4\n",
         "h.toml:9: hub[0].partition: ", "did you mean hub[0].partitions?"},
        {LISTEN HUB "consumer_groups = [\"a b\"]\n",
         "h.toml:9: hub[0].consumer_groups[0]: ", "letters"},
        {LISTEN HUB "consumer_groups = [\"\"]\n",
         "h.toml:9: hub[0].consumer_groups[0]: ", "must not be empty"},
        {LISTEN HUB "[[hub.ca]]\nfile = \"c.pem\"\nverified = false\n",
         "h.toml:11: hub[0].ca[0].verified: ", "skerry certificate add"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sk_hub_config config;
        char error[SK_HUB_CONFIG_ERROR_MAX] = "";
        if (sk_hub_config_parse(sk_span_z(cases[i].text), "h.toml", "/f", &config, error) == SK_OK)
            fail_msg("taken:\n%s", cases[i].text);
        if (strncmp(error, cases[i].place, strlen(cases[i].place)) != 0 ||
            strstr(error, cases[i].mend) == NULL)
            fail_msg("'%s' instead of '%s … %s'", error, cases[i].place, cases[i].mend);
    }
}

TEST(a_tier_has_so_many_units_and_not_one_more) {
    static const struct {
        const char *tier;
        unsigned most;
    } cases[] = {{"F1", 1}, {"S3", 10}, {"S2", 200}, {"none", 200}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (unsigned more = 0; more < 2; more++) {
            struct sk_hub_config config;
            char text[1024], error[SK_HUB_CONFIG_ERROR_MAX];
            snprintf(text, sizeof text, "%s[hub.quota]\ntier = \"%s\"\nunits = %u\n", LISTEN HUB,
                     cases[i].tier, cases[i].most + more);
            enum sk_status status =
                sk_hub_config_parse(sk_span_z(text), "h.toml", "", &config, error);
            assert_int_equal(status, more ? SK_INVALID : SK_OK);
            if (more) assert_non_null(strstr(error, "h.toml:11: hub[0].quota.units: "));
            if (!more) sk_hub_config_free(&config);
        }
}

/* Rows of a table that are new are tested, too. */
TEST(every_limit_of_every_key_is_kept) {
    const struct sk_config_key *tables[SK_HUB_KEY_TABLES_MAX];
    struct sk_hub_config config;
    walk_keys(sk_hub_config_keys(tables), &config, sizeof config);
}

TEST(the_reference_page_is_what_the_program_prints) {
    struct sk_buffer page = {0};
    sk_hub_config_reference(&page);
    compare_page(sk_buffer_span(&page), "hub.toml.md", "skerry-hub reference");
    sk_buffer_free(&page);
}

TEST(a_name_of_a_consumer_group_has_50_characters_and_not_one_more) {
    for (int more = 0; more < 2; more++) {
        struct sk_hub_config config;
        char error[SK_HUB_CONFIG_ERROR_MAX], text[600];
        snprintf(text, sizeof text, LISTEN HUB "consumer_groups = [\"g%0*d\"]\n", 49 + more, 0);
        enum sk_status status =
            sk_hub_config_parse(sk_span_z(text), "h.toml", "/f", &config, error);
        assert_int_equal(status == SK_OK, more == 0);
        if (status == SK_OK) sk_hub_config_free(&config);
    }
}

TEST(all_mistakes_are_told_at_once) {
    struct sk_hub_config config;
    char error[SK_HUB_CONFIG_ERROR_MAX];
    assert_int_equal(sk_hub_config_parse(SK_SPAN(LISTEN HUB "colour = 1\npartitions = 33\n"),
                                         "h.toml", "/f", &config, error),
                     SK_INVALID);
    assert_string_equal(error,
                        "h.toml:9: hub[0].colour: is not known; remove it or correct its name.\n"
                        "h.toml:10: hub[0].partitions: must be a whole number from 1 to 32.");
}

TEST(no_two_hubs_answer_to_one_name) {
    static const char *const texts[] = {
        LISTEN HUB "[[hub]]\nname = \"i\"\nhostnames = [\"H.test\"]\ndata = \"other\"\n",
        LISTEN HUB "[[hub]]\nname = \"h\"\nhostnames = [\"i.test\"]\ndata = \"other\"\n",
        LISTEN HUB
        "[[hub]]\nname = \"i\"\nhostnames = [\"i.test\"]\ndata = \"data\"\n", /* one folder */
        LISTEN HUB POLICY POLICY,                                             /* nor two policies */
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct sk_hub_config config;
        char error[SK_HUB_CONFIG_ERROR_MAX];
        if (sk_hub_config_parse(sk_span_z(texts[i]), "h.toml", "/f", &config, error) == SK_OK)
            fail_msg("taken:\n%s", texts[i]);
        assert_non_null(strstr(error, "h.toml:"));
    }
}

TEST(what_is_said_of_cloud_to_device_messages_counts) {
    struct sk_hub_config config;
    char error[SK_HUB_CONFIG_ERROR_MAX];
    assert_int_equal(
        sk_hub_config_parse(SK_SPAN(LISTEN HUB "[hub.cloud_to_device]\ndefault_ttl = \"PT90M\"\n"
                                               "max_delivery_count = 3\n"
                                               "feedback = { ttl = \"1d\", lock_duration = \"7s\", "
                                               "max_delivery_count = 4 }\n"),
                            "h.toml", "/f", &config, error),
        SK_OK);
    const struct sk_hub_c2d_options *c2d = &config.hubs[0].c2d;
    assert_int_equal(c2d->default_ttl_us, 5400000000);
    assert_int_equal(c2d->deliveries_max, 3);
    assert_int_equal(c2d->feedback_ttl_us, 86400000000);
    assert_int_equal(c2d->feedback_lock_us, 7000000);
    assert_int_equal(c2d->feedback_deliveries_max, 4);
    sk_hub_config_free(&config);
}

TEST(the_page_of_metrics_is_what_the_program_prints) {
    struct sk_buffer page = {0};
    sk_hub_metrics_reference(&page);
    compare_page(sk_buffer_span(&page), "metrics.md", "skerry-hub reference --metrics");
    sk_buffer_free(&page);
}
