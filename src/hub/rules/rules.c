/* The operations on groups and rules, and the part of the hub. */
#include <stdio.h>

#include "hub/rules/parts.h"
#include "model/json_text.h"
#include "wire/http.h"

#define RULES SK_SPAN("rule")
#define GROUPS SK_SPAN("device-group")

enum { PAGE = 1000 };

static int64_t now_us(const struct sk_hub *hub) {
    return sk_io_wall(hub->backend.io);
}

static struct group *find_group(const struct rules *rules, struct sk_span id) {
    SK_LIST_EACH((struct sk_list *)&rules->groups, node, following) {
        struct group *group = SK_CONTAINER(node, struct group, link);
        if (sk_span_is(id, group->id)) return group;
    }
    return NULL;
}

/* ---- answers ---- */

/* As it is shown: with its ETag in place of our number. */
static json_t *shown(const json_t *document, uint64_t version) {
    json_t *json = hub_document_shown(document, version);
    const json_t *actions = json_object_get(document, "Actions");
    if (actions) json_object_set_new(json, "Actions", rule_actions_shown(actions));
    return json;
}

static void answer_list(struct sk_request *request, json_t *items) {
    sk_request_answer_json(request, json_pack("{s:o}", "Items", items));
}

void rules_refuse(struct sk_request *request) {
    sk_request_refuse(request, SK_FAULT_RULE_NOT_FOUND, "there is no rule '%.*s'",
                      SK_ARG(request->name));
}

/* ---- changes: one at a time is written, then it counts ---- */

struct change {
    struct rules *rules;
    struct sk_request *request;
    struct rule *rule; /* in place of that of its id */
    struct group *group;
    bool removes; /* the group */
};

static void put_rule(struct rules *rules, struct rule *rule) {
    struct rule *before = rules_find(rules, sk_span_z(rule->id));
    rules->count += !rule->deleted;
    if (before == NULL) {
        rule->number = rules->numbers++;
        sk_list_append(&rules->list, &rule->link);
        return;
    }
    /* Alarms know the rule by its place: the new one moves in. */
    rules->count -= !before->deleted;
    rule_engine_forget(&rules->engine, before);
    struct sk_list link = before->link;
    rule->number = before->number;
    json_decref(before->document);
    *before = *rule;
    before->link = link;
    rule->document = NULL;
    free(rule);
}

static void remove_group(struct rules *rules, struct group *group) {
    rules->group_count--;
    group_free(group);
}

static void put_group(struct rules *rules, struct group *group) {
    struct group *before = find_group(rules, sk_span_z(group->id));
    if (before) remove_group(rules, before);
    sk_list_append(&rules->groups, &group->link);
    rules->group_count++;
}

/* It is stored: it counts. */
static void take_change(struct rules *rules, const struct change *change) {
    json_t *document = NULL;
    if (change->rule) {
        document = shown(change->rule->document, change->rule->etag);
        put_rule(rules, change->rule);
    } else if (change->removes) {
        struct group *group = find_group(rules, change->request->name);
        if (group) remove_group(rules, group);
    } else {
        document = shown(change->group->document, change->group->etag);
        put_group(rules, change->group);
    }
    rules_changed(rules);
    sk_request_answer_json(change->request, document);
}

static void serve_waiting(struct rules *rules) {
    struct sk_request *request;
    while (!rules->writing && (request = hub_wait_take(&rules->waiting)) != NULL)
        rules->hub->serve[request->op](rules->hub, request);
}

static void written(void *arg, const struct sk_registry_end *end) {
    struct change change = *(struct change *)arg;
    struct rules *rules = change.rules;
    free(arg);
    rules->writing = false;
    if (end->status) {
        if (change.rule) rule_free(change.rule);
        if (change.group) group_free(change.group);
        hub_refuse_status(change.request, end);
    } else {
        take_change(rules, &change);
    }
    if (!rules->hub->closing) serve_waiting(rules);
}

static void write(struct rules *rules, struct change change) {
    struct change *copy = SK_NEW(struct change);
    struct sk_buffer text = {0};
    const char *id = change.rule ? change.rule->id : change.group ? change.group->id : NULL;
    *copy = change;
    copy->rules = rules;
    rules->writing = true;
    if (change.removes) {
        sk_registry_document_delete(rules->hub->registry, GROUPS, change.request->name, written,
                                    copy);
        return;
    }
    sk_json_put(&text, change.rule ? change.rule->document : change.group->document, 0);
    sk_registry_document_put(rules->hub->registry, change.rule ? RULES : GROUPS, sk_span_z(id),
                             sk_buffer_span(&text), written, copy);
    sk_buffer_free(&text);
}

/* ---- rules ---- */

/* Mails need a server that there is. */
static bool mails_can_go(const struct sk_hub *hub, const struct rule *rule,
                         char error[SK_MODEL_ERROR_MAX]) {
    for (size_t i = 0; i < rule->action_count; i++) {
        const char *name = sk_json_member_text(rule->actions[i].parameters, "Endpoint");
        if (rule->actions[i].type != RULE_EMAIL || sk_hub_mail_endpoint(hub, name)) continue;
        if (name && *name)
            snprintf(error, SK_MODEL_ERROR_MAX,
                     "Actions: there is no endpoint '%.64s' of type mail; see `skerry endpoint "
                     "list`",
                     name);
        else
            snprintf(error, SK_MODEL_ERROR_MAX,
                     "Actions: Email needs a mail server: add an [[hub.endpoint]] of type mail to "
                     "hub.toml, or use `skerry endpoint add`");
        return false;
    }
    return true;
}

static void write_rule(struct sk_hub *hub, struct sk_request *request) {
    struct rules *rules = hub->rules;
    const struct rule *before = rules_find(rules, request->name);
    char error[SK_MODEL_ERROR_MAX], id[HUB_DOCUMENT_ID];
    if (!hub_document_id(hub, request, id)) return;
    if (before && before->deleted) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "the rule has been deleted");
        return;
    }
    if (before && !hub_document_matches(request, before->etag)) return;
    json_t *document = rule_document(request->body, id, before, now_us(hub), error);
    struct rule *rule = document ? rule_read(document, error) : NULL;
    if (rule && find_group(rules, sk_span_z(rule->group)) == NULL) {
        snprintf(error, sizeof error, "there is no device group '%.128s'", rule->group);
        rule_free(rule);
        rule = NULL;
    }
    if (rule && !mails_can_go(hub, rule, error)) {
        rule_free(rule);
        rule = NULL;
    }
    if (rule == NULL) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "%s", error);
    } else if (before == NULL && rules->count >= RULES_MAX) {
        rule_free(rule);
        sk_request_refuse(request, SK_FAULT_TOO_MANY_RULES, "a hub has at most %d rules",
                          RULES_MAX);
    } else {
        write(rules, (struct change){.request = request, .rule = rule});
    }
}

/* Its alarms stay, so it does, too. */
static void delete_rule(struct sk_hub *hub, struct sk_request *request) {
    const struct rule *before = rules_find(hub->rules, request->name);
    char error[SK_MODEL_ERROR_MAX];
    if (before == NULL || before->deleted) {
        sk_request_answer_json(request, NULL);
        return;
    }
    json_t *document = json_deep_copy(before->document);
    json_object_set_new(document, "Deleted", json_true());
    json_object_set_new(document, "Enabled", json_false());
    json_object_set_new(document, "Version", json_integer((json_int_t)before->etag + 1));
    struct rule *rule = rule_read(document, error);
    SK_ASSERT(rule != NULL); /* it was one before */
    write(hub->rules, (struct change){.request = request, .rule = rule});
}

static bool is_asked(struct sk_span query, const char *name) {
    return sk_span_eq_nocase(sk_http_query(query, name), SK_SPAN("true"));
}

static void list_rules(struct sk_hub *hub, struct sk_request *request) {
    json_t *items = json_array();
    struct sk_span group = sk_http_query(request->query, "groupId");
    bool deleted = is_asked(request->query, "includeDeleted");
    SK_LIST_EACH(&hub->rules->list, node, following) {
        const struct rule *rule = SK_CONTAINER(node, struct rule, link);
        if ((rule->deleted && !deleted) || (group.n && !sk_span_is(group, rule->group))) continue;
        json_array_append_new(items, shown(rule->document, rule->etag));
    }
    answer_list(request, items);
}

static void show_rule(struct sk_hub *hub, struct sk_request *request) {
    const struct rule *rule = rules_find(hub->rules, request->name);
    if (rule)
        sk_request_answer_json(request, shown(rule->document, rule->etag));
    else
        rules_refuse(request);
}

/* ---- groups ---- */

static void list_groups(struct sk_hub *hub, struct sk_request *request) {
    json_t *items = json_array();
    SK_LIST_EACH(&hub->rules->groups, node, following) {
        const struct group *group = SK_CONTAINER(node, struct group, link);
        json_array_append_new(items, shown(group->document, group->etag));
    }
    answer_list(request, items);
}

static void show_group(struct sk_hub *hub, struct sk_request *request) {
    const struct group *group = find_group(hub->rules, request->name);
    if (group)
        sk_request_answer_json(request, shown(group->document, group->etag));
    else
        sk_request_refuse(request, SK_FAULT_GROUP_NOT_FOUND, "there is no device group '%.*s'",
                          SK_ARG(request->name));
}

static void write_group(struct sk_hub *hub, struct sk_request *request) {
    struct rules *rules = hub->rules;
    const struct group *before = find_group(rules, request->name);
    char error[SK_MODEL_ERROR_MAX], id[HUB_DOCUMENT_ID];
    if (!hub_document_id(hub, request, id) ||
        (before && !hub_document_matches(request, before->etag)))
        return;
    json_t *document = group_document(request->body, id, before ? before->etag + 1 : 1, error);
    struct group *group = document ? group_read(document, error) : NULL;
    if (group == NULL) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "%s", error);
    } else if (before == NULL && rules->group_count >= GROUPS_MAX) {
        group_free(group);
        sk_request_refuse(request, SK_FAULT_TOO_MANY_RULES, "a hub has at most %d device groups",
                          GROUPS_MAX);
    } else {
        write(rules, (struct change){.request = request, .group = group});
    }
}

static void delete_group(struct sk_hub *hub, struct sk_request *request) {
    SK_LIST_EACH(&hub->rules->list, node, following) {
        const struct rule *rule = SK_CONTAINER(node, struct rule, link);
        if (rule->deleted || !sk_span_is(request->name, rule->group)) continue;
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "the rule '%s' is for this group; delete it first", rule->id);
        return;
    }
    write(hub->rules, (struct change){.request = request, .removes = true});
}

/* ---- loading: groups, rules, alarms, how far it has come ---- */

static void have_groups(void *arg, const struct sk_registry_end *end,
                        const struct sk_registry_documents *list);
static void have_rules(void *arg, const struct sk_registry_end *end,
                       const struct sk_registry_documents *list);
static void have_alarms(void *arg, const struct sk_registry_end *end,
                        const struct sk_registry_documents *list);

/* The next page of a kind, or the first of the next kind. */
static void load(struct rules *rules, const struct sk_registry_documents *list, struct sk_span kind,
                 sk_registry_documents_done *same, struct sk_span next_kind,
                 sk_registry_documents_done *next) {
    bool more = list->count == PAGE;
    sk_registry_document_list(rules->hub->registry, more ? kind : next_kind,
                              more ? list->documents[PAGE - 1].key : SK_NONE, PAGE,
                              more ? same : next, rules);
}

static void ready(struct rules *rules) {
    rules->loaded = true;
    rules_changed(rules);
    serve_waiting(rules);
}

static void have_passed(void *arg, const struct sk_registry_end *end,
                        const struct sk_registry_document *document) {
    struct rules *rules = arg;
    if (rules->hub->closing) return;
    if (end->status == SK_OK) rules_load_passed(rules, document->bytes);
    ready(rules);
}

static void have_alarms(void *arg, const struct sk_registry_end *end,
                        const struct sk_registry_documents *list) {
    struct rules *rules = arg;
    if (end->status || rules->hub->closing) return;
    for (size_t i = 0; i < list->count; i++)
        alarms_load(&rules->alarms, list->documents[i].key, list->documents[i].bytes);
    if (list->count == PAGE)
        load(rules, list, ALARMS_KIND, have_alarms, SK_NONE, NULL);
    else
        sk_registry_document_get(rules->hub->registry, RULES_PASSED_KIND, RULES_PASSED_KEY,
                                 have_passed, rules);
}

static bool take_rule(struct rules *rules, json_t *document, char error[SK_MODEL_ERROR_MAX]) {
    struct rule *rule = rule_read(document, error);
    if (rule) put_rule(rules, rule);
    return rule != NULL;
}

static bool take_group(struct rules *rules, json_t *document, char error[SK_MODEL_ERROR_MAX]) {
    struct group *group = group_read(document, error);
    if (group) put_group(rules, group);
    return group != NULL;
}

static void take_all(struct rules *rules, const struct sk_registry_documents *list,
                     bool (*take)(struct rules *rules, json_t *document,
                                  char error[SK_MODEL_ERROR_MAX])) {
    for (size_t i = 0; i < list->count; i++) {
        char error[SK_MODEL_ERROR_MAX] = "it is no JSON";
        json_t *json = sk_json_load(list->documents[i].bytes, 0, NULL);
        if (json == NULL || !take(rules, json, error))
            SK_ERROR("hub", "%s: '%.*s' cannot be read: %s", rules->hub->options->name,
                     SK_ARG(list->documents[i].key), error);
    }
}

static void have_rules(void *arg, const struct sk_registry_end *end,
                       const struct sk_registry_documents *list) {
    struct rules *rules = arg;
    if (end->status || rules->hub->closing) return;
    take_all(rules, list, take_rule);
    load(rules, list, RULES, have_rules, ALARMS_KIND, have_alarms);
}

static void have_groups(void *arg, const struct sk_registry_end *end,
                        const struct sk_registry_documents *list) {
    struct rules *rules = arg;
    if (end->status || rules->hub->closing) return;
    take_all(rules, list, take_group);
    load(rules, list, GROUPS, have_groups, RULES, have_rules);
}

/* ---- the part ---- */

static void on_found(void *arg, const struct rule_found *found) {
    struct rules *rules = arg;
    alarms_found(&rules->alarms, found);
}

static void on_action(void *arg, struct alarm *alarm) {
    struct rules *rules = arg;
    alarms_note(&rules->alarms, alarm);
}

static enum sk_status open_rules(struct sk_hub *hub, char reason[512]) {
    struct rules *rules = hub->rules = SK_NEW(struct rules);
    (void)reason;
    rules->hub = hub;
    rules->alarms.rules = rules;
    sk_list_init(&rules->list);
    sk_list_init(&rules->groups);
    sk_list_init(&rules->waiting);
    sk_list_init(&rules->walks);
    rule_engine_init(&rules->engine, on_found, rules);
    actions_open(&rules->actions, hub, on_action, rules);
    return SK_OK;
}

static void start(struct sk_hub *hub) {
    sk_registry_document_list(hub->registry, GROUPS, SK_NONE, PAGE, have_groups, hub->rules);
}

static void stop(struct sk_hub *hub) {
    rules_stop(hub->rules);
    actions_stop(&hub->rules->actions);
    alarm_walks_stop(hub->rules);
    hub_wait_refuse(&hub->rules->waiting);
}

static void free_rules(struct sk_hub *hub) {
    struct rules *rules = hub->rules;
    SK_LIST_EACH(&rules->list, node, following) rule_free(SK_CONTAINER(node, struct rule, link));
    SK_LIST_EACH(&rules->groups, other, behind) group_free(SK_CONTAINER(other, struct group, link));
    members_free(&rules->members);
    alarms_free(&rules->alarms);
    actions_free(&rules->actions);
    rule_engine_free(&rules->engine);
    free(rules);
}

static void reload(struct sk_hub *hub, const struct sk_hub_options *before) {
    (void)before;
    actions_reload(&hub->rules->actions);
}

static void twin_changed(struct sk_hub *hub, const struct sk_hub_twin_change *change) {
    if (change->entry->identity.module_id == NULL)
        rules_device_changed(hub->rules, sk_span_z(change->entry->identity.device_id));
}

static void identity_changed(struct sk_hub *hub, const struct sk_identity *identity, bool made) {
    (void)made;
    if (identity->module_id == NULL)
        rules_device_changed(hub->rules, sk_span_z(identity->device_id));
}

uint64_t hub_alarm_count(const struct sk_hub *hub) {
    return hub->rules->alarms.found_total;
}

/* Until all is loaded requests wait; those that change a rule or a group while another one is
 * written, as well. */
#define SERVE(operation, is_change)                                                                \
    static void when_loaded_##operation(struct sk_hub *hub, struct sk_request *request) {          \
        if (hub->rules->loaded && !(is_change && hub->rules->writing))                             \
            operation(hub, request);                                                               \
        else                                                                                       \
            hub_wait(&hub->rules->waiting, request);                                               \
    }
SERVE(list_rules, false)
SERVE(show_rule, false)
SERVE(write_rule, true)
SERVE(delete_rule, true)
SERVE(list_groups, false)
SERVE(show_group, false)
SERVE(write_group, true)
SERVE(delete_group, true)
SERVE(serve_alarms, false)
SERVE(serve_alarm, false)
SERVE(serve_alarm_patch, false)
SERVE(serve_alarm_delete, false)
SERVE(serve_alarms_delete, false)
SERVE(serve_alarms_by_rule, false)
SERVE(serve_alarms_of_rule, false)

static void put_actions(const struct sk_hub *hub, const struct sk_hub_metric *row,
                        struct sk_buffer *to) {
    static const char *const ends[ACTION_STATES] = {"again", "done", "failed"};
    for (size_t type = 0; type < RULE_ACTION_TYPES; type++)
        for (size_t end = 0; end < ACTION_STATES; end++)
            sk_buffer_print(to, "%s{hub=\"%s\",type=\"%s\",end=\"%s\"} %llu\n", row->name,
                            hub->options->name, rule_action_types[type], ends[end],
                            (unsigned long long)hub->rules->actions.ended_total[type][end]);
}

static const struct sk_hub_metric metrics[] = {
    {"skerry_hub_alarms_total", "Alarms that rules have found since the start.",
     SK_HUB_COUNT(alarms_total)},
    {"skerry_hub_rule_actions_total",
     "Attempts at actions of alarms, by their type and end: done, again, failed (for good).",
     .put = put_actions},
    {0}};

const struct sk_hub_part hub_part_rules = {
    .metrics = metrics,
    .open = open_rules,
    .start = start,
    .stop = stop,
    .free = free_rules,
    .reload = reload,
    .twin_changed = twin_changed,
    .identity_changed = identity_changed,
    .serve = {[SK_OP_RULE_LIST] = when_loaded_list_rules,
              [SK_OP_RULE_GET] = when_loaded_show_rule,
              [SK_OP_RULE_PUT] = when_loaded_write_rule,
              [SK_OP_RULE_DELETE] = when_loaded_delete_rule,
              [SK_OP_GROUP_LIST] = when_loaded_list_groups,
              [SK_OP_GROUP_GET] = when_loaded_show_group,
              [SK_OP_GROUP_PUT] = when_loaded_write_group,
              [SK_OP_GROUP_DELETE] = when_loaded_delete_group,
              [SK_OP_ALARM_LIST] = when_loaded_serve_alarms,
              [SK_OP_ALARM_GET] = when_loaded_serve_alarm,
              [SK_OP_ALARM_PATCH] = when_loaded_serve_alarm_patch,
              [SK_OP_ALARM_DELETE] = when_loaded_serve_alarm_delete,
              [SK_OP_ALARMS_DELETE] = when_loaded_serve_alarms_delete,
              [SK_OP_ALARM_RULES] = when_loaded_serve_alarms_by_rule,
              [SK_OP_ALARM_RULE] = when_loaded_serve_alarms_of_rule}};
