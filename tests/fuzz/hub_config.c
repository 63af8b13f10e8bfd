/* Any hub.toml: read, or refused with a sentence that names the file. */
#include <stdlib.h>

#include "hub/server/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sk_hub_config config;
    char error[SK_HUB_CONFIG_ERROR_MAX] = "";
    if (sk_hub_config_parse(sk_span(data, size), "h.toml", "/f", &config, error) == SK_OK) {
        if (config.address_count == 0 || config.hub_count == 0) abort();
        for (size_t i = 0; i < config.hub_count; i++)
            if (config.hubs[i].name == NULL || config.hubs[i].data == NULL ||
                config.hubs[i].host_name_count == 0)
                abort();
        sk_hub_config_free(&config);
    } else if (strncmp(error, "h.toml", 6) != 0) {
        abort();
    }
    return 0;
}
