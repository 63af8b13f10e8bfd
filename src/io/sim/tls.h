/* TLS in the simulated world: no secrecy, only who shows which certificates. Inside src/io only. */
#ifndef SK_IO_SIM_TLS_H
#define SK_IO_SIM_TLS_H

#include "io/sim/parts.h"

/* A certificate chain as DER; shared by a sk_tls and the streams made under it. */
struct sim_chain {
    unsigned users;
    size_t count;
    struct sk_span *certificates;
    struct sk_arena arena;
};

struct sim_tls {
    struct sk_tls base;
    unsigned users; /* the owner and each listener and connecting stream */
    struct sim_chain *chain;
};

static inline struct sim_tls *sim_tls_of(struct sk_tls *tls) {
    return (struct sim_tls *)tls;
}
/* One more user, one less; NULL is fine. */
struct sim_tls *sim_tls_share(struct sk_tls *tls);
void sim_tls_unshare(struct sim_tls *tls);
struct sim_chain *sim_chain_share(struct sim_chain *chain);
void sim_chain_unshare(struct sim_chain *chain);

#endif
