/* Transfers, dispositions and flow (2.5.6, 2.6.7, 2.6.12).
 *
 * What comes in costs no memory once it is whole: a delivery is its number, and settling it is a
 * frame. What goes out unsettled is an entry in the session, sorted by number, since a
 * disposition speaks of a range. Dispositions of the same kind whose numbers follow one another
 * become one. */
#include "wire/amqp_parts.h"

/* ---- dispositions out ---- */

static void add_ack(struct sk_amqp_session *session, bool about_ours, uint32_t id,
                    enum sk_amqp_code state) {
    struct sk_amqp_acks *acks = &session->acks;
    if (acks->any && acks->about_ours == about_ours && acks->state == state &&
        id == acks->last + 1) {
        acks->last = id;
        return;
    }
    amqp_put_acks(session);
    *acks = (struct sk_amqp_acks){true, about_ours, id, id, state};
    sk_list_append(&session->amqp->acking, &session->acking);
}

static void put_rejection(struct sk_amqp_session *session, uint32_t id,
                          const struct sk_amqp_error *error) {
    amqp_put_acks(session);
    amqp_put_disposition(
        session, &(struct sk_amqp_acks){true, false, id, id, SK_AMQP_STATE_REJECTED}, error);
}

/* ---- credit ---- */

/* One more transfer of a receiver is over. */
static void give_back(struct sk_amqp_link *link) {
    if (link->window && ++link->spent * 2 >= link->window) amqp_make_due(link);
}

void amqp_settle_dues(struct sk_amqp *a) {
    while (!sk_list_empty(&a->due)) {
        struct sk_amqp_link *link = SK_LIST_FIRST(&a->due, struct sk_amqp_link, due);
        sk_list_remove(&link->due);
        if (link->detached) continue;
        if (!link->sender)
            amqp_put_flow(link->session, link);
        else if (link->credit)
            a->events->on_credit(a->arg, link);
    }
}

void sk_amqp_grant(struct sk_amqp_link *link, int credit) {
    if (link->detached) return;
    link->credit += (uint32_t)credit;
    amqp_put_flow(link->session, link);
}

int sk_amqp_link_credit(const struct sk_amqp_link *link) {
    if (link->detached) return 0;
    return link->credit > INT32_MAX ? INT32_MAX : (int)link->credit;
}

/* ---- transfers in ---- */

static void forget_partial(struct sk_amqp_link *link) {
    SK_ASSERT(link->session->amqp->held >= link->partial.n);
    link->session->amqp->held -= link->partial.n;
    sk_buffer_free(&link->partial);
    link->in_transfer = false;
}

/* The first frame of a transfer, or one of the same; false: the link or the connection has
 * ended. */
static bool begin_transfer(struct sk_amqp_link *link, const struct sk_amqp_raw *id_field,
                           const struct sk_amqp_raw *format) {
    struct sk_amqp *a = link->session->amqp;
    uint64_t id = 0, number = 0;
    bool has_id = amqp_raw_number(id_field, &id);
    if (link->in_transfer) {
        if (!has_id || id == link->in_id) return true;
        amqp_fail(a, "amqp:not-allowed", "two transfers are mixed on one link");
        return false;
    }
    if (!has_id) {
        amqp_fail(a, "amqp:not-allowed", "a transfer begins without delivery-id");
        return false;
    }
    if (link->credit == 0) {
        amqp_drop_link(link, "amqp:link:transfer-limit-exceeded", "there was no credit left");
        return false;
    }
    link->credit--;
    link->count++;
    link->in_transfer = true;
    link->in_settled = false;
    link->in_id = (uint32_t)id;
    amqp_raw_number(format, &number);
    link->in_format = (uint32_t)number;
    return true;
}

/* A frame that is not the last of its transfer. */
static void keep_part(struct sk_amqp_link *link, struct sk_span payload) {
    struct sk_amqp *a = link->session->amqp;
    if (a->held + payload.n > SK_AMQP_HELD_MAX) {
        amqp_drop_link(link, "amqp:resource-limit-exceeded",
                       "too many bytes of unfinished transfers on this connection");
        return;
    }
    sk_buffer_append(&link->partial, payload);
    a->held += payload.n;
    SK_ASSERT(a->held <= SK_AMQP_HELD_MAX);
}

/* A delivery's name, which is never followed: its number, and a bit so that it is not NULL. */
static struct sk_amqp_delivery *name_of(uint32_t id) {
    return (struct sk_amqp_delivery *)(uintptr_t)(1ull << 32 | id);
}

static void end_transfer(struct sk_amqp_link *link, struct sk_span payload) {
    struct sk_amqp *a = link->session->amqp;
    struct sk_buffer whole = link->partial; /* the callback may end the link */
    if (whole.n) {
        a->held -= whole.n;
        link->partial = (struct sk_buffer){0};
        sk_buffer_append(&whole, payload);
        payload = sk_buffer_span(&whole);
    }
    link->in_transfer = false;
    if (link->in_settled) give_back(link);
    a->events->on_transfer(a->arg, link, link->in_settled ? NULL : name_of(link->in_id), payload);
    sk_buffer_free(&whole);
}

enum { HANDLE, ID, TAG, FORMAT, SETTLED, MORE, ABORTED = 9, TRANSFER_FIELDS = 11 };

void amqp_on_transfer(struct sk_amqp_session *session, const struct sk_amqp_raw *list,
                      struct sk_span payload) {
    struct sk_amqp *a = session->amqp;
    struct sk_amqp_raw field[TRANSFER_FIELDS];
    struct sk_amqp_link *link;
    if (amqp_read_list(list, field, TRANSFER_FIELDS)) {
        amqp_fail(a, "amqp:decode-error", "the transfer cannot be read");
        return;
    }
    if (session->window == 0) {
        amqp_fail(a, "amqp:session:window-violation", "more transfers than the window");
        return;
    }
    session->next_in++;
    if (--session->window <= SK_AMQP_WINDOW / 2) amqp_put_flow(session, NULL);
    if ((link = amqp_find_link(session, &field[HANDLE])) == NULL) {
        amqp_fail(a, "amqp:session:unattached-handle", "there is no link with this handle");
        return;
    }
    if (link->detached) return;
    if (link->sender) {
        amqp_fail(a, "amqp:not-allowed", "a transfer on a link that receives");
        return;
    }
    if (!begin_transfer(link, &field[ID], &field[FORMAT])) return;
    link->in_settled |= amqp_raw_true(&field[SETTLED]);
    if (amqp_raw_true(&field[ABORTED])) {
        forget_partial(link);
        give_back(link);
    } else if (link->partial.n + payload.n > SK_AMQP_MESSAGE_MAX) {
        amqp_drop_link(link, "amqp:link:message-size-exceeded", "a transfer is larger than 1 MB");
    } else if (amqp_raw_true(&field[MORE])) {
        keep_part(link, payload);
    } else {
        end_transfer(link, payload);
    }
}

uint32_t sk_amqp_link_format(const struct sk_amqp_link *link) {
    return link->in_format;
}

void sk_amqp_settle(struct sk_amqp_link *link, struct sk_amqp_delivery *delivery,
                    enum sk_amqp_outcome outcome, const struct sk_amqp_error *error) {
    static const enum sk_amqp_code states[] = {[SK_AMQP_ACCEPTED] = SK_AMQP_STATE_ACCEPTED,
                                               [SK_AMQP_REJECTED] = SK_AMQP_STATE_REJECTED,
                                               [SK_AMQP_RELEASED] = SK_AMQP_STATE_RELEASED,
                                               [SK_AMQP_MODIFIED] = SK_AMQP_STATE_MODIFIED,
                                               [SK_AMQP_NO_OUTCOME] = 0};
    uint32_t id = (uint32_t)(uintptr_t)delivery;
    if (link->detached || amqp_is_mute(link->session)) return;
    if (outcome == SK_AMQP_REJECTED)
        put_rejection(link->session, id, error);
    else
        add_ack(link->session, false, id, states[outcome]);
    give_back(link);
}

/* ---- transfers out ---- */

/* The place of the first entry that is not before `id`; numbers wrap around. */
static size_t find_unsettled(const struct sk_amqp_session *session, uint32_t id) {
    size_t low = 0, high = session->unsettled_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((int32_t)(session->unsettled[middle].id - id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void squeeze_unsettled(struct sk_amqp_session *session) {
    size_t kept = 0;
    for (size_t i = 0; i < session->unsettled_count; i++)
        if (session->unsettled[i].link) session->unsettled[kept++] = session->unsettled[i];
    SK_ASSERT(session->unsettled_count - kept == session->unsettled_over);
    session->unsettled_count = kept;
    session->unsettled_over = 0;
}

static void add_unsettled(struct sk_amqp_session *session, const struct sk_amqp_outgoing *o) {
    enum { FEW = 16 };
    if (session->unsettled_over == session->unsettled_count) {
        session->unsettled_count = session->unsettled_over = 0;
    } else if (session->unsettled_count == session->unsettled_capacity &&
               session->unsettled_over > session->unsettled_count / 2) {
        squeeze_unsettled(session);
    }
    if (session->unsettled_count == session->unsettled_capacity) {
        size_t more = session->unsettled_capacity ? 2 * session->unsettled_capacity : FEW;
        session->unsettled = sk_realloc(session->unsettled, more * sizeof *session->unsettled);
        session->unsettled_capacity = more;
    }
    SK_ASSERT(session->unsettled_count == 0 ||
              (int32_t)(o->id - session->unsettled[session->unsettled_count - 1].id) > 0);
    session->unsettled[session->unsettled_count++] =
        (struct sk_amqp_unsettled){.id = o->id, .link = o->on, .data = o->data};
    o->on->unsettled++;
}

/* Room in a frame for the fields of a transfer, at their largest. */
enum { TRANSFER_HEAD_MAX = 128 };

static void put_transfer(struct sk_amqp_session *session, const struct sk_amqp_outgoing *o,
                         struct sk_span part, bool more) {
    struct sk_amqp *a = session->amqp;
    struct sk_buffer *to = &a->out;
    struct sk_amqp_frame frame =
        amqp_begin_frame(a, session->channel, SK_AMQP_TRANSFER, TRANSFER_FIELDS);
    amqp_put_uint(to, o->on->handle);
    amqp_put_uint(to, o->id);
    amqp_put_binary(to, sk_span(o->tag, o->tag_size));
    amqp_put_uint(to, o->on->out_format);
    amqp_put_bool(to, o->settled);
    amqp_put_bool(to, more);
    amqp_put_null(to); /* rcv-settle-mode: the link's */
    amqp_put_null(to); /* state */
    amqp_put_bool(to, false);
    amqp_put_bool(to, false);
    amqp_put_bool(to, false);
    amqp_end_fields(a, frame);
    sk_buffer_append(to, part);
    amqp_close_frame(a, frame);
}

/* Sends what the window lets through; false: a rest is left. */
static bool push(struct sk_amqp_session *session, struct sk_amqp_outgoing *o,
                 struct sk_span payload) {
    size_t room = session->amqp->frame_max - TRANSFER_HEAD_MAX;
    while (!o->numbered || o->gone < payload.n) {
        if (session->peer_window == 0) return false;
        struct sk_span part = sk_span_first(sk_span_skip(payload, o->gone), room);
        if (!o->numbered) {
            o->numbered = true;
            o->id = session->next_delivery++;
            if (!o->settled) add_unsettled(session, o);
        }
        o->gone += part.n;
        put_transfer(session, o, part, o->gone < payload.n);
        session->next_out++;
        session->peer_window--;
    }
    return true;
}

void sk_amqp_send(struct sk_amqp_link *link, struct sk_span tag, struct sk_span payload,
                  bool settled, void *data) {
    struct sk_amqp_session *session = link->session;
    uint64_t number = ++session->amqp->next_tag;
    struct sk_amqp_outgoing o = {
        .on = link, .settled = settled || link->presettled, .data = settled ? NULL : data};
    if (link->detached || amqp_is_mute(session)) return;
    tag = tag.n ? sk_span_first(tag, sizeof o.tag) : sk_span(&number, sizeof number);
    memcpy(o.tag, tag.p, tag.n);
    o.tag_size = (unsigned char)tag.n;
    if (link->credit) link->credit--;
    link->count++;
    amqp_put_acks(session);
    if (sk_list_empty(&session->waiting) && push(session, &o, payload)) return;
    struct sk_amqp_outgoing *waiting = SK_NEW(struct sk_amqp_outgoing);
    *waiting = o;
    sk_buffer_append(&waiting->payload, sk_span_skip(payload, o.gone));
    waiting->gone = 0;
    sk_list_append(&session->waiting, &waiting->link);
    link->queued++;
}

static void free_outgoing(struct sk_amqp_outgoing *o) {
    SK_ASSERT(o->on->queued);
    o->on->queued--;
    sk_list_remove(&o->link);
    sk_buffer_free(&o->payload);
    free(o);
}

static void send_waiting(struct sk_amqp_session *session) {
    while (!sk_list_empty(&session->waiting)) {
        struct sk_amqp_outgoing *o =
            SK_LIST_FIRST(&session->waiting, struct sk_amqp_outgoing, link);
        if (!push(session, o, sk_buffer_span(&o->payload))) return;
        free_outgoing(o);
    }
}

bool sk_amqp_link_blocked(const struct sk_amqp_link *link) {
    const struct sk_amqp_session *session = link->session;
    return !sk_list_empty(&session->waiting) || session->amqp->out.n > SK_AMQP_OUT_MAX;
}

void amqp_forget_transfers(struct sk_amqp_link *link) {
    struct sk_amqp_session *session = link->session;
    forget_partial(link);
    for (size_t i = 0; link->unsettled && i < session->unsettled_count; i++) {
        if (session->unsettled[i].link != link) continue;
        session->unsettled[i].link = NULL;
        session->unsettled_over++;
        link->unsettled--;
    }
    if (link->queued == 0) return;
    SK_LIST_EACH(&session->waiting, node, following) {
        struct sk_amqp_outgoing *o = SK_CONTAINER(node, struct sk_amqp_outgoing, link);
        if (o->on == link) free_outgoing(o);
    }
}

/* ---- dispositions in ---- */

static enum sk_amqp_outcome outcome_of(uint64_t state) {
    switch (state) {
    case SK_AMQP_STATE_ACCEPTED: return SK_AMQP_ACCEPTED;
    case SK_AMQP_STATE_REJECTED: return SK_AMQP_REJECTED;
    case SK_AMQP_STATE_RELEASED: return SK_AMQP_RELEASED;
    case SK_AMQP_STATE_MODIFIED: return SK_AMQP_MODIFIED;
    default: return SK_AMQP_NO_OUTCOME;
    }
}

/* What a disposition says about a run of our transfers. */
struct verdict {
    uint32_t first, last;
    uint64_t state;
    bool settled;
    struct sk_amqp_error error;
};

static void tell_outcomes(struct sk_amqp_session *session, const struct verdict *v) {
    struct sk_amqp *a = session->amqp;
    size_t i = find_unsettled(session, v->first);
    while (i < session->unsettled_count &&
           session->unsettled[i].id - v->first <= v->last - v->first) {
        struct sk_amqp_unsettled *entry = &session->unsettled[i];
        struct sk_amqp_link *link = entry->link;
        uint32_t id = entry->id;
        i++;
        if (link == NULL) continue;
        SK_ASSERT(link->unsettled);
        entry->link = NULL;
        session->unsettled_over++;
        link->unsettled--;
        if (!v->settled) add_ack(session, true, id, (enum sk_amqp_code)v->state);
        a->events->on_outcome(a->arg, link, entry->data, outcome_of(v->state), &v->error);
        if (session->dead) return;
        /* The callback may have sent something, and the entries have moved. */
        if (i > session->unsettled_count || session->unsettled[i - 1].id != id)
            i = find_unsettled(session, id + 1);
    }
}

void amqp_on_disposition(struct sk_amqp_session *session, const struct sk_amqp_raw *list) {
    struct sk_amqp_raw field[5], error;
    uint64_t first, last;
    if (amqp_read_list(list, field, 5) || amqp_raw_is_null(&field[0]) ||
        !amqp_raw_number(&field[1], &first)) {
        amqp_fail(session->amqp, "amqp:decode-error", "the disposition cannot be read");
        return;
    }
    last = first;
    amqp_raw_number(&field[2], &last);
    if ((int32_t)((uint32_t)last - (uint32_t)first) < 0) {
        amqp_fail(session->amqp, "amqp:invalid-field", "a disposition ends before it begins");
        return;
    }
    struct verdict v = {.first = (uint32_t)first,
                        .last = (uint32_t)last,
                        .state = field[4].descriptor,
                        .settled = amqp_raw_true(&field[3])};
    if (!amqp_raw_true(&field[0])) return; /* about its own transfers: we keep nothing of these */
    if (!v.settled && outcome_of(v.state) == SK_AMQP_NO_OUTCOME) return; /* not yet a verdict */
    if (v.state == SK_AMQP_STATE_REJECTED && amqp_read_list(&field[4], &error, 1) == SK_OK)
        amqp_get_error(&error, NULL, &v.error);
    tell_outcomes(session, &v);
}

/* ---- flow in ---- */

static void link_flow(struct sk_amqp_session *session, struct sk_amqp_link *link,
                      const struct sk_amqp_raw *field) {
    enum { COUNT = 5, CREDIT, DRAIN = 8 };
    struct sk_amqp *a = session->amqp;
    uint64_t count = 0, credit = 0;
    bool counted = amqp_raw_number(&field[COUNT], &count);
    if (!link->sender) { /* drained: it has counted credit that it did not use */
        uint32_t skipped = (uint32_t)count - link->count;
        if (counted && skipped && skipped <= link->credit) {
            link->count += skipped;
            link->credit -= skipped;
        }
        return;
    }
    if (!amqp_raw_number(&field[CREDIT], &credit)) return;
    uint32_t left = (uint32_t)count + (uint32_t)credit - link->count;
    link->credit =
        (int32_t)left < 0 && credit <= INT32_MAX ? 0 : left; /* some may be on their way */
    link->drain = amqp_raw_true(&field[DRAIN]);
    if (!link->answered) return;
    if (link->credit) a->events->on_credit(a->arg, link);
    if (link->detached || !link->drain) return;
    link->count += link->credit;
    link->credit = 0;
    amqp_put_flow(session, link);
}

void amqp_on_flow(struct sk_amqp_session *session, const struct sk_amqp_raw *list) {
    enum { NEXT_IN, WINDOW, HANDLE_OF_LINK = 4, ECHO = 9, FIELDS };
    struct sk_amqp *a = session->amqp;
    struct sk_amqp_raw field[FIELDS];
    struct sk_amqp_link *link = NULL;
    uint64_t next_in = 0, window;
    if (amqp_read_list(list, field, FIELDS) || !amqp_raw_number(&field[WINDOW], &window)) {
        amqp_fail(a, "amqp:decode-error", "the flow cannot be read");
        return;
    }
    if (!amqp_raw_is_null(&field[HANDLE_OF_LINK])) {
        link = amqp_find_link(session, &field[HANDLE_OF_LINK]);
        if (link == NULL) {
            amqp_fail(a, "amqp:session:unattached-handle", "there is no link with this handle");
            return;
        }
    }
    amqp_raw_number(&field[NEXT_IN], &next_in); /* none: it has not seen our begin */
    uint32_t left = (uint32_t)next_in + (uint32_t)window - session->next_out;
    session->peer_window = (int32_t)left < 0 && window <= INT32_MAX ? 0 : left;
    send_waiting(session);
    if (link && !link->detached) link_flow(session, link, field);
    if (amqp_raw_true(&field[ECHO]) && !session->dead)
        amqp_put_flow(session, link && !link->detached && link->answered ? link : NULL);
}
