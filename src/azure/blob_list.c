#include "azure/blob_list.h"

static bool take(struct sk_span *xml, const char *text) {
    struct sk_span wanted = sk_span_z(text);
    if (!sk_span_starts(*xml, wanted)) return false;
    *xml = sk_span_skip(*xml, wanted.n);
    return true;
}

static void skip_space(struct sk_span *xml) {
    while (xml->n && strchr(" \t\r\n", xml->p[0])) *xml = sk_span_skip(*xml, 1);
}

/* The declaration, which says nothing that we do not know, and the mark that some put before it. */
static bool take_prolog(struct sk_span *xml) {
    take(xml, "\xef\xbb\xbf");
    skip_space(xml);
    if (!sk_span_starts(*xml, SK_SPAN("<?xml"))) return true;
    size_t end = sk_span_find(*xml, '>');
    if (end == xml->n || xml->p[end - 1] != '?') return false;
    *xml = sk_span_skip(*xml, end + 1);
    skip_space(xml);
    return true;
}

static enum sk_status begin(struct sk_blob_list *list) {
    list->began = true;
    if (!take_prolog(&list->xml)) return SK_MALFORMED;
    if (take(&list->xml, "<BlockList/>") || take(&list->xml, "<BlockList />")) {
        list->ended = true;
        return SK_OK;
    }
    return take(&list->xml, "<BlockList>") ? SK_OK : SK_MALFORMED;
}

/* `<Latest>id</Latest>` and the like. */
static enum sk_status take_block(struct sk_blob_list *list) {
    static const struct {
        const char *open, *close;
    } elements[] = {[SK_BLOB_LATEST] = {"<Latest>", "</Latest>"},
                    [SK_BLOB_COMMITTED] = {"<Committed>", "</Committed>"},
                    [SK_BLOB_UNCOMMITTED] = {"<Uncommitted>", "</Uncommitted>"}};
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++) {
        if (!take(&list->xml, elements[i].open)) continue;
        size_t end = sk_span_find(list->xml, '<');
        list->from = (enum sk_blob_from)i;
        list->id = sk_span_trim(sk_span_first(list->xml, end));
        list->xml = sk_span_skip(list->xml, end);
        return list->id.n && take(&list->xml, elements[i].close) ? SK_OK : SK_MALFORMED;
    }
    return SK_MALFORMED;
}

enum sk_status sk_blob_list_next(struct sk_blob_list *list) {
    if (!list->began && begin(list)) return SK_MALFORMED;
    skip_space(&list->xml);
    if (!list->ended && take(&list->xml, "</BlockList>")) list->ended = true;
    if (!list->ended) return take_block(list);
    skip_space(&list->xml);
    return list->xml.n ? SK_MALFORMED : SK_NOT_FOUND;
}
