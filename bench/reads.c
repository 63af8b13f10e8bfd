/* Point reads of the registry: GET /devices/bench-N over some connections, one after the other on
 * each.
 *
 *   bench-reads --service CONNECTION_STRING --ca ca.pem --count 1000 --connections 32 --seconds 5
 *
 * The devices are those of bench-devices. Prints one line of JSON: reads, seconds, rate. */
#include <getopt.h>
#include <stdio.h>

#include "azure/connection_string.h"
#include "net/http_client.h"
#include "support/tls.h"
#include "trust/sas.h"

struct reader {
    struct sk_io *io;
    struct sk_buffer token;
    unsigned count, next;
    uint64_t began_ns, reads;
    struct sk_timer timer;
    bool over;
};

struct connection {
    struct reader *reader;
    struct sk_http_client *http;
};

static void read_next(struct connection *c);

static void on_read(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct connection *c = arg;
    if (c->reader->over) return;
    if (status || answer->status != 200) {
        fprintf(stderr, "a device was not read: %s, HTTP %u\n", sk_status_text(status),
                answer ? answer->status : 0);
        exit(1);
    }
    c->reader->reads++;
    read_next(c);
}

static void read_next(struct connection *c) {
    struct reader *r = c->reader;
    char path[64];
    int n = snprintf(path, sizeof path, "/devices/bench-%u?api-version=2021-04-12",
                     r->next++ % r->count);
    struct sk_http_pair headers[] = {{"Authorization", sk_buffer_span(&r->token)}};
    sk_http_client_send(c->http, &(struct sk_http_ask){.method = SK_HTTP_GET,
                                                       .target = sk_span(path, (size_t)n),
                                                       .headers = headers,
                                                       .header_count = 1,
                                                       .done = on_read,
                                                       .arg = c});
}

static void on_over(struct sk_timer *timer) {
    struct reader *r = SK_CONTAINER(timer, struct reader, timer);
    double seconds = (double)(sk_io_now(r->io) - r->began_ns) / 1e9;
    r->over = true;
    printf("{\"reads\":%llu,\"seconds\":%.3f,\"rate\":%.0f}\n", (unsigned long long)r->reads,
           seconds, (double)r->reads / seconds);
    sk_io_stop(r->io);
}

int main(int argc, char **argv) {
    static const struct option names[] = {
        {"service", required_argument, NULL, 's'},     {"ca", required_argument, NULL, 'c'},
        {"count", required_argument, NULL, 'n'},       {"seconds", required_argument, NULL, 't'},
        {"connections", required_argument, NULL, 'C'}, {NULL, 0, NULL, 0}};
    const char *service = NULL, *ca = NULL;
    unsigned connections = 32, seconds = 5;
    struct reader r = {0};
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) switch (c) {
        case 's': service = optarg; break;
        case 'c': ca = optarg; break;
        case 'n': r.count = (unsigned)atoi(optarg); break;
        case 't': seconds = (unsigned)atoi(optarg); break;
        case 'C': connections = (unsigned)atoi(optarg); break;
        default: return 2;
        }
    struct sk_connection_string parts;
    char error[SK_MODEL_ERROR_MAX], host[256];
    if (!service || !ca || r.count == 0 ||
        sk_connection_string_parse(sk_span_z(service), &parts, error))
        return 2;
    r.io = sk_io_uv_new();
    struct sk_tls *tls = load_tls(r.io, ca);
    snprintf(host, sizeof host, "%.*s", SK_ARG(parts.host_name));
    sk_sas_create(&r.token, parts.host_name, parts.shared_access_key, parts.shared_access_key_name,
                  sk_io_wall(r.io) / 1000000 + 3600);
    struct connection *all = sk_alloc(connections * sizeof *all);
    r.began_ns = sk_io_now(r.io);
    for (size_t i = 0; i < connections; i++) {
        all[i].reader = &r;
        sk_http_client_new(
            r.io, &(struct sk_http_client_options){.to = {.host = host, .port = 443}, .tls = tls},
            &all[i].http);
        read_next(&all[i]);
    }
    sk_timer_start(r.io, &r.timer, seconds * SK_S, on_over);
    sk_io_run(r.io);
    return 0;
}
