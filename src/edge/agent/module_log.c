#include "edge/agent/module_log.h"

#include <stdio.h>

/* Takes "2026-11-21 07:00:00.000 +00:00" or "2026-11-21T07:00:00.000Z" off the front. */
static bool take_time(struct sk_span *text, int64_t *time_us) {
    struct sk_span rest = *text, date, clock, zone;
    char joined[48];
    if (rest.n < 20 || rest.p[4] != '-' || rest.p[7] != '-') return false;
    if (rest.p[10] == 'T') {
        struct sk_span whole = sk_span_first(rest, sk_span_find(rest, ' '));
        if (sk_time_parse(whole, time_us)) return false;
        *text = sk_span_trim(sk_span_skip(rest, whole.n));
        return true;
    }
    if (!sk_span_split(&rest, ' ', &date) || !sk_span_split(&rest, ' ', &clock) ||
        !sk_span_split(&rest, ' ', &zone) || date.n + clock.n + zone.n + 2 > sizeof joined)
        return false;
    size_t n = 0;
    for (size_t i = 0; i < date.n; i++) joined[n++] = date.p[i];
    joined[n++] = 'T';
    for (size_t i = 0; i < clock.n; i++) joined[n++] = clock.p[i];
    for (size_t i = 0; i < zone.n; i++) joined[n++] = zone.p[i];
    if (sk_time_parse(sk_span(joined, n), time_us)) return false;
    *text = rest;
    return true;
}

/* Our own words for levels, as base/note.c writes them. */
static void take_word(struct sk_log_line *line, struct sk_span rest) {
    static const struct {
        const char *word;
        unsigned level;
    } words[] = {{"error", 3}, {"warn", 4}, {"info", 6}, {"debug", 7}};
    struct sk_span word = sk_span_first(rest, sk_span_find(rest, ' '));
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (sk_span_is(word, words[i].word)) line->level = words[i].level;
}

void sk_log_line_read(struct sk_log_line *line) {
    struct sk_span rest = line->text;
    int64_t time_us;
    bool marked =
        rest.n > 2 && rest.p[0] == '<' && rest.p[1] >= '0' && rest.p[1] <= '7' && rest.p[2] == '>';
    if (marked) {
        line->level = (unsigned)(rest.p[1] - '0');
        rest = sk_span_trim(sk_span_skip(rest, 3));
    }
    if (!take_time(&rest, &time_us)) return;
    if (line->time_us == 0) line->time_us = time_us;
    if (!marked) take_word(line, rest);
}

void sk_module_log_take(struct sk_module_log *log, struct sk_log_line *line) {
    const struct sk_log_ask *ask = &log->ask;
    line->level = SK_LOG_LEVEL_INFO;
    sk_log_line_read(line);
    if (line->time_us) log->last_us = line->time_us;
    int64_t time_us = log->last_us;
    if (time_us && ask->since_us && time_us < ask->since_us) return;
    if (time_us && ask->until_us && time_us > ask->until_us) return;
    ask->line(ask->arg, line);
}

/* "1 day", "2 hours", as journalctl and docker understand it. */
static enum sk_status spoken_duration(struct sk_span text, int64_t *us) {
    static const char *const units[] = {"second", "minute", "hour", "day"};
    size_t space = sk_span_find(text, ' ');
    struct sk_span number = sk_span_first(text, space), unit = sk_span_skip(text, space + 1);
    char joined[24];
    if (sk_span_ends(unit, SK_SPAN("s"))) unit.n--;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (!sk_span_is(unit, units[i]) || number.n > 18) continue;
        snprintf(joined, sizeof joined, "%.*s%c", SK_ARG(number), units[i][0]);
        return sk_duration_parse(sk_span_z(joined), us);
    }
    return SK_MALFORMED;
}

enum sk_status sk_log_moment_parse(struct sk_span text, int64_t now_us, int64_t *wall_us) {
    enum { SECOND_US = 1000000 };
    static const int64_t SECONDS_MAX = INT64_MAX / SECOND_US;
    int64_t number;
    if (sk_span_to_int(text, &number) == SK_OK) {
        if (number < 0 || number > SECONDS_MAX) return SK_MALFORMED;
        *wall_us = number * SECOND_US;
        return SK_OK;
    }
    if (sk_time_parse(text, wall_us) == SK_OK) return SK_OK;
    if (sk_duration_parse(text, &number) && spoken_duration(text, &number)) return SK_MALFORMED;
    if (number < 0) return SK_MALFORMED;
    *wall_us = now_us > number ? now_us - number : 0;
    return SK_OK;
}
