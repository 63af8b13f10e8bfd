/* Runs statements on a PostgreSQL server, one at a time, on one connection that is made when there
 * is something to run and kept while it lasts. Belongs to its loop's thread. */
#ifndef SK_NET_POSTGRES_H
#define SK_NET_POSTGRES_H

#include "io/io.h"
#include "wire/postgres.h"

/* All texts are copied; `tls` must outlive the client. */
struct sk_postgres_options {
    struct sk_endpoint to;
    struct sk_tls *tls; /* NULL: none, and then no password in clear */
    const char *user, *password, *database;
};

struct sk_postgres;
struct sk_postgres *sk_postgres_new(struct sk_io *io, const struct sk_postgres_options *options);
/* What is under way is dropped; nobody hears of it. NULL is fine. */
void sk_postgres_free(struct sk_postgres *postgres);

/* SK_OK: it was run and committed. SK_REFUSED: the server says `code` (SQLSTATE) to the statement.
 * Any other: it could not be asked, or what became of it is not known. `why`: one sentence, in
 * which any bytes may be that the server has said. May run the next, not free the client. */
typedef void sk_postgres_done(void *arg, enum sk_status status, const char *code, const char *why);
/* A statement of its own transaction that gives no rows; parameters as in
 * sk_postgres_put_statement, copied. `done` comes once, never from inside. */
void sk_postgres_run(struct sk_postgres *postgres, const char *sql,
                     const struct sk_span *parameters, size_t count, uint32_t timeout_ms,
                     sk_postgres_done *done, void *arg);

#endif
