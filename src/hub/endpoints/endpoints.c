/* Custom endpoints as a part of the hub: their keys, their life, what is told of them. */
#include "hub/endpoints/parts.h"
#include "hub/endpoints/mail.h"
#include "hub/endpoints/message_file.h"
#include "hub/endpoints/sender.h"
#include "hub/endpoints/table.h"
#include "net/smtp.h"
#include "wire/mqtt.h"

#include <stdio.h>

/* Each with its `type` in hub.toml; `OR` is between two. */
#define EACH_KIND(KIND, OR)                                                                        \
    KIND("webhook", webhook)                                                                       \
    OR KIND("service-bus-queue", bus)                                                              \
    OR KIND("service-bus-topic", bus)                                                              \
    OR KIND("event-hub", event_hub)                                                                \
    OR KIND("folder", folder)                                                                      \
    OR KIND("mqtt", mqtt)                                                                          \
    OR KIND("storage", storage)                                                                    \
    OR KIND("mail", mail)                                                                          \
    OR KIND("postgresql", postgresql)
#define COMMA ,
#define KIND_OF(name, kind) &endpoint_##kind
#define NAME_OF(name, kind) name
#define KINDS EACH_KIND(NAME_OF, "|")
static const struct endpoint_kind *const kinds[] = {EACH_KIND(KIND_OF, COMMA)};

const char *sk_hub_endpoint_folder(const struct sk_hub_endpoint *endpoint) {
    return kinds[endpoint->kind] == &endpoint_folder ? endpoint->to : NULL;
}

const struct sk_hub_endpoint *sk_hub_mail_endpoint(const struct sk_hub *hub, const char *name) {
    for (size_t i = 0; i < hub->options->endpoint_count; i++) {
        const struct sk_hub_endpoint *endpoint = &hub->options->endpoints[i];
        if (kinds[endpoint->kind] == &endpoint_mail &&
            (name == NULL || *name == '\0' || strcmp(name, endpoint->name) == 0))
            return endpoint;
    }
    return NULL;
}

/* Of a kind; static. */
static struct sk_span kind_name(unsigned kind) {
    struct sk_span rest = sk_span_z(KINDS), name = SK_NONE;
    for (unsigned i = 0; i <= kind; i++) sk_span_split(&rest, '|', &name);
    return name;
}

static const char *const healths[] = {"unknown", "healthy", "degraded", "unhealthy", "dead"};

/* ---- life ---- */

static enum sk_status open_cursor(struct endpoint *e, uint64_t from, char reason[512]) {
    char name[128];
    endpoint_cursor_name(e->options->name, e->bit, name);
    enum sk_status status =
        sk_cursor_open(e->hub->log, name, 1ull << e->bit, from, endpoint_readable, e, &e->cursor);
    if (status) {
        snprintf(reason, 512, "endpoint %s: %s", e->options->name, sk_status_text(status));
        return status;
    }
    if (sk_cursor_committed(e->cursor) < from) { /* left by an endpoint that had name and bit */
        sk_cursor_seek(e->cursor, from);
        sk_cursor_commit(e->cursor, from);
    }
    return SK_OK;
}

/* Its place in the list is that of its options. */
static enum sk_status add(struct sk_hub *hub, size_t at, char reason[512]) {
    const struct sk_hub_endpoint *options = &hub->options->endpoints[at];
    struct endpoint *e = hub->endpoints->list[at] = SK_NEW(struct endpoint);
    uint64_t from;
    *e = (struct endpoint){.hub = hub,
                           .options = options,
                           .kind = kinds[options->kind],
                           .bit = endpoint_bit(hub, options->name, &from),
                           .limit = options->batch_count};
    enum sk_status status = open_cursor(e, from, reason);
    if (!status) status = e->kind->open(e, reason);
    e->stopped = status != SK_OK;
    return status;
}

static void free_endpoint(struct endpoint *e) {
    sk_buffer_free(&e->batch.bytes);
    free(e->batch.items);
    free(e);
}

static void remove_endpoint(struct endpoint *e) {
    endpoint_stop(e);
    e->gone = true;
    if (e->dead) e->hub->close_log(e->hub, e->dead);
    sk_list_append(&e->hub->endpoints->gone, &e->link);
}

static void note_bits(struct sk_hub *hub) {
    uint64_t from;
    for (size_t i = 0; i < hub->options->endpoint_count; i++)
        hub->endpoint_bits[i] = 1ull << endpoint_bit(hub, hub->options->endpoints[i].name, &from);
}

static enum sk_status take_bits(struct sk_hub *hub, const struct sk_hub_options *options,
                                char reason[512]) {
    enum sk_status status = endpoint_bits_take(hub, options);
    if (status)
        snprintf(reason, 512, "%s/endpoints.json cannot be written (%s)", options->data,
                 sk_status_text(status));
    return status;
}

static enum sk_status open_part(struct sk_hub *hub, char reason[512]) {
    hub->endpoints = SK_NEW(struct endpoints);
    sk_list_init(&hub->endpoints->gone);
    enum sk_status status = endpoint_bits_load(hub, reason);
    if (!status) status = take_bits(hub, hub->options, reason);
    if (status) return status;
    endpoint_bits_forget(hub);
    note_bits(hub);
    for (size_t i = 0; i < hub->options->endpoint_count && !status; i++) {
        status = add(hub, i, reason);
        hub->endpoints->count++;
    }
    return status;
}

static void start(struct sk_hub *hub) {
    for (size_t i = 0; i < hub->endpoints->count; i++) endpoint_pump(hub->endpoints->list[i]);
}

static void stop(struct sk_hub *hub) {
    for (size_t i = 0; i < hub->endpoints->count; i++) remove_endpoint(hub->endpoints->list[i]);
    hub->endpoints->count = 0;
}

static void free_part(struct sk_hub *hub) {
    struct endpoints *endpoints = hub->endpoints;
    struct endpoint *e;
    if (endpoints == NULL) return;
    stop(hub); /* where the hub could not be opened */
    while ((e = SK_LIST_FIRST(&endpoints->gone, struct endpoint, link)) != NULL) {
        sk_list_remove(&e->link);
        free_endpoint(e);
    }
    json_decref(endpoints->bits);
    free(endpoints);
}

/* ---- the configuration anew ---- */

/* Whether they can be opened; what is new gets its bit. */
static enum sk_status check_reload(struct sk_hub *hub, const struct sk_hub_options *next,
                                   char reason[512]) {
    enum sk_status status = take_bits(hub, next, reason);
    for (size_t i = 0; i < next->endpoint_count && !status; i++) {
        const struct sk_hub_endpoint *options = &next->endpoints[i];
        struct endpoint probe = {.hub = hub, .options = options, .kind = kinds[options->kind]};
        status = probe.kind->open(&probe, reason);
        probe.kind->close(&probe);
    }
    return status;
}

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Whether the kind need not be opened anew; numbers are looked at when they are needed. */
static bool same(const struct sk_hub_endpoint *a, const struct sk_hub_endpoint *b) {
    bool same = a->kind == b->kind && same_text(a->to, b->to) && same_text(a->entity, b->entity) &&
                same_text(a->file_name, b->file_name) && a->encoding == b->encoding &&
                same_text(a->ca_file, b->ca_file) && a->header_count == b->header_count;
    for (size_t i = 0; i < a->header_count && same; i++)
        same = same_text(a->headers[i], b->headers[i]);
    return same;
}

static void change(struct endpoint *e, const struct sk_hub_endpoint *next) {
    char reason[512];
    bool reopen = !same(e->options, next);
    if (reopen) endpoint_stop(e);
    e->options = next;
    if (e->limit > next->batch_count) e->limit = next->batch_count;
    if (!reopen) return;
    e->kind = kinds[next->kind];
    if (e->kind->open(e, reason)) { /* it could a moment ago; what waits stays */
        SK_ERROR("hub", "%s; it is not served until the next reload or start", reason);
        e->kind->close(e);
        return;
    }
    endpoint_restart(e);
}

static struct endpoint *take_former(struct endpoint **list, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        struct endpoint *e = list[i];
        if (e == NULL || strcmp(e->options->name, name) != 0) continue;
        list[i] = NULL;
        return e;
    }
    return NULL;
}

static void reload(struct sk_hub *hub, const struct sk_hub_options *before) {
    struct endpoints *endpoints = hub->endpoints;
    struct endpoint *former[SK_HUB_ENDPOINTS_MAX];
    char reason[512];
    (void)before;
    size_t former_count = endpoints->count;
    memcpy(former, endpoints->list, sizeof former);
    endpoints->count = hub->options->endpoint_count;
    note_bits(hub);
    for (size_t i = 0; i < endpoints->count; i++) {
        const struct sk_hub_endpoint *options = &hub->options->endpoints[i];
        struct endpoint *e = take_former(former, former_count, options->name);
        endpoints->list[i] = e;
        if (e)
            change(e, options);
        else if (add(hub, i, reason) == SK_OK)
            endpoint_pump(endpoints->list[i]);
        else
            SK_ERROR("hub", "%s; it is not served until the next start", reason);
    }
    for (size_t i = 0; i < former_count; i++) {
        if (former[i] == NULL) continue;
        if (former[i]->cursor) sk_cursor_close(former[i]->cursor);
        remove_endpoint(former[i]);
    }
    endpoint_bits_forget(hub);
}

/* ---- what is told of them ---- */

static json_t *time_json(int64_t us) {
    char text[SK_TIME_HTTP_TEXT]; /* ARM's form, here */
    if (us == 0) return NULL;
    sk_time_http_text(us, text);
    return json_string(text);
}

/* Names as in ARM's EndpointHealthData, and numbers of our own. */
static json_t *health_json(const struct endpoint *e) {
    struct sk_span kind = kind_name(e->options->kind);
    return json_pack(
        "{s:s,s:s%,s:s,s:s*,s:o*,s:o*,s:o*,s:o*,s:I,s:I,s:I,s:I}", "endpointId", e->options->name,
        "type", kind.p, kind.n, "healthStatus", healths[e->health], "lastKnownError",
        e->error[0] ? e->error : NULL, "lastKnownErrorTime", time_json(e->error_us),
        "lastSuccessfulSendAttemptTime", time_json(e->success_us), "lastSendAttemptTime",
        time_json(e->attempt_us), "oldestWaitingTimeUtc", time_json(e->oldest_us), "delivered",
        (json_int_t)e->counts.delivered_total, "failedAttempts", (json_int_t)e->counts.failed_total,
        "deadLetters", (json_int_t)e->counts.dead_total, "lost", (json_int_t)e->counts.lost_total);
}

static void list(struct sk_hub *hub, struct sk_request *request) {
    json_t *value = json_array();
    for (size_t i = 0; i < hub->endpoints->count; i++)
        json_array_append_new(value, health_json(hub->endpoints->list[i]));
    json_t *document = json_pack("{s:o}", "value", value);
    sk_request_answer_json(request, document);
}

static void dead_letters(struct sk_hub *hub, struct sk_request *request) {
    for (size_t i = 0; i < hub->endpoints->count; i++) {
        struct endpoint *e = hub->endpoints->list[i];
        if (!sk_span_is(request->name, e->options->name)) continue;
        endpoint_dead_list(e, request);
        return;
    }
    sk_request_refuse(request, SK_FAULT_NOT_FOUND, "there is no endpoint '%.*s'",
                      SK_ARG(request->name));
}

/* ---- metrics ---- */

static uint64_t number_of(const struct endpoint *e, size_t which) {
    switch (which) {
    case 0: return e->counts.delivered_total;
    case 1: return e->counts.failed_total;
    case 2: return e->counts.dead_total;
    case 3: return e->counts.lost_total;
    case 4: return e->health;
    default:
        return e->oldest_us ? (uint64_t)((sk_io_wall(e->hub->backend.io) - e->oldest_us) / 1000000)
                            : 0;
    }
}

static void each(const struct sk_hub *hub, const struct sk_hub_metric *row,
                 sk_hub_metric_take *take, void *arg) {
    for (size_t i = 0; i < hub->endpoints->count; i++) {
        const struct endpoint *e = hub->endpoints->list[i];
        take(arg, e->options->name, number_of(e, row->at));
    }
}
#define METRIC(which, name, help)                                                                  \
    { name, help, .at = which, .each = each, .label = "endpoint", .dimension = "EndpointName" }

static const struct sk_hub_metric metrics[] = {
    METRIC(0, "skerry_hub_endpoint_delivered_total", "Messages that an endpoint has taken."),
    METRIC(1, "skerry_hub_endpoint_failed_total", "Attempts to send to an endpoint that failed."),
    METRIC(2, "skerry_hub_endpoint_dead_letters_total",
           "Messages that an endpoint refused, or that became too old."),
    METRIC(3, "skerry_hub_endpoint_lost_total",
           "Events that went by size before an endpoint had seen them, others' among them."),
    METRIC(4, "skerry_hub_endpoint_health",
           "0 unknown, 1 healthy, 2 degraded, 3 unhealthy, 4 dead."),
    METRIC(5, "skerry_hub_endpoint_waiting_seconds", "Age of the oldest message that waits."),
    {0}};

/* ---- keys ---- */

static bool is_name(struct sk_span name, char why[SK_CONFIG_WHY_MAX]) {
    static const char *const reserved[] = {"events", "operationsMonitoringEvents",
                                           "fileNotifications", "$default"};
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (sk_span_eq_nocase(name, sk_span_z(reserved[i]))) {
            snprintf(why, SK_CONFIG_WHY_MAX, "'%s' is the hub's own; take another name",
                     reserved[i]);
            return false;
        }
    snprintf(why, SK_CONFIG_WHY_MAX,
             "a name has 1 to 64 letters, digits, dots, hyphens and underscores");
    return name.n <= 64 && sk_span_only(name, "-._"); /* Azure's rule */
}

static bool is_topic(struct sk_span text, char why[SK_CONFIG_WHY_MAX]) {
    snprintf(why, SK_CONFIG_WHY_MAX, "a topic has no wildcards, + and #");
    return sk_mqtt_topic_valid(text);
}

static bool is_file_name(struct sk_span text, char why[SK_CONFIG_WHY_MAX]) {
    snprintf(why, SK_CONFIG_WHY_MAX,
             "a file's name has all of " MESSAGE_FILE_NAME
             ", in any order, and leads nowhere else");
    return message_file_name_fine(text);
}

static bool is_address(struct sk_span text, char why[SK_CONFIG_WHY_MAX]) {
    snprintf(why, SK_CONFIG_WHY_MAX, "an address is like name@host.example");
    return sk_mail_address_fine(text);
}

#define ENDPOINT(field) SK_CONFIG_AT(struct sk_hub_endpoint, field)

static const struct sk_config_key keys[] = {
    {"hub[].endpoint[]", &sk_config_tables,
     SK_CONFIG_LIST(struct sk_hub_options, endpoints, endpoint_count), .most = SK_HUB_ENDPOINTS_MAX,
     .does = "Custom endpoints: where routes lead beside `events`",
     .page = "how-to/route-messages.md"},
    {"hub[].endpoint[].name", &sk_config_text, ENDPOINT(name), .fine = is_name,
     .need = "give the endpoint a name", .such_as = "\"alarms\"", .does = "Its name"},
    {"hub[].endpoint[].type", &sk_config_choice, ENDPOINT(kind), .choices = KINDS,
     .need = "say what it is", .such_as = "\"webhook\"", .does = "What it is"},
    {"hub[].endpoint[].to", &sk_config_text, ENDPOINT(to), .need = "say where it is",
     .such_as = "\"https://app.example/events\"", .secret = true,
     .does =
         "Where it is: a webhook's URL; of queues, topics and event hubs the connection "
         "string, or `amqps://user:password@host/entity`; a folder's whole path; "
         "`mqtts://user:password@broker`; of storage a container of the hub's own blob service, "
         "or the connection string of a storage account; of mail "
         "`smtps://user:password@server`, `smtp://…` with STARTTLS, or `smtp+plain://…` "
         "without any TLS"},
    {"hub[].endpoint[].entity", &sk_config_text, ENDPOINT(entity), .such_as = "\"alarms\"",
     .otherwise_words = "what `to` says",
     .does = "The queue, topic or event hub, where `to` does not name it; a storage account's "
             "container, which must be there"},
    {"hub[].endpoint[].topic", &sk_config_text, ENDPOINT(topic), .fine = is_topic,
     .otherwise = "\"devices/{device}/messages/events\"",
     .does = "MQTT: where messages are published; {device} and {module} are the sender's ids"},
    {"hub[].endpoint[].file_name_format", &sk_config_text, ENDPOINT(file_name),
     .fine = is_file_name, .otherwise = "\"" MESSAGE_FILE_NAME "\"",
     .does = "Folder and storage: names of files, with all of these in any order"},
    {"hub[].endpoint[].encoding", &sk_config_choice, ENDPOINT(encoding),
     .choices = MESSAGE_FILE_ENCODINGS, .otherwise = "\"Avro\"",
     .does = "Folder and storage: what files are; JSON is a line for each message"},
    {"hub[].endpoint[].file_time", &sk_config_duration, ENDPOINT(file_time_us), .least = 1000000,
     .most = 720000000, .otherwise = "\"5m\"",
     .does = "Folder and storage: a file is finished when it is so old"},
    {"hub[].endpoint[].file_bytes", &sk_config_bytes, ENDPOINT(file_bytes), .least = 1024,
     .most = 524288000, .otherwise = "314572800", .does = "Folder and storage: or so large"},
    {"hub[].endpoint[].from", &sk_config_text, ENDPOINT(from), .fine = is_address,
     .such_as = "\"hub@plant.example\"", .otherwise_words = "none",
     .does = "Mail: the address that it comes from"},
    {"hub[].endpoint[].recipients", &sk_config_texts,
     SK_CONFIG_LIST(struct sk_hub_endpoint, recipients, recipient_count), .most = 20,
     .fine = is_address, .such_as = "[\"shift@plant.example\"]", .otherwise_words = "none",
     .does = "Mail: the addresses that it goes to"},
    {"hub[].endpoint[].subject", &sk_config_text, ENDPOINT(subject),
     .otherwise = "\"" MAIL_SUBJECT "\"",
     .does = "Mail: its subject, of the first message: {hub}, {device}, {module}, {time}, {body}, "
             "or the name of a property"},
    {"hub[].endpoint[].text", &sk_config_text, ENDPOINT(text), .otherwise = "\"" MAIL_TEXT "\"",
     .does = "Mail: what it says of each message, likewise"},
    {"hub[].endpoint[].mails_per_minute", &sk_config_integer, ENDPOINT(mails_per_minute),
     .least = 1, .most = SK_SMTP_RATE_MAX, .otherwise = "10",
     .does = "Mail: how many go in a minute, at most; each has a batch of messages"},
    {"hub[].endpoint[].table", &sk_config_text, ENDPOINT(table), .fine = table_name_fine,
     .otherwise = "\"telemetry\"",
     .does = "PostgreSQL: the table, with its schema or without; it is made where it is not there"},
    {"hub[].endpoint[].columns", &sk_config_texts,
     SK_CONFIG_LIST(struct sk_hub_endpoint, columns, column_count), .most = TABLE_COLUMNS_MAX,
     .fine = table_column_fine, .such_as = "[\"device\", \"at=enqueued\", \"body\"]",
     .otherwise_words = "all",
     .does = "PostgreSQL: which of `" TABLE_COLUMNS "` there are; `name=which` where a column is "
             "called otherwise"},
    {"hub[].endpoint[].ca", &sk_config_path, ENDPOINT(ca_file), .such_as = "\"peer-ca.pem\"",
     .otherwise_words = "the system's",
     .does = "PEM file of the CA certificates that vouch for it"},
    {"hub[].endpoint[].headers", &sk_config_texts,
     SK_CONFIG_LIST(struct sk_hub_endpoint, headers, header_count), .most = 16, .secret = true,
     .such_as = "[\"Authorization: Bearer …\"]", .otherwise_words = "none",
     .does = "Webhook: headers of each request"},
    {"hub[].endpoint[].timeout", &sk_config_duration, ENDPOINT(timeout_us), .least = 1000000,
     .most = 600000000, .otherwise = "\"30s\"", .does = "How long it may take to answer"},
    {"hub[].endpoint[].batch_count", &sk_config_integer, ENDPOINT(batch_count), .least = 1,
     .most = 1000, .otherwise = "100", .does = "Messages that go at once, at most"},
    {"hub[].endpoint[].batch_bytes", &sk_config_bytes, ENDPOINT(batch_bytes), .least = 1024,
     .most = 4194304, .otherwise = "1048576",
     .does = "Their bytes, at most; a larger message goes alone"},
    {"hub[].endpoint[].batch_wait", &sk_config_duration, ENDPOINT(batch_wait_us), .least = 1000,
     .most = 3600000000, .otherwise = "\"10ms\"",
     .does = "How long the first of a batch waits for others"},
    {"hub[].endpoint[].ttl", &sk_config_duration, ENDPOINT(ttl_us), .least = 60000000,
     .most = 2592000000000, .otherwise = "\"1d\"",
     .does = "What it has not taken for so long goes to its dead letters; until then the events "
             "are kept beyond `retention`"},
    {"hub[].endpoint[].dead_letter_bytes", &sk_config_bytes, ENDPOINT(dead_letter_bytes),
     .least = 1048576, .most = 1099511627776, .otherwise = "67108864",
     .does = "Dead letters that are kept; the oldest go"},
    {0}};

static void check(struct sk_config *reading, const char *hub,
                  const struct sk_hub_options *options) {
    for (size_t i = 0; i < options->endpoint_count; i++) {
        const struct sk_hub_endpoint *endpoint = &options->endpoints[i];
        char path[64], why[SK_CONFIG_WHY_MAX] = "";
        snprintf(path, sizeof path, "%s.endpoint[%zu].to", hub, i);
        if (!kinds[endpoint->kind]->check(endpoint, why))
            sk_config_refuse(reading, path, "%s.", why);
        snprintf(path, sizeof path, "%s.endpoint[%zu].name", hub, i);
        for (size_t j = 0; j < i; j++)
            if (sk_span_eq_nocase(sk_span_z(endpoint->name), sk_span_z(options->endpoints[j].name)))
                sk_config_refuse(reading, path, "another endpoint has this name.");
    }
}

const struct sk_hub_part hub_part_endpoints = {
    .keys = keys,
    .check = check,
    .metrics = metrics,
    .serve = {[SK_OP_ENDPOINT_LIST] = list, [SK_OP_ENDPOINT_DEAD_LETTERS] = dead_letters},
    .open = open_part,
    .check_reload = check_reload,
    .reload = reload,
    .start = start,
    .stop = stop,
    .free = free_part};
