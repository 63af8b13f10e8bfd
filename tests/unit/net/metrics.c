#include "net/metrics.h"

#include "support/test.h"

static const struct sk_metric_edge edge = {"hub.example", "edge\"1", "I"};

TEST(a_value_has_the_labels_that_all_have_and_its_own) {
    struct sk_buffer text = {0};
    sk_metric_put_name(&text, "m_total", "counter", "Help.");
    sk_metric_begin(&text, "m_total", &edge);
    sk_metric_label(&text, "id", "a");
    sk_metric_count(&text, 7);
    assert_true(sk_span_is(sk_buffer_span(&text),
                           "# HELP m_total Help.\n# TYPE m_total counter\n"
                           "m_total{iothub=\"hub.example\",edge_device=\"edge\\\"1\","
                           "instance_number=\"I\",id=\"a\"} 7\n"));
    sk_buffer_free(&text);
}

static bool says(const struct sk_buffer *text, const char *part) {
    return memmem(text->p, text->n, part, strlen(part)) != NULL;
}

TEST(a_summary_tells_quantiles_sum_and_count_in_its_unit) {
    struct sk_summary summary = {0};
    struct sk_buffer text = {0};
    sk_metric_put_summary(&text, "s", &edge, SK_SPAN(",k=\"v\""), &summary, 0.5);
    assert_int_equal(text.n, 0);
    for (unsigned i = 0; i < 4; i++) sk_summary_add(&summary, i < 3 ? 2 : 3);
    sk_metric_put_summary(&text, "s", &edge, SK_SPAN(",k=\"v\""), &summary, 0.5);
    assert_true(says(&text, ",k=\"v\",quantile=\"0.1\"} 1\n"));
    assert_true(says(&text, ",quantile=\"0.5\"} 1\n"));
    assert_true(says(&text, ",quantile=\"0.99\"} 1.5\n"));
    assert_true(says(&text, "s_sum{iothub="));
    assert_true(says(&text, ",k=\"v\"} 4.5\n"));
    assert_true(says(&text, ",k=\"v\"} 4\n"));
    sk_buffer_free(&text);
}

TEST(labels_may_hold_anything) {
    struct sk_buffer text = {0};
    sk_metric_label(&text, "a", "q\"b\\n\n\xc3\xa4");
    sk_metric_label(&text, "b", "\xff");
    assert_true(sk_span_is(sk_buffer_span(&text), ",a=\"q\\\"b\\\\n?\xc3\xa4\",b=\"?\""));
    sk_buffer_free(&text);
}
