/* A client that means no good: one of the floods of the table below, over as many connections as it
 * says, for some seconds.
 *
 *   fault-attack NAME --to ADDRESS:PORT [--ca FILE] [--seconds S] [--device CONNECTION_STRING]
 *                [--service CONNECTION_STRING]
 *
 * --device is whom the floods that need a login come from, --service who reads the events. A
 * connection that the server ends is dialled again. Prints one line of JSON: bytes each way, and
 * how often a connection was opened and ended. */
#include <getopt.h>
#include <stdio.h>

#include "azure/connection_string.h"
#include "support/frame_program.h"
#include "support/frames.h"
#include "support/raw_tls.h"
#include "support/tls.h"
#include "wire/mqtt.h"
#include "trust/sas.h"

enum { BURST = 16 * 1024, BODY = 1000 * 1000, MESSAGE = 250 * 1024, AGAIN_MS = 20 };

struct attack;

struct attacker {
    struct sk_io *io;
    struct sk_tls *tls;
    const struct attack *attack;
    struct sk_endpoint to;
    struct sk_connection_string device, service;
    struct sk_buffer payload;
    struct connection *connections;
    uint64_t sent, received, opened, ended;
    struct sk_timer over;
    bool stopping;
};

struct connection {
    struct attacker *attacker;
    struct sk_stream *stream;
    struct sk_timer again;
    struct raw_tls raw; /* of an attack with a `version` */
    unsigned asked;
    unsigned char handle; /* of the next link; how often it has spoken */
};

/* An HTTP request that is sent again and again. In a target "%u" is a number that grows, "%s" the
 * device's id. */
struct ask {
    enum {
        AS_NOBODY,
        AS_DEVICE,
        AS_SERVICE,
        AS_BLOB_CLIENT
    } as; /* with a token; a blob client's is forged */
    const char *method, *target, *body;
};

struct attack {
    const char *name;
    void (*greet)(struct connection *c, struct sk_buffer *to); /* once; NULL: says nothing */
    void (*more)(struct connection *c, struct sk_buffer *to);  /* again and again; NULL: waits */
    void (*reply)(struct connection *c, struct sk_buffer *to); /* whenever it is answered */
    unsigned connections;
    bool unread; /* does not read what is answered */
    bool plain;  /* no TLS handshake */
    const struct ask *ask;
    int version; /* of TLS by hand, over a plain connection; what is said comes encrypted */
    void (*certify)(struct connection *c);
};

/* ---- HTTP ---- */

static void get_nothing(struct connection *c, struct sk_buffer *to) {
    for (size_t end = to->n + BURST; to->n < end;)
        sk_buffer_print(to, "GET /devices/x?api-version=2021-04-12 HTTP/1.1\r\nHost: %s\r\n\r\n",
                        c->attacker->to.host);
}

static void put_large_body(struct connection *c, struct sk_buffer *to) {
    sk_buffer_print(to,
                    "PUT /devices/x?api-version=2021-04-12 HTTP/1.1\r\nHost: %s\r\n"
                    "Content-Length: %d\r\n\r\n",
                    c->attacker->to.host, BODY);
    for (int i = 0; i < BODY - 1; i++) sk_buffer_byte(to, ' '); /* the last byte never comes */
}

static void put_service_token(struct connection *c, struct sk_buffer *token) {
    const struct sk_connection_string *service = &c->attacker->service;
    sk_sas_create(token, service->host_name, service->shared_access_key,
                  service->shared_access_key_name, sk_io_wall(c->attacker->io) / 1000000 + 3600);
}

static void read_events(struct connection *c, struct sk_buffer *to) {
    struct sk_buffer token = {0};
    put_service_token(c, &token);
    sk_buffer_print(to,
                    "GET /messages/events?api-version=2021-04-12&from=earliest&device=nobody "
                    "HTTP/1.1\r\nHost: %.*s\r\nAuthorization: %.*s\r\n\r\n",
                    SK_ARG(c->attacker->service.host_name), SK_ARG(sk_buffer_span(&token)));
    sk_buffer_free(&token);
}

/* ---- a device's login ---- */

static void put_device_token(struct connection *c, struct sk_buffer *token) {
    const struct sk_connection_string *device = &c->attacker->device;
    struct sk_buffer resource = {0};
    sk_buffer_print(&resource, "%.*s/devices/%.*s", SK_ARG(device->host_name),
                    SK_ARG(device->device_id));
    sk_sas_create(token, sk_buffer_span(&resource), device->shared_access_key, SK_NONE,
                  sk_io_wall(c->attacker->io) / 1000000 + 3600);
    sk_buffer_free(&resource);
}

/* ---- HTTP again and again ---- */

static void put_headers(struct connection *c, struct sk_buffer *to) {
    struct sk_buffer token = {0};
    switch (c->attacker->attack->ask->as) {
    case AS_NOBODY:
        sk_buffer_append(&token, SK_SPAN("SharedAccessSignature sr=x&sig=eA%3d%3d&se=9999999999"));
        break;
    case AS_DEVICE: put_device_token(c, &token); break;
    case AS_SERVICE: put_service_token(c, &token); break;
    case AS_BLOB_CLIENT:
        sk_buffer_append(&token, SK_SPAN("SharedKey iothubowner:eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4"
                                         "eHh4eHh4eHg=\r\nx-ms-version: 2021-04-10"));
        break;
    }
    sk_buffer_print(to, "Host: %s\r\nAuthorization: %.*s\r\nContent-Type: application/json\r\n",
                    c->attacker->to.host, SK_ARG(sk_buffer_span(&token)));
    sk_buffer_free(&token);
}

static void put_target(struct connection *c, struct sk_buffer *to) {
    const char *target = c->attacker->attack->ask->target;
    for (const char *p = target; *p; p++) {
        bool special = p[0] == '%' && (p[1] == 'u' || p[1] == 's');
        if (special && *++p == 'u')
            sk_buffer_print(to, "%u", c->asked++);
        else if (special)
            sk_buffer_append(to, c->attacker->device.device_id);
        else
            sk_buffer_byte(to, *p);
    }
}

static void ask(struct connection *c, struct sk_buffer *to) {
    const struct ask *what = c->attacker->attack->ask;
    struct sk_buffer headers = {0};
    put_headers(c, &headers);
    for (size_t end = to->n + BURST; to->n < end;) {
        sk_buffer_print(to, "%s ", what->method);
        put_target(c, to);
        sk_buffer_print(to, " HTTP/1.1\r\n%.*sContent-Length: %zu\r\n\r\n%s",
                        SK_ARG(sk_buffer_span(&headers)), strlen(what->body), what->body);
    }
    sk_buffer_free(&headers);
}

#define VERSION "?api-version=2021-04-12"
static const struct ask
    forged = {AS_NOBODY, "GET", "/devices/x" VERSION, ""},
    forged_blob = {AS_BLOB_CLIENT, "PUT", "/uploads/x?comp=block&blockid=eA%3d%3d", "x"},
    upload = {AS_DEVICE, "POST", "/devices/%s/files" VERSION, "{\"blobName\": \"x\"}"},
    query =
        {AS_SERVICE, "POST", "/devices/query" VERSION,
         "{\"query\": \"SELECT * FROM devices WHERE tags.a.b > 1 OR ENDSWITH(deviceId, 'x')\"}"},
    group = {AS_SERVICE, "PUT",
             "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/IotHubs/test/"
             "eventHubEndpoints/events/ConsumerGroups/g%u" VERSION,
             "{}"},
    job = {AS_SERVICE, "PUT", "/jobs/v2/j%u" VERSION,
           "{\"jobId\": \"j\", \"type\": \"scheduleUpdateTwin\", \"queryCondition\": \"*\", "
           "\"startTime\": \"2100-01-01T00:00:00Z\", \"maxExecutionTimeInSeconds\": 60, "
           "\"updateTwin\": {\"etag\": \"*\", \"tags\": {\"a\": 1}}}"},
    explain = {AS_SERVICE, "POST", "/routing/routes/$explain" VERSION,
               "{\"message\": {\"body\": \"{}\"}}"},
    tag = {AS_SERVICE, "PATCH", "/twins/attacker" VERSION, "{\"tags\": {\"a\": {\"b\": 2}}}"},
    call = {AS_SERVICE, "POST", "/twins/attacker/methods" VERSION,
            "{\"methodName\": \"m\", \"payload\": null, \"connectTimeoutInSeconds\": 1}"},
    purge = {AS_SERVICE, "DELETE", "/devices/attacker/commands" VERSION, ""};

/* ---- MQTT ---- */

static void connect_device(struct connection *c, struct sk_buffer *to) {
    const struct sk_connection_string *device = &c->attacker->device;
    struct sk_buffer user = {0}, token = {0};
    sk_buffer_print(&user, "%.*s/%.*s/?api-version=2021-04-12", SK_ARG(device->host_name),
                    SK_ARG(device->device_id));
    put_device_token(c, &token);
    sk_mqtt_put_connect(to, &(struct sk_mqtt_connect){.clean_session = true,
                                                      .has_user = true,
                                                      .has_password = true,
                                                      .client_id = device->device_id,
                                                      .user = sk_buffer_span(&user),
                                                      .password = sk_buffer_span(&token)});
    sk_buffer_free(&user);
    sk_buffer_free(&token);
}

static void connect_nobody(struct connection *c, struct sk_buffer *to) {
    (void)c;
    sk_mqtt_put_connect(to, &(struct sk_mqtt_connect){.clean_session = true,
                                                      .has_user = true,
                                                      .has_password = true,
                                                      .client_id = SK_SPAN("nobody"),
                                                      .user = SK_SPAN("nowhere/nobody"),
                                                      .password = SK_SPAN("none")});
}

static void ping(struct connection *c, struct sk_buffer *to) {
    (void)c;
    for (size_t end = to->n + BURST; to->n < end;) sk_mqtt_put_bare(to, SK_MQTT_PINGREQ);
}

static void subscribe(struct connection *c, struct sk_buffer *to) {
    (void)c;
    const struct sk_mqtt_subscription methods = {.filter = SK_SPAN("$iothub/methods/POST/#")};
    for (size_t end = to->n + BURST; to->n < end;) sk_mqtt_put_subscribe(to, 1, &methods, 1);
}

static void get_twin(struct connection *c, struct sk_buffer *to) {
    (void)c;
    const struct sk_mqtt_publish get = {.topic = SK_SPAN("$iothub/twin/GET/?$rid=1")};
    for (size_t end = to->n + BURST; to->n < end;) sk_mqtt_put_publish(to, &get);
}

static void publish(struct connection *c, struct sk_buffer *to, size_t size, uint8_t qos) {
    struct sk_buffer topic = {0};
    sk_buffer_print(&topic, "devices/%.*s/messages/events/", SK_ARG(c->attacker->device.device_id));
    const struct sk_mqtt_publish message = {
        .topic = sk_buffer_span(&topic),
        .payload = sk_span_first(sk_buffer_span(&c->attacker->payload), size),
        .qos = qos,
        .id = 1};
    for (size_t end = to->n + BURST; to->n < end;) sk_mqtt_put_publish(to, &message);
    sk_buffer_free(&topic);
}

static void publish_large(struct connection *c, struct sk_buffer *to) {
    publish(c, to, MESSAGE, 0);
}

static void publish_small(struct connection *c, struct sk_buffer *to) {
    publish(c, to, 64, 1);
}

/* ---- AMQP ---- */

static void open_amqp(struct connection *c, struct sk_buffer *to) {
    (void)c;
    put_header(to);
    put_open(to);
    put_begin(to, 0);
}

/* SASL PLAIN, as a device; then session 0. */
static void open_as_device(struct connection *c, struct sk_buffer *to) {
    enum { FRAME_TYPE = 5, SASL = 1, SASL_INIT = 0x41 };
    const struct sk_connection_string *device = &c->attacker->device;
    struct sk_buffer token = {0}, response = {0}, fields = {0};
    put_device_token(c, &token);
    sk_buffer_byte(&response, 0);
    sk_buffer_print(&response, "%.*s@sas.%.*s", SK_ARG(device->device_id),
                    SK_ARG(device->host_name));
    sk_buffer_byte(&response, 0);
    sk_buffer_append(&response, sk_buffer_span(&token));
    sk_buffer_append(&fields, SK_SPAN("\xa3\x05PLAIN\xa0"));
    sk_buffer_byte(&fields, (char)response.n); /* fewer than 256 */
    sk_buffer_append(&fields, sk_buffer_span(&response));
    sk_buffer_append(to, SK_SPAN("AMQP\3\1\0\0"));
    size_t began = to->n;
    put_frame(to, 0, SASL_INIT, sk_buffer_span(&fields), 2, SK_NONE);
    to->p[began + FRAME_TYPE] = SASL;
    open_amqp(c, to);
    sk_buffer_free(&token);
    sk_buffer_free(&response);
    sk_buffer_free(&fields);
}

static void own_address(const struct connection *c, char to[128]) {
    snprintf(to, 128, "/devices/%.*s/messages/events", SK_ARG(c->attacker->device.device_id));
}

static void attach_and_detach(struct connection *c, struct sk_buffer *to) {
    char address[128];
    own_address(c, address);
    for (size_t end = to->n + BURST; to->n < end;) {
        put_attach(to, 0, 0, address);
        put_detach(to, 0, 0);
    }
}

static void begin_and_end(struct connection *c, struct sk_buffer *to) {
    char address[128];
    own_address(c, address);
    for (size_t end = to->n + BURST; to->n < end;) {
        put_begin(to, 1);
        put_attach(to, 1, 0, address);
        put_frame(to, 1, END, SK_NONE, 0, SK_NONE);
    }
}

static void begin_and_attach(struct connection *c, struct sk_buffer *to) {
    (void)c;
    put_header(to);
    put_open(to);
    for (unsigned channel = 0; to->n < 62 * 1024; channel++) {
        put_begin(to, channel);
        put_attach(to, channel, 0, "$cbs");
    }
}

static void attach_unknown(struct connection *c, struct sk_buffer *to) {
    for (size_t end = to->n + BURST; to->n < end; c->handle = (c->handle + 1) & 15) {
        put_attach(to, 0, c->handle, "nobody/knows/this/address");
        put_detach(to, 0, c->handle);
    }
}

static void open_cbs(struct connection *c, struct sk_buffer *to) {
    open_amqp(c, to);
    put_attach(to, 0, 0, "$cbs");
}

/* A transfer that has no delivery-id, once the session stands. */
static void transfer_nameless(struct connection *c, struct sk_buffer *to) {
    (void)c;
    put_frame(to, 0, TRANSFER, SK_SPAN("\x43\x40\x40\x40\x40\x41"), 6, SK_SPAN("x"));
}

/* Frames that are well-formed, in any order, with fields left out; each connection says others. */
static void talk_at_random(struct connection *c, struct sk_buffer *to) {
    enum { STEPS = 40 };
    uint8_t program[STEPS * PROGRAM_STEP];
    sk_io_random(c->attacker->io, program, sizeof program);
    if (c->handle++ == 0) /* the first time */
        program_put(to, sk_span(program, sizeof program), program[0] & 1);
    else
        program_go_on(to, sk_span(program, sizeof program));
}

/* ---- TLS ---- */

static void update_keys(struct connection *c, struct sk_buffer *to) {
    for (size_t end = to->n + BURST; to->n < end;) {
        raw_tls_key_update(&c->raw);
        raw_tls_drain(&c->raw, to);
    }
}

static void update_keys_often(struct connection *c, struct sk_buffer *to) {
    for (size_t end = to->n + BURST; to->n < end;) {
        raw_tls_key_update(&c->raw);
        raw_tls_write(&c->raw, SK_SPAN("\x10")); /* of a CONNECT that never ends */
        raw_tls_drain(&c->raw, to);
    }
}

static void negotiate_again(struct connection *c, struct sk_buffer *to) {
    raw_tls_renegotiate(&c->raw);
    raw_tls_drain(&c->raw, to);
}

/* A leaf, and issuers above it whose signatures take long to verify. */
static void send_dear_chain(struct connection *c) {
    enum { COUNT = 20 }; /* nearly all that may be sent */
    static EVP_PKEY *keys[COUNT + 1];
    static X509 *chain[COUNT];
    for (int i = COUNT; i >= 0 && chain[0] == NULL; i--) {
        char name[8], issuer[8];
        keys[i] = raw_tls_key(i ? "B-571" : "P-256");
        snprintf(name, sizeof name, "c%d", i);
        snprintf(issuer, sizeof issuer, "c%d", i + 1);
        if (i < COUNT) chain[i] = raw_tls_certificate(name, keys[i], issuer, keys[i + 1]);
    }
    SSL_use_certificate(c->raw.ssl, chain[0]);
    SSL_use_PrivateKey(c->raw.ssl, keys[0]);
    for (int i = 1; i < COUNT; i++) SSL_add1_chain_cert(c->raw.ssl, chain[i]);
}

/* Ends with a word that is no protocol's, and so is dialled again. */
static void say_nonsense(struct connection *c, struct sk_buffer *to) {
    raw_tls_write(&c->raw, SK_SPAN("\xff\xff\xff\xff\xff\xff\xff\xff"));
    raw_tls_drain(&c->raw, to);
}

static const struct attack attacks[] = {
    {"http-get", NULL, get_nothing, .connections = 1},
    {"http-get-unread", NULL, get_nothing, .connections = 1, .unread = true},
    {"http-body", put_large_body, NULL, .connections = 120},
    {"events", read_events, NULL, .connections = 4},
    {"http-forged", NULL, ask, .connections = 4, .ask = &forged},
    {"blob-forged", NULL, ask, .connections = 4, .ask = &forged_blob},
    {"file-upload", NULL, ask, .connections = 4, .ask = &upload},
    {"query", NULL, ask, .connections = 4, .ask = &query},
    {"query-unread", NULL, ask, .connections = 4, .ask = &query, .unread = true},
    {"consumer-group", NULL, ask, .connections = 4, .ask = &group},
    {"job", NULL, ask, .connections = 4, .ask = &job},
    {"route-explain", NULL, ask, .connections = 4, .ask = &explain},
    {"twin-tag", NULL, ask, .connections = 4, .ask = &tag},
    {"method-unread", NULL, ask, .connections = 4, .ask = &call, .unread = true},
    {"c2d-purge", NULL, ask, .connections = 4, .ask = &purge},
    {"events-unread", read_events, NULL, .connections = 500, .unread = true},
    {"mqtt-ping", connect_device, ping, .connections = 1},
    {"mqtt-ping-unread", connect_device, ping, .connections = 1, .unread = true},
    {"mqtt-ping-unknown", connect_nobody, ping, .connections = 1},
    {"mqtt-subscribe-unread", connect_device, subscribe, .connections = 1, .unread = true},
    {"mqtt-twin", connect_device, get_twin, .connections = 1},
    {"mqtt-twin-unread", connect_device, get_twin, .connections = 1, .unread = true},
    {"mqtt-qos0", connect_device, publish_large, .connections = 1},
    {"mqtt-qos1-unread", connect_device, publish_small, .connections = 1, .unread = true},
    {"amqp-begin", begin_and_attach, NULL, .connections = 60},
    {"amqp-attach", open_amqp, attach_unknown, .connections = 1},
    {"amqp-links", open_as_device, attach_and_detach, .connections = 16},
    {"amqp-sessions", open_as_device, begin_and_end, .connections = 16},
    {"amqp-nameless", open_cbs, NULL, .reply = transfer_nameless, .connections = 8},
    {"amqp-frames", talk_at_random, NULL, .reply = talk_at_random, .connections = 32},
    {"tls-keyupdate", NULL, update_keys, .connections = 4, .version = TLS1_3_VERSION},
    {"tls-keyupdate-data", NULL, update_keys_often, .connections = 4, .version = TLS1_3_VERSION},
    {"tls-renegotiate", negotiate_again, NULL, .connections = 4, .version = TLS1_2_VERSION},
    {"tls-chain", say_nonsense, NULL, .connections = 8, .version = TLS1_3_VERSION,
     .certify = send_dear_chain},
    {"idle", NULL, NULL, .connections = 20000, .plain = true},
};

/* ---- connections ---- */

static void dial(struct connection *c);

static void on_again(struct sk_timer *timer) {
    dial(SK_CONTAINER(timer, struct connection, again));
}

static void send_more(struct connection *c) {
    struct attacker *a = c->attacker;
    struct sk_buffer bytes = {0};
    bool room = true;
    while (room && !a->stopping) {
        bytes.n = 0;
        a->attack->more(c, &bytes);
        room = sk_stream_write(c->stream, sk_buffer_span(&bytes));
        a->sent += bytes.n;
    }
    sk_buffer_free(&bytes);
}

static void say(struct connection *c, void (*what)(struct connection *, struct sk_buffer *)) {
    struct sk_buffer bytes = {0};
    if (what == NULL) return;
    what(c, &bytes);
    sk_stream_write(c->stream, sk_buffer_span(&bytes));
    c->attacker->sent += bytes.n;
    sk_buffer_free(&bytes);
}

static void begin(struct connection *c) {
    say(c, c->attacker->attack->greet);
    if (c->attacker->attack->more) send_more(c);
}

static void send_raw(struct connection *c, struct sk_buffer *to) {
    raw_tls_drain(&c->raw, to);
}

static void on_open(struct sk_stream *stream, void *arg) {
    struct connection *c = arg;
    const struct attack *attack = c->attacker->attack;
    c->attacker->opened++;
    c->handle = 0;
    if (attack->unread) sk_stream_pause(stream, true);
    if (attack->version == 0) {
        begin(c);
        return;
    }
    raw_tls_begin(&c->raw, attack->version);
    if (attack->certify) attack->certify(c);
    raw_tls_take(&c->raw, SK_NONE);
    say(c, send_raw);
}

static void on_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    (void)stream;
    struct connection *c = arg;
    c->attacker->received += bytes.n;
    if (c->raw.ssl) {
        bool shaken = raw_tls_take(&c->raw, bytes);
        say(c, send_raw);
        if (shaken) begin(c);
    }
    say(c, c->attacker->attack->reply);
}

static void on_drain(struct sk_stream *stream, void *arg) {
    (void)stream;
    struct connection *c = arg;
    if (c->attacker->attack->more && (c->raw.ssl == NULL || SSL_is_init_finished(c->raw.ssl)))
        send_more(c);
}

static void on_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream;
    (void)reason;
    struct connection *c = arg;
    c->attacker->ended++;
    c->stream = NULL;
    raw_tls_end(&c->raw);
    if (!c->attacker->stopping)
        sk_timer_start(c->attacker->io, &c->again, AGAIN_MS * SK_MS, on_again);
}

static const struct sk_stream_events events = {
    .on_open = on_open, .on_data = on_data, .on_drain = on_drain, .on_close = on_close};

static void dial(struct connection *c) {
    struct attacker *a = c->attacker;
    c->stream = sk_connect(a->io, &a->to, a->attack->plain || a->attack->version ? NULL : a->tls,
                           NULL, &events, c);
}

static void on_over(struct sk_timer *timer) {
    struct attacker *a = SK_CONTAINER(timer, struct attacker, over);
    a->stopping = true;
    printf("{\"attack\":\"%s\",\"sent\":%llu,\"received\":%llu,\"opened\":%llu,\"ended\":%llu}\n",
           a->attack->name, (unsigned long long)a->sent, (unsigned long long)a->received,
           (unsigned long long)a->opened, (unsigned long long)a->ended);
    exit(0); /* without a goodbye */
}

/* ---- setting up ---- */

static void parse(const char *text, struct sk_connection_string *parts) {
    char error[SK_MODEL_ERROR_MAX];
    if (sk_connection_string_parse(sk_span_z(text), parts, error) == SK_OK) return;
    fprintf(stderr, "%s\n", error);
    exit(2);
}

static void take_address(struct attacker *a, char *text) {
    char *colon = strrchr(text, ':');
    if (colon == NULL) exit(2);
    *colon = 0;
    a->to = (struct sk_endpoint){.host = text, .port = (uint16_t)atoi(colon + 1)};
}

static const struct attack *find(const char *name) {
    for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++)
        if (strcmp(attacks[i].name, name) == 0) return &attacks[i];
    fprintf(stderr, "there is no attack %s\n", name);
    exit(2);
}

int main(int argc, char **argv) {
    static const struct option names[] = {
        {"to", required_argument, NULL, 't'},      {"ca", required_argument, NULL, 'c'},
        {"seconds", required_argument, NULL, 's'}, {"device", required_argument, NULL, 'd'},
        {"service", required_argument, NULL, 'S'}, {NULL, 0, NULL, 0}};
    struct attacker a = {.io = sk_io_uv_new()};
    unsigned seconds = 5;
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) switch (c) {
        case 't': take_address(&a, optarg); break;
        case 'c': a.tls = load_tls(a.io, optarg); break;
        case 's': seconds = (unsigned)atoi(optarg); break;
        case 'd': parse(optarg, &a.device); break;
        case 'S': parse(optarg, &a.service); break;
        default: return 2;
        }
    if (optind + 1 != argc || a.to.host == NULL) return 2;
    a.attack = find(argv[optind]);
    for (int i = 0; i < MESSAGE; i++) sk_buffer_byte(&a.payload, (char)('a' + i % 26));
    a.connections = sk_alloc(a.attack->connections * sizeof *a.connections);
    for (unsigned i = 0; i < a.attack->connections; i++) {
        a.connections[i].attacker = &a;
        dial(&a.connections[i]);
    }
    sk_timer_start(a.io, &a.over, seconds * SK_S, on_over);
    sk_io_run(a.io);
    return 1;
}
