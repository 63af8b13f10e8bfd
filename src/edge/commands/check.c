/* `check`: a table of checks, each with a sentence about what is wrong and what mends it. Names and
 * JSON as `iotedge check` has them (docs/protocols/edge-runtime.md, section 6.1). */
#include <stdarg.h>
#include <stdio.h>

#include "edge/commands/parts.h"
#include "model/json_text.h"

const struct sk_option_row sk_edge_check_options[] = {
    {"output", "text|json", "how it is printed", false},
    {"dont-run", "CHECK", "leaves a check out; `check-list` prints their names", true},
    {"verbose", NULL, "also what counts of the file, and what was not looked at and why", false},
    {"warnings-as-errors", NULL, "warnings count in the exit code, too", false},
    {0}};

static const struct edge_check *const all[] = {edge_checks_configuration, edge_checks_connectivity,
                                               edge_checks_containers, edge_checks_running};
enum { TABLES = sizeof all / sizeof *all, LEFT_OUT_MAX = 64 };

void edge_find(struct edge_finding *finding, enum edge_verdict verdict, const char *mend,
               const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(finding->why, sizeof finding->why, format, args);
    va_end(args);
    snprintf(finding->mend, sizeof finding->mend, "%s", mend);
    finding->verdict = verdict;
}

/* ---- running them ---- */

struct check_run {
    const struct sk_edge_command *command;
    bool verbose, json;
    const char *section; /* printed last */
    unsigned counts[EDGE_IGNORED + 1];
    json_t *document; /* of all findings, by id */
};

static const char *const verdict_words[] = {"ok",    "warning", "error",
                                            "fatal", "skipped", "ignored"};

static json_t *finding_json(const struct edge_finding *finding) {
    json_t *result = json_pack("{s:s}", "result", verdict_words[finding->verdict]);
    if (finding->why[0]) {
        json_t *details = json_pack("[s]", finding->why);
        if (finding->mend[0]) json_array_append_new(details, json_string(finding->mend));
        json_object_set_new(result, "details", details);
    }
    return json_pack("{s:o,s:{}}", "result", result, "additional_info");
}

static void print_finding(struct check_run *run, const struct edge_check *check,
                          const struct edge_finding *finding) {
    static const char *const marks[] = {
        "\u221a", "\u203c", "\u00d7", "\u00d7", "-", "-",
    };
    static const char *const words[] = {"OK", "Warning", "Error", "Error", "Skipped", "Left out"};
    bool quiet = finding->verdict >= EDGE_SKIPPED && !run->verbose;
    if (run->json || quiet) return;
    if (run->section == NULL || strcmp(run->section, check->section) != 0) {
        printf("%s%s\n", run->section ? "\n" : "", check->section);
        for (int i = 0; i < sk_text_width(check->section); i++) printf("-");
        printf("\n");
        run->section = check->section;
    }
    printf("%s %s (%s) - %s\n", marks[finding->verdict], check->does, check->id,
           words[finding->verdict]);
    if (finding->why[0]) printf("    %s\n", finding->why);
    if (finding->mend[0]) printf("    Mend: %s\n", finding->mend);
}

static bool left_out(const struct check_run *run, const char *id) {
    const char *ids[LEFT_OUT_MAX];
    size_t n = sk_typed_all(&run->command->typed, "dont-run", ids, LEFT_OUT_MAX);
    for (size_t i = 0; i < n && i < LEFT_OUT_MAX; i++)
        if (strcmp(ids[i], id) == 0) return true;
    return false;
}

static void run_one(struct check_run *run, struct edge_checks *checks,
                    const struct edge_check *check) {
    struct edge_finding finding = {0};
    if (left_out(run, check->id))
        finding.verdict = EDGE_IGNORED;
    else
        check->run(checks, &finding);
    run->counts[finding.verdict]++;
    json_object_set_new(run->document, check->id, finding_json(&finding));
    print_finding(run, check, &finding);
    if (!run->json) fflush(stdout);
}

static json_t *ask_quietly(const struct sk_edge_config *config, const char *socket) {
    struct edge_answer answer;
    edge_ask_socket(config, socket, SK_HTTP_GET, "/status", SK_NONE, &answer);
    bool good = answer.status == SK_OK && answer.http == 200;
    json_t *json = good ? sk_json_load(sk_buffer_span(&answer.body), 0, NULL) : NULL;
    sk_buffer_free(&answer.body);
    return json;
}

static void run_all(struct check_run *run, struct sk_edge_command *command) {
    struct edge_checks checks = {
        .command = command,
        .config = &command->config,
        .agent = ask_quietly(&command->config, SK_CONTROL_SOCKET),
        .hub = ask_quietly(&command->config, SK_HUB_STATUS_SOCKET),
    };
    run->command = command;
    run->document = json_object();
    for (size_t i = 0; i < TABLES; i++)
        for (const struct edge_check *check = all[i]; check->id; check++)
            run_one(run, &checks, check);
    json_decref(checks.agent);
    json_decref(checks.hub);
}

static json_t *document_of(struct check_run *run) {
    return json_pack("{s:{s:s},s:o}", "additional_info", "skerry_edge_version", SK_VERSION,
                     "checks", run->document);
}

json_t *edge_check_document(struct sk_edge_command *command) {
    struct check_run run = {.json = true};
    run_all(&run, command);
    return document_of(&run);
}

/* ---- the commands ---- */

static bool is_known(const char *id) {
    for (size_t i = 0; i < TABLES; i++)
        for (const struct edge_check *check = all[i]; check->id; check++)
            if (strcmp(check->id, id) == 0) return true;
    return false;
}

int sk_edge_check(void *arg) {
    struct sk_edge_command *command = arg;
    const char *output = sk_typed_option(&command->typed, "output"), *ids[LEFT_OUT_MAX];
    struct check_run run = {
        .json = output && strcmp(output, "json") == 0,
        .verbose = sk_typed_option(&command->typed, "verbose") != NULL,
    };
    size_t n = sk_typed_all(&command->typed, "dont-run", ids, LEFT_OUT_MAX);
    for (size_t i = 0; i < n && i < LEFT_OUT_MAX; i++)
        if (!is_known(ids[i]))
            return sk_typed_usage(&command->typed, "there is no check \"%s\"; see check-list",
                                  ids[i]);
    if (run.verbose && !run.json)
        printf("What counts of %s:\n\n%.*s\n\n", command->file,
               SK_ARG(sk_buffer_span(&command->told)));
    run_all(&run, command);
    unsigned errors = run.counts[EDGE_ERROR] + run.counts[EDGE_FATAL],
             warnings = run.counts[EDGE_WARNING];
    if (run.json) {
        json_t *document = document_of(&run);
        sk_json_print(stdout, document, 2);
        printf("\n");
        json_decref(document);
    } else {
        json_decref(run.document);
        printf("\n%u checks succeeded, %u warned, %u failed, %u were skipped%s\n",
               run.counts[EDGE_OK], warnings, errors,
               run.counts[EDGE_SKIPPED] + run.counts[EDGE_IGNORED],
               run.verbose ? "." : "; --verbose tells why.");
    }
    bool strict = sk_typed_option(&command->typed, "warnings-as-errors") != NULL;
    return errors || (strict && warnings) ? SK_EXIT_REFUSED : SK_EXIT_FINE;
}

int sk_edge_check_list(void *arg) {
    const char *section = NULL;
    (void)arg;
    for (size_t i = 0; i < TABLES; i++)
        for (const struct edge_check *check = all[i]; check->id; check++) {
            if (section == NULL || strcmp(section, check->section) != 0)
                printf("%s%s\n", section ? "\n" : "", check->section);
            section = check->section;
            printf("    %-36s %s\n", check->id, check->does);
        }
    return SK_EXIT_FINE;
}
