/* Tables of configuration keys, row by row: what every table must keep, whatever is in it.
 *
 * A row is read in the least document that is complete: what must be there has the value that
 * its row gives as an example. */
#ifndef TESTS_CONFIG_WALK_H
#define TESTS_CONFIG_WALK_H

#include <stdio.h>

#include "config/config.h"
#include "support/test.h"

/* Every row: its sentence, example and default, and its limits: what is at them is taken, what
 * is one (of times a millisecond) beyond is not. */
void walk_keys(sk_config_keys keys, void *to, size_t size);

/* Tests run in the repository's root. */
void compare_page(struct sk_span printed, const char *page, const char *command);

#endif
