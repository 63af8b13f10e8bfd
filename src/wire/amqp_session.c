/* Sessions and links: begin, attach, detach, end (2.5, 2.6).
 *
 * As a server we answer on the channel and with the handle that the peer chose: both are in use
 * on our side exactly as long as on its own. What has ended is kept until nobody can be looking
 * at it any more (amqp_bury), so callbacks may end whatever they like. A link that we have
 * detached stays, without a user, until the peer has said the same: what it sent before it knew
 * is dropped. */
#include "wire/amqp_parts.h"

#define SELECTOR "apache.org:selector-filter:string"
#define SELECTOR_CODE 0x0000468C00000004u

enum { SOURCE_FIELDS = 11, TARGET_FIELDS = 7 };

/* ---- what has ended ---- */

static void free_link(struct sk_amqp_link *link) {
    sk_buffer_free(&link->partial);
    free(link->block);
    free(link);
}

static void free_session(struct sk_amqp_session *session) {
    sk_map_free(&session->handles);
    free(session->unsettled);
    free(session);
}

void amqp_bury(struct sk_amqp *a) {
    if (a->depth) return;
    while (!sk_list_empty(&a->dead_links)) {
        struct sk_amqp_link *link = SK_LIST_FIRST(&a->dead_links, struct sk_amqp_link, link);
        sk_list_remove(&link->link);
        free_link(link);
    }
    while (!sk_list_empty(&a->dead_sessions)) {
        struct sk_amqp_session *session =
            SK_LIST_FIRST(&a->dead_sessions, struct sk_amqp_session, all);
        sk_list_remove(&session->all);
        free_session(session);
    }
}

/* Nobody asks any more what its attach said. A client's own name is still needed to know the
 * answer. */
static void drop_block(struct sk_amqp_link *link) {
    if (!link->attached) return;
    free(link->block);
    link->block = NULL;
    link->name = link->address = link->other_address = SK_NONE;
    link->source = link->target = link->desired = link->properties = SK_NONE;
}

/* Takes it out of everything; it is freed later. */
static void end_link(struct sk_amqp_link *link) {
    struct sk_amqp_session *session = link->session;
    if (link->dead) return;
    amqp_forget_transfers(link);
    sk_list_remove(&link->due);
    sk_list_remove(&link->link);
    if (session->at == link) session->at = NULL;
    struct sk_span key = sk_span(&link->peer_handle, sizeof link->peer_handle);
    if (link->attached && sk_map_get(&session->handles, key) == link)
        sk_map_remove(&session->handles, key);
    link->dead = true;
    sk_list_append(&session->amqp->dead_links, &link->link);
}

static void end_session(struct sk_amqp_session *session) {
    struct sk_amqp *a = session->amqp;
    if (session->dead) return;
    if (a->at == session) a->at = NULL;
    struct sk_span key = sk_span(&session->peer_channel, sizeof session->peer_channel);
    if (session->begun && sk_map_get(&a->sessions, key) == session)
        sk_map_remove(&a->sessions, key);
    sk_list_remove(&session->acking);
    sk_list_remove(&session->all);
    session->dead = true;
    sk_list_append(&a->dead_sessions, &session->all);
}

/* The user's last word on a link: from here on it is nobody's. */
static void tell_gone(struct sk_amqp_link *link, const struct sk_amqp_error *error) {
    struct sk_amqp *a = link->session->amqp;
    if (link->detached) return;
    link->detached = true;
    amqp_forget_transfers(link);
    sk_list_remove(&link->due);
    a->events->on_detach(a->arg, link, error);
    drop_block(link);
}

static void links_gone(struct sk_amqp_session *session) {
    struct sk_amqp_error none = {0};
    while (!sk_list_empty(&session->links)) {
        struct sk_amqp_link *link = SK_LIST_FIRST(&session->links, struct sk_amqp_link, link);
        bool told = link->detached;
        link->detached = true; /* whatever its user does now, it is over */
        end_link(link);
        if (!told) session->amqp->events->on_detach(session->amqp->arg, link, &none);
    }
}

void amqp_all_gone(struct sk_amqp *a) {
    while (!sk_list_empty(&a->all_sessions)) {
        struct sk_amqp_session *session =
            SK_LIST_FIRST(&a->all_sessions, struct sk_amqp_session, all);
        links_gone(session);
        end_session(session);
    }
}

/* ---- sessions ---- */

/* A frame of a session: what waits to be settled goes first. */
static struct sk_amqp_frame begin_frame(struct sk_amqp_session *session, enum sk_amqp_code code,
                                        unsigned fields) {
    amqp_put_acks(session);
    return amqp_begin_frame(session->amqp, session->channel, code, fields);
}

static struct sk_amqp_session *new_session(struct sk_amqp *a) {
    struct sk_amqp_session *session = SK_NEW(struct sk_amqp_session);
    session->amqp = a;
    session->window = SK_AMQP_WINDOW;
    session->peer_handle_max = SK_AMQP_HANDLE_MAX;
    sk_list_init(&session->links);
    sk_list_init(&session->waiting);
    sk_list_append(&a->all_sessions, &session->all);
    return session;
}

static void put_begin(struct sk_amqp_session *session) {
    struct sk_buffer *to = &session->amqp->out;
    struct sk_amqp_frame frame = begin_frame(session, SK_AMQP_BEGIN, 8);
    if (session->begun)
        amqp_put_ushort(to, session->peer_channel);
    else
        amqp_put_null(to);
    amqp_put_uint(to, session->next_out);
    amqp_put_uint(to, session->window);
    amqp_put_uint(to, SK_AMQP_WINDOW);
    amqp_put_uint(to, SK_AMQP_HANDLE_MAX);
    for (int i = 0; i < 3; i++) amqp_put_null(to); /* capabilities, properties */
    amqp_end_frame(session->amqp, frame);
}

static void put_end(struct sk_amqp_session *session, const struct sk_amqp_error *error) {
    if (amqp_is_mute(session)) return;
    session->ended = true;
    struct sk_amqp_frame frame = begin_frame(session, SK_AMQP_END, 1);
    amqp_put_error(session->amqp, error);
    amqp_end_frame(session->amqp, frame);
}

/* Ours, which the peer answers. */
static struct sk_amqp_session *answered_session(struct sk_amqp *a, uint64_t channel) {
    SK_LIST_EACH(&a->all_sessions, node, following) {
        struct sk_amqp_session *session = SK_CONTAINER(node, struct sk_amqp_session, all);
        if (!session->begun && session->channel == channel) return session;
    }
    return NULL;
}

void amqp_on_begin(struct sk_amqp *a, uint16_t channel, const struct sk_amqp_raw *list) {
    struct sk_amqp_raw field[5];
    uint64_t remote, next_out, window, handle_max = UINT32_MAX;
    if (amqp_read_list(list, field, 5) || !amqp_raw_number(&field[1], &next_out) ||
        !amqp_raw_number(&field[2], &window)) {
        amqp_fail(a, "amqp:decode-error", "the begin cannot be read");
        return;
    }
    bool answer = amqp_raw_number(&field[0], &remote);
    struct sk_amqp_session *session = NULL;
    if (sk_map_get(&a->sessions, sk_span(&channel, sizeof channel))) {
        amqp_fail(a, "amqp:illegal-state", "a session has begun on this channel");
        return;
    }
    if (channel > a->channel_max) {
        amqp_fail(a, "amqp:not-allowed", "the channel is above your own channel-max");
        return;
    }
    if (a->stranger && a->sessions.count == SK_AMQP_STRANGER_SESSIONS_MAX) {
        amqp_fail(a, "amqp:resource-limit-exceeded", "too many sessions before any credential");
        return;
    }
    if (!a->server && answer) session = answered_session(a, remote);
    if (a->server && !answer) session = new_session(a);
    if (session == NULL) {
        amqp_fail(a, "amqp:not-allowed", "a begin that answers nothing, or asks a client");
        return;
    }
    if (a->server) session->channel = channel;
    session->peer_channel = channel;
    session->begun = true;
    amqp_raw_number(&field[4], &handle_max);
    if (handle_max < SK_AMQP_HANDLE_MAX) session->peer_handle_max = (uint32_t)handle_max;
    session->next_in = (uint32_t)next_out;
    session->peer_window = (uint32_t)window - session->next_out;
    sk_map_put(&a->sessions, sk_span(&session->peer_channel, sizeof session->peer_channel),
               session);
    if (a->server) put_begin(session);
}

static void remember_end(struct sk_amqp *a, uint16_t channel) {
    if (a->ended == NULL) a->ended = sk_alloc((SK_AMQP_CHANNEL_MAX + 1) / 8);
    a->ended[channel / 8] |= (unsigned char)(1u << channel % 8);
}

void amqp_on_end(struct sk_amqp_session *session) {
    links_gone(session);
    if (session->dead) return; /* its users have ended the connection */
    put_end(session, NULL);
    remember_end(session->amqp, session->peer_channel);
    end_session(session);
}

void sk_amqp_end_session(struct sk_amqp_link *link, const struct sk_amqp_error *error) {
    struct sk_amqp_session *session = link->session;
    struct sk_amqp *a = session->amqp;
    a->depth++;
    put_end(session, error); /* what the peer still says is dropped, until its own end */
    links_gone(session);
    a->depth--;
    amqp_bury(a);
}

void amqp_end_sessions(struct sk_amqp *a) {
    SK_LIST_EACH(&a->all_sessions, node, following) {
        put_end(SK_CONTAINER(node, struct sk_amqp_session, all), NULL);
    }
}

/* ---- attach ---- */

static struct sk_amqp_link *new_link(struct sk_amqp_session *session, bool sender) {
    struct sk_amqp_link *link = SK_NEW(struct sk_amqp_link);
    link->session = session;
    link->sender = sender;
    sk_list_append(&session->links, &link->link);
    return link;
}

struct sk_amqp_link *amqp_find_link(struct sk_amqp_session *session,
                                    const struct sk_amqp_raw *raw) {
    uint64_t number;
    if (!amqp_raw_number(raw, &number)) return NULL;
    uint32_t handle = (uint32_t)number;
    if (session->at && session->at->peer_handle == handle) return session->at;
    struct sk_amqp_link *link = sk_map_get(&session->handles, sk_span(&handle, sizeof handle));
    if (link) session->at = link;
    return link;
}

/* A piece of the block, which holds copies one behind the other. */
static struct sk_span move(char **to, struct sk_span from) {
    struct sk_span piece = {*to, from.n};
    if (from.n) memcpy(*to, from.p, from.n);
    *to += from.n;
    return piece;
}

static struct sk_span address_of(struct sk_span terminus) {
    struct sk_amqp_raw list, address;
    if (terminus.n == 0 || amqp_next(&terminus, &list) ||
        (list.descriptor != SK_AMQP_SOURCE && list.descriptor != SK_AMQP_TARGET) ||
        amqp_read_list(&list, &address, 1))
        return SK_NONE;
    return amqp_raw_text(&address);
}

enum {
    NAME,
    HANDLE,
    ROLE,
    SEND_MODE,
    RECEIVE_MODE,
    SOURCE,
    TARGET,
    COUNT = 9,
    DESIRED = 12,
    PROPERTIES,
    ATTACH_FIELDS
};

/* Keeps what the peer's attach says until it is answered. */
static void keep_attach(struct sk_amqp_link *link, const struct sk_amqp_raw *field) {
    struct sk_span name = amqp_raw_text(&field[NAME]);
    char *to = malloc(name.n + field[SOURCE].whole.n + field[TARGET].whole.n +
                      field[DESIRED].whole.n + field[PROPERTIES].whole.n + 1);
    uint64_t number;
    if (to == NULL) abort(); /* like sk_alloc */
    free(link->block);
    link->block = to;
    link->name = move(&to, name);
    link->source = move(&to, field[SOURCE].whole);
    link->target = move(&to, field[TARGET].whole);
    link->desired = move(&to, field[DESIRED].whole);
    link->properties = move(&to, field[PROPERTIES].whole);
    link->address = address_of(link->sender ? link->source : link->target);
    link->other_address = address_of(link->sender ? link->target : link->source);
    link->peer_send_mode = 2; /* mixed */
    if (amqp_raw_number(&field[SEND_MODE], &number)) link->peer_send_mode = (unsigned char)number;
    if (amqp_raw_number(&field[RECEIVE_MODE], &number))
        link->peer_receive_mode = (unsigned char)number;
    if (!link->sender && amqp_raw_number(&field[COUNT], &number)) link->count = (uint32_t)number;
}

/* What is not needed behind the answer goes: names and addresses stay. */
static void forget_attach(struct sk_amqp_link *link) {
    char *block = malloc(link->name.n + link->address.n + link->other_address.n + 1), *to = block;
    if (block == NULL) abort();
    link->name = move(&to, link->name);
    link->address = move(&to, link->address);
    link->other_address = move(&to, link->other_address);
    link->source = link->target = link->desired = link->properties = SK_NONE;
    free(link->block);
    link->block = block;
}

/* Client: the link of this name that the peer has not answered yet. */
static struct sk_amqp_link *answered_link(struct sk_amqp_session *session, struct sk_span name,
                                          bool sender) {
    SK_LIST_EACH(&session->links, node, following) {
        struct sk_amqp_link *link = SK_CONTAINER(node, struct sk_amqp_link, link);
        if (!link->attached && link->sender == sender && sk_span_eq(link->name, name)) return link;
    }
    return NULL;
}

void amqp_on_attach(struct sk_amqp_session *session, const struct sk_amqp_raw *list) {
    struct sk_amqp *a = session->amqp;
    struct sk_amqp_raw field[ATTACH_FIELDS];
    uint64_t handle;
    if (amqp_read_list(list, field, ATTACH_FIELDS) || !amqp_raw_number(&field[HANDLE], &handle) ||
        amqp_raw_is_null(&field[NAME]) || amqp_raw_is_null(&field[ROLE])) {
        amqp_fail(a, "amqp:decode-error", "the attach cannot be read");
        return;
    }
    if (handle > SK_AMQP_HANDLE_MAX || (a->server && handle > session->peer_handle_max)) {
        amqp_fail(a, "amqp:connection:framing-error", "the handle is above handle-max");
        return;
    }
    if (amqp_find_link(session, &field[HANDLE])) {
        amqp_fail(a, "amqp:session:handle-in-use", "the handle has a link");
        return;
    }
    bool sender = amqp_raw_true(&field[ROLE]); /* the peer receives: we send */
    struct sk_amqp_link *link = a->server
                                    ? new_link(session, sender)
                                    : answered_link(session, amqp_raw_text(&field[NAME]), sender);
    if (link == NULL) {
        amqp_fail(a, "amqp:not-allowed", "a client is no place to attach to");
        return;
    }
    link->peer_handle = (uint32_t)handle;
    if (a->server) link->handle = link->peer_handle;
    link->attached = true;
    keep_attach(link, field);
    sk_map_put(&session->handles, sk_span(&link->peer_handle, sizeof link->peer_handle), link);
    if (link->detached) return; /* its user has let go of it */
    a->events->on_attach(a->arg, link);
    if (!a->server && !link->dead) forget_attach(link);
}

/* A terminus as the peer said it, made complete. */
static void put_terminus(struct sk_buffer *to, struct sk_span terminus, uint64_t code,
                         unsigned fields) {
    struct sk_amqp_raw list, field[SOURCE_FIELDS];
    if (terminus.n == 0 || amqp_next(&terminus, &list) || list.descriptor != code ||
        amqp_read_list(&list, field, fields)) {
        amqp_put_null(to);
        return;
    }
    amqp_put_descriptor(to, code);
    size_t began = amqp_begin_list(to, fields);
    for (unsigned i = 0; i < fields; i++) {
        enum { DURABLE = 1, EXPIRY, TIMEOUT, DYNAMIC };
        if (!amqp_raw_is_null(&field[i]))
            sk_buffer_append(to, field[i].whole);
        else if (i == DURABLE || i == TIMEOUT)
            amqp_put_uint(to, 0);
        else if (i == EXPIRY)
            amqp_put_symbol(to, SK_SPAN("session-end"));
        else if (i == DYNAMIC)
            amqp_put_bool(to, false);
        else
            amqp_put_null(to);
    }
    amqp_end_list(to, began);
}

/* Up to the termini. */
static struct sk_amqp_frame begin_attach(struct sk_amqp_link *link, unsigned char send_mode,
                                         unsigned char receive_mode) {
    struct sk_buffer *to = &link->session->amqp->out;
    link->answered = true;
    struct sk_amqp_frame frame = begin_frame(link->session, SK_AMQP_ATTACH, ATTACH_FIELDS);
    amqp_put_string(to, link->name);
    amqp_put_uint(to, link->handle);
    amqp_put_bool(to, !link->sender);
    amqp_put_ubyte(to, send_mode);
    amqp_put_ubyte(to, receive_mode);
    return frame;
}

/* What is behind the termini. */
static void end_attach(struct sk_amqp *a, struct sk_amqp_frame frame,
                       const struct sk_amqp_link_options *options) {
    struct sk_buffer *to = &a->out;
    amqp_put_null(to); /* unsettled */
    amqp_put_bool(to, false);
    amqp_put_uint(to, 0); /* initial-delivery-count */
    amqp_put_ulong(to, SK_AMQP_MESSAGE_MAX);
    amqp_put_null(to); /* offered-capabilities */
    if (options->desires)
        amqp_put_symbols(to, &options->desires, 1);
    else
        amqp_put_null(to);
    if (options->property_count)
        amqp_encode_map(to, options->properties, options->property_count, true);
    else
        amqp_put_null(to);
    amqp_end_frame(a, frame);
}

/* Server: the answer; without termini it only precedes the detach that says why not (2.6.3). */
static void put_answer(struct sk_amqp_link *link, bool refused) {
    struct sk_buffer *to = &link->session->amqp->out;
    struct sk_amqp_frame frame = begin_attach(link, link->peer_send_mode, link->peer_receive_mode);
    put_terminus(to, refused ? SK_NONE : link->source, SK_AMQP_SOURCE, SOURCE_FIELDS);
    put_terminus(to, refused ? SK_NONE : link->target, SK_AMQP_TARGET, TARGET_FIELDS);
    end_attach(link->session->amqp, frame, &(struct sk_amqp_link_options){0});
}

void sk_amqp_attach(struct sk_amqp_link *link, int credit) {
    if (link->answered || link->detached || amqp_is_mute(link->session)) return;
    put_answer(link, false);
    if (link->dead) return; /* it did not fit into the peer's frames */
    forget_attach(link);
    if (link->sender) {
        if (link->credit) amqp_make_due(link);
        return;
    }
    link->window = link->credit = (uint32_t)credit;
    amqp_put_flow(link->session, link);
}

void amqp_make_due(struct sk_amqp_link *link) {
    if (sk_list_empty(&link->due)) sk_list_append(&link->session->amqp->due, &link->due);
}

/* ---- detach ---- */

static void put_detach(struct sk_amqp_link *link, const struct sk_amqp_error *error) {
    struct sk_amqp *a = link->session->amqp;
    if (amqp_is_mute(link->session)) return;
    if (a->server && !link->answered) put_answer(link, true);
    struct sk_amqp_frame frame = begin_frame(link->session, SK_AMQP_DETACH, 3);
    amqp_put_uint(&a->out, link->handle);
    amqp_put_bool(&a->out, true);
    amqp_put_error(a, error);
    amqp_end_frame(a, frame);
}

void sk_amqp_refuse(struct sk_amqp_link *link, const struct sk_amqp_error *error) {
    if (link->detached) return;
    link->detached = true;
    amqp_forget_transfers(link);
    sk_list_remove(&link->due);
    put_detach(link, error);
    drop_block(link);
}

void amqp_drop_link(struct sk_amqp_link *link, const char *condition, const char *text) {
    struct sk_amqp_error error = {.condition = sk_span_z(condition),
                                  .description = sk_span_z(text)};
    put_detach(link, &error);
    if (!link->dead) tell_gone(link, &error);
}

void amqp_on_detach(struct sk_amqp_session *session, const struct sk_amqp_raw *list) {
    struct sk_amqp *a = session->amqp;
    struct sk_amqp_raw field[3];
    struct sk_amqp_link *link;
    struct sk_amqp_error error;
    struct sk_arena arena = {0};
    if (amqp_read_list(list, field, 3)) {
        amqp_fail(a, "amqp:decode-error", "the detach cannot be read");
        return;
    }
    if ((link = amqp_find_link(session, &field[0])) == NULL) {
        amqp_fail(a, "amqp:session:unattached-handle", "there is no link with this handle");
        return;
    }
    if (!link->detached) {
        if (a->server && !link->answered) put_answer(link, true);
        amqp_get_error(&field[2], &arena, &error);
        tell_gone(link, &error);
        sk_arena_free(&arena);
        if (!link->dead) put_detach(link, NULL);
    }
    end_link(link);
}

/* ---- a client's own links ---- */

static struct sk_amqp_session *client_session(struct sk_amqp *a) {
    SK_LIST_EACH(&a->all_sessions, node, following) {
        struct sk_amqp_session *session = SK_CONTAINER(node, struct sk_amqp_session, all);
        if (!session->ended) return session;
    }
    struct sk_amqp_session *session = new_session(a);
    put_begin(session);
    return session;
}

/* Numbers go up; once they have been used up, the lowest one that is free is taken. */
static uint32_t free_handle(struct sk_amqp_session *session) {
    if (session->next_handle <= session->peer_handle_max) return session->next_handle++;
    for (uint32_t handle = 0;; handle++) {
        bool taken = false;
        SK_LIST_EACH(&session->links, node, following) {
            taken |= SK_CONTAINER(node, struct sk_amqp_link, link)->handle == handle;
        }
        if (!taken) return handle;
    }
}

static void put_own_terminus(struct sk_buffer *to, enum sk_amqp_code code, const char *address,
                             const char *selector) {
    bool source = code == SK_AMQP_SOURCE;
    amqp_put_descriptor(to, code);
    size_t list = amqp_begin_list(to, source ? SOURCE_FIELDS : TARGET_FIELDS);
    if (address)
        amqp_put_string(to, sk_span_z(address));
    else
        amqp_put_null(to);
    amqp_put_uint(to, 0);
    amqp_put_symbol(to, SK_SPAN("session-end"));
    amqp_put_uint(to, 0);
    amqp_put_bool(to, false);
    amqp_put_null(to); /* dynamic-node-properties */
    amqp_put_null(to); /* distribution-mode; capabilities of a target */
    for (int i = 7; source && i < SOURCE_FIELDS; i++) {
        enum { FILTER = 7 };
        if (i != FILTER || selector == NULL) {
            amqp_put_null(to);
            continue;
        }
        struct sk_buffer described = {0};
        amqp_put_descriptor(&described, SELECTOR_CODE);
        amqp_put_string(&described, sk_span_z(selector));
        struct sk_amqp_field filter = {SK_SPAN(SELECTOR),
                                       {SK_AMQP_ENCODED, .text = sk_buffer_span(&described)}};
        amqp_encode_map(to, &filter, 1, true);
        sk_buffer_free(&described);
    }
    amqp_end_list(to, list);
}

struct sk_amqp_link *sk_amqp_open_link(struct sk_amqp *a,
                                       const struct sk_amqp_link_options *options) {
    struct sk_amqp_session *session = client_session(a);
    struct sk_amqp_link *link = new_link(session, options->sender);
    struct sk_buffer *to = &a->out;
    const char *local = options->local_address;
    link->handle = free_handle(session);
    link->out_format = options->format;
    link->presettled = options->sender && options->settled;
    link->block = sk_span_dup(sk_span_z(options->name));
    link->name = sk_span_z(link->block);
    struct sk_amqp_frame frame = begin_attach(link, link->presettled ? 1 : 2, 0);
    put_own_terminus(to, SK_AMQP_SOURCE, options->sender ? local : options->address,
                     options->sender ? NULL : options->selector);
    put_own_terminus(to, SK_AMQP_TARGET, options->sender ? options->address : local, NULL);
    end_attach(a, frame, options);
    if (!options->sender && options->credit > 0) {
        link->window = link->credit = (uint32_t)options->credit;
        amqp_put_flow(session, link);
    }
    return link;
}

/* ---- looking at a link ---- */

bool sk_amqp_link_is_sender(const struct sk_amqp_link *link) {
    return link->sender;
}

struct sk_span sk_amqp_link_address(const struct sk_amqp_link *link) {
    return link->attached ? link->address : SK_NONE;
}

struct sk_span sk_amqp_link_other_address(const struct sk_amqp_link *link) {
    return link->attached ? link->other_address : SK_NONE;
}

struct sk_span sk_amqp_link_name(const struct sk_amqp_link *link) {
    return link->name;
}

/* A member of a map in its bytes; false: it has none of that name. */
static bool find_member(struct sk_span bytes, const char *name, struct sk_amqp_raw *value) {
    struct sk_amqp_raw map, key;
    if (bytes.n == 0 || amqp_next(&bytes, &map) || (map.code != 0xc1 && map.code != 0xd1))
        return false;
    struct sk_span rest = map.body;
    for (uint32_t i = 0; i + 1 < map.count; i += 2) {
        if (amqp_next(&rest, &key) || amqp_next(&rest, value)) return false;
        if (sk_span_is(amqp_raw_text(&key), name)) return true;
    }
    return false;
}

struct sk_amqp_value sk_amqp_link_property(const struct sk_amqp_link *link, const char *name) {
    enum { NO_MAPS = 4 }; /* as deep as values go */
    struct sk_amqp_value value = {0};
    struct sk_amqp_raw raw;
    if (!find_member(link->properties, name, &raw)) return value;
    return amqp_read_value(&raw, NULL, NO_MAPS, &value) ? (struct sk_amqp_value){0} : value;
}

bool sk_amqp_link_desires(const struct sk_amqp_link *link, const char *capability) {
    struct sk_span bytes = link->desired;
    struct sk_amqp_raw raw;
    return bytes.n && amqp_next(&bytes, &raw) == SK_OK && amqp_raw_names(&raw, capability);
}

struct sk_span sk_amqp_link_selector(const struct sk_amqp_link *link) {
    enum { FILTER = 7 };
    struct sk_span source = link->source;
    struct sk_amqp_raw list, field[FILTER + 1], value;
    if (source.n == 0 || amqp_next(&source, &list) || amqp_read_list(&list, field, FILTER + 1) ||
        amqp_raw_is_null(&field[FILTER]) || !find_member(field[FILTER].whole, SELECTOR, &value))
        return SK_NONE;
    return amqp_raw_text(&value);
}

bool sk_amqp_link_unsettled(const struct sk_amqp_link *link) {
    return link->peer_send_mode == 0;
}

bool sk_amqp_link_presettled(const struct sk_amqp_link *link) {
    return link->peer_send_mode == 1;
}

void sk_amqp_link_set_data(struct sk_amqp_link *link, void *data) {
    link->data = data;
}

void *sk_amqp_link_data(const struct sk_amqp_link *link) {
    return link->data;
}
