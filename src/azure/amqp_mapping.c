#include "azure/amqp_mapping.h"

#include "model/c2d.h"

/* System properties that travel as application properties or annotations. */
static const struct {
    enum sk_system_property property;
    const char *application, *annotation;
} names[] = {
    {SK_SYS_OUTPUT, "iothub-outputname", NULL},
    {SK_SYS_SCHEMA, "iothub-message-schema", NULL},
    {SK_SYS_CREATION_TIME, "iothub-creation-time-utc", NULL},
    {SK_SYS_OPERATION, "iothub-operation", NULL},
    {SK_SYS_ACK, "iothub-ack", NULL},
    {SK_SYS_EDGE_NUMBER, "$.skn", NULL},
    {SK_SYS_INTERFACE_ID, NULL, "iothub-interface-id"},
    {SK_SYS_COMPONENT, NULL, "dt-subject"},
    {SK_SYS_DIAGNOSTIC_ID, NULL, "Diagnostic-Id"},
    {SK_SYS_DIAGNOSTIC_CONTEXT, NULL, "Correlation-Context"},
};
enum { NAMES = sizeof names / sizeof *names, ANNOTATIONS_MAX = 16 };

/* ---- in ---- */

static struct sk_span time_text(struct sk_arena *arena, int64_t ms) {
    char text[SK_TIME_TEXT];
    if (ms == 0) return SK_NONE;
    sk_time_text(ms * 1000, text);
    return sk_arena_copy(arena, sk_span_z(text));
}

static struct sk_span joined_body(const struct sk_amqp_message *from, struct sk_arena *arena) {
    if (from->data_count == 0) return sk_amqp_text(&from->value, arena);
    if (from->data_count == 1) return from->data[0];
    size_t n = 0;
    for (size_t i = 0; i < from->data_count; i++) n += from->data[i].n;
    char *body = sk_arena_alloc(arena, n + 1), *to = body;
    for (size_t i = 0; i < from->data_count; i++) {
        if (from->data[i].n) memcpy(to, from->data[i].p, from->data[i].n);
        to += from->data[i].n;
    }
    return sk_span(body, n);
}

/* Empty texts stay "not there": AMQP clients write them for fields that they do not set. */
static struct sk_span or_none(struct sk_span text) {
    return text.n ? text : SK_NONE;
}

enum sk_status sk_message_from_amqp(const struct sk_amqp_message *from, struct sk_arena *arena,
                                    struct sk_message *message) {
    *message = (struct sk_message){.source = SK_SOURCE_TELEMETRY};
    if (from->application_count > SK_PROPERTIES_MAX) return SK_TOO_LARGE;
    struct sk_span *system = message->system;
    system[SK_SYS_MESSAGE_ID] = or_none(sk_amqp_text(&from->message_id, arena));
    system[SK_SYS_CORRELATION_ID] = or_none(sk_amqp_text(&from->correlation_id, arena));
    system[SK_SYS_USER_ID] = or_none(from->user_id);
    system[SK_SYS_TO] = or_none(from->to);
    system[SK_SYS_CONTENT_TYPE] = or_none(from->content_type);
    system[SK_SYS_CONTENT_ENCODING] = or_none(from->content_encoding);
    system[SK_SYS_EXPIRY] = time_text(arena, from->expiry_ms);
    system[SK_SYS_CREATION_TIME] = time_text(arena, from->creation_ms);
    struct sk_property *properties =
        sk_arena_alloc(arena, (from->application_count + 1) * sizeof *properties);
    for (size_t i = 0; i < from->application_count; i++) {
        const struct sk_amqp_field *field = &from->application[i];
        struct sk_span text = sk_amqp_text(&field->value, arena);
        if (text.p == NULL) text = SK_SPAN("");
        size_t known = 0;
        while (known < NAMES && (names[known].application == NULL ||
                                 !sk_span_is(field->name, names[known].application)))
            known++;
        if (known < NAMES)
            system[names[known].property] = text;
        else
            properties[message->property_count++] = (struct sk_property){field->name, text};
    }
    message->properties = properties;
    for (size_t i = 0; i < NAMES; i++) {
        const struct sk_amqp_value *value =
            names[i].annotation
                ? sk_amqp_find(from->annotations, from->annotation_count, names[i].annotation)
                : NULL;
        if (value) system[names[i].property] = or_none(sk_amqp_text(value, arena));
    }
    message->body = joined_body(from, arena);
    return SK_OK;
}

/* ---- out ---- */

struct annotations {
    struct sk_amqp_field *fields;
    size_t count;
};

static void add(struct annotations *to, const char *name, struct sk_amqp_value value) {
    to->fields[to->count++] = (struct sk_amqp_field){sk_span_z(name), value};
}

static void add_text(struct annotations *to, const char *name, struct sk_span text) {
    if (text.n) add(to, name, SK_AMQP_VALUE_STRING(text));
}

static int64_t parse_ms(struct sk_span text) {
    int64_t us;
    return text.n && sk_time_parse(text, &us) == SK_OK ? us / 1000 : 0;
}

/* Whether a system property takes this name: a map has each key once. */
static bool is_taken(const struct sk_message *message, struct sk_span name) {
    if (!sk_span_starts(name, SK_SPAN("iothub-"))) return false;
    for (size_t i = 0; i < NAMES; i++)
        if (names[i].application && sk_span_is(name, names[i].application))
            return message->system[names[i].property].n > 0;
    return false;
}

/* Everything but what depends on the receiver. */
static struct annotations put_common(const struct sk_message *message, struct sk_arena *arena,
                                     struct sk_amqp_message *to) {
    const struct sk_span *system = message->system;
    *to = (struct sk_amqp_message){.user_id = system[SK_SYS_USER_ID],
                                   .to = system[SK_SYS_TO],
                                   .content_type = system[SK_SYS_CONTENT_TYPE],
                                   .content_encoding = system[SK_SYS_CONTENT_ENCODING],
                                   .expiry_ms = parse_ms(system[SK_SYS_EXPIRY])};
    if (system[SK_SYS_MESSAGE_ID].n)
        to->message_id = SK_AMQP_VALUE_STRING(system[SK_SYS_MESSAGE_ID]);
    if (system[SK_SYS_CORRELATION_ID].n)
        to->correlation_id = SK_AMQP_VALUE_STRING(system[SK_SYS_CORRELATION_ID]);
    struct sk_amqp_field *application =
        sk_arena_alloc(arena, (message->property_count + NAMES) * sizeof *application);
    struct annotations annotations = {
        .fields = sk_arena_alloc(arena, ANNOTATIONS_MAX * sizeof *annotations.fields)};
    for (size_t i = 0; i < message->property_count; i++) {
        const struct sk_property *property = &message->properties[i];
        if (!is_taken(message, property->name))
            application[to->application_count++] =
                (struct sk_amqp_field){property->name, SK_AMQP_VALUE_STRING(property->value)};
    }
    for (size_t i = 0; i < NAMES; i++) {
        struct sk_span text = system[names[i].property];
        if (text.n == 0 || names[i].property == SK_SYS_EDGE_NUMBER) continue;
        if (names[i].application)
            application[to->application_count++] =
                (struct sk_amqp_field){sk_span_z(names[i].application), SK_AMQP_VALUE_STRING(text)};
        else
            add_text(&annotations, names[i].annotation, text);
    }
    to->application = application;
    struct sk_span *body = sk_arena_alloc(arena, sizeof *body);
    *body = message->body;
    to->data = body;
    to->data_count = 1;
    to->annotations = annotations.fields;
    return annotations;
}

void sk_message_to_amqp(const struct sk_message *message, struct sk_arena *arena,
                        struct sk_amqp_message *to) {
    struct annotations a = put_common(message, arena, to);
    if (message->enqueued_us)
        add(&a, "iothub-enqueuedtime", SK_AMQP_VALUE_TIMESTAMP(message->enqueued_us / 1000));
    if (message->c2d) {
        add(&a, "iothub-deliverycount",
            (struct sk_amqp_value){SK_AMQP_UBYTE, .u = message->c2d->delivery_count});
        add(&a, "x-opt-sequence-number",
            (struct sk_amqp_value){SK_AMQP_ULONG, .u = message->sequence});
        add_text(&a, "x-opt-lock-token", message->c2d->lock_token);
    } else {
        add_text(&a, "x-opt-input-name", message->system[SK_SYS_INPUT]);
        add_text(&a, "iothub-connection-device-id", message->device);
        add_text(&a, "iothub-connection-module-id", message->module);
    }
    to->annotation_count = a.count;
}

/* Once an event: printf would take a tenth of its time. */
static struct sk_span decimal(struct sk_arena *arena, uint64_t number) {
    enum { DIGITS = 20 };
    char *text = sk_arena_alloc(arena, DIGITS), *p = text + DIGITS;
    do *--p = (char)('0' + number % 10);
    while (number /= 10);
    return sk_span(p, (size_t)(text + DIGITS - p));
}

/* Who has sent it, and what of it the hub has stamped. */
static void put_sender(struct annotations *a, const struct sk_message *message) {
    struct sk_span source;
    add_text(a, "iothub-connection-device-id", message->device);
    add_text(a, "iothub-connection-module-id", message->module);
    add_text(a, "iothub-connection-auth-generation-id", message->system[SK_SYS_GENERATION_ID]);
    add_text(a, "iothub-connection-auth-method", message->system[SK_SYS_AUTH_METHOD]);
    add(a, "iothub-enqueuedtime", SK_AMQP_VALUE_TIMESTAMP(message->enqueued_us / 1000));
    if (sk_message_system(message, SK_SPAN("iothub-message-source"), &source))
        add_text(a, "iothub-message-source", source);
    add_text(a, "dt-dataschema", message->system[SK_SYS_MODEL_ID]);
}

void sk_event_to_amqp(const struct sk_message *message, struct sk_arena *arena,
                      struct sk_amqp_message *to) {
    struct annotations a = put_common(message, arena, to);
    struct sk_span key = message->system[SK_SYS_PARTITION_KEY];
    int64_t number = 0;
    sk_span_to_int(message->system[SK_SYS_SEQUENCE_NUMBER], &number);
    add(&a, "x-opt-sequence-number", SK_AMQP_VALUE_LONG(number));
    add_text(&a, "x-opt-offset", decimal(arena, message->sequence));
    add(&a, "x-opt-enqueued-time", SK_AMQP_VALUE_TIMESTAMP(message->enqueued_us / 1000));
    add_text(&a, "x-opt-partition-key", key.n ? key : message->device);
    /* Else it was sent to the stream itself. */
    if (message->device.n || message->source != SK_SOURCE_TELEMETRY) put_sender(&a, message);
    to->annotation_count = a.count;
}

void sk_routed_to_amqp(const struct sk_message *message, bool event_hub, struct sk_arena *arena,
                       struct sk_amqp_message *to) {
    struct annotations a = put_common(message, arena, to);
    struct annotations sender = {
        .fields = sk_arena_alloc(arena, ANNOTATIONS_MAX * sizeof *sender.fields)};
    put_sender(&sender, message);
    if (event_hub) {
        add_text(&a, "x-opt-partition-key", message->device);
        for (size_t i = 0; i < sender.count; i++) a.fields[a.count++] = sender.fields[i];
    } else {
        size_t n = to->application_count;
        struct sk_amqp_field *all = sk_arena_alloc(arena, (n + sender.count) * sizeof *all);
        if (n) memcpy(all, to->application, n * sizeof *all);
        for (size_t i = 0; i < sender.count; i++)
            if (sender.fields[i].value.type == SK_AMQP_STRING) all[n++] = sender.fields[i];
        to->application = all;
        to->application_count = n;
    }
    to->annotation_count = a.count;
}

static const struct sk_amqp_value *annotation(const struct sk_amqp_message *from,
                                              const char *name) {
    return sk_amqp_find(from->annotations, from->annotation_count, name);
}

static struct sk_span annotation_text(const struct sk_amqp_message *from, const char *name,
                                      struct sk_arena *arena) {
    const struct sk_amqp_value *value = annotation(from, name);
    return value ? or_none(sk_amqp_text(value, arena)) : SK_NONE;
}

enum sk_status sk_event_from_amqp(const struct sk_amqp_message *from, struct sk_arena *arena,
                                  struct sk_message *message) {
    enum sk_status status = sk_message_from_amqp(from, arena, message);
    if (status) return status;
    struct sk_span *system = message->system;
    struct sk_span source = annotation_text(from, "iothub-message-source", arena), name;
    const struct sk_amqp_value *number = annotation(from, "x-opt-sequence-number"),
                               *time = annotation(from, "x-opt-enqueued-time");
    message->device = annotation_text(from, "iothub-connection-device-id", arena);
    message->module = annotation_text(from, "iothub-connection-module-id", arena);
    system[SK_SYS_GENERATION_ID] =
        annotation_text(from, "iothub-connection-auth-generation-id", arena);
    system[SK_SYS_AUTH_METHOD] = annotation_text(from, "iothub-connection-auth-method", arena);
    system[SK_SYS_MODEL_ID] = annotation_text(from, "dt-dataschema", arena);
    if (message->device.n == 0)
        system[SK_SYS_PARTITION_KEY] = annotation_text(from, "x-opt-partition-key", arena);
    if (number && number->type == SK_AMQP_LONG) message->sequence = (uint64_t)number->i;
    if (time && time->type == SK_AMQP_TIMESTAMP) message->enqueued_us = time->i * 1000;
    for (int s = 0; s < SK_SOURCE_COUNT; s++) {
        struct sk_message probe = {.source = (enum sk_source)s};
        if (sk_message_system(&probe, SK_SPAN("iothub-message-source"), &name) &&
            sk_span_eq_nocase(name, source))
            message->source = (enum sk_source)s;
    }
    return SK_OK;
}

enum sk_status sk_lock_token_tag(struct sk_span token, unsigned char tag[16]) {
    static const unsigned char order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    struct sk_buffer digits = {0}, bytes = {0};
    for (size_t i = 0; i < token.n; i++)
        if (token.p[i] != '-') sk_buffer_byte(&digits, token.p[i]);
    enum sk_status status = sk_hex_decode(&bytes, sk_buffer_span(&digits));
    if (!status && bytes.n != 16) status = SK_MALFORMED;
    for (size_t i = 0; !status && i < 16; i++) tag[i] = (unsigned char)bytes.p[order[i]];
    sk_buffer_free(&digits);
    sk_buffer_free(&bytes);
    return status;
}
