/* Devices under load whose hub keeps dying, and the reckoning afterwards.
 *
 *   fault-load --devices FILE --ca FILE --service CONNECTION_STRING --hub-ca FILE
 *
 * Each line of the devices' FILE is a connection string; one with GatewayHostName dials the
 * gateway, which --ca must vouch for. Every device sends {"n":1}, {"n":2}, … (QoS 1) and stays
 * connected on its own; each acknowledgement is written down. Prints "acknowledged N" as it goes
 * on. SIGTERM ends the sending: what is under way is waited for, then the hub's stored events are
 * read from the earliest until every acknowledged number has been seen, or nothing has come for a
 * while. Prints one line of JSON; exit code 1 when an acknowledged number is missing or came before
 * the one it follows. */
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>

#include "device/client.h"
#include "net/http_client.h"
#include "azure/connection_string.h"
#include "support/tls.h"
#include "trust/sas.h"

enum {
    TICK_MS = 4,
    A_TICK = 8,        /* messages a device adds each tick: 2,000 a second */
    WAITING_MAX = 400, /* … while not more than these are unacknowledged */
    PROGRESS_MS = 20,
    DRAIN_S = 60,
    SILENCE_S = 30, /* an upstream that was away is tried again within this */
    NUMBERS_MAX = 1 << 20,
    DEVICES_MAX = 32,
};

enum { ACKNOWLEDGED = 1, STORED = 2 }; /* what is known of a number */

struct load;

struct device {
    struct load *load;
    char *text; /* connection string; its parts point into it */
    struct sk_connection_string parts;
    char *host;
    struct sk_device_client *client;
    unsigned char *numbers; /* by number - 1 */
    int64_t sent, newest;   /* newest: highest number read back */
};

struct load {
    struct sk_io *io;
    struct sk_tls *device_tls, *hub_tls;
    struct device devices[DEVICES_MAX];
    size_t device_count;
    char *service_text;
    struct sk_connection_string service;
    struct sk_timer tick, progress, limit;
    bool stopping;
    struct sk_http_client *http;
    struct sk_buffer rest; /* of the event stream's last line */
    uint64_t acknowledged, told, stored, duplicates, disordered, missing;
    bool broken; /* the events could not be read */
    bool over;
};

/* ---- reading back ---- */

static struct device *find_device(struct load *l, const char *id) {
    for (size_t i = 0; i < l->device_count; i++)
        if (sk_span_is(l->devices[i].parts.device_id, id)) return &l->devices[i];
    return NULL;
}

static void take_event(struct load *l, struct sk_span text) {
    json_t *event = json_loadb(text.p, text.n, 0, NULL);
    const char *id = json_string_value(json_object_get(event, "deviceId"));
    struct device *d = id ? find_device(l, id) : NULL;
    int64_t n = json_integer_value(json_object_get(json_object_get(event, "body"), "n"));
    if (d && n >= 1 && n <= d->sent) {
        unsigned char *number = &d->numbers[n - 1];
        if (*number & STORED) {
            l->duplicates++;
        } else {
            *number |= STORED;
            l->stored++;
            if (*number & ACKNOWLEDGED) l->missing--;
            if (n < d->newest) l->disordered++;
        }
        if (n > d->newest) d->newest = n;
    }
    json_decref(event);
}

static void give_up(struct sk_timer *timer) {
    sk_io_stop(SK_CONTAINER(timer, struct load, limit)->io);
}

static void on_part(void *arg, const struct sk_http_parser *answer, struct sk_span part) {
    (void)answer;
    struct load *l = arg;
    sk_buffer_append(&l->rest, part);
    struct sk_span rest = sk_buffer_span(&l->rest), line;
    bool news = false;
    while (sk_span_find(rest, '\n') < rest.n && sk_span_split(&rest, '\n', &line)) {
        if (!sk_span_starts(line, SK_SPAN("data:"))) continue;
        take_event(l, sk_span_skip(line, 5));
        news = true;
    }
    sk_buffer_consume(&l->rest, l->rest.n - rest.n);
    if (l->missing == 0)
        sk_io_stop(l->io);
    else if (news)
        sk_timer_start(l->io, &l->limit, SILENCE_S * SK_S, give_up);
}

static void on_done(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct load *l = arg;
    if (l->over) return; /* we hung up */
    fprintf(stderr, "reading the events ended: %s, HTTP %u\n", sk_status_text(status),
            answer ? answer->status : 0);
    l->broken = true;
    sk_io_stop(l->io);
}

static void read_back(struct load *l) {
    struct sk_buffer token = {0};
    char host[256];
    snprintf(host, sizeof host, "%.*s", SK_ARG(l->service.host_name));
    l->missing = l->acknowledged;
    sk_http_client_new(
        l->io,
        &(struct sk_http_client_options){.to = {.host = host, .port = 443}, .tls = l->hub_tls},
        &l->http);
    sk_sas_create(&token, l->service.host_name, l->service.shared_access_key,
                  l->service.shared_access_key_name, sk_io_wall(l->io) / 1000000 + 3600);
    sk_http_client_send(
        l->http, &(struct sk_http_ask){
                     .method = SK_HTTP_GET,
                     .target = SK_SPAN("/messages/events?from=earliest&api-version=2021-04-12"),
                     .headers = (struct sk_http_pair[]){{"Authorization", sk_buffer_span(&token)}},
                     .header_count = 1,
                     .on_body = on_part,
                     .done = on_done,
                     .arg = l});
    sk_buffer_free(&token);
    sk_timer_start(l->io, &l->limit, SILENCE_S * SK_S, give_up);
}

/* ---- sending ---- */

struct number {
    struct device *device;
    int64_t n;
};

static bool all_acknowledged(const struct load *l) {
    for (size_t i = 0; i < l->device_count; i++)
        if (sk_device_client_waiting(l->devices[i].client)) return false;
    return true;
}

static void on_sent(void *arg, enum sk_status status) {
    struct number *number = arg;
    struct load *l = number->device->load;
    if (status == SK_OK) {
        number->device->numbers[number->n - 1] |= ACKNOWLEDGED;
        l->acknowledged++;
    }
    free(number);
}

static void send_next(struct device *d) {
    char body[160];
    int n =
        snprintf(body, sizeof body, "{\"n\":%lld,\"pad\":\"%0100d\"}", (long long)d->sent + 1, 0);
    struct sk_message message = {.body = sk_span(body, (size_t)n)};
    message.system[SK_SYS_CONTENT_TYPE] = SK_SPAN("application/json");
    message.system[SK_SYS_CONTENT_ENCODING] = SK_SPAN("utf-8");
    struct number *number = SK_NEW(struct number);
    *number = (struct number){d, d->sent + 1};
    if (sk_device_client_send(d->client, &message, on_sent, number))
        free(number);
    else
        d->sent++;
}

static void tick(struct sk_timer *timer) {
    struct load *l = SK_CONTAINER(timer, struct load, tick);
    for (size_t i = 0; i < l->device_count; i++) {
        struct device *d = &l->devices[i];
        for (int j = 0; j < A_TICK && d->sent < NUMBERS_MAX &&
                        sk_device_client_waiting(d->client) < WAITING_MAX;
             j++)
            send_next(d);
    }
    sk_timer_start(l->io, timer, TICK_MS * SK_MS, tick);
}

static void drained(struct sk_timer *timer) {
    struct load *l = SK_CONTAINER(timer, struct load, limit);
    sk_timer_stop(&l->progress);
    if (!all_acknowledged(l))
        fprintf(stderr, "some messages were never acknowledged; they do not count\n");
    read_back(l);
}

static void show_progress(struct sk_timer *timer) {
    struct load *l = SK_CONTAINER(timer, struct load, progress);
    if (l->acknowledged != l->told)
        printf("acknowledged %llu\n", (unsigned long long)l->acknowledged);
    l->told = l->acknowledged;
    if (l->stopping && all_acknowledged(l)) {
        sk_timer_stop(&l->limit);
        drained(&l->limit);
    } else {
        sk_timer_start(l->io, timer, PROGRESS_MS * SK_MS, show_progress);
    }
}

static void on_term(void *arg) {
    struct load *l = arg;
    if (l->stopping) return;
    l->stopping = true;
    sk_timer_stop(&l->tick);
    sk_timer_start(l->io, &l->limit, DRAIN_S * SK_S, drained);
}

/* ---- setting up ---- */

static void parse(const char *text, struct sk_connection_string *parts) {
    char error[SK_MODEL_ERROR_MAX];
    if (sk_connection_string_parse(sk_span_z(text), parts, error) == SK_OK) return;
    fprintf(stderr, "%s\n", error);
    exit(2);
}

static void start_device(struct load *l, struct sk_span text) {
    struct device *d = &l->devices[l->device_count++];
    d->load = l;
    d->text = sk_span_dup(text);
    parse(d->text, &d->parts);
    d->host =
        sk_span_dup(d->parts.gateway_host_name.n ? d->parts.gateway_host_name : d->parts.host_name);
    d->numbers = sk_alloc(NUMBERS_MAX);
    d->client = sk_device_client_new(
        l->io, &(struct sk_device_client_options){.host = d->host,
                                                  .tls = l->device_tls,
                                                  .hub_host = d->parts.host_name,
                                                  .device_id = d->parts.device_id,
                                                  .key = d->parts.shared_access_key,
                                                  .retry_min_ms = 20,
                                                  .retry_max_ms = 200});
}

static void start_devices(struct load *l, const char *file) {
    struct sk_buffer text = {0};
    struct sk_span line;
    if (sk_file_load(l->io, file, &text)) {
        fprintf(stderr, "%s cannot be read\n", file);
        exit(2);
    }
    struct sk_span rest = sk_buffer_span(&text);
    while (l->device_count < DEVICES_MAX && sk_span_split(&rest, '\n', &line))
        if (line.n) start_device(l, line);
    sk_buffer_free(&text);
}

static void on_closed(struct sk_timer *timer) {
    sk_io_stop(timer->io);
}

static void finish(struct load *l) {
    l->over = true;
    for (size_t i = 0; i < l->device_count; i++) {
        struct device *d = &l->devices[i];
        sk_device_client_free(d->client);
        free(d->numbers);
        free(d->host);
        free(d->text);
    }
    sk_http_client_free(l->http);
    sk_timer_start(l->io, &l->limit, 100 * SK_MS, on_closed); /* lets the connections close */
    sk_io_run(l->io);
    sk_buffer_free(&l->rest);
    free(l->service_text);
    sk_tls_free(l->device_tls);
    sk_tls_free(l->hub_tls);
    sk_io_free(l->io);
}

int main(int argc, char **argv) {
    static const struct option names[] = {{"devices", required_argument, NULL, 'd'},
                                          {"ca", required_argument, NULL, 'c'},
                                          {"service", required_argument, NULL, 's'},
                                          {"hub-ca", required_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    const char *devices = NULL, *ca = NULL, *service = NULL, *hub_ca = NULL;
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) switch (c) {
        case 'd': devices = optarg; break;
        case 'c': ca = optarg; break;
        case 's': service = optarg; break;
        case 'h': hub_ca = optarg; break;
        default: return 2;
        }
    if (!devices || !ca || !service || !hub_ca) return 2;
    struct load *l = SK_NEW(struct load);
    l->io = sk_io_uv_new();
    l->service_text = sk_span_dup(sk_span_z(service));
    parse(l->service_text, &l->service);
    l->device_tls = load_tls(l->io, ca);
    l->hub_tls = load_tls(l->io, hub_ca);
    setvbuf(stdout, NULL, _IOLBF, 0);
    sk_note_level(SK_LEVEL_ERROR); /* lost connections are what this is about */
    start_devices(l, devices);
    sk_io_on_signal(l->io, SIGTERM, on_term, l);
    sk_timer_start(l->io, &l->tick, 0, tick);
    sk_timer_start(l->io, &l->progress, 0, show_progress);
    sk_io_run(l->io);
    bool fine = !l->broken && l->missing == 0 && l->disordered == 0 && l->acknowledged > 0;
    printf("{\"devices\":%zu,\"acknowledged\":%llu,\"stored\":%llu,\"duplicates\":%llu,"
           "\"disordered\":%llu,\"missing\":%llu}\n",
           l->device_count, (unsigned long long)l->acknowledged, (unsigned long long)l->stored,
           (unsigned long long)l->duplicates, (unsigned long long)l->disordered,
           (unsigned long long)l->missing);
    finish(l);
    free(l);
    return fine ? 0 : 1;
}
