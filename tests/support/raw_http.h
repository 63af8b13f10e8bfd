/* HTTPS calls to the hub of a fleet, one a connection. */
#ifndef TESTS_RAW_HTTP_H
#define TESTS_RAW_HTTP_H

#include "support/raw_client.h"

#define VERSION "?api-version=2021-04-12"

/* What is asked, and by whom. Zero: GET with the owner's token. */
struct raw_ask {
    const char *method, *target, *host;
    const char *at;                      /* the machine; NULL: the hub's */
    const char *resource, *key, *policy; /* of the token; policy "": a device's own */
    bool no_token;
    const char *headers; /* more lines, each with its end */
    struct sk_span body;
};

void raw_put_ask(struct sk_buffer *to, struct fleet *f, const struct raw_ask *ask);
void raw_asks(struct fleet *f, const struct raw_ask *ask, struct raw_answer *answer);

/* Asks and checks the status, the error's name (or NULL) and that the body holds a text. */
void raw_gets(struct fleet *f, const struct raw_ask *ask, unsigned status, const char *name,
              const char *holds);

#endif
