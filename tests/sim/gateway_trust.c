/* Who may speak for whom: every identity of a tree of edge devices tries itself on every other
 * one, at the hub and at the edge hub. What is right is the table that the product reads
 * (model/operations.def) on what the two are to each other, and that is said here by hand. */
#include "gateway/rights.h"
#include "support/raw_http.h"
#include "support/test.h"

#define KEY(letter) letter "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

/* edge1 is the parent of leaf1, leaf2 and edge2, which is the parent of leaf3; lone has no
 * parent and other is another edge device. leaf1 was an edge device for a moment: from then it
 * has an $edgeHub whose key it knows. */
static const struct who {
    const char *device, *module, *parent;
    bool edge; /* the device is an edge device */
    const char *key;
    bool at_edge; /* in the scope of edge1 */
} tree[] = {
    {"leaf1", NULL, "edge1", false, KEY("B"), true},
    {"leaf1", "mine", "edge1", false, KEY("C"), true},
    {"leaf1", "$edgeHub", "edge1", false, KEY("D"), true},
    {"leaf2", NULL, "edge1", false, KEY("E"), true},
    {"leaf2", "mine", "edge1", false, KEY("F"), true},
    {"edge1", NULL, NULL, true, KEY("G"), true},
    {"edge1", "reader", NULL, true, KEY("H"), true},
    {"edge1", "$edgeAgent", NULL, true, KEY("I"), true},
    {"edge1", "$edgeHub", NULL, true, FLEET_KEY, true},
    {"edge2", NULL, "edge1", true, KEY("J"), true},
    {"edge2", "mine", "edge1", true, KEY("K"), true},
    {"edge2", "$edgeHub", "edge1", true, KEY("L"), true},
    {"leaf3", NULL, "edge2", false, KEY("M"), true},
    {"lone", NULL, NULL, false, KEY("N"), false},
    {"other", NULL, NULL, true, KEY("O"), false},
    {"other", "$edgeHub", NULL, true, KEY("P"), false},
};
enum { COUNT = sizeof tree / sizeof *tree };

static const char *name_of(const struct who *who) {
    static char names[2][100];
    static unsigned next;
    char *name = names[next++ % 2];
    snprintf(name, 100, who->module ? "%s/%s" : "%s%s", who->device,
             who->module ? who->module : "");
    return name;
}

static bool same_device(const struct who *a, const struct who *b) {
    return strcmp(a->device, b->device) == 0;
}

static enum sk_actor actor_of(const struct who *who) {
    if (who->module == NULL) return who->edge ? SK_ACTOR_EDGE_DEVICE : SK_ACTOR_DEVICE;
    return who->edge && strcmp(who->module, "$edgeHub") == 0 ? SK_ACTOR_EDGE_HUB : SK_ACTOR_MODULE;
}

/* What `to` is to `from`. */
static unsigned relation(const struct who *from, const struct who *to) {
    if (!same_device(from, to))
        return from->edge && to->parent && strcmp(to->parent, from->device) == 0 ? SK_ON_CHILD : 0;
    if (from == to) return SK_ON_SELF;
    if (to->module == NULL) return SK_ON_OWN_DEVICE;
    return to->module[0] == '$' ? SK_ON_SYSTEM_MODULE : SK_ON_OWN_MODULE;
}

/* The same for its keys, which go down at any depth. */
static unsigned relation_of_keys(const struct who *from, const struct who *to) {
    bool below_edge2 = to->parent && strcmp(to->parent, "edge2") == 0;
    if (from->edge && strcmp(from->device, "edge1") == 0 && below_edge2) return SK_ON_CHILD;
    return relation(from, to);
}

static char *path_of(const struct who *who, const char *more) {
    struct sk_buffer path = {0};
    sk_buffer_print(&path, "/devices/%s", who->device);
    if (who->module) {
        sk_buffer_text(&path, "/modules/");
        sk_percent_encode(&path, sk_span_z(who->module));
    }
    sk_buffer_print(&path, "%s%s", more, VERSION);
    sk_buffer_byte(&path, 0);
    return path.p;
}

static char *resource_of(const struct who *who) {
    struct sk_buffer resource = {0};
    sk_buffer_print(&resource,
                    who->module ? "hub.test/devices/%s/modules/%s" : "hub.test/devices/%s%s",
                    who->device, who->module ? who->module : "");
    sk_buffer_byte(&resource, 0);
    return resource.p;
}

static void put_who(struct fleet *f, const struct who *who, bool edge, const char *scope) {
    char path[200], body[1000], encoded[100] = "";
    struct sk_buffer name = {0};
    sk_percent_encode(&name, sk_span_z(who->module));
    if (who->module)
        snprintf(encoded, sizeof encoded, "/modules/%.*s", SK_ARG(sk_buffer_span(&name)));
    sk_buffer_free(&name);
    snprintf(path, sizeof path, "/devices/%s%s", who->device, encoded);
    snprintf(body, sizeof body,
             "{\"deviceId\":\"%s\",%s%s%s%s\"authentication\":{\"type\":\"sas\",\"symmetricKey\":{"
             "\"primaryKey\":\"%s\",\"secondaryKey\":\"%s\"}}%s}",
             who->device, who->module ? "\"moduleId\":\"" : "", who->module ? who->module : "",
             who->module ? "\"," : "",
             who->module ? ""
             : edge      ? "\"capabilities\":{\"iotEdge\":true},"
                         : "",
             who->key, who->key, scope ? scope : "");
    fleet_call(f, SK_HTTP_GET, path, "");
    fleet_send(f, SK_HTTP_PUT, path, body, f->status == 200);
    if (f->status != 200) fail_msg("PUT %s: %u %s", path, f->status, f->answer);
}

static void make_tree(struct fleet *f) {
    char scopes[2][300] = {"", ""};
    put_who(f, &tree[5], true, NULL);
    json_t *edge1 = json_loads(f->answer, 0, NULL);
    const char *scope = json_string_value(json_object_get(edge1, "deviceScope"));
    snprintf(scopes[0], sizeof scopes[0], ",\"parentScopes\":[\"%s\"]", scope);
    json_decref(edge1);
    for (size_t i = 0; i < COUNT; i++) {
        const struct who *who = &tree[i];
        bool below_edge2 = who->parent && strcmp(who->parent, "edge2") == 0;
        const char *parent = who->module == NULL && who->parent ? scopes[below_edge2] : NULL;
        bool planted = !who->edge && who->module && who->module[0] == '$';
        if (planted) put_who(f, &tree[0], true, parent);
        put_who(f, who, who->edge, parent);
        if (planted) put_who(f, &tree[0], false, scopes[0]);
        if (i == 9) {
            json_t *edge2 = json_loads(f->answer, 0, NULL);
            snprintf(scopes[1], sizeof scopes[1], ",\"parentScopes\":[\"%s\"]",
                     json_string_value(json_object_get(edge2, "deviceScope")));
            json_decref(edge2);
        }
    }
}

static int new_world(void **state) {
    struct fleet *f = SK_NEW(struct fleet);
    fleet_new(f, 1, FLEET_ROUTES_UP);
    make_tree(f);
    sk_sim_run(f->sim, 400 * SK_S); /* the edge reads its scope anew */
    *state = f;
    return 0;
}

/* ---- connecting as somebody, with one's own token and a chain to oneself ---- */

static bool connects_as(struct fleet *f, const char *host, const struct who *from,
                        const struct who *to) {
    struct raw_client c;
    struct sk_mqtt_packet packet;
    char user[300], *resource = resource_of(from);
    snprintf(user, sizeof user, "hub.test/%s/?api-version=2021-04-12&auth-chain=%s%%3B%s",
             name_of(to), name_of(to), from->device);
    if (from == to) snprintf(user, sizeof user, "hub.test/%s/?api-version=2021-04-12", name_of(to));
    raw_dial(&c, f, host,
             &(struct raw_connect){.device = to->device,
                                   .module = to->module,
                                   .user = user,
                                   .resource = resource,
                                   .key = from->key,
                                   .clean = true});
    bool in = raw_next(&c, &packet) && packet.type == SK_MQTT_CONNACK &&
              packet.u.connack.code == SK_MQTT_ACCEPTED;
    raw_free(&c);
    free(resource);
    return in;
}

static void try_all(struct fleet *f, const char *host, bool edge) {
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < COUNT; j++) {
            const struct who *from = &tree[i], *to = &tree[j];
            bool right = sk_may(SK_OP_TELEMETRY, actor_of(from), relation(from, to));
            if (edge && !(from->at_edge && to->at_edge)) right = false;
            /* Its key is not there: the device itself has no business at its own edge hub. */
            if (edge && from == &tree[5] && to == from) right = false;
            /* One's own edge hub speaks upstream for this fleet: nobody takes its session away. */
            if (!edge && strcmp(from->key, FLEET_KEY) == 0 && to == from) continue;
            if (connects_as(f, host, from, to) != right)
                fail_msg("%s: %s %s as %s", host, name_of(from),
                         right ? "cannot connect" : "connects", name_of(to));
        }
}

AROUND_ALL(new_world, fleet_free_world);

TEST(at_the_hub_only_an_edge_hub_speaks_for_others_and_only_downward) {
    try_all(*state, "hub.test", false);
}

TEST(the_edge_hub_believes_the_same) {
    try_all(*state, "edge.test", true);
}

/* ---- calls over HTTPS ---- */

static unsigned calls(struct fleet *f, const struct who *from, const char *method, const char *path,
                      const char *body, const char *headers) {
    struct raw_answer answer;
    char *resource = resource_of(from);
    raw_asks(f,
             &(struct raw_ask){.method = method,
                               .target = path,
                               .resource = resource,
                               .key = from->key,
                               .policy = "",
                               .headers = headers,
                               .body = sk_span_z(body)},
             &answer);
    unsigned status = answer.parser.status;
    sk_http_parser_free(&answer.parser);
    free(resource);
    return status;
}

static void expects(bool right, unsigned status, const struct who *from, const char *what,
                    const struct who *to) {
    bool may = status < 400 || status == 412; /* allowed, and refused for what it says */
    if (may != right || status >= 500)
        fail_msg("%s %s %s: %u", name_of(from), what, name_of(to), status);
}

TEST(identities_are_read_and_written_by_who_may) {
    struct fleet *f = *state;
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < COUNT; j++) {
            const struct who *from = &tree[i], *to = &tree[j];
            enum sk_actor actor = actor_of(from);
            unsigned on = relation(from, to);
            char *path = path_of(to, "");
            /* An etag that fits nothing: who may is told so, and nothing changes. */
            const char *never = "If-Match: \"bmV2ZXI=\"\r\n";
            expects(sk_may(SK_OP_IDENTITY_GET, actor, on), calls(f, from, "GET", path, "", ""),
                    from, "reads", to);
            char body[200];
            snprintf(body, sizeof body,
                     to->module ? "{\"deviceId\":\"%s\",\"moduleId\":\"%s\"}"
                                : "{\"deviceId\":\"%s\"}%.0s",
                     to->device, to->module ? to->module : "");
            expects(sk_may(SK_OP_IDENTITY_PUT, actor, on), calls(f, from, "PUT", path, body, never),
                    from, "writes", to);
            expects(sk_may(SK_OP_IDENTITY_DELETE, actor, on),
                    calls(f, from, "DELETE", path, "", never), from, "deletes", to);
            free(path);
        }
}

TEST(keys_of_a_scope_go_to_its_edge_hub_only) {
    struct fleet *f = *state;
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < COUNT; j++) {
            const struct who *from = &tree[i], *to = &tree[j];
            char body[300];
            snprintf(body, sizeof body,
                     to->module ? "{\"targetDeviceId\":\"%s\",\"targetModuleId\":\"%s\"}"
                                : "{\"targetDeviceId\":\"%s\"}%.0s",
                     to->device, to->module ? to->module : "");
            char *one = path_of(from, "/getDeviceAndModuleOnBehalfOf");
            bool right = sk_may(SK_OP_SCOPE_GET, actor_of(from), relation_of_keys(from, to));
            expects(right, calls(f, from, "POST", one, body, ""), from, "asks for the keys of", to);
            free(one);
            /* …and in the name of somebody else. */
            if (from == to) continue;
            char *others = path_of(to, "/getDeviceAndModuleOnBehalfOf");
            expects(false, calls(f, from, "POST", others, body, ""), from, "asks as", to);
            free(others);
        }
    static const struct {
        const char *method, *path;
    } lists[] = {{"POST", "/devicesAndModulesInTargetDeviceScope"},
                 {"GET", "/devicesAndModulesInDeviceScope"}};
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < COUNT; j++)
            for (size_t l = 0; l < 2; l++) {
                const struct who *from = &tree[i], *to = &tree[j];
                char *list = path_of(to, lists[l].path);
                expects(sk_may(SK_OP_SCOPE_LIST, actor_of(from), relation(from, to)),
                        calls(f, from, lists[l].method, list, "{}", ""), from, "lists the scope of",
                        to);
                free(list);
            }
}

TEST(the_keys_of_the_edge_device_itself_are_not_for_its_edge_hub) {
    struct fleet *f = *state;
    const struct who *hub = &tree[8];
    static const struct {
        const char *path, *body;
    } ways[] = {
        {"/getDeviceAndModuleOnBehalfOf", "{\"targetDeviceId\":\"edge1\"}"},
        {"/getDeviceAndModuleOnBehalfOf",
         "{\"targetDeviceId\":\"edge1\",\"targetModuleId\":\"reader\"}"},
        {"/devicesAndModulesInTargetDeviceScope", "{}"},
    };
    for (size_t i = 0; i < 3; i++) {
        struct raw_answer answer;
        char *path = path_of(hub, ways[i].path), *resource = resource_of(hub);
        raw_asks(f,
                 &(struct raw_ask){.method = "POST",
                                   .target = path,
                                   .resource = resource,
                                   .key = hub->key,
                                   .policy = "",
                                   .body = sk_span_z(ways[i].body)},
                 &answer);
        assert_int_equal(answer.parser.status, 200);
        sk_buffer_byte(&answer.parser.body, 0);
        assert_non_null(strstr(answer.parser.body.p, "\"edge1\""));
        assert_null(strstr(answer.parser.body.p, tree[5].key));
        if (i == 2) assert_non_null(strstr(answer.parser.body.p, tree[0].key));
        sk_http_parser_free(&answer.parser);
        free(path);
        free(resource);
    }
}

TEST(a_device_makes_no_module_with_a_system_name) {
    struct fleet *f = *state;
    static const char *const names[] = {"$edgeHub", "$edgeAgent", "$other"};
    for (size_t i = 0; i < 3; i++) {
        char body[200];
        struct who to = {"leaf2", names[i], "edge1", false, KEY("Q"), false};
        char *path = path_of(&to, "");
        snprintf(body, sizeof body, "{\"deviceId\":\"leaf2\",\"moduleId\":\"%s\"}", names[i]);
        assert_int_equal(calls(f, &tree[3], "PUT", path, body, ""), 401);
        /* Nor does a service, by mistake: it belongs to edge devices. */
        if (i < 2)
            raw_gets(f, &(struct raw_ask){.method = "PUT", .target = path, .body = sk_span_z(body)},
                     400, "ArgumentInvalid", "edge");
        raw_gets(f, &(struct raw_ask){.target = path}, 404, "ModuleNotFound", "");
        free(path);
    }
}

/* The table itself: what nobody should ever write into it. */
TEST(the_table_gives_children_to_edge_hubs_alone) {
    for (enum sk_op op = 0; op < SK_OP_COUNT; op++) {
        for (unsigned actor = 0; actor < 4; actor++) {
            assert_false(sk_may(op, (enum sk_actor)actor, 0));
            if (actor != SK_ACTOR_EDGE_HUB) {
                assert_false(sk_may(op, (enum sk_actor)actor, SK_ON_CHILD));
                assert_false(sk_may(op, (enum sk_actor)actor, SK_ON_OWN_DEVICE));
            }
        }
        assert_false(sk_may(op, SK_ACTOR_DEVICE, SK_ON_SYSTEM_MODULE));
        assert_false(sk_may(op, SK_ACTOR_MODULE, SK_ON_SYSTEM_MODULE | SK_ON_OWN_MODULE));
    }
    for (unsigned to = SK_ON_SELF; to <= SK_ON_CHILD; to <<= 1)
        assert_true(sk_may(SK_OP_SCOPE_GET, SK_ACTOR_EDGE_HUB, to));
    assert_false(sk_may(SK_OP_IDENTITY_PUT, SK_ACTOR_EDGE_HUB, SK_ON_CHILD | SK_ON_OWN_MODULE));
}
