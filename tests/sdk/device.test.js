'use strict';
// azure-iot-device over each of its protocols against the hub, unmodified.
const nodeTest = require('node:test');
const assert = require('node:assert');
const { execFileSync } = require('child_process');
const { Message } = require('azure-iot-device');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');
const { Amqp, AmqpWs } = require('azure-iot-device-amqp');
const support = require('./support');
const { body, createDevice, events, pause, registry, report, service, until } = support;

for (const [protocol, transport] of Object.entries({ MQTT: Mqtt, 'MQTT-WS': MqttWs, AMQP: Amqp, 'AMQP-WS': AmqpWs })) {
  const test = (name, run) => nodeTest(`${protocol}: ${name}`, run);
  const connect = (device) => support.connect(device, { transport });

  test('telemetry is stored with its properties', async () => {
    const device = await createDevice();
    const client = await connect(device);
    const message = new Message(JSON.stringify({ temperature: 21.5 }));
    message.contentType = 'application/json';
    message.contentEncoding = 'utf-8';
    message.messageId = 'm-1';
    message.properties.add('alert', 'a/b&c=d é');
    await client.sendEvent(message);
    await client.sendEvent(new Message(''));
    const [first, second] = await events(device.deviceId, 2);
    assert.deepStrictEqual(first.body, { temperature: 21.5 });
    assert.strictEqual(first.properties.alert, 'a/b&c=d é');
    assert.strictEqual(first.systemProperties.messageId, 'm-1');
    assert.strictEqual(first.systemProperties.contentType, 'application/json');
    assert.strictEqual(first.systemProperties.connectionDeviceGenerationId, device.generationId);
    assert.strictEqual(second.body, '');
    await client.close();
  });

  test('a batch of messages keeps its order', async () => {
    const device = await createDevice();
    const client = await connect(device);
    await Promise.all([...Array(100).keys()].map((i) => client.sendEvent(new Message(String(i)))));
    assert.deepStrictEqual((await events(device.deviceId, 100)).map((event) => event.body), [...Array(100).keys()]);
    await client.close();
  });

  test('reported properties reach the service, desired ones the device', async () => {
    const device = await createDevice();
    const client = await connect(device);
    const twin = await client.getTwin();
    await report(twin, { firmware: { version: '1.0' }, gone: 1 });
    await report(twin, { gone: null });
    const seen = await body(registry.getTwin(device.deviceId));
    assert.deepStrictEqual(seen.properties.reported.firmware, { version: '1.0' });
    assert.strictEqual(seen.properties.reported.gone, undefined);
    const changed = new Promise((resolve) => twin.on('properties.desired.interval', resolve));
    await report(twin, { subscribed: true });
    await registry.updateTwin(device.deviceId, { properties: { desired: { interval: 5 } } }, '*');
    assert.strictEqual(await changed, 5);
    await client.close();
  });

  test('desired properties that a service replaces, or empties with null, are so at the device', async () => {
    const device = await createDevice();
    const client = await connect(device);
    const twin = await client.getTwin();
    twin.on('properties.desired', () => {}); // subscribes, and does not say when it has: what is answered later has come later
    await report(twin, { subscribed: true });
    const desired = () => JSON.parse(JSON.stringify(twin.properties.desired));
    const arrives = ($version, properties) =>
      until(`version ${$version}`, () => twin.properties.desired.$version === $version)
        .then(() => assert.deepStrictEqual(desired(), { ...properties, $version }));
    await registry.updateTwin(device.deviceId, { properties: { desired: { a: 1, b: { c: 2, d: 3 } } } }, '*');
    await arrives(2, { a: 1, b: { c: 2, d: 3 } });
    execFileSync(`${process.env.BIN}/skerry`, ['twin', 'replace', device.deviceId, '--desired', '{"b":{"c":4}}']); // the SDK cannot
    await arrives(3, { b: { c: 4 } });
    await registry.updateTwin(device.deviceId, { properties: { desired: null } }, '*');
    await arrives(4, {});
    await client.close();
  });

  test('bad reported properties are refused with a reason', async () => {
    const device = await createDevice();
    const client = await connect(device);
    const twin = await client.getTwin();
    await assert.rejects(report(twin, { 'a b': 1 }));
    await assert.rejects(report(twin, { big: Array(9).fill('x'.repeat(4000)) }), /32768/);
    await report(twin, { fine: true });
    await client.close();
  });

  test('direct methods are answered, time out, and fail for who is not there', async () => {
    const device = await createDevice();
    await assert.rejects(service.invokeDeviceMethod(device.deviceId, { methodName: 'm', payload: null }), /Not found/);
    await assert.rejects(service.invokeDeviceMethod('nobody-at-all', { methodName: 'm', payload: null }));
    const client = await connect(device);
    client.onDeviceMethod('add', (request, response) => response.send(201, { sum: request.payload.a + request.payload.b }));
    client.onDeviceMethod('silent', () => {});
    await pause(300);
    const answer = await service.invokeDeviceMethod(device.deviceId, { methodName: 'add', payload: { a: 2, b: 3 } });
    assert.deepStrictEqual(answer.result, { status: 201, payload: { sum: 5 } });
    await assert.rejects(service.invokeDeviceMethod(device.deviceId, { methodName: 'silent', payload: {}, responseTimeoutInSeconds: 5 }),
      { name: 'GatewayTimeoutError' });
    await client.close();
  });

  test('a method waits for a device that connects in time', async () => {
    const device = await createDevice();
    const call = service.invokeDeviceMethod(device.deviceId, { methodName: 'hi', payload: 1, connectTimeoutInSeconds: 15, responseTimeoutInSeconds: 10 });
    const client = await connect(device);
    client.onDeviceMethod('hi', (request, response) => response.send(200, 'there'));
    assert.strictEqual((await call).result.payload, 'there');
    await client.close();
  });

  test('unknown, disabled and wrong credentials are refused', async () => {
    const device = await createDevice();
    const stranger = { ...device, authentication: { symmetricKey: { primaryKey: Buffer.alloc(32).toString('base64') } } };
    await assert.rejects(connect(stranger), { name: 'UnauthorizedError' });
    await assert.rejects(connect({ ...device, deviceId: 'never-made' }), { name: 'UnauthorizedError' });
    const client = await connect(device);
    await client.close();
  });

  test('the secondary key is as good as the primary', async () => {
    const device = await createDevice();
    const other = { ...device, authentication: { symmetricKey: { primaryKey: device.authentication.symmetricKey.secondaryKey } } };
    await (await connect(other)).close();
  });

  test('a second connection of the same device takes over', async () => {
    const device = await createDevice();
    const first = await connect(device);
    await first.sendEvent(new Message('first')); // over AMQP a device is there once it has a link
    first.setRetryPolicy(new (require('azure-iot-common').NoRetry)());
    const gone = new Promise((resolve) => first.on('disconnect', resolve));
    const second = await connect(device);
    await second.sendEvent(new Message('second'));
    await gone;
    assert.strictEqual((await events(device.deviceId, 2))[1].body, 'second');
    await second.close();
  });

  test('the service sees who is connected', async () => {
    const device = await createDevice();
    const client = await connect(device);
    await client.sendEvent(new Message('here'));
    await until('Connected', async () => (await body(registry.get(device.deviceId))).connectionState === 'Connected');
    await client.close();
    await until('Disconnected', async () => (await body(registry.get(device.deviceId))).connectionState === 'Disconnected');
  });
}
