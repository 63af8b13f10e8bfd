/* Where sessions live, and what is given to them. */
#include "gateway/parts.h"
#include "io/sim/sim.h"
#include "support/test.h"

static struct sk_sim *sim;
static struct sk_backend backend;
static struct sk_session d1, d2, d1_module;
static char heard[256]; /* what came to pass, in order */

static void note(const char *what, struct sk_span of) {
    size_t n = strlen(heard);
    snprintf(heard + n, sizeof heard - n, "%s %.*s; ", what, SK_ARG(of));
}

static void deliver_method(struct sk_session *session, const struct sk_method_call *call) {
    note(session->key, call->name);
}

static void deliver_desired(struct sk_session *session, struct sk_span patch, uint64_t version) {
    assert_int_equal(version, 7);
    note(session->key, patch);
}

static void ignore(struct sk_backend *b, struct sk_session *session) {
    (void)b, (void)session;
}

static void ignore_closed(struct sk_backend *b, struct sk_session *session, enum sk_fault reason) {
    (void)b, (void)session, (void)reason;
}

static void open_session(struct sk_session *session, const char *device, const char *module) {
    static const struct sk_head head = {.deliver_method = deliver_method,
                                        .deliver_desired = deliver_desired};
    struct sk_principal principal = {.device = sk_span_dup(sk_span_z(device)),
                                     .module = sk_text_dup(module),
                                     .expires_s = INT64_MAX};
    sk_session_open(session, &backend, &head, &principal, NULL);
}

static void close_session(struct sk_session *session) {
    sk_session_close(session, SK_FAULT_NONE);
    session_free(session);
}

static int start(void **state) {
    static const struct sk_backend_ops ops = {
        .session_opened = ignore, .session_subscribed = ignore, .session_closed = ignore_closed};
    (void)state;
    sim = sk_sim_new(&(struct sk_sim_options){.seed = 1});
    backend = (struct sk_backend){.ops = &ops, .io = sk_sim_node(sim, "hub")};
    d1 = d2 = d1_module = (struct sk_session){0};
    heard[0] = 0;
    open_session(&d1, "d1", NULL);
    open_session(&d2, "d2", NULL);
    open_session(&d1_module, "d1", "m");
    return 0;
}

static int end(void **state) {
    (void)state;
    close_session(&d1);
    close_session(&d2);
    close_session(&d1_module);
    assert_int_equal(sk_directory_counts(&backend).sessions, 0);
    assert_int_equal(sk_directory_counts(&backend).devices, 0);
    sk_directory_free(&backend.directory);
    sk_sim_free(sim);
    return 0;
}

AROUND(start, end);

TEST(a_session_is_found_by_its_identity_until_it_ends) {
    assert_ptr_equal(sk_directory_find(&backend, SK_SPAN("d1"), SK_NONE), &d1);
    assert_ptr_equal(sk_directory_find(&backend, SK_SPAN("d1"), SK_SPAN("m")), &d1_module);
    assert_null(sk_directory_find(&backend, SK_SPAN("d1"), SK_SPAN("n")));
    assert_null(sk_directory_find(&backend, SK_SPAN("d3"), SK_NONE));
    sk_session_close(&d1, SK_FAULT_NONE);
    assert_null(sk_directory_find(&backend, SK_SPAN("d1"), SK_NONE));
    assert_ptr_equal(sk_directory_find(&backend, SK_SPAN("d1"), SK_SPAN("m")), &d1_module);
}

TEST(sessions_are_counted_and_gone_through) {
    struct sk_directory_counts counts = sk_directory_counts(&backend);
    size_t at = 0, seen = 0;
    assert_int_equal(counts.sessions, 3);
    assert_int_equal(counts.devices, 2);
    while (sk_directory_next(&backend, &at)) seen++;
    assert_int_equal(seen, 3);
    sk_session_close(&d1, SK_FAULT_NONE);
    assert_int_equal(sk_directory_counts(&backend).devices, 1);
    sk_session_close(&d1_module, SK_FAULT_NONE);
    assert_int_equal(sk_directory_counts(&backend).devices, 1);
}

static void told(void *arg, struct sk_span rid, bool taken) {
    (void)arg;
    note(taken ? "taken" : "refused", rid);
}

static void call(const char *device, struct sk_span module) {
    sk_directory_deliver_method(
        &backend, sk_span_z(device), module,
        &(struct sk_method_call){.rid = SK_SPAN("1"), .name = SK_SPAN("reboot")}, told, NULL);
}

TEST(a_method_goes_to_who_wants_methods_and_the_caller_is_told_before) {
    sk_session_subscribe(&d1, SK_SUB_METHODS);
    sk_session_subscribe(&d2, SK_SUB_DESIRED);
    call("d1", SK_NONE);
    call("d2", SK_NONE);
    call("d1", SK_SPAN("m"));
    call("nobody", SK_NONE);
    assert_string_equal(heard, "taken 1; d1 reboot; refused 1; refused 1; refused 1; ");
}

TEST(changed_properties_go_to_who_wants_to_hear_of_them) {
    json_t *patch = json_pack("{s:i}", "a", 1);
    sk_session_subscribe(&d1, SK_SUB_METHODS);
    sk_session_subscribe(&d1_module, SK_SUB_DESIRED);
    sk_directory_deliver_desired(&backend, SK_SPAN("d1"), SK_NONE, patch, 7);
    sk_directory_deliver_desired(&backend, SK_SPAN("d1"), SK_SPAN("m"), patch, 7);
    sk_directory_deliver_desired(&backend, SK_SPAN("nobody"), SK_NONE, patch, 7);
    assert_string_equal(heard, "d1/m {\"a\":1}; ");
    json_decref(patch);
}
