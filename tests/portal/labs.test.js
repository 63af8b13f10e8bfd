'use strict';
// The labs of the IoT workshops, done in the browser: each test is one of docs/labs, as a person would do it with this portal alone.
const { after, before, test } = require('node:test');
const assert = require('node:assert');
const { start, end, open, service, asDevice, until, host } = require('./support');

const truck = 'plant.truck-01.1';
before(async () => {
  await start();
  await until('the truck', async () => (await service('GET', `/devices/${truck}`).catch(() => ({}))).connectionState === 'Connected', 40);
});
after(end);

async function leave(page) {
  assert.deepStrictEqual(page.said, []);
  await page.context().close();
}
const menu = (page, name) => page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name, exact: true }).click();

test('lab 1: a walk through a fleet that is there', async () => {
  const page = await open();
  await page.getByText('Messages today').waitFor();
  await menu(page, 'Dashboard');
  await page.getByRole('button', { name: new RegExp(`^${truck}, Truck`) }).or(page.getByRole('button', { name: /^\d+ devices/ })).first().waitFor();
  await menu(page, 'Devices');
  await page.getByLabel('Device id begins with').fill('plant.truck');
  await page.getByRole('link', { name: truck, exact: true }).click();
  await page.getByRole('link', { name: 'Twin', exact: true }).click();
  await page.getByText('Reported properties').waitFor();
  await page.getByText(/"Type": "Truck"/).first().waitFor();
  await leave(page);
});

test('lab 2: a device is added, connects with what the page has for it, and is watched', async () => {
  const page = await open('devices');
  await page.getByRole('button', { name: 'New device' }).click();
  await page.getByRole('textbox', { name: 'Device id', exact: true }).fill('thermometer');
  await page.getByRole('button', { name: 'Create' }).click();
  await page.getByRole('link', { name: 'thermometer', exact: true }).click();
  await page.getByRole('button', { name: 'Show primary connection string' }).click();
  await page.getByText(new RegExp(`^HostName=${host};DeviceId=thermometer;SharedAccessKey=`)).waitFor();
  await page.getByRole('link', { name: 'Telemetry', exact: true }).click();
  await page.getByText('Live', { exact: true }).last().waitFor();
  for (const temperature of [20.5, 21])
    await asDevice('thermometer', 'POST', '/messages/events', { temperature }, { 'iothub-contenttype': 'application/json', 'iothub-contentencoding': 'utf-8' });
  await page.getByRole('region', { name: 'Events' }).getByText('"temperature": 21').waitFor();
  await page.getByRole('link', { name: 'Stored' }).click(); // 20.5 is a Double, 21 a Long: one line
  await page.getByText('Show as table').click();
  await page.getByRole('columnheader', { name: 'thermometer temperature' }).waitFor();
  await page.getByRole('link', { name: 'Diagnose' }).click();
  await page.getByText('Last connections').or(page.getByRole('region', { name: 'Last connections' })).first().waitFor();
  await leave(page);
});

test('lab 4: a truck is told where it is, says so, and the map has it there', async () => {
  const page = await open(`devices/${truck}/twin`);
  const editor = page.getByLabel('Edit as JSON');
  await page.getByText('Reported properties').waitFor();
  await until('the twin', async () => (await editor.inputValue()).includes('desired'));
  const twin = JSON.parse(await editor.inputValue());
  twin.properties.desired = { ...twin.properties.desired, Latitude: 40.343432, Longitude: 8.3334 };
  await editor.fill(JSON.stringify(twin, null, 2));
  await page.getByRole('button', { name: 'Save…' }).click();
  await page.getByRole('dialog').getByText('"Latitude": 40.343432').waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await page.getByText('The twin is saved.').waitFor();
  const reported = async () => (await service('GET', `/twins/${truck}`)).properties.reported;
  await until('what it says of itself', async () => (await reported()).Latitude === 40.343432 && (await reported()).Longitude === 8.3334);
  await page.reload();
  await page.getByRole('region', { name: 'Reported properties' }).getByText(/40\.343432/).waitFor();
  await menu(page, 'Dashboard');
  await page.getByRole('button', { name: new RegExp(`^${truck}, Truck`) }).waitFor(); // alone on its island
  await leave(page);
});

test('lab 7: temperature is split by device, then there is pressure', async () => {
  const page = await open();
  await menu(page, 'Time series');
  await page.getByLabel('Find a series').fill('plant.chiller');
  await page.getByText('0 of 3 chosen').waitFor();
  await page.getByRole('button', { name: 'Choose all' }).click();
  const property = page.getByLabel('Property', { exact: true });
  const add = page.getByRole('button', { name: 'Add, split by series (3)' });
  await property.selectOption('temperature');
  await add.click();
  await page.getByRole('group', { name: /^3 lines/ }).waitFor();
  await property.selectOption('pressure');
  await add.click();
  await page.getByRole('group', { name: /^6 lines/ }).waitFor();
  await page.getByRole('combobox', { name: 'Time', exact: true }).selectOption('Last 30 minutes');
  const last = (name) => page.getByRole('listitem').filter({ hasText: name });
  for (const n of [1, 2, 3])
    for (const what of ['temperature', 'pressure']) {
      const value = last(`plant.chiller-01.${n} ${what}`).locator('b');
      await until(`${what} of ${n}`, async () => /^[\d.,]+$/.test(await value.innerText()));
    }
  const shown = new URL(page.url()).searchParams;
  assert.strictEqual(shown.get('last'), '1800');
  assert.strictEqual(JSON.parse(shown.get('s')).length, 6);
  await page.getByRole('button', { name: 'Table', exact: true }).click();
  await page.getByRole('columnheader', { name: 'plant.chiller-01.3 pressure' }).waitFor();
  await leave(page);
});
