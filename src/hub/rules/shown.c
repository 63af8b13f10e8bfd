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

/* ---- walks over alarms, a little of them each turn of the loop ---- */

struct tally {
    size_t count, open;
    int64_t last_ms; /* the newest */
    enum alarm_status status;
};

struct walk {
    struct sk_list link; /* rules->walks */
    struct sk_task task;
    struct rules *rules;
    struct sk_request *request;
    struct sk_arena arena; /* what is asked points into it */
    struct alarm_ask ask;
    struct sk_buffer items;
    size_t item_count;
    struct tally *tallies; /* by a rule's number; NULL: alarms are listed */
    size_t rule_count;
    int64_t at_ms; /* it goes on at the first alarm from here on, or backwards in front of it */
    uint64_t at_hash;
};

static void free_walk(struct walk *w) {
    sk_list_remove(&w->link);
    sk_io_undefer(&w->task);
    sk_map_free(&w->ask.devices);
    sk_arena_free(&w->arena);
    sk_buffer_free(&w->items);
    free(w->tallies);
    free(w);
}

static void put_item(struct walk *w, json_t *item /* taken */) {
    sk_buffer_text(&w->items, w->item_count++ ? "," : "{\"Items\":[");
    sk_json_put(&w->items, item, 0);
    json_decref(item);
}

static void put_tallies(struct walk *w) {
    char time[SK_TIME_TEXT];
    SK_LIST_EACH(&w->rules->list, node, following) {
        const struct rule *rule = SK_CONTAINER(node, struct rule, link);
        if (rule->number >= w->rule_count || w->tallies[rule->number].count == 0) continue;
        const struct tally *tally = &w->tallies[rule->number];
        sk_time_text(tally->last_ms * 1000, time);
        put_item(w,
                 json_pack("{s:{s:s,s:s,s:s},s:I,s:I,s:s,s:s}", "Rule", "Id", rule->id, "Severity",
                           rule_severities[rule->severity], "Description", rule->description,
                           "Count", (json_int_t)tally->count, "Open", (json_int_t)tally->open,
                           "Status", alarm_statuses[tally->status], "Created", time));
    }
}

static void answer(struct walk *w) {
    struct sk_request *request = w->request;
    if (w->tallies) put_tallies(w);
    sk_buffer_text(&w->items, w->item_count ? "]}" : "{\"Items\":[]}");
    request->done(request, &(struct sk_answer){.text = sk_buffer_span(&w->items)});
    free_walk(w);
}

/* Returns how many steps of a share it took. */
static unsigned take(struct walk *w, const struct alarm *alarm) {
    enum { ITEM = 16 };
    if (!is_asked_for(&w->ask, alarm)) return 1;
    if (w->tallies && alarm->rule->number < w->rule_count) {
        struct tally *tally = &w->tallies[alarm->rule->number];
        tally->count++;
        tally->open += alarm->status == ALARM_OPEN;
        tally->last_ms = alarm->received_ms;
        tally->status = (enum alarm_status)alarm->status;
    } else if (w->ask.skip) {
        w->ask.skip--;
    } else if (w->tallies == NULL) {
        put_item(w, alarm_shown(alarm));
        return ITEM;
    }
    return 1;
}

/* The one that is next, from a place on or backwards from in front of it; NULL: there is none of
 * the time that is asked for. */
static const struct alarm *at_place(const struct walk *w, size_t place) {
    const struct alarms *alarms = &w->rules->alarms;
    bool down = w->ask.descending;
    if (down ? place == 0 : place >= alarms->count) return NULL;
    const struct alarm *alarm = alarms->sorted[down ? place - 1 : place];
    bool within = down ? alarm->received_ms >= w->ask.from_ms : alarm->received_ms <= w->ask.to_ms;
    return within ? alarm : NULL;
}

static void go_on(struct sk_task *task) {
    struct walk *w = SK_CONTAINER(task, struct walk, task);
    struct sk_io *io = w->rules->hub->backend.io;
    struct sk_share share;
    const struct alarm *alarm;
    size_t place = alarms_place(&w->rules->alarms, w->at_ms, w->at_hash);
    sk_share_begin(&share, io);
    while ((alarm = at_place(w, place)) != NULL && (w->tallies || w->item_count < w->ask.limit)) {
        bool more = sk_share_go_on(&share, take(w, alarm));
        place = w->ask.descending ? place - 1 : place + 1;
        /* The alarm that was looked at has been: behind it, or in front of it. */
        w->at_ms = alarm->received_ms;
        w->at_hash = alarm->hash;
        if (!w->ask.descending && ++w->at_hash == 0) w->at_ms++;
        if (more) continue;
        sk_io_yield(io, &w->task, go_on);
        return;
    }
    answer(w);
}

/* `rule` NULL: of all; `statuses`: see read_ask. */
static void begin_walk(struct sk_hub *hub, struct sk_request *request, const struct rule *rule,
                       bool counts, unsigned statuses) {
    struct walk *w = SK_NEW(struct walk);
    w->rules = hub->rules;
    w->request = request;
    sk_list_append(&hub->rules->walks, &w->link);
    if (!read_ask(hub, request, &w->arena, statuses, &w->ask)) {
        free_walk(w);
        return;
    }
    w->ask.rule = rule;
    if (counts) {
        w->rule_count = hub->rules->numbers;
        w->tallies = sk_alloc((w->rule_count + 1) * sizeof *w->tallies);
        w->ask.descending = false;
    }
    w->at_ms = w->ask.descending ? w->ask.to_ms : w->ask.from_ms;
    w->at_hash = w->ask.descending ? UINT64_MAX : 0;
    go_on(&w->task);
}

void alarm_walks_stop(struct rules *rules) {
    SK_LIST_EACH(&rules->walks, node, following) {
        struct walk *w = SK_CONTAINER(node, struct walk, link);
        sk_request_refuse(w->request, SK_FAULT_UNAVAILABLE, NULL);
        free_walk(w);
    }
}

void serve_alarms(struct sk_hub *hub, struct sk_request *request) {
    begin_walk(hub, request, NULL, false, ALL_OF);
}

void serve_alarms_of_rule(struct sk_hub *hub, struct sk_request *request) {
    const struct rule *rule = rules_find(hub->rules, request->name);
    if (rule)
        begin_walk(hub, request, rule, false, ALL_OF);
    else
        rules_refuse(request);
}

void serve_alarms_by_rule(struct sk_hub *hub, struct sk_request *request) {
    begin_walk(hub, request, NULL, true, ALL_OF & ~(1U << ALARM_CLOSED));
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
