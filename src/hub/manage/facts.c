/* What tools of ARM ask about hubs beside what they are. */
#include "hub/manage/parts.h"

static void answer_list(struct sk_request *request, json_t *value) {
    json_t *document = json_pack("{s:o}", "value", value);
    sk_request_answer_json(request, document);
}

/* Without a limit it is ARM's largest number. */
static json_t *quota_json(const char *name, uint64_t now, uint64_t most) {
    return json_pack("{s:s,s:I,s:I}", "name", name, "currentValue", (json_int_t)now, "maxValue",
                     most ? (json_int_t)most : (json_int_t)INT64_MAX);
}

void manage_quota(struct sk_hub *hub, struct sk_request *request) {
    const struct sk_quota *quota = hub->backend.quota;
    answer_list(request,
                json_pack("[o,o]",
                          quota_json("TotalMessages", sk_quota_today(quota).messages,
                                     sk_quota_messages_max(quota)),
                          quota_json("TotalDeviceCount", sk_registry_counts(hub->registry).devices,
                                     sk_quota_devices_max(quota))));
}

void manage_skus(struct sk_hub *hub, struct sk_request *request) {
    static const struct {
        const char *name, *tier;
        int units;
    } skus[] = {{"F1", "Free", 1},
                {"S1", "Standard", SK_QUOTA_UNITS_MAX},
                {"S2", "Standard", SK_QUOTA_UNITS_MAX},
                {"S3", "Standard", SK_QUOTA_UNITS_MAX}};
    json_t *value = json_array();
    (void)hub;
    for (size_t i = 0; i < sizeof skus / sizeof *skus; i++)
        json_array_append_new(
            value, json_pack("{s:s,s:{s:s,s:s},s:{s:i,s:i,s:i,s:s}}", "resourceType",
                             "Microsoft.Devices/IotHubs", "sku", "name", skus[i].name, "tier",
                             skus[i].tier, "capacity", "minimum", 1, "maximum", skus[i].units,
                             "default", 1, "scaleType", skus[i].units > 1 ? "Manual" : "None"));
    answer_list(request, value);
}

/* Hubs are made by `skerry-hub init`; of a name is told whether this one has it. */
void manage_name(struct sk_hub *hub, struct sk_request *request) {
    const json_t *name = json_object_get(request->body, "name");
    struct sk_span text = sk_span(json_string_value(name), json_string_length(name));
    bool valid = text.n >= 3 && text.n <= 50 && sk_span_only(text, "-") && text.p[0] != '-' &&
                 text.p[text.n - 1] != '-';
    bool taken = sk_span_eq_nocase(text, sk_span_z(hub->options->name));
    if (!json_is_string(name)) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "name is missing");
        return;
    }
    json_t *document = json_pack("{s:b}", "nameAvailable", valid && !taken);
    if (taken || !valid) {
        json_object_set_new(document, "reason", json_string(taken ? "AlreadyExists" : "Invalid"));
        json_object_set_new(document, "message",
                            json_string(taken ? "this hub has the name"
                                              : "a name has 3 to 50 letters, digits and hyphens, "
                                                "none at its ends"));
    }
    sk_request_answer_json(request, document);
}
