/* A fleet whose hub keeps time series. */
#ifndef TESTS_SERIES_H
#define TESTS_SERIES_H

#include "support/fleet.h"

#define SERIES_TOML(more) FLEET_TOML_HUB FLEET_TOML_OWNER "[hub.series]\nenabled = true\n" more

/* The hub starts again with another hub.toml. */
static inline void series_restart(struct fleet *f, const char *toml) {
    char error[SK_HUB_CONFIG_ERROR_MAX];
    fleet_stop_hub(f);
    sk_hub_config_free(&f->config);
    if (sk_hub_config_parse(sk_span_z(toml), "hub.toml", "", &f->config, error))
        fail_msg("%s", error);
    fleet_start_hub(f);
    sk_sim_run(f->sim, 2 * SK_S); /* the service hears that its connection is gone */
}

static inline void series_say(struct fleet *f, const char *device, const char *body) {
    char path[64];
    snprintf(path, sizeof path, "/devices/%s/messages/events", device);
    fleet_call(f, SK_HTTP_POST, path, body);
    assert_int_equal(f->status, 204);
}

/* The last answer has this text in it. */
static inline void series_has(struct fleet *f, const char *text) {
    if (f->answer == NULL || strstr(f->answer, text) == NULL)
        fail_msg("%s\nis not in\n%u %s", text, f->status, f->answer);
}

static inline void series_post(struct fleet *f, const char *path, const char *body) {
    fleet_call(f, SK_HTTP_POST, path, body);
    if (f->status != 200) fail_msg("%s: %u %s", path, f->status, f->answer);
}

#endif
