/* Messages over HTTPS: their properties are headers. Telemetry, single or in batches, and what
 * services send to a device; deliveries to devices and feedback to services, locked until their
 * token comes back. Reference:
 * docs/protocols/device-protocols.md, sections 4.1 to 4.3. */
#include "gateway/http/head.h"
#include "model/json_text.h"

#include <stdio.h>

/* Where several headers mean the same, the first is the one that is written. */
static const struct {
    const char *header;
    enum sk_system_property property;
    bool always; /* a delivery has it even when it is empty */
} names[] = {{"iothub-messageid", SK_SYS_MESSAGE_ID, true},
             {"iothub-correlationid", SK_SYS_CORRELATION_ID, true},
             {"iothub-userid", SK_SYS_USER_ID, true},
             {"iothub-to", SK_SYS_TO, true},
             {"iothub-expiry", SK_SYS_EXPIRY, true},
             {"iothub-ack", SK_SYS_ACK, true},
             {"iothub-contenttype", SK_SYS_CONTENT_TYPE, false},
             {"iothub-contentencoding", SK_SYS_CONTENT_ENCODING, false},
             {"iothub-creation-time-utc", SK_SYS_CREATION_TIME, false},
             {"iothub-creationtimeutc", SK_SYS_CREATION_TIME, false},
             {"iothub-messageschema", SK_SYS_SCHEMA, false},
             {"iothub-interface-id", SK_SYS_INTERFACE_ID, false},
             {"dt-subject", SK_SYS_COMPONENT, false}};

enum { NAME_COUNT = sizeof names / sizeof *names };

#define APPLICATION SK_SPAN("iothub-app-")
#define BATCH_TYPE SK_SPAN("application/vnd.microsoft.iothub.json")

/* ---- what is sent ---- */

/* Takes one property by its header's name; what is neither is no property. `properties` has
 * room. */
static void take_property(struct sk_message *message, struct sk_property *properties,
                          struct sk_span name, struct sk_span value) {
    if (sk_span_starts_nocase(name, APPLICATION) && name.n > APPLICATION.n)
        properties[message->property_count++] =
            (struct sk_property){sk_span_skip(name, APPLICATION.n), value};
    for (size_t i = 0; i < NAME_COUNT; i++)
        if (sk_span_eq_nocase(name, sk_span_z(names[i].header)))
            message->system[names[i].property] = value;
}

static struct sk_message *new_message(struct sk_http_request *r, size_t properties_max,
                                      struct sk_property **properties) {
    struct sk_message *message = sk_arena_alloc(&r->exchange->arena, sizeof *message);
    *properties = sk_arena_alloc(&r->exchange->arena, (properties_max + 1) * sizeof **properties);
    message->source = SK_SOURCE_TELEMETRY;
    message->device = r->request.device;
    message->module = r->request.module;
    message->properties = *properties;
    return message;
}

bool sk_http_read_message(struct sk_http_request *r) {
    struct sk_http_parser *http = r->exchange->request;
    struct sk_property *properties;
    struct sk_message *message = new_message(r, SK_HTTP_HEADERS_MAX, &properties);
    struct sk_span name, value;
    message->body = sk_buffer_span(&http->body);
    for (unsigned i = 0; sk_http_header_at(http, i, &name, &value); i++)
        take_property(message, properties, name, value);
    r->request.message = message;
    return sk_message_size(message) <= SK_MESSAGE_MAX;
}

/* ---- batches: all of it is read before the first message is stored ---- */

struct batch {
    struct sk_http_request *r;
    size_t waiting;
    enum sk_fault fault; /* the first */
};

struct part {
    struct sk_request request;
    struct batch *batch;
    struct sk_message *message;
};

bool sk_http_is_batch(const struct sk_http_request *r) {
    struct sk_span type = sk_http_header(r->exchange->request, "Content-Type");
    return r->request.op == SK_OP_TELEMETRY &&
           sk_span_eq_nocase(sk_span_trim(sk_span_first(type, sk_span_find(type, ';'))),
                             BATCH_TYPE);
}

/* One message of the array, borrowing from it; NULL: it is not one. */
static struct sk_message *read_part(struct sk_http_request *r, const json_t *item) {
    const json_t *body = json_object_get(item, "body"), *base64;
    json_t *values = json_object_get(item, "properties"), *value;
    struct sk_property *properties;
    const char *key;
    if (!json_is_string(body) || (values && !json_is_object(values))) return NULL;
    struct sk_message *message = new_message(r, json_object_size(values), &properties);
    message->body = sk_span(json_string_value(body), json_string_length(body));
    base64 = json_object_get(item, "base64Encoded"); /* absent: it is (Node never says) */
    if (base64 == NULL || json_is_true(base64)) {
        struct sk_buffer decoded = {0};
        enum sk_status status = sk_base64_decode(&decoded, message->body);
        message->body = sk_arena_copy(&r->exchange->arena, sk_buffer_span(&decoded));
        sk_buffer_free(&decoded);
        if (status) return NULL;
    }
    json_object_foreach(values, key, value) {
        if (!json_is_string(value)) return NULL;
        take_property(message, properties, sk_span_z(key),
                      sk_span(json_string_value(value), json_string_length(value)));
    }
    return message->property_count <= SK_PROPERTIES_MAX ? message : NULL;
}

static void finish(struct batch *batch) {
    struct sk_http_request *r = batch->r;
    if (--batch->waiting) return;
    struct sk_error error;
    sk_error_set(&error, batch->fault, NULL);
    if (batch->fault)
        sk_http_head_refuse(r->exchange, &error, false, NULL);
    else
        sk_http_respond(r->exchange, 204, SK_NONE, SK_NONE);
    sk_http_request_free(r);
}

static void part_stored(struct sk_request *request, const struct sk_answer *answer) {
    struct part *part = (struct part *)request;
    if (answer->error && part->batch->fault == SK_FAULT_NONE)
        part->batch->fault = answer->error->fault;
    finish(part->batch);
}

bool sk_http_submit_batch(struct sk_http_request *r, struct sk_error *error) {
    struct sk_http_parser *http = r->exchange->request;
    struct sk_arena *arena = &r->exchange->arena;
    json_error_t why;
    if (http->body.n > SK_MESSAGE_MAX) {
        sk_error_set(error, SK_FAULT_MESSAGE_TOO_LARGE, "a batch has at most 256 KB");
        return false;
    }
    r->request.body = sk_json_load(sk_buffer_span(&http->body), 0, &why);
    if (r->request.body == NULL) {
        sk_error_set(error, SK_FAULT_DESERIALIZATION, "the batch is not JSON: %.160s", why.text);
        return false;
    }
    size_t count = json_array_size(r->request.body);
    struct part *parts = sk_arena_alloc(arena, (count + 1) * sizeof *parts);
    struct batch *batch = sk_arena_alloc(arena, sizeof *batch);
    batch->r = r;
    batch->waiting = count + 1; /* this function too: an answer may come at once */
    for (size_t i = 0; i < count; i++) {
        parts[i].message = read_part(r, json_array_get(r->request.body, i));
        if (parts[i].message) continue;
        sk_error_set(error, SK_FAULT_ARGUMENT_INVALID,
                     "message %zu of the batch is not {\"body\": text, \"base64Encoded\": …, "
                     "\"properties\": {name: text}}",
                     i);
        return false;
    }
    if (count == 0) {
        sk_error_set(error, SK_FAULT_ARGUMENT_INVALID, "the batch is not an array of messages");
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        parts[i].batch = batch;
        parts[i].request = r->request;
        parts[i].request.body = NULL;
        parts[i].request.message = parts[i].message;
        parts[i].request.done = part_stored;
        sk_gateway_submit(r->backend, &parts[i].request);
    }
    finish(batch);
    return true;
}

/* ---- deliveries ---- */

bool sk_http_read_receive(struct sk_http_request *r) {
    struct sk_http_parser *http = r->exchange->request;
    static const char name[] = "IotHub-MessageLockTimeout"; /* a header or in the query */
    struct sk_span text = sk_http_header(http, name);
    int64_t seconds = 0;
    if (text.p == NULL) text = sk_http_query(http->query, name);
    if (text.p && (sk_span_to_int(text, &seconds) || seconds < 1 || seconds > UINT32_MAX))
        return false;
    r->request.lock_s = (unsigned)seconds;
    return true;
}

void sk_http_read_settle(struct sk_http_request *r) {
    struct sk_http_parser *http = r->exchange->request;
    if (http->method == SK_HTTP_POST)
        r->request.outcome = SK_ABANDON;
    else
        r->request.outcome = sk_http_query(http->query, "reject").p ? SK_REJECT : SK_COMPLETE;
}

/* "12/22/2017 12:14:12 AM" */
static void put_time(struct sk_buffer *to, int64_t wall_us) {
    char iso[SK_TIME_TEXT];
    unsigned year, month, day, hour, minute, second;
    sk_time_text(wall_us, iso);
    if (sscanf(iso, "%u-%u-%uT%u:%u:%u", &year, &month, &day, &hour, &minute, &second) != 6) return;
    sk_buffer_print(to, "%u/%u/%u %u:%02u:%02u %s", month, day, year, hour % 12 ? hour % 12 : 12,
                    minute, second, hour < 12 ? "AM" : "PM");
}

void sk_http_answer_message(struct sk_http_exchange *exchange, const struct sk_message *message) {
    const struct sk_c2d *c2d = message->c2d;
    struct sk_buffer headers = {0}, text = {0};
    struct sk_span type = message->system[SK_SYS_CONTENT_TYPE],
                   encoding = message->system[SK_SYS_CONTENT_ENCODING];
    sk_http_put_header(&headers, "Content-Type",
                       type.n ? type : SK_SPAN("application/octet-stream"));
    if (type.n) sk_http_put_header(&headers, "ContentType", type);
    if (encoding.n) sk_http_put_header(&headers, "ContentEncoding", encoding);
    sk_buffer_print(&text, "\"%.*s\"", SK_ARG(c2d->lock_token));
    sk_http_put_header(
        &headers, "ETag",
        sk_buffer_span(&text)); /* quoted: docs/protocols/device-protocols.md, section 4.3 */
    sk_buffer_print(&headers, "iothub-sequencenumber: %llu\r\niothub-deliverycount: %u\r\n",
                    (unsigned long long)message->sequence, c2d->delivery_count);
    text.n = 0;
    put_time(&text, message->enqueued_us);
    sk_http_put_header(&headers, "iothub-enqueuedtime", sk_buffer_span(&text));
    for (size_t i = 0; i < NAME_COUNT; i++) {
        bool again = i > 0 && names[i].property == names[i - 1].property;
        if (!again && (names[i].always || message->system[names[i].property].n))
            sk_http_put_header(&headers, names[i].header, message->system[names[i].property]);
    }
    for (size_t i = 0; i < message->property_count; i++) {
        text.n = 0;
        sk_buffer_append(&text, APPLICATION);
        sk_buffer_append(&text, message->properties[i].name);
        sk_buffer_byte(&text, 0);
        sk_http_put_header(&headers, text.p, message->properties[i].value);
    }
    sk_http_respond(exchange, 200, sk_buffer_span(&headers), message->body);
    sk_buffer_free(&headers);
    sk_buffer_free(&text);
}
