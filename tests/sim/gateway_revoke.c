/* What a change to an identity ends: at once every session that could not be opened so any more,
 * on every protocol, those of an edge device's children among them. And nobody else's. */
#include "support/raw_amqp.h"
#include "support/raw_client.h"
#include "support/test.h"

#define OTHER_KEY "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB="
#define THIRD_KEY "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC="

/* Who is connected, by whose token and how. */
enum {
    LEAF1 = 1,      /* a child of edge1, by its own key: MQTT */
    LEAF2 = 2,      /* a child, through edge1: MQTT */
    LEAF2_M = 4,    /* its module, through edge1: AMQP */
    LEAF3 = 8,      /* a child, through edge1: AMQP by WebSocket */
    READER = 16,    /* a module of edge1, by its own key: MQTT */
    READER2 = 32,   /* a module of edge1, through edge1: MQTT */
    EDGE_HUB = 64,  /* $edgeHub of edge1: MQTT */
    LONE = 128,     /* a device: AMQP */
    BY_POLICY = 256 /* a device, by a policy's token: MQTT */
};
#define CHILDREN (LEAF2 | LEAF2_M | LEAF3)

struct world {
    struct fleet f;
    char scope[200];
    struct raw_client leaf1, leaf2, reader, reader2, edge_hub, by_policy;
    struct raw_amqp many, web, lone;
    struct raw_link leaf2_m, leaf3, lone_link;
};

/* ---- changes ---- */

static const char *keys(const char *primary, const char *secondary) {
    static char text[300];
    snprintf(text, sizeof text,
             "\"authentication\":{\"type\":\"sas\",\"symmetricKey\":{\"primaryKey\":\"%s\","
             "\"secondaryKey\":\"%s\"}}",
             primary, secondary);
    return text;
}

/* PUT over whatever is there; `more`: further members, with a comma at their end. */
static void put(struct world *w, const char *device, const char *module, const char *more,
                const char *authentication) {
    char path[200], body[1200];
    snprintf(path, sizeof path, module ? "/devices/%s/modules/%s" : "/devices/%s%.0s", device,
             module ? module[0] == '$' ? "%24edgeHub" : module : "");
    snprintf(body, sizeof body,
             module ? "{\"deviceId\":\"%s\",\"moduleId\":\"%s\",%s%s}"
                    : "{\"deviceId\":\"%s\",%.0s%s%s}",
             device, module ? module : "", more, authentication);
    fleet_call(&w->f, SK_HTTP_GET, path, "");
    fleet_send(&w->f, SK_HTTP_PUT, path, body, w->f.status == 200);
    if (w->f.status != 200) fail_msg("PUT %s: %u %s", path, w->f.status, w->f.answer);
}

static const char *in_scope(const struct world *w, const char *more) {
    static char text[400];
    snprintf(text, sizeof text, "\"deviceScope\":\"%s\",%s", w->scope, more);
    return text;
}

#define SAME keys(FLEET_KEY, OTHER_KEY)
#define IS_EDGE "\"capabilities\":{\"iotEdge\":true},"

static void nothing_new(struct world *w) {
    put(w, "edge1", NULL, IS_EDGE "\"statusReason\":\"checked\",", SAME);
    put(w, "leaf2", NULL, in_scope(w, ""), SAME);
}
static void edge_disabled(struct world *w) {
    put(w, "edge1", NULL, IS_EDGE "\"status\":\"disabled\",", SAME);
}
static void edge_deleted(struct world *w) {
    fleet_call(&w->f, SK_HTTP_DELETE, "/devices/edge1", "");
    assert_int_equal(w->f.status, 204);
}
static void edge_is_none_any_more(struct world *w) {
    put(w, "edge1", NULL, "", SAME);
}
static void edge_hub_deleted(struct world *w) {
    fleet_call(&w->f, SK_HTTP_DELETE, "/devices/edge1/modules/%24edgeHub", "");
    assert_int_equal(w->f.status, 204);
}
static void edge_hub_gets_new_keys(struct world *w) {
    put(w, "edge1", "$edgeHub", "", keys(THIRD_KEY, THIRD_KEY));
}
static void edge_hub_gets_one_new_key(struct world *w) {
    put(w, "edge1", "$edgeHub", "", keys(THIRD_KEY, FLEET_KEY));
}
static void edge_hub_gets_both_one_after_the_other(struct world *w) {
    edge_hub_gets_one_new_key(w);
    put(w, "edge1", "$edgeHub", "",
        keys(THIRD_KEY, OTHER_KEY)); /* OTHER_KEY was the second before */
    put(w, "edge1", "$edgeHub", "", keys(THIRD_KEY, THIRD_KEY));
}
static void edge_device_gets_new_keys(struct world *w) {
    put(w, "edge1", NULL, IS_EDGE, keys(THIRD_KEY, THIRD_KEY));
}
static void leaf2_gets_no_parent(struct world *w) {
    put(w, "leaf2", NULL, "", SAME);
}
static void leaf2_disabled(struct world *w) {
    put(w, "leaf2", NULL, in_scope(w, "\"status\":\"disabled\","), SAME);
}
static void leaf2_deleted(struct world *w) {
    fleet_call(&w->f, SK_HTTP_DELETE, "/devices/leaf2", "");
    assert_int_equal(w->f.status, 204);
}
static void leaf2_gets_new_keys(struct world *w) {
    put(w, "leaf2", NULL, in_scope(w, ""), keys(THIRD_KEY, THIRD_KEY));
}
static void leaf1_gets_new_keys(struct world *w) {
    put(w, "leaf1", NULL, in_scope(w, ""), keys(THIRD_KEY, THIRD_KEY));
}
static void leaf1_changes_its_parent(struct world *w) {
    put(w, "leaf1", NULL, "", SAME);
}
static void lone_gets_one_new_key(struct world *w) {
    put(w, "lone", NULL, "", keys(FLEET_KEY, THIRD_KEY));
}
static void lone_gets_new_keys(struct world *w) {
    put(w, "lone", NULL, "", keys(THIRD_KEY, THIRD_KEY));
}
static void lone_gets_a_certificate(struct world *w) {
    put(w, "lone", NULL, "",
        "\"authentication\":{\"type\":\"selfSigned\","
        "\"x509Thumbprint\":{\"primaryThumbprint\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}}");
}
static void a_module_gets_new_keys(struct world *w) {
    put(w, "edge1", "reader", "", keys(THIRD_KEY, THIRD_KEY));
    put(w, "edge1", "reader2", "", keys(THIRD_KEY, THIRD_KEY));
}
static void a_module_deleted(struct world *w) {
    fleet_call(&w->f, SK_HTTP_DELETE, "/devices/leaf2/modules/m", "");
    assert_int_equal(w->f.status, 204);
}
static void the_one_of_a_policy_gets_new_keys(struct world *w) {
    put(w, "managed", NULL, "", keys(THIRD_KEY, THIRD_KEY));
}

static const struct {
    const char *name;
    void (*make)(struct world *);
    unsigned ended;
} changes[] = {
    {"nothing new", nothing_new, 0},
    {"edge disabled", edge_disabled, CHILDREN | READER | READER2 | EDGE_HUB},
    {"edge deleted", edge_deleted, CHILDREN | READER | READER2 | EDGE_HUB},
    {"edge is none any more", edge_is_none_any_more, CHILDREN | READER2},
    {"$edgeHub deleted", edge_hub_deleted, CHILDREN | READER2 | EDGE_HUB},
    {"$edgeHub: both keys", edge_hub_gets_new_keys, CHILDREN | READER2 | EDGE_HUB},
    {"$edgeHub: one key", edge_hub_gets_one_new_key, 0},
    {"$edgeHub: one key, then the other", edge_hub_gets_both_one_after_the_other,
     CHILDREN | READER2 | EDGE_HUB},
    {"edge device: both keys", edge_device_gets_new_keys, 0},
    {"leaf2 without a parent", leaf2_gets_no_parent, LEAF2 | LEAF2_M},
    {"leaf2 disabled", leaf2_disabled, LEAF2 | LEAF2_M},
    {"leaf2 deleted", leaf2_deleted, LEAF2 | LEAF2_M},
    {"leaf2, which edge1 speaks for: both keys", leaf2_gets_new_keys, 0},
    {"leaf1: both keys", leaf1_gets_new_keys, LEAF1},
    {"leaf1, which speaks for itself, without a parent", leaf1_changes_its_parent, 0},
    {"lone: one key", lone_gets_one_new_key, 0},
    {"lone: both keys", lone_gets_new_keys, LONE},
    {"lone: another kind of credential", lone_gets_a_certificate, LONE},
    {"modules: both keys", a_module_gets_new_keys, READER},
    {"a module deleted", a_module_deleted, LEAF2_M},
    {"managed by a policy: both keys", the_one_of_a_policy_gets_new_keys, 0},
};

/* ---- the world ---- */

static void through_edge1(struct world *w, struct raw_client *c, const char *device,
                          const char *module) {
    char user[200], name[100];
    snprintf(name, sizeof name, module ? "%s/%s" : "%s%s", device, module ? module : "");
    snprintf(user, sizeof user, "hub.test/%s/?api-version=2021-04-12&auth-chain=%s%%3Bedge1", name,
             name);
    raw_dial(c, &w->f, "hub.test",
             &(struct raw_connect){.device = device,
                                   .module = module,
                                   .user = user,
                                   .resource = "hub.test/devices/edge1/modules/$edgeHub",
                                   .clean = true});
    raw_expect_connack(c, SK_MQTT_ACCEPTED, false);
}

static void itself(struct world *w, struct raw_client *c, const char *device, const char *module,
                   const char *policy) {
    raw_dial(
        c, &w->f, "hub.test",
        &(struct raw_connect){.device = device, .module = module, .policy = policy, .clean = true});
    raw_expect_connack(c, SK_MQTT_ACCEPTED, false);
}

static bool attaches(struct world *w, struct raw_amqp *c, struct raw_link *link,
                     const char *address, const char *chain) {
    struct sk_amqp_field property = {SK_SPAN("com.microsoft:auth-chain"),
                                     SK_AMQP_VALUE_STRING(sk_span_z(chain))};
    raw_link_begin(c, link,
                   (struct sk_amqp_link_options){.address = address,
                                                 .sender = true,
                                                 .properties = &property,
                                                 .property_count = chain != NULL});
    assert_true(sk_sim_run_until(w->f.sim, 60 * SK_S, raw_link_is_decided, link));
    sk_sim_run(w->f.sim, 100 * SK_MS);
    return link->amqp != NULL;
}

static void connect_all(struct world *w) {
    itself(w, &w->leaf1, "leaf1", NULL, NULL);
    through_edge1(w, &w->leaf2, "leaf2", NULL);
    itself(w, &w->reader, "edge1", "reader", NULL);
    through_edge1(w, &w->reader2, "edge1", "reader2");
    itself(w, &w->edge_hub, "edge1", "$edgeHub", NULL);
    itself(w, &w->by_policy, "managed", NULL, "owner");
    raw_amqp_open(&w->many, &w->f, &(struct raw_amqp_options){.anonymous = true});
    raw_amqp_prove(&w->many, "edge1/modules/$edgeHub");
    assert_true(attaches(w, &w->many, &w->leaf2_m, "/devices/leaf2/modules/m/messages/events",
                         "leaf2/m;edge1"));
    raw_amqp_open(&w->web, &w->f, &(struct raw_amqp_options){.anonymous = true, .websocket = true});
    raw_amqp_prove(&w->web, "edge1/modules/$edgeHub");
    assert_true(attaches(w, &w->web, &w->leaf3, "/devices/leaf3/messages/events", "leaf3;edge1"));
    raw_amqp_open(&w->lone, &w->f, &(struct raw_amqp_options){.anonymous = true});
    raw_amqp_prove(&w->lone, "lone");
    assert_true(attaches(w, &w->lone, &w->lone_link, "/devices/lone/messages/events", NULL));
}

static struct world *new_world(void) {
    struct world *w = SK_NEW(struct world);
    fleet_new_hub(&w->f, 1);
    put(w, "edge1", NULL, IS_EDGE, SAME);
    json_t *edge = json_loads(w->f.answer, 0, NULL);
    snprintf(w->scope, sizeof w->scope, "%s",
             json_string_value(json_object_get(edge, "deviceScope")));
    json_decref(edge);
    put(w, "edge1", "$edgeHub", "", SAME);
    put(w, "edge1", "reader", "", SAME);
    put(w, "edge1", "reader2", "", SAME);
    static const char *const leaves[] = {"leaf1", "leaf2", "leaf3"};
    for (size_t i = 0; i < 3; i++) put(w, leaves[i], NULL, in_scope(w, ""), SAME);
    put(w, "leaf2", "m", "", SAME);
    put(w, "lone", NULL, "", SAME);
    put(w, "managed", NULL, "", SAME);
    connect_all(w);
    return w;
}

static void free_world(struct world *w) {
    struct raw_client *const clients[] = {&w->leaf1,   &w->leaf2,    &w->reader,
                                          &w->reader2, &w->edge_hub, &w->by_policy};
    for (size_t i = 0; i < 6; i++) raw_free(clients[i]);
    raw_amqp_free(&w->many);
    raw_amqp_free(&w->web);
    raw_amqp_free(&w->lone);
    fleet_free(&w->f);
    free(w);
}

static unsigned ended(const struct world *w) {
    return (w->leaf1.stream ? 0u : LEAF1) | (w->leaf2.stream ? 0u : LEAF2) |
           (w->leaf2_m.amqp ? 0u : LEAF2_M) | (w->leaf3.amqp ? 0u : LEAF3) |
           (w->reader.stream ? 0u : READER) | (w->reader2.stream ? 0u : READER2) |
           (w->edge_hub.stream ? 0u : EDGE_HUB) | (w->lone_link.amqp ? 0u : LONE) |
           (w->by_policy.stream ? 0u : BY_POLICY);
}

TEST(a_change_ends_what_depended_on_it_and_nothing_else) {
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct world *w = new_world();
        assert_int_equal(ended(w), 0);
        changes[i].make(w);
        sk_sim_run(w->f.sim, 1 * SK_S);
        if (ended(w) != changes[i].ended)
            fail_msg("%s: ended %x instead of %x", changes[i].name, ended(w), changes[i].ended);
        /* The token that the connection still holds opens nothing either. */
        if (changes[i].ended & LEAF3 && w->web.stream)
            assert_false(
                attaches(w, &w->web, &w->leaf3, "/devices/leaf3/messages/events", "leaf3;edge1"));
        if (changes[i].ended & LONE && w->lone.stream)
            assert_false(
                attaches(w, &w->lone, &w->lone_link, "/devices/lone/messages/events", NULL));
        free_world(w);
    }
}

/* The same at the edge hub, as soon as it has heard of it. */
TEST(the_edge_hub_ends_them_too) {
    struct fleet f;
    struct raw_client leaf, reader;
    char more[300];
    fleet_new(&f, 2, FLEET_ROUTES_UP);
    raw_dial(&leaf, &f, "edge.test", &(struct raw_connect){.device = "leaf1", .clean = true});
    raw_expect_connack(&leaf, SK_MQTT_ACCEPTED, false);
    raw_dial(&reader, &f, "edge.test",
             &(struct raw_connect){.device = "edge1", .module = "reader", .clean = true});
    raw_expect_connack(&reader, SK_MQTT_ACCEPTED, false);
    fleet_call(&f, SK_HTTP_GET, "/devices/edge1", "");
    json_t *edge = json_loads(f.answer, 0, NULL);
    snprintf(more, sizeof more, "{\"deviceId\":\"leaf1\",\"deviceScope\":\"%s\",%s}",
             json_string_value(json_object_get(edge, "deviceScope")), keys(THIRD_KEY, OTHER_KEY));
    json_decref(edge);
    fleet_send(&f, SK_HTTP_PUT, "/devices/leaf1", more, true);
    assert_int_equal(f.status, 200);
    sk_sim_run(f.sim, 400 * SK_S);
    assert_null(leaf.stream);
    assert_non_null(reader.stream);
    raw_free(&leaf);
    raw_free(&reader);
    fleet_free(&f);
}
