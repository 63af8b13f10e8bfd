/* Module identities of this edge device: created on the hub with the device's credentials, with
 * keys that only the daemon can derive, and remembered in a file, so that an edge that starts
 * without a connection knows its modules.
 *
 * What is remembered answers at once and is compared with the hub in the background; only a module
 * that was never seen waits for the hub. Completions come once, never from inside the call, but
 * for sk_identities_close. */
#ifndef SK_EDGE_DAEMON_IDENTITIES_H
#define SK_EDGE_DAEMON_IDENTITIES_H

#include "net/http_client.h"
#include "edge/daemon/credential.h"
#include "edge/daemon/keys.h"

struct sk_identities;

/* Texts are copied; keys and tls are borrowed. */
struct sk_identities_options {
    const char *file;      /* where identities are remembered */
    const char *hub_host;  /* as in tokens */
    const char *dial_host; /* the hub or the parent */
    uint16_t dial_port;
    const char *proxy;           /* URL, or NULL */
    unsigned timeout_s, retries; /* of one question; how often again, where nobody answered */
    struct sk_tls *tls;          /* NULL: plain (tests) */
    const char *device_id;
    struct sk_credential *credential; /* borrowed, as the keys are */
    struct sk_keys *keys;
};
/* SK_MALFORMED: the file is damaged (it is left alone); a sentence in `reason`. */
enum sk_status sk_identities_open(struct sk_io *io, const struct sk_identities_options *options,
                                  struct sk_identities **identities, char reason[256]);
/* Ends what waits with SK_CLOSED. */
void sk_identities_close(struct sk_identities *identities);

/* The generation id of a remembered module, or the empty span; lives until the next call. */
struct sk_span sk_identities_generation(const struct sk_identities *identities,
                                        struct sk_span module_id);
void sk_identities_each(const struct sk_identities *identities,
                        void (*each)(void *arg, struct sk_span module_id,
                                     struct sk_span generation_id),
                        void *arg);

/* `reason`: one sentence when status is not SK_OK, else empty. */
typedef void sk_identities_done(void *arg, enum sk_status status, struct sk_span generation_id,
                                const char *reason);
/* Makes sure that the hub knows the module with our keys. SK_REFUSED: the hub said no; else why it
 * could not be asked. */
void sk_identities_put(struct sk_identities *identities, struct sk_span module_id,
                       struct sk_span managed_by, sk_identities_done *done, void *arg);
/* Deletes it on the hub, then forgets it. Fine when there is none. */
void sk_identities_delete(struct sk_identities *identities, struct sk_span module_id,
                          sk_identities_done *done, void *arg);

#endif
