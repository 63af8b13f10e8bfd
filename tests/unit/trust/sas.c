#include "trust/sas.h"
#include "support/test.h"

#define KEY                                                                                        \
    "18RQk/hOPJR9EbsJlk2j8WA6vWaj/yi+oaYg7zmxfQNdOyMSu+SJ8O7TSlZhDJCYmn4rzEiVKIzNiVAWjLxrGA=="
#define SIGNATURE "f%2BwW8XOKeJOtiPc9Iwjc4OpExvPM7NlhM9qxN2a1aAM%3D"
#define RESOURCE "MyExampleHub.azure-devices.net%2Fdevices%2Fmy-symkey-device"
#define TOKEN "SharedAccessSignature sr=" RESOURCE "&sig=" SIGNATURE "&se=1663119026"
enum { EXPIRY = 1663119026 };

static struct sk_arena arena;

static enum sk_status parse(const char *text, struct sk_sas *sas) {
    sk_arena_reset(&arena);
    return sk_sas_parse(sk_span_z(text), &arena, sas);
}

static enum sk_status check(const char *text, const char *primary, const char *secondary,
                            int64_t now) {
    struct sk_sas sas;
    assert_int_equal(parse(text, &sas), SK_OK);
    return sk_sas_verify(&sas, sk_span_z(primary), sk_span_z(secondary), now);
}

static int clean_up(void **state) {
    (void)state;
    sk_arena_free(&arena);
    return 0;
}

AROUND_ALL(NULL, clean_up);

TEST(the_published_vector_is_verified) {
    struct sk_sas sas;
    assert_int_equal(parse(TOKEN, &sas), SK_OK);
    assert_true(
        sk_span_is(sas.resource, "MyExampleHub.azure-devices.net/devices/my-symkey-device"));
    assert_null(sas.policy.p);
    assert_int_equal(sas.expiry_s, EXPIRY);
    assert_int_equal(check(TOKEN, KEY, "", EXPIRY), SK_OK);
}

TEST(both_keys_open) {
    assert_int_equal(check(TOKEN, "b3RoZXI=", KEY, EXPIRY), SK_OK);
    assert_int_equal(check(TOKEN, "", KEY, EXPIRY), SK_OK);
    assert_int_equal(check(TOKEN, "b3RoZXI=", "b3RoZXI=", EXPIRY), SK_UNAUTHORIZED);
    assert_int_equal(check(TOKEN, "", "", EXPIRY), SK_UNAUTHORIZED);
    assert_int_equal(check(TOKEN, "not base64!", "", EXPIRY), SK_UNAUTHORIZED);
}

TEST(a_token_lives_five_minutes_longer_than_it_says) {
    assert_int_equal(check(TOKEN, KEY, "", EXPIRY + SK_SAS_SKEW_S), SK_OK);
    assert_int_equal(check(TOKEN, KEY, "", EXPIRY + SK_SAS_SKEW_S + 1), SK_TIMEOUT);
    assert_int_equal(check(TOKEN, "b3RoZXI=", "", EXPIRY + SK_SAS_SKEW_S + 1), SK_UNAUTHORIZED);
}

TEST(fields_come_in_any_order_and_case) {
    assert_int_equal(check("SharedAccessSignature SIG=" SIGNATURE "&Se=1663119026&sr=" RESOURCE,
                           KEY, "", EXPIRY),
                     SK_OK);
    struct sk_sas sas;
    assert_int_equal(parse(TOKEN "&skn=iot%20owner&extra=1", &sas), SK_OK);
    assert_true(sk_span_is(sas.policy, "iot owner"));
}

TEST(an_unencoded_signature_keeps_its_padding) {
    assert_int_equal(check("SharedAccessSignature sr=" RESOURCE
                           "&sig=f+wW8XOKeJOtiPc9Iwjc4OpExvPM7NlhM9qxN2a1aAM=&se=1663119026",
                           KEY, "", EXPIRY),
                     SK_OK);
}

TEST(the_resource_is_signed_as_it_was_sent) {
    /* The same resource with lower-case escapes is another text, so its signature is another one
     * too. */
    assert_int_equal(
        check("SharedAccessSignature "
              "sr=MyExampleHub.azure-devices.net%2fdevices%2fmy-symkey-device&sig=" SIGNATURE
              "&se=1663119026",
              KEY, "", EXPIRY),
        SK_UNAUTHORIZED);
}

TEST(broken_tokens_are_refused) {
    static const char *const bad[] = {
        "",
        "SharedAccessSignature",
        "SharedAccessSignature ",
        "sharedaccesssignature sr=a&sig=" SIGNATURE "&se=1",
        "Bearer x",
        "SharedAccessSignature sr=a&sig=" SIGNATURE,
        "SharedAccessSignature sr=a&se=1",
        "SharedAccessSignature sig=" SIGNATURE "&se=1",
        "SharedAccessSignature sr=&sig=" SIGNATURE "&se=1",
        "SharedAccessSignature sr=a&sig=" SIGNATURE "&se=soon",
        "SharedAccessSignature sr=a&sig=" SIGNATURE "&se=1.x",
        "SharedAccessSignature sr=a&sig=" SIGNATURE "&se=99999999999999999999",
        "SharedAccessSignature sr=a&sig=AAAA&se=1",
        "SharedAccessSignature sr=a&sig=!!!&se=1",
        "SharedAccessSignature sr=a &sig=" SIGNATURE "&se=1",
        "SharedAccessSignature sr=a&sig=" SIGNATURE SIGNATURE "&se=1",
    };
    struct sk_sas sas;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (parse(bad[i], &sas) != SK_MALFORMED) fail_msg("taken: %s", bad[i]);
    char *huge = sk_alloc(SK_SAS_TOKEN_MAX + 2);
    memset(huge, ' ', SK_SAS_TOKEN_MAX + 1);
    memcpy(huge, TOKEN, sizeof TOKEN - 1);
    assert_int_equal(parse(huge, &sas), SK_TOO_LARGE);
    huge[SK_SAS_TOKEN_MAX] = 0;
    assert_int_equal(parse(huge, &sas), SK_OK);
    free(huge);
}

TEST(a_created_token_verifies) {
    struct sk_buffer token = {0};
    assert_int_equal(sk_sas_create(&token, SK_SPAN("hub.local/devices/d#1/modules/m"), SK_SPAN(KEY),
                                   SK_SPAN("a&b"), 1000),
                     SK_OK);
    struct sk_sas sas;
    assert_int_equal(sk_sas_parse(sk_buffer_span(&token), &arena, &sas), SK_OK);
    assert_true(sk_span_is(sas.resource, "hub.local/devices/d#1/modules/m"));
    assert_true(sk_span_is(sas.policy, "a&b"));
    assert_int_equal(sk_sas_verify(&sas, SK_SPAN(KEY), SK_NONE, 1000), SK_OK);
    token.n = 0;
    assert_int_equal(
        sk_sas_create(&token, SK_SPAN("MyExampleHub.azure-devices.net/devices/my-symkey-device"),
                      SK_SPAN(KEY), SK_NONE, EXPIRY),
        SK_OK);
    assert_true(sk_span_is(sk_buffer_span(&token), TOKEN));
    token.n = 0;
    assert_int_equal(sk_sas_create(&token, SK_SPAN("h"), SK_SPAN("***"), SK_NONE, 1), SK_MALFORMED);
    assert_int_equal(token.n, 0);
    sk_buffer_free(&token);
}

TEST(keys_are_bounded) {
    unsigned char bytes[SK_SAS_KEY_MAX + 1] = {1}, digest[32];
    struct sk_buffer key = {0};
    sk_base64_encode(&key, sk_span(bytes, SK_SAS_KEY_MAX));
    assert_int_equal(sk_sas_hmac(sk_buffer_span(&key), SK_SPAN("x"), digest), SK_OK);
    key.n = 0;
    sk_base64_encode(&key, sk_span(bytes, SK_SAS_KEY_MAX + 1));
    assert_int_equal(sk_sas_hmac(sk_buffer_span(&key), SK_SPAN("x"), digest), SK_MALFORMED);
    sk_buffer_free(&key);
}

TEST(scopes_cover_by_whole_segments) {
    static const struct {
        const char *scope, *resource;
        bool covers;
    } cases[] = {
        {"h/devices/d", "h/devices/d", true},
        {"h/devices/d", "h/devices/d/messages/events", true},
        {"h/devices/d", "h/devices/d/modules/m", true},
        {"h/devices/d", "h/devices/dd", false},
        {"h/devices/dd", "h/devices/d", false},
        {"h/devices/d", "h/devices", false},
        {"h", "h/devices/d", true},
        {"h/", "h/devices/d", true},
        {"h/devices", "h/devices/d", true},
        {"h/devices/", "h/devices/d", true},
        {"h/devices//d", "h/devices/d", false},
        {"H.Local/devices/d", "h.local/devices/d", true}, /* the host without case, ids with it */
        {"h/devices/D", "h/devices/d", false},
        {"h/Devices/d", "h/devices/d", true},
        {"h/messages/deviceBound", "h/messages/devicebound", true},
        {"h/messages/devicebound", "h/messages/events", false},
        {"h/devices/d/api-version=2016-11-14", "h/devices/d", true},
        {"h/devices/d/api-version=2016-11-14", "h/devices/d/modules/m", true},
        {"h/devices/d/modules/m/api-version=1", "h/devices/d/modules/m", true},
        {"h/devices/d/modules/m/api-version=1", "h/devices/d/modules/n", false},
        /* Only behind an identity: elsewhere it would open what stands above it. */
        {"h/api-version=1", "h/devices/d", false},
        {"h/devices/api-version=x", "h/devices/d", false},
        {"h/devices/api-version=x", "h/devices/api-version=x",
         true}, /* a device may be called so */
        {"h/devices/d/modules/api-version=x", "h/devices/d/modules/m", false},
        {"h/devices/d/messages/api-version=x", "h/devices/d/messages/events", false},
        {"h/messages/api-version=x", "h/messages/events", false},
        {"h/devices/a%23b", "h/devices/a#b", true}, /* encoded twice on the wire */
        {"h/devices/a#b", "h/devices/a#b", true},
        {"h/devices/a%2523b", "h/devices/a#b", false},
        {"h/devices/a%23b", "h/devices/a%23b", true}, /* a device may be called so */
        {"h/devices/d/modules/%24edgeHub", "h/devices/d/modules/$edgeHub", true},
        {"h/devices/devices", "h/devices/devices", true},
        {"h/devices/Devices", "h/devices/devices", false},
        {"amqps://h:5671/devices/d", "h/devices/d", true},
        {"sb://h/entity", "h/entity", true},
        {"h2/devices/d", "h/devices/d", false},
        {"", "h", false},
        {"/devices/d", "h/devices/d", false},
        {"h", "", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (sk_sas_covers(sk_span_z(cases[i].scope), sk_span_z(cases[i].resource)) !=
            cases[i].covers)
            fail_msg("%s covers %s", cases[i].scope, cases[i].resource);
}

TEST(a_token_may_say_any_time_to_the_end_of_the_type) {
    assert_int_equal(sk_sas_end_us(1000), (1000 + SK_SAS_SKEW_S + 1) * 1000000ll);
    assert_true(sk_sas_end_us(INT64_MIN / 1000000) < 0);
    assert_true(sk_sas_end_us(INT64_MAX / 1000000 - SK_SAS_SKEW_S - 2) < INT64_MAX);
    for (int64_t n = 0; n <= SK_SAS_SKEW_S + 1; n++)
        assert_true(sk_sas_end_us(INT64_MAX / 1000000 - n) == INT64_MAX);
    assert_true(sk_sas_end_us(INT64_MAX) == INT64_MAX);
}
