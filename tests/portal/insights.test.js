'use strict';
// What the hub tells of itself: its metrics of the last day, and its records.
const { test, before, after } = require('node:test');
const assert = require('node:assert');
const { start, end, open, asDevice, device, service, until } = require('./support');

before(start);
after(end);
const quiet = (page) => assert.deepStrictEqual(page.said, []);

const metrics = (name, more = '') => service('GET', `/insights/metrics?metricnames=${name}${more}`);
const sum = (answer) => answer.value[0].timeseries[0].data.reduce((all, point) => all + point.total, 0);

test('the metrics page shows the last hours at once, in numbers and as a table', async () => {
  await device('counted');
  for (let i = 0; i < 3; i++) await asDevice('counted', 'POST', '/messages/events', '{"n":1}');
  await until('a sample', async () => sum(await metrics('d2c.telemetry.ingress.success')) > 0, 90);
  const page = await open('metrics');
  const drawn = page.getByRole('list', { name: 'Metrics that are drawn' }).getByRole('listitem');
  await drawn.nth(3).waitFor();
  await page.getByRole('group', { name: /^4 lines\. .*d2c\.telemetry\.ingress\.success from / }).waitFor();
  const told = Number((await drawn.filter({ hasText: 'd2c.telemetry.ingress.success' }).locator('b').innerText()).replace(/\D/g, ''));
  assert.ok(told >= 3, `${told}`);
  await page.getByText('Show as table').click();
  const table = page.getByRole('region', { name: 'Values' });
  await table.getByRole('columnheader', { name: 'connectedDeviceCount' }).waitFor();
  assert.ok((await table.getByRole('row').count()) >= 2);
  quiet(page);
  await page.context().close();
});

test('metrics are added, taken away and aggregated, and the address holds it all', async () => {
  const page = await open('metrics?m=jobs.failed');
  const drawn = page.getByRole('list', { name: 'Metrics that are drawn' }).getByRole('listitem');
  await drawn.filter({ hasText: 'jobs.failed' }).waitFor();
  assert.strictEqual(await drawn.count(), 1);
  assert.strictEqual(await drawn.getByRole('combobox').count(), 0); // what only grows has its sum alone
  await page.getByLabel('Add a metric').selectOption({ value: 'totalDeviceCount' });
  await drawn.nth(1).waitFor();
  await drawn.nth(1).getByRole('combobox').selectOption('Maximum');
  await page.waitForURL((url) => url.searchParams.get('m') === 'jobs.failed,totalDeviceCount~Maximum');
  await page.getByRole('button', { name: 'Remove jobs.failed' }).click();
  await page.getByLabel('Interval', { exact: true }).selectOption('60');
  await page.waitForURL((url) => url.searchParams.get('m') === 'totalDeviceCount~Maximum' && url.searchParams.get('grain') === '60');
  await page.reload();
  await drawn.filter({ hasText: 'totalDeviceCount' }).waitFor();
  assert.strictEqual(await drawn.getByRole('combobox').inputValue(), 'Maximum');
  await page.getByRole('button', { name: 'Remove totalDeviceCount' }).click();
  await page.getByText('No metric is chosen.').waitFor();
  quiet(page);
  await page.context().close();
});

test('a part of the time is looked at alone, by keys, and back', async () => {
  const page = await open('metrics?m=totalDeviceCount&last=1800000');
  const chart = page.getByRole('group', { name: /^1 line\. totalDeviceCount from / });
  await chart.focus();
  await page.keyboard.press('End');
  for (let i = 0; i < 60; i++) await page.keyboard.press('Shift+ArrowLeft');
  await page.keyboard.press('Enter');
  await page.waitForURL((url) => url.searchParams.has('from') && url.searchParams.has('to'));
  await page.getByRole('button', { name: 'Back to the last hours' }).click();
  await page.waitForURL((url) => !url.searchParams.has('from'));
  quiet(page);
  await page.context().close();
});

test('who may only read the registry sees metrics, and no records', async () => {
  const page = await open('metrics', { as: process.env.READER_CS });
  await page.getByRole('list', { name: 'Metrics that are drawn' }).getByRole('listitem').first().waitFor();
  await page.getByRole('link', { name: 'Audit log' }).click();
  await page.getByText('This policy may not read the hub’s records').waitFor();
  await page.context().close();
});

test('the audit log says who did what, and who was refused', async () => {
  const name = '<img src=x onerror=alert(1)>';
  await device('watched');
  await service('GET', `/devices/${encodeURIComponent(name)}`).catch(() => {});
  const page = await open('records');
  const rows = page.getByRole('region', { name: 'Records' }).getByRole('row');
  await page.getByLabel('Device, module or policy').fill('watched');
  const made = rows.filter({ hasText: 'create' }).filter({ hasText: 'watched' });
  await made.waitFor();
  await until('only its records', async () => (await rows.filter({ hasText: 'counted' }).count()) === 0);
  assert.match(await made.innerText(), /done\s+create\s+\S+\s+watched\s+127\.0\.0\.\D+\s+Show\s+DeviceIdentityOperations/);
  await page.getByLabel('Device, module or policy').fill('');
  await page.getByLabel('Level').selectOption('Error');
  await page.getByLabel('Category').selectOption('DeviceIdentityOperations');
  await rows.filter({ hasText: name }).first().waitFor();
  assert.strictEqual(await page.locator('img[onerror]').count(), 0);
  await rows.filter({ hasText: name }).first().getByRole('button', { name: /^Show/ }).click();
  await page.getByRole('dialog').getByText('"resultType"').waitFor();
  assert.deepStrictEqual(new URL(page.url()).searchParams.get('level'), 'Error');
  quiet(page);
  await page.context().close();
});

test('records are paged, the newest first', async () => {
  for (let i = 0; i < 120; i++) await service('GET', '/devices/watched');
  const page = await open('records?operation=get&identity=watched');
  const rows = page.getByRole('region', { name: 'Records' }).getByRole('row');
  const times = async () => (await rows.locator('time').evaluateAll((list) => list.map((one) => one.dateTime)));
  await rows.nth(50).waitFor();
  const first = await times();
  await page.getByRole('button', { name: 'Next page' }).click();
  await until('the next page', async () => (await times())[0] <= first.at(-1));
  const all = [...first, ...(await times())];
  assert.deepStrictEqual(all, [...all].sort().reverse());
  await page.getByRole('button', { name: 'First page' }).click();
  await until('the first page', async () => (await times())[0] >= first[0]);
  quiet(page);
  await page.context().close();
});

test('a hub without records says how to have them', async () => {
  const page = await open();
  await page.route(/\/insights\/records/, (route) => route.fulfill({ json: { enabled: false, value: [] } }));
  await page.keyboard.press('g');
  await page.keyboard.press('z');
  await page.getByText('This hub writes no records').waitFor();
  assert.match(await page.locator('main').innerText(), /folder = "records" under \[hub\.records\] in hub\.toml/);
  quiet(page);
  await page.context().close();
});
