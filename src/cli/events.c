/* Watching the event stream over the Event Hubs protocol: the hub's redirect tells where the stream
 * is, $management how many partitions it has; then a receiver a partition. Reference:
 * docs/protocols/service-api.md, section 6. */
#include <stdio.h>

#include "cli/amqp.h"
#include "azure/amqp_mapping.h"
#include "model/events.h"
#include "model/json_text.h"

enum { CREDIT = 300, AMQP_PORT = 5671, HTTPS_PORT = 443 };

struct receiver {
    struct sk_amqp_client_link link;
    struct watch *watch;
    unsigned partition;
};

struct watch {
    struct cli_amqp amqp;
    struct sk_arena arena; /* of one event */
    struct sk_amqp_client_link redirect, ask, answer;
    const char *host, *entity; /* of the stream; in the cli's arena */
    uint16_t port, websocket_port;
    bool websocket;
    bool asked; /* $management */
    unsigned partitions;
    struct receiver receivers[SK_PARTITIONS_MAX];
    /* what to show */
    const char *group, *device;
    struct sk_events_position from;
    bool properties;
    int64_t left; /* events to show; < 0: all */
};

/* ---- output ---- */

static void print_table(const struct watch *w, const json_t *event) {
    const char *device = json_string_value(json_object_get(event, "deviceId")),
               *module = json_string_value(json_object_get(event, "moduleId"));
    SK_CLEANUP_FREE char *body = sk_json_text(json_object_get(event, "body"));
    printf("%s  %s%s%s  %s\n", json_string_value(json_object_get(event, "enqueuedTimeUtc")),
           device ? device : "", module ? "/" : "", module ? module : "", body);
    if (!w->properties) return;
    SK_CLEANUP_FREE char *properties = sk_json_text(json_object_get(event, "properties"));
    SK_CLEANUP_FREE char *system = sk_json_text(json_object_get(event, "systemProperties"));
    printf("    %s %s\n", properties, system);
}

/* JSON text as one line: line ends stand between its tokens only. */
static void print_line(struct sk_buffer *text) {
    for (size_t i = 0; i < text->n; i++)
        if (text->p[i] == '\n' || text->p[i] == '\r') text->p[i] = ' ';
    fwrite(text->p, 1, text->n, stdout);
    putchar('\n');
}

static void print_event(struct watch *w, const struct sk_message *message, unsigned partition,
                        struct sk_span offset) {
    struct sk_buffer text = {0};
    sk_message_json(&text, message);
    text.n--; /* the brace */
    sk_buffer_print(&text, ",\"partition\":%u,\"offset\":", partition);
    sk_json_string(&text, offset);
    sk_buffer_byte(&text, '}');
    json_t *event = sk_json_load(sk_buffer_span(&text), JSON_ALLOW_NUL, NULL);
    if (event == NULL) /* a NUL in a property's name: JSON, but nothing that jansson takes */
        print_line(&text);
    else if (w->amqp.cli->output == CLI_TABLE)
        print_table(w, event);
    else
        cli_print(w->amqp.cli, event, NULL);
    fflush(stdout);
    json_decref(event);
    sk_buffer_free(&text);
}

/* ---- the partitions ---- */

static void on_event(struct sk_amqp_client_link *link, struct sk_amqp_delivery *delivery,
                     const struct sk_amqp_message *from) {
    struct receiver *r = SK_CONTAINER(link, struct receiver, link);
    struct watch *w = r->watch;
    struct sk_message message;
    const struct sk_amqp_value *offset =
        sk_amqp_find(from->annotations, from->annotation_count, "x-opt-offset");
    sk_arena_reset(&w->arena);
    enum sk_status status = sk_event_from_amqp(from, &w->arena, &message);
    sk_amqp_client_settle(link, delivery, SK_AMQP_ACCEPTED);
    if (status || w->left == 0 || (w->device && !sk_span_is(message.device, w->device))) return;
    print_event(w, &message, r->partition, offset ? sk_amqp_text(offset, &w->arena) : SK_NONE);
    if (w->left > 0 && --w->left == 0) cli_amqp_done(&w->amqp, SK_EXIT_FINE);
}

static void on_stopped(struct sk_amqp_client_link *link, const struct sk_amqp_error *error) {
    struct watch *w = SK_CONTAINER(link, struct receiver, link)->watch;
    cli_amqp_fail(&w->amqp, error->condition, error->description);
}

static int receive(struct watch *w) {
    static const struct sk_amqp_link_events events = {.transfer = on_event, .detached = on_stopped};
    struct sk_buffer selector = {0};
    sk_events_position_format(&selector, &w->from);
    sk_buffer_byte(&selector, 0);
    for (unsigned p = 0; p < w->partitions; p++) {
        struct receiver *r = &w->receivers[p];
        r->watch = w;
        r->partition = p;
        struct sk_span address = sk_arena_print(
            &w->amqp.cli->arena, "%s/ConsumerGroups/%s/Partitions/%u", w->entity, w->group, p);
        sk_amqp_client_attach(w->amqp.connection, &r->link,
                              &(struct sk_amqp_link_options){.address = address.p,
                                                             .local_address = "skerry",
                                                             .credit = CREDIT,
                                                             .selector = selector.p},
                              &events);
    }
    sk_buffer_free(&selector);
    return cli_amqp_wait(&w->amqp);
}

/* ---- $management ---- */

static void on_managed(struct sk_amqp_client_link *link, struct sk_amqp_delivery *delivery,
                       const struct sk_amqp_message *message) {
    struct watch *w = SK_CONTAINER(link, struct watch, answer);
    const struct sk_amqp_value *count =
        message->value.type == SK_AMQP_MAP
            ? sk_amqp_find(message->value.fields, message->value.count, "partition_count")
            : NULL;
    const struct sk_amqp_value *why =
        sk_amqp_find(message->application, message->application_count, "status-description");
    sk_amqp_client_settle(link, delivery, SK_AMQP_ACCEPTED);
    if (count && count->type == SK_AMQP_LONG && count->i >= 1) {
        w->partitions = count->i < SK_PARTITIONS_MAX ? (unsigned)count->i : SK_PARTITIONS_MAX;
        cli_amqp_done(&w->amqp, SK_EXIT_FINE);
    } else {
        cli_amqp_fail(&w->amqp, SK_SPAN("$management"),
                      why ? sk_amqp_text(why, &w->arena) : SK_NONE);
    }
}

static void on_not_managed(struct watch *w, const struct sk_amqp_error *error) {
    cli_amqp_fail(&w->amqp, error->condition, error->description);
}

static void on_answer_gone(struct sk_amqp_client_link *link, const struct sk_amqp_error *error) {
    on_not_managed(SK_CONTAINER(link, struct watch, answer), error);
}

static void on_ask_gone(struct sk_amqp_client_link *link, const struct sk_amqp_error *error) {
    on_not_managed(SK_CONTAINER(link, struct watch, ask), error);
}

static void on_ask_writable(struct sk_amqp_client_link *link) {
    struct watch *w = SK_CONTAINER(link, struct watch, ask);
    struct sk_amqp_field fields[] = {
        {SK_SPAN("operation"), SK_AMQP_VALUE_STRING(SK_SPAN("READ"))},
        {SK_SPAN("name"), SK_AMQP_VALUE_STRING(sk_span_z(w->entity))},
        {SK_SPAN("type"), SK_AMQP_VALUE_STRING(SK_SPAN("com.microsoft:eventhub"))},
        {SK_SPAN("security_token"), SK_AMQP_VALUE_STRING(w->amqp.token)}};
    struct sk_span nothing = SK_SPAN("");
    if (w->asked || !w->answer.ready) return;
    w->asked = true;
    sk_amqp_client_send(link,
                        &(struct sk_amqp_message){.message_id = SK_AMQP_VALUE_STRING(SK_SPAN("1")),
                                                  .reply_to = SK_SPAN("skerry"),
                                                  .application = fields,
                                                  .application_count = 4,
                                                  .data = &nothing,
                                                  .data_count = 1},
                        true, NULL);
}

static void on_answer_ready(struct sk_amqp_client_link *link) {
    struct watch *w = SK_CONTAINER(link, struct watch, answer);
    if (sk_amqp_client_writable(&w->ask)) on_ask_writable(&w->ask);
}

static int count_partitions(struct watch *w) {
    static const struct sk_amqp_link_events ask = {.writable = on_ask_writable,
                                                   .detached = on_ask_gone},
                                            answer = {.ready = on_answer_ready,
                                                      .transfer = on_managed,
                                                      .detached = on_answer_gone};
    struct sk_span address = sk_arena_print(&w->amqp.cli->arena, "%s/$management", w->entity);
    sk_amqp_client_attach(w->amqp.connection, &w->answer,
                          &(struct sk_amqp_link_options){
                              .address = address.p, .local_address = "skerry", .credit = 1},
                          &answer);
    sk_amqp_client_attach(w->amqp.connection, &w->ask,
                          &(struct sk_amqp_link_options){.address = address.p, .sender = true},
                          &ask);
    return cli_amqp_wait(&w->amqp);
}

/* ---- the redirect ---- */

/* The first part of "amqps://host:port/entity/…"; without one the hub's own name. */
static struct sk_span entity_of(const struct cli *cli, struct sk_span address) {
    size_t colon = sk_span_find(address, ':');
    struct sk_span path = sk_span_starts(sk_span_skip(address, colon), SK_SPAN("://"))
                              ? sk_span_skip(address, colon + 3)
                              : SK_NONE;
    path = sk_span_skip(path, sk_span_find(path, '/') + 1);
    path = sk_span_first(path, sk_span_find(path, '/'));
    return path.n ? path : sk_span_first(cli->host, sk_span_find(cli->host, '.'));
}

static void on_redirect(struct sk_amqp_client_link *link, const struct sk_amqp_error *error) {
    struct watch *w = SK_CONTAINER(link, struct watch, redirect);
    struct cli *cli = w->amqp.cli;
    const struct sk_amqp_value *host = sk_amqp_find(error->info, error->info_count, "hostname"),
                               *port = sk_amqp_find(error->info, error->info_count, "port"),
                               *address = sk_amqp_find(error->info, error->info_count, "address");
    if (!sk_span_is(error->condition, "amqp:link:redirect") || host == NULL) {
        cli_amqp_fail(&w->amqp, error->condition, error->description);
        return;
    }
    struct sk_span name = sk_amqp_text(host, &w->arena);
    w->host = sk_arena_copy(&cli->arena, name).p;
    w->entity = sk_arena_copy(&cli->arena,
                              entity_of(cli, address ? sk_amqp_text(address, &w->arena) : SK_NONE))
                    .p;
    /* A hub that serves the stream itself does so on every port: also on the one we know. */
    if (sk_span_eq_nocase(name, cli->host)) {
        w->port = w->amqp.port;
        w->websocket_port = w->amqp.websocket_port;
        w->websocket = w->amqp.websocket;
    } else {
        bool fine = port && port->type == SK_AMQP_LONG && port->i > 0 && port->i < 65536;
        w->port = fine ? (uint16_t)port->i : AMQP_PORT;
        w->websocket_port = HTTPS_PORT;
    }
    cli_amqp_done(&w->amqp, SK_EXIT_FINE);
}

static int find_stream(struct cli *cli, struct watch *w) {
    static const struct sk_amqp_link_events events = {.detached = on_redirect};
    int code = cli_amqp_open_hub(cli, &w->amqp);
    struct sk_span address =
        sk_arena_print(&cli->arena, "amqps://%.*s/messages/events/$management", SK_ARG(cli->host));
    if (!code) {
        sk_amqp_client_attach(w->amqp.connection, &w->redirect,
                              &(struct sk_amqp_link_options){.address = address.p, .credit = 1},
                              &events);
        code = cli_amqp_wait(&w->amqp);
    }
    cli_amqp_close(&w->amqp);
    return code;
}

/* ---- the command ---- */

static int watch_stream(struct cli *cli, struct watch *w) {
    int code = find_stream(cli, w);
    if (code) return code;
    w->amqp = (struct cli_amqp){.cli = cli,
                                .host = w->host,
                                .port = w->port,
                                .websocket_port = w->websocket_port,
                                .websocket = w->websocket,
                                .audience =
                                    sk_arena_print(&cli->arena, "sb://%s/%s", w->host, w->entity).p,
                                .event_hub = true};
    code = cli_amqp_open(&w->amqp);
    if (!code) code = count_partitions(w);
    if (!code) code = receive(w);
    cli_amqp_close(&w->amqp);
    return code;
}

int cli_events_watch(void *arg) {
    struct cli *cli = arg;
    struct watch *w = SK_NEW(struct watch); /* too large for the stack */
    const char *group = sk_typed_option(&cli->typed, "consumer-group"),
               *from = sk_typed_option(&cli->typed, "from");
    int code = SK_EXIT_FINE;
    w->device = sk_typed_option(&cli->typed, "device");
    w->properties = sk_typed_option(&cli->typed, "properties") != NULL;
    w->group = group ? cli_path(cli, "%s", group, NULL) : "$Default";
    w->left = -1;
    if (!sk_typed_number(&cli->typed, "count", 1, INT64_MAX, &w->left))
        code = SK_EXIT_USAGE;
    else if (sk_events_position_read(from ? sk_span_z(from) : SK_SPAN("latest"), &w->from))
        code =
            sk_typed_usage(&cli->typed, "--from is earliest, latest, an offset, or a time such as "
                                        "2030-01-31T12:00:00Z");
    if (!code) code = watch_stream(cli, w);
    sk_arena_free(&w->arena);
    free(w);
    return code;
}
