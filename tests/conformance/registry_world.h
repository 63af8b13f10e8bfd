/* What every implementation of the registry must do: here are the implementations, and a world
 * for each story. The stories are the registry_*.c beside it; they know nothing but
 * registry.h. Another implementation is a row of the table. */
#ifndef TESTS_REGISTRY_WORLD_H
#define TESTS_REGISTRY_WORLD_H

#include <stdio.h>
#include <unistd.h>

#include "io/sim/sim.h"
#include "store/registry/registry.h"
#include "store/registry/sqlite/sqlite.h"
#include "support/test.h"

static struct world {
    struct sk_sim *sim; /* NULL: the real world */
    struct sk_io *io;
    char folder[64]; /* this story's own */
    struct sk_registry *registry;
    unsigned waiting; /* calls without completion */
} w;
static char reason[SK_MODEL_ERROR_MAX];

/* ---- implementations ---- */

static enum sk_status open_sqlite(void) {
    char path[80];
    snprintf(path, sizeof path, "%s/r.db", w.folder);
    return sk_registry_sqlite_open(w.io, path, &w.registry, reason);
}

/* Opens, or opens again, what w.folder stands for as w.registry. */
static const struct implementation {
    const char *name;
    bool simulated;
    enum sk_status (*open)(void);
} implementations[] = {
    {"sqlite, simulated", true, open_sqlite},
    {"sqlite", false, open_sqlite},
};
static const struct implementation *implementation;

static void choose(const char *name) {
    implementation = implementations;
    while (strcmp(implementation->name, name) != 0) implementation++;
}

__attribute__((constructor)) static void register_implementations(void) {
    enum { COUNT = sizeof implementations / sizeof *implementations };
    static const char *names[COUNT + 1];
    for (size_t i = 0; i < COUNT; i++) names[i] = implementations[i].name;
    test_register_variants(choose, names);
}

/* ---- the world ---- */

static void open_registry(void) {
    assert_int_equal(implementation->open(), SK_OK);
}

static __attribute__((unused)) void reopen(void) {
    sk_registry_close(w.registry);
    if (w.sim == NULL) sk_io_run(w.io);
    open_registry();
}

static int start(void **state) {
    (void)state;
    w = (struct world){0};
    if (implementation->simulated) {
        w.sim = sk_sim_new(&(struct sk_sim_options){.seed = 7});
        w.io = sk_sim_node(w.sim, "hub");
        snprintf(w.folder, sizeof w.folder, "/data");
        assert_int_equal(sk_folder_make(w.io, w.folder, 0700), SK_OK);
    } else {
        snprintf(w.folder, sizeof w.folder, "/tmp/skerry-registry-XXXXXX");
        assert_non_null(mkdtemp(w.folder));
        w.io = sk_io_uv_new();
    }
    open_registry();
    return 0;
}

static void remove_file(void *arg, struct sk_span name) {
    (void)arg;
    char path[400];
    snprintf(path, sizeof path, "%s/%.*s", w.folder, SK_ARG(name));
    unlink(path);
}

static int end(void **state) {
    (void)state;
    sk_registry_close(w.registry);
    if (w.sim) {
        sk_sim_free(w.sim);
        return 0;
    }
    sk_io_run(w.io);
    assert_int_equal(sk_folder_list(w.io, w.folder, remove_file, NULL), SK_OK);
    sk_io_free(w.io);
    return rmdir(w.folder);
}

static bool nothing_waits(void *arg) {
    (void)arg;
    return w.waiting == 0;
}

static void wait_all(void) {
    if (w.sim)
        assert_true(sk_sim_run_until(w.sim, 60 * SK_S, nothing_waits, NULL));
    else if (w.waiting)
        sk_io_run(w.io);
    assert_int_equal(w.waiting, 0);
}

/* A call has completed. */
static void completed(void) {
    if (--w.waiting == 0 && w.sim == NULL) sk_io_stop(w.io);
}

#endif
