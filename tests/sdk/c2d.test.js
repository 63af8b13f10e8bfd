'use strict';
// Cloud-to-device messages: sent with azure-iothub, received and settled with azure-iot-device over each of its protocols, both
// unmodified; and what feedback tells the sender.
const nodeTest = require('node:test');
const assert = require('node:assert');
const path = require('path');
const { Message } = require('azure-iot-common');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');
const { Amqp, AmqpWs } = require('azure-iot-device-amqp');
const { Http } = require('azure-iot-device-http');
const { Client: DeviceClient } = require('azure-iot-device');
const { Client: ServiceClient } = require('azure-iothub');
const { body, connect, connectionString, createDevice, deviceString, host, pause, registry, service, uniqueId, until } = require('./support');

const ends = new Map(); // message id → status code, from feedback
const expected = []; // [message id, status code]

const feedbackOf = (client) => new Promise((resolve, reject) =>
  client.getFeedbackReceiver((error, receiver) => (error ? reject(error) : resolve(receiver))));

function listen(receiver) {
  receiver.on('message', (message) => {
    for (const record of JSON.parse(message.getData().toString())) ends.set(record.originalMessageId, record.statusCode);
    receiver.complete(message);
  });
}

nodeTest.before(async () => {
  await service.open();
  listen(await feedbackOf(service));
});
nodeTest.after(() => service.close());

async function send(device, { ack = 'full', end, expiry, text = 'do it' } = {}) {
  const message = new Message(text);
  message.messageId = uniqueId('message');
  message.ack = ack;
  message.properties.add('colour', 'red & blue/green');
  if (expiry) message.expiryTimeUtc = expiry;
  await service.send(device.deviceId, message);
  if (end) expected.push([message.messageId, end]);
  return message.messageId;
}

// A device client that keeps what it gets; `onMessage` settles.
async function receiver(device, transport, onMessage = () => {}) {
  // Over HTTPS setOptions({ ca }) never calls back; Node trusts the hub's CA by NODE_EXTRA_CA_CERTS, and polls once a second.
  const client = transport === Http ? DeviceClient.fromConnectionString(deviceString(device), Http) : await connect(device, { transport });
  const got = [];
  client.on('message', (message) => {
    got.push(message);
    onMessage(client, message, got.length);
  });
  return { client, got };
}

const complete = (client, message) => client.complete(message);
const text = (message) => message.getData().toString();

for (const [protocol, transport] of Object.entries({ MQTT: Mqtt, 'MQTT-WS': MqttWs, AMQP: Amqp, 'AMQP-WS': AmqpWs, HTTPS: Http })) {
  const test = (name, run) => nodeTest(`${protocol}: ${name}`, run);

  test('a message comes with its properties and completes', async () => {
    const device = await createDevice();
    const { client, got } = await receiver(device, transport, complete);
    const id = await send(device, { end: 'Success' });
    const [message] = await until('the message', () => got.length && got);
    assert.strictEqual(text(message), 'do it');
    assert.strictEqual(message.messageId, id);
    const name = protocol === 'HTTPS' ? 'iothub-app-colour' : 'colour'; // the SDK's own habit
    assert.strictEqual(message.properties.getValue(name), 'red & blue/green');
    assert.match(message.to, new RegExp(`^/devices/${device.deviceId}/messages/devicebound$`, 'i'));
    await pause(300);
    await client.close();
  });

  test('what was sent before comes first, in order', async () => {
    const device = await createDevice();
    for (let i = 0; i < 20; i++) await send(device, { ack: 'none', text: String(i) });
    const { client, got } = await receiver(device, transport, complete);
    await until('twenty messages', () => got.length >= 20, 40);
    assert.deepStrictEqual(got.map(text), [...Array(20).keys()].map(String));
    await client.close();
  });

  if (protocol.startsWith('MQTT')) {
    test('complete is all there is', async () => {
      const device = await createDevice();
      const { client, got } = await receiver(device, transport);
      await send(device, { end: 'Success' });
      await until('the message', () => got.length);
      await assert.rejects(async () => client.reject(got[0]));
      await client.close();
    });
  } else {
    test('a rejected message is dead', async () => {
      const device = await createDevice();
      const { client, got } = await receiver(device, transport, (c, message) => c.reject(message));
      await send(device, { end: 'Rejected' });
      await until('the message', () => got.length);
      await pause(1500);
      assert.strictEqual(got.length, 1);
      await client.close();
    });

    test('an abandoned message comes again, ten times at most', async () => {
      const device = await createDevice();
      const { client, got } = await receiver(device, transport, (c, message) => c.abandon(message));
      await send(device, { end: 'DeliveryCountExceeded' });
      await until('ten deliveries', () => got.length >= 10, 30);
      await pause(1500);
      assert.strictEqual(got.length, 10);
      await client.close();
    });
  }
}

for (const [protocol, transport] of Object.entries({ MQTT: Mqtt, AMQP: Amqp })) {
  nodeTest(`${protocol}: a leaf device gets its messages through the edge`, async () => {
    const parent = await body(registry.get('edge-sdk'));
    const device = await createDevice({ deviceScope: parent.deviceScope });
    for (let i = 0; i < 5; i++) await send(device, { end: 'Success', text: String(i) });
    const client = await connect(device, { transport, gateway: process.env.EDGE_HOST, ca: path.join(process.env.EDGE_DATA, 'certificates', 'edge-ca.pem') });
    const got = [];
    client.on('message', (message) => {
      got.push(text(message));
      client.complete(message);
    });
    await until('five messages', () => got.length >= 5);
    assert.deepStrictEqual(got, ['0', '1', '2', '3', '4']);
    await pause(300);
    await client.close();
  });
}

nodeTest('a message that nobody fetches expires', async () => {
  await send(await createDevice(), { expiry: Date.now() + 2000, end: 'Expired' });
});

nodeTest('the 51st waiting message is refused with the SDK\'s own error', async () => {
  const device = await createDevice();
  for (let i = 0; i < 50; i++) await send(device, { ack: 'none' });
  await assert.rejects(send(device), { name: 'DeviceMaximumQueueDepthExceededError' });
});

nodeTest('a message to nobody is refused', async () => {
  await assert.rejects(send({ deviceId: 'nobody' }), { name: 'DeviceNotFoundError' });
});

nodeTest('a message larger than 64 KB is refused', async () => {
  const device = await createDevice();
  await assert.rejects(send(device, { text: 'x'.repeat(64 * 1024) }));
  await send(device, { ack: 'none' });
});

nodeTest('an abandoned feedback message comes again', async () => {
  const client = ServiceClient.fromConnectionString(connectionString); // a second receiver shares the feedback with the first
  await client.open();
  const receiver = await feedbackOf(client);
  receiver.on('message', (message) => receiver.abandon(message));
  await pause(2000);
  await client.close();
});

nodeTest('feedback tells every sender how his message ended', async () => {
  await until('all feedback', () => expected.every(([id]) => ends.has(id)), 60);
  assert.deepStrictEqual(expected.map(([id]) => [id, ends.get(id)]), expected);
});

// docs/protocols/device-protocols.md, section 4.3: the SDK strips the first and the last character of the ETag without looking.
nodeTest('HTTPS: the ETag is quoted, If-Match is not, an empty queue is 204', async () => {
  const https = require('https');
  const { SharedAccessSignature } = require('azure-iot-common');
  const device = await createDevice();
  const key = device.authentication.symmetricKey.primaryKey;
  const token = SharedAccessSignature.create(`${host}/devices/${device.deviceId}`, null, key, Math.floor(Date.now() / 1000) + 600);
  const ask = (method, tail, headers = {}) => new Promise((resolve, reject) => https.request({
    host, method, path: `/devices/${device.deviceId}/messages/deviceBound${tail}?api-version=2021-04-12`,
    headers: { Authorization: token.toString(), ...headers },
  }, (answer) => { answer.resume(); answer.on('end', () => resolve(answer)); }).on('error', reject).end());
  assert.strictEqual((await ask('GET', '')).statusCode, 204);
  await send(device, { ack: 'none' });
  const { statusCode, headers: { etag } } = await ask('GET', '');
  assert.strictEqual(statusCode, 200);
  assert.match(etag, /^"[0-9a-f-]{36}"$/);
  const lock = etag.slice(1, -1);
  assert.strictEqual((await ask('DELETE', `/${lock}`, { 'If-Match': lock })).statusCode, 204);
  const late = await ask('DELETE', `/${lock}`, { 'If-Match': lock });
  assert.strictEqual(late.statusCode, 412);
  assert.strictEqual(late.headers['iothub-errorcode'], 'DeviceMessageLockLost');
});
