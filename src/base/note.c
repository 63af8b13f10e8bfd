#include "base/note.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

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

void sk_note(enum sk_level level, const char *component, const char *format, ...) {
    if (level > highest) return;
    char text[1024], when[SK_TIME_TEXT] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (clock_us) sk_time_text(clock_us(), when);
    if (!as_json) {
        fprintf(stderr, "%s %-5s %s: %s\n", when, names[level], component, text);
        return;
    }
    struct sk_buffer quoted = {0};
    sk_json_string(&quoted, sk_span_z(text));
    fprintf(stderr, "{\"time\":\"%s\",\"level\":\"%s\",\"component\":\"%s\",\"text\":%.*s}\n", when,
            names[level], component, SK_ARG(sk_buffer_span(&quoted)));
    sk_buffer_free(&quoted);
}
