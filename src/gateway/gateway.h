/* The gateway: listeners that take every protocol, heads that translate them, sessions, and the
 * backend behind them.
 *
 * After TLS the first bytes tell the protocol: 0x10 is MQTT, "AMQP" is AMQP, a method name is
 * HTTP. A head turns the wire into requests (model/request.h) and answers back; it knows no
 * storage. Requests pass head → authorise → quota → chaos → backend. The hub and the edge hub are
 * two backends behind the same heads. All on one thread. */
#ifndef SK_GATEWAY_GATEWAY_H
#define SK_GATEWAY_GATEWAY_H

#include "gateway/directory.h"
#include "io/io.h"
#include "model/model.h"
#include "trust/x509_chain.h"

struct sk_gateway;
struct sk_backend;
struct sk_ip_filter;
struct sk_session;
struct sk_http_exchange;

/* ---- what a backend gives ---- */

struct sk_policy {
    struct sk_span name, primary_key, secondary_key;
    unsigned rights;
};

/* `identity` NULL: there is none (or the store failed: `status`). Lives until the call returns. */
typedef void sk_identity_done(void *arg, enum sk_status status, const struct sk_identity *identity);

struct sk_refusal {
    struct sk_span device, module;
    const struct sk_principal *who; /* where he came from, and how: the rest is not proved */
    const struct sk_error *error;
};

struct sk_backend_ops {
    /* Looks an identity up; `done` is called exactly once, maybe at once. */
    void (*find_identity)(struct sk_backend *, struct sk_span device, struct sk_span module,
                          sk_identity_done *done, void *arg);
    /* The same for an identity that was found, and whose record refuses a client: the record may
     * be a copy that has become old. NULL: records are never old here. */
    void (*find_identity_anew)(struct sk_backend *, struct sk_span device, struct sk_span module,
                               sk_identity_done *done, void *arg);
    /* NULL: no such policy. */
    const struct sk_policy *(*find_policy)(struct sk_backend *, struct sk_span name);
    /* Somebody who says he is this identity was not let in. Optional. */
    void (*refused)(struct sk_backend *, const struct sk_refusal *);
    /* A request has come, before anything has looked at it; may wrap `done`. Optional. */
    void (*asked)(struct sk_backend *, struct sk_request *);
    /* Serves an authorised request. */
    void (*submit)(struct sk_backend *, struct sk_request *);
    /* Persistent subscriptions: `done(arg, found, bits)`. */
    void (*load_subscriptions)(struct sk_backend *, const struct sk_session *,
                               void (*done)(void *arg, bool found, unsigned bits), void *arg);
    /* Persistent: stores them, else drops them; `done(arg)` afterwards, whatever came of it. */
    void (*save_subscriptions)(struct sk_backend *, const struct sk_session *,
                               void (*done)(void *arg), void *arg);
    void (*session_opened)(struct sk_backend *, struct sk_session *);
    void (*session_subscribed)(struct sk_backend *,
                               struct sk_session *); /* its subscriptions changed */
    void (*session_closed)(struct sk_backend *, struct sk_session *, enum sk_fault reason);
    void (*session_model)(struct sk_backend *, struct sk_session *,
                          struct sk_span model_id); /* said once, after session_opened. Optional */
    void (*session_writable)(struct sk_backend *,
                             struct sk_session *); /* its output has room again. Optional */
    /* An HTTPS request to one of its host names, before it is read as one of IoT Hub's. True: the
     * backend answers it, as of net/http_server.h; `waits`: its body has not been read. Optional */
    bool (*exchange)(struct sk_backend *, struct sk_http_exchange *, bool waits);
};

/* Server-sent events: streams, and bytes that wait for clients of all of them to read. */
enum { SK_HTTP_STREAMS_MAX = 1000, SK_HTTP_STREAMS_BYTES = 32 * 1024 * 1024 };
struct sk_backend {
    const struct sk_backend_ops *ops;
    struct sk_io *io;
    struct sk_span host_name;      /* the hub's name in resource scopes ("myhub.example") */
    const struct sk_span *aliases; /* other names it answers to */
    size_t alias_count;
    bool any_host;                            /* take every host name (edge hub) */
    const struct sk_x509_anchors *device_cas; /* which CAs may have signed devices' certificates */
    const struct sk_ip_filter *ip_filter;     /* from where they may come; NULL: from everywhere */
    bool modules_by_key;                      /* a module's certificate is not taken (edge hub) */
    struct sk_directory directory;
    struct sk_list authentications; /* under way: struct sk_authentication */
    struct sk_list grants;          /* struct sk_grant */
    struct sk_chaos *chaos;         /* NULL: clients may not ask for faults */
    struct sk_quota *quota;         /* NULL: there is none */
    size_t sessions_max;            /* clients at a time; 0: no limit */
    size_t streams;                 /* of server-sent events, open now */
    struct sk_list slow;            /* of them those that held bytes when they were looked at */
    size_t slow_bytes;              /* which are these, about */
};

/* ---- sessions: one authenticated identity on one connection ---- */

struct sk_method_call {
    struct sk_span rid, name, payload; /* live until the call returns */
};

/* What client chaos can break: see gateway/chaos.h. The links are named as the server sees them. */
enum sk_sever {
    SK_SEVER_NOTHING,
    SK_SEVER_STREAM, /* the connection below the protocol, without a word */
    SK_SEVER_MQTT,   /* the connection, in good order */
    SK_SEVER_AMQP,
    SK_SEVER_AMQP_CONNECTION, /* with an error */
    SK_SEVER_AMQP_SESSION,
    SK_SEVER_AMQP_CBS_IN,
    SK_SEVER_AMQP_CBS_OUT,
    SK_SEVER_AMQP_TELEMETRY,
    SK_SEVER_AMQP_MESSAGES,
    SK_SEVER_AMQP_TWIN_IN,
    SK_SEVER_AMQP_TWIN_OUT,
    SK_SEVER_AMQP_METHODS_IN,
    SK_SEVER_AMQP_METHODS_OUT,
};

struct sk_head {
    /* Sends; false: cannot now, try after a settlement (its window was full) or session_writable
     * (its output was, or the client had given no credit). `delivery` comes back in SK_OP_SETTLE,
     * maybe from inside this call. */
    bool (*deliver_message)(struct sk_session *, const struct sk_message *, uint64_t delivery);
    void (*deliver_method)(struct sk_session *, const struct sk_method_call *);
    void (*deliver_desired)(struct sk_session *, struct sk_span patch_json, uint64_t version);
    /* Ends the connection (or the link); session_closed follows, not from inside. */
    void (*close)(struct sk_session *, enum sk_fault reason);
    /* Breaks a part of what the client has, without a care; `reason` is for its eyes. False: it has
     * no such part. Not from inside another call. */
    bool (*sever)(struct sk_session *, enum sk_sever what, const char *reason);
    /* What was sent and not settled is not sent again on the same connection, even when its lock
     * has expired (MQTT 3.1.1, section 4.4); a late settlement counts then. */
    bool never_resends;
};

struct sk_session {
    struct sk_backend *backend;
    const struct sk_head *head;
    struct sk_principal principal;
    char *key;              /* "device" or "device/module" */
    unsigned subscriptions; /* SK_SUB_… */
    bool persistent;        /* MQTT clean session 0 */
    bool open;
    enum sk_fault ended; /* why it was closed; none: its client has gone */
    void *owner;         /* the head's */
    void *data;          /* the backend's */
    struct sk_timer expiry;
};

/* Takes the principal; displaces an older session of the same identity (closed with TAKEN_OVER),
 * tells the backend. The session is the head's, embedded in its connection. */
void sk_session_open(struct sk_session *session, struct sk_backend *backend,
                     const struct sk_head *head, struct sk_principal *principal, void *owner);
/* Whether one may be opened for who has proved himself: an identity that has one may always come
 * anew. False: the sentence is in `error`. */
bool sk_session_room(struct sk_backend *backend, const struct sk_principal *principal,
                     struct sk_error *error);
/* What the client says it is (Plug and Play); empty or longer than SK_MODEL_ID_MAX: nothing. */
void sk_session_model(struct sk_session *session, struct sk_span model_id);
void sk_session_close(struct sk_session *session, enum sk_fault reason);
/* Sets the bits and tells the backend; false: they are what they were. */
bool sk_session_subscribe(struct sk_session *session, unsigned subscriptions);
/* Closes every session of an identity that is gone, and those that it opened for others; module
 * empty: the device and all its modules. */
void sk_sessions_drop(struct sk_backend *backend, struct sk_span device, struct sk_span module,
                      enum sk_fault reason);

/* An identity has changed: closes every session that could not be opened so any more, because the
 * device is disabled, neither of its proofs is left, or the edge device that speaks for it is its
 * parent, or an edge device, no more. */
void sk_sessions_changed(struct sk_backend *backend, const struct sk_identity *identity);

/* What a policy's token has opened and is no session: a link, a stream of events. Embedded in
 * whoever has it, and in a list of the backend until sk_list_remove(&grant->link). */
struct sk_grant {
    struct sk_list link;
    const struct sk_principal *who;
    /* Ends it with an error that its client sees. Others may end with it. */
    void (*revoke)(struct sk_grant *grant, const struct sk_error *error);
};
void sk_grant_open(struct sk_backend *backend, struct sk_grant *grant);

/* The backend's policies, device_cas or ip_filter have changed: closes every session and revokes
 * every grant whose policy is gone, has lost a right that it was opened with, or its key, whose CA
 * is gone, or whose address may not come any more. */
void sk_access_changed(struct sk_backend *backend);

/* ---- authentication and authorisation ---- */

struct sk_credentials {
    struct sk_span device, module; /* who the client says it is; empty: taken from the token */
    struct sk_span token;          /* SAS text; empty: none */
    struct sk_span auth_chain;     /* "leaf;edge" or empty */
    struct sk_span resource;       /* what is asked, "host/path"; empty: the identity itself */
    struct sk_stream *stream; /* where it comes from; its client certificate proves the identity
                               * when there is no token. Read before the call returns. NULL: none */
    const char *protocol;     /* "Mqtt", "Amqp", "Https"; static */
    bool event_stream; /* a policy's token may be signed as for Event Hubs: with the key's text */
};
/* `principal` is to be taken (moved out) when error is NULL. Never called from inside. All spans
 * are copied. */
typedef void sk_authenticated(void *arg, const struct sk_error *error,
                              struct sk_principal *principal);
struct sk_authentication;
/* What an identity in it changes meanwhile counts: it is looked up again. */
struct sk_authentication *sk_authenticate(struct sk_backend *backend,
                                          const struct sk_credentials *credentials,
                                          sk_authenticated *done, void *arg);
/* Forgets the caller: `done` will not be called. */
void sk_authentication_cancel(struct sk_authentication *authentication);

/* The stages in front of the backend: refuses what `request->who` may not do, then submits. */
void sk_gateway_submit(struct sk_backend *backend, struct sk_request *request);

/* ---- direct methods: from the invocation to the session and back, for both backends ---- */

struct sk_methods {
    struct sk_backend *backend;
    struct sk_map waiting; /* rid → call */
    struct sk_map targets; /* "device/module" → how many calls it has under way */
};
void sk_methods_init(struct sk_methods *methods, struct sk_backend *backend);
void sk_methods_free(struct sk_methods *methods); /* answers what waits with UNAVAILABLE */
/* Serves SK_OP_METHOD_INVOKE and SK_OP_METHOD_RESPOND. */
void sk_methods_invoke(struct sk_methods *methods, struct sk_request *request);
void sk_methods_respond(struct sk_methods *methods, struct sk_request *request);
/* A session has subscribed to methods: calls that waited for it go out. */
void sk_methods_online(struct sk_methods *methods, struct sk_session *session);
void sk_methods_offline(struct sk_methods *methods, struct sk_session *session);

/* ---- the gateway ---- */

struct sk_gateway_counts {
    uint64_t connections, connections_total, refused_total;
    uint64_t messages_total, bytes_total;
    uint64_t links_refused_total; /* of AMQP */
};

struct sk_gateway *sk_gateway_new(struct sk_io *io);
/* Serves a backend; it must outlive the gateway. */
void sk_gateway_add(struct sk_gateway *gateway, struct sk_backend *backend);
/* The backend for a host name (without port); NULL: none. */
struct sk_backend *sk_gateway_find(struct sk_gateway *gateway, struct sk_span host);
/* `tls` NULL: plain (tests, the simulated world). */
enum sk_status sk_gateway_listen(struct sk_gateway *gateway, const struct sk_endpoint *at,
                                 struct sk_tls *tls, uint16_t *port);
/* Takes these protocols only; until it is said, all of them. A WebSocket needs both its own and
 * HTTPS. */
enum sk_gateway_protocol {
    SK_GATEWAY_MQTT = 1,
    SK_GATEWAY_AMQP = 2,
    SK_GATEWAY_HTTPS = 4,
    SK_GATEWAY_ALL = 7,
};
void sk_gateway_speak(struct sk_gateway *gateway, unsigned protocols);
/* Requests for `path` and all below it are the handler's, whoever asks; it answers as of
 * net/http_server.h. Those with a body are given before it is read. One such path. */
void sk_gateway_pass(struct sk_gateway *gateway, struct sk_span path,
                     void (*handler)(void *arg, struct sk_http_exchange *exchange), void *arg);
/* Pages of these origins ("https://tool.example"), beside our own host's, may open WebSockets. The
 * texts must outlive the gateway. */
void sk_gateway_allow_origins(struct sk_gateway *gateway, const struct sk_span *origins,
                              size_t count);
/* How the loop is shared, as metrics (Prometheus text): lengths of turns, connections turned away,
 * output held. */
void sk_gateway_put_metrics(const struct sk_gateway *gateway, struct sk_buffer *to);
const struct sk_gateway_counts *sk_gateway_counts(const struct sk_gateway *gateway);
/* Closes listeners and connections; frees when the last is gone and calls `freed`. */
void sk_gateway_close(struct sk_gateway *gateway, void (*freed)(void *arg), void *arg);

#endif
