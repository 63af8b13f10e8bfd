/* How long a server takes from its start to its first service.
 *
 *   bench-start --ready HOST:PORT COMMAND…                  until GET /health/ready answers 200
 *   bench-start --puback CONNECTION_STRING COMMAND…         until a device's first message is
 *   acknowledged (over MQTT, port 8883)
 *
 * Starts the command, asks without pause, prints the milliseconds, ends the command and waits for
 * its end. Any certificate is taken: an edge makes its own while the clock runs. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "io/io.h"
#include "azure/connection_string.h"
#include "wire/mqtt.h"
#include "trust/sas.h"

enum { RETRY_MS = 1, LIMIT_S = 60 };

struct start {
    struct sk_io *io;
    struct sk_endpoint to;
    struct sk_tls *tls; /* NULL: plain HTTP */
    struct sk_connection_string device;
    struct sk_buffer in, hello; /* hello: what is sent first */
    struct sk_timer retry, limit;
    const char *const *command;
    struct sk_child *child;
    uint64_t began_ns, served_ns;
};

static void attempt(struct sk_timer *timer);

static void served(struct start *s) {
    s->served_ns = sk_io_now(s->io);
    sk_child_signal(s->child, SIGTERM);
}

static void on_open(struct sk_stream *stream, void *arg) {
    sk_stream_write(stream, sk_buffer_span(&((struct start *)arg)->hello));
}

static void take_packet(struct start *s, struct sk_stream *stream,
                        const struct sk_mqtt_packet *packet) {
    if (packet->type == SK_MQTT_CONNACK && packet->u.connack.code == 0) {
        struct sk_buffer topic = {0};
        sk_buffer_print(&topic, "devices/%.*s/messages/events/", SK_ARG(s->device.device_id));
        sk_mqtt_put_publish(
            sk_stream_output(stream),
            &(struct sk_mqtt_publish){
                .qos = 1, .id = 1, .topic = sk_buffer_span(&topic), .payload = SK_SPAN("{}")});
        sk_stream_flush(stream);
        sk_buffer_free(&topic);
    } else if (packet->type == SK_MQTT_CONNACK) {
        sk_stream_close(stream); /* not known there yet: ask again */
    } else if (packet->type == SK_MQTT_PUBACK) {
        served(s);
    }
}

static void on_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    struct start *s = arg;
    sk_buffer_append(&s->in, bytes);
    if (s->tls == NULL) {
        if (s->served_ns == 0 && sk_span_starts(sk_buffer_span(&s->in), SK_SPAN("HTTP/1.1 200")))
            served(s);
        return;
    }
    struct sk_mqtt_packet packet;
    size_t used, at = 0;
    while (s->served_ns == 0 &&
           sk_mqtt_decode(sk_span(s->in.p + at, s->in.n - at), 65536, &packet, &used) == SK_OK) {
        at += used;
        take_packet(s, stream, &packet);
    }
    sk_buffer_consume(&s->in, at);
}

static void on_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream;
    (void)reason;
    struct start *s = arg;
    if (s->served_ns == 0) sk_timer_start(s->io, &s->retry, RETRY_MS * SK_MS, attempt);
}

static void attempt(struct sk_timer *timer) {
    static const struct sk_stream_events events = {
        .on_open = on_open, .on_data = on_data, .on_close = on_close};
    struct start *s = SK_CONTAINER(timer, struct start, retry);
    s->in.n = 0;
    sk_connect(s->io, &s->to, s->tls, NULL, &events, s);
}

static void on_exit_of_child(struct sk_child *child, void *arg, int exit_code, int signal_number) {
    (void)child;
    struct start *s = arg;
    if (s->served_ns == 0) {
        fprintf(stderr, "the command ended with code %d, signal %d\n", exit_code, signal_number);
        exit(1);
    }
    sk_io_stop(s->io);
}

static void on_limit(struct sk_timer *timer) {
    struct start *s = SK_CONTAINER(timer, struct start, limit);
    fprintf(stderr, s->served_ns ? "the command does not end\n" : "no service within %d s\n",
            LIMIT_S);
    sk_child_signal(s->child, SIGKILL);
    exit(1);
}

static void prepare_http(struct start *s, char *at) {
    char *colon = strrchr(at, ':');
    if (colon == NULL) exit(2);
    *colon = 0;
    s->to = (struct sk_endpoint){.host = at, .port = (uint16_t)atoi(colon + 1)};
    sk_buffer_print(&s->hello,
                    "GET /health/ready HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", at);
}

static void prepare_mqtt(struct start *s, const char *text) {
    char error[SK_MODEL_ERROR_MAX], reason[256];
    struct sk_buffer user = {0}, resource = {0}, password = {0};
    if (sk_connection_string_parse(sk_span_z(text), &s->device, error)) exit(2);
    const struct sk_connection_string *d = &s->device;
    s->to = (struct sk_endpoint){
        .host = sk_span_dup(d->gateway_host_name.n ? d->gateway_host_name : d->host_name),
        .port = 8883};
    if (sk_tls_new(s->io, &(struct sk_tls_options){.insecure = true}, &s->tls, reason)) exit(1);
    sk_buffer_print(&user, "%.*s/%.*s/?api-version=2021-04-12", SK_ARG(d->host_name),
                    SK_ARG(d->device_id));
    sk_buffer_print(&resource, "%.*s/devices/%.*s", SK_ARG(d->host_name), SK_ARG(d->device_id));
    sk_sas_create(&password, sk_buffer_span(&resource), d->shared_access_key, SK_NONE,
                  sk_io_wall(s->io) / 1000000 + 3600);
    sk_mqtt_put_connect(&s->hello,
                        &(struct sk_mqtt_connect){.clean_session = true,
                                                  .keep_alive_s = 60,
                                                  .client_id = d->device_id,
                                                  .has_user = true,
                                                  .user = sk_buffer_span(&user),
                                                  .has_password = true,
                                                  .password = sk_buffer_span(&password)});
    sk_buffer_free(&user);
    sk_buffer_free(&resource);
    sk_buffer_free(&password);
}

/* From within the loop, whose clock stood while TLS was prepared. */
static void begin(struct sk_timer *timer) {
    struct start *s = SK_CONTAINER(timer, struct start, retry);
    const struct sk_child_options options = {.command = s->command,
                                             .environment = (const char *const *)environ,
                                             .on_exit = on_exit_of_child,
                                             .arg = s};
    s->began_ns = sk_io_now(s->io);
    if (sk_child_start(s->io, &options, &s->child)) {
        fprintf(stderr, "%s cannot be started\n", s->command[0]);
        exit(1);
    }
    sk_timer_start(s->io, &s->limit, LIMIT_S * SK_S, on_limit);
    attempt(timer);
}

int main(int argc, char **argv) {
    static const struct option names[] = {{"ready", required_argument, NULL, 'r'},
                                          {"puback", required_argument, NULL, 'p'},
                                          {NULL, 0, NULL, 0}};
    struct start s = {.io = sk_io_uv_new()};
    for (int c; (c = getopt_long(argc, argv, "+", names, NULL)) != -1;) switch (c) {
        case 'r': prepare_http(&s, optarg); break;
        case 'p': prepare_mqtt(&s, optarg); break;
        default: return 2;
        }
    if (s.to.host == NULL || optind == argc) return 2;
    s.command = (const char *const *)&argv[optind];
    sk_timer_start(s.io, &s.retry, 0, begin);
    sk_io_run(s.io);
    printf("%.1f\n", (double)(s.served_ns - s.began_ns) / 1e6);
    return 0;
}
