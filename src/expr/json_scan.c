#include "expr/json_scan.h"

struct cursor {
    const char *p, *end;
};

static void skip_space(struct cursor *at) {
    while (at->p < at->end && (*at->p == ' ' || *at->p == '\t' || *at->p == '\n' || *at->p == '\r'))
        at->p++;
}

/* The next character after white space, or 0 at the end (a NUL in the text is no JSON either). */
static char peek(struct cursor *at) {
    skip_space(at);
    return at->p < at->end ? *at->p : 0;
}

static bool take(struct cursor *at, char c) {
    if (peek(at) != c) return false;
    at->p++;
    return true;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads four hex digits; -1: they are not. */
static int hex4(const char *p, const char *end) {
    if (end - p < 4) return -1;
    int value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0) return -1;
        value = value << 4 | digit;
    }
    return value;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "plain_run takes the lowest byte for the first character");

/* How many of the next eight bytes are plain characters of a string: no quote, backslash or control
 * character. Bit tricks after Mycroft: a byte is zero, or less than n, where the borrow of the
 * subtraction reaches its high bit; that is exact for the lowest. */
static unsigned plain_run(const char *p) {
    const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
    uint64_t word;
    memcpy(&word, p, 8);
    uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
    uint64_t found = ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) |
                     ((word - ones * 0x20) & ~word);
    found &= highs;
    return found ? (unsigned)__builtin_ctzll(found) / 8 : 8;
}

/* Skips plain characters; stops at one that is not, or at the end. */
static void skip_plain(struct cursor *at) {
    while (at->end - at->p >= 8) {
        unsigned n = plain_run(at->p);
        at->p += n;
        if (n < 8) return;
    }
    while (at->p < at->end && *at->p != '"' && *at->p != '\\' && (unsigned char)*at->p >= 0x20)
        at->p++;
}

/* Reads a string from behind its opening quote. */
static enum sk_status read_string(struct cursor *at, struct sk_span *raw, bool *escaped) {
    const char *from = at->p;
    *escaped = false;
    for (;;) {
        skip_plain(at);
        if (at->p == at->end) return SK_MALFORMED;
        unsigned char c = (unsigned char)*at->p++;
        if (c == '"') break;
        if (c != '\\') return SK_MALFORMED; /* a control character */
        *escaped = true;
        if (at->p == at->end) return SK_MALFORMED;
        char kind = *at->p++;
        if (kind == 'u') {
            if (hex4(at->p, at->end) < 0) return SK_MALFORMED;
            at->p += 4;
        } else if (memchr("\"\\/bfnrt", kind, 8) == NULL) {
            return SK_MALFORMED;
        }
    }
    *raw = sk_span(from, (size_t)(at->p - 1 - from));
    return SK_OK;
}

static size_t digits(struct cursor *at) {
    const char *from = at->p;
    while (at->p < at->end && *at->p >= '0' && *at->p <= '9') at->p++;
    return (size_t)(at->p - from);
}

/* Checks a number's grammar (RFC 8259, 6). */
static enum sk_status read_number(struct cursor *at, struct sk_span *raw) {
    const char *from = at->p;
    if (at->p < at->end && *at->p == '-') at->p++;
    bool zero = at->p < at->end && *at->p == '0';
    size_t whole = digits(at);
    if (whole == 0 || (zero && whole > 1)) return SK_MALFORMED;
    if (at->p < at->end && *at->p == '.') {
        at->p++;
        if (digits(at) == 0) return SK_MALFORMED;
    }
    if (at->p < at->end && (*at->p | 0x20) == 'e') {
        at->p++;
        if (at->p < at->end && (*at->p == '+' || *at->p == '-')) at->p++;
        if (digits(at) == 0) return SK_MALFORMED;
    }
    *raw = sk_span(from, (size_t)(at->p - from));
    return raw->n > SK_JSON_NUMBER_MAX ? SK_MALFORMED : SK_OK;
}

double sk_json_number_value(struct sk_span raw) {
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    bool negative = raw.n && raw.p[0] == '-';
    uint64_t mantissa = 0;
    int scale = 0;
    size_t i = negative;
    bool point = false;
    for (; i < raw.n && mantissa < (1ull << 53) / 10; i++) {
        if (raw.p[i] == '.') {
            point = true;
            continue;
        }
        if (raw.p[i] < '0' || raw.p[i] > '9') break;
        mantissa = mantissa * 10 + (uint64_t)(raw.p[i] - '0');
        scale += point;
    }
    if (i == raw.n &&
        scale <=
            22) { /* both factors are exact, so the quotient is rounded once: the right double */
        double value = (double)mantissa / powers[scale];
        return negative ? -value : value;
    }
    char text[SK_JSON_NUMBER_MAX + 1]; /* the rare rest */
    size_t n = raw.n < SK_JSON_NUMBER_MAX ? raw.n : SK_JSON_NUMBER_MAX;
    memcpy(text, raw.p, n);
    text[n] = 0;
    return strtod(text, NULL);
}

static enum sk_status read_word(struct cursor *at, struct sk_span word) {
    if ((size_t)(at->end - at->p) < word.n || memcmp(at->p, word.p, word.n) != 0)
        return SK_MALFORMED;
    at->p += word.n;
    return SK_OK;
}

/* Skips a scalar. */
static enum sk_status skip_scalar(struct cursor *at, char first) {
    struct sk_span raw;
    bool escaped;
    switch (first) {
    case '"': at->p++; return read_string(at, &raw, &escaped);
    case 't': return read_word(at, SK_SPAN("true"));
    case 'f': return read_word(at, SK_SPAN("false"));
    case 'n': return read_word(at, SK_SPAN("null"));
    default: return read_number(at, &raw);
    }
}

/* Reads a member's key and its colon. */
static enum sk_status read_key(struct cursor *at, struct sk_span *key, bool *escaped) {
    if (!take(at, '"') || read_string(at, key, escaped) || !take(at, ':')) return SK_MALFORMED;
    return SK_OK;
}

/* Skips a value of any kind; `depth` containers are around it. Without recursion: a bit a level
 * tells objects from arrays. */
static enum sk_status skip_value(struct cursor *at, unsigned depth) {
    uint64_t objects = 0;
    unsigned level = 0;
    struct sk_span key;
    bool escaped;
    for (;;) {
        char c = peek(at);
        if (c == '{' || c == '[') {
            if (depth + level >= SK_JSON_DEPTH_MAX) return SK_MALFORMED;
            at->p++;
            level++;
            objects = objects << 1 | (c == '{');
            if (!take(at, c == '{' ? '}' : ']')) {
                if (c == '{' && read_key(at, &key, &escaped)) return SK_MALFORMED;
                continue;
            }
            level--;
            objects >>= 1;
        } else if (skip_scalar(at, c)) {
            return SK_MALFORMED;
        }
        for (;;) { /* behind a value: a comma and the next one, or the end of what holds it */
            if (level == 0) return SK_OK;
            if (take(at, ',')) {
                if ((objects & 1) && read_key(at, &key, &escaped)) return SK_MALFORMED;
                break;
            }
            if (!take(at, objects & 1 ? '}' : ']')) return SK_MALFORMED;
            level--;
            objects >>= 1;
        }
    }
}

static enum sk_status read_value(struct cursor *at, unsigned depth, struct sk_json *value) {
    *value = (struct sk_json){0};
    char c = peek(at);
    const char *from = at->p;
    enum sk_status status;
    switch (c) {
    case '{':
    case '[':
        value->type = c == '{' ? SK_VALUE_OBJECT : SK_VALUE_ARRAY;
        status = skip_value(at, depth);
        break;
    case '"':
        value->type = SK_VALUE_STRING;
        at->p++;
        return read_string(at, &value->raw, &value->escaped);
    case 't':
    case 'f':
        value->type = SK_VALUE_BOOL;
        value->truth = c == 't';
        status = skip_scalar(at, c);
        break;
    case 'n':
        value->type = SK_VALUE_NULL;
        status = skip_scalar(at, c);
        break;
    default:
        value->type = SK_VALUE_NUMBER;
        status = read_number(at, &value->raw);
        if (status == SK_OK) value->number = sk_json_number_value(value->raw);
        return status;
    }
    value->raw = sk_span(from, (size_t)(at->p - from));
    return status;
}

/* Decodes one character or escape of a string's raw text into `to`; returns its bytes (1 … 4). */
static size_t unescape(const char **p, const char *end, char to[4]) {
    if (**p != '\\') {
        to[0] = *(*p)++;
        return 1;
    }
    char kind = (*p)[1];
    *p += 2;
    if (kind != 'u') {
        static const char from[] = "bfnrt", into[] = "\b\f\n\r\t";
        const char *known = memchr(from, kind, 5);
        to[0] = known ? into[known - from] : kind;
        return 1;
    }
    unsigned code = (unsigned)hex4(*p, end);
    *p += 4;
    if (code >= 0xd800 && code < 0xdc00 && end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u') {
        unsigned low = (unsigned)hex4(*p + 2, end);
        if (low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            *p += 6;
        }
    }
    return sk_utf8_put(to, code);
}

size_t sk_utf8_put(char to[4], unsigned code) {
    if (code >= 0xd800 && code < 0xe000) code = 0xfffd;
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (char)(0xc0 | code >> 6);
        to[1] = (char)(0x80 | (code & 63));
        return 2;
    }
    if (code < 0x10000) {
        to[0] = (char)(0xe0 | code >> 12);
        to[1] = (char)(0x80 | (code >> 6 & 63));
        to[2] = (char)(0x80 | (code & 63));
        return 3;
    }
    to[0] = (char)(0xf0 | code >> 18);
    to[1] = (char)(0x80 | (code >> 12 & 63));
    to[2] = (char)(0x80 | (code >> 6 & 63));
    to[3] = (char)(0x80 | (code & 63));
    return 4;
}

static bool same_key(struct sk_span raw, bool escaped, struct sk_span wanted, bool nocase) {
    if (!escaped) return nocase ? sk_span_eq_nocase(raw, wanted) : sk_span_eq(raw, wanted);
    const char *p = raw.p, *end = raw.p + raw.n;
    while (p < end) {
        char part[4];
        size_t n = unescape(&p, end, part);
        struct sk_span here = sk_span(part, n);
        if (!(nocase ? sk_span_starts_nocase(wanted, here) : sk_span_starts(wanted, here)))
            return false;
        wanted = sk_span_skip(wanted, n);
    }
    return wanted.n == 0;
}

/* Moves to the value of a member. */
static enum sk_status find_member(struct cursor *at, struct sk_span wanted, bool nocase,
                                  unsigned depth) {
    if (take(at, '}')) return SK_NOT_FOUND;
    for (;;) {
        struct sk_span key;
        bool escaped;
        if (read_key(at, &key, &escaped)) return SK_MALFORMED;
        if (same_key(key, escaped, wanted, nocase)) return SK_OK;
        if (skip_value(at, depth)) return SK_MALFORMED;
        if (take(at, '}')) return SK_NOT_FOUND;
        if (!take(at, ',')) return SK_MALFORMED;
    }
}

static enum sk_status find_element(struct cursor *at, uint32_t index, unsigned depth) {
    if (take(at, ']')) return SK_NOT_FOUND;
    for (; index > 0; index--) {
        if (skip_value(at, depth)) return SK_MALFORMED;
        if (take(at, ']')) return SK_NOT_FOUND;
        if (!take(at, ',')) return SK_MALFORMED;
    }
    return SK_OK;
}

enum sk_status sk_json_find(struct sk_span json, const struct sk_json_step *path, size_t count,
                            bool nocase, struct sk_json *value) {
    struct cursor at = {json.p, json.p + json.n};
    if (count > SK_JSON_DEPTH_MAX) return SK_NOT_FOUND;
    for (unsigned i = 0; i < count; i++) {
        bool member = path[i].key.p != NULL;
        if (!take(&at, member ? '{' : '[')) {
            struct sk_json other; /* another kind of value, which must still be one */
            return read_value(&at, i, &other) ? SK_MALFORMED : SK_NOT_FOUND;
        }
        enum sk_status status = member ? find_member(&at, path[i].key, nocase, i + 1)
                                       : find_element(&at, path[i].index, i + 1);
        if (status) return status;
    }
    return read_value(&at, (unsigned)count, value);
}

enum sk_status sk_json_walk(struct sk_span json, struct sk_json_walk *walk) {
    struct cursor at = {json.p, json.p + json.n};
    *walk = (struct sk_json_walk){.first = true};
    walk->object = take(&at, '{');
    if (!walk->object && !take(&at, '[')) return SK_MALFORMED;
    walk->at = at.p;
    walk->end = at.end;
    return SK_OK;
}

enum sk_status sk_json_next(struct sk_json_walk *walk) {
    struct cursor at = {walk->at, walk->end};
    if (take(&at, walk->object ? '}' : ']'))
        return SK_NOT_FOUND; /* `at` stays: asking again gives the same */
    if (!walk->first && !take(&at, ',')) return SK_MALFORMED;
    walk->first = false;
    bool escaped;
    if (walk->object && read_key(&at, &walk->key, &escaped)) return SK_MALFORMED;
    enum sk_status status = read_value(&at, 1, &walk->value);
    walk->at = at.p;
    return status;
}

enum sk_status sk_json_read(struct sk_span json, struct sk_json *value, size_t *size) {
    struct cursor at = {json.p, json.p + json.n};
    enum sk_status status = read_value(&at, 0, value);
    if (size) *size = (size_t)(at.p - json.p);
    return status;
}

bool sk_json_valid(struct sk_span json) {
    struct cursor at = {json.p, json.p + json.n};
    if (skip_value(&at, 0)) return false;
    skip_space(&at);
    return at.p == at.end;
}

struct sk_span sk_json_string_value(struct sk_arena *arena, const struct sk_json *string) {
    if (!string->escaped) return string->raw;
    char *to =
        sk_arena_alloc(arena, string->raw.n); /* no escape is shorter than what it stands for */
    size_t n = 0;
    const char *p = string->raw.p, *end = p + string->raw.n;
    while (p < end) {
        char part[4];
        size_t size = unescape(&p, end, part);
        memcpy(to + n, part, size);
        n += size;
    }
    return sk_span(to, n);
}
