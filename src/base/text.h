/* Text forms: base64, hex, percent-encoding, times, and CRC-32C. */
#ifndef SK_BASE_TEXT_H
#define SK_BASE_TEXT_H

#include "base/memory.h"

/* base64 with padding (RFC 4648, section 4). Decoding takes padded and unpadded text, nothing else.
 */
void sk_base64_encode(struct sk_buffer *to, struct sk_span bytes);
enum sk_status sk_base64_decode(struct sk_buffer *to, struct sk_span text);
/* Lower-case hex. Decoding takes both cases, an even number of digits. */
void sk_hex_encode(struct sk_buffer *to, struct sk_span bytes);
enum sk_status sk_hex_decode(struct sk_buffer *to, struct sk_span text);

/* Percent-encoding (RFC 3986): encodes all but unreserved characters, upper-case escapes. */
void sk_percent_encode(struct sk_buffer *to, struct sk_span text);
/* As Azure writes names and values into MQTT topics: the marks !'()* of RFC 2396 stay as they are
 * too. Most clients compare without decoding, "component*command" above all. */
void sk_percent_encode_topic(struct sk_buffer *to, struct sk_span text);
/* Decodes %XX; '+' stays '+'; a broken escape is kept as it is. */
void sk_percent_decode(struct sk_buffer *to, struct sk_span text);
/* The same into an arena; returns `text` itself when there is nothing to decode. */
struct sk_span sk_percent_decoded(struct sk_arena *arena, struct sk_span text);

/* "host:port" or "host"; an address of IPv6 stands in brackets. *port: -1 where there is none.
 * Digits alone are a port that somebody forgot to give an address: SK_MALFORMED. */
enum sk_status sk_host_port_parse(struct sk_span text, struct sk_span *host, int *port);
/* "http://host[:port][/…]" or "https://…"; spans of the text. SK_MALFORMED: it is none, somebody is
 * named before the host, or there are spaces or control characters. */
struct sk_url {
    bool secure;
    struct sk_span host;
    uint16_t port;       /* the scheme's where none is said */
    struct sk_span rest; /* from the first '/' on; may be empty */
};
enum sk_status sk_url_parse(struct sk_span text, struct sk_url *url);

/* µs since 1970 as "2026-11-21T07:00:00.1234567Z" (always 7 fraction digits, as Azure writes them).
 */
#define SK_TIME_TEXT 29
void sk_time_text(int64_t wall_us, char to[SK_TIME_TEXT]); /* 28 characters and a NUL */
/* ISO 8601: date, 'T' or space, time, optional fraction, 'Z' or ±hh:mm; without a zone it is UTC.
 */
enum sk_status sk_time_parse(struct sk_span text, int64_t *wall_us);
/* The same, or "NOW", "NOW-PT1H", "NOW+5m", where it is `now_us`. */
enum sk_status sk_time_parse_near(struct sk_span text, int64_t now_us, int64_t *wall_us);
/* "Sat, 28 Nov 2026 13:00:00 GMT", as HTTP's Date has it (RFC 9110, section 5.6.7); the two older
 * forms are not read. */
#define SK_TIME_HTTP_TEXT 30
void sk_time_http_text(int64_t wall_us, char to[SK_TIME_HTTP_TEXT]);
enum sk_status sk_time_http_parse(struct sk_span text, int64_t *wall_us);
/* "1d", "12h", "30m", "15s", "500ms", or ISO 8601 "P1DT2H30M5.5S"; there a month has 30 days, a
 * year 365. */
enum sk_status sk_duration_parse(struct sk_span text, int64_t *us);

/* The shortest text that reads back as the same number: "21.1", "1e+300", "3". */
#define SK_REAL_TEXT 32
void sk_real_text(double value, char to[SK_REAL_TEXT]);

/* Bytes of the UTF-8 sequence at the start of a text that is not empty (shortest form, no
 * surrogates, at most U+10FFFF); 0: there is none. */
size_t sk_utf8_length(struct sk_span text);

/* A JSON string literal with quotes. Bytes that are not UTF-8 become U+FFFD: what clients send, and
 * sentences cut short, may hold some. */
void sk_json_string(struct sk_buffer *to, struct sk_span text);

/* Characters, not bytes. */
int sk_text_width(const char *text);

/* "did you mean …?": of all words that were tried, the one that differs least from what was
 * typed, as long as it is not another word altogether; else it stays empty. Starts zeroed. */
struct sk_nearest {
    struct sk_span word;
    unsigned closeness;
};
void sk_nearest_try(struct sk_nearest *nearest, struct sk_span typed, struct sk_span word);

/* CRC-32C (Castagnoli, RFC 3720 appendix B.4), SSE4.2 where present; `crc` is 0 or the result for
 * the bytes before. */
uint32_t sk_crc32c(uint32_t crc, struct sk_span bytes);

/* FNV-1a, 64 bits: for what is stored, as it is the same in every process, unlike sk_hash.
 * `hash` is SK_FNV1A or the result for the bytes before. */
#define SK_FNV1A 14695981039346656037ull
uint64_t sk_fnv1a(uint64_t hash, struct sk_span bytes);

/* True when both hold the same bytes; takes the same time wherever they differ. */
bool sk_equal_constant_time(struct sk_span a, struct sk_span b);

#endif
