#include "edge/load.h"

#include "io/io.h"
#include "io/process.h"
#include "toml/toml.h"

enum { FILE_MAX = 1024 * 1024 };

/* In the child: the file as {"document":…,"lines":…}, or {"error":"…"}. */
static enum sk_status parse_file(void *arg, struct sk_buffer *out) {
    const char *path = arg;
    struct sk_buffer text = {.limit = FILE_MAX};
    json_t *document, *lines, *result = NULL;
    char error[SK_TOML_ERROR_MAX];
    struct sk_io *io = sk_io_uv_new();
    enum sk_status status = sk_file_load(io, path, &text);
    if (status)
        snprintf(error, sizeof error, "%.300s cannot be read: %s.", path, sk_status_text(status));
    else if ((status = sk_toml_parse(sk_buffer_span(&text), path, &document, &lines, error)) ==
             SK_OK)
        result = json_pack("{s:o,s:o}", "document", document, "lines", lines);
    if (result == NULL) result = json_pack("{s:s}", "error", error);
    char *json = json_dumps(result, JSON_COMPACT);
    sk_buffer_text(out, json);
    free(json);
    json_decref(result);
    sk_buffer_free(&text);
    sk_io_free(io);
    return status;
}

static void log_warning(void *arg, const char *sentence) {
    (void)arg;
    SK_WARN("config", "%s", sentence);
}

enum sk_status sk_edge_config_load(const char *path, bool warn, struct sk_edge_config *config,
                                   char error[SK_EDGE_CONFIG_ERROR_MAX]) {
    struct sk_buffer text = {0};
    enum sk_status status = sk_process_run(parse_file, (void *)path, &text);
    json_t *result = json_loadb(text.p ? text.p : "", text.n, 0, NULL);
    const char *reason = json_string_value(json_object_get(result, "error"));
    if (status == SK_OK && result)
        status = sk_edge_config_read(json_object_get(result, "document"),
                                     json_object_get(result, "lines"), path, config,
                                     warn ? log_warning : NULL, NULL, error);
    else {
        snprintf(error, SK_EDGE_CONFIG_ERROR_MAX, "%s",
                 reason ? reason : "The configuration's reader ended without an answer.");
        if (status == SK_OK) status = SK_IO;
    }
    json_decref(result);
    sk_buffer_free(&text);
    return status;
}
