/* Intrusive doubly linked lists. A list head and a node that is in no list are both self-linked. */
#ifndef SK_BASE_LIST_H
#define SK_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/assert.h"

struct sk_list {
    struct sk_list *next, *prev;
};

static inline void sk_list_init(struct sk_list *list) {
    list->next = list->prev = list;
}
static inline bool sk_list_empty(const struct sk_list *list) {
    return list->next == list || list->next == NULL;
}
static inline void sk_list_append(struct sk_list *list, struct sk_list *node) {
    SK_ASSERT(node->next == NULL || node->next == node); /* it is in no list */
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}
static inline void sk_list_remove(struct sk_list *node) {
    if (node->next == NULL) return;
    node->prev->next = node->next;
    node->next->prev = node->prev;
    sk_list_init(node);
}
#define SK_CONTAINER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))
/* The first element's container, or NULL when the list is empty. */
#define SK_LIST_FIRST(list, type, member)                                                          \
    (sk_list_empty(list) ? NULL : SK_CONTAINER((list)->next, type, member))
#define SK_LIST_EACH(list, node, following)                                                        \
    for (struct sk_list *node = (list)->next, *following = node->next; node != (list);             \
         node = following, following = node->next)

#endif
