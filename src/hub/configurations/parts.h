/* Automatic configurations: deployments of edge devices, and automatic management of devices and
 * modules. What Azure calls a configuration says for whom it is (a condition on twins) and what
 * they get. Inside src/hub/configurations only.
 *
 *   configuration.c   one of them: read, checked, shown
 *   content.c         what one gives: trees of desired properties
 *   plan.c            what all of them mean for one device or module; pure
 *   rollout.c         gives the modules of an edge device their desired properties
 *   walk.c            goes over all twins: gives each what its plan says, and counts for metrics
 *   configurations.c  the operations, and what is stored
 *
 * There is one way in which anything converges: the walk. Whatever changes (a configuration, a
 * twin, an identity) asks for one; it takes a small part of the time however many twins there
 * are, and a plan that is carried out already writes nothing. */
#ifndef SK_HUB_CONFIGURATIONS_PARTS_H
#define SK_HUB_CONFIGURATIONS_PARTS_H

#include "expr/query.h"
#include "hub/parts.h"

enum {
    CONFIGURATIONS_MAX = 100, /* for devices and modules, and as many for edge devices */
    CONFIGURATION_METRICS_MAX = 5,
    SYSTEM_METRICS_MAX = 4,
};

/* ---- configuration.c ---- */

enum configuration_kind { FOR_DEVICES, FOR_MODULES, FOR_EDGES };

/* How many rows a query has. */
struct configuration_metric {
    const char *name;
    char *text;
    struct sk_query query;
    uint64_t rows, counting;  /* of the last walk; of the one that is under way */
    struct sk_select *groups; /* likewise, of a query that groups */
};

struct configuration {
    json_t *document; /* as it is stored; what is named below lives in it */
    const char *id;
    enum configuration_kind kind;
    bool layered; /* of FOR_EDGES: changes what others give */
    int64_t priority, created_us;
    uint64_t etag;
    json_t *content;        /* of its kind: key → value, or module → key → value */
    json_t *settings;       /* not of FOR_EDGES: the tree that it sets in desired; null: removed */
    char *target_text;      /* a query, which target points into */
    struct sk_query target; /* whom it is for */
    bool nobody;            /* it is for nobody */
    struct configuration_metric system[SYSTEM_METRICS_MAX], custom[CONFIGURATION_METRICS_MAX];
    size_t system_count, custom_count;
    uint64_t walk; /* the last that has begun since it is there */
};

/* What is to be stored, out of the body of a request. `old`: the document as it was, or NULL. A PUT
 * replaces what a client may change, and cannot change the content; a merge patch (`patch`) can.
 * NULL: `error` says why not. */
json_t *configuration_document(const json_t *body, struct sk_span id, const json_t *old, bool patch,
                               char error[SK_MODEL_ERROR_MAX]);
/* Takes the document, also when it fails: NULL, and `error` says why. */
struct configuration *configuration_read(json_t *document, char error[SK_MODEL_ERROR_MAX]);
void configuration_free(struct configuration *configuration);
/* As clients see it. */
json_t *configuration_json(const struct configuration *configuration);
/* Goes on with what the metrics of the one before it counted. */
void configuration_follow(struct configuration *configuration, const struct configuration *old);
/* A target condition as a query; the caller frees both. SK_MALFORMED with a sentence. `nobody`: it
 * is empty. */
enum sk_status configuration_target(struct sk_span condition, enum configuration_kind kind,
                                    char **text, struct sk_query *query, bool *nobody,
                                    char error[SK_MODEL_ERROR_MAX]);
/* A metric's query, which points into `text`. */
enum sk_status configuration_metric_query(const char *text, struct sk_query *query,
                                          char error[SK_MODEL_ERROR_MAX]);

/* ---- content.c: keys "properties.desired" and "properties.desired.<path>" ---- */

/* Whether it is such a key with a value that fits; `path` (may be NULL): behind the first part, or
 * empty. */
enum sk_status content_key(const char *key, const json_t *value, struct sk_span *path,
                           char error[SK_MODEL_ERROR_MAX]);
/* Checks an object of such keys, and what they set. */
enum sk_status content_check(const json_t *keys, char error[SK_MODEL_ERROR_MAX]);
/* Puts what the keys set into the tree: "properties.desired" in place of all that is there, the
 * value of a path in place of what is at that path. Nulls stay in it. */
void content_put(json_t *tree, const json_t *keys);
/* Without the members that are null, at every depth. */
void content_drop_nulls(json_t *tree);

/* ---- plan.c ---- */

enum verdict_kind {
    VERDICT_APART,     /* it is not for this one */
    VERDICT_APPLIED,   /* it gives something */
    VERDICT_COVERED,   /* others of higher priority set all that it sets */
    VERDICT_OUTRANKED, /* of deployments: `by` has the higher priority */
    VERDICT_BELOW,     /* layered: not above the deployment `by` that it would change */
    VERDICT_BASELESS,  /* layered, and there is nothing to change */
};
struct verdict {
    const struct configuration *of, *by; /* by: or NULL */
    enum verdict_kind kind;
};

/* What is to be so; owned documents, NULL: nothing. */
struct plan {
    struct verdict verdicts[2 * CONFIGURATIONS_MAX];
    size_t count;
    json_t *configurations, *configured; /* of its twin; never NULL */
    json_t *deployments;                 /* of an edge device's $edgeAgent likewise */
    json_t *patch;                       /* of its desired properties: what is not so yet */
    json_t *modules;                     /* of an edge device: module → its desired properties */
};
/* `sorted`: the highest priority first, the newer first of equals. `twin`: the service's document
 * of the entry. */
void plan_make(struct configuration *const *sorted, size_t count,
               const struct sk_registry_entry *entry, const json_t *twin, struct sk_arena *arena,
               struct plan *plan);
void plan_free(struct plan *plan);
/* Whether the twin has to be written. */
bool plan_changes(const struct plan *plan, const struct sk_twin *twin);
/* Two documents of a twin, NULL like an empty one. */
bool plan_same(const json_t *a, const json_t *b);
/* A sentence's end: why it is so. */
void plan_explain(const struct verdict *verdict, char why[SK_MODEL_ERROR_MAX]);

/* ---- rollout.c ---- */

/* `failed` NULL: all is stored; else the call that failed, and for which module. */
typedef void rollout_done(void *arg, const struct sk_registry_end *failed, struct sk_span module);
/* Gives each module its desired properties (`modules`: module → them): in place of what it has, or
 * merged into it. Those that have them already are not written, identities that are missing are
 * made. $edgeAgent comes last, so that the others are there before it hears of them; `statuses`
 * (NULL: stays) goes into its twin. Documents are kept till the end. */
void rollout(struct sk_hub *hub, struct sk_span device, json_t *modules, bool merge,
             json_t *statuses, rollout_done *done, void *arg);

/* ---- walk.c ---- */

struct configurations {
    struct sk_hub *hub;
    struct configuration *sorted[2 * CONFIGURATIONS_MAX];
    size_t count;
    bool loaded, writing;   /* requests wait: for what is stored; for the change before */
    struct sk_list waiting; /* see hub_wait */
    bool unsettled;         /* one was removed, and no walk has gone by since */
    struct sk_timer timer;  /* the next walk */
    /* The walk that is under way. */
    bool walking, again, failed;
    bool in_modules; /* behind the devices */
    bool more;
    size_t under_way;
    uint64_t after; /* the place that it has reached */
    uint64_t number, began_ns, ended_ns, took_ns;
};

/* Something has changed: walk when it is time. */
void walk_ask(struct configurations *all);
void walk_stop(struct configurations *all);

/* configurations.c: a walk has seen all twins. */
void configurations_settled(struct configurations *all);

/* apply.c: what is given to one edge device, by hand. */
void apply_content(struct sk_hub *hub, struct sk_request *request);

#endif
