/* What our own code guarantees, checked in every build: whoever finds it broken ends the program
 * before anything wrong is stored or sent. Never what a client, a file, a disk or another
 * machine may do: that is refused. */
#ifndef SK_BASE_ASSERT_H
#define SK_BASE_ASSERT_H

#ifdef NDEBUG
#error "assertions stay in every build: CMAKE_C_FLAGS_RELEASE must not define NDEBUG"
#endif

#define SK_ASSERT(condition)                                                                       \
    (__builtin_expect(!!(condition), 1)                                                            \
         ? (void)0                                                                                 \
         : sk_assert_failed(__FILE_NAME__ ":" SK_ASSERT_LINE(__LINE__) ": " #condition))
#define SK_ASSERT_LINE(line) SK_ASSERT_TEXT(line)
#define SK_ASSERT_TEXT(line) #line

/* Says what does not hold, and aborts. */
void sk_assert_failed(const char *what) __attribute__((noreturn, cold, noinline));

#endif
