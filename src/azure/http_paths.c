/* IoT Hub's REST paths: the pattern names what it takes. Reference:
 * docs/protocols/service-api.md, sections 1 and 2; docs/protocols/device-protocols.md, section
 * 4. */
#include "azure/http_paths.h"

/* As Azure Resource Manager names a hub; whose subscription and group it is does not matter. */
#define SUBSCRIPTION "/subscriptions/{subscription}"
#define HUBS "/providers/Microsoft.Devices/IotHubs"
#define INSIGHTS "/providers/microsoft.insights"
#define HUB SUBSCRIPTION "/resourceGroups/{group}" HUBS "/{hub}"

static const struct sk_http_route routes[] = {
    {SK_HTTP_POST, "/devices/{device}/messages/events", SK_OP_TELEMETRY},
    {SK_HTTP_POST, "/devices/{device}/modules/{module}/messages/events", SK_OP_TELEMETRY},
    {SK_HTTP_GET, "/devices/{device}/messages/devicebound", SK_OP_C2D_RECEIVE},
    {SK_HTTP_POST, "/devices/{device}/messages/devicebound", SK_OP_C2D_SEND},
    {SK_HTTP_DELETE, "/devices/{device}/messages/devicebound/{name}", SK_OP_C2D_SETTLE},
    {SK_HTTP_POST, "/devices/{device}/messages/devicebound/{name}/abandon", SK_OP_C2D_SETTLE},
    {SK_HTTP_POST, "/devices/{device}/files", SK_OP_FILE_UPLOAD},
    {SK_HTTP_POST, "/devices/{device}/files/notifications", SK_OP_FILE_UPLOADED},
    {SK_HTTP_POST, "/devices/{device}/files/notifications/{name}", SK_OP_FILE_UPLOADED},
    {SK_HTTP_GET, "/devices/{device}/twin", SK_OP_TWIN_GET},
    {SK_HTTP_PATCH, "/devices/{device}/twin/properties/reported", SK_OP_TWIN_REPORT},
    {SK_HTTP_GET, "/devices/{device}/modules/{module}/twin", SK_OP_TWIN_GET},
    {SK_HTTP_PATCH, "/devices/{device}/modules/{module}/twin/properties/reported",
     SK_OP_TWIN_REPORT},
    {SK_HTTP_DELETE, "/devices/{device}/commands", SK_OP_C2D_PURGE},
    {SK_HTTP_GET, "/messages/servicebound/feedback", SK_OP_FEEDBACK_RECEIVE},
    {SK_HTTP_DELETE, "/messages/servicebound/feedback/{name}", SK_OP_FEEDBACK_SETTLE},
    {SK_HTTP_POST, "/messages/servicebound/feedback/{name}/abandon", SK_OP_FEEDBACK_SETTLE},
    {SK_HTTP_GET, "/messages/servicebound/feedback/watch", SK_OP_FEEDBACK_SUBSCRIBE},
    {SK_HTTP_GET, "/messages/servicebound/filenotifications", SK_OP_FILE_NOTICE_RECEIVE},
    {SK_HTTP_GET, "/messages/servicebound/filenotifications/watch", SK_OP_FILE_NOTICE_SUBSCRIBE},
    {SK_HTTP_DELETE, "/messages/servicebound/filenotifications/{name}", SK_OP_FILE_NOTICE_SETTLE},
    {SK_HTTP_POST, "/messages/servicebound/filenotifications/{name}/abandon",
     SK_OP_FILE_NOTICE_SETTLE},
    {SK_HTTP_GET, "/devices", SK_OP_DEVICE_LIST},
    {SK_HTTP_POST, "/devices", SK_OP_IDENTITY_BULK},
    {SK_HTTP_GET, "/devices/{device}", SK_OP_IDENTITY_GET},
    {SK_HTTP_PUT, "/devices/{device}", SK_OP_IDENTITY_PUT},
    {SK_HTTP_DELETE, "/devices/{device}", SK_OP_IDENTITY_DELETE},
    {SK_HTTP_GET, "/devices/{device}/modules", SK_OP_MODULE_LIST},
    {SK_HTTP_GET, "/devices/{device}/modules/{module}", SK_OP_IDENTITY_GET},
    {SK_HTTP_PUT, "/devices/{device}/modules/{module}", SK_OP_IDENTITY_PUT},
    {SK_HTTP_DELETE, "/devices/{device}/modules/{module}", SK_OP_IDENTITY_DELETE},
    {SK_HTTP_GET, "/twins/{device}", SK_OP_TWIN_READ},
    {SK_HTTP_GET, "/twins/{device}/history", SK_OP_TWIN_HISTORY},
    {SK_HTTP_GET, "/twins/{device}/modules/{module}/history", SK_OP_TWIN_HISTORY},
    {SK_HTTP_PATCH, "/twins/{device}", SK_OP_TWIN_UPDATE},
    {SK_HTTP_PUT, "/twins/{device}", SK_OP_TWIN_UPDATE},
    {SK_HTTP_GET, "/twins/{device}/modules/{module}", SK_OP_TWIN_READ},
    {SK_HTTP_PATCH, "/twins/{device}/modules/{module}", SK_OP_TWIN_UPDATE},
    {SK_HTTP_PUT, "/twins/{device}/modules/{module}", SK_OP_TWIN_UPDATE},
    {SK_HTTP_POST, "/twins/{device}/methods", SK_OP_METHOD_INVOKE},
    {SK_HTTP_POST, "/twins/{device}/modules/{module}/methods", SK_OP_METHOD_INVOKE},
    {SK_HTTP_GET, "/digitaltwins/{device}", SK_OP_DIGITAL_TWIN_GET},
    {SK_HTTP_PATCH, "/digitaltwins/{device}", SK_OP_DIGITAL_TWIN_PATCH},
    {SK_HTTP_POST, "/digitaltwins/{device}/commands/{name}", SK_OP_COMMAND_INVOKE},
    {SK_HTTP_POST, "/digitaltwins/{device}/components/{component}/commands/{name}",
     SK_OP_COMMAND_INVOKE},
    {SK_HTTP_POST, "/devices/query", SK_OP_QUERY},
    {SK_HTTP_POST, "/devices/{device}/applyConfigurationContent", SK_OP_CONFIGURATION_APPLY},
    {SK_HTTP_PATCH, "/devices/{device}/applyConfigurationContent", SK_OP_CONTENT_PATCH},
    {SK_HTTP_GET, "/devices/{device}/configurations", SK_OP_CONFIGURATION_EXPLAIN},
    {SK_HTTP_GET, "/devices/{device}/modules/{module}/configurations", SK_OP_CONFIGURATION_EXPLAIN},
    {SK_HTTP_GET, "/configurations", SK_OP_CONFIGURATION_LIST},
    {SK_HTTP_POST, "/configurations/testQueries", SK_OP_CONFIGURATION_TEST},
    {SK_HTTP_GET, "/configurations/{name}", SK_OP_CONFIGURATION_GET},
    {SK_HTTP_PUT, "/configurations/{name}", SK_OP_CONFIGURATION_PUT},
    {SK_HTTP_PATCH, "/configurations/{name}", SK_OP_CONFIGURATION_PATCH},
    {SK_HTTP_DELETE, "/configurations/{name}", SK_OP_CONFIGURATION_DELETE},
    {SK_HTTP_GET, "/jobs/v2/query", SK_OP_JOB_LIST},
    {SK_HTTP_PUT, "/jobs/v2/{name}", SK_OP_JOB_PUT},
    {SK_HTTP_GET, "/jobs/v2/{name}", SK_OP_JOB_GET},
    {SK_HTTP_POST, "/jobs/v2/{name}/cancel", SK_OP_JOB_CANCEL},
    {SK_HTTP_POST, "/routing/routes/$testall", SK_OP_ROUTE_TEST_ALL},
    {SK_HTTP_POST, "/routing/routes/$testnew", SK_OP_ROUTE_TEST_NEW},
    {SK_HTTP_POST, "/routing/routes/$explain", SK_OP_ROUTE_EXPLAIN},
    {SK_HTTP_GET, "/routing/endpoints/health", SK_OP_ENDPOINT_LIST},
    {SK_HTTP_GET, "/routing/endpoints/{name}/deadLetters", SK_OP_ENDPOINT_DEAD_LETTERS},
    {SK_HTTP_GET, "/devices/{device}/diagnostics", SK_OP_DIAGNOSE},
    {SK_HTTP_POST, "/jobs/create", SK_OP_TRANSFER_CREATE},
    {SK_HTTP_GET, "/jobs", SK_OP_TRANSFER_LIST},
    {SK_HTTP_GET, "/jobs/{name}", SK_OP_TRANSFER_GET},
    {SK_HTTP_DELETE, "/jobs/{name}", SK_OP_TRANSFER_CANCEL},
    {SK_HTTP_GET, SUBSCRIPTION HUBS, SK_OP_HUB_LIST},
    {SK_HTTP_GET, SUBSCRIPTION "/resourceGroups/{group}" HUBS, SK_OP_HUB_LIST},
    {SK_HTTP_GET, HUB, SK_OP_HUB_GET},
    {SK_HTTP_PUT, HUB, SK_OP_HUB_PUT},
    {SK_HTTP_PATCH, HUB, SK_OP_HUB_PATCH},
    {SK_HTTP_POST, HUB "/listkeys", SK_OP_HUB_KEYS},
    {SK_HTTP_POST, HUB "/IotHubKeys/{name}/listkeys", SK_OP_HUB_KEY},
    {SK_HTTP_GET, HUB "/eventHubEndpoints/events/ConsumerGroups", SK_OP_HUB_GROUPS},
    {SK_HTTP_GET, HUB "/eventHubEndpoints/events/ConsumerGroups/{name}", SK_OP_HUB_GROUP},
    {SK_HTTP_PUT, HUB "/eventHubEndpoints/events/ConsumerGroups/{name}", SK_OP_HUB_GROUP_PUT},
    {SK_HTTP_DELETE, HUB "/eventHubEndpoints/events/ConsumerGroups/{name}", SK_OP_HUB_GROUP_DELETE},
    {SK_HTTP_GET, HUB "/certificates", SK_OP_CERTIFICATE_LIST},
    {SK_HTTP_GET, HUB "/certificates/{name}", SK_OP_CERTIFICATE_GET},
    {SK_HTTP_PUT, HUB "/certificates/{name}", SK_OP_CERTIFICATE_PUT},
    {SK_HTTP_DELETE, HUB "/certificates/{name}", SK_OP_CERTIFICATE_DELETE},
    {SK_HTTP_POST, HUB "/certificates/{name}/generateVerificationCode", SK_OP_CERTIFICATE_CODE},
    {SK_HTTP_POST, HUB "/certificates/{name}/verify", SK_OP_CERTIFICATE_VERIFY},
    {SK_HTTP_POST, HUB "/routing/routes/$testall", SK_OP_ROUTE_TEST_ALL},
    {SK_HTTP_POST, HUB "/routing/routes/$testnew", SK_OP_ROUTE_TEST_NEW},
    {SK_HTTP_GET, HUB "/routingEndpointsHealth", SK_OP_ENDPOINT_LIST},
    {SK_HTTP_GET, HUB "/quotaMetrics", SK_OP_HUB_QUOTA},
    {SK_HTTP_POST, HUB "/exportDevices", SK_OP_HUB_EXPORT},
    {SK_HTTP_POST, HUB "/importDevices", SK_OP_HUB_IMPORT},
    {SK_HTTP_GET, HUB "/jobs", SK_OP_TRANSFER_LIST},
    {SK_HTTP_GET, HUB "/jobs/{name}", SK_OP_TRANSFER_GET},
    {SK_HTTP_GET, HUB "/skus", SK_OP_HUB_SKUS},
    {SK_HTTP_POST, SUBSCRIPTION "/providers/Microsoft.Devices/checkNameAvailability",
     SK_OP_HUB_NAME},
    {SK_HTTP_GET, HUB "/IotHubStats", SK_OP_STATISTICS_DEVICES},
    {SK_HTTP_GET, "/statistics/devices", SK_OP_STATISTICS_DEVICES},
    {SK_HTTP_GET, "/statistics/service", SK_OP_STATISTICS_SERVICE},
    {SK_HTTP_GET, HUB INSIGHTS "/metricDefinitions", SK_OP_METRIC_LIST},
    {SK_HTTP_GET, HUB INSIGHTS "/metrics", SK_OP_METRIC_READ},
    {SK_HTTP_GET, "/insights/metricDefinitions", SK_OP_METRIC_LIST},
    {SK_HTTP_GET, "/insights/metrics", SK_OP_METRIC_READ},
    {SK_HTTP_GET, "/insights/records", SK_OP_RECORD_LIST},
    {SK_HTTP_GET, "/messages/events", SK_OP_EVENTS_WATCH},
    {SK_HTTP_GET, "/messages/notices", SK_OP_NOTICES_WATCH},
    {SK_HTTP_GET, "/telemetry/v1/rules", SK_OP_RULE_LIST},
    {SK_HTTP_POST, "/telemetry/v1/rules", SK_OP_RULE_PUT},
    {SK_HTTP_GET, "/telemetry/v1/rules/{name}", SK_OP_RULE_GET},
    {SK_HTTP_PUT, "/telemetry/v1/rules/{name}", SK_OP_RULE_PUT},
    {SK_HTTP_DELETE, "/telemetry/v1/rules/{name}", SK_OP_RULE_DELETE},
    {SK_HTTP_GET, "/telemetry/v1/alarms", SK_OP_ALARM_LIST},
    {SK_HTTP_POST, "/telemetry/v1/alarms", SK_OP_ALARM_LIST},
    {SK_HTTP_POST, "/telemetry/v1/alarms!delete", SK_OP_ALARMS_DELETE},
    {SK_HTTP_GET, "/telemetry/v1/alarms/{name}", SK_OP_ALARM_GET},
    {SK_HTTP_PATCH, "/telemetry/v1/alarms/{name}", SK_OP_ALARM_PATCH},
    {SK_HTTP_DELETE, "/telemetry/v1/alarms/{name}", SK_OP_ALARM_DELETE},
    {SK_HTTP_GET, "/telemetry/v1/alarmsbyrule", SK_OP_ALARM_RULES},
    {SK_HTTP_POST, "/telemetry/v1/alarmsbyrule", SK_OP_ALARM_RULES},
    {SK_HTTP_GET, "/telemetry/v1/alarmsbyrule/{name}", SK_OP_ALARM_RULE},
    {SK_HTTP_POST, "/telemetry/v1/alarmsbyrule/{name}", SK_OP_ALARM_RULE},
    {SK_HTTP_GET, "/config/v1/devicegroups", SK_OP_GROUP_LIST},
    {SK_HTTP_POST, "/config/v1/devicegroups", SK_OP_GROUP_PUT},
    {SK_HTTP_GET, "/config/v1/devicegroups/{name}", SK_OP_GROUP_GET},
    {SK_HTTP_PUT, "/config/v1/devicegroups/{name}", SK_OP_GROUP_PUT},
    {SK_HTTP_DELETE, "/config/v1/devicegroups/{name}", SK_OP_GROUP_DELETE},
    {SK_HTTP_GET, "/devicesimulation/v1/simulations", SK_OP_SIMULATION_LIST},
    {SK_HTTP_POST, "/devicesimulation/v1/simulations", SK_OP_SIMULATION_PUT},
    {SK_HTTP_GET, "/devicesimulation/v1/simulations/{name}", SK_OP_SIMULATION_GET},
    {SK_HTTP_PUT, "/devicesimulation/v1/simulations/{name}", SK_OP_SIMULATION_PUT},
    {SK_HTTP_PATCH, "/devicesimulation/v1/simulations/{name}", SK_OP_SIMULATION_PATCH},
    {SK_HTTP_DELETE, "/devicesimulation/v1/simulations/{name}", SK_OP_SIMULATION_DELETE},
    {SK_HTTP_PUT, "/devicesimulation/v1/simulations/{name}/state", SK_OP_SIMULATION_STATE},
    {SK_HTTP_GET, "/devicesimulation/v1/devicemodels", SK_OP_DEVICE_MODEL_LIST},
    {SK_HTTP_POST, "/devicesimulation/v1/devicemodels", SK_OP_DEVICE_MODEL_PUT},
    {SK_HTTP_GET, "/devicesimulation/v1/devicemodels/{name}", SK_OP_DEVICE_MODEL_GET},
    {SK_HTTP_PUT, "/devicesimulation/v1/devicemodels/{name}", SK_OP_DEVICE_MODEL_PUT},
    {SK_HTTP_DELETE, "/devicesimulation/v1/devicemodels/{name}", SK_OP_DEVICE_MODEL_DELETE},
    {SK_HTTP_POST, "/timeseries/query", SK_OP_SERIES_QUERY},
    {SK_HTTP_POST, "/eventSchema", SK_OP_SERIES_SCHEMA},
    {SK_HTTP_GET, "/availability", SK_OP_SERIES_AVAILABILITY},
    {SK_HTTP_GET, "/timeseries/instances", SK_OP_SERIES_INSTANCES},
    {SK_HTTP_POST, "/timeseries/instances/search", SK_OP_SERIES_SEARCH},
    {SK_HTTP_POST, "/timeseries/instances/suggest", SK_OP_SERIES_SUGGEST},
    {SK_HTTP_POST, "/api/v1/read", SK_OP_SERIES_REMOTE_READ},
    {SK_HTTP_GET, "/timeseries/types", SK_OP_SERIES_TYPES},
    {SK_HTTP_GET, "/timeseries/hierarchies", SK_OP_SERIES_HIERARCHIES},
    {SK_HTTP_POST, "/timeseries/{name}/$batch", SK_OP_SERIES_BATCH},
    {SK_HTTP_GET, "/timeseries/modelSettings", SK_OP_SERIES_SETTINGS},
    {SK_HTTP_PATCH, "/timeseries/modelSettings", SK_OP_SERIES_SETTINGS_PATCH},
    {SK_HTTP_POST, "/timeseries/events/$delete", SK_OP_SERIES_FORGET},
    {SK_HTTP_GET, "/certificates", SK_OP_CERTIFICATE_LIST},
    {SK_HTTP_GET, "/certificates/{name}", SK_OP_CERTIFICATE_GET},
    {SK_HTTP_PUT, "/certificates/{name}", SK_OP_CERTIFICATE_PUT},
    {SK_HTTP_DELETE, "/certificates/{name}", SK_OP_CERTIFICATE_DELETE},
    {SK_HTTP_POST, "/certificates/{name}/generateVerificationCode", SK_OP_CERTIFICATE_CODE},
    {SK_HTTP_POST, "/certificates/{name}/verify", SK_OP_CERTIFICATE_VERIFY},
    {SK_HTTP_GET, "/devices/{device}/modules/{module}/devicesAndModulesInDeviceScope",
     SK_OP_SCOPE_LIST},
    {SK_HTTP_POST, "/devices/{device}/modules/{module}/devicesAndModulesInTargetDeviceScope",
     SK_OP_SCOPE_LIST},
    {SK_HTTP_GET, "/devices/{device}/modules/{module}/deviceAndModuleInDeviceScope",
     SK_OP_SCOPE_GET},
    {SK_HTTP_POST, "/devices/{device}/modules/{module}/getDeviceAndModuleOnBehalfOf",
     SK_OP_SCOPE_GET},
    {SK_HTTP_PUT, "/devices/{device}/modules/{module}/putModuleOnBehalfOf", SK_OP_BELOW_PUT},
    {SK_HTTP_POST, "/devices/{device}/modules/{module}/getModuleOnBehalfOf", SK_OP_BELOW_GET},
    {SK_HTTP_POST, "/devices/{device}/modules/{module}/getModulesOnTargetDevice", SK_OP_BELOW_LIST},
    {SK_HTTP_POST, "/devices/{device}/modules/{module}/deleteModuleOnBehalfOf", SK_OP_BELOW_DELETE},
};

static void take(struct sk_request *request, struct sk_span name, struct sk_span value) {
    if (sk_span_eq(name, SK_SPAN("{device}")))
        request->device = value;
    else if (sk_span_eq(name, SK_SPAN("{module}")))
        request->module = value;
    else if (sk_span_eq(name, SK_SPAN("{component}")))
        request->component = value;
    else if (sk_span_eq(name, SK_SPAN("{hub}")))
        request->hub = value;
    else if (sk_span_eq(name, SK_SPAN("{name}")))
        request->name = value;
}

enum sk_status sk_http_path_read(enum sk_http_method method, struct sk_span path,
                                 struct sk_arena *arena, struct sk_request *request) {
    struct sk_http_match match;
    enum sk_status status =
        sk_http_route(routes, sizeof routes / sizeof *routes, method, path, arena, &match);
    if (status) return status;
    struct sk_span rest = sk_span_z(match.route->pattern), segment;
    request->op = (enum sk_op)match.id;
    for (size_t i = 0; sk_span_split(&rest, '/', &segment);)
        if (segment.n && segment.p[0] == '{') take(request, segment, match.captures[i++]);
    return SK_OK;
}

bool sk_http_is_arm(struct sk_span path) {
    return sk_span_starts(path, SK_SPAN("/subscriptions/"));
}

const struct sk_http_route *sk_http_path_at(size_t index) {
    return index < sizeof routes / sizeof *routes ? &routes[index] : NULL;
}
