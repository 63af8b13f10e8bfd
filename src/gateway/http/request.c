/* What the HTTPS head's files need of a request: refusing it, and its end. */
#include "azure/http_paths.h"
#include "gateway/http/head.h"

#include <stdio.h>

void sk_http_head_refuse(struct sk_http_exchange *exchange, const struct sk_error *error,
                         bool structured, const char *correlation) {
    const struct sk_fault_kind *kind = sk_fault_kind(error->fault);
    struct sk_buffer headers = {0}, body = {0};
    char tracking[37];
    if (correlation && *correlation)
        snprintf(tracking, sizeof tracking, "%s", correlation);
    else
        sk_io_guid(exchange->io, tracking);
    sk_http_put_header(&headers, "Content-Type", SK_SPAN("application/json; charset=utf-8"));
    sk_http_put_header(&headers, "iothub-errorcode", sk_span_z(kind->name));
    sk_http_put_header(&headers, "x-ms-request-id", sk_span_z(tracking));
    if (error->retry_after_s) {
        char seconds[16];
        snprintf(seconds, sizeof seconds, "%u", error->retry_after_s);
        sk_http_put_header(&headers, "Retry-After", sk_span_z(seconds));
    }
    sk_error_http_body(&body, error, sk_span_z(tracking), sk_io_wall(exchange->io), structured);
    if (sk_http_is_arm(exchange->request->path)) {
        body.n--; /* the brace */
        sk_buffer_print(&body,
                        ",\"code\":\"%s\",\"httpStatusCode\":\"%d\",\"message\":", kind->name,
                        kind->http_status);
        sk_json_string(&body, sk_span_z(sk_error_text(error)));
        sk_buffer_byte(&body, '}');
    }
    sk_http_respond(exchange, (unsigned)kind->http_status, sk_buffer_span(&headers),
                    sk_buffer_span(&body));
    sk_buffer_free(&headers);
    sk_buffer_free(&body);
}

void sk_http_request_free(struct sk_http_request *r) {
    json_decref(r->request.body);
    sk_principal_free(&r->principal);
    free(r->payload);
    free(r);
}
