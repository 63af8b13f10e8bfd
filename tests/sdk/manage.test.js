'use strict';
// @azure/arm-iothub: the hub as a resource of Azure Resource Manager, changed while services and devices are connected.
const { test } = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { IotHubClient } = require('@azure/arm-iothub');
const { Registry, Client: ServiceClient } = require('azure-iothub');
const { SharedAccessSignature, ConnectionString } = require('azure-iot-common');
const { Message } = require('azure-iot-device');
const { connect, connectionString, createDevice, events } = require('./support');

const owner = ConnectionString.parse(connectionString);
const file = path.join(path.dirname(process.env.HUB_CA), 'hub.toml');
const signature = {
  async getToken() {
    const end = Math.floor(Date.now() / 1000) + 3600;
    const token = SharedAccessSignature.create(owner.HostName, owner.SharedAccessKeyName, owner.SharedAccessKey, end);
    return { token: token.toString(), expiresOnTimestamp: end * 1000 };
  },
};
const hubs = new IotHubClient(signature, 's-1', { endpoint: `https://${owner.HostName}`, credentialScopes: ['hub'] }).iotHubResource;

async function read() {
  for await (const hub of hubs.listBySubscription()) return hub;
}

// As az does it: read, changed, put back with the etag.
async function change(edit) {
  const hub = await read();
  await edit(hub);
  return hubs.beginCreateOrUpdateAndWait('g', hub.name, hub, { ifMatch: hub.etag });
}

async function keys(name) {
  const list = [];
  for await (const policy of hubs.listKeys('g', name)) list.push(policy);
  return list;
}

const textOf = (policy) => `HostName=${owner.HostName};SharedAccessKeyName=${policy.keyName};SharedAccessKey=${policy.primaryKey}`;
const comments = () => fs.readFileSync(file, 'utf8').split('\n').filter((line) => line.startsWith('#')).join('\n');

test('a policy that is made opens, and who came by a key that is taken back is closed', async () => {
  const before = comments();
  const name = (await read()).name;
  const mine = `node-${Date.now()}`;
  await change(async (hub) => {
    hub.properties.authorizationPolicies = [...await keys(name), { keyName: mine, rights: 'RegistryRead, ServiceConnect' }];
  });
  const made = await hubs.getKeysForKeyName('g', name, mine);
  await Registry.fromConnectionString(textOf(made)).list();
  const service = ServiceClient.fromConnectionString(textOf(made));
  const device = await createDevice();
  await service.open();
  await service.send(device.deviceId, 'before');
  await change(async (hub) => {
    hub.properties.authorizationPolicies = (await keys(name)).filter((policy) => policy.keyName !== mine);
  });
  await assert.rejects(service.send(device.deviceId, 'after'));
  await assert.rejects(Registry.fromConnectionString(textOf(made)).list());
  await service.close().catch(() => {});
  assert.equal(comments(), before);
});

test('a route, its enrichment and a consumer group are in force with the answer', async () => {
  const name = (await read()).name;
  const site = `site-${Date.now()}`;
  await change((hub) => {
    hub.properties.routing.routes = [
      { name: 'node-all', source: 'DeviceMessages', condition: 'true', endpointNames: ['events'], isEnabled: true },
    ];
    hub.properties.routing.enrichments = [{ key: 'site', value: site, endpointNames: ['events'] }];
  });
  await hubs.createEventHubConsumerGroup('g', name, 'events', 'node-group', { name: 'node-group' });
  const groups = [];
  for await (const group of hubs.listEventHubConsumerGroups('g', name, 'events')) groups.push(group.name);
  assert.ok(groups.includes('node-group'));
  const device = await createDevice();
  const client = await connect(device);
  await client.sendEvent(new Message('{}'));
  await client.close();
  const [event] = await events(device.deviceId, 1);
  assert.equal(event.properties.site, site);
  const taken = await hubs.testAllRoutes(name, 'g', { routingSource: 'DeviceMessages', message: { body: '{}' } });
  assert.deepEqual(taken.routes.map((route) => route.properties.name), ['node-all']);
  await change((hub) => {
    hub.properties.routing.routes = [];
    hub.properties.routing.enrichments = [];
  });
  await hubs.deleteEventHubConsumerGroup('g', name, 'events', 'node-group');
  await assert.rejects(hubs.getEventHubConsumerGroup('g', name, 'events', 'node-group'), { statusCode: 404 });
});

test('what cannot be is refused with its name, and what somebody has changed meanwhile is not undone', async () => {
  await assert.rejects(change((hub) => { hub.properties.disableLocalAuth = true; }), /disableLocalAuth/);
  const older = await read();
  await change((hub) => { hub.tags = { by: 'node' }; });
  await assert.rejects(hubs.beginCreateOrUpdateAndWait('g', older.name, older, { ifMatch: older.etag }), { statusCode: 412 });
  await change((hub) => { hub.tags = {}; });
});
