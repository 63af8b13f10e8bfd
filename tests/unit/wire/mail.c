/* Mails and replies. */
#include "wire/mail.h"
#include "support/test.h"

static char *mail_of(struct sk_span subject, struct sk_span text) {
    static const char *const to[] = {"a@x.example", "b@y.example"};
    struct sk_buffer mail = {0};
    sk_mail_put(&mail, &(struct sk_mail){.from = SK_SPAN("hub@plant.example"),
                                         .to = to,
                                         .to_count = 2,
                                         .subject = subject,
                                         .text = text,
                                         .id = SK_SPAN("hub-1"),
                                         .wall_us = 1764368011000000});
    sk_buffer_byte(&mail, 0);
    return mail.p;
}

static void holds(struct sk_span subject, struct sk_span text, const char *expected) {
    char *mail = mail_of(subject, text);
    if (strstr(mail, expected) == NULL) fail_msg("no %s in %s", expected, mail);
    free(mail);
}

TEST(a_mail_has_the_headers_that_servers_want) {
    holds(SK_SPAN("hot"), SK_SPAN("21\n"),
          "Date: Fri, 28 Nov 2025 22:13:31 +0000\r\nFrom: <hub@plant.example>\r\n"
          "To: <a@x.example>,\r\n <b@y.example>\r\nSubject: hot\r\n"
          "Message-ID: <hub-1@plant.example>\r\n");
    holds(SK_SPAN("hot"), SK_SPAN("21\n"), "\r\n\r\nMjENCg==\r\n");
}

TEST(a_subject_never_becomes_a_header) {
    holds(SK_SPAN("a\r\nBcc: all@x.example\n\n"), SK_NONE, "Subject: a  Bcc: all@x.example  \r\n");
    holds(SK_SPAN("=?UTF-8?B?YQ0KQg==?="), SK_NONE, "Subject: =?UTF-8?B?PT9VVEYtOD9C");
    holds(SK_SPAN("\xc3"), SK_NONE, "Subject: =?UTF-8?B?77+9?=\r\n");
    holds(SK_NONE, SK_NONE, "Subject: \r\n");
}

TEST(words_of_a_subject_hold_whole_characters) {
    /* 44 bytes and one of two: the second goes into the next word */
    holds(SK_SPAN("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xc3\xa5"), SK_NONE,
          "YWE=?=\r\n =?UTF-8?B?w6U=?=\r\n");
    holds(SK_SPAN("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xc3\xa5"), SK_NONE, "YcOl?=\r\n");
}

TEST(a_long_subject_is_cut) {
    char text[2 * SK_MAIL_SUBJECT_MAX + 2];
    memset(text, 'x', sizeof text);
    char *mail = mail_of(sk_span(text, sizeof text), SK_NONE);
    assert_int_equal(strspn(strstr(mail, "Subject: ") + 9, "x"), SK_MAIL_SUBJECT_MAX);
    free(mail);
}

TEST(an_address_is_one_without_quotes_or_comments) {
    static const char *const fine[] = {"a@b", "first.last+tag@plant-7.example", "o'x@x"};
    static const char *const wrong[] = {
        "",        "a",    "@b",   "a@",   "a b@c", "a@b c", "a@b>",       "a@b\r\nRCPT", "<a@b>",
        "\"a\"@b", ".a@b", "a.@b", "a@.b", "a@-b",  "a@b@c", "\xc3\xa5@b", "a@\xc3\xa5"};
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        if (!sk_mail_address_fine(sk_span_z(fine[i]))) fail_msg("%s", fine[i]);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (sk_mail_address_fine(sk_span_z(wrong[i]))) fail_msg("%s", wrong[i]);
    char local[80];
    memset(local, 'a', sizeof local);
    memcpy(local + 64, "@b", 2);
    assert_true(sk_mail_address_fine(sk_span(local, 66)));
    memcpy(local + 64, "a@b", 3);
    assert_false(sk_mail_address_fine(sk_span(local, 67)));
}

TEST(a_reply_is_lines_with_a_code) {
    struct sk_mail_reply reply;
    size_t used;
    struct sk_span in = SK_SPAN("250-mail.example\r\n250 AUTH PLAIN\n250\r\n25");
    assert_int_equal(sk_mail_reply_read(in, &reply, &used), SK_OK);
    assert_true(reply.more && reply.code == 250 && sk_span_is(reply.text, "mail.example"));
    in = sk_span_skip(in, used);
    assert_int_equal(sk_mail_reply_read(in, &reply, &used), SK_OK);
    assert_true(!reply.more && sk_span_is(reply.text, "AUTH PLAIN"));
    in = sk_span_skip(in, used);
    assert_int_equal(sk_mail_reply_read(in, &reply, &used), SK_OK);
    assert_true(!reply.more && reply.text.n == 0);
    assert_int_equal(sk_mail_reply_read(sk_span_skip(in, used), &reply, &used), SK_AGAIN);
    assert_int_equal(sk_mail_reply_read(SK_SPAN("HTTP/1.1 400\r\n"), &reply, &used), SK_MALFORMED);
    assert_int_equal(sk_mail_reply_read(SK_SPAN("250x\r\n"), &reply, &used), SK_MALFORMED);
    char line[2060];
    memset(line, '2', sizeof line);
    assert_int_equal(sk_mail_reply_read(sk_span(line, 2048), &reply, &used), SK_AGAIN);
    assert_int_equal(sk_mail_reply_read(sk_span(line, 2049), &reply, &used), SK_MALFORMED);
}
