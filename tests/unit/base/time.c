/* Times and durations as text. */
#include "base/base.h"
#include "support/test.h"

TEST(a_time_is_written_with_seven_fraction_digits) {
    const struct {
        int64_t us;
        const char *text;
    } vectors[] = {
        {0, "1970-01-01T00:00:00.0000000Z"},
        {1, "1970-01-01T00:00:00.0000010Z"},
        {-1, "1969-12-31T23:59:59.9999990Z"},
        {1767225600000000, "2026-01-01T00:00:00.0000000Z"},
        {951827696123456, "2000-02-29T12:34:56.1234560Z"},
        {4107542399999999, "2100-02-28T23:59:59.9999990Z"},
        {4107542400000000, "2100-03-01T00:00:00.0000000Z"}, /* 2100 is no leap year */
        {-62135596800000000, "0001-01-01T00:00:00.0000000Z"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        char text[SK_TIME_TEXT];
        int64_t us;
        sk_time_text(vectors[i].us, text);
        assert_string_equal(text, vectors[i].text);
        assert_int_equal(sk_time_parse(sk_span_z(text), &us), SK_OK);
        assert_int_equal(us, vectors[i].us);
    }
}

TEST(each_day_of_four_centuries_comes_back_as_itself) {
    for (int64_t day = -11000; day < 146097 - 11000; day += 13) {
        char text[SK_TIME_TEXT];
        int64_t us;
        sk_time_text(day * 86400000000, text);
        assert_int_equal(sk_time_parse(sk_span_z(text), &us), SK_OK);
        assert_int_equal(us, day * 86400000000);
    }
}

TEST(times_are_read_in_the_forms_of_iso_8601) {
    const struct {
        const char *text;
        int64_t us;
    } vectors[] = {
        {"2026-01-01", 1767225600000000},
        {"2026-01-01T00:00Z", 1767225600000000},
        {"2026-01-01 00:00:00", 1767225600000000},
        {"2026-01-01t00:00:01z", 1767225601000000},
        {"2026-01-01T00:00:00.5Z", 1767225600500000},
        {"2026-01-01T00:00:00.1234567Z", 1767225600123456},
        {"2026-01-01T02:00:00+02:00", 1767225600000000},
        {"2025-12-31T18:30:00-05:30", 1767225600000000},
        {"2026-01-01T02:00:00+0200", 1767225600000000},
        {"2026-01-01T02:00:00+02", 1767225600000000},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        int64_t us = 0;
        assert_int_equal(sk_time_parse(sk_span_z(vectors[i].text), &us), SK_OK);
        assert_int_equal(us, vectors[i].us);
    }
}

TEST(what_is_no_time_is_refused) {
    const char *bad[] = {"2026-02-29T00:00:00Z",
                         "2026-04-31",
                         "2026-01-01T24:00:00Z",
                         "",
                         "2026",
                         "2026-1-01",
                         "2026-13-01",
                         "2026-00-01",
                         "2026-01-32",
                         "2026-01-00",
                         "2026-01-01T",
                         "2026-01-01T25:00:00Z",
                         "2026-01-01T00:60:00Z",
                         "2026-01-01T00:00:61Z",
                         "2026-01-01T00:00:00.Z",
                         "2026-01-01T00:00:00Zx",
                         "2026-01-01T00:00:00+",
                         "2026-01-01T00:00:00+1",
                         "-026-01-01",
                         "now"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t us;
        assert_int_equal(sk_time_parse(sk_span_z(bad[i]), &us), SK_MALFORMED);
    }
}

TEST(durations_are_read_in_both_spellings) {
    const struct {
        const char *text;
        int64_t us;
    } vectors[] = {
        {"1d", 86400000000},       {"12h", 43200000000},
        {"30m", 1800000000},       {"15s", 15000000},
        {"500ms", 500000},         {"7us", 7},
        {"1h30m", 5400000000},     {"P1D", 86400000000},
        {"PT1H", 3600000000},      {"P1DT2H30M5S", 95405000000},
        {"PT60M", 3600000000},     {"0s", 0},
        {"P1M", 2592000000000},    {"P1Y2W", 32745600000000},
        {"P1MT1M", 2592060000000}, {"PT0.5S", 500000},
        {"PT1.25H", 4500000000},   {"P0,5D", 43200000000},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        int64_t us = -1;
        assert_int_equal(sk_duration_parse(sk_span_z(vectors[i].text), &us), SK_OK);
        assert_int_equal(us, vectors[i].us);
    }
    const char *bad[] = {"",
                         "1",
                         "d",
                         "1x",
                         "-1d",
                         "P",
                         "PT",
                         "P1H",
                         "PT1D",
                         "1 d",
                         "9223372036854775807d",
                         "1.5h",
                         "PT1.S",
                         "PT.5S",
                         "P1.5",
                         "1y",
                         "PT1Y"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t us;
        assert_int_equal(sk_duration_parse(sk_span_z(bad[i]), &us), SK_MALFORMED);
    }
}

TEST(times_can_be_said_from_now) {
    const int64_t now = 1767225600000000;
    int64_t us;
    const struct {
        const char *text;
        int64_t us;
    } vectors[] = {{"NOW", now},
                   {"now-PT1H", now - 3600000000},
                   {"NOW+1d", now + 86400000000},
                   {"1970-01-01T00:00:01Z", 1000000}};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        assert_int_equal(sk_time_parse_near(sk_span_z(vectors[i].text), now, &us), SK_OK);
        assert_int_equal(us, vectors[i].us);
    }
    const char *bad[] = {"", "NOW1h", "NOW-", "NOW--1h", "NOW-soon", "yesterday"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(sk_time_parse_near(sk_span_z(bad[i]), now, &us), SK_MALFORMED);
}

TEST(http_has_times_of_its_own) {
    static const struct {
        int64_t us;
        const char *text;
    } vectors[] = {{0, "Thu, 01 Jan 1970 00:00:00 GMT"},
                   {784111777000000, "Sun, 06 Nov 1994 08:49:37 GMT"}, /* RFC 9110 */
                   {951825600000000, "Tue, 29 Feb 2000 12:00:00 GMT"},
                   {-1000000, "Wed, 31 Dec 1969 23:59:59 GMT"}};
    static const char *const bad[] = {
        "", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Now 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT"};
    char text[SK_TIME_HTTP_TEXT];
    int64_t us;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        sk_time_http_text(vectors[i].us, text);
        assert_string_equal(text, vectors[i].text);
        assert_int_equal(sk_time_http_parse(sk_span_z(text), &us), SK_OK);
        assert_int_equal(us, vectors[i].us);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(sk_time_http_parse(sk_span_z(bad[i]), &us), SK_MALFORMED);
}
