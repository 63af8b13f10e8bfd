/* What columns of time series take, and how fast they are packed and unpacked: bytes a value with
 * its time in blocks of 4096 rows of one instance, for kinds of data that sensors send. */
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "series/block.h"

enum { BLOCKS = 500 };

static uint64_t chance(void) { /* xorshift64 */
    static uint64_t state = 88172645463325252ull;
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static double walk(double unit) {
    static int64_t place = 20000;
    place += (int64_t)(chance() % 11) - 5;
    return (double)place / unit;
}
static double constant(size_t i) {
    (void)i;
    return 21.5;
}
static double seldom(size_t i) {
    static double value = 20;
    (void)i;
    if (chance() % 10 == 0) value = (double)(chance() % 40);
    return value;
}
static double tenths(size_t i) {
    (void)i;
    return walk(10);
}
static double thousandths(size_t i) {
    static int64_t place = 20000;
    (void)i;
    place += (int64_t)(chance() % 401) - 200;
    return (double)place / 1000;
}
static double noise(size_t i) {
    (void)i;
    return 20 + (double)(chance() >> 11) * 0x1p-53;
}
static double counter(size_t i) {
    return (double)(i * 7);
}

static const struct kind {
    const char *name;
    double (*value)(size_t i);
} kinds[] = {{"constant", constant},
             {"integer, changes 10 %", seldom},
             {"one decimal, random walk", tenths},
             {"three decimals, random walk", thousandths},
             {"full-precision noise", noise},
             {"counter, constant step", counter}};

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fill(const struct kind *kind, bool jitter, size_t block, int64_t *times,
                 union sk_series_value *values) {
    for (size_t i = 0; i < SK_SERIES_BLOCK_ROWS; i++) {
        size_t at = block * SK_SERIES_BLOCK_ROWS + i;
        times[i] = 1767225600000 + 10000 * (int64_t)at + (jitter ? (int64_t)(chance() % 50) : 0);
        values[i].number = kind->value(at);
    }
}

static void measure(const struct kind *kind, bool jitter) {
    static int64_t times[SK_SERIES_BLOCK_ROWS];
    static union sk_series_value values[SK_SERIES_BLOCK_ROWS];
    struct sk_series_column column = {.property = {SK_NONE, SK_SERIES_DOUBLE}, .values = values};
    struct sk_series_rows rows = {times, SK_SERIES_BLOCK_ROWS, &column, 1}, again;
    double packing = 0, unpacking = 0, bytes = 0, all = (double)BLOCKS * SK_SERIES_BLOCK_ROWS;
    struct sk_arena arena = {0};
    struct sk_buffer block = {0};
    for (size_t i = 0; i < BLOCKS; i++) {
        struct series_block_head head;
        fill(kind, jitter, i, times, values);
        block.n = 0;
        double begin = seconds();
        series_block_encode(&block, &rows, &(uint32_t){1});
        double packed = seconds();
        if (series_block_head(sk_buffer_span(&block), &arena, &head) ||
            series_block_rows(sk_buffer_span(&block), &head, NULL, NULL, &arena, &again))
            abort();
        unpacking += seconds() - packed;
        packing += packed - begin;
        bytes += (double)block.n;
        sk_arena_reset(&arena);
    }
    printf("%-28s %-7s %6.2f bytes, packed in %5.1f ns, unpacked in %5.1f ns\n", kind->name,
           jitter ? "jitter" : "exact", bytes / all, packing / all * 1e9, unpacking / all * 1e9);
    sk_arena_free(&arena);
    sk_buffer_free(&block);
}

int main(void) {
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (int jitter = 0; jitter < 2; jitter++) measure(&kinds[k], jitter);
    return 0;
}
