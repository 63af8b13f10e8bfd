"""Devices without an SDK: by paho, and by a client of sixty lines as small devices have it."""

import json
import queue
import socket
import ssl
import struct
import unittest

from support import CA, HOST, certificate, create_device, events, key_of, registry, token, unique, until

import paho.mqtt.client as mqtt
from azure.iot.hub.models import CloudToDeviceMethod, Twin, TwinProperties

API = "api-version=2021-04-12"
DEVICEBOUND = "devices/{}/messages/devicebound/#"
METHODS = "$iothub/methods/POST/#"


def password_of(device, seconds=3600):
    return token(f"{HOST}/devices/{device.device_id}", key_of(device), seconds=seconds)


class Paho(unittest.TestCase):
    def client(self, device, clean=True, transport="tcp", password=None):
        """Connected, with `heard`: a queue of what comes."""
        client = mqtt.Client(device.device_id, clean_session=clean, protocol=mqtt.MQTTv311, transport=transport)
        client.heard, client.codes, client.ends = queue.Queue(), queue.Queue(), queue.Queue()
        client.on_message = lambda _, __, message: client.heard.put(message)
        client.on_connect = lambda _, __, flags, code: client.codes.put((code, flags["session present"]))
        client.on_disconnect = lambda _, __, code: client.ends.put(code)
        client.on_subscribe = lambda _, __, ___, granted: client.codes.put(granted)
        client.username_pw_set(f"{HOST}/{device.device_id}/?{API}", password or password_of(device))
        client.tls_set(CA)
        if transport == "websockets":
            client.ws_set_options(path="/$iothub/websocket")
        client.connect(HOST, 443 if transport == "websockets" else 8883, keepalive=30)
        client.loop_start()
        self.addCleanup(client.loop_stop)
        self.addCleanup(client.disconnect)
        client.connected = client.codes.get(timeout=20)
        return client

    def subscribed(self, client, *filters):
        for one in filters:
            client.subscribe(one, 1)
            self.assertEqual(client.codes.get(timeout=20), (1,), one)

    def test_telemetry_of_either_quality_is_stored_in_order(self):
        device = create_device()
        for transport in ("tcp", "websockets"):
            client = self.client(device, transport=transport)
            for i in range(6):
                client.publish(f"devices/{device.device_id}/messages/events/n={i}&%24.ct=application%2Fjson&%24.ce=utf-8",
                               json.dumps({"i": i}), qos=i % 2).wait_for_publish(20)
            client.disconnect()
            client.ends.get(timeout=20)
        stored = events(device.device_id, 12)
        self.assertEqual([e["body"]["i"] for e in stored], list(range(6)) * 2)
        self.assertEqual([e["properties"]["n"] for e in stored], [str(i) for i in range(6)] * 2)

    def test_a_twin_is_read_written_and_watched(self):
        device = create_device()
        client = self.client(device)
        self.subscribed(client, "$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#")
        client.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", '{"t":21.1,"big":4503599627370495}', qos=0)
        self.assertRegex(client.heard.get(timeout=20).topic, r"^\$iothub/twin/res/204/\?\$rid=1&\$version=2$")
        client.publish("$iothub/twin/GET/?$rid=2", "", qos=0)
        answer = client.heard.get(timeout=20)
        self.assertEqual(answer.topic, "$iothub/twin/res/200/?$rid=2")
        self.assertIn(b'"t":21.1', answer.payload)
        self.assertIn(b'"big":4503599627370495', answer.payload)
        registry.update_twin(device.device_id, Twin(properties=TwinProperties(desired={"wanted": {"x": None, "y": 1}})), "*")
        patch = client.heard.get(timeout=20)
        self.assertEqual(patch.topic, "$iothub/twin/PATCH/properties/desired/?$version=2")
        self.assertEqual(json.loads(patch.payload)["wanted"]["y"], 1)
        client.publish("$iothub/twin/PATCH/properties/reported/?$rid=3", "no json", qos=0)
        self.assertRegex(client.heard.get(timeout=20).topic, r"^\$iothub/twin/res/400/\?\$rid=3")

    def test_a_method_is_answered(self):
        device = create_device()
        client = self.client(device)
        self.subscribed(client, METHODS)

        def answer(_, __, message):
            rid = message.topic.split("$rid=")[1]
            client.publish(f"$iothub/methods/res/418/?$rid={rid}", json.dumps({"heard": json.loads(message.payload)}))

        client.on_message = answer
        result = registry.invoke_device_method(device.device_id, CloudToDeviceMethod(
            method_name="boil", payload={"n": 21.1}, response_timeout_in_seconds=20, connect_timeout_in_seconds=20))
        self.assertEqual((result.status, result.payload), (418, {"heard": {"n": 21.1}}))

    def test_messages_wait_for_a_session_that_is_kept(self):
        device = create_device()
        client = self.client(device, clean=False)
        self.assertEqual(client.connected, (0, False))
        self.subscribed(client, DEVICEBOUND.format(device.device_id))
        client.disconnect()
        client.ends.get(timeout=20)
        registry.send_c2d_message(device.device_id, "while away", {"a": "b c", "ack": "full"})
        client = self.client(device, clean=False)  # and does not subscribe again
        self.assertEqual(client.connected, (0, True))
        message = client.heard.get(timeout=20)
        self.assertEqual(message.payload, b"while away")
        self.assertIn("a=b%20c", message.topic)
        until("an empty queue", lambda: registry.get_device(device.device_id).cloud_to_device_message_count == 0)

    def test_a_will_is_telemetry_when_a_client_goes_without_a_word(self):
        device = create_device()
        client = mqtt.Client(device.device_id, protocol=mqtt.MQTTv311)
        client.username_pw_set(f"{HOST}/{device.device_id}/?{API}", password_of(device))
        client.tls_set(CA)
        client.will_set(f"devices/{device.device_id}/messages/events/", b"gone", qos=1)
        client.connect(HOST, 8883)
        client.loop_start()
        until("a connection", client.is_connected)
        client.loop_stop()
        client.socket().shutdown(socket.SHUT_RDWR)
        self.assertEqual([e["body"] for e in events(device.device_id, 1)], ["gone"])

    def test_a_token_ends_and_a_new_one_goes_on(self):
        """Five minutes of grace are in every token: this one has used them up but for a few seconds."""
        device = create_device()
        client = self.client(device, password=password_of(device, seconds=-297))
        self.assertEqual(client.connected[0], 0)
        self.assertNotEqual(client.ends.get(timeout=30), 0)
        client.loop_stop()
        client = self.client(device)
        client.publish(f"devices/{device.device_id}/messages/events/", "again", qos=1).wait_for_publish(20)
        self.assertEqual([e["body"] for e in events(device.device_id, 1)], ["again"])

    def test_a_certificate_instead_of_a_password(self):
        import tempfile

        name = unique("x509")
        with tempfile.TemporaryDirectory() as directory:
            pem, key, thumbprint = certificate(name, directory)
            registry.create_device_with_x509(name, thumbprint, thumbprint, "enabled")
            client = mqtt.Client(name, protocol=mqtt.MQTTv311)
            client.username_pw_set(f"{HOST}/{name}/?{API}")
            client.tls_set(CA, pem, key)
            client.connect(HOST, 8883)
            client.loop_start()
            self.addCleanup(client.loop_stop)
            client.publish(f"devices/{name}/messages/events/", "signed", qos=1).wait_for_publish(20)
        self.assertEqual([e["body"] for e in events(name, 1)], ["signed"])

    def test_a_module_has_its_own_topics(self):
        device, module = create_device(), "m1"
        made = registry.create_module_with_sas(device.device_id, module, "", "", "")
        client = mqtt.Client(f"{device.device_id}/{module}", protocol=mqtt.MQTTv311)
        client.username_pw_set(f"{HOST}/{device.device_id}/{module}/?{API}",
                               token(f"{HOST}/devices/{device.device_id}/modules/{module}", key_of(made)))
        client.tls_set(CA)
        client.connect(HOST, 8883)
        client.loop_start()
        self.addCleanup(client.loop_stop)
        client.publish(f"devices/{device.device_id}/modules/{module}/messages/events/", "of a module", qos=1).wait_for_publish(20)
        (event,) = events(device.device_id, 1)
        self.assertEqual((event["body"], event["moduleId"]), ("of a module", module))

    def test_who_is_not_known_or_claims_another_hears_why(self):
        device = create_device()
        self.assertEqual(self.client(device, password="wrong").connected[0], 5)
        client = self.client(device)
        client.publish("devices/somebody-else/messages/events/", "x", qos=1)
        client.ends.get(timeout=20)  # closed: what it may not do


class Minimal(unittest.TestCase):
    """Bytes as the Embedded C SDK, Arduino and FreeRTOS clients write them: `+` in each filter, one packet at a time, in pieces."""

    def setUp(self):
        self.device = create_device()
        context = ssl.create_default_context(cafile=CA)
        self.socket = context.wrap_socket(socket.create_connection((HOST, 8883)), server_hostname=HOST)
        self.socket.settimeout(20)
        self.addCleanup(self.socket.close)

    def text(self, text):
        data = text.encode()
        return struct.pack("!H", len(data)) + data

    def send(self, kind, body, piece=None):
        length, left = b"", len(body)
        while True:
            length += bytes([left % 128 | (128 if left > 127 else 0)])
            left //= 128
            if not left:
                break
        packet = bytes([kind]) + length + body
        for at in range(0, len(packet), piece or len(packet)):
            self.socket.sendall(packet[at:at + (piece or len(packet))])

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            self.assertTrue(more, "the hub has closed")
            data += more
        return data

    def receive(self):
        kind, shift, length = self.exactly(1)[0], 0, 0
        while True:
            byte = self.exactly(1)[0]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return kind, self.exactly(length)

    def receive_publish(self):
        kind, body = self.receive()
        self.assertEqual(kind >> 4, 3)
        (n,) = struct.unpack("!H", body[:2])
        qos = kind >> 1 & 3
        return body[2:2 + n].decode(), body[2 + n + (2 if qos else 0):], body[2 + n:4 + n] if qos else None

    def connect(self, piece=None):
        name = self.device.device_id
        self.send(0x10, self.text("MQTT") + bytes([4, 0xC2]) + struct.pack("!H", 240) + self.text(name) +
                  self.text(f"{HOST}/{name}/?{API}&DeviceClientType=c%2F1.5.0") + self.text(password_of(self.device)), piece)
        self.assertEqual(self.receive(), (0x20, b"\0\0"))

    def test_all_that_a_small_device_does(self):
        name = self.device.device_id
        self.connect()
        filters = ["devices/+/messages/devicebound/#", METHODS, "$iothub/twin/res/#",
                   "$iothub/twin/PATCH/properties/desired/#"]
        self.send(0x82, b"\0\1" + b"".join(self.text(f) + b"\1" for f in filters))
        self.assertEqual(self.receive(), (0x90, b"\0\1\1\1\1\1"))
        self.send(0x32, self.text(f"devices/{name}/messages/events/") + b"\0\2" + b'{"t":21.1}')
        self.assertEqual(self.receive(), (0x40, b"\0\2"))
        self.send(0x30, self.text("$iothub/twin/GET/?$rid=get") + b"")
        topic, payload, _ = self.receive_publish()
        self.assertEqual(topic, "$iothub/twin/res/200/?$rid=get")
        self.assertEqual(json.loads(payload), {"desired": {"$version": 1}, "reported": {"$version": 1}})
        registry.send_c2d_message(name, "for you")
        topic, payload, packet = self.receive_publish()
        self.assertTrue(topic.startswith(f"devices/{name}/messages/devicebound/"))
        self.assertEqual(payload, b"for you")
        self.send(0x40, packet)
        until("an empty queue", lambda: registry.get_device(name).cloud_to_device_message_count == 0)
        self.send(0xC0, b"")
        self.assertEqual(self.receive(), (0xD0, b""))
        self.send(0xE0, b"")
        self.assertEqual(self.socket.recv(1), b"")
        self.assertEqual(events(name, 1)[0]["body"], {"t": 21.1})

    def test_bytes_that_come_one_by_one(self):
        self.connect(piece=1)
        self.send(0x32, self.text(f"devices/{self.device.device_id}/messages/events/") + b"\0\7" + b"slow", piece=1)
        self.assertEqual(self.receive(), (0x40, b"\0\7"))

    def test_two_packets_at_once_and_a_packet_id_used_again(self):
        self.connect()
        topic = self.text(f"devices/{self.device.device_id}/messages/events/")
        for _ in range(3):
            self.send(0x32, topic + b"\0\1" + b"same id")
        self.assertEqual([self.receive() for _ in range(3)], [(0x40, b"\0\1")] * 3)
        self.assertEqual(len(events(self.device.device_id, 3)), 3)
