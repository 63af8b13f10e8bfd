/* Makes the devices of a benchmark: bench-0 … bench-N-1, all with one key.
 *
 *   bench-devices --service CONNECTION_STRING --ca ca.pem --count 5000 --key BASE64KEY [--scope
 *   DEVICESCOPE]
 *
 * Several connections at once, so that the hub can store many devices with one commit. */
#include <getopt.h>
#include <stdio.h>

#include "support/tls.h"
#include "net/http_client.h"
#include "azure/connection_string.h"
#include "trust/sas.h"

enum { CONNECTIONS = 32 };

struct maker {
    struct sk_io *io;
    const char *key, *scope;
    struct sk_buffer token;
    unsigned count, started, made;
};

struct connection {
    struct maker *maker;
    struct sk_http_client *http;
};

static void make_next(struct connection *c);

static void on_made(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct connection *c = arg;
    if (status || (answer->status != 200 && answer->status != 409 /* there already */)) {
        fprintf(stderr, "a device was not made: %s, HTTP %u %.*s\n", sk_status_text(status),
                answer ? answer->status : 0,
                SK_ARG(answer ? sk_buffer_span(&answer->body) : SK_NONE));
        exit(1);
    }
    if (++c->maker->made == c->maker->count)
        sk_io_stop(c->maker->io);
    else
        make_next(c);
}

static void make_next(struct connection *c) {
    struct maker *m = c->maker;
    if (m->started == m->count) return;
    struct sk_buffer path = {0}, body = {0};
    unsigned number = m->started++;
    sk_buffer_print(&path, "/devices/bench-%u?api-version=2021-04-12", number);
    sk_buffer_print(&body,
                    "{\"deviceId\":\"bench-%u\",\"authentication\":{\"type\":\"sas\","
                    "\"symmetricKey\":{\"primaryKey\":\"%s\",\"secondaryKey\":\"%s\"}}",
                    number, m->key, m->key);
    if (m->scope) sk_buffer_print(&body, ",\"deviceScope\":\"%s\"", m->scope);
    sk_buffer_byte(&body, '}');
    struct sk_http_pair headers[] = {{"Authorization", sk_buffer_span(&m->token)},
                                     {"Content-Type", SK_SPAN("application/json")}};
    sk_http_client_send(c->http, &(struct sk_http_ask){.method = SK_HTTP_PUT,
                                                       .target = sk_buffer_span(&path),
                                                       .headers = headers,
                                                       .header_count = 2,
                                                       .body = sk_buffer_span(&body),
                                                       .done = on_made,
                                                       .arg = c});
    sk_buffer_free(&path);
    sk_buffer_free(&body);
}

int main(int argc, char **argv) {
    static const struct option names[] = {
        {"service", required_argument, NULL, 's'}, {"ca", required_argument, NULL, 'c'},
        {"count", required_argument, NULL, 'n'},   {"key", required_argument, NULL, 'k'},
        {"scope", required_argument, NULL, 'S'},   {NULL, 0, NULL, 0}};
    const char *service = NULL, *ca = NULL;
    struct maker m = {0};
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) switch (c) {
        case 's': service = optarg; break;
        case 'c': ca = optarg; break;
        case 'n': m.count = (unsigned)atoi(optarg); break;
        case 'k': m.key = optarg; break;
        case 'S': m.scope = optarg; break;
        default: return 2;
        }
    struct sk_connection_string parts;
    char error[SK_MODEL_ERROR_MAX], host[256];
    if (!service || !ca || !m.key || m.count == 0 ||
        sk_connection_string_parse(sk_span_z(service), &parts, error))
        return 2;
    m.io = sk_io_uv_new();
    struct sk_tls *tls = load_tls(m.io, ca);
    snprintf(host, sizeof host, "%.*s", SK_ARG(parts.host_name));
    sk_sas_create(&m.token, parts.host_name, parts.shared_access_key, parts.shared_access_key_name,
                  sk_io_wall(m.io) / 1000000 + 3600);
    struct connection connections[CONNECTIONS];
    for (size_t i = 0; i < CONNECTIONS; i++) {
        connections[i].maker = &m;
        sk_http_client_new(
            m.io, &(struct sk_http_client_options){.to = {.host = host, .port = 443}, .tls = tls},
            &connections[i].http);
        make_next(&connections[i]);
    }
    sk_io_run(m.io);
    return 0;
}
