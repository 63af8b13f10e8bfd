/* JSON text, in and out: the one door between documents and bytes.
 *
 * In: what editors on Windows put in front (a byte order mark) is not part of the text. Out: a
 * number looks as the shortest text that reads back as the same number, so 21.1 stays 21.1 on
 * its way through us; integers are exact. */
#ifndef SK_MODEL_JSON_TEXT_H
#define SK_MODEL_JSON_TEXT_H

#include <jansson.h>
#include <stdio.h>

#include "base/base.h"

/* The text behind a byte order mark in UTF-8, or the text itself. */
struct sk_span sk_without_bom(struct sk_span text);

/* As json_loadb(); `error` may be NULL. The caller owns the document. */
json_t *sk_json_load(struct sk_span text, size_t flags, json_error_t *error);

/* A text as a value, whatever its bytes are: what is no UTF-8 (what a program has written, a
 * sentence that a limit has cut within a letter) becomes U+FFFD. */
json_t *sk_json_of_text(struct sk_span text);

/* A member that is a text, which lives as long as it does; NULL: there is none, or the object is
 * none. */
const char *sk_json_member_text(const json_t *object, const char *name);

/* Appends a document, array or single value. `indent` 0: all in one line without spaces. */
void sk_json_put(struct sk_buffer *to, const json_t *json, unsigned indent);
/* The same as a text of its own, with a NUL, from malloc; NULL for NULL. */
char *sk_json_text(const json_t *json);
/* And to a stream of the program's user. */
void sk_json_print(FILE *to, const json_t *json, unsigned indent);

#endif
