/* Who is it? SAS tokens against the keys of identities and policies, or client certificates.
 *
 * A token signed by a policy (skn) opens what the policy's rights allow. A token without one is
 * signed by the identity itself, or, with an auth chain "leaf;edge2;edge1", by the $edgeHub module
 * of the last device. Each device of the chain must be an edge device and the parent of the one
 * before it; the first may also be a module of the second. Every identity
 * that takes part is looked up, one after the other: it must exist and be enabled, and so must a
 * module's device. Without a token the certificate of the connection counts, if the identity is
 * one for that: by its thumbprint, or by a chain to a CA of the hub. TLS has asked for it and
 * taken any. Where records are copies, one that refuses a client is asked for anew, and all
 * begins again, once. Reference: docs/protocols/device-protocols.md, sections 1.1, 1.3;
 * docs/protocols/edge-runtime.md, sections 5.3, 5.5, 5.13. */
#include "gateway/ip_filter.h"
#include "gateway/parts.h"
#include "gateway/rights.h"

enum { LOOKUPS_MAX = SK_CHAIN_MAX + 2 };

struct lookup {
    struct sk_span device, module;
    bool signs;   /* its key must have signed the token */
    bool is_self; /* it is the identity that connects */
    bool is_actor_device;
    bool is_link; /* an edge device between the actor and the identity */
};

struct sk_authentication {
    struct sk_list link; /* in backend->authentications */
    struct sk_backend *backend;
    struct sk_arena arena;
    struct sk_credentials asked,
        credentials;         /* copied into the arena; what is taken out of a token */
    struct sk_ip ip;         /* where the client comes from */
    const char *accepted_by; /* the IP filter's rule; NULL: none */
    struct sk_sas sas;
    struct sk_span chain[SK_X509_SENT_MAX]; /* of a client without a token; in the arena */
    size_t chain_size;
    struct sk_x509_leaf leaf;
    bool maybe_encoded; /* the ids were taken from the token and hold a '%' */
    struct lookup lookups[LOOKUPS_MAX];
    size_t lookup_count, at;
    struct sk_span actor;                 /* empty: speaks for itself */
    struct sk_span between[SK_CHAIN_MAX]; /* devices of the chain, from below; without the first */
    size_t between_count;
    struct sk_identity above; /* the device of the chain that was looked up last */
    struct sk_principal principal;
    struct sk_error error;
    sk_authenticated *done; /* NULL: cancelled */
    void *arg;
    struct sk_task finish;
    bool outdated;  /* an identity has changed since it was looked up */
    bool by_record; /* what refuses is the record looked up last */
    bool anew;      /* that has been asked for anew */
};

static const char device_auth[] =
    "{\"scope\":\"device\",\"type\":\"sas\",\"issuer\":\"iothub\",\"acceptingIpFilterRule\":null}";
static const char module_auth[] =
    "{\"scope\":\"module\",\"type\":\"sas\",\"issuer\":\"iothub\",\"acceptingIpFilterRule\":null}";
static const char device_certificate[] =
    "{\"scope\":\"device\",\"type\":\"x509\",\"issuer\":\"external\","
    "\"acceptingIpFilterRule\":null}";
static const char module_certificate[] =
    "{\"scope\":\"module\",\"type\":\"x509\",\"issuer\":\"external\","
    "\"acceptingIpFilterRule\":null}";
static const char hub_auth[] =
    "{\"scope\":\"hub\",\"type\":\"sas\",\"issuer\":\"iothub\",\"acceptingIpFilterRule\":null}";

static void free_authentication(struct sk_authentication *a) {
    sk_list_remove(&a->link);
    sk_io_undefer(&a->finish);
    sk_principal_free(&a->principal);
    sk_identity_free(&a->above);
    sk_arena_free(&a->arena);
    free(a);
}

static void start(struct sk_authentication *a);

/* The rule that let it in, in place of the null at the text's end; names need no escapes. */
static void name_rule(struct sk_principal *p, const char *rule) {
    struct sk_buffer text = {0};
    if (rule == NULL || p->auth_method == NULL) return;
    struct sk_span method = sk_span_z(p->auth_method), end = SK_SPAN("null}");
    SK_ASSERT(sk_span_ends(method, end));
    sk_buffer_print(&text, "%.*s\"%s\"}", (int)(method.n - end.n), method.p, rule);
    p->auth_method = p->auth_text = sk_span_dup(sk_buffer_span(&text));
    sk_buffer_free(&text);
}

static void name_principal(struct sk_authentication *a) {
    if (a->credentials.device.n) a->principal.device = sk_span_dup(a->credentials.device);
    if (a->credentials.module.n) a->principal.module = sk_span_dup(a->credentials.module);
    if (a->actor.n) a->principal.actor = sk_span_dup(a->actor);
    a->principal.ip = a->ip;
    a->principal.protocol = a->asked.protocol;
    a->principal.event_stream = a->credentials.event_stream;
    name_rule(&a->principal, a->accepted_by);
}

static void on_identity_anew(void *arg, enum sk_status status, const struct sk_identity *identity) {
    struct sk_authentication *a = arg;
    (void)status;
    (void)identity;
    if (a->done)
        start(a);
    else
        free_authentication(a);
}

static bool ask_anew(struct sk_authentication *a) {
    if (a->anew || !a->by_record || a->backend->ops->find_identity_anew == NULL) return false;
    const struct lookup *l = &a->lookups[a->at - 1];
    a->anew = true;
    a->backend->ops->find_identity_anew(a->backend, l->device, l->module, on_identity_anew, a);
    return true;
}

static void finish(struct sk_task *task) {
    struct sk_authentication *a = SK_CONTAINER(task, struct sk_authentication, finish);
    if (a->outdated && a->done) {
        start(a);
        return;
    }
    if (a->done && ask_anew(a)) return;
    if (a->done) name_principal(a);
    if (a->done && a->error.fault && a->backend->ops->refused)
        a->backend->ops->refused(a->backend,
                                 &(struct sk_refusal){a->credentials.device, a->credentials.module,
                                                      &a->principal, &a->error});
    if (a->done) a->done(a->arg, a->error.fault ? &a->error : NULL, &a->principal);
    free_authentication(a);
}

static void conclude(struct sk_authentication *a) {
    sk_io_defer(a->backend->io, &a->finish, finish);
}

static void refuse(struct sk_authentication *a, enum sk_fault fault, const char *text) {
    sk_error_set(&a->error, fault, text ? "%s" : NULL, text);
    conclude(a);
}

void sk_authentication_cancel(struct sk_authentication *a) {
    a->done = NULL; /* the look-up that runs, or the deferred end, frees it */
}

static void add_lookup(struct sk_authentication *a, struct sk_span device, struct sk_span module,
                       bool signs, bool is_self) {
    a->lookups[a->lookup_count++] =
        (struct lookup){.device = device, .module = module, .signs = signs, .is_self = is_self};
}

static int64_t now_s(const struct sk_authentication *a) {
    return sk_io_wall(a->backend->io) / 1000000;
}

/* What a token's signature and end came to; says what is wrong with it. */
static bool is_valid(struct sk_authentication *a, enum sk_status verified) {
    switch (verified) {
    case SK_OK: return true;
    case SK_TIMEOUT:
        refuse(a, SK_FAULT_UNAUTHORIZED, "the token has expired: renew it and connect again");
        return false;
    default:
        refuse(
            a, SK_FAULT_UNAUTHORIZED,
            "the token's signature is wrong: it matches neither the primary nor the secondary key");
        return false;
    }
}

/* ---- certificates ---- */

static bool has_thumbprint(const struct sk_x509_leaf *leaf, const char *wanted) {
    return wanted && (strcmp(wanted, leaf->sha1) == 0 || strcmp(wanted, leaf->sha256) == 0);
}

/* The words of the real service, which people search for (docs/protocols/device-protocols.md,
 * section 1.3). */
static bool check_thumbprint(struct sk_authentication *a, const struct sk_identity *identity) {
    const char *primary = identity->primary_thumbprint, *secondary = identity->secondary_thumbprint;
    if (has_thumbprint(&a->leaf, primary) || has_thumbprint(&a->leaf, secondary)) return true;
    sk_error_set(&a->error, SK_FAULT_UNAUTHORIZED,
                 "Thumbprint does not match configuration: Thumbprint: SHA1Hash=%s, SHA2Hash=%s; "
                 "Configuration: PrimaryThumbprint=%s, SecondaryThumbprint=%s",
                 a->leaf.sha1, a->leaf.sha256, primary ? primary : "", secondary ? secondary : "");
    conclude(a);
    return false;
}

static bool check_chain(struct sk_authentication *a, const struct lookup *l) {
    char reason[128] = "no CA certificate is registered here";
    struct sk_span name = l->device;
    if (l->module.n)
        name = sk_arena_print(&a->arena, "%.*s/%.*s", SK_ARG(l->device), SK_ARG(l->module));
    if (!sk_span_is(name, a->leaf.common_name)) {
        sk_error_set(&a->error, SK_FAULT_UNAUTHORIZED,
                     "the certificate's common name is '%.128s', not the identity's",
                     a->leaf.common_name);
        conclude(a);
        return false;
    }
    if (a->backend->device_cas && sk_x509_verify(a->backend->device_cas, a->chain, a->chain_size,
                                                 now_s(a), &a->principal.anchor, reason) == SK_OK)
        return true;
    sk_error_set(&a->error, SK_FAULT_UNAUTHORIZED,
                 "Authentication failed for this device, renew token or certificate and reconnect: "
                 "%s",
                 reason);
    conclude(a);
    return false;
}

static bool check_certificate(struct sk_authentication *a, const struct lookup *l,
                              const struct sk_identity *identity) {
    int64_t now = now_s(a);
    if (identity->auth != SK_AUTH_SELF_SIGNED && identity->auth != SK_AUTH_CA)
        refuse(a, SK_FAULT_UNAUTHORIZED,
               "credentials are missing: this identity needs a shared access signature");
    else if (now < a->leaf.not_before_s)
        refuse(a, SK_FAULT_UNAUTHORIZED, "the client certificate is not valid yet");
    else if (now > a->leaf.not_after_s)
        refuse(a, SK_FAULT_UNAUTHORIZED,
               "the client certificate has expired: renew it and connect again");
    else
        return identity->auth == SK_AUTH_CA ? check_chain(a, l) : check_thumbprint(a, identity);
    return false;
}

static bool check_token(struct sk_authentication *a, const struct sk_identity *identity) {
    if (identity->auth == SK_AUTH_SAS)
        return is_valid(a, sk_sas_verify(&a->sas, sk_span_z(identity->primary_key),
                                         sk_span_z(identity->secondary_key), now_s(a)));
    refuse(a, SK_FAULT_UNAUTHORIZED, "this identity does not use shared access signatures");
    return false;
}

static void add_link(struct sk_authentication *a, const struct sk_identity *device) {
    struct sk_principal *p = &a->principal;
    p->links = sk_realloc(p->links, (p->link_count + 1) * sizeof *p->links);
    p->links[p->link_count++] =
        (struct sk_link){.device = sk_span_dup(sk_span_z(device->device_id)),
                         .scope = sk_span_dup(sk_span_z(device->device_scope))};
    sk_identity_free(&a->above);
    a->above = sk_identity_copy(device);
}

/* Who speaks for others is the edge hub of an edge device; whatever module of that name another
 * device may have is nobody. Each edge device below it must be a child of the one above. */
static bool take_link(struct sk_authentication *a, const struct lookup *l,
                      const struct sk_identity *device) {
    if (!device->edge)
        refuse(a, SK_FAULT_UNAUTHORIZED,
               "the device that speaks for this identity is not an edge device");
    else if (l->is_link && !sk_identity_is_child(device, &a->above))
        refuse(a, SK_FAULT_UNAUTHORIZED,
               "a device of the auth-chain is not a child of the next one");
    else
        add_link(a, device);
    return a->error.fault == SK_FAULT_NONE;
}

/* Of the actor's own device nothing lies between. */
static void forget_links(struct sk_principal *p) {
    for (size_t i = 0; i < p->link_count; i++) {
        free(p->links[i].device);
        free(p->links[i].scope);
    }
    p->link_count = 0;
}

/* A device that connects, or that a module which connects is on, and what it is to who speaks
 * for it. */
static bool check_target(struct sk_authentication *a, const struct lookup *l,
                         const struct sk_identity *identity) {
    if (l->module.n || !sk_span_eq(l->device, a->credentials.device)) return true;
    a->principal.edge = identity->edge;
    if (a->actor.n == 0) return true;
    bool at_home = sk_span_is(l->device, a->above.device_id);
    if (at_home && a->principal.link_count == 1) {
        a->principal.to_actor =
            sk_target_at_home(SK_SPAN(SK_EDGE_HUB_MODULE), a->credentials.module);
        forget_links(&a->principal);
    } else if (at_home || sk_identity_is_child(identity, &a->above))
        a->principal.to_actor = SK_ON_CHILD;
    else
        refuse(a, SK_FAULT_UNAUTHORIZED,
               "the device is not a child of the edge device that speaks for it");
    return a->principal.to_actor != 0;
}

static void next_lookup(struct sk_authentication *a);
static void look_up(struct sk_authentication *a);

/* Some clients encode an id once more than others: "pct%41x" may be an id, or another's in
 * disguise. As it stands it is tried first. */
static void decode_claim(struct sk_authentication *a) {
    a->maybe_encoded = false;
    a->credentials.device = sk_percent_decoded(&a->arena, a->credentials.device);
    a->credentials.module = sk_percent_decoded(&a->arena, a->credentials.module);
}

static void on_identity(void *arg, enum sk_status status, const struct sk_identity *identity) {
    struct sk_authentication *a = arg;
    const struct lookup *l = &a->lookups[a->at++];
    if (a->done == NULL) {
        conclude(a);
        return;
    }
    if (status && status != SK_NOT_FOUND) {
        refuse(a, SK_FAULT_UNAVAILABLE, NULL);
        return;
    }
    if (identity == NULL && a->maybe_encoded) {
        a->lookup_count = a->at = 0;
        decode_claim(a);
        look_up(a);
        return;
    }
    if (identity == NULL) {
        sk_error_set(&a->error, l->module.n ? SK_FAULT_MODULE_NOT_FOUND : SK_FAULT_DEVICE_NOT_FOUND,
                     "device %.*s%s%.*s is not registered", SK_ARG(l->device),
                     l->module.n ? ", module " : "", SK_ARG(l->module));
        conclude(a);
        return;
    }
    a->by_record = true;
    if (identity->disabled) {
        refuse(a, SK_FAULT_DEVICE_DISABLED, NULL);
        return;
    }
    if (l->signs && !(a->chain_size ? check_certificate(a, l, identity) : check_token(a, identity)))
        return;
    if (l->signs) sk_identity_proofs(identity, a->principal.proofs);
    if (l->is_actor_device || l->is_link ? !take_link(a, l, identity)
                                         : !check_target(a, l, identity))
        return;
    if (l->is_self) a->principal.generation_id = sk_span_dup(sk_span_z(identity->generation_id));
    next_lookup(a);
}

static void next_lookup(struct sk_authentication *a) {
    a->by_record = false;
    if (a->at == a->lookup_count) {
        conclude(a);
        return;
    }
    a->backend->ops->find_identity(a->backend, a->lookups[a->at].device, a->lookups[a->at].module,
                                   on_identity, a);
}

/* "host/devices/d[/modules/m]" of an identity. */
static struct sk_span identity_resource(struct sk_authentication *a, struct sk_span host,
                                        struct sk_span device, struct sk_span module) {
    if (module.n)
        return sk_arena_print(&a->arena, "%.*s/devices/%.*s/modules/%.*s", SK_ARG(host),
                              SK_ARG(device), SK_ARG(module));
    return sk_arena_print(&a->arena, "%.*s/devices/%.*s", SK_ARG(host), SK_ARG(device));
}

/* Whether the token's scope covers an identity under any of the hub's names. */
static bool covers_identity(struct sk_authentication *a, struct sk_span device,
                            struct sk_span module) {
    if (sk_sas_covers(a->sas.resource, identity_resource(a, a->backend->host_name, device, module)))
        return true;
    for (size_t i = 0; i < a->backend->alias_count; i++)
        if (sk_sas_covers(a->sas.resource,
                          identity_resource(a, a->backend->aliases[i], device, module)))
            return true;
    return false;
}

/* Whether a policy's token covers what is asked, under any of the hub's names. */
static bool covers_path(struct sk_authentication *a) {
    struct sk_span path =
        sk_span_skip(a->credentials.resource, sk_span_find(a->credentials.resource, '/'));
    for (size_t i = 0; i <= a->backend->alias_count; i++) {
        struct sk_span host = i ? a->backend->aliases[i - 1] : a->backend->host_name;
        if (sk_sas_covers(a->sas.resource,
                          sk_arena_print(&a->arena, "%.*s%.*s", SK_ARG(host), SK_ARG(path))))
            return true;
    }
    return false;
}

/* As sk_sas_verify() says it of one key; at the event stream the text of the key counts, too. */
static enum sk_status verify_by(const struct sk_authentication *a, struct sk_span key) {
    enum sk_status status = sk_sas_verify(&a->sas, key, SK_NONE, now_s(a));
    if (status == SK_UNAUTHORIZED && a->credentials.event_stream)
        status = sk_sas_verify_text(&a->sas, key, SK_NONE, now_s(a));
    return status;
}

static void by_policy(struct sk_authentication *a) {
    const struct sk_credentials *c = &a->credentials;
    const struct sk_policy *policy = a->backend->ops->find_policy(a->backend, a->sas.policy);
    if (policy == NULL) {
        refuse(a, SK_FAULT_UNAUTHORIZED, "there is no shared access policy of that name");
        return;
    }
    struct sk_span key = policy->primary_key;
    enum sk_status status = verify_by(a, key);
    if (status == SK_UNAUTHORIZED) status = verify_by(a, key = policy->secondary_key);
    if (!is_valid(a, status)) return;
    bool covered = c->resource.n ? covers_path(a) : covers_identity(a, c->device, c->module);
    if (!covered || (c->device.n && !(policy->rights & SK_RIGHT_DEVICE_CONNECT))) {
        refuse(a, SK_FAULT_UNAUTHORIZED_ACCESS, "the token's scope or policy does not cover this");
        return;
    }
    a->principal.policy = sk_span_dup(policy->name);
    a->principal.proofs[0] = sk_hash(key);
    a->principal.rights = policy->rights;
    a->principal.auth_method = hub_auth;
    if (c->device.n) { /* a token service: the device must still exist and be enabled */
        add_lookup(a, c->device, SK_NONE, false, c->module.n == 0);
        if (c->module.n) add_lookup(a, c->device, c->module, false, true);
    }
    next_lookup(a);
}

/* Takes device and module out of the token's own scope: HTTPS clients claim nothing else. */
static bool claim_from_scope(struct sk_authentication *a) {
    struct sk_span rest = a->sas.resource, part;
    struct sk_credentials *c = &a->credentials;
    if (!sk_span_split(&rest, '/', &part) || !sk_span_split(&rest, '/', &part) ||
        !sk_span_eq_nocase(part, SK_SPAN("devices")) || !sk_span_split(&rest, '/', &part) ||
        part.n == 0)
        return false;
    c->device = part;
    if (sk_span_split(&rest, '/', &part)) {
        if (!sk_span_eq_nocase(part, SK_SPAN("modules")) || !sk_span_split(&rest, '/', &part) ||
            part.n == 0)
            return false;
        c->module = part;
    }
    a->maybe_encoded =
        sk_span_find(c->device, '%') < c->device.n || sk_span_find(c->module, '%') < c->module.n;
    if (c->device.n > SK_ID_MAX || c->module.n > SK_ID_MAX) decode_claim(a);
    return c->device.n <= SK_ID_MAX && c->module.n <= SK_ID_MAX;
}

/* The ids of "leaf;edge2;edge1" behind the first, of which the last is the actor. SK_INVALID: the
 * chain is not for this identity, or longer than chains may be. */
static enum sk_status read_chain(struct sk_authentication *a) {
    struct sk_span rest = a->credentials.auth_chain, part, first;
    a->between_count = 0;
    if (rest.n == 0) return SK_OK;
    if (!sk_span_split(&rest, ';', &first)) return SK_INVALID;
    while (sk_span_split(&rest, ';', &part)) {
        if (part.n == 0 || a->between_count == SK_CHAIN_MAX - 1) return SK_INVALID;
        a->between[a->between_count++] = part;
    }
    struct sk_span device = sk_span_first(first, sk_span_find(first, '/'));
    if (!sk_span_eq(device, a->credentials.device)) return SK_INVALID;
    if (a->between_count) a->actor = a->between[a->between_count - 1];
    return SK_OK;
}

static void look_up(struct sk_authentication *a) {
    const struct sk_credentials *c = &a->credentials;
    if (read_chain(a)) {
        refuse(a, SK_FAULT_UNAUTHORIZED,
               "the auth-chain does not begin with this identity, or has more than 8 ids");
        return;
    }
    struct sk_span edge_hub = SK_SPAN(SK_EDGE_HUB_MODULE);
    if (!covers_identity(a, a->actor.n ? a->actor : c->device, a->actor.n ? edge_hub : c->module)) {
        refuse(a, SK_FAULT_UNAUTHORIZED, "the token is for another hub or identity");
        return;
    }
    if (a->actor.n) {
        add_lookup(a, a->actor, edge_hub, true, false);
        add_lookup(a, a->actor, SK_NONE, false, false);
        a->lookups[1].is_actor_device = true;
        for (size_t i = a->between_count - 1; i-- > 0;) {
            add_lookup(a, a->between[i], SK_NONE, false, false);
            a->lookups[a->lookup_count - 1].is_link = true;
        }
        add_lookup(a, c->device, SK_NONE, false, c->module.n == 0);
        if (c->module.n) add_lookup(a, c->device, c->module, false, true);
    } else {
        add_lookup(a, c->device, c->module, true, true);
        if (c->module.n) add_lookup(a, c->device, SK_NONE, false, false);
    }
    a->principal.auth_method = c->module.n ? module_auth : device_auth;
    next_lookup(a);
}

static void by_identity(struct sk_authentication *a) {
    if (a->credentials.device.n == 0 && !claim_from_scope(a))
        refuse(a, SK_FAULT_UNAUTHORIZED, "the token names neither a policy nor a device");
    else
        look_up(a);
}

static void by_certificate(struct sk_authentication *a) {
    const struct sk_credentials *c = &a->credentials;
    if (read_chain(a) || a->actor.n) {
        refuse(a, SK_FAULT_UNAUTHORIZED,
               "who speaks for another identity needs a shared access signature");
        return;
    }
    if (c->module.n && a->backend->modules_by_key) {
        refuse(a, SK_FAULT_UNAUTHORIZED, "modules need a shared access signature here");
        return;
    }
    if (sk_x509_read(a->chain[0], &a->leaf)) {
        refuse(a, SK_FAULT_UNAUTHORIZED, "the client certificate is malformed");
        return;
    }
    /* Sessions outlive a token by the skew that clocks may have; a certificate they do not. */
    a->principal.expires_s = a->leaf.not_after_s - SK_SAS_SKEW_S;
    a->principal.auth_method = c->module.n ? module_certificate : device_certificate;
    add_lookup(a, c->device, c->module, true, true);
    if (c->module.n) add_lookup(a, c->device, SK_NONE, false, false);
    next_lookup(a);
}

static void by_token(struct sk_authentication *a, struct sk_span token) {
    if (sk_sas_parse(token, &a->arena, &a->sas)) {
        refuse(a, SK_FAULT_UNAUTHORIZED, "the token is not a well-formed shared access signature");
        return;
    }
    a->principal.expires_s = a->sas.expiry_s;
    if (a->sas.policy.p)
        by_policy(a);
    else
        by_identity(a);
}

static void take_chain(struct sk_authentication *a, struct sk_stream *stream) {
    struct sk_span der;
    while (a->chain_size < SK_X509_SENT_MAX &&
           (der = sk_stream_peer_certificate(stream, a->chain_size)).n > 0)
        a->chain[a->chain_size++] = sk_arena_copy(&a->arena, der);
}

/* From the beginning, with nothing known but what the client said. */
static void start(struct sk_authentication *a) {
    sk_principal_free(&a->principal);
    sk_identity_free(&a->above);
    a->principal = (struct sk_principal){0};
    a->above = (struct sk_identity){0};
    a->credentials = a->asked;
    a->actor = SK_NONE;
    a->between_count = 0;
    a->error = (struct sk_error){0};
    a->lookup_count = a->at = 0;
    a->outdated = a->maybe_encoded = a->by_record = false;
    if (!sk_ip_filter_accepts(a->backend->ip_filter, &a->ip, a->asked.event_stream,
                              &a->accepted_by))
        refuse(a, SK_FAULT_UNAUTHORIZED, "this address may not connect to the hub");
    else if (a->asked.token.n)
        by_token(a, a->asked.token);
    else if (a->chain_size && a->asked.device.n)
        by_certificate(a);
    else
        refuse(a, SK_FAULT_UNAUTHORIZED,
               "credentials are missing: send a shared access signature, or connect with the "
               "identity's certificate");
}

struct sk_authentication *sk_authenticate(struct sk_backend *backend,
                                          const struct sk_credentials *credentials,
                                          sk_authenticated *done, void *arg) {
    struct sk_authentication *a = SK_NEW(struct sk_authentication);
    if (backend->authentications.next == NULL) sk_list_init(&backend->authentications);
    sk_list_append(&backend->authentications, &a->link);
    a->backend = backend;
    a->done = done;
    a->arg = arg;
    a->asked = (struct sk_credentials){
        .device = sk_arena_copy(&a->arena, credentials->device),
        .module = sk_arena_copy(&a->arena, credentials->module),
        .token = sk_arena_copy(&a->arena, credentials->token),
        .auth_chain = sk_arena_copy(&a->arena, credentials->auth_chain),
        .resource = sk_arena_copy(&a->arena, credentials->resource),
        .event_stream = credentials->event_stream,
        .protocol = credentials->protocol,
    };
    if (credentials->stream) a->ip = sk_ip_of_peer(sk_stream_peer(credentials->stream));
    if (a->asked.token.n == 0 && credentials->stream) take_chain(a, credentials->stream);
    start(a);
    return a;
}

void authentications_outdate(struct sk_backend *backend, struct sk_span device) {
    if (backend->authentications.next == NULL) return;
    SK_LIST_EACH(&backend->authentications, node, following) {
        struct sk_authentication *a = SK_CONTAINER(node, struct sk_authentication, link);
        bool concerned = sk_span_eq(a->credentials.device, device);
        for (size_t i = 0; i < a->between_count; i++)
            concerned = concerned || sk_span_eq(a->between[i], device);
        if (concerned) a->outdated = true;
    }
}

void authentications_outdate_all(struct sk_backend *backend) {
    if (backend->authentications.next == NULL) return;
    SK_LIST_EACH(&backend->authentications, node, following)
    SK_CONTAINER(node, struct sk_authentication, link)->outdated = true;
}
