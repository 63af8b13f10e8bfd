/* From module to module through an edge hub: how long a message takes from one module's output to
 * another's input, at a steady rate.
 *
 *   bench-inputs --from CONNECTION_STRING --to CONNECTION_STRING --ca FILE [--rate A_SECOND]
 *                [--seconds S]
 *
 * Both connection strings have a GatewayHostName. Prints one line of JSON: how many messages, and
 * their ways in milliseconds. */
#include <getopt.h>
#include <stdio.h>

#include "device/client.h"
#include "azure/connection_string.h"
#include "support/tls.h"

enum { SAMPLES_MAX = 1 << 20, WARM_UP_S = 1, LINGER_S = 2 };

struct way {
    struct sk_io *io;
    struct sk_device_client *from, *to;
    struct sk_timer next, over;
    uint64_t began_ns, sent, rate;
    unsigned seconds, count, *took_us;
};

static int by_size(const void *a, const void *b) {
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return (x > y) - (x < y);
}

static double part_ms(const struct way *way, double part) {
    return way->count ? way->took_us[(unsigned)(part * (way->count - 1))] / 1000.0 : 0;
}

static void on_over(struct sk_timer *timer) {
    struct way *way = SK_CONTAINER(timer, struct way, over);
    qsort(way->took_us, way->count, sizeof *way->took_us, by_size);
    printf("{\"sent\":%llu,\"messages\":%u,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"p999_ms\":%.3f,"
           "\"longest_ms\":%.3f}\n",
           (unsigned long long)way->sent, way->count, part_ms(way, 0.5), part_ms(way, 0.99),
           part_ms(way, 0.999), part_ms(way, 1));
    exit(way->count < way->sent / 2);
}

static void on_sent(void *arg, enum sk_status status) {
    (void)arg;
    if (status) exit(1);
}

/* As many as are due by now; the body is the time at which it was handed over. */
static void send_due(struct sk_timer *timer) {
    struct way *way = SK_CONTAINER(timer, struct way, next);
    uint64_t now = sk_io_now(way->io), due = (now - way->began_ns) * way->rate / SK_S;
    if (now - way->began_ns > (WARM_UP_S + way->seconds) * SK_S) {
        sk_timer_start(way->io, &way->over, LINGER_S * SK_S, on_over);
        return;
    }
    for (; way->sent < due; way->sent++) {
        struct sk_message message = {.body = sk_span(&now, sizeof now)};
        message.system[SK_SYS_OUTPUT] = SK_SPAN("out");
        if (sk_device_client_send(way->from, &message, on_sent, way)) exit(1);
    }
    sk_timer_start(way->io, &way->next, SK_S / way->rate, send_due);
}

static void on_message(void *arg, const struct sk_message *message, struct sk_delivery delivery) {
    struct way *way = arg;
    uint64_t sent_ns = 0, now = sk_io_now(way->io);
    sk_device_client_ack(way->to, delivery);
    if (message->body.n != sizeof sent_ns) return;
    memcpy(&sent_ns, message->body.p, sizeof sent_ns);
    if (sent_ns - way->began_ns > WARM_UP_S * SK_S && way->count < SAMPLES_MAX)
        way->took_us[way->count++] = (unsigned)((now - sent_ns) / 1000);
}

static void on_connected(void *arg, bool session_present) {
    struct way *way = arg;
    (void)session_present;
    if (way->began_ns || !sk_device_client_is_connected(way->from) ||
        !sk_device_client_is_connected(way->to))
        return;
    way->began_ns = sk_io_now(way->io);
    sk_timer_start(way->io, &way->next, 0, send_due);
}

static struct sk_device_client *connect_module(struct way *way, struct sk_tls *tls,
                                               const char *text, unsigned subscriptions) {
    static const struct sk_device_events events = {.connected = on_connected,
                                                   .message = on_message};
    struct sk_connection_string parts;
    char error[SK_MODEL_ERROR_MAX], host[256];
    if (sk_connection_string_parse(sk_span_z(text), &parts, error) || parts.module_id.n == 0)
        return NULL;
    snprintf(host, sizeof host, "%.*s", SK_ARG(parts.gateway_host_name));
    return sk_device_client_new(way->io,
                                &(struct sk_device_client_options){.host = host,
                                                                   .tls = tls,
                                                                   .hub_host = parts.host_name,
                                                                   .device_id = parts.device_id,
                                                                   .module_id = parts.module_id,
                                                                   .key = parts.shared_access_key,
                                                                   .subscriptions = subscriptions,
                                                                   .events = &events,
                                                                   .arg = way});
}

int main(int argc, char **argv) {
    static const struct option names[] = {
        {"from", required_argument, NULL, 'f'},    {"to", required_argument, NULL, 't'},
        {"ca", required_argument, NULL, 'c'},      {"rate", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 's'}, {NULL, 0, NULL, 0}};
    struct way way = {.io = sk_io_uv_new(), .seconds = 5, .rate = 1000};
    struct sk_tls *tls = NULL;
    const char *from = NULL, *to = NULL;
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) switch (c) {
        case 'f': from = optarg; break;
        case 't': to = optarg; break;
        case 'c': tls = load_tls(way.io, optarg); break;
        case 'r': way.rate = (uint64_t)atoi(optarg); break;
        case 's': way.seconds = (unsigned)atoi(optarg); break;
        default: return 2;
        }
    if (from == NULL || to == NULL || tls == NULL || way.rate == 0) return 2;
    way.took_us = sk_alloc(SAMPLES_MAX * sizeof *way.took_us);
    way.to = connect_module(&way, tls, to, SK_SUB_INPUTS);
    way.from = connect_module(&way, tls, from, 0);
    if (way.from == NULL || way.to == NULL) return 2;
    sk_io_run(way.io);
    return 1;
}
