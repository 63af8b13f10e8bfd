'use strict';
// Pages live: what changes is seen without a click, over one stream of the hub's own events.
const { test, before, after } = require('node:test');
const assert = require('node:assert');
const { start, end, open, asDevice, device, service, until } = require('./support');

before(start);
after(end);
const quiet = (page) => assert.deepStrictEqual(page.said, []);
const json = { 'iothub-contenttype': 'application/json', 'iothub-contentencoding': 'utf-8' };
const live = (page) => page.getByRole('status').filter({ hasText: 'Live' }).first().waitFor();

test('alarms come by themselves, stand still when somebody wants, and go on', async () => {
  await device('glowing');
  await service('PUT', '/config/v1/devicegroups/glowing', { DisplayName: 'Glowing ones', Conditions: [{ Key: 'deviceId', Operator: 'EQ', Value: 'glowing' }] });
  await service('PUT', '/telemetry/v1/rules/glowing', { Name: 'It glows', GroupId: 'glowing', Severity: 'Critical', Calculation: 'Instant',
    Conditions: [{ Field: 'heat', Operator: 'GreaterThan', Value: '5' }] });
  const page = await open('alarms?rule=glowing');
  const rows = page.getByRole('region', { name: 'Alarms' }).getByRole('row').filter({ hasText: 'glowing' });
  await live(page);
  const asked = [];
  page.on('request', (request) => request.url().includes('alarmsbyrule/glowing') && asked.push(request.url()));
  await asDevice('glowing', 'POST', '/messages/events', '{"heat":9}', json);
  await rows.first().waitFor();
  assert.strictEqual(await rows.count(), 1);
  await page.getByRole('button', { name: 'Pause the page' }).click();
  await page.getByText('Paused; the connection stays').waitFor();
  const before = asked.length;
  await asDevice('glowing', 'POST', '/messages/events', '{"heat":9}', json);
  await until('the second', async () => (await service('GET', '/telemetry/v1/alarmsbyrule/glowing')).Items.length === 2);
  await page.waitForTimeout(2500);
  assert.deepStrictEqual([await rows.count(), asked.length], [1, before]);
  await page.getByRole('button', { name: 'Go on with the page' }).click();
  await rows.nth(1).waitFor();
  const [{ Id }] = (await service('GET', '/telemetry/v1/alarmsbyrule/glowing')).Items;
  await service('PATCH', `/telemetry/v1/alarms/${Id}`, { Status: 'closed' }, { 'If-Match': '*' }); // by somebody else
  await rows.filter({ hasText: 'closed' }).waitFor();
  quiet(page);
  await page.context().close();
});

test('a stream that breaks is said, and what came meanwhile is there when it is back', async () => {
  const page = await open('alarms?rule=glowing');
  await live(page);
  await page.route(/\/messages\/notices/, (route) => route.abort());
  await page.getByRole('link', { name: 'Jobs', exact: true }).click(); // another page, another stream
  await page.getByText(/Stale since \d/).waitFor();
  await page.unroute(/\/messages\/notices/);
  const id = `late-${Date.now()}`;
  await service('PUT', `/jobs/v2/${id}`, { jobId: id, type: 'scheduleUpdateTwin', queryCondition: "deviceId = 'glowing'", maxExecutionTimeInSeconds: 60,
    startTime: new Date().toISOString(), updateTwin: { etag: '*', tags: { late: true } } });
  await page.getByRole('row').filter({ hasText: id }).filter({ hasText: 'completed' }).waitFor({ timeout: 30000 });
  await live(page);
  assert.deepStrictEqual(page.said.filter((text) => !/ERR_FAILED/.test(text)), []);
  await page.context().close();
});

test('the list of devices tells who connects and who leaves', async () => {
  const id = 'plant.chiller-01.3';
  const page = await open(`devices?id=${id}`);
  const row = page.getByRole('row').filter({ hasText: id });
  await row.filter({ hasText: 'Connected' }).waitFor({ timeout: 40000 });
  await live(page);
  const identity = await service('GET', `/devices/${id}`);
  await service('PUT', `/devices/${id}`, { ...identity, status: 'disabled' }, { 'If-Match': '*' });
  await row.filter({ hasText: 'Disconnected' }).waitFor();
  await service('PUT', `/devices/${id}`, { ...identity, status: 'enabled' }, { 'If-Match': '*' });
  const fresh = `${id}-${Date.now()}`;
  await device(fresh);
  await page.getByRole('button', { name: 'Refresh (1 new)' }).click();
  await page.getByRole('row').filter({ hasText: fresh }).waitFor();
  await service('DELETE', `/devices/${fresh}`, undefined, { 'If-Match': '*' });
  await until('its going', async () => (await page.getByRole('row').filter({ hasText: fresh }).count()) === 0);
  quiet(page);
  await page.context().close();
});

test('a twin follows its device, and does not take away what somebody writes', async () => {
  await device('told');
  const page = await open('devices/told/twin');
  await live(page);
  const name = '<img src=x onerror=alert(1)>';
  await asDevice('told', 'PATCH', '/twin/properties/reported', { name });
  await page.getByRole('region', { name: 'Reported properties' }).filter({ hasText: name }).waitFor();
  assert.strictEqual(await page.locator('img[onerror]').count(), 0);
  const box = page.getByLabel('Edit as JSON');
  await box.fill('{"tags":{"mine":1},"properties":{"desired":{}}}');
  await service('PATCH', '/twins/told', { tags: { theirs: 2 } });
  await page.getByText('The twin has been changed meanwhile').waitFor();
  assert.match(await box.inputValue(), /mine/);
  await page.getByRole('button', { name: 'Refresh' }).click();
  await until('the twin', async () => /theirs/.test(await box.inputValue()));
  quiet(page);
  await page.context().close();
});
