"""azure-iot-hub: the registry, twins and queries over HTTPS."""

import unittest

from support import create_device, registry, unique

from azure.iot.hub.models import QuerySpecification, Twin


class Registry(unittest.TestCase):
    def test_devices_are_made_changed_listed_and_removed(self):
        device = create_device()
        read = registry.get_device(device.device_id)
        self.assertEqual(read.etag, device.etag)
        registry.update_device_with_sas(device.device_id, read.etag, "a" * 44, "b" * 44, "disabled")
        self.assertEqual(registry.get_device(device.device_id).status, "disabled")
        self.assertIn(device.device_id, [d.device_id for d in registry.get_devices(1000)])
        registry.delete_device(device.device_id)
        with self.assertRaises(Exception):
            registry.get_device(device.device_id)

    def test_a_certificate_authority_device_has_no_keys(self):
        name = unique("ca")
        device = registry.create_device_with_certificate_authority(name, "enabled")
        self.assertEqual(device.authentication.type, "certificateAuthority")

    def test_modules_belong_to_their_device(self):
        device = create_device()
        registry.create_module_with_sas(device.device_id, "m", "", "", "")
        self.assertEqual([m.module_id for m in registry.get_modules(device.device_id)], ["m"])
        registry.delete_module(device.device_id, "m")
        self.assertEqual(registry.get_modules(device.device_id), [])

    def test_tags_can_be_asked_for(self):
        device, place = create_device(), unique("place")
        registry.update_twin(device.device_id, Twin(tags={"place": place}))
        found = registry.query_iot_hub(QuerySpecification(query=f"SELECT * FROM devices WHERE tags.place = '{place}'"))
        self.assertEqual([item.device_id for item in found.items], [device.device_id])

    def test_statistics_count(self):
        create_device()
        self.assertGreater(registry.get_device_registry_statistics().total_device_count, 0)


if __name__ == "__main__":
    unittest.main()
