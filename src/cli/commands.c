/* The commands of `skerry`: one row each. Reading what was typed, help, completion and
 * docs/reference/skerry.md come out of this table. */
#include <stdio.h>

#include "cli/cli.h"

/* ---- options ---- */

static const struct sk_option_row everywhere[] = {
    {"output", "table|json|jsonl|tsv|csv", "how answers are printed: a table", false},
    {"wide", NULL, "tables show long values whole", false},
    {"login", "CONNECTION_STRING", "a policy's; else SKERRY_CONNECTION_STRING, else the profile's",
     false},
    {"profile", "NAME", "which login is kept or used: default", false},
    {"ca", "FILE", "certificates that vouch for the hub; else SKERRY_CA_FILE", false},
    {"help", NULL, "what a command takes", false},
    {0}};

static const struct sk_option_row device_add[] = {
    {"edge", NULL, "it is an IoT Edge device", false},
    {"parent", "EDGE", "the edge device that it is a child of", false},
    {"auth", "sas|thumbprint|ca", "what it proves itself by; keys (sas) are made by the hub",
     false},
    {"primary-thumbprint", "HEX", "SHA-1 or SHA-256 of its certificate", false},
    {"secondary-thumbprint", "HEX", "of the next one", false},
    {0}};
static const struct sk_option_row device_update[] = {
    {"status", "enabled|disabled", "whether it may connect; needed", false}, {0}};
static const struct sk_option_row device_export[] = {
    {"without-keys", NULL, "keys of devices stay where they are", false}, {0}};
static const struct sk_option_row connection_string[] = {
    {"gateway", "HOST", "the edge that it connects through", false}, {0}};
static const struct sk_option_row sas[] = {
    {"duration", "SECONDS", "how long it is good for: 3600", false}, {0}};
static const struct sk_option_row twin_write[] = {
    {"desired", "JSON", "desired properties; or @FILE", false},
    {"tags", "JSON", "tags; or @FILE", false},
    {0}};
static const struct sk_option_row twin_diff[] = {
    {"from", "VERSION", "the older one: that before the other, or nothing", false},
    {"to", "VERSION", "the newer one: the last", false},
    {0}};
static const struct sk_option_row method_call[] = {
    {"payload", "JSON", "what it is called with; or @FILE", false},
    {"timeout", "SECONDS", "how long to wait for the answer: 30", false},
    {0}};
static const struct sk_option_row message_send[] = {
    {"ack", "none|positive|negative|full", "which ends feedback tells", false},
    {"message-id", "ID", "else one is made", false},
    {"property", "NAME=VALUE", "an application property", true},
    {"expiry", "DURATION|TIME", "such as 10m, or 2030-01-31T12:00:00Z", false},
    {"content-type", "TYPE", "such as application/json", false},
    {0}};
static const struct sk_option_row feedback_watch[] = {{"count", "N", "ends after so many", false},
                                                      {0}};
static const struct sk_option_row sim_run[] = {
    {"devices", "MODEL[=COUNT]", "how many of which; MODEL is an id of `sim list`, or a FILE.json",
     true},
    {"for", "DURATION", "ends after that, such as 10m; else it goes on", false},
    {"interval", "SECONDS", "between messages of a device, whatever the model says", false},
    {"rate", "N", "devices that connect in a second: 200", false},
    {"protocol", "amqp|mqtt", "thousands on a connection (amqp), or one for each device", false},
    {"delete", NULL, "removes its devices at the end", false},
    {0}};
static const struct sk_option_row sim_follow[] = {
    {"runner", "NAME", "by which the hub knows it, no other's; else one is made up", false},
    {"only", "ID", "this simulation, in this process, and ends when it does", false},
    {0}};
static const struct sk_option_row file_list[] = {
    {"prefix", "TEXT", "only those whose names begin so, such as sensor1/", false},
    {"container", "NAME", "else uploads", false},
    {0}};
static const struct sk_option_row file_get[] = {{"container", "NAME", "else uploads", false}, {0}};
static const struct sk_option_row events_watch[] = {
    {"device", "DEVICE", "of this one only", false},
    {"from", "earliest|latest|TIME|OFFSET", "where to begin: latest", false},
    {"consumer-group", "GROUP", "else $Default", false},
    {"properties", NULL, "with application and system properties", false},
    {"count", "N", "ends after so many", false},
    {0}};
static const struct sk_option_row series_show[] = {
    {"from", "TIME", "such as NOW-PT24H; else the last hour", false},
    {"to", "TIME", "else NOW", false},
    {"property", "NAME", "a property of messages; else all are shown", true},
    {"interval", "DURATION", "such as PT1M: one value for each", false},
    {"aggregate", "avg|min|max|sum|first|last|median|stdev",
     "what is computed of each interval: avg", false},
    {"filter", "TSX", "which events, such as \"$event.temperature > 20.0\"", false},
    {0}};
static const struct sk_option_row rule_list[] = {
    {"group", "GROUP", "only those for this group of devices", false}, {0}};
static const struct sk_option_row alarm_list[] = {
    {"status", "STATUS", "open, acknowledged or closed, or several with commas between", false},
    {"severity", "SEVERITY", "Critical, Warning or Info, likewise", false},
    {"rule", "RULE", "of this one only", false},
    {"device", "DEVICE", "of this one only", false},
    {"from", "TIME", "such as NOW-PT1H", false},
    {"to", "TIME", "likewise", false},
    {"limit", "N", "the newest so many: 100; at most 1000", false},
    {0}};
static const struct sk_option_row configuration_write[] = {
    {"target", "CONDITION", "on twins, as behind WHERE of a query; * is everybody", false},
    {"priority", "N", "the higher wins: 0", false},
    {"label", "NAME=TEXT", "a label", true},
    {"metric", "NAME=QUERY", "a metric: how many rows the query has", true},
    {0}};
#define JOB_OPTIONS                                                                                \
    {"where", "CONDITION", "which devices, as behind WHERE of a query; else all", false},          \
        {"start", "TIME", "when it begins, such as 2030-01-31T12:00:00Z: now", false},             \
        {"max-seconds", "N", "how long it may take: 3600", false}, {                               \
        "wait", NULL, "until it has ended", false                                                  \
    }
static const struct sk_option_row job_twins[] = {
    {"desired", "JSON", "desired properties; or @FILE", false},
    {"tags", "JSON", "tags; or @FILE", false},
    JOB_OPTIONS,
    {0}};
static const struct sk_option_row job_method[] = {
    {"payload", "JSON", "what it is called with; or @FILE", false},
    {"timeout", "SECONDS", "how long to wait for each answer: 30", false},
    JOB_OPTIONS,
    {0}};
static const struct sk_option_row job_list[] = {
    {"status", "queued|running|completed|failed|cancelled", "only these", false}, {0}};
static const struct sk_option_row job_devices[] = {
    {"status", "pending|running|completed|failed|canceled", "only these", false}, {0}};
static const struct sk_option_row route_trial[] = {
    {"source", "SOURCE", "such as TwinChangeEvents: DeviceMessages", false},
    {"property", "NAME=VALUE", "an application property", true},
    {"device", "DEVICE", "who sends it", false},
    {"twin", "JSON", "its twin: tags and properties; or @FILE", false},
    {0}};
static const struct sk_option_row policy_add[] = {
    {"right", "RIGHT", "RegistryRead, RegistryWrite, ServiceConnect or DeviceConnect; needed",
     true},
    {0}};
static const struct sk_option_row policy_renew_key[] = {
    {"key", "primary|secondary|swap", "which is made anew, or that both change places: primary",
     false},
    {0}};
static const struct sk_option_row route_write[] = {
    {"source", "SOURCE", "such as TwinChangeEvents: DeviceMessages", false},
    {"condition", "CONDITION", "which of these: all", false},
    {"endpoint", "ENDPOINT", "where they go: events", true},
    {"enabled", "true|false", "whether it takes anything", false},
    {0}};
static const struct sk_option_row enrichment_add[] = {
    {"endpoint", "ENDPOINT", "whose events get it: those of all", true}, {0}};
static const struct sk_option_row rule_add[] = {
    {"action", "Accept|Reject", "what happens to these addresses: Accept", false}, {0}};
static const struct sk_option_row endpoint_add[] = {
    {"type", "TYPE",
     "webhook, service-bus-queue, service-bus-topic, event-hub, storage, mqtt, postgresql, mail; "
     "needed",
     false},
    {"entity", "NAME", "the queue, topic, event hub or container, where TO does not say it", false},
    {"header", "TEXT", "webhook: a header of each request", true},
    {"topic", "TOPIC", "MQTT: where messages are published", false},
    {"table", "NAME", "PostgreSQL: the table", false},
    {"from", "ADDRESS", "mail: who sends it", false},
    {"recipient", "ADDRESS", "mail: who gets it", true},
    {"subject", "TEXT", "mail: its subject, such as '{device}: {level}'", false},
    {"text", "TEXT", "mail: what it says of each message", false},
    {"encoding", "Avro|AvroDeflate|JSON", "storage: what files are", false},
    {0}};
static const struct sk_option_row certificate_add[] = {
    {"verified", NULL, "without a proof of possession", false}, {0}};

/* ---- commands ---- */

static const struct sk_command commands[] = {
    {"login", "CONNECTION_STRING", NULL, "Checks the connection string of a policy and keeps it.",
     "'HostName=hub.local;SharedAccessKeyName=iothubowner;SharedAccessKey=…' --ca ca.pem",
     cli_login, true},

    {"device list", "", NULL, "Lists devices.", "--output tsv", cli_device_list, false},
    {"device add", "DEVICE", device_add, "Registers a device.", "sensor1 --parent edge1",
     cli_device_add, false},
    {"device show", "DEVICE", NULL, "Shows a device's identity.", "sensor1", cli_identity_show,
     false},
    {"device diagnose", "DEVICE", NULL,
     "Shows a device's last connections, how they ended and why it was refused.", "sensor1",
     cli_device_diagnose, false},
    {"device export", "", device_export,
     "Writes all devices and modules, with their twins, to the output.", ">devices.txt",
     cli_device_export, false},
    {"device import", "FILE", NULL, "Does what each line of a file says, such as of an export.",
     "devices.txt", cli_device_import, false},
    {"device update", "DEVICE", device_update, "Enables or disables a device.",
     "sensor1 --status disabled", cli_device_update, false},
    {"device remove", "DEVICE", NULL, "Removes a device with its modules and twins.", "sensor1",
     cli_identity_remove, false},
    {"device connection-string", "DEVICE", connection_string,
     "Prints what an SDK program connects with.", "sensor1 --gateway edge.local",
     cli_connection_string, false},
    {"device sas", "DEVICE", sas, "Prints a token, for clients that make none themselves.",
     "sensor1 --duration 86400", cli_sas, false},

    {"module list", "DEVICE", NULL, "Lists a device's modules.", "edge1", cli_module_list, false},
    {"module add", "DEVICE/MODULE", NULL, "Registers a module.", "edge1/filter", cli_module_add,
     false},
    {"module show", "DEVICE/MODULE", NULL, "Shows a module's identity.", "edge1/filter",
     cli_identity_show, false},
    {"module remove", "DEVICE/MODULE", NULL, "Removes a module and its twin.", "edge1/filter",
     cli_identity_remove, false},
    {"module connection-string", "DEVICE/MODULE", connection_string,
     "Prints what an SDK program connects with.", "edge1/filter", cli_connection_string, false},

    {"twin show", "TARGET", NULL, "Shows a twin.", "sensor1", cli_twin_show, false},
    {"twin update", "TARGET", twin_write, "Merges into tags and desired properties; null removes.",
     "sensor1 --desired '{\"interval\": 5}'", cli_twin_update, false},
    {"twin replace", "TARGET", twin_write, "Replaces tags and desired properties.",
     "edge1/filter --desired @filter.json", cli_twin_replace, false},

    {"twin history", "TARGET", NULL,
     "Shows when tags and desired properties were changed, and which.", "sensor1", cli_twin_history,
     false},
    {"twin diff", "TARGET", twin_diff, "Shows what differs between two versions of them.",
     "sensor1 --from 4", cli_twin_diff, false},

    {"method call", "TARGET NAME", method_call, "Calls a direct method and prints its answer.",
     "sensor1 reboot --payload '{\"delay\": 3}'", cli_method_call, false},

    {"telemetry send", "DEVICE TEXT", NULL, "Sends telemetry as a device, for trying routes.",
     "sensor1 '{\"t\": 21.5}'", cli_telemetry_send, false},
    {"message send", "DEVICE TEXT", message_send, "Sends a cloud-to-device message.",
     "sensor1 'good morning' --ack full --expiry 1h", cli_message_send, false},
    {"feedback watch", "", feedback_watch, "Shows what became of cloud-to-device messages.",
     "--count 10", cli_feedback_watch, false},
    {"file watch", "", feedback_watch, "Shows files that devices have uploaded, as they come.",
     "--count 10", cli_file_watch, false},
    {"file list", "", file_list, "Lists files that devices have uploaded.", "--prefix sensor1/",
     cli_file_list, false},
    {"file get", "FILE", file_get, "Writes a file to the output.",
     "sensor1/logs/today.txt >today.txt", cli_file_get, false},
    {"events watch", "", events_watch, "Shows events as they are stored.",
     "--device sensor1 --from earliest", cli_events_watch, false},

    {"sim list", "", NULL, "Lists the device models that come along.", "", cli_sim_list, true},
    {"sim show", "MODEL", NULL, "Shows a device model.", "chiller-01", cli_sim_show, true},
    {"sim run", "NAME", sim_run, "Runs simulated devices, called NAME.MODEL.1 and so on.",
     "plant --devices chiller-01=100 --devices pump.json=5 --for 10m", cli_sim_run, false},
    {"sim remove", "NAME", NULL, "Removes the devices of a simulation.", "plant", cli_sim_remove,
     false},
    {"sim follow", "", sim_follow,
     "Runs the simulations that are kept in the hub, and starts and stops them as they say.",
     "--runner lab", cli_sim_follow, false},

    {"query", "QUERY", NULL, "Runs a query over devices or modules.",
     "\"SELECT * FROM devices WHERE tags.site = 'north'\"", cli_query, false},

    {"edge set-modules", "DEVICE FILE", NULL,
     "Gives an edge device the modules of a deployment manifest.", "edge1 deployment.json",
     cli_edge_set_modules, false},
    {"edge patch-modules", "DEVICE FILE", NULL,
     "Changes what is named of an edge device's modules; null removes.", "edge1 new-image.json",
     cli_edge_patch_modules, false},

    {"deployment list", "", NULL, "Lists the deployments of edge devices.", "", cli_deployment_list,
     false},
    {"deployment show", "ID", NULL, "Shows a deployment.", "base", cli_configuration_show, false},
    {"deployment create", "ID FILE", configuration_write,
     "Deploys modules to every edge device whose twin meets a condition.",
     "base deployment.json --target \"tags.site = 'north'\" --priority 10", cli_deployment_create,
     false},
    {"deployment update", "ID", configuration_write,
     "Changes a deployment's condition, priority, labels or metrics.", "base --priority 20",
     cli_configuration_update, false},
    {"deployment patch", "ID FILE", NULL,
     "Changes what is named of a deployment, of its modules too; null removes.",
     "base new-image.json", cli_configuration_patch, false},
    {"deployment explain", "TARGET", NULL,
     "Shows which deployments are for a device, which gives it its modules, and why.", "edge1",
     cli_configuration_explain, false},
    {"deployment remove", "ID", NULL, "Removes a deployment; modules stay until another comes.",
     "base", cli_configuration_remove, false},

    {"configuration list", "", NULL, "Lists the configurations of devices and modules.", "",
     cli_configuration_list, false},
    {"configuration show", "ID", NULL, "Shows a configuration.", "cold", cli_configuration_show,
     false},
    {"configuration create", "ID FILE", configuration_write,
     "Sets desired properties of every device or module whose twin meets a condition.",
     "cold chiller.json --target \"tags.site = 'north'\" --priority 10", cli_configuration_create,
     false},
    {"configuration update", "ID", configuration_write,
     "Changes a configuration's condition, priority, labels or metrics.",
     "cold --target \"tags.site IN ['north', 'east']\"", cli_configuration_update, false},
    {"configuration patch", "ID FILE", NULL,
     "Changes what is named of a configuration, of its content too; null removes.",
     "cold warmer.json", cli_configuration_patch, false},
    {"configuration explain", "TARGET", NULL,
     "Shows which configurations are for a device or module, which give it something, and why.",
     "sensor1", cli_configuration_explain, false},
    {"configuration remove", "ID", NULL, "Removes a configuration and what it has set.", "cold",
     cli_configuration_remove, false},

    {"series list", "", NULL, "Lists time series: what has sent something, and from when to when.",
     "", cli_series_list, false},
    {"series show", "SERIES", series_show,
     "Shows what a device has sent, by time; SERIES is a device's id, or a list of texts as JSON.",
     "truck1 --property speed --interval PT1M --output csv", cli_series_show, false},
    {"series remove", "SERIES", NULL, "Forgets what a device has sent.", "truck1",
     cli_series_remove, false},

    {"group list", "", NULL, "Lists the groups of devices that rules are for.", "", cli_group_list,
     false},
    {"group show", "GROUP", NULL, "Shows a group of devices.", "north", cli_group_show, false},
    {"group set", "GROUP FILE", NULL,
     "Makes a group of devices what a file says: {\"DisplayName\", \"Conditions\"}.",
     "north north.json", cli_group_set, false},
    {"group remove", "GROUP", NULL, "Removes a group of devices that no rule is for.", "north",
     cli_group_remove, false},

    {"rule list", "", rule_list, "Lists the rules that find alarms in telemetry.", "",
     cli_rule_list, false},
    {"rule show", "RULE", NULL, "Shows a rule, with its conditions and actions.",
     "pressure --output json", cli_rule_show, false},
    {"rule set", "RULE FILE", NULL,
     "Makes a rule what a file says; with an ETag in it only if the rule is still that.",
     "pressure pressure.json", cli_rule_set, false},
    {"rule enable", "RULE", NULL, "Lets a rule find alarms again.", "pressure", cli_rule_enable,
     false},
    {"rule disable", "RULE", NULL, "Lets a rule find nothing for now.", "pressure",
     cli_rule_disable, false},
    {"rule remove", "RULE", NULL, "Removes a rule; its alarms stay.", "pressure", cli_rule_remove,
     false},

    {"alarm list", "", alarm_list, "Lists alarms, the newest first.",
     "--status open --severity Critical --from NOW-PT1H", cli_alarm_list, false},
    {"alarm show", "ALARM", NULL, "Shows an alarm, and what became of its actions.",
     "019b76daabfeff33b0d8900ab205", cli_alarm_show, false},
    {"alarm acknowledge", "ALARM", NULL, "Says that somebody looks after an alarm.",
     "019b76daabfeff33b0d8900ab205", cli_alarm_acknowledge, false},
    {"alarm close", "ALARM", NULL, "Says that an alarm is dealt with.",
     "019b76daabfeff33b0d8900ab205", cli_alarm_close, false},
    {"alarm remove", "ALARM", NULL, "Forgets an alarm.", "019b76daabfeff33b0d8900ab205",
     cli_alarm_remove, false},

    {"job update-twins", "ID", job_twins,
     "Merges into tags and desired properties of all that a query selects.",
     "winter --where \"tags.site = 'north'\" --desired '{\"heat\": true}' --wait",
     cli_job_update_twins, false},
    {"job call-method", "ID NAME", job_method, "Calls a direct method of all that a query selects.",
     "tonight reboot --where \"tags.site = 'north'\" --start 2030-01-31T02:00:00Z",
     cli_job_call_method, false},
    {"job list", "", job_list, "Lists jobs.", "--status running", cli_job_list, false},
    {"job show", "ID", NULL, "Shows a job and how far it is.", "winter", cli_job_show, false},
    {"job devices", "ID", job_devices, "Shows what became of each device of a job.",
     "winter --status failed", cli_job_devices, false},
    {"job cancel", "ID", NULL, "Cancels a job: who has not had its turn is left alone.", "tonight",
     cli_job_cancel, false},

    {"route list", "", NULL, "Lists the hub's routes.", "", cli_route_list, false},
    {"route add", "ROUTE", route_write, "Adds a route, which is in force at once.",
     "hot --condition '$body.temperature > 30' --endpoint alarms", cli_route_add, false},
    {"route update", "ROUTE", route_write, "Changes what is given of a route.",
     "hot --enabled false", cli_route_update, false},
    {"route remove", "ROUTE", NULL, "Removes a route.", "hot", cli_route_remove, false},
    {"route explain", "BODY", route_trial,
     "Shows which routes would take a message, and why the others would not.",
     "'{\"temperature\": 21}' --property level=high", cli_route_explain, false},
    {"route test", "CONDITION BODY", route_trial,
     "Says what a route's condition comes to: true, false or undefined.",
     "'$body.temperature > 30' '{\"temperature\": 31}'", cli_route_test, false},

    {"endpoint list", "", NULL, "Lists custom endpoints of routes with their health.", "",
     cli_endpoint_list, false},
    {"endpoint show", "ENDPOINT", NULL, "Shows a custom endpoint.", "alarms", cli_endpoint_show,
     false},
    {"endpoint dead-letters", "ENDPOINT", NULL,
     "Shows what an endpoint has refused, or has not taken in its time.", "alarms --output jsonl",
     cli_endpoint_dead_letters, false},

    {"endpoint add", "ENDPOINT TO", endpoint_add,
     "Adds a custom endpoint: a URL, a connection string, or the name of a container.",
     "alarms https://app.example/alarms --type webhook", cli_endpoint_add, false},
    {"endpoint remove", "ENDPOINT", NULL, "Removes a custom endpoint that no route leads to.",
     "alarms", cli_endpoint_remove, false},

    {"enrichment list", "", NULL, "Lists what the hub stamps on events.", "", cli_enrichment_list,
     false},
    {"enrichment add", "KEY VALUE", enrichment_add, "Stamps a property on events.",
     "site '$twin.tags.site' --endpoint alarms", cli_enrichment_add, false},
    {"enrichment remove", "KEY", NULL, "Stamps it no more.", "site", cli_enrichment_remove, false},

    {"hub show", "", NULL, "Shows the hub as Azure Resource Manager describes one.",
     "--output json", cli_hub_show, false},

    {"policy list", "", NULL, "Lists the hub's shared access policies with their keys.", "",
     cli_policy_list, false},
    {"policy add", "POLICY", policy_add, "Adds a policy, with keys that are made.",
     "dashboard --right RegistryRead --right ServiceConnect", cli_policy_add, false},
    {"policy sas", "", sas, "Prints a token of the login's policy, for programs such as curl.",
     "--duration 86400", cli_policy_sas, false},
    {"policy renew-key", "POLICY", policy_renew_key,
     "Makes a key anew; who came by the old one is closed.", "dashboard --key secondary",
     cli_policy_renew_key, false},
    {"policy remove", "POLICY", NULL, "Removes a policy; who came by it is closed.", "dashboard",
     cli_policy_remove, false},

    {"consumer-group list", "", NULL, "Lists the consumer groups of the event stream.", "",
     cli_consumer_group_list, false},
    {"consumer-group add", "GROUP", NULL, "Adds a consumer group.", "dashboard",
     cli_consumer_group_add, false},
    {"consumer-group remove", "GROUP", NULL, "Removes a consumer group; its readers are told.",
     "dashboard", cli_consumer_group_remove, false},

    {"ip-rule list", "", NULL, "Lists from where clients may come, in the order that counts.", "",
     cli_ip_rule_list, false},
    {"ip-rule add", "RULE ADDRESS", rule_add, "Adds a rule behind the others.",
     "plant 203.0.113.0/24", cli_ip_rule_add, false},
    {"ip-rule remove", "RULE", NULL, "Removes a rule.", "plant", cli_ip_rule_remove, false},

    {"certificate list", "", NULL, "Lists the hub's CA certificates.", "", cli_certificate_list,
     false},
    {"certificate add", "NAME FILE", certificate_add,
     "Registers a CA, and prints the code that its key must sign.", "factory ca.pem",
     cli_certificate_add, false},
    {"certificate verify", "NAME FILE", NULL,
     "Proves possession, by a certificate whose common name is the code.", "factory proof.pem",
     cli_certificate_verify, false},
    {"certificate remove", "NAME", NULL, "Removes a CA; its devices connect no more.", "factory",
     cli_certificate_remove, false},

    {"completion", "bash|zsh", NULL,
     "Prints completion for a shell: source <(skerry completion bash)", "bash", cli_completion,
     true},
    {"reference", "", NULL, "Prints this reference.", "", cli_reference, true},
    {0}};

const struct sk_program cli_program = {
    .name = "skerry",
    .title = "manage an IoT hub, its devices and edge deployments",
    .notes = "TARGET is DEVICE or DEVICE/MODULE.",
    .example =
        "skerry device add sensor1 && skerry twin update sensor1 --desired '{\"interval\": 5}'",
    .commands = commands,
    .everywhere = everywhere};
