/* A storage account that speaks the Blob service's REST: devices upload there, with signatures by
 * its key; we only look whether a file has come. */
#include "hub/files/parts.h"

#include <stdio.h>

#include "azure/storage_account.h"
#include "net/http_client.h"
#include "net/trust.h"

enum { LOOK_S = 300 /* how long our own signatures are good for */ };

struct storage {
    struct sk_hub *hub;
    struct sk_arena arena; /* of the account's texts */
    struct sk_storage_account account;
    struct sk_url url;
    char *host;
    struct sk_tls *tls;
    struct sk_http_client *client;
};

struct look {
    hub_blob_done *done;
    void *arg;
};

static void answered(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct look look = *(struct look *)arg;
    int64_t size = 0, modified = 0;
    free(arg);
    if (!status && answer->status == 404) status = SK_NOT_FOUND;
    if (!status &&
        (answer->status != 200 || sk_span_to_int(sk_http_header(answer, "Content-Length"), &size) ||
         size < 0 || sk_time_http_parse(sk_http_header(answer, "Last-Modified"), &modified)))
        status = SK_REFUSED;
    if (status && status != SK_NOT_FOUND && status != SK_CLOSED)
        SK_SELDOM(SK_LEVEL_WARN, "hub", "the storage account cannot be asked: %s %u",
                  sk_status_text(status), answer ? answer->status : 0);
    look.done(look.arg, status, (uint64_t)size, modified);
}

static void put_target(struct storage *storage, struct sk_buffer *to, struct sk_span container,
                       struct sk_span blob) {
    struct sk_blob_target target = {storage->account.name, container, blob};
    struct sk_span rest = blob, segment;
    sk_buffer_append(to, storage->url.rest);
    sk_buffer_print(to, "/%.*s", SK_ARG(container));
    while (sk_span_split(&rest, '/', &segment)) {
        sk_buffer_byte(to, '/');
        sk_percent_encode(to, segment);
    }
    sk_blob_sas_put(to, &target, storage->account.key, SK_BLOB_READ,
                    sk_io_wall(storage->hub->backend.io) + LOOK_S * 1000000ll);
}

void storage_look(struct storage *storage, struct sk_span container, struct sk_span blob,
                  hub_blob_done *done, void *arg) {
    static const struct sk_http_pair headers[] = {{"x-ms-version", {"2021-08-06", 10}}};
    struct look *look = SK_NEW(struct look);
    struct sk_buffer target = {0};
    *look = (struct look){done, arg};
    put_target(storage, &target, container, blob);
    sk_http_client_send(storage->client, &(struct sk_http_ask){.method = SK_HTTP_HEAD,
                                                               .target = sk_buffer_span(&target),
                                                               .headers = headers,
                                                               .header_count = 1,
                                                               .done = answered,
                                                               .arg = look});
    sk_buffer_free(&target);
}

struct sk_span storage_account(const struct storage *storage) {
    return storage->account.name;
}

struct sk_span storage_key(const struct storage *storage) {
    return storage->account.key;
}

struct sk_span storage_host(const struct storage *storage) {
    struct sk_span url = storage->account.blobs;
    return sk_span_skip(url, sk_span_find(url, ':') + 3);
}

bool storage_fine(struct sk_span text, char why[SK_CONFIG_WHY_MAX]) {
    struct sk_arena arena = {0};
    struct sk_storage_account account;
    char error[256];
    enum sk_status status = sk_storage_account_parse(text, &arena, &account, error);
    if (status) snprintf(why, SK_CONFIG_WHY_MAX, "%.*s", SK_CONFIG_WHY_MAX - 1, error);
    sk_arena_free(&arena);
    return status == SK_OK;
}

enum sk_status storage_open(struct sk_hub *hub, struct storage **opened, char reason[512]) {
    const struct sk_hub_file_options *options = &hub->options->files;
    char why[256] = "";
    if (options->connection_string == NULL) return SK_OK;
    struct storage *storage = *opened = SK_NEW(struct storage);
    storage->hub = hub;
    enum sk_status status = sk_storage_account_parse(sk_span_z(options->connection_string),
                                                     &storage->arena, &storage->account, why);
    if (!status) status = sk_url_parse(storage->account.blobs, &storage->url);
    if (!status && storage->url.secure)
        status = sk_tls_trusting(hub->backend.io, options->ca_file, NULL, &storage->tls, why);
    storage->host = sk_span_dup(storage->url.host);
    if (!status)
        status = sk_http_client_new(
            hub->backend.io,
            &(struct sk_http_client_options){
                .to = {.host = storage->host, .port = storage->url.port}, .tls = storage->tls},
            &storage->client);
    if (status) snprintf(reason, 512, "files.connection_string: %s", why);
    return status;
}

void storage_close(struct storage *storage) {
    if (storage == NULL) return;
    if (storage->client) sk_http_client_free(storage->client);
    if (storage->tls) sk_tls_free(storage->tls);
    sk_arena_free(&storage->arena);
    free(storage->host);
    free(storage);
}
