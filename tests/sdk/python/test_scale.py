"""azure-iot-hub: many devices at once. Configurations, jobs, queries and bulk operations."""

import datetime
import unittest

from support import CONNECTION_STRING, create_device, registry, unique, until

from azure.iot.hub import IoTHubConfigurationManager, IoTHubJobManager
from azure.iot.hub.models import (Configuration, ConfigurationContent, ConfigurationMetrics, ExportImportDevice,
                                  JobRequest, QuerySpecification, Twin)

configurations = IoTHubConfigurationManager(CONNECTION_STRING)
jobs = IoTHubJobManager(CONNECTION_STRING)


def ask(query, **paging):
    return registry.query_iot_hub(QuerySpecification(query=query), **paging)


def sites(count):
    """So many devices with a tag of their own."""
    site, devices = unique("site"), [create_device().device_id for _ in range(count)]
    for number, device in enumerate(devices):
        registry.update_twin(device, Twin(tags={"site": site, "number": number}))
    return site, devices


def ended(job_id):
    def look():
        job = jobs.get_scheduled_job(job_id)
        return job if job.status in ("completed", "failed", "cancelled") else None

    return until(f"the end of job {job_id}", look)


class Scale(unittest.TestCase):
    def test_a_configuration_reaches_whom_it_targets_and_leaves_with_it(self):
        site, (device,) = sites(1)
        name = unique("configuration")
        configurations.create_configuration(Configuration(
            id=name, schema_version="1.0", priority=5, target_condition=f"tags.site = '{site}'",
            content=ConfigurationContent(device_content={"properties.desired.chiller": {"temp": 70}}),
            metrics=ConfigurationMetrics(queries={"all": f"SELECT deviceId FROM devices WHERE tags.site = '{site}'"})))
        desired = lambda: registry.get_twin(device).properties.desired.get("chiller")  # noqa: E731
        until("the device to get it", lambda: desired() == {"temp": 70})
        counted = until("the counts", lambda: configurations.get_configuration(name).metrics.results)
        self.assertEqual(counted, {"all": 1})
        made = configurations.get_configuration(name)
        made.priority = 7
        configurations.update_configuration(made, made.etag)
        self.assertIn(name, [one.id for one in configurations.get_configurations(20)])
        configurations.delete_configuration(name)
        until("its end", lambda: desired() is None)

    def test_a_job_changes_the_twins_that_a_condition_selects(self):
        site, devices = sites(3)
        name = unique("job")
        jobs.create_scheduled_job(name, JobRequest(
            job_id=name, type="scheduleUpdateTwin", query_condition=f"tags.site = '{site}' AND tags.number > 0",
            update_twin=Twin(etag="*", tags={"seen": True}), max_execution_time_in_seconds=60,
            start_time=datetime.datetime.now(datetime.timezone.utc)))
        done = ended(name)
        self.assertEqual((done.status, done.device_job_statistics.succeeded_count), ("completed", 2))
        self.assertEqual([registry.get_twin(d).tags.get("seen") for d in devices], [None, True, True])
        rows = ask(f"SELECT * FROM devices.jobs WHERE devices.jobs.jobId = '{name}'").items
        self.assertEqual(len(rows), 2)

    def test_a_job_that_waits_can_be_cancelled(self):
        name = unique("job")
        jobs.create_scheduled_job(name, JobRequest(
            job_id=name, type="scheduleUpdateTwin", query_condition="deviceId = 'nobody'", update_twin=Twin(etag="*"),
            start_time=datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)))
        jobs.cancel_scheduled_job(name)
        self.assertEqual(jobs.get_scheduled_job(name).status, "cancelled")

    def test_pages_follow_one_another(self):
        site, devices = sites(5)
        query, found, token = f"SELECT * FROM devices WHERE tags.site = '{site}'", [], None
        while True:
            page = ask(query, continuation_token=token, max_item_count=2)
            self.assertLessEqual(len(page.items), 2)
            found += [twin.device_id for twin in page.items]
            token = page.continuation_token
            if not token:
                break
        self.assertEqual(sorted(found), sorted(devices))

    def test_many_devices_are_made_and_removed_by_one_call(self):
        names = [unique("bulk") for _ in range(50)]
        entries = [ExportImportDevice(id=name, import_mode="create", status="enabled") for name in names]
        self.assertTrue(registry.bulk_create_or_update_devices(entries).is_successful)
        self.assertEqual(registry.get_device(names[7]).status, "enabled")
        for entry in entries:
            entry.import_mode = "delete"
        self.assertTrue(registry.bulk_create_or_update_devices(entries).is_successful)
        with self.assertRaises(Exception):
            registry.get_device(names[7])


if __name__ == "__main__":
    unittest.main()
