/* Changing people's TOML files: the text stays theirs, what is said becomes what is wanted. */
#ifndef SK_CONFIG_REWRITE_H
#define SK_CONFIG_REWRITE_H

#include "config/toml.h"

/* Appends to `to` the TOML text that says `wanted`, a document as sk_toml_parse gives them, and is
 * `text` wherever that says so already: with its comments, blank lines, order and ends of lines.
 * Tables of an array are known again by their "name", "key" or "file". A comment goes with what it
 * stands at when that goes. What comes out has been parsed and compared, so it says `wanted` and
 * nothing else.
 *
 * SK_MALFORMED: `text` is no TOML. SK_UNSUPPORTED: it is written in a way, or `wanted` holds a
 * value (null), that this cannot do. Both with a sentence in `error` that names the file; `to` is
 * as it was. */
enum sk_status sk_toml_rewrite(struct sk_span text, const char *file_name, const json_t *wanted,
                               struct sk_buffer *to, char error[SK_TOML_ERROR_MAX]);

#endif
