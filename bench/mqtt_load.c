/* An MQTT load generator for hubs and brokers alike: N connections, each with M QoS 1 messages in
 * flight, for S seconds.
 *
 *   bench-mqtt_load --host 127.0.0.2 --port 8883 --ca ca.pem --connections 50 --in-flight 50 --size
 *   256 --seconds 5
 *                   [--hub HOST --key BASE64KEY]    IoT hub mode: devices bench-0 … bench-N-1, SAS
 *                   tokens of that key, Azure's topics
 *                   [--reports]                     reported properties in place of telemetry:
 *                   a patch of two, each with a new value; the hub's answer is what is counted
 *                   [--idle]                        connect only, say so in a line of JSON, then
 *                                                   wait; for memory measurements
 *
 * Prints one line of JSON: messages acknowledged, seconds, rate, connect time. */
#include <getopt.h>
#include <stdio.h>

#include "support/tls.h"
#include "wire/mqtt.h"
#include "trust/sas.h"

struct load {
    struct sk_io *io;
    struct sk_tls *tls;
    struct sk_endpoint to;
    const char *hub, *key;
    unsigned connections, in_flight, size, seconds, connected, closed;
    bool idle, reports;
    struct client *clients;
    struct sk_buffer payload;
    uint64_t began_ns, connected_ns, ended_ns, acknowledged;
    struct sk_timer timer;
    bool over;
};

struct client {
    struct load *load;
    unsigned number;
    struct sk_stream *stream;
    struct sk_buffer in, topic;
    uint16_t next_id;
    unsigned reported;
};

static void send_report(struct client *c) {
    char topic[64], payload[64];
    int m = snprintf(topic, sizeof topic, "$iothub/twin/PATCH/properties/reported/?$rid=%u",
                     ++c->reported),
        n = snprintf(payload, sizeof payload, "{\"temperature\":%u.5,\"state\":\"s%u\"}",
                     c->reported % 100, c->reported);
    sk_mqtt_put_publish(sk_stream_output(c->stream),
                        &(struct sk_mqtt_publish){.topic = sk_span(topic, (size_t)m),
                                                  .payload = sk_span(payload, (size_t)n)});
}

static void send_one(struct client *c) {
    if (c->load->reports) {
        send_report(c);
        return;
    }
    if (++c->next_id == 0) c->next_id = 1;
    sk_mqtt_put_publish(sk_stream_output(c->stream),
                        &(struct sk_mqtt_publish){.qos = 1,
                                                  .id = c->next_id,
                                                  .topic = sk_buffer_span(&c->topic),
                                                  .payload = sk_buffer_span(&c->load->payload)});
}

static void on_over(struct sk_timer *timer) {
    struct load *l = SK_CONTAINER(timer, struct load, timer);
    l->over = true;
    l->ended_ns = sk_io_now(l->io);
    sk_io_stop(l->io);
}

static void all_connected(struct load *l) {
    l->connected_ns = sk_io_now(l->io);
    sk_timer_start(l->io, &l->timer, l->seconds * SK_S, on_over);
    if (l->idle) {
        printf("{\"connected\":%u}\n", l->connected);
        fflush(stdout);
    }
    for (unsigned i = 0; i < l->connections && !l->idle; i++) {
        for (unsigned j = 0; j < l->in_flight; j++) send_one(&l->clients[i]);
        sk_stream_flush(l->clients[i].stream);
    }
}

static void start_next(struct load *l);

static void ready(struct load *l) {
    if (++l->connected == l->connections)
        all_connected(l);
    else
        start_next(l);
}

static void handle(struct client *c, const struct sk_mqtt_packet *packet) {
    struct load *l = c->load;
    if (packet->type == SK_MQTT_CONNACK) {
        if (packet->u.connack.code) {
            fprintf(stderr, "connection %u refused with code %u\n", c->number,
                    packet->u.connack.code);
            exit(1);
        }
        if (l->reports)
            sk_mqtt_put_subscribe(
                sk_stream_output(c->stream), 1,
                &(struct sk_mqtt_subscription){.filter = SK_SPAN("$iothub/twin/res/#")}, 1);
        else
            ready(l);
    } else if (packet->type == SK_MQTT_SUBACK) {
        ready(l);
    } else if ((packet->type == SK_MQTT_PUBACK || packet->type == SK_MQTT_PUBLISH) && !l->over) {
        l->acknowledged++;
        send_one(c);
    }
}

static void on_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    struct client *c = arg;
    struct sk_mqtt_packet packet;
    size_t used = 0, at = 0;
    sk_buffer_append(&c->in, bytes);
    while (sk_mqtt_decode(sk_span(c->in.p + at, c->in.n - at), 65536, &packet, &used) == SK_OK) {
        at += used;
        handle(c, &packet);
    }
    sk_buffer_consume(&c->in, at);
    sk_stream_flush(stream);
}

static void on_open(struct sk_stream *stream, void *arg) {
    struct client *c = arg;
    struct load *l = c->load;
    struct sk_buffer id = {0}, user = {0}, resource = {0}, password = {0};
    struct sk_mqtt_connect connect = {.clean_session = true, .keep_alive_s = 600};
    sk_buffer_print(&id, "bench-%u", c->number);
    connect.client_id = sk_buffer_span(&id);
    if (l->hub) {
        sk_buffer_print(&user, "%s/bench-%u/?api-version=2021-04-12", l->hub, c->number);
        sk_buffer_print(&resource, "%s/devices/bench-%u", l->hub, c->number);
        sk_sas_create(&password, sk_buffer_span(&resource), sk_span_z(l->key), SK_NONE,
                      sk_io_wall(l->io) / 1000000 + 3600);
        connect.has_user = connect.has_password = true;
        connect.user = sk_buffer_span(&user);
        connect.password = sk_buffer_span(&password);
        sk_buffer_print(
            &c->topic, "devices/bench-%u/messages/events/%%24.ct=application%%2Fjson&%%24.ce=utf-8",
            c->number);
    } else {
        sk_buffer_print(&c->topic, "bench/%u/telemetry", c->number);
    }
    sk_mqtt_put_connect(sk_stream_output(stream), &connect);
    sk_stream_flush(stream);
    sk_buffer_free(&id);
    sk_buffer_free(&user);
    sk_buffer_free(&resource);
    sk_buffer_free(&password);
}

static void on_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream;
    struct client *c = arg;
    if (c->load->over) return;
    fprintf(stderr, "connection %u closed: %s\n", c->number, sk_status_text(reason));
    exit(1);
}

static const struct sk_stream_events events = {
    .on_open = on_open, .on_data = on_data, .on_close = on_close};

/* A few handshakes at a time: the listener's backlog is not what is measured. */
static void start_next(struct load *l) {
    if (l->closed == l->connections) return;
    struct client *c = &l->clients[l->closed];
    c->load = l;
    c->number = l->closed++;
    c->stream = sk_connect(l->io, &l->to, l->tls, NULL, &events, c);
}

static void fill_payload(struct load *l) {
    sk_buffer_text(&l->payload, "{\"temperature\":21.5,\"humidity\":40,\"pad\":\"");
    while (l->payload.n < l->size - 2) sk_buffer_byte(&l->payload, 'x');
    sk_buffer_text(&l->payload, "\"}");
}

int main(int argc, char **argv) {
    struct load l = {.to = {.host = "127.0.0.1", .port = 8883},
                     .connections = 50,
                     .in_flight = 50,
                     .size = 256,
                     .seconds = 5};
    static const struct option names[] = {
        {"host", required_argument, NULL, 'h'},      {"port", required_argument, NULL, 'p'},
        {"ca", required_argument, NULL, 'c'},        {"connections", required_argument, NULL, 'n'},
        {"in-flight", required_argument, NULL, 'f'}, {"size", required_argument, NULL, 's'},
        {"seconds", required_argument, NULL, 't'},   {"hub", required_argument, NULL, 'H'},
        {"key", required_argument, NULL, 'k'},       {"idle", no_argument, NULL, 'i'},
        {"reports", no_argument, NULL, 'r'},         {NULL, 0, NULL, 0}};
    const char *ca = NULL;
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) switch (c) {
        case 'h': l.to.host = optarg; break;
        case 'p': l.to.port = (uint16_t)atoi(optarg); break;
        case 'c': ca = optarg; break;
        case 'n': l.connections = (unsigned)atoi(optarg); break;
        case 'f': l.in_flight = (unsigned)atoi(optarg); break;
        case 's': l.size = (unsigned)atoi(optarg); break;
        case 't': l.seconds = (unsigned)atoi(optarg); break;
        case 'H': l.hub = optarg; break;
        case 'k': l.key = optarg; break;
        case 'i': l.idle = true; break;
        case 'r': l.reports = true; break;
        default: return 2;
        }
    l.io = sk_io_uv_new();
    if (ca) l.tls = load_tls(l.io, ca);
    fill_payload(&l);
    l.clients = sk_alloc(l.connections * sizeof *l.clients);
    l.began_ns = sk_io_now(l.io);
    for (unsigned i = 0; i < 16 && i < l.connections; i++) start_next(&l);
    sk_io_run(l.io);
    double seconds = (double)(l.ended_ns - l.connected_ns) / 1e9;
    printf("{\"acknowledged\":%llu,\"seconds\":%.3f,\"rate\":%.0f,\"connect_seconds\":%.3f}\n",
           (unsigned long long)l.acknowledged, seconds, (double)l.acknowledged / seconds,
           (double)(l.connected_ns - l.began_ns) / 1e9);
    return 0;
}
