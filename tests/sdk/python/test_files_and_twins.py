"""Files and digital twins with azure-iot-device, azure-storage-blob and azure-iot-hub, unmodified."""
import os
import unittest

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.iot.device import IoTHubDeviceClient
from azure.iot.hub import DigitalTwinClient
from azure.storage.blob import BlobClient, BlobServiceClient

import support


class Files(unittest.TestCase):
    def test_a_device_uploads_a_file_that_a_service_reads(self):
        device = support.create_device()
        with open(support.CA, encoding="utf-8") as file:
            ca = file.read()
        client = IoTHubDeviceClient.create_from_connection_string(support.device_string(device), server_verification_cert=ca)
        client.connect()
        info = client.get_storage_info_for_blob("logs/today.txt")
        url = "https://{hostName}/{containerName}/{blobName}{sasToken}".format(**info)
        content = os.urandom(5 * 1024 * 1024 + 7)
        with BlobClient.from_blob_url(url, max_block_size=1024 * 1024, max_single_put_size=1024 * 1024, connection_verify=support.CA) as blob:
            blob.upload_blob(content, overwrite=True)
            with self.assertRaises(ResourceExistsError):
                blob.upload_blob(b"other")
        client.notify_blob_upload_status(info["correlationId"], True, 200, "OK")
        client.disconnect()
        parts = dict(part.split("=", 1) for part in support.CONNECTION_STRING.split(";"))
        policy, key = parts["SharedAccessKeyName"], parts["SharedAccessKey"]
        service = BlobServiceClient(f"https://{support.HOST}/{policy}", credential={"account_name": policy, "account_key": key},
                                    connection_verify=support.CA)
        container = service.get_container_client("uploads")
        name = f"{device.device_id}/logs/today.txt"
        self.assertEqual(container.download_blob(name).readall(), content)
        self.assertEqual([blob.name for blob in container.list_blobs(name_starts_with=device.device_id + "/")], [name])
        container.delete_blob(name)
        with self.assertRaises(ResourceNotFoundError):
            container.get_blob_client(name).get_blob_properties()


class DigitalTwins(unittest.TestCase):
    def test_a_digital_twin_is_read_and_patched(self):
        device = support.create_device()
        twins = DigitalTwinClient.from_connection_string(support.CONNECTION_STRING)
        twins.update_digital_twin(device.device_id, [{"op": "add", "path": "/thermostat1/targetTemperature", "value": 42}])
        twin = twins.get_digital_twin(device.device_id)
        self.assertEqual(twin["$dtId"], device.device_id)
        self.assertEqual(twin["thermostat1"]["$metadata"]["targetTemperature"]["desiredValue"], 42)
        with self.assertRaises(Exception):
            twins.invoke_command(device.device_id, "reboot", 3)


if __name__ == "__main__":
    unittest.main()
