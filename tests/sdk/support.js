'use strict';
// What the tests share: clients made from the environment that ./run sets, and promises over the SDKs' callbacks.

const fs = require('fs');
const path = require('path');
const { Registry, Client: ServiceClient } = require('azure-iothub');
const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const connectionString = process.env.HUB_CS;
const host = /HostName=([^;]+)/.exec(connectionString)[1];
const registry = Registry.fromConnectionString(connectionString);
const service = ServiceClient.fromConnectionString(connectionString);

let serial = 0;
const uniqueId = (prefix) => `${prefix}-${process.pid}-${++serial}`;

const body = async (promise) => (await promise).responseBody;

async function createDevice(extra = {}) {
  return body(registry.create({ deviceId: uniqueId('device'), ...extra }));
}

function deviceString(device, gateway) {
  const key = device.authentication.symmetricKey.primaryKey;
  return `HostName=${host};DeviceId=${device.deviceId};SharedAccessKey=${key}` + (gateway ? `;GatewayHostName=${gateway}` : '');
}

// A connected, unmodified device client.
async function connect(device, { gateway, ca = process.env.HUB_CA, transport = Mqtt } = {}) {
  const client = Client.fromConnectionString(deviceString(device, gateway), transport);
  await client.setOptions({ ca: fs.readFileSync(ca, 'utf8') });
  await client.open();
  return client;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Asks until the answer is there.
async function until(what, ask, seconds = 20) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await pause(100)) {
    const answer = await ask();
    if (answer) return answer;
  }
  throw new Error(`waited in vain for ${what}`);
}

// Stored events of a device, from the first on.
async function events(deviceId, count, seconds = 20) {
  const { execFile } = require('child_process');
  return new Promise((resolve, reject) => {
    execFile(`${process.env.BIN}/skerry`,
      ['events', 'watch', '--from', 'earliest', '--device', deviceId, '--count', String(count), '--output', 'jsonl'],
      { timeout: seconds * 1000 },
      (error, stdout) => {
        const lines = stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line));
        if (lines.length < count) reject(error || new Error(`${lines.length} events of ${count}`));
        else resolve(lines);
      });
  });
}

const report = (twin, patch) => new Promise((resolve, reject) =>
  twin.properties.reported.update(patch, (error) => (error ? reject(error) : resolve())));

// ---- the edge ----

const edgeId = 'edge-sdk';
const gateway = { gateway: process.env.EDGE_HOST, ca: path.join(process.env.EDGE_DATA, 'certificates', 'edge-ca.pem') };
const leafUp = { leafUp: 'FROM /messages/* WHERE NOT IS_DEFINED($connectionModuleId) INTO $upstream' };

function deployment(modules, routes, twins = {}) {
  const system = { type: 'process', settings: { command: ['skerry-edge'] } };
  const content = {
    $edgeAgent: { 'properties.desired': { schemaVersion: '1.1', runtime: { type: 'docker', settings: {} },
      systemModules: { edgeAgent: system, edgeHub: { ...system, status: 'running', restartPolicy: 'always' } }, modules } },
    $edgeHub: { 'properties.desired': { schemaVersion: '1.1', routes } },
  };
  for (const [name, desired] of Object.entries(twins)) content[name] = { 'properties.desired': desired };
  return { modulesContent: content };
}

// A device below the edge.
async function leaf() {
  const edge = await body(registry.get(edgeId));
  return createDevice({ deviceScope: edge.deviceScope });
}

module.exports = {
  body, connect, connectionString, createDevice, deployment, deviceString, edgeId, events, gateway, host, leaf, leafUp, pause, registry, report,
  service, uniqueId, until,
};
