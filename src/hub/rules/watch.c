/* Reads all telemetry that the hub takes, through the engine. */
#include <stdio.h>

#include "hub/rules/parts.h"

enum {
    SAVE_S = 1,
    ON_THEIR_WAY_MAX = 500, /* alarms; then it waits */
    RETRY_S = 5,
    WAIT_US = 100000, /* for what is on its way to the disk */
};

#define CURSOR "rules"

static struct sk_io *io_of(const struct rules *rules) {
    return rules->hub->backend.io;
}

static void pump(struct rules *rules);

static void on_task(struct sk_task *task) {
    pump(SK_CONTAINER(task, struct rules, task));
}

static void pump_soon(struct rules *rules) {
    sk_io_yield(io_of(rules), &rules->task, on_task);
}

static void on_readable(void *arg) {
    pump_soon(arg);
}

static void on_window(struct sk_timer *timer) {
    pump_soon(SK_CONTAINER(timer, struct rules, window));
}

/* ---- how far it has come ----
 *
 * After a crash the log is read again from the oldest message of an open window on. What had been
 * closed by then is stored before the cursor commits: else such a window would be made again of the
 * half of its messages. */

static void save_soon(struct rules *rules);

static void saved(void *arg, const struct sk_registry_end *end) {
    struct rules *rules = arg;
    rules->saving = false;
    if (rules->cursor == NULL || rules->hub->closing) return;
    if (end->status == SK_OK) sk_cursor_commit(rules->cursor, rules->commits);
    if (end->status || rules->next != rules->seen) save_soon(rules);
}

static void save(struct sk_timer *timer) {
    struct rules *rules = SK_CONTAINER(timer, struct rules, save);
    char text[64];
    uint64_t least = rule_engine_least(&rules->engine);
    if (rules->saving || rules->alarms.failed) return;
    if (rules->alarms.on_their_way) {
        save_soon(rules);
        return;
    }
    rules->saving = true;
    rules->seen = rules->next;
    rules->passed_us = rules->engine.passed_us;
    rules->commits = least < rules->next ? least : rules->next;
    int n = snprintf(text, sizeof text, "%lld %llu", (long long)rules->passed_us,
                     (unsigned long long)rules->seen);
    sk_registry_document_put(rules->hub->registry, RULES_PASSED_KIND, RULES_PASSED_KEY,
                             sk_span(text, (size_t)n), saved, rules);
}

static void save_soon(struct rules *rules) {
    if (!sk_timer_running(&rules->save))
        sk_timer_start(io_of(rules), &rules->save, SAVE_S * SK_S, save);
}

void rules_load_passed(struct rules *rules, struct sk_span bytes) {
    SK_CLEANUP_FREE char *text = sk_span_dup(bytes);
    long long passed_us;
    unsigned long long seen;
    if (sscanf(text, "%lld %llu", &passed_us, &seen) != 2) return;
    rules->passed_us = passed_us;
    rules->seen = seen;
}

/* ---- a device's groups ---- */

struct asked {
    struct rules *rules;
    char *device;
};

static void have_twin(void *arg, const struct sk_registry_end *end,
                      struct sk_registry_entry *entry) {
    struct asked asked = *(struct asked *)arg;
    struct rules *rules = asked.rules;
    free(arg);
    bool stale = rules->asking_stale; /* it was changed meanwhile: it is asked again */
    rules->asking = NULL;
    json_t *twin = entry ? sk_twin_service_json(&entry->twin, &entry->identity,
                                                hub_presence(rules->hub, &entry->identity))
                         : NULL;
    bool known = end->status == SK_OK || end->status == SK_NOT_FOUND;
    if (known && !stale)
        members_learn(&rules->members, &rules->groups, sk_span_z(asked.device), twin);
    json_decref(twin);
    free(asked.device);
    if (known)
        pump_soon(rules);
    else if (!rules->hub->closing)
        sk_timer_start(io_of(rules), &rules->window, RETRY_S * SK_S, on_window);
}

static void ask(struct rules *rules, struct sk_span device) {
    struct asked *asked = SK_NEW(struct asked);
    *asked = (struct asked){rules, sk_span_dup(device)};
    rules->asking = asked->device;
    rules->asking_stale = false;
    sk_registry_twin_get(rules->hub->registry, device, SK_NONE, have_twin, asked);
}

/* ---- messages ---- */

/* False: it has to come again. */
static bool take(struct rules *rules, const struct sk_record *record, struct sk_arena *arena) {
    struct sk_message message;
    uint64_t groups;
    sk_arena_reset(arena);
    if (sk_message_decode(record->body, arena, &message)) return true;
    if (!members_find(&rules->members, message.device, &groups)) {
        uint64_t sequence = record->sequence;
        ask(rules, message.device);
        sk_cursor_seek(rules->cursor, sequence);
        return false;
    }
    if (rules->gap) { /* what the log has lost of it is not in its windows */
        rule_engine_gap(&rules->engine, record->wall_us);
        rules->gap = false;
    }
    rule_engine_take(&rules->engine, &rules->list, groups,
                     &(struct rule_message){.device = message.device,
                                            .body = message.body,
                                            .time_us = record->wall_us,
                                            .sequence = record->sequence});
    return true;
}

/* All there was has been seen: windows whose end has passed, and for which nothing is on its way
 * to the disk any more, are closed. */
static void at_end(struct rules *rules) {
    struct sk_log *log = rules->hub->log;
    int64_t now = sk_io_wall(io_of(rules));
    if (sk_cursor_position(rules->cursor) >= sk_log_next_sequence(log))
        rule_engine_pass(&rules->engine, sk_log_passed(log) - 1);
    int64_t next = rule_engine_next(&rules->engine);
    if (next <= now) next = now + WAIT_US;
    if (next < INT64_MAX) sk_timer_start_at(io_of(rules), &rules->window, next + 1, on_window);
}

static void pump(struct rules *rules) {
    struct sk_record record;
    struct sk_share share;
    if (rules->cursor == NULL || rules->hub->closing || rules->asking || rules->alarms.failed)
        return;
    struct sk_arena arena = {0};
    sk_share_begin(&share, io_of(rules));
    while (rules->alarms.on_their_way < ON_THEIR_WAY_MAX) {
        if (!sk_share_go_on(&share, 1)) {
            pump_soon(rules);
            break;
        }
        enum sk_status status = sk_cursor_next(rules->cursor, &record);
        if (status == SK_NOT_FOUND) { /* gone before it was seen */
            rules->gap = true;
            continue;
        }
        if (status) {
            at_end(rules);
            break;
        }
        if (!take(rules, &record, &arena)) break;
        rules->next = record.sequence + 1;
    }
    sk_arena_free(&arena);
    if (rules->next != rules->seen) save_soon(rules);
}

/* ---- its life ---- */

/* From what is committed on, as after a crash. */
static void go_back(struct rules *rules) {
    rule_engine_free(&rules->engine);
    rules->engine.passed_us = rules->passed_us;
    rules->gap = false;
    rules->engine.seen = rules->seen;
    rules->next = sk_cursor_committed(rules->cursor);
    sk_cursor_seek(rules->cursor, rules->next);
    pump_soon(rules);
}

static void again(struct sk_timer *timer) {
    struct rules *rules = SK_CONTAINER(timer, struct rules, retry);
    rules->alarms.failed = false;
    go_back(rules);
}

void rules_settled(struct rules *rules) {
    if (rules->cursor == NULL || rules->hub->closing) return;
    if (!rules->alarms.failed)
        pump_soon(rules);
    else if (rules->alarms.on_their_way == 0)
        sk_timer_start(io_of(rules), &rules->retry, RETRY_S * SK_S, again);
}

static void begin(struct rules *rules) {
    enum sk_status status = sk_cursor_open(rules->hub->log, CURSOR, HUB_TO_INSIDE, UINT64_MAX,
                                           on_readable, rules, &rules->cursor);
    if (status) {
        SK_ERROR("hub", "%s: rules cannot read the log (%s)", rules->hub->options->name,
                 sk_status_text(status));
        return;
    }
    rules->hub->inside_readers++;
    go_back(rules);
}

void rules_stop(struct rules *rules) {
    sk_timer_stop(&rules->window);
    sk_timer_stop(&rules->retry);
    sk_timer_stop(&rules->save);
    sk_io_undefer(&rules->task);
    rule_engine_free(&rules->engine);
    rules->alarms.failed = false;
    if (rules->cursor == NULL) return;
    sk_cursor_close(rules->cursor);
    rules->cursor = NULL;
    rules->hub->inside_readers--;
}

static size_t group_place(const struct rules *rules, const char *id) {
    size_t place = 0;
    SK_LIST_EACH((struct sk_list *)&rules->groups, node, following) {
        if (strcmp(SK_CONTAINER(node, struct group, link)->id, id) == 0) return place;
        place++;
    }
    return GROUPS_MAX;
}

void rules_device_changed(struct rules *rules, struct sk_span device) {
    members_forget(&rules->members, device);
    if (rules->asking && sk_span_is(device, rules->asking)) rules->asking_stale = true;
}

void rules_changed(struct rules *rules) {
    bool any = false;
    rules->asking_stale = true;
    members_free(&rules->members);
    SK_LIST_EACH(&rules->list, node, following) {
        struct rule *rule = SK_CONTAINER(node, struct rule, link);
        rule->place = group_place(rules, rule->group);
        any |= rule->enabled && !rule->deleted;
    }
    if (any && rules->cursor == NULL) begin(rules);
    if (!any && rules->cursor) {
        rules_stop(rules);
        sk_log_forget_cursor(rules->hub->log, CURSOR); /* what comes meanwhile is not for it */
    }
}
