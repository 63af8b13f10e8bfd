/* Skerry's C SDK for IoT Edge modules: connect, send, receive, twin, direct methods, in one header.
 *
 * A module is a program that the edge agent starts. Everything it needs comes from its environment
 * (IOTEDGE_…), as for every IoT Edge module, so it runs on a Skerry edge and on Azure IoT Edge
 * alike.
 *
 *     static void on_message(void *user, struct skerry_module *module, const struct skerry_message
 *     *message, skerry_delivery delivery) {
 *         skerry_module_send(module, "out", message, NULL, NULL);
 *         skerry_module_acknowledge(module, delivery);
 *     }
 *     int main(void) {
 *         struct skerry_handlers handlers = {.on_message = on_message};
 *         struct skerry_module *module;
 *         if (skerry_module_from_environment(&handlers, NULL, &module)) return 1;
 *         int code = skerry_module_run(module);
 *         skerry_module_free(module);
 *         return code;
 *     }
 *
 * One thread: handlers are called from skerry_module_run, and all functions are called from that
 * thread. The connection is made again by itself for ever; what was sent and not acknowledged goes
 * out again. Texts given to handlers live until the handler returns. */
#ifndef SKERRY_H
#define SKERRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct skerry_module;

enum skerry_result {
    SKERRY_OK = 0,
    SKERRY_ENVIRONMENT = -1, /* a variable is missing or wrong: see stderr */
    SKERRY_TOO_LARGE = -2,   /* more than 256 KB */
    SKERRY_QUEUE_FULL = -3,  /* more than 16 MB wait for the edge hub */
    SKERRY_CLOSED = -4,
    SKERRY_REFUSED = -5, /* the hub said no: see stderr */
    SKERRY_TIMEOUT = -6,
};

struct skerry_property {
    const char *name, *value;
};

struct skerry_message {
    const void *body;
    size_t body_size;
    const char *content_type,
        *content_encoding; /* NULL: none. Routes on $body need "application/json" and "utf-8" */
    const char *message_id, *correlation_id; /* NULL: none */
    const struct skerry_property *properties;
    size_t property_count;
    /* of received messages */
    const char *input; /* the input it came to */
    const char *sender_device, *sender_module;
};

typedef uint64_t skerry_delivery;
/* Names one direct method call until it is answered. */
struct skerry_call;

/* Each may be NULL. */
struct skerry_handlers {
    void (*on_connected)(void *user, struct skerry_module *module);
    void (*on_disconnected)(void *user, struct skerry_module *module);
    /* A message for one of the module's inputs. Acknowledge it when it is dealt with; what is not
     * acknowledged comes again. */
    void (*on_message)(void *user, struct skerry_module *module,
                       const struct skerry_message *message, skerry_delivery delivery);
    /* Desired properties, JSON: everything after each connect, then each change as a patch (null:
     * deleted). `complete` tells which. */
    void (*on_desired)(void *user, struct skerry_module *module, const char *json, bool complete);
    /* A direct method. Answer with skerry_call_answer, now or later, exactly once. */
    void (*on_method)(void *user, struct skerry_module *module, const char *name,
                      const char *payload_json, struct skerry_call *call);
};

/* Reads IOTEDGE_WORKLOADURI, IOTEDGE_DEVICEID, IOTEDGE_MODULEID, IOTEDGE_MODULEGENERATIONID,
 * IOTEDGE_IOTHUBHOSTNAME and IOTEDGE_GATEWAYHOSTNAME; or, for work at a desk,
 * EdgeHubConnectionString and EdgeModuleCACertificateFile. */
enum skerry_result skerry_module_from_environment(const struct skerry_handlers *handlers,
                                                  void *user, struct skerry_module **module);
/* A device or module by its connection string; `ca_file` NULL: the system's certificates. */
enum skerry_result skerry_module_from_connection_string(const char *connection_string,
                                                        const char *ca_file,
                                                        const struct skerry_handlers *handlers,
                                                        void *user, struct skerry_module **module);
/* Works until skerry_module_stop() or SIGTERM; returns the process's exit code, 0. */
int skerry_module_run(struct skerry_module *module);
void skerry_module_stop(struct skerry_module *module);
void skerry_module_free(struct skerry_module *module);

/* Sends to an output of the module (NULL: plain telemetry). The message is copied. `done` (may be
 * NULL) when the edge hub has stored it, or with the reason why it never will be. SKERRY_TOO_LARGE,
 * SKERRY_QUEUE_FULL at once; then `done` is not called. */
typedef void skerry_done(void *user, enum skerry_result result);
enum skerry_result skerry_module_send(struct skerry_module *module, const char *output,
                                      const struct skerry_message *message, skerry_done *done,
                                      void *user);
void skerry_module_acknowledge(struct skerry_module *module, skerry_delivery delivery);
/* Reports properties: a JSON patch, null deletes. */
void skerry_module_report(struct skerry_module *module, const char *patch_json, skerry_done *done,
                          void *user);
/* `payload_json` NULL: null. */
void skerry_call_answer(struct skerry_call *call, int status, const char *payload_json);

/* Calls `fn` once after some milliseconds; start it again in `fn` to repeat. One timer a module; 0
 * ms stops it. */
void skerry_module_timer(struct skerry_module *module, uint32_t after_ms,
                         void (*fn)(void *user, struct skerry_module *module));
/* Milliseconds since some moment, monotonic; and a random number from 0 to 1. */
uint64_t skerry_now_ms(struct skerry_module *module);
double skerry_random(struct skerry_module *module);
/* Log line to stderr. */
void skerry_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#ifdef __cplusplus
}
#endif
#endif
