/* Rules over a stream of messages, as Azure's remote monitoring has them: windows are open at the
 * start and closed at the end, (16:00, 16:05], aligned to the clock, by the time at which messages
 * were enqueued. */
#include <math.h>

#include "hub/rules/parts.h"

struct value {
    double sum, least, most;
    uint64_t count;
};

/* Windows that are equally long end in the order in which they are opened. */
struct period {
    struct sk_list link;
    int64_t us;
    struct sk_list windows;
};

struct window {
    struct sk_list link;
    struct rule *rule;
    struct sk_span device; /* into `key` */
    char *key;
    int64_t end_us, last_us;
    uint64_t first; /* message */
    struct value values[];
};

void rule_engine_init(struct rule_engine *engine, rule_on_found *found, void *arg) {
    *engine = (struct rule_engine){.found = found, .arg = arg, .next_us = INT64_MAX};
    sk_list_init(&engine->periods);
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

/* Those of one rule, or (NULL) all. */
static void forget(struct rule_engine *engine, const struct rule *rule) {
    SK_LIST_EACH(&engine->periods, each, after) {
        struct period *period = SK_CONTAINER(each, struct period, link);
        SK_LIST_EACH(&period->windows, node, following) {
            struct window *window = SK_CONTAINER(node, struct window, link);
            if (rule == NULL || window->rule == rule) window_free(engine, window);
        }
    }
}

void rule_engine_free(struct rule_engine *engine) {
    struct period *period;
    forget(engine, NULL);
    while ((period = SK_LIST_FIRST(&engine->periods, struct period, link)) != NULL) {
        sk_list_remove(&period->link);
        free(period);
    }
    sk_map_free(&engine->open);
    engine->open = (struct sk_map){0};
    engine->next_us = INT64_MAX;
}

void rule_engine_forget(struct rule_engine *engine, const struct rule *rule) {
    forget(engine, rule);
}

void rule_engine_gap(struct rule_engine *engine, int64_t time_us) {
    forget(engine, NULL);
    engine->whole_us = time_us;
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
    struct rule *rule = window->rule;
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

static struct period *period_of(struct rule_engine *engine, int64_t us) {
    struct period *period;
    SK_LIST_EACH(&engine->periods, node, following) {
        period = SK_CONTAINER(node, struct period, link);
        if (period->us == us) return period;
    }
    period = SK_NEW(struct period);
    period->us = us;
    sk_list_init(&period->windows);
    sk_list_append(&engine->periods, &period->link);
    return period;
}

static void put_last(struct rule_engine *engine, struct window *window) {
    sk_list_remove(&window->link);
    sk_list_append(&period_of(engine, window->rule->period_us)->windows, &window->link);
    if (window->end_us < engine->next_us) engine->next_us = window->end_us;
}

static int64_t end_of(int64_t time_us, int64_t period_us) {
    int64_t windows = time_us / period_us;
    return time_us % period_us ? (windows + 1) * period_us : time_us;
}

/* Of a device's silence there is one window, which the next message moves. */
static bool goes_on(const struct window *window, int64_t end_us) {
    return window && (window->end_us == end_us || window->rule->calculation == RULE_MISSING);
}

static struct window *window_of(struct rule_engine *engine, struct rule *rule,
                                const struct rule_message *message, int64_t end_us) {
    bool silence = rule->calculation == RULE_MISSING; /* that begins with the message */
    if (end_us <= engine->passed_us) return NULL;
    if (!silence && end_us - rule->period_us < engine->whole_us) return NULL;
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
        sk_list_init(&window->link);
        put_last(engine, window);
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

static void take_into_window(struct rule_engine *engine, struct rule *rule,
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
static void take_sign_of_life(struct rule_engine *engine, struct rule *rule,
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
    put_last(engine, window); /* ends behind all others of its period */
}

void rule_engine_take(struct rule_engine *engine, const struct sk_list *rules, uint64_t groups,
                      const struct rule_message *message) {
    rule_engine_pass(engine, message->time_us - 1);
    SK_LIST_EACH((struct sk_list *)rules, node, following) {
        struct rule *rule = SK_CONTAINER(node, struct rule, link);
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

/* When the next window ends, exactly. */
static int64_t next_end(const struct rule_engine *engine) {
    int64_t next = INT64_MAX;
    SK_LIST_EACH((struct sk_list *)&engine->periods, node, following) {
        const struct period *period = SK_CONTAINER(node, struct period, link);
        if (sk_list_empty(&period->windows)) continue;
        const struct window *window = SK_CONTAINER(period->windows.next, struct window, link);
        if (window->end_us < next) next = window->end_us;
    }
    return next;
}

void rule_engine_pass(struct rule_engine *engine, int64_t time_us) {
    if (time_us > engine->passed_us) engine->passed_us = time_us;
    if (time_us < engine->next_us) return; /* as with nearly every message */
    SK_LIST_EACH(&engine->periods, node, following) {
        struct period *period = SK_CONTAINER(node, struct period, link);
        while (!sk_list_empty(&period->windows)) {
            struct window *window = SK_CONTAINER(period->windows.next, struct window, link);
            if (window->end_us > time_us) break;
            close_window(engine, window);
        }
    }
    engine->next_us = next_end(engine);
}

uint64_t rule_engine_least(const struct rule_engine *engine) {
    uint64_t least = UINT64_MAX;
    SK_LIST_EACH((struct sk_list *)&engine->periods, node, following) {
        const struct period *period = SK_CONTAINER(node, struct period, link);
        if (sk_list_empty(&period->windows)) continue;
        const struct window *window = SK_CONTAINER(period->windows.next, struct window, link);
        if (window->first < least) least = window->first;
    }
    return least;
}

int64_t rule_engine_next(const struct rule_engine *engine) {
    return next_end(engine);
}
