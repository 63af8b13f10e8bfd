#include "support/raw_amqp.h"

static void raw_amqp_write(void *arg, struct sk_span bytes) {
    struct raw_amqp *c = arg;
    if (c->stream) sk_stream_write(c->stream, bytes);
}

void raw_amqp_flush(struct raw_amqp *c) {
    if (c->fed || !c->ready) return;
    if (c->stream && c->amqp) sk_amqp_flush(c->amqp, raw_amqp_write, c);
    if (c->over && c->stream) sk_stream_close(c->stream);
}

/* ---- what the engine tells ---- */

void raw_copy(char *to, size_t size, struct sk_span from) {
    snprintf(to, size, "%.*s", SK_ARG(from));
}

static void raw_amqp_on_open(void *arg, struct sk_span host) {
    (void)host;
    ((struct raw_amqp *)arg)->open = true;
}

static void raw_amqp_on_attach(void *arg, struct sk_amqp_link *amqp) {
    (void)arg;
    ((struct raw_link *)sk_amqp_link_data(amqp))->answered = true;
}

void raw_link_forget(struct raw_link *link) {
    if (link->come.next == NULL) return;
    SK_LIST_EACH(&link->come, node, following) {
        struct raw_transfer *t = SK_CONTAINER(node, struct raw_transfer, link);
        sk_list_remove(node);
        sk_buffer_free(&t->bytes);
        free(t);
    }
}

static void raw_amqp_on_detach(void *arg, struct sk_amqp_link *amqp,
                               const struct sk_amqp_error *error) {
    (void)arg;
    struct raw_link *link = sk_amqp_link_data(amqp);
    link->amqp = NULL;
    raw_copy(link->condition, sizeof link->condition, error->condition);
    raw_copy(link->text, sizeof link->text, error->description);
    raw_link_forget(link);
    if (link->on_gone) link->on_gone(link);
}

static void raw_amqp_on_transfer(void *arg, struct sk_amqp_link *amqp,
                                 struct sk_amqp_delivery *delivery, struct sk_span payload) {
    struct raw_amqp *c = arg;
    struct raw_link *link = sk_amqp_link_data(amqp);
    if (link->on_transfer) {
        struct sk_amqp_message message;
        sk_arena_reset(&c->arena);
        assert_int_equal(sk_amqp_decode(payload, &c->arena, &message), SK_OK);
        link->on_transfer(link, delivery, &message);
        return;
    }
    struct raw_transfer *t = SK_NEW(struct raw_transfer);
    t->delivery = delivery;
    sk_buffer_append(&t->bytes, payload);
    sk_list_append(&link->come, &t->link);
}

static void raw_amqp_on_outcome(void *arg, struct sk_amqp_link *amqp, void *data,
                                enum sk_amqp_outcome outcome, const struct sk_amqp_error *error) {
    (void)arg;
    struct raw_link *link = sk_amqp_link_data(amqp);
    /* Trap 10: SDKs take anything but accepted, and rejected with an error, for a success. */
    assert_true(outcome == SK_AMQP_ACCEPTED ||
                (outcome == SK_AMQP_REJECTED && error->condition.n > 0));
    if (outcome == SK_AMQP_ACCEPTED)
        link->accepted++;
    else
        link->rejected++;
    raw_copy(link->rejection, sizeof link->rejection, error->condition);
    if (link->on_verdict) link->on_verdict(link, data, outcome == SK_AMQP_ACCEPTED);
}

static void raw_amqp_on_credit(void *arg, struct sk_amqp_link *amqp) {
    (void)arg;
    struct raw_link *link = sk_amqp_link_data(amqp);
    if (link->on_credit) link->on_credit(link);
}

static void raw_amqp_on_end(void *arg, const struct sk_amqp_error *error) {
    struct raw_amqp *c = arg;
    c->over = true;
    raw_copy(c->condition, sizeof c->condition, error->condition);
}

static const struct sk_amqp_events raw_amqp_events = {.on_open = raw_amqp_on_open,
                                                      .on_attach = raw_amqp_on_attach,
                                                      .on_detach = raw_amqp_on_detach,
                                                      .on_transfer = raw_amqp_on_transfer,
                                                      .on_outcome = raw_amqp_on_outcome,
                                                      .on_credit = raw_amqp_on_credit,
                                                      .on_close = raw_amqp_on_end};

/* ---- the stream ---- */

static void raw_amqp_on_stream(struct sk_stream *stream, void *arg) {
    (void)stream;
    ((struct raw_amqp *)arg)->ready = true;
    raw_amqp_flush(arg);
}

static void raw_amqp_on_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    (void)stream;
    struct raw_amqp *c = arg;
    c->fed = true;
    sk_amqp_feed(c->amqp, bytes);
    c->fed = false;
    raw_amqp_flush(c);
}

static void raw_amqp_on_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream;
    (void)reason;
    struct raw_amqp *c = arg;
    c->stream = NULL;
    sk_timer_stop(&c->tick);
    if (c->amqp) sk_amqp_feed_end(c->amqp);
}

static const struct sk_stream_events raw_amqp_stream_events = {
    .on_open = raw_amqp_on_stream, .on_data = raw_amqp_on_data, .on_close = raw_amqp_on_close};

static void raw_amqp_on_tick(struct sk_timer *timer) {
    struct raw_amqp *c = SK_CONTAINER(timer, struct raw_amqp, tick);
    c->fed = true;
    sk_amqp_tick(c->amqp, sk_io_now(timer->io) / SK_MS);
    c->fed = false;
    raw_amqp_flush(c);
    if (c->stream) sk_timer_start(timer->io, timer, 60 * SK_S, raw_amqp_on_tick);
}

/* ---- connecting ---- */

void raw_amqp_dial(struct raw_amqp *c, struct fleet *f, const struct raw_amqp_options *options) {
    const char *host = options->host ? options->host : "hub.test";
    *c = (struct raw_amqp){.f = f};
    c->amqp = sk_amqp_new(&(struct sk_amqp_options){.container = "test",
                                                    .host_name = options->nameless ? NULL : host,
                                                    .idle_timeout_ms = 120000,
                                                    .user = options->user,
                                                    .password = options->password,
                                                    .sasl_anonymous = options->anonymous},
                          &raw_amqp_events, c);
    c->stream =
        sk_dial(f->field_io,
                &(struct sk_dial_options){.to = {.host = host, .port = 8883},
                                          .subprotocol = options->websocket ? "AMQPWSB10" : NULL},
                &raw_amqp_stream_events, c);
    sk_timer_start(f->field_io, &c->tick, 60 * SK_S, raw_amqp_on_tick);
}

bool raw_amqp_is_closed(void *arg) {
    return ((struct raw_amqp *)arg)->stream == NULL;
}

bool raw_amqp_is_settled(void *arg) {
    return ((struct raw_amqp *)arg)->open || raw_amqp_is_closed(arg);
}

void raw_amqp_open(struct raw_amqp *c, struct fleet *f, const struct raw_amqp_options *options) {
    raw_amqp_dial(c, f, options);
    assert_true(sk_sim_run_until(f->sim, 60 * SK_S, raw_amqp_is_settled, c));
    assert_true(c->open);
}

void raw_amqp_free(struct raw_amqp *c) {
    if (c->amqp == NULL) return;
    if (c->stream) sk_stream_abort(c->stream);
    assert_true(sk_sim_run_until(c->f->sim, 60 * SK_S, raw_amqp_is_closed, c));
    sk_amqp_free(c->amqp);
    sk_arena_free(&c->arena);
    sk_buffer_free(&c->last);
    c->amqp = NULL;
}

/* ---- links ---- */

void raw_link_begin(struct raw_amqp *c, struct raw_link *link,
                    struct sk_amqp_link_options options) {
    char name[32];
    if (options.name == NULL) {
        snprintf(name, sizeof name, "link-%u", c->links++);
        options.name = name;
    }
    raw_link_forget(link);
    link->connection = c;
    link->answered = false;
    link->condition[0] = link->text[0] = 0;
    sk_list_init(&link->come);
    link->amqp = sk_amqp_open_link(c->amqp, &options);
    sk_amqp_link_set_data(link->amqp, link);
    raw_amqp_flush(c);
}

bool raw_link_is_decided(void *arg) {
    struct raw_link *link = arg;
    return link->amqp == NULL || (link->answered && (!sk_amqp_link_is_sender(link->amqp) ||
                                                     sk_amqp_link_credit(link->amqp) > 0));
}

void raw_link_sender(struct raw_amqp *c, struct raw_link *link, const char *address) {
    raw_link_begin(c, link, (struct sk_amqp_link_options){.address = address, .sender = true});
    assert_true(sk_sim_run_until(c->f->sim, 60 * SK_S, raw_link_is_decided, link));
}

void raw_link_receiver(struct raw_amqp *c, struct raw_link *link, const char *address, int credit) {
    raw_link_begin(c, link, (struct sk_amqp_link_options){.address = address, .credit = credit});
    assert_true(sk_sim_run_until(c->f->sim, 60 * SK_S, raw_link_is_decided, link));
    sk_sim_run(c->f->sim, 100 * SK_MS);
}

static bool raw_link_is_gone(void *arg) {
    return ((struct raw_link *)arg)->amqp == NULL;
}

void raw_link_expect_end(struct raw_link *link, const char *condition) {
    sk_sim_run_until(link->connection->f->sim, 3600 * SK_S, raw_link_is_gone, link);
    if (link->amqp) fail_msg("the link is still there");
    assert_string_equal(link->condition, condition);
}

/* ---- sending ---- */

void raw_link_send_message(struct raw_link *link, const struct sk_amqp_message *message,
                           void *data) {
    struct raw_amqp *c = link->connection;
    struct sk_buffer bytes = {0};
    sk_amqp_encode(&bytes, message);
    sk_amqp_send(link->amqp, SK_NONE, sk_buffer_span(&bytes), false, data);
    sk_buffer_free(&bytes);
    raw_amqp_flush(c);
}

void raw_link_send(struct raw_link *link, struct sk_span body) {
    raw_link_send_message(link, &(struct sk_amqp_message){.data = &body, .data_count = 1}, NULL);
}

struct raw_waiting {
    struct raw_link *link;
    size_t verdicts;
};

static bool raw_has_verdicts(void *arg) {
    struct raw_waiting *w = arg;
    return w->link->accepted + w->link->rejected >= w->verdicts || w->link->amqp == NULL;
}

void raw_link_wait(struct raw_link *link, size_t verdicts) {
    sk_sim_run_until(link->connection->f->sim, 60 * SK_S, raw_has_verdicts,
                     &(struct raw_waiting){link, verdicts});
}

const char *raw_link_try(struct raw_link *link, struct sk_span body) {
    size_t before = link->accepted;
    raw_link_send(link, body);
    raw_link_wait(link, link->accepted + link->rejected + 1);
    if (link->accepted > before) return NULL;
    return link->amqp ? link->rejection : link->condition;
}

/* ---- receiving ---- */

static bool raw_link_has_come(void *arg) {
    struct raw_link *link = arg;
    return !sk_list_empty(&link->come) || link->amqp == NULL;
}

bool raw_link_next(struct raw_link *link, struct sk_amqp_message *message,
                   struct sk_amqp_delivery **delivery) {
    struct raw_amqp *c = link->connection;
    sk_sim_run_until(c->f->sim, 60 * SK_S, raw_link_has_come, link);
    if (link->amqp == NULL || sk_list_empty(&link->come)) return false;
    struct raw_transfer *t = SK_CONTAINER(link->come.next, struct raw_transfer, link);
    sk_list_remove(&t->link);
    sk_buffer_free(&c->last);
    c->last = t->bytes;
    *delivery = t->delivery;
    free(t);
    sk_arena_reset(&c->arena);
    assert_int_equal(sk_amqp_decode(sk_buffer_span(&c->last), &c->arena, message), SK_OK);
    return true;
}

void raw_link_settle(struct raw_link *link, struct sk_amqp_delivery *delivery,
                     enum sk_amqp_outcome outcome) {
    sk_amqp_settle(link->amqp, delivery, outcome, NULL);
    raw_amqp_flush(link->connection);
}

/* ---- tokens ---- */

static void raw_amqp_on_answer(struct raw_link *link, struct sk_amqp_delivery *delivery,
                               const struct sk_amqp_message *message) {
    struct raw_amqp *c = link->connection;
    const struct sk_amqp_value *status =
        sk_amqp_find(message->application, message->application_count, "status-code");
    assert_non_null(status);
    c->answers++;
    c->status = (int)status->i;
    if (delivery) sk_amqp_settle(link->amqp, delivery, SK_AMQP_ACCEPTED, NULL);
    if (c->on_token) c->on_token(c, sk_amqp_text(&message->correlation_id, &c->arena), c->status);
}

void raw_amqp_open_cbs(struct raw_amqp *c) {
    c->cbs_in.on_transfer = raw_amqp_on_answer;
    raw_link_begin(c, &c->cbs_out,
                   (struct sk_amqp_link_options){.address = "$cbs", .sender = true});
    raw_link_begin(c, &c->cbs_in,
                   (struct sk_amqp_link_options){.address = "$cbs", .credit = 20000});
}

void raw_amqp_put_token(struct raw_amqp *c, const char *id, const char *scope, const char *key,
                        const char *policy, int64_t life_s) {
    struct sk_buffer token = {0};
    sk_sas_create(&token, sk_span_z(scope), sk_span_z(key ? key : FLEET_KEY), sk_span_z(policy),
                  sk_io_wall(c->f->field_io) / 1000000 + life_s);
    struct sk_amqp_field properties[] = {
        {SK_SPAN("operation"), SK_AMQP_VALUE_STRING(SK_SPAN("put-token"))},
        {SK_SPAN("type"), SK_AMQP_VALUE_STRING(SK_SPAN("servicebus.windows.net:sastoken"))},
        {SK_SPAN("name"), SK_AMQP_VALUE_STRING(sk_span_z(scope))}};
    raw_link_send_message(
        &c->cbs_out,
        &(struct sk_amqp_message){.message_id = SK_AMQP_VALUE_STRING(sk_span_z(id)),
                                  .to = SK_SPAN("$cbs"),
                                  .reply_to = SK_SPAN("cbs"),
                                  .application = properties,
                                  .application_count = 3,
                                  .value = SK_AMQP_VALUE_STRING(sk_buffer_span(&token))},
        NULL);
    sk_buffer_free(&token);
}

struct raw_answers {
    struct raw_amqp *connection;
    unsigned count;
};

static bool raw_amqp_has_answers(void *arg) {
    struct raw_answers *w = arg;
    return w->connection->answers >= w->count || w->connection->stream == NULL;
}

int raw_amqp_token_of(struct raw_amqp *c, const char *scope, const char *key, const char *policy,
                      int64_t life_s) {
    struct raw_answers wait = {c, c->answers + 1};
    if (c->cbs_out.amqp == NULL) raw_amqp_open_cbs(c);
    assert_true(sk_sim_run_until(c->f->sim, 60 * SK_S, raw_link_is_decided, &c->cbs_out));
    raw_amqp_put_token(c, "id", scope, key, policy, life_s);
    sk_sim_run_until(c->f->sim, 60 * SK_S, raw_amqp_has_answers, &wait);
    return c->answers == wait.count ? c->status : 0;
}

void raw_amqp_prove(struct raw_amqp *c, const char *device) {
    char scope[256];
    snprintf(scope, sizeof scope, "hub.test/devices/%s", device);
    assert_int_equal(raw_amqp_token_of(c, scope, NULL, NULL, 3600), 200);
}
