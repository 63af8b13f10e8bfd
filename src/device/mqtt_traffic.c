/* What goes over an MQTT connection: telemetry, twin operations, methods, messages,
 * subscriptions. */
#include "device/parts.h"

#include <stdio.h>

enum {
    SUBSCRIPTIONS =
        SK_SUB_C2D | SK_SUB_INPUTS | SK_SUB_METHODS | SK_SUB_TWIN_RESPONSES | SK_SUB_DESIRED
};

/* A packet id that is not in flight: their number is bounded by in_flight_max, so the search is
 * short. */
static uint16_t next_id(struct sk_device_client *client) {
    for (;;) {
        if (++client->mqtt.last_id == 0) client->mqtt.last_id = 1;
        bool taken = false;
        SK_LIST_EACH(&client->outgoing, node, following) {
            const struct outgoing *one = SK_CONTAINER(node, struct outgoing, link);
            if (one->id == 0) break; /* from here on nothing was ever sent */
            taken |= one->id == client->mqtt.last_id;
        }
        if (!taken) return client->mqtt.last_id;
    }
}

/* --- telemetry --- */

enum sk_status mqtt_encode(struct sk_device_client *client, const struct sk_message *message,
                           struct outgoing *to) {
    struct sk_buffer topic = {0};
    sk_topic_put_telemetry(&topic, client->mqtt.topic_device, client->mqtt.topic_module, message);
    struct sk_mqtt_publish publish = {
        .qos = 1, .id = 1, .topic = sk_buffer_span(&topic), .payload = message->body};
    enum sk_status status = sk_mqtt_put_publish(&to->packet, &publish);
    to->id_at = to->packet.n - message->body.n - 2;
    sk_buffer_free(&topic);
    return status;
}

bool mqtt_writable(struct sk_device_client *client) {
    return client->state == CLIENT_CONNECTED && !client->mqtt.renewing && !client->mqtt.blocked;
}

/* Sends one message, under the id it had before when it goes out again. */
void mqtt_transmit(struct sk_device_client *client, struct outgoing *one) {
    if (one->id == 0) {
        one->id = next_id(client);
        one->packet.p[one->id_at] = (char)(one->id >> 8);
        one->packet.p[one->id_at + 1] = (char)one->id;
    }
    if (one->sent_before) one->packet.p[0] |= 0x08; /* DUP */
    client->mqtt.blocked = !sk_stream_write(client->mqtt.stream, sk_buffer_span(&one->packet));
}

static void take_puback(struct sk_device_client *client, uint16_t id) {
    SK_LIST_EACH(&client->outgoing, node, following) {
        struct outgoing *one = SK_CONTAINER(node, struct outgoing, link);
        if (!one->in_flight) return; /* an id we do not know */
        if (one->id != id) continue;
        client_sent(one, SK_OK);
        if (client->mqtt.renewing && client->in_flight == 0 && !client->dead) mqtt_drained(client);
        if (!client->dead) client_pump(client);
        return;
    }
}

/* --- subscriptions --- */

static void put_filter(struct sk_device_client *client, unsigned bit, struct sk_buffer *to) {
    switch (bit) {
    case SK_SUB_C2D:
    case SK_SUB_INPUTS:
        sk_buffer_text(to, "devices/");
        sk_buffer_append(to, client->mqtt.topic_device);
        if (bit == SK_SUB_INPUTS) {
            sk_buffer_text(to, "/modules/");
            sk_buffer_append(to, client->mqtt.topic_module);
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
    struct sk_buffer *out = sk_stream_output(client->mqtt.stream);
    if (subscribe)
        sk_mqtt_put_subscribe(out, id, list, count);
    else
        sk_mqtt_put_unsubscribe(out, id, list, count);
    sk_stream_flush(client->mqtt.stream);
    while (count) sk_buffer_free(&texts[--count]);
    return id;
}

static unsigned wanted(const struct sk_device_client *client) {
    return (client->options.subscriptions & SUBSCRIPTIONS) | SK_SUB_TWIN_RESPONSES;
}

void mqtt_subscribe(struct sk_device_client *client) {
    if (client->state != CLIENT_CONNECTED) return; /* as it is then */
    unsigned add = wanted(client) & ~client->mqtt.subscribed,
             remove = client->mqtt.subscribed & ~wanted(client);
    if (add) put_subscriptions(client, add, true);
    if (remove) put_subscriptions(client, remove, false);
    client->mqtt.subscribed = wanted(client);
}

/* --- twin operations --- */

bool mqtt_transmit_twin(struct sk_device_client *client, const struct twin_operation *one) {
    struct sk_buffer topic = {0};
    sk_buffer_print(&topic, "$iothub/twin/%s/?$rid=%x",
                    one->report ? "PATCH/properties/reported" : "GET", one->rid);
    struct sk_mqtt_publish publish = {.topic = sk_buffer_span(&topic),
                                      .payload = sk_buffer_span(&one->body)};
    sk_mqtt_put_publish(sk_stream_output(client->mqtt.stream), &publish);
    sk_stream_flush(client->mqtt.stream);
    sk_buffer_free(&topic);
    return true;
}

static void take_twin_response(struct sk_device_client *client, const struct sk_topic *topic,
                               struct sk_span body) {
    uint32_t rid;
    if (client_read_rid(topic->rid, &rid))
        client_twin_answer(client, rid, topic->status < 0 ? 0 : (unsigned)topic->status, body,
                           topic->version);
}

static enum sk_status take_suback(struct sk_device_client *client, uint16_t id,
                                  struct sk_span codes) {
    for (size_t i = 0; i < codes.n; i++)
        if ((unsigned char)codes.p[i] == SK_MQTT_SUBACK_FAILURE)
            SK_WARN("client", "%.*s: the hub refuses a subscription",
                    SK_ARG(client->options.device_id));
    if (id != client->mqtt.subscribe_id) return SK_OK;
    client->mqtt.subscribe_id = 0;
    client_ready(client, client->mqtt.session_present);
    return SK_OK;
}

/* --- methods and messages --- */

void mqtt_answer(struct sk_device_client *client, struct sk_span rid, int status,
                 struct sk_span payload) {
    struct sk_buffer topic = {0};
    sk_buffer_print(&topic, "$iothub/methods/res/%d/?$rid=%.*s", status, SK_ARG(rid));
    struct sk_mqtt_publish publish = {.topic = sk_buffer_span(&topic), .payload = payload};
    sk_mqtt_put_publish(sk_stream_output(client->mqtt.stream), &publish);
    sk_stream_flush(client->mqtt.stream);
    sk_buffer_free(&topic);
}

void mqtt_settle(struct sk_device_client *client, struct sk_delivery delivery,
                 enum sk_outcome outcome) {
    if (outcome != SK_COMPLETE && outcome != SK_REJECT) return;
    sk_mqtt_put_ack(sk_stream_output(client->mqtt.stream), SK_MQTT_PUBACK, (uint16_t)delivery.id);
    sk_stream_flush(client->mqtt.stream);
}

static void take_message(struct sk_device_client *client, const struct sk_topic *topic,
                         const struct sk_mqtt_publish *publish) {
    struct sk_delivery delivery = {
        .connection = client->connection, .id = publish->id, .redelivered = publish->dup};
    struct sk_message message = {.body = publish->payload};
    enum sk_status status = sk_bag_parse(topic->bag, &client->mqtt.arena, &message);
    if (topic->kind == SK_TOPIC_INPUT)
        message.system[SK_SYS_INPUT] = sk_percent_decoded(&client->mqtt.arena, topic->name);
    if (status == SK_OK && client_events(client)->message)
        client_events(client)->message(client->options.arg, &message, delivery);
    else
        sk_device_client_ack(client, delivery); /* nobody will ever take it */
}

static void take_publish(struct sk_device_client *client, const struct sk_mqtt_publish *publish) {
    struct sk_topic topic;
    sk_topic_parse(publish->topic, &topic);
    const struct sk_device_events *events = client_events(client);
    switch (topic.kind) {
    case SK_TOPIC_TWIN_RESPONSE: take_twin_response(client, &topic, publish->payload); break;
    case SK_TOPIC_DESIRED:
        if (events->desired) events->desired(client->options.arg, publish->payload, topic.version);
        break;
    case SK_TOPIC_METHOD_CALL:
        if (events->method)
            events->method(client->options.arg, sk_percent_decoded(&client->mqtt.arena, topic.name),
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

enum sk_status mqtt_packet(struct sk_device_client *client, const struct sk_mqtt_packet *packet) {
    switch (packet->type) {
    case SK_MQTT_PUBACK: take_puback(client, packet->u.id); return SK_OK;
    case SK_MQTT_SUBACK: return take_suback(client, packet->u.suback.id, packet->u.suback.codes);
    case SK_MQTT_UNSUBACK: return SK_OK;
    case SK_MQTT_PUBLISH:
        if (packet->u.publish.qos == 2) return SK_MALFORMED; /* never granted */
        take_publish(client, &packet->u.publish);
        sk_arena_reset(&client->mqtt.arena);
        return SK_OK;
    default: return SK_MALFORMED;
    }
}

void mqtt_begin(struct sk_device_client *client) {
    client->mqtt.subscribed = wanted(client);
    client->mqtt.subscribe_id = put_subscriptions(client, client->mqtt.subscribed, true);
    client_pump(client);
}
