/* IoT Hub's REST paths. */
#ifndef SK_AZURE_HTTP_PATHS_H
#define SK_AZURE_HTTP_PATHS_H

#include "model/request.h"
#include "wire/http_router.h"

/* What a path asks: sets the request's op, and device, module and name as far as the path has
 * them (decoded; spans into `path` or the arena). SK_NOT_FOUND, SK_UNSUPPORTED: as
 * sk_http_route. */
enum sk_status sk_http_path_read(enum sk_http_method method, struct sk_span path,
                                 struct sk_arena *arena, struct sk_request *request);
/* Whether a path is one of Azure Resource Manager's, whose clients have their own ways with tokens
 * and errors. */
bool sk_http_is_arm(struct sk_span path);
/* One after the other, for who has to look at all of them; NULL behind the last. */
const struct sk_http_route *sk_http_path_at(size_t index);

#endif
