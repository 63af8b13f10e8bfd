/* What $edgeHub reports of itself: the state of the deployment, and who is connected. Reference:
 * docs/protocols/edge-runtime.md, section 3.5. */
#include <stdio.h>

#include "edge/hub/parts.h"
#include "model/json_text.h"

enum { SETTLE_MS = 1000 /* changes in quick succession become one report */ };

/* Twin keys hold no '.', '$' or space; '/' stays. */
static void put_client_key(struct sk_buffer *to, const char *key) {
    for (; *key; key++)
        if (*key == '.' || *key == '$' || *key == ' ')
            sk_buffer_print(to, "%%%02X", *key);
        else
            sk_buffer_byte(to, *key);
}

static void set_time(json_t *client, const char *name, int64_t wall_us) {
    char text[SK_TIME_TEXT];
    if (wall_us == 0) return;
    sk_time_text(wall_us, text);
    json_object_set_new(client, name, json_string(text));
}

/* Those that are here, and modules that were; a leaf device that has left is not listed. */
static json_t *clients(struct sk_edge_hub *hub) {
    json_t *list = json_object();
    struct sk_edge_identity *identity;
    for (size_t i = 0; (identity = sk_map_next(&hub->identities, &i, NULL)) != NULL;) {
        const struct sk_identity *who = &identity->identity;
        bool here = sk_directory_find(&hub->backend, sk_span_z(who->device_id),
                                      sk_span_z(who->module_id)) != NULL;
        bool was = who->module_id && identity->disconnected_us;
        if (identity == hub->self || !(here || was)) continue;
        struct sk_buffer key = {0};
        put_client_key(&key, identity->key);
        sk_buffer_byte(&key, 0);
        json_t *client = json_pack("{s:s}", "status", here ? "Connected" : "Disconnected");
        set_time(client, "lastConnectedTimeUtc", identity->connected_us);
        set_time(client, "lastDisconnectedTimeUtc", identity->disconnected_us);
        json_object_set_new(list, key.p, client);
        sk_buffer_free(&key);
    }
    return list;
}

static json_t *report(struct sk_edge_hub *hub) {
    return json_pack("{s:s,s:{s:s},s:I,s:{s:i,s:o},s:o}", "schemaVersion", "1.0", "version",
                     "version", SK_VERSION, "lastDesiredVersion", (json_int_t)hub->routing.version,
                     "lastDesiredStatus", "code", hub->routing.code, "description",
                     sk_json_of_text(sk_span_z(hub->routing.text)), "clients", clients(hub));
}

static void on_reported(void *arg, enum sk_status status, unsigned code, struct sk_span body,
                        uint64_t version) {
    (void)version;
    struct sk_edge_hub *hub = arg;
    if (hub->closing || (status == SK_OK && code < 400)) return;
    SK_WARN("edge-hub", "the report was not taken (%s, %u): %.*s", sk_status_text(status), code,
            SK_ARG(body));
    json_decref(hub->report.last); /* say everything again next time */
    hub->report.last = NULL;
}

static void on_timer(struct sk_timer *timer) {
    struct sk_edge_hub *hub = SK_CONTAINER(timer, struct sk_edge_hub, report.timer);
    if (!hub->counts.upstream_connected || hub->routing.code == 0)
        return; /* the next connect or deployment comes here again */
    json_t *now = report(hub), *patch;
    if (hub->report.last) {
        patch = sk_json_diff(hub->report.last, now);
    } else {
        /* First report since the start: whatever was there of clients is old. */
        patch = json_deep_copy(now);
        sk_device_client_report(hub->self->client, SK_SPAN("{\"clients\":null}"), on_reported, hub);
    }
    if (json_object_size(patch)) {
        SK_CLEANUP_FREE char *text = sk_json_text(patch);
        sk_device_client_report(hub->self->client, sk_span_z(text), on_reported, hub);
    }
    json_decref(patch);
    json_decref(hub->report.last);
    hub->report.last = now;
}

void edge_report_soon(struct sk_edge_hub *hub) {
    if (!hub->closing && !sk_timer_running(&hub->report.timer))
        sk_timer_start(hub->backend.io, &hub->report.timer, SETTLE_MS * SK_MS, on_timer);
}

static void stop(struct sk_edge_hub *hub) {
    sk_timer_stop(&hub->report.timer);
    json_decref(hub->report.last);
    hub->report.last = NULL;
}

static void opened(struct sk_edge_hub *hub, struct sk_session *session,
                   struct sk_edge_identity *identity) {
    (void)session;
    if (identity) {
        identity->connected_us = sk_io_wall(hub->backend.io);
        edge_count(hub, SK_EDGE_CONNECTS, (struct sk_span[]){sk_span_z(identity->key)});
    }
    edge_report_soon(hub);
}

static void closed(struct sk_edge_hub *hub, struct sk_session *session,
                   struct sk_edge_identity *identity) {
    (void)session;
    if (identity) {
        identity->disconnected_us = sk_io_wall(hub->backend.io);
        edge_count(hub, SK_EDGE_DISCONNECTS, (struct sk_span[]){sk_span_z(identity->key)});
    }
    edge_report_soon(hub);
}

const struct sk_edge_part edge_part_report = {.stop = stop, .opened = opened, .closed = closed};
