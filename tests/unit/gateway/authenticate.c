/* What changes while somebody is being authenticated counts for him too. */
#include "gateway/gateway.h"
#include "io/sim/sim.h"
#include "trust/sas.h"
#include "support/test.h"

#define KEY "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define OTHER_KEY "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB="

/* A registry of edge1, its $edgeHub and its child leaf1, which answers when it is told to. */
struct world {
    struct sk_sim *sim;
    struct sk_backend backend;
    struct sk_identity edge, edge_hub, leaf;
    sk_identity_done *waiting;
    void *waiting_arg;
    struct sk_identity read; /* what the look-up that waits has read */
    unsigned lookups;
    bool done;
    enum sk_fault fault;
};

static struct sk_identity make_identity(const char *device, const char *module) {
    struct sk_identity identity = {.auth = SK_AUTH_SAS};
    sk_identity_set(&identity.device_id, sk_span_z(device));
    if (module) sk_identity_set(&identity.module_id, sk_span_z(module));
    sk_identity_set(&identity.generation_id, SK_SPAN("1"));
    sk_identity_set(&identity.primary_key, SK_SPAN(KEY));
    sk_identity_set(&identity.secondary_key, SK_SPAN(KEY));
    return identity;
}

static void find_identity(struct sk_backend *backend, struct sk_span device, struct sk_span module,
                          sk_identity_done *done, void *arg) {
    struct world *w = SK_CONTAINER(backend, struct world, backend);
    struct sk_identity *found = module.n                      ? &w->edge_hub
                                : sk_span_is(device, "edge1") ? &w->edge
                                                              : &w->leaf;
    w->lookups++;
    w->read = sk_identity_copy(found);
    w->waiting = done;
    w->waiting_arg = arg;
}

static void answer(struct world *w) {
    struct sk_identity read = w->read;
    sk_identity_done *done = w->waiting;
    assert_non_null(done);
    w->waiting = NULL;
    w->read = (struct sk_identity){0};
    done(w->waiting_arg, SK_OK, &read);
    sk_identity_free(&read);
}

static void on_done(void *arg, const struct sk_error *error, struct sk_principal *principal) {
    struct world *w = arg;
    (void)principal;
    w->done = true;
    w->fault = error ? error->fault : SK_FAULT_NONE;
}

static struct sk_authentication *begin(struct world *w, const char *device, const char *module,
                                       const char *chain) {
    static const struct sk_backend_ops ops = {.find_identity = find_identity};
    struct sk_buffer token = {0}, scope = {0};
    w->sim = sk_sim_new(&(struct sk_sim_options){.seed = 1});
    w->edge = make_identity("edge1", NULL);
    w->edge.edge = true;
    sk_identity_set(&w->edge.device_scope, SK_SPAN("ms-azure-iot-edge://edge1-1"));
    w->edge_hub = make_identity("edge1", "$edgeHub");
    w->leaf = make_identity("leaf1", NULL);
    sk_identity_set(&w->leaf.device_scope, SK_SPAN("ms-azure-iot-edge://edge1-1"));
    w->backend = (struct sk_backend){
        .ops = &ops, .io = sk_sim_node(w->sim, "hub"), .host_name = SK_SPAN("hub")};
    sk_buffer_print(&scope, module ? "hub/devices/%s/modules/%s" : "hub/devices/%s", device,
                    module ? module : "");
    sk_sas_create(&token, sk_buffer_span(&scope), SK_SPAN(KEY), SK_NONE,
                  sk_io_wall(w->backend.io) / 1000000 + 3600);
    struct sk_authentication *a =
        sk_authenticate(&w->backend,
                        &(struct sk_credentials){.device = SK_SPAN("leaf1"),
                                                 .token = sk_buffer_span(&token),
                                                 .auth_chain = sk_span_z(chain)},
                        on_done, w);
    sk_buffer_free(&token);
    sk_buffer_free(&scope);
    return a;
}

/* By its own key, or by edge1's $edgeHub. */
static void by_itself(struct world *w) {
    begin(w, "leaf1", NULL, "");
}
static void by_its_edge(struct world *w) {
    begin(w, "edge1", "$edgeHub", "leaf1;edge1");
}

/* Answers all look-ups; expects that it takes so many from here on, and the outcome. */
static void ends(struct world *w, unsigned lookups, enum sk_fault fault) {
    unsigned before = w->lookups - (w->waiting ? 1 : 0);
    for (int i = 0; i < 20 && !w->done; i++) {
        if (w->waiting) answer(w);
        sk_sim_run(w->sim, SK_MS);
    }
    assert_true(w->done);
    assert_int_equal(w->fault, fault);
    assert_int_equal(w->lookups - before, lookups);
    assert_true(sk_list_empty(&w->backend.authentications));
    sk_identity_free(&w->edge);
    sk_identity_free(&w->edge_hub);
    sk_identity_free(&w->leaf);
    sk_directory_free(&w->backend.directory);
    sk_sim_free(w->sim);
}

static void change_keys(struct world *w, struct sk_identity *identity) {
    sk_identity_set(&identity->primary_key, SK_SPAN(OTHER_KEY));
    sk_identity_set(&identity->secondary_key, SK_SPAN(OTHER_KEY));
    sk_sessions_changed(&w->backend, identity);
}

TEST(without_a_change_each_identity_is_looked_up_once) {
    struct world w = {0}, e = {0};
    by_itself(&w);
    ends(&w, 1, SK_FAULT_NONE);
    by_its_edge(&e);
    ends(&e, 3, SK_FAULT_NONE);
}

TEST(keys_that_change_after_they_were_read_are_read_again) {
    struct world w = {0};
    by_itself(&w);
    change_keys(&w, &w.leaf); /* the look-up has read the old ones */
    ends(&w, 2, SK_FAULT_UNAUTHORIZED);
}

TEST(keys_that_change_before_the_caller_is_told_are_read_again) {
    struct world w = {0};
    by_itself(&w);
    answer(&w);
    change_keys(&w, &w.leaf);
    ends(&w, 1, SK_FAULT_UNAUTHORIZED);
}

TEST(an_edge_that_is_none_any_more_speaks_for_nobody) {
    struct world w = {0};
    by_its_edge(&w);
    answer(&w);
    answer(&w); /* edge1 is an edge device: now its child is looked up */
    w.edge.edge = false;
    sk_sessions_changed(&w.backend, &w.edge);
    ends(&w, 3, SK_FAULT_UNAUTHORIZED); /* the child; $edgeHub and edge1 again */
}

TEST(a_module_that_signs_for_others_may_lose_its_keys_meanwhile) {
    struct world w = {0};
    by_its_edge(&w);
    answer(&w);
    answer(&w);
    answer(&w);
    change_keys(&w, &w.edge_hub);
    ends(&w, 1, SK_FAULT_UNAUTHORIZED);
}

TEST(identities_that_go_are_looked_up_again) {
    struct world w = {0};
    by_its_edge(&w);
    answer(&w);
    w.edge.disabled = true;
    sk_sessions_drop(&w.backend, SK_SPAN("edge1"), SK_NONE, SK_FAULT_DEVICE_NOT_FOUND);
    ends(&w, 4, SK_FAULT_DEVICE_DISABLED); /* edge1, the child; $edgeHub and edge1 again */
}

TEST(changes_of_others_cost_nothing) {
    struct world w = {0};
    by_itself(&w);
    change_keys(&w, &w.edge);
    ends(&w, 1, SK_FAULT_NONE);
}

TEST(who_has_gone_is_not_looked_up_again) {
    struct world w = {0};
    sk_authentication_cancel(begin(&w, "leaf1", NULL, ""));
    change_keys(&w, &w.leaf);
    answer(&w);
    sk_sim_run(w.sim, SK_MS);
    assert_int_equal(w.lookups, 1);
    assert_false(w.done);
    w.done = true;
    ends(&w, 0, SK_FAULT_NONE);
}
