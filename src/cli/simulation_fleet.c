/* The identities of simulated devices. */
#include <stdio.h>
#include <string.h>

#include "cli/simulation_parts.h"
#include "model/json_text.h"

enum { BATCH = 100, ID_MAX = 160 };

static void put_id(const struct fleet *fleet, const struct fleet_kind *kind, int64_t n,
                   char id[ID_MAX]) {
    snprintf(id, ID_MAX, "%s.%s.%lld", fleet->name, kind->model->id, (long long)n);
}

/* Has the hub do what a batch says; what is there already, or gone already, is as it should be. */
static const char *send_batch(struct fleet *fleet, json_t *batch) {
    struct cli *cli = fleet->cli;
    struct cli_answer answer = {0};
    size_t i, count = json_array_size(batch);
    json_t *error;
    if (count == 0) return NULL;
    const char *failed = cli_try(cli, SK_HTTP_POST, "/devices", batch, NULL, NULL, &answer);
    json_array_clear(batch);
    if (failed) return failed;
    json_array_foreach(json_object_get(answer.body, "errors"), i, error) {
        const char *what = sk_json_member_text(error, "errorCode"),
                   *why = sk_json_member_text(error, "errorStatus"),
                   *id = sk_json_member_text(error, "deviceId");
        if (what &&
            (strcmp(what, "DeviceAlreadyExists") == 0 || strcmp(what, "DeviceNotFound") == 0))
            continue;
        snprintf(cli->why, sizeof cli->why, "%s: %s", id ? id : "",
                 why    ? why
                 : what ? what
                        : "refused");
        failed = cli->why;
        break;
    }
    json_decref(answer.body);
    return failed || fleet->between == NULL ? failed : fleet->between(fleet->arg, count);
}

static size_t batch_of(const struct fleet *fleet) {
    return fleet->batch && fleet->batch < BATCH ? fleet->batch : BATCH;
}

static json_t *identity(const struct fleet *fleet, const struct fleet_kind *kind, int64_t n) {
    json_t *tags = kind->model->tags ? json_deep_copy(kind->model->tags) : json_object();
    char id[ID_MAX];
    put_id(fleet, kind, n, id);
    json_object_set_new(tags, "IsSimulated", json_string("Y"));
    json_object_set_new(tags, "Simulation", json_string(fleet->name));
    return json_pack("{s:s,s:s,s:s,s:o}", "id", id, "importMode", "create", "status", "enabled",
                     "tags", tags);
}

const char *fleet_make(struct fleet *fleet) {
    json_t *batch = json_array();
    const char *failed = NULL;
    for (size_t i = 0; i < fleet->kind_count && !failed; i++)
        for (int64_t n = 1; n <= fleet->kinds[i].count && !failed; n++) {
            json_array_append_new(batch, identity(fleet, &fleet->kinds[i], n));
            if (json_array_size(batch) == batch_of(fleet)) failed = send_batch(fleet, batch);
        }
    if (!failed) failed = send_batch(fleet, batch);
    json_decref(batch);
    return failed;
}

const char *fleet_remove(struct fleet *fleet, size_t *count) {
    json_t *all = NULL, *batch = json_array(), *row, *query = json_object();
    size_t i;
    char text[128];
    snprintf(text, sizeof text, "SELECT deviceId FROM devices WHERE tags.Simulation = '%s'",
             fleet->name);
    json_object_set_new(query, "query", json_string(text));
    const char *failed = cli_try_pages(fleet->cli, SK_HTTP_POST, "/devices/query", query, &all);
    *count = json_array_size(all);
    json_array_foreach(all, i, row) {
        json_array_append_new(batch, json_pack("{s:O,s:s}", "id", json_object_get(row, "deviceId"),
                                               "importMode", "delete"));
        if (!failed && json_array_size(batch) == batch_of(fleet)) failed = send_batch(fleet, batch);
    }
    if (!failed) failed = send_batch(fleet, batch);
    json_decref(batch);
    json_decref(query);
    json_decref(all);
    return failed;
}

enum sk_status fleet_add(struct fleet *fleet, struct sk_simulation *simulation,
                         char reason[SK_SIMULATION_REASON]) {
    char id[ID_MAX], why[SK_SIMULATION_REASON];
    for (size_t i = 0; i < fleet->kind_count; i++)
        for (int64_t n = 1; n <= fleet->kinds[i].count; n++) {
            put_id(fleet, &fleet->kinds[i], n, id);
            enum sk_status status =
                sk_simulation_add(simulation, fleet->kinds[i].model, sk_span_z(id), why);
            if (status == SK_OK) continue;
            snprintf(reason, SK_SIMULATION_REASON, "%s: %s", fleet->kinds[i].model->id, why);
            return status;
        }
    return SK_OK;
}

void fleet_free(struct fleet *fleet) {
    for (size_t i = 0; i < fleet->kind_count; i++) sk_simulation_model_free(fleet->kinds[i].model);
}
