#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "edge/agent/place.h"

static bool taken[SK_MODULE_USERS];

static int clear(void **state) {
    (void)state;
    memset(taken, 0, sizeof taken);
    return 0;
}

static void the_first_module_gets_the_first_user(void **state) {
    (void)state;
    assert_int_equal(sk_module_user_choose(UINT32_MAX, taken), 60600); /* it has no folder yet */
}

static void a_module_keeps_the_user_that_its_folder_has(void **state) {
    (void)state;
    assert_int_equal(sk_module_user_choose(60605, taken), 60605);
    assert_int_equal(sk_module_user_choose(61099, taken), 61099);
}

static void a_folder_of_root_or_of_people_is_no_record(void **state) {
    (void)state;
    assert_int_equal(sk_module_user_choose(0, taken), 60600);
    assert_int_equal(sk_module_user_choose(1000, taken), 60600);
    assert_int_equal(sk_module_user_choose(60599, taken), 60600);
    assert_int_equal(sk_module_user_choose(61100, taken), 60600);
}

static void the_lowest_user_that_nobody_has_is_next(void **state) {
    (void)state;
    taken[0] = taken[1] = taken[3] = true;
    assert_int_equal(sk_module_user_choose(UINT32_MAX, taken), 60602);
}

/* After a folder was copied with its owner. */
static void two_folders_of_one_user_become_two_users(void **state) {
    (void)state;
    taken[0] = taken[5] = true;
    assert_int_equal(sk_module_user_choose(60605, taken), 60601);
}

static void when_all_are_taken_there_is_none(void **state) {
    (void)state;
    memset(taken, true, sizeof taken);
    assert_int_equal(sk_module_user_choose(UINT32_MAX, taken), 0);
    assert_int_equal(sk_module_user_choose(60605, taken), 0);
    taken[SK_MODULE_USERS - 1] = false;
    assert_int_equal(sk_module_user_choose(UINT32_MAX, taken), SK_MODULE_UID_LAST);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_first_module_gets_the_first_user, clear),
        cmocka_unit_test_setup(a_module_keeps_the_user_that_its_folder_has, clear),
        cmocka_unit_test_setup(a_folder_of_root_or_of_people_is_no_record, clear),
        cmocka_unit_test_setup(the_lowest_user_that_nobody_has_is_next, clear),
        cmocka_unit_test_setup(two_folders_of_one_user_become_two_users, clear),
        cmocka_unit_test_setup(when_all_are_taken_there_is_none, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
