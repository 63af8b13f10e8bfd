/* What every protocol needs: the queue of messages, twin operations, attempts and their
 * back-off. */
#include "device/parts.h"
#include "model/identity.h"

enum {
    TWIN_S = 60,
    IN_FLIGHT_MAX = 1000,
};

static void on_attempt(struct sk_timer *timer);

void client_enter(struct sk_device_client *client) {
    client->busy++;
}

static void destroy(struct sk_device_client *client) {
    SK_ASSERT(sk_list_empty(&client->outgoing) && sk_list_empty(&client->twin_operations));
    client->protocol->free(client);
    free(client->model_id);
    sk_arena_free(&client->texts);
    free(client);
}

void client_leave(struct sk_device_client *client) {
    SK_ASSERT(client->busy);
    if (--client->busy == 0 && client->dead) destroy(client);
}

const struct sk_device_events *client_events(const struct sk_device_client *client) {
    static const struct sk_device_events none;
    return client->options.events ? client->options.events : &none;
}

static struct sk_span copy(struct sk_device_client *client, struct sk_span text) {
    return text.n ? sk_arena_copy(&client->texts, text) : SK_NONE;
}

/* An id as it may stand in a topic: wildcards are legal in ids and illegal in topics. */
static struct sk_span for_topic(struct sk_device_client *client, struct sk_span id) {
    if (id.n == 0 || sk_mqtt_topic_valid(id)) return id;
    struct sk_buffer encoded = {0};
    sk_percent_encode(&encoded, id);
    id = copy(client, sk_buffer_span(&encoded));
    sk_buffer_free(&encoded);
    return id;
}

static void use_mqtt(struct sk_device_client *client, const char *proxy) {
    client->protocol = &client_mqtt;
    client->mqtt.topic_device = for_topic(client, client->options.device_id);
    client->mqtt.topic_module = for_topic(client, client->options.module_id);
    if (proxy == NULL) return;
    enum sk_status status = sk_proxy_parse(sk_span_z(proxy), &client->texts, &client->mqtt.proxy);
    SK_ASSERT(status == SK_OK);
}

struct sk_device_client *sk_device_client_new(struct sk_io *io,
                                              const struct sk_device_client_options *options) {
    struct sk_device_client *client = SK_NEW(struct sk_device_client);
    client->io = io;
    struct sk_device_client_options *own = &client->options;
    *own = *options;
    own->host = sk_arena_text(&client->texts, options->host);
    own->server_name = sk_arena_text(&client->texts, options->server_name);
    own->hub_host = copy(client, options->hub_host);
    own->device_id = copy(client, options->device_id);
    own->module_id = copy(client, options->module_id);
    own->auth_chain = copy(client, options->auth_chain);
    own->product =
        copy(client, options->product.n ? options->product : SK_SPAN("skerry/" SK_VERSION));
    sk_device_client_model(client, options->model_id);
    own->key = copy(client, options->key);
    own->policy = copy(client, options->policy);
    if (own->port == 0) own->port = own->websocket ? 443 : 8883;
    if (own->token_life_s == 0) own->token_life_s = 3600;
    if (own->keep_alive_s == 0) own->keep_alive_s = 60;
    if (own->in_flight_max == 0) own->in_flight_max = 64;
    if (own->in_flight_max > IN_FLIGHT_MAX) own->in_flight_max = IN_FLIGHT_MAX;
    if (own->queue_max == 0) own->queue_max = 16u << 20;
    if (own->retry_min_ms == 0) own->retry_min_ms = 1000;
    if (own->retry_max_ms == 0) own->retry_max_ms = 60000;
    sk_list_init(&client->outgoing);
    client->unsent = &client->outgoing;
    sk_list_init(&client->twin_operations);
    if (options->mux)
        ((struct mux_face *)options->mux)->adopt(options->mux, client);
    else
        use_mqtt(client, options->proxy);
    sk_timer_start(io, &client->timer, 0, on_attempt);
    return client;
}

/* Nothing is in flight any more. */
static void interrupted(struct sk_device_client *client) {
    SK_LIST_EACH(&client->outgoing, node, following)
    SK_CONTAINER(node, struct outgoing, link)->in_flight = false;
    SK_LIST_EACH(&client->twin_operations, waiting, after)
    SK_CONTAINER(waiting, struct twin_operation, link)->sent = false;
    client->unsent = client->outgoing.next;
    client->in_flight = 0;
}

void client_end_connection(struct sk_device_client *client, bool politely) {
    client->protocol->drop(client, politely && client->state == CLIENT_CONNECTED);
    sk_timer_stop(&client->timer);
    client->state = CLIENT_WAITING;
    client->ready = false;
    interrupted(client);
}

static void end_everything(struct sk_device_client *client);

void sk_device_client_free(struct sk_device_client *client) {
    if (client == NULL || client->dead) return;
    client_enter(client);
    client->dead = true;
    client_end_connection(client, true);
    end_everything(client);
    client_leave(client);
}

bool sk_device_client_is_connected(const struct sk_device_client *client) {
    return client->ready;
}

bool sk_device_client_fell_back(const struct sk_device_client *client) {
    const struct sk_device_mux *mux = client->options.mux;
    return mux ? ((const struct mux_face *)mux)->fell_back(mux) : client->options.fallback_first;
}

/* --- attempts --- */

uint64_t client_retry_delay(struct sk_io *io, unsigned failures, uint32_t min_ms, uint32_t max_ms) {
    uint64_t delay = min_ms * SK_MS, most = max_ms * SK_MS;
    for (unsigned i = 1; i < failures && delay < most; i++) delay *= 2;
    if (delay > most) delay = most;
    uint64_t random;
    sk_io_random(io, &random, sizeof random);
    return delay / 2 + random % (delay / 2 + 1);
}

static void note_unanswered(const struct sk_device_client *client, struct sk_client_down *why) {
    why->messages = client->in_flight;
    why->reports = why->twin_gets = 0;
    SK_LIST_EACH(&client->twin_operations, node, following) {
        const struct twin_operation *one = SK_CONTAINER(node, struct twin_operation, link);
        if (one->sent) ++*(one->report ? &why->reports : &why->twin_gets);
    }
}

void client_lost(struct sk_device_client *client, struct sk_client_down why) {
    bool lasted = client->state == CLIENT_CONNECTED &&
                  sk_io_now(client->io) - client->connected_ns >= STABLE_S * SK_S;
    note_unanswered(client, &why);
    client_end_connection(client, false);
    client->failures = lasted ? 1 : client->failures + 1;
    if (why.retry_ns == 0) {
        why.retry_ns =
            client_retry_delay(client->io, client->failures, client->options.retry_min_ms,
                               client->options.retry_max_ms);
        sk_timer_start(client->io, &client->timer, why.retry_ns, on_attempt);
    }
    if (client_events(client)->disconnected)
        client_events(client)->disconnected(client->options.arg, &why);
}

static void on_step_limit(struct sk_timer *timer) {
    struct sk_device_client *client = SK_CONTAINER(timer, struct sk_device_client, timer);
    client_enter(client);
    client_lost(client, (struct sk_client_down){.reason = SK_TIMEOUT});
    client_leave(client);
}

void client_limit_step(struct sk_device_client *client) {
    sk_timer_start(client->io, &client->timer, STEP_S * SK_S, on_step_limit);
}

static void on_attempt(struct sk_timer *timer) {
    struct sk_device_client *client = SK_CONTAINER(timer, struct sk_device_client, timer);
    client_enter(client);
    client->protocol->attempt(client);
    client_leave(client);
}

void client_ready(struct sk_device_client *client, bool session_present) {
    SK_ASSERT(client->state == CLIENT_CONNECTED && !client->ready);
    client->ready = true;
    client->progress_ns = sk_io_now(client->io);
    client_pump_twin(client);
    if (client_events(client)->connected)
        client_events(client)->connected(client->options.arg, session_present);
}

/* --- telemetry --- */

void client_sent(struct outgoing *one, enum sk_status status) {
    struct sk_device_client *client = one->client;
    SK_ASSERT(client->outgoing_count && client->outgoing_bytes >= one->packet.n);
    SK_ASSERT(one->in_flight ? client->in_flight : client->dead);
    sk_list_remove(&one->link);
    client->outgoing_count--;
    client->outgoing_bytes -= one->packet.n;
    if (one->in_flight) client->in_flight--;
    client->progress_ns = sk_io_now(client->io);
    if (one->done) one->done(one->arg, status);
    sk_buffer_free(&one->packet);
    free(one);
}

void sk_device_client_model(struct sk_device_client *client, struct sk_span model_id) {
    sk_identity_set(&client->model_id, model_id);
    client->options.model_id = sk_span_z(client->model_id);
}

enum sk_status sk_device_client_send(struct sk_device_client *client,
                                     const struct sk_message *message, sk_sent_fn *done,
                                     void *arg) {
    if (client->dead) return SK_CLOSED;
    if (sk_message_size(message) > SK_MESSAGE_MAX) return SK_TOO_LARGE;
    struct outgoing *one = SK_NEW(struct outgoing);
    enum sk_status status = client->protocol->encode(client, message, one);
    if (status == SK_OK && client->outgoing_bytes + one->packet.n > client->options.queue_max)
        status = SK_NO_SPACE;
    if (status) {
        sk_buffer_free(&one->packet);
        free(one);
        return status;
    }
    one->client = client;
    one->done = done;
    one->arg = arg;
    if (client->outgoing_count == 0) client->progress_ns = sk_io_now(client->io);
    sk_list_append(&client->outgoing, &one->link);
    if (client->unsent == &client->outgoing) client->unsent = &one->link;
    client->outgoing_count++;
    client->outgoing_bytes += one->packet.n;
    client_pump(client);
    return SK_OK;
}

size_t sk_device_client_waiting(const struct sk_device_client *client) {
    return client->outgoing_count;
}

void client_pump(struct sk_device_client *client) {
    while (client->in_flight < client->options.in_flight_max &&
           client->unsent != &client->outgoing && client->protocol->writable(client)) {
        struct outgoing *one = SK_CONTAINER(client->unsent, struct outgoing, link);
        SK_ASSERT(!one->in_flight);
        client->unsent = one->link.next;
        one->in_flight = true;
        one->sent_ns = sk_io_now(client->io);
        client->in_flight++;
        client->protocol->transmit(client, one);
        one->sent_before = true;
    }
}

bool client_ack_overdue(const struct sk_device_client *client, unsigned limit_s) {
    const struct outgoing *oldest = SK_LIST_FIRST(&client->outgoing, struct outgoing, link);
    uint64_t now = sk_io_now(client->io), limit = limit_s * SK_S;
    if (oldest == NULL) return false;
    return oldest->in_flight ? now - oldest->sent_ns >= limit
                             : client->ready && now - client->progress_ns >= limit;
}

/* --- twin operations --- */

static void finish_twin(struct twin_operation *one, enum sk_status status, unsigned code,
                        struct sk_span body, uint64_t version) {
    sk_list_remove(&one->link);
    sk_timer_stop(&one->timer);
    if (one->done) one->done(one->arg, status, code, body, version);
    sk_buffer_free(&one->body);
    free(one);
}

static void on_twin_limit(struct sk_timer *timer) {
    struct twin_operation *one = SK_CONTAINER(timer, struct twin_operation, timer);
    struct sk_device_client *client = one->client;
    client_enter(client);
    finish_twin(one, SK_TIMEOUT, 0, SK_NONE, 0);
    client_leave(client);
}

void client_pump_twin(struct sk_device_client *client) {
    if (!client->ready) return; /* when the way for the answers stands */
    SK_LIST_EACH(&client->twin_operations, node, following) {
        struct twin_operation *one = SK_CONTAINER(node, struct twin_operation, link);
        if (!one->sent) one->sent = client->protocol->transmit_twin(client, one);
    }
}

static void begin_twin(struct sk_device_client *client, bool report, struct sk_span body,
                       sk_twin_fn *done, void *arg) {
    struct twin_operation *one = SK_NEW(struct twin_operation);
    one->client = client;
    one->report = report;
    sk_buffer_append(&one->body, body);
    one->rid = ++client->last_rid;
    one->done = done;
    one->arg = arg;
    sk_list_append(&client->twin_operations, &one->link);
    if (client->dead)
        return; /* asked from a completion of sk_device_client_free, which ends this one too */
    sk_timer_start(client->io, &one->timer, TWIN_S * SK_S, on_twin_limit);
    client_pump_twin(client);
}

void sk_device_client_get_twin(struct sk_device_client *client, sk_twin_fn *done, void *arg) {
    begin_twin(client, false, SK_NONE, done, arg);
}

void sk_device_client_report(struct sk_device_client *client, struct sk_span patch,
                             sk_twin_fn *done, void *arg) {
    begin_twin(client, true, patch, done, arg);
}

bool client_read_rid(struct sk_span text, uint32_t *rid) {
    static const char digits[] = "0123456789abcdef";
    *rid = 0;
    if (text.n == 0 || text.n > 8) return false;
    for (size_t i = 0; i < text.n; i++) {
        const char *digit = memchr(digits, text.p[i], 16);
        if (digit == NULL) return false;
        *rid = *rid << 4 | (uint32_t)(digit - digits);
    }
    return true;
}

void client_twin_answer(struct sk_device_client *client, uint32_t rid, unsigned code,
                        struct sk_span body, uint64_t version) {
    SK_LIST_EACH(&client->twin_operations, node, following) {
        struct twin_operation *one = SK_CONTAINER(node, struct twin_operation, link);
        if (one->rid != rid) continue;
        finish_twin(one, SK_OK, code, body, version);
        return;
    }
}

/* --- what else a client may ask --- */

void sk_device_client_subscribe(struct sk_device_client *client, unsigned subscriptions) {
    if (client->dead) return;
    client->options.subscriptions = subscriptions;
    client->protocol->subscribe(client);
}

void sk_device_client_answer(struct sk_device_client *client, struct sk_span rid, int status,
                             struct sk_span payload) {
    if (client->state == CLIENT_CONNECTED) client->protocol->answer(client, rid, status, payload);
}

void sk_device_client_settle(struct sk_device_client *client, struct sk_delivery delivery,
                             enum sk_outcome outcome) {
    if (client->state == CLIENT_CONNECTED && delivery.id &&
        delivery.connection == client->connection)
        client->protocol->settle(client, delivery, outcome);
}

bool sk_device_client_knows_outcomes(const struct sk_device_client *client) {
    return client->protocol->knows_outcomes;
}

/* Ends everything that waits with SK_CLOSED. */
static void end_everything(struct sk_device_client *client) {
    while (!sk_list_empty(&client->outgoing))
        client_sent(SK_LIST_FIRST(&client->outgoing, struct outgoing, link), SK_CLOSED);
    while (!sk_list_empty(&client->twin_operations))
        finish_twin(SK_LIST_FIRST(&client->twin_operations, struct twin_operation, link), SK_CLOSED,
                    0, SK_NONE, 0);
}
