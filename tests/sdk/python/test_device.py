"""azure-iot-device, over MQTT and over WebSockets, with azure-iot-hub on the other side."""

import tempfile
import threading
import unittest

from support import CA, HOST, certificate, create_device, device_string, events, key_of, registry, until, unique

from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient, Message, MethodResponse, X509
from azure.iot.hub.models import CloudToDeviceMethod, Twin, TwinProperties


class Device:
    """An SDK client that collects what it is told."""

    def __init__(self, client):
        self.client, self.messages, self.patches = client, [], []
        client.on_message_received = self.messages.append
        client.on_twin_desired_properties_patch_received = self.patches.append
        client.on_method_request_received = self.answer
        client.connect()

    def answer(self, request):
        response = MethodResponse.create_from_method_request(request, 207, {"echo": request.payload})
        threading.Thread(target=self.client.send_method_response, args=(response,)).start()


class DeviceTests:
    websockets = False

    def options(self, **more):
        with open(CA, encoding="ascii") as file:
            return {"server_verification_cert": file.read(), "websockets": self.websockets, **more}

    def connect(self, device, **more):
        one = Device(IoTHubDeviceClient.create_from_connection_string(device_string(device), **self.options(**more)))
        self.addCleanup(one.client.shutdown)
        return one

    def test_telemetry_and_its_properties_are_stored(self):
        device = create_device()
        one = self.connect(device)
        message = Message('{"t":21.5}', message_id="m-1", content_encoding="utf-8", content_type="application/json")
        message.correlation_id = "c-1"
        message.custom_properties["a b"] = "ü/%&="
        one.client.send_message(message)
        (stored,) = events(device.device_id, 1)
        self.assertEqual(stored["body"], {"t": 21.5})
        self.assertEqual(stored["properties"], {"a b": "ü/%&="})
        text = str(stored)
        for value in ("m-1", "c-1", "application/json", "utf-8"):
            self.assertIn(value, text)

    def test_twins_go_both_ways(self):
        device = create_device()
        one = self.connect(device)
        self.assertEqual(one.client.get_twin()["desired"], {"$version": 1})
        one.client.patch_twin_reported_properties({"r": 21.1, "n": 2**52 - 1, "deep": {"a": None, "b": "x"}})
        twin = registry.get_twin(device.device_id)
        self.assertEqual(twin.properties.reported["r"], 21.1)
        self.assertEqual(twin.properties.reported["n"], 2**52 - 1)
        self.assertEqual(twin.properties.reported["deep"], {"b": "x"})
        registry.update_twin(device.device_id, Twin(properties=TwinProperties(desired={"x": 21.1})), twin.etag)
        (patch,) = until("the patch", lambda: one.patches)
        self.assertEqual(patch, {"x": 21.1, "$version": 2})

    def test_methods_are_answered_or_time_out(self):
        device = create_device()
        self.connect(device)
        call = CloudToDeviceMethod(method_name="reset", payload={"p": 1}, response_timeout_in_seconds=10)
        result = registry.invoke_device_method(device.device_id, call)
        self.assertEqual((result.status, result.payload), (207, {"echo": {"p": 1}}))
        with self.assertRaises(Exception):
            registry.invoke_device_method(create_device().device_id, call)

    def test_a_cloud_to_device_message_sent_over_uamqp_comes_and_completes(self):
        device = create_device()
        registry.send_c2d_message(device.device_id, "before", {"messageId": "c-1"})
        one = self.connect(device)
        registry.send_c2d_message(device.device_id, "after", {"prop": "val"})
        until("both", lambda: len(one.messages) == 2)
        self.assertEqual([m.data for m in one.messages], [b"before", b"after"])
        self.assertEqual(one.messages[0].message_id, "c-1")
        self.assertEqual(one.messages[1].custom_properties, {"prop": "val"})

    def test_it_comes_back_after_a_disconnect_and_keeps_its_order(self):
        device = create_device()
        one = self.connect(device)
        one.client.send_message("1")
        one.client.disconnect()
        one.client.connect()
        one.client.send_message("2")
        self.assertEqual([str(e["body"]) for e in events(device.device_id, 2)], ["1", "2"])

    def test_its_token_is_renewed_while_it_is_connected(self):
        device = create_device()
        one = self.connect(device, sastoken_ttl=121)  # the SDK renews two minutes before the end
        one.client.send_message("before")
        import time

        time.sleep(3)
        one.client.send_message("after")
        self.assertEqual(len(events(device.device_id, 2)), 2)

    def test_a_certificate_by_thumbprint_is_enough(self):
        with tempfile.TemporaryDirectory() as directory:
            name = unique("x509")
            pem, key, thumbprint = certificate(name, directory)
            registry.create_device_with_x509(name, thumbprint, thumbprint, "enabled")
            client = IoTHubDeviceClient.create_from_x509_certificate(
                X509(pem, key), HOST, name, **self.options())
            one = Device(client)
            self.addCleanup(client.shutdown)
            one.client.send_message("proved")
            self.assertEqual(len(events(name, 1)), 1)

    def test_a_module_has_all_of_it_too(self):
        device = create_device()
        module = registry.create_module_with_sas(device.device_id, "m", "", "", "")
        text = device_string(device).replace(key_of(device), key_of(module)) + ";ModuleId=m"
        one = Device(IoTHubModuleClient.create_from_connection_string(text, **self.options()))
        self.addCleanup(one.client.shutdown)
        one.client.send_message("hello")
        one.client.patch_twin_reported_properties({"up": True})
        self.assertTrue(registry.get_module_twin(device.device_id, "m").properties.reported["up"])
        call = CloudToDeviceMethod(method_name="ping", payload=None, response_timeout_in_seconds=10)
        self.assertEqual(registry.invoke_device_module_method(device.device_id, "m", call).status, 207)

    def test_a_wrong_key_is_refused(self):
        device, other = create_device(), create_device()
        text = device_string(device).replace(key_of(device), key_of(other))
        client = IoTHubDeviceClient.create_from_connection_string(text, **self.options(connection_retry=False))
        self.addCleanup(client.shutdown)
        with self.assertRaises(Exception):
            client.connect()


class Mqtt(DeviceTests, unittest.TestCase):
    pass


class MqttWebSockets(DeviceTests, unittest.TestCase):
    websockets = True


if __name__ == "__main__":
    unittest.main()
