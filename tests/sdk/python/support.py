"""What the Python tests share: the hub that ./run started, devices on it, and waiting."""

import base64
import hashlib
import hmac
import os
import subprocess
import time
import urllib.parse
import uuid

CONNECTION_STRING = os.environ["HUB_CS"]
EVENTS_CONNECTION_STRING = os.environ["EVENTS_CS"]
CA = os.environ["HUB_CA"]
HOST = dict(part.split("=", 1) for part in CONNECTION_STRING.split(";"))["HostName"]
os.environ["REQUESTS_CA_BUNDLE"] = CA  # the service client's HTTP
os.environ["SSL_CERT_FILE"] = CA  # and its AMQP

from azure.iot.hub import IoTHubRegistryManager  # noqa: E402  (reads the environment)

registry = IoTHubRegistryManager(CONNECTION_STRING)


def unique(prefix):
    return f"{prefix}-py-{uuid.uuid4().hex[:10]}"


def create_device():
    return registry.create_device_with_sas(unique("device"), "", "", "enabled")


def key_of(identity):
    return identity.authentication.symmetric_key.primary_key


def device_string(device):
    return f"HostName={HOST};DeviceId={device.device_id};SharedAccessKey={key_of(device)}"


def token(resource, key, policy=None, seconds=3600):
    """A shared access signature; `resource` as "host/devices/d"."""
    quoted = urllib.parse.quote(resource, safe="")
    expiry = int(time.time()) + seconds
    digest = hmac.new(base64.b64decode(key), f"{quoted}\n{expiry}".encode(), hashlib.sha256).digest()
    text = f"SharedAccessSignature sr={quoted}&sig={urllib.parse.quote(base64.b64encode(digest))}&se={expiry}"
    return text + (f"&skn={policy}" if policy else "")


def until(what, ask, seconds=20):
    """Asks until the answer is there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"waited in vain for {what}")


def events(device_id, count, seconds=20):
    """The first stored events of a device, by our own command line."""
    import json

    done = subprocess.run(
        [os.environ["BIN"] + "/skerry", "events", "watch", "--from", "earliest", "--device", device_id,
         "--count", str(count), "--output", "jsonl"],
        env={**os.environ, "SKERRY_CONNECTION_STRING": CONNECTION_STRING, "SKERRY_CA_FILE": CA},
        capture_output=True, text=True, timeout=seconds, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line]


def certificate(name, directory):
    """A self-signed client certificate: its file, its key's, and its SHA-1 thumbprint."""
    pem, key = f"{directory}/{name}.pem", f"{directory}/{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", pem, "-subj", f"/CN={name}", "-days", "30"], check=True, capture_output=True)
    printed = subprocess.run(["openssl", "x509", "-in", pem, "-noout", "-fingerprint", "-sha1"], check=True,
                             capture_output=True, text=True).stdout
    return pem, key, printed.split("=")[1].strip().replace(":", "")
