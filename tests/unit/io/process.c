#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "io/process.h"
#include "support/test.h"

static enum sk_status answer(void *arg, struct sk_buffer *out) {
    size_t n = *(size_t *)arg;
    for (size_t i = 0; i < n; i++) sk_buffer_byte(out, (char)('a' + i % 26));
    return n ? SK_OK : SK_NOT_FOUND;
}

TEST(a_helpers_output_and_status_come_back) {
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

TEST(a_helper_that_is_killed_is_an_error) {
    struct sk_buffer out = {0};
    assert_int_equal(sk_process_run(die, NULL, &out), SK_IO);
    sk_buffer_free(&out);
}

/* Two stores in one folder would give the same numbers twice. */
TEST(a_data_folder_belongs_to_one_process_until_it_has_ended) {
    char folder[] = "/tmp/claim-XXXXXX", data[64], lock[80], why[256], id[24], byte = 0;
    int ends[2];
    assert_non_null(mkdtemp(folder));
    snprintf(data, sizeof data, "%s/made/for/it", folder);
    snprintf(lock, sizeof lock, "%s/lock", data);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        byte = sk_folder_claim(data, 0700, why) == SK_OK;
        if (write(ends[1], &byte, 1) == 1) pause();
        _exit(1);
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(byte, 1);
    assert_int_equal(sk_folder_claim(data, 0700, why), SK_EXISTS);
    snprintf(id, sizeof id, "process %d", (int)child);
    assert_non_null(strstr(why, id));
    assert_non_null(strstr(why, data));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(sk_folder_claim(data, 0700, why), SK_OK);
    assert_int_equal(sk_folder_claim(data, 0700, why), SK_EXISTS); /* not even by us, twice */
    assert_int_equal(sk_folder_claim("/dev/null/data", 0700, why), SK_IO);
    unlink(lock);
    close(ends[0]);
    close(ends[1]);
}

/* Claims the folder in a process that ends at once, and leaves a child with the lock for `ms`. */
static void leave_behind(const char *folder, unsigned ms) {
    int status;
    pid_t claimer = fork();
    if (claimer == 0) {
        char why[256];
        if (sk_folder_claim(folder, 0700, why)) _exit(1);
        if (fork() == 0) usleep(ms * 1000);
        _exit(0);
    }
    waitpid(claimer, &status, 0);
    assert_int_equal(status, 0);
}

TEST(what_a_killed_process_leaves_behind_is_waited_for_a_moment) {
    char folder[] = "/tmp/claim-XXXXXX", command[80], why[256];
    assert_non_null(mkdtemp(folder));
    leave_behind(folder, 300);
    assert_int_equal(sk_folder_claim(folder, 0700, why), SK_OK);
    snprintf(command, sizeof command, "%s/stays", folder);
    leave_behind(command, 6000);
    assert_int_equal(sk_folder_claim(command, 0700, why), SK_EXISTS);
    assert_non_null(strstr(why, "has left running"));
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

TEST(the_machine_has_a_name) {
    char name[256] = "";
    assert_int_equal(sk_machine_name(name), SK_OK);
    assert_true(strlen(name) > 0);
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

/* Hangs the first time, and works the second time for longer than it may be silent. */
static int hang_once(void *arg) {
    struct sk_role_state *state = arg;
    sk_role_alive(state);
    if (atomic_load(&state->restarts) == 0) raise(SIGSTOP);
    for (int i = 0; i < 15; i++) {
        const struct timespec moment = {.tv_nsec = 100000000};
        nanosleep(&moment, NULL);
        sk_role_alive(state);
    }
    kill(getppid(), SIGTERM);
    return wait_for_term(NULL);
}

TEST(a_role_that_hangs_is_started_again_and_one_that_says_nothing_or_works_is_not) {
    struct sk_role_state *states = sk_role_states(2);
    const struct sk_role roles[] = {
        {.name = "waits", .run = wait_for_term, .state = &states[0], .silence_s = 1},
        {.name = "hangs",
         .run = hang_once,
         .arg = &states[1],
         .state = &states[1],
         .silence_s = 1}};
    assert_int_equal(sk_roles_run(roles, 2), 0);
    assert_int_equal(atomic_load(&states[1].restarts), 1);
    assert_int_equal(atomic_load(&states[0].restarts), 0);
}

TEST(a_role_that_gives_up_ends_all) {
    struct sk_role_state *states = sk_role_states(2);
    const struct sk_role roles[] = {{.name = "waits", .run = wait_for_term, .state = &states[0]},
                                    {.name = "gives-up", .run = give_up, .state = &states[1]}};
    assert_int_equal(sk_roles_run(roles, 2), 1);
    assert_int_equal(atomic_load(&states[0].pid), 0);
}

TEST(a_role_that_ends_is_started_again_and_term_ends_all) {
    struct sk_role_state *states = sk_role_states(2);
    const struct sk_role roles[] = {
        {.name = "waits", .run = wait_for_term, .state = &states[0]},
        {.name = "ends", .run = end_once_then_all, .arg = &states[1], .state = &states[1]}};
    assert_int_equal(sk_roles_run(roles, 2), 0);
    assert_int_equal(atomic_load(&states[1].restarts), 1);
    assert_int_equal(atomic_load(&states[0].restarts), 0);
    assert_true(atomic_load(&states[0].started_us) > 0);
}
