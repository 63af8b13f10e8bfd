/* The runner of the simulations that are kept in the hub: it reads what is to run, and gives each a
 * process of its own, which runs it and tells the hub how it goes. A script that never ends holds
 * its own process alone, and that is ended. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/simulation_follow.h"
#include "model/json_text.h"

enum {
    WAIT_S = 10, /* for a change of the list */
    RETRY_MS = 2000,
    DEAF_S = 30,  /* a process that has said nothing to the hub for so long is ended */
    AGAIN_S = 10, /* after one has failed */
};

/* The process of a simulation. */
struct worker {
    struct sk_list link;
    struct follow *follow;
    char id[SK_SIMULATION_ID_MAX + 1];
    json_int_t run;
    struct sk_child *child; /* NULL: it has ended */
    uint64_t started_ns, heard_ns, ended_ns;
    bool failed, listed, deaf;
};

/* ---- for both ---- */

static void end_pause(struct sk_timer *timer) {
    sk_io_stop(timer->io);
}

void follow_pause(struct follow *follow, unsigned ms) {
    struct sk_timer timer = {0};
    sk_timer_start(follow->cli->io, &timer, ms * SK_MS, end_pause);
    while (sk_timer_running(&timer) && !follow->ended) sk_io_run(follow->cli->io);
    sk_timer_stop(&timer);
}

static void on_end(void *arg) {
    struct follow *follow = arg;
    follow->ended = true;
    if (follow->cli->call)
        sk_http_call_cancel(follow->cli->call);
    else
        sk_io_stop(follow->cli->io);
}

void follow_say(const struct follow *follow, const char *id, const char *what) {
    (void)follow;
    fprintf(stderr, "%s: %s\n", id, what);
}

/* ---- processes ---- */

static void on_exit_of(struct sk_child *child, void *arg, int exit_code, int signal_number) {
    struct worker *worker = arg;
    (void)child;
    worker->child = NULL;
    worker->ended_ns = sk_io_now(worker->follow->cli->io);
    worker->failed = exit_code != 0 || signal_number != 0;
    if (signal_number && !worker->follow->ended)
        follow_say(worker->follow, worker->id, "its process was ended");
    if (worker->follow->ended) sk_io_stop(worker->follow->cli->io);
}

/* Ours, with the login in front of what may be there. */
static const char **environment(const struct cli *cli, struct sk_arena *arena) {
    size_t n = 0;
    while (environ[n]) n++;
    const char **list = sk_arena_alloc(arena, (n + 3) * sizeof *list);
    size_t at = 0;
    list[at++] = sk_arena_print(arena, "SKERRY_CONNECTION_STRING=%s", cli->login).p;
    if (cli->ca_file) list[at++] = sk_arena_print(arena, "SKERRY_CA_FILE=%s", cli->ca_file).p;
    memcpy(list + at, environ, (n + 1) * sizeof *list);
    return list;
}

static void start(struct worker *worker) {
    struct follow *follow = worker->follow;
    struct sk_arena arena = {0};
    const char *const command[] = {"/proc/self/exe", "sim",      "follow",       "--only",
                                   worker->id,       "--runner", follow->runner, NULL};
    worker->started_ns = worker->heard_ns = sk_io_now(follow->cli->io);
    worker->failed = worker->deaf = false;
    enum sk_status status =
        sk_child_start(follow->cli->io,
                       &(struct sk_child_options){.command = command,
                                                  .environment = environment(follow->cli, &arena),
                                                  .on_exit = on_exit_of,
                                                  .arg = worker},
                       &worker->child);
    sk_arena_free(&arena);
    if (status == SK_OK) return;
    worker->child = NULL;
    worker->failed = true;
    worker->ended_ns = worker->started_ns;
    follow_say(follow, worker->id, "its process cannot be started");
}

static struct worker *find(struct follow *follow, const char *id) {
    SK_LIST_EACH(&follow->workers, node, following) {
        struct worker *worker = SK_CONTAINER(node, struct worker, link);
        if (strcmp(worker->id, id) == 0) return worker;
    }
    return NULL;
}

static bool since(const struct follow *follow, uint64_t ns, unsigned seconds) {
    return sk_io_now(follow->cli->io) - ns > seconds * SK_S;
}

/* It has not said anything for long: a script that loops, most likely. */
static void end_deaf(struct worker *worker, const json_t *simulation) {
    struct follow *follow = worker->follow;
    struct cli_answer answer;
    char path[FOLLOW_PATH];
    worker->deaf = true;
    sk_child_signal(worker->child, SIGKILL);
    follow_state_path(worker->id, path);
    json_t *body = json_pack("{s:s,s:O,s:b,s:s}", "Runner", follow->runner, "RunNumber",
                             json_object_get(simulation, "RunNumber"), "Done", 1, "Error",
                             "its process did not answer and was ended: is there a loop in a "
                             "script that never ends?");
    if (cli_try(follow->cli, SK_HTTP_PUT, path, body, NULL, NULL, &answer) == NULL)
        json_decref(answer.body);
    json_decref(body);
}

/* Starts what is to run and is nobody's; ends what does not answer. */
static void consider(struct follow *follow, const json_t *simulation) {
    const char *id = sk_json_member_text(simulation, "Id"),
               *runner = sk_json_member_text(simulation, "Runner");
    json_int_t run = json_integer_value(json_object_get(simulation, "RunNumber"));
    bool held = json_is_true(json_object_get(simulation, "Held")),
         mine = runner && strcmp(runner, follow->runner) == 0;
    if (id == NULL || !sk_simulation_id_fine(sk_span_z(id))) return;
    struct worker *worker = find(follow, id);
    if (worker) worker->listed = true;
    if (worker && worker->child) {
        if (held && mine) worker->heard_ns = sk_io_now(follow->cli->io);
        if (!worker->deaf && since(follow, worker->heard_ns, DEAF_S)) end_deaf(worker, simulation);
        return;
    }
    if (!follow_is_due(simulation) || (held && !mine)) return;
    if (worker && worker->run == run &&
        (worker->failed ? !since(follow, worker->ended_ns, AGAIN_S)
                        : !since(follow, worker->started_ns, 1)))
        return;
    if (worker == NULL) {
        worker = SK_NEW(struct worker);
        worker->follow = follow;
        worker->listed = true;
        snprintf(worker->id, sizeof worker->id, "%s", id);
        sk_list_append(&follow->workers, &worker->link);
    }
    worker->run = run;
    start(worker);
}

static void forget_gone(struct follow *follow) {
    SK_LIST_EACH(&follow->workers, node, following) {
        struct worker *worker = SK_CONTAINER(node, struct worker, link);
        if (worker->listed || worker->child) continue;
        sk_list_remove(&worker->link);
        free(worker);
    }
}

static void unlist(struct follow *follow, bool heard) {
    SK_LIST_EACH(&follow->workers, node, following) {
        struct worker *worker = SK_CONTAINER(node, struct worker, link);
        worker->listed = false;
        if (heard) worker->heard_ns = sk_io_now(follow->cli->io);
    }
}

/* ---- the list ---- */

static void follow_list(struct follow *follow) {
    struct cli *cli = follow->cli;
    struct cli_answer answer;
    char path[FOLLOW_PATH], etag[32] = "";
    bool away = false, first = true;
    while (!follow->ended) {
        snprintf(path, sizeof path, "/devicesimulation/v1/simulations?wait=%d&since=%s", WAIT_S,
                 etag);
        if (cli_try(cli, SK_HTTP_GET, path, NULL, NULL, NULL, &answer)) {
            if (follow->ended) break;
            if (!away) cli_fail("%s", cli->why);
            away = true;
            unlist(follow, true); /* they hear nothing of it either */
            follow_pause(follow, RETRY_MS);
            continue;
        }
        if (first || away) follow_say(follow, follow->runner, "follows the hub's simulations");
        first = away = false;
        unlist(follow, false);
        size_t i;
        const json_t *simulation;
        json_array_foreach(json_object_get(answer.body, "Items"), i, simulation)
            consider(follow, simulation);
        forget_gone(follow);
        const char *next = sk_json_member_text(answer.body, "ETag");
        snprintf(etag, sizeof etag, "%s", next ? next : "");
        json_decref(answer.body);
    }
}

static bool any_runs(const struct follow *follow) {
    SK_LIST_EACH((struct sk_list *)&follow->workers, node, following)
    if (SK_CONTAINER(node, struct worker, link)->child) return true;
    return false;
}

static void end_processes(struct follow *follow) {
    SK_LIST_EACH(&follow->workers, node, following) {
        struct worker *worker = SK_CONTAINER(node, struct worker, link);
        if (worker->child) sk_child_signal(worker->child, SIGTERM);
    }
    while (any_runs(follow)) sk_io_run(follow->cli->io);
    SK_LIST_EACH(&follow->workers, other, behind) free(SK_CONTAINER(other, struct worker, link));
}

int cli_sim_follow(void *arg) {
    struct cli *cli = arg;
    struct follow follow = {.cli = cli, .runner = sk_typed_option(&cli->typed, "runner")};
    const char *only = sk_typed_option(&cli->typed, "only");
    char guid[37];
    int code = SK_EXIT_FINE;
    if (only && !sk_simulation_id_fine(sk_span_z(only)))
        return sk_typed_usage(&cli->typed, "--only ID is that of a simulation");
    if (follow.runner && (strlen(follow.runner) > 128 || *follow.runner == '\0' ||
                          !sk_span_only(sk_span_z(follow.runner), "-_.")))
        return sk_typed_usage(&cli->typed,
                              "--runner NAME is 1 to 128 letters, digits, and any of - _ .");
    sk_io_guid(cli->io, guid);
    if (follow.runner == NULL) follow.runner = guid;
    sk_list_init(&follow.workers);
    cli->timeout_ms = 30000;
    sk_io_on_signal(cli->io, SIGTERM, on_end, &follow);
    if (only) {
        code = follow_one(&follow, only);
    } else {
        follow_list(&follow);
        end_processes(&follow);
    }
    sk_io_on_signal(cli->io, SIGTERM, NULL, NULL);
    return code;
}
