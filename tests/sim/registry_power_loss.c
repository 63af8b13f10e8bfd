/* Power is cut at a random durable write, several times in each world, under all three kinds of
 * loss: whatever the registry completed is there afterwards, and nothing is there that was never
 * asked for. */
#include <stdio.h>

#include "io/sim/sim.h"
#include "store/registry/sqlite/sqlite.h"
#include "support/test.h"

enum { DEVICES = 5, WORLDS = 240, CUTS = 4 };
static const char PATH[] = "/registry.db";

/* What one device was asked to become. Each change writes the next number into desired.n, in order.
 */
struct subject {
    char id[16];
    bool created;           /* completed */
    json_int_t asked, done; /* desired.n: last asked, last completed */
    json_int_t document_asked, document_done;
    unsigned running;
};

struct story {
    unsigned seed;
    struct sk_sim *sim;
    struct sk_io *io;
    struct sk_registry *registry;
    struct subject subjects[DEVICES];
    bool read;
};

#define STORY_FAILS(story, ...)                                                                    \
    do {                                                                                           \
        print_error("seed %u: ", (story)->seed);                                                   \
        fail_msg(__VA_ARGS__);                                                                     \
    } while (0)

struct ask {
    struct subject *subject;
    json_int_t n;
    enum { CREATE, CHANGE, DOCUMENT } what;
};

static void completed(void *arg, const struct sk_registry_end *end) {
    struct ask ask = *(struct ask *)arg;
    free(arg);
    ask.subject->running--;
    if (end->status) return; /* refused or cut off: nothing is promised */
    if (ask.what == CREATE) ask.subject->created = true;
    if (ask.what == CHANGE) ask.subject->done = ask.n;
    if (ask.what == DOCUMENT) ask.subject->document_done = ask.n;
}

static void created(void *arg, const struct sk_registry_end *end, struct sk_registry_entry *entry) {
    (void)entry;
    completed(arg, end);
}

static void changed(void *arg, const struct sk_registry_end *end, struct sk_registry_entry *entry,
                    const json_t *desired_patch) {
    (void)entry, (void)desired_patch;
    completed(arg, end);
}

static struct ask *ask_new(struct subject *subject, int what, json_int_t n) {
    struct ask *ask = SK_NEW(struct ask);
    *ask = (struct ask){subject, n, what};
    subject->running++;
    return ask;
}

static void ask_something(struct story *story) {
    struct subject *subject = &story->subjects[sk_sim_chance(story->sim, DEVICES)];
    if (subject->running > 4) return;
    if (!subject->created) {
        struct sk_identity identity = {.device_id = subject->id, .edge = subject->id[1] == '0'};
        if (subject->running == 0)
            sk_registry_put(story->registry, &identity, SK_NONE, created,
                            ask_new(subject, CREATE, 0));
        return;
    }
    if (sk_sim_chance(story->sim, 4) == 0) {
        char text[32];
        json_int_t n = ++subject->document_asked;
        int length = snprintf(text, sizeof text, "%lld", (long long)n);
        sk_registry_document_put(story->registry, SK_SPAN("story"), sk_span_z(subject->id),
                                 sk_span(text, (size_t)length), completed,
                                 ask_new(subject, DOCUMENT, n));
        return;
    }
    static const char padding[3000] = {0}; /* some changes fill several pages */
    size_t pad = sk_sim_chance(story->sim, 3) ? 0 : sk_sim_chance(story->sim, sizeof padding);
    char text[sizeof padding];
    memset(text, 'p', pad);
    json_int_t n = ++subject->asked;
    json_t *document = json_pack("{s:I,s:s%}", "n", n, "pad", text, pad);
    struct sk_twin_change change = {.desired = document};
    sk_registry_twin_change(story->registry, sk_span_z(subject->id), SK_NONE, &change, SK_NONE,
                            changed, ask_new(subject, CHANGE, n));
    json_decref(document);
}

static struct subject *subject_of(struct story *story, const char *id) {
    for (int i = 0; i < DEVICES; i++)
        if (strcmp(story->subjects[i].id, id) == 0) return &story->subjects[i];
    STORY_FAILS(story, "a device %s that nobody asked for", id);
    return NULL;
}

static void check_twins(void *arg, const struct sk_registry_end *end,
                        const struct sk_registry_found *list) {
    struct story *story = arg;
    bool seen[DEVICES] = {0};
    if (end->status) STORY_FAILS(story, "reading the twins: %s", sk_status_text(end->status));
    for (size_t i = 0; i < list->count; i++) {
        struct subject *subject = subject_of(story, list->entries[i].identity.device_id);
        json_int_t n = json_integer_value(json_object_get(list->entries[i].twin.desired, "n"));
        if (n < subject->done)
            STORY_FAILS(story, "%s lost a completed change: %lld of %lld", subject->id,
                        (long long)n, (long long)subject->done);
        if (n > subject->asked) STORY_FAILS(story, "%s has a change from the future", subject->id);
        if ((json_int_t)list->entries[i].twin.desired_version != n + 1)
            STORY_FAILS(story, "%s skipped a change", subject->id);
        subject->asked = subject->done = n;
        subject->created = seen[subject - story->subjects] = true;
    }
    for (int i = 0; i < DEVICES; i++)
        if (story->subjects[i].created && !seen[i])
            STORY_FAILS(story, "%s lost its creation", story->subjects[i].id);
}

static void check_documents(void *arg, const struct sk_registry_end *end,
                            const struct sk_registry_documents *list) {
    struct story *story = arg;
    if (end->status) STORY_FAILS(story, "reading the documents: %s", sk_status_text(end->status));
    size_t expected = 0;
    for (int i = 0; i < DEVICES; i++) expected += story->subjects[i].document_done > 0;
    if (list->count < expected) STORY_FAILS(story, "a completed document is lost");
    for (size_t i = 0; i < list->count; i++) {
        char id[16] = {0};
        memcpy(id, list->documents[i].key.p, list->documents[i].key.n);
        struct subject *subject = subject_of(story, id);
        int64_t n = 0;
        if (sk_span_to_int(list->documents[i].bytes, &n) || n < subject->document_done ||
            n > subject->document_asked)
            STORY_FAILS(story, "%s has document %lld", id, (long long)n);
        subject->document_asked = subject->document_done = n;
    }
    story->read = true;
}

static void check_system_modules(void *arg, const struct sk_registry_end *end,
                                 const struct sk_registry_entries *list) {
    struct story *story = arg;
    if (story->subjects[0].created && (end->status || list->count != 2))
        STORY_FAILS(story, "an edge device came back with %zu of its two modules", list->count);
}

static bool has_read(void *arg) {
    return ((struct story *)arg)->read;
}

/* Opens after a power cut and compares. */
static void check(struct story *story) {
    char reason[SK_MODEL_ERROR_MAX];
    if (sk_registry_sqlite_open(story->io, PATH, &story->registry, reason))
        STORY_FAILS(story, "%s", reason);
    story->read = false;
    sk_registry_find_twins(story->registry, &(struct sk_registry_search){.max = 100}, check_twins,
                           story);
    sk_registry_list_modules(story->registry, SK_SPAN("d0"), check_system_modules, story);
    sk_registry_document_list(story->registry, SK_SPAN("story"), SK_NONE, 100, check_documents,
                              story);
    if (!sk_sim_run_until(story->sim, SK_S, has_read, story))
        STORY_FAILS(story, "the reads never completed");
}

/* Works until the power goes; returns how many writes had completed by then. */
static void live(struct story *story) {
    enum sk_sim_loss loss = (enum sk_sim_loss)(story->seed % 3);
    char reason[SK_MODEL_ERROR_MAX];
    /* The cut may fall into opening (checkpoint, migration) or far into the work. */
    sk_sim_power_cut_after(story->io,
                           sk_sim_chance(story->sim, 4) ? sk_sim_chance(story->sim, 60)
                                                        : sk_sim_chance(story->sim, 6),
                           loss);
    story->registry = NULL;
    sk_registry_sqlite_open(story->io, PATH, &story->registry, reason);
    for (unsigned turn = 0; turn < 2000 && !sk_sim_is_dead(story->io); turn++) {
        if (story->registry) ask_something(story);
        sk_sim_run(story->sim, sk_sim_chance(story->sim, 150000));
        if (story->registry == NULL) break;
    }
    if (!sk_sim_is_dead(story->io)) sk_sim_power_cut(story->io, loss);
    if (story->registry) sk_registry_close(story->registry);
    story->io = sk_sim_power_on(story->io);
}

TEST(what_was_completed_survives_power_loss_at_any_write) {
    json_int_t changes = 0, documents = 0;
    for (unsigned seed = 1; seed <= WORLDS; seed++) {
        struct story story = {.seed = seed,
                              .sim = sk_sim_new(&(struct sk_sim_options){.seed = seed})};
        story.io = sk_sim_node(story.sim, "hub");
        for (int i = 0; i < DEVICES; i++)
            snprintf(story.subjects[i].id, sizeof story.subjects[i].id, "d%d", i);
        for (int cut = 0; cut < CUTS; cut++) {
            live(&story);
            for (int i = 0; i < DEVICES; i++) story.subjects[i].running = 0;
            check(&story);
            sk_registry_close(story.registry);
        }
        for (int i = 0; i < DEVICES; i++)
            changes += story.subjects[i].done, documents += story.subjects[i].document_done;
        sk_sim_free(story.sim);
    }
    print_message("%d worlds, %d power cuts each: %lld changes and %lld documents kept\n", WORLDS,
                  CUTS, (long long)changes, (long long)documents);
    assert_true(changes > WORLDS); /* the story must have told something */
}
