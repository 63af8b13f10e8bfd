/* When the actions of alarms are done.
 *
 * What is to be done is stored with the alarm, and what became of it replaces that: the alarms are
 * the outbox, so an action is done at least once, whenever the power goes, and one that comes twice
 * has the same key. Actions wait in lanes, each rule's action in its own and mails in their
 * server's, so a receiver that hangs holds up nobody else's. One that fails is tried again, later
 * each time, ACTION_TRIES times at most and for a day. */
#include <stdarg.h>
#include <stdio.h>

#include "hub/rules/parts.h"
#include "model/json_text.h"

enum {
    DAY_MS = 86400000,
    PAUSE_MAX_S = 60,         /* of a lane whose receiver fails */
    PAUSE_ASKED_MAX_S = 7200, /* as the receiver asks for */
    WHY_MAX = 120,
};

static const unsigned delays_s[ACTION_TRIES] = {0, 5, 30, 120, 600, 1800, 3600, 7200};

static struct sk_io *io_of(const struct actions *actions) {
    return actions->hub->backend.io;
}

const struct rule_action *action_of(const struct alarm_action *action) {
    const struct rule *rule = action->alarm->rule;
    size_t place = (size_t)(action - action->alarm->actions);
    return place < rule->action_count && rule->actions[place].type == action->type
               ? &rule->actions[place]
               : NULL;
}

/* ---- lanes ---- */

static void pump(struct action_lane *lane);

static void on_task(struct sk_task *task) {
    pump(SK_CONTAINER(task, struct action_lane, task));
}

static void on_timer(struct sk_timer *timer) {
    pump(SK_CONTAINER(timer, struct action_lane, timer));
}

static void pump_soon(struct action_lane *lane) {
    sk_io_yield(io_of(lane->actions), &lane->task, on_task);
}

static void free_lane(struct action_lane *lane) {
    sk_timer_stop(&lane->timer);
    sk_io_undefer(&lane->task);
    sk_map_remove(&lane->actions->lanes, sk_span_z(lane->key));
    sk_hub_mail_free(lane->mail);
    free(lane->key);
    free(lane);
}

static struct action_lane *lane_of(struct actions *actions, const struct alarm_action *action) {
    char key[256];
    const struct rule_action *of = action_of(action);
    const char *endpoint = of ? sk_json_member_text(of->parameters, "Endpoint") : NULL;
    if (action->type == RULE_EMAIL)
        snprintf(key, sizeof key, "mail\n%s", endpoint ? endpoint : "");
    else
        snprintf(key, sizeof key, "%s\n%td", action->alarm->rule->id,
                 action - action->alarm->actions);
    struct action_lane *lane = sk_map_get(&actions->lanes, sk_span_z(key));
    if (lane) return lane;
    lane = SK_NEW(struct action_lane);
    lane->actions = actions;
    lane->key = sk_text_dup(key);
    lane->most = action->type == RULE_EMAIL || action->type == RULE_WEBHOOK ? 1 : 20;
    for (size_t i = 0; i < ACTION_TRIES; i++) sk_list_init(&lane->waiting[i]);
    sk_map_put(&actions->lanes, sk_span_z(lane->key), lane);
    return lane;
}

/* Those that were tried equally often wait equally long, so they are due in their order. */
static void wait_in(struct action_lane *lane, struct alarm_action *action) {
    action->due_ns = sk_io_now(io_of(lane->actions)) + delays_s[action->tries] * SK_S;
    sk_list_append(&lane->waiting[action->tries], &action->link);
}

/* ---- what became of one ---- */

static void settle(struct actions *actions, struct alarm_action *action,
                   enum alarm_action_state state, const char *why) {
    free(action->why);
    action->why = *why ? sk_text_dup(why) : NULL;
    action->state = (uint8_t)state;
    actions->ended_total[action->type][state]++;
    if (state == ACTION_FAILED)
        SK_SELDOM(SK_LEVEL_WARN, "hub", "%s: %s of rule %s was not done: %s",
                  actions->hub->options->name, rule_action_types[action->type],
                  action->alarm->rule->id, why);
    actions->changed(actions->arg, action->alarm);
}

static void free_attempt(struct action_attempt *a) {
    struct sk_http_client *client = a->client;
    a->client = NULL;
    a->lane->under_way--;
    if (a->action) a->action->attempt = NULL;
    sk_list_remove(&a->link);
    sk_arena_free(&a->arena);
    if (client) sk_http_client_free(client);
    free(a);
}

/* A receiver that fails gets the next only after a while, so that none of what waits for it is
 * tried in vain. */
static void pause_lane(struct action_lane *lane, unsigned wait_s) {
    unsigned s = lane->failures < 6 ? 1U << lane->failures : PAUSE_MAX_S;
    lane->failures++;
    if (wait_s > PAUSE_ASKED_MAX_S) wait_s = PAUSE_ASKED_MAX_S;
    if (wait_s > s) s = wait_s;
    lane->paused_until_ns = sk_io_now(io_of(lane->actions)) + s * SK_S;
}

void action_ended(struct action_attempt *a, enum action_end end, unsigned wait_s,
                  const char *format, ...) {
    char why[WHY_MAX] = "";
    struct action_lane *lane = a->lane;
    struct alarm_action *action = a->action;
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    free_attempt(a);
    if (lane->actions->stopped) return;
    if (lane->most == 1 && end == ACTION_END_AGAIN)
        pause_lane(lane, wait_s);
    else
        lane->failures = 0;
    pump_soon(lane);
    if (action == NULL) return;
    action->tries++;
    if (end == ACTION_END_AGAIN && action->tries < ACTION_TRIES) {
        settle(lane->actions, action, ACTION_WAITING, why);
        wait_in(lane, action);
    } else {
        settle(lane->actions, action, end == ACTION_END_DONE ? ACTION_DONE : ACTION_FAILED, why);
    }
}

/* ---- going on ---- */

/* Why it is not tried any more; NULL: it is. */
static const char *hopeless(const struct actions *actions, const struct alarm_action *action) {
    const struct alarm *alarm = action->alarm;
    int64_t age_ms = sk_io_wall(io_of(actions)) / 1000 - alarm->created_ms;
    return alarm->rule->deleted        ? "the rule was deleted"
           : action_of(action) == NULL ? "the rule has no such action any more"
           : age_ms > DAY_MS           ? "it could not be done within a day"
                                       : NULL;
}

static void begin(struct action_lane *lane, struct alarm_action *action) {
    const char *why = hopeless(lane->actions, action);
    sk_list_remove(&action->link);
    if (why) {
        char text[2 * WHY_MAX];
        snprintf(text, sizeof text, "%s%s%s", why, action->why ? ": " : "",
                 action->why ? action->why : "");
        settle(lane->actions, action, ACTION_FAILED, text);
        return;
    }
    struct action_attempt *a = SK_NEW(struct action_attempt);
    a->lane = lane;
    a->action = action;
    action->attempt = a;
    action_key(action, a->key);
    sk_list_append(&lane->actions->attempts, &a->link);
    lane->under_way++;
    action_perform(a);
}

/* The first that is due, or NULL; then `due_ns` is when one will be (UINT64_MAX: none waits). */
static struct alarm_action *first_due(const struct action_lane *lane, uint64_t now_ns,
                                      uint64_t *due_ns) {
    *due_ns = UINT64_MAX;
    for (size_t i = 0; i < ACTION_TRIES; i++) {
        struct sk_list *list = (struct sk_list *)&lane->waiting[i];
        struct alarm_action *action = SK_LIST_FIRST(list, struct alarm_action, link);
        if (action && action->due_ns <= now_ns) return action;
        if (action && action->due_ns < *due_ns) *due_ns = action->due_ns;
    }
    return NULL;
}

static void pump(struct action_lane *lane) {
    struct sk_io *io = io_of(lane->actions);
    struct sk_share share;
    uint64_t now_ns = sk_io_now(io), due_ns = UINT64_MAX;
    if (lane->actions->stopped || lane->under_way >= lane->most) return;
    sk_share_begin(&share, io);
    while (lane->under_way < lane->most && lane->paused_until_ns <= now_ns) {
        struct alarm_action *action = first_due(lane, now_ns, &due_ns);
        if (action == NULL) break;
        if (!sk_share_go_on(&share, 1)) {
            pump_soon(lane);
            return;
        }
        begin(lane, action);
    }
    if (lane->paused_until_ns > now_ns) due_ns = lane->paused_until_ns;
    if (lane->under_way >= lane->most) return;
    if (due_ns < UINT64_MAX)
        sk_timer_start(io, &lane->timer, due_ns - now_ns, on_timer);
    else if (lane->under_way == 0 && lane->mail == NULL) /* a sender of mails keeps to its rate */
        free_lane(lane);
}

void actions_add(struct actions *actions, struct alarm *alarm) {
    for (size_t i = 0; i < alarm->action_count; i++) {
        if (alarm->actions[i].state != ACTION_WAITING) continue;
        struct action_lane *lane = lane_of(actions, &alarm->actions[i]);
        wait_in(lane, &alarm->actions[i]);
        pump_soon(lane);
    }
}

void actions_forget(struct alarm *alarm) {
    for (size_t i = 0; i < alarm->action_count; i++) {
        sk_list_remove(&alarm->actions[i].link);
        if (alarm->actions[i].attempt) alarm->actions[i].attempt->action = NULL;
        free(alarm->actions[i].why);
    }
    free(alarm->actions);
}

/* ---- life ---- */

void actions_open(struct actions *actions, struct sk_hub *hub,
                  void (*changed)(void *arg, struct alarm *alarm), void *arg) {
    *actions = (struct actions){.hub = hub, .changed = changed, .arg = arg};
    sk_list_init(&actions->attempts);
}

/* Nobody hears of what a sender of mails drops. */
static void drop_mails(struct action_lane *lane, const char *why) {
    SK_LIST_EACH(&lane->actions->attempts, node, following) {
        struct action_attempt *a = SK_CONTAINER(node, struct action_attempt, link);
        if (a->lane == lane) action_ended(a, ACTION_END_AGAIN, 0, "%s", why);
    }
    sk_hub_mail_free(lane->mail);
    lane->mail = NULL;
}

void actions_reload(struct actions *actions) {
    struct action_lane *lane;
    for (size_t i = 0; (lane = sk_map_next(&actions->lanes, &i, NULL)) != NULL;)
        if (lane->mail) drop_mails(lane, "the configuration was changed meanwhile");
}

void actions_stop(struct actions *actions) {
    struct action_lane *lane;
    actions->stopped = true;
    for (size_t i = 0; (lane = sk_map_next(&actions->lanes, &i, NULL)) != NULL;) {
        sk_timer_stop(&lane->timer);
        sk_io_undefer(&lane->task);
        if (lane->mail) drop_mails(lane, "");
    }
    SK_LIST_EACH(&actions->attempts, node, following) {
        struct action_attempt *a = SK_CONTAINER(node, struct action_attempt, link);
        struct sk_http_client *client = a->client;
        a->client = NULL;
        if (client) sk_http_client_free(client); /* the attempt ends, and is freed */
    }
}

void actions_free(struct actions *actions) {
    struct action_lane *lane;
    for (size_t i = 0; (lane = sk_map_next(&actions->lanes, &i, NULL)) != NULL; i = 0)
        free_lane(lane);
    sk_map_free(&actions->lanes);
    if (actions->tls) sk_tls_free(actions->tls);
}
