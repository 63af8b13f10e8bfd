/* Output: tables for people, JSON, JSON lines and tab-separated values for programs. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/cli.h"
#include "model/json_text.h"

enum { NARROWEST = 8, BETWEEN = 2, NAMES = 46 };

/* What a table looks like: as wide as the terminal, with colours on one. */
struct look {
    int room; /* characters in a line; 0: any number */
    bool colours;
    int64_t now_us;
};

static struct look look_of(const struct cli *cli) {
    struct look look = {.now_us = sk_io_wall(cli->io)};
    struct winsize size;
    if (!isatty(STDOUT_FILENO)) return look;
    if (!cli->wide && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) look.room = size.ws_col;
    look.colours = getenv("NO_COLOR") == NULL;
    return look;
}

/* ---- values as people read them ---- */

/* The value at a dotted path. */
static const json_t *at(const json_t *value, const char *path) {
    struct sk_span rest = sk_span_z(path), part;
    const json_t *whole = json_object_get(value, path); /* a name with dots in it */
    if (whole) return whole;
    while (value && sk_span_split(&rest, '.', &part)) {
        SK_CLEANUP_FREE char *key = sk_span_dup(part);
        value = json_object_get(value, key);
    }
    return value;
}

static char *text_of(const json_t *value) {
    if (value == NULL || json_is_null(value)) return sk_span_dup(SK_SPAN(""));
    if (json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value))
        return sk_span_dup(
            sk_span_z(json_string_value(value))); /* one with a NUL needs its escapes */
    return sk_json_text(value);
}

/* Whether a member of this name says when something was; a path's last part counts. */
static bool is_moment(const char *name) {
    static const char *const ends[] = {"Time", "TimeUtc", "lastUpdated", "expiry"};
    struct sk_span text = sk_span_z(name);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (sk_span_ends(text, sk_span_z(ends[i]))) return true;
    return false;
}

static char *age_of(int64_t us) {
    static const struct {
        int64_t seconds;
        const char *unit;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    int64_t seconds = (us < 0 ? -us : us) / 1000000;
    struct sk_buffer text = {0};
    size_t i = 0;
    while (i < 3 && seconds < 2 * units[i].seconds) i++; /* 90 min, rather than 1 h */
    sk_buffer_print(&text, us < 0 ? "in %lld %s" : "%lld %s ago",
                    (long long)(seconds / units[i].seconds), units[i].unit);
    sk_buffer_byte(&text, 0);
    return text.p;
}

char *cli_text(const char *name, const json_t *value, int64_t now_us, bool with_time) {
    const char *text = json_string_value(value);
    int64_t at_us;
    if (text == NULL || !is_moment(name) || sk_time_parse(sk_span_z(text), &at_us))
        return text_of(value);
    if (sk_span_starts(sk_span_z(text), SK_SPAN("0001-01-01")))
        return sk_span_dup(SK_SPAN("never"));
    char *age = age_of(now_us - at_us);
    if (!with_time) return age;
    struct sk_buffer both = {0};
    sk_buffer_print(&both, "%s (%s)", text, age);
    sk_buffer_byte(&both, 0);
    free(age);
    return both.p;
}

/* ---- tables ---- */

/* How many bytes the first characters take. */
static int bytes_of(const char *text, int characters) {
    const char *end = text;
    while (*end && (characters > 0 || (*end & 0xC0) == 0x80)) {
        end++;
        if ((*end & 0xC0) != 0x80) characters--;
    }
    return (int)(end - text);
}

void cli_fit(int *widths, size_t count, int room) {
    int sum = BETWEEN * ((int)count - 1);
    for (size_t i = 0; i < count; i++) sum += widths[i];
    for (; sum > room; sum--) {
        size_t widest = 0;
        for (size_t i = 1; i < count; i++)
            if (widths[i] >= widths[widest]) widest = i;
        if (widths[widest] <= NARROWEST) return;
        widths[widest]--;
    }
}

static const char *colour_of(const char *text) {
    if (strcmp(text, "Connected") == 0) return "\033[32m";
    if (strcmp(text, "disabled") == 0) return "\033[31m";
    if (strcmp(text, "Disconnected") == 0 || strcmp(text, "never") == 0) return "\033[2m";
    return NULL;
}

/* A cell, cut to its width; the last one of a line is not filled up. */
static void put_cell(const struct look *look, const char *text, const char *colour, int space,
                     bool last) {
    bool cut = look->room && sk_text_width(text) > space;
    int shown = cut ? space - 1 : sk_text_width(text);
    if (look->colours && colour) fputs(colour, stdout);
    printf("%.*s%s", bytes_of(text, shown), text, cut ? "…" : "");
    if (look->colours && colour) fputs("\033[0m", stdout);
    if (!last) printf("%*s", (space > shown + cut ? space - shown - cut : 0) + BETWEEN, "");
}

static void print_table(const struct cli *cli, const json_t *rows, const char *const *columns) {
    struct look look = look_of(cli);
    int widths[CLI_COLUMNS_MAX] = {0};
    size_t n = 0, i;
    const json_t *row;
    while (columns[n] && n < CLI_COLUMNS_MAX) n++;
    for (size_t c = 0; c < n; c++) {
        widths[c] = sk_text_width(columns[c]);
        json_array_foreach((json_t *)rows, i, row) {
            SK_CLEANUP_FREE char *text =
                cli_text(columns[c], at(row, columns[c]), look.now_us, false);
            if (sk_text_width(text) > widths[c]) widths[c] = sk_text_width(text);
        }
    }
    if (look.room) cli_fit(widths, n, look.room);
    for (size_t c = 0; c < n; c++) put_cell(&look, columns[c], "\033[1m", widths[c], c + 1 == n);
    putchar('\n');
    json_array_foreach((json_t *)rows, i, row) {
        for (size_t c = 0; c < n; c++) {
            SK_CLEANUP_FREE char *text =
                cli_text(columns[c], at(row, columns[c]), look.now_us, false);
            put_cell(&look, text, colour_of(text), widths[c], c + 1 == n);
        }
        putchar('\n');
    }
}

/* As RFC 4180 has it. */
static void put_csv(const char *text) {
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (; *text; text++) {
        if (*text == '"') putchar('"');
        putchar(*text);
    }
    putchar('"');
}

/* With a line of names, which tools for such files expect. */
static void print_csv(const json_t *rows, const char *const *columns) {
    size_t i;
    const json_t *row;
    for (size_t c = 0; columns[c]; c++) {
        if (c) putchar(',');
        put_csv(columns[c]);
    }
    fputs("\r\n", stdout);
    json_array_foreach((json_t *)rows, i, row) {
        for (size_t c = 0; columns[c]; c++) {
            SK_CLEANUP_FREE char *text = text_of(at(row, columns[c]));
            if (c) putchar(',');
            put_csv(text);
        }
        fputs("\r\n", stdout);
    }
}

static void print_tsv(const json_t *rows, const char *const *columns) {
    size_t i;
    const json_t *row;
    json_array_foreach((json_t *)rows, i, row) {
        for (size_t c = 0; columns[c]; c++) {
            SK_CLEANUP_FREE char *text = text_of(at(row, columns[c]));
            printf("%s%s", c ? "\t" : "", text);
        }
        putchar('\n');
    }
}

/* A single object as a list of members, one a line. */
static void print_members(const struct look *look, const json_t *object, const char *prefix) {
    const struct look whole = {.colours = look->colours};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        char path[200];
        snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", key);
        if (json_is_object(value) && json_object_size(value)) {
            print_members(look, value, path);
            continue;
        }
        SK_CLEANUP_FREE char *text = cli_text(key, value, look->now_us, true);
        printf("%-*s%*s", NAMES, path, BETWEEN, "");
        put_cell(&whole, text, colour_of(text), 0, true);
        putchar('\n');
    }
}

void cli_print(const struct cli *cli, const json_t *value, const char *const *columns) {
    size_t i;
    json_t *row;
    if (value == NULL) return;
    if (cli->output == CLI_JSONL && json_is_array(value)) {
        json_array_foreach((json_t *)value, i, row) {
            sk_json_print(stdout, row, 0);
            putchar('\n');
        }
    } else if (cli->output == CLI_JSON || cli->output == CLI_JSONL) {
        sk_json_print(stdout, value, cli->output == CLI_JSON ? 2 : 0);
        putchar('\n');
    } else if (columns && cli->output >= CLI_TSV &&
               (json_is_array(value) || json_is_object(value))) {
        json_t *rows =
            json_is_array(value) ? json_incref((json_t *)value) : json_pack("[O]", value);
        if (cli->output == CLI_TSV)
            print_tsv(rows, columns);
        else
            print_csv(rows, columns);
        json_decref(rows);
    } else if (json_is_array(value) && columns) {
        print_table(cli, value, columns);
    } else if (json_is_object(value)) {
        struct look look = look_of(cli);
        print_members(&look, value, "");
    } else {
        SK_CLEANUP_FREE char *text = text_of(value);
        printf("%s\n", text);
    }
    fflush(stdout);
}
