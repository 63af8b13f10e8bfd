/* Assertions. */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "support/test.h"

/* How a child ends that finds `n` where 1 should be; its line. */
static int ends_with(int n, char line[256]) {
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        signal(SIGABRT, SIG_DFL);
        SK_ASSERT(n == 1);
        _exit(0);
    }
    close(ends[1]);
    ssize_t got = read(ends[0], line, 255);
    line[got > 0 ? got : 0] = 0;
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

TEST(what_holds_costs_nothing_and_what_does_not_ends_the_program_with_its_place) {
    char line[256];
    int status = ends_with(1, line);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_string_equal(line, "");
    status = ends_with(2, line);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(line, "assert.c:"));
    assert_non_null(strstr(line, ": n == 1 does not hold"));
}
