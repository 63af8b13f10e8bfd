/* What the folder's files share. Inside src/hub/manage only. */
#ifndef SK_HUB_MANAGE_PARTS_H
#define SK_HUB_MANAGE_PARTS_H

#include "hub/parts.h"

/* document.c: the hub as ARM's IotHubDescription, of what counts now. Keys are not in it, and
 * secrets of endpoints are masked. The caller owns it. */
json_t *manage_hub_json(const struct sk_hub *hub);
/* Of what hub.toml says of the hub: another one with each change that counts. */
#define MANAGE_ETAG_MAX 32
void manage_etag(const struct sk_hub *hub, char etag[MANAGE_ETAG_MAX]);
/* With its keys; the caller owns it. */
json_t *manage_policy_json(const struct sk_hub_policy *policy);

/* secrets.c: "****" in place of a connection string's key, or of all that is none. The caller frees
 * it. */
char *manage_masked(const char *secret);

/* A change on its way into hub.toml. */
struct manage_change {
    const struct sk_hub *hub;
    json_t *table;                 /* what hub.toml shall say of the hub; owned */
    const json_t *shown;           /* the document as it was read */
    char why[SK_CONFIG_ERROR_MAX]; /* the first reason why it cannot be so; else empty */
};
/* change.c: takes an IotHubDescription: what it has no word for stays. False: see `why`. */
bool manage_take(struct manage_change *change, const json_t *description);

/* tables.c: notes why it cannot be so. */
void manage_refuse(struct manage_change *change, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Sets "a.b.c" of the table, with the tables in between; takes the value. */
void manage_set(json_t *table, const char *path, json_t *value);
/* Sets a key of a table where it says something else; one that is not there and means the default
 * stays so. Takes both; default NULL: there is none. */
void manage_put(json_t *table, const char *key, json_t *value, json_t *otherwise);
/* Whether an object has no other members than "a|b|c"; else the change is refused. */
bool manage_knows(struct manage_change *change, const char *what, const json_t *object,
                  const char *members);
/* One item of a list in ARM's document becomes a table of an array of hub.toml: which has its name
 * already, and maybe more. */
typedef void manage_convert(struct manage_change *change, const json_t *item, json_t *table);
struct manage_list {
    const char *what;   /* in sentences: "a route" */
    const char *member; /* that names an item */
    const char *array;  /* of tables */
    const char *key;    /* that names one of them */
    const char *type;   /* of a new one; NULL: they have none */
    bool ordered;       /* their order matters */
    manage_convert *convert;
    /* Which of the tables the list is about; NULL: all. */
    bool (*of)(const json_t *table, const void *arg);
    const void *arg;
};
void manage_take_list(struct manage_change *change, const struct manage_list *list,
                      const json_t *items);

/* endpoints.c: those that hub.toml has, as RoutingEndpoints (the caller owns it); and back. */
json_t *manage_endpoints_json(const struct sk_hub *hub);
void manage_take_endpoints(struct manage_change *change, const json_t *wanted);
/* Names of all endpoints, `events` among them; the caller owns the array. */
json_t *manage_all_endpoints(const struct sk_hub *hub);
/* facts.c: serve SK_OP_HUB_QUOTA, _SKUS and _NAME. */
void manage_quota(struct sk_hub *hub, struct sk_request *request);
void manage_skus(struct sk_hub *hub, struct sk_request *request);
void manage_name(struct sk_hub *hub, struct sk_request *request);
/* routing.c: takes ARM's RoutingProperties where they are not as `shown`. */
void manage_take_routing(struct manage_change *change, const json_t *shown, const json_t *wanted);

#endif
