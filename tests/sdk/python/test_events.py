"""azure-eventhub, whose AMQP is its own ("pyamqp"), and uamqp's receiver as older versions and az use it."""

import datetime
import threading
import time
import unittest

from support import CA, CONNECTION_STRING, EVENTS_CONNECTION_STRING, HOST, create_device, device_string, unique

import uamqp
from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient, TransportType
from azure.iot.device import IoTHubDeviceClient, Message


def send(count):
    """A device that has sent messages with bodies 0, 1, …"""
    device = create_device()
    with open(CA, encoding="ascii") as file:
        client = IoTHubDeviceClient.create_from_connection_string(
            device_string(device), server_verification_cert=file.read())
    for i in range(count):
        message = Message(str(i))
        message.custom_properties["n"] = str(i)
        client.send_message(message)
    client.shutdown()
    return device.device_id


def now():
    """A moment before this one, as a starting position."""
    return datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=1)


def receive(device_id, count, transport=TransportType.Amqp, **more):
    """Bodies of a device's events, from the beginning."""
    client = EventHubConsumerClient.from_connection_string(
        EVENTS_CONNECTION_STRING, consumer_group="$Default", connection_verify=CA, transport_type=transport)
    got, done = [], threading.Event()

    def on_event(context, event):
        if event and event.system_properties.get(b"iothub-connection-device-id") == device_id.encode():
            got.append((context, event))
            if len(got) == count:
                done.set()

    more = {"starting_position": "-1", **more}
    thread = threading.Thread(target=client.receive, kwargs={"on_event": on_event, **more}, daemon=True)
    thread.start()
    assert done.wait(30), f"{len(got)} events of {count}"
    client.close()
    thread.join(10)
    return got


class Consumer(unittest.TestCase):
    def test_events_come_in_order_with_what_iot_hub_writes(self):
        device_id = send(5)
        got = receive(device_id, 5)
        self.assertEqual([e.body_as_str() for _, e in got], list("01234"))
        event = got[0][1]
        self.assertEqual(event.properties, {b"n": b"0"})
        self.assertEqual(event.partition_key, device_id.encode())
        self.assertEqual(event.system_properties[b"iothub-message-source"], b"Telemetry")
        self.assertIsNotNone(event.enqueued_time)

    def test_over_web_sockets_too(self):
        # Not from the beginning: over WebSockets this client waits a second for each partition that has nothing more, and gives out
        # one event a turn, so what other tests have left in one partition may take it longer than receive() waits.
        after = now()
        device_id = send(1)
        self.assertEqual(len(receive(device_id, 1, TransportType.AmqpOverWebsocket, starting_position=after)), 1)

    def test_how_far_behind_it_is_is_told_when_it_asks(self):
        device_id = send(2)
        context, _ = receive(device_id, 2, track_last_enqueued_event_properties=True)[0]
        self.assertGreaterEqual(context.last_enqueued_event_properties["sequence_number"], 1)

    def test_it_begins_where_it_is_told(self):
        after = now()
        device_id = send(1)
        self.assertEqual(len(receive(device_id, 1, starting_position=after)), 1)

    def test_the_stream_and_its_partitions_are_described(self):
        client = EventHubConsumerClient.from_connection_string(
            EVENTS_CONNECTION_STRING, consumer_group="$Default", connection_verify=CA)
        with client:
            self.assertEqual(client.get_partition_ids(), ["0", "1", "2", "3"])
            self.assertIn("last_enqueued_offset", client.get_partition_properties("0"))


class Producer(unittest.TestCase):
    def test_batches_are_taken_where_the_hub_allows_it(self):
        client = EventHubProducerClient.from_connection_string(EVENTS_CONNECTION_STRING, connection_verify=CA)
        with client:
            batch = client.create_batch(partition_id="1")
            for i in range(3):
                batch.add(EventData(f"produced {i}"))
            client.send_batch(batch)


class Uamqp(unittest.TestCase):
    def receive(self, selector):
        parts = dict(part.split("=", 1) for part in CONNECTION_STRING.split(";"))
        entity = EVENTS_CONNECTION_STRING.rsplit("=", 1)[1]
        got = []
        for partition in range(4):
            source = uamqp.address.Source(f"amqps://{HOST}/{entity}/ConsumerGroups/$Default/Partitions/{partition}")
            source.set_filter(selector.encode())
            auth = uamqp.authentication.SASTokenAuth.from_shared_access_key(
                f"sb://{HOST}/{entity}", parts["SharedAccessKeyName"], parts["SharedAccessKey"], verify=CA)
            client = uamqp.ReceiveClient(source, auth=auth, timeout=1000, prefetch=100)
            got += [b"".join(m.get_data()) for m in client.receive_message_batch(100, timeout=1000)]
            client.close()
        return got

    def test_events_from_a_time_as_az_monitor_events_asks(self):
        began = int(time.time() * 1000) - 1
        body = unique("uamqp")
        device = create_device()
        with open(CA, encoding="ascii") as file:
            client = IoTHubDeviceClient.create_from_connection_string(
                device_string(device), server_verification_cert=file.read())
        client.send_message(body)
        client.shutdown()
        got = self.receive(f"amqp.annotation.x-opt-enqueuedtimeutc > '{began}'")
        self.assertIn(body.encode(), got)
        late = int(time.time() * 1000) + 60000
        self.assertEqual(self.receive(f"amqp.annotation.x-opt-enqueuedtimeutc > '{late}'"), [])


if __name__ == "__main__":
    unittest.main()
