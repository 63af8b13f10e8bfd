/* A service's AMQP connection for one command: as with calls, the loop runs until there is an
 * answer, so that commands read as straight lines. */
#include "cli/amqp.h"

#include <stdio.h>

#include "trust/sas.h"

void cli_amqp_done(struct cli_amqp *amqp, int code) {
    if (amqp->done) return;
    amqp->done = true;
    amqp->code = code;
    sk_io_stop(amqp->cli->io);
}

void cli_amqp_fail(struct cli_amqp *amqp, struct sk_span condition, struct sk_span description) {
    if (amqp->done) {
        amqp->lost = true;
        return;
    }
    json_t *json = json_loadb(description.p ? description.p : "", description.n, 0, NULL);
    const char *text = json_string_value(json_object_get(json, "message"));
    if (text)
        cli_fail("%s (%.*s)", text, SK_ARG(condition));
    else if (description.n)
        cli_fail("%.*s (%.*s)", SK_ARG(description), SK_ARG(condition));
    else
        cli_fail("refused (%.*s)", SK_ARG(condition));
    json_decref(json);
    cli_amqp_done(amqp, SK_EXIT_REFUSED);
}

static int explain(const struct cli_amqp *amqp, enum sk_status status) {
    return cli_explain(amqp->host, amqp->websocket ? amqp->websocket_port : amqp->port, status);
}

static void fail(struct cli_amqp *amqp, const struct sk_amqp_failure *why) {
    if (why->condition.n)
        cli_amqp_fail(amqp, why->condition, why->description);
    else if (amqp->done)
        amqp->lost = true; /* the next wait would be in vain */
    else
        cli_amqp_done(amqp, explain(amqp, why->status));
}

int cli_amqp_wait(struct cli_amqp *amqp) {
    if (amqp->lost) return explain(amqp, SK_CLOSED);
    amqp->done = false;
    sk_io_run(amqp->cli->io);
    return amqp->code;
}

static void on_closed(void *arg, const struct sk_amqp_failure *why) {
    struct cli_amqp *amqp = arg;
    bool closed_port = !amqp->opened && (why->status == SK_REFUSED || why->status == SK_TIMEOUT);
    if (!closed_port || amqp->websocket || amqp->websocket_port == 0) {
        fail(amqp, why);
    } else {
        amqp->websocket = true;
        cli_amqp_done(amqp, SK_EXIT_REFUSED);
    }
}

static void on_token(void *arg, const struct sk_amqp_failure *why) {
    if (why)
        fail(arg, why);
    else
        cli_amqp_done(arg, SK_EXIT_FINE);
}

static void on_renew(struct sk_timer *timer);

/* Commands that watch outlive a token. */
static void put_token(struct cli_amqp *amqp, sk_amqp_token_done *done) {
    enum { LIFE_S = 3600, RENEW_S = 2700 };
    struct cli *cli = amqp->cli;
    struct sk_buffer token = {0}, text_key = {0};
    struct sk_span key = cli->key;
    if (amqp->event_hub) { /* there the key is its text, not what that decodes to */
        sk_base64_encode(&text_key, key);
        key = sk_buffer_span(&text_key);
    }
    sk_sas_create(&token, sk_span_z(amqp->audience), key, cli->policy,
                  sk_io_wall(cli->io) / 1000000 + LIFE_S);
    amqp->token = sk_arena_copy(&cli->arena, sk_buffer_span(&token));
    sk_amqp_connection_put_token(amqp->connection, sk_span_z(amqp->audience), amqp->token, done,
                                 amqp);
    amqp->renew_us = sk_io_wall(cli->io) + RENEW_S * 1000000ll;
    sk_timer_start_at(cli->io, &amqp->renew, amqp->renew_us, on_renew);
    sk_buffer_free(&token);
    sk_buffer_free(&text_key);
}

static void on_renewed(void *arg, const struct sk_amqp_failure *why) {
    if (why) on_token(arg, why);
}

static void on_renew(struct sk_timer *timer) {
    struct cli_amqp *amqp = SK_CONTAINER(timer, struct cli_amqp, renew);
    if (sk_io_wall(timer->io) < amqp->renew_us)
        sk_timer_start_at(timer->io, timer, amqp->renew_us, on_renew);
    else
        put_token(amqp, on_renewed);
}

static void on_opened(void *arg) {
    struct cli_amqp *amqp = arg;
    amqp->opened = true;
    put_token(amqp, on_token);
}

static void connect_to(struct cli_amqp *amqp) {
    struct sk_dial_options dial = {.to = {.host = amqp->host, .port = amqp->port},
                                   .tls = amqp->cli->tls};
    if (amqp->websocket) {
        dial.to.port = amqp->websocket_port;
        dial.subprotocol = "AMQPWSB10";
        dial.path = amqp->event_hub ? "/$servicebus/websocket" : NULL;
    }
    amqp->connection = sk_amqp_connection_new(
        amqp->cli->io, &(struct sk_amqp_connection_options){
                           .dial = dial, .opened = on_opened, .closed = on_closed, .arg = amqp});
}

int cli_amqp_open(struct cli_amqp *amqp) {
    bool tried = amqp->websocket;
    connect_to(amqp);
    int code = cli_amqp_wait(amqp);
    if (tried || !amqp->websocket) return code;
    cli_amqp_close(amqp);
    connect_to(amqp);
    return cli_amqp_wait(amqp);
}

int cli_amqp_open_hub(struct cli *cli, struct cli_amqp *amqp) {
    *amqp = (struct cli_amqp){.cli = cli,
                              .host = sk_arena_copy(&cli->arena, cli->host).p,
                              .port = cli->amqp_port,
                              .websocket_port = cli->port == cli->amqp_port ? 0 : cli->port};
    amqp->audience = amqp->host;
    return cli_amqp_open(amqp);
}

void cli_amqp_close(struct cli_amqp *amqp) {
    sk_timer_stop(&amqp->renew);
    sk_amqp_connection_free(amqp->connection);
    amqp->connection = NULL;
}
