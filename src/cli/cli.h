/* What the commands of `skerry` share: the table of them, the connection, calls to its end, and output.
 * Inside src/cli only. */
#ifndef SK_CLI_CLI_H
#define SK_CLI_CLI_H

#include <jansson.h>
#include <stdio.h>

#include "net/http_client.h"

enum { CLI_FINE = 0, CLI_REFUSED = 1, CLI_USAGE = 2 };
enum cli_output { CLI_TABLE, CLI_JSON, CLI_JSONL, CLI_TSV };

struct cli;

/* --- the table of commands: commands.c --- */

struct cli_option_row {
    const char *name;
    /* What stands behind it; NULL: nothing, it is a flag. Choices in lower case, "on|off", are checked. */
    const char *value;
    const char *does;
    bool many; /* may be said more than once */
};

struct cli_command {
    const char *name;                     /* "device add" */
    const char *words;                    /* what must follow, "TARGET NAME" */
    const struct cli_option_row *options; /* its own; ends with a row without name; NULL: none */
    const char *does;                     /* one sentence */
    const char *example;                  /* what to type behind the name */
    int (*run)(struct cli *cli);
    bool alone; /* needs no hub */
};

/* Ends with a row without name. Commands of a group stand together. */
extern const struct cli_command cli_commands[];
/* The command that the first words of `arguments` name, which ends with NULL; `used`: how many of them. NULL
 * with a sentence on stderr, and what it may have meant. */
const struct cli_command *cli_command_find(const char *const *arguments, size_t *used);
/* The first word of a command's name. */
struct sk_span cli_group_of(const struct cli_command *command);
/* Whether commands of more than one word begin with this one. */
bool cli_group_known(const char *word);
/* --- help.c: all of it comes out of the table --- */
void cli_help(FILE *to);
void cli_help_group(FILE *to, const char *group);
void cli_help_command(FILE *to, const struct cli_command *command);
/* docs/reference/skerry.md */
int cli_reference(struct cli *cli);
int cli_completion(struct cli *cli);

/* --- one run --- */

struct cli {
    struct sk_io *io;
    struct sk_arena arena;
    const struct cli_command *command;
    enum cli_output output;
    bool wide; /* long values are not cut */
    /* login */
    const char *login, *profile, *ca_file;
    struct sk_span host, policy, key;
    uint16_t port, amqp_port;
    struct sk_tls *tls;
    struct sk_http_client *http;
    /* what was typed behind the command; as many words as its row has */
    const char *words[16];
    size_t word_count;
    struct cli_option {
        const char *name, *value; /* value NULL: a flag */
    } options[32];
    size_t option_count;
};

/* --- typed.c --- */
/* What every command takes. */
extern const struct cli_option_row cli_everywhere[];

/* The option of a command, or NULL. */
const struct cli_option_row *cli_option_find(const struct cli_command *command, const char *name);
/* The name of an option near to this, or nothing. */
struct sk_span cli_option_near(const struct cli_command *command, const char *name);
/* "skerry device add DEVICE [--edge] …" */
void cli_usage_line(FILE *to, const struct cli_command *command);
/* Takes what was typed behind the command, which ends with NULL and stays; false with a message. */
bool cli_read(struct cli *cli, char **arguments);
/* The value of --name, or NULL; flags give "". */
const char *cli_option(const struct cli *cli, const char *name);
/* The number of --name into *value, which keeps its own when the option is not there. False with a message
 * when it is none from `least` to `most`. */
bool cli_number(const struct cli *cli, const char *name, int64_t least, int64_t most,
                int64_t *value);
/* One sentence to stderr; returns CLI_REFUSED, or CLI_USAGE with the command's usage behind it. */
int cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int cli_usage(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

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
/* A call to its end. `body` borrowed. Refusals are printed and give CLI_REFUSED. */
int cli_call(struct cli *cli, enum sk_http_method method, const char *path, const json_t *body,
             const char *if_match, const char *continuation, struct cli_answer *answer);
/* Prints why host:port could not be talked to; CLI_REFUSED. */
int cli_explain(const char *host, uint16_t port, enum sk_status status);
/* Calls and prints the answer. */
int cli_show(struct cli *cli, enum sk_http_method method, const char *path, const json_t *body,
             const char *if_match, const char *const *columns);

/* --- print.c --- */
/* A value as the chosen output says. `columns` NULL-terminated dotted paths for tables of objects, short
 * ones first; NULL: all members. */
void cli_print(const struct cli *cli, const json_t *value, const char *const *columns);
/* How the value of a member looks to a person, at `now_us`: "never", "3 min ago", or its text. Owned by the
 * caller. `with_time`: an age stands behind its time. */
char *cli_text(const char *name, const json_t *value, int64_t now_us, bool with_time);
/* Characters, not bytes. */
int cli_width(const char *text);
/* Gives columns of these widths together at most `room` characters, two between each: the widest lose first,
 * none goes below a few. */
void cli_fit(int *widths, size_t count, int room);

/* --- commands --- */
int cli_login(struct cli *cli);
int cli_certificate_list(struct cli *cli);
int cli_certificate_add(struct cli *cli);
int cli_certificate_verify(struct cli *cli);
int cli_certificate_remove(struct cli *cli);
int cli_device_list(struct cli *cli);
int cli_device_add(struct cli *cli);
int cli_device_update(struct cli *cli);
int cli_module_list(struct cli *cli);
int cli_module_add(struct cli *cli);
int cli_identity_show(struct cli *cli);
int cli_identity_remove(struct cli *cli);
int cli_connection_string(struct cli *cli);
int cli_sas(struct cli *cli);
int cli_twin_show(struct cli *cli);
int cli_twin_update(struct cli *cli);
int cli_twin_replace(struct cli *cli);
int cli_method_call(struct cli *cli);
int cli_telemetry_send(struct cli *cli);
int cli_message_send(struct cli *cli);
int cli_feedback_watch(struct cli *cli);
int cli_events_watch(struct cli *cli);
int cli_query(struct cli *cli);
int cli_edge_set_modules(struct cli *cli);

/* "DEVICE" or "DEVICE/MODULE" → the path under /devices or /twins. */
const char *cli_target(struct cli *cli, const char *root, const char *target);
/* JSON from --name, or from a file with --name @FILE; NULL with a message when it is not JSON. */
json_t *cli_json(struct cli *cli, const char *name, const char *text);

#endif
