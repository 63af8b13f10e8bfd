/* What goes over a device client's connection: telemetry, twin operations, methods, messages,
 * subscriptions. */
#include "client/device_client_parts.h"

#include <stdio.h>

enum {
    TWIN_S = 60,
    SUBSCRIPTIONS =
        SK_SUB_C2D | SK_SUB_INPUTS | SK_SUB_METHODS | SK_SUB_TWIN_RESPONSES | SK_SUB_DESIRED
};

static const struct sk_device_events *events_of(const struct sk_device_client *client) {
    static const struct sk_device_events none;
    return client->options.events ? client->options.events : &none;
}

/* A packet id that is not in flight: their number is bounded by in_flight_max, so the search is
 * short. */
static uint16_t next_id(struct sk_device_client *client) {
    for (;;) {
        if (++client->last_id == 0) client->last_id = 1;
        bool taken = false;
        SK_LIST_EACH(&client->outgoing, node, following) {
            const struct outgoing *one = SK_CONTAINER(node, struct outgoing, link);
            if (one->id == 0) break; /* from here on nothing was ever sent */
            taken |= one->id == client->last_id;
        }
        if (!taken) return client->last_id;
    }
}

/* --- telemetry --- */

static void finish(struct sk_device_client *client, struct outgoing *one, enum sk_status status) {
    sk_list_remove(&one->link);
    client->outgoing_count--;
    client->outgoing_bytes -= one->packet.n;
    if (one->in_flight) client->in_flight--;
    if (one->done) one->done(one->arg, status);
    sk_buffer_free(&one->packet);
    free(one);
}

enum sk_status sk_device_client_send(struct sk_device_client *client,
                                     const struct sk_message *message, sk_sent_fn *done,
                                     void *arg) {
    if (client->dead) return SK_CLOSED;
    if (sk_message_size(message) > SK_MESSAGE_MAX) return SK_TOO_LARGE;
    struct sk_buffer topic = {0}, packet = {0};
    sk_topic_put_telemetry(&topic, client->topic_device, client->topic_module, message);
    struct sk_mqtt_publish publish = {
        .qos = 1, .id = 1, .topic = sk_buffer_span(&topic), .payload = message->body};
    enum sk_status status = sk_mqtt_put_publish(&packet, &publish);
    if (status == SK_OK && client->outgoing_bytes + packet.n > client->options.queue_max)
        status = SK_NO_SPACE;
    sk_buffer_free(&topic);
    if (status) {
        sk_buffer_free(&packet);
        return status;
    }
    struct outgoing *one = SK_NEW(struct outgoing);
    one->packet = packet;
    one->id_at = packet.n - message->body.n - 2;
    one->done = done;
    one->arg = arg;
    sk_list_append(&client->outgoing, &one->link);
    if (client->unsent == &client->outgoing) client->unsent = &one->link;
    client->outgoing_count++;
    client->outgoing_bytes += packet.n;
    traffic_pump(client);
    return SK_OK;
}

size_t sk_device_client_waiting(const struct sk_device_client *client) {
    return client->outgoing_count;
}

/* Sends one message, under the id it had before when it goes out again. */
static bool transmit(struct sk_device_client *client, struct outgoing *one) {
    if (one->id == 0) {
        one->id = next_id(client);
        one->packet.p[one->id_at] = (char)(one->id >> 8);
        one->packet.p[one->id_at + 1] = (char)one->id;
    }
    if (one->sent_before) one->packet.p[0] |= 0x08; /* DUP */
    one->sent_before = one->in_flight = true;
    one->sent_ns = sk_io_now(client->io);
    client->in_flight++;
    return sk_stream_write(client->stream, sk_buffer_span(&one->packet));
}

void traffic_pump(struct sk_device_client *client) {
    if (client->state != CLIENT_CONNECTED || client->renewing) return;
    while (!client->blocked && client->in_flight < client->options.in_flight_max &&
           client->unsent != &client->outgoing) {
        struct outgoing *one = SK_CONTAINER(client->unsent, struct outgoing, link);
        client->unsent = one->link.next;
        client->blocked = !transmit(client, one);
    }
}

static void take_puback(struct sk_device_client *client, uint16_t id) {
    SK_LIST_EACH(&client->outgoing, node, following) {
        struct outgoing *one = SK_CONTAINER(node, struct outgoing, link);
        if (!one->in_flight) return; /* an id we do not know */
        if (one->id != id) continue;
        finish(client, one, SK_OK);
        if (client->renewing && client->in_flight == 0 && !client->dead) client_drained(client);
        if (!client->dead) traffic_pump(client);
        return;
    }
}

/* --- subscriptions --- */

static void put_filter(struct sk_device_client *client, unsigned bit, struct sk_buffer *to) {
    switch (bit) {
    case SK_SUB_C2D:
    case SK_SUB_INPUTS:
        sk_buffer_text(to, "devices/");
        sk_buffer_append(to, client->topic_device);
        if (bit == SK_SUB_INPUTS) {
            sk_buffer_text(to, "/modules/");
            sk_buffer_append(to, client->topic_module);
        }
        sk_buffer_text(to, bit == SK_SUB_INPUTS ? "/inputs/#" : "/messages/devicebound/#");
        break;
    case SK_SUB_METHODS: sk_buffer_text(to, "$iothub/methods/POST/#"); break;
    case SK_SUB_TWIN_RESPONSES: sk_buffer_text(to, "$iothub/twin/res/#"); break;
    default: sk_buffer_text(to, "$iothub/twin/PATCH/properties/desired/#"); break;
    }
}

/* Subscribes to (or from) the filters of these bits in one packet; returns its id. */
static uint16_t put_subscriptions(struct sk_device_client *client, unsigned bits, bool subscribe) {
    struct sk_mqtt_subscription list[5];
    struct sk_buffer texts[5] = {{0}};
    size_t count = 0;
    for (unsigned bit = 1; bit <= SK_SUB_DESIRED; bit <<= 1) {
        if ((bits & bit) == 0) continue;
        put_filter(client, bit, &texts[count]);
        list[count].filter = sk_buffer_span(&texts[count]);
        list[count++].qos = bit == SK_SUB_C2D || bit == SK_SUB_INPUTS;
    }
    uint16_t id = next_id(client);
    struct sk_buffer *out = sk_stream_output(client->stream);
    if (subscribe)
        sk_mqtt_put_subscribe(out, id, list, count);
    else
        sk_mqtt_put_unsubscribe(out, id, list, count);
    sk_stream_flush(client->stream);
    while (count) sk_buffer_free(&texts[--count]);
    return id;
}

static unsigned wanted(const struct sk_device_client *client) {
    return (client->options.subscriptions & SUBSCRIPTIONS) | SK_SUB_TWIN_RESPONSES;
}

void sk_device_client_subscribe(struct sk_device_client *client, unsigned subscriptions) {
    if (client->dead) return;
    client->options.subscriptions = subscriptions;
    if (client->state != CLIENT_CONNECTED) return;
    unsigned add = wanted(client) & ~client->subscribed,
             remove = client->subscribed & ~wanted(client);
    if (add) put_subscriptions(client, add, true);
    if (remove) put_subscriptions(client, remove, false);
    client->subscribed = wanted(client);
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

static void transmit_twin(struct sk_device_client *client, const struct twin_operation *one) {
    struct sk_buffer topic = {0};
    sk_buffer_print(&topic, "$iothub/twin/%s/?$rid=%x",
                    one->report ? "PATCH/properties/reported" : "GET", one->rid);
    struct sk_mqtt_publish publish = {.topic = sk_buffer_span(&topic),
                                      .payload = sk_buffer_span(&one->body)};
    sk_mqtt_put_publish(sk_stream_output(client->stream), &publish);
    sk_stream_flush(client->stream);
    sk_buffer_free(&topic);
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
    if (client->ready)
        transmit_twin(client, one); /* else when the subscription to the answers stands */
}

void sk_device_client_get_twin(struct sk_device_client *client, sk_twin_fn *done, void *arg) {
    begin_twin(client, false, SK_NONE, done, arg);
}

void sk_device_client_report(struct sk_device_client *client, struct sk_span patch,
                             sk_twin_fn *done, void *arg) {
    begin_twin(client, true, patch, done, arg);
}

static void take_twin_response(struct sk_device_client *client, const struct sk_topic *topic,
                               struct sk_span body) {
    SK_LIST_EACH(&client->twin_operations, node, following) {
        struct twin_operation *one = SK_CONTAINER(node, struct twin_operation, link);
        char rid[16];
        snprintf(rid, sizeof rid, "%x", one->rid);
        if (!sk_span_is(topic->rid, rid)) continue;
        finish_twin(one, SK_OK, topic->status < 0 ? 0 : (unsigned)topic->status, body,
                    topic->version);
        return;
    }
}

static enum sk_status take_suback(struct sk_device_client *client, uint16_t id,
                                  struct sk_span codes) {
    for (size_t i = 0; i < codes.n; i++)
        if ((unsigned char)codes.p[i] == SK_MQTT_SUBACK_FAILURE)
            SK_WARN("client", "%.*s: the hub refuses a subscription",
                    SK_ARG(client->options.device_id));
    if (id != client->subscribe_id) return SK_OK;
    client->subscribe_id = 0;
    client->ready = true;
    SK_LIST_EACH(&client->twin_operations, node, following)
    transmit_twin(client, SK_CONTAINER(node, struct twin_operation, link));
    if (events_of(client)->connected)
        events_of(client)->connected(client->options.arg, client->session_present);
    return SK_OK;
}

/* --- methods and messages --- */

void sk_device_client_answer(struct sk_device_client *client, struct sk_span rid, int status,
                             struct sk_span payload) {
    if (client->state != CLIENT_CONNECTED) return;
    struct sk_buffer topic = {0};
    sk_buffer_print(&topic, "$iothub/methods/res/%d/?$rid=%.*s", status, SK_ARG(rid));
    struct sk_mqtt_publish publish = {.topic = sk_buffer_span(&topic), .payload = payload};
    sk_mqtt_put_publish(sk_stream_output(client->stream), &publish);
    sk_stream_flush(client->stream);
    sk_buffer_free(&topic);
}

void sk_device_client_ack(struct sk_device_client *client, struct sk_delivery delivery) {
    if (client->state != CLIENT_CONNECTED || delivery.id == 0 ||
        delivery.connection != client->connection)
        return;
    sk_mqtt_put_ack(sk_stream_output(client->stream), SK_MQTT_PUBACK, delivery.id);
    sk_stream_flush(client->stream);
}

static void take_message(struct sk_device_client *client, const struct sk_topic *topic,
                         const struct sk_mqtt_publish *publish) {
    struct sk_delivery delivery = {
        .connection = client->connection, .id = publish->id, .redelivered = publish->dup};
    struct sk_message message = {.body = publish->payload};
    enum sk_status status = sk_bag_parse(topic->bag, &client->arena, &message);
    if (topic->kind == SK_TOPIC_INPUT)
        message.system[SK_SYS_INPUT] = sk_percent_decoded(&client->arena, topic->name);
    if (status == SK_OK && events_of(client)->message)
        events_of(client)->message(client->options.arg, &message, delivery);
    else
        sk_device_client_ack(client, delivery); /* nobody will ever take it */
}

static void take_publish(struct sk_device_client *client, const struct sk_mqtt_publish *publish) {
    struct sk_topic topic;
    sk_topic_parse(publish->topic, &topic);
    const struct sk_device_events *events = events_of(client);
    switch (topic.kind) {
    case SK_TOPIC_TWIN_RESPONSE: take_twin_response(client, &topic, publish->payload); break;
    case SK_TOPIC_DESIRED:
        if (events->desired) events->desired(client->options.arg, publish->payload, topic.version);
        break;
    case SK_TOPIC_METHOD_CALL:
        if (events->method)
            events->method(client->options.arg, sk_percent_decoded(&client->arena, topic.name),
                           publish->payload, topic.rid);
        else
            sk_device_client_answer(client, topic.rid, 501, SK_SPAN("null"));
        break;
    case SK_TOPIC_C2D:
    case SK_TOPIC_INPUT: take_message(client, &topic, publish); break;
    default:
        sk_device_client_ack(
            client, (struct sk_delivery){.connection = client->connection, .id = publish->id});
        break;
    }
}

enum sk_status traffic_packet(struct sk_device_client *client,
                              const struct sk_mqtt_packet *packet) {
    switch (packet->type) {
    case SK_MQTT_PUBACK: take_puback(client, packet->u.id); return SK_OK;
    case SK_MQTT_SUBACK: return take_suback(client, packet->u.suback.id, packet->u.suback.codes);
    case SK_MQTT_UNSUBACK: return SK_OK;
    case SK_MQTT_PUBLISH:
        if (packet->u.publish.qos == 2) return SK_MALFORMED; /* never granted */
        take_publish(client, &packet->u.publish);
        sk_arena_reset(&client->arena);
        return SK_OK;
    default: return SK_MALFORMED;
    }
}

/* --- the connection's beginning and end --- */

void traffic_begin(struct sk_device_client *client) {
    client->subscribed = wanted(client);
    client->subscribe_id = put_subscriptions(client, client->subscribed, true);
    traffic_pump(client);
}

void traffic_interrupted(struct sk_device_client *client) {
    SK_LIST_EACH(&client->outgoing, node, following)
    SK_CONTAINER(node, struct outgoing, link)->in_flight = false;
    client->unsent = client->outgoing.next;
    client->in_flight = 0;
    client->blocked = false;
    client->subscribed = 0;
    client->subscribe_id = 0;
}

void traffic_end(struct sk_device_client *client) {
    while (!sk_list_empty(&client->outgoing))
        finish(client, SK_LIST_FIRST(&client->outgoing, struct outgoing, link), SK_CLOSED);
    while (!sk_list_empty(&client->twin_operations))
        finish_twin(SK_LIST_FIRST(&client->twin_operations, struct twin_operation, link), SK_CLOSED,
                    0, SK_NONE, 0);
}
