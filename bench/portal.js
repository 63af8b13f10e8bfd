'use strict';
// Measures the portal in Chromium for bench/portal.sh; prints a line of JSON. HUB_CS, HUB_CA and CHROMIUM as tests/portal has them.
//   portal.js paint ROUNDS | list PAGES | chart SERIES HERTZ SECONDS KEY
const { createHmac } = require('node:crypto');
const https = require('node:https');
const { start, end, open, host } = require('../tests/portal/support');

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
const round = (number) => Math.round(number * 10) / 10;
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function metricsOf(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' }); // of a processor, not by the clock
  return async () => Object.fromEntries((await session.send('Performance.getMetrics')).metrics.map(({ name, value }) => [name, value]));
}
const painted = (page) => page.evaluate(() => new Promise((resolve) => {
  const look = () => {
    const [entry] = performance.getEntriesByName('first-contentful-paint');
    if (entry) resolve(entry.startTime);
    else setTimeout(look, 5);
  };
  look();
}));

// Of a browser that has nothing in its cache, up to the page where one signs in; and of somebody who is signed in and loads again.
async function paint(rounds) {
  const [wall, cpu, answered, again] = [[], [], [], []];
  let bytes = 0;
  const browser = (await open('', { as: '' })).context().browser();
  for (let i = 0; i < rounds; i++) {
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    const page = await context.newPage();
    const metrics = await metricsOf(page);
    const before = (await metrics()).TaskDuration;
    await page.goto(`https://${host}/portal/`);
    wall.push(await painted(page));
    cpu.push(1000 * ((await metrics()).TaskDuration - before));
    answered.push(await page.evaluate(() => performance.getEntriesByType('navigation')[0].responseEnd));
    bytes = await page.evaluate(() => [...performance.getEntriesByType('resource'), ...performance.getEntriesByType('navigation')].reduce((sum, one) => sum + one.encodedBodySize, 0));
    await context.close();
  }
  const page = await open();
  for (let i = 0; i < rounds; i++) {
    await page.reload();
    again.push(await painted(page));
  }
  return { wall_ms: round(median(wall)), answered_ms: round(median(answered)), cpu_ms: round(median(cpu)), again_ms: round(median(again)), bytes };
}

async function list(pages) {
  const page = await open();
  const metrics = await metricsOf(page);
  const region = page.getByRole('region', { name: 'Devices' });
  let began = performance.now();
  await page.getByLabel('Pages').getByRole('link', { name: 'Devices', exact: true }).click();
  await region.locator('tbody tr a').first().waitFor();
  const first = performance.now() - began;
  const before = await metrics();
  const times = [];
  const rows = () => page.evaluate(() => Number((document.querySelector('main p[role=status]')?.textContent ?? '').replace(/\D/g, '')));
  let count = await rows();
  for (let i = 0; i < pages; i++) {
    began = performance.now();
    await region.evaluate((box) => { box.scrollTop = box.scrollHeight; });
    const than = count;
    while ((count = await rows()) <= than) await wait(5);
    times.push(performance.now() - began);
  }
  const after = await metrics();
  return { first_ms: round(first), page_ms: round(median(times)), slowest_ms: round(Math.max(...times)), rows: count, tab_kb: Math.round(after.JSHeapUsedSize / 1024), nodes: after.Nodes,
    page_cpu_ms: round((1000 * (after.TaskDuration - before.TaskDuration)) / pages) };
}

// Devices that say a number each, as fast as is asked; over connections that stay.
function talk(series, hertz, key) {
  const agent = new https.Agent({ keepAlive: true, maxSockets: series, rejectUnauthorized: false });
  const tokens = Array.from({ length: series }, (_, i) => {
    const [resource, until] = [encodeURIComponent(`${host}/devices/bench-${i}`), Math.floor(Date.now() / 1000) + 3600];
    return `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(createHmac('sha256', Buffer.from(key, 'base64')).update(`${resource}\n${until}`).digest('base64'))}&se=${until}`;
  });
  let said = 0;
  const timer = setInterval(() => tokens.forEach((Authorization, i) => {
    const body = JSON.stringify({ value: Math.round(1000 * (i + Math.sin(Date.now() / 3000 + i))) / 1000 });
    https.request({ host, agent, method: 'POST', path: `/devices/bench-${i}/messages/events?api-version=2021-04-12`,
      headers: { Authorization, 'Content-Length': body.length, 'iothub-contenttype': 'application/json', 'iothub-contentencoding': 'utf-8' } },
    (answer) => { answer.resume(); said += answer.statusCode === 204; }).on('error', () => {}).end(body);
  }), 1000 / hertz);
  return { stop: () => (clearInterval(timer), agent.destroy()), said: () => said };
}

async function chart(series, hertz, seconds, key) {
  const page = await open('dashboard');
  const metrics = await metricsOf(page);
  const browser = await page.context().browser().newBrowserCDPSession();
  const cpu = async () => new Map((await browser.send('SystemInfo.getProcessInfo')).processInfo.map(({ type, id, cpuTime }) => [`${type} ${id}`, cpuTime]));
  const devices = talk(series, hertz, key);
  await page.getByRole('button', { name: `value [${series}]` }).waitFor({ timeout: 60000 });
  await wait(5000);
  const [before, main, began, first] = [await cpu(), await metrics(), performance.now(), devices.said()];
  await wait(seconds * 1000);
  const [after, mainAfter, took] = [await cpu(), await metrics(), (performance.now() - began) / 1000];
  const said = devices.said() - first;
  devices.stop();
  const of = (what) => Math.max(0, ...[...after].filter(([name]) => name.startsWith(what)).map(([name, value]) => value - (before.get(name) ?? 0)));
  return { series, hertz, per_second: round(said / took), renderer: Math.round((1000 * of('renderer')) / took) / 1000, gpu: Math.round((1000 * of('GPU')) / took) / 1000,
    main_thread: Math.round((1000 * (mainAfter.TaskDuration - main.TaskDuration)) / took) / 1000, tab_kb: Math.round(mainAfter.JSHeapUsedSize / 1024) };
}

const [, , what, ...words] = process.argv;
const numbers = words.map((word) => (/^\d+$/.test(word) ? Number(word) : word));
start().then(() => ({ paint, list, chart })[what](...numbers))
  .then((found) => process.stdout.write(JSON.stringify(found) + '\n', () => process.exit(0)), (error) => { console.error(error); process.exit(1); });
