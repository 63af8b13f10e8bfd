/* A service's AMQP connection for one command. Inside src/cli only. */
#ifndef SK_CLI_AMQP_H
#define SK_CLI_AMQP_H

#include "cli/cli.h"
#include "net/amqp_connection.h"

struct cli_amqp {
    struct cli *cli;
    const char *host; /* these four until it is closed */
    uint16_t port;
    const char *audience;    /* what the policy's token is for */
    bool event_hub;          /* tokens are signed as Event Hubs want them */
    uint16_t websocket_port; /* where to try a WebSocket when `port` is closed; 0: not */
    bool websocket;          /* that was needed; or is known to be */
    struct sk_amqp_connection *connection;
    struct sk_timer renew;
    int64_t renew_us;     /* by the wall clock */
    struct sk_span token; /* the last that was put; in the cli's arena */
    bool opened, done, lost;
    int code; /* of what was waited for */
};

/* Connects and proves who we are; refusals are printed. Close it in any case. */
int cli_amqp_open(struct cli_amqp *amqp);
/* To the hub that we are logged in to. */
int cli_amqp_open_hub(struct cli *cli, struct cli_amqp *amqp);
void cli_amqp_close(struct cli_amqp *amqp);
/* Runs the loop until cli_amqp_done, which callbacks call, or the connection's end; returns the
 * code. */
int cli_amqp_wait(struct cli_amqp *amqp);
void cli_amqp_done(struct cli_amqp *amqp, int code);
/* Prints an error of the server, and is done with SK_EXIT_REFUSED; of several the first counts. */
void cli_amqp_fail(struct cli_amqp *amqp, struct sk_span condition, struct sk_span description);

#endif
