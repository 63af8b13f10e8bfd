#include "expr/lexer.h"

#include <stdarg.h>
#include <stdio.h>

enum sk_status lexer_fail_at(struct lexer *lexer, size_t at, const char *format, ...) {
    if (lexer->failed) return SK_MALFORMED; /* what follows from the first error helps nobody */
    lexer->failed = true;
    struct sk_expr_error *error = lexer->error;
    *error = (struct sk_expr_error){.position = at, .line = 1, .column = 1};
    for (size_t i = 0; i < at && i < lexer->text.n; i++) {
        error->column++;
        if (lexer->text.p[i] == '\n') {
            error->line++;
            error->column = 1;
        }
    }
    va_list args;
    va_start(args, format);
    vsnprintf(error->sentence, sizeof error->sentence, format, args);
    va_end(args);
    return SK_MALFORMED;
}

enum sk_status lexer_expected(struct lexer *lexer, const char *what) {
    const struct token *token = &lexer->token;
    if (token->kind == TOKEN_END)
        return lexer_fail_at(lexer, token->at, "expected %s, but the text ends here", what);
    struct sk_span shown =
        sk_span_first(sk_span_skip(lexer->text, token->at), lexer->next - token->at);
    return lexer_fail_at(lexer, token->at, "expected %s, found \"%.*s\"", what,
                         SK_ARG(sk_span_first(shown, 40)));
}

static bool starts_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
           (unsigned char)c >= 0x80;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool in_name(char c) {
    return starts_name(c) || is_digit(c) || c == '#';
}

/* The character at a distance, or 0 behind the end. */
static char look(const struct lexer *lexer, size_t ahead) {
    return lexer->next + ahead < lexer->text.n ? lexer->text.p[lexer->next + ahead] : 0;
}

static bool skip_blanks(struct lexer *lexer) {
    for (;;) {
        char c = look(lexer, 0);
        if (c && (c == ' ' || (c >= '\t' && c <= '\r'))) {
            lexer->next++;
        } else if (c == '/' && look(lexer, 1) == '*') {
            size_t from = lexer->next;
            lexer->next += 2;
            while (!(look(lexer, 0) == '*' && look(lexer, 1) == '/')) {
                if (lexer->next >= lexer->text.n) {
                    lexer_fail_at(lexer, from, "this comment has no end; write */ behind it");
                    return false;
                }
                lexer->next++;
            }
            lexer->next += 2;
        } else {
            return true;
        }
    }
}

static void finish(struct lexer *lexer, enum token_kind kind, size_t n) {
    lexer->token.kind = kind;
    lexer->token.text = sk_span(lexer->text.p + lexer->next, n);
    lexer->next += n;
}

static void lex_name(struct lexer *lexer) {
    size_t n = 1;
    while (in_name(look(lexer, n)) || (look(lexer, n) == '-' && in_name(look(lexer, n + 1)))) n++;
    finish(lexer, TOKEN_NAME, n);
}

static void lex_hex_number(struct lexer *lexer) {
    size_t n = 2;
    double value = 0;
    for (;; n++) {
        char c = look(lexer, n);
        int digit = is_digit(c)                          ? c - '0'
                    : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                         : -1;
        if (digit < 0) break;
        value = value * 16 + digit;
    }
    lexer->token.number = value;
    if (n == 2 || in_name(look(lexer, n)))
        lexer_fail_at(lexer, lexer->token.at,
                      "this hexadecimal number is not one; write for example 0x1F");
    finish(lexer, TOKEN_NUMBER, n);
}

static void lex_number(struct lexer *lexer) {
    if (look(lexer, 0) == '0' && (look(lexer, 1) | 32) == 'x') {
        lex_hex_number(lexer);
        return;
    }
    size_t n = 0;
    while (is_digit(look(lexer, n))) n++;
    if (look(lexer, n) == '.' && is_digit(look(lexer, n + 1)))
        for (n++; is_digit(look(lexer, n));) n++;
    if ((look(lexer, n) | 32) == 'e') {
        size_t sign = look(lexer, n + 1) == '+' || look(lexer, n + 1) == '-';
        if (is_digit(look(lexer, n + 1 + sign)))
            for (n += 1 + sign; is_digit(look(lexer, n));) n++;
    }
    if (in_name(look(lexer, n)) || n > SK_JSON_NUMBER_MAX)
        lexer_fail_at(lexer, lexer->token.at,
                      "this number is not one; put names in front or blanks between");
    else
        lexer->token.number = sk_json_number_value(sk_span(lexer->text.p + lexer->next, n));
    finish(lexer, TOKEN_NUMBER, n);
}

static void lex_string(struct lexer *lexer, char quote) {
    size_t from = lexer->next++;
    size_t n = 0;
    for (;; n++) {
        if (lexer->next + n >= lexer->text.n) {
            lexer_fail_at(lexer, from, "this string has no end; write %c behind it", quote);
            break;
        }
        char c = look(lexer, n);
        if (c == quote && look(lexer, n + 1) != quote) break;
        if (c != quote && c != '\\') continue;
        if (c == '\\' &&
            (look(lexer, n + 1) == 0 || strchr("'\"\\/bfnrtu", look(lexer, n + 1)) == NULL)) {
            lexer_fail_at(lexer, lexer->next + n,
                          "there is no such escape; write \\\\ for a backslash");
            break;
        }
        if (c == '\\' && look(lexer, n + 1) == 'u') {
            for (size_t i = 2; i < 6; i++) {
                char digit = (char)(look(lexer, n + i) | 32);
                if (is_digit(look(lexer, n + i)) || (digit >= 'a' && digit <= 'f')) continue;
                lexer_fail_at(lexer, lexer->next + n, "\\u takes four hexadecimal digits");
                return;
            }
        }
        n++;
    }
    finish(lexer, TOKEN_STRING, n);
    lexer->next++;
}

static void lex_braced(struct lexer *lexer) {
    size_t n = 1;
    while (look(lexer, n) && look(lexer, n) != '}') n++;
    if (look(lexer, n) != '}' || n == 1)
        lexer_fail_at(lexer, lexer->token.at,
                      "braces hold a property's name, as in {$contentType}");
    finish(lexer, TOKEN_BRACED, n + 1);
    lexer->token.text = sk_span_trim(sk_span(lexer->token.text.p + 1, n - 1));
}

void lexer_next(struct lexer *lexer) {
    lexer->token = (struct token){.kind = TOKEN_BAD, .at = lexer->next};
    if (lexer->failed || !skip_blanks(lexer)) return;
    lexer->token.at = lexer->next;
    char c = look(lexer, 0);
    if (lexer->next >= lexer->text.n) {
        lexer->token.kind = TOKEN_END;
    } else if (starts_name(c)) {
        lex_name(lexer);
    } else if (is_digit(c)) {
        lex_number(lexer);
    } else if (c == '\'' || c == '"') {
        lex_string(lexer, c);
    } else if (c == '{') {
        lex_braced(lexer);
    } else {
        static const char *const signs[] = {"<>", "<=", ">=", "!=", "||", "??", "(", ")", "[", "]",
                                            ",",  ".",  "+",  "-",  "*",  "/",  "%", "=", "<", ">"};
        struct sk_span rest = sk_span_skip(lexer->text, lexer->next);
        for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
            if (sk_span_starts(rest, sk_span_z(signs[i]))) {
                finish(lexer, TOKEN_SIGN, strlen(signs[i]));
                return;
            }
        if ((unsigned char)c < 0x20)
            lexer_fail_at(lexer, lexer->next, "a control character cannot stand here");
        else
            lexer_fail_at(lexer, lexer->next, "'%c' has no meaning here", c);
    }
    if (lexer->failed) lexer->token.kind = TOKEN_BAD;
}

void lexer_segment(struct lexer *lexer) {
    if (look(lexer, 0) != '[' || look(lexer, 1) != '[') {
        lexer_next(lexer);
        return;
    }
    lexer->token = (struct token){.kind = TOKEN_BAD, .at = lexer->next};
    size_t n = 2;
    while (look(lexer, n) && !(look(lexer, n) == ']' && look(lexer, n + 1) == ']')) n++;
    if (look(lexer, n) == 0 || n == 2) {
        lexer_fail_at(lexer, lexer->next, "double brackets hold a name, as in [[my name]]");
        return;
    }
    finish(lexer, TOKEN_NAME, n + 2);
    lexer->token.text = sk_span(lexer->token.text.p + 2, n - 2);
}

void lexer_init(struct lexer *lexer, struct sk_span text, size_t from,
                struct sk_expr_error *error) {
    *lexer = (struct lexer){.text = text, .next = from, .error = error};
    lexer_next(lexer);
}

bool lexer_is_word(const struct lexer *lexer, const char *word) {
    return lexer->token.kind == TOKEN_NAME && sk_span_eq_nocase(lexer->token.text, sk_span_z(word));
}

bool lexer_is_sign(const struct lexer *lexer, const char *sign) {
    return lexer->token.kind == TOKEN_SIGN && sk_span_is(lexer->token.text, sign);
}

bool lexer_is_whole(const struct lexer *lexer, uint32_t *value) {
    double number = lexer->token.number;
    if (lexer->token.kind != TOKEN_NUMBER || number > UINT32_MAX ||
        number != (double)(uint32_t)number)
        return false;
    *value = (uint32_t)number;
    return true;
}

bool lexer_take_word(struct lexer *lexer, const char *word) {
    if (!lexer_is_word(lexer, word)) return false;
    lexer_next(lexer);
    return true;
}

bool lexer_take_sign(struct lexer *lexer, const char *sign) {
    if (!lexer_is_sign(lexer, sign)) return false;
    lexer_next(lexer);
    return true;
}

static unsigned hex4(const char *p) {
    unsigned value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 4 | (unsigned)(p[i] <= '9' ? p[i] - '0' : (p[i] | 32) - 'a' + 10);
    return value;
}

size_t lexer_string(const struct token *token, char *to) {
    const char *p = token->text.p, *end = p + token->text.n;
    char quote = p[-1];
    size_t n = 0;
    while (p < end) {
        if (*p == quote) p++; /* doubled */
        if (*p != '\\') {
            to[n++] = *p++;
            continue;
        }
        static const char from[] = "bfnrt", into[] = "\b\f\n\r\t";
        char kind = p[1];
        p += 2;
        const char *known = memchr(from, kind, 5);
        if (kind != 'u') {
            to[n++] = known ? into[known - from] : kind;
            continue;
        }
        unsigned code = hex4(p);
        p += 4;
        if (code >= 0xd800 && code < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
            unsigned low = hex4(p + 2);
            if (low >= 0xdc00 && low < 0xe000) {
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                p += 6;
            }
        }
        char part[4]; /* six characters of the text become at most three, twelve become four */
        size_t size = sk_utf8_put(part, code);
        memcpy(to + n, part, size);
        n += size;
    }
    return n;
}
