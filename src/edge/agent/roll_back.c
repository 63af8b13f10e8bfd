#include "edge/agent/roll_back.h"

#include <stdio.h>

/* It runs that long and is not unhealthy: it has come up. */
static const uint64_t PROVED_NS = 60 * SK_S;
enum { FAILED_RUNS = 1, FAILED_MAKINGS = 3 };

struct roll_back {
    struct sk_module_spec before, next;
    bool given_up;
    char told[256];
};

void roll_back_free(struct module *module) {
    if (module->back == NULL) return;
    sk_module_spec_free(&module->back->before);
    sk_module_spec_free(&module->back->next);
    free(module->back);
    module->back = NULL;
}

void roll_back_keep(struct module *module, const struct sk_module_spec *next) {
    bool wanted =
        next->rolls_back && sk_module_is_container(&module->spec) && module->image_hash[0];
    /* While the new version has not proved itself, the last that has is the one to go back to. */
    if (module->back && sk_module_spec_differs(next, &module->back->before) && wanted) {
        sk_module_spec_free(&module->back->next);
        module->back->next = sk_module_spec_copy(next);
        module->back->given_up = false;
        return;
    }
    if (module->back && !sk_module_spec_differs(next, &module->back->before)) return;
    roll_back_free(module);
    if (!wanted) return;
    module->back = SK_NEW(struct roll_back);
    module->back->before = sk_module_spec_copy(&module->spec);
    module->back->next = sk_module_spec_copy(next);
    /* The name may mean another image by now. */
    free(module->back->before.image_id);
    module->back->before.image_id = sk_span_dup(sk_span_z(module->image_hash));
}

static bool does_not_come_up(const struct module *module) {
    const struct sk_module_state *state = &module->state;
    if (!module->made) return module->failures >= FAILED_MAKINGS;
    if (state->running) return state->unhealthy;
    return state->exit_failed &&
           (state->restart_count >= FAILED_RUNS || module->spec.restart_policy == SK_RESTART_NEVER);
}

bool roll_back_judge(struct module *module, uint64_t now_ns) {
    struct roll_back *back = module->back;
    if (back == NULL || back->given_up) return false;
    const struct sk_module_state *state = &module->state;
    bool is_next = !module->made || !sk_module_spec_differs(&module->spec, &back->next);
    if (!is_next) return false;
    if (does_not_come_up(module)) {
        back->given_up = true;
        snprintf(back->told, sizeof back->told,
                 "the new version of module %.60s did not come up (%.100s); the one before is back",
                 module->spec.name, module->description);
        SK_WARN("agent", "%s", back->told);
        return true;
    }
    if (state->running && !state->unhealthy && now_ns - state->started_ns >= PROVED_NS)
        roll_back_free(module);
    return false;
}

const struct sk_module_spec *roll_back_choose(struct module *module,
                                              const struct sk_module_spec *desired) {
    struct roll_back *back = module->back;
    if (back == NULL || !back->given_up) return desired;
    if (sk_module_spec_differs(desired, &back->next)) { /* another one is to be tried */
        back->given_up = false;
        return desired;
    }
    back->before.stopped = desired->stopped;
    return &back->before;
}

const char *roll_back_told(const struct module *module) {
    return module->back && module->back->given_up ? module->back->told : "";
}
