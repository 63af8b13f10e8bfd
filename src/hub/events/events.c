/* The built-in endpoint: who reads the event stream, and from where. A source is a cursor without a
 * checkpoint; where readers are is their own business. Reference:
 * docs/protocols/service-api.md, section 6. */
#include <stdio.h>

#include "hub/parts.h"
#include "hub/events/partitions.h"

struct source {
    struct sk_event_source source;
    struct sk_list link; /* hub->receivers, unless it only looks in */
    struct sk_hub *hub;
    struct sk_cursor *cursor;
    struct sk_arena arena;
    unsigned partition; /* or SK_ALL_PARTITIONS */
    uint64_t from_number;
    char *group, *receiver;
    bool exclusive;
    int64_t epoch;
    struct sk_task resume;
};

/* ---- reading ---- */

static void readable(void *arg) {
    struct source *s = arg;
    if (s->source.readable) s->source.readable(s->source.arg);
}

static void on_resume(struct sk_task *task) {
    readable(SK_CONTAINER(task, struct source, resume));
}

static enum sk_status next(struct sk_event_source *events, struct sk_message *message) {
    struct source *s = (struct source *)events;
    struct sk_record record;
    struct sk_share share = {0}; /* for records in front of the one that is looked for */
    for (;;) {
        enum sk_status status = sk_cursor_next(s->cursor, &record);
        if (status == SK_NOT_FOUND) continue; /* retention was faster: go on with the oldest */
        if (status) return status;
        sk_arena_reset(&s->arena);
        if (sk_message_decode(record.body, &s->arena, message)) {
            SK_ERROR("hub", "record %llu is not a message", (unsigned long long)record.sequence);
            continue;
        }
        if (s->from_number && sk_event_number(message) < s->from_number) {
            if (share.io == NULL) sk_share_begin(&share, s->hub->backend.io);
            if (sk_share_go_on(&share, 1)) continue;
            sk_io_yield(s->hub->backend.io, &s->resume, on_resume); /* the others have their turn */
            return SK_AGAIN;
        }
        s->from_number = 0;
        message->sequence = record.sequence;
        message->enqueued_us = record.wall_us;
        return SK_OK;
    }
}

static void newest(struct sk_event_source *events, struct sk_events_info *info) {
    struct source *s = (struct source *)events;
    *info = (struct sk_events_info){0};
    if (s->partition != SK_ALL_PARTITIONS)
        sk_partition_newest(s->hub->partitions, s->partition, info);
}

static void close_source(struct sk_event_source *events) {
    struct source *s = (struct source *)events;
    sk_io_undefer(&s->resume);
    sk_list_remove(&s->link);
    sk_cursor_close(s->cursor);
    sk_arena_free(&s->arena);
    free(s->group);
    free(s->receiver);
    free(s);
}

/* ---- who may read ---- */

/* The entity is called like the hub, or as IoT Hub's own clients call it. */
static bool is_ours(const struct sk_hub *hub, struct sk_span entity) {
    const struct sk_hub_options *options = hub->options;
    if (entity.n == 0 || sk_span_eq_nocase(entity, SK_SPAN("messages/events")) ||
        sk_span_eq_nocase(entity, sk_span_z(options->name)))
        return true;
    for (size_t i = 0; i < options->host_name_count; i++) {
        struct sk_span host = sk_span_z(options->host_names[i]);
        if (sk_span_eq_nocase(entity, sk_span_first(host, sk_span_find(host, '.')))) return true;
    }
    return false;
}

static bool has_group(const struct sk_hub *hub, struct sk_span group) {
    return group.n == 0 || hub_consumer_group(hub, group);
}

/* False: refused. */
static bool check_place(struct sk_hub *hub, struct sk_request *request) {
    const struct sk_events_ask *ask = request->ask;
    unsigned count = sk_partitions_count(hub->partitions);
    if (!is_ours(hub, ask->entity))
        sk_request_refuse(request, SK_FAULT_ADDRESS_NOT_FOUND,
                          "there is no event stream '%.*s' here; it is called '%s'",
                          SK_ARG(ask->entity), hub->options->name);
    else if (!has_group(hub, ask->group))
        sk_request_refuse(request, SK_FAULT_ADDRESS_NOT_FOUND,
                          "there is no consumer group '%.*s'; name it in consumer_groups",
                          SK_ARG(ask->group));
    else if (ask->partition != SK_ALL_PARTITIONS && ask->partition >= count)
        sk_request_refuse(request, SK_FAULT_PARTITION_OUT_OF_RANGE, "the partitions are 0 to %u",
                          count - 1);
    else
        return true;
    return false;
}

static bool same_place(const struct source *s, const struct sk_events_ask *ask) {
    return s->partition == ask->partition && sk_span_eq_nocase(sk_span_z(s->group), ask->group);
}

static void evict(struct source *s, const struct sk_events_ask *by) {
    struct sk_error error;
    sk_error_set(
        &error, SK_FAULT_RECEIVER_DISPLACED,
        "New receiver '%.*s' with higher epoch of '%lld' is created hence current receiver "
        "'%s' with epoch '%lld' is getting disconnected. If you are recreating the "
        "receiver, make sure a higher epoch is used.",
        SK_ARG(by->receiver), (long long)by->epoch, s->receiver, (long long)s->epoch);
    s->source.evicted(s->source.arg, &error);
}

/* Receivers with an epoch are alone in their place, the others at most five. False: refused. */
static bool check_receivers(struct sk_hub *hub, struct sk_request *request) {
    const struct sk_events_ask *ask = request->ask;
    struct sk_buffer names = {0};
    struct source *owner = NULL;
    size_t plain = 0;
    SK_LIST_EACH(&hub->receivers, node, following) {
        struct source *s = SK_CONTAINER(node, struct source, link);
        if (!same_place(s, ask)) continue;
        if (s->exclusive) owner = s;
        if (plain++) sk_buffer_text(&names, ", ");
        sk_buffer_text(&names, s->receiver);
    }
    bool fine = true;
    if (owner && (!ask->exclusive || ask->epoch < owner->epoch)) {
        sk_request_refuse(request, SK_FAULT_RECEIVER_DISPLACED,
                          "Receiver '%s' with a higher epoch '%lld' already exists. Receiver "
                          "'%.*s' with epoch %lld cannot be created. Make sure you are creating "
                          "receiver with increasing epoch value to ensure connectivity, or ensure "
                          "all old epoch receivers are closed or disconnected.",
                          owner->receiver, (long long)owner->epoch, SK_ARG(ask->receiver),
                          (long long)ask->epoch);
        fine = false;
    } else if (!ask->exclusive && plain >= SK_PLAIN_RECEIVERS_MAX) {
        sk_request_refuse(request, SK_FAULT_TOO_MANY_RECEIVERS,
                          "Exceeded the maximum number of allowed receivers per partition in a "
                          "consumer group which is %d. List of connected receivers - %.*s.",
                          SK_PLAIN_RECEIVERS_MAX, SK_ARG(sk_buffer_span(&names)));
        fine = false;
    }
    sk_buffer_free(&names);
    if (!fine || !ask->exclusive) return fine;
    SK_LIST_EACH(&hub->receivers, node, following) {
        struct source *s = SK_CONTAINER(node, struct source, link);
        if (same_place(s, ask)) evict(s, ask);
    }
    return true;
}

static void seek(struct source *s, const struct sk_events_position *from) {
    uint64_t value = from->value < 0 ? 0 : (uint64_t)from->value + !from->inclusive;
    switch (from->from) {
    case SK_EVENTS_OLDEST: break; /* as it was opened */
    case SK_EVENTS_LATEST: sk_cursor_seek(s->cursor, UINT64_MAX); break;
    case SK_EVENTS_OFFSET: sk_cursor_seek(s->cursor, value); break;
    case SK_EVENTS_NUMBER:
        s->from_number = value;
        if (s->partition != SK_ALL_PARTITIONS)
            sk_cursor_seek(s->cursor, sk_partition_find(s->hub->partitions, s->partition, value));
        break;
    case SK_EVENTS_TIME: /* readers know milliseconds only */
        sk_cursor_seek_time(s->cursor, from->inclusive ? from->value : from->value + 1000);
        break;
    }
}

static void watch(struct sk_hub *hub, struct sk_request *request) {
    static const struct sk_events_ask everything = {.partition = SK_ALL_PARTITIONS};
    const struct sk_events_ask *ask = request->ask = request->ask ? request->ask : &everything;
    if (!check_place(hub, request) || (ask->group.n && !check_receivers(hub, request))) return;
    uint64_t routes = ask->partition == SK_ALL_PARTITIONS ? SK_PARTITION_ROUTES
                                                          : sk_partition_route(ask->partition);
    struct source *s = SK_NEW(struct source);
    enum sk_status status = sk_cursor_open(hub->log, NULL, routes, 0, readable, s, &s->cursor);
    if (status) {
        free(s);
        sk_request_refuse(request, sk_fault_of_status(status), NULL);
        return;
    }
    s->source.next = next;
    s->source.newest = newest;
    s->source.close = close_source;
    s->hub = hub;
    s->partition = ask->partition;
    s->group = sk_span_dup(ask->group);
    s->receiver = sk_span_dup(ask->receiver);
    s->exclusive = ask->exclusive;
    s->epoch = ask->epoch;
    sk_list_init(&s->link);
    if (ask->group.n) sk_list_append(&hub->receivers, &s->link);
    seek(s, &ask->from);
    request->done(request, &(struct sk_answer){.events = &s->source});
}

/* Groups that are gone have no readers any more. */
static void reload(struct sk_hub *hub, const struct sk_hub_options *before) {
    struct sk_error error;
    (void)before;
    SK_LIST_EACH(&hub->receivers, node, following) {
        struct source *s = SK_CONTAINER(node, struct source, link);
        if (has_group(hub, sk_span_z(s->group))) continue;
        sk_error_set(&error, SK_FAULT_ADDRESS_NOT_FOUND, "the consumer group '%s' is no more",
                     s->group);
        s->source.evicted(s->source.arg, &error);
    }
}

/* ---- what it is ---- */

static void tell(struct sk_hub *hub, struct sk_request *request) {
    const struct sk_events_ask *ask = request->ask;
    if (!check_place(hub, request)) return;
    struct sk_events_info info = {.entity = sk_span_z(hub->options->name),
                                  .created_us = sk_partitions_created(hub->partitions),
                                  .partition_count = sk_partitions_count(hub->partitions)};
    if (ask->partition != SK_ALL_PARTITIONS)
        sk_partition_info(hub->partitions, ask->partition, &info);
    request->done(request, &(struct sk_answer){.info = &info});
}

/* ---- sending to it ---- */

static void take(struct sk_hub *hub, struct sk_request *request) {
    const struct sk_events_ask *ask = request->ask;
    struct sk_span key = request->message->system[SK_SYS_PARTITION_KEY];
    unsigned partition = ask->partition;
    if (!check_place(hub, request)) return;
    if (!hub->options->take_events) {
        sk_request_refuse(request, SK_FAULT_INVALID_OPERATION,
                          "events come from devices; to send to the stream itself, set take_events "
                          "= true for this hub");
        return;
    }
    if (partition == SK_ALL_PARTITIONS)
        partition =
            key.n ? sk_partition_of(hub->partitions, key)
                  : (unsigned)(hub->counts.telemetry_total % sk_partitions_count(hub->partitions));
    hub_send_event(hub, request, partition);
}

/* ---- its keys ---- */

static bool is_group(struct sk_span name, char why[SK_CONFIG_WHY_MAX]) {
    snprintf(why, SK_CONFIG_WHY_MAX,
             "a name has 1 to 50 letters, digits, dots, hyphens and underscores");
    return name.n <= 50 && sk_span_only(name, "-._"); /* Event Hubs' rule */
}

static const struct sk_config_key keys[] = {
    {"hub[].partitions", &sk_config_integer, SK_CONFIG_AT(struct sk_hub_options, partitions),
     .at_start = true, .least = 1, .most = SK_PARTITIONS_MAX, .otherwise = "4",
     .does = "Partitions of the event stream; more may come later, fewer are refused",
     .page = "how-to/read-events.md"},
    {"hub[].consumer_groups", &sk_config_texts,
     SK_CONFIG_LIST(struct sk_hub_options, consumer_groups, consumer_group_count),
     .most = SK_HUB_CONSUMER_GROUPS_MAX, .fine = is_group, .such_as = "[\"dashboard\"]",
     .otherwise_words = "none",
     .does =
         "Consumer groups beside `$Default`: names of 1 to 50 letters, digits, `.`, `-` and `_`"},
    {"hub[].take_events", &sk_config_boolean, SK_CONFIG_AT(struct sk_hub_options, take_events),
     .otherwise = "false",
     .does = "Event Hubs producers with `ServiceConnect` may send to the stream themselves",
     .page = "how-to/read-events.md"},
    {0}};

const struct sk_hub_part hub_part_events = {
    .keys = keys,
    .serve = {[SK_OP_EVENTS_WATCH] = watch, [SK_OP_EVENTS_INFO] = tell, [SK_OP_EVENTS_SEND] = take},
    .reload = reload};
