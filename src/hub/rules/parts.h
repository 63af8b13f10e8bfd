/* Rules: what is said of telemetry, of devices of a group, and the alarms when it is so. Inside
 * src/hub/rules only.
 *
 *   rule.c    a rule and a group as documents: read, checked, shown
 *   engine.c  rules over a stream of messages, without I/O
 *   member.c  which groups a device is in
 *   alarms.c  the alarms: stored, told to routes, listed, counted
 *   watch.c   reads the hub's log through the engine
 *   rules.c   the operations, and the part
 *
 * A window lives in memory; the log's cursor stays in front of the oldest message of an open one,
 * so what a crash takes is read again. An alarm has an id made of what it is about: found again it
 * is the same (docs/decisions/0045-alarms-once.md).
 * Reference: docs/protocols/remote-monitoring.md. */
#ifndef SK_HUB_RULES_PARTS_H
#define SK_HUB_RULES_PARTS_H

#include "expr/json_scan.h"
#include "hub/parts.h"

enum {
    RULES_MAX = 200, /* deleted ones are not counted */
    GROUPS_MAX = 64, /* a bit each */
    RULE_CONDITIONS_MAX = 10,
    RULE_STEPS_MAX = 10, /* of a field's path */
    GROUP_CONDITIONS_MAX = 20,
    ALARM_ID = 29, /* characters and a NUL */
    ALARMS_MAX = 100000,
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

struct rules;

struct rule_condition {
    struct sk_json_step steps[RULE_STEPS_MAX];
    size_t step_count;
    enum rule_operator by;
    double value;
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
    size_t place; /* its group's bit, as of rules_changed; GROUPS_MAX: there is no such group */
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
/* What is to be stored of a request: checked, with what was left out, and what the hub sets. */
json_t *rule_document(const json_t *body, const char *id, int64_t created_us, int64_t now_us,
                      uint64_t etag, char error[SK_MODEL_ERROR_MAX]);
struct group *group_read(json_t *document /* taken */, char error[SK_MODEL_ERROR_MAX]);
void group_free(struct group *group);
json_t *group_document(const json_t *body, const char *id, uint64_t etag,
                       char error[SK_MODEL_ERROR_MAX]);
extern const char *const rule_severities[RULE_SEVERITIES + 1];

/* ---- engine.c ---- */

/* Something that a rule is about has happened. */
struct rule_found {
    const struct rule *rule;
    struct sk_span device;
    int64_t received_us; /* of the message; of a window: of the last one in it */
    uint64_t mark;       /* tells it from others of the rule and the device */
};
typedef void rule_on_found(void *arg, const struct rule_found *found);

struct rule_engine {
    struct sk_list windows[4]; /* open ones by period, the first to close first */
    struct sk_map open;        /* rule and device → the last window */
    size_t count;
    int64_t passed_us; /* windows that end then or before have been closed */
    uint64_t seen;     /* messages before this one have been looked at by themselves */
    rule_on_found *found;
    void *arg;
};
enum { RULE_PERIODS = 4 };
extern const int64_t rule_periods[RULE_PERIODS]; /* µs */

void rule_engine_init(struct rule_engine *engine, rule_on_found *found, void *arg);
void rule_engine_free(struct rule_engine *engine); /* forgets all windows; usable again */
/* A rule changes or goes: its windows are forgotten. */
void rule_engine_forget(struct rule_engine *engine, const struct rule *rule);
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

/* ---- alarms.c ---- */

enum alarm_status { ALARM_OPEN, ALARM_ACKNOWLEDGED, ALARM_CLOSED, ALARM_STATUSES };

struct alarm {
    int64_t received_ms, created_ms, modified_ms;
    uint64_t hash;
    const struct rule *rule;
    char *device;
    uint32_t version;
    uint8_t status, severity;
    bool stored; /* else it is on its way */
};

struct alarms {
    struct rules *rules;
    struct alarm **sorted; /* by time, then by hash */
    size_t count, room;
    size_t on_their_way;
    bool failed;         /* one could not be stored: it is to be found again */
    uint64_t lost_total; /* the oldest, beyond ALARMS_MAX */
    uint64_t found_total;
};

void alarm_id(const struct alarm *alarm, char to[ALARM_ID]);
json_t *alarm_json(const struct alarm *alarm);
/* Makes it, unless it is there already. */
void alarms_found(struct alarms *alarms, const struct rule_found *found);
/* A document of the registry. */
void alarms_load(struct alarms *alarms, struct sk_span key, struct sk_span bytes);
struct alarm *alarms_get(const struct alarms *alarms, struct sk_span id);
/* Takes one out of the registry, then out of the list. `done` (may be NULL), here and below, never
 * from inside the call. */
void alarms_remove(struct alarms *alarms, const struct alarm *alarm, sk_registry_done *done,
                   void *arg);
/* Returns what it will be, once it is stored; owned by the caller. */
json_t *alarms_set(struct alarms *alarms, const struct alarm *alarm, enum alarm_status status,
                   sk_registry_done *done, void *arg);
void alarms_free(struct alarms *alarms);
extern const char *const alarm_statuses[ALARM_STATUSES + 1];

/* ---- watch.c: the log's messages through the engine ---- */

struct rules {
    struct sk_hub *hub;
    struct sk_list list, groups; /* struct rule, struct group, as they were made */
    size_t count;                /* of rules that are not deleted */
    size_t group_count;
    struct rule_engine engine;
    struct members members;
    struct alarms alarms;
    struct sk_cursor *cursor; /* NULL: no rule is enabled */
    struct sk_task task;
    struct sk_timer window, retry, save;
    uint64_t next;     /* message */
    uint64_t commits;  /* the cursor may, once what has been passed is stored */
    int64_t passed_us; /* as it is stored, with `seen` */
    uint64_t seen;
    const char *asking; /* the device whose twin is being read, or NULL */
    bool asking_stale, loaded, saving;
    struct sk_list waiting; /* see hub_wait */
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
