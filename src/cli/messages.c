/* The commands on messages: telemetry as a device, cloud-to-device messages and what became of
 * them. */
#include <stdio.h>

#include "cli/amqp.h"
#include "azure/amqp_mapping.h"
#include "model/c2d.h"
#include "model/json_text.h"

/* A POST on the device's own endpoint, with the policy's token (it needs DeviceConnect). JSON goes
 * as it is, other text as a JSON string; the message says so, or no route would look into it. */
int cli_telemetry_send(void *arg) {
    struct cli *cli = arg;
    struct cli_answer answer;
    json_error_t error;
    json_t *body = sk_json_load(sk_span_z(cli->typed.words[1]), JSON_DECODE_ANY, &error);
    if (body == NULL) body = json_string(cli->typed.words[1]);
    cli->sends_message = true;
    int code = cli_call(cli, SK_HTTP_POST,
                        cli_path(cli, "/devices/%s/messages/events", cli->typed.words[0], NULL),
                        body, NULL, NULL, &answer);
    json_decref(body);
    if (!code) json_decref(answer.body);
    if (!code && cli->output == CLI_TABLE) printf("sent\n");
    return code;
}

/* ---- message send ---- */

struct sending {
    struct cli_amqp amqp;
    struct sk_amqp_client_link link;
    struct sk_amqp_message message;
    bool sent;
};

static void on_writable(struct sk_amqp_client_link *link) {
    struct sending *s = SK_CONTAINER(link, struct sending, link);
    if (s->sent) return;
    s->sent = true;
    sk_amqp_client_send(link, &s->message, false, s);
}

static void on_outcome(struct sk_amqp_client_link *link, void *data, enum sk_amqp_outcome outcome,
                       const struct sk_amqp_error *error) {
    (void)data;
    struct sending *s = SK_CONTAINER(link, struct sending, link);
    if (outcome == SK_AMQP_ACCEPTED)
        cli_amqp_done(&s->amqp, SK_EXIT_FINE);
    else
        cli_amqp_fail(&s->amqp, error->condition, error->description);
}

static void on_send_refused(struct sk_amqp_client_link *link, const struct sk_amqp_error *error) {
    struct sending *s = SK_CONTAINER(link, struct sending, link);
    cli_amqp_fail(&s->amqp, error->condition, error->description);
}

/* A time, or how long from now. */
static bool read_expiry(const struct cli *cli, const char *text, int64_t *at_us) {
    int64_t life_us;
    if (sk_time_parse(sk_span_z(text), at_us) == SK_OK) return true;
    if (sk_duration_parse(sk_span_z(text), &life_us)) return false;
    *at_us = sk_io_wall(cli->io) + life_us;
    return true;
}

/* Fills a message from the options; false with a message. */
static bool read_message(struct cli *cli, struct sk_message *message) {
    const char *ack = sk_typed_option(&cli->typed, "ack"),
               *id = sk_typed_option(&cli->typed, "message-id"),
               *expiry = sk_typed_option(&cli->typed, "expiry"),
               *type = sk_typed_option(&cli->typed, "content-type");
    struct sk_property *properties =
        sk_arena_alloc(&cli->arena, (cli->typed.option_count + 1) * sizeof *properties);
    int64_t at_us;
    char text[SK_TIME_TEXT], guid[37];
    if (expiry && !read_expiry(cli, expiry, &at_us))
        return !sk_typed_usage(
            &cli->typed,
            "--expiry is a duration such as 10m, or a time such as 2030-01-31T12:00:00Z");
    if (expiry) {
        sk_time_text(at_us, text);
        message->system[SK_SYS_EXPIRY] = sk_arena_copy(&cli->arena, sk_span_z(text));
    }
    sk_io_guid(cli->io, guid); /* feedback names the message by its id */
    message->system[SK_SYS_MESSAGE_ID] =
        id ? sk_span_z(id) : sk_arena_copy(&cli->arena, sk_span_z(guid));
    message->system[SK_SYS_ACK] = ack ? sk_span_z(ack) : SK_NONE;
    message->system[SK_SYS_CONTENT_TYPE] = sk_span_z(type);
    message->system[SK_SYS_TO] =
        sk_span_z(cli_path(cli, "/devices/%s/messages/devicebound", cli->typed.words[0], NULL));
    message->properties = properties;
    for (size_t i = 0; i < cli->typed.option_count; i++) {
        if (strcmp(cli->typed.options[i].name, "property") != 0) continue;
        struct sk_span pair = sk_span_z(cli->typed.options[i].value);
        size_t sign = sk_span_find(pair, '=');
        if (sign == 0 || sign == pair.n)
            return !sk_typed_usage(&cli->typed, "--property is NAME=VALUE");
        properties[message->property_count++] =
            (struct sk_property){sk_span_first(pair, sign), sk_span_skip(pair, sign + 1)};
    }
    return true;
}

int cli_message_send(void *arg) {
    struct cli *cli = arg;
    static const struct sk_amqp_link_events events = {
        .writable = on_writable, .outcome = on_outcome, .detached = on_send_refused};
    struct sending s = {0};
    struct sk_message message = {.body = sk_span_z(cli->typed.words[1])};
    if (!read_message(cli, &message)) return SK_EXIT_USAGE;
    sk_message_to_amqp(&message, &cli->arena, &s.message);
    int code = cli_amqp_open_hub(cli, &s.amqp);
    if (!code) {
        sk_amqp_client_attach(
            s.amqp.connection, &s.link,
            &(struct sk_amqp_link_options){.address = "/messages/devicebound", .sender = true},
            &events);
        code = cli_amqp_wait(&s.amqp);
    }
    cli_amqp_close(&s.amqp);
    if (code) return code;
    struct sk_span id = message.system[SK_SYS_MESSAGE_ID];
    if (cli->output == CLI_TABLE) {
        printf("sent, message id %.*s\n", SK_ARG(id));
    } else {
        json_t *value = json_pack("{s:s%}", "messageId", id.p, id.n);
        cli_print(cli, value, NULL);
        json_decref(value);
    }
    return SK_EXIT_FINE;
}

/* ---- feedback watch, file watch ---- */

/* What the hub tells to one of its receivers: each message is a record, or an array of them. */
struct told {
    struct cli_amqp amqp;
    struct sk_amqp_client_link link;
    const char *const *members; /* of a record, as a line has them; NULL behind the last */
    int64_t left;               /* records to show; < 0: all */
};

static void print_record(struct told *told, const json_t *record) {
    if (told->amqp.cli->output != CLI_TABLE) cli_print(told->amqp.cli, record, NULL);
    for (size_t i = 0; told->members[i] && told->amqp.cli->output == CLI_TABLE; i++) {
        const json_t *value = json_object_get(record, told->members[i]);
        SK_CLEANUP_FREE char *text = json_is_string(value) ? NULL : sk_json_text(value);
        printf("%s%s%s", i ? "  " : "", text ? text : json_string_value(value),
               told->members[i + 1] ? "" : "\n");
    }
    fflush(stdout);
    if (told->left > 0) told->left--;
}

static void on_told(struct sk_amqp_client_link *link, struct sk_amqp_delivery *delivery,
                    const struct sk_amqp_message *message) {
    struct told *told = SK_CONTAINER(link, struct told, link);
    struct sk_span body = message->data_count ? message->data[0] : SK_NONE;
    json_t *records = sk_json_load(body, JSON_ALLOW_NUL, NULL), *record;
    size_t i;
    if (records == NULL) fprintf(stderr, "skerry: a message of the hub is not JSON\n");
    if (json_is_object(records)) print_record(told, records);
    json_array_foreach(records, i, record) {
        if (told->left == 0) break;
        print_record(told, record);
    }
    json_decref(records);
    sk_amqp_client_settle(link, delivery, SK_AMQP_ACCEPTED);
    if (told->left == 0) cli_amqp_done(&told->amqp, SK_EXIT_FINE);
}

static void on_told_refused(struct sk_amqp_client_link *link, const struct sk_amqp_error *error) {
    struct told *told = SK_CONTAINER(link, struct told, link);
    cli_amqp_fail(&told->amqp, error->condition, error->description);
}

static int watch(struct cli *cli, const char *address, const char *const *members) {
    enum { CREDIT = 10 };
    static const struct sk_amqp_link_events events = {.transfer = on_told,
                                                      .detached = on_told_refused};
    struct told told = {.members = members, .left = -1};
    if (!sk_typed_number(&cli->typed, "count", 1, INT64_MAX, &told.left)) return SK_EXIT_USAGE;
    int code = cli_amqp_open_hub(cli, &told.amqp);
    if (!code) {
        sk_amqp_client_attach(told.amqp.connection, &told.link,
                              &(struct sk_amqp_link_options){.address = address, .credit = CREDIT},
                              &events);
        code = cli_amqp_wait(&told.amqp);
    }
    cli_amqp_close(&told.amqp);
    return code;
}

int cli_feedback_watch(void *cli) {
    static const char *const members[] = {"enqueuedTimeUtc", "deviceId", "originalMessageId",
                                          "statusCode", NULL};
    return watch(cli, "/messages/serviceBound/feedback", members);
}

int cli_file_watch(void *cli) {
    static const char *const members[] = {"enqueuedTimeUtc", "deviceId", "blobSizeInBytes",
                                          "blobUri", NULL};
    return watch(cli, "/messages/serviceBound/filenotifications", members);
}
