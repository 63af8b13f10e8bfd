/* An AMQP load generator: many devices on one connection, or a reader of the event stream.
 *
 *   bench-amqp_load --host 127.0.0.2 --port 5671 --ca ca.pem --key BASE64KEY
 *                   --devices 1000 --in-flight 20 --size 256 --seconds 5
 *                   [--idle]                  attach only, say so in a line of JSON, then wait
 *   bench-amqp_load … --read ENTITY --policy service --key KEY --partition 0 --count 1000000
 *                   [--rate 1000]             take no more events a second than that
 *
 * Prints one line of JSON: messages, seconds, rate. */
#include <getopt.h>
#include <stdio.h>

#include "support/tls.h"
#include "net/amqp_connection.h"
#include "trust/sas.h"

enum { READ_CREDIT = 2000 };

struct load {
    struct sk_io *io;
    struct sk_tls *tls;
    struct sk_endpoint to;
    const char *key, *policy, *entity;
    unsigned devices, in_flight, size, seconds, attached, partition, rate;
    uint64_t count, done, began_ns, stood_ns, ended_ns;
    bool idle, over;
    struct sk_amqp_connection *connection;
    struct device *device;
    struct sk_buffer message;
    struct sk_timer timer;
};

struct device {
    struct sk_amqp_client_link link;
    struct load *load;
    unsigned number, in_flight;
};

static void fail(const char *what, struct sk_span why) {
    fprintf(stderr, "%s: %.*s\n", what, SK_ARG(why));
    exit(1);
}

static void finish(struct load *l) {
    l->over = true;
    l->ended_ns = sk_io_now(l->io);
    sk_io_stop(l->io);
}

static void on_time(struct sk_timer *timer) {
    finish(SK_CONTAINER(timer, struct load, timer));
}

static struct device *device_of(struct sk_amqp_client_link *link) {
    return SK_CONTAINER(link, struct device, link);
}

/* ---- sending ---- */

static void fill(struct device *d) {
    while (d->in_flight < d->load->in_flight && sk_amqp_client_writable(&d->link)) {
        d->in_flight++;
        sk_amqp_client_send_bytes(&d->link, sk_buffer_span(&d->load->message), false, d);
    }
}

static void begin(struct load *l) {
    l->stood_ns = sk_io_now(l->io);
    sk_timer_start(l->io, &l->timer, l->seconds * SK_S, on_time);
    if (l->idle) {
        printf("{\"attached\":%u}\n", l->attached);
        fflush(stdout);
        return;
    }
    for (unsigned i = 0; i < l->devices; i++) fill(&l->device[i]);
}

static void on_writable(struct sk_amqp_client_link *link) {
    struct device *d = device_of(link);
    struct load *l = d->load;
    if (l->stood_ns == 0) {
        if (++l->attached == l->devices) begin(l);
    } else if (!l->over && !l->idle) {
        fill(d);
    }
}

static void on_outcome(struct sk_amqp_client_link *link, void *data, enum sk_amqp_outcome outcome,
                       const struct sk_amqp_error *error) {
    (void)data;
    struct device *d = device_of(link);
    if (outcome != SK_AMQP_ACCEPTED) fail("not accepted", error->description);
    d->in_flight--;
    if (d->load->over) return;
    d->load->done++;
    fill(d);
}

static void on_detached(struct sk_amqp_client_link *link, const struct sk_amqp_error *error) {
    (void)link;
    fail("a link was detached", error->description);
}

static const struct sk_amqp_link_events send_events = {
    .writable = on_writable, .outcome = on_outcome, .detached = on_detached};

static void on_device_token(void *arg, const struct sk_amqp_failure *why) {
    struct device *d = arg;
    struct load *l = d->load;
    char address[64];
    if (why) fail("a token was refused", why->description);
    snprintf(address, sizeof address, "/devices/bench-%u/messages/events", d->number);
    sk_amqp_client_attach(l->connection, &d->link,
                          &(struct sk_amqp_link_options){.address = address, .sender = true},
                          &send_events);
}

static void open_devices(struct load *l) {
    for (unsigned i = 0; i < l->devices; i++) {
        struct device *d = &l->device[i];
        struct sk_buffer resource = {0}, token = {0};
        d->load = l;
        d->number = i;
        sk_buffer_print(&resource, "%s/devices/bench-%u", l->to.host, i);
        sk_sas_create(&token, sk_buffer_span(&resource), sk_span_z(l->key), SK_NONE,
                      sk_io_wall(l->io) / 1000000 + 3600);
        sk_amqp_connection_put_token(l->connection, sk_buffer_span(&resource),
                                     sk_buffer_span(&token), on_device_token, d);
        sk_buffer_free(&resource);
        sk_buffer_free(&token);
    }
}

/* ---- reading ---- */

static void on_event(struct sk_amqp_client_link *link, struct sk_amqp_delivery *delivery,
                     struct sk_span payload) {
    (void)payload; /* not decoded: the server is what is measured */
    struct load *l = device_of(link)->load;
    if (l->done == 0) l->stood_ns = sk_io_now(l->io);
    if (delivery) sk_amqp_client_settle(link, delivery, SK_AMQP_ACCEPTED);
    if (++l->done == l->count) finish(l);
}

static void on_turn(struct sk_timer *timer) {
    enum { TURNS = 10 };
    struct load *l = SK_CONTAINER(timer, struct load, timer);
    sk_amqp_client_grant(&l->device[0].link, (int)(l->rate / TURNS));
    sk_timer_start(l->io, timer, SK_S / TURNS, on_turn);
}

static void on_ready(struct sk_amqp_client_link *link) {
    struct load *l = device_of(link)->load;
    if (l->rate) on_turn(&l->timer);
}

static const struct sk_amqp_link_events read_events = {
    .ready = on_ready, .transfer_bytes = on_event, .detached = on_detached};

static void on_reader_token(void *arg, const struct sk_amqp_failure *why) {
    struct load *l = arg;
    char address[128];
    if (why) fail("the token was refused", why->description);
    l->device[0].load = l;
    snprintf(address, sizeof address, "%s/ConsumerGroups/$Default/Partitions/%u", l->entity,
             l->partition);
    sk_amqp_client_attach(
        l->connection, &l->device[0].link,
        &(struct sk_amqp_link_options){.address = address,
                                       .credit = l->rate ? -1 : READ_CREDIT,
                                       .selector = "amqp.annotation.x-opt-offset > '-1'"},
        &read_events);
}

static void open_reader(struct load *l) {
    struct sk_buffer resource = {0}, token = {0};
    sk_buffer_print(&resource, "%s/%s", l->to.host, l->entity);
    sk_sas_create(&token, sk_buffer_span(&resource), sk_span_z(l->key), sk_span_z(l->policy),
                  sk_io_wall(l->io) / 1000000 + 3600);
    sk_amqp_connection_put_token(l->connection, sk_buffer_span(&resource), sk_buffer_span(&token),
                                 on_reader_token, l);
    sk_buffer_free(&resource);
    sk_buffer_free(&token);
}

/* ---- the connection ---- */

static void on_opened(void *arg) {
    struct load *l = arg;
    if (l->entity)
        open_reader(l);
    else
        open_devices(l);
}

static void on_closed(void *arg, const struct sk_amqp_failure *why) {
    (void)arg;
    fail("the connection closed",
         why->description.n ? why->description : sk_span_z(sk_status_text(why->status)));
}

static void encode(struct load *l) {
    struct sk_buffer body = {0};
    sk_buffer_text(&body, "{\"temperature\":21.5,\"humidity\":40,\"pad\":\"");
    while (body.n < l->size - 2) sk_buffer_byte(&body, 'x');
    sk_buffer_text(&body, "\"}");
    struct sk_span data = sk_buffer_span(&body);
    sk_amqp_encode(&l->message,
                   &(struct sk_amqp_message){.content_type = SK_SPAN("application/json"),
                                             .content_encoding = SK_SPAN("utf-8"),
                                             .data = &data,
                                             .data_count = 1});
    sk_buffer_free(&body);
}

int main(int argc, char **argv) {
    struct load l = {.to = {.host = "127.0.0.1", .port = 5671},
                     .devices = 1000,
                     .in_flight = 20,
                     .size = 256,
                     .seconds = 5};
    static const struct option names[] = {{"host", required_argument, NULL, 'h'},
                                          {"port", required_argument, NULL, 'p'},
                                          {"ca", required_argument, NULL, 'c'},
                                          {"key", required_argument, NULL, 'k'},
                                          {"policy", required_argument, NULL, 'P'},
                                          {"devices", required_argument, NULL, 'n'},
                                          {"in-flight", required_argument, NULL, 'f'},
                                          {"size", required_argument, NULL, 's'},
                                          {"seconds", required_argument, NULL, 't'},
                                          {"idle", no_argument, NULL, 'i'},
                                          {"read", required_argument, NULL, 'r'},
                                          {"partition", required_argument, NULL, 'x'},
                                          {"count", required_argument, NULL, 'C'},
                                          {"rate", required_argument, NULL, 'R'},
                                          {NULL, 0, NULL, 0}};
    const char *ca = NULL;
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) switch (c) {
        case 'h': l.to.host = optarg; break;
        case 'p': l.to.port = (uint16_t)atoi(optarg); break;
        case 'c': ca = optarg; break;
        case 'k': l.key = optarg; break;
        case 'P': l.policy = optarg; break;
        case 'n': l.devices = (unsigned)atoi(optarg); break;
        case 'f': l.in_flight = (unsigned)atoi(optarg); break;
        case 's': l.size = (unsigned)atoi(optarg); break;
        case 't': l.seconds = (unsigned)atoi(optarg); break;
        case 'i': l.idle = true; break;
        case 'r': l.entity = optarg; break;
        case 'x': l.partition = (unsigned)atoi(optarg); break;
        case 'R': l.rate = (unsigned)atoi(optarg); break;
        case 'C': l.count = (uint64_t)atoll(optarg); break;
        default: return 2;
        }
    if (ca == NULL || l.key == NULL) return 2;
    l.io = sk_io_uv_new();
    l.tls = load_tls(l.io, ca);
    l.device = sk_alloc(l.devices * sizeof *l.device);
    encode(&l);
    l.began_ns = sk_io_now(l.io);
    l.connection = sk_amqp_connection_new(
        l.io, &(struct sk_amqp_connection_options){.dial = {.to = l.to, .tls = l.tls},
                                                   .opened = on_opened,
                                                   .closed = on_closed,
                                                   .arg = &l});
    sk_io_run(l.io);
    double seconds = (double)(l.ended_ns - l.stood_ns) / 1e9;
    printf("{\"messages\":%llu,\"seconds\":%.3f,\"rate\":%.0f,\"attach_seconds\":%.3f}\n",
           (unsigned long long)l.done, seconds, (double)l.done / seconds,
           (double)(l.stood_ns - l.began_ns) / 1e9);
    return 0;
}
