'use strict';
// Client chaos: azure-iot-device asks the hub to break its connection, recovers, and goes on; or is refused for a while.
const test = require('node:test');
const assert = require('node:assert');
const { Message, NoRetry, errors } = require('azure-iot-common');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');
const { Amqp, AmqpWs } = require('azure-iot-device-amqp');
const { body, connect, createDevice, events, pause, registry, service, until } = require('./support');

function fault(type, { delay = 0, duration } = {}) {
  const message = new Message('please');
  message.properties.add('AzIoTHub_FaultOperationType', type);
  message.properties.add('AzIoTHub_FaultOperationCloseReason', ' boom ');
  message.properties.add('AzIoTHub_FaultOperationDelayInSecs', delay);
  if (duration) message.properties.add('AzIoTHub_FaultOperationDurationInSecs', duration);
  return message;
}

const changed = async (device) => (await body(registry.get(device.deviceId))).connectionStateUpdatedTime;

for (const [name, transport, type] of [
  ['MQTT', Mqtt, 'KillTcp'],
  ['MQTT', Mqtt, 'ShutDownMqtt'],
  ['MQTT-WS', MqttWs, 'KillTcp'],
  ['AMQP', Amqp, 'KillTcp'],
  ['AMQP', Amqp, 'KillAmqpConnection'],
  ['AMQP', Amqp, 'ShutDownAmqp'],
  ['AMQP', Amqp, 'KillAmqpSession'],
  ['AMQP', Amqp, 'KillAmqpD2CLink'],
  ['AMQP', Amqp, 'KillAmqpC2DLink'],
  ['AMQP-WS', AmqpWs, 'KillTcp'],
]) {
  test(`${name}: a client recovers from ${type}`, { timeout: 120000 }, async () => {
    const device = await createDevice();
    const client = await connect(device, { transport });
    const got = [];
    client.on('message', (message) => {
      got.push(message.getData().toString());
      client.complete(message);
    });
    client.on('error', () => {});
    await client.sendEvent(new Message('before'));
    const before = await changed(device);
    await client.sendEvent(fault(type, { delay: 1 }));
    if (type !== 'KillAmqpC2DLink') await until('the fault', async () => (await changed(device)) !== before);
    await pause(1500);
    await client.sendEvent(new Message('after'));
    assert.deepStrictEqual((await events(device.deviceId, 3)).map((event) => event.body), ['before', 'please', 'after']);
    await service.send(device.deviceId, new Message('hello'));
    await until('the message to the device', () => got.includes('hello'), 30);
    await client.close();
  });
}

for (const [type, expected] of [
  ['InvokeThrottling', errors.ThrottlingError],
  ['InvokeMaxMessageQuota', errors.IotHubQuotaExceededError],
  ['InvokeAuthError', errors.UnauthorizedError],
]) {
  test(`AMQP: ${type} refuses for its time, and the client stays connected`, { timeout: 60000 }, async () => {
    const client = await connect(await createDevice(), { transport: Amqp });
    client.setRetryPolicy(new NoRetry());
    client.on('disconnect', (error) => assert.fail(`disconnected: ${error}`));
    await client.sendEvent(new Message('before'));
    await client.sendEvent(fault(type, { duration: 2 }));
    await pause(200);
    await assert.rejects(client.sendEvent(new Message('refused')), expected);
    await pause(2500);
    await client.sendEvent(new Message('after'));
    client.removeAllListeners('disconnect');
    await client.close();
  });
}
