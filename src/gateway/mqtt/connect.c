/* CONNECT: the user name says who, the password proves it, CONNACK says what came of it. */
#include "gateway/mqtt/head.h"
#include "azure/mqtt_topic.h"

static bool holds(struct sk_span text, struct sk_span part) {
    for (size_t i = 0; i + part.n <= text.n; i++)
        if (sk_span_starts(sk_span_skip(text, i), part)) return true;
    return false;
}

/* Whether the query starts here: its values may hold '/', so only the first segment tells. One that
 * begins with '?' may be an id too; then the query follows behind it. */
static bool is_query(struct sk_span rest) {
    struct sk_span segment = sk_span_first(rest, sk_span_find(rest, '/'));
    if (holds(segment, SK_SPAN("api-version="))) return true;
    return segment.n && segment.p[0] == '?' && !holds(rest, SK_SPAN("/?"));
}

static void parse_query(struct sk_span query, struct sk_arena *arena, struct sk_mqtt_user *user) {
    if (query.n && query.p[0] == '?') query = sk_span_skip(query, 1);
    for (struct sk_span part; sk_span_split(&query, '&', &part);) {
        size_t equals = sk_span_find(part, '=');
        struct sk_span key = sk_span_first(part, equals), *to = NULL;
        if (sk_span_is(key, "api-version"))
            to = &user->api_version;
        else if (sk_span_is(key, "model-id"))
            to = &user->model_id;
        else if (sk_span_is(key, "auth-chain"))
            to = &user->auth_chain;
        if (to && to->p == NULL)
            *to = sk_percent_decoded(arena,
                                     sk_span_skip(part, equals + 1)); /* the first one counts */
    }
}

enum sk_status sk_mqtt_user_parse(struct sk_span text, struct sk_arena *arena,
                                  struct sk_mqtt_user *user) {
    *user = (struct sk_mqtt_user){0};
    struct sk_span rest = text, part, ids[4];
    size_t n = 0;
    while (n < 4 && rest.p != NULL) {
        if (n >= 2 && is_query(rest)) { /* the query may hold '/' (DeviceClientType, dtmi) */
            parse_query(rest, arena, user);
            rest = SK_NONE;
            break;
        }
        sk_span_split(&rest, '/', &part);
        ids[n++] = part;
    }
    if (rest.p != NULL) {
        if (n < 4 || !is_query(rest)) return SK_MALFORMED;
        parse_query(rest, arena, user);
    }
    if (n == 4 && ids[3].n == 0) n = 3;
    if (n == 3 && ids[2].n == 0) n = 2; /* "host/device/" */
    if (n < 2 || n > 3) return SK_MALFORMED;
    /* "host/device?api-version=…": the query may hang on the last id
     * (docs/protocols/device-protocols.md, section 1.4, form 5). */
    struct sk_span *last = &ids[n - 1];
    size_t mark = last->n;
    while (mark && last->p[mark - 1] != '?') mark--;
    if (mark && holds(sk_span_skip(*last, mark), SK_SPAN("api-version="))) {
        mark--;
        parse_query(sk_span_skip(*last, mark), arena, user);
        last->n = mark;
    }
    user->host = ids[0];
    user->device = ids[1];
    if (n == 3) user->module = ids[2];
    return user->host.n && user->device.n ? SK_OK : SK_MALFORMED;
}

static void connack(struct sk_mqtt_head *m, bool session_present, uint8_t code) {
    sk_mqtt_put_connack(sk_stream_output(m->stream), session_present, code);
    sk_stream_flush(m->stream);
}

static void refuse(struct sk_mqtt_head *m, uint8_t code, const char *why) {
    m->connection.gateway->counts.refused_total++;
    connack(m, false, code);
    sk_mqtt_head_fail(m, why);
}

static void accept_client(struct sk_mqtt_head *m, bool session_present) {
    m->state = MQTT_OPEN;
    connack(m, session_present, SK_MQTT_ACCEPTED);
    sk_stream_proved(m->stream);
    sk_mqtt_head_reading(m);
    sk_timer_stop(&m->timer);
    if (m->session.subscriptions) m->backend->ops->session_subscribed(m->backend, &m->session);
    sk_mqtt_head_opened(m);
}

static void on_subscriptions(void *arg, bool found, unsigned subscriptions) {
    struct sk_mqtt_head *m = arg;
    bool wanted = m->stream && m->state == MQTT_AUTHENTICATING && m->session.open;
    sk_mqtt_head_release(m);
    if (!wanted) return;
    if (found) m->session.subscriptions = subscriptions;
    accept_client(m, found);
}

/* 5 whatever is wrong, as the real service does; 3 means "disabled" to the C SDK
 * (docs/protocols/device-protocols.md, section 1.4). */
static void not_let_in(struct sk_mqtt_head *m, const struct sk_error *error) {
    bool later = error->fault == SK_FAULT_DEVICE_DISABLED || error->fault == SK_FAULT_UNAVAILABLE ||
                 error->fault == SK_FAULT_QUOTA_EXCEEDED || error->fault == SK_FAULT_THROTTLED;
    refuse(m, later ? SK_MQTT_UNAVAILABLE : SK_MQTT_NOT_AUTHORIZED, sk_error_text(error));
}

static void on_authenticated(void *arg, const struct sk_error *error,
                             struct sk_principal *principal) {
    struct sk_mqtt_head *m = arg;
    struct sk_error no_room;
    m->authentication = NULL;
    if (m->state != MQTT_AUTHENTICATING) return;
    if (error == NULL && !sk_session_room(m->backend, principal, &no_room)) error = &no_room;
    if (error) {
        not_let_in(m, error);
        return;
    }
    m->session.persistent = !m->clean;
    sk_session_open(&m->session, m->backend, &sk_mqtt_head_ops, principal, m);
    sk_session_model(&m->session, sk_span_z(m->model_id));
    if (m->clean) {
        sk_mqtt_head_save(m); /* drops what an earlier session left */
        accept_client(m, false);
    } else {
        m->pending++;
        m->backend->ops->load_subscriptions(m->backend, &m->session, on_subscriptions, m);
    }
}

void sk_mqtt_on_connect(struct sk_mqtt_head *m, const struct sk_mqtt_connect *connect) {
    struct sk_gateway *gateway = m->connection.gateway;
    struct sk_mqtt_user user;
    if (!sk_mqtt_connect_supported(connect)) {
        refuse(m, SK_MQTT_BAD_PROTOCOL, "not MQTT 3.1.1");
        return;
    }
    sk_arena_reset(&gateway->scratch);
    if (!connect->has_user || sk_mqtt_user_parse(connect->user, &gateway->scratch, &user)) {
        refuse(m, SK_MQTT_NOT_AUTHORIZED,
               "the user name is not {hub}/{device}[/{module}]/?api-version=…");
        return;
    }
    m->backend = sk_gateway_find(gateway, user.host);
    if (m->backend == NULL) {
        refuse(m, SK_MQTT_NOT_AUTHORIZED, "no hub of that name is served here (401001)");
        return;
    }
    struct sk_span expected = user.device;
    if (user.module.n)
        expected = sk_arena_print(&gateway->scratch, "%.*s/%.*s", SK_ARG(user.device),
                                  SK_ARG(user.module));
    if (!sk_span_eq(connect->client_id, expected)) {
        refuse(m, SK_MQTT_BAD_CLIENT_ID, "the client id is not the identity in the user name");
        return;
    }
    if (connect->has_will) {
        struct sk_topic topic;
        sk_topic_parse(connect->will_topic, &topic);
        if (connect->will_qos > 1 || topic.kind != SK_TOPIC_TELEMETRY ||
            !sk_topic_id_is(topic.device, user.device) ||
            !sk_topic_id_is(topic.module, user.module)) {
            refuse(m, SK_MQTT_NOT_AUTHORIZED,
                   "the will is not telemetry of this identity at QoS 0 or 1");
            return;
        }
        m->will_topic = sk_span_dup(connect->will_topic);
        sk_buffer_append(&m->will_payload, connect->will_payload);
    }
    m->clean = connect->clean_session;
    unsigned silence = connect->keep_alive_s * 1500u;
    m->silence_max_ms = silence == 0 || silence > SK_MQTT_HEAD_SILENCE_MAX_MS
                            ? SK_MQTT_HEAD_SILENCE_MAX_MS
                            : silence;
    if (user.model_id.n) m->model_id = sk_span_dup(user.model_id);
    m->state = MQTT_AUTHENTICATING;
    m->authentication = sk_authenticate(
        m->backend,
        &(struct sk_credentials){.device = user.device,
                                 .module = user.module,
                                 .token = connect->has_password ? connect->password : SK_NONE,
                                 .auth_chain = user.auth_chain,
                                 .protocol = "Mqtt",
                                 .stream = m->stream},
        on_authenticated, m);
}
