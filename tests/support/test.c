#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"

static struct test *tests;
static struct test_around *arounds;
static struct test_around around_all;
static void (*begin_variant)(const char *variant);
static const char *const *variants; /* NULL: there is one, without a name */

static const char *variant = ""; /* that runs */
static const struct test *running;
static struct timespec began;
static void *state_of_all;

/* Constructors run in any order: the lines tell. */
void test_register(struct test *test) {
    struct test **at = &tests;
    while (*at && (*at)->line < test->line) at = &(*at)->next;
    test->next = *at;
    *at = test;
}

void test_register_around(struct test_around *around) {
    struct test_around **at = &arounds;
    while (*at && (*at)->line < around->line) at = &(*at)->next;
    around->next = *at;
    *at = around;
}

void test_register_around_all(test_fixture *set_up, test_fixture *tear_down) {
    around_all = (struct test_around){.set_up = set_up, .tear_down = tear_down};
}

void test_register_variants(void (*begin)(const char *variant), const char *const *names) {
    begin_variant = begin;
    variants = names;
}

static const struct test_around *around(const struct test *test) {
    static const struct test_around none;
    const struct test_around *found = &none;
    for (const struct test_around *a = arounds; a && a->line < test->line; a = a->next) found = a;
    return found;
}

/* ---- around each test ---- */

static void note_time(void) {
    const char *file = getenv("TEST_TIMES");
    FILE *to = file ? fopen(file, "a") : NULL;
    struct timespec now;
    if (to == NULL) return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double seconds =
        (double)(now.tv_sec - began.tv_sec) + (double)(now.tv_nsec - began.tv_nsec) / 1e9;
    fprintf(to, "%s%s%s\t%.3f\n", variant, *variant ? ": " : "", running->name, seconds);
    fclose(to);
}

static int set_up(void **state) {
    running = *state;
    *state = state_of_all;
    clock_gettime(CLOCK_MONOTONIC, &began);
    test_fixture *own = around(running)->set_up;
    return own ? own(state) : 0;
}

static int tear_down(void **state) {
    test_fixture *own = around(running)->tear_down;
    int failed = own ? own(state) : 0;
    note_time();
    return failed;
}

/* ---- around all of a run ---- */

static int set_up_all(void **state) {
    (void)state;
    state_of_all = NULL;
    return around_all.set_up ? around_all.set_up(&state_of_all) : 0;
}

static int tear_down_all(void **state) {
    (void)state;
    return around_all.tear_down ? around_all.tear_down(&state_of_all) : 0;
}

static bool is_wanted(const struct test *test, char **patterns) {
    if (*patterns == NULL) return true;
    for (; *patterns; patterns++)
        if (strstr(test->name, *patterns)) return true;
    return false;
}

/* All tests that are wanted, once; how many failed. */
static int run(char **patterns) {
    size_t count = 0, room = 0;
    for (const struct test *test = tests; test; test = test->next) room++;
    struct CMUnitTest *list = calloc(room + 1, sizeof *list);
    for (struct test *test = tests; test; test = test->next)
        if (is_wanted(test, patterns))
            list[count++] = (struct CMUnitTest){test->name, test->run, set_up, tear_down, test};
    int failed = _cmocka_run_group_tests(*variant ? variant : "tests", list, count, set_up_all,
                                         tear_down_all);
    if (count == 0) fprintf(stderr, "no test is called so\n");
    free(list);
    return count ? failed : 1;
}

int main(int argc, char **argv) {
    const char *level = getenv("TEST_LOG");
    int failed = 0;
    (void)argc;
    if (level == NULL || !sk_note_level_parse(level)) sk_note_level(SK_LEVEL_ERROR);
    if (variants == NULL) return run(argv + 1);
    for (; *variants; variants++) {
        variant = *variants;
        begin_variant(variant);
        failed += run(argv + 1);
    }
    return failed;
}
