/* Cloud-to-device messages over long times: services send, devices come and go and settle in every
 * way, the hub loses power; and every accepted message ends exactly once, as its sender is told. */
#include "support/fleet_c2d.h"
#include "support/raw_amqp.h"
#include "support/test.h"

enum {
    MESSAGES = 200,
    DEVICES = 4, /* the first two speak MQTT */
    HTTPS_DEVICE = 2,
    AMQP_DEVICE = 3,
    STEPS = 900,
    DELIVERIES_MAX = 3
};

struct mail {
    struct fleet_c2d sent;
    char id[8];
    unsigned device;
    int64_t expiry_us;
    enum { NOT_SENT, ON_ITS_WAY, ACCEPTED, REFUSED, UNKNOWN } state;
    unsigned received, abandoned;
    bool completed, rejected, purged; /* somebody has tried to */
    const char *confirmed;            /* the end that the hub has confirmed */
    char end[32], ended_at[40];       /* what feedback says */
};

struct story {
    struct fleet f;
    struct mail mails[MESSAGES];
    unsigned sent;
    struct mqtt_device {
        struct story *story;
        unsigned number;
        struct sk_device_client *client;
        uint32_t connection;
        int last; /* the last message of this connection */
        struct pending {
            unsigned mail;
            struct sk_delivery delivery;
        } pending[64];
        size_t count;
    } devices[HTTPS_DEVICE];
    struct amqp_device {
        struct raw_amqp c;
        struct raw_link link;
        struct {
            struct mail *mail;
            struct sk_amqp_delivery *delivery;
        } pending[64];
        size_t count;
    } amqp;
    /* One HTTPS call at a time of the device, one of the service. */
    struct call {
        struct story *story;
        bool busy;
        enum { GET, SETTLE, PURGE } step;
        const char *path;
        struct mail *mail; /* of the device: what it has */
        enum sk_outcome outcome;
        char token[40];
    } device, service, purge;
    struct sk_device_events events;
};

static struct story *s;
static unsigned ends_seen[SK_C2D_END_COUNT]; /* in all stories */

static uint64_t chance(uint64_t n) {
    return sk_sim_chance(s->f.sim, n);
}

static struct mail *find_mail(struct sk_span id) {
    int64_t n;
    assert_int_equal(sk_span_to_int(sk_span_skip(id, 1), &n), SK_OK);
    assert_in_range(n, 0, s->sent - 1);
    return &s->mails[n];
}

static const char *device_name(unsigned device) {
    static const char *const names[] = {"d0", "d1", "d2", "d3"};
    return names[device];
}

/* ---- the service ---- */

static void send_one(void) {
    struct mail *mail = &s->mails[s->sent++];
    char expiry[SK_TIME_TEXT];
    struct sk_message message = {.body = SK_SPAN("do it")};
    int64_t life_us = chance(3) ? 3600000000 : (int64_t)(10 + chance(200)) * 1000000;
    snprintf(mail->id, sizeof mail->id, "m%u", s->sent - 1);
    mail->device = (unsigned)chance(DEVICES);
    mail->expiry_us = sk_io_wall(s->f.hub_io) + life_us;
    mail->state = ON_ITS_WAY;
    mail->purged = mail->device == 1 && s->purge.busy; /* it may still be on its way */
    sk_time_text(mail->expiry_us, expiry);
    message.system[SK_SYS_MESSAGE_ID] = sk_span_z(mail->id);
    message.system[SK_SYS_EXPIRY] = sk_span_z(expiry);
    message.system[SK_SYS_ACK] = SK_SPAN("full");
    fleet_submit_c2d(&s->f, &mail->sent, device_name(mail->device), &message);
}

/* What the hub has answered so far. */
static void look_at_answers(void) {
    for (unsigned i = 0; i < s->sent; i++) {
        struct mail *mail = &s->mails[i];
        if (mail->state != ON_ITS_WAY || !mail->sent.done) continue;
        switch (mail->sent.fault) {
        case SK_FAULT_NONE: mail->state = ACCEPTED; break;
        case SK_FAULT_QUEUE_DEPTH: mail->state = REFUSED; break;
        case SK_FAULT_UNAVAILABLE:
        case SK_FAULT_SERVER_ERROR: mail->state = UNKNOWN; break; /* the power went */
        default: fail_msg("%s: fault %d", mail->id, mail->sent.fault);
        }
    }
}

static void take_feedback(const char *text) {
    json_t *records = json_loads(text, 0, NULL), *record;
    size_t i;
    assert_true(json_array_size(records) > 0);
    json_array_foreach(records, i, record) {
        const char *end = json_string_value(json_object_get(record, "statusCode"));
        const char *when = json_string_value(json_object_get(record, "enqueuedTimeUtc"));
        struct mail *mail =
            find_mail(sk_span_z(json_string_value(json_object_get(record, "originalMessageId"))));
        assert_string_equal(json_string_value(json_object_get(record, "deviceId")),
                            device_name(mail->device));
        if (mail->end[0] && (strcmp(mail->end, end) != 0 || strcmp(mail->ended_at, when) != 0))
            fail_msg("%s ended twice: %s at %s, %s at %s", mail->id, mail->end, mail->ended_at, end,
                     when); /* the same record may come twice: its receiver lost the power too */
        snprintf(mail->end, sizeof mail->end, "%s", end);
        snprintf(mail->ended_at, sizeof mail->ended_at, "%s", when);
    }
    json_decref(records);
}

/* ---- HTTPS: what the answers mean ---- */

static void call(struct call *c);

static void on_answer(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct call *c = arg;
    unsigned code = status ? 0 : answer->status; /* 0: nobody knows what became of it */
    c->busy = false;
    if (c->step == PURGE) return;
    if (c->step == SETTLE) {
        static const char *const ends[] = {
            [SK_COMPLETE] = "Success", [SK_ABANDON] = NULL, [SK_REJECT] = "Rejected"};
        if (code == 204 && c->mail) c->mail->confirmed = ends[c->outcome];
        c->step = GET;
        return;
    }
    if (code != 200) return;
    snprintf(c->token, sizeof c->token, "%.36s", sk_http_header(answer, "ETag").p + 1);
    c->step = SETTLE;
    if (c == &s->service) {
        SK_CLEANUP_FREE char *body = sk_span_dup(sk_buffer_span(&answer->body));
        take_feedback(body);
        c->outcome = chance(4) ? SK_COMPLETE : SK_ABANDON;
    } else {
        c->mail = find_mail(sk_http_header(answer, "iothub-messageid"));
        assert_int_equal(c->mail->device, HTTPS_DEVICE);
        c->mail->received++;
        c->outcome = (enum sk_outcome)chance(3);
        if (c->outcome == SK_COMPLETE) c->mail->completed = true;
        if (c->outcome == SK_REJECT) c->mail->rejected = true;
        if (c->outcome == SK_ABANDON) c->mail->abandoned++;
    }
}

static void call(struct call *c) {
    struct sk_buffer token = {0}, target = {0};
    enum sk_http_method method = SK_HTTP_GET;
    sk_sas_create(&token, SK_SPAN("hub.test"), SK_SPAN(FLEET_KEY), SK_SPAN("owner"),
                  sk_io_wall(s->f.field_io) / 1000000 + 3600);
    sk_buffer_text(&target, c->path);
    if (c->step == SETTLE)
        sk_buffer_print(&target, "/%s%s", c->token, c->outcome == SK_ABANDON ? "/abandon" : "");
    sk_buffer_text(&target, "?api-version=2021-04-12");
    if (c->step == SETTLE && c->outcome == SK_REJECT) sk_buffer_text(&target, "&reject");
    if (c->step != GET)
        method = c->step == SETTLE && c->outcome == SK_ABANDON ? SK_HTTP_POST : SK_HTTP_DELETE;
    struct sk_http_pair header = {"Authorization", sk_buffer_span(&token)};
    c->busy = true;
    sk_http_client_send(s->f.service, &(struct sk_http_ask){.method = method,
                                                            .target = sk_buffer_span(&target),
                                                            .headers = &header,
                                                            .header_count = 1,
                                                            .done = on_answer,
                                                            .arg = c});
    sk_buffer_free(&token);
    sk_buffer_free(&target);
}

static void call_if_free(struct call *c) {
    if (c->busy) return;
    if (c->step == SETTLE && chance(8) == 0) c->step = GET; /* forgets it: the lock runs out */
    call(c);
}

static void purge_one(void) {
    if (s->purge.busy) return;
    for (unsigned i = 0; i < s->sent; i++)
        if (s->mails[i].device == 1) s->mails[i].purged = true;
    call(&s->purge);
}

/* ---- MQTT ---- */

static void on_message(void *arg, const struct sk_message *message, struct sk_delivery delivery) {
    struct mqtt_device *d = arg;
    struct mail *mail = find_mail(message->system[SK_SYS_MESSAGE_ID]);
    int number = (int)(mail - s->mails);
    assert_int_equal(mail->device, d->number);
    if (delivery.connection != d->connection) {
        d->connection = delivery.connection;
        d->last = -1;
        d->count = 0;
    }
    if (number <= d->last)
        fail_msg("d%u: %s came after m%d on one connection", d->number, mail->id, d->last);
    d->last = number;
    mail->received++;
    assert_true(d->count < 64);
    d->pending[d->count++] = (struct pending){(unsigned)number, delivery};
}

static void acknowledge_one(struct mqtt_device *d, size_t index) {
    s->mails[d->pending[index].mail].completed = true;
    sk_device_client_ack(d->client, d->pending[index].delivery);
    memmove(&d->pending[index], &d->pending[index + 1],
            (d->count - index - 1) * sizeof *d->pending);
    d->count--;
}

static void come_or_go(struct mqtt_device *d) {
    d->count = 0;
    d->connection = 0; /* numbers of a new client begin again */
    d->last = -1;
    if (d->client) {
        sk_device_client_free(d->client);
        d->client = NULL;
    } else {
        d->client = fleet_client(&s->f, "hub.test", device_name(d->number), NULL, SK_SUB_C2D,
                                 &s->events, d);
    }
}

/* ---- AMQP ---- */

static void on_transfer(struct raw_link *link, struct sk_amqp_delivery *delivery,
                        const struct sk_amqp_message *message) {
    struct amqp_device *d = link->arg;
    struct mail *mail = find_mail(sk_amqp_text(&message->message_id, &d->c.arena));
    assert_int_equal(mail->device, AMQP_DEVICE);
    mail->received++;
    assert_true(d->count < 64);
    d->pending[d->count].mail = mail;
    d->pending[d->count++].delivery = delivery;
}

static void on_link_gone(struct raw_link *link) {
    ((struct amqp_device *)link->arg)->count = 0;
}

static void settle_one(struct amqp_device *d, size_t index, enum sk_amqp_outcome outcome) {
    struct mail *mail = d->pending[index].mail;
    if (outcome == SK_AMQP_ACCEPTED) mail->completed = true;
    if (outcome == SK_AMQP_REJECTED) mail->rejected = true;
    if (outcome == SK_AMQP_RELEASED || outcome == SK_AMQP_MODIFIED) mail->abandoned++;
    raw_link_settle(&d->link, d->pending[index].delivery, outcome);
    d->pending[index] = d->pending[--d->count];
}

static void amqp_comes_or_goes(struct amqp_device *d) {
    bool broken = d->c.amqp && d->c.stream == NULL;
    if (d->c.amqp) raw_amqp_free(&d->c);
    if (d->c.f && !broken && chance(2)) { /* stays away for a while */
        d->c.f = NULL;
        return;
    }
    d->link = (struct raw_link){.arg = d, .on_transfer = on_transfer, .on_gone = on_link_gone};
    raw_amqp_open(&d->c, &s->f, &(struct raw_amqp_options){.websocket = chance(2)});
    raw_amqp_prove(&d->c, device_name(AMQP_DEVICE));
    raw_link_receiver(&d->c, &d->link, "/devices/d3/messages/devicebound", (int)(1 + chance(40)));
}

static void amqp_does_something(struct amqp_device *d) {
    static const enum sk_amqp_outcome outcomes[] = {SK_AMQP_ACCEPTED, SK_AMQP_REJECTED,
                                                    SK_AMQP_RELEASED, SK_AMQP_MODIFIED};
    if (d->c.stream == NULL || d->link.amqp == NULL || chance(12) == 0)
        amqp_comes_or_goes(d);
    else if (d->count)
        settle_one(d, chance(d->count), outcomes[chance(4)]);
}

/* ---- the story ---- */

static void step(void) {
    struct mqtt_device *d = &s->devices[chance(HTTPS_DEVICE)];
    switch (chance(20)) {
    case 0:
    case 1:
    case 2:
    case 3:
        if (s->sent < MESSAGES) send_one();
        break;
    case 4:
    case 5:
    case 6: call_if_free(&s->device); break;
    case 7: call_if_free(&s->service); break;
    case 8:
    case 9:
    case 10:
        if (d->client && d->count) acknowledge_one(d, chance(d->count));
        break;
    case 11:
        if (chance(3) == 0) come_or_go(d);
        break;
    case 12:
        if (chance(4) == 0) sk_sim_run(s->f.sim, chance(100) * SK_S);
        break;
    case 13:
        if (chance(6) == 0) fleet_crash_hub(&s->f);
        break;
    case 14:
        if (chance(12) == 0) purge_one();
        break;
    case 15:
    case 16:
    case 17:
    case 18: amqp_does_something(&s->amqp); break;
    default: sk_sim_run(s->f.sim, chance(3000) * SK_MS); break;
    }
    sk_sim_run(s->f.sim, chance(20) * SK_MS);
    look_at_answers();
}

/* Everybody is there and does what is asked, until nothing is left. */
static void come_to_an_end(void) {
    for (unsigned i = 0; i < HTTPS_DEVICE; i++)
        if (s->devices[i].client == NULL) come_or_go(&s->devices[i]);
    for (int i = 0; i < 600; i++) {
        for (unsigned j = 0; j < HTTPS_DEVICE; j++)
            while (s->devices[j].count) acknowledge_one(&s->devices[j], 0);
        call_if_free(&s->device);
        call_if_free(&s->service);
        if (s->amqp.c.stream == NULL || s->amqp.link.amqp == NULL) amqp_comes_or_goes(&s->amqp);
        while (s->amqp.count) settle_one(&s->amqp, 0, SK_AMQP_ACCEPTED);
        sk_sim_run(s->f.sim, 2 * SK_S);
    }
    look_at_answers();
}

static void check(const struct mail *mail, uint64_t seed) {
    const char *why = NULL;
    struct sk_span end = sk_span_z(mail->end);
    int64_t when = 0;
    if (mail->end[0]) assert_int_equal(sk_time_parse(sk_span_z(mail->ended_at), &when), SK_OK);
    if (mail->state == ACCEPTED && end.n == 0) why = "was accepted and has no end";
    if (mail->state == REFUSED && end.n) why = "was refused and has an end";
    if (mail->state == ON_ITS_WAY) why = "was never answered";
    if (sk_span_is(end, "Success") && !(mail->completed && mail->received))
        why = "was completed by nobody";
    if (sk_span_is(end, "Rejected") && !mail->rejected) why = "was rejected by nobody";
    if (sk_span_is(end, "Purged") && !mail->purged) why = "was purged by nobody";
    if (sk_span_is(end, "Expired") && when < mail->expiry_us) why = "expired too early";
    if (sk_span_is(end, "DeliveryCountExceeded") && mail->abandoned < DELIVERIES_MAX)
        why = "was not abandoned so often";
    if (mail->confirmed && !sk_span_is(end, mail->confirmed)) why = "ended as was not confirmed";
    for (int i = 0; i < SK_C2D_END_COUNT; i++)
        ends_seen[i] += sk_span_is(end, sk_c2d_end_name((enum sk_c2d_end)i));
    if (why)
        fail_msg("seed %llu: %s to d%u %s: '%s'", (unsigned long long)seed, mail->id, mail->device,
                 why, mail->end);
}

static void run_story(uint64_t seed) {
    s = SK_NEW(struct story);
    fleet_new_hub(&s->f, seed);
    s->f.config.hubs[0].c2d.deliveries_max = DELIVERIES_MAX;
    s->f.config.hubs[0].c2d.feedback_deliveries_max = 100;
    s->events = (struct sk_device_events){.message = on_message};
    s->device.path = "/devices/d2/messages/devicebound";
    s->service.path = "/messages/servicebound/feedback";
    s->purge = (struct call){.step = PURGE, .path = "/devices/d1/commands"};
    for (unsigned i = 0; i < DEVICES; i++) fleet_put_device(&s->f, device_name(i), "");
    for (unsigned i = 0; i < HTTPS_DEVICE; i++) s->devices[i].number = i;
    for (int i = 0; i < STEPS; i++) step();
    come_to_an_end();
    unsigned accepted = 0;
    for (unsigned i = 0; i < s->sent; i++) {
        check(&s->mails[i], seed);
        accepted += s->mails[i].state == ACCEPTED;
    }
    assert_true(accepted > 50);
    for (unsigned i = 0; i < HTTPS_DEVICE; i++)
        if (s->devices[i].client) sk_device_client_free(s->devices[i].client);
    raw_amqp_free(&s->amqp.c);
    fleet_free(&s->f);
    free(s);
}

TEST(every_accepted_message_ends_once_and_its_sender_is_told_how) {
    struct seeds seeds = seeds_of("SEEDS", 40);
    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++) run_story(seed);
    for (int i = 0; i < SK_C2D_END_COUNT && !seeds.one; i++) assert_true(ends_seen[i] > 10);
}
