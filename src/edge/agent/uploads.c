#include "edge/agent/uploads.h"

#include <signal.h>
#include <stdio.h>

#include "edge/agent/blob.h"
#include "edge/agent/gzip.h"
#include "model/json_text.h"

enum {
    REMEMBERED = 32,
    LOG_MAX = 16 << 20,   /* of a module */
    TOTAL_MAX = 64 << 20, /* of all, before they are packed */
    BUNDLE_MAX = 256 << 20,
    BUNDLE_S = 300,
};

enum upload_state { RUNNING, COMPLETED, FAILED };

/* One file on its way. */
struct blob {
    struct sk_list link;
    char *name;
    struct sk_buffer bytes;
};

struct upload {
    struct sk_list link; /* in the agent's, the oldest first */
    struct sk_agent *agent;
    char id[37];
    enum upload_state state;
    char message[256];
    struct sk_arena texts;
    struct sk_blob_store store;
    const char *content_type;
    bool as_json, zipped;
    size_t total;
    struct sk_log_gathering *logs;
    struct sk_list blobs; /* still to be put */
    struct sk_blob_put *put;
    struct sk_child *bundler;
    struct sk_timer limit;
    char bundle[512]; /* path of the file that is made */
};

static void blob_free(struct blob *blob) {
    sk_list_remove(&blob->link);
    sk_buffer_free(&blob->bytes);
    free(blob->name);
    free(blob);
}

/* Lets go of all but how it ended. */
static void let_go(struct upload *upload) {
    sk_log_gathering_free(upload->logs);
    upload->logs = NULL;
    sk_blob_put_cancel(upload->put);
    upload->put = NULL;
    sk_timer_stop(&upload->limit);
    if (upload->bundler) {
        sk_child_signal(upload->bundler, SIGKILL);
        sk_child_forget(upload->bundler);
        upload->bundler = NULL;
    }
    if (upload->bundle[0]) sk_file_remove(upload->agent->io, upload->bundle);
    upload->bundle[0] = 0;
    while (!sk_list_empty(&upload->blobs))
        blob_free(SK_LIST_FIRST(&upload->blobs, struct blob, link));
}

static void upload_free(struct upload *upload) {
    sk_list_remove(&upload->link);
    let_go(upload);
    sk_arena_free(&upload->texts);
    free(upload);
}

static void end_upload(struct upload *upload, const char *why) {
    char message[sizeof upload->message];
    snprintf(message, sizeof message, "%s", why ? why : "");
    let_go(upload);
    upload->state = why ? FAILED : COMPLETED;
    memcpy(upload->message, message, sizeof message);
    if (why) SK_WARN("agent", "upload %s failed: %s", upload->id, message);
}

/* ---- putting ---- */

static void put_next(struct upload *upload);

static void on_put(void *arg, const char *why) {
    struct upload *upload = arg;
    upload->put = NULL;
    if (why) {
        end_upload(upload, why);
        return;
    }
    blob_free(SK_LIST_FIRST(&upload->blobs, struct blob, link));
    put_next(upload);
}

static void put_next(struct upload *upload) {
    const struct sk_agent_options *options = &upload->agent->options;
    struct blob *blob = SK_LIST_FIRST(&upload->blobs, struct blob, link);
    if (blob)
        upload->put = sk_blob_put(upload->agent->io, &upload->store, options->tls,
                                  options->upstream.proxy, blob->name, upload->content_type,
                                  sk_buffer_span(&blob->bytes), on_put, upload);
    else
        end_upload(upload, NULL);
}

/* "<hub>/<device>/<what><time><ending>", in UTC. */
static char *blob_name(const struct upload *upload, const char *what, const char *ending) {
    const struct sk_agent_options *options = &upload->agent->options;
    char now[SK_TIME_TEXT], when[32];
    struct sk_buffer name = {0};
    sk_time_text(sk_io_wall(upload->agent->io), now);
    snprintf(when, sizeof when, "%.10s--%.2s-%.2s-%.2s", now, now + 11, now + 14, now + 17);
    sk_buffer_print(&name, "%s/%s/", options->hub_host, options->device_id);
    sk_buffer_print(&name, "%s-%s%s", what, when, ending);
    sk_buffer_byte(&name, 0);
    return name.p;
}

static struct blob *blob_add(struct upload *upload, char *name) {
    struct blob *blob = SK_NEW(struct blob);
    blob->name = name;
    sk_list_append(&upload->blobs, &blob->link);
    return blob;
}

/* ---- beginning ---- */

static struct upload *upload_new(struct sk_agent *agent, const char *sas_url, const char **why) {
    struct upload *upload = SK_NEW(struct upload);
    size_t count = 0;
    upload->agent = agent;
    sk_list_init(&upload->blobs);
    enum sk_status status = sk_blob_store_parse(sk_span_z(sas_url), agent->options.parent_host,
                                                &upload->texts, &upload->store);
    if (status) {
        *why = status == SK_NOT_FOUND
                   ? "sasUrl names the parent ($upstream), and this edge has none."
                   : "sasUrl must be a container's URL with a signature: "
                     "https://ACCOUNT.blob.core.windows.net/CONTAINER?sv=….";
        sk_arena_free(&upload->texts);
        free(upload);
        return NULL;
    }
    SK_LIST_EACH(&agent->uploads, node, following) count++;
    if (count >= REMEMBERED) upload_free(SK_LIST_FIRST(&agent->uploads, struct upload, link));
    sk_list_append(&agent->uploads, &upload->link);
    sk_io_guid(agent->io, upload->id);
    return upload;
}

/* ---- logs ---- */

static void add_log(void *arg, const struct sk_log_found *found) {
    struct upload *upload = arg;
    upload->total += found->text.n;
    if (upload->total > TOTAL_MAX) return; /* it fails in the end */
    const char *ending = upload->as_json ? (upload->zipped ? ".json.gz" : ".json")
                                         : (upload->zipped ? ".log.gz" : ".log");
    struct blob *blob = blob_add(upload, blob_name(upload, found->module, ending));
    if (upload->zipped)
        sk_gzip(found->text, &blob->bytes);
    else
        sk_buffer_append(&blob->bytes, found->text);
}

static void logs_there(void *arg, enum sk_status status, const char *why) {
    struct upload *upload = arg;
    upload->logs = NULL;
    if (status)
        end_upload(upload, why);
    else if (upload->total > TOTAL_MAX)
        end_upload(upload, "The logs together are longer than 64 MB; ask for fewer lines with "
                           "filter.tail or filter.since.");
    else
        put_next(upload);
}

const char *upload_logs(struct sk_agent *agent, const char *sas_url, struct sk_log_request *request,
                        const char **why) {
    const struct sk_log_from from = {agent->options.hub_host, agent->options.device_id};
    struct upload *upload = upload_new(agent, sas_url, why);
    if (upload == NULL) {
        sk_log_request_free(request);
        return NULL;
    }
    upload->as_json = sk_log_request_as_json(request);
    upload->zipped = sk_log_request_zipped(request);
    upload->content_type = upload->as_json ? "application/json" : "text/plain";
    upload->logs = sk_log_gather(agent->modules, agent->io, request, &from, LOG_MAX, add_log,
                                 logs_there, upload);
    return upload->id;
}

/* ---- the support bundle ---- */

static void on_bundled(struct sk_child *child, void *arg, int exit_code, int signal_number) {
    struct upload *upload = arg;
    struct sk_buffer file = {.limit = BUNDLE_MAX};
    (void)child;
    upload->bundler = NULL;
    sk_timer_stop(&upload->limit);
    enum sk_status status =
        exit_code || signal_number ? SK_IO : sk_file_load(upload->agent->io, upload->bundle, &file);
    if (status) {
        sk_buffer_free(&file);
        end_upload(upload, status == SK_TOO_LARGE ? "the bundle is larger than 256 MB"
                                                  : "the bundle could not be made; the agent's log "
                                                    "says why");
        return;
    }
    file.limit = 0;
    blob_add(upload, blob_name(upload, "support-bundle", ".zip"))->bytes = file;
    put_next(upload);
}

static void too_late(struct sk_timer *timer) {
    end_upload(SK_CONTAINER(timer, struct upload, limit), "the bundle was not made within 5 min");
}

const char *upload_bundle(struct sk_agent *agent, const char *sas_url, const struct bundle_ask *ask,
                          const char **why) {
    if (agent->options.config_file == NULL) {
        *why = "This agent runs without a configuration file; there is no bundle.";
        return NULL;
    }
    struct upload *upload = upload_new(agent, sas_url, why);
    if (upload == NULL) return NULL;
    snprintf(upload->bundle, sizeof upload->bundle, "%.400s/agent/%s.zip", agent->options.data,
             upload->id);
    const char *command[12] = {"/proc/self/exe", "support-bundle",           "--quiet",
                               "--config",       agent->options.config_file, "--output",
                               upload->bundle};
    size_t n = 7;
    char since[128], until[128];
    snprintf(since, sizeof since, "--since=%.100s", ask->since ? ask->since : "");
    snprintf(until, sizeof until, "--until=%.100s", ask->until ? ask->until : "");
    if (ask->since) command[n++] = since;
    if (ask->until) command[n++] = until;
    if (ask->runtime_only) command[n++] = "--include-edge-runtime-only";
    static const char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    upload->content_type = "application/zip";
    enum sk_status status = sk_child_start(
        agent->io,
        &(struct sk_child_options){
            .command = command, .environment = environment, .on_exit = on_bundled, .arg = upload},
        &upload->bundler);
    if (status)
        end_upload(upload, "the bundle's maker cannot be started");
    else
        sk_timer_start(agent->io, &upload->limit, BUNDLE_S * SK_S, too_late);
    return upload->id;
}

/* ---- asking ---- */

json_t *upload_json(struct sk_agent *agent, const char *id) {
    static const char *const states[] = {"Running", "Completed", "Failed"};
    SK_LIST_EACH(&agent->uploads, node, following) {
        const struct upload *upload = SK_CONTAINER(node, struct upload, link);
        if (strcmp(upload->id, id) == 0)
            return json_pack("{s:s,s:o,s:s}", "status", states[upload->state], "message",
                             sk_json_of_text(sk_span_z(upload->message)), "correlationId", id);
    }
    return json_pack("{s:s,s:s,s:s}", "status", "Unknown", "message", "", "correlationId", id);
}

void uploads_end(struct sk_agent *agent) {
    while (!sk_list_empty(&agent->uploads))
        upload_free(SK_LIST_FIRST(&agent->uploads, struct upload, link));
}
