/* How long a direct method takes, from a service's call over HTTPS to its answer, at a steady rate:
 * devices bench-0 … over MQTT answer at once.
 *
 *   bench-methods --service CONNECTION_STRING --ca ca.pem --key BASE64KEY --devices 10
 *                 --rate 1000 --seconds 5
 *
 * The devices are those of bench-devices. Each connection of the service makes one call before, so
 * no handshake is measured. Prints one line of JSON: calls, their times in milliseconds, and how
 * many could not be made in time as all connections were busy. */
#include <getopt.h>
#include <stdio.h>

#include "azure/connection_string.h"
#include "device/client.h"
#include "net/http_client.h"
#include "support/tls.h"
#include "trust/sas.h"

enum { CONNECTIONS = 64, DEVICES_MAX = 100, SAMPLES_MAX = 1 << 18 };

struct load;

struct caller {
    struct load *load;
    struct sk_http_client *http;
    uint64_t began_ns; /* 0: idle */
};

struct device {
    struct load *load;
    struct sk_device_client *client;
    char id[24];
};

struct load {
    struct sk_io *io;
    struct sk_buffer token;
    struct caller callers[CONNECTIONS];
    struct device devices[DEVICES_MAX];
    struct sk_timer tick, over, start;
    unsigned device_count, rate, seconds, connected, count, late, next;
    unsigned opened;        /* connections that have made a call */
    uint64_t began_ns, due; /* 0: connections open yet; calls that were due so far */
    unsigned *times_us;
};

/* ---- devices ---- */

static void on_method(void *arg, struct sk_span name, struct sk_span payload, struct sk_span rid) {
    struct device *device = arg;
    (void)name;
    sk_device_client_answer(device->client, rid, 200, payload);
}

static const struct sk_device_events device_events = {.method = on_method};

/* ---- the service ---- */

static void open_next(struct load *load);

static void on_answer(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct caller *caller = arg;
    struct load *load = caller->load;
    if (status || answer->status != 200) {
        fprintf(stderr, "a method was not called: %s, HTTP %u %.*s\n", sk_status_text(status),
                answer ? answer->status : 0,
                SK_ARG(answer ? sk_buffer_span(&answer->body) : SK_NONE));
        exit(1);
    }
    if (load->began_ns && load->count < SAMPLES_MAX)
        load->times_us[load->count++] = (unsigned)((sk_io_now(load->io) - caller->began_ns) / 1000);
    caller->began_ns = 0;
    if (load->began_ns == 0) open_next(load);
}

static struct caller *idle_caller(struct load *load) {
    for (size_t i = 0; i < CONNECTIONS; i++)
        if (load->callers[i].began_ns == 0) return &load->callers[i];
    return NULL;
}

static void call_by(struct load *load, struct caller *caller) {
    char path[80];
    int n = snprintf(path, sizeof path, "/twins/bench-%u/methods?api-version=2021-04-12",
                     load->next++ % load->device_count);
    struct sk_http_pair headers[] = {{"Authorization", sk_buffer_span(&load->token)},
                                     {"Content-Type", SK_SPAN("application/json")}};
    caller->began_ns = sk_io_now(load->io);
    sk_http_client_send(
        caller->http,
        &(struct sk_http_ask){.method = SK_HTTP_POST,
                              .target = sk_span(path, (size_t)n),
                              .headers = headers,
                              .header_count = 2,
                              .body = SK_SPAN("{\"methodName\":\"m\",\"payload\":{\"a\":1},"
                                              "\"responseTimeoutInSeconds\":30}"),
                              .done = on_answer,
                              .arg = caller});
}

static void call(struct load *load) {
    struct caller *caller = idle_caller(load);
    if (caller)
        call_by(load, caller);
    else
        load->late++;
}

/* Each millisecond what is due; a late timer makes up for it. */
static void on_tick(struct sk_timer *timer) {
    struct load *load = SK_CONTAINER(timer, struct load, tick);
    uint64_t elapsed_ns = sk_io_now(load->io) - load->began_ns;
    for (uint64_t due = elapsed_ns * load->rate / SK_S; load->due < due; load->due++) call(load);
    sk_timer_start(load->io, timer, SK_MS, on_tick);
}

static int by_size(const void *a, const void *b) {
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return (x > y) - (x < y);
}

static double part_ms(const struct load *load, double part) {
    return load->count ? load->times_us[(unsigned)(part * (load->count - 1))] / 1000.0 : 0;
}

static void on_over(struct sk_timer *timer) {
    struct load *load = SK_CONTAINER(timer, struct load, over);
    qsort(load->times_us, load->count, sizeof *load->times_us, by_size);
    printf("{\"calls\":%u,\"rate\":%u,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"longest_ms\":%.2f,"
           "\"late\":%u}\n",
           load->count, load->rate, part_ms(load, 0.5), part_ms(load, 0.99), part_ms(load, 1),
           load->late);
    exit(load->count == 0);
}

/* One connection after the other makes its first call; then the time begins. */
static void open_next(struct load *load) {
    if (load->opened < CONNECTIONS) {
        call_by(load, &load->callers[load->opened++]);
        return;
    }
    load->began_ns = sk_io_now(load->io);
    sk_timer_start(load->io, &load->over, load->seconds * SK_S, on_over);
    on_tick(&load->tick);
}

static bool all_connected(const struct load *load) {
    for (unsigned i = 0; i < load->device_count; i++)
        if (!sk_device_client_is_connected(load->devices[i].client)) return false;
    return true;
}

static void on_start(struct sk_timer *timer) {
    struct load *load = SK_CONTAINER(timer, struct load, start);
    if (!all_connected(load)) {
        sk_timer_start(load->io, timer, 100 * SK_MS, on_start);
        return;
    }
    open_next(load);
}

static void open_clients(struct load *load, const struct sk_connection_string *parts,
                         const char *host, const char *key, struct sk_tls *tls) {
    for (unsigned i = 0; i < load->device_count; i++) {
        struct device *device = &load->devices[i];
        device->load = load;
        snprintf(device->id, sizeof device->id, "bench-%u", i);
        device->client = sk_device_client_new(
            load->io, &(struct sk_device_client_options){.host = host,
                                                         .tls = tls,
                                                         .hub_host = parts->host_name,
                                                         .device_id = sk_span_z(device->id),
                                                         .key = sk_span_z(key),
                                                         .subscriptions = SK_SUB_METHODS,
                                                         .events = &device_events,
                                                         .arg = device});
    }
    for (size_t i = 0; i < CONNECTIONS; i++) {
        load->callers[i].load = load;
        sk_http_client_new(
            load->io,
            &(struct sk_http_client_options){.to = {.host = host, .port = 443}, .tls = tls},
            &load->callers[i].http);
    }
}

int main(int argc, char **argv) {
    static const struct option names[] = {{"service", required_argument, NULL, 's'},
                                          {"ca", required_argument, NULL, 'c'},
                                          {"key", required_argument, NULL, 'k'},
                                          {"devices", required_argument, NULL, 'n'},
                                          {"rate", required_argument, NULL, 'r'},
                                          {"seconds", required_argument, NULL, 't'},
                                          {NULL, 0, NULL, 0}};
    static struct load load = {.device_count = 10, .rate = 1000, .seconds = 5};
    const char *service = NULL, *ca = NULL, *key = NULL;
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) switch (c) {
        case 's': service = optarg; break;
        case 'c': ca = optarg; break;
        case 'k': key = optarg; break;
        case 'n': load.device_count = (unsigned)atoi(optarg); break;
        case 'r': load.rate = (unsigned)atoi(optarg); break;
        case 't': load.seconds = (unsigned)atoi(optarg); break;
        default: return 2;
        }
    struct sk_connection_string parts;
    char error[SK_MODEL_ERROR_MAX], host[256];
    if (!service || !ca || !key || load.device_count == 0 || load.device_count > DEVICES_MAX ||
        sk_connection_string_parse(sk_span_z(service), &parts, error))
        return 2;
    load.io = sk_io_uv_new();
    load.times_us = sk_alloc(SAMPLES_MAX * sizeof *load.times_us);
    snprintf(host, sizeof host, "%.*s", SK_ARG(parts.host_name));
    sk_sas_create(&load.token, parts.host_name, parts.shared_access_key,
                  parts.shared_access_key_name, sk_io_wall(load.io) / 1000000 + 3600);
    open_clients(&load, &parts, host, key, load_tls(load.io, ca));
    sk_timer_start(load.io, &load.start, 0, on_start);
    sk_io_run(load.io);
    return 1;
}
