/* What a rule does with its alarms, as documents in Azure's form: {"Type","Parameters":{…}}; and
 * their texts with an alarm's values in the place of ${deviceId} and the like. */
#include <stdio.h>

#include "hub/rules/parts.h"
#include "model/json_text.h"
#include "trust/sas.h"
#include "wire/mail.h"

enum {
    SUBJECT_MAX = 256, /* bytes, of all of these */
    NOTES_MAX = 2048,
    URL_MAX = 2048,
    METHOD_MAX = 100, /* as of a method that services call */
    ID_MAX = 128,
    ENDPOINT_MAX = 64,
    JSON_MAX = 8192,
    SECRET_LEAST = 24, /* by Standard Webhooks */
    SECRET_MOST = 64,
};

#define SECRET_PREFIX SK_SPAN("whsec_")
#define SECRET_SHOWN "********"

/* ---- parameters ---- */

struct parameter {
    const char *name;
    bool (*fine)(const json_t *value, const struct parameter *parameter);
    size_t least, most; /* bytes; texts alone */
    const char *needs;  /* "{name} …", said when it is not fine */
};

static bool is_text(const json_t *value, const struct parameter *parameter) {
    size_t n = json_string_length(value);
    return json_is_string(value) && n >= parameter->least && n <= parameter->most;
}

/* Without line breaks and the like, and no NUL among its characters. */
static bool is_line(const json_t *value, const struct parameter *parameter) {
    if (!is_text(value, parameter)) return false;
    for (size_t i = 0; i < json_string_length(value); i++)
        if ((unsigned char)json_string_value(value)[i] < ' ') return false;
    return true;
}

static bool are_addresses(const json_t *value, const struct parameter *parameter) {
    size_t count = json_array_size(value);
    (void)parameter;
    if (count == 0 || count > RULE_RECIPIENTS_MAX) return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *one = json_array_get(value, i);
        if (!sk_mail_address_fine(sk_span(json_string_value(one), json_string_length(one))))
            return false;
    }
    return true;
}

static bool is_url(const json_t *value, const struct parameter *parameter) {
    struct sk_url url;
    return is_line(value, parameter) &&
           sk_url_parse(sk_span_z(json_string_value(value)), &url) == SK_OK && url.host.n;
}

static bool is_secret(const json_t *value, const struct parameter *parameter) {
    struct sk_span text = sk_span_z(json_string_value(value));
    struct sk_buffer key = {0};
    (void)parameter;
    bool fine = sk_span_starts(text, SECRET_PREFIX) &&
                sk_base64_decode(&key, sk_span_skip(text, SECRET_PREFIX.n)) == SK_OK &&
                key.n >= SECRET_LEAST && key.n <= SECRET_MOST;
    sk_buffer_free(&key);
    return fine;
}

static bool is_small(const json_t *value, const struct parameter *parameter) {
    struct sk_buffer text = {0};
    (void)parameter;
    sk_json_put(&text, value, 0);
    bool fine = text.n <= JSON_MAX;
    sk_buffer_free(&text);
    return fine;
}

#define SMALL "is JSON of at most 8192 bytes"

/* Those with a `least` must be there, and lists of addresses; the last of a type has no name. */
static const struct parameter parameters[RULE_ACTION_TYPES][5] = {
    [RULE_EMAIL] = {{"Recipients", are_addresses, 1, 0, "is a list of 1 to 20 mail addresses"},
                    {"Subject", is_line, 1, SUBJECT_MAX,
                     "is a text of 1 to 256 bytes without line breaks"},
                    {"Notes", is_text, 0, NOTES_MAX, "is a text of at most 2048 bytes"},
                    {"Endpoint", is_line, 0, ENDPOINT_MAX, "is the name of an endpoint"}},
    [RULE_WEBHOOK] = {{"Url", is_url, 1, URL_MAX,
                       "is http://… or https://… of at most 2048 bytes, without a user"},
                      {"Secret", is_secret, 0, 0, "is whsec_ and 24 to 64 bytes in base64"},
                      {"Body", is_small, 0, 0, SMALL}},
    [RULE_METHOD] = {{"Name", is_line, 1, METHOD_MAX, "is a method's name of 1 to 100 bytes"},
                     {"Module", is_line, 0, ID_MAX, "is the id of a module"},
                     {"Payload", is_small, 0, 0, SMALL}},
    [RULE_MESSAGE] = {{"Body", is_small, 1, 0, SMALL}}};

/* A member by its name in any case. */
static json_t *member_nocase(const json_t *object, const char *name) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        if (sk_span_eq_nocase(sk_span_z(key), sk_span_z(name))) return value;
    }
    return NULL;
}

static const struct parameter *parameter_of(size_t type, const char *name) {
    for (const struct parameter *p = parameters[type]; p->name; p++)
        if (sk_span_eq_nocase(sk_span_z(name), sk_span_z(p->name))) return p;
    return NULL;
}

static bool wrong(char error[SK_MODEL_ERROR_MAX], const char *type, const char *name,
                  const char *needs) {
    snprintf(error, SK_MODEL_ERROR_MAX, "Actions: %s of %s %s", name, type, needs);
    return false;
}

/* What nobody knows would be left out without a word. */
static bool all_known(size_t type, const json_t *from, char error[SK_MODEL_ERROR_MAX]) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)from, key, value) {
        if (parameter_of(type, key)) continue;
        struct sk_buffer names = {0};
        for (const struct parameter *p = parameters[type]; p->name; p++)
            sk_buffer_print(&names, "%s%s", names.n ? ", " : "", p->name);
        snprintf(error, SK_MODEL_ERROR_MAX, "Actions: %s takes %.*s, and no %.40s",
                 rule_action_types[type], (int)names.n, names.p, key);
        sk_buffer_free(&names);
        return false;
    }
    return true;
}

/* The secret that a webhook had for the same URL, where it comes back as it was shown. */
static json_t *kept_secret(const json_t *before, const json_t *url) {
    size_t i;
    json_t *one;
    json_array_foreach(before, i, one) {
        const json_t *had = json_object_get(one, "Parameters");
        if (url && json_equal((json_t *)url, json_object_get(had, "Url")))
            return json_object_get(had, "Secret");
    }
    return NULL;
}

static bool read_parameters(size_t type, const json_t *from, const json_t *before, json_t *to,
                            char error[SK_MODEL_ERROR_MAX]) {
    if (from && !json_is_object(from))
        return wrong(error, rule_action_types[type], "Parameters", "is an object");
    if (!all_known(type, from, error)) return false;
    for (const struct parameter *p = parameters[type]; p->name; p++) {
        json_t *value = member_nocase(from, p->name);
        if (p->fine == is_secret && sk_span_is(sk_span_z(json_string_value(value)), SECRET_SHOWN)) {
            value = kept_secret(before, member_nocase(from, "Url"));
            if (value == NULL)
                return wrong(error, rule_action_types[type], p->name,
                             "has to be said anew with another Url");
        }
        if (value == NULL && p->least == 0) continue;
        if (value == NULL || !p->fine(value, p))
            return wrong(error, rule_action_types[type], p->name, p->needs);
        json_object_set_new(to, p->name, json_deep_copy(value));
    }
    return true;
}

static size_t type_of(const json_t *action) {
    struct sk_span text = sk_span_z(json_string_value(member_nocase(action, "Type")));
    size_t type = 0;
    while (rule_action_types[type] && !sk_span_eq_nocase(text, sk_span_z(rule_action_types[type])))
        type++;
    return type;
}

/* ---- documents ---- */

json_t *rule_actions_document(const json_t *actions, const json_t *before,
                              char error[SK_MODEL_ERROR_MAX]) {
    json_t *to = json_array(), *one;
    size_t i;
    bool fine = actions == NULL || json_is_null(actions) ||
                (json_is_array(actions) && json_array_size(actions) <= RULE_ACTIONS_MAX);
    if (!fine)
        snprintf(error, SK_MODEL_ERROR_MAX, "Actions is a list of at most %d", RULE_ACTIONS_MAX);
    json_array_foreach(actions, i, one) {
        if (!fine) break;
        size_t type = type_of(one);
        fine = type < RULE_ACTION_TYPES;
        if (!fine) {
            snprintf(error, SK_MODEL_ERROR_MAX,
                     "Actions: Type is one of Email, Webhook, Method, Message");
            break;
        }
        json_t *parameters_to = json_object();
        fine =
            read_parameters(type, member_nocase(one, "Parameters"), before, parameters_to, error);
        json_array_append_new(to, json_pack("{s:s,s:o}", "Type", rule_action_types[type],
                                            "Parameters", parameters_to));
    }
    if (fine) return to;
    json_decref(to);
    return NULL;
}

void rule_actions_read(struct rule *rule) {
    const json_t *list = json_object_get(rule->document, "Actions"), *one;
    size_t i;
    json_array_foreach(list, i, one) {
        size_t type = type_of(one);
        if (type == RULE_ACTION_TYPES || rule->action_count == RULE_ACTIONS_MAX) return;
        rule->actions[rule->action_count++] =
            (struct rule_action){(enum rule_action_type)type, json_object_get(one, "Parameters")};
    }
}

json_t *rule_actions_shown(const json_t *actions) {
    json_t *shown = json_deep_copy(actions), *one;
    size_t i;
    json_array_foreach(shown, i, one) {
        json_t *of = json_object_get(one, "Parameters");
        if (json_object_get(of, "Secret"))
            json_object_set_new(of, "Secret", json_string(SECRET_SHOWN));
    }
    return shown;
}

bool rule_action_sign(const char *secret, struct sk_span id, int64_t now_s, struct sk_span body,
                      struct sk_buffer *to) {
    unsigned char digest[32];
    struct sk_buffer text = {0};
    sk_buffer_print(&text, "%.*s.%lld.", SK_ARG(id), (long long)now_s);
    sk_buffer_append(&text, body);
    bool fine = sk_sas_hmac(sk_span_skip(sk_span_z(secret), SECRET_PREFIX.n), sk_buffer_span(&text),
                            digest) == SK_OK;
    sk_buffer_text(to, "v1,");
    sk_base64_encode(to, sk_span((char *)digest, sizeof digest));
    sk_buffer_free(&text);
    return fine;
}

/* ---- values in texts ---- */

static void put_url(struct sk_buffer *to, const struct alarm *alarm, const struct sk_hub *hub) {
    char id[ALARM_ID];
    alarm_id(alarm, id);
    sk_buffer_print(to, "https://%s/portal/alarms?device=",
                    hub->options->host_name_count ? hub->options->host_names[0] : "localhost");
    sk_percent_encode(to, sk_span_z(alarm->device));
    sk_buffer_print(to, "&range=all&id=%s", id);
}

static bool put_value(struct sk_buffer *to, struct sk_span name, const struct alarm *alarm,
                      const struct sk_hub *hub, const json_t *of) {
    char id[ALARM_ID], date[SK_TIME_HTTP_TEXT];
    const struct rule *rule = alarm->rule;
    alarm_id(alarm, id);
    sk_time_http_text(alarm->received_ms * 1000, date);
    const struct {
        const char *name, *value;
    } known[] = {{"alarmId", id},
                 {"alarmDate", date},
                 {"ruleId", rule->id},
                 {"ruleName", sk_json_member_text(rule->document, "Name")},
                 {"ruleDescription", rule->description},
                 {"ruleSeverity", rule_severities[alarm->severity]},
                 {"deviceId", alarm->device},
                 {"subject", sk_json_member_text(of, "Subject")},
                 {"notes", sk_json_member_text(of, "Notes")}};
    if (sk_span_is(name, "alarmUrl")) {
        put_url(to, alarm, hub);
        return true;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!sk_span_is(name, known[i].name)) continue;
        sk_buffer_append(to, sk_span_z(known[i].value));
        return true;
    }
    return false;
}

void rule_action_fill(struct sk_buffer *to, struct sk_span form, const struct alarm *alarm,
                      const struct sk_hub *hub, const json_t *of) {
    while (form.n) {
        size_t open = sk_span_find(form, '$');
        struct sk_span behind = sk_span_skip(form, open + 1);
        sk_buffer_append(to, sk_span_first(form, open));
        if (open == form.n) return;
        form = behind;
        if (behind.n && behind.p[0] == '{') {
            size_t close = sk_span_find(behind, '}');
            struct sk_span name = sk_span_skip(sk_span_first(behind, close), 1);
            if (close < behind.n && put_value(to, name, alarm, hub, of)) {
                form = sk_span_skip(behind, close + 1);
                continue;
            }
        }
        sk_buffer_byte(to, '$');
    }
}

json_t *rule_action_filled(const json_t *form, const struct alarm *alarm, const struct sk_hub *hub,
                           const json_t *of) {
    const char *key;
    json_t *value, *to;
    size_t i;
    switch (json_typeof(form)) {
    case JSON_OBJECT:
        to = json_object();
        json_object_foreach((json_t *)form, key, value) {
            json_object_set_new(to, key, rule_action_filled(value, alarm, hub, of));
        }
        return to;
    case JSON_ARRAY:
        to = json_array();
        json_array_foreach(form, i, value) {
            json_array_append_new(to, rule_action_filled(value, alarm, hub, of));
        }
        return to;
    case JSON_STRING: {
        struct sk_buffer text = {0};
        rule_action_fill(&text, sk_span(json_string_value(form), json_string_length(form)), alarm,
                         hub, of);
        to = sk_json_of_text(sk_buffer_span(&text));
        sk_buffer_free(&text);
        return to;
    }
    default: return json_incref((json_t *)form);
    }
}
