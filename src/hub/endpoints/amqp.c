/* AMQP 1.0: a Service Bus queue or topic, an Event Hub, or any broker; another hub's event stream.
 *
 * A batch is as many transfers, each with its own outcome. What is accepted in front of the first
 * that is not is done with. The connection is made for the first batch and kept while it lasts. */
#include "hub/endpoints/parts.h"

#include <stdio.h>

#include "azure/amqp_mapping.h"
#include "net/amqp_connection.h"

struct amqp {
    struct endpoint *endpoint;
    struct sk_arena arena; /* what the configuration says */
    struct endpoint_url url;
    struct sk_tls *tls;
    struct sk_amqp_connection *connection; /* NULL: none */
    struct sk_amqp_client_link link;
    struct sk_timer limit; /* of a batch */
    struct sk_task drop;
    bool event_hub;
    bool dropping;   /* it is of no use any more */
    bool busy;       /* with a batch */
    size_t next;     /* that is to be sent */
    size_t answered; /* outcomes */
    size_t refused;  /* the first that was, else SIZE_MAX; likewise released */
    size_t released;
    char why[160];
};

/* ---- where ---- */

/* "Endpoint=sb://host/;SharedAccessKeyName=…;SharedAccessKey=…;EntityPath=…", as the portal shows
 * it. */
static bool parse_connection_string(struct sk_span text, struct sk_arena *arena,
                                    struct endpoint_url *url) {
    static const struct endpoint_scheme sb[] = {{"sb://", true, 5671}, {0}};
    static const char *const names[] = {"Endpoint", "SharedAccessKeyName", "SharedAccessKey",
                                        "EntityPath"};
    const char *values[4] = {NULL};
    struct sk_span part;
    while (sk_span_split(&text, ';', &part)) {
        size_t equals = sk_span_find(part, '=');
        for (size_t i = 0; i < 4; i++)
            if (sk_span_eq_nocase(sk_span_first(part, equals), sk_span_z(names[i])))
                values[i] = sk_arena_copy(arena, sk_span_skip(part, equals + 1)).p;
    }
    if (!values[0] || !endpoint_url_parse(sk_span_z(values[0]), sb, arena, url)) return false;
    url->user = values[1];
    url->password = values[2];
    if (values[3]) url->rest = values[3];
    return true;
}

static bool parse(const struct sk_hub_endpoint *options, struct sk_arena *arena,
                  struct endpoint_url *url) {
    static const struct endpoint_scheme schemes[] = {
        {"amqps://", true, 5671}, {"amqp://", false, 5672}, {0}};
    struct sk_span text = sk_span_z(options->to);
    if (sk_span_starts_nocase(text, SK_SPAN("Endpoint="))) {
        if (!parse_connection_string(text, arena, url)) return false;
    } else if (!endpoint_url_parse(text, schemes, arena, url)) {
        return false;
    }
    if (options->entity) url->rest = options->entity;
    return url->rest && *url->rest;
}

static bool check(const struct sk_hub_endpoint *options, char why[SK_CONFIG_WHY_MAX]) {
    struct sk_arena arena = {0};
    struct endpoint_url url;
    bool fine = parse(options, &arena, &url);
    sk_arena_free(&arena);
    snprintf(why, SK_CONFIG_WHY_MAX,
             "a queue, topic or event hub is a connection string with EntityPath, or "
             "\"amqps://user:password@host/queue\"; or give its entity");
    return fine;
}

/* ---- a batch ---- */

static void drop_connection(struct amqp *a) {
    a->dropping = false;
    if (a->connection == NULL) return;
    sk_amqp_connection_free(a->connection);
    a->connection = NULL;
    a->link = (struct sk_amqp_client_link){0};
}

static void on_drop(struct sk_task *task) {
    drop_connection(SK_CONTAINER(task, struct amqp, drop));
}

/* Not from inside the connection's own callbacks. */
static void drop_soon(struct amqp *a) {
    a->dropping = true;
    sk_io_defer(a->endpoint->hub->backend.io, &a->drop, on_drop);
}

static void end_batch(struct amqp *a, enum endpoint_end end, size_t done) {
    a->busy = false;
    sk_timer_stop(&a->limit);
    if (end == ENDPOINT_SENT)
        endpoint_ended(a->endpoint, end, done, NULL);
    else
        endpoint_ended(a->endpoint, end, done, "%s", a->why);
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* The connection is of no use any more. What was accepted before comes again: which those were the
 * next connection will not tell. */
static void fail(struct amqp *a) {
    drop_soon(a);
    if (a->busy) end_batch(a, ENDPOINT_AGAIN, 0);
}

static void push(struct amqp *a) {
    struct endpoint *e = a->endpoint;
    struct sk_arena arena = {0};
    while (a->busy && a->next < e->batch.count && sk_amqp_client_writable(&a->link)) {
        struct sk_message message;
        struct sk_amqp_message amqp;
        sk_arena_reset(&arena);
        if (endpoint_message(e, a->next, &arena, &message)) message = (struct sk_message){0};
        sk_routed_to_amqp(&message, a->event_hub, &arena, &amqp);
        sk_amqp_client_send(&a->link, &amqp, false, (void *)(uintptr_t)a->next++);
    }
    sk_arena_free(&arena);
}

static void on_writable(struct sk_amqp_client_link *link) {
    push(SK_CONTAINER(link, struct amqp, link));
}

static void note_error(struct amqp *a, const char *what, const struct sk_amqp_error *error) {
    snprintf(a->why, sizeof a->why, "%s %s%s%.*s%s%.60s", a->url.host, what,
             error && error->condition.n ? ": " : "",
             error ? (int)least(error->condition.n, 60) : 0,
             error && error->condition.p ? error->condition.p : "",
             error && error->description.n ? ", " : "",
             error && error->description.n ? error->description.p : "");
}

static void on_outcome(struct sk_amqp_client_link *link, void *data, enum sk_amqp_outcome outcome,
                       const struct sk_amqp_error *error) {
    struct amqp *a = SK_CONTAINER(link, struct amqp, link);
    size_t index = (size_t)(uintptr_t)data;
    if (!a->busy) return;
    a->answered++;
    if (outcome == SK_AMQP_REJECTED && index < a->refused) {
        a->refused = index;
        note_error(a, "rejects it", error);
    } else if (outcome != SK_AMQP_ACCEPTED && outcome != SK_AMQP_REJECTED && index < a->released) {
        a->released = index;
        if (index < a->refused) note_error(a, "takes no more now", error);
    }
    if (a->answered < a->endpoint->batch.count) return;
    size_t done = least(least(a->refused, a->released), a->answered);
    if (done == a->answered)
        end_batch(a, ENDPOINT_SENT, done);
    else
        end_batch(a, a->refused < a->released ? ENDPOINT_REFUSED : ENDPOINT_AGAIN, done);
}

static void on_detached(struct sk_amqp_client_link *link, const struct sk_amqp_error *error) {
    struct amqp *a = SK_CONTAINER(link, struct amqp, link);
    note_error(a, "lets nothing in", error);
    fail(a);
}

static void on_limit(struct sk_timer *timer) {
    struct amqp *a = SK_CONTAINER(timer, struct amqp, limit);
    snprintf(a->why, sizeof a->why, "no answer of %s in time", a->url.host);
    fail(a);
}

/* ---- the connection ---- */

static void on_opened(void *arg) {
    static const struct sk_amqp_link_events events = {
        .writable = on_writable, .outcome = on_outcome, .detached = on_detached};
    struct amqp *a = arg;
    sk_amqp_client_attach(
        a->connection, &a->link,
        &(struct sk_amqp_link_options){
            .address = a->url.rest, .local_address = a->endpoint->options->name, .sender = true},
        &events);
}

static void on_closed(void *arg, const struct sk_amqp_failure *why) {
    struct amqp *a = arg;
    struct sk_amqp_error error = {.condition = why->condition, .description = why->description};
    if (why->condition.n)
        note_error(a, "closes", &error);
    else
        snprintf(a->why, sizeof a->why, "no connection with %s: %s", a->url.host,
                 sk_status_text(why->status));
    fail(a);
}

static void connect_now(struct amqp *a) {
    sk_io_undefer(&a->drop);
    drop_connection(a);
    a->connection = sk_amqp_connection_new(
        a->endpoint->hub->backend.io,
        &(struct sk_amqp_connection_options){
            .dial = {.to = {.host = a->url.host, .port = a->url.port}, .tls = a->tls},
            .user = a->url.user,
            .password = a->url.password,
            .opened = on_opened,
            .closed = on_closed,
            .arg = a});
}

static void send_batch(struct endpoint *e) {
    struct amqp *a = e->state;
    a->busy = true;
    a->next = a->answered = 0;
    a->refused = a->released = SIZE_MAX;
    sk_timer_start(e->hub->backend.io, &a->limit, e->options->timeout_us * 1000, on_limit);
    if (a->connection == NULL || a->dropping) connect_now(a);
    push(a);
}

static void close_amqp(struct endpoint *e) {
    struct amqp *a = e->state;
    if (a == NULL) return;
    sk_timer_stop(&a->limit);
    sk_io_undefer(&a->drop);
    drop_connection(a);
    if (a->tls) sk_tls_free(a->tls);
    sk_arena_free(&a->arena);
    free(a);
    e->state = NULL;
}

static enum sk_status open_amqp(struct endpoint *e, bool event_hub, char reason[512]) {
    struct amqp *a = e->state = SK_NEW(struct amqp);
    a->endpoint = e;
    a->event_hub = event_hub;
    bool fine = parse(e->options, &a->arena, &a->url);
    SK_ASSERT(fine); /* check() has seen it */
    a->url.rest = sk_arena_copy(&a->arena, sk_span_z(a->url.rest)).p;
    return endpoint_trust(e, a->url.secure, &a->tls, reason);
}

static enum sk_status open_bus(struct endpoint *e, char reason[512]) {
    return open_amqp(e, false, reason);
}

static enum sk_status open_event_hub(struct endpoint *e, char reason[512]) {
    return open_amqp(e, true, reason);
}

const struct endpoint_kind endpoint_bus = {
    .check = check, .open = open_bus, .send = send_batch, .close = close_amqp};
const struct endpoint_kind endpoint_event_hub = {
    .check = check, .open = open_event_hub, .send = send_batch, .close = close_amqp};
