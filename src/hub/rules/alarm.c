/* An alarm as others see it, and the words that are in its documents. */
#include <stdio.h>

#include "hub/rules/parts.h"
#include "model/json_text.h"

const char *const rule_severities[RULE_SEVERITIES + 1] = {"Critical", "Warning", "Info", NULL};
const char *const rule_action_types[RULE_ACTION_TYPES + 1] = {"Email", "Webhook", "Method",
                                                              "Message", NULL};
const char *const alarm_statuses[ALARM_STATUSES + 1] = {"open", "acknowledged", "closed", NULL};

void alarm_id(const struct alarm *alarm, char to[ALARM_ID]) {
    snprintf(to, ALARM_ID, "%012llx%016llx",
             (unsigned long long)alarm->received_ms & 0xffffffffffff,
             (unsigned long long)alarm->hash);
}

static void set_time(json_t *to, const char *name, int64_t ms) {
    char time[SK_TIME_TEXT];
    sk_time_text(ms * 1000, time);
    json_object_set_new(to, name, json_string(time));
}

json_t *alarm_json(const struct alarm *alarm) {
    char id[ALARM_ID], etag[SK_ETAG_MAX];
    alarm_id(alarm, id);
    sk_identity_etag(alarm->version, etag);
    json_t *json =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:{s:s,s:s,s:s}}", "Id", id, "ETag", etag,
                  "DeviceId", alarm->device, "Status", alarm_statuses[alarm->status], "GroupId",
                  alarm->rule->group, "Description", alarm->rule->description, "Logic",
                  alarm->rule->calculation == RULE_INSTANT ? "1Rule-1Device-1Message"
                                                           : "1Rule-1Device-NMessage",
                  "Rule", "Id", alarm->rule->id, "Severity", rule_severities[alarm->severity],
                  "Description", alarm->rule->description);
    set_time(json, "DateCreated", alarm->created_ms);
    set_time(json, "DateModified", alarm->modified_ms);
    set_time(json, "DateReceived", alarm->received_ms);
    return json;
}

static const char *const action_states[ACTION_STATES] = {"waiting", "done", "failed"};

json_t *alarm_shown(const struct alarm *alarm) {
    json_t *json = alarm_json(alarm), *list = json_array();
    for (size_t i = 0; i < alarm->action_count; i++) {
        const struct alarm_action *action = &alarm->actions[i];
        json_array_append_new(
            list, json_pack("{s:s,s:s,s:i,s:o*}", "Type", rule_action_types[action->type], "Status",
                            action_states[action->state], "Tries", action->tries, "Error",
                            action->why ? sk_json_of_text(sk_span_z(action->why)) : NULL));
    }
    json_object_set_new(json, "Actions", list);
    return json;
}
