/* The part of PostgreSQL's protocol, version 3, that a client needs which logs in and runs
 * statements (https://www.postgresql.org/docs/current/protocol.html, chapters 55.2 and 55.7), and
 * SCRAM-SHA-256 (RFC 5802, RFC 7677). No I/O. */
#ifndef SK_WIRE_POSTGRES_H
#define SK_WIRE_POSTGRES_H

#include "base/base.h"

enum {
    SK_POSTGRES_MESSAGE_MAX = 64 * 1024, /* of the server's: statements that give no rows */
    SK_POSTGRES_PARAMETERS_MAX = 65535,
};

void sk_postgres_put_ssl_request(struct sk_buffer *to); /* one byte answers: 'S', or 'N' */
void sk_postgres_put_startup(struct sk_buffer *to, const char *user, const char *database);
void sk_postgres_put_password(struct sk_buffer *to, struct sk_span text); /* or SASL's answer */
void sk_postgres_put_sasl(struct sk_buffer *to, const char *mechanism, struct sk_span first);
void sk_postgres_put_query(struct sk_buffer *to, const char *sql);
/* One statement, $1 and so on in text form; a parameter without a pointer is NULL. */
void sk_postgres_put_statement(struct sk_buffer *to, const char *sql,
                               const struct sk_span *parameters, size_t count);
void sk_postgres_put_terminate(struct sk_buffer *to);

struct sk_postgres_message {
    char type;
    struct sk_span body;
};
/* SK_AGAIN: it is not whole; SK_MALFORMED: it is none, or too long. */
enum sk_status sk_postgres_read(struct sk_span in, struct sk_postgres_message *message,
                                size_t *used);
/* Big-endian from the front of a body; 0 where it is too short. */
uint32_t sk_postgres_take_number(struct sk_span *body);
/* What a message of type 'E' says. */
struct sk_postgres_error {
    struct sk_span code; /* SQLSTATE, such as 22P02 */
    struct sk_span text;
};
void sk_postgres_error_read(struct sk_span body, struct sk_postgres_error *error);

/* ---- SCRAM-SHA-256, without channel binding ---- */

struct sk_scram {
    char nonce[33]; /* printable, by chance; set before the first message */
    unsigned char server_signature[32];
};
void sk_scram_put_first(const struct sk_scram *scram, struct sk_buffer *to);
/* The answer to the server's first message. SK_MALFORMED; SK_TOO_LARGE: it asks for more rounds
 * than SK_SCRAM_ROUNDS_MAX, which would hold up the loop. */
#define SK_SCRAM_ROUNDS_MAX 100000
enum sk_status sk_scram_put_final(struct sk_scram *scram, struct sk_span server_first,
                                  const char *password, struct sk_buffer *to);
/* Whether the server knows the password too. */
bool sk_scram_fits(const struct sk_scram *scram, struct sk_span server_final);

#endif
