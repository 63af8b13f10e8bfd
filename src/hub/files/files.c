/* Files of devices: where one may put a file, and that it has. The file itself goes to the blob
 * service, past us. An upload under way is a document of the registry, so that the device can say
 * how it went after a restart, too; it is forgotten when its signature has expired.
 * Reference: docs/protocols/service-api.md, section 9. */
#include <stdio.h>

#include "azure/blob_auth.h"
#include "hub/account.h"
#include "model/json_text.h"

enum {
    UPLOADS_MAX = 10, /* of a device at once */
    SWEEP_S = 600,
    SWEEP_PAGE = 200,
    BLOB_NAME_SIZE_MAX = 1024, /* of a blob */
};
#define UPLOADS SK_SPAN("upload")
#define NOTICE_TYPE "application/json"

struct files {
    struct sk_hub *hub;
    struct hub_account *account; /* NULL: the hub's own blob service */
    struct sk_list starts;       /* uploads that begin: struct start */
    struct sk_timer sweep;
    char *after; /* where the sweep is */
};

/* ---- one begins ---- */

/* Those of a device begin one after the other, so that they are counted. */
struct start {
    struct sk_list link;
    struct sk_hub *hub;
    struct sk_request *request;
    char *blob; /* "device/name" */
    char correlation[37];
};

static void begin(struct start *start);

static struct start *next_of(struct sk_hub *hub, struct sk_span device) {
    SK_LIST_EACH(&hub->files->starts, node, following) {
        struct start *start = SK_CONTAINER(node, struct start, link);
        if (sk_span_eq(start->request->device, device)) return start;
    }
    return NULL;
}

/* The request is to be answered; the next of its device begins. */
static struct sk_request *end_start(struct start *start) {
    struct sk_request *request = start->request;
    struct sk_hub *hub = start->hub;
    sk_list_remove(&start->link);
    free(start->blob);
    free(start);
    struct start *next = next_of(hub, request->device);
    if (next) begin(next);
    return request;
}

static struct sk_span host_of(const struct start *start) {
    const struct hub_account *account = start->hub->files->account;
    return account ? hub_account_host(account) : start->request->host;
}

static json_t *answer_of(const struct start *start, int64_t until_us) {
    struct sk_hub *hub = start->hub;
    const struct hub_account *account = hub->files->account;
    const char *container = hub->options->files.container;
    struct sk_span host = host_of(start);
    struct sk_blob_target target = {.account = account ? hub_account_name(account)
                                                       : sk_span_z(hub->options->name),
                                    .container = sk_span_z(container),
                                    .blob = sk_span_z(start->blob)};
    struct sk_buffer sas = {0};
    sk_blob_sas_put(&sas, &target, account ? hub_account_key(account) : hub_blobs_key(hub),
                    SK_BLOB_READ | SK_BLOB_CREATE | SK_BLOB_WRITE, until_us);
    json_t *answer = json_pack("{s:s,s:s%,s:s,s:s,s:s%}", "correlationId", start->correlation,
                               "hostName", host.p, host.n, "containerName", container, "blobName",
                               start->blob, "sasToken", sas.p, sas.n);
    sk_buffer_free(&sas);
    return answer;
}

static int64_t until_of(const struct sk_hub *hub) {
    return sk_io_wall(hub->backend.io) + hub->options->files.signature_ttl_us;
}

static void stored(void *arg, const struct sk_registry_end *end) {
    struct start *start = arg;
    if (end->status) {
        sk_request_refuse(end_start(start), sk_fault_of_status(end->status), NULL);
        return;
    }
    json_t *answer = answer_of(start, until_of(start->hub));
    struct sk_request *request = end_start(start);
    sk_request_answer_json(request, answer);
}

static int64_t expiry_of(const struct sk_registry_document *document) {
    json_t *upload = sk_json_load(document->bytes, 0, NULL);
    int64_t until = json_integer_value(json_object_get(upload, "until"));
    json_decref(upload);
    return until;
}

static void counted(void *arg, const struct sk_registry_end *end,
                    const struct sk_registry_documents *list) {
    struct start *start = arg;
    struct sk_hub *hub = start->hub;
    struct sk_request *request = start->request;
    struct sk_buffer key = {0};
    size_t active = 0;
    if (end->status) {
        sk_request_refuse(end_start(start), sk_fault_of_status(end->status), NULL);
        return;
    }
    sk_buffer_print(&key, "%.*s/", SK_ARG(request->device));
    for (size_t i = 0; i < list->count; i++) {
        const struct sk_registry_document *document = &list->documents[i];
        if (!sk_span_starts(document->key, sk_buffer_span(&key))) break;
        if (expiry_of(document) > sk_io_wall(hub->backend.io))
            active++;
        else
            sk_registry_document_delete(hub->registry, UPLOADS, document->key, NULL, NULL);
    }
    sk_buffer_text(&key, start->correlation);
    if (active >= UPLOADS_MAX) {
        sk_request_refuse(end_start(start), SK_FAULT_UPLOADS_IN_FLIGHT, NULL);
    } else {
        struct sk_span host = host_of(start);
        json_t *upload = json_pack("{s:s,s:s,s:s%,s:I}", "blob", start->blob, "container",
                                   hub->options->files.container, "host", host.p, host.n, "until",
                                   (json_int_t)until_of(hub));
        SK_CLEANUP_FREE char *text = sk_json_text(upload);
        json_decref(upload);
        sk_registry_document_put(hub->registry, UPLOADS, sk_buffer_span(&key), sk_span_z(text),
                                 stored, start);
    }
    sk_buffer_free(&key);
}

static void begin(struct start *start) {
    struct sk_buffer prefix = {0};
    sk_buffer_print(&prefix, "%.*s/", SK_ARG(start->request->device));
    sk_registry_document_list(start->hub->registry, UPLOADS, sk_buffer_span(&prefix),
                              2 * UPLOADS_MAX, counted, start);
    sk_buffer_free(&prefix);
}

static bool name_fine(struct sk_span name, struct sk_span device) {
    struct sk_span rest = name, segment;
    if (name.n == 0 || name.n + device.n + 1 > BLOB_NAME_SIZE_MAX) return false;
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] < 0x20) return false;
    while (sk_span_split(&rest, '/', &segment))
        if (sk_span_is(segment, ".") || sk_span_is(segment, "..")) return false;
    return true;
}

static void upload(struct sk_hub *hub, struct sk_request *request) {
    json_t *text = json_object_get(request->body, "blobName");
    struct sk_span name = sk_span(json_string_value(text), json_string_length(text));
    if (!name_fine(name, request->device)) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "blobName is missing, longer than %d bytes with the device's id, or has "
                          "a segment . or .. or control characters",
                          BLOB_NAME_SIZE_MAX);
        return;
    }
    struct sk_buffer blob = {0};
    struct start *start = SK_NEW(struct start);
    bool waits = next_of(hub, request->device) != NULL;
    sk_buffer_print(&blob, "%.*s/%.*s", SK_ARG(request->device), SK_ARG(name));
    start->hub = hub;
    start->request = request;
    start->blob = sk_span_dup(sk_buffer_span(&blob));
    sk_buffer_free(&blob);
    sk_io_guid(hub->backend.io, start->correlation);
    sk_list_append(&hub->files->starts, &start->link);
    if (!waits) begin(start);
}

/* ---- one has ended ---- */

struct ending {
    struct sk_hub *hub;
    struct sk_request *request;
    json_t *upload;
    char *key;
    bool fine; /* as the device says */
};

static struct sk_request *free_ending(struct ending *ending) {
    struct sk_request *request = ending->request;
    json_decref(ending->upload);
    free(ending->key);
    free(ending);
    return request;
}

static void end_with(struct ending *ending, enum sk_status status) {
    struct sk_hub *hub = ending->hub;
    uint64_t *count = ending->fine ? &hub->counts.uploads_total : &hub->counts.uploads_failed_total;
    if (status) {
        struct sk_request *request = free_ending(ending);
        bool unknown = status == SK_NOT_FOUND;
        sk_request_refuse(request, unknown ? SK_FAULT_NOT_FOUND : sk_fault_of_status(status),
                          unknown ? "the device uploads nothing with this correlation id" : NULL);
    } else {
        (*count)++;
        sk_request_answer(free_ending(ending));
    }
}

static void forgotten(void *arg, const struct sk_registry_end *end) {
    end_with(arg, end->status);
}

static void noticed(void *arg, const struct sk_registry_end *end, uint64_t newest) {
    struct ending *ending = arg;
    struct sk_hub *hub = ending->hub;
    if (!end->status && !hub->closing) {
        hub->counts.file_notices_total++;
        outbox_added(&hub->file_notices, 1, newest);
    }
    end_with(ending, end->status);
}

static void put_uri(struct sk_buffer *to, const json_t *upload) {
    struct sk_span rest = sk_span_z(sk_json_member_text(upload, "blob")), segment;
    sk_buffer_print(to, "https://%s/%s", sk_json_member_text(upload, "host"),
                    sk_json_member_text(upload, "container"));
    while (sk_span_split(&rest, '/', &segment)) {
        sk_buffer_byte(to, '/');
        sk_percent_encode(to, segment);
    }
    sk_buffer_byte(to, 0);
}

static json_t *notice_of(const struct ending *ending, uint64_t size, int64_t modified_us) {
    struct sk_span device = ending->request->device;
    struct sk_buffer uri = {0};
    char now[SK_TIME_TEXT], modified[SK_TIME_TEXT + 8];
    put_uri(&uri, ending->upload);
    sk_time_text(sk_io_wall(ending->hub->backend.io), now);
    sk_time_text(modified_us, modified);
    snprintf(modified + 19, 8, "+00:00"); /* whole seconds, as Azure writes it */
    json_t *notice =
        json_pack("{s:s%,s:s,s:s,s:s,s:I,s:s}", "deviceId", device.p, device.n, "blobUri", uri.p,
                  "blobName", sk_json_member_text(ending->upload, "blob"), "lastUpdatedTime",
                  modified, "blobSizeInBytes", (json_int_t)size, "enqueuedTimeUtc", now);
    sk_buffer_free(&uri);
    return notice;
}

/* The notice is written and the upload forgotten in one: a device that says it twice makes one. */
static void looked(void *arg, enum sk_status status, uint64_t size, int64_t modified_us) {
    struct ending *ending = arg;
    struct sk_hub *hub = ending->hub;
    if (status) {
        struct sk_request *request = free_ending(ending);
        bool missing = status == SK_NOT_FOUND;
        sk_request_refuse(request, missing ? SK_FAULT_ARGUMENT_INVALID : sk_fault_of_status(status),
                          missing ? "the file is not there, whatever the device says" : NULL);
        return;
    }
    json_t *notice = notice_of(ending, size, modified_us);
    SK_CLEANUP_FREE char *text = sk_json_text(notice);
    json_decref(notice);
    sk_registry_feedback_add(hub->registry, SK_TOPIC_FILES,
                             &(struct sk_feedback_record){.message_id = sk_span_z(text),
                                                          .device = ending->request->device},
                             hub->options->files.notice_ttl_us, UPLOADS, sk_span_z(ending->key),
                             noticed, ending);
}

static void found(void *arg, const struct sk_registry_end *end,
                  const struct sk_registry_document *document) {
    struct ending *ending = arg;
    struct sk_hub *hub = ending->hub;
    if (document == NULL) {
        end_with(ending, end->status);
        return;
    }
    ending->upload = sk_json_load(document->bytes, 0, NULL);
    struct sk_span container = sk_span_z(sk_json_member_text(ending->upload, "container")),
                   blob = sk_span_z(sk_json_member_text(ending->upload, "blob"));
    if (!ending->fine || !hub->options->files.notify)
        sk_registry_document_delete(hub->registry, UPLOADS, sk_span_z(ending->key), forgotten,
                                    ending);
    else if (hub->files->account)
        hub_account_look(hub->files->account, container, blob, looked, ending);
    else
        hub_blob_look(hub, container, blob, looked, ending);
}

static void uploaded(struct sk_hub *hub, struct sk_request *request) {
    struct sk_buffer key = {0};
    const json_t *fine = json_object_get(request->body, "isSuccess");
    if (!json_is_boolean(fine)) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "isSuccess is true or false");
        return;
    }
    struct ending *ending = SK_NEW(struct ending);
    sk_buffer_print(&key, "%.*s/%.*s", SK_ARG(request->device), SK_ARG(request->name));
    ending->hub = hub;
    ending->request = request;
    ending->fine = json_is_true(fine);
    ending->key = sk_span_dup(sk_buffer_span(&key));
    sk_buffer_free(&key);
    sk_registry_document_get(hub->registry, UPLOADS, sk_span_z(ending->key), found, ending);
}

/* ---- services hear of it ---- */

static struct outbox_settings settings(const struct sk_hub *hub) {
    const struct sk_hub_file_options *files = &hub->options->files;
    return (struct outbox_settings){.ttl_us = files->notice_ttl_us,
                                    .lock_us = files->notice_lock_us,
                                    .deliveries_max = files->notice_deliveries_max};
}

static void put_notice(struct sk_buffer *to, const struct sk_feedback_record *record) {
    sk_buffer_append(to, record->message_id);
}

static void subscribe(struct sk_hub *hub, struct sk_request *request) {
    outbox_subscribe(&hub->file_notices, request);
}

static void receive(struct sk_hub *hub, struct sk_request *request) {
    outbox_receive(&hub->file_notices, request);
}

static void settle(struct sk_hub *hub, struct sk_request *request) {
    outbox_settle(&hub->file_notices, request);
}

/* ---- those that nobody ends ---- */

static void sweep(struct sk_timer *timer);

static void swept(void *arg, const struct sk_registry_end *end,
                  const struct sk_registry_documents *list) {
    struct sk_hub *hub = arg;
    struct files *files = hub->files;
    if (hub->closing) return;
    for (size_t i = 0; i < list->count; i++)
        if (expiry_of(&list->documents[i]) <= sk_io_wall(hub->backend.io))
            sk_registry_document_delete(hub->registry, UPLOADS, list->documents[i].key, NULL, NULL);
    free(files->after);
    files->after =
        list->count && !end->status ? sk_span_dup(list->documents[list->count - 1].key) : NULL;
    sk_timer_start(hub->backend.io, &files->sweep, files->after ? 0 : SWEEP_S * SK_S, sweep);
}

static void sweep(struct sk_timer *timer) {
    struct files *files = SK_CONTAINER(timer, struct files, sweep);
    sk_registry_document_list(files->hub->registry, UPLOADS, sk_span_z(files->after), SWEEP_PAGE,
                              swept, files->hub);
}

/* ---- life ---- */

static enum sk_status open_files(struct sk_hub *hub, char reason[512]) {
    const struct sk_hub_file_options *options = &hub->options->files;
    char why[256] = "";
    hub->files = SK_NEW(struct files);
    hub->files->hub = hub;
    sk_list_init(&hub->files->starts);
    if (options->connection_string == NULL) return SK_OK;
    enum sk_status status = hub_account_open(hub->backend.io, options->connection_string,
                                             options->ca_file, &hub->files->account, why);
    if (status) snprintf(reason, 512, "files.connection_string: %s", why);
    return status;
}

static void start_files(struct sk_hub *hub) {
    static const struct outbox_kind kind = {.topic = SK_TOPIC_FILES,
                                            .batch_max = 1,
                                            .content_type = {NOTICE_TYPE, sizeof NOTICE_TYPE - 1},
                                            .put = put_notice,
                                            .settings = settings};
    outbox_open(&hub->file_notices, hub, &kind);
    hub_blobs_make_container(hub, sk_span_z(hub->options->files.container));
    sk_timer_start(hub->backend.io, &hub->files->sweep, 0, sweep);
}

static void reload(struct sk_hub *hub, const struct sk_hub_options *before) {
    (void)before;
    hub_blobs_make_container(hub, sk_span_z(hub->options->files.container));
}

/* Who has an account has it from the start to the end. */
static enum sk_status check_reload(struct sk_hub *hub, const struct sk_hub_options *next,
                                   char reason[512]) {
    const struct sk_hub_file_options *now = &hub->options->files, *then = &next->files;
    if (sk_span_eq(sk_span_z(now->connection_string), sk_span_z(then->connection_string)) &&
        sk_span_eq(sk_span_z(now->ca_file), sk_span_z(then->ca_file)))
        return SK_OK;
    snprintf(reason, 512, "files.connection_string and ca_file change with a restart only");
    return SK_INVALID;
}

struct hub_account *hub_files_account(const struct sk_hub *hub) {
    return hub->files->account;
}

static void stop(struct sk_hub *hub) {
    hub_account_close(hub->files->account);
    hub->files->account = NULL;
}

static void registry_closed(struct sk_hub *hub) {
    sk_timer_stop(&hub->files->sweep);
    outbox_close(&hub->file_notices);
}

static void free_files(struct sk_hub *hub) {
    if (hub->files == NULL) return;
    hub_account_close(hub->files->account);
    free(hub->files->after);
    free(hub->files);
}

#define AT(field) SK_CONFIG_AT(struct sk_hub_options, field)

static const struct sk_config_key keys[] = {
    {"hub[].files", &sk_config_table,
     .does = "Files that devices upload; the hub's own blob service takes them",
     .page = "how-to/upload-files.md"},
    {"hub[].files.container", &sk_config_text, AT(files.container), .otherwise = "\"uploads\"",
     .fine = hub_blobs_container_fine, .does = "The container of the files"},
    {"hub[].files.connection_string", &sk_config_text, AT(files.connection_string),
     .fine = hub_account_fine, .secret = true, .otherwise_words = "the hub's own blob service",
     .such_as = "\"DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…\"",
     .does = "A storage account that devices upload to instead; its container must be there"},
    {"hub[].files.ca_file", &sk_config_path, AT(files.ca_file),
     .otherwise_words = "the system's CA certificates", .such_as = "\"storage-ca.pem\"",
     .does = "PEM file of the CA certificates that the account's server is trusted by"},
    {"hub[].files.sas_ttl", &sk_config_duration, AT(files.signature_ttl_us),
     .least = 60ll * 1000000, .most = 86400ll * 1000000, .otherwise = "\"1h\"",
     .does = "How long a device may take to upload a file"},
    {"hub[].files.notifications", &sk_config_table,
     .does = "What services hear of files that devices have uploaded"},
    {"hub[].files.notifications.enabled", &sk_config_boolean, AT(files.notify), .otherwise = "true",
     .does = "They hear of them"},
    {"hub[].files.notifications.ttl", &sk_config_duration, AT(files.notice_ttl_us),
     .least = 60ll * 1000000, .most = 172800ll * 1000000, .otherwise = "\"1h\"",
     .does = "How long a notification is kept for those who receive it"},
    {"hub[].files.notifications.lock_duration", &sk_config_duration, AT(files.notice_lock_us),
     .least = 5ll * 1000000, .most = 300ll * 1000000, .otherwise = "\"60s\"",
     .does = "How long a receiver has one for itself"},
    {"hub[].files.notifications.max_delivery_count", &sk_config_integer,
     AT(files.notice_deliveries_max), .least = 1, .most = 100, .otherwise = "100",
     .does = "How often one may be abandoned before it is gone"},
    {0}};

static const struct sk_hub_metric metrics[] = {
    {"skerry_hub_uploads_total", "Files uploaded by devices.", SK_HUB_COUNT(uploads_total)},
    {"skerry_hub_uploads_failed_total", "Uploads that devices gave up.",
     SK_HUB_COUNT(uploads_failed_total)},
    {"skerry_hub_file_notifications_total", "Notifications of files.",
     SK_HUB_COUNT(file_notices_total)},
    {0}};

const struct sk_hub_part hub_part_files = {.keys = keys,
                                           .metrics = metrics,
                                           .serve = {[SK_OP_FILE_UPLOAD] = upload,
                                                     [SK_OP_FILE_UPLOADED] = uploaded,
                                                     [SK_OP_FILE_NOTICE_SUBSCRIBE] = subscribe,
                                                     [SK_OP_FILE_NOTICE_RECEIVE] = receive,
                                                     [SK_OP_FILE_NOTICE_SETTLE] = settle},
                                           .open = open_files,
                                           .start = start_files,
                                           .check_reload = check_reload,
                                           .reload = reload,
                                           .stop = stop,
                                           .registry_closed = registry_closed,
                                           .free = free_files};
