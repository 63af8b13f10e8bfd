/* Actions of rules as documents, at their limits and behind them; their texts. */
#include <stdio.h>

#include "hub/rules/parts.h"
#include "model/json_text.h"
#include "support/test.h"

static json_t *document_of(const char *actions, const json_t *before,
                           char error[SK_MODEL_ERROR_MAX]) {
    json_t *list = sk_json_load(sk_span_z(actions), 0, NULL);
    if (list == NULL) fail_msg("no JSON: %s", actions);
    json_t *document = rule_actions_document(list, before, error);
    json_decref(list);
    return document;
}

#define MAIL(recipients, subject, more)                                                            \
    "[{\"Type\":\"Email\",\"Parameters\":{\"Recipients\":" recipients ",\"Subject\":" subject      \
    "" more "}}]"
#define HOOK(url, more) "[{\"Type\":\"Webhook\",\"Parameters\":{\"Url\":\"" url "\"" more "}}]"
#define ONE "[\"a@x.test\"]"
#define METHOD "{\"Type\":\"Method\",\"Parameters\":{\"Name\":\"stop\"}}"
#define SECRET "whsec_c2VjcmV0LWZvci10ZXN0cy0wMDAwMDAx"

TEST(what_actions_can_be_is_said_in_a_sentence) {
    static const struct {
        const char *text, *why; /* NULL: fine */
    } cases[] = {
        {"[]", NULL},
        {"{}", "list of at most 5"},
        {"[7]", "Email, Webhook, Method, Message"},
        {"[{\"Type\":\"Sms\"}]", "Email, Webhook, Method, Message"},
        {"[" METHOD "," METHOD "," METHOD "," METHOD "," METHOD "]", NULL},
        {"[" METHOD "," METHOD "," METHOD "," METHOD "," METHOD "," METHOD "]", "at most 5"},
        {"[{\"Type\":\"method\",\"parameters\":{\"name\":\"stop\"}}]", NULL},
        {"[{\"Type\":\"Method\",\"Parameters\":[]}]", "an object"},
        {"[{\"Type\":\"Method\",\"Parameters\":{}}]", "Name of Method"},
        {"[{\"Type\":\"Method\",\"Parameters\":{\"Name\":\"a\",\"Paylod\":1}}]", "no Paylod"},
        {MAIL(ONE, "\"hot\"", ""), NULL},
        {MAIL(ONE, "\"hot\"", ",\"Notes\":\"a\\nb\",\"Endpoint\":\"mail\""), NULL},
        {MAIL("[]", "\"hot\"", ""), "Recipients"},
        {MAIL("\"a@x.test\"", "\"hot\"", ""), "Recipients"},
        {MAIL("[\"a@x.test\\r\\nBcc: b@x.test\"]", "\"hot\"", ""), "Recipients"},
        {MAIL("[\"a@x.test>\"]", "\"hot\"", ""), "Recipients"},
        {MAIL("[\"a\"]", "\"hot\"", ""), "Recipients"},
        {MAIL("[1]", "\"hot\"", ""), "Recipients"},
        {MAIL(ONE, "\"\"", ""), "Subject"},
        {MAIL(ONE, "\"hot\\r\\nBcc: b@x.test\"", ""), "without line breaks"},
        {MAIL(ONE, "7", ""), "Subject"},
        {MAIL(ONE, "\"hot\"", ",\"Notes\":7"), "Notes"},
        {HOOK("https://app.test/x?y=z", ",\"Secret\":\"" SECRET "\",\"Body\":[1]"), NULL},
        {HOOK("http://app.test", ""), NULL},
        {HOOK("ftp://app.test", ""), "Url"},
        {HOOK("https://user:password@app.test/", ""), "Url"},
        {HOOK("https://app.test/\\r\\nHost: b", ""), "Url"},
        {HOOK("https://", ""), "Url"},
        {HOOK("http://app.test", ",\"Secret\":\"secret\""), "whsec_"},
        {HOOK("http://app.test", ",\"Secret\":7"), "whsec_"},
        {HOOK("http://app.test", ",\"Secret\":\"whsec_c2hvcnQ=\""), "24 to 64"},
        {HOOK("http://app.test", ",\"Secret\":\"********\""), "anew"},
        {"[{\"Type\":\"Message\",\"Parameters\":{}}]", "Body of Message"},
        {"[{\"Type\":\"Message\",\"Parameters\":{\"Body\":null}}]", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char error[SK_MODEL_ERROR_MAX] = "";
        json_t *document = document_of(cases[i].text, NULL, error);
        if ((document == NULL) != (cases[i].why != NULL) ||
            (cases[i].why && strstr(error, cases[i].why) == NULL))
            fail_msg("%s: %s", cases[i].text, error);
        json_decref(document);
    }
}

/* An action with a text of so many bytes between two pieces. */
static bool takes(const char *before, size_t n, const char *behind) {
    char error[SK_MODEL_ERROR_MAX];
    struct sk_buffer text = {0};
    sk_buffer_text(&text, before);
    for (size_t i = 0; i < n; i++) sk_buffer_byte(&text, 'x');
    sk_buffer_text(&text, behind);
    sk_buffer_byte(&text, 0);
    json_t *document = document_of(text.p, NULL, error);
    bool fine = document != NULL;
    json_decref(document);
    sk_buffer_free(&text);
    return fine;
}

TEST(each_size_is_taken_at_its_limit_and_not_behind_it) {
    static const struct {
        size_t most, said; /* bytes, and how many of them stand here already */
        const char *before, *behind;
    } cases[] = {
        {256, 0, "[{\"Type\":\"Email\",\"Parameters\":{\"Recipients\":" ONE ",\"Subject\":\"",
         "\"}}]"},
        {2048, 0,
         "[{\"Type\":\"Email\",\"Parameters\":{\"Recipients\":" ONE
         ",\"Subject\":\"s\",\"Notes\":\"",
         "\"}}]"},
        {64, 0,
         "[{\"Type\":\"Email\",\"Parameters\":{\"Recipients\":" ONE
         ",\"Subject\":\"s\",\"Endpoint\":\"",
         "\"}}]"},
        {2048, 9, "[{\"Type\":\"Webhook\",\"Parameters\":{\"Url\":\"http://a/", "\"}}]"},
        {8192, 2, "[{\"Type\":\"Webhook\",\"Parameters\":{\"Url\":\"http://a/\",\"Body\":\"",
         "\"}}]"},
        {100, 0, "[{\"Type\":\"Method\",\"Parameters\":{\"Name\":\"", "\"}}]"},
        {128, 0, "[{\"Type\":\"Method\",\"Parameters\":{\"Name\":\"a\",\"Module\":\"", "\"}}]"},
        {8192, 2, "[{\"Type\":\"Method\",\"Parameters\":{\"Name\":\"a\",\"Payload\":\"", "\"}}]"},
        {8192, 2, "[{\"Type\":\"Message\",\"Parameters\":{\"Body\":\"", "\"}}]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = cases[i].most - cases[i].said;
        if (!takes(cases[i].before, n, cases[i].behind)) fail_msg("%zu: at the limit", i);
        if (takes(cases[i].before, n + 1, cases[i].behind)) fail_msg("%zu: behind it", i);
    }
}

TEST(a_mail_has_at_most_twenty_recipients) {
    static const size_t counts[] = {20, 21, 1000};
    for (size_t c = 0; c < 3; c++) {
        char error[SK_MODEL_ERROR_MAX];
        struct sk_buffer text = {0};
        sk_buffer_text(&text, "[{\"Type\":\"Email\",\"Parameters\":{\"Subject\":\"s\","
                              "\"Recipients\":[");
        for (size_t i = 0; i < counts[c]; i++)
            sk_buffer_print(&text, "%s\"a%zu@x.test\"", i ? "," : "", i);
        sk_buffer_text(&text, "]}}]");
        sk_buffer_byte(&text, 0);
        json_t *document = document_of(text.p, NULL, error);
        assert_int_equal(document != NULL, counts[c] <= 20);
        json_decref(document);
        sk_buffer_free(&text);
    }
}

TEST(a_secret_is_not_shown_and_goes_on_with_its_url) {
    char error[SK_MODEL_ERROR_MAX];
    json_t *stored =
        document_of(HOOK("http://app.test/a", ",\"Secret\":\"" SECRET "\""), NULL, error);
    json_t *shown = rule_actions_shown(stored);
    SK_CLEANUP_FREE char *text = sk_json_text(shown);
    assert_null(strstr(text, "whsec_"));
    json_t *again = rule_actions_document(shown, stored, error);
    assert_true(json_equal(again, stored));
    json_decref(again);
    again = document_of(HOOK("http://evil.test/", ",\"Secret\":\"********\""), stored, error);
    assert_null(again);
    assert_non_null(strstr(error, "anew"));
    json_decref(shown);
    json_decref(stored);
}

TEST(a_webhook_is_signed_as_standard_webhooks_say) {
    struct sk_buffer to = {0};
    assert_true(rule_action_sign(SECRET, SK_SPAN("msg_1"), 1767225600,
                                 SK_SPAN("{\"ruleId\":\"r1\",\"deviceId\":\"d1\"}"), &to));
    assert_true(sk_span_is(sk_buffer_span(&to), "v1,TAsstm5ftG6KMG3cH/zd0jKGXIJWsM26M9lTQAgQOGo="));
    sk_buffer_free(&to);
}

TEST(values_stand_where_their_names_did_and_a_document_stays_one) {
    char device[] = "d\"1", error[SK_MODEL_ERROR_MAX];
    static const char *host_names[] = {"hub.test"};
    struct sk_hub_options options = {.host_names = host_names, .host_name_count = 1};
    struct sk_hub hub = {.options = &options};
    json_t *of = json_pack("{s:s}", "Notes", "${notes}");
    struct rule *rule =
        rule_read(json_pack("{s:s,s:s,s:s,s:s,s:[{s:s,s:s,s:s}]}", "Id", "r1", "Name", "Pump",
                            "GroupId", "g", "Description", "a\r\nb", "Conditions", "Field", "t",
                            "Operator", "Equals", "Value", "1"),
                  error);
    assert_non_null(rule);
    struct alarm alarm = {.rule = rule, .device = device, .received_ms = 1767225600000};
    static const struct {
        const char *form, *filled;
    } cases[] = {
        {"", ""},
        {"${deviceId}", "d\"1"},
        {"a ${ruleName}$", "a Pump$"},
        {"$${ruleId}}", "$r1}"},
        {"${nobody} ${ruleId", "${nobody} ${ruleId"},
        {"${alarmDate}|${ruleSeverity}|${notes}|${subject}",
         "Thu, 01 Jan 2026 00:00:00 GMT|Critical|${notes}|"},
        {"${alarmUrl}", "https://hub.test/portal/alarms?device=d%221&range=all&"
                        "id=019b76daa8000000000000000000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sk_buffer to = {0};
        rule_action_fill(&to, sk_span_z(cases[i].form), &alarm, &hub, of);
        sk_buffer_byte(&to, 0);
        assert_string_equal(to.p, cases[i].filled);
        sk_buffer_free(&to);
    }
    json_t *form = json_pack("{s:[s,i],s:b}", "who", "${deviceId}: ${ruleDescription}", 7, "x", 1),
           *filled = rule_action_filled(form, &alarm, &hub, of);
    SK_CLEANUP_FREE char *text = sk_json_text(filled);
    assert_string_equal(text, "{\"who\":[\"d\\\"1: a\\u000d\\nb\",7],\"x\":true}");
    json_decref(form);
    json_decref(filled);
    json_decref(of);
    rule_free(rule);
}
