/* What GetModuleLogs and UploadModuleLogs ask for (docs/protocols/edge-runtime.md, section 4.5),
 * and getting it: the logs of all modules that it names, one after the other. */
#ifndef SK_EDGE_AGENT_LOG_REQUEST_H
#define SK_EDGE_AGENT_LOG_REQUEST_H

#include "edge/agent/modules.h"

#define SK_LOG_ITEMS_MAX 16

struct sk_log_request;

/* What it is asked about whom: for texts in JSON. Borrowed. */
struct sk_log_from {
    const char *hub_host, *device_id;
};

/* Reads a payload; NULL with a sentence in `why`. */
struct sk_log_request *sk_log_request_read(const json_t *payload, int64_t now_us, const char **why);
void sk_log_request_free(struct sk_log_request *request);
bool sk_log_request_as_json(const struct sk_log_request *request);
bool sk_log_request_zipped(const struct sk_log_request *request);

/* One module's part of what was asked. */
struct sk_log_found {
    const char *module;
    struct sk_span text; /* lines, or one JSON array of them */
};
struct sk_log_gathering;
/* Reads all that the request asks for, a module at a time: `each` for each, then `done`. At most
 * `size_max` bytes a module; what is longer ends all with SK_TOO_LARGE. Takes the request over. The
 * callbacks come never from inside. */
struct sk_log_gathering *
sk_log_gather(struct sk_modules *modules, struct sk_io *io, struct sk_log_request *request,
              const struct sk_log_from *from, size_t size_max,
              void (*each)(void *arg, const struct sk_log_found *found),
              void (*done)(void *arg, enum sk_status status, const char *why), void *arg);
/* Ends it; nothing is told any more. Not from inside a callback. */
void sk_log_gathering_free(struct sk_log_gathering *gathering);

#endif
