'use strict';
// azure-iothub's Registry, unmodified.
const test = require('node:test');
const assert = require('node:assert');
const { Registry } = require('azure-iothub');
const { body, connectionString, createDevice, registry, uniqueId } = require('./support');

test('a device is created with two keys, read, listed, updated and deleted', async () => {
  const device = await createDevice();
  assert.strictEqual(Buffer.from(device.authentication.symmetricKey.primaryKey, 'base64').length, 32);
  assert.notStrictEqual(device.authentication.symmetricKey.primaryKey, device.authentication.symmetricKey.secondaryKey);
  assert.strictEqual((await body(registry.get(device.deviceId))).etag, device.etag);
  assert.ok((await body(registry.list())).some((one) => one.deviceId === device.deviceId));
  const updated = await body(registry.update({ ...device, status: 'disabled', statusReason: 'in repair' }));
  assert.strictEqual(updated.status, 'disabled');
  assert.strictEqual(updated.statusReason, 'in repair');
  assert.strictEqual(updated.generationId, device.generationId);
  await registry.delete(device.deviceId);
  await assert.rejects(registry.get(device.deviceId), { name: 'DeviceNotFoundError' });
});

test('a device that exists cannot be created again', async () => {
  const device = await createDevice();
  await assert.rejects(registry.create({ deviceId: device.deviceId }), { name: 'DeviceAlreadyExistsError' });
});

test('a bad id is an ArgumentError', async () => {
  await assert.rejects(registry.create({ deviceId: 'a b' }), { name: 'ArgumentError' });
  await assert.rejects(registry.create({ deviceId: 'x'.repeat(129) }), { name: 'ArgumentError' });
  assert.ok(await body(registry.create({ deviceId: uniqueId('y').padEnd(128, 'y') })));
});

test('a wrong key is an UnauthorizedError, a missing right as well', async () => {
  const wrong = Registry.fromConnectionString(connectionString.replace(/SharedAccessKey=.*/, 'SharedAccessKey=' + Buffer.alloc(32).toString('base64')));
  await assert.rejects(wrong.list(), { name: 'UnauthorizedError' });
});

test('modules live and die with their device', async () => {
  const device = await createDevice();
  await registry.addModule({ deviceId: device.deviceId, moduleId: 'one' });
  await registry.addModule({ deviceId: device.deviceId, moduleId: 'two' });
  const modules = await body(registry.getModulesOnDevice(device.deviceId));
  assert.deepStrictEqual(modules.map((m) => m.moduleId).sort(), ['one', 'two']);
  const one = await body(registry.getModule(device.deviceId, 'one'));
  assert.strictEqual(one.deviceId, device.deviceId);
  await registry.removeModule(device.deviceId, 'two');
  assert.strictEqual((await body(registry.getModulesOnDevice(device.deviceId))).length, 1);
  await registry.delete(device.deviceId);
  await assert.rejects(registry.getModule(device.deviceId, 'one'));
});

test('twins are read and patched; a stale etag is refused', async () => {
  const device = await createDevice();
  const fresh = await body(registry.getTwin(device.deviceId));
  assert.strictEqual(fresh.properties.desired.$version, 1);
  const first = await body(registry.updateTwin(device.deviceId, { tags: { floor: 3 }, properties: { desired: { a: { b: 1 }, c: [1, 2] } } }, fresh.etag));
  assert.deepStrictEqual(first.properties.desired.a, { b: 1 });
  assert.deepStrictEqual(first.properties.desired.c, [1, 2]);
  assert.strictEqual(first.properties.desired.$version, 2);
  assert.ok(first.properties.desired.$metadata.a.b.$lastUpdated);
  await assert.rejects(registry.updateTwin(device.deviceId, { tags: { floor: 4 } }, fresh.etag), { name: 'InvalidEtagError' });
  const second = await body(registry.updateTwin(device.deviceId, { properties: { desired: { a: null } } }, '*'));
  assert.strictEqual(second.properties.desired.a, undefined);
  assert.strictEqual(second.tags.floor, 3);
});

test("azure-iothub's Twin updates itself", async () => {
  const device = await createDevice();
  const twin = await body(registry.getTwin(device.deviceId));
  await twin.update({ tags: { room: 'b' }, properties: { desired: { level: 4 } } }); // changes the object itself
  assert.strictEqual(twin.properties.desired.level, 4);
  await registry.updateTwin(device.deviceId, { tags: { room: 'c' } }, '*');
  await twin.get();
  assert.strictEqual(twin.tags.room, 'c');
});

test('a twin that breaks a rule is refused and stays as it was', async () => {
  const device = await createDevice();
  const deep = (n) => (n === 0 ? 1 : { d: deep(n - 1) });
  for (const desired of [{ 'a.b': 1 }, { s: 'x'.repeat(4097) }, { n: 4503599627370496 }, { list: [null] }, deep(12)])
    await assert.rejects(registry.updateTwin(device.deviceId, { properties: { desired } }, '*'), { name: 'ArgumentError' }, JSON.stringify(desired).slice(0, 40));
  await registry.updateTwin(device.deviceId, { properties: { desired: { s: 'x'.repeat(4096), n: 4503599627370495 } } }, '*');
  assert.strictEqual((await body(registry.getTwin(device.deviceId))).properties.desired.$version, 2);
});

test('a configuration is applied to an edge device, and only to one', async () => {
  const edge = await createDevice({ capabilities: { iotEdge: true } });
  const content = { modulesContent: { $edgeHub: { 'properties.desired': { schemaVersion: '1.0', routes: {} } }, extra: { 'properties.desired': { x: 1 } } } };
  await registry.applyConfigurationContentOnDevice(edge.deviceId, content);
  assert.strictEqual((await body(registry.getModuleTwin(edge.deviceId, 'extra'))).properties.desired.x, 1);
  assert.strictEqual((await body(registry.getModuleTwin(edge.deviceId, '$edgeHub'))).properties.desired.schemaVersion, '1.0');
  const plain = await createDevice();
  await assert.rejects(registry.applyConfigurationContentOnDevice(plain.deviceId, content));
});

test('queries page through all devices', async () => {
  const tag = uniqueId('fleet');
  for (let i = 0; i < 5; i++) {
    const device = await createDevice();
    await registry.updateTwin(device.deviceId, { tags: { fleet: tag, i } }, '*');
  }
  const query = registry.createQuery(`SELECT * FROM devices WHERE tags.fleet = '${tag}' AND tags.i > 0`, 3);
  const found = [];
  while (query.hasMoreResults) found.push(...(await query.nextAsTwin()).result);
  assert.deepStrictEqual(found.map((twin) => twin.tags.i).sort(), [1, 2, 3, 4]);
  await assert.rejects(registry.createQuery('SELECT * FROM nowhere').nextAsTwin(), { name: 'ArgumentError' });
});
