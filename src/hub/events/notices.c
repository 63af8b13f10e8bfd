/* Events that the hub itself makes: twins that change, identities that are made and deleted,
 * clients that come and go, jobs, alarms. Nothing is composed unless a route asks for it, or
 * somebody watches (live.c). Reference: docs/protocols/service-api.md, section 5. */
#include <inttypes.h>
#include <stdio.h>

#include "hub/parts.h"
#include "model/digital_twin.h"
#include "model/json_text.h"

static const char *const schemas[SK_SOURCE_COUNT] = {
    [SK_SOURCE_TWIN_CHANGES] = "twinChangeNotification",
    [SK_SOURCE_DEVICE_LIFECYCLE] = "deviceLifecycleNotification",
    [SK_SOURCE_CONNECTION_STATE] = "deviceConnectionStateNotification",
    [SK_SOURCE_DIGITAL_TWIN_CHANGES] = "digitalTwinChangeNotification",
    [SK_SOURCE_JOB_LIFECYCLE] = "deviceJobLifecycleNotification",
    [SK_SOURCE_ALARMS] = "alarmNotification",
};

/* Takes `body`. `device` NULL: it is about none. */
static void emit_then(struct sk_hub *hub, enum sk_source source, const char *operation,
                      const char *device, const char *module, json_t *body, hub_emitted *done,
                      void *arg) {
    char time[SK_TIME_TEXT], id[37];
    sk_time_text(sk_io_wall(hub->backend.io), time);
    sk_io_guid(hub->backend.io, id);
    SK_CLEANUP_FREE char *text = sk_json_text(body);
    struct sk_property properties[] = {
        {SK_SPAN("hubName"), sk_span_z(hub->options->name)},
        {SK_SPAN("operationTimestamp"), sk_span_z(time)},
        {SK_SPAN("iothub-message-schema"), sk_span_z(schemas[source])},
        {SK_SPAN("opType"), sk_span_z(operation)},
        {SK_SPAN("deviceId"), sk_span_z(device)},
        {SK_SPAN("moduleId"), sk_span_z(module)},
    };
    struct sk_message message = {.source = source,
                                 .device = sk_span_z(device),
                                 .module = sk_span_z(module),
                                 .properties = properties,
                                 .property_count = device == NULL ? 4
                                                   : module       ? 6
                                                                  : 5,
                                 .body = sk_span_z(text)};
    message.system[SK_SYS_CONTENT_TYPE] = source == SK_SOURCE_DIGITAL_TWIN_CHANGES
                                              ? SK_SPAN("application/json-patch+json")
                                              : SK_SPAN("application/json");
    message.system[SK_SYS_CONTENT_ENCODING] = SK_SPAN("utf-8");
    message.system[SK_SYS_CORRELATION_ID] = sk_span_z(id);
    message.system[SK_SYS_USER_ID] = sk_span_z(hub->options->name);
    message.system[SK_SYS_MESSAGE_ID] = sk_span_z(sk_json_member_text(body, "Id"));
    if (hub_live_wants(hub, source)) hub_live_put(hub, &message);
    if (hub_routes_take(hub, source))
        hub_emit_then(hub, &message, done, arg);
    else if (done)
        done(arg, true);
    json_decref(body);
}

/* Whether anybody wants to hear of it. */
static bool is_wanted(const struct sk_hub *hub, enum sk_source source) {
    return hub_live_wants(hub, source) || hub_routes_take(hub, source);
}

static void emit(struct sk_hub *hub, enum sk_source source, const char *operation,
                 const char *device, const char *module, json_t *body) {
    emit_then(hub, source, operation, device, module, body, NULL, NULL);
}

/* Of those that have said which model they are of. */
static void tell_digital_twin(struct sk_hub *hub, const struct sk_hub_twin_change *change) {
    const struct sk_identity *identity = &change->entry->identity;
    if (identity->model_id == NULL || (!change->desired && !change->reported)) return;
    if (!is_wanted(hub, SK_SOURCE_DIGITAL_TWIN_CHANGES)) return;
    json_t *changes =
        sk_digital_twin_changes(&change->entry->twin, identity, change->desired, change->reported);
    if (json_array_size(changes))
        emit(hub, SK_SOURCE_DIGITAL_TWIN_CHANGES, "patch", identity->device_id, identity->module_id,
             changes);
    else
        json_decref(changes);
}

static void twin_changed(struct sk_hub *hub, const struct sk_hub_twin_change *change) {
    tell_digital_twin(hub, change);
    const struct sk_identity *identity = &change->entry->identity;
    const struct sk_twin *twin = &change->entry->twin;
    if (!change->tags && !change->reported && !change->desired) return;
    if (!is_wanted(hub, SK_SOURCE_TWIN_CHANGES)) return;
    emit(hub, SK_SOURCE_TWIN_CHANGES, change->replaced ? "replaceTwin" : "updateTwin",
         identity->device_id, identity->module_id,
         change->replaced
             ? sk_twin_whole_json(twin, identity)
             : sk_twin_update_json(twin, change->tags, change->desired, change->reported));
}

static void identity_changed(struct sk_hub *hub, const struct sk_identity *identity, bool made) {
    if (!is_wanted(hub, SK_SOURCE_DEVICE_LIFECYCLE)) return;
    struct sk_twin fresh = sk_twin_new();
    emit(hub, SK_SOURCE_DEVICE_LIFECYCLE, made ? "createDeviceIdentity" : "deleteDeviceIdentity",
         identity->device_id, identity->module_id, sk_twin_whole_json(&fresh, identity));
    sk_twin_free(&fresh);
}

/* Later ones are greater as texts, over restarts too: 64 hexadecimal digits, of which the time in
 * steps of 100 ns since 1601 and the count are ours to choose. */
static void number_text(const struct sk_hub *hub, char to[65]) {
    static const uint64_t unix_begins = 116444736000000000;
    uint64_t time = unix_begins + (uint64_t)sk_io_wall(hub->backend.io) * 10;
    snprintf(to, 65, "%016x%016" PRIX64 "%08x%024" PRIX64, 0, time, 0,
             hub->counts.connection_events_total);
}

static void tell_connection(struct sk_hub *hub, const struct sk_session *session, bool connected) {
    char number[65];
    if (!is_wanted(hub, SK_SOURCE_CONNECTION_STATE)) return;
    hub->counts.connection_events_total++;
    number_text(hub, number);
    emit(hub, SK_SOURCE_CONNECTION_STATE, connected ? "deviceConnected" : "deviceDisconnected",
         session->principal.device, session->principal.module,
         json_pack("{s:s}", "sequenceNumber", number));
}

void hub_job_changed(struct sk_hub *hub, const json_t *job) {
    const char *status = json_string_value(json_object_get(job, "status"));
    if (!is_wanted(hub, SK_SOURCE_JOB_LIFECYCLE)) return;
    emit(hub, SK_SOURCE_JOB_LIFECYCLE, status, NULL, NULL, json_deep_copy(job));
}

/* Told twice, after a crash, it has the same message id. */
void hub_alarm_found(struct sk_hub *hub, const json_t *alarm, hub_emitted *done, void *arg) {
    if (is_wanted(hub, SK_SOURCE_ALARMS))
        emit_then(hub, SK_SOURCE_ALARMS, "alarm", sk_json_member_text(alarm, "DeviceId"), NULL,
                  json_deep_copy(alarm), done, arg);
    else
        done(arg, true);
}

/* What routes do not hear of: who looks at it does. Takes `body`. */
static void tell_watchers(struct sk_hub *hub, enum sk_source source, const char *operation,
                          const char *device, json_t *body) {
    SK_CLEANUP_FREE char *text = sk_json_text(body);
    struct sk_property property = {SK_SPAN("opType"), sk_span_z(operation)};
    struct sk_message message = {.source = source,
                                 .device = sk_span_z(device),
                                 .properties = &property,
                                 .property_count = 1,
                                 .body = sk_span_z(text)};
    message.system[SK_SYS_CONTENT_TYPE] = SK_SPAN("application/json");
    message.system[SK_SYS_CONTENT_ENCODING] = SK_SPAN("utf-8");
    hub_live_put(hub, &message);
    json_decref(body);
}

void hub_job_moves(struct sk_hub *hub, const json_t *job) {
    tell_watchers(hub, SK_SOURCE_JOB_LIFECYCLE, "progress", NULL, json_deep_copy(job));
}

void hub_alarm_changed(struct sk_hub *hub, const char *id, const char *device, bool there) {
    if (hub_live_wants(hub, SK_SOURCE_ALARMS))
        tell_watchers(hub, SK_SOURCE_ALARMS, there ? "alarmStored" : "alarmDeleted", device,
                      json_pack("{s:s,s:s}", "Id", id, "DeviceId", device));
}

static void opened(struct sk_hub *hub, struct sk_session *session) {
    tell_connection(hub, session, true);
}

static void closed(struct sk_hub *hub, struct sk_session *session) {
    tell_connection(hub, session, false);
}

const struct sk_hub_part hub_part_notices = {.opened = opened,
                                             .closed = closed,
                                             .twin_changed = twin_changed,
                                             .identity_changed = identity_changed};
