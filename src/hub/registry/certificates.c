/* The CA certificates of a hub: chains of devices with authentication type certificateAuthority
 * lead to one of them. Those of the configuration are vouched for by whoever wrote it; others
 * come by REST and count once somebody has proved to hold the key, by a certificate made for a
 * code of ours. Stored in the registry as documents of kind "ca"; all are kept in memory. */
#include "hub/parts.h"

#include <stdio.h>

#include "trust/x509.h"
#include "model/json_text.h"

enum { CERTIFICATES_MAX = 25, NAME_MAX_SIZE = 64, PEM_MAX = 64 * 1024, CODE_BYTES = 24 };

#define KIND SK_SPAN("ca")

struct certificate {
    struct sk_list link;
    char *name, *pem;
    struct sk_x509_leaf leaf; /* its common name, thumbprints and times */
    char *code;               /* NULL: none was asked for */
    bool verified, configured;
    int64_t created_us, updated_us;
};

/* A change on its way to the registry. */
struct change {
    struct sk_hub *hub;
    struct sk_request *request;
    struct certificate *fresh; /* NULL: removed */
    char *name;
};

static void free_certificate(struct certificate *c) {
    if (c == NULL) return;
    free(c->name);
    free(c->pem);
    free(c->code);
    free(c);
}

static struct certificate *find(struct sk_hub *hub, struct sk_span name) {
    SK_LIST_EACH(&hub->certificates, node, following) {
        struct certificate *c = SK_CONTAINER(node, struct certificate, link);
        if (sk_span_is(name, c->name)) return c;
    }
    return NULL;
}

static size_t count(struct sk_hub *hub) {
    size_t n = 0;
    SK_LIST_EACH(&hub->certificates, node, following) n++;
    return n;
}

/* Chains are checked against what is verified now; who has come by a CA that is gone goes. */
static void trust_again(struct sk_hub *hub) {
    sk_x509_anchors_free(hub->anchors);
    hub->anchors = sk_x509_anchors_new();
    SK_LIST_EACH(&hub->certificates, node, following) {
        struct certificate *c = SK_CONTAINER(node, struct certificate, link);
        if (c->verified) sk_x509_anchors_add(hub->anchors, sk_span_z(c->pem));
    }
    hub->backend.device_cas = hub->anchors;
    sk_access_changed(&hub->backend);
}

/* A text with PEM certificates, or base64 of one (as Azure's tools send it). SK_INVALID with one
 * clause. Only the first certificate counts. */
static enum sk_status read_pem(struct sk_span text, struct certificate *c, char reason[128]) {
    struct sk_buffer decoded = {0}, der = {0}, first = {0};
    struct sk_span pem = sk_span_trim(text);
    if (!sk_span_starts(pem, SK_SPAN("-----BEGIN ")) && sk_base64_decode(&decoded, pem) == SK_OK)
        pem = sk_buffer_span(&decoded);
    enum sk_status status = SK_OK;
    if (pem.n > PEM_MAX || sk_x509_first(pem, &first) || sk_x509_der(pem, &der) ||
        sk_x509_read(sk_buffer_span(&der), &c->leaf)) {
        snprintf(reason, 128, "the certificate is not PEM text of at most 64 KB, or base64 of it");
        status = SK_INVALID;
    } else {
        c->pem = sk_span_dup(sk_buffer_span(&first));
    }
    sk_buffer_free(&decoded);
    sk_buffer_free(&der);
    sk_buffer_free(&first);
    return status;
}

static struct certificate *new_certificate(struct sk_span name) {
    struct certificate *c = SK_NEW(struct certificate);
    sk_list_init(&c->link);
    c->name = sk_span_dup(name);
    return c;
}

static struct certificate *copy_certificate(const struct certificate *from) {
    struct certificate *c = new_certificate(sk_span_z(from->name));
    c->pem = sk_span_dup(sk_span_z(from->pem));
    c->code = sk_text_dup(from->code);
    c->leaf = from->leaf;
    c->verified = from->verified;
    c->created_us = from->created_us;
    c->updated_us = from->updated_us;
    return c;
}

/* ---- documents: the forms of Azure's resource "certificates" ---- */

static json_t *time_json(int64_t us) {
    char text[SK_TIME_HTTP_TEXT]; /* ARM's form, here */
    sk_time_http_text(us, text);
    return json_string(text);
}

static json_t *certificate_json(const struct certificate *c) {
    json_t *properties =
        json_pack("{s:s,s:o,s:s,s:b,s:s,s:b}", "subject", c->leaf.common_name, "expiry",
                  time_json(c->leaf.not_after_s * 1000000), "thumbprint", c->leaf.sha1,
                  "isVerified", c->verified, "certificate", c->pem, "configured", c->configured);
    if (!c->configured) {
        json_object_set_new(properties, "created", time_json(c->created_us));
        json_object_set_new(properties, "updated", time_json(c->updated_us));
    }
    if (c->code && !c->verified)
        json_object_set_new(properties, "verificationCode", json_string(c->code));
    return json_pack("{s:s,s:o}", "name", c->name, "properties", properties);
}

static void list(struct sk_hub *hub, struct sk_request *request) {
    json_t *value = json_array();
    SK_LIST_EACH(&hub->certificates, node, following)
    json_array_append_new(value, certificate_json(SK_CONTAINER(node, struct certificate, link)));
    sk_request_answer_json(request, json_pack("{s:o}", "value", value));
}

/* ---- changes ---- */

static void stored(void *arg, const struct sk_registry_end *end) {
    struct change change = *(struct change *)arg;
    free(arg);
    if (end->status) {
        hub_refuse_status(change.request, end);
        free_certificate(change.fresh);
        free(change.name);
        return;
    }
    struct certificate *old = find(change.hub, sk_span_z(change.name));
    if (old) sk_list_remove(&old->link);
    free_certificate(old);
    free(change.name);
    if (change.fresh) sk_list_append(&change.hub->certificates, &change.fresh->link);
    trust_again(change.hub);
    if (change.fresh)
        sk_request_answer_json(change.request, certificate_json(change.fresh));
    else
        sk_request_answer(change.request);
}

static struct change *new_change(struct sk_hub *hub, struct sk_request *request,
                                 struct certificate *fresh) {
    struct change *change = SK_NEW(struct change);
    *change = (struct change){hub, request, fresh, sk_span_dup(request->name)};
    return change;
}

static void store(struct sk_hub *hub, struct sk_request *request, struct certificate *fresh) {
    fresh->updated_us = sk_io_wall(hub->backend.io);
    json_t *json =
        json_pack("{s:s,s:b,s:s*,s:I,s:I}", "certificate", fresh->pem, "verified", fresh->verified,
                  "code", fresh->code, "created", (json_int_t)fresh->created_us, "updated",
                  (json_int_t)fresh->updated_us);
    SK_CLEANUP_FREE char *text = sk_json_text(json);
    json_decref(json);
    sk_registry_document_put(hub->registry, KIND, request->name, sk_span_z(text), stored,
                             new_change(hub, request, fresh));
}

static bool name_fits(struct sk_span name) {
    return name.n > 0 && name.n <= NAME_MAX_SIZE && sk_span_only(name, "-._");
}

static void put(struct sk_hub *hub, struct sk_request *request) {
    const struct certificate *old = find(hub, request->name);
    const json_t *properties = json_object_get(request->body, "properties");
    const json_t *text = json_object_get(properties, "certificate");
    char reason[128];
    if (!name_fits(request->name)) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "a certificate's name has 1 to 64 letters, digits, '-', '.' and '_'");
    } else if (old == NULL && count(hub) >= CERTIFICATES_MAX) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "a hub has at most %d certificates",
                          CERTIFICATES_MAX);
    } else {
        struct certificate *fresh = new_certificate(request->name);
        if (read_pem(sk_span(json_string_value(text), json_string_length(text)), fresh, reason)) {
            sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "%s", reason);
            free_certificate(fresh);
            return;
        }
        if (!fresh->leaf.ca) {
            sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                              "this is no CA certificate: its basic constraints do not say CA");
            free_certificate(fresh);
            return;
        }
        fresh->verified = json_is_true(json_object_get(properties, "isVerified"));
        fresh->created_us = old ? old->created_us : sk_io_wall(hub->backend.io);
        store(hub, request, fresh);
    }
}

static void make_code(struct sk_hub *hub, struct sk_request *request,
                      const struct certificate *of) {
    unsigned char random[CODE_BYTES];
    struct sk_buffer text = {0};
    struct certificate *fresh = copy_certificate(of);
    sk_io_random(hub->backend.io, random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) sk_buffer_print(&text, "%02X", random[i]);
    sk_identity_set(&fresh->code, sk_buffer_span(&text));
    sk_buffer_free(&text);
    fresh->verified = false;
    store(hub, request, fresh);
}

/* The proof: a certificate with our code for its name, signed by the CA's key. */
static void verify(struct sk_hub *hub, struct sk_request *request, const struct certificate *of) {
    const json_t *text = json_object_get(request->body, "certificate");
    struct certificate *proof = new_certificate(SK_NONE);
    char reason[128];
    enum sk_status status =
        read_pem(sk_span(json_string_value(text), json_string_length(text)), proof, reason);
    if (!status && (of->code == NULL || strcmp(proof->leaf.common_name, of->code) != 0)) {
        snprintf(reason, sizeof reason,
                 of->code ? "the certificate's common name is not the verification code"
                          : "no verification code was asked for");
        status = SK_INVALID;
    }
    if (!status) {
        struct sk_x509_anchors *anchors = sk_x509_anchors_new();
        struct sk_buffer der = {0};
        sk_x509_anchors_add(anchors, sk_span_z(of->pem));
        sk_x509_der(sk_span_z(proof->pem), &der);
        status = sk_x509_verify(anchors, &(struct sk_span){der.p, der.n}, 1,
                                sk_io_wall(hub->backend.io) / 1000000, NULL, reason);
        sk_buffer_free(&der);
        sk_x509_anchors_free(anchors);
    }
    free_certificate(proof);
    if (status) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "not verified: %s", reason);
        return;
    }
    struct certificate *fresh = copy_certificate(of);
    sk_identity_set(&fresh->code, SK_NONE);
    fresh->verified = true;
    store(hub, request, fresh);
}

/* The certificate that is asked for, or NULL and the request is refused. */
static const struct certificate *wanted(struct sk_hub *hub, struct sk_request *request) {
    const struct certificate *c = find(hub, request->name);
    if (c == NULL)
        sk_request_refuse(request, SK_FAULT_NOT_FOUND, "there is no certificate '%.*s'",
                          SK_ARG(request->name));
    return c;
}

static bool may_change(struct sk_request *request, const struct certificate *c) {
    if (c == NULL || !c->configured) return true;
    sk_request_refuse(request, SK_FAULT_INVALID_OPERATION,
                      "this certificate stands in hub.toml; change it there");
    return false;
}

static void serve_get(struct sk_hub *hub, struct sk_request *request) {
    const struct certificate *c = wanted(hub, request);
    if (c) sk_request_answer_json(request, certificate_json(c));
}

static void serve_put(struct sk_hub *hub, struct sk_request *request) {
    if (may_change(request, find(hub, request->name))) put(hub, request);
}

static void serve_code(struct sk_hub *hub, struct sk_request *request) {
    const struct certificate *c = wanted(hub, request);
    if (c && may_change(request, c)) make_code(hub, request, c);
}

static void serve_verify(struct sk_hub *hub, struct sk_request *request) {
    const struct certificate *c = wanted(hub, request);
    if (c && may_change(request, c)) verify(hub, request, c);
}

static void serve_delete(struct sk_hub *hub, struct sk_request *request) {
    const struct certificate *c = wanted(hub, request);
    if (c && may_change(request, c))
        sk_registry_document_delete(hub->registry, KIND, request->name, stored,
                                    new_change(hub, request, NULL));
}

/* ---- the life ---- */

static void loaded(void *arg, const struct sk_registry_end *end,
                   const struct sk_registry_documents *list) {
    struct sk_hub *hub = arg;
    (void)end;
    for (size_t i = 0; i < list->count; i++) {
        const struct sk_registry_document *document = &list->documents[i];
        json_t *json = json_loadb(document->bytes.p, document->bytes.n, 0, NULL);
        const char *pem = json_string_value(json_object_get(json, "certificate"));
        const char *code = json_string_value(json_object_get(json, "code"));
        const struct certificate *known = find(hub, document->key);
        struct certificate *c = new_certificate(document->key);
        char reason[128];
        if (known && !known->configured) {
            free_certificate(c); /* the file was read again */
        } else if (known || read_pem(sk_span_z(pem), c, reason)) {
            SK_WARN("hub", "the stored CA certificate %s is not used", c->name);
            free_certificate(c);
        } else {
            c->verified = json_is_true(json_object_get(json, "verified"));
            c->code = sk_text_dup(code);
            c->created_us = json_integer_value(json_object_get(json, "created"));
            c->updated_us = json_integer_value(json_object_get(json, "updated"));
            sk_list_append(&hub->certificates, &c->link);
        }
        json_decref(json);
    }
    trust_again(hub);
}

static enum sk_status load_configured(struct sk_hub *hub, const char *file,
                                      struct certificate **loaded, char reason[512]) {
    const char *slash = strrchr(file, '/');
    struct certificate *c = new_certificate(sk_span_z(slash ? slash + 1 : file));
    struct sk_buffer text = {.limit = PEM_MAX};
    char why[128];
    enum sk_status status = sk_file_load(hub->backend.io, file, &text);
    if (status)
        snprintf(reason, 512, "the CA certificate %s cannot be read: %s", file,
                 sk_status_text(status));
    else if ((status = read_pem(sk_buffer_span(&text), c, why)) != SK_OK)
        snprintf(reason, 512, "the CA certificate %s is not usable: %s", file, why);
    sk_buffer_free(&text);
    c->configured = c->verified = true;
    if (!status)
        *loaded = c;
    else
        free_certificate(c);
    return status;
}

static enum sk_status load_all(struct sk_hub *hub, const struct sk_hub_options *options,
                               struct sk_list *to, char reason[512]) {
    enum sk_status status = SK_OK;
    for (size_t i = 0; i < options->ca_file_count && !status; i++) {
        struct certificate *c;
        status = load_configured(hub, options->ca_files[i], &c, reason);
        if (!status) sk_list_append(to, &c->link);
    }
    return status;
}

static void free_list(struct sk_list *certificates) {
    SK_LIST_EACH(certificates, node, following) {
        sk_list_remove(node);
        free_certificate(SK_CONTAINER(node, struct certificate, link));
    }
}

static enum sk_status load(struct sk_hub *hub, char reason[512]) {
    sk_list_init(&hub->certificates);
    enum sk_status status = load_all(hub, hub->options, &hub->certificates, reason);
    if (!status) trust_again(hub);
    return status;
}

static enum sk_status check_reload(struct sk_hub *hub, const struct sk_hub_options *next,
                                   char reason[512]) {
    struct sk_list fresh;
    sk_list_init(&fresh);
    enum sk_status status = load_all(hub, next, &fresh, reason);
    free_list(&fresh);
    return status;
}

static void start(struct sk_hub *hub) {
    sk_registry_document_list(hub->registry, KIND, SK_NONE, CERTIFICATES_MAX, loaded, hub);
}

/* Those of the file anew; stored ones that one of it had hidden come back. */
static void reload(struct sk_hub *hub, const struct sk_hub_options *before) {
    struct sk_list fresh;
    char reason[512];
    (void)before;
    sk_list_init(&fresh);
    if (load_all(hub, hub->options, &fresh, reason)) { /* its files have changed just now */
        SK_ERROR("hub", "the CA certificates stay as they were: %s", reason);
        free_list(&fresh);
        return;
    }
    SK_LIST_EACH(&hub->certificates, node, following) {
        struct certificate *c = SK_CONTAINER(node, struct certificate, link);
        if (!c->configured) continue;
        sk_list_remove(node);
        free_certificate(c);
    }
    SK_LIST_EACH(&fresh, added, after) {
        sk_list_remove(added);
        sk_list_append(&hub->certificates, added);
    }
    trust_again(hub);
    start(hub);
}

static void free_all(struct sk_hub *hub) {
    free_list(&hub->certificates);
    sk_x509_anchors_free(hub->anchors);
}

/* ---- its keys ---- */

static bool measure_vouched(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    (void)key;
    *n = 0;
    return json_is_true(value);
}

/* Whoever writes it there vouches for it. */
static const struct sk_config_type vouched = {.words = "true", .measure = measure_vouched};
#define BY_PROOF                                                                                   \
    "you vouch for this CA; to prove possession of its key instead, use `skerry certificate add`"

static const struct sk_config_key keys[] = {
    {"hub[].ca[]", &sk_config_tables,
     SK_CONFIG_LIST(struct sk_hub_options, ca_files, ca_file_count),
     .does = "CA certificates that device certificates may lead to, beside those that `skerry "
             "certificate` adds",
     .page = "how-to/certificates.md"},
    {"hub[].ca[].file", &sk_config_path, .size = sizeof(char *), .need = "write file = \"….pem\"",
     .such_as = "\"ca.pem\"", .does = "PEM file; the first certificate in it counts"},
    {"hub[].ca[].verified", &vouched, .need = "write verified = true: " BY_PROOF, .mend = BY_PROOF,
     .such_as = "true", .does = "By writing it here you vouch for the CA"},
    {0}};

const struct sk_hub_part hub_part_certificates = {
    .keys = keys,
    .serve = {[SK_OP_CERTIFICATE_LIST] = list,
              [SK_OP_CERTIFICATE_GET] = serve_get,
              [SK_OP_CERTIFICATE_PUT] = serve_put,
              [SK_OP_CERTIFICATE_DELETE] = serve_delete,
              [SK_OP_CERTIFICATE_CODE] = serve_code,
              [SK_OP_CERTIFICATE_VERIFY] = serve_verify},
    .open = load,
    .start = start,
    .check_reload = check_reload,
    .reload = reload,
    .free = free_all};
