/* A storage account of somebody else's that speaks the Blob service's REST, as a connection string
 * says. Each request is signed for its own blob. Reference: docs/protocols/service-api.md,
 * section 9. */
#ifndef SK_HUB_ACCOUNT_H
#define SK_HUB_ACCOUNT_H

#include "hub/parts.h"
#include "net/http_client.h"

struct hub_account;
/* Nothing is connected yet. `why`: on failure, in words that show no secret. */
enum sk_status hub_account_open(struct sk_io *io, const char *connection_string,
                                const char *ca_file, struct hub_account **account, char why[256]);
/* Ends what is asked with SK_CLOSED, from inside. NULL is fine. */
void hub_account_close(struct hub_account *account);
bool hub_account_fine(struct sk_span connection_string, char why[SK_CONFIG_WHY_MAX]);

struct sk_span hub_account_name(const struct hub_account *account);
struct sk_span hub_account_key(const struct hub_account *account);
/* The host name that clients put behind "https://", with port and path. */
struct sk_span hub_account_host(const struct hub_account *account);

struct hub_account_ask {
    enum sk_http_method method;
    struct sk_span container, blob;
    unsigned rights;                   /* SK_BLOB_… that it takes */
    const char *query;                 /* behind '&', such as HUB_ACCOUNT_LIST_QUERY; NULL: none */
    const char *if_none_match, *range; /* "bytes=0-99"; NULL: none */
    struct sk_span if_match;           /* empty: none */
    struct sk_span body;
    uint32_t timeout_ms;
    void (*done)(void *arg, enum sk_status status, const struct sk_http_parser *answer);
    void *arg;
};
/* The container that a URI with its signature by the account's key leads to, if that opens these
 * rights (SK_BLOB_…) now; a span of the arena. Empty: it does not, for the reason in *why; NULL:
 * the URI is no part of the account. */
struct sk_span hub_account_container_of(const struct hub_account *account, struct sk_span uri,
                                        unsigned rights, struct sk_arena *arena, const char **why);
/* files/files.c: that of [hub.files], or NULL. */
struct hub_account *hub_files_account(const struct sk_hub *hub);
/* As sk_http_client_send. */
void hub_account_send(struct hub_account *account, const struct hub_account_ask *ask);
/* A blob is written as blocks, numbered from 0, of this size or less, and then by the list of the
 * first `count` of them. Append the query that puts a block; the body that is the list. */
enum { HUB_ACCOUNT_BLOCK = 1024 * 1024 };
#define HUB_ACCOUNT_LIST_QUERY "comp=blocklist"
void hub_account_block_query(unsigned number, struct sk_buffer *query);
void hub_account_block_list(unsigned count, struct sk_buffer *body);
/* As hub_blob_look. */
void hub_account_look(struct hub_account *account, struct sk_span container, struct sk_span blob,
                      hub_blob_done *done, void *arg);

#endif
