#include "edge/agent/process_usage.h"

#include <stdio.h>

enum { FILE_MAX = 16 * 1024, PROCESSES_MAX = 64, FIELDS = 17 };
/* The kernel counts time for user space in hundredths of a second, whatever its own tick is. */
static const int64_t TICK_NS = 10000000;

static struct sk_span load(struct sk_io *io, const char *who, const char *file,
                           struct sk_buffer *text) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/%s", who, file);
    text->n = 0;
    text->limit = FILE_MAX;
    return sk_file_load(io, path, text) ? SK_NONE : sk_buffer_span(text);
}

static void add(int64_t *sum, int64_t value) {
    *sum = (*sum == SK_NOT_KNOWN ? 0 : *sum) + value;
}

/* Adds the number behind a line's "name:", times `unit`. */
static void add_line(struct sk_span text, const char *name, int64_t unit, int64_t *sum) {
    struct sk_span line;
    int64_t n;
    while (sk_span_split(&text, '\n', &line)) {
        if (!sk_span_starts(line, sk_span_z(name))) continue;
        line = sk_span_trim(sk_span_skip(line, strlen(name)));
        if (sk_span_to_int(sk_span_first(line, sk_span_find(line, ' ')), &n) == SK_OK)
            add(sum, n * unit);
        return;
    }
}

/* utime, stime, and those of children that have ended: the 14th to 17th field of the line. The
 * second is a name in parentheses, which may hold anything. */
static void add_time(struct sk_span stat, int64_t *cpu_ns) {
    size_t name_end = stat.n;
    struct sk_span field;
    int64_t n;
    for (size_t i = 0; i < stat.n; i++)
        if (stat.p[i] == ')') name_end = i;
    stat = sk_span_trim(sk_span_skip(stat, name_end + 1));
    for (int i = 3; i <= FIELDS && sk_span_split(&stat, ' ', &field); i++)
        if (i >= 14 && sk_span_to_int(field, &n) == SK_OK) add(cpu_ns, n * TICK_NS);
}

static void add_process(struct sk_io *io, const char *who, struct sk_buffer *text,
                        struct sk_usage *usage) {
    add_time(load(io, who, "stat", text), &usage->cpu_ns);
    struct sk_span status = load(io, who, "status", text);
    add_line(status, "VmRSS:", 1024, &usage->memory);
    add_line(status, "Threads:", 1, &usage->tasks);
    struct sk_span disk = load(io, who, "io", text);
    add_line(disk, "read_bytes:", 1, &usage->read);
    add_line(disk, "write_bytes:", 1, &usage->written);
}

void process_usage(struct sk_io *io, int pid, struct sk_usage *usage) {
    char who[PROCESSES_MAX][16], file[48];
    struct sk_buffer text = {0};
    size_t count = 1;
    snprintf(who[0], sizeof *who, "%d", pid);
    if (pid == 0) snprintf(who[0], sizeof *who, "self");
    sk_usage_clear(usage);
    for (size_t i = 0; i < count; i++) {
        struct sk_span children, child;
        add_process(io, who[i], &text, usage);
        if (pid == 0) break; /* our children are modules */
        snprintf(file, sizeof file, "task/%.16s/children", who[i]);
        children = sk_span_trim(load(io, who[i], file, &text));
        while (count < PROCESSES_MAX && sk_span_split(&children, ' ', &child))
            if (child.n && child.n < sizeof *who)
                snprintf(who[count++], sizeof *who, "%.*s", SK_ARG(child));
    }
    sk_buffer_free(&text);
}
