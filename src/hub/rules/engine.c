/* Rules over a stream of messages, as Azure's remote monitoring has them: windows are open at the
 * start and closed at the end, (16:00, 16:05], aligned to the clock, by the time at which messages
 * were enqueued. */
#include <math.h>

#include "hub/rules/parts.h"

const int64_t rule_periods[RULE_PERIODS] = {60000000, 300000000, 600000000, 3600000000};

struct value {
    double sum, least, most;
    uint64_t count;
};

struct window {
    struct sk_list link;
    const struct rule *rule;
    struct sk_span device; /* into `key` */
    char *key;
    int64_t end_us, last_us;
    uint64_t first; /* message */
    struct value values[];
};

void rule_engine_init(struct rule_engine *engine, rule_on_found *found, void *arg) {
    *engine = (struct rule_engine){.found = found, .arg = arg};
    for (size_t i = 0; i < RULE_PERIODS; i++) sk_list_init(&engine->windows[i]);
}

static struct sk_span key_of(const struct window *window) {
    size_t id = strlen(window->rule->id);
    return sk_span(window->key, id + 1 + window->device.n);
}

static void window_free(struct rule_engine *engine, struct window *window) {
    if (sk_map_get(&engine->open, key_of(window)) == window)
        sk_map_remove(&engine->open, key_of(window));
    sk_list_remove(&window->link);
    engine->count--;
    free(window->key);
    free(window);
}

void rule_engine_free(struct rule_engine *engine) {
    for (size_t i = 0; i < RULE_PERIODS; i++) SK_LIST_EACH(&engine->windows[i], node, following)
    window_free(engine, SK_CONTAINER(node, struct window, link));
    sk_map_free(&engine->open);
    engine->open = (struct sk_map){0};
}

void rule_engine_forget(struct rule_engine *engine, const struct rule *rule) {
    for (size_t i = 0; i < RULE_PERIODS; i++) SK_LIST_EACH(&engine->windows[i], node, following) {
            struct window *window = SK_CONTAINER(node, struct window, link);
            if (window->rule == rule) window_free(engine, window);
        }
}

/* ---- conditions ---- */

static bool holds(const struct rule_condition *condition, double value) {
    switch (condition->by) {
    case RULE_GREATER: return value > condition->value;
    case RULE_GREATER_EQUAL: return value >= condition->value;
    case RULE_LESS: return value < condition->value;
    case RULE_LESS_EQUAL: return value <= condition->value;
    case RULE_EQUALS: return value == condition->value;
    }
    return false;
}

/* A number at the condition's path; what else stands there is none. */
static bool find(const struct rule_condition *condition, struct sk_span body, double *value) {
    struct sk_json json;
    if (sk_json_find(body, condition->steps, condition->step_count, false, &json) != SK_OK ||
        json.type != SK_VALUE_NUMBER || !isfinite(json.number))
        return false;
    *value = json.number;
    return true;
}

static bool all_hold(const struct rule *rule, struct sk_span body) {
    double value;
    for (size_t i = 0; i < rule->condition_count; i++)
        if (!find(&rule->conditions[i], body, &value) || !holds(&rule->conditions[i], value))
            return false;
    return true;
}

static double of_window(enum rule_calculation calculation, const struct value *value) {
    switch (calculation) {
    case RULE_AVERAGE: return value->sum / (double)value->count;
    case RULE_MINIMUM: return value->least;
    case RULE_MAXIMUM: return value->most;
    case RULE_COUNT: return (double)value->count;
    default: return value->most - value->least;
    }
}

static void close_window(struct rule_engine *engine, struct window *window) {
    const struct rule *rule = window->rule;
    bool all = true;
    for (size_t i = 0; i < rule->condition_count && all && rule->calculation != RULE_MISSING; i++)
        all = window->values[i].count &&
              holds(&rule->conditions[i], of_window(rule->calculation, &window->values[i]));
    if (all)
        engine->found(engine->arg, &(struct rule_found){.rule = rule,
                                                        .device = window->device,
                                                        .received_us = window->last_us,
                                                        .mark = (uint64_t)window->end_us});
    window_free(engine, window);
}

/* ---- messages ---- */

static size_t period_of(const struct rule *rule) {
    size_t i = 0;
    while (i + 1 < RULE_PERIODS && rule_periods[i] != rule->period_us) i++;
    return i;
}

static int64_t end_of(int64_t time_us, int64_t period_us) {
    int64_t windows = time_us / period_us;
    return time_us % period_us ? (windows + 1) * period_us : time_us;
}

/* Of a device's silence there is one window, which the next message moves. */
static bool goes_on(const struct window *window, int64_t end_us) {
    return window && (window->end_us == end_us || window->rule->calculation == RULE_MISSING);
}

static struct window *window_of(struct rule_engine *engine, const struct rule *rule,
                                const struct rule_message *message, int64_t end_us) {
    if (end_us <= engine->passed_us) return NULL;
    struct sk_buffer key = {0};
    sk_buffer_print(&key, "%s\n%.*s", rule->id, SK_ARG(message->device));
    struct window *window = sk_map_get(&engine->open, sk_buffer_span(&key));
    if (!goes_on(window, end_us)) {
        window = sk_alloc(sizeof *window + rule->condition_count * sizeof *window->values);
        window->rule = rule;
        window->key = sk_span_dup(sk_buffer_span(&key));
        window->device = sk_span(window->key + strlen(rule->id) + 1, message->device.n);
        window->end_us = end_us;
        window->first = message->sequence;
        sk_map_put(&engine->open, key_of(window), window);
        sk_list_append(&engine->windows[period_of(rule)], &window->link);
        engine->count++;
    }
    sk_buffer_free(&key);
    return window;
}

static void add(struct value *value, double number) {
    if (value->count == 0 || number < value->least) value->least = number;
    if (value->count == 0 || number > value->most) value->most = number;
    value->sum += number;
    value->count++;
}

static void take_into_window(struct rule_engine *engine, const struct rule *rule,
                             const struct rule_message *message) {
    struct window *window = NULL;
    double number;
    for (size_t i = 0; i < rule->condition_count; i++) {
        if (!find(&rule->conditions[i], message->body, &number)) continue;
        if (window == NULL)
            window = window_of(engine, rule, message, end_of(message->time_us, rule->period_us));
        if (window == NULL) return;
        add(&window->values[i], number);
        window->last_us = message->time_us;
    }
}

/* What is missing is whatever has all the fields of the rule. */
static void take_sign_of_life(struct rule_engine *engine, const struct rule *rule,
                              const struct rule_message *message) {
    struct sk_json json;
    int64_t end_us = end_of(message->time_us, rule->period_us) + rule->period_us;
    for (size_t i = 0; i < rule->condition_count; i++)
        if (sk_json_find(message->body, rule->conditions[i].steps, rule->conditions[i].step_count,
                         false, &json) != SK_OK)
            return;
    struct window *window = window_of(engine, rule, message, end_us);
    if (window == NULL) return;
    window->end_us = end_us;
    window->first = message->sequence;
    window->last_us = message->time_us;
    sk_list_remove(&window->link); /* ends behind all others of its period */
    sk_list_append(&engine->windows[period_of(rule)], &window->link);
}

void rule_engine_take(struct rule_engine *engine, const struct sk_list *rules, uint64_t groups,
                      const struct rule_message *message) {
    rule_engine_pass(engine, message->time_us - 1);
    SK_LIST_EACH((struct sk_list *)rules, node, following) {
        const struct rule *rule = SK_CONTAINER(node, struct rule, link);
        if (!rule->enabled || rule->deleted || rule->place >= GROUPS_MAX ||
            !(groups >> rule->place & 1))
            continue;
        if (rule->calculation == RULE_MISSING)
            take_sign_of_life(engine, rule, message);
        else if (rule->calculation != RULE_INSTANT)
            take_into_window(engine, rule, message);
        else if (message->sequence >= engine->seen && all_hold(rule, message->body))
            engine->found(engine->arg, &(struct rule_found){.rule = rule,
                                                            .device = message->device,
                                                            .received_us = message->time_us,
                                                            .mark = message->sequence});
    }
}

void rule_engine_pass(struct rule_engine *engine, int64_t time_us) {
    if (time_us > engine->passed_us) engine->passed_us = time_us;
    for (size_t i = 0; i < RULE_PERIODS; i++)
        while (!sk_list_empty(&engine->windows[i])) {
            struct window *window = SK_CONTAINER(engine->windows[i].next, struct window, link);
            if (window->end_us > time_us) break;
            close_window(engine, window);
        }
}

uint64_t rule_engine_least(const struct rule_engine *engine) {
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < RULE_PERIODS; i++) {
        const struct sk_list *list = &engine->windows[i];
        if (sk_list_empty(list)) continue;
        const struct window *window = SK_CONTAINER(list->next, struct window, link);
        if (window->first < least) least = window->first;
    }
    return least;
}

int64_t rule_engine_next(const struct rule_engine *engine) {
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < RULE_PERIODS; i++) {
        const struct sk_list *list = &engine->windows[i];
        if (sk_list_empty(list)) continue;
        const struct window *window = SK_CONTAINER(list->next, struct window, link);
        if (window->end_us < next) next = window->end_us;
    }
    return next;
}
