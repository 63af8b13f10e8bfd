'use strict';
// The explorer of time series, over a day that three kilns tell of.
const { after, before, test } = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const { start, end, open, service, stored, kiln, until, host } = require('./support');

const DAY = 24 * 3600_000;
const noon = Math.floor(Date.now() / DAY) * DAY - DAY / 2; // of yesterday, by UTC
const span = (from, to) => `from=${new Date(from).toISOString()}&to=${new Date(to).toISOString()}`;
const line = (id, p, more) => ({ id: [id], p, ...more });
const at = (lines, from = noon - DAY / 2, to = noon + DAY / 2, more = '') =>
  `series?zone=utc&${span(from, to)}${more}&s=${encodeURIComponent(JSON.stringify(lines))}`;

// Names and texts that would be something else, if anything took them for more than they are.
const odd = (i) => ({ "it's.[a] \\": { 'b.c': 21 + i }, s: { v: i + 0.5 }, '<img src=x onerror=alert(1)>': i, note: i ? '<script>alert(2)</script>' : '=cmd|1', say: 'a "b", c' });

before(async () => {
  await start();
  for (const n of [1, 2, 3]) await kiln(`kiln-${n}`, noon - DAY / 2, n);
  await stored('odd', [0, 1, 2].map((i) => ({ measuredAt: new Date(noon + i * 60_000).toISOString(), ...odd(i) })));
});
after(end);

const drawn = (page) => page.getByRole('listitem').locator('b', { hasText: /\d/ }).first().waitFor(); // a line has its values
const quiet = (page) => assert.deepStrictEqual(page.said, []);
const chart = (page) => page.getByRole('group', { name: /^\d+ lines?\./ });

test('series are found, chosen and drawn, split by device', async () => {
  const page = await open(at([]));
  await page.getByLabel('Find a series').fill('KILN');
  await page.getByLabel('kiln-3', { exact: true }).check();
  await page.getByRole('button', { name: 'Choose all' }).click();
  await page.getByText('3 of 3 chosen').waitFor();
  await page.getByLabel('Property', { exact: true }).selectOption('temperature');
  await page.getByRole('button', { name: 'Add, split by series (3)' }).click();
  await page.getByRole('button', { name: /Change kiln-3 temperature/ }).waitFor();
  await chart(page).and(page.getByLabel(/^3 lines/)).waitFor();
  await page.getByRole('button', { name: 'Table', exact: true }).click();
  await page.getByRole('columnheader', { name: 'kiln-3 temperature' }).waitFor();
  assert.ok((await page.getByRole('region', { name: 'Values' }).getByRole('row').count()) > 100);
  quiet(page);
  await page.context().close();
});

test('a stretch that is dragged over is shown, and the one before again', async () => {
  const page = await open(at([line('kiln-1', 'temperature')]));
  const box = await chart(page).boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + 80);
  await page.getByText(/kiln-1 temperature/).last().waitFor();
  await page.mouse.down();
  await page.mouse.move(box.x + (box.width * 3) / 4, box.y + 90, { steps: 4 });
  await page.mouse.up();
  await page.getByRole('button', { name: 'Zoom', exact: true }).click();
  const shown = () => new URL(page.url()).searchParams;
  const [from, to] = [Date.parse(shown().get('from')), Date.parse(shown().get('to'))];
  assert.ok(Math.abs(from - noon) < DAY / 20 && to - from > DAY / 5 && to - from < DAY / 3, page.url());
  await page.getByRole('button', { name: 'Back', exact: true }).click();
  assert.strictEqual(Date.parse(shown().get('from')), noon - DAY / 2);
  quiet(page);
  await page.context().close();
});

test('series of a hierarchy are found where they are', async () => {
  const { instances } = await service('POST', '/timeseries/instances/search', { searchString: 'kiln', instances: { recursive: true } });
  await service('POST', '/timeseries/hierarchies/$batch', { put: [{ id: 'works', name: 'Works', source: { instanceFieldNames: ['hall', 'row'] } }] });
  await service('POST', '/timeseries/instances/$batch', { put: [1, 2].map((n) => ({ timeSeriesId: [`kiln-${n}`], typeId: instances.hits[0].typeId, name: `Kiln of row ${n}`,
    hierarchyIds: ['works'], instanceFields: { hall: 'North <hall>', row: `Row ${n}` } })) });
  const page = await open(at([]));
  const tree = page.getByRole('navigation', { name: 'Hierarchies' });
  await tree.getByRole('button', { name: 'Works (2)' }).click();
  await tree.getByRole('button', { name: 'North <hall> (2)' }).click();
  await page.getByText('0 of 2 chosen').waitFor();
  await tree.getByRole('button', { name: 'Row 2 (1)' }).click();
  await page.getByText('0 of 1 chosen').waitFor();
  await page.getByLabel('Kiln of row 2').check();
  await page.getByRole('button', { name: 'Add to the chart' }).click();
  await page.getByRole('button', { name: /Change Kiln of row 2/ }).waitFor();
  await tree.getByRole('button', { name: 'All series' }).click();
  await page.getByLabel('Find a series').fill('row 1');
  await page.getByLabel('Kiln of row 1').waitFor();
  quiet(page);
  await page.context().close();
});

test('keys do what a pointer does', async () => {
  const page = await open(at([line('kiln-1', 'pressure')]));
  await drawn(page);
  await chart(page).focus();
  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowRight');
  await chart(page).getByText(/kiln-1 pressure [\d,.]+/).waitFor();
  for (let i = 0; i < 20; i++) await page.keyboard.press('Shift+ArrowRight');
  await page.keyboard.press('Enter');
  await page.waitForURL((url) => Date.parse(url.searchParams.get('to')) < noon);
  await page.keyboard.press('-');
  await page.keyboard.press('PageDown');
  await page.getByRole('button', { name: 'Back', exact: true }).click();
  await page.getByRole('button', { name: 'Back', exact: true }).click();
  await page.getByRole('button', { name: 'Back', exact: true }).click();
  assert.strictEqual(Date.parse(new URL(page.url()).searchParams.get('to')), noon + DAY / 2);
  quiet(page);
  await page.context().close();
});

test('statistics of what is selected are computed of every value', async () => {
  const page = await open(at([line('kiln-2', 'pressure'), line('kiln-1', 'pressure', { hide: 1 })]));
  await drawn(page);
  await chart(page).focus();
  await page.keyboard.press('Home');
  await page.keyboard.press('Shift+End');
  await page.getByRole('button', { name: 'Statistics' }).click();
  const row = page.getByRole('region', { name: 'Statistics' }).getByRole('row', { name: /kiln-2 pressure/ });
  await row.waitFor();
  const values = Array.from({ length: 1440 }, (_, i) => Math.round(10 * (1012 + 8 * Math.cos(i / 200 - 2) + Math.sin(i / 7))) / 10);
  const [, count, least, most] = await row.getByRole('cell').allInnerTexts();
  const number = (text) => Number(text.replace(/,/g, ''));
  assert.deepStrictEqual([count, least, most].map(number), [1440, Math.min(...values), Math.max(...values)]);
  assert.strictEqual(await page.getByRole('region', { name: 'Statistics' }).getByRole('row').count(), 2);
  quiet(page);
  await page.context().close();
});

test('a line says what is computed, between what, of which time, and with its band', async () => {
  const page = await open(at([line('kiln-1', 'temperature'), line('kiln-2', 'temperature')]));
  await page.getByRole('button', { name: /Change kiln-1 temperature/ }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Of each interval', { exact: true }).selectOption('max');
  await dialog.getByLabel('Band from').check();
  await dialog.getByLabel('Colour').selectOption({ label: 'red, dashed' });
  await dialog.getByRole('button', { name: 'The same for all of temperature' }).click();
  await dialog.getByLabel('Between points').selectOption('Step');
  await dialog.getByLabel('Time shift').selectOption({ label: '6 h earlier' });
  await dialog.getByRole('button', { name: 'Close' }).click();
  const kept = JSON.parse(new URL(page.url()).searchParams.get('s'));
  assert.deepStrictEqual(kept, [
    { id: ['kiln-1'], p: 'temperature', i: 'Step', c: 18, band: 1, shift: 6 * 3600_000 },
    { id: ['kiln-2'], p: 'temperature', a: 'max', band: 1 },
  ]);
  await page.getByRole('button', { name: 'Table', exact: true }).click();
  await page.getByRole('columnheader', { name: 'kiln-1 temperature, twavg (Step), 6 h earlier' }).waitFor();
  const rows = page.getByRole('region', { name: 'Values' }).getByRole('row');
  await rows.nth(100).waitFor();
  assert.match(await rows.nth(1).innerText(), /00:00\s+--/); // there is nothing six hours earlier
  assert.doesNotMatch(await rows.nth(80).innerText(), /--/);
  await page.getByRole('button', { name: 'Hide kiln-1' }).click();
  await page.getByRole('columnheader', { name: /kiln-1/ }).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: /Change kiln-2/ }).click();
  await dialog.getByRole('button', { name: 'Duplicate' }).click();
  await dialog.getByLabel('Time shift').selectOption({ label: '1 h earlier' });
  await dialog.getByRole('button', { name: 'Close' }).click();
  await page.getByRole('columnheader', { name: 'kiln-2 temperature, max, 1 h earlier' }).waitFor();
  assert.strictEqual(await page.getByRole('columnheader', { name: /^kiln-2/ }).count(), 2);
  for (let i = 0; i < 2; i++) await page.getByRole('button', { name: 'Remove kiln-2' }).first().click();
  await page.getByRole('button', { name: 'Show kiln-1' }).click();
  await page.getByRole('columnheader', { name: /kiln-1/ }).waitFor();
  quiet(page);
  await page.context().close();
});

test('a link and a view that is kept bring the same again', async () => {
  const page = await open(at([line('kiln-3', 'temperature', { a: 'min', c: 4 })], noon, noon + DAY / 4, '&y=overlapped&every=600&tab=table'));
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  const header = page.getByRole('columnheader', { name: 'kiln-3 temperature, min' });
  const rows = page.getByRole('region', { name: 'Values' }).getByRole('row');
  await header.waitFor();
  await rows.nth(36).waitFor();
  assert.strictEqual(await rows.count(), 37); // six hours of ten minutes, and the head
  await page.getByRole('button', { name: 'Copy link' }).click();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  assert.deepStrictEqual(new URL(link).searchParams, new URL(page.url()).searchParams);
  await page.getByRole('button', { name: 'Views…' }).click();
  await page.getByRole('dialog').getByLabel('Name').fill('Cooling <b>');
  await page.getByRole('button', { name: 'Save this view' }).click();
  await page.getByText('Cooling <b> is saved.').waitFor();
  await page.goto(`https://${host}/portal/series`);
  await page.getByText('Choose series and a property').waitFor();
  await page.getByRole('button', { name: 'Views…' }).click();
  await page.getByRole('link', { name: 'Cooling <b>' }).click();
  await header.waitFor();
  assert.strictEqual(page.url(), link);
  await page.getByRole('button', { name: 'Views…' }).click();
  await page.getByRole('button', { name: 'Delete Cooling <b>' }).click();
  await page.getByRole('link', { name: 'Cooling <b>' }).waitFor({ state: 'detached' });
  quiet(page);
  await page.context().close();
});

const saved = async (page) => {
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download CSV' }).last().click()]);
  return fs.readFileSync(await file.path(), 'utf8').split('\r\n');
};

test('names are names, in the chart, in the table of events and in files', async () => {
  const names = ["['it\\'s.[a] \\\\'].['b.c']", 's.v', '<img src=x onerror=alert(1)>'];
  const page = await open(at(names.map((name) => line('odd', name)), noon, noon + 180_000, '&every=60&tab=table'));
  await page.getByRole('columnheader', { name: 'odd <img src=x' }).waitFor();
  const rows = page.getByRole('region', { name: 'Values' }).getByRole('row');
  await rows.nth(3).waitFor();
  assert.deepStrictEqual((await rows.nth(3).getByRole('cell').allInnerTexts()).slice(1), ['23', '2.5', '2']);
  const chartFile = await saved(page);
  assert.strictEqual(chartFile[1], `${new Date(noon).toISOString()},21,0.5,0`);
  await page.getByRole('button', { name: 'Events', exact: true }).click();
  await page.getByText('<script>alert(2)</script>').first().waitFor();
  await page.getByLabel('iothub-enqueuedtime').uncheck();
  for (const name of ['iothub-connection-device-id', 'say']) await page.getByLabel(name, { exact: true }).uncheck();
  const file = await saved(page);
  assert.strictEqual(file.length, 5);
  assert.match(file[1], /,'=cmd\|1,/);
  assert.strictEqual(file[1].split(',').length, 5);
  quiet(page);
  await page.context().close();
});

test('a device’s page draws what is stored of it, and leads to the explorer', async () => {
  const page = await open('devices/kiln-3/telemetry');
  await page.getByRole('navigation', { name: 'Telemetry' }).getByRole('link', { name: 'Stored' }).click();
  await page.getByText('Show as table').click();
  await page.getByRole('columnheader', { name: 'kiln-3 pressure' }).waitFor();
  await page.getByLabel('Time', { exact: true }).selectOption('Last 6 hours');
  await page.getByText(/the last event is of/).first().waitFor();
  const box = await chart(page).boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + 80);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width - 60, box.y + 80, { steps: 3 });
  await page.mouse.up();
  await page.getByRole('button', { name: 'Zoom', exact: true }).click();
  await page.getByRole('button', { name: 'Back', exact: true }).waitFor();
  await page.getByRole('link', { name: 'Open in the explorer' }).click();
  await page.getByRole('button', { name: /Change kiln-3 temperature/ }).waitFor();
  const shown = new URL(page.url()).searchParams;
  const wide = Date.parse(shown.get('to')) - Date.parse(shown.get('from'));
  assert.ok(wide > 2 * 3600_000 && wide < 4 * 3600_000, String(wide));
  quiet(page);
  await page.goto(`https://${host}/portal/devices/odd%20one/telemetry?show=stored`);
  await page.getByText('Nothing that this device has sent is stored').waitFor();
  await page.context().close();
});

test('an address that says nonsense shows what there is of it', async () => {
  const page = await open(`series?from=x&to=2026-01-01T00:00:00Z&every=-1&y=z&tab=w&last=1e99&s=${encodeURIComponent('[{"id":[]},{"id":["kiln-1"],"p":"temperature","a":"nonsense","i":"Cubic","c":"x"},7]')}`);
  await page.getByRole('button', { name: /Change kiln-1 temperature · avg/ }).waitFor();
  await page.getByText('Interval: 10 s').waitFor();
  quiet(page);
  await page.goto(`https://${host}/portal/series?s=%7B`);
  await page.getByText('Choose series and a property').waitFor();
  quiet(page);
  await page.context().close();
});

test('who may not read them is told', async () => {
  const page = await open('series', { as: process.env.READER_CS });
  await page.getByText('may not read time series').waitFor();
  await page.context().close();
});

test('the time is chosen by name, by dates, and along all there is', async () => {
  const page = await open(`series?zone=utc&s=${encodeURIComponent(JSON.stringify([line('kiln-1', 'temperature')]))}`);
  const shown = () => ['from', 'to'].map((name) => Date.parse(new URL(page.url()).searchParams.get(name)));
  const time = page.getByRole('combobox', { name: 'Time', exact: true });
  await time.selectOption('Last 30 minutes');
  assert.strictEqual(new URL(page.url()).searchParams.get('last'), '1800');
  await time.selectOption('Custom…');
  const dialog = page.getByRole('dialog');
  const day = new Date(noon).toISOString().slice(0, 11);
  await dialog.getByLabel('From (UTC)').fill(`${day}08:00`);
  await dialog.getByLabel('To (UTC)').fill(`${day}07:59`);
  await dialog.getByText('The end is later').waitFor();
  assert.ok(await dialog.getByRole('button', { name: 'Show' }).isDisabled());
  await dialog.getByLabel('To (UTC)').fill(`${day}09:30`);
  await dialog.getByRole('button', { name: 'Show' }).click();
  assert.deepStrictEqual(shown(), [Date.parse(`${day}08:00:00Z`), Date.parse(`${day}09:30:00Z`)]);
  await time.selectOption('All there is');
  assert.ok(shown()[0] <= noon - DAY / 2 && shown()[1] > noon + DAY / 2);
  const bar = await page.locator('.availability svg').boundingBox();
  await page.mouse.move(bar.x + 4, bar.y + 10);
  await page.mouse.down();
  await page.mouse.move(bar.x + bar.width / 10, bar.y + 10, { steps: 3 });
  await page.mouse.up();
  await page.waitForURL((url) => Date.parse(url.searchParams.get('to')) < noon);
  await page.goBack();
  await page.waitForURL((url) => Date.parse(url.searchParams.get('to')) > noon + DAY / 2);
  await page.getByRole('slider').press('End');
  await page.getByText(/^Interval: \d+ (h|d)$/).waitFor();
  await page.getByRole('button', { name: 'Interval as it fits' }).click();
  await page.getByText('(as it fits)').waitFor();
  quiet(page);
  await page.context().close();
});

test('it refreshes by itself, and the axes are as somebody wants them', async () => {
  const page = await open(`series?s=${encodeURIComponent(JSON.stringify([line('plant.truck-01.1', 'speed'), line('plant.truck-01.2', 'speed'), line('plant.truck-01.2', 'temperature')]))}`);
  await page.getByLabel('Refresh', { exact: true }).selectOption('5 s');
  await page.getByLabel('Time', { exact: true }).and(page.locator('select')).selectOption('Last 30 minutes');
  const value = page.getByRole('listitem').filter({ hasText: 'plant.truck-01.1' }).locator('b');
  await until('its speed', async () => /\d/.test(await value.innerText()));
  for (const axis of ['Shared', 'Overlapped', 'Stacked']) await page.getByLabel('Y axes').selectOption(axis);
  await page.waitForRequest(/timeseries\/query/, { timeout: 10000 });
  quiet(page);
  await page.context().close();
});

test('each value is a point, counts are counts, and the chart says its ends in words', async () => {
  const lines = [line('odd', 's.v', { a: 'raw' }), line('odd', 's.v', { a: 'count' }), line('odd', 'note')];
  const page = await open(at(lines, noon, noon + 240_000, '&every=60'));
  await page.getByRole('group', { name: /^3 lines\. s\.v from 0 to 2\.5; note without values\./ }).waitFor();
  await page.getByRole('button', { name: 'Table', exact: true }).click();
  await page.getByRole('columnheader', { name: 'odd s.v, each value' }).waitFor();
  const rows = page.getByRole('region', { name: 'Values' }).getByRole('row');
  await rows.nth(4).waitFor();
  const cells = (await rows.allInnerTexts()).slice(1).map((row) => row.split('\t').slice(1));
  assert.deepStrictEqual(cells, [['0.5', '1', '--'], ['1.5', '1', '--'], ['2.5', '1', '--'], ['--', '0', '--']]);
  quiet(page);
  await page.context().close();
});

test('a hub that keeps no time series says so, once', async () => {
  const page = await open();
  const refusal = { Message: 'ErrorCode:InvalidOperation;time series are off: set enabled = true', ExceptionMessage: '' };
  await page.route(/\/availability/, (route) => route.fulfill({ status: 400, body: JSON.stringify(refusal) }));
  await page.keyboard.press('g');
  await page.keyboard.press('t');
  await page.getByRole('alert').waitFor();
  assert.match(await page.getByRole('alert').innerText(), /^time series are off/);
  assert.strictEqual(await page.getByLabel('Find a series').count(), 0);
  await page.unroute(/\/availability/);
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByLabel('Find a series').waitFor();
  await page.context().close();
});
