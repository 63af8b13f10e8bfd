/* Where clients get their tokens from, when they have no key: a workload API, a file, a test.
 *
 * Who needs a token embeds the question and asks it; the answer comes once, from inside the call or
 * later, unless the question is taken back. On the loop's thread. */
#ifndef SK_NET_TOKEN_SOURCE_H
#define SK_NET_TOKEN_SOURCE_H

#include "base/base.h"

struct sk_token_source;

/* A question; zeroed when it is not asked. */
struct sk_token_ask {
    struct sk_token_source *source; /* NULL: not asked, or answered */
    int64_t expiry_s;               /* until when the token shall live; seconds since 1970 */
    /* `token` lives until it returns. With a status there is none, for now. */
    void (*done)(struct sk_token_ask *ask, enum sk_status status, struct sk_span token);
    void *work; /* the source's own */
};

struct sk_token_source {
    /* Takes the question; sk_token_answer follows. */
    void (*get)(struct sk_token_source *source, struct sk_token_ask *ask);
    /* The question is gone before its answer. */
    void (*forget)(struct sk_token_source *source, struct sk_token_ask *ask);
};

/* Asks, unless the question is asked already. */
static inline void
sk_token_ask(struct sk_token_source *source, struct sk_token_ask *ask, int64_t expiry_s,
             void (*done)(struct sk_token_ask *, enum sk_status, struct sk_span token)) {
    if (ask->source) return;
    *ask = (struct sk_token_ask){.source = source, .expiry_s = expiry_s, .done = done};
    source->get(source, ask);
}

static inline void sk_token_unask(struct sk_token_ask *ask) {
    struct sk_token_source *source = ask->source;
    ask->source = NULL;
    if (source) source->forget(source, ask);
}

/* By the source. The question may be asked again from inside. */
static inline void sk_token_answer(struct sk_token_ask *ask, enum sk_status status,
                                   struct sk_span token) {
    ask->source = NULL;
    ask->done(ask, status, token);
}

#endif
