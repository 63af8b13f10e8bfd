/* What the commands of `skerry` share: the connection, calls to its end, and output. Inside src/cli
 * only. */
#ifndef SK_CLI_H
#define SK_CLI_H

#include <jansson.h>

#include "client/http_client.h"

enum { CLI_FINE = 0, CLI_REFUSED = 1, CLI_USAGE = 2 };
enum cli_output { CLI_TABLE, CLI_JSON, CLI_JSONL, CLI_TSV };

struct cli {
    struct sk_io *io;
    struct sk_arena arena;
    enum cli_output output;
    /* login */
    const char *login, *profile, *ca_file;
    struct sk_span host, policy, key;
    uint16_t port, amqp_port;
    struct sk_tls *tls;
    struct sk_http_client *http;
    /* what was typed behind the command */
    const char *words[16];
    size_t word_count;
    struct cli_option {
        const char *name, *value; /* value NULL: a flag */
    } options[32];
    size_t option_count;
};

/* The value of --name, or NULL; flags give "". */
const char *cli_option(const struct cli *cli, const char *name);
/* One sentence to stderr; returns CLI_REFUSED, or CLI_USAGE with a hint at --help. */
int cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int cli_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- session.c --- */
/* Finds the login (--login, SKERRY_CONNECTION_STRING, the profile's file) and prepares to call. */
int cli_connect(struct cli *cli);
int cli_login(struct cli *cli);
void cli_disconnect(struct cli *cli);
/* A path from pieces: '%s' takes an id, percent-encoded. */
const char *cli_path(struct cli *cli, const char *format, const char *id, const char *second);

struct cli_answer {
    unsigned status;
    json_t *body;             /* owned; NULL: none */
    const char *continuation; /* in the arena, or NULL */
};
/* A call to its end. `body` borrowed. Refusals are printed and give CLI_REFUSED. */
int cli_call(struct cli *cli, enum sk_http_method method, const char *path, const json_t *body,
             const char *if_match, const char *continuation, struct cli_answer *answer);
/* Prints why host:port could not be talked to; CLI_REFUSED. */
int cli_explain(const char *host, uint16_t port, enum sk_status status);

/* --- print.c --- */
/* A value as the chosen output says. `columns` NULL-terminated dotted paths for tables of objects;
 * NULL: all members. */
void cli_print(const struct cli *cli, const json_t *value, const char *const *columns);

/* --- commands.c --- */
/* Calls and prints the answer. */
int cli_show(struct cli *cli, enum sk_http_method method, const char *path, const json_t *body,
             const char *if_match, const char *const *columns);

/* --- commands --- */
int cli_certificate(struct cli *cli);
int cli_device(struct cli *cli);
int cli_module(struct cli *cli);
int cli_twin(struct cli *cli);
int cli_method(struct cli *cli);
int cli_telemetry(struct cli *cli);
int cli_message(struct cli *cli);
int cli_feedback(struct cli *cli);
int cli_events(struct cli *cli);
int cli_query(struct cli *cli);
int cli_edge(struct cli *cli);
int cli_completion(struct cli *cli);

/* "DEVICE" or "DEVICE/MODULE" → the path under /devices or /twins. */
const char *cli_target(struct cli *cli, const char *root, const char *target);
/* JSON from --name, or from a file with --name @FILE; NULL with a message when it is not JSON. */
json_t *cli_json(struct cli *cli, const char *name, const char *text);

#endif
