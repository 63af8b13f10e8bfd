/* What an open MQTT connection asks and is told: topics to requests, answers to topics. */
#include "gateway/mqtt/head.h"
#include "model/json_text.h"
#include "azure/mqtt_topic.h"

#include <stdio.h>

enum { UNREAD_MAX = 2 * SK_STREAM_HIGH };

/* ---- out ---- */

/* An answer whose topic is too long echoes a request id of nearly 64 KB. */
static void put(struct sk_mqtt_head *m, const struct sk_mqtt_publish *publish) {
    if (sk_mqtt_put_publish(sk_stream_output(m->stream), publish))
        sk_mqtt_head_fail(m, "a request id is too long to be answered");
    else
        sk_stream_flush(m->stream);
}

static bool can_send(const struct sk_mqtt_head *m) {
    return m->stream && m->state == MQTT_OPEN;
}

static void puback(struct sk_mqtt_head *m, uint16_t id) {
    if (id == 0 || !can_send(m)) return;
    sk_mqtt_put_ack(sk_stream_output(m->stream), SK_MQTT_PUBACK, id);
    sk_stream_flush(m->stream);
}

/* $iothub/twin/res/{status}/?$rid={rid}[&$version={n}] */
static void put_twin_response(struct sk_mqtt_head *m, int status, const char *rid, uint64_t version,
                              struct sk_span body) {
    char tail[40] = "";
    struct sk_buffer topic = {0};
    if (version) snprintf(tail, sizeof tail, "&$version=%llu", (unsigned long long)version);
    sk_buffer_print(&topic, "$iothub/twin/res/%d/?$rid=%s%s", status, rid, tail);
    put(m, &(struct sk_mqtt_publish){.topic = sk_buffer_span(&topic), .payload = body});
    sk_buffer_free(&topic);
}

static void refuse_twin(struct sk_mqtt_head *m, const char *rid, const struct sk_error *error) {
    struct sk_io *io = m->connection.gateway->io;
    struct sk_buffer body = {0};
    char tracking[37];
    sk_io_guid(io, tracking);
    sk_error_json(&body, error, sk_span_z(tracking), sk_io_wall(io));
    put_twin_response(m, sk_fault_kind(error->fault)->http_status, rid, 0, sk_buffer_span(&body));
    sk_buffer_free(&body);
}

static void on_twin_get(struct sk_request *request, const struct sk_answer *answer) {
    struct sk_mqtt_request *r = (struct sk_mqtt_request *)request;
    struct sk_mqtt_head *m = r->head;
    puback(m, r->id);
    if (can_send(m) && answer->error) {
        refuse_twin(m, r->rid, answer->error);
    } else if (can_send(m)) {
        SK_CLEANUP_FREE char *text = sk_json_text(answer->document);
        put_twin_response(m, 200, r->rid, 0, sk_span_z(text));
    }
    sk_mqtt_request_over(r);
}

static void on_twin_reported(struct sk_request *request, const struct sk_answer *answer) {
    struct sk_mqtt_request *r = (struct sk_mqtt_request *)request;
    struct sk_mqtt_head *m = r->head;
    puback(m, r->id);
    if (can_send(m) && answer->error)
        refuse_twin(m, r->rid, answer->error);
    else if (can_send(m))
        put_twin_response(m, 204, r->rid, answer->version, SK_NONE);
    json_decref(r->request.body);
    sk_mqtt_request_over(r);
}

static void on_stored(struct sk_request *request, const struct sk_answer *answer) {
    struct sk_mqtt_request *r = (struct sk_mqtt_request *)request;
    struct sk_mqtt_head *m = r->head;
    /* No PUBACK, no silence either: the client sends it again when it has connected again. */
    if (answer->error && r->id)
        sk_mqtt_head_fail(m, sk_error_text(answer->error));
    else if (!answer->error)
        puback(m, r->id);
    sk_mqtt_request_over(r);
}

static void on_settled(struct sk_request *request, const struct sk_answer *answer) {
    (void)answer;
    sk_mqtt_request_over((struct sk_mqtt_request *)request);
}

/* ---- PUBLISH ---- */

static bool is_own(const struct sk_mqtt_head *m, const struct sk_topic *topic) {
    return sk_topic_id_is(topic->device, sk_span_z(m->session.principal.device)) &&
           sk_topic_id_is(topic->module, sk_span_z(m->session.principal.module));
}

static bool is_own_filter(const struct sk_mqtt_head *m, struct sk_span device,
                          struct sk_span module) {
    return sk_topic_filter_id_is(device, sk_span_z(m->session.principal.device)) &&
           sk_topic_filter_id_is(module, sk_span_z(m->session.principal.module));
}

/* Fills the message from a telemetry topic; false when it may not be. `extra` is one more
 * application property, or NULL. */
static bool read_telemetry(struct sk_mqtt_head *m, struct sk_span bag, struct sk_span payload,
                           const struct sk_property *extra, struct sk_message *message) {
    struct sk_arena *scratch = &m->connection.gateway->scratch;
    *message = (struct sk_message){.source = SK_SOURCE_TELEMETRY, .body = payload};
    if (extra) {
        message->properties = extra;
        message->property_count = 1;
    }
    if (sk_bag_parse(bag, scratch, message)) return false;
    message->device = sk_span_z(m->session.principal.device);
    message->module = sk_span_z(m->session.principal.module);
    if (m->model_id) message->system[SK_SYS_MODEL_ID] = sk_span_z(m->model_id);
    return sk_message_size(message) <= SK_MESSAGE_MAX;
}

static void submit_telemetry(struct sk_mqtt_head *m, const struct sk_message *message,
                             uint16_t id) {
    struct sk_mqtt_request *r = sk_mqtt_request_new(m, SK_OP_TELEMETRY, message->body.n);
    r->id = id;
    r->request.message = message;
    r->request.done = on_stored;
    m->connection.gateway->counts.messages_total++;
    m->connection.gateway->counts.bytes_total += message->body.n;
    sk_gateway_submit(m->backend, &r->request);
}

static void on_telemetry(struct sk_mqtt_head *m, const struct sk_topic *topic,
                         const struct sk_mqtt_publish *publish) {
    static const struct sk_property retained = {{"mqtt-retain", 11}, {"true", 4}};
    struct sk_message message;
    if (!is_own(m, topic))
        sk_mqtt_head_fail(m, "telemetry for another identity");
    else if (!read_telemetry(m, topic->bag, publish->payload, publish->retain ? &retained : NULL,
                             &message))
        sk_mqtt_head_fail(m, "a message is larger than 256 KB (413001)");
    else
        submit_telemetry(m, &message, publish->id);
}

void sk_mqtt_send_will(struct sk_mqtt_head *m) {
    static const struct sk_property will = {{"iothub-MessageType", 18}, {"Will", 4}};
    struct sk_topic topic;
    struct sk_message message;
    sk_topic_parse(sk_span_z(m->will_topic), &topic);
    sk_arena_reset(&m->connection.gateway->scratch);
    if (read_telemetry(m, topic.bag, sk_buffer_span(&m->will_payload), &will, &message))
        submit_telemetry(m, &message, 0);
}

static struct sk_mqtt_request *new_twin_request(struct sk_mqtt_head *m, enum sk_op op,
                                                const struct sk_topic *topic,
                                                const struct sk_mqtt_publish *publish) {
    struct sk_mqtt_request *r = sk_mqtt_request_new(m, op, publish->payload.n);
    r->rid = sk_span_dup(topic->rid);
    r->id = publish->id;
    return r;
}

static void on_report(struct sk_mqtt_head *m, const struct sk_topic *topic,
                      const struct sk_mqtt_publish *publish) {
    struct sk_mqtt_request *r = new_twin_request(m, SK_OP_TWIN_REPORT, topic, publish);
    r->request.done = on_twin_reported;
    r->request.version = topic->version;
    json_error_t error;
    r->request.body = sk_json_load(publish->payload, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(r->request.body))
        sk_gateway_submit(m->backend, &r->request);
    else
        sk_request_refuse(&r->request, SK_FAULT_ARGUMENT_INVALID,
                          "the reported properties are not a JSON object: %s",
                          r->request.body ? "another type" : error.text);
}

static void on_method_response(struct sk_mqtt_head *m, const struct sk_topic *topic,
                               const struct sk_mqtt_publish *publish) {
    struct sk_mqtt_request *r = sk_mqtt_request_new(m, SK_OP_METHOD_RESPOND, publish->payload.n);
    r->id = publish->id;
    r->request.rid = topic->rid;
    r->request.status = topic->status;
    r->request.payload = publish->payload;
    r->request.done = on_stored;
    sk_gateway_submit(m->backend, &r->request);
}

void sk_mqtt_on_publish(struct sk_mqtt_head *m, const struct sk_mqtt_publish *publish) {
    struct sk_topic topic;
    if (publish->qos == 2) {
        sk_mqtt_head_fail(m, "QoS 2 is not supported");
        return;
    }
    sk_arena_reset(&m->connection.gateway->scratch);
    sk_topic_parse(publish->topic, &topic);
    switch (topic.kind) {
    case SK_TOPIC_TELEMETRY: on_telemetry(m, &topic, publish); break;
    case SK_TOPIC_TWIN_GET: {
        struct sk_mqtt_request *r = new_twin_request(m, SK_OP_TWIN_GET, &topic, publish);
        r->request.done = on_twin_get;
        sk_gateway_submit(m->backend, &r->request);
        break;
    }
    case SK_TOPIC_TWIN_REPORT: on_report(m, &topic, publish); break;
    case SK_TOPIC_METHOD_RESPONSE: on_method_response(m, &topic, publish); break;
    default: sk_mqtt_head_fail(m, "a topic that a client may not publish to"); break;
    }
}

/* ---- SUBSCRIBE, UNSUBSCRIBE ---- */

static unsigned qos1_bit(unsigned bit) {
    return bit == SK_SUB_C2D ? SK_SUB_C2D_QOS1 : bit == SK_SUB_INPUTS ? SK_SUB_INPUTS_QOS1 : 0;
}

void sk_mqtt_on_subscribe(struct sk_mqtt_head *m, const struct sk_mqtt_packet *packet) {
    struct sk_span filters = packet->u.subscribe.filters;
    struct sk_mqtt_subscription s;
    struct sk_buffer codes = {0};
    unsigned bits = m->session.subscriptions;
    bool subscribe = packet->type == SK_MQTT_SUBSCRIBE, foreign = false;
    while (sk_mqtt_next_filter(packet->type, &filters, &s)) {
        struct sk_span device, module;
        unsigned bit = sk_topic_filter(s.filter, &device, &module);
        foreign = foreign || (bit && device.p && !is_own_filter(m, device, module));
        uint8_t granted = s.qos > 1 ? 1 : s.qos; /* 2 is granted as 1 */
        if (subscribe && bit)
            bits = (bits & ~qos1_bit(bit)) | bit | (granted ? qos1_bit(bit) : 0);
        else if (bit)
            bits &= ~(bit | qos1_bit(bit));
        sk_buffer_byte(&codes, (char)(bit ? granted : SK_MQTT_SUBACK_FAILURE));
    }
    if (foreign) {
        sk_mqtt_head_fail(m, "a subscription for another identity");
    } else {
        struct sk_buffer *out = sk_stream_output(m->stream);
        if (subscribe)
            sk_mqtt_put_suback(out, packet->u.subscribe.id, sk_buffer_span(&codes));
        else
            sk_mqtt_put_ack(out, SK_MQTT_UNSUBACK, packet->u.subscribe.id);
        sk_stream_flush(m->stream);
        if (sk_session_subscribe(&m->session, bits) && m->session.persistent) sk_mqtt_head_save(m);
    }
    sk_buffer_free(&codes);
}

/* ---- deliveries ---- */

static void settle(struct sk_mqtt_head *m, uint64_t delivery, enum sk_outcome outcome) {
    struct sk_mqtt_request *r = sk_mqtt_request_new(m, SK_OP_SETTLE, 0);
    r->request.delivery = delivery;
    r->request.outcome = outcome;
    r->request.done = on_settled;
    sk_gateway_submit(m->backend, &r->request);
}

void sk_mqtt_on_puback(struct sk_mqtt_head *m, uint16_t id) {
    for (size_t i = 0; m->window && i < SK_MQTT_HEAD_WINDOW; i++) {
        if (m->window[i].id != id) continue;
        m->window[i].id = 0;
        settle(m, m->window[i].delivery, SK_COMPLETE);
        return;
    }
}

static uint16_t next_id(struct sk_mqtt_head *m) {
    for (;;) {
        if (++m->next_id == 0) m->next_id = 1;
        bool used = false;
        for (size_t i = 0; i < SK_MQTT_HEAD_WINDOW; i++)
            used = used || m->window[i].id == m->next_id;
        if (!used) return m->next_id;
    }
}

static bool deliver_message(struct sk_session *session, const struct sk_message *message,
                            uint64_t delivery) {
    struct sk_mqtt_head *m = session->owner;
    if (!can_send(m) || !sk_stream_write(m->stream, SK_NONE)) return false; /* on_drain follows */
    bool input = session->principal.module != NULL;
    bool qos1 = session->subscriptions & (input ? SK_SUB_INPUTS_QOS1 : SK_SUB_C2D_QOS1);
    if (m->window == NULL) m->window = sk_alloc(SK_MQTT_HEAD_WINDOW * sizeof *m->window);
    size_t slot = 0;
    while (slot < SK_MQTT_HEAD_WINDOW && m->window[slot].id) slot++;
    if (slot == SK_MQTT_HEAD_WINDOW) return false;
    struct sk_buffer topic = {0};
    struct sk_span device = sk_span_z(session->principal.device),
                   module = sk_span_z(session->principal.module);
    if (input)
        sk_topic_put_input(&topic, device, module, message);
    else
        sk_topic_put_c2d(&topic, device, message);
    struct sk_mqtt_publish publish = {.topic = sk_buffer_span(&topic), .payload = message->body};
    if (qos1) {
        publish.qos = 1;
        publish.dup = message->c2d && message->c2d->redelivered;
        publish.id = next_id(m);
    }
    enum sk_status status = sk_mqtt_put_publish(sk_stream_output(m->stream), &publish);
    sk_buffer_free(&topic);
    if (status) {
        SK_WARN("mqtt", "a message for %s%s%s is rejected: its properties are longer than a topic",
                session->principal.device, input ? "/" : "",
                input ? session->principal.module : "");
        settle(m, delivery, SK_REJECT);
        return true;
    }
    if (qos1) {
        m->window[slot].id = publish.id;
        m->window[slot].delivery = delivery;
    }
    sk_stream_flush(m->stream);
    if (!qos1) settle(m, delivery, SK_COMPLETE); /* there is no other sign */
    return true;
}

/* Calls and patches cannot wait: who has so many unread ends, and gets the whole twin when it comes
 * again. */
static bool takes_news(struct sk_mqtt_head *m) {
    if (can_send(m) && sk_stream_pending(m->stream) > UNREAD_MAX)
        sk_mqtt_head_fail(m, "it does not read what is sent to it");
    return can_send(m);
}

static void deliver_method(struct sk_session *session, const struct sk_method_call *call) {
    struct sk_mqtt_head *m = session->owner;
    if (!takes_news(m)) return;
    struct sk_buffer topic = {0};
    sk_buffer_text(&topic, "$iothub/methods/POST/");
    sk_percent_encode_topic(&topic, call->name);
    sk_buffer_print(&topic, "/?$rid=%.*s", SK_ARG(call->rid));
    put(m, &(struct sk_mqtt_publish){.topic = sk_buffer_span(&topic), .payload = call->payload});
    sk_buffer_free(&topic);
}

static void deliver_desired(struct sk_session *session, struct sk_span patch, uint64_t version) {
    struct sk_mqtt_head *m = session->owner;
    if (!takes_news(m)) return;
    struct sk_buffer topic = {0};
    sk_buffer_print(&topic, "$iothub/twin/PATCH/properties/desired/?$version=%llu",
                    (unsigned long long)version);
    put(m, &(struct sk_mqtt_publish){.topic = sk_buffer_span(&topic), .payload = patch});
    sk_buffer_free(&topic);
}

static void close_session(struct sk_session *session, enum sk_fault reason) {
    session->ended = reason;
    sk_mqtt_head_fail(session->owner, sk_fault_kind(reason)->sentence);
}

static bool sever(struct sk_session *session, enum sk_sever what, const char *reason) {
    struct sk_mqtt_head *m = session->owner;
    (void)reason; /* MQTT 3.1.1 has no words for it */
    if (m->stream == NULL) return false;
    if (what == SK_SEVER_STREAM) {
        sk_stream_abort(m->stream);
    } else if (what == SK_SEVER_MQTT) {
        m->connection.end(&m->connection);
    } else {
        return false;
    }
    return true;
}

const struct sk_head sk_mqtt_head_ops = {.deliver_message = deliver_message,
                                         .deliver_method = deliver_method,
                                         .deliver_desired = deliver_desired,
                                         .close = close_session,
                                         .sever = sever,
                                         .never_resends = true};
