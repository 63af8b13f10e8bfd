'use strict';
// The explorer of time series, over a day that three kilns tell of.
const { after, before, test } = require('node:test');
const assert = require('node:assert');
const { start, end, open, kiln, host } = require('./support');

const DAY = 24 * 3600_000;
const noon = Math.floor(Date.now() / DAY) * DAY - DAY / 2; // of yesterday, by UTC
const span = (from, to) => `from=${new Date(from).toISOString()}&to=${new Date(to).toISOString()}`;
const line = (id, p, more) => ({ id: [id], p, ...more });
const at = (lines, from = noon - DAY / 2, to = noon + DAY / 2, more = '') =>
  `series?zone=utc&${span(from, to)}${more}&s=${encodeURIComponent(JSON.stringify(lines))}`;

before(async () => {
  await start();
  for (const n of [1, 2, 3]) await kiln(`kiln-${n}`, noon - DAY / 2, n);
});
after(end);

const quiet = (page) => assert.deepStrictEqual(page.said, []);
const chart = (page) => page.getByRole('group', { name: /^\d+ lines?\./ });

test('series are found, chosen and drawn, split by device', async () => {
  const page = await open(at([]));
  await page.getByLabel('Find a series').fill('KILN');
  await page.getByLabel('kiln-2', { exact: true }).check();
  await page.getByRole('button', { name: 'Choose all' }).click();
  await page.getByText('3 of 3 chosen').waitFor();
  await page.getByLabel('Property', { exact: true }).selectOption('temperature');
  await page.getByRole('button', { name: 'Add, split by series (3)' }).click();
  await page.getByRole('button', { name: /Change kiln-3 temperature/ }).waitFor();
  await chart(page).and(page.getByLabel(/^3 lines/)).waitFor();
  await page.getByRole('button', { name: 'Table', exact: true }).click();
  await page.getByRole('columnheader', { name: 'kiln-1 temperature' }).waitFor();
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
