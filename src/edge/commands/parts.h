/* What the commands share. Inside src/edge/commands only. */
#ifndef SK_EDGE_COMMANDS_PARTS_H
#define SK_EDGE_COMMANDS_PARTS_H

#include <jansson.h>

#include "edge/commands/commands.h"
#include "net/http_client.h"

/* ---- ask.c: one request, waited for ---- */

struct edge_answer {
    enum sk_status status; /* SK_OK: an answer came, whatever `http` says */
    unsigned http;
    struct sk_buffer body; /* the caller frees it */
    int64_t date_us;       /* of its Date header; 0: none */
};
void edge_ask(const struct sk_http_client_options *options, enum sk_http_method method,
              const char *target, struct sk_span body, struct edge_answer *answer);
/* The same at a socket in the data folder. */
void edge_ask_socket(const struct sk_edge_config *config, const char *socket,
                     enum sk_http_method method, const char *target, struct sk_span body,
                     struct edge_answer *answer);
/* Asks the agent, or the edge hub; true when it answered well, else a sentence was printed and
 * there is nothing to free. */
bool edge_ask_role(const struct sk_edge_config *config, const char *socket,
                   enum sk_http_method method, const char *target, struct sk_span body,
                   struct edge_answer *answer);
/* GET, with a JSON answer: a new reference, or NULL and a sentence was printed. */
json_t *edge_ask_json(const struct sk_edge_config *config, const char *socket, const char *target);
/* Prints an answer's body while it comes. */
int edge_print_stream(const struct sk_edge_config *config, const char *socket, const char *target);
/* A text member, or "". */
const char *edge_text_of(const json_t *json, const char *name);

/* ---- modules.c ---- */

/* How long ago that was, as people say it: "3 minutes", "an hour". */
void edge_age_text(int64_t seconds, char to[32]);
/* Appends "&name=value" when the option was typed. */
void edge_put_query(struct sk_buffer *to, const struct sk_typed *typed, const char *name);

/* ---- run.c: a program of the machine ---- */

/* Runs it and waits. Its output is printed as it comes, or appended to `to`. Returns its exit
 * code; 127: there is none of that name. */
int edge_run_program(const char *const *command, struct sk_buffer *to);
/* The service manager is there (systemd is process 1's). */
bool edge_has_systemd(void);

/* ---- system.c ---- */

/* Writes a configuration, root's alone; a file that is there stays, unless by force. Says what it
 * did; returns the exit code. */
int edge_write_config(struct sk_io *io, const char *path, bool force, struct sk_span text);

/* ---- check.c ---- */

enum edge_verdict {
    EDGE_OK,
    EDGE_WARNING,
    EDGE_ERROR,
    EDGE_FATAL, /* the other checks have no ground to stand on */
    EDGE_SKIPPED,
    EDGE_IGNORED /* --dont-run */
};
struct edge_finding {
    enum edge_verdict verdict;
    char why[400]; /* a sentence; of skipped ones the reason */
    char mend[300];
};
/* What checks look at. */
struct edge_checks {
    struct sk_edge_command *command;
    const struct sk_edge_config *config;
    json_t *agent, *hub; /* what the roles say of themselves; NULL: they do not answer */
};
struct edge_check {
    const char *section, *id;
    const char *does; /* what it makes sure of, in words */
    void (*run)(struct edge_checks *checks, struct edge_finding *finding);
};
extern const struct edge_check edge_checks_configuration[], edge_checks_connectivity[],
    edge_checks_containers[], edge_checks_running[];
/* Fills the finding with a verdict other than EDGE_OK. */
void edge_find(struct edge_finding *finding, enum edge_verdict verdict, const char *mend,
               const char *format, ...) __attribute__((format(printf, 4, 5)));
/* All checks, as JSON in Azure's form: {"checks":{"<id>":{"result":{…}}}}; a new reference. */
json_t *edge_check_document(struct sk_edge_command *command);

#endif
