/* Who may connect: devices and modules, their credentials and their place in the tree of edge
 * devices.
 *
 * Pure data without I/O. The JSON forms are those of IoT Hub's identity registry (`Device`,
 * `Module`). Strings are owned, NUL-terminated and never NULL unless a field's comment says so; a
 * zeroed struct is the empty identity. */
#ifndef SK_MODEL_IDENTITY_H
#define SK_MODEL_IDENTITY_H

#include <jansson.h>

#include "base/base.h"

/* The modules that come with every edge device, and with no other. */
#define SK_EDGE_AGENT_MODULE "$edgeAgent"
#define SK_EDGE_HUB_MODULE "$edgeHub"

#define SK_ID_MAX 128 /* characters of a device or module id */
#define SK_STATUS_REASON_MAX 128
#define SK_MODEL_ID_MAX 2048   /* DTDL version 2 */
#define SK_MODULES_MAX 50      /* modules of one device */
#define SK_PARENT_SCOPES_MAX 1 /* an edge device has at most one parent */
#define SK_MODEL_ERROR_MAX 256 /* room for one sentence */

enum sk_auth_type { SK_AUTH_SAS, SK_AUTH_SELF_SIGNED, SK_AUTH_CA, SK_AUTH_NONE };

/* All `char *` are owned; NULL stands for "not set". */
struct sk_identity {
    char *device_id;
    char *module_id; /* NULL: a device */
    char *generation_id;
    uint64_t etag; /* see sk_identity_etag */
    bool disabled; /* devices only */
    char *status_reason;
    int64_t status_updated_us; /* 0: never */
    enum sk_auth_type auth;
    char *primary_key, *secondary_key;               /* base64 text */
    char *primary_thumbprint, *secondary_thumbprint; /* upper-case hex, SHA-1 or SHA-256 */
    bool edge;                                       /* capabilities.iotEdge; devices only */
    char *device_scope;                              /* an edge device's own; a leaf's parent's */
    char *parent_scopes[SK_PARENT_SCOPES_MAX];
    size_t parent_scope_count;
    char *managed_by; /* modules only */
    char *model_id;   /* what it said when it connected (Plug and Play) */
};

/* What only the running server knows of an identity; part of its JSON. Zeroed: never seen. */
struct sk_presence {
    bool connected;
    int64_t changed_us; /* last connect or disconnect */
    int64_t active_us;  /* last message */
    uint32_t c2d_count;
};

void sk_identity_free(struct sk_identity *identity); /* the contents; leaves it zeroed */
struct sk_identity sk_identity_copy(const struct sk_identity *identity);
/* Moves the contents out and leaves `from` zeroed. */
struct sk_identity sk_identity_move(struct sk_identity *from);
/* Frees the old text and keeps a copy of `text` (empty: NULL). */
void sk_identity_set(char **field, struct sk_span text);

/* Whether an edge device is the parent of a device: only it then speaks for it. Both are devices,
 * not modules. */
bool sk_identity_is_child(const struct sk_identity *device, const struct sk_identity *edge);
/* Likewise, by the scope of an edge device. */
bool sk_identity_is_below(const struct sk_identity *device, struct sk_span scope);
/* The id of the edge device that is a device's parent, as its scope tells; empty: it has none. */
struct sk_span sk_identity_parent(const struct sk_identity *device);
#define SK_CHAIN_MAX 8 /* ids of an auth chain: a device, and the edge devices above it */
/* What proves the identity, as two digests: of its keys, its thumbprints, or that a CA does. Who
 * was let in by one of two is so no more when neither is left. Good in this process only. */
void sk_identity_proofs(const struct sk_identity *identity, uint64_t proofs[2]);
/* $edgeAgent or $edgeHub. */
bool sk_is_system_module(struct sk_span module_id);

/* SK_INVALID unless 1 to 128 characters of the alphabet A-Z a-z 0-9 - : . + % _ # * ? ! ( ) , = @ ;
 * $ ' */
enum sk_status sk_id_check(struct sk_span id);

/* Reads the body of a PUT. The ids come from the path: one in the body must agree. Fields that a
 * client cannot set (generation id, etag, times, connection state) are ignored. Missing or empty
 * keys stay NULL: see sk_identity_fill_keys. SK_INVALID with one sentence in `error`. `identity`
 * is overwritten; nothing to free after a failure. */
enum sk_status sk_identity_from_json(const json_t *body, struct sk_span device_id,
                                     struct sk_span module_id, struct sk_identity *identity,
                                     char error[SK_MODEL_ERROR_MAX]);
/* The `Device` or `Module` JSON; a new reference. `presence` may be NULL. */
json_t *sk_identity_to_json(const struct sk_identity *identity, const struct sk_presence *presence);
/* "sas", "selfSigned", "certificateAuthority", "none". */
const char *sk_auth_type_text(enum sk_auth_type type);
/* The `authentication` member alone, as in identities and scope answers; a new reference. */
json_t *sk_identity_authentication_json(const struct sk_identity *identity);

/* Gives a SAS identity without keys two keys of 32 bytes each. `random` comes from sk_io_random.
 * True when it did. */
bool sk_identity_fill_keys(struct sk_identity *identity, const uint8_t random[64]);
/* What a new identity gets from the registry: its generation id (18 digits, .NET ticks of
 * `wall_us`), an edge device its scope. */
void sk_identity_begin(struct sk_identity *identity, int64_t wall_us);

/* Etag texts, unquoted: an identity's is base64 of the decimal counter, a twin's base64 of 8 bytes
 * big-endian. */
#define SK_ETAG_MAX 32
void sk_identity_etag(uint64_t counter, char to[SK_ETAG_MAX]);
void sk_twin_etag(uint64_t counter, char to[SK_ETAG_MAX]);
/* An If-Match value (`"etag"`, `W/"etag"`, `etag`, `"*"`, `*`) against an etag text. Empty matches
 * nothing. */
bool sk_etag_matches(struct sk_span if_match, const char *etag);

#endif
