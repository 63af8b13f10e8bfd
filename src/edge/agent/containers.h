/* The container engine as the agent sees it: whether it is there, the network, and how our
 * containers stand. Inside src/edge/agent only.
 *
 * While there is something to do, a connection stands that brings the engine's events; with it come
 * once a list of what is there and every 30 s another look, which finds what events did not say
 * and whether the engine still answers. While it does not, containers are held: nothing is planned
 * for them. */
#ifndef SK_EDGE_AGENT_CONTAINERS_H
#define SK_EDGE_AGENT_CONTAINERS_H

#include "edge/agent/engine/engine.h"
#include "edge/agent/engine/lines.h"
#include "edge/agent/kind.h"

enum container_await { AWAIT_NOTHING, AWAIT_START, AWAIT_STOP };

/* What a module's kind has of its own: module->own. */
struct container {
    struct module *module;
    char id[72], finished[40];
    struct sk_engine_call *call; /* the step's */
    struct sk_engine_call *looking, *measuring;
    bool look_again;
    bool adopted;  /* found running or not, and not looked at yet */
    bool stopping; /* asked to stop: its end is no failure */
    bool terminal; /* its log has no frames */
    enum container_await await;
    const struct sk_module_spec *next; /* that it is being made from: the plan's */
    char note[160];                    /* behind "running", or "" */
};

enum engine_state { ENGINE_OFF, ENGINE_DOWN, ENGINE_ASKED, ENGINE_UP };

struct containers {
    struct module_world *world;
    struct sk_engine *engine;
    struct module *(*adopt)(struct module_world *world, const struct sk_module_spec *spec);
    enum engine_state state;
    struct sk_engine_call *call, *events;
    struct sk_json_lines lines;
    struct sk_timer timer; /* the next try, or the next look at all */
    unsigned tries;
    bool wanted, rotates_logs;
    char gateway[64]; /* address of the network's gateway, "" unknown */
    char edge[256];   /* value of SK_LABEL_EDGE */
    char why[SK_ENGINE_WHY_MAX];
    struct sk_list images; /* images.c */
    struct image_gc *gc;   /* image_gc.c; NULL: images stay */
};

/* `adopt` gives the module of a container that is there, or NULL when it is none of ours. */
void containers_open(struct module_world *world,
                     struct module *(*adopt)(struct module_world *world,
                                             const struct sk_module_spec *spec));
void containers_close(struct module_world *world);
/* The engine is needed as long as there are containers, or shall be. */
void containers_want(struct module_world *world, const struct sk_deployment *desired);
static inline bool containers_up(const struct containers *containers) {
    return containers && containers->state == ENGINE_UP;
}
/* Why containers are held, or "": nothing is wrong, or none is wanted. */
static inline const char *containers_trouble(const struct containers *containers) {
    return containers && containers->wanted && !containers_up(containers) ? containers->why : "";
}
/* The engine did not do its part: from here on all is held until it answers again. */
void containers_down(struct containers *containers, const char *why);

struct container *container_own(struct module *module);
/* Asks how it stands; then what is awaited ends, and `ended` or `changed` is told. */
void container_look(struct module *module);
/* Ends a look that is under way. */
void container_look_away(struct module *module);
void container_forget(struct module *module);
/* Whether what an engine says of a container bears our labels. */
bool container_is_ours(const struct containers *containers, const json_t *labels);

#endif
