/* The metrics of Azure IoT Hub under its names, with '_' for each dot, and "_total" where a number
 * never falls. */
#include "hub/parts.h"

static uint64_t sum(const uint64_t *of) {
    uint64_t all = 0;
    for (size_t i = 0; i < SK_THROTTLE_COUNT; i++) all += of[i];
    return all;
}

void hub_measure(struct sk_hub *hub, struct sk_hub_counts *counts) {
    const struct sk_quota_counts *quota = sk_quota_counts(hub->backend.quota);
    counts->ingress_total = counts->telemetry_total + counts->telemetry_refused_total +
                            quota->refused[SK_THROTTLE_D2C];
    counts->throttled_total = sum(quota->refused);
    counts->throttled_telemetry_total = quota->refused[SK_THROTTLE_D2C];
    counts->messages_today = sk_quota_today(hub->backend.quota).messages;
    counts->connected_devices = sk_directory_counts(&hub->backend).devices;
}

static const struct sk_hub_metric metrics[] = {
    {.name = "skerry_hub_throttled_total",
     .help = "Requests and connections refused by the rates of a tier.",
     SK_HUB_COUNT(throttled_total)},
    {.name = "d2c_telemetry_ingress_allProtocol_total", .help = "Telemetry that was sent.", SK_HUB_COUNT(ingress_total), .azure = "d2c.telemetry.ingress.allProtocol"},
    {.name = "d2c_telemetry_ingress_success_total", .help = "Telemetry that was taken.", SK_HUB_COUNT(telemetry_total), .azure = "d2c.telemetry.ingress.success"},
    {.name = "d2c_telemetry_ingress_sendThrottle_total", .help = "Telemetry that was refused by the rate of a tier.", SK_HUB_COUNT(throttled_telemetry_total), .azure = "d2c.telemetry.ingress.sendThrottle"},
    {.name = "d2c_telemetry_egress_dropped_total", .help = "Telemetry that no route and no fallback took.", SK_HUB_COUNT(dropped_total), .azure = "d2c.telemetry.egress.dropped"},
    {.name = "c2d_commands_egress_complete_success_total", .help = "Cloud-to-device messages that devices completed.", SK_HUB_COUNT(c2d_ended_total[SK_C2D_COMPLETED]), .azure = "c2d.commands.egress.complete.success"},
    {.name = "c2d_commands_egress_abandon_success_total", .help = "Deliveries that devices abandoned.", SK_HUB_COUNT(c2d_abandoned_total), .azure = "c2d.commands.egress.abandon.success"},
    {.name = "c2d_commands_egress_reject_success_total", .help = "Cloud-to-device messages that devices rejected.", SK_HUB_COUNT(c2d_ended_total[SK_C2D_REJECTED]), .azure = "c2d.commands.egress.reject.success"},
    {.name = "C2DMessagesExpired_total", .help = "Cloud-to-device messages that expired.", SK_HUB_COUNT(c2d_ended_total[SK_C2D_EXPIRED]), .azure = "C2DMessagesExpired"},
    {.name = "c2d_methods_success_total", .help = "Direct methods that went well.", SK_HUB_COUNT(asked[SK_OP_METHOD_INVOKE][0]), .azure = "c2d.methods.success"},
    {.name = "c2d_methods_failure_total", .help = "Direct methods that failed or were refused.", SK_HUB_COUNT(asked[SK_OP_METHOD_INVOKE][1]), .azure = "c2d.methods.failure"},
    {.name = "c2d_twin_read_success_total", .help = "Reads of twins by services that went well.", SK_HUB_COUNT(asked[SK_OP_TWIN_READ][0]), .azure = "c2d.twin.read.success"},
    {.name = "c2d_twin_read_failure_total", .help = "Reads of twins by services that failed or were refused.", SK_HUB_COUNT(asked[SK_OP_TWIN_READ][1]), .azure = "c2d.twin.read.failure"},
    {.name = "c2d_twin_update_success_total", .help = "Changes of twins by services that went well.", SK_HUB_COUNT(asked[SK_OP_TWIN_UPDATE][0]), .azure = "c2d.twin.update.success"},
    {.name = "c2d_twin_update_failure_total", .help = "Changes of twins by services that failed or were refused.", SK_HUB_COUNT(asked[SK_OP_TWIN_UPDATE][1]), .azure = "c2d.twin.update.failure"},
    {.name = "d2c_twin_read_success_total", .help = "Reads of twins by devices that went well.", SK_HUB_COUNT(asked[SK_OP_TWIN_GET][0]), .azure = "d2c.twin.read.success"},
    {.name = "d2c_twin_read_failure_total", .help = "Reads of twins by devices that failed or were refused.", SK_HUB_COUNT(asked[SK_OP_TWIN_GET][1]), .azure = "d2c.twin.read.failure"},
    {.name = "d2c_twin_update_success_total", .help = "Changes of twins by devices that went well.", SK_HUB_COUNT(asked[SK_OP_TWIN_REPORT][0]), .azure = "d2c.twin.update.success"},
    {.name = "d2c_twin_update_failure_total", .help = "Changes of twins by devices that failed or were refused.", SK_HUB_COUNT(asked[SK_OP_TWIN_REPORT][1]), .azure = "d2c.twin.update.failure"},
    {.name = "twinQueries_success_total", .help = "Queries that went well.", SK_HUB_COUNT(asked[SK_OP_QUERY][0]), .azure = "twinQueries.success"},
    {.name = "twinQueries_failure_total", .help = "Queries that failed or were refused.", SK_HUB_COUNT(asked[SK_OP_QUERY][1]), .azure = "twinQueries.failure"},
    {.name = "jobs_cancelJob_success_total", .help = "Cancellations of jobs that went well.", SK_HUB_COUNT(asked[SK_OP_JOB_CANCEL][0]), .azure = "jobs.cancelJob.success"},
    {.name = "jobs_cancelJob_failure_total", .help = "Cancellations of jobs that failed or were refused.", SK_HUB_COUNT(asked[SK_OP_JOB_CANCEL][1]), .azure = "jobs.cancelJob.failure"},
    {.name = "jobs_listJobs_success_total", .help = "Lists of jobs that went well.", SK_HUB_COUNT(asked[SK_OP_JOB_LIST][0]), .azure = "jobs.listJobs.success"},
    {.name = "jobs_listJobs_failure_total", .help = "Lists of jobs that failed or were refused.", SK_HUB_COUNT(asked[SK_OP_JOB_LIST][1]), .azure = "jobs.listJobs.failure"},
    {.name = "jobs_completed_total", .help = "Jobs that ended well.", SK_HUB_COUNT(jobs_completed_total), .azure = "jobs.completed"},
    {.name = "jobs_failed_total", .help = "Jobs that failed.", SK_HUB_COUNT(jobs_failed_total), .azure = "jobs.failed"},
    {.name = "devices_totalDevices", .help = "Device identities.", SK_HUB_COUNT(devices), .azure = "devices.totalDevices"},
    {.name = "totalDeviceCount", .help = "Device identities.", SK_HUB_COUNT(devices), .azure = "totalDeviceCount"},
    {.name = "devices_connectedDevices_allProtocol", .help = "Devices that are connected.", SK_HUB_COUNT(connected_devices), .azure = "devices.connectedDevices.allProtocol"},
    {.name = "connectedDeviceCount", .help = "Devices that are connected.", SK_HUB_COUNT(connected_devices), .azure = "connectedDeviceCount"},
    {.name = "dailyMessageQuotaUsed", .help = "Messages of the day that count against the quota.", SK_HUB_COUNT(messages_today), .azure = "dailyMessageQuotaUsed"},
    {0}};

const struct sk_hub_part hub_part_measures = {.metrics = metrics};
