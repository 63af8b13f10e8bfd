/* What mails say of messages. */
#include "hub/endpoints/mail.h"
#include "support/test.h"

static void says(const char *form, const char *expected) {
    static const struct sk_property properties[] = {{SK_SPAN("level"), SK_SPAN("high")}};
    struct sk_message message = {.device = SK_SPAN("d1"),
                                 .body = SK_SPAN("{\"t\":31}"),
                                 .properties = properties,
                                 .property_count = 1};
    struct sk_buffer text = {0};
    mail_put(&text, sk_span_z(form), "plant", &message);
    sk_buffer_byte(&text, 0);
    assert_string_equal(text.p, expected);
    sk_buffer_free(&text);
}

TEST(a_form_takes_what_the_message_has) {
    says(MAIL_SUBJECT, "plant: d1");
    says(MAIL_TEXT, "1970-01-01T00:00:00.0000000Z d1: {\"t\":31}");
    says("{level} of {device}{module}{nothing}", "high of d1");
    says("{LEVEL}", "high"); /* names of properties are the same in any case */
    says("", "");
    says("{", "{");
    says("a {b", "a {b");
    says("{}x}", "x}");
}

TEST(a_long_body_is_cut) {
    char body[9000];
    memset(body, 'x', sizeof body);
    struct sk_message message = {.body = sk_span(body, sizeof body)};
    struct sk_buffer text = {0};
    mail_put(&text, SK_SPAN("{body}"), "plant", &message);
    assert_int_equal(text.n, 8192);
    sk_buffer_free(&text);
}
