#include "edge/agent/image_record.h"
#include "support/test.h"

static const int64_t NOW = INT64_C(1795262400000000); /* 2026-11-21T12:00:00Z */

TEST(an_image_is_old_when_it_has_not_been_used_for_that_long) {
    json_t *record = sk_image_record_read(SK_NONE);
    assert_null(sk_image_record_old(record, NOW, SK_DAY_US));
    sk_image_record_use(record, "x:1", NOW);
    assert_null(sk_image_record_old(record, NOW + SK_DAY_US - 1, SK_DAY_US));
    assert_string_equal(sk_image_record_old(record, NOW + SK_DAY_US, SK_DAY_US), "x:1");
    assert_null(sk_image_record_old(record, NOW - 10 * 365 * SK_DAY_US, SK_DAY_US));
    sk_image_record_use(record, "x:1", NOW + SK_DAY_US);
    assert_null(sk_image_record_old(record, NOW + SK_DAY_US, SK_DAY_US));
    sk_image_record_forget(record, "x:1");
    assert_null(sk_image_record_old(record, NOW + 9 * SK_DAY_US, SK_DAY_US));
    json_decref(record);
}

TEST(what_is_no_record_is_an_empty_one) {
    static const char *const texts[] = {"", "[]", "{\"images\":7}", "nonsense",
                                        "{\"images\":{\"x\":\"y\"},\"cleaned\":null}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_t *record = sk_image_record_read(sk_span_z(texts[i]));
        sk_image_record_use(record, "a", NOW);
        assert_true(sk_image_record_due(record, NOW, SK_DAY_US));
        json_decref(record);
    }
}

TEST(it_is_time_once_every_so_many_days_at_that_minute) {
    json_t *record = sk_image_record_read(SK_NONE);
    json_object_set_new(record, "cleaned", json_integer(NOW));
    assert_false(sk_image_record_due(record, NOW + 60 * 1000000, SK_DAY_US));
    assert_true(sk_image_record_due(record, NOW + SK_DAY_US - 60 * 1000000, SK_DAY_US));
    assert_false(sk_image_record_due(record, NOW + SK_DAY_US, 2 * SK_DAY_US));
    assert_true(sk_image_record_due(record, NOW + 2 * SK_DAY_US, 2 * SK_DAY_US));
    assert_true(sk_image_record_due(record, NOW - 1, SK_DAY_US)); /* the clock was set back */
    json_decref(record);
    static const int64_t MINUTE = 60 * 1000000;
    assert_int_equal(sk_image_next_us(NOW, 12 * 60), NOW + SK_DAY_US);
    assert_int_equal(sk_image_next_us(NOW, 12 * 60 + 1), NOW + MINUTE);
    assert_int_equal(sk_image_next_us(NOW, 0), NOW + SK_DAY_US / 2);
    assert_int_equal(sk_image_next_us(NOW - 1, 12 * 60), NOW);
}
