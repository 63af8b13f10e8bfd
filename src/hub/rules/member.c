/* Which groups devices are in, as far as somebody has asked: read of a twin once, and forgotten
 * when that, or a group, changes. */
#include "hub/rules/parts.h"

enum { KNOWN_MAX = 100000 };

struct member {
    char *device;
    uint64_t groups;
};

static void member_free(struct member *member) {
    free(member->device);
    free(member);
}

bool members_find(struct members *members, struct sk_span device, uint64_t *groups) {
    const struct member *member = sk_map_get(&members->known, device);
    if (member) *groups = member->groups;
    return member != NULL;
}

void members_free(struct members *members) {
    struct member *member;
    for (size_t i = 0; (member = sk_map_next(&members->known, &i, NULL)) != NULL;)
        member_free(member);
    sk_map_free(&members->known);
    *members = (struct members){0};
}

void members_forget(struct members *members, struct sk_span device) {
    struct member *member = sk_map_remove(&members->known, device);
    if (member == NULL) return;
    member_free(member);
    members->count--;
}

uint64_t members_learn(struct members *members, const struct sk_list *groups, struct sk_span device,
                       const json_t *twin) {
    struct sk_arena arena = {0};
    struct member *member = SK_NEW(struct member);
    size_t place = 0;
    if (members->count == KNOWN_MAX) members_free(members); /* begin anew: it is a cache */
    members_forget(members, device);
    member->device = sk_span_dup(device);
    SK_LIST_EACH((struct sk_list *)groups, node, following) {
        const struct group *group = SK_CONTAINER(node, struct group, link);
        if (twin &&
            sk_query_selects(&group->query, &(struct sk_expr_source){.document = twin}, &arena))
            member->groups |= 1ull << place;
        place++;
    }
    sk_arena_free(&arena);
    sk_map_put(&members->known, sk_span_z(member->device), member);
    members->count++;
    return member->groups;
}
