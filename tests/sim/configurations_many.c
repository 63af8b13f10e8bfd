/* Ten thousand devices come to what their configurations say, whatever happens meanwhile. */
#include "hub/configurations/parts.h"
#include "model/json_text.h"
#include "support/hub_world.h"
#include "support/test.h"

enum { DEVICES = 10000, AT_ONCE = 500, SITES = 10 };

AROUND(start_world, end_world);

static size_t waiting;

static bool none_waits(void *arg) {
    (void)arg;
    return waiting == 0;
}

static void made(void *arg, const struct sk_registry_end *end, struct sk_registry_entry *entry) {
    (void)arg, (void)entry;
    assert_int_equal(end->status, SK_OK);
    waiting--;
}

static void tagged(void *arg, const struct sk_registry_end *end, struct sk_registry_entry *entry,
                   const json_t *desired_patch) {
    (void)arg, (void)entry, (void)desired_patch;
    assert_int_equal(end->status, SK_OK);
    waiting--;
}

static void settle_all(void) {
    assert_true(sk_sim_run_until(sim, 600 * SK_S, none_waits, NULL));
}

static void make_devices(void) {
    char id[20];
    for (unsigned i = 0; i < DEVICES; i++) {
        snprintf(id, sizeof id, "n%05u", i);
        struct sk_identity identity = {.device_id = id};
        waiting++;
        sk_registry_put(hub->registry, &identity, SK_NONE, made, NULL);
        json_t *tags = json_pack("{s:i}", "site", (int)(i % SITES));
        waiting++;
        sk_registry_twin_change(hub->registry, sk_span_z(id), SK_NONE,
                                &(struct sk_twin_change){.tags = tags}, SK_NONE, tagged, NULL);
        json_decref(tags);
        if (waiting >= AT_ONCE) settle_all();
    }
    settle_all();
}

static enum sk_fault put_configuration(const char *id, const char *condition, int value) {
    json_t *body = json_pack("{s:s,s:{s:{s:i}}}", "targetCondition", condition, "content",
                             "deviceContent", "properties.desired.value", value);
    enum sk_fault fault = ask(
        (struct sk_request){.op = SK_OP_CONFIGURATION_PUT, .name = sk_span_z(id), .body = body});
    json_decref(body);
    return fault;
}

static bool no_walk(void *arg) {
    (void)arg;
    return hub->configurations->loaded && !hub->configurations->walking &&
           !hub->configurations->again;
}

static void converge(void) {
    assert_true(sk_sim_run_until(sim, 3600 * SK_S, no_walk, NULL));
}

/* ---- what they have ---- */

struct looks {
    size_t with[SITES], without, done;
};

static void look_behind(struct looks *seen, uint64_t after);

static void looked(void *arg, const struct sk_registry_end *end,
                   const struct sk_registry_found *list) {
    struct looks *seen = arg;
    assert_int_equal(end->status, SK_OK);
    for (size_t i = 0; i < list->count; i++) {
        const struct sk_twin *twin = &list->entries[i].twin;
        const json_t *value = json_object_get(twin->desired, "value"),
                     *site = json_object_get(twin->tags, "site");
        if (site == NULL) continue; /* d1, d2 */
        if (value)
            seen->with[json_integer_value(site)] += (size_t)json_integer_value(value);
        else
            seen->without++;
    }
    if (list->more)
        look_behind(seen, list->after);
    else
        waiting--;
}

static void look_behind(struct looks *seen, uint64_t after) {
    sk_registry_find_twins(hub->registry, &(struct sk_registry_search){.after = after, .max = 100},
                           looked, seen);
}

static struct looks look(void) {
    struct looks seen = {0};
    waiting++;
    look_behind(&seen, 0);
    settle_all();
    return seen;
}

static uint64_t rows(const char *id, size_t metric) {
    for (size_t i = 0; i < hub->configurations->count; i++)
        if (strcmp(hub->configurations->sorted[i]->id, id) == 0)
            return hub->configurations->sorted[i]->system[metric].rows;
    return UINT64_MAX;
}

TEST(ten_thousand_devices_converge_over_crashes_and_changes) {
    make_devices();
    assert_int_equal(put_configuration("three", "tags.site = 3", 1), SK_FAULT_NONE);
    pass(SK_S / 2); /* in the middle of the walk */
    assert_int_equal(put_configuration("low", "tags.site IN [4, 5]", 2), SK_FAULT_NONE);
    converge();
    struct looks seen = look();
    assert_int_equal(seen.with[3], DEVICES / SITES);
    assert_int_equal(seen.with[4], 2 * DEVICES / SITES);
    assert_int_equal(seen.with[5], 2 * DEVICES / SITES);
    assert_int_equal(seen.without, 7 * DEVICES / SITES);
    assert_int_equal(rows("three", 0), DEVICES / SITES);
    assert_int_equal(rows("low", 1), 2 * DEVICES / SITES);
    assert_int_equal(
        ask((struct sk_request){.op = SK_OP_CONFIGURATION_DELETE, .name = SK_SPAN("low")}),
        SK_FAULT_NONE);
    assert_int_equal(
        ask((struct sk_request){.op = SK_OP_CONFIGURATION_DELETE, .name = SK_SPAN("three")}),
        SK_FAULT_NONE);
    pass(SK_S / 2);
    close_hub();
    open_hub(); /* nothing is configured any more; the twins are cleared all the same */
    converge();
    seen = look();
    assert_int_equal(seen.without, DEVICES);
    assert_false(hub->configurations->unsettled);
}

/* ---- what cannot be ---- */

TEST(what_a_twin_has_no_room_for_is_tried_every_five_minutes_and_not_all_the_time) {
    char text[4097];
    json_t *desired = json_object();
    memset(text, 'x', 4096);
    text[4096] = 0;
    for (unsigned i = 0; i < 7; i++) {
        char name[8];
        snprintf(name, sizeof name, "p%u", i);
        json_object_set_new(desired, name, json_string(text));
    }
    waiting++;
    sk_registry_twin_change(hub->registry, SK_SPAN("d1"), SK_NONE,
                            &(struct sk_twin_change){.desired = desired}, SK_NONE, tagged, NULL);
    settle_all();
    json_t *body =
        json_pack("{s:s,s:{s:{s:s,s:s}}}", "targetCondition", "*", "content", "deviceContent",
                  "properties.desired.q1", text, "properties.desired.q2", text);
    assert_int_equal(ask((struct sk_request){
                         .op = SK_OP_CONFIGURATION_PUT, .name = SK_SPAN("large"), .body = body}),
                     SK_FAULT_NONE);
    json_decref(body);
    json_decref(desired);
    converge();
    assert_int_equal(rows("large", 0), 2); /* both are targeted, one has room */
    assert_int_equal(rows("large", 1), 1);
    uint64_t walks = hub->configurations->number;
    pass(299 * SK_S);
    assert_in_range(hub->configurations->number, walks, walks + 1);
    pass(300 * SK_S);
    assert_in_range(hub->configurations->number, walks + 1, walks + 2);
}
