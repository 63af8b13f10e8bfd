#include "device/mux.h"

#include "device/parts.h"

enum {
    RENEW_RETRY_S = 60,
};

enum mux_state {
    MUX_WAITING,    /* for the next attempt */
    MUX_TOKEN,      /* for a token */
    MUX_CONNECTING, /* to open */
    MUX_PROVING,    /* the token is being put */
    MUX_CONNECTED,
};

struct sk_device_mux {
    struct mux_face face;
    struct sk_io *io;
    struct sk_device_mux_options options; /* its texts in `texts` */
    bool falls_back;                      /* the connection that there is, or is being made */
    struct sk_proxy proxy;                /* when options.proxy is set */
    struct sk_arena texts;
    enum mux_state state;
    struct sk_amqp_connection *connection;
    unsigned failures; /* attempts since the last connection that lasted */
    uint64_t connected_ns;
    struct sk_token_ask ask;
    struct sk_timer timer; /* next attempt; or the limit of waiting for a token */
    struct sk_timer renew;
    struct sk_buffer token;
    int64_t token_expiry_s, renew_at_us; /* wall clock */
    struct sk_list clients;
};

static void on_attempt(struct sk_timer *timer);

/* ---- for the clients ---- */

static void adopt(struct sk_device_mux *mux, struct sk_device_client *client) {
    client->protocol = &client_amqp;
    sk_list_init(&client->amqp.unsettled);
    sk_io_guid(client->io, client->amqp.guid);
    sk_list_append(&mux->clients, &client->amqp.link);
}

static bool fell_back(const struct sk_device_mux *mux) {
    return mux->options.fallback_first;
}

struct sk_amqp_connection *mux_connection(const struct sk_device_mux *mux) {
    return mux->state == MUX_CONNECTED ? mux->connection : NULL;
}

struct sk_span mux_product(const struct sk_device_mux *mux) {
    return mux->options.product;
}

/* Calls `tell` for each client. It may end any of them, and so may its user: around once, and
 * whoever comes first twice, in which case there is nothing more to tell. */
static void tell_all(struct sk_device_mux *mux, const struct sk_client_down *down) {
    size_t count = 0;
    SK_LIST_EACH(&mux->clients, node, following) count++;
    for (; count && !sk_list_empty(&mux->clients); count--) {
        struct sk_device_client *client =
            SK_LIST_FIRST(&mux->clients, struct sk_device_client, amqp.link);
        sk_list_remove(&client->amqp.link);
        sk_list_append(&mux->clients, &client->amqp.link);
        client_enter(client);
        if (client->dead)
            ; /* its end is under way */
        else if (down)
            client_lost(client, *down);
        else
            amqp_connection_up(client);
        client_leave(client);
    }
}

/* ---- attempts ---- */

static void drop(struct sk_device_mux *mux) {
    struct sk_amqp_connection *connection = mux->connection;
    mux->connection = NULL;
    mux->state = MUX_WAITING;
    sk_timer_stop(&mux->timer);
    sk_timer_stop(&mux->renew);
    sk_token_unask(&mux->ask);
    sk_amqp_connection_free(connection);
}

static void lost(struct sk_device_mux *mux, enum sk_status reason) {
    bool lasted =
        mux->state == MUX_CONNECTED && sk_io_now(mux->io) - mux->connected_ns >= STABLE_S * SK_S;
    drop(mux);
    mux->failures = lasted ? 1 : mux->failures + 1;
    struct sk_client_down down = {.reason = reason,
                                  .retry_ns = client_retry_delay(mux->io, mux->failures,
                                                                 mux->options.retry_min_ms,
                                                                 mux->options.retry_max_ms)};
    SK_DEBUG("client", "%.*s: no AMQP connection (%s); next try in %llu ms",
             SK_ARG(mux->options.device_id), sk_status_text(reason),
             (unsigned long long)(down.retry_ns / SK_MS));
    sk_timer_start(mux->io, &mux->timer, down.retry_ns, on_attempt);
    tell_all(mux, &down);
}

static void put_token(struct sk_device_mux *mux, sk_amqp_token_done *done) {
    struct sk_buffer audience = {0};
    sk_buffer_append(&audience, mux->options.hub_host);
    if (mux->options.device_id.n) {
        sk_buffer_text(&audience, "/devices/");
        sk_percent_encode(&audience, mux->options.device_id);
    }
    if (mux->options.module_id.n) {
        sk_buffer_text(&audience, "/modules/");
        sk_percent_encode(&audience, mux->options.module_id);
    }
    sk_amqp_connection_put_token(mux->connection, sk_buffer_span(&audience),
                                 sk_buffer_span(&mux->token), done, mux);
    sk_buffer_free(&audience);
}

static void got_token(struct sk_token_ask *ask, enum sk_status status, struct sk_span token);

static void ask_for_token(struct sk_device_mux *mux) {
    sk_token_ask(mux->options.tokens, &mux->ask,
                 sk_io_wall(mux->io) / 1000000 + mux->options.token_life_s, got_token);
}

static void plan_renewal(struct sk_device_mux *mux);

static void on_renewed(void *arg, const struct sk_amqp_failure *why) {
    struct sk_device_mux *mux = arg;
    if (why)
        SK_WARN("client", "%.*s: the new token is refused: %.*s", SK_ARG(mux->options.device_id),
                SK_ARG(why->description));
    else
        plan_renewal(mux);
}

static void on_renew(struct sk_timer *timer) {
    struct sk_device_mux *mux = SK_CONTAINER(timer, struct sk_device_mux, renew);
    /* Should this one come to nothing. */
    sk_timer_start(mux->io, &mux->renew, RENEW_RETRY_S * SK_S, on_renew);
    ask_for_token(mux);
}

static void look_at_clock(struct sk_timer *timer) {
    struct sk_device_mux *mux = SK_CONTAINER(timer, struct sk_device_mux, renew);
    if (sk_io_wall(mux->io) >= mux->renew_at_us)
        on_renew(timer);
    else
        sk_timer_start_at(mux->io, timer, mux->renew_at_us, look_at_clock);
}

static void plan_renewal(struct sk_device_mux *mux) {
    int64_t now = sk_io_wall(mux->io), left = mux->token_expiry_s - now / 1000000;
    if (left < 4) left = 4; /* a token that is all but expired: do not spin */
    mux->renew_at_us = now + left * 1000000 / 4 * 3;
    sk_timer_start_at(mux->io, &mux->renew, mux->renew_at_us, look_at_clock);
}

static void on_proved(void *arg, const struct sk_amqp_failure *why) {
    struct sk_device_mux *mux = arg;
    if (why) {
        SK_WARN("client", "%.*s: the token is refused: %.*s", SK_ARG(mux->options.device_id),
                SK_ARG(why->description));
        lost(mux, why->status);
        return;
    }
    mux->state = MUX_CONNECTED;
    mux->connected_ns = sk_io_now(mux->io);
    mux->options.fallback_first = mux->falls_back;
    plan_renewal(mux);
    tell_all(mux, NULL);
}

static void on_opened(void *arg) {
    struct sk_device_mux *mux = arg;
    mux->state = MUX_PROVING;
    put_token(mux, on_proved);
}

static void on_closed(void *arg, const struct sk_amqp_failure *why) {
    struct sk_device_mux *mux = arg;
    if (why->condition.n)
        SK_WARN("client", "%.*s: the server has closed the connection: %.*s %.*s",
                SK_ARG(mux->options.device_id), SK_ARG(why->condition), SK_ARG(why->description));
    lost(mux, why->status);
}

static void dial(struct sk_device_mux *mux) {
    const struct sk_device_mux_options *o = &mux->options;
    SK_CLEANUP_FREE char *hub_host = sk_span_dup(o->hub_host);
    bool fallback = client_falls_back(o->fallback_port, mux->failures, o->fallback_first);
    mux->falls_back = fallback;
    mux->state = MUX_CONNECTING;
    sk_timer_stop(&mux->timer); /* the connection has its own limits */
    mux->connection = sk_amqp_connection_new(
        mux->io,
        &(struct sk_amqp_connection_options){
            .dial = {.to = {.host = o->host, .port = fallback ? o->fallback_port : o->port},
                     .tls = o->tls,
                     .proxy = o->proxy ? &mux->proxy : NULL,
                     .subprotocol = o->websocket || fallback ? "AMQPWSB10" : NULL},
            .host_name = hub_host,
            .opened = on_opened,
            .closed = on_closed,
            .arg = mux});
}

static void on_no_token(struct sk_timer *timer) {
    lost(SK_CONTAINER(timer, struct sk_device_mux, timer), SK_TIMEOUT);
}

static void on_attempt(struct sk_timer *timer) {
    struct sk_device_mux *mux = SK_CONTAINER(timer, struct sk_device_mux, timer);
    mux->state = MUX_TOKEN;
    sk_timer_start(mux->io, &mux->timer, STEP_S * SK_S, on_no_token);
    ask_for_token(mux);
}

static void got_token(struct sk_token_ask *ask, enum sk_status status, struct sk_span token) {
    struct sk_device_mux *mux = SK_CONTAINER(ask, struct sk_device_mux, ask);
    if (status == SK_OK) {
        mux->token.n = 0;
        sk_buffer_append(&mux->token, token);
        mux->token_expiry_s = ask->expiry_s;
    }
    if (mux->state == MUX_TOKEN && status)
        lost(mux, SK_UNAUTHORIZED);
    else if (mux->state == MUX_TOKEN)
        dial(mux);
    else if (mux->state == MUX_CONNECTED && status == SK_OK)
        put_token(mux, on_renewed);
}

/* ---- life ---- */

struct sk_device_mux *sk_device_mux_new(struct sk_io *io,
                                        const struct sk_device_mux_options *options) {
    struct sk_device_mux *mux = SK_NEW(struct sk_device_mux);
    struct sk_device_mux_options *own = &mux->options;
    struct sk_arena *texts = &mux->texts;
    mux->face = (struct mux_face){.adopt = adopt, .fell_back = fell_back};
    mux->io = io;
    *own = *options;
    own->host = sk_arena_copy(texts, sk_span_z(options->host)).p;
    own->hub_host = sk_arena_copy(texts, options->hub_host);
    own->device_id = sk_arena_copy(texts, options->device_id);
    own->module_id = sk_arena_copy(texts, options->module_id);
    own->product =
        sk_arena_copy(texts, options->product.n ? options->product : SK_SPAN("skerry/" SK_VERSION));
    if (own->port == 0) own->port = own->websocket ? 443 : 5671;
    if (own->token_life_s == 0) own->token_life_s = 3600;
    if (own->retry_min_ms == 0) own->retry_min_ms = 1000;
    if (own->retry_max_ms == 0) own->retry_max_ms = 60000;
    if (options->proxy) {
        enum sk_status status = sk_proxy_parse(sk_span_z(options->proxy), texts, &mux->proxy);
        SK_ASSERT(status == SK_OK);
    }
    sk_list_init(&mux->clients);
    sk_timer_start(io, &mux->timer, 0, on_attempt);
    return mux;
}

void sk_device_mux_free(struct sk_device_mux *mux) {
    if (mux == NULL) return;
    SK_ASSERT(sk_list_empty(&mux->clients));
    drop(mux);
    sk_buffer_free(&mux->token);
    sk_arena_free(&mux->texts);
    free(mux);
}
