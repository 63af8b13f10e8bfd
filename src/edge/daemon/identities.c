/* Module identities: three steps with the hub (GET, create, give keys), as Azure's identity service
 * does them. */
#include "edge/daemon/identities.h"

#include <jansson.h>
#include <stdio.h>

#include "model/json_text.h"

static const char API_VERSION[] = "2017-11-08-preview";
enum { TOKEN_LIFE_S = 3600, FILE_MAX = 1024 * 1024 };

struct sk_identities {
    struct sk_io *io;
    struct sk_http_client *http;
    char *file, *hub_host, *device_id;
    struct sk_credential *credential;
    struct sk_keys *keys;
    json_t *known; /* {"module":{"generationId":"…","managedBy":"…"}} */
    struct sk_list jobs;
    unsigned timeout_s, retries;
    /* By how much the hub's clock is ahead of ours, where it is more than a token may be off. */
    int64_t hub_ahead_s;
    bool closing;
};

enum step { STEP_GET, STEP_CREATE, STEP_GIVE_KEYS, STEP_DELETE };

/* One module on its way through the steps. */
struct job {
    struct sk_list link;
    struct sk_task answer_known, fail;
    char failure[256];
    enum sk_status failed;
    struct sk_identities *identities;
    char *module_id, *managed_by, *generation_id;
    enum step step;
    unsigned tries;           /* of this step, without an answer */
    sk_identities_done *done; /* NULL: answered, or a refresh in the background */
    void *arg;
};

/* ---- the file ---- */

static enum sk_status load(struct sk_identities *identities, char reason[256]) {
    struct sk_buffer text = {.limit = FILE_MAX};
    enum sk_status status = sk_file_load(identities->io, identities->file, &text);
    if (status == SK_NOT_FOUND) {
        identities->known = json_object();
        status = SK_OK;
    } else if (!status) {
        identities->known = json_loadb(text.p ? text.p : "", text.n, 0, NULL);
        if (!json_is_object(identities->known)) status = SK_MALFORMED;
    }
    sk_buffer_free(&text);
    if (status)
        snprintf(reason, 256,
                 "Cannot read the module identities in %.150s: %s; remove the file to ask the hub "
                 "again.",
                 identities->file, sk_status_text(status));
    return status;
}

static void save(struct sk_identities *identities) {
    char *text = sk_json_text(identities->known);
    enum sk_status status = sk_file_save(identities->io, identities->file, sk_span_z(text), 0600);
    free(text);
    if (status)
        SK_WARN("daemon", "cannot remember module identities in %s: %s", identities->file,
                sk_status_text(status));
}

static const json_t *find(const struct sk_identities *identities, struct sk_span module_id) {
    return json_object_getn(identities->known, module_id.p, module_id.n);
}

struct sk_span sk_identities_generation(const struct sk_identities *identities,
                                        struct sk_span module_id) {
    return sk_span_z(
        json_string_value(json_object_get(find(identities, module_id), "generationId")));
}

void sk_identities_each(const struct sk_identities *identities,
                        void (*each)(void *arg, struct sk_span module_id,
                                     struct sk_span generation_id),
                        void *arg) {
    const char *name;
    json_t *entry;
    json_object_foreach(identities->known, name, entry) each(
        arg, sk_span_z(name), sk_span_z(json_string_value(json_object_get(entry, "generationId"))));
}

static void remember(struct job *job) {
    struct sk_identities *identities = job->identities;
    struct sk_span before = sk_identities_generation(identities, sk_span_z(job->module_id));
    if (sk_span_is(before, job->generation_id)) return;
    if (before.n) SK_INFO("daemon", "module %s has been made anew on the hub", job->module_id);
    json_t *entry = json_pack("{s:s}", "generationId", job->generation_id);
    if (job->managed_by) json_object_set_new(entry, "managedBy", json_string(job->managed_by));
    json_object_set_new(identities->known, job->module_id, entry);
    save(identities);
}

/* ---- jobs ---- */

static void job_free(struct job *job) {
    sk_list_remove(&job->link);
    sk_io_undefer(&job->answer_known);
    sk_io_undefer(&job->fail);
    free(job->module_id);
    free(job->managed_by);
    free(job->generation_id);
    free(job);
}

static void job_end(struct job *job, enum sk_status status, const char *reason) {
    sk_identities_done *done = job->done;
    if (status && !done && !job->identities->closing) SK_DEBUG("daemon", "%s", reason);
    job->done = NULL;
    if (done) done(job->arg, status, status ? SK_NONE : sk_span_z(job->generation_id), reason);
    job_free(job);
}

static void on_answer(void *arg, enum sk_status status, const struct sk_http_parser *answer);

/* NULL: the key store gives no keys; job->failed and job->failure say why. */
static json_t *keys_body(struct job *job) {
    char primary[SK_KEY_TEXT], secondary[SK_KEY_TEXT];
    struct sk_keys *keys = job->identities->keys;
    struct sk_span module_id = sk_span_z(job->module_id),
                   generation_id = sk_span_z(job->generation_id);
    job->failed = sk_keys_module(keys, module_id, generation_id, false, primary, job->failure);
    if (!job->failed)
        job->failed = sk_keys_module(keys, module_id, generation_id, true, secondary, job->failure);
    if (job->failed) return NULL;
    return json_pack("{s:s,s:s,s:s,s:s*,s:{s:s,s:{s:s,s:s}}}", "deviceId",
                     job->identities->device_id, "moduleId", job->module_id, "generationId",
                     job->generation_id, "managedBy", job->managed_by, "authentication", "type",
                     "sas", "symmetricKey", "primaryKey", primary, "secondaryKey", secondary);
}

static json_t *create_body(const struct job *job) {
    return json_pack("{s:s,s:s,s:s*}", "deviceId", job->identities->device_id, "moduleId",
                     job->module_id, "managedBy", job->managed_by);
}

static void send_step(struct job *job, struct sk_span token, const json_t *body) {
    static const enum sk_http_method methods[] = {SK_HTTP_GET, SK_HTTP_PUT, SK_HTTP_PUT,
                                                  SK_HTTP_DELETE};
    struct sk_identities *identities = job->identities;
    struct sk_buffer target = {0};
    struct sk_http_pair headers[3];
    size_t count = 0;
    SK_CLEANUP_FREE char *text = body ? sk_json_text(body) : NULL;
    sk_buffer_text(&target, "/devices/");
    sk_percent_encode(&target, sk_span_z(identities->device_id));
    sk_buffer_text(&target, "/modules/");
    sk_percent_encode(&target, sk_span_z(job->module_id));
    sk_buffer_print(&target, "?api-version=%s", API_VERSION);
    if (token.n) headers[count++] = (struct sk_http_pair){"Authorization", token};
    if (body)
        headers[count++] =
            (struct sk_http_pair){"Content-Type", SK_SPAN("application/json; charset=utf-8")};
    if (job->step == STEP_GIVE_KEYS || job->step == STEP_DELETE)
        headers[count++] = (struct sk_http_pair){"If-Match", SK_SPAN("\"*\"")};
    sk_http_client_send(identities->http, &(struct sk_http_ask){
                                              .method = methods[job->step],
                                              .target = sk_buffer_span(&target),
                                              .headers = headers,
                                              .header_count = count,
                                              .body = sk_span_z(text),
                                              .timeout_ms = identities->timeout_s * 1000,
                                              .done = on_answer,
                                              .arg = job,
                                          });
    sk_buffer_free(&target);
}

static void fail(struct sk_task *task) {
    struct job *job = SK_CONTAINER(task, struct job, fail);
    job_end(job, job->failed, job->failure);
}

/* Asks the hub; or fails soon, when there is nothing to sign with. */
static void take_step(struct job *job, enum step step) {
    struct sk_identities *identities = job->identities;
    struct sk_buffer token = {0}, resource = {0};
    json_t *body = NULL;
    if (job->step != step) job->tries = 0;
    job->step = step;
    sk_buffer_print(&resource, "%s/devices/%s", identities->hub_host, identities->device_id);
    job->failed = sk_credential_token(identities->credential, sk_buffer_span(&resource),
                                      sk_io_wall(identities->io) / 1000000 +
                                          identities->hub_ahead_s + TOKEN_LIFE_S,
                                      &token, job->failure);
    if (step == STEP_CREATE) body = create_body(job);
    if (step == STEP_GIVE_KEYS && !job->failed) body = keys_body(job);
    if (job->failed)
        sk_io_defer(identities->io, &job->fail, fail);
    else
        send_step(job, sk_buffer_span(&token), body);
    sk_buffer_free(&token);
    sk_buffer_free(&resource);
    json_decref(body);
}

static void refused(struct job *job, const struct sk_http_parser *answer) {
    char reason[256];
    struct sk_span text = sk_http_header(answer, "iothub-errorcode");
    snprintf(reason, sizeof reason, "The hub refused module %.80s: HTTP %u %.*s.", job->module_id,
             answer->status, SK_ARG(sk_span_first(text, 60)));
    job_end(job, SK_REFUSED, reason);
}

/* Whether the hub's copy already has our key: then nothing needs to be written. */
static bool has_our_key(struct job *job, const json_t *module) {
    char key[SK_KEY_TEXT];
    const json_t *keys = json_object_get(json_object_get(module, "authentication"), "symmetricKey");
    const char *there = json_string_value(json_object_get(keys, "primaryKey"));
    return there &&
           sk_keys_module(job->identities->keys, sk_span_z(job->module_id),
                          sk_span_z(job->generation_id), false, key, job->failure) == SK_OK &&
           strcmp(there, key) == 0;
}

/* An identity has come, by GET or by creating it. */
static void take_identity(struct job *job, const struct sk_http_parser *answer) {
    json_t *module = json_loadb(answer->body.p ? answer->body.p : "", answer->body.n, 0, NULL);
    const char *generation_id = json_string_value(json_object_get(module, "generationId"));
    if (generation_id == NULL || generation_id[0] == 0) {
        json_decref(module);
        job_end(job, SK_MALFORMED, "The hub's answer holds no module identity.");
        return;
    }
    free(job->generation_id);
    job->generation_id = sk_span_dup(sk_span_z(generation_id));
    bool ours = has_our_key(job, module);
    json_decref(module);
    if (!ours) {
        take_step(job, STEP_GIVE_KEYS);
        return;
    }
    remember(job);
    job_end(job, SK_OK, "");
}

/* Whether it differs from what was known: a clock that is wrong is no reason to be refused. */
static bool learn_clock(struct sk_identities *identities, const struct sk_http_parser *answer) {
    enum { OFF_S = 300 };
    int64_t date_us, before = identities->hub_ahead_s;
    if (sk_time_http_parse(sk_http_header(answer, "Date"), &date_us)) return false;
    int64_t ahead = (date_us - sk_io_wall(identities->io)) / 1000000;
    identities->hub_ahead_s = ahead > OFF_S || ahead < -OFF_S ? ahead : 0;
    int64_t moved = identities->hub_ahead_s - before;
    if (moved <= OFF_S && moved >= -OFF_S) return false;
    if (identities->hub_ahead_s)
        SK_WARN("daemon",
                "this machine's clock is %lld minutes off the hub's: tokens follow the hub's",
                (long long)(identities->hub_ahead_s / 60));
    return true;
}

static void on_answer(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct job *job = arg;
    struct sk_identities *identities = job->identities;
    if (status && status != SK_CLOSED && job->tries < identities->retries) {
        job->tries++;
        take_step(job, job->step);
        return;
    }
    if (status) {
        char reason[256];
        snprintf(reason, sizeof reason, "Cannot ask the hub for module %.80s: %s.", job->module_id,
                 sk_status_text(status));
        job_end(job, status, reason);
        return;
    }
    if (learn_clock(identities, answer) && answer->status == 401) {
        take_step(job, job->step);
        return;
    }
    bool fine = answer->status / 100 == 2;
    switch (job->step) {
    case STEP_GET:
        if (answer->status == 404)
            take_step(job, STEP_CREATE);
        else if (fine)
            take_identity(job, answer);
        else
            refused(job, answer);
        return;
    case STEP_CREATE:
        if (answer->status == 409) /* another one was faster */
            take_step(job, STEP_GET);
        else if (fine)
            take_identity(job, answer);
        else
            refused(job, answer);
        return;
    case STEP_GIVE_KEYS:
        if (!fine) {
            refused(job, answer);
            return;
        }
        remember(job);
        job_end(job, SK_OK, "");
        return;
    case STEP_DELETE:
        if (!fine && answer->status != 404) {
            refused(job, answer);
            return;
        }
        json_object_del(identities->known, job->module_id);
        save(identities);
        job_end(job, SK_OK, "");
        return;
    }
}

static struct job *job_new(struct sk_identities *identities, struct sk_span module_id,
                           sk_identities_done *done, void *arg) {
    struct job *job = SK_NEW(struct job);
    job->identities = identities;
    job->module_id = sk_span_dup(module_id);
    job->done = done;
    job->arg = arg;
    sk_list_append(&identities->jobs, &job->link);
    return job;
}

/* What is remembered answers now; the job goes on in the background. */
static void answer_known(struct sk_task *task) {
    struct job *job = SK_CONTAINER(task, struct job, answer_known);
    sk_identities_done *done = job->done;
    job->done = NULL;
    if (done) done(job->arg, SK_OK, sk_span_z(job->generation_id), "");
}

void sk_identities_put(struct sk_identities *identities, struct sk_span module_id,
                       struct sk_span managed_by, sk_identities_done *done, void *arg) {
    struct job *job = job_new(identities, module_id, done, arg);
    struct sk_span generation_id = sk_identities_generation(identities, module_id);
    if (managed_by.n) job->managed_by = sk_span_dup(managed_by);
    if (generation_id.n) {
        job->generation_id = sk_span_dup(generation_id);
        sk_io_defer(identities->io, &job->answer_known, answer_known);
    }
    take_step(job, STEP_GET);
}

void sk_identities_delete(struct sk_identities *identities, struct sk_span module_id,
                          sk_identities_done *done, void *arg) {
    take_step(job_new(identities, module_id, done, arg), STEP_DELETE);
}

/* ---- life ---- */

enum sk_status sk_identities_open(struct sk_io *io, const struct sk_identities_options *options,
                                  struct sk_identities **opened, char reason[256]) {
    struct sk_identities *identities = SK_NEW(struct sk_identities);
    identities->io = io;
    identities->file = sk_text_dup(options->file);
    identities->hub_host = sk_text_dup(options->hub_host);
    identities->device_id = sk_text_dup(options->device_id);
    identities->credential = options->credential;
    identities->keys = options->keys;
    identities->timeout_s = options->timeout_s;
    identities->retries = options->retries;
    sk_list_init(&identities->jobs);
    enum sk_status status = load(identities, reason);
    if (!status)
        status =
            sk_http_client_new(io,
                               &(struct sk_http_client_options){
                                   .to = {.host = options->dial_host, .port = options->dial_port},
                                   .tls = options->tls,
                                   .proxy = options->proxy},
                               &identities->http);
    if (status) {
        sk_identities_close(identities);
        return status;
    }
    *opened = identities;
    return SK_OK;
}

void sk_identities_close(struct sk_identities *identities) {
    identities->closing = true;
    if (identities->http) sk_http_client_free(identities->http); /* ends every job that asks */
    while (!sk_list_empty(&identities->jobs))
        job_end(SK_LIST_FIRST(&identities->jobs, struct job, link), SK_CLOSED,
                "The daemon is closing.");
    json_decref(identities->known);
    free(identities->file);
    free(identities->hub_host);
    free(identities->device_id);
    free(identities);
}
