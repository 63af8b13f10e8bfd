/* Any answer of a database is read in messages of which each is used up; any first message of a
 * login is answered or refused. */
#include <stdlib.h>

#include "wire/postgres.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sk_span in = sk_span(data, size);
    struct sk_postgres_message message;
    struct sk_postgres_error error;
    struct sk_scram scram = {.nonce = "abc"};
    struct sk_buffer answer = {0};
    size_t used;
    while (sk_postgres_read(in, &message, &used) == SK_OK) {
        must(used >= 5 && used <= in.n && message.body.n == used - 5);
        sk_postgres_error_read(message.body, &error);
        must(error.code.n <= message.body.n && error.text.n <= message.body.n);
        in = sk_span_skip(in, used);
    }
    if (sk_scram_put_final(&scram, in, "secret", &answer) == SK_OK)
        must(sk_span_starts(sk_buffer_span(&answer), SK_SPAN("c=biws,r=abc")));
    sk_scram_fits(&scram, in);
    sk_buffer_free(&answer);
    return 0;
}
