'use strict';
// Unmodified SDK programs through the edge: leaf devices with GatewayHostName, modules with ModuleClient.fromEnvironment.
const test = require('node:test');
const assert = require('node:assert');
const path = require('path');
const { Message } = require('azure-iot-device');
const { body, connect, createDevice, deployment, edgeId, events, gateway, leaf, leafUp, pause, registry, report, service, until } = require('./support');

const nodeModule = {
  version: '1.0', type: 'process', status: 'running', restartPolicy: 'always',
  settings: { command: [process.execPath, path.join(__dirname, 'programs', 'module.js')] },
};
const moduleRoutes = {
  ...leafUp,
  toModule: 'FROM /messages/* WHERE NOT IS_DEFINED($connectionModuleId) AND forModule = \'yes\' INTO BrokeredEndpoint("/modules/echo/inputs/in")',
  fromModule: 'FROM /messages/modules/echo/outputs/out INTO $upstream',
};

const agentReported = async () => (await body(registry.getModuleTwin(edgeId, '$edgeAgent'))).properties.reported;

test('a deployment with a module in Node runs and is reported', { timeout: 60000 }, async () => {
  await registry.applyConfigurationContentOnDevice(edgeId, deployment({ echo: nodeModule }, moduleRoutes, { echo: { greeting: 'hello' } }));
  await until('echo running', async () => {
    const reported = await agentReported();
    return reported.modules && reported.modules.echo && reported.modules.echo.runtimeStatus === 'running' && reported.lastDesiredStatus.code === 200;
  }, 40);
  await until('the module has read its twin', async () =>
    (await body(registry.getModuleTwin(edgeId, 'echo'))).properties.reported.greeting === 'hello', 40);
});

test('a leaf device sends through the gateway with its own credentials', { timeout: 60000 }, async () => {
  const device = await leaf();
  const client = await connect(device, gateway);
  await Promise.all([...Array(20).keys()].map((i) => client.sendEvent(new Message(String(i)))));
  const stored = await events(device.deviceId, 20);
  assert.deepStrictEqual(stored.map((event) => event.body), [...Array(20).keys()]);
  await client.close();
});

test('a leaf that is not a child, or has a wrong key, is refused', { timeout: 60000 }, async () => {
  await assert.rejects(connect(await createDevice(), gateway), { name: 'UnauthorizedError' });
  const device = await leaf();
  device.authentication.symmetricKey.primaryKey = Buffer.alloc(32).toString('base64');
  await assert.rejects(connect(device, gateway), { name: 'UnauthorizedError' });
});

test("a leaf's twin and methods work through the gateway", { timeout: 60000 }, async () => {
  const device = await leaf();
  const client = await connect(device, gateway);
  const twin = await client.getTwin();
  await report(twin, { state: 'fine' });
  await until('reported upstream', async () => (await body(registry.getTwin(device.deviceId))).properties.reported.state === 'fine');
  const changed = new Promise((resolve) => twin.on('properties.desired.speed', resolve));
  await pause(500);
  await registry.updateTwin(device.deviceId, { properties: { desired: { speed: 9 } } }, '*');
  assert.strictEqual(await changed, 9);
  client.onDeviceMethod('ping', (request, response) => response.send(200, { pong: request.payload }));
  const answer = await service.invokeDeviceMethod(device.deviceId, { methodName: 'ping', payload: 7, connectTimeoutInSeconds: 10 });
  assert.deepStrictEqual(answer.result, { status: 200, payload: { pong: 7 } });
  await client.close();
});

test('ModuleClient.fromEnvironment gets inputs, sends outputs, answers methods and follows its twin', { timeout: 60000 }, async () => {
  const device = await leaf();
  const client = await connect(device, gateway);
  const message = new Message(JSON.stringify({ n: 1 }));
  message.contentType = 'application/json';
  message.contentEncoding = 'utf-8';
  message.properties.add('forModule', 'yes');
  await client.sendEvent(message);
  const echoed = (await events(edgeId, 1)).find((event) => event.moduleId === 'echo');
  assert.deepStrictEqual(echoed.body, { n: 1 });
  assert.strictEqual(echoed.properties.echoed, 'in');
  await client.close();
  const answer = await service.invokeDeviceMethod(edgeId, 'echo', { methodName: 'hello', payload: 'you', connectTimeoutInSeconds: 10 });
  assert.deepStrictEqual(answer.result, { status: 200, payload: { hello: 'you' } });
  await registry.updateModuleTwin(edgeId, 'echo', { properties: { desired: { greeting: 'bye' } } }, '*');
  await until('the change', async () => (await body(registry.getModuleTwin(edgeId, 'echo'))).properties.reported.greeting === 'bye');
});

test('a bad deployment is reported, and the running one stays', { timeout: 60000 }, async () => {
  await registry.updateModuleTwin(edgeId, '$edgeHub', { properties: { desired: { routes: { bad: 'FROM /messages/* INTO nowhere' } } } }, '*');
  const status = await until('400', async () => {
    const reported = (await body(registry.getModuleTwin(edgeId, '$edgeHub'))).properties.reported;
    return reported.lastDesiredStatus && reported.lastDesiredStatus.code === 400 && reported.lastDesiredStatus;
  });
  assert.match(status.description, /route bad: line 1, column/);
  const device = await leaf();
  const client = await connect(device, gateway);
  await client.sendEvent(new Message('still'));
  await events(device.deviceId, 1);
  await client.close();
  await registry.updateModuleTwin(edgeId, '$edgeHub', { properties: { desired: { routes: { bad: null } } } }, '*');
  await until('200', async () => (await body(registry.getModuleTwin(edgeId, '$edgeHub'))).properties.reported.lastDesiredStatus.code === 200);
});

test('a module that is killed comes back', { timeout: 60000 }, async () => {
  const before = (await agentReported()).modules.echo.restartCount;
  await service.invokeDeviceMethod(edgeId, 'echo', { methodName: 'die', payload: null, connectTimeoutInSeconds: 10 });
  await until('restarted', async () => {
    const module = (await agentReported()).modules.echo;
    return module.restartCount > before && module.runtimeStatus === 'running';
  }, 40);
});
