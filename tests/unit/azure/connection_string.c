#include "azure/connection_string.h"
#include "support/test.h"

static char error[SK_MODEL_ERROR_MAX];

TEST(a_module_string_behind_a_gateway_is_read_and_written) {
    static const char text[] =
        "HostName=h.example;DeviceId=d;ModuleId=m;SharedAccessKey=MDEyMw==;GatewayHostName=edge";
    struct sk_connection_string parts;
    assert_int_equal(sk_connection_string_parse(SK_SPAN(text), &parts, error), SK_OK);
    assert_true(sk_span_is(parts.host_name, "h.example") && sk_span_is(parts.device_id, "d") &&
                sk_span_is(parts.module_id, "m"));
    assert_true(sk_span_is(parts.shared_access_key, "MDEyMw==") &&
                sk_span_is(parts.gateway_host_name, "edge"));
    struct sk_buffer out = {0};
    sk_connection_string_format(&out, &parts);
    assert_true(sk_span_is(sk_buffer_span(&out), text));
    sk_buffer_free(&out);
}

TEST(a_service_string_names_its_policy) {
    struct sk_connection_string parts;
    assert_int_equal(
        sk_connection_string_parse(
            SK_SPAN(" HostName=h; SharedAccessKeyName = iothubowner ;SharedAccessKey=AAAA ; \n"),
            &parts, error),
        SK_OK);
    assert_true(sk_span_is(parts.shared_access_key_name, "iothubowner"));
}

TEST(x509_and_empty_parts_are_understood) {
    struct sk_connection_string parts;
    assert_int_equal(sk_connection_string_parse(
                         SK_SPAN("HostName=h;;DeviceId=d;x509=true;ModuleId="), &parts, error),
                     SK_OK);
    assert_true(parts.x509);
    assert_int_equal(parts.module_id.n, 0);
    struct sk_buffer out = {0};
    sk_connection_string_format(&out, &parts);
    assert_true(sk_span_is(sk_buffer_span(&out), "HostName=h;DeviceId=d;x509=true"));
    sk_buffer_free(&out);
}

TEST(bad_strings_are_refused_without_showing_a_key) {
    static const char *const bad[] = {
        "",
        "DeviceId=d",
        "HostName=h;secretsecret",
        "HostName=h;hostname=h",
        "HostName=h;HostName=i",
        "HostName=h;ModuleId=m",
        "HostName=h\n;DeviceId=d",
        "HostName=h\x7f",
        "HostName=h;DeviceId=a b",
        "HostName=h;DeviceId=d;SharedAccessKey=secret*secret",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sk_connection_string parts;
        error[0] = 0;
        assert_int_equal(sk_connection_string_parse(sk_span_z(bad[i]), &parts, error),
                         SK_MALFORMED);
        assert_int_not_equal(error[0], 0);
        assert_null(strstr(error, "secret"));
    }
}
