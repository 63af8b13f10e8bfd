#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <unistd.h>

#include "io/process.h"

static enum sk_status answer(void *arg, struct sk_buffer *out) {
    size_t n = *(size_t *)arg;
    for (size_t i = 0; i < n; i++) sk_buffer_byte(out, (char)('a' + i % 26));
    return n ? SK_OK : SK_NOT_FOUND;
}

static void a_helpers_output_and_status_come_back(void **state) {
    (void)state;
    struct sk_buffer out = {0};
    size_t n = 300000; /* more than a pipe holds */
    assert_int_equal(sk_process_run(answer, &n, &out), SK_OK);
    assert_int_equal(out.n, n);
    assert_int_equal(out.p[n - 1], 'a' + (n - 1) % 26);
    n = 0;
    assert_int_equal(sk_process_run(answer, &n, &out), SK_NOT_FOUND);
    sk_buffer_free(&out);
}

static enum sk_status die(void *arg, struct sk_buffer *out) {
    (void)arg;
    (void)out;
    raise(SIGKILL);
    return SK_OK;
}

static void a_helper_that_is_killed_is_an_error(void **state) {
    (void)state;
    struct sk_buffer out = {0};
    assert_int_equal(sk_process_run(die, NULL, &out), SK_IO);
    sk_buffer_free(&out);
}

static int wait_for_term(void *arg) {
    (void)arg;
    sigset_t signals;
    int number;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    sigwait(&signals, &number);
    return 0;
}

static int give_up(void *arg) {
    (void)arg;
    return SK_ROLE_GIVE_UP;
}

/* Ends by itself the first time, and the whole family the second time. */
static int end_once_then_all(void *arg) {
    struct sk_role_state *state = arg;
    if (atomic_load(&state->restarts) == 0) return 1;
    kill(getppid(), SIGTERM);
    return wait_for_term(NULL);
}

static void a_role_that_gives_up_ends_all(void **state) {
    (void)state;
    struct sk_role_state *states = sk_role_states(2);
    const struct sk_role roles[] = {{"waits", wait_for_term, NULL, &states[0]},
                                    {"gives-up", give_up, NULL, &states[1]}};
    assert_int_equal(sk_roles_run(roles, 2), 1);
    assert_int_equal(atomic_load(&states[0].pid), 0);
}

static void a_role_that_ends_is_started_again_and_term_ends_all(void **state) {
    (void)state;
    struct sk_role_state *states = sk_role_states(2);
    const struct sk_role roles[] = {{"waits", wait_for_term, NULL, &states[0]},
                                    {"ends", end_once_then_all, &states[1], &states[1]}};
    assert_int_equal(sk_roles_run(roles, 2), 0);
    assert_int_equal(atomic_load(&states[1].restarts), 1);
    assert_int_equal(atomic_load(&states[0].restarts), 0);
    assert_true(atomic_load(&states[0].started_us) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_helpers_output_and_status_come_back),
        cmocka_unit_test(a_helper_that_is_killed_is_an_error),
        cmocka_unit_test(a_role_that_gives_up_ends_all),
        cmocka_unit_test(a_role_that_ends_is_started_again_and_term_ends_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
