/* What the management API says of the machine: facts out of /proc and /etc, null where there are
 * none. */
#include <stdio.h>

#include "edge/daemon/parts.h"

enum { FILE_MAX = 256 * 1024 };

/* Loads a small file; "" when it cannot be read. */
static struct sk_span text_of(struct sk_io *io, const char *path, struct sk_buffer *text) {
    *text = (struct sk_buffer){.limit = FILE_MAX};
    sk_file_load(io, path, text);
    return sk_buffer_span(text);
}

/* What stands behind `name` at the beginning of a line, without spaces and quotes around it. */
static struct sk_span value_of(struct sk_span text, const char *name) {
    struct sk_span line;
    while (sk_span_split(&text, '\n', &line)) {
        if (!sk_span_starts(line, sk_span_z(name))) continue;
        line = sk_span_trim(sk_span_skip(line, strlen(name)));
        bool quoted = line.n >= 2 && line.p[0] == '"' && line.p[line.n - 1] == '"';
        return quoted ? sk_span(line.p + 1, line.n - 2) : line;
    }
    return SK_NONE;
}

static json_t *string_or_null(struct sk_span text) {
    return text.n ? json_stringn(text.p, text.n) : json_null();
}

static json_t *kilobytes(struct sk_span meminfo, const char *name) {
    struct sk_span text = value_of(meminfo, name);
    int64_t n;
    bool fine = sk_span_to_int(sk_span_first(text, sk_span_find(text, ' ')), &n) == SK_OK;
    return fine ? json_integer(n * 1024) : json_null();
}

/* Lines "cpu0 …", "cpu1 …" of /proc/stat. */
static int processors(struct sk_span stat) {
    struct sk_span line;
    int count = 0;
    while (sk_span_split(&stat, '\n', &line))
        count += line.n > 3 && sk_span_starts(line, SK_SPAN("cpu")) && line.p[3] >= '0' &&
                 line.p[3] <= '9';
    return count;
}

static json_t *provisioning(const struct sk_edge_config *config) {
    bool x509 = config->identity_certificate_file || config->identity_issued;
    return json_pack("{s:s,s:b,s:b}", "type", x509 ? "manual.x509" : "manual.sas",
                     "dynamicReprovisioning", 0, "alwaysReprovisionOnStartup", 0);
}

json_t *daemon_system_info(const struct sk_daemon *daemon) {
    struct sk_buffer release, kernel, stat, memory;
    struct sk_span of_release = text_of(daemon->io, "/etc/os-release", &release),
                   of_kernel = text_of(daemon->io, "/proc/sys/kernel/osrelease", &kernel),
                   of_stat = text_of(daemon->io, "/proc/stat", &stat),
                   of_memory = text_of(daemon->io, "/proc/meminfo", &memory);
    json_t *info =
        json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:i,s:o}", "osType", "linux", "architecture",
#if defined __aarch64__
                  "aarch64",
#elif defined __arm__
                  "armv7l",
#else
                  "x86_64",
#endif
                  "version", SK_VERSION, "provisioning", provisioning(daemon->config),
                  "kernel_version", string_or_null(sk_span_trim(of_kernel)), "operating_system",
                  string_or_null(value_of(of_release, "PRETTY_NAME=")), "cpus", processors(of_stat),
                  "total_memory", kilobytes(of_memory, "MemTotal:"));
    if (daemon->config->additional_info)
        json_object_update_missing(info, daemon->config->additional_info);
    sk_buffer_free(&release);
    sk_buffer_free(&kernel);
    sk_buffer_free(&stat);
    sk_buffer_free(&memory);
    return info;
}

/* Seconds of all processors since the start: all, and idle (the fourth and fifth number of the line
 * "cpu  …"), in ticks. */
static bool ticks_of(struct sk_span stat, int64_t *all, int64_t *idle) {
    struct sk_span line = value_of(stat, "cpu "), word;
    int64_t n;
    *all = *idle = 0;
    for (int i = 0; sk_span_split(&line, ' ', &word); i++) {
        if (sk_span_to_int(word, &n)) return false;
        *all += n;
        if (i == 3 || i == 4) *idle += n;
    }
    return *all > 0;
}

/* Since the last question, or the machine's start. */
static json_t *used_cpu(struct sk_daemon *daemon, struct sk_span stat) {
    int64_t all, idle;
    if (!ticks_of(stat, &all, &idle)) return json_null();
    int64_t passed = all - daemon->ticks_all, rested = idle - daemon->ticks_idle;
    daemon->ticks_all = all;
    daemon->ticks_idle = idle;
    return passed > 0 ? json_real(100.0 * (double)(passed - rested) / (double)passed) : json_null();
}

/* ---- the disk ---- */

/* Device and kind of what is mounted at or above a path, as /proc/self/mounts has them: a line
 * each, "device path kind options"; of two at one path the later. */
static void find_mount(struct sk_span mounts, struct sk_span path, struct sk_span *device,
                       struct sk_span *kind) {
    struct sk_span line, word[3];
    size_t longest = 0;
    *device = *kind = SK_NONE;
    while (sk_span_split(&mounts, '\n', &line)) {
        for (size_t i = 0; i < 3; i++)
            if (!sk_span_split(&line, ' ', &word[i])) word[i] = SK_NONE;
        size_t n = word[1].n;
        bool root = sk_span_is(word[1], "/");
        bool above = sk_span_starts(path, word[1]) && (root || n == path.n || path.p[n] == '/');
        if (n < longest || n == 0 || !above) continue;
        longest = n;
        *device = word[0];
        *kind = word[2];
    }
}

static json_t *space(uint64_t bytes) {
    return bytes > INT64_MAX ? json_null() : json_integer((json_int_t)bytes);
}

/* The one that holds our data. */
static json_t *disk_json(struct sk_daemon *daemon) {
    const char *data = daemon->config->data;
    struct sk_buffer mounts;
    struct sk_span device, kind;
    find_mount(text_of(daemon->io, "/proc/self/mounts", &mounts), sk_span_z(data), &device, &kind);
    json_t *disk = json_pack("{s:o,s:o,s:o,s:o,s:s}", "name",
                             device.n ? string_or_null(device) : json_string(data),
                             "available_space", space(sk_disk_free(daemon->io, data)),
                             "total_space", space(sk_disk_size(daemon->io, data)), "file_system",
                             string_or_null(kind), "file_type", "Unknown");
    sk_buffer_free(&mounts);
    return disk;
}

/* ---- what is used ---- */

json_t *daemon_resources(struct sk_daemon *daemon) {
    struct sk_buffer stat, memory, uptime;
    struct sk_span of_stat = text_of(daemon->io, "/proc/stat", &stat),
                   of_memory = text_of(daemon->io, "/proc/meminfo", &memory),
                   of_uptime = text_of(daemon->io, "/proc/uptime", &uptime);
    json_t *total = kilobytes(of_memory, "MemTotal:"),
           *available = kilobytes(of_memory, "MemAvailable:");
    int64_t host_s, used = json_integer_value(total) - json_integer_value(available);
    bool timed =
        sk_span_to_int(sk_span_first(of_uptime, sk_span_find(of_uptime, '.')), &host_s) == SK_OK;
    json_t *info = json_pack("{s:o,s:I,s:o,s:I,s:o,s:[o],s:s}", "host_uptime",
                             timed ? json_integer(host_s) : json_null(), "process_uptime",
                             (json_int_t)((sk_io_now(daemon->io) - daemon->started_ns) / SK_S),
                             "used_cpu", used_cpu(daemon, of_stat), "used_ram", (json_int_t)used,
                             "total_ram", total, "disks", disk_json(daemon), "docker_stats", "[]");
    json_decref(available);
    sk_buffer_free(&stat);
    sk_buffer_free(&memory);
    sk_buffer_free(&uptime);
    return info;
}

/* What the daemon knows of modules is that they are; how they stand the agent tells. */
static void add_module(void *arg, struct sk_span module_id, struct sk_span generation_id) {
    struct sk_span name = sk_span_skip(module_id, module_id.n && module_id.p[0] == '$' ? 1 : 0);
    (void)generation_id;
    json_array_append_new(arg,
                          json_pack("{s:s,s:s%,s:s,s:{s:{},s:[]},s:{s:{s:s}}}", "id", "id", "name",
                                    name.p, name.n, "type", "docker", "config", "settings", "env",
                                    "status", "runtimeStatus", "status", "unknown"));
}

json_t *daemon_modules(const struct sk_daemon *daemon) {
    json_t *list = json_array();
    sk_identities_each(daemon->identities, add_module, list);
    return json_pack("{s:o}", "modules", list);
}
