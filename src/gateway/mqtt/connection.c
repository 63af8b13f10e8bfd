/* The floor of the MQTT head: requests under way, back-pressure, keep-alive, the end. */
#include "gateway/mqtt/head.h"

enum {
    CONNECT_S = 60,
    END_S = 1, /* for what is under way when we end */
};

static void free_head(struct sk_mqtt_head *m) {
    connection_remove(&m->connection);
    session_free(&m->session);
    sk_buffer_free(&m->in);
    sk_buffer_free(&m->will_payload);
    free(m->window);
    free(m->will_topic);
    free(m->model_id);
    free(m);
}

/* ---- requests ---- */

void sk_mqtt_head_reading(struct sk_mqtt_head *m) {
    if (m->stream)
        sk_stream_pause(m->stream, m->state == MQTT_AUTHENTICATING || m->ending || m->budget.full);
}

struct sk_mqtt_request *sk_mqtt_request_new(struct sk_mqtt_head *m, enum sk_op op, size_t bytes) {
    struct sk_mqtt_request *r = SK_NEW(struct sk_mqtt_request);
    r->head = m;
    r->request.op = op;
    r->request.who = &m->session.principal;
    r->request.session = &m->session;
    r->request.device = sk_span_z(m->session.principal.device);
    r->request.module = sk_span_z(m->session.principal.module);
    r->cost = budget_take(&m->budget, op, bytes);
    m->pending++;
    sk_mqtt_head_reading(m);
    return r;
}

void sk_mqtt_head_release(struct sk_mqtt_head *m) {
    m->pending--;
    if (m->stream == NULL && m->pending == 0) free_head(m);
}

/* We end, not the client: what it has sent gets its PUBACK first, so that it need not send it again
 * after it has connected again. */
static void close_when_answered(struct sk_mqtt_head *m) {
    bool waits = m->pending && m->state == MQTT_OPEN;
    if (waits || m->state == MQTT_CLOSING) return;
    m->state = MQTT_CLOSING;
    if (m->stream) sk_stream_close(m->stream);
}

void sk_mqtt_request_over(struct sk_mqtt_request *r) {
    struct sk_mqtt_head *m = r->head;
    budget_give(&m->budget, r->cost);
    free(r->rid);
    free(r);
    if (m->stream == NULL) {
        sk_mqtt_head_release(m);
        return;
    }
    m->pending--;
    sk_mqtt_head_reading(m);
    if (m->ending) close_when_answered(m);
}

static void on_saved(void *arg) {
    sk_mqtt_request_over(arg);
}

void sk_mqtt_head_save(struct sk_mqtt_head *m) {
    struct sk_mqtt_request *r = sk_mqtt_request_new(m, SK_OP_IDENTITY_PUT, 0); /* a write like it */
    m->backend->ops->save_subscriptions(m->backend, &m->session, on_saved, r);
}

/* ---- the end ---- */

void sk_mqtt_head_fail(struct sk_mqtt_head *m, const char *why) {
    if (m->state == MQTT_CLOSING) return;
    SK_SELDOM(SK_LEVEL_INFO, "mqtt", "%s (%s): closing: %s",
              m->session.key ? m->session.key : "unknown client",
              m->stream ? sk_stream_peer(m->stream) : "-", why);
    m->state = MQTT_CLOSING;
    if (m->stream) sk_stream_close(m->stream);
}

static void on_not_answered(struct sk_timer *timer) {
    struct sk_mqtt_head *m = SK_CONTAINER(timer, struct sk_mqtt_head, timer);
    m->state = MQTT_CLOSING;
    if (m->stream) sk_stream_close(m->stream);
}

void sk_mqtt_head_end(struct sk_connection *connection) {
    struct sk_mqtt_head *m = (struct sk_mqtt_head *)connection;
    m->graceful = true; /* no will */
    if (m->stream == NULL || m->state == MQTT_CLOSING) return;
    m->ending = true;
    sk_mqtt_head_reading(m);
    sk_timer_start(connection->gateway->io, &m->timer, END_S * SK_S, on_not_answered);
    close_when_answered(m);
}

/* ---- keep-alive ---- */

static void on_timer(struct sk_timer *timer) {
    struct sk_mqtt_head *m = SK_CONTAINER(timer, struct sk_mqtt_head, timer);
    if (m->state != MQTT_OPEN) {
        sk_mqtt_head_fail(m, "no CONNECT came in time");
        return;
    }
    /* Packets only note the time; the timer looks and waits for the rest, so it costs nothing a
     * packet. */
    uint64_t silent = sk_stream_silent_ns(m->stream), most = m->silence_max_ms * SK_MS;
    if (silent >= most)
        sk_mqtt_head_fail(m, "keep-alive time is over (404104)");
    else
        sk_timer_start(timer->io, timer, most - silent, on_timer);
}

void sk_mqtt_head_opened(struct sk_mqtt_head *m) {
    if (m->state != MQTT_OPEN || m->stream == NULL || sk_timer_running(&m->timer)) return;
    sk_timer_start(m->connection.gateway->io, &m->timer, m->silence_max_ms * SK_MS, on_timer);
}

void sk_mqtt_head_expect(struct sk_mqtt_head *m) {
    sk_timer_start(m->connection.gateway->io, &m->timer, CONNECT_S * SK_S, on_timer);
}
