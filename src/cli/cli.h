/* What the commands of `skerry` share: the table of them, the connection, calls to its end, and
 * output. Inside src/cli only. */
#ifndef SK_CLI_CLI_H
#define SK_CLI_CLI_H

#include <jansson.h>
#include <stdio.h>

#include "command/command.h"
#include "net/http_client.h"

enum cli_output { CLI_TABLE, CLI_JSON, CLI_JSONL, CLI_TSV, CLI_CSV };

struct cli;

/* The table of commands: commands.c. */
extern const struct sk_program cli_program;

/* --- one run --- */

struct cli {
    struct sk_typed typed;
    struct sk_io *io;
    struct sk_arena arena;
    enum cli_output output;
    bool wide; /* long values are not cut */
    /* login */
    const char *login, *profile, *ca_file;
    struct sk_span host, policy, key;
    uint16_t port, amqp_port;
    struct sk_tls *tls;
    struct sk_http_client *http;
    bool sends_message;        /* the next call does: its message says that it is JSON in UTF-8 */
    uint32_t timeout_ms;       /* of calls; 0: longer than a direct method takes */
    struct sk_http_call *call; /* under way; a signal may cancel it */
    char why[512];             /* of the last cli_try that failed */
};

/* One sentence to stderr; returns SK_EXIT_REFUSED. */
int cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- session.c --- */
/* Finds the login (--login, SKERRY_CONNECTION_STRING, the profile's file) and prepares to call. */
int cli_connect(struct cli *cli);
void cli_disconnect(struct cli *cli);
/* A path from pieces: '%s' takes an id, percent-encoded. */
const char *cli_path(struct cli *cli, const char *format, const char *id, const char *second);

struct cli_answer {
    unsigned status;
    json_t *body;             /* owned; NULL: none */
    const char *continuation; /* in the arena, or NULL */
};
/* A call to its end. `body` borrowed. Refusals are printed and give SK_EXIT_REFUSED. */
int cli_call(struct cli *cli, enum sk_http_method method, const char *path, const json_t *body,
             const char *if_match, const char *continuation, struct cli_answer *answer);
/* The same for who goes on after a failure: nothing is printed. NULL, or one sentence, which is
 * cli->why; then answer->status is that of the hub's refusal, or 0: there was no answer. */
const char *cli_try(struct cli *cli, enum sk_http_method method, const char *path,
                    const json_t *body, const char *if_match, const char *continuation,
                    struct cli_answer *answer);
/* The pages of a list, one call after the other; `*all` is owned, also after a failure. Printed as
 * one. */
int cli_pages(struct cli *cli, enum sk_http_method method, const char *path, const json_t *body,
              json_t **all);
const char *cli_try_pages(struct cli *cli, enum sk_http_method method, const char *path,
                          const json_t *body, json_t **all);
int cli_show_pages(struct cli *cli, enum sk_http_method method, const char *path,
                   const json_t *body, const char *const *columns);
/* Prints why host:port could not be talked to; SK_EXIT_REFUSED. */
int cli_explain(const char *host, uint16_t port, enum sk_status status);
/* Calls and prints the answer. */
int cli_show(struct cli *cli, enum sk_http_method method, const char *path, const json_t *body,
             const char *if_match, const char *const *columns);

/* --- files.c --- */
/* A call to the hub's blob service, signed by the policy's key. */
struct cli_blob_ask {
    struct cli *cli; /* set by cli_blob */
    enum sk_http_method method;
    const char *container, *blob; /* blob NULL: the container itself */
    unsigned rights;              /* SK_BLOB_… that it takes */
    const char *query;            /* "&comp=…"; NULL: none */
    struct sk_span body;
    bool prints; /* what is answered, as it comes */
    /* What came of it: */
    enum sk_status status;
    unsigned code;           /* of HTTP */
    struct sk_buffer answer; /* what was not printed; the caller frees it */
};
int cli_blob(struct cli *cli, struct cli_blob_ask *ask);
/* "/container/blob?sv=…" with a signature of the container. */
void cli_blob_uri(struct cli *cli, struct sk_buffer *to, const char *container, const char *blob,
                  unsigned rights);

/* --- print.c --- */
enum { CLI_COLUMNS_MAX = 16 };
/* A value as the chosen output says. `columns` NULL-terminated dotted paths for tables of
 * objects, short ones first; NULL: all members. */
void cli_print(const struct cli *cli, const json_t *value, const char *const *columns);
/* How the value of a member looks to a person, at `now_us`: "never", "3 min ago", or its text.
 * Owned by the caller. `with_time`: an age stands behind its time. */
char *cli_text(const char *name, const json_t *value, int64_t now_us, bool with_time);
/* Gives columns of these widths together at most `room` characters, two between each: the widest
 * lose first, none goes below a few. */
void cli_fit(int *widths, size_t count, int room);

/* --- commands: each takes a struct cli, returns an exit code --- */
int cli_completion(void *cli);
int cli_reference(void *cli); /* docs/reference/skerry.md */
int cli_login(void *cli);
int cli_hub_show(void *cli);
int cli_policy_list(void *cli);
int cli_policy_add(void *cli);
int cli_policy_sas(void *cli);
int cli_policy_renew_key(void *cli);
int cli_policy_remove(void *cli);
int cli_consumer_group_list(void *cli);
int cli_consumer_group_add(void *cli);
int cli_consumer_group_remove(void *cli);
int cli_route_list(void *cli);
int cli_route_add(void *cli);
int cli_route_update(void *cli);
int cli_route_remove(void *cli);
int cli_enrichment_list(void *cli);
int cli_enrichment_add(void *cli);
int cli_enrichment_remove(void *cli);
int cli_ip_rule_list(void *cli);
int cli_ip_rule_add(void *cli);
int cli_ip_rule_remove(void *cli);
int cli_endpoint_add(void *cli);
int cli_endpoint_remove(void *cli);
int cli_certificate_list(void *cli);
int cli_certificate_add(void *cli);
int cli_certificate_verify(void *cli);
int cli_certificate_remove(void *cli);
int cli_device_list(void *cli);
int cli_device_add(void *cli);
int cli_device_update(void *cli);
int cli_device_diagnose(void *cli);
int cli_device_export(void *cli);
int cli_device_import(void *cli);
int cli_module_list(void *cli);
int cli_module_add(void *cli);
int cli_identity_show(void *cli);
int cli_identity_remove(void *cli);
int cli_connection_string(void *cli);
int cli_sas(void *cli);
int cli_sim_list(void *cli);
int cli_sim_show(void *cli);
int cli_sim_run(void *cli);
int cli_sim_remove(void *cli);
int cli_sim_follow(void *cli);
int cli_series_list(void *cli);
int cli_series_show(void *cli);
int cli_series_remove(void *cli);
int cli_rule_list(void *cli);
int cli_rule_show(void *cli);
int cli_rule_set(void *cli);
int cli_rule_enable(void *cli);
int cli_rule_disable(void *cli);
int cli_rule_remove(void *cli);
int cli_alarm_list(void *cli);
int cli_alarm_show(void *cli);
int cli_alarm_acknowledge(void *cli);
int cli_alarm_close(void *cli);
int cli_alarm_remove(void *cli);
int cli_group_list(void *cli);
int cli_group_show(void *cli);
int cli_group_set(void *cli);
int cli_group_remove(void *cli);
int cli_twin_show(void *cli);
int cli_twin_history(void *cli);
int cli_twin_diff(void *cli);
int cli_twin_update(void *cli);
int cli_twin_replace(void *cli);
int cli_method_call(void *cli);
int cli_telemetry_send(void *cli);
int cli_message_send(void *cli);
int cli_feedback_watch(void *cli);
int cli_file_watch(void *cli);
int cli_file_list(void *cli);
int cli_file_get(void *cli);
int cli_events_watch(void *cli);
int cli_query(void *cli);
int cli_edge_set_modules(void *cli);
int cli_edge_patch_modules(void *cli);
int cli_deployment_list(void *cli);
int cli_configuration_list(void *cli);
int cli_configuration_show(void *cli);
int cli_deployment_create(void *cli);
int cli_configuration_create(void *cli);
int cli_configuration_update(void *cli);
int cli_configuration_patch(void *cli);
int cli_configuration_explain(void *cli);
int cli_configuration_remove(void *cli);
int cli_job_update_twins(void *cli);
int cli_job_call_method(void *cli);
int cli_job_list(void *cli);
int cli_job_show(void *cli);
int cli_job_devices(void *cli);
int cli_job_cancel(void *cli);
int cli_route_test(void *cli);
int cli_route_explain(void *cli);
int cli_endpoint_list(void *cli);
int cli_endpoint_show(void *cli);
int cli_endpoint_dead_letters(void *cli);

/* "DEVICE" or "DEVICE/MODULE" → the path under /devices or /twins. */
const char *cli_target(struct cli *cli, const char *root, const char *target);
/* What --desired and --tags say as a twin; what is called as the body of a method: the second word,
 * --payload and --timeout. Owned by the caller; NULL with a message. */
json_t *cli_twin_body(struct cli *cli);
json_t *cli_method_body(struct cli *cli);
/* All pages of a query, printed. */
int cli_show_query(struct cli *cli, const char *query, const char *const *columns);
/* JSON from --name, or from a file with --name @FILE; NULL with a message when it is not JSON. */
json_t *cli_json(struct cli *cli, const char *name, const char *text);

#endif
