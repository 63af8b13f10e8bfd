/* Log lines for people: `SK_INFO("hub", "listening on %s", address)`.
 *
 * The first argument is the component; the text is one line, without secrets; control characters
 * in it are written as \xNN. Lines go to stderr as text or as JSON. The clock comes from io
 * (sk_note_clock), so base itself asks nobody for the time. Thread-safe: one write() a line. */
#ifndef SK_BASE_NOTE_H
#define SK_BASE_NOTE_H

#include <stdbool.h>
#include <stdint.h>

enum sk_level { SK_LEVEL_ERROR, SK_LEVEL_WARN, SK_LEVEL_INFO, SK_LEVEL_DEBUG };

void sk_note(enum sk_level level, const char *component, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void sk_note_level(enum sk_level level);
bool sk_note_level_parse(const char *text); /* "error" … "debug"; false when unknown */
void sk_note_json(bool on);
void sk_note_clock(int64_t (*wall_us)(void));

/* For lines that a client can cause as often as it likes: one a second of each gate; the next
 * says how many were left out. SK_SELDOM(SK_LEVEL_INFO, "mqtt", …) has a gate of its own. */
struct sk_note_gate {
    int64_t next_us;
    unsigned left_out;
};
void sk_note_seldom(struct sk_note_gate *gate, enum sk_level level, const char *component,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));
#define SK_SELDOM(level, component, ...)                                                           \
    do {                                                                                           \
        static _Thread_local struct sk_note_gate gate;                                             \
        sk_note_seldom(&gate, level, component, __VA_ARGS__);                                      \
    } while (0)

#define SK_ERROR(component, ...) sk_note(SK_LEVEL_ERROR, component, __VA_ARGS__)
#define SK_WARN(component, ...) sk_note(SK_LEVEL_WARN, component, __VA_ARGS__)
#define SK_INFO(component, ...) sk_note(SK_LEVEL_INFO, component, __VA_ARGS__)
#define SK_DEBUG(component, ...) sk_note(SK_LEVEL_DEBUG, component, __VA_ARGS__)

#endif
