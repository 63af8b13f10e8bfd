/* Blobs of a storage account: read range by range, written block by block. */
#include <stdio.h>

#include "hub/account.h"
#include "hub/transfers/parts.h"

enum { RANGE = 256 * 1024, TRIES = 6 };

struct away {
    struct sk_hub *hub;
    char *container, *blob;
    void (*moved)(void *arg);
    void *arg;
    /* What is asked; kept until its answer has come, to ask again. */
    struct hub_account_ask ask;
    struct sk_buffer query, body;
    char range[64];
    unsigned tries;
    bool asking, dropped;
    struct sk_timer again;
    void (*answered)(void *who, enum sk_status status, const struct sk_http_parser *answer);
    void *who;
};

struct away *away_new(struct sk_hub *hub, const struct place *place, struct sk_span blob,
                      void (*moved)(void *arg), void *arg) {
    struct away *away = SK_NEW(struct away);
    away->hub = hub;
    away->container = sk_text_dup(place->name);
    away->blob = sk_span_dup(blob);
    away->moved = moved;
    away->arg = arg;
    return away;
}

void away_free(struct away *away) {
    away->dropped = true;
    sk_timer_stop(&away->again);
    if (away->asking) return; /* it goes with the answer */
    sk_buffer_free(&away->query);
    sk_buffer_free(&away->body);
    free(away->container);
    free(away->blob);
    free(away);
}

/* ---- asking, and asking again ---- */

static void ask(struct away *away);

static void again_now(struct sk_timer *timer) {
    ask(SK_CONTAINER(timer, struct away, again));
}

/* It may be another answer in a while. */
static bool passes(const struct away *away, enum sk_status status,
                   const struct sk_http_parser *answer) {
    if (status) return status != SK_UNAUTHORIZED && !away->hub->closing;
    return answer->status >= 500 || answer->status == 429;
}

static void answer_came(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct away *away = arg;
    away->asking = false;
    if (away->dropped) {
        away_free(away);
    } else if (passes(away, status, answer) && ++away->tries < TRIES) {
        sk_timer_start(away->hub->backend.io, &away->again, SK_S << away->tries, again_now);
    } else {
        away->tries = 0;
        away->answered(away->who, status, answer);
    }
}

static void ask(struct away *away) {
    struct hub_account *account = hub_files_account(away->hub);
    if (account == NULL) return; /* it went with the hub, whose end ends this too */
    away->asking = true;
    away->ask.container = sk_span_z(away->container);
    away->ask.blob = sk_span_z(away->blob);
    away->ask.query = away->query.n ? away->query.p : NULL;
    away->ask.body = sk_buffer_span(&away->body);
    away->ask.done = answer_came;
    away->ask.arg = away;
    hub_account_send(account, &away->ask);
}

/* Whether the account answered with `wanted`; what else it says is logged. */
static enum sk_status outcome(enum sk_status status, const struct sk_http_parser *answer,
                              unsigned wanted) {
    if (status || answer->status == wanted) return status;
    struct sk_span code = sk_http_header(answer, "x-ms-error-code");
    SK_WARN("hub", "the storage account answered %u %.*s", answer->status,
            SK_ARG(sk_span_first(code, 60)));
    return answer->status == 404 ? SK_NOT_FOUND : SK_REFUSED;
}

/* ---- reading ---- */

static void take_range(struct away_reader *reader, const struct sk_http_parser *answer) {
    struct sk_span body = sk_buffer_span(&answer->body),
                   range = sk_http_header(answer, "Content-Range"),
                   etag = sk_http_header(answer, "ETag");
    int64_t size = 0;
    size_t slash = sk_span_find(range, '/');
    if (sk_span_to_int(sk_span_skip(range, slash + 1), &size) || size <= 0) {
        reader->status = SK_REFUSED;
        return;
    }
    reader->size = (uint64_t)size;
    reader->etag.n = 0;
    sk_buffer_append(&reader->etag, etag);
    if (reader->skips) body = sk_span_skip(body, 1);
    reader->skips = false;
    reader->text.n = reader->taken = 0;
    sk_buffer_append(&reader->text, body);
    reader->at += body.n;
    if (body.n == 0 && reader->at < reader->size) reader->status = SK_REFUSED;
}

static void range_came(void *who, enum sk_status status, const struct sk_http_parser *answer) {
    struct away_reader *reader = who;
    if (!status && answer->status == 416) { /* there is nothing in it */
        reader->size = reader->at;
        reader->text.n = reader->taken = 0;
        reader->status = SK_OK;
    } else {
        reader->status = outcome(status, answer, 206);
        if (!reader->status) take_range(reader, answer);
    }
    reader->away->moved(reader->away->arg);
}

static void ask_range(struct away_reader *reader) {
    struct away *away = reader->away;
    uint64_t from = reader->at - reader->skips;
    reader->status = SK_AGAIN;
    snprintf(away->range, sizeof away->range, "bytes=%llu-%llu", (unsigned long long)from,
             (unsigned long long)from + RANGE - 1);
    away->ask = (struct hub_account_ask){.method = SK_HTTP_GET,
                                         .rights = SK_BLOB_READ,
                                         .range = away->range,
                                         .if_match = sk_buffer_span(&reader->etag)};
    away->answered = range_came;
    away->who = reader;
    ask(away);
}

void away_read(struct away_reader *reader, uint64_t from) {
    reader->at = from;
    reader->skips = from > 0; /* so that there is an answer with an etag at the end, too */
    reader->size = UINT64_MAX;
    ask_range(reader);
}

enum sk_status away_read_part(struct away_reader *reader, char *to, size_t n, size_t *got) {
    struct sk_span rest = sk_span_skip(sk_buffer_span(&reader->text), reader->taken);
    *got = 0;
    if (reader->status) return reader->status;
    if (rest.n == 0 && reader->at < reader->size) {
        ask_range(reader);
        return SK_AGAIN;
    }
    *got = rest.n < n ? rest.n : n;
    if (*got) memcpy(to, rest.p, *got);
    reader->taken += *got;
    return SK_OK;
}

/* ---- writing ---- */

static void go_on(struct away_writer *writer);

static void put(struct away_writer *writer,
                void (*answered)(void *, enum sk_status, const struct sk_http_parser *)) {
    struct away *away = writer->away;
    sk_buffer_byte(&away->query, 0);
    away->query.n--;
    away->ask =
        (struct hub_account_ask){.method = SK_HTTP_PUT, .rights = SK_BLOB_CREATE | SK_BLOB_WRITE};
    away->answered = answered;
    away->who = writer;
    ask(away);
}

static void block_is_put(void *who, enum sk_status status, const struct sk_http_parser *answer) {
    struct away_writer *writer = who;
    enum sk_status ended = outcome(status, answer, 201);
    if (ended)
        writer->status = ended;
    else
        go_on(writer);
    writer->away->moved(writer->away->arg);
}

static void put_block(struct away_writer *writer) {
    struct away *away = writer->away;
    away->query.n = 0;
    hub_account_block_query(writer->blocks++, &away->query);
    struct sk_buffer block = away->body;
    away->body = writer->gathering;
    writer->gathering = block;
    writer->gathering.n = 0;
    put(writer, block_is_put);
}

static void list_is_put(void *who, enum sk_status status, const struct sk_http_parser *answer) {
    struct away_writer *writer = who;
    writer->status = outcome(status, answer, 201);
    writer->away->moved(writer->away->arg);
}

static void put_list(struct away_writer *writer) {
    struct away *away = writer->away;
    writer->listed = true;
    away->query.n = away->body.n = 0;
    sk_buffer_text(&away->query, HUB_ACCOUNT_LIST_QUERY);
    hub_account_block_list(writer->blocks, &away->body);
    put(writer, list_is_put);
}

/* The next request, if there is one to make and none under way. */
static void go_on(struct away_writer *writer) {
    struct away *away = writer->away;
    if (away->asking || away->tries || writer->status != SK_AGAIN || writer->listed) return;
    if (writer->gathering.n >= HUB_ACCOUNT_BLOCK || (writer->ended && writer->gathering.n))
        put_block(writer);
    else if (writer->ended)
        put_list(writer);
}

bool away_write_part(struct away_writer *writer, struct sk_span bytes) {
    if (writer->status != SK_AGAIN) return true; /* nobody waits for what is dropped */
    sk_buffer_append(&writer->gathering, bytes);
    go_on(writer);
    return writer->gathering.n < HUB_ACCOUNT_BLOCK;
}

void away_write_end(struct away_writer *writer) {
    writer->ended = true;
    go_on(writer);
}
