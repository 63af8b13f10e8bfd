/* What the commands on simulations share. Inside src/cli only. */
#ifndef SK_CLI_SIMULATION_PARTS_H
#define SK_CLI_SIMULATION_PARTS_H

#include "cli/cli.h"
#include "simulation/simulation.h"

/* The devices of a simulation, NAME.MODEL.N, as identities in the hub. */
struct fleet_kind {
    struct sk_simulation_model *model;
    int64_t count;
};
struct fleet {
    struct cli *cli;
    const char *name;
    struct fleet_kind kinds[SK_SIMULATION_MODELS_MAX];
    size_t kind_count;
    int64_t devices;
    size_t batch; /* identities that a request makes or deletes; 0: 100, which is the most */
    /* After each request; `arg`, how many it was for. NULL: goes on; else it ends with that
     * sentence. May itself be NULL. */
    const char *(*between)(void *arg, size_t identities);
    void *arg;
};
/* NULL, or one sentence, which lives until the next call. What is there, or gone, already is
 * fine. */
const char *fleet_make(struct fleet *fleet);
const char *fleet_remove(struct fleet *fleet, size_t *count);
/* Its devices into a simulation. */
enum sk_status fleet_add(struct fleet *fleet, struct sk_simulation *simulation,
                         char reason[SK_SIMULATION_REASON]);
void fleet_free(struct fleet *fleet); /* its models */

#endif
