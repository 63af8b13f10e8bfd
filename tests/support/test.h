/* How a test is written: a sentence about the product, which registers itself.
 *
 *     AROUND(set_up, tear_down);
 *
 *     TEST(an_empty_queue_is_204) {
 *         struct fleet *f = *state;
 *         ...
 *     }
 *
 * A program is one file of tests; they run in the order of the file. `main` is in test.c:
 *
 *     PROGRAM [PATTERN…]     those whose names hold one of the patterns
 *     TEST_LOG=debug         the product's log lines; otherwise errors alone
 *     TEST_TIMES=FILE        how long each test took is appended: "[variant: ]name<TAB>seconds" */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A fixture: *state is what the test finds there. Not 0 is a failure. */
typedef int test_fixture(void **state);

struct test {
    const char *name;
    int line;
    void (*run)(void **state);
    struct test *next;
};

/* Fixtures around each of the tests below it in the file, until the next. */
struct test_around {
    int line;
    test_fixture *set_up, *tear_down;
    struct test_around *next;
};

void test_register(struct test *test);
void test_register_around(struct test_around *around);
void test_register_around_all(test_fixture *set_up, test_fixture *tear_down);
void test_register_variants(void (*begin)(const char *variant), const char *const *names);

#define TEST(sentence)                                                                             \
    static void sentence(void **state);                                                            \
    __attribute__((constructor)) static void sentence##_registers(void) {                          \
        static struct test test = {.name = #sentence, .line = __LINE__, .run = sentence};          \
        test_register(&test);                                                                      \
    }                                                                                              \
    static void sentence(__attribute__((unused)) void **state)

/* Each may be NULL. */
#define AROUND(set_up, tear_down) TEST_AROUND_AT(__LINE__, set_up, tear_down)
#define TEST_AROUND_AT(line, set_up, tear_down) TEST_AROUND(line, set_up, tear_down)
#define TEST_AROUND(at, before, after)                                                             \
    __attribute__((constructor)) static void test_around_##at##_registers(void) {                  \
        static struct test_around around = {.line = at, .set_up = before, .tear_down = after};     \
        test_register_around(&around);                                                             \
    }                                                                                              \
    struct test

/* Once a run, around all tests; *state of `set_up` is what each test or its own fixture finds. */
#define AROUND_ALL(set_up, tear_down)                                                              \
    __attribute__((constructor)) static void test_around_all_registers(void) {                     \
        test_register_around_all(set_up, tear_down);                                               \
    }                                                                                              \
    struct test

/* All tests run once for each of the names, after `begin` of it: VARIANTS(fleet_over, "mqtt",
 * "amqp"); */
#define VARIANTS(begin, ...)                                                                       \
    __attribute__((constructor)) static void test_variants_register(void) {                        \
        static const char *const names[] = {__VA_ARGS__, NULL};                                    \
        test_register_variants(begin, names);                                                      \
    }                                                                                              \
    struct test

#endif
