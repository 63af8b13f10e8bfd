'use strict';
// Files: uploaded with azure-iot-device, read and written with @azure/storage-blob, both unmodified.
const test = require('node:test');
const assert = require('node:assert');
const crypto = require('crypto');
const { Readable } = require('stream');
const { BlobServiceClient, BlockBlobClient, StorageSharedKeyCredential, ContainerSASPermissions, generateBlobSASQueryParameters } =
  require('@azure/storage-blob');
const { connect, connectionString, createDevice, deviceString, host, service, until } = require('./support');

const notices = new Map(); // blob name → notification
test.before(async () => {
  await service.open();
  const receiver = await new Promise((resolve, reject) =>
    service.getFileNotificationReceiver((error, it) => (error ? reject(error) : resolve(it))));
  receiver.on('message', (message) => {
    const notice = JSON.parse(message.getData().toString());
    notices.set(notice.blobName, notice);
    receiver.complete(message);
  });
});
test.after(() => service.close());

const [, policy, key] = /SharedAccessKeyName=([^;]+);SharedAccessKey=(.+)/.exec(connectionString);
const credential = new StorageSharedKeyCredential(policy, key);
const storage = new BlobServiceClient(`https://${host}/${policy}`, credential);
const uploads = storage.getContainerClient('uploads');

async function rejected(promise, status, code) {
  await assert.rejects(promise, (error) => {
    assert.strictEqual(error.statusCode, status);
    if (code) assert.strictEqual(error.code, code);
    return true;
  });
}

for (const size of [10, 10 * 1024, 9 * 1024 * 1024 + 1]) {
  test(`a device uploads a file of ${size} bytes, and it is there as it was`, async () => {
    const device = await createDevice();
    const client = await connect(device);
    const content = crypto.randomBytes(size);
    await client.uploadToBlob('logs/today & more.bin', Readable.from([content]), size);
    await client.close();
    const blob = uploads.getBlobClient(`${device.deviceId}/logs/today & more.bin`);
    assert.ok((await blob.downloadToBuffer()).equals(content));
    assert.strictEqual((await blob.getProperties()).contentLength, size);
    const notice = await until('the notification', () => notices.get(`${device.deviceId}/logs/today & more.bin`));
    assert.strictEqual(notice.deviceId, device.deviceId);
    assert.strictEqual(notice.blobSizeInBytes, size);
    assert.strictEqual(notice.blobUri, `https://${host}/uploads/${device.deviceId}/logs/today%20%26%20more.bin`);
    assert.ok(Math.abs(new Date(notice.enqueuedTimeUtc) - Date.now()) < 60000 && !isNaN(new Date(notice.lastUpdatedTime)));
  });
}

test('a service has containers, and blobs in them: whole, by ranges, listed, deleted', async () => {
  const container = storage.getContainerClient('papers');
  await container.create();
  await rejected(container.create(), 409, 'ContainerAlreadyExists');
  const names = [];
  for await (const one of storage.listContainers()) names.push(one.name);
  assert.ok(names.includes('papers') && names.includes('uploads'));

  const content = Buffer.from('The quick brown fox');
  const blob = container.getBlockBlobClient('a/b <c> & d.txt');
  await blob.upload(content, content.length, { blobHTTPHeaders: { blobContentType: 'text/plain' }, metadata: { colour: 'red' } });
  const properties = await blob.getProperties();
  assert.strictEqual(properties.contentType, 'text/plain');
  assert.strictEqual(properties.metadata.colour, 'red');
  assert.strictEqual((await blob.downloadToBuffer(4, 5)).toString(), 'quick');
  await blob.setMetadata({ shape: 'round', _of_2: '<b>' });
  await blob.setHTTPHeaders({ blobContentType: 'text/html' });
  const changed = await blob.getProperties();
  assert.deepStrictEqual([changed.contentType, changed.metadata, changed.contentLength], ['text/html', { shape: 'round', _of_2: '<b>' }, content.length]);
  const [told] = (await container.listBlobsFlat({ includeMetadata: true }).byPage().next()).value.segment.blobItems;
  assert.deepStrictEqual([told.metadata, told.properties.contentType], [{ shape: 'round', _of_2: '<b>' }, 'text/html']);
  assert.strictEqual((await container.listBlobsFlat().byPage().next()).value.segment.blobItems[0].metadata, undefined);
  await rejected(container.getBlockBlobClient('nothing').setMetadata({}), 404, 'BlobNotFound');
  await rejected(blob.setMetadata({}, { conditions: { ifMatch: properties.etag } }), 412, 'ConditionNotMet');
  await rejected(container.getBlockBlobClient('copy').beginCopyFromURL(blob.url), 400, 'UnsupportedHeader');
  await rejected(blob.upload('no', 2, { conditions: { ifNoneMatch: '*' } }), 409, 'BlobAlreadyExists');
  await rejected(blob.upload('no', 2, { conditions: { ifMatch: '"0x0"' } }), 412, 'ConditionNotMet');
  await blob.upload('yes', 3, { conditions: { ifMatch: changed.etag } });

  for (let i = 0; i < 5; i++) await container.getBlockBlobClient(`many/${i}`).upload('x', 1);
  const listed = [];
  for await (const page of container.listBlobsFlat({ prefix: 'many/' }).byPage({ maxPageSize: 2 }))
    listed.push(page.segment.blobItems.map((item) => item.name));
  assert.deepStrictEqual(listed.flat(), ['many/0', 'many/1', 'many/2', 'many/3', 'many/4']);
  const top = [];
  for await (const item of container.listBlobsByHierarchy('/')) top.push(item.name);
  assert.deepStrictEqual(top.sort(), ['a/', 'many/']);
  assert.ok([...(await container.listBlobsFlat({ prefix: 'a/' }).byPage().next()).value.segment.blobItems][0].name === 'a/b <c> & d.txt');

  await blob.delete();
  await rejected(blob.getProperties(), 404);
  await container.delete();
  await rejected(container.getProperties(), 404);
});

test('a blob is there when its block list is, and not before', async () => {
  const blob = uploads.getBlockBlobClient('blocks.bin');
  const id = (text) => Buffer.from(text.padEnd(8)).toString('base64');
  await blob.stageBlock(id('one'), 'one,', 4);
  await blob.stageBlock(id('two'), 'two', 3);
  await rejected(blob.getProperties(), 404);
  await rejected(blob.commitBlockList([id('one'), id('three')]), 400, 'InvalidBlockList');
  assert.strictEqual((await blob.getBlockList('all')).uncommittedBlocks.length, 2);
  await blob.commitBlockList([id('one'), id('two')]);
  assert.strictEqual((await blob.downloadToBuffer()).toString(), 'one,two');
  await blob.stageBlock(id('three'), '!', 1);
  await blob.commitBlockList([id('two'), id('three')]);
  assert.strictEqual((await blob.downloadToBuffer()).toString(), 'two!');
  assert.strictEqual((await blob.getBlockList('all')).committedBlocks.length, 2);
});

test('a signature opens what it says, and nothing else', async () => {
  const blob = uploads.getBlockBlobClient('signed.txt');
  await blob.upload('signed', 6);
  const url = (permissions, options = {}, name = 'signed.txt') => `https://${host}/${policy}/uploads/${name}?` + generateBlobSASQueryParameters({
    containerName: 'uploads', permissions: ContainerSASPermissions.parse(permissions), expiresOn: new Date(Date.now() + 600000), ...options,
  }, credential);
  assert.strictEqual((await new BlockBlobClient(url('r')).downloadToBuffer()).toString(), 'signed');
  await rejected(new BlockBlobClient(url('r')).upload('x', 1), 403, 'AuthorizationPermissionMismatch');
  await rejected(new BlockBlobClient(url('w')).downloadToBuffer(), 403);
  await rejected(new BlockBlobClient(url('r', { expiresOn: new Date(Date.now() - 600000) })).downloadToBuffer(), 403);
  await rejected(new BlockBlobClient(url('r', { blobName: 'other.txt' })).downloadToBuffer(), 403);
  await rejected(new BlockBlobClient(`https://${host}/${policy}/uploads/signed.txt`).downloadToBuffer(), 401);
  const wrong = new StorageSharedKeyCredential(policy, Buffer.alloc(32).toString('base64'));
  await rejected(new BlobServiceClient(`https://${host}/${policy}`, wrong).getContainerClient('uploads').getProperties(), 403);
});

async function ask(device, path, body) {
  const { Http } = require('azure-iot-device-http');
  const { SharedAccessSignature } = require('azure-iot-device');
  const sas = SharedAccessSignature.create(host, device.deviceId, device.authentication.symmetricKey.primaryKey, Math.floor(Date.now() / 1000) + 600);
  assert.ok(Http && deviceString(device));
  return fetch(`https://${host}/devices/${device.deviceId}/files${path}?api-version=2021-04-12`, {
    method: 'POST', headers: { Authorization: sas.toString(), 'Content-Type': 'application/json' }, body: JSON.stringify(body),
  });
}

test('a device uploads ten files at once, and not eleven', async () => {
  const device = await createDevice();
  const answers = await Promise.all(Array.from({ length: 11 }, (_, i) => ask(device, '', { blobName: `f${i}` })));
  assert.deepStrictEqual(answers.map((answer) => answer.status).sort(), [...Array(10).fill(200), 403]);
  const refused = await answers.find((answer) => answer.status === 403).json();
  assert.match(refused.Message, /^ErrorCode:DeviceMaximumActiveFileUploadLimitExceeded;/);
  const { correlationId } = await answers.find((answer) => answer.status === 200).json();
  assert.strictEqual((await ask(device, '/notifications', { correlationId, isSuccess: false, statusCode: 500 })).status, 204);
  assert.strictEqual((await ask(device, '/notifications', { correlationId, isSuccess: false, statusCode: 500 })).status, 404);
  assert.strictEqual((await ask(device, '', { blobName: 'f11' })).status, 200);
});

test('names that climb or are too long are refused', async () => {
  const device = await createDevice();
  for (const blobName of ['../other/f', 'a/./b', '', 'x'.repeat(1024), 5, undefined])
    assert.strictEqual((await ask(device, '', { blobName })).status, 400);
  assert.strictEqual((await ask(device, '', { blobName: 'x'.repeat(1023 - device.deviceId.length) })).status, 200);
});

test('the command line lists files and gets one', async () => {
  const { execFileSync } = require('child_process');
  const skerry = (...words) => execFileSync(`${process.env.BIN}/skerry`, words);
  const name = 'shelf/a <b> & c.txt';
  await uploads.getBlockBlobClient(name).upload('what is in it', 13);
  await uploads.getBlockBlobClient('shelf/other').upload('x', 1);
  const listed = JSON.parse(skerry('file', 'list', '--prefix', 'shelf/', '--output', 'json'));
  assert.deepStrictEqual(listed.map((file) => [file.name, file.size]), [[name, 13], ['shelf/other', 1]]);
  assert.strictEqual(skerry('file', 'get', name).toString(), 'what is in it');
  assert.throws(() => execFileSync(`${process.env.BIN}/skerry`, ['file', 'get', 'nothing'], { stdio: 'pipe' }), /BlobNotFound/);
});

test('who has no AMQP hears of a file by server-sent events', async () => {
  await service.close(); // the other receiver
  const { SharedAccessSignature } = require('azure-iothub');
  const token = SharedAccessSignature.create(host, policy, key, Math.floor(Date.now() / 1000) + 600).toString();
  const stream = await fetch(`https://${host}/messages/serviceBound/fileNotifications/watch?api-version=2021-04-12`,
    { headers: { Authorization: token } });
  assert.strictEqual(stream.status, 200);
  const device = await createDevice();
  const client = await connect(device);
  await client.uploadToBlob('seen.txt', Readable.from([Buffer.from('seen')]), 4);
  await client.close();
  let text = '';
  for await (const part of stream.body) {
    text += Buffer.from(part).toString();
    if (text.includes('seen.txt')) break;
  }
  const notice = JSON.parse(/data: (.*)/.exec(text)[1]);
  assert.strictEqual(notice.blobName, `${device.deviceId}/seen.txt`);
});
