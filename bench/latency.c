/* How long one device waits for the acknowledgement of a durable message, whatever else the hub
 * does: a QoS 1 publish each few milliseconds, one under way at a time.
 *
 *   bench-latency --device CONNECTION_STRING --ca FILE [--seconds S]
 *
 * Prints one line of JSON: how many, and their waits in milliseconds. */
#include <getopt.h>
#include <stdio.h>

#include "device/client.h"
#include "azure/connection_string.h"
#include "support/tls.h"

enum { EVERY_MS = 4, SAMPLES_MAX = 1 << 18 };

struct latency {
    struct sk_io *io;
    struct sk_device_client *client;
    struct sk_timer next, over;
    uint64_t sent_ns;
    unsigned *waits_us, count;
    bool connected;
    unsigned seconds;
};

static int by_size(const void *a, const void *b) {
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return (x > y) - (x < y);
}

static double part_ms(const struct latency *l, double part) {
    return l->count ? l->waits_us[(unsigned)(part * (l->count - 1))] / 1000.0 : 0;
}

static void on_over(struct sk_timer *timer) {
    struct latency *l = SK_CONTAINER(timer, struct latency, over);
    qsort(l->waits_us, l->count, sizeof *l->waits_us, by_size);
    printf("{\"messages\":%u,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"longest_ms\":%.2f}\n", l->count,
           part_ms(l, 0.5), part_ms(l, 0.99), part_ms(l, 1));
    exit(l->count == 0);
}

static void send_next(struct sk_timer *timer);

static void on_sent(void *arg, enum sk_status status) {
    struct latency *l = arg;
    if (status) exit(1);
    if (!l->connected) { /* the first one waited for the connection */
        l->connected = true;
        sk_timer_start(l->io, &l->over, l->seconds * SK_S, on_over);
    } else if (l->count < SAMPLES_MAX) {
        l->waits_us[l->count++] = (unsigned)((sk_io_now(l->io) - l->sent_ns) / 1000);
    }
    sk_timer_start(l->io, &l->next, EVERY_MS * SK_MS, send_next);
}

static void send_next(struct sk_timer *timer) {
    struct latency *l = SK_CONTAINER(timer, struct latency, next);
    struct sk_message message = {.body = SK_SPAN("{\"temperature\":21.5}")};
    l->sent_ns = sk_io_now(l->io);
    if (sk_device_client_send(l->client, &message, on_sent, l)) exit(1);
}

int main(int argc, char **argv) {
    static const struct option names[] = {{"device", required_argument, NULL, 'd'},
                                          {"ca", required_argument, NULL, 'c'},
                                          {"seconds", required_argument, NULL, 's'},
                                          {NULL, 0, NULL, 0}};
    struct latency l = {.io = sk_io_uv_new(), .seconds = 5};
    struct sk_connection_string parts = {0};
    struct sk_tls *tls = NULL;
    char error[SK_MODEL_ERROR_MAX], host[256];
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) switch (c) {
        case 'd':
            if (sk_connection_string_parse(sk_span_z(optarg), &parts, error)) return 2;
            break;
        case 'c': tls = load_tls(l.io, optarg); break;
        case 's': l.seconds = (unsigned)atoi(optarg); break;
        default: return 2;
        }
    if (parts.device_id.n == 0 || tls == NULL) return 2;
    snprintf(host, sizeof host, "%.*s", SK_ARG(parts.host_name));
    l.waits_us = sk_alloc(SAMPLES_MAX * sizeof *l.waits_us);
    l.client = sk_device_client_new(
        l.io, &(struct sk_device_client_options){.host = host,
                                                 .tls = tls,
                                                 .hub_host = parts.host_name,
                                                 .device_id = parts.device_id,
                                                 .key = parts.shared_access_key});
    sk_timer_start(l.io, &l.next, 0, send_next);
    sk_io_run(l.io);
    return 1;
}
