'use strict';
// Every protocol with every kind of credential: what a device and a module do, on one client each, against the hub.
const nodeTest = require('node:test');
const assert = require('node:assert');
const fs = require('fs');
const { execFileSync } = require('child_process');
const { Client, Message, ModuleClient, SharedAccessKeyAuthenticationProvider, X509AuthenticationProvider } = require('azure-iot-device');
const { Amqp, AmqpWs } = require('azure-iot-device-amqp');
const { Http } = require('azure-iot-device-http');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');
const { Message: ServiceMessage } = require('azure-iot-common');
const { at, certificate, thumbprint } = require('./certificates');
const { body, createDevice, events, host, registry, report, service, uniqueId, until } = require('./support');

const hubCa = fs.readFileSync(process.env.HUB_CA, 'utf8');
const protocols = { MQTT: Mqtt, 'MQTT-WS': MqttWs, AMQP: Amqp, 'AMQP-WS': AmqpWs, HTTPS: Http };
const settles = [Amqp, AmqpWs, Http]; // MQTT completes, and that is all

nodeTest.before(() => {
  certificate('matrix-ca', 'matrix', null, { ca: true });
  const skerry = (...args) => execFileSync(`${process.env.BIN}/skerry`, [...args, '--output', 'json']).toString();
  const { properties } = JSON.parse(skerry('certificate', 'add', 'matrix', at('matrix-ca.pem')));
  certificate('matrix-proof', properties.verificationCode, 'matrix-ca');
  skerry('certificate', 'verify', 'matrix', at('matrix-proof.pem'));
});
nodeTest.after(() => execFileSync(`${process.env.BIN}/skerry`, ['certificate', 'remove', 'matrix']));

// How an identity proves itself: what the registry has to know of it, and the SDK's provider for it.
const credentials = {
  SAS: {
    authentication: () => ({ type: 'sas' }),
    provider: (identity) => {
      const of = identity.moduleId ? `;ModuleId=${identity.moduleId}` : '';
      const key = identity.authentication.symmetricKey.primaryKey;
      return SharedAccessKeyAuthenticationProvider.fromConnectionString(`HostName=${host};DeviceId=${identity.deviceId}${of};SharedAccessKey=${key}`);
    },
  },
  thumbprint: {
    authentication: (name) => {
      certificate(name, name);
      return { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: thumbprint(name, 'sha256') } };
    },
  },
  CA: {
    authentication: (name, common) => {
      certificate(name, common, 'matrix-ca');
      return { type: 'certificateAuthority' };
    },
  },
};
const x509Provider = (identity, name) => new X509AuthenticationProvider({ deviceId: identity.deviceId, moduleId: identity.moduleId, host,
  x509: { cert: fs.readFileSync(at(`${name}.pem`), 'utf8'), key: fs.readFileSync(at(`${name}.key`), 'utf8') } });

async function open(Kind, credential, identity, name, transport) {
  const provider = credential.provider ? credential.provider(identity) : x509Provider(identity, name);
  const client = Kind.fromAuthenticationProvider(provider, transport);
  if (transport !== Http) await client.setOptions({ ca: hubCa }); // of HTTP the SDK never says that it is done
  await client.open();
  return client;
}

async function telemetry(client, deviceId, batch) {
  const message = new Message(JSON.stringify({ value: 1 }));
  message.contentType = 'application/json';
  message.contentEncoding = 'utf-8';
  message.properties.add('alert', 'yes');
  await client.sendEvent(message);
  if (batch) await client.sendEventBatch([new Message('"two"'), new Message('"three"')]);
  const seen = await events(deviceId, batch ? 3 : 1);
  assert.deepStrictEqual(seen.map((event) => event.body), batch ? [{ value: 1 }, 'two', 'three'] : [{ value: 1 }]);
  assert.strictEqual(seen[0].properties.alert, 'yes');
}

async function twin(client, read, update) {
  const own = await client.getTwin();
  await report(own, { firmware: '1.0' });
  assert.strictEqual((await body(read())).properties.reported.firmware, '1.0');
  const changed = new Promise((resolve) => own.on('properties.desired.interval', resolve));
  await report(own, { subscribed: true }); // its answer comes behind the subscription
  await update({ properties: { desired: { interval: 7 } } });
  assert.strictEqual(await changed, 7);
}

async function methods(client, invoke) {
  client.onDeviceMethod?.('reset', (request, response) => response.send(200, { was: request.payload }));
  client.onMethod?.('reset', (request, response) => response.send(200, { was: request.payload }));
  const answer = await until('the handler', () => invoke({ methodName: 'reset', payload: { level: 3 }, responseTimeoutInSeconds: 10 })
    .then((result) => (result.result || result.responseBody), () => null));
  assert.deepStrictEqual(answer.payload, { was: { level: 3 } });
}

// Every outcome that the protocol has: abandoned once, then completed; and one rejected.
async function cloudToDevice(client, deviceId, transport) {
  const seen = [], waiting = [];
  client.on('message', (message) => (waiting.length ? waiting.shift()(message) : seen.push(message)));
  const next = () => (seen.length ? Promise.resolve(seen.shift()) : new Promise((resolve) => waiting.push(resolve)));
  const send = async (text) => service.send(deviceId, new ServiceMessage(text));
  await send('one');
  let message = await next();
  assert.strictEqual(message.getData().toString(), 'one');
  if (settles.includes(transport)) {
    await client.abandon(message);
    message = await next();
    assert.strictEqual(message.getData().toString(), 'one');
  }
  await client.complete(message);
  if (settles.includes(transport)) {
    await send('no');
    await client.reject(await next());
  }
  await send('two');
  message = await next();
  assert.strictEqual(message.getData().toString(), 'two');
  await client.complete(message);
}

nodeTest.before(() => service.open());
nodeTest.after(() => service.close());

for (const [protocol, transport] of Object.entries(protocols))
  for (const [kind, credential] of Object.entries(credentials)) {
    nodeTest(`${protocol}, ${kind}: a device`, { timeout: 60000 }, async () => {
      const deviceId = uniqueId('matrix'), name = `${deviceId}-device`;
      const device = await createDevice({ deviceId, authentication: credential.authentication(name, deviceId) });
      const client = await open(Client, credential, device, name, transport);
      await telemetry(client, deviceId, transport === Http);
      if (transport === Http) client.setOptions({ http: { receivePolicy: { interval: 1 } } });
      await cloudToDevice(client, deviceId, transport);
      if (transport !== Http) {
        await twin(client, () => registry.getTwin(deviceId), (patch) => registry.updateTwin(deviceId, patch, '*'));
        await methods(client, (call) => service.invokeDeviceMethod(deviceId, call));
      }
      await client.close();
    });

    if (transport === Http) continue; // the SDK's modules do not speak it
    nodeTest(`${protocol}, ${kind}: a module`, { timeout: 60000 }, async () => {
      const { deviceId } = await createDevice(), moduleId = 'module-1', name = `${deviceId}-module`;
      await registry.addModule({ deviceId, moduleId, authentication: credential.authentication(name, `${deviceId}/${moduleId}`) });
      const identity = await body(registry.getModule(deviceId, moduleId));
      const client = await open(ModuleClient, credential, identity, name, transport);
      await telemetry(client, deviceId, false);
      await twin(client, () => registry.getModuleTwin(deviceId, moduleId), (patch) => registry.updateModuleTwin(deviceId, moduleId, patch, '*'));
      await methods(client, (call) => service.invokeDeviceMethod(deviceId, moduleId, call));
      await client.close();
    });
  }
