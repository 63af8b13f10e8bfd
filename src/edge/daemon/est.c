#include "edge/daemon/est.h"

#include <stdio.h>

#include "net/http_client.h"
#include "trust/x509_enroll.h"

enum { ANSWER_MAX = 256 * 1024, ASK_TIMEOUT_MS = 60000 };

enum step { STEP_ANCHORS, STEP_ENROLL };

struct sk_est {
    struct sk_io *io;
    struct sk_tls *tls;
    struct sk_http_client *http;
    struct sk_est_url url;
    struct sk_buffer authorization, request, anchors_pem, certificate_pem;
    struct evp_pkey_st *key;
    bool again, closing;
    enum step step;
    sk_est_done *done;
    void *arg;
};

/* ---- the server's address ---- */

enum sk_status sk_est_url_parse(struct sk_span text, struct sk_est_url *url) {
    struct sk_url parsed;
    if (sk_url_parse(text, &parsed) || !parsed.secure) return SK_MALFORMED;
    struct sk_span path = parsed.rest;
    while (path.n && path.p[path.n - 1] == '/') path.n--;
    if (parsed.host.n >= sizeof url->host || path.n >= sizeof url->path ||
        !sk_span_only(path, "/-._~%!$&'()*+,;=:@"))
        return SK_MALFORMED;
    snprintf(url->host, sizeof url->host, "%.*s", SK_ARG(parsed.host));
    snprintf(url->path, sizeof url->path, "%.*s", SK_ARG(path));
    url->port = parsed.port;
    return SK_OK;
}

/* ---- asking ---- */

static void est_free(struct sk_est *est) {
    est->closing = true;
    if (est->http) sk_http_client_free(est->http);
    if (est->tls) sk_tls_free(est->tls);
    if (est->authorization.p) memset(est->authorization.p, 0, est->authorization.n);
    sk_buffer_free(&est->authorization);
    sk_buffer_free(&est->request);
    sk_buffer_free(&est->anchors_pem);
    sk_buffer_free(&est->certificate_pem);
    free(est);
}

static void end(struct sk_est *est, enum sk_status status, const char *reason) {
    sk_est_done *done = est->done;
    done(est->arg, status, &est->certificate_pem, &est->anchors_pem, reason);
    est_free(est);
}

static void on_answer(void *arg, enum sk_status status, const struct sk_http_parser *answer);

static void ask(struct sk_est *est, enum step step) {
    static const char *const names[] = {"cacerts", "simpleenroll", "simplereenroll"};
    struct sk_buffer target = {0};
    struct sk_http_pair headers[3];
    size_t count = 0;
    est->step = step;
    bool enrolls = step == STEP_ENROLL;
    sk_buffer_print(&target, "%s/%s", est->url.path, names[enrolls ? 1 + est->again : 0]);
    if (est->authorization.n)
        headers[count++] =
            (struct sk_http_pair){"Authorization", sk_buffer_span(&est->authorization)};
    if (enrolls) {
        headers[count++] = (struct sk_http_pair){"Content-Type", SK_SPAN("application/pkcs10")};
        headers[count++] = (struct sk_http_pair){"Content-Transfer-Encoding", SK_SPAN("base64")};
    }
    sk_http_client_send(est->http, &(struct sk_http_ask){
                                       .method = enrolls ? SK_HTTP_POST : SK_HTTP_GET,
                                       .target = sk_buffer_span(&target),
                                       .headers = headers,
                                       .header_count = count,
                                       .body = enrolls ? sk_buffer_span(&est->request) : SK_NONE,
                                       .timeout_ms = ASK_TIMEOUT_MS,
                                       .answer_max = ANSWER_MAX,
                                       .done = on_answer,
                                       .arg = est,
                                   });
    sk_buffer_free(&target);
}

/* What the server says in its own words is shown as far as it is one plain line. */
static void end_refused(struct sk_est *est, const struct sk_http_parser *answer) {
    char reason[256];
    struct sk_span words = sk_span_trim(sk_buffer_span(&answer->body));
    if (!sk_span_only(words, " .,:;-_'()/")) words = SK_NONE;
    if (answer->status == 202) {
        snprintf(reason, sizeof reason,
                 "The EST server %.100s has taken the request and will "
                 "decide later.",
                 est->url.host);
        end(est, SK_AGAIN, reason);
        return;
    }
    snprintf(reason, sizeof reason, "The EST server %.100s refuses: HTTP %u%s%.*s.", est->url.host,
             answer->status, words.n ? ", " : "", SK_ARG(sk_span_first(words, 80)));
    end(est, SK_REFUSED, reason);
}

static void take_answer(struct sk_est *est, const struct sk_http_parser *answer) {
    char reason[256];
    bool enrolls = est->step == STEP_ENROLL;
    enum sk_status status =
        sk_x509_open_bag(sk_buffer_span(&answer->body), enrolls ? est->key : NULL,
                         enrolls ? &est->certificate_pem : &est->anchors_pem);
    if (!status && !enrolls) {
        ask(est, STEP_ENROLL);
        return;
    }
    if (status)
        snprintf(reason, sizeof reason, "The EST server %.100s answers with %s.", est->url.host,
                 status == SK_NOT_FOUND && enrolls ? "a certificate of another key"
                 : status == SK_TOO_LARGE          ? "too many certificates"
                                                   : "something that holds no certificate");
    end(est, status ? SK_MALFORMED : SK_OK, status ? reason : "");
}

static void on_answer(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct sk_est *est = arg;
    if (est->closing) return;
    if (status) {
        char reason[256];
        snprintf(reason, sizeof reason, "Cannot ask the EST server %.150s:%u: %s.", est->url.host,
                 est->url.port, sk_status_text(status));
        end(est, status, reason);
    } else if (answer->status == 200) {
        take_answer(est, answer);
    } else {
        end_refused(est, answer);
    }
}

static enum sk_status open_way(struct sk_est *est, const struct sk_est_options *options,
                               char reason[256]) {
    struct sk_tls_options tls = {.trust_pem = options->trust_pem,
                                 .certificate_pem = options->certificate_pem,
                                 .key = options->certificate_key};
    enum sk_status status = sk_tls_new(est->io, &tls, &est->tls, reason);
    if (status) return SK_INVALID;
    status = sk_http_client_new(
        est->io,
        &(struct sk_http_client_options){.to = {.host = est->url.host, .port = est->url.port},
                                         .tls = est->tls,
                                         .proxy = options->proxy},
        &est->http);
    if (status) snprintf(reason, 256, "The proxy's URL cannot be used.");
    return status ? SK_INVALID : SK_OK;
}

static void put_authorization(struct sk_est *est, const struct sk_est_options *options) {
    struct sk_buffer text = {0};
    if (options->username == NULL) return;
    sk_buffer_print(&text, "%s:%s", options->username, options->password ? options->password : "");
    sk_buffer_text(&est->authorization, "Basic ");
    sk_base64_encode(&est->authorization, sk_buffer_span(&text));
    memset(text.p, 0, text.n);
    sk_buffer_free(&text);
}

enum sk_status sk_est_ask(struct sk_io *io, const struct sk_est_options *options, sk_est_done *done,
                          void *arg, struct sk_est **asked, char reason[256]) {
    struct sk_est *est = SK_NEW(struct sk_est);
    est->io = io;
    est->key = options->key;
    est->again = options->again;
    est->done = done;
    est->arg = arg;
    enum sk_status status = SK_OK;
    if (sk_est_url_parse(sk_span_z(options->url), &est->url)) {
        snprintf(reason, 256, "The EST server's URL %.150s is not https://HOST[:PORT]/PATH.",
                 options->url);
        status = SK_INVALID;
    }
    if (!status) status = open_way(est, options, reason);
    if (status) {
        est_free(est);
        return status;
    }
    put_authorization(est, options);
    sk_base64_encode(&est->request, options->request);
    *asked = est;
    ask(est, STEP_ANCHORS);
    return SK_OK;
}

void sk_est_cancel(struct sk_est *est) {
    est_free(est);
}
