/* The roof of the AMQP head: bytes to links and transfers, and which role takes them. */
#include "gateway/amqp/head.h"

/* ---- what the engine tells ---- */

static void on_sasl(void *arg, struct sk_span mechanism, struct sk_span response,
                    struct sk_span host) {
    sk_amqp_on_sasl(arg, mechanism, response, host);
}

static void on_open(void *arg, struct sk_span host_name) {
    struct sk_amqp_head *head = arg;
    free(head->host_name);
    head->host_name = sk_span_dup(host_name);
    host_name = sk_span_first(host_name, sk_span_find(host_name, ':'));
    if (head->backend == NULL) head->backend = sk_gateway_find(head->connection.gateway, host_name);
}

static const struct sk_amqp_role *const roles[] = {
    &sk_amqp_cbs_in,   &sk_amqp_cbs_out,     &sk_amqp_telemetry,     &sk_amqp_messages,
    &sk_amqp_inputs,   &sk_amqp_methods_in,  &sk_amqp_methods_out,   &sk_amqp_twin_in,
    &sk_amqp_twin_out, &sk_amqp_service_c2d, &sk_amqp_feedback,      &sk_amqp_file_notices,
    &sk_amqp_receiver, &sk_amqp_sender,      &sk_amqp_management_in, &sk_amqp_management_out,
};

static const struct sk_amqp_role *find_role(const struct sk_address *address, bool sends) {
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (roles[i]->kind == address->kind && roles[i]->sends == sends) return roles[i];
    return NULL;
}

static const struct sk_amqp_role unknown = {.kind = SK_ADDRESS_UNKNOWN};

/* The end needs the texts of its address as long as it lives: copies of them in one block. */
static void keep_texts(struct sk_amqp_end *end, const struct sk_address *address,
                       struct sk_span pair) {
    end->address = *address;
    end->pair = pair;
    struct sk_span *const texts[] = {&end->address.device,    &end->address.module,
                                     &end->address.entity,    &end->address.group,
                                     &end->address.partition, &end->pair};
    enum { TEXTS = sizeof texts / sizeof *texts };
    size_t size = 1;
    for (unsigned i = 0; i < TEXTS; i++) size += texts[i]->n;
    char *to = end->texts = sk_alloc(size);
    for (unsigned i = 0; i < TEXTS; i++) {
        if (texts[i]->n) memcpy(to, texts[i]->p, texts[i]->n);
        texts[i]->p = to;
        to += texts[i]->n;
    }
}

static void on_attach(void *arg, struct sk_amqp_link *link) {
    struct sk_amqp_head *head = arg;
    struct sk_gateway *gateway = head->connection.gateway;
    struct sk_address address;
    struct sk_error error;
    sk_arena_reset(&gateway->scratch);
    sk_address_parse(sk_amqp_link_address(link), &gateway->scratch, &address);
    const struct sk_amqp_role *role = find_role(&address, sk_amqp_link_is_sender(link));
    if (head->closing) return;
    struct sk_amqp_end *end = sk_amqp_end_new(head, link, role ? role : &unknown);
    if (role == NULL) {
        sk_error_set(&error, SK_FAULT_ADDRESS_NOT_FOUND, NULL);
        sk_amqp_end_refuse(end, &error);
        return;
    }
    if (!head->proved && head->end_count > SK_AMQP_HEAD_UNPROVED_LINKS_MAX) {
        sk_error_set(&error, SK_FAULT_QUOTA_EXCEEDED, "too many links before any credential");
        sk_amqp_head_fail(head, &error);
        return;
    }
    if (head->end_count > SK_AMQP_HEAD_LINKS_MAX) {
        sk_error_set(&error, SK_FAULT_QUOTA_EXCEEDED, "this connection has too many links");
        sk_amqp_end_refuse(end, &error);
        return;
    }
    struct sk_amqp_value pair = sk_amqp_link_property(link, "com.microsoft:channel-correlation-id");
    struct sk_span text = sk_amqp_text(&pair, &gateway->scratch);
    keep_texts(end, &address, sk_span_skip(text, sk_span_find(text, ':') + 1));
    sk_amqp_authorise(end);
}

static void on_detach(void *arg, struct sk_amqp_link *link, const struct sk_amqp_error *error) {
    (void)arg;
    (void)error;
    struct sk_amqp_end *end = sk_amqp_link_data(link);
    if (end) sk_amqp_end_gone(end);
}

static void on_transfer(void *arg, struct sk_amqp_link *link, struct sk_amqp_delivery *delivery,
                        struct sk_span payload) {
    struct sk_amqp_head *head = arg;
    struct sk_amqp_end *end = sk_amqp_link_data(link);
    sk_arena_reset(&head->connection.gateway->scratch);
    head->transfer_bytes = payload.n;
    if (end && end->open && end->role->transfer) end->role->transfer(end, delivery, payload);
    head->transfer_bytes = 0;
}

static void on_outcome(void *arg, struct sk_amqp_link *link, void *data,
                       enum sk_amqp_outcome outcome, const struct sk_amqp_error *error) {
    (void)arg;
    (void)error;
    struct sk_amqp_end *end = sk_amqp_link_data(link);
    struct sk_amqp_sent *sent = data;
    if (end == NULL || sent == NULL) return;
    sk_list_remove(&sent->link);
    if (end->role->outcome) end->role->outcome(end, sent, outcome);
    free(sent);
}

static void on_credit(void *arg, struct sk_amqp_link *link) {
    (void)arg;
    struct sk_amqp_end *end = sk_amqp_link_data(link);
    if (end) sk_amqp_end_go_on(end);
}

static void on_close(void *arg, const struct sk_amqp_error *error) {
    struct sk_amqp_head *head = arg;
    if (error->condition.n)
        SK_SELDOM(SK_LEVEL_INFO, "amqp", "%s: closed: %.*s %.*s",
                  head->stream ? sk_stream_peer(head->stream) : "-", SK_ARG(error->condition),
                  SK_ARG(error->description));
    if (head->closing) return;
    head->closing = true; /* the stream is closed when what is being fed has been flushed */
}

static const struct sk_amqp_events amqp_events = {.on_sasl = on_sasl,
                                                  .on_open = on_open,
                                                  .on_attach = on_attach,
                                                  .on_detach = on_detach,
                                                  .on_transfer = on_transfer,
                                                  .on_outcome = on_outcome,
                                                  .on_credit = on_credit,
                                                  .on_close = on_close};

/* ---- the stream and the clock ---- */

enum { SLICE = 4096, SLICE_UNPROVED = 1024, SLICE_STEPS = 8 };

/* The engine takes what it is given as a whole, so it gets little at a time. */
static size_t slice_max(const struct sk_amqp_head *head) {
    size_t left = SK_AMQP_HEAD_UNPROVED_MAX - head->unproved;
    if (head->proved) return SLICE;
    return left < SLICE_UNPROVED ? left : SLICE_UNPROVED;
}

static void on_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    struct sk_amqp_head *head = arg;
    while (bytes.n && !head->closing && sk_stream_go_on(stream, SLICE_STEPS)) {
        struct sk_span slice = sk_span_first(bytes, slice_max(head));
        if (!head->proved) head->unproved += slice.n;
        bytes = sk_span_skip(bytes, slice.n);
        sk_amqp_feed(head->amqp, slice);
        sk_amqp_head_reading(head);
        sk_amqp_head_flush_now(head); /* what has to go out counts */
    }
    if (!head->closing) sk_stream_unread(stream, bytes);
    sk_amqp_head_after_engine(head);
}

static void on_drain(struct sk_stream *stream, void *arg) {
    (void)stream;
    struct sk_amqp_head *head = arg;
    head->congested = false;
    SK_LIST_EACH(&head->ends, node, following) {
        struct sk_amqp_end *end = SK_CONTAINER(node, struct sk_amqp_end, link);
        if (end->role->sends && end->open) sk_amqp_end_go_on(end);
        if (head->congested) break;
    }
    sk_amqp_head_flush(head);
}

static void on_tick(struct sk_timer *timer) {
    struct sk_amqp_head *head = SK_CONTAINER(timer, struct sk_amqp_head, tick);
    uint64_t now_ms = sk_io_now(timer->io) / SK_MS;
    uint64_t next_ms = sk_amqp_tick(head->amqp, now_ms);
    sk_amqp_head_after_engine(head);
    if (head->stream && !head->closing)
        sk_timer_start(timer->io, timer,
                       next_ms > now_ms ? (next_ms - now_ms) * SK_MS : SK_AMQP_HEAD_IDLE_MS * SK_MS,
                       on_tick);
}

static void on_not_proved(struct sk_timer *timer) {
    struct sk_amqp_head *head = SK_CONTAINER(timer, struct sk_amqp_head, prove);
    struct sk_error error;
    if (head->proved) return;
    sk_error_set(&error, SK_FAULT_UNAUTHORIZED, "no credential came in time");
    sk_amqp_head_fail(head, &error);
}

static const struct sk_stream_events stream_events = {
    .on_data = on_data, .on_drain = on_drain, .on_close = sk_amqp_head_gone};

void amqp_head_open(struct sk_gateway *gateway, struct sk_stream *stream, struct sk_span first) {
    struct sk_amqp_head *head = SK_NEW(struct sk_amqp_head);
    char guid[37], container[48] = "DeviceGateway_";
    size_t n = strlen(container);
    sk_io_guid(gateway->io, guid);
    for (const char *c = guid; *c; c++)
        if (*c != '-') container[n++] = *c;
    container[n] = 0;
    head->stream = stream;
    sk_list_init(&head->ends);
    connection_add(gateway, &head->connection, stream, sk_amqp_head_end);
    head->amqp = sk_amqp_new(&(struct sk_amqp_options){.server = true,
                                                       .stranger = true,
                                                       .container = container,
                                                       .idle_timeout_ms = SK_AMQP_HEAD_IDLE_MS},
                             &amqp_events, head);
    sk_stream_handle(stream, &stream_events, head);
    sk_timer_start(gateway->io, &head->prove, SK_AMQP_HEAD_PROVE_S * SK_S, on_not_proved);
    sk_timer_start(gateway->io, &head->tick, SK_S, on_tick);
    on_data(stream, head, first);
}
