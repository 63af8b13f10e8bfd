'use strict';
// The command line over AMQP: messages to devices, feedback, the event stream.
const test = require('node:test');
const assert = require('node:assert');
const { execFile } = require('child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { Message } = require('azure-iot-device');
const { Amqp } = require('azure-iot-device-amqp');
const { connect, createDevice, uniqueId, until } = require('./support');

const skerry = (...args) => new Promise((resolve) => {
  execFile(`${process.env.BIN}/skerry`, args, { timeout: 60000, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) =>
    resolve({ code: error ? error.code : 0, out: stdout, error: stderr }));
});
const lines = (result) => result.out.split('\n').filter(Boolean).map((line) => JSON.parse(line));

test('message send reaches the device, and feedback watch tells its end', async () => {
  const device = await createDevice();
  const client = await connect(device, { transport: Amqp });
  const got = [];
  client.on('message', (message) => {
    got.push(message);
    client.complete(message);
  });
  const id = uniqueId('cli');
  const sent = await skerry('message', 'send', device.deviceId, 'do it', '--ack', 'full', '--message-id', id, '--property', 'a=b=c',
    '--property', 'colour=red', '--expiry', '10m', '--content-type', 'text/plain', '--output', 'json');
  assert.deepStrictEqual([sent.code, JSON.parse(sent.out)], [0, { messageId: id }]);
  await until('the message', () => got.length);
  assert.strictEqual(got[0].getData().toString(), 'do it');
  assert.strictEqual(got[0].messageId, id);
  assert.strictEqual(got[0].contentType, 'text/plain');
  assert.strictEqual(got[0].properties.getValue('a'), 'b=c');
  assert.strictEqual(got[0].properties.getValue('colour'), 'red');
  assert.ok(new Date(got[0].expiryTimeUtc) > Date.now());
  const [record] = lines(await skerry('feedback', 'watch', '--count', '1', '--output', 'jsonl'));
  assert.strictEqual(record.originalMessageId, id);
  assert.strictEqual(record.statusCode, 'Success');
  await client.close();
});

test('what the hub refuses is told, and what was typed wrong too', async () => {
  const device = await createDevice();
  const refusals = {
    'nobody hello': /does not exist \(amqp:not-found\)/,
    [`${device.deviceId} hello --expiry 3d`]: /within two days/,
    [`${device.deviceId} ${'x'.repeat(64 * 1024)}`]: /\(amqp:link:message-size-exceeded\)/,
  };
  for (const [words, sentence] of Object.entries(refusals)) {
    const result = await skerry('message', 'send', ...words.split(' '));
    assert.strictEqual(result.code, 1);
    assert.match(result.error, sentence);
  }
  for (const words of ['--ack maybe', '--expiry soon', '--property lonely']) {
    assert.strictEqual((await skerry('message', 'send', device.deviceId, 'x', ...words.split(' '))).code, 2);
  }
});

test('events watch shows every event, whatever is in its properties', async () => {
  const device = await createDevice();
  const client = await connect(device);
  const odd = [['plain', 'x'], ['value', 'a\u0000b'], ['na\u0000me', 'y'], ['line', 'a\nb'], ['tab\t"quote"', '\u{1f600}\u007f']];
  for (const [name, value] of odd) {
    const message = new Message('{\n"pretty": [1,\r\n 21.1]}');
    message.contentType = value;
    message.properties.add(name, value);
    await client.sendEvent(message);
  }
  await client.close();
  const watch = (output, ...more) =>
    skerry('events', 'watch', '--device', device.deviceId, '--from', 'earliest', '--count', String(odd.length), '--output', output, ...more);
  const events = lines(await watch('jsonl'));
  assert.deepStrictEqual(events.map((event) => event.properties), odd.map(([name, value]) => ({ [name]: value })));
  assert.deepStrictEqual(events.map((event) => event.systemProperties.contentType), odd.map(([, value]) => value));
  for (const event of events) assert.deepStrictEqual(event.body, { pretty: [1, 21.1] });
  for (const output of ['table', 'tsv', 'json']) {
    const { out } = await watch(output, '--properties');
    for (const text of [output === 'tsv' ? 'pretty' : 'a\\u0000b', 'na\\u0000me']) assert.ok(out.includes(text), `${output}: ${out}`);
  }
});

test('events watch begins where it is told, in the group it is told', async () => {
  const device = await createDevice();
  const client = await connect(device);
  for (let i = 0; i < 3; i++) await client.sendEvent(new Message(String(i)));
  await client.close();
  const watch = async (...args) => lines(await skerry('events', 'watch', '--device', device.deviceId, '--output', 'jsonl', ...args));
  const all = await watch('--from', 'earliest', '--count', '3');
  assert.deepStrictEqual(all.map((event) => event.body), [0, 1, 2]);
  assert.strictEqual(new Set(all.map((event) => event.partition)).size, 1);
  assert.deepStrictEqual((await watch('--from', all[1].offset, '--count', '2')).map((event) => event.body), [1, 2]);
  assert.deepStrictEqual((await watch('--from', all[2].enqueuedTimeUtc, '--count', '1')).map((event) => event.body), [2]);
  assert.strictEqual((await watch('--from', 'earliest', '--count', '1', '--consumer-group', 'archive')).length, 1);
  const refused = await skerry('events', 'watch', '--consumer-group', 'nobodys');
  assert.strictEqual(refused.code, 1);
  assert.match(refused.error, /^skerry: there is no consumer group 'nobodys'[^\n]*\n$/);
  assert.strictEqual((await skerry('events', 'watch', '--from', 'yesterday')).code, 2);
});

test('twin history and twin diff tell what tags and desired properties were', async () => {
  const { deviceId } = await createDevice();
  const update = async (...args) => assert.strictEqual((await skerry('twin', 'update', deviceId, ...args)).code, 0);
  await update('--tags', '{"site":"north"}');
  await update('--tags', '{"site":"south"}', '--desired', '{"a":{"b":1}}');
  const history = JSON.parse((await skerry('twin', 'history', deviceId, '--output', 'json')).out);
  assert.deepStrictEqual(history.map(({ version, tags }) => [version, tags.site]), [[4, 'south'], [3, 'north']]);
  assert.strictEqual(history[0].changed, 'tags.site, desired.a.b');
  assert.deepStrictEqual(history[0].properties.desired, { a: { b: 1 }, $version: 2 });
  assert.strictEqual((await skerry('twin', 'diff', deviceId)).out, '- tags.site: "north"\n+ tags.site: "south"\n+ desired.a.b: 1\n');
  assert.strictEqual((await skerry('twin', 'diff', deviceId, '--from', '4', '--to', '4')).out, '');
  const [change] = JSON.parse((await skerry('twin', 'diff', deviceId, '--from', '3', '--output', 'json')).out);
  assert.deepStrictEqual(change, { path: 'tags.site', from: 'north', to: 'south' });
  const none = await skerry('twin', 'diff', deviceId, '--to', '2');
  assert.deepStrictEqual([none.code, /no version of .* is remembered/.test(none.error)], [1, true]);
});

test('telemetry send says what its message is, so that routes look into it', async () => {
  const { deviceId } = await createDevice();
  assert.strictEqual((await skerry('telemetry', 'send', deviceId, '{"t":21}')).code, 0);
  const [event] = lines(await skerry('events', 'watch', '--from', 'earliest', '--device', deviceId, '--count', '1', '--output', 'jsonl'));
  assert.strictEqual(event.systemProperties.contentType, 'application/json');
  assert.strictEqual(event.systemProperties.contentEncoding, 'utf-8');
});

test('device export and device import take a file, whatever its size', async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'skerry-cli-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'devices.txt');
  const id = uniqueId('imported');
  const wide = 'x'.repeat(3000); // 6 MB of lines
  fs.writeFileSync(file, Array.from({ length: 2000 }, (_, n) => JSON.stringify({ id: `${id}-${n}`, tags: { wide, n } })).join('\n') + '\nnonsense\n');
  const imported = await skerry('device', 'import', file);
  assert.strictEqual(imported.code, 1, imported.error);
  assert.deepStrictEqual(lines(imported).map((line) => line.errorStatus.slice(0, 10)), ['line 2001:']);
  const exported = await skerry('device', 'export', '--without-keys');
  assert.strictEqual(exported.code, 0, exported.error);
  const mine = lines(exported).filter((line) => line.id.startsWith(id));
  assert.strictEqual(mine.reduce((sum, line) => sum + line.tags.n, 0), 1999000);
  assert.strictEqual(mine[0].authentication.symmetricKey.primaryKey, null);
  fs.writeFileSync(file, mine.map((line) => JSON.stringify({ id: line.id, importMode: 'delete' })).join('\n'));
  const removed = await skerry('device', 'import', file);
  assert.deepStrictEqual([removed.code, removed.out], [0, '']);
  assert.match((await skerry('device', 'import', path.join(folder, 'none'))).error, /none cannot be read/);
});

test('a query of groups shows their own columns', async () => {
  const { deviceId } = await createDevice();
  const shown = await skerry('query', `SELECT deviceId AS id, COUNT() AS n FROM devices WHERE deviceId = '${deviceId}' GROUP BY deviceId`);
  assert.deepStrictEqual(shown.out.trim().split(/\s+/), ['id', 'n', deviceId, '1']);
});

test('the reference page is what the program prints, and each command tells what it takes', async () => {
  const page = await skerry('reference');
  assert.strictEqual(page.out, require('fs').readFileSync(`${__dirname}/../../docs/reference/skerry.md`, 'utf8'),
    'print it anew: skerry reference > docs/reference/skerry.md');
  for (const [, name] of page.out.matchAll(/^### `skerry ([a-z -]*[a-z])/gm)) {
    const help = await skerry(...name.split(' '), '--help');
    assert.deepStrictEqual([help.code, help.out.split('\n')[0].startsWith(`skerry ${name}`)], [0, true]);
  }
});

test('what was typed wrong gets the word that was meant', async () => {
  for (const [words, sentence] of [
    ['device lst', /^skerry: there is no command 'device lst'; did you mean device list\?\n/],
    ['device add', /^skerry: DEVICE is missing\nusage: skerry device add DEVICE /],
    ['device add d --parnet e', /^skerry: device add has no option --parnet; did you mean --parent\?\n/],
    ['device list --output yaml', /^skerry: --output is one of table\|json\|jsonl\|tsv\|csv, not 'yaml'\n/],
  ]) {
    const result = await skerry(...words.split(' '));
    assert.strictEqual(result.code, 2);
    assert.match(result.error, sentence);
  }
});

test('tables tell ages, programs get times', async () => {
  const device = await createDevice();
  const { out } = await skerry('device', 'list');
  const header = out.split('\n')[0].split(/ +/);
  assert.strictEqual(header[0], 'deviceId');
  assert.ok(out.split('\n').some((line) => line.startsWith(device.deviceId) && line.includes('never')));
  assert.ok((await skerry('device', 'list', '--output', 'tsv')).out.includes(`${device.deviceId}\t`));
  assert.ok((await skerry('device', 'show', device.deviceId, '--output', 'json')).out.includes('"0001-01-01T00:00:00'));
});

test('a file for the sister command is refused by the name of that', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cli-'));
  const files = {
    deployment: { modulesContent: { 'app': { 'properties.desired': {} } } },
    configuration: { deviceContent: { 'properties.desired.a': 1 } },
  };
  for (const [kind, content] of Object.entries(files)) {
    const file = path.join(folder, kind);
    fs.writeFileSync(file, JSON.stringify(content));
    const other = kind === 'deployment' ? 'configuration' : 'deployment';
    const refused = await skerry(other, 'create', uniqueId('mixed'), file);
    assert.strictEqual(refused.code, 1);
    assert.match(refused.error, new RegExp(`skerry ${kind} create`));
  }
  fs.rmSync(folder, { recursive: true });
});

test('series list, show and remove what a device has sent, as CSV too', async () => {
  const device = await createDevice();
  const client = await connect(device);
  for (const body of ['{"speed":20,"a,b":"x\\"y"}', '{"speed":22.5}', 'no JSON']) await client.sendEvent(new Message(body));
  await client.close();
  const id = device.deviceId;
  const of = async (...args) => (await skerry('series', 'show', id, ...args)).out;
  await until('both events', async () => (await of('--output', 'jsonl')).split('\n').filter(Boolean).length === 2);
  const [first, second] = (await of('--property', 'speed', '--output', 'csv')).split('\r\n').slice(1);
  assert.match(first, /Z,20$/);
  assert.match(second, /Z,22.5$/);
  assert.match(await of('--output', 'csv'), /^timestamp,.*"x""y"/s);
  assert.match(await of('--property', 'speed', '--interval', 'P1D', '--aggregate', 'max', '--output', 'csv'), /,22.5\r\n/);
  assert.match(await of('--filter', '$event.speed > 21.0', '--output', 'tsv'), /22.5/);
  const mine = async () => (await skerry('series', 'list', '--output', 'jsonl')).out.split('\n').filter((line) => line.includes(id));
  assert.strictEqual(JSON.parse((await mine())[0]).events, 2);
  assert.strictEqual((await skerry('series', 'remove', id)).code, 0);
  assert.deepStrictEqual(await mine(), []);
  assert.strictEqual((await skerry('series', 'remove', id)).code, 1);
  assert.match((await skerry('series', 'show', id, '--filter', '$event.speed > 1')).error, /A Double cannot be compared with a Long/);
  assert.match((await skerry('series', 'show', id, '--from', 'soon')).error, /NOW-PT1H/);
});

test('groups, rules and alarms are set from files, listed, changed and removed', async () => {
  const device = await createDevice();
  const id = uniqueId('rule');
  const file = (name, value) => {
    const at = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'rules-')), name);
    fs.writeFileSync(at, JSON.stringify(value));
    return at;
  };
  const fine = async (...args) => {
    const result = await skerry(...args, '--output', 'json');
    assert.strictEqual(result.code, 0, result.error);
    return result.out ? JSON.parse(result.out) : null;
  };
  const group = { DisplayName: 'One', Conditions: [{ Key: 'DeviceId', Operator: 'EQ', Value: device.deviceId }] };
  await fine('group', 'set', id, file('group.json', group));
  assert.deepStrictEqual((await fine('group', 'list')).find((one) => one.Id === id).Conditions, group.Conditions);
  const rule = { Name: 'Hot', GroupId: id, Conditions: [{ Field: 't', Operator: 'GreaterThan', Value: '5' }],
    Actions: [{ Type: 'Message', Parameters: { Body: 'cool down' } }] };
  await fine('rule', 'set', id, file('rule.json', rule));
  assert.strictEqual((await fine('rule', 'disable', id)).Enabled, false);
  const shown = await fine('rule', 'show', id);
  assert.deepStrictEqual([shown.Enabled, shown.Actions], [false, rule.Actions]);
  assert.match((await skerry('rule', 'set', id, file('old.json', { ...shown, ETag: 'old' }))).error, /etag|changed|412|Precondition/i);
  await fine('rule', 'enable', id);
  assert.deepStrictEqual((await fine('rule', 'list', '--group', id)).map((one) => one.Name), ['Hot']);
  assert.match((await skerry('group', 'remove', id)).error, /delete it first/);
  await skerry('telemetry', 'send', device.deviceId, '{"t": 9}');
  let alarms = [];
  await until('the alarm', async () => (alarms = await fine('alarm', 'list', '--rule', id, '--status', 'open')).length === 1);
  const [{ Id }] = alarms;
  await until('its action', async () => (await fine('alarm', 'show', Id)).Actions[0].Status === 'done');
  assert.strictEqual((await fine('alarm', 'acknowledge', Id)).Status, 'acknowledged');
  assert.strictEqual((await fine('alarm', 'close', Id)).Status, 'closed');
  const csv = await skerry('alarm', 'list', '--device', device.deviceId, '--from', 'NOW-PT1H', '--output', 'csv');
  assert.match(csv.out, new RegExp(`Critical,closed,${id},${device.deviceId},${Id}`));
  assert.deepStrictEqual(await fine('alarm', 'list', '--device', device.deviceId, '--to', 'NOW-PT1H'), []);
  await fine('alarm', 'remove', Id);
  assert.match((await skerry('alarm', 'show', Id)).error, /no alarm/);
  assert.strictEqual((await skerry('alarm', 'list', '--limit', '1001')).code, 2);
  assert.strictEqual((await skerry('rule', 'remove', id)).code, 0);
  assert.strictEqual((await skerry('group', 'remove', id)).code, 0);
});
