/* What somebody wants of a hub, whatever JSON it is: refused in one sentence, or hub.toml can say
 * it and is read as that. */
#include <stdlib.h>

#include "config/rewrite.h"
#include "hub/manage/parts.h"
#include "hub/server/config.h"
#include "io/sim/sim.h"
#include "model/json_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char toml[] =
    "[listen]\naddresses = [\"0.0.0.0:8883\"]\ncertificate = \"-\"\nkey = \"-\"\n[[hub]]\n"
    "name = \"test\"\nhostnames = [\"h\"]\ndata = \"/d\"\nconsumer_groups = [\"g\"] # ours\n"
    "[[hub.policy]]\nname = \"o\"\nkeys = [\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"]\n"
    "rights = [\"RegistryRead, RegistryWrite\", \"ServiceConnect\", \"DeviceConnect\"]\n"
    "[[hub.endpoint]]\nname = \"e\"\ntype = \"event-hub\"\nto = \"Endpoint=sb://x/;"
    "SharedAccessKeyName=n;SharedAccessKey=s;EntityPath=e\"\n[[hub.endpoint]]\nname = \"w\"\n"
    "type = \"webhook\"\nto = \"https://x/\"\nheaders = [\"a: b\"]\n[[hub.endpoint]]\n"
    "name = \"s\"\ntype = \"storage\"\nto = \"box\"\n[[hub.endpoint]]\n"
    "name = \"f\"\ntype = \"folder\"\nto = \"/f\"\n[[hub.route]]\nname = \"r\"\nendpoint = \"e\"\n";

static struct sk_hub_config config;
static struct sk_hub hub;

static void open_hub(void) {
    static char error[SK_HUB_CONFIG_ERROR_MAX];
    struct sk_sim *sim = sk_sim_new(&(struct sk_sim_options){.seed = 1});
    if (sk_hub_config_parse(sk_span_z(toml), "h.toml", "", &config, error)) abort();
    hub.options = &config.hubs[0];
    hub.backend.io = sk_sim_node(sim, "h");
}

static void try_table(const json_t *table) {
    char error[SK_TOML_ERROR_MAX], why[SK_HUB_CONFIG_ERROR_MAX] = "";
    struct sk_buffer text = {0};
    struct sk_hub_config next;
    json_t *document = json_deep_copy(config.document);
    json_array_set(json_object_get(document, "hub"), 0, (json_t *)table);
    if (sk_toml_rewrite(sk_span_z(toml), "h.toml", document, &text, error) == SK_OK) {
        if (sk_hub_config_parse(sk_buffer_span(&text), "h.toml", "", &next, why) == SK_OK) {
            if (!json_equal(next.hubs[0].table, table)) abort();
            sk_hub_config_free(&next);
        } else if (why[0] == 0) {
            abort();
        }
    }
    json_decref(document);
    sk_buffer_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (hub.options == NULL) open_hub();
    json_t *wanted = sk_json_load(sk_span(data, size), JSON_REJECT_DUPLICATES, NULL);
    json_t *shown = manage_hub_json(&hub);
    struct manage_change change = {
        .hub = &hub, .table = json_deep_copy(hub.options->table), .shown = shown};
    if (json_is_object(wanted)) {
        if (manage_take(&change, wanted))
            try_table(change.table);
        else if (change.why[0] == 0)
            abort();
    }
    json_decref(wanted);
    json_decref(change.table);
    json_decref(shown);
    return 0;
}
