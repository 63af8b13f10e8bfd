'use strict';
// Every page in both themes and on a phone: without a finding of axe, and without a way to scroll sideways. With PICTURES set, a picture of each.
const { after, before, test } = require('node:test');
const assert = require('node:assert');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { start, end, open, audit, service, upload, edge, kiln, until, host } = require('./support');

const device_ = 'plant.truck-01.1';
const DAY = 24 * 3600_000;
const today = Math.floor(Date.now() / DAY) * DAY;
const yesterday = `from=${new Date(today - DAY).toISOString()}&to=${new Date(today).toISOString()}`;
const kilns = ['temperature', 'pressure'].flatMap((p, i) => [1, 2, 3].map((n) => ({ id: [`kiln-${n}`], p, c: 3 * i + n - 1, band: i ? 0 : 1 })));
const pages = [
  ['sign-in', '', /Sign in to/, { as: '' }],
  ['overview', '', /Messages today/],
  ['dashboard', 'dashboard?metric=temperature', /Chiller pressure/],
  ['alarms', 'alarms', /plant\.(truck|chiller)/],
  ['rules', 'rules', /Chiller pressure/],
  ['rule', 'rules', /Chiller pressure/, { act: async (page) => {
    await page.getByRole('button', { name: 'Edit Chiller pressure' }).click();
    await page.getByRole('button', { name: 'Add an action' }).click();
    await page.getByRole('group', { name: 'action 3' }).getByLabel('Recipients').fill('shift@plant.example');
    await page.getByRole('group', { name: 'action 1' }).scrollIntoViewIfNeeded();
  } }],
  ['alarm', 'alarms?rule=pressure', /plant\.chiller/, { act: async (page) => {
    await page.getByRole('region', { name: 'Alarms' }).getByRole('row').nth(1).getByRole('button').click();
    await page.getByText(/Call a webhook: waits/).waitFor();
  } }],
  ['groups', 'groups', /every device|Chillers/],
  ['maintenance', 'maintenance', /Truck too fast/],
  ['job', 'jobs/fleet-colour', /2 of 2 done/],
  ['devices', 'devices', /chiller/],
  ['identity', `devices/${device_}`, /Primary connection string/],
  ['twin', `devices/${device_}/twin`, /Reported properties/],
  ['telemetry', `devices/${device_}/telemetry?`, /latitude/],
  ['stored', 'devices/kiln-1/telemetry?show=stored', /last event/],
  ['method', `devices/${device_}/method`, /Nothing has been called/],
  ['modules', 'devices/edge-1/modules', /\$edgeAgent/],
  ['history', `devices/${device_}/history`, /tags/],
  ['diagnose', `devices/${device_}/diagnose`, /connected/],
  ['query', 'query', /Begin with/],
  ['series', `series?zone=utc&${yesterday}&s=${encodeURIComponent(JSON.stringify(kilns))}`, /kiln-3/],
  ['edge-devices', 'edge', /edge-1/],
  ['edge-device', 'edge/edge-1', /\$edgeHub/],
  ['jobs', 'jobs', /No jobs|fleet-colour/],
  ['set-modules', 'edge/edge-1/set-modules', /will put back/],
  ['deployments', 'deployments', /north-base/],
  ['deployment-metrics', 'deployments/north-base/metrics', /Reporting success/],
  ['deployment-modules', 'deployments/north-base/modules', /registry.local/],
  ['new-deployment', 'deployments?new=deployment', /Name and labels/],
  ['configurations', 'configurations', /cold-store/],
  ['configuration', 'configurations/cold-store', /Target devices/],
  ['message', `devices/${device_}/message`, /No message waits/],
  ['files', `devices/${device_}/files`, /today\.csv/],
  ['routes', 'routing', /too-hot/],
  ['endpoints', 'routing/endpoints', /unhealthy/],
  ['route-test', 'routing/test', /Nothing has been tried/, { act: async (page) => {
    await page.getByRole('button', { name: 'Test all routes' }).click();
    await page.getByText('Not matched').first().waitFor();
  } }],
  ['policies', 'policies', /registryReadWrite/, { act: (page) => page.getByRole('button', { name: 'Keys of service' }).click() }],
  ['certificates', 'certificates', /plant-ca/],
  ['ip-filter', 'network', /In their order/],
  ['properties', 'properties', /Messages today/],
  ['built-in-endpoint', 'events', /archive/],
  ['metrics', 'metrics', /Remove/],
  ['simulations', 'simulations', /Cold chain/, { act: (page) => page.getByText('28 of 28').waitFor({ timeout: 30000 }) }],
  ['simulation', 'simulations/cold-chain', /Device types|chiller-01/, { act: (page) => page.locator('.pill', { hasText: 'Running' }).first().waitFor({ timeout: 30000 }) }],
  ['new-simulation', 'simulations', /Cold chain/, { act: (page) => page.getByRole('button', { name: 'New simulation' }).click() }],
  ['device-models', 'simulations/$models', /truck-02/],
  ['device-model', 'simulations/$models/chiller-01', /MessageTemplate/],
  ['new-device-model', 'simulations/$models', /truck-02/, { act: (page) => page.getByRole('button', { name: 'New model' }).click() }],
  ['audit-log', 'records?category=DeviceIdentityOperations', /^127\.0\.0\.\D/],
];

const long = { overview: 32000, metrics: 130000, dashboard: 15000, simulation: 30000, stored: 1500 }; // ms: charts want points

let signedIn, runner;
before(async () => {
  await start();
  signedIn = await open();
  await edge('edge-1');
  for (const n of [1, 2, 3]) await kiln(`kiln-${n}`, today - DAY, n);
  await service('PATCH', '/twins/edge-1', { tags: { site: 'north' } });
  await until('the trucks', async () => (await service('GET', `/devices/${device_}`).catch(() => ({}))).connectionState === 'Connected', 40);
  await service('PATCH', `/twins/${device_}`, { tags: { site: 'north', customer: 'Contoso' } });
  for (const type of ['Chiller', 'Truck'])
    await service('PUT', `/config/v1/devicegroups/${type}`, { DisplayName: `${type}s`, Conditions: [{ Key: 'Properties.Reported.Type', Operator: 'EQ', Value: type }] });
  const rule = (id, more) => service('PUT', `/telemetry/v1/rules/${id}`, { Calculation: 'Instant', ...more });
  await rule('pressure', { Name: 'Chiller pressure', GroupId: 'Chiller', Severity: 'Critical', Conditions: [{ Field: 'pressure', Operator: 'GreaterThan', Value: '157' }],
    Actions: [{ Type: 'Webhook', Parameters: { Url: 'http://127.0.0.1:1/hooks', Body: { text: '${ruleName}: ${deviceId}' } } }, { Type: 'Message', Parameters: { Body: { valve: 'open' } } }] });
  await rule('speed', { Name: 'Truck too fast', GroupId: 'Truck', Severity: 'Warning', Conditions: [{ Field: 'speed', Operator: 'GreaterThan', Value: '30.8' }] });
  await rule('cold', { Name: 'Cargo too warm', GroupId: 'Truck', Severity: 'Info', Calculation: 'Average', TimePeriod: '300000',
    Conditions: [{ Field: 'temperature', Operator: 'GreaterThan', Value: '45' }, { Field: 'speed', Operator: 'GreaterThan', Value: '10' }] });
  const rules = async () => (await service('GET', '/telemetry/v1/alarmsbyrule')).Items.map((one) => one.Rule.Id); // other files have rules, too
  await until('alarms of both', async () => (await rules()).filter((id) => id === 'pressure' || id === 'speed').length === 2, 60);
  await service('PUT', '/jobs/v2/fleet-colour', { jobId: 'fleet-colour', type: 'scheduleUpdateTwin', queryCondition: "STARTSWITH(deviceId, 'plant.truck')",
    maxExecutionTimeInSeconds: 60, startTime: new Date().toISOString(), updateTwin: { etag: '*', tags: { colour: 'red' } } });
  const [{ name: hub }] = (await service('GET', '/subscriptions/s/providers/Microsoft.Devices/IotHubs')).value;
  await service('PUT', `/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/IotHubs/${hub}`, { properties: {
    ipFilterRules: [{ filterName: 'plant', action: 'Accept', ipMask: '127.0.0.0/8' }, { filterName: 'guests', action: 'Reject', ipMask: '203.0.113.0/24' }], routing: {
    endpoints: { custom: [{ name: 'alarms', type: 'webhook', to: 'http://127.0.0.1:1/alarms' }], storageContainers: [{ name: 'archive', containerName: 'archive', encoding: 'JSON' }] },
    routes: [{ name: 'too-hot', source: 'DeviceMessages', condition: '$body.temperature > 75 OR $body.speed >= 0', endpointNames: ['alarms', 'events'], isEnabled: true },
      { name: 'all-files', source: 'DeviceMessages', condition: 'true', endpointNames: ['archive'], isEnabled: false },
      { name: 'twins', source: 'TwinChangeEvents', condition: "$twin.tags.site = 'north'", endpointNames: ['events'], isEnabled: true }],
    enrichments: [{ key: 'site', value: '$twin.tags.site', endpointNames: ['alarms'] }] } } });
  await service('PUT', '/certificates/plant-ca', { properties: { certificate: fs.readFileSync(process.env.HUB_CA, 'utf8') } });
  const simulate = (id, Name, more) => service('PUT', `/devicesimulation/v1/simulations/${id}`, { Name, DeleteDevicesWhenSimulationEnds: true, ...more });
  const often = { Telemetry: [{ Interval: '00:00:02' }] };
  await simulate('cold-chain', 'Cold chain', { Description: 'Chillers of the stores and the trucks between them', DeviceModels: [{ Id: 'chiller-01', Count: 20, Override: often }, { Id: 'truck-01', Count: 8 }] });
  await simulate('night', 'Night shift', { StartTime: 'NOW+PT6H', EndTime: 'NOW+PT14H', DeviceModels: [{ Id: 'engine-01', Count: 250 }] });
  await simulate('load', 'Load test', { Enabled: false, DeviceModels: [{ Id: 'prototype-01', Count: 5000 }] });
  runner = spawn(path.join(process.env.BIN, 'skerry'), ['sim', 'follow', '--runner', 'plant'], { stdio: 'ignore', env: { ...process.env, SKERRY_CONNECTION_STRING: process.env.HUB_CS, SKERRY_CA_FILE: process.env.HUB_CA } });
  await upload(device_, 'logs/today.csv', 'time,speed\n10:00,42\n'.repeat(90), 'text/csv');
  await upload(device_, 'logs/yesterday.csv', 'time,speed\n10:00,41\n'.repeat(4000), 'text/csv');
  const module = (name) => ({ version: '1.0', type: 'docker', status: 'running', restartPolicy: 'always', settings: { image: `registry.local/${name}:1.4` } });
  const own = { type: 'process', settings: { command: ['skerry-edge'] } };
  await service('PUT', '/configurations/north-base', { id: 'north-base', priority: 10, targetCondition: "tags.site = 'north'", labels: { owner: 'plant' },
    metrics: { queries: { reporting: "SELECT deviceId FROM devices.modules WHERE moduleId = '$edgeAgent' AND properties.reported.lastDesiredStatus.code = 200" } },
    content: { modulesContent: { $edgeAgent: { 'properties.desired': { schemaVersion: '1.1', runtime: { type: 'docker', settings: {} },
      systemModules: { edgeAgent: own, edgeHub: { ...own, status: 'running', restartPolicy: 'always' } }, modules: { modbus: module('modbus'), filter: module('filter') } } },
    $edgeHub: { 'properties.desired': { schemaVersion: '1.1', routes: { upstream: 'FROM /messages/* INTO $upstream' }, storeAndForwardConfiguration: { timeToLiveSecs: 7200 } } },
    filter: { 'properties.desired': { limit: 250 } } } } });
  await service('PUT', '/configurations/north-camera', { id: 'north-camera', priority: 20, targetCondition: "tags.site = 'north' AND tags.camera = true",
    content: { modulesContent: { $edgeAgent: { 'properties.desired.modules.camera': module('camera') } } } });
  await service('PUT', '/configurations/cold-store', { id: 'cold-store', priority: 5, targetCondition: "STARTSWITH(deviceId, 'plant.chiller')",
    content: { deviceContent: { 'properties.desired.chiller': { temp: 70 } } } });
});
after(async () => {
  runner?.kill();
  for (const id of ['cold-chain', 'night', 'load']) await service('DELETE', `/devicesimulation/v1/simulations/${id}`); // other files count them
  await end();
});

for (const [name, at, holds, { act, ...how } = {}] of pages)
  test(`${name} is accessible in light and dark, and fits a phone`, async () => {
    const page = 'as' in how ? await open(at, how) : signedIn;
    if (page === signedIn) await page.goto(`https://${host}/portal/${at}`);
    await page.getByText(holds).first().waitFor();
    await act?.(page);
    await page.waitForTimeout(process.env.PICTURES ? (long[name] ?? 300) : 300);
    const picture = async (look) => {
      if (!process.env.PICTURES) return;
      fs.mkdirSync(process.env.PICTURES, { recursive: true });
      await page.screenshot({ path: path.join(process.env.PICTURES, `${name}-${look}.png`), fullPage: name === 'dashboard' && look !== 'phone' });
    };
    for (const colorScheme of ['dark', 'light']) {
      await page.emulateMedia({ colorScheme });
      assert.deepStrictEqual(await audit(page, colorScheme === 'dark' ? ['color-contrast'] : undefined), [], `${name}, ${colorScheme}`);
      await picture(colorScheme);
    }
    await page.setViewportSize({ width: 360, height: 740 });
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 360), `${name} is wider than a phone`);
    await picture('phone');
    await page.setViewportSize({ width: 1280, height: 820 });
  });
