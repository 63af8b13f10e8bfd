/* One attempt at an action: a mail, a webhook, a direct method, a cloud-to-device message. */
#include <stdio.h>

#include "hub/rules/parts.h"
#include "model/json_text.h"
#include "net/http_client.h"
#include "net/trust.h"

enum {
    TEXT_MAX = 64 * 1024, /* with the values in it; what a cloud-to-device message may have */
    ANSWER_MAX = 64 * 1024,
    TIMEOUT_MS = 20000,
    METHOD_S = 30,
};

void action_key(const struct alarm_action *action, char key[ACTION_KEY]) {
    char id[ALARM_ID];
    alarm_id(action->alarm, id);
    snprintf(key, ACTION_KEY, "%s-%u", id,
             (unsigned)(action - action->alarm->actions) % RULE_ACTIONS_MAX);
}

static struct sk_hub *hub_of_attempt(const struct action_attempt *a) {
    return a->lane->actions->hub;
}

/* A JSON parameter with the alarm's values in it, as a text of the attempt's; false: it has ended,
 * as that is too long. */
static bool fill_json(struct action_attempt *a, const json_t *form, const json_t *of,
                      struct sk_span *text) {
    struct sk_buffer filled = {0};
    json_t *json = rule_action_filled(form, a->action->alarm, hub_of_attempt(a), of);
    if (json_is_string(json) && a->action->type == RULE_MESSAGE)
        sk_buffer_text(&filled, json_string_value(json));
    else
        sk_json_put(&filled, json, 0);
    json_decref(json);
    bool fine = filled.n <= TEXT_MAX;
    if (fine) *text = sk_arena_copy(&a->arena, sk_buffer_span(&filled));
    sk_buffer_free(&filled);
    if (!fine)
        action_ended(a, ACTION_END_REFUSED, 0, "with the alarm's values it has more than %d bytes",
                     TEXT_MAX);
    return fine;
}

/* ---- mail ---- */

static void mail_sent(void *arg, enum sk_smtp_end end, const char *why) {
    static const enum action_end ends[] = {[SK_SMTP_SENT] = ACTION_END_DONE,
                                           [SK_SMTP_AGAIN] = ACTION_END_AGAIN,
                                           [SK_SMTP_REFUSED] = ACTION_END_REFUSED};
    action_ended(arg, ends[end], 0, "%s", why);
}

static void put_mail(struct sk_buffer *to, const struct action_attempt *a, const json_t *of) {
    const struct alarm *alarm = a->action->alarm;
    static const char form[] = "Rule: ${ruleName} (${ruleId})\nSeverity: ${ruleSeverity}\n"
                               "Device: ${deviceId}\nTime: ${alarmDate}\n";
    const struct sk_hub *hub = hub_of_attempt(a);
    const char *notes = sk_json_member_text(of, "Notes");
    if (notes && *notes) {
        rule_action_fill(to, sk_span_z(notes), alarm, hub, of);
        sk_buffer_text(to, "\n\n");
    }
    rule_action_fill(to, SK_SPAN(form), alarm, hub, of);
    if (*alarm->rule->description)
        rule_action_fill(to, SK_SPAN("Description: ${ruleDescription}\n"), alarm, hub, of);
    rule_action_fill(to, SK_SPAN("\n${alarmUrl}\n"), alarm, hub, of);
}

static void send_mail(struct action_attempt *a, const json_t *of) {
    struct sk_hub *hub = hub_of_attempt(a);
    const struct sk_hub_endpoint *endpoint =
        sk_hub_mail_endpoint(hub, sk_json_member_text(of, "Endpoint"));
    const json_t *recipients = json_object_get(of, "Recipients");
    const char *to[RULE_RECIPIENTS_MAX];
    struct sk_buffer subject = {0}, text = {0};
    char reason[512];
    if (endpoint == NULL) {
        action_ended(a, ACTION_END_AGAIN, 0, "the hub has no such endpoint of type mail");
        return;
    }
    if (a->lane->mail == NULL && sk_hub_mail_new(hub, endpoint, &a->lane->mail, reason)) {
        action_ended(a, ACTION_END_AGAIN, 0, "%s", reason);
        return;
    }
    size_t count = json_array_size(recipients);
    for (size_t i = 0; i < count; i++) to[i] = json_string_value(json_array_get(recipients, i));
    rule_action_fill(&subject, sk_span_z(sk_json_member_text(of, "Subject")), a->action->alarm, hub,
                     of);
    put_mail(&text, a, of);
    sk_hub_mail_send(a->lane->mail, endpoint,
                     &(struct sk_mail){.from = sk_span_z(endpoint->from),
                                       .to = to,
                                       .to_count = count,
                                       .subject = sk_buffer_span(&subject),
                                       .text = sk_buffer_span(&text),
                                       .id = sk_span_z(a->key),
                                       .wall_us = sk_io_wall(hub->backend.io)},
                     mail_sent, a);
    sk_buffer_free(&subject);
    sk_buffer_free(&text);
}

/* ---- webhooks ---- */

/* What says that this one will never be taken; 410 asks to be left alone. */
static bool refuses(unsigned code) {
    return code == 400 || code == 410 || code == 413 || code == 415 || code == 422;
}

/* The URL's host alone is told: its path may be a secret. */
static void answered(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct action_attempt *a = arg;
    int64_t wait_s = 0;
    if (status) {
        action_ended(a, ACTION_END_AGAIN, 0, "no answer of %s: %s", a->host,
                     sk_status_text(status));
        return;
    }
    unsigned code = answer->status;
    if (code / 100 == 2) {
        action_ended(a, ACTION_END_DONE, 0, "%s", "");
        return;
    }
    if (sk_span_to_int(sk_http_header(answer, "Retry-After"), &wait_s) || wait_s < 0 ||
        wait_s > UINT16_MAX)
        wait_s = 0;
    action_ended(a, refuses(code) ? ACTION_END_REFUSED : ACTION_END_AGAIN, (unsigned)wait_s,
                 "%s answered %u", a->host, code);
}

static bool connect_to(struct action_attempt *a, const struct sk_url *url) {
    struct actions *actions = a->lane->actions;
    struct sk_io *io = hub_of_attempt(a)->backend.io;
    char reason[256];
    a->host = sk_arena_copy(&a->arena, url->host).p;
    if (url->secure && actions->tls == NULL &&
        sk_tls_trusting(io, NULL, NULL, &actions->tls, reason)) {
        action_ended(a, ACTION_END_AGAIN, 0, "%s", reason);
        return false;
    }
    enum sk_status status = sk_http_client_new(
        io,
        &(struct sk_http_client_options){.to = {.host = a->host, .port = url->port},
                                         .tls = url->secure ? actions->tls : NULL},
        &a->client);
    if (status)
        action_ended(a, ACTION_END_AGAIN, 0, "no answer of %s: %s", a->host,
                     sk_status_text(status));
    return status == SK_OK;
}

static bool put_body(struct action_attempt *a, const json_t *of, struct sk_span *body) {
    const json_t *form = json_object_get(of, "Body");
    if (form) return fill_json(a, form, of, body);
    struct sk_buffer text = {0};
    json_t *json = alarm_json(a->action->alarm);
    sk_json_put(&text, json, 0);
    *body = sk_arena_copy(&a->arena, sk_buffer_span(&text));
    sk_buffer_free(&text);
    json_decref(json);
    return true;
}

/* Headers of Standard Webhooks; the id is the same with each attempt. */
static void call_webhook(struct action_attempt *a, const json_t *of) {
    struct sk_url url;
    struct sk_span body;
    struct sk_buffer signature = {0};
    const char *secret = sk_json_member_text(of, "Secret");
    int64_t now_s = sk_io_wall(hub_of_attempt(a)->backend.io) / 1000000;
    enum sk_status status = sk_url_parse(sk_span_z(sk_json_member_text(of, "Url")), &url);
    SK_ASSERT(status == SK_OK); /* it was checked when the rule was made */
    if (!put_body(a, of, &body) || !connect_to(a, &url)) return;
    struct sk_http_pair headers[5] = {
        {"Content-Type", SK_SPAN("application/json; charset=utf-8")},
        {"User-Agent", SK_SPAN("skerry/" SK_VERSION)},
        {"webhook-id", sk_span_z(a->key)},
        {"webhook-timestamp", sk_arena_print(&a->arena, "%lld", (long long)now_s)}};
    if (secret && rule_action_sign(secret, sk_span_z(a->key), now_s, body, &signature))
        headers[4] = (struct sk_http_pair){"webhook-signature", sk_buffer_span(&signature)};
    sk_http_client_send(a->client,
                        &(struct sk_http_ask){.method = SK_HTTP_POST,
                                              .target = url.rest.n ? url.rest : SK_SPAN("/"),
                                              .headers = headers,
                                              .header_count = headers[4].name ? 5 : 4,
                                              .body = body,
                                              .timeout_ms = TIMEOUT_MS,
                                              .answer_max = ANSWER_MAX,
                                              .done = answered,
                                              .arg = a});
    sk_buffer_free(&signature);
}

/* ---- to the device ---- */

static void asked(struct sk_request *request, const struct sk_answer *answer) {
    struct action_attempt *a = (struct action_attempt *)request;
    if (answer->error) {
        enum sk_fault fault = answer->error->fault;
        bool never = fault == SK_FAULT_DEVICE_NOT_FOUND || fault == SK_FAULT_MODULE_NOT_FOUND ||
                     fault == SK_FAULT_ARGUMENT_INVALID || fault == SK_FAULT_MESSAGE_TOO_LARGE;
        action_ended(a, never ? ACTION_END_REFUSED : ACTION_END_AGAIN, 0, "%s",
                     sk_error_text(answer->error));
    } else if (request->op == SK_OP_METHOD_INVOKE && answer->status >= 400) {
        action_ended(a, ACTION_END_REFUSED, 0, "the device answered %d", answer->status);
    } else {
        action_ended(a, ACTION_END_DONE, 0, "%s", "");
    }
}

static void ask(struct action_attempt *a, enum sk_op op) {
    struct sk_hub *hub = hub_of_attempt(a);
    a->request.op = op;
    a->request.device = sk_arena_copy(&a->arena, sk_span_z(a->action->alarm->device));
    a->request.backend = &hub->backend;
    a->request.done = asked;
    hub->serve[op](hub, &a->request);
}

static void call_method(struct action_attempt *a, const json_t *of) {
    const json_t *payload = json_object_get(of, "Payload");
    const char *module = sk_json_member_text(of, "Module");
    if (payload && !fill_json(a, payload, of, &a->request.payload)) return;
    a->request.name = sk_arena_copy(&a->arena, sk_span_z(sk_json_member_text(of, "Name")));
    if (module) a->request.module = sk_arena_copy(&a->arena, sk_span_z(module));
    a->request.response_timeout_s = METHOD_S;
    ask(a, SK_OP_METHOD_INVOKE);
}

static void send_message(struct action_attempt *a, const json_t *of) {
    const json_t *body = json_object_get(of, "Body");
    if (!fill_json(a, body, of, &a->message.body)) return;
    a->properties[0] =
        (struct sk_property){SK_SPAN("alarmId"), sk_span_first(sk_span_z(a->key), ALARM_ID - 1)};
    a->properties[1] = (struct sk_property){
        SK_SPAN("ruleId"), sk_arena_copy(&a->arena, sk_span_z(a->action->alarm->rule->id))};
    a->message.properties = a->properties;
    a->message.property_count = 2;
    a->message.system[SK_SYS_MESSAGE_ID] = sk_span_z(a->key);
    a->message.system[SK_SYS_CONTENT_TYPE] =
        json_is_string(body) ? SK_SPAN("text/plain") : SK_SPAN("application/json");
    a->message.system[SK_SYS_CONTENT_ENCODING] = SK_SPAN("utf-8");
    a->request.message = &a->message;
    ask(a, SK_OP_C2D_SEND);
}

void action_perform(struct action_attempt *a) {
    static void (*const perform[RULE_ACTION_TYPES])(struct action_attempt *, const json_t *) = {
        [RULE_EMAIL] = send_mail,
        [RULE_WEBHOOK] = call_webhook,
        [RULE_METHOD] = call_method,
        [RULE_MESSAGE] = send_message};
    perform[a->action->type](a, action_of(a->action)->parameters);
}
