/* A log in memory: what is kept lasts until memory_log_forget(), however often it is opened. It
 * shows that the stories of log.c know nothing of how a log keeps its records. */
#ifndef TESTS_MEMORY_LOG_H
#define TESTS_MEMORY_LOG_H

#include "support/log_world.h"

enum sk_status memory_log_open(struct log_world *w);
void memory_log_forget(void);

#endif
