/* Which images this edge has got, and when each was last in use: what may be removed from the
 * machine.
 *
 * Pure: a document {"images":{"name":µs since 1970,…},"cleaned":µs}. */
#ifndef SK_EDGE_AGENT_IMAGE_RECORD_H
#define SK_EDGE_AGENT_IMAGE_RECORD_H

#include <jansson.h>

#include "base/base.h"

#define SK_DAY_US (INT64_C(86400) * 1000000)

/* What a file holds, or an empty record; a new reference. */
json_t *sk_image_record_read(struct sk_span text);
/* The image is in use now. */
void sk_image_record_use(json_t *record, const char *name, int64_t now_us);
void sk_image_record_forget(json_t *record, const char *name);
/* The name of one that is not in use since `age_us`; NULL: none. A clock that was set back makes
 * nothing old. */
const char *sk_image_record_old(const json_t *record, int64_t now_us, int64_t age_us);
/* Whether it is time to look for them: `every_us` after the last time, in whole days. */
bool sk_image_record_due(const json_t *record, int64_t now_us, int64_t every_us);
/* The next time of the day `minute` after now. */
int64_t sk_image_next_us(int64_t now_us, unsigned minute);

#endif
