/* A connection's share of work under way: each limit of docs/decisions/0011-budgets.md, below it
 * and at it. */
#include "gateway/parts.h"
#include "support/test.h"

enum { REQUESTS = 4096, DEAR = 64, BYTES = 1024 * 1024 };

static void take(struct sk_budget *budget, enum sk_op op, size_t count) {
    for (size_t i = 0; i < count; i++) budget_take(budget, op, 0);
}

static void give(struct sk_budget *budget, unsigned requests, size_t bytes) {
    budget_give(budget, (struct sk_cost){.requests = requests, .bytes = bytes});
}

TEST(so_many_messages_fill_a_share_and_one_less_does_not) {
    static const enum sk_op small[] = {SK_OP_TELEMETRY, SK_OP_SETTLE};
    for (size_t i = 0; i < 2; i++) {
        struct sk_budget budget = {0};
        take(&budget, small[i], REQUESTS - 1);
        assert_false(budget.full);
        take(&budget, small[i], 1);
        assert_true(budget.full);
    }
}

TEST(any_other_request_counts_as_64_messages) {
    struct sk_budget budget = {0};
    take(&budget, SK_OP_TWIN_GET, REQUESTS / DEAR - 1);
    take(&budget, SK_OP_TELEMETRY, DEAR - 1);
    assert_false(budget.full);
    take(&budget, SK_OP_TELEMETRY, 1);
    assert_true(budget.full);
    assert_int_equal(budget.requests, REQUESTS);
}

TEST(so_many_bytes_fill_a_share_and_one_less_does_not) {
    struct sk_budget budget = {0};
    budget_take(&budget, SK_OP_TELEMETRY, BYTES - 1);
    assert_false(budget.full);
    budget_take(&budget, SK_OP_TELEMETRY, 1);
    assert_true(budget.full);
}

TEST(a_full_share_opens_again_when_half_of_it_is_done) {
    struct sk_budget budget = {0};
    take(&budget, SK_OP_TELEMETRY, REQUESTS);
    give(&budget, REQUESTS / 2 - 1, 0);
    assert_true(budget.full);
    give(&budget, 1, 0);
    assert_false(budget.full);
    budget_take(&budget, SK_OP_TELEMETRY, BYTES);
    give(&budget, 1, BYTES / 2 - 1);
    assert_true(budget.full); /* of the bytes more than half are there */
    give(&budget, 0, 1);
    assert_false(budget.full);
}

TEST(what_was_taken_comes_back_as_a_whole) {
    static const enum sk_op ops[] = {SK_OP_TELEMETRY, SK_OP_TWIN_GET, SK_OP_SETTLE,
                                     SK_OP_METHOD_INVOKE};
    struct sk_budget budget = {0};
    struct sk_cost costs[4];
    for (size_t i = 0; i < 4; i++) costs[i] = budget_take(&budget, ops[i], 600000 * i);
    assert_true(budget.full);
    for (size_t i = 0; i < 4; i++) budget_give(&budget, costs[i]);
    assert_int_equal(budget.requests, 0);
    assert_int_equal(budget.bytes, 0);
    assert_false(budget.full);
}
