/* Any config.toml: read, or refused with a sentence that names the file. */
#include <stdlib.h>

#include "edge/daemon/config.h"
#include "config/toml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void warning(const char *sentence) {
    if (strncmp(sentence, "f.toml:", 7) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *document, *lines;
    char toml_error[SK_TOML_ERROR_MAX] = "", error[SK_EDGE_CONFIG_ERROR_MAX] = "";
    struct sk_edge_config config;
    if (sk_toml_parse(sk_span(data, size), "f.toml", &document, &lines, toml_error)) {
        if (strncmp(toml_error, "f.toml:", 7) != 0) abort();
        return 0;
    }
    if (sk_edge_config_read(document, lines, "f.toml", &config, warning, NULL, error) == SK_OK) {
        if (config.hostname == NULL || config.hub_host == NULL || config.device_id == NULL ||
            config.listen_count == 0)
            abort();
        sk_edge_config_free(&config);
    } else if (strncmp(error, "f.toml:", 7) != 0) {
        abort();
    }
    json_decref(document);
    json_decref(lines);
    return 0;
}
