'use strict';
// Files in a storage account of somebody else's: Azurite stands for it. azure-iot-device and azure-iothub are unmodified.
const test = require('node:test');
const assert = require('node:assert');
const crypto = require('crypto');
const fs = require('fs');
const os = require('os');
const path = require('path');
const { execFileSync, spawn } = require('child_process');
const { Readable } = require('stream');
const { Client, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { Client: ServiceClient, Registry } = require('azure-iothub');
const { BlobServiceClient, ContainerSASPermissions, StorageSharedKeyCredential } = require('@azure/storage-blob');

const azurite = path.join(__dirname, 'azurite');
if (!fs.existsSync(path.join(azurite, 'node_modules', 'azurite')))
  execFileSync('npm', ['ci', '--silent', '--no-audit', '--no-fund'], { cwd: azurite, stdio: 'inherit' });

const host = '127.0.0.16';
const account = 'devstoreaccount1';
const key = crypto.randomBytes(64).toString('base64');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'storage-'));
const hub = path.join(folder, 'hub');
const processes = [];

function start(command, args, env = {}) {
  const child = spawn(command, args, { stdio: ['ignore', fs.openSync(path.join(folder, 'log'), 'a'), fs.openSync(path.join(folder, 'log'), 'a')],
    env: { ...process.env, ...env } });
  processes.push(child);
}

async function answers(url) {
  for (let i = 0; i < 200; i++) {
    try {
      return await fetch(url);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  throw new Error(`${url} does not answer: ${fs.readFileSync(path.join(folder, 'log'))}`);
}

test.after(() => {
  for (const child of processes) child.kill();
  fs.rmSync(folder, { recursive: true });
});

// The client certificate authorities of this process are read at its start: the test runs again with the ones of its hub.
if (!process.env.STORAGE_HUB) {
  test('files in a storage account', { timeout: 120000 }, () => {
    const { NODE_TEST_CONTEXT, ...env } = process.env;
    execFileSync(process.execPath, [__filename],
      { env: { ...env, STORAGE_HUB: hub, NODE_EXTRA_CA_CERTS: prepare() }, stdio: ['ignore', 2, 2] });
  });
} else {
  test('a device uploads to the account, and a service hears of it', { timeout: 100000 }, async () => {
    const there = process.env.STORAGE_HUB;
    const connection = fs.readFileSync(path.join(there, 'connection'), 'utf8');
    const accountKey = fs.readFileSync(path.join(there, 'account'), 'utf8');
    start(process.execPath, [path.join(azurite, 'node_modules/azurite/dist/src/blob/main.js'), '--blobHost', host, '--blobPort', '10000',
      '--cert', path.join(there, 'server.pem'), '--key', path.join(there, 'server.key'), '--inMemoryPersistence', '--skipApiVersionCheck', '--disableTelemetry', '--loose'],
    { AZURITE_ACCOUNTS: `${account}:${accountKey}` });
    start(path.join(process.env.BIN, 'skerry-hub'), ['run', '--config', path.join(there, 'hub.toml')]);
    await answers(`https://${host}:10000/`);
    await answers(`http://${host}:9600/health/ready`);
    const storage = new BlobServiceClient(`https://${host}:10000/${account}`, new StorageSharedKeyCredential(account, accountKey));
    const container = storage.getContainerClient('uploads');
    await container.create();
    await storage.getContainerClient('telemetry').create();

    const device = (await Registry.fromConnectionString(connection).create({ deviceId: 'd1' })).responseBody;
    const service = ServiceClient.fromConnectionString(connection);
    await service.open();
    const receiver = await new Promise((resolve, reject) =>
      service.getFileNotificationReceiver((error, it) => (error ? reject(error) : resolve(it))));
    const heard = new Promise((resolve) => receiver.on('message', (message) => {
      receiver.complete(message);
      resolve(JSON.parse(message.getData().toString()));
    }));
    const client = Client.fromConnectionString(
      `HostName=${host};DeviceId=d1;SharedAccessKey=${device.authentication.symmetricKey.primaryKey}`, Mqtt);
    await client.open();
    const content = crypto.randomBytes(5 * 1024 * 1024);
    for (const n of [0, 1, 2]) {
      const message = new Message(JSON.stringify({ n }));
      message.contentType = 'application/json';
      message.contentEncoding = 'utf-8';
      await client.sendEvent(message);
    }
    await client.uploadToBlob('logs/a b.bin', Readable.from([content]), content.length);
    await client.close();
    const notice = await heard;
    await service.close();
    assert.strictEqual(notice.blobSizeInBytes, content.length);
    assert.strictEqual(notice.blobUri, `https://${host}:10000/${account}/uploads/d1/logs/a%20b.bin`);
    assert.ok((await container.getBlobClient('d1/logs/a b.bin').downloadToBuffer()).equals(content));
    assert.deepStrictEqual(await lines(storage.getContainerClient('telemetry')), [0, 1, 2]);
    await moveIdentities(Registry.fromConnectionString(connection), container);
  });
}

// Some of these calls give what came, others the whole answer.
const body = async (promise) => (await promise).responseBody || promise;

// Jobs that write into a container of the account, and read from there.
async function moveIdentities(registry, container) {
  const uri = await container.generateSasUrl({ permissions: ContainerSASPermissions.parse('rwd'), expiresOn: new Date(Date.now() + 600000) });
  const end = async (started) => {
    for (let job = await body(started); ; job = await body(registry.getJob(job.jobId))) {
      if (job.status === 'completed') return;
      assert.ok(['enqueued', 'running'].includes(job.status), job.failureReason);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  await end(registry.exportDevicesToBlob(uri, false));
  const exported = (await container.getBlobClient('devices.txt').downloadToBuffer()).toString();
  assert.strictEqual(JSON.parse(exported).id, 'd1');
  const many = Array.from({ length: 3000 }, (_, n) => JSON.stringify({ id: `many-${n}`, tags: { text: 'x'.repeat(400) } })).join('\n');
  await container.getBlockBlobClient('devices.txt').upload(many + '\nnonsense', many.length + 9);
  await end(registry.importDevicesFromBlob(uri, uri));
  assert.strictEqual((await body(registry.get('many-2999'))).deviceId, 'many-2999');
  assert.match((await container.getBlobClient('importErrors.log').downloadToBuffer()).toString(), /^{[^\n]*line 3001:[^\n]*}\n$/);
  await end(registry.exportDevicesToBlob(uri, true)); // of more than one block
  assert.strictEqual((await container.getBlobClient('devices.txt').downloadToBuffer()).toString().split('\n').length, 3002);
  await assert.rejects(registry.exportDevicesToBlob(uri.replace('sig=', 'sig=x'), false), /its signature is not by the storage account's key/);
}

// What an endpoint has written there: `n` of each line, when three have come.
async function lines(container) {
  for (let i = 0; i < 100; i++) {
    const found = [];
    for await (const blob of container.listBlobsFlat()) {
      assert.match(blob.name, /^hub\/\d+\/\d{4}\/\d\d\/\d\d\/\d\d\/\d\d(_\d\d)?\.json$/);
      const text = (await container.getBlobClient(blob.name).downloadToBuffer()).toString();
      for (const line of text.trim().split('\n')) found.push(JSON.parse(line).Body.n);
    }
    if (found.length >= 3) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('no files of messages');
}

// A hub whose files and messages go to the account; the file of its CA.
function prepare() {
  const init = JSON.parse(execFileSync(path.join(process.env.BIN, 'skerry-hub'),
    ['init', hub, '--hostname', host, '--listen', host, '--metrics', `${host}:9600`, '--json']));
  const ca = path.join(hub, 'ca.pem');
  const store = `DefaultEndpointsProtocol=https;AccountName=${account};AccountKey=${key};BlobEndpoint=https://${host}:10000/${account};`;
  fs.appendFileSync(path.join(hub, 'hub.toml'), `\n[hub.files]\nca_file = "ca.pem"\nconnection_string = "${store}"\n`
    + `[[hub.endpoint]]\nname = "lake"\ntype = "storage"\nto = "${store}"\nentity = "telemetry"\nca = "ca.pem"\n`
    + 'encoding = "JSON"\nfile_time = "1s"\n[[hub.route]]\nname = "all"\nendpoint = "lake"\n');
  fs.writeFileSync(path.join(hub, 'connection'), init.hubs[0].connectionStrings.iothubowner);
  fs.writeFileSync(path.join(hub, 'account'), key);
  return ca;
}
