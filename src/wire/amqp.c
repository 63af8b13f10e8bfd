/* The connection: protocol headers, SASL, frames, open and close, heartbeats.
 *
 *   server                                     client
 *   HEADER ─ SASL ─ VERDICT ─ AMQP_HEADER ┐    HEADER ─ SASL ─ AMQP_HEADER ┐
 *     └─────────── bare ──────────────────┴─ OPEN ─ FRAMES ─ NOTHING ◀─────┘
 *
 * Whatever we say is written to `out` in the order of the calls that say it, and leaves with the
 * next flush; only dispositions wait a little for more of their kind (amqp_transfer.c). Every
 * list of fields is complete and has values where the specification allows a default: a client
 * in Python counts on it, and so do readers of traces. */
#include "wire/amqp_parts.h"

enum { FRAME_MIN = 512, HELD_BACK_MAX = 16384 };

static const char *const mechanisms[] = {"EXTERNAL", "MSSBCBS", "ANONYMOUS",
                                         "PLAIN"}; /* in the order of the real service */

/* ---- the end ---- */

static void over(struct sk_amqp *a, const struct sk_amqp_error *error) {
    a->expect = SK_AMQP_EXPECT_NOTHING;
    if (a->told_end) return;
    a->told_end = true;
    a->events->on_close(a->arg, error);
    amqp_all_gone(a);
}

void sk_amqp_close(struct sk_amqp *a, const struct sk_amqp_error *error) {
    /* Sessions first: Node's SDK waits 45 s for its links' detaches when a connection closes over
     * a session that has not ended. */
    amqp_end_sessions(a);
    amqp_put_close(a, error);
}

/* ---- SASL (5.3) ---- */

static void put_mechanisms(struct sk_amqp *a) {
    struct sk_amqp_frame frame = amqp_begin_sasl_frame(a, SK_AMQP_SASL_MECHANISMS, 1);
    amqp_put_symbols(&a->out, mechanisms, sizeof mechanisms / sizeof *mechanisms);
    amqp_end_frame(a, frame);
}

static void put_outcome(struct sk_amqp *a, bool refused) {
    enum { OK, AUTH };
    struct sk_amqp_frame frame = amqp_begin_sasl_frame(a, SK_AMQP_SASL_OUTCOME, 2);
    amqp_put_ubyte(&a->out, refused ? AUTH : OK);
    amqp_put_null(&a->out);
    amqp_end_frame(a, frame);
}

static void refuse_sasl(struct sk_amqp *a, const char *text) {
    if (a->server) put_outcome(a, true);
    over(a, &(struct sk_amqp_error){.condition = SK_SPAN("amqp:unauthorized-access"),
                                    .description = sk_span_z(text)});
}

void sk_amqp_sasl_done(struct sk_amqp *a, enum sk_amqp_sasl outcome) {
    if (a->expect != SK_AMQP_EXPECT_VERDICT) return;
    if (outcome == SK_AMQP_SASL_REFUSED) {
        a->depth++;
        refuse_sasl(a, "the credentials were refused");
        a->depth--;
        amqp_bury(a);
        return;
    }
    put_outcome(a, false);
    a->expect = SK_AMQP_EXPECT_AMQP_HEADER;
    struct sk_buffer ahead = a->in; /* what the client said without waiting */
    a->in = (struct sk_buffer){0};
    if (ahead.n) sk_amqp_feed(a, sk_buffer_span(&ahead));
    sk_buffer_free(&ahead);
}

static void on_init(struct sk_amqp *a, const struct sk_amqp_raw *list) {
    struct sk_amqp_raw field[3]; /* mechanism, initial response, host name */
    if (amqp_read_list(list, field, 3) || amqp_raw_is_null(&field[0])) {
        refuse_sasl(a, "sasl-init names no mechanism");
        return;
    }
    a->expect = SK_AMQP_EXPECT_VERDICT;
    a->events->on_sasl(a->arg, amqp_raw_text(&field[0]), amqp_raw_text(&field[1]),
                       amqp_raw_text(&field[2]));
}

/* Client: the server has said what it takes. */
static void on_mechanisms(struct sk_amqp *a, const struct sk_amqp_raw *list) {
    const char *wanted = a->user ? "PLAIN" : "ANONYMOUS";
    struct sk_amqp_raw offered;
    if (amqp_read_list(list, &offered, 1) || !amqp_raw_names(&offered, wanted)) {
        refuse_sasl(a, "the server takes no such SASL mechanism");
        return;
    }
    struct sk_buffer response = {0};
    if (a->user) { /* RFC 4616 */
        sk_buffer_byte(&response, 0);
        sk_buffer_text(&response, a->user);
        sk_buffer_byte(&response, 0);
        sk_buffer_text(&response, a->password);
    }
    struct sk_amqp_frame frame = amqp_begin_sasl_frame(a, SK_AMQP_SASL_INIT, 3);
    amqp_put_symbol(&a->out, sk_span_z(wanted));
    amqp_put_binary(&a->out, sk_buffer_span(&response));
    amqp_put_text(a, a->host_name);
    amqp_end_frame(a, frame);
    sk_buffer_free(&response);
}

static void on_outcome(struct sk_amqp *a, const struct sk_amqp_raw *list) {
    struct sk_amqp_raw code;
    uint64_t number = 1;
    if (amqp_read_list(list, &code, 1) || !amqp_raw_number(&code, &number) || number) {
        refuse_sasl(a, "the server refused our credentials");
        return;
    }
    a->expect = SK_AMQP_EXPECT_AMQP_HEADER;
    amqp_put_open(a);
}

static void on_sasl_frame(struct sk_amqp *a, const struct sk_amqp_raw *list) {
    if (a->server && list->descriptor == SK_AMQP_SASL_INIT)
        on_init(a, list);
    else if (!a->server && list->descriptor == SK_AMQP_SASL_MECHANISMS)
        on_mechanisms(a, list);
    else if (!a->server && list->descriptor == SK_AMQP_SASL_OUTCOME)
        on_outcome(a, list);
    else
        refuse_sasl(a, "a SASL frame that has no place here");
}

/* ---- frames in ---- */

static void on_open(struct sk_amqp *a, const struct sk_amqp_raw *list) {
    struct sk_amqp_raw field[5];
    uint64_t frame_max = UINT32_MAX, channel_max = UINT16_MAX, idle_ms = 0;
    if (amqp_read_list(list, field, 5)) {
        amqp_fail(a, "amqp:decode-error", "the open cannot be read");
        return;
    }
    amqp_raw_number(&field[2], &frame_max);
    amqp_raw_number(&field[3], &channel_max);
    amqp_raw_number(&field[4], &idle_ms);
    a->peer_idle_ms = idle_ms < UINT32_MAX ? (uint32_t)idle_ms : UINT32_MAX;
    a->channel_max =
        channel_max < SK_AMQP_CHANNEL_MAX ? (uint32_t)channel_max : SK_AMQP_CHANNEL_MAX;
    if (frame_max < FRAME_MIN) {
        amqp_fail(a, "amqp:invalid-field", "max-frame-size is below 512");
        return;
    }
    if (frame_max < SK_AMQP_FRAME_MAX) a->frame_max = (uint32_t)frame_max;
    a->expect = SK_AMQP_EXPECT_FRAMES;
    amqp_put_open(a);
    a->events->on_open(a->arg, amqp_raw_text(&field[1]));
}

static void on_close(struct sk_amqp *a, const struct sk_amqp_raw *list) {
    struct sk_amqp_raw field;
    struct sk_amqp_error error = {0};
    if (amqp_read_list(list, &field, 1) == SK_OK) amqp_get_error(&field, NULL, &error);
    amqp_put_close(a, NULL);
    over(a, &error);
}

static bool has_ended(const struct sk_amqp *a, uint16_t channel) {
    return a->ended && a->ended[channel / 8] >> channel % 8 & 1;
}

/* What comes on a channel behind its End is dropped: rhea, which is under Azure's Node SDKs,
 * still sends dispositions then, and Azure's services do not mind. */
static struct sk_amqp_session *find_session(struct sk_amqp *a, uint16_t channel) {
    if (a->at && a->at->peer_channel == channel) return a->at;
    struct sk_amqp_session *session = sk_map_get(&a->sessions, sk_span(&channel, sizeof channel));
    if (session)
        a->at = session;
    else if (!has_ended(a, channel))
        amqp_fail(a, "amqp:not-allowed", "there is no session on this channel");
    return session;
}

static void on_session_frame(struct sk_amqp *a, uint16_t channel, const struct sk_amqp_raw *list,
                             struct sk_span payload) {
    struct sk_amqp_session *session = find_session(a, channel);
    if (session == NULL || (session->ended && list->descriptor != SK_AMQP_END)) return;
    switch (list->descriptor) {
    case SK_AMQP_ATTACH: amqp_on_attach(session, list); break;
    case SK_AMQP_FLOW: amqp_on_flow(session, list); break;
    case SK_AMQP_TRANSFER: amqp_on_transfer(session, list, payload); break;
    case SK_AMQP_DISPOSITION: amqp_on_disposition(session, list); break;
    case SK_AMQP_DETACH: amqp_on_detach(session, list); break;
    case SK_AMQP_END: amqp_on_end(session); break;
    default: break;
    }
}

static void on_frame(struct sk_amqp *a, uint16_t channel, struct sk_span body) {
    struct sk_amqp_raw list;
    if (body.n == 0) return; /* a heartbeat */
    if (amqp_next(&body, &list) || !amqp_raw_is_list(&list) || list.descriptor < SK_AMQP_OPEN ||
        list.descriptor > SK_AMQP_CLOSE) {
        amqp_fail(a, "amqp:decode-error", "a frame without a performative that can be read");
        return;
    }
    if (list.descriptor == SK_AMQP_CLOSE) {
        on_close(a, &list);
    } else if (a->closing) {
        return; /* nothing but its close counts any more */
    } else if (a->expect == SK_AMQP_EXPECT_OPEN) {
        if (list.descriptor == SK_AMQP_OPEN)
            on_open(a, &list);
        else
            amqp_fail(a, "amqp:illegal-state", "the connection is not open");
    } else if (list.descriptor == SK_AMQP_OPEN) {
        amqp_fail(a, "amqp:illegal-state", "the connection is open already");
    } else if (channel > SK_AMQP_CHANNEL_MAX) {
        amqp_fail(a, "amqp:connection:framing-error", "the channel is above channel-max");
    } else if (list.descriptor == SK_AMQP_BEGIN) {
        if (has_ended(a, channel)) a->ended[channel / 8] &= (unsigned char)~(1u << channel % 8);
        amqp_on_begin(a, channel, &list);
    } else {
        on_session_frame(a, channel, &list, body);
    }
}

/* ---- bytes in ---- */

static void on_header(struct sk_amqp *a, const char *header) {
    bool sasl = memcmp(header, SK_AMQP_SASL_PROTOCOL, SK_AMQP_FRAME_HEAD) == 0;
    bool plain = memcmp(header, SK_AMQP_PROTOCOL, SK_AMQP_FRAME_HEAD) == 0;
    bool first = a->expect == SK_AMQP_EXPECT_HEADER;
    bool wants_sasl = a->user || a->sasl_anonymous; /* client */
    if (a->server && first && sasl) {
        amqp_put_header(a, true);
        put_mechanisms(a);
        a->expect = SK_AMQP_EXPECT_SASL;
    } else if (!a->server && first && sasl && wants_sasl) {
        a->expect = SK_AMQP_EXPECT_SASL;
    } else if (plain && (a->server || !first || !wants_sasl)) {
        if (!a->header_sent) amqp_put_header(a, false);
        a->expect = SK_AMQP_EXPECT_OPEN;
    } else { /* 2.2: what we would have taken, and the end */
        if (a->server)
            sk_buffer_append(&a->out, sk_span(first ? SK_AMQP_SASL_PROTOCOL : SK_AMQP_PROTOCOL, 8));
        a->header_sent = false;
        amqp_fail(a, "amqp:connection:framing-error", "not a protocol that is spoken here");
    }
}

/* A whole header or frame. */
static void on_unit(struct sk_amqp *a, struct sk_span unit) {
    const unsigned char *p = (const unsigned char *)unit.p;
    if (a->expect == SK_AMQP_EXPECT_HEADER || a->expect == SK_AMQP_EXPECT_AMQP_HEADER) {
        on_header(a, unit.p);
        return;
    }
    bool sasl = a->expect == SK_AMQP_EXPECT_SASL;
    size_t offset = 4u * p[4];
    if (offset < SK_AMQP_FRAME_HEAD || offset > unit.n || p[5] != sasl) {
        if (sasl)
            refuse_sasl(a, "not a SASL frame");
        else
            amqp_fail(a, "amqp:connection:framing-error", "a frame's head makes no sense");
        return;
    }
    if (!sasl) {
        on_frame(a, (uint16_t)(p[6] << 8 | p[7]), sk_span_skip(unit, offset));
        return;
    }
    struct sk_amqp_raw list;
    struct sk_span body = sk_span_skip(unit, offset);
    if (amqp_next(&body, &list))
        refuse_sasl(a, "a SASL frame that cannot be read");
    else
        on_sasl_frame(a, &list);
}

/* Size of the header or frame that begins here, of which 8 bytes are there; 0: it cannot be. */
static size_t unit_size(const struct sk_amqp *a, const char *head) {
    const unsigned char *p = (const unsigned char *)head;
    if (a->expect == SK_AMQP_EXPECT_HEADER || a->expect == SK_AMQP_EXPECT_AMQP_HEADER)
        return SK_AMQP_FRAME_HEAD;
    size_t size = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    size_t most = a->expect == SK_AMQP_EXPECT_SASL ? HELD_BACK_MAX : SK_AMQP_FRAME_MAX;
    return size < SK_AMQP_FRAME_HEAD || size > most ? 0 : size;
}

/* While the verdict on its credentials is out, a client may send the next header and what
 * follows. */
static void hold_back(struct sk_amqp *a, struct sk_span bytes) {
    if (a->in.n == 0 && bytes.p[0] != SK_AMQP_PROTOCOL[0])
        refuse_sasl(a, "one sasl-init is enough");
    else if (a->in.n + bytes.n > HELD_BACK_MAX)
        amqp_fail(a, "amqp:resource-limit-exceeded", "too much before the verdict of SASL");
    else
        sk_buffer_append(&a->in, bytes);
}

static void refuse_size(struct sk_amqp *a) {
    if (a->expect == SK_AMQP_EXPECT_SASL)
        refuse_sasl(a, "not a SASL frame");
    else
        amqp_fail(a, "amqp:connection:framing-error", "a frame's size makes no sense");
}

/* What is there of a unit waits for the rest, first of all for its head. */
static void take_part(struct sk_amqp *a, struct sk_span *bytes) {
    size_t size = a->in.n < SK_AMQP_FRAME_HEAD ? SK_AMQP_FRAME_HEAD : unit_size(a, a->in.p);
    struct sk_span part = sk_span_first(*bytes, size - a->in.n);
    sk_buffer_append(&a->in, part);
    *bytes = sk_span_skip(*bytes, part.n);
    if (a->in.n < SK_AMQP_FRAME_HEAD) return;
    size = unit_size(a, a->in.p);
    if (size == 0) refuse_size(a);
    if (size != a->in.n) return;
    struct sk_buffer unit = a->in; /* a verdict may put other bytes in its place */
    a->in = (struct sk_buffer){0};
    on_unit(a, sk_buffer_span(&unit));
    sk_buffer_free(&unit);
}

/* A unit that is there whole is used in place. */
static void take(struct sk_amqp *a, struct sk_span *bytes) {
    size_t size = a->in.n || bytes->n < SK_AMQP_FRAME_HEAD ? SIZE_MAX : unit_size(a, bytes->p);
    struct sk_span unit = sk_span_first(*bytes, size);
    if (size == 0) {
        refuse_size(a);
    } else if (size > bytes->n) {
        take_part(a, bytes);
    } else {
        *bytes = sk_span_skip(*bytes, size);
        on_unit(a, unit);
    }
}

void sk_amqp_feed(struct sk_amqp *a, struct sk_span bytes) {
    a->depth++;
    a->heard = true;
    while (bytes.n && a->expect != SK_AMQP_EXPECT_NOTHING) {
        if (a->expect == SK_AMQP_EXPECT_VERDICT) {
            hold_back(a, bytes);
            break;
        }
        take(a, &bytes);
    }
    amqp_settle_dues(a);
    a->depth--;
    amqp_bury(a);
}

void sk_amqp_feed_end(struct sk_amqp *a) {
    a->depth++;
    over(a, &(struct sk_amqp_error){.condition = SK_SPAN("amqp:connection:framing-error"),
                                    .description = SK_SPAN("the connection was cut")});
    a->depth--;
    amqp_bury(a);
}

/* ---- bytes out, and time ---- */

void sk_amqp_flush(struct sk_amqp *a, void (*write)(void *arg, struct sk_span bytes), void *arg) {
    enum { KEPT = 4096 }; /* an idle connection should be small */
    a->depth++;
    for (;;) {
        amqp_settle_dues(a);
        while (!sk_list_empty(&a->acking))
            amqp_put_acks(SK_LIST_FIRST(&a->acking, struct sk_amqp_session, acking));
        if (a->out.n == 0) break;
        struct sk_buffer out = a->out; /* writing may make more of it */
        a->out = (struct sk_buffer){0};
        write(arg, sk_buffer_span(&out));
        sk_buffer_shrink(&out, KEPT);
        if (a->out.p) {
            sk_buffer_free(&out);
        } else {
            out.n = 0;
            a->out = out;
        }
    }
    a->depth--;
    amqp_bury(a);
}

static void heartbeat(struct sk_amqp *a) {
    static const char empty[SK_AMQP_FRAME_HEAD] = {0, 0, 0, SK_AMQP_FRAME_HEAD, 2};
    sk_buffer_append(&a->out, sk_span(empty, sizeof empty));
}

/* Silence ends a connection only when it is still there a second after it has been noticed: when
 * it was we who did not read for long, what waits to be read comes in between. */
uint64_t sk_amqp_tick(struct sk_amqp *a, uint64_t now_ms) {
    enum { GRACE_MS = 1000, OFTEN_MS = 500 };
    uint64_t next = 0;
    if (a->heard || a->heard_ms == 0) {
        a->heard_ms = now_ms;
        a->heard = a->overdue = false;
    }
    if (a->spoke || a->spoke_ms == 0) {
        a->spoke_ms = now_ms;
        a->spoke = false;
    }
    if (a->idle_ms && a->expect != SK_AMQP_EXPECT_NOTHING) {
        uint64_t limit = a->heard_ms + 2ull * a->idle_ms;
        next = limit < now_ms + a->idle_ms ? limit : now_ms + a->idle_ms;
        if (now_ms >= limit && a->overdue) {
            a->depth++;
            amqp_fail(a, "amqp:resource-limit-exceeded", "nothing was heard for too long");
            a->depth--;
            amqp_bury(a);
            return 0;
        }
        if (now_ms >= limit) {
            a->overdue = true;
            next = now_ms + GRACE_MS;
        }
    }
    if (a->peer_idle_ms && a->open_sent && !a->closing) {
        uint64_t every = a->peer_idle_ms / 2 > OFTEN_MS ? a->peer_idle_ms / 2 : OFTEN_MS;
        if (now_ms >= a->spoke_ms + every) {
            heartbeat(a);
            a->spoke_ms = now_ms;
        }
        if (next == 0 || a->spoke_ms + every < next) next = a->spoke_ms + every;
    }
    return next;
}

void sk_amqp_trust(struct sk_amqp *a) {
    a->stranger = false;
}

/* ---- making and freeing ---- */

struct sk_amqp *sk_amqp_new(const struct sk_amqp_options *options,
                            const struct sk_amqp_events *events, void *arg) {
    struct sk_amqp *a = SK_NEW(struct sk_amqp);
    a->events = events;
    a->arg = arg;
    a->over = over;
    a->server = options->server;
    a->stranger = options->stranger;
    a->container = sk_text_dup(options->container);
    a->host_name = sk_text_dup(options->host_name);
    a->user = sk_text_dup(options->user);
    a->password = sk_text_dup(options->password ? options->password : "");
    a->sasl_anonymous = options->sasl_anonymous;
    a->idle_ms = options->idle_timeout_ms;
    a->frame_max = SK_AMQP_FRAME_MAX;
    a->channel_max = SK_AMQP_CHANNEL_MAX;
    sk_list_init(&a->all_sessions);
    sk_list_init(&a->dead_sessions);
    sk_list_init(&a->dead_links);
    sk_list_init(&a->acking);
    sk_list_init(&a->due);
    if (!a->server && (a->user || a->sasl_anonymous))
        amqp_put_header(a, true);
    else if (!a->server)
        amqp_put_open(a);
    return a;
}

void sk_amqp_free(struct sk_amqp *a) {
    a->depth++;
    a->expect = SK_AMQP_EXPECT_NOTHING;
    amqp_all_gone(a);
    a->depth--;
    amqp_bury(a);
    sk_map_free(&a->sessions);
    sk_buffer_free(&a->in);
    sk_buffer_free(&a->out);
    free(a->container);
    free(a->host_name);
    free(a->user);
    free(a->password);
    free(a->ended);
    free(a);
}
