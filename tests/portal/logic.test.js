'use strict';
// What of the portal needs no browser.
const { test } = require('node:test');
const assert = require('node:assert');
const { createRequire } = require('node:module');
const fs = require('node:fs');
const path = require('node:path');

const portal = path.join(__dirname, '../../portal');
const { buildSync } = createRequire(createRequire(path.join(portal, 'package.json')).resolve('vite'))('esbuild');
function load(name) {
  const module = { exports: {} };
  const { outputFiles } = buildSync({ entryPoints: [path.join(portal, 'src/logic', name)], bundle: true, format: 'cjs', write: false });
  new Function('module', 'exports', outputFiles[0].text)(module, module.exports);
  return module.exports;
}
const { readObject, mergePatch, diffLines, withoutMetadata } = load('json.ts');
const { EventReader, backOff } = load('stream.ts');
const { runtimeResponse, edgeModules, edgeClients, isUnhealthy } = load('edge.ts');
const { alarmsByType, calculationText, changeText, criticalShare, fieldOf, groupQuery, openOf, patchOf, toCondition, topRules, toRow, triggerText, worstByDevice, wrongCondition, wrongPatch } = load('monitoring.ts');
const { actionFields, endText, newAction, toAction, toActionRow, wrongAction, wrongField } = load('rule-actions.ts');
const { clustered, fit, isPlace, landPaths, project, within, WORLD } = load('map.ts');
const { SeriesSet, POINTS_MAX, DEVICES_MAX, METRICS_MAX } = load('series.ts');
const { readBlobs, sizeText } = load('blobs.ts');
const { fresh, grainFor, grouped, linesOf, readChosen, wholeOf, writeChosen, METRICS_MAX: CHOSEN_MAX } = load('metrics.ts');
const { kindOf, readEdge, writeEdge, wrongModule, wrongId, wrongPriority, freshModule, settingsOf, settingRows, wrongSettings } = load('configurations.ts');

// RFC 7396
function merge(target, patch) {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const result = typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merge(result[key], value);
  }
  return result;
}

test('a patch makes the second document of the first', () => {
  const pairs = [
    [{ a: 1, b: { c: 2, d: [1, 2] } }, { a: 1, b: { c: 3, d: [1] }, e: {} }],
    [{ a: { b: 1 } }, { a: 5 }],
    [{ a: 5 }, { a: { b: 1 } }],
    [{ a: { b: { c: 1 } } }, { a: { b: {} } }],
    [{}, JSON.parse('{"constructor":{"x":1}}')],
  ];
  for (const [from, to] of pairs) assert.deepStrictEqual(merge(from, mergePatch(from, to)), to);
  assert.deepStrictEqual(mergePatch({ a: 1, b: [1, { c: 2 }] }, { b: [1, { c: 2 }], a: 1 }), {});
  assert.deepStrictEqual(mergePatch({ a: 1 }, {}), { a: null });
});

test('a name of JavaScript is a name like others', () => {
  const patch = mergePatch({}, JSON.parse('{"__proto__":{"polluted":1}}'));
  assert.strictEqual(JSON.stringify(patch), '{"__proto__":{"polluted":1}}');
  assert.strictEqual({}.polluted, undefined);
});

test('a mistake has its place', () => {
  assert.deepStrictEqual(readObject('{"a": 1}'), { value: { a: 1 } });
  for (const text of ['[]', 'null', '"x"', '7']) assert.match(readObject(text).mistake.message, /object/);
  const { mistake } = readObject('{\n  "a": 1,\n  "b" 2\n}');
  assert.strictEqual(mistake.line === 3 || mistake.line === 0, true);
});

test('what the hub adds to a section is not edited', () => {
  assert.deepStrictEqual(withoutMetadata({ $metadata: {}, $version: 3, a: { $x: 1 } }), { a: { $x: 1 } });
  assert.deepStrictEqual(withoutMetadata(undefined), {});
});

test('a difference tells lines that went and came, and both texts are in it', () => {
  const told = (before, after) => diffLines(before, after).map((line) => line.sign + line.text);
  assert.deepStrictEqual(told('a\nb\nc', 'a\nx\nc'), [' a', '-b', '+x', ' c']);
  assert.deepStrictEqual(told('a', 'a'), [' a']);
  const long = Array.from({ length: 3000 }, (_, i) => String(i)).join('\n');
  assert.strictEqual(diffLines(long, `${long}\nx`).length, 6001);
});

test('events are the same, however the stream is cut', () => {
  const text = ': hello\n\nid: 7\ndata: {"a":1}\n\nid: 8\r\ndata: x\r\ndata: y\r\n\r\n:\n\n';
  const whole = new EventReader().feed(text);
  assert.deepStrictEqual(whole, [{ id: '7', data: '{"a":1}' }, { id: '8', data: 'x\ny' }]);
  for (let cut = 1; cut < text.length; cut++) {
    const reader = new EventReader();
    assert.deepStrictEqual([...reader.feed(text.slice(0, cut)), ...reader.feed(text.slice(cut))], whole);
  }
  assert.throws(() => new EventReader().feed('x'.repeat((4 << 20) + 1)));
});

test('attempts come later and later, and never later than half a minute', () => {
  assert.deepStrictEqual([0, 1, 2, 20].map((attempt) => backOff(attempt, () => 1)), [1000, 2000, 4000, 30000]);
  assert.strictEqual(backOff(0, () => 0), 500);
});

test('an edge device that has never reported has no answer and its two system modules', () => {
  assert.deepStrictEqual(runtimeResponse(undefined), { code: '', text: 'N/A' });
  assert.match(runtimeResponse({ lastDesiredStatus: { code: 417 } }).text, /^417 - no deployment/);
  assert.deepStrictEqual(edgeModules(undefined, undefined).map((module) => module.name), ['$edgeAgent', '$edgeHub']);
  assert.deepStrictEqual(edgeClients({ clients: { 'e/m': { status: 'Connected' }, leaf: {} } }).map((client) => client.type), ['Module', 'Device']);
  const [, , module] = edgeModules({ modules: { m: {} } }, { modules: { m: { runtimeStatus: 'backoff' } } });
  assert.ok(isUnhealthy(module) && module.specified && module.reported);
});

test('a manifest that nobody edits comes back as it was, with what forms do not show', () => {
  const module = (image, more) => ({ type: 'docker', status: 'stopped', restartPolicy: 'never', settings: { image, createOptions: '{"a":1}', skerry: { rollback: true } }, ...more });
  const whole = {
    $edgeAgent: { 'properties.desired': { schemaVersion: '1.1', runtime: { type: 'docker', settings: { minDockerVersion: 'v1.30', registryCredentials: { r: { address: 'a', username: 'u', password: 'p' } } } },
      systemModules: { edgeAgent: { type: 'docker', settings: { image: 'agent:1', createOptions: '{}' } }, edgeHub: { type: 'docker', status: 'running', restartPolicy: 'always', settings: { image: 'hub:1' } } },
      modules: JSON.parse(JSON.stringify({ m: module('m:1', { env: { A: { value: 'b' } }, startupOrder: 3, version: '7', imagePullPolicy: 'never' }), p: { type: 'process', status: 'running', restartPolicy: 'always', settings: { command: ['sh', '-c', 'sleep 1'], limits: { memory: 1 } } } })
        .replace('"p":', '"__proto__":')) } },
    $edgeHub: { 'properties.desired': { schemaVersion: '1.1', routes: { a: 'FROM /* INTO $upstream', b: { route: 'FROM /* INTO $upstream', priority: 3, timeToLiveSecs: 9 } },
      storeAndForwardConfiguration: { timeToLiveSecs: 0 }, mqttBroker: {} } },
    m: { 'properties.desired': { x: [1] } }, elsewhere: { 'properties.desired': { y: 1 } } };
  assert.strictEqual(kindOf({ modulesContent: whole }), 'deployment');
  assert.deepStrictEqual(JSON.parse(JSON.stringify(writeEdge(readEdge(whole)))), whole);
  const layer = { $edgeAgent: { 'properties.desired.modules.m': module('m:2', {}), 'properties.desired.modules.m.env.X': { value: '1' } },
    $edgeHub: { 'properties.desired.routes.r': 'FROM /* INTO $upstream' }, m: { 'properties.desired.settings': 5, 'properties.desired.more': {} }, other: { 'properties.desired.a.b': {} } };
  assert.strictEqual(kindOf({ modulesContent: layer }), 'layered');
  assert.deepStrictEqual(JSON.parse(JSON.stringify(writeEdge(readEdge(layer)))), layer);
});

test('a list of blobs is read as text, whatever their names are', () => {
  const xml = '<?xml version="1.0"?><EnumerationResults><Blobs><Blob><Name>d/a&amp;&lt;b&gt;&#x41;&#66;&nope;.txt</Name><Properties><Last-Modified>Sun, 29 Nov 2026 10:50:42 GMT</Last-Modified>' +
    '<Content-Length>1500</Content-Length><Content-Type>text/plain</Content-Type></Properties></Blob><Blob><Name>d/b</Name></Blob></Blobs><NextMarker>d/b</NextMarker></EnumerationResults>';
  const { blobs, next } = readBlobs(xml);
  assert.deepStrictEqual(blobs.map((one) => [one.name, one.size, one.type]), [['d/a&<b>AB&nope;.txt', 1500, 'text/plain'], ['d/b', 0, '']]);
  assert.strictEqual(next, 'd/b');
  assert.deepStrictEqual(readBlobs('<NextMarker />'), { blobs: [], next: '' });
  assert.deepStrictEqual([0, 999, 1000, 1_500_000].map(sizeText), ['0 B', '999 B', '1 kB', '1.5 MB']);
});

test('what a form does not take has a reason', () => {
  assert.strictEqual(wrongId('a'.repeat(128)), '');
  assert.ok(wrongId('a'.repeat(129)) && wrongId('A') && wrongId('a/b'));
  assert.ok(!wrongPriority('2147483647') && wrongPriority('2147483648') && wrongPriority('1.5') && wrongPriority(''));
  const fine = { ...freshModule(), name: 'm', image: 'i' };
  assert.strictEqual(wrongModule(fine, []), '');
  for (const [change, why] of [[{ name: '$x' }, /name/], [{ image: ' ' }, /image/], [{ type: 'process' }, /command/], [{ twin: '7' }, /object/], [{ createOptions: '{' }, /JSON/],
    [{ startupOrder: 'x' }, /number/], [{ env: [{ name: '', value: '1' }] }, /variable/], [{ path: 'a..b', twin: '1' }, /path/], [{ path: 'a' }, /settings/]])
    assert.match(wrongModule({ ...fine, ...change }, []), why);
  assert.match(wrongModule(fine, ['m']), /already/);
  const rows = [{ path: 'a.b', value: '"x"' }, { path: 'c', value: 'null' }];
  assert.strictEqual(wrongSettings(rows), '');
  assert.deepStrictEqual(settingRows(settingsOf(rows)), rows);
  assert.ok(wrongSettings([]) && wrongSettings([{ path: 'a', value: 'x' }]) && wrongSettings([{ path: '', value: '1' }]) && wrongSettings([rows[0], rows[0]]));
});

test('a group is the query that selects its devices', () => {
  const condition = (Key, Operator, Value) => ({ Key, Operator, Value });
  assert.strictEqual(groupQuery([]), '');
  assert.strictEqual(groupQuery([condition('Properties.Reported.Type', 'EQ', 'Pump'), condition('TAGS.Site', 'NE', 'north')]),
    "properties.reported.Type = 'Pump' AND tags.Site != 'north'");
  assert.strictEqual(groupQuery([condition('DeviceId', 'IN', ['a', 'b']), condition('Tags.floor', 'GE', 3), condition('Tags.on', 'EQ', true)]),
    "deviceId IN ['a', 'b'] AND tags.floor >= 3 AND tags.on = true");
  assert.strictEqual(groupQuery([condition('Tags.a', 'EQ', "it's")]), "tags.a = 'it\\'s'");
});

test('a rule is said in words', () => {
  const conditions = [{ Field: 'pressure', Operator: 'greaterthan', Value: '250' }, { Field: 'humidity', Operator: 'LessThanOrEqual', Value: 8 }];
  assert.strictEqual(triggerText({ Calculation: 'Instant', Conditions: conditions }), 'pressure > 250 and humidity ≤ 8');
  assert.strictEqual(triggerText({ Calculation: 'Missing' }), 'any message');
  assert.strictEqual(calculationText({ Calculation: 'Average', TimePeriod: '300000' }), 'Average of 5 minutes');
  assert.strictEqual(calculationText({ Calculation: 'Count', TimePeriod: 5_400_000 }), 'Count of 90 minutes');
  assert.strictEqual(calculationText({ Calculation: 'Missing', TimePeriod: '7200000' }), 'No data for 2 hours');
  assert.strictEqual(calculationText({ Calculation: 'Change', TimePeriod: 86_400_000 }), 'Change of 1 day');
  assert.strictEqual(calculationText({ Calculation: 'Missing', TimePeriod: 3600000 }), 'No data for 1 hour');
});

const alarm = (DeviceId, Severity, Status = 'open') => ({ DeviceId, Status, Rule: { Id: 'r', Severity } });

test('a device is as bad as its worst open alarm, and those that are not open do not count', () => {
  const worst = worstByDevice([alarm('a', 'Warning'), alarm('a', 'Critical'), alarm('a', 'Info'), alarm('b', 'Critical', 'closed'), alarm('c', 'Info'), alarm('d', 'Critical', 'acknowledged')]);
  assert.deepStrictEqual([...worst], [['a', 'Critical'], ['c', 'Info']]);
});

test('what is counted of alarms is what its panel says', () => {
  const row = (Id, Severity, Count, Open) => ({ Rule: { Id, Severity }, Count, Open });
  const now = [row('a', 'Critical', 2, 1), row('b', 'Warning', 9, 9), row('c', 'Critical', 2, 2), row('d', 'Info', 1, 1), row('e', 'Info', 1, 1), row('f', 'Info', 1, 1)];
  assert.deepStrictEqual([openOf(now, 'Critical'), openOf(now, 'Warning')], [3, 9]);
  assert.deepStrictEqual(topRules(now, [row('a', 'Critical', 7, 0)]).map((one) => [one.id, one.now, one.before]),
    [['b', 9, 0], ['a', 2, 7], ['c', 2, 0], ['d', 1, 0], ['e', 1, 0]]);
  const list = [alarm('a', 'Critical', 'closed'), alarm('a', 'Info'), alarm('b', 'Info'), alarm('x', 'Info')];
  assert.deepStrictEqual(alarmsByType(list, (id) => ({ a: 'Pump', b: 'Truck' })[id] ?? id), [['Pump', 2], ['Truck', 1], ['x', 1]]);
  assert.strictEqual(criticalShare(list), 25);
  assert.strictEqual(criticalShare([]), null);
  assert.deepStrictEqual([changeText(5, 4), changeText(9, 10), changeText(2, 2), changeText(3, 0), changeText(0, 0)], ['+25 %', '−10 %', '±0 %', 'new', '']);
});

test('the map has the whole world, 0 is a place, and what is none is not on it', () => {
  assert.deepStrictEqual(project(0, 0), { x: 180, y: 180 });
  assert.ok(Math.abs(project(85.0511, 180).y) < 0.01 && project(-90, 0).y <= 360.01);
  assert.ok(isPlace(0, 0) && isPlace(-90, 180));
  for (const [latitude, longitude] of [[91, 0], [0, 181], ['1', 2], [null, 1], [NaN, 1], [undefined, undefined]]) assert.ok(!isPlace(latitude, longitude));
  assert.deepStrictEqual(within({ x: -50, y: 900, width: 1e9 }, 2), { width: WORLD, x: 180, y: 270 });
  const view = fit([project(47, -122), project(48, -121)], 2);
  assert.ok(view.width === 12 && Math.abs(view.x - 58.5) < 0.01);
  assert.strictEqual(fit([], 2).width, WORLD);
});

test('land is made of arcs, forwards and backwards; borders are those that no coast has', () => {
  const { land, borders } = landPaths({ transform: { scale: [1, 1], translate: [0, 0] },
    arcs: [[[0, 0], [10, 0]], [[0, 0], [5, 0], [5, 0]], [[20, 0], [1, 0]]],
    objects: { land: { geometries: [{ arcs: [[[0, -2]]] }] }, countries: { geometries: [{ arcs: [[0, 2]] }, { arcs: [[1, -1]] }] } } });
  assert.strictEqual(land, 'M180 180L190 180L185 180L180 180Z');
  assert.match(borders, /^M200 180L201 180$/);
});

test('land that leaves the world at one side comes in at the other, and no coast cuts across it', () => {
  const { land } = landPaths(JSON.parse(fs.readFileSync(path.join(portal, 'node_modules/world-atlas/countries-110m.json'), 'utf8')));
  const pieces = land.split(/[MZ]+/).filter(Boolean).map((piece) => piece.split('L').map((at) => at.split(' ').map(Number)));
  const atSide = ([x]) => x < 0.01 || x > WORLD - 0.01;
  const open = pieces.filter((piece) => String(piece[0]) !== String(piece.at(-1)));
  assert.ok(open.length >= 4); // the east of Asia, and what it has beyond the line
  for (const piece of open) assert.ok(atSide(piece[0]) && atSide(piece.at(-1)), `${piece[0]} to ${piece.at(-1)}`);
});

test('pins that would lie on each other are one, and none is lost', () => {
  const points = Array.from({ length: 500 }, (_, i) => ({ x: (i * 37) % 200, y: (i * 91) % 150 }));
  const clusters = clustered(points, 34);
  assert.strictEqual(clusters.reduce((sum, one) => sum + one.members.length, 0), 500);
  clusters.forEach((a, i) => clusters.slice(i + 1).forEach((b) => assert.ok(Math.hypot(a.x - b.x, a.y - b.y) >= 34)));
});

test('series are bounded, in order of time, and say what is left out', () => {
  const set = new SeriesSet();
  set.take('d', 2, { temperature: 5, temperature_unit: 7, text: 'x', bad: NaN, inner: { a: { b: 1, c: { d: 2 } } }, list: [1] });
  set.take('d', 1, { temperature: 4 });
  set.take('d', 2, { temperature: 6 });
  set.take('d', 3, 12);
  assert.deepStrictEqual(set.names(), [['inner.a.b', 1], ['temperature', 1]]);
  assert.deepStrictEqual(set.of('temperature'), [['d', [{ at: 1, value: 4 }, { at: 2, value: 6 }]]]);
  for (let i = 0; i <= POINTS_MAX; i++) set.add('many', 'd', [{ at: i, value: i }]);
  assert.deepStrictEqual([set.of('many')[0][1].length, set.of('many')[0][1][0].at], [POINTS_MAX, 1]);
  for (let i = 0; i <= DEVICES_MAX; i++) set.take(`d${i}`, 1, { wide: 1 });
  assert.strictEqual(set.of('wide').length, DEVICES_MAX);
  assert.deepStrictEqual([...set.left.devices], [`d${DEVICES_MAX}`]);
  for (let i = set.names().length; i <= METRICS_MAX; i++) set.take('d', 1, { [`metric${i}`]: 1 });
  assert.strictEqual(set.names().length, METRICS_MAX);
  assert.deepStrictEqual([...set.left.metrics], [`metric${METRICS_MAX}`]);
});

test('a form of a group has text, and the condition that it is', () => {
  const row = (key, operator, type, value) => ({ key, operator, type, value });
  for (const one of [row('Tags.Site', 'EQ', 'text', 'north'), row('DeviceId', 'IN', 'text', 'a, b'), row('Properties.Reported.a.b', 'LT', 'number', '-1.5'), row('Tags.on', 'NE', 'boolean', 'false')]) {
    assert.strictEqual(wrongCondition(one), '');
    assert.deepStrictEqual(toRow(toCondition(one)), one);
  }
  assert.deepStrictEqual(toCondition(row('Tags.n', 'IN', 'number', '1,2, 3')).Value, [1, 2, 3]);
  for (const one of [row('Tags.', 'EQ', 'text', 'x'), row('Tags.a-b', 'EQ', 'text', 'x'), row('site', 'EQ', 'text', 'x'), row('Tags.a', 'EQ', 'number', 'x'), row('Tags.a', 'EQ', 'number', ''),
    row('Tags.a', 'EQ', 'boolean', 'yes'), row('Tags.a', 'IN', 'text', ' , '), row('Tags.a', 'IN', 'number', '1, x')]) assert.ok(wrongCondition(one), JSON.stringify(one));
});

test('an action is a line of a form and back', () => {
  for (const one of [{ Type: 'Email', Parameters: { Recipients: ['a@x.test', 'b@x.test'], Subject: 's', Notes: 'n', Endpoint: 'mail' } },
    { Type: 'Webhook', Parameters: { Url: 'https://x.test/', Secret: '********', Body: { a: [1, '${deviceId}'] } } }, { Type: 'Method', Parameters: { Name: 'stop', Payload: null } },
    { Type: 'Message', Parameters: { Body: 'stop' } }]) {
    assert.strictEqual(wrongAction(toActionRow(one)), '');
    assert.deepStrictEqual(toAction(toActionRow(one)), one);
  }
  assert.deepStrictEqual(toAction({ type: 'Email', Recipients: ' a@x.test;b@x.test,  c@x.test ', Subject: 's', Url: 'of another type' }).Parameters,
    { Recipients: ['a@x.test', 'b@x.test', 'c@x.test'], Subject: 's' });
  assert.match(wrongAction(newAction('')), /Recipients is missing/);
  assert.match(wrongAction({ type: 'Message', Body: '{' }), /not JSON/);
  assert.strictEqual(wrongField(actionFields.Method[1], ''), '');
  assert.strictEqual(endText({ Type: 'Email', Status: 'failed', Tries: 8, Error: 'mail.test does not answer in time' }), 'Send a mail: failed after 8 tries: mail.test does not answer in time');
  assert.strictEqual(endText({ Type: 'Sms', Status: 'waiting', Tries: 0 }), 'Sms: waits');
  assert.strictEqual(endText({ Type: 'Method', Status: 'waiting', Tries: 1, Error: 'e' }), 'Call a method of the device: waits for its next try, after 1 try: e');
  assert.strictEqual(endText({ Type: 'Message', Status: 'done', Tries: 1 }), 'Send a message to the device: done');
});

test('a refusal of a rule is about a field', () => {
  assert.deepStrictEqual(["Name is missing", "Description has at most 2048 bytes", "GroupId is missing", "there is no device group 'x'", 'TimePeriod is whole minutes in ms, from 60000 to 86400000 (a day)', 'Actions: Email needs a mail server',
    "a condition's Value is a number", 'Conditions has 1 to 10 of them', 'a hub has at most 200 rules'].map(fieldOf),
  ['Name', 'Description', 'GroupId', 'GroupId', 'TimePeriod', 'Actions', 'Conditions', 'Conditions', '']);
});

test('lines of a form are a patch, names of JavaScript included', () => {
  const row = (path, type, value) => ({ path, type, value });
  const rows = [row('site', 'text', '7'), row('a.b', 'number', '7'), row('a.c.d', 'json', '{"x":[1]}'), row('old', 'remove', ''), row('__proto__.on', 'boolean', 'true')];
  assert.strictEqual(wrongPatch(rows), '');
  assert.strictEqual(JSON.stringify(patchOf(rows)), '{"site":"7","a":{"b":7,"c":{"d":{"x":[1]}}},"old":null,"__proto__":{"on":true}}');
  assert.strictEqual({}.on, undefined);
  for (const wrong of [[], [row('', 'text', 'x')], [row('a..b', 'text', 'x')], [row('$a', 'text', 'x')], [row('a', 'number', 'x')], [row('a', 'json', '{')],
    [row('a', 'text', '1'), row('a', 'text', '2')], [row('a.b', 'text', '1'), row('a', 'remove', '')]]) assert.ok(wrongPatch(wrong), JSON.stringify(wrong));
});

const axes = load('axes.ts');
const explorer = load('explorer.ts');
const plot = load('plot.ts');
const HOUR = 3600_000;
const DAY = 24 * HOUR;

test('ticks are round, few, and at midnights, also where days have 23 hours', () => {
  const from = Date.UTC(2026, 2, 28, 1, 7);
  for (const span of [1, 50, 7_000, 90_000, HOUR, 5 * HOUR, DAY, 9 * DAY, 100 * DAY, 4000 * DAY, 800_000 * DAY])
    for (const utc of [true, false]) {
      const { ticks, step } = axes.timeTicks(from, from + span, 8, utc);
      assert.ok(ticks.length <= 10 && (span < 2 || ticks.length >= 1), `${span} ${ticks.length}`);
      assert.ok(ticks.every((tick) => tick >= from && tick <= from + span));
      if (utc && step < DAY) assert.ok(ticks.every((tick) => tick % step === 0), `${span}`);
      assert.strictEqual(axes.tickLabels({ ticks, step }, utc).length, ticks.length);
    }
  const zone = process.env.TZ;
  process.env.TZ = 'Europe/Berlin'; // the clock goes forward on 29 March 2026
  const days = axes.timeTicks(from, from + 5 * DAY, 8, false).ticks;
  assert.ok(days.every((day) => new Date(day).getHours() === 0), String(days.map((day) => new Date(day))));
  assert.ok(days.some((day, i) => i && day - days[i - 1] === 23 * HOUR));
  assert.strictEqual(axes.fromInput(axes.toInput(from, false), false), from);
  process.env.TZ = zone ?? '';
  if (zone === undefined) delete process.env.TZ;
});

test('a scale holds its values between round ticks', () => {
  for (const [low, high] of [[0, 1], [-3.2, 17], [1e-9, 3e-9], [5, 5], [0, 0], [-1e12, 1e12], [99.5, 100.25], [NaN, NaN]]) {
    const scale = axes.valueScale(low, high, 5);
    assert.ok(!(scale.low > low) && !(scale.high < high) && scale.ticks.length >= 2 && scale.ticks.length <= 12, JSON.stringify([low, high, scale]));
  }
  assert.strictEqual(axes.tickText(1013.5, 1), '1,013.5');
  assert.strictEqual(axes.valueScale(0, 1, 5).digits, 1);
  assert.strictEqual(axes.valueScale(0, 0, 2).low, 0); // a count that stays 0
});

test('intervals fit a span: at most 2000, and 400 where nobody has said', () => {
  for (const span of [10, 1000, HOUR, DAY, 31 * DAY, 3000 * DAY]) {
    const all = axes.intervalsOf(span);
    assert.ok(all.every((one) => span / one <= 2000));
    assert.ok(span / axes.intervalFor(span, 0) <= 400);
    assert.ok(all.includes(axes.intervalFor(span, 1)) && all.includes(axes.intervalFor(span, 1e15)));
  }
});

test('an address brings the view that wrote it', () => {
  const lines = explorer.addLines([], [{ id: ['a'] }, { id: [null, 'b', "c'&=#"], name: '<b>' }], "o'dd.[x]").map((line, i) => ({ ...line, shift: i * HOUR, signal: i ? 'Step' : '', aggregate: i ? 'left' : 'max', band: !i, hidden: Boolean(i) }));
  const views = [explorer.freshView, { ...explorer.freshView, last: DAY, axis: 'shared', utc: true, refresh: 10, interval: 500, tab: 'events', lines },
    { ...explorer.freshView, last: 0, from: 1, to: 7e12, lines }];
  for (const view of views) {
    const query = new URLSearchParams(Object.entries(explorer.writeView(view)).filter(([, value]) => value));
    assert.deepStrictEqual(explorer.readView(new URLSearchParams(query.toString())), view);
  }
  const many = explorer.addLines([], Array.from({ length: 60 }, (_, i) => ({ id: [String(i)] })), 'p');
  assert.strictEqual(many.length, 50);
  assert.strictEqual(new Set(many.map((line) => line.color)).size, 50);
  assert.strictEqual(explorer.addLines(many.slice(0, 49), [['0'], ['x'], ['y']].map((id) => ({ id })), 'p').length, 50);
  assert.strictEqual(explorer.readView(new URLSearchParams({ s: JSON.stringify(Array(60).fill({ id: ['a'], p: 'b' })) })).lines.length, 50);
});

test('a property is asked for by the name that it has when it is flattened', () => {
  assert.strictEqual(explorer.reference('a', 'Double'), "$event['a'].Double");
  assert.strictEqual(explorer.reference('s.v', 'Long'), "$event['s'].['v'].Long");
  assert.strictEqual(explorer.reference("n.['o.d\\'d\\\\']", 'Long'), "$event['n'].['o.d\\'d\\\\'].Long");
});

test('queries have at most 50 variables, one for each series and shift, and none for what is hidden', () => {
  const line = (id, p, more) => ({ ...explorer.freshLine([id], p, 0), band: true, ...more });
  const lines = [...Array.from({ length: 30 }, (_, i) => line('a', `p${i}`)), line('b', 'p'), line('b', 'p', { shift: HOUR }), line('c', 'p', { hidden: true }), line('b', 'p', { aggregate: 'raw' })];
  const asked = explorer.queriesFor(lines, { from: DAY, to: 2 * DAY }, 60_000);
  const counts = asked.map(({ query }) => Object.keys((query.aggregateSeries ?? query.getSeries).inlineVariables).length);
  assert.deepStrictEqual(counts, [48, 42, 3, 3, 1]);
  assert.strictEqual(asked[3].query.aggregateSeries.searchSpan.from, new Date(DAY - HOUR).toISOString());
  const points = new Map();
  explorer.takeAnswer(points, { shift: HOUR, query: {} }, { timestamps: ['1970-01-01T00:00:00Z'], properties: [{ name: 'v7', values: [3] }, { name: 'h7', values: [null] }], continuationToken: null });
  assert.deepStrictEqual(points.get(7), { times: [HOUR], values: [3], high: [null] });
});

test('a file has no text that is a formula, and rows where any line has a value', () => {
  assert.strictEqual(explorer.csv(['=a', 'b"c'], [[-1, '-1'], [null, 'x,y']]), "'=a,\"b\"\"c\"\r\n-1,'-1\r\n,\"x,y\"\r\n");
  assert.deepStrictEqual(explorer.rowsOf([{ times: [2, 1], values: [5, null] }, undefined, { times: [0, 2], values: [1, 2] }]),
    [{ at: 0, values: [null, null, 1] }, { at: 2, values: [5, null, 2] }]);
});

test('the point next to a time is one that has a value and is near', () => {
  const points = { times: [0, 10, 20, 30], values: [1, null, 3, 4] };
  assert.deepStrictEqual([-5, 4, 11, 12, 29, 99].map((at) => plot.nearest(points, at, 15)), [0, 0, 2, 2, 3, -1]);
  assert.strictEqual(plot.nearest({ times: [], values: [] }, 0, 1), -1);
  assert.strictEqual(plot.gapOf({ times: [0, 10, 20, 90], values: [1, 1, 1, 1] }), 50);
});

const simulations = load('simulations.ts');

test('a simulation is of some models, each once, and its id comes of its name', () => {
  const { idOf, wrongKinds, toModels, againTimes, stateOf } = simulations;
  assert.strictEqual(idOf('  Kälte & Co. ', []), 'kalte-co');
  assert.strictEqual(idOf('<b>', ['b', 'b-2']), 'b-3');
  assert.strictEqual(idOf('日本', []), 'simulation');
  assert.ok(idOf('x'.repeat(200), ['x'.repeat(30)]).length <= 36);
  const row = { model: 'a', count: '5', interval: '' };
  assert.strictEqual(wrongKinds([row]), '');
  assert.match(wrongKinds([]), /at least one/);
  assert.match(wrongKinds([row, row]), /once/);
  assert.strictEqual(wrongKinds([{ ...row, count: '99999' }, { ...row, model: 'b', count: '1' }]), '');
  assert.match(wrongKinds([{ ...row, count: '99999' }, { ...row, model: 'b', count: '2' }]), /Together/);
  assert.match(wrongKinds([{ ...row, count: '1.5' }]), /amount/);
  assert.match(wrongKinds([{ ...row, interval: '0' }]), /interval/);
  assert.deepStrictEqual(toModels([{ ...row, interval: '3661' }], [{ Id: 'a', Telemetry: [{}, {}] }]),
    [{ Id: 'a', Count: 5, Override: { Telemetry: [{ Interval: '01:01:01' }, { Interval: '01:01:01' }] } }]);
  assert.deepStrictEqual(toModels([row], []), [{ Id: 'a', Count: 5 }]);
  assert.deepStrictEqual(againTimes({ EndTime: '' }), {});
  assert.strictEqual(againTimes({ StartTime: '2026-01-01T00:00:00.0000000Z', EndTime: '2026-01-01T02:00:00.0000000Z' }).EndTime, 'NOW+PT7200S');
  const one = { Enabled: true, StartTime: '2026-01-01T00:00:00Z', Error: '', DevicesDeletionComplete: true };
  assert.strictEqual(stateOf({ ...one, Running: true, ActiveNow: true }, 0), 'running');
  assert.strictEqual(stateOf({ ...one, ActiveNow: true }, 0), 'waiting');
  assert.strictEqual(stateOf({ ...one, ActiveNow: true, Error: 'x' }, 0), 'failed');
  assert.strictEqual(stateOf(one, 0), 'scheduled');
  assert.strictEqual(stateOf(one, Date.now()), 'ended');
  assert.strictEqual(stateOf({ ...one, Enabled: false }, Date.now()), 'stopped');
  assert.strictEqual(stateOf({ ...one, DeleteDevicesWhenSimulationEnds: true, DevicesDeletionComplete: false }, Date.now()), 'removing');
});

test('a model is made of up to ten sensors', () => {
  const { sensorModel, wrongSensors } = simulations;
  const row = (name, more) => ({ name, behaviour: 'Math.Increasing', min: '0', max: '50', unit: 'C', ...more });
  const many = Array.from({ length: 11 }, (_, i) => row(`s${i}`));
  assert.strictEqual(wrongSensors(many.slice(0, 10)), '');
  assert.match(wrongSensors(many), /1 to 10/);
  assert.match(wrongSensors([]), /1 to 10/);
  assert.match(wrongSensors([row('a b')]), /letters/);
  assert.match(wrongSensors([row('a'), row('a')]), /of its own/);
  assert.match(wrongSensors([row('a'), row('a_unit')]), /of its own/);
  assert.match(wrongSensors([row('a', { min: '' })]), /numbers/);
  assert.match(wrongSensors([row('a', { min: '51' })]), /below/);
  const model = sensorModel({ id: 'm', name: 'M', description: '', interval: '90' }, [row('up'), row('down', { behaviour: 'Math.Decreasing' }), row('any', { behaviour: 'Math.Random.WithinRange', unit: '' })]);
  assert.strictEqual(model.Simulation.Interval, '00:01:30');
  assert.deepStrictEqual(model.Simulation.Scripts.map((one) => [one.Path, one.Params]), [
    ['Math.Random.WithinRange', { any: { Min: 0, Max: 50 } }],
    ['Math.Increasing', { up: { Min: 0, Max: 50, Step: 0.5 } }],
    ['Math.Decreasing', { down: { Min: 0, Max: 50, Step: 0.5 } }]]);
  assert.deepStrictEqual([model.Simulation.InitialState.up, model.Simulation.InitialState.down], [0, 50]);
  assert.match(model.Telemetry[0].MessageTemplate, /^\{"up":\$\{up\},"up_unit":"\$\{up_unit\}",/);
});

const counter = (name) => ({ name: { value: name, localizedValue: name }, unit: 'Count', primaryAggregationType: 'Total', supportedAggregationTypes: ['Total'] });
const gauge = (name) => ({ ...counter(name), primaryAggregationType: 'Average', supportedAggregationTypes: ['Average', 'Minimum', 'Maximum'] });

test('an address says which metrics are drawn; what the hub has not, twice or too much, is left out', () => {
  const known = [...fresh.map((name) => (name === 'connectedDeviceCount' ? gauge(name) : counter(name))), ...Array.from({ length: 30 }, (_, i) => gauge(`g${i}`))];
  assert.deepStrictEqual(readChosen(null, known).map((one) => one.name), fresh);
  assert.deepStrictEqual(readChosen('g1~Maximum,g1,nothing,g2~Total', known), [{ name: 'g1', aggregation: 'Maximum' }, { name: 'g2', aggregation: 'Average' }]);
  assert.deepStrictEqual(readChosen(',', known), []);
  assert.strictEqual(readChosen(known.map((one) => one.name.value).join(','), known).length, CHOSEN_MAX);
  for (const text of ['g1~Maximum,g2', 'connectedDeviceCount']) assert.strictEqual(writeChosen(readChosen(text, known), known), text);
});

test('metrics are in groups, each once', () => {
  const names = ['d2c.telemetry.ingress.success', 'connectedDeviceCount', 'C2DMessagesExpired', 'c2d.twin.read.success', 'c2d.methods.failure', 'jobs.failed', 'skerry_hub_endpoint_health', 'skerry_hub_log_bytes'];
  const found = Object.fromEntries(grouped(names.map(counter)).map(([name, list]) => [name, list.map((one) => one.name.value)]));
  assert.deepStrictEqual(Object.values(found).flat().sort(), [...names].sort());
  assert.deepStrictEqual(found['Cloud-to-device messages'], ['C2DMessagesExpired']);
  assert.deepStrictEqual(found['The hub'], ['skerry_hub_log_bytes']);
});

test('points of a metric become lines: sums, averages with their band, endpoints apart', () => {
  const at = '2026-11-29T10:00:00Z';
  const metric = (name, ...timeseries) => ({ name: { value: name }, timeseries });
  const lines = linesOf([{ name: 'sent', aggregation: 'Total' }, { name: 'there', aggregation: 'Average' }], [
    metric('there', { metadatavalues: [], data: [{ timeStamp: at, average: 2, minimum: 1, maximum: 4 }] }),
    metric('sent', { metadatavalues: [{ value: 'east' }], data: [{ timeStamp: at, total: 3 }, { timeStamp: '2026-11-29T10:01:00Z', total: 4 }] }, { metadatavalues: [{ value: 'west' }], data: [] })]);
  assert.deepStrictEqual(lines.map((line) => [line.name, line.points.values]), [['east: sent', [3, 4]], ['west: sent', []], ['there', [2]]]);
  assert.deepStrictEqual([lines[2].points.low, lines[2].points.high], [[1], [4]]);
  assert.deepStrictEqual([wholeOf(lines[0], 'Total'), wholeOf(lines[1], 'Total'), wholeOf(lines[2], 'Average')], [7, null, 2]);
  assert.deepStrictEqual([30, 240, 720, 1440].map((minutes) => grainFor({ from: 0, to: minutes * 60_000 }, 0)), [1, 1, 5, 15]);
  assert.strictEqual(grainFor({ from: 0, to: 1 }, 60), 60);
});
