'use strict';
// Many devices at once: configurations, jobs, queries and bulk operations, as service programs ask for them.
const test = require('node:test');
const assert = require('node:assert');
const { JobClient } = require('azure-iothub');
const { body, connect, connectionString, createDevice, registry, uniqueId, until } = require('./support');

const jobs = JobClient.fromConnectionString(connectionString);
const job = (id) => new Promise((resolve, reject) => jobs.getJob(id, (error, found) => (error ? reject(error) : resolve(found))));
const ended = (id) => until(`the end of job ${id}`, async () => {
  const found = await job(id);
  return ['completed', 'failed', 'cancelled'].includes(found.status) && found;
});
const rows = async (query) => {
  const found = [];
  // As a promise, next() begins anew unless it is told where it was.
  for (const pages = registry.createQuery(query, 2); pages.hasMoreResults;) found.push(...(await pages.next(pages.continuationToken)).result);
  return found;
};
const twin = (device) => body(registry.getTwin(device));

test('a configuration reaches the devices whose twins meet its condition, and leaves with it', async () => {
  const site = uniqueId('site');
  const device = await createDevice();
  const client = await connect(device);
  const heard = [];
  (await new Promise((resolve, reject) => client.getTwin((error, found) => (error ? reject(error) : resolve(found)))))
    .on('properties.desired.chiller', (chiller) => heard.push(chiller));
  await registry.updateTwin(device.deviceId, { tags: { site } }, '*');
  const id = uniqueId('configuration');
  const made = await body(registry.addConfiguration({ id, priority: 10, targetCondition: `tags.site = '${site}'`,
    content: { deviceContent: { 'properties.desired.chiller': { temp: 70 } } } }));
  assert.strictEqual(made.id, id);
  await until('the device to hear of it', () => heard.some((chiller) => chiller.temp === 70));
  const counted = await until('the counts', async () => {
    const found = await body(registry.getConfiguration(id));
    return found.systemMetrics.results.appliedCount === 1 && found;
  });
  assert.strictEqual(counted.systemMetrics.results.targetedCount, 1);
  assert.deepStrictEqual((await twin(device.deviceId)).configurations[id], { status: 'Applied' });
  counted.priority = 20;
  await registry.updateConfiguration(counted);
  await registry.removeConfiguration(id);
  await until('its end', async () => (await twin(device.deviceId)).properties.desired.chiller === undefined);
  await client.close();
});

test('a deployment brings modules to edge devices', async () => {
  const edge = await createDevice({ capabilities: { iotEdge: true } });
  const id = uniqueId('deployment');
  await registry.addConfiguration({ id, priority: 1, targetCondition: `deviceId = '${edge.deviceId}'`, content: { modulesContent: {
    $edgeAgent: { 'properties.desired': { schemaVersion: '1.1', modules: {} } },
    $edgeHub: { 'properties.desired': { schemaVersion: '1.1', routes: {} } },
    worker: { 'properties.desired': { speed: 3 } } } } });
  const worker = await until('the module', () => body(registry.getModuleTwin(edge.deviceId, 'worker')).catch(() => false));
  assert.ok(worker);
  await until('its properties', async () => (await body(registry.getModuleTwin(edge.deviceId, 'worker'))).properties.desired.speed === 3);
  await registry.removeConfiguration(id);
});

test('jobs update twins and call methods, and tell what became of each device', async () => {
  const device = await createDevice();
  const client = await connect(device);
  const calls = [];
  client.onDeviceMethod('react', (request, response) => {
    calls.push(request.payload);
    response.send(200, { fine: true });
  });
  const condition = `deviceId = '${device.deviceId}'`, update = uniqueId('job'), call = uniqueId('job');
  await jobs.scheduleTwinUpdate(update, condition, { etag: '*', tags: { seen: true } }, new Date(), 60);
  assert.strictEqual((await ended(update)).deviceJobStatistics.succeededCount, 1);
  assert.strictEqual((await twin(device.deviceId)).tags.seen, true);
  await jobs.scheduleDeviceMethod(call, condition, { methodName: 'react', payload: [1], responseTimeoutInSeconds: 10 }, new Date(), 60);
  assert.strictEqual((await ended(call)).status, 'completed');
  assert.deepStrictEqual(calls, [[1]]);
  const [row] = await rows(`SELECT * FROM devices.jobs WHERE devices.jobs.jobId = '${call}'`);
  assert.deepStrictEqual(row.outcome.deviceMethodResponse, { status: 200, payload: { fine: true } });
  const later = uniqueId('job');
  await jobs.scheduleTwinUpdate(later, condition, { etag: '*', tags: { late: true } }, new Date(Date.now() + 3600000), 60);
  await jobs.cancelJob(later);
  assert.strictEqual((await job(later)).status, 'cancelled');
  await client.close();
});

test('identities are written in bulk, and queries project and group them', async () => {
  const group = uniqueId('group');
  const devices = [1, 2, 3].map((n) => ({ deviceId: `${group}-${n}`, status: n === 3 ? 'disabled' : 'enabled' }));
  const result = await body(registry.addDevices(devices));
  assert.deepStrictEqual([result.isSuccessful, result.errors], [true, []]);
  for (const { deviceId } of devices) await registry.updateTwin(deviceId, { tags: { group } }, '*');
  const found = await rows(`SELECT status AS status, COUNT() AS n FROM devices WHERE tags.group = '${group}' GROUP BY status`);
  assert.deepStrictEqual(found, [{ status: 'enabled', n: 2 }, { status: 'disabled', n: 1 }]);
  assert.strictEqual((await rows(`SELECT deviceId FROM devices WHERE tags.group = '${group}'`)).length, 3);
  assert.strictEqual((await body(registry.removeDevices(devices, true))).isSuccessful, true);
});
