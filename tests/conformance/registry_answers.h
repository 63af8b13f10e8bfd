/* An answer of the registry that is kept for a test, and identities to ask with. */
#ifndef TESTS_REGISTRY_ANSWERS_H
#define TESTS_REGISTRY_ANSWERS_H

#include "conformance/registry_world.h"

struct answer {
    struct sk_registry_end end;
    struct sk_registry_entry entries[8];
    size_t count, total;
    uint32_t subscriptions;
    char text[256]; /* documents as "key=bytes," */
    bool more;
    unsigned times;
    /* of a search */
    uint64_t after;
    enum sk_registry_way way;
};

static __attribute__((unused)) void keep(void *arg, const struct sk_registry_end *ended) {
    struct answer *answer = arg;
    answer->times++;
    answer->end = *ended;
    completed();
}

static __attribute__((unused)) void keep_entries(void *arg, const struct sk_registry_end *ended,
                                                 const struct sk_registry_entries *list) {
    struct answer *answer = arg;
    answer->total = list->count;
    answer->more = list->more;
    for (size_t i = 0; i < list->count && i < 8; i++) {
        answer->entries[i].identity = sk_identity_move(&list->entries[i].identity);
        answer->entries[i].twin = sk_twin_move(&list->entries[i].twin);
        answer->entries[i].place = list->entries[i].place;
        answer->count++;
    }
    keep(arg, ended);
}

static __attribute__((unused)) void keep_entry(void *arg, const struct sk_registry_end *ended,
                                               struct sk_registry_entry *entry) {
    assert_true((ended->status == SK_OK) == (entry != NULL));
    keep_entries(arg, ended,
                 &(struct sk_registry_entries){.entries = entry, .count = entry != NULL});
}

static __attribute__((unused)) void keep_change(void *arg, const struct sk_registry_end *ended,
                                                struct sk_registry_entry *entry,
                                                const json_t *desired_patch) {
    assert_true(ended->status == SK_OK || desired_patch == NULL);
    keep_entry(arg, ended, entry);
}

static __attribute__((unused)) void forget(struct answer *answer) {
    for (size_t i = 0; i < answer->count; i++) {
        sk_identity_free(&answer->entries[i].identity);
        sk_twin_free(&answer->entries[i].twin);
    }
    memset(answer, 0, sizeof *answer);
}

/* Makes the call, checks that it does not complete inside itself, and waits. */
#define ASK(answer, call)                                                                          \
    do {                                                                                           \
        forget(answer);                                                                            \
        w.waiting++;                                                                               \
        call;                                                                                      \
        assert_int_equal((answer)->times, 0);                                                      \
        wait_all();                                                                                \
        assert_int_equal((answer)->times, 1);                                                      \
    } while (0)

static __attribute__((unused)) struct sk_identity device(const char *id) {
    return (struct sk_identity){.device_id = (char *)id};
}
static __attribute__((unused)) struct sk_identity module(const char *device_id, const char *id) {
    return (struct sk_identity){.device_id = (char *)device_id, .module_id = (char *)id};
}
static __attribute__((unused)) enum sk_status put(struct sk_identity identity,
                                                  const char *if_match) {
    struct answer answer = {0};
    ASK(&answer, sk_registry_put(w.registry, &identity, sk_span_z(if_match), keep_entry, &answer));
    enum sk_status status = answer.end.status;
    forget(&answer);
    return status;
}
static __attribute__((unused)) enum sk_status get(struct answer *answer, const char *device_id,
                                                  const char *module_id) {
    ASK(answer, sk_registry_get(w.registry, sk_span_z(device_id), sk_span_z(module_id), keep_entry,
                                answer));
    return answer->end.status;
}
static __attribute__((unused)) enum sk_status change(struct answer *answer, const char *device_id,
                                                     const char *desired, const char *if_match) {
    json_t *document = json_loads(desired, 0, NULL);
    struct sk_twin_change twin_change = {.desired = document};
    ASK(answer, sk_registry_twin_change(w.registry, sk_span_z(device_id), SK_NONE, &twin_change,
                                        sk_span_z(if_match), keep_change, answer));
    json_decref(document);
    return answer->end.status;
}

#endif
