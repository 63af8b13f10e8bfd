'use strict';
const { after, before, test } = require('node:test');
const assert = require('node:assert');
const { start, end, open, ask, service, asDevice, device, edge, until, host } = require('./support');

// Texts that would run, if anything made HTML of them.
const hostile = ['<img src=x onerror=alert(1)>', '<script>alert(2)</script>', '"><svg onload=alert(3)>', 'javascript:alert(4)', '{{constructor.constructor("alert(5)")()}}',
  '<a href="javascript:alert(6)">x</a>', '</textarea><script>alert(7)</script>', '\u202e\u2028<b>'];
// The same in what an id may hold: no angle brackets.
const oddIds = ["odd'id", 'odd%2e%2e', 'odd#a?b=c', "odd');alert(1)('", 'odd$&a=b'].filter((id) => /^[A-Za-z0-9\-:.+%_#*?!(),=@;$']{1,128}$/.test(id));

before(async () => {
  await start();
  await device('lamp-1');
  await device('lamp-2', { status: 'disabled' });
  for (const id of oddIds) await device(id);
  await device('evil');
  await service('PATCH', '/twins/evil', { tags: Object.fromEntries(hostile.map((text, i) => [`t${i}`, text])), properties: { desired: { a: hostile } } });
  await asDevice('evil', 'PATCH', '/twin/properties/reported', Object.fromEntries(hostile.map((text, i) => [`r${i}`, text])));
  await edge('gate');
  await service('PUT', '/jobs/v2/paint', { jobId: 'paint', type: 'scheduleUpdateTwin', queryCondition: "deviceId IN ['lamp-1']", maxExecutionTimeInSeconds: 60,
    startTime: new Date().toISOString(), updateTwin: { etag: '*', tags: { colour: 'red' } } });
});
after(end);

const quiet = (page) => assert.deepStrictEqual(page.said, []);

test('the page is served with headers that forbid foreign and inline code, frames and cookies', async () => {
  const answer = await ask('GET', '/portal/devices');
  assert.strictEqual(answer.status, 200);
  assert.match(answer.headers['content-security-policy'], /default-src 'none'; script-src 'self'; style-src 'self'/);
  assert.match(answer.headers['content-security-policy'], /frame-ancestors 'none'/);
  assert.doesNotMatch(answer.text, /<style|style=|<script>|https?:/);
  assert.strictEqual(answer.headers['set-cookie'], undefined);
  const [script] = /\/portal\/assets\/[\w.-]+\.js/.exec(answer.text);
  assert.match((await ask('GET', script)).headers['cache-control'], /immutable/);
});

test('a page elsewhere can do nothing with who is signed in', async () => { // CSRF: there is nothing that a browser sends by itself
  const page = await open();
  assert.deepStrictEqual(await page.context().cookies(), []);
  const status = await page.evaluate(() => fetch('/devices/lamp-1?api-version=2021-04-12', { method: 'DELETE', credentials: 'include' }).then((answer) => answer.status));
  assert.strictEqual(status, 401);
  const preflight = await ask('OPTIONS', '/devices/lamp-1?api-version=2021-04-12', { headers: { Origin: 'https://elsewhere.test', 'Access-Control-Request-Method': 'DELETE' } });
  assert.strictEqual(preflight.headers['access-control-allow-origin'], undefined);
  await page.context().close();
});

test('signing in wants a policy, survives a reload, and ends', async () => {
  const page = await open('', { as: '' });
  const say = async (text) => {
    await page.getByLabel('Connection string').fill(text);
    await page.getByRole('button', { name: 'Sign in' }).click();
    return page.getByRole('alert').innerText();
  };
  assert.match(await say('nonsense'), /HostName, SharedAccessKeyName/);
  assert.match(await say(`HostName=${host};DeviceId=d;SharedAccessKey=aGVsbG8=`), /device’s/);
  assert.match(await say(`HostName=${host};SharedAccessKeyName=iothubowner;SharedAccessKey=aGVsbG8=`), /credentials|wrong/);
  assert.match(await say('HostName=other.test;SharedAccessKeyName=nobody;SharedAccessKey=aGVsbG8='), /is of other\.test, this page of/);
  await page.getByLabel('Connection string').fill(process.env.HUB_CS);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { level: 1 }).waitFor();
  await page.reload();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Connection string').waitFor();
  assert.strictEqual(await page.evaluate(() => sessionStorage.length), 0);
  await page.context().close();
});

test('a policy that may only read registers sees what it may, and is told what it may not', async () => {
  const page = await open('devices/lamp-1/twin', { as: process.env.READER_CS });
  await page.getByText('This policy may not read twins').waitFor();
  await page.getByRole('link', { name: 'Identity' }).click();
  await page.getByText('Primary key', { exact: true }).waitFor();
  assert.strictEqual(await page.getByRole('button', { name: 'Save' }).count(), 0);
  await page.context().close();
});

test('the list of devices is searched, narrowed and filled by the page', async () => {
  const page = await open('devices');
  await page.getByLabel('Device id begins with').fill('lamp-');
  await page.getByText('2 devices', { exact: true }).waitFor();
  await page.getByLabel('Device id begins with').fill('');
  await page.getByRole('button', { name: 'Add a condition' }).click();
  await page.getByLabel('Value').fill('disabled');
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByText('1 device', { exact: true }).waitFor();
  await page.getByRole('link', { name: 'lamp-2' }).waitFor();
  await page.goto(`https://${host}/portal/devices?id=none-such`);
  await page.getByRole('status').getByText('No devices to display').waitFor();
  quiet(page);
  await page.context().close();
});

test('a device is made, and several are deleted after a look at their ids', async () => {
  const page = await open('devices?id=temp-');
  for (const id of ['temp-1', 'temp-2']) {
    await page.getByRole('button', { name: 'New device' }).click();
    await page.getByRole('textbox', { name: 'Device id', exact: true }).fill(id);
    await page.getByRole('button', { name: 'Create' }).click();
    await page.getByRole('link', { name: id }).waitFor();
  }
  for (const id of ['temp-1', 'temp-2']) await page.getByLabel(`Choose ${id}`).check();
  await page.getByRole('button', { name: 'Delete (2)' }).click();
  assert.deepStrictEqual(await page.getByRole('dialog').getByRole('listitem').allInnerTexts(), ['temp-1', 'temp-2']);
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('status').getByText('No devices to display').waitFor();
  quiet(page);
  await page.context().close();
});

test('a thousand devices scroll without more than a screen of rows', async () => {
  for (let at = 0; at < 1000; at += 100)
    await service('POST', '/devices', Array.from({ length: 100 }, (_, i) => ({ id: `many-${String(at + i).padStart(4, '0')}`, importMode: 'create' })));
  const page = await open('devices?id=many-');
  const box = page.getByRole('region', { name: 'Devices' });
  await page.getByRole('link', { name: 'many-0000' }).waitFor();
  await until('the last device', async () => {
    await box.evaluate((element) => element.scrollTo(0, element.scrollHeight));
    return page.getByText('1,000 devices', { exact: true }).isVisible();
  });
  await box.evaluate((element) => element.scrollTo(0, element.scrollHeight)); // the last page came behind the last scrolling
  await page.getByRole('link', { name: 'many-0999' }).waitFor();
  assert.ok((await page.locator('tbody tr').count()) < 80);
  quiet(page);
  await page.context().close();
});

test('a twin is edited: mistakes have a place, changes are shown, and what is left out is deleted', async () => {
  await service('PATCH', '/twins/lamp-1', { tags: { floor: 1, old: true }, properties: { desired: { level: 5 } } });
  const page = await open('devices/lamp-1/twin');
  const editor = page.getByLabel('Edit as JSON');
  await page.getByText('Version ').first().waitFor();
  const text = await editor.inputValue();
  await editor.fill(text.replace('"level": 5', '"level": '));
  await page.getByText(/Line \d+, column \d+|Unexpected/).waitFor();
  assert.ok(await page.getByRole('button', { name: 'Save…' }).isDisabled());
  await editor.fill(JSON.stringify({ tags: { floor: 2 }, properties: { desired: { level: 7 } } }, null, 2));
  await page.getByRole('button', { name: 'Save…' }).click();
  await page.getByRole('dialog').getByText('"level": 7').waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await page.getByText('The twin is saved.').waitFor();
  const twin = await service('GET', '/twins/lamp-1');
  assert.deepStrictEqual([twin.tags.floor, 'old' in twin.tags, twin.properties.desired.level], [2, false, 7]);
  quiet(page);
  await page.context().close();
});

test('keys are masked, regenerated and swapped only when they are saved', async () => {
  const page = await open('devices/lamp-2');
  const keys = async () => (await service('GET', '/devices/lamp-2')).authentication.symmetricKey;
  const before_ = await keys();
  await page.getByText('Primary key', { exact: true }).waitFor();
  assert.ok(!(await page.locator('main').innerText()).includes(before_.primaryKey));
  await page.getByRole('button', { name: 'Swap keys' }).click();
  assert.deepStrictEqual(await keys(), before_);
  await page.getByLabel('Connect this device to the hub').check();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved.').waitFor();
  assert.deepStrictEqual(await keys(), { primaryKey: before_.secondaryKey, secondaryKey: before_.primaryKey });
  assert.strictEqual((await service('GET', '/devices/lamp-2')).status, 'enabled');
  const generate = page.getByRole('button', { name: 'Generate', exact: true });
  const [key, button] = await Promise.all([page.getByLabel('Key', { exact: true }).boundingBox(), generate.boundingBox()]);
  assert.ok(key.x < button.x && Math.abs(key.y + key.height - button.y - button.height) < 4); // one line, from the left
  await generate.click();
  await page.getByRole('button', { name: 'Show connection string with token' }).click();
  const made = await page.locator('code', { hasText: 'SharedAccessSignature=' }).innerText();
  const answer = await ask('GET', '/devices/lamp-2/twin?api-version=2021-04-12', { authorization: made.slice(made.indexOf('SharedAccessSignature=') + 22) });
  assert.strictEqual(answer.status, 200);
  quiet(page);
  await page.context().close();
});

test('telemetry comes live, pauses, and shows what a device says as text', async () => {
  const page = await open('devices/evil/telemetry');
  await page.getByRole('status').getByText('Live').waitFor();
  for (const text of hostile) await asDevice('evil', 'POST', '/messages/events', JSON.stringify({ said: text }), { 'iothub-app-note': 'n', 'Content-Type': 'application/json' });
  const events = page.getByRole('article');
  await until('all events', async () => (await events.count()) === hostile.length);
  const shown = await events.allInnerTexts();
  for (const text of hostile) assert.ok(shown.some((one) => one.includes(JSON.stringify(text).slice(1, -1)) || one.includes(text)), text);
  await page.getByRole('button', { name: 'Pause' }).click();
  await asDevice('evil', 'POST', '/messages/events', '{"late":1}', {});
  await page.getByRole('button', { name: 'Go on (1 wait)' }).waitFor();
  assert.strictEqual(await events.count(), hostile.length);
  await page.getByRole('button', { name: 'Go on' }).click();
  await page.getByText('"late"').waitFor();
  await page.getByLabel('Show events that hold').fill('onerror');
  await until('the filter', async () => (await events.count()) < hostile.length);
  quiet(page);
  await page.context().close();
});

test('nothing that a twin or an id holds is executed or lost', async () => {
  const page = await open('devices/evil/twin');
  await page.getByText('onerror=alert(1)').first().waitFor();
  await page.goto(`https://${host}/portal/devices/evil/history`);
  await page.getByText('onerror=alert(1)').first().waitFor();
  await page.goto(`https://${host}/portal/query?q=${encodeURIComponent("SELECT * FROM devices WHERE deviceId = 'evil'")}`);
  await page.getByRole('button', { name: 'Run' }).click();
  await page.getByText('onerror=alert(1)').first().waitFor();
  await page.goto(`https://${host}/portal/devices?id=odd`);
  for (const id of oddIds) {
    await page.getByRole('link', { name: id, exact: true }).click();
    await page.getByRole('heading', { name: id, exact: true, level: 1 }).waitFor();
    await page.getByText('Primary key', { exact: true }).waitFor();
    await page.goBack();
  }
  assert.strictEqual(await page.locator('main img, main script, main svg, main b, main iframe').count(), 0);
  quiet(page);
  await page.context().close();
});

test('a simulated device answers a method', async () => {
  await until('a truck', async () => (await service('GET', '/devices/plant.truck-01.1').catch(() => ({}))).connectionState === 'Connected', 40);
  const page = await open('devices/plant.truck-01.1/method');
  await page.getByLabel('Method name').fill('FirmwareUpdate');
  await page.getByLabel('Payload').fill('{"Firmware": "2.0"}');
  await page.getByRole('button', { name: 'Invoke' }).click();
  await page.getByText('Status 200').waitFor();
  quiet(page);
  await page.context().close();
});

test('an edge device shows its modules, clients and what its runtime answered', async () => {
  const page = await open('edge');
  const row = page.getByRole('row', { name: /gate/ });
  await row.waitFor();
  assert.deepStrictEqual((await row.getByRole('cell').allInnerTexts()).slice(2), ['3', '1', '1', '0']);
  assert.match(await row.innerText(), /200 - OK/);
  await page.getByRole('link', { name: 'gate' }).click();
  const module = page.getByRole('row', { name: /filtermodule/ });
  assert.match(await module.innerText(), /failed\s+145/);
  await page.getByRole('link', { name: 'Connected clients' }).click();
  await page.getByText('leaf-1').waitFor();
  quiet(page);
  await page.context().close();
});

test('everything is reached by keys, which can be switched off', async () => {
  const page = await open();
  await page.keyboard.press('g');
  await page.keyboard.press('d');
  await page.getByRole('heading', { name: 'Devices', exact: true }).waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('lamp-1');
  await page.getByText('1 device', { exact: true }).waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.press('?');
  await page.getByLabel('Single keys are shortcuts').uncheck();
  await page.keyboard.press('Escape');
  await page.keyboard.press('g');
  await page.keyboard.press('o');
  assert.match(page.url(), /devices/);
  quiet(page);
  await page.context().close();
});

test('jobs are listed', async () => {
  const page = await open('jobs');
  await page.getByText('paint', { exact: true }).waitFor();
  quiet(page);
  await page.context().close();
});
