#include "net/amqp_connection.h"

#include <stdio.h>

enum {
    OPEN_S = 30,         /* TCP, TLS, WebSocket, SASL and open together */
    TOKEN_S = 30,        /* for the answer to a put-token */
    IDLE_MS = 45 * 1000, /* we are told often enough that the server lives; dead after twice that */
};

struct sk_amqp_connection {
    struct sk_io *io;
    struct sk_amqp_connection_options options; /* dial: not looked at any more */
    struct sk_stream *stream;
    struct sk_amqp *amqp;  /* NULL: it is over */
    struct sk_arena arena; /* of the transfer being handled */
    struct sk_buffer scratch;
    struct sk_task flush;
    struct sk_timer tick, limit;
    struct sk_list links;
    uint64_t last_name;
    size_t queued; /* bytes given to the engine and not yet to the stream */
    bool opened, congested;
    /* $cbs */
    struct sk_amqp_client_link cbs_out, cbs_in;
    struct sk_list tokens; /* struct putting */
    /* the end */
    bool ending; /* the engine has closed; the reason: */
    char condition[64], description[256];
    unsigned busy; /* callbacks under way: free waits for their end */
    bool dead;
};

static const struct sk_stream_events stream_events, no_events;

/* ---- out ---- */

static void write_out(void *arg, struct sk_span bytes) {
    struct sk_amqp_connection *c = arg;
    if (c->stream && !sk_stream_write(c->stream, bytes)) c->congested = true;
}

static void flush_now(struct sk_amqp_connection *c) {
    sk_io_undefer(&c->flush);
    c->queued = 0;
    if (c->amqp && c->stream) sk_amqp_flush(c->amqp, write_out, c);
}

static void after_engine(struct sk_amqp_connection *c);

static void tell_all_writable(struct sk_amqp_connection *c);

static void on_flush(struct sk_task *task) {
    struct sk_amqp_connection *c = SK_CONTAINER(task, struct sk_amqp_connection, flush);
    bool full = c->queued >= SK_STREAM_HIGH;
    c->busy++;
    flush_now(c);
    if (full && !c->congested) tell_all_writable(c);
    after_engine(c);
}

static void flush_soon(struct sk_amqp_connection *c) {
    if (c->opened) sk_io_defer(c->io, &c->flush, on_flush);
}

/* ---- the end ---- */

static void stop(struct sk_amqp_connection *c) {
    sk_io_undefer(&c->flush);
    sk_timer_stop(&c->tick);
    sk_timer_stop(&c->limit);
}

static void destroy(struct sk_amqp_connection *c) {
    stop(c);
    if (c->amqp) sk_amqp_free(c->amqp);
    sk_arena_free(&c->arena);
    sk_buffer_free(&c->scratch);
    free(c);
}

static void leave(struct sk_amqp_connection *c) {
    if (--c->busy == 0 && c->dead) destroy(c);
}

static void drop_stream(struct sk_amqp_connection *c, bool politely) {
    struct sk_stream *stream = c->stream;
    if (stream == NULL) return;
    c->stream = NULL;
    sk_stream_handle(stream, &no_events, NULL);
    if (politely)
        sk_stream_close(stream);
    else
        sk_stream_abort(stream);
}

static void end_tokens(struct sk_amqp_connection *c, const struct sk_amqp_failure *why);

/* Everything that is left ends; then the user is told. Not from inside the engine. */
static void end(struct sk_amqp_connection *c, const struct sk_amqp_failure *why) {
    struct sk_amqp *amqp = c->amqp;
    if (amqp == NULL) return;
    stop(c);
    flush_now(c); /* our answer to its close */
    drop_stream(c, c->ending);
    c->amqp = NULL;
    sk_amqp_free(amqp); /* the links go */
    end_tokens(c, why);
    if (!c->dead) c->options.closed(c->options.arg, why);
}

/* Ends what was entered with busy++: puts out what the engine has to say, and looks whether that
 * was its last. */
static void after_engine(struct sk_amqp_connection *c) {
    flush_now(c);
    if (c->ending && !c->dead) {
        struct sk_amqp_failure why = {.status = c->condition[0] ? SK_REFUSED : SK_CLOSED,
                                      .condition = sk_span_z(c->condition),
                                      .description = sk_span_z(c->description)};
        end(c, &why);
    }
    leave(c);
}

void sk_amqp_connection_free(struct sk_amqp_connection *c) {
    if (c == NULL || c->dead) return;
    c->busy++;
    c->dead = true;
    SK_LIST_EACH(&c->links, node, following) {
        struct sk_amqp_client_link *link = SK_CONTAINER(node, struct sk_amqp_client_link, node);
        sk_amqp_link_set_data(link->link, NULL);
        link->link = NULL;
        sk_list_remove(node);
    }
    end_tokens(c, NULL);
    if (c->amqp && c->opened && !c->ending) {
        sk_amqp_close(c->amqp, NULL);
        flush_now(c);
    }
    stop(c);
    drop_stream(c, c->opened);
    leave(c);
}

static void on_limit(struct sk_timer *timer) {
    struct sk_amqp_connection *c = SK_CONTAINER(timer, struct sk_amqp_connection, limit);
    c->busy++;
    end(c, &(struct sk_amqp_failure){.status = SK_TIMEOUT});
    leave(c);
}

/* ---- what the engine tells: links ---- */

static void on_open(void *arg, struct sk_span host_name) {
    (void)host_name;
    struct sk_amqp_connection *c = arg;
    if (c->dead) return;
    c->opened = true;
    sk_timer_stop(&c->limit);
    if (c->options.opened) c->options.opened(c->options.arg);
}

static struct sk_amqp_client_link *user_of(const struct sk_amqp_link *link) {
    return sk_amqp_link_data(link);
}

static void on_attach(void *arg, struct sk_amqp_link *engine_link) {
    (void)arg;
    struct sk_amqp_client_link *link = user_of(engine_link);
    /* Without an address the answer only precedes the detach that says why not. */
    if (link == NULL || sk_amqp_link_is_sender(engine_link) ||
        sk_amqp_link_other_address(engine_link).n == 0)
        return;
    link->ready = true;
    if (link->events->ready) link->events->ready(link);
}

static void on_detach(void *arg, struct sk_amqp_link *engine_link,
                      const struct sk_amqp_error *error) {
    const struct sk_amqp_connection *c = arg;
    struct sk_amqp_client_link *link = user_of(engine_link);
    if (link == NULL || link->link == NULL) return;
    link->link = NULL;
    sk_list_remove(&link->node);
    if (c->amqp && !c->ending && link->events->detached) link->events->detached(link, error);
}

static void on_transfer(void *arg, struct sk_amqp_link *engine_link,
                        struct sk_amqp_delivery *delivery, struct sk_span payload) {
    struct sk_amqp_connection *c = arg;
    struct sk_amqp_client_link *link = user_of(engine_link);
    struct sk_amqp_message message;
    if (link == NULL || link->link == NULL) return;
    if (link->events->transfer_bytes) {
        link->events->transfer_bytes(link, delivery, payload);
        return;
    }
    sk_arena_reset(&c->arena);
    if (sk_amqp_decode(payload, &c->arena, &message) == SK_OK && link->events->transfer)
        link->events->transfer(link, delivery, &message);
    else if (delivery)
        sk_amqp_client_settle(link, delivery, SK_AMQP_REJECTED);
}

static void on_outcome(void *arg, struct sk_amqp_link *engine_link, void *data,
                       enum sk_amqp_outcome outcome, const struct sk_amqp_error *error) {
    (void)arg;
    struct sk_amqp_client_link *link = user_of(engine_link);
    if (link && link->link && link->events->outcome)
        link->events->outcome(link, data, outcome, error);
}

static void tell_writable(struct sk_amqp_client_link *link) {
    if (!sk_amqp_client_writable(link)) return;
    link->ready = true;
    if (link->events->writable) link->events->writable(link);
}

/* Around once: a callback may end any link, but then some only hear of it twice. */
static void tell_all_writable(struct sk_amqp_connection *c) {
    size_t count = 0;
    SK_LIST_EACH(&c->links, node, following) count++;
    for (; count && !c->congested && !sk_list_empty(&c->links); count--) {
        struct sk_amqp_client_link *link =
            SK_LIST_FIRST(&c->links, struct sk_amqp_client_link, node);
        sk_list_remove(&link->node);
        sk_list_append(&c->links, &link->node);
        tell_writable(link);
    }
}

static void on_credit(void *arg, struct sk_amqp_link *engine_link) {
    (void)arg;
    struct sk_amqp_client_link *link = user_of(engine_link);
    if (link && link->link) tell_writable(link);
}

static void on_close(void *arg, const struct sk_amqp_error *error) {
    struct sk_amqp_connection *c = arg;
    c->ending = true;
    snprintf(c->condition, sizeof c->condition, "%.*s", SK_ARG(error->condition));
    snprintf(c->description, sizeof c->description, "%.*s", SK_ARG(error->description));
}

static const struct sk_amqp_events engine_events = {.on_open = on_open,
                                                    .on_attach = on_attach,
                                                    .on_detach = on_detach,
                                                    .on_transfer = on_transfer,
                                                    .on_outcome = on_outcome,
                                                    .on_credit = on_credit,
                                                    .on_close = on_close};

void sk_amqp_client_attach(struct sk_amqp_connection *c, struct sk_amqp_client_link *link,
                           const struct sk_amqp_link_options *options,
                           const struct sk_amqp_link_events *events) {
    struct sk_amqp_link_options own = *options;
    char name[24];
    link->connection = c;
    link->events = events;
    link->ready = false;
    if (c->amqp == NULL || c->dead) return; /* it is over: `closed` says so */
    snprintf(name, sizeof name, "link-%llu", (unsigned long long)++c->last_name);
    own.name = name;
    link->link = sk_amqp_open_link(c->amqp, &own);
    sk_amqp_link_set_data(link->link, link);
    sk_list_append(&c->links, &link->node);
    flush_soon(c);
}

void sk_amqp_client_detach(struct sk_amqp_client_link *link) {
    if (link->link == NULL) return;
    sk_amqp_refuse(link->link, NULL);
    link->link = NULL;
    sk_list_remove(&link->node);
    flush_soon(link->connection);
}

bool sk_amqp_client_writable(const struct sk_amqp_client_link *link) {
    const struct sk_amqp_connection *c = link->connection;
    return link->link && !c->congested && c->queued < SK_STREAM_HIGH &&
           sk_amqp_link_credit(link->link) > 0;
}

void sk_amqp_client_send_bytes(struct sk_amqp_client_link *link, struct sk_span bytes, bool settled,
                               void *data) {
    link->connection->queued += bytes.n;
    sk_amqp_send(link->link, SK_NONE, bytes, settled, data);
    flush_soon(link->connection);
}

void sk_amqp_client_send(struct sk_amqp_client_link *link, const struct sk_amqp_message *message,
                         bool settled, void *data) {
    struct sk_amqp_connection *c = link->connection;
    c->scratch.n = 0;
    sk_amqp_encode(&c->scratch, message);
    sk_amqp_client_send_bytes(link, sk_buffer_span(&c->scratch), settled, data);
}

void sk_amqp_client_settle(struct sk_amqp_client_link *link, struct sk_amqp_delivery *delivery,
                           enum sk_amqp_outcome outcome) {
    if (link->link == NULL || delivery == NULL) return;
    sk_amqp_settle(link->link, delivery, outcome, NULL);
    flush_soon(link->connection);
}

void sk_amqp_client_grant(struct sk_amqp_client_link *link, int credit) {
    if (link->link == NULL) return;
    sk_amqp_grant(link->link, credit);
    flush_soon(link->connection);
}

/* ---- tokens ---- */

struct putting {
    struct sk_list link;
    struct sk_amqp_connection *connection;
    char id[37];
    char *audience, *token;
    bool sent;
    struct sk_timer limit;
    sk_amqp_token_done *done;
    void *arg;
};

/* `why` without a status: it was taken. NULL: nobody is to be told. */
static void end_token(struct putting *p, const struct sk_amqp_failure *why) {
    sk_list_remove(&p->link);
    sk_timer_stop(&p->limit);
    if (why) p->done(p->arg, why->status ? why : NULL);
    free(p->audience);
    free(p->token);
    free(p);
}

static void end_tokens(struct sk_amqp_connection *c, const struct sk_amqp_failure *why) {
    while (!sk_list_empty(&c->tokens))
        end_token(SK_LIST_FIRST(&c->tokens, struct putting, link), c->dead ? NULL : why);
}

static void on_token_limit(struct sk_timer *timer) {
    struct putting *p = SK_CONTAINER(timer, struct putting, limit);
    struct sk_amqp_connection *c = p->connection;
    c->busy++;
    end_token(p, &(struct sk_amqp_failure){.status = SK_TIMEOUT});
    leave(c);
}

static void send_tokens(struct sk_amqp_client_link *link) {
    struct sk_amqp_connection *c = link->connection;
    if (!c->cbs_in.ready) return;
    SK_LIST_EACH(&c->tokens, node, following) {
        struct putting *p = SK_CONTAINER(node, struct putting, link);
        if (p->sent) continue;
        if (!sk_amqp_client_writable(&c->cbs_out)) return;
        struct sk_amqp_field fields[] = {
            {SK_SPAN("operation"), SK_AMQP_VALUE_STRING(SK_SPAN("put-token"))},
            {SK_SPAN("type"), SK_AMQP_VALUE_STRING(SK_SPAN("servicebus.windows.net:sastoken"))},
            {SK_SPAN("name"), SK_AMQP_VALUE_STRING(sk_span_z(p->audience))}};
        p->sent = true;
        sk_amqp_client_send(
            &c->cbs_out,
            &(struct sk_amqp_message){.message_id = SK_AMQP_VALUE_STRING(sk_span_z(p->id)),
                                      .to = SK_SPAN("$cbs"),
                                      .reply_to = SK_SPAN("cbs"),
                                      .application = fields,
                                      .application_count = 3,
                                      .value = SK_AMQP_VALUE_STRING(sk_span_z(p->token))},
            false, NULL); /* unsettled: the server's credit paces us */
    }
}

static void token_answer(struct sk_amqp_client_link *link, struct sk_amqp_delivery *delivery,
                         const struct sk_amqp_message *message) {
    struct sk_amqp_connection *c = link->connection;
    struct sk_span id = sk_amqp_text(&message->correlation_id, &c->arena);
    const struct sk_amqp_value *code =
        sk_amqp_find(message->application, message->application_count, "status-code");
    const struct sk_amqp_value *text =
        sk_amqp_find(message->application, message->application_count, "status-description");
    sk_amqp_client_settle(link, delivery, SK_AMQP_ACCEPTED);
    SK_LIST_EACH(&c->tokens, node, following) {
        struct putting *p = SK_CONTAINER(node, struct putting, link);
        if (!sk_span_is(id, p->id)) continue;
        bool fine = code && code->type == SK_AMQP_LONG && code->i / 100 == 2;
        end_token(p, &(struct sk_amqp_failure){.status = fine ? SK_OK : SK_REFUSED,
                                               .condition = SK_SPAN("amqp:unauthorized-access"),
                                               .description =
                                                   text ? sk_amqp_text(text, &c->arena) : SK_NONE});
        return;
    }
}

static void token_link_gone(struct sk_amqp_client_link *link, const struct sk_amqp_error *error) {
    struct sk_amqp_connection *c = link->connection;
    sk_amqp_client_detach(link == &c->cbs_in ? &c->cbs_out : &c->cbs_in);
    end_tokens(c, &(struct sk_amqp_failure){.status = SK_REFUSED,
                                            .condition = error->condition,
                                            .description = error->description});
}

static const struct sk_amqp_link_events cbs_in_events = {
    .ready = send_tokens, .transfer = token_answer, .detached = token_link_gone};
static const struct sk_amqp_link_events cbs_out_events = {.writable = send_tokens,
                                                          .detached = token_link_gone};

void sk_amqp_connection_put_token(struct sk_amqp_connection *c, struct sk_span audience,
                                  struct sk_span token, sk_amqp_token_done *done, void *arg) {
    struct putting *p = SK_NEW(struct putting);
    p->connection = c;
    p->done = done;
    p->arg = arg;
    p->audience = sk_span_dup(audience);
    p->token = sk_span_dup(token);
    sk_io_guid(c->io, p->id);
    sk_list_append(&c->tokens, &p->link);
    sk_timer_start(c->io, &p->limit, TOKEN_S * SK_S, on_token_limit);
    if (c->cbs_out.link == NULL) {
        sk_amqp_client_attach(
            c, &c->cbs_in,
            &(struct sk_amqp_link_options){.address = "$cbs", .local_address = "cbs", .credit = 10},
            &cbs_in_events);
        sk_amqp_client_attach(c, &c->cbs_out,
                              &(struct sk_amqp_link_options){.address = "$cbs", .sender = true},
                              &cbs_out_events);
    } else {
        send_tokens(&c->cbs_out);
    }
}

/* ---- the stream and the clock ---- */

static void on_tick(struct sk_timer *timer) {
    struct sk_amqp_connection *c = SK_CONTAINER(timer, struct sk_amqp_connection, tick);
    uint64_t now_ms = sk_io_now(c->io) / SK_MS;
    c->busy++;
    uint64_t next_ms = sk_amqp_tick(c->amqp, now_ms);
    uint64_t wait_ms = next_ms > now_ms ? next_ms - now_ms : IDLE_MS;
    if (!c->dead && !c->ending) sk_timer_start(c->io, &c->tick, wait_ms * SK_MS, on_tick);
    after_engine(c);
}

static void on_stream_open(struct sk_stream *stream, void *arg) {
    (void)stream;
    struct sk_amqp_connection *c = arg;
    c->busy++;
    sk_timer_start(c->io, &c->tick, SK_S, on_tick);
    after_engine(c);
}

static void on_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    (void)stream;
    struct sk_amqp_connection *c = arg;
    c->busy++;
    sk_amqp_feed(c->amqp, bytes);
    after_engine(c);
}

static void on_drain(struct sk_stream *stream, void *arg) {
    (void)stream;
    struct sk_amqp_connection *c = arg;
    c->busy++;
    c->congested = false;
    tell_all_writable(c);
    after_engine(c);
}

static void on_stream_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream;
    struct sk_amqp_connection *c = arg;
    c->stream = NULL;
    c->busy++;
    end(c, &(struct sk_amqp_failure){.status = reason == SK_OK ? SK_CLOSED : reason});
    leave(c);
}

static void on_data_ignored(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    (void)stream, (void)arg, (void)bytes;
}

static void on_close_ignored(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream, (void)arg, (void)reason;
}

static const struct sk_stream_events stream_events = {.on_open = on_stream_open,
                                                      .on_data = on_data,
                                                      .on_drain = on_drain,
                                                      .on_close = on_stream_close};
static const struct sk_stream_events no_events = {.on_data = on_data_ignored,
                                                  .on_close = on_close_ignored};

struct sk_amqp_connection *
sk_amqp_connection_new(struct sk_io *io, const struct sk_amqp_connection_options *options) {
    struct sk_amqp_connection *c = SK_NEW(struct sk_amqp_connection);
    char container[64] = "skerry-";
    c->io = io;
    c->options = *options;
    sk_list_init(&c->links);
    sk_list_init(&c->tokens);
    sk_io_guid(io, container + strlen(container));
    c->amqp = sk_amqp_new(&(struct sk_amqp_options){.container = container,
                                                    .host_name = options->host_name
                                                                     ? options->host_name
                                                                     : options->dial.to.host,
                                                    .idle_timeout_ms = IDLE_MS,
                                                    .user = options->user,
                                                    .password = options->password,
                                                    .sasl_anonymous = options->user == NULL},
                          &engine_events, c);
    c->stream = sk_dial(io, &options->dial, &stream_events, c);
    sk_timer_start(io, &c->limit, OPEN_S * SK_S, on_limit);
    return c;
}
