/* AMQP: the links of one identity on a shared connection. Reference:
 * docs/protocols/device-protocols.md, sections 3.2 to 3.7. */
#include "device/parts.h"
#include "azure/amqp_mapping.h"

#include <stdio.h>

enum {
    ACK_S = 120, /* a verdict later than this will not come */
    CREDIT = 100,
    MESSAGES_CREDIT = 50, /* as many as the hub keeps for a device */
    PROPERTIES_MAX = 8
};

/* A message that the server waits to have settled. */
struct delivered {
    struct sk_list link;
    uint32_t id;
    struct sk_amqp_delivery *delivery;
};

static bool sends(enum amqp_port port) {
    return port == PORT_TELEMETRY || port == PORT_RESULTS || port == PORT_TWIN;
}

static bool needs(const struct sk_device_client *client, enum amqp_port port) {
    unsigned wanted = client->options.subscriptions;
    switch (port) {
    case PORT_TELEMETRY: return true;
    case PORT_MESSAGES: return wanted & (SK_SUB_C2D | SK_SUB_INPUTS);
    case PORT_RESULTS:
    case PORT_METHODS: return wanted & SK_SUB_METHODS;
    default: return wanted & SK_SUB_DESIRED || !sk_list_empty(&client->twin_operations);
    }
}

/* ---- attaching ---- */

static void put_address(struct sk_buffer *to, const struct sk_device_client *client,
                        enum amqp_port port) {
    const struct sk_device_client_options *o = &client->options;
    sk_buffer_text(to, "/devices/");
    sk_percent_encode(to, o->device_id);
    if (o->module_id.n) {
        sk_buffer_text(to, "/modules/");
        sk_percent_encode(to, o->module_id);
    }
    switch (port) {
    case PORT_TELEMETRY: sk_buffer_text(to, "/messages/events"); break;
    case PORT_MESSAGES: /* inputs of a module come from the address that it sends events to */
        sk_buffer_text(to, o->module_id.n ? "/messages/events" : "/messages/deviceBound");
        break;
    case PORT_RESULTS:
    case PORT_METHODS: sk_buffer_text(to, "/methods/deviceBound"); break;
    default: sk_buffer_text(to, "/twin"); break;
    }
    sk_buffer_byte(to, 0);
}

static void add(struct sk_amqp_field *to, size_t *count, const char *name, struct sk_span text) {
    if (text.n)
        to[(*count)++] = (struct sk_amqp_field){sk_span_z(name), SK_AMQP_VALUE_STRING(text)};
}

static const struct sk_amqp_link_events link_events;

static void open_port(struct sk_device_client *client, enum amqp_port port) {
    const struct sk_device_client_options *o = &client->options;
    struct amqp_link *link = &client->amqp.links[port];
    struct sk_amqp_field properties[PROPERTIES_MAX];
    struct sk_buffer address = {0};
    char pair[48];
    size_t count = 0;
    bool twin = port == PORT_TWIN || port == PORT_TWIN_IN;
    snprintf(pair, sizeof pair, "%s:%s", twin ? "twin" : "methods", client->amqp.guid);
    put_address(&address, client, port);
    add(properties, &count, "com.microsoft:client-version", mux_product(o->mux));
    add(properties, &count, "com.microsoft:api-version", SK_SPAN("2021-04-12"));
    add(properties, &count, "com.microsoft:auth-chain", o->auth_chain);
    add(properties, &count, "com.microsoft:model-id", o->model_id);
    if (port != PORT_TELEMETRY && port != PORT_MESSAGES)
        add(properties, &count, "com.microsoft:channel-correlation-id", sk_span_z(pair));
    link->client = client;
    link->port = port;
    sk_amqp_client_attach(
        mux_connection(o->mux), &link->at,
        &(struct sk_amqp_link_options){.address = address.p,
                                       .sender = sends(port),
                                       .settled = port == PORT_TWIN,
                                       .credit = port == PORT_MESSAGES ? MESSAGES_CREDIT : CREDIT,
                                       .properties = properties,
                                       .property_count = count},
        &link_events);
    sk_buffer_free(&address);
}

static void open_ports(struct sk_device_client *client) {
    if (mux_connection(client->options.mux) == NULL) return;
    for (enum amqp_port port = 0; port < PORT_COUNT; port++)
        if (needs(client, port) && client->amqp.links[port].at.link == NULL)
            open_port(client, port);
}

static struct sk_amqp_client_link *at(struct sk_device_client *client, enum amqp_port port) {
    return &client->amqp.links[port].at;
}

static bool stands(struct sk_device_client *client, enum amqp_port port) {
    return at(client, port)->link && at(client, port)->ready;
}

static void attempt(struct sk_device_client *client) {
    if (mux_connection(client->options.mux) == NULL) return; /* it calls when it is there */
    client->state = CLIENT_CONNECTING;
    client->connection++;
    client_limit_step(client);
    open_ports(client);
}

void amqp_connection_up(struct sk_device_client *client) {
    if (client->state == CLIENT_WAITING && !sk_timer_running(&client->timer)) attempt(client);
}

static void on_watch(struct sk_timer *timer) {
    struct sk_device_client *client = SK_CONTAINER(timer, struct sk_device_client, timer);
    client_enter(client);
    sk_timer_start(client->io, timer, ACK_S * SK_S, on_watch);
    if (client_ack_overdue(client, ACK_S))
        client_lost(client, (struct sk_client_down){.reason = SK_TIMEOUT});
    client_leave(client);
}

static void check_ready(struct sk_device_client *client) {
    if (client->state != CLIENT_CONNECTING) return;
    open_ports(client); /* more may be needed than at the beginning */
    for (enum amqp_port port = 0; port < PORT_COUNT; port++)
        if (needs(client, port) && !stands(client, port)) return;
    client->state = CLIENT_CONNECTED;
    client->connected_ns = sk_io_now(client->io);
    sk_timer_start(client->io, &client->timer, ACK_S * SK_S, on_watch);
    client_ready(client, false);
}

static void on_check(struct sk_task *task) {
    struct sk_device_client *client = SK_CONTAINER(task, struct sk_device_client, amqp.check);
    client_enter(client);
    check_ready(client);
    client_leave(client);
}

static void forget_unsettled(struct sk_device_client *client) {
    SK_LIST_EACH(&client->amqp.unsettled, node, following)
    free(SK_CONTAINER(node, struct delivered, link));
    sk_list_init(&client->amqp.unsettled);
}

static void drop(struct sk_device_client *client, bool politely) {
    (void)politely; /* a detach says it all */
    sk_io_undefer(&client->amqp.check);
    sk_io_undefer(&client->amqp.give_up);
    client->amqp.giving_up = false;
    for (enum amqp_port port = 0; port < PORT_COUNT; port++)
        sk_amqp_client_detach(at(client, port));
    client->amqp.notified = false;
    forget_unsettled(client);
    if (client->dead) sk_list_remove(&client->amqp.link);
}

static void free_amqp(struct sk_device_client *client) {
    (void)client; /* drop() was the last */
}

static bool is_any(struct sk_span condition, const char *const *list) {
    for (; *list; list++)
        if (sk_span_is(condition, *list)) return true;
    return false;
}

static void on_detached(struct sk_amqp_client_link *link, const struct sk_amqp_error *error) {
    static const char *const refusals[] = {"amqp:unauthorized-access", "amqp:not-found",
                                           "amqp:not-allowed", NULL};
    struct sk_device_client *client = SK_CONTAINER(link, struct amqp_link, at)->client;
    bool refused = is_any(error->condition, refusals);
    SK_INFO("client", "%.*s%s%.*s: a link was detached: %.*s %.*s",
            SK_ARG(client->options.device_id), client->options.module_id.n ? "/" : "",
            SK_ARG(client->options.module_id), SK_ARG(error->condition),
            SK_ARG(error->description));
    client_enter(client);
    client_lost(client,
                (struct sk_client_down){.reason = error->condition.n ? SK_REFUSED : SK_CLOSED,
                                        .refused = refused});
    client_leave(client);
}

/* ---- telemetry ---- */

static enum sk_status encode(struct sk_device_client *client, const struct sk_message *message,
                             struct outgoing *to) {
    (void)client;
    struct sk_arena arena = {0};
    struct sk_amqp_message out;
    struct sk_message own = *message;
    struct sk_span number = message->system[SK_SYS_EDGE_NUMBER];
    own.device = own.module = own.system[SK_SYS_INPUT] = SK_NONE; /* stamped by the receiver */
    own.enqueued_us = 0;
    own.c2d = NULL;
    if (number.n) {
        size_t n = message->property_count;
        struct sk_property *properties = sk_arena_alloc(&arena, (n + 1) * sizeof *properties);
        if (n) memcpy(properties, message->properties, n * sizeof *properties);
        properties[n] = (struct sk_property){SK_SPAN("$.skn"), number};
        own.properties = properties;
        own.property_count = n + 1;
    }
    sk_message_to_amqp(&own, &arena, &out);
    sk_amqp_encode(&to->packet, &out);
    sk_arena_free(&arena);
    return SK_OK;
}

static bool writable(struct sk_device_client *client) {
    return !client->amqp.giving_up && sk_amqp_client_writable(at(client, PORT_TELEMETRY));
}

static void transmit(struct sk_device_client *client, struct outgoing *one) {
    sk_amqp_client_send_bytes(at(client, PORT_TELEMETRY), sk_buffer_span(&one->packet), false, one);
}

static void on_give_up(struct sk_task *task) {
    struct sk_device_client *client = SK_CONTAINER(task, struct sk_device_client, amqp.give_up);
    client_enter(client);
    client_lost(client, (struct sk_client_down){.reason = SK_REFUSED});
    client_leave(client);
}

static void on_outcome(struct sk_amqp_client_link *link, void *data, enum sk_amqp_outcome outcome,
                       const struct sk_amqp_error *error) {
    static const char *const final[] = {"amqp:link:message-size-exceeded",
                                        "amqp:decode-error",
                                        "amqp:not-allowed",
                                        "amqp:not-implemented",
                                        "com.microsoft:argument-error",
                                        "com.microsoft:argument-out-of-range",
                                        NULL};
    struct sk_device_client *client = SK_CONTAINER(link, struct amqp_link, at)->client;
    struct outgoing *one = data;
    if (one == NULL) return; /* a method's answer */
    client_enter(client);
    if (outcome == SK_AMQP_ACCEPTED) {
        client_sent(one, SK_OK);
        if (!client->dead) client_pump(client);
    } else if (outcome == SK_AMQP_REJECTED && is_any(error->condition, final)) {
        SK_WARN("client", "%.*s: the hub refuses a message: %.*s %.*s",
                SK_ARG(client->options.device_id), SK_ARG(error->condition),
                SK_ARG(error->description));
        client_sent(one, SK_REFUSED);
        if (!client->dead) client_pump(client);
    } else { /* later perhaps; what was sent behind it must not overtake it for good */
        client->amqp.giving_up = true;
        sk_io_defer(client->io, &client->amqp.give_up, on_give_up); /* more verdicts may be here */
    }
    client_leave(client);
}

/* ---- twins ---- */

static void send_twin(struct sk_device_client *client, uint32_t rid, const char *operation,
                      const char *resource, struct sk_span body) {
    struct sk_amqp_field annotations[] = {
        {SK_SPAN("operation"), SK_AMQP_VALUE_STRING(sk_span_z(operation))},
        {SK_SPAN("resource"), SK_AMQP_VALUE_STRING(sk_span_z(resource))}};
    char id[37];
    snprintf(id, sizeof id, "%08x%s", rid, client->amqp.guid + 8);
    sk_amqp_client_send(
        at(client, PORT_TWIN),
        &(struct sk_amqp_message){.correlation_id = SK_AMQP_VALUE_STRING(sk_span_z(id)),
                                  .annotations = annotations,
                                  .annotation_count = resource ? 2 : 1,
                                  .data = &body,
                                  .data_count = 1},
        true, NULL);
}

static bool twin_writable(struct sk_device_client *client) {
    return stands(client, PORT_TWIN_IN) && sk_amqp_client_writable(at(client, PORT_TWIN));
}

static bool transmit_twin(struct sk_device_client *client, const struct twin_operation *one) {
    if (!twin_writable(client)) {
        open_ports(client);
        return false;
    }
    if (one->report)
        send_twin(client, one->rid, "PATCH", "/properties/reported", sk_buffer_span(&one->body));
    else
        send_twin(client, one->rid, "GET", NULL, SK_SPAN(" "));
    return true;
}

/* Asks for desired properties, or to be spared them. */
static void notify(struct sk_device_client *client) {
    bool wanted = client->options.subscriptions & SK_SUB_DESIRED;
    if (client->amqp.notified == wanted || !twin_writable(client)) return;
    client->amqp.notified = wanted;
    send_twin(client, 0, wanted ? "PUT" : "DELETE", "/notifications/twin/properties/desired",
              SK_SPAN(" "));
}

static int64_t number_of(const struct sk_amqp_field *fields, size_t count, const char *name) {
    const struct sk_amqp_value *value = sk_amqp_find(fields, count, name);
    bool number = value && (value->type == SK_AMQP_LONG || value->type == SK_AMQP_ULONG);
    return number ? value->i : 0;
}

static void take_desired(struct sk_device_client *client, struct sk_span patch) {
    json_t *document = json_loadb(patch.p ? patch.p : "", patch.n, 0, NULL);
    json_int_t version = json_integer_value(json_object_get(document, "$version"));
    json_decref(document);
    if (client_events(client)->desired)
        client_events(client)->desired(client->options.arg, patch, (uint64_t)version);
}

static void take_twin(struct sk_device_client *client, const struct sk_amqp_message *from,
                      const struct sk_message *message) {
    struct sk_span id = message->system[SK_SYS_CORRELATION_ID];
    int64_t status = number_of(from->annotations, from->annotation_count, "status");
    int64_t version = number_of(from->annotations, from->annotation_count, "version");
    uint32_t rid;
    if (id.n == 0)
        take_desired(client, message->body);
    else if (id.n != 36 || !client_read_rid(sk_span_first(id, 8), &rid))
        return; /* not one of ours */
    else if (rid)
        client_twin_answer(client, rid, (unsigned)status, message->body, (uint64_t)version);
    else if (status >= 400)
        SK_WARN("client", "%.*s: the hub will not tell of desired properties (%lld)",
                SK_ARG(client->options.device_id), (long long)status);
}

/* ---- methods ---- */

static bool read_guid(struct sk_span text, struct sk_buffer *bytes) {
    struct sk_buffer digits = {0};
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] != '-') sk_buffer_byte(&digits, text.p[i]);
    bool fine = sk_hex_decode(bytes, sk_buffer_span(&digits)) == SK_OK && bytes->n == 16;
    sk_buffer_free(&digits);
    return fine;
}

static void answer(struct sk_device_client *client, struct sk_span rid, int status,
                   struct sk_span payload) {
    struct sk_amqp_field field = {SK_SPAN("IoThub-status"), SK_AMQP_VALUE_INT(status)};
    struct sk_buffer guid = {0};
    struct sk_amqp_value id = SK_AMQP_VALUE_STRING(rid);
    if (!sk_amqp_client_writable(at(client, PORT_RESULTS))) return;
    if (read_guid(rid, &guid)) /* as the call came */
        id = (struct sk_amqp_value){SK_AMQP_UUID, .text = sk_buffer_span(&guid)};
    sk_amqp_client_send(at(client, PORT_RESULTS),
                        &(struct sk_amqp_message){.correlation_id = id,
                                                  .application = &field,
                                                  .application_count = 1,
                                                  .data = &payload,
                                                  .data_count = 1},
                        true, NULL);
    sk_buffer_free(&guid);
}

static void take_method(struct sk_device_client *client, const struct sk_amqp_message *from,
                        const struct sk_message *message, struct sk_arena *arena) {
    const struct sk_amqp_value *name =
        sk_amqp_find(from->application, from->application_count, "IoThub-methodname");
    struct sk_span rid = message->system[SK_SYS_CORRELATION_ID];
    if (name == NULL) return;
    if (client_events(client)->method)
        client_events(client)->method(client->options.arg, sk_amqp_text(name, arena), message->body,
                                      rid);
    else
        answer(client, rid, 501, SK_SPAN("null"));
}

/* ---- messages ---- */

static struct sk_span annotation_text(const struct sk_amqp_message *from, const char *name,
                                      struct sk_arena *arena) {
    const struct sk_amqp_value *value =
        sk_amqp_find(from->annotations, from->annotation_count, name);
    return value ? sk_amqp_text(value, arena) : SK_NONE;
}

static void take_message(struct sk_device_client *client, struct sk_amqp_delivery *handle,
                         const struct sk_amqp_message *from, struct sk_message *message,
                         struct sk_arena *arena) {
    const struct sk_amqp_field *fields = from->annotations;
    size_t count = from->annotation_count;
    const struct sk_amqp_value *enqueued = sk_amqp_find(fields, count, "iothub-enqueuedtime");
    struct sk_c2d c2d = {.lock_token = annotation_text(from, "x-opt-lock-token", arena),
                         .delivery_count =
                             (unsigned)number_of(fields, count, "iothub-deliverycount"),
                         .expiry_us = from->expiry_ms ? from->expiry_ms * 1000 : INT64_MAX};
    struct sk_delivery delivery = {.connection = client->connection,
                                   .redelivered = c2d.delivery_count > 0};
    message->device = client->options.device_id;
    message->module = client->options.module_id;
    message->sequence = (uint64_t)number_of(fields, count, "x-opt-sequence-number");
    message->system[SK_SYS_INPUT] = annotation_text(from, "x-opt-input-name", arena);
    if (enqueued && enqueued->type == SK_AMQP_TIMESTAMP) message->enqueued_us = enqueued->i * 1000;
    if (client->options.module_id.n == 0) message->c2d = &c2d;
    if (handle) {
        struct delivered *one = SK_NEW(struct delivered);
        one->id = delivery.id = ++client->amqp.last_delivery;
        one->delivery = handle;
        sk_list_append(&client->amqp.unsettled, &one->link);
    }
    if (client_events(client)->message)
        client_events(client)->message(client->options.arg, message, delivery);
    else
        sk_device_client_settle(client, delivery, SK_REJECT); /* nobody will ever take it */
}

/* When nobody wants messages any more; not while there are some that would go back with the
 * link. */
static void detach_messages(struct sk_device_client *client) {
    if (!needs(client, PORT_MESSAGES) && sk_list_empty(&client->amqp.unsettled))
        sk_amqp_client_detach(at(client, PORT_MESSAGES));
}

static void settle(struct sk_device_client *client, struct sk_delivery delivery,
                   enum sk_outcome outcome) {
    static const enum sk_amqp_outcome outcomes[] = {[SK_COMPLETE] = SK_AMQP_ACCEPTED,
                                                    [SK_ABANDON] = SK_AMQP_RELEASED,
                                                    [SK_REJECT] = SK_AMQP_REJECTED,
                                                    [SK_RELEASE] = SK_AMQP_RELEASED};
    SK_LIST_EACH(&client->amqp.unsettled, node, following) {
        struct delivered *one = SK_CONTAINER(node, struct delivered, link);
        if (one->id != delivery.id) continue;
        sk_amqp_client_settle(at(client, PORT_MESSAGES), one->delivery, outcomes[outcome]);
        sk_list_remove(node);
        free(one);
        detach_messages(client);
        return;
    }
}

/* ---- what the links tell ---- */

static void on_transfer(struct sk_amqp_client_link *link, struct sk_amqp_delivery *delivery,
                        const struct sk_amqp_message *from) {
    struct amqp_link *own = SK_CONTAINER(link, struct amqp_link, at);
    struct sk_device_client *client = own->client;
    struct sk_arena arena = {0};
    struct sk_message message;
    bool fine = sk_message_from_amqp(from, &arena, &message) == SK_OK;
    client_enter(client);
    if (!fine || own->port != PORT_MESSAGES)
        sk_amqp_client_settle(link, delivery, fine ? SK_AMQP_ACCEPTED : SK_AMQP_REJECTED);
    if (fine && own->port == PORT_METHODS) take_method(client, from, &message, &arena);
    if (fine && own->port == PORT_TWIN_IN) take_twin(client, from, &message);
    if (fine && own->port == PORT_MESSAGES) take_message(client, delivery, from, &message, &arena);
    client_leave(client);
    sk_arena_free(&arena);
}

static void proceed(struct sk_amqp_client_link *link) {
    struct amqp_link *own = SK_CONTAINER(link, struct amqp_link, at);
    struct sk_device_client *client = own->client;
    client_enter(client);
    notify(client); /* before anybody gets the twin: nothing must be missed in between */
    check_ready(client);
    if (!client->dead && own->port == PORT_TELEMETRY) client_pump(client);
    if (!client->dead && (own->port == PORT_TWIN || own->port == PORT_TWIN_IN))
        client_pump_twin(client);
    client_leave(client);
}

static const struct sk_amqp_link_events link_events = {.ready = proceed,
                                                       .writable = proceed,
                                                       .detached = on_detached,
                                                       .transfer = on_transfer,
                                                       .outcome = on_outcome};

static void subscribe(struct sk_device_client *client) {
    if (client->state == CLIENT_WAITING) return; /* as it is then */
    open_ports(client);
    for (enum amqp_port port = PORT_RESULTS; port <= PORT_METHODS; port++)
        if (!needs(client, port)) sk_amqp_client_detach(at(client, port));
    detach_messages(client);
    notify(client);
    sk_io_defer(client->io, &client->amqp.check, on_check); /* what was waited for may be gone */
}

const struct client_protocol client_amqp = {.knows_outcomes = true,
                                            .attempt = attempt,
                                            .drop = drop,
                                            .free = free_amqp,
                                            .encode = encode,
                                            .writable = writable,
                                            .transmit = transmit,
                                            .transmit_twin = transmit_twin,
                                            .subscribe = subscribe,
                                            .answer = answer,
                                            .settle = settle};
