/* What both APIs of the daemon share: reading requests and answering them. */
#include <stdarg.h>
#include <stdio.h>

#include "edge/daemon/parts.h"
#include "model/json_text.h"

void daemon_answer(struct sk_http_exchange *exchange, unsigned status, json_t *body) {
    char *text = sk_json_text(body);
    sk_http_respond_json(exchange, status, sk_span_z(text));
    free(text);
    json_decref(body);
}

void daemon_refuse(struct sk_http_exchange *exchange, unsigned status, const char *format, ...) {
    char message[384];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    daemon_answer(exchange, status,
                  json_pack("{s:o}", "message", sk_json_of_text(sk_span_z(message))));
}

bool daemon_check_version(struct sk_http_exchange *exchange) {
    static const char *const known[] = {"2018-06-28", "2019-01-30", "2019-10-22", "2019-11-05",
                                        "2020-07-07", "2021-12-07", "2022-08-03"};
    struct sk_span version = sk_http_query(exchange->request->query, "api-version");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (sk_span_is(version, known[i])) return true;
    daemon_refuse(exchange, 400,
                  "The query parameter api-version is missing or unknown; use 2022-08-03.");
    return false;
}

json_t *daemon_body(struct sk_http_exchange *exchange) {
    const struct sk_buffer *text = &exchange->request->body;
    json_t *body = json_loadb(text->p ? text->p : "", text->n, 0, NULL);
    if (json_is_object(body)) return body;
    json_decref(body);
    daemon_refuse(exchange, 400, "The body must be a JSON object.");
    return NULL;
}
