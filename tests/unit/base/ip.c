#include "base/ip.h"

#include "support/test.h"

TEST(a_range_holds_what_its_prefix_says) {
    static const struct {
        const char *range, *ip;
        bool holds;
    } cases[] = {
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.8", false},
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.64/26", "192.0.2.64", true},
        {"192.0.2.64/26", "192.0.2.127", true},
        {"192.0.2.64/26", "192.0.2.128", false},
        {"192.0.2.64/26", "192.0.2.63", false},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "192.0.2.1", false},
        {"2001:db8::/33", "2001:db8:7fff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"192.0.2.0/24", "::ffff:192.0.2.9", true},
        {"::ffff:192.0.2.9", "192.0.2.9", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sk_ip_range range;
        struct sk_ip ip;
        assert_int_equal(sk_ip_range_parse(sk_span_z(cases[i].range), &range), SK_OK);
        assert_int_equal(sk_ip_parse(sk_span_z(cases[i].ip), &ip), SK_OK);
        if (sk_ip_range_holds(&range, &ip) != cases[i].holds)
            fail_msg("%s in %s", cases[i].ip, cases[i].range);
    }
}

TEST(what_is_no_range_is_refused) {
    static const char *const texts[] = {"",           "a",           "1.2.3",     "1.2.3.4/33",
                                        "1.2.3.4/-1", "1.2.3.4/",    "::/129",    "1.2.3.4/8x",
                                        "1.2.3.256",  "1.2.3.4/24/", "host.test", "01.2.3.4"};
    struct sk_ip_range range;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (sk_ip_range_parse(sk_span_z(texts[i]), &range) == SK_OK) fail_msg("%s", texts[i]);
}

#define HIDDEN                                                                                     \
    "X"                                                                                            \
    "XX"

TEST(the_address_of_a_peer_is_shown_masked) {
    static const char *const cases[][2] = {{"192.0.2.7:4711", "192.0.2." HIDDEN},
                                           {"[2001:db8:1:2::3]:4711", "2001:db8:1:" HIDDEN},
                                           {"2001:db8:1:2::3:4711", "2001:db8:1:" HIDDEN},
                                           {"[::ffff:192.0.2.7]:1", "192.0.2." HIDDEN},
                                           {"unix", "-"},
                                           {"field.test:12", "-"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sk_ip ip = sk_ip_of_peer(cases[i][0]);
        char text[SK_IP_TEXT];
        sk_ip_masked(&ip, text);
        assert_string_equal(text, cases[i][1]);
    }
}
