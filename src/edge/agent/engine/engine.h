/* Client of a container engine: the Docker Engine API (1.40 and later; Docker, Podman) on its unix
 * socket.
 *
 * Each call has a connection of its own, so none waits behind a slow one. All that the engine says
 * is bounded and checked: it may hang, restart in the middle of an answer or talk nonsense, and
 * then the call ends with a sentence. Belongs to its loop's thread. */
#ifndef SK_EDGE_AGENT_ENGINE_ENGINE_H
#define SK_EDGE_AGENT_ENGINE_ENGINE_H

#include <jansson.h>

#include "io/io.h"
#include "wire/http.h"

#define SK_ENGINE_WHY_MAX 320
#define SK_ENGINE_VERSION_LEAST 40 /* 1.40 */

struct sk_engine;

/* "unix:///var/run/docker.sock" or a path. SK_MALFORMED: no unix socket's. */
enum sk_status sk_engine_new(struct sk_io *io, const char *uri, struct sk_engine **engine);
/* Its calls and streams end without their completions. */
void sk_engine_free(struct sk_engine *engine);
const char *sk_engine_path(const struct sk_engine *engine);

/* What the engine answered; lives until the completion returns. */
struct sk_engine_answer {
    enum sk_status status; /* SK_OK: the engine did it, or it was so already (304) */
    unsigned http;         /* 0: no answer came */
    const json_t *json;    /* NULL: none, or no JSON */
    const char *why;       /* on failure one clause: the engine's message, or why there is none */
};
typedef void sk_engine_done(void *arg, const struct sk_engine_answer *answer);

struct sk_engine_call;
/* `target`: path and query behind the version, already encoded. `body` is borrowed for the call;
 * NULL: none. `timeout_ms` 0: 30 s. `done` comes once, never from inside. */
struct sk_engine_call *sk_engine_ask(struct sk_engine *engine, enum sk_http_method method,
                                     const char *target, const json_t *body, uint32_t timeout_ms,
                                     sk_engine_done *done, void *arg);
/* Ends a call or a stream; its completion does not come. */
void sk_engine_cancel(struct sk_engine_call *call);

/* A streamed answer: parts as they come, then `done` (json NULL). `silence_ms`: how long the engine
 * may say nothing; 0: for ever. `registry_auth`: value of X-Registry-Auth, or empty. */
struct sk_engine_stream {
    enum sk_http_method method;
    const char *target;
    struct sk_span registry_auth;
    uint32_t silence_ms;
    void (*part)(void *arg, struct sk_span bytes);
    sk_engine_done *done;
    void *arg;
};
struct sk_engine_call *sk_engine_stream(struct sk_engine *engine,
                                        const struct sk_engine_stream *ask);

/* Asks for the engine's version, chooses the API's that both know, and says it in the calls that
 * follow. The answer is the engine's; SK_UNSUPPORTED: it is too old. */
struct sk_engine_call *sk_engine_greet(struct sk_engine *engine, sk_engine_done *done, void *arg);

#endif
