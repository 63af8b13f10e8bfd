/* Devices with certificates at a hub: who is taken, who is refused and with what words, and when a
 * session ends. TLS is transparent in the simulated world; chains are real. */
#include "support/raw_client.h"
#include "support/test.h"
#include "trust/x509.h"
#include "trust/x509_chain.h"

#define HOUR INT64_C(3600)

/* A certificate with its key and what is sent with it. */
struct pair {
    struct sk_buffer certificate, key, chain;
};

static struct pair pairs[40];
static size_t pair_count;

static int64_t now_s(const struct fleet *f) {
    return sk_io_wall(f->hub_io) / 1000000;
}

/* A certificate from `from` to `to` seconds around now, signed by `issuer` or by itself. */
static const struct pair *make(const struct fleet *f, const char *name, enum sk_x509_use use,
                               const struct pair *issuer, int64_t from, int64_t to) {
    struct pair *made = &pairs[pair_count++];
    struct sk_x509_request request = {.use = use,
                                      .common_name = sk_span_z(name),
                                      .path_length = -1,
                                      .not_before_s = now_s(f) + from,
                                      .not_after_s = now_s(f) + to};
    if (issuer) {
        request.issuer_certificate_pem = sk_buffer_span(&issuer->certificate);
        request.issuer_key_pem = sk_buffer_span(&issuer->key);
    }
    assert_int_equal(sk_x509_make(&request, &made->certificate, &made->key), SK_OK);
    sk_buffer_append(&made->chain, sk_buffer_span(&made->certificate));
    if (issuer) sk_buffer_append(&made->chain, sk_buffer_span(&issuer->chain));
    return made;
}

static const struct pair *make_ca(const struct fleet *f, const char *name,
                                  const struct pair *issuer) {
    return make(f, name, SK_X509_CA, issuer, -HOUR, 10000 * HOUR);
}

static const struct pair *make_leaf(const struct fleet *f, const char *name,
                                    const struct pair *issuer) {
    return make(f, name, SK_X509_CLIENT, issuer, -HOUR, 100 * HOUR);
}

static struct sk_x509_leaf read_leaf(const struct pair *pair) {
    struct sk_buffer der = {0};
    struct sk_x509_leaf leaf;
    assert_int_equal(sk_x509_der(sk_buffer_span(&pair->certificate), &der), SK_OK);
    assert_int_equal(sk_x509_read(sk_buffer_span(&der), &leaf), SK_OK);
    sk_buffer_free(&der);
    return leaf;
}

/* ---- the world: a hub behind TLS ---- */

static struct sk_tls *client_tls(struct fleet *f, const struct pair *pair) {
    char reason[256];
    struct sk_tls *tls;
    assert_int_equal(
        sk_tls_new(f->field_io,
                   &(struct sk_tls_options){.certificate_pem =
                                                pair ? sk_buffer_span(&pair->chain) : SK_NONE,
                                            .key_pem = pair ? sk_buffer_span(&pair->key) : SK_NONE},
                   &tls, reason),
        SK_OK);
    return tls;
}

static struct sk_tls *service_tls;

static void start(struct fleet *f, uint64_t seed) {
    char reason[SK_HUB_CONFIG_ERROR_MAX];
    pair_count = 0;
    fleet_new_hub(f, seed);
    fleet_stop_hub(f);
    const struct pair *server = make(f, "hub.test", SK_X509_SERVER, NULL, 0, HOUR);
    sk_file_save(f->hub_io, "-", sk_buffer_span(&server->certificate), 0600);
    if (sk_hub_server_start(f->hub_io, &f->config, true, &f->hub, reason)) fail_msg("%s", reason);
    sk_http_client_free(f->service);
    service_tls = client_tls(f, NULL);
    assert_int_equal(
        sk_http_client_new(f->field_io,
                           &(struct sk_http_client_options){.to = {"hub.test", 8883, NULL, 0},
                                                            .host_header = "hub.test",
                                                            .tls = service_tls},
                           &f->service),
        SK_OK);
}

static void stop(struct fleet *f) {
    sk_tls_free(service_tls);
    fleet_free(f);
    for (size_t i = 0; i < pair_count; i++) {
        sk_buffer_free(&pairs[i].certificate);
        sk_buffer_free(&pairs[i].key);
        sk_buffer_free(&pairs[i].chain);
        pairs[i] = (struct pair){0};
    }
}

static void put_by_thumbprint(struct fleet *f, const char *device, const char *primary,
                              const char *secondary) {
    char path[64], body[512];
    snprintf(path, sizeof path, "/devices/%s", device);
    snprintf(body, sizeof body,
             "{\"deviceId\":\"%s\",\"authentication\":{\"type\":\"selfSigned\",\"x509Thumbprint\":"
             "{\"primaryThumbprint\":\"%s\",\"secondaryThumbprint\":\"%s\"}}}",
             device, primary, secondary);
    fleet_put(f, path, body);
}

static void put_by_ca(struct fleet *f, const char *device) {
    char path[64], body[256];
    snprintf(path, sizeof path, "/devices/%s", device);
    snprintf(body, sizeof body,
             "{\"deviceId\":\"%s\",\"authentication\":{\"type\":\"certificateAuthority\"}}",
             device);
    fleet_put(f, path, body);
}

static void call_with_certificate(struct fleet *f, enum sk_http_method method, const char *path,
                                  const struct pair *pair, bool wrapped, bool verified) {
    json_t *body = json_pack("{s:s%}", "certificate", pair->certificate.p, pair->certificate.n);
    if (wrapped) {
        json_object_set_new(body, "isVerified", json_boolean(verified));
        body = json_pack("{s:o}", "properties", body);
    }
    char *text = json_dumps(body, 0);
    fleet_send(f, method, path, text, false);
    json_decref(body);
    free(text);
}

static void trust(struct fleet *f, const char *name, const struct pair *ca) {
    char path[64];
    snprintf(path, sizeof path, "/certificates/%s", name);
    call_with_certificate(f, SK_HTTP_PUT, path, ca, true, true);
    assert_int_equal(f->status, 200);
}

/* ---- what a device does ---- */

static void open_secured(struct raw_client *c, struct fleet *f, const struct pair *pair) {
    struct sk_tls *tls = client_tls(f, pair);
    *c = (struct raw_client){.sim = f->sim};
    c->stream = sk_connect(f->field_io, &(struct sk_endpoint){"hub.test", 8883, NULL, 0}, tls, NULL,
                           &raw_events, c);
    sk_tls_free(tls);
    assert_true(sk_sim_run_until(c->sim, 60 * SK_S, raw_is_settled, c));
    assert_true(c->open);
}

/* CONNECT without a password. */
static void say_connect(struct raw_client *c, const char *device, const char *module) {
    struct sk_buffer id = {0}, user = {0}, out = {0};
    sk_buffer_print(&id, module ? "%s/%s" : "%s%s", device, module ? module : "");
    sk_buffer_print(&user, "hub.test/%.*s/?api-version=2021-04-12", SK_ARG(sk_buffer_span(&id)));
    assert_int_equal(
        sk_mqtt_put_connect(&out, &(struct sk_mqtt_connect){.clean_session = true,
                                                            .has_user = true,
                                                            .client_id = sk_buffer_span(&id),
                                                            .user = sk_buffer_span(&user)}),
        SK_OK);
    raw_send_buffer(c, &out);
    sk_buffer_free(&id);
    sk_buffer_free(&user);
}

static void taken(struct fleet *f, const char *device, const char *module,
                  const struct pair *pair) {
    struct raw_client c;
    open_secured(&c, f, pair);
    say_connect(&c, device, module);
    raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
    raw_free(&c);
}

/* Over MQTT with 5 and the end, over HTTPS with 401 and words. */
static void refused(struct fleet *f, const char *device, const struct pair *pair,
                    const char *words) {
    struct raw_client c;
    struct raw_answer answer;
    struct sk_buffer out = {0};
    open_secured(&c, f, pair);
    say_connect(&c, device, NULL);
    raw_expect_connack(&c, SK_MQTT_NOT_AUTHORIZED, false);
    raw_expect_closed(&c);
    raw_free(&c);
    open_secured(&c, f, pair);
    sk_buffer_print(&out,
                    "POST /devices/%s/messages/events?api-version=2021-04-12 HTTP/1.1\r\n"
                    "Host: hub.test\r\nContent-Length: 2\r\n\r\n{}",
                    device);
    raw_send_buffer(&c, &out);
    raw_next_answer(&c, &answer);
    assert_int_equal(answer.parser.status, 401);
    char *body = sk_span_dup(sk_buffer_span(&answer.parser.body));
    if (!strstr(body, words)) fail_msg("no '%s' in %s", words, body);
    free(body);
    sk_http_parser_free(&answer.parser);
    raw_free(&c);
}

/* ---- stories ---- */

TEST(a_device_proves_itself_by_either_thumbprint) {
    struct fleet f;
    start(&f, 1);
    const struct pair *one = make_leaf(&f, "any name", NULL), *two = make_leaf(&f, "other", NULL),
                      *three = make_leaf(&f, "d1", NULL);
    struct sk_x509_leaf first = read_leaf(one), second = read_leaf(two), third = read_leaf(three);
    for (char *c = first.sha1; *c; c++) *c |= *c >= 'A' ? 0x20 : 0; /* lower case */
    put_by_thumbprint(&f, "d1", first.sha1, second.sha256);
    taken(&f, "d1", NULL, one);
    taken(&f, "d1", NULL, two);
    refused(&f, "d1", three, "Thumbprint does not match configuration: Thumbprint: SHA1Hash=");
    refused(&f, "d1", three, third.sha256);
    refused(&f, "d1", NULL, "credentials are missing");
    stop(&f);
}

TEST(a_certificate_counts_from_its_first_to_its_last_second) {
    struct fleet f;
    start(&f, 2);
    const struct pair *early = make(&f, "d1", SK_X509_CLIENT, NULL, HOUR, 9 * HOUR),
                      *late = make(&f, "d2", SK_X509_CLIENT, NULL, -HOUR, -1),
                      *short_lived = make(&f, "d3", SK_X509_CLIENT, NULL, -HOUR, 2 * HOUR);
    put_by_thumbprint(&f, "d1", read_leaf(early).sha256, "");
    put_by_thumbprint(&f, "d2", read_leaf(late).sha256, "");
    put_by_thumbprint(&f, "d3", read_leaf(short_lived).sha256, "");
    refused(&f, "d1", early, "not valid yet");
    refused(&f, "d2", late, "has expired");

    struct raw_client c;
    int64_t end_s = read_leaf(short_lived).not_after_s;
    open_secured(&c, &f, short_lived);
    say_connect(&c, "d3", NULL);
    raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
    while (now_s(&f) < end_s - 30) { /* it is there until its certificate ends … */
        raw_ping(&c);
        sk_sim_run(f.sim, 20 * SK_S);
    }
    assert_non_null(c.stream);
    sk_sim_run(f.sim, 60 * SK_S); /* … and not longer */
    assert_null(c.stream);
    raw_free(&c);
    refused(&f, "d3", short_lived, "has expired");
    taken(&f, "d1", NULL, early);
    stop(&f);
}

TEST(a_chain_must_lead_to_a_ca_of_the_hub) {
    struct fleet f;
    start(&f, 3);
    const struct pair *root = make_ca(&f, "root", NULL), *stranger = make_ca(&f, "root", NULL);
    const struct pair *middle = make_ca(&f, "middle", root), *deep = root;
    put_by_ca(&f, "d1");
    refused(&f, "d1", make_leaf(&f, "d1", root), "leads to no CA certificate");
    trust(&f, "root", root);
    taken(&f, "d1", NULL, make_leaf(&f, "d1", root));
    taken(&f, "d1", NULL, make_leaf(&f, "d1", middle));
    refused(&f, "d1", make_leaf(&f, "d2", root), "common name is 'd2'");
    refused(&f, "d1", make_leaf(&f, "d1", stranger), "leads to no CA certificate");
    refused(&f, "d1", make_leaf(&f, "d1", NULL), "leads to no CA certificate");
    refused(&f, "d1", make(&f, "d1", SK_X509_SERVER, root, -HOUR, HOUR), "purpose");
    refused(&f, "d1", make(&f, "d1", SK_X509_CLIENT, root, -2 * HOUR, -HOUR), "has expired");
    refused(&f, "d1", make(&f, "d1", SK_X509_CLIENT, root, HOUR, 2 * HOUR), "not valid yet");
    for (int level = 0; level < 10; level++)
        deep = make_ca(&f, (const char[]){'c', (char)('0' + level), 0}, deep);
    refused(&f, "d1", make_leaf(&f, "d1", deep), "Authentication failed for this device");
    /* Modules: their device's name and their own. */
    fleet_put(&f, "/devices/d1/modules/m1",
              "{\"deviceId\":\"d1\",\"moduleId\":\"m1\","
              "\"authentication\":{\"type\":\"certificateAuthority\"}}");
    taken(&f, "d1", "m1", make_leaf(&f, "d1/m1", root));
    struct raw_client c;
    open_secured(&c, &f, make_leaf(&f, "m1", root));
    say_connect(&c, "d1", "m1");
    raw_expect_connack(&c, SK_MQTT_NOT_AUTHORIZED, false);
    raw_free(&c);
    stop(&f);
}

TEST(possession_is_proved_and_outlives_a_crash) {
    struct fleet f;
    start(&f, 4);
    const struct pair *root = make_ca(&f, "root", NULL), *leaf = make_leaf(&f, "d1", root);
    put_by_ca(&f, "d1");
    call_with_certificate(&f, SK_HTTP_PUT, "/certificates/leaf", leaf, true, true);
    assert_int_equal(f.status, 400); /* it is no CA */
    call_with_certificate(&f, SK_HTTP_PUT, "/certificates/root", root, true, false);
    assert_int_equal(f.status, 200);
    call_with_certificate(&f, SK_HTTP_POST, "/certificates/root/verify", leaf, false, false);
    assert_int_equal(f.status, 400); /* no code was asked for */
    fleet_call(&f, SK_HTTP_POST, "/certificates/root/generateVerificationCode", "");
    assert_int_equal(f.status, 200);
    json_t *json = json_loads(f.answer, 0, NULL);
    char *code = sk_span_dup(sk_span_z(json_string_value(
        json_object_get(json_object_get(json, "properties"), "verificationCode"))));
    json_decref(json);
    refused(&f, "d1", leaf, "leads to no CA certificate");
    call_with_certificate(&f, SK_HTTP_POST, "/certificates/root/verify", leaf, false, false);
    assert_int_equal(f.status, 400); /* another name */
    call_with_certificate(&f, SK_HTTP_POST, "/certificates/root/verify",
                          make_leaf(&f, code, make_ca(&f, "root", NULL)), false, false);
    assert_int_equal(f.status, 400); /* another key */
    call_with_certificate(&f, SK_HTTP_POST, "/certificates/root/verify", make_leaf(&f, code, root),
                          false, false);
    assert_int_equal(f.status, 200);
    free(code);
    taken(&f, "d1", NULL, leaf);

    char reason[SK_HUB_CONFIG_ERROR_MAX];
    sk_sim_power_cut(f.hub_io, SK_SIM_LOSE_ALL);
    sk_hub_server_stop(f.hub, NULL, NULL);
    f.hub_io = sk_sim_power_on(f.hub_io);
    if (sk_hub_server_start(f.hub_io, &f.config, true, &f.hub, reason)) fail_msg("%s", reason);
    sk_sim_run(f.sim, 60 * SK_S);
    taken(&f, "d1", NULL, leaf);
    fleet_call(&f, SK_HTTP_GET, "/certificates", NULL);
    assert_non_null(strstr(f.answer, "\"isVerified\":true"));
    fleet_call(&f, SK_HTTP_DELETE, "/certificates/root", NULL);
    assert_int_equal(f.status, 204);
    refused(&f, "d1", leaf, "leads to no CA certificate");
    fleet_call(&f, SK_HTTP_GET, "/certificates/root", NULL);
    assert_int_equal(f.status, 404);
    stop(&f);
}

TEST(a_ca_that_is_removed_ends_who_came_by_it_and_nobody_else) {
    struct fleet f;
    struct raw_client gone, stays;
    start(&f, 6);
    const struct pair *one = make_ca(&f, "one", NULL), *two = make_ca(&f, "two", NULL);
    put_by_ca(&f, "d1");
    put_by_ca(&f, "d2");
    trust(&f, "one", one);
    trust(&f, "two", two);
    open_secured(&gone, &f, make_leaf(&f, "d1", make_ca(&f, "middle", one)));
    say_connect(&gone, "d1", NULL);
    raw_expect_connack(&gone, SK_MQTT_ACCEPTED, false);
    open_secured(&stays, &f, make_leaf(&f, "d2", two));
    say_connect(&stays, "d2", NULL);
    raw_expect_connack(&stays, SK_MQTT_ACCEPTED, false);
    fleet_call(&f, SK_HTTP_DELETE, "/certificates/one", NULL);
    assert_int_equal(f.status, 204);
    sk_sim_run(f.sim, SK_S);
    assert_null(gone.stream);
    raw_ping(&stays);
    raw_free(&gone);
    raw_free(&stays);
    stop(&f);
}

TEST(a_kind_of_credential_is_not_taken_for_the_other) {
    struct fleet f;
    struct raw_client c;
    struct sk_buffer out = {0};
    start(&f, 5);
    const struct pair *leaf = make_leaf(&f, "d1", NULL);
    fleet_put_device(&f, "keyed", "");
    put_by_thumbprint(&f, "d1", read_leaf(leaf).sha1, "");
    refused(&f, "keyed", leaf, "needs a shared access signature");
    /* A token, where there is one, is what counts. */
    open_secured(&c, &f, leaf);
    raw_put_connect(&out, &f, &(struct raw_connect){.device = "keyed", .clean = true});
    raw_send_buffer(&c, &out);
    raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
    raw_free(&c);
    open_secured(&c, &f, leaf);
    raw_put_connect(&out, &f, &(struct raw_connect){.device = "d1", .clean = true});
    raw_send_buffer(&c, &out);
    raw_expect_connack(&c, SK_MQTT_NOT_AUTHORIZED, false);
    raw_free(&c);
    stop(&f);
}
