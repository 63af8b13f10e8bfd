#include "hub/account.h"

#include <stdio.h>

#include "azure/blob_auth.h"
#include "azure/storage_account.h"
#include "net/trust.h"
#include "trust/sas.h"

enum { SIGNED_S = 300 /* how long our own signatures are good for */ };

struct hub_account {
    struct sk_io *io;
    struct sk_arena arena; /* of the account's texts */
    struct sk_storage_account said;
    struct sk_url url;
    char *host;
    struct sk_tls *tls;
    struct sk_http_client *client;
};

/* ---- asking ---- */

static void put_target(const struct hub_account *account, const struct hub_account_ask *ask,
                       struct sk_buffer *to) {
    struct sk_blob_target target = {account->said.name, ask->container, ask->blob};
    struct sk_span rest = ask->blob, segment;
    sk_buffer_append(to, account->url.rest);
    sk_buffer_print(to, "/%.*s", SK_ARG(ask->container));
    while (sk_span_split(&rest, '/', &segment)) {
        sk_buffer_byte(to, '/');
        sk_percent_encode(to, segment);
    }
    sk_blob_sas_put(to, &target, account->said.key, ask->rights,
                    sk_io_wall(account->io) + SIGNED_S * 1000000ll);
    if (ask->query) sk_buffer_print(to, "&%s", ask->query);
}

void hub_account_send(struct hub_account *account, const struct hub_account_ask *ask) {
    struct sk_http_pair headers[4] = {{"x-ms-version", SK_SPAN("2021-08-06")}};
    struct sk_buffer target = {0};
    size_t count = 1;
    if (ask->if_none_match)
        headers[count++] = (struct sk_http_pair){"If-None-Match", sk_span_z(ask->if_none_match)};
    if (ask->if_match.n) headers[count++] = (struct sk_http_pair){"If-Match", ask->if_match};
    if (ask->range) headers[count++] = (struct sk_http_pair){"Range", sk_span_z(ask->range)};
    put_target(account, ask, &target);
    sk_http_client_send(account->client, &(struct sk_http_ask){.method = ask->method,
                                                               .target = sk_buffer_span(&target),
                                                               .headers = headers,
                                                               .header_count = count,
                                                               .body = ask->body,
                                                               .timeout_ms = ask->timeout_ms,
                                                               .done = ask->done,
                                                               .arg = ask->arg});
    sk_buffer_free(&target);
}

/* ---- blocks ---- */

/* Ids have one length, as the service wants; of six bytes base64 is without '='. */
static void put_id(struct sk_buffer *to, unsigned number) {
    char text[7];
    snprintf(text, sizeof text, "%06u", number % 1000000);
    sk_base64_encode(to, sk_span(text, 6));
}

void hub_account_block_query(unsigned number, struct sk_buffer *query) {
    sk_buffer_text(query, "comp=block&blockid=");
    put_id(query, number);
}

void hub_account_block_list(unsigned count, struct sk_buffer *body) {
    sk_buffer_text(body, "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
    for (unsigned i = 0; i < count; i++) {
        sk_buffer_text(body, "<Latest>");
        put_id(body, i);
        sk_buffer_text(body, "</Latest>");
    }
    sk_buffer_text(body, "</BlockList>");
}

/* ---- looking ---- */

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

void hub_account_look(struct hub_account *account, struct sk_span container, struct sk_span blob,
                      hub_blob_done *done, void *arg) {
    struct look *look = SK_NEW(struct look);
    *look = (struct look){done, arg};
    hub_account_send(account, &(struct hub_account_ask){.method = SK_HTTP_HEAD,
                                                        .container = container,
                                                        .blob = blob,
                                                        .rights = SK_BLOB_READ,
                                                        .done = answered,
                                                        .arg = look});
}

/* ---- whose a URI is ---- */

struct sk_span hub_account_container_of(const struct hub_account *account, struct sk_span uri,
                                        unsigned rights, struct sk_arena *arena, const char **why) {
    struct sk_span base = account->said.blobs;
    struct sk_blob_sas sas;
    *why = NULL;
    if (!sk_span_starts_nocase(uri, base) || uri.n <= base.n || uri.p[base.n] != '/')
        return SK_NONE;
    struct sk_span rest = sk_span_skip(uri, base.n + 1);
    size_t question = sk_span_find(rest, '?');
    struct sk_blob_target target = {account->said.name, sk_span_first(rest, question), SK_NONE};
    if (target.container.n && target.container.p[target.container.n - 1] == '/')
        target.container.n--;
    *why = "its signature is not by the storage account's key, or not for this container";
    if (target.container.n == 0 ||
        sk_blob_sas_read(sk_span_skip(rest, question + 1), arena, &sas) ||
        !sk_blob_sas_fits(&sas, &target, account->said.key))
        return SK_NONE;
    int64_t now = sk_io_wall(account->io), skew = SK_SAS_SKEW_S * 1000000ll;
    *why = "its signature's time has passed, or has not come";
    if (now + skew < sas.from_us || now - skew > sas.to_us) return SK_NONE;
    *why = HUB_RIGHTS_MISSING;
    return (sas.rights & rights) == rights ? sk_arena_copy(arena, target.container) : SK_NONE;
}

/* ---- what is said of it ---- */

struct sk_span hub_account_name(const struct hub_account *account) {
    return account->said.name;
}

struct sk_span hub_account_key(const struct hub_account *account) {
    return account->said.key;
}

struct sk_span hub_account_host(const struct hub_account *account) {
    struct sk_span url = account->said.blobs;
    return sk_span_skip(url, sk_span_find(url, ':') + 3);
}

bool hub_account_fine(struct sk_span text, char why[SK_CONFIG_WHY_MAX]) {
    struct sk_arena arena = {0};
    struct sk_storage_account account;
    char error[256];
    enum sk_status status = sk_storage_account_parse(text, &arena, &account, error);
    if (status) snprintf(why, SK_CONFIG_WHY_MAX, "%.*s", SK_CONFIG_WHY_MAX - 1, error);
    sk_arena_free(&arena);
    return status == SK_OK;
}

/* ---- life ---- */

enum sk_status hub_account_open(struct sk_io *io, const char *connection_string,
                                const char *ca_file, struct hub_account **opened, char why[256]) {
    struct hub_account *account = *opened = SK_NEW(struct hub_account);
    account->io = io;
    struct sk_span text = sk_arena_copy(&account->arena, sk_span_z(connection_string));
    enum sk_status status = sk_storage_account_parse(text, &account->arena, &account->said, why);
    if (!status) status = sk_url_parse(account->said.blobs, &account->url);
    if (!status && account->url.secure)
        status = sk_tls_trusting(io, ca_file, NULL, &account->tls, why);
    account->host = sk_span_dup(account->url.host);
    if (!status)
        status = sk_http_client_new(
            io,
            &(struct sk_http_client_options){
                .to = {.host = account->host, .port = account->url.port}, .tls = account->tls},
            &account->client);
    return status;
}

void hub_account_close(struct hub_account *account) {
    if (account == NULL) return;
    if (account->client) sk_http_client_free(account->client);
    if (account->tls) sk_tls_free(account->tls);
    sk_arena_free(&account->arena);
    free(account->host);
    free(account);
}
