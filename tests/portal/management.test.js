'use strict';
// What manages many devices and the hub itself.
const { after, before, test } = require('node:test');
const assert = require('node:assert');
const { start, end, open, service, edge, until } = require('./support');

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
  await page.getByRole('link', { name: 'Metrics' }).click();
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
