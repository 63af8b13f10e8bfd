/* Requests that wait, in their order. */
#include "hub/parts.h"

struct waiting {
    struct sk_list link;
    struct sk_request *request;
};

void hub_wait(struct sk_list *list, struct sk_request *request) {
    struct waiting *waiting = SK_NEW(struct waiting);
    waiting->request = request;
    sk_list_append(list, &waiting->link);
}

struct sk_request *hub_wait_take(struct sk_list *list) {
    struct waiting *waiting = SK_LIST_FIRST(list, struct waiting, link);
    if (waiting == NULL) return NULL;
    struct sk_request *request = waiting->request;
    sk_list_remove(&waiting->link);
    free(waiting);
    return request;
}

void hub_wait_refuse(struct sk_list *list) {
    struct sk_request *request;
    while ((request = hub_wait_take(list)) != NULL)
        sk_request_refuse(request, SK_FAULT_UNAVAILABLE, NULL);
}
