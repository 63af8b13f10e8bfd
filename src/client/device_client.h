/* A device or module of IoT Hub over MQTT: what the edge hub's upstream, the agent, the C module SDK, the tools and the tests speak.
 *
 * Connects, and connects again for ever (back-off from 1 s to 60 s with jitter) until it is closed. Subscriptions and unacknowledged
 * telemetry survive connections: what was sent and not acknowledged goes out again, first and in order, marked DUP. One thread. */
#ifndef SK_CLIENT_DEVICE_CLIENT_H
#define SK_CLIENT_DEVICE_CLIENT_H

#include "io/io.h"
#include "model/message.h"

struct sk_device_client;

/* Gives `client` a token: called at each connect and before expiry; must end with exactly one sk_device_client_token() call, at once or
 * later (a client that was closed meanwhile has forgotten `request`: answer all the same, nothing happens). */
struct sk_device_token; /* one request for a token */
typedef void sk_device_token_fn(void *arg, struct sk_device_token *request, struct sk_span resource, int64_t expiry_s);
/* Ends a request; `token` is copied. Not SK_OK: the connect attempt fails and is repeated. */
void sk_device_token_done(struct sk_device_token *request, enum sk_status status, struct sk_span token);

struct sk_device_client_events {
    /* Connected, or not any more (or refused): `connack` is the code of a refusal, else 0. Optional, as all of these. */
    void (*on_state)(void *arg, bool connected, unsigned connack);
    /* A change of desired properties: the patch with its $version. */
    void (*on_desired)(void *arg, struct sk_span patch, uint64_t version);
    /* A direct method; answer with sk_device_client_respond, at once or later. Spans live until the call returns. */
    void (*on_method)(void *arg, struct sk_span rid, struct sk_span name, struct sk_span payload);
    /* A message to a module's input (message->system[SK_SYS_INPUT]) or a cloud-to-device message; acknowledge with
     * sk_device_client_acknowledge. Spans live until the call returns. */
    void (*on_message)(void *arg, const struct sk_message *message, uint16_t delivery);
};

struct sk_device_client_options {
    struct sk_endpoint to;       /* host and port to dial */
    const char *server_name;     /* for SNI and verification; NULL: to.host */
    struct sk_tls *tls;          /* NULL: plain */
    const char *hub_host_name;   /* in the user name and the token's resource */
    const char *device_id;
    const char *module_id;       /* NULL: a device */
    const char *auth_chain;      /* "leaf;edge"; NULL: speaks for itself */
    const char *token_resource;  /* what the token is for; NULL: hub/devices/d[/modules/m] of the identity */
    const char *product;         /* DeviceClientType; NULL: "skerry" */
    const char *key;             /* base64; NULL: `token` is asked */
    sk_device_token_fn *token;
    void *token_arg;
    unsigned keep_alive_s;       /* 0: 60 */
    unsigned window;             /* telemetry in flight; 0: 32 */
    bool want_desired, want_methods, want_messages; /* subscribe */
    struct sk_device_client_events events;
    void *arg;
};

/* Starts connecting. All strings are copied; `tls` must outlive it. */
struct sk_device_client *sk_device_client_new(struct sk_io *io, const struct sk_device_client_options *options);
/* DISCONNECT and free; every completion that waits is called with SK_CLOSED before this returns. */
void sk_device_client_close(struct sk_device_client *client);
bool sk_device_client_connected(const struct sk_device_client *client);
/* Drops the connection and connects again at once (a new address or token). */
void sk_device_client_reconnect(struct sk_device_client *client);
/* Changes what is subscribed; takes effect at once when connected. */
void sk_device_client_want(struct sk_device_client *client, bool desired, bool methods, bool messages);

typedef void sk_device_done(void *arg, enum sk_status status);

/* Sends telemetry (copied; message->device and ->module are ignored). `done` when it is acknowledged, or SK_CLOSED. Waits for a
 * connection and for room in the window. SK_TOO_LARGE at once (then no `done`): more than SK_MESSAGE_MAX. */
enum sk_status sk_device_client_send(struct sk_device_client *client, const struct sk_message *message, sk_device_done *done,
                                     void *arg);
size_t sk_device_client_unsent(const struct sk_device_client *client); /* messages not yet acknowledged */

/* The twin, {"desired":…,"reported":…}. SK_CLOSED: no connection now; SK_TIMEOUT (30 s); SK_REFUSED with the hub's error JSON. */
typedef void sk_device_twin_done(void *arg, enum sk_status status, struct sk_span json);
void sk_device_client_twin_get(struct sk_device_client *client, sk_device_twin_done *done, void *arg);
/* Reports properties. As above; `json` is the error's body when SK_REFUSED; `version` the new one when SK_OK. */
typedef void sk_device_report_done(void *arg, enum sk_status status, uint64_t version, struct sk_span json);
void sk_device_client_report(struct sk_device_client *client, struct sk_span patch, sk_device_report_done *done, void *arg);

void sk_device_client_respond(struct sk_device_client *client, struct sk_span rid, int status, struct sk_span payload);
void sk_device_client_acknowledge(struct sk_device_client *client, uint16_t delivery);

#endif
