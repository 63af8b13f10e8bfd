/* One vocabulary: whatever a client asks in whatever protocol becomes a `struct sk_request`.
 *
 * A head fills it, the stages in front of a backend (authorise, …) look at it, the backend answers
 * it by calling `done` exactly once, on the asker's thread, maybe from inside submit. The asker
 * owns it and all it points to until then; `message` and `payload` only while submit runs: a
 * backend that needs them longer copies them. */
#ifndef SK_MODEL_REQUEST_H
#define SK_MODEL_REQUEST_H

#include <jansson.h>

#include "base/ip.h"
#include "model/c2d.h"
#include "model/error.h"
#include "model/events.h"

/* Subscriptions as bits; SK_SUB_C2D and SK_SUB_INPUTS carry whether they were asked at QoS 1. */
enum {
    SK_SUB_C2D = 1,
    SK_SUB_INPUTS = 2,
    SK_SUB_METHODS = 4,
    SK_SUB_TWIN_RESPONSES = 8,
    SK_SUB_DESIRED = 16,
    SK_SUB_C2D_QOS1 = 32,
    SK_SUB_INPUTS_QOS1 = 64,
};

/* What is asked; model/operations.def tells of each what it takes and gives. */
enum sk_op {
#define SK_OPERATION(name, ...) SK_OP_##name,
#include "model/operations.def"
    SK_OP_COUNT
};

/* What the body of an HTTPS request for it is (where there is one). */
enum sk_op_body { SK_BODY_NONE, SK_BODY_JSON, SK_BODY_LIST }; /* an object; an array */
enum sk_op_body sk_op_body(enum sk_op op);

/* What of a tier's rates an operation counts against; some count beside requests. */
enum sk_throttle {
    SK_THROTTLE_NONE,
    SK_THROTTLE_D2C,
    SK_THROTTLE_C2D_SENDS,
    SK_THROTTLE_C2D_RECEIVES, /* over HTTPS only */
    SK_THROTTLE_METHODS,
    SK_THROTTLE_TWIN_READS,
    SK_THROTTLE_TWIN_UPDATES,
    SK_THROTTLE_REGISTRY,
    SK_THROTTLE_QUERIES,
    SK_THROTTLE_JOBS,
    SK_THROTTLE_CONFIGURATIONS,
    SK_THROTTLE_FILES,
    SK_THROTTLE_CONNECTIONS,
    SK_THROTTLE_JOB_DEVICES, /* what jobs do to each device */
    SK_THROTTLE_COUNT
};
enum sk_throttle sk_op_throttle(enum sk_op op);

/* What records are sorted by: hub/records.c. */
enum sk_category {
    SK_CATEGORY_NONE,
    SK_CATEGORY_CONNECTIONS,
    SK_CATEGORY_TELEMETRY,
    SK_CATEGORY_C2D,
    SK_CATEGORY_IDENTITIES,
    SK_CATEGORY_FILES,
    SK_CATEGORY_D2C_TWINS,
    SK_CATEGORY_C2D_TWINS,
    SK_CATEGORY_QUERIES,
    SK_CATEGORY_JOBS,
    SK_CATEGORY_METHODS,
    SK_CATEGORY_CONFIGURATIONS,
    SK_CATEGORY_ADMINISTRATION,
    SK_CATEGORY_STORAGE_READ, /* of the blob service, which has no operations here */
    SK_CATEGORY_STORAGE_WRITE,
    SK_CATEGORY_STORAGE_DELETE,
    SK_CATEGORY_COUNT
};

/* Rights of shared access policies. */
enum {
    SK_RIGHT_REGISTRY_READ = 1,
    SK_RIGHT_REGISTRY_WRITE = 2,
    SK_RIGHT_SERVICE_CONNECT = 4,
    SK_RIGHT_DEVICE_CONNECT = 8,
    SK_RIGHT_ALL = 15,
    SK_RIGHT_OWNER = 16, /* of an operation: whoever has all of them */
};
/* "RegistryRead, RegistryWrite" and the like; SK_INVALID for an unknown name. */
enum sk_status sk_rights_parse(struct sk_span text, unsigned *rights);

/* Who asks: a device or module (device set), or a service with a policy (device empty). Owned
 * strings: see sk_principal_free. */
struct sk_principal {
    char *device, *module; /* module NULL: the device itself */
    char *generation_id;
    char *policy; /* the policy whose key signed, or NULL */
    char *actor;  /* the edge device that speaks for this identity, or NULL */
    /* The edge devices between the actor and this identity, the actor first, the identity's parent
     * last; none when it is of the actor's own device. */
    struct sk_link {
        char *device, *scope;
    } * links;
    size_t link_count;
    unsigned to_actor; /* what it is to that device's edge hub: SK_ON_… (gateway/rights.h) */
    bool edge;         /* the device has capabilities.iotEdge */
    /* Of whose credentials these are: see sk_identity_proofs(); with a policy the first is of the
     * key that signed. */
    uint64_t proofs[2];
    uint64_t anchor;         /* the CA that its certificate's chain leads to; 0: none */
    const char *auth_method; /* JSON text for iothub-connection-auth-method; static, or: */
    char *auth_text;         /* owned */
    struct sk_ip ip;         /* where it came from; none: unknown */
    const char *protocol;    /* "Mqtt", "Amqp" or "Https"; static, or NULL */
    bool event_stream;       /* its token is for that, as Event Hubs clients see it */
    unsigned rights;
    int64_t expires_s; /* of the token, seconds since 1970; INT64_MAX: never */
};
void sk_principal_free(struct sk_principal *principal);
static inline bool sk_principal_is_device(const struct sk_principal *who) {
    return who->device != NULL;
}

/* What becomes of a delivery. A settlement that comes too late is refused with
 * SK_FAULT_MESSAGE_LOCK_LOST. */
enum sk_outcome {
    SK_COMPLETE,
    SK_ABANDON, /* back into the queue, counted; after the last permitted one it is dead */
    SK_REJECT,  /* dead */
    SK_RELEASE, /* back into the queue, uncounted: its link is gone, its session is not. When the
                 * session closes nothing needs to be said */
};

struct sk_backend;
struct sk_session;
struct sk_event_source;
struct sk_outbox_source;

struct sk_answer {
    const struct sk_error *error; /* NULL: fine */
    json_t *document;             /* borrowed; take a reference to keep it */
    uint64_t version;
    int status;             /* of a direct method */
    struct sk_span payload; /* likewise: JSON text */
    struct sk_span text;    /* a document that is text already (a list of many); else empty */
    struct sk_span etag;    /* unquoted, or empty */
    struct sk_span continuation, item_type;
    struct sk_event_source *events; /* given away */
    const struct sk_events_info *info;
    struct sk_outbox_source *outbox;  /* given away */
    const struct sk_message *message; /* until `done` returns; message->c2d is set */
    bool created;
    bool partial; /* the document tells what failed */
};

struct sk_request {
    enum sk_op op;
    const struct sk_principal *who;
    struct sk_session *session; /* where it came from, or NULL (HTTPS) */
    struct sk_span device, module;
    struct sk_span hub; /* its name in a path of Azure Resource Manager; else empty */
    const struct sk_message *message;
    json_t *body;
    struct sk_span name, rid, payload, if_match, continuation;
    struct sk_span job_type, job_status;
    struct sk_span component; /* of Plug and Play */
    struct sk_span query;     /* of an HTTPS request, behind the '?' */
    struct sk_span host;      /* by which the client knows us, with its port, as of HTTPS */
    struct sk_span chain;     /* of an edge hub's: "target;…;asker", or empty: for itself */
    bool replace;
    enum sk_outcome outcome;
    int64_t status;
    uint64_t version, delivery, max;
    const struct sk_events_ask *ask; /* until submit returns */
    unsigned response_timeout_s, connect_timeout_s, lock_s;
    /* The backend's, while it works on the request. */
    struct sk_backend *backend;
    void *backend_data;
    void *chaos; /* the fault that the message asks for: gateway/chaos.h */
    uint64_t backend_number;
    /* Set by a backend that works long on it, optional: nobody waits for the answer any more. It is
     * due still, the sooner the better, maybe from inside. Not all heads tell. */
    void (*gone)(struct sk_request *request);
    void (*done)(struct sk_request *request, const struct sk_answer *answer);
    /* Of who looks at it and its answer: see sk_backend_ops.asked. */
    bool recorded;
    void *trace;
    void (*asker)(struct sk_request *request, const struct sk_answer *answer);
    uint64_t asked_ns;
    char correlation[37]; /* of the client, or made for the record; empty: none */
};

/* Answers with a refusal; `format` NULL takes the catalogue's sentence. */
void sk_request_refuse(struct sk_request *request, enum sk_fault fault, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static inline void sk_request_answer(struct sk_request *request) {
    request->done(request, &(struct sk_answer){0});
}

/* Answers with a document, which it takes; NULL: with nothing. */
static inline void sk_request_answer_json(struct sk_request *request, json_t *document) {
    request->done(request, &(struct sk_answer){.document = document});
    json_decref(document);
}

/* A readable stream of stored messages, for SK_OP_EVENTS_WATCH. */
struct sk_event_source {
    /* The next message; its spans live until the next call. SK_AGAIN: none now; `readable` will be
     * called. */
    enum sk_status (*next)(struct sk_event_source *source, struct sk_message *message);
    void (*close)(struct sk_event_source *source);
    /* The last event that is durable in the source's partition. */
    void (*newest)(struct sk_event_source *source, struct sk_events_info *info);
    void (*readable)(void *arg); /* set by the reader, as `evicted` */
    /* Another receiver has taken its place; close it. NULL: cannot happen to it. */
    void (*evicted)(void *arg, const struct sk_error *error);
    void *arg;
};

/* A receiver of feedback or of file notifications, for SK_OP_…_SUBSCRIBE. Each message goes to one
 * receiver and is locked for it (60 s unless the hub says otherwise) until it is settled; what was
 * not settled in time, or when the source closes, goes to the next one who asks. */
struct sk_outbox_source {
    /* The next message, locked; `*delivery` is for settle. Its spans live until the next call.
     * SK_AGAIN: none now, or SK_OUTBOX_LOCKED_MAX of this receiver are not settled; `readable`
     * will be called, never from inside a call. */
    enum sk_status (*next)(struct sk_outbox_source *source, struct sk_message *message,
                           uint64_t *delivery);
    /* `done` comes once, maybe from inside this call: the outcome is durable (error NULL), or why
     * it is not. Not after close: what was under way happens all the same. */
    void (*settle)(struct sk_outbox_source *source, uint64_t delivery, enum sk_outcome outcome,
                   void (*done)(void *arg, const struct sk_error *error), void *arg);
    void (*close)(struct sk_outbox_source *source);
    void (*readable)(void *arg); /* set by the reader */
    void *arg;
};

#endif
