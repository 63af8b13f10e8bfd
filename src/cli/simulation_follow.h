/* The runner of simulations and the processes that it has, one of each. Inside src/cli only. */
#ifndef SK_CLI_SIMULATION_FOLLOW_H
#define SK_CLI_SIMULATION_FOLLOW_H

#include "cli/simulation_parts.h"

enum { FOLLOW_PATH = 160 };

struct follow {
    struct cli *cli;
    const char *runner;     /* our name at the hub */
    bool ended;             /* by a signal */
    struct sk_list workers; /* see simulation_follow.c */
};
/* Runs the loop for so long, or until a signal. */
void follow_pause(struct follow *follow, unsigned ms);
void follow_say(const struct follow *follow, const char *id, const char *what);

/* --- simulation_one.c --- */
/* Runs one simulation until it is to end; the exit code. */
int follow_one(struct follow *follow, const char *id);
/* Something is to be done: it is to run, or its devices are to be deleted. */
bool follow_is_due(const json_t *simulation);
void follow_state_path(const char *id, char path[FOLLOW_PATH]);

#endif
