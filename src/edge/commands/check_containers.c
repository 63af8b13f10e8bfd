/* Checks of the container engine, as far as the deployment, or the machine, has one. */
#include <stdio.h>

#include "edge/commands/parts.h"
#include "model/json_text.h"

/* Whether a module of the deployment in force is a container. */
static bool has_containers(const struct edge_checks *checks) {
    const char *name;
    json_t *module;
    json_object_foreach(json_object_get(checks->agent, "modules"), name,
                        module) if (strcmp(edge_text_of(module, "type"), "docker") ==
                                    0) return true;
    return false;
}

/* The engine's answer to a GET: a new reference; NULL: it does not answer well. */
static json_t *ask_engine(const struct edge_checks *checks, const char *target) {
    struct edge_answer answer;
    const char *uri = checks->config->engine_uri;
    const char *path = sk_span_starts(sk_span_z(uri), SK_SPAN("unix://")) ? uri + 7 : uri;
    edge_ask(&(struct sk_http_client_options){.to = {.path = path}}, SK_HTTP_GET, target, SK_NONE,
             &answer);
    json_t *json = answer.status == SK_OK && answer.http == 200
                       ? sk_json_load(sk_buffer_span(&answer.body), 0, NULL)
                       : NULL;
    sk_buffer_free(&answer.body);
    return json;
}

static void engine_answers(struct edge_checks *checks, struct edge_finding *finding) {
    json_t *version = ask_engine(checks, "/version");
    if (version == NULL && !has_containers(checks))
        edge_find(finding, EDGE_SKIPPED, "", "no engine answers, and no module needs one");
    else if (version == NULL)
        edge_find(finding, EDGE_ERROR,
                  "Start Docker, or `systemctl enable --now podman.socket`; name its socket in "
                  "[moby_runtime] uri.",
                  "The container engine does not answer on %s.", checks->config->engine_uri);
    else if (strverscmp(edge_text_of(version, "ApiVersion"), "1.40") < 0)
        edge_find(finding, EDGE_ERROR, "Install a newer one: Docker 19.03, Podman 4.",
                  "The container engine speaks version %.20s of Docker's API, older than 1.40.",
                  edge_text_of(version, "ApiVersion"));
    json_decref(version);
}

static void logs_bounded(struct edge_checks *checks, struct edge_finding *finding) {
    json_t *info = ask_engine(checks, "/info");
    if (info == NULL)
        edge_find(finding, EDGE_SKIPPED, "", "no engine answers");
    else if (strcmp(edge_text_of(info, "LoggingDriver"), "json-file") == 0)
        edge_find(finding, EDGE_WARNING,
                  "In /etc/docker/daemon.json: {\"log-driver\": \"local\"}, or \"log-opts\" with "
                  "\"max-size\"; then restart Docker.",
                  "The container engine keeps logs in json-file, which grow without bounds unless "
                  "max-size is set.");
    json_decref(info);
}

#define SECTION "Checks of containers"
const struct edge_check edge_checks_containers[] = {
    {SECTION, "container-engine-uri", "the container engine answers", engine_answers},
    {SECTION, "container-engine-logrotate", "containers' logs are bounded", logs_bounded},
    {0}};
