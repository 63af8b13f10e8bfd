#include "wire/amqp.h"

#include <proton/connection.h>
#include <proton/connection_driver.h>
#include <proton/delivery.h>
#include <proton/link.h>
#include <proton/sasl.h>
#include <proton/sasl_plugin.h>
#include <proton/session.h>
#include <proton/terminus.h>
#include <proton/transport.h>

#include "wire/amqp_parts.h"

#define SELECTOR "apache.org:selector-filter:string"
#define CHANNEL_MAX 8191
#define SELECTOR_CODE 0x0000468C00000004u

enum { SESSION_WINDOW = 512 }; /* transfers that a peer may send ahead of us */

struct sk_amqp {
    pn_connection_driver_t driver;
    const struct sk_amqp_events *events;
    void *arg;
    bool server, opened, closed;
    bool sasl_asked, sasl_failed;    /* on_sasl is due; no outcome can help any more */
    const char *sasl_init_mechanism; /* proton's copy of what the client named */
    struct sk_buffer sasl_mechanism, sasl_response;
    struct sk_buffer payload; /* of the transfer at hand */
    struct sk_amqp_sieve sieve;
    size_t held;             /* bytes of transfers that are not complete */
    unsigned sessions;       /* that the peer has begun */
    struct sk_arena scratch; /* what an attach carries */
    struct sk_list links;
    struct sk_list due; /* links whose credit came before our answer to their attach */
    uint64_t next_tag;
};

struct sk_amqp_link {
    struct sk_list link, due;
    struct sk_amqp *amqp;
    pn_link_t *pn;
    void *data;
    size_t held;
    bool answered; /* opened on our side */
    bool topped_up;
};

/* ---- SASL, server side: proton asks, we pass it on and answer later ---- */

static const char *sasl_mechanisms(pn_transport_t *transport) {
    (void)transport;
    return "EXTERNAL MSSBCBS ANONYMOUS PLAIN"; /* in the order of the real service */
}

static bool sasl_init_server(pn_transport_t *transport) {
    pnx_sasl_set_desired_state(transport, SASL_POSTED_MECHANISMS);
    return true;
}

static bool sasl_init_client(pn_transport_t *transport) {
    (void)transport;
    return false;
}

static void sasl_refuse_bytes(pn_transport_t *transport, const pn_bytes_t *bytes) {
    (void)bytes;
    struct sk_amqp *a = pnx_sasl_get_context(transport);
    a->sasl_failed = true;
    pnx_sasl_set_failed(transport);
    pnx_sasl_set_desired_state(transport, SASL_POSTED_OUTCOME);
}

static void sasl_init(pn_transport_t *transport, const char *mechanism, const pn_bytes_t *bytes) {
    struct sk_amqp *a = pnx_sasl_get_context(transport);
    bool again = a->sasl_init_mechanism != NULL;
    free((char *)a->sasl_init_mechanism); /* proton 0.37 overwrites its copy and would leak it */
    a->sasl_init_mechanism = mechanism;
    if (again) {
        sasl_refuse_bytes(transport, bytes);
        return;
    }
    a->sasl_asked = true;
    sk_buffer_text(&a->sasl_mechanism, mechanism);
    sk_buffer_append(&a->sasl_response, sk_span(bytes->start, bytes->size));
}

static bool sasl_no_mechanism(pn_transport_t *transport, const char *mechanisms) {
    (void)transport;
    (void)mechanisms;
    return false;
}

static void sasl_nothing(pn_transport_t *transport) {
    (void)transport;
}

static bool sasl_cannot_encrypt(pn_transport_t *transport) {
    (void)transport;
    return false;
}

static const pnx_sasl_implementation sasl_server = {.free = sasl_nothing,
                                                    .list_mechanisms = sasl_mechanisms,
                                                    .init_server = sasl_init_server,
                                                    .init_client = sasl_init_client,
                                                    .prepare_write = sasl_nothing,
                                                    .process_init = sasl_init,
                                                    .process_response = sasl_refuse_bytes,
                                                    .process_mechanisms = sasl_no_mechanism,
                                                    .process_challenge = sasl_refuse_bytes,
                                                    .process_outcome = sasl_refuse_bytes,
                                                    .can_encrypt = sasl_cannot_encrypt};

void sk_amqp_sasl_done(struct sk_amqp *a, enum sk_amqp_sasl outcome) {
    pn_transport_t *transport = a->driver.transport;
    if (a->sasl_failed) return;
    if (outcome == SK_AMQP_SASL_OK)
        pnx_sasl_set_succeeded(transport, "client", "");
    else
        pnx_sasl_set_failed(transport);
    pnx_sasl_set_desired_state(transport, SASL_POSTED_OUTCOME);
}

/* ---- errors ---- */

static void put_map(pn_data_t *data, const struct sk_amqp_field *fields, size_t count) {
    struct sk_buffer bytes = {0};
    sk_amqp_encode_map(&bytes, fields, count, true);
    pn_data_decode(data, bytes.p, bytes.n);
    sk_buffer_free(&bytes);
}

static struct sk_amqp_error read_error(pn_condition_t *condition) {
    if (condition == NULL || !pn_condition_is_set(condition)) return (struct sk_amqp_error){0};
    return (struct sk_amqp_error){.condition = sk_span_z(pn_condition_get_name(condition)),
                                  .description =
                                      sk_span_z(pn_condition_get_description(condition))};
}

/* What else a detach says: where to go instead. */
static void read_info(struct sk_amqp *a, pn_condition_t *condition, struct sk_amqp_error *error) {
    pn_data_t *info = pn_condition_info(condition);
    sk_arena_reset(&a->scratch);
    pn_data_rewind(info);
    if (pn_data_next(info))
        sk_amqp_read_map(info, &a->scratch, 1, &error->info, &error->info_count);
}

static void write_error(pn_condition_t *condition, const struct sk_amqp_error *error) {
    if (error == NULL || error->condition.n == 0) return;
    SK_CLEANUP_FREE char *name = sk_span_dup(error->condition);
    SK_CLEANUP_FREE char *text = sk_span_dup(error->description);
    pn_condition_set_name(condition, name);
    pn_condition_set_description(condition, text);
    if (error->info_count) put_map(pn_condition_info(condition), error->info, error->info_count);
}

/* ---- the connection's life ---- */

struct sk_amqp *sk_amqp_new(const struct sk_amqp_options *options,
                            const struct sk_amqp_events *events, void *arg) {
    struct sk_amqp *a = SK_NEW(struct sk_amqp);
    a->events = events;
    a->arg = arg;
    a->server = options->server;
    sk_list_init(&a->links);
    sk_list_init(&a->due);
    if (pn_connection_driver_init(&a->driver, NULL, NULL)) abort(); /* out of memory */
    pn_transport_t *transport = a->driver.transport;
    pn_connection_t *connection = a->driver.connection;
    pn_transport_set_max_frame(transport, SK_AMQP_FRAME_MAX);
    pn_transport_set_channel_max(transport, CHANNEL_MAX);
    /* proton tells the peer half of what it waits itself */
    pn_transport_set_idle_timeout(transport, 2 * options->idle_timeout_ms);
    pn_connection_set_container(connection, options->container);
    if (a->server) {
        pn_transport_set_server(transport);
        pn_transport_require_auth(transport, false);
        pn_sasl_set_allow_insecure_mechs(pn_sasl(transport), true); /* TLS is outside */
        pnx_sasl_set_implementation(transport, &sasl_server, a);
    } else {
        if (options->host_name) pn_connection_set_hostname(connection, options->host_name);
        if (options->user) {
            pn_connection_set_user(connection, options->user);
            pn_connection_set_password(connection, options->password);
            pn_sasl_set_allow_insecure_mechs(pn_sasl(transport), true);
            pn_sasl_allowed_mechs(pn_sasl(transport), "PLAIN");
        } else if (options->sasl_anonymous) {
            pn_sasl_allowed_mechs(pn_sasl(transport), "ANONYMOUS");
        }
        pn_connection_open(connection);
    }
    return a;
}

static void hold(struct sk_amqp_link *link, size_t n) {
    link->amqp->held += n - link->held;
    link->held = n;
}

/* The user's last word on a link. */
static void gone(struct sk_amqp_link *link, const struct sk_amqp_error *error) {
    struct sk_amqp *a = link->amqp;
    sk_list_remove(&link->link);
    sk_list_remove(&link->due);
    hold(link, 0);
    pn_link_set_context(link->pn, NULL);
    a->events->on_detach(a->arg, link, error);
    free(link);
}

static void all_gone(struct sk_amqp *a, pn_session_t *session) {
    struct sk_amqp_error none = {0};
    for (struct sk_list *node = a->links.next; node != &a->links;) {
        struct sk_amqp_link *link = SK_CONTAINER(node, struct sk_amqp_link, link);
        node = node->next;
        if (session && pn_link_session(link->pn) != session) continue;
        gone(link, &none);
        node = a->links.next; /* its user may have ended others */
    }
}

void sk_amqp_free(struct sk_amqp *a) {
    all_gone(a, NULL);
    pn_connection_driver_destroy(&a->driver);
    sk_buffer_free(&a->sasl_mechanism);
    sk_buffer_free(&a->sasl_response);
    sk_buffer_free(&a->payload);
    sk_arena_free(&a->scratch);
    free(a->sieve.ended);
    free(a);
}

static void over(struct sk_amqp *a, pn_condition_t *condition) {
    if (a->closed) return;
    a->closed = true;
    struct sk_amqp_error error = read_error(condition);
    a->events->on_close(a->arg, &error);
    all_gone(a, NULL);
}

void sk_amqp_close(struct sk_amqp *a, const struct sk_amqp_error *error) {
    pn_connection_t *connection = a->driver.connection;
    if (pn_connection_state(connection) & PN_LOCAL_UNINIT) pn_connection_open(connection);
    write_error(pn_connection_condition(connection), error);
    /* Sessions first: Node's SDK waits 45 s for its links' detaches when a connection closes over
     * a session that has not ended. */
    for (pn_session_t *session = pn_session_head(connection, PN_LOCAL_ACTIVE); session;
         session = pn_session_next(session, PN_LOCAL_ACTIVE))
        pn_session_close(session);
    pn_connection_close(connection);
}

/* ---- what proton tells ---- */

static struct sk_amqp_link *new_link(struct sk_amqp *a, pn_link_t *pn) {
    struct sk_amqp_link *link = SK_NEW(struct sk_amqp_link);
    link->amqp = a;
    link->pn = pn;
    pn_link_set_context(pn, link);
    sk_list_append(&a->links, &link->link);
    return link;
}

static void on_link_open(struct sk_amqp *a, pn_link_t *pn) {
    struct sk_amqp_link *link = pn_link_get_context(pn);
    sk_arena_reset(&a->scratch);
    if (link == NULL) link = new_link(a, pn);
    a->events->on_attach(a->arg, link);
}

static void on_link_closed(pn_link_t *pn) {
    struct sk_amqp_link *link = pn_link_get_context(pn);
    if (link) {
        struct sk_amqp_error error = read_error(pn_link_remote_condition(pn));
        if (error.condition.n) read_info(link->amqp, pn_link_remote_condition(pn), &error);
        if (!link->answered) pn_link_open(pn);
        gone(link, &error);
        pn_link_close(pn);
    }
    pn_link_free(pn);
}

static void transfer_refused(struct sk_amqp_link *link, const char *condition, const char *text) {
    struct sk_amqp_error error = {.condition = sk_span_z(condition),
                                  .description = sk_span_z(text)};
    struct sk_amqp *a = link->amqp;
    pn_link_t *pn = link->pn;
    write_error(pn_link_condition(pn), &error);
    pn_link_close(pn);
    sk_list_remove(&link->link);
    sk_list_remove(&link->due);
    hold(link, 0);
    pn_link_set_context(pn, NULL);
    a->events->on_detach(a->arg, link, &error);
    free(link);
}

static void on_transfer(struct sk_amqp_link *link, pn_delivery_t *delivery) {
    struct sk_amqp *a = link->amqp;
    if (!pn_delivery_readable(delivery) && !pn_delivery_aborted(delivery)) return;
    size_t n = pn_delivery_pending(delivery);
    hold(link, pn_delivery_partial(delivery) && !pn_delivery_aborted(delivery) ? n : 0);
    if (pn_delivery_aborted(delivery)) {
        pn_delivery_settle(delivery);
        if (link->topped_up) pn_link_flow(link->pn, 1);
        return;
    }
    if (n > SK_AMQP_MESSAGE_MAX) {
        transfer_refused(link, "amqp:link:message-size-exceeded", "a transfer is larger than 1 MB");
        return;
    }
    if (pn_link_credit(link->pn) <= 0) { /* this one is not yet taken off it */
        transfer_refused(link, "amqp:link:transfer-limit-exceeded", "there was no credit left");
        return;
    }
    if (a->held > SK_AMQP_HELD_MAX) {
        transfer_refused(link, "amqp:resource-limit-exceeded",
                         "too many bytes of unfinished transfers on this connection");
        return;
    }
    if (pn_delivery_partial(delivery)) return;
    a->payload.n = 0;
    char *to = sk_buffer_reserve(&a->payload, n ? n : 1);
    ssize_t got = n ? pn_link_recv(link->pn, to, n) : 0;
    a->payload.n = got > 0 ? (size_t)got : 0;
    bool settled = pn_delivery_settled(delivery);
    pn_link_advance(link->pn);
    if (settled) {
        pn_delivery_settle(delivery);
        if (link->topped_up) pn_link_flow(link->pn, 1);
    }
    a->events->on_transfer(a->arg, link,
                           settled ? NULL : (struct sk_amqp_delivery *)(void *)delivery,
                           sk_buffer_span(&a->payload));
    enum { KEPT = 64 * 1024 };
    sk_buffer_shrink(&a->payload, KEPT);
}

static void on_update(struct sk_amqp_link *link, pn_delivery_t *delivery) {
    if (!pn_delivery_updated(delivery)) return;
    enum sk_amqp_outcome outcome = SK_AMQP_NO_OUTCOME;
    switch (pn_delivery_remote_state(delivery)) {
    case PN_ACCEPTED: outcome = SK_AMQP_ACCEPTED; break;
    case PN_REJECTED: outcome = SK_AMQP_REJECTED; break;
    case PN_RELEASED: outcome = SK_AMQP_RELEASED; break;
    case PN_MODIFIED: outcome = SK_AMQP_MODIFIED; break;
    default:
        if (!pn_delivery_settled(delivery)) { /* received so far: not yet a verdict */
            pn_delivery_clear(delivery);
            return;
        }
    }
    struct sk_amqp_error error = read_error(pn_disposition_condition(pn_delivery_remote(delivery)));
    void *data = pn_delivery_get_context(delivery);
    struct sk_amqp *a = link->amqp;
    SK_CLEANUP_FREE char *condition = sk_span_dup(error.condition);
    SK_CLEANUP_FREE char *text = sk_span_dup(error.description);
    error =
        (struct sk_amqp_error){.condition = sk_span_z(condition), .description = sk_span_z(text)};
    if (!pn_delivery_settled(delivery) && pn_delivery_remote_state(delivery))
        pn_delivery_update(delivery, pn_delivery_remote_state(delivery));
    pn_delivery_settle(delivery);
    a->events->on_outcome(a->arg, link, data, outcome, &error);
}

static void on_delivery(pn_delivery_t *delivery) {
    pn_link_t *pn = pn_delivery_link(delivery);
    struct sk_amqp_link *link = pn_link_get_context(pn);
    if (link == NULL) return;
    if (pn_link_is_receiver(pn))
        on_transfer(link, delivery);
    else
        on_update(link, delivery);
}

static void on_flow(pn_link_t *pn) {
    struct sk_amqp_link *link = pn_link_get_context(pn);
    if (link == NULL || !link->answered || !pn_link_is_sender(pn)) return;
    struct sk_amqp *a = link->amqp;
    if (pn_link_credit(pn) > 0) a->events->on_credit(a->arg, link);
    if (pn_link_get_context(pn) && pn_link_get_drain(pn)) pn_link_drained(pn);
}

/* What proton would bear with. */
static void out_of_order(struct sk_amqp *a, const char *text) {
    if (a->closed) return;
    sk_amqp_close(a, &(struct sk_amqp_error){.condition = SK_SPAN("amqp:illegal-state"),
                                             .description = sk_span_z(text)});
    over(a, pn_connection_condition(a->driver.connection));
}

static void on_session_open(struct sk_amqp *a, pn_session_t *session) {
    if (!a->opened) {
        out_of_order(a, "a session begins before the connection is open");
    } else if (++a->sessions > CHANNEL_MAX + 1) { /* channels are begun twice, or more often */
        out_of_order(a, "more sessions than channels");
    } else if (pn_session_state(session) & PN_LOCAL_UNINIT) {
        pn_session_set_incoming_capacity(session, SESSION_WINDOW * SK_AMQP_FRAME_MAX);
        pn_session_open(session);
    }
}

static void handle(struct sk_amqp *a, pn_event_t *event) {
    pn_connection_t *connection = a->driver.connection;
    pn_session_t *session = pn_event_session(event);
    switch (pn_event_type(event)) {
    case PN_CONNECTION_REMOTE_OPEN:
        if (a->opened) {
            out_of_order(a, "the connection is open already");
            break;
        }
        a->opened = true;
        if (pn_connection_state(connection) & PN_LOCAL_UNINIT) pn_connection_open(connection);
        a->events->on_open(a->arg, sk_span_z(pn_connection_remote_hostname(connection)));
        break;
    case PN_SESSION_REMOTE_OPEN: on_session_open(a, session); break;
    case PN_SESSION_REMOTE_CLOSE:
        a->sessions--;
        all_gone(a, session);
        pn_session_close(session);
        pn_session_free(session);
        break;
    case PN_LINK_REMOTE_OPEN: on_link_open(a, pn_event_link(event)); break;
    case PN_LINK_REMOTE_CLOSE:
    case PN_LINK_REMOTE_DETACH: on_link_closed(pn_event_link(event)); break;
    case PN_LINK_FLOW: on_flow(pn_event_link(event)); break;
    case PN_DELIVERY: on_delivery(pn_event_delivery(event)); break;
    case PN_CONNECTION_REMOTE_CLOSE:
        pn_connection_close(connection);
        over(a, pn_connection_remote_condition(connection));
        break;
    case PN_TRANSPORT_CLOSED:
    case PN_TRANSPORT_TAIL_CLOSED: over(a, pn_transport_condition(a->driver.transport)); break;
    default: break;
    }
}

static void dispatch(struct sk_amqp *a) {
    for (pn_event_t *event; (event = pn_connection_driver_next_event(&a->driver)) != NULL;)
        handle(a, event);
    while (!sk_list_empty(&a->due)) {
        struct sk_amqp_link *link = SK_CONTAINER(a->due.next, struct sk_amqp_link, due);
        sk_list_remove(&link->due);
        if (pn_link_credit(link->pn) > 0) a->events->on_credit(a->arg, link);
    }
    if (!a->sasl_asked) return;
    a->sasl_asked = false;
    a->events->on_sasl(a->arg, sk_buffer_span(&a->sasl_mechanism),
                       sk_buffer_span(&a->sasl_response));
    sk_buffer_shrink(&a->sasl_mechanism, 0);
    sk_buffer_shrink(&a->sasl_response, 0);
}

static void feed_engine(struct sk_amqp *a, struct sk_span bytes) {
    while (bytes.n) {
        pn_rwbytes_t room = pn_connection_driver_read_buffer(&a->driver);
        if (room.size == 0) break; /* closed for input */
        struct sk_span part = sk_span_first(bytes, room.size);
        memcpy(room.start, part.p, part.n);
        pn_connection_driver_read_done(&a->driver, part.n);
        bytes = sk_span_skip(bytes, part.n);
        dispatch(a);
    }
}

void sk_amqp_feed(struct sk_amqp *a, struct sk_span bytes) {
    struct sk_span run;
    dispatch(a);
    while ((run = sk_amqp_sieve_next(&a->sieve, &bytes)).n) feed_engine(a, run);
}

void sk_amqp_feed_end(struct sk_amqp *a) {
    pn_connection_driver_read_close(&a->driver);
    dispatch(a);
}

void sk_amqp_flush(struct sk_amqp *a, void (*write)(void *arg, struct sk_span bytes), void *arg) {
    for (;;) {
        dispatch(a);
        pn_bytes_t bytes = pn_connection_driver_write_buffer(&a->driver);
        if (bytes.size == 0) return;
        write(arg, sk_span(bytes.start, bytes.size));
        pn_connection_driver_write_done(&a->driver, bytes.size);
    }
}

uint64_t sk_amqp_tick(struct sk_amqp *a, uint64_t now_ms) {
    int64_t next = pn_transport_tick(a->driver.transport, (int64_t)now_ms);
    dispatch(a);
    return next > 0 ? (uint64_t)next : 0;
}

/* ---- links ---- */

void sk_amqp_attach(struct sk_amqp_link *link, int credit) {
    pn_link_t *pn = link->pn;
    pn_terminus_copy(pn_link_source(pn), pn_link_remote_source(pn));
    pn_terminus_copy(pn_link_target(pn), pn_link_remote_target(pn));
    pn_link_set_snd_settle_mode(pn, pn_link_remote_snd_settle_mode(pn));
    pn_link_set_rcv_settle_mode(pn, pn_link_remote_rcv_settle_mode(pn));
    pn_link_set_max_message_size(pn, SK_AMQP_MESSAGE_MAX);
    pn_link_open(pn);
    link->answered = true;
    if (pn_link_is_sender(pn)) {
        if (pn_link_credit(pn) > 0) sk_list_append(&link->amqp->due, &link->due);
        return;
    }
    link->topped_up = true;
    pn_link_flow(pn, credit);
}

void sk_amqp_refuse(struct sk_amqp_link *link, const struct sk_amqp_error *error) {
    pn_link_t *pn = link->pn;
    if (!link->answered) pn_link_open(pn);
    write_error(pn_link_condition(pn), error);
    pn_link_close(pn);
    pn_link_set_context(pn, NULL);
    sk_list_remove(&link->link);
    sk_list_remove(&link->due);
    hold(link, 0);
    free(link);
}

void sk_amqp_end_session(struct sk_amqp_link *link, const struct sk_amqp_error *error) {
    struct sk_amqp *a = link->amqp;
    pn_session_t *session = pn_link_session(link->pn);
    write_error(pn_session_condition(session), error);
    pn_session_close(session);
    all_gone(a, session);
}

static pn_session_t *client_session(struct sk_amqp *a) {
    pn_session_t *session = pn_session_head(a->driver.connection, 0);
    if (session) return session;
    session = pn_session(a->driver.connection);
    pn_session_set_incoming_capacity(session, SESSION_WINDOW * SK_AMQP_FRAME_MAX);
    pn_session_open(session);
    return session;
}

struct sk_amqp_link *sk_amqp_open_link(struct sk_amqp *a,
                                       const struct sk_amqp_link_options *options) {
    pn_session_t *session = client_session(a);
    pn_link_t *pn =
        options->sender ? pn_sender(session, options->name) : pn_receiver(session, options->name);
    struct sk_amqp_link *link = new_link(a, pn);
    link->answered = true;
    pn_terminus_t *far = options->sender ? pn_link_target(pn) : pn_link_source(pn);
    pn_terminus_t *near = options->sender ? pn_link_source(pn) : pn_link_target(pn);
    pn_terminus_set_address(far, options->address);
    if (options->local_address) pn_terminus_set_address(near, options->local_address);
    if (options->sender && options->settled) pn_link_set_snd_settle_mode(pn, PN_SND_SETTLED);
    if (options->property_count)
        put_map(pn_link_properties(pn), options->properties, options->property_count);
    if (options->selector) {
        pn_data_t *filter = pn_terminus_filter(far);
        pn_data_put_map(filter);
        pn_data_enter(filter);
        pn_data_put_symbol(filter, sk_amqp_bytes(SK_SPAN(SELECTOR)));
        pn_data_put_described(filter);
        pn_data_enter(filter);
        pn_data_put_ulong(filter, SELECTOR_CODE);
        pn_data_put_string(filter, sk_amqp_bytes(sk_span_z(options->selector)));
        pn_data_exit(filter);
        pn_data_exit(filter);
    }
    pn_link_open(pn);
    if (!options->sender && options->credit > 0) {
        link->topped_up = true;
        pn_link_flow(pn, options->credit);
    }
    return link;
}

void sk_amqp_grant(struct sk_amqp_link *link, int credit) {
    pn_link_flow(link->pn, credit);
}

bool sk_amqp_link_is_sender(const struct sk_amqp_link *link) {
    return pn_link_is_sender(link->pn);
}

static struct sk_span address(const struct sk_amqp_link *link, bool near) {
    bool source = pn_link_is_sender(link->pn) != near;
    pn_terminus_t *terminus =
        source ? pn_link_remote_source(link->pn) : pn_link_remote_target(link->pn);
    return sk_span_z(pn_terminus_get_address(terminus));
}

struct sk_span sk_amqp_link_address(const struct sk_amqp_link *link) {
    return address(link, false);
}

struct sk_span sk_amqp_link_other_address(const struct sk_amqp_link *link) {
    return address(link, true);
}

struct sk_span sk_amqp_link_name(const struct sk_amqp_link *link) {
    return sk_span_z(pn_link_name(link->pn));
}

/* A member of a map that came with an attach. */
static struct sk_amqp_value member(const struct sk_amqp_link *link, pn_data_t *data,
                                   const char *name) {
    const struct sk_amqp_field *fields;
    size_t count;
    if (data == NULL) return (struct sk_amqp_value){0}; /* the attach had no such field */
    pn_data_rewind(data);
    if (!pn_data_next(data) || sk_amqp_read_map(data, &link->amqp->scratch, 1, &fields, &count))
        return (struct sk_amqp_value){0};
    const struct sk_amqp_value *value = sk_amqp_find(fields, count, name);
    return value ? *value : (struct sk_amqp_value){0};
}

struct sk_amqp_value sk_amqp_link_property(const struct sk_amqp_link *link, const char *name) {
    return member(link, pn_link_remote_properties(link->pn), name);
}

struct sk_span sk_amqp_link_selector(const struct sk_amqp_link *link) {
    struct sk_amqp_value value =
        member(link, pn_terminus_filter(pn_link_remote_source(link->pn)), SELECTOR);
    return value.type == SK_AMQP_STRING ? value.text : SK_NONE;
}

bool sk_amqp_link_unsettled(const struct sk_amqp_link *link) {
    return pn_link_remote_snd_settle_mode(link->pn) == PN_SND_UNSETTLED;
}

bool sk_amqp_link_presettled(const struct sk_amqp_link *link) {
    return pn_link_remote_snd_settle_mode(link->pn) == PN_SND_SETTLED;
}

int sk_amqp_link_credit(const struct sk_amqp_link *link) {
    return pn_link_credit(link->pn);
}

int sk_amqp_link_queued(const struct sk_amqp_link *link) {
    return pn_link_queued(link->pn);
}

void sk_amqp_link_set_data(struct sk_amqp_link *link, void *data) {
    link->data = data;
}

void *sk_amqp_link_data(const struct sk_amqp_link *link) {
    return link->data;
}

/* ---- transfers ---- */

void sk_amqp_send(struct sk_amqp_link *link, struct sk_span tag, struct sk_span payload,
                  bool settled, void *data) {
    uint64_t number = ++link->amqp->next_tag;
    if (tag.n == 0) tag = sk_span(&number, sizeof number);
    pn_delivery_t *delivery = pn_delivery(link->pn, pn_dtag(tag.p, tag.n));
    pn_delivery_set_context(delivery, settled ? NULL : data);
    pn_link_send(link->pn, payload.p, payload.n);
    if (settled) pn_delivery_settle(delivery);
    pn_link_advance(link->pn);
}

void sk_amqp_settle(struct sk_amqp_link *link, struct sk_amqp_delivery *handle,
                    enum sk_amqp_outcome outcome, const struct sk_amqp_error *error) {
    static const uint64_t states[] = {[SK_AMQP_ACCEPTED] = PN_ACCEPTED,
                                      [SK_AMQP_REJECTED] = PN_REJECTED,
                                      [SK_AMQP_RELEASED] = PN_RELEASED,
                                      [SK_AMQP_MODIFIED] = PN_MODIFIED,
                                      [SK_AMQP_NO_OUTCOME] = 0};
    pn_delivery_t *delivery = (pn_delivery_t *)(void *)handle;
    if (outcome == SK_AMQP_REJECTED)
        write_error(pn_disposition_condition(pn_delivery_local(delivery)), error);
    pn_delivery_update(delivery, states[outcome]);
    pn_delivery_settle(delivery);
    if (link->topped_up) pn_link_flow(link->pn, 1);
}
