/* What only SQLite's file shows: a form that is too new, damage, and a disk that is full. What a
 * registry does otherwise: tests/conformance. */
#include <stdio.h>
#include <unistd.h>

#include "io/sim/sim.h"
#include "store/registry/sqlite/sqlite.h"
#include "support/test.h"

static char reason[SK_MODEL_ERROR_MAX];

/* Writes over a part of the file. */
static void forge(const char *path, long at, const char *bytes, size_t n) {
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    fclose(file);
}

TEST(a_file_of_a_newer_skerry_is_refused_with_a_sentence) {
    enum { USER_VERSION = 60 /* in SQLite's header, big-endian */ };
    char folder[] = "/tmp/skerry-sqlite-XXXXXX", path[80];
    struct sk_io *io = sk_io_uv_new();
    struct sk_registry *registry;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/r.db", folder);
    assert_int_equal(sk_registry_sqlite_open(io, path, &registry, reason), SK_OK);
    sk_registry_close(registry);
    forge(path, USER_VERSION, "\0\0\3\xe7", 4);
    assert_int_equal(sk_registry_sqlite_open(io, path, &registry, reason), SK_UNSUPPORTED);
    assert_non_null(strstr(reason, "newer version of Skerry (form 999"));
    forge(path, 0, "not a database at all", 21);
    assert_int_equal(sk_registry_sqlite_open(io, path, &registry, reason), SK_MALFORMED);
    sk_io_free(io);
    unlink(path);
    assert_int_equal(rmdir(folder), 0);
}

/* ---- a disk that is full ---- */

static struct sk_sim *sim;
static struct sk_registry *registry;
static bool done;
static enum sk_status status;
static uint64_t version; /* of desired properties */

static void on_end(void *arg, const struct sk_registry_end *end) {
    (void)arg;
    done = true;
    status = end->status;
}

static void on_entry(void *arg, const struct sk_registry_end *end,
                     struct sk_registry_entry *entry) {
    version = entry ? entry->twin.desired_version : 0;
    on_end(arg, end);
}

static void on_change(void *arg, const struct sk_registry_end *end, struct sk_registry_entry *entry,
                      const json_t *desired_patch) {
    (void)desired_patch;
    on_entry(arg, end, entry);
}

static bool is_done(void *arg) {
    (void)arg;
    return done;
}

static enum sk_status outcome(void) {
    assert_true(sk_sim_run_until(sim, 60 * SK_S, is_done, NULL));
    done = false;
    return status;
}

static enum sk_status put_device(const char *id) {
    struct sk_identity identity = {.device_id = (char *)id};
    sk_registry_put(registry, &identity, SK_NONE, on_entry, NULL);
    return outcome();
}

static enum sk_status put_document(size_t size) {
    char *bytes = sk_alloc(size);
    sk_registry_document_put(registry, SK_SPAN("k"), SK_SPAN("big"), sk_span(bytes, size), on_end,
                             NULL);
    free(bytes);
    return outcome();
}

static enum sk_status change(int value) {
    json_t *document = json_pack("{s:i}", "x", value);
    sk_registry_twin_change(registry, SK_SPAN("d"), SK_NONE,
                            &(struct sk_twin_change){.desired = document}, SK_NONE, on_change,
                            NULL);
    json_decref(document);
    return outcome();
}

TEST(a_full_disk_refuses_writes_keeps_what_was_done_and_recovers) {
    enum { LARGE = 20000 };
    sim = sk_sim_new(&(struct sk_sim_options){.seed = 7});
    struct sk_io *io = sk_sim_node(sim, "hub");
    assert_int_equal(sk_registry_sqlite_open(io, "/r.db", &registry, reason), SK_OK);
    assert_int_equal(put_device("d"), SK_OK);
    assert_int_equal(change(1), SK_OK);
    sk_sim_disk_limit(io, 0);
    assert_int_equal(put_document(LARGE), SK_NO_SPACE);
    assert_int_equal(change(2), SK_NO_SPACE);
    assert_int_equal(put_device("d2"), SK_NO_SPACE);
    assert_int_equal(sk_registry_counts(registry).devices, 1);
    sk_registry_get(registry, SK_SPAN("d2"), SK_NONE, on_entry, NULL);
    assert_int_equal(outcome(), SK_NOT_FOUND);
    sk_registry_twin_get(registry, SK_SPAN("d"), SK_NONE, on_entry, NULL);
    assert_int_equal(outcome(), SK_OK);
    assert_int_equal(version, 2);
    sk_sim_disk_limit(io, UINT64_MAX);
    assert_int_equal(put_document(LARGE), SK_OK);
    assert_int_equal(change(2), SK_OK);
    assert_int_equal(put_device("d2"), SK_OK);
    sk_registry_close(registry);
    sk_sim_free(sim);
}
