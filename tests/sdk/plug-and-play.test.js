'use strict';
// Plug and Play: azure-iothub's DigitalTwinClient and azure-iot-device, both unmodified, as their samples use them;
// Node says its model over MQTT only.
const test = require('node:test');
const assert = require('node:assert');
const fs = require('fs');
const { DigitalTwinClient, IoTHubTokenCredentials } = require('azure-iothub');
const { Client } = require('azure-iot-device');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');
const { connectionString, createDevice, deviceString, until } = require('./support');

const model = 'dtmi:com:example:TemperatureController;1';
const twins = new DigitalTwinClient(new IoTHubTokenCredentials(connectionString));
const view = async (id) => (await twins.getDigitalTwin(id))._response.parsedBody || (await twins.getDigitalTwin(id));

for (const [name, transport] of Object.entries({ MQTT: Mqtt, 'MQTT-WS': MqttWs })) {
  test(`a device with components is read, patched and commanded over ${name}`, async () => {
    const device = await createDevice();
    const client = Client.fromConnectionString(deviceString(device), transport);
    await client.setOptions({ modelId: model, ca: fs.readFileSync(process.env.HUB_CA, 'utf8') });
    await client.open();
    const twin = await client.getTwin();
    await new Promise((resolve, reject) => twin.properties.reported.update(
      { serialNumber: 'alwinexlepaho8329', thermostat1: { __t: 'c', maxTempSinceLastReboot: 25.5 } },
      (error) => (error ? reject(error) : resolve())));
    twin.on('properties.desired', (delta) => {
      const target = delta.thermostat1 && delta.thermostat1.targetTemperature;
      if (target === undefined) return;
      twin.properties.reported.update({ thermostat1: { __t: 'c',
        targetTemperature: { value: target, ac: 200, ad: 'Successfully executed patch', av: delta.$version } } }, () => {});
    });
    client.onDeviceMethod('reboot', (request, response) => response.send(200, { delay: request.payload }));
    client.onDeviceMethod('thermostat1*getMaxMinReport', (request, response) => response.send(202, `since ${request.payload}`));

    const before = await until('the model', async () => {
      const one = await view(device.deviceId);
      return one.$metadata.$model && one;
    });
    assert.strictEqual(before.$dtId, device.deviceId);
    assert.strictEqual(before.$metadata.$model, model);
    assert.strictEqual(before.serialNumber, 'alwinexlepaho8329');
    assert.strictEqual(before.thermostat1.maxTempSinceLastReboot, 25.5);
    assert.ok(before.thermostat1.$metadata.maxTempSinceLastReboot.lastUpdateTime);

    await twins.updateDigitalTwin(device.deviceId, [{ op: 'add', path: '/thermostat1/targetTemperature', value: 21.5 }]);
    const after = await until('the acknowledgement', async () => {
      const one = await view(device.deviceId);
      return one.thermostat1.targetTemperature === 21.5 && one;
    });
    const known = after.thermostat1.$metadata.targetTemperature;
    assert.strictEqual(known.desiredValue, 21.5);
    assert.strictEqual(known.ackCode, 200);
    assert.strictEqual(known.ackVersion, known.desiredVersion);
    await assert.rejects(twins.updateDigitalTwin(device.deviceId, [{ op: 'add', path: '/a', value: 1 }], '"AAAAAAAAAAA="'),
      (error) => error.statusCode === 412);
    await assert.rejects(twins.updateDigitalTwin(device.deviceId, [{ op: 'move', path: '/a' }]), (error) => error.statusCode === 400);

    const rebooted = await twins.invokeCommand(device.deviceId, 'reboot', 3);
    assert.strictEqual(rebooted.xMsCommandStatuscode, 200);
    assert.ok(rebooted.xMsRequestId);
    assert.strictEqual((rebooted.body || rebooted).delay, 3);
    const report = await twins.invokeComponentCommand(device.deviceId, 'thermostat1', 'getMaxMinReport', '2026-11-28T00:00:00Z',
      { connectTimeoutInSeconds: 1, responseTimeoutInSeconds: 10 });
    assert.strictEqual(report.xMsCommandStatuscode, 202);
    assert.strictEqual(report.body, 'since 2026-11-28T00:00:00Z');
    await client.close();
    await assert.rejects(twins.invokeCommand(device.deviceId, 'reboot', 3), (error) => error.statusCode === 404);
    await assert.rejects(twins.getDigitalTwin('nobody'), (error) => error.statusCode === 404);
  });
}
