/* Records of what is asked of the hub and who connects, with Azure's categories and names: JSON
 * lines in files that are kept within bounds. What a record holds: docs/how-to/operate-a-hub.md;
 * docs/protocols/service-api.md, section 10. */
#include "hub/records.h"

#include <stdio.h>

#include "hub/record_file.h"
#include "model/json_text.h"

static const char *const categories[SK_CATEGORY_COUNT] = {
    [SK_CATEGORY_CONNECTIONS] = "Connections",
    [SK_CATEGORY_TELEMETRY] = "DeviceTelemetry",
    [SK_CATEGORY_C2D] = "C2DCommands",
    [SK_CATEGORY_IDENTITIES] = "DeviceIdentityOperations",
    [SK_CATEGORY_FILES] = "FileUploadOperations",
    [SK_CATEGORY_D2C_TWINS] = "D2CTwinOperations",
    [SK_CATEGORY_C2D_TWINS] = "C2DTwinOperations",
    [SK_CATEGORY_QUERIES] = "TwinQueries",
    [SK_CATEGORY_JOBS] = "JobsOperations",
    [SK_CATEGORY_METHODS] = "DirectMethods",
    [SK_CATEGORY_CONFIGURATIONS] = "Configurations",
    [SK_CATEGORY_ADMINISTRATION] = "Administrative",
    [SK_CATEGORY_STORAGE_READ] = "StorageRead",
    [SK_CATEGORY_STORAGE_WRITE] = "StorageWrite",
    [SK_CATEGORY_STORAGE_DELETE] = "StorageDelete",
};

static const struct row {
    unsigned char category;
    const char *name;
} rows[SK_OP_COUNT] = {
#define SK_OPERATION(op, right, device, edge_device, module, edge_hub, body, throttle, category,   \
                     record)                                                                       \
    [SK_OP_##op] = {SK_CATEGORY_##category, record},
#include "model/operations.def"
};

/* ---- a record ---- */

static bool wanted(const struct sk_hub *hub, enum sk_category category) {
    return hub->records && hub->options->records.categories & 1u << category;
}

/* How it ended; `code` empty: well. */
struct outcome {
    int status;
    const char *code, *why;
};

/* Takes the properties, which Azure gives as a text within the record. */
static void put_outcome(struct sk_hub *hub, enum sk_category category, const char *operation,
                        const struct outcome *outcome, json_t *properties, json_t *record) {
    char when[SK_TIME_TEXT], status[16];
    struct sk_buffer line = {0};
    bool failed = outcome->code[0] != 0;
    sk_time_text(sk_io_wall(hub->backend.io), when);
    snprintf(status, sizeof status, "%d", outcome->status);
    json_object_set_new(properties, "statusCode", json_string(status));
    SK_CLEANUP_FREE char *text = sk_json_text(properties);
    json_object_set_new(record, "time", json_string(when));
    json_object_set_new(record, "resourceId", json_string(hub->options->name));
    json_object_set_new(record, "category", json_string(categories[category]));
    json_object_set_new(record, "operationName", json_string(operation));
    json_object_set_new(record, "level", json_string(failed ? "Error" : "Information"));
    if (failed) json_object_set_new(record, "resultType", json_string(outcome->code));
    if (failed) json_object_set_new(record, "resultDescription", json_string(outcome->why));
    json_object_set_new(record, "properties", json_string(text));
    sk_json_put(&line, record, 0);
    sk_buffer_byte(&line, '\n');
    record_file_put(hub->records, sk_buffer_span(&line));
    sk_buffer_free(&line);
    json_decref(properties);
    json_decref(record);
}

static void put(struct sk_hub *hub, enum sk_category category, const char *operation,
                const struct sk_error *error, json_t *properties, json_t *record) {
    struct outcome outcome = {200, "", ""};
    char code[16];
    if (error) {
        const struct sk_fault_kind *kind = sk_fault_kind(error->fault);
        snprintf(code, sizeof code, "%d", kind->code);
        outcome = (struct outcome){kind->http_status, code, sk_error_text(error)};
    }
    put_outcome(hub, category, operation, &outcome, properties, record);
}

static void set_span(json_t *object, const char *name, struct sk_span value) {
    if (value.n) json_object_set_new(object, name, sk_json_of_text(value));
}

static void set_who(json_t *properties, const struct sk_principal *who) {
    char address[SK_IP_TEXT];
    sk_ip_masked(&who->ip, address);
    if (who->policy) json_object_set_new(properties, "policy", json_string(who->policy));
    if (who->protocol) json_object_set_new(properties, "protocol", json_string(who->protocol));
    if (who->actor) json_object_set_new(properties, "onBehalfBy", json_string(who->actor));
    json_object_set_new(properties, "maskedIpAddress", json_string(address));
}

/* ---- requests ---- */

static const char *name_of(const struct sk_request *request, const struct sk_error *error) {
    const char *name = rows[request->op].name;
    bool creates = (request->op == SK_OP_IDENTITY_PUT || request->op == SK_OP_CONFIGURATION_PUT) &&
                   request->if_match.n == 0;
    if (request->op == SK_OP_TELEMETRY && error == NULL) return ""; /* they are too many */
    if (creates) return request->op == SK_OP_IDENTITY_PUT ? "create" : "CreateConfiguration";
    return name;
}

void hub_record(struct sk_hub *hub, const struct sk_request *request,
                const struct sk_error *error) {
    enum sk_category category = (enum sk_category)rows[request->op].category;
    const char *name = name_of(request, error);
    if (*name == 0) return;
    json_t *properties = json_object(), *whole = json_object();
    set_span(properties, "deviceId", request->device);
    set_span(properties, "moduleId", request->module);
    if (request->op != SK_OP_QUERY) set_span(properties, "name", request->name);
    if (request->op == SK_OP_QUERY) set_span(properties, "query", request->name);
    set_who(properties, request->who);
    uint64_t took_ns = sk_io_now(hub->backend.io) - request->asked_ns;
    json_object_set_new(whole, "durationMs", json_integer((json_int_t)(took_ns / SK_MS)));
    json_object_set_new(whole, "correlationId", json_string(request->correlation));
    put(hub, category, name, error, properties, whole);
}

bool hub_records_want(struct sk_hub *hub, struct sk_request *request) {
    if (!wanted(hub, (enum sk_category)rows[request->op].category)) return false;
    if (request->correlation[0] == 0) sk_io_guid(hub->backend.io, request->correlation);
    request->recorded = true;
    return true;
}

/* ---- the blob service ---- */

void hub_record_storage(struct sk_hub *hub, const struct hub_storage_record *what) {
    char guid[37], address[SK_IP_TEXT];
    if (!wanted(hub, what->category)) return;
    json_t *properties = json_object(), *whole = json_object();
    uint64_t took_ns = sk_io_now(hub->backend.io) - what->asked_ns;
    set_span(properties, "container", what->container);
    set_span(properties, "blob", what->blob);
    set_span(properties, "accountName", what->account);
    json_object_set_new(properties, "authenticationType",
                        json_string(what->account.n ? "AccountKey" : "SAS"));
    sk_ip_masked(what->ip, address);
    json_object_set_new(properties, "maskedIpAddress", json_string(address));
    sk_io_guid(hub->backend.io, guid);
    json_object_set_new(whole, "correlationId", json_string(guid));
    json_object_set_new(whole, "durationMs", json_integer((json_int_t)(took_ns / SK_MS)));
    put_outcome(hub, what->category, what->operation,
                &(struct outcome){(int)what->status, what->code, what->why}, properties, whole);
}

/* ---- connections ---- */

static void record_connection(struct sk_hub *hub, const char *operation, struct sk_span device,
                              struct sk_span module, const struct sk_principal *who,
                              const struct sk_error *error) {
    char guid[37];
    if (!wanted(hub, SK_CATEGORY_CONNECTIONS)) return;
    json_t *properties = json_object(), *whole = json_object();
    set_span(properties, "deviceId", device);
    set_span(properties, "moduleId", module);
    set_who(properties, who);
    if (who->auth_method)
        json_object_set_new(properties, "authType", json_string(who->auth_method));
    sk_io_guid(hub->backend.io, guid);
    json_object_set_new(whole, "correlationId", json_string(guid));
    put(hub, SK_CATEGORY_CONNECTIONS, operation, error, properties, whole);
}

static void record_session(struct sk_hub *hub, const struct sk_session *session,
                           const char *operation, enum sk_fault why) {
    const struct sk_principal *who = &session->principal;
    struct sk_error error;
    sk_error_set(&error, why, NULL);
    record_connection(hub, operation, sk_span_z(who->device), sk_span_z(who->module), who,
                      why ? &error : NULL);
}

static void opened(struct sk_hub *hub, struct sk_session *session) {
    record_session(hub, session, "deviceConnect", SK_FAULT_NONE);
}

static void closed(struct sk_hub *hub, struct sk_session *session) {
    record_session(hub, session, "deviceDisconnect", session->ended);
}

static void refused(struct sk_hub *hub, const struct sk_refusal *refusal) {
    record_connection(hub, "deviceConnect", refusal->device, refusal->module, refusal->who,
                      refusal->error);
}

/* ---- its life ---- */

static bool is_same(const struct sk_hub_records_options *a,
                    const struct sk_hub_records_options *b) {
    return a->folder && b->folder && strcmp(a->folder, b->folder) == 0 && a->bytes == b->bytes &&
           a->files == b->files;
}

static enum sk_status open_records(struct sk_hub *hub, char reason[512]) {
    const struct sk_hub_records_options *options = &hub->options->records;
    if (options->folder == NULL) return SK_OK;
    enum sk_status status =
        record_file_open(hub->backend.io,
                         &(struct record_file_options){options->folder, hub->options->name,
                                                       options->bytes, options->files},
                         &hub->records);
    if (status)
        snprintf(reason, 512, "records cannot be written to %s: %s%s", options->folder,
                 sk_status_text(status),
                 status == SK_FORBIDDEN
                     ? "; make it a folder of the user that the hub runs as, or start the hub again"
                     : "");
    return status;
}

static void free_records(struct sk_hub *hub) {
    record_file_close(hub->records);
    hub->records = NULL;
}

static void reload(struct sk_hub *hub, const struct sk_hub_options *before) {
    char reason[512];
    if (is_same(&hub->options->records, &before->records)) return;
    free_records(hub);
    if (open_records(hub, reason)) SK_ERROR("hub", "%s", reason);
}

uint64_t hub_records_lost(const struct sk_hub *hub) {
    return hub->records ? record_file_lost(hub->records) : 0;
}

/* ---- its keys ---- */

static bool read_categories(const json_t *value, unsigned *bits) {
    size_t i, c;
    json_t *text;
    *bits = 0;
    if (!json_is_array(value)) return false;
    json_array_foreach((json_t *)value, i, text) {
        for (c = 1; c < SK_CATEGORY_COUNT; c++)
            if (json_is_string(text) && strcmp(categories[c], json_string_value(text)) == 0) break;
        if (c == SK_CATEGORY_COUNT) return false;
        *bits |= 1u << c;
    }
    return true;
}

static bool measure_categories(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    unsigned bits;
    (void)key;
    *n = (int64_t)json_array_size(value);
    return read_categories(value, &bits);
}

static void take_categories(struct sk_config *config, const struct sk_config_key *key,
                            const char *path, const json_t *value, void *to) {
    unsigned bits = 0;
    (void)config, (void)path;
    read_categories(value, &bits);
    sk_config_store(key, to, bits);
}

static const struct sk_config_type record_categories = {
    .words = "a list of",
    .link = " ",
    .unit = " categories: Connections, DeviceTelemetry, C2DCommands, DeviceIdentityOperations, "
            "FileUploadOperations, D2CTwinOperations, C2DTwinOperations, TwinQueries, "
            "JobsOperations, DirectMethods, Configurations, Administrative, StorageRead, "
            "StorageWrite, StorageDelete",
    .measure = measure_categories,
    .take = take_categories};

#define RECORDS(field) SK_CONFIG_AT(struct sk_hub_options, records.field)

static const struct sk_config_key keys[] = {
    {"hub[].records", &sk_config_table,
     .does = "Records of what is asked of the hub and who connects, as JSON lines with Azure's "
             "categories and names",
     .page = "how-to/operate-a-hub.md"},
    {"hub[].records.folder", &sk_config_path, RECORDS(folder), .such_as = "\"records\"",
     .otherwise_words = "none are written", .does = "Where they go: `NAME.jsonl`, and full ones"},
    {"hub[].records.file_bytes", &sk_config_bytes, RECORDS(bytes), .least = 65536,
     .otherwise = "16777216", .does = "A file with more gets a number, and a new one is begun"},
    {"hub[].records.files", &sk_config_integer, RECORDS(files), .least = 2, .most = 100,
     .otherwise = "8", .does = "So many files are kept"},
    {"hub[].records.categories", &record_categories, RECORDS(categories), .least = 1,
     .most = SK_CATEGORY_COUNT - 1,
     .otherwise = "[\"Connections\", \"DeviceTelemetry\", \"C2DCommands\", "
                  "\"DeviceIdentityOperations\", \"FileUploadOperations\", \"C2DTwinOperations\", "
                  "\"TwinQueries\", \"JobsOperations\", \"DirectMethods\", \"Configurations\", "
                  "\"Administrative\", \"StorageRead\", \"StorageWrite\", \"StorageDelete\"]",
     .such_as = "[\"Connections\"]", .does = "Which of them; of telemetry only what was refused"},
    {0}};

static const struct sk_hub_metric metrics[] = {{"skerry_hub_records_lost_total",
                                                "Records that the disk did not take in time.",
                                                SK_HUB_COUNT(records_lost_total)},
                                               {0}};

const struct sk_hub_part hub_part_records = {.keys = keys,
                                             .metrics = metrics,
                                             .open = open_records,
                                             .reload = reload,
                                             .opened = opened,
                                             .closed = closed,
                                             .refused = refused,
                                             .free = free_records};
