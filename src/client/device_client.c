/* The connection: tokens, connecting, keep-alive, back-off. What goes over it is in
 * device_traffic.c. */
#include "client/device_client_parts.h"
#include "client/dial.h"
#include "wire/sas.h"

#include <assert.h>

enum {
    STEP_S = 30, /* for a token; for TCP, TLS and CONNACK together */
    PONG_S = 30,
    ACK_S = 120,   /* a PUBACK later than this will not come */
    STABLE_S = 30, /* a connection that lasted so long forgives earlier failures */
    RENEW_RETRY_S = 60,
    RENEW_WAIT_S = 10, /* for what is in flight when the token is renewed */
    PACKET_MAX =
        SK_MESSAGE_MAX + 2 * SK_MQTT_TEXT_MAX, /* remaining length of a packet from the server */
    KEPT_IN = 4096,
    IN_FLIGHT_MAX = 1000,
};

static void on_attempt(struct sk_timer *timer);
static const struct sk_stream_events stream_events;
static const struct sk_stream_events no_events;

void client_enter(struct sk_device_client *client) {
    client->busy++;
}

static void destroy(struct sk_device_client *client) {
    sk_buffer_free(&client->token);
    sk_buffer_free(&client->in);
    sk_arena_free(&client->arena);
    sk_arena_free(&client->texts);
    free(client);
}

void client_leave(struct sk_device_client *client) {
    if (--client->busy == 0 && client->dead) destroy(client);
}

static const char *copy_z(struct sk_device_client *client, const char *text) {
    return text ? sk_arena_copy(&client->texts, sk_span_z(text)).p : NULL;
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

struct sk_device_client *sk_device_client_new(struct sk_io *io,
                                              const struct sk_device_client_options *options) {
    struct sk_device_client *client = SK_NEW(struct sk_device_client);
    client->io = io;
    struct sk_device_client_options *own = &client->options;
    *own = *options;
    own->host = copy_z(client, options->host);
    own->server_name = copy_z(client, options->server_name);
    if (options->proxy) {
        enum sk_status status =
            sk_proxy_parse(sk_span_z(options->proxy), &client->texts, &client->proxy);
        assert(status == SK_OK);
        (void)status;
    }
    own->hub_host = copy(client, options->hub_host);
    own->device_id = copy(client, options->device_id);
    own->module_id = copy(client, options->module_id);
    own->auth_chain = copy(client, options->auth_chain);
    own->product =
        copy(client, options->product.n ? options->product : SK_SPAN("skerry/" SK_VERSION));
    own->model_id = copy(client, options->model_id);
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
    client->topic_device = for_topic(client, own->device_id);
    client->topic_module = for_topic(client, own->module_id);
    sk_list_init(&client->outgoing);
    client->unsent = &client->outgoing;
    sk_list_init(&client->twin_operations);
    sk_timer_start(io, &client->timer, 0, on_attempt);
    return client;
}

/* Lets go of the stream; it closes by itself. */
static void drop_stream(struct sk_device_client *client, bool politely) {
    struct sk_stream *stream = client->stream;
    if (stream == NULL) return;
    client->stream = NULL;
    sk_stream_handle(stream, &no_events, NULL);
    if (!politely) {
        sk_stream_abort(stream);
        return;
    }
    sk_mqtt_put_bare(sk_stream_output(stream), SK_MQTT_DISCONNECT);
    sk_stream_flush(stream);
    sk_stream_close(stream);
}

static void end_connection(struct sk_device_client *client, bool politely) {
    drop_stream(client, politely && client->state == CLIENT_CONNECTED);
    sk_timer_stop(&client->timer);
    sk_timer_stop(&client->ping);
    sk_timer_stop(&client->renew);
    client->state = CLIENT_WAITING;
    client->ready = client->pong_due = client->renewing = false;
    sk_buffer_shrink(&client->in, 0);
    traffic_interrupted(client);
}

void sk_device_client_free(struct sk_device_client *client) {
    if (client == NULL || client->dead) return;
    client_enter(client);
    client->dead = true;
    end_connection(client, true);
    traffic_end(client);
    client_leave(client);
}

bool sk_device_client_is_connected(const struct sk_device_client *client) {
    return client->ready;
}

/* --- attempts --- */

/* Doubles from retry_min_ms to retry_max_ms; the last half is drawn, so that many clients do not
 * come back at once. */
static uint64_t retry_delay(struct sk_device_client *client) {
    uint64_t delay = client->options.retry_min_ms * SK_MS,
             most = client->options.retry_max_ms * SK_MS;
    for (unsigned i = 1; i < client->failures && delay < most; i++) delay *= 2;
    if (delay > most) delay = most;
    uint64_t random;
    sk_io_random(client->io, &random, sizeof random);
    return delay / 2 + random % (delay / 2 + 1);
}

void client_lost(struct sk_device_client *client, enum sk_status reason, uint8_t connack) {
    bool lasted = client->state == CLIENT_CONNECTED &&
                  sk_io_now(client->io) - client->connected_ns >= STABLE_S * SK_S;
    end_connection(client, false);
    client->failures = lasted ? 1 : client->failures + 1;
    struct sk_client_down down = {
        .reason = reason, .connack = connack, .retry_ns = retry_delay(client)};
    sk_timer_start(client->io, &client->timer, down.retry_ns, on_attempt);
    if (client->options.events && client->options.events->disconnected)
        client->options.events->disconnected(client->options.arg, &down);
}

static void on_step_limit(struct sk_timer *timer) {
    struct sk_device_client *client = SK_CONTAINER(timer, struct sk_device_client, timer);
    client_enter(client);
    client_lost(client, SK_TIMEOUT, 0);
    client_leave(client);
}

static void dial(struct sk_device_client *client) {
    const struct sk_device_client_options *o = &client->options;
    client->state = CLIENT_CONNECTING;
    client->connection++;
    client->stream = sk_dial(client->io,
                             &(struct sk_dial_options){.to = {.host = o->host, .port = o->port},
                                                       .tls = o->tls,
                                                       .server_name = o->server_name,
                                                       .proxy = o->proxy ? &client->proxy : NULL,
                                                       .subprotocol = o->websocket ? "mqtt" : NULL},
                             &stream_events, client);
    sk_timer_start(client->io, &client->timer, STEP_S * SK_S, on_step_limit);
}

static int64_t wall_s(struct sk_device_client *client) {
    return sk_io_wall(client->io) / 1000000;
}

static enum sk_status make_token(struct sk_device_client *client) {
    const struct sk_device_client_options *o = &client->options;
    struct sk_buffer resource = {0};
    sk_buffer_append(&resource, o->hub_host);
    sk_buffer_text(&resource, "/devices/");
    sk_buffer_append(&resource, o->device_id);
    if (o->module_id.n) {
        sk_buffer_text(&resource, "/modules/");
        sk_buffer_append(&resource, o->module_id);
    }
    client->token.n = 0;
    client->token_expiry_s = wall_s(client) + o->token_life_s;
    enum sk_status status = sk_sas_create(&client->token, sk_buffer_span(&resource), o->key,
                                          o->policy, client->token_expiry_s);
    sk_buffer_free(&resource);
    return status;
}

static void ask_for_token(struct sk_device_client *client) {
    if (client->asking) return; /* the answer to the last question will do */
    client->asking = true;
    client->options.get_token(client->options.arg, client, client->options.token_life_s);
}

static void attempt(struct sk_device_client *client) {
    if (client->options.key.n) {
        if (make_token(client))
            client_lost(client, SK_UNAUTHORIZED, 0);
        else
            dial(client);
    } else if (client->options.get_token) {
        client->state = CLIENT_TOKEN;
        sk_timer_start(client->io, &client->timer, STEP_S * SK_S, on_step_limit);
        ask_for_token(client);
    } else {
        dial(client); /* the certificate in `tls` speaks for the client */
    }
}

static void on_attempt(struct sk_timer *timer) {
    struct sk_device_client *client = SK_CONTAINER(timer, struct sk_device_client, timer);
    client_enter(client);
    attempt(client);
    client_leave(client);
}

/* --- renewal --- */

/* MQTT 3.1.1 has no other way than to come again with the new token. */
static void reconnect(struct sk_device_client *client) {
    end_connection(client, true);
    client->failures = 0;
    dial(client);
}

static void on_drained(struct sk_timer *timer) {
    struct sk_device_client *client = SK_CONTAINER(timer, struct sk_device_client, renew);
    client_enter(client);
    reconnect(client);
    client_leave(client);
}

void client_drained(struct sk_device_client *client) {
    sk_timer_start(client->io, &client->renew, 0, on_drained); /* not from inside its packet */
}

/* What is in flight is waited for, or the server would get it twice. */
static void renew(struct sk_device_client *client) {
    if (client->in_flight == 0) {
        reconnect(client);
        return;
    }
    client->renewing = true;
    sk_timer_start(client->io, &client->renew, RENEW_WAIT_S * SK_S, on_drained);
}

static void on_renew(struct sk_timer *timer) {
    struct sk_device_client *client = SK_CONTAINER(timer, struct sk_device_client, renew);
    client_enter(client);
    sk_timer_start(client->io, &client->renew, RENEW_RETRY_S * SK_S,
                   on_renew); /* should this one come to nothing */
    if (client->options.get_token)
        ask_for_token(client);
    else if (make_token(client) == SK_OK)
        renew(client);
    client_leave(client);
}

void sk_device_client_token(struct sk_device_client *client, enum sk_status status,
                            struct sk_span token, int64_t expiry_s) {
    if (client->dead || !client->asking) return;
    client->asking = false;
    client_enter(client);
    if (status == SK_OK) {
        client->token.n = 0;
        sk_buffer_append(&client->token, token);
        client->token_expiry_s = expiry_s;
    }
    if (client->state == CLIENT_TOKEN) {
        if (status)
            client_lost(client, SK_UNAUTHORIZED, 0);
        else
            dial(client);
    } else if (client->state == CLIENT_CONNECTED && status == SK_OK) {
        renew(client);
    }
    client_leave(client);
}

static void plan_renewal(struct sk_device_client *client) {
    if (client->options.key.n == 0 && client->options.get_token == NULL) return;
    int64_t left = client->token_expiry_s - wall_s(client);
    if (left < 4) left = 4; /* a token that is all but expired: do not spin */
    sk_timer_start(client->io, &client->renew, (uint64_t)left * SK_S / 4 * 3, on_renew);
}

/* --- keep-alive --- */

static bool ack_overdue(const struct sk_device_client *client, uint64_t now) {
    const struct outgoing *oldest = SK_LIST_FIRST(&client->outgoing, struct outgoing, link);
    return oldest && oldest->in_flight && now - oldest->sent_ns >= ACK_S * SK_S;
}

static void on_ping(struct sk_timer *timer) {
    struct sk_device_client *client = SK_CONTAINER(timer, struct sk_device_client, ping);
    client_enter(client);
    if (client->pong_due || ack_overdue(client, sk_io_now(client->io))) {
        client_lost(client, SK_TIMEOUT, 0);
    } else {
        client->pong_due = true;
        sk_mqtt_put_bare(sk_stream_output(client->stream), SK_MQTT_PINGREQ);
        sk_stream_flush(client->stream);
        sk_timer_start(client->io, &client->ping, PONG_S * SK_S, on_ping);
    }
    client_leave(client);
}

static void plan_ping(struct sk_device_client *client) {
    client->pong_due = false;
    sk_timer_start(client->io, &client->ping, client->options.keep_alive_s * SK_S, on_ping);
}

/* --- the stream --- */

static void put_query(struct sk_buffer *to, const char *name, struct sk_span value) {
    if (value.n == 0) return;
    sk_buffer_print(to, "&%s=", name);
    sk_percent_encode(to, value);
}

static void on_open(struct sk_stream *stream, void *arg) {
    struct sk_device_client *client = arg;
    const struct sk_device_client_options *o = &client->options;
    struct sk_buffer user = {0}, id = {0};
    sk_buffer_append(&id, o->device_id);
    if (o->module_id.n) {
        sk_buffer_byte(&id, '/');
        sk_buffer_append(&id, o->module_id);
    }
    sk_buffer_append(&user, o->hub_host);
    sk_buffer_byte(&user, '/');
    sk_buffer_append(&user, sk_buffer_span(&id));
    sk_buffer_text(&user, "/?api-version=2021-04-12");
    put_query(&user, "DeviceClientType", o->product);
    put_query(&user, "model-id", o->model_id);
    put_query(&user, "auth-chain", o->auth_chain);
    struct sk_mqtt_connect connect = {.keep_alive_s = o->keep_alive_s,
                                      .client_id = sk_buffer_span(&id),
                                      .has_user = true,
                                      .user = sk_buffer_span(&user),
                                      .has_password = client->token.n > 0,
                                      .password = sk_buffer_span(&client->token)};
    enum sk_status status = sk_mqtt_put_connect(sk_stream_output(stream), &connect);
    sk_stream_flush(stream);
    sk_buffer_free(&user);
    sk_buffer_free(&id);
    if (status == SK_OK) return;
    client_enter(client);
    client_lost(client, status, 0);
    client_leave(client);
}

static enum sk_status take_connack(struct sk_device_client *client,
                                   const struct sk_mqtt_packet *packet) {
    if (client->state != CLIENT_CONNECTING) return SK_MALFORMED;
    if (packet->u.connack.code != SK_MQTT_ACCEPTED) {
        client_lost(client, SK_REFUSED, packet->u.connack.code);
        return SK_OK;
    }
    client->state = CLIENT_CONNECTED;
    client->connected_ns = sk_io_now(client->io);
    client->session_present = packet->u.connack.session_present;
    sk_timer_stop(&client->timer);
    plan_ping(client);
    plan_renewal(client);
    traffic_begin(client);
    return SK_OK;
}

static enum sk_status take_packet(struct sk_device_client *client,
                                  const struct sk_mqtt_packet *packet) {
    if (packet->type == SK_MQTT_CONNACK) return take_connack(client, packet);
    if (client->state != CLIENT_CONNECTED) return SK_MALFORMED;
    if (packet->type != SK_MQTT_PINGRESP) return traffic_packet(client, packet);
    if (client->pong_due) plan_ping(client);
    return SK_OK;
}

/* Handles the whole packets at the start of `bytes` and returns how many bytes they took. */
static size_t take_packets(struct sk_device_client *client, struct sk_stream *stream,
                           struct sk_span bytes) {
    size_t taken = 0;
    while (client->stream == stream) { /* a callback may have ended this connection */
        struct sk_mqtt_packet packet;
        size_t used;
        enum sk_status status =
            sk_mqtt_decode(sk_span_skip(bytes, taken), PACKET_MAX, &packet, &used);
        if (status == SK_AGAIN) break;
        if (status == SK_OK) status = take_packet(client, &packet);
        if (status) {
            client_lost(client, status, 0);
            break;
        }
        taken += used;
    }
    return taken;
}

static void on_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    struct sk_device_client *client = arg;
    client_enter(client);
    if (client->in.n) {
        /* The packets' spans point into this buffer, which the end of the connection would free: it
         * is taken out meanwhile. */
        struct sk_buffer in = client->in;
        client->in = (struct sk_buffer){0};
        sk_buffer_append(&in, bytes);
        sk_buffer_consume(&in, take_packets(client, stream, sk_buffer_span(&in)));
        if (in.n == 0) sk_buffer_shrink(&in, KEPT_IN);
        if (client->stream == stream)
            client->in = in;
        else
            sk_buffer_free(&in);
    } else {
        size_t taken = take_packets(client, stream, bytes);
        if (client->stream == stream) sk_buffer_append(&client->in, sk_span_skip(bytes, taken));
    }
    client_leave(client);
}

static void on_drain(struct sk_stream *stream, void *arg) {
    struct sk_device_client *client = arg;
    (void)stream;
    client->blocked = false;
    traffic_pump(client);
}

static void on_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    struct sk_device_client *client = arg;
    (void)stream;
    client->stream = NULL;
    client_enter(client);
    client_lost(client, reason == SK_OK ? SK_CLOSED : reason, 0);
    client_leave(client);
}

static void on_close_ignored(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream, (void)arg, (void)reason;
}

static void on_data_ignored(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    (void)stream, (void)arg, (void)bytes;
}

static const struct sk_stream_events stream_events = {
    .on_open = on_open, .on_data = on_data, .on_drain = on_drain, .on_close = on_close};
static const struct sk_stream_events no_events = {.on_data = on_data_ignored,
                                                  .on_close = on_close_ignored};
