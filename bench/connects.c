/* How many MQTT clients a server lets in a second: TCP, TLS handshake, CONNECT, CONNACK, away
 * again.
 *
 *   bench-connects --host 127.0.0.2 --port 8883 --ca ca.pem --seconds 5 --threads 8
 *                  [--hub HOST --key BASE64KEY --devices 50]  IoT hub mode: SAS tokens
 *                  [--resume]                                 each thread resumes its TLS session
 *
 * Blocking sockets in threads, straight on OpenSSL: the client's part is as short as it can be.
 * Prints one line of JSON. */
#include <arpa/inet.h>
#include <getopt.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "wire/mqtt.h"
#include "trust/sas.h"

static struct sockaddr_in to = {.sin_family = AF_INET};
static const char *hub, *key, *host = "127.0.0.1";
static unsigned devices = 50, seconds = 5;
static bool resume;
static SSL_CTX *context;
static atomic_ulong connected, resumed;
static atomic_uint next_device;
static atomic_bool over;

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static void put_connect(struct sk_buffer *packet) {
    struct sk_buffer id = {0}, user = {0}, resource = {0}, password = {0};
    struct sk_mqtt_connect connect = {.clean_session = true, .keep_alive_s = 600};
    unsigned number = next_device++ % devices;
    sk_buffer_print(&id, "bench-%u", number);
    connect.client_id = sk_buffer_span(&id);
    if (hub) {
        sk_buffer_print(&user, "%s/bench-%u/?api-version=2021-04-12", hub, number);
        sk_buffer_print(&resource, "%s/devices/bench-%u", hub, number);
        sk_sas_create(&password, sk_buffer_span(&resource), sk_span_z(key), SK_NONE,
                      time(NULL) + 3600);
        connect.has_user = connect.has_password = true;
        connect.user = sk_buffer_span(&user);
        connect.password = sk_buffer_span(&password);
    }
    sk_mqtt_put_connect(packet, &connect);
    sk_buffer_free(&id);
    sk_buffer_free(&user);
    sk_buffer_free(&resource);
    sk_buffer_free(&password);
}

static void connect_once(SSL_SESSION **session) {
    static const struct linger reset = {1, 0}; /* no ports in TIME_WAIT */
    struct sk_buffer packet = {0};
    unsigned char answer[4];
    int fd = socket(AF_INET, SOCK_STREAM, 0), got = 0, n = 1;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) fail("cannot connect");
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    if (*session) SSL_set_session(ssl, *session);
    if (SSL_connect(ssl) != 1) fail("the handshake failed");
    put_connect(&packet);
    SSL_write(ssl, packet.p, (int)packet.n);
    while (got < 4 && (n = SSL_read(ssl, answer + got, 4 - got)) > 0) got += n;
    if (got < 4 || answer[0] != 0x20 || answer[3] != 0) fail("not let in");
    connected++;
    resumed += SSL_session_reused(ssl) != 0;
    if (resume) {
        SSL_SESSION_free(*session);
        *session = SSL_get1_session(ssl); /* with the ticket that came before CONNACK */
    }
    SSL_set_quiet_shutdown(ssl, 1);
    SSL_shutdown(ssl); /* else OpenSSL thinks the session bad */
    SSL_free(ssl);
    close(fd);
    sk_buffer_free(&packet);
}

static void *work(void *arg) {
    (void)arg;
    SSL_SESSION *session = NULL;
    while (!over) connect_once(&session);
    SSL_SESSION_free(session);
    return NULL;
}

int main(int argc, char **argv) {
    static const struct option names[] = {
        {"host", required_argument, NULL, 'h'},    {"port", required_argument, NULL, 'p'},
        {"ca", required_argument, NULL, 'c'},      {"hub", required_argument, NULL, 'H'},
        {"key", required_argument, NULL, 'k'},     {"devices", required_argument, NULL, 'd'},
        {"seconds", required_argument, NULL, 's'}, {"threads", required_argument, NULL, 't'},
        {"resume", no_argument, NULL, 'r'},        {NULL, 0, NULL, 0}};
    enum { THREADS_MAX = 64 };
    pthread_t threads[THREADS_MAX];
    unsigned count = 8, port = 8883;
    const char *ca = NULL;
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) switch (c) {
        case 'h': host = optarg; break;
        case 'p': port = (unsigned)atoi(optarg); break;
        case 'c': ca = optarg; break;
        case 'H': hub = optarg; break;
        case 'k': key = optarg; break;
        case 'd': devices = (unsigned)atoi(optarg); break;
        case 's': seconds = (unsigned)atoi(optarg); break;
        case 't': count = (unsigned)atoi(optarg); break;
        case 'r': resume = true; break;
        default: return 2;
        }
    if (ca == NULL || count == 0 || count > THREADS_MAX ||
        inet_pton(AF_INET, host, &to.sin_addr) != 1)
        return 2;
    to.sin_port = htons((uint16_t)port);
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_load_verify_locations(context, ca, NULL) != 1) fail("the CA cannot be read");
    struct timespec began, ended;
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (unsigned i = 0; i < count; i++) pthread_create(&threads[i], NULL, work, NULL);
    sleep(seconds);
    over = true;
    for (unsigned i = 0; i < count; i++) pthread_join(threads[i], NULL);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    double took =
        (double)(ended.tv_sec - began.tv_sec) + (double)(ended.tv_nsec - began.tv_nsec) / 1e9;
    printf("{\"connected\":%lu,\"resumed\":%lu,\"seconds\":%.3f,\"rate\":%.0f}\n", connected,
           resumed, took, (double)connected / took);
    return 0;
}
