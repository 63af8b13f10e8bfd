/* What the ends of calls to the registry mean to who asked. */
#include "hub/parts.h"
#include "model/json_text.h"

enum sk_fault hub_fault_of(const struct sk_request *request, const struct sk_registry_end *end) {
    bool module = request->module.n > 0;
    switch (end->status) {
    case SK_NOT_FOUND: return module ? SK_FAULT_MODULE_NOT_FOUND : SK_FAULT_DEVICE_NOT_FOUND;
    case SK_EXISTS: return module ? SK_FAULT_MODULE_EXISTS : SK_FAULT_DEVICE_EXISTS;
    case SK_TOO_LARGE:
        return request->op == SK_OP_IDENTITY_PUT ? SK_FAULT_TOO_MANY_MODULES
                                                 : SK_FAULT_TWIN_TOO_LARGE;
    default: return sk_fault_of_status(end->status);
    }
}

void hub_refuse_status(struct sk_request *request, const struct sk_registry_end *end) {
    enum sk_fault fault = hub_fault_of(request, end);
    if (end->reason[0])
        sk_request_refuse(request, fault, "%s", end->reason);
    else
        sk_request_refuse(request, fault, NULL);
}

void hub_list_add(struct sk_hub_list *list, const json_t *item) {
    SK_CLEANUP_FREE char *text = sk_json_text(item);
    sk_buffer_byte(&list->text, list->count++ ? ',' : '[');
    sk_buffer_text(&list->text, text);
}

void hub_list_answer(struct sk_hub_list *list, struct sk_request *request, struct sk_answer *more) {
    sk_buffer_text(&list->text, list->count ? "]" : "[]");
    more->text = sk_buffer_span(&list->text);
    request->done(request, more);
    sk_buffer_free(&list->text);
}
