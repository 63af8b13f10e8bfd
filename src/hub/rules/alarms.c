/* Alarms: each is a small document of the registry and a struct in memory, from which lists and
 * counts are made. */
#include <stdio.h>

#include "hub/rules/parts.h"
#include "model/json_text.h"

static uint64_t hash_of(const struct rule_found *found) {
    uint64_t h = sk_fnv1a(SK_FNV1A, sk_span_z(found->rule->id));
    h = sk_fnv1a(h, SK_SPAN("\n"));
    h = sk_fnv1a(h, found->device);
    return sk_fnv1a(h, sk_span(&found->mark, sizeof found->mark));
}

/* ---- the list ---- */

static int compare(const struct alarm *a, int64_t received_ms, uint64_t h) {
    if (a->received_ms != received_ms) return a->received_ms < received_ms ? -1 : 1;
    return a->hash < h ? -1 : a->hash > h;
}

/* Where one of that name is, or would be. */
size_t alarms_place(const struct alarms *alarms, int64_t received_ms, uint64_t h) {
    size_t low = 0, high = alarms->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare(alarms->sorted[middle], received_ms, h) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct alarm *at_place(const struct alarms *alarms, size_t at, int64_t received_ms,
                              uint64_t h) {
    return at < alarms->count && compare(alarms->sorted[at], received_ms, h) == 0
               ? alarms->sorted[at]
               : NULL;
}

struct alarm *alarms_get(const struct alarms *alarms, struct sk_span id) {
    char text[ALARM_ID];
    unsigned long long ms, h;
    if (id.n != ALARM_ID - 1) return NULL;
    memcpy(text, id.p, id.n);
    text[id.n] = '\0';
    if (sscanf(text, "%12llx%16llx", &ms, &h) != 2) return NULL;
    struct alarm *alarm = at_place(alarms, alarms_place(alarms, (int64_t)ms, h), (int64_t)ms, h);
    return alarm && alarm->stored ? alarm : NULL;
}

static void put_in(struct alarms *alarms, struct alarm *alarm) {
    size_t at = alarms_place(alarms, alarm->received_ms, alarm->hash);
    if (alarms->count == alarms->room) {
        alarms->room = alarms->room ? 2 * alarms->room : 64;
        alarms->sorted = sk_realloc(alarms->sorted, alarms->room * sizeof(struct alarm *));
    }
    memmove(alarms->sorted + at + 1, alarms->sorted + at,
            (alarms->count - at) * sizeof(struct alarm *));
    alarms->sorted[at] = alarm;
    alarms->count++;
}

static void alarm_free(struct alarm *alarm) {
    actions_forget(alarm);
    free(alarm->device);
    free(alarm);
}

static void take_out(struct alarms *alarms, struct alarm *alarm) {
    size_t at = alarms_place(alarms, alarm->received_ms, alarm->hash);
    alarms->count--;
    memmove(alarms->sorted + at, alarms->sorted + at + 1,
            (alarms->count - at) * sizeof(struct alarm *));
    alarm_free(alarm);
}

void alarms_free(struct alarms *alarms) {
    for (size_t i = 0; i < alarms->count; i++) alarm_free(alarms->sorted[i]);
    free(alarms->sorted);
}

/* ---- as documents; of each action its type, its state, how often it was tried, and why it
 * failed ---- */

static json_t *actions_json(const struct alarm *alarm) {
    json_t *list = json_array();
    for (size_t i = 0; i < alarm->action_count; i++) {
        const struct alarm_action *action = &alarm->actions[i];
        json_array_append_new(list,
                              json_pack("[i,i,i,o]", action->type, action->state, action->tries,
                                        sk_json_of_text(sk_span_z(action->why))));
    }
    return list;
}

static void make_actions(struct alarm *alarm, size_t count) {
    if (count == 0) return;
    alarm->action_count = (uint8_t)count;
    alarm->actions = sk_alloc(count * sizeof *alarm->actions);
    for (size_t i = 0; i < count; i++) {
        sk_list_init(&alarm->actions[i].link);
        alarm->actions[i].alarm = alarm;
    }
}

static uint8_t number_at(const json_t *list, size_t i, size_t end) {
    json_int_t number = json_integer_value(json_array_get(list, i));
    return (uint8_t)(number >= 0 && number < (json_int_t)end ? number : 0);
}

static void load_actions(struct alarm *alarm, const json_t *list) {
    size_t count = json_array_size(list);
    make_actions(alarm, count < RULE_ACTIONS_MAX ? count : RULE_ACTIONS_MAX);
    for (size_t i = 0; i < alarm->action_count; i++) {
        const json_t *one = json_array_get(list, i);
        const char *why = json_string_value(json_array_get(one, 3));
        alarm->actions[i].type = number_at(one, 0, RULE_ACTION_TYPES);
        alarm->actions[i].state = number_at(one, 1, ACTION_STATES);
        alarm->actions[i].tries = number_at(one, 2, ACTION_TRIES + 1);
        if (why && *why) alarm->actions[i].why = sk_text_dup(why);
    }
}

static void put(struct alarms *alarms, const struct alarm *alarm, sk_registry_done *done,
                void *arg) {
    char id[ALARM_ID];
    struct sk_buffer text = {0};
    json_t *json = json_pack("{s:s,s:s,s:I,s:I,s:i,s:i,s:i}", "device", alarm->device, "rule",
                             alarm->rule->id, "created", (json_int_t)alarm->created_ms, "modified",
                             (json_int_t)alarm->modified_ms, "status", alarm->status, "severity",
                             alarm->severity, "version", (int)alarm->version);
    if (alarm->action_count) json_object_set_new(json, "actions", actions_json(alarm));
    alarm_id(alarm, id);
    sk_json_put(&text, json, 0);
    sk_registry_document_put(alarms->rules->hub->registry, ALARMS_KIND, sk_span_z(id),
                             sk_buffer_span(&text), done, arg);
    sk_buffer_free(&text);
    json_decref(json);
}

void alarms_load(struct alarms *alarms, struct sk_span key, struct sk_span bytes) {
    json_t *json = sk_json_load(bytes, 0, NULL);
    const char *device = sk_json_member_text(json, "device");
    struct rule *rule = rules_find(alarms->rules, sk_span_z(sk_json_member_text(json, "rule")));
    unsigned long long ms, h;
    SK_CLEANUP_FREE char *id = sk_span_dup(key);
    if (device && rule && sscanf(id, "%12llx%16llx", &ms, &h) == 2) {
        struct alarm *alarm = SK_NEW(struct alarm);
        json_int_t status = json_integer_value(json_object_get(json, "status")),
                   severity = json_integer_value(json_object_get(json, "severity"));
        *alarm = (struct alarm){
            .received_ms = (int64_t)ms,
            .hash = h,
            .rule = rule,
            .device = sk_span_dup(sk_span_z(device)),
            .created_ms = json_integer_value(json_object_get(json, "created")),
            .modified_ms = json_integer_value(json_object_get(json, "modified")),
            .version = (uint32_t)json_integer_value(json_object_get(json, "version")),
            .status = (uint8_t)(status >= 0 && status < ALARM_STATUSES ? status : ALARM_OPEN),
            .severity = (uint8_t)(severity >= 0 && severity < RULE_SEVERITIES ? severity : 0),
            .stored = true};
        load_actions(alarm, json_object_get(json, "actions"));
        put_in(alarms, alarm);
        actions_add(&alarms->rules->actions, alarm);
    }
    json_decref(json);
}

/* ---- what becomes of them ---- */

struct storing {
    struct alarms *alarms;
    int64_t received_ms;
    uint64_t hash;
};

/* To who looks at alarms just now. */
static void tell_change(struct alarms *alarms, const struct alarm *alarm, bool there) {
    char id[ALARM_ID];
    alarm_id(alarm, id);
    hub_alarm_changed(alarms->rules->hub, id, alarm->device, there);
}

static void stored(void *arg, const struct sk_registry_end *end) {
    struct storing storing = *(struct storing *)arg;
    struct alarms *alarms = storing.alarms;
    free(arg);
    struct alarm *alarm = at_place(alarms, alarms_place(alarms, storing.received_ms, storing.hash),
                                   storing.received_ms, storing.hash);
    if (end->status) {
        alarms->failed = true;
        if (alarm) take_out(alarms, alarm);
    } else if (alarm) {
        alarm->stored = true;
        tell_change(alarms, alarm, true);
        actions_add(&alarms->rules->actions, alarm);
    }
    alarms->on_their_way--;
    rules_settled(alarms->rules);
}

/* The event is in the log, or there is no room for it: the alarm is stored behind it, so that one
 * which is stored was told. */
static void told(void *arg, bool fine) {
    struct storing *storing = arg;
    struct alarms *alarms = storing->alarms;
    struct alarm *alarm =
        at_place(alarms, alarms_place(alarms, storing->received_ms, storing->hash),
                 storing->received_ms, storing->hash);
    if (fine && alarm)
        put(alarms, alarm, stored, storing);
    else
        stored(storing, &(struct sk_registry_end){.status = SK_CLOSED});
}

static void drop_oldest(struct alarms *alarms) {
    if (alarms->count < ALARMS_MAX || !alarms->sorted[0]->stored) return;
    alarms->lost_total++;
    SK_SELDOM(SK_LEVEL_WARN, "hub", "%s: there are %d alarms: the oldest go",
              alarms->rules->hub->options->name, ALARMS_MAX);
    alarms_remove(alarms, alarms->sorted[0], NULL, NULL);
}

void alarms_found(struct alarms *alarms, const struct rule_found *found) {
    int64_t received_ms = found->received_us / 1000;
    uint64_t h = hash_of(found);
    if (at_place(alarms, alarms_place(alarms, received_ms, h), received_ms, h)) return;
    drop_oldest(alarms);
    int64_t now_ms = sk_io_wall(alarms->rules->hub->backend.io) / 1000;
    struct alarm *alarm = SK_NEW(struct alarm);
    struct storing *storing = SK_NEW(struct storing);
    *alarm = (struct alarm){.received_ms = received_ms,
                            .created_ms = now_ms,
                            .modified_ms = now_ms,
                            .hash = h,
                            .rule = found->rule,
                            .device = sk_span_dup(found->device),
                            .version = 1,
                            .severity = (uint8_t)found->rule->severity};
    *storing = (struct storing){alarms, received_ms, h};
    make_actions(alarm, found->rule->action_count);
    for (size_t i = 0; i < alarm->action_count; i++)
        alarm->actions[i].type = (uint8_t)found->rule->actions[i].type;
    put_in(alarms, alarm);
    alarms->on_their_way++;
    alarms->found_total++;
    json_t *json = alarm_json(alarm);
    hub_alarm_found(alarms->rules->hub, json, told, storing);
    json_decref(json);
}

/* A change that the registry is about to have. */
struct changing {
    struct alarms *alarms;
    struct alarm next; /* what it will be; its rule and device are those of the one that is there */
    bool removes;
    sk_registry_done *done;
    void *arg;
};

static void alarm_settled(void *arg, const struct sk_registry_end *end) {
    struct changing changing = *(struct changing *)arg;
    struct alarms *alarms = changing.alarms;
    const struct alarm *next = &changing.next;
    free(arg);
    struct alarm *alarm = at_place(alarms, alarms_place(alarms, next->received_ms, next->hash),
                                   next->received_ms, next->hash);
    if (alarm) alarm->changes--;
    if (end->status == SK_OK && alarm && changing.removes) {
        tell_change(alarms, alarm, false);
        take_out(alarms, alarm);
        alarm = NULL;
    } else if (end->status == SK_OK && alarm) {
        alarm->status = next->status;
        alarm->version = next->version;
        alarm->modified_ms = next->modified_ms;
        tell_change(alarms, alarm, true);
    }
    if (alarm && alarm->noted) alarms_note(alarms, alarm);
    if (changing.done) changing.done(changing.arg, end);
}

static struct changing *change_of(struct alarms *alarms, struct alarm *alarm,
                                  sk_registry_done *done, void *arg) {
    struct changing *changing = SK_NEW(struct changing);
    alarm->changes++;
    *changing = (struct changing){.alarms = alarms, .next = *alarm, .done = done, .arg = arg};
    return changing;
}

/* Changes that are on their way know nothing of it, and it nothing of them: it comes behind. */
void alarms_note(struct alarms *alarms, struct alarm *alarm) {
    alarm->noted = alarm->changes > 0;
    if (!alarm->noted) put(alarms, alarm, NULL, NULL);
}

json_t *alarms_set(struct alarms *alarms, struct alarm *alarm, enum alarm_status status,
                   sk_registry_done *done, void *arg) {
    struct changing *changing = change_of(alarms, alarm, done, arg);
    changing->next.status = (uint8_t)status;
    changing->next.version++;
    changing->next.modified_ms = sk_io_wall(alarms->rules->hub->backend.io) / 1000;
    json_t *shown = alarm_shown(&changing->next);
    put(alarms, &changing->next, alarm_settled, changing);
    return shown;
}

void alarms_remove(struct alarms *alarms, struct alarm *alarm, sk_registry_done *done, void *arg) {
    char id[ALARM_ID];
    struct changing *changing = change_of(alarms, alarm, done, arg);
    changing->removes = true;
    alarm_id(alarm, id);
    sk_registry_document_delete(alarms->rules->hub->registry, ALARMS_KIND, sk_span_z(id),
                                alarm_settled, changing);
}
