/* Direct methods on `$edgeAgent` (docs/protocols/edge-runtime.md, section 4.5). */
#include <regex.h>
#include <stdio.h>

#include "edge/agent/parts.h"
#include "model/json_text.h"

enum { ANSWER_MAX = 127000, LOG_LINES = 100 };

static int answer_json(struct sk_buffer *answer, int status, json_t *json) {
    char *text = sk_json_text(json);
    sk_buffer_text(answer, text);
    free(text);
    json_decref(json);
    return status;
}

static int refuse(struct sk_buffer *answer, int status, const char *sentence) {
    return answer_json(answer, status, json_pack("{s:s}", "message", sentence));
}

static int ping(struct sk_agent *agent, const json_t *payload, struct sk_buffer *answer) {
    (void)agent;
    (void)payload;
    return answer_json(answer, 200, json_null());
}

/* Requests carry a schemaVersion whose major part must be 1. */
static bool schema_fits(const json_t *payload) {
    struct sk_span version =
        sk_span_z(json_string_value(json_object_get(payload, "schemaVersion")));
    return sk_span_is(version, "1") || sk_span_starts(version, SK_SPAN("1."));
}

static int restart_module(struct sk_agent *agent, const json_t *payload, struct sk_buffer *answer) {
    const char *id = json_string_value(json_object_get(payload, "id"));
    if (!schema_fits(payload) || id == NULL)
        return refuse(answer, 400,
                      "The payload must be {\"schemaVersion\":\"1.0\",\"id\":\"module\"}.");
    if (sk_modules_restart(agent->modules, sk_span_z(id)))
        return refuse(answer, 500, "There is no such module on this device.");
    return answer_json(answer, 200, json_null());
}

struct log_ask {
    struct sk_agent *agent;
    regex_t names;
    unsigned tail;
    json_t *answer;
};

static void add_log(void *arg, const struct sk_module_view *view) {
    struct log_ask *ask = arg;
    struct sk_buffer text = {0};
    const char *name = view->state->spec->name;
    if (regexec(&ask->names, name, 0, NULL, 0)) return;
    sk_modules_log(ask->agent->modules, sk_span_z(name), ask->tail, &text);
    json_t *payload = json_stringn(text.p ? text.p : "", text.n);
    /* A program may write what is no UTF-8. */
    json_array_append_new(
        ask->answer, json_pack("{s:s,s:n,s:o}", "id", name, "payloadBytes", "payload",
                               payload ? payload : json_string("(the log is not text in UTF-8)")));
    sk_buffer_free(&text);
}

static const char *add_item(struct sk_agent *agent, const json_t *item, json_t *logs) {
    struct log_ask ask = {.agent = agent, .tail = LOG_LINES, .answer = logs};
    const char *id = json_string_value(json_object_get(item, "id"));
    const json_t *tail = json_object_get(json_object_get(item, "filter"), "tail");
    if (id == NULL || strlen(id) > 256)
        return "Each item needs an id: a regular expression for module names.";
    if (tail && (!json_is_integer(tail) || json_integer_value(tail) < 1 ||
                 json_integer_value(tail) > 100000))
        return "filter.tail must be a number of lines from 1 to 100000.";
    if (tail) ask.tail = (unsigned)json_integer_value(tail);
    if (regcomp(&ask.names, id, REG_EXTENDED | REG_NOSUB))
        return "The id is not a regular expression.";
    sk_modules_each(agent->modules, add_log, &ask);
    regfree(&ask.names);
    return NULL;
}

/* True when the member is absent or has this text. */
static bool is_or_absent(const json_t *payload, const char *name, const char *text) {
    const json_t *value = json_object_get(payload, name);
    return value == NULL || json_is_null(value) ||
           sk_span_eq_nocase(sk_span_z(json_string_value(value)), sk_span_z(text));
}

static int get_module_logs(struct sk_agent *agent, const json_t *payload,
                           struct sk_buffer *answer) {
    const json_t *items = json_object_get(payload, "items");
    const char *mistake = NULL;
    if (!schema_fits(payload) || items == NULL)
        return refuse(answer, 400,
                      "The payload must be "
                      "{\"schemaVersion\":\"1.0\","
                      "\"items\":[{\"id\":\"module\",\"filter\":{\"tail\":10}}]}.");
    if (!is_or_absent(payload, "encoding", "none"))
        return refuse(answer, 400, "Only encoding none is supported.");
    if (!is_or_absent(payload, "contentType", "text"))
        return refuse(answer, 400, "Only contentType text is supported.");
    json_t *logs = json_array();
    if (json_is_object(items)) mistake = add_item(agent, items, logs);
    for (size_t i = 0; i < json_array_size(items) && !mistake; i++)
        mistake = add_item(agent, json_array_get(items, i), logs);
    if (mistake) {
        json_decref(logs);
        return refuse(answer, 400, mistake);
    }
    answer_json(answer, 200, logs);
    if (answer->n <= ANSWER_MAX) return 200;
    answer->n = 0;
    return refuse(answer, 400,
                  "The logs are longer than 127000 bytes; ask for fewer lines with filter.tail.");
}

int agent_method(struct sk_agent *agent, struct sk_span name, struct sk_span payload,
                 struct sk_buffer *answer) {
    static const struct {
        const char *name;
        int (*answer)(struct sk_agent *agent, const json_t *payload, struct sk_buffer *answer);
    } methods[] = {
        {"ping", ping}, {"RestartModule", restart_module}, {"GetModuleLogs", get_module_logs}};
    json_t *json = json_loadb(payload.p ? payload.p : "", payload.n, JSON_DECODE_ANY, NULL);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (!sk_span_eq_nocase(name, sk_span_z(methods[i].name))) continue;
        int status = methods[i].answer(agent, json, answer);
        json_decref(json);
        return status;
    }
    json_decref(json);
    return refuse(answer, 400,
                  "This method is not known; there are ping, RestartModule and GetModuleLogs.");
}
