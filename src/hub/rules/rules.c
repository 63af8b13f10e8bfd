/* The operations on groups, rules and alarms, and the part of the hub. */
#include <stdio.h>

#include "hub/rules/parts.h"
#include "model/json_text.h"
#include "wire/http.h"

#define RULES SK_SPAN("rule")
#define GROUPS SK_SPAN("device-group")
#define ALARMS SK_SPAN("alarm")

enum { PAGE = 1000, LIST_MAX = 1000, DEVICES_MAX = 1000 };

static int64_t now_us(const struct sk_hub *hub) {
    return sk_io_wall(hub->backend.io);
}

static struct rule *find_rule(const struct rules *rules, struct sk_span id) {
    SK_LIST_EACH((struct sk_list *)&rules->list, node, following) {
        struct rule *rule = SK_CONTAINER(node, struct rule, link);
        if (sk_span_is(id, rule->id)) return rule;
    }
    return NULL;
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
    char etag[SK_ETAG_MAX];
    json_t *json = json_copy((json_t *)document);
    sk_identity_etag(version, etag);
    json_object_del(json, "Version");
    json_object_set_new(json, "ETag", json_string(etag));
    return json;
}

static void answer_list(struct sk_request *request, json_t *items) {
    sk_request_answer_json(request, json_pack("{s:o}", "Items", items));
}

static void refuse_rule(struct sk_request *request) {
    sk_request_refuse(request, SK_FAULT_RULE_NOT_FOUND, "there is no rule '%.*s'",
                      SK_ARG(request->name));
}

static void refuse_alarm(struct sk_request *request) {
    sk_request_refuse(request, SK_FAULT_ALARM_NOT_FOUND, "there is no alarm '%.*s'",
                      SK_ARG(request->name));
}

static bool matches(struct sk_request *request, uint64_t version) {
    char etag[SK_ETAG_MAX];
    struct sk_span said = request->if_match;
    if (said.n == 0) said = sk_span_z(sk_json_member_text(request->body, "ETag"));
    sk_identity_etag(version, etag);
    if (sk_etag_matches(said, etag)) return true;
    sk_request_refuse(request, SK_FAULT_PRECONDITION_FAILED, NULL);
    return false;
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
    struct rule *before = find_rule(rules, sk_span_z(rule->id));
    rules->count += !rule->deleted;
    if (before == NULL) {
        sk_list_append(&rules->list, &rule->link);
        return;
    }
    /* Alarms know the rule by its place: the new one moves in. */
    rules->count -= !before->deleted;
    rule_engine_forget(&rules->engine, before);
    struct sk_list link = before->link;
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

static void changed(void *arg, const struct sk_registry_end *end) {
    struct change change = *(struct change *)arg;
    struct rules *rules = change.rules;
    free(arg);
    if (end->status) {
        if (change.rule) rule_free(change.rule);
        if (change.group && !change.removes) group_free(change.group);
        hub_refuse_status(change.request, end);
        return;
    }
    json_t *document = NULL;
    if (change.rule) {
        document = shown(change.rule->document, change.rule->etag);
        put_rule(rules, change.rule);
    } else if (change.removes) {
        struct group *group = find_group(rules, change.request->name);
        if (group) remove_group(rules, group);
    } else {
        document = shown(change.group->document, change.group->etag);
        put_group(rules, change.group);
    }
    rules_changed(rules);
    sk_request_answer_json(change.request, document);
}

static void write(struct rules *rules, struct change change) {
    struct change *copy = SK_NEW(struct change);
    struct sk_buffer text = {0};
    const char *id = change.rule ? change.rule->id : change.group ? change.group->id : NULL;
    *copy = change;
    copy->rules = rules;
    if (change.removes) {
        sk_registry_document_delete(rules->hub->registry, GROUPS, change.request->name, changed,
                                    copy);
        return;
    }
    sk_json_put(&text, change.rule ? change.rule->document : change.group->document, 0);
    sk_registry_document_put(rules->hub->registry, change.rule ? RULES : GROUPS, sk_span_z(id),
                             sk_buffer_span(&text), changed, copy);
    sk_buffer_free(&text);
}

/* An id of the request, or a new one; false: refused. */
static bool take_id(struct sk_hub *hub, struct sk_request *request, char id[129]) {
    struct sk_span said = request->name;
    if (said.n == 0) {
        sk_io_guid(hub->backend.io, id);
        return true;
    }
    if (said.n > 128 || !sk_span_only(said, "-_.")) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "an id is at most 128 letters, digits, and any of - _ .");
        return false;
    }
    memcpy(id, said.p, said.n);
    id[said.n] = '\0';
    return true;
}

/* ---- rules ---- */

/* "2026-01-05T10:00:00.0000000Z" of the rule that is there. */
static int64_t created_of(const struct rule *rule, int64_t otherwise) {
    int64_t us;
    const char *text = rule ? sk_json_member_text(rule->document, "DateCreated") : NULL;
    return text && sk_time_parse(sk_span_z(text), &us) == SK_OK ? us : otherwise;
}

static void write_rule(struct sk_hub *hub, struct sk_request *request) {
    struct rules *rules = hub->rules;
    const struct rule *before = find_rule(rules, request->name);
    char error[SK_MODEL_ERROR_MAX], id[129];
    if (!take_id(hub, request, id)) return;
    if (before && before->deleted) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "the rule has been deleted");
        return;
    }
    if (before && !matches(request, before->etag)) return;
    int64_t now = now_us(hub);
    json_t *document = rule_document(request->body, id, created_of(before, now), now,
                                     before ? before->etag + 1 : 1, error);
    struct rule *rule = document ? rule_read(document, error) : NULL;
    if (rule && find_group(rules, sk_span_z(rule->group)) == NULL) {
        snprintf(error, sizeof error, "there is no device group '%.128s'", rule->group);
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
    const struct rule *before = find_rule(hub->rules, request->name);
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
    const struct rule *rule = find_rule(hub->rules, request->name);
    if (rule)
        sk_request_answer_json(request, shown(rule->document, rule->etag));
    else
        refuse_rule(request);
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
    char error[SK_MODEL_ERROR_MAX], id[129];
    if (!take_id(hub, request, id) || (before && !matches(request, before->etag))) return;
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

/* ---- alarms ---- */

#define ALL_OF ~0U

struct alarm_ask {
    int64_t from_ms, to_ms;
    uint64_t skip, limit;
    bool descending;
    unsigned statuses, severities; /* a bit each */
    struct sk_map devices;         /* empty: all */
    const struct rule *rule;
};

/* "NOW", "NOW-PT1H", or a time; empty: `otherwise`. */
static bool read_time(const struct sk_hub *hub, struct sk_span text, int64_t otherwise,
                      int64_t *ms) {
    int64_t us;
    *ms = otherwise;
    if (text.n == 0) return true;
    if (sk_time_parse_near(text, now_us(hub), &us)) return false;
    *ms = us / 1000;
    return true;
}

static bool read_number(struct sk_span text, uint64_t otherwise, uint64_t *number) {
    int64_t value;
    *number = otherwise;
    if (text.n == 0) return true;
    if (sk_span_to_int(text, &value) || value < 0) return false;
    *number = (uint64_t)value;
    return true;
}

/* What is asked, by the query or (POST) by the body. */
static struct sk_span said(const struct sk_request *request, struct sk_arena *arena,
                           const char *name, const char *member) {
    const json_t *value = json_object_get(request->body, member);
    if (request->body == NULL)
        return sk_percent_decoded(arena, sk_http_query(request->query, name));
    if (json_is_integer(value)) return sk_arena_print(arena, "%lld", json_integer_value(value));
    return sk_span_z(json_string_value(value));
}

/* Members that are there are of the type that they shall have. */
static bool types_fine(const json_t *body) {
    static const char *const texts[] = {"From", "To", "Order", "Status", "Severity"},
                             *const numbers[] = {"Skip", "Limit"};
    const json_t *devices = json_object_get(body, "Devices"), *value;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if ((value = json_object_get(body, texts[i])) != NULL && !json_is_string(value))
            return false;
    for (size_t i = 0; i < 2; i++)
        if ((value = json_object_get(body, numbers[i])) != NULL && !json_is_integer(value))
            return false;
    for (size_t i = 0; i < json_array_size(devices); i++)
        if (!json_is_string(json_array_get(devices, i))) return false;
    return devices == NULL || json_is_array(devices);
}

static bool read_devices(const struct sk_request *request, struct sk_arena *arena,
                         struct alarm_ask *ask) {
    const json_t *list = json_object_get(request->body, "Devices");
    size_t count = json_array_size(list);
    struct sk_span rest, device;
    if (request->body == NULL) {
        rest = sk_percent_decoded(arena, sk_http_query(request->query, "devices"));
        while (sk_span_split(&rest, ',', &device) && count++ < DEVICES_MAX)
            if (device.n) sk_map_put(&ask->devices, device, ask);
    } else {
        for (size_t i = 0; i < count && i < DEVICES_MAX; i++) {
            device = sk_span_z(json_string_value(json_array_get(list, i)));
            if (device.n) sk_map_put(&ask->devices, device, ask);
        }
    }
    return count <= DEVICES_MAX;
}

/* "open,closed": a bit for each word that is named; empty: those of `otherwise`. */
static bool read_words(struct sk_span text, const char *const *words, unsigned otherwise,
                       unsigned *to) {
    struct sk_span word;
    *to = text.n ? 0 : otherwise;
    while (text.n && sk_span_split(&text, ',', &word)) {
        size_t i = 0;
        while (words[i] && !sk_span_eq_nocase(word, sk_span_z(words[i]))) i++;
        if (words[i] == NULL) return false;
        *to |= 1U << i;
    }
    return true;
}

/* False: refused. `statuses`: which are meant when none is named. `ask->devices` is the caller's to
 * free in any case. */
static bool read_ask(struct sk_hub *hub, struct sk_request *request, struct sk_arena *arena,
                     unsigned statuses, struct alarm_ask *ask) {
    *ask = (struct alarm_ask){0};
    struct sk_span order = said(request, arena, "order", "Order");
    ask->descending = sk_span_eq_nocase(order, SK_SPAN("desc"));
    const char *why =
        !types_fine(request->body)
            ? "From, To, Order, Status and Severity are texts, Skip and Limit numbers, Devices "
              "a list of texts"
        : !read_time(hub, said(request, arena, "from", "From"), 0, &ask->from_ms) ||
                !read_time(hub, said(request, arena, "to", "To"), INT64_MAX, &ask->to_ms)
            ? "from and to are times, or such as NOW-PT1H"
        : !read_number(said(request, arena, "skip", "Skip"), 0, &ask->skip) ||
                !read_number(said(request, arena, "limit", "Limit"), LIST_MAX, &ask->limit) ||
                ask->limit > LIST_MAX
            ? "skip is a number, limit one to 1000"
        : !read_words(said(request, arena, "status", "Status"), alarm_statuses, statuses,
                      &ask->statuses)
            ? "status is open, acknowledged or closed, or several with commas between"
        : !read_words(said(request, arena, "severity", "Severity"), rule_severities, ALL_OF,
                      &ask->severities)
            ? "severity is Critical, Warning or Info, or several with commas between"
        : !read_devices(request, arena, ask) ? "at most 1000 devices can be asked for"
                                             : NULL;
    if (why) sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "%s", why);
    return why == NULL;
}

static bool is_asked_for(const struct alarm_ask *ask, const struct alarm *alarm) {
    return alarm->stored && alarm->received_ms >= ask->from_ms &&
           alarm->received_ms <= ask->to_ms && ask->statuses >> alarm->status & 1 &&
           ask->severities >> alarm->severity & 1 &&
           (ask->rule == NULL || alarm->rule == ask->rule) &&
           (ask->devices.count == 0 || sk_map_get(&ask->devices, sk_span_z(alarm->device)));
}

static void list_alarms_of(struct sk_hub *hub, struct sk_request *request,
                           const struct rule *rule) {
    const struct alarms *alarms = &hub->rules->alarms;
    struct sk_arena arena = {0};
    struct alarm_ask ask;
    if (read_ask(hub, request, &arena, ALL_OF, &ask)) {
        json_t *items = json_array();
        ask.rule = rule;
        for (size_t i = 0; i < alarms->count && json_array_size(items) < ask.limit; i++) {
            const struct alarm *alarm = alarms->sorted[ask.descending ? alarms->count - 1 - i : i];
            if (!is_asked_for(&ask, alarm)) continue;
            if (ask.skip)
                ask.skip--;
            else
                json_array_append_new(items, alarm_json(alarm));
        }
        answer_list(request, items);
    }
    sk_map_free(&ask.devices);
    sk_arena_free(&arena);
}

static void list_alarms(struct sk_hub *hub, struct sk_request *request) {
    list_alarms_of(hub, request, NULL);
}

static void list_alarms_of_rule(struct sk_hub *hub, struct sk_request *request) {
    const struct rule *rule = find_rule(hub->rules, request->name);
    if (rule)
        list_alarms_of(hub, request, rule);
    else
        refuse_rule(request);
}

/* Of each rule that has some that are asked for: how many, and the last. */
static json_t *count_by_rule(const struct alarms *alarms, const struct alarm_ask *ask,
                             const struct rule *rule) {
    const struct alarm *last = NULL;
    char time[SK_TIME_TEXT];
    json_int_t count = 0, open = 0;
    for (size_t i = 0; i < alarms->count; i++) {
        const struct alarm *alarm = alarms->sorted[i];
        if (alarm->rule != rule || !is_asked_for(ask, alarm)) continue;
        count++;
        open += alarm->status == ALARM_OPEN;
        last = alarm;
    }
    if (last == NULL) return NULL;
    sk_time_text(last->received_ms * 1000, time);
    return json_pack("{s:{s:s,s:s,s:s},s:I,s:I,s:s,s:s}", "Rule", "Id", rule->id, "Severity",
                     rule_severities[rule->severity], "Description", rule->description, "Count",
                     count, "Open", open, "Status", alarm_statuses[last->status], "Created", time);
}

static void list_by_rule(struct sk_hub *hub, struct sk_request *request) {
    const struct rules *rules = hub->rules;
    struct sk_arena arena = {0};
    struct alarm_ask ask;
    if (read_ask(hub, request, &arena, ALL_OF & ~(1U << ALARM_CLOSED), &ask)) {
        json_t *items = json_array();
        SK_LIST_EACH((struct sk_list *)&rules->list, node, following) {
            json_t *row =
                count_by_rule(&rules->alarms, &ask, SK_CONTAINER(node, struct rule, link));
            if (row) json_array_append_new(items, row);
        }
        answer_list(request, items);
    }
    sk_map_free(&ask.devices);
    sk_arena_free(&arena);
}

static void show_alarm(struct sk_hub *hub, struct sk_request *request) {
    const struct alarm *alarm = alarms_get(&hub->rules->alarms, request->name);
    if (alarm)
        sk_request_answer_json(request, alarm_json(alarm));
    else
        refuse_alarm(request);
}

struct alarm_call {
    struct sk_request *request;
    json_t *document;
};

static void alarm_changed(void *arg, const struct sk_registry_end *end) {
    struct alarm_call call = *(struct alarm_call *)arg;
    free(arg);
    if (end->status) {
        json_decref(call.document);
        hub_refuse_status(call.request, end);
    } else {
        sk_request_answer_json(call.request, call.document);
    }
}

static void patch_alarm(struct sk_hub *hub, struct sk_request *request) {
    struct alarm *alarm = alarms_get(&hub->rules->alarms, request->name);
    struct sk_span status = sk_span_z(sk_json_member_text(request->body, "Status"));
    size_t i = 0;
    while (alarm_statuses[i] && !sk_span_eq_nocase(status, sk_span_z(alarm_statuses[i]))) i++;
    if (alarm == NULL) {
        refuse_alarm(request);
    } else if (alarm_statuses[i] == NULL) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "Status is open, acknowledged or closed");
    } else if (matches(request, alarm->version)) {
        struct alarm_call *call = SK_NEW(struct alarm_call);
        *call = (struct alarm_call){request, NULL};
        call->document =
            alarms_set(&hub->rules->alarms, alarm, (enum alarm_status)i, alarm_changed, call);
    }
}

static void delete_alarm(struct sk_hub *hub, struct sk_request *request) {
    struct alarm *alarm = alarms_get(&hub->rules->alarms, request->name);
    if (alarm == NULL) {
        sk_request_answer_json(request, NULL);
        return;
    }
    struct alarm_call *call = SK_NEW(struct alarm_call);
    *call = (struct alarm_call){.request = request};
    alarms_remove(&hub->rules->alarms, alarm, alarm_changed, call);
}

/* The last that goes tells how all of them went: writes are made in their order. */
static void delete_alarms(struct sk_hub *hub, struct sk_request *request) {
    const json_t *items = json_object_get(request->body, "Items");
    size_t count = json_array_size(items);
    struct alarm *last = NULL;
    if (!json_is_array(items) || count > LIST_MAX) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "Items is a list of at most %d ids",
                          LIST_MAX);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct alarm *alarm =
            alarms_get(&hub->rules->alarms, sk_span_z(json_string_value(json_array_get(items, i))));
        if (alarm == NULL || alarm == last) continue;
        if (last) alarms_remove(&hub->rules->alarms, last, NULL, NULL);
        last = alarm;
    }
    if (last == NULL) {
        sk_request_answer_json(request, NULL);
        return;
    }
    struct alarm_call *call = SK_NEW(struct alarm_call);
    *call = (struct alarm_call){.request = request};
    alarms_remove(&hub->rules->alarms, last, alarm_changed, call);
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
    struct sk_request *request;
    rules->loaded = true;
    rules_changed(rules);
    while ((request = hub_wait_take(&rules->waiting)) != NULL)
        rules->hub->serve[request->op](rules->hub, request);
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
        load(rules, list, ALARMS, have_alarms, SK_NONE, NULL);
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
    load(rules, list, RULES, have_rules, ALARMS, have_alarms);
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

static enum sk_status open_rules(struct sk_hub *hub, char reason[512]) {
    struct rules *rules = hub->rules = SK_NEW(struct rules);
    (void)reason;
    rules->hub = hub;
    rules->alarms.rules = rules;
    sk_list_init(&rules->list);
    sk_list_init(&rules->groups);
    sk_list_init(&rules->waiting);
    rule_engine_init(&rules->engine, on_found, rules);
    return SK_OK;
}

static void start(struct sk_hub *hub) {
    sk_registry_document_list(hub->registry, GROUPS, SK_NONE, PAGE, have_groups, hub->rules);
}

static void stop(struct sk_hub *hub) {
    rules_stop(hub->rules);
    hub_wait_refuse(&hub->rules->waiting);
}

static void free_rules(struct sk_hub *hub) {
    struct rules *rules = hub->rules;
    SK_LIST_EACH(&rules->list, node, following) rule_free(SK_CONTAINER(node, struct rule, link));
    SK_LIST_EACH(&rules->groups, other, behind) group_free(SK_CONTAINER(other, struct group, link));
    members_free(&rules->members);
    alarms_free(&rules->alarms);
    rule_engine_free(&rules->engine);
    free(rules);
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

/* Until all is loaded, requests wait. */
#define SERVE(operation)                                                                           \
    static void serve_##operation(struct sk_hub *hub, struct sk_request *request) {                \
        if (hub->rules->loaded)                                                                    \
            operation(hub, request);                                                               \
        else                                                                                       \
            hub_wait(&hub->rules->waiting, request);                                               \
    }
SERVE(list_rules)
SERVE(show_rule)
SERVE(write_rule)
SERVE(delete_rule)
SERVE(list_groups)
SERVE(show_group)
SERVE(write_group)
SERVE(delete_group)
SERVE(list_alarms)
SERVE(show_alarm)
SERVE(patch_alarm)
SERVE(delete_alarm)
SERVE(delete_alarms)
SERVE(list_by_rule)
SERVE(list_alarms_of_rule)

static const struct sk_hub_metric metrics[] = {{"skerry_hub_alarms_total",
                                                "Alarms that rules have found since the start.",
                                                SK_HUB_COUNT(alarms_total)},
                                               {0}};

const struct sk_hub_part hub_part_rules = {
    .metrics = metrics,
    .open = open_rules,
    .start = start,
    .stop = stop,
    .free = free_rules,
    .twin_changed = twin_changed,
    .identity_changed = identity_changed,
    .serve = {[SK_OP_RULE_LIST] = serve_list_rules,
              [SK_OP_RULE_GET] = serve_show_rule,
              [SK_OP_RULE_PUT] = serve_write_rule,
              [SK_OP_RULE_DELETE] = serve_delete_rule,
              [SK_OP_GROUP_LIST] = serve_list_groups,
              [SK_OP_GROUP_GET] = serve_show_group,
              [SK_OP_GROUP_PUT] = serve_write_group,
              [SK_OP_GROUP_DELETE] = serve_delete_group,
              [SK_OP_ALARM_LIST] = serve_list_alarms,
              [SK_OP_ALARM_GET] = serve_show_alarm,
              [SK_OP_ALARM_PATCH] = serve_patch_alarm,
              [SK_OP_ALARM_DELETE] = serve_delete_alarm,
              [SK_OP_ALARMS_DELETE] = serve_delete_alarms,
              [SK_OP_ALARM_RULES] = serve_list_by_rule,
              [SK_OP_ALARM_RULE] = serve_list_alarms_of_rule}};
