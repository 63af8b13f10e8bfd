#include <stdio.h>

#include "trust/keys/pkcs11_uri.h"
#include "support/test.h"

static struct sk_pkcs11_uri uri;
static char reason[256];

static enum sk_status parse(const char *text) {
    reason[0] = 0;
    return sk_pkcs11_uri_parse(sk_span_z(text), &uri, reason);
}

TEST(a_uri_says_which_token_which_key_and_the_pin) {
    assert_int_equal(
        parse(
            "pkcs11:token=Key%20pairs;object=device-id;id=%01%00%FF;type=private?pin-value=1%3B2"),
        SK_OK);
    assert_string_equal(uri.token, "Key pairs");
    assert_string_equal(uri.object, "device-id");
    assert_int_equal(uri.id_size, 3);
    assert_memory_equal(uri.id, "\x01\x00\xFF", 3);
    assert_string_equal(uri.pin, "1;2");
    assert_int_equal(uri.slot, -1);
}

TEST(a_slot_a_serial_number_and_a_file_with_the_pin_are_read) {
    assert_int_equal(parse("pkcs11:slot-id=7;serial=0a?module-path=/x&pin-source=file:///etc/pin"),
                     SK_OK);
    assert_int_equal(uri.slot, 7);
    assert_string_equal(uri.serial, "0a");
    assert_string_equal(uri.pin_file, "/etc/pin");
    assert_int_equal(parse("pkcs11:?pin-source=/etc/pin"), SK_OK);
    assert_string_equal(uri.pin_file, "/etc/pin");
    assert_int_equal(parse("pkcs11:"), SK_OK);
    assert_int_equal(uri.slot, -1);
}

TEST(what_is_no_uri_of_a_key_is_refused_without_showing_the_pin) {
    static const char *const bad[] = {
        "",
        "file:///etc/key",
        "pkcs11:token",
        "pkcs11:token=a%00b",
        "pkcs11:slot-id=-1",
        "pkcs11:slot-id=x",
        "pkcs11:slot-id=4294967296",
        "pkcs11:token=a?pin-source=|command",
        "pkcs11:token=a?pin-value=secret%00",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse(bad[i]), SK_MALFORMED);
        assert_int_equal(reason[strlen(reason) - 1], '.');
        assert_null(strstr(reason, "secret"));
    }
    assert_int_equal(parse("pkcs11:slot-id=4294967295"), SK_OK);
}

TEST(texts_have_at_most_127_bytes) {
    char text[300];
    snprintf(text, sizeof text, "pkcs11:token=%0*d", SK_PKCS11_TEXT_MAX - 1, 0);
    assert_int_equal(parse(text), SK_OK);
    snprintf(text, sizeof text, "pkcs11:token=%0*d", SK_PKCS11_TEXT_MAX, 0);
    assert_int_equal(parse(text), SK_MALFORMED);
}
