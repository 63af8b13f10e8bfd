/* A simulation: devices, each of a model, which connect, send, report and answer as real ones
 * do. Thousands share a connection (AMQP), or each has its own (MQTT); a policy's key is their
 * proof, so their identities must exist and no key of theirs is needed.
 *
 * What is desired of a device's twin becomes a property of it, and is reported. Belongs to its
 * loop's thread. */
#ifndef SK_SIMULATION_SIMULATION_H
#define SK_SIMULATION_SIMULATION_H

#include "simulation/models/model.h"
#include "io/io.h"

struct sk_simulation;

/* Texts are copied. */
struct sk_simulation_options {
    const char *host;           /* to dial */
    uint16_t port;              /* 0: 5671, or 8883 by MQTT */
    bool mqtt;                  /* a connection for each device */
    struct sk_tls *tls;         /* NULL: plain (tests); must outlive it */
    struct sk_span hub_host;    /* the hub's host name */
    struct sk_span policy, key; /* one that may connect devices; base64 */
    unsigned connects_per_s;    /* devices that begin; 0: 200 */
    unsigned share;             /* devices on a connection; 0: 1000 */
    uint64_t interval_ms;       /* between messages, whatever models say; 0: as they say */
    void (*log)(void *arg, const char *device, const char *text); /* scripts' log(); NULL: nobody */
    void *arg;
};
struct sk_simulation *sk_simulation_new(struct sk_io *io,
                                        const struct sk_simulation_options *options);
/* All its devices go. Not from a callback of its own. */
void sk_simulation_free(struct sk_simulation *simulation);

/* One more device, which begins when its turn has come. The model must outlive the simulation.
 * SK_INVALID: a script cannot be compiled, with the reason. */
enum sk_status sk_simulation_add(struct sk_simulation *simulation,
                                 const struct sk_simulation_model *model, struct sk_span device_id,
                                 char reason[SK_SIMULATION_REASON]);

struct sk_simulation_statistics {
    size_t devices, connected;
    uint64_t sent, acknowledged, failed; /* messages; failed: refused, or no room to wait */
    uint64_t connect_failures;           /* attempts of devices */
    uint64_t methods, reports, report_failures, script_errors;
};
void sk_simulation_statistics(const struct sk_simulation *simulation,
                              struct sk_simulation_statistics *to);
/* The sentence of the last script that failed; empty: none has. */
const char *sk_simulation_script_error(const struct sk_simulation *simulation);

#endif
