/* Tokens of the expression languages. Inside src/expr. */
#ifndef SK_EXPR_LEXER_H
#define SK_EXPR_LEXER_H

#include "expr/expr.h"

enum token_kind {
    TOKEN_END,
    TOKEN_NUMBER,
    TOKEN_STRING, /* text: between the quotes, still with escapes */
    /* letters, digits, '_', '$', '#'; '-' where a letter or digit follows at once; any case */
    TOKEN_NAME,
    TOKEN_BRACED, /* {…}: text between the braces */
    TOKEN_SIGN,   /* text: the operator or punctuation */
    TOKEN_BAD,    /* what no token starts with, or an unfinished one; the error is set */
};

struct token {
    enum token_kind kind;
    struct sk_span text;
    size_t at; /* bytes from the start of the text */
    double number;
};

struct lexer {
    struct sk_span text;
    size_t next; /* behind the current token */
    struct token token;
    struct sk_expr_error *error; /* never NULL */
    bool failed;
};

/* Starts at the text's byte `from` and reads the first token. */
void lexer_init(struct lexer *lexer, struct sk_span text, size_t from, struct sk_expr_error *error);
void lexer_next(struct lexer *lexer);
/* True, and the next token read, when the current one is this keyword (any case) or sign. */
bool lexer_take_word(struct lexer *lexer, const char *word);
bool lexer_take_sign(struct lexer *lexer, const char *sign);
bool lexer_is_word(const struct lexer *lexer, const char *word);
bool lexer_is_sign(const struct lexer *lexer, const char *sign);
/* Whether the current token is a whole number that fits. */
bool lexer_is_whole(const struct lexer *lexer, uint32_t *value);
/* Behind a '.' that is the current token: reads a name, or "[[…]]" as a name, as the current token.
 */
void lexer_segment(struct lexer *lexer);

/* Notes an error at a place, the first one only; returns SK_MALFORMED. */
enum sk_status lexer_fail_at(struct lexer *lexer, size_t at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "expected …, found …" at the current token. */
enum sk_status lexer_expected(struct lexer *lexer, const char *what);

/* The characters of a TOKEN_STRING; `to` has room for its text. Returns their bytes. Escapes: \' \"
 * \\ \/ \b \f \n \r \t \uXXXX and a doubled quote. */
size_t lexer_string(const struct token *token, char *to);

#endif
