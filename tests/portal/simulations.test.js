'use strict';
// Simulations and device models in the browser; a runner that the test starts does what the pages have said.
const { after, before, test } = require('node:test');
const assert = require('node:assert');
const { spawn } = require('node:child_process');
const path = require('node:path');
const { start, end, open, service, until } = require('./support');

const api = '/devicesimulation/v1';
const hostile = '<img src=x onerror=alert(1)>';
const get = (id) => service('GET', `${api}/simulations/${id}`);
const devices = async (id) => (await service('POST', '/devices/query', { query: `SELECT COUNT() AS n FROM devices WHERE tags.Simulation = '${id}'` }))[0]?.n ?? 0;
let runner;
const follow = () => {
  runner = spawn(path.join(process.env.BIN, 'skerry'), ['sim', 'follow', '--runner', 'test'], { stdio: 'inherit', env: { ...process.env, SKERRY_CONNECTION_STRING: process.env.HUB_CS, SKERRY_CA_FILE: process.env.HUB_CA } });
};

before(start);
after(async () => {
  runner?.kill();
  for (const one of (await service('GET', `${api}/simulations`)).Items) await service('DELETE', `${api}/simulations/${one.Id}`);
  await end();
});
async function leave(page) {
  assert.deepStrictEqual(page.said, []);
  await page.context().close();
}
const tile = (page, name) => page.locator('.tile', { hasText: name }).locator('dd').first();
const state = (page, text) => page.locator('.pill', { hasText: new RegExp(`${text}$`) }).first().waitFor({ timeout: 30000 });

test('a simulation is made, waits for a runner, runs, is stopped, runs again and is deleted', async () => {
  const page = await open('simulations');
  await page.getByText('No runner follows').waitFor({ timeout: 40000 }); // another file may have had one
  await page.getByText('skerry sim follow').waitFor();
  await page.getByRole('button', { name: 'New simulation' }).click();
  await page.getByLabel('Name', { exact: true }).fill(`Cold ${hostile}`);
  await page.getByLabel('Description').fill(hostile);
  const first = page.getByRole('group', { name: 'device type 1' });
  await first.getByLabel('Amount').fill('0');
  await page.getByText('An amount is 1 to 100000.').waitFor();
  assert.ok(await page.getByRole('button', { name: 'Start' }).isDisabled());
  await first.getByLabel('Amount').fill('4');
  await first.getByLabel('Interval in s').fill('1');
  await page.getByText('cold-img-src-x-onerror-alert-1.MODEL.1').waitFor();
  await page.getByRole('button', { name: 'Start' }).click();
  await page.getByRole('heading', { name: hostile }).waitFor();
  const id = 'cold-img-src-x-onerror-alert-1';
  await state(page, 'Waiting for a runner');
  await page.getByText('No runner follows').waitFor();
  follow();
  await state(page, 'Running');
  await until('four devices', async () => (await tile(page, 'Devices').innerText()) === '4 of 4');
  await until('messages', async () => Number(await tile(page, 'Messages').innerText()) > 8);
  assert.strictEqual(await page.getByText('No runner follows').count(), 0);
  assert.strictEqual(await devices(id), 4);
  await page.getByRole('button', { name: 'Stop' }).click();
  await state(page, 'Stopped');
  await until('no devices', async () => (await devices(id)) === 0);
  await page.getByRole('button', { name: 'Run again' }).click();
  await state(page, 'Running');
  await until('four devices again', async () => (await devices(id)) === 4);
  assert.strictEqual((await get(id)).RunNumber, 2);
  await page.getByRole('link', { name: 'Its devices' }).click();
  await page.getByText(`${id}.chiller-01.4`).first().waitFor();
  await page.goBack();
  await page.getByRole('button', { name: 'Stop' }).click();
  await state(page, 'Stopped');
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('No simulations to display').waitFor();
  await leave(page);
});

test('a simulation for a time starts again for as long, and one that fails says why', async () => {
  const page = await open('simulations');
  await page.getByRole('button', { name: 'New simulation' }).click();
  await page.getByLabel('Name', { exact: true }).fill('Short');
  await page.getByLabel('Runs').selectOption('fixed');
  await page.getByLabel('Hours').fill('100');
  await page.getByText('0.05 to 99').waitFor();
  await page.getByLabel('Hours').fill('2');
  await page.getByRole('button', { name: 'Start' }).click();
  await page.getByRole('heading', { name: 'Short' }).waitFor();
  const span = (one) => Math.round((Date.parse(one.EndTime) - Date.parse(one.StartTime)) / 1000);
  assert.strictEqual(span(await get('short')), 7200);
  await service('PATCH', `${api}/simulations/short`, { StartTime: 'NOW-PT3H', EndTime: 'NOW-PT1H' }, { 'If-Match': '*' });
  await state(page, 'Ended');
  await page.getByRole('button', { name: 'Start' }).click(); // that run was not started
  await state(page, 'Running');
  const again = await get('short');
  assert.strictEqual(span(again), 7200);
  assert.ok(Date.parse(again.EndTime) > Date.now());
  await service('PUT', `${api}/devicemodels/wrong`, { Simulation: { Interval: '00:00:01', Scripts: [{ Type: 'javascript', Path: 's.js' }] }, Files: { 's.js': `function ${hostile}` } }, { 'If-Match': '*' });
  await service('PUT', `${api}/simulations/wrong`, { Name: 'Wrong', DeviceModels: [{ Id: 'wrong', Count: 1 }] });
  await page.goto(page.url().replace('/short', '/wrong'));
  await page.getByRole('alert').getByText('SyntaxError').waitFor({ timeout: 30000 });
  await state(page, 'Failed');
  await leave(page);
});

test('a model is made of sensors, shown and simulated; another one is uploaded with its script', async () => {
  const page = await open('simulations/$models');
  await page.getByRole('cell', { name: 'chiller-01' }).waitFor();
  await page.getByRole('button', { name: 'New model' }).click();
  await page.getByLabel('Id', { exact: true }).fill('tank-01');
  await page.getByLabel('Name', { exact: true }).first().fill(hostile);
  for (let n = 2; n <= 10; n++) {
    await page.getByRole('button', { name: 'Add a sensor' }).click();
    const row = page.getByRole('group', { name: `sensor ${n}`, exact: true });
    await row.getByLabel('Name').fill(`level${n}`);
    await row.getByLabel('Behaviour').selectOption(n % 2 ? 'Increment' : 'Decrement');
    await row.getByLabel('Min').fill('0');
    await row.getByLabel('Max').fill('50');
  }
  assert.strictEqual(await page.getByRole('button', { name: 'Add a sensor' }).count(), 0); // ten are the most
  await page.getByRole('group', { name: 'sensor 1', exact: true }).getByLabel('Unit').fill('"°C"');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('heading', { name: 'tank-01' }).waitFor();
  await page.getByText('Math.Decreasing').first().waitFor();
  const model = await service('GET', `${api}/devicemodels/tank-01`);
  assert.strictEqual(model.Name, hostile);
  await service('PUT', `${api}/simulations/tanks`, { Name: 'Tanks', DeviceModels: [{ Id: 'tank-01', Count: 1, Override: { Telemetry: [{ Interval: '00:00:01' }] } }] });
  await until('its telemetry', async () => (await get('tanks')).Statistics.TotalMessagesSent > 0, 30);
  await page.goto(page.url().replace('/tank-01', ''));
  await page.getByRole('button', { name: 'Upload' }).click();
  const files = [
    { name: 'pump.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify({ Id: 'pump-01', Name: 'Pump', Simulation: { Interval: '00:00:05', Scripts: [{ Type: 'javascript', Path: 'pump.js' }] } })) },
    { name: 'pump.js', mimeType: 'text/javascript', buffer: Buffer.from(`function main() { log("${hostile}"); }`) },
  ];
  await page.getByLabel('Model (JSON) and scripts').setInputFiles(files.slice(0, 1));
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('there is no script pump.js').waitFor(); // the hub says so
  await page.getByLabel('Model (JSON) and scripts').setInputFiles(files.slice(1));
  await page.getByText('Scripts: pump.js').waitFor();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('link', { name: 'pump-01' }).click();
  await page.getByText('onerror=alert').waitFor();
  await page.goBack();
  await page.getByRole('button', { name: 'Delete tank-01' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText("the simulation 'tanks' has devices of it").waitFor();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('button', { name: 'Delete pump-01' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('link', { name: 'pump-01' }).waitFor({ state: 'detached' });
  page.said = page.said.filter((text) => !/status of 400/.test(text)); // two refusals that were meant
  await leave(page);
});

test('who only reads sees simulations and changes none', async () => {
  const page = await open('simulations', { as: process.env.READER_CS });
  await page.getByRole('link', { name: 'Tanks' }).click();
  await page.getByRole('heading', { name: 'Tanks' }).waitFor();
  assert.strictEqual(await page.getByRole('button', { name: /Stop|Delete|Run again/ }).count(), 0);
  await page.goto(page.url().replace('/tanks', ''));
  await page.getByRole('link', { name: 'Tanks' }).waitFor();
  assert.strictEqual(await page.getByRole('button', { name: 'New simulation' }).count(), 0);
  page.said = page.said.filter((text) => !/status of 401/.test(text)); // what it may do is tried
  await leave(page);
});
