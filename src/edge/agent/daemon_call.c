#include "edge/agent/daemon_call.h"

#include <stdio.h>

#include "model/json_text.h"

static const char API_VERSION[] = "2022-08-03";

void ask_daemon(struct module_world *world, enum sk_http_method method, const char *what,
                const char *name, struct sk_span body, daemon_done *done, void *arg) {
    struct sk_buffer target = {0};
    sk_buffer_print(&target, "/%s/", what);
    sk_percent_encode(&target, sk_span_z(name));
    sk_buffer_print(&target, "?api-version=%s", API_VERSION);
    sk_http_client_send(world->management, &(struct sk_http_ask){.method = method,
                                                                 .target = sk_buffer_span(&target),
                                                                 .body = body,
                                                                 .done = done,
                                                                 .arg = arg});
    sk_buffer_free(&target);
}

json_t *daemon_answered(enum sk_status status, const struct sk_http_parser *answer, char why[160]) {
    if (status) {
        snprintf(why, 160, "the daemon cannot be asked: %s", sk_status_text(status));
        return NULL;
    }
    json_t *json = sk_json_load(sk_buffer_span(&answer->body), 0, NULL);
    if (answer->status / 100 == 2 && json) return json;
    const char *message = json_string_value(json_object_get(json, "message"));
    snprintf(why, 160, "%.150s", message ? message : sk_http_reason(answer->status));
    json_decref(json);
    return NULL;
}
