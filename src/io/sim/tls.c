#include "io/sim/tls.h"

#include <stdio.h>

static struct sim_chain *sim_chain_of(struct sk_span pem) {
    struct sim_chain *chain = SK_NEW(struct sim_chain);
    chain->users = 1;
    static const char begin[] = "-----BEGIN CERTIFICATE-----", end[] = "-----END CERTIFICATE-----";
    const char *at = pem.p, *stop = pem.p + pem.n;
    while (at && (at = memmem(at, (size_t)(stop - at), begin, sizeof begin - 1)) != NULL) {
        at += sizeof begin - 1;
        const char *last = memmem(at, (size_t)(stop - at), end, sizeof end - 1);
        if (last == NULL) break;
        struct sk_buffer text = {0}, der = {0};
        for (; at < last; at++)
            if ((unsigned char)*at > ' ') sk_buffer_byte(&text, *at);
        if (sk_base64_decode(&der, sk_buffer_span(&text)) == SK_OK) {
            chain->certificates =
                sk_realloc(chain->certificates, (chain->count + 1) * sizeof *chain->certificates);
            chain->certificates[chain->count++] =
                sk_arena_copy(&chain->arena, sk_buffer_span(&der));
        }
        sk_buffer_free(&text);
        sk_buffer_free(&der);
    }
    return chain;
}

struct sim_chain *sim_chain_share(struct sim_chain *chain) {
    if (chain) chain->users++;
    return chain;
}

void sim_chain_unshare(struct sim_chain *chain) {
    if (chain == NULL || --chain->users) return;
    free(chain->certificates);
    sk_arena_free(&chain->arena);
    free(chain);
}

struct sim_tls *sim_tls_share(struct sk_tls *tls) {
    if (tls) sim_tls_of(tls)->users++;
    return sim_tls_of(tls);
}

void sim_tls_unshare(struct sim_tls *tls) {
    if (tls == NULL || --tls->users) return;
    sim_chain_unshare(tls->chain);
    free(tls);
}

enum sk_status sim_tls_new(struct sk_io *io, const struct sk_tls_options *options,
                           struct sk_tls **tls, char *reason) {
    struct sim_chain *chain = sim_chain_of(options->certificate_pem);
    if (options->server && chain->count == 0) {
        sim_chain_unshare(chain);
        snprintf(reason, 256, "a server needs a certificate in PEM form");
        return SK_INVALID;
    }
    struct sim_tls *made = SK_NEW(struct sim_tls);
    made->base.io = io;
    made->users = 1;
    made->chain = chain;
    *tls = &made->base;
    return SK_OK;
}

enum sk_status sim_tls_reload(struct sk_tls *tls, const struct sk_tls_options *options,
                              char *reason) {
    struct sk_tls *fresh;
    enum sk_status status = sim_tls_new(tls->io, options, &fresh, reason);
    if (status) return status;
    struct sim_chain *before = sim_tls_of(tls)->chain;
    sim_tls_of(tls)->chain = sim_chain_share(sim_tls_of(fresh)->chain);
    sim_chain_unshare(before);
    sim_tls_free(fresh);
    return SK_OK;
}

void sim_tls_free(struct sk_tls *tls) {
    sim_tls_unshare(sim_tls_of(tls));
}
