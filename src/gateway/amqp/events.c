/* The Event Hubs-compatible endpoint: receivers of partitions, $management, senders. Reference:
 * docs/protocols/service-api.md, section 6. */
#include <stdio.h>

#include "gateway/amqp/head.h"

static struct sk_arena *scratch_of(const struct sk_amqp_end *end) {
    return &end->head->connection.gateway->scratch;
}

/* What an address says; false: its partition is not a number. */
static bool read_place(const struct sk_address *address, struct sk_span partition,
                       struct sk_events_ask *ask) {
    int64_t number = 0;
    *ask = (struct sk_events_ask){
        .entity = address->entity, .group = address->group, .partition = SK_ALL_PARTITIONS};
    if (partition.n == 0) return true;
    if (sk_span_to_int(partition, &number) || number < 0 || number > SK_PARTITIONS_MAX)
        return false;
    ask->partition = (unsigned)number;
    return true;
}

static void refuse(struct sk_amqp_end *end, enum sk_fault fault, const char *why) {
    struct sk_error error;
    sk_error_set(&error, fault, why ? "%s" : NULL, why);
    sk_amqp_end_refuse(end, &error);
}

/* ---- the redirect ----
 *
 * Who knows only the hub's connection string attaches to "messages/events/…", alone or behind
 * "amqps://{host}/", and is told where the stream is: in our case on the same host. */

static void on_redirect(struct sk_request *request, const struct sk_answer *answer) {
    enum { PORT = 5671 };
    struct sk_amqp_request *r = (struct sk_amqp_request *)request;
    struct sk_amqp_end *end = r->end;
    if (answer->error) {
        sk_amqp_end_refuse(end, answer->error);
    } else if (end->amqp) {
        struct sk_arena arena = {0};
        const struct sk_address *address = &end->address;
        struct sk_span host = sk_span_z(end->head->host_name); /* what is in its certificate */
        host = sk_span_first(host, sk_span_find(host, ':'));
        if (host.n == 0) host = end->head->backend->host_name;
        struct sk_span uri = sk_arena_print(&arena, "amqps://%.*s:%d/%.*s", SK_ARG(host), PORT,
                                            SK_ARG(answer->info->entity));
        uri = address->kind == SK_ADDRESS_MANAGEMENT
                  ? sk_arena_print(&arena, "%.*s/$management", SK_ARG(uri))
                  : sk_arena_print(&arena, "%.*s/ConsumerGroups/%.*s/Partitions/%.*s", SK_ARG(uri),
                                   SK_ARG(address->group), SK_ARG(address->partition));
        struct sk_amqp_field info[] = {{SK_SPAN("hostname"), SK_AMQP_VALUE_STRING(host)},
                                       {SK_SPAN("network-host"), SK_AMQP_VALUE_STRING(host)},
                                       {SK_SPAN("port"), SK_AMQP_VALUE_INT(PORT)},
                                       {SK_SPAN("address"), SK_AMQP_VALUE_STRING(uri)}};
        sk_amqp_end_detach(end, &(struct sk_amqp_error){.condition = SK_SPAN("amqp:link:redirect"),
                                                        .description = uri,
                                                        .info = info,
                                                        .info_count = 4});
        sk_arena_free(&arena);
    }
    sk_amqp_request_over(r, NULL);
}

/* True: the end is being redirected. */
static bool redirect(struct sk_amqp_end *end) {
    if (!sk_span_eq_nocase(end->address.entity, SK_SPAN("messages/events"))) return false;
    static const struct sk_events_ask all = {.partition = SK_ALL_PARTITIONS};
    struct sk_amqp_request *r = sk_amqp_request_new(end, SK_OP_EVENTS_INFO, NULL);
    r->request.done = on_redirect;
    r->request.ask = &all;
    sk_gateway_submit(end->head->backend, &r->request);
    return true;
}

/* ---- receivers ---- */

/* Where the partition's end is, for receivers that measure how far behind they are; encoded once
 * for a burst of events. */
static void put_newest(struct sk_amqp_end *end, struct sk_event_source *source,
                       struct sk_buffer *to) {
    struct sk_amqp_head *head = end->head;
    struct sk_events_info info;
    char offset[24];
    source->newest(source, &info);
    int n = snprintf(offset, sizeof offset, "%llu", (unsigned long long)info.last_offset);
    struct sk_amqp_field fields[] = {
        {SK_SPAN("last_enqueued_sequence_number"), SK_AMQP_VALUE_LONG(info.last_number)},
        {SK_SPAN("last_enqueued_offset"), SK_AMQP_VALUE_STRING(sk_span(offset, (size_t)n))},
        {SK_SPAN("last_enqueued_time_utc"), SK_AMQP_VALUE_TIMESTAMP(info.last_enqueued_us / 1000)},
        {SK_SPAN("runtime_info_retrieval_time_utc"),
         SK_AMQP_VALUE_TIMESTAMP(sk_io_wall(head->connection.gateway->io) / 1000)}};
    sk_amqp_encode_delivery_annotations(to, fields, 4);
}

static void receiver_writable(struct sk_amqp_end *end) {
    struct sk_event_source *source = end->data;
    struct sk_arena arena = {0};
    struct sk_buffer newest = {0};
    struct sk_message message;
    while (source && sk_amqp_end_writable(end) && source->next(source, &message) == SK_OK) {
        struct sk_amqp_message out;
        if (end->measures && newest.n == 0) put_newest(end, source, &newest);
        sk_arena_reset(&arena);
        sk_event_to_amqp(&message, &arena, &out);
        sk_amqp_end_tell(end, sk_buffer_span(&newest), &out);
    }
    sk_buffer_free(&newest);
    sk_arena_free(&arena);
}

static void receiver_readable(void *arg) {
    receiver_writable(arg);
}

static void receiver_evicted(void *arg, const struct sk_error *error) {
    sk_amqp_end_refuse(arg, error);
}

static void on_watch(struct sk_request *request, const struct sk_answer *answer) {
    struct sk_amqp_request *r = (struct sk_amqp_request *)request;
    struct sk_amqp_end *end = r->end;
    if (answer->error) {
        sk_amqp_end_refuse(end, answer->error);
    } else if (end->amqp == NULL) {
        answer->events->close(answer->events);
    } else {
        answer->events->readable = receiver_readable;
        answer->events->evicted = receiver_evicted;
        answer->events->arg = end;
        end->data = answer->events;
        sk_amqp_attach(end->amqp, 0);
        sk_amqp_head_flush(end->head);
    }
    sk_amqp_request_over(r, NULL);
}

static void receiver_opened(struct sk_amqp_end *end) {
    struct sk_events_ask ask;
    struct sk_amqp_value epoch = sk_amqp_link_property(end->amqp, "com.microsoft:epoch"),
                         name = sk_amqp_link_property(end->amqp, "com.microsoft:receiver-name");
    if (redirect(end)) return;
    end->measures = sk_amqp_link_desires(end->amqp, "com.microsoft:enable-receiver-runtime-metric");
    if (!read_place(&end->address, end->address.partition, &ask)) {
        refuse(end, SK_FAULT_PARTITION_OUT_OF_RANGE, NULL);
        return;
    }
    if (sk_events_position_parse(sk_amqp_link_selector(end->amqp), &ask.from)) {
        refuse(end, SK_FAULT_ARGUMENT_INVALID,
               "the filter is one comparison of x-opt-offset, x-opt-sequence-number or "
               "x-opt-enqueued-time, such as amqp.annotation.x-opt-offset > '-1'");
        return;
    }
    ask.exclusive = epoch.type == SK_AMQP_LONG || epoch.type == SK_AMQP_ULONG;
    ask.epoch = epoch.i;
    ask.receiver = sk_amqp_text(&name, scratch_of(end));
    if (ask.receiver.n == 0) ask.receiver = sk_amqp_link_other_address(end->amqp);
    if (ask.receiver.n == 0) ask.receiver = sk_amqp_link_name(end->amqp);
    struct sk_amqp_request *r = sk_amqp_request_new(end, SK_OP_EVENTS_WATCH, NULL);
    r->request.done = on_watch;
    r->request.ask = &ask;
    sk_gateway_submit(end->head->backend, &r->request);
}

static void receiver_gone(struct sk_amqp_end *end) {
    struct sk_event_source *source = end->data;
    if (source) source->close(source);
    end->data = NULL;
}

const struct sk_amqp_role sk_amqp_receiver = {.kind = SK_ADDRESS_RECEIVER,
                                              .sends = true,
                                              .resource = "messages/events",
                                              .events = true,
                                              .opened = receiver_opened,
                                              .writable = receiver_writable,
                                              .gone = receiver_gone};

/* ---- $management ---- */

static void management_opened(struct sk_amqp_end *end) {
    if (end->authorised && redirect(end)) return;
    sk_amqp_attach(end->amqp, SK_AMQP_HEAD_CREDIT);
}

static void answer_management(struct sk_amqp_request *r, const struct sk_error *error,
                              struct sk_amqp_value value) {
    struct sk_amqp_head *head = r->end->head;
    const struct sk_fault_kind *kind = error ? sk_fault_kind(error->fault) : NULL;
    struct sk_amqp_field fields[] = {
        {SK_SPAN("status-code"), SK_AMQP_VALUE_INT(kind ? kind->http_status : 200)},
        {SK_SPAN("status-description"),
         SK_AMQP_VALUE_STRING(sk_span_z(error ? sk_error_text(error) : "OK"))},
        {SK_SPAN("error-condition"),
         SK_AMQP_VALUE_SYMBOL(kind ? sk_span_z(kind->condition) : SK_NONE)}};
    struct sk_amqp_message message = {.correlation_id = r->correlation,
                                      .application = fields,
                                      .application_count = kind ? 3 : 2,
                                      .value = value};
    struct sk_amqp_end *to = sk_amqp_reply_end(head, &sk_amqp_management_out, r->reply_to);
    struct sk_amqp_incoming *incoming = r->incoming;
    if (to && head->stream) {
        r->incoming = NULL;
        sk_amqp_end_answer(to, &message, incoming);
    }
    sk_amqp_request_over(r, NULL);
}

static struct sk_amqp_value stream_map(const struct sk_events_info *info, struct sk_arena *arena) {
    struct sk_amqp_field *fields = sk_arena_alloc(arena, 5 * sizeof *fields);
    struct sk_span *ids = sk_arena_alloc(arena, info->partition_count * sizeof *ids);
    for (unsigned i = 0; i < info->partition_count; i++) ids[i] = sk_arena_print(arena, "%u", i);
    struct sk_amqp_value list = {SK_AMQP_STRINGS, info->partition_count, .texts = ids};
    fields[0] = (struct sk_amqp_field){SK_SPAN("name"), SK_AMQP_VALUE_STRING(info->entity)};
    fields[1] = (struct sk_amqp_field){SK_SPAN("type"),
                                       SK_AMQP_VALUE_STRING(SK_SPAN("com.microsoft:eventhub"))};
    fields[2] = (struct sk_amqp_field){SK_SPAN("created_at"),
                                       SK_AMQP_VALUE_TIMESTAMP(info->created_us / 1000)};
    fields[3] = (struct sk_amqp_field){SK_SPAN("partition_count"),
                                       SK_AMQP_VALUE_INT((int)info->partition_count)};
    fields[4] = (struct sk_amqp_field){SK_SPAN("partition_ids"), list};
    return (struct sk_amqp_value){SK_AMQP_MAP, 5, .fields = fields};
}

static struct sk_amqp_value partition_map(const struct sk_events_info *info, struct sk_span id,
                                          struct sk_arena *arena) {
    struct sk_amqp_field *fields = sk_arena_alloc(arena, 8 * sizeof *fields);
    struct sk_span offset = sk_arena_print(arena, "%llu", (unsigned long long)info->last_offset);
    fields[0] = (struct sk_amqp_field){SK_SPAN("name"), SK_AMQP_VALUE_STRING(info->entity)};
    fields[1] = (struct sk_amqp_field){SK_SPAN("type"),
                                       SK_AMQP_VALUE_STRING(SK_SPAN("com.microsoft:partition"))};
    fields[2] = (struct sk_amqp_field){SK_SPAN("partition"), SK_AMQP_VALUE_STRING(id)};
    fields[3] = (struct sk_amqp_field){SK_SPAN("begin_sequence_number"),
                                       SK_AMQP_VALUE_LONG(info->first_number)};
    fields[4] = (struct sk_amqp_field){SK_SPAN("last_enqueued_sequence_number"),
                                       SK_AMQP_VALUE_LONG(info->last_number)};
    fields[5] =
        (struct sk_amqp_field){SK_SPAN("last_enqueued_offset"),
                               SK_AMQP_VALUE_STRING(info->last_offset ? offset : SK_SPAN("-1"))};
    fields[6] = (struct sk_amqp_field){SK_SPAN("last_enqueued_time_utc"),
                                       SK_AMQP_VALUE_TIMESTAMP(info->last_enqueued_us / 1000)};
    fields[7] =
        (struct sk_amqp_field){SK_SPAN("is_partition_empty"), SK_AMQP_VALUE_BOOL(info->empty)};
    return (struct sk_amqp_value){SK_AMQP_MAP, 8, .fields = fields};
}

static void on_info(struct sk_request *request, const struct sk_answer *answer) {
    struct sk_amqp_request *r = (struct sk_amqp_request *)request;
    struct sk_arena arena = {0};
    struct sk_amqp_value value = {0};
    if (!answer->error)
        value = request->name.n ? partition_map(answer->info, request->name, &arena)
                                : stream_map(answer->info, &arena);
    answer_management(r, answer->error, value);
    sk_arena_free(&arena);
}

static struct sk_span member(const struct sk_amqp_message *m, const char *name,
                             struct sk_arena *arena) {
    const struct sk_amqp_value *value = sk_amqp_find(m->application, m->application_count, name);
    return value ? sk_amqp_text(value, arena) : SK_NONE;
}

/* A question; it takes over `incoming`. `refusal`: what the answer is, whatever it asks. */
static void answer_question(struct sk_amqp_end *end, struct sk_amqp_incoming *incoming,
                            struct sk_span payload, const struct sk_error *refusal) {
    struct sk_arena *scratch = scratch_of(end);
    struct sk_amqp_message m;
    struct sk_events_ask ask;
    if (sk_amqp_decode(payload, scratch, &m)) {
        sk_error_set(&incoming->error, SK_FAULT_ARGUMENT_INVALID, "not an AMQP message");
        sk_amqp_incoming_settle(incoming);
        return;
    }
    /* Accepted: the verdict is in the answer. */
    struct sk_amqp_request *r = sk_amqp_request_new(end, SK_OP_EVENTS_INFO, incoming);
    sk_amqp_incoming_settle(incoming); /* the request holds it */
    sk_amqp_request_correlate(r, &m.message_id);
    r->reply_to = sk_span_dup(m.reply_to);
    r->request.done = on_info;
    bool one = sk_span_is(member(&m, "type", scratch), "com.microsoft:partition");
    struct sk_span partition = one ? member(&m, "partition", scratch) : SK_NONE;
    struct sk_address address = {.entity = member(&m, "name", scratch)};
    struct sk_error error = {0};
    if (refusal)
        error = *refusal;
    else if (!sk_span_eq_nocase(member(&m, "operation", scratch), SK_SPAN("READ")))
        sk_error_set(&error, SK_FAULT_INVALID_OPERATION, "$management takes the operation READ");
    else if (!one && !sk_span_is(member(&m, "type", scratch), "com.microsoft:eventhub"))
        sk_error_set(&error, SK_FAULT_ARGUMENT_INVALID,
                     "the type is com.microsoft:eventhub or com.microsoft:partition");
    else if (!read_place(&address, partition, &ask) || (one && partition.n == 0))
        sk_error_set(&error, SK_FAULT_PARTITION_OUT_OF_RANGE, NULL);
    if (error.fault) {
        answer_management(r, &error, (struct sk_amqp_value){0});
        return;
    }
    r->request.name = partition; /* it is answered before the scratch arena is used again */
    r->request.ask = &ask;
    sk_gateway_submit(end->head->backend, &r->request);
}

/* A question that came before its link was authorised. */
struct early {
    struct early *next;
    struct sk_amqp_incoming *incoming;
    struct sk_buffer payload;
};

static void manage(struct sk_amqp_end *end, struct sk_amqp_delivery *delivery,
                   struct sk_span payload) {
    struct sk_amqp_incoming *incoming = sk_amqp_incoming_new(end, delivery);
    if (end->authorised) {
        answer_question(end, incoming, payload, NULL);
        return;
    }
    struct early *early = SK_NEW(struct early), *last = end->data;
    early->incoming = incoming;
    sk_buffer_append(&early->payload, payload);
    while (last && last->next) last = last->next;
    if (last) { /* it is being authorised already */
        last->next = early;
        return;
    }
    end->data = early;
    struct sk_amqp_message m;
    struct sk_span token = SK_NONE;
    if (sk_amqp_decode(payload, scratch_of(end), &m) == SK_OK)
        token = member(&m, "security_token", scratch_of(end)); /* so does Java */
    if (token.n)
        sk_amqp_prove(end, token);
    else
        sk_amqp_authorise(end);
}

/* `error` NULL: now the questions may be answered. */
static void management_authorised(struct sk_amqp_end *end, const struct sk_error *error) {
    end->pending++; /* an answer may end the link */
    for (struct early *early; (early = end->data) != NULL;) {
        end->data = early->next;
        answer_question(end, early->incoming, sk_buffer_span(&early->payload), error);
        sk_buffer_free(&early->payload);
        free(early);
    }
    sk_amqp_end_release(end);
}

static void management_gone(struct sk_amqp_end *end) {
    for (struct early *early; (early = end->data) != NULL;) {
        end->data = early->next;
        sk_amqp_incoming_settle(early->incoming);
        sk_buffer_free(&early->payload);
        free(early);
    }
}

const struct sk_amqp_role sk_amqp_management_in = {.kind = SK_ADDRESS_MANAGEMENT,
                                                   .sends = false,
                                                   .resource = "messages/events",
                                                   .events = true,
                                                   .authorised = management_authorised,
                                                   .opened = management_opened,
                                                   .transfer = manage,
                                                   .gone = management_gone};
const struct sk_amqp_role sk_amqp_management_out = {.kind = SK_ADDRESS_MANAGEMENT,
                                                    .sends = true,
                                                    .resource = "messages/events",
                                                    .events = true,
                                                    .authorised = management_authorised,
                                                    .opened = management_opened};

/* ---- senders ---- */

static void sender_opened(struct sk_amqp_end *end) {
    sk_amqp_attach(end->amqp, SK_AMQP_HEAD_CREDIT);
}

/* A batch has its partition key on the whole, or on each message. */
static void submit_event(struct sk_amqp_end *end, struct sk_amqp_incoming *incoming,
                         const struct sk_amqp_message *whole, const struct sk_amqp_message *from) {
    struct sk_message message;
    struct sk_events_ask ask;
    struct sk_amqp_request *r = sk_amqp_request_new(end, SK_OP_EVENTS_SEND, incoming);
    if (!read_place(&end->address, end->address.partition, &ask)) {
        sk_request_refuse(&r->request, SK_FAULT_PARTITION_OUT_OF_RANGE, NULL);
        return;
    }
    enum sk_status status = sk_message_from_amqp(from, scratch_of(end), &message);
    const struct sk_amqp_value *key =
        sk_amqp_find(from->annotations, from->annotation_count, "x-opt-partition-key");
    if (!key)
        key = sk_amqp_find(whole->annotations, whole->annotation_count, "x-opt-partition-key");
    message.system[SK_SYS_PARTITION_KEY] = key ? sk_amqp_text(key, scratch_of(end)) : SK_NONE;
    if (status || sk_message_size(&message) > SK_MESSAGE_MAX) {
        sk_request_refuse(&r->request, SK_FAULT_MESSAGE_TOO_LARGE, NULL);
        return;
    }
    r->request.message = &message;
    r->request.ask = &ask;
    sk_gateway_submit(end->head->backend, &r->request);
}

static void send_events(struct sk_amqp_end *end, struct sk_amqp_delivery *delivery,
                        struct sk_span payload) {
    sk_amqp_take(end, delivery, payload, SK_AMQP_MESSAGE_MAX, submit_event);
}

const struct sk_amqp_role sk_amqp_sender = {.kind = SK_ADDRESS_SENDER,
                                            .sends = false,
                                            .resource = "messages/events",
                                            .events = true,
                                            .opened = sender_opened,
                                            .transfer = send_events};
