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

static bool fits(const struct blob_request *r, const struct sk_blob_sas *sas) {
    const struct sk_hub *hub = r->blobs->hub;
    struct sk_blob_target target = {
        .account = sk_span_z(hub->options->name), .container = r->container, .blob = r->blob};
    if (sk_blob_sas_fits(sas, &target, sk_span_z(r->blobs->key))) return true;
    for (size_t i = 0; i < hub->options->policy_count; i++)
        if (fits_policy(sas, target, &hub->policies[i])) return true;
    return false;
}

static enum blob_error by_signature(struct blob_request *r) {
    struct sk_http_exchange *exchange = r->exchange;
    int64_t now = sk_io_wall(exchange->io), skew = SK_SAS_SKEW_S * 1000000ll;
    struct sk_blob_sas sas;
    enum sk_status status = sk_blob_sas_read(exchange->request->query, &exchange->arena, &sas);
    if (status == SK_NOT_FOUND) return BLOB_NO_AUTHENTICATION;
    if (status || !fits(r, &sas)) return BLOB_AUTHENTICATION_FAILED;
    if (now < sas.from_us - (sas.from_us == INT64_MIN ? 0 : skew) || now - skew > sas.to_us)
        return BLOB_AUTHENTICATION_FAILED;
    return sas.rights & r->operation->rights ? BLOB_FINE : BLOB_PERMISSION_MISMATCH;
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
