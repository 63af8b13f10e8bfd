'use strict';
// Every page in both themes and on a phone: without a finding of axe, and without a way to scroll sideways. With PICTURES set, a picture of each.
const { after, before, test } = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { start, end, open, audit, service, edge, until } = require('./support');

const device_ = 'plant.truck-01.1';
const pages = [
  ['sign-in', '', /Sign in to/, { as: '' }],
  ['overview', '', /Messages today/],
  ['devices', 'devices', /chiller/],
  ['identity', `devices/${device_}`, /Primary connection string/],
  ['twin', `devices/${device_}/twin`, /Reported properties/],
  ['telemetry', `devices/${device_}/telemetry?`, /latitude/],
  ['method', `devices/${device_}/method`, /Nothing has been called/],
  ['modules', 'devices/edge-1/modules', /\$edgeAgent/],
  ['history', `devices/${device_}/history`, /tags/],
  ['diagnose', `devices/${device_}/diagnose`, /connected/],
  ['query', 'query', /Begin with/],
  ['edge-devices', 'edge', /edge-1/],
  ['edge-device', 'edge/edge-1', /\$edgeHub/],
  ['jobs', 'jobs', /No jobs|fleet-colour/],
];

before(async () => {
  await start();
  await edge('edge-1');
  await until('the trucks', async () => (await service('GET', `/devices/${device_}`).catch(() => ({}))).connectionState === 'Connected', 40);
  await service('PATCH', `/twins/${device_}`, { tags: { site: 'north', customer: 'Contoso' } });
  await service('PUT', '/jobs/v2/fleet-colour', { jobId: 'fleet-colour', type: 'scheduleUpdateTwin', queryCondition: "STARTSWITH(deviceId, 'plant.truck')",
    maxExecutionTimeInSeconds: 60, startTime: new Date().toISOString(), updateTwin: { etag: '*', tags: { colour: 'red' } } });
});
after(end);

for (const [name, at, holds, how] of pages)
  test(`${name} is accessible in light and dark, and fits a phone`, async () => {
    for (const colors of ['light', 'dark']) {
      const page = await open(at, { colors, ...how });
      await page.getByText(holds).first().waitFor();
      await page.waitForTimeout(name === 'overview' && process.env.PICTURES ? 32000 : 300); // its charts want points
      assert.deepStrictEqual(await audit(page), [], `${name}, ${colors}`);
      if (process.env.PICTURES) {
        fs.mkdirSync(process.env.PICTURES, { recursive: true });
        await page.screenshot({ path: path.join(process.env.PICTURES, `${name}-${colors}.png`) });
      }
      await page.setViewportSize({ width: 360, height: 740 });
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 360), `${name} is wider than a phone`);
      if (process.env.PICTURES && colors === 'light') await page.screenshot({ path: path.join(process.env.PICTURES, `${name}-phone.png`) });
      await page.context().close();
    }
  });
