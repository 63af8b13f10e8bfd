'use strict';
// What manages many devices and the hub itself.
const { after, before, test } = require('node:test');
const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { start, end, open, ask, service, asDevice, device, upload, edge, until } = require('./support');

before(async () => {
  await start();
  await edge('line-1');
  await edge('line-2');
  await edge('line-3'); // no deployment is for it
  for (const id of ['line-1', 'line-2']) await service('PATCH', `/twins/${id}`, { tags: { line: 'weld' } });
});
after(end);

const quiet = (page) => assert.deepStrictEqual(page.said, []);
const next = (page) => page.getByRole('button', { name: 'Next' }).click();
const desired = async (id, module) => (await service('GET', `/twins/${id}/modules/${module}`)).properties.desired;

test('a deployment is made step by step, converges, is retargeted and deleted', async () => {
  const page = await open('deployments?new=deployment');
  assert.ok(await page.getByRole('button', { name: 'Next' }).isDisabled());
  await page.getByLabel('Id', { exact: true }).fill('Base');
  await page.getByText('1 to 128 lower-case letters').first().waitFor();
  await page.getByLabel('Id', { exact: true }).fill('base');
  await page.getByRole('button', { name: 'Add a label' }).click();
  await page.getByLabel('Name', { exact: true }).fill('owner');
  await page.getByLabel('Value', { exact: true }).fill('weld');
  await next(page);
  await page.getByRole('button', { name: 'Add a module' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Module name').fill('filter');
  assert.ok(await dialog.getByRole('button', { name: 'Add', exact: true }).isDisabled()); // it has no image
  await dialog.getByLabel('Image', { exact: true }).fill('registry.local/filter:1.0');
  await dialog.getByLabel('Startup order').fill('2');
  await dialog.getByRole('button', { name: 'Add a variable' }).click();
  await dialog.getByLabel('Name', { exact: true }).fill('LEVEL');
  await dialog.getByLabel('Value', { exact: true }).fill('debug');
  await dialog.getByLabel('Container create options').fill('{"HostConfig": {"Privileged": ');
  await dialog.getByText('The create options are not JSON.').waitFor();
  await dialog.getByLabel('Container create options').fill(JSON.stringify({ Labels: { long: 'x'.repeat(600) } })); // goes in two parts
  await dialog.getByLabel('Module twin’s desired properties').fill('{"rate": 5}');
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByRole('cell', { name: 'registry.local/filter:1.0' }).waitFor();
  await next(page);
  await page.getByRole('button', { name: 'Add a route' }).click();
  await page.getByRole('group', { name: 'route 2' }).getByLabel('Name').fill('alerts');
  await page.getByRole('group', { name: 'route 2' }).getByLabel('Route', { exact: true }).fill('FROM /messages/modules/filter/outputs/alerts INTO $upstream');
  await page.getByRole('group', { name: 'route 2' }).getByLabel('Priority').fill('0');
  await next(page);
  await page.getByRole('button', { name: 'Add a metric' }).click();
  await page.getByLabel('Name', { exact: true }).fill('welds');
  await page.getByLabel('Query', { exact: true }).fill("SELECT deviceId FROM devices WHERE tags.line = 'weld'");
  await next(page);
  await page.getByLabel('Target condition').fill("deviceId = 'line-1'");
  await page.getByRole('button', { name: 'View devices' }).click();
  await page.getByRole('link', { name: 'line-1' }).waitFor();
  await next(page);
  await page.getByRole('button', { name: 'Create' }).click();
  await page.getByRole('heading', { name: 'IoT Edge deployments' }).waitFor();
  await until('the deployment', async () => (await desired('line-1', 'filter').catch(() => ({}))).rate === 5);
  const agent = await desired('line-1', '$edgeAgent');
  assert.deepStrictEqual(agent.modules.filter.env, { LEVEL: { value: 'debug' } });
  assert.strictEqual(agent.modules.filter.startupOrder, 2);
  assert.strictEqual(JSON.parse(agent.modules.filter.settings.createOptions + agent.modules.filter.settings.createOptions01).Labels.long.length, 600);
  assert.strictEqual((await desired('line-1', '$edgeHub')).routes.alerts.priority, 0);
  await until('its counts', async () => {
    await page.getByRole('button', { name: 'Refresh' }).click();
    return /Deployment\s+deviceId = 'line-1'\s+10\s+1\s+1\s+0\s+0\s+welds: 2/.test(await page.getByRole('row', { name: /Choose base/ }).innerText());
  });

  await page.getByRole('link', { name: 'base', exact: true }).click();
  await page.getByLabel('Target condition').fill("tags.line = 'weld'");
  await page.getByLabel('Priority').fill('-1');
  assert.ok(await page.getByRole('button', { name: 'Save' }).isDisabled());
  await page.getByLabel('Priority').fill('12');
  await page.getByRole('button', { name: 'View devices' }).click();
  await page.getByRole('link', { name: 'line-2' }).waitFor();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved.').waitFor();
  assert.strictEqual((await service('GET', '/configurations/base')).priority, 12);
  await page.getByLabel('Parts of base').getByRole('link', { name: 'Metrics' }).click();
  await page.getByLabel('Metric', { exact: true }).selectOption({ label: 'welds' });
  await page.getByRole('region', { name: 'Rows of welds' }).getByRole('link', { name: 'line-2' }).waitFor();
  await page.getByRole('link', { name: 'Modules' }).click();
  await page.getByRole('cell', { name: '{"rate":5}' }).waitFor();
  await page.getByRole('link', { name: 'Routes' }).click();
  await page.getByText('INTO $upstream').first().waitFor();
  await page.getByRole('link', { name: 'Labels' }).click();
  await page.getByLabel('Value').fill('paint');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved.').last().waitFor();
  assert.deepStrictEqual((await service('GET', '/configurations/base')).labels, { owner: 'paint' });
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByText('the modules stay as they are').waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('base is deleted.').waitFor();
  await assert.rejects(service('GET', '/configurations/base'), /404/);
  quiet(page);
  await page.context().close();
});

test('a layer changes a deployment by paths', async () => {
  const page = await open('deployments?new=layered');
  await page.getByLabel('Id', { exact: true }).fill('camera');
  await next(page);
  await page.getByRole('button', { name: 'Add a module' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Module name').fill('camera');
  await dialog.getByLabel('Image', { exact: true }).fill('registry.local/camera:1.0');
  await dialog.getByLabel('Path of the twin’s settings').fill('lens');
  await dialog.getByLabel('Module twin’s desired properties').fill('{"zoom": 2}');
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  for (let i = 0; i < 4; i++) await next(page);
  await page.getByText('Without a target condition it is for nobody.').waitFor();
  await page.getByRole('button', { name: 'Create' }).click();
  await page.getByRole('cell', { name: 'Layered deployment' }).first().waitFor();
  const { modulesContent } = (await service('GET', '/configurations/camera')).content;
  assert.deepStrictEqual(Object.keys(modulesContent.$edgeAgent), ['properties.desired.modules.camera']);
  assert.deepStrictEqual(modulesContent.camera, { 'properties.desired.lens': { zoom: 2 } });
  quiet(page);
  await page.context().close();
});

test('a configuration gives devices what its lines say', async () => {
  const page = await open('configurations?new=devices');
  await page.getByLabel('Id', { exact: true }).fill('cold');
  await next(page);
  await page.getByLabel('Path').fill('chiller.temp');
  await page.getByLabel('Value').fill('warm');
  await page.getByText('a text is in quotes', { exact: false }).first().waitFor();
  assert.ok(await page.getByRole('button', { name: 'Next' }).isDisabled());
  await page.getByLabel('Value').fill('70');
  await next(page);
  await next(page);
  await page.getByLabel('Target condition').fill("tags.line = 'weld'");
  await next(page);
  await page.getByRole('button', { name: 'Create' }).click();
  await page.getByRole('link', { name: 'cold', exact: true }).waitFor();
  await until('the property', async () => (await service('GET', '/twins/line-2')).properties.desired.chiller?.temp === 70);
  await page.getByLabel('Choose cold', { exact: true }).check();
  await page.getByRole('button', { name: 'Delete (1)' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('cold is deleted.').waitFor();
  await until('the row', async () => (await page.getByLabel('Choose cold', { exact: true }).count()) === 0);
  quiet(page);
  await page.context().close();
});

test('modules of one edge device are set, beginning with what it has', async () => {
  const page = await open('edge/line-3');
  await page.getByRole('link', { name: 'Set modules' }).click();
  await page.getByRole('button', { name: 'Edit filtermodule' }).click();
  const dialog = page.getByRole('dialog');
  assert.strictEqual(await dialog.getByLabel('Image', { exact: true }).inputValue(), 'filter:1');
  await dialog.getByLabel('Image', { exact: true }).fill('filter:2');
  await dialog.getByRole('button', { name: 'Apply' }).click();
  await page.getByRole('button', { name: 'Runtime settings' }).click();
  await dialog.getByLabel('Store and forward for, s').fill('60');
  await dialog.getByRole('button', { name: 'Apply' }).click();
  await page.getByRole('button', { name: 'Add a registry' }).click();
  for (const [label, text] of [['Name', 'own'], ['Address', 'registry.local'], ['User', 'u'], ['Password', 'geheim']]) await page.getByLabel(label, { exact: true }).fill(text);
  await next(page);
  await next(page);
  await page.getByText('"filter:2"').waitFor();
  assert.ok(!(await page.locator('main').innerText()).includes('geheim'));
  await page.getByRole('button', { name: 'Apply' }).click();
  await page.getByRole('cell', { name: 'filter:2' }).waitFor();
  const agent = await desired('line-3', '$edgeAgent');
  assert.strictEqual(agent.runtime.settings.registryCredentials.own.password, 'geheim');
  assert.strictEqual(agent.systemModules.edgeHub.settings.image, 'hub:1');
  assert.strictEqual((await desired('line-3', '$edgeHub')).storeAndForwardConfiguration.timeToLiveSecs, 60);
  quiet(page);
  await page.context().close();
});

test('consumer groups are added and deleted', async () => {
  const page = await open('events');
  await page.getByRole('cell', { name: 'archive', exact: true }).waitFor();
  await page.getByRole('button', { name: 'Add a group' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('x'.repeat(51));
  assert.ok(await dialog.getByRole('button', { name: 'Add' }).isDisabled());
  await dialog.getByLabel('Name').fill('dashboard');
  await dialog.getByRole('button', { name: 'Add' }).click();
  await page.getByRole('button', { name: 'Delete dashboard' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('dashboard is deleted.').waitFor();
  await until('the row', async () => (await page.getByRole('button', { name: 'Delete dashboard' }).count()) === 0);
  assert.strictEqual(await page.getByRole('button', { name: 'Delete $Default' }).count(), 0);
  quiet(page);
  await page.context().close();
});

test('a policy without all rights is told what it may not', async () => {
  const page = await open('events', { as: process.env.READER_CS });
  await page.getByText('This policy may not see the built-in endpoint').waitFor();
  await page.getByRole('link', { name: 'Deployments' }).click();
  await page.getByText('This policy may not read configurations').waitFor();
  await page.context().close();
});

const hub = async () => (await service('GET', '/subscriptions/s/providers/Microsoft.Devices/IotHubs')).value[0];
const named = (list, name) => list.find((one) => one.name === name);
const removes = async (page, name) => {
  await page.getByRole('button', { name: `Delete ${name}`, exact: true }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText(`${name} is deleted.`).waitFor();
};

test('an endpoint and a route to it are made, tried, disabled and deleted', async () => {
  const page = await open('routing/endpoints');
  const dialog = page.getByRole('dialog');
  await page.getByRole('button', { name: 'Add an endpoint' }).click();
  await dialog.getByLabel('Name', { exact: true }).fill('events');
  await dialog.getByText('events is taken.').waitFor();
  await dialog.getByLabel('Name', { exact: true }).fill('app');
  await dialog.getByLabel('URL').fill('http://127.0.0.1:1/events');
  await dialog.getByLabel('Headers').fill('Authorization: Bearer geheim');
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByRole('row', { name: /app Webhook/ }).waitFor();
  await page.getByRole('button', { name: 'Edit app' }).click(); // what is masked stays
  await dialog.getByLabel('Time to live').fill('1m');
  assert.ok(!(await dialog.getByLabel('Headers').inputValue()).includes('geheim'));
  await dialog.getByRole('button', { name: 'Save' }).click();
  await page.getByText('app is saved.').last().waitFor();
  await until('the change', async () => named((await hub()).properties.routing.endpoints.custom, 'app')?.ttl === '1m');

  await page.getByRole('link', { name: 'Routes', exact: true }).click();
  await page.getByRole('button', { name: 'Add a route' }).click();
  await dialog.getByLabel('Name', { exact: true }).fill('hot');
  await dialog.getByLabel('Condition').fill('$body.temperature >');
  await dialog.getByLabel('app').check();
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await dialog.getByText(/condition: column \d+/).waitFor();
  assert.ok(!(await dialog.innerText()).includes('hub.toml'));
  assert.match(page.said.splice(0).join(), /status of 400/); // the browser says what the hub refused
  await dialog.getByLabel('Condition').fill('$body.temperature > 80');
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByRole('row', { name: /hot/ }).waitFor();

  await page.getByRole('link', { name: 'Test' }).click();
  await page.getByLabel('Body').fill('{"temperature": 81}');
  await page.getByRole('button', { name: 'Test all routes' }).click();
  await page.getByRole('row', { name: /hot.*Matched/ }).waitFor();
  await page.getByLabel('Body').fill('{"temperature": 80}');
  await page.getByRole('button', { name: 'Test all routes' }).click();
  await page.getByText('the fallback route leads it').waitFor();
  await page.getByLabel('A condition that is no route yet').fill('$body.temperature > ');
  await page.getByRole('button', { name: 'Test the condition' }).click();
  await page.getByText(/Line 1, column \d+/).waitFor();
  await page.getByLabel('A condition that is no route yet').fill("level = 'high' AND $twin.tags.floor = 2");
  await page.getByRole('button', { name: 'Add a property' }).click();
  await page.getByLabel('Name', { exact: true }).fill('level');
  await page.getByLabel('Value', { exact: true }).fill('high');
  await page.getByLabel('The sender’s twin').fill('{"tags": {"floor": 2}}');
  await page.getByRole('button', { name: 'Test the condition' }).click();
  await page.getByText(/^●Matched$/).waitFor();

  await page.getByRole('link', { name: 'Endpoints' }).click();
  await page.getByRole('button', { name: 'Delete app' }).click();
  await dialog.getByText('Routes lead there: hot').waitFor();
  assert.ok(await dialog.getByRole('button', { name: 'Delete' }).isDisabled());
  await page.keyboard.press('Escape');
  await page.getByRole('link', { name: 'Routes', exact: true }).click();
  await page.getByRole('button', { name: 'Disable hot' }).click();
  await page.getByRole('button', { name: 'Enable hot' }).waitFor();
  assert.strictEqual(named((await hub()).properties.routing.routes, 'hot').isEnabled, false);
  await page.getByLabel('Telemetry that no route takes').click();
  await page.getByText('The fallback route is disabled.').waitFor();
  assert.strictEqual((await hub()).properties.routing.fallbackRoute.isEnabled, false);
  await page.getByLabel('Telemetry that no route takes').click();
  await page.getByText('The fallback route is enabled.').waitFor();
  await removes(page, 'hot');
  await page.getByRole('link', { name: 'Enrichments' }).click();
  await page.getByRole('button', { name: 'Add an enrichment' }).click();
  await dialog.getByLabel('Name', { exact: true }).fill('place');
  await dialog.getByLabel('Value', { exact: true }).fill('$twin.tags.site');
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByRole('row', { name: /place \$twin\.tags\.site/ }).waitFor();
  await removes(page, 'place');
  await page.getByRole('link', { name: 'Endpoints' }).click();
  await removes(page, 'app');
  const { routing } = (await hub()).properties;
  assert.ok(!named(routing.routes, 'hot') && !named(routing.endpoints.custom, 'app') && routing.fallbackRoute.isEnabled);
  quiet(page);
  await page.context().close();
});

test('who has seen an older version of the hub changes nothing', async () => {
  const page = await open('routing/routes');
  await page.getByRole('button', { name: 'Add a route' }).click();
  await page.getByRole('dialog').getByLabel('Name', { exact: true }).fill('late');
  const { name, etag } = await hub();
  const path = `/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/IotHubs/${name}`;
  await service('PUT', path, { properties: { cloudToDevice: { maxDeliveryCount: 11 } } }, { 'If-Match': `"${etag}"` });
  await page.getByRole('dialog').getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByRole('dialog').getByRole('alert').waitFor();
  assert.strictEqual(named((await hub()).properties.routing.routes, 'late'), undefined);
  await page.context().close();
});

test('a policy is made with its rights, gets new keys, and goes', async () => {
  const page = await open('policies');
  const dialog = page.getByRole('dialog');
  await page.getByRole('button', { name: 'Add a policy' }).click();
  await dialog.getByLabel('Name').fill('service');
  await dialog.getByText('There is a policy service already.').waitFor();
  await dialog.getByLabel('Name').fill('dashboard');
  await dialog.getByLabel(/^ServiceConnect/).check();
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByText('Primary connection string').waitFor();
  const find = async () => (await service('POST', `/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/IotHubs/${(await hub()).name}/IotHubKeys/dashboard/listkeys`));
  const made = await find();
  assert.strictEqual(made.rights, 'RegistryRead, ServiceConnect');
  assert.ok(!(await page.locator('main').innerText()).includes(made.primaryKey));
  await page.getByRole('button', { name: 'Show primary connection string' }).click();
  await page.getByText(`SharedAccessKeyName=dashboard;SharedAccessKey=${made.primaryKey}`).waitFor();
  await page.getByRole('button', { name: 'Regenerate primary' }).click();
  await dialog.getByRole('button', { name: 'Regenerate' }).click();
  await page.getByText('There is a new key.').waitFor();
  const renewed = await find();
  assert.ok(renewed.primaryKey !== made.primaryKey && renewed.secondaryKey === made.secondaryKey);
  await until('the new key', async () => await page.getByText(renewed.primaryKey).first().isVisible()); // it is still shown
  await page.getByRole('button', { name: 'Swap keys' }).click();
  await dialog.getByRole('button', { name: 'Swap' }).click();
  await page.getByText('The keys are swapped.').waitFor();
  assert.strictEqual((await find()).primaryKey, made.secondaryKey);
  await removes(page, 'dashboard');
  await assert.rejects(find(), /404/);
  quiet(page);
  await page.context().close();
});

test('a message waits for its device with its properties, and is purged', async () => {
  await device('door');
  const page = await open('devices/door/message');
  await page.getByText('No message waits').waitFor();
  await page.getByLabel('Body', { exact: true }).fill('open sesame');
  await page.getByRole('button', { name: 'Add a property' }).click();
  await page.getByLabel('Name', { exact: true }).fill('two words');
  await page.getByText('Letters, digits and !#').waitFor();
  assert.ok(await page.getByRole('button', { name: 'Send' }).isDisabled());
  await page.getByLabel('Name', { exact: true }).fill('Level');
  await page.getByLabel('Value', { exact: true }).fill('5 of 9');
  await page.getByLabel('Message id').fill('m1');
  await page.getByLabel('Correlation id').fill('c1');
  await page.getByLabel('Content type').fill('text/plain');
  await page.getByLabel('Feedback').selectOption('full');
  await page.getByLabel('Expires after minutes').fill('2881');
  assert.ok(await page.getByRole('button', { name: 'Send' }).isDisabled());
  await page.getByLabel('Expires after minutes').fill('30');
  await page.getByRole('button', { name: 'Send' }).click();
  await page.getByText('1 of at most 50 messages waits').waitFor();
  const got = await asDevice('door', 'GET', '/messages/devicebound');
  assert.strictEqual(got.text, 'open sesame');
  const headers = ['iothub-messageid', 'iothub-correlationid', 'iothub-ack', 'iothub-app-level', 'contenttype'].map((name) => got.headers[name]);
  assert.deepStrictEqual(headers, ['m1', 'c1', 'full', '5 of 9', 'text/plain']);
  const left = Date.parse(got.headers['iothub-expiry']) - Date.now();
  assert.ok(left > 60e3 && left <= 30 * 60e3);
  await page.getByRole('button', { name: 'Purge' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Purge' }).click();
  await page.getByText('1 purged.').waitFor();
  await page.getByText('No message waits').waitFor();
  quiet(page);
  await page.context().close();
});

test('a CA is given by its file, proves itself, and goes', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ca-'));
  const openssl = (...words) => execFileSync('openssl', words, { cwd: folder, stdio: 'pipe' });
  const key = (name) => ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', name];
  openssl('req', '-x509', ...key('ca.key'), '-out', 'ca.pem', '-subj', '/CN=plant-ca', '-days', '365');
  const page = await open('certificates');
  const dialog = page.getByRole('dialog');
  await page.getByRole('button', { name: 'Add a certificate' }).click();
  await dialog.getByLabel('Name').fill('plant');
  await dialog.getByLabel('CA certificate (PEM)').fill('nonsense');
  await dialog.getByText('A PEM file begins with').waitFor();
  await dialog.getByLabel('CA certificate: file').setInputFiles(path.join(folder, 'ca.pem'));
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByRole('row', { name: /plant .*Unverified plant-ca/ }).waitFor();
  await page.getByRole('button', { name: 'Verify plant' }).click();
  const code = await dialog.locator('code').innerText();
  openssl('req', '-new', ...key('proof.key'), '-out', 'proof.csr', '-subj', '/CN=wrong');
  openssl('x509', '-req', '-in', 'proof.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-out', 'wrong.pem');
  await dialog.getByLabel('Proof: file').setInputFiles(path.join(folder, 'wrong.pem'));
  await dialog.getByRole('button', { name: 'Verify' }).click();
  await dialog.getByRole('alert').waitFor();
  assert.match(page.said.splice(0).join(), /status of 4/);
  openssl('req', '-new', '-key', 'proof.key', '-out', 'proof.csr', '-subj', `/CN=${code}`);
  openssl('x509', '-req', '-in', 'proof.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-out', 'proof.pem');
  await dialog.getByLabel('Proof: file').setInputFiles(path.join(folder, 'proof.pem'));
  await dialog.getByRole('button', { name: 'Verify' }).click();
  await page.getByRole('row', { name: /plant .*Verified plant-ca/ }).waitFor();
  await removes(page, 'plant');
  await assert.rejects(service('GET', '/certificates/plant'), /404/);
  fs.rmSync(folder, { recursive: true });
  quiet(page);
  await page.context().close();
});

test('rules of addresses are saved in their order', async () => {
  const page = await open('network');
  const fill = async (n, name, mask, action) => {
    await page.getByRole('button', { name: 'Add a rule' }).click();
    const row = page.getByRole('group', { name: `rule ${n}` });
    await row.getByLabel('Name').fill(name);
    await row.getByLabel('Address or range').fill(mask);
    if (action) await row.getByLabel('Action').selectOption(action);
  };
  const rules = async () => (await hub()).properties.ipFilterRules.map((rule) => `${rule.filterName} ${rule.action} ${rule.ipMask}`);
  await page.getByRole('heading', { name: 'Rules' }).waitFor();
  await fill(1, 'lab', '203.0.113.0/24', 'Reject');
  await fill(2, 'here', 'nonsense');
  assert.ok(await page.getByRole('button', { name: 'Save' }).isDisabled());
  await page.getByRole('group', { name: 'rule 2' }).getByLabel('Address or range').fill('127.0.0.0/8');
  await page.getByRole('button', { name: 'Move rule 2 up' }).click();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('The rules are saved.').waitFor();
  assert.deepStrictEqual(await rules(), ['here Accept 127.0.0.0/8', 'lab Reject 203.0.113.0/24']);
  await page.getByRole('button', { name: 'Remove rule 2' }).click();
  await page.getByRole('button', { name: 'Remove rule 1' }).click();
  await page.getByRole('button', { name: 'Save' }).click();
  await until('no rules', async () => (await rules()).length === 0);
  quiet(page);
  await page.context().close();
});

test('what a hub is can be changed: tier, what is kept how long, tags', async () => {
  const page = await open('properties');
  const panel = (title) => page.locator('section', { has: page.getByRole('heading', { name: title, exact: true }) });
  const saves = async (title) => {
    await panel(title).getByRole('button', { name: 'Save' }).click();
    await page.getByText(`${title}: saved.`).last().waitFor();
  };
  await panel('Pricing and scale').getByText('Messages today').waitFor();
  await panel('Pricing and scale').getByLabel('Units').fill('11'); // of S3 ten
  assert.ok(await panel('Pricing and scale').getByRole('button', { name: 'Save' }).isDisabled());
  await panel('Pricing and scale').getByLabel('Units').fill('9');
  await saves('Pricing and scale');
  await panel('Messages').getByLabel('Deliveries of one, at most').fill('101');
  assert.ok(await panel('Messages').getByRole('button', { name: 'Save' }).isDisabled());
  await panel('Messages').getByLabel('Deliveries of one, at most').fill('7');
  await panel('Messages').getByLabel('Events are kept for, days').fill('2');
  await saves('Messages');
  await panel('File upload').getByLabel('Tell of each file').uncheck();
  await saves('File upload');
  await panel('Tags').getByRole('button', { name: 'Add a tag' }).click();
  await panel('Tags').getByLabel('Name').fill('plant');
  await panel('Tags').getByLabel('Value').fill('north');
  await saves('Tags');
  const { sku, tags, properties } = await hub();
  assert.deepStrictEqual([sku.name, sku.capacity, tags, properties.cloudToDevice.maxDeliveryCount, properties.eventHubEndpoints.events.retentionTimeInDays, properties.enableFileUploadNotifications],
    ['S3', 9, { plant: 'north' }, 7, 2, false]);
  quiet(page);
  await page.context().close();
});

test('files of a device are listed, saved as they are, and deleted', async () => {
  await device('camera');
  const page = await open('devices/camera/files');
  await page.getByText('The device has uploaded nothing.').waitFor();
  const hostile = 'a&<b>"\'é.html';
  const target = await upload('camera', hostile, '<script>alert(1)</script>', 'text/html');
  await upload('camera', 'day 1/shot.txt', 'hello', 'text/plain');
  // Who opens it in a browser beside the portal runs nothing of it.
  assert.strictEqual((await ask('GET', target)).headers['content-security-policy'], 'sandbox');
  await page.getByRole('button', { name: 'Refresh' }).click();
  await page.getByRole('button', { name: 'Save day 1/shot.txt' }).waitFor();
  await page.getByRole('row', { name: /day 1\/shot\.txt 5 B text\/plain/ }).waitFor();
  const row = page.getByRole('row').filter({ hasText: hostile });
  const [download] = await Promise.all([page.waitForEvent('download'), row.getByRole('button', { name: /^Save/ }).click()]);
  assert.strictEqual(fs.readFileSync(await download.path(), 'utf8'), '<script>alert(1)</script>');
  await row.getByRole('button', { name: /^Delete/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await until('the row', async () => (await row.count()) === 0);
  quiet(page);
  await page.context().close();
});
