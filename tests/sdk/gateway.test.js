'use strict';
// Leaf devices over each protocol through the edge, whichever protocol the edge speaks upstream (UPSTREAM); all SDKs unmodified.
const nodeTest = require('node:test');
const assert = require('node:assert');
const { Message } = require('azure-iot-device');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');
const { Amqp, AmqpWs } = require('azure-iot-device-amqp');
const support = require('./support');
const { body, deployment, edgeId, events, gateway, leaf, leafUp, pause, registry, report, service, uniqueId, until } = support;

const upstream = process.env.UPSTREAM || 'Mqtt';
const ends = new Map(); // message id → status code, from feedback
const expected = []; // [message id, status code]

nodeTest.before(async () => {
  await registry.applyConfigurationContentOnDevice(edgeId, deployment({}, leafUp));
  await until('the routes', async () => {
    const { desired, reported } = (await body(registry.getModuleTwin(edgeId, '$edgeHub'))).properties;
    return reported.lastDesiredVersion === desired.$version && reported.lastDesiredStatus.code === 200;
  }, 40);
  await service.open();
  const receiver = await new Promise((resolve, reject) =>
    service.getFeedbackReceiver((error, result) => (error ? reject(error) : resolve(result))));
  receiver.on('message', (message) => {
    for (const record of JSON.parse(message.getData().toString())) ends.set(record.originalMessageId, record.statusCode);
    receiver.complete(message);
  });
});
nodeTest.after(() => service.close());

async function send(device, text, end) {
  const message = new Message(text);
  message.messageId = uniqueId('gateway');
  message.ack = 'full';
  await service.send(device.deviceId, message);
  expected.push([message.messageId, end]);
}

for (const [protocol, transport] of Object.entries({ MQTT: Mqtt, 'MQTT-WS': MqttWs, AMQP: Amqp, 'AMQP-WS': AmqpWs })) {
  const test = (name, run) => nodeTest(`${protocol} through an edge that speaks ${upstream}: ${name}`, { timeout: 90000 }, run);
  const connect = (device) => support.connect(device, { ...gateway, transport });

  test('telemetry is stored in order, with its properties', async () => {
    const device = await leaf();
    const client = await connect(device);
    const message = new Message(JSON.stringify({ temperature: 21.5 }));
    message.contentType = 'application/json';
    message.contentEncoding = 'utf-8';
    message.messageId = 'm-1';
    message.properties.add('alert', 'a/b&c=d é');
    await client.sendEvent(message);
    await Promise.all([...Array(50).keys()].map((i) => client.sendEvent(new Message(String(i)))));
    const [first, ...others] = await events(device.deviceId, 51);
    assert.deepStrictEqual(first.body, { temperature: 21.5 });
    assert.strictEqual(first.properties.alert, 'a/b&c=d é');
    assert.strictEqual(first.properties['$.skn'], undefined);
    assert.strictEqual(first.systemProperties.messageId, 'm-1');
    assert.strictEqual(first.systemProperties.contentType, 'application/json');
    assert.deepStrictEqual(others.map((event) => event.body), [...Array(50).keys()]);
    await client.close();
  });

  test('reported properties reach the service, desired ones the device', async () => {
    const device = await leaf();
    const client = await connect(device);
    const twin = await client.getTwin();
    await report(twin, { state: 'fine' });
    await until('reported upstream', async () => (await body(registry.getTwin(device.deviceId))).properties.reported.state === 'fine');
    const changed = new Promise((resolve) => twin.on('properties.desired.speed', resolve));
    await pause(500);
    await registry.updateTwin(device.deviceId, { properties: { desired: { speed: 9 } } }, '*');
    assert.strictEqual(await changed, 9);
    await client.close();
  });

  test('direct methods are answered', async () => {
    const device = await leaf();
    const client = await connect(device);
    client.onDeviceMethod('ping', (request, response) => response.send(201, { pong: request.payload }));
    const answer = await service.invokeDeviceMethod(device.deviceId, { methodName: 'ping', payload: 7, connectTimeoutInSeconds: 20 });
    assert.deepStrictEqual(answer.result, { status: 201, payload: { pong: 7 } });
    await client.close();
  });

  test('messages to the device come in order, and complete', async () => {
    const device = await leaf();
    for (let i = 0; i < 5; i++) await send(device, String(i), 'Success');
    const client = await connect(device);
    const got = [];
    client.on('message', (message) => {
      got.push(message.getData().toString());
      client.complete(message);
    });
    await until('five messages', () => got.length >= 5);
    assert.deepStrictEqual(got, ['0', '1', '2', '3', '4']);
    await pause(300);
    await client.close();
  });

  if (protocol.startsWith('MQTT')) continue; // complete is all there is

  test('a message that the device rejects is dead', async () => {
    const device = await leaf();
    const client = await connect(device);
    let count = 0;
    client.on('message', (message) => {
      count++;
      client.reject(message);
    });
    await send(device, 'no', upstream.startsWith('Amqp') ? 'Rejected' : 'Success'); // upstream over MQTT there is one word only
    await until('the message', () => count);
    await pause(1500);
    assert.strictEqual(count, 1);
    await client.close();
  });

  test('an abandoned message comes again, ten times at most', async () => {
    const device = await leaf();
    const client = await connect(device);
    let count = 0;
    client.on('message', (message) => {
      count++;
      client.abandon(message);
    });
    await send(device, 'later', upstream.startsWith('Amqp') ? 'DeliveryCountExceeded' : 'Success');
    await until('ten deliveries', () => count >= 10);
    await pause(1500);
    assert.strictEqual(count, 10);
    await client.close();
  });
}

nodeTest('feedback tells how every message ended', { timeout: 90000 }, async () => {
  await until('all feedback', () => expected.every(([id]) => ends.has(id)), 60);
  assert.deepStrictEqual(expected.map(([id]) => [id, ends.get(id)]), expected);
});
