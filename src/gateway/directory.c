#include "gateway/parts.h"
#include "model/json_text.h"

void sk_directory_free(struct sk_directory *directory) {
    sk_map_free(&directory->sessions);
}

void directory_enter(struct sk_session *session) {
    struct sk_directory *directory = &session->backend->directory;
    SK_ASSERT(sk_map_get(&directory->sessions, sk_span_z(session->key)) == NULL);
    sk_map_put(&directory->sessions, sk_span_z(session->key), session);
    directory->devices += session->principal.module == NULL;
}

void directory_leave(struct sk_session *session) {
    struct sk_directory *directory = &session->backend->directory;
    SK_ASSERT(sk_map_get(&directory->sessions, sk_span_z(session->key)) == session);
    sk_map_remove(&directory->sessions, sk_span_z(session->key));
    directory->devices -= session->principal.module == NULL;
}

struct sk_session *sk_directory_find(const struct sk_backend *backend, struct sk_span device,
                                     struct sk_span module) {
    char key[2 * SK_ID_MAX + 1];
    if (device.n + module.n + 1 > sizeof key) return NULL;
    if (device.n) memcpy(key, device.p, device.n);
    size_t n = device.n;
    if (module.n) {
        key[n++] = '/'; /* not in the alphabet of ids */
        memcpy(key + n, module.p, module.n);
        n += module.n;
    }
    return sk_map_get(&backend->directory.sessions, sk_span(key, n));
}

struct sk_session *sk_directory_next(const struct sk_backend *backend, size_t *at) {
    return sk_map_next(&backend->directory.sessions, at, NULL);
}

struct sk_directory_counts sk_directory_counts(const struct sk_backend *backend) {
    return (struct sk_directory_counts){.sessions = backend->directory.sessions.count,
                                        .devices = backend->directory.devices};
}

/* Who takes what only sessions with this subscription want. */
static struct sk_session *taker(const struct sk_backend *backend, struct sk_span device,
                                struct sk_span module, unsigned subscription) {
    struct sk_session *session = sk_directory_find(backend, device, module);
    return session && session->subscriptions & subscription ? session : NULL;
}

void sk_directory_deliver_method(struct sk_backend *backend, struct sk_span device,
                                 struct sk_span module, const struct sk_method_call *call,
                                 sk_directory_told *told, void *arg) {
    struct sk_session *session = taker(backend, device, module, SK_SUB_METHODS);
    told(arg, call->rid, session != NULL);
    if (session) session->head->deliver_method(session, call);
}

void sk_directory_deliver_desired(struct sk_backend *backend, struct sk_span device,
                                  struct sk_span module, const json_t *patch, uint64_t version) {
    struct sk_session *session = taker(backend, device, module, SK_SUB_DESIRED);
    if (session == NULL) return;
    SK_CLEANUP_FREE char *text = sk_json_text(patch);
    session->head->deliver_desired(session, sk_span_z(text), version);
}
