/* Mail: a batch is one, with a part of its text for each message.
 *
 * An attempt that is made again, as its answer was lost, has the same Message-ID: servers that look
 * at it show the mail once. */
#include "hub/endpoints/mail.h"

#include <stdio.h>

#include "hub/endpoints/parts.h"
#include "hub/endpoints/sender.h"

enum { BODY_MAX = 8 * 1024, SECRET_MAX = 500 };

struct sk_hub_mail {
    struct sk_arena arena; /* what the configuration says */
    struct endpoint_url url;
    struct sk_tls *tls;
    struct sk_smtp *smtp;
};

/* ---- where ---- */

static const struct endpoint_scheme schemes[] = {
    {"smtps://", true, 465}, {"smtp://", true, 587}, {"smtp+plain://", false, 25}, {0}};

static enum sk_smtp_security security_of(const struct sk_hub_endpoint *options) {
    struct sk_span to = sk_span_z(options->to);
    return sk_span_starts_nocase(to, SK_SPAN("smtps:"))  ? SK_SMTP_TLS
           : sk_span_starts_nocase(to, SK_SPAN("smtp:")) ? SK_SMTP_STARTTLS
                                                         : SK_SMTP_PLAIN;
}

static const char *wrong_with(const struct sk_hub_endpoint *options,
                              const struct endpoint_url *url) {
    if (url->host == NULL || url->rest[0])
        return "a mail server is a URL, such as \"smtps://user:password@mail.example\"";
    if (url->user && !url->secure)
        return "a password goes to a mail server over TLS only, by smtps:// or smtp://";
    if (url->user && strlen(url->user) + strlen(url->password) > SECRET_MAX)
        return "user and password of a mail server have at most 500 bytes together";
    if (options->from == NULL || options->recipient_count == 0)
        return "mail needs `from`, an address, and `recipients`, a list of them";
    return NULL;
}

static bool check(const struct sk_hub_endpoint *options, char why[SK_CONFIG_WHY_MAX]) {
    struct sk_arena arena = {0};
    struct endpoint_url url;
    if (!endpoint_url_parse(sk_span_z(options->to), schemes, &arena, &url)) url.host = NULL;
    const char *wrong = wrong_with(options, &url);
    if (wrong) snprintf(why, SK_CONFIG_WHY_MAX, "%s", wrong);
    sk_arena_free(&arena);
    return wrong == NULL;
}

/* ---- what it says ---- */

static void put_field(struct sk_buffer *to, struct sk_span name, const char *hub,
                      const struct sk_message *message) {
    char when[SK_TIME_TEXT];
    sk_time_text(message->enqueued_us, when);
    const struct {
        const char *name;
        struct sk_span value;
    } known[] = {{"hub", sk_span_z(hub)},
                 {"device", message->device},
                 {"module", message->module},
                 {"time", sk_span_z(when)},
                 {"body", sk_span_first(message->body, BODY_MAX)}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!sk_span_is(name, known[i].name)) continue;
        sk_buffer_append(to, known[i].value);
        return;
    }
    const struct sk_property *property = sk_message_property(message, name);
    if (property) sk_buffer_append(to, property->value);
}

void mail_put(struct sk_buffer *to, struct sk_span form, const char *hub,
              const struct sk_message *message) {
    while (form.n) {
        size_t open = sk_span_find(form, '{');
        struct sk_span behind = sk_span_skip(form, open + 1);
        size_t close = sk_span_find(behind, '}');
        if (close == behind.n) open = form.n; /* a brace that nothing closes is one */
        sk_buffer_append(to, sk_span_first(form, open));
        if (open == form.n) return;
        put_field(to, sk_span_first(behind, close), hub, message);
        form = sk_span_skip(behind, close + 1);
    }
}

static void put_batch(struct endpoint *e, struct sk_buffer *subject, struct sk_buffer *text) {
    const char *hub = e->hub->options->name;
    struct sk_arena arena = {0};
    for (size_t i = 0; i < e->batch.count; i++) {
        struct sk_message message;
        sk_arena_reset(&arena);
        if (endpoint_message(e, i, &arena, &message)) continue;
        if (i == 0) mail_put(subject, sk_span_z(e->options->subject), hub, &message);
        mail_put(text, sk_span_z(e->options->text), hub, &message);
        sk_buffer_byte(text, '\n');
    }
    sk_arena_free(&arena);
    if (e->batch.count > 1) sk_buffer_print(subject, " (+%zu)", e->batch.count - 1);
}

/* ---- sending ---- */

static void sent(void *arg, enum sk_smtp_end end, const char *why) {
    static const enum endpoint_end ends[] = {[SK_SMTP_SENT] = ENDPOINT_SENT,
                                             [SK_SMTP_AGAIN] = ENDPOINT_AGAIN,
                                             [SK_SMTP_REFUSED] = ENDPOINT_REFUSED};
    struct endpoint *e = arg;
    endpoint_ended(e, ends[end], end == SK_SMTP_SENT ? e->batch.count : 0, "%s", why);
}

/* Letters and digits of the hub's and the endpoint's name, and which messages these are. */
static void put_id(const struct endpoint *e, struct sk_buffer *to) {
    const struct endpoint_batch *batch = &e->batch;
    const char *const names[] = {e->hub->options->name, e->options->name};
    for (size_t i = 0; i < 2; i++)
        for (const char *c = names[i]; *c; c++)
            if (sk_span_only(sk_span(c, 1), "-_")) sk_buffer_byte(to, *c);
    sk_buffer_print(to, "-%llx-%llu-%llu", (unsigned long long)batch->items[0].wall_us,
                    (unsigned long long)batch->items[0].sequence,
                    (unsigned long long)batch->items[batch->count - 1].sequence);
}

void sk_hub_mail_send(struct sk_hub_mail *m, const struct sk_hub_endpoint *options,
                      const struct sk_mail *mail, sk_smtp_done *done, void *arg) {
    sk_smtp_send(m->smtp, mail, options->mails_per_minute, (uint32_t)(options->timeout_us / 1000),
                 done, arg);
}

static void send_mail(struct endpoint *e) {
    const struct sk_hub_endpoint *options = e->options;
    struct sk_buffer subject = {0}, text = {0}, id = {0};
    put_batch(e, &subject, &text);
    put_id(e, &id);
    sk_hub_mail_send(e->state, options,
                     &(struct sk_mail){.from = sk_span_z(options->from),
                                       .to = options->recipients,
                                       .to_count = options->recipient_count,
                                       .subject = sk_buffer_span(&subject),
                                       .text = sk_buffer_span(&text),
                                       .id = sk_buffer_span(&id),
                                       .wall_us = sk_io_wall(e->hub->backend.io)},
                     sent, e);
    sk_buffer_free(&subject);
    sk_buffer_free(&text);
    sk_buffer_free(&id);
}

/* ---- life ---- */

void sk_hub_mail_free(struct sk_hub_mail *m) {
    if (m == NULL) return;
    sk_smtp_free(m->smtp);
    if (m->tls) sk_tls_free(m->tls);
    sk_arena_free(&m->arena);
    free(m);
}

enum sk_status sk_hub_mail_new(struct sk_hub *hub, const struct sk_hub_endpoint *options,
                               struct sk_hub_mail **sender, char reason[512]) {
    struct sk_hub_mail *m = *sender = SK_NEW(struct sk_hub_mail);
    struct endpoint e = {.hub = hub, .options = options};
    bool fine = endpoint_url_parse(sk_span_z(options->to), schemes, &m->arena, &m->url);
    SK_ASSERT(fine); /* check() has seen it */
    enum sk_status status = endpoint_trust(&e, m->url.secure, &m->tls, reason);
    if (status) {
        sk_hub_mail_free(m);
        *sender = NULL;
        return status;
    }
    m->smtp = sk_smtp_new(
        hub->backend.io, &(struct sk_smtp_options){.to = {.host = m->url.host, .port = m->url.port},
                                                   .security = security_of(options),
                                                   .tls = m->tls,
                                                   .user = m->url.user,
                                                   .password = m->url.password,
                                                   .name = hub->options->host_name_count
                                                               ? hub->options->host_names[0]
                                                               : "localhost"});
    return SK_OK;
}

static void close_mail(struct endpoint *e) {
    sk_hub_mail_free(e->state);
    e->state = NULL;
}

static enum sk_status open_mail(struct endpoint *e, char reason[512]) {
    struct sk_hub_mail *m;
    enum sk_status status = sk_hub_mail_new(e->hub, e->options, &m, reason);
    e->state = m;
    return status;
}

const struct endpoint_kind endpoint_mail = {
    .check = check, .open = open_mail, .send = send_mail, .close = close_mail};
