/* Refusals: the catalogue and its forms on the wire. */
#include <jansson.h>

#include "model/error.h"
#include "support/test.h"

static json_t *as_json(const struct sk_buffer *text) {
    json_error_t error;
    json_t *json = json_loadb(text->p, text->n, 0, &error);
    if (json == NULL) fail_msg("%s: %.*s", error.text, SK_ARG(sk_buffer_span(text)));
    return json;
}

TEST(every_refusal_has_a_status_that_its_code_begins_with) {
    for (int fault = 1; fault < SK_FAULT_COUNT; fault++) {
        const struct sk_fault_kind *kind = sk_fault_kind((enum sk_fault)fault);
        assert_in_range(kind->http_status, 400, 599);
        assert_int_equal(kind->code / 1000, kind->http_status);
        assert_true(kind->name[0] && kind->condition[0] && kind->sentence[0]);
        assert_null(strpbrk(kind->name, ";: ")); /* SDKs split the message on them */
    }
}

TEST(every_status_means_something_to_a_client) {
    assert_int_equal(sk_fault_of_status(SK_OK), SK_FAULT_NONE);
    for (int status = SK_OK - 1; status >= SK_REFUSED; status--)
        assert_int_not_equal(sk_fault_of_status((enum sk_status)status), SK_FAULT_NONE);
    assert_int_equal(sk_fault_of_status(SK_NO_SPACE), SK_FAULT_QUOTA_EXCEEDED);
    assert_int_equal(sk_fault_of_status(SK_CONFLICT), SK_FAULT_PRECONDITION_FAILED);
}

TEST(the_catalogues_sentence_stands_in_for_a_missing_one) {
    struct sk_error error;
    sk_error_set(&error, SK_FAULT_DEVICE_NOT_FOUND, NULL);
    assert_string_equal(sk_error_text(&error), sk_fault_kind(SK_FAULT_DEVICE_NOT_FOUND)->sentence);
    sk_error_set(&error, SK_FAULT_DEVICE_NOT_FOUND, "no %s", "pump");
    assert_string_equal(sk_error_text(&error), "no pump");
}

TEST(the_bare_form_holds_code_tracking_id_message_and_time) {
    struct sk_error error;
    struct sk_buffer out = {0};
    sk_error_set(&error, SK_FAULT_TWIN_TOO_LARGE, "a \"quoted\"\nsentence");
    sk_error_json(&out, &error, SK_SPAN("id"), 0);
    json_t *json = as_json(&out);
    assert_int_equal(json_integer_value(json_object_get(json, "errorCode")), 403100);
    assert_string_equal(json_string_value(json_object_get(json, "trackingId")), "id");
    assert_string_equal(json_string_value(json_object_get(json, "message")),
                        "a \"quoted\"\nsentence");
    assert_string_equal(json_string_value(json_object_get(json, "timestampUtc")),
                        "1970-01-01T00:00:00.0000000Z");
    json_decref(json);
    sk_buffer_free(&out);
}

TEST(http_bodies_are_parsed_by_both_kinds_of_sdk) {
    struct sk_error error;
    struct sk_buffer out = {0};
    sk_error_set(&error, SK_FAULT_DEVICE_NOT_FOUND, "no such device");
    sk_error_http_body(&out, &error, SK_SPAN("id"), 0, false);
    json_t *json = as_json(&out);
    assert_string_equal(json_string_value(json_object_get(json, "Message")),
                        "ErrorCode:DeviceNotFound;no such device");
    json_decref(json);
    out.n = 0;
    sk_error_http_body(&out, &error, SK_SPAN("id"), 0, true);
    json = as_json(&out);
    json_t *inner = json_loads(json_string_value(json_object_get(json, "Message")), 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(inner, "errorCode")), 404001);
    json_decref(inner);
    json_decref(json);
    sk_buffer_free(&out);
}

TEST(a_sentence_cut_inside_a_character_is_still_json) {
    for (size_t shift = 0; shift < 4; shift++) {
        struct sk_error error;
        struct sk_buffer text = {0}, out = {0};
        for (size_t i = 0; i < shift; i++) sk_buffer_byte(&text, 'x');
        for (size_t i = 0; i < 200; i++) sk_buffer_text(&text, "\xf0\x9f\x98\x80");
        sk_buffer_byte(&text, 0);
        sk_error_set(&error, SK_FAULT_ARGUMENT_INVALID, "%s", text.p);
        sk_error_http_body(&out, &error, SK_SPAN("id"), 0, true);
        json_decref(as_json(&out));
        sk_buffer_free(&text);
        sk_buffer_free(&out);
    }
}
