"""Devices that speak AMQP by two general libraries: uamqp (azure-uamqp-c, as the C SDK) and qpid-proton."""

import json
import unittest
import urllib.parse

from support import CA, HOST, create_device, events, key_of, registry, token, until

import uamqp
from proton import Message, SSLDomain
from proton.utils import BlockingConnection


def user_of(device):
    return f"{device.device_id}@sas.{HOST.split('.')[0] if not HOST[0].isdigit() else HOST}"


class Uamqp(unittest.TestCase):
    def auth(self, device):
        return uamqp.authentication.SASLPlain(
            HOST, user_of(device), token(f"{HOST}/devices/{device.device_id}", key_of(device)), verify=CA)

    def token_auth(self, device):
        """By $cbs, whose answers this library wants behind their dispositions."""
        uri = f"{HOST}/devices/{device.device_id}"
        return uamqp.authentication.SASTokenAuth(
            audience=uri, uri=f"amqps://{uri}", token=token(uri, key_of(device)), expires_in=None,
            expires_at=4102444800, verify=CA)

    def test_telemetry_by_sasl_plain_and_by_cbs(self):
        device = create_device()
        target = f"amqps://{HOST}/devices/{device.device_id}/messages/events"
        for auth, body in ((self.auth(device), "plain"), (self.token_auth(device), "cbs")):
            client = uamqp.SendClient(target, auth=auth)
            client.queue_message(uamqp.Message(body.encode()))
            states = client.send_all_messages()
            self.assertEqual(states, [uamqp.constants.MessageState.SendComplete])
        self.assertEqual([e["body"] for e in events(device.device_id, 2)], ["plain", "cbs"])

    def test_a_message_is_accepted_rejected_or_released(self):
        device = create_device()
        source = f"amqps://{HOST}/devices/{device.device_id}/messages/devicebound"
        for body, verdict in (("a", "accept"), ("b", "reject"), ("c", "release"), ("c", "accept")):
            if verdict != "accept" or body == "a":
                registry.send_c2d_message(device.device_id, body)
            client = uamqp.ReceiveClient(source, auth=self.auth(device), timeout=20000, auto_complete=False, prefetch=1)
            (message,) = client.receive_message_batch(1, timeout=20000)
            self.assertEqual(b"".join(message.get_data()).decode(), body)
            getattr(message, verdict)()
            client.close()
        until("an empty queue", lambda: registry.get_device(device.device_id).cloud_to_device_message_count == 0)


class Proton(unittest.TestCase):
    def connection(self, device):
        domain = SSLDomain(SSLDomain.MODE_CLIENT)
        domain.set_trusted_ca_db(CA)
        domain.set_peer_authentication(SSLDomain.VERIFY_PEER)
        connection = BlockingConnection(
            f"amqps://{HOST}:5671", ssl_domain=domain, timeout=20, allowed_mechs="PLAIN", user=user_of(device),
            password=token(f"{HOST}/devices/{device.device_id}", key_of(device)))
        self.addCleanup(connection.close)
        return connection

    def test_telemetry(self):
        device = create_device()
        sender = self.connection(device).create_sender(f"/devices/{device.device_id}/messages/events")
        for i in range(3):
            sender.send(Message(body=json.dumps({"i": i}).encode(), properties={"i": i}))
        self.assertEqual([e["properties"] for e in events(device.device_id, 3)], [{"i": "0"}, {"i": "1"}, {"i": "2"}])

    def test_a_message_is_accepted_rejected_or_released(self):
        device = create_device()
        address = f"/devices/{urllib.parse.quote(device.device_id)}/messages/devicebound"
        connection = self.connection(device)
        receiver = connection.create_receiver(address, credit=1)
        for body, verdict in (("a", "accept"), ("b", "reject"), ("c", "release"), ("c", "accept")):
            if verdict != "accept" or body == "a":
                registry.send_c2d_message(device.device_id, body)
            message = receiver.receive(timeout=20)
            self.assertEqual(bytes(message.body).decode(), body)
            getattr(receiver, verdict)()
        connection.close()  # Proton writes a verdict with the next call that waits: the last one with this
        until("an empty queue", lambda: registry.get_device(device.device_id).cloud_to_device_message_count == 0)


if __name__ == "__main__":
    unittest.main()
