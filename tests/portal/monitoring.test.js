'use strict';
// Remote monitoring in the browser: what devices send and rules find is what the pages show, and what pages do the hub has done.
const { after, before, test } = require('node:test');
const assert = require('node:assert');
const { start, end, open, service, asDevice, device, until, host } = require('./support');

const send = (id, body) => asDevice(id, 'POST', '/messages/events', JSON.stringify(body), { 'Content-Type': 'application/json' });
const report = (id, properties) => asDevice(id, 'PATCH', '/twin/properties/reported', properties);
const pumps = { 'pump-1': [47.6, -122.3], 'pump-2': [47.9, -121.5], 'pump-3': [0, 0] };
const hostile = '<img src=x onerror=alert(1)>';

before(async () => {
  await start();
  for (const [id, [Latitude, Longitude]] of Object.entries(pumps)) {
    await device(id);
    await service('PATCH', `/twins/${id}`, { tags: { Site: id === 'pump-3' ? 'sea' : 'north', kind: 'pump' } });
    await report(id, { Type: 'Pump', Latitude, Longitude });
  }
  await device('lost');
  await service('PATCH', '/twins/lost', { tags: { kind: 'pump' } });
  await report('lost', { Type: hostile, Latitude: 'north', Longitude: 7 });
  const group = (id, Key, Value) => service('PUT', `/config/v1/devicegroups/${id}`, { DisplayName: `Pumps ${id}`, Conditions: [{ Key, Operator: 'EQ', Value }] });
  await group('pumps', 'Tags.kind', 'pump');
  await group('north', 'Tags.Site', 'north');
  await group('none', 'Tags.Site', 'nowhere');
  const rule = (id, Name, Severity, Field, Value) => service('PUT', `/telemetry/v1/rules/${id}`, { Name, GroupId: 'pumps', Severity, Conditions: [{ Field, Operator: 'GreaterThan', Value }] });
  await rule('hot', 'Pump is hot', 'Critical', 'heat', '90');
  await rule('shaky', `Shaky ${hostile}`, 'Warning', 'shake', '5');
  await send('pump-1', { heat: 95 });
  await send('pump-1', { heat: 96, shake: 1 });
  await send('pump-2', { shake: 6 });
  await send('pump-3', { heat: 80, shake: 7, [hostile]: 1 });
  await until('four alarms', async () => (await service('GET', '/telemetry/v1/alarms')).Items.filter((one) => one.GroupId === 'pumps').length === 4);
});
after(end);

async function leave(page) {
  assert.deepStrictEqual(page.said, []);
  await page.context().close();
}
const tile = (page, name) => page.locator('.tile', { hasText: name }).locator('dd').first();
const pin = (page, name) => page.getByRole('button', { name });

test('the dashboard counts devices of a group and their open alarms, by severity and by rule', async () => {
  const page = await open('dashboard?group=pumps');
  await page.getByRole('cell', { name: 'Pump is hot' }).first().waitFor();
  assert.deepStrictEqual(await Promise.all(['Total', 'Connected', 'Disconnected', 'Critical', 'Warnings'].map((name) => tile(page, name).innerText())), ['4', '0', '4', '2', '2']);
  const rows = page.getByRole('region', { name: 'System alarms' }).getByRole('row');
  assert.match(await rows.filter({ hasText: 'Pump is hot' }).innerText(), /Critical\s+2\s/);
  assert.match(await rows.filter({ hasText: hostile }).innerText(), /Warning\s+2\s/);
  assert.match(await page.getByRole('region', { name: 'Alarms by device type' }).innerText(), /Pump\s+4/);
  assert.strictEqual(await tile(page, 'Share').innerText(), '50.0 %');
  assert.strictEqual(await tile(page, 'Change').innerText(), 'new');
  await page.getByLabel('Device group').selectOption('north');
  await until('two devices', async () => (await tile(page, 'Total').innerText()) === '2');
  await until('their alarms', async () => (await tile(page, 'Warnings').innerText()) === '1');
  assert.match(page.url(), /group=north/);
  await page.getByLabel('Time').selectOption('week');
  await page.reload();
  await until('the same again', async () => (await tile(page, 'Critical').innerText()) === '2');
  assert.match(page.url(), /range=week/);
  await page.getByLabel('Device group').selectOption('none');
  await page.getByText('No alarms that are open or acknowledged').first().waitFor();
  assert.strictEqual(await tile(page, 'Total').innerText(), '0');
  await leave(page);
});

test('the map has a pin for each device that says where it is, and is used by keys', async () => {
  const page = await open('dashboard?group=pumps');
  await pin(page, 'pump-3, Pump, warning alarm').waitFor(); // at 0, 0
  await page.getByText('3 of 4 devices report where they are').waitFor();
  const seen = () => page.locator('g.pin').count();
  await page.getByLabel('Map of device locations').focus();
  await page.keyboard.press('0');
  const both = pin(page, '2 devices, the worst: critical alarm');
  await both.focus();
  await page.keyboard.press('Enter'); // takes them apart
  await pin(page, 'pump-1, Pump, critical alarm').waitFor();
  await pin(page, 'pump-2, Pump, warning alarm').waitFor();
  assert.strictEqual(await seen(), 2);
  await pin(page, 'pump-2, Pump').focus();
  await page.keyboard.press('Space');
  assert.strictEqual(await page.locator('ul.chosen').getByRole('link').innerText(), 'pump-2');
  await page.getByRole('button', { name: 'World' }).click();
  await pin(page, 'pump-3, Pump').waitFor();
  await page.getByRole('button', { name: 'Zoom in' }).click();
  const box = await page.locator('.map').boundingBox();
  const where = () => pin(page, 'pump-3, Pump').boundingBox();
  const before_ = await where();
  await page.mouse.move(box.x + 80, box.y + 300);
  await page.mouse.down();
  await page.mouse.move(box.x + 130, box.y + 300, { steps: 5 });
  await page.mouse.up();
  assert.ok(Math.abs((await where()).x - before_.x - 50) < 2);
  await page.getByRole('group', { name: /Map of device locations/ }).waitFor();
  assert.ok((await page.locator('path.land').getAttribute('d')).length > 50000);
  await page.locator('.board details').getByText('Show as table').click();
  assert.match(await page.getByRole('region', { name: 'Device locations' }).innerText(), /pump-3\s+Pump\s+0.0000, 0.0000\s+.\s*Warning/);
  await leave(page);
});

test('telemetry is drawn as it comes, a line for each device, and said as a table', async () => {
  const page = await open('dashboard?group=pumps&metric=heat');
  const metric = (name) => page.getByRole('group', { name: 'Metric' }).getByRole('button', { name, exact: true });
  await metric('heat [2]').waitFor();
  assert.strictEqual(await page.getByRole('button', { name: /humidity/ }).count(), 0); // a chiller's
  await metric(`${hostile} [1]`).click();
  await page.getByRole('group', { name: 'Lines' }).getByRole('button', { name: 'pump-3 1', exact: true }).waitFor();
  await metric('heat [2]').click();
  assert.match(page.url(), /metric=heat/);
  await send('pump-2', { heat: 41.5 });
  await send('lamp-of-no-group', { heat: 1 }).catch(() => {});
  await metric('heat [3]').waitFor();
  const line = page.getByRole('group', { name: 'Lines' }).getByRole('button', { name: 'pump-2 41.5', exact: true });
  await line.click();
  await page.getByRole('img', { name: /heat\. 2 lines/ }).waitFor();
  await line.click();
  await page.locator('.lines').getByText('Show as table').click();
  assert.match(await page.getByRole('region', { name: 'heat' }).innerText(), /pump-2\s+41.5/);
  await page.getByRole('button', { name: 'Pause' }).click();
  await send('pump-2', { heat: 43 });
  await page.getByText('Paused').waitFor();
  assert.strictEqual(await page.getByText('43', { exact: true }).count(), 0);
  await page.getByRole('button', { name: 'Go on' }).click();
  await page.getByRole('button', { name: 'pump-2 43', exact: true }).waitFor();
  await leave(page);
});

test('rules are listed with what they say, and switched off and on', async () => {
  const page = await open('rules');
  const row = page.getByRole('row', { name: /Pump is hot/ });
  await row.waitFor();
  assert.match(await row.innerText(), /Critical\s+Pumps pumps\s+Each message\s+heat > 90\s+On\s+2\s/);
  await row.getByRole('switch').click();
  await page.getByText('Pump is hot is disabled.').waitFor();
  assert.strictEqual((await service('GET', '/telemetry/v1/rules/hot')).Enabled, false);
  await row.getByRole('switch', { checked: false }).click();
  await row.getByRole('switch', { checked: true }).waitFor();
  await page.getByLabel('Name or description holds').fill('onerror');
  await row.waitFor({ state: 'detached' });
  assert.strictEqual(await page.getByRole('switch').count(), 1);
  await leave(page);
});

test('a policy that may only read registers reads rules, and neither changes them nor sees alarms', async () => {
  const page = await open('rules', { as: process.env.READER_CS });
  await page.getByRole('row', { name: /Pump is hot/ }).waitFor();
  assert.ok(await page.getByRole('switch').first().isDisabled());
  await page.goto(`https://${host}/portal/dashboard`);
  await page.getByText('This policy may not read alarms and devices').waitFor();
  assert.deepStrictEqual(page.said.filter((text) => !/status of 401/.test(text)), []); // finding out what it may
  await page.context().close();
});
