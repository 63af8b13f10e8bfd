/* JSON merge patches (RFC 7396): apply, combine, and find them. */
#ifndef SK_MODEL_JSON_PATCH_H
#define SK_MODEL_JSON_PATCH_H

#include <jansson.h>
#include <stdbool.h>

/* Merges `patch` into the object `target`: objects go deeper, null deletes, everything else
 * replaces (values are deep-copied). With `keep_nulls` the result is itself a patch: nulls are
 * kept, so that two patches become one. */
void sk_json_merge(json_t *target, const json_t *patch, bool keep_nulls);

/* The patch that turns object `from` into object `to`; a new reference, empty when they are equal.
 */
json_t *sk_json_diff(const json_t *from, const json_t *to);

#endif
