/* A hub, an edge hub behind it, and devices, in one simulated world; for stories.
 *
 * Machines: "hub.test", "edge.test", "field.test" (leaf devices and modules). The hub serves REST
 * and MQTT on port 8883, the edge hub MQTT on 8883. Device edge1 is the edge device; leaf1 is its
 * child; module edge1/reader is a module on it. */
#ifndef TESTS_FLEET_H
#define TESTS_FLEET_H

#include <stdio.h>

#include "device/client.h"
#include "net/http_client.h"
#include "edge/hub/edge_hub.h"
#include "hub/server/server.h"
#include "io/sim/sim.h"
#include "trust/sas.h"
#include "support/seeds.h"
#include "support/test.h"
#include "support/watch.h"

#define FLEET_KEY "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

/* Pieces of its hub.toml. */
#define FLEET_TOML_HUB                                                                             \
    "[listen]\naddresses = [\"0.0.0.0:8883\"]\ncertificate = \"-\"\nkey = \"-\"\n"                 \
    "allowed_origins = [\"https://tool.example\"]\n"                                               \
    "[[hub]]\nname = \"test\"\nhostnames = [\"hub.test\"]\ndata = \"/data\"\nretention = "         \
    "\"60d\"\n"
#define FLEET_TOML_POLICY(name, key, rights)                                                       \
    "[[hub.policy]]\nname = \"" name "\"\nkeys = [\"" key "\"]\nrights = [" rights "]\n"
#define FLEET_TOML_OWNER                                                                           \
    FLEET_TOML_POLICY(                                                                             \
        "owner", FLEET_KEY,                                                                        \
        "\"RegistryRead\", \"RegistryWrite\", \"ServiceConnect\", \"DeviceConnect\"")
#define FLEET_TOML_READER FLEET_TOML_POLICY("reader", FLEET_KEY, "\"RegistryRead\"")

struct fleet {
    struct sk_sim *sim;
    struct watch *watch; /* of the hub, all the time */
    struct sk_io *hub_io, *edge_io, *field_io;
    struct sk_hub_config config;
    struct sk_hub_server *hub;
    struct sk_edge_hub_options edge_options;
    struct sk_edge_hub *edge;
    struct sk_gateway *edge_gateway;
    struct sk_http_client *service;
    const char *routes; /* JSON of $edgeHub's desired properties; NULL: no deployment yet */
    unsigned waiting;   /* things under way */
    unsigned status;    /* of the last REST answer */
    char *answer;
    bool edge_ready;
    bool edge_amqp, edge_websocket; /* the edge's way upstream */
    uint64_t clients_max;           /* of the edge; 0: no limit */
    uint64_t store_bytes_max;       /* of its messages; 0: no limit */
    bool drop_oldest;
    const struct sk_tls_options *edge_tls; /* it listens at 8884, too, with TLS; NULL: not */
    bool edge_fallback;                    /* its port is closed: only WebSockets get through */
};

/* Nothing is under way; one thing less is. */
bool fleet_idle(void *arg);
void fleet_stopped(void *arg);

void fleet_start_hub(struct fleet *f);
void fleet_stop_hub(struct fleet *f);

/* The hub reads another hub.toml; NULL: it was taken, or why not. A second goes by. */
const char *fleet_reload(struct fleet *f, const char *toml);

/* Power is lost and comes back: what was not durable is gone, torn or there. */
void fleet_crash_hub(struct fleet *f);
/* The same, until it answers again. */
void fleet_fall(struct fleet *f);
/* Starts it again after it has lost power by itself. */
void fleet_power_hub(struct fleet *f);

/* ---- REST ---- */

/* One service call, to its end; f->status and f->answer. */
void fleet_send(struct fleet *f, enum sk_http_method method, const char *path, const char *body,
                bool if_match);

void fleet_call(struct fleet *f, enum sk_http_method method, const char *path, const char *body);
void fleet_put(struct fleet *f, const char *path, const char *body);

/* The member of a document behind names and indexes with slashes between, or NULL. */
const json_t *fleet_member(const json_t *json, const char *path);
/* A GET is answered with a document in which this member is the JSON text `expected`; NULL: it is
 * not there. */
void fleet_shows(struct fleet *f, const char *path, const char *member, const char *expected);

/* ---- the edge ---- */

void fleet_start_edge(struct fleet *f);
void fleet_stop_edge(struct fleet *f);
void fleet_crash_edge(struct fleet *f);
bool fleet_edge_connected(void *arg);

/* ---- the world ---- */

#define FLEET_SAS                                                                                  \
    "\"authentication\":{\"type\":\"sas\",\"symmetricKey\":{\"primaryKey\":\"" FLEET_KEY           \
    "\",\"secondaryKey\":\"" FLEET_KEY "\"}}"

/* A device with FLEET_KEY; `more` are further members, each with a comma in front. */
void fleet_put_device(struct fleet *f, const char *device, const char *more);

/* Gives the edge hub its routes. */
void fleet_deploy(struct fleet *f, const char *desired);

/* Identities with FLEET_KEY: edge1 with $edgeAgent, $edgeHub and reader; leaf1 as its child. */
void fleet_make_identities(struct fleet *f);

#define FLEET_ROUTES_UP                                                                            \
    "{\"schemaVersion\":\"1.1\",\"routes\":{\"up\":\"FROM /messages/* INTO $upstream\"}}"

void fleet_over(const char *upstream);

/* A hub without identities, and nothing else. */
void fleet_new_hub(struct fleet *f, uint64_t seed);

void fleet_new(struct fleet *f, uint64_t seed, const char *routes);
void fleet_free(struct fleet *f);

/* A device client of the field; `module` NULL: a device. `host`: "edge.test" or "hub.test". */
struct sk_device_client *fleet_client(struct fleet *f, const char *host, const char *device,
                                      const char *module, unsigned subscriptions,
                                      const struct sk_device_events *events, void *arg);

/* A hub with the devices d1 and d2, as a test's state. */
int fleet_new_world(void **state);

int fleet_free_world(void **state);

/* Reads the hub's stored events from the start: calls `each` for every message; returns how many.
 */
size_t fleet_read_events(struct fleet *f, void (*each)(void *arg, const struct sk_message *message),
                         void *arg);

#endif
