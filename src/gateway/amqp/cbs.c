/* What a connection has proved: SASL and claims-based security (put-token), and what its links may
 * do with it. Reference: docs/protocols/device-protocols.md, section 1.5;
 * docs/protocols/service-api.md, section 6.
 *
 * A token is checked when it comes, and once more for each identity that attaches a link with it:
 * then the identity itself is looked up, as for every other protocol. */
#include "gateway/amqp/head.h"

/* ---- tokens ---- */

/* "host" and "devices/d" of a decoded scope "[amqps://]host[:port][/devices/d]". */
static void split_scope(struct sk_span scope, struct sk_span *host, struct sk_span *path) {
    size_t colon = sk_span_find(scope, ':');
    if (sk_span_starts(sk_span_skip(scope, colon), SK_SPAN("://")))
        scope = sk_span_skip(scope, colon + 3);
    size_t slash = sk_span_find(scope, '/');
    *host = sk_span_first(scope, slash);
    *host = sk_span_first(*host, sk_span_find(*host, ':'));
    *path = sk_span_skip(scope, slash + 1);
    if (path->n && path->p[path->n - 1] == '/') path->n--;
}

/* Ids may have been encoded twice, in letters of either case: compare them fully decoded. What
 * is not an identity has no case (Python asks for "consumergroups"). The token itself is still
 * checked to the letter. */
static struct sk_span path_key(struct sk_arena *arena, struct sk_span path) {
    struct sk_span decoded = sk_percent_decoded(arena, path), before = path;
    for (; decoded.n < before.n; decoded = sk_percent_decoded(arena, decoded)) before = decoded;
    if (sk_span_starts_nocase(decoded, SK_SPAN("devices/"))) return decoded;
    char *lower = sk_arena_alloc(arena, decoded.n + 1);
    for (size_t i = 0; i < decoded.n; i++) {
        char c = decoded.p[i];
        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return sk_span(lower, decoded.n);
}

static void on_token_expiry(struct sk_timer *timer) {
    struct sk_amqp_token *token = SK_CONTAINER(timer, struct sk_amqp_token, expiry);
    struct sk_amqp_head *head = token->head;
    if (sk_io_wall(timer->io) < token->end_us) {
        sk_timer_start_at(timer->io, timer, token->end_us, on_token_expiry);
        return;
    }
    struct sk_error error; /* the sessions of devices watch their own expiry */
    sk_error_set(&error, SK_FAULT_UNAUTHORIZED, "the token has expired: put a new one");
    if (token->sasl) {
        sk_amqp_head_fail(head, &error);
        return;
    }
    SK_LIST_EACH(&head->ends, node, following) {
        struct sk_amqp_end *end = SK_CONTAINER(node, struct sk_amqp_end, link);
        if (end->token_path == token->path) sk_amqp_end_refuse(end, &error);
    }
    sk_map_remove(&head->tokens, sk_span_z(token->path));
    sk_amqp_token_free(token);
}

/* Links that live on an older token of the same scope live on with the new one. */
static void keep_token(struct sk_amqp_head *head, struct sk_span path, struct sk_span text,
                       int64_t expires_s, bool sasl) {
    struct sk_amqp_token *token = sk_map_get(&head->tokens, path);
    if (token == NULL) {
        token = SK_NEW(struct sk_amqp_token);
        token->head = head;
        token->path = sk_span_dup(path);
        sk_map_put(&head->tokens, sk_span_z(token->path), token);
    }
    free(token->text);
    token->text = sk_span_dup(text);
    token->sasl |= sasl;
    sk_amqp_head_proved(head);
    token->end_us = sk_sas_end_us(expires_s);
    sk_timer_start_at(head->connection.gateway->io, &token->expiry, token->end_us, on_token_expiry);
    struct sk_amqp_client *client;
    for (size_t i = 0; (client = sk_map_next(&head->clients, &i, NULL)) != NULL;) {
        if (client->token_path != token->path || !client->session.open) continue;
        client->session.principal.expires_s = expires_s;
        session_watch_expiry(&client->session);
    }
}

/* ---- checking a token that comes ---- */

struct putting {
    struct sk_amqp_head *head;
    struct sk_amqp_incoming *incoming; /* the request; NULL: SASL PLAIN, or: */
    struct sk_amqp_end *end;           /* it came with a question over this link */
    struct sk_cost cost;
    char *token, *path, *reply_to;
    struct sk_amqp_value id;
    char *id_text;
};

static void free_putting(struct putting *p) {
    free(p->token);
    free(p->path);
    free(p->reply_to);
    free(p->id_text);
    free(p);
}

static void answer(struct putting *p, int code, const char *text) {
    struct sk_amqp_end *end =
        sk_amqp_reply_end(p->head, &sk_amqp_cbs_out, p->reply_to ? p->reply_to : "");
    struct sk_amqp_field fields[] = {
        {SK_SPAN("status-code"), SK_AMQP_VALUE_INT(code)},
        {SK_SPAN("status-description"), SK_AMQP_VALUE_STRING(sk_span_z(text))}};
    struct sk_amqp_message message = {
        .correlation_id = p->id, .application = fields, .application_count = 2};
    struct sk_amqp_incoming *incoming = p->incoming;
    if (end == NULL) return;
    p->incoming = NULL;
    sk_amqp_end_answer(end, &message, incoming);
}

static void refused(struct sk_amqp_end *end, const struct sk_error *error) {
    if (end->open)
        end->role->authorised(end, error);
    else
        sk_amqp_end_refuse(end, error);
}

static void conclude_question(struct sk_amqp_end *end, const struct sk_error *error) {
    if (end->amqp && error)
        refused(end, error);
    else if (end->amqp)
        sk_amqp_authorise(end);
    sk_amqp_end_release(end);
}

static void conclude(struct putting *p, const struct sk_error *error) {
    struct sk_amqp_head *head = p->head;
    if (p->end) {
        conclude_question(p->end, error);
    } else if (head->stream && p->incoming == NULL) {
        sk_amqp_sasl_done(head->amqp, error ? SK_AMQP_SASL_REFUSED : SK_AMQP_SASL_OK);
        if (error) head->connection.gateway->counts.refused_total++;
        sk_amqp_head_flush(head);
    } else if (head->stream && error) {
        head->connection.gateway->counts.refused_total++;
        answer(p, sk_fault_kind(error->fault)->http_status, sk_error_text(error));
    } else if (head->stream) {
        answer(p, 200, "OK");
    }
    if (p->incoming) sk_amqp_incoming_settle(p->incoming);
    sk_amqp_head_give(head, p->cost);
    free_putting(p);
    sk_amqp_head_release(head);
}

static void on_token_checked(void *arg, const struct sk_error *error,
                             struct sk_principal *principal) {
    struct putting *p = arg;
    struct sk_amqp_head *head = p->head;
    if (!error && head->stream)
        keep_token(head, sk_span_z(p->path), sk_span_z(p->token), principal->expires_s,
                   p->incoming == NULL && p->end == NULL);
    conclude(p, error);
}

static void refuse_token(struct putting *p, enum sk_fault fault, const char *why) {
    struct sk_error error;
    sk_error_set(&error, fault, "%s", why);
    conclude(p, &error);
}

static void check_token(struct putting *p) {
    struct sk_amqp_head *head = p->head;
    struct sk_arena *scratch = &head->connection.gateway->scratch;
    struct sk_sas sas;
    struct sk_span host, path;
    head->pending++;
    p->cost = sk_amqp_head_take(head, SK_OP_IDENTITY_GET); /* which is what it comes to */
    if (sk_sas_parse(sk_span_z(p->token), scratch, &sas)) {
        refuse_token(p, SK_FAULT_UNAUTHORIZED,
                     "the token is not a well-formed shared access signature");
        return;
    }
    split_scope(sas.resource, &host, &path);
    if (head->backend == NULL) head->backend = sk_gateway_find(head->connection.gateway, host);
    if (head->backend == NULL) {
        refuse_token(p, SK_FAULT_HUB_NOT_FOUND, "no hub of that name is served here");
        return;
    }
    p->path = sk_span_dup(path_key(scratch, path));
    if (head->tokens.count >= SK_AMQP_HEAD_TOKENS_MAX &&
        sk_map_get(&head->tokens, sk_span_z(p->path)) == NULL) {
        refuse_token(p, SK_FAULT_QUOTA_EXCEEDED, "this connection has too many tokens (403005)");
        return;
    }
    bool events = !sk_span_starts_nocase(path, SK_SPAN("devices/")) &&
                  !sk_span_eq_nocase(path, SK_SPAN("devices"));
    sk_authenticate(head->backend,
                    &(struct sk_credentials){.token = sk_span_z(p->token),
                                             .stream = head->stream,
                                             .protocol = "Amqp",
                                             .resource = sk_arena_print(scratch, "%.*s/%.*s",
                                                                        SK_ARG(host), SK_ARG(path)),
                                             .event_stream = events},
                    on_token_checked, p);
}

void sk_amqp_prove(struct sk_amqp_end *end, struct sk_span token) {
    struct putting *p = SK_NEW(struct putting);
    p->head = end->head;
    p->end = end;
    p->token = sk_span_dup(token);
    end->pending++;
    check_token(p);
}

/* ---- $cbs ---- */

static void cbs_opened(struct sk_amqp_end *end) {
    sk_amqp_attach(end->amqp, SK_AMQP_HEAD_CREDIT);
}

static void put_token(struct sk_amqp_end *end, struct sk_amqp_delivery *delivery,
                      struct sk_span payload) {
    struct sk_amqp_head *head = end->head;
    struct sk_arena *scratch = &head->connection.gateway->scratch;
    struct sk_amqp_message m;
    if (sk_amqp_decode(payload, scratch, &m)) {
        sk_amqp_reject(end, delivery, SK_FAULT_ARGUMENT_INVALID, "not an AMQP message");
        return;
    }
    const struct sk_amqp_value *operation =
        sk_amqp_find(m.application, m.application_count, "operation");
    struct sk_span token = sk_amqp_text(&m.value, scratch);
    struct putting *p = SK_NEW(struct putting);
    p->head = head;
    p->incoming = sk_amqp_incoming_new(end, delivery); /* accepted: the verdict is in the answer */
    p->id = m.message_id;
    if (m.message_id.type >= SK_AMQP_STRING && m.message_id.type <= SK_AMQP_UUID) {
        p->id_text = sk_span_dup(m.message_id.text);
        p->id.text = sk_span(p->id_text, m.message_id.text.n);
    }
    p->reply_to = sk_span_dup(m.reply_to);
    p->token = sk_span_dup(token);
    /* Its "type" does not matter: clients call the same signature sastoken, jwt, or nothing. */
    if (operation == NULL ||
        !sk_span_eq_nocase(sk_amqp_text(operation, scratch), SK_SPAN("put-token")) ||
        token.n == 0) {
        head->pending++;
        refuse_token(p, SK_FAULT_ARGUMENT_INVALID,
                     "put-token with a SAS token as an amqp-value string is what $cbs takes");
        return;
    }
    check_token(p);
}

const struct sk_amqp_role sk_amqp_cbs_in = {
    .kind = SK_ADDRESS_CBS, .sends = false, .opened = cbs_opened, .transfer = put_token};
const struct sk_amqp_role sk_amqp_cbs_out = {
    .kind = SK_ADDRESS_CBS, .sends = true, .opened = cbs_opened};

/* ---- SASL ----
 *
 * PLAIN comes in two kinds: IoT Hub's, an identity or policy with a token as its password, and
 * Event Hubs', the name of a policy with the key itself. */

/* "d@sas.hub", "d/modules/m@sas.hub", "d@hub", "policy@sas.root.hub": the hub by the first label of
 * its host name. */
static struct sk_backend *hub_by_label(struct sk_gateway *gateway, struct sk_span label) {
    for (size_t i = 0; i < gateway->backend_count; i++) {
        struct sk_backend *b = gateway->backends[i];
        if (b->any_host) return b;
        for (size_t j = 0; j <= b->alias_count; j++) {
            struct sk_span name = j ? b->aliases[j - 1] : b->host_name;
            if (sk_span_eq_nocase(label, name) ||
                sk_span_eq_nocase(label, sk_span_first(name, sk_span_find(name, '.'))))
                return b;
        }
    }
    return NULL;
}

/* The hub that "user@hub" means; without one, what was dialled, or the only hub that there is. */
static struct sk_backend *hub_of_user(struct sk_gateway *gateway, struct sk_span *user,
                                      struct sk_span host) {
    size_t at = sk_span_find(*user, '@');
    for (size_t i = at + 1; i < user->n; i++) /* ids may hold one: the last counts */
        if (user->p[i] == '@') at = i;
    struct sk_span hub = sk_span_skip(*user, at + 1);
    *user = sk_span_first(*user, at);
    if (sk_span_starts_nocase(hub, SK_SPAN("sas."))) hub = sk_span_skip(hub, 4);
    if (sk_span_starts_nocase(hub, SK_SPAN("root."))) hub = sk_span_skip(hub, 5);
    if (hub.n) return hub_by_label(gateway, hub);
    struct sk_backend *dialled =
        sk_gateway_find(gateway, sk_span_first(host, sk_span_find(host, ':')));
    if (dialled == NULL && gateway->backend_count == 1) dialled = gateway->backends[0];
    return dialled;
}

/* The token that somebody who knows a policy's key could have made; empty: it is no key. */
static char *token_of_key(struct sk_amqp_head *head, struct sk_span policy, struct sk_span key) {
    enum { LIFE_S = 10 * 365 * 86400 }; /* the connection's: Event Hubs does not end it either */
    struct sk_buffer token = {0};
    char *text = NULL;
    int64_t now_s = sk_io_wall(head->connection.gateway->io) / 1000000;
    if (head->backend && policy.n && key.n &&
        sk_sas_create(&token, head->backend->host_name, key, policy, now_s + LIFE_S) == SK_OK)
        text = sk_span_dup(sk_buffer_span(&token));
    sk_buffer_free(&token);
    return text ? text : sk_span_dup(SK_NONE);
}

static void sasl_plain(struct sk_amqp_head *head, struct sk_span response, struct sk_span host) {
    struct sk_span rest = response, user, password;
    bool fine = sk_span_split(&rest, 0, &user) && sk_span_split(&rest, 0, &user) &&
                sk_span_split(&rest, 0, &password);
    struct putting *p = SK_NEW(struct putting);
    p->head = head;
    if (fine && head->backend == NULL)
        head->backend = hub_of_user(head->connection.gateway, &user, host);
    if (!fine)
        p->token = sk_span_dup(SK_NONE);
    else if (sk_span_starts(password, SK_SPAN("SharedAccessSignature")))
        p->token = sk_span_dup(password);
    else
        p->token = token_of_key(head, user, password);
    check_token(p);
}

void sk_amqp_on_sasl(struct sk_amqp_head *head, struct sk_span mechanism, struct sk_span response,
                     struct sk_span host) {
    sk_arena_reset(&head->connection.gateway->scratch);
    if (sk_span_is(mechanism, "PLAIN")) {
        sasl_plain(head, response, host);
        return;
    }
    /* ANONYMOUS, MSSBCBS: tokens follow; EXTERNAL: the certificate is looked at when a link
     * comes. */
    sk_amqp_sasl_done(head->amqp, SK_AMQP_SASL_OK);
}

/* ---- what links may do ---- */

static const struct sk_amqp_token *token_for(struct sk_amqp_head *head, struct sk_span path) {
    return sk_map_get(&head->tokens, path_key(&head->connection.gateway->scratch, path));
}

/* The token of the narrowest scope that may cover an identity: its own, or of all devices. */
static const struct sk_amqp_token *device_token(struct sk_amqp_head *head, struct sk_span device,
                                                struct sk_span module) {
    struct sk_arena *scratch = &head->connection.gateway->scratch;
    const struct sk_amqp_token *token = NULL;
    if (module.n)
        token = token_for(head, sk_arena_print(scratch, "devices/%.*s/modules/%.*s", SK_ARG(device),
                                               SK_ARG(module)));
    if (!token) token = token_for(head, sk_arena_print(scratch, "devices/%.*s", SK_ARG(device)));
    if (!token) token = token_for(head, SK_SPAN("devices"));
    if (!token) token = token_for(head, SK_SPAN(""));
    return token;
}

static bool bare_management(struct sk_span path) {
    return sk_span_eq_nocase(path, SK_SPAN("$management"));
}

/* Likewise for a path of the service: it, or what stands above it. A bare "$management" belongs to
 * whatever stream the connection has a token for. */
static const struct sk_amqp_token *service_token(struct sk_amqp_head *head, struct sk_span path) {
    if (bare_management(path)) {
        struct sk_amqp_token *token;
        for (size_t i = 0; (token = sk_map_next(&head->tokens, &i, NULL)) != NULL;)
            if (!sk_span_starts(sk_span_z(token->path), SK_SPAN("devices"))) return token;
    }
    for (;;) {
        const struct sk_amqp_token *token = token_for(head, path);
        if (token || path.n == 0) return token;
        size_t n = path.n;
        while (n && path.p[n - 1] != '/') n--;
        path.n = n ? n - 1 : 0;
    }
}

static void open_end(struct sk_amqp_end *end) {
    struct sk_amqp_head *head = end->head;
    end->open = true;
    end->role->opened(end); /* a refusal frees it */
    sk_amqp_head_flush(head);
}

static void revoke_end(struct sk_grant *grant, const struct sk_error *error) {
    sk_amqp_end_refuse(SK_CONTAINER(grant, struct sk_amqp_end, grant), error);
}

static void authorised(struct sk_amqp_end *end, struct sk_principal *principal) {
    struct sk_amqp_head *head = end->head;
    end->authorised = true;
    if (end->role->resource) {
        if (end->principal)
            sk_principal_free(end->principal);
        else
            end->principal = SK_NEW(struct sk_principal);
        *end->principal = *principal;
        *principal = (struct sk_principal){0};
        sk_list_remove(&end->grant.link);
        end->grant = (struct sk_grant){.who = end->principal, .revoke = revoke_end};
        sk_grant_open(head->backend, &end->grant);
    } else {
        struct sk_amqp_client *client =
            sk_amqp_client_find(head, end->address.device, end->address.module);
        if (client == NULL) client = sk_amqp_client_new(head, principal, end->token_path);
        sk_amqp_client_join(client, end);
    }
    if (end->open)
        end->role->authorised(end, NULL);
    else
        open_end(end);
}

/* For one more client, if the link is the first of its. */
static bool has_room(struct sk_amqp_end *end, const struct sk_principal *principal,
                     struct sk_error *error) {
    return end->role->resource ||
           sk_amqp_client_find(end->head, end->address.device, end->address.module) ||
           sk_session_room(end->head->backend, principal, error);
}

/* A link may be gone by now: what it has us look up counts until it has been looked up, or
 * attaching and detaching would make work without end. */
static void on_authorised(void *arg, const struct sk_error *error, struct sk_principal *principal) {
    struct sk_amqp_end *end = arg;
    struct sk_error no_room;
    sk_amqp_head_give(end->head, end->looking);
    if (end->amqp && error == NULL && !has_room(end, principal, &no_room)) error = &no_room;
    if (end->amqp && error)
        refused(end, error);
    else if (end->amqp)
        authorised(end, principal);
    sk_amqp_end_release(end);
}

/* The token for an address of the service; `credentials` learns what it has to cover. */
static const struct sk_amqp_token *find_service_token(struct sk_amqp_end *end,
                                                      struct sk_credentials *credentials) {
    struct sk_arena *scratch = &end->head->connection.gateway->scratch;
    const struct sk_amqp_role *role = end->role;
    struct sk_span host,
        path = role->events ? sk_amqp_link_address(end->amqp) : sk_span_z(role->resource);
    if (end->address.full) split_scope(path, &host, &path);
    if (path.n && path.p[0] == '/') path = sk_span_skip(path, 1);
    const struct sk_amqp_token *token = service_token(end->head, path);
    if (token && bare_management(path)) path = sk_span_z(token->path);
    credentials->event_stream = role->events;
    credentials->resource = sk_arena_print(scratch, "hub/%.*s", SK_ARG(path));
    return token;
}

/* Likewise for an identity's: its own, or that of the edge which speaks for it. */
static const struct sk_amqp_token *find_identity_token(struct sk_amqp_end *end,
                                                       struct sk_credentials *credentials) {
    struct sk_arena *scratch = &end->head->connection.gateway->scratch;
    struct sk_amqp_value chain = sk_amqp_link_property(end->amqp, "com.microsoft:auth-chain");
    credentials->auth_chain = sk_amqp_text(&chain, scratch);
    credentials->device = end->address.device;
    credentials->module = end->address.module;
    const struct sk_amqp_token *token =
        device_token(end->head, end->address.device, end->address.module);
    struct sk_span rest = credentials->auth_chain, actor = SK_NONE;
    while (sk_span_split(&rest, ';', &actor)) continue; /* the last one speaks */
    if (token == NULL && actor.n)
        token = device_token(end->head, actor, SK_SPAN(SK_EDGE_HUB_MODULE));
    return token;
}

void sk_amqp_authorise(struct sk_amqp_end *end) {
    enum { STEPS = 32 }; /* of its connection's share: a frame that costs us many */
    struct sk_amqp_head *head = end->head;
    const struct sk_amqp_role *role = end->role;
    struct sk_credentials credentials = {0};
    struct sk_error error;
    if (role->kind == SK_ADDRESS_CBS) {
        open_end(end);
        return;
    }
    struct sk_amqp_client *client =
        role->resource ? NULL : sk_amqp_client_find(head, end->address.device, end->address.module);
    if (client) { /* it has proved itself with its first link */
        sk_amqp_client_join(client, end);
        open_end(end);
        return;
    }
    const struct sk_amqp_token *token = role->resource ? find_service_token(end, &credentials)
                                                       : find_identity_token(end, &credentials);
    bool certified = token == NULL && sk_stream_peer_certificate(head->stream, 0).n > 0;
    if ((token == NULL && !certified) || head->backend == NULL) {
        if (role->authorised && !end->open) {
            open_end(end);
            return;
        }
        sk_error_set(&error, SK_FAULT_UNAUTHORIZED,
                     "no token on this connection covers the address: put one to $cbs first");
        refused(end, &error);
        return;
    }
    credentials.stream = head->stream;
    credentials.protocol = "Amqp";
    if (!certified) {
        end->token_path = token->path;
        credentials.token = sk_span_z(token->text);
    }
    sk_stream_go_on(head->stream, STEPS);
    end->pending++;
    end->looking = sk_amqp_head_take(head, SK_OP_IDENTITY_GET);
    sk_authenticate(head->backend, &credentials, on_authorised, end);
}
