'use strict';
// Import and export of identities with azure-iothub, through containers of the hub, with @azure/storage-blob; all unmodified.
const test = require('node:test');
const assert = require('node:assert');
const { BlobServiceClient, StorageSharedKeyCredential, ContainerSASPermissions, generateBlobSASQueryParameters } = require('@azure/storage-blob');
const { connectionString, createDevice, host, registry, uniqueId, until } = require('./support');

// Some of these calls give what came, others the whole answer.
const body = async (promise) => (await promise).responseBody || promise;

const [, policy, key] = /SharedAccessKeyName=([^;]+);SharedAccessKey=(.+)/.exec(connectionString);
const credential = new StorageSharedKeyCredential(policy, key);
const storage = new BlobServiceClient(`https://${host}/${policy}`, credential);

const uri = (containerName, permissions) => `https://${host}/${policy}/${containerName}?` + generateBlobSASQueryParameters({
  containerName, permissions: ContainerSASPermissions.parse(permissions), expiresOn: new Date(Date.now() + 600000),
}, credential);

const ended = (job) => until('the end of the job', async () => {
  const now = await body(registry.getJob(job.jobId));
  return ['completed', 'failed', 'cancelled'].includes(now.status) && now;
});

async function container(name) {
  const it = storage.getContainerClient(name);
  await it.create();
  return it;
}

const lines = async (blob) => (await blob.downloadToBuffer()).toString().split('\n').filter(Boolean).map((line) => JSON.parse(line));

test('what is exported holds every device and module, and is imported again', async () => {
  const out = await container(uniqueId('export'));
  const device = await createDevice({ capabilities: { iotEdge: true } });
  await registry.updateTwin(device.deviceId, { tags: { site: 'a' }, properties: { desired: { rate: 5 } } }, '*');
  const started = await body(registry.exportDevicesToBlob(uri(out.containerName, 'rwdl'), false));
  assert.strictEqual(started.type, 'export');
  const job = await ended(started);
  assert.strictEqual(job.status, 'completed', job.failureReason);
  assert.strictEqual(job.progress, 100);
  const exported = await lines(out.getBlobClient('devices.txt'));
  const mine = exported.find((line) => line.id === device.deviceId && !line.moduleId);
  assert.strictEqual(mine.authentication.symmetricKey.primaryKey, device.authentication.symmetricKey.primaryKey);
  assert.deepStrictEqual(mine.tags, { site: 'a' });
  assert.strictEqual(mine.properties.desired.rate, 5);
  assert.ok(exported.some((line) => line.id === device.deviceId && line.moduleId === '$edgeHub'));

  await registry.delete(device.deviceId);
  const again = exported.filter((line) => line.id === device.deviceId && !line.moduleId);
  const made = uniqueId('imported');
  const text = [...again, { id: made }, { id: 'no such thing', importMode: 'delete' }, { id: made, importMode: 'create' }]
    .map((line) => JSON.stringify(line)).join('\n') + '\n{"id":\n';
  await out.getBlockBlobClient('devices.txt').upload(text, Buffer.byteLength(text));
  const imported = await ended(await body(registry.importDevicesFromBlob(uri(out.containerName, 'r'), uri(out.containerName, 'w'))));
  assert.strictEqual(imported.status, 'completed', imported.failureReason);
  const back = await body(registry.get(device.deviceId));
  assert.strictEqual(back.authentication.symmetricKey.primaryKey, device.authentication.symmetricKey.primaryKey);
  assert.deepStrictEqual((await body(registry.getTwin(device.deviceId))).tags, { site: 'a' });
  assert.ok(await body(registry.get(made)));
  const errors = await lines(out.getBlobClient('importErrors.log'));
  assert.deepStrictEqual(errors.map((error) => error.errorCode).sort(), ['ArgumentInvalid', 'DeserializationError', 'DeviceAlreadyExists']);
  assert.ok((await body(registry.listJobs())).some((one) => one.jobId === job.jobId));
});

test('keys stay where they are when that is asked for', async () => {
  const out = await container(uniqueId('export'));
  const device = await createDevice();
  const job = await ended(await body(registry.exportDevicesToBlob(uri(out.containerName, 'rwd'), true)));
  assert.strictEqual(job.excludeKeysInExport, true);
  assert.ok(!job.outputBlobContainerUri.includes('sig='));
  const mine = (await lines(out.getBlobClient('devices.txt'))).find((line) => line.id === device.deviceId);
  assert.strictEqual(mine.authentication.symmetricKey.primaryKey, null);
});

test('a container that the signature does not open, or that is elsewhere, is refused', async () => {
  const out = await container(uniqueId('export'));
  for (const bad of [uri(out.containerName, 'r'), uri('nowhere', 'rwd'), uri(out.containerName, 'rwd').replace('sig=', 'sig=x'),
    `https://${host}/${policy}/${out.containerName}`, 'https://other.example/c?sv=2021-08-06&sig=x', 'file:///etc', '/etc'])
    await assert.rejects(registry.exportDevicesToBlob(bad, false), (error) => /BlobContainerValidationError/.test(error.responseBody || error.message));
});

test('a job goes forward only: one that has ended is not seen to wait again', async () => {
  const out = await container(uniqueId('export'));
  const order = ['enqueued', 'running', 'completed'];
  for (let round = 0; round < 5; round++) {
    const job = await body(registry.exportDevicesToBlob(uri(out.containerName, 'rwd'), true));
    let furthest = 0;
    for (let after = 0; after < 20; after += furthest === 2) {
      const now = order.indexOf((await body(registry.getJob(job.jobId))).status);
      assert.ok(now >= furthest, `${order[now]} after ${order[furthest]}`);
      furthest = now;
    }
  }
});
