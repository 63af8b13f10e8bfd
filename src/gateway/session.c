/* Sessions: one for an identity, the newest wins; and what else credentials have opened. */
#include "gateway/gateway.h"

#include "gateway/ip_filter.h"
#include "gateway/parts.h"
#include "gateway/quota.h"

/* The SDKs' tokens end 5 minutes after what they say, as for new connections
 * (docs/protocols/device-protocols.md, section 1.8). */
static void on_expiry(struct sk_timer *timer) {
    struct sk_session *session = SK_CONTAINER(timer, struct sk_session, expiry);
    if (sk_io_wall(timer->io) >= sk_sas_end_us(session->principal.expires_s))
        session->head->close(session, SK_FAULT_UNAUTHORIZED);
    else
        session_watch_expiry(session);
}

void session_watch_expiry(struct sk_session *session) {
    int64_t end_us = sk_sas_end_us(session->principal.expires_s);
    if (end_us == INT64_MAX) return;
    sk_timer_start_at(session->backend->io, &session->expiry, end_us, on_expiry);
}

void sk_session_open(struct sk_session *session, struct sk_backend *backend,
                     const struct sk_head *head, struct sk_principal *principal, void *owner) {
    session->backend = backend;
    session->head = head;
    session->owner = owner;
    session->principal = *principal;
    *principal = (struct sk_principal){0};
    struct sk_span device = sk_span_z(session->principal.device),
                   module = sk_span_z(session->principal.module);
    struct sk_session *older = sk_directory_find(backend, device, module);
    if (older) {
        SK_INFO("gateway", "%s: a new connection takes over (400027)", older->key);
        sk_session_close(older, SK_FAULT_TAKEN_OVER);
        older->head->close(older, SK_FAULT_TAKEN_OVER);
    }
    struct sk_buffer key = {0};
    sk_buffer_print(&key, module.n ? "%s/%s" : "%s%s", session->principal.device,
                    module.n ? session->principal.module : "");
    sk_buffer_byte(&key, 0);
    session->key = key.p;
    session->open = true;
    directory_enter(session);
    session_watch_expiry(session);
    backend->ops->session_opened(backend, session);
}

bool sk_session_room(struct sk_backend *backend, const struct sk_principal *principal,
                     struct sk_error *error) {
    struct sk_span device = sk_span_z(principal->device), module = sk_span_z(principal->module);
    size_t most = backend->sessions_max;
    if (backend->quota && !sk_quota_take(backend->quota, SK_THROTTLE_CONNECTIONS, error))
        return false;
    if (most == 0 || sk_directory_counts(backend).sessions < most ||
        sk_directory_find(backend, device, module))
        return true;
    sk_error_set(error, SK_FAULT_QUOTA_EXCEEDED,
                 "the edge hub has %zu clients, as many as MaxConnectedClients lets it have", most);
    SK_SELDOM(SK_LEVEL_WARN, "gateway", "%s is turned away: MaxConnectedClients (%zu) is reached",
              principal->device, most);
    if (backend->ops->refused)
        backend->ops->refused(backend, &(struct sk_refusal){device, module, principal, error});
    return false;
}

void sk_session_model(struct sk_session *session, struct sk_span model_id) {
    struct sk_backend *backend = session->backend;
    if (session->open && model_id.n && model_id.n <= SK_MODEL_ID_MAX && backend->ops->session_model)
        backend->ops->session_model(backend, session, model_id);
}

void sk_session_close(struct sk_session *session, enum sk_fault reason) {
    if (!session->open) return;
    session->open = false;
    if (reason) session->ended = reason;
    sk_timer_stop(&session->expiry);
    directory_leave(session);
    session->backend->ops->session_closed(session->backend, session, reason);
}

void session_free(struct sk_session *session) {
    SK_ASSERT(!session->open);
    sk_timer_stop(&session->expiry);
    sk_principal_free(&session->principal);
    free(session->key);
    session->key = NULL;
}

bool sk_session_subscribe(struct sk_session *session, unsigned subscriptions) {
    if (subscriptions == session->subscriptions) return false;
    session->subscriptions = subscriptions;
    session->backend->ops->session_subscribed(session->backend, session);
    return true;
}

/* Whether the credentials of this identity opened the session. */
static bool opened_by(const struct sk_principal *who, struct sk_span device,
                      struct sk_span module) {
    if (who->policy) return false;
    if (who->actor) return sk_span_is(device, who->actor) && sk_span_is(module, SK_EDGE_HUB_MODULE);
    return sk_span_is(device, who->device) && sk_span_eq(module, sk_span_z(who->module));
}

/* Whether the session needs the identity, or stands on the device. */
static bool depends_on(const struct sk_principal *who, struct sk_span device,
                       struct sk_span module) {
    if (opened_by(who, device, module)) return true;
    if (module.n) return sk_span_is(device, who->device) && sk_span_is(module, who->module);
    for (size_t i = 0; i < who->link_count; i++)
        if (sk_span_is(device, who->links[i].device)) return true;
    return sk_span_is(device, who->device) || (who->actor && sk_span_is(device, who->actor));
}

/* The sessions leave later, when the connections are gone. */
void sk_sessions_drop(struct sk_backend *backend, struct sk_span device, struct sk_span module,
                      enum sk_fault reason) {
    struct sk_session *session;
    authentications_outdate(backend, device);
    for (size_t i = 0; (session = sk_directory_next(backend, &i)) != NULL;)
        if (depends_on(&session->principal, device, module)) session->head->close(session, reason);
}

static bool proves(const struct sk_principal *who, const uint64_t now[2]) {
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < 2; j++)
            if (now[j] && who->proofs[i] == now[j]) return true;
    return false;
}

static bool is_below(const struct sk_identity *now, const struct sk_link *above) {
    return sk_identity_is_below(now, sk_span_z(above->scope));
}

/* Whether the chain from the actor to the identity holds with a device of it as it is now. */
static bool stands(const struct sk_principal *who, const struct sk_identity *now) {
    const struct sk_link *links = who->links;
    struct sk_span device = sk_span_z(now->device_id);
    for (size_t i = 0; i < who->link_count; i++) {
        if (!sk_span_is(device, links[i].device)) continue;
        if (!now->edge || !sk_span_is(sk_span_z(now->device_scope), links[i].scope) ||
            (i && !is_below(now, &links[i - 1])))
            return false;
    }
    const struct sk_link *parent = who->link_count ? &links[who->link_count - 1] : NULL;
    return parent == NULL || !sk_span_is(device, who->device) ||
           sk_span_is(device, parent->device) || is_below(now, parent);
}

/* Why a session may not go on, or SK_FAULT_NONE. */
static enum sk_fault changed(struct sk_principal *who, const struct sk_identity *now,
                             const uint64_t proofs[2]) {
    struct sk_span device = sk_span_z(now->device_id), module = sk_span_z(now->module_id);
    if (!depends_on(who, device, module)) return SK_FAULT_NONE;
    if (opened_by(who, device, module) && !proves(who, proofs)) return SK_FAULT_UNAUTHORIZED;
    if (module.n) return SK_FAULT_NONE;
    if (now->disabled) return SK_FAULT_DEVICE_DISABLED;
    if (who->actor && sk_span_is(device, who->actor) && !now->edge) return SK_FAULT_UNAUTHORIZED;
    if (sk_span_is(device, who->device)) who->edge = now->edge;
    return stands(who, now) ? SK_FAULT_NONE : SK_FAULT_UNAUTHORIZED;
}

void sk_sessions_changed(struct sk_backend *backend, const struct sk_identity *identity) {
    uint64_t proofs[2];
    struct sk_session *session;
    authentications_outdate(backend, sk_span_z(identity->device_id));
    sk_identity_proofs(identity, proofs);
    for (size_t i = 0; (session = sk_directory_next(backend, &i)) != NULL;) {
        enum sk_fault fault = changed(&session->principal, identity, proofs);
        if (fault == SK_FAULT_NONE) continue;
        SK_INFO("gateway", "%s: closing: what it was let in by has changed", session->key);
        session->head->close(session, fault);
    }
}

/* ---- policies and CAs ---- */

void sk_grant_open(struct sk_backend *backend, struct sk_grant *grant) {
    if (backend->grants.next == NULL) sk_list_init(&backend->grants);
    sk_list_append(&backend->grants, &grant->link);
}

/* Whether the policy, as it is now, would still let in who came by it. */
static bool policy_stands(struct sk_backend *backend, const struct sk_principal *who) {
    const struct sk_policy *now = backend->ops->find_policy(backend, sk_span_z(who->policy));
    if (now == NULL || (who->rights & ~now->rights)) return false;
    return sk_hash(now->primary_key) == who->proofs[0] ||
           (now->secondary_key.n && sk_hash(now->secondary_key) == who->proofs[0]);
}

static bool stays(struct sk_backend *backend, const struct sk_principal *who) {
    if (!sk_ip_filter_accepts(backend->ip_filter, &who->ip, who->event_stream, NULL)) return false;
    if (who->policy && !policy_stands(backend, who)) return false;
    return who->anchor == 0 || sk_x509_anchors_hold(backend->device_cas, who->anchor);
}

/* Ending one may end others, so what is left to look at is a list of its own. */
static void check_grants(struct sk_backend *backend) {
    struct sk_list left;
    struct sk_error error;
    sk_list_init(&left);
    if (backend->grants.next == NULL) return;
    SK_LIST_EACH(&backend->grants, node, following) {
        sk_list_remove(node);
        sk_list_append(&left, node);
    }
    while (!sk_list_empty(&left)) {
        struct sk_grant *grant = SK_LIST_FIRST(&left, struct sk_grant, link);
        sk_list_remove(&grant->link);
        if (stays(backend, grant->who)) {
            sk_list_append(&backend->grants, &grant->link);
            continue;
        }
        sk_error_set(&error, SK_FAULT_UNAUTHORIZED, "what let this in has been taken back");
        grant->revoke(grant, &error);
    }
}

void sk_access_changed(struct sk_backend *backend) {
    struct sk_session *session;
    authentications_outdate_all(backend);
    for (size_t i = 0; (session = sk_directory_next(backend, &i)) != NULL;) {
        if (stays(backend, &session->principal)) continue;
        SK_INFO("gateway", "%s: closing: what it was let in by has been taken back", session->key);
        session->head->close(session, SK_FAULT_UNAUTHORIZED);
    }
    check_grants(backend);
}
