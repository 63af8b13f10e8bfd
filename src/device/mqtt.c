/* MQTT: the connection, with its tokens and its keep-alive. What goes over it is in
 * mqtt_traffic.c. */
#include "device/parts.h"
#include "net/dial.h"
#include "trust/sas.h"

enum {
    PONG_S = 30,
    ACK_S = 120, /* a PUBACK later than this will not come */
    RENEW_RETRY_S = 60,
    RENEW_WAIT_S = 10, /* for what is in flight when the token is renewed */
    PACKET_MAX =
        SK_MESSAGE_MAX + 2 * SK_MQTT_TEXT_MAX, /* remaining length of a packet from the server */
    KEPT_IN = 4096,
};

static const struct sk_stream_events stream_events;
static const struct sk_stream_events no_events;

/* Lets go of the stream; it closes by itself. */
static void drop_stream(struct sk_device_client *client, bool politely) {
    struct sk_stream *stream = client->mqtt.stream;
    if (stream == NULL) return;
    client->mqtt.stream = NULL;
    sk_stream_handle(stream, &no_events, NULL);
    if (!politely) {
        sk_stream_abort(stream);
        return;
    }
    sk_mqtt_put_bare(sk_stream_output(stream), SK_MQTT_DISCONNECT);
    sk_stream_flush(stream);
    sk_stream_close(stream);
}

static void drop(struct sk_device_client *client, bool politely) {
    drop_stream(client, politely);
    sk_token_unask(&client->mqtt.ask);
    sk_timer_stop(&client->mqtt.ping);
    sk_timer_stop(&client->mqtt.renew);
    client->mqtt.pong_due = client->mqtt.renewing = client->mqtt.blocked = false;
    client->mqtt.subscribed = 0;
    client->mqtt.subscribe_id = 0;
    sk_buffer_shrink(&client->mqtt.in, 0);
}

static void free_mqtt(struct sk_device_client *client) {
    sk_buffer_free(&client->mqtt.token);
    sk_buffer_free(&client->mqtt.in);
    sk_arena_free(&client->mqtt.arena);
}

/* --- attempts --- */

static void dial(struct sk_device_client *client) {
    const struct sk_device_client_options *o = &client->options;
    client->state = CLIENT_CONNECTING;
    client->connection++;
    bool fallback = client_falls_back(o->fallback_port, client->failures, o->fallback_first);
    client->mqtt.falls_back = fallback;
    struct sk_dial_options dial_options = {
        .to = {.host = o->host, .port = fallback ? o->fallback_port : o->port},
        .tls = o->tls,
        .server_name = o->server_name,
        .proxy = o->proxy ? &client->mqtt.proxy : NULL,
        .subprotocol = o->websocket || fallback ? "mqtt" : NULL};
    client->mqtt.stream = sk_dial(client->io, &dial_options, &stream_events, client);
    client_limit_step(client);
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
    client->mqtt.token.n = 0;
    client->mqtt.token_expiry_s = wall_s(client) + o->token_life_s;
    enum sk_status status = sk_sas_create(&client->mqtt.token, sk_buffer_span(&resource), o->key,
                                          o->policy, client->mqtt.token_expiry_s);
    sk_buffer_free(&resource);
    return status;
}

static void got_token(struct sk_token_ask *ask, enum sk_status status, struct sk_span token);

static void ask_for_token(struct sk_device_client *client) {
    sk_token_ask(client->options.tokens, &client->mqtt.ask,
                 wall_s(client) + client->options.token_life_s, got_token);
}

static void attempt(struct sk_device_client *client) {
    if (client->options.key.n) {
        if (make_token(client))
            client_lost(client, (struct sk_client_down){.reason = SK_UNAUTHORIZED});
        else
            dial(client);
    } else if (client->options.tokens) {
        client->state = CLIENT_TOKEN;
        client_limit_step(client);
        ask_for_token(client);
    } else {
        dial(client); /* the certificate in `tls` speaks for the client */
    }
}

/* --- renewal --- */

/* MQTT 3.1.1 has no other way than to come again with the new token. */
static void reconnect(struct sk_device_client *client) {
    client_end_connection(client, true);
    client->failures = 0;
    dial(client);
}

static void on_drained(struct sk_timer *timer) {
    struct sk_device_client *client = SK_CONTAINER(timer, struct sk_device_client, mqtt.renew);
    client_enter(client);
    reconnect(client);
    client_leave(client);
}

void mqtt_drained(struct sk_device_client *client) {
    sk_timer_start(client->io, &client->mqtt.renew, 0, on_drained); /* not from inside its packet */
}

/* What is in flight is waited for, or the server would get it twice. */
static void renew(struct sk_device_client *client) {
    if (client->in_flight == 0) {
        reconnect(client);
        return;
    }
    client->mqtt.renewing = true;
    sk_timer_start(client->io, &client->mqtt.renew, RENEW_WAIT_S * SK_S, on_drained);
}

static void on_renew(struct sk_timer *timer) {
    struct sk_device_client *client = SK_CONTAINER(timer, struct sk_device_client, mqtt.renew);
    client_enter(client);
    /* Should this one come to nothing. */
    sk_timer_start(client->io, &client->mqtt.renew, RENEW_RETRY_S * SK_S, on_renew);
    if (client->options.tokens)
        ask_for_token(client);
    else if (make_token(client) == SK_OK)
        renew(client);
    client_leave(client);
}

static void got_token(struct sk_token_ask *ask, enum sk_status status, struct sk_span token) {
    struct sk_device_client *client = SK_CONTAINER(ask, struct sk_device_client, mqtt.ask);
    client_enter(client);
    if (status == SK_OK) {
        client->mqtt.token.n = 0;
        sk_buffer_append(&client->mqtt.token, token);
        client->mqtt.token_expiry_s = ask->expiry_s;
    }
    if (client->state == CLIENT_TOKEN) {
        if (status)
            client_lost(client, (struct sk_client_down){.reason = SK_UNAUTHORIZED});
        else
            dial(client);
    } else if (client->state == CLIENT_CONNECTED && status == SK_OK) {
        renew(client);
    }
    client_leave(client);
}

static void look_at_clock(struct sk_timer *timer) {
    struct sk_device_client *client = SK_CONTAINER(timer, struct sk_device_client, mqtt.renew);
    if (sk_io_wall(client->io) >= client->mqtt.renew_at_us)
        on_renew(timer);
    else
        sk_timer_start_at(client->io, timer, client->mqtt.renew_at_us, look_at_clock);
}

static void plan_renewal(struct sk_device_client *client) {
    if (client->options.key.n == 0 && client->options.tokens == NULL) return;
    int64_t left = client->mqtt.token_expiry_s - wall_s(client);
    if (left < 4) left = 4; /* a token that is all but expired: do not spin */
    client->mqtt.renew_at_us = sk_io_wall(client->io) + left * 1000000 / 4 * 3;
    sk_timer_start_at(client->io, &client->mqtt.renew, client->mqtt.renew_at_us, look_at_clock);
}

/* --- keep-alive --- */

static void on_ping(struct sk_timer *timer) {
    struct sk_device_client *client = SK_CONTAINER(timer, struct sk_device_client, mqtt.ping);
    client_enter(client);
    if (client->mqtt.pong_due || client_ack_overdue(client, ACK_S)) {
        client_lost(client, (struct sk_client_down){.reason = SK_TIMEOUT});
    } else {
        client->mqtt.pong_due = true;
        sk_mqtt_put_bare(sk_stream_output(client->mqtt.stream), SK_MQTT_PINGREQ);
        sk_stream_flush(client->mqtt.stream);
        sk_timer_start(client->io, &client->mqtt.ping, PONG_S * SK_S, on_ping);
    }
    client_leave(client);
}

static void plan_ping(struct sk_device_client *client) {
    client->mqtt.pong_due = false;
    sk_timer_start(client->io, &client->mqtt.ping, client->options.keep_alive_s * SK_S, on_ping);
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
                                      .has_password = client->mqtt.token.n > 0,
                                      .password = sk_buffer_span(&client->mqtt.token)};
    enum sk_status status = sk_mqtt_put_connect(sk_stream_output(stream), &connect);
    sk_stream_flush(stream);
    sk_buffer_free(&user);
    sk_buffer_free(&id);
    if (status == SK_OK) return;
    client_enter(client);
    client_lost(client, (struct sk_client_down){.reason = status});
    client_leave(client);
}

static enum sk_status take_connack(struct sk_device_client *client,
                                   const struct sk_mqtt_packet *packet) {
    if (client->state != CLIENT_CONNECTING) return SK_MALFORMED;
    if (packet->u.connack.code != SK_MQTT_ACCEPTED) {
        client_lost(client, (struct sk_client_down){.reason = SK_REFUSED,
                                                    .refused = true,
                                                    .connack = packet->u.connack.code});
        return SK_OK;
    }
    client->state = CLIENT_CONNECTED;
    client->connected_ns = sk_io_now(client->io);
    client->options.fallback_first = client->mqtt.falls_back;
    client->mqtt.session_present = packet->u.connack.session_present;
    sk_timer_stop(&client->timer);
    plan_ping(client);
    plan_renewal(client);
    mqtt_begin(client);
    return SK_OK;
}

static enum sk_status take_packet(struct sk_device_client *client,
                                  const struct sk_mqtt_packet *packet) {
    if (packet->type == SK_MQTT_CONNACK) return take_connack(client, packet);
    if (client->state != CLIENT_CONNECTED) return SK_MALFORMED;
    if (packet->type != SK_MQTT_PINGRESP) return mqtt_packet(client, packet);
    if (client->mqtt.pong_due) plan_ping(client);
    return SK_OK;
}

/* Handles the whole packets at the start of `bytes` and returns how many bytes they took. */
static size_t take_packets(struct sk_device_client *client, struct sk_stream *stream,
                           struct sk_span bytes) {
    size_t taken = 0;
    while (client->mqtt.stream == stream) { /* a callback may have ended this connection */
        struct sk_mqtt_packet packet;
        size_t used;
        enum sk_status status =
            sk_mqtt_decode(sk_span_skip(bytes, taken), PACKET_MAX, &packet, &used);
        if (status == SK_AGAIN) break;
        if (status == SK_OK) status = take_packet(client, &packet);
        if (status) {
            client_lost(client, (struct sk_client_down){.reason = status});
            break;
        }
        taken += used;
    }
    return taken;
}

static void on_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    struct sk_device_client *client = arg;
    client_enter(client);
    if (client->mqtt.in.n) {
        /* The packets' spans point into this buffer, which the end of the connection would free: it
         * is taken out meanwhile. */
        struct sk_buffer in = client->mqtt.in;
        client->mqtt.in = (struct sk_buffer){0};
        sk_buffer_append(&in, bytes);
        sk_buffer_consume(&in, take_packets(client, stream, sk_buffer_span(&in)));
        if (in.n == 0) sk_buffer_shrink(&in, KEPT_IN);
        if (client->mqtt.stream == stream)
            client->mqtt.in = in;
        else
            sk_buffer_free(&in);
    } else {
        size_t taken = take_packets(client, stream, bytes);
        if (client->mqtt.stream == stream)
            sk_buffer_append(&client->mqtt.in, sk_span_skip(bytes, taken));
    }
    client_leave(client);
}

static void on_drain(struct sk_stream *stream, void *arg) {
    struct sk_device_client *client = arg;
    (void)stream;
    client->mqtt.blocked = false;
    client_pump(client);
}

static void on_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    struct sk_device_client *client = arg;
    (void)stream;
    client->mqtt.stream = NULL;
    client_enter(client);
    client_lost(client, (struct sk_client_down){.reason = reason == SK_OK ? SK_CLOSED : reason});
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

const struct client_protocol client_mqtt = {.attempt = attempt,
                                            .drop = drop,
                                            .free = free_mqtt,
                                            .encode = mqtt_encode,
                                            .writable = mqtt_writable,
                                            .transmit = mqtt_transmit,
                                            .transmit_twin = mqtt_transmit_twin,
                                            .subscribe = mqtt_subscribe,
                                            .answer = mqtt_answer,
                                            .settle = mqtt_settle};
