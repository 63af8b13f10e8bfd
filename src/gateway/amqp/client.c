/* An identity on an AMQP connection: its session lives as long as it has links. */
#include "gateway/amqp/head.h"

static const struct sk_head head_ops;

struct sk_amqp_client *sk_amqp_client_find(struct sk_amqp_head *head, struct sk_span device,
                                           struct sk_span module) {
    struct sk_arena *scratch = &head->connection.gateway->scratch;
    return sk_map_get(
        &head->clients,
        module.n ? sk_arena_print(scratch, "%.*s/%.*s", SK_ARG(device), SK_ARG(module)) : device);
}

struct sk_amqp_client *sk_amqp_client_new(struct sk_amqp_head *head, struct sk_principal *principal,
                                          const char *token_path) {
    struct sk_amqp_client *client = SK_NEW(struct sk_amqp_client);
    client->head = head;
    client->token_path = token_path;
    sk_session_open(&client->session, head->backend, &head_ops, principal, client);
    client->key = sk_span_dup(sk_span_z(client->session.key));
    sk_map_put(&head->clients, sk_span_z(client->key), client);
    sk_amqp_head_proved(head);
    return client;
}

void sk_amqp_client_join(struct sk_amqp_client *client, struct sk_amqp_end *end) {
    end->client = client;
    client->ends++;
    client->live++;
    struct sk_amqp_value model = sk_amqp_link_property(end->amqp, "com.microsoft:model-id");
    if (model.type == SK_AMQP_NULL)
        model = sk_amqp_link_property(end->amqp, "com.microsoft:digital-twin-model-id");
    struct sk_span text = sk_amqp_text(&model, &client->head->connection.gateway->scratch);
    if (text.n == 0 || client->model_id) return;
    client->model_id = sk_span_dup(text);
    sk_session_model(&client->session, text);
}

void sk_amqp_client_end_gone(struct sk_amqp_end *end) {
    struct sk_amqp_client *client = end->client;
    if (--client->live) return;
    if (sk_map_get(&client->head->clients, sk_span_z(client->key)) == client)
        sk_map_remove(&client->head->clients, sk_span_z(client->key));
    sk_session_close(&client->session, SK_FAULT_NONE);
}

void sk_amqp_client_end_freed(struct sk_amqp_end *end) {
    struct sk_amqp_client *client = end->client;
    if (--client->ends) return;
    sk_io_undefer(&client->close);
    session_free(&client->session);
    free(client->model_id);
    free(client->key);
    free(client);
}

/* ---- the session's head ---- */

static bool deliver_message(struct sk_session *session, const struct sk_message *message,
                            uint64_t delivery) {
    struct sk_amqp_client *client = session->owner;
    struct sk_amqp_end *end = client->messages;
    if (end == NULL || !sk_amqp_end_writable(end)) return false;
    struct sk_arena arena = {0};
    struct sk_amqp_message out;
    sk_message_to_amqp(message, &arena, &out);
    unsigned char tag[16];
    struct sk_span token = message->c2d ? message->c2d->lock_token : SK_NONE;
    bool guid = token.n && sk_lock_token_tag(token, tag) == SK_OK;
    bool settled = sk_amqp_link_presettled(end->amqp);
    sk_amqp_end_send(end, guid ? sk_span(tag, sizeof tag) : SK_NONE, &out, settled ? 0 : delivery);
    sk_arena_free(&arena);
    if (settled) { /* there is no other sign */
        struct sk_amqp_request *r = sk_amqp_request_new(end, SK_OP_SETTLE, NULL);
        r->request.delivery = delivery;
        sk_gateway_submit(client->head->backend, &r->request);
    }
    return true;
}

static void deliver_method(struct sk_session *session, const struct sk_method_call *call) {
    struct sk_amqp_client *client = session->owner;
    if (client->methods == NULL) return;
    struct sk_amqp_field name = {SK_SPAN("IoThub-methodname"), SK_AMQP_VALUE_STRING(call->name)};
    struct sk_buffer digits = {0}, uuid = {0};
    for (size_t i = 0; i < call->rid.n; i++)
        if (call->rid.p[i] != '-') sk_buffer_byte(&digits, call->rid.p[i]);
    sk_hex_decode(&uuid,
                  sk_buffer_span(&digits)); /* request ids are guids: see gateway/methods.c */
    struct sk_amqp_value id = {SK_AMQP_UUID, .text = sk_buffer_span(&uuid)};
    sk_amqp_end_answer(client->methods,
                       &(struct sk_amqp_message){.correlation_id = id,
                                                 .application = &name,
                                                 .application_count = 1,
                                                 .data = &call->payload,
                                                 .data_count = 1},
                       NULL);
    sk_buffer_free(&digits);
    sk_buffer_free(&uuid);
}

/* No correlation id: that is how clients tell it from an answer. */
static void deliver_desired(struct sk_session *session, struct sk_span patch, uint64_t version) {
    (void)version; /* in the patch */
    struct sk_amqp_client *client = session->owner;
    if (client->twin)
        sk_amqp_end_answer(client->twin, &(struct sk_amqp_message){.data = &patch, .data_count = 1},
                           NULL);
}

static void close_links(struct sk_task *task) {
    struct sk_amqp_client *client = SK_CONTAINER(task, struct sk_amqp_client, close);
    struct sk_amqp_head *head = client->head;
    struct sk_error error;
    sk_error_set(&error, client->closing, NULL);
    SK_LIST_EACH(&head->ends, node, following) {
        struct sk_amqp_end *end = SK_CONTAINER(node, struct sk_amqp_end, link);
        if (end->client != client) continue;
        bool last = client->live == 1;
        sk_amqp_end_refuse(end, &error);
        if (last) return; /* the client may be gone with it */
    }
}

/* Detaches the identity's links, soon: whoever closes is in the middle of something. Other
 * identities of the connection stay. */
static void close_session(struct sk_session *session, enum sk_fault reason) {
    struct sk_amqp_client *client = session->owner;
    struct sk_amqp_head *head = client->head;
    if (client->closing) return;
    client->closing = reason ? reason : SK_FAULT_UNAVAILABLE;
    session->ended = reason;
    sk_map_remove(&head->clients, sk_span_z(client->key)); /* a new link is a new client */
    sk_io_defer(head->connection.gateway->io, &client->close, close_links);
}

/* ---- client chaos ---- */

static const struct sk_amqp_role *const severed[][2] = {
    [SK_SEVER_AMQP_CBS_IN] = {&sk_amqp_cbs_in},
    [SK_SEVER_AMQP_CBS_OUT] = {&sk_amqp_cbs_out},
    [SK_SEVER_AMQP_TELEMETRY] = {&sk_amqp_telemetry},
    [SK_SEVER_AMQP_MESSAGES] = {&sk_amqp_messages, &sk_amqp_inputs},
    [SK_SEVER_AMQP_TWIN_IN] = {&sk_amqp_twin_in},
    [SK_SEVER_AMQP_TWIN_OUT] = {&sk_amqp_twin_out},
    [SK_SEVER_AMQP_METHODS_IN] = {&sk_amqp_methods_in},
    [SK_SEVER_AMQP_METHODS_OUT] = {&sk_amqp_methods_out},
};

/* A link of the client (NULL: of the connection) with one of these roles. */
static struct sk_amqp_end *find_end(struct sk_amqp_head *head, const struct sk_amqp_client *client,
                                    const struct sk_amqp_role *const roles[2]) {
    SK_LIST_EACH(&head->ends, node, following) {
        struct sk_amqp_end *end = SK_CONTAINER(node, struct sk_amqp_end, link);
        if (end->client == client && (end->role == roles[0] || end->role == roles[1])) return end;
    }
    return NULL;
}

static void end_session(struct sk_amqp_client *client, const struct sk_error *error) {
    struct sk_amqp_head *head = client->head;
    SK_LIST_EACH(&head->ends, node, following) {
        struct sk_amqp_end *end = SK_CONTAINER(node, struct sk_amqp_end, link);
        if (end->client != client) continue;
        struct sk_amqp_error said = sk_amqp_head_error(head, error);
        sk_amqp_end_session(end->amqp, &said);
        sk_amqp_head_flush(head);
        return;
    }
}

static bool sever(struct sk_session *session, enum sk_sever what, const char *reason) {
    struct sk_amqp_client *client = session->owner;
    struct sk_amqp_head *head = client->head;
    struct sk_amqp_end *end;
    struct sk_error error;
    if (head->stream == NULL) return false;
    sk_arena_reset(&head->connection.gateway->scratch);
    sk_error_set(&error, SK_FAULT_UNAVAILABLE, "client chaos: %s", reason);
    switch (what) {
    case SK_SEVER_NOTHING:
    case SK_SEVER_MQTT: return false;
    case SK_SEVER_STREAM: sk_stream_abort(head->stream); return true;
    case SK_SEVER_AMQP: sk_amqp_head_fail(head, NULL); return true;
    case SK_SEVER_AMQP_CONNECTION: sk_amqp_head_fail(head, &error); return true;
    case SK_SEVER_AMQP_SESSION: end_session(client, &error); return true;
    case SK_SEVER_AMQP_CBS_IN:
    case SK_SEVER_AMQP_CBS_OUT: end = find_end(head, NULL, severed[what]); break;
    default: end = find_end(head, client, severed[what]);
    }
    if (end) sk_amqp_end_refuse(end, &error);
    return end != NULL;
}

static const struct sk_head head_ops = {.deliver_message = deliver_message,
                                        .deliver_method = deliver_method,
                                        .deliver_desired = deliver_desired,
                                        .close = close_session,
                                        .sever = sever};
