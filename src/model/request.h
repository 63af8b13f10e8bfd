/* One vocabulary: whatever a client asks in whatever protocol becomes a `struct sk_request`.
 *
 * A head fills it, the stages in front of a backend (authorise, …) look at it, the backend answers
 * it by calling `done` exactly once, on the asker's thread, maybe from inside submit. The asker
 * owns it and all it points to until then; `message` and `payload` only while submit runs: a
 * backend that needs them longer copies them. */
#ifndef SK_MODEL_REQUEST_H
#define SK_MODEL_REQUEST_H

#include <jansson.h>

#include "model/error.h"
#include "model/message.h"

enum sk_op {
    /* by a device or module, for itself */
    SK_OP_TELEMETRY,      /* message */
    SK_OP_TWIN_GET,       /* → document: {"desired":…,"reported":…} */
    SK_OP_TWIN_REPORT,    /* body: the patch; version: expected, 0 any → version: the new one */
    SK_OP_METHOD_RESPOND, /* rid, status, payload */
    SK_OP_SETTLE,         /* delivery, outcome */
    /* by a service; `device` and `module` say on what */
    SK_OP_IDENTITY_GET,    /* → document */
    SK_OP_IDENTITY_PUT,    /* body, if_match (empty: create) → document */
    SK_OP_IDENTITY_DELETE, /* if_match */
    SK_OP_DEVICE_LIST,     /* max → document: an array */
    SK_OP_MODULE_LIST,     /* → document: an array */
    SK_OP_TWIN_READ,       /* → document: the service's twin */
    SK_OP_TWIN_UPDATE,     /* body, if_match, replace → document */
    SK_OP_METHOD_INVOKE, /* name, payload (JSON text or empty), response_timeout_s, connect_timeout_s → status, payload */
    SK_OP_QUERY, /* name: the query's text; max, continuation → document, continuation, item_type */
    SK_OP_CONFIGURATION_APPLY, /* body: ConfigurationContent */
    SK_OP_STATISTICS_DEVICES,
    SK_OP_STATISTICS_SERVICE,
    SK_OP_EVENTS_WATCH, /* start_sequence or start_us → events */
    /* by an edge hub */
    SK_OP_SCOPE_LIST, /* max, continuation → document */
    SK_OP_SCOPE_GET,  /* name: "device" or "device/module" → document */
    SK_OP_COUNT
};

/* Rights of shared access policies. */
enum {
    SK_RIGHT_REGISTRY_READ = 1,
    SK_RIGHT_REGISTRY_WRITE = 2,
    SK_RIGHT_SERVICE_CONNECT = 4,
    SK_RIGHT_DEVICE_CONNECT = 8,
};
/* "RegistryRead, RegistryWrite" and the like; SK_INVALID for an unknown name. */
enum sk_status sk_rights_parse(struct sk_span text, unsigned *rights);

/* Who asks: a device or module (device set), or a service with a policy (device empty). Owned
 * strings: see sk_principal_free. */
struct sk_principal {
    char *device, *module; /* module NULL: the device itself */
    char *generation_id;
    char *policy;            /* the policy whose key signed, or NULL */
    char *actor;             /* the edge device that speaks for this identity, or NULL */
    const char *auth_method; /* JSON text for iothub-connection-auth-method; static */
    unsigned rights;
    int64_t expires_s; /* of the token, seconds since 1970; INT64_MAX: never */
};
void sk_principal_free(struct sk_principal *principal);
static inline bool sk_principal_is_device(const struct sk_principal *who) {
    return who->device != NULL;
}

enum sk_outcome { SK_COMPLETE, SK_ABANDON, SK_REJECT };

struct sk_session;
struct sk_event_source;

struct sk_answer {
    const struct sk_error *error; /* NULL: fine */
    json_t *document;             /* borrowed; take a reference to keep it */
    uint64_t version;
    int status;             /* of a direct method */
    struct sk_span payload; /* likewise: JSON text */
    struct sk_span etag;    /* unquoted, or empty */
    struct sk_span continuation, item_type;
    struct sk_event_source *events; /* given away */
    bool created;
};

struct sk_request {
    enum sk_op op;
    const struct sk_principal *who;
    struct sk_session *session; /* where it came from, or NULL (HTTPS) */
    struct sk_span device, module;
    const struct sk_message *message;
    json_t *body;
    struct sk_span name, rid, payload, if_match, continuation;
    bool replace;
    enum sk_outcome outcome;
    int64_t status;
    uint64_t version, delivery, max, start_sequence;
    int64_t start_us;
    unsigned response_timeout_s, connect_timeout_s;
    void *backend_data; /* the backend's, while it works on the request */
    void (*done)(struct sk_request *request, const struct sk_answer *answer);
};

/* Answers with a refusal; `format` NULL takes the catalogue's sentence. */
void sk_request_refuse(struct sk_request *request, enum sk_fault fault, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static inline void sk_request_answer(struct sk_request *request) {
    request->done(request, &(struct sk_answer){0});
}

/* A readable stream of stored messages, for SK_OP_EVENTS_WATCH. */
struct sk_event_source {
    /* The next message; its spans live until the next call. SK_AGAIN: none now; `readable` will be
     * called. */
    enum sk_status (*next)(struct sk_event_source *source, struct sk_message *message);
    void (*close)(struct sk_event_source *source);
    void (*readable)(void *arg); /* set by the reader */
    void *arg;
};

#endif
