/* Who may do what with blobs: whoever has a signature by the hub's own key (devices, for the file
 * that they announced), or by a policy's that may do everything: what a storage account's key is
 * at Azure. The account is called like the policy. */
#include "gateway/ip_filter.h"
#include "hub/blobs/parts.h"
#include "trust/sas.h"

enum { CLOCKS_DIFFER_S = 900 };

#define OWNER_RIGHTS (SK_RIGHT_REGISTRY_READ | SK_RIGHT_REGISTRY_WRITE | SK_RIGHT_SERVICE_CONNECT)

static bool is_owner(const struct sk_policy *policy) {
    return (policy->rights & OWNER_RIGHTS) == OWNER_RIGHTS;
}

static bool fits_policy(const struct sk_blob_sas *sas, struct sk_blob_target target,
                        const struct sk_policy *policy) {
    target.account = policy->name;
    return is_owner(policy) && (sk_blob_sas_fits(sas, &target, policy->primary_key) ||
                                sk_blob_sas_fits(sas, &target, policy->secondary_key));
}

static bool fits(const struct blobs *blobs, const struct sk_blob_sas *sas, struct sk_span container,
                 struct sk_span blob) {
    const struct sk_hub *hub = blobs->hub;
    struct sk_blob_target target = {
        .account = sk_span_z(hub->options->name), .container = container, .blob = blob};
    if (sk_blob_sas_fits(sas, &target, sk_span_z(blobs->key))) return true;
    for (size_t i = 0; i < hub->options->policy_count; i++)
        if (fits_policy(sas, target, &hub->policies[i])) return true;
    return false;
}

static bool is_now(const struct blobs *blobs, const struct sk_blob_sas *sas) {
    int64_t now = sk_io_wall(blobs->hub->backend.io), skew = SK_SAS_SKEW_S * 1000000ll;
    return now + skew >= sas->from_us && now - skew <= sas->to_us;
}

enum blob_error blob_signature(const struct blobs *blobs, struct sk_span query,
                               struct sk_span container, struct sk_span blob, unsigned *rights,
                               struct sk_arena *arena) {
    struct sk_blob_sas sas;
    enum sk_status status = sk_blob_sas_read(query, arena, &sas);
    if (status == SK_NOT_FOUND) return BLOB_NO_AUTHENTICATION;
    if (status || !fits(blobs, &sas, container, blob) || !is_now(blobs, &sas))
        return BLOB_AUTHENTICATION_FAILED;
    *rights = sas.rights;
    return BLOB_FINE;
}

static enum blob_error by_signature(struct blob_request *r) {
    unsigned rights;
    enum blob_error error = blob_signature(r->blobs, r->exchange->request->query, r->container,
                                           r->blob, &rights, &r->exchange->arena);
    if (error) return error;
    return rights & r->operation->rights ? BLOB_FINE : BLOB_PERMISSION_MISMATCH;
}

static enum blob_error by_key(const struct blob_request *r, struct sk_span account) {
    const struct sk_http_parser *http = r->exchange->request;
    struct sk_backend *backend = &r->blobs->hub->backend;
    struct sk_span date = sk_http_header(http, "x-ms-date");
    const struct sk_policy *policy = backend->ops->find_policy(backend, account);
    int64_t now = sk_io_wall(r->exchange->io), at;
    if (date.n == 0) date = sk_http_header(http, "Date");
    if (policy == NULL || !is_owner(policy) || sk_time_http_parse(date, &at) ||
        at < now - CLOCKS_DIFFER_S * 1000000ll || at > now + CLOCKS_DIFFER_S * 1000000ll)
        return BLOB_AUTHENTICATION_FAILED;
    return sk_blob_key_fits(http, policy->primary_key) ||
                   sk_blob_key_fits(http, policy->secondary_key)
               ? BLOB_FINE
               : BLOB_AUTHENTICATION_FAILED;
}

/* From an address that the hub lets in. */
static bool comes_from_here(const struct blob_request *r) {
    bool here = r->exchange->stream != NULL; /* else it has gone */
    struct sk_ip ip = {0};
    if (here) ip = sk_ip_of_peer(sk_stream_peer(r->exchange->stream));
    return sk_ip_filter_accepts(r->blobs->hub->backend.ip_filter, &ip, false, NULL);
}

enum blob_error blob_authorise(struct blob_request *r) {
    if (!comes_from_here(r)) return BLOB_AUTHORIZATION_FAILURE;
    struct sk_span account = sk_blob_key_account(r->exchange->request);
    return account.n ? by_key(r, account) : by_signature(r);
}

/* ---- where a path leads ---- */

static bool is_account(const struct blobs *blobs, struct sk_span name) {
    struct sk_backend *backend = &blobs->hub->backend;
    return sk_span_is(name, blobs->hub->options->name) ||
           backend->ops->find_policy(backend, name) != NULL;
}

struct sk_span blob_path(const struct blobs *blobs, struct sk_span host, struct sk_span path) {
    if (path.n && path.p[0] == '/') path = sk_span_skip(path, 1);
    size_t slash = sk_span_find(path, '/');
    bool names_none = host.n && ((host.p[0] >= '0' && host.p[0] <= '9') || host.p[0] == '[' ||
                                 sk_span_starts_nocase(host, SK_SPAN("localhost")));
    return names_none && is_account(blobs, sk_span_first(path, slash))
               ? sk_span_skip(path, slash + 1)
               : path;
}

static bool is_ours(const struct sk_hub *hub, struct sk_span host) {
    const struct sk_hub_options *options = hub->options;
    for (size_t i = 0; i < options->host_name_count; i++)
        if (sk_span_eq_nocase(host, sk_span_z(options->host_names[i]))) return true;
    return false;
}

struct sk_span hub_blobs_container_of(struct sk_hub *hub, struct sk_span uri, unsigned rights,
                                      struct sk_arena *arena, const char **why) {
    struct sk_url url;
    size_t question = sk_span_find(uri, '?');
    unsigned given;
    *why = "it is not the URI of a container with its signature, https://…/container?sv=…";
    if (sk_url_parse(sk_span_first(uri, question), &url)) return SK_NONE;
    *why =
        "its host is neither this hub nor the storage account of [hub.files]: containers of other "
        "services are not reached";
    if (!is_ours(hub, url.host)) return SK_NONE;
    struct sk_span name = blob_path(hub->blobs, url.host, url.rest);
    if (name.n && name.p[name.n - 1] == '/') name.n--;
    *why = "there is no such container";
    if (!hub_blobs_container_fine(name, NULL) || blob_container(hub->blobs, name) == NULL)
        return SK_NONE;
    *why = "its signature is for something else, of no key of this hub, or its time has passed";
    if (blob_signature(hub->blobs, sk_span_skip(uri, question + 1), name, SK_NONE, &given, arena))
        return SK_NONE;
    *why = HUB_RIGHTS_MISSING;
    return (given & rights) == rights ? sk_arena_copy(arena, name) : SK_NONE;
}
