#include <stdio.h>

#include "model/identity.h"
#include "support/test.h"

static char error[SK_MODEL_ERROR_MAX];
#define KEY "MDEyMzQ1Njc4OWFiY2RlZg==" /* 16 bytes */

static enum sk_status read_device(const char *text, struct sk_identity *identity) {
    json_t *body = json_loads(text, 0, NULL);
    assert_non_null(body);
    enum sk_status status = sk_identity_from_json(body, SK_SPAN("d1"), SK_NONE, identity, error);
    json_decref(body);
    return status;
}

TEST(ids_have_an_alphabet_and_a_length) {
    char id[SK_ID_MAX + 2];
    memset(id, 'x', sizeof id);
    assert_int_equal(sk_id_check(sk_span(id, SK_ID_MAX)), SK_OK);
    assert_int_equal(sk_id_check(sk_span(id, SK_ID_MAX + 1)), SK_INVALID);
    assert_int_equal(sk_id_check(SK_SPAN("aZ9-:.+%_#*?!(),=@;$'")), SK_OK);
    static const char *const bad[] = {"", "a/b", "a b", "ä", "a\"", "a\\", "a&"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(sk_id_check(sk_span_z(bad[i])), SK_INVALID);
    assert_int_equal(sk_id_check(sk_span("a\0b", 3)), SK_INVALID);
}

TEST(what_the_node_sdk_sends_for_a_plain_device_is_sas_without_keys) {
    struct sk_identity identity;
    assert_int_equal(
        read_device("{\"deviceId\":\"d1\",\"authentication\":{\"type\":\"sas\",\"symmetricKey\":"
                    "{\"primaryKey\":\"\",\"secondaryKey\":\"\"}}}",
                    &identity),
        SK_OK);
    assert_int_equal(identity.auth, SK_AUTH_SAS);
    assert_null(identity.primary_key);
    uint8_t random[64];
    memset(random, 7, sizeof random);
    random[63] = 8;
    assert_true(sk_identity_fill_keys(&identity, random));
    assert_false(sk_identity_fill_keys(&identity, random));
    assert_int_equal(strlen(identity.primary_key), 44);
    assert_string_not_equal(identity.primary_key, identity.secondary_key);
    sk_identity_free(&identity);
}

TEST(a_full_device_survives_the_way_to_json_and_back) {
    struct sk_identity identity, again;
    assert_int_equal(read_device("{\"status\":\"disabled\",\"statusReason\":\"stolen\","
                                 "\"deviceScope\":\"ms-azure-iot-edge://e-1\","
                                 "\"authentication\":{\"symmetricKey\":{\"primaryKey\":\"" KEY
                                 "\",\"secondaryKey\":\"" KEY "\"}}}",
                                 &identity),
                     SK_OK);
    identity.etag = 53410813;
    identity.status_updated_us = 1795262400000000;
    sk_identity_set(&identity.generation_id, SK_SPAN("637190000000000000"));
    json_t *json =
        sk_identity_to_json(&identity, &(struct sk_presence){.connected = true, .c2d_count = 3});
    assert_string_equal(json_string_value(json_object_get(json, "etag")), "NTM0MTA4MTM=");
    assert_string_equal(json_string_value(json_object_get(json, "connectionState")), "Connected");
    assert_string_equal(json_string_value(json_object_get(json, "lastActivityTime")),
                        "0001-01-01T00:00:00");
    assert_string_equal(json_string_value(json_object_get(json, "statusUpdatedTime")),
                        "2026-11-21T12:00:00.0000000Z");
    assert_int_equal(sk_identity_from_json(json, SK_SPAN("d1"), SK_NONE, &again, error), SK_OK);
    assert_true(again.disabled);
    assert_string_equal(again.status_reason, "stolen");
    assert_string_equal(again.primary_key, KEY);
    assert_string_equal(again.device_scope, "ms-azure-iot-edge://e-1");
    assert_int_equal(again.parent_scope_count, 1); /* a leaf's mirror of its scope */
    assert_string_equal(again.parent_scopes[0], "ms-azure-iot-edge://e-1");
    json_decref(json);
    sk_identity_free(&again);
    sk_identity_free(&identity);
}

TEST(a_thumbprint_makes_it_self_signed_in_upper_case) {
    struct sk_identity identity;
    assert_int_equal(read_device("{\"authentication\":{\"x509Thumbprint\":{\"primaryThumbprint\":"
                                 "\"0123456789abcdef0123456789abcdef01234567\"}}}",
                                 &identity),
                     SK_OK);
    assert_int_equal(identity.auth, SK_AUTH_SELF_SIGNED);
    assert_string_equal(identity.primary_thumbprint, "0123456789ABCDEF0123456789ABCDEF01234567");
    uint8_t random[64] = {0};
    assert_false(sk_identity_fill_keys(&identity, random));
    sk_identity_free(&identity);
}

TEST(a_new_edge_device_gets_a_scope_of_its_own) {
    struct sk_identity identity;
    assert_int_equal(read_device("{\"capabilities\":{\"iotEdge\":true},"
                                 "\"parentScopes\":[\"ms-azure-iot-edge://top-1\"]}",
                                 &identity),
                     SK_OK);
    sk_identity_begin(&identity, 1795262400000000);
    assert_string_equal(identity.generation_id, "639308592000000000");
    assert_string_equal(identity.device_scope, "ms-azure-iot-edge://d1-639308592000000000");
    assert_string_equal(identity.parent_scopes[0], "ms-azure-iot-edge://top-1");
    sk_identity_free(&identity);
}

TEST(a_module_has_a_manager_and_no_status) {
    struct sk_identity identity;
    json_t *body =
        json_pack("{s:s,s:s,s:s}", "moduleId", "m", "managedBy", "IotEdge", "status", "disabled");
    assert_int_equal(sk_identity_from_json(body, SK_SPAN("d1"), SK_SPAN("m"), &identity, error),
                     SK_OK);
    assert_false(identity.disabled);
    json_t *json = sk_identity_to_json(&identity, NULL);
    assert_string_equal(json_string_value(json_object_get(json, "managedBy")), "IotEdge");
    assert_null(json_object_get(json, "status"));
    struct sk_identity copy = sk_identity_copy(&identity);
    assert_string_equal(copy.module_id, "m");
    sk_identity_free(&copy);
    json_decref(json);
    json_decref(body);
    sk_identity_free(&identity);
}

TEST(bad_identities_are_refused_with_a_sentence) {
    static const char *const bad[] = {
        "[]",
        "{\"deviceId\":\"other\"}",
        "{\"status\":\"sleeping\"}",
        "{\"status\":1}",
        "{\"authentication\":[]}",
        "{\"authentication\":{\"type\":\"magic\"}}",
        "{\"authentication\":{\"type\":\"selfSigned\"}}",
        "{\"authentication\":{\"x509Thumbprint\":{\"primaryThumbprint\":\"abcd\"}}}",
        "{\"authentication\":{\"x509Thumbprint\":{"
        "\"primaryThumbprint\":\"zz23456789abcdef0123456789abcdef01234567\"}}}",
        "{\"authentication\":{\"symmetricKey\":{\"primaryKey\":\"" KEY "\"}}}",
        "{\"authentication\":{\"symmetricKey\":{\"primaryKey\":\"AAAA\","
        "\"secondaryKey\":\"AAAA\"}}}",
        "{\"authentication\":{\"symmetricKey\":{\"primaryKey\":\"***\",\"secondaryKey\":\"" KEY
        "\"}}}",
        "{\"capabilities\":{\"iotEdge\":\"yes\"}}",
        "{\"deviceScope\":\"elsewhere\"}",
        "{\"parentScopes\":\"x\"}",
        "{\"parentScopes\":[\"ms-azure-iot-edge://a\",\"ms-azure-iot-edge://b\"]}",
        "{\"parentScopes\":[7]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sk_identity identity;
        error[0] = 0;
        if (read_device(bad[i], &identity) != SK_INVALID) fail_msg("%s", bad[i]);
        assert_int_equal(error[strlen(error) - 1], '.');
    }
    char text[256];
    snprintf(text, sizeof text, "{\"statusReason\":\"%0*d\"}", SK_STATUS_REASON_MAX, 0);
    struct sk_identity identity;
    assert_int_equal(read_device(text, &identity), SK_OK);
    sk_identity_free(&identity);
    snprintf(text, sizeof text, "{\"statusReason\":\"%0*d\"}", SK_STATUS_REASON_MAX + 1, 0);
    assert_int_equal(read_device(text, &identity), SK_INVALID);
}

TEST(if_match_takes_quotes_weak_tags_and_stars) {
    char etag[SK_ETAG_MAX];
    sk_twin_etag(7, etag);
    assert_string_equal(etag, "AAAAAAAAAAc=");
    static const char *const good[] = {
        "AAAAAAAAAAc=", "\"AAAAAAAAAAc=\"", "W/\"AAAAAAAAAAc=\"", "*", "\"*\"", " * "};
    static const char *const bad[] = {"", "\"\"", "AAAAAAAAAAg=", "\"AAAAAAAAAAc=", "W/"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(sk_etag_matches(sk_span_z(good[i]), etag));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(sk_etag_matches(sk_span_z(bad[i]), etag));
}
