/* Logs of modules that are processes: <data>/logs/<name>.log. Inside src/edge/agent only. */
#ifndef SK_EDGE_AGENT_PROCESS_LOG_H
#define SK_EDGE_AGENT_PROCESS_LOG_H

#include "edge/agent/module_log.h"
#include "io/io.h"

void process_log_path(const char *data, const char *name, const char *suffix, char to[512]);
struct sk_module_log *process_log_open(struct sk_io *io, const char *path,
                                       const struct sk_log_ask *ask);
/* A log that has grown too long: its last part is kept aside and the file cut. The module goes on
 * appending. */
void process_log_check(struct sk_io *io, const char *data, const char *name);

#endif
