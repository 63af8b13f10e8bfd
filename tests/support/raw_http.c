#include "support/raw_http.h"

void raw_put_ask(struct sk_buffer *to, struct fleet *f, const struct raw_ask *ask) {
    struct sk_buffer token = {0};
    sk_sas_create(&token, sk_span_z(ask->resource ? ask->resource : "hub.test"),
                  sk_span_z(ask->key ? ask->key : FLEET_KEY),
                  sk_span_z(ask->policy ? ask->policy : "owner"),
                  sk_io_wall(f->field_io) / 1000000 + 3600);
    sk_buffer_print(to, "%s %s HTTP/1.1\r\nHost: %s\r\n", ask->method ? ask->method : "GET",
                    ask->target, ask->host ? ask->host : "hub.test");
    if (!ask->no_token)
        sk_buffer_print(to, "Authorization: %.*s\r\n", SK_ARG(sk_buffer_span(&token)));
    sk_buffer_print(to, "%sContent-Length: %zu\r\n\r\n", ask->headers ? ask->headers : "",
                    ask->body.n);
    sk_buffer_append(to, ask->body);
    sk_buffer_free(&token);
}

void raw_asks(struct fleet *f, const struct raw_ask *ask, struct raw_answer *answer) {
    struct raw_client c;
    struct sk_buffer out = {0};
    raw_open(&c, f, ask->at ? ask->at : "hub.test");
    raw_put_ask(&out, f, ask);
    raw_send_buffer(&c, &out);
    raw_next_answer(&c, answer);
    raw_free(&c);
}

void raw_gets(struct fleet *f, const struct raw_ask *ask, unsigned status, const char *name,
              const char *holds) {
    struct raw_answer answer;
    raw_asks(f, ask, &answer);
    struct sk_span code = sk_http_header(&answer.parser, "iothub-errorcode");
    sk_buffer_byte(&answer.parser.body, 0);
    if (answer.parser.status != status || (name && !sk_span_is(code, name)) ||
        strstr(answer.parser.body.p, holds) == NULL)
        fail_msg("%s %s: %u %.*s %s\ninstead of %u %s %s", ask->method ? ask->method : "GET",
                 ask->target, answer.parser.status, SK_ARG(code), answer.parser.body.p, status,
                 name ? name : "", holds);
    if (status >= 400 && name) { /* SDKs parse the body for name and text */
        json_t *error = json_loads(answer.parser.body.p, 0, NULL);
        assert_non_null(error);
        assert_true(json_string_length(json_object_get(error, "Message")) > 0);
        assert_non_null(json_object_get(error, "ExceptionMessage"));
        json_decref(error);
    }
    sk_http_parser_free(&answer.parser);
}
