#include "wire/mail.h"

#include <stdio.h>
#include <string.h>

enum {
    WORD = 45, /* bytes of an encoded word: 60 characters of base64, 72 in all, at most 75 */
    LINE = 57, /* bytes of a line of base64: 76 characters */
    REPLY_MAX = 2048,
    LOCAL_MAX = 64,
    ADDRESS_MAX = 254,
};

/* ---- addresses ---- */

static bool is_local(struct sk_span text) {
    return text.n > 0 && text.n <= LOCAL_MAX && text.p[0] != '.' && text.p[text.n - 1] != '.' &&
           sk_span_only(text, "!#$%&'*+-/=?^_`{|}~.");
}

bool sk_mail_address_fine(struct sk_span address) {
    size_t at = sk_span_find(address, '@');
    struct sk_span host = sk_span_skip(address, at + 1);
    return address.n <= ADDRESS_MAX && at < address.n && is_local(sk_span_first(address, at)) &&
           host.n > 0 && host.p[0] != '.' && host.p[0] != '-' && sk_span_only(host, "-.");
}

/* ---- headers ---- */

/* Without control characters, in UTF-8; at most so many bytes. */
static void put_clean(struct sk_buffer *to, struct sk_span text, size_t max) {
    size_t length;
    for (; text.n; text = sk_span_skip(text, length ? length : 1)) {
        length = sk_utf8_length(text);
        struct sk_span c = length ? sk_span_first(text, length) : SK_SPAN("\xef\xbf\xbd");
        if (c.n == 1 && ((unsigned char)c.p[0] < ' ' || c.p[0] == 0x7f)) c = SK_SPAN(" ");
        if (to->n + c.n > max) return;
        sk_buffer_append(to, c);
    }
}

static bool is_plain(struct sk_span text) {
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] > 0x7e ||
            (text.p[i] == '=' && i + 1 < text.n && text.p[i + 1] == '?'))
            return false;
    return true;
}

/* Whole characters, at most WORD bytes of them. */
static size_t word_of(struct sk_span text) {
    size_t n = 0, length;
    while (n < text.n && n + (length = sk_utf8_length(sk_span_skip(text, n))) <= WORD) n += length;
    return n;
}

static void put_subject(struct sk_buffer *to, struct sk_span subject) {
    struct sk_buffer clean = {0};
    put_clean(&clean, subject, SK_MAIL_SUBJECT_MAX);
    struct sk_span rest = sk_buffer_span(&clean);
    sk_buffer_text(to, "Subject:");
    if (is_plain(rest)) {
        sk_buffer_byte(to, ' ');
        sk_buffer_append(to, rest);
        rest.n = 0;
    }
    for (size_t n; rest.n; rest = sk_span_skip(rest, n)) {
        n = word_of(rest);
        sk_buffer_text(to, to->p[to->n - 1] == ':' ? " =?UTF-8?B?" : "\r\n =?UTF-8?B?");
        sk_base64_encode(to, sk_span_first(rest, n));
        sk_buffer_text(to, "?=");
    }
    sk_buffer_text(to, "\r\n");
    sk_buffer_free(&clean);
}

static void put_headers(struct sk_buffer *to, const struct sk_mail *mail) {
    char when[SK_TIME_HTTP_TEXT];
    sk_time_http_text(mail->wall_us, when);
    sk_buffer_print(to, "Date: %.25s +0000\r\nFrom: <%.*s>\r\nTo: ", when, SK_ARG(mail->from));
    for (size_t i = 0; i < mail->to_count; i++)
        sk_buffer_print(to, "%s<%s>", i ? ",\r\n " : "", mail->to[i]);
    sk_buffer_text(to, "\r\n");
    put_subject(to, mail->subject);
    sk_buffer_print(to,
                    "Message-ID: <%.*s%.*s>\r\nAuto-Submitted: auto-generated\r\n"
                    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                    "Content-Transfer-Encoding: base64\r\n\r\n",
                    SK_ARG(mail->id),
                    SK_ARG(sk_span_skip(mail->from, sk_span_find(mail->from, '@'))));
}

/* ---- the body ---- */

/* Lines end with CR LF, as MIME wants them of texts. */
static void put_text(struct sk_buffer *to, struct sk_span text) {
    size_t length;
    for (; text.n; text = sk_span_skip(text, length ? length : 1)) {
        length = sk_utf8_length(text);
        if (length == 0)
            sk_buffer_text(to, "\xef\xbf\xbd");
        else if (text.p[0] == '\n')
            sk_buffer_text(to, "\r\n");
        else if (text.p[0] != '\r')
            sk_buffer_append(to, sk_span_first(text, length));
    }
}

void sk_mail_put(struct sk_buffer *to, const struct sk_mail *mail) {
    struct sk_buffer text = {0};
    put_headers(to, mail);
    put_text(&text, mail->text);
    for (struct sk_span rest = sk_buffer_span(&text); rest.n; rest = sk_span_skip(rest, LINE)) {
        sk_base64_encode(to, sk_span_first(rest, LINE));
        sk_buffer_text(to, "\r\n");
    }
    sk_buffer_free(&text);
}

/* ---- replies ---- */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

enum sk_status sk_mail_reply_read(struct sk_span in, struct sk_mail_reply *reply, size_t *used) {
    size_t end = sk_span_find(in, '\n');
    if (end > REPLY_MAX) return SK_MALFORMED;
    if (end == in.n) return SK_AGAIN;
    struct sk_span line = sk_span_first(in, end);
    *used = end + 1;
    if (line.n && line.p[line.n - 1] == '\r') line.n--;
    if (line.n < 3 || !is_digit(line.p[0]) || !is_digit(line.p[1]) || !is_digit(line.p[2]) ||
        (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-'))
        return SK_MALFORMED;
    reply->code = (unsigned)((line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + line.p[2] - '0');
    reply->more = line.n > 3 && line.p[3] == '-';
    reply->text = sk_span_skip(line, 4);
    return SK_OK;
}
