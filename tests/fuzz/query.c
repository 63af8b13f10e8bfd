/* Any text as a query: it is refused with a place in it, or selects from a few documents without
 * saying anything that is no row. */
#include <stdlib.h>

#include "expr/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const documents[] = {
    "{\"deviceId\":\"a\",\"tags\":{\"s\":\"n\",\"l\":[1,{\"n\":2}]},\"version\":20}",
    "{\"deviceId\":\"b\",\"tags\":{\"s\":null},\"properties\":{\"desired\":{\"t\":\"x\"}}}",
    "{\"deviceId\":\"c\",\"jobId\":\"j\",\"status\":\"failed\"}"};

static void check_row(json_t *row) {
    if (!json_is_object(row)) abort();
    json_decref(row);
}

static void run(const struct sk_query *query) {
    struct sk_arena arena = {0};
    struct sk_select *select = query->grouped ? sk_select_new(query) : NULL;
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        json_t *document = json_loads(documents[i], 0, NULL);
        const struct sk_expr_source source = {.document = document};
        if (sk_query_selects(query, &source, &arena)) {
            if (select == NULL)
                check_row(sk_query_row(query, document, &arena));
            else if (sk_select_add(select, &source, &arena))
                abort();
        }
        json_decref(document);
    }
    if (select && sk_select_count(select) > 3) abort();
    for (size_t i = 0; select && i < sk_select_count(select); i++)
        check_row(sk_select_row(select, i));
    sk_select_free(select);
    sk_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sk_query query;
    struct sk_expr_error error;
    enum sk_status status = sk_query_parse(sk_span(data, size), &query, &error);
    if (status == SK_OK) {
        run(&query);
    } else if ((status != SK_MALFORMED && status != SK_TOO_LARGE) || error.position > size ||
               error.line == 0 || error.column == 0 || error.sentence[0] == 0) {
        abort();
    }
    sk_query_free(&query);
    return 0;
}
