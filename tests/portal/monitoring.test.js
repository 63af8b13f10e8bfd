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
  await page.getByLabel('Time', { exact: true }).selectOption('week');
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

test('trucks move on the map', async () => {
  const page = await open('dashboard');
  await page.getByText(/devices report where they are/).waitFor();
  await page.locator('.board details').getByText('Show as table').click();
  const row = page.getByRole('region', { name: 'Device locations' }).getByRole('row', { name: /fleet.truck.1/ });
  const began = await row.innerText();
  await until('the truck elsewhere', async () => {
    await page.getByRole('button', { name: 'Refresh' }).click();
    return (await row.innerText()) !== began;
  });
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
  await page.getByRole('group', { name: /heat: 2 lines\./ }).waitFor();
  await line.click();
  await page.locator('section', { hasText: 'Telemetry' }).getByText('Show as table').last().click();
  assert.match(await page.getByRole('region', { name: 'heat' }).innerText(), /pump-2\s+41.5/);
  await page.getByRole('button', { name: 'Pause', exact: true }).click();
  await send('pump-2', { heat: 43 });
  await page.getByText('Paused').waitFor();
  assert.strictEqual(await page.getByText('43', { exact: true }).count(), 0);
  await page.getByRole('button', { name: 'Go on', exact: true }).click();
  await page.getByRole('button', { name: 'pump-2 43', exact: true }).waitFor();
  await page.getByRole('link', { name: 'Explore in time series' }).click();
  await page.getByText('pump-2 heat').first().waitFor();
  await leave(page);
});

test('rules are listed with what they say, and switched off and on', async () => {
  const page = await open('rules');
  const row = page.getByRole('row', { name: /Pump is hot/ });
  await row.waitFor();
  assert.match(await row.innerText(), /Critical\s+On\s+Pumps pumps\s+heat > 90\s+Each message\s+2\s/);
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

test('a device group is made with a look at what it selects, changed and deleted', async () => {
  const page = await open('groups');
  await page.getByRole('button', { name: 'New device group' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('At sea');
  await dialog.getByText(/Not whole yet/).waitFor();
  assert.ok(await dialog.getByRole('button', { name: 'Save' }).isDisabled());
  await dialog.getByLabel('Key').fill('Tags.kind');
  await dialog.getByLabel('Value').fill('pump');
  await dialog.getByText(/Selects 4 devices: .*pump-1/).waitFor();
  await dialog.getByRole('button', { name: 'Add a condition' }).click();
  const second = dialog.getByRole('group', { name: 'condition 2' });
  await second.getByLabel('Key').fill('Properties.Reported.Latitude');
  await second.getByLabel('Operator').selectOption('LT');
  await second.getByLabel('Type').selectOption('number');
  await second.getByLabel('Value').fill('1');
  await dialog.getByText(/Selects 1 device: pump-3/).waitFor();
  await dialog.getByRole('button', { name: 'Save' }).click();
  const row = page.getByRole('row', { name: /At sea/ });
  await until('its count', async () => /tags.kind = 'pump' AND properties.reported.Latitude < 1\s+1\s/.test(await row.innerText()));
  await row.getByRole('button', { name: 'Edit At sea' }).click();
  await dialog.getByRole('button', { name: 'Remove condition 1' }).click();
  await dialog.getByLabel('Name').fill('South');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await page.getByText('South is saved.').waitFor();
  const made = (await service('GET', '/config/v1/devicegroups')).Items.find((one) => one.DisplayName === 'South');
  assert.deepStrictEqual(made.Conditions, [{ Key: 'Properties.Reported.Latitude', Operator: 'LT', Value: 1 }]);
  await page.getByRole('button', { name: 'Delete South' }).click();
  await dialog.getByRole('button', { name: 'Delete' }).click();
  await page.getByText('South is deleted.').waitFor();
  await page.getByRole('button', { name: 'Delete Pumps pumps' }).click();
  await dialog.getByRole('button', { name: 'Delete' }).click();
  await dialog.getByText(/is for this group; delete it first/).waitFor();
  assert.deepStrictEqual(page.said, ['Failed to load resource: the server responded with a status of 400 (Bad Request)']);
  await page.context().close();
});

test('a rule is made and changed; what the hub refuses is said at its field; a deleted one leaves its alarms', async () => {
  const page = await open('rules');
  await page.getByRole('button', { name: 'New rule' }).click();
  const dialog = page.getByRole('dialog');
  const save = () => dialog.getByRole('button', { name: 'Save' }).click();
  await save();
  await dialog.locator('.field', { hasText: 'Name is missing' }).getByLabel('Name').waitFor();
  await dialog.getByLabel('Name').fill('Pump runs dry');
  await dialog.getByLabel('Device group').selectOption('pumps');
  await dialog.getByText('4 devices now').waitFor();
  await save();
  await dialog.getByRole('alert').filter({ hasText: /a condition's Field is 1 to 10 names/ }).waitFor();
  await dialog.getByLabel('Field').fill('flow');
  await dialog.getByLabel('Operator').selectOption('LessThan');
  await dialog.getByLabel('Value').fill('low');
  await dialog.getByText('This is no number.').waitFor();
  await save();
  await dialog.getByRole('alert').filter({ hasText: /a condition's Value is a number/ }).waitFor();
  await dialog.getByLabel('Value').fill('0.5');
  await dialog.getByLabel('Severity').selectOption('Info');
  await save();
  const row = page.getByRole('row', { name: /Pump runs dry/ });
  assert.match(await row.innerText(), /Info\s+On\s+Pumps pumps\s+flow < 0.5\s+Each message\s+0\s/);
  await send('pump-1', { flow: 0.1 });
  await until('the alarm', async () => (await service('GET', '/telemetry/v1/alarms?severity=Info')).Items.length === 1);
  await row.getByRole('button', { name: 'Edit Pump runs dry' }).click();
  await dialog.getByLabel('Calculation').selectOption('Missing');
  await dialog.getByLabel('Window (minutes)').fill('1441');
  await save();
  await dialog.getByText(/TimePeriod is whole minutes/).waitFor();
  await dialog.getByLabel('Window (minutes)').fill('1');
  await save();
  await row.getByText('No data for 1 minute').waitFor();
  const made = (await service('GET', '/telemetry/v1/rules')).Items.find((one) => one.Name === 'Pump runs dry');
  assert.deepStrictEqual([made.Calculation, made.TimePeriod, made.Conditions], ['Missing', '60000', [{ Field: 'flow' }]]);
  await service('PUT', `/telemetry/v1/rules/${made.Id}`, { ...made, Description: 'changed by somebody else' });
  await page.getByRole('button', { name: 'Edit Pump runs dry' }).click(); // the list does not know it yet
  await save();
  await dialog.getByRole('alert').waitFor();
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('button', { name: 'Delete Pump runs dry' }).click();
  await dialog.getByRole('button', { name: 'Delete' }).click();
  await row.waitFor({ state: 'detached' });
  assert.strictEqual((await service('GET', `/telemetry/v1/alarmsbyrule/${made.Id}`)).Items.length, 1);
  assert.ok(page.said.every((text) => /status of 4\d\d/.test(text)));
  await page.context().close();
});

test('what a rule does with its alarms is said in its form, kept, and told by the alarm', async () => {
  const page = await open('rules');
  await page.getByRole('button', { name: 'New rule' }).click();
  const dialog = page.getByRole('dialog');
  const save = () => dialog.getByRole('button', { name: 'Save' }).click();
  const action = (n) => dialog.getByRole('group', { name: `action ${n}` });
  const add = () => dialog.getByRole('button', { name: 'Add an action' }).click();
  await dialog.getByLabel('Name').fill('Pump leaks');
  await dialog.getByLabel('Device group').selectOption('pumps');
  await dialog.getByLabel('Field').fill('leak');
  await dialog.getByLabel('Value').fill('0');
  await add();
  assert.strictEqual(await action(1).getByLabel('Subject').inputValue(), 'Alarm: Pump leaks was triggered');
  await save();
  await dialog.getByText('Recipients is missing.').waitFor();
  await action(1).getByLabel('Recipients').fill('a@plant.example, nobody');
  await save();
  await dialog.getByRole('alert').filter({ hasText: /Recipients of Email is a list of 1 to 20 mail addresses/ }).waitFor();
  await action(1).getByLabel('Recipients').fill('a@plant.example');
  await save();
  await dialog.getByRole('alert').filter({ hasText: /Email needs a mail server/ }).waitFor();
  await action(1).getByLabel('What').selectOption('Webhook');
  await action(1).getByLabel('URL').fill('http://127.0.0.1:1/hook');
  await action(1).getByLabel('Secret').fill('whsec_c2VjcmV0LWZvci10ZXN0cy0wMDAwMDAx');
  await action(1).getByLabel('Body (JSON)').fill('{"text": ');
  await dialog.getByText('This is not JSON.').waitFor();
  await action(1).getByLabel('Body (JSON)').fill('{"text": "${deviceId}"}');
  await add();
  await action(2).getByLabel('What').selectOption('Message');
  await action(2).getByLabel('Body (JSON)').fill('"stop"');
  await add();
  await action(3).getByLabel('What').selectOption('Method');
  await action(3).getByLabel('Method').fill(hostile);
  await save();
  await page.getByText('Pump leaks is saved.').waitFor();
  const made = (await service('GET', '/telemetry/v1/rules')).Items.find((one) => one.Name === 'Pump leaks');
  assert.deepStrictEqual(made.Actions, [
    { Type: 'Webhook', Parameters: { Url: 'http://127.0.0.1:1/hook', Secret: '********', Body: { text: '${deviceId}' } } },
    { Type: 'Message', Parameters: { Body: 'stop' } }, { Type: 'Method', Parameters: { Name: hostile } }]);
  await page.getByRole('button', { name: 'Edit Pump leaks' }).click(); // what is not shown stays
  await action(3).getByRole('button', { name: 'Remove action 3' }).click();
  await save();
  await until('two actions', async () => (await service('GET', `/telemetry/v1/rules/${made.Id}`)).Actions.length === 2);
  await send('pump-2', { leak: 1 });
  const [alarm] = await until('the alarm', async () => {
    const { Items } = await service('GET', `/telemetry/v1/alarmsbyrule/${made.Id}`);
    return Items.length && Items[0].Actions[0].Tries && Items[0].Actions[1].Status === 'done' ? Items : null;
  });
  await page.goto(`https://${host}/portal/alarms?rule=${made.Id}&id=${alarm.Id}`);
  await dialog.getByText(/Call a webhook: waits for its next try, after \d (try|tries): no answer of 127\.0\.0\.1/).waitFor();
  await dialog.getByText('Send a message to the device: done').waitFor();
  await service('DELETE', `/telemetry/v1/rules/${made.Id}`);
  await service('DELETE', `/telemetry/v1/alarms/${alarm.Id}`);
  assert.ok(page.said.every((text) => /status of 400/.test(text)));
  await page.context().close();
});

test('alarms are narrowed, looked at, acknowledged, closed and deleted, one or many', async () => {
  const page = await open('alarms?group=pumps');
  const rows = page.getByRole('region', { name: 'Alarms' }).locator('tbody tr');
  const shows = (count) => until(`${count} alarms`, async () => (await rows.count()) === count);
  const severity = page.getByLabel('Severity');
  await shows(5);
  await severity.selectOption('Critical');
  await shows(2);
  for (const box of await rows.getByRole('checkbox').all()) await box.check();
  await page.getByRole('button', { name: 'Acknowledge (2)' }).click();
  await page.getByText('2 alarms are acknowledged.').waitFor();
  await page.getByLabel('Status').selectOption('open');
  await shows(0);
  await severity.selectOption('');
  await shows(3);
  await page.getByLabel('Rule').selectOption('shaky');
  await shows(2);
  assert.match(page.url(), /status=open/);
  await page.reload();
  await shows(2);
  await rows.first().getByRole('button').click();
  const dialog = page.getByRole('dialog', { name: /Alarm: Shaky/ });
  await dialog.getByText('one message (rule shaky)').waitFor();
  await dialog.getByRole('button', { name: 'Close', exact: true }).click();
  await page.getByText('1 alarm is closed.').waitFor();
  await shows(1);
  await page.getByLabel('Status').selectOption('closed');
  await shows(1);
  await page.getByRole('button', { name: 'Choose all shown' }).click();
  await page.getByRole('button', { name: 'Delete (1)' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await shows(0);
  assert.strictEqual((await service('GET', '/telemetry/v1/alarmsbyrule/shaky')).Items.length, 1);
  await page.goto(`https://${host}/portal/devices/pump-1`);
  await page.locator('main').getByRole('link', { name: 'Alarms', exact: true }).click();
  await shows(3);
  await page.getByRole('button', { name: /of other devices than pump-1/ }).click();
  await until('those of others', async () => (await rows.count()) > 3);
  await leave(page);
});

test('more alarms than a page are asked for page by page', async () => {
  const page = await open('alarms?device=pump-2');
  for (let i = 0; i < 52; i++) await send('pump-2', { shake: 6 + i });
  await until('all', async () => (await service('GET', '/telemetry/v1/alarms?devices=pump-2')).Items.length >= 52);
  await page.getByRole('button', { name: 'Refresh' }).click();
  await page.getByText('50 shown', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Older' }).click();
  await page.getByText(/^[23] shown, behind 50 newer ones$/).waitFor();
  assert.ok(await page.getByRole('button', { name: 'Older' }).isDisabled());
  await page.getByRole('button', { name: 'Newer' }).click();
  await page.getByText('50 shown', { exact: true }).waitFor();
  await leave(page);
});

test('a job changes many devices, shows how far it is, and stands beside alarms', async () => {
  const page = await open('devices?id=pump-');
  await page.getByText('3 devices', { exact: true }).waitFor();
  for (const id of ['pump-1', 'pump-3']) await page.getByLabel(`Choose ${id}`).check();
  await page.getByRole('button', { name: 'Run a job (2)' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('heading', { name: 'A job for 2 devices' }).waitFor();
  assert.ok(await dialog.getByRole('button', { name: 'Start the job' }).isDisabled());
  await dialog.getByLabel('Name of the job').fill('paint-pumps');
  await dialog.getByLabel('Name', { exact: true }).fill('look.colour');
  await dialog.getByLabel('Value').fill('green');
  await dialog.getByRole('button', { name: 'Add a change' }).click();
  const second = dialog.getByRole('group', { name: 'change 2' });
  await second.getByLabel('Name').fill('Site');
  await second.getByLabel('Type').selectOption('remove');
  await dialog.getByRole('button', { name: 'Start the job' }).click();
  await page.getByText('2 of 2 done, 0 failed').waitFor();
  await page.getByText('completed').first().waitFor();
  assert.match(await page.getByRole('region', { name: 'Devices of the job' }).innerText(), /pump-1[^]*pump-3/);
  const tags = async (id) => (await service('GET', `/twins/${id}`)).tags;
  assert.deepStrictEqual([await tags('pump-1'), await tags('pump-3')], [{ kind: 'pump', look: { colour: 'green' } }, { kind: 'pump', look: { colour: 'green' } }]);
  assert.strictEqual((await tags('pump-2')).Site, 'north');
  await page.goto(`https://${host}/portal/devices?id=pump-`);
  await page.getByText('3 devices', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Run a job' }).click();
  await dialog.getByText("STARTSWITH(deviceId, 'pump-')").waitFor();
  await dialog.getByLabel('What').selectOption('method');
  await dialog.getByLabel('Name of the job').fill('call-pumps');
  await dialog.getByLabel('Method name').fill('reboot');
  await dialog.getByRole('button', { name: 'Start the job' }).click();
  await page.getByText('0 of 3 done, 3 failed').waitFor(); // none of them is connected
  await page.getByText(/isn't online/).first().waitFor();
  await page.getByRole('link', { name: 'Maintenance' }).click();
  await page.getByRole('region', { name: 'Jobs' }).getByRole('link', { name: 'paint-pumps' }).waitFor();
  assert.strictEqual(await tile(page, 'Failed').innerText(), '3');
  assert.match(await page.getByRole('row', { name: /Pump is hot/ }).innerText(), /Critical\s+2\s+0\s+2\s+0\s/);
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
