#include "hub/insights/parts.h"

/* A sample is: minutes since the one before (of the oldest: not looked at), how many numbers have
 * changed, and of each its place and its change; all as LEB128, changes of gauges zigzag. */

static void put_number(struct sk_buffer *to, uint64_t value) {
    for (; value >= 0x80; value >>= 7) sk_buffer_byte(to, (char)(value | 0x80));
    sk_buffer_byte(to, (char)value);
}

static uint64_t take_number(const struct sk_buffer *from, size_t *at) {
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        SK_ASSERT(*at < from->n && shift < 64);
        unsigned char byte = (unsigned char)from->p[(*at)++];
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return value;
    }
}

static uint64_t zigzag(uint64_t change) {
    return change << 1 ^ (uint64_t)((int64_t)change >> 63);
}

static uint64_t unzigzag(uint64_t value) {
    return value >> 1 ^ (0 - (value & 1));
}

/* Applies the sample at *at to `values`, which hold the gauges of before and 0 for counters. */
static void read_sample(const struct samples *samples, size_t *at, uint64_t *values,
                        uint64_t *minutes) {
    *minutes = take_number(&samples->bytes, at);
    for (uint64_t left = take_number(&samples->bytes, at); left; left--) {
        uint64_t place = take_number(&samples->bytes, at);
        uint64_t change = take_number(&samples->bytes, at);
        SK_ASSERT(place < samples->count);
        values[place] = samples->numbers[place].counter ? change : values[place] + unzigzag(change);
    }
}

static void forget_all(struct samples *samples) {
    samples->bytes.n = samples->head = samples->kept = 0;
    for (size_t i = 0; i < samples->count; i++) samples->numbers[i].first = samples->numbers[i].now;
}

static void forget_oldest(struct samples *samples) {
    uint64_t *values = sk_alloc((samples->count + 1) * sizeof *values), minutes;
    for (size_t i = 0; i < samples->count; i++) values[i] = samples->numbers[i].first;
    read_sample(samples, &samples->head, values, &minutes);
    for (size_t i = 0; i < samples->count; i++)
        if (!samples->numbers[i].counter) samples->numbers[i].first = values[i];
    free(values);
    if (--samples->kept) {
        size_t at = samples->head;
        samples->oldest += (int64_t)take_number(&samples->bytes, &at);
    }
    if (samples->head > SAMPLES_BYTES_MAX / 4) {
        memmove(samples->bytes.p, samples->bytes.p + samples->head,
                samples->bytes.n - samples->head);
        samples->bytes.n -= samples->head;
        samples->head = 0;
    }
}

void samples_begin(struct samples *samples, int64_t minute) {
    if (samples->kept && minute <= samples->newest) forget_all(samples);
    for (size_t i = 0; i < samples->count; i++) samples->numbers[i].there = false;
    samples->sampled++;
}

static bool is_it(const struct samples_number *number, const struct sk_hub_metric *row,
                  const char *of) {
    if (number->row != row) return false;
    return of ? number->of && strcmp(number->of, of) == 0 : number->of == NULL;
}

/* A place for one that is new; NULL: there is none. One that was not there in any sample that is
 * kept gives its own. */
static struct samples_number *make(struct samples *samples) {
    for (size_t i = 0; i < samples->count; i++) {
        struct samples_number *number = &samples->numbers[i];
        if (number->there || number->sampled + samples->kept + 1 >= samples->sampled) continue;
        free(number->of);
        return number;
    }
    if (samples->count == SAMPLES_NUMBERS_MAX) return NULL;
    if (samples->count == samples->room) {
        samples->room = samples->room ? 2 * samples->room : 64;
        samples->numbers = sk_realloc(samples->numbers, samples->room * sizeof *samples->numbers);
    }
    return &samples->numbers[samples->count++];
}

void samples_put(struct samples *samples, const struct sk_hub_metric *row, const char *of,
                 uint64_t value) {
    struct samples_number *number = NULL;
    for (size_t i = 0; i < samples->count && !number; i++)
        if (is_it(&samples->numbers[i], row, of)) number = &samples->numbers[i];
    if (number == NULL) {
        if (value == 0 || (number = make(samples)) == NULL) return;
        *number = (struct samples_number){
            .row = row,
            .of = of ? sk_text_dup(of) : NULL,
            .counter = sk_span_ends(sk_span_z(row->name), SK_SPAN("_total"))};
    }
    number->next = value;
    number->there = true;
    number->sampled = samples->sampled;
}

/* A counter that is less than it was has begun anew. */
static uint64_t change_of(const struct samples_number *number) {
    uint64_t next = number->there ? number->next : 0;
    if (!number->counter) return zigzag(next - number->now);
    return next < number->now ? next : next - number->now;
}

void samples_end(struct samples *samples, int64_t minute) {
    size_t changed = 0;
    for (size_t i = 0; i < samples->count; i++) changed += change_of(&samples->numbers[i]) != 0;
    put_number(&samples->bytes, samples->kept ? (uint64_t)(minute - samples->newest) : 0);
    put_number(&samples->bytes, changed);
    for (size_t i = 0; i < samples->count; i++) {
        struct samples_number *number = &samples->numbers[i];
        uint64_t change = change_of(number);
        number->now = number->there ? number->next : 0;
        if (change == 0) continue;
        put_number(&samples->bytes, i);
        put_number(&samples->bytes, change);
    }
    if (samples->kept++ == 0) samples->oldest = minute;
    samples->newest = minute;
    while (samples->kept > 1 && (minute - samples->oldest >= SAMPLES_MINUTES ||
                                 samples->bytes.n - samples->head > SAMPLES_BYTES_MAX))
        forget_oldest(samples);
}

void samples_each(const struct samples *samples, samples_seen *seen, void *arg) {
    uint64_t *values = sk_alloc((samples->count + 1) * sizeof *values), minutes;
    int64_t minute = samples->oldest;
    size_t at = samples->head;
    for (size_t i = 0; i < samples->count; i++) values[i] = samples->numbers[i].first;
    for (size_t n = 0; n < samples->kept; n++) {
        for (size_t i = 0; i < samples->count; i++)
            if (samples->numbers[i].counter) values[i] = 0;
        read_sample(samples, &at, values, &minutes);
        if (n) minute += (int64_t)minutes;
        seen(arg, minute, values);
    }
    free(values);
}

void samples_free(struct samples *samples) {
    for (size_t i = 0; i < samples->count; i++) free(samples->numbers[i].of);
    free(samples->numbers);
    sk_buffer_free(&samples->bytes);
}
