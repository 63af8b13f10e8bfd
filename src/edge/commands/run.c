/* Programs of the machine: systemctl, journalctl. */
#include <stdio.h>

#include "edge/commands/parts.h"

enum { NOT_FOUND = 127, OUTPUT_MAX = 64 << 20 };

struct run {
    struct sk_io *io;
    int code;
};

static void on_exit_of(struct sk_child *child, void *arg, int exit_code, int signal_number) {
    struct run *run = arg;
    (void)child;
    run->code = signal_number ? 128 + signal_number : exit_code;
    sk_io_stop(run->io);
}

/* Where its output goes when it is to be kept: a file of our own, gone afterwards. */
static void output_path(struct sk_io *io, char to[64]) {
    char name[37];
    sk_io_guid(io, name);
    snprintf(to, 64, "/tmp/skerry-%s", name);
}

int edge_run_program(const char *const *command, struct sk_buffer *to) {
    extern char **environ;
    char path[64];
    struct run run = {.io = sk_io_uv_new(), .code = NOT_FOUND};
    output_path(run.io, path);
    struct sk_child *child;
    struct sk_child_options options = {.command = command,
                                       .environment = (const char *const *)environ,
                                       .output_path = to ? path : NULL,
                                       .on_exit = on_exit_of,
                                       .arg = &run};
    if (sk_child_start(run.io, &options, &child) == SK_OK) sk_io_run(run.io);
    if (to) {
        to->limit = OUTPUT_MAX;
        sk_file_load(run.io, path, to);
        sk_file_remove(run.io, path);
    }
    sk_io_free(run.io);
    return run.code;
}

static void forget(void *arg, struct sk_span name) {
    (void)arg, (void)name;
}

bool edge_has_systemd(void) {
    struct sk_io *io = sk_io_uv_new();
    bool there = sk_folder_list(io, "/run/systemd/system", forget, NULL) == SK_OK;
    sk_io_free(io);
    return there;
}
