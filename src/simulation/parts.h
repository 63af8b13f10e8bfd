/* What a simulation's files share. Inside src/simulation only. */
#ifndef SK_SIMULATION_PARTS_H
#define SK_SIMULATION_PARTS_H

#include "device/client.h"
#include "simulation/simulation.h"
#include "simulation/script.h"

/* A model in use: its scripts, ready to run. */
struct simulation_kind {
    struct sk_list link;
    const struct sk_simulation_model *model;
    struct sk_simulation_engine **engines; /* by script; NULL: not JavaScript */
};

struct simulation_connection {
    struct sk_list link;
    struct sk_device_mux *mux;
    unsigned devices;
};

struct sk_simulation {
    struct sk_io *io;
    struct sk_simulation_options options; /* its texts in `texts` */
    struct sk_arena texts;
    struct sk_token_source tokens;
    struct sk_list kinds, connections, waiting, devices;
    struct sk_timer begin;
    struct sk_simulation_statistics counts;
    char script_error[SK_SIMULATION_REASON];
};

struct device_telemetry {
    struct sk_timer timer;
    struct simulation_device *device;
    const struct sk_simulation_telemetry *says;
};

struct simulation_device {
    struct sk_list link; /* of simulation->waiting, or ->devices */
    struct sk_simulation *simulation;
    struct simulation_kind *kind;
    char *id;
    struct sk_device_client *client;     /* NULL: its turn has not come */
    json_t *state, *properties, *report; /* report: what is to be reported; NULL: nothing */
    struct sk_timer behave, tell;
    struct device_telemetry *telemetry;
    struct sk_list calls; /* methods whose scripts run */
    size_t call_count;
    bool connected, told; /* told: all its properties were, once */
};

/* device.c */
struct simulation_device *simulation_device_new(struct sk_simulation *simulation,
                                                struct simulation_kind *kind, struct sk_span id);
/* Its turn: it connects, over `mux` or (NULL) by itself. */
void simulation_device_begin(struct simulation_device *device, struct sk_device_mux *mux);
void simulation_device_free(struct simulation_device *device);
extern const struct sk_simulation_host simulation_script_host; /* a run's `arg` is the device */

#endif
