/* A day of numbers, minute by minute, in a few bytes. */
#include <stdio.h>

#include "hub/insights/parts.h"
#include "support/test.h"

static const struct sk_hub_metric sent = {.name = "sent_total", .help = "Sent."},
                                  there = {.name = "there", .help = "There."};

static void put(struct samples *h, int64_t minute, uint64_t total, uint64_t gauge) {
    samples_begin(h, minute);
    samples_put(h, &sent, NULL, total);
    samples_put(h, &there, "a", gauge);
    samples_end(h, minute);
}

struct heard {
    const struct samples *samples;
    int64_t first, last;
    size_t count;
    struct sk_buffer text;
};

static void on_sample(void *arg, int64_t minute, const uint64_t *values) {
    struct heard *heard = arg;
    if (heard->count++ == 0) heard->first = minute;
    heard->last = minute;
    if (heard->text.n > 4000) return;
    sk_buffer_print(&heard->text, "%lld:", (long long)minute);
    for (size_t i = 0; i < heard->samples->count; i++)
        sk_buffer_print(&heard->text, " %llu", (unsigned long long)values[i]);
    sk_buffer_text(&heard->text, "; ");
}

static struct heard hear(const struct samples *h) {
    struct heard heard = {.samples = h};
    samples_each(h, on_sample, &heard);
    sk_buffer_byte(&heard.text, 0);
    return heard;
}

static void says(const struct samples *h, const char *expected) {
    struct heard heard = hear(h);
    assert_string_equal(heard.text.p, expected);
    sk_buffer_free(&heard.text);
}

TEST(counters_tell_what_they_have_grown_and_gauges_what_they_are) {
    struct samples h = {0};
    put(&h, 100, 5, 3);
    put(&h, 101, 5, 3);
    put(&h, 104, 305, 1000000);
    put(&h, 105, 306, 2);
    says(&h, "100: 5 3; 101: 0 3; 104: 300 1000000; 105: 1 2; ");
    samples_free(&h);
}

TEST(a_counter_that_begins_anew_and_what_is_gone_are_no_nonsense) {
    struct samples h = {0};
    put(&h, 1, 500, UINT64_MAX);
    put(&h, 2, 7, 0);
    put(&h, 3, 8, 9);
    samples_begin(&h, 4); /* the hub has neither any more */
    samples_end(&h, 4);
    put(&h, 5, 2, 4);
    says(&h, "1: 500 18446744073709551615; 2: 7 0; 3: 1 9; 4: 0 0; 5: 2 4; ");
    samples_free(&h);
}

TEST(a_day_is_kept_and_gauges_know_what_they_were_before_it) {
    struct samples h = {0};
    for (int64_t minute = 0; minute < SAMPLES_MINUTES; minute++) put(&h, minute, 0, 77);
    struct heard heard = hear(&h);
    assert_int_equal(heard.count, SAMPLES_MINUTES);
    assert_int_equal(heard.first, 0);
    sk_buffer_free(&heard.text);
    put(&h, SAMPLES_MINUTES, 1, 77);
    heard = hear(&h);
    assert_int_equal(heard.count, SAMPLES_MINUTES);
    assert_int_equal(heard.first, 1);
    assert_int_equal(heard.last, SAMPLES_MINUTES);
    assert_memory_equal(heard.text.p, "1: 77 0; 2: 77 0;", 17);
    assert_true(h.bytes.n < 16 * 1024);
    sk_buffer_free(&heard.text);
    put(&h, 3 * SAMPLES_MINUTES, 1, 78); /* it slept */
    says(&h, "4320: 78 0; ");
    samples_free(&h);
}

TEST(a_clock_that_is_set_back_begins_anew) {
    struct samples h = {0};
    put(&h, 100, 5, 3);
    put(&h, 101, 6, 4);
    put(&h, 50, 8, 4);
    put(&h, 51, 8, 5);
    says(&h, "50: 2 4; 51: 0 5; ");
    samples_free(&h);
}

/* Everything changes a lot in each minute: the limit of bytes holds, and what is left is true. */
TEST(memory_is_bounded_however_much_changes) {
    static struct sk_hub_metric rows[SAMPLES_NUMBERS_MAX + 1];
    struct samples h = {0};
    for (int64_t minute = 0; minute < SAMPLES_MINUTES; minute++) {
        samples_begin(&h, minute);
        for (size_t i = 0; i <= SAMPLES_NUMBERS_MAX; i++) {
            rows[i].name = "gauge";
            samples_put(&h, &rows[i], NULL, minute % 2 ? UINT64_MAX / 3 + i : 1);
        }
        samples_end(&h, minute);
        assert_true(h.bytes.n - h.head <= SAMPLES_BYTES_MAX);
        assert_true(h.bytes.n <= SAMPLES_BYTES_MAX + SAMPLES_BYTES_MAX / 4 + 8192);
    }
    assert_int_equal(h.count, SAMPLES_NUMBERS_MAX); /* one more is not kept */
    struct heard heard = hear(&h);
    assert_int_equal(heard.last, SAMPLES_MINUTES - 1);
    assert_int_equal(heard.count, h.kept);
    assert_in_range(heard.count, 20, 100);
    char first[64];
    snprintf(first, sizeof first, "%lld: %llu ", (long long)heard.first,
             heard.first % 2 ? UINT64_MAX / 3 : 1ull);
    assert_memory_equal(heard.text.p, first, strlen(first));
    sk_buffer_free(&heard.text);
    samples_free(&h);
}

TEST(things_that_come_and_go_do_not_use_up_the_places) {
    struct samples h = {0};
    char name[24];
    for (int64_t minute = 0; minute < 3 * SAMPLES_MINUTES; minute++) {
        samples_begin(&h, minute);
        snprintf(name, sizeof name, "endpoint-%lld", (long long)minute / 100);
        samples_put(&h, &there, name, 5);
        samples_end(&h, minute);
    }
    assert_in_range(h.count, 15, 17);
    struct heard heard = hear(&h);
    assert_int_equal(heard.count, SAMPLES_MINUTES);
    sk_buffer_free(&heard.text);
    samples_free(&h);
}
