/* The floor of the AMQP head: what goes out, what is under way, back-pressure, and how ends and
 * connections go. */
#include "gateway/amqp/head.h"

/* ---- out ---- */

static void write_out(void *arg, struct sk_span bytes) {
    struct sk_amqp_head *head = arg;
    if (head->stream && !sk_stream_write(head->stream, bytes)) head->congested = true;
}

/* The engine has sent something: ends that waited for that go on. */
static void release_held(struct sk_amqp_head *head) {
    head->held = false;
    SK_LIST_EACH(&head->ends, node, following) {
        struct sk_amqp_end *end = SK_CONTAINER(node, struct sk_amqp_end, link);
        if (!end->held) continue;
        if (sk_amqp_link_blocked(end->amqp)) {
            head->held = true;
            continue;
        }
        end->held = false;
        sk_amqp_end_go_on(end);
    }
}

void sk_amqp_head_flush_now(struct sk_amqp_head *head) {
    sk_io_undefer(&head->flush);
    if (head->stream) sk_amqp_flush(head->amqp, write_out, head);
    if (head->held && head->stream) release_held(head);
}

/* Puts out what the engine has to say; if that was its last, the stream ends behind it. */
void sk_amqp_head_after_engine(struct sk_amqp_head *head) {
    sk_amqp_head_flush_now(head);
    if (head->closing && head->stream) sk_stream_close(head->stream);
}

static void on_flush(struct sk_task *task) {
    sk_amqp_head_after_engine(SK_CONTAINER(task, struct sk_amqp_head, flush));
}

void sk_amqp_head_flush(struct sk_amqp_head *head) {
    if (head->stream) sk_io_defer(head->connection.gateway->io, &head->flush, on_flush);
}

struct sk_amqp_error sk_amqp_head_error(struct sk_amqp_head *head, const struct sk_error *error) {
    struct sk_gateway *gateway = head->connection.gateway;
    struct sk_buffer text = {0};
    char tracking[37];
    sk_io_guid(gateway->io, tracking);
    sk_error_json(&text, error, sk_span_z(tracking), sk_io_wall(gateway->io));
    struct sk_amqp_error result = {.condition = sk_span_z(sk_fault_kind(error->fault)->condition),
                                   .description =
                                       sk_arena_copy(&gateway->scratch, sk_buffer_span(&text))};
    sk_buffer_free(&text);
    return result;
}

/* ---- the connection's end ---- */

void sk_amqp_token_free(struct sk_amqp_token *token) {
    sk_timer_stop(&token->expiry);
    free(token->path);
    free(token->text);
    free(token);
}

static void free_tokens(struct sk_amqp_head *head) {
    struct sk_amqp_token *token;
    for (size_t i = 0; (token = sk_map_next(&head->tokens, &i, NULL)) != NULL;)
        sk_amqp_token_free(token);
    sk_map_free(&head->tokens);
}

static void free_head(struct sk_amqp_head *head) {
    sk_io_undefer(&head->flush);
    sk_timer_stop(&head->tick);
    sk_timer_stop(&head->prove);
    free_tokens(head);
    sk_map_free(&head->clients);
    connection_remove(&head->connection);
    free(head->host_name);
    free(head);
}

void sk_amqp_head_release(struct sk_amqp_head *head) {
    if (--head->pending == 0 && head->stream == NULL) free_head(head);
}

/* Reading pauses while there is too much at the backend, and when a client that has proved nothing
 * has said enough. */
void sk_amqp_head_reading(struct sk_amqp_head *head) {
    if (head->stream)
        sk_stream_pause(head->stream,
                        head->budget.full || head->unproved >= SK_AMQP_HEAD_UNPROVED_MAX);
}

struct sk_cost sk_amqp_head_take(struct sk_amqp_head *head, enum sk_op op) {
    struct sk_cost cost = budget_take(&head->budget, op, head->transfer_bytes);
    head->transfer_bytes = 0;
    sk_amqp_head_reading(head);
    return cost;
}

void sk_amqp_head_give(struct sk_amqp_head *head, struct sk_cost cost) {
    budget_give(&head->budget, cost);
    sk_amqp_head_reading(head);
}

void sk_amqp_head_proved(struct sk_amqp_head *head) {
    head->proved = true;
    sk_amqp_trust(head->amqp);
    head->unproved = 0;
    if (head->stream) sk_stream_proved(head->stream);
    sk_amqp_head_reading(head);
}

static void close_stream(struct sk_amqp_head *head) {
    head->closing = true;
    sk_amqp_head_flush_now(head);
    if (head->stream) sk_stream_close(head->stream);
}

void sk_amqp_head_fail(struct sk_amqp_head *head, const struct sk_error *error) {
    if (head->closing || head->stream == NULL) return;
    SK_SELDOM(SK_LEVEL_INFO, "amqp", "%s: closing: %s", sk_stream_peer(head->stream),
              error ? sk_error_text(error) : "in good order");
    struct sk_amqp_error said = {0};
    if (error) said = sk_amqp_head_error(head, error);
    sk_amqp_close(head->amqp, &said);
    close_stream(head);
}

void sk_amqp_head_end(struct sk_connection *connection) {
    struct sk_amqp_head *head = (struct sk_amqp_head *)connection;
    struct sk_error error;
    /* amqp:connection:forced is the name for it, but Node's SDK would not come again. */
    sk_error_set(&error, SK_FAULT_UNAVAILABLE, "the server is shutting down");
    sk_amqp_head_fail(head, &error);
}

void sk_amqp_head_gone(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream;
    (void)reason;
    struct sk_amqp_head *head = arg;
    head->stream = head->connection.stream = NULL;
    head->closing = true;
    sk_io_undefer(&head->flush);
    sk_timer_stop(&head->tick);
    sk_timer_stop(&head->prove);
    head->pending++;
    sk_amqp_free(head->amqp); /* the ends go */
    head->amqp = NULL;
    sk_amqp_head_release(head);
}

/* ---- ends ---- */

struct outgoing {
    struct sk_list link;
    struct sk_buffer bytes;
    struct sk_amqp_incoming *to; /* or NULL */
};

static void free_outgoing(struct sk_amqp_end *end, struct outgoing *outgoing) {
    SK_ASSERT(end->outbox_count);
    sk_list_remove(&outgoing->link);
    end->outbox_count--;
    sk_buffer_free(&outgoing->bytes);
    if (outgoing->to) sk_amqp_incoming_settle(outgoing->to);
    free(outgoing);
}

static void free_end(struct sk_amqp_end *end) {
    struct sk_amqp_head *head = end->head;
    SK_ASSERT(sk_list_empty(&end->sent) && end->outbox_count == 0);
    if (end->client) sk_amqp_client_end_freed(end);
    if (end->principal) sk_principal_free(end->principal);
    free(end->principal);
    free(end->texts);
    free(end);
    sk_amqp_head_release(head);
}

void sk_amqp_end_release(struct sk_amqp_end *end) {
    SK_ASSERT(end->pending);
    if (--end->pending == 0 && end->amqp == NULL) free_end(end);
}

struct sk_amqp_end *sk_amqp_end_new(struct sk_amqp_head *head, struct sk_amqp_link *link,
                                    const struct sk_amqp_role *role) {
    struct sk_amqp_end *end = SK_NEW(struct sk_amqp_end);
    end->head = head;
    end->amqp = link;
    end->role = role;
    sk_list_init(&end->sent);
    sk_list_init(&end->outbox);
    sk_list_append(&head->ends, &end->link);
    head->end_count++;
    head->pending++; /* the end itself keeps the head */
    sk_amqp_link_set_data(link, end);
    return end;
}

/* The link is gone, the end stays for its requests. */
void sk_amqp_end_gone(struct sk_amqp_end *end) {
    struct sk_amqp_head *head = end->head;
    SK_ASSERT(end->amqp && head->end_count); /* a link goes once */
    end->amqp = NULL;
    end->pending++; /* what goes with it may be answered at once */
    sk_list_remove(&end->link);
    sk_list_remove(&end->grant.link);
    head->end_count--;
    if (end->open && end->role->gone) end->role->gone(end);
    SK_LIST_EACH(&end->sent, node, following) {
        sk_list_remove(node);
        free(SK_CONTAINER(node, struct sk_amqp_sent, link));
    }
    SK_LIST_EACH(&end->outbox, waiting, after) {
        free_outgoing(end, SK_CONTAINER(waiting, struct outgoing, link));
    }
    if (end->client) sk_amqp_client_end_gone(end);
    sk_amqp_end_release(end);
}

void sk_amqp_end_refuse(struct sk_amqp_end *end, const struct sk_error *error) {
    enum { STEPS = 32 }; /* of its connection's share: a frame that costs us many */
    struct sk_amqp_head *head = end->head;
    if (end->amqp == NULL) return;
    head->connection.gateway->counts.links_refused_total++;
    if (head->stream) sk_stream_go_on(head->stream, STEPS);
    SK_SELDOM(SK_LEVEL_INFO, "amqp", "%s: link %.*s: %s",
              head->stream ? sk_stream_peer(head->stream) : "-",
              SK_ARG(sk_amqp_link_address(end->amqp)), sk_error_text(error));
    struct sk_amqp_error said = sk_amqp_head_error(head, error);
    if (end->role->events)
        said.description = sk_span_z(sk_error_text(error)); /* not IoT Hub's JSON */
    sk_amqp_end_detach(end, &said);
}

void sk_amqp_end_detach(struct sk_amqp_end *end, const struct sk_amqp_error *error) {
    struct sk_amqp_head *head = end->head;
    sk_amqp_refuse(end->amqp, error);
    sk_amqp_end_gone(end);
    sk_amqp_head_flush(head);
}

bool sk_amqp_end_writable(struct sk_amqp_end *end) {
    struct sk_amqp_head *head = end->head;
    if (end->amqp == NULL || head->stream == NULL || head->congested ||
        !sk_list_empty(&end->outbox) || sk_amqp_link_credit(end->amqp) <= 0)
        return false;
    if (sk_amqp_link_blocked(end->amqp)) head->held = end->held = true;
    return !end->held;
}

/* In the gateway's buffer, which is used again for the next one. */
static struct sk_span encoded(struct sk_amqp_end *end, struct sk_span before,
                              const struct sk_amqp_message *message) {
    enum { KEPT = 64 * 1024 };
    struct sk_buffer *bytes = &end->head->connection.gateway->amqp_out;
    sk_buffer_shrink(bytes, KEPT);
    sk_buffer_append(bytes, before);
    sk_amqp_encode(bytes, message);
    return sk_buffer_span(bytes);
}

void sk_amqp_end_send(struct sk_amqp_end *end, struct sk_span tag,
                      const struct sk_amqp_message *message, uint64_t delivery) {
    struct sk_amqp_sent *sent = NULL;
    struct sk_span bytes = encoded(end, SK_NONE, message);
    if (delivery) {
        sent = SK_NEW(struct sk_amqp_sent);
        sent->delivery = delivery;
        sk_list_append(&end->sent, &sent->link);
    }
    sk_amqp_send(end->amqp, tag, bytes, delivery == 0, sent);
    sk_amqp_head_flush(end->head);
}

void sk_amqp_end_tell(struct sk_amqp_end *end, struct sk_span before,
                      const struct sk_amqp_message *message) {
    sk_amqp_send(end->amqp, SK_NONE, encoded(end, before, message),
                 !sk_amqp_link_unsettled(end->amqp), NULL);
    sk_amqp_head_flush(end->head);
}

void sk_amqp_end_answer(struct sk_amqp_end *end, const struct sk_amqp_message *message,
                        struct sk_amqp_incoming *to) {
    bool now = end->amqp && sk_list_empty(&end->outbox) && sk_amqp_link_credit(end->amqp) > 0;
    bool never = end->amqp == NULL || end->head->stream == NULL;
    bool full = !now && end->outbox_count == SK_AMQP_HEAD_OUTBOX_MAX;
    if (to && (now || never || full)) sk_amqp_incoming_settle(to);
    if (never) return;
    if (now) {
        sk_amqp_end_send(end, SK_NONE, message, 0);
        return;
    }
    if (full) {
        struct sk_error error;
        sk_error_set(&error, SK_FAULT_QUOTA_EXCEEDED,
                     "too many answers wait for credit on this link");
        sk_amqp_end_refuse(end, &error);
        return;
    }
    struct outgoing *outgoing = SK_NEW(struct outgoing);
    sk_amqp_encode(&outgoing->bytes, message);
    outgoing->to = to;
    sk_list_append(&end->outbox, &outgoing->link);
    end->outbox_count++;
    SK_ASSERT(end->outbox_count <= SK_AMQP_HEAD_OUTBOX_MAX);
}

void sk_amqp_end_go_on(struct sk_amqp_end *end) {
    SK_LIST_EACH(&end->outbox, node, following) {
        struct outgoing *outgoing = SK_CONTAINER(node, struct outgoing, link);
        if (sk_amqp_link_credit(end->amqp) <= 0) return;
        struct sk_amqp_incoming *to = outgoing->to;
        outgoing->to = NULL;
        if (to) sk_amqp_incoming_settle(to);
        sk_amqp_send(end->amqp, SK_NONE, sk_buffer_span(&outgoing->bytes), true, NULL);
        free_outgoing(end, outgoing);
    }
    if (end->role->writable && sk_amqp_end_writable(end)) end->role->writable(end);
}

/* ---- transfers and their requests ---- */

struct sk_amqp_incoming *sk_amqp_incoming_new(struct sk_amqp_end *end,
                                              struct sk_amqp_delivery *delivery) {
    struct sk_amqp_incoming *incoming = SK_NEW(struct sk_amqp_incoming);
    incoming->end = end;
    incoming->delivery = delivery;
    incoming->waiting = 1; /* the caller's own, until it has made all requests */
    end->pending++;
    return incoming;
}

/* What an edge forwards is numbered: a message that will come again must not be overtaken by those
 * behind it on the link, or it would count as stored. */
static bool breaks_order(const struct sk_amqp_incoming *incoming) {
    const struct sk_amqp_end *end = incoming->end;
    if (!incoming->error.fault || end->role != &sk_amqp_telemetry) return false;
    unsigned status = sk_fault_kind(incoming->error.fault)->http_status;
    return end->client->session.principal.actor && status != 400 && status != 413;
}

void sk_amqp_incoming_settle(struct sk_amqp_incoming *incoming) {
    struct sk_amqp_end *end = incoming->end;
    SK_ASSERT(incoming->waiting); /* it is settled once */
    if (--incoming->waiting) return;
    if (end->amqp && breaks_order(incoming)) {
        sk_amqp_end_refuse(end, &incoming->error);
    } else if (end->amqp && incoming->delivery) {
        struct sk_amqp_error error = {0};
        if (incoming->error.fault) error = sk_amqp_head_error(end->head, &incoming->error);
        sk_amqp_settle(end->amqp, incoming->delivery,
                       incoming->error.fault ? SK_AMQP_REJECTED : SK_AMQP_ACCEPTED, &error);
        sk_amqp_head_flush(end->head);
    }
    free(incoming);
    sk_amqp_end_release(end);
}

void sk_amqp_reject(struct sk_amqp_end *end, struct sk_amqp_delivery *delivery, enum sk_fault fault,
                    const char *why) {
    struct sk_amqp_incoming *incoming = sk_amqp_incoming_new(end, delivery);
    sk_error_set(&incoming->error, fault, why ? "%s" : NULL, why);
    sk_amqp_incoming_settle(incoming);
}

/* All of a batch is looked at before any of it is taken. */
static void take_batch(struct sk_amqp_end *end, struct sk_amqp_incoming *incoming,
                       const struct sk_amqp_message *whole, sk_amqp_each *each) {
    struct sk_arena *scratch = &end->head->connection.gateway->scratch;
    struct sk_amqp_message *messages =
        sk_arena_alloc(scratch, (whole->data_count + 1) * sizeof *messages);
    for (size_t i = 0; i < whole->data_count; i++) {
        if (sk_amqp_decode(whole->data[i], scratch, &messages[i]) == SK_OK) continue;
        sk_error_set(&incoming->error, SK_FAULT_ARGUMENT_INVALID,
                     "message %zu of the batch is not an AMQP message", i + 1);
        return;
    }
    for (size_t i = 0; i < whole->data_count; i++) each(end, incoming, whole, &messages[i]);
}

void sk_amqp_take(struct sk_amqp_end *end, struct sk_amqp_delivery *delivery,
                  struct sk_span payload, size_t most, sk_amqp_each *each) {
    struct sk_arena *scratch = &end->head->connection.gateway->scratch;
    struct sk_amqp_message whole;
    if (sk_amqp_decode(payload, scratch, &whole)) {
        sk_amqp_reject(end, delivery, SK_FAULT_ARGUMENT_INVALID, "not an AMQP message");
        return;
    }
    struct sk_amqp_incoming *incoming = sk_amqp_incoming_new(end, delivery);
    if (payload.n > most) {
        sk_error_set(&incoming->error, SK_FAULT_MESSAGE_TOO_LARGE, NULL);
    } else if (sk_amqp_link_format(end->amqp) == SK_AMQP_FORMAT_BATCH) {
        take_batch(end, incoming, &whole, each);
    } else {
        each(end, incoming, &whole, &whole);
    }
    sk_amqp_incoming_settle(incoming);
}

enum sk_outcome sk_amqp_verdict(enum sk_amqp_outcome outcome) {
    static const enum sk_outcome outcomes[] = {[SK_AMQP_ACCEPTED] = SK_COMPLETE,
                                               [SK_AMQP_REJECTED] = SK_REJECT,
                                               [SK_AMQP_RELEASED] = SK_ABANDON,
                                               [SK_AMQP_MODIFIED] = SK_ABANDON,
                                               [SK_AMQP_NO_OUTCOME] = SK_RELEASE};
    return outcomes[outcome];
}

void sk_amqp_accept(struct sk_amqp_end *end, struct sk_amqp_delivery *delivery) {
    sk_amqp_incoming_settle(sk_amqp_incoming_new(end, delivery));
}

struct sk_amqp_request *sk_amqp_request_new(struct sk_amqp_end *end, enum sk_op op,
                                            struct sk_amqp_incoming *incoming) {
    struct sk_amqp_request *r = SK_NEW(struct sk_amqp_request);
    struct sk_amqp_head *head = end->head;
    r->end = end;
    r->incoming = incoming;
    if (incoming) incoming->waiting++;
    r->request.op = op;
    r->request.done = sk_amqp_request_done;
    if (end->client) {
        struct sk_session *session = &end->client->session;
        r->request.who = &session->principal;
        r->request.session = session;
        r->request.device = sk_span_z(session->principal.device);
        r->request.module = sk_span_z(session->principal.module);
    } else {
        r->request.who = end->principal;
    }
    end->pending++;
    head->pending++;
    r->cost = sk_amqp_head_take(head, op);
    return r;
}

void sk_amqp_request_over(struct sk_amqp_request *r, const struct sk_error *error) {
    struct sk_amqp_end *end = r->end;
    struct sk_amqp_head *head = end->head;
    sk_amqp_head_give(head, r->cost);
    if (r->incoming) {
        if (error && !r->incoming->error.fault) r->incoming->error = *error;
        sk_amqp_incoming_settle(r->incoming);
    }
    json_decref(r->request.body);
    free(r->correlation_text);
    free(r->reply_to);
    free(r->device);
    free(r);
    sk_amqp_end_release(end);
    sk_amqp_head_release(head);
}

void sk_amqp_request_done(struct sk_request *request, const struct sk_answer *answer) {
    sk_amqp_request_over((struct sk_amqp_request *)request, answer->error);
}

struct sk_amqp_end *sk_amqp_reply_end(struct sk_amqp_head *head, const struct sk_amqp_role *role,
                                      const char *reply_to) {
    struct sk_amqp_end *any = NULL;
    SK_LIST_EACH(&head->ends, node, following) {
        struct sk_amqp_end *end = SK_CONTAINER(node, struct sk_amqp_end, link);
        if (end->role != role || !end->open) continue;
        any = end;
        if (sk_span_is(sk_amqp_link_other_address(end->amqp), reply_to) ||
            sk_span_is(sk_amqp_link_name(end->amqp), reply_to))
            return end;
    }
    return any;
}

void sk_amqp_request_correlate(struct sk_amqp_request *r, const struct sk_amqp_value *value) {
    r->correlation = *value;
    bool text = value->type == SK_AMQP_STRING || value->type == SK_AMQP_SYMBOL ||
                value->type == SK_AMQP_BINARY || value->type == SK_AMQP_UUID;
    if (!text) return;
    r->correlation_text = sk_span_dup(value->text);
    r->correlation.text = sk_span(r->correlation_text, value->text.n);
}
