/* Block lists of any shape: what is read is base64-like text from the list itself, and written anew
 * it reads as the same. */
#include <stdlib.h>

#include "azure/blob_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"Latest", "Committed", "Uncommitted"};
    struct sk_blob_list list = {.xml = sk_span(data, size)}, again = {0};
    struct sk_buffer xml = {0};
    enum sk_status status;
    sk_buffer_text(&xml, "<BlockList>");
    size_t blocks = 0;
    while ((status = sk_blob_list_next(&list)) == SK_OK) {
        if (list.id.n == 0 || sk_span_find(list.id, '<') < list.id.n) abort();
        sk_buffer_print(&xml, "<%s>%.*s</%s>", names[list.from], SK_ARG(list.id), names[list.from]);
        blocks++;
    }
    sk_buffer_text(&xml, "</BlockList>");
    again.xml = sk_buffer_span(&xml);
    bool plain = true; /* a NUL ends what is printed */
    for (size_t i = 0; i < size; i++)
        if (data[i] == 0) plain = false;
    while (plain && sk_blob_list_next(&again) == SK_OK) blocks--;
    if (plain && status == SK_NOT_FOUND && blocks) abort();
    sk_buffer_free(&xml);
    return 0;
}
