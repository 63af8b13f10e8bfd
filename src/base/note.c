#include "base/note.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum { TEXT_MAX = 1024 };

static enum sk_level highest = SK_LEVEL_INFO;
static bool as_json;
static int64_t (*clock_us)(void);
static const char *const names[] = {"error", "warn", "info", "debug"};

void sk_note_level(enum sk_level level) {
    highest = level;
}

bool sk_note_level_parse(const char *text) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(text, names[i]) == 0) {
            highest = (enum sk_level)i;
            return true;
        }
    return false;
}

void sk_note_json(bool on) {
    as_json = on;
}

void sk_note_clock(int64_t (*wall_us)(void)) {
    clock_us = wall_us;
}

/* Appends text so that it stays in its line and moves no terminal: control characters, those of
 * Unicode (U+0080 to U+009F) too, and bytes that are no UTF-8 where those would be, become \xNN.
 * What a client calls itself is in many lines. */
static void put_visible(struct sk_buffer *to, const char *text) {
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        bool c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f;
        bool continues = p > (const unsigned char *)text && p[-1] >= 0x80;
        if (*p < 0x20 || *p == 0x7f || c1 || (*p >= 0x80 && *p <= 0x9f && !continues))
            sk_buffer_print(to, "\\x%02x", *p);
        else
            sk_buffer_byte(to, (char)*p);
        if (c1) sk_buffer_print(to, "\\x%02x", *++p);
    }
}

static void put(enum sk_level level, const char *component, const char *text) {
    char when[SK_TIME_TEXT] = "";
    if (clock_us) sk_time_text(clock_us(), when);
    if (!as_json) {
        struct sk_buffer line = {0};
        put_visible(&line, text);
        fprintf(stderr, "%s %-5s %s: %.*s\n", when, names[level], component,
                SK_ARG(sk_buffer_span(&line)));
        sk_buffer_free(&line);
        return;
    }
    struct sk_buffer quoted = {0};
    sk_json_string(&quoted, sk_span_z(text));
    fprintf(stderr, "{\"time\":\"%s\",\"level\":\"%s\",\"component\":\"%s\",\"text\":%.*s}\n", when,
            names[level], component, SK_ARG(sk_buffer_span(&quoted)));
    sk_buffer_free(&quoted);
}

void sk_note(enum sk_level level, const char *component, const char *format, ...) {
    if (level > highest) return;
    char text[TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put(level, component, text);
}

void sk_note_seldom(struct sk_note_gate *gate, enum sk_level level, const char *component,
                    const char *format, ...) {
    enum { A_SECOND_US = 1000000 };
    int64_t now = clock_us ? clock_us() : 0;
    if (level > highest) return;
    if (clock_us && now < gate->next_us && now > gate->next_us - A_SECOND_US) {
        gate->left_out++;
        return;
    }
    char text[TEXT_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (gate->left_out && n > 0 && (size_t)n < sizeof text)
        snprintf(text + n, sizeof text - (size_t)n, " (and %u more like it)", gate->left_out);
    gate->next_us = now + A_SECOND_US;
    gate->left_out = 0;
    put(level, component, text);
}
