/* Times as text. Calendar arithmetic after Howard Hinnant's days_from_civil. */
#include <stdio.h>

#include "base/text.h"

static const int64_t SECOND = 1000000, DAY_S = 86400;

static int64_t days_from_civil(int64_t y, int64_t m, int64_t d) {
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

struct calendar {
    int64_t year, month, day, weekday /* 0: Sunday */, second /* of the day */, fraction_us;
};

static struct calendar calendar_of(int64_t wall_us) {
    struct calendar at = {.fraction_us = wall_us % SECOND};
    int64_t seconds = wall_us / SECOND;
    if (at.fraction_us < 0) at.fraction_us += SECOND, seconds--;
    int64_t days = seconds / DAY_S;
    at.second = seconds % DAY_S;
    if (at.second < 0) at.second += DAY_S, days--;
    at.weekday = (days % 7 + 11) % 7; /* 1 January 1970 was a Thursday */
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    at.day = doy - (153 * mp + 2) / 5 + 1;
    at.month = mp < 10 ? mp + 3 : mp - 9;
    at.year = yoe + era * 400 + (at.month <= 2);
    return at;
}

/* So many digits, and what stands behind them. */
static char *put_digits(char *to, int64_t number, int digits, char behind) {
    for (int i = digits; i-- > 0; number /= 10) to[i] = (char)('0' + number % 10);
    to[digits] = behind;
    return to + digits + 1;
}

/* By hand: each change of a twin and each event has one. */
void sk_time_text(int64_t wall_us, char to[SK_TIME_TEXT]) {
    struct calendar at = calendar_of(wall_us);
    to = put_digits(to, at.year, 4, '-');
    to = put_digits(to, at.month, 2, '-');
    to = put_digits(to, at.day, 2, 'T');
    to = put_digits(to, at.second / 3600, 2, ':');
    to = put_digits(to, at.second / 60 % 60, 2, ':');
    to = put_digits(to, at.second % 60, 2, '.');
    to = put_digits(to, at.fraction_us * 10, 7, 'Z');
    *to = 0;
}

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

void sk_time_http_text(int64_t wall_us, char to[SK_TIME_HTTP_TEXT]) {
    static const char weekdays[] = "SunMonTueWedThuFriSat";
    struct calendar at = calendar_of(wall_us);
    char text[64];
    snprintf(text, sizeof text, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
             weekdays + 3 * at.weekday, (int)at.day, months + 3 * (at.month - 1), (int)at.year,
             (int)(at.second / 3600), (int)(at.second / 60 % 60), (int)(at.second % 60));
    memcpy(to, text, SK_TIME_HTTP_TEXT - 1);
    to[SK_TIME_HTTP_TEXT - 1] = 0;
}

static bool digits(struct sk_span *text, size_t n, int64_t *value) {
    if (text->n < n || sk_span_to_int(sk_span_first(*text, n), value) || text->p[0] == '-')
        return false;
    *text = sk_span_skip(*text, n);
    return true;
}

static bool literal(struct sk_span *text, const char *any_of) {
    if (text->n == 0 || text->p[0] == 0 || strchr(any_of, text->p[0]) == NULL) return false;
    *text = sk_span_skip(*text, 1);
    return true;
}

static int64_t days_in_month(int64_t y, int64_t m) {
    return m == 12 ? 31 : days_from_civil(y, m + 1, 1) - days_from_civil(y, m, 1);
}

enum sk_status sk_time_parse(struct sk_span text, int64_t *wall_us) {
    int64_t y, mo, d, h = 0, mi = 0, s = 0, fraction = 0, zone = 0;
    if (!digits(&text, 4, &y) || !literal(&text, "-") || !digits(&text, 2, &mo) ||
        !literal(&text, "-") || !digits(&text, 2, &d) || mo < 1 || mo > 12 || d < 1 ||
        d > days_in_month(y, mo))
        return SK_MALFORMED;
    if (literal(&text, "Tt ")) {
        if (!digits(&text, 2, &h) || !literal(&text, ":") || !digits(&text, 2, &mi) || h > 23 ||
            mi > 59)
            return SK_MALFORMED;
        if (literal(&text, ":")) {
            if (!digits(&text, 2, &s) || s > 60) return SK_MALFORMED;
            if (literal(&text, ".")) {
                int64_t scale = 100000, digit;
                if (!digits(&text, 1, &digit)) return SK_MALFORMED;
                do {
                    fraction += digit * scale;
                    scale /= 10;
                } while (digits(&text, 1, &digit));
            }
        }
    }
    if (!literal(&text, "Zz") && text.n) {
        int sign = text.p[0] == '-' ? -1 : 1;
        int64_t zh, zm = 0;
        if (!literal(&text, "+-") || !digits(&text, 2, &zh)) return SK_MALFORMED;
        literal(&text, ":");
        if (text.n && !digits(&text, 2, &zm)) return SK_MALFORMED;
        zone = sign * (zh * 3600 + zm * 60);
    }
    if (text.n) return SK_MALFORMED;
    *wall_us =
        (days_from_civil(y, mo, d) * DAY_S + h * 3600 + mi * 60 + s - zone) * SECOND + fraction;
    return SK_OK;
}

/* Behind a count: ".5" of one of `us`; false: no digits, or too much. */
static bool add_fraction(struct sk_span *text, int64_t us, int64_t *sum) {
    int64_t digit, part = 0;
    if (!digits(text, 1, &digit)) return false;
    do {
        us = us / 10;
        part += digit * us;
    } while (digits(text, 1, &digit));
    return !__builtin_add_overflow(*sum, part, sum);
}

enum sk_status sk_duration_parse(struct sk_span text, int64_t *us) {
    enum { PLAIN = 1, DATE = 2, TIME = 4 }; /* where a unit stands: of ISO 8601 the latter */
    static const struct {
        const char *unit;
        int64_t us;
        unsigned where;
    } units[] = {{"ms", 1000, PLAIN},
                 {"us", 1, PLAIN},
                 {"y", 365 * 86400000000, DATE},
                 {"m", 30 * 86400000000, DATE},
                 {"w", 7 * 86400000000, DATE},
                 {"d", 86400000000, PLAIN | DATE},
                 {"h", 3600000000, PLAIN | TIME},
                 {"m", 60000000, PLAIN | TIME},
                 {"s", 1000000, PLAIN | TIME}};
    unsigned where = literal(&text, "P") ? DATE : PLAIN;
    bool any = false;
    *us = 0;
    while (text.n) {
        if (where == DATE && literal(&text, "T")) {
            where = TIME;
            continue;
        }
        size_t n = 0;
        int64_t count, scale = 0;
        while (n < text.n && text.p[n] >= '0' && text.p[n] <= '9') n++;
        if (!digits(&text, n, &count)) return SK_MALFORMED;
        struct sk_span fraction = text;
        if (where != PLAIN && literal(&text, ".,"))
            while (text.n && text.p[0] >= '0' && text.p[0] <= '9') text = sk_span_skip(text, 1);
        bool parts = text.p != fraction.p;
        for (size_t i = 0; i < sizeof units / sizeof *units && !scale; i++) {
            struct sk_span unit = sk_span_z(units[i].unit);
            if ((units[i].where & where) && sk_span_starts_nocase(text, unit)) {
                scale = units[i].us;
                text = sk_span_skip(text, unit.n);
            }
        }
        if (!scale || __builtin_mul_overflow(count, scale, &count) ||
            __builtin_add_overflow(*us, count, us))
            return SK_MALFORMED;
        fraction = sk_span_skip(fraction, 1);
        if (parts && !add_fraction(&fraction, scale, us)) return SK_MALFORMED;
        any = true;
    }
    return any ? SK_OK : SK_MALFORMED;
}

enum sk_status sk_time_http_parse(struct sk_span text, int64_t *wall_us) {
    int64_t month = 1;
    char iso[32];
    if (text.n != SK_TIME_HTTP_TEXT - 1 || text.p[3] != ',' ||
        !sk_span_is(sk_span_skip(text, 26), "GMT"))
        return SK_MALFORMED;
    while (month <= 12 && memcmp(months + 3 * (month - 1), text.p + 8, 3) != 0) month++;
    snprintf(iso, sizeof iso, "%.4s-%02d-%.2sT%.8sZ", text.p + 12, (int)month, text.p + 5,
             text.p + 17);
    return sk_time_parse(sk_span_z(iso), wall_us);
}

enum sk_status sk_time_parse_near(struct sk_span text, int64_t now_us, int64_t *wall_us) {
    int64_t us = 0;
    if (!sk_span_starts_nocase(text, SK_SPAN("NOW"))) return sk_time_parse(text, wall_us);
    struct sk_span rest = sk_span_skip(text, 3);
    bool back = rest.n && rest.p[0] == '-';
    if (rest.n && (!literal(&rest, "+-") || sk_duration_parse(rest, &us))) return SK_MALFORMED;
    return __builtin_add_overflow(now_us, back ? -us : us, wall_us) ? SK_MALFORMED : SK_OK;
}
