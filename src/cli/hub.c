/* The hub itself, as Azure Resource Manager has it; for whom a policy with all rights has signed.
 *
 * A change is made as `az` makes it: the hub is read, changed here, and put back with the etag that
 * it had, so that what somebody else has changed meanwhile is not undone. */
#include <stdio.h>

#include "cli/cli.h"

#define HUBS "/subscriptions/local/providers/Microsoft.Devices/IotHubs"
#define HUB "/subscriptions/local/resourceGroups/local/providers/Microsoft.Devices/IotHubs/%s"

static const char *const policy_columns[] = {"keyName", "rights", "primaryKey", "secondaryKey",
                                             NULL};
static const char *const group_columns[] = {"name", NULL};
static const char *const route_columns[] = {"name",      "source",        "isEnabled",
                                            "condition", "endpointNames", NULL};
static const char *const enrichment_columns[] = {"key", "value", "endpointNames", NULL};
static const char *const rule_columns[] = {"filterName", "action", "ipMask", NULL};

/* ---- the hub that is logged in to ---- */

/* What a hub tells of itself: owned by the caller; or a code. */
static int read_hub(struct cli *cli, json_t **hub) {
    struct cli_answer answer;
    int code = cli_call(cli, SK_HTTP_GET, HUBS, NULL, NULL, NULL, &answer);
    if (code) return code;
    *hub = json_incref(json_array_get(json_object_get(answer.body, "value"), 0));
    json_decref(answer.body);
    return *hub ? SK_EXIT_FINE : cli_fail("the hub does not tell what it is");
}

static const char *hub_path(struct cli *cli, const json_t *hub, const char *format,
                            const char *second) {
    const char *whole = sk_arena_print(&cli->arena, HUB "%s", "%s", format).p;
    return cli_path(cli, whole, json_string_value(json_object_get(hub, "name")), second);
}

/* The policies with their keys, which a hub does not tell with the rest. */
static int read_policies(struct cli *cli, const json_t *hub, json_t **policies) {
    struct cli_answer answer;
    int code = cli_call(cli, SK_HTTP_POST, hub_path(cli, hub, "/listkeys", NULL), NULL, NULL, NULL,
                        &answer);
    if (code) return code;
    *policies = json_incref(json_object_get(answer.body, "value"));
    json_decref(answer.body);
    return SK_EXIT_FINE;
}

static json_t *list_of(const json_t *hub, const char *path) {
    json_t *at = json_object_get(hub, "properties");
    char name[32];
    for (struct sk_span rest = sk_span_z(path), part; sk_span_split(&rest, '.', &part);) {
        snprintf(name, sizeof name, "%.*s", SK_ARG(part));
        at = json_object_get(at, name);
    }
    return at;
}

static json_t *find(const json_t *list, const char *member, const char *name) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *item = json_array_get(list, i);
        const char *has = json_string_value(json_object_get(item, member));
        if (has && strcmp(has, name) == 0) return item;
    }
    return NULL;
}

static void take_out(json_t *list, const json_t *item) {
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_array_get(list, i) == item) json_array_remove(list, i--);
}

/* ---- changes ---- */

/* A list of the hub, and how its items are called and shown. */
struct list {
    const char *path, *member, *what;
    const char *const *columns;
};
static const struct list policies = {"authorizationPolicies", "keyName", "policy", policy_columns},
                         routes = {"routing.routes", "name", "route", route_columns},
                         enrichments = {"routing.enrichments", "key", "enrichment",
                                        enrichment_columns},
                         rules = {"ipFilterRules", "filterName", "IP rule", rule_columns};

/* The hub, in which the list is there to be changed. */
static int read_list(struct cli *cli, const struct list *list, json_t **hub, json_t **items) {
    json_t *keys;
    int code = read_hub(cli, hub);
    if (!code && list == &policies && (code = read_policies(cli, *hub, &keys)) == 0)
        json_object_set_new(json_object_get(*hub, "properties"), list->path, keys);
    if (!code && list == &rules && list_of(*hub, "networkRuleSets"))
        code = cli_fail("this hub has [hub.network]; change its rules in hub.toml");
    if (!code) *items = list_of(*hub, list->path);
    return code;
}

/* Puts the hub back, and prints the item, if it is still there. */
static int put_back(struct cli *cli, const struct list *list, json_t *hub, const char *name) {
    const char *etag = json_string_value(json_object_get(hub, "etag"));
    struct cli_answer answer;
    json_t *keys = NULL, *items;
    int code = cli_call(cli, SK_HTTP_PUT, hub_path(cli, hub, "", NULL), hub, etag, NULL, &answer);
    if (code) return code;
    if (list == &policies && (code = read_policies(cli, hub, &keys)) != 0) {
        json_decref(answer.body);
        return code;
    }
    items = keys ? keys : list_of(answer.body, list->path);
    if (name) cli_print(cli, find(items, list->member, name), list->columns);
    json_decref(keys);
    json_decref(answer.body);
    return code;
}

static int show(struct cli *cli, const struct list *list) {
    json_t *hub = NULL, *items;
    int code = read_list(cli, list, &hub, &items);
    if (!code) cli_print(cli, items, list->columns);
    json_decref(hub);
    return code;
}

/* What is typed becomes an item's members; false with a message. */
typedef bool fill_item(struct cli *cli, json_t *item);

static int add_or_change(struct cli *cli, const struct list *list, bool adds, fill_item *fill) {
    const char *name = cli->typed.words[0];
    json_t *hub = NULL, *items, *item = NULL;
    int code = read_list(cli, list, &hub, &items);
    if (!code) item = find(items, list->member, name);
    if (!code && adds && item)
        code = cli_fail("there is a %s '%s' already", list->what, name);
    else if (!code && !adds && item == NULL)
        code = cli_fail("there is no %s '%s'", list->what, name);
    if (!code && adds) {
        item = json_pack("{s:s}", list->member, name);
        json_array_append_new(items, item);
    }
    if (!code && !fill(cli, item)) code = SK_EXIT_USAGE;
    if (!code) code = put_back(cli, list, hub, name);
    json_decref(hub);
    return code;
}

static int take_away(struct cli *cli, const struct list *list) {
    const char *name = cli->typed.words[0];
    json_t *hub = NULL, *items, *item = NULL;
    int code = read_list(cli, list, &hub, &items);
    if (!code && (item = find(items, list->member, name)) == NULL)
        code = cli_fail("there is no %s '%s'", list->what, name);
    if (!code) {
        take_out(items, item);
        code = put_back(cli, list, hub, NULL);
    }
    json_decref(hub);
    return code;
}

/* An option's value, or its values as a list, as a member. */
static void set_option(struct cli *cli, json_t *item, const char *option, const char *member) {
    const char *value = sk_typed_option(&cli->typed, option);
    if (value) json_object_set_new(item, member, json_string(value));
}

static void set_options(struct cli *cli, json_t *item, const char *option, const char *member) {
    const char *values[32];
    size_t n = sk_typed_all(&cli->typed, option, values, 32);
    json_t *list = json_array();
    for (size_t i = 0; i < n && i < 32; i++) json_array_append_new(list, json_string(values[i]));
    if (n) json_object_set(item, member, list);
    json_decref(list);
}

/* ---- commands ---- */

int cli_hub_show(void *arg) {
    struct cli *cli = arg;
    json_t *hub = NULL;
    int code = read_hub(cli, &hub);
    if (!code) cli_print(cli, hub, NULL);
    json_decref(hub);
    return code;
}

int cli_policy_list(void *arg) {
    return show(arg, &policies);
}

static bool fill_policy(struct cli *cli, json_t *item) {
    const char *rights[8];
    struct sk_buffer text = {0};
    size_t n = sk_typed_all(&cli->typed, "right", rights, 8);
    for (size_t i = 0; i < n && i < 8; i++)
        sk_buffer_print(&text, "%s%s", i ? ", " : "", rights[i]);
    json_object_set_new(item, "rights", json_stringn(text.p ? text.p : "", text.n));
    sk_buffer_free(&text);
    if (n == 0) sk_typed_usage(&cli->typed, "--right says what the policy may do");
    return n > 0;
}

int cli_policy_add(void *arg) {
    return add_or_change(arg, &policies, true, fill_policy);
}

static json_t *new_key(const struct cli *cli) {
    struct sk_buffer text = {0};
    sk_io_put_key(cli->io, 32, &text);
    json_t *key = json_stringn(text.p, text.n);
    sk_buffer_free(&text);
    return key;
}

/* A service moves from one key to the other in between, so one of them always opens. */
static bool fill_key(struct cli *cli, json_t *item) {
    const char *which = sk_typed_option(&cli->typed, "key");
    json_t *first = json_incref(json_object_get(item, "primaryKey"));
    if (which == NULL) which = "primary";
    if (strcmp(which, "primary") == 0) {
        json_object_set_new(item, "primaryKey", new_key(cli));
    } else if (strcmp(which, "secondary") == 0) {
        json_object_set_new(item, "secondaryKey", new_key(cli));
    } else if (strcmp(which, "swap") == 0 &&
               json_string_length(json_object_get(item, "secondaryKey"))) {
        json_object_set(item, "primaryKey", json_object_get(item, "secondaryKey"));
        json_object_set(item, "secondaryKey", first);
    } else {
        sk_typed_usage(&cli->typed, "--key is primary, secondary, or swap where there are both");
        which = NULL;
    }
    json_decref(first);
    return which != NULL;
}

int cli_policy_renew_key(void *arg) {
    return add_or_change(arg, &policies, false, fill_key);
}

int cli_policy_remove(void *arg) {
    return take_away(arg, &policies);
}

/* ---- consumer groups: resources of their own ---- */

static int call_group(struct cli *cli, enum sk_http_method method, bool one) {
    json_t *hub = NULL;
    struct cli_answer answer;
    int code = read_hub(cli, &hub);
    if (code) return code;
    const char *path = hub_path(cli, hub,
                                one ? "/eventHubEndpoints/events/ConsumerGroups/%s"
                                    : "/eventHubEndpoints/events/ConsumerGroups",
                                one ? cli->typed.words[0] : NULL);
    json_decref(hub);
    code = cli_call(cli, method, path, NULL, NULL, NULL, &answer);
    if (code) return code;
    if (method != SK_HTTP_DELETE)
        cli_print(cli, one ? answer.body : json_object_get(answer.body, "value"), group_columns);
    json_decref(answer.body);
    return code;
}

int cli_consumer_group_list(void *arg) {
    return call_group(arg, SK_HTTP_GET, false);
}

int cli_consumer_group_add(void *arg) {
    return call_group(arg, SK_HTTP_PUT, true);
}

int cli_consumer_group_remove(void *arg) {
    return call_group(arg, SK_HTTP_DELETE, true);
}

/* ---- routes, enrichments, rules ---- */

int cli_route_list(void *arg) {
    return show(arg, &routes);
}

static bool fill_route(struct cli *cli, json_t *item) {
    const char *enabled = sk_typed_option(&cli->typed, "enabled");
    set_option(cli, item, "source", "source");
    set_option(cli, item, "condition", "condition");
    set_options(cli, item, "endpoint", "endpointNames");
    if (enabled == NULL) return true;
    bool on = strcmp(enabled, "true") == 0, off = strcmp(enabled, "false") == 0;
    json_object_set_new(item, "isEnabled", json_boolean(on));
    if (!on && !off) sk_typed_usage(&cli->typed, "--enabled is true or false");
    return on || off;
}

int cli_route_add(void *arg) {
    return add_or_change(arg, &routes, true, fill_route);
}

int cli_route_update(void *arg) {
    return add_or_change(arg, &routes, false, fill_route);
}

int cli_route_remove(void *arg) {
    return take_away(arg, &routes);
}

int cli_enrichment_list(void *arg) {
    return show(arg, &enrichments);
}

static bool fill_enrichment(struct cli *cli, json_t *item) {
    json_object_set_new(item, "value", json_string(cli->typed.words[1]));
    set_options(cli, item, "endpoint", "endpointNames");
    return true;
}

int cli_enrichment_add(void *arg) {
    return add_or_change(arg, &enrichments, true, fill_enrichment);
}

int cli_enrichment_remove(void *arg) {
    return take_away(arg, &enrichments);
}

int cli_ip_rule_list(void *arg) {
    return show(arg, &rules);
}

static bool fill_rule(struct cli *cli, json_t *item) {
    json_object_set_new(item, "ipMask", json_string(cli->typed.words[1]));
    json_object_set_new(item, "action", json_string("Accept"));
    set_option(cli, item, "action", "action");
    return true;
}

int cli_ip_rule_add(void *arg) {
    return add_or_change(arg, &rules, true, fill_rule);
}

int cli_ip_rule_remove(void *arg) {
    return take_away(arg, &rules);
}

/* ---- endpoints: a list for each kind that Azure has, and one for ours ---- */

#define OURS                                                                                       \
    { "routing.endpoints.custom", "name", "endpoint", NULL }
static const struct kind {
    const char *type;
    struct list list;
    bool ours; /* its members are keys of hub.toml */
} kinds[] = {
    {"service-bus-queue", {"routing.endpoints.serviceBusQueues", "name", "endpoint", NULL}, false},
    {"service-bus-topic", {"routing.endpoints.serviceBusTopics", "name", "endpoint", NULL}, false},
    {"event-hub", {"routing.endpoints.eventHubs", "name", "endpoint", NULL}, false},
    {"storage", {"routing.endpoints.storageContainers", "name", "endpoint", NULL}, false},
    {"webhook", OURS, true},
    {"mqtt", OURS, true},
    {"postgresql", OURS, true},
    {"mail", OURS, true}};
enum { KINDS = sizeof kinds / sizeof *kinds };

static const struct kind *find_kind(const char *type) {
    for (size_t i = 0; type && i < KINDS; i++)
        if (strcmp(type, kinds[i].type) == 0) return &kinds[i];
    return NULL;
}

static void fill_ours(struct cli *cli, json_t *item, const char *type) {
    json_object_set_new(item, "type", json_string(type));
    json_object_set_new(item, "to", json_string(cli->typed.words[1]));
    set_options(cli, item, "header", "headers");
    set_option(cli, item, "topic", "topic");
    set_option(cli, item, "table", "table");
    set_option(cli, item, "from", "from");
    set_options(cli, item, "recipient", "recipients");
    set_option(cli, item, "subject", "subject");
    set_option(cli, item, "text", "text");
}

static bool fill_endpoint(struct cli *cli, json_t *item) {
    const char *to = cli->typed.words[1];
    const struct kind *kind = find_kind(sk_typed_option(&cli->typed, "type"));
    bool storage = strcmp(kind->type, "storage") == 0;
    bool container = storage && strchr(to, '=') == NULL; /* its name, not an account */
    if (kind->ours) {
        fill_ours(cli, item, kind->type);
        return true;
    }
    json_object_set_new(item, container ? "containerName" : "connectionString", json_string(to));
    set_option(cli, item, "entity", storage ? "containerName" : "entityPath");
    if (storage) set_option(cli, item, "encoding", "encoding");
    return true;
}

int cli_endpoint_add(void *arg) {
    struct cli *cli = arg;
    const struct kind *kind = find_kind(sk_typed_option(&cli->typed, "type"));
    if (kind) return add_or_change(cli, &kind->list, true, fill_endpoint);
    return sk_typed_usage(&cli->typed,
                          "--type is webhook, service-bus-queue, service-bus-topic, event-hub, "
                          "storage, mqtt, postgresql or mail; folders are given in hub.toml");
}

int cli_endpoint_remove(void *arg) {
    struct cli *cli = arg;
    json_t *hub = NULL, *items = NULL, *item = NULL;
    int code = read_hub(cli, &hub);
    for (size_t i = 0; !code && i < KINDS && item == NULL; i++) {
        items = list_of(hub, kinds[i].list.path);
        item = find(items, "name", cli->typed.words[0]);
    }
    if (!code && item == NULL) code = cli_fail("there is no endpoint '%s'", cli->typed.words[0]);
    if (!code) {
        take_out(items, item);
        code = put_back(cli, &kinds[0].list, hub, NULL);
    }
    json_decref(hub);
    return code;
}
