/* Many twins, and how long queries over them take.
 *
 *   bench-twins --fill REGISTRY --count 1000000       makes them, in a hub's file; no hub may run
 *   bench-twins --service CONNECTION_STRING --ca ca.pem --times 5 --query 'SELECT …'
 *
 * The second prints the median of the milliseconds to the first page, and the last page's rows.
 * A twin has what devices of a fleet have: some tags, a configuration, and what it reports. */
#include <getopt.h>
#include <stdio.h>

#include "azure/connection_string.h"
#include "net/http_client.h"
#include "store/registry/registry.h"
#include "store/registry/sqlite/sqlite.h"
#include "support/tls.h"
#include "trust/sas.h"

enum { AT_ONCE = 2000, SITES = 10000, TIMES_MAX = 100 };

/* ---- filling ---- */

struct fill {
    struct sk_io *io;
    struct sk_registry *registry;
    unsigned count, begun, done;
};

static void make_next(struct fill *fill);

static void stored(void *arg, const struct sk_registry_end *end, struct sk_registry_entry *entry,
                   const json_t *desired_patch) {
    struct fill *fill = arg;
    (void)entry, (void)desired_patch;
    if (end->status) {
        fprintf(stderr, "a twin was not made: %s %s\n", sk_status_text(end->status), end->reason);
        exit(1);
    }
    if (++fill->done == fill->count)
        sk_io_stop(fill->io);
    else
        make_next(fill);
}

static void made(void *arg, const struct sk_registry_end *end, struct sk_registry_entry *entry) {
    (void)entry;
    if (end->status) stored(arg, end, NULL, NULL);
}

static void make_next(struct fill *fill) {
    unsigned n = fill->begun;
    char id[24], site[24], address[24];
    if (n == fill->count) return;
    fill->begun++;
    snprintf(id, sizeof id, "bench-%u", n);
    snprintf(site, sizeof site, "site-%u", n % SITES);
    snprintf(address, sizeof address, "10.%u.%u.%u", n >> 16, n >> 8 & 255, n & 255);
    struct sk_identity identity = {.device_id = id, .auth = SK_AUTH_SAS};
    sk_registry_put(fill->registry, &identity, SK_NONE, made, fill);
    json_t *tags =
               json_pack("{s:s,s:s,s:{s:i,s:i}}", "site", site, "model", n % 3 ? "chiller" : "pump",
                         "place", "floor", (int)(n % 7), "room", (int)(n % 100)),
           *desired =
               json_pack("{s:i,s:{s:s,s:b}}", "interval", 30, "log", "level", "info", "remote", 0),
           *reported = json_pack("{s:i,s:f,s:s,s:{s:s,s:s}}", "interval", 30, "temperature",
                                 20 + (n % 500) / 10.0, "address", address, "firmware", "version",
                                 n % 4 ? "1.2.0" : "1.3.0", "status", "current");
    sk_registry_twin_change(
        fill->registry, sk_span_z(id), SK_NONE,
        &(struct sk_twin_change){.tags = tags, .desired = desired, .reported = reported}, SK_NONE,
        stored, fill);
    json_decref(tags);
    json_decref(desired);
    json_decref(reported);
}

static int fill_registry(const char *path, unsigned count) {
    struct fill fill = {.io = sk_io_uv_new(), .count = count};
    char reason[SK_MODEL_ERROR_MAX];
    if (sk_registry_sqlite_open(fill.io, path, &fill.registry, reason)) {
        fprintf(stderr, "%s\n", reason);
        return 1;
    }
    for (int i = 0; i < AT_ONCE; i++) make_next(&fill);
    sk_io_run(fill.io);
    sk_registry_close(fill.registry);
    return 0;
}

/* ---- asking ---- */

struct asking {
    struct sk_io *io;
    struct sk_http_client *http;
    struct sk_buffer token, body;
    unsigned times, done;
    size_t rows;
    uint64_t began_ns;
    double ms[TIMES_MAX];
};

static void ask(struct asking *asking);

static void on_answer(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct asking *asking = arg;
    if (status || answer->status != 200) {
        fprintf(stderr, "no answer: %s, HTTP %u %.*s\n", sk_status_text(status),
                answer ? answer->status : 0,
                SK_ARG(answer ? sk_buffer_span(&answer->body) : SK_NONE));
        exit(1);
    }
    asking->ms[asking->done++] = (double)(sk_io_now(asking->io) - asking->began_ns) / SK_MS;
    json_t *rows = json_loadb(answer->body.p, answer->body.n, 0, NULL);
    asking->rows = json_array_size(rows);
    json_decref(rows);
    if (asking->done == asking->times)
        sk_io_stop(asking->io);
    else
        ask(asking);
}

static void ask(struct asking *asking) {
    struct sk_http_pair headers[] = {{"Authorization", sk_buffer_span(&asking->token)},
                                     {"Content-Type", SK_SPAN("application/json")}};
    asking->began_ns = sk_io_now(asking->io);
    sk_http_client_send(asking->http,
                        &(struct sk_http_ask){.method = SK_HTTP_POST,
                                              .target = SK_SPAN("/devices/query"
                                                                "?api-version=2021-04-12"),
                                              .headers = headers,
                                              .header_count = 2,
                                              .body = sk_buffer_span(&asking->body),
                                              .timeout_ms = 120000,
                                              .done = on_answer,
                                              .arg = asking});
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int ask_hub(const char *service, const char *ca, const char *query, unsigned times) {
    struct asking asking = {.io = sk_io_uv_new(), .times = times < TIMES_MAX ? times : TIMES_MAX};
    struct sk_connection_string parts;
    char error[SK_MODEL_ERROR_MAX], host[256];
    if (sk_connection_string_parse(sk_span_z(service), &parts, error)) return 2;
    struct sk_tls *tls = load_tls(asking.io, ca);
    snprintf(host, sizeof host, "%.*s", SK_ARG(parts.host_name));
    sk_sas_create(&asking.token, parts.host_name, parts.shared_access_key,
                  parts.shared_access_key_name, sk_io_wall(asking.io) / 1000000 + 3600);
    json_t *body = json_pack("{s:s}", "query", query);
    char *text = json_dumps(body, JSON_COMPACT);
    sk_buffer_text(&asking.body, text);
    sk_http_client_new(
        asking.io, &(struct sk_http_client_options){.to = {.host = host, .port = 443}, .tls = tls},
        &asking.http);
    ask(&asking);
    sk_io_run(asking.io);
    qsort(asking.ms, asking.times, sizeof *asking.ms, compare);
    printf("{\"ms\":%.2f,\"rows\":%zu}\n", asking.ms[asking.times / 2], asking.rows);
    free(text);
    json_decref(body);
    return 0;
}

int main(int argc, char **argv) {
    static const struct option names[] = {{"service", required_argument, NULL, 's'},
                                          {"ca", required_argument, NULL, 'c'},
                                          {"count", required_argument, NULL, 'n'},
                                          {"fill", required_argument, NULL, 'f'},
                                          {"query", required_argument, NULL, 'q'},
                                          {"times", required_argument, NULL, 't'},
                                          {NULL, 0, NULL, 0}};
    const char *service = NULL, *ca = NULL, *query = NULL, *path = NULL;
    unsigned count = 0, times = 1;
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) switch (c) {
        case 's': service = optarg; break;
        case 'c': ca = optarg; break;
        case 'n': count = (unsigned)atoi(optarg); break;
        case 'f': path = optarg; break;
        case 'q': query = optarg; break;
        case 't': times = (unsigned)atoi(optarg); break;
        default: return 2;
        }
    if (path && count) return fill_registry(path, count);
    return service && ca && query && times ? ask_hub(service, ca, query, times) : 2;
}
