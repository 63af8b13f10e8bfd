/* A table of PostgreSQL: a batch is one statement, so all of it is there or nothing.
 *
 * What the server says to values (a column of another type, a constraint) refuses them; all else is
 * tried again, as rights and tables are mended at the other side. */
#include <stdio.h>

#include "hub/endpoints/parts.h"
#include "hub/endpoints/table.h"
#include "net/postgres.h"

struct table {
    struct sk_arena arena; /* what the configuration says */
    struct endpoint_url url;
    struct sk_tls *tls;
    struct sk_postgres *postgres;
    bool creating, created; /* the table, for this batch */
};

/* ---- where ---- */

static const struct endpoint_scheme schemes[] = {
    {"postgresql://", true, 5432}, {"postgresql+plain://", false, 5432}, {0}};

static bool parse(const struct sk_hub_endpoint *options, struct sk_arena *arena,
                  struct endpoint_url *url) {
    return endpoint_url_parse(sk_span_z(options->to), schemes, arena, url) && url->user &&
           url->user[0] && url->rest[0];
}

/* No two columns have a name. */
static bool columns_differ(const struct sk_hub_endpoint *options) {
    for (size_t i = 0; i < options->column_count; i++)
        for (size_t j = 0; j < i; j++) {
            struct sk_span a = sk_span_z(options->columns[i]), b = sk_span_z(options->columns[j]);
            if (sk_span_eq(sk_span_first(a, sk_span_find(a, '=')),
                           sk_span_first(b, sk_span_find(b, '='))))
                return false;
        }
    return true;
}

static bool check(const struct sk_hub_endpoint *options, char why[SK_CONFIG_WHY_MAX]) {
    struct sk_arena arena = {0};
    struct endpoint_url url;
    bool fine = parse(options, &arena, &url), differ = columns_differ(options);
    sk_arena_free(&arena);
    snprintf(why, SK_CONFIG_WHY_MAX,
             fine ? "two of the table's columns have one name"
                  : "a database is a URL, such as \"postgresql://user:password@server/database\"");
    return fine && differ;
}

/* ---- sending ---- */

static void ended(void *arg, enum sk_status status, const char *code, const char *why);

static uint32_t timeout_of(const struct endpoint *e) {
    return (uint32_t)(e->options->timeout_us / 1000);
}

static void create(struct endpoint *e) {
    struct table *t = e->state;
    struct sk_buffer sql = {0};
    t->creating = t->created = true;
    table_put_create(e->options, &sql);
    sk_postgres_run(t->postgres, sql.p, NULL, 0, timeout_of(e), ended, e);
    sk_buffer_free(&sql);
}

static void insert(struct endpoint *e) {
    struct table *t = e->state;
    size_t count = table_column_count(e->options), rows = 0;
    struct sk_arena arena = {0};
    struct sk_buffer sql = {0};
    struct sk_span *values = sk_arena_alloc(&arena, e->batch.count * count * sizeof *values);
    t->creating = false;
    for (size_t i = 0; i < e->batch.count; i++) {
        struct sk_message message;
        if (endpoint_message(e, i, &arena, &message)) continue;
        table_row(e->options, e->hub->options->name, &message, &arena, values + rows++ * count);
    }
    table_put_insert(e->options, rows, &sql);
    if (rows == 0) /* nothing of it can be read */
        endpoint_ended(e, ENDPOINT_SENT, e->batch.count, NULL);
    else
        sk_postgres_run(t->postgres, sql.p, values, rows * count, timeout_of(e), ended, e);
    sk_buffer_free(&sql);
    sk_arena_free(&arena);
}

/* SQLSTATE: classes 22 (data), 23 (constraints) and 54 (too long) speak of values. */
static bool is_of_values(const char *code) {
    return strncmp(code, "22", 2) == 0 || strncmp(code, "23", 2) == 0 ||
           strncmp(code, "54", 2) == 0;
}

static void ended(void *arg, enum sk_status status, const char *code, const char *why) {
    struct endpoint *e = arg;
    struct table *t = e->state;
    bool no_table = status == SK_REFUSED && strcmp(code, "42P01") == 0;
    if (status == SK_OK && t->creating)
        insert(e);
    else if (status == SK_OK)
        endpoint_ended(e, ENDPOINT_SENT, e->batch.count, NULL);
    else if (no_table && !t->created)
        create(e);
    else
        endpoint_ended(e,
                       status == SK_REFUSED && !t->creating && is_of_values(code) ? ENDPOINT_REFUSED
                                                                                  : ENDPOINT_AGAIN,
                       0, "%s", why);
}

static void send_batch(struct endpoint *e) {
    struct table *t = e->state;
    t->created = false;
    insert(e);
}

/* ---- life ---- */

static void close_table(struct endpoint *e) {
    struct table *t = e->state;
    if (t == NULL) return;
    e->state = NULL;
    sk_postgres_free(t->postgres);
    if (t->tls) sk_tls_free(t->tls);
    sk_arena_free(&t->arena);
    free(t);
}

static enum sk_status open_table(struct endpoint *e, char reason[512]) {
    struct table *t = e->state = SK_NEW(struct table);
    bool fine = parse(e->options, &t->arena, &t->url);
    SK_ASSERT(fine); /* check() has seen it */
    enum sk_status status = endpoint_trust(e, t->url.secure, &t->tls, reason);
    if (status) return status;
    t->postgres = sk_postgres_new(
        e->hub->backend.io,
        &(struct sk_postgres_options){.to = {.host = t->url.host, .port = t->url.port},
                                      .tls = t->tls,
                                      .user = t->url.user,
                                      .password = t->url.password,
                                      .database = t->url.rest});
    return SK_OK;
}

const struct endpoint_kind endpoint_postgresql = {
    .check = check, .open = open_table, .send = send_batch, .close = close_table};
