/* Files that devices have uploaded, from the hub's blob service. A policy that may do everything
 * signs for itself. */
#include <stdio.h>

#include "azure/blob_auth.h"
#include "cli/cli.h"

enum { SIGNED_S = 3600 };

static void on_part(void *arg, const struct sk_http_parser *answer, struct sk_span part) {
    struct cli_blob_ask *ask = arg;
    (void)answer;
    if (ask->prints)
        fwrite(part.p, 1, part.n, stdout);
    else
        sk_buffer_append(&ask->answer, part);
}

static void on_done(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct cli_blob_ask *ask = arg;
    ask->status = status;
    if (answer) ask->code = answer->status;
    if (answer && answer->status >= 300)
        sk_buffer_append(&ask->answer, sk_buffer_span(&answer->body));
    sk_io_stop(ask->cli->io);
}

/* The text of the first element of that name from `*rest` on, which moves behind it; p == NULL:
 * there is none. */
static struct sk_span element(struct sk_span *rest, const char *name) {
    char open[40], close[40];
    snprintf(open, sizeof open, "<%s>", name);
    snprintf(close, sizeof close, "</%s>", name);
    const char *from = rest->n ? memmem(rest->p, rest->n, open, strlen(open)) : NULL;
    if (from == NULL) return SK_NONE;
    struct sk_span text = sk_span_skip(*rest, (size_t)(from - rest->p) + strlen(open));
    const char *to = text.n ? memmem(text.p, text.n, close, strlen(close)) : NULL;
    if (to == NULL) return SK_NONE;
    *rest = sk_span_skip(text, (size_t)(to - text.p) + strlen(close));
    return sk_span_first(text, (size_t)(to - text.p));
}

static const char *container_of(struct cli *cli) {
    const char *name = sk_typed_option(&cli->typed, "container");
    return name ? name : "uploads";
}

void cli_blob_uri(struct cli *cli, struct sk_buffer *to, const char *container, const char *blob,
                  unsigned rights) {
    struct sk_blob_target target = {cli->policy, sk_span_z(container), SK_NONE};
    sk_buffer_print(to, "/%s%s", container, blob ? "/" : "");
    if (blob) sk_percent_encode(to, sk_span_z(blob));
    sk_blob_sas_put(to, &target, cli->key, rights, sk_io_wall(cli->io) + SIGNED_S * 1000000ll);
}

int cli_blob(struct cli *cli, struct cli_blob_ask *ask) {
    static const struct sk_http_pair headers[] = {{"x-ms-version", {"2021-08-06", 10}}};
    struct sk_buffer to = {0};
    ask->cli = cli;
    cli_blob_uri(cli, &to, ask->container, ask->blob, ask->rights);
    sk_buffer_text(&to, ask->query ? ask->query : "");
    sk_http_client_send(cli->http, &(struct sk_http_ask){.method = ask->method,
                                                         .target = sk_buffer_span(&to),
                                                         .headers = headers,
                                                         .header_count = 1,
                                                         .body = ask->body,
                                                         .on_body = on_part,
                                                         .done = on_done,
                                                         .arg = ask});
    sk_buffer_free(&to);
    sk_io_run(cli->io);
    if (ask->status) {
        SK_CLEANUP_FREE char *host = sk_span_dup(cli->host);
        return cli_explain(host, cli->port, ask->status);
    }
    if (ask->code < 300) return SK_EXIT_FINE;
    struct sk_span rest = sk_buffer_span(&ask->answer), code = element(&rest, "Code"),
                   why = element(&rest, "Message");
    return cli_fail("%.*s (%.*s)", SK_ARG(why.n ? why : SK_SPAN("refused")), SK_ARG(code));
}

/* As XML has it, and as it is. */
static json_t *text_of(struct sk_span xml) {
    static const struct {
        const char *escape;
        char c;
    } escapes[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}};
    struct sk_buffer text = {0};
    while (xml.n) {
        size_t i = 0;
        while (i < 3 && !sk_span_starts(xml, sk_span_z(escapes[i].escape))) i++;
        sk_buffer_byte(&text, i < 3 ? escapes[i].c : xml.p[0]);
        xml = sk_span_skip(xml, i < 3 ? strlen(escapes[i].escape) : 1);
    }
    json_t *value = json_stringn(text.p ? text.p : "", text.n);
    sk_buffer_free(&text);
    return value;
}

/* A page of the list; the marker of the next one, or an empty text. */
static void take_page(struct sk_span xml, json_t *files, struct sk_buffer *marker) {
    struct sk_span blob;
    marker->n = 0;
    struct sk_span rest = xml;
    while ((blob = element(&rest, "Blob")).p) {
        struct sk_span name = blob, modified = blob, size = blob;
        int64_t bytes = 0;
        sk_span_to_int(element(&size, "Content-Length"), &bytes);
        json_array_append_new(files,
                              json_pack("{s:o,s:I,s:o}", "name", text_of(element(&name, "Name")),
                                        "size", (json_int_t)bytes, "lastModified",
                                        text_of(element(&modified, "Last-Modified"))));
    }
    rest = xml;
    sk_percent_encode(marker, element(&rest, "NextMarker"));
}

int cli_file_list(void *arg) {
    static const char *const columns[] = {"size", "lastModified", "name", NULL};
    struct cli *cli = arg;
    const char *prefix = sk_typed_option(&cli->typed, "prefix");
    struct sk_buffer marker = {0};
    json_t *files = json_array();
    int code;
    do {
        struct sk_buffer query = {0};
        sk_buffer_text(&query, "&restype=container&comp=list&prefix=");
        sk_percent_encode(&query, sk_span_z(prefix));
        sk_buffer_print(&query, "&marker=%.*s", SK_ARG(sk_buffer_span(&marker)));
        sk_buffer_byte(&query, 0);
        struct cli_blob_ask ask = {.method = SK_HTTP_GET,
                                   .container = container_of(cli),
                                   .rights = SK_BLOB_LIST,
                                   .query = query.p};
        code = cli_blob(cli, &ask);
        sk_buffer_free(&query);
        marker.n = 0;
        if (!code) take_page(sk_buffer_span(&ask.answer), files, &marker);
        sk_buffer_free(&ask.answer);
    } while (!code && marker.n);
    if (!code) cli_print(cli, files, columns);
    json_decref(files);
    sk_buffer_free(&marker);
    return code;
}

int cli_file_get(void *arg) {
    struct cli *cli = arg;
    struct cli_blob_ask ask = {.method = SK_HTTP_GET,
                               .container = container_of(cli),
                               .blob = cli->typed.words[0],
                               .rights = SK_BLOB_READ,
                               .prints = true};
    int code = cli_blob(cli, &ask);
    fflush(stdout);
    sk_buffer_free(&ask.answer);
    return code;
}
