/* JSON merge patches (RFC 7396): apply, combine, and find them. */
#ifndef SK_MODEL_JSON_PATCH_H
#define SK_MODEL_JSON_PATCH_H

#include <jansson.h>

/* Merges `patch` into the object `target`: objects go deeper, null deletes, everything else
 * replaces (values are deep-copied). */
void sk_json_merge(json_t *target, const json_t *patch);

/* Adds `more` to a pair of patches, so that `first`, then `second`, do what they did before and
 * then `more`. One patch cannot always say it: {"a":null} and then {"a":{"b":1}} leave nothing
 * else in "a". */
void sk_json_patch_append(json_t *first, json_t *second, const json_t *more);

/* The patch that turns object `from` into object `to`; a new reference, empty when they are equal.
 */
json_t *sk_json_diff(const json_t *from, const json_t *to);

#endif
