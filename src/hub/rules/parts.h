/* Rules: what is said of telemetry, of devices of a group, and the alarms when it is so. Inside
 * src/hub/rules only.
 *
 *   rule.c    a rule and a group as documents: read, checked, shown
 *   engine.c  rules over a stream of messages, without I/O
 *   member.c  which groups a device is in
 *   alarm.c   an alarm as others see it
 *   alarms.c  the alarms: stored, told to routes
 *   action.c  what a rule does with its alarms, as documents, and its texts
 *   deliver.c when the actions of alarms are done, and what becomes of them
 *   perform.c one attempt at one
 *   watch.c   reads the hub's log through the engine
 *   shown.c   the operations on alarms: listed, counted, changed
 *   rules.c   those on rules and groups, and the part
 *
 * A window lives in memory; the log's cursor stays in front of the oldest message of an open one,
 * so what a crash takes is read again. An alarm has an id made of what it is about: found again it
 * is the same (docs/decisions/0045-alarms-once.md). What is to be done with an alarm is
 * stored with it (docs/decisions/0047-actions-with-the-alarm.md).
 * Reference: docs/protocols/remote-monitoring.md. */
#ifndef SK_HUB_RULES_PARTS_H
#define SK_HUB_RULES_PARTS_H

#include "expr/json_scan.h"
#include "hub/endpoints/sender.h"
#include "hub/parts.h"
#include "net/http_client.h"

enum {
    RULES_MAX = 200, /* deleted ones are not counted */
    GROUPS_MAX = 64, /* a bit each */
    RULE_CONDITIONS_MAX = 10,
    RULE_STEPS_MAX = 10, /* of a field's path */
    GROUP_CONDITIONS_MAX = 20,
    ALARM_ID = 29, /* characters and a NUL */
    ALARMS_MAX = 100000,
    RULE_ACTIONS_MAX = 5,
    RULE_RECIPIENTS_MAX = 20,
    ACTION_TRIES = 8,
    ACTION_KEY = ALARM_ID + 2, /* an alarm's id, '-' and the action's place */
};

enum rule_severity { RULE_CRITICAL, RULE_WARNING, RULE_INFO, RULE_SEVERITIES };
enum rule_calculation {
    RULE_INSTANT, /* each message */
    RULE_AVERAGE, /* the others: over a window */
    RULE_MINIMUM,
    RULE_MAXIMUM,
    RULE_COUNT,
    RULE_CHANGE,  /* the greatest minus the least */
    RULE_MISSING, /* nothing came in all of a window, but in the one before */
    RULE_CALCULATIONS
};
enum rule_operator { RULE_GREATER, RULE_GREATER_EQUAL, RULE_LESS, RULE_LESS_EQUAL, RULE_EQUALS };

enum rule_action_type { RULE_EMAIL, RULE_WEBHOOK, RULE_METHOD, RULE_MESSAGE, RULE_ACTION_TYPES };

struct rules;
struct alarm;

struct rule_condition {
    struct sk_json_step steps[RULE_STEPS_MAX];
    size_t step_count;
    enum rule_operator by;
    double value;
};

struct rule_action {
    enum rule_action_type type;
    const json_t *parameters; /* of the rule's document */
};

struct rule {
    struct sk_list link;
    json_t *document; /* as it is stored and shown; what is named below lives in it */
    const char *id, *group, *description;
    uint64_t etag;
    bool enabled, deleted;
    enum rule_severity severity;
    enum rule_calculation calculation;
    int64_t period_us; /* of windows */
    struct rule_condition conditions[RULE_CONDITIONS_MAX];
    size_t condition_count;
    struct rule_action actions[RULE_ACTIONS_MAX];
    size_t action_count;
    size_t number; /* how many were made before it */
    size_t place;  /* its group's bit, as of rules_changed; GROUPS_MAX: there is no such group */
};

struct group {
    struct sk_list link;
    json_t *document;
    const char *id;
    uint64_t etag;
    char *text;            /* that the query points into */
    struct sk_query query; /* without a WHERE: everyone */
};

/* ---- rule.c: documents out of requests. NULL: `error` says why not. ---- */

struct rule *rule_read(json_t *document /* taken */, char error[SK_MODEL_ERROR_MAX]);
void rule_free(struct rule *rule);
/* The rule of this id, deleted ones too; NULL: there is none. */
struct rule *rules_find(const struct rules *rules, struct sk_span id);
/* What is to be stored of a request: checked, with what was left out, and what the hub sets.
 * `before`: the rule in whose place it comes, or NULL. */
json_t *rule_document(const json_t *body, const char *id, const struct rule *before, int64_t now_us,
                      char error[SK_MODEL_ERROR_MAX]);
struct group *group_read(json_t *document /* taken */, char error[SK_MODEL_ERROR_MAX]);
void group_free(struct group *group);
json_t *group_document(const json_t *body, const char *id, uint64_t etag,
                       char error[SK_MODEL_ERROR_MAX]);

/* ---- action.c ---- */

/* The actions of a request (NULL: none) as they are stored: checked, their members spelled as we
 * spell them. `before`: those of the rule as it is, whose secrets go on where they come back as
 * they were shown; or NULL. NULL: `error` says why not. */
json_t *rule_actions_document(const json_t *actions, const json_t *before,
                              char error[SK_MODEL_ERROR_MAX]);
/* Fills rule->actions from its document. */
void rule_actions_read(struct rule *rule);
/* As they are shown: without secrets. */
json_t *rule_actions_shown(const json_t *actions);
/* Appends a webhook's signature ("v1,…", Standard Webhooks); false: `secret` is none. */
bool rule_action_sign(const char *secret, struct sk_span id, int64_t now_s, struct sk_span body,
                      struct sk_buffer *to);
/* Appends a text with the alarm's values in the place of ${deviceId} and the like; what is no such
 * name stays. `of`: the action's parameters. */
void rule_action_fill(struct sk_buffer *to, struct sk_span form, const struct alarm *alarm,
                      const struct sk_hub *hub, const json_t *of);
/* The same with each text in a document, which so stays one; owned by the caller. */
json_t *rule_action_filled(const json_t *form, const struct alarm *alarm, const struct sk_hub *hub,
                           const json_t *of);

/* ---- engine.c ---- */

/* Something that a rule is about has happened. */
struct rule_found {
    struct rule *rule;
    struct sk_span device;
    int64_t received_us; /* of the message; of a window: of the last one in it */
    uint64_t mark;       /* tells it from others of the rule and the device */
};
typedef void rule_on_found(void *arg, const struct rule_found *found);

struct rule_engine {
    struct sk_list periods; /* of open windows, the first to close first: see engine.c */
    struct sk_map open;     /* rule and device → the last window */
    size_t count;
    int64_t passed_us; /* windows that end then or before have been closed */
    int64_t whole_us;  /* of those that began before, messages are gone: there are none */
    int64_t next_us;   /* no window ends before */
    uint64_t seen;     /* messages before this one have been looked at by themselves */
    rule_on_found *found;
    void *arg;
};
/* Windows have whole minutes. */
#define RULE_PERIOD_LEAST_US 60000000ll
#define RULE_PERIOD_MOST_US 86400000000ll

void rule_engine_init(struct rule_engine *engine, rule_on_found *found, void *arg);
void rule_engine_free(struct rule_engine *engine); /* forgets all windows; usable again */
/* A rule changes or goes: its windows are forgotten. */
void rule_engine_forget(struct rule_engine *engine, const struct rule *rule);
/* Messages before this time are gone unseen: open windows are forgotten, and those that would lack
 * some of theirs are not opened. */
void rule_engine_gap(struct rule_engine *engine, int64_t time_us);
struct rule_message {
    struct sk_span device, body;
    int64_t time_us; /* when it was enqueued; never before that of an earlier one */
    uint64_t sequence;
};
/* `groups`: bits of those that the device is in; `rules`: all of them. */
void rule_engine_take(struct rule_engine *engine, const struct sk_list *rules, uint64_t groups,
                      const struct rule_message *message);
/* Nothing that was enqueued at or before `time_us` comes any more. */
void rule_engine_pass(struct rule_engine *engine, int64_t time_us);
/* The message from which open windows would have to be made again; UINT64_MAX: there are none. */
uint64_t rule_engine_least(const struct rule_engine *engine);
/* When the next window ends; INT64_MAX: none is open. */
int64_t rule_engine_next(const struct rule_engine *engine);

/* ---- member.c: which groups a device is in, as bits of their places ---- */

struct members {
    struct sk_map known; /* device → struct member */
    size_t count;
};
/* False: its twin has to be read first; then members_learn. */
bool members_find(struct members *members, struct sk_span device, uint64_t *groups);
uint64_t members_learn(struct members *members, const struct sk_list *groups, struct sk_span device,
                       const json_t *twin /* NULL: there is none */);
void members_forget(struct members *members, struct sk_span device);
void members_free(struct members *members); /* of all; usable again */

/* ---- alarm.c ---- */

/* What is to be done with an alarm, or was: of the rule's action in its place. */
enum alarm_action_state { ACTION_WAITING, ACTION_DONE, ACTION_FAILED, ACTION_STATES };
struct alarm_action {
    struct sk_list link; /* in its lane, while it waits */
    struct alarm *alarm;
    struct action_attempt *attempt; /* that is under way, or NULL */
    uint64_t due_ns;
    char *why;           /* the last attempt failed, or NULL */
    uint8_t type, state; /* enum rule_action_type, enum alarm_action_state */
    uint8_t tries;
};

enum alarm_status { ALARM_OPEN, ALARM_ACKNOWLEDGED, ALARM_CLOSED, ALARM_STATUSES };

struct alarm {
    int64_t received_ms, created_ms, modified_ms;
    uint64_t hash;
    struct rule *rule;
    char *device;
    uint32_t version;
    uint8_t status, severity;
    bool stored;     /* else it is on its way */
    bool noted;      /* what became of its actions is to be stored behind its changes */
    uint8_t changes; /* on their way to the registry */
    uint8_t action_count;
    struct alarm_action *actions;
};

void alarm_id(const struct alarm *alarm, char to[ALARM_ID]);
/* As events and webhooks have it; as it is shown: with what became of its actions. */
json_t *alarm_json(const struct alarm *alarm);
json_t *alarm_shown(const struct alarm *alarm);
/* Words; the last is NULL. */
extern const char *const rule_severities[RULE_SEVERITIES + 1];
extern const char *const rule_action_types[RULE_ACTION_TYPES + 1];
extern const char *const alarm_statuses[ALARM_STATUSES + 1];

/* ---- alarms.c ---- */

#define ALARMS_KIND SK_SPAN("alarm") /* of their documents */

struct alarms {
    struct rules *rules;
    struct alarm **sorted; /* by time, then by hash */
    size_t count, room;
    size_t on_their_way;
    bool failed;         /* one could not be stored: it is to be found again */
    uint64_t lost_total; /* the oldest, beyond ALARMS_MAX */
    uint64_t found_total;
};

/* Makes it, unless it is there already. */
void alarms_found(struct alarms *alarms, const struct rule_found *found);
/* A document of the registry. */
void alarms_load(struct alarms *alarms, struct sk_span key, struct sk_span bytes);
/* The place of the first that is this one, or behind it. */
size_t alarms_place(const struct alarms *alarms, int64_t received_ms, uint64_t hash);
struct alarm *alarms_get(const struct alarms *alarms, struct sk_span id);
/* Takes one out of the registry, then out of the list. `done` (may be NULL), here and below, never
 * from inside the call. */
void alarms_remove(struct alarms *alarms, struct alarm *alarm, sk_registry_done *done, void *arg);
/* Returns what it will be, once it is stored; owned by the caller. */
json_t *alarms_set(struct alarms *alarms, struct alarm *alarm, enum alarm_status status,
                   sk_registry_done *done, void *arg);
/* Stores what became of its actions. */
void alarms_note(struct alarms *alarms, struct alarm *alarm);
void alarms_free(struct alarms *alarms);

/* ---- deliver.c ---- */

struct actions {
    struct sk_hub *hub;
    void (*changed)(void *arg, struct alarm *alarm);
    void *arg;
    struct sk_map lanes;     /* by their keys */
    struct sk_list attempts; /* that are under way */
    struct sk_tls *tls;      /* of webhooks; NULL: not needed yet */
    bool stopped;
    uint64_t ended_total[RULE_ACTION_TYPES][ACTION_STATES]; /* WAITING: attempts that failed */
};
/* Where actions wait for their receiver. */
struct action_lane {
    struct actions *actions;
    char *key;
    struct sk_list waiting[ACTION_TRIES]; /* by how often they were tried */
    unsigned under_way, most;
    unsigned failures; /* in a row */
    uint64_t paused_until_ns;
    struct sk_timer timer;
    struct sk_task task;
    struct sk_hub_mail *mail; /* of mails; NULL: not opened yet */
};
struct action_attempt {
    struct sk_request request; /* first: of a method, or a message */
    struct sk_list link;
    struct action_lane *lane;
    struct alarm_action *action; /* NULL: its alarm has gone */
    char key[ACTION_KEY];        /* the same each time */
    struct sk_arena arena;
    struct sk_http_client *client;
    const char *host; /* of a webhook */
    struct sk_message message;
    struct sk_property properties[2];
};
/* `changed`: what became of an alarm's actions is to be stored. */
void actions_open(struct actions *actions, struct sk_hub *hub,
                  void (*changed)(void *arg, struct alarm *alarm), void *arg);
/* An alarm is stored, or loaded: what waits of it is begun. */
void actions_add(struct actions *actions, struct alarm *alarm);
/* It goes: its actions are freed, and what is under way of them ends unheard. */
void actions_forget(struct alarm *alarm);
/* hub.toml was read again: mail servers may be others. */
void actions_reload(struct actions *actions);
void actions_stop(struct actions *actions);
void actions_free(struct actions *actions);
/* The rule's action that it is; NULL: the rule has none of its type there any more. */
const struct rule_action *action_of(const struct alarm_action *action);
enum action_end { ACTION_END_DONE, ACTION_END_AGAIN, ACTION_END_REFUSED /* never */ };
/* An attempt has ended, and is freed. `wait_s`: how long its receiver asks to be left alone;
 * `format`: one sentence where it failed, else "". */
void action_ended(struct action_attempt *attempt, enum action_end end, unsigned wait_s,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* ---- perform.c ---- */

void action_key(const struct alarm_action *action, char key[ACTION_KEY]);
/* Begins it; action_ended follows once, maybe from inside. */
void action_perform(struct action_attempt *attempt);

/* ---- shown.c ---- */

void serve_alarms(struct sk_hub *hub, struct sk_request *request);
void serve_alarm(struct sk_hub *hub, struct sk_request *request);
void serve_alarm_patch(struct sk_hub *hub, struct sk_request *request);
void serve_alarm_delete(struct sk_hub *hub, struct sk_request *request);
void serve_alarms_delete(struct sk_hub *hub, struct sk_request *request);
void serve_alarms_by_rule(struct sk_hub *hub, struct sk_request *request);
void serve_alarms_of_rule(struct sk_hub *hub, struct sk_request *request);
void alarm_walks_stop(struct rules *rules); /* refuses those who wait for a list */

/* ---- rules.c ---- */

void rules_refuse(struct sk_request *request); /* there is no rule of this name */

/* ---- watch.c: the log's messages through the engine ---- */

struct rules {
    struct sk_hub *hub;
    struct sk_list list, groups; /* struct rule, struct group, as they were made */
    size_t count;                /* of rules that are not deleted */
    size_t group_count;
    struct rule_engine engine;
    struct members members;
    struct alarms alarms;
    struct actions actions;
    struct sk_cursor *cursor; /* NULL: no rule is enabled */
    struct sk_task task;
    struct sk_timer window, retry, save;
    uint64_t next;     /* message */
    uint64_t commits;  /* the cursor may, once what has been passed is stored */
    int64_t passed_us; /* as it is stored, with `seen` */
    uint64_t seen;
    const char *asking; /* the device whose twin is being read, or NULL */
    bool asking_stale, loaded, saving;
    bool writing;           /* one change of a rule or a group at a time */
    bool gap;               /* messages have gone unseen since the last */
    struct sk_list waiting; /* until all is loaded, or that change is: see hub_wait */
    struct sk_list walks;   /* over alarms: see shown.c */
    size_t numbers;         /* given to rules */
};
/* Rules or groups have changed: gives groups their bits, and reads or does not. */
void rules_changed(struct rules *rules);
/* A device's twin has changed, or it has come or gone. */
void rules_device_changed(struct rules *rules, struct sk_span device);
/* Nothing of alarms is on its way any more. */
void rules_settled(struct rules *rules);
void rules_stop(struct rules *rules);
/* What had been passed when it was stored last. */
void rules_load_passed(struct rules *rules, struct sk_span bytes);
#define RULES_PASSED_KIND SK_SPAN("rules")
#define RULES_PASSED_KEY SK_SPAN("passed")

#endif
