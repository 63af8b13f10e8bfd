'use strict';
// azure-iot-device over MQTT and AMQP over WebSocket, unmodified, against the hub and through the edge; and what a browser or a broken client sees.
const test = require('node:test');
const assert = require('node:assert');
const fs = require('fs');
const path = require('path');
const tls = require('tls');
const { AmqpWs } = require('azure-iot-device-amqp');
const { MqttWs } = require('azure-iot-device-mqtt');
const { Message } = require('azure-iot-device');
const { body, connect, createDevice, events, host, pause, registry, report, service } = require('./support');

const edge = process.env.EDGE_HOST;

async function works(device, transport, options) {
  const client = await connect(device, { transport, ...options });
  await client.sendEvent(new Message('"small"'));
  await client.sendEvent(new Message(JSON.stringify('x'.repeat(200 * 1024)))); // in many frames and TLS records
  const twin = await client.getTwin();
  await report(twin, { over: 'websocket' });
  client.onDeviceMethod('echo', (request, response) => response.send(200, request.payload));
  await pause(300);
  const answer = await service.invokeDeviceMethod(device.deviceId, { methodName: 'echo', payload: { a: 1 } });
  assert.deepStrictEqual(answer.result, { status: 200, payload: { a: 1 } });
  await client.close();
  const [first, second] = await events(device.deviceId, 2);
  assert.strictEqual(first.body, 'small');
  assert.strictEqual(second.body.length, 200 * 1024);
}

for (const [name, transport] of Object.entries({ MqttWs, AmqpWs })) {
  test(`${name}: telemetry, twin and methods work`, async () => {
    const device = await createDevice();
    await works(device, transport);
    const seen = await body(registry.getTwin(device.deviceId));
    assert.strictEqual(seen.properties.reported.over, 'websocket');
  });

  test(`${name}: the same through the edge`, async () => {
    const routes = { up: 'FROM /messages/* INTO $upstream' };
    await registry.applyConfigurationContentOnDevice('edge-sdk', { modulesContent: { $edgeHub: { 'properties.desired': { schemaVersion: '1.1', routes } } } });
    const parent = await body(registry.get('edge-sdk'));
    await works(await createDevice({ deviceScope: parent.deviceScope }), transport, { gateway: edge, ca: path.join(process.env.EDGE_DATA, 'certificates', 'edge-ca.pem') });
  });
}

// The answer to an upgrade, byte for byte.
function upgrade(headers, target = '/$iothub/websocket') {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host, port: 443, ca: fs.readFileSync(process.env.HUB_CA) }, () => {
      const lines = { Host: host, Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Protocol': 'mqtt', ...headers };
      socket.write(`GET ${target} HTTP/1.1\r\n` + Object.entries(lines).map(([k, v]) => `${k}: ${v}\r\n`).join('') + '\r\n');
    });
    let text = '';
    socket.on('data', (data) => {
      text += data.toString('latin1');
      if (text.includes('\r\n\r\n')) resolve({ status: Number(text.split(' ')[1]), text, socket });
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('closed')));
  });
}

test('sub-protocol, path and origin decide about the upgrade', async () => {
  const cases = [
    [101, {}], [101, {}, '/%24iothub/websocket?iothub-no-client-cert=true'], [101, {}, '/$servicebus/websocket'],
    [101, { 'Sec-WebSocket-Protocol': 'soap, mqtt' }], [400, { 'Sec-WebSocket-Protocol': 'soap' }], [400, { Upgrade: 'h2c' }],
    [101, { Origin: `https://${host}` }], [403, { Origin: 'https://elsewhere.example' }], [426, { 'Sec-WebSocket-Version': '8' }],
  ];
  for (const [status, headers, target] of cases) {
    const answer = await upgrade(headers, target);
    assert.strictEqual(answer.status, status, `${JSON.stringify(headers)} ${target}: ${answer.text}`);
    if (status === 101) assert.match(answer.text, /Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n(.*\r\n)*Sec-WebSocket-Protocol: mqtt\r\n/);
    answer.socket.destroy();
  }
});

test('a frame without a mask closes with 1002', async () => {
  const { socket } = await upgrade({});
  const answer = new Promise((resolve) => socket.on('data', resolve));
  socket.write(Buffer.from([0x82, 0x01, 0x10]));
  assert.deepStrictEqual([...await answer], [0x88, 2, 0x03, 0xea]);
  await new Promise((resolve) => socket.on('close', resolve));
});
