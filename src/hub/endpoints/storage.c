/* Files in a container: of the hub's own blob service, or of a storage account. */
#include <stdio.h>

#include "azure/blob_auth.h"
#include "hub/account.h"
#include "hub/endpoints/files.h"

static struct sk_hub *hub_with(const struct writer *w) {
    return w->endpoint->hub;
}

static struct sk_span name_of(const struct part *part) {
    return sk_span_z(part->name.p);
}

static void looked(void *part, enum sk_status status, uint64_t size, int64_t modified_us) {
    (void)size, (void)modified_us;
    part_looked(part, status);
}

/* ---- the hub's own: what is put goes to the disk, and is a blob at the end ---- */

struct own {
    struct hub_blob_writer *writer;
    bool waiting; /* part_moved is to be called */
};

static struct sk_span own_container(const struct writer *w) {
    return sk_span_z(w->endpoint->options->to);
}

static enum sk_status open_own(struct writer *w, char reason[512]) {
    (void)w, (void)reason;
    return SK_OK;
}

static void close_own(struct writer *w) {
    (void)w;
}

static enum sk_status ready_own(struct writer *w) {
    if (hub_blobs_make_container(hub_with(w), own_container(w))) return SK_OK;
    snprintf(w->why, sizeof w->why, "the container %s is being deleted", w->endpoint->options->to);
    return SK_AGAIN;
}

static enum sk_status look_own(struct part *part) {
    hub_blob_look(hub_with(part->writer), own_container(part->writer), name_of(part), looked, part);
    return SK_AGAIN;
}

static void moved(void *arg) {
    struct part *part = arg;
    struct own *own = part->state;
    enum sk_status status = hub_blob_write_status(own->writer);
    bool finishing = part->writer->finishing;
    if (!own->waiting || (finishing && status == SK_AGAIN)) return;
    own->waiting = false;
    part_moved(part, finishing ? status : SK_OK);
}

static void write_own(struct part *part) {
    struct own *own = part->state;
    if (own == NULL) {
        own = part->state = SK_NEW(struct own);
        own->writer = hub_blob_write(hub_with(part->writer), own_container(part->writer),
                                     name_of(part), moved, part);
    }
    if (hub_blob_write_part(own->writer, sk_buffer_span(&part->bytes)))
        part_moved(part, SK_OK);
    else
        own->waiting = true;
}

static void finish_own(struct part *part) {
    struct own *own = part->state;
    enum sk_status status = ready_own(part->writer);
    if (status) {
        part_moved(part, status);
        return;
    }
    own->waiting = true;
    hub_blob_write_end(own->writer);
}

static void forget_own(struct part *part) {
    struct own *own = part->state;
    if (own == NULL) return;
    hub_blob_write_free(own->writer);
    free(own);
}

const struct place place_container = {open_own,   ready_own,  look_own, write_own,
                                      finish_own, forget_own, close_own};

/* ---- a storage account: blocks, and at the end the list of them, which makes the blob ---- */

struct blocks {
    struct sk_buffer gathering;
    unsigned count; /* that were put */
};

static struct sk_span container_of(const struct writer *w) {
    return sk_span_z(w->endpoint->options->entity);
}

static enum sk_status open_account(struct writer *w, char reason[512]) {
    struct hub_account *account = NULL;
    const struct sk_hub_endpoint *options = w->endpoint->options;
    char why[256] = "";
    enum sk_status status =
        hub_account_open(hub_with(w)->backend.io, options->to, options->ca_file, &account, why);
    w->state = account;
    if (status) snprintf(reason, 512, "endpoint %s: %s", options->name, why);
    return status;
}

static void close_account(struct writer *w) {
    hub_account_close(w->state);
}

static enum sk_status ready_account(struct writer *w) {
    (void)w;
    return SK_OK;
}

static enum sk_status look_account(struct part *part) {
    hub_account_look(part->writer->state, container_of(part->writer), name_of(part), looked, part);
    return SK_AGAIN;
}

static void put(struct part *part, const char *query, const char *if_none_match,
                struct sk_span body,
                void (*done)(void *, enum sk_status, const struct sk_http_parser *)) {
    const struct sk_hub_endpoint *options = part->writer->endpoint->options;
    hub_account_send(part->writer->state,
                     &(struct hub_account_ask){.method = SK_HTTP_PUT,
                                               .container = container_of(part->writer),
                                               .blob = name_of(part),
                                               .rights = SK_BLOB_CREATE | SK_BLOB_WRITE,
                                               .query = query,
                                               .if_none_match = if_none_match,
                                               .body = body,
                                               .timeout_ms = (uint32_t)(options->timeout_us / 1000),
                                               .done = done,
                                               .arg = part});
}

/* 201, or what it says instead. */
static enum sk_status outcome(struct writer *w, enum sk_status status,
                              const struct sk_http_parser *answer) {
    if (status || w->closed) return status ? status : SK_CLOSED;
    if (answer->status == 201) return SK_OK;
    struct sk_span code = sk_http_header(answer, "x-ms-error-code"),
                   host = hub_account_host(w->state);
    snprintf(w->why, sizeof w->why, "%.*s answered %u %.*s", SK_ARG(sk_span_first(host, 80)),
             answer->status, SK_ARG(sk_span_first(code, 60)));
    return SK_REFUSED;
}

static void put_block(struct part *part,
                      void (*done)(void *, enum sk_status, const struct sk_http_parser *)) {
    struct blocks *blocks = part->state;
    struct sk_buffer query = {0};
    hub_account_block_query(blocks->count++, &query);
    sk_buffer_byte(&query, 0);
    put(part, query.p, NULL, sk_buffer_span(&blocks->gathering), done);
    sk_buffer_free(&query);
    sk_buffer_shrink(&blocks->gathering, 0);
}

static void block_is_put(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct part *part = arg;
    part_moved(part, outcome(part->writer, status, answer));
}

static void write_account(struct part *part) {
    struct blocks *blocks = part->state;
    if (blocks == NULL) blocks = part->state = SK_NEW(struct blocks);
    sk_buffer_append(&blocks->gathering, sk_buffer_span(&part->bytes));
    if (blocks->gathering.n < HUB_ACCOUNT_BLOCK)
        part_moved(part, SK_OK);
    else
        put_block(part, block_is_put);
}

static void put_list(struct part *part) {
    const struct blocks *blocks = part->state;
    struct sk_buffer list = {0};
    hub_account_block_list(blocks->count, &list);
    put(part, HUB_ACCOUNT_LIST_QUERY, "*", sk_buffer_span(&list), block_is_put);
    sk_buffer_free(&list);
}

static void last_is_put(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct part *part = arg;
    enum sk_status ended = outcome(part->writer, status, answer);
    if (ended)
        part_moved(part, ended);
    else
        put_list(part);
}

static void finish_account(struct part *part) {
    const struct blocks *blocks = part->state;
    if (blocks->gathering.n)
        put_block(part, last_is_put);
    else
        put_list(part);
}

/* The service forgets blocks that no list names. */
static void forget_account(struct part *part) {
    struct blocks *blocks = part->state;
    if (blocks == NULL) return;
    sk_buffer_free(&blocks->gathering);
    free(blocks);
}

const struct place place_account = {open_account,   ready_account,  look_account, write_account,
                                    finish_account, forget_account, close_account};

/* ---- the kind ---- */

static bool is_account(const struct sk_hub_endpoint *options) {
    return strchr(options->to, '=') != NULL;
}

static bool check(const struct sk_hub_endpoint *options, char why[SK_CONFIG_WHY_MAX]) {
    struct sk_span name = sk_span_z(options->entity);
    if (!is_account(options)) return hub_blobs_container_fine(sk_span_z(options->to), why);
    if (!hub_account_fine(sk_span_z(options->to), why)) return false;
    if (name.n) return hub_blobs_container_fine(name, why);
    snprintf(why, SK_CONFIG_WHY_MAX,
             "of a storage account `entity` says the container, such as \"telemetry\"");
    return false;
}

static enum sk_status open_container(struct endpoint *e, char reason[512]) {
    return writer_open(e, is_account(e->options) ? &place_account : &place_container, reason);
}

const struct endpoint_kind endpoint_storage = {.check = check,
                                               .open = open_container,
                                               .send = writer_send,
                                               .flush = writer_flush,
                                               .close = writer_close};
