/* TLS for load generators, in benchmarks and in tests. */
#ifndef TESTS_TLS_H
#define TESTS_TLS_H

#include <stdio.h>

#include "io/io.h"

/* Trust in the CA of a PEM file; ends the program when that cannot be had. */
struct sk_tls *load_tls(struct sk_io *io, const char *file);

#endif
