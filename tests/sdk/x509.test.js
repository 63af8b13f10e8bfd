'use strict';
// Devices with certificates: by thumbprint and by CA, over every transport of the unmodified SDKs, at the hub and through the edge.
const test = require('node:test');
const assert = require('node:assert');
const fs = require('fs');
const path = require('path');
const { execFileSync } = require('child_process');
const { Client, Message, X509AuthenticationProvider } = require('azure-iot-device');
const { Amqp, AmqpWs } = require('azure-iot-device-amqp');
const { Http } = require('azure-iot-device-http');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');
const { at, certificate, thumbprint } = require('./certificates');
const { body, createDevice, events, host, registry, report, until } = require('./support');

const hubCa = fs.readFileSync(process.env.HUB_CA, 'utf8');
const edgeCa = path.join(process.env.EDGE_DATA, 'certificates', 'edge-ca.pem');
const skerry = (...args) => JSON.parse(execFileSync(`${process.env.BIN}/skerry`, [...args, '--output', 'json']).toString() || 'null');

async function connect(deviceId, { cert, key }, transport, { gateway, ca = hubCa } = {}) {
  const provider = new X509AuthenticationProvider({ deviceId, host, gatewayHostName: gateway, x509: { cert, key } });
  const client = Client.fromAuthenticationProvider(provider, transport);
  if (transport !== Http) await client.setOptions({ ca }); // of HTTP the SDK never says that it is done
  await client.open();
  return client;
}

async function works(deviceId, credentials, transport, options) {
  const client = await connect(deviceId, credentials, transport, options);
  await client.sendEvent(new Message('"proved"'));
  if (transport !== Http) await report(await client.getTwin(), { by: 'certificate' });
  await client.close();
  const [event] = await events(deviceId, 1);
  assert.strictEqual(event.body, 'proved');
  assert.match(event.systemProperties.connectionAuthMethod, /"type":"x509"/);
}

const refused = (...args) => assert.rejects(connect(...args).then((client) => client.close()));

const transports = { Mqtt, MqttWs, Amqp, AmqpWs, Http };

for (const [name, transport] of Object.entries(transports)) {
  test(`${name}: thumbprints, SHA-1 and SHA-256, primary and secondary`, async () => {
    const one = certificate('one', 'whatever'), two = certificate('two', 'other');
    const device = await createDevice({ authentication: { type: 'selfSigned',
      x509Thumbprint: { primaryThumbprint: thumbprint('one', 'sha1').toLowerCase(), secondaryThumbprint: thumbprint('two', 'sha256') } } });
    assert.strictEqual(device.authentication.x509Thumbprint.primaryThumbprint, thumbprint('one', 'sha1'));
    await works(device.deviceId, one, transport);
    await works(device.deviceId, two, transport);
    if (transport === Mqtt || transport === MqttWs) await refused(device.deviceId, certificate('three', device.deviceId), transport);
  });
}

test('a CA counts once possession of its key is proved', async () => {
  certificate('ca', 'Factory root', null, { ca: true, days: 300 });
  const added = skerry('certificate', 'add', 'factory', at('ca.pem'));
  const code = added.properties.verificationCode;
  assert.match(code, /^[0-9A-F]{48}$/);
  const device = await createDevice({ authentication: { type: 'certificateAuthority' } });
  const leaf = certificate('leaf', device.deviceId, 'ca');
  await refused(device.deviceId, leaf, Mqtt);
  certificate('wrong', 'not the code', 'ca');
  assert.throws(() => skerry('certificate', 'verify', 'factory', at('wrong.pem')), /common name is not the verification code/);
  certificate('forged', code, null);
  assert.throws(() => skerry('certificate', 'verify', 'factory', at('forged.pem')));
  certificate('proof', code, 'ca');
  assert.strictEqual(skerry('certificate', 'verify', 'factory', at('proof.pem')).properties.isVerified, true);
  for (const transport of Object.values(transports)) await works(device.deviceId, leaf, transport);

  certificate('middle', 'Line 1', 'ca', { ca: true });
  const below = certificate('below', device.deviceId, 'middle');
  await works(device.deviceId, { cert: below.cert + fs.readFileSync(at('middle.pem')), key: below.key }, Mqtt);
  await refused(device.deviceId, below, Mqtt); // the intermediate is missing
  await refused(device.deviceId, certificate('stranger', 'stranger', 'ca'), Mqtt);

  execFileSync(`${process.env.BIN}/skerry`, ['certificate', 'remove', 'factory']);
  assert.ok(!skerry('certificate', 'list').some((one) => one.name === 'factory'));
  await refused(device.deviceId, leaf, Mqtt);
});

test('leaves with certificates work through the edge: by thumbprint, and by a CA of its trust bundle', async () => {
  const routes = { up: 'FROM /messages/* INTO $upstream' };
  await registry.applyConfigurationContentOnDevice('edge-sdk', { modulesContent: { $edgeHub: { 'properties.desired': { schemaVersion: '1.1', routes } } } });
  const credentials = certificate('leaf2', 'leaf2');
  const parent = await body(registry.get('edge-sdk'));
  const device = await createDevice({ deviceScope: parent.deviceScope,
    authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: thumbprint('leaf2', 'sha256') } } });
  const gateway = { gateway: process.env.EDGE_HOST, ca: fs.readFileSync(edgeCa, 'utf8') };
  const through = async (deviceId, pair) => {
    for (const transport of [Mqtt, MqttWs, Amqp, AmqpWs]) {
      await until('the edge to know the leaf', () => connect(deviceId, pair, transport, gateway)
        .then((client) => client.sendEvent(new Message('"through"')).then(() => client.close()).then(() => true), () => false));
    }
    assert.strictEqual((await events(deviceId, 4))[3].body, 'through');
  };
  await through(device.deviceId, credentials);
  await refused(device.deviceId, certificate('leaf3', 'leaf3'), Mqtt, gateway);

  for (const kind of ['pem', 'key']) fs.copyFileSync(`${process.env.LEAF_CA}.${kind}`, at(`leaves.${kind}`));
  const signed = await createDevice({ deviceScope: parent.deviceScope, authentication: { type: 'certificateAuthority' } });
  await through(signed.deviceId, certificate('leaf4', signed.deviceId, 'leaves'));
  await refused(signed.deviceId, certificate('leaf5', 'leaf5', 'leaves'), Mqtt, gateway);
  await refused(signed.deviceId, certificate('leaf6', signed.deviceId), Mqtt, gateway);
});
