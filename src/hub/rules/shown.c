/* The operations on alarms. */
#include "hub/rules/parts.h"
#include "model/json_text.h"
#include "wire/http.h"

enum { LIST_MAX = 1000, DEVICES_MAX = 1000 };

static void refuse_alarm(struct sk_request *request) {
    sk_request_refuse(request, SK_FAULT_ALARM_NOT_FOUND, "there is no alarm '%.*s'",
                      SK_ARG(request->name));
}

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
    if (sk_time_parse_near(text, sk_io_wall(hub->backend.io), &us)) return false;
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
    return alarm->stored && ask->statuses >> alarm->status & 1 &&
           ask->severities >> alarm->severity & 1 &&
           (ask->rule == NULL || alarm->rule == ask->rule) &&
           (ask->devices.count == 0 || sk_map_get(&ask->devices, sk_span_z(alarm->device)));
}

/* Those of the time that is asked for: from `*first` on, before the place that is returned. */
static size_t within(const struct alarms *alarms, const struct alarm_ask *ask, size_t *first) {
    size_t end = ask->to_ms == INT64_MAX ? alarms->count : alarms_since(alarms, ask->to_ms + 1);
    *first = alarms_since(alarms, ask->from_ms);
    return end > *first ? end : *first;
}

static void list_alarms_of(struct sk_hub *hub, struct sk_request *request,
                           const struct rule *rule) {
    const struct alarms *alarms = &hub->rules->alarms;
    struct sk_arena arena = {0};
    struct alarm_ask ask;
    if (read_ask(hub, request, &arena, ALL_OF, &ask)) {
        json_t *items = json_array();
        size_t first, end = within(alarms, &ask, &first);
        ask.rule = rule;
        for (size_t i = first; i < end && json_array_size(items) < ask.limit; i++) {
            const struct alarm *alarm = alarms->sorted[ask.descending ? end - 1 - (i - first) : i];
            if (!is_asked_for(&ask, alarm)) continue;
            if (ask.skip)
                ask.skip--;
            else
                json_array_append_new(items, alarm_shown(alarm));
        }
        sk_request_answer_json(request, json_pack("{s:o}", "Items", items));
    }
    sk_map_free(&ask.devices);
    sk_arena_free(&arena);
}

void serve_alarms(struct sk_hub *hub, struct sk_request *request) {
    list_alarms_of(hub, request, NULL);
}

void serve_alarms_of_rule(struct sk_hub *hub, struct sk_request *request) {
    const struct rule *rule = rules_find(hub->rules, request->name);
    if (rule)
        list_alarms_of(hub, request, rule);
    else
        rules_refuse(request);
}

/* Each rule's own into its tally, in one walk. */
static void count_alarms(const struct rules *rules, const struct alarm_ask *ask) {
    size_t first, end = within(&rules->alarms, ask, &first);
    SK_LIST_EACH((struct sk_list *)&rules->list, node, following) {
        SK_CONTAINER(node, struct rule, link)->tally = (struct rule_tally){0};
    }
    for (size_t i = first; i < end; i++) {
        const struct alarm *alarm = rules->alarms.sorted[i];
        if (!is_asked_for(ask, alarm)) continue;
        alarm->rule->tally.count++;
        alarm->rule->tally.open += alarm->status == ALARM_OPEN;
        alarm->rule->tally.last = alarm;
    }
}

static json_t *tally_json(const struct rule *rule) {
    char time[SK_TIME_TEXT];
    const struct rule_tally *tally = &rule->tally;
    sk_time_text(tally->last->received_ms * 1000, time);
    return json_pack("{s:{s:s,s:s,s:s},s:I,s:I,s:s,s:s}", "Rule", "Id", rule->id, "Severity",
                     rule_severities[rule->severity], "Description", rule->description, "Count",
                     (json_int_t)tally->count, "Open", (json_int_t)tally->open, "Status",
                     alarm_statuses[tally->last->status], "Created", time);
}

void serve_alarms_by_rule(struct sk_hub *hub, struct sk_request *request) {
    const struct rules *rules = hub->rules;
    struct sk_arena arena = {0};
    struct alarm_ask ask;
    if (read_ask(hub, request, &arena, ALL_OF & ~(1U << ALARM_CLOSED), &ask)) {
        json_t *items = json_array();
        count_alarms(rules, &ask);
        SK_LIST_EACH((struct sk_list *)&rules->list, node, following) {
            const struct rule *rule = SK_CONTAINER(node, struct rule, link);
            if (rule->tally.last) json_array_append_new(items, tally_json(rule));
        }
        sk_request_answer_json(request, json_pack("{s:o}", "Items", items));
    }
    sk_map_free(&ask.devices);
    sk_arena_free(&arena);
}

void serve_alarm(struct sk_hub *hub, struct sk_request *request) {
    const struct alarm *alarm = alarms_get(&hub->rules->alarms, request->name);
    if (alarm)
        sk_request_answer_json(request, alarm_shown(alarm));
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

void serve_alarm_patch(struct sk_hub *hub, struct sk_request *request) {
    struct alarm *alarm = alarms_get(&hub->rules->alarms, request->name);
    struct sk_span status = sk_span_z(sk_json_member_text(request->body, "Status"));
    size_t i = 0;
    while (alarm_statuses[i] && !sk_span_eq_nocase(status, sk_span_z(alarm_statuses[i]))) i++;
    if (alarm == NULL) {
        refuse_alarm(request);
    } else if (alarm_statuses[i] == NULL) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "Status is open, acknowledged or closed");
    } else if (hub_document_matches(request, alarm->version)) {
        struct alarm_call *call = SK_NEW(struct alarm_call);
        *call = (struct alarm_call){request, NULL};
        call->document =
            alarms_set(&hub->rules->alarms, alarm, (enum alarm_status)i, alarm_changed, call);
    }
}

void serve_alarm_delete(struct sk_hub *hub, struct sk_request *request) {
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
void serve_alarms_delete(struct sk_hub *hub, struct sk_request *request) {
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
