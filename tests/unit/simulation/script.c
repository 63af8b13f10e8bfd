/* The JavaScript of device models: what a script may do, and what becomes of one that does
 * something else. */
#include <stdio.h>

#include "model/json_text.h"
#include "simulation/script.h"
#include "support/test.h"

/* What scripts have done, as lines. */
static struct sk_buffer done;

static void on_log(void *arg, const char *text) {
    (void)arg;
    sk_buffer_print(&done, "log %s\n", text);
}
static void on_state(void *arg, const json_t *patch) {
    json_object_update(arg, (json_t *)patch);
    sk_buffer_text(&done, "state ");
    sk_json_put(&done, patch, 0);
    sk_buffer_byte(&done, '\n');
}
static void on_property(void *arg, const char *key, const json_t *value) {
    (void)arg;
    sk_buffer_print(&done, "property %s ", key);
    if (value) sk_json_put(&done, value, 0);
    sk_buffer_byte(&done, '\n');
}
static double chance(void *arg) {
    (void)arg;
    return 0.25;
}
static const struct sk_simulation_host host = {on_log, on_state, on_property, chance};

/* Runs a script to its end; returns how it ended, `done` has what it did. */
static enum sk_status run(const char *source, const char *before) {
    struct sk_simulation_script script = {.path = "test.js", .source = sk_span_z(source)};
    struct sk_simulation_engine *engine;
    char reason[SK_SIMULATION_REASON];
    done.n = 0;
    enum sk_status status = sk_simulation_engine_new(&script, &host, &engine, reason);
    if (!status) {
        json_t *context = json_pack("{s:s}", "deviceId", "d1"),
               *state = sk_json_load(sk_span_z(before), 0, NULL), *properties = json_object();
        uint64_t ms;
        status = sk_simulation_engine_run(engine, context, state, properties, state, &ms, reason);
        while (status == SK_AGAIN) {
            sk_buffer_print(&done, "sleep %llu\n", (unsigned long long)ms);
            status = sk_simulation_engine_go_on(engine, &ms, reason);
        }
        sk_simulation_engine_free(engine);
        json_decref(context);
        json_decref(state);
        json_decref(properties);
    }
    if (status) sk_buffer_print(&done, "%s\n", reason);
    sk_buffer_byte(&done, 0);
    return status;
}

static void expect(const char *source, const char *does) {
    enum sk_status status = run(source, "{\"x\":1}");
    if (status || strcmp(done.p, does) != 0)
        fail_msg("%s: %s\n%s", source, sk_status_text(status), done.p);
}

static void expect_refused(const char *source, const char *why) {
    enum sk_status status = run(source, "{}");
    if (status != SK_INVALID || strstr(done.p, why) == NULL)
        fail_msg("%s: %s\n%s", source, sk_status_text(status), done.p);
}

TEST(scripts_see_their_device_and_change_it) {
    expect("function main(c, s, p) { log(c.deviceId); s.x += 1; updateState(s); }",
           "log d1\nstate {\"x\":2}\n");
    expect("function main() { updateProperty('Firmware', '2.0'); updateProperty('N', {a:[1]}); }",
           "property Firmware \"2.0\"\nproperty N {\"a\":[1]}\n");
    expect("function main() { log(Math.random()); log({a: 1}); log(null); }",
           "log 0.25\nlog [object Object]\nlog null\n");
    expect("var count = 5; function main() { count++; log(count); }", "log 6\n");
}

TEST(scripts_sleep_between_what_they_do) {
    expect("function main() { log('a'); sleep(10); log('b'); sleep(-1); sleep('x'); log('c'); }",
           "log a\nsleep 10\nlog b\nsleep 0\nsleep 0\nlog c\n");
    expect("function wait() { sleep(7); } function main() { for (var i = 0; i < 2; i++) wait(); }",
           "sleep 7\nsleep 7\n");
    expect("function main() { sleep(1e300); }", "sleep 86400000\n");
}

TEST(what_a_script_sets_outside_of_its_functions_begins_anew) {
    struct sk_simulation_script script = {
        .path = "test.js",
        .source = SK_SPAN("var n = 0; function main() { n++; log(String(n)); }")};
    struct sk_simulation_engine *engine;
    char reason[SK_SIMULATION_REASON];
    json_t *nothing = json_object();
    uint64_t ms;
    done.n = 0;
    assert_int_equal(sk_simulation_engine_new(&script, &host, &engine, reason), SK_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            sk_simulation_engine_run(engine, nothing, nothing, nothing, nothing, &ms, reason),
            SK_OK);
    sk_simulation_engine_free(engine);
    json_decref(nothing);
    sk_buffer_byte(&done, 0);
    assert_string_equal(done.p, "log 1\nlog 1\n");
}

TEST(what_fails_ends_the_script_and_nothing_else) {
    expect_refused("function main( {", "SyntaxError");
    expect_refused("var x = 1;", "main");
    expect_refused("function main() { throw new Error('no oil'); }", "no oil");
    expect_refused("function main() { sleep(1); none(); }", "none");
    expect_refused("function main() { updateState(5); }", "updateState takes an object");
    expect_refused("function main() { require('fs'); }", "require");
    expect_refused("function main() { main(); }", "RangeError");
    expect_refused("function main() { [1].forEach(function () { sleep(1); }); }", "TypeError");
}

TEST(a_script_has_8_MB) {
    expect_refused("function main() { var s = 'xxxxxxxx'; for (;;) s += s; }", "alloc");
    expect("function main() { var s = 'xxxxxxxx'; for (var i = 0; i < 14; i++) s += s; }", "");
}

static const struct sk_simulation_files stock = {.load = sk_simulation_stock_load};

static void run_all(const struct sk_simulation_script *script, json_t *state,
                    const json_t *properties) {
    struct sk_simulation_engine *engine;
    char reason[SK_SIMULATION_REASON];
    json_t *context = json_object();
    uint64_t ms, slept = 0;
    assert_int_equal(sk_simulation_engine_new(script, &host, &engine, reason), SK_OK);
    for (int i = 0; i < 50; i++) {
        enum sk_status status =
            sk_simulation_engine_run(engine, context, state, properties, state, &ms, reason);
        while (status == SK_AGAIN) {
            slept += ms;
            status = sk_simulation_engine_go_on(engine, &ms, reason);
        }
        if (status) fail_msg("%s: %s", script->path, reason);
    }
    assert_true(slept == 0 || slept == 50 * 30000 || slept == 50 * 10000);
    json_decref(context);
    sk_simulation_engine_free(engine);
}

TEST(the_models_that_come_along_run_and_make_json) {
    struct sk_span text;
    size_t count = 0;
    for (size_t at = 0; sk_simulation_stock_next(&at, &text); count++) {
        struct sk_simulation_model *model;
        char reason[SK_SIMULATION_REASON];
        if (sk_simulation_model_read(text, &stock, &model, reason)) fail_msg("%s", reason);
        json_t *now = json_deep_copy(model->state);
        for (size_t i = 0; i < model->script_count; i++)
            run_all(&model->scripts[i], now, model->properties);
        for (size_t i = 0; i < model->method_count; i++)
            run_all(&model->methods[i].script, now, model->properties);
        struct sk_buffer body = {0};
        sk_simulation_fill(&body, model->telemetry[0].body, now);
        json_t *json = sk_json_load(sk_buffer_span(&body), 0, NULL);
        if (json == NULL) fail_msg("%s: %.*s", model->id, (int)body.n, body.p);
        json_decref(json);
        sk_buffer_free(&body);
        json_decref(now);
        sk_simulation_model_free(model);
    }
    assert_int_equal(count, 12);
    sk_buffer_free(&done);
}
