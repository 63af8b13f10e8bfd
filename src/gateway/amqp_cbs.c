/* What a connection has proved: SASL and claims-based security (put-token), and what its links may
 * do with it. Reference: device protocols, section 1.5; service API, section 6.
 *
 * A token is checked when it comes, and once more for each identity that attaches a link with it:
 * then the identity itself is looked up, as for every other protocol. */
#include "gateway/amqp_head.h"

/* ---- tokens ---- */

static void free_token(struct sk_amqp_token *token) {
    sk_timer_stop(&token->expiry);
    free(token->path);
    free(token->text);
    free(token);
}

void sk_amqp_tokens_free(struct sk_amqp_head *head) {
    struct sk_amqp_token *token;
    for (size_t i = 0; (token = sk_map_next(&head->tokens, &i, NULL)) != NULL;) free_token(token);
    sk_map_free(&head->tokens);
}

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

/* Ids may have been encoded twice, in letters of either case: compare them fully decoded. The token
 * itself is still checked to the letter. */
static struct sk_span path_key(struct sk_arena *arena, struct sk_span path) {
    return sk_percent_decoded(arena, path);
}

static void on_token_expiry(struct sk_timer *timer) {
    enum { CHECK_S = 3600 };
    struct sk_amqp_token *token = SK_CONTAINER(timer, struct sk_amqp_token, expiry);
    struct sk_amqp_head *head = token->head;
    int64_t left = token->expires_s + SK_SAS_SKEW_S - sk_io_wall(timer->io) / 1000000;
    if (left >= 0) {
        sk_timer_start(timer->io, timer, (uint64_t)(left < CHECK_S ? left + 1 : CHECK_S) * SK_S,
                       on_token_expiry);
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
    free_token(token);
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
    token->expires_s =
        expires_s > INT64_MAX - SK_SAS_SKEW_S ? INT64_MAX - SK_SAS_SKEW_S : expires_s;
    sk_timer_start(head->connection.gateway->io, &token->expiry, SK_S, on_token_expiry);
    struct sk_amqp_client *client;
    for (size_t i = 0; (client = sk_map_next(&head->clients, &i, NULL)) != NULL;) {
        if (client->token_path != token->path || !client->session.open) continue;
        client->session.principal.expires_s = expires_s;
        sk_session_watch_expiry(&client->session);
    }
}

/* ---- checking a token that comes ---- */

struct putting {
    struct sk_amqp_head *head;
    struct sk_amqp_incoming *incoming; /* the request; NULL: SASL PLAIN */
    struct sk_authentication *authentication;
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
    if (end) sk_amqp_end_answer(end, &message, p->incoming);
}

static void conclude(struct putting *p, const struct sk_error *error) {
    struct sk_amqp_head *head = p->head;
    if (head->stream && p->incoming == NULL) {
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
    free_putting(p);
    sk_amqp_head_release(head);
}

static void on_token_checked(void *arg, const struct sk_error *error,
                             struct sk_principal *principal) {
    struct putting *p = arg;
    struct sk_amqp_head *head = p->head;
    if (!error && head->stream)
        keep_token(head, sk_span_z(p->path), sk_span_z(p->token), principal->expires_s,
                   p->incoming == NULL);
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
                                             .resource = sk_arena_print(scratch, "%.*s/%.*s",
                                                                        SK_ARG(host), SK_ARG(path)),
                                             .event_stream = events},
                    on_token_checked, p);
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
    if (sk_amqp_decode(sk_amqp_head_codec(head), payload, scratch, &m)) {
        sk_amqp_reject(end, delivery, SK_FAULT_ARGUMENT_INVALID, "not an AMQP message");
        return;
    }
    const struct sk_amqp_value *operation =
        sk_amqp_find(m.application, m.application_count, "operation");
    const struct sk_amqp_value *type = sk_amqp_find(m.application, m.application_count, "type");
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
    bool sas = type == NULL || sk_span_ends(sk_amqp_text(type, scratch), SK_SPAN(":sastoken"));
    if (operation == NULL ||
        !sk_span_eq_nocase(sk_amqp_text(operation, scratch), SK_SPAN("put-token")) || !sas ||
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

/* ---- SASL ---- */

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

static void sasl_plain(struct sk_amqp_head *head, struct sk_span response) {
    struct sk_span rest = response, user, password;
    bool fine = sk_span_split(&rest, 0, &user) && sk_span_split(&rest, 0, &user) &&
                sk_span_split(&rest, 0, &password);
    size_t at = fine ? sk_span_find(user, '@') : 0;
    for (size_t i = at + 1; fine && i < user.n; i++) /* ids may hold one: the last counts */
        if (user.p[i] == '@') at = i;
    struct sk_span hub = fine ? sk_span_skip(user, at + 1) : SK_NONE;
    if (sk_span_starts_nocase(hub, SK_SPAN("sas."))) hub = sk_span_skip(hub, 4);
    if (sk_span_starts_nocase(hub, SK_SPAN("root."))) hub = sk_span_skip(hub, 5);
    if (head->backend == NULL && hub.n) head->backend = hub_by_label(head->connection.gateway, hub);
    struct putting *p = SK_NEW(struct putting);
    p->head = head;
    p->token = sk_span_dup(fine ? password : SK_NONE);
    check_token(p);
}

void sk_amqp_on_sasl(struct sk_amqp_head *head, struct sk_span mechanism, struct sk_span response) {
    sk_arena_reset(&head->connection.gateway->scratch);
    if (sk_span_is(mechanism, "PLAIN")) {
        sasl_plain(head, response);
        return;
    }
    /* ANONYMOUS, MSSBCBS: tokens follow; EXTERNAL: the certificate is looked at when a link comes. */
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

static void on_authorised(void *arg, const struct sk_error *error, struct sk_principal *principal) {
    struct sk_amqp_end *end = arg;
    struct sk_amqp_head *head = end->head;
    end->authentication = NULL;
    if (error) {
        sk_amqp_end_refuse(end, error);
        return;
    }
    if (end->role->resource) {
        end->principal = *principal;
        *principal = (struct sk_principal){0};
    } else {
        struct sk_amqp_client *client =
            sk_amqp_client_find(head, end->address.device, end->address.module);
        if (client == NULL) client = sk_amqp_client_new(head, principal, end->token_path);
        sk_amqp_client_join(client, end);
    }
    open_end(end);
}

void sk_amqp_authorise(struct sk_amqp_end *end) {
    struct sk_amqp_head *head = end->head;
    struct sk_gateway *gateway = head->connection.gateway;
    const struct sk_amqp_role *role = end->role;
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
    struct sk_amqp_value chain = sk_amqp_link_property(end->amqp, "com.microsoft:auth-chain");
    struct sk_credentials credentials = {.auth_chain = sk_amqp_text(&chain, &gateway->scratch),
                                         .event_stream = role->events};
    const struct sk_amqp_token *token;
    if (role->resource) {
        struct sk_span path =
            role->events ? sk_amqp_link_address(end->amqp) : sk_span_z(role->resource);
        struct sk_span host;
        if (end->address.full) split_scope(path, &host, &path);
        if (path.n && path.p[0] == '/') path = sk_span_skip(path, 1);
        token = service_token(head, path);
        if (token && bare_management(path)) path = sk_span_z(token->path);
        credentials.resource = sk_arena_print(&gateway->scratch, "hub/%.*s", SK_ARG(path));
    } else {
        credentials.device = end->address.device;
        credentials.module = end->address.module;
        token = device_token(head, end->address.device, end->address.module);
        struct sk_span rest = credentials.auth_chain, actor = SK_NONE;
        while (sk_span_split(&rest, ';', &actor)) continue; /* the last one speaks */
        if (token == NULL && actor.n)
            token = device_token(head, actor, SK_SPAN(SK_EDGE_HUB_MODULE));
    }
    bool certified = token == NULL && sk_stream_peer_certificate(head->stream, 0).n > 0;
    if ((token == NULL && !certified) || head->backend == NULL) {
        sk_error_set(&error, SK_FAULT_UNAUTHORIZED,
                     "no token on this connection covers the address: put one to $cbs first");
        sk_amqp_end_refuse(end, &error);
        return;
    }
    if (certified) {
        credentials.stream = head->stream;
    } else {
        end->token_path = token->path;
        credentials.token = sk_span_z(token->text);
    }
    end->authentication = sk_authenticate(head->backend, &credentials, on_authorised, end);
}
