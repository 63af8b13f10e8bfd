#include "edge/agent/place.h"
#include "support/test.h"

static bool taken[SK_MODULE_USERS];

static int clear(void **state) {
    (void)state;
    memset(taken, 0, sizeof taken);
    return 0;
}

AROUND(clear, NULL);

TEST(the_first_module_gets_the_first_user) {
    assert_int_equal(sk_module_user_choose(UINT32_MAX, taken), 60600); /* it has no folder yet */
}

TEST(a_module_keeps_the_user_that_its_folder_has) {
    assert_int_equal(sk_module_user_choose(60605, taken), 60605);
    assert_int_equal(sk_module_user_choose(61099, taken), 61099);
}

TEST(a_folder_of_root_or_of_people_is_no_record) {
    assert_int_equal(sk_module_user_choose(0, taken), 60600);
    assert_int_equal(sk_module_user_choose(1000, taken), 60600);
    assert_int_equal(sk_module_user_choose(60599, taken), 60600);
    assert_int_equal(sk_module_user_choose(61100, taken), 60600);
}

TEST(the_lowest_user_that_nobody_has_is_next) {
    taken[0] = taken[1] = taken[3] = true;
    assert_int_equal(sk_module_user_choose(UINT32_MAX, taken), 60602);
}

/* After a folder was copied with its owner. */
TEST(two_folders_of_one_user_become_two_users) {
    taken[0] = taken[5] = true;
    assert_int_equal(sk_module_user_choose(60605, taken), 60601);
}

TEST(when_all_are_taken_there_is_none) {
    memset(taken, true, sizeof taken);
    assert_int_equal(sk_module_user_choose(UINT32_MAX, taken), 0);
    assert_int_equal(sk_module_user_choose(60605, taken), 0);
    taken[SK_MODULE_USERS - 1] = false;
    assert_int_equal(sk_module_user_choose(UINT32_MAX, taken), SK_MODULE_UID_LAST);
}
