/* Finding values in raw JSON text without parsing more than lies before them.
 *
 * The scanner validates what it walks over and stops at the value it looks for: text behind it is
 * not looked at. No allocation, bounded depth. Text is UTF-8 (RFC 8259); bytes from 0x80 on are
 * taken as they are. */
#ifndef SK_EXPR_JSON_SCAN_H
#define SK_EXPR_JSON_SCAN_H

#include "expr/value.h"

#define SK_JSON_DEPTH_MAX 64   /* nested objects and arrays */
#define SK_JSON_NUMBER_MAX 512 /* bytes of one number's text */

/* One step of a path: an object's member, or an array's element when key.p is NULL. */
struct sk_json_step {
    struct sk_span key;
    uint32_t index;
};

/* A value in JSON text. */
struct sk_json {
    enum sk_value_type type;
    bool truth;
    bool escaped; /* a string holds backslashes: see sk_json_string_value */
    double number;
    struct sk_span raw; /* as it stands; of strings without the quotes */
};

/* Finds the value at `path` from the root of `json`. Of equal keys the first counts.
 *
 * nocase   keys are compared without regard to (ASCII) case
 * returns  SK_OK, SK_NOT_FOUND: no such member or element, SK_MALFORMED: not JSON, as far as it was
 *          read; too deep */
enum sk_status sk_json_find(struct sk_span json, const struct sk_json_step *path, size_t count,
                            bool nocase, struct sk_json *value);

/* Walks members of an object or elements of an array:
 *   struct sk_json_walk walk;
 *   for (status = sk_json_walk(json, &walk); !status && !(status = sk_json_next(&walk));)
 *   …walk.key, walk.value…
 * sk_json_next returns SK_NOT_FOUND behind the last one. `key` is raw (may hold escapes) and empty
 * for arrays. */
struct sk_json_walk {
    struct sk_span key;
    struct sk_json value;
    const char *at, *end;
    bool object, first;
};
enum sk_status sk_json_walk(struct sk_span json,
                            struct sk_json_walk *walk); /* SK_MALFORMED: not an object or array */
enum sk_status sk_json_next(struct sk_json_walk *walk);

/* The value at the start of `json` (after white space); `*size` (may be NULL): bytes read, with
 * white space before it. */
enum sk_status sk_json_read(struct sk_span json, struct sk_json *value, size_t *size);
/* Whether all of `json` is one JSON value. */
bool sk_json_valid(struct sk_span json);

/* The characters of a string: the raw span itself without escapes, else decoded into the arena.
 * Lone surrogates become U+FFFD. */
struct sk_span sk_json_string_value(struct sk_arena *arena, const struct sk_json *string);
/* The double nearest to a number's text, which must be one of JSON; infinite when out of range. */
double sk_json_number_value(struct sk_span raw);
/* Writes a code point as UTF-8 and returns its bytes; surrogates become U+FFFD. */
size_t sk_utf8_put(char to[4], unsigned code);

#endif
