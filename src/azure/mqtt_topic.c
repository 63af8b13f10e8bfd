#include "azure/mqtt_topic.h"

/* Takes the next '/'-separated segment; false at the end. */
static bool segment(struct sk_span *rest, struct sk_span *part) {
    return sk_span_split(rest, '/', part);
}

static bool take_prefix(struct sk_span *rest, const char *prefix) {
    struct sk_span p = sk_span_z(prefix);
    if (!sk_span_starts(*rest, p)) return false;
    *rest = sk_span_skip(*rest, p.n);
    return true;
}

/* "?$rid=1&$version=2" */
static void parse_query(struct sk_span query, struct sk_topic *topic) {
    if (query.n && query.p[0] == '?') query = sk_span_skip(query, 1);
    for (struct sk_span part; sk_span_split(&query, '&', &part);) {
        int64_t version;
        if (take_prefix(&part, "$rid="))
            topic->rid = part;
        else if (take_prefix(&part, "$version=") && sk_span_to_int(part, &version) == SK_OK &&
                 version > 0)
            topic->version = (uint64_t)version;
    }
}

/* devices/{d}/…, after "devices/" */
static void parse_device(struct sk_span rest, struct sk_topic *topic) {
    struct sk_span part;
    if (!segment(&rest, &topic->device) || topic->device.n == 0 || !segment(&rest, &part)) return;
    if (sk_span_is(part, "modules")) {
        if (!segment(&rest, &topic->module) || topic->module.n == 0 || !segment(&rest, &part))
            return;
        if (sk_span_is(part, "inputs")) {
            if (!segment(&rest, &topic->name) || topic->name.n == 0) return;
            topic->bag = rest;
            topic->kind = SK_TOPIC_INPUT;
            return;
        }
    }
    if (!sk_span_is(part, "messages") || !segment(&rest, &part)) return;
    /* p == NULL when nothing follows; it may hold '/' in values of careless clients. */
    topic->bag = rest;
    if (sk_span_is(part, "events"))
        topic->kind = SK_TOPIC_TELEMETRY;
    else if (sk_span_is(part, "devicebound"))
        topic->kind = SK_TOPIC_C2D;
}

static void parse_hub(struct sk_span rest, struct sk_topic *topic) {
    struct sk_span part;
    if (take_prefix(&rest, "methods/res/")) {
        if (segment(&rest, &part) && sk_span_to_int(part, &topic->status) == SK_OK) {
            parse_query(rest, topic);
            if (topic->rid.n) topic->kind = SK_TOPIC_METHOD_RESPONSE;
        }
    } else if (take_prefix(&rest, "methods/POST/")) {
        if (segment(&rest, &topic->name)) {
            parse_query(rest, topic);
            if (topic->rid.n && topic->name.n) topic->kind = SK_TOPIC_METHOD_CALL;
        }
    } else if (take_prefix(&rest, "twin/GET/")) {
        parse_query(rest, topic);
        if (topic->rid.n) topic->kind = SK_TOPIC_TWIN_GET;
    } else if (take_prefix(&rest, "twin/PATCH/properties/reported/")) {
        parse_query(rest, topic);
        if (topic->rid.n) topic->kind = SK_TOPIC_TWIN_REPORT;
    } else if (take_prefix(&rest, "twin/PATCH/properties/desired/")) {
        parse_query(rest, topic);
        topic->kind = SK_TOPIC_DESIRED;
    } else if (take_prefix(&rest, "twin/res/")) {
        if (segment(&rest, &part) && sk_span_to_int(part, &topic->status) == SK_OK) {
            parse_query(rest, topic);
            if (topic->rid.n) topic->kind = SK_TOPIC_TWIN_RESPONSE;
        }
    }
}

void sk_topic_parse(struct sk_span topic, struct sk_topic *parsed) {
    *parsed = (struct sk_topic){0};
    if (take_prefix(&topic, "devices/"))
        parse_device(topic, parsed);
    else if (take_prefix(&topic, "$iothub/"))
        parse_hub(topic, parsed);
}

unsigned sk_topic_filter(struct sk_span filter, struct sk_span *device, struct sk_span *module) {
    *device = *module = SK_NONE;
    if (take_prefix(&filter, "$iothub/")) {
        if (take_prefix(&filter, "methods/POST/")) return SK_SUB_METHODS;
        if (sk_span_is(filter, "twin/res/#")) return SK_SUB_TWIN_RESPONSES;
        return sk_span_is(filter, "twin/PATCH/properties/desired/#") ? SK_SUB_DESIRED : 0;
    }
    struct sk_span part;
    if (!take_prefix(&filter, "devices/") || !segment(&filter, device)) return 0;
    if (sk_span_is(filter, "messages/devicebound/#")) return SK_SUB_C2D;
    if (!segment(&filter, &part) || !sk_span_is(part, "modules") || !segment(&filter, module))
        return 0;
    return sk_span_is(filter, "inputs/#") || sk_span_is(filter, "#") ? SK_SUB_INPUTS : 0;
}

bool sk_topic_id_is(struct sk_span segment_text, struct sk_span id) {
    if (sk_span_eq(segment_text, id)) return true;
    if (sk_span_find(segment_text, '%') == segment_text.n) return false;
    struct sk_buffer decoded = {0};
    sk_percent_decode(&decoded, segment_text);
    bool same = sk_span_eq(sk_buffer_span(&decoded), id);
    sk_buffer_free(&decoded);
    return same;
}

bool sk_topic_filter_id_is(struct sk_span segment_text, struct sk_span id) {
    return sk_topic_id_is(segment_text, id) || (id.n && sk_span_is(segment_text, "+"));
}

static void put_identity(struct sk_buffer *to, struct sk_span device, struct sk_span module) {
    sk_buffer_text(to, "devices/");
    sk_buffer_append(to, device);
    if (module.n) {
        sk_buffer_text(to, "/modules/");
        sk_buffer_append(to, module);
    }
}

void sk_topic_put_telemetry(struct sk_buffer *to, struct sk_span device, struct sk_span module,
                            const struct sk_message *message) {
    put_identity(to, device, module);
    sk_buffer_text(to, "/messages/events/");
    sk_bag_format(to, message);
}

void sk_topic_put_c2d(struct sk_buffer *to, struct sk_span device,
                      const struct sk_message *message) {
    put_identity(to, device, SK_NONE);
    sk_buffer_text(to, "/messages/devicebound/");
    sk_bag_format(to, message);
}

void sk_topic_put_input(struct sk_buffer *to, struct sk_span device, struct sk_span module,
                        const struct sk_message *message) {
    put_identity(to, device, module);
    sk_buffer_text(to, "/inputs/");
    sk_buffer_append(to, message->system[SK_SYS_INPUT]);
    sk_buffer_text(to, "/%24.cdid=");
    sk_percent_encode_topic(to, message->device);
    if (message->module.n) {
        sk_buffer_text(to, "&%24.cmid=");
        sk_percent_encode_topic(to, message->module);
    }
    size_t before = to->n;
    sk_buffer_byte(to, '&');
    sk_bag_format(to, message);
    if (to->n == before + 1) to->n = before; /* nothing to add */
}
