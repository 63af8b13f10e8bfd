"""azure-mgmt-iothub: the hub as a resource of Azure Resource Manager, with a signature for a bearer token."""

import os
import time
import unittest
from datetime import datetime, timedelta, timezone

from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.iot.device import IoTHubDeviceClient, Message
from azure.iot.hub import IoTHubRegistryManager
from azure.mgmt.iothub import IotHubClient
from azure.mgmt.iothub.models import (
    EnrichmentProperties,
    EventHubConsumerGroupBodyDescription,
    EventHubConsumerGroupName,
    IpFilterRule,
    RouteProperties,
    RoutingEventHubProperties,
    RoutingMessage,
    RoutingStorageContainerProperties,
    SharedAccessSignatureAuthorizationRule,
    TestAllRoutesInput,
    TestRouteInput,
)
from azure.storage.blob import BlobServiceClient, generate_container_sas
from support import CA, CONNECTION_STRING, HOST, create_device, device_string, token, unique, until

FILE = os.path.join(os.path.dirname(CA), "hub.toml")
OWNER = dict(part.split("=", 1) for part in CONNECTION_STRING.split(";"))


class Signature:
    """What azure-identity would be: its bearer token is a shared access signature of the owner's policy."""

    def get_token(self, *scopes, **options):
        text = token(HOST, OWNER["SharedAccessKey"], OWNER["SharedAccessKeyName"])
        return AccessToken(text, int(time.time()) + 3600)


client = IotHubClient(Signature(), "s-1", base_url=f"https://{HOST}", credential_scopes=["hub"])
hubs = client.iot_hub_resource
NAME = next(hubs.list_by_subscription()).name


def hub():
    return hubs.get("g", NAME)


def put(description):
    """As az does it: with the etag of what was read."""
    return hubs.begin_create_or_update("g", NAME, description, if_match=description.etag).result()


def file_text():
    with open(FILE, encoding="utf-8") as file:
        return file.read()


def comments():
    return [line for line in file_text().splitlines() if line.startswith("#")]


def works(policy):
    try:
        IoTHubRegistryManager(
            f"HostName={HOST};SharedAccessKeyName={policy.key_name};SharedAccessKey={policy.primary_key}"
        ).get_devices(1)
        return True
    except Exception:  # the service client tells no other kind
        return False


class Manage(unittest.TestCase):
    def setUp(self):
        self.comments = comments()
        self.assertGreater(len(self.comments), 3)

    def tearDown(self):
        self.assertEqual(comments(), self.comments)

    def test_what_was_read_is_written_back_to_the_byte(self):
        before = file_text()
        put(hub())
        self.assertEqual(file_text(), before)

    def test_a_policy_is_made_used_given_other_keys_and_removed(self):
        name = unique("policy")
        description = hub()
        description.properties.authorization_policies = list(hubs.list_keys("g", NAME)) + [
            SharedAccessSignatureAuthorizationRule(key_name=name, rights="RegistryRead, ServiceConnect")
        ]
        put(description)
        made = hubs.get_keys_for_key_name("g", NAME, name)
        self.assertTrue(works(made))
        self.assertIn(f'name = "{name}"', file_text())
        description = hub()
        description.properties.authorization_policies = list(hubs.list_keys("g", NAME))
        for policy in description.properties.authorization_policies:
            if policy.key_name == name:
                policy.primary_key = made.secondary_key
                policy.secondary_key = "A" * 43 + "="
        put(description)
        self.assertFalse(works(made))
        self.assertTrue(works(hubs.get_keys_for_key_name("g", NAME, name)))
        description = hub()
        description.properties.authorization_policies = [
            policy for policy in hubs.list_keys("g", NAME) if policy.key_name != name
        ]
        put(description)
        with self.assertRaises(ResourceNotFoundError):
            hubs.get_keys_for_key_name("g", NAME, name)

    def test_consumer_groups_come_and_go(self):
        name = unique("group")[:50]
        body = EventHubConsumerGroupBodyDescription(properties=EventHubConsumerGroupName(name=name))
        self.assertEqual(hubs.create_event_hub_consumer_group("g", NAME, "events", name, body).name, name)
        names = [group.name for group in hubs.list_event_hub_consumer_groups("g", NAME, "events")]
        self.assertIn(name, names)
        hubs.delete_event_hub_consumer_group("g", NAME, "events", name)
        with self.assertRaises(ResourceNotFoundError):
            hubs.get_event_hub_consumer_group("g", NAME, "events", name)

    def test_routes_lead_to_new_endpoints(self):
        device = create_device()
        description = hub()
        routing = description.properties.routing
        routing.endpoints.storage_containers = [
            RoutingStorageContainerProperties(
                name="py-files", connection_string="", container_name="py-files", encoding="JSON",
                batch_frequency_in_seconds=60, max_chunk_size_in_bytes=10485760)
        ]
        routing.endpoints.event_hubs = [
            RoutingEventHubProperties(
                name="py-far",
                connection_string="Endpoint=sb://192.0.2.1/;SharedAccessKeyName=n;SharedAccessKey=c2VjcmV0;EntityPath=e")
        ]
        routing.routes = [
            RouteProperties(name="py-hot", source="DeviceMessages", condition="hot = 'yes'",
                            endpoint_names=["py-files"], is_enabled=True),
            RouteProperties(name="py-far", source="TwinChangeEvents", condition="false",
                            endpoint_names=["py-far"], is_enabled=True),
        ]
        routing.enrichments = [EnrichmentProperties(key="site", value="north", endpoint_names=["events"])]
        shown = put(description).properties.routing
        self.assertEqual(shown.routes[0].endpoint_names, ["py-files"])
        self.assertIn("SharedAccessKey=****", shown.endpoints.event_hubs[0].connection_string)
        matched = hubs.test_all_routes(
            NAME, "g", TestAllRoutesInput(routing_source="DeviceMessages",
                                          message=RoutingMessage(app_properties={"hot": "yes"})))
        self.assertEqual([route.properties.name for route in matched.routes], ["py-hot"])
        self.assertEqual(
            hubs.test_route(NAME, "g", TestRouteInput(
                message=RoutingMessage(app_properties={"hot": "no"}), route=routing.routes[0])).result, "false")
        with open(CA, encoding="utf-8") as file:
            sender = IoTHubDeviceClient.create_from_connection_string(
                device_string(device), server_verification_cert=file.read())
        message = Message("{}")
        message.custom_properties["hot"] = "yes"
        sender.send_message(message)
        sender.shutdown()
        health = {item.endpoint_id for item in hubs.get_endpoint_health("g", NAME)}
        self.assertEqual(health, {"py-files", "py-far"})
        description = hub()
        self.assertEqual(put(description).etag, description.etag)  # secrets that were masked are still there
        self.assertIn("c2VjcmV0", file_text())
        description.properties.routing.routes = []
        description.properties.routing.enrichments = []
        description.properties.routing.endpoints.storage_containers = []
        description.properties.routing.endpoints.event_hubs = []
        put(description)
        self.assertEqual(list(hubs.get_endpoint_health("g", NAME)), [])

    def test_rules_say_from_where_clients_come(self):
        description = hub()
        description.properties.ip_filter_rules = [
            IpFilterRule(filter_name="lab", action="Reject", ip_mask="192.0.2.0/24")
        ]
        self.assertEqual(put(description).properties.ip_filter_rules[0].ip_mask, "192.0.2.0/24")
        description = hub()
        description.properties.ip_filter_rules = []
        put(description)

    def test_settings_and_tags(self):
        description = hub()
        description.properties.cloud_to_device.max_delivery_count = 12
        self.assertEqual(put(description).properties.cloud_to_device.max_delivery_count, 12)
        self.assertEqual(hubs.begin_update("g", NAME, {"tags": {"site": "north"}}).result().tags, {"site": "north"})
        description = hub()
        description.properties.cloud_to_device.max_delivery_count = 10
        description.tags = {}
        put(description)

    def test_whoever_has_seen_an_older_version_is_refused(self):
        older, newer = hub(), hub()
        newer.tags = {"a": "b"}
        put(newer)
        older.tags = {"a": "c"}
        with self.assertRaises(HttpResponseError) as refused:
            put(older)
        self.assertEqual(refused.exception.status_code, 412)
        newer = hub()
        newer.tags = {}
        put(newer)

    def test_what_a_hub_has_not_is_refused_by_name(self):
        description = hub()
        description.properties.disable_local_auth = True
        with self.assertRaises(HttpResponseError) as refused:
            put(description)
        self.assertIn("disableLocalAuth", refused.exception.message)

    def test_certificates(self):
        with open(CA, encoding="utf-8") as file:
            text = file.read()
        name = unique("ca")
        made = client.certificates.create_or_update("g", NAME, name, {"properties": {"certificate": text}})
        self.assertFalse(made.properties.is_verified)
        self.assertGreater(made.properties.expiry.year, 2030)
        code = client.certificates.generate_verification_code("g", NAME, name, made.etag or "*")
        self.assertEqual(len(code.properties.verification_code), 48)
        self.assertIn(name, [c.name for c in client.certificates.list_by_iot_hub("g", NAME).value])
        client.certificates.delete("g", NAME, name, "*")

    def test_identities_are_exported(self):
        device = create_device()
        account, key = OWNER["SharedAccessKeyName"], OWNER["SharedAccessKey"]
        blobs = BlobServiceClient(f"https://{HOST}/{account}", credential={"account_name": account, "account_key": key},
                                  connection_verify=CA)
        name = unique("export")
        blobs.create_container(name)
        signature = generate_container_sas(account, name, account_key=key, permission="rwdl",
                                           expiry=datetime.now(timezone.utc) + timedelta(hours=1))
        job = hubs.export_devices("g", NAME, {
            "exportBlobContainerUri": f"https://{HOST}/{account}/{name}?{signature}", "excludeKeys": True})
        until("the export's end", lambda: hubs.get_job("g", NAME, job.job_id).status == "completed")
        self.assertIn(job.job_id, [item.job_id for item in hubs.list_jobs("g", NAME)])
        text = blobs.get_blob_client(name, "devices.txt").download_blob().readall().decode()
        self.assertIn(device.device_id, text)
        self.assertNotIn(device.authentication.symmetric_key.primary_key, text)

    def test_numbers(self):
        create_device()
        self.assertGreater(hubs.get_stats("g", NAME).total_device_count, 0)
        self.assertIn("TotalDeviceCount", [item.name for item in hubs.get_quota_metrics("g", NAME)])
        self.assertIn("S1", [item.sku.name for item in hubs.get_valid_skus("g", NAME)])
        self.assertFalse(hubs.check_name_availability({"name": NAME}).name_available)


if __name__ == "__main__":
    unittest.main()
