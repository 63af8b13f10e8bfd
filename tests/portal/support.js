'use strict';
// A signed-in browser, and the hub behind it. What a test does with the hub goes over its REST API, as a service or a device would do it.
const { createHmac } = require('node:crypto');
const { createRequire } = require('node:module');
const fs = require('node:fs');
const https = require('node:https');
const path = require('node:path');

const own = createRequire(path.join(__dirname, '../../portal/package.json'));
const { chromium } = own('playwright-core');
const axeSource = fs.readFileSync(own.resolve('axe-core/axe.min.js'), 'utf8');

const parts = (text) => Object.fromEntries(text.split(';').map((part) => [part.slice(0, part.indexOf('=')), part.slice(part.indexOf('=') + 1)]));
const owner = parts(process.env.HUB_CS);
const host = owner.HostName;
const ca = fs.readFileSync(process.env.HUB_CA);

function token(resource, key, policy) {
  const encoded = encodeURIComponent(resource);
  const end = Math.floor(Date.now() / 1000) + 600;
  const signature = createHmac('sha256', Buffer.from(key, 'base64')).update(`${encoded}\n${end}`).digest('base64');
  return `SharedAccessSignature sr=${encoded}&sig=${encodeURIComponent(signature)}&se=${end}${policy ? `&skn=${policy}` : ''}`;
}

// {status, headers, text}
function ask(method, target, { body, headers = {}, authorization } = {}) {
  const data = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    https.request({ host, ca, method, path: target, servername: '', headers: { ...headers, ...(authorization && { Authorization: authorization }),
      ...(data !== undefined && { 'Content-Length': Buffer.byteLength(data) }) } }, (answer) => {
      const chunks = [];
      answer.on('data', (chunk) => chunks.push(chunk));
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text: Buffer.concat(chunks).toString() }));
    }).on('error', reject).end(data);
  });
}

async function service(method, target, body, headers) {
  const at = target + (target.includes('?') ? '&' : '?') + 'api-version=2021-04-12';
  const answer = await ask(method, at, { body, headers, authorization: token(host, owner.SharedAccessKey, owner.SharedAccessKeyName) });
  if (answer.status >= 300) throw new Error(`${method} ${target}: ${answer.status} ${answer.text}`);
  return answer.text ? JSON.parse(answer.text) : null;
}

// As a device or module itself.
async function asDevice(device, method, target, body, headers, module) {
  const at = `/devices/${encodeURIComponent(device)}${module ? `/modules/${encodeURIComponent(module)}` : ''}`;
  const identity = await service('GET', at);
  const answer = await ask(method, `${at}${target}?api-version=2021-04-12`, { body, headers,
    authorization: token(host + at, identity.authentication.symmetricKey.primaryKey) });
  if (answer.status >= 300) throw new Error(`${method} ${target}: ${answer.status} ${answer.text}`);
  return answer;
}

const device = (id, more = {}) => service('PUT', `/devices/${encodeURIComponent(id)}`, { deviceId: id, ...more });

// A file, as a device uploads it; gives its address with the device's signature.
async function upload(id, blobName, body, type) {
  const told = JSON.parse((await asDevice(id, 'POST', '/files', JSON.stringify({ blobName }))).text);
  const target = `/${told.containerName}/${told.blobName.split('/').map(encodeURIComponent).join('/')}${told.sasToken}`;
  const put = await ask('PUT', target, { body, headers: { 'x-ms-blob-type': 'BlockBlob', 'x-ms-blob-content-type': type } });
  if (put.status !== 201) throw new Error(`${target}: ${put.status} ${put.text}`);
  return target;
}

// An edge device with a module that has failed, as its agent and hub would report it.
async function edge(id) {
  await device(id, { capabilities: { iotEdge: true } });
  await service('POST', `/devices/${id}/applyConfigurationContent`, { modulesContent: {
    $edgeAgent: { 'properties.desired': { schemaVersion: '1.1', runtime: { type: 'docker', settings: {} },
      systemModules: { edgeAgent: { type: 'docker', settings: { image: 'agent:1' } }, edgeHub: { type: 'docker', status: 'running', restartPolicy: 'always', settings: { image: 'hub:1' } } },
      modules: { filtermodule: { version: '1.0', type: 'docker', status: 'running', restartPolicy: 'always', settings: { image: 'filter:1' } } } } },
    $edgeHub: { 'properties.desired': { schemaVersion: '1.1', routes: {}, storeAndForwardConfiguration: { timeToLiveSecs: 7200 } } } } });
  for (const moduleId of ['$edgeAgent', '$edgeHub']) // as a daemon does it: they have no keys before
    await service('PUT', `/devices/${id}/modules/${moduleId}`, { deviceId: id, moduleId, authentication: { type: 'sas' } }, { 'If-Match': '*' });
  await asDevice(id, 'PATCH', '/twin/properties/reported', { lastDesiredStatus: { code: 200, description: '' },
    systemModules: { edgeAgent: { runtimeStatus: 'running', exitCode: 0, lastStartTimeUtc: '2026-11-01T08:00:00Z' }, edgeHub: { runtimeStatus: 'running', exitCode: 0 } },
    modules: { filtermodule: { runtimeStatus: 'failed', exitCode: 145 } } }, {}, '$edgeAgent');
  await asDevice(id, 'PATCH', '/twin/properties/reported', { clients: { [`${id}/filtermodule`]: { status: 'Disconnected' }, 'leaf-1': { status: 'Connected' } } }, {}, '$edgeHub');
}

// A device whose events are stored; the files of tests share a hub.
async function stored(id, events) {
  const isThere = async () => (await service('GET', '/timeseries/instances')).instances.some((one) => one.timeSeriesId[0] === id);
  if (await isThere()) return;
  await device(id);
  await asDevice(id, 'POST', '/messages/events', events, { 'iothub-contenttype': 'application/json', 'iothub-contentencoding': 'utf-8' });
  await until(`the series of ${id}`, isThere);
}

// A kiln that is heated twice a day tells its temperature and pressure of each minute.
const kiln = (id, from, n) =>
  stored(id, Array.from({ length: 1440 }, (_, i) => ({ measuredAt: new Date(from + i * 60_000).toISOString(),
    temperature: Math.round(10 * (200 + 40 * n + 150 * Math.sin((i / 720) * 2 * Math.PI - n / 3) + 9 * Math.sin(i * n))) / 10,
    pressure: Math.round(10 * (1000 + 6 * n + 8 * Math.cos(i / 200 - n) + Math.sin(i / 7))) / 10 })));

async function until(what, holds, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await holds();
    if (found) return found;
    if (Date.now() > end) throw new Error(`${what} did not come`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

let browser;
async function start() {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] });
}
const end = () => browser.close();

// A page whose console must stay silent: a refusal by the content security policy is an error there.
async function open(at = '', { colors = 'light', width = 1280, height = 820, as = process.env.HUB_CS } = {}) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, colorScheme: colors, viewport: { width, height }, locale: 'en-GB', timezoneId: 'UTC' });
  context.setDefaultTimeout(10000);
  const page = await context.newPage();
  page.said = [];
  page.on('console', (message) => message.type() === 'error' && page.said.push(message.text()));
  page.on('pageerror', (error) => page.said.push(String(error)));
  page.on('dialog', (dialog) => {
    page.said.push(`a dialog of the browser: ${dialog.message()}`);
    dialog.dismiss();
  });
  await page.goto(`https://${host}/portal/${at}`);
  if (as) {
    await page.getByLabel('Connection string').fill(as);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('button', { name: 'Sign out' }).waitFor();
  }
  return page;
}

// What axe finds, a line each: by all rules, or by these.
async function audit(page, rules) {
  await page.evaluate(axeSource); // by the debugger, which the page's policy does not reach
  const runOnly = rules ?? ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
  const found = await page.evaluate((options) => window.axe.run(options), { runOnly });
  return found.violations.flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.target.join(' ')}: ${node.failureSummary}`));
}

module.exports = { start, end, open, audit, ask, service, asDevice, device, upload, edge, stored, kiln, until, host };
